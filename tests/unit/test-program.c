/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/program.h"

#include "unit.h"

#include "base/error.h"

#include <string.h>

static const struct word_row {
    const char *text, *word;
} words[] = {
    /* nothing to be done */
    { "/usr/bin/pgcask", "/usr/bin/pgcask" },
    /* nothing at all is a word, too */
    { "", "''" },
    /* blanks, and what the shell would make something of */
    { "/srv/my backups/pgcask.ini", "'/srv/my backups/pgcask.ini'" },
    { "$HOME;`x`*", "'$HOME;`x`*'" },
    { "it's", "'it'\\''s'" },
    /* PostgreSQL reads %p and %f */
    { "100%p", "100%%p" },
    { "50 %", "'50 %%'" },
};

START_TEST(a_word_is_what_the_shell_gives_back)
{
    CLEANUP_FREE char *word = program_command_word(words[_i].text);

    ck_assert_str_eq(word, words[_i].word);
}
END_TEST

START_TEST(the_program_is_named_by_its_whole_path)
{
    CLEANUP_FREE char *path = NULL;

    ck_assert_int_eq(program_path(&path), 0);
    ck_assert_int_eq(path[0], '/');
    ck_assert_ptr_nonnull(strstr(path, "test-program"));
}
END_TEST

static Suite *
program_suite(void)
{
    Suite *suite = suite_create("program");
    TCase *tcase = tcase_create("program");

    tcase_add_loop_test(tcase, a_word_is_what_the_shell_gives_back, 0, ARRAY_LEN(words));
    tcase_add_test(tcase, the_program_is_named_by_its_whole_path);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(program_suite)
