/* SPDX-License-Identifier: PostgreSQL
 *
 * A base backup of a data directory and a tablespace for tests: its tars, its
 * backup_manifest, and the steps by which it is brought back.
 */
#ifndef PGCASK_TESTS_UNIT_CLUSTER_H
#define PGCASK_TESTS_UNIT_CLUSTER_H

#include "pipeline/cluster-write.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/file.h"
#include "unit-backup-files.h"
#include "unit-dir.h"
#include "unit-tar.h"
#include "unit.h"

enum { LIMIT = 1 << 20 };

/* A backup of a data directory and the tablespace 16385. */
struct scene {
    struct manifest *manifest;
    struct buf base, space, rows;
    struct cluster_place place;
    struct backup_files *files;
    struct cluster_write write;
};

static inline void
scene_bytes(struct scene *scene, bool base, const char *name, const void *data, size_t len)
{
    uint32_t crc = crc32c_add(0, data, len);

    tar_file(base ? &scene->base : &scene->space, name, data, len);
    ck_assert_int_eq(buf_addf(&scene->rows,
                              "%s{ \"Path\": \"%s%s\", \"Size\": %zu, \"Checksum-Algorithm\": \"CRC32C\", "
                              "\"Checksum\": \"%02x%02x%02x%02x\" }",
                              scene->rows.len > 0 ? ",\n" : "", base ? "" : "pg_tblspc/16385/", name, len, crc & 0xFF,
                              crc >> 8 & 0xFF, crc >> 16 & 0xFF, crc >> 24),
                     0);
}

static inline void
scene_file(struct scene *scene, bool base, const char *name, const char *text)
{
    scene_bytes(scene, base, name, text, strlen(text));
}

static inline void
scene_make(struct scene *scene)
{
    struct manifest_tablespace *tablespace;

    *scene = (struct scene){ .base = BUF_INIT(LIMIT), .space = BUF_INIT(LIMIT), .rows = BUF_INIT(LIMIT) };
    scene->manifest = manifest_new();
    scene->manifest->id = mem_strdup("20261122T020000Z-base");
    scene->manifest->system_identifier = mem_strdup("4711");
    scene->manifest->server_version = 150020;
    scene->manifest->base = mem_zalloc(sizeof *scene->manifest->base);
    tablespace = manifest_add_tablespace(scene->manifest->base);
    tablespace->oid = mem_strdup("16385");
    tablespace->location = dir_path("space");
    scene_file(scene, true, "backup_label", "label");
    scene_file(scene, true, "PG_VERSION", "15\n");
    tar_add(&scene->base, "global", '5', "", 0700, "", 0);
    tar_add(&scene->base, "base/", '5', "", 0700, "", 0);
    tar_add(&scene->base, "pg_wal", '5', "", 0700, "", 0);
    tar_add(&scene->base, "pg_tblspc", '5', "", 0700, "", 0);
    tar_add(&scene->base, "pg_tblspc/16385", '2', "/elsewhere", 0777, "", 0);
    scene_file(scene, true, "base/1259", "classes");
    scene_file(scene, true, "base/empty", "");
    scene_file(scene, true, "global/pg_control", "control");
    tar_add(&scene->space, "PG_15_1", '5', "", 0700, "", 0);
    scene_file(scene, false, "PG_15_1/9", "nine");
}

static inline int
scene_plan(struct scene *scene, bool delta, const struct strv *mappings)
{
    CLEANUP_FREE char *data = dir_path("data");

    return place_plan(scene->manifest, data, mappings, geteuid() == 0 ? "root" : NULL, delta, &scene->place);
}

static inline int
scene_begin(struct scene *scene, bool delta)
{
    CLEANUP_BUF struct buf text = BUF_INIT(LIMIT);
    int rc = scene_plan(scene, delta, NULL);

    files_make(&text, scene->rows.data);
    if (rc == 0)
        rc = place_check(&scene->place, scene->manifest);
    if (rc == 0)
        rc = backup_files_read(text.data, text.len, &scene->files);
    if (rc == 0)
        rc = place_check_room(&scene->place, (const struct backup_files *const *)&scene->files, 1);
    if (rc < 0)
        return rc;
    ck_assert_int_eq(cluster_write_init(&scene->write, &scene->place, scene->files, NULL), 0);
    return place_begin(&scene->place, scene->manifest);
}

static inline int
scene_tar(struct scene *scene, size_t dir, const struct buf *bytes)
{
    CLEANUP(cluster_tar_free) struct cluster_tar *tar = cluster_tar_new(&scene->write, &scene->place.dirs[dir]);
    int rc = cluster_tar_add(tar, bytes->data, bytes->len);

    return rc < 0 ? rc : cluster_tar_end(tar);
}

/* All of it, as restore-cluster.c does it. */
static inline int
scene_run(struct scene *scene, bool delta)
{
    int rc = scene_begin(scene, delta);

    if (rc == 0 && delta)
        rc = cluster_delta(&scene->write, 2);
    if (rc == 0)
        rc = scene_tar(scene, 0, &scene->base);
    if (rc == 0)
        rc = scene_tar(scene, 1, &scene->space);
    if (rc == 0)
        rc = cluster_write_check(&scene->write);
    if (rc == 0 && delta)
        rc = cluster_delta_end(&scene->write);
    if (rc == 0)
        rc = place_finish(&scene->place, scene->write.control.data, scene->write.control.len);
    return rc;
}

static inline void
scene_free(struct scene *scene)
{
    cluster_write_free(&scene->write);
    place_free(&scene->place);
    backup_files_free(scene->files);
    manifest_free(scene->manifest);
    buf_free(&scene->base);
    buf_free(&scene->space);
    buf_free(&scene->rows);
}

static inline void
check_file(const char *name, const char *text)
{
    CLEANUP_FREE char *path = dir_path(name);
    CLEANUP_BUF struct buf seen = BUF_INIT(LIMIT);

    ck_assert_msg(file_read(path, &seen) == 0, "%s", error_text());
    ck_assert_str_eq(seen.len > 0 ? seen.data : "", text);
}

static inline bool
there(const char *name)
{
    CLEANUP_FREE char *path = dir_path(name);

    return access(path, F_OK) == 0;
}

static inline void
put(const char *name, const char *text)
{
    CLEANUP_FREE char *path = dir_path(name);

    ck_assert_int_eq(file_write(path, text, strlen(text)), 0);
}

#endif
