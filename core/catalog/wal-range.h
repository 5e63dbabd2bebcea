/* SPDX-License-Identifier: PostgreSQL
 *
 * What an archive of WAL can replay: which segments of which timeline are there without a hole, how far a recovery from a
 * base backup gets, and so which moments can be restored. Pure; knows no store and no server.
 *
 *   timeline 1   ▓▓▓▓▓▓▓▓▓▓▓▓ ▓▓▓▓▓▓     ranges of segments, a gap between them
 *   timeline 2           ▓▓▓▓▓▓▓▓▓▓      its first segment is a copy of what timeline 1 had of it, up to the switch
 *
 * A segment with two contents is in dispute: recovery cannot know which to take, so it ends a range as a missing one does.
 */
#ifndef PGCASK_CATALOG_WAL_RANGE_H
#define PGCASK_CATALOG_WAL_RANGE_H

#include "pg/wal-history.h"
#include "pg/wal-name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Segments `first` to `last` of one timeline, both included. */
struct wal_range {
    uint32_t timeline;
    uint64_t first, last;
};
/* Sorted; no two of them touch. */
struct wal_range_set {
    struct wal_range *items;
    size_t len, cap;
};

/* What is in an archive. Add in any order, the same file as often as it was seen; then wal_ranges_end, once. */
struct wal_ranges {
    uint32_t segment_bytes;
    struct wal_range_set whole;    /* there, with one content */
    struct wal_range_set disputed; /* there, with more than one */
    struct wal_range_set partial;  /* not there, but a .partial of it is */
    struct wal_ranges_row *rows;  /* until wal_ranges_end */
    size_t len, cap;
};
/* `segment_bytes`: a valid size. */
void wal_ranges_begin(struct wal_ranges *ranges, uint32_t segment_bytes);
/* `digest`: of the file's plain bytes. Histories and labels are passed over. ERROR_CORRUPT when a file of that name cannot
 * exist with this segment size; nothing is added then. */
int wal_ranges_add(struct wal_ranges *ranges, const struct wal_name *name, const char *digest);
void wal_ranges_end(struct wal_ranges *ranges);
void wal_ranges_free(struct wal_ranges *ranges);
void cleanup_wal_ranges(struct wal_ranges *ranges);
#define CLEANUP_WAL_RANGES __attribute__((cleanup(cleanup_wal_ranges)))

/* NULL: none of them has it. */
const struct wal_range *wal_range_find(const struct wal_range_set *set, uint32_t timeline, uint64_t number);
/* The first that ends at `number` or behind it. */
const struct wal_range *wal_range_from(const struct wal_range_set *set, uint32_t timeline, uint64_t number);
/* Put any number of pieces in any order, then join: sorted, and what overlaps or touches becomes one. */
void wal_range_set_join(struct wal_range_set *set);
void wal_range_put(struct wal_range_set *set, uint32_t timeline, uint64_t first, uint64_t last);
void wal_range_set_free(struct wal_range_set *set);
void cleanup_wal_range_set(struct wal_range_set *set);
#define CLEANUP_WAL_RANGE_SET __attribute__((cleanup(cleanup_wal_range_set)))

/* The same history with ends that ascend: the part of each timeline that recovery really goes through. A file may say that
 * a timeline was left before it began, when recovery ended on the one that it comes from. */
void wal_range_route(const struct wal_history *history, struct wal_history *ret_route);

enum wal_reach_end {
    WAL_REACH_ALL,      /* everything up to the target is there */
    WAL_REACH_MISSING,  /* a segment is not */
    WAL_REACH_DISPUTED, /* a segment has two contents */
    WAL_REACH_ASTRAY,   /* the target's history does not come from where recovery begins: nothing can be replayed */
};
struct wal_reach {
    enum wal_reach_end end;
    uint64_t lsn;      /* everything before this LSN can be replayed */
    uint32_t timeline; /* it was reached on this one */
    struct wal_range missing; /* not WAL_REACH_ALL: the first segment that is not to be had (first = last) */
    bool partial;             /* a .partial of that one is there, which reaches somewhere into it */
};
/* From `from_lsn` on `from_timeline` along `history` (that of the target timeline) up to and without `to_lsn`; UINT64_MAX:
 * as far as it goes, which ends with WAL_REACH_MISSING or _DISPUTED. A segment in which timelines change is taken from the
 * newest of them that has it, as PostgreSQL does. */
void wal_range_check(const struct wal_ranges *ranges, const struct wal_history *history, uint32_t from_timeline,
                     uint64_t from_lsn, uint64_t to_lsn, struct wal_reach *ret_reach);

/* All segments that a recovery from `from_lsn` along `history` would miss up to the newest whole one of the history's
 * timelines, added to `gaps` (sorted, each in the name of the timeline whose it must be); disputed ones are among them. */
void wal_range_gaps(const struct wal_ranges *ranges, const struct wal_history *history, uint32_t from_timeline,
                    uint64_t from_lsn, struct wal_range_set *gaps);

/* A base backup, as far as it matters here. */
struct wal_base {
    uint32_t timeline;
    uint64_t start_lsn, stop_lsn;
    int64_t finished_s;
    bool wal_included; /* it can be restored to its own end without any archive */
};
/* Every moment between two points of one timeline (or of those it comes from) that can be restored. */
struct wal_window {
    uint32_t timeline;   /* to be named as the target timeline */
    uint64_t from_lsn;   /* where its first base backup became consistent */
    int64_t from_s;
    struct wal_reach reach; /* how far, and what is missing there */
    size_t *bases;       /* indices of the base backups that lead into it, by from_lsn */
    size_t len, cap;
};
struct wal_windows {
    struct wal_window *items; /* by from_lsn */
    size_t len, cap;
};
/* `histories`: one for each timeline that is known. A window that a longer one of a later timeline holds whole is left out. A
 * base backup that leads nowhere is in no window. */
void wal_range_windows(const struct wal_ranges *ranges, const struct wal_history *histories, size_t history_count,
                       const struct wal_base *bases, size_t base_count, struct wal_windows *ret_windows);
void wal_windows_free(struct wal_windows *windows);
void cleanup_wal_windows(struct wal_windows *windows);
#define CLEANUP_WAL_WINDOWS __attribute__((cleanup(cleanup_wal_windows)))

#endif
