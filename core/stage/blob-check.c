/* SPDX-License-Identifier: PostgreSQL
 *
 * Looking at a blob while somebody else passes its stored bytes on: opened, expanded
 * and digested as they go by, and then thrown away.
 *
 *   stored bytes ─► age header and nonce ─► chunks, opened ─► zstd ─► digest
 */
#include "config.h"

#include "stage/blob-check.h"

#include "base/digest.h"
#include "base/error.h"
#include "stage/age-file.h"
#include "stage/blob-tools.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAD_LIMIT_BYTES = AGE_HEADER_LIMIT_BYTES + AGE_NONCE_BYTES,
    SEALED_BYTES = AGE_CHUNK_BYTES + AGE_TAG_BYTES,
    WINDOW_LOG_MAX = 22, /* a frame has at most 4 MiB */
};

struct blob_check {
    const struct blob_ref *ref;
    const struct age_identities *identities;
    struct blob_tools *tools;
    bool blind;                /* no identity fits: nothing can be said */
    struct age_opener *opener; /* NULL: not sealed, or still in the header */
    unsigned char *held;       /* HEAD_LIMIT_BYTES or, behind the header, SEALED_BYTES: what is not whole yet */
    size_t len, header;        /* of held; of header and nonce, 0: not known yet */
    uint64_t index, chunks;
    struct digest *digest;
    uint64_t size;             /* plain bytes up to now */
    size_t hint;               /* what zstd wants next; 0: at the end of a frame */
};

struct blob_check *
blob_check_new(struct blob_tools *tools, const struct blob_ref *ref, const struct age_identities *identities)
{
    struct blob_check *check = mem_zalloc(sizeof *check);

    check->ref = ref;
    check->identities = identities;
    check->blind = ref->sealed && identities == NULL;
    check->digest = digest_new(DIGEST_XXH3);
    check->tools = tools;
    if (check->blind)
        return check;
    blob_tools_ready(tools);
    if (ref->sealed)
        check->held = mem_alloc(HEAD_LIMIT_BYTES > SEALED_BYTES ? HEAD_LIMIT_BYTES : SEALED_BYTES);
    if (tools->expander == NULL)
        tools->expander = ZSTD_createDCtx();
    if (tools->expander == NULL)
        abort(); /* out of memory */
    (void)ZSTD_DCtx_reset(tools->expander, ZSTD_reset_session_only); /* always possible */
    (void)ZSTD_DCtx_setParameter(tools->expander, ZSTD_d_windowLogMax, WINDOW_LOG_MAX); /* a constant that it takes */
    return check;
}

void
blob_check_free(struct blob_check *check)
{
    if (check == NULL)
        return;
    age_opener_free(check->opener);
    digest_free(check->digest);
    free(check->held);
    free(check);
}

/* ---- the stream ---- */

static int
check_expand(struct blob_check *check, const void *data, size_t len)
{
    struct blob_tools *tools = check->tools;
    ZSTD_inBuffer in = { data, len, 0 };

    for (bool more = len > 0; more;) {
        ZSTD_outBuffer out = { tools->plain, FRAME_PLAIN_BYTES, 0 };

        check->hint = ZSTD_decompressStream(tools->expander, &out, &in);
        if (ZSTD_isError(check->hint))
            return error_set(ERROR_CORRUPT, "it cannot be read: %s", ZSTD_getErrorName(check->hint));
        if (out.pos > check->ref->limit - check->size)
            return error_set(ERROR_CORRUPT, "it holds more than %" PRIu64 " bytes", check->ref->limit);
        check->size += out.pos;
        digest_add(check->digest, tools->plain, out.pos);
        more = in.pos < in.size || out.pos == out.size;
    }
    return 0;
}

/* ---- what it is sealed in ---- */

/* As much as is wanted into check->held; what is left of the data. */
static size_t
check_hold(struct blob_check *check, size_t wanted, const unsigned char **data, size_t len)
{
    size_t take = wanted - check->len < len ? wanted - check->len : len;

    memcpy(check->held + check->len, *data, take);
    check->len += take;
    *data += take;
    return len - take;
}

/* The header is whole once its length is known and all of it, with the nonce, is there. */
static int
check_open(struct blob_check *check)
{
    uint64_t unused;
    int rc = 0;

    if (check->header == 0) {
        size_t header;

        rc = age_header_length(check->held, check->len, &header);
        if (rc == PGCASK_RETRY && check->len < HEAD_LIMIT_BYTES) {
            error_clear();
            return 0;
        }
        if (rc == PGCASK_RETRY)
            rc = error_set(ERROR_CORRUPT, "its age header has no end");
        if (rc == 0)
            check->header = header + AGE_NONCE_BYTES;
    }
    if (rc < 0 || check->len < check->header)
        return rc;
    if (check->ref->stored_size < check->header)
        return error_set(ERROR_CORRUPT, "it ends in its age header");
    rc = age_opener_new(check->held, check->header, check->identities, &check->opener);
    if (rc == ERROR_USAGE) { /* it was written for somebody else */
        error_clear();
        check->blind = true;
        return 0;
    }
    return rc < 0 ? rc : age_payload_layout(check->ref->stored_size - check->header, &unused, &check->chunks);
}

/* check->held is a whole chunk. */
static int
check_chunk(struct blob_check *check)
{
    int rc = age_open_chunk(check->opener, check->index, check->index + 1 == check->chunks, check->held, check->len,
                            check->tools->packed);

    if (rc == 0)
        rc = check_expand(check, check->tools->packed, check->len - AGE_TAG_BYTES);
    check->index++;
    check->len = 0;
    return rc;
}

static size_t
check_chunk_len(const struct blob_check *check)
{
    uint64_t left = check->ref->stored_size - check->header - check->index * SEALED_BYTES;

    return left < SEALED_BYTES ? (size_t)left : SEALED_BYTES;
}

/* Its end is only known when it is there: what was taken of the chunks behind it is given back. */
static int
check_header(struct blob_check *check, const unsigned char **data, size_t *len)
{
    size_t had = check->len, wanted = check->header > 0 ? check->header : HEAD_LIMIT_BYTES;
    const unsigned char *begin = *data;
    int rc;

    *len = check_hold(check, wanted, data, *len);
    rc = check_open(check);
    if (rc == 0 && check->opener != NULL) {
        *len += (size_t)(*data - begin) - (check->header - had);
        *data = begin + (check->header - had);
        check->len = 0;
    }
    return rc;
}

int
blob_check_add(struct blob_check *check, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    int rc = 0;

    if (!check->blind && !check->ref->sealed)
        return check_expand(check, data, len);
    while (rc == 0 && !check->blind && len > 0) {
        if (check->opener == NULL) {
            rc = check_header(check, &bytes, &len);
            continue;
        }
        if (check->index >= check->chunks)
            return error_set(ERROR_CORRUPT, "it goes on behind its last chunk");
        len = check_hold(check, check_chunk_len(check), &bytes, len);
        if (check->len == check_chunk_len(check))
            rc = check_chunk(check);
    }
    return rc;
}

int
blob_check_end(struct blob_check *check, bool *ret_seen)
{
    CLEANUP_FREE char *seen = NULL;

    *ret_seen = !check->blind;
    if (check->blind)
        return 0;
    if (check->hint != 0 || (check->ref->sealed && (check->opener == NULL || check->index != check->chunks)))
        return error_set(ERROR_CORRUPT, "it has no end");
    seen = digest_end(check->digest);
    if (strcmp(strchr(seen, ':') + 1, check->ref->digest) == 0)
        return 0;
    return error_set(ERROR_CORRUPT, "the digest of its plain bytes is %s, its name says %s", strchr(seen, ':') + 1,
                     check->ref->digest);
}
