/* SPDX-License-Identifier: PostgreSQL
 *
 * Where the config is, whom it may belong to, and where pgcask keeps its state. Apart from the other settings because
 * core/front.c, which has to be quick, needs no more than this.
 */
#ifndef PGCASK_CONFIG_PLACE_H
#define PGCASK_CONFIG_PLACE_H

#include "config/ini.h"

/* $PGCASK_CONFIG, else ~/.config/pgcask/pgcask.ini when it exists and we are not root, else SYSCONFDIR/pgcask/pgcask.ini.
 * Owned by the caller. */
char *config_default_path(void);
/* Who can write the file can have pgcask run programs: ERROR_USAGE when that is anybody but this user and root. */
int config_check_owner(const struct ini *ini);
/* `configured`: state_dir of [pgcask], or NULL: /var/lib/pgcask for root, else $XDG_STATE_HOME/pgcask or
 * ~/.local/state/pgcask. ERROR_USAGE without a HOME. */
int config_state_dir(const char *config_path, const char *configured, char **ret_path);

#endif
