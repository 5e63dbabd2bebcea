/* SPDX-License-Identifier: PostgreSQL
 *
 * Leases: which backups are being written right now, said in the store itself,
 * so that no other run, on this host or another, takes their objects for rubbish.
 * Also the broom for what runs that died left behind. Declared in stores.h.
 */
#include "config.h"

#include "pipeline/stores.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "catalog/catalog.h"
#include "catalog/label.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LEASE_LIMIT_BYTES = 64 * 1024,
    SWEEP_AGE_S = 24 * 3600,         /* of uploads that nobody wrote to */
    FOREIGN_LEASE_AGE_S = 7 * 86400, /* another host's word counts this long */
};

/* Who we are, so exactly that a lease can be told to be dead: machine, host, boot, pid namespace, pid, its start. */
struct lease_owner {
    char *machine, *host, *boot, *space, *start;
    int pid;
};

static char *
owner_file(const char *path)
{
    struct buf text = BUF_INIT(4096);

    if (file_read(path, &text) < 0) {
        error_clear();
        buf_free(&text);
        return mem_strdup("");
    }
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    return buf_take(&text);
}

/* Field 22 of /proc/PID/stat, "" when there is no such process. The name in field 2 may hold anything but ends with ')'. */
static char *
owner_start(int pid)
{
    CLEANUP_FREE char *path = mem_printf("/proc/%d/stat", pid);
    CLEANUP_FREE char *stat = owner_file(path);
    CLEANUP_STRV struct strv fields = { 0 };
    const char *behind = strrchr(stat, ')');

    if (behind != NULL)
        strv_split(&fields, behind + 1, " ");
    return mem_strdup(fields.len > 19 ? fields.items[19] : "");
}

static struct lease_owner
owner_self(void)
{
    struct lease_owner owner = { .pid = (int)getpid() };
    char host[256] = "", space[64] = "";

    (void)gethostname(host, sizeof host - 1);
    (void)!readlink("/proc/self/ns/pid", space, sizeof space - 1); /* "" where there is none: then all are one */
    for (char *p = host; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && *p != '.' && *p != '-')
            *p = '_'; /* it becomes part of a key */
    owner.host = mem_strdup(*host ? host : "localhost");
    owner.space = mem_strdup(space);
    owner.machine = owner_file("/etc/machine-id");
    owner.boot = owner_file("/proc/sys/kernel/random/boot_id");
    owner.start = owner_start(owner.pid);
    return owner;
}

static void
owner_free(struct lease_owner *owner)
{
    free(owner->machine);
    free(owner->host);
    free(owner->boot);
    free(owner->space);
    free(owner->start);
}

static char *
lease_text(const struct lease_owner *owner, const char *id)
{
    CLEANUP_JSON json_t *row = json_object();
    CLEANUP_FREE char *time = clock_iso(clock_now_s());

    (void)json_object_set_new(row, "backup", json_text(id));
    (void)json_object_set_new(row, "begun", json_text(time));
    (void)json_object_set_new(row, "machine", json_text(owner->machine));
    (void)json_object_set_new(row, "host", json_text(owner->host));
    (void)json_object_set_new(row, "boot", json_text(owner->boot));
    (void)json_object_set_new(row, "space", json_text(owner->space));
    (void)json_object_set_new(row, "pid", json_integer(owner->pid));
    (void)json_object_set_new(row, "start", json_text(owner->start));
    return json_pretty(row);
}

static int
lease_random(char **ret_hex)
{
    unsigned char raw[8];

    if (RAND_bytes(raw, sizeof raw) != 1)
        return error_set(PGCASK_FAILED, "libcrypto has no random bytes");
    *ret_hex = format_hex(raw, sizeof raw);
    return 0;
}

int
stores_lease(const char *cluster, const char *id, char **ret_key, char **ret_text)
{
    struct lease_owner owner;
    CLEANUP_FREE char *random = NULL;
    int rc = lease_random(&random);

    if (rc < 0)
        return rc;
    owner = owner_self();
    *ret_key = label_lease(cluster, owner.host, owner.pid, random);
    *ret_text = lease_text(&owner, id);
    owner_free(&owner);
    return 0;
}

int
stores_check_key(const char *cluster, char **ret_key)
{
    struct lease_owner owner;
    CLEANUP_FREE char *random = NULL;
    int rc = lease_random(&random);

    if (rc < 0)
        return rc;
    owner = owner_self();
    *ret_key = label_check(cluster, owner.host, owner.pid, random);
    owner_free(&owner);
    return 0;
}

/* ---- the broom ---- */

static bool
lease_says(const json_t *row, const char *key, const char *ours)
{
    const char *theirs = json_string_value(json_object_get(row, key));

    return theirs != NULL && strcmp(theirs, ours) == 0;
}

/* Nobody's word counts longer. */
static bool
lease_expired(int64_t mtime_s)
{
    return mtime_s > 0 && mtime_s < clock_now_s() - FOREIGN_LEASE_AGE_S;
}

/* Is the run of this lease certainly over? */
static bool
lease_dead(const json_t *row, int64_t mtime_s)
{
    struct lease_owner self = owner_self();
    bool here = lease_says(row, "host", self.host);
    bool same_boot = lease_says(row, "boot", self.boot) && lease_says(row, "space", self.space);
    json_int_t pid = json_integer_value(json_object_get(row, "pid"));
    bool dead;

    if (here && same_boot) {
        CLEANUP_FREE char *start = owner_start((int)pid);

        if (*start == '\0') /* not there, or hidden from us */
            dead = pid <= 0 || (kill((pid_t)pid, 0) < 0 && errno == ESRCH);
        else
            dead = !lease_says(row, "start", start);
    } else if (here && *self.machine != '\0' && lease_says(row, "machine", self.machine) &&
               !lease_says(row, "boot", self.boot))
        dead = true; /* this machine was started anew since */
    else
        dead = lease_expired(mtime_s);
    owner_free(&self);
    return dead;
}

static int
lease_read(struct storage *storage, const struct storage_object *object, json_t **ret_row, const char **ret_id)
{
    CLEANUP_BUF struct buf text = BUF_INIT(LEASE_LIMIT_BYTES);
    CLEANUP_JSON json_t *row = NULL;
    const char *key = object->key;
    int rc = 0;

    if (object->size > LEASE_LIMIT_BYTES)
        rc = error_set(ERROR_CORRUPT, "'%s' has %" PRIu64 " bytes, a lease has at most %d", key, object->size,
                       LEASE_LIMIT_BYTES);
    if (rc == 0)
        rc = storage_get_object(storage, key, &text);
    if (rc == 0)
        rc = json_read(key, text.data, text.len, &row);
    if (rc == 0)
        rc = json_need_string(row, "backup", ret_id);
    if (rc == 0)
        *ret_row = STEAL(row);
    return rc;
}

/* Ids under a living lease go to `living`, those of dead leases, which are removed, to `dead`. An error: the leases could
 * not be read, so nothing may be swept. */
static int
sweep_leases(struct storage *storage, const char *cluster, struct strv *living, struct strv *dead)
{
    CLEANUP_FREE char *prefix = label_leases(cluster);
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    int rc = storage_list(storage, prefix, &list);

    for (size_t i = 0; rc == 0 && i < list.len; i++) {
        CLEANUP_JSON json_t *row = NULL;
        const char *id;

        rc = lease_read(storage, &list.objects[i], &row, &id);
        if (rc == PGCASK_NOT_FOUND) { /* its run just ended */
            rc = 0;
            continue;
        }
        if (rc == ERROR_CORRUPT && lease_expired(list.objects[i].mtime_s)) {
            log_slot_warn("removing what is no lease");
            if (storage_remove(storage, list.objects[i].key) < 0)
                log_slot_warn("it stays");
            rc = 0;
            continue;
        }
        if (rc < 0)
            break;
        if (!lease_dead(row, list.objects[i].mtime_s)) {
            strv_add(living, id);
            continue;
        }
        strv_add(dead, id);
        if (storage_remove(storage, list.objects[i].key) < 0)
            log_slot_warn("a dead lease stays");
    }
    return rc;
}

int
stores_rival(struct storage *storage, const char *cluster, const char *id, const char *own_key, bool *ret_rival)
{
    CLEANUP_FREE char *prefix = label_leases(cluster);
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    bool rival = false;
    int rc = storage_list(storage, prefix, &list);

    for (size_t i = 0; rc == 0 && i < list.len; i++) {
        CLEANUP_JSON json_t *row = NULL;
        const char *theirs;

        if (strcmp(list.objects[i].key, own_key) == 0)
            continue;
        rc = lease_read(storage, &list.objects[i], &row, &theirs);
        if (rc == 0)
            rival |= strcmp(theirs, id) == 0 && !lease_dead(row, list.objects[i].mtime_s);
        else if (rc == PGCASK_NOT_FOUND || rc == ERROR_CORRUPT)
            rc = 0; /* its run just ended; or it is no lease: those are never seen half written */
    }
    if (rc == 0)
        *ret_rival = rival;
    return rc;
}

void
stores_discard(struct storage *storage, const char *cluster, const char *id)
{
    CLEANUP_FREE char *prefix = label_backup(cluster, id);
    CLEANUP_FREE char *manifest = label_object(cluster, id, LABEL_MANIFEST);
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    CLEANUP_STRV struct strv rest = { 0 };
    int rc = storage_list(storage, prefix, &list);

    for (size_t i = 0; rc == 0 && i < list.len; i++)
        if (strcmp(list.objects[i].key, manifest) == 0)
            rc = storage_remove(storage, manifest);
        else
            strv_add(&rest, list.objects[i].key);
    if (rc == 0)
        rc = storage_remove_many(storage, &rest);
    if (rc < 0)
        log_slot_warn("objects of the unfinished backup stay until the next run sweeps them");
}

/* 1: it was finished once, for it has a verdict, and its manifest got lost: what is left may still be healed. */
static int
sweep_was_finished(struct storage *storage, const char *cluster, const char *id)
{
    CLEANUP_FREE char *prefix = label_backup(cluster, id), *verdicts = mem_printf("%sverdict-", prefix);
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };

    int rc = storage_list(storage, verdicts, &list);

    return rc < 0 ? rc : list.len > 0;
}

/* Nobody has written to it for a day: not a run without a lease that we can see, nor a copy on its way here. */
static bool
sweep_is_old(struct storage *storage, const char *cluster, const char *id)
{
    CLEANUP_FREE char *prefix = label_backup(cluster, id);
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    bool old = storage_list(storage, prefix, &list) == 0;

    for (size_t i = 0; i < list.len; i++)
        old &= list.objects[i].mtime_s > 0 && list.objects[i].mtime_s < clock_now_s() - SWEEP_AGE_S;
    return old;
}

/* First the backups are listed, then the leases: a lease outlives the commit of its manifest, so a backup that is seen
 * without both was never finished, unless it was committed in between; hence the second look at its manifest. */
static void
sweep_backup(struct storage *storage, const char *cluster, const char *id, bool died)
{
    CLEANUP_FREE char *manifest = label_object(cluster, id, LABEL_MANIFEST);
    uint64_t size;
    int64_t mtime_s;
    int finished;

    if (!died && !sweep_is_old(storage, cluster, id))
        return;
    if (storage_stat(storage, manifest, &size, &mtime_s) != PGCASK_NOT_FOUND)
        return;
    error_clear();
    finished = sweep_was_finished(storage, cluster, id);
    if (finished < 0)
        log_slot_warn("it is not swept");
    if (finished > 0)
        log_warn("store '%s': backup '%s' was finished once, but its manifest is missing: it cannot be used, and is not swept",
                 storage_name(storage), id);
    if (finished != 0)
        return;
    log_info("store '%s': sweeping the unfinished backup '%s'", storage_name(storage), id);
    stores_discard(storage, cluster, id);
}

void
stores_sweep(struct storage *storage, const char *cluster)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    CLEANUP_STRV struct strv living = { 0 }, dead = { 0 };
    struct storage *const one[] = { storage };
    uint64_t swept = 0;
    int rc;

    if (storage_sweep(storage, clock_now_s() - SWEEP_AGE_S, &swept) < 0)
        log_slot_warn("left-over uploads stay");
    else if (swept > 0)
        log_info("store '%s': %llu left-over uploads swept", storage_name(storage), (unsigned long long)swept);
    rc = catalog_load(one, 1, cluster, NULL, &catalog);
    if (rc == 0)
        rc = sweep_leases(storage, cluster, &living, &dead);
    if (rc < 0) {
        log_slot_warn("nothing is swept there");
        return;
    }
    for (size_t i = 0; i < catalog->len; i++) {
        const char *id = catalog->backups[i].id;

        if (!catalog_exists(&catalog->backups[i]) && !strv_has(&living, id))
            sweep_backup(storage, cluster, id, strv_has(&dead, id));
    }
}
