/* SPDX-License-Identifier: PostgreSQL
 *
 * restore_command: from the stock when it is there, else from the stores, and then
 * what follows is brought into the stock by a process of its own.
 */
#include "config.h"

#include "pipeline/segment.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "pg/control.h"
#include "pg/wal-header.h"
#include "pipeline/segment-fetch.h"
#include "pipeline/segment-arrival.h"
#include "pipeline/segment-stock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct restore_call {
    const struct segment_fetch_call *call;
    struct wal_name name;
    uint64_t system_identifier; /* 0: not known */
    char *stock;                /* NULL: none */
    struct fetcher *fetcher;
    struct blob_tools *tools;
};

static int
restore_system(struct restore_call *restore)
{
    struct control control;
    int rc = control_load(".", &control);

    restore->system_identifier = restore->call->system_identifier;
    if (rc == PGCASK_NOT_FOUND) {
        error_clear();
        return 0;
    }
    if (rc == 0 && restore->system_identifier != 0 && restore->system_identifier != control.system_identifier)
        rc = error_set(ERROR_USAGE, "--system-identifier is %" PRIu64 ", the data directory says %" PRIu64,
                       restore->system_identifier, control.system_identifier);
    if (rc == 0)
        restore->system_identifier = control.system_identifier;
    return rc;
}

/* ---- the process that fetches ahead ---- */

/* Only what may be called between fork and exec. Nobody may wait for it, or be held up by what it has open; and whoever
 * it is left to must not take its end for the crash of a server process: it always exits with 0. */
static _Noreturn void
restore_become(char *const *argv)
{
    int null = open("/dev/null", O_RDWR);

    (void)setsid(); /* what PostgreSQL sends to its own group is not for us */
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || chdir("/") < 0)
        _exit(0);
    (void)close_range(3, ~0U, 0);
    (void)execv(argv[0], argv);
    _exit(0);
}

static void
restore_start_prefetch(const struct restore_call *restore)
{
    const struct segment_fetch_call *call = restore->call;
    CLEANUP_FREE char *program = realpath("/proc/self/exe", NULL), *config = realpath(call->config->ini->path, NULL);
    CLEANUP_STRV struct strv argv = { 0 };
    pid_t pid;

    if (program == NULL || config == NULL)
        return;
    strv_add(&argv, program);
    strv_add(&argv, "wal");
    strv_add(&argv, "fetch");
    strv_add(&argv, call->name);
    strv_addf(&argv, "--config=%s", config);
    strv_addf(&argv, "--cluster=%s", call->cluster->name);
    strv_addf(&argv, "--system-identifier=%s", fetcher_system(restore->fetcher));
    strv_addf(&argv, "--stock=%s", restore->stock);
    pid = fork();
    if (pid == 0)
        restore_become(argv.items);
    log_debug("fetching ahead in process %d", (int)pid); /* -1: then there is no fetching ahead */
}

/* ---- a segment that is not whole ---- */

/* How far the data directory's own copy reaches: where PostgreSQL saved what was not archived, or crashed. */
static uint64_t
restore_own_reach(const struct restore_call *restore)
{
    const char *dest = restore->call->dest, *slash = strrchr(dest, '/');
    CLEANUP_FREE char *dir = slash != NULL ? mem_strndup(dest, (size_t)(slash - dest)) : mem_strdup(".");
    CLEANUP_FREE char *path = mem_printf("%s/%s", dir, restore->call->name);
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    return fd >= 0 ? segment_reach(fd) : 0;
}

/* PostgreSQL wants a segment of full size; what has no WAL is zeros. */
static int
restore_fill_up(int fd, const char *path)
{
    unsigned char data[WAL_HEADER_BYTES];
    struct wal_header header;
    ssize_t got = pread(fd, data, sizeof data, 0);
    int rc = wal_header_read(data, got > 0 ? (size_t)got : 0, &header);

    if (rc == 0 && ftruncate(fd, (off_t)header.segment_bytes) < 0)
        rc = error_errno(PGCASK_FAILED, "could not write '%s'", path);
    return rc;
}

/* PGCASK_NOT_FOUND as fetcher_get says it of the segment itself. */
static int
restore_partial(struct restore_call *restore, struct arrival *arrival)
{
    struct wal_name name = restore->name;
    char digest[BLOB_DIGEST_CHARS + 1];
    uint64_t own, reach;
    int rc;

    name.file = WAL_PARTIAL;
    rc = fetcher_get(restore->fetcher, restore->tools, &name, arrival->fd, arrival->dest, digest);
    if (rc < 0)
        return rc;
    reach = segment_reach(arrival->fd);
    own = restore_own_reach(restore);
    if (own >= reach)
        return error_set(PGCASK_NOT_FOUND,
                         "'%s' is not in the archive; it has a .partial, and the data directory a better one",
                         restore->call->name);
    log_info("'%s' is not whole in the archive: taking its .partial, which reaches %" PRIu64 " bytes",
             restore->call->name, reach);
    return restore_fill_up(arrival->fd, arrival->dest);
}

/* ---- the call ---- */

static int
restore_get(struct restore_call *restore, struct arrival *arrival)
{
    const struct segment_fetch_call *call = restore->call;
    char digest[BLOB_DIGEST_CHARS + 1];
    struct wal_name next;
    int rc;

    if (restore->stock != NULL && fetcher_next(restore->fetcher, &restore->name, &next) &&
        fetcher_has(restore->fetcher, &restore->name, false))
        restore_start_prefetch(restore);
    rc = fetcher_get(restore->fetcher, restore->tools, &restore->name, arrival->fd, call->dest, digest);
    if (rc == PGCASK_NOT_FOUND && restore->name.file == WAL_SEGMENT)
        rc = restore_partial(restore, arrival);
    if (rc == 0)
        log_info("'%s' is fetched", call->name);
    return rc;
}

static int
restore_from_stores(struct restore_call *restore)
{
    const struct segment_fetch_call *call = restore->call;
    struct arrival arrival;
    int rc = fetcher_open(call->config, call->cluster, call->store, restore->system_identifier, &restore->fetcher);

    if (rc == 0)
        rc = arrival_begin(call->dest, &arrival);
    if (rc < 0) /* whatever was not found, it was not the segment */
        return rc == PGCASK_NOT_FOUND ? error_context(PGCASK_FAILED, "fetching '%s'", call->name) : rc;
    restore->tools = blob_tools_new(1);
    return arrival_end(&arrival, restore_get(restore, &arrival));
}

static int
restore_any(struct restore_call *restore)
{
    const struct segment_fetch_call *call = restore->call;
    int rc = PGCASK_NOT_FOUND;

    if (!call->alone && call->store == NULL && restore->name.file == WAL_SEGMENT && restore->system_identifier != 0)
        restore->stock = stock_dir(call->config->state_dir, call->cluster->name, restore->system_identifier);
    if (restore->stock != NULL) {
        stock_ask(restore->stock, call->name);
        rc = stock_take(restore->stock, call->name, call->dest);
    }
    if (rc == 0)
        log_info("'%s' was fetched ahead", call->name);
    return rc == PGCASK_NOT_FOUND ? restore_from_stores(restore) : rc;
}

int
segment_fetch(const struct segment_fetch_call *call)
{
    struct restore_call restore = { .call = call };
    int rc = wal_name_parse(call->name, &restore.name);

    if (rc == 0)
        rc = restore_system(&restore);
    if (rc == 0)
        rc = restore_any(&restore);
    fetcher_close(restore.fetcher);
    blob_tools_free(restore.tools);
    free(restore.stock);
    return rc;
}
