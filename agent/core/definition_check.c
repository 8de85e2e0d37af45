/*
 * The fields of a check and what must hold between them.
 */
#include <arpa/inet.h>

#include "agent/core/definition.h"
#include "agent/core/definition_tables.h"
#include "agent/core/duration.h"
#include "agent/core/health.h"
#include "base/core/check.h"

enum {
    INTERVAL_MS_MIN = 1000,
    DEREGISTER_MS_MIN = 60000,
    EXEC_TIMEOUT_MS = 30000,
    PROBE_TIMEOUT_MS = 10000,
    FLAP_WINDOW_MS = 60000,
    THRESHOLD_MAX = 1000,
    ARGS_MAX = 64,
    CODES_MAX = 32,
    TARGET_MAX = 512,
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
    c->h2ping_use_tls = true;
}

/* ---- Rules of single fields --------------------------------------- */

static enum status rule_unsupported(struct field_reader *r,
                                    const struct json_at *at, const void *value)
{
    (void)value;
    return field_error(r, at,
                       "this type of check is not supported; use args to run "
                       "a program that looks into the container");
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

    if (strcmp(id, CHECK_ID_SERF) == 0 || check_id_is_maintenance(id)) {
        return field_error(r, at, "\"%s\" is reserved; choose another", id);
    }
    return ST_OK;
}

/* "::1" of "[::1]", a zone may stand behind it; returns what follows, or NULL.
 */
static const char *skip_v6(const char *host)
{
    unsigned char binary[16];
    char address[INET6_ADDRSTRLEN];
    size_t len = strcspn(host + 1, "%]/?#");
    const char *end = host + 1 + strcspn(host + 1, "]/?#");

    if (*end != ']' || len >= sizeof(address)) {
        return NULL;
    }
    memcpy(address, host + 1, len);
    address[len] = '\0';
    return inet_pton(AF_INET6, address, binary) == 1 ? end + 1 : NULL;
}

/* ":8080", or nothing, up to `end`. */
static bool is_port(const char *text, const char *end)
{
    unsigned long port = 0;

    if (text == end) {
        return true;
    }
    if (*text != ':' || end - text < 2 || end - text > 6) {
        return false;
    }
    for (text++; text < end && *text >= '0' && *text <= '9'; text++) {
        port = port * 10 + (unsigned long)(*text - '0');
    }
    return text == end && port > 0 && port <= 65535;
}

static bool is_url(const char *text)
{
    const char *host;
    const char *end;
    const char *port;

    if (strncmp(text, "http://", 7) == 0) {
        host = text + 7;
    } else if (strncmp(text, "https://", 8) == 0) {
        host = text + 8;
    } else {
        return false;
    }
    end = host + strcspn(host, "/?#");
    for (const char *at = host; at < end; at++) {
        if (*at == '@') {
            host = at + 1; /* A name and password stood before it. */
        }
    }
    port = *host == '[' ? skip_v6(host) : host + strcspn(host, ":/?#[]");
    return port != NULL && port != host && is_port(port, end) &&
           strpbrk(text, " \t\r\n") == NULL;
}

/* systemctl takes patterns, too, and everything they match. */
static enum status rule_unit(struct field_reader *r, const struct json_at *at,
                             const void *value)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ":-_.\\@";
    const char *unit = *(const char *const *)value;

    if (unit[strspn(unit, allowed)] != '\0') {
        return field_error(r, at,
                           "\"%.64s\" is not the name of one systemd unit, "
                           "like \"nginx.service\"",
                           unit);
    }
    return ST_OK;
}

static enum status rule_file(struct field_reader *r, const struct json_at *at,
                             const void *value)
{
    const char *path = *(const char *const *)value;

    if (*path != '\0' && *path != '/') {
        return field_error(
            r, at, "\"%.64s\" must be a whole path, beginning with /", path);
    }
    return ST_OK;
}

static enum status rule_url(struct field_reader *r, const struct json_at *at,
                            const void *value)
{
    const char *url = *(const char *const *)value;

    if (*url != '\0' && !is_url(url)) {
        return field_error(r, at,
                           "\"%.64s\" is not a URL; it must begin with "
                           "http:// or https:// and a host, like "
                           "\"http://[::1]:80/\"",
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
     .offset = AT(deregister_after_ms)},
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
    {.key = "flap_max",
     .kind = FIELD_U32,
     .offset = AT(flap_max),
     .max = HEALTH_FLAPS_MAX},
    {.key = "flap_window",
     .kind = FIELD_DURATION,
     .offset = AT(flap_window_ms)},
    {.key = "flap_hold", .kind = FIELD_DURATION, .offset = AT(flap_hold_ms)},
    {.key = "output_max_size",
     .kind = FIELD_U32,
     .offset = AT(output_max),
     .max = INT32_MAX},
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
    {.key = "success_codes",
     .kind = FIELD_TEXTS,
     .offset = AT(success_codes),
     .max = CODES_MAX},
    {.key = "tcp", .kind = FIELD_TEXT, .offset = AT(tcp), .max = TARGET_MAX},
    {.key = "tcp_use_tls", .kind = FIELD_BOOL, .offset = AT(tcp_use_tls)},
    {.key = "udp", .kind = FIELD_TEXT, .offset = AT(udp), .max = TARGET_MAX},
    {.key = "grpc",
     .kind = FIELD_TEXT,
     .offset = AT(grpc),
     .max = 2 * TARGET_MAX},
    {.key = "grpc_use_tls", .kind = FIELD_BOOL, .offset = AT(grpc_use_tls)},
    {.key = "h2ping",
     .kind = FIELD_TEXT,
     .offset = AT(h2ping),
     .max = TARGET_MAX},
    {.key = "h2ping_use_tls", .kind = FIELD_BOOL, .offset = AT(h2ping_use_tls)},
    {.key = "tls_server_name",
     .kind = FIELD_TEXT,
     .offset = AT(tls_server_name),
     .max = 255},
    {.key = "tls_skip_verify",
     .kind = FIELD_BOOL,
     .offset = AT(tls_skip_verify)},
    {.key = "tls_ca_file",
     .kind = FIELD_TEXT,
     .offset = AT(tls_ca_file),
     .rule = rule_file},
    {.key = "os_service",
     .kind = FIELD_TEXT,
     .offset = AT(os_service),
     .max = 255,
     .rule = rule_unit},
    {.key = "alias_service",
     .kind = FIELD_TEXT,
     .offset = AT(alias_service),
     .max = 512},
    {.key = "alias_node",
     .kind = FIELD_TEXT,
     .offset = AT(alias_node),
     .max = 512},
    {.key = "args", .kind = FIELD_TEXTS, .offset = AT(args), .max = ARGS_MAX},
    {.key = "script_args",
     .alias = true,
     .kind = FIELD_TEXTS,
     .offset = AT(args),
     .max = ARGS_MAX},
    {.key = "script", .kind = FIELD_ANY, .rule = rule_script},
    {.key = "docker_container_id", .kind = FIELD_ANY, .rule = rule_unsupported},
    {.key = "shell", .kind = FIELD_ANY},
    {.key = "namespace",
     .alias = true,
     .kind = FIELD_TEXT,
     .offset = AT(unused),
     .rule = rule_default_only},
    {.key = "partition",
     .alias = true,
     .kind = FIELD_TEXT,
     .offset = AT(unused),
     .rule = rule_default_only},
};

/* ---- Rules of the whole ------------------------------------------- */

/* What is below a minimum is raised to it, as Consul does. */
static void raise_to(struct field_reader *r, const struct json_at *at,
                     const char *key, uint64_t *ms, uint64_t min_ms)
{
    struct json_at inner = {.up = at, .key = key};
    char least[DURATION_TEXT];

    if (*ms > 0 && *ms < min_ms) {
        field_warn(r, &inner, "raised to the minimum of %s",
                   duration_format(min_ms, least));
        *ms = min_ms;
    }
}

bool check_def_active(const struct check_def *c)
{
    return c->type != CHECK_TYPE_NONE && c->type != CHECK_TYPE_TTL &&
           c->type != CHECK_TYPE_ALIAS;
}

static enum status finish_times(struct field_reader *r,
                                const struct json_at *at, struct check_def *c)
{
    struct json_at interval = {.up = at, .key = "interval"};

    raise_to(r, at, "interval", &c->interval_ms, INTERVAL_MS_MIN);
    raise_to(r, at, "deregister_critical_service_after",
             &c->deregister_after_ms, DEREGISTER_MS_MIN);
    if (c->type == CHECK_TYPE_TTL && c->interval_ms > 0) {
        return field_error(r, &interval,
                           "a ttl check has no interval; remove one");
    }
    if (c->type == CHECK_TYPE_ALIAS && c->interval_ms > 0) {
        field_warn(r, &interval,
                   "ignored, an alias follows what it stands for at once");
        c->interval_ms = 0;
    }
    if (!check_def_active(c)) {
        return ST_OK;
    }
    if (c->interval_ms == 0) {
        return field_error(r, at, "interval is missing; add one like \"10s\"");
    }
    if (c->timeout_ms == 0) {
        c->timeout_ms =
            c->type == CHECK_TYPE_EXEC ? EXEC_TIMEOUT_MS : PROBE_TIMEOUT_MS;
    }
    return ST_OK;
}

static void finish_output(struct field_reader *r, const struct json_at *at,
                          struct check_def *c)
{
    struct json_at inner = {.up = at, .key = "output_max_size"};

    if (c->output_max > LIMIT_CHECK_OUTPUT) {
        field_warn(r, &inner, "lowered to the maximum of %d",
                   LIMIT_CHECK_OUTPUT);
    }
    if (c->output_max == 0 || c->output_max > LIMIT_CHECK_OUTPUT) {
        c->output_max = LIMIT_CHECK_OUTPUT;
    }
}

static enum status finish_flaps(struct field_reader *r,
                                const struct json_at *at, struct check_def *c)
{
    if (c->flap_max == 0 && (c->flap_window_ms > 0 || c->flap_hold_ms > 0)) {
        return field_error(r, at,
                           "flap_window and flap_hold need flap_max: how many "
                           "changes of status are not yet flapping");
    }
    if (c->flap_max > 0 && c->flap_window_ms == 0) {
        c->flap_window_ms = FLAP_WINDOW_MS;
    }
    if (c->flap_max > 0 && c->flap_hold_ms == 0) {
        c->flap_hold_ms = c->flap_window_ms;
    }
    return ST_OK;
}

static enum status finish_thresholds(struct field_reader *r,
                                     const struct json_at *at,
                                     struct check_def *c)
{
    struct json_at warning = {.up = at, .key = "failures_before_warning"};

    if (c->failures_before_warning == UNSET) {
        c->failures_before_warning = c->failures_before_critical;
    }
    if (c->failures_before_warning > c->failures_before_critical) {
        return field_error(
            r, &warning, "%u is above failures_before_critical, which is %u",
            c->failures_before_warning, c->failures_before_critical);
    }
    return ST_OK;
}

static enum status check_finish(struct field_reader *r,
                                const struct json_at *at, void *object)
{
    struct check_def *c = object;
    enum status st = check_type_finish(r, at, c);

    if (st == ST_OK) {
        st = finish_times(r, at, c);
    }
    if (st == ST_OK) {
        st = finish_flaps(r, at, c);
    }
    if (st == ST_OK) {
        st = finish_thresholds(r, at, c);
    }
    finish_output(r, at, c);
    if (*c->method == '\0') {
        c->method = "GET";
    }
    return st;
}

const struct fields check_fields = {
    .what = "check",
    .items = check_items,
    .count = sizeof(check_items) / sizeof(check_items[0]),
    .size = sizeof(struct check_def),
    .init = check_init,
    .finish = check_finish,
};

void check_def_init(struct check_def *c)
{
    *c = (struct check_def){0};
    fields_init(&check_fields, c);
    c->failures_before_warning = 0;
    c->target = "";
    c->grpc_service = "";
}

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
