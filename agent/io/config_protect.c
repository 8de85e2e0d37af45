/* dns_config.rrl and dns_config.tcp: who may ask how much. */

#include "agent/io/config_fields.h"
#include "dns/core/network.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static enum status rule_networks(struct field_reader *r,
                                 const struct json_at *at, const void *value)
{
    const struct texts *texts = value;
    struct dns_network network;

    for (size_t i = 0; i < texts->count; i++) {
        if (dns_network_parse(texts->items[i], &network)) {
            return field_error(r, at,
                               "\"%.64s\" is not a network such as "
                               "\"192.0.2.0/24\" or \"2001:db8::/32\"",
                               texts->items[i]);
        }
    }
    return ST_OK;
}

#define RRL(k) .key = #k, .offset = offsetof(struct agent_rrl_config, k)

static const struct field rrl_items[] = {
    {RRL(responses_per_second), .kind = FIELD_U32, .max = 1000000},
    {RRL(slip), .kind = FIELD_U32, .max = 10},
    {RRL(exempt), .kind = FIELD_TEXTS, .max = 64, .rule = rule_networks},
};

static void rrl_init(void *object)
{
    /* What is not there keeps what it has here; a list that is given, even an
     * empty one, replaces it. */
    static const char *const private[] = {"10.0.0.0/8",     "172.16.0.0/12",
                                          "192.168.0.0/16", "169.254.0.0/16",
                                          "fc00::/7",       "fe80::/10"};

    *(struct agent_rrl_config *)object = (struct agent_rrl_config){
        .responses_per_second = 200,
        .slip = 2,
        .exempt = {.items = private, .count = COUNT(private)},
    };
}

const struct fields config_rrl_fields = {
    .items = rrl_items,
    .count = COUNT(rrl_items),
    .size = sizeof(struct agent_rrl_config),
    .init = rrl_init,
};

#define TCP(k, member) \
    .key = k, .offset = offsetof(struct agent_tcp_config, member)

static const struct field tcp_items[] = {
    {TCP("idle_timeout", idle_timeout_ms), .kind = FIELD_DURATION, .min = 500,
     .max = 3600000},
    {TCP("connections", connections), .kind = FIELD_U32, .min = 1,
     .max = 100000},
    {TCP("connections_per_client", connections_per_client), .kind = FIELD_U32,
     .min = 1, .max = 65535},
};

static void tcp_init(void *object)
{
    *(struct agent_tcp_config *)object = (struct agent_tcp_config){
        .idle_timeout_ms = 10000,
        .connections = 1024,
        .connections_per_client = 128,
    };
}

const struct fields config_tcp_fields = {
    .items = tcp_items,
    .count = COUNT(tcp_items),
    .size = sizeof(struct agent_tcp_config),
    .init = tcp_init,
};
