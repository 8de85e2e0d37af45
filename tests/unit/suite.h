/*
 * suite.h - main() for a test program of one suite.
 *
 *     UNIT_MAIN("health", {
 *         tcase_add_loop_test(tc, health_follows_row, 0, ROWS);
 *         tcase_add_test(tc, another);
 *     })
 */
#pragma once

#include <check.h>
#include <stdlib.h>

#define UNIT_MAIN(name, ...)                              \
    int main(void)                                        \
    {                                                     \
        Suite *s = suite_create(name);                    \
        TCase *tc = tcase_create(name);                   \
        SRunner *runner;                                  \
        int failed;                                       \
                                                          \
        tcase_set_timeout(tc, 60);                        \
        __VA_ARGS__                                       \
        suite_add_tcase(s, tc);                           \
        runner = srunner_create(s);                       \
        srunner_run_all(runner, CK_ENV);                  \
        failed = srunner_ntests_failed(runner);           \
        srunner_free(runner);                             \
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE; \
    }

/* Rows of a table, for tcase_add_loop_test. */
#define COUNT_OF(table) ((int)(sizeof(table) / sizeof((table)[0])))
