#include "script/kv/words.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/pb.h"

static struct slice unescape(struct arena *arena, struct slice word)
{
    uint8_t *out = arena_alloc(arena, word.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] == '\\' && i + 3 < word.len &&
            word.data[i + 1] == 'x') {
            char hex[3] = {(char)word.data[i + 2], (char)word.data[i + 3], 0};

            out[len++] = (uint8_t)strtoul(hex, NULL, 16);
            i += 3;
        } else {
            out[len++] = word.data[i];
        }
    }
    out[len] = 0;
    return slice_of(out, len);
}

struct words words_split(struct arena *arena, struct slice line)
{
    struct words w = {0};
    size_t i = 0;

    while (i < line.len) {
        size_t start;

        while (i < line.len && line.data[i] == ' ') {
            i++;
        }
        start = i;
        while (i < line.len && line.data[i] != ' ') {
            i++;
        }
        if (i > start) {
            CHECK(w.count < WORDS_MAX);
            w.list[w.count++] =
                unescape(arena, slice_of(line.data + start, i - start));
        }
    }
    return w;
}

bool word_is(struct slice word, const char *text)
{
    return slice_eq(word, slice_str(text));
}

/* Words end with a NUL, see unescape(). */
int64_t word_int(struct slice word)
{
    return strtoll((const char *)word.data, NULL, 0);
}

static bool word_named(struct slice word, const char *name,
                       struct slice *out_value)
{
    struct slice n = slice_str(name);

    if (!slice_starts(word, n) || word.len == n.len ||
        word.data[n.len] != '=') {
        return false;
    }
    *out_value = slice_skip(word, n.len + 1);
    return true;
}

int64_t words_int(const struct words *w, const char *name, int64_t fallback)
{
    struct slice value;

    for (size_t i = 0; i < w->count; i++) {
        if (word_named(w->list[i], name, &value)) {
            return word_int(value);
        }
    }
    return fallback;
}

bool words_have(const struct words *w, const char *flag)
{
    for (size_t i = 1; i < w->count; i++) {
        if (word_is(w->list[i], flag)) {
            return true;
        }
    }
    return false;
}

/* An option has a '=', a flag is one of the known; anything else is text. */
static bool is_option(struct slice word)
{
    static const char *const flags[] = {
        "prev_kv",  "keys_only",    "count_only",   "serializable", "noput",
        "nodelete", "ignore_value", "ignore_lease", "physical",     "keys",
    };

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (word_is(word, flags[i])) {
            return true;
        }
    }
    return memchr(word.data, '=', word.len) != NULL;
}

/* The i-th argument; empty when missing. '""' stands for an empty one. */
static struct slice argument(const struct words *w, size_t i)
{
    if (i >= w->count || is_option(w->list[i]) || word_is(w->list[i], "\"\"")) {
        return slice_of("", 0);
    }
    return w->list[i];
}

static struct slice range_end(const struct words *w, size_t i)
{
    struct slice end = argument(w, i);

    return word_is(end, "*") ? slice_of("", 1) : end;
}

static void pack_get(const struct words *w, struct buf *out)
{
    pb_bytes(out, 1, argument(w, 1));
    pb_bytes(out, 2, range_end(w, 2));
    pb_int(out, 3, words_int(w, "limit", 0));
    pb_int(out, 4, words_int(w, "rev", 0));
    pb_int(out, 5, words_int(w, "order", 0));
    pb_int(out, 6, words_int(w, "target", 0));
    pb_bool(out, 7, words_have(w, "serializable"));
    pb_bool(out, 8, words_have(w, "keys_only"));
    pb_bool(out, 9, words_have(w, "count_only"));
    pb_int(out, 10, words_int(w, "min_mod", 0));
    pb_int(out, 11, words_int(w, "max_mod", 0));
    pb_int(out, 12, words_int(w, "min_create", 0));
    pb_int(out, 13, words_int(w, "max_create", 0));
}

static void pack_put(struct arena *arena, const struct words *w,
                     struct buf *out)
{
    struct slice value = argument(w, 2);
    int64_t repeat = words_int(w, "times", 1);
    struct slice many = value;

    if (repeat > 1) {
        uint8_t *bytes = arena_alloc(arena, value.len * (size_t)repeat);

        for (int64_t i = 0; i < repeat; i++) {
            memcpy(bytes + (size_t)i * value.len, value.data, value.len);
        }
        many = slice_of(bytes, value.len * (size_t)repeat);
    }
    pb_bytes(out, 1, argument(w, 1));
    pb_bytes(out, 2, many);
    pb_int(out, 3, words_int(w, "lease", 0));
    pb_bool(out, 4, words_have(w, "prev_kv"));
    pb_bool(out, 5, words_have(w, "ignore_value"));
    pb_bool(out, 6, words_have(w, "ignore_lease"));
}

static void pack_del(const struct words *w, struct buf *out)
{
    pb_bytes(out, 1, argument(w, 1));
    pb_bytes(out, 2, range_end(w, 2));
    pb_bool(out, 3, words_have(w, "prev_kv"));
}

static int number_of(struct slice word, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (word_is(word, names[i])) {
            return i;
        }
    }
    return (int)word_int(word);
}

/* if TARGET KEY[..END] OPERATOR OPERAND */
static void pack_compare(const struct words *w, struct buf *out)
{
    static const char *const targets[] = {"version", "create", "mod", "value",
                                          "lease"};
    static const char *const results[] = {"=", ">", "<", "!="};
    int target = number_of(w->list[1], targets, 5);
    struct slice value;

    pb_uint(out, 1, (uint64_t)number_of(w->list[3], results, 4));
    pb_uint(out, 2, (uint64_t)target);
    pb_bytes(out, 3, argument(w, 2));
    value = argument(w, 4);
    if (target == 3) {
        pb_message(out, 7, value);
    } else if (target < 5) {
        pb_varint(out, (uint64_t)(target + 4) << 3);
        pb_varint(out, (uint64_t)word_int(value));
    }
    for (size_t i = 5; i < w->count; i++) {
        struct slice to;

        if (word_named(w->list[i], "to", &to)) {
            pb_bytes(out, 64, word_is(to, "*") ? slice_of("", 1) : to);
        }
    }
}

static void pack_txn(struct arena *arena, struct lines *lines, struct buf *out);

/* The rest of "then ..." or "else ...". */
static void pack_op(struct arena *arena, const struct words *w,
                    struct lines *lines, struct buf *out)
{
    struct words rest = {.count = w->count - 1};
    size_t mark;

    memcpy(rest.list, w->list + 1, rest.count * sizeof(rest.list[0]));
    if (rest.count == 0 || word_is(rest.list[0], "nothing")) {
        return; /* An op without a member. */
    }
    if (word_is(rest.list[0], "get")) {
        mark = pb_begin(out, 1);
        pack_get(&rest, out);
    } else if (word_is(rest.list[0], "put")) {
        mark = pb_begin(out, 2);
        pack_put(arena, &rest, out);
    } else if (word_is(rest.list[0], "del")) {
        mark = pb_begin(out, 3);
        pack_del(&rest, out);
    } else {
        CHECK(word_is(rest.list[0], "txn"));
        mark = pb_begin(out, 4);
        pack_txn(arena, lines, out);
    }
    pb_end(out, mark);
}

static void pack_txn(struct arena *arena, struct lines *lines, struct buf *out)
{
    for (;;) {
        struct words w;
        size_t mark;

        CHECK(lines->at < lines->count);
        w = words_split(arena, lines->list[lines->at++]);
        CHECK(w.count > 0);
        if (word_is(w.list[0], "end")) {
            return;
        }
        if (word_is(w.list[0], "if")) {
            mark = pb_begin(out, 1);
            pack_compare(&w, out);
        } else {
            bool is_then = word_is(w.list[0], "then");

            CHECK(is_then || word_is(w.list[0], "else"));
            mark = pb_begin(out, is_then ? 2 : 3);
            pack_op(arena, &w, lines, out);
        }
        pb_end(out, mark);
    }
}

static enum kv_kind pack_numbers(const struct words *w, enum kv_kind kind,
                                 struct buf *out)
{
    for (unsigned i = 1; i < w->count; i++) {
        if (!is_option(w->list[i])) {
            pb_int(out, i, word_int(w->list[i]));
        }
    }
    return kind;
}

enum kv_kind words_pack(struct arena *arena, const struct words *w,
                        struct lines *lines, struct buf *out)
{
    struct slice verb = w->list[0];

    if (word_is(verb, "get")) {
        pack_get(w, out);
        return KV_RANGE;
    }
    if (word_is(verb, "put")) {
        pack_put(arena, w, out);
        return KV_PUT;
    }
    if (word_is(verb, "del")) {
        pack_del(w, out);
        return KV_DELETE_RANGE;
    }
    if (word_is(verb, "txn")) {
        pack_txn(arena, lines, out);
        return KV_TXN;
    }
    if (word_is(verb, "compact")) {
        (void)pack_numbers(w, KV_COMPACTION, out);
        pb_bool(out, 2, words_have(w, "physical"));
        return KV_COMPACTION;
    }
    if (word_is(verb, "grant")) { /* grant TTL [ID] */
        return pack_numbers(w, KV_LEASE_GRANT, out);
    }
    if (word_is(verb, "revoke")) {
        return pack_numbers(w, KV_LEASE_REVOKE, out);
    }
    CHECK(word_is(verb, "alarm")); /* alarm ACTION MEMBER KIND */
    return pack_numbers(w, KV_ALARM, out);
}
