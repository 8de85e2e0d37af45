/*
 * The fields of a check and what must hold between them.
 */
#include "agent/core/definition.h"
#include "agent/core/definition_tables.h"
#include "agent/core/health.h"
#include "base/core/check.h"

enum {
    INTERVAL_MS_MIN = 1000,
    DEREGISTER_MS_MIN = 60000,
    EXEC_TIMEOUT_MS = 30000,
    PROBE_TIMEOUT_MS = 10000,
    THRESHOLD_MAX = 1000,
    ARGS_MAX = 64,
};

#define UNSET UINT32_MAX

const char *const check_status_words[] = {
    [CHECK_PASSING] = "passing",
    [CHECK_WARNING] = "warning",
    [CHECK_CRITICAL] = "critical",
    NULL,
};

static void check_init(void *object)
{
    struct check_def *c = object;

    c->status = CHECK_CRITICAL;
    c->initial_delay_ms = UINT64_MAX;
    c->failures_before_warning = UNSET;
    c->first_result_counts = true;
    c->output_max = LIMIT_CHECK_OUTPUT;
    c->method = "GET";
}

/* ---- Rules of single fields --------------------------------------- */

static enum status rule_unsupported(struct field_reader *r,
                                    const struct json_at *at, const void *value)
{
    (void)value;
    return field_error(r, at,
                       "this type of check is not supported; use http, tcp, "
                       "ttl or args");
}

static enum status rule_script(struct field_reader *r, const struct json_at *at,
                               const void *value)
{
    (void)value;
    return field_error(r, at,
                       "not supported, because it needs a shell; use args, "
                       "like [\"/bin/sh\", \"-c\", \"...\"]");
}

static enum status rule_check_id(struct field_reader *r,
                                 const struct json_at *at, const void *value)
{
    const char *id = *(const char *const *)value;

    if (strcmp(id, CHECK_ID_SERF) == 0 ||
        strcmp(id, CHECK_ID_NODE_MAINT) == 0 ||
        strncmp(id, CHECK_ID_SERVICE_MAINT, strlen(CHECK_ID_SERVICE_MAINT)) ==
            0) {
        return field_error(r, at, "\"%s\" is reserved; choose another", id);
    }
    return ST_OK;
}

static bool is_url(const char *text)
{
    const char *host = NULL;

    if (strncmp(text, "http://", 7) == 0) {
        host = text + 7;
    } else if (strncmp(text, "https://", 8) == 0) {
        host = text + 8;
    }
    return host != NULL && *host != '\0' && strchr("/?#:", *host) == NULL &&
           strpbrk(text, " \t\r\n") == NULL;
}

static enum status rule_url(struct field_reader *r, const struct json_at *at,
                            const void *value)
{
    const char *url = *(const char *const *)value;

    if (*url != '\0' && !is_url(url)) {
        return field_error(r, at,
                           "\"%.64s\" is not a URL; it must begin with "
                           "http:// or https:// and a host",
                           url);
    }
    return ST_OK;
}

static bool is_method(const char *text)
{
    size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

    return len > 0 && len <= 16 && text[len] == '\0';
}

static enum status rule_method(struct field_reader *r, const struct json_at *at,
                               const void *value)
{
    const char *method = *(const char *const *)value;

    if (*method != '\0' && !is_method(method)) {
        return field_error(r, at, "\"%.32s\" is not a method", method);
    }
    return ST_OK;
}

static enum status rule_headers(struct field_reader *r,
                                const struct json_at *at, const void *value)
{
    const struct pairs *headers = value;

    for (size_t i = 0; i < headers->count; i++) {
        const struct pair *h = &headers->items[i];

        if (h->key[0] == '\0' || strpbrk(h->key, ": \t\r\n") != NULL ||
            strpbrk(h->value, "\r\n") != NULL) {
            return field_error(r, at, "\"%.64s\" is not a header", h->key);
        }
    }
    return ST_OK;
}

#define AT(member) offsetof(struct check_def, member)

static const struct field check_items[] = {
    {.key = "id",
     .kind = FIELD_TEXT,
     .offset = AT(id),
     .max = 512,
     .rule = rule_check_id},
    {.key = "check_id",
     .alias = true,
     .kind = FIELD_TEXT,
     .offset = AT(id),
     .max = 512,
     .rule = rule_check_id},
    {.key = "name", .kind = FIELD_TEXT, .offset = AT(name), .max = 512},
    {.key = "notes", .kind = FIELD_TEXT, .offset = AT(notes), .max = 512},
    {.key = "service_id",
     .kind = FIELD_TEXT,
     .offset = AT(service_id),
     .max = 512},
    {.key = "status",
     .kind = FIELD_WORD,
     .offset = AT(status),
     .words = check_status_words},
    {.key = "interval", .kind = FIELD_DURATION, .offset = AT(interval_ms)},
    {.key = "timeout", .kind = FIELD_DURATION, .offset = AT(timeout_ms)},
    {.key = "ttl", .kind = FIELD_DURATION, .offset = AT(ttl_ms)},
    {.key = "start_period",
     .kind = FIELD_DURATION,
     .offset = AT(start_period_ms)},
    {.key = "initial_delay",
     .kind = FIELD_DURATION,
     .offset = AT(initial_delay_ms)},
    {.key = "deregister_critical_service_after",
     .kind = FIELD_DURATION,
     .offset = AT(deregister_after_ms),
     .min = DEREGISTER_MS_MIN},
    {.key = "success_before_passing",
     .kind = FIELD_U32,
     .offset = AT(success_before_passing),
     .max = THRESHOLD_MAX},
    {.key = "failures_before_warning",
     .kind = FIELD_U32,
     .offset = AT(failures_before_warning),
     .max = THRESHOLD_MAX},
    {.key = "failures_before_critical",
     .kind = FIELD_U32,
     .offset = AT(failures_before_critical),
     .max = THRESHOLD_MAX},
    {.key = "first_result_counts",
     .kind = FIELD_BOOL,
     .offset = AT(first_result_counts)},
    {.key = "output_max_size",
     .kind = FIELD_U32,
     .offset = AT(output_max),
     .min = 1,
     .max = LIMIT_CHECK_OUTPUT},
    {.key = "http", .kind = FIELD_TEXT, .offset = AT(http), .rule = rule_url},
    {.key = "method",
     .kind = FIELD_TEXT,
     .offset = AT(method),
     .rule = rule_method},
    {.key = "header",
     .kind = FIELD_HEADERS,
     .offset = AT(headers),
     .rule = rule_headers},
    {.key = "body", .kind = FIELD_TEXT, .offset = AT(body), .max = 65536},
    {.key = "disable_redirects",
     .kind = FIELD_BOOL,
     .offset = AT(disable_redirects)},
    {.key = "tcp", .kind = FIELD_TEXT, .offset = AT(tcp), .max = 512},
    {.key = "tcp_use_tls", .kind = FIELD_BOOL, .offset = AT(tcp_use_tls)},
    {.key = "tls_server_name",
     .kind = FIELD_TEXT,
     .offset = AT(tls_server_name),
     .max = 255},
    {.key = "tls_skip_verify",
     .kind = FIELD_BOOL,
     .offset = AT(tls_skip_verify)},
    {.key = "args", .kind = FIELD_TEXTS, .offset = AT(args), .max = ARGS_MAX},
    {.key = "script_args",
     .alias = true,
     .kind = FIELD_TEXTS,
     .offset = AT(args),
     .max = ARGS_MAX},
    {.key = "script", .kind = FIELD_ANY, .rule = rule_script},
    {.key = "docker_container_id", .kind = FIELD_ANY, .rule = rule_unsupported},
    {.key = "udp", .kind = FIELD_ANY, .rule = rule_unsupported},
    {.key = "grpc", .kind = FIELD_ANY, .rule = rule_unsupported},
    {.key = "h2ping", .kind = FIELD_ANY, .rule = rule_unsupported},
    {.key = "os_service", .kind = FIELD_ANY, .rule = rule_unsupported},
    {.key = "alias_service", .kind = FIELD_ANY, .rule = rule_unsupported},
    {.key = "alias_node", .kind = FIELD_ANY, .rule = rule_unsupported},
    {.key = "flap_max", .kind = FIELD_ANY, .rule = rule_unsupported},
};

/* ---- Rules of the whole ------------------------------------------- */

static enum status choose_type(struct field_reader *r, const struct json_at *at,
                               struct check_def *c)
{
    int given = 0;

    if (*c->http != '\0') {
        c->type = CHECK_TYPE_HTTP;
        given++;
    }
    if (*c->tcp != '\0') {
        c->type = CHECK_TYPE_TCP;
        given++;
    }
    if (c->ttl_ms > 0) {
        c->type = CHECK_TYPE_TTL;
        given++;
    }
    if (c->args.count > 0) {
        c->type = CHECK_TYPE_EXEC;
        given++;
    }
    if (given != 1) {
        return field_error(r, at,
                           "%s; a check has exactly one of http, tcp, ttl "
                           "and args",
                           given == 0 ? "no type" : "more than one type");
    }
    return ST_OK;
}

/* 0: not a port. */
static uint32_t read_port(const char *text)
{
    uint32_t port = 0;

    for (; *text >= '0' && *text <= '9' && port <= UINT16_MAX; text++) {
        port = port * 10 + (uint32_t)(*text - '0');
    }
    return *text == '\0' && port <= UINT16_MAX ? port : 0;
}

/* "host:port", "[v6]:port" or ":port" taken apart. */
static enum status split_tcp(struct field_reader *r, const struct json_at *at,
                             struct check_def *c)
{
    struct json_at inner = {.up = at, .key = "tcp"};
    const char *colon = strrchr(c->tcp, ':');
    struct slice host;
    uint32_t port = colon == NULL ? 0 : read_port(colon + 1);

    if (port == 0 || strpbrk(c->tcp, " \t\r\n/") != NULL) {
        return field_error(r, &inner,
                           "\"%.64s\" is not host:port, like "
                           "\"127.0.0.1:5432\"",
                           c->tcp);
    }
    host = slice_of(c->tcp, (size_t)(colon - c->tcp));
    if (host.len >= 2 && host.data[0] == '[' &&
        host.data[host.len - 1] == ']') {
        host = slice_of(host.data + 1, host.len - 2);
    }
    c->tcp_host = host.len == 0 ? "localhost" : arena_strdup(r->arena, host);
    c->tcp_port = (uint16_t)port;
    return ST_OK;
}

static enum status finish_times(struct field_reader *r,
                                const struct json_at *at, struct check_def *c)
{
    struct json_at interval = {.up = at, .key = "interval"};

    if (c->type == CHECK_TYPE_TTL) {
        if (c->interval_ms > 0) {
            return field_error(r, &interval,
                               "a ttl check has no interval; remove one");
        }
        return ST_OK;
    }
    if (c->interval_ms == 0) {
        return field_error(r, at, "interval is missing; add one like \"10s\"");
    }
    if (c->interval_ms < INTERVAL_MS_MIN) {
        field_warn(r, &interval, "raised to the minimum of 1s");
        c->interval_ms = INTERVAL_MS_MIN;
    }
    if (c->timeout_ms == 0) {
        c->timeout_ms =
            c->type == CHECK_TYPE_EXEC ? EXEC_TIMEOUT_MS : PROBE_TIMEOUT_MS;
    }
    return ST_OK;
}

static enum status check_finish(struct field_reader *r,
                                const struct json_at *at, void *object)
{
    struct check_def *c = object;
    struct json_at warning = {.up = at, .key = "failures_before_warning"};
    enum status st = choose_type(r, at, c);

    if (st) {
        return st;
    }
    st = finish_times(r, at, c);
    if (st) {
        return st;
    }
    if (*c->method == '\0') {
        c->method = "GET";
    }
    if (c->failures_before_warning == UNSET) {
        c->failures_before_warning = c->failures_before_critical;
    }
    if (c->failures_before_warning > c->failures_before_critical) {
        return field_error(
            r, &warning, "%u is above failures_before_critical, which is %u",
            c->failures_before_warning, c->failures_before_critical);
    }
    return c->type == CHECK_TYPE_TCP ? split_tcp(r, at, c) : ST_OK;
}

const struct fields check_fields = {
    .what = "check",
    .items = check_items,
    .count = sizeof(check_items) / sizeof(check_items[0]),
    .size = sizeof(struct check_def),
    .init = check_init,
    .finish = check_finish,
};

const char *check_status_text(enum check_status status)
{
    return check_status_words[status];
}

bool check_status_parse(struct slice text, enum check_status *out_status)
{
    for (int i = 0; check_status_words[i] != NULL; i++) {
        if (slice_eq(text, slice_str(check_status_words[i]))) {
            *out_status = (enum check_status)i;
            return true;
        }
    }
    return false;
}

const char *check_type_text(enum check_type type)
{
    switch (type) {
#define X(name, text) \
    case name:        \
        return text;
        CHECK_TYPE_LIST(X)
#undef X
    }
    UNREACHABLE();
}
