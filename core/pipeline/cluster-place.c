/* SPDX-License-Identifier: PostgreSQL
 *
 * Working out where everything goes, and who is to own it.
 */
#include "config.h"

#include "pipeline/cluster-place.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- paths ---- */

/* Absolute and without symbolic links; the last components need not exist. */
static int
plan_resolve(const char *path, char **ret_path, bool *ret_there)
{
    CLEANUP_FREE char *real = NULL, *copy = NULL, *parent = NULL;
    char *slash;
    bool there;
    int rc;

    real = realpath(path, NULL);
    *ret_there = real != NULL;
    if (real != NULL) {
        *ret_path = STEAL(real);
        return 0;
    }
    if (errno != ENOENT)
        return error_errno(ERROR_USAGE, "'%s' cannot be used", path);
    copy = mem_strdup(path);
    while ((slash = strrchr(copy, '/')) != NULL && slash != copy && slash[1] == '\0')
        *slash = '\0';
    slash = strrchr(copy, '/');
    if (slash == NULL || strcmp(slash + 1, ".") == 0 || strcmp(slash + 1, "..") == 0)
        return error_set(ERROR_USAGE, "'%s' is no directory that could be made", path);
    rc = plan_resolve(slash == copy ? "/" : (*slash = '\0', copy), &parent, &there);
    if (rc < 0)
        return rc;
    *ret_path = mem_printf("%s/%s", strcmp(parent, "/") == 0 ? "" : parent, slash + 1);
    return 0;
}

static int
plan_dir(struct cluster_place *place, const char *path, const struct manifest_tablespace *tablespace)
{
    struct place_dir *dir = &place->dirs[place->len];
    CLEANUP_FREE char *absolute = NULL, *cwd = NULL;
    int rc;

    if (path[0] != '/') {
        cwd = realpath(".", NULL);
        absolute = mem_printf("%s/%s", cwd != NULL ? cwd : "", path);
    } else
        absolute = mem_strdup(path);
    if (strpbrk(path, "\n\r") != NULL || path[0] == '\0')
        return error_set(ERROR_USAGE, "'%s' is no name for a directory", path);
    rc = plan_resolve(absolute, &dir->path, &dir->there);
    if (rc < 0)
        return rc;
    dir->tablespace = tablespace;
    dir->prefix = tablespace != NULL ? mem_printf("pg_tblspc/%s/", tablespace->oid) : mem_strdup("");
    dir->moved = tablespace != NULL && strcmp(tablespace->location, dir->path) != 0;
    dir->fd = -1;
    place->len++;
    return 0;
}

/* OID=DIR or OLD=NEW: is this mapping about that tablespace? Its DIR then, else NULL. */
static const char *
mapping_fits(const char *mapping, const struct manifest_tablespace *tablespace)
{
    const char *names[] = { tablespace->oid, tablespace->location };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t len = strlen(names[i]);

        if (strncmp(mapping, names[i], len) == 0 && mapping[len] == '=')
            return mapping + len + 1;
    }
    return NULL;
}

static int
plan_tablespace(struct cluster_place *place, const struct manifest_tablespace *tablespace, const struct strv *mappings,
                bool *used)
{
    CLEANUP_FREE char *link = mem_printf("%s/pg_tblspc/%s", place->dirs[0].path, tablespace->oid);
    CLEANUP_FREE char *leads = place->delta ? realpath(link, NULL) : NULL; /* where it is, it stays */
    const char *path = leads != NULL ? leads : tablespace->location;
    size_t fits = 0;
    int rc;

    for (size_t i = 0; mappings != NULL && i < mappings->len; i++) {
        const char *to = mapping_fits(mappings->items[i], tablespace);

        if (to == NULL)
            continue;
        used[i] = true;
        path = to;
        fits++;
    }
    if (fits > 1)
        return error_set(ERROR_USAGE, "tablespace %s (%s) is mapped %zu times", tablespace->oid, tablespace->location,
                         fits);
    rc = plan_dir(place, path, tablespace);
    return rc < 0 ? error_context(rc, "tablespace %s", tablespace->oid) : 0;
}

static int
plan_unused(const struct manifest_base *base, const char *mapping)
{
    CLEANUP_STRV struct strv known = { 0 };
    CLEANUP_FREE char *list = NULL;

    for (size_t i = 0; i < base->len; i++)
        strv_addf(&known, "%s (%s)", base->tablespaces[i].oid, base->tablespaces[i].location);
    list = strv_join(&known, ", ");
    (void)error_set(ERROR_USAGE, "the mapping '%s' is about no tablespace of this backup", mapping);
    return base->len > 0 ? error_hint(ERROR_USAGE, "OID=DIR or OLD=NEW for one of: %s", list)
                         : error_hint(ERROR_USAGE, "it has none: leave --tablespace away");
}

static int
plan_apart(const struct cluster_place *place)
{
    for (size_t i = 0; i < place->len; i++)
        for (size_t j = 0; j < place->len; j++)
            if (i != j && path_is_below(place->dirs[i].path, place->dirs[j].path)) {
                (void)error_set(ERROR_USAGE, "the directories '%s' and '%s' lie in each other", place->dirs[j].path,
                                place->dirs[i].path);
                return error_hint(ERROR_USAGE, "map tablespaces to directories of their own: --tablespace OID=DIR");
            }
    return 0;
}

/* ---- owner ---- */

static int
owner_named(struct cluster_place *place, const char *owner)
{
    CLEANUP_FREE char *user = mem_strndup(owner, strcspn(owner, ":"));
    const char *group = owner[strlen(user)] == ':' ? owner + strlen(user) + 1 : NULL;
    const struct passwd *passwd = getpwnam(user);
    const struct group *entry = group != NULL ? getgrnam(group) : NULL;

    if (passwd == NULL)
        return error_set(ERROR_USAGE, "there is no user '%s'", user);
    if (group != NULL && entry == NULL)
        return error_set(ERROR_USAGE, "there is no group '%s'", group);
    place->uid = passwd->pw_uid;
    place->gid = entry != NULL ? entry->gr_gid : passwd->pw_gid;
    place->chown = place->uid != geteuid() || place->gid != getegid();
    return 0;
}

/* PostgreSQL does not run as root: what root restores goes to whom the directory belongs to, or the one that it is in. */
static int
owner_found(struct cluster_place *place)
{
    CLEANUP_FREE char *path = mem_strdup(place->dirs[0].path);
    struct stat status;
    char *slash;

    place->uid = geteuid();
    place->gid = getegid();
    if (place->uid != 0)
        return 0;
    while (stat(path, &status) < 0 && (slash = strrchr(path, '/')) != NULL && slash != path)
        *slash = '\0';
    if (stat(path, &status) < 0 || status.st_uid == 0) {
        (void)error_set(ERROR_USAGE, "the files would belong to root, as whom PostgreSQL does not run");
        return error_hint(ERROR_USAGE, "name whose they are to be: --owner postgres");
    }
    place->uid = status.st_uid;
    place->gid = status.st_gid;
    place->chown = true;
    return 0;
}

int
place_plan(const struct manifest *manifest, const char *data_dir, const struct strv *mappings, const char *owner,
           bool delta, struct cluster_place *ret_place)
{
    const struct manifest_base *base = manifest->base;
    CLEANUP_PLACE struct cluster_place place = { .delta = delta, .replace = delta, .major = manifest->server_version / 10000 };
    CLEANUP_FREE bool *used = mem_zalloc((mappings != NULL ? mappings->len : 0) + 1);
    int rc;

    place.dirs = mem_zalloc((base->len + 1) * sizeof *place.dirs);
    rc = plan_dir(&place, data_dir, NULL);
    for (size_t i = 0; rc == 0 && i < base->len; i++)
        rc = plan_tablespace(&place, &base->tablespaces[i], mappings, used);
    for (size_t i = 0; rc == 0 && mappings != NULL && i < mappings->len; i++)
        if (!used[i])
            rc = plan_unused(base, mappings->items[i]);
    if (rc == 0)
        rc = plan_apart(&place);
    if (rc == 0)
        rc = owner != NULL ? owner_named(&place, owner) : owner_found(&place);
    if (rc < 0)
        return rc;
    *ret_place = place;
    place = (struct cluster_place){ 0 };
    return 0;
}

void
place_free(struct cluster_place *place)
{
    for (size_t i = 0; i < place->len; i++) {
        free(place->dirs[i].path);
        free(place->dirs[i].prefix);
        cleanup_close(&place->dirs[i].fd);
    }
    free(place->dirs);
    *place = (struct cluster_place){ 0 };
}

void
cleanup_place(struct cluster_place *place)
{
    place_free(place);
}

struct place_dir *
place_of(const struct cluster_place *place, const char *path, const char **ret_name)
{
    for (size_t i = 1; i < place->len; i++) {
        size_t len = strlen(place->dirs[i].prefix);

        if (strncmp(path, place->dirs[i].prefix, len) == 0) {
            *ret_name = path + len;
            return &place->dirs[i];
        }
    }
    *ret_name = path;
    return &place->dirs[0];
}
