/*
 * urls.h - the URLs of etcd's flags: "http://127.0.0.1:2379,https://...".
 *
 * Pure text work: a host name is not looked up here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/arena.h"
#include "base/core/err.h"

struct url {
    const char *text; /* As given, without blanks around it. */
    const char *host; /* Without brackets; of unix URLs the path. */
    uint16_t port;    /* Of unix URLs 0. */
    bool tls;
    bool unix_socket;
};

struct url_list {
    struct url *urls;
    size_t count;
};

/* Parse and check a list with commas. Everything in *out_list is from `arena`.
 * ST_INVALID: `err` names `flag`, the URL and what is wrong with it; an empty
 * list is wrong too. */
enum status url_list_parse(struct arena *arena, const char *flag,
                           const char *text, struct url_list *out_list,
                           struct err *err);

/* As server.h wants it: "host:port", "[v6]:port" or "unix:path". */
const char *url_address(struct arena *arena, const struct url *url);

/* With commas between. */
const char *url_texts(struct arena *arena, const char *const *texts,
                      size_t count);
