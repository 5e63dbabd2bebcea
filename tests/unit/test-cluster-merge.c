/* SPDX-License-Identifier: PostgreSQL
 *
 * Increments on top of a full backup: blocks go into the files that are there, what is gone goes, and the result has a
 * backup_manifest of its own.
 */
#include "config.h"

#include "unit-cluster.h"
#include "unit-incremental.h"

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
cluster_merge_suite(void)
{
    Suite *suite = suite_create("cluster-merge");
    TCase *tcase = tcase_create("cluster-merge");

    tcase_add_checked_fixture(tcase, dir_make, dir_remove);
    tcase_add_test(tcase, increments_go_into_what_is_there);
    tcase_add_test(tcase, an_increment_of_nothing_is_corrupt);
    tcase_add_test(tcase, a_full_backup_has_no_increments);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(cluster_merge_suite)
