/*
 * store_writer.c - writes until the store dies, and checks what it promised.
 *
 *     store_writer write HOST:PORT FILE NUMBER
 *     store_writer check HOST:PORT FILE
 *
 * `write` keeps WRITERS puts under way and appends a line to FILE for each that
 * was acknowledged: key, value, revision. It ends when the connection does,
 * which is what the test brings about by killing the store. NUMBER makes the
 * values of one run differ from all others'; keys come again and again.
 *
 * `check` asks for every line: the key as of that revision must have that value
 * and that mod_revision. No revision may have been given twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "base/io/grpc_client.h"
#include "base/io/loop.h"

enum {
    WRITERS = 32,
    CHECKERS = 64,
    KEYS_OF_WRITER = 50,
    MESSAGE_MAX = 1024,
    CALL_TIMEOUT_MS = 20000
};

struct lane {
    struct run *run;
    unsigned number;
    uint64_t sequence;
    char key[64];
    char value[64];
    uint64_t revision; /* `check` only. */
};

struct run {
    struct loop *loop;
    struct grpc_channel *channel;
    FILE *file;
    const char *label;
    bool (*next)(struct lane *lane, struct buf *request);
    void (*reply)(struct lane *lane, struct slice message);
    const char *path;
    struct lane lanes[CHECKERS];
    unsigned lanes_count;
    unsigned busy;
    uint64_t done;
    bool lost;  /* The connection. */
    bool wrong; /* A promise was broken. */
};

static void lane_step(struct lane *lane);

static uint64_t field_of(struct slice message, unsigned number,
                         struct slice *out_bytes)
{
    struct pb_field field;

    *out_bytes = (struct slice){0};
    while (pb_next(&message, &field)) {
        if (field.number == number) {
            *out_bytes = field.bytes;
            return field.value;
        }
    }
    return 0;
}

static void run_end(struct run *run)
{
    if (run->busy == 0) {
        loop_stop(run->loop);
    }
}

static void on_done(void *ctx, enum grpc_code code, const char *text,
                    struct slice reply)
{
    struct lane *lane = ctx;
    struct run *run = lane->run;

    run->busy--;
    if (code == GRPC_OK) {
        run->done++;
        run->reply(lane, reply);
        lane_step(lane);
    } else if (code != GRPC_UNAVAILABLE && code != GRPC_CANCELLED) {
        (void)fprintf(stderr, "%s: %s: %s\n", run->path, lane->key, text);
        run->wrong = true;
    } else {
        run->lost = true;
    }
    run_end(run);
}

static void lane_step(struct lane *lane)
{
    struct run *run = lane->run;
    struct buf request;

    buf_init(&request, MESSAGE_MAX);
    if (!run->lost && run->next(lane, &request)) {
        run->busy++;
        (void)grpc_unary(run->channel, run->path, buf_slice(&request),
                         CALL_TIMEOUT_MS, on_done, lane);
    }
    buf_release(&request);
}

/* --- write --- */

static bool next_put(struct lane *lane, struct buf *request)
{
    (void)snprintf(lane->key, sizeof(lane->key), "crash/%u/%" PRIu64,
                   lane->number, lane->sequence % KEYS_OF_WRITER);
    (void)snprintf(lane->value, sizeof(lane->value), "%s-%u-%" PRIu64,
                   lane->run->label, lane->number, lane->sequence);
    lane->sequence++;
    pb_bytes(request, 1, slice_str(lane->key));
    pb_bytes(request, 2, slice_str(lane->value));
    return true;
}

static void put_acknowledged(struct lane *lane, struct slice message)
{
    struct slice header;
    struct slice unused;
    uint64_t revision;

    (void)field_of(message, 1, &header);
    revision = field_of(header, 3, &unused);
    CHECK(fprintf(lane->run->file, "%s %s %" PRIu64 "\n", lane->key,
                  lane->value, revision) > 0);
}

/* --- check --- */

static bool next_line(struct lane *lane, struct buf *request)
{
    int got = fscanf(lane->run->file, "%63s %63s %" SCNu64, lane->key,
                     lane->value, &lane->revision);

    if (got != 3) {
        CHECK(got == EOF);
        return false;
    }
    pb_bytes(request, 1, slice_str(lane->key));
    pb_uint(request, 4, lane->revision);
    return true;
}

static void line_checked(struct lane *lane, struct slice message)
{
    struct slice kv;
    struct slice value;
    struct slice unused;
    uint64_t revision;

    (void)field_of(message, 2, &kv);
    revision = field_of(kv, 3, &unused);
    (void)field_of(kv, 5, &value);
    if (revision != lane->revision ||
        !slice_eq(value, slice_str(lane->value))) {
        (void)fprintf(stderr,
                      "%s was acknowledged as \"%s\" at revision %" PRIu64
                      ", and is \"%.*s\" at revision %" PRIu64 "\n",
                      lane->key, lane->value, lane->revision, (int)value.len,
                      (const char *)value.data, revision);
        lane->run->wrong = true;
    }
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

/* No two puts may share a revision. */
static bool revisions_differ(FILE *file)
{
    size_t count = 0;
    size_t room = 1024;
    uint64_t *revisions = malloc(room * sizeof(*revisions));
    bool differ = true;

    CHECK(revisions != NULL);
    while (fscanf(file, "%*s %*s %" SCNu64, &revisions[count]) == 1) {
        if (++count == room) {
            room *= 2;
            revisions = realloc(revisions, room * sizeof(*revisions));
            CHECK(revisions != NULL);
        }
    }
    qsort(revisions, count, sizeof(*revisions), by_number);
    for (size_t i = 1; i < count; i++) {
        if (revisions[i] == revisions[i - 1]) {
            (void)fprintf(stderr, "revision %" PRIu64 " was given twice\n",
                          revisions[i]);
            differ = false;
        }
    }
    free(revisions);
    rewind(file);
    return differ;
}

/* --- both --- */

static void on_failed(void *ctx, const struct err *why)
{
    struct run *run = ctx;

    (void)why;
    run->lost = true;
    run_end(run);
}

static void on_closed(void *ctx)
{
    struct run *run = ctx;

    loop_stop(run->loop);
}

static void run_all(struct run *run, const char *target)
{
    struct grpc_channel_config config = {.target = target};

    run->loop = loop_new();
    run->channel = grpc_channel_open(
        run->loop, &config,
        (struct grpc_channel_hooks){.ctx = run, .on_failed = on_failed});
    for (unsigned i = 0; i < run->lanes_count; i++) {
        run->lanes[i] = (struct lane){.run = run, .number = i};
        lane_step(&run->lanes[i]);
    }
    if (run->busy > 0) {
        loop_run(run->loop);
    }
    grpc_channel_close(run->channel, on_closed, run);
    loop_run(run->loop);
    loop_free(run->loop);
}

int main(int argc, char **argv)
{
    bool write = argc == 5 && strcmp(argv[1], "write") == 0;
    struct run run = {0};

    if (!write && (argc != 4 || strcmp(argv[1], "check") != 0)) {
        (void)fprintf(stderr, "usage: store_writer write HOST:PORT FILE "
                              "NUMBER | check HOST:PORT FILE\n");
        return 2;
    }
    run.file = fopen(argv[3], write ? "a" : "r");
    if (run.file == NULL) {
        (void)fprintf(stderr, "%s: %s\n", argv[3], strerror(errno));
        return 2;
    }
    if (write) {
        run.label = argv[4];
        run.path = "/etcdserverpb.KV/Put";
        run.next = next_put;
        run.reply = put_acknowledged;
        run.lanes_count = WRITERS;
        (void)setvbuf(run.file, NULL, _IOLBF, 0);
    } else {
        run.wrong = !revisions_differ(run.file);
        run.path = "/etcdserverpb.KV/Range";
        run.next = next_line;
        run.reply = line_checked;
        run.lanes_count = CHECKERS;
    }
    run_all(&run, argv[2]);
    CHECK(fclose(run.file) == 0);
    if (!write && run.lost) {
        (void)fprintf(stderr, "the store has gone\n");
    }
    (void)printf("%" PRIu64 "\n", run.done);
    return run.wrong || (!write && run.lost) ? 1 : 0;
}
