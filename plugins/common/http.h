/* SPDX-License-Identifier: PostgreSQL
 *
 * Requests over libcurl on connections that are kept alive, for any number of threads. One call is one request: nothing
 * is tried again here. What is not a status of the server becomes PGCASK_RETRY (network, time) or PGCASK_FAILED (trust,
 * a wrong URL), with a text and, where there is one, a cure.
 */
#ifndef PGCASK_COMMON_HTTP_H
#define PGCASK_COMMON_HTTP_H

#include "common/plain.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http; /* opaque */

/* Texts are copied. */
struct http_settings {
    const char *ca_file;        /* PEM; NULL: the system's */
    const char *proxy;          /* URL; NULL: as the environment says; "": none */
    int64_t connect_timeout_ms; /* 0: 10 s */
    int64_t stall_timeout_ms;   /* no byte in either direction for so long; 0: 60 s */
};

int http_new(const struct http_settings *settings, struct http **ret_http);
void http_free(struct http *http);
CLEANUP_DEFINE(struct http, http_free)

struct http_request {
    const char *method;         /* GET, HEAD, PUT, POST, DELETE */
    const char *url;            /* http:// or https://, encoded */
    const char *const *headers; /* "Name: value", ends with NULL; may be NULL */
    const void *body;           /* borrowed; NULL: none */
    size_t body_size;
    void *into;                 /* where the body of a 2xx answer goes, at most into_size bytes; NULL: to answer->body */
    size_t into_size;
    size_t limit;               /* most bytes of answer->body; 0: 1 MiB */
    int64_t timeout_ms;         /* for the whole request; 0: only the stall timeout */
    bool direct;                /* past any proxy: addresses of this machine or its link */
};

struct http_answer {
    long status;
    char *body; /* NUL-terminated, never NULL */
    size_t body_len;
    size_t into_len;
    char **headers; /* "name: value", names in lower case */
    size_t header_count;
    bool resent; /* a kept connection broke without an answer, and it went out again on another: both may have been heard */
};

/* 0 with any status of the server. An answer longer than allowed is PGCASK_FAILED, one cut short PGCASK_RETRY. The answer is
 * freed by the caller after 0 only. */
int http_send(struct http *http, const struct http_request *request, struct http_answer *ret_answer);
void http_answer_free(struct http_answer *answer);
/* The value of the first header of that name (lower case), borrowed; NULL: not there. */
const char *http_answer_header(const struct http_answer *answer, const char *name);

#endif
