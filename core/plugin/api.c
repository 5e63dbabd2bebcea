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
#include "plugin/storage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { API_TEXT_LIMIT_BYTES = 4000 }; /* a plugin may hand on the whole answer of a server */

/* A plugin's words become one line of bounded length. */
__attribute__((format(printf, 1, 0))) static char *
api_format(const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        return mem_strdup(format);
    if (strlen(text) > API_TEXT_LIMIT_BYTES)
        memcpy(text + API_TEXT_LIMIT_BYTES - 3, "...", 4);
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return text;
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
pgcask_listing_add(struct pgcask_listing *listing, const char *key, uint64_t size, int64_t mtime_s)
{
    if (key == NULL)
        return error_set(PGCASK_FAILED, "the plugin listed an object without a key");
    if (strncmp(key, listing->prefix, strlen(listing->prefix)) != 0)
        return 0;
    if (storage_key_check(key) < 0) {
        log_debug("an object is passed over: %s", error_text()); /* somebody else's, such as a "folder/" marker */
        error_clear();
        return 0;
    }
    return listing->add(listing->ctx, key, size, mtime_s);
}

const char *
pgcask_event_get(const struct pgcask_event *event, const char *field)
{
    for (size_t i = 0; i < event->count; i++)
        if (strcmp(event->fields[i].name, field) == 0)
            return event->fields[i].value;
    return NULL;
}
