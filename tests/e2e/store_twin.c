/*
 * store_twin.c - the same random requests to two stores; answers must be alike.
 *
 *     store_twin HOST:PORT HOST:PORT SEED STEPS
 *
 * The first is the reference. Answers are compared field by field, without
 * cluster id, member id and term of their headers; errors by code and text.
 * HashKV of both is compared again and again. Both stores must have the same
 * history when this begins.
 *
 * Left out, because the reference ends when it sees it or answers it in no
 * fixed way: sorting by ties of more than twelve keys, undefined sort targets,
 * ignore_value beside a delete in one transaction, tombstones at the compacted
 * revision.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "base/core/rng.h"
#include "base/io/grpc_client.h"
#include "base/io/loop.h"
#include "base/proto/pb_arena.h"
#include "base/proto/rpc.pb-c.h"

enum {
    KEYS_COUNT = 12,
    LEASES_COUNT = 4,
    MESSAGE_MAX = 1024 * 1024,
    TIMEOUT_MS = 20000,
    HASH_EVERY = 50,
    NEST_MAX = 2
};

/* What can be asked, and what is answered. */
struct method {
    const char *path;
    const ProtobufCMessageDescriptor *reply;
};

#define METHOD(service, name, message)             \
    {                                              \
        "/etcdserverpb." service "/" name,         \
            &etcdserverpb__##message##__descriptor \
    }

static const struct method range = METHOD("KV", "Range", range_response);
static const struct method put = METHOD("KV", "Put", put_response);
static const struct method delete_range =
    METHOD("KV", "DeleteRange", delete_range_response);
static const struct method txn = METHOD("KV", "Txn", txn_response);
static const struct method compact =
    METHOD("KV", "Compact", compaction_response);
static const struct method lease_grant =
    METHOD("Lease", "LeaseGrant", lease_grant_response);
static const struct method lease_revoke =
    METHOD("Lease", "LeaseRevoke", lease_revoke_response);
static const struct method hash_kv =
    METHOD("Maintenance", "HashKV", hash_kvresponse);

struct answer {
    enum grpc_code code;
    char text[256];
    struct buf bytes; /* The revision, and the rest in field order. */
};

struct twin {
    struct loop *loop;
    struct grpc_channel *channels[2];
    struct answer answers[2];
    unsigned asked; /* Which of the two is being asked. */
    const struct method *method;
    unsigned closed;
    struct rng rng;
    int64_t revision;  /* The newest. */
    int64_t compacted; /* The last compaction. */
    unsigned alike;
    unsigned refused; /* Alike, and an error. */
};

/* --- Requests --- */

static uint64_t below(struct twin *t, uint64_t bound)
{
    return rng_below(&t->rng, bound);
}

static bool chance(struct twin *t, unsigned percent)
{
    return below(t, 100) < percent;
}

static void put_key(struct twin *t, struct buf *b, unsigned field)
{
    char key[16];

    (void)snprintf(key, sizeof(key), "twin/%02" PRIu64, below(t, KEYS_COUNT));
    pb_bytes(b, field, slice_str(key));
}

static void put_interval(struct twin *t, struct buf *b, unsigned key_field,
                         unsigned end_field)
{
    switch (below(t, 5)) {
    case 0:
        put_key(t, b, key_field);
        put_key(t, b, end_field); /* Often empty. */
        break;
    case 1:
        pb_bytes(b, key_field, slice_str("twin/"));
        pb_bytes(b, end_field, slice_str("twin0"));
        break;
    case 2:
        put_key(t, b, key_field);
        pb_bytes(b, end_field, slice_of("", 1)); /* From the key on. */
        break;
    default:
        put_key(t, b, key_field);
        break;
    }
}

/* Mostly one that can be read. */
static int64_t some_revision(struct twin *t)
{
    return (int64_t)below(t, (uint64_t)t->revision + 3) - 1;
}

static void build_put(struct twin *t, struct buf *b, bool plain)
{
    char value[64];
    bool ignore_value = !plain && chance(t, 8);
    bool ignore_lease = !plain && chance(t, 8);

    put_key(t, b, 1);
    (void)snprintf(value, sizeof(value), "%" PRIu64, below(t, 1000));
    if (!ignore_value || chance(t, 5)) {
        pb_bytes(b, 2, slice_str(value));
    }
    if (chance(t, 30) && (!ignore_lease || chance(t, 5))) {
        pb_uint(b, 3, 1 + below(t, LEASES_COUNT));
    }
    pb_bool(b, 4, chance(t, 40));
    pb_bool(b, 5, ignore_value);
    pb_bool(b, 6, ignore_lease);
}

static void build_range(struct twin *t, struct buf *b)
{
    put_interval(t, b, 1, 2);
    if (chance(t, 30)) {
        pb_uint(b, 3, below(t, 6));
    }
    if (chance(t, 40)) {
        pb_int(b, 4, some_revision(t));
    }
    if (chance(t, 40)) {
        pb_uint(b, 5, below(t, 3));
        pb_uint(b, 6, below(t, 5));
    }
    pb_bool(b, 7, chance(t, 30));
    pb_bool(b, 8, chance(t, 20));
    pb_bool(b, 9, chance(t, 10));
    for (unsigned field = 10; field <= 13; field++) {
        if (chance(t, 8)) {
            pb_int(b, field, some_revision(t));
        }
    }
}

static void build_delete(struct twin *t, struct buf *b)
{
    put_interval(t, b, 1, 2);
    pb_bool(b, 3, chance(t, 50));
}

static void build_compare(struct twin *t, struct buf *b)
{
    unsigned target = (unsigned)below(t, 5);
    char value[16];

    pb_uint(b, 1, below(t, 4));
    pb_uint(b, 2, target);
    put_key(t, b, 3);
    if (target == 3) {
        (void)snprintf(value, sizeof(value), "%" PRIu64, below(t, 1000));
        pb_bytes(b, 7, slice_str(value));
    } else {
        unsigned field = target == 4 ? 8 : 4 + target;

        /* Written even when 0: it says which operand is meant. */
        pb_varint(b, (uint64_t)field << 3);
        pb_varint(b, target == 1 || target == 2
                         ? (uint64_t)t->revision - below(t, 3)
                         : below(t, 3));
    }
    if (chance(t, 20)) {
        pb_bytes(b, 64, slice_str("twin0"));
    }
}

static void build_ops(struct twin *t, struct buf *b, unsigned field,
                      unsigned depth);

static void build_txn(struct twin *t, struct buf *b, unsigned depth)
{
    for (uint64_t i = below(t, 3); i > 0; i--) {
        size_t mark = pb_begin(b, 1);

        build_compare(t, b);
        pb_end(b, mark);
    }
    build_ops(t, b, 2, depth);
    build_ops(t, b, 3, depth);
}

static void build_op(struct twin *t, struct buf *b, unsigned depth)
{
    unsigned kind = 1 + (unsigned)below(t, depth < NEST_MAX ? 4 : 3);
    size_t mark = pb_begin(b, kind);

    switch (kind) {
    case 1:
        build_range(t, b);
        break;
    case 2:
        build_put(t, b, true);
        break;
    case 3:
        build_delete(t, b);
        break;
    default:
        build_txn(t, b, depth + 1);
        break;
    }
    pb_end(b, mark);
}

static void build_ops(struct twin *t, struct buf *b, unsigned field,
                      unsigned depth)
{
    for (uint64_t i = below(t, 4); i > 0; i--) {
        size_t mark = pb_begin(b, field);

        build_op(t, b, depth);
        pb_end(b, mark);
    }
}

/* --- Answers --- */

/* A header without cluster, member and term. */
static void copy_header(struct slice header, struct buf *out)
{
    struct pb_field field;
    int64_t revision = 0;

    while (pb_next(&header, &field)) {
        if (field.number == 3) {
            revision = (int64_t)field.value;
        }
    }
    pb_int(out, 1, revision);
}

static void on_answer(void *ctx, enum grpc_code code, const char *text,
                      struct slice reply)
{
    struct twin *t = ctx;
    struct answer *a = &t->answers[t->asked];
    struct slice rest = reply;
    struct arena arena = {0};
    const ProtobufCMessage *message;
    struct pb_field field;

    a->code = code;
    (void)snprintf(a->text, sizeof(a->text), "%s", text);
    buf_clear(&a->bytes);
    if (code == GRPC_OK && pb_next(&rest, &field) && field.number == 1 &&
        field.type == PB_BYTES) {
        copy_header(field.bytes, &a->bytes);
        reply = rest;
    }
    message = pb_decode(&arena, t->method->reply, reply);
    CHECK(message != NULL);
    pb_encode(&a->bytes, message);
    arena_release(&arena);
    loop_stop(t->loop);
}

static void print_bytes(const char *name, struct slice bytes)
{
    (void)printf("%s (%zu bytes):", name, bytes.len);
    for (size_t i = 0; i < bytes.len && i < 400; i++) {
        (void)printf(" %02x", bytes.data[i]);
    }
    (void)printf("\n");
}

static bool alike(struct twin *t, struct slice request)
{
    struct answer *a = &t->answers[0];
    struct answer *b = &t->answers[1];

    if (a->code == b->code && strcmp(a->text, b->text) == 0 &&
        slice_eq(buf_slice(&a->bytes), buf_slice(&b->bytes))) {
        t->alike++;
        t->refused += a->code != GRPC_OK;
        return true;
    }
    (void)printf("%s, after %u answers alike:\n", t->method->path, t->alike);
    print_bytes("request", request);
    (void)printf("reference: %s \"%s\"\n", grpc_code_name(a->code), a->text);
    print_bytes("reference", buf_slice(&a->bytes));
    (void)printf("ours: %s \"%s\"\n", grpc_code_name(b->code), b->text);
    print_bytes("ours", buf_slice(&b->bytes));
    return false;
}

/* Ask both. true: they agree. */
static bool ask(struct twin *t, const struct method *method,
                struct buf *request)
{
    struct pb_field field;
    struct slice rest;
    bool same;

    t->method = method;
    for (t->asked = 0; t->asked < 2; t->asked++) {
        (void)grpc_unary(t->channels[t->asked], method->path,
                         buf_slice(request), TIMEOUT_MS, on_answer, t);
        loop_run(t->loop);
    }
    same = alike(t, buf_slice(request));
    rest = buf_slice(&t->answers[0].bytes);
    if (t->answers[0].code == GRPC_OK && pb_next(&rest, &field) &&
        field.number == 1 && field.type == PB_VARINT &&
        (int64_t)field.value > t->revision) {
        t->revision = (int64_t)field.value;
    }
    buf_clear(request);
    return same;
}

/* --- Steps --- */

static bool step_lease(struct twin *t, struct buf *b)
{
    uint64_t id = 1 + below(t, LEASES_COUNT);

    if (chance(t, 60)) {
        pb_uint(b, 1, 100000);
        pb_uint(b, 2, id);
        return ask(t, &lease_grant, b);
    }
    pb_uint(b, 1, id);
    return ask(t, &lease_revoke, b);
}

/* Compact at a put, so that no tombstone lies exactly there. */
static bool step_compact(struct twin *t, struct buf *b)
{
    int64_t at;

    build_put(t, b, true);
    if (!ask(t, &put, b)) {
        return false;
    }
    at = chance(t, 80) && t->answers[0].code == GRPC_OK ? t->revision
                                                        : t->compacted - 1;
    build_put(t, b, true);
    if (!ask(t, &put, b)) {
        return false;
    }
    if (at == t->revision) {
        return true; /* The second was refused: at is not past. */
    }
    pb_int(b, 1, at);
    pb_bool(b, 2, true);
    if (!ask(t, &compact, b)) {
        return false;
    }
    t->compacted = t->answers[0].code == GRPC_OK ? at : t->compacted;
    return true;
}

static bool step(struct twin *t, struct buf *b)
{
    uint64_t kind = below(t, 100);

    if (kind < 30) {
        build_put(t, b, false);
        return ask(t, &put, b);
    }
    if (kind < 50) {
        build_range(t, b);
        return ask(t, &range, b);
    }
    if (kind < 62) {
        build_delete(t, b);
        return ask(t, &delete_range, b);
    }
    if (kind < 90) {
        build_txn(t, b, 0);
        return ask(t, &txn, b);
    }
    return kind < 98 ? step_lease(t, b) : step_compact(t, b);
}

static bool run(struct twin *t, uint64_t steps)
{
    struct buf b;
    bool good = true;

    buf_init(&b, MESSAGE_MAX);
    for (uint64_t i = 0; i < steps && good; i++) {
        good = step(t, &b);
        if (good && i % HASH_EVERY == HASH_EVERY - 1) {
            good = ask(t, &hash_kv, &b);
        }
    }
    buf_release(&b);
    return good;
}

static void on_closed(void *ctx)
{
    struct twin *t = ctx;

    if (++t->closed == 2) {
        loop_stop(t->loop);
    }
}

int main(int argc, char **argv)
{
    struct twin t = {.revision = 1, .compacted = -1};
    struct grpc_channel_hooks hooks = {.ctx = &t};
    bool good;

    if (argc != 5) {
        (void)fprintf(stderr, "usage: store_twin HOST:PORT HOST:PORT SEED "
                              "STEPS\n");
        return 2;
    }
    t.loop = loop_new();
    rng_init(&t.rng, strtoull(argv[3], NULL, 10));
    for (int i = 0; i < 2; i++) {
        struct grpc_channel_config config = {.target = argv[1 + i]};

        t.channels[i] = grpc_channel_open(t.loop, &config, hooks);
        buf_init(&t.answers[i].bytes, MESSAGE_MAX);
    }
    good = run(&t, strtoull(argv[4], NULL, 10));
    (void)printf("%u answers alike, %u of them refusals, revision %" PRId64
                 "\n",
                 t.alike, t.refused, t.revision);
    for (int i = 0; i < 2; i++) {
        grpc_channel_close(t.channels[i], on_closed, &t);
    }
    loop_run(t.loop);
    loop_free(t.loop);
    buf_release(&t.answers[0].bytes);
    buf_release(&t.answers[1].bytes);
    return good ? 0 : 1;
}
