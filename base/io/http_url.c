#include "base/io/http_url.h"

#include <http_parser.h>
#include <string.h>
#include <strings.h>

enum {
    HTTP_PORT = 80,
    HTTPS_PORT = 443
};

static struct slice part(const char *text, const struct http_parser_url *u,
                         enum http_parser_url_fields field)
{
    return slice_of(text + u->field_data[field].off, u->field_data[field].len);
}

static bool has(const struct http_parser_url *u,
                enum http_parser_url_fields field)
{
    return (u->field_set & (1U << field)) != 0;
}

static bool is_word(struct slice text, const char *word)
{
    return text.len == strlen(word) &&
           strncasecmp((const char *)text.data, word, text.len) == 0;
}

/* From the path to the end of the query; the "?" belongs to neither part. */
static struct slice target_of(const char *text, const struct http_parser_url *u)
{
    struct slice path = part(text, u, UF_PATH);
    struct slice query = part(text, u, UF_QUERY);

    if (!has(u, UF_QUERY)) {
        return path;
    }
    if (!has(u, UF_PATH)) {
        path.data = query.data - 1;
    }
    return slice_of(path.data, (size_t)(query.data + query.len - path.data));
}

bool http_url_read(const char *text, struct http_url *out_url)
{
    struct http_parser_url u;
    struct slice host;
    struct slice scheme;

    *out_url = (struct http_url){.port = 0};
    http_parser_url_init(&u);
    if (http_parser_parse_url(text, strlen(text), 0, &u) != 0 ||
        !has(&u, UF_SCHEMA) || !has(&u, UF_HOST)) {
        return false;
    }
    scheme = part(text, &u, UF_SCHEMA);
    host = part(text, &u, UF_HOST);
    out_url->tls = is_word(scheme, "https");
    if ((!out_url->tls && !is_word(scheme, "http")) || host.len == 0 ||
        host.len >= sizeof(out_url->host) ||
        (has(&u, UF_PORT) && u.port == 0)) {
        return false;
    }
    memcpy(out_url->host, host.data, host.len);
    out_url->port = out_url->tls ? HTTPS_PORT : HTTP_PORT;
    if (has(&u, UF_PORT)) {
        out_url->port = u.port;
    }
    if (has(&u, UF_USERINFO)) {
        out_url->user = part(text, &u, UF_USERINFO);
    }
    out_url->target = target_of(text, &u);
    return true;
}
