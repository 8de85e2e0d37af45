#include "store/io/urls.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/check.h"

enum {
    URLS_MAX = 64,
    PORT_DIGITS_MAX = 5
};

static const struct scheme {
    const char *prefix;
    bool tls;
    bool unix_socket;
} schemes[] = {
    {"http://", false, false},
    {"https://", true, false},
    {"unix://", false, true},
    {"unixs://", true, true},
};

static const struct scheme *scheme_of(struct slice text)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (slice_starts(text, slice_str(schemes[i].prefix))) {
            return &schemes[i];
        }
    }
    return NULL;
}

static const char *parse_port(struct slice digits, uint16_t *out_port)
{
    unsigned long port = 0;

    if (digits.len == 0 || digits.len > PORT_DIGITS_MAX) {
        return "the port must be a number from 0 to 65535";
    }
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return "the port must be a number from 0 to 65535";
        }
        port = port * 10 + (digits.data[i] - '0');
    }
    if (port > UINT16_MAX) {
        return "the port must be a number from 0 to 65535";
    }
    *out_port = (uint16_t)port;
    return NULL;
}

/* "host:port", "[v6]:port" and nothing behind it but one slash. */
static const char *parse_authority(struct arena *arena, struct slice text,
                                   struct url *url)
{
    const uint8_t *colon;
    struct slice host;

    if (text.len > 0 && text.data[text.len - 1] == '/') {
        text.len--;
    }
    if (text.len > 0 && memchr(text.data, '/', text.len) != NULL) {
        return "it must not have a path";
    }
    colon = text.len == 0 ? NULL : memrchr(text.data, ':', text.len);
    if (colon == NULL) {
        return "the port is missing";
    }
    host = slice_of(text.data, (size_t)(colon - text.data));
    if (host.len >= 2 && host.data[0] == '[' &&
        host.data[host.len - 1] == ']') {
        host = slice_of(host.data + 1, host.len - 2);
    } else if (memchr(host.data, ':', host.len) != NULL) {
        return "an IPv6 address stands in brackets";
    }
    if (host.len == 0) {
        return "the host is missing";
    }
    url->host = arena_strdup(arena, host);
    return parse_port(slice_skip(text, (size_t)(colon - text.data) + 1),
                      &url->port);
}

/* NULL, or what is wrong. */
static const char *parse_one(struct arena *arena, struct slice text,
                             struct url *out_url)
{
    const struct scheme *scheme = scheme_of(text);
    struct slice rest;

    if (scheme == NULL) {
        return "it must begin with http://, https://, unix:// or unixs://";
    }
    out_url->text = arena_strdup(arena, text);
    out_url->tls = scheme->tls;
    out_url->unix_socket = scheme->unix_socket;
    rest = slice_skip(text, strlen(scheme->prefix));
    if (scheme->unix_socket) {
        out_url->host = arena_strdup(arena, rest);
        return rest.len == 0 ? "the path is missing" : NULL;
    }
    return parse_authority(arena, rest, out_url);
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && s.data[0] == ' ') {
        s = slice_skip(s, 1);
    }
    while (s.len > 0 && s.data[s.len - 1] == ' ') {
        s.len--;
    }
    return s;
}

/* Cut the next element off *rest, which is not empty. */
static struct slice next_element(struct slice *rest)
{
    const uint8_t *comma = memchr(rest->data, ',', rest->len);
    size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->data);
    struct slice element = slice_of(rest->data, len);

    *rest = slice_skip(*rest, comma == NULL ? len : len + 1);
    return trimmed(element);
}

enum status url_list_parse(struct arena *arena, const char *flag,
                           const char *text, struct url_list *out_list,
                           struct err *err)
{
    struct url_list list = {
        .urls = arena_zalloc(arena, URLS_MAX, sizeof(struct url))};
    struct slice rest = slice_str(text);

    while (rest.len > 0) {
        struct slice one = next_element(&rest);
        const char *wrong;

        if (list.count == URLS_MAX) {
            return err_set(err, ST_INVALID, "--%s: more than %d URLs", flag,
                           URLS_MAX);
        }
        wrong = parse_one(arena, one, &list.urls[list.count]);
        if (wrong != NULL) {
            return err_set(err, ST_INVALID, "--%s: \"%.*s\": %s", flag,
                           (int)one.len, (const char *)one.data, wrong);
        }
        list.count++;
    }
    if (list.count == 0) {
        return err_set(err, ST_INVALID, "--%s: at least one URL is needed",
                       flag);
    }
    *out_list = list;
    return ST_OK;
}

const char *url_address(struct arena *arena, const struct url *url)
{
    if (url->unix_socket) {
        return arena_printf(arena, "unix:%s", url->host);
    }
    return arena_printf(arena, strchr(url->host, ':') ? "[%s]:%u" : "%s:%u",
                        url->host, url->port);
}

const char *url_texts(struct arena *arena, const char *const *texts,
                      size_t count)
{
    const char *all = count > 0 ? texts[0] : "";

    for (size_t i = 1; i < count; i++) {
        all = arena_printf(arena, "%s,%s", all, texts[i]);
    }
    return all;
}
