/* SPDX-License-Identifier: PostgreSQL
 *
 * Sets of recipients and identities: what is taken, what is refused, and that
 * nothing secret is told while refusing.
 */
#include "config.h"

#include "stage/age-key.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "unit.h"

/* The example of the age specification: 32 bytes of 0x42. */
#define IDENTITY "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
#define RECIPIENT "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
#define SECRET_PART "GFPYYSJZ"

static struct age_recipients *recipients;
static struct age_identities *identities;
static char dir[] = "/tmp/pgcask-test-XXXXXX";
static char *path;

static void
set_up(void)
{
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    path = mem_printf("%s/keys", dir);
    recipients = age_recipients_new();
    identities = age_identities_new();
}

static void
tear_down(void)
{
    (void)unlink(path); /* only some tests make it */
    (void)rmdir(dir);
    free(path);
    age_recipients_free(recipients);
    age_identities_free(identities);
}

static void
write_keys(const char *text, mode_t mode)
{
    ck_assert_msg(file_write(path, text, strlen(text)) == 0, "%s", error_text());
    ck_assert_int_eq(chmod(path, mode), 0);
}

static const struct bad_row {
    const char *text;
    const char *error;
} bad_recipients[] = {
    { "", "no recipient" },
    { "AGE1ZVKYG2LQZRAA2LNJVQEJ32NKUU0UES2S82HZRYE869XEEXVN73EQUNUJWJ", "no recipient" }, /* age refuses it too */
    { "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKrX", "SSH keys" },
    { "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwk", "checksum" }, /* one character changed */
    { "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujw", "checksum" },  /* one character lost */
    { "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj ", "character 63" },
    { "age1zvkyg2Lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", "character 11 changes" },
    { "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e", "begins with 'age1'" }, /* a plugin's */
    { "age1gfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgg7enat4", "exactly 32 bytes" },           /* 31 bytes */
    { "age1gfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyys3nez5", "exactly 32 bytes" },        /* 33 bytes */
    { "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z", "low order" }, /* zero */
    { "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya", "low order" }, /* one */
    { "age1ur4h5lpmgxu2u9jku0a0r87ydtdqnr0tnsetrlvxvgz3vh6fhqqqzyt4v9", "low order" }, /* of order eight */
    { IDENTITY, "secret identity" },
    { "age-secret-key-1gfpyysjzgfpyysjz", "secret identity" }, /* however it is written */
};

START_TEST(bad_recipient_is_refused_with_its_reason)
{
    ck_assert_int_eq(age_recipients_add(recipients, bad_recipients[_i].text), ERROR_USAGE);
    ck_assert_error_has(bad_recipients[_i].error);
    ck_assert(age_recipients_empty(recipients));
}
END_TEST

START_TEST(identity_given_as_recipient_is_not_shown)
{
    ck_assert_int_eq(age_recipients_add(recipients, IDENTITY), ERROR_USAGE);
    ck_assert_ptr_null(strstr(error_text(), SECRET_PART));
    ck_assert_ptr_nonnull(error_cure());
    ck_assert_ptr_null(strstr(error_cure(), SECRET_PART));
}
END_TEST

static const struct bad_row bad_identities[] = {
    { "", "begins with 'AGE-SECRET-KEY-1'" },
    { RECIPIENT, "is a recipient" },
    { "AGE-PLUGIN-YUBIKEY-1QQPQQQ" SECRET_PART, "plugins" },
    { "-----BEGIN OPENSSH PRIVATE KEY-----", "SSH" },
    { "age-encryption.org/v1", "encrypted" },
    { "age-secret-key-1gfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpq4egaex", "begins with" }, /* lower case */
    { "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEY", "checksum" },
    { "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPPG0UGY5", "exactly 32 bytes" },
    { "AGE-SECRET-KEY-1GFPYYSJZ!FPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", "character 25" },
};

START_TEST(bad_identity_is_refused_and_not_shown)
{
    ck_assert_int_eq(age_identities_add(identities, bad_identities[_i].text), ERROR_USAGE);
    ck_assert_error_has(bad_identities[_i].error);
    ck_assert_ptr_null(strstr(error_text(), SECRET_PART));
    ck_assert(age_identities_empty(identities));
}
END_TEST

START_TEST(identity_lists_its_recipient)
{
    CLEANUP_STRV struct strv texts = { 0 };

    ck_assert_int_eq(age_identities_add(identities, IDENTITY), 0);
    ck_assert_int_eq(age_identities_add(identities, IDENTITY), 0); /* the second time changes nothing */
    age_identities_list(identities, &texts);
    ck_assert_uint_eq(texts.len, 1);
    ck_assert_str_eq(texts.items[0], RECIPIENT);
}
END_TEST

START_TEST(recipient_named_twice_counts_once)
{
    CLEANUP_STRV struct strv texts = { 0 };

    ck_assert_int_eq(age_recipients_add(recipients, RECIPIENT), 0);
    ck_assert_int_eq(age_recipients_add(recipients, RECIPIENT), 0);
    age_recipients_list(recipients, &texts);
    ck_assert_uint_eq(texts.len, 1);
    ck_assert_str_eq(texts.items[0], RECIPIENT);
}
END_TEST

START_TEST(generated_pair_belongs_together)
{
    CLEANUP(secret_free) struct secret *identity = NULL;
    CLEANUP(secret_free) struct secret *other = NULL;
    CLEANUP_FREE char *recipient = NULL;
    CLEANUP_FREE char *other_recipient = NULL;
    CLEANUP_STRV struct strv texts = { 0 };

    ck_assert_int_eq(age_key_generate(&identity, &recipient), 0);
    ck_assert_int_eq(age_key_generate(&other, &other_recipient), 0);
    ck_assert_str_ne(recipient, other_recipient);
    ck_assert_uint_eq(secret_len(identity), strlen(IDENTITY));
    ck_assert_int_eq(age_recipients_add(recipients, recipient), 0);
    ck_assert_int_eq(age_identities_add(identities, secret_text(identity)), 0);
    age_identities_list(identities, &texts);
    ck_assert_str_eq(texts.items[0], recipient);
}
END_TEST

START_TEST(sets_end_at_64_keys)
{
    CLEANUP(secret_free) struct secret *passphrase = secret_new("a", 1);

    for (int i = 0; i <= 64; i++) {
        CLEANUP(secret_free) struct secret *identity = NULL;
        CLEANUP_FREE char *recipient = NULL;

        ck_assert_int_eq(age_key_generate(&identity, &recipient), 0);
        ck_assert_int_eq(age_recipients_add(recipients, recipient), i < 64 ? 0 : ERROR_USAGE);
        ck_assert_int_eq(age_identities_add(identities, secret_text(identity)), i < 64 ? 0 : ERROR_USAGE);
    }
    ck_assert_error_has("more than 64");
    ck_assert_int_eq(age_identities_add_passphrase(identities, passphrase), ERROR_USAGE);
}
END_TEST

START_TEST(passphrase_stands_alone_among_recipients)
{
    CLEANUP(secret_free) struct secret *passphrase = secret_new("correct horse", 13);
    CLEANUP(age_recipients_free) struct age_recipients *keys = age_recipients_new();
    CLEANUP_STRV struct strv texts = { 0 };

    ck_assert_int_eq(age_recipients_set_passphrase(recipients, passphrase), 0);
    ck_assert(!age_recipients_empty(recipients));
    ck_assert_int_eq(age_recipients_add(recipients, RECIPIENT), ERROR_USAGE);
    ck_assert_error_has("cannot be combined");
    age_recipients_list(recipients, &texts);
    ck_assert_uint_eq(texts.len, 1);
    ck_assert_str_eq(texts.items[0], "passphrase");
    ck_assert_int_eq(age_recipients_add(keys, RECIPIENT), 0);
    ck_assert_int_eq(age_recipients_set_passphrase(keys, passphrase), ERROR_USAGE);
    ck_assert_error_has("cannot be combined");
}
END_TEST

START_TEST(empty_passphrase_is_refused)
{
    CLEANUP(secret_free) struct secret *empty = secret_new("", 0);

    ck_assert_int_eq(age_recipients_set_passphrase(recipients, empty), ERROR_USAGE);
    ck_assert(age_recipients_empty(recipients));
    ck_assert_int_eq(age_identities_add_passphrase(identities, empty), ERROR_USAGE);
    ck_assert(age_identities_empty(identities));
}
END_TEST

START_TEST(file_of_identities_is_read)
{
    CLEANUP_STRV struct strv texts = { 0 };

    write_keys("# created: 2024-01-01T00:00:00Z\n# public key: " RECIPIENT "\n" IDENTITY "\n", 0600);
    ck_assert_msg(age_identities_add_file(identities, path) == 0, "%s", error_text());
    age_identities_list(identities, &texts);
    ck_assert_uint_eq(texts.len, 1);
    ck_assert_str_eq(texts.items[0], RECIPIENT);
}
END_TEST

START_TEST(file_of_identities_open_to_others_is_refused)
{
    write_keys(IDENTITY "\n", 0640);
    ck_assert_int_eq(age_identities_add_file(identities, path), ERROR_USAGE);
    ck_assert_error_has("0640");
    ck_assert(age_identities_empty(identities));
}
END_TEST

START_TEST(missing_file_is_a_usage_error)
{
    ck_assert_int_eq(age_identities_add_file(identities, path), ERROR_USAGE);
    ck_assert_error_has(path);
    ck_assert_int_eq(age_recipients_add_file(recipients, path), ERROR_USAGE);
    ck_assert_error_has(path);
}
END_TEST

static const struct file_row {
    const char *text;
    const char *error; /* NULL: one recipient is read */
} recipient_files[] = {
    { RECIPIENT "\n", NULL },
    { RECIPIENT, NULL },                        /* no newline at the end */
    { "\n\n# for the safe\n" RECIPIENT, NULL }, /* blank lines and comments */
    { "  \t" RECIPIENT " \t\r\n", NULL },       /* blanks around it, and a line end of DOS */
    { " # indented\n" RECIPIENT "\n\n", NULL },
    { "", "holds no key" },
    { "# nobody\n\n", "holds no key" },
    { "#\n\n" RECIPIENT " # home\n", "/keys:3: " },           /* a comment behind a key */
    { RECIPIENT "\n\nage1qqqq\n" RECIPIENT "\n", "/keys:3: " }, /* the line is counted */
    { RECIPIENT "\n" IDENTITY "\n", "/keys:2: this is a secret identity" },
};

START_TEST(file_of_recipients_is_read_line_by_line)
{
    const struct file_row *row = &recipient_files[_i];
    CLEANUP_STRV struct strv texts = { 0 };
    int rc;

    write_keys(row->text, 0644); /* public */
    rc = age_recipients_add_file(recipients, path);
    ck_assert_msg(rc == (row->error ? ERROR_USAGE : 0), "%s", error_text());
    if (row->error != NULL) {
        ck_assert_error_has(row->error);
        ck_assert_ptr_null(strstr(error_text(), SECRET_PART));
        return;
    }
    age_recipients_list(recipients, &texts);
    ck_assert_uint_eq(texts.len, 1);
    ck_assert_str_eq(texts.items[0], RECIPIENT);
}
END_TEST

START_TEST(file_with_nul_byte_is_refused)
{
    static const char text[] = RECIPIENT "\n\0" RECIPIENT "\n";

    ck_assert_int_eq(file_write(path, text, sizeof text - 1), 0);
    ck_assert_int_eq(age_recipients_add_file(recipients, path), ERROR_USAGE);
    ck_assert_error_has("NUL");
}
END_TEST

static Suite *
age_key_suite(void)
{
    Suite *suite = suite_create("age-key");
    TCase *tcase = tcase_create("age-key");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, bad_recipient_is_refused_with_its_reason, 0, ARRAY_LEN(bad_recipients));
    tcase_add_test(tcase, identity_given_as_recipient_is_not_shown);
    tcase_add_loop_test(tcase, bad_identity_is_refused_and_not_shown, 0, ARRAY_LEN(bad_identities));
    tcase_add_test(tcase, identity_lists_its_recipient);
    tcase_add_test(tcase, recipient_named_twice_counts_once);
    tcase_add_test(tcase, generated_pair_belongs_together);
    tcase_add_test(tcase, sets_end_at_64_keys);
    tcase_add_test(tcase, passphrase_stands_alone_among_recipients);
    tcase_add_test(tcase, empty_passphrase_is_refused);
    tcase_add_test(tcase, file_of_identities_is_read);
    tcase_add_test(tcase, file_of_identities_open_to_others_is_refused);
    tcase_add_test(tcase, missing_file_is_a_usage_error);
    tcase_add_loop_test(tcase, file_of_recipients_is_read_line_by_line, 0, ARRAY_LEN(recipient_files));
    tcase_add_test(tcase, file_with_nul_byte_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(age_key_suite)
