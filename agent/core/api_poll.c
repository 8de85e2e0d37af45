/*
 * Requests that go to the store: their asks, answers and waits.
 */
#include "agent/core/api_model.h"
#include "base/core/check.h"

#define WAIT_JITTER 16 /* Up to a 16th comes on top. */

bool api_poll_read(struct api_call *call, struct api_poll *out_poll)
{
    uint64_t wait_ms;

    if (!api_read_index(call, &out_poll->index) ||
        !api_read_wait(call, &wait_ms)) {
        return false;
    }
    if (api_param(call, "consistent") != NULL &&
        api_param(call, "stale") != NULL) {
        api_text(call, 400, "Cannot specify ?stale with ?consistent");
        return false;
    }
    out_poll->deadline_ms = call->request->arrived_ms + wait_ms +
                            call->request->jitter % (wait_ms / WAIT_JITTER + 1);
    return true;
}

void api_wait_for(struct api_call *call, const struct api_poll *poll,
                  struct slice key, struct slice end)
{
    struct api_outcome *o = call->outcome;

    o->kind = API_FOLLOW;
    o->range = (struct store_read){.key = key, .end = end};
    o->index = poll->index;
    o->deadline_ms = poll->deadline_ms;
}

struct store_ask *api_ask(struct api_call *call)
{
    call->outcome->kind = API_STORE;
    store_txn(&call->outcome->ask, call->arena);
    call->outcome->ask.stale = api_param(call, "stale") != NULL;
    return &call->outcome->ask;
}

/* The reply to an answer that is none; false: it is one. */
static bool store_failed(const struct store_answer *a, struct api_outcome *out)
{
    switch (a->result) {
    case STORE_DONE:
    case STORE_GUARDED:
        return false;
    case STORE_FAILED:
        api_fail(500, "No cluster leader", out);
        return true;
    case STORE_TOO_BIG:
        api_fail(413, "The answer is too large; ask for less", out);
        return true;
    case STORE_REFUSED:
        api_fail(500, a->text == NULL ? "The store has refused" : a->text, out);
        return true;
    }
    UNREACHABLE();
}

bool api_store_answered(struct api_flow *flow, struct store_answer *answer,
                        struct store_answer *seen, struct store_answer *done,
                        struct api_outcome *out_outcome)
{
    bool reads = answer->result == STORE_GUARDED || answer->ranges_count > 0;
    struct store_answer *place = reads ? seen : done;

    api_outcome_release(out_outcome);
    if (store_failed(answer, out_outcome)) {
        store_answer_release(answer);
        return false;
    }
    store_answer_release(place);
    *place = *answer;
    *answer = (struct store_answer){0};
    if (reads) {
        flow->seen = seen;
        flow->done = NULL;
    } else {
        flow->done = done;
    }
    return true;
}
