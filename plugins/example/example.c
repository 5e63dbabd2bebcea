/* SPDX-License-Identifier: PostgreSQL
 *
 * Storage plugin "example": objects in memory. Written to be copied: everything that pgcask demands of a store is
 * here, and nothing else. See pgcask-plugin(3) for the contract of each callback, and the README for how to build it.
 *
 * Nothing outlives the process, so this is no place for a backup.
 */
#include <pgcask-plugin.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- settings: one struct, one row for each field ---------------------------------------------------------------- */

/* pgcask allocates it, fills it from [store NAME], and keeps it until close. There may be several stores of this
 * plugin at once, so settings live here and never in variables at file scope. */
struct settings {
    const char *label;   /* STRING, ENUM, PATH, LIST and SECRET are const char * */
    int64_t capacity;    /* INT, SIZE (bytes) and DURATION (milliseconds) are int64_t; BOOL is int */
    int64_t max_objects;
};

static const struct pgcask_option options[] = {
    { .name = "label", .type = PGCASK_OPTION_STRING, .flags = PGCASK_OPTION_REQUIRED,
      .help = "which memory: stores with the same label share their objects",
      .offset = offsetof(struct settings, label) },
    { .name = "capacity", .type = PGCASK_OPTION_SIZE, .fallback = "256MiB", .min = 1, .max = INT64_C(1) << 40,
      .help = "bytes that all objects together may have", .offset = offsetof(struct settings, capacity) },
    { .name = "max_objects", .type = PGCASK_OPTION_INT, .fallback = "10000", .min = 1, .max = 1000000,
      .help = "how many objects there may be", .offset = offsetof(struct settings, max_objects) },
};

/* --- the memory -------------------------------------------------------------------------------------------------- */

struct object {
    struct object *next;
    char *key;
    unsigned char *data;
    uint64_t size;
    int64_t mtime_s;
};

/* What a bucket or a directory is for a real store. It outlives the handles, as those do. */
struct memory {
    struct memory *next;
    char *label;
    struct object *objects;
    uint64_t used; /* bytes */
    int64_t count;
};
static struct memory *memories;

/* What `open` returns: one for each opened store. */
struct handle {
    const struct settings *settings;
    struct memory *memory;
};

/* What `put_begin` returns: an object that nobody can see yet. */
struct upload {
    struct object *object;
    size_t room; /* bytes allocated at object->data */
};

/* Every answer below 0 needs a text. Say what was seen and what is wanted; pgcask adds the name of the store. */
static int
out_of_memory(void)
{
    pgcask_error("out of memory");
    return PGCASK_FAILED;
}

static struct object *
find(const struct memory *memory, const char *key)
{
    for (struct object *object = memory->objects; object != NULL; object = object->next)
        if (strcmp(object->key, key) == 0)
            return object;
    return NULL;
}

static int
not_found(const char *key)
{
    pgcask_error("there is no object '%s'", key);
    return PGCASK_NOT_FOUND;
}

static int
exists(const char *key)
{
    pgcask_error("object '%s' exists", key);
    return PGCASK_EXISTS;
}

static void
free_object(struct object *object)
{
    if (object == NULL)
        return;
    free(object->key);
    free(object->data);
    free(object);
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

static struct memory *
find_or_make_memory(const char *label)
{
    struct memory *memory;

    for (memory = memories; memory != NULL; memory = memory->next)
        if (strcmp(memory->label, label) == 0)
            return memory;
    memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return NULL;
    memory->label = strdup(label);
    if (memory->label == NULL) {
        free(memory);
        return NULL;
    }
    memory->next = memories;
    memories = memory;
    return memory;
}

/* A real store would connect here, and see that the place is there and may be used: `pgcask check` relies on it. */
static int
example_open(const void *settings, unsigned flags, void **ret_handle)
{
    struct handle *handle = calloc(1, sizeof *handle);

    (void)flags; /* PGCASK_OPEN_READONLY: pgcask itself sees to it that nothing is written */
    if (handle == NULL)
        return out_of_memory();
    handle->settings = settings;
    handle->memory = find_or_make_memory(handle->settings->label);
    if (handle->memory == NULL) {
        free(handle);
        return out_of_memory();
    }
    *ret_handle = handle;
    return PGCASK_OK;
}

static void
example_close(void *handle)
{
    free(handle);
}

/* Small parts suit memory. Without this callback: at least 1 byte, 16 MiB preferred, at most 5 GiB, 10000 parts. */
static int
example_part_limits(void *handle, struct pgcask_limits *limits)
{
    (void)handle;
    pgcask_limits_set(limits, 1, UINT64_C(1) << 20, 0, 0);
    return PGCASK_OK;
}

/* --- writing: put_begin, put_part for each part, then put_commit or put_abort ------------------------------------ */

static int
example_put_begin(void *opaque, const struct pgcask_put *put, void **ret_upload)
{
    struct handle *handle = opaque;
    struct upload *upload;

    if (find(handle->memory, pgcask_put_key(put)) != NULL)
        return exists(pgcask_put_key(put));
    upload = calloc(1, sizeof *upload);
    if (upload == NULL)
        return out_of_memory();
    upload->object = calloc(1, sizeof *upload->object);
    if (upload->object != NULL)
        upload->object->key = strdup(pgcask_put_key(put)); /* `put` is gone after put_commit: copy what is kept */
    if (upload->object == NULL || upload->object->key == NULL) {
        free_object(upload->object);
        free(upload);
        return out_of_memory();
    }
    *ret_upload = upload;
    return PGCASK_OK;
}

/* Parts come in any order, and again after PGCASK_RETRY; `offset` says where each belongs. */
static int
example_put_part(void *opaque, void *opaque_upload, uint32_t number, uint64_t offset, const void *data, size_t size)
{
    struct handle *handle = opaque;
    struct upload *upload = opaque_upload;
    struct object *object = upload->object;
    uint64_t capacity = (uint64_t)handle->settings->capacity;
    uint64_t end;

    (void)number; /* stores that number their parts, such as S3, use this one */
    if (offset > capacity || size > capacity - offset) {
        pgcask_error("'%s' would have more than the %" PRIu64 " bytes of 'capacity'", object->key, capacity);
        pgcask_hint("raise 'capacity'");
        return PGCASK_FAILED;
    }
    end = offset + size;
    if (end > upload->room) {
        unsigned char *grown = realloc(object->data, (size_t)end);

        if (grown == NULL)
            return out_of_memory();
        memset(grown + upload->room, 0, (size_t)end - upload->room);
        object->data = grown;
        upload->room = (size_t)end;
    }
    memcpy(object->data + offset, data, size);
    if (end > object->size)
        object->size = end;
    return PGCASK_OK;
}

/* Durable, visible, of the right size, and never in place of another object: then, and only then, success. */
static int
example_put_commit(void *opaque, void *opaque_upload, uint64_t size)
{
    struct handle *handle = opaque;
    struct upload *upload = opaque_upload;
    struct object *object = upload->object;
    struct memory *memory = handle->memory;

    if (object->size != size) {
        pgcask_error("'%s' has %" PRIu64 " bytes, wanted %" PRIu64, object->key, object->size, size);
        return PGCASK_FAILED; /* put_abort follows and frees the upload */
    }
    if (find(memory, object->key) != NULL)
        return exists(object->key); /* somebody was faster since put_begin */
    if (memory->count >= handle->settings->max_objects ||
        memory->used + size > (uint64_t)handle->settings->capacity) {
        pgcask_error("memory '%s' is full: %" PRId64 " objects with %" PRIu64 " bytes", memory->label, memory->count,
                     memory->used);
        pgcask_hint("raise 'capacity' or 'max_objects'");
        return PGCASK_FAILED;
    }
    object->mtime_s = (int64_t)time(NULL);
    object->next = memory->objects;
    memory->objects = object;
    memory->used += size;
    memory->count++;
    free(upload); /* after success the upload is gone; the object lives on */
    return PGCASK_OK;
}

static int
example_put_abort(void *handle, void *opaque_upload)
{
    struct upload *upload = opaque_upload;

    (void)handle;
    free_object(upload->object);
    free(upload);
    return PGCASK_OK;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

/* All of it or an error, never less: pgcask knows how long its objects are. */
static int
example_get(void *opaque, const char *key, uint64_t offset, void *data, size_t size)
{
    struct handle *handle = opaque;
    const struct object *object = find(handle->memory, key);

    if (object == NULL)
        return not_found(key);
    if (offset > object->size || size > object->size - offset) {
        pgcask_error("'%s' has %" PRIu64 " bytes, wanted %zu from %" PRIu64, key, object->size, size, offset);
        return PGCASK_FAILED;
    }
    memcpy(data, object->data + offset, size);
    return PGCASK_OK;
}

static int
example_stat(void *opaque, const char *key, struct pgcask_listing *listing)
{
    struct handle *handle = opaque;
    const struct object *object = find(handle->memory, key);

    if (object == NULL)
        return not_found(key);
    return pgcask_listing_add(listing, object->key, object->size, object->mtime_s);
}

/* More than asked for may be given: pgcask drops what does not begin with `prefix`. */
static int
example_list(void *opaque, const char *prefix, struct pgcask_listing *listing)
{
    struct handle *handle = opaque;

    (void)prefix;
    for (const struct object *object = handle->memory->objects; object != NULL; object = object->next) {
        int rc = pgcask_listing_add(listing, object->key, object->size, object->mtime_s);

        if (rc < 0)
            return rc;
    }
    return PGCASK_OK;
}

/* A missing object is success, so that a removal that was cut off can simply be repeated. */
static int
example_remove(void *opaque, const char *key)
{
    struct handle *handle = opaque;
    struct memory *memory = handle->memory;

    for (struct object **at = &memory->objects; *at != NULL; at = &(*at)->next) {
        struct object *object = *at;

        if (strcmp(object->key, key) != 0)
            continue;
        *at = object->next;
        memory->used -= object->size;
        memory->count--;
        free_object(object);
        break;
    }
    return PGCASK_OK;
}

/* --- the plugin -------------------------------------------------------------------------------------------------- */

static const struct pgcask_storage_plugin example = {
    PGCASK_STORAGE_INIT,
    .name = "example", /* the file must be called pgcask-example-storage.so */
    .version = "1",
    .summary = "objects in memory, gone when pgcask ends; a template for plugin authors",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(struct settings),
    /* Honest: nothing above takes a lock, and stores may share a memory. ONE is the safe choice for who copies this
     * and does not want to think about threads; PARALLEL is what makes a store over a network fast. */
    .thread_model = PGCASK_THREADS_ONE,
    .open = example_open,
    .close = example_close,
    .part_limits = example_part_limits,
    .put_begin = example_put_begin,
    .put_part = example_put_part,
    .put_commit = example_put_commit,
    .put_abort = example_put_abort,
    .get = example_get,
    .stat = example_stat,
    .list = example_list,
    .remove = example_remove,
    /* Left out: check_settings (no rules between options), sweep (an upload cut off leaves nothing), thaw (nothing
     * here is ever cold). pgcask-plugin(3) says what each would do. */
};
PGCASK_REGISTER_STORAGE(example)
