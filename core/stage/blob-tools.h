/* SPDX-License-Identifier: PostgreSQL
 *
 * Between blob.c and blob-read.c only.
 */
#ifndef PGCASK_STAGE_BLOB_TOOLS_H
#define PGCASK_STAGE_BLOB_TOOLS_H

#include "stage/blob.h"
#include "stage/zstd-frame.h"

#include <zstd.h>

struct blob_tools {
    struct frame_tools *frames;
    unsigned char *plain, *packed; /* FRAME_PLAIN_BYTES and frame_bound(); NULL until used */
    ZSTD_DCtx *expander;
};

void blob_tools_ready(struct blob_tools *tools);

#endif
