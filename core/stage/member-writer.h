/* SPDX-License-Identifier: PostgreSQL
 *
 * The writing chain of one member: split, compress, seal, digest, parts. Its
 * source is anything that can be read in pieces.
 */
#ifndef PGCASK_STAGE_MEMBER_WRITER_H
#define PGCASK_STAGE_MEMBER_WRITER_H

#include "stage/age-key.h"
#include "stage/conveyor.h"
#include "stage/outlet.h"

#include <stdbool.h>
#include <stdint.h>

/* Up to `size` bytes into `data`; less (also 0) only at the end, which must then be a good one: a source that failed
 * returns its error instead. */
typedef int member_read(void *ctx, void *data, size_t size, size_t *ret_len);

struct member_writer_spec {
    struct crew *crew;
    struct outlet *outlet;
    const struct age_recipients *recipients; /* NULL: not encrypted */
    unsigned pieces;                          /* length of the conveyor's ring */
    const char *key;
    uint64_t size_hint;                       /* plain bytes expected, 0: not known */
};

/* What became of it. Texts are owned by the caller: member_facts_free. */
struct member_facts {
    uint64_t plain_size, stored_size, header_size;
    char *plain_digest, *stored_digest;
    char *header_digest; /* NULL when not encrypted */
};
void member_facts_free(struct member_facts *facts);

/* 0: at least one store has it whole. On an error nothing of it is left. */
int member_write(const struct member_writer_spec *spec, member_read *read, void *ctx, struct member_facts *ret_facts);

#endif
