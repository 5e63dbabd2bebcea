/* SPDX-License-Identifier: PostgreSQL
 *
 * The keys that a config names: all of them, none, and what is wrong with one.
 */
#include "config.h"

#include "pipeline/keys.h"

#include <string.h>

#include "base/error.h"
#include "unit-age.h"
#include "unit-dir.h"
#include "unit-talk.h"
#include "unit.h"


static struct config_main settings;
static const struct config config = { .main = &settings };
static char *file; /* a path for keys */

static void
setup(void)
{
    dir_make();
    file = dir_path("keys.txt");
    settings = (struct config_main){ .encrypt = "age" };
}

static void
teardown(void)
{
    free(file);
    dir_remove();
}

/* ---- for writing ---- */

/* Their public texts, "" for no encryption; owned by the caller. */
static char *
recipients(void)
{
    CLEANUP(age_recipients_free) struct age_recipients *loaded = NULL;
    CLEANUP_STRV struct strv texts = { 0 };

    ck_assert_msg(keys_recipients(&config, &loaded) == 0, "%s", error_text());
    if (loaded == NULL)
        return mem_strdup("");
    age_recipients_list(loaded, &texts);
    return strv_join(&texts, " ");
}

START_TEST(without_encryption_there_are_no_recipients)
{
    CLEANUP_FREE char *texts = NULL;

    settings.encrypt = "none";
    texts = recipients();
    ck_assert_str_eq(texts, "");
}
END_TEST

START_TEST(recipients_of_the_config_and_of_a_file_come_together)
{
    CLEANUP_FREE char *texts = NULL, *pair = NULL, *made = NULL, *lines = NULL;
    CLEANUP(secret_free) struct secret *identity = NULL;

    ck_assert_int_eq(age_key_generate(&identity, &made), 0);
    pair = mem_printf("%s %s", RECIPIENT, made);
    lines = mem_printf("# one more\n\n%s\n", made);
    settings.recipient = RECIPIENT;
    texts = recipients();
    ck_assert_str_eq(texts, RECIPIENT);
    dir_put(file, lines, 0644); /* public keys are no secret */
    settings.recipient_file = file;
    free(texts);
    texts = recipients();
    ck_assert_str_eq(texts, pair);
    settings.recipient = pair;
    settings.recipient_file = NULL;
    free(texts);
    texts = recipients();
    ck_assert_str_eq(texts, pair);
}
END_TEST

START_TEST(a_passphrase_stands_for_itself)
{
    CLEANUP_FREE char *texts = NULL;

    settings.passphrase = "correct horse";
    texts = recipients();
    ck_assert_str_eq(texts, "passphrase");
}
END_TEST

static const struct refused_row {
    const char *recipient, *lines; /* NULL: not set; lines "-": the file is missing */
    const char *error;
} refused_rows[] = {
    { NULL, NULL, "there is no recipient to encrypt to" },
    { "", NULL, "there is no recipient to encrypt to" },
    { NULL, "# nobody\n", NULL },
    { "age1nobody", NULL, "age1nobody" },
    { RECIPIENT " age1nobody", NULL, "age1nobody" },
    { NULL, RECIPIENT "\nage1nobody\n", "keys.txt:2" },
    { RECIPIENT, "-", "keys.txt" },
};

START_TEST(what_cannot_be_encrypted_to_is_refused)
{
    const struct refused_row *row = &refused_rows[_i];
    CLEANUP(age_recipients_free) struct age_recipients *loaded = NULL;

    settings.recipient = row->recipient;
    if (row->lines != NULL) {
        settings.recipient_file = file;
        if (strcmp(row->lines, "-") != 0)
            dir_put(file, row->lines, 0600);
    }
    ck_assert_int_eq(keys_recipients(&config, &loaded), ERROR_USAGE);
    ck_assert_ptr_null(loaded);
    ck_assert_str_ne(error_text(), "");
    if (row->error != NULL)
        ck_assert_error_has(row->error);
}
END_TEST

START_TEST(an_identity_for_a_recipient_is_not_shown)
{
    CLEANUP(age_recipients_free) struct age_recipients *loaded = NULL;

    settings.recipient = IDENTITY;
    ck_assert_int_eq(keys_recipients(&config, &loaded), ERROR_USAGE);
    ck_assert_lacks(error_text(), &IDENTITY[20]);
}
END_TEST

/* ---- for reading ---- */

static char *
identities(bool optional)
{
    CLEANUP(age_identities_free) struct age_identities *loaded = NULL;
    CLEANUP_STRV struct strv texts = { 0 };

    ck_assert_msg(keys_identities(&config, optional, &loaded) == 0, "%s", error_text());
    if (loaded == NULL)
        return mem_strdup("");
    age_identities_list(loaded, &texts);
    return strv_join(&texts, " ");
}

START_TEST(a_host_without_identities_has_none)
{
    CLEANUP_FREE char *wanted = identities(false), *optional = identities(true);

    ck_assert_str_eq(wanted, "");
    ck_assert_str_eq(optional, "");
}
END_TEST

START_TEST(identities_are_of_the_file_and_of_the_passphrase)
{
    CLEANUP_FREE char *texts = NULL;

    dir_put(file, "# public key: x\n" IDENTITY "\n", 0600);
    settings.identity_file = file;
    texts = identities(false);
    ck_assert_str_eq(texts, RECIPIENT);
    settings.passphrase = "correct horse";
    free(texts);
    texts = identities(true);
    ck_assert_str_eq(texts, RECIPIENT " passphrase");
}
END_TEST

static const struct bad_row {
    const char *lines; /* NULL: the file is missing */
    mode_t mode;
    const char *error;
} bad_rows[] = {
    { NULL, 0, "keys.txt" },
    { IDENTITY "\n", 0640, "can be used by others than its owner" },
    { IDENTITY "\n", 0604, "can be used by others than its owner" },
    { "AGE-SECRET-KEY-1NONE\n", 0600, "keys.txt:1" },
    { RECIPIENT "\n", 0600, "keys.txt:1" }, /* the wrong half */
};

START_TEST(an_identity_that_cannot_be_used_is_an_error)
{
    const struct bad_row *row = &bad_rows[_i];
    CLEANUP(age_identities_free) struct age_identities *loaded = NULL;

    if (row->lines != NULL)
        dir_put(file, row->lines, row->mode);
    settings.identity_file = file;
    ck_assert_int_lt(keys_identities(&config, false, &loaded), 0);
    ck_assert_ptr_null(loaded);
    ck_assert_error_has(row->error);
}
END_TEST

START_TEST(where_it_is_optional_it_is_a_warning)
{
    const struct bad_row *row = &bad_rows[_i];
    CLEANUP(age_identities_free) struct age_identities *loaded = NULL;
    struct talk talk = talk_begin(STDERR_FILENO);
    CLEANUP_FREE char *said = NULL;
    int rc;

    if (row->lines != NULL)
        dir_put(file, row->lines, row->mode);
    settings.identity_file = file;
    rc = keys_identities(&config, true, &loaded);
    said = talk_end(&talk);
    ck_assert_int_eq(rc, 0);
    ck_assert_ptr_null(loaded);
    ck_assert_has(said, row->error);
    ck_assert_has(said, "verifying stored digests only");
    ck_assert_str_eq(error_text(), "");
}
END_TEST

static Suite *
keys_suite(void)
{
    Suite *suite = suite_create("keys");
    TCase *writing = tcase_create("writing"), *reading = tcase_create("reading");

    tcase_add_checked_fixture(writing, setup, teardown);
    tcase_add_test(writing, without_encryption_there_are_no_recipients);
    tcase_add_test(writing, recipients_of_the_config_and_of_a_file_come_together);
    tcase_add_test(writing, a_passphrase_stands_for_itself);
    tcase_add_loop_test(writing, what_cannot_be_encrypted_to_is_refused, 0, ARRAY_LEN(refused_rows));
    tcase_add_test(writing, an_identity_for_a_recipient_is_not_shown);
    suite_add_tcase(suite, writing);
    tcase_add_checked_fixture(reading, setup, teardown);
    tcase_add_test(reading, a_host_without_identities_has_none);
    tcase_add_test(reading, identities_are_of_the_file_and_of_the_passphrase);
    tcase_add_loop_test(reading, an_identity_that_cannot_be_used_is_an_error, 0, ARRAY_LEN(bad_rows));
    tcase_add_loop_test(reading, where_it_is_optional_it_is_a_warning, 0, ARRAY_LEN(bad_rows));
    suite_add_tcase(suite, reading);
    return suite;
}

UNIT_MAIN(keys_suite)
