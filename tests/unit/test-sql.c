/* SPDX-License-Identifier: PostgreSQL
 *
 * Tokens, names and statements of SQL as pg_dump writes it.
 */
#include "config.h"

#include "pg/sql.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

/* `kinds`: one letter for each token, blanks too: I dent, S tring, N umber, O ther, M eta, _ blank.
 * `text` of the `which`th one. */
static const struct token_row {
    const char *sql;
    const char *kinds;
    size_t which;
    const char *text;
} token_rows[] = {
    { "", "", 0, NULL },
    { " \t\n", "_", 0, " \t\n" },
    { "select 1", "I_N", 0, "select" },
    { "größe_1$x.y", "IOI", 0, "größe_1$x" },
    { "\"a\"\"b\".\"c d\"", "IOI", 0, "\"a\"\"b\"" },
    { "\"it's; -- no\"", "I", 0, "\"it's; -- no\"" },
    { "'it''s'", "S", 0, "'it''s'" },
    { "'back\\'", "S", 0, "'back\\'" },                     /* no escape: standard strings */
    { "E'it\\'s' 'x'", "S_S", 0, "E'it\\'s'" },
    { "e'\\\\'", "S", 0, "e'\\\\'" },
    { "E 'x'", "I_S", 0, "E" },                             /* an identifier, then a string */
    { "$$it's$$", "S", 0, "$$it's$$" },
    { "$a$ $b$ $$ $a$x", "SI", 0, "$a$ $b$ $$ $a$" },
    { "$1+$2", "ONOON", 0, "$" },                           /* parameters */
    { "a$b$c", "I", 0, "a$b$c" },                           /* a dollar within a name quotes nothing */
    { "1.5e-3+.5", "NON", 0, "1.5e-3" },
    { "1e", "NI", 0, "1" },
    { "-- it's\n/* a /* nested */ ; */x", "_I", 0, "-- it's\n/* a /* nested */ ; */" },
    { "a--b", "I_", 1, "--b" },
    { "a-b/c", "IOIOI", 1, "-" },
    { "'x'::pg_catalog.regclass", "SOOIOI", 5, "regclass" },
    { "\\restrict a'b\nselect", "M_I", 0, "\\restrict a'b" },
};

static char
kind_letter(enum sql_kind kind)
{
    static const char letters[] = { [SQL_SPACE] = '_', [SQL_IDENT] = 'I', [SQL_STRING] = 'S',
                                    [SQL_NUMBER] = 'N', [SQL_OTHER] = 'O', [SQL_META] = 'M' };

    return letters[kind];
}

START_TEST(text_falls_into_tokens)
{
    const struct token_row *row = &token_rows[_i];
    const char *at = row->sql;
    struct sql_token token;

    for (size_t i = 0; i < strlen(row->kinds); i++) {
        const char *start = at;

        ck_assert_int_eq(sql_next(&at, &token), 0);
        ck_assert_int_ne(token.kind, SQL_END);
        ck_assert_msg(kind_letter(token.kind) == row->kinds[i], "token %zu is %c", i, kind_letter(token.kind));
        ck_assert_ptr_eq(token.start, start); /* nothing is lost between tokens */
        ck_assert_ptr_eq(token.start + token.len, at);
        if (i == row->which) {
            ck_assert_uint_eq(token.len, strlen(row->text));
            ck_assert_mem_eq(token.start, row->text, token.len);
        }
    }
    for (int i = 0; i < 2; i++) { /* the end stays the end */
        ck_assert_int_eq(sql_next(&at, &token), 0);
        ck_assert_int_eq(token.kind, SQL_END);
        ck_assert_uint_eq(token.len, 0);
    }
}
END_TEST

static const struct unclosed_row {
    const char *sql, *what;
} unclosed_rows[] = {
    { "'abc", "unclosed quote" },
    { "'abc''", "unclosed quote" },
    { "E'abc\\'", "unclosed quote" },
    { "E'abc\\", "unclosed quote" },
    { "\"abc", "unclosed quote" },
    { "$$abc$", "unclosed quote" },
    { "$x$abc$y$", "unclosed quote" },
    { "/* /* */", "unclosed comment" },
    { "/*/", "unclosed comment" },
};

START_TEST(unclosed_quote_or_comment_is_corrupt)
{
    const char *at = unclosed_rows[_i].sql;
    struct strv statements = { 0 };
    struct sql_token token;

    ck_assert_int_eq(sql_next(&at, &token), ERROR_CORRUPT);
    ck_assert_error_has(unclosed_rows[_i].what);
    ck_assert_ptr_null(strstr(error_text(), "abc")); /* it may be a password */
    ck_assert_int_eq(sql_split(unclosed_rows[_i].sql, &statements), ERROR_CORRUPT);
    ck_assert_uint_eq(statements.len, 0);
}
END_TEST

START_TEST(next_word_passes_over_blanks_and_comments)
{
    const char *at = " /* x */ -- y\n word";
    struct sql_token token;

    ck_assert_int_eq(sql_next_word(&at, &token), 0);
    ck_assert(sql_is(&token, "WORD"));
    ck_assert_int_eq(sql_next_word(&at, &token), 0);
    ck_assert_int_eq(token.kind, SQL_END);
}
END_TEST

static const struct is_row {
    const char *sql, *word;
    bool is;
} is_rows[] = {
    { "TABLE", "table", true },
    { "table", "TABLE", true },
    { "tables", "table", false },
    { "tabl", "table", false },
    { "\"table\"", "table", false }, /* a name, not the key word */
    { "'table'", "table", false },
    { "(", "(", true },
    { "(", ")", false },
    { "", "table", false },
};

START_TEST(key_word_is_bare_and_of_any_case)
{
    const char *at = is_rows[_i].sql;
    struct sql_token token;

    ck_assert_int_eq(sql_next(&at, &token), 0);
    ck_assert(sql_is(&token, is_rows[_i].word) == is_rows[_i].is);
}
END_TEST

static const struct name_row {
    const char *sql, *name;
} name_rows[] = {
    { "abc", "abc" },
    { "AbC_1", "abc_1" },
    { "ÄB", "Äb" },               /* only ASCII is folded */
    { "\"AbC\"", "AbC" },
    { "\"a\"\"b\"\"\"", "a\"b\"" },
    { "\"\"", "" },
    { "\"it's\\\"", "it's\\" },
};

START_TEST(name_is_what_the_identifier_stands_for)
{
    const char *at = name_rows[_i].sql;
    struct sql_token token;
    CLEANUP_FREE char *name = NULL;

    ck_assert_int_eq(sql_next(&at, &token), 0);
    ck_assert_int_eq(token.kind, SQL_IDENT);
    name = sql_name(&token);
    ck_assert_str_eq(name, name_rows[_i].name);
}
END_TEST

static const struct quote_row {
    const char *text, *ident, *literal;
} quote_rows[] = {
    { "abc", "\"abc\"", "'abc'" },
    { "it's", "\"it's\"", "'it''s'" },
    { "a\"b", "\"a\"\"b\"", "'a\"b'" },
    { "a\\b", "\"a\\b\"", "E'a\\\\b'" },
    { "\\'", "\"\\'\"", "E'\\\\'''" },
    { "", "\"\"", "''" },
};

START_TEST(quoting_is_undone_by_reading)
{
    const struct quote_row *row = &quote_rows[_i];
    CLEANUP_FREE char *ident = sql_quote_ident(row->text);
    CLEANUP_FREE char *literal = sql_quote_literal(row->text);
    CLEANUP_FREE char *name = NULL;
    const char *at = ident;
    struct sql_token token;

    ck_assert_str_eq(ident, row->ident);
    ck_assert_str_eq(literal, row->literal);
    ck_assert_int_eq(sql_next(&at, &token), 0);
    name = sql_name(&token);
    ck_assert_str_eq(name, row->text);
    at = literal;
    ck_assert_int_eq(sql_next(&at, &token), 0);
    ck_assert_int_eq(token.kind, SQL_STRING);
    ck_assert_uint_eq(token.len, strlen(literal));
}
END_TEST

/* `statements`: joined by " | " */
static const struct split_row {
    const char *script, *statements;
} split_rows[] = {
    { "", "" },
    { " ; ;\n-- nothing\n;", "" },
    { "a; b", "a | b" },
    { "a b ;\n\n-- c;\nd 'x;y' \"u;v\" $$;$$ /* ; */ e;", "a b | d 'x;y' \"u;v\" $$;$$ /* ; */ e" },
    { "a; -- behind", "a" },
    { "a -- within", "a" },
    { "\\restrict x;y\nSET a = 1;\n\\unrestrict x\n", "SET a = 1" },
    { "CREATE RULE r AS ON INSERT TO t DO (a; b); c", "CREATE RULE r AS ON INSERT TO t DO (a; b) | c" },
    { "a); b", "a) | b" },                                                  /* a stray parenthesis */
    { "CREATE FUNCTION f() BEGIN ATOMIC a; CASE b END; END; c",
      "CREATE FUNCTION f() BEGIN ATOMIC a; CASE b END; END | c" },
    { "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC a; END; c",
      "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC a; END | c" },
    { "BEGIN; a; END; b", "BEGIN | a | END | b" },                          /* a transaction, no body */
};

START_TEST(script_falls_into_statements)
{
    CLEANUP_STRV struct strv statements = { 0 };
    CLEANUP_FREE char *joined = NULL;

    ck_assert_int_eq(sql_split(split_rows[_i].script, &statements), 0);
    joined = strv_join(&statements, " | ");
    ck_assert_str_eq(joined, split_rows[_i].statements);
}
END_TEST

START_TEST(statements_are_added_to_what_is_there)
{
    CLEANUP_STRV struct strv statements = { 0 };

    strv_add(&statements, "first");
    ck_assert_int_eq(sql_split("second;", &statements), 0);
    ck_assert_uint_eq(statements.len, 2);
    ck_assert_str_eq(statements.items[1], "second");
}
END_TEST

START_TEST(psql_command_within_a_statement_is_corrupt)
{
    struct strv statements = { 0 };

    ck_assert_int_eq(sql_split("SELECT 1\n\\connect other\n;", &statements), ERROR_CORRUPT);
    ck_assert_error_has("psql command '\\connect other'");
}
END_TEST

static Suite *
sql_suite(void)
{
    Suite *suite = suite_create("sql");
    TCase *tcase = tcase_create("sql");

    tcase_add_loop_test(tcase, text_falls_into_tokens, 0, ARRAY_LEN(token_rows));
    tcase_add_loop_test(tcase, unclosed_quote_or_comment_is_corrupt, 0, ARRAY_LEN(unclosed_rows));
    tcase_add_test(tcase, next_word_passes_over_blanks_and_comments);
    tcase_add_loop_test(tcase, key_word_is_bare_and_of_any_case, 0, ARRAY_LEN(is_rows));
    tcase_add_loop_test(tcase, name_is_what_the_identifier_stands_for, 0, ARRAY_LEN(name_rows));
    tcase_add_loop_test(tcase, quoting_is_undone_by_reading, 0, ARRAY_LEN(quote_rows));
    tcase_add_loop_test(tcase, script_falls_into_statements, 0, ARRAY_LEN(split_rows));
    tcase_add_test(tcase, statements_are_added_to_what_is_there);
    tcase_add_test(tcase, psql_command_within_a_statement_is_corrupt);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(sql_suite)
