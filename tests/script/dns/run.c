/*
 * run.c - runs DNS scripts: a catalogue and questions, and what is answered.
 *
 *     dns_script FILE...            compare
 *     dns_script --rewrite FILE...  fill in what comes out
 *
 * A block is commands, a line "----", and the output expected, up to an empty
 * line. The catalogue lives on from block to block. Commands:
 *
 *     set KEY VALUE        a setting; the keys are in set.c
 *     state unknown|fresh|stale|expired
 *     dc NAME              what follows is about this datacenter, dc1 or
 *                          another; questions are always asked in dc1
 *     node NAME ADDRESS [KEY=VALUE...]   with meta
 *     forget NAME          the node goes
 *     instance SERVICE ID [node=N] [at=NODE-ADDRESS] [addr=A] [port=P]
 *         [tags=a,b] [health=passing|warning|critical] [weights=P,W]
 *         [ports=name:1,other:2] [meta.KEY=VALUE] [lan6=ADDRESS] [area=ZONE]
 *         [is=held|last|recent] [node.KEY=VALUE] [checks=id:critical,...]
 *     measured NODE=US,US...   where nodes are, all that are known: round trips
 *     distance NAME US     the round trip to another datacenter
 *     query ID [FIELD=VALUE...]   a prepared query; without fields it goes.
 *         Fields: name service tags near ttl passing dcs nearest node_meta meta
 *         ignore template (its value is the regular expression)
 *     asked SERVICE        prints whether somebody asked since the last time
 *     many SERVICE COUNT   instances, each on a node of its own
 *     gone SERVICE [ID]    an instance, or all of them
 *     ask NAME TYPE [OPTION...]    prints what is decided
 *     send NAME TYPE [OPTION...]   prints what is sent, in counts
 *     explain NAME TYPE [OPTION...]  prints why each instance is in it or not
 *     order NAME TYPE [OPTION...]  prints which record came first, and how
 * often when asked 400 times; at=1 looks at the second one, and so on
 *
 *     transfer DOMAIN [SERIAL]     prints what a secondary is sent that has
 *         nothing, or the zone with this serial
 *     back COUNT           the store's revision, which each command raises by
 *         one, is so much less: a backup was restored
 *
 * Options: tcp, edns=SIZE, do, from=ADDRESS (of the client),
 * subnet=ADDRESS/LEN. Every question is also packed and asked of the prepared
 * answers; the two packets must be equal byte by byte.
 */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "dns/core/zone.h"
#include "tests/script/driver.h"

void say(struct run *r, const char *text)
{
    CHECK(buf_add_str(r->out, text) == ST_OK);
}

static bool is_of(const struct run *r, const struct held *h,
                  const char *service)
{
    return h->model == r->site->model && strcmp(h->service, service) == 0;
}

static void put_service(struct run *r, const char *service)
{
    struct dns_instance *all = calloc(r->held_count + 1, sizeof(*all));
    size_t count = 0;

    for (size_t i = 0; i < r->held_count; i++) {
        if (is_of(r, &r->held[i], service)) {
            all[count++] = r->held[i].instance;
        }
    }
    dns_model_put_service(r->site->model, service, all, count);
    free(all);
}

const char **split(struct run *r, char *text, size_t *out_count)
{
    const char **items = arena_alloc(&r->words, WORDS_MAX * sizeof(items[0]));
    char *save = NULL;

    *out_count = 0;
    for (char *item = strtok_r(text, ",", &save); item != NULL;
         item = strtok_r(NULL, ",", &save)) {
        CHECK(*out_count < WORDS_MAX);
        items[(*out_count)++] = item;
    }
    return items;
}

static struct dns_pair *read_pairs(struct run *r, char **words, size_t count,
                                   const char *prefix, size_t *out_count)
{
    struct dns_pair *pairs =
        arena_alloc(&r->words, (count + 1) * sizeof(*pairs));

    *out_count = 0;
    for (size_t i = 0; i < count; i++) {
        char *equals = strrchr(words[i], '=');

        if (equals != NULL && strncmp(words[i], prefix, strlen(prefix)) == 0) {
            *equals = '\0';
            pairs[*out_count].key = words[i] + strlen(prefix);
            pairs[(*out_count)++].value = equals + 1;
        }
    }
    return pairs;
}

static const struct dns_named_port *read_ports(struct run *r, char *text,
                                               size_t *out_count)
{
    const char **items = split(r, text, out_count);
    struct dns_named_port *ports =
        arena_alloc(&r->words, (*out_count + 1) * sizeof(*ports));

    for (size_t i = 0; i < *out_count; i++) {
        char *colon = strchr(items[i], ':');

        *colon = '\0';
        ports[i] = (struct dns_named_port){items[i], (uint16_t)atoi(colon + 1)};
    }
    return ports;
}

static enum dns_health health_of(const char *text)
{
    return *text == 'p'   ? DNS_PASSING
           : *text == 'w' ? DNS_WARNING
                          : DNS_CRITICAL;
}

static const struct dns_check *read_checks(struct run *r, char *text,
                                           size_t *out_count)
{
    const char **items = split(r, text, out_count);
    struct dns_check *checks =
        arena_alloc(&r->words, (*out_count + 1) * sizeof(*checks));

    for (size_t i = 0; i < *out_count; i++) {
        char *colon = strchr(items[i], ':');

        *colon = '\0';
        checks[i] = (struct dns_check){items[i], health_of(colon + 1)};
    }
    return checks;
}

static void read_field(struct run *r, struct dns_instance *in, char *key,
                       char *value)
{
    if (strcmp(key, "node") == 0) {
        in->node = value;
    } else if (strcmp(key, "at") == 0) {
        in->node_address = value;
    } else if (strcmp(key, "addr") == 0) {
        in->address = value;
    } else if (strcmp(key, "lan6") == 0) {
        in->lan_ipv6 = value;
    } else if (strcmp(key, "area") == 0) {
        in->area = value;
    } else if (strcmp(key, "port") == 0) {
        in->port = (uint16_t)atoi(value);
    } else if (strcmp(key, "health") == 0) {
        in->health = health_of(value);
    } else if (strcmp(key, "weights") == 0) {
        in->weight_passing = (uint16_t)atoi(value);
        in->weight_warning = (uint16_t)atoi(strchr(value, ',') + 1);
    } else if (strcmp(key, "tags") == 0) {
        in->tags = split(r, value, &in->tags_count);
    } else if (strcmp(key, "is") == 0) {
        in->recent = strcmp(value, "recent") == 0;
        in->last_resort = strcmp(value, "last") == 0;
        in->held = strcmp(value, "held") == 0 || in->last_resort;
    } else if (strcmp(key, "checks") == 0) {
        in->checks = read_checks(r, value, &in->checks_count);
    } else if (strcmp(key, "ports") == 0) {
        in->ports = read_ports(r, value, &in->ports_count);
    }
}

static void do_instance(struct run *r, char **words, size_t count)
{
    struct held *h = NULL;

    for (size_t i = 0; i < r->held_count; i++) {
        if (is_of(r, &r->held[i], words[1]) &&
            strcmp(r->held[i].instance.id, words[2]) == 0) {
            h = &r->held[i];
        }
    }
    if (h == NULL) {
        CHECK(r->held_count < INSTANCES_MAX);
        h = &r->held[r->held_count++];
    }
    h->model = r->site->model;
    h->service = words[1];
    h->instance = (struct dns_instance){
        .id = words[2],
        .node = "n1",
        .node_address = "10.0.0.1",
        .weight_passing = 1,
        .weight_warning = 1,
    };
    h->instance.meta =
        read_pairs(r, words + 3, count - 3, "meta.", &h->instance.meta_count);
    h->instance.node_meta = read_pairs(r, words + 3, count - 3, "node.",
                                       &h->instance.node_meta_count);
    h->instance.meta_for_queries = true;
    for (size_t i = 3; i < count; i++) {
        char *equals = strchr(words[i], '=');

        if (equals != NULL) {
            *equals = '\0';
            read_field(r, &h->instance, words[i], equals + 1);
        }
    }
    put_service(r, words[1]);
}

static void do_many(struct run *r, char **words)
{
    size_t count = (size_t)atoi(words[2]);

    for (size_t i = 0; i < count; i++) {
        struct held *h = &r->held[r->held_count++];

        CHECK(r->held_count < INSTANCES_MAX);
        h->model = r->site->model;
        h->service = words[1];
        h->instance = (struct dns_instance){
            .id = arena_printf(&r->words, "m%zu", i),
            .node = arena_printf(&r->words, "n%zu", i),
            .node_address =
                arena_printf(&r->words, "10.0.%zu.%zu", i / 250, i % 250),
            .port = (uint16_t)(8000 + i),
            .weight_passing = 1,
            .weight_warning = 1,
        };
    }
    put_service(r, words[1]);
}

static void do_gone(struct run *r, char **words, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->held_count; i++) {
        bool out = is_of(r, &r->held[i], words[1]) &&
                   (count < 3 || strcmp(r->held[i].instance.id, words[2]) == 0);

        if (!out) {
            r->held[kept++] = r->held[i];
        }
    }
    r->held_count = kept;
    put_service(r, words[1]);
}

static void do_node(struct run *r, char **words, size_t count)
{
    struct dns_node node = {.name = words[1], .address = words[2]};

    node.meta = read_pairs(r, words + 3, count - 3, "", &node.meta_count);
    dns_model_put_node(r->site->model, &node);
}

static void do_state(struct run *r, const char *word)
{
    r->site->state = *word == 'u'   ? DNS_UNKNOWN
                     : *word == 's' ? DNS_STALE
                     : *word == 'e' ? DNS_EXPIRED
                                    : DNS_FRESH;
}

static void command(void *run, char *line)
{
    struct run *r = run;
    char *words[WORDS_MAX] = {0};
    size_t count = 0;
    char *save = NULL;
    char *copy = arena_strdup(&r->words, slice_str(line));

    for (char *w = strtok_r(copy, " ", &save); w != NULL && count < WORDS_MAX;
         w = strtok_r(NULL, " ", &save)) {
        words[count++] = w;
    }
    r->revision++;
    if (count >= 3 && strcmp(words[0], "ask") == 0) {
        do_ask(r, words, count);
    } else if (count >= 3 && strcmp(words[0], "send") == 0) {
        do_send(r, words, count);
    } else if (count >= 3 && strcmp(words[0], "explain") == 0) {
        do_explain(r, words, count);
    } else if (count >= 3 && strcmp(words[0], "order") == 0) {
        do_order(r, words, count);
    } else if (count >= 3 && strcmp(words[0], "many") == 0) {
        do_many(r, words);
    } else if (count >= 3 && strcmp(words[0], "node") == 0) {
        do_node(r, words, count);
    } else if (count >= 2 && strcmp(words[0], "forget") == 0) {
        dns_model_remove_node(r->site->model, words[1]);
    } else if (count >= 3 && strcmp(words[0], "instance") == 0) {
        do_instance(r, words, count);
    } else if (count >= 2 && strcmp(words[0], "asked") == 0) {
        say(r, dns_model_take_asked(r->site->model, words[1]) ? "asked\n"
                                                              : "no\n");
    } else if (count >= 2 && strcmp(words[0], "gone") == 0) {
        do_gone(r, words, count);
    } else if (count >= 3 && strcmp(words[0], "set") == 0) {
        do_set(r, words[1], words[2]);
    } else if (count >= 2 && strcmp(words[0], "state") == 0) {
        do_state(r, words[1]);
    } else if (count >= 2 && strcmp(words[0], "transfer") == 0) {
        do_transfer(r, words, count);
    } else if (count >= 2 && strcmp(words[0], "back") == 0) {
        r->revision -= strtoul(words[1], NULL, 10);
    } else if (strcmp(words[0], "measured") == 0) {
        do_measured(r, words, count);
    } else if (count >= 3 && strcmp(words[0], "distance") == 0) {
        do_distance(r, words[1], words[2]);
    } else if (count >= 2 && strcmp(words[0], "query") == 0) {
        do_query(r, words, count);
    } else if (count >= 2 && strcmp(words[0], "dc") == 0) {
        do_dc(r, words[1]);
    } else {
        say(r, "unknown command\n");
    }
}

static void *begin(struct buf *out)
{
    struct run *r = calloc(1, sizeof(*r));

    CHECK(r != NULL);
    dns_settings_init(&r->settings);
    r->home = (struct site){.name = "dc1", .state = DNS_FRESH};
    r->site = &r->home;
    r->out = out;
    CHECK(dns_model_new(&r->settings, (struct hash_key){1, 2}, &r->home.model,
                        NULL) == ST_OK);
    return r;
}

static void end(void *run)
{
    struct run *r = run;

    dns_transfer_set_free(r->sets[0]);
    dns_transfer_set_free(r->sets[1]);
    queries_end(&r->home);
    dns_model_free(r->home.model);
    for (size_t i = 0; i < r->others_count; i++) {
        queries_end(&r->others[i]);
        dns_model_free(r->others[i].model);
    }
    arena_release(&r->words);
    free(r);
}

int main(int argc, char **argv)
{
    static const struct script_player player = {begin, command, end};

    return script_main(argc, argv, &player);
}
