/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "catalog/label.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    TIME_LEN = 16,       /* 20261122T020000Z */
    JOB_LIMIT = 40,      /* as the config's section names */
    PART_LIMIT = 64,     /* bytes of one escaped part of a member's name */
    OBJECT_LIMIT = 240,  /* a file name may have 255 bytes nearly everywhere */
    SYSTEM_LIMIT = 20,   /* digits of 64 bits */
    WAL_GROUP_CHARS = 16, /* of a segment's name */
};

static const char job_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
static const char *const label_suffix[] = { [false] = ".zst", [true] = ".zst.age" };
static const char digest_bytes[] = "0123456789abcdef";

char *
label_id(int64_t start_s, const char *job)
{
    CLEANUP_FREE char *time = clock_compact(start_s);

    return mem_printf("%s-%s", time, job);
}

int
label_id_parse(const char *id, int64_t *ret_start_s, const char **ret_job)
{
    CLEANUP_FREE char *time = mem_strndup(id, strnlen(id, TIME_LEN));
    const char *job;
    int64_t start_s;

    if (strlen(id) <= TIME_LEN + 1 || id[TIME_LEN] != '-' || clock_parse_compact(time, &start_s) < 0)
        goto bad;
    job = id + TIME_LEN + 1;
    if (strlen(job) > JOB_LIMIT || job[strspn(job, job_bytes)] != '\0')
        goto bad;
    if (ret_start_s != NULL)
        *ret_start_s = start_s;
    if (ret_job != NULL)
        *ret_job = job;
    return 0;
bad:
    (void)error_set(ERROR_USAGE, "'%s' is not the id of a backup (wanted: one like 20261122T020000Z-daily)", id);
    return error_hint(ERROR_USAGE, "'pgcask list' shows the ids");
}

char *
label_backups(const char *cluster)
{
    return mem_printf("%s/backup/", cluster);
}

char *
label_backup(const char *cluster, const char *id)
{
    return mem_printf("%s/backup/%s/", cluster, id);
}

char *
label_object(const char *cluster, const char *id, const char *object)
{
    return mem_printf("%s/backup/%s/%s", cluster, id, object);
}

char *
label_verdict(const char *cluster, const char *id, int64_t when_s, bool good)
{
    CLEANUP_FREE char *time = clock_compact(when_s);

    return mem_printf("%s/backup/%s/verdict-%s-%s.json", cluster, id, time, good ? "good" : "bad");
}

char *
label_leases(const char *cluster)
{
    return mem_printf("%s/lease/", cluster);
}

char *
label_lease(const char *cluster, const char *host, int pid, const char *random)
{
    return mem_printf("%s/lease/%s-%d-%s.json", cluster, host, pid, random);
}

char *
label_checks(const char *cluster)
{
    return mem_printf("%s/check/", cluster);
}

char *
label_check(const char *cluster, const char *host, int pid, const char *random)
{
    return mem_printf("%s/check/%s-%d-%s", cluster, host, pid, random);
}

/* A member may be called so as well, after its database; but every member ends with .zst or .zst.age. */
static bool
label_is_verdict(const char *object)
{
    const char *dot = strrchr(object, '.');

    return strncmp(object, "verdict-", strlen("verdict-")) == 0 && dot != NULL && strcmp(dot, ".json") == 0;
}

static int
label_verdict_parse(const char *object, struct label_key *key)
{
    const char *rest = object + strlen("verdict-");
    CLEANUP_FREE char *time = mem_strndup(rest, strnlen(rest, TIME_LEN));

    if (clock_parse_compact(time, &key->verdict_s) < 0)
        return error_set(ERROR_CORRUPT, "'%s' is not the name of a verdict", object);
    key->good = strcmp(rest + TIME_LEN, "-good.json") == 0;
    if (!key->good && strcmp(rest + TIME_LEN, "-bad.json") != 0)
        return error_set(ERROR_CORRUPT, "'%s' is not the name of a verdict", object);
    key->verdict = true;
    return 0;
}

int
label_key_parse(const char *cluster, const char *key, struct label_key *ret_key)
{
    CLEANUP_FREE char *prefix = label_backups(cluster);
    CLEANUP_FREE char *id = NULL;
    struct label_key parsed = { 0 };
    const char *slash;
    int rc;

    if (strncmp(key, prefix, strlen(prefix)) != 0)
        return error_set(ERROR_CORRUPT, "'%s' is not below '%s'", key, prefix);
    slash = strchr(key + strlen(prefix), '/');
    if (slash == NULL)
        return error_set(ERROR_CORRUPT, "'%s' is not part of a backup", key);
    id = mem_strndup(key + strlen(prefix), (size_t)(slash - key) - strlen(prefix));
    parsed.object = slash + 1;
    if (label_id_parse(id, NULL, NULL) < 0)
        return error_context(ERROR_CORRUPT, "'%s'", key);
    rc = label_object_check(parsed.object);
    if (rc == 0 && label_is_verdict(parsed.object))
        rc = label_verdict_parse(parsed.object, &parsed);
    if (rc < 0)
        return rc;
    parsed.manifest = strcmp(parsed.object, LABEL_MANIFEST) == 0;
    parsed.id = STEAL(id);
    *ret_key = parsed;
    return 0;
}

char *
label_wals(const char *cluster)
{
    return mem_printf("%s/wal/", cluster);
}

char *
label_wal_cluster(const char *cluster, const char *system_identifier)
{
    return mem_printf("%s/wal/%s/", cluster, system_identifier);
}

char *
label_wal_group(const char *cluster, const char *system_identifier, const struct wal_name *name)
{
    CLEANUP_FREE char *file = wal_name_text(name);

    if (name->file == WAL_HISTORY)
        return label_wal_file(cluster, system_identifier, name);
    return mem_printf("%s/wal/%s/%08" PRIX32 "/%.*s/", cluster, system_identifier, name->timeline, WAL_GROUP_CHARS,
                      file);
}

char *
label_wal_file(const char *cluster, const char *system_identifier, const struct wal_name *name)
{
    CLEANUP_FREE char *file = wal_name_text(name), *group = NULL;

    if (name->file == WAL_HISTORY)
        return mem_printf("%s/wal/%s/%s-", cluster, system_identifier, file);
    group = label_wal_group(cluster, system_identifier, name);
    return mem_printf("%s%s-", group, file);
}

char *
label_wal(const char *cluster, const char *system_identifier, const struct wal_name *name, const char *digest,
          bool sealed)
{
    CLEANUP_FREE char *file = label_wal_file(cluster, system_identifier, name);

    return mem_printf("%s%s%s", file, digest, label_suffix[sealed]);
}

/* "<name>-<digest>.zst" */
static int
label_wal_parse_file(const char *text, struct label_wal *wal)
{
    const char *dash = strchr(text, '-'), *suffix;

    if (dash == NULL || strspn(dash + 1, digest_bytes) != LABEL_DIGEST_CHARS)
        return ERROR_CORRUPT;
    suffix = dash + 1 + LABEL_DIGEST_CHARS;
    wal->sealed = strcmp(suffix, label_suffix[true]) == 0;
    if (!wal->sealed && strcmp(suffix, label_suffix[false]) != 0)
        return ERROR_CORRUPT;
    memcpy(wal->digest, dash + 1, LABEL_DIGEST_CHARS);
    wal->file = mem_strndup(text, (size_t)(dash - text));
    return wal_name_parse(wal->file, &wal->name) < 0 ? ERROR_CORRUPT : 0;
}

static int
label_wal_parse_system(const char *text, struct label_wal *wal)
{
    size_t len = strspn(text, "0123456789");

    if (len == 0 || len > SYSTEM_LIMIT || *text == '0' || text[len] != '/')
        return ERROR_CORRUPT;
    wal->system_identifier = mem_strndup(text, len);
    return 0;
}

/* What the parts say is put together again: there is one key only for each of them. */
int
label_wal_parse(const char *cluster, const char *key, struct label_wal *ret_wal)
{
    CLEANUP_FREE char *prefix = label_wals(cluster), *again = NULL;
    CLEANUP_LABEL_WAL struct label_wal wal = { 0 };

    if (strncmp(key, prefix, strlen(prefix)) != 0)
        return error_set(ERROR_CORRUPT, "'%s' is not below '%s'", key, prefix);
    if (label_wal_parse_system(key + strlen(prefix), &wal) < 0 || label_wal_parse_file(strrchr(key, '/') + 1, &wal) < 0)
        return error_set(ERROR_CORRUPT, "'%s' is not a file of the write-ahead log", key);
    again = label_wal(cluster, wal.system_identifier, &wal.name, wal.digest, wal.sealed);
    if (strcmp(again, key) != 0)
        return error_set(ERROR_CORRUPT, "'%s' is not where that file of the write-ahead log belongs", key);
    *ret_wal = wal;
    wal = (struct label_wal){ 0 };
    return 0;
}

void
label_wal_free(struct label_wal *wal)
{
    free(wal->system_identifier);
    free(wal->file);
    *wal = (struct label_wal){ 0 };
}

void
cleanup_label_wal(struct label_wal *wal)
{
    label_wal_free(wal);
}

static void
label_escape(struct buf *name, const char *part)
{
    size_t start = name->len;

    for (const unsigned char *p = (const unsigned char *)part; *p != '\0' && name->len - start < PART_LIMIT; p++)
        if (isalnum(*p) || *p == '_' || *p == '-')
            (void)buf_addf(name, "%c", *p);
        else
            (void)buf_addf(name, "%%%02X", *p);
}

char *
label_member_name(struct strv *taken, const char *const *parts, const char *suffix)
{
    CLEANUP_BUF struct buf name = BUF_INIT(4096);
    CLEANUP_FREE char *full = NULL;

    for (size_t i = 0; parts[i] != NULL; i++) {
        if (i > 0)
            (void)buf_adds(&name, "."); /* three parts of PART_LIMIT + 3 bytes: far below the limit */
        label_escape(&name, parts[i]);
    }
    full = mem_printf("%s%s", name.data, suffix);
    for (unsigned number = 2; strv_has(taken, full); number++) {
        free(full);
        full = mem_printf("%s~%u%s", name.data, number, suffix);
    }
    strv_add(taken, full);
    return STEAL(full);
}

int
label_object_check(const char *object)
{
    size_t len = strlen(object);

    if (len == 0 || len > OBJECT_LIMIT || *object == '.')
        return error_set(ERROR_CORRUPT, "'%s' is not the name of an object of a backup", object);
    for (const unsigned char *p = (const unsigned char *)object; *p != '\0'; p++)
        if (!isalnum(*p) && strchr("_-.%~", *p) == NULL)
            return error_set(ERROR_CORRUPT, "'%s' is not the name of an object of a backup", object);
    return 0;
}
