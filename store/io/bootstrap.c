#include "store/io/bootstrap.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/http_client.h"
#include "base/io/loop.h"
#include "store/io/urls.h"

enum {
    ANSWER_BYTES_MAX = 1024 * 1024,
    PAUSE_MS = 500,
    TELL_MS = 5000,
    ID_TEXT_MAX = 32,
    JOIN_CONNECT_MS = 2000,
    CHECK_CONNECT_MS = 1000 /* Whoever founds does not wait for others. */
};

/* One question at a time. */
struct joining {
    struct loop *loop;
    struct tls *tls;
    unsigned connect_ms;
    struct http_call *call;
    struct buf body;
    char cluster[ID_TEXT_MAX];
    int status;
    bool answered;
    char why[160];
    uv_timer_t pause;
    bool closed;
};

static void on_head(void *ctx, int status)
{
    struct joining *j = ctx;
    struct slice cluster = http_call_field(j->call, "X-Etcd-Cluster-ID");

    j->status = status;
    if (cluster.len < sizeof(j->cluster)) {
        memcpy(j->cluster,
               cluster.data == NULL ? (const uint8_t *)"" : cluster.data,
               cluster.len);
        j->cluster[cluster.len] = '\0';
    }
}

static void on_body(void *ctx, struct slice bytes)
{
    struct joining *j = ctx;

    /* One byte stays free for the end of the string. */
    if (bytes.len >= j->body.limit - j->body.len || buf_add(&j->body, bytes)) {
        http_call_cancel(j->call);
    }
}

static void on_end(void *ctx, enum status st, const char *why)
{
    struct joining *j = ctx;

    j->answered = st == ST_OK && j->status == 200;
    (void)snprintf(j->why, sizeof(j->why), "%s",
                   st == ST_OK ? "it answers with an error" : why);
    loop_stop(j->loop);
}

static void ask(struct joining *j, const struct url *url)
{
    struct http_call_config config = {.host = url->host,
                                      .port = url->port,
                                      .tls = url->tls ? j->tls : NULL,
                                      .method = "GET",
                                      .path = "/members",
                                      .connect_ms = j->connect_ms,
                                      .silence_ms = j->connect_ms};

    j->status = 0;
    buf_clear(&j->body);
    j->call = http_call_start(j->loop, &config,
                              (struct http_call_hooks){.ctx = j,
                                                       .on_head = on_head,
                                                       .on_body = on_body,
                                                       .on_end = on_end});
    loop_run(j->loop);
}

static void on_pause(uv_timer_t *timer)
{
    struct joining *j = timer->data;

    loop_stop(j->loop);
}

static void on_pause_closed(uv_handle_t *handle)
{
    struct joining *j = handle->data;

    j->closed = true;
    loop_stop(j->loop);
}

/* --- Who is asked --- */

static bool ask_founder(struct joining *j, struct member_plan *plan,
                        const struct founder *f)
{
    j->answered = false;
    for (size_t i = 0; i < f->peer_urls_count && !j->answered; i++) {
        struct url_list url;
        struct err unused = {0};

        if (url_list_parse(&plan->arena, "initial-cluster", f->peer_urls[i],
                           &url, &unused) == ST_OK) {
            ask(j, &url.urls[0]);
        }
    }
    return j->answered;
}

static bool ask_all(struct joining *j, struct member_plan *plan)
{
    const struct founding *f = &plan->founding;

    for (size_t i = 0; i < f->founders_count; i++) {
        if (i != f->self && ask_founder(j, plan, &f->founders[i])) {
            return true;
        }
    }
    return false;
}

static enum status ask_until_answered(struct joining *j,
                                      struct member_plan *plan, struct err *err)
{
    uint64_t begin_ms = loop_now_ms(j->loop);
    uint64_t told_ms = 0;

    while (!ask_all(j, plan)) {
        uint64_t now_ms = loop_now_ms(j->loop);

        if (now_ms - begin_ms >= BOOTSTRAP_MS) {
            return err_set(err, ST_TIMEOUT,
                           "no member of --initial-cluster tells who belongs "
                           "to the cluster (the last one: %s); are its URLs "
                           "right, and is one of them running?",
                           j->why);
        }
        if (told_ms == 0 || now_ms - told_ms >= TELL_MS) {
            told_ms = now_ms;
            log_info("store", "no member of the cluster answers yet: %s",
                     j->why);
        }
        CHECK(uv_timer_start(&j->pause, on_pause, PAUSE_MS, 0) == 0);
        loop_run(j->loop);
    }
    return ST_OK;
}

/* --- What the answer says --- */

static bool has_url(const json_t *urls, const char *text)
{
    const json_t *url;
    size_t i;

    json_array_foreach((json_t *)urls, i, url)
    {
        if (json_is_string(url) && strcmp(json_string_value(url), text) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_same(const json_t *member, const struct founder *f)
{
    const json_t *urls = json_object_get(member, "peerURLs");

    if (json_array_size(urls) != f->peer_urls_count) {
        return false;
    }
    for (size_t i = 0; i < f->peer_urls_count; i++) {
        if (!has_url(urls, f->peer_urls[i])) {
            return false;
        }
    }
    return true;
}

/* The id as text: jansson's integers are signed. `text` begins at the member's
 * object. */
static uint64_t id_of(const char *list, size_t index)
{
    const char *at = list;

    for (size_t i = 0; at != NULL && i <= index; i++) {
        at = strstr(at, "{\"id\":");
        at = at == NULL ? NULL : at + strlen("{\"id\":");
    }
    return at == NULL ? 0 : strtoull(at, NULL, 10);
}

/* Whoever has published its client URLs has acknowledged things to the others.
 * With an empty folder it has forgotten them, and its votes; the others would
 * count on it all the same, and lose what they have promised. */
static enum status refuse_forgetful(const struct founder *self,
                                    const char *data_dir, const json_t *member,
                                    struct err *err)
{
    const json_t *urls = json_object_get(member, "clientURLs");

    if (json_array_size(urls) == 0) {
        return ST_OK;
    }
    return err_set(err, ST_EXISTS,
                   "member %llx (\"%s\") has already been bootstrapped, the "
                   "other members say, but %s holds none of its data; restore "
                   "the folder, or have it forgotten and join anew: `member "
                   "remove %llx`, `member add`, --initial-cluster-state "
                   "existing",
                   (unsigned long long)self->id, self->name, data_dir,
                   (unsigned long long)self->id);
}

static enum status match_all(struct founding *f, const json_t *list,
                             const char *text, struct err *err)
{
    for (size_t i = 0; i < f->founders_count; i++) {
        struct founder *founder = &f->founders[i];

        founder->id = 0;
        for (size_t j = 0; j < json_array_size(list); j++) {
            if (is_same(json_array_get(list, j), founder)) {
                founder->id = id_of(text, j);
            }
        }
        if (founder->id == 0) {
            return err_set(err, ST_INVALID,
                           "--initial-cluster: the cluster has no member with "
                           "the peer URLs of \"%s\" (%s): unmatched member "
                           "while checking PeerURLs; was it added with "
                           "`member add`?",
                           founder->name, founder->peer_urls[0]);
        }
    }
    return ST_OK;
}

/* Our own entry in the list; NULL: none. */
static const json_t *own_entry(const json_t *list, const struct founder *self)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (is_same(json_array_get(list, i), self)) {
            return json_array_get(list, i);
        }
    }
    return NULL;
}

static enum status understand(struct joining *j, struct member_plan *plan,
                              struct err *err)
{
    struct founding *f = &plan->founding;
    const char *text = buf_cstr(&j->body);
    json_t *list = json_loads(text, JSON_DECODE_INT_AS_REAL, NULL);
    enum status st;

    if (!json_is_array(list)) {
        json_decref(list);
        return err_set(err, ST_INVALID,
                       "a member of --initial-cluster answers "
                       "/members with what is no list");
    }
    if (json_array_size(list) != f->founders_count) {
        st = err_set(err, ST_INVALID,
                     "--initial-cluster: member count is unequal: it names "
                     "%zu, the cluster has %zu; `member list` tells which",
                     f->founders_count, json_array_size(list));
    } else {
        st = match_all(f, list, text, err);
    }
    if (st == ST_OK) {
        st = refuse_forgetful(&f->founders[f->self], plan->config.data_dir,
                              own_entry(list, &f->founders[f->self]), err);
    }
    json_decref(list);
    f->cluster_id = strtoull(j->cluster, NULL, 16);
    if (st == ST_OK && f->cluster_id == 0) {
        st = err_set(err, ST_INVALID,
                     "a member of --initial-cluster answers /members without "
                     "its cluster's id (X-Etcd-Cluster-ID): is it a peer URL?");
    }
    return st;
}

static void joining_open(struct joining *j)
{
    buf_init(&j->body, ANSWER_BYTES_MAX);
    CHECK(uv_timer_init(loop_uv(j->loop), &j->pause) == 0);
    j->pause.data = j;
}

static void joining_close(struct joining *j)
{
    uv_close((uv_handle_t *)&j->pause, on_pause_closed);
    while (!j->closed) {
        loop_run(j->loop);
    }
    buf_release(&j->body);
}

enum status bootstrap_join(struct loop *loop, struct tls *client_tls,
                           struct member_plan *plan, struct err *err)
{
    struct joining j = {
        .loop = loop, .tls = client_tls, .connect_ms = JOIN_CONNECT_MS};
    enum status st;

    joining_open(&j);
    st = ask_until_answered(&j, plan, err);
    if (st == ST_OK) {
        st = understand(&j, plan, err);
    }
    joining_close(&j);
    plan->joins = st == ST_OK;
    return st;
}

/* Another cluster's list, or none, says nothing about us. */
static enum status check_answer(const struct joining *j,
                                const struct member_plan *plan, struct err *err)
{
    const struct founder *self = &plan->founding.founders[plan->founding.self];
    json_t *list;
    enum status st;

    if (strtoull(j->cluster, NULL, 16) != plan->founding.cluster_id) {
        return ST_OK;
    }
    list = json_loads(buf_cstr((struct buf *)&j->body), JSON_DECODE_INT_AS_REAL,
                      NULL);
    st = refuse_forgetful(self, plan->config.data_dir, own_entry(list, self),
                          err);
    json_decref(list);
    return st;
}

enum status bootstrap_check_new(struct loop *loop, struct tls *client_tls,
                                struct member_plan *plan, struct err *err)
{
    struct joining j = {
        .loop = loop, .tls = client_tls, .connect_ms = CHECK_CONNECT_MS};
    const struct founding *f = &plan->founding;
    enum status st = ST_OK;

    joining_open(&j);
    for (size_t i = 0; i < f->founders_count && st == ST_OK; i++) {
        if (i != f->self && ask_founder(&j, plan, &f->founders[i])) {
            st = check_answer(&j, plan, err);
        }
    }
    joining_close(&j);
    return st;
}
