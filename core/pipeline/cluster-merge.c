/* SPDX-License-Identifier: PostgreSQL
 *
 * What a full backup and the increments on top of it have become is a backup of
 * its own: it gets a backup_manifest, as pg_combinebackup makes one, and a
 * backup_label that no longer speaks of an increment. Declared in
 * cluster-write.h.
 */
#include "config.h"

#include "pipeline/cluster-write.h"

#include "base/cancel.h"
#include "base/crc32c.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"
#include "pg/wal-name.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 256 * 1024, OUT_BYTES = 256 * 1024, LINE_BYTES = 8 * 1024, CRC_BYTES = 4 };

/* ---- checksums of what was put together ---- */

struct merged {
    char *path; /* NULL: as the last backup has it */
    uint64_t size;
    uint32_t crc;
};

struct sums {
    const struct cluster_write *write;
    struct merged *files; /* one for each of the last backup */
    atomic_size_t next;
    atomic_int code; /* of the first error */
    struct error error;
    pthread_mutex_t lock;
};

static int
sum_file(const struct sums *sums, struct place_at *at, unsigned char *data, struct merged *file)
{
    const struct cluster_place *place = sums->write->place;
    const char *name, *base;
    const struct place_dir *dir = place_of(place, file->path, &name);
    CLEANUP_FD int fd = -1;
    ssize_t len;
    int rc = place_enter(place, at, dir, name, false, &base);

    if (rc < 0)
        return rc;
    fd = openat(at->fd, base, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(PGCASK_FAILED, "could not open '%s'", file->path);
    while (rc == 0 && (len = file_read_up_to(fd, data, READ_BYTES, file->path)) != 0) {
        if (len < 0)
            return (int)len;
        file->crc = crc32c_add(file->crc, data, (size_t)len);
        file->size += (uint64_t)len;
        rc = cancel_check();
    }
    return rc;
}

static void *
sums_thread(void *arg)
{
    struct sums *sums = arg;
    struct place_at at = PLACE_AT_INIT;
    unsigned char *data = mem_alloc(READ_BYTES);
    size_t i;

    while (atomic_load(&sums->code) == 0 && (i = atomic_fetch_add(&sums->next, 1)) < sums->write->files->len) {
        int rc = sums->files[i].path != NULL ? sum_file(sums, &at, data, &sums->files[i]) : 0;

        if (rc == 0)
            continue;
        (void)pthread_mutex_lock(&sums->lock);
        if (atomic_load(&sums->code) == 0)
            error_take(rc, &sums->error);
        atomic_store(&sums->code, rc);
        (void)pthread_mutex_unlock(&sums->lock);
    }
    place_leave(&at);
    free(data);
    return NULL;
}

static int
sums_run(struct sums *sums, unsigned threads)
{
    CLEANUP_FREE pthread_t *others = mem_realloc_array(NULL, threads + 1, sizeof *others);
    unsigned started = 0;

    while (started + 1 < threads && pthread_create(&others[started], NULL, sums_thread, sums) == 0)
        started++;
    (void)sums_thread(sums);
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(others[i], NULL);
    return error_put(&sums->error);
}

/* ---- backup_label ---- */

/* Without the lines that keep PostgreSQL from starting. */
static int
merge_label(struct cluster_write *write)
{
    CLEANUP_BUF struct buf text = BUF_INIT(write->label.limit);
    const char *line = write->label.len > 0 ? write->label.data : "";
    int rc = 0;

    while (rc == 0 && *line != '\0') {
        size_t len = strcspn(line, "\n");

        len += line[len] == '\n';
        if (strncmp(line, "INCREMENTAL FROM ", strlen("INCREMENTAL FROM ")) != 0)
            rc = buf_add(&text, line, len);
        line += len;
    }
    return rc < 0 ? rc : place_put(write->place, "backup_label", text.data, text.len);
}

/* ---- backup_manifest ---- */

struct out {
    int fd;
    struct digest *digest;
    struct buf text;
};

static int
out_flush(struct out *out)
{
    int rc = file_write_all(out->fd, out->text.data, out->text.len, "backup_manifest");

    digest_add(out->digest, out->text.data, out->text.len);
    out->text.len = 0;
    return rc;
}

/* What is no plain text goes as hexadecimal digits. */
static int
out_path(struct out *out, const char *path)
{
    CLEANUP_FREE char *hex = NULL;
    bool plain = true;

    for (const char *c = path; *c != '\0'; c++)
        plain &= *c >= ' ' && *c < 0x7F && *c != '"' && *c != '\\';
    if (plain)
        return buf_addf(&out->text, "{ \"Path\": \"%s\", ", path);
    hex = format_hex(path, strlen(path));
    return buf_addf(&out->text, "{ \"Encoded-Path\": \"%s\", ", hex);
}

static int
out_file(struct out *out, const struct backup_file *file, const struct merged *merged, bool last)
{
    const unsigned char crc[CRC_BYTES] = { (unsigned char)merged->crc, (unsigned char)(merged->crc >> 8),
                                           (unsigned char)(merged->crc >> 16), (unsigned char)(merged->crc >> 24) };
    bool own = merged->path != NULL;
    unsigned kind = own ? BACKUP_SUM_CRC32C : file->kind;
    CLEANUP_FREE char *sum = own ? format_hex(crc, sizeof crc) : format_hex(file->sum, backup_sum_bytes(kind));
    int rc = out_path(out, own ? merged->path : file->path);

    if (rc == 0)
        rc = buf_addf(&out->text, "\"Size\": %" PRIu64, own ? merged->size : file->size);
    if (rc == 0 && kind != BACKUP_SUM_NONE)
        rc = buf_addf(&out->text, ", \"Checksum-Algorithm\": \"%s\", \"Checksum\": \"%s\"", backup_sum_name(kind), sum);
    if (rc == 0)
        rc = buf_addf(&out->text, " }%s\n", last ? "" : ",");
    return rc == 0 && out->text.len > OUT_BYTES ? out_flush(out) : rc;
}

static int
out_ranges(struct out *out, const struct backup_files *files)
{
    int rc = buf_adds(&out->text, "],\n\"WAL-Ranges\": [\n");

    for (size_t i = 0; rc == 0 && i < files->range_count; i++) {
        const struct backup_range *range = &files->ranges[i];
        CLEANUP_FREE char *start = wal_lsn_text(range->start_lsn), *end = wal_lsn_text(range->end_lsn);

        rc = buf_addf(&out->text, "{ \"Timeline\": %" PRIu32 ", \"Start-LSN\": \"%s\", \"End-LSN\": \"%s\" }%s\n",
                      range->timeline, start, end, i + 1 < files->range_count ? "," : "");
    }
    return rc < 0 ? rc : buf_adds(&out->text, "],\n");
}

static int
out_all(struct out *out, const struct sums *sums, const struct manifest *manifest)
{
    const struct backup_files *files = sums->write->files;
    CLEANUP_FREE char *digest = NULL;
    int rc =
        buf_addf(&out->text, "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": %s,\n\"Files\": [\n",
                 manifest->system_identifier);

    for (size_t i = 0; rc == 0 && i < files->len; i++)
        rc = out_file(out, &files->files[i], &sums->files[i], i + 1 == files->len);
    if (rc == 0)
        rc = out_ranges(out, files);
    if (rc == 0)
        rc = out_flush(out);
    if (rc < 0)
        return rc;
    digest = digest_end(out->digest);
    rc = buf_addf(&out->text, "\"Manifest-Checksum\": \"%s\"}\n", strchr(digest, ':') + 1);
    return rc < 0 ? rc : file_write_all(out->fd, out->text.data, out->text.len, "backup_manifest");
}

static int
merge_write(const struct sums *sums, const struct manifest *manifest)
{
    const struct cluster_place *place = sums->write->place;
    CLEANUP_PLACE_AT struct place_at at = PLACE_AT_INIT;
    CLEANUP(digest_free) struct digest *digest = digest_new(DIGEST_SHA256);
    CLEANUP_FD int fd = -1;
    struct out out = { .digest = digest, .text = BUF_INIT(OUT_BYTES + LINE_BYTES) };
    const char *base;
    int rc = place_enter(place, &at, &place->dirs[0], "backup_manifest", false, &base);

    if (rc == 0)
        rc = place_create(place, &at, base, &fd);
    out.fd = fd;
    if (rc == 0)
        rc = out_all(&out, sums, manifest);
    buf_free(&out.text);
    return rc;
}

int
cluster_merge_manifest(struct cluster_write *write, const struct manifest *manifest, unsigned threads)
{
    struct sums sums = { .write = write, .lock = PTHREAD_MUTEX_INITIALIZER };
    int rc = merge_label(write);

    sums.files = mem_zalloc((write->files->len + 1) * sizeof *sums.files);
    for (size_t i = 0; i < write->files->len; i++) {
        const char *path = write->files->files[i].path;
        char *target = cluster_target(path);

        if (strcmp(target, path) != 0 || strcmp(path, "backup_label") == 0 || strcmp(path, "tablespace_map") == 0)
            sums.files[i].path = target; /* the latter two are not as they were in the backup */
        else
            free(target);
    }
    if (rc == 0)
        rc = sums_run(&sums, threads);
    if (rc == 0)
        rc = merge_write(&sums, manifest);
    for (size_t i = 0; i < write->files->len; i++)
        free(sums.files[i].path);
    free(sums.files);
    return rc;
}
