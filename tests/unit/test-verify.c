/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading a copy back: a good one is good, and one that lacks a member, a byte or a
 * bit is not, with keys and without. pg_restore is a script. Cold copies:
 * test-verify-cold.c.
 */
#include "config.h"

#include "pipeline/verify.h"

#include <string.h>

#include "base/cancel.h"
#include "base/error.h"
#include "unit-talk.h"
#include "unit-verify.h"
#include "unit.h"

static void
without_encryption(void)
{
    crew_free(spec.crew);
    manifest_free(manifest);
    fake_free(fake);
    fake = fake_opened("one");
    write_backup(NULL);
    spec.deep = true;
}

static void
good(bool wanted_deep)
{
    enum verify_depth depth = VERIFY_CONFIRMED;

    ck_assert_msg(verify(&depth) == 0, "%s", error_text());
    ck_assert_int_eq(depth, wanted_deep ? VERIFY_PLAIN : VERIFY_STORED);
}

static void
bad(const char *error)
{
    enum verify_depth depth = VERIFY_CONFIRMED;
    int rc = verify(&depth);

    ck_assert_msg(verify_is_bad(rc), "code %d: %s", rc, error_text());
    ck_assert_int_eq(depth, VERIFY_CONFIRMED); /* untouched */
    ck_assert_error_has(error);
}

/* ---- good ones ---- */

static const struct good_row {
    bool sealed, deep, keys;
    bool read_deep;
} good_rows[] = {
    { true, true, true, true },
    { true, true, false, false }, /* no key: what is stored is all that can be looked at */
    { true, false, true, false },
    { true, false, false, false },
    { false, true, false, true }, /* not encrypted: nobody needs one */
    { false, false, false, false },
};

START_TEST(a_good_copy_is_good)
{
    const struct good_row *row = &good_rows[_i];

    if (!row->sealed)
        without_encryption();
    spec.deep = row->deep;
    spec.identities = row->keys ? identities : NULL;
    good(row->read_deep);
    ck_assert_int_eq(verify(NULL), 0);
}
END_TEST

START_TEST(any_number_of_streams_sees_the_same)
{
    for (unsigned streams = 1; streams <= 8; streams *= 2) {
        spec.streams = streams;
        good(true);
    }
}
END_TEST

START_TEST(a_backup_without_members_is_good)
{
    CLEANUP(manifest_free) struct manifest *empty = made_empty("chain", RUN);

    spec.manifest = empty;
    good(true);
}
END_TEST

/* ---- bad ones ---- */

START_TEST(a_missing_member_is_found)
{
    struct fake_object *object = member_object(fake, manifest, (size_t)_i / 2);

    spec.deep = _i % 2 == 0;
    fake_drop(fake, object->key);
    bad("store 'one': object 'chain/backup/" RUN "/");
    ck_assert_error_has("is missing");
}
END_TEST

START_TEST(a_member_of_another_length_is_found)
{
    struct fake_object *object = member_object(fake, manifest, MAIN);
    size_t len = object->len;

    spec.deep = _i % 2 == 0;
    object->len = _i / 2 == 0 ? len - 1 : 0;
    bad("shop.dump.zst.age'");
    object->data = mem_realloc_array(object->data, len + 2, 1);
    object->data[len] = 'x';
    object->len = len + 1;
    bad("shop.dump.zst.age'");
    object->len = len;
    good(spec.deep);
}
END_TEST

/* One bit, anywhere: the head byte by byte, then every so often, and the end, where the table of frames is. */
static void
flip(size_t step)
{
    struct fake_object *object = member_object(fake, manifest, MAIN);

    for (size_t at = 0; at < object->len; at += at < 300 || at + 100 > object->len ? 7 : step) {
        object->data[at] ^= 0x10;
        bad("shop.dump.zst");
        object->data[at] ^= 0x10;
    }
    object->data[object->len - 1] ^= 1;
    bad("shop.dump.zst");
    object->data[object->len - 1] ^= 1;
    good(spec.deep && (spec.identities != NULL || !manifest->members[MAIN].sealed));
}

START_TEST(a_flipped_bit_is_found_with_keys)
{
    flip(20011);
}
END_TEST

START_TEST(a_flipped_bit_is_found_without_keys)
{
    spec.identities = NULL;
    flip(20011);
}
END_TEST

START_TEST(a_flipped_bit_is_found_without_encryption)
{
    without_encryption();
    spec.deep = _i == 0;
    flip(20011);
}
END_TEST

/* The store has what was written, and the manifest is right about that, but not about the plain bytes. */
static const struct lie_row {
    bool digest;
    bool deep, found;
} lie_rows[] = {
    { true, true, true },
    { false, true, true },
    { true, false, false }, /* stored digests know nothing of plain bytes */
    { false, false, false },
};

START_TEST(plain_bytes_are_compared_when_they_are_read)
{
    const struct lie_row *row = &lie_rows[_i];
    struct manifest_member *member = &manifest->members[MAIN];

    if (row->digest)
        memcpy(member->plain_digest, XXH3_TEXT, strlen(XXH3_TEXT));
    else
        member->plain_size--;
    spec.deep = row->deep;
    if (row->found)
        bad("shop.dump.zst.age'");
    else
        good(false);
}
END_TEST

/* Somebody without the key makes another file for the same recipient, and a manifest that fits its stored digest. */
START_TEST(another_header_is_found_without_keys)
{
    struct manifest_member *member = &manifest->members[MAIN];

    memcpy(member->header_digest, SHA256_TEXT, strlen(SHA256_TEXT));
    spec.identities = NULL;
    bad("the digest of the age header");
}
END_TEST

START_TEST(the_first_trouble_ends_it)
{
    fake_drop(fake, member_object(fake, manifest, GLOBALS)->key);
    spec.streams = 1;
    fake->gets = 0;
    bad("globals.sql.zst.age");
    ck_assert_uint_eq(fake->gets, 1); /* the manifest: the other members are not read any more */
}
END_TEST

/* What is known of the backup may come from another store: this one must have it as well. */
static const struct manifest_row {
    const char *change; /* in the stored text; NULL: it is missing */
    const char *error;
} manifest_rows[] = {
    { NULL, "manifest.json" },
    { "\"daily\"", "it was changed after it was written" },
    { "", "is another manifest than the one known of this backup" },
};

START_TEST(a_copy_needs_its_own_manifest)
{
    const struct manifest_row *row = &manifest_rows[_i];
    CLEANUP_FREE char *key = label_object("chain", RUN, LABEL_MANIFEST);
    int rc;

    commit();
    if (row->change == NULL)
        fake_drop(fake, key);
    else if (*row->change != '\0')
        strstr(fake_find(fake, key)->data, row->change)[1] = 'D';
    else
        manifest->finished_s++;
    spec.deep = false;
    rc = verify_copy(&spec, NULL);
    ck_assert_msg(verify_is_bad(rc), "code %d: %s", rc, error_text());
    ck_assert_error_has("store 'one': ");
    ck_assert_error_has(row->error);
}
END_TEST

/* ---- what says nothing of the copy ---- */

START_TEST(a_store_that_does_not_answer_is_no_bad_copy)
{
    int rc;

    fake->refuse = "shop.dump";
    spec.deep = _i == 0;
    rc = verify(NULL);
    ck_assert_int_eq(rc, PGCASK_FAILED);
    ck_assert(!verify_is_bad(rc));
    ck_assert_error_has("no answer for");
}
END_TEST

START_TEST(being_stopped_is_no_bad_copy)
{
    int rc;

    cancel_request();
    rc = verify(NULL);
    ck_assert_int_eq(rc, ERROR_CANCELLED);
    ck_assert(!verify_is_bad(rc));
}
END_TEST

static const struct bad_row {
    int code;
    bool bad;
} bad_rows[] = {
    { 0, false },
    { ERROR_CORRUPT, true },
    { PGCASK_NOT_FOUND, true },
    { PGCASK_FAILED, false },
    { PGCASK_COLD, false },
    { ERROR_USAGE, false },
    { ERROR_CANCELLED, false },
};

START_TEST(only_the_copy_itself_makes_it_bad)
{
    ck_assert_int_eq(verify_is_bad(bad_rows[_i].code), bad_rows[_i].bad);
}
END_TEST

/* ---- tables of contents ---- */

static const struct list_row {
    const char *script; /* pg_restore --list */
    int code;
    const char *error;
} list_rows[] = {
    { "cat >/dev/null", 0, NULL },
    { "exit 0", 0, NULL },              /* the rest of the member is read all the same */
    { "head -c 100 >/dev/null", 0, NULL },
    { "cat >/dev/null; echo 'not an archive' >&2; exit 1", ERROR_CORRUPT, "not an archive" },
    { "exit 1", ERROR_CORRUPT, "member 'shop.dump' cannot be listed" },
    { "echo 'no such container' >&2; exit 126", PGCASK_FAILED, "no such container" }, /* it never came to look */
};

START_TEST(pg_restore_has_to_read_archives)
{
    const struct list_row *row = &list_rows[_i];
    CLEANUP_FREE char *program = dir_path("pg_restore"), *seen = dir_path("seen");
    CLEANUP_FREE char *text = mem_printf("#!/bin/sh\necho \"$@\" >>%s\n%s\n", seen, row->script);
    CLEANUP_STRV struct strv argv = { 0 };
    int rc;

    dir_put(program, text, 0700);
    strv_add(&argv, program);
    strv_add(&argv, "--first");
    spec.list_argv = &argv;
    spec.streams = 1;
    fake_drop(fake, member_object(fake, manifest, ROWS)->key); /* one archive is enough here */
    manifest->member_count = ROWS;
    rc = verify(NULL);
    manifest->member_count = MEMBERS;
    ck_assert_msg(rc == row->code, "code %d: %s", rc, error_text());
    if (rc == 0) {
        CLEANUP_BUF struct buf words = BUF_INIT(4096);

        ck_assert_int_eq(file_read(seen, &words), 0);
        ck_assert_str_eq(words.data, "--first --list\n"); /* once: globals.sql is no archive */
    } else {
        ck_assert_error_has("member 'shop.dump' cannot be listed");
        ck_assert_error_has(row->error);
    }
}
END_TEST

START_TEST(a_corrupt_member_counts_more_than_its_listing)
{
    CLEANUP_FREE char *program = dir_path("pg_restore");
    CLEANUP_STRV struct strv argv = { 0 };

    dir_put(program, "#!/bin/sh\ncat >/dev/null\n", 0700);
    strv_add(&argv, program);
    spec.list_argv = &argv;
    member_object(fake, manifest, MAIN)->data[MAIN_BYTES / 2] ^= 1;
    bad("shop.dump.zst.age'");
}
END_TEST

/* ---- who can read ---- */

START_TEST(who_can_read_is_told_by_the_manifest)
{
    CLEANUP(age_identities_free) struct age_identities *other = age_identities_new();
    CLEANUP(secret_free) struct secret *secret = NULL;
    CLEANUP_FREE char *recipient = NULL;

    ck_assert_int_eq(age_key_generate(&secret, &recipient), 0);
    ck_assert_int_eq(age_identities_add(other, secret_text(secret)), 0);
    ck_assert(verify_can_decrypt(manifest, identities));
    ck_assert(!verify_can_decrypt(manifest, NULL));
    ck_assert(!verify_can_decrypt(manifest, other));
    spec.identities = other;
    good(false); /* what can be looked at is */
    ck_assert_int_eq(age_identities_add(other, IDENTITY), 0); /* one of several is enough */
    ck_assert(verify_can_decrypt(manifest, other));
    without_encryption();
    ck_assert(verify_can_decrypt(manifest, NULL));
    for (size_t i = 0; i < MEMBERS; i++) { /* one that is encrypted is enough to need a key */
        manifest->members[i].sealed = true;
        ck_assert(!verify_can_decrypt(manifest, NULL));
        manifest->members[i].sealed = false;
    }
}
END_TEST

static Suite *
verify_suite(void)
{
    Suite *suite = suite_create("verify");
    TCase *copies = tcase_create("copies"), *lists = tcase_create("lists"), *keys = tcase_create("keys");
    TCase *cases[] = { copies, lists, keys };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        tcase_add_checked_fixture(cases[i], verify_setup, verify_teardown);
        tcase_set_timeout(cases[i], 60);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_loop_test(copies, a_good_copy_is_good, 0, ARRAY_LEN(good_rows));
    tcase_add_test(copies, any_number_of_streams_sees_the_same);
    tcase_add_test(copies, a_backup_without_members_is_good);
    tcase_add_loop_test(copies, a_missing_member_is_found, 0, 2 * MEMBERS);
    tcase_add_loop_test(copies, a_member_of_another_length_is_found, 0, 4);
    tcase_add_test(copies, a_flipped_bit_is_found_with_keys);
    tcase_add_test(copies, a_flipped_bit_is_found_without_keys);
    tcase_add_loop_test(copies, a_flipped_bit_is_found_without_encryption, 0, 2);
    tcase_add_loop_test(copies, plain_bytes_are_compared_when_they_are_read, 0, ARRAY_LEN(lie_rows));
    tcase_add_test(copies, another_header_is_found_without_keys);
    tcase_add_test(copies, the_first_trouble_ends_it);
    tcase_add_loop_test(copies, a_copy_needs_its_own_manifest, 0, ARRAY_LEN(manifest_rows));
    tcase_add_loop_test(copies, a_store_that_does_not_answer_is_no_bad_copy, 0, 2);
    tcase_add_loop_test(copies, only_the_copy_itself_makes_it_bad, 0, ARRAY_LEN(bad_rows));
    tcase_add_loop_test(lists, pg_restore_has_to_read_archives, 0, ARRAY_LEN(list_rows));
    tcase_add_test(lists, a_corrupt_member_counts_more_than_its_listing);
    tcase_add_test(keys, who_can_read_is_told_by_the_manifest);
    tcase_add_test(keys, being_stopped_is_no_bad_copy); /* last: it stays so without forks */
    return suite;
}

UNIT_MAIN(verify_suite)
