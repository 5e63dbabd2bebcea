/* SPDX-License-Identifier: PostgreSQL
 *
 * What a profile may say about how its keys are got.
 */
#include "config.h"

#include "unit-credentials.h"

START_TEST(a_profile_without_keys_leaves_it_to_the_machine)
{
    CLEANUP_FREE char *document = aws_document_text("box", 3600);

    put(".aws/config", "[profile p]\nregion = a\n");
    settings.profile = "p";
    use_container();
    UNIT_HTTP_SAY(&server, { 200, document });
    expect_got("box", true, "the container's endpoint");
}
END_TEST

START_TEST(a_profile_without_keys_is_told_where_nothing_else_is)
{
    put(".aws/config", "[profile p]\nregion = a\n");
    settings.profile = "p";
    ck_assert_int_eq(get(), PGCASK_FAILED);
    ck_assert_error_has("keys of the environment passed over, as the config names a profile");
    ck_assert_error_has("profile 'p' has neither keys nor credential_process");
}
END_TEST

#define FILE_KEYS "aws_access_key_id = AKIAfile\naws_secret_access_key = s3cr3t/file+=\n"
#define CONF_KEYS "aws_access_key_id = AKIAconf\naws_secret_access_key = s3cr3t/conf+=\n"

/* Profile p in both files; "PROCESS" stands for a credential_process that gives keys. */
static const struct {
    const char *credentials, *config;
    const char *mark;  /* whose keys; NULL: an error */
    const char *error; /* of that error */
    bool has_token;
} profiles[] = {
    { FILE_KEYS, CONF_KEYS, "file", NULL },
    { FILE_KEYS, "PROCESS", "file", NULL },
    { "", "PROCESS" CONF_KEYS, "process", NULL, true },
    { "PROCESS", "", "process", NULL, true },
    { FILE_KEYS "aws_session_token = s3cr3t-token-file\n", "", "file", NULL, true },
    { "aws_access_key_id = AKIA\n", CONF_KEYS, NULL, "/.aws/credentials' has no aws_secret_access_key" },
    { "aws_secret_access_key = s3cr3t\n", "", NULL, "/.aws/credentials' has no aws_access_key_id" },
    { "", "aws_access_key_id = AKIA\n", NULL, "/.aws/config' has no aws_secret_access_key" },
    { "aws_access_key_id = AKIA # mine\naws_secret_access_key = s3cr3t\n", "", NULL, "the access key has a blank" },
    /* keys beside a role are somebody else's */
    { FILE_KEYS, "role_arn = arn:x\nsource_profile = p\n", NULL, "profile 'p' gets its keys by role_arn" },
    { "", "role_arn = arn:x\ncredential_source = Ec2InstanceMetadata\n", NULL, "by role_arn" },
    { FILE_KEYS, "role_arn = arn:x\nsource_profile = p\nPROCESS", "process", NULL, true },
    /* keys beside single sign-on were put there by a program that signs on */
    { "", "sso_session = s\nsso_account_id = 1\n" CONF_KEYS, NULL, "by single sign-on" },
    { "", "sso_start_url = https://x\n", NULL, "by single sign-on" },
    { FILE_KEYS, "sso_session = s\n", "file", NULL },
    { "", "sso_session = s\nPROCESS", "process", NULL, true },
    { "", "login_session = arn:x\n", NULL, "by login_session" },
    { "", "web_identity_token_file = /x\n", NULL, "profile 'p' has web_identity_token_file, but no role_arn" },
    { "", "web_identity_token_file = /nowhere\nrole_arn = arn:x\n", NULL,
      "could not open the web identity token file" },
};

static char *
profile_text(const char *header, const char *body)
{
    CLEANUP_FREE char *document = aws_document_text("process", 3600);
    CLEANUP_FREE char *line = process_line(document);
    const char *word = strstr(body, "PROCESS");

    if (word == NULL)
        return plain_printf("%s\n%s", header, body);
    return plain_printf("%s\n%.*s%s%s", header, (int)(word - body), body, line, word + strlen("PROCESS"));
}

START_TEST(a_profile_says_how_its_keys_are_got)
{
    CLEANUP_FREE char *file = profile_text("[p]", profiles[_i].credentials);
    CLEANUP_FREE char *conf = profile_text("[profile p]", profiles[_i].config);

    put(".aws/credentials", file);
    put(".aws/config", conf);
    settings.profile = "p";
    if (profiles[_i].mark != NULL) {
        ck_assert_msg(get() == 0, "%s", error_text());
        aws_expect_keys(&keys, profiles[_i].mark, profiles[_i].has_token);
        return;
    }
    ck_assert_int_eq(get(), PGCASK_FAILED);
    ck_assert_error_has(profiles[_i].error);
    if (strstr(profiles[_i].error, "by ") != NULL)
        ck_assert_has(error_cure(), "aws configure export-credentials --profile p --format process");
}
END_TEST

START_TEST(a_profile_may_have_a_web_identity)
{
    CLEANUP_FREE char *token = aws_file("token", "s3cr3t.profile");
    CLEANUP_FREE char *url = unit_http_url(&server, "");
    CLEANUP_FREE char *answer = aws_sts_text("sts", 3600);
    CLEANUP_FREE char *conf = plain_printf("[profile p]\nweb_identity_token_file = %s\nrole_arn = arn:x\n"
                                           "role_session_name = night\n",
                                           token);

    put(".aws/config", conf);
    settings.profile = "p";
    aws_env("AWS_ENDPOINT_URL_STS", url);
    aws_env("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere"); /* the profile counts */
    aws_env("AWS_ROLE_ARN", "arn:y");
    UNIT_HTTP_SAY(&server, { 200, answer });
    expect_got("sts", true, "web identity");
    ck_assert_has(unit_http_request(&server, 0),
                  "&RoleArn=arn%3Ax&RoleSessionName=night&WebIdentityToken=s3cr3t.profile");
}
END_TEST

START_TEST(a_program_that_anybody_could_put_there_is_not_run)
{
    CLEANUP_FREE char *ran = dir_path("ran");
    CLEANUP_FREE char *text = plain_printf("[default]\ncredential_process = /usr/bin/touch %s\n", ran);
    CLEANUP_FREE char *path = dir_path(".aws/config");

    put(".aws/config", text);
    ck_assert_int_eq(chmod(path, 0606), 0);
    ck_assert_int_eq(get(), PGCASK_FAILED);
    ck_assert_error_has("can be written by everybody");
    ck_assert_int_eq(access(ran, F_OK), -1);
}
END_TEST

static Suite *
aws_profile_fetch_suite(void)
{
    Suite *suite = suite_create("aws-profile-fetch");
    TCase *tcase = tcase_create("aws-profile-fetch");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_profile_without_keys_leaves_it_to_the_machine);
    tcase_add_test(tcase, a_profile_without_keys_is_told_where_nothing_else_is);
    tcase_add_loop_test(tcase, a_profile_says_how_its_keys_are_got, 0, ARRAY_LEN(profiles));
    tcase_add_test(tcase, a_profile_may_have_a_web_identity);
    tcase_add_test(tcase, a_program_that_anybody_could_put_there_is_not_run);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(aws_profile_fetch_suite)
