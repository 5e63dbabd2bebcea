/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/member-source.h"

#include "base/digest.h"
#include "base/error.h"
#include "stage/age-file.h"
#include "stage/member-payload.h"
#include "stage/member-window.h"

#include <stdlib.h>
#include <string.h>

enum { TABLE_LIMIT_BYTES = 256 * 1024 * 1024 };

struct member_source {
    struct fetch *fetch;
    struct member_ref ref;
    struct payload payload;
    struct window *window;
    struct digest *stored;
    struct frame_table table;
    unsigned char *table_data; /* as it is stored */
    size_t table_len;
    size_t next_frame;
    uint64_t offset; /* of that frame in the stream */
};

/* ---- header and table ---- */

/* Header and nonce into `head`: compared with the manifest, then opened with our keys. */
static int
source_head(struct member_source *source, const struct attempt *attempt, const struct age_identities *identities,
            unsigned char *head, size_t len)
{
    CLEANUP_FREE char *digest = NULL;
    struct age_opener *opener = NULL;
    int rc = fetch_get(source->fetch, attempt, 0, head, len);

    if (rc < 0)
        return rc;
    digest = digest_of(DIGEST_SHA256, head, (size_t)source->ref.header_size);
    rc = digest_compare("the digest of the age header", digest, source->ref.header_digest);
    if (rc == 0)
        rc = age_opener_new(head, len, identities, &opener);
    if (rc < 0)
        return fetch_blame(source->fetch, attempt, rc);
    age_opener_free(source->payload.opener); /* one from another copy, that did not open anything */
    source->payload.opener = opener;
    return 0;
}

static int
source_decode_table(struct member_source *source, const unsigned char *data, size_t len)
{
    uint64_t plain = 0;
    int rc;

    frame_table_free(&source->table);
    source->table = (struct frame_table){ 0 };
    rc = frame_table_decode(data, len, source->payload.stream - len, &source->table);
    for (size_t i = 0; rc == 0 && i < source->table.len; i++)
        plain += source->table.entries[i].plain;
    if (rc == 0 && plain != source->ref.plain_size)
        rc = error_set(ERROR_CORRUPT, "its frames hold %llu bytes, the manifest says %llu", (unsigned long long)plain,
                       (unsigned long long)source->ref.plain_size);
    return rc;
}

static int
source_read_table(struct member_source *source, const struct attempt *attempt, struct peek *peek)
{
    const struct payload *payload = &source->payload;
    unsigned char footer[FRAME_FOOTER_BYTES];
    CLEANUP_FREE unsigned char *data = NULL;
    uint64_t size = 0;
    int rc;

    peek->len = 0;
    if (payload->stream < FRAME_FOOTER_BYTES)
        return fetch_blame(source->fetch, attempt, error_set(ERROR_CORRUPT, "too short for a table of frames"));
    rc = payload_peek(payload, attempt, peek, payload->stream - FRAME_FOOTER_BYTES, footer, sizeof footer);
    if (rc < 0)
        return rc;
    rc = frame_footer_decode(footer, &size);
    if (rc == 0 && (size > payload->stream || size > TABLE_LIMIT_BYTES))
        rc = error_set(ERROR_CORRUPT, "the table of frames claims %llu bytes", (unsigned long long)size);
    if (rc < 0)
        return fetch_blame(source->fetch, attempt, rc);
    data = mem_alloc((size_t)size);
    rc = payload_peek(payload, attempt, peek, payload->stream - size, data, (size_t)size);
    if (rc < 0)
        return rc;
    rc = source_decode_table(source, data, (size_t)size);
    if (rc < 0)
        return fetch_blame(source->fetch, attempt, rc);
    source->table_len = (size_t)size;
    source->table_data = STEAL(data);
    return 0;
}

/* From any of the copies, `first` before the others. */
static int
source_table(struct member_source *source, struct attempt first)
{
    CLEANUP_FREE struct peek *peek = mem_alloc(sizeof *peek);
    int rc;

    first.tried = 0;
    do
        rc = source_read_table(source, &first, peek);
    while (fetch_again(source->fetch, &first, &rc));
    return rc;
}

/* Header and nonce of one copy may be bad and the table of another: the first chunk that opens proves them. */
static int
source_begin_sealed(struct member_source *source, const struct age_identities *identities)
{
    struct payload *payload = &source->payload;
    struct attempt attempt = fetch_attempt(source->fetch);
    size_t len = (size_t)source->ref.header_size + AGE_NONCE_BYTES;
    CLEANUP_FREE unsigned char *head = mem_alloc(len);
    int rc;

    if (identities == NULL) {
        (void)error_set(ERROR_USAGE, "it is encrypted, and there is no identity");
        (void)error_hint(ERROR_USAGE, "set identity_file (or passphrase) in [pgcask], or name the key with --identity");
        return fetch_blame(source->fetch, &attempt, ERROR_USAGE);
    }
    do {
        do
            rc = source_head(source, &attempt, identities, head, len);
        while (fetch_again(source->fetch, &attempt, &rc));
        if (rc < 0)
            return rc;
        payload->start = len;
        payload->size = source->ref.stored_size - len;
        rc = age_payload_layout(payload->size, &payload->stream, &payload->chunks);
        if (rc < 0)
            return fetch_blame(source->fetch, &attempt, rc);
        rc = source_table(source, attempt);
    } while (fetch_is_trouble(rc) && fetch_move(source->fetch, &attempt));
    digest_add(source->stored, head, len);
    return rc;
}

static int
source_begin_plain(struct member_source *source)
{
    struct payload *payload = &source->payload;

    payload->size = payload->stream = source->ref.stored_size;
    payload->chunks = (payload->size + AGE_CHUNK_BYTES - 1) / AGE_CHUNK_BYTES;
    return source_table(source, fetch_attempt(source->fetch));
}

int
member_source_open(struct copies *copies, const struct member_ref *ref, const struct age_identities *identities,
                   bool whole, struct member_source **ret_source)
{
    CLEANUP(member_source_close) struct member_source *source = mem_zalloc(sizeof *source);
    int rc;

    source->ref = *ref;
    source->fetch = source->payload.fetch = fetch_new(copies, ref->key, ref->stored_size);
    source->stored = digest_new(digest_kind_of(ref->stored_digest));
    rc = ref->sealed ? source_begin_sealed(source, identities) : source_begin_plain(source);
    if (rc < 0)
        return rc;
    source->window = window_new(&source->payload, ref->sealed ? source->stored : NULL, whole);
    *ret_source = STEAL(source);
    return 0;
}

/* ---- frames ---- */

int
member_source_next(struct member_source *source, void *out, struct member_frame *ret_frame)
{
    const struct frame_entry *entry;
    struct member_frame frame = { 0 };
    int rc;

    if (source->next_frame == source->table.len)
        return 0;
    entry = &source->table.entries[source->next_frame];
    rc = window_pull(source->window, out, entry->stored);
    if (rc < 0)
        return rc;
    frame.len = entry->stored;
    frame.plain_len = entry->plain;
    frame.offset = source->offset;
    frame.mixed = !window_source(source->window, frame.len, &frame.attempt.at);
    source->next_frame++;
    source->offset += frame.len;
    *ret_frame = frame;
    return 1;
}

bool
member_source_again(struct member_source *source, struct member_frame *frame, void *data, int *code)
{
    const struct payload *payload = &source->payload;
    bool again = frame->mixed;

    if (*code >= 0)
        return false;
    *code = fetch_blame(source->fetch, &frame->attempt, *code);
    if (source->ref.sealed)
        return false; /* what was sealed is the same in all copies */
    frame->mixed = false; /* which of them was bad is not known: all of it from one, then */
    if (!again)
        again = fetch_again(source->fetch, &frame->attempt, code);
    while (again) {
        *code = fetch_get(source->fetch, &frame->attempt, payload->start + frame->offset, data, frame->len);
        if (*code == 0)
            return true;
        again = fetch_again(source->fetch, &frame->attempt, code);
    }
    return false;
}

/* Sealed chunks were counted as they opened. */
void
member_source_used(struct member_source *source, const void *data, size_t len)
{
    if (!source->ref.sealed)
        digest_add(source->stored, data, len);
}

int
member_source_end(struct member_source *source)
{
    CLEANUP_FREE char *digest = NULL;
    int rc = 0;

    if (source->ref.sealed)
        rc = window_drain(source->window);
    else
        digest_add(source->stored, source->table_data, source->table_len);
    if (rc < 0)
        return rc;
    digest = digest_end(source->stored);
    rc = digest_compare("the digest of the stored bytes", digest, source->ref.stored_digest);
    return rc < 0 ? member_source_blame(source, rc) : 0;
}

int
member_source_blame(const struct member_source *source, int code)
{
    struct attempt attempt = fetch_attempt(source->fetch);

    return fetch_blame(source->fetch, &attempt, code);
}

uint64_t
member_source_fetched(const struct member_source *source)
{
    return fetch_bytes(source->fetch);
}

void
member_source_close(struct member_source *source)
{
    if (source == NULL)
        return;
    window_free(source->window);
    fetch_free(source->fetch);
    age_opener_free(source->payload.opener);
    digest_free(source->stored);
    frame_table_free(&source->table);
    free(source->table_data);
    free(source);
}
