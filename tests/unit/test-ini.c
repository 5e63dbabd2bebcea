/* SPDX-License-Identifier: PostgreSQL
 *
 * The INI file as written: what a line means, where a mistake is said to be, and
 * that no byte of a value is lost.
 */
#include "config.h"

#include "config/ini.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "unit.h"

enum { MIB = 1024 * 1024, LONG = 100000 };

static struct ini *
parsed(const char *text, size_t len)
{
    struct ini *ini = NULL;

    ck_assert_msg(ini_parse("t.ini", text, len, &ini) == 0, "%s", error_text());
    ck_assert_ptr_nonnull(ini);
    return ini;
}

static const struct value_row {
    const char *line;
    const char *value;
    bool quoted, comment;
} value_rows[] = {
    { "k = v", "v", false, false },
    { "k=v", "v", false, false },                   /* no blanks */
    { "  \tk \t=\t v \t", "v", false, false },      /* indented: no continuation of the line before */
    { "k = two words", "two words", false, false }, /* blanks inside stay */
    { "k = a = b: c", "a = b: c", false, false },   /* only the first '=' counts */
    { "k =", "", false, false },                    /* empty */
    { "k = [x]", "[x]", false, false },             /* no section */
    { "k = a;b#c", "a;b#c", false, false },         /* no blank before the mark */
    { "k =;x", ";x", false, false },                /* the same at the start */
    { "k = a\\b\"c'", "a\\b\"c'", false, false },   /* nothing is special inside plain text */
    { "k = v ; c", "v", false, true },              /* a comment */
    { "k = v # c ; d", "v", false, true },          /* the other mark; the first one counts */
    { "k = v\t;", "v", false, true },               /* a tab is a blank */
    { "k = ; c", "", false, true },                 /* nothing but a comment */
    { "k = \"v\"", "v", true, false },
    { "k = \"\"", "", true, false },                           /* empty on purpose */
    { "k = \"  v ; w # x  \"", "  v ; w # x  ", true, false }, /* blanks and marks are kept */
    { "k = \"a\\\"b\\\\c\\d\"", "a\"b\\c\\d", true, false },   /* \" and \\, any other backslash as it is */
    { "k = \"v\" ; c", "v", true, false },                     /* a comment behind the quote is one */
    { "k = \"v\"#c", "v", true, false },
    { "k = \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x98", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x98", false,
      false }, /* UTF-8 */
};

START_TEST(value_is_taken_as_written)
{
    const struct value_row *row = &value_rows[_i];
    CLEANUP_FREE char *text = mem_printf("[s]\nbefore = 1\n%s\nafter = 2\n", row->line);
    CLEANUP(ini_free) struct ini *ini = parsed(text, strlen(text));
    const struct ini_entry *entry = ini_entry(ini_section(ini, "s", ""), "k");

    ck_assert_ptr_nonnull(entry);
    ck_assert_str_eq(entry->value, row->value);
    ck_assert_int_eq(entry->quoted, row->quoted);
    ck_assert_int_eq(entry->comment, row->comment);
    ck_assert_uint_eq(entry->line, 3);
    ck_assert_str_eq(ini_entry(ini_section(ini, "s", ""), "after")->value, "2");
}
END_TEST

static const struct refusal_row {
    const char *text;
    const char *error;
} refusal_rows[] = {
    { "[s]\nk = v\nno equals\n", "t.ini:3: this is neither 'key = value' nor '[kind name]' nor a comment" },
    { "[s]\nlast line", "t.ini:2: this is neither 'key = value' nor '[kind name]' nor a comment" }, /* no line end */
    { "[s]\nk ; x = 1\n", "t.ini:2: this is neither 'key = value' nor '[kind name]' nor a comment" },
    { "[s]\nk: 2\n", "t.ini:2: ':' behind 'k' (wanted: '=')" }, /* 2 is the line's number, too */
    { "[s]\nurl: a = b\n", "t.ini:2: ':' behind 'url' (wanted: '=')" },
    { "\nk = v\n[s]\n", "t.ini:2: 'k' stands before the first section" },
    { "[s]\n= v\n", "t.ini:2: nothing stands before the '='" },
    { "[s]\nKey = v\n", "t.ini:2: bad key 'Key' (wanted: a-z, 0-9, '_' and '-')" },
    { "[s]\na b = v\n", "t.ini:2: bad key 'a b' (wanted: a-z, 0-9, '_' and '-')" },
    { "[s]\nk12345678901234567890123456789012345678901 = v\n", "t.ini:2: a key of 42 bytes (wanted: at most 40)" },
    { "[s]\nk = v\n\nk = v\n", "t.ini:4: 'k' is there already, in line 2" },
    { "[s x]\nk = v\n[t]\n[ s  x ]\n", "t.ini:4: [s x] is there already, in line 1" },
    { "[s]\n[t\n", "t.ini:2: '[' without ']'" },
    { "[]\n", "t.ini:1: a section without a kind (wanted: [kind] or [kind name])" },
    { "[s] x\n", "t.ini:1: there is text behind the ']'" },
    { "[a b c]\n", "t.ini:1: bad section name 'b c' (wanted: a-z, 0-9, '_' and '-')" },
    { "[store \"x\"]\n", "t.ini:1: bad section name '\"x\"' (wanted: a-z, 0-9, '_' and '-')" },
    { "[Store x]\n", "t.ini:1: bad section kind 'Store' (wanted: a-z, 0-9, '_' and '-')" },
    { "[store x2345678901234567890123456789012345678901]\n",
      "t.ini:1: a section name of 41 bytes (wanted: at most 40)" },
    { "[s]\nk = \"v\n", "t.ini:2: k: the quote '\"' is not closed" },
    { "[s]\nk = \"v\\\"\n", "t.ini:2: k: the quote '\"' is not closed" }, /* the last one is escaped */
    { "[s]\nk = \"v\" w\n", "t.ini:2: k: there is text behind the closing '\"'" },
    { "[s]\nk = v\x01\n", "t.ini:2: control character 0x01" },
    { "[s]\nk = v\x7f\n", "t.ini:2: control character 0x7f" },
    { "[s]\nk = v\rw\n", "t.ini:2: control character 0x0d" },  /* a CR that ends no line */
    { "[s]\n; \x1b[0m\n", "t.ini:2: control character 0x1b" }, /* comments, too */
    { "[s]\nk = \xff\n", "t.ini:2: byte 0xff is not UTF-8" },
    { "[s]\nk = \xc3\n", "t.ini:2: byte 0xc3 is not UTF-8" },             /* cut short */
    { "[s]\nk = \xc0\xaf\n", "t.ini:2: byte 0xc0 is not UTF-8" },         /* overlong */
    { "[s]\nk = \xe0\x80\xaf\n", "t.ini:2: byte 0xe0 is not UTF-8" },     /* overlong */
    { "[s]\nk = \xed\xa0\x80\n", "t.ini:2: byte 0xed is not UTF-8" },     /* a surrogate */
    { "[s]\nk = \xf4\x90\x80\x80\n", "t.ini:2: byte 0xf4 is not UTF-8" }, /* above U+10FFFF */
    { "[s]\n\xef\xbb\xbfk = v\n", "t.ini:2: bad key '\xef\xbb\xbfk' (wanted: a-z, 0-9, '_' and '-')" },
    { "bad\n[bad\n",
      "t.ini:1: this is neither 'key = value' nor '[kind name]' nor a comment" }, /* the first one is told */
};

START_TEST(mistake_is_refused_with_its_line)
{
    const struct refusal_row *row = &refusal_rows[_i];
    struct ini *ini = NULL;

    ck_assert_int_eq(ini_parse("t.ini", row->text, strlen(row->text), &ini), ERROR_USAGE);
    ck_assert_str_eq(error_text(), row->error);
    ck_assert_ptr_null(ini);
}
END_TEST

START_TEST(nul_byte_is_refused)
{
    static const char text[] = "[s]\nk = a\0b\n";
    struct ini *ini = NULL;

    ck_assert_int_eq(ini_parse("t.ini", text, sizeof text - 1, &ini), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "t.ini:2: a NUL byte");
}
END_TEST

/* What a value is made of, how it is written, and what stands before and behind it. */
static const struct long_row {
    const char *piece, *written, *before, *behind;
} long_rows[] = {
    { "x", "x", "", "" },             /* inih cuts at 200 bytes */
    { "word ", "word ", "\"", "\"" }, /* blanks at the end */
    { " ; no comment # here", " ; no comment # here", "\"", "\"" },
    { "\"quoted\" \\", "\\\"quoted\\\" \\\\", "\"", "\"" },
    { "a;b#c'\"\\", "a;b#c'\"\\", "", "" }, /* the same without blanks needs no quotes */
    { "\xe2\x82\xac", "\xe2\x82\xac", "", "" },
};

START_TEST(long_value_survives_byte_for_byte)
{
    const struct long_row *row = &long_rows[_i];
    struct buf text = BUF_INIT(MIB), want = BUF_INIT(MIB);
    CLEANUP(ini_free) struct ini *ini = NULL;

    ck_assert_int_eq(buf_addf(&text, "[s]\nk = %s", row->before), 0);
    while (want.len < LONG) {
        ck_assert_int_eq(buf_adds(&want, row->piece), 0);
        ck_assert_int_eq(buf_adds(&text, row->written), 0);
    }
    ck_assert_int_eq(buf_addf(&text, "%s\nlast = 1\n", row->behind), 0);
    ini = parsed(text.data, text.len);
    ck_assert_uint_eq(strlen(ini_entry(&ini->sections[0], "k")->value), want.len);
    ck_assert_str_eq(ini_entry(&ini->sections[0], "k")->value, want.data);
    ck_assert_uint_eq(ini_entry(&ini->sections[0], "last")->line, 3);
    buf_free(&text);
    buf_free(&want);
}
END_TEST

START_TEST(file_of_the_largest_size_is_read_and_one_byte_more_is_not)
{
    char *text = mem_alloc(MIB + 1);
    struct ini *ini, *none = NULL;

    memset(text, 'v', MIB + 1);
    memcpy(text, "[s]\n\nk=", 7);
    ini = parsed(text, MIB);
    ck_assert_uint_eq(strlen(ini_entry(&ini->sections[0], "k")->value), MIB - 7);
    ini_free(ini);
    ck_assert_int_eq(ini_parse("t.ini", text, MIB + 1, &none), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "t.ini:3: the file is larger than 1048576 bytes");
    free(text);
}
END_TEST

START_TEST(sections_and_keys_are_counted)
{
    struct buf sections = BUF_INIT(MIB), keys = BUF_INIT(MIB);
    struct ini *ini;

    ck_assert_int_eq(buf_adds(&keys, "[s]\n"), 0);
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(buf_addf(&sections, "[s n%d]\n", i), 0);
        ck_assert_int_eq(buf_addf(&keys, "k%d = v\n", i), 0);
    }
    ini_free(parsed(sections.data, sections.len));
    ini_free(parsed(keys.data, keys.len));
    ck_assert_int_eq(buf_adds(&sections, "[one too many]\n"), 0);
    ck_assert_int_eq(buf_adds(&keys, "k = v\n"), 0);
    ck_assert_int_eq(ini_parse("t.ini", sections.data, sections.len, &ini), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "t.ini:1001: bad section name 'too many' (wanted: a-z, 0-9, '_' and '-')");
    sections.len -= strlen(" many]\n");
    ck_assert_int_eq(buf_adds(&sections, "]\n"), 0);
    ck_assert_int_eq(ini_parse("t.ini", sections.data, sections.len, &ini), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "t.ini:1001: more than 1000 sections");
    ck_assert_int_eq(ini_parse("t.ini", keys.data, keys.len, &ini), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "t.ini:1002: more than 1000 keys in one section");
    buf_free(&sections);
    buf_free(&keys);
}
END_TEST

START_TEST(shape_of_a_file_is_kept)
{
    static const char text[] = "\xef\xbb\xbf; a mark and a comment\r\n"
                               "[pgcask]\r\n"
                               "[store  far_away-2]\t; empty\r\n"
                               "   # indented\r\n"
                               "\r\n"
                               "[cluster main]\r\n"
                               "conninfo = host=h\r\n"
                               "  bindir = /b";
    CLEANUP(ini_free) struct ini *ini = parsed(text, sizeof text - 1);

    ck_assert_uint_eq(ini->len, 3);
    ck_assert_ptr_eq(ini->sections[0].ini, ini);
    ck_assert_str_eq(ini->sections[0].kind, "pgcask");
    ck_assert_str_eq(ini->sections[0].name, "");
    ck_assert_uint_eq(ini->sections[0].len, 0);
    ck_assert_str_eq(ini->sections[1].name, "far_away-2");
    ck_assert_uint_eq(ini->sections[1].line, 3);
    ck_assert_ptr_eq(ini_section(ini, "cluster", "main"), &ini->sections[2]);
    ck_assert_ptr_null(ini_section(ini, "cluster", "other"));
    ck_assert_ptr_null(ini_entry(&ini->sections[2], "plugin"));
    ck_assert_str_eq(ini_entry(&ini->sections[2], "conninfo")->value, "host=h");
    ck_assert_str_eq(ini_entry(&ini->sections[2], "bindir")->value, "/b");
    ck_assert_uint_eq(ini_entry(&ini->sections[2], "bindir")->line, 8);
}
END_TEST

START_TEST(text_without_a_section_is_empty)
{
    static const char *const texts[] = { "", "\n\n", "; only\n# comments", "\xef\xbb\xbf" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct ini *ini = parsed(texts[i], strlen(texts[i]));

        ck_assert_uint_eq(ini->len, 0);
        ini_free(ini);
    }
}
END_TEST

START_TEST(file_is_loaded_with_its_mode_and_owner)
{
    char path[] = "/tmp/pgcask-test-ini-XXXXXX";
    int fd = mkstemp(path);
    struct ini *ini = NULL;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(file_write_all(fd, "[s]\nk = v\n", 10, path), 0);
    ck_assert_int_eq(fchmod(fd, 0640), 0);
    (void)close(fd);
    ck_assert_msg(ini_load(path, &ini) == 0, "%s", error_text());
    ck_assert_str_eq(ini->path, path);
    ck_assert_uint_eq(ini->mode, 0640);
    ck_assert_uint_eq(ini->owner, geteuid());
    ck_assert_str_eq(ini_entry(&ini->sections[0], "k")->value, "v");
    ini_free(ini);
    ck_assert_int_eq(truncate(path, 3 * MIB), 0); /* zeroes, but first of all too many */
    ck_assert_int_eq(ini_load(path, &ini), ERROR_USAGE);
    ck_assert_error_has(":3: the file is larger than 1048576 bytes");
    (void)unlink(path);
    ck_assert_int_eq(ini_load(path, &ini), ERROR_USAGE);
    ck_assert_error_has("could not open '/tmp/pgcask-test-ini-");
    ck_assert_int_eq(ini_load("/tmp", &ini), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "could not read '/tmp': Is a directory");
}
END_TEST

static Suite *
ini_suite(void)
{
    Suite *suite = suite_create("ini");
    TCase *tcase = tcase_create("ini");

    tcase_add_loop_test(tcase, value_is_taken_as_written, 0, ARRAY_LEN(value_rows));
    tcase_add_loop_test(tcase, mistake_is_refused_with_its_line, 0, ARRAY_LEN(refusal_rows));
    tcase_add_test(tcase, nul_byte_is_refused);
    tcase_add_loop_test(tcase, long_value_survives_byte_for_byte, 0, ARRAY_LEN(long_rows));
    tcase_add_test(tcase, file_of_the_largest_size_is_read_and_one_byte_more_is_not);
    tcase_add_test(tcase, sections_and_keys_are_counted);
    tcase_add_test(tcase, shape_of_a_file_is_kept);
    tcase_add_test(tcase, text_without_a_section_is_empty);
    tcase_add_test(tcase, file_is_loaded_with_its_mode_and_owner);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(ini_suite)
