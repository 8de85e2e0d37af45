/*
 * kv.h - entries of /v1/kv as the store holds them.
 *
 *   /muster/v1/<dc>/pairs/<key>          an entry; the key's bytes as they are
 *   /muster/v1/<dc>/held/<session>/<key> the session holds the entry's lock
 *   /muster/v1/<dc>/delay/<key>          leased: nobody may lock it until then
 *
 * None lies in record_range(): agents keep no copy of the entries.
 *
 * The value is one line, "1 <flags> <lock index> <session or ->", and then the
 * user's bytes. What does not begin like this was put there by other means, and
 * is all the user's bytes.
 */
#pragma once

#include "agent/core/store.h"

#define LIMIT_KV_KEY   2048
#define LIMIT_KV_VALUE (512UL * 1024) /* As Consul. */

struct kv_entry {
    struct slice key;
    struct slice value;
    uint64_t flags;
    uint64_t lock_index;
    const char *session; /* "": not locked. */
    int64_t create_index;
    int64_t modify_index;
};

/* The store's key of an entry; of "", the prefix of all. */
struct slice kv_key(struct arena *a, const char *dc, struct slice key);
struct slice kv_delay_key(struct arena *a, const char *dc, struct slice key);
/* `key` empty: the prefix of all that the session holds. */
struct slice kv_held_key(struct arena *a, const char *dc, const char *session,
                         struct slice key);
/* The user's part of kv_key()'s; CHECKs that it is one. */
struct slice kv_user_key(const char *dc, struct slice key);

struct slice kv_write(struct arena *a, const struct kv_entry *e);
/* Borrows the value; the session is from the arena. */
void kv_read(struct arena *a, const char *dc, const struct store_kv *kv,
             struct kv_entry *out_entry);
