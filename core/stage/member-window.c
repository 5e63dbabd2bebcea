/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/member-window.h"

#include "base/error.h"
#include "stage/read-ahead.h"

#include <stdlib.h>
#include <string.h>

enum {
    NEAR_CHUNKS = 32, /* 2 MiB */
    FAR_CHUNKS = 64,  /* 4 MiB: a round trip of 20 ms costs less than the bytes, and three of them are little memory */
};

/* Chunks [first, end) as they are stored. */
struct raw {
    unsigned char *data;
    uint64_t first, end; /* equal: none */
    size_t at;           /* the copy they are of */
};

struct window {
    const struct payload *payload;
    struct digest *stored;
    bool whole;
    unsigned chunks;           /* fetched at once; doubles as the reading goes on */
    uint64_t next;             /* chunk: those before are good, and in `plain` or handed out */
    struct raw now, ahead;     /* ahead: under way */
    struct read_ahead *reader; /* NULL: none needed yet */
    unsigned char *plain;
    uint64_t plain_at; /* where `plain` begins in the stream */
    size_t pos, len;   /* in it */
    size_t from;       /* the copy that gave the bytes of the stream since `since` */
    uint64_t since;
};

bool
window_reads_ahead(const struct storage *storage)
{
    return storage_counts(storage).reads > 0;
}

struct window *
window_new(const struct payload *payload, struct digest *stored, bool whole)
{
    struct window *window = mem_zalloc(sizeof *window);

    window->payload = payload;
    window->stored = stored;
    window->whole = whole;
    window->chunks = whole ? FAR_CHUNKS : 1;
    /* only pages that are used take memory */
    window->now.data = mem_pages_alloc((size_t)FAR_CHUNKS * SEALED_CHUNK_BYTES);
    window->ahead.data = mem_pages_alloc((size_t)FAR_CHUNKS * SEALED_CHUNK_BYTES);
    window->plain = mem_pages_alloc((size_t)FAR_CHUNKS * AGE_CHUNK_BYTES);
    return window;
}

void
window_free(struct window *window)
{
    if (window == NULL)
        return;
    read_ahead_free(window->reader);
    mem_pages_free(window->now.data, (size_t)FAR_CHUNKS * SEALED_CHUNK_BYTES);
    mem_pages_free(window->ahead.data, (size_t)FAR_CHUNKS * SEALED_CHUNK_BYTES);
    mem_pages_free(window->plain, (size_t)FAR_CHUNKS * AGE_CHUNK_BYTES);
    free(window);
}

/* ---- fetching ---- */

/* Where a window ends that begins with chunk `first` and comes from there. */
static uint64_t
window_end(const struct window *window, const struct attempt *attempt, uint64_t first)
{
    bool far = window->whole && window_reads_ahead(fetch_store(window->payload->fetch, attempt));
    uint64_t most = far ? FAR_CHUNKS : NEAR_CHUNKS, left = window->payload->chunks - first;

    if (window->chunks < most)
        most = window->chunks;
    return first + (left < most ? left : most);
}

static size_t
window_raw_len(const struct window *window, const struct raw *raw)
{
    return payload_chunks_len(window->payload, raw->first, (size_t)(raw->end - raw->first));
}

/* Have the chunks behind `now` fetched, if that is worth it. */
static void
window_look_ahead(struct window *window, const struct attempt *attempt)
{
    const struct payload *payload = window->payload;
    struct storage *storage = fetch_store(payload->fetch, attempt);
    struct raw *ahead = &window->ahead;

    if (!window->whole || ahead->end > ahead->first || window->now.end == payload->chunks || !window_reads_ahead(storage))
        return;
    if (window->reader == NULL)
        window->reader = read_ahead_new();
    if (window->reader == NULL)
        return;
    ahead->at = attempt->at;
    ahead->first = window->now.end;
    ahead->end = window_end(window, attempt, ahead->first);
    read_ahead_begin(window->reader, storage, fetch_key(payload->fetch), payload_chunk_offset(payload, ahead->first),
                     ahead->data, window_raw_len(window, ahead));
}

/* Those that were under way become `now`. */
static int
window_take_ahead(struct window *window, struct attempt *attempt)
{
    struct raw taken = window->ahead;
    int rc = read_ahead_end(window->reader);

    window->ahead = (struct raw){ .data = window->now.data };
    window->now = taken;
    attempt->at = taken.at;
    if (rc == 0)
        fetch_count(window->payload->fetch, attempt, window_raw_len(window, &window->now));
    return rc;
}

/* The stored bytes of what is not good yet of the window that ends at now.end, or of a new one. */
static int
window_fetch(struct window *window, struct attempt *attempt)
{
    const struct payload *payload = window->payload;
    struct raw *now = &window->now;
    int rc;

    if (window->next == now->end && window->ahead.end > window->ahead.first)
        rc = window_take_ahead(window, attempt);
    else {
        if (window->next == now->end)
            now->end = window_end(window, attempt, window->next);
        now->first = window->next;
        now->at = attempt->at;
        rc = fetch_get(payload->fetch, attempt, payload_chunk_offset(payload, now->first), now->data,
                       window_raw_len(window, now));
    }
    if (rc == 0)
        window_look_ahead(window, attempt);
    return rc;
}

/* ---- unsealing ---- */

/* Append the chunks of `now` to `plain` as far as they are good. */
static int
window_unseal(struct window *window, const struct attempt *attempt)
{
    const struct payload *payload = window->payload;
    const unsigned char *raw = window->now.data;

    while (window->next < window->now.end) {
        size_t stored = payload_chunks_len(payload, window->next, 1), len;
        int rc = payload_unseal(payload, attempt, window->next, raw, window->plain + window->len, &len);

        if (rc < 0)
            return rc;
        if (window->stored != NULL)
            digest_add(window->stored, raw, stored);
        if (window->from != attempt->at) {
            window->from = attempt->at;
            window->since = window->next * AGE_CHUNK_BYTES;
        }
        raw += stored;
        window->len += len;
        window->next++;
    }
    return 0;
}

/* A chunk that is bad in one copy may be good in another, and the next one the other way round. */
static int
window_fill(struct window *window)
{
    struct fetch *fetch = window->payload->fetch;
    struct attempt attempt = fetch_attempt(fetch);
    int rc;

    if (window->next == window->payload->chunks)
        return fetch_blame(fetch, &attempt, error_set(ERROR_CORRUPT, "the stream ends too early"));
    window->plain_at = window->next * AGE_CHUNK_BYTES;
    window->pos = window->len = 0;
    do {
        uint64_t before = window->next;

        rc = window_fetch(window, &attempt);
        if (rc == 0)
            rc = window_unseal(window, &attempt);
        if (window->next > before)
            attempt.tried = 0;
    } while (fetch_again(fetch, &attempt, &rc));
    if (window->chunks < NEAR_CHUNKS)
        window->chunks *= 2;
    return rc;
}

/* ---- handing out ---- */

int
window_pull(struct window *window, void *data, size_t len)
{
    unsigned char *out = data;

    while (len > 0) {
        size_t take = window->len - window->pos;

        if (take == 0) {
            int rc = window_fill(window);

            if (rc < 0)
                return rc;
            continue;
        }
        if (take > len)
            take = len;
        memcpy(out, window->plain + window->pos, take);
        window->pos += take;
        out += take;
        len -= take;
    }
    return 0;
}

int
window_drain(struct window *window)
{
    int rc = 0;

    while (rc == 0 && window->next < window->payload->chunks)
        rc = window_fill(window);
    return rc;
}

bool
window_source(const struct window *window, size_t len, size_t *ret_at)
{
    *ret_at = window->from;
    return window->plain_at + window->pos >= window->since + len;
}
