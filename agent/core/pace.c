#include "agent/core/pace.h"

static void refill(const struct paces *p, struct pace *it, uint64_t now_ms)
{
    uint64_t more = (now_ms - it->at_ms) / p->refill_ms;

    if (more >= p->burst - it->tokens) {
        it->tokens = p->burst;
        it->at_ms = now_ms;
    } else {
        it->tokens += (unsigned)more;
        it->at_ms += more * p->refill_ms;
    }
}

static struct pace *find(struct paces *p, uint64_t key)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].key == key) {
            return &p->items[i];
        }
    }
    return NULL;
}

/* A new one, full, in the place of whoever has all its tokens or will have them
 * first. */
static struct pace *add(struct paces *p, uint64_t key, uint64_t now_ms)
{
    struct pace *chosen = &p->items[0];

    for (size_t i = 0; i < p->count && chosen->tokens < p->burst; i++) {
        struct pace *it = &p->items[i];

        refill(p, it, now_ms);
        chosen = it->tokens > chosen->tokens ? it : chosen;
    }
    if (p->count < PACES_MAX && (p->count == 0 || chosen->tokens < p->burst)) {
        chosen = &p->items[p->count++];
    }
    *chosen = (struct pace){.key = key, .tokens = p->burst, .at_ms = now_ms};
    return chosen;
}

uint64_t paces_take(struct paces *p, uint64_t key, uint64_t now_ms)
{
    struct pace *it = find(p, key);

    if (it == NULL) {
        it = add(p, key, now_ms);
    } else {
        refill(p, it, now_ms);
    }
    if (it->tokens == 0) {
        return it->at_ms + p->refill_ms;
    }
    it->tokens--;
    return 0;
}
