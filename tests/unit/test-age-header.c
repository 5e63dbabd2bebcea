/* SPDX-License-Identifier: PostgreSQL
 *
 * The grammar of the age header, row by row. Headers are written as templates:
 *
 *   {X}  a good X25519 stanza for the test's identity      {S}  a good scrypt stanza, work factor 10
 *   {Y}  a good X25519 stanza for somebody else            {M}  a blank and the right MAC of all before
 *                                                          {m}  the MAC alone
 */
#include "config.h"

#include "stage/age-header.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "stage/age-base64.h"
#include "stage/age-file.h"
#include "stage/age-stanza.h"
#include "unit.h"

#define IDENTITY "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
#define RECIPIENT "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

#define V1 "age-encryption.org/v1\n"
/* 43 characters of base64: 32 bytes; 64: a full line; 22: 16 bytes */
#define B43 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define B64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define B22 "AAAAAAAAAAAAAAAAAAAAAA"
#define SHARE "CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" /* the base point: a share like any other */

static const struct age_file_key file_key = { "YELLOW FROG BOAT" };
static struct age_identities *identities;
static struct age_recipients *others;

static void
set_up(void)
{
    CLEANUP(secret_free) struct secret *identity = NULL;
    CLEANUP(secret_free) struct secret *passphrase = secret_new("correct horse", 13);
    CLEANUP_FREE char *recipient = NULL;

    identities = age_identities_new();
    others = age_recipients_new();
    ck_assert_int_eq(age_identities_add(identities, IDENTITY), 0);
    ck_assert_int_eq(age_identities_add_passphrase(identities, passphrase), 0);
    ck_assert_int_eq(age_key_generate(&identity, &recipient), 0);
    ck_assert_int_eq(age_recipients_add(others, recipient), 0);
}

static void
tear_down(void)
{
    age_identities_free(identities);
    age_recipients_free(others);
}

static void
add_own_stanza(struct buf *header)
{
    CLEANUP(age_recipients_free) struct age_recipients *own = age_recipients_new();

    ck_assert_int_eq(age_recipients_add(own, RECIPIENT), 0);
    ck_assert_int_eq(age_stanza_wrap_x25519(age_recipients_get(own, 0), &file_key, header), 0);
}

static void
add_mac(struct buf *header, const char *blank)
{
    unsigned char mac[AGE_MAC_BYTES];
    char text[AGE_BASE64_CHARS(sizeof mac) + 1];

    ck_assert_int_eq(age_header_mac(header->data, header->len, &file_key, mac), 0);
    age_base64_encode(mac, sizeof mac, text);
    ck_assert_int_eq(buf_addf(header, "%s%s", blank, text), 0);
}

static void
add_mark(struct buf *header, char mark)
{
    switch (mark) {
    case 'X':
        add_own_stanza(header);
        break;
    case 'Y':
        ck_assert_int_eq(age_stanza_wrap_x25519(age_recipients_get(others, 0), &file_key, header), 0);
        break;
    case 'S': /* made apart from this code, and read by the age program */
        ck_assert_int_eq(buf_adds(header, "-> scrypt MDEyMzQ1Njc4OWFiY2RlZg 10\n"
                                          "xwP1GVMAudGowrXlGFOG7dGtxrE4tPwOw5a1a3kmG+M\n"), 0);
        break;
    case 'M':
        add_mac(header, " ");
        break;
    case 'm':
        add_mac(header, "");
        break;
    default:
        ck_abort_msg("no such mark: %c", mark);
    }
}

static void
expand(const char *template, struct buf *header)
{
    while (*template != '\0') {
        if (template[0] == '{') {
            add_mark(header, template[1]);
            template += 3;
        } else {
            ck_assert_int_eq(buf_add(header, template++, 1), 0);
        }
    }
}

/* What an age file that begins with these bytes is opened with. */
static int
unlock(const struct buf *header)
{
    struct age_header parsed;
    struct age_file_key opened;
    int rc = age_header_parse(header->data, header->len, &parsed);

    if (rc == 0)
        rc = age_header_unlock(&parsed, identities, &opened);
    if (rc == 0)
        ck_assert_mem_eq(opened.bytes, file_key.bytes, sizeof file_key.bytes);
    return rc;
}

static const char *const good_rows[] = {
    V1 "{X}---{M}\n",
    V1 "{S}---{M}\n",
    V1 "{X}{Y}---{M}\n", /* several recipients, we are the first */
    V1 "{Y}{X}---{M}\n", /* … the last */
    V1 "{X}{X}---{M}\n", /* … both */
    V1 "-> other\n\n{X}---{M}\n",                     /* kinds we do not know are skipped: no body */
    V1 "-> other a b c d e f\nAAAA\n{X}---{M}\n",     /* more arguments than any kind of ours */
    V1 "-> other\n" B64 "\n\n{X}---{M}\n",            /* a body that fills its line, then an empty one */
    V1 "-> other\n" B64 "\n" B64 "\nAA\n{X}---{M}\n", /* a body of several lines */
    V1 "-> !\"#$%&'()*+,-./:;<=>?@[]^_`|}~ !\nAA\n{X}---{M}\n", /* an argument may be of any visible character */
    V1 "{X}-> other\n\n---{M}\n",                     /* behind ours */
    V1 "-> x25519 " SHARE "\n" B43 "\n{X}---{M}\n",   /* case counts: another kind */
    V1 "-> SCRYPT\n\n{X}---{M}\n",                    /* the same: it may stand beside others */
    V1 "-> X25519 " SHARE "\n" B43 "\n{X}---{M}\n",   /* a stanza for us in form that does not open */
};

START_TEST(good_header_opens)
{
    CLEANUP_BUF struct buf header = BUF_INIT(AGE_HEADER_LIMIT_BYTES);
    size_t len = 0;

    expand(good_rows[_i], &header);
    ck_assert_msg(unlock(&header) == 0, "%s", error_text());
    ck_assert_int_eq(age_header_length(header.data, header.len, &len), 0);
    ck_assert_uint_eq(len, header.len);
    ck_assert_int_eq(buf_adds(&header, "\n--- payload \xff"), 0); /* what follows is not looked at */
    ck_assert_int_eq(age_header_length(header.data, header.len, &len), 0);
    ck_assert_uint_eq(len, header.len - 14);
}
END_TEST

static const struct bad_row {
    const char *template;
    const char *error;
} bad_rows[] = {
    /* version line */
    { "age-encryption.org/v2\n{X}---{M}\n", "version 'v2'" },
    { "age-encryption.org/v1 \n{X}---{M}\n", "version 'v1 '" },
    { "age-encryption.org/\n{X}---{M}\n", "version ''" },
    { "age-encryption.org/v1\r\n{X}---{M}\n", "byte 0x0d at offset 21" },
    { "Age-encryption.org/v1\n{X}---{M}\n", "no age file" },
    { "\n" V1 "{X}---{M}\n", "no age file" },
    { "PGDMP", "no age file" },
    { "x", "no age file" },
    { "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n", "ASCII armor" },
    { "-----BEGIN PGP MESSAGE-----\n", "no age file" },
    /* stanza lines */
    { V1 "---{M}\n", "no stanza" },
    { V1 "\n{X}---{M}\n", "neither a stanza nor its MAC at offset 22" },
    { V1 "->\n\n{X}---{M}\n", "neither" },
    { V1 "->other\n\n{X}---{M}\n", "neither" },
    { V1 "=> other\n\n{X}---{M}\n", "neither" },
    { V1 " -> other\n\n{X}---{M}\n", "neither" },
    { V1 "-> \n\n{X}---{M}\n", "empty argument" },
    { V1 "->  other\n\n{X}---{M}\n", "empty argument" },
    { V1 "-> other  a\n\n{X}---{M}\n", "empty argument" },
    { V1 "-> other \n\n{X}---{M}\n", "empty argument" },
    { V1 "-> other\ta\n\n{X}---{M}\n", "byte 0x09" },
    { V1 "-> oth\xc3\xa9r\n\n{X}---{M}\n", "byte 0xc3" },
    { V1 "-> oth\x7fr\n\n{X}---{M}\n", "byte 0x7f" },
    { V1 "-> other\r\n\n{X}---{M}\n", "byte 0x0d" },
    /* bodies */
    { V1 "-> other\n{X}---{M}\n", "at offset 22 is not base64" },                 /* none, not even an empty line */
    { V1 "-> other\n" B64 "\n---{M}\n", "at offset 22 is not base64" },           /* the short line is missing */
    { V1 "-> other\n" B64 "AAAA\n{X}---{M}\n", "at offset 22 is not base64" },    /* a line too long */
    { V1 "-> other\nAAAA\nAAAA\n{X}---{M}\n", "neither" },                        /* a short line that is not last */
    { V1 "-> other\nAA==\n{X}---{M}\n", "is not base64" },                        /* padding */
    { V1 "-> other\nAB\n{X}---{M}\n", "is not base64" },                          /* a spare bit that is set */
    { V1 "-> other\nA\n{X}---{M}\n", "is not base64" },                           /* six bits */
    { V1 "-> other\nAA A\n{X}---{M}\n", "is not base64" },                        /* a blank */
    { V1 "-> other\nAA-A\n{X}---{M}\n", "is not base64" },                        /* the URL alphabet */
    { V1 "-> other\n\n\n{X}---{M}\n", "neither" },                                /* an empty line too many */
    /* X25519 */
    { V1 "-> X25519\n" B43 "\n{X}---{M}\n", "1 arguments (wanted: 2)" },
    { V1 "-> X25519 " SHARE " x\n" B43 "\n---{M}\n", "3 arguments (wanted: 2)" },
    { V1 "-> X25519 " SHARE " x y z\n" B43 "\n---{M}\n", "5 arguments (wanted: 2)" },
    { V1 "-> X25519 " B22 "\n" B43 "\n---{M}\n", "share" },                        /* a share too short */
    { V1 "-> X25519 " SHARE "AAAA\n" B43 "\n---{M}\n", "share" },                  /* … too long */
    { V1 "-> X25519 " SHARE "=\n" B43 "\n---{M}\n", "share" },                     /* … padded */
    { V1 "-> X25519 CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\n" B43 "\n---{M}\n", "share" }, /* not canonical */
    { V1 "-> X25519 " SHARE "\n\n---{M}\n", "X25519 stanza does not hold" },       /* no wrapped key */
    { V1 "-> X25519 " SHARE "\n" B22 "\n---{M}\n", "X25519 stanza does not hold" }, /* too short */
    { V1 "-> X25519 " SHARE "\n" B64 "\n\n---{M}\n", "X25519 stanza does not hold" }, /* too long */
    { V1 "{X}-> X25519 " SHARE "\n" B22 "\n---{M}\n", "X25519 stanza does not hold" }, /* behind one that opens */
    { V1 "-> X25519 " B43 "\n" B43 "\n---{M}\n", "low order" },                    /* the point zero */
    { V1 "-> X25519 " B43 "\n" B43 "\n{X}---{M}\n", "low order" },                 /* before one that opens */
    { V1 "-> X25519 4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA\n" B43 "\n---{M}\n", "low order" }, /* order eight */
    /* scrypt */
    { V1 "{S}{X}---{M}\n", "scrypt stanza among 2" },
    { V1 "{X}{S}---{M}\n", "scrypt stanza among 2" },
    { V1 "{S}{S}---{M}\n", "scrypt stanza among 2" },
    { V1 "{S}-> other\n\n---{M}\n", "scrypt stanza among 2" },
    { V1 "-> scrypt " B22 "\n" B43 "\n---{M}\n", "2 arguments (wanted: 3)" },
    { V1 "-> scrypt " B22 " 10 x\n" B43 "\n---{M}\n", "4 arguments (wanted: 3)" },
    { V1 "-> scrypt 10 " B22 "\n" B43 "\n---{M}\n", "salt" },
    { V1 "-> scrypt AAAA 10\n" B43 "\n---{M}\n", "salt" },
    { V1 "-> scrypt " B43 " 10\n" B43 "\n---{M}\n", "salt" },
    { V1 "-> scrypt AAAAAAAAAAAAAAAAAAAAAB 10\n" B43 "\n---{M}\n", "salt" }, /* not canonical */
    { V1 "-> scrypt " B22 " 10\n" B22 "\n---{M}\n", "scrypt stanza does not hold" },
    { V1 "-> scrypt " B22 " 0\n" B43 "\n---{M}\n", "is no number" },
    { V1 "-> scrypt " B22 " 010\n" B43 "\n---{M}\n", "is no number" },
    { V1 "-> scrypt " B22 " +10\n" B43 "\n---{M}\n", "is no number" },
    { V1 "-> scrypt " B22 " -1\n" B43 "\n---{M}\n", "is no number" },
    { V1 "-> scrypt " B22 " 0xa\n" B43 "\n---{M}\n", "is no number" },
    { V1 "-> scrypt " B22 " 1e1\n" B43 "\n---{M}\n", "is no number" },
    { V1 "-> scrypt " B22 " 23\n" B43 "\n---{M}\n", "work factor '23' is too high (wanted: at most 22)" },
    { V1 "-> scrypt " B22 " 18446744073709551626\n" B43 "\n---{M}\n", "'18446744073709551626' is too high" },
    /* MAC line */
    { V1 "{X}---\n", "MAC of the age header" },
    { V1 "{X}--- \n", "MAC of the age header" },
    { V1 "{X}---{m}\n", "MAC of the age header" },
    { V1 "{X}---  {m}\n", "MAC of the age header" },
    { V1 "{X}---{M} \n", "MAC of the age header" },
    { V1 "{X}---{M}=\n", "MAC of the age header" },
    { V1 "{X}---{M}AAAA\n", "MAC of the age header" },
    { V1 "{X}--- " B22 "\n", "MAC of the age header" },
    { V1 "{X}--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\n", "MAC of the age header" }, /* not canonical */
    { V1 "{X}---{M}\r\n", "byte 0x0d" },
    { V1 "{X}----{M}\n", "MAC of the age header" },
    { V1 "{X}--- " B43 "\n", "its MAC is wrong" },
};

START_TEST(malformed_header_is_refused)
{
    CLEANUP_BUF struct buf header = BUF_INIT(AGE_HEADER_LIMIT_BYTES);

    expand(bad_rows[_i].template, &header);
    ck_assert_msg(unlock(&header) == ERROR_CORRUPT, "row %d: %s", _i, error_text());
    ck_assert_error_has(bad_rows[_i].error);
}
END_TEST

START_TEST(any_beginning_of_a_header_asks_for_more)
{
    CLEANUP_BUF struct buf header = BUF_INIT(AGE_HEADER_LIMIT_BYTES);
    size_t len = 12345;

    expand(V1 "-> other a\n" B64 "\n\n{X}{Y}---{M}\n", &header);
    for (size_t cut = 0; cut < header.len; cut++) {
        CLEANUP_FREE char *copy = mem_alloc(cut); /* so that a read behind its end is seen */

        memcpy(copy, header.data, cut);
        ck_assert_msg(age_header_length(copy, cut, &len) == PGCASK_RETRY, "at %zu: %s", cut, error_text());
    }
    ck_assert_uint_eq(len, 12345);
    ck_assert_int_eq(age_header_length(NULL, 0, &len), PGCASK_RETRY);
    ck_assert_int_eq(age_header_length("-----BEG", 8, &len), PGCASK_RETRY);
}
END_TEST

START_TEST(any_changed_bit_is_noticed)
{
    CLEANUP_BUF struct buf header = BUF_INIT(AGE_HEADER_LIMIT_BYTES);

    expand(V1 "-> other a\nAAAA\n{Y}{X}---{M}\n", &header);
    for (size_t bit = 0; bit < 8 * header.len; bit++) {
        int rc;

        header.data[bit / 8] ^= (char)(1 << bit % 8);
        rc = unlock(&header);
        ck_assert_msg(rc == ERROR_CORRUPT || rc == ERROR_USAGE || rc == PGCASK_RETRY, "bit %zu gives %d", bit, rc);
        header.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    ck_assert_int_eq(unlock(&header), 0);
}
END_TEST

static const struct limit_row {
    size_t len; /* of the whole header */
    int rc;
} limit_rows[] = {
    { AGE_HEADER_LIMIT_BYTES - 1, 0 },
    { AGE_HEADER_LIMIT_BYTES, 0 },
    { AGE_HEADER_LIMIT_BYTES + 1, ERROR_CORRUPT },
};

START_TEST(header_longer_than_the_limit_is_refused)
{
    static const char end[] = "\n\n--- " B43 "\n";
    CLEANUP_BUF struct buf header = BUF_INIT(2 * AGE_HEADER_LIMIT_BYTES);
    size_t len;

    expand(V1 "-> ", &header);
    while (header.len < limit_rows[_i].len - (sizeof end - 1))
        ck_assert_int_eq(buf_adds(&header, "x"), 0);
    ck_assert_int_eq(buf_adds(&header, end), 0);
    ck_assert_uint_eq(header.len, limit_rows[_i].len);
    ck_assert_int_eq(age_header_length(header.data, header.len, &len), limit_rows[_i].rc);
    if (limit_rows[_i].rc < 0)
        ck_assert_error_has("longer than 65536 bytes");
}
END_TEST

START_TEST(header_for_others_names_whom_we_tried)
{
    CLEANUP_BUF struct buf header = BUF_INIT(AGE_HEADER_LIMIT_BYTES);
    CLEANUP_BUF struct buf locked = BUF_INIT(AGE_HEADER_LIMIT_BYTES);

    expand(V1 "{Y}---{M}\n", &header);
    ck_assert_int_eq(unlock(&header), ERROR_USAGE);
    ck_assert_error_has(RECIPIENT);
    ck_assert_error_has("passphrase");
    expand(V1 "-> scrypt " B22 " 1\n" B43 "\n---{M}\n", &locked); /* a passphrase that is not ours */
    ck_assert_int_eq(unlock(&locked), ERROR_USAGE);
}
END_TEST

START_TEST(header_without_identities_is_a_usage_error)
{
    CLEANUP_BUF struct buf header = BUF_INIT(AGE_HEADER_LIMIT_BYTES);

    expand(V1 "{X}---{M}\n", &header);
    age_identities_free(identities);
    identities = age_identities_new();
    ck_assert_int_eq(unlock(&header), ERROR_USAGE);
    ck_assert_error_has("no identity or passphrase was given");
}
END_TEST

START_TEST(header_for_nobody_is_not_built)
{
    CLEANUP(age_recipients_free) struct age_recipients *nobody = age_recipients_new();
    CLEANUP_BUF struct buf header = BUF_INIT(AGE_HEADER_LIMIT_BYTES);

    ck_assert_int_eq(age_header_build(nobody, &file_key, &header), ERROR_USAGE);
}
END_TEST

static Suite *
age_header_suite(void)
{
    Suite *suite = suite_create("age-header");
    TCase *tcase = tcase_create("age-header");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, good_header_opens, 0, ARRAY_LEN(good_rows));
    tcase_add_loop_test(tcase, malformed_header_is_refused, 0, ARRAY_LEN(bad_rows));
    tcase_add_test(tcase, any_beginning_of_a_header_asks_for_more);
    tcase_add_test(tcase, any_changed_bit_is_noticed);
    tcase_add_loop_test(tcase, header_longer_than_the_limit_is_refused, 0, ARRAY_LEN(limit_rows));
    tcase_add_test(tcase, header_for_others_names_whom_we_tried);
    tcase_add_test(tcase, header_without_identities_is_a_usage_error);
    tcase_add_test(tcase, header_for_nobody_is_not_built);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(age_header_suite)
