/* SPDX-License-Identifier: PostgreSQL
 *
 * The age v1 file: a text header that wraps a file key for each recipient, then
 * a payload of 64 KiB chunks, each sealed with ChaCha20-Poly1305.
 *
 *   header | 16-byte nonce | chunk 0 (65536 + 16) | chunk 1 | … | last chunk (1..65536 + 16, or 16 if all is empty)
 *
 * Chunks stand alone, so any range can be read: see age_open_chunk.
 */
#ifndef PGCASK_STAGE_AGE_FILE_H
#define PGCASK_STAGE_AGE_FILE_H

#include "stage/age-key.h"

#include <stddef.h>

enum {
    AGE_CHUNK_BYTES = 65536,
    AGE_TAG_BYTES = 16,
    AGE_NONCE_BYTES = 16,
    AGE_HEADER_LIMIT_BYTES = 64 * 1024, /* longer headers are refused: ours are a few hundred bytes */
};

/* ---- writing ---- */
struct age_sealer;
/* Takes each piece of the file in order; not 0 ends the sealing with that code. */
typedef int age_emit(void *ctx, const void *data, size_t len);

/* Make the header (owned by the sealer: age_sealer_header) for these recipients; nothing is emitted yet. */
int age_sealer_new(const struct age_recipients *recipients, struct age_sealer **ret_sealer);
/* The header with the payload nonce behind it is NOT included here: these are the bytes up to and with the newline
 * behind the MAC. SHA-256 of them is the manifest's header digest. */
const void *age_sealer_header(const struct age_sealer *sealer, size_t *ret_len);
/* The first call emits header and nonce. */
int age_seal(struct age_sealer *sealer, const void *data, size_t len, age_emit *emit, void *ctx);
/* Seal what is left as the last chunk. */
int age_seal_end(struct age_sealer *sealer, age_emit *emit, void *ctx);
void age_sealer_free(struct age_sealer *sealer);
CLEANUP_DEFINE(struct age_sealer, age_sealer_free)

/* ---- reading ---- */
/* Length in bytes of the header that `data` begins with (without the nonce), checked for form only. ERROR_CORRUPT when
 * it is none; PGCASK_RETRY when `len` bytes are not enough to tell. Foreign bytes: fuzzed. */
int age_header_length(const void *data, size_t len, size_t *ret_len);

struct age_opener;
/* `head`: the header and the 16 nonce bytes behind it. ERROR_USAGE when none of the identities fits (says for whom the
 * file is not: the public texts we tried); ERROR_CORRUPT when the header's MAC is wrong. */
int age_opener_new(const void *head, size_t len, const struct age_identities *identities, struct age_opener **ret_opener);
/* Open chunk `index`; `last` says whether it is the file's last (the file's length tells). `len` counts the tag; `out`
 * takes len - AGE_TAG_BYTES bytes. ERROR_CORRUPT when it does not authenticate. Safe from several threads at once. */
int age_open_chunk(const struct age_opener *opener, uint64_t index, bool last, const void *data, size_t len, void *out);
void age_opener_free(struct age_opener *opener);
CLEANUP_DEFINE(struct age_opener, age_opener_free)

/* Plain bytes in a payload of `payload` bytes (behind header and nonce), and the number of its chunks. ERROR_CORRUPT
 * when no payload has that size. Pure. */
int age_payload_layout(uint64_t payload, uint64_t *ret_plain, uint64_t *ret_chunks);

#endif
