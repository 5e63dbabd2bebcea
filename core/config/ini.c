/* SPDX-License-Identifier: PostgreSQL
 *
 * From text to sections, keys and values. inih is handed one short line for each
 * line of the file, with the line's number in the place of the value:
 *
 *   [cluster chain]             [7]  and  section = 7
 *   conninfo = host=db …        conninfo = 8
 *   ; a comment                 ;
 *
 * so it decides what is a comment, a section or a key, and has no value to cut. Its answer
 * leads back to the line of the file, where the value is taken from.
 */
#include "config.h"

/* before our own header, which gives the name ini_parse another meaning */
#include <ini.h>

#include "config/ini.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

enum {
    INI_LIMIT_BYTES = 1024 * 1024,
    INI_NAME_BYTES = 40,
    INI_COUNT_LIMIT = 1000, /* of sections, and of keys in one: duplicates are looked for one by one */
};

#define INI_NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_-"

/* One run through the text. The line at hand has no leading blanks and no line end. */
struct ini_run {
    struct ini *ini;
    const char *next, *end; /* the text not yet looked at */
    const char *line, *line_end;
    unsigned number;
    bool header;  /* the line's section was handed over, its stand-in key not yet */
    bool awaited; /* a key was handed over, and inih has not answered */
    int rc;
};

static int ini_refuse(const struct ini_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int
ini_refuse(const struct ini_run *run, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    (void)error_set(ERROR_USAGE, "%s:%u: %s", run->ini->path, run->number, len < 0 ? format : text);
    if (len >= 0)
        free(text);
    return ERROR_USAGE;
}

static bool
ini_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char *
ini_skip_blanks(const char *p, const char *end)
{
    while (p < end && ini_is_blank(*p))
        p++;
    return p;
}

static const char *
ini_trim_end(const char *start, const char *end)
{
    while (end > start && ini_is_blank(end[-1]))
        end--;
    return end;
}

/* The bytes of the UTF-8 sequence at `p`, 0 when it is none. Overlong forms and surrogates are none. */
static size_t
ini_utf8_length(const unsigned char *p, const unsigned char *end)
{
    size_t len = *p < 0x80                 ? 1
                 : *p >= 0xc2 && *p < 0xe0 ? 2
                 : *p >= 0xe0 && *p < 0xf0 ? 3
                 : *p >= 0xf0 && *p < 0xf5 ? 4
                                           : 0;

    if (len > (size_t)(end - p))
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
        (*p == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

static int
ini_check_bytes(const struct ini_run *run)
{
    const unsigned char *p = (const unsigned char *)run->line, *end = (const unsigned char *)run->line_end;

    while (p < end) {
        size_t len = ini_utf8_length(p, end);

        if (len == 0)
            return ini_refuse(run, "byte 0x%02x is not UTF-8", *p);
        if (*p == '\0')
            return ini_refuse(run, "a NUL byte");
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
            return ini_refuse(run, "control character 0x%02x", *p);
        p += len;
    }
    return 0;
}

static int
ini_next_line(struct ini_run *run)
{
    const char *newline = memchr(run->next, '\n', (size_t)(run->end - run->next));

    run->number++;
    run->line = run->next;
    run->line_end = newline ? newline : run->end;
    run->next = newline ? newline + 1 : run->end;
    if (newline != NULL && run->line_end > run->line && run->line_end[-1] == '\r')
        run->line_end--;
    run->line = ini_skip_blanks(run->line, run->line_end);
    run->line_end = ini_trim_end(run->line, run->line_end);
    return ini_check_bytes(run);
}

/* What stands for the line at hand when it is neither empty nor a comment nor a section. */
static int
ini_feed_key(struct ini_run *run, char *text, size_t size)
{
    size_t len = (size_t)(run->line_end - run->line);
    const char *equals = memchr(run->line, '=', len);
    size_t head = equals ? (size_t)(ini_trim_end(run->line, equals) - run->line) : len;

    run->awaited = true;
    if (equals == NULL) {
        (void)snprintf(text, size, "%.*s\n", (int)(head < INI_NAME_BYTES ? head : INI_NAME_BYTES), run->line);
        return 0;
    }
    if (head == 0) /* with a blank in front inih would take it for the line before, continued */
        return ini_refuse(run, "nothing stands before the '='");
    if (head > INI_NAME_BYTES)
        return ini_refuse(run, "a key of %zu bytes (wanted: at most %d)", head, INI_NAME_BYTES);
    (void)snprintf(text, size, "%.*s = %u\n", (int)head, run->line, run->number);
    return 0;
}

static int
ini_check_answered(const struct ini_run *run)
{
    if (!run->awaited)
        return 0;
    (void)ini_refuse(run, "this is neither 'key = value' nor '[kind name]' nor a comment");
    return error_hint(ERROR_USAGE, "a comment begins with ';' or '#'; a value cannot go on in the next line");
}

/* inih's reader, in the manner of fgets. */
static char *
ini_read(char *text, int size, void *ctx)
{
    struct ini_run *run = ctx;

    if (run->rc == 0)
        run->rc = ini_check_answered(run);
    if (run->rc == 0 && run->header) {
        run->header = false;
        run->awaited = true;
        (void)snprintf(text, (size_t)size, "section = %u\n", run->number);
        return text;
    }
    if (run->rc < 0 || run->next == run->end)
        return NULL;
    run->rc = ini_next_line(run);
    if (run->rc < 0)
        return NULL;
    if (run->line < run->line_end && *run->line == '[') {
        run->header = true;
        (void)snprintf(text, (size_t)size, "[%u]\n", run->number);
    } else if (run->line < run->line_end && strchr(";#", *run->line) == NULL)
        run->rc = ini_feed_key(run, text, (size_t)size);
    else
        (void)snprintf(text, (size_t)size, "%.*s\n", run->line < run->line_end, run->line);
    return run->rc < 0 ? NULL : text;
}

static int
ini_take_name(const struct ini_run *run, const char *what, const char *start, const char *end, char **ret_name)
{
    CLEANUP_FREE char *name = mem_strndup(start, (size_t)(end - start));

    if (*name == '\0')
        return ini_refuse(run, "a section without a kind (wanted: [kind] or [kind name])");
    if (strlen(name) > INI_NAME_BYTES)
        return ini_refuse(run, "a %s of %zu bytes (wanted: at most %d)", what, strlen(name), INI_NAME_BYTES);
    if (name[strspn(name, INI_NAME_CHARS)] != '\0')
        return ini_refuse(run, "bad %s '%s' (wanted: a-z, 0-9, '_' and '-')", what, name);
    *ret_name = STEAL(name);
    return 0;
}

/* Nothing, or a comment. */
static bool
ini_is_rest(const char *p, const char *end)
{
    p = ini_skip_blanks(p, end);
    return p == end || *p == ';' || *p == '#';
}

static int
ini_split_header(const struct ini_run *run, char **ret_kind, char **ret_name)
{
    const char *close = memchr(run->line, ']', (size_t)(run->line_end - run->line));
    const char *p, *blank, *end;
    CLEANUP_FREE char *kind = NULL;
    int rc;

    if (close == NULL)
        return ini_refuse(run, "'[' without ']'");
    if (!ini_is_rest(close + 1, run->line_end))
        return ini_refuse(run, "there is text behind the ']'");
    p = ini_skip_blanks(run->line + 1, close);
    end = ini_trim_end(p, close);
    for (blank = p; blank < end && !ini_is_blank(*blank); blank++)
        ;
    rc = ini_take_name(run, "section kind", p, blank, &kind);
    if (rc < 0)
        return rc;
    if (blank == end)
        *ret_name = mem_strdup("");
    else
        rc = ini_take_name(run, "section name", ini_skip_blanks(blank, end), end, ret_name);
    if (rc == 0)
        *ret_kind = STEAL(kind);
    return rc;
}

static int
ini_take_section(struct ini_run *run)
{
    struct ini *ini = run->ini;
    CLEANUP_FREE char *kind = NULL;
    CLEANUP_FREE char *name = NULL;
    const struct ini_section *earlier;
    int rc = ini_split_header(run, &kind, &name);

    if (rc < 0)
        return rc;
    earlier = ini_section(ini, kind, name);
    if (earlier != NULL)
        return ini_refuse(run, "[%s%s%s] is there already, in line %u", kind, *name ? " " : "", name, earlier->line);
    if (ini->len == INI_COUNT_LIMIT)
        return ini_refuse(run, "more than %d sections", INI_COUNT_LIMIT);
    MEM_GROW(ini->sections, ini->len, ini->cap);
    ini->sections[ini->len++] = (struct ini_section){
        .ini = ini, .kind = STEAL(kind), .name = STEAL(name), .line = run->number
    };
    return 0;
}

/* `p` is behind the opening quote. */
static int
ini_take_quoted(const struct ini_run *run, const char *p, struct ini_entry *entry)
{
    char *out;

    entry->quoted = true;
    entry->value = out = mem_alloc((size_t)(run->line_end - p) + 1);
    for (; p < run->line_end && *p != '"'; p++) {
        if (*p == '\\' && p + 1 < run->line_end && (p[1] == '"' || p[1] == '\\'))
            p++;
        *out++ = *p;
    }
    *out = '\0';
    if (p == run->line_end) {
        (void)ini_refuse(run, "%s: the quote '\"' is not closed", entry->key);
        return error_hint(ERROR_USAGE, "a '\"' that belongs to the value is written \\\"");
    }
    if (!ini_is_rest(p + 1, run->line_end)) {
        (void)ini_refuse(run, "%s: there is text behind the closing '\"'", entry->key);
        return error_hint(ERROR_USAGE, "a '\"' that belongs to the value is written \\\"");
    }
    return 0;
}

/* `p` is behind the '='. */
static void
ini_take_plain(const struct ini_run *run, const char *p, struct ini_entry *entry)
{
    const char *end = p;

    while (end < run->line_end && !(ini_is_blank(*end) && end + 1 < run->line_end && (end[1] == ';' || end[1] == '#')))
        end++;
    entry->comment = end < run->line_end;
    entry->mark = entry->comment ? end[1] : '\0';
    p = ini_skip_blanks(p, end);
    entry->value = mem_strndup(p, (size_t)(ini_trim_end(p, end) - p));
}

static void
ini_entry_clear(struct ini_entry *entry)
{
    if (entry->value != NULL)
        explicit_bzero(entry->value, strlen(entry->value));
    free(entry->value);
    free(entry->key);
}

static int
ini_take_key(struct ini_run *run, const char *key)
{
    struct ini_section *section = &run->ini->sections[run->ini->len - 1];
    const char *value = (const char *)memchr(run->line, '=', (size_t)(run->line_end - run->line)) + 1;
    const char *start = ini_skip_blanks(value, run->line_end);
    const struct ini_entry *earlier = ini_entry(section, key);
    struct ini_entry entry = { .line = run->number };
    int rc = ini_take_name(run, "key", key, key + strlen(key), &entry.key);

    if (rc == 0 && earlier != NULL)
        rc = ini_refuse(run, "'%s' is there already, in line %u", key, earlier->line);
    if (rc == 0 && section->len == INI_COUNT_LIMIT)
        rc = ini_refuse(run, "more than %d keys in one section", INI_COUNT_LIMIT);
    if (rc == 0 && start < run->line_end && *start == '"')
        rc = ini_take_quoted(run, start + 1, &entry);
    else if (rc == 0)
        ini_take_plain(run, value, &entry);
    if (rc < 0) {
        ini_entry_clear(&entry);
        return rc;
    }
    MEM_GROW(section->entries, section->len, section->cap);
    section->entries[section->len++] = entry;
    return 0;
}

/* inih's handler. */
static int
ini_take(void *ctx, const char *section, const char *key, const char *value)
{
    struct ini_run *run = ctx;
    CLEANUP_FREE char *number = mem_printf("%u", run->number);
    bool equals = memchr(run->line, '=', (size_t)(run->line_end - run->line)) != NULL;

    run->awaited = false;
    if (*run->line == '[')
        run->rc = ini_take_section(run);
    else if (!equals || strcmp(value, number) != 0)
        run->rc = ini_refuse(run, "':' behind '%s' (wanted: '=')", key);
    else if (*section == '\0')
        run->rc = ini_refuse(run, "'%s' stands before the first section", key);
    else
        run->rc = ini_take_key(run, key);
    return run->rc == 0;
}

static int
ini_refuse_size(struct ini_run *run)
{
    run->number = 1;
    for (const char *p = run->next; p < run->next + INI_LIMIT_BYTES; p++)
        run->number += *p == '\n';
    return ini_refuse(run, "the file is larger than %d bytes", INI_LIMIT_BYTES);
}

int
ini_parse(const char *path, const char *text, size_t len, struct ini **ret_ini)
{
    CLEANUP(ini_free) struct ini *ini = mem_zalloc(sizeof *ini);
    struct ini_run run = { .ini = ini, .next = text, .end = text + len };
    int rc;

    ini->path = mem_strdup(path);
    ini->mode = 0600;
    ini->owner = geteuid();
    if (len > INI_LIMIT_BYTES)
        return ini_refuse_size(&run);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        run.next += 3;
    rc = ini_parse_stream(ini_read, &run, ini_take, &run);
    if (run.rc == 0)
        run.rc = ini_check_answered(&run);
    if (run.rc < 0)
        return run.rc;
    if (rc != 0)
        return ini_refuse(&run, "the INI parser gave up (%d)", rc);
    *ret_ini = STEAL(ini);
    return 0;
}

int
ini_load(const char *path, struct ini **ret_ini)
{
    CLEANUP_BUF struct buf text = BUF_SECRET_INIT(INI_LIMIT_BYTES + 1); /* the byte too many lets ini_parse refuse */
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    int rc;

    if (fd < 0)
        return error_errno(ERROR_USAGE, "could not open '%s'", path);
    if (fstat(fd, &st) < 0)
        return error_errno(ERROR_USAGE, "could not look at '%s'", path);
    rc = file_read_fd(fd, path, &text);
    if (rc < 0 && text.len <= INI_LIMIT_BYTES)
        return ERROR_USAGE;
    rc = ini_parse(path, text.data, text.len, ret_ini);
    if (rc < 0)
        return rc;
    (*ret_ini)->mode = st.st_mode & 07777;
    (*ret_ini)->owner = st.st_uid;
    return 0;
}

void
ini_free(struct ini *ini)
{
    if (ini == NULL)
        return;
    for (size_t i = 0; i < ini->len; i++) {
        struct ini_section *section = &ini->sections[i];

        for (size_t j = 0; j < section->len; j++)
            ini_entry_clear(&section->entries[j]);
        free(section->entries);
        free(section->kind);
        free(section->name);
    }
    free(ini->sections);
    free(ini->path);
    free(ini);
}

const struct ini_section *
ini_section(const struct ini *ini, const char *kind, const char *name)
{
    for (size_t i = 0; i < ini->len; i++)
        if (strcmp(ini->sections[i].kind, kind) == 0 && strcmp(ini->sections[i].name, name) == 0)
            return &ini->sections[i];
    return NULL;
}

const struct ini_entry *
ini_entry(const struct ini_section *section, const char *key)
{
    for (size_t i = 0; i < section->len; i++)
        if (strcmp(section->entries[i].key, key) == 0)
            return &section->entries[i];
    return NULL;
}
