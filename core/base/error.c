/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/error.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static __thread struct {
    char *text;
    char *hint;
    bool watched;
} slot;

static pthread_key_t slot_end; /* only for its destructor: a thread that ends takes its texts with it */

static void
slot_free(void *unused)
{
    (void)unused;
    free(STEAL(slot.text));
    free(STEAL(slot.hint));
}

static void
slot_end_make(void)
{
    if (pthread_key_create(&slot_end, slot_free) != 0)
        abort(); /* out of keys: this program has a handful */
}

static void
slot_watch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (slot.watched)
        return;
    (void)pthread_once(&once, slot_end_make);
    slot.watched = pthread_setspecific(slot_end, &slot) == 0; /* at worst a text is never freed */
}

static char *
error_format(const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        return mem_strdup(format); /* better the bare words than nothing */
    return text;
}

static void
slot_replace(char *text)
{
    slot_watch();
    free(slot.text);
    free(slot.hint);
    slot.text = text;
    slot.hint = NULL;
}

int
error_set(int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    slot_replace(error_format(format, args));
    va_end(args);
    return code;
}

int
error_errno(int code, const char *format, ...)
{
    int saved = errno;
    char buffer[128];
    va_list args;
    CLEANUP_FREE char *text = NULL;

    va_start(args, format);
    text = error_format(format, args);
    va_end(args);
    slot_replace(mem_printf("%s: %s", text, strerror_r(saved, buffer, sizeof buffer)));
    errno = saved;
    return code;
}

int
error_context(int code, const char *format, ...)
{
    va_list args;
    CLEANUP_FREE char *where = NULL;
    char *joined;

    va_start(args, format);
    where = error_format(format, args);
    va_end(args);
    joined = mem_printf("%s: %s", where, slot.text ? slot.text : "no reason was given");
    slot_watch();
    free(slot.text);
    slot.text = joined;
    return code;
}

int
error_hint(int code, const char *format, ...)
{
    va_list args;
    char *hint;

    va_start(args, format);
    hint = error_format(format, args); /* the old one may be among the arguments */
    va_end(args);
    slot_watch();
    free(slot.hint);
    slot.hint = hint;
    return code;
}

void
error_clear(void)
{
    slot_replace(NULL);
}

const char *
error_text(void)
{
    return slot.text ? slot.text : "";
}

const char *
error_cure(void)
{
    return slot.hint;
}

void
error_take(int code, struct error *ret_error)
{
    ret_error->code = code;
    ret_error->text = STEAL(slot.text);
    ret_error->hint = STEAL(slot.hint);
}

int
error_put(struct error *error)
{
    int code = error->code;

    if (code == 0)
        return 0;
    slot_replace(STEAL(error->text));
    slot.hint = STEAL(error->hint);
    error->code = 0;
    return code;
}

void
error_free(struct error *error)
{
    free(error->text);
    free(error->hint);
    memset(error, 0, sizeof *error);
}
