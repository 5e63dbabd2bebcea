/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/verify.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/process.h"
#include "catalog/label.h"
#include "pipeline/progress.h"
#include "pipeline/verify-base.h"
#include "stage/member-reader.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct member_ref
verify_ref(const struct manifest_member *member, const char *key)
{
    return (struct member_ref){
        .key = key,
        .sealed = member->sealed,
        .plain_size = member->plain_size,
        .stored_size = member->stored_size,
        .header_size = member->header_size,
        .plain_digest = member->plain_digest,
        .stored_digest = member->stored_digest,
        .header_digest = member->header_digest,
    };
}

bool
verify_can_decrypt(const struct manifest *manifest, const struct age_identities *identities)
{
    CLEANUP_STRV struct strv ours = { 0 };
    bool sealed = false;

    for (size_t i = 0; i < manifest->member_count; i++)
        sealed |= manifest->members[i].sealed;
    if (!sealed)
        return true;
    if (identities != NULL)
        age_identities_list(identities, &ours);
    for (size_t i = 0; i < ours.len; i++)
        if (strv_has(&manifest->recipients, ours.items[i]))
            return true;
    return false;
}

/* The plain bytes of one member, and pg_restore -l beside them for as long as it wants any. */
struct taker {
    struct process process; /* pid 0: none */
};

static int
verify_take(void *ctx, const void *data, size_t len)
{
    struct taker *taker = ctx;
    const char *p = data;

    progress_add(NULL, len);
    while (taker->process.pid != 0 && taker->process.in_fd >= 0 && len > 0) {
        ssize_t put = write(taker->process.in_fd, p, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) { /* EPIPE: it has read the table of contents and needs no more */
            cleanup_close(&taker->process.in_fd);
            taker->process.in_fd = -1;
            break;
        }
        p += put;
        len -= (size_t)put;
    }
    return 0;
}

static int
verify_start_list(const struct verify_spec *spec, const struct manifest_member *member, struct taker *taker)
{
    CLEANUP_STRV struct strv argv = { 0 };
    struct process_spec process = { .in = PROCESS_PIPE, .out = PROCESS_NULL };

    if (spec->list_argv == NULL || (strcmp(member->role, ROLE_MAIN) != 0 && strcmp(member->role, ROLE_TABLE) != 0))
        return 0;
    for (size_t i = 0; i < spec->list_argv->len; i++)
        strv_add(&argv, spec->list_argv->items[i]);
    strv_add(&argv, "--list");
    process.argv = (const char *const *)argv.items;
    return process_start(&process, &taker->process);
}

/* Only a pg_restore that ran and refused says something of the member. */
static int
verify_end_list(struct taker *taker, const struct manifest_member *member)
{
    CLEANUP_FREE char *talk = NULL;
    int code = process_end(&taker->process, &talk);

    if (code == 0)
        return 0;
    return cancel_or(error_set(code < 126 ? ERROR_CORRUPT : PGCASK_FAILED,
                               "member '%s' cannot be listed: pg_restore ended with exit code %d: %s", member->name, code,
                               *talk ? talk : "it gave no reason"));
}

static int
verify_read(const struct verify_spec *spec, const struct member_ref *ref, member_take *take, void *ctx)
{
    struct storage *storage = spec->storage;
    CLEANUP(copies_free) struct copies *copies = copies_new(&storage, 1);

    return member_read_all(spec->crew, spec->streams + 1, copies, ref, spec->identities, take, ctx);
}

static int
verify_deep(const struct verify_spec *spec, const struct manifest_member *member, const struct member_ref *ref)
{
    struct taker taker = { 0 };
    int rc = verify_start_list(spec, member, &taker);

    if (rc == 0)
        rc = verify_read(spec, ref, verify_take, &taker);
    if (rc < 0) {
        process_kill(&taker.process);
        return rc;
    }
    return taker.process.pid != 0 ? verify_end_list(&taker, member) : 0;
}

/* ---- a base backup: its files, too ---- */

static int
verify_blame(const struct verify_spec *spec, int rc)
{
    return rc < 0 ? error_context(rc, "store '%s'", storage_name(spec->storage)) : 0;
}

struct base_taker {
    const struct verify_spec *spec;
    struct backup_reader *reader; /* of the list */
    struct verify_tar *tar;       /* of an archive */
};

static int
verify_files_take(void *ctx, const void *data, size_t len)
{
    struct base_taker *taker = ctx;

    progress_add(NULL, len);
    return verify_blame(taker->spec, backup_reader_add(taker->reader, data, len));
}

static int
verify_tar_take(void *ctx, const void *data, size_t len)
{
    struct base_taker *taker = ctx;

    progress_add(NULL, len);
    return verify_blame(taker->spec, verify_tar_add(taker->tar, data, len));
}

/* PostgreSQL's list of the files, which is needed before the first of them comes by. */
static int
verify_files(const struct verify_spec *spec, struct backup_files **ret_files)
{
    const struct manifest *manifest = spec->manifest;
    const struct manifest_member *member = manifest_find(manifest, ROLE_FILES, NULL, NULL, NULL);
    CLEANUP_FREE char *key = label_object(manifest->cluster, manifest->id, member->object);
    struct member_ref ref = verify_ref(member, key);
    CLEANUP(backup_reader_free) struct backup_reader *reader = backup_reader_new();
    CLEANUP(backup_files_free) struct backup_files *files = NULL;
    struct base_taker taker = { .spec = spec, .reader = reader };
    int rc = verify_read(spec, &ref, verify_files_take, &taker);

    if (rc < 0)
        return rc;
    rc = backup_reader_end(reader, &files);
    if (rc == 0)
        rc = verify_base_begin(manifest, files);
    if (rc == 0)
        *ret_files = STEAL(files);
    return verify_blame(spec, rc);
}

static int
verify_tar(const struct verify_spec *spec, const struct manifest_member *member, const struct member_ref *ref,
           struct backup_files *files)
{
    CLEANUP(verify_tar_free) struct verify_tar *tar = verify_tar_new(member, files);
    struct base_taker taker = { .spec = spec, .tar = tar };
    int rc = verify_read(spec, ref, verify_tar_take, &taker);

    return rc < 0 ? rc : verify_blame(spec, verify_tar_end(tar));
}

/* ---- all members ---- */

struct verify_run {
    const struct verify_spec *spec;
    enum verify_depth depth;
    struct backup_files *files; /* of a base backup that is decrypted; else NULL */
    pthread_mutex_t lock;
    size_t next;
    struct error error, cold; /* the first ones */
};

static int
verify_member(const struct verify_run *run, const struct manifest_member *member)
{
    const struct manifest *manifest = run->spec->manifest;
    CLEANUP_FREE char *key = label_object(manifest->cluster, manifest->id, member->object);
    struct member_ref ref = verify_ref(member, key);
    int rc;

    if (run->files != NULL && strcmp(member->role, ROLE_FILES) == 0)
        return 0; /* it was the first to be read */
    if (run->files != NULL && verify_is_tar(member))
        return verify_tar(run->spec, member, &ref, run->files);
    if (run->depth == VERIFY_PLAIN)
        return verify_deep(run->spec, member, &ref);
    if (run->depth == VERIFY_CONFIRMED)
        rc = member_check_size(run->spec->storage, &ref);
    else
        rc = member_check_stored(run->spec->storage, &ref, NULL, NULL);
    progress_add(NULL, member->plain_size);
    return rc;
}

static void
verify_take_error(struct error *error, int code)
{
    if (error->code == 0)
        error_take(code, error);
}

static void *
verify_thread(void *arg)
{
    struct verify_run *run = arg;
    const struct manifest *manifest = run->spec->manifest;

    (void)pthread_mutex_lock(&run->lock);
    while (run->error.code == 0 && run->next < manifest->member_count) {
        const struct manifest_member *member = &manifest->members[run->next++];
        int rc;

        (void)pthread_mutex_unlock(&run->lock);
        rc = verify_member(run, member);
        (void)pthread_mutex_lock(&run->lock);
        if (rc == PGCASK_COLD) /* those that can be read are read all the same */
            verify_take_error(&run->cold, rc);
        else if (rc < 0)
            verify_take_error(&run->error, rc);
    }
    (void)pthread_mutex_unlock(&run->lock);
    return NULL;
}

/* The manifest as this store has it: what the caller knows may come from a local cache, or from another store. */
static int
verify_manifest(const struct verify_spec *spec)
{
    const struct manifest *manifest = spec->manifest;
    CLEANUP_FREE char *key = label_object(manifest->cluster, manifest->id, LABEL_MANIFEST);
    CLEANUP_FREE char *name = mem_printf("store '%s': object '%s'", storage_name(spec->storage), key);
    CLEANUP_FREE char *known = NULL, *seen = NULL;
    CLEANUP(manifest_free) struct manifest *stored = NULL;
    CLEANUP_BUF struct buf data = BUF_INIT(MANIFEST_LIMIT_BYTES);
    int rc = storage_get_object(spec->storage, key, &data);

    if (rc == 0)
        rc = manifest_decode(name, data.data, data.len, &stored);
    if (rc < 0)
        return rc;
    known = manifest_encode(manifest);
    seen = manifest_encode(stored);
    if (strcmp(known, seen) != 0)
        return error_set(ERROR_CORRUPT, "%s is another manifest than the one known of this backup", name);
    return 0;
}

static int
verify_members(const struct verify_spec *spec, enum verify_depth depth)
{
    struct verify_run run = { .spec = spec, .depth = depth };
    CLEANUP(backup_files_free) struct backup_files *files = NULL;
    pthread_t *threads;
    unsigned started = 0;
    int rc = 0;

    progress_begin("verify", manifest_plain_size(spec->manifest));
    if (depth == VERIFY_PLAIN && spec->manifest->base != NULL)
        rc = verify_files(spec, &files);
    if (rc < 0) {
        progress_end();
        return rc;
    }
    run.files = files;
    threads = mem_realloc_array(NULL, spec->streams, sizeof *threads);
    (void)pthread_mutex_init(&run.lock, NULL);
    while (started + 1 < spec->streams && pthread_create(&threads[started], NULL, verify_thread, &run) == 0)
        started++;
    (void)verify_thread(&run); /* this thread is one of them */
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    progress_end();
    (void)pthread_mutex_destroy(&run.lock);
    free(threads);
    if (run.error.code != 0)
        error_free(&run.cold);
    rc = error_put(run.error.code != 0 ? &run.error : &run.cold);
    return rc == 0 && files != NULL ? verify_blame(spec, verify_base_end(files)) : rc;
}

int
verify_copy(const struct verify_spec *spec, enum verify_depth *ret_depth)
{
    bool deep = spec->deep && verify_can_decrypt(spec->manifest, spec->identities);
    enum verify_depth depth = deep ? VERIFY_PLAIN : VERIFY_STORED;
    int rc = verify_manifest(spec);

    if (rc == 0)
        rc = verify_members(spec, depth);
    if (rc < 0)
        return cancel_or(rc);
    if (ret_depth != NULL)
        *ret_depth = depth;
    log_info("store '%s': backup '%s' is as its manifest says (%s)", storage_name(spec->storage), spec->manifest->id,
             !deep ? "stored digests" : spec->manifest->base != NULL ? "each file as PostgreSQL's list says"
                                                                      : "decrypted and decompressed");
    return 0;
}

int
verify_confirm(const struct verify_spec *spec)
{
    int rc = verify_manifest(spec);

    if (rc == 0)
        rc = verify_members(spec, VERIFY_CONFIRMED);
    if (rc < 0)
        return cancel_or(rc);
    log_info("store '%s': backup '%s' is in cold storage and cannot be read back: its sizes are as its manifest says, and "
             "the store confirmed each checksum when it took the bytes", storage_name(spec->storage), spec->manifest->id);
    return 0;
}

bool
verify_is_bad(int rc)
{
    return rc == ERROR_CORRUPT || rc == PGCASK_NOT_FOUND;
}

int
verify_record(struct storage *storage, const struct manifest *manifest, enum verify_depth depth, const char *problem)
{
    static const char *const depths[] = {
        [VERIFY_STORED] = "stored",
        [VERIFY_PLAIN] = "plain",
        [VERIFY_CONFIRMED] = "confirmed",
    };
    CLEANUP_JSON json_t *row = json_object();
    int64_t now_s = clock_now_s();
    CLEANUP_FREE char *time = clock_iso(now_s);
    CLEANUP_FREE char *key = label_verdict(manifest->cluster, manifest->id, now_s, problem == NULL);
    CLEANUP_FREE char *text = NULL;
    int rc;

    (void)json_object_set_new(row, "format", json_integer(1));
    (void)json_object_set_new(row, "kind", json_string("verify"));
    (void)json_object_set_new(row, "backup", json_text(manifest->id));
    (void)json_object_set_new(row, "time", json_text(time));
    (void)json_object_set_new(row, "tool", json_text("pgcask " PACKAGE_VERSION));
    (void)json_object_set_new(row, "depth", json_string(depths[depth]));
    (void)json_object_set_new(row, "good", json_boolean(problem == NULL));
    if (problem != NULL)
        (void)json_object_set_new(row, "problem", json_text(problem));
    text = json_pretty(row);
    rc = storage_put_object(storage, key, text, strlen(text), true);
    if (rc != PGCASK_EXISTS)
        return rc;
    error_clear(); /* two of the same second and outcome say the same */
    return 0;
}
