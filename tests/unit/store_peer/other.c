#include "other.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "base/core/check.h"
#include "base/io/http_server.h"
#include "base/io/loop.h"

struct us us;

static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct buf told; /* Lines. */

/* ---- what we are told ---- */

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    (void)pthread_mutex_lock(&lock);
    CHECK(buf_addf(&told, "%s\n", line) == ST_OK);
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static void on_message(void *ctx, const struct raft_msg *m)
{
    (void)ctx;
    tell("message %d from %llu term %llu entries %zu", (int)m->type,
         (unsigned long long)m->from, (unsigned long long)m->term,
         m->entries_count);
}

static void on_snapshot(void *ctx, const struct raft_msg *m, const char *path,
                        struct peers_arrival *arrival)
{
    char text[64];
    FILE *f = fopen(path, "r");
    size_t len;

    (void)ctx;
    CHECK(f != NULL);
    len = fread(text, 1, sizeof(text) - 1, f);
    text[len] = '\0';
    (void)fclose(f);
    (void)unlink(path);
    tell("snapshot %llu from %llu: %s",
         (unsigned long long)m->snapshot->pos.index,
         (unsigned long long)m->from, text);
    if (us.keep_arrival) {
        us.arrival = arrival;
    } else {
        peers_arrival_done(arrival, us.install);
    }
}

static void on_snapshot_sent(void *ctx, uint64_t peer, uint64_t index, bool ok)
{
    (void)ctx;
    tell("sent snapshot %llu to %llu %s", (unsigned long long)index,
         (unsigned long long)peer, ok ? "ok" : "in vain");
}

static void on_lost(void *ctx, uint64_t peer)
{
    (void)ctx;
    tell("lost %llu", (unsigned long long)peer);
}

static void on_removed(void *ctx)
{
    (void)ctx;
    tell("removed");
}

static void on_page(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    http_reply_text(x, 200, "a page\n");
}

static void on_page_gone(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    (void)x;
}

static const char *find_line(const char *line)
{
    const char *at = (const char *)told.data;
    const char *end = at + told.len;

    while (at != NULL && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));

        if ((size_t)(stop - at) >= strlen(line) &&
            memcmp(at, line, strlen(line)) == 0) {
            return at;
        }
        at = stop + 1;
    }
    return NULL;
}

const char *other_await(const char *line)
{
    static char found[256];
    struct timespec until;
    const char *at;
    size_t start;
    size_t len;
    int late = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += OTHER_PATIENCE_S;
    (void)pthread_mutex_lock(&lock);
    while ((at = find_line(line)) == NULL && late == 0) {
        late = pthread_cond_timedwait(&changed, &lock, &until);
    }
    if (at != NULL) {
        len = strcspn(at, "\n");
        (void)snprintf(found, sizeof(found), "%.*s", (int)len, at);
        told.len -= len + 1;
        start = (size_t)(at - (const char *)told.data);
        memmove(told.data + start, at + len + 1, told.len - start);
    }
    (void)pthread_mutex_unlock(&lock);
    ck_assert_msg(at != NULL, "\"%s\" was not told, but: %.*s", line,
                  (int)told.len, (const char *)told.data);
    return found;
}

unsigned other_heard(const char *line)
{
    unsigned count = 0;
    const char *at;
    const char *end;

    (void)pthread_mutex_lock(&lock);
    at = (const char *)told.data;
    end = at + told.len;
    while (at != NULL && at < end) {
        count += strncmp(at, line, strlen(line)) == 0;
        at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
    }
    (void)pthread_mutex_unlock(&lock);
    return count;
}

/* ---- the loop's thread ---- */

struct errand {
    struct loop_task task;
    void (*run)(void *ctx);
    void *ctx;
    bool done;
};

static void on_errand(struct loop_task *task)
{
    struct errand *e = (struct errand *)task;

    e->run(e->ctx);
    (void)pthread_mutex_lock(&lock);
    e->done = true;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

void other_on_loop(void (*run)(void *ctx), void *ctx)
{
    struct errand e = {.task.run = on_errand, .run = run, .ctx = ctx};

    loop_post(us.loop, &e.task);
    (void)pthread_mutex_lock(&lock);
    while (!e.done) {
        (void)pthread_cond_wait(&changed, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
}

static void *thread_main(void *arg)
{
    (void)arg;
    loop_run(us.loop);
    return NULL;
}

void other_begin(void)
{
    struct peers_config config = {
        .self = 1,
        .cluster = CLUSTER,
        .version = "3.5.16",
        .urls = "http://127.0.0.1:1",
        .metrics = &us.metrics,
        .hooks = {.on_message = on_message,
                  .on_snapshot = on_snapshot,
                  .on_snapshot_sent = on_snapshot_sent,
                  .on_lost = on_lost,
                  .on_removed = on_removed,
                  .on_page = on_page,
                  .on_page_gone = on_page_gone}};
    struct err err = {0};

    us = (struct us){.loop = loop_new()};
    buf_init(&told, SIZE_MAX);
    (void)snprintf(us.folder, sizeof(us.folder), "/tmp/muster-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(us.folder));
    config.loop = us.loop;
    config.folder = us.folder;
    us.peers = peers_new(&config);
    ck_assert_msg(peers_listen(us.peers, "127.0.0.1:0", false, &err) == ST_OK,
                  "%s", err.text);
    ck_assert_int_eq(pthread_create(&thread, NULL, thread_main, NULL), 0);
}

static void on_closed(void *ctx)
{
    (void)ctx;
    us.peers = NULL;
    tell("closed");
}

static void close_links(void *ctx)
{
    (void)ctx;
    peers_close(us.peers, on_closed, NULL);
}

void other_close_links(void)
{
    other_on_loop(close_links, NULL);
    (void)other_await("closed");
}

void other_end(void)
{
    if (us.peers != NULL) {
        other_close_links();
    }
    loop_stop(us.loop);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    loop_free(us.loop);
    buf_release(&told);
    ck_assert_msg(rmdir(us.folder) == 0, "something was left in the folder");
}

/* ---- what the links are told ---- */

struct place {
    uint64_t id;
    int port;
};

static void set_place(void *ctx)
{
    const struct place *place = ctx;
    char text[64];
    char *urls[] = {text};

    (void)snprintf(text, sizeof(text), "http://127.0.0.1:%d", place->port);
    peers_set(us.peers, place->id, urls, 1);
}

void other_is_at(uint64_t id, int port)
{
    other_on_loop(set_place, &(struct place){.id = id, .port = port});
}

static void remove_place(void *ctx)
{
    peers_remove(us.peers, ((const struct place *)ctx)->id);
}

void other_is_removed(uint64_t id)
{
    other_on_loop(remove_place, &(struct place){.id = id});
}

static void send_one(void *ctx)
{
    peers_send(us.peers, ctx, 1);
}

void other_send(const struct raft_msg *m)
{
    other_on_loop(send_one, (void *)m);
}

struct number {
    char line[128];
    double value;
};

static void read_number(void *ctx)
{
    struct number *n = ctx;
    const char *at;
    struct buf text;

    buf_init(&text, SIZE_MAX);
    CHECK(metrics_write(&us.metrics, &text) == ST_OK);
    CHECK(buf_add_u8(&text, 0) == ST_OK);
    at = strstr((const char *)text.data, n->line);
    CHECK(at != NULL);
    n->value = strtod(at + strlen(n->line), NULL);
    buf_release(&text);
}

double other_number(const char *name, const char *id)
{
    struct number n = {.value = 0};

    (void)snprintf(n.line, sizeof(n.line), "%s{To=\"%s\"} ", name, id);
    other_on_loop(read_number, &n);
    return n.value;
}

/* ---- sockets ---- */

static void set_patience(int fd)
{
    struct timeval tv = {.tv_sec = OTHER_PATIENCE_S};

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)),
                     0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)),
                     0);
}

struct other_listener other_listen(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);
    struct other_listener l = {.fd = socket(AF_INET, SOCK_STREAM, 0)};

    ck_assert_int_ge(l.fd, 0);
    ck_assert_int_eq(bind(l.fd, (struct sockaddr *)&sin, len), 0);
    ck_assert_int_eq(listen(l.fd, 64), 0);
    ck_assert_int_eq(getsockname(l.fd, (struct sockaddr *)&sin, &len), 0);
    l.port = ntohs(sin.sin_port);
    set_patience(l.fd);
    return l;
}

int other_accept(const struct other_listener *l)
{
    int fd = accept(l->fd, NULL, NULL);

    ck_assert_msg(fd >= 0, "nobody has connected");
    set_patience(fd);
    return fd;
}

int other_dial(void)
{
    const char *port = strrchr(peers_address(us.peers, 0), ':') + 1;
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_port =
                                  htons((uint16_t)strtoul(port, NULL, 10)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    set_patience(fd);
    return fd;
}

void other_write(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t count = send(fd, at, len, MSG_NOSIGNAL);

        ck_assert_msg(count > 0, "the links do not read");
        at += count;
        len -= (size_t)count;
    }
}

void other_say(int fd, const char *text)
{
    other_write(fd, text, strlen(text));
}

void other_read(int fd, void *out, size_t len)
{
    char *at = out;

    while (len > 0) {
        ssize_t count = recv(fd, at, len, 0);

        ck_assert_msg(count > 0, "the links have closed, or say nothing");
        at += count;
        len -= (size_t)count;
    }
}

void other_read_head(int fd, char *out, size_t cap)
{
    size_t len = 0;

    while (len < 4 || memcmp(out + len - 4, "\r\n\r\n", 4) != 0) {
        ck_assert_uint_lt(len + 1, cap);
        other_read(fd, out + len, 1);
        len++;
    }
    out[len] = '\0';
}

bool other_is_closed(int fd)
{
    char drop[4096];
    ssize_t count;

    do {
        count = recv(fd, drop, sizeof(drop), 0);
    } while (count > 0);
    return count == 0 || errno == ECONNRESET;
}

struct other_streams other_accept_streams(const struct other_listener *l)
{
    struct other_streams s = {.fds = {-1, -1}};

    while (s.fds[0] < 0 || s.fds[1] < 0) {
        char head[1024];
        int fd = other_accept(l);
        enum frames_kind kind;

        other_read_head(fd, head, sizeof(head));
        kind = strstr(head, "/raft/stream/msgapp/") ? FRAMES_APPENDS
                                                    : FRAMES_MESSAGES;
        ck_assert_int_eq(s.fds[kind], -1);
        s.fds[kind] = fd;
        memcpy(s.heads[kind], head, sizeof(head));
        other_say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    }
    return s;
}

void other_close_streams(struct other_streams *s)
{
    (void)close(s->fds[0]);
    (void)close(s->fds[1]);
}

void other_write_head(int fd, const char *method, const char *path,
                      const char *head)
{
    char text[1024];

    (void)snprintf(text, sizeof(text),
                   "%s %s HTTP/1.1\r\nHost: x\r\nX-Etcd-Cluster-ID: " //
                   CLUSTER_TEXT "\r\nX-Server-From: 2\r\n%s\r\n",
                   method, path, head);
    other_say(fd, text);
}

int other_dial_stream(enum frames_kind kind)
{
    char head[1024];
    int fd = other_dial();

    other_write_head(fd, "GET",
                     kind == FRAMES_APPENDS ? "/raft/stream/msgapp/2"
                                            : "/raft/stream/message/2",
                     "X-Raft-To: 1\r\n");
    other_read_head(fd, head, sizeof(head));
    ck_assert_msg(strncmp(head, "HTTP/1.1 200 ", 13) == 0, "%s", head);
    return fd;
}

void other_write_chunk(int fd, struct slice bytes)
{
    char head[32];

    (void)snprintf(head, sizeof(head), "%zx\r\n", bytes.len);
    other_say(fd, head);
    other_write(fd, bytes.data, bytes.len);
    other_say(fd, "\r\n");
}

void other_read_chunk(int fd, struct buf *out)
{
    char head[32];
    size_t len = 0;
    uint8_t *at;

    do {
        ck_assert_uint_lt(len + 1, sizeof(head));
        other_read(fd, head + len, 1);
    } while (head[len++] != '\n');
    head[len] = '\0';
    len = strtoul(head, NULL, 16);
    ck_assert_int_eq(buf_reserve(out, len + 2, &at), ST_OK);
    other_read(fd, at, len + 2);
    out->len += len;
}

struct other_answer other_read_answer(int fd)
{
    struct other_answer answer = {0};
    char head[2048];
    const char *length;
    size_t len = 0;

    other_read_head(fd, head, sizeof(head));
    answer.status = (int)strtol(head + strlen("HTTP/1.1 "), NULL, 10);
    length = strstr(head, "Content-Length: ");
    if (length != NULL) {
        len = strtoul(length + strlen("Content-Length: "), NULL, 10);
    }
    ck_assert_uint_lt(len, sizeof(answer.body));
    other_read(fd, answer.body, len);
    return answer;
}

struct other_answer other_ask(const char *method, const char *path,
                              const char *head, struct slice body)
{
    struct other_answer answer;
    char all[512];
    int fd = other_dial();

    (void)snprintf(all, sizeof(all), "%sContent-Length: %zu\r\n", head,
                   body.len);
    other_write_head(fd, method, path, all);
    other_write(fd, body.data, body.len);
    answer = other_read_answer(fd);
    (void)close(fd);
    return answer;
}
