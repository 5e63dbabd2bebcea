/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum log_level shown = LOG_LEVEL_WARN;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf: nothing else is taken while it is held */
static bool transient_shown;
static __thread const char *thread_prefix;

void
log_set_level(enum log_level highest_shown)
{
    shown = highest_shown;
}

bool
log_shows(enum log_level level)
{
    return level <= shown;
}

char *
log_defuse(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    char *safe = mem_realloc_array(NULL, strlen(text) + 1, 2), *out = safe;

    for (; *p != '\0'; p++) {
        if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) { /* the control characters of eight bits, as UTF-8 */
            *out++ = '?';
            p++;
        } else if (*p == '\n') {
            *out++ = '\n';
            *out++ = '\t';
        } else
            *out++ = (*p < 0x20 && *p != '\t') || *p == 0x7f ? '?' : (char)*p;
    }
    *out = '\0';
    return safe;
}

static void
log_line(const char *word, const char *text)
{
    (void)pthread_mutex_lock(&lock);
    if (transient_shown)
        (void)fputs("\r\033[K", stderr);
    transient_shown = false;
    if (thread_prefix != NULL)
        (void)fprintf(stderr, "%s: %s: %s\n", word, thread_prefix, text);
    else
        (void)fprintf(stderr, "%s: %s\n", word, text);
    (void)pthread_mutex_unlock(&lock);
}

static void
log_format(enum log_level level, const char *word, const char *format, va_list args)
{
    CLEANUP_FREE char *text = NULL, *safe = NULL;

    if (!log_shows(level))
        return;
    if (vasprintf(&text, format, args) < 0) {
        text = NULL;
        return;
    }
    safe = log_defuse(text);
    log_line(word, safe);
}

#define LOG_DEFINE(name, level, word)                                                                                  \
    void name(const char *format, ...)                                                                                 \
    {                                                                                                                  \
        va_list args;                                                                                                  \
                                                                                                                       \
        va_start(args, format);                                                                                        \
        log_format(level, word, format, args);                                                                         \
        va_end(args);                                                                                                  \
    }

LOG_DEFINE(log_error, LOG_LEVEL_ERROR, "ERROR")
LOG_DEFINE(log_warn, LOG_LEVEL_WARN, "WARN")
LOG_DEFINE(log_info, LOG_LEVEL_INFO, "INFO")
LOG_DEFINE(log_debug, LOG_LEVEL_DEBUG, "DEBUG")

void
log_slot_error(void)
{
    log_error("%s", error_text());
    if (error_cure() != NULL) {
        CLEANUP_FREE char *hint = log_defuse(error_cure());

        log_line("HINT", hint);
    }
    error_clear();
}

void
log_slot_warn(const char *consequence)
{
    log_warn("%s, %s", error_text(), consequence);
    if (error_cure() != NULL && log_shows(LOG_LEVEL_WARN)) {
        CLEANUP_FREE char *hint = log_defuse(error_cure());

        log_line("HINT", hint);
    }
    error_clear();
}

const char *
log_prefix(const char *prefix)
{
    const char *before = thread_prefix;

    thread_prefix = prefix;
    return before;
}

void
log_transient(const char *line)
{
    CLEANUP_FREE char *safe = log_defuse(line);

    (void)pthread_mutex_lock(&lock);
    if (*line != '\0' || transient_shown)
        (void)fprintf(stderr, "\r\033[K%.*s", (int)strcspn(safe, "\n"), safe);
    transient_shown = *line != '\0';
    (void)fflush(stderr);
    (void)pthread_mutex_unlock(&lock);
}
