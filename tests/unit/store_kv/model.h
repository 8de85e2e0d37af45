/*
 * model.h - the store in its simplest form, to compare the real one with.
 *
 * Every change that ever was stands in one list, and each question is answered
 * by reading it from the start.
 */
#pragma once

#include "base/core/bytes.h"
#include "store/kv/record.h"
#include "store/kv/request.h"

struct model_change {
    struct kv_rev rev;
    bool tombstone;
    char key[24];
    char value[24];
    int64_t create;
    int64_t version;
    int64_t lease;
};

struct model {
    struct model_change *list;
    size_t count;
    size_t cap;
    int64_t revision;
    int64_t compacted;
    int64_t changes; /* In the transaction under way. */
};

void model_init(struct model *m);
void model_release(struct model *m);

/* What a key is as of a revision; NULL: not there. */
const struct model_change *model_at(const struct model *m, const char *key,
                                    int64_t main);

void model_put(struct model *m, const char *key, const char *value,
               int64_t lease);
bool model_delete(struct model *m, const char *key); /* false: not there. */
void model_end(struct model *m);

/* KeyValue bytes, appended. A tombstone's hold the key only. */
void model_row(const struct model_change *c, struct buf *out);

/* Whether compaction leaves the row of this change in the table. */
bool model_is_left(const struct model *m, const struct model_change *c);

/* HashKV by etcd's rules, read literally. */
uint32_t model_hash(const struct model *m, int64_t revision);
