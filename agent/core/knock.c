#include "agent/core/knock.h"

#include <stdlib.h>
#include <string.h>

#include "agent/core/pmap.h"
#include "base/core/arena.h"
#include "base/core/check.h"

enum door_state {
    DOOR_IDLE,
    DOOR_QUEUED,
    DOOR_TRIED
};

/* One address and port. */
struct door {
    struct shared shared;
    struct door *next; /* In the queue. */
    uint64_t id;
    uint16_t port;
    enum door_state state;
    enum knock_verdict verdict;
    uint64_t known_ms; /* When; 0: never. */
    char address[];
};

struct knocks {
    struct pmap doors;  /* "port address" -> door */
    struct door *first; /* Queued, oldest first. */
    struct door *last;
    struct door *tried[KNOCKS_MAX];
    size_t tried_count;
    uint64_t next_id;
    uint64_t total;
};

#define KEY_MAX 512

struct knocks *knocks_new(void)
{
    struct knocks *k = calloc(1, sizeof(*k));

    CHECK(k != NULL);
    return k;
}

static void door_free(struct shared *s)
{
    free(s);
}

void knocks_clear(struct knocks *k)
{
    while (k->first != NULL) {
        struct door *d = k->first;

        k->first = d->next;
        shared_unref(&d->shared);
    }
    k->last = NULL;
    pmap_release(&k->doors); /* Those under way are held by `tried`. */
}

void knocks_free(struct knocks *k)
{
    if (k == NULL) {
        return;
    }
    knocks_clear(k);
    for (size_t i = 0; i < k->tried_count; i++) {
        shared_unref(&k->tried[i]->shared);
    }
    free(k);
}

/* False: too long to be an address. */
static bool key_of(const char *address, uint16_t port, uint8_t key[KEY_MAX],
                   struct slice *out_key)
{
    size_t len = strlen(address);

    if (len == 0 || len > KEY_MAX - 2) {
        return false;
    }
    key[0] = (uint8_t)(port >> 8);
    key[1] = (uint8_t)port;
    memcpy(key + 2, address, len);
    *out_key = slice_of(key, len + 2);
    return true;
}

static struct door *door_new(const char *address, uint16_t port)
{
    size_t len = strlen(address);
    struct door *d = calloc(1, sizeof(*d) + len + 1);

    CHECK(d != NULL);
    shared_init(&d->shared, door_free);
    d->port = port;
    memcpy(d->address, address, len + 1);
    return d;
}

void knocks_want(struct knocks *k, const char *address, uint16_t port,
                 uint64_t now_ms)
{
    uint8_t bytes[KEY_MAX];
    struct slice key;
    struct door *d;

    if (port == 0 || !key_of(address, port, bytes, &key)) {
        return;
    }
    d = (struct door *)pmap_get(&k->doors, key);
    if (d == NULL) {
        d = door_new(address, port);
        pmap_put(&k->doors, key, &d->shared);
    }
    if (d->state != DOOR_IDLE ||
        (d->known_ms != 0 && now_ms - d->known_ms < KNOCK_FRESH_MS)) {
        return;
    }
    d->state = DOOR_QUEUED;
    (void)shared_ref(&d->shared);
    d->next = NULL;
    if (k->last == NULL) {
        k->first = d;
    } else {
        k->last->next = d;
    }
    k->last = d;
}

bool knocks_next(struct knocks *k, struct knock_target *out_target)
{
    struct door *d = k->first;

    if (d == NULL || k->tried_count == KNOCKS_MAX) {
        return false;
    }
    k->first = d->next;
    if (k->first == NULL) {
        k->last = NULL;
    }
    d->state = DOOR_TRIED;
    d->id = ++k->next_id;
    k->tried[k->tried_count++] = d; /* The queue's reference. */
    k->total++;
    *out_target = (struct knock_target){
        .id = d->id, .address = d->address, .port = d->port};
    return true;
}

bool knocks_done(struct knocks *k, uint64_t id, enum knock_verdict verdict,
                 uint64_t now_ms)
{
    for (size_t i = 0; i < k->tried_count; i++) {
        struct door *d = k->tried[i];
        bool changed = d->verdict != verdict;

        if (d->id != id) {
            continue;
        }
        d->state = DOOR_IDLE;
        d->verdict = verdict;
        d->known_ms = now_ms > 0 ? now_ms : 1;
        k->tried[i] = k->tried[--k->tried_count];
        shared_unref(&d->shared);
        return changed;
    }
    UNREACHABLE();
}

enum knock_verdict knocks_verdict(const struct knocks *k, const char *address,
                                  uint16_t port)
{
    uint8_t bytes[KEY_MAX];
    struct slice key;
    const struct door *d;

    if (!key_of(address, port, bytes, &key)) {
        return KNOCK_UNKNOWN;
    }
    d = (const struct door *)pmap_get(&k->doors, key);
    return d == NULL ? KNOCK_UNKNOWN : d->verdict;
}

size_t knocks_under_way(const struct knocks *k)
{
    return k->tried_count;
}

uint64_t knocks_total(const struct knocks *k)
{
    return k->total;
}
