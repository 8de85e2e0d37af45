#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/log.h"
#include "store/peer/core.h"

/* ---- who is it ---- */

static bool hex_id(struct slice text, uint64_t *out_id)
{
    uint64_t id = 0;

    if (text.len == 0 || text.len > 16) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = strchr("0123456789abcdef", text.data[i]);

        if (text.data[i] == '\0' || digit == NULL) {
            return false;
        }
        id = id << 4 | (uint64_t)(digit - "0123456789abcdef");
    }
    *out_id = id;
    return true;
}

/* "3.5.16" as 3005; 0 when it is none. */
static unsigned version_number(struct slice text)
{
    char copy[32];
    unsigned major;
    unsigned minor;

    if (text.len == 0 || text.len >= sizeof(copy)) {
        return 0;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return sscanf(copy, "%u.%u", &major, &minor) == 2 && minor < 1000
               ? major * 1000 + minor
               : 0;
}

enum {
    OUR_OLDEST = 3000 /* 3.0: what X-Min-Cluster-Version says. */
};

/* Whoever says nothing is taken as it is. */
static bool version_fits(const struct peers *p, struct http_exchange *x)
{
    unsigned theirs = version_number(http_header_get(x, "X-Server-Version"));
    unsigned oldest =
        version_number(http_header_get(x, "X-Min-Cluster-Version"));

    return (theirs == 0 || theirs >= OUR_OLDEST) &&
           version_number(slice_str(p->config.version)) >= oldest;
}

int serve_check(struct http_exchange *x, struct slice from_text,
                struct peer **out_peer, const char **out_text)
{
    struct peers *p = http_ctx(x);
    struct slice cluster = http_header_get(x, "X-Etcd-Cluster-ID");
    uint64_t from;

    *out_peer = NULL;
    if (!version_fits(p, x)) {
        *out_text = "incompatible version\n";
        return 412;
    }
    if (!slice_eq(cluster, slice_str(p->cluster_text))) {
        *out_text = "cluster ID mismatch\n";
        return 412;
    }
    if (!hex_id(from_text, &from)) {
        *out_text = "invalid from\n";
        return 404;
    }
    if (peers_was_removed(p, from)) {
        *out_text = "removed member\n";
        return 410;
    }
    *out_peer = peers_find(p, from);
    return 0;
}

/* Somebody who is not what it says, or we are not. Rarely said: whoever it is
 * tries again and again. */
static void complain(const struct http_exchange *x, const char *text)
{
    struct peers *p = http_ctx(x);
    uint64_t now_ms = loop_now_ms(p->config.loop);
    struct slice from = http_header_get(x, "X-Server-From");

    if (p->complained_ms != 0 &&
        now_ms - p->complained_ms < PEER_COMPLAINT_MS) {
        return;
    }
    p->complained_ms = now_ms;
    log_warn("peer", "refused %s, who says to be member %.*s: %.*s",
             http_peer(x), from.len < 17 ? (int)from.len : 17,
             from.len == 0 ? "" : (const char *)from.data,
             (int)strcspn(text, "\n"), text);
}

static void reply_refusal(struct http_exchange *x, int status, const char *text)
{
    struct peers *p = http_ctx(x);
    const struct http_header headers[] = {
        {slice_str("X-Etcd-Cluster-ID"), slice_str(p->cluster_text)},
        {slice_str("Content-Type"), slice_str("text/plain; charset=utf-8")}};

    http_reply(x, status, headers, 2, slice_str(text));
}

/* ---- raft ---- */

static void serve_stream(struct http_exchange *x, enum frames_kind kind,
                         struct slice from)
{
    const struct peers *p = http_ctx(x);
    struct slice to = http_header_get(x, "X-Raft-To");
    const char *text = NULL;
    struct peer *peer;
    int status = serve_check(x, from, &peer, &text);

    if (status == 0 && peer == NULL) {
        status = 404;
        text = "error sender not found\n";
    } else if (status == 0 && !slice_eq(to, slice_str(p->self_text))) {
        status = 412;
        text = "to field mismatch\n";
    }
    if (status != 0) {
        complain(x, text);
        reply_refusal(x, status, text);
    } else {
        peer_take_stream(peer, kind, x);
    }
}

static void serve_message(struct http_exchange *x)
{
    struct raftpb_space space = {0};
    const char *text = NULL;
    struct raft_msg m;
    struct peer *peer;
    int status =
        serve_check(x, http_header_get(x, "X-Server-From"), &peer, &text);

    if (status != 0) {
        complain(x, text);
        reply_refusal(x, status, text);
        return;
    }
    if (raftpb_message_unpack(http_body(x), &space, &m)) {
        reply_refusal(x, 400, "error unmarshalling raft message\n");
    } else if (peer == NULL) {
        /* Of a member that we do not know yet: raft can do without it. */
        http_reply(x, 204, NULL, 0, slice_of(NULL, 0));
    } else if (!peer_take_message(peer, &m)) {
        reply_refusal(x, 400, "not a message of this sender for this member\n");
    } else {
        peer->received_bytes.value += (double)http_body(x).len;
        http_reply(x, 204, NULL, 0, slice_of(NULL, 0));
    }
    raftpb_space_release(&space);
}

static void serve_probe(struct http_exchange *x)
{
    char body[64];
    uint64_t now_ms = loop_wall_ms();
    int len = snprintf(body, sizeof(body),
                       "{\"OK\":true,\"Now\":%" PRIu64 "}\n", now_ms);

    http_reply_type(x, 200, "application/json", slice_of(body, (size_t)len));
}

/* ---- the table ---- */

static bool take_prefix(struct slice *path, const char *prefix)
{
    struct slice p = slice_str(prefix);

    if (!slice_starts(*path, p)) {
        return false;
    }
    *path = slice_skip(*path, p.len);
    return true;
}

static void serve_raft(struct http_exchange *x, struct slice path)
{
    bool get = slice_eq(http_method(x), slice_str("GET"));

    if (path.len == 0 || slice_eq(path, slice_str("/snapshot"))) {
        if (!slice_eq(http_method(x), slice_str("POST"))) {
            reply_refusal(x, 405, "Method Not Allowed\n");
        } else if (path.len == 0) {
            serve_message(x);
        } else {
            arrival_whole(x);
        }
    } else if (!get) {
        reply_refusal(x, 405, "Method Not Allowed\n");
    } else if (take_prefix(&path, "/stream/msgapp/")) {
        serve_stream(x, FRAMES_APPENDS, path);
    } else if (take_prefix(&path, "/stream/message/")) {
        serve_stream(x, FRAMES_MESSAGES, path);
    } else if (slice_eq(path, slice_str("/probing"))) {
        serve_probe(x);
    } else {
        reply_refusal(x, 404, "404 page not found\n");
    }
}

/* A page of the owner: its exchange carries no data of ours. */
static bool is_page(const struct http_exchange *x)
{
    struct slice path = http_path(x);

    return !take_prefix(&path, "/raft");
}

void serve_request(struct http_exchange *x)
{
    struct peers *p = http_ctx(x);
    struct slice path = http_path(x);

    if (p->closing) {
        (void)arrival_gone(x); /* Its end is not waited for. */
        reply_refusal(x, 503, "the member stops\n");
    } else if (take_prefix(&path, "/raft")) {
        serve_raft(x, path);
    } else {
        p->config.hooks.on_page(p->config.hooks.ctx, x);
    }
}

void serve_gone(struct http_exchange *x)
{
    struct peers *p = http_ctx(x);

    if (is_page(x)) {
        p->config.hooks.on_page_gone(p->config.hooks.ctx, x);
    } else if (!arrival_gone(x) && http_data(x) != NULL) {
        peer_stream_gone(http_data(x));
    }
}
