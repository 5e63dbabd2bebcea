/* SPDX-License-Identifier: PostgreSQL
 *
 * Cold storage: asking for an object to be readable for some days. Times and minimum days are those of the Amazon S3 user
 * guide, "Archive retrieval options" and "Storage classes for archiving objects".
 */
#include "config.h"

#include "common/s3.h"

#include "common/s3-options.h"

#include <string.h>

static const struct speed {
    const char *storage_class, *tier, *name, *expected; /* expected NULL: there is none */
} speeds[] = {
    { "GLACIER", "expedited", "Expedited", "1 to 5 minutes" },
    { "GLACIER", "standard", "Standard", "3 to 5 hours" },
    { "GLACIER", "bulk", "Bulk", "5 to 12 hours" },
    { "DEEP_ARCHIVE", "expedited", "Expedited", NULL },
    { "DEEP_ARCHIVE", "standard", "Standard", "12 hours" },
    { "DEEP_ARCHIVE", "bulk", "Bulk", "48 hours" },
};

int
s3_class_minimum_days(const char *storage_class)
{
    if (strcmp(storage_class, "DEEP_ARCHIVE") == 0)
        return 180;
    return strncmp(storage_class, "GLACIER", 7) == 0 ? 90 : 0; /* GLACIER and GLACIER_IR */
}

static const struct speed *
speed_of(const char *storage_class, const char *tier)
{
    for (size_t i = 0; i < ARRAY_LEN(speeds); i++)
        if (strcmp(speeds[i].storage_class, storage_class) == 0 && strcmp(speeds[i].tier, tier) == 0)
            return &speeds[i];
    return NULL;
}

static int
on_its_way(const char *key, const struct speed *speed)
{
    pgcask_error("'%s' is on its way out of cold storage (%s), which takes %s", key, speed->tier, speed->expected);
    return PGCASK_COLD;
}

/* A server that has the class, but refuses no read of it and knows no thawing. */
static int
thaw_needless(struct s3 *s3, const char *key, uint64_t size)
{
    char byte;
    int rc = size == 0 ? 0 : s3_get(s3, key, 0, &byte, 1);

    if (rc == 0 && size > 0)
        s3_known_set(s3, &s3->thaws, S3_NO);
    return rc;
}

static int
thaw_ask(struct s3 *s3, const char *key, int days, const struct speed *speed, uint64_t size)
{
    static const struct s3_query query[] = { { "restore", NULL }, { NULL, NULL } };
    static const char *const headers[] = { "content-type: application/xml", NULL };
    CLEANUP_FREE char *text = plain_printf("<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>%d</Days>"
                                           "<GlacierJobParameters><Tier>%s</Tier></GlacierJobParameters></RestoreRequest>",
                                           days, speed->name);
    const struct s3_request request = {
        .method = "POST", .key = key, .query = query, .headers = headers, .body = text, .body_size = strlen(text),
        .what = "thawing"
    };
    struct http_answer answer;
    bool asked;
    int rc = s3_exchange(s3, &request, &answer);

    if (rc < 0)
        return rc;
    asked = answer.status >= 200 && answer.status < 300;
    if (!asked)
        rc = s3_error_tell(s3, &request, &answer);
    if (rc == PGCASK_COLD && answer.status == 409)
        asked = true; /* before */
    http_answer_free(&answer);
    if (rc == PGCASK_UNSUPPORTED)
        return thaw_needless(s3, key, size);
    if (!asked)
        return rc == PGCASK_COLD ? PGCASK_FAILED : rc; /* it is cold, and is refused all the same */
    s3_known_set(s3, &s3->thaws, S3_YES);
    return on_its_way(key, speed);
}

/* The class it is in, as HEAD tells; it is one of `speeds`. */
static const struct speed *
thaw_speed(const struct s3 *s3, const char *tier)
{
    const char *storage_class = s3->later_class != NULL ? s3->later_class : s3->cold_class;
    const struct speed *speed = storage_class != NULL ? speed_of(storage_class, tier) : NULL;

    return speed != NULL ? speed : speed_of("GLACIER", tier);
}

int
s3_thaw(void *handle, const char *key, int days, const char *tier)
{
    struct s3 *s3 = handle;
    const struct speed *speed = thaw_speed(s3, tier);
    struct s3_head head;
    uint64_t size;
    int state, rc;

    if (speed == NULL || speed->expected == NULL) {
        pgcask_error("the tier '%s' is not to be had for this storage class", tier);
        pgcask_hint(speed == NULL ? "it is expedited, standard or bulk" : "use standard (12 hours) or bulk (48 hours)");
        return PGCASK_FAILED;
    }
    rc = s3_head(s3, key, &head);
    if (rc < 0)
        return rc;
    state = head.tier;
    size = head.size;
    s3_head_free(&head);
    if (state == PGCASK_TIER_HOT || state == PGCASK_TIER_THAWED)
        return 0;
    return state == PGCASK_TIER_THAWING ? on_its_way(key, speed) : thaw_ask(s3, key, days, speed, size);
}
