/*
 * compact.h - forgetting history: at once for readers, in slices for memory and
 * disk.
 */
#pragma once

#include "store/kv/kv.h"

/* What CompactionRequest asks: from now on reads below fail. The rest is done
 * by kv_work(). KV_COMPACTED, KV_FUTURE_REV: nothing changed. */
enum kv_error compact_to(struct kv *kv, int64_t revision);

/* At start: a compaction that was asked for and had not ended. */
void compact_resume(struct kv *kv, int64_t scheduled, int64_t finished);

/* Nothing of the last one is left to do, in the table neither. */
bool compact_idle(const struct kv *kv);
