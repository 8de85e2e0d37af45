#include "history/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"

#define COMPLAINTS_MAX 10

void history_complain(struct history *h, const struct op *op, const char *what)
{
    if (h->complaints++ < COMPLAINTS_MAX) {
        (void)fprintf(stderr,
                      "wrong: %s: kind %d, key %u, value %" PRIu64
                      ", revision %" PRIu64 ", floor %" PRIu64 ", mod %" PRIu64
                      ", seen %" PRIu64 ", from %" PRIu64 " to %" PRIu64 "\n",
                      what, (int)op->kind, op->key, op->value, op->revision,
                      op->floor, op->mod, op->seen, op->start, op->end);
    }
}

struct moment {
    uint64_t at;
    bool end;
    struct op *op;
};

static int by_time(const void *a, const void *b)
{
    const struct moment *l = a;
    const struct moment *r = b;

    if (l->at != r->at) {
        return l->at < r->at ? -1 : 1;
    }
    return (int)l->end - (int)r->end; /* Equal: they overlap. */
}

static void judge_order(struct history *h)
{
    struct moment *m = calloc(2 * h->count + 1, sizeof(*m));
    uint64_t highest = 0;

    CHECK(m != NULL);
    for (size_t i = 0; i < h->count; i++) {
        m[2 * i] = (struct moment){h->ops[i].start, false, &h->ops[i]};
        m[2 * i + 1] = (struct moment){h->ops[i].end, true, &h->ops[i]};
    }
    qsort(m, 2 * h->count, sizeof(*m), by_time);
    for (size_t i = 0; i < 2 * h->count; i++) {
        struct op *op = m[i].op;

        if (!m[i].end) {
            op->floor = highest;
        } else if (op->ok && op->revision > highest) {
            highest = op->revision;
        }
    }
    free(m);
    for (size_t i = 0; i < h->count; i++) {
        const struct op *op = &h->ops[i];

        if (op->ok && op->wrote && op->revision <= op->floor) {
            history_complain(h, op, "a write of the past");
        } else if (op->ok && op->revision < op->floor) {
            history_complain(h, op, "a read of the past");
        }
    }
}

/* A change of a key that is known to have happened. */
struct change {
    unsigned key;
    uint64_t revision;
    uint64_t value; /* 0: deleted. */
};

static int by_revision(const void *a, const void *b)
{
    const struct change *l = a;
    const struct change *r = b;

    return l->revision < r->revision ? -1 : l->revision > r->revision;
}

static struct op *writer_of(struct history *h, uint64_t value)
{
    return value > 0 && value <= h->count ? &h->ops[value - 1] : NULL;
}

/* A read shows that a write without an answer has happened, and when. */
static void learn(struct history *h, const struct op *read)
{
    struct op *w = writer_of(h, read->seen);

    if (w == NULL || w->key != read->key || w->kind == GET ||
        w->kind == DELETE || w->start > read->end) {
        history_complain(h, read, "a value that nobody wrote");
    } else if (w->ok && !w->wrote) {
        history_complain(h, read, "a value whose write was refused");
    } else if (w->revision == 0) {
        w->revision = read->mod;
        w->wrote = true;
    } else if (w->revision != read->mod) {
        history_complain(h, read, "a value at two revisions");
    }
}

static size_t gather(struct history *h, struct change *changes)
{
    size_t count = 0;

    for (size_t i = 0; i < h->count; i++) {
        const struct op *op = &h->ops[i];

        if (op->wrote) {
            changes[count++] = (struct change){
                op->key, op->revision, op->kind == DELETE ? 0 : op->value};
        }
    }
    qsort(changes, count, sizeof(*changes), by_revision);
    for (size_t i = 1; i < count; i++) {
        if (changes[i].revision == changes[i - 1].revision) {
            history_complain(h,
                             writer_of(h, changes[i].value == 0
                                              ? changes[i - 1].value
                                              : changes[i].value),
                             "a revision given twice");
        }
    }
    return count;
}

/* Some delete of the key without an answer may explain that it is gone. */
static bool may_be_deleted(const struct history *h, const struct op *read)
{
    for (size_t i = 0; i < h->count; i++) {
        const struct op *op = &h->ops[i];

        if (op->kind == DELETE && op->key == read->key && !op->ok &&
            op->start <= read->end) {
            return true;
        }
    }
    return false;
}

static const struct change *newest(const struct change *changes, size_t count,
                                   unsigned key, uint64_t revision)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (changes[middle].revision <= revision) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low > 0 && changes[low - 1].key != key) {
        low--;
    }
    return low == 0 ? NULL : &changes[low - 1];
}

static void judge_read(struct history *h, const struct op *op,
                       const struct change *changes, size_t count)
{
    const struct change *last = newest(
        changes, count, op->key, op->wrote ? op->revision - 1 : op->revision);
    bool deleted = last == NULL || last->value == 0;

    if (op->mod == 0 && !deleted && !may_be_deleted(h, op)) {
        history_complain(h, op, "a value is missing");
    } else if (op->mod > 0 && (deleted || last->revision != op->mod)) {
        history_complain(h, op, "not the newest value");
    }
}

bool history_judge(struct history *h)
{
    struct change *changes = calloc(h->count + 1, sizeof(*changes));
    size_t count;

    CHECK(changes != NULL);
    judge_order(h);
    for (size_t i = 0; i < h->count; i++) {
        if (h->ops[i].ok && h->ops[i].saw && h->ops[i].mod > 0) {
            learn(h, &h->ops[i]);
        }
    }
    count = gather(h, changes);
    for (size_t i = 0; i < h->count; i++) {
        if (h->ops[i].ok && h->ops[i].saw) {
            judge_read(h, &h->ops[i], changes, count);
        }
    }
    free(changes);
    return h->complaints == 0;
}
