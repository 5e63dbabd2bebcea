/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t
clock_now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

int64_t
clock_mono_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

char *
clock_iso(int64_t s)
{
    char text[64];
    time_t when = s;
    struct tm tm;

    if (gmtime_r(&when, &tm) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return mem_strdup("?");
    return mem_strdup(text);
}

char *
clock_compact(int64_t s)
{
    char text[64];
    time_t when = s;
    struct tm tm;

    if (gmtime_r(&when, &tm) == NULL || strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &tm) == 0)
        return mem_strdup("?");
    return mem_strdup(text);
}

/* strptime takes blanks and the 31st of every month: only what is written again as it was read is of that form. */
static int
clock_parse(const char *text, const char *format, char *(*write)(int64_t s), const char *example, int64_t *ret_s)
{
    struct tm tm = { 0 };
    const char *end = strptime(text, format, &tm);
    CLEANUP_FREE char *again = NULL;
    int64_t s;

    if (end == NULL || *end != '\0')
        return error_set(PGCASK_FAILED, "'%s' is not a time of the form %s", text, example);
    s = timegm(&tm);
    again = write(s);
    if (strcmp(again, text) != 0)
        return error_set(PGCASK_FAILED, "'%s' is not a time of the form %s", text, example);
    *ret_s = s;
    return 0;
}

int
clock_parse_compact(const char *text, int64_t *ret_s)
{
    return clock_parse(text, "%Y%m%dT%H%M%SZ", clock_compact, "20261122T132211Z", ret_s);
}

int
clock_parse_iso(const char *text, int64_t *ret_s)
{
    return clock_parse(text, "%Y-%m-%dT%H:%M:%SZ", clock_iso, "2026-11-22T13:22:11Z", ret_s);
}
