/* SPDX-License-Identifier: PostgreSQL
 *
 * Members that are not what the manifest says: flipped, cut, swapped, with a table that lies. Each is refused with the
 * store and the object named, and none of the bytes before that were other ones.
 */
#include "config.h"

#include <string.h>

#include "base/digest.h"
#include "unit-chain.h"

enum { MEMBER_BYTES = SMALL_FRAMES_BYTES + 100000 };

static unsigned char *plain;
static struct member_facts facts;
static struct member_ref ref;
static struct store_object *object;

static void
setup(void)
{
    member_setup();
    plain = member_noise(MEMBER_BYTES, 7);
}

static void
teardown(void)
{
    member_facts_free(&facts);
    free(plain);
    member_teardown();
}

static void
put(bool sealed)
{
    member_put("key", sealed, plain, MEMBER_BYTES, &facts);
    ref = member_ref_of("key", sealed, &facts);
    object = store_find(&store, "key");
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

    taken->wrong = taken->wrong || len > MEMBER_BYTES - taken->len || memcmp(plain + taken->len, data, len) != 0;
    taken->len += len;
    return 0;
}

static int
read_all(void)
{
    struct taken taken = { 0 };
    int rc = member_read_all(crew, RING, copies, &ref, ref.sealed ? identities : NULL, compare_take, &taken);

    ck_assert(rc < 0 || taken.len == MEMBER_BYTES);
    ck_assert(!taken.wrong || (rc < 0 && !ref.sealed)); /* sealed bytes are never given out unauthenticated */
    return rc;
}

static void
expect_named(int rc, int wanted)
{
    ck_assert_msg(rc == wanted, "%d: %s", rc, error_text());
    ck_assert_error_has("store 's': ");
    ck_assert_error_has("object 'key'");
}

/* ---- flipped bits ---- */

enum place { HEADER, NONCE, FIRST, MIDDLE, TABLE, FOOTER, LAST };

/* In an object of `len` bytes. */
static size_t
place_of(enum place place, size_t len)
{
    size_t tail = ref.sealed ? AGE_TAG_BYTES : 0; /* of the last chunk, behind the table */

    switch (place) {
    case HEADER:
        return 30;
    case NONCE:
        return facts.header_size;
    case FIRST:
        return facts.header_size + (ref.sealed ? AGE_NONCE_BYTES : 0) + 100;
    case MIDDLE:
        return len / 2;
    case TABLE:
        return len - tail - FRAME_FOOTER_BYTES - 5;
    case FOOTER:
        return len - tail - FRAME_FOOTER_BYTES;
    case LAST:
    default:
        return len - 1;
    }
}

START_TEST(a_flipped_bit_is_found)
{
    if (_i % 2 == 0 && _i / 2 < FIRST)
        return; /* not sealed, there is neither header nor nonce */
    for (int bit = 0; bit < 8; bit++) {
        size_t at;

        store_plugin_remove(&store, "key");
        member_facts_free(&facts);
        put(_i % 2 == 1);
        at = place_of((enum place)(_i / 2), object->len);
        ck_assert_int_eq(read_all(), 0);
        object->data[at] ^= (unsigned char)(1 << bit);
        expect_named(read_all(), ERROR_CORRUPT);
        expect_named(member_check_stored(store.storage, &ref, NULL, NULL), ERROR_CORRUPT);
    }
}
END_TEST

static const enum place prefix_rows[] = { HEADER, NONCE, FIRST, FOOTER, LAST };

START_TEST(a_prefix_finds_what_it_reads)
{
    struct member_prefix *prefix = NULL;
    unsigned char data[1000];
    int rc;

    put(true);
    object->data[place_of(prefix_rows[_i], object->len)] ^= 4;
    rc = member_prefix_open(copies, &ref, identities, false, &prefix);
    if (rc == 0)
        rc = member_prefix_read(prefix, data, sizeof data);
    member_prefix_close(prefix);
    expect_named(rc, ERROR_CORRUPT);
}
END_TEST

START_TEST(a_prefix_without_seal_has_the_frames_checksum)
{
    CLEANUP(member_prefix_close) struct member_prefix *prefix = NULL;
    unsigned char data[1000];

    put(false);
    object->data[100] ^= 4;
    ck_assert_int_eq(member_prefix_open(copies, &ref, NULL, false, &prefix), 0);
    expect_named(member_prefix_read(prefix, data, sizeof data), ERROR_CORRUPT);
}
END_TEST

/* ---- sizes ---- */

static const long cut_rows[] = { -1, -9, -65536, -3000000, 1, 65552 }; /* bytes more or less than there were */

START_TEST(another_size_is_refused)
{
    for (int sealed = 0; sealed < 2; sealed++) {
        CLEANUP_FREE unsigned char *data = NULL;
        size_t len;

        member_facts_free(&facts);
        store_plugin_remove(&store, "key");
        put(sealed != 0);
        len = object->len + (size_t)cut_rows[_i];
        data = mem_zalloc(object->len + 65552);
        memcpy(data, object->data, object->len);
        store_place(&store, "key", data, len);
        expect_named(read_all(), ERROR_CORRUPT);
        ck_assert_error_has(" bytes, the manifest says ");
        expect_named(member_check_stored(store.storage, &ref, NULL, NULL), ERROR_CORRUPT);
        ref.stored_size = len; /* and when the manifest is wrong in the same way */
        ck_assert_int_eq(read_all(), ERROR_CORRUPT);
        ck_assert_error_has("object 'key'");
    }
}
END_TEST

static const size_t tiny_rows[] = { 0, 1, 8, 9, 16, 17, 200, 233, 250 };

START_TEST(an_object_of_a_few_bytes_is_refused)
{
    for (int sealed = 0; sealed < 2; sealed++) {
        CLEANUP_FREE unsigned char *data = NULL;

        member_facts_free(&facts);
        store_plugin_remove(&store, "key");
        put(sealed != 0);
        data = mem_zalloc(tiny_rows[_i] + 1);
        memcpy(data, object->data, tiny_rows[_i]);
        store_place(&store, "key", data, tiny_rows[_i]);
        ref.stored_size = tiny_rows[_i];
        ck_assert_int_lt(read_all(), 0);
        ck_assert_error_has("'key'");
    }
}
END_TEST

START_TEST(a_missing_object_is_told_as_such)
{
    put(_i == 1);
    store_plugin_remove(&store, "key");
    expect_named(read_all(), PGCASK_NOT_FOUND);
    ck_assert_error_has("is missing");
    expect_named(member_check_stored(store.storage, &ref, NULL, NULL), PGCASK_NOT_FOUND);
}
END_TEST

/* ---- other objects ---- */

START_TEST(another_member_under_its_key_is_refused)
{
    CLEANUP_FREE unsigned char *other_plain = member_noise(MEMBER_BYTES, 8);
    struct member_facts other;
    const struct store_object *swapped;

    put(_i == 1);
    member_put("other", _i == 1, other_plain, MEMBER_BYTES, &other); /* the same size, for the same recipients */
    swapped = store_find(&store, "other");
    ck_assert_uint_eq(swapped->len, object->len);
    store_place(&store, "key", swapped->data, swapped->len);
    expect_named(read_all(), ERROR_CORRUPT);
    if (ref.sealed)
        ck_assert_error_has("the digest of the age header is sha256:");
    expect_named(member_check_stored(store.storage, &ref, NULL, NULL), ERROR_CORRUPT);
    member_facts_free(&other);
}
END_TEST

START_TEST(chunks_cannot_be_exchanged)
{
    enum { SEALED_CHUNK = AGE_CHUNK_BYTES + AGE_TAG_BYTES };
    CLEANUP_FREE unsigned char *chunk = mem_alloc(SEALED_CHUNK);
    unsigned char *payload;

    put(true);
    payload = object->data + facts.header_size + AGE_NONCE_BYTES;
    memcpy(chunk, payload, SEALED_CHUNK);
    memcpy(payload, payload + SEALED_CHUNK, SEALED_CHUNK);
    memcpy(payload + SEALED_CHUNK, chunk, SEALED_CHUNK);
    expect_named(read_all(), ERROR_CORRUPT);
}
END_TEST

START_TEST(other_keys_do_not_open_it)
{
    static const unsigned char passphrase[] = "not this one";
    CLEANUP(secret_free) struct secret *secret = secret_new(passphrase, sizeof passphrase - 1);

    put(true);
    age_identities_free(identities);
    identities = age_identities_new();
    ck_assert_int_eq(age_identities_add_passphrase(identities, secret), 0);
    expect_named(read_all(), ERROR_USAGE);
    ck_assert_int_eq(member_check_stored(store.storage, &ref, NULL, NULL), 0); /* needs no key */
}
END_TEST

/* ---- a manifest that does not fit ---- */

START_TEST(a_manifest_that_does_not_fit_is_refused)
{
    static const char xxh3[] = "xxh3-128:00000000000000000000000000000000";
    static const char sha256[] = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    bool sealed = _i >= 4;

    put(sealed);
    switch (_i % 4) {
    case 0:
        ref.plain_size++;
        break;
    case 1:
        ref.plain_digest = xxh3;
        break;
    case 2:
        ref.stored_digest = sealed ? xxh3 : sha256;
        break;
    case 3:
        if (!sealed)
            return; /* has no header */
        ref.header_digest = sha256;
        break;
    }
    expect_named(read_all(), ERROR_CORRUPT);
    ck_assert_error_has("the manifest says");
}
END_TEST

START_TEST(another_algorithm_for_the_stored_bytes_is_fine)
{
    CLEANUP_FREE char *digest = NULL;

    put(true);
    digest = digest_of(DIGEST_SHA256, object->data, object->len);
    ref.stored_digest = digest;
    ck_assert_int_eq(read_all(), 0);
    ck_assert_int_eq(member_check_stored(store.storage, &ref, NULL, NULL), 0);
}
END_TEST

/* ---- tables that lie ---- */

static const struct {
    size_t from_end;      /* where 4 bytes of the last entry or the footer are replaced */
    uint32_t value;
    const char *part;
} lie_rows[] = {
    { 9, 0x08000001, "claims 134217729 frames" },              /* more than the format knows */
    { 9, 0x07000000, "claims 939524113 bytes" },               /* more than the object has */
    { 9, 1000, "contradicts itself" },                         /* more than there are */
    { 9, 6, "contradicts itself" },                            /* fewer */
    { 13, 99999, "its frames hold " },                         /* plain sum */
    { 13, 4194305, "more than a frame may hold" },
    { 17, 1, "covers " },                                      /* stored sum */
};

static void
put32(unsigned char *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t
get32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The digest in the manifest is made to fit, as of who can write both. */
static char *
agree(void)
{
    char *digest = digest_of(DIGEST_SHA256, object->data, object->len);

    ref.stored_digest = digest;
    return digest;
}

START_TEST(a_lying_table_is_refused)
{
    CLEANUP_FREE char *digest = NULL;

    put(false);
    put32(object->data + object->len - lie_rows[_i].from_end, lie_rows[_i].value);
    digest = agree();
    expect_named(read_all(), ERROR_CORRUPT);
    ck_assert_error_has(lie_rows[_i].part);
}
END_TEST

/* Sums that are right over entries that are not: moved by `stored` and `plain` from the last but one to the last. */
static const struct {
    uint32_t stored, plain;
} moved_rows[] = { { 1, 0 }, { 0, 1 }, { 1, 1 }, { 50000, 50000 } };

START_TEST(right_sums_do_not_make_it_true)
{
    CLEANUP_FREE char *digest = NULL;
    unsigned char *last;

    put(false);
    last = object->data + object->len - FRAME_FOOTER_BYTES - 8;
    put32(last, get32(last) + moved_rows[_i].stored);
    put32(last + 4, get32(last + 4) + moved_rows[_i].plain);
    put32(last - 8, get32(last - 8) - moved_rows[_i].stored);
    put32(last - 4, get32(last - 4) - moved_rows[_i].plain);
    digest = agree();
    expect_named(read_all(), ERROR_CORRUPT);
    ck_assert_error_has("compressed frame");
}
END_TEST

static Suite *
member_corrupt_suite(void)
{
    Suite *suite = suite_create("member-corrupt");
    TCase *tcase = tcase_create("member-corrupt");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_flipped_bit_is_found, 0, 2 * (LAST + 1));
    tcase_add_loop_test(tcase, a_prefix_finds_what_it_reads, 0, ARRAY_LEN(prefix_rows));
    tcase_add_test(tcase, a_prefix_without_seal_has_the_frames_checksum);
    tcase_add_loop_test(tcase, another_size_is_refused, 0, ARRAY_LEN(cut_rows));
    tcase_add_loop_test(tcase, an_object_of_a_few_bytes_is_refused, 0, ARRAY_LEN(tiny_rows));
    tcase_add_loop_test(tcase, a_missing_object_is_told_as_such, 0, 2);
    tcase_add_loop_test(tcase, another_member_under_its_key_is_refused, 0, 2);
    tcase_add_test(tcase, chunks_cannot_be_exchanged);
    tcase_add_test(tcase, other_keys_do_not_open_it);
    tcase_add_loop_test(tcase, a_manifest_that_does_not_fit_is_refused, 0, 8);
    tcase_add_test(tcase, another_algorithm_for_the_stored_bytes_is_fine);
    tcase_add_loop_test(tcase, a_lying_table_is_refused, 0, ARRAY_LEN(lie_rows));
    tcase_add_loop_test(tcase, right_sums_do_not_make_it_true, 0, ARRAY_LEN(moved_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(member_corrupt_suite)
