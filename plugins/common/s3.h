/* SPDX-License-Identifier: PostgreSQL
 *
 * A bucket behind a prefix, as the s3 and glacier plugins use it. The files:
 *
 *   s3-options.h   what both plugins can be told         s3-client.c   one signed request and its answer
 *   s3-error.c     what an answer means                  s3-put.c, s3-parts.c   writing: one PUT, or parts
 *   s3-read.c      get, stat, tiers                      s3-list.c     listing, batch removal, abandoned uploads
 *   s3-check.c     what `pgcask check` asks              s3-lifecycle.c, s3-thaw.c   cold storage
 */
#ifndef PGCASK_COMMON_S3_H
#define PGCASK_COMMON_S3_H

#include "common/aws-credentials.h"
#include "pgcask-plugin.h"

#include <pthread.h>

enum {
    S3_PARTS_MAX = 10000,                 /* Amazon S3 user guide, "Multipart upload limits" */
    S3_LIST_KEYS = 1000,
    S3_XML_LIMIT_BYTES = 8 * 1024 * 1024, /* 1 000 keys of 1 000 escaped bytes, and what stands around them */
};
#define S3_PART_MIN (INT64_C(5) << 20)
#define S3_PART_MAX (INT64_C(5) << 30)

struct s3_settings; /* s3-options.h */

/* What is learned of a server while it is used; each only ever changes from "not known" to one answer. */
enum s3_known { S3_UNKNOWN = 0, S3_YES, S3_NO };

struct s3 {
    const struct s3_settings *settings;
    struct http *http;
    struct aws_credentials *credentials;
    char *scheme;             /* "https" */
    char *base;               /* what stands before each path: "/bucket" or "" */
    char *prefix;             /* "" or "some/where/" */
    bool amazon;              /* no endpoint was given */
    bool guarded;             /* a condition is kept: no look is needed before a PUT. Some servers take it and do not look
                                 (Ceph 16 where the bucket keeps versions), so that is believed of Amazon only */
    bool region_given;
    bool sign_payload;
    const char *cold_class;   /* storage class for what need not be hot; NULL: the bucket's default */
    const char *later_class;  /* where a lifecycle rule moves what need not be hot; NULL: there is none */
    int later_days;           /* after so many days */
    char *tagging;            /* x-amz-tagging's value for what need not be hot; NULL: none */
    pthread_mutex_t lock;     /* for what follows; a leaf */
    char *region, *host;       /* "eu-central-1", "s3.eu-central-1.amazonaws.com" (with :port) */
    bool region_learned;       /* from the server */
    enum s3_known conditional; /* a PUT with If-None-Match takes it; S3_NO: 501 */
    enum s3_known checksums;   /* x-amz-checksum-crc32 is checked and told */
    enum s3_known bucket;      /* it is there */
    enum s3_known thaws;       /* cold objects are refused until RestoreObject */
    char **unsure;             /* keys whose last PUT got no answer */
    size_t unsure_count;
};

/* ---- s3-client.c ---- */

int s3_open(const struct s3_settings *settings, unsigned flags, struct s3 **ret_s3);
void s3_close(void *handle); /* NULL is fine */

/* One pair of a query; value NULL: "name=". Sorted by name. */
struct s3_query {
    const char *name, *value;
};

struct s3_request {
    const char *method;
    const char *key;                 /* relative to the prefix; NULL: the bucket itself */
    const struct s3_query *query;    /* ends with a NULL name; may be NULL */
    const char *const *headers;      /* "x-amz-…: value", lower-case, any order, ends with NULL; may be NULL */
    const void *body;
    size_t body_size;
    void *into;
    size_t into_size;
    size_t limit;
    const char *what;                /* for messages: "reading", "writing part 7 of", … */
    bool *resent;                    /* set to true when the server may have heard it twice; may be NULL */
};

/* 0 for a 2xx answer that is no error document, else a code of pgcask-plugin.h with text and cure. `ret_answer` (may be
 * NULL) is set after 0 only. */
int s3_send(struct s3 *s3, const struct s3_request *request, struct http_answer *ret_answer);
/* The same, for those who want to see every answer of the server; 0 whenever there is one. */
int s3_exchange(struct s3 *s3, const struct s3_request *request, struct http_answer *ret_answer);
/* A region becomes part of a host name and of signatures. */
bool s3_is_region(const char *text);
/* The server said where the bucket is. */
void s3_region_learn(struct s3 *s3, const char *region);

enum s3_known s3_known_get(struct s3 *s3, const enum s3_known *known);
void s3_known_set(struct s3 *s3, enum s3_known *known, enum s3_known value);

/* ---- s3-error.c ---- */

/* What an <Error> says; texts owned, "" when absent. */
struct s3_error {
    char *code, *message, *region, *key;
};
/* 1: the body is an <Error> document, 0: it is not. */
int s3_error_read(const char *body, size_t len, struct s3_error *ret_error);
void s3_error_free(struct s3_error *error);
/* Sets text and cure for an answer that is not what was asked for; the code. Learns the region from it. */
int s3_error_tell(struct s3 *s3, const struct s3_request *request, const struct http_answer *answer);

/* ---- callbacks, with s3 as handle ---- */

int s3_part_limits(void *handle, struct pgcask_limits *limits);
int s3_put_begin(void *handle, const struct pgcask_put *put, void **ret_upload);
int s3_put_part(void *handle, void *upload, uint32_t number, uint64_t offset, const void *data, size_t size);
int s3_put_commit(void *handle, void *upload, uint64_t size);
int s3_put_abort(void *handle, void *upload);
int s3_put_object(void *handle, const struct pgcask_put *put, const void *data, size_t size);
int s3_get(void *handle, const char *key, uint64_t offset, void *data, size_t size);
int s3_stat(void *handle, const char *key, struct pgcask_listing *listing);
int s3_list(void *handle, const char *prefix, struct pgcask_listing *listing);
int s3_remove(void *handle, const char *key);
int s3_remove_many(void *handle, const char *const *keys, size_t count, unsigned char *gone);
int s3_sweep(void *handle, int64_t before_s, uint64_t *ret_count);
int s3_thaw(void *handle, const char *key, int days, const char *tier);
int s3_check(void *handle, struct pgcask_check *check);

/* All of a plugin's struct but its name, options and open. */
#define S3_CALLBACKS                                                                                                   \
    .thread_model = PGCASK_THREADS_PARALLEL, .close = s3_close, .part_limits = s3_part_limits,                         \
    .put_begin = s3_put_begin, .put_part = s3_put_part, .put_commit = s3_put_commit, .put_abort = s3_put_abort,        \
    .get = s3_get, .stat = s3_stat, .list = s3_list, .remove = s3_remove, .sweep = s3_sweep, .thaw = s3_thaw,          \
    .put_object = s3_put_object, .remove_many = s3_remove_many, .check = s3_check

/* ---- s3-lifecycle.c, s3-thaw.c, for the glacier plugin ---- */

#define S3_COLD_TAG_KEY "pgcask-tier"
#define S3_COLD_TAG_VALUE "cold"
/* Tell `check` whether the rule that moves tagged objects to later_class is there; with its fix, put it there. */
int s3_lifecycle_check(struct s3 *s3, struct pgcask_check *check);
/* The shortest time that one pays for in that class, in days; 0: none. */
int s3_class_minimum_days(const char *storage_class);

/* ---- shared between the files ---- */

/* What HEAD tells. */
struct s3_head {
    uint64_t size;      /* 0 from Ceph for what is in another tier */
    int64_t mtime_s;
    char *etag, *crc32; /* "" when absent; without quotes */
    int tier;           /* PGCASK_TIER_… */
    int64_t until_s;
};
int s3_head(struct s3 *s3, const char *key, struct s3_head *ret_head);
void s3_head_free(struct s3_head *head);
/* Is an object of that storage class to be thawed before it is read? Some servers serve what is in these classes at once: the
 * first such object that is met is tried. */
bool s3_is_cold(struct s3 *s3, const char *key, const char *storage_class);
/* %XX and '+' in place; false for what is no such text. */
bool s3_url_decode(char *text);
/* "2026-11-22T02:00:00.000Z"; 0 when it is none. */
int64_t s3_time(const char *text);
/* Digits and nothing else; false when it is no size. */
bool s3_size(const char *text, uint64_t *ret_size);
/* 0 when the bucket enforces object locks: some servers take the headers and do not. */
int s3_lock_check(struct s3 *s3);
/* Does a listing that goes on from token to token come round to where it was? Zeroed at first. One token is remembered, at
 * distances that double, so that a round of any length is met before long. */
struct s3_round {
    char *token;
    uint64_t pages, until;
};
bool s3_round_again(struct s3_round *round, const char *token);
void s3_round_free(struct s3_round *round);
/* The text of one element of a bucket's sub-resource ("versioning", …), owned by the caller; *ret_text stays NULL where the
 * server has none. */
int s3_bucket_ask(struct s3 *s3, const char *subresource, const char *path, char **ret_text);

#endif
