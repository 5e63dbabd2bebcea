/* SPDX-License-Identifier: PostgreSQL
 *
 * What of a pg_dumpall --globals-only script is to be run on a server where some
 * roles and tablespaces exist already: those are left exactly as they are.
 */
#ifndef PGCASK_PG_GLOBALS_H
#define PGCASK_PG_GLOBALS_H

#include "base/buf.h"

/* `ret_run`: statements for what is missing, in the script's order, among them GRANTs of membership where either side
 * is new, and GRANTs on an existing tablespace or parameter to a new role. `ret_kept`: one line for each thing left
 * alone ("role 'app' exists, kept as it is"; "left out: '…'" for a statement that is about nothing new; never a
 * password). SET lines are run. Both are added to. ERROR_CORRUPT for a script that is cut within a quote. */
int globals_plan(const char *script, const struct strv *roles, const struct strv *tablespaces, struct strv *ret_run,
                 struct strv *ret_kept);

#endif
