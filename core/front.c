/* SPDX-License-Identifier: PostgreSQL
 *
 * The `pgcask` that people and PostgreSQL call. PostgreSQL calls `wal push` for each segment and waits for it: when that
 * one was sent ahead, a local record says so and this small program is all that runs. It loads neither libpq nor
 * libcrypto, and hands everything else, and every doubt, to the program itself in the libexec directory.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/program.h"
#include "config/place.h"
#include "paths.h"
#include "pipeline/segment-record.h"

enum { FRONT_EXIT_MISSING = 126 /* not 1: to PostgreSQL that could mean the end of an archive */ };

/* What a plain `pgcask [-c FILE] wal push [--cluster NAME] PATH` says. */
struct front {
    const char *config, *cluster, *path;
};

/* The value of option `name` (or `letter`) at argv[*i], which moves on to its last word; NULL: it is another one. */
static const char *
front_option(char **argv, int *i, const char *name, const char *letter)
{
    size_t len = strlen(name);

    if (strncmp(argv[*i], name, len) == 0 && argv[*i][len] == '=')
        return argv[*i] + len + 1;
    if (strcmp(argv[*i], name) != 0 && strcmp(argv[*i], letter) != 0)
        return NULL;
    return argv[*i + 1] != NULL ? argv[++*i] : NULL;
}

/* false: something that this program does not know. */
static bool
front_parse(char **argv, struct front *front)
{
    const char *words[3];
    size_t count = 0;

    for (int i = 1; argv[i] != NULL; i++) {
        const char *value = front_option(argv, &i, "--config", "-c");

        if (value != NULL) {
            front->config = value;
            continue;
        }
        value = count > 0 ? front_option(argv, &i, "--cluster", "--cluster") : NULL;
        if (value != NULL) {
            front->cluster = value;
            continue;
        }
        if (*argv[i] == '-' || count == ARRAY_LEN(words))
            return false;
        words[count++] = argv[i];
    }
    if (count != ARRAY_LEN(words) || strcmp(words[0], "wal") != 0 || strcmp(words[1], "push") != 0)
        return false;
    front->path = words[2];
    return true;
}

/* The only one of the config; NULL: it has none or several. */
static const char *
front_cluster(const struct ini *ini)
{
    const char *name = NULL;

    for (size_t i = 0; i < ini->len; i++) {
        if (strcmp(ini->sections[i].kind, "cluster") != 0)
            continue;
        if (name != NULL)
            return NULL;
        name = ini->sections[i].name;
    }
    return name;
}

static bool
front_was_sent(const struct front *front)
{
    CLEANUP_FREE char *path = front->config ? mem_strdup(front->config) : config_default_path(), *state_dir = NULL;
    CLEANUP(ini_free) struct ini *ini = NULL;
    const struct ini_section *main;
    const struct ini_entry *entry = NULL;
    const char *cluster = front->cluster;

    if (ini_load(path, &ini) < 0 || config_check_owner(ini) < 0)
        return false;
    main = ini_section(ini, "pgcask", "");
    if (main != NULL)
        entry = ini_entry(main, "state_dir");
    if (entry != NULL && *entry->value != '/')
        return false; /* begins with '~', or is wrong */
    if (config_state_dir(path, entry ? entry->value : NULL, &state_dir) < 0)
        return false;
    if (cluster == NULL)
        cluster = front_cluster(ini);
    return cluster != NULL && ini_section(ini, "cluster", cluster) != NULL &&
           segment_record_take(state_dir, cluster, path, front->path);
}

/* The program itself: where it was installed, or below the same directory as this one when a package was unpacked there. Owned
 * by the caller. */
static char *
front_program(void)
{
    CLEANUP_FREE char *self = NULL;
    size_t tail = strlen(PGCASK_BIN_DIR "/pgcask");
    size_t len = program_path(&self) < 0 ? 0 : strlen(self);

    if (len < tail || strcmp(self + len - tail, PGCASK_BIN_DIR "/pgcask") != 0)
        len = tail;
    return mem_printf("%.*s" PGCASK_LIBEXEC_DIR "/pgcask", (int)(len - tail), self ? self : "");
}

int
main(int argc, char **argv)
{
    const struct rlimit none = { 0, 0 };
    struct front front = { 0 };
    CLEANUP_FREE char *program = NULL;

    (void)argc;
    (void)setrlimit(RLIMIT_CORE, &none); /* the config may hold secrets */
    (void)umask(077);
    if (front_parse(argv, &front) && front_was_sent(&front))
        return 0;
    program = front_program();
    (void)execv(program, argv);
    (void)fprintf(stderr, "ERROR: could not run '%s': %m\n", program);
    return FRONT_EXIT_MISSING;
}
