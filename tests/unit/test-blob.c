/* SPDX-License-Identifier: PostgreSQL
 *
 * One file as one object: comes back byte for byte, in whatever size, and every
 * object that is not what its name says is refused.
 */
#include "config.h"

#include "stage/blob.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "stage/zstd-frame.h"
#include "unit-age.h"
#include "unit-dir.h"
#include "unit-store.h"
#include "unit.h"

#define MIB (1 << 20)

static struct store store;
static struct blob_tools *tools;
static struct age_recipients *recipients;
static struct age_identities *identities;
static char *path;
static int fd = -1;

static void
setup(void)
{
    dir_make();
    store = (struct store){ .part_preferred = 1 << 24 };
    store_open(&store, "s");
    tools = blob_tools_new(1);
    recipients = age_recipients_new();
    ck_assert_int_eq(age_recipients_add(recipients, RECIPIENT), 0);
    identities = age_identities_new();
    ck_assert_int_eq(age_identities_add(identities, IDENTITY), 0);
    path = dir_path("file");
}

static void
teardown(void)
{
    blob_tools_free(tools);
    age_recipients_free(recipients);
    age_identities_free(identities);
    store_close(&store);
    if (fd >= 0)
        (void)close(fd);
    fd = -1;
    free(path);
    dir_remove();
}

/* Bytes that compress to about a half. */
static unsigned char *
make_bytes(size_t len)
{
    unsigned char *bytes = mem_alloc(len);
    uint64_t seed = len;

    for (size_t i = 0; i < len; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        bytes[i] = (unsigned char)(seed >> 60);
    }
    return bytes;
}

static struct blob_file
make_file(const void *data, size_t len)
{
    ck_assert_int_eq(file_write(path, data, len), 0);
    if (fd >= 0)
        (void)close(fd);
    fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return (struct blob_file){ .fd = fd, .path = path, .size = len };
}

static int
take_to_buf(void *ctx, const void *data, size_t len)
{
    return buf_add(ctx, data, len);
}

/* The file as an object called "x"; its digest. */
static void
put(const struct blob_file *file, bool sealed, char digest[BLOB_DIGEST_CHARS + 1])
{
    CLEANUP_BUF struct buf object = BUF_INIT(1 << 26);

    ck_assert_msg(blob_digest(tools, file, digest) == 0, "%s", error_text());
    ck_assert_msg(blob_write(tools, file, digest, sealed ? recipients : NULL, take_to_buf, &object) == 0, "%s",
                  error_text());
    store_place(&store, "x", object.data, object.len);
}

static int
get(const char *digest, bool sealed, uint64_t limit, struct buf *out)
{
    const struct blob_ref ref = {
        .key = "x",
        .digest = digest,
        .sealed = sealed,
        .stored_size = store_find(&store, "x")->len,
        .limit = limit,
    };
    uint64_t size = 4711;
    int rc = blob_read(tools, store.storage, &ref, identities, take_to_buf, out, &size);

    ck_assert_uint_eq(size, rc == 0 ? out->len : 4711);
    return rc;
}

static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, MIB, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 9 * MIB };

static void
check_round_trip(size_t len, bool sealed)
{
    CLEANUP_FREE unsigned char *bytes = make_bytes(len);
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 26);
    struct blob_file file = make_file(bytes, len);
    CLEANUP_FREE char *wanted = digest_of(DIGEST_XXH3, bytes, len);
    char digest[BLOB_DIGEST_CHARS + 1];

    put(&file, sealed, digest);
    ck_assert_str_eq(strchr(wanted, ':') + 1, digest);
    ck_assert_msg(get(digest, sealed, len, &out) == 0, "%s", error_text());
    ck_assert_uint_eq(out.len, len);
    ck_assert(len == 0 || memcmp(out.data, bytes, len) == 0);
}

START_TEST(a_file_comes_back_as_it_was)
{
    check_round_trip(sizes[_i], true);
    check_round_trip(sizes[_i], false);
}
END_TEST

START_TEST(the_object_ends_with_a_table_of_its_frames)
{
    CLEANUP_FREE unsigned char *bytes = make_bytes(9 * MIB);
    struct blob_file file = make_file(bytes, 9 * MIB);
    char digest[BLOB_DIGEST_CHARS + 1];
    struct frame_table table = { 0 };
    const struct store_object *object;
    uint64_t len;

    put(&file, false, digest);
    object = store_find(&store, "x");
    ck_assert_int_eq(frame_footer_decode(object->data + object->len - FRAME_FOOTER_BYTES, &len), 0);
    ck_assert_int_eq(frame_table_decode(object->data + object->len - len, len, object->len - len, &table), 0);
    ck_assert_uint_eq(table.len, 3);
    ck_assert_uint_eq(table.entries[2].plain, MIB);
    frame_table_free(&table);
}
END_TEST

START_TEST(no_flipped_byte_is_passed_on_as_good)
{
    CLEANUP_FREE unsigned char *bytes = make_bytes(200000);
    struct blob_file file = make_file(bytes, 200000);
    char digest[BLOB_DIGEST_CHARS + 1];
    struct store_object *object;
    bool sealed = _i == 1;

    put(&file, sealed, digest);
    object = store_find(&store, "x");
    for (size_t at = 0; at < object->len; at += at < 600 ? 7 : 997) {
        CLEANUP_BUF struct buf out = BUF_INIT(1 << 26);
        int rc;

        object->data[at] ^= 0x10;
        rc = get(digest, sealed, 200000, &out);
        /* what is not encrypted may be spoilt in the table, which nobody here reads */
        ck_assert_msg(rc < 0 || (!sealed && out.len == 200000 && memcmp(out.data, bytes, out.len) == 0), "at %zu", at);
        if (rc < 0)
            ck_assert_error_has("store 's'");
        object->data[at] ^= 0x10;
    }
}
END_TEST

START_TEST(no_cut_object_is_passed_on_as_good)
{
    CLEANUP_FREE unsigned char *bytes = make_bytes(200000);
    struct blob_file file = make_file(bytes, 200000);
    char digest[BLOB_DIGEST_CHARS + 1];
    struct store_object *object;
    bool sealed = _i == 1;
    size_t len;

    put(&file, sealed, digest);
    object = store_find(&store, "x");
    len = object->len;
    for (object->len = 0; object->len < len; object->len += object->len < 600 ? 13 : 1009) {
        CLEANUP_BUF struct buf out = BUF_INIT(1 << 26);
        int rc = get(digest, sealed, 200000, &out);

        ck_assert_msg(rc < 0 || (!sealed && out.len == 200000), "cut to %zu", object->len); /* only the table was cut */
    }
    object->len = len;
}
END_TEST

START_TEST(another_file_is_refused_by_its_digest)
{
    CLEANUP_FREE unsigned char *bytes = make_bytes(1000);
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
    struct blob_file file = make_file(bytes, 1000);
    char digest[BLOB_DIGEST_CHARS + 1];

    put(&file, true, digest);
    ck_assert_int_eq(get("00112233445566778899aabbccddeeff", true, 1000, &out), ERROR_CORRUPT);
    ck_assert_error_has(digest);
    ck_assert_error_has("its name says 00112233445566778899aabbccddeeff");
}
END_TEST

START_TEST(more_bytes_than_allowed_are_not_taken)
{
    CLEANUP_FREE unsigned char *bytes = mem_zalloc(9 * MIB); /* a bomb: some hundred bytes */
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 26);
    struct blob_file file = make_file(bytes, 9 * MIB);
    char digest[BLOB_DIGEST_CHARS + 1];

    put(&file, false, digest);
    ck_assert_uint_lt(store_find(&store, "x")->len, 10000);
    ck_assert_int_eq(get(digest, false, 9 * MIB - 1, &out), ERROR_CORRUPT);
    ck_assert_error_has("holds more than 9437183 bytes");
    ck_assert_uint_lt(out.len, 9 * MIB);
}
END_TEST

START_TEST(without_the_key_nothing_is_read)
{
    struct age_identities *ours = identities;
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
    struct blob_file file = make_file("abc", 3);
    char digest[BLOB_DIGEST_CHARS + 1];

    put(&file, true, digest);
    identities = NULL;
    ck_assert_int_eq(get(digest, true, 3, &out), ERROR_USAGE);
    ck_assert_error_has("there is no identity");
    ck_assert_uint_eq(out.len, 0);
    identities = ours;
}
END_TEST

START_TEST(a_file_that_changes_meanwhile_is_noticed)
{
    CLEANUP_BUF struct buf object = BUF_INIT(1 << 20);
    struct blob_file file = make_file("abc", 3);
    char digest[BLOB_DIGEST_CHARS + 1];

    ck_assert_int_eq(blob_digest(tools, &file, digest), 0);
    ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
    ck_assert_int_eq(blob_write(tools, &file, digest, NULL, take_to_buf, &object), PGCASK_FAILED);
    ck_assert_error_has("was changed while it was read");
    ck_assert_int_eq(ftruncate(fd, 2), 0);
    ck_assert_int_eq(blob_write(tools, &file, digest, NULL, take_to_buf, &object), PGCASK_FAILED);
    ck_assert_error_has("was cut short");
    ck_assert_int_eq(blob_digest(tools, &file, digest), PGCASK_FAILED);
}
END_TEST

static int
refuse(void *ctx, const void *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return error_set(PGCASK_FAILED, "no more");
}

START_TEST(who_takes_the_bytes_may_end_it)
{
    struct blob_file file = make_file("abc", 3);
    char digest[BLOB_DIGEST_CHARS + 1];
    struct blob_ref ref = { .key = "x", .digest = digest, .limit = 3 };
    uint64_t size;

    put(&file, false, digest);
    ref.stored_size = store_find(&store, "x")->len;
    ck_assert_int_eq(blob_write(tools, &file, digest, recipients, refuse, NULL), PGCASK_FAILED);
    ck_assert_error_has("no more");
    ck_assert_int_eq(blob_read(tools, store.storage, &ref, NULL, refuse, NULL, &size), PGCASK_FAILED);
    ck_assert_error_has("no more");
}
END_TEST

static Suite *
blob_suite(void)
{
    Suite *suite = suite_create("blob");
    TCase *trips = tcase_create("trips"), *troubles = tcase_create("troubles");

    tcase_add_checked_fixture(trips, setup, teardown);
    tcase_set_timeout(trips, 60);
    tcase_add_loop_test(trips, a_file_comes_back_as_it_was, 0, ARRAY_LEN(sizes));
    tcase_add_test(trips, the_object_ends_with_a_table_of_its_frames);
    suite_add_tcase(suite, trips);
    tcase_add_checked_fixture(troubles, setup, teardown);
    tcase_set_timeout(troubles, 60);
    tcase_add_loop_test(troubles, no_flipped_byte_is_passed_on_as_good, 0, 2);
    tcase_add_loop_test(troubles, no_cut_object_is_passed_on_as_good, 0, 2);
    tcase_add_test(troubles, another_file_is_refused_by_its_digest);
    tcase_add_test(troubles, more_bytes_than_allowed_are_not_taken);
    tcase_add_test(troubles, without_the_key_nothing_is_read);
    tcase_add_test(troubles, a_file_that_changes_meanwhile_is_noticed);
    tcase_add_test(troubles, who_takes_the_bytes_may_end_it);
    suite_add_tcase(suite, troubles);
    return suite;
}

UNIT_MAIN(blob_suite)
