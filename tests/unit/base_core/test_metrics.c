#include "base/core/metrics.h"

#include "suite.h"

START_TEST(numbers_are_written_by_family)
{
    struct metric to_one = {.name = "sent_total",
                            .help = "Sent.",
                            .type = METRIC_COUNTER,
                            .labels = "to=\"1\"",
                            .value = 3};
    struct metric to_two = to_one;
    struct metric size = {
        .name = "size", .help = "Bytes.", .type = METRIC_GAUGE, .value = 0.5};
    struct metrics all = {0};
    struct buf out;

    to_two.labels = "to=\"2\"";
    metrics_add(&all, &to_one);
    metrics_add(&all, &to_two);
    metrics_add(&all, &size);
    buf_init(&out, 4096);
    ck_assert_int_eq(metrics_write(&all, &out), ST_OK);
    ck_assert_str_eq(buf_cstr(&out), "# HELP sent_total Sent.\n"
                                     "# TYPE sent_total counter\n"
                                     "sent_total{to=\"1\"} 3\n"
                                     "sent_total{to=\"2\"} 3\n"
                                     "# HELP size Bytes.\n"
                                     "# TYPE size gauge\n"
                                     "size 0.5\n");
    buf_release(&out);
}
END_TEST

START_TEST(buckets_add_up)
{
    struct metric_buckets buckets = {.first = 0.25, .count = 2};
    struct metric m = {.name = "t",
                       .help = "Time.",
                       .type = METRIC_HISTOGRAM,
                       .buckets = &buckets};
    struct metrics all = {0};
    struct buf out;

    metrics_add(&all, &m);
    metric_observe(&m, 0.25);
    metric_observe(&m, 0.5);
    metric_observe(&m, 4);
    buf_init(&out, 4096);
    ck_assert_int_eq(metrics_write(&all, &out), ST_OK);
    ck_assert_str_eq(buf_cstr(&out), "# HELP t Time.\n"
                                     "# TYPE t histogram\n"
                                     "t_bucket{le=\"0.25\"} 1\n"
                                     "t_bucket{le=\"0.5\"} 2\n"
                                     "t_bucket{le=\"+Inf\"} 3\n"
                                     "t_sum 4.75\n"
                                     "t_count 3\n");
    buf_release(&out);
}
END_TEST

UNIT_MAIN("metrics", {
    tcase_add_test(tc, numbers_are_written_by_family);
    tcase_add_test(tc, buckets_add_up);
})
