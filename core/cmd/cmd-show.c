/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask show ID: all that is known of one backup.
 */
#include "config.h"

#include "cmd/cmd.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "pg/wal-name.h"
#include "pipeline/repo.h"
#include "pipeline/thaw.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct cmd_option options[] = {
    { "cluster", 0, "NAME", "of this cluster (needed when the config has several)" },
    { "store", 0, "NAME", "as in this store" },
    { "job", 0, "NAME", "with latest: of this job" },
    { "json", 0, NULL, "the manifest as it is stored" },
    { NULL, 0, NULL, NULL },
};

/* printf to stdout; texts of a manifest must not be able to steer a terminal. */
static void __attribute__((format(printf, 1, 2)))
show_line(const char *format, ...)
{
    va_list args;
    char *text = NULL;
    CLEANUP_FREE char *safe = NULL;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = mem_strdup("");
    va_end(args);
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++)
        if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
            *p = '?';
    safe = text;
    (void)fputs(safe, stdout);
}

static void
show_members(const struct manifest *manifest)
{
    show_line("\n%-44s %-15s %10s %10s\n", "MEMBER", "ROLE", "PLAIN", "STORED");
    for (size_t i = 0; i < manifest->member_count; i++) {
        const struct manifest_member *member = &manifest->members[i];
        CLEANUP_FREE char *plain = format_size(member->plain_size), *stored = format_size(member->stored_size);

        show_line("%-44s %-15s %10s %10s\n", member->object, member->role, plain, stored);
    }
}

static void
show_checks(const struct manifest *manifest)
{
    if (manifest->check_count > 0)
        show_line("\n%-20s %-16s %s\n", "CHECK", "DATABASE", "RESULT");
    for (size_t i = 0; i < manifest->check_count; i++)
        show_line("%-20s %-16s %s", manifest->checks[i].name, manifest->checks[i].database, manifest->checks[i].result);
}

/* ", cold", ", thawed until …" or "". A store that does not answer is told, and left as its listing has it. */
static char *
show_tier(const struct repo *repo, const struct catalog_copy *copy, const struct manifest *manifest)
{
    CLEANUP_THAW struct thaw thaw = { .storage = repo->stores.items[copy->store] };
    CLEANUP_FREE char *until = NULL;
    int64_t until_s;
    int tier;

    thaw_add_members(&thaw, repo->catalog, copy, manifest);
    if (thaw_look_quickly(&thaw) == 0)
        tier = thaw_tier(&thaw, &until_s);
    else {
        log_slot_warn("showing what its listing says");
        tier = catalog_tier(copy, &until_s);
    }
    if (tier == PGCASK_TIER_HOT)
        return mem_strdup("");
    until = until_s > 0 ? clock_iso(until_s) : NULL;
    return mem_printf(", %s%s%s", thaw_word(tier), until ? " until " : "", until ? until : "");
}

static void
show_copies(const struct repo *repo, const struct catalog_backup *backup, const struct manifest *manifest)
{
    static const char *const words[] = { "not verified yet", "good", "BAD" };

    for (size_t i = 0; i < backup->len; i++) {
        const struct catalog_copy *copy = &backup->copies[i];
        CLEANUP_FREE char *when = clock_iso(copy->verdict_s), *tier = NULL;

        if (!copy->manifest)
            continue;
        tier = show_tier(repo, copy, manifest);
        show_line("store:       %s, %s%s%s%s\n", storage_name(repo->stores.items[copy->store]), words[copy->state],
                  copy->state == CATALOG_UNVERIFIED ? "" : " on ", copy->state == CATALOG_UNVERIFIED ? "" : when, tier);
    }
}

static void
show_base(const struct manifest_base *base)
{
    CLEANUP_FREE char *start = wal_lsn_text(base->start_lsn), *stop = wal_lsn_text(base->stop_lsn);

    show_line("needs WAL:   %s to %s on timeline %" PRIu32 ", %s\n", start, stop, base->timeline,
              base->wal_included ? "taken along" : "in the archive");
    if (base->bad_pages > 0)
        show_line("BAD PAGES:   %" PRId64 " had a wrong checksum when they were read\n", base->bad_pages);
    for (size_t i = 0; i < base->len; i++)
        show_line("tablespace:  %s (%s on the server)\n", base->tablespaces[i].oid, base->tablespaces[i].location);
}

static void
show_kind(const struct manifest *manifest)
{
    const struct manifest_base *base = manifest->base;

    if (base == NULL)
        show_line("kind:        %s, content %s%s\n", manifest->kind, manifest->content,
                  manifest->selection ? ", a selection of tables" : "");
    else
        show_line("kind:        %s, %s%s%s\n", manifest->kind, base->parent ? "incremental, on top of " : "full",
                  base->parent ? base->parent : "", base->standby ? ", read from a standby" : "");
}

static void
show_text(const struct repo *repo, const struct catalog_backup *backup, const struct manifest *manifest)
{
    CLEANUP_FREE char *started = clock_iso(manifest->started_s), *finished = clock_iso(manifest->finished_s);
    CLEANUP_FREE char *recipients = strv_join(&manifest->recipients, " ");
    int64_t took_s = manifest->finished_s - manifest->started_s; /* whole seconds are all that is known */
    CLEANUP_FREE char *took = took_s > 0 ? format_duration(took_s * 1000) : mem_strdup("< 1 s");

    show_line("backup:      %s\ncluster:     %s (system identifier %s)\njob:         %s\n", manifest->id,
                 manifest->cluster, manifest->system_identifier, manifest->job);
    show_kind(manifest);
    show_line("begun:       %s\nfinished:    %s (%s)\n", started, finished, took);
    show_line("server:      PostgreSQL %s, %s%s%s%s\n", manifest->server_text, manifest->dump_version ? "dumped by pg_dump " : "read by ",
              manifest->dump_version ? manifest->dump_version : "", manifest->dump_version ? " and " : "", manifest->tool);
    show_line("encrypted:   %s\n", manifest->recipients.len > 0 ? recipients : "no");
    show_copies(repo, backup, manifest);
    if (manifest->base != NULL)
        show_base(manifest->base);
    for (size_t i = 0; i < manifest->database_count; i++) {
        CLEANUP_FREE char *size = format_size(manifest->databases[i].size);

        show_line("database:    %s (%s on the server)\n", manifest->databases[i].name, size);
    }
    show_members(manifest);
    show_checks(manifest);
}

static int
show_run(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP_REPO struct repo repo = { 0 };
    struct catalog_backup *backup;
    const struct manifest *manifest;
    int rc = cmd_words(args, 1, 1);

    if (rc == 0)
        rc = cmd_config(args, &config);
    if (rc == 0)
        rc = repo_open(config, cmd_arg(args, "cluster"), cmd_arg(args, "store"), PGCASK_OPEN_READONLY, &repo);
    if (rc == 0)
        rc = repo_find(&repo, args->words[0], cmd_arg(args, "job"), &backup, &manifest);
    if (rc < 0)
        return rc;
    if (cmd_flag(args, "json")) {
        CLEANUP_FREE char *text = manifest_encode(manifest);

        (void)fputs(text, stdout);
    } else
        show_text(&repo, backup, manifest);
    return 0;
}

const struct cmd cmd_show = {
    .name = "show",
    .usage = "show ID|latest [--cluster NAME] [--store NAME] [--job NAME] [--json]",
    .summary = "Show all that is known of one backup",
    .options = options,
    .run = show_run,
};
