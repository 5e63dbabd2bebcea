/* SPDX-License-Identifier: PostgreSQL
 *
 * What `pgcask check` wants to know of a bucket beside that it can be written and read.
 */
#include "config.h"

#include "common/s3.h"

#include "common/aws-xml.h"
#include "common/s3-options.h"

#include <string.h>

struct wanted {
    const char *path;
    char *text;
};

static int
wanted_element(void *ctx, const char *path, const char *text)
{
    struct wanted *wanted = ctx;

    if (strcmp(path, wanted->path) == 0 && wanted->text == NULL)
        wanted->text = plain_strdup(text);
    return 0;
}

int
s3_bucket_ask(struct s3 *s3, const char *subresource, const char *path, char **ret_text)
{
    const struct s3_query query[] = { { subresource, NULL }, { NULL, NULL } };
    const struct s3_request request = { .method = "GET", .query = query, .what = "asking" };
    struct wanted wanted = { .path = path };
    const struct xml_reader reader = { .end = wanted_element, .ctx = &wanted };
    struct http_answer answer;
    int rc = s3_exchange(s3, &request, &answer);

    if (rc < 0)
        return rc;
    if (answer.status == 200)
        rc = xml_read(subresource, answer.body, answer.body_len, &reader);
    else {
        rc = s3_error_tell(s3, &request, &answer);
        if (rc == PGCASK_NOT_FOUND || rc == PGCASK_UNSUPPORTED || answer.status == 405)
            rc = 0; /* the bucket has no such thing, or the server does not know it */
    }
    http_answer_free(&answer);
    if (rc < 0) {
        free(wanted.text);
        return rc;
    }
    *ret_text = wanted.text;
    return 0;
}

int
s3_lock_check(struct s3 *s3)
{
    CLEANUP_FREE char *enabled = NULL;
    int rc = s3_bucket_ask(s3, "object-lock", "ObjectLockConfiguration/ObjectLockEnabled", &enabled);

    if (rc < 0)
        return rc;
    if (enabled != NULL && strcmp(enabled, "Enabled") == 0)
        return 0;
    pgcask_error("bucket '%s' has no object lock: what is written there can be removed whatever object_lock says",
                 s3->settings->bucket);
    pgcask_hint("make a bucket with object lock (and versioning) for this store, or set object_lock = none");
    return PGCASK_FAILED;
}

static int
check_lock(struct s3 *s3, struct pgcask_check *check)
{
    CLEANUP_FREE char *versioning = NULL;
    bool wanted = strcmp(s3->settings->object_lock, "none") != 0;
    int rc;

    if (wanted) {
        rc = s3_lock_check(s3);
        if (rc < 0)
            return rc;
        pgcask_check_say(check, PGCASK_CHECK_OK, NULL, "objects are locked (%s)", s3->settings->object_lock);
        return 0;
    }
    rc = s3_bucket_ask(s3, "versioning", "VersioningConfiguration/Status", &versioning);
    if (rc == PGCASK_FAILED) {
        pgcask_check_say(check, PGCASK_CHECK_WARN, "allow s3:GetBucketVersioning to have it looked at",
                         "whether removed objects live on as versions is not known: this user may not ask");
        return 0;
    }
    if (rc < 0)
        return rc;
    if (versioning != NULL && strcmp(versioning, "Enabled") == 0)
        pgcask_check_say(check, PGCASK_CHECK_OK, NULL, "removed objects live on as versions");
    else
        pgcask_check_say(check, PGCASK_CHECK_WARN,
                         "switch on versioning, or better object lock (object_lock in [store …]), so that stolen keys cannot "
                         "destroy the backups", "whoever has the access key can remove every backup for good");
    return 0;
}

static int
check_public(struct s3 *s3, struct pgcask_check *check)
{
    CLEANUP_FREE char *public = NULL;
    int rc = s3_bucket_ask(s3, "policyStatus", "PolicyStatus/IsPublic", &public);

    if (rc == PGCASK_FAILED)
        return 0; /* not allowed to ask: no reason to fail */
    if (rc < 0)
        return rc;
    if (public != NULL && (strcmp(public, "true") == 0 || strcmp(public, "TRUE") == 0))
        pgcask_check_say(check, s3->amazon ? PGCASK_CHECK_BAD : PGCASK_CHECK_WARN, /* Ceph says so of any second user, too */
                         "look at the bucket's policy: nobody but its users should be named there",
                         "the server calls bucket '%s' open to the public", s3->settings->bucket);
    return 0;
}

/* This machine: what is sent there goes over no wire. */
static bool
is_near(const char *endpoint)
{
    const char *host = strstr(endpoint, "://") + 3;
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");

    return (len == 9 && strncmp(host, "localhost", len) == 0) || (len == 5 && strncmp(host, "[::1]", len) == 0) ||
           (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len);
}

static void
check_transport(const struct s3 *s3, struct pgcask_check *check)
{
    if (strcmp(s3->scheme, "http") == 0 && !is_near(s3->settings->endpoint))
        pgcask_check_say(check, PGCASK_CHECK_WARN, "use https, with ca_file for a private authority",
                         "the connection is not encrypted: names and sizes can be read on the way, answers can be forged");
}

/* Paying for days in which the object is gone already. */
static void
check_minimum(const struct s3 *s3, struct pgcask_check *check)
{
    const char *storage_class = s3->later_class != NULL ? s3->later_class : s3->cold_class;
    int minimum = storage_class != NULL ? s3_class_minimum_days(storage_class) : 0;
    int64_t keep_s = pgcask_check_keep_s(check);
    int64_t cold_days = keep_s / 86400 - (s3->later_class != NULL ? s3->later_days : 0);

    if (minimum == 0 || keep_s == 0 || cold_days >= minimum)
        return;
    if (cold_days <= 0)
        pgcask_check_say(check, PGCASK_CHECK_WARN, "shorten transition, or keep them longer",
                         "backups are kept %lld days, so none of them ever gets to %s", (long long)(keep_s / 86400),
                         storage_class);
    else
        pgcask_check_say(check, PGCASK_CHECK_WARN, "keep them longer, or use a storage class without a minimum",
                         "backups are in %s for %lld days only, and %d days are charged at least", storage_class,
                         (long long)cold_days, minimum);
}

int
s3_check(void *handle, struct pgcask_check *check)
{
    struct s3 *s3 = handle;
    int rc = check_lock(s3, check);

    if (rc == 0)
        rc = check_public(s3, check);
    if (rc < 0)
        return rc;
    check_transport(s3, check);
    check_minimum(s3, check);
    return s3->later_class != NULL ? s3_lifecycle_check(s3, check) : 0;
}
