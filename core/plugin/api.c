/* SPDX-License-Identifier: PostgreSQL
 *
 * The services that pgcask-plugin.h promises to plugins. Nothing in the program
 * calls them, so this file must be among the program's own sources: from a
 * library the linker would leave it out. pgcask.syms lists the same names.
 */
#include "config.h"

#include "plugin/opaque.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "plugin/instance.h"
#include "plugin/storage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    API_TEXT_LIMIT_BYTES = 4000, /* a plugin may hand on the whole answer of a server */
    API_FINDINGS_LIMIT = 1000,   /* of one check */
};

/* A plugin's words become one line of bounded length. */
static char *
api_one_line(char *text)
{
    if (strlen(text) > API_TEXT_LIMIT_BYTES)
        memcpy(text + API_TEXT_LIMIT_BYTES - 3, "...", 4);
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return text;
}

__attribute__((format(printf, 1, 0))) static char *
api_format(const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        return mem_strdup(format);
    return api_one_line(text);
}

#define API_FORMAT(text, format)                                                                                       \
    do {                                                                                                               \
        va_list args_;                                                                                                 \
                                                                                                                       \
        va_start(args_, format);                                                                                       \
        (text) = api_format((format), args_);                                                                          \
        va_end(args_);                                                                                                 \
    } while (0)

void
pgcask_error(const char *format, ...)
{
    CLEANUP_FREE char *text = NULL;

    API_FORMAT(text, format);
    (void)error_set(PGCASK_FAILED, "%s", text);
}

void
pgcask_error_errno(const char *format, ...)
{
    int saved = errno;
    CLEANUP_FREE char *text = NULL;

    API_FORMAT(text, format);
    errno = saved;
    (void)error_errno(PGCASK_FAILED, "%s", text);
    errno = saved;
}

void
pgcask_hint(const char *format, ...)
{
    CLEANUP_FREE char *text = NULL;

    API_FORMAT(text, format);
    (void)error_hint(PGCASK_FAILED, "%s", text);
}

void
pgcask_warn(const char *format, ...)
{
    CLEANUP_FREE char *text = NULL;

    API_FORMAT(text, format);
    log_warn("%s", text);
}

void
pgcask_debug(const char *format, ...)
{
    CLEANUP_FREE char *text = NULL;

    if (!log_shows(LOG_LEVEL_DEBUG))
        return;
    API_FORMAT(text, format);
    log_debug("%s", text);
}

int
pgcask_cancelled(void)
{
    return cancel_requested() ? 1 : 0;
}

void
pgcask_pace(uint64_t bytes)
{
    instance_pace(bytes);
}

void
pgcask_count(int what, uint64_t n)
{
    instance_count(what, n);
}

const char *
pgcask_put_key(const struct pgcask_put *put)
{
    return put->key;
}

uint64_t
pgcask_put_size_hint(const struct pgcask_put *put)
{
    return put->size_hint;
}

int
pgcask_put_is_hot(const struct pgcask_put *put)
{
    return put->hot ? 1 : 0;
}

void
pgcask_limits_set(struct pgcask_limits *limits, uint64_t min, uint64_t preferred, uint64_t max, uint32_t parts)
{
    *limits = (struct pgcask_limits){ .min = min, .preferred = preferred, .max = max, .parts = parts };
}

int
pgcask_listing_add_tiered(struct pgcask_listing *listing, const char *key, uint64_t size, int64_t mtime_s, int tier,
                          int64_t until_s)
{
    struct listed listed = { .key = key, .size = size, .mtime_s = mtime_s > 0 ? mtime_s : 0, .tier = tier };

    if (key == NULL)
        return error_set(PGCASK_FAILED, "the plugin listed an object without a key");
    if (tier < PGCASK_TIER_HOT || tier > PGCASK_TIER_THAWED)
        return error_set(PGCASK_FAILED, "the plugin listed '%.80s' with the tier %d, wanted 0 to %d", key, tier,
                         PGCASK_TIER_THAWED);
    if (strncmp(key, listing->prefix, strlen(listing->prefix)) != 0)
        return 0;
    if (storage_key_check(key) < 0) {
        log_debug("an object is passed over: %s", error_text()); /* somebody else's, such as a "folder/" marker */
        error_clear();
        return 0;
    }
    if (tier == PGCASK_TIER_THAWED && until_s > 0)
        listed.until_s = until_s;
    return listing->add(listing->ctx, &listed);
}

int
pgcask_listing_add(struct pgcask_listing *listing, const char *key, uint64_t size, int64_t mtime_s)
{
    return pgcask_listing_add_tiered(listing, key, size, mtime_s, PGCASK_TIER_HOT, 0);
}

int
pgcask_check_fix(const struct pgcask_check *check)
{
    return check->fix ? 1 : 0;
}

int64_t
pgcask_check_keep_s(const struct pgcask_check *check)
{
    return check->keep_s;
}

/* A finding that pgcask-plugin.h does not allow: the first one is remembered, and fails the check. */
static const char *
api_finding_wrong(const struct pgcask_check *check, int outcome, const char *text)
{
    if (outcome < PGCASK_CHECK_OK || outcome > PGCASK_CHECK_BAD)
        return "an outcome that is none of those in pgcask-plugin.h";
    if (outcome == PGCASK_CHECK_FIXED && !check->fix)
        return "that it mended something, but was only asked to look";
    if (text[0] == '\0')
        return "nothing, in a finding without a text";
    return check->len == API_FINDINGS_LIMIT ? "more than a thousand things" : NULL;
}

void
pgcask_check_say(struct pgcask_check *check, int outcome, const char *cure, const char *format, ...)
{
    CLEANUP_FREE char *text = NULL;
    const char *wrong;

    API_FORMAT(text, format);
    wrong = api_finding_wrong(check, outcome, text);
    if (wrong != NULL) {
        if (check->wrong == NULL)
            check->wrong = mem_printf("%s (%d, '%.80s')", wrong, outcome, text);
        return;
    }
    MEM_GROW(check->findings, check->len, check->cap);
    check->findings[check->len++] = (struct finding){
        .outcome = outcome, .text = STEAL(text), .cure = cure != NULL ? api_one_line(mem_strdup(cure)) : NULL
    };
}

const char *
pgcask_event_get(const struct pgcask_event *event, const char *field)
{
    for (size_t i = 0; i < event->count; i++)
        if (strcmp(event->fields[i].name, field) == 0)
            return event->fields[i].value;
    return NULL;
}
