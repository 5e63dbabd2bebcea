/* SPDX-License-Identifier: PostgreSQL
 *
 * Bytes that must not get out: kept in pages of their own that are locked in
 * memory where the limits allow, left out of core dumps, and wiped before they
 * are given back.
 */
#ifndef PGCASK_BASE_SECRET_H
#define PGCASK_BASE_SECRET_H

#include "base/mem.h"

#include <stddef.h>

struct secret; /* opaque */

struct secret *secret_new(const void *data, size_t len); /* copies; the caller wipes its own */
const char *secret_text(const struct secret *secret);    /* NUL-terminated, borrowed; "" for NULL */
size_t secret_len(const struct secret *secret);
void secret_free(struct secret *secret);
CLEANUP_DEFINE(struct secret, secret_free)

/* Where a secret may come from: exactly one of them is set. */
struct secret_source {
    const char *value;   /* as written */
    const char *file;    /* first line; must be private to its owner */
    const char *env;     /* name of an environment variable */
    const char *command; /* program and arguments, split at blanks; first line of its output. No shell. */
};
/* One line, without its newline. ERROR_USAGE when it is empty, missing, unreadable or too open. */
int secret_load(const struct secret_source *source, const char *what, struct secret **ret_secret);

/* No core dumps of this process, no tracing by other processes of the same user. */
void secret_harden_process(void);

#endif
