/* SPDX-License-Identifier: PostgreSQL
 *
 * The frame of every unit test program: UNIT_MAIN(suite_function) runs the suite,
 * prints TAP-free Check output and exits 1 when anything failed.
 */
#ifndef PGCASK_TESTS_UNIT_H
#define PGCASK_TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

#define UNIT_MAIN(make_suite)                                                                                          \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        SRunner *runner = srunner_create(make_suite());                                                                \
        int failed;                                                                                                    \
                                                                                                                       \
        srunner_run_all(runner, CK_ENV);                                                                               \
        failed = srunner_ntests_failed(runner);                                                                        \
        srunner_free(runner);                                                                                          \
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;                                                              \
    }

/* The error slot of this thread holds `part`. */
#define ck_assert_error_has(part) ck_assert_msg(strstr(error_text(), (part)) != NULL, "error is '%s'", error_text())

#endif
