/* SPDX-License-Identifier: PostgreSQL
 *
 * The members of a backup on their way to another store, several at once:
 *
 *   store A ─► stored bytes, digests compared ─► outlet: parts, queues ─► store B
 *
 * What the target has already is proven or replaced; a source whose object is bad
 * is left for the next one.
 */
#include "config.h"

#include "pipeline/copy-private.h"

#include "base/log.h"
#include "catalog/label.h"
#include "pipeline/progress.h"
#include "pipeline/verify.h"
#include "stage/stored-reader.h"

#include <stdlib.h>
#include <string.h>

enum { COPY_STREAMS_MAX = 4 };

/* ---- one member from one source ---- */

struct copy_stream {
    struct outlet_object *object;
    bool refused; /* by the target */
};

static int
copy_take(void *ctx, const void *data, size_t len)
{
    struct copy_stream *stream = ctx;
    int rc = outlet_write(stream->object, data, len);

    stream->refused = rc < 0;
    progress_add(NULL, len);
    return rc;
}

/* The digests are compared before the commit. `ret_target`: is the error one of the target? */
static int
copy_stream(struct copy_run *run, struct storage *source, const struct member_ref *ref, bool *ret_target)
{
    struct copy_stream stream = { 0 };
    uint64_t size;
    int rc = outlet_begin(run->outlet, ref->key, ref->stored_size, &stream.object);

    *ret_target = true;
    if (rc < 0)
        return rc;
    rc = stored_read(source, ref, copy_take, &stream);
    if (rc == 0)
        return outlet_commit(stream.object, &size);
    *ret_target = stream.refused;
    outlet_abort(stream.object);
    return rc;
}

static int
copy_discard(void *ctx, const void *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return 0;
}

/* What is in the way goes. Where the target's backup is one that can be seen, its bad member may be better than none: it goes
 * only when the source is known to have a good one. */
static int
copy_make_room(struct copy_run *run, struct storage *source, const struct member_ref *ref, bool *ret_target)
{
    int rc = run->visible ? stored_read(source, ref, copy_discard, NULL) : 0;

    *ret_target = false;
    if (rc < 0)
        return rc;
    *ret_target = true;
    return storage_remove(run->spec->target, ref->key);
}

/* ---- one member from whoever has it ---- */

void
copy_blame(struct copy_run *run, size_t source, int code)
{
    struct copy_source *blamed = &run->spec->sources[source];

    (void)pthread_mutex_lock(&run->lock);
    if (verify_is_bad(code)) {
        blamed->bad = true;
        if (run->problems[source] == NULL)
            run->problems[source] = mem_strdup(error_text());
    } else if (code != PGCASK_COLD)
        blamed->failed = true;
    (void)pthread_mutex_unlock(&run->lock);
}

static int
copy_target_error(struct copy_run *run, int code)
{
    (void)pthread_mutex_lock(&run->lock);
    run->result->target_failed |= code != PGCASK_EXISTS && code != ERROR_CANCELLED;
    (void)pthread_mutex_unlock(&run->lock);
    return code;
}

/* From one source; `replace`: the target has a bad one, which is gone when that becomes false. */
static int
copy_try(struct copy_run *run, size_t i, const struct member_ref *ref, bool *replace, bool *ret_target)
{
    struct storage *source = run->spec->sources[i].storage;
    int rc = *replace ? copy_make_room(run, source, ref, ret_target) : 0;

    if (rc < 0)
        return rc; /* what cannot be removed there says nothing of what can be written */
    *replace = false;
    rc = copy_stream(run, source, ref, ret_target);
    return rc < 0 && *ret_target ? copy_target_error(run, rc) : rc;
}

static int
copy_from(struct copy_run *run, const struct member_ref *ref, bool replace)
{
    size_t count = run->spec->source_count;
    struct error cold = { 0 };
    bool target = false;
    int rc = PGCASK_NOT_FOUND;

    for (size_t i = 0; i < count; i++) {
        rc = copy_try(run, i, ref, &replace, &target);
        if (rc == 0 || target || rc == ERROR_CANCELLED)
            break;
        copy_blame(run, i, rc);
        if (i + 1 == count)
            break;
        if (rc == PGCASK_COLD && cold.code == 0) {
            error_take(rc, &cold);
            (void)error_set(rc, "%s", cold.text);
        }
        log_slot_warn("trying the next store");
    }
    if (cold.code != 0 && rc < 0 && !target && rc != ERROR_CANCELLED) {
        if (rc != PGCASK_COLD)
            log_slot_warn("and no other store has it at hand");
        return error_put(&cold);
    }
    error_free(&cold);
    return rc;
}

/* ---- what the target has ---- */

static const struct storage_object *
copy_present(const struct copy_run *run, const char *key)
{
    for (size_t i = 0; i < run->present.len; i++)
        if (strcmp(run->present.objects[i].key, key) == 0)
            return &run->present.objects[i];
    return NULL;
}

/* 1: it is good, 0: it is bad, and the slot says why. */
static int
copy_prove(struct copy_run *run, const struct member_ref *ref, const struct storage_object *object)
{
    int rc;

    if (object->size != ref->stored_size && !storage_object_hides_size(object)) {
        (void)error_set(ERROR_CORRUPT, "store '%s': object '%s' has %llu bytes, the manifest says %llu",
                        storage_name(run->spec->target), ref->key, (unsigned long long)object->size,
                        (unsigned long long)ref->stored_size);
        return 0;
    }
    rc = member_check_stored(run->spec->target, ref, NULL, NULL);
    if (rc == 0)
        return 1;
    if (rc == PGCASK_COLD && run->spec->bad) {
        (void)error_set(ERROR_CORRUPT, "store '%s': object '%s' is in cold storage, and the backup was bad when it was last read",
                        storage_name(run->spec->target), ref->key);
        return 0;
    }
    if (rc == PGCASK_COLD) { /* it became visible only after its digest was compared */
        log_debug("%s: taken as it is", error_text());
        error_clear();
        return 1;
    }
    return verify_is_bad(rc) ? 0 : copy_target_error(run, rc);
}

static int
copy_member(struct copy_run *run, const struct manifest_member *member, bool *ret_copied)
{
    CLEANUP_FREE char *key = label_object(run->spec->cluster, run->spec->id, member->object);
    const struct member_ref ref = verify_ref(member, key);
    const struct storage_object *object = copy_present(run, key);
    int rc;

    *ret_copied = false;
    if (object != NULL) {
        rc = copy_prove(run, &ref, object);
        if (rc == 1)
            progress_add(NULL, member->stored_size);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        if (run->visible)
            log_slot_warn("it is replaced");
        else /* of a run that did not come to its end */
            log_info("%s: it is replaced", error_text());
        error_clear();
    }
    rc = copy_from(run, &ref, object != NULL);
    *ret_copied = rc == 0;
    return rc;
}

/* ---- all of them ---- */

static void *
copy_thread(void *arg)
{
    struct copy_run *run = arg;
    const struct manifest *manifest = run->manifest;

    (void)pthread_mutex_lock(&run->lock);
    while (run->error.code == 0 && run->next < manifest->member_count) {
        size_t i = run->next++;
        bool copied;
        int rc;

        if (run->done[i])
            continue;
        (void)pthread_mutex_unlock(&run->lock);
        rc = copy_member(run, &manifest->members[i], &copied);
        (void)pthread_mutex_lock(&run->lock);
        run->done[i] = rc == 0;
        if (rc == 0 && copied) {
            run->result->copied++;
            run->result->bytes += manifest->members[i].stored_size;
        }
        if (rc < 0 && run->error.code == 0)
            error_take(rc, &run->error);
    }
    (void)pthread_mutex_unlock(&run->lock);
    return NULL;
}

static unsigned
copy_streams(const struct copy_run *run)
{
    unsigned streams = storage_parallel(run->spec->target);

    if (streams > COPY_STREAMS_MAX)
        streams = COPY_STREAMS_MAX;
    return run->manifest->member_count < streams ? (unsigned)run->manifest->member_count : streams;
}

int
copy_members(struct copy_run *run)
{
    unsigned streams = copy_streams(run), started = 0;
    pthread_t threads[COPY_STREAMS_MAX];
    int rc = outlet_new(&run->spec->target, 1, streams, &run->outlet);

    if (rc < 0)
        return copy_target_error(run, rc);
    run->next = 0;
    while (started + 1 < streams && pthread_create(&threads[started], NULL, copy_thread, run) == 0)
        started++;
    (void)copy_thread(run); /* this thread is one of them */
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    outlet_free(run->outlet);
    run->outlet = NULL;
    return error_put(&run->error);
}
