/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/blob.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/parse.h"
#include "stage/age-file.h"
#include "stage/blob-tools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { BLOB_READ_BYTES = 512 * 1024 }; /* to be digested while the core still has it in its cache */

struct blob {
    struct blob_tools *tools;
    const struct blob_file *file;
    XXH3_state_t *digest;
    struct frame_table table;
    struct age_sealer *sealer; /* NULL: not sealed */
    blob_take *take;
    void *take_ctx;
};

struct blob_tools *
blob_tools_new(int compress_level)
{
    struct blob_tools *tools = mem_zalloc(sizeof *tools);

    tools->frames = frame_tools_new(compress_level);
    return tools;
}

void
blob_tools_ready(struct blob_tools *tools)
{
    if (tools->plain != NULL)
        return;
    tools->plain = mem_pages_alloc(FRAME_PLAIN_BYTES);
    tools->packed = mem_pages_alloc(frame_bound());
}

void
blob_tools_free(struct blob_tools *tools)
{
    if (tools == NULL)
        return;
    frame_tools_free(tools->frames);
    if (tools->plain != NULL) {
        mem_pages_free(tools->plain, FRAME_PLAIN_BYTES);
        mem_pages_free(tools->packed, frame_bound());
    }
    (void)ZSTD_freeDCtx(tools->expander);
    free(tools);
}

/* ---- the file ---- */

static XXH3_state_t *
blob_digest_new(void)
{
    XXH3_state_t *digest = XXH3_createState();

    if (digest == NULL)
        abort(); /* out of memory */
    (void)XXH3_128bits_reset(digest); /* fails for NULL only */
    return digest;
}

static void
blob_digest_text(const XXH3_state_t *digest, char ret_digest[BLOB_DIGEST_CHARS + 1])
{
    XXH128_canonical_t canonical;
    CLEANUP_FREE char *hex = NULL;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(digest));
    hex = format_hex(&canonical, sizeof canonical);
    memcpy(ret_digest, hex, BLOB_DIGEST_CHARS + 1);
}

/* Exactly `len` bytes from `offset`, digested on the way. */
static int
blob_get(const struct blob_file *file, XXH3_state_t *digest, uint64_t offset, unsigned char *data, size_t len)
{
    while (len > 0) {
        size_t want = len < BLOB_READ_BYTES ? len : BLOB_READ_BYTES;
        ssize_t got = pread(file->fd, data, want, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(PGCASK_FAILED, "could not read '%s'", file->path);
        if (got == 0)
            return error_set(PGCASK_FAILED, "'%s' was cut short while it was read", file->path);
        (void)XXH3_128bits_update(digest, data, (size_t)got); /* fails for NULL only */
        data += got;
        offset += (uint64_t)got;
        len -= (size_t)got;
    }
    return 0;
}

/* How much of the file is in the frame that begins at `offset`. */
static size_t
blob_frame_len(const struct blob_file *file, uint64_t offset)
{
    return file->size - offset < FRAME_PLAIN_BYTES ? (size_t)(file->size - offset) : FRAME_PLAIN_BYTES;
}

int
blob_digest(struct blob_tools *tools, const struct blob_file *file, char ret_digest[BLOB_DIGEST_CHARS + 1])
{
    XXH3_state_t *digest = blob_digest_new();
    int rc = 0;

    blob_tools_ready(tools);
    for (uint64_t offset = 0; rc == 0 && offset < file->size; offset += blob_frame_len(file, offset)) {
        rc = cancel_check();
        if (rc == 0)
            rc = blob_get(file, digest, offset, tools->plain, blob_frame_len(file, offset));
    }
    if (rc == 0)
        blob_digest_text(digest, ret_digest);
    (void)XXH3_freeState(digest);
    return rc;
}

/* ---- the object ---- */

static int
blob_emit(void *ctx, const void *data, size_t len)
{
    struct blob *blob = ctx;

    return blob->take(blob->take_ctx, data, len);
}

static int
blob_send(struct blob *blob, const void *data, size_t len)
{
    return blob->sealer ? age_seal(blob->sealer, data, len, blob_emit, blob) : blob_emit(blob, data, len);
}

static int
blob_frame(struct blob *blob, uint64_t offset)
{
    struct blob_tools *tools = blob->tools;
    size_t len = blob_frame_len(blob->file, offset), packed;
    int rc = cancel_check();

    if (rc == 0)
        rc = blob_get(blob->file, blob->digest, offset, tools->plain, len);
    if (rc == 0)
        rc = frame_compress(tools->frames, tools->plain, len, tools->packed, frame_bound(), &packed);
    if (rc < 0)
        return rc;
    frame_table_add(&blob->table, packed, len);
    return blob_send(blob, tools->packed, packed);
}

/* An empty file is one empty frame: every zstd can read that. */
static int
blob_frames(struct blob *blob)
{
    uint64_t offset = 0;
    int rc;

    do {
        rc = blob_frame(blob, offset);
        offset += blob_frame_len(blob->file, offset);
    } while (rc == 0 && offset < blob->file->size);
    return rc;
}

static int
blob_end(struct blob *blob, const char *digest)
{
    CLEANUP_BUF struct buf table = BUF_INIT(1 << 20);
    char seen[BLOB_DIGEST_CHARS + 1];
    int rc = 0;

    blob_digest_text(blob->digest, seen);
    if (strcmp(seen, digest) != 0)
        rc = error_set(PGCASK_FAILED, "'%s' was changed while it was read (its digest was %s, and is %s)",
                       blob->file->path, digest, seen);
    if (rc == 0)
        rc = frame_table_encode(&blob->table, &table);
    if (rc == 0)
        rc = blob_send(blob, table.data, table.len);
    if (rc == 0 && blob->sealer != NULL)
        rc = age_seal_end(blob->sealer, blob_emit, blob);
    return rc;
}

int
blob_write(struct blob_tools *tools, const struct blob_file *file, const char *digest,
           const struct age_recipients *recipients, blob_take *take, void *ctx)
{
    struct blob blob = { .tools = tools, .file = file, .take = take, .take_ctx = ctx };
    int rc = 0;

    blob_tools_ready(tools);
    if (recipients != NULL)
        rc = age_sealer_new(recipients, &blob.sealer);
    if (rc < 0)
        return rc;
    blob.digest = blob_digest_new();
    rc = blob_frames(&blob);
    if (rc == 0)
        rc = blob_end(&blob, digest);
    (void)XXH3_freeState(blob.digest);
    frame_table_free(&blob.table);
    age_sealer_free(blob.sealer);
    return rc;
}
