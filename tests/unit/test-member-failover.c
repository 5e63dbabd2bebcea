/* SPDX-License-Identifier: PostgreSQL
 *
 * Members with copies in several stores: whatever is wrong with one of them, the bytes that come out are right, as long as
 * each of them is right somewhere; that is told once, and costs nothing while all is well.
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "unit-chain.h"
#include "unit-talk.h"

enum {
    SMALL_BYTES = SMALL_FRAMES_BYTES + 100000,
    LARGE_BYTES = SMALL_FRAMES_BYTES + 2 * FRAME_PLAIN_BYTES + 100000, /* four windows from far away */
};

static size_t member_len;
static struct store other, third;
static unsigned char *plain;
static struct member_facts facts;
static struct member_ref ref;

static void
setup(void)
{
    member_setup();
    other = third = (struct store){ 0 };
    store_open(&other, "t");
    store_open(&third, "u");
    plain = member_noise(LARGE_BYTES, 7);
    member_len = SMALL_BYTES;
}

static void
teardown(void)
{
    member_facts_free(&facts);
    free(plain);
    store_close(&other);
    store_close(&third);
    member_teardown();
}

/* The same object in the first `count` stores; what comes later reads from these. */
static void
put(bool sealed, size_t count)
{
    struct store *const stores[] = { &store, &other, &third };
    struct storage *storages[ARRAY_LEN(stores)];
    const struct store_object *object;

    member_put("key", sealed, plain, member_len, &facts);
    ref = member_ref_of("key", sealed, &facts);
    object = store_find(&store, "key");
    for (size_t i = 0; i < count; i++) {
        storages[i] = stores[i]->storage;
        if (i > 0)
            store_place(stores[i], "key", object->data, object->len);
    }
    copies_free(copies);
    copies = copies_new(storages, count);
}

/* Everything taken must be the member's own, whatever is said in the end. */
struct taken {
    size_t len;
    bool wrong;
};

static int
compare_take(void *ctx, const void *data, size_t len)
{
    struct taken *taken = ctx;

    taken->wrong = taken->wrong || len > member_len - taken->len || memcmp(plain + taken->len, data, len) != 0;
    taken->len += len;
    return 0;
}

static int
read_all(void)
{
    struct taken taken = { 0 };
    int rc = member_read_all(crew, RING, copies, &ref, ref.sealed ? identities : NULL, compare_take, &taken);

    ck_assert(rc < 0 || taken.len == member_len);
    ck_assert(!taken.wrong);
    return rc;
}

/* The same through the prefix, without the digest of the whole. */
static int
read_prefix(void)
{
    CLEANUP_FREE unsigned char *back = mem_alloc(member_len);
    struct member_prefix *prefix = NULL;
    int rc = member_prefix_open(copies, &ref, ref.sealed ? identities : NULL, false, &prefix);

    if (rc == 0)
        rc = member_prefix_read(prefix, back, member_len);
    if (rc == 0)
        ck_assert_mem_eq(back, plain, member_len);
    member_prefix_close(prefix);
    return rc;
}

static size_t
count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (const char *p = strstr(text, part); p != NULL; p = strstr(p + 1, part))
        count++;
    return count;
}

/* ---- one bad copy ---- */

static void
flip(struct store *of, size_t at)
{
    struct store_object *object = store_find(of, "key");

    object->data[at < object->len ? at : object->len - 1] ^= 4;
}

static void
missing(struct store *of)
{
    ck_assert_int_eq(store_plugin_remove(of, "key"), 0);
}

static void
resized(struct store *of, long by)
{
    struct store_object *object = store_find(of, "key");
    CLEANUP_FREE unsigned char *data = mem_zalloc(object->len + 1);
    size_t len = object->len + (size_t)by;

    memcpy(data, object->data, len < object->len ? len : object->len);
    store_place(of, "key", data, len);
}

static void
fails(struct store *of, enum store_call call, unsigned at, int code, const char *reason)
{
    of->fails = call;
    of->calls[call] = 0;
    of->fails_at = at;
    of->code = code;
    of->reason = reason;
}

static void lost(struct store *of) { missing(of); }
static void cut(struct store *of) { resized(of, -1); }
static void longer(struct store *of) { resized(of, 1); }
static void header(struct store *of) { flip(of, 30); }
static void nonce(struct store *of) { flip(of, facts.header_size); }
static void first(struct store *of) { flip(of, facts.header_size + 200); }
static void middle(struct store *of) { flip(of, facts.stored_size / 2); }
static void table(struct store *of) { flip(of, facts.stored_size - AGE_TAG_BYTES - FRAME_FOOTER_BYTES - 5); }
static void footer(struct store *of) { flip(of, facts.stored_size - (ref.sealed ? AGE_TAG_BYTES : 0) - FRAME_FOOTER_BYTES); }
static void last(struct store *of) { flip(of, facts.stored_size - 1); }
static void silent(struct store *of) { fails(of, STORE_STAT, 1, PGCASK_FAILED, "nobody answers"); }
static void unreadable(struct store *of) { fails(of, STORE_GET, 1, PGCASK_FAILED, "permission denied"); }
static void breaking(struct store *of) { fails(of, STORE_GET, 3, PGCASK_FAILED, "the line is cut"); }
static void gone(struct store *of) { fails(of, STORE_GET, 3, PGCASK_NOT_FOUND, "it was removed meanwhile"); }
static void cold(struct store *of) { fails(of, STORE_GET, 1, PGCASK_COLD, "it is in cold storage"); }

static const struct fault {
    void (*spoil)(struct store *of);
    const char *said;
    bool sealed_only; /* elsewhere that place is none */
} faults[] = {
    { lost, "object 'key' is missing", false },
    { cut, "the manifest says", false },
    { longer, "the manifest says", false },
    { header, "the digest of the age header is", true },
    { nonce, "does not authenticate", true },
    { first, "object 'key': ", false },
    { middle, "object 'key': ", false },
    { table, "object 'key': ", false },
    { footer, "object 'key': ", false },
    { last, "object 'key': ", false },
    { silent, "nobody answers", false },
    { unreadable, "permission denied", false },
    { breaking, "the line is cut", false },
    { gone, "it was removed meanwhile", false },
    { cold, "it is in cold storage", false },
};

/* Each fault: sealed or not, from near or from far. */
START_TEST(what_is_bad_in_one_store_comes_from_the_next)
{
    const struct fault *fault = &faults[_i / 4];
    bool sealed = _i % 2 == 1;
    CLEANUP_FREE char *said = NULL;
    struct talk talk;
    int rc;

    if (fault->sealed_only && !sealed)
        return;
    store.counts = other.counts = _i / 2 % 2 == 1;
    member_len = store.counts ? LARGE_BYTES : SMALL_BYTES;
    put(sealed, 2);
    fault->spoil(&store);
    talk = talk_begin(STDERR_FILENO);
    rc = read_all();
    said = talk_end(&talk);
    ck_assert_msg(rc == 0, "%s", error_text());
    ck_assert_has(said, fault->said);
    ck_assert_has(said, "WARN: store 's': ");
    ck_assert_has(said, ", going on with store 't'\n");
    ck_assert_uint_eq(count_of(said, "WARN: "), 1);
    ck_assert_str_eq(error_text(), "");
}
END_TEST

START_TEST(a_prefix_goes_on_elsewhere_as_well)
{
    const struct fault *fault = &faults[_i / 2];
    bool sealed = _i % 2 == 1;

    if (fault->sealed_only && !sealed)
        return;
    put(sealed, 2);
    fault->spoil(&store);
    ck_assert_msg(read_prefix() == 0, "%s", error_text());
    ck_assert_uint_gt(other.got, 0);
}
END_TEST

START_TEST(the_third_one_serves_when_two_are_bad)
{
    const struct fault *fault = &faults[_i / 2];
    bool sealed = _i % 2 == 1;

    if (fault->sealed_only && !sealed)
        return;
    put(sealed, 3);
    fault->spoil(&store);
    missing(&other);
    ck_assert_msg(read_all() == 0, "%s", error_text());
}
END_TEST

/* ---- bad in both, elsewhere ---- */

static const struct {
    size_t in_first, in_second; /* per mille of the object */
    bool sealed_only;
} apart_rows[] = {
    { 100, 900, false },
    { 900, 100, false },
    { 500, 550, true }, /* another chunk of the same window; it is the same frame, which cannot be had in pieces */
    { 550, 500, true },
    { 0, 1000, false }, /* header, or first frame, and table */
    { 1000, 0, false },
};

START_TEST(what_is_good_somewhere_is_enough)
{
    if (apart_rows[_i / 2].sealed_only && _i % 2 == 0)
        return;
    put(_i % 2 == 1, 2);
    flip(&store, facts.stored_size * apart_rows[_i / 2].in_first / 1000 + 60);
    flip(&other, facts.stored_size * apart_rows[_i / 2].in_second / 1000 + 60);
    ck_assert_msg(read_all() == 0, "%s", error_text());
    ck_assert_msg(read_prefix() == 0, "%s", error_text());
}
END_TEST

/* ---- bad in all ---- */

START_TEST(when_none_is_left_each_is_named)
{
    const struct fault *fault = &faults[_i / 2];
    bool sealed = _i % 2 == 1;

    if ((fault->sealed_only && !sealed) || fault->spoil == breaking || fault->spoil == gone)
        return; /* the second one has enough good calls for the rest */
    put(sealed, 2);
    fault->spoil(&store);
    fault->spoil(&other);
    ck_assert_int_lt(read_all(), 0);
    ck_assert_error_has("store 's': ");
    ck_assert_error_has("; store 't': ");
    ck_assert_error_has(fault->said);
}
END_TEST

static const struct {
    void (*in_first)(struct store *of), (*in_second)(struct store *of);
    int code;
} code_rows[] = {
    { cold, cold, PGCASK_COLD },        /* to be had later */
    { cold, lost, PGCASK_NOT_FOUND },   /* thawing is not all that it takes */
    { middle, cold, ERROR_CORRUPT },
    { unreadable, lost, PGCASK_FAILED },
    { lost, lost, PGCASK_NOT_FOUND },
};

START_TEST(the_code_says_what_can_be_done)
{
    put(_i % 2 == 1, 2);
    code_rows[_i / 2].in_first(&store);
    code_rows[_i / 2].in_second(&other);
    ck_assert_int_eq(read_all(), code_rows[_i / 2].code);
}
END_TEST

START_TEST(one_store_alone_is_left_at_once)
{
    put(true, 1);
    middle(&store);
    ck_assert_int_eq(read_all(), ERROR_CORRUPT);
    ck_assert_error_has("store 's': object 'key': chunk ");
    ck_assert_ptr_null(strstr(error_text(), ";"));
}
END_TEST

START_TEST(a_key_that_does_not_fit_is_no_fault_of_a_store)
{
    put(true, 2);
    age_identities_free(identities);
    identities = age_identities_new();
    ck_assert_int_eq(read_all(), ERROR_USAGE);
    ck_assert_uint_eq(other.calls[STORE_STAT] + other.calls[STORE_GET], 0);
}
END_TEST

START_TEST(being_stopped_is_none_either)
{
    put(true, 2);
    cancel_request();
    ck_assert_int_eq(read_all(), ERROR_CANCELLED);
    ck_assert_uint_eq(other.calls[STORE_STAT] + other.calls[STORE_GET], 0);
}
END_TEST

/* ---- what it costs ---- */

START_TEST(while_all_is_well_nobody_else_is_asked)
{
    bool sealed = _i % 2 == 1;

    store.counts = _i / 2 == 1;
    member_len = LARGE_BYTES;
    put(sealed, 3);
    store.got = 0;
    store.calls[STORE_STAT] = 0;
    ck_assert_msg(read_all() == 0, "%s", error_text());
    ck_assert_uint_eq(store.calls[STORE_STAT], 1);
    /* the chunk with the table is read for it first, and again in its turn */
    ck_assert_uint_le(store.got, facts.stored_size + AGE_CHUNK_BYTES + AGE_TAG_BYTES);
    ck_assert_uint_eq(other.calls[STORE_STAT] + other.calls[STORE_GET], 0);
    ck_assert_uint_eq(third.calls[STORE_STAT] + third.calls[STORE_GET], 0);
}
END_TEST

START_TEST(only_what_is_bad_is_fetched_again)
{
    /* a window; or a frame and, when that is found out before the end was read, the table behind it */
    size_t most = _i == 1 ? 2 * 1024 * 1024 + 32 * AGE_TAG_BYTES : frame_bound() + AGE_CHUNK_BYTES;

    member_len = LARGE_BYTES;
    put(_i == 1, 2);
    store.got = 0;
    flip(&store, facts.stored_size - 200000); /* in the last frame and window */
    ck_assert_msg(read_all() == 0, "%s", error_text());
    ck_assert_uint_le(store.got, facts.stored_size + AGE_CHUNK_BYTES + AGE_TAG_BYTES);
    ck_assert_uint_le(other.got, most);
}
END_TEST

START_TEST(it_is_told_once)
{
    CLEANUP_FREE char *said = NULL;
    struct talk talk;

    put(_i == 1, 2);
    middle(&store);
    talk = talk_begin(STDERR_FILENO);
    for (int turn = 0; turn < 3; turn++)
        ck_assert_msg(read_all() == 0 && read_prefix() == 0, "%s", error_text());
    said = talk_end(&talk);
    ck_assert_uint_eq(count_of(said, "WARN: "), 1);
}
END_TEST

/* Once it is known to be bad, it is asked last. */
START_TEST(a_bad_copy_is_not_asked_again)
{
    uint64_t got;

    put(true, 2);
    middle(&store);
    ck_assert_int_eq(read_all(), 0);
    got = store.got;
    ck_assert_int_eq(read_all(), 0);
    ck_assert_uint_eq(store.got, got);
    missing(&other);
    ck_assert_int_eq(read_all(), ERROR_CORRUPT); /* but it is, when the others fail */
    ck_assert_uint_gt(store.got, got);
}
END_TEST

static Suite *
failover_suite(void)
{
    Suite *suite = suite_create("member-failover");
    TCase *tcase = tcase_create("member-failover");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, what_is_bad_in_one_store_comes_from_the_next, 0, 4 * ARRAY_LEN(faults));
    tcase_add_loop_test(tcase, a_prefix_goes_on_elsewhere_as_well, 0, 2 * ARRAY_LEN(faults));
    tcase_add_loop_test(tcase, the_third_one_serves_when_two_are_bad, 0, 2 * ARRAY_LEN(faults));
    tcase_add_loop_test(tcase, what_is_good_somewhere_is_enough, 0, 2 * ARRAY_LEN(apart_rows));
    tcase_add_loop_test(tcase, when_none_is_left_each_is_named, 0, 2 * ARRAY_LEN(faults));
    tcase_add_loop_test(tcase, the_code_says_what_can_be_done, 0, 2 * ARRAY_LEN(code_rows));
    tcase_add_test(tcase, one_store_alone_is_left_at_once);
    tcase_add_test(tcase, a_key_that_does_not_fit_is_no_fault_of_a_store);
    tcase_add_loop_test(tcase, while_all_is_well_nobody_else_is_asked, 0, 4);
    tcase_add_loop_test(tcase, only_what_is_bad_is_fetched_again, 0, 2);
    tcase_add_loop_test(tcase, it_is_told_once, 0, 2);
    tcase_add_test(tcase, a_bad_copy_is_not_asked_again);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("cancel"); /* last: without forks it cannot be taken back */
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, being_stopped_is_none_either);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(failover_suite)
