#include "agent/core/health.h"

#include "base/core/check.h"
#include "base/core/hash.h"

/* First runs are spread over this much at most: a long interval must not mean
 * a long time without any result. */
#define FIRST_SPREAD_MS 2000

static void health_verify(const struct health *h)
{
    CHECK(h->failures_before_warning <= h->failures_before_critical);
    CHECK(h->status <= CHECK_CRITICAL);
}

void health_init(struct health *h, const struct check_def *def,
                 enum health_start start, enum check_status status,
                 uint64_t now_ms)
{
    *h = (struct health){
        .status = status,
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
        return h->successes >= h->success_before_passing ? result : h->status;
    }
    if (h->failures >= h->failures_before_critical) {
        return CHECK_CRITICAL;
    }
    if (h->failures >= h->failures_before_warning) {
        return CHECK_WARNING;
    }
    return h->status;
}

bool health_step(struct health *h, enum check_status result, uint64_t now_ms)
{
    enum check_status before = h->status;

    if (result != CHECK_CRITICAL) {
        h->grace_until_ms = 0;
        h->successes = count_up(h->successes);
        h->failures = 0;
    } else if (now_ms < h->grace_until_ms) {
        return false;
    } else {
        h->failures = count_up(h->failures);
        h->successes = 0;
    }
    h->status = health_judge(h, result);
    health_verify(h);
    return h->status != before;
}

uint64_t health_first_due_ms(const struct check_def *def, uint64_t now_ms)
{
    static const struct hash_key key = {0x6d75737465720001, 0x7370726561640002};
    uint64_t span =
        def->interval_ms < FIRST_SPREAD_MS ? def->interval_ms : FIRST_SPREAD_MS;

    CHECK(span > 0);
    if (def->initial_delay_ms != UINT64_MAX) {
        return now_ms + def->initial_delay_ms;
    }
    return now_ms + hash_bytes(key, slice_str(def->id)) % span;
}

uint64_t health_next_due_ms(const struct check_def *def, uint64_t due_ms,
                            uint64_t now_ms)
{
    CHECK(def->interval_ms > 0);
    if (due_ms + def->interval_ms > now_ms) {
        return due_ms + def->interval_ms;
    }
    return due_ms +
           ((now_ms - due_ms) / def->interval_ms + 1) * def->interval_ms;
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

enum health_sum health_add(enum health_sum so_far, const char *check_id,
                           enum check_status status)
{
    enum health_sum more = (enum health_sum)status;

    if (strcmp(check_id, CHECK_ID_NODE_MAINT) == 0 ||
        strncmp(check_id, CHECK_ID_SERVICE_MAINT,
                strlen(CHECK_ID_SERVICE_MAINT)) == 0) {
        more = HEALTH_MAINTENANCE;
    }
    return more > so_far ? more : so_far;
}
