/* SPDX-License-Identifier: PostgreSQL
 *
 * Whole age files: sealed and opened, by the age program's and by our own, and
 * what happens to those that were changed or cut.
 */
#include "config.h"

#include "stage/age-file.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/parse.h"
#include "unit-age.h"
#include "unit.h"

/* "pgcask\n" for IDENTITY, written by the age program, version 1.1.1 */
static const char x25519_file[] =
    "6167652d656e6372797074696f6e2e6f72672f76310a2d3e20583235353139207563584f7a444543"
    "5352324d7372784f414c495751766173556a66686942484d336b5270716166546f46770a316e5647"
    "503933456b6862766b4a6f2f5571552b6e5a7a666e6666356c6a6b6d2f656c652b4a7235794c770a"
    "2d2d2d20567374454273705961737057372f7878366467726e6365737443304c3167596a4e2b4230"
    "695a72412f77510a53d4a29403548a4efd01ad18b7937076d6b32266899633d2aede2c1c3bbbe82b"
    "8b08bd4b9f3de3";

/* "pgcask\n" for the passphrase "correct horse", work factor 10: made apart from this code, read by the age program */
static const char scrypt_file[] =
    "6167652d656e6372797074696f6e2e6f72672f76310a2d3e20736372797074204d4445794d7a5131"
    "4e6a63344f5746695932526c5a672031300a7877503147564d417564476f7772586c47464f473764"
    "4774787245347450774f7735613161336b6d472b4d0a2d2d2d20454978477337517462594a4c4243"
    "677265566378393644536e54424633385a514a516e69655738303034450a6e6f6e63652d6f662d70"
    "61796c6f6164d448ded66c2ecfb5b1f157292319d7353888e6c2b10b6c";

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

static int
open_chunks(const struct age_opener *opener, const char *payload, size_t len, struct buf *plain)
{
    uint64_t size;
    uint64_t chunks;
    int rc = age_payload_layout(len, &size, &chunks);

    for (uint64_t i = 0; rc == 0 && i < chunks; i++) {
        size_t chunk = len < SEALED ? len : SEALED;

        ck_assert_int_eq(buf_reserve(plain, chunk - AGE_TAG_BYTES), 0);
        rc = age_open_chunk(opener, i, i + 1 == chunks, payload, chunk, plain->data + plain->len);
        if (rc == 0)
            plain->len += chunk - AGE_TAG_BYTES;
        payload += chunk;
        len -= chunk;
    }
    if (rc == 0)
        ck_assert_uint_eq(plain->len, size);
    return rc;
}

/* The whole file; what was opened before an error is in `plain`. */
static int
open_file(const struct age_identities *with, const char *file, size_t len, struct buf *plain)
{
    CLEANUP(age_opener_free) struct age_opener *opener = NULL;
    size_t head = 0;
    int rc = age_header_length(file, len, &head);

    head += AGE_NONCE_BYTES;
    if (rc == 0)
        rc = age_opener_new(file, len < head ? len : head, with, &opener);
    return rc < 0 ? rc : open_chunks(opener, file + head, len - head, plain);
}

static void
from_hex(const char *hex, struct buf *file)
{
    ck_assert_int_eq(buf_reserve(file, strlen(hex) / 2), 0);
    ck_assert_int_eq(parse_hex(hex, file->data, strlen(hex) / 2), 0);
    file->len = strlen(hex) / 2;
}

START_TEST(file_of_the_age_program_opens)
{
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);

    from_hex(x25519_file, &file);
    ck_assert_msg(open_file(identities, file.data, file.len, &plain) == 0, "%s", error_text());
    ck_assert_uint_eq(plain.len, 7);
    ck_assert_mem_eq(plain.data, "pgcask\n", 7);
}
END_TEST

START_TEST(file_with_known_passphrase_opens)
{
    CLEANUP(secret_free) struct secret *wrong = secret_new("correct house", 13);
    CLEANUP(secret_free) struct secret *right = secret_new("correct horse", 13);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);

    from_hex(scrypt_file, &file);
    ck_assert_int_eq(age_identities_add_passphrase(identities, wrong), 0);
    ck_assert_int_eq(open_file(identities, file.data, file.len, &plain), ERROR_USAGE);
    ck_assert_int_eq(age_identities_add_passphrase(identities, right), 0);
    ck_assert_msg(open_file(identities, file.data, file.len, &plain) == 0, "%s", error_text());
    ck_assert_uint_eq(plain.len, 7);
    ck_assert_mem_eq(plain.data, "pgcask\n", 7);
}
END_TEST

static const struct size_row {
    size_t plain;
    size_t chunks;
} size_rows[] = {
    { 0, 1 }, /* one empty chunk */
    { 1, 1 },
    { CHUNK - 1, 1 },
    { CHUNK, 1 }, /* a full chunk is the last: no empty one behind it */
    { CHUNK + 1, 2 },
    { 3 * CHUNK, 3 },
    { 3 * CHUNK + 777, 4 },
};

START_TEST(sealed_file_opens_whatever_its_size)
{
    static const size_t steps[] = { 777, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, FILE_LIMIT_BYTES };
    const struct size_row *row = &size_rows[_i];
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);

    fill(&plain, row->plain);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
        CLEANUP_BUF struct buf opened = BUF_INIT(FILE_LIMIT_BYTES);
        size_t head;

        seal(recipients, &plain, steps[i], &file);
        ck_assert_int_eq(age_header_length(file.data, file.len, &head), 0);
        ck_assert_uint_eq(file.len, head + AGE_NONCE_BYTES + row->plain + row->chunks * AGE_TAG_BYTES);
        ck_assert_msg(open_file(identities, file.data, file.len, &opened) == 0, "%s", error_text());
        ck_assert_uint_eq(opened.len, plain.len);
        ck_assert_int_eq(memcmp(opened.data, plain.data, plain.len), 0);
    }
}
END_TEST

START_TEST(header_of_the_sealer_begins_the_file)
{
    CLEANUP(age_sealer_free) struct age_sealer *sealer = NULL;
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
    const void *header;
    size_t len;
    size_t found;

    ck_assert_int_eq(age_sealer_new(recipients, &sealer), 0);
    header = age_sealer_header(sealer, &len);
    ck_assert_int_eq(age_header_length(header, len, &found), 0);
    ck_assert_uint_eq(found, len);
    ck_assert_int_eq(age_seal(sealer, "", 0, emit_to_buf, &file), 0); /* the first call emits, even without data */
    ck_assert_uint_eq(file.len, len + AGE_NONCE_BYTES);
    ck_assert_mem_eq(file.data, header, len);
    ck_assert_int_eq(age_seal_end(sealer, emit_to_buf, &file), 0);
}
END_TEST

START_TEST(no_two_files_are_alike)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf one = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf two = BUF_INIT(FILE_LIMIT_BYTES);
    size_t head;

    fill(&plain, 100);
    seal(recipients, &plain, 100, &one);
    seal(recipients, &plain, 100, &two);
    ck_assert_int_eq(age_header_length(one.data, one.len, &head), 0);
    ck_assert_uint_eq(one.len, two.len);
    ck_assert_mem_ne(one.data, two.data, head);                                 /* the shares */
    ck_assert_mem_ne(one.data + head, two.data + head, AGE_NONCE_BYTES);        /* the nonce */
    ck_assert_mem_ne(one.data + head + 16, two.data + head + 16, one.len - head - 16); /* the key */
}
END_TEST

START_TEST(each_of_several_recipients_opens)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
    struct secret *secrets[3] = { NULL };

    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        CLEANUP_FREE char *recipient = NULL;

        ck_assert_int_eq(age_key_generate(&secrets[i], &recipient), 0);
        ck_assert_int_eq(age_recipients_add(recipients, recipient), 0);
    }
    fill(&plain, 1000);
    seal(recipients, &plain, 1000, &file);
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        CLEANUP(age_identities_free) struct age_identities *one = age_identities_new();
        CLEANUP_BUF struct buf opened = BUF_INIT(FILE_LIMIT_BYTES);

        ck_assert_int_eq(age_identities_add(one, secret_text(secrets[i])), 0);
        ck_assert_int_eq(open_file(one, file.data, file.len, &opened), 0);
        ck_assert_uint_eq(opened.len, plain.len);
        ck_assert_mem_eq(opened.data, plain.data, plain.len);
        secret_free(secrets[i]);
    }
}
END_TEST

START_TEST(wrong_identity_does_not_open)
{
    CLEANUP(age_identities_free) struct age_identities *wrong = age_identities_new();
    CLEANUP(secret_free) struct secret *identity = NULL;
    CLEANUP_FREE char *recipient = NULL;
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);

    ck_assert_int_eq(age_key_generate(&identity, &recipient), 0);
    ck_assert_int_eq(age_identities_add(wrong, secret_text(identity)), 0);
    fill(&plain, 10);
    seal(recipients, &plain, 10, &file);
    ck_assert_int_eq(open_file(wrong, file.data, file.len, &plain), ERROR_USAGE);
    ck_assert_error_has(recipient);
    ck_assert_ptr_null(strstr(error_text(), secret_text(identity)));
}
END_TEST

START_TEST(passphrase_seals_and_opens)
{
    CLEANUP(secret_free) struct secret *passphrase = secret_new("na\xc3\xafve \xf0\x9f\x94\x91 phrase", 18);
    CLEANUP(age_recipients_free) struct age_recipients *locked = age_recipients_new();
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf opened = BUF_INIT(FILE_LIMIT_BYTES);

    ck_assert_int_eq(age_recipients_set_passphrase(locked, passphrase), 0);
    fill(&plain, CHUNK + 5);
    seal(locked, &plain, CHUNK, &file);
    ck_assert_ptr_nonnull(strstr(file.data, " 18\n")); /* the work factor, in the header */
    ck_assert_int_eq(open_file(identities, file.data, file.len, &opened), ERROR_USAGE);
    ck_assert_int_eq(age_identities_add_passphrase(identities, passphrase), 0);
    ck_assert_msg(open_file(identities, file.data, file.len, &opened) == 0, "%s", error_text());
    ck_assert_uint_eq(opened.len, plain.len);
    ck_assert_int_eq(memcmp(opened.data, plain.data, plain.len), 0);
}
END_TEST

/* Where a bit is flipped, counted from the start of the payload's nonce; three chunks, the last of 100 bytes. */
static const struct flip_row {
    size_t at;
    size_t opened; /* bytes that come out before it is noticed */
} flip_rows[] = {
    { 0, 0 },                                                   /* the nonce */
    { AGE_NONCE_BYTES - 1, 0 },                                 /* its end */
    { AGE_NONCE_BYTES, 0 },                                     /* the first chunk */
    { AGE_NONCE_BYTES + CHUNK / 2, 0 },                         /* its middle */
    { AGE_NONCE_BYTES + CHUNK, 0 },                             /* its tag */
    { AGE_NONCE_BYTES + SEALED - 1, 0 },                        /* the tag's last byte */
    { AGE_NONCE_BYTES + SEALED, CHUNK },                        /* the second chunk */
    { AGE_NONCE_BYTES + 2 * SEALED, (size_t)2 * CHUNK },        /* the last chunk */
    { AGE_NONCE_BYTES + 2 * SEALED + 100, (size_t)2 * CHUNK },  /* its tag */
    { AGE_NONCE_BYTES + 2 * SEALED + 115, (size_t)2 * CHUNK },  /* the last byte of all */
};

START_TEST(flipped_bit_is_noticed_where_it_is)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf opened = BUF_INIT(FILE_LIMIT_BYTES);
    size_t head;

    fill(&plain, 2 * CHUNK + 100);
    seal(recipients, &plain, CHUNK, &file);
    ck_assert_int_eq(age_header_length(file.data, file.len, &head), 0);
    file.data[head + flip_rows[_i].at] ^= 0x10;
    ck_assert_int_eq(open_file(identities, file.data, file.len, &opened), ERROR_CORRUPT);
    ck_assert_error_has("does not authenticate");
    ck_assert_uint_eq(opened.len, flip_rows[_i].opened);
}
END_TEST

/* How many bytes are left of a payload of three chunks, the last of 100 bytes; without the nonce. */
static const size_t cut_rows[] = {
    0,                /* nothing */
    AGE_TAG_BYTES,    /* as if empty */
    CHUNK,            /* within the first tag */
    SEALED,           /* at a border: the first chunk as the last */
    SEALED + 1,       /* a byte, but no tag */
    SEALED + 16,      /* a last chunk that would be empty */
    SEALED + 17,      /* one that would hold a byte */
    2 * SEALED,       /* at a border */
    2 * SEALED + 115, /* the last byte is missing */
};

START_TEST(cut_file_is_refused)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
    CLEANUP_BUF struct buf opened = BUF_INIT(FILE_LIMIT_BYTES);
    size_t head;

    fill(&plain, 2 * CHUNK + 100);
    seal(recipients, &plain, CHUNK, &file);
    ck_assert_int_eq(age_header_length(file.data, file.len, &head), 0);
    ck_assert_int_eq(open_file(identities, file.data, head + AGE_NONCE_BYTES + cut_rows[_i], &opened), ERROR_CORRUPT);
}
END_TEST

START_TEST(file_with_something_behind_it_is_refused)
{
    for (size_t more = 1; more < 40; more++) {
        CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
        CLEANUP_BUF struct buf file = BUF_INIT(FILE_LIMIT_BYTES);
        CLEANUP_BUF struct buf opened = BUF_INIT(FILE_LIMIT_BYTES);

        fill(&plain, CHUNK);
        seal(recipients, &plain, CHUNK, &file);
        fill(&file, more);
        ck_assert_int_eq(open_file(identities, file.data, file.len, &opened), ERROR_CORRUPT);
    }
}
END_TEST

/* Fails with `code` once `left` calls went well. */
struct breaking {
    int left;
    int code;
    int calls;
};

static int
emit_and_break(void *ctx, const void *data, size_t len)
{
    struct breaking *breaking = ctx;

    (void)data;
    ck_assert_uint_gt(len, 0);
    breaking->calls++;
    return breaking->left-- > 0 ? 0 : breaking->code;
}

START_TEST(failure_of_the_taker_ends_the_sealing)
{
    CLEANUP(age_sealer_free) struct age_sealer *sealer = NULL;
    CLEANUP_BUF struct buf plain = BUF_INIT(FILE_LIMIT_BYTES);
    struct breaking breaking = { .left = _i, .code = 42 };

    fill(&plain, 3 * CHUNK);
    ck_assert_int_eq(age_sealer_new(recipients, &sealer), 0);
    ck_assert_int_eq(age_seal(sealer, plain.data, plain.len, emit_and_break, &breaking), 42);
    ck_assert_int_eq(age_seal(sealer, plain.data, plain.len, emit_and_break, &breaking), 42);
    ck_assert_int_eq(age_seal_end(sealer, emit_and_break, &breaking), 42);
    ck_assert_int_eq(breaking.calls, _i + 1); /* it was not asked again */
}
END_TEST

static Suite *
age_file_suite(void)
{
    Suite *suite = suite_create("age-file");
    TCase *tcase = tcase_create("age-file");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60); /* scrypt takes seconds under the sanitizers */
    tcase_add_test(tcase, file_of_the_age_program_opens);
    tcase_add_test(tcase, file_with_known_passphrase_opens);
    tcase_add_loop_test(tcase, sealed_file_opens_whatever_its_size, 0, ARRAY_LEN(size_rows));
    tcase_add_test(tcase, header_of_the_sealer_begins_the_file);
    tcase_add_test(tcase, no_two_files_are_alike);
    tcase_add_test(tcase, each_of_several_recipients_opens);
    tcase_add_test(tcase, wrong_identity_does_not_open);
    tcase_add_test(tcase, passphrase_seals_and_opens);
    tcase_add_loop_test(tcase, flipped_bit_is_noticed_where_it_is, 0, ARRAY_LEN(flip_rows));
    tcase_add_loop_test(tcase, cut_file_is_refused, 0, ARRAY_LEN(cut_rows));
    tcase_add_test(tcase, file_with_something_behind_it_is_refused);
    tcase_add_loop_test(tcase, failure_of_the_taker_ends_the_sealing, 0, 4);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(age_file_suite)
