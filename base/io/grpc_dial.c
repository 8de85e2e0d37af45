/*
 * grpc_dial.c - from a target to a connection: names, and which of their
 * addresses is tried when.
 *
 * A name may stand for several hosts, of which one may be dead in silence. So
 * each address gets its share of the time that is left, and the last one all of
 * it.
 */
#include <netdb.h>
#include <stddef.h>

#include "base/core/check.h"
#include "base/io/grpc_channel.h"

static void channel_connect(struct grpc_channel *ch,
                            const struct sockaddr *address,
                            const char *unix_path)
{
    struct stream_target target = {.address = address,
                                   .unix_path = unix_path,
                                   .tls = ch->config.tls,
                                   .server_name = ch->config.server_name};

    ch->state = CHANNEL_CONNECTING;
    ch->stream_open = true;
    ch->open_handles++;
    stream_connect(&ch->stream, ch->loop, &channel_stream_hooks, &target);
}

void channel_dial_next(struct grpc_channel *ch)
{
    const struct addrinfo *address = ch->next_address;
    uint64_t now_ms = loop_now_ms(ch->loop);
    uint64_t left_ms =
        ch->connect_by_ms > now_ms ? ch->connect_by_ms - now_ms : 0;

    CHECK(ch->addresses_left > 0);
    ch->address_by_ms = ch->addresses_left > 1
                            ? now_ms + left_ms / ch->addresses_left
                            : UINT64_MAX;
    ch->addresses_left--;
    ch->next_address =
        address->ai_next != NULL ? address->ai_next : ch->resolved;
    channel_connect(ch, address->ai_addr, NULL);
    channel_set_timer(ch);
}

/* The share of an address is over: its closed stream takes the next one. */
void channel_dial_on_time(struct grpc_channel *ch)
{
    if (loop_now_ms(ch->loop) >= ch->address_by_ms) {
        ch->address_by_ms = UINT64_MAX;
        stream_close(&ch->stream, "timed out");
    }
}

/* ---- names ---- */

static void take_addresses(struct grpc_channel *ch, struct addrinfo *list)
{
    unsigned count = 0;

    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        count++;
    }
    ch->next_address = list;
    for (unsigned i = ch->config.address_offset % count; i > 0; i--) {
        ch->next_address = ch->next_address->ai_next;
    }
    ch->addresses_left = count;
    channel_dial_next(ch);
}

static void on_resolved(uv_getaddrinfo_t *request, int error,
                        struct addrinfo *list)
{
    struct grpc_channel *ch = request->data;

    ch->resolved = list;
    if (!ch->closing && ch->state == CHANNEL_RESOLVING) {
        if (error) {
            channel_fail(ch, "connect to", uv_strerror(error));
        } else {
            take_addresses(ch, list);
        }
    }
    channel_handle_gone(ch);
}

static void channel_resolve(struct grpc_channel *ch)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
    const char *host =
        ch->address.host[0] != '\0' ? ch->address.host : "localhost";
    int error;

    ch->resolver.data = ch;
    error = uv_getaddrinfo(loop_uv(ch->loop), &ch->resolver, on_resolved, host,
                           ch->address.port, &hints);
    if (error) {
        channel_fail(ch, "connect to", uv_strerror(error));
    } else {
        ch->open_handles++;
    }
}

void channel_dial(struct grpc_channel *ch)
{
    struct err err;

    ch->address_by_ms = UINT64_MAX;
    if (address_parse(ch->config.target, &ch->address, &err)) {
        channel_fail(ch, "connect to", err.text);
        return;
    }
    if (ch->config.server_name == NULL) {
        ch->config.server_name =
            ch->address.host[0] != '\0' ? ch->address.host : "localhost";
    }
    ch->authority = ch->address.is_unix ? "localhost" : ch->config.target;
    if (ch->address.is_unix) {
        channel_connect(ch, NULL, ch->address.path);
    } else if (uv_ip4_addr(ch->address.host, ch->address.port_number,
                           (struct sockaddr_in *)&ch->literal) == 0 ||
               uv_ip6_addr(ch->address.host, ch->address.port_number,
                           (struct sockaddr_in6 *)&ch->literal) == 0) {
        channel_connect(ch, (struct sockaddr *)&ch->literal, NULL);
    } else {
        channel_resolve(ch);
    }
}
