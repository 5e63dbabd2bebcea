/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "common/aws-source.h"

#include "pgcask-plugin.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Longer than any that AWS gives today; MinIO and Ceph stay below. */
enum {
    ACCESS_KEY_MAX_BYTES = 256,
    SECRET_KEY_MAX_BYTES = 1024,
    SESSION_TOKEN_MAX_BYTES = 16 * 1024,
    CODE_MAX_BYTES = 64
};

void
aws_keys_free(struct aws_keys *keys)
{
    plain_wipe_free(keys->access_key);
    plain_wipe_free(keys->secret_key);
    plain_wipe_free(keys->session_token);
    *keys = (struct aws_keys){ 0 };
}

void
aws_grant_free(struct aws_grant *grant)
{
    aws_keys_free(&grant->keys);
    grant->expires_s = 0;
}

void
aws_search_note(struct aws_search *search, const char *format, ...)
{
    CLEANUP_FREE char *before = search->tried;
    CLEANUP_FREE char *note = NULL;
    va_list args;
    int len;

    va_start(args, format);
    len = vasprintf(&note, format, args);
    va_end(args);
    if (len < 0)
        note = plain_strdup(format);
    search->tried = plain_printf("%s%s%s", before ? before : "", before ? "; " : "", note);
}

const char *
aws_source_env(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

static int
source_read_fd(int fd, const char *path, const char *what, char *text, size_t limit, size_t *ret_len)
{
    size_t len = 0;

    while (len <= limit) {
        ssize_t got = read(fd, text + len, limit + 1 - len);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            pgcask_error_errno("could not read the %s '%s'", what, path);
            return PGCASK_FAILED;
        }
        if (got == 0)
            break;
        len += (size_t)got;
    }
    if (len > limit) {
        pgcask_error("the %s '%s' has more than the %zu bytes that are accepted", what, path, limit);
        return PGCASK_FAILED;
    }
    if (memchr(text, '\0', len) != NULL) {
        pgcask_error("the %s '%s' is not text", what, path);
        return PGCASK_FAILED;
    }
    *ret_len = len;
    return PGCASK_OK;
}

int
aws_source_read(const char *path, const char *what, size_t limit, char **ret_text, size_t *ret_len)
{
    /* not to wait for somebody who writes to a pipe; /dev/null is a way to say that there is none */
    CLEANUP_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    char *text;
    int rc;

    if (fd < 0) {
        pgcask_error_errno("could not open the %s '%s'", what, path);
        return PGCASK_NOT_FOUND;
    }
    text = plain_zalloc(limit + 2);
    rc = source_read_fd(fd, path, what, text, limit, ret_len);
    if (rc < 0) {
        OPENSSL_cleanse(text, limit + 1);
        free(text);
        return rc;
    }
    *ret_text = text;
    return PGCASK_OK;
}

void
aws_source_trim(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
}

/* ---- times ---- */

/* `count` digits as a number; -1 when they are not digits. */
static int
digits(const char *text, size_t count)
{
    int value = 0;

    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* "Z", "+02:00" or "-0330", and nothing behind it. */
static bool
parse_zone(const char *text, int64_t *ret_offset_s)
{
    int hours, minutes;

    *ret_offset_s = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    if (*text != '+' && *text != '-')
        return false;
    hours = digits(text + 1, 2);
    if (hours < 0 || hours > 23)
        return false;
    minutes = digits(text + 3 + (text[3] == ':'), 2);
    if (minutes < 0 || minutes > 59 || text[5 + (text[3] == ':')] != '\0')
        return false;
    *ret_offset_s = (*text == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

bool
aws_source_time(const char *text, int64_t *ret_s)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    struct tm tm = { 0 };
    int64_t offset_s, seconds;

    for (size_t i = 0; i < sizeof shape - 1; i++)
        if (shape[i] == 'd' ? digits(text + i, 1) < 0 : text[i] != shape[i]) /* stops at the end of the text */
            return false;
    tm.tm_year = digits(text, 4) - 1900;
    tm.tm_mon = digits(text + 5, 2) - 1;
    tm.tm_mday = digits(text + 8, 2);
    tm.tm_hour = digits(text + 11, 2);
    tm.tm_min = digits(text + 14, 2);
    tm.tm_sec = digits(text + 17, 2);
    if (tm.tm_year < 70 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    text += sizeof shape - 1;
    if (*text == '.')
        for (text++; *text >= '0' && *text <= '9'; text++)
            ;
    if (!parse_zone(text, &offset_s))
        return false;
    seconds = (int64_t)timegm(&tm) - offset_s;
    if (seconds <= 0) /* 0 means never */
        return false;
    *ret_s = seconds;
    return true;
}

/* ---- keys ---- */

/* They travel in headers: no blanks, no control characters, and of a length that somebody could have meant. */
static int
source_check(const char *source, const char *what, const char *value, size_t limit)
{
    size_t len = strlen(value);

    if (len > limit) {
        pgcask_error("%s: the %s has %zu bytes, at most %zu are accepted", source, what, len, limit);
        return PGCASK_FAILED;
    }
    for (const char *p = value; *p != '\0'; p++)
        if (*p <= ' ' || *p >= 0x7f) {
            pgcask_error("%s: the %s has a blank, a control character or a letter outside ASCII in it", source, what);
            pgcask_hint("nothing else belongs on the line, no quotes and no comment");
            return PGCASK_FAILED;
        }
    return PGCASK_OK;
}

static int
source_check_all(const struct aws_told *told)
{
    int rc;

    if (told->access_key == NULL || *told->access_key == '\0' || told->secret_key == NULL ||
        *told->secret_key == '\0') {
        bool access = told->access_key != NULL && *told->access_key != '\0';

        pgcask_error("%s has %s", told->source, access ? "an access key without its secret key" : "no access key");
        return PGCASK_FAILED;
    }
    rc = source_check(told->source, "access key", told->access_key, ACCESS_KEY_MAX_BYTES);
    if (rc == 0)
        rc = source_check(told->source, "secret key", told->secret_key, SECRET_KEY_MAX_BYTES);
    if (rc == 0 && told->session_token != NULL)
        rc = source_check(told->source, "session token", told->session_token, SESSION_TOKEN_MAX_BYTES);
    return rc;
}

int
aws_source_grant(const struct aws_told *told, struct aws_grant *ret_grant)
{
    int64_t expires_s = 0;
    int rc = source_check_all(told);

    if (rc < 0)
        return rc;
    if (told->expiration != NULL && *told->expiration != '\0' && !aws_source_time(told->expiration, &expires_s)) {
        pgcask_error("%s: the expiration is '%.40s', wanted a time such as '2030-01-31T12:00:00Z'", told->source,
                     told->expiration);
        return PGCASK_FAILED;
    }
    *ret_grant = (struct aws_grant){
        .keys = {
            .access_key = plain_strdup(told->access_key),
            .secret_key = plain_strdup(told->secret_key),
            .session_token = told->session_token != NULL && *told->session_token != '\0' ?
                                 plain_strdup(told->session_token) : NULL,
            .source = told->source,
        },
        .expires_s = expires_s,
    };
    return PGCASK_OK;
}

/* ---- JSON ---- */

/* A string, or nothing. Texts of jansson's own errors quote the document: they are not used. */
static int
document_text(const struct aws_document *document, const json_t *root, const char *name, const char **ret_text)
{
    const json_t *value = json_object_get(root, name);

    *ret_text = NULL;
    if (value == NULL || json_is_null(value))
        return PGCASK_OK;
    if (!json_is_string(value)) {
        pgcask_error("%s: '%s' is not a string", document->source, name);
        return PGCASK_FAILED;
    }
    *ret_text = json_string_value(value);
    return PGCASK_OK;
}

static int
document_version(const struct aws_document *document, const json_t *root)
{
    const json_t *version = json_object_get(root, "Version");

    if (!document->versioned || (json_is_integer(version) && json_integer_value(version) == 1))
        return PGCASK_OK;
    if (json_is_integer(version))
        pgcask_error("%s: 'Version' is %lld, wanted 1", document->source, (long long)json_integer_value(version));
    else
        pgcask_error("%s: 'Version' is missing or not a number, wanted 1", document->source);
    return PGCASK_FAILED;
}

/* Metadata services report their own failures in a 200 with another Code. */
static int
document_code(const struct aws_document *document, const json_t *root)
{
    const char *code;
    int rc = document_text(document, root, "Code", &code);

    if (rc < 0 || code == NULL || strcmp(code, "Success") == 0)
        return rc;
    pgcask_error("%s has no keys: '%.*s'", document->source, CODE_MAX_BYTES, code);
    pgcask_hint("is the role still there, and may it be assumed by this service?");
    return PGCASK_FAILED;
}

static int
document_grant(const struct aws_document *document, const json_t *root, struct aws_grant *ret_grant)
{
    struct aws_told told = { .source = document->source };
    int rc = json_is_object(root) ? document_version(document, root) : PGCASK_FAILED;

    if (!json_is_object(root))
        pgcask_error("%s gave JSON that is not an object", document->source);
    if (rc == 0)
        rc = document_code(document, root);
    if (rc == 0)
        rc = document_text(document, root, "AccessKeyId", &told.access_key);
    if (rc == 0)
        rc = document_text(document, root, "SecretAccessKey", &told.secret_key);
    if (rc == 0)
        rc = document_text(document, root, document->token_name, &told.session_token);
    if (rc == 0)
        rc = document_text(document, root, "Expiration", &told.expiration);
    return rc == 0 ? aws_source_grant(&told, ret_grant) : rc;
}

/* The strings are jansson's own memory, which json_decref does not wipe. */
static void
document_wipe(json_t *root)
{
    const char *name;
    json_t *value;

    json_object_foreach(root, name, value)
    {
        if (json_is_string(value))
            OPENSSL_cleanse((char *)json_string_value(value), json_string_length(value));
    }
}

int
aws_source_document(const struct aws_document *document, char *text, size_t len, struct aws_grant *ret_grant)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    int rc = PGCASK_FAILED;

    OPENSSL_cleanse(text, len);
    OPENSSL_cleanse(error.text, sizeof error.text);
    if (root == NULL) {
        pgcask_error("%s gave %s", document->source, len == 0 ? "nothing" : "something that is not JSON");
        return PGCASK_FAILED;
    }
    rc = document_grant(document, root, ret_grant);
    document_wipe(root);
    json_decref(root);
    return rc;
}
