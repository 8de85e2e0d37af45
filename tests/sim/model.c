#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "core.h"

/* What the store must hold, in its simplest form. */
struct model {
    int64_t revision;
    uint64_t values[KEYS + 1]; /* 0: not there */
    int64_t mods[KEYS + 1];
    struct change *changes;
    size_t count;
    size_t cap;
};

struct model *model_new(void)
{
    struct model *m = calloc(1, sizeof(*m));

    CHECK(m != NULL);
    m->revision = 1;
    return m;
}

void model_free(struct model *m)
{
    free(m->changes);
    free(m);
}

static void note(struct model *m, unsigned key, uint64_t value)
{
    m->revision++;
    m->values[key] = value;
    m->mods[key] = value == 0 ? 0 : m->revision;
    m->changes = row_room(m->changes, &m->cap, m->count, sizeof(*m->changes));
    m->changes[m->count++] = (struct change){m->revision, key, value};
}

void model_apply(struct model *m, const struct op *op)
{
    switch (op->kind) {
    case GET:
        UNREACHABLE();
    case PUT:
        note(m, op->key, op->value);
        return;
    case DELETE:
        if (m->values[op->key] != 0) {
            note(m, op->key, 0);
        }
        return;
    case CAS:
        if (m->mods[op->key] == (int64_t)op->expected) {
            note(m, op->key, op->value);
        }
        return;
    }
}

int64_t model_revision(const struct model *m)
{
    return m->revision;
}

const struct change *model_changes(const struct model *m, size_t *out_count)
{
    *out_count = m->count;
    return m->changes;
}
