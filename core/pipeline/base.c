/* SPDX-License-Identifier: PostgreSQL
 *
 *   checkpoint ─► base.tar, tablespace-OID.tar …, backup_manifest: one stream, a member each ─► WAL from start to stop
 */
#include "config.h"

#include "pipeline/base.h"

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "catalog/label.h"
#include "pg/basebackup.h"
#include "pipeline/base-chain.h"
#include "pipeline/progress.h"
#include "stage/wire-expand.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STANDBY_TELLS = 140000, WIRE_SERVER = 150000, CHAIN_SERVER = 170000 };

/* ---- the server ---- */

static int
base_check_job(const struct base_run *run)
{
    const struct config_job *job = run->job->job;
    int version = replication_server_version(run->replication);
    bool wire = strcmp(job->wire_compress, "none") != 0 && version < WIRE_SERVER;
    const char *key = wire ? "wire_compress" : "chain_max";

    if (!wire && (job->chain_max == 0 || version >= CHAIN_SERVER))
        return 0;
    (void)error_set(ERROR_USAGE, "job '%s' has %s, which PostgreSQL %s cannot do", run->job->name, key,
                    replication_server_text(run->replication));
    return error_hint(ERROR_USAGE, "it came with PostgreSQL %d: leave %s away", wire ? 15 : 17, key);
}

static int
base_check_level(const struct base_run *run)
{
    CLEANUP_FREE char *level = NULL;
    int rc = replication_show(run->replication, "wal_level", &level);

    if (rc < 0 || strcmp(level, "minimal") != 0)
        return rc;
    (void)error_set(PGCASK_FAILED, "the server has wal_level = minimal (wanted: replica or logical)");
    return error_hint(PGCASK_FAILED, "set wal_level = replica and restart it");
}

static int
base_ask_standby(struct base_run *run)
{
    CLEANUP_FREE char *value = NULL;
    bool tells = replication_server_version(run->replication) >= STANDBY_TELLS;
    int rc = replication_show(run->replication, tells ? "in_hot_standby" : "transaction_read_only", &value);

    if (rc == 0)
        run->standby = strcmp(value, "on") == 0;
    return rc;
}

int
base_open(struct base_run *run)
{
    const struct config_cluster *cluster = run->cluster->cluster;
    int rc;

    run->server = (struct pg_server){ cluster->conninfo, cluster->password };
    rc = replication_connect(&run->server, NULL, &run->replication);
    if (rc == 0)
        rc = base_check_job(run);
    if (rc == 0)
        rc = base_check_level(run);
    if (rc == 0)
        rc = replication_identify(run->replication, &run->system);
    if (rc == 0)
        rc = replication_segment_bytes(run->replication, &run->segment_bytes);
    return rc < 0 ? rc : base_ask_standby(run);
}

void
base_close(struct base_run *run)
{
    replication_close(run->replication);
    base_list_free(run->list);
    free(run->parent);
}

int
base_describe(struct base_run *run)
{
    struct manifest *manifest = run->writing->manifest;

    manifest->content = mem_strdup("all");
    manifest->system_identifier = mem_strdup(run->system.identifier);
    manifest->server_version = replication_server_version(run->replication);
    manifest->server_text = mem_strdup(replication_server_text(run->replication));
    return 0;
}

/* ---- the stream ---- */

/* An archive on its way: as the server sends it, or expanded again. */
struct base_source {
    struct basebackup *basebackup;
    struct wire_expand *expand; /* NULL: it comes as it is */
    struct base_list *list;     /* that takes a copy; NULL: none */
};

static int
base_read(void *ctx, void *data, size_t size, size_t *ret_len)
{
    struct base_source *source = ctx;
    int rc = source->expand != NULL ? wire_expand_read(source->expand, data, size, ret_len)
                                    : basebackup_read(source->basebackup, data, size, ret_len);

    if (rc == 0)
        progress_add(NULL, *ret_len);
    if (rc == 0 && source->list != NULL)
        base_list_add(source->list, data, *ret_len);
    return rc;
}

static struct manifest_member
base_member(struct base_run *run, const struct basebackup_archive *archive)
{
    static const char *const stems[] = { [BASEBACKUP_DATA] = "base", [BASEBACKUP_MANIFEST] = "backup_manifest" };
    static const char *const roles[] = { ROLE_BASE, ROLE_TABLESPACE, ROLE_FILES };
    CLEANUP_FREE char *stem = NULL;
    const char *parts[] = { stems[archive->kind], NULL };
    struct manifest_member member = { .role = mem_strdup(roles[archive->kind]) };

    if (archive->kind == BASEBACKUP_TABLESPACE) {
        parts[0] = stem = mem_printf("tablespace-%s", archive->tablespace->oid);
        member.tablespace = mem_strdup(archive->tablespace->oid);
    }
    member.name = label_member_name(&run->writing->taken, parts, archive->kind == BASEBACKUP_MANIFEST ? "" : ".tar");
    return member;
}

static int
base_archive(struct base_run *run, struct basebackup *basebackup, const struct basebackup_archive *archive)
{
    const char *wire = run->job->job->wire_compress;
    struct base_source source = { .basebackup = basebackup };
    struct manifest_member member = base_member(run, archive);
    int rc;

    if (archive->kind != BASEBACKUP_MANIFEST && strcmp(wire, "none") != 0)
        source.expand = wire_expand_new(wire, basebackup_read, basebackup);
    if (archive->kind == BASEBACKUP_MANIFEST && run->job->job->chain_max > 0)
        source.list = run->list = base_list_begin(run);
    rc = writing_member(run->writing, &member, base_read, &source, archive->tablespace ? archive->tablespace->size : 0,
                        NULL);
    wire_expand_free(source.expand);
    return rc;
}

static int
base_archives(struct base_run *run, struct basebackup *basebackup)
{
    for (;;) {
        struct basebackup_archive archive;
        int rc = basebackup_next(basebackup, &archive);

        if (rc > 0)
            rc = base_archive(run, basebackup, &archive);
        else
            return rc;
        if (rc < 0)
            return rc;
    }
}

/* The server could not read these pages as it wrote them. */
static int
base_judge_pages(const struct base_run *run, int64_t bad_pages)
{
    if (bad_pages == 0)
        return 0;
    if (strcmp(run->job->job->checksum_failures, "record") == 0) {
        log_warn("PostgreSQL found %" PRId64
                 " page%s with a wrong checksum while it was read: the backup has them as they are, "
                 "and says so; the server's data is damaged",
                 bad_pages, bad_pages == 1 ? "" : "s");
        return 0;
    }
    (void)error_set(PGCASK_FAILED,
                    "PostgreSQL found %" PRId64 " page%s with a wrong checksum while it was read: its data is "
                    "damaged",
                    bad_pages, bad_pages == 1 ? "" : "s");
    return error_hint(PGCASK_FAILED,
                      "the warnings above name the files: keep the backups there are, look at the disk and at "
                      "pg_amcheck; checksum_failures = record in the job backs up what there is");
}

static void
base_take_facts(struct base_run *run, const struct basebackup_facts *facts)
{
    struct manifest_base *base = mem_zalloc(sizeof *base);

    base->start_lsn = facts->start_lsn;
    base->stop_lsn = facts->stop_lsn;
    base->timeline = facts->timeline;
    base->segment_bytes = run->segment_bytes;
    base->wal_included = strcmp(run->job->job->wal, "include") == 0;
    base->standby = run->standby;
    base->bad_pages = facts->bad_pages;
    base->parent = STEAL(run->parent);
    for (size_t i = 0; i < facts->len; i++) {
        struct manifest_tablespace *tablespace;

        if (facts->tablespaces[i].oid == NULL)
            continue;
        tablespace = manifest_add_tablespace(base);
        tablespace->oid = mem_strdup(facts->tablespaces[i].oid);
        tablespace->location = mem_strdup(facts->tablespaces[i].location);
    }
    run->stop_timeline = facts->stop_timeline;
    run->writing->manifest->base = base;
}

/* The server keeps the WAL that is to be taken along for as long as this connection has a slot. */
static int
base_keep_wal(struct base_run *run)
{
    CLEANUP_FREE char *slot = mem_printf("pgcask_base_%ld", (long)getpid());
    int rc = replication_slot_create_temporary(run->replication, slot);

    if (rc != PGCASK_FAILED && rc != PGCASK_EXISTS)
        return rc;
    log_slot_warn(
        "going on without a slot: should the server remove WAL meanwhile that the backup needs, it fails at its end");
    return 0;
}

static int
base_ask(struct base_run *run, bool incremental, struct basebackup **ret_basebackup)
{
    const struct config_job *job = run->job->job;
    CLEANUP_FREE char *label = mem_printf("pgcask %s", run->writing->id);
    struct basebackup_spec spec = {
        .label = label,
        .fast = strcmp(job->checkpoint, "fast") == 0,
        .wal = strcmp(job->wal, "include") == 0,
        .incremental = incremental,
        .max_rate = (uint64_t)job->max_rate,
        .compress = strcmp(job->wire_compress, "none") == 0 ? NULL : job->wire_compress,
    };
    int rc = spec.wal ? base_keep_wal(run) : 0;

    if (rc < 0)
        return rc;
    progress_begin("waiting for a checkpoint", 0);
    rc = basebackup_begin(run->replication, &spec, ret_basebackup);
    progress_end();
    return rc;
}

static int
base_list_read(void *fd, void *data, size_t size, size_t *ret_len)
{
    ssize_t len = file_read_up_to(*(int *)fd, data, size, "the list of files");

    if (len < 0)
        return (int)len;
    *ret_len = (size_t)len;
    return 0;
}

/* On top of the backup before, where that is to be had. When the server refuses, it has its reasons (no summaries of
 * the WAL in between, another timeline): then a full one is what there has to be. */
static int
base_begin(struct base_run *run, struct basebackup **ret_basebackup)
{
    CLEANUP_FD int list_fd = -1;
    int rc = run->job->job->chain_max > 0 ? base_chain_find(run, &run->parent, &list_fd) : 0;

    if (rc == 0 && run->parent == NULL)
        return base_ask(run, false, ret_basebackup);
    if (rc == 0)
        rc = basebackup_upload(run->replication, base_list_read, &list_fd);
    if (rc == 0)
        rc = base_ask(run, true, ret_basebackup);
    if (rc != PGCASK_FAILED)
        return rc;
    log_slot_warn("making a full backup");
    free(STEAL(run->parent));
    replication_close(STEAL(run->replication)); /* of no more use after an error */
    rc = replication_connect(&run->server, NULL, &run->replication);
    return rc < 0 ? rc : base_ask(run, false, ret_basebackup);
}

int
base_write(struct base_run *run)
{
    CLEANUP(basebackup_free) struct basebackup *basebackup = NULL;
    const struct basebackup_facts *facts;
    int rc = base_begin(run, &basebackup);

    if (rc < 0)
        return rc;
    facts = basebackup_facts(basebackup);
    log_info("%s base backup from %s, timeline %" PRIu32 ": about %" PRIu64 " bytes, %zu tablespaces of their own",
             run->parent ? "incremental" : "full", run->standby ? "a standby" : "the server", facts->timeline,
             facts->size, facts->len - 1);
    progress_begin("base backup", facts->size);
    rc = base_archives(run, basebackup);
    progress_end();
    if (rc == 0)
        rc = base_judge_pages(run, facts->bad_pages);
    if (rc == 0)
        base_take_facts(run, facts);
    return rc;
}

void
base_kept(struct base_run *run)
{
    if (run->list != NULL)
        base_list_keep(run->list);
}
