/* SPDX-License-Identifier: PostgreSQL
 *
 * Stored bytes of a blob that go by in pieces: good ones are called so, whatever the
 * pieces, and one changed bit is found.
 */
#include "config.h"

#include "stage/blob-check.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "unit-age.h"
#include "unit-dir.h"
#include "unit.h"

enum { MIB = 1 << 20 };

static struct blob_tools *tools;
static struct age_recipients *recipients;
static struct age_identities *identities;
static struct buf object = BUF_INIT(1 << 26);
static char digest[BLOB_DIGEST_CHARS + 1];

static void
setup(void)
{
    dir_make();
    tools = blob_tools_new(1);
    recipients = age_recipients_new();
    ck_assert_int_eq(age_recipients_add(recipients, RECIPIENT), 0);
    identities = age_identities_new();
    ck_assert_int_eq(age_identities_add(identities, IDENTITY), 0);
}

static void
teardown(void)
{
    blob_tools_free(tools);
    age_recipients_free(recipients);
    age_identities_free(identities);
    buf_free(&object);
    dir_remove();
}

static int
take(void *ctx, const void *data, size_t len)
{
    return buf_add(ctx, data, len);
}

/* A file of `size` bytes that do not compress, as an object. */
static void
make(size_t size, bool sealed)
{
    CLEANUP_FREE char *path = dir_path("file");
    CLEANUP_FREE unsigned char *data = mem_alloc(size + 1);
    CLEANUP_FD int fd = -1;
    struct blob_file file = { .path = path, .size = size };
    uint64_t seed = size;

    for (size_t i = 0; i < size; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        data[i] = (unsigned char)(seed >> 56);
    }
    ck_assert_int_eq(file_write(path, data, size), 0);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    file.fd = fd;
    object.len = 0;
    ck_assert_int_eq(blob_digest(tools, &file, digest), 0);
    ck_assert_int_eq(blob_write(tools, &file, digest, sealed ? recipients : NULL, take, &object), 0);
}

/* All of the object, or its first `len` bytes, in pieces. */
static int
check(bool sealed, size_t len, size_t piece, uint64_t limit, const struct age_identities *keys, bool *ret_seen)
{
    const struct blob_ref ref = { "x", digest, sealed, object.len, limit };
    CLEANUP(blob_check_free) struct blob_check *blob = blob_check_new(tools, &ref, keys);
    int rc = 0;

    *ret_seen = false;
    for (size_t at = 0; rc == 0 && at < len; at += piece)
        rc = blob_check_add(blob, object.data + at, len - at < piece ? len - at : piece);
    return rc < 0 ? rc : blob_check_end(blob, ret_seen);
}

static const size_t sizes[] = { 0, 1, 65000, 65536, 200000, MIB, 4 * MIB, 5 * MIB };
static const size_t pieces[] = { 1, 100, 199, 200, 216, 217, 65536, 65552, 70000, 1 << 23 };

START_TEST(good_bytes_are_good_in_whatever_pieces)
{
    for (int sealed = 0; sealed <= 1; sealed++) {
        make(sizes[_i], sealed);
        for (size_t i = sizes[_i] > MIB; i < ARRAY_LEN(pieces); i++) {
            bool seen;

            ck_assert_msg(check(sealed, object.len, pieces[i], 8 * MIB, identities, &seen) == 0, "%zu: %s", pieces[i],
                          error_text());
            ck_assert(seen);
        }
    }
}
END_TEST

/* One bit anywhere: all of the header, then here and there. */
START_TEST(a_changed_bit_is_found)
{
    bool seen;

    make(200000, true);
    for (size_t at = 0; at < object.len; at += at < 300 ? 1 : 997) {
        object.data[at] ^= 1;
        if (check(true, object.len, 4096, MIB, identities, &seen) == 0) /* another recipient's, as far as one can tell */
            ck_assert_msg(!seen && at < 220, "%zu", at);
        object.data[at] ^= 1;
    }
    make(200000, false);
    object.data[object.len / 2] ^= 1;
    ck_assert_int_eq(check(false, object.len, 4096, MIB, NULL, &seen), ERROR_CORRUPT);
}
END_TEST

START_TEST(the_digest_in_the_name_counts)
{
    bool seen;

    make(70000, true);
    digest[5] = digest[5] == '0' ? '1' : '0';
    ck_assert_int_eq(check(true, object.len, 4096, MIB, identities, &seen), ERROR_CORRUPT);
    ck_assert_error_has("the digest of its plain bytes is ");
}
END_TEST

START_TEST(what_ends_too_early_or_holds_too_much_is_refused)
{
    static const size_t lens[] = { 0, 10, 150, 300, 65000, 70000 };
    bool seen;

    make(70000, true);
    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        ck_assert_int_eq(check(true, lens[i], 4096, MIB, identities, &seen), ERROR_CORRUPT);
    ck_assert_int_eq(check(true, object.len - 1, 4096, MIB, identities, &seen), ERROR_CORRUPT);
    ck_assert_int_eq(check(true, object.len, 4096, 69999, identities, &seen), ERROR_CORRUPT);
    ck_assert_error_has("it holds more than 69999 bytes");
}
END_TEST

/* Nothing is known then. */
START_TEST(without_the_key_nothing_is_said)
{
    CLEANUP(age_identities_free) struct age_identities *others = age_identities_new();
    CLEANUP(secret_free) struct secret *identity = NULL;
    CLEANUP_FREE char *recipient = NULL;
    bool seen = true;

    ck_assert_int_eq(age_key_generate(&identity, &recipient), 0);
    ck_assert_int_eq(age_identities_add(others, secret_text(identity)), 0);
    make(70000, true);
    object.data[object.len / 2] ^= 1;
    ck_assert_int_eq(check(true, object.len, 4096, MIB, _i == 0 ? NULL : others, &seen), 0);
    ck_assert(!seen);
}
END_TEST

static Suite *
blob_check_suite(void)
{
    Suite *suite = suite_create("blob-check");
    TCase *bytes = tcase_create("bytes");

    tcase_add_checked_fixture(bytes, setup, teardown);
    tcase_set_timeout(bytes, 120);
    tcase_add_loop_test(bytes, good_bytes_are_good_in_whatever_pieces, 0, ARRAY_LEN(sizes));
    tcase_add_test(bytes, a_changed_bit_is_found);
    tcase_add_test(bytes, the_digest_in_the_name_counts);
    tcase_add_test(bytes, what_ends_too_early_or_holds_too_much_is_refused);
    tcase_add_loop_test(bytes, without_the_key_nothing_is_said, 0, 2);
    suite_add_tcase(suite, bytes);
    return suite;
}

UNIT_MAIN(blob_check_suite)
