/* SPDX-License-Identifier: PostgreSQL
 *
 * pg_restore over a table of contents alone: what stands before the rows, and
 * what comes behind them. Declared in restore.h.
 */
#include "config.h"

#include "pipeline/restore.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "pipeline/restore-tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
restore_tools(const struct restore *restore, int server_version, struct pg_tools **ret_tools)
{
    const struct config_cluster *cluster = restore->cluster->cluster;
    long major = strtol(restore->manifest->dump_version, NULL, 10);
    int dumped = major > 0 && major < 1000 ? (int)major * 10000 : 0;
    struct pg_tools_spec spec = {
        .exec = cluster->exec,
        .bindir = cluster->bindir,
        .conninfo = cluster->exec_conninfo && restore->conninfo == cluster->conninfo ? cluster->exec_conninfo : restore->conninfo,
        .password = restore->password,
        .server_version = dumped > server_version ? dumped : server_version, /* must know the archive and the server */
    };

    return pg_tools_find(&spec, ret_tools);
}

/* A newer pg_restore sets a parameter that an older server does not know, and goes on. That error, and no other, is
 * none. `talk`: all it said. */
static bool
tool_talk_harmless(const char *talk)
{
    static const char harmless[] = "unrecognized configuration parameter \"transaction_timeout\"";

    for (const char *line = talk; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        size_t len;

        line += *line == '\n';
        len = strcspn(line, "\n");
        if (memmem(line, len, "error:", 6) != NULL && memmem(line, len, harmless, strlen(harmless)) == NULL)
            return false;
    }
    return strstr(talk, harmless) != NULL && strlen(talk) < PROCESS_TALK_LIMIT_BYTES; /* else some of it is missing */
}

bool
restore_tool_lenient(const struct pg_tools *tools, int server_version)
{
    return strtol(pg_tools_version(tools), NULL, 10) >= 17 && server_version < 170000;
}

int
restore_tool_argv(const struct pg_tools *tools, const char *section, const char *target, const struct strv *arguments,
                  bool lenient, struct strv *argv)
{
    pg_tools_argv(tools, "pg_restore", argv);
    strv_addf(argv, "--section=%s", section);
    if (!lenient)
        strv_add(argv, "--exit-on-error");
    for (size_t i = 0; i < arguments->len; i++)
        strv_add(argv, arguments->items[i]);
    return pg_tools_dbname(tools, target, argv);
}

int
restore_tool_finish(struct process *process, bool lenient, const char *section)
{
    CLEANUP_FREE char *talk = NULL;
    int code = process_end(process, &talk);

    if (code == 0 || (lenient && code == 1 && tool_talk_harmless(talk)))
        return 0;
    return cancel_or(error_set(PGCASK_FAILED, "pg_restore failed in section %s (exit code %d): %s", section, code,
                               *talk ? talk : "it gave no reason"));
}

/* One run of pg_restore over the table of contents. */
struct section {
    const char *name;
    unsigned jobs;
    const struct buf *list; /* dump ids, as --use-list reads them; NULL: all of the section */
};

/* What pg_restore reads from its stdin: the archive, where files cannot be handed on, or the list. */
static void
section_feed(const struct section *section, int toc_fd, bool elsewhere, struct process *process)
{
    if (section->list != NULL && !elsewhere)
        (void)file_write_all(process->in_fd, section->list->data, section->list->len, "pg_restore");
    while (elsewhere) {
        char piece[65536];
        ssize_t len = file_read_up_to(toc_fd, piece, sizeof piece, "table of contents");

        if (len <= 0 || file_write_all(process->in_fd, piece, (size_t)len, "pg_restore") < 0)
            break; /* pg_restore itself says what it misses */
    }
}

static int
section_run(const struct section *section, const struct pg_tools *tools, int toc_fd, const char *target,
            const struct strv *arguments, int server_version)
{
    CLEANUP_STRV struct strv argv = { 0 };
    struct process process = { 0 };
    bool elsewhere = pg_tools_prefixed(tools), lenient = restore_tool_lenient(tools, server_version);
    bool fed = elsewhere || section->list != NULL;
    int rc = restore_tool_argv(tools, section->name, target, arguments, lenient, &argv);

    if (rc < 0)
        return rc;
    if (!elsewhere) {
        strv_addf(&argv, "--jobs=%u", section->jobs);
        if (section->list != NULL)
            strv_add(&argv, "--use-list=/dev/stdin");
        strv_add(&argv, "/dev/fd/3");
    }
    if (lseek(toc_fd, 0, SEEK_SET) < 0)
        return error_errno(PGCASK_FAILED, "could not rewind the table of contents");
    rc = pg_tools_start(tools, &argv, RESTORE_SESSION_OPTIONS, fed ? PROCESS_PIPE : PROCESS_NULL, PROCESS_NULL,
                        elsewhere ? -1 : toc_fd, &process);
    if (rc < 0)
        return rc;
    section_feed(section, toc_fd, elsewhere, &process);
    return restore_tool_finish(&process, lenient, section->name);
}

int
restore_pre_data(const struct pg_tools *tools, int toc_fd, const char *target, const struct strv *arguments, int server_version)
{
    const struct section section = { "pre-data", 1, NULL };

    return section_run(&section, tools, toc_fd, target, arguments, server_version);
}

/* ---- post-data ---- */

/* Attaching a partition's index locks tables in another order than what pg_restore runs beside it, which can end in a
 * deadlock. So there are three steps, the one in the middle without any company. */
enum post_step { POST_BUILD, POST_ATTACH, POST_REST, POST_STEPS };

struct post_entry {
    int dump_id;
    enum post_step step;
};

static int
post_compare(const void *a, const void *b)
{
    int left = ((const struct post_entry *)a)->dump_id, right = ((const struct post_entry *)b)->dump_id;

    return left < right ? -1 : left > right;
}

static enum post_step
post_step_of(const struct archive_entry *entry)
{
    static const char *const built[] = { "INDEX", "CONSTRAINT", "STATISTICS" };

    if (entry->section == ARCHIVE_NONE || entry->desc == NULL)
        return POST_BUILD; /* a comment or grant: goes with what it depends on */
    if (strcmp(entry->desc, "INDEX ATTACH") == 0)
        return POST_ATTACH;
    for (size_t i = 0; i < ARRAY_LEN(built); i++)
        if (strcmp(entry->desc, built[i]) == 0)
            return POST_BUILD;
    return POST_REST;
}

/* The entries of post-data, sorted by dump id, each in a step that is not before those it depends on. As pg_restore
 * sees it, an entry without a section is in that of the entry before it. The array is owned by the caller. */
static struct post_entry *
post_plan(const struct archive *archive, size_t *ret_len)
{
    struct post_entry *entries = mem_realloc_array(NULL, archive->len + 1, sizeof *entries);
    enum archive_section section = ARCHIVE_NONE;
    size_t len = 0;

    for (size_t i = 0; i < archive->len; i++) {
        if (archive->entries[i].section != ARCHIVE_NONE)
            section = archive->entries[i].section;
        if (section == ARCHIVE_POST_DATA)
            entries[len++] = (struct post_entry){ archive->entries[i].dump_id, post_step_of(&archive->entries[i]) };
    }
    qsort(entries, len, sizeof *entries, post_compare);
    for (size_t i = 0; i < archive->len; i++) { /* what is depended on comes first in an archive */
        const struct archive_entry *entry = &archive->entries[i];
        struct post_entry *own = bsearch(&(struct post_entry){ .dump_id = entry->dump_id }, entries, len, sizeof *entries,
                                         post_compare);

        for (size_t j = 0; own != NULL && j < entry->dep_count; j++) {
            const struct post_entry *before = bsearch(&(struct post_entry){ .dump_id = entry->deps[j] }, entries, len,
                                                      sizeof *entries, post_compare);

            if (before != NULL && before->step > own->step)
                own->step = before->step;
        }
    }
    *ret_len = len;
    return entries;
}

/* The dump ids of one step in the archive's order; empty when the step has nothing to do. */
static int
post_list(const struct archive *archive, const struct post_entry *entries, size_t len, enum post_step step, struct buf *list)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < archive->len; i++) {
        const struct post_entry *own = bsearch(&(struct post_entry){ .dump_id = archive->entries[i].dump_id }, entries, len,
                                               sizeof *entries, post_compare);

        if (own != NULL && own->step == step)
            rc = buf_addf(list, "%d;\n", own->dump_id);
    }
    return rc;
}

int
restore_post_data(const struct restore *restore, const struct pg_tools *tools, const struct archive *archive, int toc_fd,
                  const char *target, const struct strv *arguments, int server_version)
{
    size_t len = 0;
    CLEANUP_FREE struct post_entry *entries = post_plan(archive, &len);
    struct section section = { "post-data", restore->streams, NULL };
    bool attach = false;
    int rc = 0;

    for (size_t i = 0; i < len; i++)
        attach |= entries[i].step == POST_ATTACH;
    if (!attach || pg_tools_prefixed(tools) || restore->streams == 1) /* the last two: one after the other anyway */
        return section_run(&section, tools, toc_fd, target, arguments, server_version);
    for (enum post_step step = POST_BUILD; rc == 0 && step < POST_STEPS; step++) {
        CLEANUP_BUF struct buf list = BUF_INIT(256 * 1024 * 1024);

        rc = post_list(archive, entries, len, step, &list);
        section.jobs = step == POST_ATTACH ? 1 : restore->streams;
        section.list = &list;
        if (rc == 0 && list.len > 0)
            rc = section_run(&section, tools, toc_fd, target, arguments, server_version);
    }
    return rc;
}
