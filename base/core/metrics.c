#include "base/core/metrics.h"

#include <string.h>

#include "base/core/check.h"

static const char *const type_names[] = {"counter", "gauge", "histogram"};

void metrics_add(struct metrics *list, struct metric *metric)
{
    CHECK(metric->next == NULL);
    CHECK((metric->type == METRIC_HISTOGRAM) == (metric->buckets != NULL));
    if (list->last == NULL) {
        list->first = metric;
    } else {
        list->last->next = metric;
    }
    list->last = metric;
}

void metric_observe(struct metric *metric, double value)
{
    struct metric_buckets *b = metric->buckets;
    double bound = b->first;
    unsigned i = 0;

    CHECK(b->count <= METRIC_BUCKETS_MAX);
    while (i < b->count && value > bound) {
        bound *= 2;
        i++;
    }
    b->hits[i]++;
    b->sum += value;
}

static enum status write_histogram(const struct metric *m, struct buf *out)
{
    const struct metric_buckets *b = m->buckets;
    const char *labels = m->labels == NULL ? "" : m->labels;
    const char *comma = *labels == '\0' ? "" : ",";
    const char *open = *labels == '\0' ? "" : "{";
    const char *shut = *labels == '\0' ? "" : "}";
    double bound = b->first;
    uint64_t below = 0;
    enum status st = ST_OK;

    for (unsigned i = 0; i < b->count && !st; i++) {
        below += b->hits[i];
        st = buf_addf(out, "%s_bucket{%s%sle=\"%.10g\"} %llu\n", m->name,
                      labels, comma, bound, (unsigned long long)below);
        bound *= 2;
    }
    below += b->hits[b->count];
    if (!st) {
        st = buf_addf(out,
                      "%s_bucket{%s%sle=\"+Inf\"} %llu\n"
                      "%s_sum%s%s%s %.10g\n%s_count%s%s%s %llu\n",
                      m->name, labels, comma, (unsigned long long)below,
                      m->name, open, labels, shut, b->sum, m->name, open,
                      labels, shut, (unsigned long long)below);
    }
    return st;
}

static enum status write_number(const struct metric *m, struct buf *out)
{
    if (m->labels == NULL) {
        return buf_addf(out, "%s %.17g\n", m->name, m->value);
    }
    return buf_addf(out, "%s{%s} %.17g\n", m->name, m->labels, m->value);
}

enum status metrics_write(const struct metrics *list, struct buf *out)
{
    const char *family = "";
    enum status st = ST_OK;

    for (const struct metric *m = list->first; m && !st; m = m->next) {
        if (strcmp(family, m->name) != 0) {
            family = m->name;
            st = buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help,
                          m->name, type_names[m->type]);
        }
        if (!st) {
            st = m->type == METRIC_HISTOGRAM ? write_histogram(m, out)
                                             : write_number(m, out);
        }
    }
    return st;
}
