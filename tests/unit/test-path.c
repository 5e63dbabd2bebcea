/* SPDX-License-Identifier: PostgreSQL
 *
 * Names that stay in their directory, and those that do not.
 */
#include "config.h"

#include "base/path.h"

#include "base/mem.h"
#include "unit.h"

static const struct {
    const char *path;
    bool inside;
} inside_rows[] = {
    { "", true },                                                    /* the directory itself */
    { "a", true },         { "base/1/1259", true }, { "...", true }, /* an ordinary name */
    { "a/..b/c..", true }, { "/", false },          { "/etc/passwd", false }, { "..", false },
    { "../a", false },     { "a/..", false },       { "a/../b", false },      { ".", false },
    { "./a", false },      { "a/.", false },        { "a//b", false },        { "a/", false },
};

START_TEST(names_that_leave_are_told_apart)
{
    ck_assert_msg(path_is_inside(inside_rows[_i].path) == inside_rows[_i].inside, "'%s'", inside_rows[_i].path);
}
END_TEST

static const struct {
    const char *path, *directory;
    bool below;
} below_rows[] = {
    { "/srv/data", "/srv/data", true },
    { "/srv/data/x", "/srv/data", true },
    { "/srv/data/x", "/srv/data/", true },
    { "/srv/database", "/srv/data", false }, /* the same beginning only */
    { "/srv", "/srv/data", false },
    { "/srv", "/", true },
    { "/", "/", true },
    { "/", "/srv", false },
};

START_TEST(directories_that_hold_others)
{
    ck_assert(path_is_below(below_rows[_i].path, below_rows[_i].directory) == below_rows[_i].below);
}
END_TEST

static Suite *
path_suite(void)
{
    Suite *suite = suite_create("path");
    TCase *tcase = tcase_create("path");

    tcase_add_loop_test(tcase, names_that_leave_are_told_apart, 0, ARRAY_LEN(inside_rows));
    tcase_add_loop_test(tcase, directories_that_hold_others, 0, ARRAY_LEN(below_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(path_suite)
