/* SPDX-License-Identifier: PostgreSQL
 *
 * The story of a data directory: choose and prove, check the place, read the
 * list of files, write them, say how far to recover, and only then let a server
 * start from it.
 */
#include "config.h"

#include "pipeline/restore-cluster.h"

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/program.h"
#include "base/program.h"
#include "catalog/label.h"
#include "pipeline/cluster-choice.h"
#include "pipeline/cluster-place.h"
#include "pipeline/cluster-write.h"
#include "pipeline/progress.h"
#include "pipeline/verify.h"
#include "stage/member-reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SETTINGS_LIMIT_BYTES = 4 * 1024 * 1024 };

/* A backup of the chain: the full one, and increments on top of it. */
struct cluster_link {
    struct restore restore;
    struct backup_files *files;
    struct cluster_write write;
};

struct cluster_run {
    struct restore *restore; /* what the links have in common */
    const struct restore_cluster_options *options;
    struct recovery_target target; /* with its timeline */
    struct cluster_place place;
    struct cluster_link *links;
    size_t len;
    struct cluster_link *last;       /* what the directories will be in the end */
    const struct manifest *manifest; /* of that one */
    uint64_t written_bytes;
};

/* ---- before anything is written ---- */

static int
run_links(struct cluster_run *run, const struct catalog *catalog, struct catalog_backup *backup)
{
    struct catalog_backup *chain[CHOICE_CHAIN_MAX];
    size_t len;
    int rc = choice_chain(catalog, backup, chain, &len);

    if (rc < 0)
        return rc;
    run->links = mem_zalloc(len * sizeof *run->links);
    run->len = len;
    for (size_t i = 0; rc == 0 && i < len; i++) {
        struct restore *restore = &run->links[i].restore;

        *restore = *run->restore;
        rc = catalog_manifest(catalog, chain[i], &restore->manifest);
        if (rc == 0)
            rc = restore_choose(restore, catalog, chain[i]);
    }
    run->last = &run->links[len - 1];
    run->manifest = run->last->restore.manifest;
    run->restore->manifest = run->manifest;
    return rc;
}

/* Which backup, along which timeline; what is in doubt is told. */
static int
run_choose(struct cluster_run *run, struct repo *repo)
{
    const struct restore_cluster_options *options = run->options;
    CLEANUP_CHOICE struct choice choice = { 0 };
    CLEANUP_CHOICE_MADE struct choice_made made = { 0 };
    CLEANUP_FREE char *what = recovery_target_text(&options->target), *lsn = NULL;
    CLEANUP_STRV struct strv wal_stores = { 0 };
    struct catalog_backup *backup;
    int rc;

    if (options->store == NULL)
        option_words(repo->cluster->cluster->wal_stores, &wal_stores);
    rc = choice_load(repo->catalog, &wal_stores, options->id, options->job, run->restore->identities, &choice);
    if (rc == 0)
        rc = choice_make(&choice, options->id, &options->target, &made);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < choice.unknown.len && options->target.timeline == 0; i++)
        log_warn("%s; going on without it", choice.unknown.items[i]);
    for (size_t i = 0; i < made.passed.len; i++)
        log_warn("%s; going on with an older one", made.passed.items[i]);
    for (size_t i = 0; i < made.doubts.len; i++)
        log_warn("%s is known only when PostgreSQL has got there", made.doubts.items[i]);
    backup = choice.bases[made.base].backup;
    if (choice.bases[made.base].bad)
        log_warn("the verification of backup '%s' failed: going on because it was named", backup->id);
    lsn = wal_lsn_text(made.reach.lsn);
    log_info("backup '%s', to %s on timeline %" PRIu32 ": WAL is there up to %s", backup->id, what, made.timeline, lsn);
    run->target.timeline = options->standby ? 0 : made.timeline;
    return run_links(run, repo->catalog, backup);
}

/* All members are read. */
static int
link_ready(struct cluster_link *link)
{
    const struct manifest *manifest = link->restore.manifest;
    CLEANUP_FREE const struct manifest_member **members =
        mem_realloc_array(NULL, manifest->member_count + 1, sizeof *members);

    for (size_t i = 0; i < manifest->member_count; i++)
        members[i] = &manifest->members[i];
    return restore_ready(&link->restore, members, manifest->member_count);
}

static int
link_read(struct cluster_link *link, const struct manifest_member *member, member_take *take, void *ctx)
{
    struct restore *restore = &link->restore;
    CLEANUP_FREE char *key = label_object(restore->manifest->cluster, restore->manifest->id, member->object);
    struct member_ref ref = verify_ref(member, key);

    return member_read_all(restore->crew, restore->streams + 1, restore->copies, &ref, restore->identities, take, ctx);
}

static int
link_files(struct cluster_link *link)
{
    const struct manifest *manifest = link->restore.manifest;
    CLEANUP(backup_reader_free) struct backup_reader *reader = backup_reader_new();
    const struct manifest_member *member;
    int rc = restore_member(&link->restore, ROLE_FILES, NULL, &member);

    if (rc == 0)
        rc = link_read(link, member, backup_reader_add, reader);
    if (rc == 0)
        rc = backup_reader_end(reader, &link->files);
    if (rc == 0 && link->files->version >= 2) {
        CLEANUP_FREE char *system = mem_printf("%" PRIu64, link->files->system_identifier);

        if (strcmp(system, manifest->system_identifier) != 0)
            rc = error_set(ERROR_CORRUPT, "the backup_manifest is of system %s, the backup of %s", system,
                           manifest->system_identifier);
    }
    return rc < 0 ? error_context(rc, "backup '%s'", manifest->id) : 0;
}

static int
run_prepare(struct cluster_run *run)
{
    const struct restore_cluster_options *options = run->options;
    CLEANUP_FREE const struct backup_files **files = mem_zalloc(run->len * sizeof *files);
    int rc =
        place_plan(run->manifest, options->data_dir, options->tablespaces, options->owner, options->delta, &run->place);

    if (rc == 0)
        rc = place_check(&run->place, run->manifest);
    for (size_t i = 0; rc == 0 && i < run->len; i++)
        rc = link_ready(&run->links[i]);
    for (size_t i = 0; rc == 0 && i < run->len; i++) {
        rc = link_files(&run->links[i]);
        files[i] = run->links[i].files;
    }
    return rc < 0 ? rc : place_check_room(&run->place, files, run->len);
}

/* ---- the files ---- */

static const struct manifest_member *
run_member_of(const struct manifest *manifest, const struct place_dir *dir)
{
    if (dir->tablespace == NULL)
        return manifest_find(manifest, ROLE_BASE, NULL, NULL, NULL);
    for (size_t i = 0; i < manifest->member_count; i++)
        if (strcmp(manifest->members[i].role, ROLE_TABLESPACE) == 0 &&
            strcmp(manifest->members[i].tablespace, dir->tablespace->oid) == 0)
            return &manifest->members[i];
    return NULL;
}

/* A tablespace that came into being later is not in an earlier backup. */
static bool
link_has(const struct manifest *manifest, const struct place_dir *dir)
{
    for (size_t i = 0; dir->tablespace != NULL && i < manifest->base->len; i++)
        if (strcmp(manifest->base->tablespaces[i].oid, dir->tablespace->oid) == 0)
            return true;
    return dir->tablespace == NULL;
}

static int
link_tar(struct cluster_link *link, const struct place_dir *dir)
{
    const struct manifest *manifest = link->restore.manifest;
    const struct manifest_member *member = run_member_of(manifest, dir);
    CLEANUP(cluster_tar_free) struct cluster_tar *tar = NULL;
    int rc;

    if (!link_has(manifest, dir))
        return 0;
    if (member == NULL)
        return error_set(ERROR_CORRUPT, "backup '%s' has no tar of '%s'", manifest->id, dir->prefix);
    tar = cluster_tar_new(&link->write, dir);
    rc = link_read(link, member, cluster_tar_add, tar);
    if (rc == 0)
        rc = cluster_tar_end(tar);
    return rc < 0 ? error_context(rc, "member '%s'", member->name) : 0;
}

static int
run_link(struct cluster_run *run, struct cluster_link *link)
{
    bool first = link == run->links, delta = first && run->options->delta;
    int rc = cluster_write_init(&link->write, &run->place, link->files, first ? NULL : &link[-1].write);

    link->write.passes = link != run->last;
    run->place.replace = run->options->delta || !first;
    if (rc == 0 && delta)
        rc = cluster_delta(&link->write, run->restore->streams);
    for (size_t i = 0; rc == 0 && i < run->place.len; i++)
        rc = link_tar(link, &run->place.dirs[i]);
    if (rc == 0)
        rc = cluster_write_check(&link->write);
    if (rc == 0 && delta && link == run->last)
        rc = cluster_delta_end(&link->write);
    if (rc == 0 && !first && link == run->last)
        rc = cluster_prune(&link->write);
    run->written_bytes += link->write.written_bytes;
    return rc < 0 && run->len > 1 ? error_context(rc, "backup '%s'", link->restore.manifest->id) : rc;
}

static int
run_tars(struct cluster_run *run)
{
    CLEANUP_FREE char *what = mem_printf("restoring '%s'", run->manifest->id);
    uint64_t total = run->options->delta ? run->links[0].files->total_bytes : 0;
    int rc = 0;

    for (size_t i = 0; i < run->len; i++)
        total += manifest_plain_size(run->links[i].restore.manifest);
    progress_begin(what, total);
    for (size_t i = 0; rc == 0 && i < run->len; i++)
        rc = run_link(run, &run->links[i]);
    progress_end();
    return rc;
}

/* ---- what is not as it was ---- */

/* "16385 /srv/fast" for each; a backslash goes before line ends, which place_plan refuses, and before itself. */
static int
run_tablespaces(struct cluster_run *run)
{
    CLEANUP_BUF struct buf text = BUF_INIT(16 * 1024 * 1024);
    bool moved = false;
    int rc = 0;

    for (size_t i = 1; i < run->place.len; i++)
        moved |= run->place.dirs[i].moved;
    if (backup_files_find(run->last->files, "tablespace_map") == NULL)
        return 0; /* the links will do */
    if (!moved)
        return place_put(&run->place, "tablespace_map", run->last->write.spaces.data, run->last->write.spaces.len);
    for (size_t i = 1; rc == 0 && i < run->place.len; i++) {
        const char *path = run->place.dirs[i].path;

        rc = buf_addf(&text, "%s ", run->place.dirs[i].tablespace->oid);
        for (; rc == 0 && *path != '\0'; path++) {
            if (*path == '\\')
                rc = buf_adds(&text, "\\");
            if (rc == 0)
                rc = buf_add(&text, path, 1);
        }
        if (rc == 0)
            rc = buf_adds(&text, "\n");
    }
    return rc < 0 ? rc : place_put(&run->place, "tablespace_map", text.data, text.len);
}

/* PostgreSQL will start pgcask as its own user. */
static void
run_tell_config(const struct cluster_run *run, const char *config)
{
    struct stat status;

    if (run->place.chown && stat(config, &status) == 0 && status.st_uid != run->place.uid &&
        (status.st_mode & S_IROTH) == 0)
        log_warn("restore_command will be run by user %u, who cannot read the config '%s'", (unsigned)run->place.uid,
                 config);
}

/* This very program, as it was started for the same config. */
static int
run_restore_command(const struct cluster_run *run, char **ret_command)
{
    const struct restore_cluster_options *options = run->options;
    CLEANUP_FREE char *program = NULL, *config = NULL;
    CLEANUP_FREE char *usual = options->config_path == NULL ? config_default_path() : NULL;
    CLEANUP_STRV struct strv words = { 0 };
    int rc = program_path(&program);

    if (rc < 0)
        return rc;
    config = realpath(usual != NULL ? usual : options->config_path, NULL);
    if (config == NULL)
        return error_errno(PGCASK_FAILED, "could not find out how this program was started");
    run_tell_config(run, config);
    strv_add(&words, program);
    strv_add(&words, "--config");
    strv_add(&words, config);
    strv_add(&words, "wal");
    strv_add(&words, "fetch");
    strv_add(&words, "--cluster");
    strv_add(&words, run->manifest->cluster);
    strv_add(&words, "--system-identifier");
    strv_add(&words, run->manifest->system_identifier);
    if (options->store != NULL) {
        strv_add(&words, "--store");
        strv_add(&words, options->store);
    }
    return recovery_command(&words, ret_command);
}

static int
run_settings(struct cluster_run *run)
{
    const char *data_dir = run->place.dirs[0].path;
    CLEANUP_FREE char *path = mem_printf("%s/postgresql.auto.conf", data_dir), *command = NULL;
    CLEANUP_BUF struct buf old = BUF_INIT(SETTINGS_LIMIT_BYTES), text = BUF_INIT(2 * SETTINGS_LIMIT_BYTES);
    struct recovery_spec spec = {
        .target = &run->target,
        .standby = run->options->standby,
        .primary_conninfo = run->options->primary_conninfo,
        .server_version = run->manifest->server_version,
    };
    int rc = run_restore_command(run, &command);

    if (rc < 0)
        return rc;
    spec.restore_command = command;
    log_info("restore_command: %s", command);
    rc = file_read(path, &old);
    if (rc < 0 && rc != PGCASK_NOT_FOUND)
        return rc;
    error_clear();
    rc = recovery_settings(&spec, old.len > 0 ? old.data : NULL, &text);
    if (rc == 0)
        rc = place_put(&run->place, "postgresql.auto.conf", text.data, text.len);
    return rc < 0 ? rc : place_put(&run->place, recovery_signal(&spec), "", 0);
}

struct copy_text {
    int fd;
};

static int
copy_take(void *ctx, const void *data, size_t len)
{
    const struct copy_text *copy = ctx;

    return file_write_all(copy->fd, data, len, "backup_manifest");
}

/* As pg_basebackup leaves it, for pg_verifybackup. Read again: it may be large. */
static int
run_manifest(struct cluster_run *run)
{
    CLEANUP_PLACE_AT struct place_at at = PLACE_AT_INIT;
    CLEANUP_FD int fd = -1;
    const struct manifest_member *member;
    const char *base;
    int rc;

    if (run->len > 1)
        return cluster_merge_manifest(&run->last->write, run->manifest, run->restore->streams);
    rc = restore_member(&run->last->restore, ROLE_FILES, NULL, &member);
    if (rc == 0)
        rc = place_enter(&run->place, &at, &run->place.dirs[0], "backup_manifest", false, &base);
    if (rc == 0)
        rc = place_create(&run->place, &at, base, &fd);
    if (rc == 0) {
        struct copy_text copy = { fd };

        rc = link_read(run->last, member, copy_take, &copy);
    }
    return rc;
}

static void
run_tell_settings(const struct cluster_run *run)
{
    CLEANUP_FREE char *path = mem_printf("%s/postgresql.conf", run->place.dirs[0].path);

    if (!file_exists(path))
        log_warn("the server's settings are not in its data directory, so not in '%s' either: start it with -c "
                 "config_file=…",
                 run->place.dirs[0].path);
}

static int
run_write(struct cluster_run *run)
{
    CLEANUP_FREE char *marker = mem_printf("%s/" PLACE_MARKER, run->place.dirs[0].path);
    const struct buf *control;
    int rc = place_begin(&run->place, run->manifest);

    if (rc == 0)
        rc = run_tars(run);
    if (rc == 0)
        rc = run_tablespaces(run);
    if (rc == 0)
        rc = run_manifest(run);
    if (rc == 0)
        rc = run_settings(run);
    control = &run->last->write.control;
    if (rc == 0)
        rc = place_finish(&run->place, control->data, control->len);
    if (rc < 0 && rc != ERROR_LOCKED && error_cure() == NULL && file_exists(marker))
        return error_hint(rc, "'%s' is incomplete: the same command with --delta goes on with it",
                          run->place.dirs[0].path);
    return rc;
}

static void
run_free(struct cluster_run *run)
{
    for (size_t i = 0; i < run->len; i++) {
        struct cluster_link *link = &run->links[i];

        cluster_write_free(&link->write);
        backup_files_free(link->files);
        copies_free(link->restore.copies);
        free(link->restore.listed);
    }
    free(run->links);
    place_free(&run->place);
}

int
restore_cluster(struct repo *repo, struct restore *restore, const struct restore_cluster_options *options)
{
    struct cluster_run run = { .restore = restore, .options = options, .target = options->target };
    int rc = recovery_check(&options->target, options->standby);

    if (rc == 0)
        rc = run_choose(&run, repo);
    if (rc == 0)
        rc = run_prepare(&run);
    if (rc == 0)
        rc = run_write(&run);
    if (rc == 0) {
        CLEANUP_FREE char *size = format_size(run.written_bytes);

        log_info("'%s': %zu files, %s written", run.place.dirs[0].path, run.last->files->len, size);
        run_tell_settings(&run);
    }
    run_free(&run);
    return rc;
}
