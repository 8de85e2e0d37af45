/*
 * words.h - lines of a script as words, and requests made from them.
 *
 * A word may hold \xNN for any byte; '*' as an end of a range is the zero byte:
 * everything from the key on.
 */
#pragma once

#include "base/core/arena.h"
#include "base/core/bytes.h"
#include "store/kv/kv.h"

enum {
    WORDS_MAX = 24
};

struct words {
    struct slice list[WORDS_MAX];
    size_t count;
};

/* Lines yet to come. */
struct lines {
    struct slice *list;
    size_t count;
    size_t at;
};

struct words words_split(struct arena *arena, struct slice line);

bool word_is(struct slice word, const char *text);
int64_t word_int(struct slice word);

/* The value of the word `name=...`; `fallback` when there is none. */
int64_t words_int(const struct words *w, const char *name, int64_t fallback);
bool words_have(const struct words *w, const char *flag);

/* Pack the request that the words mean: get, put, del, txn (whose lines up to
 * "end" are taken from `lines`), compact, grant, revoke, alarm. Returns its
 * kind; CHECKs that there is one. */
enum kv_kind words_pack(struct arena *arena, const struct words *w,
                        struct lines *lines, struct buf *out);
