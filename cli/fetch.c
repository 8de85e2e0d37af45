#include "cli/fetch.h"

#include <stdlib.h>

#include "base/io/http_url.h"
#include "base/io/loop.h"
#include "base/io/tls.h"

#define URL_BYTES_MAX 8192

struct fetching {
    struct loop *loop;
    struct http_call *call;
    struct buf *body;
    struct fetched *out;
    enum status st;
    struct err *err;
};

static void on_head(void *ctx, int status)
{
    struct fetching *f = ctx;
    struct slice index = http_call_field(f->call, "X-Consul-Index");

    f->out->status = status;
    if (index.data != NULL) {
        f->out->index = strtoull((const char *)index.data, NULL, 10);
    }
}

static void on_body(void *ctx, struct slice bytes)
{
    struct fetching *f = ctx;

    if (!f->out->cut && buf_add(f->body, bytes)) {
        f->out->cut = true;
        http_call_cancel(f->call);
    }
}

static void on_end(void *ctx, enum status st, const char *why)
{
    struct fetching *f = ctx;

    f->st = f->out->cut ? ST_TOO_BIG : st;
    if (f->st) {
        (void)err_set(f->err, f->st, "%s", why);
    }
    loop_stop(f->loop);
}

enum status fetch(struct loop *loop, const struct http_call_config *config,
                  struct buf *body, struct fetched *out_fetched,
                  struct err *err)
{
    struct fetching f = {
        .loop = loop, .body = body, .out = out_fetched, .err = err};
    struct http_call_hooks hooks = {
        .ctx = &f, .on_head = on_head, .on_body = on_body, .on_end = on_end};

    *out_fetched = (struct fetched){.status = 0};
    buf_clear(body);
    f.call = http_call_start(loop, config, hooks);
    loop_run(loop);
    return f.st;
}

enum status fetch_url(struct loop *loop, const char *url,
                      const struct tls_files *files,
                      const struct http_call_config *config, struct buf *body,
                      struct fetched *out_fetched, struct err *err)
{
    struct http_call_config whole = *config;
    struct http_url at;
    struct tls *tls = NULL;
    char path[URL_BYTES_MAX];
    enum status st;

    *out_fetched = (struct fetched){.status = 0};
    if (strlen(url) >= sizeof(path) || !http_url_read(url, &at)) {
        return err_set(err, ST_INVALID,
                       "%.200s is not an http:// or https:// URL", url);
    }
    if (at.tls && tls_client_new(files, &tls, err)) {
        return ST_INVALID;
    }
    (void)snprintf(path, sizeof(path), "%s%.*s",
                   at.target.len > 0 && at.target.data[0] == '/' ? "" : "/",
                   (int)at.target.len, (const char *)at.target.data);
    whole.host = at.host;
    whole.port = at.port;
    whole.tls = tls;
    whole.path = path;
    st = fetch(loop, &whole, body, out_fetched, err);
    tls_free(tls);
    return st;
}
