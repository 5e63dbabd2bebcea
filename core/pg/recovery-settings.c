/* SPDX-License-Identifier: PostgreSQL
 *
 * What is put into postgresql.auto.conf, and the restore_command in it. Declared in recovery.h.
 */
#include "config.h"

#include "pg/recovery.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/program.h"
#include "pg/wal-name.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

enum { COMMAND_LIMIT_BYTES = 64 * 1024 };

/* Of the original they would end this recovery elsewhere, run its commands, or touch what is its own. The last one is also
 * what a standby may keep. */
static const char *const own_keys[] = {
    "recovery_target",          "recovery_target_action", "recovery_target_inclusive", "recovery_target_lsn",
    "recovery_target_name",     "recovery_target_time",   "recovery_target_timeline",  "recovery_target_xid",
    "restore_command",          "archive_mode",           "archive_cleanup_command",   "recovery_end_command",
    "recovery_min_apply_delay", "promote_trigger_file",   "primary_slot_name",         "primary_conninfo",
};

static bool
line_is_ours(const char *line, size_t len, bool keep_primary)
{
    size_t count = ARRAY_LEN(own_keys) - (keep_primary ? 1 : 0), key_len = 0;

    while (len > 0 && isspace((unsigned char)*line)) {
        line++;
        len--;
    }
    while (key_len < len && (isalnum((unsigned char)line[key_len]) || line[key_len] == '_'))
        key_len++;
    for (size_t i = 0; i < count; i++)
        if (strlen(own_keys[i]) == key_len && strncasecmp(own_keys[i], line, key_len) == 0)
            return true;
    return false;
}

static int
settings_keep(const char *old, bool keep_primary, struct buf *text)
{
    int rc = 0;

    while (rc == 0 && old != NULL && *old != '\0') {
        size_t len = strcspn(old, "\n");

        if (!line_is_ours(old, len, keep_primary)) {
            rc = buf_add(text, old, len);
            if (rc == 0)
                rc = buf_adds(text, "\n");
        }
        old += len + (old[len] == '\n');
    }
    return rc;
}

/* A string as settings files have it: in quotes, which are doubled within, as backslashes are. */
static int
settings_add(struct buf *text, const char *key, const char *value)
{
    int rc = buf_addf(text, "%s = '", key);

    for (; rc == 0 && *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            rc = buf_add(text, value, 1);
        if (rc == 0)
            rc = buf_add(text, value, 1);
    }
    return rc < 0 ? rc : buf_adds(text, "'\n");
}

static int
settings_target(const struct recovery_target *target, struct buf *text)
{
    CLEANUP_FREE char *value = NULL;

    switch (target->kind) {
    case RECOVERY_END:
        break;
    case RECOVERY_IMMEDIATE:
        return settings_add(text, "recovery_target", "immediate");
    case RECOVERY_TIME:
        value = recovery_time_text(target->time_us);
        return settings_add(text, "recovery_target_time", value);
    case RECOVERY_LSN:
        value = wal_lsn_text(target->lsn);
        return settings_add(text, "recovery_target_lsn", value);
    case RECOVERY_XID:
        value = mem_printf("%" PRIu32, target->xid);
        return settings_add(text, "recovery_target_xid", value);
    case RECOVERY_NAME:
        return settings_add(text, "recovery_target_name", target->name);
    }
    return 0;
}

static int
settings_recovery(const struct recovery_spec *spec, struct buf *text)
{
    const struct recovery_target *target = spec->target;
    CLEANUP_FREE char *timeline = target->timeline ? mem_printf("%" PRIu32, target->timeline) : mem_strdup("latest");
    int rc = settings_add(text, "restore_command", spec->restore_command);

    if (rc == 0)
        rc = settings_add(text, "recovery_target_timeline", timeline);
    if (rc == 0)
        rc = settings_target(target, text);
    if (rc == 0 && target->exclusive)
        rc = settings_add(text, "recovery_target_inclusive", "off");
    if (rc == 0 && target->kind != RECOVERY_END)
        rc = settings_add(text, "recovery_target_action", recovery_action_text(target->action));
    if (rc == 0 && spec->standby && spec->primary_conninfo != NULL)
        rc = settings_add(text, "primary_conninfo", spec->primary_conninfo);
    return rc;
}

int
recovery_settings(const struct recovery_spec *spec, const char *old, struct buf *ret_text)
{
    bool keep_primary = spec->standby && spec->primary_conninfo == NULL;
    int rc = settings_keep(old, keep_primary, ret_text);

    if (rc == 0)
        rc = buf_adds(ret_text,
                      "# Written by pgcask restore. archive_mode is off so that nothing of this copy gets into the\n"
                      "# archive of its original: reset it when this server has taken the original's place.\n");
    if (rc == 0)
        rc = settings_add(ret_text, "archive_mode", "off");
    if (rc == 0)
        rc = settings_add(ret_text, "archive_cleanup_command", "");
    if (rc == 0)
        rc = settings_add(ret_text, "recovery_end_command", "");
    if (rc == 0)
        rc = settings_add(ret_text, "primary_slot_name", "");
    if (rc == 0 && !spec->standby)
        rc = settings_add(ret_text, "primary_conninfo", "");
    if (rc == 0 && !spec->standby)
        rc = settings_add(ret_text, "recovery_min_apply_delay", "0");
    if (rc == 0 && spec->server_version < 160000)
        rc = settings_add(ret_text, "promote_trigger_file", "");
    return rc < 0 ? rc : settings_recovery(spec, ret_text);
}

const char *
recovery_signal(const struct recovery_spec *spec)
{
    return spec->standby ? "standby.signal" : "recovery.signal";
}

/* ---- the command ---- */

int
recovery_command(const struct strv *words, char **ret_command)
{
    CLEANUP_BUF struct buf command = BUF_INIT(COMMAND_LIMIT_BYTES);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < words->len; i++) {
        CLEANUP_FREE char *word = program_command_word(words->items[i]);

        if (strpbrk(word, "\n\r") != NULL)
            return error_set(ERROR_USAGE, "'%s' cannot be part of a restore_command: it holds a line's end",
                             words->items[i]);
        rc = buf_addf(&command, "%s ", word);
    }
    if (rc == 0)
        rc = buf_adds(&command, "%f \"%p\"");
    if (rc < 0)
        return rc;
    *ret_command = buf_take(&command);
    return 0;
}
