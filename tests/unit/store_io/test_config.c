#include "store/io/config.h"

#include "suite.h"

/* One flag is wrong in each row. */
static const struct {
    const char *name;
    struct member_config change; /* Non-zero members replace the default. */
    const char *message;
} bad[] = {
    {"a slow heart",
     {.heartbeat_interval_ms = 300},
     "--election-timeout[1000ms] should be at least as 5 times as "
     "--heartbeat-interval[300ms]"},
    {"too patient",
     {.election_timeout_ms = 60000},
     "--election-timeout[60000ms] is too long, and should be set less than "
     "50000ms"},
    {"a name with a comma",
     {.name = "a,b"},
     "--name: \"a,b\" must have 1 to 255 letters of UTF-8, without ',' and "
     "'='"},
    {"a name that JSON cannot have",
     {.name = "a\xff"},
     "--name: \"a\xff\" must have 1 to 255 letters of UTF-8, without ',' and "
     "'='"},
    {"neither new nor existing",
     {.initial_cluster_state = "old"},
     "--initial-cluster-state: \"old\" must be \"new\" or \"existing\""},
    {"https without a certificate",
     {.listen_client_urls = "https://localhost:2379"},
     "--listen-client-urls: https needs --cert-file and --key-file"},
    {"half a certificate",
     {.cert_file = "cert.pem"},
     "--cert-file and --key-file: both or none are needed"},
    {"client certificates by nobody",
     {.client_cert_auth = true},
     "--client-cert-auth needs --trusted-ca-file"},
    {"a request larger than the log takes",
     {.max_request_bytes = 1U << 30},
     "--max-request-bytes: it must be from 1 to 33554432"},
    {"somebody else's cluster",
     {.initial_cluster = "other=http://localhost:2380"},
     "--initial-cluster: this member's name \"default\" (--name) is not in "
     "it"},
};

#define REPLACE(member)                      \
    do {                                     \
        if (change->member) {                \
            config->member = change->member; \
        }                                    \
    } while (0)

static void apply(struct member_config *config,
                  const struct member_config *change)
{
    REPLACE(heartbeat_interval_ms);
    REPLACE(election_timeout_ms);
    REPLACE(name);
    REPLACE(initial_cluster_state);
    REPLACE(listen_client_urls);
    REPLACE(cert_file);
    REPLACE(client_cert_auth);
    REPLACE(max_request_bytes);
    REPLACE(initial_cluster);
}

START_TEST(wrong_flags_are_named)
{
    struct member_config config;
    struct member_plan plan;
    struct err err = {""};

    member_config_init(&config);
    apply(&config, &bad[_i].change);
    ck_assert_msg(member_plan_make(&plan, &config, &err) == ST_INVALID, "%s",
                  bad[_i].name);
    ck_assert_str_eq(err.text, bad[_i].message);
    member_plan_release(&plan);
}
END_TEST

START_TEST(defaults_are_etcds)
{
    struct member_config config;
    struct member_plan plan;
    struct err err = {""};

    member_config_init(&config);
    ck_assert_msg(member_plan_make(&plan, &config, &err) == ST_OK, "%s",
                  err.text);
    ck_assert_str_eq(plan.config.data_dir, "default.etcd");
    ck_assert_str_eq(plan.config.initial_cluster,
                     "default=http://localhost:2380");
    ck_assert_uint_eq(plan.founding.cluster_id, 0xcdf818194e3a8c32);
    ck_assert_uint_eq(plan.client_urls.count, 1);
    ck_assert_str_eq(plan.client_urls.urls[0].host, "localhost");
    ck_assert_uint_eq(plan.client_urls.urls[0].port, 2379);
    member_plan_release(&plan);
}
END_TEST

UNIT_MAIN("config", {
    tcase_add_loop_test(tc, wrong_flags_are_named, 0, COUNT_OF(bad));
    tcase_add_test(tc, defaults_are_etcds);
})
