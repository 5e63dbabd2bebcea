/* SPDX-License-Identifier: PostgreSQL
 *
 * A section (or words of a command line) checked against a table and poured into
 * a struct, in the order in which a reader finds his mistakes: the lines one by one,
 * then what is missing, then the secrets, whose commands run only for a good section.
 */
#include "config.h"

#include "config/option.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"
#include "base/secret.h"
#include "config/option-value.h"
#include "config/settings.h"

/* Under which name a row was given. The last three are for secrets only. */
enum option_form { FORM_VALUE, FORM_FILE, FORM_ENV, FORM_COMMAND };
static const char *const form_suffixes[] = { "", "_file", "_env", "_command" };

/* What became of one row. */
struct option_slot {
    const struct ini_entry *entry; /* while filling; NULL: not given */
    enum option_form form;
    struct option_value value; /* for a secret: its source, unless that is FORM_VALUE */
    struct secret *secret;
    char *origin;
};

struct option_set {
    struct option_table table;
    const struct ini_section *section; /* while filling; may be NULL */
    bool words;                        /* the section was made from a command line */
    void *settings;
    struct option_slot *slots; /* one for each row */
};

/* Put the place before the text that is there. */
static int
option_context(const struct option_set *set, unsigned line, const char *key)
{
    const struct ini_section *section = set->section;
    CLEANUP_FREE char *where = NULL;

    if (set->words || section == NULL)
        return key ? error_context(ERROR_USAGE, "'%s='", key) : ERROR_USAGE;
    where = mem_printf("%s:%u: [%s%s%s]", section->ini->path, line, section->kind, *section->name ? " " : "",
                       section->name);
    return key ? error_context(ERROR_USAGE, "%s: %s", where, key) : error_context(ERROR_USAGE, "%s", where);
}

static bool
option_match(const struct option_table *table, const char *key, size_t *ret_row, enum option_form *ret_form)
{
    for (size_t i = 0; i < table->count; i++) {
        struct pgcask_option option = option_at(table, i);
        size_t len = strlen(option.name);
        size_t forms = option.type == PGCASK_OPTION_SECRET ? ARRAY_LEN(form_suffixes) : 1;

        if (strncmp(key, option.name, len) != 0)
            continue;
        for (size_t form = 0; form < forms; form++)
            if (strcmp(key + len, form_suffixes[form]) == 0) {
                *ret_row = i;
                *ret_form = form;
                return true;
            }
    }
    return false;
}

static void
option_add_names(const struct option_table *table, struct strv *names)
{
    for (size_t i = 0; table != NULL && i < table->count; i++) {
        struct pgcask_option option = option_at(table, i);
        size_t forms = option.type == PGCASK_OPTION_SECRET ? ARRAY_LEN(form_suffixes) : 1;

        for (size_t form = 0; form < forms; form++)
            strv_addf(names, "%s%s", option.name, form_suffixes[form]);
    }
}

static int
option_refuse_unknown(const struct option_set *set, const struct option_table *other, const struct ini_entry *entry)
{
    CLEANUP_STRV struct strv names = { 0 };
    CLEANUP_FREE char *known = NULL;
    const char *nearest;

    option_add_names(&set->table, &names);
    option_add_names(other, &names);
    nearest = parse_nearest(entry->key, (const char *const *)names.items, names.len);
    known = strv_join(&names, ", ");
    (void)error_set(ERROR_USAGE, "unknown key '%s'", entry->key);
    if (nearest != NULL)
        (void)error_hint(ERROR_USAGE, "did you mean '%s'?", nearest);
    else
        (void)error_hint(ERROR_USAGE, "known here: %s", names.len > 0 ? known : "none");
    return option_context(set, entry->line, NULL);
}

/* The row by which the value of `entry` is checked: a secret's source is no secret. */
static struct pgcask_option
option_as_form(const struct pgcask_option *option, enum option_form form)
{
    struct pgcask_option changed = *option;

    if (form == FORM_FILE)
        changed.type = PGCASK_OPTION_PATH;
    else if (form != FORM_VALUE)
        changed.type = PGCASK_OPTION_STRING;
    return changed;
}

/* A password in words or in a file for all to read. `key_of_secret` NULL: it is in a connection string. */
static int
option_check_privacy(const struct option_set *set, const char *key_of_secret)
{
    if (set->words) {
        (void)error_set(ERROR_USAGE, "a secret must not be written on a command line, where others can read it");
        return key_of_secret ? error_hint(ERROR_USAGE, "use %s_file=, %s_env= or %s_command=", key_of_secret,
                                          key_of_secret, key_of_secret)
                             : ERROR_USAGE;
    }
    if ((set->section->ini->mode & 044) == 0)
        return 0;
    (void)error_set(ERROR_USAGE, "a secret in a file that others can read (mode %04o, wanted 0600)",
                    (unsigned)set->section->ini->mode);
    if (key_of_secret != NULL)
        return error_hint(ERROR_USAGE, "chmod 600 '%s', or use %s_file, %s_env or %s_command", set->section->ini->path,
                          key_of_secret, key_of_secret, key_of_secret);
    return error_hint(ERROR_USAGE, "chmod 600 '%s', or keep the password out of the connection string",
                      set->section->ini->path);
}

static int
option_check_entry(const struct option_set *set, const struct pgcask_option *option, enum option_form form,
                   const struct ini_entry *entry)
{
    struct pgcask_option checked = option_as_form(option, form);
    bool secret = checked.type == PGCASK_OPTION_SECRET;
    int rc;

    if (entry->comment && option_type(checked.type)->free) {
        (void)error_set(ERROR_USAGE, "' %c' in an unquoted value is ambiguous", entry->mark);
        return error_hint(ERROR_USAGE, "put the value in double quotes, or the comment on a line of its own");
    }
    if (*entry->value == '\0' &&
        ((option->flags & PGCASK_OPTION_REQUIRED) != 0 || option->type == PGCASK_OPTION_SECRET))
        return error_set(ERROR_USAGE, "the value is empty");
    if ((option->flags & OPTION_CONNINFO) != 0) {
        rc = config_check_conninfo(entry->value, &secret);
        if (rc < 0)
            return rc;
    }
    return secret ? option_check_privacy(set, checked.type == PGCASK_OPTION_SECRET ? option->name : NULL) : 0;
}

static int
option_take(struct option_set *set, const struct option_table *other, const struct ini_entry *entry)
{
    struct pgcask_option option, checked;
    struct option_slot *slot;
    enum option_form form, other_form;
    size_t row, other_row;
    int rc;

    if (!option_match(&set->table, entry->key, &row, &form)) {
        if (other == &option_table_any || (other != NULL && option_match(other, entry->key, &other_row, &other_form)))
            return 0;
        return option_refuse_unknown(set, other, entry);
    }
    slot = &set->slots[row];
    option = option_at(&set->table, row);
    if (slot->entry != NULL && set->words)
        rc = error_set(ERROR_USAGE, "'%s=' is given, too (wanted: one of the two)", slot->entry->key);
    else if (slot->entry != NULL)
        rc = error_set(ERROR_USAGE, "'%s' in line %u gives it already (wanted: one of the two)", slot->entry->key,
                       slot->entry->line);
    else
        rc = option_check_entry(set, &option, form, entry);
    checked = option_as_form(&option, form);
    if (rc == 0 && checked.type != PGCASK_OPTION_SECRET)
        rc = option_value_parse(&checked, entry->value, &slot->value);
    if (rc == 0 && option.type == PGCASK_OPTION_LIST && slot->value.text == NULL &&
        (option.flags & PGCASK_OPTION_REQUIRED) != 0)
        rc = error_set(ERROR_USAGE, "the list is empty"); /* nothing but commas */
    if (rc < 0)
        return option_context(set, entry->line, entry->key);
    slot->entry = entry;
    slot->form = form;
    slot->origin = set->words ? mem_strdup("command line") : mem_printf("%s:%u", set->section->ini->path, entry->line);
    return 0;
}

/* The default of a row that was not given. */
static int
option_default(struct option_set *set, const struct pgcask_option *option, struct option_slot *slot)
{
    int rc;

    if (option->fallback != NULL) {
        rc = option_value_parse(option, option->fallback, &slot->value);
        return rc < 0 ? error_context(ERROR_USAGE, "default of '%s'", option->name) : 0;
    }
    if ((option->flags & PGCASK_OPTION_REQUIRED) == 0)
        return 0;
    (void)error_set(ERROR_USAGE, "'%s' is missing", option->name);
    if (option->help != NULL)
        (void)error_hint(ERROR_USAGE, "%s: %s", option->name, option->help);
    return option_context(set, set->section ? set->section->line : 0, NULL);
}

static int
option_load_secret(struct option_set *set, const struct pgcask_option *option, struct option_slot *slot)
{
    struct secret_source source = { 0 };
    int rc;

    if (slot->entry == NULL)
        return 0;
    if (slot->form == FORM_VALUE)
        source.value = slot->entry->value;
    else if (slot->form == FORM_FILE)
        source.file = slot->value.text;
    else if (slot->form == FORM_ENV)
        source.env = slot->value.text;
    else
        source.command = slot->value.text;
    rc = secret_load(&source, option->name, &slot->secret);
    return rc < 0 ? option_context(set, slot->entry->line, slot->entry->key) : 0;
}

static void
option_store(struct option_set *set, const struct pgcask_option *option, const struct option_slot *slot)
{
    struct option_value shown = slot->value;

    if (option->type == PGCASK_OPTION_SECRET)
        shown.text = slot->secret ? (char *)secret_text(slot->secret) : NULL;
    option_value_store(option, &shown, set->settings);
}

static struct option_set *
option_set_new(const struct option_table *table, const struct ini_section *section)
{
    struct option_set *set = mem_zalloc(sizeof *set);

    set->table = *table;
    set->section = section;
    set->settings = mem_zalloc(table->settings_size);
    set->slots = mem_zalloc(table->count * sizeof *set->slots);
    return set;
}

static int
option_set_fill(struct option_set *set, const struct option_table *other)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && set->section != NULL && i < set->section->len; i++)
        rc = option_take(set, other, &set->section->entries[i]);
    for (size_t i = 0; rc == 0 && i < set->table.count; i++) {
        struct pgcask_option option = option_at(&set->table, i);

        if (set->slots[i].entry == NULL)
            rc = option_default(set, &option, &set->slots[i]);
    }
    for (size_t i = 0; rc == 0 && i < set->table.count; i++) {
        struct pgcask_option option = option_at(&set->table, i);

        if (option.type == PGCASK_OPTION_SECRET)
            rc = option_load_secret(set, &option, &set->slots[i]);
        if (rc == 0)
            option_store(set, &option, &set->slots[i]);
    }
    for (size_t i = 0; i < set->table.count; i++)
        set->slots[i].entry = NULL; /* they are the section's */
    set->section = NULL;
    return rc;
}

int
option_fill(const struct option_table *table, const struct option_table *other, const struct ini_section *section,
            struct option_set **ret_set)
{
    CLEANUP(option_set_free) struct option_set *set = option_set_new(table, section);
    int rc = option_set_fill(set, other);

    if (rc == 0)
        *ret_set = STEAL(set);
    return rc;
}

/* Words as if they were lines. */
static int
option_split_words(const char *const *words, struct ini_section *section)
{
    for (size_t i = 0; i < section->len; i++) {
        size_t len = strcspn(words[i], "=");
        struct ini_entry *entry = &section->entries[i];

        entry->key = mem_strndup(words[i], len);
        if (words[i][len] == '\0')
            return error_set(ERROR_USAGE, "'%s' is not key=value", words[i]);
        entry->value = mem_strdup(words[i] + len + 1);
        entry->quoted = true; /* the shell saw to that */
    }
    return 0;
}

static void
option_free_words(struct ini_section *section)
{
    for (size_t i = 0; i < section->len; i++) {
        free(section->entries[i].key);
        free(section->entries[i].value);
    }
    free(section->entries);
}

int
option_fill_words(const struct option_table *table, const char *const *words, size_t count, struct option_set **ret_set)
{
    struct ini_section section = { .entries = mem_zalloc(count * sizeof *section.entries), .len = count, .cap = count };
    CLEANUP(option_set_free) struct option_set *set = option_set_new(table, &section);
    int rc = option_split_words(words, &section);

    set->words = true;
    if (rc == 0)
        rc = option_set_fill(set, NULL);
    option_free_words(&section);
    if (rc == 0)
        *ret_set = STEAL(set);
    return rc;
}

const void *
option_settings(const struct option_set *set)
{
    return set->settings;
}

void
option_set_free(struct option_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->table.count; i++) {
        struct option_slot *slot = &set->slots[i];

        if (slot->value.text != NULL)
            explicit_bzero(slot->value.text, strlen(slot->value.text)); /* a connection string may hold a password */
        free(slot->value.text);
        secret_free(slot->secret);
        free(slot->origin);
    }
    free(set->slots);
    free(set->settings);
    free(set);
}

void
option_show(const struct option_set *set,
            void (*show)(void *ctx, const char *key, const char *value, const char *origin), void *ctx)
{
    for (size_t i = 0; i < set->table.count; i++) {
        const struct option_slot *slot = &set->slots[i];
        struct pgcask_option option = option_at(&set->table, i);
        CLEANUP_FREE char *redacted = NULL;
        const char *value = slot->value.text;

        if (option.type == PGCASK_OPTION_SECRET)
            value = slot->secret ? "***" : NULL;
        else if ((option.flags & OPTION_CONNINFO) != 0 && value != NULL)
            value = config_redact_conninfo(value, &redacted) == 0 ? redacted : "***";
        show(ctx, option.name, value, slot->origin ? slot->origin : "default");
    }
}
