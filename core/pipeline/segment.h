/* SPDX-License-Identifier: PostgreSQL
 *
 * What PostgreSQL's archive_command and restore_command do.
 */
#ifndef PGCASK_PIPELINE_SEGMENT_H
#define PGCASK_PIPELINE_SEGMENT_H

#include "config/settings.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SEGMENT_AHEAD_FILES = 64, /* looked at beyond the one that was asked for, both ways */
    SEGMENT_AHEAD_BYTES = 1 << 30,
};

struct segment_push_call {
    const struct config *config;
    const struct config_item *cluster;
    const char *path;           /* %p */
    uint64_t system_identifier; /* 0: as the data directory says, or the file */
    bool alone;                 /* send no other file ahead */
};

/* 0 only when the file is durably in every required store. What else is ready to be archived is sent on the way, as far as
 * it goes; the later calls for those files then return at once. */
int segment_push(const struct segment_push_call *call);

struct segment_fetch_call {
    const struct config *config;
    const struct config_item *cluster;
    const char *store;          /* only this one; NULL: all of the cluster's */
    uint64_t system_identifier; /* 0: as the data directory says (the working directory), or the newest */
    const char *name;           /* %f */
    const char *dest;           /* %p */
    bool alone;                 /* fetch no other file ahead */
};

/* 0: it is at `dest`, whole. PGCASK_NOT_FOUND: all stores were asked, and none has it; nothing else is ever that.
 *
 * A segment of which there is only a .partial is made from that, as long as the data directory has no longer one itself:
 * it is all that is left of its timeline, and PostgreSQL would end recovery before it. */
int segment_fetch(const struct segment_fetch_call *call);

/* In a process of its own: what follows the segment `name`, into the stock `dir`, until nobody asks for it any more. */
int segment_prefetch(const struct segment_fetch_call *call, const char *dir);

#endif
