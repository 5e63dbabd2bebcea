/* SPDX-License-Identifier: PostgreSQL
 *
 * Tars into directories: what belongs is written and compared, what does not is refused, and nothing gets outside. With
 * delta what is right stays, and all else goes.
 */
#include "config.h"

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
#include "unit-incremental.h"
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

static void
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

static void
scene_file(struct scene *scene, bool base, const char *name, const char *text)
{
    scene_bytes(scene, base, name, text, strlen(text));
}

static void
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

static int
scene_plan(struct scene *scene, bool delta, const struct strv *mappings)
{
    CLEANUP_FREE char *data = dir_path("data");

    return place_plan(scene->manifest, data, mappings, geteuid() == 0 ? "root" : NULL, delta, &scene->place);
}

static int
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

static int
scene_tar(struct scene *scene, size_t dir, const struct buf *bytes)
{
    CLEANUP(cluster_tar_free) struct cluster_tar *tar = cluster_tar_new(&scene->write, &scene->place.dirs[dir]);
    int rc = cluster_tar_add(tar, bytes->data, bytes->len);

    return rc < 0 ? rc : cluster_tar_end(tar);
}

/* All of it, as restore-cluster.c does it. */
static int
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

static void
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

static void
check_file(const char *name, const char *text)
{
    CLEANUP_FREE char *path = dir_path(name);
    CLEANUP_BUF struct buf seen = BUF_INIT(LIMIT);

    ck_assert_msg(file_read(path, &seen) == 0, "%s", error_text());
    ck_assert_str_eq(seen.len > 0 ? seen.data : "", text);
}

static bool
there(const char *name)
{
    CLEANUP_FREE char *path = dir_path(name);

    return access(path, F_OK) == 0;
}

static void
put(const char *name, const char *text)
{
    CLEANUP_FREE char *path = dir_path(name);

    ck_assert_int_eq(file_write(path, text, strlen(text)), 0);
}

/* ---- a whole one ---- */

START_TEST(everything_is_there_at_the_end)
{
    CLEANUP_FREE char *data = dir_path("data"), *link = dir_path("data/pg_tblspc/16385"), *space = dir_path("space");
    CLEANUP_FREE char *leads = NULL;
    struct scene scene;

    scene_make(&scene);
    ck_assert_msg(scene_run(&scene, false) == 0, "%s", error_text());
    check_file("data/base/1259", "classes");
    check_file("data/base/empty", "");
    check_file("data/global/pg_control", "control");
    check_file("space/PG_15_1/9", "nine");
    leads = realpath(link, NULL);
    ck_assert_str_eq(leads, space);
    ck_assert(!there("data/" PLACE_MARKER));
    ck_assert_uint_eq(dir_mode(data), 0700);
    scene_free(&scene);
}
END_TEST

START_TEST(the_group_reads_what_it_could)
{
    CLEANUP_FREE char *data = dir_path("data"), *base = dir_path("data/base"), *file = dir_path("data/base/1");
    CLEANUP_FREE char *control = dir_path("data/global/pg_control");
    struct scene scene;
    uint32_t crc = crc32c_add(0, "x", 1);

    scene_make(&scene);
    scene.base.len = scene.space.len = scene.rows.len = 0;
    tar_add(&scene.base, "base", '5', "", 0750, "", 0);
    tar_add(&scene.base, "base/1", '0', "", 0640, "x", 1);
    tar_add(&scene.base, "global/pg_control", '0', "", 0640, "x", 1);
    (void)buf_addf(&scene.rows,
                   "{ \"Path\": \"base/1\", \"Size\": 1, \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": "
                   "\"%02x%02x%02x%02x\" }, { \"Path\": \"global/pg_control\", \"Size\": 1 }",
                   crc & 0xFF, crc >> 8 & 0xFF, crc >> 16 & 0xFF, crc >> 24);
    ck_assert_msg(scene_run(&scene, false) == 0, "%s", error_text());
    ck_assert_uint_eq(dir_mode(data), 0750);
    ck_assert_uint_eq(dir_mode(base), 0750);
    ck_assert_uint_eq(dir_mode(file), 0640);
    ck_assert_uint_eq(dir_mode(control), 0640);
    scene_free(&scene);
}
END_TEST

START_TEST(until_the_end_no_server_can_start)
{
    struct scene scene;

    scene_make(&scene);
    ck_assert_int_eq(scene_begin(&scene, false), 0);
    ck_assert_int_eq(scene_tar(&scene, 0, &scene.base), 0);
    ck_assert_int_eq(cluster_write_check(&scene.write), ERROR_CORRUPT); /* the tablespace has not come */
    ck_assert_error_has("1 files of the backup_manifest are not in the backup, such as 'pg_tblspc/16385/PG_15_1/9'");
    ck_assert(there("data/" PLACE_MARKER) && there("data/base/1259") && !there("data/global/pg_control"));
    scene_free(&scene);
}
END_TEST

/* ---- bad tars ---- */

static const struct {
    const char *name;
    char type;
    const char *text; /* contents, or where a link leads to */
    bool base;
    const char *part;
} bad_rows[] = {
    { "base/1260", '0', "x", true, "file 'base/1260' is not in the backup_manifest" },
    { "base/1259", '0', "classes", true, "file 'base/1259' comes twice" },
    { "pg_tblspc/16385/PG_15_1/9", '0', "nine", true, "is in the tar of" },
    { "PG_15_1/10", '0', "x", false, "file 'pg_tblspc/16385/PG_15_1/10' is not in the backup_manifest" },
    { "pg_wal/000000010000000000000001", '0', "x", false,
      "is not in the backup_manifest" }, /* only of the data directory */
    { "evil", '2', "/etc", true, "'evil' is a symbolic link" },
    { "pg_tblspc/1", '2', "/etc", true, "'pg_tblspc/1' is a symbolic link" },
    { "pg_tblspc/163850", '2', "/etc", true, "'pg_tblspc/163850' is a symbolic link" },
    { "PG_15_1/x", '2', "/etc", false, "is a symbolic link" },
    { "base/1259/x", '5', "", true, "could not open the directory" },
    { "pg_tblspc/16385/x", '5', "", true, "could not open the directory" }, /* through our own link */
    { "../x", '0', "x", true, "leads out of its directory" },
};

START_TEST(what_does_not_belong_is_refused)
{
    struct scene scene;
    struct buf *tar;
    bool link = bad_rows[_i].type == '2';
    int rc;

    scene_make(&scene);
    tar = bad_rows[_i].base ? &scene.base : &scene.space;
    tar_add(tar, bad_rows[_i].name, bad_rows[_i].type, link ? bad_rows[_i].text : "", 0600,
            link ? "" : bad_rows[_i].text, link ? 0 : strlen(bad_rows[_i].text));
    rc = scene_run(&scene, false);
    ck_assert_int_lt(rc, 0);
    ck_assert_error_has(bad_rows[_i].part);
    ck_assert(there("data/" PLACE_MARKER) && !there("data/global/pg_control"));
    scene_free(&scene);
}
END_TEST

START_TEST(wal_may_come_along)
{
    struct scene scene;

    scene_make(&scene);
    tar_file(&scene.base, "pg_wal/000000010000000000000001", "wal", 3);
    ck_assert_int_eq(scene_run(&scene, false), 0);
    check_file("data/pg_wal/000000010000000000000001", "wal");
    scene_free(&scene);
}
END_TEST

START_TEST(a_changed_byte_is_found)
{
    struct scene scene;
    char *place;

    scene_make(&scene);
    place = memmem(scene.base.data, scene.base.len, "classes", 7);
    *place = 'C';
    ck_assert_int_eq(scene_run(&scene, false), ERROR_CORRUPT);
    ck_assert_error_has("file 'base/1259' has the CRC32C");
    scene_free(&scene);
}
END_TEST

/* ---- places ---- */

START_TEST(directories_in_use_are_refused)
{
    CLEANUP_FREE char *space = dir_path("space");
    struct scene scene;

    scene_make(&scene);
    ck_assert_int_eq(file_mkdirs(space), 0);
    put("space/mine", "x");
    ck_assert_int_eq(scene_run(&scene, false), ERROR_USAGE);
    ck_assert_error_has("of tablespace 16385 is not empty");
    ck_assert(!there("data"));
    scene_free(&scene);
    scene_make(&scene);
    ck_assert_int_eq(scene_run(&scene, true),
                     ERROR_USAGE); /* delta neither: no link of this data directory leads there */
    ck_assert(!there("data"));
    scene_free(&scene);
}
END_TEST

static const struct {
    const char *mapping; /* a leading @ is the test's directory */
    const char *to;
    const char *part; /* of the error */
} mapping_rows[] = {
    { "16385=@new", "new", NULL },
    { "@space=@new", "new", NULL },
    { "16385=@data/inside", NULL, "lie in each other" },
    { "16385=@", NULL, "lie in each other" },
    { "1638=@new", NULL, "is about no tablespace" },
    { "16385", NULL, "is about no tablespace" },
    { "16385=", NULL, "is no name for a directory" },
};

static char *
with_directory(const char *text)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1000);

    for (; *text != '\0'; text++)
        (void)(*text == '@' ? buf_addf(&out, "%s/", unit_dir) : buf_add(&out, text, 1));
    return buf_take(&out);
}

START_TEST(tablespaces_go_where_they_are_mapped)
{
    CLEANUP_STRV struct strv mappings = { 0 };
    struct scene scene;
    int rc;

    scene_make(&scene);
    strv_take(&mappings, with_directory(mapping_rows[_i].mapping));
    rc = scene_plan(&scene, false, &mappings);
    if (mapping_rows[_i].to == NULL) {
        ck_assert_int_eq(rc, ERROR_USAGE);
        ck_assert_error_has(mapping_rows[_i].part);
    } else {
        CLEANUP_FREE char *to = dir_path(mapping_rows[_i].to);

        ck_assert_int_eq(rc, 0);
        ck_assert_str_eq(scene.place.dirs[1].path, to);
        ck_assert(scene.place.dirs[1].moved);
    }
    scene_free(&scene);
}
END_TEST

/* ---- delta ---- */

static void
make_whole(void)
{
    struct scene scene;

    scene_make(&scene);
    ck_assert_msg(scene_run(&scene, false) == 0, "%s", error_text());
    scene_free(&scene);
    put("data/" PLACE_MARKER, "system_identifier=4711\n"); /* there is no true pg_control here to tell */
}

/* What is written anew loses it; an inode may come again. */
enum { LONG_AGO_S = 1000000000 };

static void
make_old(const char *name)
{
    CLEANUP_FREE char *path = dir_path(name);
    const struct timespec times[2] = { { .tv_sec = LONG_AGO_S }, { .tv_sec = LONG_AGO_S } };

    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool
is_old(const char *name)
{
    CLEANUP_FREE char *path = dir_path(name);
    struct stat status;

    ck_assert_int_eq(stat(path, &status), 0);
    return status.st_mtim.tv_sec == LONG_AGO_S;
}

START_TEST(delta_keeps_what_is_right_and_removes_the_rest)
{
    CLEANUP_FREE char *stray = dir_path("data/base/stray"), *deep = dir_path("space/PG_15_1/stray/deep");
    CLEANUP_FREE char *other = dir_path("space/PG_14_1"), *evil = dir_path("data/base/evil");
    struct scene scene;

    make_whole();
    make_old("data/base/1259");
    put("space/PG_15_1/9", "NINE"); /* of the same size */
    make_old("space/PG_15_1/9");
    ck_assert_int_eq(file_mkdirs(stray) + file_mkdirs(deep) + file_mkdirs(other), 0);
    put("data/base/stray/1", "x");
    put("data/pg_wal/000000010000000000000007", "old");
    put("space/PG_15_1/stray/deep/1", "x");
    put("space/PG_14_1/mine", "of another server");
    ck_assert_int_eq(symlink("/etc", evil), 0);
    scene_make(&scene);
    ck_assert_msg(scene_run(&scene, true) == 0, "%s", error_text());
    ck_assert(is_old("data/base/1259"));
    ck_assert(!is_old("space/PG_15_1/9"));
    check_file("space/PG_15_1/9", "nine");
    check_file("data/global/pg_control", "control");
    ck_assert(!there("data/base/stray") && !there("space/PG_15_1/stray") && !there("data/base/evil"));
    ck_assert(!there("data/pg_wal/000000010000000000000007") && there("data/pg_wal"));
    check_file("space/PG_14_1/mine", "of another server");
    ck_assert(!there("data/" PLACE_MARKER));
    scene_free(&scene);
}
END_TEST

START_TEST(delta_does_not_follow_links)
{
    CLEANUP_FREE char *base = dir_path("data/base"), *outside = dir_path("outside"), *moved = dir_path("outside/base");
    struct scene scene;

    make_whole();
    ck_assert_int_eq(file_mkdirs(outside), 0);
    make_old("data/base/1259");
    ck_assert_int_eq(rename(base, moved), 0);
    ck_assert_int_eq(symlink(moved, base), 0);
    scene_make(&scene);
    ck_assert_msg(scene_run(&scene, true) == 0, "%s", error_text()); /* the link is gone, a directory in its place */
    check_file("data/base/1259", "classes");
    ck_assert(is_old("outside/base/1259") && !is_old("data/base/1259"));
    scene_free(&scene);
}
END_TEST

START_TEST(delta_goes_on_in_wal_on_a_disk_of_its_own)
{
    CLEANUP_FREE char *wal = dir_path("data/pg_wal"), *outside = dir_path("outside");
    struct scene scene;

    make_whole();
    ck_assert_int_eq(rename(wal, outside), 0);
    ck_assert_int_eq(symlink(outside, wal), 0);
    put("outside/000000010000000000000007", "old");
    scene_make(&scene);
    tar_file(&scene.base, "pg_wal/000000010000000000000001", "wal", 3);
    ck_assert_msg(scene_run(&scene, true) == 0, "%s", error_text());
    check_file("outside/000000010000000000000001", "wal");
    ck_assert(!there("outside/000000010000000000000007"));
    scene_free(&scene);
}
END_TEST

static const struct {
    const char *name, *text, *part;
} refused_rows[] = {
    { PLACE_MARKER, "system_identifier=4712\n", "belongs to the system 4712" },
    { "postmaster.pid", "1\n/data\n", "a server runs in" },  /* process 1 is always there */
    { "postmaster.pid", "-1\n/data\n", "a server runs in" }, /* a standalone backend */
    { "postmaster.pid", "nonsense\n", "does not say which process" },
    { "postmaster.pid", "0\n", "does not say which process" },
};

START_TEST(delta_refuses_what_may_be_in_use)
{
    CLEANUP_FREE char *name = mem_printf("data/%s", refused_rows[_i].name);
    struct scene scene;

    make_whole();
    put(name, refused_rows[_i].text);
    scene_make(&scene);
    ck_assert_int_eq(scene_run(&scene, true), ERROR_USAGE);
    ck_assert_error_has(refused_rows[_i].part);
    check_file("data/base/1259", "classes");
    ck_assert(there("data/global/pg_control"));
    scene_free(&scene);
}
END_TEST

START_TEST(two_at_the_same_time_do_not_meet)
{
    struct scene first, second;

    scene_make(&first);
    scene_make(&second);
    ck_assert_int_eq(scene_begin(&first, false), 0);
    ck_assert_int_eq(scene_run(&second, true), ERROR_LOCKED);
    scene_free(&second);
    scene_free(&first);
}
END_TEST

/* ---- increments ---- */

/* Of the same data directory and tablespace: a relation of four blocks, one in the tablespace, one that will be gone. */
static void
chain_full(struct scene *scene)
{
    CLEANUP_BUF struct buf blocks = BUF_INIT(LIMIT), control = BUF_INIT(LIMIT);

    scene_make(scene);
    scene->base.len = scene->space.len = scene->rows.len = 0;
    inc_blocks(&blocks, "ABCD");
    scene_bytes(scene, true, "base/1", blocks.data, blocks.len);
    scene_bytes(scene, false, "PG_15_1/9", blocks.data, blocks.len);
    scene_file(scene, true, "base/gone/2", "x");
    scene_file(scene, true, "backup_label", "full");
    inc_control(&control, INC_BLOCK);
    scene_bytes(scene, true, "global/pg_control", control.data, control.len);
}

static void
chain_increment(struct scene *scene, const char *name, const char *changes)
{
    CLEANUP_BUF struct buf one = BUF_INIT(LIMIT), two = BUF_INIT(LIMIT), control = BUF_INIT(LIMIT);

    scene_make(scene);
    scene->base.len = scene->space.len = scene->rows.len = 0;
    tar_add(&scene->base, "base", '5', "", 0700, "", 0);
    tar_add(&scene->base, "global", '5', "", 0700, "", 0);
    tar_add(&scene->base, "pg_tblspc", '5', "", 0700, "", 0);
    tar_add(&scene->space, "PG_15_1", '5', "", 0700, "", 0);
    inc_file(&one, 4, changes);
    scene_bytes(scene, true, name, one.data, one.len);
    inc_file(&two, 1, "1Z");
    scene_bytes(scene, false, "PG_15_1/INCREMENTAL.9", two.data, two.len);
    scene_file(scene, true, "backup_label", "START\nINCREMENTAL FROM LSN: 0/2000028\nINCREMENTAL FROM TLI: 1\nEND\n");
    scene_file(scene, true, "base/3", "new");
    inc_control(&control, INC_BLOCK);
    scene_bytes(scene, true, "global/pg_control", control.data, control.len);
}

static int
chain_run(struct scene *full, struct scene *increment)
{
    CLEANUP_BUF struct buf text = BUF_INIT(LIMIT);
    const struct buf *control = &increment->write.control;
    int rc = scene_begin(full, false);

    full->write.passes = true;
    if (rc == 0)
        rc = scene_tar(full, 0, &full->base);
    if (rc == 0)
        rc = scene_tar(full, 1, &full->space);
    if (rc == 0)
        rc = cluster_write_check(&full->write);
    files_make(&text, increment->rows.data);
    if (rc == 0)
        rc = backup_files_read(text.data, text.len, &increment->files);
    if (rc == 0)
        rc = cluster_write_init(&increment->write, &full->place, increment->files, &full->write);
    full->place.replace = true;
    for (size_t i = 0; rc == 0 && i < full->place.len; i++) {
        CLEANUP(cluster_tar_free) struct cluster_tar *tar = cluster_tar_new(&increment->write, &full->place.dirs[i]);
        const struct buf *bytes = i == 0 ? &increment->base : &increment->space;

        rc = cluster_tar_add(tar, bytes->data, bytes->len);
    }
    if (rc == 0)
        rc = cluster_write_check(&increment->write);
    if (rc == 0)
        rc = cluster_prune(&increment->write);
    if (rc == 0)
        rc = cluster_merge_manifest(&increment->write, increment->manifest, 2);
    return rc < 0 ? rc : place_finish(&full->place, control->data, control->len);
}

static void
check_blocks(const char *name, const char *letters)
{
    CLEANUP_FREE char *path = dir_path(name);
    CLEANUP_BUF struct buf seen = BUF_INIT(LIMIT), wanted = BUF_INIT(LIMIT);

    inc_blocks(&wanted, letters);
    ck_assert_int_eq(file_read(path, &seen), 0);
    ck_assert_uint_eq(seen.len, wanted.len);
    ck_assert_mem_eq(seen.data, wanted.data, wanted.len);
}

/* The manifest of what has come of it says of each file what is there. */
static void
check_manifest(void)
{
    CLEANUP_FREE char *path = dir_path("data/backup_manifest");
    CLEANUP_BUF struct buf text = BUF_INIT(LIMIT);
    CLEANUP(backup_files_free) struct backup_files *files = NULL;
    CLEANUP(backup_sum_free) struct backup_sum *sum = backup_sum_new();
    static const char *const names[] = { "base/1", "base/3", "backup_label", "global/pg_control" };

    ck_assert_int_eq(file_read(path, &text), 0);
    ck_assert_msg(backup_files_read(text.data, text.len, &files) == 0, "%s", error_text());
    ck_assert_uint_eq(files->len, 5);
    ck_assert_uint_eq(files->system_identifier, 4711);
    ck_assert_ptr_nonnull(backup_files_find(files, "pg_tblspc/16385/PG_15_1/9"));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *in_data = mem_printf("data/%s", names[i]), *file = dir_path(in_data);
        const struct backup_file *row = backup_files_find(files, names[i]);
        CLEANUP_BUF struct buf bytes = BUF_INIT(LIMIT);

        ck_assert_ptr_nonnull(row);
        ck_assert_int_eq(file_read(file, &bytes), 0);
        backup_sum_begin(sum, row->kind);
        backup_sum_add(sum, bytes.data, bytes.len);
        ck_assert_msg(backup_sum_end(sum, row) == 0, "%s", error_text());
    }
}

START_TEST(increments_go_into_what_is_there)
{
    struct scene full, increment;

    chain_full(&full);
    chain_increment(&increment, "base/INCREMENTAL.1", "1X 4Y");
    ck_assert_msg(chain_run(&full, &increment) == 0, "%s", error_text());
    check_blocks("data/base/1", "AXCDY");
    check_blocks("space/PG_15_1/9", "AZ");
    check_file("data/base/3", "new");
    check_file("data/backup_label", "START\nEND\n");
    ck_assert(!there("data/base/gone") && !there("data/base/INCREMENTAL.1"));
    check_manifest();
    scene_free(&increment);
    scene_free(&full);
}
END_TEST

START_TEST(an_increment_of_nothing_is_corrupt)
{
    struct scene full, increment;

    chain_full(&full);
    chain_increment(&increment, "base/INCREMENTAL.7", "1X");
    ck_assert_int_eq(chain_run(&full, &increment), ERROR_CORRUPT);
    ck_assert_error_has("could not open what 'base/INCREMENTAL.7' goes into");
    ck_assert(there("data/" PLACE_MARKER) && !there("data/global/pg_control"));
    scene_free(&increment);
    scene_free(&full);
}
END_TEST

START_TEST(a_full_backup_has_no_increments)
{
    struct scene scene;

    scene_make(&scene);
    scene_file(&scene, true, "base/INCREMENTAL.1259", "whatever it is");
    ck_assert_int_eq(scene_run(&scene, false), 0); /* a file as any other */
    check_file("data/base/INCREMENTAL.1259", "whatever it is");
    scene_free(&scene);
}
END_TEST

static Suite *
cluster_write_suite(void)
{
    Suite *suite = suite_create("cluster-write");
    TCase *tcase = tcase_create("cluster-write");

    tcase_add_checked_fixture(tcase, dir_make, dir_remove);
    tcase_add_test(tcase, everything_is_there_at_the_end);
    tcase_add_test(tcase, the_group_reads_what_it_could);
    tcase_add_test(tcase, until_the_end_no_server_can_start);
    tcase_add_loop_test(tcase, what_does_not_belong_is_refused, 0, ARRAY_LEN(bad_rows));
    tcase_add_test(tcase, wal_may_come_along);
    tcase_add_test(tcase, a_changed_byte_is_found);
    tcase_add_test(tcase, directories_in_use_are_refused);
    tcase_add_loop_test(tcase, tablespaces_go_where_they_are_mapped, 0, ARRAY_LEN(mapping_rows));
    tcase_add_test(tcase, delta_keeps_what_is_right_and_removes_the_rest);
    tcase_add_test(tcase, delta_does_not_follow_links);
    tcase_add_test(tcase, delta_goes_on_in_wal_on_a_disk_of_its_own);
    tcase_add_loop_test(tcase, delta_refuses_what_may_be_in_use, 0, ARRAY_LEN(refused_rows));
    tcase_add_test(tcase, increments_go_into_what_is_there);
    tcase_add_test(tcase, an_increment_of_nothing_is_corrupt);
    tcase_add_test(tcase, a_full_backup_has_no_increments);
    tcase_add_test(tcase, two_at_the_same_time_do_not_meet);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(cluster_write_suite)
