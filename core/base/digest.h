/* SPDX-License-Identifier: PostgreSQL
 *
 * Digests with the algorithm's name in front, as OCI writes them: "xxh3-128:…"
 * against rot, "sha256:…" where somebody may want to cheat.
 */
#ifndef PGCASK_BASE_DIGEST_H
#define PGCASK_BASE_DIGEST_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>

enum digest_kind { DIGEST_XXH3, DIGEST_SHA256 };

struct digest; /* opaque */

struct digest *digest_new(enum digest_kind kind);
void digest_add(struct digest *digest, const void *data, size_t len);
char *digest_end(struct digest *digest); /* "xxh3-128:<32 hex>" or "sha256:<64 hex>", owned by the caller; once only */
void digest_free(struct digest *digest);
CLEANUP_DEFINE(struct digest, digest_free)

/* ERROR_CORRUPT unless they are equal; `what`: "the digest of …". */
int digest_compare(const char *what, const char *seen, const char *wanted);

char *digest_of(enum digest_kind kind, const void *data, size_t len);
/* Known algorithm and the right number of hex digits; ERROR_CORRUPT otherwise. */
int digest_check_text(const char *text);
enum digest_kind digest_kind_of(const char *text); /* of a checked text */

#endif
