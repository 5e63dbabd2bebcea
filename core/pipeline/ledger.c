/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/ledger.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LEDGER_LIMIT_BYTES = 16 * 1024 * 1024, /* read at most */
    LEDGER_TURN_BYTES = 4 * 1024 * 1024,   /* then it becomes ledger.jsonl.1 */
};

static char *
ledger_path(const char *state_dir)
{
    return mem_printf("%s/ledger.jsonl", state_dir);
}

/* Was the last line cut short, by a full disk or a crash? */
static bool
ledger_is_cut(const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t len = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    char last;

    return len > 0 && pread(fd, &last, 1, len - 1) == 1 && last != '\n';
}

static int
ledger_append(const char *state_dir, const json_t *row)
{
    CLEANUP_FREE char *path = ledger_path(state_dir);
    CLEANUP_FREE char *text = json_canonical(row);
    CLEANUP_FREE char *line = mem_printf("%s%s\n", ledger_is_cut(path) ? "\n" : "", text);

    return file_append(path, line, strlen(line));
}

static json_t *
ledger_row(const char *event, const char *cluster, const char *job, const char *id)
{
    CLEANUP_FREE char *time = clock_iso(clock_now_s());
    json_t *row = json_object();

    (void)json_object_set_new(row, "event", json_text(event));
    (void)json_object_set_new(row, "time", json_text(time));
    (void)json_object_set_new(row, "cluster", json_text(cluster));
    (void)json_object_set_new(row, "job", json_text(job));
    (void)json_object_set_new(row, "run", json_text(id));
    (void)json_object_set_new(row, "pid", json_integer(getpid()));
    return row;
}

int
ledger_begin(const char *state_dir, const char *cluster, const char *job, const char *id)
{
    CLEANUP_JSON json_t *row = ledger_row("begin", cluster, job, id);

    return ledger_append(state_dir, row);
}

void
ledger_end(const char *state_dir, const char *cluster, const char *job, const char *id, const char *outcome,
           const char *detail)
{
    CLEANUP_JSON json_t *row = ledger_row("end", cluster, job, id);

    (void)json_object_set_new(row, "outcome", json_text(outcome));
    if (detail != NULL)
        (void)json_object_set_new(row, "detail", json_text(detail));
    if (ledger_append(state_dir, row) < 0)
        log_slot_warn("the end of this run is not recorded");
}

/* Remember a begin, forget it when its end comes. */
static void
ledger_follow(json_t *open, const char *line, size_t len)
{
    json_t *row = json_loadb(line, len, 0, NULL);
    const char *event = json_string_value(json_object_get(row, "event"));
    const char *run = json_string_value(json_object_get(row, "run"));
    const char *cluster = json_string_value(json_object_get(row, "cluster"));
    const char *job = json_string_value(json_object_get(row, "job"));

    if (event != NULL && run != NULL && cluster != NULL && job != NULL) {
        CLEANUP_FREE char *key = mem_printf("%s/%s/%s", cluster, job, run);

        if (strcmp(event, "begin") == 0)
            (void)json_object_set(open, key, row);
        else
            (void)json_object_del(open, key);
    }
    json_decref(row); /* a line that is no JSON is half a line of a full disk: passed over */
}

/* All runs that began and did not end, of whatever job. */
static int
ledger_load(const char *path, json_t *open, size_t *ret_len)
{
    CLEANUP_BUF struct buf text = BUF_INIT(LEDGER_LIMIT_BYTES);
    int rc = file_read(path, &text);

    if (rc < 0)
        return rc;
    for (const char *p = text.data, *end; p < text.data + text.len; p = end + 1) {
        end = memchr(p, '\n', (size_t)(text.data + text.len - p));
        if (end == NULL)
            break;
        ledger_follow(open, p, (size_t)(end - p));
    }
    *ret_len = text.len;
    return 0;
}

/* Keep the ledger from growing for ever. What is open is taken along, read from where nobody appends any more: another
 * run may have ended in this moment. */
static void
ledger_turn(const char *state_dir, const char *path)
{
    CLEANUP_FREE char *old = mem_printf("%s.1", path);
    CLEANUP_JSON json_t *open = json_object();
    const char *key;
    json_t *row;
    size_t len;

    if (rename(path, old) < 0) /* another run was faster */
        return;
    if (ledger_load(old, open, &len) < 0)
        log_slot_warn("runs of other jobs that died will not be told of");
    json_object_foreach (open, key, row)
        if (ledger_append(state_dir, row) < 0)
            log_slot_warn("if that run died, it will not be told of");
}

int
ledger_report_dead(const char *state_dir, const char *cluster, const char *job)
{
    CLEANUP_FREE char *path = ledger_path(state_dir);
    CLEANUP_FREE char *prefix = mem_printf("%s/%s/", cluster, job);
    CLEANUP_JSON json_t *open = json_object();
    const char *key;
    json_t *row;
    size_t len = 0;
    int rc = ledger_load(path, open, &len);

    if (rc == PGCASK_NOT_FOUND)
        return 0;
    if (rc < 0) { /* a journal is no reason to go without a backup */
        CLEANUP_FREE char *aside = mem_printf("%s.unreadable", path);

        log_slot_warn("it is put aside: whether a run died is not known");
        return rename(path, aside) == 0 ? 0 : error_errno(PGCASK_FAILED, "could not rename '%s' to '%s'", path, aside);
    }
    json_object_foreach (open, key, row) {
        const char *run = json_string_value(json_object_get(row, "run"));
        const char *time = json_string_value(json_object_get(row, "time"));

        if (strncmp(key, prefix, strlen(prefix)) != 0)
            continue;
        log_warn("run '%s' of job '%s', begun %s (pid %lld), died: it never recorded its end", run, job, time ? time : "?",
                 (long long)json_integer_value(json_object_get(row, "pid")));
        ledger_end(state_dir, cluster, job, run, "died", "found by the next run");
    }
    if (len > LEDGER_TURN_BYTES)
        ledger_turn(state_dir, path);
    return 0;
}
