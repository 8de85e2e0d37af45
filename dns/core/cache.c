#include "dns/core/cache.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "base/core/check.h"

enum {
    BUCKETS_MIN = 64,
    BYTES_A_BUCKET = 512, /* Of the limit: a usual entry is smaller. */
    LARGEST_PART = 8      /* No entry takes more than this part of all. */
};

struct entry {
    TAILQ_ENTRY(entry) order; /* The newest first. */
    struct entry *next;       /* In its bucket. */
    uint64_t hash;
    uint64_t stored_ms;
    uint64_t expires_ms;
    uint64_t held_ms; /* Until then an expired answer is served unasked. */
    uint32_t reply_len;
    int16_t extended_error; /* Of a failure. */
    uint16_t key_len;
    bool failure;
    bool asked;      /* Since the hand passed. */
    uint8_t bytes[]; /* Key, reply. */
};

TAILQ_HEAD(entries, entry);

struct dns_cache {
    struct dns_cache_limits limits;
    struct hash_key hash_key;
    struct entry **buckets;
    size_t buckets_count; /* A power of two. */
    struct entries order;
    struct entry *hand; /* Where the next search begins; NULL: the oldest. */
    struct dns_cache_size size;
};

void dns_cache_key_make(struct dns_cache_key *key, struct slice name,
                        uint16_t type, bool dnssec_ok, bool checking_disabled)
{
    CHECK(name.len <= DNS_NAME_MAX);
    for (size_t i = 0; i < name.len; i++) {
        key->bytes[i] = dns_lower(name.data[i]);
    }
    key->bytes[name.len] = (uint8_t)(type >> 8);
    key->bytes[name.len + 1] = (uint8_t)type;
    key->bytes[name.len + 2] =
        (uint8_t)((dnssec_ok ? 1 : 0) | (checking_disabled ? 2 : 0));
    key->len = (uint16_t)(name.len + 3);
}

static struct slice key_of(const struct entry *e)
{
    return slice_of(e->bytes, e->key_len);
}

static size_t cost(size_t key_len, size_t reply_len)
{
    return sizeof(struct entry) + key_len + reply_len;
}

static size_t buckets_for(const struct dns_cache_limits *limits)
{
    size_t wanted =
        limits->entries > 0 && limits->entries < limits->bytes / BYTES_A_BUCKET
            ? limits->entries
            : limits->bytes / BYTES_A_BUCKET;
    size_t count = BUCKETS_MIN;

    while (count < wanted) {
        count *= 2;
    }
    return count;
}

static struct entry **bucket_of(const struct dns_cache *c, uint64_t hash)
{
    return &c->buckets[hash & (c->buckets_count - 1)];
}

static void index_make(struct dns_cache *c)
{
    struct entry *e;

    free(c->buckets);
    c->buckets_count = buckets_for(&c->limits);
    c->buckets = calloc(c->buckets_count, sizeof(struct entry *));
    CHECK(c->buckets != NULL);
    TAILQ_FOREACH(e, &c->order, order)
    {
        struct entry **bucket = bucket_of(c, e->hash);

        e->next = *bucket;
        *bucket = e;
    }
}

struct dns_cache *dns_cache_new(const struct dns_cache_limits *limits,
                                struct hash_key key)
{
    struct dns_cache *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    c->limits = *limits;
    c->hash_key = key;
    TAILQ_INIT(&c->order);
    index_make(c);
    return c;
}

static void drop(struct dns_cache *c, struct entry *e)
{
    struct entry **at = bucket_of(c, e->hash);

    while (*at != e) {
        at = &(*at)->next;
    }
    *at = e->next;
    if (c->hand == e) {
        c->hand = TAILQ_PREV(e, entries, order);
    }
    TAILQ_REMOVE(&c->order, e, order);
    c->size.bytes -= cost(e->key_len, e->reply_len);
    c->size.entries--;
    free(e);
}

static void evict_one(struct dns_cache *c)
{
    struct entry *e =
        c->hand != NULL ? c->hand : TAILQ_LAST(&c->order, entries);

    while (e->asked) {
        e->asked = false;
        e = TAILQ_PREV(e, entries, order);
        if (e == NULL) {
            e = TAILQ_LAST(&c->order, entries);
        }
    }
    c->hand = e; /* drop() moves it on. */
    drop(c, e);
    c->size.evicted++;
}

/* The index counts, too. */
static size_t room(const struct dns_cache *c)
{
    size_t index = c->buckets_count * sizeof(struct entry *);

    return c->limits.bytes > index ? c->limits.bytes - index : 0;
}

static void make_room(struct dns_cache *c, size_t bytes, size_t entries)
{
    while (c->size.entries > 0 &&
           (c->size.bytes + bytes > room(c) ||
            (c->limits.entries > 0 &&
             c->size.entries + entries > c->limits.entries))) {
        evict_one(c);
    }
}

void dns_cache_limit(struct dns_cache *c, const struct dns_cache_limits *limits)
{
    c->limits = *limits;
    index_make(c);
    make_room(c, 0, 0);
}

void dns_cache_free(struct dns_cache *c)
{
    if (c == NULL) {
        return;
    }
    while (!TAILQ_EMPTY(&c->order)) {
        drop(c, TAILQ_FIRST(&c->order));
    }
    free(c->buckets);
    free(c);
}

static struct entry *find(const struct dns_cache *c, uint64_t hash,
                          struct slice key)
{
    struct entry *e = *bucket_of(c, hash);

    while (e != NULL && (e->hash != hash || !slice_eq(key_of(e), key))) {
        e = e->next;
    }
    return e;
}

static bool is_usable(const struct dns_cache *c, const struct entry *e,
                      uint64_t now_ms)
{
    uint64_t stale_ms = (uint64_t)c->limits.stale_max_s * 1000;

    return now_ms < e->expires_ms ||
           (!e->failure && now_ms - e->expires_ms < stale_ms);
}

enum dns_cache_state dns_cache_get(struct dns_cache *c, struct slice key,
                                   uint64_t now_ms, struct dns_cached *out)
{
    struct entry *e = find(c, hash_bytes(c->hash_key, key), key);

    if (e == NULL) {
        return DNS_CACHE_MISS;
    }
    if (!is_usable(c, e, now_ms)) {
        drop(c, e);
        return DNS_CACHE_MISS;
    }
    e->asked = true;
    *out = (struct dns_cached){
        .reply = slice_of(e->bytes + e->key_len, e->reply_len),
        .age_s = (uint32_t)((now_ms - e->stored_ms) / 1000),
        .extended_error = e->extended_error,
    };
    if (e->failure) {
        return DNS_CACHE_FAILED;
    }
    if (now_ms < e->expires_ms) {
        return DNS_CACHE_FRESH;
    }
    return now_ms < e->held_ms ? DNS_CACHE_HELD : DNS_CACHE_STALE;
}

/* A new entry in place of an old one; NULL when it is too large. */
static struct entry *add(struct dns_cache *c, struct slice key,
                         struct slice reply, uint64_t now_ms)
{
    uint64_t hash = hash_bytes(c->hash_key, key);
    struct entry *e = find(c, hash, key);
    size_t bytes = cost(key.len, reply.len);

    if (e != NULL) {
        drop(c, e);
    }
    if (bytes > room(c) / LARGEST_PART) {
        return NULL;
    }
    make_room(c, bytes, 1);
    e = malloc(bytes);
    CHECK(e != NULL);
    *e = (struct entry){.hash = hash,
                        .stored_ms = now_ms,
                        .reply_len = (uint32_t)reply.len,
                        .key_len = (uint16_t)key.len};
    memcpy(e->bytes, key.data, key.len);
    if (reply.len > 0) {
        memcpy(e->bytes + key.len, reply.data, reply.len);
    }
    e->next = *bucket_of(c, hash);
    *bucket_of(c, hash) = e;
    TAILQ_INSERT_HEAD(&c->order, e, order);
    c->size.bytes += bytes;
    c->size.entries++;
    return e;
}

void dns_cache_put(struct dns_cache *c, struct slice key, struct slice reply,
                   uint32_t ttl_s, uint64_t now_ms)
{
    struct entry *e = add(c, key, reply, now_ms);

    if (e != NULL && ttl_s == 0) {
        drop(c, e); /* It has replaced what is not true any more. */
    } else if (e != NULL) {
        e->expires_ms = now_ms + (uint64_t)ttl_s * 1000;
    }
}

void dns_cache_fail(struct dns_cache *c, struct slice key,
                    const struct dns_cache_failure *failure, uint64_t now_ms)
{
    struct entry *e = find(c, hash_bytes(c->hash_key, key), key);

    if (e != NULL && !e->failure && is_usable(c, e, now_ms)) {
        e->held_ms = now_ms + failure->hold_ms;
        return;
    }
    e = add(c, key, slice_of(NULL, 0), now_ms);
    if (e != NULL) {
        e->failure = true;
        e->extended_error = (int16_t)failure->extended_error;
        e->expires_ms = now_ms + failure->fail_ms;
    }
}

void dns_cache_size(const struct dns_cache *c, struct dns_cache_size *out_size)
{
    *out_size = c->size;
}

void dns_cache_verify(const struct dns_cache *c)
{
    size_t bytes = 0;
    size_t entries = 0;
    size_t indexed = 0;
    bool hand = c->hand == NULL;
    const struct entry *e;

    TAILQ_FOREACH(e, &c->order, order)
    {
        bytes += cost(e->key_len, e->reply_len);
        entries++;
        hand = hand || e == c->hand;
        CHECK(find(c, e->hash, key_of(e)) == e);
    }
    for (size_t i = 0; i < c->buckets_count; i++) {
        for (e = c->buckets[i]; e != NULL; e = e->next) {
            indexed++;
        }
    }
    CHECK(hand);
    CHECK(indexed == entries);
    CHECK(bytes == c->size.bytes);
    CHECK(entries == c->size.entries);
    CHECK(entries == 0 || bytes <= room(c));
    CHECK(c->limits.entries == 0 || entries <= c->limits.entries);
}
