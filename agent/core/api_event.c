/*
 * /v1/event: short messages to whoever listens, kept for an hour.
 *
 *   /muster/v1/<dc>/event/<id>   JSON, under a lease of its own
 *
 * Consul spreads events by gossip and forgets them; here they are in the store,
 * in the order of its revisions, and an agent shows those that are for it.
 */
#include <stdlib.h>

#include "agent/core/api_kv.h"
#include "agent/core/fields.h"
#include "base/core/base64.h"
#include "base/core/check.h"
#include "base/core/regex.h"

#define EVENT_TTL_S         3600
#define EVENT_PAYLOAD_BYTES (16UL * 1024)
#define EVENTS_SHOWN        256 /* The newest, as Consul. */
#define REGEX_WORK          1000000
/* By which "consul exec" has all agents run a command. */
#define EVENT_EXEC "_rexec"

struct event {
    const char *id;
    const char *name;
    const char *payload; /* base64 */
    const char *node;    /* Filters; "": none. */
    const char *service;
    const char *tag;
    int64_t revision;
};

#define AT(member) offsetof(struct event, member)

static const struct field event_items[] = {
    {.key = "id", .kind = FIELD_TEXT, .offset = AT(id), .max = 64},
    {.key = "name", .kind = FIELD_TEXT, .offset = AT(name), .max = 512},
    {.key = "payload",
     .kind = FIELD_TEXT,
     .offset = AT(payload),
     .max = EVENT_PAYLOAD_BYTES * 4 / 3 + 4},
    {.key = "node_filter", .kind = FIELD_TEXT, .offset = AT(node), .max = 512},
    {.key = "service_filter",
     .kind = FIELD_TEXT,
     .offset = AT(service),
     .max = 512},
    {.key = "tag_filter", .kind = FIELD_TEXT, .offset = AT(tag), .max = 512},
};

static const struct fields event_fields = {
    .items = event_items,
    .count = sizeof(event_items) / sizeof(event_items[0]),
    .size = sizeof(struct event),
};

static struct slice folder(const struct api_call *call)
{
    return record_folder(call->arena, call->dc, "event");
}

static void write_event(struct jsonw *w, const struct event *e)
{
    jsonw_object(w);
    jsonw_key_text(w, "ID", e->id);
    jsonw_key_text(w, "Name", e->name);
    jsonw_key(w, "Payload");
    if (*e->payload == '\0') {
        jsonw_null(w);
    } else {
        jsonw_text(w, e->payload);
    }
    jsonw_key_text(w, "NodeFilter", e->node);
    jsonw_key_text(w, "ServiceFilter", e->service);
    jsonw_key_text(w, "TagFilter", e->tag);
    jsonw_key_int(w, "Version", 1);
    jsonw_key_int(w, "LTime", e->revision);
    jsonw_object_end(w);
}

/* ---- Fire --------------------------------------------------------- */

static const char *param(const struct api_call *call, const char *key)
{
    const char *value = api_param(call, key);

    return value == NULL ? "" : value;
}

static bool accept_pattern(struct api_call *call, const char *what,
                           const char *pattern)
{
    struct regex *r;
    struct err err;

    if (*pattern != '\0' &&
        regex_compile(call->arena, slice_str(pattern), &r, &err)) {
        api_text(call, 400, "Invalid %s filter: %s", what, err.text);
        return false;
    }
    return true;
}

static void put_event(struct api_call *call, const struct event *e)
{
    struct store_ask *ask = api_ask(call);
    struct slice prefix = folder(call);
    struct jsonw w;
    struct buf b;

    buf_init(&b, LIMIT_RECORD_BYTES);
    jsonw_init(&w, &b, JSONW_COMPACT);
    fields_write(&event_fields, e, &w);
    CHECK(jsonw_finish(&w) == ST_OK);
    store_put(ask,
              slice_str(arena_printf(call->arena, "%.*s%s", (int)prefix.len,
                                     (const char *)prefix.data, e->id)),
              arena_copy(call->arena, buf_slice(&b)),
              call->request->flow->done->lease);
    buf_release(&b);
}

enum fire_step {
    FIRE_BEGINS,
    FIRE_GRANTED,
    FIRE_WRITTEN
};

void api_event_fire(struct api_call *call)
{
    struct api_flow *flow = call->request->flow;
    struct event e = {.name = call->rest,
                      .node = param(call, "node"),
                      .service = param(call, "service"),
                      .tag = param(call, "tag")};

    if (!api_demand(call, ACL_EVENT, e.name, ACL_WRITE) ||
        !accept_pattern(call, "node", e.node) ||
        !accept_pattern(call, "service", e.service) ||
        !accept_pattern(call, "tag", e.tag)) {
        return;
    }
    if (strcmp(e.name, EVENT_EXEC) == 0) {
        api_text(call, 400,
                 "Agents run no commands for others (exec): let a \"watch "
                 "-type=event\" on each host run one of its own choice");
        return;
    }
    if (*e.tag != '\0' && *e.service == '\0') {
        api_text(call, 400, "A tag filter needs a service filter");
        return;
    }
    if (call->request->body.len > EVENT_PAYLOAD_BYTES || strlen(e.name) > 512 ||
        strlen(e.node) > 512 || strlen(e.service) > 512 ||
        strlen(e.tag) > 512) {
        api_text(call, 413,
                 "An event has a name and filters of 512 bytes and a payload "
                 "of %lu bytes at most",
                 EVENT_PAYLOAD_BYTES);
        return;
    }
    if (flow->step == FIRE_BEGINS) {
        api_make_uuid(call);
        flow->step = FIRE_GRANTED;
        call->outcome->kind = API_STORE;
        call->outcome->ask =
            (struct store_ask){.kind = STORE_GRANT, .ttl_s = EVENT_TTL_S};
        return;
    }
    e.id = flow->id;
    e.payload =
        (const char *)base64_encode(call->arena, call->request->body).data;
    if (flow->step == FIRE_GRANTED) {
        flow->step = FIRE_WRITTEN;
        put_event(call, &e);
        return;
    }
    e.revision = flow->done->revision;
    write_event(api_json(call, 200), &e);
    api_json_end(call);
}

/* ---- List --------------------------------------------------------- */

static bool matches(struct api_call *call, const char *pattern,
                    const char *text)
{
    struct regex *r;
    struct err err;
    uint64_t work = REGEX_WORK;

    return *pattern == '\0' ||
           (regex_compile(call->arena, slice_str(pattern), &r, &err) == ST_OK &&
            regex_match(r, slice_str(text), &work));
}

struct find_service {
    struct api_call *call;
    const struct event *event;
    bool found;
};

static bool match_service(void *ctx, const struct local_service *s)
{
    struct find_service *f = ctx;

    if (!matches(f->call, f->event->service, s->def->name)) {
        return true;
    }
    f->found = *f->event->tag == '\0';
    for (size_t i = 0; i < s->def->tags.count && !f->found; i++) {
        f->found = matches(f->call, f->event->tag, s->def->tags.items[i]);
    }
    return !f->found;
}

/* Whether the event is for this agent. */
static bool is_for_us(struct api_call *call, const struct event *e)
{
    struct find_service f = {.call = call, .event = e};

    if (!matches(call, e->node, local_host(call->view->local)->node.name)) {
        return false;
    }
    if (*e->service == '\0') {
        return true;
    }
    local_each_service(call->view->local, match_service, &f);
    return f.found;
}

static int by_age(const void *a, const void *b)
{
    int64_t x = ((const struct store_kv *)a)->create_revision;
    int64_t y = ((const struct store_kv *)b)->create_revision;

    return x < y ? -1 : x > y;
}

static bool is_asked_for(const struct api_call *call, const struct event *e)
{
    return (*param(call, "name") == '\0' ||
            strcmp(param(call, "name"), e->name) == 0) &&
           (*param(call, "node") == '\0' ||
            strcmp(param(call, "node"), e->node) == 0) &&
           (*param(call, "service") == '\0' ||
            strcmp(param(call, "service"), e->service) == 0) &&
           (*param(call, "tag") == '\0' ||
            strcmp(param(call, "tag"), e->tag) == 0);
}

static bool read_event(struct api_call *call, const struct store_kv *kv,
                       struct event *out)
{
    struct err err;
    struct field_reader r = {.arena = call->arena,
                             .text = kv->value,
                             .unknown = FIELD_UNKNOWN_IGNORED,
                             .err = &err};

    if (fields_parse(&r, &event_fields, LIMIT_RECORD_BYTES, out)) {
        return false;
    }
    out->revision = kv->create_revision;
    return true;
}

static void write_events(struct api_call *call, const struct store_range *r)
{
    struct store_kv *kvs = arena_zalloc(call->arena, r->count, sizeof(*kvs));
    struct event *kept = arena_zalloc(call->arena, r->count, sizeof(*kept));
    size_t count = 0;

    if (r->count > 0) {
        memcpy(kvs, r->items, r->count * sizeof(*kvs));
        qsort(kvs, r->count, sizeof(*kvs), by_age);
    }
    for (size_t i = 0; i < r->count; i++) {
        struct event e = {0};

        if (read_event(call, &kvs[i], &e) && is_asked_for(call, &e) &&
            is_for_us(call, &e) && api_sees(call, ACL_EVENT, e.name)) {
            kept[count++] = e;
        }
    }
    jsonw_list(api_json(call, 200));
    for (size_t i = count > EVENTS_SHOWN ? count - EVENTS_SHOWN : 0; i < count;
         i++) {
        write_event(&call->json, &kept[i]);
    }
    jsonw_list_end(&call->json);
    api_json_end(call);
}

/* The index is the newest event's, so that the end of old ones wakes nobody. */
void api_event_list(struct api_call *call)
{
    const struct store_answer *seen = call->request->flow->seen;
    struct slice prefix = folder(call);
    struct slice end = store_prefix_end(call->arena, prefix);
    struct api_poll poll;
    uint64_t newest = 1;
    const struct store_range *r;

    if (!api_poll_read(call, &poll)) {
        return;
    }
    if (seen == NULL) {
        store_list(api_ask(call), call->arena, prefix, end, false);
        return;
    }
    r = &seen->ranges[0];
    for (size_t i = 0; i < r->count; i++) {
        if ((uint64_t)r->items[i].create_revision > newest) {
            newest = (uint64_t)r->items[i].create_revision;
        }
    }
    if (poll.index > 0 && newest <= poll.index &&
        poll.index <= (uint64_t)seen->revision &&
        call->view->now.now_ms < poll.deadline_ms) {
        poll.index = (uint64_t)seen->revision; /* Watch from here on. */
        api_wait_for(call, &poll, prefix, end);
        return;
    }
    api_poll_headers(call, newest > poll.index || poll.index == 0 ||
                                   poll.index > (uint64_t)seen->revision
                               ? newest
                               : poll.index);
    write_events(call, r);
}
