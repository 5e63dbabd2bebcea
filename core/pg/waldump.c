/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/waldump.h"

#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "pg/tools.h"
#include "pg/wal-name.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 256 * 1024, VERSION_LIMIT_BYTES = 4096 };

static int
waldump_missing(int rc, int major)
{
    return error_hint(
        rc,
        "pg_waldump of PostgreSQL %d comes with its server's package (or postgresql%d-contrib): install that "
        "here, or name its directory with --bindir",
        major, major);
}

/* "pg_waldump (PostgreSQL) 15.20 (Debian …)" */
static int
waldump_check(const char *program, int major)
{
    const char *const argv[] = { program, "--version", NULL };
    struct process_spec spec = { .argv = argv, .in = PROCESS_NULL };
    CLEANUP_BUF struct buf out = BUF_INIT(VERSION_LIMIT_BYTES);
    const char *version;
    int rc = process_output(&spec, &out);

    if (rc < 0)
        return waldump_missing(error_context(ERROR_USAGE, "the WAL is of PostgreSQL %d", major), major);
    version = out.data != NULL ? strstr(out.data, ") ") : NULL;
    if (version != NULL && strtol(version + 2, NULL, 10) == major)
        return 0;
    (void)error_set(ERROR_USAGE, "the WAL is of PostgreSQL %d, and '%s' says '%.*s'", major, program,
                    (int)strcspn(out.data != NULL ? out.data : "", "\n"), out.data != NULL ? out.data : "");
    return waldump_missing(ERROR_USAGE, major);
}

int
waldump_find(const char *bindir, int major, char **ret_program)
{
    CLEANUP_FREE char *dir = bindir != NULL ? mem_printf("%s/", bindir) : pg_tools_dir("pg_waldump", major);
    CLEANUP_FREE char *program = mem_printf("%spg_waldump", dir != NULL ? dir : "");
    int rc = waldump_check(program, major);

    if (rc == 0)
        *ret_program = STEAL(program);
    return rc;
}

/* Whole lines out of `text`; what is left of the last one stays. */
static void
waldump_lines(const struct waldump_run *run, struct buf *text, bool *skipping)
{
    char *at = text->data, *end = text->data + text->len;

    for (;;) {
        char *newline = memchr(at, '\n', (size_t)(end - at));

        if (newline == NULL)
            break;
        *newline = '\0';
        if (!*skipping)
            run->line(run->ctx, at);
        *skipping = false;
        at = newline + 1;
    }
    memmove(text->data, at, (size_t)(end - at));
    text->len = (size_t)(end - at);
    if (text->len > WALDUMP_LINE_MAX_BYTES) {
        text->data[text->len] = '\0';
        if (!*skipping)
            run->line(run->ctx, text->data);
        *skipping = true;
        text->len = 0;
    }
}

static int
waldump_read(const struct waldump_run *run, int fd)
{
    CLEANUP_BUF struct buf text = BUF_INIT(WALDUMP_LINE_MAX_BYTES + 2 * PIECE_BYTES);
    bool skipping = false;

    for (;;) {
        ssize_t len;
        int rc = cancel_check();

        if (rc == 0)
            rc = buf_reserve(&text, PIECE_BYTES);
        if (rc < 0)
            return rc;
        len = file_read_up_to(fd, text.data + text.len, PIECE_BYTES, "pg_waldump");
        if (len <= 0)
            return (int)len;
        text.len += (size_t)len;
        waldump_lines(run, &text, &skipping);
    }
}

/* Its last words: "pg_waldump: error: error in WAL record at 0/3000148: invalid record length at 0/3000180: …" */
static char *
waldump_words(const char *talk)
{
    const char *error = strstr(talk, "error: ");
    const char *words = error != NULL ? error + strlen("error: ") : talk;

    return mem_strndup(words, strcspn(words, "\n"));
}

static int
waldump_start(const struct waldump_run *run, struct process *ret_process)
{
    static const char *const env[] = { "TZ=UTC", "LC_ALL=C", "LANGUAGE=C", NULL };
    CLEANUP_STRV struct strv argv = { 0 };
    CLEANUP_FREE char *from = wal_lsn_text(run->from_lsn), *to = wal_lsn_text(run->to_lsn);
    struct process_spec spec = { .env = env, .in = PROCESS_NULL, .out = PROCESS_PIPE };

    strv_add(&argv, run->program);
    strv_addf(&argv, "--path=%s", run->dir);
    strv_addf(&argv, "--timeline=%" PRIu32, run->timeline);
    strv_addf(&argv, "--start=%s", from);
    strv_addf(&argv, "--end=%s", to);
    spec.argv = (const char *const *)argv.items;
    return process_start(&spec, ret_process);
}

int
waldump_run(const struct waldump_run *run, char **ret_stop)
{
    CLEANUP_FREE char *talk = NULL;
    struct process process = { 0 };
    int rc = waldump_start(run, &process), code;

    if (rc < 0)
        return rc;
    rc = waldump_read(run, process.out_fd);
    if (rc < 0) {
        process_kill(&process);
        return rc;
    }
    code = process_end(&process, &talk);
    if (code < 0)
        return cancel_or(code);
    log_debug("pg_waldump ended with %d: %s", code, talk);
    if (code > 1)
        return cancel_or(error_set(PGCASK_FAILED, "pg_waldump ended with exit code %d: %s", code, talk));
    *ret_stop = code == 1 ? waldump_words(talk) : NULL;
    return 0;
}
