/* SPDX-License-Identifier: PostgreSQL
 *
 * Option tables themselves: stepped through, checked, described. The table may
 * be that of a plugin compiled against an older or a newer header.
 */
#include "config.h"

#include "config/option.h"

#include <string.h>

#include "base/error.h"
#include "config/option-value.h"

enum {
    OPTION_NAME_BYTES = 32, /* with "_command" behind it still a key of the INI file */
    OPTION_COUNT_LIMIT = 500,
    OPTION_SETTINGS_BYTES = 1024 * 1024,
};

#define OPTION_STRIDE_MIN (offsetof(struct pgcask_option, choices) + sizeof(const char *))

const struct option_table option_table_any = { 0 };

struct pgcask_option
option_at(const struct option_table *table, size_t i)
{
    struct pgcask_option option = { 0 };

    memcpy(&option, (const char *)table->options + i * table->stride,
           table->stride < sizeof option ? table->stride : sizeof option);
    return option;
}

static bool
option_name_is_good(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= OPTION_NAME_BYTES && *name >= 'a' && *name <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

/* NULL is fine. */
static bool
option_text_is_line(const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static int
option_check_field(const struct option_table *table, const struct pgcask_option *option)
{
    const struct option_type *type = option_type(option->type);

    if (type == NULL)
        return error_set(PGCASK_FAILED, "type %d is unknown", option->type);
    if (option->offset > table->settings_size || type->size > table->settings_size - option->offset)
        return error_set(PGCASK_FAILED, "offset %zu with %zu bytes is outside of the settings' %zu bytes",
                         option->offset, type->size, table->settings_size);
    return 0;
}

static int
option_check_fallback(const struct pgcask_option *option)
{
    struct option_value value = { 0 };
    CLEANUP_FREE char *text = NULL;
    int rc;

    if (option->fallback == NULL)
        return 0;
    if (option->type == PGCASK_OPTION_SECRET)
        return error_set(PGCASK_FAILED, "a secret cannot have a default");
    if (option->type == PGCASK_OPTION_PATH && strncmp(option->fallback, "~/", 2) == 0)
        return 0; /* good wherever HOME is set */
    rc = option_value_parse(option, option->fallback, &value);
    text = value.text;
    return rc < 0 ? error_context(rc, "the default") : 0;
}

static int
option_check_row(const struct option_table *table, const struct pgcask_option *option)
{
    int rc = option_check_field(table, option);

    if (rc < 0)
        return rc;
    if (option->min > option->max)
        return error_set(PGCASK_FAILED, "min %lld is above max %lld", (long long)option->min, (long long)option->max);
    if (option->type == PGCASK_OPTION_ENUM &&
        (option->choices == NULL || option->choices[strspn(option->choices, "|")] == '\0'))
        return error_set(PGCASK_FAILED, "an enum without choices");
    if (!option_text_is_line(option->help) || !option_text_is_line(option->fallback) ||
        !option_text_is_line(option->choices))
        return error_set(PGCASK_FAILED, "a control character in help, default or choices");
    return option_check_fallback(option);
}

/* Is `name` a way to give the secret `secret`? */
static bool
option_name_is_source(const char *name, const struct pgcask_option *secret)
{
    size_t len = strlen(secret->name);

    return secret->type == PGCASK_OPTION_SECRET && strncmp(name, secret->name, len) == 0 &&
           (strcmp(name + len, "_file") == 0 || strcmp(name + len, "_env") == 0 || strcmp(name + len, "_command") == 0);
}

static int
option_check_names(const struct option_table *table, size_t i)
{
    const char *name = option_at(table, i).name;

    for (size_t j = 0; j < table->count; j++) {
        struct pgcask_option other = option_at(table, j);

        if (j < i && strcmp(other.name, name) == 0)
            return error_set(PGCASK_FAILED, "option '%s' is there twice", name);
        if (option_name_is_source(name, &other))
            return error_set(PGCASK_FAILED, "option '%s' clashes with the sources of the secret '%s'", name,
                             other.name);
    }
    return 0;
}

int
option_table_check(const struct option_table *table)
{
    int rc = 0;

    if (table->settings_size > OPTION_SETTINGS_BYTES)
        return error_set(PGCASK_FAILED, "settings of %zu bytes (wanted: at most %d)", table->settings_size,
                         OPTION_SETTINGS_BYTES);
    if (table->count == 0)
        return 0;
    if (table->options == NULL)
        return error_set(PGCASK_FAILED, "%zu options, but no table", table->count);
    if (table->count > OPTION_COUNT_LIMIT)
        return error_set(PGCASK_FAILED, "%zu options (wanted: at most %d)", table->count, OPTION_COUNT_LIMIT);
    if (table->stride < OPTION_STRIDE_MIN)
        return error_set(PGCASK_FAILED, "options of %zu bytes (wanted: at least %zu)", table->stride,
                         OPTION_STRIDE_MIN);
    for (size_t i = 0; rc == 0 && i < table->count; i++) {
        struct pgcask_option option = option_at(table, i);

        if (option.name == NULL)
            return error_set(PGCASK_FAILED, "option %zu has no name", i + 1);
        if (!option_name_is_good(option.name))
            return error_set(PGCASK_FAILED,
                             "option %zu: '%.*s' is a bad name (wanted: a-z, 0-9 and '_', at most %d bytes)", i + 1,
                             OPTION_NAME_BYTES + 1, option.name, OPTION_NAME_BYTES);
        rc = option_check_row(table, &option);
        if (rc < 0)
            return error_context(rc, "option '%s'", option.name);
    }
    for (size_t i = 0; rc == 0 && i < table->count; i++)
        rc = option_check_names(table, i);
    return rc;
}

/* One line of the description; nothing for a NULL value. */
static int
option_describe_text(struct buf *text, const char *name, const char *what, const char *value)
{
    return value ? buf_addf(text, "option.%s.%s=%s\n", name, what, value) : 0;
}

static int
option_describe_number(struct buf *text, const char *name, const char *what, int64_t value)
{
    return buf_addf(text, "option.%s.%s=%lld\n", name, what, (long long)value);
}

static int
option_describe_row(const struct pgcask_option *option, struct buf *text)
{
    const struct option_type *type = option_type(option->type);
    bool limits = type != NULL && type->number && (option->min != 0 || option->max != 0);
    const char *choices = option->type == PGCASK_OPTION_ENUM ? option->choices : NULL;
    bool required = (option->flags & PGCASK_OPTION_REQUIRED) != 0;
    int rc = option_describe_text(text, option->name, "type", option_type_name(option->type));

    if (rc == 0)
        rc = option_describe_text(text, option->name, "default", option->fallback);
    if (rc == 0)
        rc = option_describe_text(text, option->name, "required", required ? "yes" : "no");
    if (rc == 0 && limits)
        rc = option_describe_number(text, option->name, "min", option->min);
    if (rc == 0 && limits)
        rc = option_describe_number(text, option->name, "max", option->max);
    if (rc == 0)
        rc = option_describe_text(text, option->name, "choices", choices);
    if (rc == 0)
        rc = option_describe_text(text, option->name, "help", option->help);
    return rc;
}

int
option_describe(const struct option_table *table, struct buf *ret_text)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < table->count; i++) {
        struct pgcask_option option = option_at(table, i);

        rc = option_describe_row(&option, ret_text);
    }
    return rc;
}
