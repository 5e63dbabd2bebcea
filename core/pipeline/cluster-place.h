/* SPDX-License-Identifier: PostgreSQL
 *
 * The directories that a base backup is brought back into: the data directory and one for each tablespace, how they are
 * checked, marked as incomplete, written to and finished. Nothing is ever written outside of them. For restore-cluster*.c.
 */
#ifndef PGCASK_PIPELINE_CLUSTER_PLACE_H
#define PGCASK_PIPELINE_CLUSTER_PLACE_H

#include "catalog/manifest.h"
#include "pg/backup-files.h"

#include <stdbool.h>
#include <sys/types.h>

#define PLACE_MARKER "pgcask.incomplete"
enum { PLACE_CONTROL_LIMIT_BYTES = 64 * 1024 };

struct place_dir {
    const struct manifest_tablespace *tablespace; /* NULL: the data directory */
    char *path;      /* absolute, without symbolic links */
    char *prefix;    /* of its files in the backup_manifest: "" or "pg_tblspc/16385/" */
    bool there;      /* it was, when we came */
    bool moved;      /* not where the backup had it */
    int fd;          /* once begun; else -1 */
};

struct cluster_place {
    struct place_dir *dirs; /* the data directory is the first */
    size_t len;
    bool delta;
    bool replace;           /* what has the name of a new file is removed: with delta, and for increments */
    bool chown;             /* files are to belong to: */
    uid_t uid;
    gid_t gid;
    unsigned group_mode;    /* bits for the group that the backup's files have: 0 or 040, directories 050 */
    int major;              /* of the server: names the directories in tablespaces */
};

/* Work out all paths. ERROR_USAGE for a mapping that fits nothing, and directories that lie in each other. */
int place_plan(const struct manifest *manifest, const char *data_dir, const struct strv *mappings, const char *owner,
               bool delta, struct cluster_place *ret_place);
void place_free(struct cluster_place *place);
void cleanup_place(struct cluster_place *place);
#define CLEANUP_PLACE __attribute__((cleanup(cleanup_place)))

/* May they be used? Empty or not there; with delta: a stopped server's, of this system, or an unfinished restore. Nothing is
 * changed. ERROR_USAGE with the cure. */
int place_check(const struct cluster_place *place, const struct manifest *manifest);
/* Is there room for all these files? With delta what is there is counted in, for the first of the lists. */
int place_check_room(const struct cluster_place *place, const struct backup_files *const *files, size_t count);

/* Make what is not there, open all, put the marker; with delta take pg_control away first. */
int place_begin(struct cluster_place *place, const struct manifest *manifest);
/* Which directory a path of the backup_manifest is in, and what it is called there. */
struct place_dir *place_of(const struct cluster_place *place, const char *path, const char **ret_name);
/* Replace a small file in the data directory. */
int place_put(const struct cluster_place *place, const char *name, const void *data, size_t len);
/* Does place_finish learn of all that could not be written? Else each file has to be synced: Linux before 5.8. */
bool place_sync_tells(void);
/* A link for each tablespace; what is there under these names is removed. */
int place_link(const struct cluster_place *place);
/* Everything to the disk, away with the marker, and pg_control as the very last. */
int place_finish(const struct cluster_place *place, const void *control, size_t len);

/* ---- one directory below one of them, open ---- */

struct place_at {
    const struct place_dir *dir;
    char *path; /* in dir; NULL: none is open */
    int fd;
};
#define PLACE_AT_INIT { .fd = -1 }
/* Open the directory that holds `name` and return what is behind its last '/'. No symbolic link is followed on the way, but that
 * of a pg_wal that was there. With `make` missing directories are made. PGCASK_NOT_FOUND when there is none. */
int place_enter(const struct cluster_place *place, struct place_at *at, const struct place_dir *dir, const char *name,
                bool make, const char **ret_base);
void place_leave(struct place_at *at);
void cleanup_place_at(struct place_at *at);
#define CLEANUP_PLACE_AT __attribute__((cleanup(cleanup_place_at)))
/* A new file there, in the place of what has that name. */
int place_create(const struct cluster_place *place, const struct place_at *at, const char *base, int *ret_fd);
int place_mkdir(const struct cluster_place *place, const struct place_at *at, const char *base);

#endif
