/* SPDX-License-Identifier: PostgreSQL
 *
 * credential_process: keys from a program's standard output. No shell is involved; the program has a time limit, an
 * empty standard input and a process group of its own, which is killed with it.
 */
#ifndef PGCASK_COMMON_AWS_PROCESS_H
#define PGCASK_COMMON_AWS_PROCESS_H

#include "common/aws-source.h"

enum { AWS_PROCESS_TIMEOUT_MS = 60 * 1000, AWS_PROCESS_OUTPUT_BYTES = 64 * 1024 };

/* The words of a command: at blanks, but not at those within '…' or "…" or behind a backslash. NULL-terminated, to be
 * freed by aws_process_words_free; NULL with an error when a quote is not closed or there is no word. */
char **aws_process_words(const char *command);
void aws_process_words_free(char **words);

int aws_process_fetch(const char *command, int64_t timeout_ms, struct aws_grant *ret_grant);

#endif
