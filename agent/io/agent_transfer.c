/* Zone transfers: from the configuration to the DNS server, and what /metrics
 * says of them. */

#include <errno.h>
#include <stdio.h>

#include "agent/io/agent_impl.h"
#include "base/core/base64.h"
#include "base/core/check.h"
#include "base/core/metrics.h"

enum {
    SECRET_TEXT_MAX = 512,
    METRICS = 16
};

static const char *or_null(const char *text)
{
    return text == NULL || *text == '\0' ? NULL : text;
}

/* ---- Configuration ------------------------------------------------------- */

/* The first line of the file. */
static enum status read_secret_file(const char *path, struct arena *arena,
                                    const char **out_text, struct err *err)
{
    char line[SECRET_TEXT_MAX + 2] = "";
    FILE *file = fopen(path, "re");

    if (file == NULL || fgets(line, sizeof(line), file) == NULL) {
        (void)err_set(err, ST_IO, "transfer secret_file %s: %s", path,
                      file == NULL ? strerror(errno) : "it is empty");
        if (file != NULL) {
            (void)fclose(file);
        }
        return ST_IO;
    }
    (void)fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    *out_text = arena_strdup(arena, slice_str(line));
    return ST_OK;
}

/* Messages name the key, never its secret. */
static enum status read_key(const struct agent_transfer_key *k,
                            struct arena *arena, struct dns_transfer_key *out,
                            struct err *err)
{
    const char *text = k->secret;

    out->name = k->name;
    out->algorithm = k->algorithm;
    if (or_null(k->secret_file) != NULL) {
        enum status st = read_secret_file(k->secret_file, arena, &text, err);

        if (st) {
            return st;
        }
    }
    if (base64_decode(arena, slice_str(text), &out->secret)) {
        return err_set(
            err, ST_INVALID,
            "transfer key \"%s\": its secret is not base64; make one "
            "with: openssl rand -base64 32",
            k->name);
    }
    return ST_OK;
}

enum status agent_transfer_read(const struct agent_config *config,
                                struct arena *arena,
                                struct dns_transfer_config *out,
                                struct err *err)
{
    const struct agent_transfer_config *c = &config->dns_config.transfer;
    struct dns_transfer_key *keys =
        arena_zalloc(arena, c->keys_count, sizeof(keys[0]));
    struct dns_transfer_rule *allow =
        arena_zalloc(arena, c->allow_count, sizeof(allow[0]));
    struct dns_transfer_target *notify =
        arena_zalloc(arena, c->notify_count, sizeof(notify[0]));
    enum status st = ST_OK;

    for (size_t i = 0; i < c->keys_count && !st; i++) {
        st = read_key(&c->keys[i], arena, &keys[i], err);
    }
    for (size_t i = 0; i < c->allow_count; i++) {
        allow[i] = (struct dns_transfer_rule){
            .networks = c->allow[i].networks.items,
            .networks_count = c->allow[i].networks.count,
            .key = or_null(c->allow[i].key)};
    }
    for (size_t i = 0; i < c->notify_count; i++) {
        notify[i] = (struct dns_transfer_target){
            .address = c->notify[i].address == NULL ? "" : c->notify[i].address,
            .key = or_null(c->notify[i].key)};
    }
    *out = (struct dns_transfer_config){
        .keys = keys,
        .keys_count = c->keys_count,
        .allow = allow,
        .allow_count = c->allow_count,
        .notify = notify,
        .notify_count = c->notify_count,
        .notify_interval_ms = (uint32_t)c->notify_interval_ms,
        .zones = c->zones.items,
        .zones_count = c->zones.count,
        .serial_path = arena_printf(arena, "%s/dns-serial", config->data_dir),
    };
    return st;
}

enum status agent_transfer_set(struct dns_server *dns,
                               const struct agent_config *config,
                               struct err *err)
{
    struct dns_transfer_config transfer;
    struct arena arena = {0};
    enum status st;

    if (dns == NULL) {
        return ST_OK;
    }
    st = agent_transfer_read(config, &arena, &transfer, err);
    if (!st) {
        st = dns_server_transfer(dns, &transfer, err);
    }
    arena_release(&arena);
    return st ? err_prefix(err, st, "dns_config") : ST_OK;
}

bool agent_transfer_serial(const struct agent_config *config,
                           uint32_t *out_serial)
{
    char path[4200];

    (void)snprintf(path, sizeof(path), "%s/dns-serial", config->data_dir);
    return dns_transfer_serial(path, out_serial);
}

/* ---- Metrics ------------------------------------------------------------- */

struct page {
    struct metrics *list;
    struct metric items[METRICS];
    size_t count;
};

static void add(struct page *p, enum metric_type type, const char *name,
                const char *help, const char *labels, uint64_t value)
{
    struct metric *m = &p->items[p->count++];

    CHECK(p->count <= METRICS);
    *m = (struct metric){.name = name,
                         .help = help,
                         .labels = labels,
                         .type = type,
                         .value = (double)value};
    metrics_add(p->list, m);
}

#define BY_CONTENT  "Zone transfers that ended well, by what was sent."
#define BY_OUTCOME  "Other requests for a zone transfer, by what became of them."
#define NOTIFY_HELP "NOTIFY to secondaries: datagrams, and how they ended."

void agent_transfer_metrics(struct dns_server *dns, struct arena *arena,
                            struct metrics *list)
{
    struct page *p = arena_zalloc(arena, 1, sizeof(*p));
    struct dns_transfer_stats s;
    struct dns_server_stats w;

    p->list = list;
    dns_server_transfer_stats(dns, &s);
    dns_server_stats(dns, &w);
    add(p, METRIC_COUNTER, "muster_dns_transfers_total", BY_CONTENT,
        "content=\"whole\"", w.transfers_whole);
    add(p, METRIC_COUNTER, "muster_dns_transfers_total", BY_CONTENT,
        "content=\"differences\"", w.transfers_differences);
    add(p, METRIC_COUNTER, "muster_dns_transfers_total", BY_CONTENT,
        "content=\"current\"", w.transfers_current);
    add(p, METRIC_COUNTER, "muster_dns_transfers_failed_total", BY_OUTCOME,
        "outcome=\"refused\"", w.transfers_refused);
    add(p, METRIC_COUNTER, "muster_dns_transfers_failed_total", BY_OUTCOME,
        "outcome=\"broken\"", w.transfers_broken);
    add(p, METRIC_COUNTER, "muster_dns_tsig_bad_total",
        "Queries whose signature is not good.", NULL, w.tsig_bad);
    add(p, METRIC_GAUGE, "muster_dns_transfers", "Zone transfers under way.",
        NULL, s.running);
    add(p, METRIC_GAUGE, "muster_dns_transfer_records",
        "Records kept for secondaries.", NULL, s.records);
    add(p, METRIC_GAUGE, "muster_dns_transfer_bytes",
        "Bytes of these, and of the journal.", NULL, s.bytes);
    add(p, METRIC_COUNTER, "muster_dns_notify_total", NOTIFY_HELP,
        "result=\"sent\"", s.notify_sent);
    add(p, METRIC_COUNTER, "muster_dns_notify_total", NOTIFY_HELP,
        "result=\"answered\"", s.notify_answered);
    add(p, METRIC_COUNTER, "muster_dns_notify_total", NOTIFY_HELP,
        "result=\"failed\"", s.notify_failed);
}
