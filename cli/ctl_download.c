#include "cli/ctl_download.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/core/arena.h"
#include "base/core/check.h"
#include "base/core/pb.h"
#include "base/io/grpc_client.h"
#include "base/io/loop.h"
#include "base/io/tls.h"
#include "store/io/folder.h"
#include "store/io/urls.h"

enum {
    SUM_BYTES = 32, /* SHA-256. */
    FIELD_REMAINING = 2,
    FIELD_BLOB = 3,
    TOLD_STEP_PERCENT = 10,
    /* A large file over a slow line: rather patience than starting anew. */
    SILENCE_MS = 10 * 1000,
    PING_MS = 20 * 1000
};

struct download {
    struct arena arena;
    struct loop *loop;
    struct tls *tls;
    const char *endpoint; /* As given. */
    const char *path;
    const char *part;
    int fd;
    EVP_MD_CTX *sum;
    uint64_t total; /* Known with the first piece. */
    uint64_t got;
    bool begun;
    bool whole;        /* The sum has come, and is right. */
    unsigned told;     /* Per cent, on stderr. */
    bool closed;       /* The channel is. */
    bool was_ready;    /* The member has answered. */
    enum cli_exit end; /* Once the stream has ended. */
    struct grpc_stream *stream;
    struct err *err;
};

/* --- Where from --- */

static const char *with_scheme(struct download *d, const struct ctl_target *t)
{
    bool tls = t->ca != NULL || t->cert != NULL;

    return strstr(t->endpoints, "://") != NULL
               ? t->endpoints
               : arena_printf(&d->arena, "%s://%s", tls ? "https" : "http",
                              t->endpoints);
}

static enum cli_exit open_tls(struct download *d, const struct ctl_target *t)
{
    struct tls_files files = {.ca = t->ca, .cert = t->cert, .key = t->key};

    if ((t->cert == NULL) != (t->key == NULL)) {
        (void)err_set(d->err, ST_INVALID,
                      "--cert and --key: both or none are needed");
        return CLI_USAGE;
    }
    return tls_client_new(&files, &d->tls, d->err) ? CLI_FAILED : CLI_OK;
}

static enum cli_exit find_target(struct download *d, const struct ctl_target *t,
                                 const char **out_address)
{
    struct url_list urls;

    if (url_list_parse(&d->arena, "endpoints", with_scheme(d, t), &urls,
                       d->err)) {
        return CLI_USAGE;
    }
    if (urls.count > 1) {
        (void)err_set(d->err, ST_INVALID,
                      "--endpoints: snapshot must be requested to one selected "
                      "node, not multiple");
        return CLI_USAGE;
    }
    *out_address = url_address(&d->arena, &urls.urls[0]);
    d->endpoint = urls.urls[0].text;
    return urls.urls[0].tls ? open_tls(d, t) : CLI_OK;
}

/* --- Where to --- */

static enum cli_exit file_failed(struct download *d, const char *what,
                                 const char *path)
{
    (void)err_set(d->err, ST_IO, "cannot %s %s: %s", what, path,
                  strerrordesc_np(errno));
    return CLI_FAILED;
}

/* Not the file that another save has just finished and renamed. */
static bool is_still(const struct download *d)
{
    struct stat ours;
    struct stat there;

    return fstat(d->fd, &ours) == 0 && stat(d->part, &there) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* The rename at the end would put a file in the place of a device, /dev/null
 * for one; a folder would only be noticed there. */
static enum cli_exit check_target(struct download *d)
{
    struct stat there;

    if (stat(d->path, &there) != 0 || S_ISREG(there.st_mode)) {
        return CLI_OK;
    }
    (void)err_set(d->err, ST_INVALID,
                  "%s is there already, and is no file: name a file", d->path);
    return CLI_FAILED;
}

static enum cli_exit open_part(struct download *d)
{
    if (check_target(d) != CLI_OK) {
        return CLI_FAILED;
    }
    d->part = arena_printf(&d->arena, "%s.part", d->path);
    d->fd = open(d->part, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (d->fd < 0) {
        return file_failed(d, "make", d->part);
    }
    if (flock(d->fd, LOCK_EX | LOCK_NB) != 0 || !is_still(d)) {
        (void)close(d->fd);
        d->fd = -1;
        (void)err_set(d->err, ST_BUSY, "%s is being written by another process",
                      d->part);
        return CLI_FAILED;
    }
    return ftruncate(d->fd, 0) == 0 ? CLI_OK : file_failed(d, "empty", d->part);
}

static enum cli_exit write_all(struct download *d, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t written = write(d->fd, bytes.data, bytes.len);

        if (written < 0 && errno != EINTR) {
            return file_failed(d, "write", d->part);
        }
        bytes = slice_skip(bytes, written < 0 ? 0 : (size_t)written);
    }
    return CLI_OK;
}

static enum cli_exit publish(struct download *d)
{
    char parent[4096];

    if (fsync(d->fd) != 0) {
        return file_failed(d, "sync", d->part);
    }
    if (rename(d->part, d->path) != 0) {
        return file_failed(d, "rename", d->part);
    }
    (void)close(d->fd); /* Synced. */
    d->fd = -1;
    folder_parent(d->path, parent, sizeof(parent));
    return folder_sync(parent, d->err) ? CLI_FAILED : CLI_OK;
}

static void close_part(struct download *d)
{
    if (d->fd >= 0) {
        (void)unlink(d->part); /* It is of no use. */
        (void)close(d->fd);
    }
}

/* --- What comes --- */

static void tell(struct download *d)
{
    unsigned percent =
        d->total == 0 ? 100 : (unsigned)(d->got * 100 / d->total);

    if (percent >= d->told + TOLD_STEP_PERCENT || percent == 100) {
        d->told = percent - percent % TOLD_STEP_PERCENT;
        (void)fprintf(stderr, "%3u%%  %" PRIu64 " of %" PRIu64 " bytes\n",
                      percent, d->got, d->total);
    }
}

static bool pick(struct slice message, struct slice *out_blob,
                 uint64_t *out_remaining)
{
    struct pb_field field;

    *out_blob = (struct slice){0};
    *out_remaining = 0;
    while (pb_next(&message, &field)) {
        if (field.number == FIELD_REMAINING && field.type == PB_VARINT) {
            *out_remaining = field.value;
        } else if (field.number == FIELD_BLOB && field.type == PB_BYTES) {
            *out_blob = field.bytes;
        }
    }
    return message.len == 0;
}

static enum cli_exit take_sum(struct download *d, struct slice blob)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned len;

    CHECK(EVP_DigestFinal_ex(d->sum, sum, &len) == 1);
    if (d->whole || blob.len != SUM_BYTES ||
        memcmp(sum, blob.data, SUM_BYTES) != 0) {
        (void)err_set(d->err, ST_CORRUPT,
                      "%s: what has come is not what was sent: its SHA-256 "
                      "differs; try again",
                      d->endpoint);
        return CLI_FAILED;
    }
    d->whole = true;
    return CLI_OK;
}

static enum cli_exit take_bytes(struct download *d, struct slice blob)
{
    CHECK(EVP_DigestUpdate(d->sum, blob.data, blob.len) == 1);
    d->got += blob.len;
    tell(d);
    return CLI_OK;
}

static enum cli_exit take(struct download *d, struct slice message)
{
    enum cli_exit code;
    struct slice blob;
    uint64_t remaining;

    if (!pick(message, &blob, &remaining)) {
        (void)err_set(d->err, ST_CORRUPT, "%s sends what is no snapshot",
                      d->endpoint);
        return CLI_FAILED;
    }
    if (!d->begun) {
        d->begun = true;
        d->total = remaining + blob.len;
        (void)fprintf(stderr, "taking %" PRIu64 " bytes from %s\n", d->total,
                      d->endpoint);
    }
    code = d->got == d->total ? take_sum(d, blob) : take_bytes(d, blob);
    return code ? code : write_all(d, blob);
}

static void on_message(void *ctx, struct slice message)
{
    struct download *d = ctx;

    if (d->end == CLI_OK) {
        d->end = take(d, message);
        if (d->end != CLI_OK) {
            grpc_stream_cancel(d->stream);
        }
    }
}

static void on_closed(void *ctx, enum grpc_code code, const char *text)
{
    struct download *d = ctx;

    if (d->end == CLI_OK && code != GRPC_OK) {
        d->end = d->was_ready ? CLI_FAILED : CLI_UNREACHABLE;
        (void)err_set(d->err, ST_IO, "%s: %s (%s)", d->endpoint, text,
                      grpc_code_name(code));
    } else if (d->end == CLI_OK && !d->whole) {
        d->end = CLI_FAILED;
        (void)err_set(d->err, ST_IO,
                      "%s: the snapshot ended after %" PRIu64 " of %" PRIu64
                      " bytes; try again",
                      d->endpoint, d->got, d->total);
    }
    loop_stop(d->loop);
}

static void on_ready(void *ctx)
{
    struct download *d = ctx;

    d->was_ready = true;
}

static void on_channel_closed(void *ctx)
{
    struct download *d = ctx;

    d->closed = true;
    loop_stop(d->loop);
}

/* --- The whole --- */

static void transfer(struct download *d, const struct ctl_target *target,
                     const char *address)
{
    struct grpc_channel_config config = {.target = address,
                                         .tls = d->tls,
                                         .connect_timeout_ms = target->dial_ms,
                                         .keepalive_ms = SILENCE_MS,
                                         .keepalive_timeout_ms = PING_MS};
    struct grpc_channel *channel = grpc_channel_open(
        d->loop, &config,
        (struct grpc_channel_hooks){.ctx = d, .on_ready = on_ready});

    d->stream = grpc_stream_open(
        channel, "/etcdserverpb.Maintenance/Snapshot", NULL, 0,
        (struct grpc_stream_hooks){
            .ctx = d, .on_message = on_message, .on_closed = on_closed});
    grpc_stream_send(d->stream, (struct slice){0});
    grpc_stream_half_close(d->stream);
    loop_run(d->loop);
    grpc_channel_close(channel, on_channel_closed, d);
    while (!d->closed) {
        loop_run(d->loop);
    }
}

enum cli_exit ctl_download(const struct ctl_target *target, const char *path,
                           struct err *err)
{
    struct download d = {.path = path, .fd = -1, .err = err};
    const char *address = NULL;

    d.end = find_target(&d, target, &address);
    if (d.end == CLI_OK) {
        d.end = open_part(&d);
    }
    if (d.end == CLI_OK) {
        d.loop = loop_new();
        d.sum = EVP_MD_CTX_new();
        CHECK(d.sum != NULL);
        CHECK(EVP_DigestInit_ex(d.sum, EVP_sha256(), NULL) == 1);
        transfer(&d, target, address);
        EVP_MD_CTX_free(d.sum);
        loop_free(d.loop);
    }
    if (d.end == CLI_OK) {
        d.end = publish(&d);
    }
    close_part(&d);
    tls_free(d.tls);
    arena_release(&d.arena);
    return d.end;
}
