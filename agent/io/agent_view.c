/* What requests see of the agent, and what the operator sees of it. */

#include <stdio.h>

#include "agent/io/agent_impl.h"
#include "agent/io/metrics_json.h"
#include "base/core/check.h"
#include "base/core/metrics.h"
#include "base/io/loop.h"

/* ---- /v1/agent/self, Stats --------------------------------------------- */

#define STATS_MAX (48 + LIMIT_DATACENTERS)

struct stats_list {
    struct arena *arena;
    struct pair *items;
    size_t count;
};

static void stat_text(struct stats_list *s, const char *key, const char *value)
{
    CHECK(s->count < STATS_MAX);
    s->items[s->count++] = (struct pair){.key = key, .value = value};
}

static void stat_number(struct stats_list *s, const char *key, uint64_t value)
{
    stat_text(s, key,
              arena_printf(s->arena, "%llu", (unsigned long long)value));
}

static void stat_datacenters(struct stats_list *s, struct agent *a)
{
    size_t count;
    const struct api_datacenter *all = datacenters_view(a->datacenters, &count);

    for (size_t i = 0; i < count; i++) {
        stat_number(s, arena_printf(s->arena, "replica_age_ms_%s", all[i].name),
                    all[i].last_contact_ms);
    }
}

static struct pairs stats_of(struct agent *a, struct arena *arena)
{
    struct stats_list s = {
        .arena = arena,
        .items = arena_zalloc(arena, STATS_MAX, sizeof(*s.items))};
    struct link_stats link = link_stats(a->link);

    stat_text(&s, "store_endpoint", link_endpoint(a->link));
    stat_text(&s, "store_current", link_current(a->link) ? "true" : "false");
    stat_number(&s, "replica_age_ms", link_stale_ms(a->link));
    stat_number(&s, "replica_revision",
                (uint64_t)catalog_revision(link_catalog(a->link)));
    stat_text(&s, "registered", link.attached ? "true" : "false");
    stat_text(&s, "in_sync", link.sync.in_sync ? "true" : "false");
    stat_text(&s, "node_name_in_use", link.name_in_use ? "true" : "false");
    stat_text(&s, "node_name_owner", link.name_in_use ? link.name_owner : "");
    stat_text(&s, "guard",
              sentry_status(a->sentry).cause == GUARD_CAUSE_NONE ? "idle"
                                                                 : "active");
    stat_text(&s, "guard_mode", guard_mode_text(sentry_status(a->sentry).mode));
    stat_text(&s, "guard_why", sentry_status(a->sentry).why);
    stat_number(&s, "guard_nodes_held", sentry_status(a->sentry).held);
    stat_text(&s, "janitor", janitor_name(a->janitor));
    stat_number(&s, "services_local", local_services_count(a->local));
    stat_number(&s, "checks_local", local_checks_count(a->local));
    stat_number(&s, "files_faulty", services_stats(a->services).faulty);
    stat_datacenters(&s, a);
    return (struct pairs){.items = s.items, .count = s.count};
}

void agent_view_set_level(struct agent *a, const char *level)
{
    (void)snprintf(a->api_level, sizeof(a->api_level), "%s", level);
}

void agent_view(void *ctx, enum front_detail detail, struct api_view *out_view)
{
    struct agent *a = ctx;

    *out_view = (struct api_view){
        .local = a->local,
        .catalog = link_catalog(a->link),
        .now = {.now_ms = loop_now_ms(a->loop),
                .wall_ms = (int64_t)loop_wall_ms()},
        .strict_default = a->strict_default,
        .translate_wan = a->translate_wan,
        .known_leader = link_current(a->link),
        .last_contact_ms = link_stale_ms(a->link),
        .version = MUSTER_VERSION,
        .api_level = a->api_level,
        .leader = link_leader(a->link),
        .peers = link_peers(a->link),
    };
    out_view->members = link_members(a->link, &out_view->members_count);
    access_view(a->access, out_view);
    out_view->coords = a->coords ? coords_known(a->coords) : NULL;
    out_view->guard = sentry_status(a->sentry);
    out_view->datacenters =
        datacenters_view(a->datacenters, &out_view->datacenters_count);
    if (detail == FRONT_STATS) {
        arena_reset(&a->view_arena);
        out_view->stats = stats_of(a, &a->view_arena);
    }
}

/* ---- /v1/metrics ------------------------------------------------------- */

#define METRICS_MAX 160

/* A page is made from numbers that their owners keep; it lives for the call. */
struct page {
    struct metrics list;
    struct metric items[METRICS_MAX];
    size_t count;
};

static void add(struct page *p, enum metric_type type, const char *name,
                const char *help, double value)
{
    struct metric *m = &p->items[p->count++];

    CHECK(p->count <= METRICS_MAX);
    *m = (struct metric){
        .name = name, .help = help, .type = type, .value = value};
    metrics_add(&p->list, m);
}

static void add_labelled(struct page *p, enum metric_type type,
                         const char *name, const char *help, const char *labels,
                         double value)
{
    add(p, type, name, help, value);
    p->items[p->count - 1].labels = labels;
}

static void page_store(struct page *p, struct agent *a)
{
    struct link_stats s = link_stats(a->link);

    add(p, METRIC_GAUGE, "muster_store_current",
        "Whether the replica follows the store.", link_current(a->link));
    add(p, METRIC_GAUGE, "muster_replica_age_seconds",
        "Time since the replica was last known to be current.",
        (double)link_stale_ms(a->link) / 1000);
    add(p, METRIC_GAUGE, "muster_replica_revision",
        "The store's revision that the replica shows.",
        (double)catalog_revision(link_catalog(a->link)));
    add(p, METRIC_COUNTER, "muster_store_connects_total", "Connections tried.",
        (double)s.connects);
    add(p, METRIC_COUNTER, "muster_store_failures_total", "Endpoints given up.",
        (double)s.failures);
    add(p, METRIC_COUNTER, "muster_store_lists_total",
        "Reads of the whole catalogue.", (double)s.lists);
    add(p, METRIC_COUNTER, "muster_store_events_total",
        "Changes that came by the watch.", (double)s.events);
    add(p, METRIC_COUNTER, "muster_lease_grants_total", "Leases granted.",
        (double)s.lease_grants);
    add(p, METRIC_COUNTER, "muster_lease_losses_total",
        "Leases that were gone before we left.", (double)s.lease_losses);
    add(p, METRIC_GAUGE, "muster_registered",
        "Whether this host's live key stands.", s.attached);
    add(p, METRIC_GAUGE, "muster_node_name_in_use",
        "Whether another agent has this node name.", s.name_in_use);
}

static void page_guard(struct page *p, struct agent *a)
{
    struct guard_status g = sentry_status(a->sentry);

    add(p, METRIC_GAUGE, "muster_guard_active",
        "Whether a mass loss of leases is not believed.",
        g.cause != GUARD_CAUSE_NONE);
    add(p, METRIC_GAUGE, "muster_guard_held_nodes",
        "Nodes taken for alive though their lease is lost.", (double)g.held);
    add(p, METRIC_COUNTER, "muster_guard_activations_total",
        "How often it began.", (double)g.activations);
    add(p, METRIC_COUNTER, "muster_guard_knocks_total",
        "Connections tried to instances on such nodes.",
        (double)sentry_knocks(a->sentry));
}

static void page_janitor(struct page *p, struct agent *a)
{
    struct reaper_stats s = reaper_stats(a->reaper);

    add(p, METRIC_GAUGE, "muster_janitor",
        "Whether this agent tidies up for all.", janitor_is_ours(a->janitor));
    add(p, METRIC_GAUGE, "muster_projected_keys",
        "Keys for SkyDNS and gRPC that stand in the store.",
        (double)projector_count(a->projector));
    add(p, METRIC_GAUGE, "muster_nodes_dead",
        "Nodes whose agent has no lease and whose records are still there.",
        (double)s.dead);
    add(p, METRIC_COUNTER, "muster_reaped_nodes_total",
        "Dead nodes whose records this agent has removed.", (double)s.nodes);
    add(p, METRIC_COUNTER, "muster_sessions_ended_total",
        "Sessions that were over and that this agent has ended.",
        (double)sessions_stats(a->sessions).ended);
    add(p, METRIC_GAUGE, "muster_store_follows",
        "Ranges of keys that requests wait for.",
        (double)link_stats(a->link).follows);
}

static void page_sync(struct page *p, struct agent *a)
{
    struct sync_stats s = link_stats(a->link).sync;
    static const char name[] = "muster_sync_transactions_total";
    static const char help[] = "Registration transactions by result.";

    add_labelled(p, METRIC_COUNTER, name, help, "result=\"written\"",
                 (double)s.written);
    add_labelled(p, METRIC_COUNTER, name, help, "result=\"guarded\"",
                 (double)s.guarded);
    add_labelled(p, METRIC_COUNTER, name, help, "result=\"refused\"",
                 (double)s.refused);
    add_labelled(p, METRIC_COUNTER, name, help, "result=\"failed\"",
                 (double)s.failed);
    add(p, METRIC_COUNTER, "muster_sync_refused_records_total",
        "Records that the store refused, each counted once.",
        (double)s.refused_records);
    add(p, METRIC_COUNTER, "muster_sync_passes_total",
        "Full comparisons by the clock.", (double)s.passes);
    add(p, METRIC_GAUGE, "muster_in_sync",
        "Whether the store holds what this host wants.", s.in_sync);
}

static void page_local(struct page *p, struct agent *a)
{
    const struct catalog *catalog = link_catalog(a->link);
    struct services_stats files = services_stats(a->services);
    struct front_stats front = front_stats(a->front);
    struct runner_stats runner = {0};

    if (a->phase == AGENT_RUNS) { /* Clients may outlive the runner. */
        runner = runner_stats(a->runner);
    }

    add(p, METRIC_GAUGE, "muster_catalog_services", "Service names.",
        (double)catalog_services_count(catalog));
    add(p, METRIC_GAUGE, "muster_catalog_instances", "Service instances.",
        (double)catalog_instances_count(catalog));
    add(p, METRIC_GAUGE, "muster_catalog_nodes", "Nodes.",
        (double)catalog_nodes_count(catalog));
    add(p, METRIC_GAUGE, "muster_local_services", "This host's services.",
        (double)local_services_count(a->local));
    add(p, METRIC_GAUGE, "muster_local_checks", "This host's checks.",
        (double)local_checks_count(a->local));
    add(p, METRIC_GAUGE, "muster_files", "Definition files.",
        (double)files.files);
    add(p, METRIC_GAUGE, "muster_files_faulty",
        "Definition files that cannot be used as they are.",
        (double)files.faulty);
    add(p, METRIC_COUNTER, "muster_check_runs_total", "Checks run.",
        (double)runner.runs);
    add(p, METRIC_GAUGE, "muster_checks_running", "Checks under way.",
        (double)runner.running);
    add(p, METRIC_GAUGE, "muster_checks_waiting",
        "Programs that wait for others to end.", (double)runner.waiting);
    add(p, METRIC_COUNTER, "muster_check_runs_missed_total",
        "Runs left out because the one before took too long.",
        (double)local_missed(a->local));
    add(p, METRIC_COUNTER, "muster_check_late_seconds_total",
        "Time between when runs were due and when they began.",
        (double)runner.late_ms / 1000);
    add(p, METRIC_GAUGE, "muster_check_late_seconds_max",
        "The longest of these times.", (double)runner.late_ms_max / 1000);
    add(p, METRIC_COUNTER, "muster_http_requests_total", "HTTP requests.",
        (double)front.requests);
    add(p, METRIC_GAUGE, "muster_http_waiting", "Long polls that wait.",
        (double)front.waiting);
    add(p, METRIC_COUNTER, "muster_http_wakeups_total",
        "Long polls that were looked at again.", (double)front.wakeups);
    add(p, METRIC_COUNTER, "muster_reloads_total", "Reloads.",
        (double)a->reloads);
    add(p, METRIC_COUNTER, "muster_machine_sleeps_total",
        "Times that the machine was suspended, as seen when it woke.",
        (double)a->sleeps);
}

#define STAT(kind, title, member, text, label)                                 \
    {                                                                          \
        .type = (kind), .name = "muster_dns_" title, .help = (text),           \
        .labels = (label), .offset = offsetof(struct dns_server_stats, member) \
    }
#define BY_TRANSPORT "DNS queries by transport."
#define BY_CODE      "DNS answers by code."
#define BY_FLAW      "Packets that are no proper query, by what is wrong."
#define LIMITED      "Responses held back, by what was said instead."
#define BY_COOKIE    "Queries with a DNS cookie, by what it is worth."
#define BY_REASON    "Connections that we closed, by reason."

static const struct dns_stat {
    enum metric_type type;
    const char *name;
    const char *help;
    const char *labels;
    size_t offset;
} dns_stats[] = {
    STAT(METRIC_COUNTER, "queries_total", queries_udp, BY_TRANSPORT,
         "transport=\"udp\""),
    STAT(METRIC_COUNTER, "queries_total", queries_tcp, BY_TRANSPORT,
         "transport=\"tcp\""),
    STAT(METRIC_COUNTER, "queries_total", queries_tls, BY_TRANSPORT,
         "transport=\"tls\""),
    STAT(METRIC_COUNTER, "answers_total", noerror, BY_CODE,
         "rcode=\"noerror\""),
    STAT(METRIC_COUNTER, "answers_total", nxdomain, BY_CODE,
         "rcode=\"nxdomain\""),
    STAT(METRIC_COUNTER, "answers_total", servfail, BY_CODE,
         "rcode=\"servfail\""),
    STAT(METRIC_COUNTER, "answers_total", refused, BY_CODE,
         "rcode=\"refused\""),
    STAT(METRIC_COUNTER, "prepared_total", answers_prepared,
         "Answers taken as prepared.", NULL),
    STAT(METRIC_COUNTER, "truncated_total", truncated, "Answers cut.", NULL),
    STAT(METRIC_COUNTER, "dropped_total", dropped,
         "Datagrams that were no query, or could not be answered.", NULL),
    STAT(METRIC_COUNTER, "forwarded_total", forwarded, "Queries sent upstream.",
         NULL),
    STAT(METRIC_COUNTER, "forward_failed_total", forward_failed,
         "Queries sent upstream without an answer.", NULL),
    STAT(METRIC_GAUGE, "tcp_connections", tcp_conns,
         "Open now, those with TLS included.", NULL),
    STAT(METRIC_COUNTER, "tcp_closed_total", tcp_idle, BY_REASON,
         "reason=\"idle\""),
    STAT(METRIC_COUNTER, "tcp_closed_total", tcp_slow_senders, BY_REASON,
         "reason=\"slow_sender\""),
    STAT(METRIC_COUNTER, "tcp_closed_total", tcp_slow_readers, BY_REASON,
         "reason=\"slow_reader\""),
    STAT(METRIC_COUNTER, "tcp_closed_total", tcp_evicted, BY_REASON,
         "reason=\"too_many\""),
    STAT(METRIC_COUNTER, "tcp_closed_total", tcp_refused, BY_REASON,
         "reason=\"too_many_of_client\""),
    STAT(METRIC_COUNTER, "malformed_total", malformed_short, BY_FLAW,
         "reason=\"short\""),
    STAT(METRIC_COUNTER, "malformed_total", malformed_long, BY_FLAW,
         "reason=\"long\""),
    STAT(METRIC_COUNTER, "malformed_total", malformed_response, BY_FLAW,
         "reason=\"response\""),
    STAT(METRIC_COUNTER, "malformed_total", malformed_counts, BY_FLAW,
         "reason=\"counts\""),
    STAT(METRIC_COUNTER, "malformed_total", malformed_name, BY_FLAW,
         "reason=\"name\""),
    STAT(METRIC_COUNTER, "malformed_total", malformed_options, BY_FLAW,
         "reason=\"options\""),
    STAT(METRIC_COUNTER, "limited_total", rate_dropped, LIMITED,
         "said=\"nothing\""),
    STAT(METRIC_COUNTER, "limited_total", rate_slipped, LIMITED,
         "said=\"shortly\""),
    STAT(METRIC_COUNTER, "limited_total", amplified, LIMITED,
         "said=\"too_large\""),
    STAT(METRIC_COUNTER, "cookies_total", cookies_good, BY_COOKIE,
         "cookie=\"good\""),
    STAT(METRIC_COUNTER, "cookies_total", cookies_new, BY_COOKIE,
         "cookie=\"new\""),
    STAT(METRIC_COUNTER, "tls_handshakes_total", tls_handshakes,
         "TLS handshakes by result.", "result=\"done\""),
    STAT(METRIC_COUNTER, "tls_handshakes_total", tls_failed,
         "TLS handshakes by result.", "result=\"failed\""),
};

static void page_dns(struct page *p, struct agent *a)
{
    struct dns_server_stats s;

    if (!a->dns) {
        return;
    }
    dns_server_stats(a->dns, &s);
    for (size_t i = 0; i < sizeof(dns_stats) / sizeof(dns_stats[0]); i++) {
        const struct dns_stat *d = &dns_stats[i];
        uint64_t value;

        memcpy(&value, (const char *)&s + d->offset, sizeof(value));
        add_labelled(p, d->type, d->name, d->help, d->labels, (double)value);
    }
    add(p, METRIC_GAUGE, "muster_dns_oversized_services",
        "Services with more instances than one DNS message holds.",
        dnsfeed_oversized(a->feed));
}

void agent_metrics(void *ctx, enum api_metrics form, struct buf *out)
{
    struct agent *a = ctx;
    struct page page = {0};
    struct arena arena = {0};

    page_store(&page, a);
    page_sync(&page, a);
    page_guard(&page, a);
    page_janitor(&page, a);
    page_local(&page, a);
    page_dns(&page, a);
    if (a->dns) {
        agent_upstream_metrics(a->dns, &arena, &page.list);
        agent_transfer_metrics(a->dns, &arena, &page.list);
    }
    datacenters_metrics(a->datacenters, &arena, &page.list);
    if (form == API_METRICS_JSON) {
        metrics_json(&page.list, (int64_t)loop_wall_ms(), out);
    } else {
        CHECK(metrics_write(&page.list, out) == ST_OK);
    }
    arena_release(&arena);
}
