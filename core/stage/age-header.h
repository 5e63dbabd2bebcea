/* SPDX-License-Identifier: PostgreSQL
 *
 * The text header of an age file, from its version line to the newline behind
 * its MAC: made for some recipients, parsed from foreign bytes, unlocked.
 */
#ifndef PGCASK_STAGE_AGE_HEADER_H
#define PGCASK_STAGE_AGE_HEADER_H

#include "base/buf.h"
#include "stage/age-crypto.h"

#include <stddef.h>

/* A view of well-formed bytes that somebody else owns. */
struct age_header {
    const char *text;
    size_t len;
    size_t mac_at; /* the MAC covers the bytes before this */
    unsigned char mac[AGE_MAC_BYTES];
};

/* ERROR_USAGE when there are no recipients. */
int age_header_build(const struct age_recipients *recipients, const struct age_file_key *file_key, struct buf *header);
/* `data` may go on behind the header. ERROR_CORRUPT, or PGCASK_RETRY when `len` bytes are not enough to tell. */
int age_header_parse(const void *data, size_t len, struct age_header *ret_header);
/* ERROR_USAGE when no identity fits, ERROR_CORRUPT when the MAC is wrong. */
int age_header_unlock(const struct age_header *header, const struct age_identities *identities,
                      struct age_file_key *ret_file_key);

/* The MAC of the first `len` bytes of a header: up to and with the "---". */
int age_header_mac(const void *header, size_t len, const struct age_file_key *file_key,
                   unsigned char ret_mac[AGE_MAC_BYTES]);

#endif
