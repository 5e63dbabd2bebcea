/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/member-source.h"

#include "base/cancel.h"
#include "base/error.h"
#include "stage/age-file.h"
#include "base/digest.h"

#include <stdlib.h>
#include <string.h>

enum {
    SEALED_CHUNK_BYTES = AGE_CHUNK_BYTES + AGE_TAG_BYTES,
    WINDOW_CHUNKS = 32, /* 2 MiB at a time, once the reading has proved to go on */
    TABLE_LIMIT_BYTES = 256 * 1024 * 1024,
};

struct member_source {
    struct storage *storage;
    struct member_ref ref;
    struct age_opener *opener; /* NULL when not sealed */
    uint64_t start;            /* where the payload begins in the object */
    uint64_t payload;          /* bytes from there */
    uint64_t stream;           /* bytes of the compressed stream in it */
    uint64_t chunks;
    struct digest *stored;
    uint64_t fetched;
    /* reading in order: the window holds unsealed bytes */
    uint64_t next_chunk;
    unsigned window_chunks;
    unsigned char *raw, *window;
    size_t window_pos, window_len;
    /* reading anywhere: the last chunk that was opened */
    unsigned char *spot;
    uint64_t spot_index;
    size_t spot_len; /* 0: none */
    struct frame_table table;
    size_t next_frame;
};

static int
source_corrupt(const struct member_source *source, int code)
{
    return error_context(code, "store '%s': object '%s'", storage_name(source->storage), source->ref.key);
}

static int
source_fetch(struct member_source *source, uint64_t offset, void *data, size_t len)
{
    int rc = cancel_check();

    if (rc == 0)
        rc = storage_get(source->storage, source->ref.key, offset, data, len);
    if (rc == 0)
        source->fetched += len;
    return rc;
}

/* Chunks of an unsealed stream are plain pieces of the same size: one way of counting serves both. */
static size_t
source_chunk_size(const struct member_source *source)
{
    return source->opener ? SEALED_CHUNK_BYTES : AGE_CHUNK_BYTES;
}

static size_t
source_chunk_len(const struct member_source *source, uint64_t index)
{
    uint64_t left = source->payload - index * source_chunk_size(source);

    return left < source_chunk_size(source) ? (size_t)left : source_chunk_size(source);
}

/* Unseal one chunk; the count of plain bytes. */
static int
source_unseal(struct member_source *source, uint64_t index, const unsigned char *raw, size_t len, unsigned char *out,
              size_t *ret_len)
{
    int rc;

    if (source->opener == NULL) {
        memcpy(out, raw, len);
        *ret_len = len;
        return 0;
    }
    rc = age_open_chunk(source->opener, index, index + 1 == source->chunks, raw, len, out);
    if (rc < 0)
        return source_corrupt(source, rc);
    *ret_len = len - AGE_TAG_BYTES;
    return 0;
}

/* Bytes of the compressed stream, anywhere; for the few at the end. */
static int
source_peek(struct member_source *source, uint64_t offset, void *data, size_t len)
{
    unsigned char *out = data;

    while (len > 0) {
        uint64_t index = offset / AGE_CHUNK_BYTES;
        size_t skip = (size_t)(offset % AGE_CHUNK_BYTES), take;
        int rc;

        if (source->spot_len == 0 || source->spot_index != index) {
            size_t raw_len = source_chunk_len(source, index);

            source->spot_len = 0;
            rc = source_fetch(source, source->start + index * source_chunk_size(source), source->raw, raw_len);
            if (rc == 0)
                rc = source_unseal(source, index, source->raw, raw_len, source->spot, &source->spot_len);
            if (rc < 0)
                return rc;
            source->spot_index = index;
        }
        if (skip >= source->spot_len)
            return source_corrupt(source, error_set(ERROR_CORRUPT, "the stream ends too early"));
        take = source->spot_len - skip < len ? source->spot_len - skip : len;
        memcpy(out, source->spot + skip, take);
        out += take;
        offset += take;
        len -= take;
    }
    return 0;
}

static int
source_window_fill(struct member_source *source)
{
    size_t raw_len = 0, count = 0;
    int rc;

    for (; count < source->window_chunks && source->next_chunk + count < source->chunks; count++)
        raw_len += source_chunk_len(source, source->next_chunk + count);
    if (count == 0)
        return source_corrupt(source, error_set(ERROR_CORRUPT, "the stream ends too early"));
    rc = source_fetch(source, source->start + source->next_chunk * source_chunk_size(source), source->raw, raw_len);
    if (rc < 0)
        return rc;
    digest_add(source->stored, source->raw, raw_len);
    source->window_pos = source->window_len = 0;
    for (size_t i = 0, at = 0; i < count; i++) {
        size_t len = source_chunk_len(source, source->next_chunk), got;

        rc = source_unseal(source, source->next_chunk, source->raw + at, len, source->window + source->window_len, &got);
        if (rc < 0)
            return rc;
        at += len;
        source->window_len += got;
        source->next_chunk++;
    }
    if (source->window_chunks < WINDOW_CHUNKS)
        source->window_chunks *= 2;
    return 0;
}

/* The next bytes in order. */
static int
source_pull(struct member_source *source, void *data, size_t len)
{
    unsigned char *out = data;

    while (len > 0) {
        size_t take = source->window_len - source->window_pos;

        if (take == 0) {
            int rc = source_window_fill(source);

            if (rc < 0)
                return rc;
            continue;
        }
        if (take > len)
            take = len;
        memcpy(out, source->window + source->window_pos, take);
        source->window_pos += take;
        out += take;
        len -= take;
    }
    return 0;
}

static int
check_digest(const char *what, const char *seen, const char *wanted)
{
    if (strcmp(seen, wanted) == 0)
        return 0;
    return error_set(ERROR_CORRUPT, "%s is %s, the manifest says %s", what, seen, wanted);
}

/* Header and nonce: compared with the manifest, then opened with our keys. */
static int
source_unlock(struct member_source *source, const struct age_identities *identities)
{
    size_t len = (size_t)source->ref.header_size + AGE_NONCE_BYTES;
    CLEANUP_FREE unsigned char *head = mem_alloc(len);
    CLEANUP_FREE char *digest = NULL;
    int rc;

    if (identities == NULL) {
        (void)error_set(ERROR_USAGE, "it is encrypted, and there is no identity");
        (void)error_hint(ERROR_USAGE, "set identity_file (or passphrase) in [pgcask], or name the key with --identity");
        return source_corrupt(source, ERROR_USAGE);
    }
    rc = source_fetch(source, 0, head, len);
    if (rc < 0)
        return rc;
    digest = digest_of(DIGEST_SHA256, head, (size_t)source->ref.header_size);
    rc = check_digest("the digest of the age header", digest, source->ref.header_digest);
    if (rc == 0)
        rc = age_opener_new(head, len, identities, &source->opener);
    if (rc < 0)
        return source_corrupt(source, rc);
    digest_add(source->stored, head, len);
    source->start = len;
    source->payload = source->ref.stored_size - len;
    rc = age_payload_layout(source->payload, &source->stream, &source->chunks);
    return rc < 0 ? source_corrupt(source, rc) : 0;
}

static int
source_table(struct member_source *source)
{
    unsigned char footer[FRAME_FOOTER_BYTES];
    CLEANUP_FREE unsigned char *data = NULL;
    uint64_t size = 0, plain = 0;
    int rc;

    if (source->stream < FRAME_FOOTER_BYTES)
        return source_corrupt(source, error_set(ERROR_CORRUPT, "too short for a table of frames"));
    rc = source_peek(source, source->stream - FRAME_FOOTER_BYTES, footer, sizeof footer);
    if (rc < 0)
        return rc;
    rc = frame_footer_decode(footer, &size);
    if (rc == 0 && (size > source->stream || size > TABLE_LIMIT_BYTES))
        rc = error_set(ERROR_CORRUPT, "the table of frames claims %llu bytes", (unsigned long long)size);
    if (rc < 0)
        return source_corrupt(source, rc);
    data = mem_alloc((size_t)size);
    rc = source_peek(source, source->stream - size, data, (size_t)size);
    if (rc < 0)
        return rc;
    rc = frame_table_decode(data, (size_t)size, source->stream - size, &source->table);
    for (size_t i = 0; rc == 0 && i < source->table.len; i++)
        plain += source->table.entries[i].plain;
    if (rc == 0 && plain != source->ref.plain_size)
        rc = error_set(ERROR_CORRUPT, "its frames hold %llu bytes, the manifest says %llu", (unsigned long long)plain,
                       (unsigned long long)source->ref.plain_size);
    return rc < 0 ? source_corrupt(source, rc) : 0;
}

static int
check_size(struct storage *storage, const struct member_ref *ref)
{
    uint64_t size;
    int64_t mtime_s;
    int rc = storage_stat(storage, ref->key, &size, &mtime_s);

    if (rc == PGCASK_NOT_FOUND)
        return error_set(rc, "store '%s': object '%s' is missing", storage_name(storage), ref->key);
    if (rc < 0)
        return rc;
    if (size != ref->stored_size)
        return error_set(ERROR_CORRUPT, "store '%s': object '%s' has %llu bytes, the manifest says %llu",
                         storage_name(storage), ref->key, (unsigned long long)size, (unsigned long long)ref->stored_size);
    return 0;
}

int
member_source_open(struct storage *storage, const struct member_ref *ref, const struct age_identities *identities,
                   struct member_source **ret_source)
{
    CLEANUP(member_source_close) struct member_source *source = NULL;
    int rc = check_size(storage, ref);

    if (rc < 0)
        return rc;
    source = mem_zalloc(sizeof *source);
    source->storage = storage;
    source->ref = *ref;
    source->stored = digest_new(digest_kind_of(ref->stored_digest));
    source->window_chunks = 1;
    source->raw = mem_pages_alloc((size_t)WINDOW_CHUNKS * SEALED_CHUNK_BYTES);
    source->window = mem_pages_alloc((size_t)WINDOW_CHUNKS * AGE_CHUNK_BYTES);
    source->spot = mem_alloc(AGE_CHUNK_BYTES);
    if (ref->sealed)
        rc = source_unlock(source, identities);
    else {
        source->payload = source->stream = ref->stored_size;
        source->chunks = (ref->stored_size + AGE_CHUNK_BYTES - 1) / AGE_CHUNK_BYTES;
    }
    if (rc == 0)
        rc = source_table(source);
    if (rc == 0)
        *ret_source = STEAL(source);
    return rc;
}

int
member_source_next(struct member_source *source, void *out, size_t *ret_len, size_t *ret_plain_len)
{
    const struct frame_entry *entry;
    int rc;

    if (source->next_frame == source->table.len)
        return 0;
    entry = &source->table.entries[source->next_frame];
    rc = source_pull(source, out, entry->stored);
    if (rc < 0)
        return rc;
    source->next_frame++;
    *ret_len = entry->stored;
    *ret_plain_len = entry->plain;
    return 1;
}

int
member_source_end(struct member_source *source)
{
    CLEANUP_FREE char *digest = NULL;
    int rc = 0;

    while (rc == 0 && source->next_chunk < source->chunks)
        rc = source_window_fill(source);
    if (rc < 0)
        return rc;
    digest = digest_end(source->stored);
    rc = check_digest("the digest of the stored bytes", digest, source->ref.stored_digest);
    return rc < 0 ? source_corrupt(source, rc) : 0;
}

uint64_t
member_source_fetched(const struct member_source *source)
{
    return source->fetched;
}

void
member_source_close(struct member_source *source)
{
    if (source == NULL)
        return;
    age_opener_free(source->opener);
    digest_free(source->stored);
    frame_table_free(&source->table);
    mem_pages_free(source->raw, (size_t)WINDOW_CHUNKS * SEALED_CHUNK_BYTES);
    mem_pages_free(source->window, (size_t)WINDOW_CHUNKS * AGE_CHUNK_BYTES);
    free(source->spot);
    free(source);
}

/* All bytes of the object through `stored`, those of the header through `header` as well. */
static int
check_bytes(struct storage *storage, const struct member_ref *ref, struct digest *stored, struct digest *header,
            void (*fetched)(void *ctx, size_t len), void *ctx)
{
    size_t window = (size_t)WINDOW_CHUNKS * AGE_CHUNK_BYTES;
    CLEANUP_FREE unsigned char *data = mem_alloc(window);

    for (uint64_t offset = 0; offset < ref->stored_size;) {
        size_t len = ref->stored_size - offset < window ? (size_t)(ref->stored_size - offset) : window;
        int rc = cancel_check();

        if (rc == 0)
            rc = storage_get(storage, ref->key, offset, data, len);
        if (rc < 0)
            return rc;
        digest_add(stored, data, len);
        if (offset < ref->header_size)
            digest_add(header, data, ref->header_size - offset < len ? (size_t)(ref->header_size - offset) : len);
        if (fetched != NULL)
            fetched(ctx, len);
        offset += len;
    }
    return 0;
}

int
member_check_stored(struct storage *storage, const struct member_ref *ref, void (*fetched)(void *ctx, size_t len),
                    void *ctx)
{
    CLEANUP(digest_free) struct digest *stored = digest_new(digest_kind_of(ref->stored_digest));
    CLEANUP(digest_free) struct digest *header = digest_new(DIGEST_SHA256);
    CLEANUP_FREE char *stored_text = NULL, *header_text = NULL;
    int rc = check_size(storage, ref);

    if (rc == 0)
        rc = check_bytes(storage, ref, stored, header, fetched, ctx);
    if (rc < 0)
        return rc;
    stored_text = digest_end(stored);
    header_text = digest_end(header);
    rc = check_digest("the digest of the stored bytes", stored_text, ref->stored_digest);
    if (rc == 0 && ref->sealed)
        rc = check_digest("the digest of the age header", header_text, ref->header_digest);
    return rc < 0 ? error_context(rc, "store '%s': object '%s'", storage_name(storage), ref->key) : 0;
}
