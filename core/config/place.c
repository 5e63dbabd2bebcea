/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "config/place.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "paths.h"

char *
config_default_path(void)
{
    const char *chosen = getenv("PGCASK_CONFIG"), *home = getenv("HOME");

    if (chosen != NULL && *chosen != '\0')
        return mem_strdup(chosen);
    if (geteuid() != 0 && home != NULL && *home == '/') {
        CLEANUP_FREE char *own = mem_printf("%s/.config/pgcask/pgcask.ini", home);

        if (file_exists(own))
            return STEAL(own);
    }
    return mem_strdup(PGCASK_SYSCONFDIR "/pgcask/pgcask.ini");
}

int
config_check_owner(const struct ini *ini)
{
    if (ini->owner != 0 && ini->owner != geteuid()) {
        (void)error_set(ERROR_USAGE, "%s: this file belongs to user %u, not to this user (%u) or root", ini->path,
                        (unsigned)ini->owner, (unsigned)geteuid());
        return error_hint(ERROR_USAGE, "chown it to root or to the user pgcask runs as");
    }
    if ((ini->mode & 022) != 0) {
        (void)error_set(ERROR_USAGE, "%s: others can write this file (mode %04o, wanted 0600)", ini->path,
                        (unsigned)ini->mode);
        return error_hint(ERROR_USAGE, "chmod 600 '%s'", ini->path);
    }
    return 0;
}

int
config_state_dir(const char *config_path, const char *configured, char **ret_path)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (configured != NULL)
        *ret_path = mem_strdup(configured);
    else if (geteuid() == 0)
        *ret_path = mem_strdup("/var/lib/pgcask");
    else if (state != NULL && *state == '/')
        *ret_path = mem_printf("%s/pgcask", state);
    else if (home != NULL && *home == '/')
        *ret_path = mem_printf("%s/.local/state/pgcask", home);
    else {
        (void)error_set(ERROR_USAGE, "%s: there is no place for locks and caches: the environment has no HOME", config_path);
        return error_hint(ERROR_USAGE, "write state_dir = /a/directory into [pgcask]");
    }
    return 0;
}
