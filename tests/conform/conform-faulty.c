/* SPDX-License-Identifier: PostgreSQL
 *
 * The example plugin with one fault, chosen by FAULT: what real stores and their authors get wrong. For each,
 * test-conform.sh knows which check of the conformance suite must fail; a check that nothing can fail is no check.
 */
#include <pgcask-plugin.h>

#undef PGCASK_REGISTER_STORAGE
#define PGCASK_REGISTER_STORAGE(plugin)
#include "../../plugins/example/example.c"

#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

enum {
    NONE,
    COMMIT_REPLACES,  /* whoever commits last wins */
    BEGIN_REPLACES,   /* an existing object is removed when a new one begins */
    VISIBLE_EARLY,    /* the object is there from put_begin on */
    ABORT_COMMITS,    /* what was sent stays */
    PARTS_APPENDED,   /* the offset is ignored */
    EMPTY_REFUSED,    /* an object without parts is "not found" on commit, as in a multipart upload */
    SHORT_READ,       /* past the end: zeros and success */
    RANGE_OFF,        /* the last byte of a range is missing */
    STAT_BIGGER,      /* stat counts a trailing byte */
    STAT_DIRECTORY,   /* stat finds what is only the beginning of keys */
    STAT_SILENT,      /* an error without a text */
    TIME_IN_MS,       /* time in another unit */
    LIST_ONE_PAGE,    /* the list ends after its first page */
    LIST_DIRECTORY,   /* a prefix is taken for a directory */
    PLUS_IS_BLANK,    /* the wrong kind of URL decoding */
    CASE_FOLDED,      /* as on file systems that ignore case */
    KEYS_CUT,         /* at 255 bytes */
    REMOVE_MISSING,   /* removing what is gone is an error */
    REMOVE_PREFIX,    /* removing takes along all that begins so */
    REMOVE_NOTHING,   /* and this one takes nothing at all */
    SWEEP_OBJECTS,    /* sweep takes committed objects */
    HANDLES_APART,    /* each handle has objects of its own */
    THREADS_LIE       /* not as parallel as it says */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The key that the faulty store makes of a key; in one of a few buffers, which is enough for one call. */
static const char *
spoil(const char *key)
{
    static __thread char spoiled[1100];

    (void)snprintf(spoiled, FAULT == KEYS_CUT ? 256 : sizeof spoiled, "%s", key);
    for (char *p = spoiled; *p != '\0'; p++) {
        if (FAULT == PLUS_IS_BLANK && *p == '+')
            *p = ' ';
        if (FAULT == CASE_FOLDED && *p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    }
    return spoiled;
}

static int
faulty_open(const void *settings, unsigned flags, void **ret_handle)
{
    static struct settings apart[4];
    static char labels[4][32];
    static size_t count;

    if (FAULT != HANDLES_APART)
        return example_open(settings, flags, ret_handle);
    apart[count % 4] = *(const struct settings *)settings;
    (void)snprintf(labels[count % 4], sizeof labels[0], "apart-%zu", count);
    apart[count % 4].label = labels[count % 4];
    return example_open(&apart[count++ % 4], flags, ret_handle);
}

static void
drop(struct handle *handle, const char *key)
{
    (void)example_remove(handle, key);
}

static int
faulty_put_begin(void *opaque, const struct pgcask_put *put, void **ret_upload)
{
    struct handle *handle = opaque;
    struct upload *upload;
    int rc;

    (void)pthread_mutex_lock(&lock);
    if (FAULT == BEGIN_REPLACES)
        drop(handle, pgcask_put_key(put));
    rc = FAULT == CASE_FOLDED && find(handle->memory, spoil(pgcask_put_key(put))) != NULL
             ? exists(pgcask_put_key(put))
             : example_put_begin(opaque, put, ret_upload);
    if (rc == 0) {
        upload = *ret_upload;
        free(upload->object->key);
        upload->object->key = strdup(spoil(pgcask_put_key(put)));
    }
    if (rc == 0 && FAULT == VISIBLE_EARLY) {
        upload = *ret_upload;
        upload->object->next = handle->memory->objects;
        handle->memory->objects = upload->object;
    }
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

static int
faulty_put_part(void *handle, void *opaque, uint32_t number, uint64_t offset, const void *data, size_t size)
{
    static unsigned char shared[1 << 20];
    struct upload *upload = opaque;
    int rc;

    if (FAULT == THREADS_LIE && size <= sizeof shared) {
        memcpy(shared, data, size);
        (void)usleep(3000);
        data = shared;
    }
    (void)pthread_mutex_lock(&lock);
    rc = example_put_part(handle, opaque, number, FAULT == PARTS_APPENDED ? upload->object->size : offset, data, size);
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

static int
faulty_put_commit(void *opaque, void *opaque_upload, uint64_t size)
{
    struct handle *handle = opaque;
    struct upload *upload = opaque_upload;
    int rc;

    if (FAULT == EMPTY_REFUSED && size == 0) {
        pgcask_error("'%s': no parts", upload->object->key);
        return PGCASK_NOT_FOUND;
    }
    if (FAULT == VISIBLE_EARLY) {
        free(upload);
        return 0;
    }
    (void)pthread_mutex_lock(&lock);
    if (FAULT == COMMIT_REPLACES)
        drop(handle, upload->object->key);
    if (FAULT == PARTS_APPENDED)
        size = upload->object->size;
    rc = example_put_commit(opaque, opaque_upload, size);
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

static int
faulty_put_abort(void *handle, void *opaque)
{
    struct upload *upload = opaque;

    if (FAULT == VISIBLE_EARLY) {
        free(upload);
        return 0;
    }
    if (FAULT == ABORT_COMMITS && faulty_put_commit(handle, upload, upload->object->size) == 0)
        return 0;
    return example_put_abort(handle, opaque);
}

static int
faulty_get(void *handle, const char *key, uint64_t offset, void *data, size_t size)
{
    int rc;

    (void)pthread_mutex_lock(&lock);
    rc = example_get(handle, spoil(key), offset, data, size);
    (void)pthread_mutex_unlock(&lock);
    if (FAULT == SHORT_READ && rc == PGCASK_FAILED) {
        memset(data, 0, size);
        return 0;
    }
    if (FAULT == RANGE_OFF && offset > 0)
        ((unsigned char *)data)[size - 1] = 0;
    return rc;
}

static int
stat_found(const struct object *object, const char *key, struct pgcask_listing *listing)
{
    return pgcask_listing_add(listing, key, object->size + (FAULT == STAT_BIGGER ? 1 : 0),
                              FAULT == TIME_IN_MS ? object->mtime_s * 1000 : object->mtime_s);
}

static int
faulty_stat(void *opaque, const char *key, struct pgcask_listing *listing)
{
    struct handle *handle = opaque;
    const struct object *object;
    int rc;

    (void)pthread_mutex_lock(&lock);
    object = find(handle->memory, spoil(key));
    if (object == NULL && FAULT == STAT_DIRECTORY)
        for (object = handle->memory->objects; object != NULL; object = object->next)
            if (strncmp(object->key, key, strlen(key)) == 0 && object->key[strlen(key)] == '/')
                break;
    if (object != NULL)
        rc = stat_found(object, key, listing);
    else
        rc = FAULT == STAT_SILENT ? PGCASK_NOT_FOUND : not_found(key);
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

static int
faulty_list(void *opaque, const char *prefix, struct pgcask_listing *listing)
{
    struct handle *handle = opaque;
    size_t page = 0, len = strlen(prefix);
    int rc = 0;

    (void)pthread_mutex_lock(&lock);
    for (const struct object *object = handle->memory->objects; rc == 0 && object != NULL; object = object->next) {
        if (strncmp(object->key, prefix, len) != 0)
            continue;
        if (FAULT == LIST_ONE_PAGE && ++page > 1000)
            break;
        if (FAULT == LIST_DIRECTORY && len > 0 && prefix[len - 1] != '/' && object->key[len] != '/' &&
            object->key[len] != '\0')
            continue;
        rc = pgcask_listing_add(listing, object->key, object->size, object->mtime_s);
    }
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

static int
faulty_remove(void *opaque, const char *key)
{
    struct handle *handle = opaque;
    struct object *object, *next;
    int rc = 0;

    (void)pthread_mutex_lock(&lock);
    if (FAULT == REMOVE_MISSING && find(handle->memory, key) == NULL)
        rc = not_found(key);
    for (object = handle->memory->objects; FAULT == REMOVE_PREFIX && object != NULL; object = next) {
        next = object->next;
        if (strncmp(object->key, key, strlen(key)) == 0)
            drop(handle, object->key);
    }
    if (rc == 0 && FAULT != REMOVE_NOTHING)
        rc = example_remove(opaque, spoil(key));
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

static int
faulty_sweep(void *opaque, int64_t before_s, uint64_t *ret_count)
{
    struct handle *handle = opaque;
    struct object *object, *next;

    *ret_count = 0;
    for (object = handle->memory->objects; FAULT == SWEEP_OBJECTS && object != NULL; object = next) {
        next = object->next;
        if (object->mtime_s < before_s)
            drop(handle, object->key);
    }
    return 0;
}

PGCASK_EXPORT const struct pgcask_storage_plugin *pgcask_storage_plugin_v1(void);

PGCASK_EXPORT const struct pgcask_storage_plugin *
pgcask_storage_plugin_v1(void)
{
    static struct pgcask_storage_plugin faulty;

    faulty = example;
    faulty.name = "faulty";
    faulty.thread_model = PGCASK_THREADS_PARALLEL;
    faulty.open = faulty_open;
    faulty.put_begin = faulty_put_begin;
    faulty.put_part = faulty_put_part;
    faulty.put_commit = faulty_put_commit;
    faulty.put_abort = faulty_put_abort;
    faulty.get = faulty_get;
    faulty.stat = faulty_stat;
    faulty.list = faulty_list;
    faulty.remove = faulty_remove;
    faulty.sweep = faulty_sweep;
    return &faulty;
}
