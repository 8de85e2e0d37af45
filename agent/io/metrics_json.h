/*
 * metrics_json.h - the metrics page as /v1/agent/metrics of Consul has it.
 */
#pragma once

#include "base/core/bytes.h"
#include "base/core/metrics.h"

/* Counters and gauges; CHECKs that `out` has room. */
void metrics_json(const struct metrics *list, int64_t wall_ms, struct buf *out);
