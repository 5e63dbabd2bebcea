/* SPDX-License-Identifier: PostgreSQL
 *
 * A growing byte buffer with a limit, and a vector of strings.
 */
#ifndef PGCASK_BASE_BUF_H
#define PGCASK_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

/* Always NUL-terminated behind `len` once anything was added. Start with BUF_INIT(limit in bytes). */
struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t limit;
    bool secret; /* wiped before its memory is given back */
};
#define BUF_INIT(limit_bytes) { .limit = (limit_bytes) }
#define BUF_SECRET_INIT(limit_bytes) { .limit = (limit_bytes), .secret = true }

/* All return 0, or PGCASK_FAILED with the limit named when it would be passed; the buffer is then unchanged. */
int buf_add(struct buf *buf, const void *data, size_t len);
int buf_adds(struct buf *buf, const char *text);
int buf_addf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for `len` more bytes at buf->data + buf->len; the caller then raises len itself. */
int buf_reserve(struct buf *buf, size_t len);
/* The text, owned by the caller ("" for an empty buffer); the buffer is empty afterwards. */
char *buf_take(struct buf *buf);
void buf_free(struct buf *buf);
void cleanup_buf(struct buf *buf);
#define CLEANUP_BUF __attribute__((cleanup(cleanup_buf)))

/* A NULL-terminated vector of owned strings: usable as argv at any time once one was added. */
struct strv {
    char **items;
    size_t len;
    size_t cap;
};
void strv_add(struct strv *v, const char *text);            /* copies */
void strv_take(struct strv *v, char *text);                 /* takes ownership */
void strv_addf(struct strv *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
void strv_split(struct strv *v, const char *text, const char *separators); /* adds the non-empty words */
bool strv_has(const struct strv *v, const char *text);
void strv_sort(struct strv *v); /* byte order */
char *strv_join(const struct strv *v, const char *separator); /* owned by the caller */
void strv_free(struct strv *v);
void cleanup_strv(struct strv *v);
#define CLEANUP_STRV __attribute__((cleanup(cleanup_strv)))

#endif
