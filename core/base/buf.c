/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
buf_reserve(struct buf *buf, size_t len)
{
    size_t need = buf->len + len + 1;
    size_t cap = buf->cap ? buf->cap : 256;
    char *data;

    if (len > buf->limit || buf->len > buf->limit - len)
        return error_set(PGCASK_FAILED, "more than the %zu bytes that are allowed here", buf->limit);
    if (need <= buf->cap)
        return 0;
    while (cap < need)
        cap *= 2;
    data = mem_alloc(cap); /* not realloc: a secret must not stay behind in freed memory */
    if (buf->len > 0)
        memcpy(data, buf->data, buf->len);
    data[buf->len] = '\0';
    if (buf->secret && buf->data != NULL)
        explicit_bzero(buf->data, buf->cap);
    free(buf->data);
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int
buf_add(struct buf *buf, const void *data, size_t len)
{
    int rc = buf_reserve(buf, len);

    if (rc < 0)
        return rc;
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return 0;
}

int
buf_adds(struct buf *buf, const char *text)
{
    return buf_add(buf, text, strlen(text));
}

int
buf_addf(struct buf *buf, const char *format, ...)
{
    va_list args;
    CLEANUP_FREE char *text = NULL;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        text = NULL;
        return error_set(PGCASK_FAILED, "could not format '%s'", format);
    }
    return buf_add(buf, text, (size_t)len);
}

char *
buf_take(struct buf *buf)
{
    char *data = buf->data ? buf->data : mem_strdup("");

    buf->data = NULL;
    buf->len = buf->cap = 0;
    return data;
}

void
buf_free(struct buf *buf)
{
    if (buf->secret && buf->data != NULL)
        explicit_bzero(buf->data, buf->cap);
    free(buf->data);
    buf->data = NULL;
    buf->len = buf->cap = 0;
}

void
cleanup_buf(struct buf *buf)
{
    buf_free(buf);
}

void
strv_take(struct strv *v, char *text)
{
    if (v->len + 1 >= v->cap) {
        v->cap = v->cap ? v->cap * 2 : 8;
        v->items = mem_realloc_array(v->items, v->cap, sizeof *v->items);
    }
    v->items[v->len++] = text;
    v->items[v->len] = NULL;
}

void
strv_add(struct strv *v, const char *text)
{
    strv_take(v, mem_strdup(text));
}

void
strv_addf(struct strv *v, const char *format, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = mem_strdup(format);
    va_end(args);
    strv_take(v, text);
}

void
strv_split(struct strv *v, const char *text, const char *separators)
{
    while (*text != '\0') {
        size_t len;

        text += strspn(text, separators);
        len = strcspn(text, separators);
        if (len > 0)
            strv_take(v, mem_strndup(text, len));
        text += len;
    }
}

bool
strv_has(const struct strv *v, const char *text)
{
    for (size_t i = 0; i < v->len; i++)
        if (strcmp(v->items[i], text) == 0)
            return true;
    return false;
}

static int
strv_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
strv_sort(struct strv *v)
{
    if (v->len > 1)
        qsort(v->items, v->len, sizeof *v->items, strv_compare);
}

char *
strv_join(const struct strv *v, const char *separator)
{
    struct buf joined = BUF_INIT(SIZE_MAX / 2);

    for (size_t i = 0; i < v->len; i++) {
        if (i > 0)
            (void)buf_adds(&joined, separator); /* the limit cannot be reached */
        (void)buf_adds(&joined, v->items[i]);
    }
    return buf_take(&joined);
}

void
strv_free(struct strv *v)
{
    for (size_t i = 0; i < v->len; i++)
        free(v->items[i]);
    free(v->items);
    memset(v, 0, sizeof *v);
}

void
cleanup_strv(struct strv *v)
{
    strv_free(v);
}
