/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/extract.h"

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "catalog/label.h"
#include "pipeline/progress.h"
#include "pipeline/verify.h"
#include "stage/age-file.h"
#include "stage/member-reader.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

int
extract_begin(const char *path, struct extract_file *ret_file)
{
    struct extract_file file = { .fd = STDOUT_FILENO };

    if (strcmp(path, "-") != 0) {
        if (file_exists(path)) {
            (void)error_set(ERROR_USAGE, "'%s' exists already", path);
            return error_hint(ERROR_USAGE, "nothing is overwritten: name another file");
        }
        file.path = mem_strdup(path);
        file.temp = mem_printf("%s.tmp-%d", path, (int)getpid());
        file.fd = open(file.temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (file.fd < 0) {
            int rc = error_errno(PGCASK_FAILED, "could not create '%s'", file.temp);

            free(file.path);
            free(file.temp);
            return rc;
        }
    } else if (isatty(STDOUT_FILENO)) {
        (void)error_set(ERROR_USAGE, "the plain member is not written to a terminal");
        return error_hint(ERROR_USAGE, "name a file with --output, or pipe it on");
    }
    *ret_file = file;
    return 0;
}

int
extract_end(struct extract_file *file, int rc)
{
    if (file->path == NULL)
        return rc;
    if (rc == 0 && fsync(file->fd) < 0)
        rc = error_errno(PGCASK_FAILED, "could not sync '%s'", file->temp);
    if (close(file->fd) < 0 && rc == 0)
        rc = error_errno(PGCASK_FAILED, "could not close '%s'", file->temp);
    if (rc == 0 && link(file->temp, file->path) < 0) /* unlike rename, refuses what came meanwhile */
        rc = error_errno(PGCASK_FAILED, "could not create '%s'", file->path);
    (void)unlink(file->temp); /* it has its name, or is of no use */
    free(file->path);
    free(file->temp);
    return rc;
}

static const char *
extract_name(int fd)
{
    return fd == STDOUT_FILENO ? "standard output" : "output file";
}

enum { NAMES_SHOWN = 3 };

struct writer {
    int fd;
};

static int
extract_take(void *ctx, const void *data, size_t len)
{
    const struct writer *writer = ctx;

    progress_add(NULL, len);
    return file_write_all(writer->fd, data, len, extract_name(writer->fd));
}

/* Who takes the main member for the database would miss the rows that are elsewhere. */
static void
extract_warn_partial(const struct manifest *manifest, const char *database)
{
    CLEANUP_STRV struct strv names = { 0 };
    CLEANUP_FREE char *list = NULL;
    size_t count = 0;

    for (size_t i = 0; i < manifest->member_count; i++) {
        const struct manifest_member *member = &manifest->members[i];

        if (strcmp(member->role, ROLE_TABLE) != 0 || member->database == NULL || strcmp(member->database, database) != 0)
            continue;
        if (count++ < NAMES_SHOWN)
            strv_addf(&names, "%s.%s", member->schema, member->table);
    }
    if (count == 0)
        return;
    list = strv_join(&names, ", ");
    (void)error_set(PGCASK_FAILED, "the rows of %zu table%s are in members of their own (%s%s)", count,
                    count == 1 ? "" : "s", list, count > NAMES_SHOWN ? ", …" : "");
    (void)error_hint(PGCASK_FAILED, "'pgcask restore %s --database %s --into NAME' brings back all of it", manifest->id,
                     database);
    log_slot_warn("this file alone does not bring them back");
}

int
extract_member(struct restore *restore, const char *name, int out_fd)
{
    const struct manifest *manifest = restore->manifest;
    const struct manifest_member *member = NULL;
    struct writer writer = { out_fd };
    CLEANUP_FREE char *key = NULL;
    struct member_ref ref;
    int rc;

    for (size_t i = 0; i < manifest->member_count; i++)
        if (strcmp(manifest->members[i].name, name) == 0 || strcmp(manifest->members[i].object, name) == 0)
            member = &manifest->members[i];
    if (member == NULL) {
        (void)error_set(ERROR_USAGE, "backup '%s' has no member '%s'", manifest->id, name);
        return error_hint(ERROR_USAGE, "'pgcask show %s' lists its members", manifest->id);
    }
    rc = restore_ready(restore, &member, 1);
    if (rc < 0)
        return rc;
    key = label_object(manifest->cluster, manifest->id, member->object);
    ref = verify_ref(member, key);
    progress_begin(member->name, member->plain_size);
    rc = member_read_all(restore->crew, restore->streams + 2, restore->copies, &ref, restore->identities, extract_take,
                         &writer);
    progress_end();
    if (rc == 0 && strcmp(member->role, ROLE_MAIN) == 0 && member->database != NULL)
        extract_warn_partial(manifest, member->database);
    return rc;
}

/* ---- files from elsewhere ---- */

enum { SEALED_BYTES = AGE_CHUNK_BYTES + AGE_TAG_BYTES, MAGIC_BYTES = 4 };

/* Plain pieces come in; zstd frames, if that is what they are, are taken apart. */
struct unwrap {
    int out_fd;
    bool begun, zstd;
    ZSTD_DStream *stream;
    size_t pending; /* what ZSTD_decompressStream wants next: 0 at the end of a frame */
    unsigned char *out;
};

static bool
unwrap_is_zstd(const unsigned char *data, size_t len)
{
    static const unsigned char magic[MAGIC_BYTES] = { 0x28, 0xb5, 0x2f, 0xfd };

    return len >= MAGIC_BYTES && memcmp(data, magic, MAGIC_BYTES) == 0;
}

static int
unwrap_take(struct unwrap *unwrap, const void *data, size_t len)
{
    ZSTD_inBuffer in = { data, len, 0 };

    if (!unwrap->begun)
        unwrap->zstd = unwrap_is_zstd(data, len);
    unwrap->begun = true;
    if (!unwrap->zstd)
        return file_write_all(unwrap->out_fd, data, len, extract_name(unwrap->out_fd));
    while (in.pos < in.size) {
        ZSTD_outBuffer out = { unwrap->out, ZSTD_DStreamOutSize(), 0 };
        int rc;

        unwrap->pending = ZSTD_decompressStream(unwrap->stream, &out, &in);
        if (ZSTD_isError(unwrap->pending))
            return error_set(ERROR_CORRUPT, "not valid zstd: %s", ZSTD_getErrorName(unwrap->pending));
        rc = file_write_all(unwrap->out_fd, unwrap->out, out.pos, extract_name(unwrap->out_fd));
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Chunks in order: one ahead is read, for only the last one ends the file. `data` holds what was read behind the head. */
static int
unwrap_chunks(struct unwrap *unwrap, struct age_opener *opener, int fd, const char *name, unsigned char *data, size_t len)
{
    CLEANUP_FREE unsigned char *plain = mem_alloc(AGE_CHUNK_BYTES);

    for (uint64_t index = 0;; index++) {
        size_t take;
        ssize_t more = file_read_up_to(fd, data + len, 2 * SEALED_BYTES - len, name);
        bool last;
        int rc;

        if (more < 0)
            return (int)more;
        len += (size_t)more;
        last = len <= SEALED_BYTES;
        take = last ? len : SEALED_BYTES;
        if (take < AGE_TAG_BYTES)
            return error_set(ERROR_CORRUPT, "it is cut short");
        rc = age_open_chunk(opener, index, last, data, take, plain);
        if (rc == 0)
            rc = unwrap_take(unwrap, plain, take - AGE_TAG_BYTES);
        if (rc < 0 || last)
            return rc;
        len -= take;
        memmove(data, data + take, len);
    }
}

static int
unwrap_age(struct unwrap *unwrap, int fd, const char *name, const struct age_identities *identities, unsigned char *head,
           size_t len, size_t header)
{
    CLEANUP(age_opener_free) struct age_opener *opener = NULL;
    CLEANUP_FREE unsigned char *data = mem_alloc(2 * SEALED_BYTES + AGE_HEADER_LIMIT_BYTES);
    size_t start = header + AGE_NONCE_BYTES;
    int rc;

    if (len < start)
        return error_set(ERROR_CORRUPT, "it is cut short");
    if (identities == NULL) {
        (void)error_set(ERROR_USAGE, "it is encrypted, and there is no identity");
        return error_hint(ERROR_USAGE, "set identity_file (or passphrase) in [pgcask], or name the key with --identity");
    }
    rc = age_opener_new(head, start, identities, &opener);
    if (rc < 0)
        return rc;
    memcpy(data, head + start, len - start);
    return unwrap_chunks(unwrap, opener, fd, name, data, len - start);
}

static int
unwrap_file(struct unwrap *unwrap, int fd, const char *name, const struct age_identities *identities)
{
    CLEANUP_FREE unsigned char *head = mem_alloc(AGE_HEADER_LIMIT_BYTES);
    ssize_t len = file_read_up_to(fd, head, AGE_HEADER_LIMIT_BYTES, name);
    size_t header = 0;
    int rc;

    if (len < 0)
        return (int)len;
    if (!unwrap_is_zstd(head, (size_t)len)) {
        rc = age_header_length(head, (size_t)len, &header);
        if (rc < 0)
            return error_context(ERROR_CORRUPT, "neither an age nor a zstd file");
        rc = unwrap_age(unwrap, fd, name, identities, head, (size_t)len, header);
    } else
        for (rc = 0; rc == 0 && len > 0; len = rc < 0 ? 0 : file_read_up_to(fd, head, AGE_HEADER_LIMIT_BYTES, name))
            rc = unwrap_take(unwrap, head, (size_t)len);
    if (rc == 0 && len < 0)
        rc = (int)len;
    if (rc == 0 && unwrap->zstd && unwrap->pending != 0)
        rc = error_set(ERROR_CORRUPT, "the zstd stream is cut short");
    return rc;
}

int
extract_foreign(const char *path, const struct age_identities *identities, int out_fd)
{
    bool standard_input = strcmp(path, "-") == 0;
    const char *name = standard_input ? "standard input" : path;
    CLEANUP_FD int fd = standard_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    struct unwrap unwrap = { .out_fd = out_fd };
    int rc;

    if (fd < 0)
        return error_errno(PGCASK_FAILED, "could not open '%s'", name);
    unwrap.stream = ZSTD_createDStream();
    if (unwrap.stream == NULL)
        return error_set(PGCASK_FAILED, "zstd could not make a decompressor: out of memory");
    unwrap.out = mem_alloc(ZSTD_DStreamOutSize());
    rc = unwrap_file(&unwrap, fd, name, identities);
    (void)ZSTD_freeDStream(unwrap.stream);
    free(unwrap.out);
    return rc < 0 ? error_context(rc, "'%s'", name) : 0;
}
