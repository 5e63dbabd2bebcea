/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "catalog/wal-list.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int
wal_name_compare(const struct wal_name *a, const struct wal_name *b)
{
    int order = COMPARE(a->timeline, b->timeline);

    if (order == 0)
        order = COMPARE(b->file == WAL_HISTORY, a->file == WAL_HISTORY);
    if (order == 0)
        order = COMPARE(a->log, b->log);
    if (order == 0)
        order = COMPARE(a->piece, b->piece);
    if (order == 0)
        order = COMPARE(a->file, b->file);
    return order != 0 ? order : COMPARE(a->offset, b->offset);
}

static int
wal_row_compare(const void *a, const void *b)
{
    const struct wal_row *one = a, *two = b;
    int order = wal_name_compare(&one->name, &two->name);

    if (order == 0)
        order = strcmp(one->digest, two->digest);
    if (order == 0)
        order = COMPARE(one->store, two->store);
    return order != 0 ? order : COMPARE(one->sealed, two->sealed);
}

static void
wal_list_take(const char *cluster, size_t store, const struct storage_object *object, struct wal_list *list)
{
    CLEANUP_LABEL_WAL struct label_wal wal = { 0 };
    struct wal_row *row;

    if (label_wal_parse(cluster, object->key, &wal) < 0) {
        log_slot_warn("ignoring that object");
        return;
    }
    MEM_GROW(list->rows, list->len, list->cap);
    row = &list->rows[list->len++];
    *row = (struct wal_row){
        .name = wal.name,
        .sealed = wal.sealed,
        .store = store,
        .size = object->size,
        .mtime_s = object->mtime_s,
        .tier = object->tier,
    };
    memcpy(row->digest, wal.digest, sizeof row->digest);
}

int
wal_list_add_prefix(struct storage *storage, size_t store, const char *cluster, const char *prefix,
                    struct wal_list *list)
{
    CLEANUP_STORAGE_LIST struct storage_list objects = { 0 };
    int rc = storage_list(storage, prefix, &objects);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < objects.len; i++)
        wal_list_take(cluster, store, &objects.objects[i], list);
    if (list->len > 0)
        qsort(list->rows, list->len, sizeof *list->rows, wal_row_compare);
    return 0;
}

int
wal_list_add(struct storage *storage, size_t store, const char *cluster, const char *system_identifier,
             struct wal_list *list)
{
    CLEANUP_FREE char *prefix = label_wal_cluster(cluster, system_identifier);

    if (list->system_identifier == NULL)
        list->system_identifier = mem_strdup(system_identifier);
    return wal_list_add_prefix(storage, store, cluster, prefix, list);
}

int
wal_list_load(struct storage *storage, const char *cluster, const char *system_identifier, struct wal_list *ret_list)
{
    CLEANUP_WAL_LIST struct wal_list list = { 0 };
    int rc = wal_list_add(storage, 0, cluster, system_identifier, &list);

    if (rc < 0)
        return rc;
    *ret_list = list;
    list = (struct wal_list){ 0 };
    return 0;
}

void
wal_list_free(struct wal_list *list)
{
    free(list->system_identifier);
    free(list->rows);
    *list = (struct wal_list){ 0 };
}

void
cleanup_wal_list(struct wal_list *list)
{
    wal_list_free(list);
}

const struct wal_row *
wal_list_find(const struct wal_list *list, const struct wal_name *name, size_t *ret_count)
{
    size_t low = 0, high = list->len, end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (wal_name_compare(&list->rows[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    end = low;
    while (end < list->len && wal_name_compare(&list->rows[end].name, name) == 0)
        end++;
    *ret_count = end - low;
    return end > low ? &list->rows[low] : NULL;
}

char *
wal_row_key(const struct wal_row *row, const char *cluster, const char *system_identifier)
{
    return label_wal(cluster, system_identifier, &row->name, row->digest, row->sealed);
}

int
wal_list_systems(struct storage *storage, const char *cluster, struct strv *systems)
{
    CLEANUP_STORAGE_LIST struct storage_list objects = { 0 };
    CLEANUP_FREE char *prefix = label_wals(cluster);
    int rc = storage_list(storage, prefix, &objects);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < objects.len; i++) {
        CLEANUP_LABEL_WAL struct label_wal wal = { 0 };

        if (label_wal_parse(cluster, objects.objects[i].key, &wal) < 0)
            log_slot_warn("ignoring that object");
        else if (!strv_has(systems, wal.system_identifier))
            strv_add(systems, wal.system_identifier);
    }
    strv_sort(systems);
    return 0;
}
