/*
 * apply.c - what the state machine costs by itself: no log, disk or network.
 *
 *     bench_kv [KEYS]       256-byte puts on that many keys (100 000)
 *
 * Prints microseconds of CPU a call, and bytes a key. Batches go to a table in
 * memory that keeps nothing but what it must, outside the measured time.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "store/kv/watch.h"
#include "unit/store_kv/memory_table.h"

enum {
    VALUE_LEN = 256,
    ENTRIES = 100000,
    WATCHERS = 1000,
    BATCH = 10000
};

struct bench {
    struct memory_table table;
    struct kv *kv;
    struct kv_reply reply;
    struct buf *entries; /* Prepared log entries. */
    uint64_t index;
};

static double cpu_us(void)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void request_pack(uint64_t number, bool put, struct buf *out)
{
    static const uint8_t value[VALUE_LEN] = "value";
    char key[32];
    int len = snprintf(key, sizeof(key), "/bench/key/%08llu",
                       (unsigned long long)number);

    pb_bytes(out, 1, slice_of(key, (size_t)len));
    if (put) {
        pb_bytes(out, 2, slice_of(value, sizeof(value)));
    }
}

static void entries_prepare(struct bench *b, uint64_t keys)
{
    struct buf request;

    buf_init(&request, SIZE_MAX);
    b->entries = calloc(ENTRIES, sizeof(*b->entries));
    CHECK(b->entries != NULL);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        buf_init(&b->entries[i], SIZE_MAX);
        buf_clear(&request);
        request_pack(i * 7919 % keys, true, &request);
        kv_entry_pack(&b->entries[i], i, KV_PUT, buf_slice(&request));
    }
    buf_release(&request);
}

/* All prepared entries once. Returns the time spent in kv_apply(). */
static double entries_apply(struct bench *b, uint64_t count)
{
    double spent = 0;

    for (uint64_t i = 0; i < count; i += BATCH) {
        double start = cpu_us();

        for (uint64_t j = i; j < i + BATCH && j < count; j++) {
            struct kv_entry e = {.index = ++b->index,
                                 .term = 1,
                                 .data = buf_slice(&b->entries[j])};

            kv_apply(b->kv, &e, 0, &b->reply);
        }
        spent += cpu_us() - start;
        memory_table_commit(&b->table, b->kv);
    }
    return spent;
}

/* Keys from the first on, up to `to`, at most 1 000 of them. */
static double range_thousand(struct bench *b, const char *to)
{
    struct kv_range *more;
    struct buf request;
    double start = cpu_us();

    buf_init(&request, SIZE_MAX);
    pb_bytes(&request, 1, slice_str("/bench/key/00000000"));
    pb_bytes(&request, 2, slice_str(to));
    pb_int(&request, 3, 1000);
    kv_range_start(b->kv, buf_slice(&request), &b->reply, &more);
    while (more != NULL && !kv_range_step(more)) {
        ;
    }
    kv_range_free(more);
    buf_release(&request);
    return cpu_us() - start;
}

static void bench_ranges(struct bench *b, uint64_t keys)
{
    struct kv_range *more;
    struct buf request;
    double start;

    buf_init(&request, SIZE_MAX);
    start = cpu_us();
    for (uint64_t i = 0; i < ENTRIES; i++) {
        buf_clear(&request);
        request_pack(i * 7919 % keys, false, &request);
        kv_range_start(b->kv, buf_slice(&request), &b->reply, &more);
    }
    printf("range of one key        %6.2f us\n", (cpu_us() - start) / ENTRIES);
    (void)range_thousand(b, "/bench/key/00001000");
    printf("range of 1 000 keys     %6.0f us\n",
           range_thousand(b, "/bench/key/00001000"));
    printf("the same, of %8llu %6.0f us\n", (unsigned long long)keys,
           range_thousand(b, "/bench0"));
    buf_release(&request);
}

static uint64_t listen(struct kv *kv)
{
    struct watch_notice notice;
    struct watcher *w;
    uint64_t bytes = 0;

    while ((w = watch_ready(kv)) != NULL) {
        watch_next(w, &notice);
        bytes += notice.events_bytes;
    }
    return bytes;
}

static void bench_watchers(struct bench *b)
{
    struct watcher *watchers[WATCHERS];
    struct watch_spec spec = {.key = slice_str("/bench/key/00000000")};
    const uint64_t events = 200;
    uint64_t bytes = 0;
    double start;

    for (size_t i = 0; i < WATCHERS; i++) {
        watchers[i] = watch_add(b->kv, &spec);
    }
    start = cpu_us();
    for (uint64_t i = 0; i < events; i++) {
        struct kv_entry e = {
            .index = ++b->index, .term = 1, .data = buf_slice(&b->entries[0])};

        kv_apply(b->kv, &e, 0, &b->reply);
        bytes += listen(b->kv);
    }
    printf("event, 1 000 watchers   %6.3f us each (%llu bytes)\n",
           (cpu_us() - start) / (double)(events * WATCHERS),
           (unsigned long long)bytes);
    for (size_t i = 0; i < WATCHERS; i++) {
        watch_free(watchers[i]);
    }
}

static void bench_open(struct bench *b, uint64_t keys)
{
    struct kv_config config = kv_config_default();
    struct mallinfo2 before = mallinfo2();
    double start = cpu_us();
    double used;

    CHECK(kv_open(&config, &b->table.port, &b->kv, NULL) == ST_OK);
    start = cpu_us() - start;
    used = (double)(mallinfo2().uordblks - before.uordblks);
    printf("open                    %6.2f us a key\n", start / (double)keys);
    printf("memory                  %6.1f bytes a key, of %zu\n",
           used / (double)kv_keys_count(b->kv),
           sizeof("/bench/key/00000000") - 1);
}

int main(int argc, char **argv)
{
    uint64_t keys = argc > 1 ? strtoull(argv[1], NULL, 10) : ENTRIES;
    struct kv_config config = kv_config_default();
    struct bench b = {0};

    CHECK(keys > 0);
    memory_table_init(&b.table);
    kv_reply_init(&b.reply);
    entries_prepare(&b, keys);
    CHECK(kv_open(&config, &b.table.port, &b.kv, NULL) == ST_OK);
    printf("apply, 256 byte, new    %6.2f us\n",
           entries_apply(&b, keys < ENTRIES ? keys : ENTRIES) /
               (double)(keys < ENTRIES ? keys : ENTRIES));
    kv_free(b.kv);
    bench_open(&b, keys);
    b.index = kv_index(b.kv);
    printf("apply, 256 byte, again  %6.2f us\n",
           entries_apply(&b, ENTRIES) / ENTRIES);
    bench_ranges(&b, keys);
    bench_watchers(&b);

    kv_free(b.kv);
    kv_reply_release(&b.reply);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        buf_release(&b.entries[i]);
    }
    free(b.entries);
    memory_table_release(&b.table);
    return 0;
}
