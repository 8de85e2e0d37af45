/*
 * listen.h - the agent's HTTP listeners, with errors that say what to do.
 */
#pragma once

#include "agent/io/config.h"
#include "base/io/server.h"

struct http_handler;
struct line_handler;
struct loop;

struct tls;

struct listen_tcp {
    const struct agent_listen *where;
    int handed;      /* A bound socket instead; -1: none. */
    struct tls *tls; /* NULL: plain. */
    unsigned conns_max;
    struct server *instead; /* Of this one, which goes on; NULL: of none. */
};

enum status listen_tcp(struct loop *loop, const struct listen_tcp *where,
                       const struct http_handler *handler,
                       struct server **out_server, struct err *out_err);

struct listen_unix {
    const char *path; /* Its folder is made if it is missing. */
    int handed;       /* A bound socket instead, as it is; -1: none. */
    unsigned mode;
    unsigned conns_max;
    const char *user; /* Name or number; "": unchanged. */
    const char *group;
    const char *flag; /* By which it is chosen: "socket". */
};

enum status listen_unix(struct loop *loop, const struct listen_unix *where,
                        const struct http_handler *handler,
                        struct server **out_server, struct err *out_err);
/* The same for lines. */
enum status listen_lines(struct loop *loop, const struct listen_unix *where,
                         const struct line_handler *handler,
                         struct server **out_server, struct err *out_err);

/* As many open files as the system lets us have: each long poll is one. */
void listen_raise_files(void);

/* Make a folder and those above it. ST_OK also if it is there already. */
enum status listen_folder_make(const char *path, unsigned mode,
                               struct err *out_err);

/* "10.0.0.1:80", "[::1]:80". */
#define LISTEN_TEXT 300 /* Room for it. */
const char *listen_text(const struct agent_listen *where, char *out,
                        size_t out_len);
