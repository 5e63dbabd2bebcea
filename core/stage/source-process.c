/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/source-process.h"

#include "base/cancel.h"
#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SMALL_READ_BYTES = 256 * 1024,
    NAP_NS = 1500 * 1000, /* at 250 MiB/s some 380 KiB come in that time: less than the pipe's 1 MiB */
};

/* pg_dump writes 4 KiB at a time. Reading each as it comes would wake this thread 250 000 times for a GiB; after a
 * small read it naps until the pipe holds something worth while. */
static void
source_nap(void)
{
    struct timespec nap = { 0, NAP_NS };

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
}

int
source_process_read(void *ctx, void *data, size_t size, size_t *ret_len)
{
    struct source_process *source = ctx;
    size_t len = 0;

    while (len < size) {
        ssize_t got = read(source->process.out_fd, (char *)data + len, size - len);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(PGCASK_FAILED, "could not read the output of %s", source->process.name);
        if (got == 0) {
            int rc = process_finish(&source->process);

            if (rc < 0)
                return cancel_or(rc);
            if (source->ended != NULL)
                source->ended(source->ended_ctx);
            break;
        }
        len += (size_t)got;
        if (source->progress != NULL)
            source->progress(source->progress_ctx, (size_t)got);
        if (got < SMALL_READ_BYTES && len < size)
            source_nap();
    }
    *ret_len = len;
    return 0;
}

int
source_memory_read(void *ctx, void *data, size_t size, size_t *ret_len)
{
    struct source_memory *source = ctx;
    size_t len = source->len - source->pos < size ? source->len - source->pos : size;

    if (len > 0)
        memcpy(data, (const char *)source->data + source->pos, len);
    source->pos += len;
    *ret_len = len;
    return 0;
}
