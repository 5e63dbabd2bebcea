/* SPDX-License-Identifier: PostgreSQL
 *
 * What each type of option accepts. A type is a row of option_types; nothing
 * here knows where a value was written.
 */
#include "config.h"

#include "config/option-value.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"
#include "config/option.h"

enum {
    OPTION_WORD_BYTES = 200,            /* no number, unit or choice is longer; keeps messages readable */
    OPTION_LIST_BYTES = 4 * 1024 * 1024 /* above any INI file, below any harm */
};

#define OPTION_SEPARATORS " \t,"

static int
option_check_range(const struct pgcask_option *option, const char *text, int64_t number, char *(*format)(int64_t))
{
    CLEANUP_FREE char *min = NULL;
    CLEANUP_FREE char *max = NULL;

    if (option->min == 0 && option->max == 0) {
        if (number < 0)
            return error_set(PGCASK_FAILED, "'%s' is below 0", text);
        return 0;
    }
    if (number >= option->min && number <= option->max)
        return 0;
    min = format(option->min);
    max = format(option->max);
    return error_set(PGCASK_FAILED, "'%s' is out of range (wanted: %s to %s)", text, min, max);
}

static char *
option_format_int(int64_t number)
{
    return mem_printf("%lld", (long long)number);
}

static char *
option_format_size(int64_t bytes)
{
    return format_size((uint64_t)bytes);
}

static int
option_parse_text(const struct pgcask_option *option, const char *text, struct option_value *value)
{
    (void)option; /* free text has no limits */
    value->text = mem_strdup(text);
    return 0;
}

static int
option_parse_path(const struct pgcask_option *option, const char *text, struct option_value *value)
{
    const char *home = getenv("HOME");

    (void)option;
    if (strncmp(text, "~/", 2) == 0) {
        if (home == NULL || *home != '/')
            return error_set(PGCASK_FAILED, "'%s': the environment has no HOME to put in the place of '~'", text);
        value->text = mem_printf("%s%s", home, text + 1);
        return 0;
    }
    if (*text != '/')
        return error_set(PGCASK_FAILED, "'%s' is not an absolute path", text);
    value->text = mem_strdup(text);
    return 0;
}

static int
option_parse_bool(const struct pgcask_option *option, const char *text, struct option_value *value)
{
    bool flag;
    int rc = parse_bool(text, &flag);

    (void)option;
    if (rc < 0)
        return rc;
    value->number = flag;
    value->text = mem_strdup(flag ? "yes" : "no");
    return 0;
}

static int
option_parse_int(const struct pgcask_option *option, const char *text, struct option_value *value)
{
    int rc = parse_int64(text, &value->number);

    if (rc == 0)
        rc = option_check_range(option, text, value->number, option_format_int);
    if (rc == 0)
        value->text = mem_strdup(text);
    return rc;
}

static int
option_parse_size(const struct pgcask_option *option, const char *text, struct option_value *value)
{
    int rc = parse_size(text, &value->number);

    if (rc == 0)
        rc = option_check_range(option, text, value->number, option_format_size);
    if (rc == 0)
        value->text = mem_strdup(text);
    return rc;
}

static int
option_parse_duration(const struct pgcask_option *option, const char *text, struct option_value *value)
{
    int rc = parse_duration(text, &value->number);

    if (rc == 0)
        rc = option_check_range(option, text, value->number, format_duration);
    if (rc == 0)
        value->text = mem_strdup(text);
    return rc;
}

static int
option_parse_enum(const struct pgcask_option *option, const char *text, struct option_value *value)
{
    CLEANUP_STRV struct strv choices = { 0 };
    CLEANUP_FREE char *known = NULL;

    strv_split(&choices, option->choices, "|");
    if (strv_has(&choices, text)) {
        value->text = mem_strdup(text);
        return 0;
    }
    known = strv_join(&choices, ", ");
    return error_set(PGCASK_FAILED, "'%s' is not a choice (wanted: %s)", text, known);
}

/* Step over the next word. `ret_word` has its quotes on. 1: a word, 0: no more, else an error. */
static int
option_next_word(const char **list, const char **ret_word, size_t *ret_len)
{
    const char *start = *list + strspn(*list, OPTION_SEPARATORS), *p = start;

    if (*start == '\0')
        return 0;
    if (*start != '\'')
        p += strcspn(start, OPTION_SEPARATORS);
    else {
        for (p++; *p != '\0' && (*p != '\'' || p[1] == '\''); p++)
            if (*p == '\'')
                p++;
        if (*p == '\0')
            return error_set(PGCASK_FAILED, "a word's quote (') is not closed");
        p++;
        if (p == start + 2)
            return error_set(PGCASK_FAILED, "'' is no word");
        if (*p != '\0' && strchr(OPTION_SEPARATORS, *p) == NULL)
            return error_set(PGCASK_FAILED, "there is text right behind a word's closing quote (')");
    }
    *list = p;
    *ret_word = start;
    *ret_len = (size_t)(p - start);
    return 1;
}

/* Double quotes are for SCHEMA."Table", and do not hold a word together. 1, or an error. */
static int
option_check_quotes(const char *word, size_t len)
{
    size_t quotes = 0;

    for (size_t i = 0; i < len && *word != '\''; i++)
        quotes += word[i] == '"';
    if (quotes % 2 == 0)
        return 1;
    (void)error_set(PGCASK_FAILED, "in the word %.*s a double quote is not closed", len < 100 ? (int)len : 100, word);
    return error_hint(PGCASK_FAILED, "a word with blanks goes into single quotes: 'My Data'");
}

static int
option_parse_list(const struct pgcask_option *option, const char *text, struct option_value *value)
{
    CLEANUP_BUF struct buf list = BUF_INIT(OPTION_LIST_BYTES);
    const char *word;
    size_t len;
    int rc;

    (void)option;
    for (;;) {
        rc = option_next_word(&text, &word, &len);
        if (rc == 1)
            rc = option_check_quotes(word, len);
        if (rc <= 0)
            break;
        rc = list.len > 0 ? buf_adds(&list, " ") : 0;
        if (rc == 0)
            rc = buf_add(&list, word, len);
        if (rc < 0)
            break;
    }
    if (rc == 0 && list.len > 0)
        value->text = buf_take(&list);
    return rc;
}

void
option_words(const char *list, struct strv *ret_words)
{
    const char *word;
    size_t len;

    while (list != NULL && option_next_word(&list, &word, &len) == 1) {
        char *plain, *out;

        if (*word != '\'') {
            strv_take(ret_words, mem_strndup(word, len));
            continue;
        }
        plain = out = mem_alloc(len);
        for (size_t i = 1; i + 1 < len; i++) {
            *out++ = word[i];
            if (word[i] == '\'')
                i++;
        }
        *out = '\0';
        strv_take(ret_words, plain);
    }
}

static const struct {
    struct option_type type;
    int (*parse)(const struct pgcask_option *option, const char *text, struct option_value *value);
} option_types[] = {
    [PGCASK_OPTION_STRING] = { { "string", sizeof(char *), .pointer = true, .free = true }, option_parse_text },
    [PGCASK_OPTION_SECRET] = { { "secret", sizeof(char *), .pointer = true, .free = true }, option_parse_text },
    [PGCASK_OPTION_PATH] = { { "path", sizeof(char *), .pointer = true, .free = true }, option_parse_path },
    [PGCASK_OPTION_BOOL] = { { "bool", sizeof(int) }, option_parse_bool },
    [PGCASK_OPTION_INT] = { { "int", sizeof(int64_t), .number = true }, option_parse_int },
    [PGCASK_OPTION_SIZE] = { { "size", sizeof(int64_t), .number = true }, option_parse_size },
    [PGCASK_OPTION_DURATION] = { { "duration", sizeof(int64_t), .number = true }, option_parse_duration },
    [PGCASK_OPTION_ENUM] = { { "enum", sizeof(char *), .pointer = true }, option_parse_enum },
    [PGCASK_OPTION_LIST] = { { "list", sizeof(char *), .pointer = true }, option_parse_list },
};

const struct option_type *
option_type(int type)
{
    if (type < PGCASK_OPTION_STRING || (size_t)type >= ARRAY_LEN(option_types))
        return NULL;
    return &option_types[type].type;
}

const char *
option_type_name(int type)
{
    const struct option_type *known = option_type(type);

    return known ? known->name : "?";
}

int
option_value_parse(const struct pgcask_option *option, const char *text, struct option_value *ret_value)
{
    const struct option_type *type = option_type(option->type);
    struct option_value value = { 0 };
    int rc;

    if (type == NULL)
        return error_set(PGCASK_FAILED, "type %d is unknown", option->type);
    if (!type->free && option->type != PGCASK_OPTION_LIST && strlen(text) > OPTION_WORD_BYTES)
        return error_set(PGCASK_FAILED, "%zu bytes are too long for a value of this type (%s)", strlen(text),
                         type->name);
    rc = option_types[option->type].parse(option, text, &value);
    if (rc < 0)
        return PGCASK_FAILED;
    *ret_value = value;
    return 0;
}

void
option_value_store(const struct pgcask_option *option, const struct option_value *value, void *settings)
{
    const struct option_type *type = option_type(option->type);
    char *field = (char *)settings + option->offset;
    int flag = (int)value->number;

    /* memcpy: the struct is the plugin's, its fields are only known by offset */
    if (type->pointer)
        memcpy(field, &value->text, sizeof value->text);
    else if (type->number)
        memcpy(field, &value->number, sizeof value->number);
    else
        memcpy(field, &flag, sizeof flag);
}
