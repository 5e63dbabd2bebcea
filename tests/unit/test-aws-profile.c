/* SPDX-License-Identifier: PostgreSQL
 *
 * Profiles: AWS's own INI, where the files are, and who may read them.
 */
#include "config.h"

#include "unit-aws.h"

#include "common/aws-profile.h"

#include <errno.h>

/* ---- the text ---- */

#define S(name) (AWS_PROFILE_##name)

static const struct {
    const char *text;
    bool is_config;
    bool found;
    enum aws_profile_setting setting;
    const char *value; /* of that setting of profile "p"; NULL: not there */
} texts[] = {
    /* headers */
    { "[p]\nregion = a\n", false, true, S(REGION), "a" },
    { "[p]\nregion = a\n", true, false, S(REGION), NULL },               /* in the config file it takes "profile" */
    { "[profile p]\nregion = a\n", true, true, S(REGION), "a" },
    { "[profile p]\nregion = a\n", false, false, S(REGION), NULL },
    { "[ \tprofile \t p ]\nregion = a\n", true, true, S(REGION), "a" },
    { "[profile \"p\"]\nregion = a\n", true, true, S(REGION), "a" },
    { "[profile 'p']\nregion = a\n", true, true, S(REGION), "a" },
    { "[profile \"p']\nregion = a\n", true, false, S(REGION), NULL },
    { "[profilep]\nregion = a\n", true, false, S(REGION), NULL },
    { "[sso-session p]\nregion = a\n", true, false, S(REGION), NULL },
    { "[services p]\nregion = a\n", true, false, S(REGION), NULL },
    { "[profile P]\nregion = a\n", true, false, S(REGION), NULL },
    { "[p2]\nregion = a\n[p]\n[pp]\nregion = b\n", false, true, S(REGION), NULL },
    { "[p] # mine\nregion = a\n", false, true, S(REGION), "a" },
    { "region = a\n[p]\n", false, true, S(REGION), NULL },               /* before the first header */
    { "[]\nregion = a\n", false, false, S(REGION), NULL },
    { "", false, false, S(REGION), NULL },
    { "[p]", false, true, S(REGION), NULL },
    /* values */
    { "[p]\naws_secret_access_key=a=b;c#d\n", false, true, S(SECRET_KEY), "a=b;c#d" },
    { "[p]\naws_secret_access_key = a ; b # c\n", false, true, S(SECRET_KEY), "a ; b # c" }, /* refused later */
    { "[p]\ncredential_process = \"/a b\" --x=1 ; y\n", false, true, S(PROCESS), "\"/a b\" --x=1 ; y" },
    { "[p]\r\nregion = a\r\n", false, true, S(REGION), "a" },
    { "\xef\xbb\xbf[p]\nregion = a", false, true, S(REGION), "a" },      /* as some editors save it, no newline */
    { "[p]\nREGION = A\n", false, true, S(REGION), "A" },
    { "[p]\nregion =\n", false, true, S(REGION), NULL },
    { "[p]\nregion = a\nregion = b\n", false, true, S(REGION), "b" },
    { "[p]\nregion = a\nregion =\n", false, true, S(REGION), NULL },
    { "[p]\nregion = a\n[q]\nregion = c\n[p]\naws_access_key_id = k\n", false, true, S(REGION), "a" },
    { "[p]\nregions = a\n region = b\n", false, true, S(REGION), NULL }, /* belongs to what stands before */
    { "[p]\n# region = a\n; region = b\n\n  # c\n", false, true, S(REGION), NULL },
    /* indented */
    { "[p]\n  region = a\n  aws_access_key_id = k\n", false, true, S(ACCESS_KEY), "k" }, /* all of them alike */
    { "[p]\ns3 =\n  region = x\n  role_arn = y\nregion = a\n", false, true, S(REGION), "a" },
    { "[p]\ns3 =\n  region = x\n", false, true, S(REGION), NULL },
    { "[p]\nregion =\n  role_arn = x\n", false, true, S(ROLE_ARN), NULL },
    { "[p]\ns3 =\n\tregion = x\n\n\n\trole_arn = y\n", false, true, S(ROLE_ARN), NULL },
    /* others may have what they want */
    { "[q]\njunk\n[p]\nregion = a\n[r]\n= junk\n", false, true, S(REGION), "a" },
};

START_TEST(a_profile_is_found_with_its_settings)
{
    struct aws_profile_section section = { 0 };
    int rc = aws_profile_parse("f", texts[_i].text, strlen(texts[_i].text), texts[_i].is_config, "p", &section);

    ck_assert_msg(rc == 0, "%s", error_text());
    ck_assert_int_eq(section.found, texts[_i].found);
    ck_assert_pstr_eq(section.values[texts[_i].setting], texts[_i].value);
    aws_profile_section_free(&section);
}
END_TEST

static const struct {
    const char *text;
    const char *error;
} bad_texts[] = {
    { "[p]\ns3cr3t\n", "f:2: wanted NAME = VALUE" },
    { "[p]\n\n= s3cr3t\n", "f:3: wanted NAME = VALUE" },
    { "[p\nregion = a\n", "f:1: a header without ']'" },
    { "[p]\naws_session_token = s3cr3t\n  s3cr3t\n", "f:3: the value of the line before goes on here" },
};

START_TEST(what_cannot_be_meant_is_refused_with_its_line)
{
    struct aws_profile_section section = { 0 };

    ck_assert_int_eq(aws_profile_parse("f", bad_texts[_i].text, strlen(bad_texts[_i].text), false, "p", &section),
                     PGCASK_FAILED);
    ck_assert_error_has(bad_texts[_i].error);
    aws_profile_section_free(&section);
}
END_TEST

START_TEST(a_file_with_a_null_byte_is_refused)
{
    static const char text[] = "[p]\nregion = a\0b\n";
    struct aws_profile_section section = { 0 };

    ck_assert_int_eq(aws_profile_parse("f", text, sizeof text - 1, false, "p", &section), PGCASK_FAILED);
    ck_assert_error_has("'f' is not text");
    ck_assert_int_eq(aws_profile_parse("f", NULL, 0, false, "p", &section), 0);
}
END_TEST

START_TEST(a_default_profile_needs_no_word_before_it)
{
    static const char *const headers[] = { "[default]\nregion = a\n", "[profile default]\nregion = a\n" };
    struct aws_profile_section section = { 0 };

    ck_assert_int_eq(aws_profile_parse("f", headers[_i], strlen(headers[_i]), true, "default", &section), 0);
    ck_assert_str_eq(section.values[AWS_PROFILE_REGION], "a");
    aws_profile_section_free(&section);
}
END_TEST

START_TEST(a_long_value_is_kept_whole)
{
    enum { LEN = 100 * 1000 };
    CLEANUP_FREE char *value = plain_zalloc(LEN + 1);
    CLEANUP_FREE char *text = NULL;
    struct aws_profile_section section = { 0 };

    memset(value, '=', LEN);
    text = plain_printf("[p]\naws_session_token = %s\n", value);
    ck_assert_int_eq(aws_profile_parse("f", text, strlen(text), false, "p", &section), 0);
    ck_assert_str_eq(section.values[AWS_PROFILE_SESSION_TOKEN], value);
    aws_profile_section_free(&section);
}
END_TEST

/* ---- the files ---- */

static struct aws_credentials_settings settings;
static struct aws_profile profile;
static bool told_modes;

static void
setup(void)
{
    CLEANUP_FREE char *dir = NULL;

    aws_setup();
    dir = dir_path(".aws");
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    settings = (struct aws_credentials_settings){ 0 };
    profile = (struct aws_profile){ 0 };
    told_modes = false;
}

static void
teardown(void)
{
    aws_profile_free(&profile);
    aws_teardown();
}

static void
put(const char *name, const char *text, unsigned mode)
{
    CLEANUP_FREE char *path = aws_file(name, text);

    ck_assert_int_eq(chmod(path, mode), 0);
}

static void
load(void)
{
    aws_profile_free(&profile);
    ck_assert_msg(aws_profile_load(&settings, &told_modes, &profile) == 0, "%s", error_text());
}

START_TEST(the_files_are_in_the_home_directory)
{
    put(".aws/credentials", "[default]\naws_access_key_id = AKIA1\n", 0600);
    put(".aws/config", "[default]\nregion = a\n", 0600);
    load();
    ck_assert_str_eq(profile.name, "default");
    ck_assert(!profile.named);
    ck_assert_str_eq(profile.credentials.values[AWS_PROFILE_ACCESS_KEY], "AKIA1");
    ck_assert_str_eq(profile.config.values[AWS_PROFILE_REGION], "a");
}
END_TEST

START_TEST(missing_files_are_like_empty_ones)
{
    load();
    ck_assert(!profile.credentials.found && !profile.config.found);
    ck_assert_int_eq(profile.credentials_errno, ENOENT);
}
END_TEST

START_TEST(without_a_home_it_is_the_user_databases)
{
    ck_assert_int_eq(unsetenv("HOME"), 0);
    aws_env("AWS_CONFIG_FILE", "/dev/null");
    aws_env("AWS_PROFILE", "a profile that nobody has"); /* the tester may have credentials */
    load();
    ck_assert_int_eq(profile.credentials_path[0], '/');
    ck_assert(!profile.credentials.found);
}
END_TEST

START_TEST(the_environment_names_files_and_profile)
{
    put("keys", "[p]\naws_access_key_id = AKIA1\n", 0600);
    put("conf", "[profile p]\nregion = a\n", 0600);
    aws_env("AWS_SHARED_CREDENTIALS_FILE", "~/keys");
    aws_env("AWS_CONFIG_FILE", "~/conf");
    aws_env("AWS_PROFILE", "p");
    load();
    ck_assert(profile.named);
    ck_assert_str_eq(profile.credentials.values[AWS_PROFILE_ACCESS_KEY], "AKIA1");
    ck_assert_str_eq(profile.config.values[AWS_PROFILE_REGION], "a");
}
END_TEST

START_TEST(the_settings_come_before_the_environment)
{
    CLEANUP_FREE char *path = aws_file("keys", "[p]\naws_access_key_id = AKIA1\n");

    aws_env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
    aws_env("AWS_PROFILE", "q");
    settings.credentials_file = path;
    settings.profile = "p";
    load();
    ck_assert(profile.named);
    ck_assert_str_eq(profile.credentials.values[AWS_PROFILE_ACCESS_KEY], "AKIA1");
}
END_TEST

START_TEST(a_file_of_the_settings_must_be_there)
{
    settings.credentials_file = "/nowhere/credentials";
    ck_assert_int_eq(aws_profile_load(&settings, &told_modes, &profile), PGCASK_FAILED);
    ck_assert_error_has("could not open the credentials file '/nowhere/credentials': No such file");
}
END_TEST

START_TEST(a_file_of_another_user_is_like_an_empty_one)
{
    if (geteuid() == 0)
        return; /* root may read everything */
    put(".aws/credentials", "[default]\naws_access_key_id = AKIA1\n", 0);
    load();
    ck_assert(!profile.credentials.found);
    ck_assert_int_eq(profile.credentials_errno, EACCES);
}
END_TEST

START_TEST(a_file_that_is_far_too_large_is_refused)
{
    CLEANUP_FREE char *path = dir_path(".aws/config");

    put(".aws/config", "[default]\n", 0600);
    ck_assert_int_eq(truncate(path, 1024 * 1024 + 1), 0);
    ck_assert_int_eq(aws_profile_load(&settings, &told_modes, &profile), PGCASK_FAILED);
    ck_assert_error_has("has more than the 1048576 bytes that are accepted");
}
END_TEST

START_TEST(dev_null_means_no_file)
{
    aws_env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    aws_env("AWS_CONFIG_FILE", "/dev/null");
    load();
    ck_assert(!profile.credentials.found && !profile.config.found);
    ck_assert(!profile.open_to_all); /* the device can be written by everybody */
}
END_TEST

/* ---- modes ---- */

static const struct {
    const char *name, *text;
    unsigned mode;
    bool warned, open_to_all;
} modes[] = {
    { ".aws/credentials", "[default]\naws_secret_access_key = s3cr3t\n", 0600, false, false },
    { ".aws/credentials", "[default]\naws_secret_access_key = s3cr3t\n", 0400, false, false },
    { ".aws/credentials", "[default]\naws_secret_access_key = s3cr3t\n", 0604, true, false },
    { ".aws/credentials", "[default]\naws_secret_access_key = s3cr3t\n", 0640, true, false },
    { ".aws/credentials", "[default]\naws_secret_access_key = s3cr3t\n", 0602, false, true },
    { ".aws/config", "[default]\naws_secret_access_key = s3cr3t\n", 0644, true, false },
    { ".aws/config", "[default]\nregion = a\n", 0644, false, false }, /* as it is on most machines */
    { ".aws/config", "[default]\nregion = a\n", 0666, false, true },
};

START_TEST(keys_that_others_can_read_are_warned_of_once)
{
    struct talk talk;
    CLEANUP_FREE char *first = NULL;
    CLEANUP_FREE char *second = NULL;

    put(modes[_i].name, modes[_i].text, modes[_i].mode);
    talk = talk_begin(STDERR_FILENO);
    load();
    first = talk_end(&talk);
    ck_assert_int_eq(profile.open_to_all, modes[_i].open_to_all);
    talk = talk_begin(STDERR_FILENO);
    load();
    second = talk_end(&talk);
    if (modes[_i].warned)
        ck_assert_has(first, "can be read by others than its owner");
    else
        ck_assert_str_eq(first, "");
    ck_assert_str_eq(second, "");
    aws_expect_no_secret(first);
}
END_TEST

static Suite *
aws_profile_suite(void)
{
    Suite *suite = suite_create("aws-profile");
    TCase *tcase = tcase_create("aws-profile");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_profile_is_found_with_its_settings, 0, ARRAY_LEN(texts));
    tcase_add_loop_test(tcase, what_cannot_be_meant_is_refused_with_its_line, 0, ARRAY_LEN(bad_texts));
    tcase_add_test(tcase, a_file_with_a_null_byte_is_refused);
    tcase_add_loop_test(tcase, a_default_profile_needs_no_word_before_it, 0, 2);
    tcase_add_test(tcase, a_long_value_is_kept_whole);
    tcase_add_test(tcase, the_files_are_in_the_home_directory);
    tcase_add_test(tcase, missing_files_are_like_empty_ones);
    tcase_add_test(tcase, without_a_home_it_is_the_user_databases);
    tcase_add_test(tcase, the_environment_names_files_and_profile);
    tcase_add_test(tcase, the_settings_come_before_the_environment);
    tcase_add_test(tcase, a_file_of_the_settings_must_be_there);
    tcase_add_test(tcase, a_file_of_another_user_is_like_an_empty_one);
    tcase_add_test(tcase, a_file_that_is_far_too_large_is_refused);
    tcase_add_test(tcase, dev_null_means_no_file);
    tcase_add_loop_test(tcase, keys_that_others_can_read_are_warned_of_once, 0, ARRAY_LEN(modes));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(aws_profile_suite)
