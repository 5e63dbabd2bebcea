/* SPDX-License-Identifier: PostgreSQL
 *
 * What tells PostgreSQL how far to recover, and what to do then: targets as people write them, and the settings that go
 * into postgresql.auto.conf, for PostgreSQL 13 to 18. Pure.
 */
#ifndef PGCASK_PG_RECOVERY_H
#define PGCASK_PG_RECOVERY_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum recovery_kind {
    RECOVERY_END,       /* as far as there is WAL */
    RECOVERY_IMMEDIATE, /* as soon as it is consistent */
    RECOVERY_TIME,
    RECOVERY_LSN,
    RECOVERY_XID,
    RECOVERY_NAME, /* of a restore point: pg_create_restore_point */
};
enum recovery_action { RECOVERY_PAUSE, RECOVERY_PROMOTE, RECOVERY_SHUTDOWN };

struct recovery_target {
    enum recovery_kind kind;
    int64_t time_us;   /* RECOVERY_TIME: microseconds since 1970 UTC */
    uint64_t lsn;      /* RECOVERY_LSN */
    uint32_t xid;      /* RECOVERY_XID */
    const char *name;  /* RECOVERY_NAME; borrowed */
    bool exclusive;    /* stop before it, not behind it; not for a name or RECOVERY_IMMEDIATE */
    uint32_t timeline; /* 0: the newest there is */
    enum recovery_action action;
};

/* Each sets the kind and its value from what was given on a command line. ERROR_USAGE, without the option's name. */
int recovery_set_immediate(struct recovery_target *target, const char *text); /* "immediate" */
/* Date, time, zone: 2026-11-22 13:22:11.25+01, 2026-11-22T12:22:11Z. A zone must be there, as digits, Z, UTC or GMT: what a
 * bare time means would depend on the server's settings. Fractions of a second up to six digits. */
int recovery_set_time(struct recovery_target *target, const char *text);
int recovery_set_lsn(struct recovery_target *target, const char *text);
/* 32 bits, or 64 with the epoch in front, as pg_current_xact_id prints it. */
int recovery_set_xid(struct recovery_target *target, const char *text);
int recovery_set_name(struct recovery_target *target, const char *text); /* borrowed */
int recovery_set_timeline(struct recovery_target *target, const char *text); /* a number, decimal or 0x…; "latest" */
int recovery_set_action(struct recovery_target *target, const char *text);   /* pause, promote, shutdown */
const char *recovery_action_text(enum recovery_action action);
/* What does not go together: ERROR_USAGE. */
int recovery_check(const struct recovery_target *target, bool standby);

char *recovery_time_text(int64_t time_us); /* "2026-11-22 12:22:11.25+00"; owned by the caller, as the next ones */
char *recovery_target_text(const struct recovery_target *target); /* for messages: "time 2026-…", "the end of the WAL" */

struct recovery_spec {
    const struct recovery_target *target;
    bool standby;                /* follow a primary, or the archive, until promoted */
    const char *primary_conninfo; /* of a standby; NULL: none, or what the settings have already */
    const char *restore_command;
    int server_version;          /* 150020 */
};

/* postgresql.auto.conf anew: the lines of `old` (may be NULL) that do not touch recovery or archiving, then ours, which
 * also keep the copy out of the archive. */
int recovery_settings(const struct recovery_spec *spec, const char *old, struct buf *ret_text);
/* The file whose presence makes PostgreSQL do it: "recovery.signal" or "standby.signal". */
const char *recovery_signal(const struct recovery_spec *spec);
/* A restore_command: `words` for the shell, then %f and %p. ERROR_USAGE for a word with a newline. */
int recovery_command(const struct strv *words, char **ret_command);

#endif
