/* SPDX-License-Identifier: PostgreSQL
 *
 * Sections and words poured into a struct: where each mistake is said to be,
 * where secrets come from and where they must not stand.
 */
#include "config.h"

#include "config/option.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "unit.h"

struct sample {
    const char *string;
    const char *secret;
    const char *path;
    int flag;
    int64_t number, size, duration, plain;
    const char *choice;
    const char *list;
    const char *conninfo;
};

static const struct pgcask_option sample_options[] = {
    { "string", PGCASK_OPTION_STRING, 0, "fallback", "free text", offsetof(struct sample, string) },
    { "secret", PGCASK_OPTION_SECRET, 0, NULL, "not to be seen", offsetof(struct sample, secret) },
    { "path", PGCASK_OPTION_PATH, PGCASK_OPTION_REQUIRED, NULL, "where", offsetof(struct sample, path) },
    { "flag", PGCASK_OPTION_BOOL, 0, "yes", "yes or no", offsetof(struct sample, flag) },
    { "number", PGCASK_OPTION_INT, 0, "3", "a number", offsetof(struct sample, number), .min = 1, .max = 19 },
    { "size", PGCASK_OPTION_SIZE, 0, "8MiB", "bytes", offsetof(struct sample, size), .min = 1024, .max = 1LL << 30 },
    { "duration", PGCASK_OPTION_DURATION, 0, "5min", "time", offsetof(struct sample, duration), .min = 100,
      .max = 3600000 },
    { "plain", PGCASK_OPTION_INT, 0, NULL, NULL, offsetof(struct sample, plain) },
    { "choice", PGCASK_OPTION_ENUM, 0, "one", "of two", offsetof(struct sample, choice), .choices = "one|two" },
    { "list", PGCASK_OPTION_LIST, 0, NULL, "words", offsetof(struct sample, list) },
    { "conninfo", PGCASK_OPTION_STRING, OPTION_CONNINFO, NULL, "for libpq", offsetof(struct sample, conninfo) },
};
static const struct option_table sample_table = OPTION_TABLE(sample_options, struct sample);

/* Fill from "[store x]\npath = /p\n" and `lines`, which begin in line 3. */
static int
fill(const char *lines, const struct option_table *other, struct option_set **ret_set)
{
    CLEANUP_FREE char *text = mem_printf("[store x]\npath = /p\n%s", lines);
    struct ini *ini = NULL;
    int rc;

    ck_assert_msg(ini_parse("t.ini", text, strlen(text), &ini) == 0, "%s", error_text());
    rc = option_fill(&sample_table, other, &ini->sections[0], ret_set);
    ini_free(ini); /* a set does not need its section */
    return rc;
}

struct shown {
    const char *key;
    char *value, *origin;
};

static void
show_one(void *ctx, const char *key, const char *value, const char *origin)
{
    struct shown *shown = ctx;

    if (strcmp(key, shown->key) != 0)
        return;
    shown->value = mem_strdup(value ? value : "(null)");
    shown->origin = mem_strdup(origin);
}

static const struct value_row {
    const char *line;
    const char *value; /* as shown */
    const char *origin;
} value_rows[] = {
    { "string = some text", "some text", "t.ini:3" },
    { "string =", "", "t.ini:3" }, /* nothing instead of the default */
    { "string = \"a ; b\"", "a ; b", "t.ini:3" },
    { "; string", "fallback", "default" },
    { "secret = hush", "***", "t.ini:3" },
    { "; secret", "(null)", "default" },
    { "path", "/p", "t.ini:2" },
    { "flag = OFF", "no", "t.ini:3" },
    { "flag = 1 ; comment", "yes", "t.ini:3" }, /* cannot be part of the value */
    { "number = 19 # comment", "19", "t.ini:3" },
    { "size = 64KiB ; comment", "64KiB", "t.ini:3" },
    { "duration = 1h # comment", "1h", "t.ini:3" },
    { "plain = 99999999999", "99999999999", "t.ini:3" },
    { "; plain", "(null)", "default" },
    { "choice = two ; comment", "two", "t.ini:3" },
    { "list = a, b\tc  ,, 'd e' ; comment", "a b c 'd e'", "t.ini:3" }, /* one blank between words, quotes kept */
    { "list = 'it''s' o'brien", "'it''s' o'brien", "t.ini:3" },
    { "list =", "(null)", "t.ini:3" },
    { "list = ,, ,", "(null)", "t.ini:3" },
    { "conninfo = host=h password=hush user=u", "user=u password=*** host=h", "t.ini:3" },
};

START_TEST(value_is_shown_with_its_origin)
{
    const struct value_row *row = &value_rows[_i];
    CLEANUP(option_set_free) struct option_set *set = NULL;
    CLEANUP_FREE char *key = mem_strndup(row->line, strcspn(row->line, " "));
    const char *word = *row->line == ';' ? row->line + 2 : key;
    struct shown shown = { .key = word };

    ck_assert_msg(fill(strchr(row->line, '=') ? row->line : "", NULL, &set) == 0, "%s", error_text());
    option_show(set, show_one, &shown);
    ck_assert_str_eq(shown.value, row->value);
    ck_assert_str_eq(shown.origin, row->origin);
    free(shown.value);
    free(shown.origin);
}
END_TEST

START_TEST(struct_is_filled)
{
    CLEANUP(option_set_free) struct option_set *set = NULL;
    const struct sample *sample;

    ck_assert_msg(fill("secret = \"hush ; hush\"\nflag = no\nnumber = 7\nsize = 1MiB\nduration = 1.5s\nplain = 5\n"
                       "choice = two\nlist = a,b\nstring = s\nconninfo = postgresql://u:p@h/d\n",
                       NULL, &set) == 0,
                  "%s", error_text());
    sample = option_settings(set);
    ck_assert_str_eq(sample->string, "s");
    ck_assert_str_eq(sample->secret, "hush ; hush");
    ck_assert_str_eq(sample->path, "/p");
    ck_assert_int_eq(sample->flag, 0);
    ck_assert_int_eq(sample->number, 7);
    ck_assert_int_eq(sample->size, 1 << 20);
    ck_assert_int_eq(sample->duration, 1500);
    ck_assert_int_eq(sample->plain, 5);
    ck_assert_str_eq(sample->choice, "two");
    ck_assert_str_eq(sample->list, "a b");
    ck_assert_str_eq(sample->conninfo, "postgresql://u:p@h/d");
}
END_TEST

START_TEST(defaults_fill_what_is_not_given)
{
    CLEANUP(option_set_free) struct option_set *set = NULL;
    const struct sample *sample;

    ck_assert_msg(fill("", NULL, &set) == 0, "%s", error_text());
    sample = option_settings(set);
    ck_assert_str_eq(sample->string, "fallback");
    ck_assert_ptr_null(sample->secret);
    ck_assert_int_eq(sample->flag, 1);
    ck_assert_int_eq(sample->number, 3);
    ck_assert_int_eq(sample->size, 8 << 20);
    ck_assert_int_eq(sample->duration, 300000);
    ck_assert_int_eq(sample->plain, 0);
    ck_assert_str_eq(sample->choice, "one");
    ck_assert_ptr_null(sample->list);
    ck_assert_ptr_null(sample->conninfo);
}
END_TEST

#define AMBIGUOUS "put the value in double quotes, or the comment on a line of its own"
#define LIBPQ_CURE "write host=… dbname=… user=…"

static const struct refusal_row {
    const char *lines; /* from line 3 on */
    const char *error; /* behind "t.ini:" */
    const char *hint;  /* how it begins; NULL: none */
} refusal_rows[] = {
    { "nmber = 1", "3: [store x]: unknown key 'nmber'", "did you mean 'number'?" },
    { "secret_fle = /x", "3: [store x]: unknown key 'secret_fle'", "did you mean 'secret_file'?" },
    { "qqqqqqqqqqqq = 1", "3: [store x]: unknown key 'qqqqqqqqqqqq'",
      "known here: string, secret, secret_file, secret_env, " },
    { "path_file = /x", "3: [store x]: unknown key 'path_file'", "known here: " }, /* not a secret */
    { "string = a ; b", "3: [store x]: string: ' ;' in an unquoted value is ambiguous", AMBIGUOUS },
    { "string = a # b", "3: [store x]: string: ' #' in an unquoted value is ambiguous", AMBIGUOUS },
    { "secret = a ; b", "3: [store x]: secret: ' ;' in an unquoted value is ambiguous", AMBIGUOUS },
    { "secret_file = /a ; b", "3: [store x]: secret_file: ' ;' in an unquoted value is ambiguous", AMBIGUOUS },
    { "secret_command = a ; b", "3: [store x]: secret_command: ' ;' in an unquoted value is ambiguous", AMBIGUOUS },
    { "flag = maybe", "3: [store x]: flag: 'maybe' is neither yes nor no", NULL },
    { "flag =", "3: [store x]: flag: '' is neither yes nor no", NULL },
    { "\nnumber = 20", "4: [store x]: number: '20' is out of range (wanted: 1 to 19)", NULL },
    { "number = 0", "3: [store x]: number: '0' is out of range (wanted: 1 to 19)", NULL },
    { "number = 7x", "3: [store x]: number: '7x' is not a whole number", NULL },
    { "number = 99999999999999999999", "3: [store x]: number: '99999999999999999999' is not a whole number", NULL },
    { "plain = -1", "3: [store x]: plain: '-1' is below 0", NULL }, /* no limits: not below 0 */
    { "size = 8X",
      "3: [store x]: size: '8X' is not a size (wanted: a number with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB)", NULL },
    { "size = 2GiB", "3: [store x]: size: '2GiB' is out of range (wanted: 1.0 KiB to 1.0 GiB)", NULL },
    { "duration = 10", "3: [store x]: duration: '10' is not a duration (wanted: a number with ms, s, min, h, d or w)",
      NULL },
    { "duration = 1d", "3: [store x]: duration: '1d' is out of range (wanted: 0.1 s to 1 h 00 min)", NULL },
    { "choice = three", "3: [store x]: choice: 'three' is not a choice (wanted: one, two)", NULL },
    { "choice = one|two", "3: [store x]: choice: 'one|two' is not a choice (wanted: one, two)", NULL },
    { "list = a 'b c", "3: [store x]: list: a word's quote (') is not closed", NULL },
    { "list = 'a'b", "3: [store x]: list: there is text right behind a word's closing quote (')", NULL },
    { "list = ''", "3: [store x]: list: '' is no word", NULL },
    { "secret_file = rel", "3: [store x]: secret_file: 'rel' is not an absolute path", NULL },
    { "secret =", "3: [store x]: secret: the value is empty", NULL },
    { "secret = \"\"", "3: [store x]: secret: the value is empty", NULL },
    { "secret = a\n\nsecret_env = B",
      "5: [store x]: secret_env: 'secret' in line 3 gives it already (wanted: one of the two)", NULL },
    { "secret_file = /a\nsecret_command = b",
      "4: [store x]: secret_command: 'secret_file' in line 3 gives it already (wanted: one of the two)", NULL },
    { "secret_env = PGCASK_TEST_NOT_SET",
      "3: [store x]: secret_env: secret: the environment has no variable 'PGCASK_TEST_NOT_SET'", NULL },
    { "secret_command = false", "3: [store x]: secret_command: command for secret: ", NULL },
    { "secret_command = true", "3: [store x]: secret_command: secret is empty", NULL },
    { "secret_command = printf a\\nb", "3: [store x]: secret_command: secret has more than one line", NULL },
    { "secret_file = /nonexistent/x",
      "3: [store x]: secret_file: could not read secret file '/nonexistent/x': No such file or directory", NULL },
    { "conninfo = hots=h", "3: [store x]: conninfo: invalid connection option \"hots\"", LIBPQ_CURE },
    { "conninfo = password=my hush",
      "3: [store x]: conninfo: libpq cannot read this connection string (not shown: it may hold "
      "a password)",
      LIBPQ_CURE },
    { "secret_command = touch /tmp/pgcask-test-option-ran\nnumber = x",
      "4: [store x]: number: 'x' is not a whole number", NULL }, /* mistakes first, then commands */
};

START_TEST(mistake_is_refused_with_its_line)
{
    const struct refusal_row *row = &refusal_rows[_i];
    CLEANUP_FREE char *want = mem_printf("t.ini:%s", row->error);
    struct option_set *set = NULL;

    (void)unsetenv("PGCASK_TEST_NOT_SET");
    (void)unlink("/tmp/pgcask-test-option-ran");
    ck_assert_int_eq(fill(row->lines, NULL, &set), ERROR_USAGE);
    ck_assert_ptr_null(set);
    if (want[strlen(want) - 1] == ' ') /* what follows is the program's own */
        ck_assert_error_has(want);
    else
        ck_assert_str_eq(error_text(), want);
    if (row->hint == NULL)
        ck_assert_ptr_null(error_cure());
    else
        ck_assert_msg(error_cure() && strncmp(error_cure(), row->hint, strlen(row->hint)) == 0, "hint is '%s'",
                      error_cure());
    ck_assert(!file_exists("/tmp/pgcask-test-option-ran"));
}
END_TEST

START_TEST(missing_key_is_refused_at_its_section)
{
    static const char text[] = "\n[store x]\nflag = no\n[store y]\npath =\n[store]\n";
    static const char *const errors[] = { "t.ini:2: [store x]: 'path' is missing",
                                          "t.ini:5: [store y]: path: the value is empty",
                                          "t.ini:6: [store]: 'path' is missing" };
    CLEANUP(ini_free) struct ini *ini = NULL;
    struct option_set *set = NULL;

    ck_assert_int_eq(ini_parse("t.ini", text, sizeof text - 1, &ini), 0);
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        ck_assert_int_eq(option_fill(&sample_table, NULL, &ini->sections[i], &set), ERROR_USAGE);
        ck_assert_str_eq(error_text(), errors[i]);
    }
    ck_assert_int_eq(option_fill(&sample_table, NULL, NULL, &set), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "'path' is missing");
    ck_assert_str_eq(error_cure(), "path: where");
}
END_TEST

START_TEST(required_list_of_nothing_is_refused)
{
    static const struct pgcask_option options[] = { { "list", PGCASK_OPTION_LIST, PGCASK_OPTION_REQUIRED, NULL, NULL,
                                                      0 } };
    static const struct option_table table = OPTION_TABLE(options, char *);
    static const char *const words[] = { "list= ,," };
    struct option_set *set = NULL;

    ck_assert_int_eq(option_fill_words(&table, words, 1, &set), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "'list=': the list is empty");
}
END_TEST

START_TEST(keys_of_the_other_table_are_left_alone)
{
    static const struct pgcask_option options[] = { { "bucket", PGCASK_OPTION_STRING, 0, NULL, NULL, 0 },
                                                    { "token", PGCASK_OPTION_SECRET, 0, NULL, NULL, 0 } };
    static const struct option_table other = OPTION_TABLE(options, char *);
    struct option_set *set = NULL;

    ck_assert_msg(fill("bucket = b ; c\ntoken_file = x", &other, &set) == 0, "%s", error_text());
    option_set_free(set);
    set = NULL;
    ck_assert_int_eq(fill("bukcet = b", &other, &set), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "t.ini:3: [store x]: unknown key 'bukcet'");
    ck_assert_str_eq(error_cure(), "did you mean 'bucket'?");
    ck_assert_msg(fill("anything = b ; c", &option_table_any, &set) == 0, "%s", error_text());
    option_set_free(set);
}
END_TEST

/* A file in /tmp with `text` and `mode`; the caller unlinks and frees. */
static char *
file_with(const char *text, mode_t mode)
{
    char *path = mem_strdup("/tmp/pgcask-test-option-XXXXXX");
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(file_write_all(fd, text, strlen(text), path), 0);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    (void)close(fd);
    return path;
}

START_TEST(secret_comes_from_each_source)
{
    CLEANUP_FREE char *path = file_with("hush\n", 0600);
    CLEANUP_FREE char *from_file = mem_printf("secret_file = %s", path);
    const char *const lines[] = { "secret = hush", from_file, "secret_env = PGCASK_TEST_SECRET",
                                  "secret_command = echo hush" };

    (void)setenv("PGCASK_TEST_SECRET", "hush", 1);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct option_set *set = NULL;
        const struct sample *sample;
        struct shown shown = { .key = "secret" };

        ck_assert_msg(fill(lines[i], NULL, &set) == 0, "%s", error_text());
        sample = option_settings(set);
        ck_assert_str_eq(sample->secret, "hush");
        option_show(set, show_one, &shown);
        ck_assert_str_eq(shown.value, "***");
        ck_assert_str_eq(shown.origin, "t.ini:3");
        free(shown.value);
        free(shown.origin);
        option_set_free(set);
    }
    (void)unlink(path);
}
END_TEST

START_TEST(secret_file_must_be_private)
{
    CLEANUP_FREE char *path = file_with("hush\n", 0640);
    CLEANUP_FREE char *line = mem_printf("secret_file = %s", path);
    CLEANUP_FREE char *want = mem_printf(
        "t.ini:3: [store x]: secret_file: secret file '%s' can be used by others than its owner "
        "(mode 0640, wanted 0600)",
        path);
    struct option_set *set = NULL;

    ck_assert_int_eq(fill(line, NULL, &set), ERROR_USAGE);
    ck_assert_str_eq(error_text(), want);
    (void)unlink(path);
}
END_TEST

static const struct exposed_row {
    const char *line;
    bool refused;
    const char *hint;
} exposed_rows[] = {
    { "secret = hush", true, "chmod 600 't.ini', or use secret_file, secret_env or secret_command" },
    { "conninfo = host=h password=hush", true, "chmod 600 't.ini', or keep the password out of the connection string" },
    { "conninfo = postgresql://u:hush@h/d", true,
      "chmod 600 't.ini', or keep the password out of the connection string" },
    { "conninfo = postgresql://h/d?password=hush", true,
      "chmod 600 't.ini', or keep the password out of the connection string" },
    { "conninfo = host=h user=u", false, NULL },
    { "secret_command = echo hush", false, NULL },
    { "secret_env = PATH", false, NULL },
};

START_TEST(secret_in_a_readable_file_is_refused)
{
    const struct exposed_row *row = &exposed_rows[_i];
    CLEANUP_FREE char *key = mem_strndup(row->line, strcspn(row->line, " "));
    CLEANUP_FREE char *text = mem_printf("[store x]\npath = /p\n%s\n", row->line);
    CLEANUP_FREE char *want = mem_printf(
        "t.ini:3: [store x]: %s: a secret in a file that others can read (mode 0604, wanted 0600)", key);
    CLEANUP(option_set_free) struct option_set *set = NULL;
    CLEANUP(ini_free) struct ini *ini = NULL;

    ck_assert_int_eq(ini_parse("t.ini", text, strlen(text), &ini), 0);
    ini->mode = 0604;
    ck_assert_int_eq(option_fill(&sample_table, NULL, &ini->sections[0], &set), row->refused ? ERROR_USAGE : 0);
    if (row->refused) {
        ck_assert_str_eq(error_text(), want);
        ck_assert_str_eq(error_cure(), row->hint);
    }
}
END_TEST

static const struct words_row {
    const char *words[3];
    const char *error; /* NULL: good */
} words_rows[] = {
    { { "path=/p" }, NULL },
    { { "path=/p", "string=a = b ; c" }, NULL }, /* the shell did the quoting */
    { { "path=/p", "secret_env=PATH" }, NULL },
    { { "string=x" }, "'path' is missing" },
    { { "path=/p", "number=20" }, "'number=': '20' is out of range (wanted: 1 to 19)" },
    { { "path=/p", "number" }, "'number' is not key=value" },
    { { "path=/p", "nmber=hush" }, "unknown key 'nmber'" }, /* the value may be a secret */
    { { "path=/p", "path=/q" }, "'path=': 'path=' is given, too (wanted: one of the two)" },
    { { "path=/p", "secret_env=PATH", "secret_file=/x" },
      "'secret_file=': 'secret_env=' is given, too (wanted: one of the two)" },
    { { "path=/p", "secret=hush" },
      "'secret=': a secret must not be written on a command line, where others can read it" },
    { { "path=/p", "conninfo=password=hush" },
      "'conninfo=': a secret must not be written on a command line, where others can read it" },
};

START_TEST(words_of_a_command_line_are_taken_or_named)
{
    const struct words_row *row = &words_rows[_i];
    CLEANUP(option_set_free) struct option_set *set = NULL;
    size_t count = 0;
    int rc;

    while (count < ARRAY_LEN(row->words) && row->words[count] != NULL)
        count++;
    rc = option_fill_words(&sample_table, row->words, count, &set);
    ck_assert_msg(rc == (row->error ? ERROR_USAGE : 0), "%d: %s", rc, error_text());
    if (row->error != NULL)
        ck_assert_str_eq(error_text(), row->error);
}
END_TEST

START_TEST(long_value_survives)
{
    CLEANUP_FREE char *value = mem_alloc(100001);
    CLEANUP_FREE char *lines = NULL;
    CLEANUP(option_set_free) struct option_set *set = NULL;
    const struct sample *sample;

    for (size_t i = 0; i < 100000; i++)
        value[i] = "abc ; d#e"[i % 9];
    value[100000] = '\0';
    lines = mem_printf("string = \"%s\"", value);
    ck_assert_msg(fill(lines, NULL, &set) == 0, "%s", error_text());
    sample = option_settings(set);
    ck_assert_str_eq(sample->string, value);
}
END_TEST

static Suite *
option_suite(void)
{
    Suite *suite = suite_create("option");
    TCase *tcase = tcase_create("option");

    tcase_add_loop_test(tcase, value_is_shown_with_its_origin, 0, ARRAY_LEN(value_rows));
    tcase_add_test(tcase, struct_is_filled);
    tcase_add_test(tcase, defaults_fill_what_is_not_given);
    tcase_add_loop_test(tcase, mistake_is_refused_with_its_line, 0, ARRAY_LEN(refusal_rows));
    tcase_add_test(tcase, missing_key_is_refused_at_its_section);
    tcase_add_test(tcase, required_list_of_nothing_is_refused);
    tcase_add_test(tcase, keys_of_the_other_table_are_left_alone);
    tcase_add_test(tcase, secret_comes_from_each_source);
    tcase_add_test(tcase, secret_file_must_be_private);
    tcase_add_loop_test(tcase, secret_in_a_readable_file_is_refused, 0, ARRAY_LEN(exposed_rows));
    tcase_add_loop_test(tcase, words_of_a_command_line_are_taken_or_named, 0, ARRAY_LEN(words_rows));
    tcase_add_test(tcase, long_value_survives);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(option_suite)
