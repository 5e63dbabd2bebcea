/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading a sealed file piece by piece: each chunk opens in its own place only,
 * and the sizes that a payload may have.
 */
#include "config.h"

#include "stage/age-file.h"

#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "stage/age-header.h"
#include "stage/age-payload.h"
#include "unit-age.h"
#include "unit.h"

static struct age_recipients *recipients;
static struct age_identities *identities;

static void
set_up(void)
{
    recipients = age_recipients_new();
    identities = age_identities_new();
    ck_assert_int_eq(age_recipients_add(recipients, RECIPIENT), 0);
    ck_assert_int_eq(age_identities_add(identities, IDENTITY), 0);
}

static void
tear_down(void)
{
    age_recipients_free(recipients);
    age_identities_free(identities);
}

/* A file of three full chunks, and how a chunk of it is asked for. */
static const struct chunk_row {
    uint64_t index;
    bool last;
    size_t from; /* the chunk whose bytes are given */
    size_t len;
    int rc;
} chunk_rows[] = {
    { 0, false, 0, SEALED, 0 },                 /* in any order: see the loop */
    { 2, true, 2, SEALED, 0 },
    { 1, false, 1, SEALED, 0 },
    { 2, false, 2, SEALED, ERROR_CORRUPT },     /* the last is not just any */
    { 1, true, 1, SEALED, ERROR_CORRUPT },      /* nor is any the last */
    { 0, false, 1, SEALED, ERROR_CORRUPT },     /* swapped */
    { 1, false, 0, SEALED, ERROR_CORRUPT },
    { UINT64_C(1) << 32, false, 0, SEALED, ERROR_CORRUPT }, /* the counter has more than 32 bits */
    { 0, false, 0, SEALED - 1, ERROR_CORRUPT }, /* short, and not the last */
    { 2, true, 2, SEALED - 1, ERROR_CORRUPT },  /* short of a byte */
    { 2, true, 2, SEALED + 1, ERROR_CORRUPT },  /* too long */
    { 2, true, 2, 16, ERROR_CORRUPT },          /* empty, and not the only one */
    { 0, true, 0, 16, ERROR_CORRUPT },          /* empty and the only one: may be, but is not ours */
    { 0, true, 0, 15, ERROR_CORRUPT },          /* not even a tag */
    { 0, true, 0, 0, ERROR_CORRUPT },
};

START_TEST(chunk_opens_only_in_its_place)
{
    const struct chunk_row *row = &chunk_rows[_i];
    CLEANUP(age_opener_free) struct age_opener *opener = NULL;
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
    static char out[CHUNK + 1];
    static const char zeros[CHUNK];
    size_t head;
    int rc;

    fill(&plain, 3 * CHUNK);
    seal(recipients, &plain, CHUNK, &file);
    ck_assert_int_eq(buf_add(&file, "x", 1), 0); /* so that one byte too many can be given */
    ck_assert_int_eq(age_header_length(file.data, file.len, &head), 0);
    head += AGE_NONCE_BYTES;
    ck_assert_int_eq(age_opener_new(file.data, head, identities, &opener), 0);
    memset(out, 0, sizeof out);
    rc = age_open_chunk(opener, row->index, row->last, file.data + head + row->from * SEALED, row->len, out);
    ck_assert_int_eq(rc, row->rc);
    /* nothing that was not authenticated is left behind */
    ck_assert_int_eq(memcmp(out, row->rc == 0 ? plain.data + row->from * CHUNK : zeros, CHUNK), 0);
}
END_TEST

/* Sealed as it should be, but no writer may end a file so: two files would then hold the same bytes. */
START_TEST(empty_last_chunk_is_only_for_the_empty_file)
{
    static const struct age_file_key file_key = { "YELLOW FROG BOAT" };
    static const unsigned char nonce[AGE_NONCE_BYTES] = "nonce of payload";
    CLEANUP(age_opener_free) struct age_opener *opener = NULL;
    CLEANUP(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *aead = NULL;
    CLEANUP_BUF struct buf head = BUF_INIT(FILE_LIMIT_BYTES);
    struct age_key key;
    unsigned char empty[AGE_TAG_BYTES];
    unsigned char out[1];

    ck_assert_int_eq(age_header_build(recipients, &file_key, &head), 0);
    ck_assert_int_eq(buf_add(&head, nonce, sizeof nonce), 0);
    ck_assert_int_eq(age_opener_new(head.data, head.len, identities, &opener), 0);
    ck_assert_int_eq(age_payload_key(&file_key, nonce, &key), 0);
    aead = age_crypto_aead_new(key.bytes, true);
    ck_assert_ptr_nonnull(aead);
    for (uint64_t index = 0; index < 2; index++) {
        unsigned char iv[AGE_IV_BYTES];

        age_payload_iv(index, true, iv);
        ck_assert_int_eq(age_crypto_seal(aead, iv, "", 0, empty), 0);
        ck_assert_int_eq(age_open_chunk(opener, index, true, empty, sizeof empty, out), index == 0 ? 0 : ERROR_CORRUPT);
    }
    ck_assert_error_has("chunk 1 has 16 bytes");
}
END_TEST

static const struct head_row {
    int more; /* bytes behind the header, in place of the nonce's 16 */
    int rc;
} head_rows[] = {
    { -1, ERROR_CORRUPT }, /* the header itself is cut */
    { 0, ERROR_CORRUPT },
    { 15, ERROR_CORRUPT },
    { 16, 0 },
    { 17, ERROR_CORRUPT },
};

START_TEST(opener_wants_header_and_nonce_exactly)
{
    CLEANUP(age_opener_free) struct age_opener *opener = NULL;
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
    size_t head;
    int rc;

    fill(&plain, 100);
    seal(recipients, &plain, CHUNK, &file);
    ck_assert_int_eq(age_header_length(file.data, file.len, &head), 0);
    rc = age_opener_new(file.data, head + (size_t)head_rows[_i].more, identities, &opener);
    ck_assert_int_eq(rc, head_rows[_i].rc);
    ck_assert_int_eq(opener != NULL, head_rows[_i].rc == 0);
}
END_TEST

static const struct layout_row {
    uint64_t payload;
    uint64_t plain;
    uint64_t chunks; /* 0: refused */
} layout_rows[] = {
    { 0, 0, 0 },
    { 15, 0, 0 },
    { 16, 0, 1 }, /* an empty file */
    { 17, 1, 1 },
    { SEALED, CHUNK, 1 },
    { SEALED + 1, 0, 0 }, /* a second chunk without a whole tag */
    { SEALED + 16, 0, 0 }, /* … without a byte */
    { SEALED + 17, CHUNK + 1, 2 },
    { UINT64_C(65552) << 40, UINT64_C(65536) << 40, UINT64_C(1) << 40 },
    { (UINT64_C(65552) << 40) + 3, 0, 0 },
    { UINT64_MAX, UINT64_C(18442241573325438959), UINT64_C(281406274007041) },
};

START_TEST(layout_of_a_payload_follows_from_its_size)
{
    const struct layout_row *row = &layout_rows[_i];
    uint64_t plain = 4711;
    uint64_t chunks = 4711;
    int rc = age_payload_layout(row->payload, &plain, &chunks);

    ck_assert_int_eq(rc, row->chunks > 0 ? 0 : ERROR_CORRUPT);
    ck_assert_uint_eq(plain, rc == 0 ? row->plain : 4711);
    ck_assert_uint_eq(chunks, rc == 0 ? row->chunks : 4711);
}
END_TEST

struct reader {
    const struct age_opener *opener;
    const char *payload;
    const struct buf *plain;
    int failed;
};

static void *
read_chunk_often(void *ctx)
{
    struct reader *reader = ctx;
    char *out = mem_alloc(CHUNK);

    for (uint64_t i = 0; i < 400 && !reader->failed; i++) {
        uint64_t index = i % 4;
        int rc = age_open_chunk(reader->opener, index, index == 3, reader->payload + index * SEALED, SEALED, out);

        reader->failed = rc != 0 || memcmp(out, reader->plain->data + index * CHUNK, CHUNK) != 0;
    }
    free(out);
    return NULL;
}

START_TEST(threads_share_an_opener)
{
    CLEANUP(age_opener_free) struct age_opener *opener = NULL;
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
    struct reader readers[4];
    pthread_t threads[4];
    size_t head;

    fill(&plain, 4 * CHUNK);
    seal(recipients, &plain, CHUNK, &file);
    ck_assert_int_eq(age_header_length(file.data, file.len, &head), 0);
    head += AGE_NONCE_BYTES;
    ck_assert_int_eq(age_opener_new(file.data, head, identities, &opener), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        readers[i] = (struct reader){ opener, file.data + head, &plain, 0 };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_chunk_often, &readers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(readers[i].failed, 0);
    }
}
END_TEST

static Suite *
age_open_suite(void)
{
    Suite *suite = suite_create("age-open");
    TCase *tcase = tcase_create("age-open");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, chunk_opens_only_in_its_place, 0, ARRAY_LEN(chunk_rows));
    tcase_add_test(tcase, empty_last_chunk_is_only_for_the_empty_file);
    tcase_add_loop_test(tcase, opener_wants_header_and_nonce_exactly, 0, ARRAY_LEN(head_rows));
    tcase_add_loop_test(tcase, layout_of_a_payload_follows_from_its_size, 0, ARRAY_LEN(layout_rows));
    tcase_add_test(tcase, threads_share_an_opener);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(age_open_suite)
