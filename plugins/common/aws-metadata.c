/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "common/aws-metadata.h"

#include "pgcask-plugin.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#define CONTAINER_HOST "http://169.254.170.2"
#define INSTANCE_HOST "http://169.254.169.254"
#define INSTANCE_HOST_IPV6 "http://[fd00:ec2::254]"
#define INSTANCE_ROLES "/latest/meta-data/iam/security-credentials/"

enum {
    CONTAINER_TIMEOUT_MS = 2000, /* as the AWS SDKs have it */
    INSTANCE_TIMEOUT_MS = 1000,  /* likewise: on machines elsewhere nobody answers */
    ANSWER_LIMIT_BYTES = 64 * 1024,
    TOKEN_MAX_BYTES = 16 * 1024,
    ROLE_MAX_BYTES = 64,
};

/* ---- both ---- */

/* Something that can stand in a header: printable ASCII. */
static bool
is_header_value(const char *text)
{
    if (*text == '\0' || strlen(text) > TOKEN_MAX_BYTES)
        return false;
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text >= 0x7f)
            return false;
    return true;
}

/* Trouble that may pass: too many requests, or the service's own. 501 is other clouds' word for what they do not have.
 */
static bool
is_passing(long status)
{
    return status == 429 || (status >= 500 && status != 501);
}

static int
metadata_refused(const char *source, long status)
{
    pgcask_error("%s answered with status %ld, wanted 200", source, status);
    return is_passing(status) ? PGCASK_RETRY : PGCASK_FAILED;
}

/* ---- containers ---- */

static bool
is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;

    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* ECS, EKS, EKS over IPv6 */
static bool
is_set_aside(const char *host)
{
    struct in6_addr six, eks;

    if (strcmp(host, "169.254.170.2") == 0 || strcmp(host, "169.254.170.23") == 0)
        return true;
    return inet_pton(AF_INET6, "fd00:ec2::23", &eks) == 1 && inet_pton(AF_INET6, host, &six) == 1 &&
           memcmp(&six, &eks, sizeof six) == 0;
}

/* The host as curl will understand it, without the brackets of IPv6; NULL: no http or https URL, or one with a user. */
static char *
url_host(const char *url, bool *ret_https)
{
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL, *user = NULL, *copy = NULL;

    if (parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_NO_USER) {
        size_t len = strlen(host);

        *ret_https = strcasecmp(scheme, "https") == 0;
        if (*ret_https || strcasecmp(scheme, "http") == 0)
            copy = host[0] == '[' && len > 2 ? plain_strndup(host + 1, len - 2) : plain_strdup(host);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_url_cleanup(parts);
    return copy;
}

int
aws_container_check_url(const char *url, bool *ret_direct)
{
    bool https = false, here;
    CLEANUP_FREE char *host = url_host(url, &https);

    if (host == NULL) {
        pgcask_error("AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL of http or https, or has a user in it");
        return PGCASK_FAILED;
    }
    here = is_loopback(host) || is_set_aside(host);
    if (!https && !here) {
        pgcask_error("AWS_CONTAINER_CREDENTIALS_FULL_URI leads to '%s' over http, where anybody can listen", host);
        pgcask_hint("http is for localhost, 169.254.170.2, 169.254.170.23 and [fd00:ec2::23], all else takes https");
        return PGCASK_FAILED;
    }
    *ret_direct = here;
    return PGCASK_OK;
}

/* "Authorization: …" for the endpoint, owned by the caller; NULL after 0: none is wanted. */
static int
container_authorization(char **ret_header)
{
    const char *path = aws_source_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *given = aws_source_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    const char *variable =
        path != NULL ? "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" : "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    CLEANUP_WIPE char *token = NULL;
    size_t len;

    *ret_header = NULL;
    if (path == NULL && given == NULL)
        return PGCASK_OK;
    if (path == NULL)
        token = plain_strdup(given);
    else if (aws_source_read(path, "token file of the container", TOKEN_MAX_BYTES, &token, &len) < 0)
        return PGCASK_FAILED;
    aws_source_trim(token);
    if (!is_header_value(token)) {
        pgcask_error("the token of %s is empty, too long, or has a control character in it", variable);
        return PGCASK_FAILED;
    }
    *ret_header = plain_printf("Authorization: %s", token);
    return PGCASK_OK;
}

/* Where to ask; owned by the caller, NULL after AWS_SOURCE_NONE and errors. */
static int
container_url(struct aws_search *search, char **ret_url, bool *ret_direct)
{
    const char *relative = aws_source_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = aws_source_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    int rc;

    if (relative == NULL && full == NULL) {
        aws_search_note(search, "no container's endpoint (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)");
        return AWS_SOURCE_NONE;
    }
    if (relative != NULL && relative[0] != '/') {
        pgcask_error("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is '%s', wanted a path that begins with '/'", relative);
        return PGCASK_FAILED;
    }
    *ret_direct = true;
    rc = relative != NULL ? PGCASK_OK : aws_container_check_url(full, ret_direct);
    if (rc == 0)
        *ret_url = relative != NULL ? plain_printf("%s%s", CONTAINER_HOST, relative) : plain_strdup(full);
    return rc;
}

int
aws_container_fetch(struct aws_search *search, struct aws_grant *ret_grant)
{
    static const struct aws_document document = { .source = "the container's endpoint", .token_name = "Token" };
    CLEANUP_FREE char *url = NULL;
    CLEANUP_WIPE char *authorization = NULL;
    const char *headers[3] = { "Accept: application/json" };
    struct http_request request = {
        .method = "GET", .headers = headers, .limit = ANSWER_LIMIT_BYTES, .timeout_ms = CONTAINER_TIMEOUT_MS
    };
    struct http_answer answer;
    int rc = container_url(search, &url, &request.direct);

    if (rc != 0)
        return rc;
    rc = container_authorization(&authorization);
    if (rc < 0)
        return rc;
    headers[1] = authorization;
    request.url = url;
    rc = http_send(search->http, &request, &answer);
    if (rc < 0)
        return rc;
    if (answer.status == 200)
        rc = aws_source_document(&document, answer.body, answer.body_len, ret_grant);
    else
        rc = metadata_refused(document.source, answer.status);
    if (answer.status == 401 || answer.status == 403)
        pgcask_hint("is the token of AWS_CONTAINER_AUTHORIZATION_TOKEN or _TOKEN_FILE the one it wants?");
    http_answer_free(&answer);
    return rc;
}

/* ---- instances ---- */

static const char instance_source[] = "the instance metadata";

/* The metadata service and the right to ask it. */
struct instance {
    struct http *http;
    char *base; /* without '/' at its end */
    char *token_header;
    int64_t timeout_ms;
    int64_t attempts;
};

static void
instance_free(struct instance *instance)
{
    free(instance->base);
    plain_wipe_free(instance->token_header);
}

/* A number of the environment, as the AWS command line has it; anything odd is as if it were not set. */
static int64_t
number_env(const char *name, int64_t max, int64_t fallback)
{
    const char *text = aws_source_env(name);
    char *end = NULL;
    long value = text != NULL ? strtol(text, &end, 10) : 0;

    return text != NULL && *end == '\0' && value >= 1 && value <= max ? value : fallback;
}

static void
instance_init(struct instance *instance, struct http *http)
{
    const char *base = aws_source_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = aws_source_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    size_t len;

    if (base == NULL)
        base = mode != NULL && strcasecmp(mode, "ipv6") == 0 ? INSTANCE_HOST_IPV6 : INSTANCE_HOST;
    len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    *instance = (struct instance){ .http = http, .base = plain_strndup(base, len) };
    instance->timeout_ms = number_env("AWS_METADATA_SERVICE_TIMEOUT", 60, INSTANCE_TIMEOUT_MS / 1000) * 1000;
    instance->attempts = number_env("AWS_METADATA_SERVICE_NUM_ATTEMPTS", 10, 1);
}

static int
instance_ask(const struct instance *instance, const char *method, const char *path, const char *header,
             struct http_answer *ret_answer)
{
    CLEANUP_FREE char *url = plain_printf("%s%s", instance->base, path);
    const char *headers[] = { header, NULL };
    struct http_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .limit = ANSWER_LIMIT_BYTES,
        .timeout_ms = instance->timeout_ms,
        .direct = true,
    };

    return http_send(instance->http, &request, ret_answer);
}

/* That nobody answers is the usual case on a machine that is not EC2's: a note, no error. */
static int
instance_open(struct aws_search *search, struct instance *instance)
{
    struct http_answer answer;
    int rc = PGCASK_RETRY;

    for (int64_t i = 0; i < instance->attempts && rc == PGCASK_RETRY; i++)
        rc = instance_ask(instance, "PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 300", &answer);
    if (rc == PGCASK_RETRY) {
        aws_search_note(search, "no answer of the instance metadata at '%s'", instance->base);
        return AWS_SOURCE_NONE;
    }
    if (rc < 0)
        return rc;
    aws_source_trim(answer.body);
    if (is_passing(answer.status))
        rc = metadata_refused(instance_source, answer.status);
    else if (answer.status != 200 || !is_header_value(answer.body)) {
        aws_search_note(search, "no session with the instance metadata at '%s' (version 2, status %ld)", instance->base,
                        answer.status);
        rc = AWS_SOURCE_NONE;
    } else
        instance->token_header = plain_printf("X-aws-ec2-metadata-token: %s", answer.body);
    http_answer_free(&answer);
    return rc;
}

/* The first line is the role; what is no name of a role is not put into a URL. */
static bool
instance_is_role(char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-";
    size_t len = strspn(text, allowed);

    if (len == 0 || len > ROLE_MAX_BYTES || (text[len] != '\0' && text[len] != '\n'))
        return false;
    text[len] = '\0';
    return true;
}

static int
instance_role(struct aws_search *search, const struct instance *instance, char **ret_role)
{
    struct http_answer answer;
    int rc = instance_ask(instance, "GET", INSTANCE_ROLES, instance->token_header, &answer);

    if (rc < 0)
        return rc;
    aws_source_trim(answer.body);
    if (answer.status == 404 || (answer.status == 200 && answer.body_len == 0)) {
        aws_search_note(search, "the instance has no role");
        rc = AWS_SOURCE_NONE;
    } else if (answer.status != 200)
        rc = metadata_refused(instance_source, answer.status);
    else if (!instance_is_role(answer.body)) {
        pgcask_error("the instance metadata at '%s' gave something that is no name of a role", instance->base);
        rc = PGCASK_FAILED;
    } else
        *ret_role = plain_strdup(answer.body);
    http_answer_free(&answer);
    return rc;
}

static int
instance_keys(const struct instance *instance, const char *role, struct aws_grant *ret_grant)
{
    static const struct aws_document document = { .source = instance_source, .token_name = "Token" };
    CLEANUP_FREE char *path = plain_printf("%s%s", INSTANCE_ROLES, role);
    struct http_answer answer;
    int rc = instance_ask(instance, "GET", path, instance->token_header, &answer);

    if (rc < 0)
        return rc;
    if (answer.status == 200)
        rc = aws_source_document(&document, answer.body, answer.body_len, ret_grant);
    else
        rc = metadata_refused(document.source, answer.status);
    http_answer_free(&answer);
    return rc;
}

int
aws_instance_fetch(struct aws_search *search, struct aws_grant *ret_grant)
{
    const char *disabled = aws_source_env("AWS_EC2_METADATA_DISABLED");
    CLEANUP_FREE char *role = NULL;
    struct instance instance;
    int rc;

    if (disabled != NULL && strcasecmp(disabled, "true") == 0) {
        aws_search_note(search, "instance metadata is switched off (AWS_EC2_METADATA_DISABLED)");
        return AWS_SOURCE_NONE;
    }
    instance_init(&instance, search->http);
    rc = instance_open(search, &instance);
    if (rc == 0)
        rc = instance_role(search, &instance, &role);
    if (rc == 0)
        rc = instance_keys(&instance, role, ret_grant);
    instance_free(&instance);
    return rc;
}
