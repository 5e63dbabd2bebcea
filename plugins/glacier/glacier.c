/* SPDX-License-Identifier: PostgreSQL
 *
 * Storage in a bucket whose members go to cold storage: at once, by their storage class, or after some days, by a lifecycle
 * rule on their tag. Manifests, verdicts and leases stay hot. All else is the s3 plugin's, in plugins/common/s3-*.c.
 */
#include "config.h"

#include "common/s3-options.h"
#include "common/s3.h"

#include <string.h>

enum { DAYS_MAX = 36500 };

struct glacier_settings {
    struct s3_settings s3; /* first: the option table and s3_open count on it */
    const char *transition, *cold_class;
};

#define GLACIER_OPTION(option_name, option_type, field, ...)                                                           \
    {                                                                                                                  \
        .name = (option_name), .type = (option_type), .offset = offsetof(struct glacier_settings, field), __VA_ARGS__  \
    }

static const struct pgcask_option options[] = {
    S3_OPTIONS,
    GLACIER_OPTION("transition", PGCASK_OPTION_STRING, transition, .fallback = "at once",
                   .help = "when members go to cold storage: at once, or after some days, such as after 30d"),
    GLACIER_OPTION("cold_class", PGCASK_OPTION_ENUM, cold_class, .fallback = "flexible", .choices = "flexible|deep",
                   .help = "flexible: GLACIER, back in hours; deep: DEEP_ARCHIVE, cheaper, back in half a day or two"),
};

/* "at once": 0, "after 30d": 30. */
static int
read_transition(const char *text, int *ret_days)
{
    char *end;
    long days;

    if (strcmp(text, "at once") == 0) {
        *ret_days = 0;
        return 0;
    }
    days = strncmp(text, "after ", 6) == 0 ? strtol(text + 6, &end, 10) : 0;
    if (days < 1 || days > DAYS_MAX || strcmp(end, "d") != 0) {
        pgcask_error("transition is '%s', wanted 'at once' or 'after Nd' with 1 to %d days", text, DAYS_MAX);
        return PGCASK_FAILED;
    }
    *ret_days = (int)days;
    return 0;
}

static int
check_settings(const void *data)
{
    const struct glacier_settings *settings = data;
    int days, rc = s3_check_settings(&settings->s3);

    return rc < 0 ? rc : read_transition(settings->transition, &days);
}

/* Members get the class, or the tag that the lifecycle rule looks for. */
static int
open_cold(const void *data, unsigned flags, void **ret_handle)
{
    const struct glacier_settings *settings = data;
    const char *storage_class = strcmp(settings->cold_class, "deep") == 0 ? "DEEP_ARCHIVE" : "GLACIER";
    struct s3 *s3;
    int days, rc = read_transition(settings->transition, &days);

    if (rc == 0)
        rc = s3_open(&settings->s3, flags, &s3);
    if (rc < 0)
        return rc;
    if (days == 0)
        s3->cold_class = storage_class;
    else {
        char *tagging = plain_printf("%s%s" S3_COLD_TAG_KEY "=" S3_COLD_TAG_VALUE, s3->tagging ? s3->tagging : "",
                                     s3->tagging ? "&" : "");

        free(s3->tagging);
        s3->tagging = tagging;
        s3->later_class = storage_class;
        s3->later_days = days;
    }
    *ret_handle = s3;
    return 0;
}

static const struct pgcask_storage_plugin plugin = {
    PGCASK_STORAGE_INIT,
    .name = "glacier",
    .version = PACKAGE_VERSION,
    .summary = "a bucket whose members go to cold storage, at once or after some days",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .settings_size = sizeof(struct glacier_settings),
    .check_settings = check_settings,
    .open = open_cold,
    S3_CALLBACKS,
};

PGCASK_REGISTER_STORAGE(plugin)
