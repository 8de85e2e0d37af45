#include "agent/core/health.h"

#include <stdio.h>

#include "suite.h"

/* One row a scenario: p, w and c are results in order, a second apart; the
 * letters of `expect` are the statuses after each. */
static const struct {
    const char *name;
    struct check_def def;
    enum health_start start;
    enum check_status status;
    const char *results;
    const char *expect;
} rows[] = {
    {"first result decides",
     {.failures_before_critical = 3,
      .failures_before_warning = 3,
      .success_before_passing = 3,
      .first_result_counts = true},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "p",
     "p"},
    {"one failure is forgiven",
     {.failures_before_critical = 3,
      .failures_before_warning = 3,
      .first_result_counts = true},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pcp",
     "ppp"},
    {"failures must be in a row",
     {.failures_before_critical = 2,
      .failures_before_warning = 2,
      .first_result_counts = true},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pcpcpc",
     "pppppp"},
    {"the third in a row is too much",
     {.failures_before_critical = 3,
      .failures_before_warning = 3,
      .first_result_counts = true},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pccc",
     "pppc"},
    {"warning comes first",
     {.failures_before_critical = 3,
      .failures_before_warning = 2,
      .first_result_counts = true},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pcccp",
     "ppwcp"},
    {"recovery needs two successes",
     {.success_before_passing = 2, .first_result_counts = true},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pcpp",
     "pccp"},
    {"a warning counts as success",
     {.success_before_passing = 2, .first_result_counts = true},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pcwp",
     "pccp"},
    {"no thresholds: every result",
     {.first_result_counts = true},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pwcpc",
     "pwcpc"},
    {"first result does not count",
     {.success_before_passing = 2},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "ppp",
     "cpp"},
    {"start period hides failures",
     {.start_period_ms = 3000, .first_result_counts = true},
     HEALTH_FRESH,
     CHECK_WARNING,
     "cccc",
     "wwwc"},
    {"a success ends the start period",
     {.start_period_ms = 9000, .first_result_counts = true},
     HEALTH_FRESH,
     CHECK_WARNING,
     "cpc",
     "wpc"},
    {"a restart does not shorten thresholds",
     {.failures_before_critical = 2,
      .failures_before_warning = 2,
      .first_result_counts = true},
     HEALTH_RESTORED,
     CHECK_PASSING,
     "cc",
     "pc"},
    {"a restart has no start period",
     {.start_period_ms = 9000, .first_result_counts = true},
     HEALTH_RESTORED,
     CHECK_PASSING,
     "c",
     "c"},
    {"two changes are no flapping",
     {.first_result_counts = true,
      .flap_max = 2,
      .flap_window_ms = 9000,
      .flap_hold_ms = 3000},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pcpppp",
     "pcpppp"},
    {"the third is, and stability ends the hold",
     {.first_result_counts = true,
      .flap_max = 2,
      .flap_window_ms = 9000,
      .flap_hold_ms = 3000},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pcpwwwwww",
     "pcpcccwww"},
    {"a change prolongs the hold",
     {.first_result_counts = true,
      .flap_max = 1,
      .flap_window_ms = 9000,
      .flap_hold_ms = 3000},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pcpcpppp",
     "pccccccp"},
    {"a warning that flaps is critical, too",
     {.first_result_counts = true,
      .flap_max = 1,
      .flap_window_ms = 9000,
      .flap_hold_ms = 9000},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pwpwp",
     "pwccc"},
    {"changes that the window has forgotten do not count",
     {.first_result_counts = true,
      .flap_max = 1,
      .flap_window_ms = 2000,
      .flap_hold_ms = 9000},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pcccpppc",
     "pcccpppc"},
    {"after a hold it begins anew",
     {.first_result_counts = true,
      .flap_max = 1,
      .flap_window_ms = 60000,
      .flap_hold_ms = 2000},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pcppppcp",
     "pcccppcc"},
    {"thresholds come before flapping",
     {.first_result_counts = true,
      .failures_before_critical = 2,
      .failures_before_warning = 2,
      .flap_max = 1,
      .flap_window_ms = 60000,
      .flap_hold_ms = 9000},
     HEALTH_FRESH,
     CHECK_CRITICAL,
     "pcpcpcp",
     "ppppppp"},
};

static enum check_status status_from(char c)
{
    switch (c) {
    case 'p':
        return CHECK_PASSING;
    case 'w':
        return CHECK_WARNING;
    default:
        return CHECK_CRITICAL;
    }
}

START_TEST(health_follows_row)
{
    struct health h;
    enum check_status before = rows[_i].status;

    health_init(&h, &rows[_i].def, rows[_i].start, rows[_i].status, 1000);
    for (size_t i = 0; rows[_i].results[i] != '\0'; i++) {
        bool changed =
            health_step(&h, status_from(rows[_i].results[i]), 1000 + i * 1000);

        ck_assert_msg(h.status == status_from(rows[_i].expect[i]),
                      "%s: wrong at result %zu", rows[_i].name, i);
        ck_assert_msg(changed == (h.status != before),
                      "%s: change not told at result %zu", rows[_i].name, i);
        before = h.status;
    }
}
END_TEST

START_TEST(first_runs_are_spread)
{
    unsigned buckets[4] = {0};
    struct check_def def = {.interval_ms = 10000,
                            .initial_delay_ms = UINT64_MAX};

    for (int i = 0; i < 1000; i++) {
        char id[32];
        uint64_t due;

        (void)snprintf(id, sizeof(id), "check-%d", i);
        def.id = id;
        due = health_first_due_ms(&def, 5000);
        ck_assert_uint_ge(due, 5000);
        ck_assert_uint_lt(due, 7000);
        buckets[(due - 5000) / 500]++;
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_gt(buckets[i], 180);
    }
    def.initial_delay_ms = 0;
    ck_assert_uint_eq(health_first_due_ms(&def, 5000), 5000);
}
END_TEST

START_TEST(runs_stay_on_their_grid)
{
    struct check_def def = {.id = "a", .interval_ms = 10000};
    uint64_t due = health_next_due_ms(&def, 5000, 5000);

    /* The second run comes within an interval, but not at once. */
    ck_assert_uint_ge(due, 6000);
    ck_assert_uint_lt(due, 16000);
    ck_assert_uint_eq(health_next_due_ms(&def, due, due), due + 10000);
    ck_assert_uint_eq(health_next_due_ms(&def, due, due + 9999), due + 10000);
    ck_assert_uint_eq(health_next_due_ms(&def, due, due + 10000), due + 20000);
    ck_assert_uint_eq(health_next_due_ms(&def, due, due + 94000), due + 100000);
}
END_TEST

START_TEST(a_hold_ends_without_a_result)
{
    struct check_def def = {.first_result_counts = true,
                            .flap_max = 1,
                            .flap_window_ms = 60000,
                            .flap_hold_ms = 5000};
    struct health h;

    health_init(&h, &def, HEALTH_FRESH, CHECK_CRITICAL, 0);
    ck_assert(health_set(&h, CHECK_PASSING, 1000));
    ck_assert_uint_eq(health_wake_ms(&h), UINT64_MAX);
    ck_assert(health_set(&h, CHECK_CRITICAL, 2000));
    ck_assert(!health_set(&h, CHECK_PASSING, 3000));
    ck_assert_uint_eq(health_wake_ms(&h), 8000);
    ck_assert(!health_tick(&h, 7999));
    ck_assert(health_tick(&h, 8000));
    ck_assert_int_eq(h.status, CHECK_PASSING);
    ck_assert_uint_eq(health_wake_ms(&h), UINT64_MAX);
}
END_TEST

START_TEST(sum_is_the_worst_and_maintenance_above_all)
{
    enum health_sum sum = HEALTH_PASSING;

    sum = health_add(sum, "a", CHECK_WARNING);
    ck_assert_int_eq(sum, HEALTH_WARNING);
    sum = health_add(sum, "b", CHECK_PASSING);
    ck_assert_int_eq(sum, HEALTH_WARNING);
    sum = health_add(sum, CHECK_ID_SERF, CHECK_CRITICAL);
    ck_assert_int_eq(sum, HEALTH_CRITICAL);
    sum = health_add(sum, "_service_maintenance:web", CHECK_CRITICAL);
    ck_assert_int_eq(sum, HEALTH_MAINTENANCE);
    sum = health_add(sum, "c", CHECK_CRITICAL);
    ck_assert_int_eq(sum, HEALTH_MAINTENANCE);
}
END_TEST

UNIT_MAIN("health", {
    tcase_add_loop_test(tc, health_follows_row, 0, COUNT_OF(rows));
    tcase_add_test(tc, first_runs_are_spread);
    tcase_add_test(tc, runs_stay_on_their_grid);
    tcase_add_test(tc, a_hold_ends_without_a_result);
    tcase_add_test(tc, sum_is_the_worst_and_maintenance_above_all);
})
