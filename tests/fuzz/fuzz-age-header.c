/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as the head of an age file: its length is found, and it is unlocked
 * with an identity that the seeds in corpus/age-header are made for.
 */
#include "config.h"

#include "base/error.h"
#include "stage/age-file.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define IDENTITY "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static const struct age_identities *
fixed_identity(void)
{
    static struct age_identities *identities;

    if (identities == NULL) {
        identities = age_identities_new();
        must(age_identities_add(identities, IDENTITY) == 0);
    }
    return identities;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(age_opener_free) struct age_opener *opener = NULL;
    size_t len = 0;
    size_t again = 0;
    int rc = age_header_length(data, size, &len);

    must(rc == 0 || rc == PGCASK_RETRY || rc == ERROR_CORRUPT);
    must(rc == 0 || error_text()[0] != '\0');
    if (rc < 0) {
        must(age_opener_new(data, size, fixed_identity(), &opener) == ERROR_CORRUPT && opener == NULL);
        return 0;
    }
    must(len > 0 && len <= size && len <= AGE_HEADER_LIMIT_BYTES);
    must(age_header_length(data, len, &again) == 0 && again == len);          /* the rest does not matter */
    must(age_header_length(data, len - 1, &again) == PGCASK_RETRY);           /* no byte less is enough */
    if (size - len > AGE_NONCE_BYTES)
        size = len + AGE_NONCE_BYTES;
    rc = age_opener_new(data, size, fixed_identity(), &opener);
    must((rc == 0) == (opener != NULL));
    must(rc == 0 || rc == ERROR_USAGE || rc == ERROR_CORRUPT);
    return 0;
}
