/* SPDX-License-Identifier: PostgreSQL
 *
 * Two halves: bytes to tokens, which may be cut anywhere, and tokens to events,
 * by what may come next.
 */
#include "config.h"

#include "base/json-push.h"

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum scan { SCAN_BETWEEN, SCAN_STRING, SCAN_ESCAPE, SCAN_UNICODE, SCAN_BARE };

/* What may come next. */
enum wait {
    WAIT_VALUE,
    WAIT_FIRST_VALUE, /* or the end of the array */
    WAIT_FIRST_KEY,   /* or the end of the object */
    WAIT_KEY,
    WAIT_COLON,
    WAIT_COMMA, /* or the end of what we are in */
    WAIT_NOTHING,
};

struct json_push {
    json_push_event *event;
    void *ctx;
    enum scan scan;
    enum wait wait;
    char stack[JSON_PUSH_DEPTH_MAX]; /* '{' or '[' */
    size_t depth;
    struct buf text;
    uint32_t unicode; /* of \uXXXX, as far as read */
    int digits;
    uint32_t surrogate; /* the first half of a pair, 0: none */
    uint64_t offset;    /* of the next byte */
};

static int
push_corrupt(const struct json_push *push, const char *what)
{
    return error_set(ERROR_CORRUPT, "%s at byte %llu", what, (unsigned long long)push->offset);
}

/* ---- tokens to events ---- */

static int
push_give(struct json_push *push, enum json_event event, const char *text)
{
    return push->event(push->ctx, event, text);
}

static int
token_value(struct json_push *push, enum json_event event, const char *text)
{
    if (push->wait != WAIT_VALUE && push->wait != WAIT_FIRST_VALUE)
        return push_corrupt(push, "a value where none belongs");
    push->wait = push->depth > 0 ? WAIT_COMMA : WAIT_NOTHING;
    return push_give(push, event, text);
}

static int
token_open(struct json_push *push, char bracket)
{
    int rc;

    if (push->depth == JSON_PUSH_DEPTH_MAX)
        return push_corrupt(push, "nested too deeply");
    rc = token_value(push, bracket == '{' ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN, NULL);
    push->stack[push->depth++] = bracket;
    push->wait = bracket == '{' ? WAIT_FIRST_KEY : WAIT_FIRST_VALUE;
    return rc;
}

static int
token_close(struct json_push *push, char bracket)
{
    bool object = bracket == '}';
    enum wait empty = object ? WAIT_FIRST_KEY : WAIT_FIRST_VALUE;

    if (push->depth == 0 || push->stack[push->depth - 1] != (object ? '{' : '[') ||
        (push->wait != WAIT_COMMA && push->wait != empty))
        return push_corrupt(push, "a bracket where none belongs");
    push->depth--;
    push->wait = push->depth > 0 ? WAIT_COMMA : WAIT_NOTHING;
    return push_give(push, object ? JSON_OBJECT_END : JSON_ARRAY_END, NULL);
}

static int
token_mark(struct json_push *push, char mark)
{
    if (mark == ':' && push->wait == WAIT_COLON) {
        push->wait = WAIT_VALUE;
        return 0;
    }
    if (mark == ',' && push->wait == WAIT_COMMA) {
        push->wait = push->stack[push->depth - 1] == '{' ? WAIT_KEY : WAIT_VALUE;
        return 0;
    }
    return push_corrupt(push, "a mark where none belongs");
}

static int
token_string(struct json_push *push)
{
    const char *text = push->text.len > 0 ? push->text.data : "";

    if (push->wait != WAIT_KEY && push->wait != WAIT_FIRST_KEY)
        return token_value(push, JSON_STRING, text);
    push->wait = WAIT_COLON;
    return push_give(push, JSON_KEY, text);
}

/* -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
static bool
is_number(const char *text)
{
    static const char digits[] = "0123456789";
    size_t len;

    text += *text == '-';
    len = strspn(text, digits);
    if (len == 0 || (len > 1 && text[0] == '0'))
        return false;
    text += len;
    if (*text == '.') {
        len = strspn(text + 1, digits);
        text += 1 + len;
        if (len == 0)
            return false;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        len = strspn(text, digits);
        text += len;
        if (len == 0)
            return false;
    }
    return *text == '\0';
}

static int
token_bare(struct json_push *push)
{
    const char *text = push->text.data;

    push->scan = SCAN_BETWEEN;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0 || strcmp(text, "null") == 0)
        return token_value(push, JSON_WORD, text);
    if (!is_number(text))
        return push_corrupt(push, "neither a number nor a word that JSON knows, before");
    return token_value(push, JSON_NUMBER, text);
}

/* ---- bytes to tokens ---- */

static int
text_add(struct json_push *push, const void *data, size_t len)
{
    return buf_add(&push->text, data, len) == 0 ? 0 : push_corrupt(push, "a text that is too long");
}

static int
scan_between(struct json_push *push, char c)
{
    push->text.len = 0;
    switch (c) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
        return 0;
    case '{':
    case '[':
        return token_open(push, c);
    case '}':
    case ']':
        return token_close(push, c);
    case ':':
    case ',':
        return token_mark(push, c);
    case '"':
        push->scan = SCAN_STRING;
        return 0;
    default:
        if (c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z'))
            return push_corrupt(push, "no JSON");
        push->scan = SCAN_BARE;
        return text_add(push, &c, 1);
    }
}

/* Bytes of a string up to what is special in it; how many. */
static size_t
plain_bytes(const unsigned char *data, size_t len)
{
    size_t i = 0;

    while (i < len && data[i] != '"' && data[i] != '\\' && data[i] >= 0x20)
        i++;
    return i;
}

static int
scan_string(struct json_push *push, char c)
{
    push->scan = c == '"' ? SCAN_BETWEEN : SCAN_ESCAPE;
    if (push->surrogate != 0 && c != '\\')
        return push_corrupt(push, "half of a surrogate pair");
    if (c == '"')
        return token_string(push);
    return c == '\\' ? 0 : push_corrupt(push, "a control character");
}

static int
scan_escape(struct json_push *push, char c)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *found = c != '\0' ? strchr(letters, c) : NULL;

    if (c == 'u') {
        push->scan = SCAN_UNICODE;
        push->unicode = 0;
        push->digits = 0;
        return 0;
    }
    push->scan = SCAN_STRING;
    if (found == NULL || push->surrogate != 0)
        return push_corrupt(push, "an escape that JSON does not know");
    return text_add(push, bytes + (found - letters), 1);
}

static int
text_add_unicode(struct json_push *push, uint32_t code)
{
    unsigned char out[4];
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = { 0, 0x00, 0xC0, 0xE0, 0xF0 };

    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (unsigned char)(0x80 | (code & 0x3F));
    out[0] = (unsigned char)(lead[len] | code);
    return text_add(push, out, len);
}

static int
scan_unicode(struct json_push *push, char c)
{
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    uint32_t code, first = push->surrogate;

    if (digit < 0)
        return push_corrupt(push, "no hexadecimal digit");
    push->unicode = push->unicode << 4 | (uint32_t)digit;
    if (++push->digits < 4)
        return 0;
    push->scan = SCAN_STRING;
    code = push->unicode;
    push->surrogate = 0;
    if ((first != 0) != (code >= 0xDC00 && code <= 0xDFFF))
        return push_corrupt(push, "half of a surrogate pair");
    if (first != 0)
        return text_add_unicode(push, 0x10000 + ((first - 0xD800) << 10) + (code - 0xDC00));
    if (code >= 0xD800 && code <= 0xDBFF)
        push->surrogate = code;
    else if (code == 0)
        return push_corrupt(push, "a NUL in a text");
    else
        return text_add_unicode(push, code);
    return 0;
}

static bool
is_bare(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
}

static int
scan_bare(struct json_push *push, char c)
{
    int rc;

    if (is_bare(c))
        return text_add(push, &c, 1);
    rc = token_bare(push);
    return rc < 0 ? rc : scan_between(push, c);
}

static int
scan_byte(struct json_push *push, char c)
{
    switch (push->scan) {
    case SCAN_STRING:
        return scan_string(push, c);
    case SCAN_ESCAPE:
        return scan_escape(push, c);
    case SCAN_UNICODE:
        return scan_unicode(push, c);
    case SCAN_BARE:
        return scan_bare(push, c);
    case SCAN_BETWEEN:
        break;
    }
    return scan_between(push, c);
}

int
json_push_add(struct json_push *push, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < len;) {
        size_t plain = push->scan == SCAN_STRING && push->surrogate == 0 ? plain_bytes(bytes + i, len - i) : 0;

        if (plain > 0) {
            rc = text_add(push, bytes + i, plain);
            i += plain;
            push->offset += plain;
            continue;
        }
        rc = scan_byte(push, (char)bytes[i++]);
        push->offset++;
    }
    return rc;
}

int
json_push_end(struct json_push *push)
{
    if (push->scan == SCAN_BARE) {
        int rc = token_bare(push);

        if (rc < 0)
            return rc;
    }
    return push->wait == WAIT_NOTHING && push->scan == SCAN_BETWEEN ? 0 : push_corrupt(push, "it ends too early,");
}

struct json_push *
json_push_new(json_push_event *event, void *ctx)
{
    struct json_push *push = mem_zalloc(sizeof *push);

    push->event = event;
    push->ctx = ctx;
    push->wait = WAIT_VALUE;
    push->text = (struct buf)BUF_INIT(JSON_PUSH_TEXT_MAX);
    return push;
}

void
json_push_free(struct json_push *push)
{
    if (push == NULL)
        return;
    buf_free(&push->text);
    free(push);
}
