/* SPDX-License-Identifier: PostgreSQL
 *
 * One database, one snapshot, several streams:
 *
 *   holder connection: REPEATABLE READ, pg_export_snapshot(), check queries, ACCESS SHARE on the large tables
 *     ├─ pg_dump --snapshot=S, all but the rows of the large tables       ─► main member
 *     ├─ pg_dump --snapshot=S --section=data -t TABLE                     ─► a member for each large table
 *     └─ …  `streams` of them at a time, largest first
 */
#include "config.h"

#include "pipeline/dump.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "catalog/label.h"
#include "pipeline/check-query.h"
#include "pipeline/progress.h"
#include "pipeline/properties.h"
#include "stage/source-process.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One pg_dump to be run: the whole database but the large tables (table NULL), or one of those. */
struct task {
    const struct dump_table *table;
    uint64_t size;
};

struct streams {
    struct dump_run *run;
    const char *database, *snapshot;
    const struct dump_plan *plan;
    pthread_mutex_t lock; /* guards what follows and the manifest */
    pthread_cond_t ended; /* a pg_dump has ended */
    struct task *tasks;   /* largest first */
    size_t len, next;
    unsigned dumping;     /* pg_dumps that run: `streams` of the run at most */
    struct error error;   /* the first one */
};

/* A thread's leave to run a pg_dump. It is given back when that ends, so that the next one runs while this one's member
 * is still being compressed, stored and synced. */
struct leave {
    struct streams *streams;
    bool held;
};

static void
leave_give_back(void *ctx)
{
    struct leave *leave = ctx;

    (void)pthread_mutex_lock(&leave->streams->lock);
    leave->streams->dumping -= leave->held;
    leave->held = false;
    (void)pthread_cond_broadcast(&leave->streams->ended);
    (void)pthread_mutex_unlock(&leave->streams->lock);
}

static int
task_argv(const struct streams *streams, const struct task *task, struct strv *argv)
{
    const struct dump_run *run = streams->run;

    pg_tools_argv(run->tools, "pg_dump", argv);
    strv_add(argv, "--format=custom");
    strv_add(argv, "--compress=0");
    strv_addf(argv, "--encoding=%s", streams->plan->encoding);
    strv_addf(argv, "--snapshot=%s", streams->snapshot);
    strv_addf(argv, "--lock-wait-timeout=%" PRId64, run->lock_timeout_ms);
    if (task->table != NULL) {
        strv_add(argv, "--section=data");
        strv_addf(argv, "--table=%s", task->table->pattern);
    } else {
        if (strcmp(run->selection.content, "all") != 0)
            strv_addf(argv, "--%s-only", run->selection.content);
        for (size_t i = 0; i < streams->plan->arguments.len; i++)
            strv_add(argv, streams->plan->arguments.items[i]);
    }
    return pg_tools_dbname(run->tools, streams->database, argv);
}

static int
task_run(struct leave *leave, const struct task *task)
{
    struct streams *streams = leave->streams;
    struct dump_run *run = streams->run;
    const struct dump_table *table = task->table;
    const char *const parts[] = { streams->database, table ? table->schema : NULL, table ? table->name : NULL, NULL };
    struct manifest_member member = { 0 };
    struct source_process source = { .progress = progress_add, .ended = leave_give_back, .ended_ctx = leave };
    CLEANUP_STRV struct strv argv = { 0 };
    int rc = task_argv(streams, task, &argv);

    if (rc == 0)
        rc = pg_tools_start(run->tools, &argv, NULL, PROCESS_NULL, PROCESS_PIPE, -1, &source.process);
    if (rc < 0)
        return rc;
    (void)pthread_mutex_lock(&streams->lock);
    member.name = label_member_name(&run->writing->taken, parts, ".dump");
    (void)pthread_mutex_unlock(&streams->lock);
    member.role = mem_strdup(table ? ROLE_TABLE : ROLE_MAIN);
    member.database = mem_strdup(streams->database);
    member.schema = table ? mem_strdup(table->schema) : NULL;
    member.table = table ? mem_strdup(table->name) : NULL;
    rc = writing_member(run->writing, &member, source_process_read, &source, task->size, &streams->lock);
    process_kill(&source.process);
    return rc;
}

static void *
streams_thread(void *arg)
{
    struct streams *streams = arg;

    (void)pthread_mutex_lock(&streams->lock);
    while (streams->error.code == 0 && streams->next < streams->len) {
        struct leave leave = { streams, true };
        const struct task *task;
        int rc;

        if (streams->dumping == streams->run->writing->streams) {
            (void)pthread_cond_wait(&streams->ended, &streams->lock);
            continue;
        }
        streams->dumping++;
        task = &streams->tasks[streams->next++];
        (void)pthread_mutex_unlock(&streams->lock);
        rc = task_run(&leave, task);
        leave_give_back(&leave);
        (void)pthread_mutex_lock(&streams->lock);
        if (rc < 0 && streams->error.code == 0) {
            error_take(rc, &streams->error);
            process_kill_all(); /* the others of this run have nothing more to do, even where they wait for a lock */
        }
    }
    (void)pthread_mutex_unlock(&streams->lock);
    return NULL;
}

static int
task_compare(const void *a, const void *b)
{
    uint64_t left = ((const struct task *)a)->size, right = ((const struct task *)b)->size;

    return left < right ? 1 : left > right ? -1 : 0;
}

static int
streams_run(struct dump_run *run, const char *database, const char *snapshot, const struct dump_plan *plan)
{
    struct streams streams = { .run = run, .database = database, .snapshot = snapshot, .plan = plan };
    unsigned wanted = run->writing->streams + 1, started = 0; /* one more than pg_dumps: see struct leave */
    pthread_t *threads = mem_realloc_array(NULL, wanted, sizeof *threads);
    int rc;

    streams.tasks = mem_zalloc((plan->len + 1) * sizeof *streams.tasks);
    streams.tasks[streams.len++].size = plan->main_size;
    for (size_t i = 0; i < plan->len; i++)
        streams.tasks[streams.len++] = (struct task){ &plan->tables[i], plan->tables[i].size };
    qsort(streams.tasks, streams.len, sizeof *streams.tasks, task_compare);
    (void)pthread_mutex_init(&streams.lock, NULL);
    (void)pthread_cond_init(&streams.ended, NULL);
    while (started + 1 < wanted && started + 1 < streams.len &&
           pthread_create(&threads[started], NULL, streams_thread, &streams) == 0)
        started++;
    (void)streams_thread(&streams); /* this thread is one of them */
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_cond_destroy(&streams.ended);
    (void)pthread_mutex_destroy(&streams.lock);
    free(streams.tasks);
    free(threads);
    rc = error_put(&streams.error);
    return rc < 0 ? cancel_or(rc) : 0;
}

static int
dump_check(struct dump_run *run, struct pg_conn *conn, const struct config_item *item, const char *database)
{
    CLEANUP_FREE char *result = NULL;
    struct manifest_check *check;
    int rc = check_query(conn, item->check->query, &result);

    if (rc < 0) {
        (void)error_context(rc, "check '%s' in database '%s'", item->name, database);
        return error_hint(rc, "mend its query, or name the database it is for: database = … in [check %s]", item->name);
    }
    check = manifest_add_check(run->writing->manifest);
    check->name = mem_strdup(item->name);
    check->database = mem_strdup(database);
    check->query = mem_strdup(item->check->query);
    check->result = STEAL(result);
    return 0;
}

/* The configured queries that are for this database, in the snapshot. */
static int
dump_checks(struct dump_run *run, struct pg_conn *conn, const char *database)
{
    CLEANUP_STRV struct strv wanted = { 0 };
    int rc = 0;

    if (run->job->checks != NULL)
        option_words(run->job->checks, &wanted);
    for (size_t i = 0; rc == 0 && i < run->config->checks.len; i++) {
        const struct config_item *item = &run->config->checks.items[i];

        if (run->job->checks != NULL && !strv_has(&wanted, item->name))
            continue;
        if (item->check->database == NULL || strcmp(item->check->database, database) == 0)
            rc = dump_check(run, conn, item, database);
    }
    return rc;
}

static int
dump_properties(struct dump_run *run, struct pg_conn *conn, const char *database)
{
    const char *const parts[] = { database, NULL };
    struct manifest_member member = { 0 };
    CLEANUP_FREE char *json = NULL;
    struct source_memory source = { 0 };
    int rc = properties_save(run->maintenance, conn, database, &json);

    if (rc < 0)
        return rc;
    source.data = json;
    source.len = strlen(json);
    member.name = label_member_name(&run->writing->taken, parts, ".properties.json");
    member.role = mem_strdup(ROLE_PROPERTIES);
    member.database = mem_strdup(database);
    return writing_member(run->writing, &member, source_memory_read, &source, source.len, NULL);
}

static int
dump_in_snapshot(struct dump_run *run, struct pg_conn *conn, const char *database)
{
    struct dump_plan plan = { 0 };
    struct manifest_database *entry;
    CLEANUP_FREE char *snapshot = NULL;
    int rc = pg_value(conn, "SELECT pg_export_snapshot()", NULL, 0, &snapshot);

    if (rc == 0)
        rc = pg_runf(conn, "SET LOCAL lock_timeout = %" PRId64, run->lock_timeout_ms);
    if (rc == 0)
        rc = dump_plan_make(conn, &run->selection, &plan);
    if (rc < 0)
        return rc;
    entry = manifest_add_database(run->writing->manifest);
    entry->name = mem_strdup(database);
    entry->size = plan.size;
    log_info("database '%s': %" PRIu64 " bytes, %zu large tables as streams of their own", database, plan.size, plan.len);
    progress_begin(database, plan.size);
    rc = strcmp(run->selection.content, "schema") == 0 ? 0 : dump_checks(run, conn, database);
    if (rc == 0)
        rc = dump_properties(run, conn, database);
    if (rc == 0)
        rc = streams_run(run, database, snapshot, &plan);
    progress_end();
    dump_plan_free(&plan);
    return rc;
}

int
dump_database(struct dump_run *run, const char *database)
{
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    int rc = pg_connect(&run->server, database, &conn);

    if (rc == 0)
        rc = pg_run(conn, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    if (rc == 0)
        rc = dump_in_snapshot(run, conn, database);
    return rc < 0 ? error_context(rc, "database '%s'", database) : 0;
}
