#include "agent/core/endpoints.h"

#include "base/core/check.h"

static void endpoints_verify(const struct endpoints *e)
{
    CHECK(e->count > 0);
    CHECK(e->current < e->count);
    for (size_t i = 0; i < e->count; i++) {
        CHECK(e->items[i].failed <= e->failed_last);
        CHECK((e->items[i].failed == 0) == (e->items[i].failures == 0));
    }
}

void endpoints_init(struct endpoints *e, size_t count, uint64_t seed)
{
    CHECK(count <= LIMIT_STORE_ENDPOINTS);
    *e = (struct endpoints){.count = count};
    rng_init(&e->rng, seed);
    e->current = rng_below(&e->rng, count);
    endpoints_verify(e);
}

void endpoints_failed(struct endpoints *e)
{
    struct endpoint_state *s = &e->items[e->current];

    s->failed = ++e->failed_last;
    s->failures++;
    e->failures_in_row++;
    endpoints_verify(e);
}

void endpoints_serves(struct endpoints *e)
{
    e->items[e->current].failed = 0;
    e->items[e->current].failures = 0;
    e->failures_in_row = 0;
    e->told = false;
    endpoints_verify(e);
}

bool endpoints_next(struct endpoints *e)
{
    uint64_t oldest = UINT64_MAX;
    size_t found = e->count;
    size_t equals = 0;

    for (size_t i = 0; i < e->count; i++) {
        const struct endpoint_state *s = &e->items[i];

        if (s->busy || s->failed > oldest) {
            continue;
        }
        /* Equal are only those that have never failed: each of n is taken with
         * a probability of 1/n. */
        equals = s->failed < oldest ? 1 : equals + 1;
        oldest = s->failed;
        if (rng_below(&e->rng, equals) == 0) {
            found = i;
        }
    }
    if (found == e->count) {
        return false;
    }
    e->current = found;
    endpoints_verify(e);
    return true;
}

static unsigned rounds(const struct endpoints *e)
{
    return e->failures_in_row / (unsigned)e->count;
}

/* `first`, doubled once a round up to `most`. */
static uint64_t doubled(uint64_t first, uint64_t most, unsigned times)
{
    uint64_t value = first;

    for (unsigned i = 0; i < times && value < most; i++) {
        value *= 2;
    }
    return value < most ? value : most;
}

uint64_t endpoints_pause_ms(struct endpoints *e)
{
    uint64_t longest;

    if (e->failures_in_row % e->count != 0 || e->failures_in_row == 0) {
        return 0;
    }
    longest =
        doubled(ENDPOINTS_PAUSE_MS_MIN, ENDPOINTS_PAUSE_MS_MAX, rounds(e) - 1);
    return longest / 2 + rng_below(&e->rng, longest / 2 + 1);
}

uint64_t endpoints_connect_ms(const struct endpoints *e)
{
    return doubled(ENDPOINTS_CONNECT_MS_MIN, ENDPOINTS_CONNECT_MS_MAX,
                   rounds(e));
}

bool endpoints_all_failed(const struct endpoints *e)
{
    return e->failures_in_row >= e->count;
}

enum endpoints_news endpoints_tell(struct endpoints *e, uint64_t now_ms)
{
    enum endpoints_news news = ENDPOINTS_FIRST;

    if (e->told) {
        news = now_ms - e->told_ms >= ENDPOINTS_TELL_MS ? ENDPOINTS_STILL
                                                        : ENDPOINTS_AGAIN;
    }
    if (endpoints_all_failed(e) && news != ENDPOINTS_AGAIN) {
        e->told = true;
        e->told_ms = now_ms;
    }
    return news;
}
