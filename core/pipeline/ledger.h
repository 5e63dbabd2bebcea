/* SPDX-License-Identifier: PostgreSQL
 *
 * The run ledger: one line of JSON for each begin and each end of a run, in
 * STATE_DIR/ledger.jsonl. A begin without an end is a run that died.
 */
#ifndef PGCASK_PIPELINE_LEDGER_H
#define PGCASK_PIPELINE_LEDGER_H

/* Call while holding the job's lock: warns of every run of this job that died, and closes its entry. */
int ledger_report_dead(const char *state_dir, const char *cluster, const char *job);
int ledger_begin(const char *state_dir, const char *cluster, const char *job, const char *id);
/* `outcome`: done, degraded or failed; `detail` may be NULL. Best effort: trouble is a warning. */
void ledger_end(const char *state_dir, const char *cluster, const char *job, const char *id, const char *outcome,
                const char *detail);

#endif
