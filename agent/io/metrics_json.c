#include "agent/io/metrics_json.h"

#include <stdio.h>
#include <time.h>

#include "agent/core/jsonw.h"
#include "base/core/check.h"

/* `transport="udp",kind="x"`: ours have no quotes inside. */
static void write_labels(struct jsonw *w, const char *labels)
{
    jsonw_key(w, "Labels");
    jsonw_object(w);
    while (labels && *labels != '\0') {
        size_t key_len = strcspn(labels, "=");
        size_t value_len = strcspn(labels + key_len + 2, "\"");
        char key[64];

        (void)snprintf(key, sizeof(key), "%.*s", (int)key_len, labels);
        jsonw_key(w, key);
        jsonw_slice(w, slice_of(labels + key_len + 2, value_len));
        labels += key_len + 2 + value_len + 1;
        labels += *labels == ',';
    }
    jsonw_object_end(w);
}

static void write_kind(struct jsonw *w, const struct metrics *list,
                       enum metric_type type, const char *number)
{
    jsonw_list(w);
    for (const struct metric *m = list->first; m; m = m->next) {
        char text[32];

        if (m->type != type) {
            continue;
        }
        (void)snprintf(text, sizeof(text), "%.17g", m->value);
        jsonw_object(w);
        jsonw_key_text(w, "Name", m->name);
        jsonw_key(w, number);
        jsonw_raw(w, text);
        write_labels(w, m->labels);
        jsonw_object_end(w);
    }
    jsonw_list_end(w);
}

static void write_none(struct jsonw *w, const char *key)
{
    jsonw_key(w, key);
    jsonw_list(w);
    jsonw_list_end(w);
}

void metrics_json(const struct metrics *list, int64_t wall_ms, struct buf *out)
{
    time_t now = (time_t)(wall_ms / 1000);
    struct jsonw w;
    struct tm tm;
    char when[64];

    (void)gmtime_r(&now, &tm);
    (void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S +0000 UTC", &tm);
    jsonw_init(&w, out, JSONW_COMPACT);
    jsonw_object(&w);
    jsonw_key_text(&w, "Timestamp", when);
    jsonw_key(&w, "Gauges");
    write_kind(&w, list, METRIC_GAUGE, "Value");
    write_none(&w, "Points");
    jsonw_key(&w, "Counters");
    write_kind(&w, list, METRIC_COUNTER, "Count");
    write_none(&w, "Samples");
    jsonw_object_end(&w);
    CHECK(jsonw_finish(&w) == ST_OK);
}
