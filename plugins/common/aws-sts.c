/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "common/aws-sts.h"

#include "common/aws-sign.h"
#include "common/aws-xml.h"
#include "pgcask-plugin.h"

#include <openssl/crypto.h>
#include <string.h>

enum {
    TOKEN_MAX_BYTES = 20000,    /* what STS accepts */
    SESSION_NAME_MIN_BYTES = 2, /* likewise */
    SESSION_NAME_MAX_BYTES = 64,
    REGION_MAX_BYTES = 63, /* it becomes a label of a host name */
    ANSWER_LIMIT_BYTES = 256 * 1024,
    STS_TIMEOUT_MS = 30 * 1000,
    MESSAGE_MAX_BYTES = 300,
};

static const char sts_source[] = "web identity";

char *
aws_sts_url(const char *region)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    const char *given = aws_source_env("AWS_ENDPOINT_URL_STS");

    if (given == NULL)
        given = aws_source_env("AWS_ENDPOINT_URL");
    if (given != NULL)
        return plain_printf("%s%s", given, given[strlen(given) - 1] == '/' ? "" : "/");
    if (region == NULL)
        return plain_strdup("https://sts.amazonaws.com/");
    if (*region == '\0' || strlen(region) > REGION_MAX_BYTES || region[strspn(region, allowed)] != '\0') {
        pgcask_error("web identity: region '%.64s' has no STS of AWS, wanted a name such as 'eu-central-1'", region);
        pgcask_hint("AWS_ENDPOINT_URL_STS names another service");
        return NULL;
    }
    return plain_printf("https://sts.%s.amazonaws.com%s/", region, strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
}

/* ---- the request ---- */

static int
sts_check_session_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-";
    size_t len = strlen(name);

    if (len >= SESSION_NAME_MIN_BYTES && len <= SESSION_NAME_MAX_BYTES && name[strspn(name, allowed)] == '\0')
        return PGCASK_OK;
    pgcask_error("web identity: the session name is '%.80s', wanted 2 to 64 letters, digits or any of '_+=,.@-'", name);
    return PGCASK_FAILED;
}

static int
sts_read_token(const char *path, char **ret_token)
{
    CLEANUP_WIPE char *token = NULL;
    size_t len;
    int rc = aws_source_read(path, "web identity token file", TOKEN_MAX_BYTES, &token, &len);

    if (rc < 0)
        return PGCASK_FAILED;
    aws_source_trim(token);
    if (*token == '\0') {
        pgcask_error("the web identity token file '%s' is empty", path);
        return PGCASK_FAILED;
    }
    *ret_token = STEAL(token);
    return PGCASK_OK;
}

/* Owned by the caller, who wipes it. */
static char *
sts_form(const struct aws_web_identity *who, const char *session_name, const char *token)
{
    CLEANUP_FREE char *role = aws_escape(who->role_arn, false);
    CLEANUP_FREE char *name = aws_escape(session_name, false);
    CLEANUP_WIPE char *escaped = aws_escape(token, false);

    return plain_printf("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=%s&RoleSessionName=%s"
                        "&WebIdentityToken=%s",
                        role, name, escaped);
}

/* ---- the answer ---- */

/* What of the XML matters, of a success and of a failure. */
enum field { ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, EXPIRATION, CODE, MESSAGE, FIELDS };

#define RESULT "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/"
static const char *const field_paths[FIELDS] = {
    [ACCESS_KEY] = RESULT "AccessKeyId",     [SECRET_KEY] = RESULT "SecretAccessKey",
    [SESSION_TOKEN] = RESULT "SessionToken", [EXPIRATION] = RESULT "Expiration",
    [CODE] = "ErrorResponse/Error/Code",     [MESSAGE] = "ErrorResponse/Error/Message",
};

struct sts_answer {
    char *fields[FIELDS]; /* NULL: not there */
};

static void
sts_answer_free(struct sts_answer *answer)
{
    for (size_t i = 0; i < FIELDS; i++)
        plain_wipe_free(answer->fields[i]);
}

static int
sts_element(void *ctx, const char *path, const char *text)
{
    struct sts_answer *answer = ctx;

    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp(path, field_paths[i]) == 0) {
            plain_wipe_free(answer->fields[i]);
            answer->fields[i] = plain_strdup(text);
        }
    return PGCASK_OK;
}

static int
sts_success(const struct sts_answer *answer, struct aws_grant *ret_grant)
{
    struct aws_told told = {
        .source = sts_source,
        .access_key = answer->fields[ACCESS_KEY],
        .secret_key = answer->fields[SECRET_KEY],
        .session_token = answer->fields[SESSION_TOKEN],
        .expiration = answer->fields[EXPIRATION],
    };

    if (told.session_token == NULL || told.expiration == NULL) {
        pgcask_error("web identity: the answer of STS has no %s", told.expiration ? "session token" : "expiration");
        return PGCASK_FAILED;
    }
    return aws_source_grant(&told, ret_grant);
}

static bool
is_passing(long status, const char *code)
{
    static const char *const codes[] = { "IDPCommunicationError", "Throttling", "RequestLimitExceeded",
                                         "RequestTimeout" };

    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (strncmp(code, codes[i], strlen(codes[i])) == 0) /* ThrottlingException is one, too */
            return true;
    return status == 429 || status >= 500;
}

static int
sts_failure(const struct sts_answer *answer, const char *url, long status, const char *token,
            const struct aws_web_identity *who)
{
    const char *code = answer->fields[CODE] != NULL ? answer->fields[CODE] : "";
    const char *message = answer->fields[MESSAGE] != NULL ? answer->fields[MESSAGE] : "";

    if (strstr(message, token) != NULL)
        message = ""; /* a service that repeats what it was sent */
    pgcask_error("web identity: '%s' answered with status %ld%s%.64s%s%.*s", url, status, *code ? " " : "", code,
                 *message ? ": " : "", MESSAGE_MAX_BYTES, message);
    if (is_passing(status, code))
        return PGCASK_RETRY;
    if (strcmp(code, "AccessDenied") == 0)
        pgcask_hint("may this identity assume '%s'? see the trust policy of the role", who->role_arn);
    else if (strncmp(code, "ExpiredToken", 12) == 0 || strncmp(code, "InvalidIdentityToken", 20) == 0)
        pgcask_hint("does the platform still renew '%s'?", who->token_file);
    return PGCASK_FAILED;
}

static int
sts_read_answer(const struct http_answer *http, const char *url, const char *token, const struct aws_web_identity *who,
                struct aws_grant *ret_grant)
{
    struct sts_answer answer = { { 0 } };
    struct xml_reader reader = { .end = sts_element, .ctx = &answer };
    int rc = xml_read("the answer of STS", http->body, http->body_len, &reader);

    if (http->status != 200) /* whatever its body is */
        rc = sts_failure(&answer, url, http->status, token, who);
    else if (rc == 0)
        rc = sts_success(&answer, ret_grant);
    sts_answer_free(&answer);
    return rc;
}

int
aws_sts_fetch(struct aws_search *search, const struct aws_web_identity *who, struct aws_grant *ret_grant)
{
    static const char *const headers[] = { "Content-Type: application/x-www-form-urlencoded", NULL };
    const struct aws_credentials_settings *settings = search->settings;
    const char *session_name = who->session_name != NULL ? who->session_name : "pgcask";
    CLEANUP_FREE char *region =
        settings->region != NULL ? plain_strdup(settings->region) : aws_credentials_region(settings);
    CLEANUP_FREE char *url = aws_sts_url(region);
    CLEANUP_WIPE char *token = NULL;
    CLEANUP_WIPE char *form = NULL;
    struct http_request request = {
        .method = "POST", .headers = headers, .limit = ANSWER_LIMIT_BYTES, .timeout_ms = STS_TIMEOUT_MS
    };
    struct http_answer answer;
    int rc = url != NULL ? sts_check_session_name(session_name) : PGCASK_FAILED;

    if (rc == 0)
        rc = sts_read_token(who->token_file, &token);
    if (rc < 0)
        return rc;
    form = sts_form(who, session_name, token);
    request.url = url;
    request.body = form;
    request.body_size = strlen(form);
    rc = http_send(search->http, &request, &answer);
    if (rc < 0)
        return rc;
    rc = sts_read_answer(&answer, url, token, who, ret_grant);
    http_answer_free(&answer);
    return rc;
}
