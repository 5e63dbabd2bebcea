/* SPDX-License-Identifier: PostgreSQL
 *
 * Tars into directories: what belongs is written and compared, what does not is refused, and nothing gets outside. With
 * delta what is right stays, and all else goes.
 */
#include "config.h"

#include "unit-cluster.h"

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
    tcase_add_test(tcase, two_at_the_same_time_do_not_meet);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(cluster_write_suite)
