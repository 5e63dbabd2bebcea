/* SPDX-License-Identifier: PostgreSQL
 *
 * Which source of credentials wins, and what is said when none does.
 */
#include "config.h"

#include "unit-credentials.h"

/* ---- order ---- */

/* A machine with all sources; the first `gone` of them are taken away. */
static void
prepare_all(int gone)
{
    CLEANUP_FREE char *url = unit_http_url(&server, "");
    CLEANUP_FREE char *token = aws_file("token", "s3cr3t");

    if (gone < 1) {
        settings.access_key = "AKIAconfig";
        settings.secret_key = "s3cr3t/config+=";
        settings.session_token = "s3cr3t-token-config";
    }
    if (gone < 2) {
        aws_env("AWS_ACCESS_KEY_ID", "AKIAenv");
        aws_env("AWS_SECRET_ACCESS_KEY", "s3cr3t/env+=");
        aws_env("AWS_SESSION_TOKEN", "s3cr3t-token-env");
    }
    if (gone < 3) {
        aws_env("AWS_WEB_IDENTITY_TOKEN_FILE", token);
        aws_env("AWS_ROLE_ARN", "arn:aws:iam::1:role/x");
        aws_env("AWS_ENDPOINT_URL_STS", url);
    }
    if (gone < 4)
        put(".aws/credentials", "[default]\naws_access_key_id = AKIAfile\naws_secret_access_key = s3cr3t/file+=\n");
    if (gone < 5) {
        CLEANUP_FREE char *document = aws_document_text("process", 0);
        CLEANUP_FREE char *line = process_line(document);
        CLEANUP_FREE char *text = plain_printf("[default]\n%s", line);

        put(".aws/config", text);
    } else if (gone < 6)
        put(".aws/config", "[default]\naws_access_key_id = AKIAconf\naws_secret_access_key = s3cr3t/conf+=\n");
    if (gone < 7)
        use_container();
    if (gone < 8) {
        ck_assert_int_eq(unsetenv("AWS_EC2_METADATA_DISABLED"), 0);
        aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT", url);
    }
}

static const struct {
    const char *mark, *source;
    bool has_token;
    size_t requests;
} order[] = {
    { "config", "the config", true, 0 },
    { "env", "the environment", true, 0 },
    { "sts", "web identity", true, 1 },
    { "file", "the shared credentials file", false, 0 },
    { "process", "credential_process", true, 0 },
    { "conf", "the shared config file", false, 0 },
    { "box", "the container's endpoint", true, 1 },
    { "ec2", "the instance metadata", true, 3 },
};

START_TEST(the_first_source_that_has_keys_wins)
{
    CLEANUP_FREE char *sts = aws_sts_text("sts", 3600);
    CLEANUP_FREE char *box = aws_document_text("box", 3600);
    CLEANUP_FREE char *ec2 = aws_document_text("ec2", 3600);

    if (order[_i].requests == 3)
        UNIT_HTTP_SAY(&server, { 200, "token" }, { 200, "role" }, { 200, ec2 });
    else
        UNIT_HTTP_SAY(&server, { 200, strcmp(order[_i].mark, "sts") == 0 ? sts : box });
    prepare_all(_i);
    expect_got(order[_i].mark, order[_i].has_token, order[_i].source);
    expect_got(order[_i].mark, order[_i].has_token, order[_i].source); /* kept */
    ck_assert_uint_eq(unit_http_count(&server), order[_i].requests);
}
END_TEST

START_TEST(without_any_source_all_that_was_tried_is_told_in_order)
{
    static const char *const told[] = {
        "no credentials: ",
        "no access_key in the config; ",
        "no AWS_ACCESS_KEY_ID in the environment; ",
        "no web identity (AWS_WEB_IDENTITY_TOKEN_FILE); ",
        "profile 'default' is neither in '",
        "/.aws/credentials' (which is not there) nor in '",
        "/.aws/config' (which is not there); ",
        "no container's endpoint (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI); ",
        "instance metadata is switched off (AWS_EC2_METADATA_DISABLED)",
    };
    const char *at;

    prepare_all(8);
    ck_assert_int_eq(get(), PGCASK_FAILED);
    at = error_text();
    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        ck_assert_has(at, told[i]);
        at = strstr(at, told[i]);
    }
    ck_assert_has(error_cure(), "set access_key and secret_key");
    ck_assert_ptr_null(keys.access_key);
}
END_TEST

static const struct {
    const char *name, *value, *name2, *value2; /* of the environment */
    const char *access_key, *secret_key;       /* of the config */
    const char *error;
} halves[] = {
    { "AWS_ACCESS_KEY_ID", "AKIA", NULL, NULL, NULL, NULL, "the environment has an access key without its secret key" },
    { "AWS_SECRET_ACCESS_KEY", "s3cr3t", NULL, NULL, NULL, NULL, "the environment has no access key" },
    { "AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "", NULL, NULL, "no credentials: " }, /* as good as not set */
    { "AWS_ACCESS_KEY_ID", "AKIA", "AWS_SECRET_ACCESS_KEY", "s3cr3t\n", NULL, NULL,
      "the environment: the secret key has" },
    { "AWS_WEB_IDENTITY_TOKEN_FILE", "/x", NULL, NULL, NULL, NULL,
      "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not" },
    { "AWS_ROLE_ARN", "arn:x", NULL, NULL, NULL, NULL, "no credentials: " },
    { "AWS_REGION", "a", NULL, NULL, "AKIA", NULL, "the config has an access key without its secret key" },
    { "AWS_REGION", "a", NULL, NULL, NULL, "s3cr3t", "the config has no access key" },
};

START_TEST(half_of_something_is_an_error)
{
    aws_env(halves[_i].name, halves[_i].value);
    if (halves[_i].name2 != NULL)
        aws_env(halves[_i].name2, halves[_i].value2);
    settings.access_key = halves[_i].access_key;
    settings.secret_key = halves[_i].secret_key;
    ck_assert_int_eq(get(), PGCASK_FAILED);
    ck_assert_error_has(halves[_i].error);
}
END_TEST

START_TEST(a_profile_of_the_config_comes_before_the_environment)
{
    prepare_all(1);
    settings.profile = "default";
    expect_got("file", false, "the shared credentials file");
}
END_TEST

START_TEST(a_profile_of_the_environment_does_not)
{
    prepare_all(1);
    aws_env("AWS_PROFILE", "nobody");
    expect_got("env", true, "the environment");
}
END_TEST

START_TEST(a_profile_that_is_named_must_be_there)
{
    prepare_all(3);
    if (_i == 0)
        settings.profile = "nobody";
    else
        aws_env("AWS_PROFILE", "nobody");
    ck_assert_int_eq(get(), PGCASK_FAILED);
    ck_assert_error_has("profile 'nobody' is neither in '");
    ck_assert_has(error_cure(), "[nobody] in the credentials file and [profile nobody] in the config file");
    ck_assert_uint_eq(unit_http_count(&server), 0);
}
END_TEST

/* ---- region ---- */

static const struct {
    const char *region, *fallback; /* AWS_REGION, AWS_DEFAULT_REGION; NULL: not set */
    const char *profile;           /* of the settings; NULL: the default one */
    const char *want;
} regions[] = {
    { "env", "fallback", NULL, "env" },
    { NULL, "fallback", NULL, "fallback" },
    { NULL, NULL, NULL, "of-default" },
    { NULL, NULL, "p", "of-p" },
    { NULL, NULL, "q", NULL },
    { NULL, NULL, "nobody", NULL },
    { "", "", NULL, "of-default" },
};

START_TEST(the_region_is_of_the_environment_or_the_profile)
{
    CLEANUP_FREE char *got = NULL;

    put(".aws/config", "[default]\nregion = of-default\n[profile p]\nregion = of-p\n[profile q]\noutput = json\n");
    if (regions[_i].region != NULL)
        aws_env("AWS_REGION", regions[_i].region);
    if (regions[_i].fallback != NULL)
        aws_env("AWS_DEFAULT_REGION", regions[_i].fallback);
    settings.profile = regions[_i].profile;
    got = aws_credentials_region(&settings);
    ck_assert_pstr_eq(got, regions[_i].want);
}
END_TEST

START_TEST(sts_is_asked_in_the_region_of_the_profile)
{
    prepare_all(2);
    put(".aws/config", "[default]\nregion = No Region\n");
    ck_assert_int_eq(unsetenv("AWS_ENDPOINT_URL_STS"), 0);
    ck_assert_int_eq(get(), PGCASK_FAILED);
    ck_assert_error_has("region 'No Region' has no STS of AWS");
}
END_TEST

static Suite *
aws_credentials_suite(void)
{
    Suite *suite = suite_create("aws-credentials");
    TCase *tcase = tcase_create("aws-credentials");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, the_first_source_that_has_keys_wins, 0, ARRAY_LEN(order));
    tcase_add_test(tcase, without_any_source_all_that_was_tried_is_told_in_order);
    tcase_add_loop_test(tcase, half_of_something_is_an_error, 0, ARRAY_LEN(halves));
    tcase_add_test(tcase, a_profile_of_the_config_comes_before_the_environment);
    tcase_add_test(tcase, a_profile_of_the_environment_does_not);
    tcase_add_loop_test(tcase, a_profile_that_is_named_must_be_there, 0, 2);
    tcase_add_loop_test(tcase, the_region_is_of_the_environment_or_the_profile, 0, ARRAY_LEN(regions));
    tcase_add_test(tcase, sts_is_asked_in_the_region_of_the_profile);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(aws_credentials_suite)
