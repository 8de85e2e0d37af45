/*
 * client.h - how sub-commands talk to the agent of this host.
 *
 * HTTP over the agent's Unix socket, or over TCP, or HTTPS. A command that is
 * told nothing tries the usual socket, then the usual TCP address. What no flag
 * says is taken from Consul's environment: CONSUL_HTTP_ADDR, CONSUL_HTTP_SSL,
 * CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE, CONSUL_CACERT, CONSUL_CLIENT_CERT,
 * CONSUL_CLIENT_KEY. Every failure is put in words for a person.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/core/bytes.h"
#include "base/core/err.h"
#include "cli/exit.h"

#define CLIENT_SOCKET "/run/muster/agent.sock"
#define CLIENT_HTTP   "127.0.0.1:8500"

/* As flags and environment give it. */
struct client_flags {
    const char *socket; /* NULL: not said. */
    const char *http;   /* NULL: not said; wins over the socket. Without scheme,
                           or "http://", "https://", "unix://". */
    const char *token;  /* NULL: none. */
    const char *token_file;
    const char *cacert;     /* Who has signed the agent's certificate. */
    const char *cert;       /* Ours, if it asks for one, */
    const char *key;        /* and its key. */
    const char *datacenter; /* NULL: the agent's own. */
    bool stale;             /* How what is read may be: however old, */
    bool consistent;        /* or as new as the store has it. */
};

/* The flags, for a command's option table. */
#define CLIENT_OPTIONS(flags)                                       \
    {.name = "socket",                                              \
     .kind = ARG_STRING,                                            \
     .string = &(flags)->socket,                                    \
     .metavar = "PATH",                                             \
     .env = "MUSTER_SOCKET",                                        \
     .help = "the agent's socket, if not " CLIENT_SOCKET},          \
        {.name = "http",                                            \
         .kind = ARG_STRING,                                        \
         .string = &(flags)->http,                                  \
         .metavar = "[https://]ADDR:PORT",                          \
         .env = "MUSTER_HTTP",                                      \
         .help = "ask over TCP, at " CLIENT_HTTP " for instance"},  \
        {.name = "http-addr",                                       \
         .kind = ARG_STRING,                                        \
         .string = &(flags)->http,                                  \
         .metavar = "ADDR:PORT",                                    \
         .env = "MUSTER_HTTP",                                      \
         .hidden = true,                                            \
         .help = "the same, in Consul's words"},                    \
        {.name = "token",                                           \
         .kind = ARG_STRING,                                        \
         .string = &(flags)->token,                                 \
         .metavar = "SECRET",                                       \
         .env = "MUSTER_TOKEN",                                     \
         .help = "who asks, if the agent has access control"},      \
        {.name = "token-file",                                      \
         .kind = ARG_STRING,                                        \
         .string = &(flags)->token_file,                            \
         .metavar = "FILE",                                         \
         .help = "the same, read from a file"},                     \
        {.name = "datacenter",                                      \
         .kind = ARG_STRING,                                        \
         .string = &(flags)->datacenter,                            \
         .metavar = "NAME",                                         \
         .help = "another one's catalogue or keys; what is about "  \
                 "the agent itself ignores it"},                    \
        {.name = "dc",                                              \
         .kind = ARG_STRING,                                        \
         .string = &(flags)->datacenter,                            \
         .metavar = "NAME",                                         \
         .hidden = true,                                            \
         .help = "the same"},                                       \
        {.name = "stale",                                           \
         .kind = ARG_BOOL,                                          \
         .boolean = &(flags)->stale,                                \
         .hidden = true,                                            \
         .help = "read what is there, however old"},                \
        {.name = "consistent",                                      \
         .kind = ARG_BOOL,                                          \
         .boolean = &(flags)->consistent,                           \
         .hidden = true,                                            \
         .help = "read what the store has now"},                    \
        {.name = "cacert",                                          \
         .kind = ARG_STRING,                                        \
         .string = &(flags)->cacert,                                \
         .metavar = "FILE",                                         \
         .help = "who has signed the agent's certificate"},         \
        {.name = "cert",                                            \
         .kind = ARG_STRING,                                        \
         .string = &(flags)->cert,                                  \
         .metavar = "FILE",                                         \
         .help = "our certificate, for an agent that wants one"},   \
    {                                                               \
        .name = "key", .kind = ARG_STRING, .string = &(flags)->key, \
        .metavar = "FILE", .help = "its key"                        \
    }

/* For a request's body: `value`, which must be UTF-8 (args.h), under `key`;
 * NULL: nothing. */
void client_set_text(json_t *object, const char *key, const char *value);

struct client;

/* Nothing is connected yet; `flags` must outlive the client. */
struct client *client_new(const struct client_flags *flags);
void client_free(struct client *c);

/* A part of a path, percent-encoded: '/' too. To be freed with free(). */
char *client_quote(const char *text);

/* `path` begins with '/'; `body` may be empty. All return an exit code and fill
 * `err` when it is not CLI_OK:
 *
 * CLI_UNREACHABLE  nobody answers, or the answer broke off
 * CLI_NOT_FOUND    the agent said 404; err is its text
 * CLI_FAILED       another refusal, or an answer that is not what it should be
 */
enum cli_exit client_get(struct client *c, const char *path, json_t **out_json,
                         struct err *err);
enum cli_exit client_put(struct client *c, const char *path, struct slice body,
                         struct err *err);
/* Any method; the answer as JSON. `out_json` NULL: it is of no interest. */
enum cli_exit client_call(struct client *c, const char *method,
                          const char *path, struct slice body,
                          json_t **out_json, struct err *err);

/* Any method, and the reply as it is, borrowed until the next call. A 409 is an
 * answer, too. */
enum cli_exit client_ask(struct client *c, const char *method, const char *path,
                         struct slice body, struct slice *out_reply,
                         struct err *err);
/* Of the last reply: X-Consul-Index, or 0. */
unsigned long long client_index(const struct client *c);
