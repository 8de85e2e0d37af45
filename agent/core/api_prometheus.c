/*
 * GET /v1/prometheus/sd: http_sd's targets with consul_sd's labels, so that
 * relabel rules keep working. Source: Prometheus' documentation, "http_sd" and
 * "consul_sd_config".
 */
#include "agent/core/api_model.h"

struct targets {
    struct api_call *call;
    bool passing;
};

/* Label names are [a-zA-Z0-9_]. */
static void write_label(struct api_call *call, const char *prefix,
                        const char *name, const char *value)
{
    char *key = arena_printf(call->arena, "__meta_consul_%s%s", prefix, name);

    for (char *c = key; *c != '\0'; c++) {
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') &&
            !(*c >= '0' && *c <= '9')) {
            *c = '_';
        }
    }
    jsonw_key_text(&call->json, key, value);
}

static void write_pairs(struct api_call *call, const char *prefix,
                        struct pairs pairs)
{
    for (size_t i = 0; i < pairs.count; i++) {
        write_label(call, prefix, pairs.items[i].key, pairs.items[i].value);
    }
}

/* ",a,b,": a rule can look for ",a," whatever the order. */
static const char *join_tags(struct api_call *call, struct texts tags)
{
    struct buf joined;
    const char *text;

    buf_init(&joined, LIMIT_RECORD_BYTES);
    for (size_t i = 0; i < tags.count; i++) {
        (void)buf_addf(&joined, ",%s", tags.items[i]);
    }
    if (tags.count > 0) {
        (void)buf_add_u8(&joined, ',');
    }
    text = arena_strdup(call->arena, buf_slice(&joined));
    buf_release(&joined);
    return text;
}

static void write_labels(struct api_call *call, const struct catalog_node *n,
                         const struct catalog_instance *i)
{
    const struct instance_record *r = &i->record;
    enum health_sum health = catalog_instance_health(call->view->catalog, i);

    write_label(call, "", "address", api_node_address(call, &n->record));
    write_label(call, "", "dc", catalog_datacenter(call->view->catalog));
    write_label(call, "", "health", health_sum_text(health));
    write_label(call, "", "namespace", "");
    write_label(call, "", "partition", "");
    write_label(call, "", "node", n->record.name);
    write_label(call, "", "service", r->service);
    write_label(call, "", "service_address", api_service_address(call, r));
    write_label(call, "", "service_id", r->id);
    write_label(call, "", "service_port",
                arena_printf(call->arena, "%u", api_service_port(call, r)));
    write_label(call, "", "tags", join_tags(call, r->tags));
    write_pairs(call, "metadata_", n->record.meta);
    write_pairs(call, "service_metadata_", r->meta);
    write_pairs(call, "tagged_address_", n->record.tagged);
}

static bool write_target(void *ctx, const struct catalog_instance *i)
{
    const struct targets *t = ctx;
    struct api_call *call = t->call;
    const struct catalog_node *n = api_node_of(call, i);
    struct jsonw *w = &call->json;
    const char *address;

    if (n == NULL || !api_node_matches(call, &n->record) ||
        !api_tags_match(call, i->record.tags) ||
        (t->passing &&
         catalog_instance_health(call->view->catalog, i) != HEALTH_PASSING) ||
        !api_chosen(call, n, i)) {
        return true;
    }
    address = api_service_address(call, &i->record);
    address = *address == '\0' ? api_node_address(call, &n->record) : address;
    jsonw_object(w);
    jsonw_key(w, "targets");
    jsonw_list(w);
    jsonw_text(w,
               arena_printf(call->arena,
                            strchr(address, ':') != NULL ? "[%s]:%u" : "%s:%u",
                            address, api_service_port(call, &i->record)));
    jsonw_list_end(w);
    jsonw_key(w, "labels");
    jsonw_object(w);
    write_labels(call, n, i);
    jsonw_object_end(w);
    jsonw_object_end(w);
    return true;
}

static bool is_asked(const struct api_call *call, const char *service)
{
    bool any = false;

    for (size_t i = 0; i < call->params_count; i++) {
        if (strcmp(call->params[i].key, "service") != 0) {
            continue;
        }
        if (strcmp(call->params[i].value, service) == 0) {
            return true;
        }
        any = true;
    }
    return !any;
}

static bool write_service(void *ctx, const struct catalog_service *s)
{
    struct targets *t = ctx;

    if (is_asked(t->call, catalog_service_name(s))) {
        catalog_each_instance(s, write_target, t);
    }
    return true;
}

void api_prometheus_sd(struct api_call *call)
{
    struct targets t = {.call = call, .passing = api_flag(call, "passing")};

    if (!api_filter_read(call, API_FILTER_HEALTH) ||
        !api_ready(call, (struct catalog_scope){.kind = SCOPE_ALL})) {
        return;
    }
    jsonw_list(api_json(call, 200));
    catalog_each_service(call->view->catalog, write_service, &t);
    jsonw_list_end(&call->json);
    api_json_end(call);
}
