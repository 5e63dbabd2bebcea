/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/basebackup.h"

#include "pg/replication-private.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/parse.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    ONE_COPY_SERVER = 150000,
    INCREMENTAL_SERVER = 170000,
    TAR_END_BYTES = 2 * 512,
    UPLOAD_PIECE_BYTES = 256 * 1024,
};

/* SQLSTATE of a backup in which pages were bad: it comes behind the last byte. */
#define DATA_CORRUPTED "XX001"

struct basebackup {
    struct replication *replication;
    struct basebackup_facts facts;
    bool one_copy;      /* PostgreSQL 15 and later */
    int64_t told_pages; /* the server's own count of bad pages */
    size_t next;        /* old protocol: the tablespace whose COPY comes next; behind the last one the manifest */
    bool copying;       /* in a COPY */
    bool open;          /* in an archive */
    bool announced;     /* `archive` is the next one */
    struct basebackup_archive archive;
    char *message; /* what is left of it: */
    size_t pos, len;
    size_t zeros; /* to be added at the end of the archive */
    bool ended;
};

/* ---- the beginning ---- */

static void
command_text(struct buf *command, const char *word, const char *value)
{
    (void)buf_addf(command, "%s '", word);
    for (const char *p = value; *p != '\0'; p++)
        (void)buf_addf(command, "%s%c", *p == '\'' ? "'" : "", *p);
    (void)buf_adds(command, "'");
}

/* The words of 13 and 14. */
static void
command_old(struct buf *command, const struct basebackup_spec *spec)
{
    command_text(command, "BASE_BACKUP LABEL", spec->label);
    (void)buf_adds(command, " PROGRESS NOWAIT TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'");
    (void)buf_addf(command, "%s%s", spec->fast ? " FAST" : "", spec->wal ? " WAL" : "");
    if (spec->max_rate > 0)
        (void)buf_addf(command, " MAX_RATE %" PRIu64, spec->max_rate / 1024);
}

static void
command_new(struct buf *command, const struct basebackup_spec *spec)
{
    command_text(command, "BASE_BACKUP (LABEL", spec->label);
    (void)buf_adds(command, ", PROGRESS, WAIT 0, TABLESPACE_MAP, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C'");
    (void)buf_addf(command, ", CHECKPOINT '%s'%s%s", spec->fast ? "fast" : "spread", spec->wal ? ", WAL" : "",
                   spec->incremental ? ", INCREMENTAL" : "");
    if (spec->max_rate > 0)
        (void)buf_addf(command, ", MAX_RATE %" PRIu64, spec->max_rate / 1024);
    if (spec->compress != NULL) {
        command_text(command, ", COMPRESSION", spec->compress);
        command_text(command, ", COMPRESSION_DETAIL", "level=1"); /* the server has other things to do */
    }
    (void)buf_adds(command, ")");
}

/* WAIT 0: whether the WAL has come is for us to find out, in our own stores. CRC32C: each file's checksum is there to
 * catch what happens by chance on its way from the server's disk to a restored one, and costs the server next to
 * nothing; against what happens on purpose the digests and the seal of the stored bytes stand, over which SHA-256 at a
 * third of a gigabyte a second would be no gain. */
static int
begin_command(int version, const struct basebackup_spec *spec, struct buf *command)
{
    if (spec->compress != NULL && version < ONE_COPY_SERVER)
        return error_set(PGCASK_UNSUPPORTED, "compression by the server needs PostgreSQL 15 or later");
    if (spec->incremental && version < INCREMENTAL_SERVER)
        return error_set(PGCASK_UNSUPPORTED, "incremental backups need PostgreSQL 17 or later");
    (version < ONE_COPY_SERVER ? command_old : command_new)(command, spec);
    return 0;
}

static int
begin_start(struct basebackup *basebackup)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    uint64_t timeline = 0;
    int rc = replication_result(basebackup->replication, &result);

    if (rc == 0 && (result == NULL || PQresultStatus(result) != PGRES_TUPLES_OK))
        rc = error_set(ERROR_CORRUPT, "PostgreSQL does not say where the base backup starts");
    if (rc == 0)
        rc = replication_field_lsn(result, 0, &basebackup->facts.start_lsn);
    if (rc == 0)
        rc = replication_field_number(result, 1, UINT32_MAX, &timeline);
    basebackup->facts.timeline = basebackup->facts.stop_timeline = (uint32_t)timeline;
    return rc;
}

static int
begin_tablespace(struct basebackup *basebackup, const PGresult *result, int row)
{
    struct basebackup_facts *facts = &basebackup->facts;
    struct basebackup_tablespace *tablespace;
    int64_t kib = 0;
    const char *oid = PQgetisnull(result, row, 0) ? NULL : PQgetvalue(result, row, 0);

    if (oid != NULL && (*oid == '\0' || strlen(oid) > 10 || strspn(oid, "0123456789") != strlen(oid)))
        return error_set(ERROR_CORRUPT, "PostgreSQL names a tablespace '%s'", oid);
    if (!PQgetisnull(result, row, 2) &&
        (parse_int64(PQgetvalue(result, row, 2), &kib) < 0 || kib < 0 || kib > INT64_MAX / 1024))
        return error_set(ERROR_CORRUPT, "PostgreSQL says a tablespace has '%s' KiB", PQgetvalue(result, row, 2));
    MEM_GROW(facts->tablespaces, facts->len, facts->cap);
    tablespace = &facts->tablespaces[facts->len++];
    *tablespace = (struct basebackup_tablespace){
        .oid = oid ? mem_strdup(oid) : NULL,
        .location = oid ? mem_strdup(PQgetvalue(result, row, 1)) : NULL,
        .size = (uint64_t)kib * 1024,
    };
    facts->size += tablespace->size;
    return 0;
}

static int
begin_tablespaces(struct basebackup *basebackup)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    int roots = 0, rc = replication_result(basebackup->replication, &result);

    if (rc == 0 && (result == NULL || PQresultStatus(result) != PGRES_TUPLES_OK || PQnfields(result) < 3 ||
                    PQntuples(result) > BASEBACKUP_TABLESPACES_MAX))
        rc = error_set(ERROR_CORRUPT, "PostgreSQL does not say which tablespaces there are");
    for (int row = 0; rc == 0 && row < PQntuples(result); row++) {
        roots += PQgetisnull(result, row, 0);
        rc = begin_tablespace(basebackup, result, row);
    }
    if (rc == 0 && roots != 1)
        rc = error_set(ERROR_CORRUPT, "PostgreSQL names %d data directories", roots);
    return rc;
}

/* The server counts for itself what it warns of page by page, up to five a file. */
static void
basebackup_notice(void *ctx, const PGresult *notice)
{
    struct basebackup *basebackup = ctx;
    const char *function = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
    const char *primary = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);

    if (function == NULL || primary == NULL || severity == NULL || strcmp(severity, "WARNING") != 0 ||
        strcmp(function, "perform_base_backup") != 0)
        return;
    primary += strcspn(primary, "0123456789"); /* "… total checksum verification failures", in whatever language */
    if (*primary != '\0')
        basebackup->told_pages = strtoll(primary, NULL, 10);
}

int
basebackup_begin(struct replication *replication, const struct basebackup_spec *spec,
                 struct basebackup **ret_basebackup)
{
    CLEANUP(basebackup_free) struct basebackup *basebackup = NULL;
    CLEANUP_BUF struct buf command = BUF_INIT(16 * 1024);
    int version = replication_server_version(replication), rc = begin_command(version, spec, &command);

    if (rc < 0)
        return rc;
    basebackup = mem_zalloc(sizeof *basebackup);
    basebackup->replication = replication;
    basebackup->one_copy = version >= ONE_COPY_SERVER;
    replication_on_notice(replication, basebackup_notice, basebackup);
    rc = replication_send(replication, command.data);
    if (rc == 0)
        rc = begin_start(basebackup);
    if (rc == 0)
        rc = begin_tablespaces(basebackup);
    if (rc == 0)
        *ret_basebackup = STEAL(basebackup);
    return rc;
}

void
basebackup_free(struct basebackup *basebackup)
{
    if (basebackup == NULL)
        return;
    replication_on_notice(basebackup->replication, NULL, NULL);
    for (size_t i = 0; i < basebackup->facts.len; i++) {
        free(basebackup->facts.tablespaces[i].oid);
        free(basebackup->facts.tablespaces[i].location);
    }
    free(basebackup->facts.tablespaces);
    replication_message_free(basebackup->message);
    free(basebackup);
}

const struct basebackup_facts *
basebackup_facts(const struct basebackup *basebackup)
{
    return &basebackup->facts;
}

/* ---- archives ---- */

/* NULL: the data directory. */
static const struct basebackup_tablespace *
find_tablespace(const struct basebackup *basebackup, const char *oid)
{
    for (size_t i = 0; i < basebackup->facts.len; i++) {
        const struct basebackup_tablespace *tablespace = &basebackup->facts.tablespaces[i];

        if (oid == NULL ? tablespace->oid == NULL : tablespace->oid != NULL && strcmp(tablespace->oid, oid) == 0)
            return tablespace;
    }
    return NULL;
}

static void
announce(struct basebackup *basebackup, const struct basebackup_tablespace *tablespace)
{
    basebackup->archive.kind = tablespace == NULL        ? BASEBACKUP_MANIFEST
                               : tablespace->oid == NULL ? BASEBACKUP_DATA
                                                         : BASEBACKUP_TABLESPACE;
    basebackup->archive.tablespace = tablespace;
    basebackup->announced = true;
}

/* 'n' name NUL location NUL: "base.tar" or "<oid>.tar", with the compression's suffix behind it. */
static int
announce_named(struct basebackup *basebackup, const char *name, size_t len)
{
    const struct basebackup_tablespace *tablespace;
    CLEANUP_FREE char *oid = mem_strndup(name, strcspn(name, "."));

    if (memchr(name, '\0', len) == NULL || strncmp(name + strlen(oid), ".tar", 4) != 0)
        return error_set(ERROR_CORRUPT, "PostgreSQL sent an archive without a name that means anything");
    tablespace = find_tablespace(basebackup, strcmp(oid, "base") == 0 ? NULL : oid);
    if (tablespace == NULL)
        return error_set(ERROR_CORRUPT, "PostgreSQL sent an archive '%s' that it had not told of", name);
    announce(basebackup, tablespace);
    return 0;
}

/* A message of the one COPY: data stays in `message`, an archive is announced. */
static int
take_message(struct basebackup *basebackup)
{
    const char *message = basebackup->message;

    switch (*message) {
    case 'd':
        basebackup->pos = 1;
        return basebackup->open ? 0 : error_set(ERROR_CORRUPT, "PostgreSQL sent bytes of no archive");
    case 'p': /* how far the server is; we count what comes */
        basebackup->pos = basebackup->len;
        return 0;
    case 'n':
        basebackup->pos = basebackup->len;
        return announce_named(basebackup, message + 1, basebackup->len - 1);
    case 'm':
        basebackup->pos = basebackup->len;
        announce(basebackup, NULL);
        return 0;
    default:
        return error_set(ERROR_CORRUPT, "PostgreSQL sent a message of its base backup that is none: kind 0x%02x",
                         (unsigned char)*message);
    }
}

/* The next message with something in it: 1; 0: the COPY has ended, or another archive is announced. */
static int
pull(struct basebackup *basebackup)
{
    while (!basebackup->announced && basebackup->pos == basebackup->len) {
        int rc;

        replication_message_free(STEAL(basebackup->message));
        basebackup->pos = basebackup->len = 0;
        rc = 0;
        if (basebackup->copying)
            rc = replication_copy(basebackup->replication, &basebackup->message, &basebackup->len);
        if (rc <= 0) {
            basebackup->copying = false;
            return rc;
        }
        rc = basebackup->one_copy ? take_message(basebackup) : 0;
        if (rc < 0)
            return rc;
    }
    return !basebackup->announced;
}

static int
begin_copy(struct basebackup *basebackup)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    int rc = replication_result(basebackup->replication, &result);

    if (rc == 0 && (result == NULL || PQresultStatus(result) != PGRES_COPY_OUT))
        rc = error_set(ERROR_CORRUPT, "PostgreSQL sends no archive where one was to come");
    basebackup->copying = rc == 0;
    return rc;
}

/* Where it stopped; then the end of the command, which is an error when pages were bad, though all is there. */
static int
end_backup(struct basebackup *basebackup)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    struct basebackup_facts *facts = &basebackup->facts;
    uint64_t timeline = 0;
    int rc = replication_result(basebackup->replication, &result);

    if (rc == 0 && (result == NULL || PQresultStatus(result) != PGRES_TUPLES_OK))
        rc = error_set(ERROR_CORRUPT, "PostgreSQL does not say where the base backup stops");
    if (rc == 0)
        rc = replication_field_lsn(result, 0, &facts->stop_lsn);
    if (rc == 0)
        rc = replication_field_number(result, 1, UINT32_MAX, &timeline);
    facts->stop_timeline = (uint32_t)timeline;
    while (rc == 0) {
        CLEANUP(pg_clear) PGresult *more = NULL;

        rc = replication_result(basebackup->replication, &more);
        if (rc == PGCASK_FAILED && strcmp(replication_sqlstate(basebackup->replication), DATA_CORRUPTED) == 0) {
            facts->bad_pages = basebackup->told_pages > 0 ? basebackup->told_pages : 1;
            error_clear();
            rc = 0;
        } else if (more == NULL)
            break;
    }
    basebackup->ended = rc == 0;
    return rc;
}

/* 13 and 14: one COPY for each, in the order in which the tablespaces were told, then the manifest. */
static int
next_of_many(struct basebackup *basebackup)
{
    struct basebackup_facts *facts = &basebackup->facts;
    int rc;

    if (basebackup->next > facts->len)
        return end_backup(basebackup);
    rc = begin_copy(basebackup);
    if (rc < 0)
        return rc;
    announce(basebackup, basebackup->next < facts->len ? &facts->tablespaces[basebackup->next] : NULL);
    basebackup->zeros = basebackup->next < facts->len ? TAR_END_BYTES : 0;
    basebackup->next++;
    return 0;
}

static int
next_of_one(struct basebackup *basebackup)
{
    int rc = 0;

    if (basebackup->next++ == 0)
        rc = begin_copy(basebackup);
    if (rc == 0)
        rc = pull(basebackup);
    if (rc > 0)
        return error_set(ERROR_CORRUPT, "PostgreSQL sent bytes of no archive");
    return rc < 0 || basebackup->announced ? rc : end_backup(basebackup);
}

int
basebackup_next(struct basebackup *basebackup, struct basebackup_archive *ret_archive)
{
    int rc;

    assert(!basebackup->open && !basebackup->ended);
    rc = basebackup->one_copy ? next_of_one(basebackup) : next_of_many(basebackup);
    if (rc < 0 || !basebackup->announced)
        return rc;
    basebackup->announced = false;
    basebackup->open = true;
    *ret_archive = basebackup->archive;
    return 1;
}

/* At the end of an archive. */
static size_t
read_zeros(struct basebackup *basebackup, void *data, size_t size)
{
    size_t len = basebackup->zeros < size ? basebackup->zeros : size;

    memset(data, 0, len);
    basebackup->zeros -= len;
    return len;
}

int
basebackup_read(void *ctx, void *data, size_t size, size_t *ret_len)
{
    struct basebackup *basebackup = ctx;
    size_t got = 0;

    while (basebackup->open && got < size) {
        size_t len;
        int rc = pull(basebackup);

        if (rc < 0)
            return rc;
        if (rc == 0) {
            got += read_zeros(basebackup, (char *)data + got, size - got);
            basebackup->open = got == size;
            break;
        }
        len = basebackup->len - basebackup->pos;
        len = len < size - got ? len : size - got;
        memcpy((char *)data + got, basebackup->message + basebackup->pos, len);
        basebackup->pos += len;
        got += len;
    }
    *ret_len = got;
    return 0;
}

int
basebackup_upload(struct replication *replication, int (*read)(void *ctx, void *data, size_t size, size_t *ret_len),
                  void *ctx)
{
    CLEANUP_FREE char *piece = mem_alloc(UPLOAD_PIECE_BYTES);
    size_t len = UPLOAD_PIECE_BYTES;
    CLEANUP(pg_clear) PGresult *begun = NULL;
    int rc = replication_server_version(replication) < INCREMENTAL_SERVER
                 ? error_set(PGCASK_UNSUPPORTED, "incremental backups need PostgreSQL 17 or later")
                 : replication_send(replication, "UPLOAD_MANIFEST");

    if (rc == 0)
        rc = replication_result(replication, &begun);
    if (rc == 0 && (begun == NULL || PQresultStatus(begun) != PGRES_COPY_IN))
        rc = error_set(ERROR_CORRUPT, "PostgreSQL does not take the manifest of the backup before");
    while (rc == 0 && len == UPLOAD_PIECE_BYTES) {
        rc = read(ctx, piece, UPLOAD_PIECE_BYTES, &len);
        if (rc == 0)
            rc = replication_copy_send(replication, piece, len);
    }
    if (rc == 0)
        rc = replication_copy_end(replication);
    while (rc == 0) {
        CLEANUP(pg_clear) PGresult *result = NULL;

        rc = replication_result(replication, &result);
        if (rc == 0 && result == NULL)
            break;
    }
    return rc;
}
