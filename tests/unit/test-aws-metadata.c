/* SPDX-License-Identifier: PostgreSQL
 *
 * Keys of containers and instances. The link-local addresses are played by the test's own server: connect(2) is ours.
 */
#include "config.h"

#include "unit-aws.h"

#include "common/aws-metadata.h"

#include <errno.h>
#include <sys/syscall.h>

static struct aws_credentials_settings settings;
static struct aws_search search;
static struct aws_grant grant;
static atomic_bool link_is_dead;

/* In front of the C library's: port 80 of 169.254.x.y is the server, or nobody; so is that of its IPv6 brothers. */
int
connect(int fd, const struct sockaddr *address, socklen_t len)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct sockaddr_in *four = (const struct sockaddr_in *)address;

    if (address->sa_family == AF_INET6) {
        errno = ECONNREFUSED;
        return -1;
    }
    if (address->sa_family != AF_INET || ntohl(four->sin_addr.s_addr) >> 16 != (169U << 8 | 254U))
        return (int)syscall(SYS_connect, fd, address, len);
    if (atomic_load(&link_is_dead)) {
        errno = ENETUNREACH;
        return -1;
    }
    ck_assert_uint_eq(ntohs(four->sin_port), 80);
    to.sin_port = htons((uint16_t)server.port);
    return (int)syscall(SYS_connect, fd, (const struct sockaddr *)&to, (socklen_t)sizeof to);
}

static void
setup(void)
{
    aws_setup();
    settings = (struct aws_credentials_settings){ 0 };
    search = (struct aws_search){ .settings = &settings, .http = http };
    grant = (struct aws_grant){ 0 };
    atomic_store(&link_is_dead, false);
    /* nothing here may take a way over somebody else's machine */
    aws_env("http_proxy", "http://127.0.0.1:1");
    aws_env("all_proxy", "http://127.0.0.1:1");
}

static void
teardown(void)
{
    aws_grant_free(&grant);
    if (search.tried != NULL)
        aws_expect_no_secret(search.tried);
    free(search.tried);
    aws_teardown();
}

/* ---- containers ---- */

static const struct {
    const char *url;
    bool ok, direct;
} urls[] = {
    { "http://localhost/x", true, true },
    { "http://LOCALHOST:8080/x", true, true },
    { "http://127.0.0.1:9/x?a=b", true, true },
    { "http://127.200.3.4/x", true, true },
    { "http://[::1]:80/x", true, true },
    { "http://[0:0:0:0:0:0:0:1]/x", true, true },
    { "http://169.254.170.2/x", true, true },
    { "http://169.254.170.23/v1/credentials", true, true },
    { "http://[fd00:ec2::23]/v1/credentials", true, true },
    { "http://[FD00:0EC2:0:0::23]/v1/credentials", true, true },
    { "https://169.254.170.23/x", true, true },
    { "https://keys.example.com/x", true, false },
    { "https://192.0.2.1/x", true, false },
    { "http://keys.example.com/x", false, false },
    { "http://192.0.2.1/x", false, false },
    { "http://169.254.169.254/latest", false, false },
    { "http://169.254.170.22/x", false, false },
    { "http://[fd00:ec2::24]/x", false, false },
    { "http://localhost.example.com/x", false, false },
    { "http://127.0.0.1.example.com/x", false, false },
    { "http://127.0.0.1@example.com/x", false, false }, /* a user and a host */
    { "http://localhost:80@example.com/x", false, false },
    { "http://s3cr3t:s3cr3t@localhost/x", false, false },
    { "http://example.com#@localhost/", false, false },
    { "http://example.com\\@localhost/", false, false },
    { "http://[::ffff:192.0.2.1]/", false, false },
    { "ftp://localhost/x", false, false },
    { "file:///etc/passwd", false, false },
    { "localhost/x", false, false },
    { "/x", false, false },
    { "http://", false, false },
};

START_TEST(keys_are_not_fetched_from_where_others_could_listen)
{
    bool direct = false;
    int rc = aws_container_check_url(urls[_i].url, &direct);

    ck_assert_msg(rc == (urls[_i].ok ? 0 : PGCASK_FAILED), "'%s'", urls[_i].url);
    ck_assert_int_eq(direct, urls[_i].direct);
    if (!urls[_i].ok)
        ck_assert_error_has("AWS_CONTAINER_CREDENTIALS_FULL_URI");
}
END_TEST

START_TEST(a_container_without_an_endpoint_has_no_keys)
{
    ck_assert_int_eq(aws_container_fetch(&search, &grant), AWS_SOURCE_NONE);
    ck_assert_has(search.tried, "no container's endpoint");
}
END_TEST

START_TEST(a_relative_uri_is_at_the_address_of_ecs)
{
    CLEANUP_FREE char *document = aws_document_text("1", 3600);

    UNIT_HTTP_SAY(&server, { 200, document });
    aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x?y=z");
    aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost:1/"); /* comes second */
    ck_assert_msg(aws_container_fetch(&search, &grant) == 0, "%s", error_text());
    aws_expect_keys(&grant.keys, "1", true);
    ck_assert_str_eq(grant.keys.source, "the container's endpoint");
    ck_assert_has(unit_http_request(&server, 0), "GET /v2/credentials/x?y=z HTTP/1.1\r\nHost: 169.254.170.2\r\n");
    ck_assert_lacks(unit_http_request(&server, 0), "Authorization");
}
END_TEST

START_TEST(a_relative_uri_that_is_not_relative_is_refused)
{
    aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", ".example.com/x");
    ck_assert_int_eq(aws_container_fetch(&search, &grant), PGCASK_FAILED);
    ck_assert_error_has("is '.example.com/x', wanted a path that begins with '/'");
}
END_TEST

static void
full_uri(void)
{
    CLEANUP_FREE char *url = unit_http_url(&server, "/keys");

    aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
}

START_TEST(a_full_uri_gets_the_token_of_the_environment)
{
    CLEANUP_FREE char *document = aws_document_text("1", 0);

    UNIT_HTTP_SAY(&server, { 200, document });
    full_uri();
    aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer s3cr3t-a");
    ck_assert_msg(aws_container_fetch(&search, &grant) == 0, "%s", error_text());
    aws_expect_keys(&grant.keys, "1", true);
    ck_assert_int_eq(grant.expires_s, 0);
    ck_assert_has(unit_http_request(&server, 0), "GET /keys HTTP/1.1\r\n");
    ck_assert_has(unit_http_request(&server, 0), "\r\nAuthorization: Bearer s3cr3t-a\r\n");
}
END_TEST

START_TEST(a_token_file_comes_first_and_is_read_each_time)
{
    CLEANUP_FREE char *document = aws_document_text("1", 0);
    CLEANUP_FREE char *path = aws_file("token", "s3cr3t-b\n");

    UNIT_HTTP_SAY(&server, { 200, document, .again = true });
    full_uri();
    aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "s3cr3t-a");
    aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path);
    ck_assert_msg(aws_container_fetch(&search, &grant) == 0, "%s", error_text());
    aws_grant_free(&grant);
    dir_put(path, "s3cr3t-c", 0600);
    ck_assert_msg(aws_container_fetch(&search, &grant) == 0, "%s", error_text());
    ck_assert_has(unit_http_request(&server, 0), "\r\nAuthorization: s3cr3t-b\r\n");
    ck_assert_has(unit_http_request(&server, 1), "\r\nAuthorization: s3cr3t-c\r\n");
}
END_TEST

static const struct {
    const char *token, *file; /* NULL: not given */
    const char *error;
} bad_tokens[] = {
    { "s3cr3t\r\nX-Other: s3cr3t", NULL, "the token of AWS_CONTAINER_AUTHORIZATION_TOKEN is empty, too long" },
    { "\n", NULL, "the token of AWS_CONTAINER_AUTHORIZATION_TOKEN is empty" },
    { NULL, "s3cr3t\ns3cr3t", "the token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is empty, too long" },
    { NULL, "", "the token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is empty" },
    { "s3cr3t", "", "the token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is empty" },
};

START_TEST(a_token_that_is_no_header_is_refused)
{
    full_uri();
    if (bad_tokens[_i].token != NULL)
        aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN", bad_tokens[_i].token);
    if (bad_tokens[_i].file != NULL) {
        CLEANUP_FREE char *path = aws_file("token", bad_tokens[_i].file);

        aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path);
    }
    ck_assert_int_eq(aws_container_fetch(&search, &grant), PGCASK_FAILED);
    ck_assert_error_has(bad_tokens[_i].error);
    ck_assert_uint_eq(unit_http_count(&server), 0);
}
END_TEST

START_TEST(a_token_file_that_is_missing_is_an_error)
{
    full_uri();
    aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nowhere/token");
    ck_assert_int_eq(aws_container_fetch(&search, &grant), PGCASK_FAILED);
    ck_assert_error_has("could not open the token file of the container '/nowhere/token'");
}
END_TEST

static const struct {
    struct unit_answer answer;
    int code;
    const char *error;
} refusals[] = {
    { { 500, "s3cr3t" }, PGCASK_RETRY, "the container's endpoint answered with status 500, wanted 200" },
    { { 503 }, PGCASK_RETRY, "status 503" },
    { { 429 }, PGCASK_RETRY, "status 429" },
    { { 401 }, PGCASK_FAILED, "status 401" },
    { { 404 }, PGCASK_FAILED, "status 404" },
    { { 302, NULL, "Location: /elsewhere" }, PGCASK_FAILED, "status 302" },
    { { 200, "s3cr3t" }, PGCASK_FAILED, "the container's endpoint gave something that is not JSON" },
    { { 200, "" }, PGCASK_FAILED, "the container's endpoint gave nothing" },
    { { UNIT_CUT, "{}" }, PGCASK_RETRY, "GET http://127.0.0.1:" },
    { { UNIT_HANG }, PGCASK_RETRY, "GET http://127.0.0.1:" },
};

START_TEST(an_endpoint_that_should_have_had_keys_is_an_error)
{
    UNIT_HTTP_SAY(&server, refusals[_i].answer);
    full_uri();
    aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "s3cr3t");
    ck_assert_int_eq(aws_container_fetch(&search, &grant), refusals[_i].code);
    ck_assert_error_has(refusals[_i].error);
    ck_assert_uint_eq(unit_http_count(&server), 1);
}
END_TEST

START_TEST(a_token_that_is_not_accepted_has_a_cure)
{
    UNIT_HTTP_SAY(&server, { 403 });
    full_uri();
    ck_assert_int_eq(aws_container_fetch(&search, &grant), PGCASK_FAILED);
    ck_assert_has(error_cure(), "AWS_CONTAINER_AUTHORIZATION_TOKEN");
}
END_TEST

/* As much as would fill a machine if nobody counted. */
static char *
huge(void)
{
    enum { HUGE_BYTES = 4 * 1024 * 1024 };
    char *text = plain_zalloc(HUGE_BYTES + 1);

    memset(text, ' ', HUGE_BYTES);
    return text;
}

START_TEST(an_endpoint_that_does_not_stop_is_cut_off)
{
    CLEANUP_FREE char *body = huge();

    UNIT_HTTP_SAY(&server, { 200, body });
    full_uri();
    ck_assert_int_eq(aws_container_fetch(&search, &grant), PGCASK_FAILED);
    ck_assert_error_has("the answer is longer than it may be");
}
END_TEST

/* ---- instances ---- */

#define TOKEN_OK { 200, "s3cr3t-session==" }
#define ROLE_OK { 200, "backup-role\n" }

static void
instance(void)
{
    ck_assert_int_eq(unsetenv("AWS_EC2_METADATA_DISABLED"), 0);
}

START_TEST(an_instance_gives_the_keys_of_its_role)
{
    CLEANUP_FREE char *document = aws_document_text("1", 3600);
    const char *request;

    instance();
    UNIT_HTTP_SAY(&server, TOKEN_OK, ROLE_OK, { 200, document });
    ck_assert_msg(aws_instance_fetch(&search, &grant) == 0, "%s", error_text());
    aws_expect_keys(&grant.keys, "1", true);
    ck_assert_str_eq(grant.keys.source, "the instance metadata");
    request = unit_http_request(&server, 0);
    ck_assert_has(request, "PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n");
    ck_assert_has(request, "\r\nX-aws-ec2-metadata-token-ttl-seconds: ");
    ck_assert_has(request, "\r\nContent-Length: 0\r\n");
    request = unit_http_request(&server, 1);
    ck_assert_has(request, "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n");
    ck_assert_has(request, "\r\nX-aws-ec2-metadata-token: s3cr3t-session==\r\n");
    request = unit_http_request(&server, 2);
    ck_assert_has(request, "GET /latest/meta-data/iam/security-credentials/backup-role HTTP/1.1\r\n");
    ck_assert_has(request, "\r\nX-aws-ec2-metadata-token: s3cr3t-session==\r\n");
}
END_TEST

START_TEST(another_endpoint_may_be_named)
{
    CLEANUP_FREE char *document = aws_document_text("1", 3600);
    CLEANUP_FREE char *url = unit_http_url(&server, "/proxy//");

    instance();
    atomic_store(&link_is_dead, true);
    aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT", url);
    aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6"); /* the endpoint counts */
    UNIT_HTTP_SAY(&server, TOKEN_OK, ROLE_OK, { 200, document });
    ck_assert_msg(aws_instance_fetch(&search, &grant) == 0, "%s", error_text());
    ck_assert_has(unit_http_request(&server, 0), "PUT /proxy/latest/api/token HTTP/1.1\r\n");
}
END_TEST

START_TEST(a_switched_off_service_is_not_asked)
{
    static const char *const values[] = { "true", "TRUE" };

    aws_env("AWS_EC2_METADATA_DISABLED", values[_i]);
    ck_assert_int_eq(aws_instance_fetch(&search, &grant), AWS_SOURCE_NONE);
    ck_assert_has(search.tried, "instance metadata is switched off");
    ck_assert_uint_eq(unit_http_count(&server), 0);
}
END_TEST

static const struct {
    const char *mode; /* NULL: not set */
    const char *note;
} dead_links[] = {
    { NULL, "no answer of the instance metadata at 'http://169.254.169.254'" },
    { "IPv4", "no answer of the instance metadata at 'http://169.254.169.254'" },
    { "IPv6", "no answer of the instance metadata at 'http://[fd00:ec2::254]'" },
};

START_TEST(a_machine_that_is_no_instance_has_no_keys)
{
    instance();
    atomic_store(&link_is_dead, true);
    if (dead_links[_i].mode != NULL)
        aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", dead_links[_i].mode);
    ck_assert_int_eq(aws_instance_fetch(&search, &grant), AWS_SOURCE_NONE);
    ck_assert_has(search.tried, dead_links[_i].note);
}
END_TEST

static const struct {
    struct unit_answer answers[3];
    int code;
    const char *text; /* of the note or the error */
    size_t requests;
} instances[] = {
    /* other clouds and services that are switched off: no error */
    { { { 404 } }, AWS_SOURCE_NONE, "no session with the instance metadata at 'http://169.254.169.254'", 1 },
    { { { 403 } }, AWS_SOURCE_NONE, "(version 2, status 403)", 1 },
    { { { 405 } }, AWS_SOURCE_NONE, "(version 2, status 405)", 1 },
    { { { 501 } }, AWS_SOURCE_NONE, "(version 2, status 501)", 1 },
    { { { 200, "" } }, AWS_SOURCE_NONE, "no session", 1 },
    { { { 200, "<html>\r\n<body>s3cr3t" } }, AWS_SOURCE_NONE, "no session", 1 },
    { { { UNIT_HANG } }, AWS_SOURCE_NONE, "no answer of the instance metadata", 1 }, /* the hop limit of a container */
    { { { UNIT_CUT, "s3cr3t" } }, AWS_SOURCE_NONE, "no answer", 1 },
    { { TOKEN_OK, { 404 } }, AWS_SOURCE_NONE, "the instance has no role", 2 },
    { { TOKEN_OK, { 200, "" } }, AWS_SOURCE_NONE, "the instance has no role", 2 },
    /* trouble of a service that is there */
    { { { 500 } }, PGCASK_RETRY, "the instance metadata answered with status 500", 1 },
    { { { 429 } }, PGCASK_RETRY, "status 429", 1 },
    { { TOKEN_OK, { 503 } }, PGCASK_RETRY, "status 503", 2 },
    { { TOKEN_OK, { 401 } }, PGCASK_FAILED, "status 401", 2 },
    { { TOKEN_OK, { UNIT_HANG } }, PGCASK_RETRY, "GET http://169.254.169.254:", 2 },
    { { TOKEN_OK, { 200, "../../user-data" } }, PGCASK_FAILED, "gave something that is no name of a role", 2 },
    { { TOKEN_OK, { 200, "a role" } }, PGCASK_FAILED, "gave something that is no name of a role", 2 },
    { { TOKEN_OK, { 200, "a?b" } }, PGCASK_FAILED, "gave something that is no name of a role", 2 },
    { { TOKEN_OK, { 200, "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg" } }, PGCASK_FAILED,
      "gave something that is no name of a role", 2 },
    { { TOKEN_OK, ROLE_OK, { 404 } }, PGCASK_FAILED, "status 404", 3 },
    { { TOKEN_OK, ROLE_OK, { 500 } }, PGCASK_RETRY, "status 500", 3 },
    { { TOKEN_OK, ROLE_OK, { 200, "{\"Code\": \"AssumeRoleUnauthorizedAccess\", \"Message\": \"x\"}" } }, PGCASK_FAILED,
      "the instance metadata has no keys: 'AssumeRoleUnauthorizedAccess'", 3 },
    { { TOKEN_OK, ROLE_OK, { 200, "<html>s3cr3t" } }, PGCASK_FAILED, "gave something that is not JSON", 3 },
    { { TOKEN_OK, ROLE_OK, { UNIT_CUT, "{" } }, PGCASK_RETRY, "GET http://169.254.169.254:", 3 },
};

START_TEST(a_service_that_is_there_but_gives_no_keys)
{
    instance();
    unit_http_script(&server, instances[_i].answers, 3);
    ck_assert_int_eq(aws_instance_fetch(&search, &grant), instances[_i].code);
    ck_assert_has(instances[_i].code == AWS_SOURCE_NONE ? search.tried : error_text(), instances[_i].text);
    ck_assert_uint_eq(unit_http_count(&server), instances[_i].requests);
    ck_assert_ptr_null(grant.keys.access_key);
}
END_TEST

START_TEST(as_many_attempts_as_the_environment_says)
{
    CLEANUP_FREE char *document = aws_document_text("1", 3600);

    instance();
    aws_env("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "3");
    aws_env("AWS_METADATA_SERVICE_TIMEOUT", "1");
    UNIT_HTTP_SAY(&server, { UNIT_CUT, "" }, { UNIT_CUT, "" }, TOKEN_OK, ROLE_OK, { 200, document });
    ck_assert_msg(aws_instance_fetch(&search, &grant) == 0, "%s", error_text());
    ck_assert_uint_eq(unit_http_count(&server), 5);
}
END_TEST

START_TEST(a_number_of_attempts_that_is_none_means_one)
{
    static const char *const values[] = { "0", "-1", "x", "2x", "1000000", "" };

    instance();
    aws_env("AWS_METADATA_SERVICE_NUM_ATTEMPTS", values[_i]);
    UNIT_HTTP_SAY(&server, { UNIT_CUT, "", .again = true });
    ck_assert_int_eq(aws_instance_fetch(&search, &grant), AWS_SOURCE_NONE);
    ck_assert_uint_eq(unit_http_count(&server), 1);
}
END_TEST

START_TEST(a_service_that_does_not_stop_is_cut_off)
{
    CLEANUP_FREE char *body = huge();

    instance();
    UNIT_HTTP_SAY(&server, TOKEN_OK, { 200, body });
    ck_assert_int_eq(aws_instance_fetch(&search, &grant), PGCASK_FAILED);
    ck_assert_error_has("the answer is longer than it may be");
}
END_TEST

static Suite *
aws_metadata_suite(void)
{
    Suite *suite = suite_create("aws-metadata");
    TCase *tcase = tcase_create("aws-metadata");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, keys_are_not_fetched_from_where_others_could_listen, 0, ARRAY_LEN(urls));
    tcase_add_test(tcase, a_container_without_an_endpoint_has_no_keys);
    tcase_add_test(tcase, a_relative_uri_is_at_the_address_of_ecs);
    tcase_add_test(tcase, a_relative_uri_that_is_not_relative_is_refused);
    tcase_add_test(tcase, a_full_uri_gets_the_token_of_the_environment);
    tcase_add_test(tcase, a_token_file_comes_first_and_is_read_each_time);
    tcase_add_loop_test(tcase, a_token_that_is_no_header_is_refused, 0, ARRAY_LEN(bad_tokens));
    tcase_add_test(tcase, a_token_file_that_is_missing_is_an_error);
    tcase_add_loop_test(tcase, an_endpoint_that_should_have_had_keys_is_an_error, 0, ARRAY_LEN(refusals));
    tcase_add_test(tcase, a_token_that_is_not_accepted_has_a_cure);
    tcase_add_test(tcase, an_endpoint_that_does_not_stop_is_cut_off);
    tcase_add_test(tcase, an_instance_gives_the_keys_of_its_role);
    tcase_add_test(tcase, another_endpoint_may_be_named);
    tcase_add_loop_test(tcase, a_switched_off_service_is_not_asked, 0, 2);
    tcase_add_loop_test(tcase, a_machine_that_is_no_instance_has_no_keys, 0, ARRAY_LEN(dead_links));
    tcase_add_loop_test(tcase, a_service_that_is_there_but_gives_no_keys, 0, ARRAY_LEN(instances));
    tcase_add_test(tcase, as_many_attempts_as_the_environment_says);
    tcase_add_loop_test(tcase, a_number_of_attempts_that_is_none_means_one, 0, 6);
    tcase_add_test(tcase, a_service_that_does_not_stop_is_cut_off);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(aws_metadata_suite)
