/*
 * api_kv.h - what the handlers of entries, sessions and transactions share
 * (private to api_*.c).
 */
#pragma once

#include "agent/core/api_model.h"
#include "agent/core/kv_txn.h"

/* An entry's JSON; its value, or null. */
void api_write_kv(struct api_call *call, const struct kv_entry *e,
                  bool with_value);

/* The index to reply to a poll of `r` with, or 0: wait. `exact`: of one thing
 * that is there. */
uint64_t api_poll_index(const struct api_call *call,
                        const struct api_poll *poll, bool exact,
                        const struct store_answer *seen,
                        const struct store_range *r);

/* Fill flow->id from the request's random bytes. */
void api_make_uuid(struct api_call *call);
