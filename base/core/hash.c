#include "base/core/hash.h"

#include <endian.h>

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t rotate_left(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(struct sip *s)
{
    s->a += s->b;
    s->b = rotate_left(s->b, 13) ^ s->a;
    s->a = rotate_left(s->a, 32);
    s->c += s->d;
    s->d = rotate_left(s->d, 16) ^ s->c;
    s->a += s->d;
    s->d = rotate_left(s->d, 21) ^ s->a;
    s->c += s->b;
    s->b = rotate_left(s->b, 17) ^ s->c;
    s->c = rotate_left(s->c, 32);
}

/* Rounds for each word of the input, and at the end. */
struct sip_rounds {
    unsigned word;
    unsigned end;
};

static inline void sip_word(struct sip *s, uint64_t word, unsigned rounds)
{
    s->d ^= word;
    for (unsigned i = 0; i < rounds; i++) {
        sip_round(s);
    }
    s->a ^= word;
}

static inline uint64_t sip_hash(struct hash_key key, struct slice bytes,
                                struct sip_rounds rounds)
{
    struct sip s = {key.k0 ^ 0x736f6d6570736575u, key.k1 ^ 0x646f72616e646f6du,
                    key.k0 ^ 0x6c7967656e657261u, key.k1 ^ 0x7465646279746573u};
    size_t whole = bytes.len & ~(size_t)7;
    uint64_t last = (uint64_t)bytes.len << 56;

    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word;

        memcpy(&word, bytes.data + i, sizeof(word));
        sip_word(&s, le64toh(word), rounds.word);
    }
    for (size_t i = whole; i < bytes.len; i++) {
        last |= (uint64_t)bytes.data[i] << (8 * (i - whole));
    }
    sip_word(&s, last, rounds.word);
    s.c ^= 0xff;
    for (unsigned i = 0; i < rounds.end; i++) {
        sip_round(&s);
    }
    return s.a ^ s.b ^ s.c ^ s.d;
}

uint64_t hash_bytes(struct hash_key key, struct slice bytes)
{
    return sip_hash(key, bytes, (struct sip_rounds){1, 3});
}

uint64_t hash_siphash24(const uint8_t *key, struct slice bytes)
{
    struct hash_key k;

    memcpy(&k, key, sizeof(k));
    k.k0 = le64toh(k.k0);
    k.k1 = le64toh(k.k1);
    return sip_hash(k, bytes, (struct sip_rounds){2, 4});
}
