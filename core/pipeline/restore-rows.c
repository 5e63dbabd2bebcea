/* SPDX-License-Identifier: PostgreSQL
 *
 * pg_restore, fed: definitions from the table of contents alone, rows streamed
 * from the members. Declared in restore.h.
 */
#include "config.h"

#include "pipeline/restore.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "catalog/label.h"
#include "pipeline/progress.h"
#include "pipeline/verify.h"
#include "stage/member-reader.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Nothing is lost by it: a restore that dies with the server is begun anew. */
static const char session_options[] = "-c synchronous_commit=off";

int
restore_tools(const struct restore *restore, int server_version, struct pg_tools **ret_tools)
{
    const struct config_cluster *cluster = restore->cluster->cluster;
    int dumped = (int)strtol(restore->manifest->dump_version, NULL, 10) * 10000;
    struct pg_tools_spec spec = {
        .exec = cluster->exec,
        .bindir = cluster->bindir,
        .conninfo = cluster->exec_conninfo && restore->conninfo == cluster->conninfo ? cluster->exec_conninfo : restore->conninfo,
        .password = restore->password,
        .server_version = dumped > server_version ? dumped : server_version, /* must know the archive and the server */
    };

    return pg_tools_find(&spec, ret_tools);
}

/* A newer pg_restore sets a parameter that an older server does not know, and goes on. That error, and no other, is
 * none. `talk`: all it said. */
static bool
tool_talk_harmless(const char *talk)
{
    static const char harmless[] = "unrecognized configuration parameter \"transaction_timeout\"";

    for (const char *line = talk; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        size_t len;

        line += *line == '\n';
        len = strcspn(line, "\n");
        if (memmem(line, len, "error:", 6) != NULL && memmem(line, len, harmless, strlen(harmless)) == NULL)
            return false;
    }
    return strstr(talk, harmless) != NULL;
}

/* pg_restore is lenient unless told otherwise; it is told so, except where that would trip over the above. */
static bool
tool_is_newer(const struct pg_tools *tools, int server_version)
{
    return strtol(pg_tools_version(tools), NULL, 10) >= 17 && server_version < 170000;
}

static int
tool_argv(const struct pg_tools *tools, const char *section, const char *target, const struct strv *arguments, bool lenient,
          struct strv *argv)
{
    pg_tools_argv(tools, "pg_restore", argv);
    strv_addf(argv, "--section=%s", section);
    if (!lenient)
        strv_add(argv, "--exit-on-error");
    for (size_t i = 0; i < arguments->len; i++)
        strv_add(argv, arguments->items[i]);
    return pg_tools_dbname(tools, target, argv);
}

static int
tool_finish(struct process *process, bool lenient, const char *section)
{
    CLEANUP_FREE char *talk = NULL;
    int code = process_end(process, &talk);

    if (code == 0 || (lenient && code == 1 && tool_talk_harmless(talk)))
        return 0;
    return cancel_or(error_set(PGCASK_FAILED, "pg_restore failed in section %s (exit code %d): %s", section, code,
                               *talk ? talk : "it gave no reason"));
}

int
restore_section(struct restore *restore, const struct pg_tools *tools, const char *section, int toc_fd, const char *target,
                const struct strv *arguments, int server_version)
{
    CLEANUP_STRV struct strv argv = { 0 };
    struct process process = { 0 };
    bool elsewhere = pg_tools_prefixed(tools), lenient = tool_is_newer(tools, server_version);
    int rc = tool_argv(tools, section, target, arguments, lenient, &argv);

    if (rc < 0)
        return rc;
    if (!elsewhere) {
        strv_addf(&argv, "--jobs=%u", strcmp(section, "post-data") == 0 ? restore->streams : 1);
        strv_add(&argv, "/dev/fd/3");
    }
    if (lseek(toc_fd, 0, SEEK_SET) < 0)
        return error_errno(PGCASK_FAILED, "could not rewind the table of contents");
    rc = pg_tools_start(tools, &argv, session_options, elsewhere ? PROCESS_PIPE : PROCESS_NULL, PROCESS_NULL,
                        elsewhere ? -1 : toc_fd, &process);
    while (rc == 0 && elsewhere) {
        char piece[65536];
        ssize_t len = file_read_up_to(toc_fd, piece, sizeof piece, "table of contents");

        if (len <= 0 || file_write_all(process.in_fd, piece, (size_t)len, "pg_restore") < 0)
            break; /* pg_restore itself says what it misses */
    }
    return rc < 0 ? rc : tool_finish(&process, lenient, section);
}

static int
rows_take(void *ctx, const void *data, size_t len)
{
    struct process *process = ctx;
    const char *p = data;

    progress_add(NULL, len);
    while (len > 0) {
        ssize_t put = write(process->in_fd, p, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return error_errno(PGCASK_FAILED, "could not write to pg_restore");
        p += put;
        len -= (size_t)put;
    }
    return 0;
}

struct rows {
    struct restore *restore;
    const struct pg_tools *tools;
    const char *target;
    const struct strv *arguments;
    bool lenient;
    pthread_mutex_t lock;
    const struct manifest_member **members; /* largest first */
    size_t len, next;
    struct error error;
};

static int
rows_member(struct rows *rows, const struct manifest_member *member)
{
    struct restore *restore = rows->restore;
    CLEANUP_FREE char *key = label_object(restore->manifest->cluster, restore->manifest->id, member->object);
    struct member_ref ref = verify_ref(member, key);
    CLEANUP_STRV struct strv argv = { 0 };
    struct process process = { 0 };
    struct error read = { 0 };
    int rc = tool_argv(rows->tools, "data", rows->target, rows->arguments, rows->lenient, &argv);

    if (rc == 0)
        rc = pg_tools_start(rows->tools, &argv, session_options, PROCESS_PIPE, PROCESS_NULL, -1, &process);
    if (rc < 0)
        return rc;
    rc = member_read_all(restore->crew, restore->streams + 2, restore->storage, &ref, restore->identities, rows_take,
                         &process);
    if (rc < 0)
        error_take(rc, &read);
    if (rc == ERROR_CORRUPT)
        process_kill(&process); /* it must not take what it has for all */
    else
        rc = tool_finish(&process, rows->lenient, "data");
    if (rc == 0 || rc == ERROR_CORRUPT)
        rc = error_put(&read); /* else pg_restore knows better why it could not be written to */
    error_free(&read);
    return rc < 0 ? error_context(rc, "member '%s'", member->name) : 0;
}

static void *
rows_thread(void *arg)
{
    struct rows *rows = arg;

    (void)pthread_mutex_lock(&rows->lock);
    while (rows->error.code == 0 && rows->next < rows->len) {
        const struct manifest_member *member = rows->members[rows->next++];
        int rc;

        (void)pthread_mutex_unlock(&rows->lock);
        rc = rows_member(rows, member);
        (void)pthread_mutex_lock(&rows->lock);
        if (rc < 0 && rows->error.code == 0) {
            error_take(rc, &rows->error);
            process_kill_all();
        }
    }
    (void)pthread_mutex_unlock(&rows->lock);
    return NULL;
}

static int
rows_compare(const void *a, const void *b)
{
    uint64_t left = (*(const struct manifest_member *const *)a)->plain_size;
    uint64_t right = (*(const struct manifest_member *const *)b)->plain_size;

    return left < right ? 1 : left > right ? -1 : 0;
}

int
restore_rows(struct restore *restore, const struct pg_tools *tools, const char *database, const char *target,
             const struct strv *arguments, int server_version)
{
    struct rows rows = { .restore = restore, .tools = tools, .target = target, .arguments = arguments };
    const struct manifest *manifest = restore->manifest;
    pthread_t *threads = mem_realloc_array(NULL, restore->streams, sizeof *threads);
    unsigned started = 0;
    uint64_t total = 0;
    int rc;

    rows.lenient = tool_is_newer(tools, server_version);
    rows.members = mem_realloc_array(NULL, manifest->member_count + 1, sizeof *rows.members);
    for (size_t i = 0; i < manifest->member_count; i++) {
        const struct manifest_member *member = &manifest->members[i];

        if (member->database == NULL || strcmp(member->database, database) != 0 ||
            (strcmp(member->role, ROLE_MAIN) != 0 && strcmp(member->role, ROLE_TABLE) != 0))
            continue;
        rows.members[rows.len++] = member;
        total += member->plain_size;
    }
    qsort(rows.members, rows.len, sizeof *rows.members, rows_compare);
    (void)pthread_mutex_init(&rows.lock, NULL);
    progress_begin("restore", total);
    while (started + 1 < restore->streams && started + 1 < rows.len &&
           pthread_create(&threads[started], NULL, rows_thread, &rows) == 0)
        started++;
    (void)rows_thread(&rows); /* this thread is one of them */
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    progress_end();
    (void)pthread_mutex_destroy(&rows.lock);
    free(rows.members);
    free(threads);
    rc = error_put(&rows.error);
    return rc < 0 ? cancel_or(rc) : 0;
}
