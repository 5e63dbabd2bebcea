/* SPDX-License-Identifier: PostgreSQL
 *
 * Plain bytes out of a backup, and the file they go to, which is there whole or not
 * at all. Files that pgcask did not write: test-extract-foreign.c.
 */
#include "config.h"

#include "pipeline/extract.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "unit-dir.h"
#include "unit-member.h"
#include "unit-talk.h"
#include "unit.h"

static char *out; /* a path */
static struct age_identities *identities;

static void
setup(void)
{
    dir_make();
    out = dir_path("out");
    identities = age_identities_new();
    ck_assert_int_eq(age_identities_add(identities, IDENTITY), 0);
}

static void
teardown(void)
{
    age_identities_free(identities);
    free(out);
    dir_remove();
}

/* ---- the output file ---- */

static struct extract_file
begin(void)
{
    struct extract_file file;

    ck_assert_msg(extract_begin(out, &file) == 0, "%s", error_text());
    return file;
}

START_TEST(the_file_appears_when_it_is_whole)
{
    struct extract_file file = begin();
    CLEANUP_BUF struct buf text = BUF_INIT(4096);

    ck_assert_int_eq(file_write_all(file.fd, "bytes", 5, "out"), 0);
    ck_assert(!file_exists(out));
    ck_assert_int_eq(extract_end(&file, 0), 0);
    ck_assert_int_eq(file_read(out, &text), 0);
    ck_assert_str_eq(text.data, "bytes");
    ck_assert_uint_eq(dir_mode(out), 0600);
    ck_assert_uint_eq(dir_count(), 1);
}
END_TEST

START_TEST(after_a_failure_nothing_is_left)
{
    struct extract_file file = begin();

    ck_assert_int_eq(extract_end(&file, ERROR_CORRUPT), ERROR_CORRUPT);
    ck_assert_uint_eq(dir_count(), 0);
}
END_TEST

START_TEST(an_existing_file_is_not_touched)
{
    struct extract_file file;

    dir_put(out, "precious", 0644);
    ck_assert_int_eq(extract_begin(out, &file), ERROR_USAGE);
    ck_assert_error_has("/out' exists already");
    ck_assert_uint_eq(dir_count(), 1);
}
END_TEST

START_TEST(a_file_that_came_meanwhile_is_not_touched)
{
    struct extract_file file = begin();
    CLEANUP_BUF struct buf text = BUF_INIT(4096);

    dir_put(out, "precious", 0644);
    ck_assert_int_eq(extract_end(&file, 0), PGCASK_FAILED);
    ck_assert_error_has("/out'");
    ck_assert_int_eq(file_read(out, &text), 0);
    ck_assert_str_eq(text.data, "precious");
    ck_assert_uint_eq(dir_count(), 1);
}
END_TEST

START_TEST(a_dangling_link_is_not_followed)
{
    struct extract_file file;
    CLEANUP_FREE char *target = dir_path("target");
    int rc;

    ck_assert_int_eq(symlink(target, out), 0);
    rc = extract_begin(out, &file);
    if (rc == 0)
        rc = extract_end(&file, 0);
    ck_assert_int_lt(rc, 0);
    ck_assert(!file_exists(target));
    ck_assert_uint_eq(dir_count(), 1);
}
END_TEST

START_TEST(without_its_directory_there_is_no_file)
{
    struct extract_file file;
    CLEANUP_FREE char *path = dir_path("missing/out");

    ck_assert_int_eq(extract_begin(path, &file), PGCASK_FAILED);
    ck_assert_error_has("could not create");
}
END_TEST

START_TEST(a_dash_is_stdout)
{
    struct talk talk = talk_begin(STDOUT_FILENO);
    CLEANUP_FREE char *text = NULL;
    struct extract_file file;
    int rc = extract_begin("-", &file);

    if (rc == 0)
        rc = file_write_all(file.fd, "bytes", 5, "out");
    if (rc == 0)
        rc = extract_end(&file, 0);
    text = talk_end(&talk);
    ck_assert_int_eq(rc, 0);
    ck_assert_str_eq(text, "bytes");
    ck_assert_int_eq(extract_end(&file, ERROR_CORRUPT), ERROR_CORRUPT);
}
END_TEST

/* ---- members ---- */

static struct fake *fake;
static struct manifest *manifest;
static struct restore restore;

static void
setup_backup(void)
{
    CLEANUP(age_recipients_free) struct age_recipients *recipients = age_recipients_new();
    CLEANUP_FREE char *data = noise(200000);

    setup();
    ck_assert_int_eq(age_recipients_add(recipients, RECIPIENT), 0);
    fake = fake_opened("one");
    manifest = made_empty("chain", RUN);
    (void)write_member(fake, manifest, recipients, "globals.sql", ROLE_GLOBALS, NULL, "CREATE ROLE a;\n", 15);
    (void)write_member(fake, manifest, recipients, "shop.dump", ROLE_MAIN, "shop", data, 200000);
    restore = (struct restore){
        .manifest = manifest, .copies = copies_new(&fake->storage, 1), .identities = identities, .streams = 2,
        .crew = crew_new(2, 1),
    };
}

static void
teardown_backup(void)
{
    crew_free(restore.crew);
    copies_free(restore.copies);
    manifest_free(manifest);
    fake_free(fake);
    teardown();
}

static int
extract(const char *name, struct buf *ret_plain)
{
    CLEANUP_FD int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc;

    ck_assert_int_ge(fd, 0);
    rc = extract_member(&restore, name, fd);
    ck_assert_int_eq(file_read(out, ret_plain), 0);
    return rc;
}

static const char *const names[] = { "shop.dump", "shop.dump.zst.age" };

START_TEST(a_member_is_found_by_name_or_object)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_FREE char *data = noise(200000);

    ck_assert_msg(extract(names[_i], &plain) == 0, "%s", error_text());
    ck_assert_uint_eq(plain.len, 200000);
    ck_assert_int_eq(memcmp(plain.data, data, plain.len), 0);
}
END_TEST

START_TEST(a_member_that_is_not_there_is_a_usage_error)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);

    ck_assert_int_eq(extract("shop", &plain), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "backup '" RUN "' has no member 'shop'");
    ck_assert_str_eq(error_cure(), "'pgcask show " RUN "' lists its members");
}
END_TEST

START_TEST(a_spoilt_member_is_an_error)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    struct fake_object *object = member_object(fake, manifest, 1);

    object->data[object->len / 2] ^= 1;
    ck_assert_int_eq(extract("shop.dump", &plain), ERROR_CORRUPT);
    ck_assert_error_has("shop.dump.zst.age");
    object->data[object->len / 2] ^= 1;
    memcpy(manifest->members[1].plain_digest, XXH3_TEXT, strlen(XXH3_TEXT));
    plain.len = 0;
    ck_assert_int_eq(extract("shop.dump", &plain), ERROR_CORRUPT);
}
END_TEST

START_TEST(without_a_key_a_member_stays_closed)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);

    restore.identities = NULL;
    ck_assert_int_eq(extract("shop.dump", &plain), ERROR_USAGE);
    ck_assert_error_has("shop.dump.zst.age': it is encrypted, and there is no identity");
    ck_assert_has(error_cure(), "--identity");
    ck_assert_uint_eq(plain.len, 0);
}
END_TEST

static Suite *
extract_suite(void)
{
    Suite *suite = suite_create("extract");
    TCase *file = tcase_create("file"), *member = tcase_create("member");

    tcase_add_checked_fixture(file, setup, teardown);
    tcase_add_test(file, the_file_appears_when_it_is_whole);
    tcase_add_test(file, after_a_failure_nothing_is_left);
    tcase_add_test(file, an_existing_file_is_not_touched);
    tcase_add_test(file, a_file_that_came_meanwhile_is_not_touched);
    tcase_add_test(file, a_dangling_link_is_not_followed);
    tcase_add_test(file, without_its_directory_there_is_no_file);
    tcase_add_test(file, a_dash_is_stdout);
    suite_add_tcase(suite, file);
    tcase_add_checked_fixture(member, setup_backup, teardown_backup);
    tcase_add_loop_test(member, a_member_is_found_by_name_or_object, 0, ARRAY_LEN(names));
    tcase_add_test(member, a_member_that_is_not_there_is_a_usage_error);
    tcase_add_test(member, a_spoilt_member_is_an_error);
    tcase_add_test(member, without_a_key_a_member_stays_closed);
    suite_add_tcase(suite, member);
    return suite;
}

UNIT_MAIN(extract_suite)
