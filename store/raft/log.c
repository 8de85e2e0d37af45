#include "store/raft/log.h"

#include <stdlib.h>

#include "base/core/check.h"

#define LOG_SLOTS_MIN 64

struct raft_entry raft_entry_copy(const struct raft_entry *e)
{
    struct raft_entry copy = {.pos = e->pos, .type = e->type, .len = e->len};

    if (e->len > 0) {
        copy.data = malloc(e->len);
        CHECK(copy.data != NULL);
        memcpy(copy.data, e->data, e->len);
    }
    return copy;
}

void raft_log_release(struct raft_log *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->slots[l->head + i].data);
    }
    free(l->slots);
    *l = (struct raft_log){0};
}

void raft_log_start(struct raft_log *l, struct raft_pos compacted)
{
    CHECK(l->count == 0);
    l->compacted = compacted;
}

const struct raft_entry *raft_log_at(const struct raft_log *l, uint64_t index)
{
    if (index <= l->compacted.index || index > raft_log_last(l)) {
        return NULL;
    }
    return &l->slots[l->head + (index - l->compacted.index - 1)];
}

uint64_t raft_log_term(const struct raft_log *l, uint64_t index)
{
    const struct raft_entry *e;

    if (index == l->compacted.index) {
        return l->compacted.term;
    }
    e = raft_log_at(l, index);
    return e == NULL ? 0 : e->pos.term;
}

struct raft_pos raft_log_end(const struct raft_log *l)
{
    uint64_t last = raft_log_last(l);

    return (struct raft_pos){.term = raft_log_term(l, last), .index = last};
}

/* One more slot behind the last. Moving to the front is paid for by the slots
 * that were compacted since the last move. */
static void raft_log_make_room(struct raft_log *l)
{
    if (l->head + l->count < l->cap) {
        return;
    }
    if (l->head < l->count || l->head == 0) {
        size_t cap = l->cap == 0 ? LOG_SLOTS_MIN : l->cap * 2;
        struct raft_entry *slots =
            reallocarray(l->slots, cap, sizeof(l->slots[0]));

        CHECK(slots != NULL);
        l->slots = slots;
        l->cap = cap;
    }
    memmove(l->slots, l->slots + l->head, l->count * sizeof(l->slots[0]));
    l->head = 0;
}

void raft_log_append(struct raft_log *l, struct raft_entry entry)
{
    CHECK(entry.pos.index == raft_log_last(l) + 1);
    CHECK(entry.pos.term >= raft_log_end(l).term);
    raft_log_make_room(l);
    l->slots[l->head + l->count] = entry;
    l->count++;
    l->bytes += entry.len;
}

void raft_log_cut(struct raft_log *l, uint64_t index)
{
    CHECK(index > l->compacted.index);
    while (raft_log_last(l) >= index) {
        struct raft_entry *e = &l->slots[l->head + l->count - 1];

        l->bytes -= e->len;
        free(e->data);
        l->count--;
    }
}

void raft_log_compact(struct raft_log *l, uint64_t index)
{
    uint64_t term = raft_log_term(l, index);

    CHECK(index >= l->compacted.index);
    CHECK(index <= raft_log_last(l));
    while (l->compacted.index < index) {
        struct raft_entry *e = &l->slots[l->head];

        l->bytes -= e->len;
        free(e->data);
        l->head++;
        l->count--;
        l->compacted.index++;
    }
    l->compacted.term = term;
}

struct raft_pos raft_log_agree(const struct raft_log *l, uint64_t index,
                               uint64_t term)
{
    struct raft_pos pos = {.term = 0, .index = index};

    if (index > raft_log_last(l)) {
        return pos;
    }
    while (pos.index >= l->compacted.index) {
        pos.term = raft_log_term(l, pos.index);
        if (pos.term <= term || pos.index == 0) {
            return pos;
        }
        pos.index--;
    }
    pos.term = 0;
    return pos;
}

size_t raft_log_bytes_after(const struct raft_log *l, uint64_t index)
{
    size_t bytes = 0;

    for (uint64_t i = index + 1; i <= raft_log_last(l); i++) {
        bytes += raft_log_at(l, i)->len;
    }
    return bytes;
}
