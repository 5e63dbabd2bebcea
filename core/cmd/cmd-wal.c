/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask wal push | fetch | …: what has to do with the write-ahead log.
 */
#include "config.h"

#include "cmd/cmd-wal.h"

#include "base/error.h"
#include "base/parse.h"

#include <string.h>

/* Of all actions: who adds one says in front whose it is, when it is not for all. */
static const struct cmd_option options[] = {
    { "cluster", 0, "NAME", "of this cluster (needed when the config has several)" },
    { "system-identifier", 0, "NUMBER", "push, fetch: where no data directory tells it; status: of this history" },
    { "store", 0, "NAME", "fetch, status, search: from this store only" },
    { "no-ahead", 0, NULL, "push, fetch: this one file and no other" },
    { "stock", 0, "DIR", "fetch: only what follows, into this directory (how fetch starts itself)" },
    { "json", 0, NULL, "status, search: as JSON" },
    { "offline", 0, NULL, "status: do not ask the server" },
    { "max-lag", 0, "DURATION", "status: longest time until a segment is in every required store (default: 5min)" },
    { "apply", 0, NULL, "setup: set what is to be set, and have the server read it" },
    { "receive", 0, NULL, "setup: for 'pgcask wal receive' instead of archive_command" },
    { "replace", 0, NULL, "setup: also end what another program archives" },
    { "create-slot", 0, NULL, "receive: make the replication slot that the config names, and end" },
    { "drop-slot", 0, NULL, "receive: drop that slot, and end" },
    { "accept-gap", 0, NULL, "receive: where WAL has gone, begin behind the gap" },
    { "table", 0, "TABLE", "search: what was done to it" },
    { "database", 0, "NAME", "search: where it is (default: the one in conninfo)" },
    { "oid", 0, "OID", "search: of the table, when it is no more" },
    { "database-oid", 0, "OID", "search: of its database, when the server does not answer" },
    { "from", 0, "WHEN", "search: from a time, an LSN, or so long ago (default: 24h)" },
    { "to", 0, "WHEN", "search: up to a time or an LSN" },
    { "min-rows", 0, "COUNT", "search: tell of a transaction that deleted or updated so many (default: 100)" },
    { "timeline", 0, "NUMBER", "search: the WAL of this timeline and those it comes from (default: the newest)" },
    { "wal-dir", 0, "DIR", "search: also look through the segments in it that no store has" },
    { "bindir", 0, "DIR", "search: where pg_waldump is" },
    { NULL, 0, NULL, NULL },
};

static const struct wal_action actions[] = {
    { "push", "push PATH [--cluster NAME] [--system-identifier NUMBER] [--no-ahead]",
      "cluster system-identifier no-ahead", cmd_wal_push },
    { "fetch", "fetch NAME DEST [--cluster NAME] [--system-identifier NUMBER] [--store NAME] [--no-ahead]",
      "cluster system-identifier store no-ahead stock", cmd_wal_fetch },
    { "status", "status [--cluster NAME] [--store NAME] [--system-identifier NUMBER] [--offline] [--max-lag DURATION] [--json]",
      "cluster store system-identifier offline max-lag json", cmd_wal_status },
    { "receive", "receive [--cluster NAME] [--create-slot | --drop-slot | --accept-gap]",
      "cluster create-slot drop-slot accept-gap", cmd_wal_receive },
    { "search", "search --table TABLE [--database NAME] [--from WHEN] [--to WHEN] [--min-rows COUNT] [--oid OID] [--json]",
      "cluster store table database oid database-oid from to min-rows timeline wal-dir bindir json", cmd_wal_search },
    { "setup", "setup [--cluster NAME] [--receive] [--apply [--replace]]", "cluster receive apply replace", cmd_wal_setup },
};

static int
wal_unknown(const char *word)
{
    const char *names[ARRAY_LEN(actions)], *nearest;

    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        names[i] = actions[i].word;
    nearest = parse_nearest(word, names, ARRAY_LEN(actions));
    (void)error_set(ERROR_USAGE, "there is no 'pgcask wal %s'", word);
    return nearest != NULL ? error_hint(ERROR_USAGE, "did you mean 'pgcask wal %s'?", nearest)
                           : error_hint(ERROR_USAGE, "'pgcask wal --help' lists the actions");
}

static int
wal_check_options(const struct cmd_args *args, const struct wal_action *action)
{
    CLEANUP_STRV struct strv taken = { 0 };

    strv_split(&taken, action->options, " ");
    for (const struct cmd_option *option = options; option->name != NULL; option++)
        if (cmd_flag(args, option->name) && !strv_has(&taken, option->name)) {
            (void)error_set(ERROR_USAGE, "'pgcask wal %s' has no option '--%s'", action->word, option->name);
            return error_hint(ERROR_USAGE, "usage: pgcask wal %s", action->usage);
        }
    return 0;
}

/* Messages about its words name the action, too. */
static int
wal_run_action(const struct cmd_args *args, const struct wal_action *action)
{
    CLEANUP_FREE char *name = mem_printf("wal %s", action->word), *usage = mem_printf("wal %s", action->usage);
    struct cmd named = *args->cmd;
    struct cmd_args own = *args;
    int rc = wal_check_options(args, action);

    named.name = name;
    named.usage = usage;
    own.cmd = &named;
    own.words++;
    own.word_count--;
    return rc < 0 ? rc : action->run(&own);
}

static int
wal_run(struct cmd_args *args)
{
    for (size_t i = 0; args->word_count > 0 && i < ARRAY_LEN(actions); i++)
        if (strcmp(args->words[0], actions[i].word) == 0)
            return wal_run_action(args, &actions[i]);
    if (args->word_count > 0)
        return wal_unknown(args->words[0]);
    (void)error_set(ERROR_USAGE, "what about the write-ahead log?");
    return error_hint(ERROR_USAGE, "'pgcask wal --help' lists the actions");
}

/* For PostgreSQL a restore_command that ends with 1 to 125 says that the archive ends here: recovery would be over. Even
 * a command line that cannot be read must not say that. */
static int
wal_exit_code(const char *const *argv, int code)
{
    for (; *argv != NULL; argv++)
        if (strcmp(*argv, "fetch") == 0)
            return CMD_WAL_TROUBLE;
    return code;
}

const struct cmd cmd_wal = {
    .name = "wal",
    .usage = "wal push PATH | wal fetch NAME DEST | wal receive | wal status | wal setup | wal search",
    .summary = "Archive the write-ahead log and fetch it again",
    .options = options,
    .run = wal_run,
    .exit_code = wal_exit_code,
};
