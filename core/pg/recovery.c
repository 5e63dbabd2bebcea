/* SPDX-License-Identifier: PostgreSQL
 *
 * Targets, as they are given on a command line and as they are told.
 */
#include "config.h"

#include "pg/recovery.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "pg/wal-name.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    NAME_MAX_BYTES = 63,             /* MAXFNAMELEN - 1, in access/xlog_internal.h */
    FIRST_NORMAL_XID = 3,            /* FirstNormalTransactionId */
    ZONE_MAX_MINUTES = 15 * 60 + 59, /* as PostgreSQL's MAX_TZDISP_HOUR */
};
#define US_PER_S INT64_C(1000000)

/* ---- times ---- */

/* Exactly `count` digits, and `mark` behind them unless that is 0. */
static bool
time_digits(const char **text, int count, char mark, int *ret_value)
{
    int value = 0;

    for (int i = 0; i < count; i++) {
        if (!isdigit((unsigned char)(*text)[i]))
            return false;
        value = value * 10 + ((*text)[i] - '0');
    }
    *text += count;
    *ret_value = value;
    if (mark == '\0')
        return true;
    return *(*text)++ == mark;
}

/* "2026-11-22 13:22:11"; false for a 30th of February, too. */
static bool
time_day(const char **text, int64_t *ret_s)
{
    struct tm tm = { 0 }, again;
    time_t s;

    if (!time_digits(text, 4, '-', &tm.tm_year) || !time_digits(text, 2, '-', &tm.tm_mon) ||
        !time_digits(text, 2, '\0', &tm.tm_mday) || (**text != ' ' && **text != 'T'))
        return false;
    ++*text;
    if (!time_digits(text, 2, ':', &tm.tm_hour) || !time_digits(text, 2, ':', &tm.tm_min) ||
        !time_digits(text, 2, '\0', &tm.tm_sec))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    again = tm;
    s = timegm(&again);
    *ret_s = s;
    return again.tm_mday == tm.tm_mday && again.tm_mon == tm.tm_mon && again.tm_hour == tm.tm_hour &&
           again.tm_min == tm.tm_min && again.tm_sec == tm.tm_sec && tm.tm_year >= 70;
}

static bool
time_fraction(const char **text, int64_t *ret_us)
{
    int64_t unit = US_PER_S;

    *ret_us = 0;
    if (**text != '.')
        return true;
    for (++*text; isdigit((unsigned char)**text) && unit > 1; ++*text) {
        unit /= 10;
        *ret_us += (**text - '0') * unit;
    }
    return unit < US_PER_S && !isdigit((unsigned char)**text);
}

/* Z, UTC, GMT, or +01, +0130, +01:30: minutes east of Greenwich. */
static bool
time_zone(const char *text, int *ret_minutes)
{
    int hours, minutes = 0, sign;

    while (*text == ' ')
        text++;
    *ret_minutes = 0;
    if (strcasecmp(text, "Z") == 0 || strcasecmp(text, "UTC") == 0 || strcasecmp(text, "GMT") == 0)
        return true;
    sign = *text == '-' ? -1 : 1;
    if ((*text != '+' && *text != '-') || (text++, !time_digits(&text, 2, '\0', &hours)))
        return false;
    if (*text == ':')
        text++;
    if (*text != '\0' && !time_digits(&text, 2, '\0', &minutes))
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return *text == '\0' && minutes < 60 && hours * 60 + minutes <= ZONE_MAX_MINUTES;
}

int
recovery_set_time(struct recovery_target *target, const char *text)
{
    const char *at = text;
    int64_t s, us;
    int minutes;

    if (!time_day(&at, &s) || !time_fraction(&at, &us))
        return error_set(ERROR_USAGE, "'%s' is not a time (wanted: one like 2026-11-22 13:22:11.25+00)", text);
    if (*at == '\0') {
        (void)error_set(ERROR_USAGE, "the time '%s' has no zone", text);
        return error_hint(ERROR_USAGE, "write '%s+00' if it is UTC, or the zone's own hours", text);
    }
    if (!time_zone(at, &minutes)) {
        (void)error_set(ERROR_USAGE, "the time '%s' has no zone that means the same everywhere", text);
        return error_hint(ERROR_USAGE, "write hours and minutes, such as +00 or -03:30, Z or UTC");
    }
    target->kind = RECOVERY_TIME;
    target->time_us = (s - minutes * INT64_C(60)) * US_PER_S + us;
    return 0;
}

char *
recovery_time_text(int64_t time_us)
{
    int64_t us = time_us % US_PER_S, s = time_us / US_PER_S;
    CLEANUP_FREE char *iso = NULL;
    char fraction[8] = "";
    size_t len = 0;

    if (us < 0) {
        us += US_PER_S;
        s--;
    }
    iso = clock_iso(s);
    if (us > 0) {
        fraction[0] = '.';
        for (int64_t unit = US_PER_S / 10; us > 0; us %= unit, unit /= 10)
            fraction[++len] = (char)('0' + us / unit);
    }
    return mem_printf("%.10s %.8s%s+00", iso, iso + strcspn(iso, "T") + 1, fraction);
}

/* ---- the other targets ---- */

int
recovery_set_immediate(struct recovery_target *target, const char *text)
{
    if (strcmp(text, "immediate") != 0)
        return error_set(ERROR_USAGE, "'%s' is no target (known is 'immediate'; others have options of their own)",
                         text);
    target->kind = RECOVERY_IMMEDIATE;
    return 0;
}

int
recovery_set_lsn(struct recovery_target *target, const char *text)
{
    uint64_t lsn;
    int rc = wal_lsn_parse(text, &lsn);

    if (rc < 0)
        return rc;
    target->kind = RECOVERY_LSN;
    target->lsn = lsn;
    return 0;
}

static bool
parse_unsigned(const char *text, int base, uint64_t max, uint64_t *ret_value)
{
    char *end;

    if (!isxdigit((unsigned char)text[0]))
        return false; /* strtoull takes blanks and signs */
    errno = 0;
    *ret_value = strtoull(text, &end, base);
    return *end == '\0' && errno == 0 && *ret_value <= max;
}

int
recovery_set_xid(struct recovery_target *target, const char *text)
{
    uint64_t value;

    if (!parse_unsigned(text, 10, UINT64_MAX, &value) || (uint32_t)value < FIRST_NORMAL_XID)
        return error_set(ERROR_USAGE, "'%s' is not the number of a transaction", text);
    target->kind = RECOVERY_XID;
    target->xid = (uint32_t)value;
    return 0;
}

int
recovery_set_name(struct recovery_target *target, const char *text)
{
    if (*text == '\0' || strlen(text) > NAME_MAX_BYTES || strpbrk(text, "\n\r") != NULL)
        return error_set(ERROR_USAGE, "'%s' is not the name of a restore point (wanted: 1 to %d bytes)", text,
                         NAME_MAX_BYTES);
    target->kind = RECOVERY_NAME;
    target->name = text;
    return 0;
}

int
recovery_set_timeline(struct recovery_target *target, const char *text)
{
    bool hex = strncasecmp(text, "0x", 2) == 0;
    uint64_t value;

    target->timeline = 0;
    if (strcmp(text, "latest") == 0)
        return 0;
    if (!parse_unsigned(hex ? text + 2 : text, hex ? 16 : 10, UINT32_MAX, &value) || value == 0)
        return error_set(ERROR_USAGE, "'%s' is not a timeline (wanted: its number, or latest)", text);
    target->timeline = (uint32_t)value;
    return 0;
}

static const char *const actions[] = { "pause", "promote", "shutdown" };

const char *
recovery_action_text(enum recovery_action action)
{
    return actions[action];
}

int
recovery_set_action(struct recovery_target *target, const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (strcmp(actions[i], text) == 0) {
            target->action = (enum recovery_action)i;
            return 0;
        }
    return error_set(ERROR_USAGE, "'%s' is no action (known are 'pause', 'promote' and 'shutdown')", text);
}

int
recovery_check(const struct recovery_target *target, bool standby)
{
    if (target->exclusive &&
        (target->kind == RECOVERY_END || target->kind == RECOVERY_IMMEDIATE || target->kind == RECOVERY_NAME))
        return error_set(ERROR_USAGE, "only a time, an LSN or a transaction can be excluded");
    if (standby && target->kind != RECOVERY_END)
        return error_set(ERROR_USAGE, "a standby goes on and on: it has no target");
    if (target->action != RECOVERY_PAUSE && target->kind == RECOVERY_END)
        return error_set(ERROR_USAGE,
                         "an action belongs to a target: without one recovery ends with the WAL, and promotes");
    return 0;
}

char *
recovery_target_text(const struct recovery_target *target)
{
    CLEANUP_FREE char *value = NULL;

    switch (target->kind) {
    case RECOVERY_END:
        break;
    case RECOVERY_IMMEDIATE:
        return mem_strdup("the end of the base backup");
    case RECOVERY_TIME:
        value = recovery_time_text(target->time_us);
        return mem_printf("time %s", value);
    case RECOVERY_LSN:
        value = wal_lsn_text(target->lsn);
        return mem_printf("LSN %s", value);
    case RECOVERY_XID:
        return mem_printf("transaction %" PRIu32, target->xid);
    case RECOVERY_NAME:
        return mem_printf("restore point '%s'", target->name);
    }
    return mem_strdup("the end of the WAL");
}
