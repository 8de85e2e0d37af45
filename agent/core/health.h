/*
 * health.h - decides when a check result changes a check's status, and when
 * a check runs.
 *
 * Pure: no clock, no allocation. Results and time come in, the status to
 * publish comes out. Thresholds as Consul's: passing and warning results count
 * as successes, a success resets the failures and the other way round. The
 * counters start at their thresholds, so the very first result takes effect,
 * unless first_result_counts is false. Failures within the start period do not
 * count until the first success.
 *
 * What the thresholds let through may still flap. When it changes more than
 * flap_max times within flap_window, the check is held critical until it has
 * not changed for flap_hold.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/core/definition.h"

#define HEALTH_FLAPS_MAX 16 /* The highest flap_max. */

struct health {
    enum check_status status; /* To be published. */
    enum check_status found;  /* The same without the hold. */
    bool tried;               /* A result has counted; its change is no flap. */
    unsigned flap_max;        /* 0: never held. */
    unsigned changes;         /* Of `found`, since it was last released. */
    uint64_t changes_ms[HEALTH_FLAPS_MAX]; /* The last flap_max of them. */
    uint64_t flap_window_ms;
    uint64_t flap_hold_ms;
    uint64_t held_until_ms; /* 0: not held. */
    unsigned success_before_passing;
    unsigned failures_before_warning;
    unsigned failures_before_critical;
    unsigned successes;
    unsigned failures;
    uint64_t grace_until_ms; /* 0: no start period, or it is over. */
};

enum health_start {
    HEALTH_FRESH,    /* `status` is the definition's. */
    HEALTH_RESTORED, /* `status` is from before a restart: thresholds apply to
                        the first results too, and there is no start period. */
};

void health_init(struct health *h, const struct check_def *def,
                 enum health_start start, enum check_status status,
                 uint64_t now_ms);

/* Take one result. True when h->status has changed and must be published. */
bool health_step(struct health *h, enum check_status result, uint64_t now_ms);

/* Take a status that thresholds do not apply to: what an application says of
 * itself, what an alias stands for. True as above. */
bool health_set(struct health *h, enum check_status status, uint64_t now_ms);

/* A hold ends by itself: when health_wake_ms() (UINT64_MAX: no hold) has come.
 * True as above. */
uint64_t health_wake_ms(const struct health *h);
bool health_tick(struct health *h, uint64_t now_ms);

/* When the check runs first: an own offset for each check within
 * min(interval, 2 s), or the definition's initial_delay. */
uint64_t health_first_due_ms(const struct check_def *def, uint64_t now_ms);

/* When it runs next, after a run that was due at `due_ms`. Every check has a
 * grid of its own, one point an interval, and the grids of many are spread
 * evenly over it; so the second run comes sooner after the first than the
 * interval, and from then on they are spread however long they take. Never in
 * the past, so a run that takes too long costs the runs it has overslept. */
uint64_t health_next_due_ms(const struct check_def *def, uint64_t due_ms,
                            uint64_t now_ms);

/* What the checks of an instance and of its node add up to. */
enum health_sum {
    HEALTH_PASSING,
    HEALTH_WARNING,
    HEALTH_CRITICAL,
    HEALTH_MAINTENANCE,
};

const char *health_sum_text(enum health_sum sum);

/* Reserved check ids; external tools test for them literally. */
#define CHECK_ID_SERF          "serfHealth"
#define CHECK_ID_NODE_MAINT    "_node_maintenance"
#define CHECK_ID_SERVICE_MAINT "_service_maintenance:"

bool check_id_is_maintenance(const char *id);

/* `so_far` and one more check. Start with HEALTH_PASSING. */
enum health_sum health_add(enum health_sum so_far, const char *check_id,
                           enum check_status status);
