/*
 * What a check is: its type, whom it asks, and which answers pass.
 */
#include "agent/core/definition.h"
#include "agent/core/definition_tables.h"
#include "base/core/check.h"

/* ---- The type ----------------------------------------------------- */

static enum status choose_type(struct field_reader *r, const struct json_at *at,
                               struct check_def *c)
{
    const struct {
        bool given;
        enum check_type type;
    } types[] = {
        {*c->http != '\0', CHECK_TYPE_HTTP},
        {*c->tcp != '\0', CHECK_TYPE_TCP},
        {*c->udp != '\0', CHECK_TYPE_UDP},
        {*c->grpc != '\0', CHECK_TYPE_GRPC},
        {*c->h2ping != '\0', CHECK_TYPE_H2PING},
        {c->ttl_ms > 0, CHECK_TYPE_TTL},
        {c->args.count > 0, CHECK_TYPE_EXEC},
        {*c->os_service != '\0', CHECK_TYPE_OS_SERVICE},
        {*c->alias_service != '\0' || *c->alias_node != '\0', CHECK_TYPE_ALIAS},
    };
    int given = 0;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].given) {
            c->type = types[i].type;
            given++;
        }
    }
    if (given != 1) {
        return field_error(r, at,
                           "%s; a check has exactly one of http, tcp, udp, "
                           "grpc, h2ping, ttl, args, os_service and "
                           "alias_service",
                           given == 0 ? "no type" : "more than one type");
    }
    return ST_OK;
}

/* ---- Whom it asks ------------------------------------------------- */

/* 0: not a port. */
static uint32_t read_port(struct slice text)
{
    uint32_t port = 0;

    for (size_t i = 0; i < text.len && port <= UINT16_MAX; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return 0;
        }
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    return port <= UINT16_MAX ? port : 0;
}

static bool is_host(struct slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (host.data[i] <= ' ' || host.data[i] == 0x7f ||
            strchr("/[]@?#", host.data[i]) != NULL) {
            return false;
        }
    }
    return host.len <= 253;
}

static size_t last_colon(struct slice text)
{
    size_t at = text.len;

    while (at > 0 && text.data[at - 1] != ':') {
        at--;
    }
    return at; /* Behind it; 0: none. */
}

/* "host:port", "[v6]:port", ":port" of this host, and "v6:port" as people
 * write it. */
static enum status set_target(struct field_reader *r, const struct json_at *at,
                              const char *key, struct slice text,
                              struct check_def *c)
{
    struct json_at inner = {.up = at, .key = key};
    size_t colon = last_colon(text);
    uint32_t port = read_port(slice_skip(text, colon));
    struct slice host = slice_of(text.data, colon > 0 ? colon - 1 : 0);

    if (host.len >= 2 && host.data[0] == '[' &&
        host.data[host.len - 1] == ']') {
        host = slice_of(host.data + 1, host.len - 2);
    }
    if (colon == 0 || port == 0 || !is_host(host)) {
        return field_error(r, &inner,
                           "\"%.*s\" is not host:port, like "
                           "\"127.0.0.1:5432\"",
                           text.len < 64 ? (int)text.len : 64,
                           (const char *)text.data);
    }
    if (host.len == 0) {
        host = slice_str("localhost");
    }
    c->target = arena_printf(
        r->arena, memchr(host.data, ':', host.len) ? "[%.*s]:%u" : "%.*s:%u",
        (int)host.len, (const char *)host.data, port);
    return ST_OK;
}

/* "host:port/service": of which service of the server the health is asked. */
static enum status set_grpc(struct field_reader *r, const struct json_at *at,
                            struct check_def *c)
{
    size_t len = strcspn(c->grpc, "/");
    const char *service = c->grpc[len] == '/' ? c->grpc + len + 1 : "";

    c->grpc_service = service;
    return set_target(r, at, "grpc", slice_of(c->grpc, len), c);
}

/* ---- Which statuses pass ------------------------------------------ */

static bool read_codes(const char *text, struct code_range *out_range)
{
    unsigned from = 0;
    unsigned to;
    size_t digits = strspn(text, "0123456789");

    if (digits != 3) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        from = from * 10 + (unsigned)(text[i] - '0');
    }
    to = from;
    if (text[3] == '-' && strspn(text + 4, "0123456789") == 3) {
        to = 0;
        for (size_t i = 4; i < 7; i++) {
            to = to * 10 + (unsigned)(text[i] - '0');
        }
        text += 4;
    }
    *out_range = (struct code_range){(uint16_t)from, (uint16_t)to};
    return text[3] == '\0' && from >= 100 && to >= from && to <= 599;
}

static enum status set_codes(struct field_reader *r, const struct json_at *at,
                             struct check_def *c)
{
    size_t count = c->success_codes.count;
    struct code_range *codes = arena_zalloc(r->arena, count, sizeof(*codes));
    struct json_at list = {.up = at, .key = "success_codes"};

    if (count > 0 && c->type != CHECK_TYPE_HTTP) {
        return field_error(r, &list, "only http checks have statuses");
    }
    for (size_t i = 0; i < count; i++) {
        struct json_at inner = {.up = &list, .index = i};

        if (!read_codes(c->success_codes.items[i], &codes[i])) {
            return field_error(r, &inner,
                               "\"%.32s\" is not a status or a range of them, "
                               "like \"204\" or \"200-299\"",
                               c->success_codes.items[i]);
        }
    }
    c->codes = codes;
    c->codes_count = count;
    return ST_OK;
}

enum status check_type_finish(struct field_reader *r, const struct json_at *at,
                              struct check_def *c)
{
    enum status st = choose_type(r, at, c);

    c->target = "";
    c->grpc_service = "";
    if (st == ST_OK) {
        st = set_codes(r, at, c);
    }
    if (st) {
        return st;
    }
    switch (c->type) {
    case CHECK_TYPE_TCP:
        return set_target(r, at, "tcp", slice_str(c->tcp), c);
    case CHECK_TYPE_UDP:
        return set_target(r, at, "udp", slice_str(c->udp), c);
    case CHECK_TYPE_H2PING:
        return set_target(r, at, "h2ping", slice_str(c->h2ping), c);
    case CHECK_TYPE_GRPC:
        return set_grpc(r, at, c);
    case CHECK_TYPE_NONE:
    case CHECK_TYPE_EXEC:
    case CHECK_TYPE_HTTP:
    case CHECK_TYPE_TTL:
    case CHECK_TYPE_OS_SERVICE:
    case CHECK_TYPE_ALIAS:
        return ST_OK;
    }
    UNREACHABLE();
}
