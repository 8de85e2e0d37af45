#include "agent/core/health.h"

#include "base/core/check.h"
#include "base/core/hash.h"

/* First runs are spread over this much at most: a long interval must not mean
 * a long time without any result. */
#define FIRST_SPREAD_MS 2000

/* The least time between the first run and the second. */
#define GAP_MS_MIN 1000

static void health_verify(const struct health *h)
{
    CHECK(h->failures_before_warning <= h->failures_before_critical);
    CHECK(h->status <= CHECK_CRITICAL);
    CHECK(h->flap_max <= HEALTH_FLAPS_MAX);
    CHECK(h->status == (h->held_until_ms > 0 ? CHECK_CRITICAL : h->found));
}

void health_init(struct health *h, const struct check_def *def,
                 enum health_start start, enum check_status status,
                 uint64_t now_ms)
{
    *h = (struct health){
        .status = status,
        .found = status,
        .flap_max = def->flap_max,
        .flap_window_ms = def->flap_window_ms,
        .flap_hold_ms = def->flap_hold_ms,
        .success_before_passing = def->success_before_passing,
        .failures_before_warning = def->failures_before_warning,
        .failures_before_critical = def->failures_before_critical,
    };
    if (start == HEALTH_FRESH && def->first_result_counts) {
        h->successes = h->success_before_passing;
        h->failures = h->failures_before_critical;
    }
    if (start == HEALTH_FRESH && def->start_period_ms > 0) {
        h->grace_until_ms = now_ms + def->start_period_ms;
    }
    health_verify(h);
}

static unsigned count_up(unsigned counter)
{
    return counter == UINT32_MAX ? counter : counter + 1;
}

/* The status after a success or failure has been counted. */
static enum check_status health_judge(const struct health *h,
                                      enum check_status result)
{
    if (result != CHECK_CRITICAL) {
        return h->successes >= h->success_before_passing ? result : h->found;
    }
    if (h->failures >= h->failures_before_critical) {
        return CHECK_CRITICAL;
    }
    if (h->failures >= h->failures_before_warning) {
        return CHECK_WARNING;
    }
    return h->found;
}

/* One more change: too many of them, and the hold begins, or begins anew. */
static void health_count_flap(struct health *h, uint64_t now_ms)
{
    uint64_t *place = &h->changes_ms[h->changes % h->flap_max];
    bool too_many =
        h->changes >= h->flap_max && *place + h->flap_window_ms > now_ms;

    *place = now_ms;
    h->changes = count_up(h->changes);
    if (too_many || h->held_until_ms > 0) {
        h->held_until_ms = now_ms + h->flap_hold_ms;
    }
}

/* Publish what was found, unless it flaps. */
static bool health_settle(struct health *h, enum check_status found,
                          uint64_t now_ms)
{
    enum check_status before = h->status;

    if (h->held_until_ms > 0 && now_ms >= h->held_until_ms) {
        h->held_until_ms = 0; /* It was stable for long enough. */
        h->changes = 0;
    }
    if (found != h->found && h->flap_max > 0 && h->tried) {
        health_count_flap(h, now_ms);
    }
    h->found = found;
    h->status = h->held_until_ms > 0 ? CHECK_CRITICAL : found;
    health_verify(h);
    return h->status != before;
}

bool health_step(struct health *h, enum check_status result, uint64_t now_ms)
{
    bool changed;

    if (result != CHECK_CRITICAL) {
        h->grace_until_ms = 0;
        h->successes = count_up(h->successes);
        h->failures = 0;
    } else if (now_ms < h->grace_until_ms) {
        return health_tick(h, now_ms);
    } else {
        h->failures = count_up(h->failures);
        h->successes = 0;
    }
    changed = health_settle(h, health_judge(h, result), now_ms);
    h->tried = true;
    return changed;
}

bool health_set(struct health *h, enum check_status status, uint64_t now_ms)
{
    bool changed = health_settle(h, status, now_ms);

    h->tried = true;
    return changed;
}

uint64_t health_wake_ms(const struct health *h)
{
    return h->held_until_ms > 0 ? h->held_until_ms : UINT64_MAX;
}

bool health_tick(struct health *h, uint64_t now_ms)
{
    return health_settle(h, h->found, now_ms);
}

static uint64_t spread(const struct check_def *def, uint64_t span)
{
    static const struct hash_key key = {0x6d75737465720001, 0x7370726561640002};

    CHECK(span > 0);
    return hash_bytes(key, slice_str(def->id)) % span;
}

uint64_t health_first_due_ms(const struct check_def *def, uint64_t now_ms)
{
    uint64_t span =
        def->interval_ms < FIRST_SPREAD_MS ? def->interval_ms : FIRST_SPREAD_MS;

    if (def->initial_delay_ms != UINT64_MAX) {
        return now_ms + def->initial_delay_ms;
    }
    return now_ms + spread(def, span);
}

uint64_t health_next_due_ms(const struct check_def *def, uint64_t due_ms,
                            uint64_t now_ms)
{
    uint64_t interval = def->interval_ms;
    uint64_t point = spread(def, interval);
    uint64_t from =
        due_ms + (interval / 2 < GAP_MS_MIN ? interval / 2 : GAP_MS_MIN);

    if (from <= now_ms) {
        from = now_ms + 1;
    }
    /* The first moment from there on that is `point` past a whole number of
     * intervals. */
    return from + (point + interval - from % interval) % interval;
}

const char *health_sum_text(enum health_sum sum)
{
    switch (sum) {
    case HEALTH_PASSING:
        return "passing";
    case HEALTH_WARNING:
        return "warning";
    case HEALTH_CRITICAL:
        return "critical";
    case HEALTH_MAINTENANCE:
        return "maintenance";
    }
    UNREACHABLE();
}

bool check_id_is_maintenance(const char *id)
{
    return strcmp(id, CHECK_ID_NODE_MAINT) == 0 ||
           strncmp(id, CHECK_ID_SERVICE_MAINT,
                   strlen(CHECK_ID_SERVICE_MAINT)) == 0;
}

enum health_sum health_add(enum health_sum so_far, const char *check_id,
                           enum check_status status)
{
    enum health_sum more = (enum health_sum)status;

    if (check_id_is_maintenance(check_id)) {
        more = HEALTH_MAINTENANCE;
    }
    return more > so_far ? more : so_far;
}
