/* SPDX-License-Identifier: PostgreSQL
 *
 * Members through the whole chain and back: every size around the frames' borders, sealed and not, whole and from the
 * start, and what becomes of a source or a taker that fails.
 */
#include "config.h"

#include <string.h>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/file.h"
#include "unit-dir.h"
#include "unit-chain.h"

static const struct {
    size_t len;
    size_t frames;
} size_rows[] = {
    { 0, 1 },                                   /* an empty member is one empty frame */
    { 1, 1 },
    { 65535, 1 },
    { 65536, 1 },                               /* exactly the first frame */
    { 65537, 2 },
    { 3 * 65536, 2 },                           /* 64 KiB + 128 KiB */
    { SMALL_FRAMES_BYTES - 1, 6 },
    { SMALL_FRAMES_BYTES, 6 },
    { SMALL_FRAMES_BYTES + 1, 7 },
    { SMALL_FRAMES_BYTES + 2 * FRAME_PLAIN_BYTES, 8 },
    { SMALL_FRAMES_BYTES + 3 * FRAME_PLAIN_BYTES + 1, 10 }, /* three large frames and a byte */
};

/* Frames in the table at the end of an object that is not sealed. */
static size_t
frames_of(const char *key)
{
    const struct store_object *object = store_find(&store, key);
    struct frame_table table = { 0 };
    uint64_t size = 0;
    size_t count;

    ck_assert_int_eq(frame_footer_decode(object->data + object->len - FRAME_FOOTER_BYTES, &size), 0);
    ck_assert_int_eq(frame_table_decode(object->data + object->len - size, size, object->len - size, &table), 0);
    count = table.len;
    frame_table_free(&table);
    return count;
}

static void
check_facts(const struct member_facts *facts, const void *plain, size_t len, bool sealed)
{
    const struct store_object *object = store_find(&store, "key");
    CLEANUP_FREE char *plain_digest = digest_of(DIGEST_XXH3, plain, len);
    CLEANUP_FREE char *stored_digest = digest_of(sealed ? DIGEST_XXH3 : DIGEST_SHA256, object->data, object->len);

    ck_assert_uint_eq(facts->plain_size, len);
    ck_assert_uint_eq(facts->stored_size, object->len);
    ck_assert_str_eq(facts->plain_digest, plain_digest);
    ck_assert_str_eq(facts->stored_digest, stored_digest);
    if (sealed) {
        CLEANUP_FREE char *header_digest = digest_of(DIGEST_SHA256, object->data, facts->header_size);
        size_t header_len = 0;

        ck_assert_int_eq(age_header_length(object->data, object->len, &header_len), 0);
        ck_assert_uint_eq(facts->header_size, header_len);
        ck_assert_str_eq(facts->header_digest, header_digest);
    } else {
        ck_assert_uint_eq(facts->header_size, 0);
        ck_assert_ptr_null(facts->header_digest);
    }
}

static void
note_fetched(void *ctx, size_t len)
{
    *(uint64_t *)ctx += len;
}

static void
check_round_trip(size_t len, bool sealed)
{
    CLEANUP_FREE unsigned char *plain = member_noise(len, len);
    CLEANUP_BUF struct buf back = BUF_INIT(len);
    struct member_facts facts;
    struct member_ref ref;
    uint64_t fetched = 0;

    member_put("key", sealed, plain, len, &facts);
    check_facts(&facts, plain, len, sealed);
    ref = member_ref_of("key", sealed, &facts);
    ck_assert_msg(member_read_into(&ref, &back) == 0, "%s", error_text());
    ck_assert_uint_eq(back.len, len);
    if (len > 0)
        ck_assert_mem_eq(back.data, plain, len);
    ck_assert_msg(member_check_stored(store.storage, &ref, note_fetched, &fetched) == 0, "%s", error_text());
    ck_assert_uint_eq(fetched, facts.stored_size);
    ck_assert_int_eq(member_check_stored(store.storage, &ref, NULL, NULL), 0);
    member_facts_free(&facts);
}

START_TEST(a_member_comes_back_as_it_was)
{
    check_round_trip(size_rows[_i].len, false);
    ck_assert_uint_eq(frames_of("key"), size_rows[_i].frames);
}
END_TEST

START_TEST(a_sealed_member_comes_back_as_it_was)
{
    check_round_trip(size_rows[_i].len, true);
    ck_assert_uint_eq(memcmp(store_find(&store, "key")->data, "age-encryption.org/v1\n", 22), 0);
}
END_TEST

/* Windows fetched by another thread, and larger ones. */
START_TEST(a_member_from_far_away_is_the_same)
{
    enum { MEMBER_BYTES = SMALL_FRAMES_BYTES + 3 * FRAME_PLAIN_BYTES };
    unsigned gets[2];

    for (int far = 0; far < 2; far++) {
        store.counts = far == 1;
        store.calls[STORE_GET] = 0;
        check_round_trip(MEMBER_BYTES, _i == 1);
        gets[far] = store.calls[STORE_GET];
        ck_assert_int_eq(storage_remove(store.storage, "key"), 0);
    }
    ck_assert_uint_lt(gets[1], gets[0]);
}
END_TEST

START_TEST(the_table_may_lie_across_the_border_of_a_chunk)
{
    for (size_t len = 65480; len < 65540; len += 4) {
        check_round_trip(len, _i == 1);
        ck_assert_int_eq(storage_remove(store.storage, "key"), 0);
    }
}
END_TEST

START_TEST(what_compresses_is_small)
{
    CLEANUP_FREE unsigned char *zeros = mem_zalloc(10000000);
    CLEANUP_BUF struct buf back = BUF_INIT(10000000);
    struct member_facts facts;
    struct member_ref ref;

    member_put("key", true, zeros, 10000000, &facts);
    ck_assert_uint_lt(facts.stored_size, 10000);
    ref = member_ref_of("key", true, &facts);
    ck_assert_int_eq(member_read_into(&ref, &back), 0);
    ck_assert_uint_eq(back.len, 10000000);
    ck_assert_mem_eq(back.data, zeros, back.len);
    member_facts_free(&facts);
    member_facts_free(&facts);
}
END_TEST

/* ---- a source, a store, a taker that fail ---- */

struct failing {
    size_t good; /* bytes before it fails */
    size_t given;
    bool cancels;
};

static int
failing_read(void *ctx, void *data, size_t size, size_t *ret_len)
{
    struct failing *failing = ctx;

    if (failing->given + size > failing->good) {
        if (failing->cancels)
            cancel_request();
        else
            return error_set(PGCASK_FAILED, "the server went away");
    }
    memset(data, 'f', size);
    failing->given += size;
    *ret_len = size;
    return 0;
}

static const size_t good_rows[] = { 0, 65536, SMALL_FRAMES_BYTES, SMALL_FRAMES_BYTES + 2 * FRAME_PLAIN_BYTES };

START_TEST(a_source_that_fails_leaves_nothing)
{
    const struct member_writer_spec spec = member_spec("key", _i % 2 == 1);
    struct failing failing = { .good = good_rows[_i / 2] };
    struct member_facts facts = { 0 };

    ck_assert_int_eq(member_write(&spec, failing_read, &failing, &facts), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "the server went away");
    ck_assert_uint_eq(store_count(&store), 0);
    ck_assert_uint_eq(store.uploads, 0);
    ck_assert_ptr_null(facts.plain_digest);
    ck_assert_uint_eq(outlet_alive_count(outlet), 1); /* it was not the store's fault */
}
END_TEST

START_TEST(a_cancelled_member_leaves_nothing)
{
    const struct member_writer_spec spec = member_spec("key", true);
    struct failing failing = { .good = SMALL_FRAMES_BYTES, .cancels = true };
    struct member_facts facts = { 0 };

    ck_assert_int_eq(member_write(&spec, failing_read, &failing, &facts), ERROR_CANCELLED);
    ck_assert_uint_eq(store_count(&store), 0);
    ck_assert_uint_eq(store.uploads, 0);
}
END_TEST

static const struct {
    enum store_call fails;
    unsigned at;
} store_rows[] = { { STORE_BEGIN, 1 }, { STORE_PART, 1 }, { STORE_PART, 20 }, { STORE_COMMIT, 1 } };

START_TEST(a_store_that_fails_fails_the_member)
{
    const struct member_writer_spec spec = member_spec("key", true);
    CLEANUP_FREE unsigned char *plain = member_noise(10000000, 1);
    struct source_memory source = { plain, 10000000, 0 };
    struct member_facts facts = { 0 };

    store.fails = store_rows[_i].fails;
    store.fails_at = store_rows[_i].at;
    store.code = PGCASK_FAILED;
    store.reason = "the disk is full";
    ck_assert_int_eq(member_write(&spec, source_memory_read, &source, &facts), PGCASK_FAILED);
    ck_assert_error_has("store 's': ");
    ck_assert_error_has("the disk is full");
    ck_assert_uint_eq(store_count(&store), 0);
    ck_assert_uint_eq(store.uploads, 0);
    ck_assert_ptr_null(facts.plain_digest);
}
END_TEST

static int
picky_take(void *ctx, const void *data, size_t len)
{
    uint64_t *taken = ctx;

    (void)data;
    *taken += len;
    return *taken > 3 * 65536 ? error_set(PGCASK_FAILED, "no more, thank you") : 0;
}

START_TEST(a_taker_that_fails_ends_the_reading)
{
    CLEANUP_FREE unsigned char *plain = member_noise(SMALL_FRAMES_BYTES, 1);
    struct member_facts facts;
    struct member_ref ref;
    uint64_t taken = 0;

    member_put("key", false, plain, SMALL_FRAMES_BYTES, &facts);
    ref = member_ref_of("key", false, &facts);
    ck_assert_int_eq(member_read_all(crew, RING, copies, &ref, NULL, picky_take, &taken), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "no more, thank you");
    ck_assert_uint_eq(taken, 7 * 65536); /* three frames; the third was refused */
    member_facts_free(&facts);
}
END_TEST

/* ---- from the start ---- */

static struct member_prefix *
open_prefix(bool sealed, size_t len, unsigned char **ret_plain, struct member_facts *ret_facts)
{
    struct member_prefix *prefix = NULL;
    struct member_ref ref;

    *ret_plain = member_noise(len, 3);
    member_put("key", sealed, *ret_plain, len, ret_facts);
    ref = member_ref_of("key", sealed, ret_facts);
    store.got = 0;
    ck_assert_msg(member_prefix_open(copies, &ref, sealed ? identities : NULL, false, &prefix) == 0, "%s", error_text());
    return prefix;
}

/* What one chunk more than needed may cost, in stored bytes. */
enum { CHUNK_SLACK_BYTES = AGE_CHUNK_BYTES + AGE_TAG_BYTES };

START_TEST(a_prefix_fetches_only_what_is_needed)
{
    enum { MEMBER_BYTES = SMALL_FRAMES_BYTES + 2 * FRAME_PLAIN_BYTES };
    CLEANUP_FREE unsigned char *plain = NULL;
    struct member_facts facts;
    CLEANUP(member_prefix_close) struct member_prefix *prefix = open_prefix(_i == 1, MEMBER_BYTES, &plain, &facts);
    unsigned char data[70000];

    store.counts = true; /* which is a reason to fetch ahead, but not for who may stop at any time */
    ck_assert_uint_le(member_prefix_fetched(prefix), facts.header_size + AGE_NONCE_BYTES + 2 * CHUNK_SLACK_BYTES); /* table */
    ck_assert_int_eq(member_prefix_read(prefix, data, 100), 0);
    ck_assert_mem_eq(data, plain, 100);
    ck_assert_uint_le(member_prefix_fetched(prefix), 65536 + 5 * CHUNK_SLACK_BYTES); /* one frame of 64 KiB */
    ck_assert_int_eq(member_prefix_read(prefix, data, 65436), 0);
    ck_assert_mem_eq(data, plain + 100, 65436);
    ck_assert_uint_le(member_prefix_fetched(prefix), 65536 + 5 * CHUNK_SLACK_BYTES); /* still the first one */
    ck_assert_int_eq(member_prefix_read(prefix, data, sizeof data), 0);
    ck_assert_mem_eq(data, plain + 65536, sizeof data);
    ck_assert_uint_le(member_prefix_fetched(prefix), 8 * 65536 + 5 * CHUNK_SLACK_BYTES);
    ck_assert_uint_eq(member_prefix_fetched(prefix), store.got);
    member_facts_free(&facts);
}
END_TEST

static const size_t step_rows[] = { 1000, 65536, 1000003 };

START_TEST(a_prefix_may_be_the_whole_member)
{
    enum { MEMBER_BYTES = SMALL_FRAMES_BYTES + 12345 };
    CLEANUP_FREE unsigned char *plain = NULL, *back = mem_alloc(MEMBER_BYTES);
    struct member_facts facts;
    CLEANUP(member_prefix_close) struct member_prefix *prefix = open_prefix(_i % 2 == 1, MEMBER_BYTES, &plain, &facts);
    size_t step = step_rows[_i / 2];
    char more;

    for (size_t at = 0; at < MEMBER_BYTES; at += step)
        ck_assert_int_eq(member_prefix_read(prefix, back + at, MEMBER_BYTES - at < step ? MEMBER_BYTES - at : step), 0);
    ck_assert_mem_eq(back, plain, MEMBER_BYTES);
    ck_assert_int_eq(member_prefix_read(prefix, &more, 0), 0);
    ck_assert_int_eq(member_prefix_read(prefix, &more, 1), ERROR_CORRUPT);
    ck_assert_error_has("ends too early");
    ck_assert_error_has("'key'");
    member_facts_free(&facts);
}
END_TEST

START_TEST(a_prefix_of_nothing_ends_at_once)
{
    CLEANUP_FREE unsigned char *plain = NULL;
    struct member_facts facts;
    CLEANUP(member_prefix_close) struct member_prefix *prefix = open_prefix(_i == 1, 0, &plain, &facts);
    char more;

    ck_assert_int_eq(member_prefix_read(prefix, &more, 1), ERROR_CORRUPT);
    member_prefix_close(NULL);
    member_facts_free(&facts);
}
END_TEST

/* ---- without pgcask ---- */

static bool
have(const char *program)
{
    CLEANUP_FREE char *command = mem_printf("command -v %s >/dev/null", program);

    if (system(command) == 0)
        return true;
    (void)fprintf(stderr, "SKIPPED: '%s' is not installed\n", program);
    return false;
}

START_TEST(the_usual_programs_read_it)
{
    CLEANUP_FREE char *object = dir_path("object"), *key = dir_path("key"), *plain = dir_path("plain");
    CLEANUP_FREE char *command = NULL;
    CLEANUP_FREE unsigned char *noise = member_noise(size_rows[_i / 2].len, 5);
    struct member_facts facts;
    bool sealed = _i % 2 == 1;

    if (!have("zstd") || (sealed && !have("age")))
        return;
    member_put("key", sealed, noise, size_rows[_i / 2].len, &facts);
    ck_assert_int_eq(file_write(object, store_find(&store, "key")->data, facts.stored_size), 0);
    ck_assert_int_eq(file_write(plain, noise, size_rows[_i / 2].len), 0);
    dir_put(key, IDENTITY "\n", 0600);
    command = sealed ? mem_printf("age -d -i '%s' '%s' | zstd -d | cmp - '%s'", key, object, plain)
                     : mem_printf("zstd -d <'%s' | cmp - '%s'", object, plain);
    ck_assert_int_eq(system(command), 0);
    member_facts_free(&facts);
}
END_TEST

static Suite *
member_suite(void)
{
    Suite *suite = suite_create("member");
    TCase *tcase = tcase_create("member");

    tcase_add_checked_fixture(tcase, member_setup, member_teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_member_comes_back_as_it_was, 0, ARRAY_LEN(size_rows));
    tcase_add_loop_test(tcase, a_sealed_member_comes_back_as_it_was, 0, ARRAY_LEN(size_rows));
    tcase_add_loop_test(tcase, a_member_from_far_away_is_the_same, 0, 2);
    tcase_add_loop_test(tcase, the_table_may_lie_across_the_border_of_a_chunk, 0, 2);
    tcase_add_test(tcase, what_compresses_is_small);
    tcase_add_loop_test(tcase, a_source_that_fails_leaves_nothing, 0, 2 * ARRAY_LEN(good_rows));
    tcase_add_loop_test(tcase, a_store_that_fails_fails_the_member, 0, ARRAY_LEN(store_rows));
    tcase_add_test(tcase, a_taker_that_fails_ends_the_reading);
    tcase_add_loop_test(tcase, a_prefix_fetches_only_what_is_needed, 0, 2);
    tcase_add_loop_test(tcase, a_prefix_may_be_the_whole_member, 0, 2 * ARRAY_LEN(step_rows));
    tcase_add_loop_test(tcase, a_prefix_of_nothing_ends_at_once, 0, 2);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("programs");
    tcase_add_checked_fixture(tcase, dir_make, dir_remove);
    tcase_add_checked_fixture(tcase, member_setup, member_teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, the_usual_programs_read_it, 0, 2 * ARRAY_LEN(size_rows));
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("cancel"); /* last: without forks it cannot be taken back */
    tcase_add_checked_fixture(tcase, member_setup, member_teardown);
    tcase_add_test(tcase, a_cancelled_member_leaves_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(member_suite)
