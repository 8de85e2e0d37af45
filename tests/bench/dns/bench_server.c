/*
 * bench_server.c - a DNS server with the world of the benchmark.
 *
 *     dns_bench_server serve PORT THREADS [CHANGES]   until it is told to stop;
 *         so many times a second an instance becomes unhealthy, and well again
 *     dns_bench_server zone                 prints the same as a zone file
 *     dns_bench_server register   and as bodies of PUT /v1/catalog/register,
 *         one a line
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/core/check.h"
#include "dns/io/server.h"
#include "tests/bench/dns/world.h"

typedef void (*put_fn)(void *ctx, const char *service, unsigned first,
                       unsigned count);

static void each_service(put_fn put, void *ctx)
{
    char name[32];
    unsigned next = 1;

    for (unsigned i = 0; i < WORLD_SINGLES; i++, next++) {
        (void)snprintf(name, sizeof(name), "a%u", i);
        put(ctx, name, next, 1);
    }
    for (unsigned i = 0; i < WORLD_THREES; i++, next += 3) {
        (void)snprintf(name, sizeof(name), "three%u", i);
        put(ctx, name, next, 3);
    }
    for (unsigned i = 0; i < WORLD_TWENTIES; i++, next += 20) {
        (void)snprintf(name, sizeof(name), "twenty%u", i);
        put(ctx, name, next, 20);
    }
}

static void put_instances(void *ctx, const char *service, unsigned first,
                          unsigned count)
{
    struct dns_instance all[20];
    char texts[20][32];

    for (unsigned i = 0; i < count; i++) {
        unsigned n = first + i;

        (void)snprintf(texts[i], sizeof(texts[i]), "10.0.%u.%u", n >> 8,
                       n & 255);
        all[i] = (struct dns_instance){.id = texts[i],
                                       .node = "n1",
                                       .node_address = "10.255.0.1",
                                       .address = texts[i],
                                       .port = 8080,
                                       .weight_passing = 1};
    }
    dns_model_put_service(ctx, service, all, count);
}

static void print_instances(void *ctx, const char *service, unsigned first,
                            unsigned count)
{
    for (unsigned n = first; n < first + count; n++) {
        printf("%s.service A 10.0.%u.%u\n", service, n >> 8, n & 255);
        printf("%s.service SRV 1 1 8080 0a00%02x%02x.addr.dc1\n", service,
               n >> 8, n & 255);
        printf("0a00%02x%02x.addr.dc1 A 10.0.%u.%u\n", n >> 8, n & 255, n >> 8,
               n & 255);
    }
    (void)ctx;
}

static void print_bodies(void *ctx, const char *service, unsigned first,
                         unsigned count)
{
    for (unsigned n = first; n < first + count; n++) {
        printf("{\"Node\": \"n1\", \"Address\": \"10.255.0.1\", "
               "\"Service\": {\"ID\": \"%u\", \"Service\": \"%s\", "
               "\"Address\": \"10.0.%u.%u\", \"Port\": 8080}}\n",
               n, service, n >> 8, n & 255);
    }
    (void)ctx;
}

static void print_zone(void)
{
    printf("$ORIGIN " WORLD_DOMAIN "\n$TTL 0\n"
           "@ SOA ns hostmaster 1 3600 600 86400 0\n@ NS ns\n"
           "ns A 127.0.0.1\n");
    each_service(print_instances, NULL);
}

/* One of twenty instances goes, or comes back; nobody asks for these services,
 * so that answers stay what the load expects. */
static void change(struct dns_model *model, unsigned n)
{
    unsigned service = n / 2 % WORLD_TWENTIES;
    unsigned first = 1 + WORLD_SINGLES + 3 * WORLD_THREES + 20 * service;
    char name[32];

    (void)snprintf(name, sizeof(name), "churn%u", service);
    put_instances(model, name, first, n % 2 == 0 ? 19 : 20);
}

/* Until a signal comes. */
static void serve_changes(struct dns_server *server, struct dns_model *model,
                          const sigset_t *stop, unsigned changes)
{
    struct timespec pause = {.tv_nsec = changes ? 999999999 / changes : 0};

    if (changes == 0) {
        int signal_number;

        (void)sigwait(stop, &signal_number);
        return;
    }
    for (unsigned n = 0; sigtimedwait(stop, NULL, &pause) < 0; n++) {
        change(model, n);
        dns_server_publish(server, dns_model_commit(model, 2 + n, DNS_FRESH));
    }
}

static int serve(const char *port, const char *threads, unsigned changes)
{
    char listen[64];
    const char *addresses[] = {listen};
    struct dns_server_config config = {
        .listen = {.plain = addresses, .plain_count = 1},
        .threads = (unsigned)atoi(threads),
    };
    struct dns_settings settings;
    struct dns_model *model;
    struct dns_server *server;
    struct err err = {0};
    sigset_t stop;

    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%s", port);
    dns_settings_init(&settings);
    CHECK(dns_model_new(&settings, (struct hash_key){3, 5}, &model, &err) ==
          ST_OK);
    each_service(put_instances, model);
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &stop, NULL);
    if (dns_server_start(&config, &server, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    dns_server_publish(server, dns_model_commit(model, 1, DNS_FRESH));
    printf("%u\n", dns_server_port(server, 0));
    (void)fflush(stdout);
    serve_changes(server, model, &stop, changes);
    dns_server_stop(server);
    dns_model_free(model);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if ((argc == 4 || argc == 5) && argv[1][0] == 's') {
        return serve(argv[2], argv[3], argc == 5 ? (unsigned)atoi(argv[4]) : 0);
    }
    if (argc == 2 && argv[1][0] == 'z') {
        print_zone();
        return EXIT_SUCCESS;
    }
    if (argc == 2 && argv[1][0] == 'r') {
        each_service(print_bodies, NULL);
        return EXIT_SUCCESS;
    }
    (void)fprintf(
        stderr,
        "dns_bench_server serve PORT THREADS [CHANGES] | zone | register\n");
    return EXIT_FAILURE;
}
