/* SPDX-License-Identifier: PostgreSQL
 *
 * The bucket's lifecycle rule that moves tagged objects to cold storage after some days. The bucket may have other rules,
 * of other programs: the server only takes all rules at once, so theirs are sent back exactly as they came.
 */
#include "config.h"

#include "common/s3.h"

#include "common/aws-xml.h"
#include "common/s3-body.h"
#include "common/s3-options.h"

#include <stdio.h>
#include <string.h>

enum { LIFECYCLE_LIMIT_BYTES = 4 * 1024 * 1024 };
#define MINIMUM_HEADER "x-amz-transition-default-minimum-object-size"

static const char empty_rules[] = "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></LifecycleConfiguration>";

/* One rule while it is read, and what was found. */
struct rules {
    const char *our_id;
    char *id, *status, *prefix, *tag_key, *tag_value, *days, *storage_class;
    size_t count;   /* of all rules */
    size_t ours;    /* of those of our name */
    bool as_wanted; /* and the last of them does what it must */
    const struct s3 *s3;
};

static char *
rule_id(const struct s3 *s3)
{
    return plain_printf("pgcask-cold-%s", *s3->prefix ? s3->prefix : "all");
}

static void
rules_forget(struct rules *rules)
{
    char **fields[] = { &rules->id, &rules->status, &rules->prefix, &rules->tag_key, &rules->tag_value, &rules->days,
                        &rules->storage_class };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        free(*fields[i]);
        *fields[i] = NULL;
    }
}

static bool
is_text(const char *text, const char *wanted)
{
    return text != NULL && strcmp(text, wanted) == 0;
}

static void
rules_judge(struct rules *rules)
{
    const struct s3 *s3 = rules->s3;

    rules->count++;
    if (!is_text(rules->id, rules->our_id))
        return;
    rules->ours++;
    rules->as_wanted = is_text(rules->status, "Enabled") && is_text(rules->prefix ? rules->prefix : "", s3->prefix) &&
                       is_text(rules->tag_key, S3_COLD_TAG_KEY) && is_text(rules->tag_value, S3_COLD_TAG_VALUE) &&
                       is_text(rules->storage_class, s3->later_class) && rules->days != NULL &&
                       strtol(rules->days, NULL, 10) == s3->later_days;
}

static int
rules_element(void *ctx, const char *path, const char *text)
{
    static const char rule[] = "LifecycleConfiguration/Rule";
    struct rules *rules = ctx;
    const struct {
        const char *path;
        char **field;
    } fields[] = {
        { "/ID", &rules->id },
        { "/Status", &rules->status },
        { "/Filter/And/Prefix", &rules->prefix },
        { "/Filter/Prefix", &rules->prefix }, /* Ceph gives them back without And */
        { "/Filter/And/Tag/Key", &rules->tag_key },
        { "/Filter/And/Tag/Value", &rules->tag_value },
        { "/Filter/Tag/Key", &rules->tag_key },
        { "/Filter/Tag/Value", &rules->tag_value },
        { "/Transition/Days", &rules->days },
        { "/Transition/StorageClass", &rules->storage_class },
    };

    if (strcmp(path, rule) == 0) {
        rules_judge(rules);
        rules_forget(rules);
        return 0;
    }
    if (strncmp(path, rule, sizeof rule - 1) != 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (strcmp(path + sizeof rule - 1, fields[i].path) == 0) {
            free(*fields[i].field);
            *fields[i].field = plain_strdup(text);
        }
    return 0;
}

static int
rules_read(const struct s3 *s3, const char *text, const char *our_id, struct rules *ret_rules)
{
    struct rules rules = { .our_id = our_id, .s3 = s3 };
    const struct xml_reader reader = { .end = rules_element, .ctx = &rules };
    int rc = xml_read("the bucket's lifecycle rules", text, strlen(text), &reader);

    rules_forget(&rules);
    if (rc == 0)
        *ret_rules = rules;
    return rc;
}

/* The bucket's rules as text; empty_rules when it has none. What is said of small objects stands beside them, and is to be
 * sent back with them; NULL when nothing is. */
static int
lifecycle_get(struct s3 *s3, char **ret_text, char **ret_minimum)
{
    static const struct s3_query query[] = { { "lifecycle", NULL }, { NULL, NULL } };
    const struct s3_request request = {
        .method = "GET", .query = query, .limit = LIFECYCLE_LIMIT_BYTES, .what = "reading the lifecycle rules of"
    };
    struct http_answer answer;
    const char *minimum;
    int rc = s3_exchange(s3, &request, &answer);

    if (rc < 0)
        return rc;
    minimum = http_answer_header(&answer, MINIMUM_HEADER);
    /* any other 404 may be of something between us and the server: taken for "no rules", it would cost those of others */
    if (answer.status == 404 && strstr(answer.body, "NoSuchLifecycleConfiguration") != NULL)
        *ret_text = plain_strdup(empty_rules);
    else if (answer.status == 200 && strlen(answer.body) == answer.body_len)
        *ret_text = plain_strdup(answer.body);
    else
        rc = s3_error_tell(s3, &request, &answer);
    if (rc == 0 && minimum != NULL && *minimum != '\0')
        *ret_minimum = plain_strdup(minimum);
    http_answer_free(&answer);
    return rc;
}

static char *
rule_text(const struct s3 *s3, const char *id)
{
    static const char tag[] = "<Tag><Key>" S3_COLD_TAG_KEY "</Key><Value>" S3_COLD_TAG_VALUE "</Value></Tag>";
    CLEANUP_FREE char *prefix = xml_escape(s3->prefix), *escaped = xml_escape(id);
    CLEANUP_FREE char *filter = *prefix ? plain_printf("<And><Prefix>%s</Prefix>%s</And>", prefix, tag) : plain_strdup(tag);

    return plain_printf("<Rule><ID>%s</ID><Filter>%s</Filter><Status>Enabled</Status><Transition><Days>%d</Days>"
                        "<StorageClass>%s</StorageClass></Transition></Rule>",
                        escaped, filter, s3->later_days, s3->later_class);
}

/* Where the rule of that id stands in the text: from its <Rule> to behind its </Rule>. */
static bool
rule_place(const char *text, const char *id, size_t *ret_begin, size_t *ret_end)
{
    CLEANUP_FREE char *escaped = xml_escape(id), *mark = plain_printf("<ID>%s</ID>", escaped);

    for (const char *begin = strstr(text, "<Rule>"); begin != NULL; begin = strstr(begin + 1, "<Rule>")) {
        const char *end = strstr(begin, "</Rule>"), *found = strstr(begin, mark);

        if (end != NULL && found != NULL && found < end) {
            *ret_begin = (size_t)(begin - text);
            *ret_end = (size_t)(end - text) + strlen("</Rule>");
            return true;
        }
    }
    return false;
}

/* All rules that are there, ours added or replaced. */
static int
lifecycle_merge(const struct s3 *s3, const char *text, const char *id, const struct rules *before, char **ret_text)
{
    static const char closing[] = "</LifecycleConfiguration>";
    CLEANUP_FREE char *kept = plain_strdup(text), *rule = rule_text(s3, id), *merged = NULL;
    struct rules after;
    size_t begin, end;
    char *tail;
    int rc;

    if (before->ours == 1 && rule_place(kept, id, &begin, &end))
        memmove(kept + begin, kept + end, strlen(kept + end) + 1);
    tail = strstr(kept, closing);
    if (tail == NULL || strlen(rule) > 4096) {
        pgcask_error("the bucket's lifecycle rules are not in a form that a rule can be added to");
        return PGCASK_UNSUPPORTED;
    }
    *tail = '\0';
    merged = plain_printf("%s%s%s", kept, rule, closing);
    rc = rules_read(s3, merged, id, &after);
    if (rc < 0)
        return rc;
    if (!after.as_wanted || after.ours != 1 || after.count != before->count + (before->ours == 0)) {
        pgcask_error("adding a rule to the bucket's %zu lifecycle rules would give %zu", before->count, after.count);
        return PGCASK_FAILED;
    }
    *ret_text = STEAL(merged);
    return 0;
}

static int
lifecycle_put(struct s3 *s3, const char *text, const char *minimum)
{
    static const struct s3_query query[] = { { "lifecycle", NULL }, { NULL, NULL } };
    struct s3_body body;
    CLEANUP_FREE char *md5 = NULL, *small = minimum != NULL ? plain_printf(MINIMUM_HEADER ": %s", minimum) : NULL;
    const char *headers[] = { "content-type: application/xml", NULL, small, NULL };
    const struct s3_request request = {
        .method = "PUT", .query = query, .headers = headers, .body = text, .body_size = strlen(text),
        .what = "setting the lifecycle rules of"
    };

    s3_body_digest(text, strlen(text), true, &body);
    md5 = plain_printf("content-md5: %s", body.md5);
    headers[1] = md5;
    return s3_send(s3, &request, NULL);
}

/* Add our rule, then look whether all are there. */
static int
lifecycle_fix(struct s3 *s3, const char *text, const char *minimum, const char *id, const struct rules *before,
              struct pgcask_check *check)
{
    CLEANUP_FREE char *merged = NULL, *now = NULL, *minimum_now = NULL;
    struct rules after;
    int rc = lifecycle_merge(s3, text, id, before, &merged);

    if (rc == 0)
        rc = lifecycle_put(s3, merged, minimum);
    if (rc == 0)
        rc = lifecycle_get(s3, &now, &minimum_now);
    if (rc == 0)
        rc = rules_read(s3, now, id, &after);
    if (rc < 0)
        return rc;
    if (!after.as_wanted || after.count < before->count + (before->ours == 0)) {
        pgcask_check_say(check, PGCASK_CHECK_BAD, "look at the bucket's lifecycle rules",
                         "the server took the lifecycle rule '%s', but does not show it as it was sent", id);
        return 0;
    }
    pgcask_check_say(check, PGCASK_CHECK_FIXED, NULL, "lifecycle rule '%s' moves members to %s after %d day%s", id,
                     s3->later_class, s3->later_days, s3->later_days == 1 ? "" : "s");
    return 0;
}

int
s3_lifecycle_check(struct s3 *s3, struct pgcask_check *check)
{
    CLEANUP_FREE char *text = NULL, *minimum = NULL, *id = rule_id(s3);
    struct rules rules;
    int rc = lifecycle_get(s3, &text, &minimum);

    if (rc == 0)
        rc = rules_read(s3, text, id, &rules);
    if (rc < 0)
        return rc;
    if (rules.as_wanted) {
        pgcask_check_say(check, PGCASK_CHECK_OK, NULL, "lifecycle rule '%s' moves members to %s after %d day%s", id,
                         s3->later_class, s3->later_days, s3->later_days == 1 ? "" : "s");
        return 0;
    }
    if (pgcask_check_fix(check))
        return lifecycle_fix(s3, text, minimum, id, &rules, check);
    pgcask_check_say(check, PGCASK_CHECK_BAD, "'pgcask check --fix' puts it there; other rules stay as they are",
                     rules.ours ? "lifecycle rule '%s' does not say what transition says: to %s after %d day%s" :
                                  "there is no lifecycle rule '%s', so nothing moves to %s after %d day%s",
                     id, s3->later_class, s3->later_days, s3->later_days == 1 ? "" : "s");
    return 0;
}
