#include "base/io/http_parse.h"

#include <strings.h>

#include "base/core/check.h"

/* Kept between requests; what a large one has grown beyond goes back. */
#define KEEP_BYTES 4096

static int refuse(struct http_parse *p, int status, const char *text)
{
    if (p->refusal == 0) {
        p->refusal = status;
        p->refusal_text = text;
    }
    return -1;
}

static int on_message_begin(http_parser *parser)
{
    struct http_parse *p = parser->data;

    p->begun = true;
    return 0;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct http_parse *p = parser->data;

    if (buf_add(&p->target, slice_of(at, len)) != ST_OK) {
        return refuse(p, 414, "the address is longer than 8192 bytes");
    }
    return 0;
}

static int on_field_name(http_parser *parser, const char *at, size_t len)
{
    struct http_parse *p = parser->data;
    struct http_field *f;

    if (p->headers_done) {
        return 0; /* A trailer after a chunked body. Nobody asks for it. */
    }
    if (p->in_value || p->fields_count == 0) {
        if (p->fields_count == LIMIT_HEADER_COUNT) {
            return refuse(p, 431, "more than 128 header fields");
        }
        p->fields[p->fields_count++] = (struct http_field){
            .name = (uint32_t)p->text.len, .value = (uint32_t)p->text.len};
        p->in_value = false;
    }
    f = &p->fields[p->fields_count - 1];
    if (buf_add(&p->text, slice_of(at, len)) != ST_OK) {
        return refuse(p, 431, "more than 64 KiB of header fields");
    }
    f->name_len += (uint32_t)len;
    f->value = (uint32_t)p->text.len;
    return 0;
}

static int on_field_value(http_parser *parser, const char *at, size_t len)
{
    struct http_parse *p = parser->data;

    if (p->headers_done) {
        return 0;
    }
    p->in_value = true;
    if (buf_add(&p->text, slice_of(at, len)) != ST_OK) {
        return refuse(p, 431, "more than 64 KiB of header fields");
    }
    p->fields[p->fields_count - 1].value_len += (uint32_t)len;
    return 0;
}

static unsigned fields_named(const struct http_parse *p, const char *name)
{
    size_t len = strlen(name);
    unsigned count = 0;

    for (unsigned i = 0; i < p->fields_count; i++) {
        const struct http_field *f = &p->fields[i];

        count +=
            f->name_len == len &&
            strncasecmp((const char *)p->text.data + f->name, name, len) == 0;
    }
    return count;
}

/* RFC 9112, 3.2: exactly one Host in HTTP/1.1. */
static bool host_is_fine(const struct http_parse *p)
{
    unsigned hosts = fields_named(p, "host");

    return hosts == 1 || (hosts == 0 && p->parser.http_minor == 0);
}

/* RFC 9112, 5.1: no blank between a name and its colon. Who reads it as another
 * name than we do can be used to smuggle. */
static bool names_are_fine(const struct http_parse *p)
{
    for (unsigned i = 0; i < p->fields_count; i++) {
        const struct http_field *f = &p->fields[i];

        if (f->name_len > 0 && p->text.data[f->name + f->name_len - 1] == ' ') {
            return false;
        }
    }
    return true;
}

static bool value_is(struct slice value, const char *word)
{
    return value.len == strlen(word) &&
           strncasecmp((const char *)value.data, word, value.len) == 0;
}

/* "host:port" of "http://host:port/path"; nothing: no address of the web, or
 * one with a name and password, which are not for us (RFC 9110, 4.2.4). */
static struct slice authority_of(const char *target,
                                 const struct http_parser_url *url)
{
    struct slice scheme = slice_of(target, url->field_data[UF_SCHEMA].len);
    size_t begin = scheme.len + strlen("://");
    size_t end = url->field_data[UF_HOST].off + url->field_data[UF_HOST].len;

    if ((url->field_set & (1U << UF_USERINFO)) ||
        (!value_is(scheme, "http") && !value_is(scheme, "https"))) {
        return slice_of(NULL, 0);
    }
    if (url->field_set & (1U << UF_PORT)) {
        end = url->field_data[UF_PORT].off + url->field_data[UF_PORT].len;
    } else if (target[begin] == '[') {
        end++;
    }
    return slice_of(target + begin, end - begin);
}

/* RFC 9112, 6.1. A proxy in front that reads a coding otherwise than we do sees
 * another request behind this one. HTTP/1.0 has none. */
static int check_coding(struct http_parse *p)
{
    unsigned codings = fields_named(p, "transfer-encoding");

    if (codings == 0) {
        return 0;
    }
    if (codings > 1 || p->parser.http_minor == 0) {
        return refuse(p, 400,
                      "a request needs at most one Transfer-Encoding, and in "
                      "HTTP/1.0 none");
    }
    if (!value_is(http_parse_field(p, "transfer-encoding"), "chunked")) {
        return refuse(p, 501, "the only transfer coding known is chunked");
    }
    return 0;
}

/* Blanks and controls end a word for some, and not for others. */
static bool target_is_fine(const struct http_parse *p)
{
    for (size_t i = 0; i < p->target.len; i++) {
        if (p->target.data[i] <= ' ' || p->target.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Split "/path?query" or "http://host/path?query". */
static bool target_split(struct http_parse *p)
{
    struct http_parser_url url;
    const char *target = (const char *)p->target.data;
    bool connect = p->parser.method == HTTP_CONNECT;

    http_parser_url_init(&url);
    if (!target_is_fine(p) ||
        http_parser_parse_url(target, p->target.len, connect, &url) != 0) {
        return false;
    }
    p->host = http_parse_field(p, "host");
    if (!connect && (url.field_set & (1U << UF_SCHEMA))) {
        /* RFC 9112, 3.2.2: what Host says is ignored then. */
        p->host = authority_of(target, &url);
        if (p->host.len == 0) {
            return false;
        }
    }
    if (url.field_set & (1U << UF_PATH)) {
        p->path = slice_of(target + url.field_data[UF_PATH].off,
                           url.field_data[UF_PATH].len);
    }
    if (url.field_set & (1U << UF_QUERY)) {
        p->query = slice_of(target + url.field_data[UF_QUERY].off,
                            url.field_data[UF_QUERY].len);
    }
    return true;
}

static int on_headers_complete(http_parser *parser)
{
    struct http_parse *p = parser->data;

    p->headers_done = true;
    parser->upgrade = 0; /* We never switch; the request is answered as it is.*/
    if (parser->http_major != 1) {
        return refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    }
    if (!names_are_fine(p)) {
        return refuse(p, 400, "a header field has a blank before its colon");
    }
    if (!host_is_fine(p)) {
        return refuse(p, 400, "a request needs exactly one Host field");
    }
    if (check_coding(p)) {
        return -1;
    }
    if (!target_split(p)) {
        return refuse(p, 400, "the address cannot be understood");
    }
    p->streamed = p->streamed_path != NULL &&
                  slice_eq(p->path, slice_str(p->streamed_path));
    if (!p->streamed && !(parser->flags & F_CHUNKED) &&
        parser->content_length != UINT64_MAX &&
        parser->content_length > LIMIT_HTTP_BODY) {
        return refuse(p, 413, "the body is longer than 1.5 MiB");
    }
    p->keep_alive = http_should_keep_alive(parser) != 0;
    p->wants_continue = parser->http_minor > 0 &&
                        value_is(http_parse_field(p, "expect"), "100-continue");
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct http_parse *p = parser->data;

    p->wants_continue = false; /* It did not wait. */
    if (buf_add(&p->body, slice_of(at, len)) != ST_OK) {
        return refuse(p, 413, "the body is longer than 1.5 MiB");
    }
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct http_parse *p = parser->data;

    p->complete = true;
    http_parser_pause(parser, 1);
    return 0;
}

static int on_chunk_header(http_parser *parser)
{
    struct http_parse *p = parser->data;

    p->in_chunk = parser->content_length > 0;
    return 0;
}

static int on_chunk_complete(http_parser *parser)
{
    struct http_parse *p = parser->data;

    p->in_chunk = false;
    return 0;
}

static const http_parser_settings settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_field_name,
    .on_header_value = on_field_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
    .on_chunk_header = on_chunk_header,
    .on_chunk_complete = on_chunk_complete,
};

void http_parse_init(struct http_parse *p)
{
    *p = (struct http_parse){0};
    http_parser_init(&p->parser, HTTP_REQUEST);
    p->parser.data = p;
    buf_init(&p->target, LIMIT_URL_BYTES);
    buf_init(&p->text, LIMIT_HEADER_BYTES);
    buf_init(&p->body, LIMIT_HTTP_BODY);
}

void http_parse_release(struct http_parse *p)
{
    buf_release(&p->target);
    buf_release(&p->text);
    buf_release(&p->body);
}

static void buf_shrink(struct buf *b)
{
    if (b->cap > KEEP_BYTES) {
        buf_release(b);
    }
    buf_clear(b);
}

void http_parse_reset(struct http_parse *p)
{
    buf_shrink(&p->target);
    buf_shrink(&p->text);
    buf_shrink(&p->body);
    p->fields_count = 0;
    p->path = slice_of(NULL, 0);
    p->query = slice_of(NULL, 0);
    p->host = slice_of(NULL, 0);
    p->last = 0;
    p->in_chunk = false;
    p->in_value = false;
    p->begun = false;
    p->streamed = false;
    p->headers_done = false;
    p->complete = false;
    p->wants_continue = false;
    p->keep_alive = false;
}

/* What the parser itself did not like. */
static void refuse_for(struct http_parse *p, enum http_errno error)
{
    if (error == HPE_INVALID_METHOD) {
        (void)refuse(p, 501, "no such method");
    } else if (error == HPE_HEADER_OVERFLOW) {
        (void)refuse(p, 431, "more than 64 KiB of header fields");
    } else if (error == HPE_INVALID_TRANSFER_ENCODING) {
        (void)refuse(p, 501, "the only transfer coding known is chunked");
    } else {
        (void)refuse(p, 400, http_errno_description(error));
    }
}

/* Data of a body comes next; else a line of the head, with a chunk's length, or
 * of a trailer. */
static bool data_is_next(const struct http_parse *p)
{
    return p->headers_done && (!(p->parser.flags & F_CHUNKED) ||
                               (p->in_chunk && p->parser.content_length > 0));
}

/* What the parser gets next: data, or a line as far as it is here. */
static struct slice next_piece(const struct http_parse *p, struct slice bytes)
{
    const uint8_t *end;

    if (data_is_next(p)) {
        uint64_t left = p->parser.content_length;

        return slice_of(bytes.data, bytes.len < left ? bytes.len : left);
    }
    end = memchr(bytes.data, '\n', bytes.len);
    return end == NULL ? bytes
                       : slice_of(bytes.data, (size_t)(end + 1 - bytes.data));
}

/* RFC 9112, 2.2 and 5.2 leave to us what http_parser takes: a line that ends
 * without CR, a field that goes on in the next line. Who reads them otherwise
 * than we do can be used to smuggle. */
static bool line_is_fine(struct http_parse *p, struct slice line)
{
    uint8_t last = line.data[line.len - 1];
    uint8_t before = line.len > 1 ? line.data[line.len - 2] : p->last;

    if (last == '\n' && before != '\r') {
        (void)refuse(p, 400, "a line has to end with CR LF");
        return false;
    }
    if (p->begun && p->last == '\n' &&
        (line.data[0] == ' ' || line.data[0] == '\t')) {
        (void)refuse(p, 400, "a header field goes on in the next line");
        return false;
    }
    p->last = last;
    return true;
}

static size_t feed_piece(struct http_parse *p, struct slice piece)
{
    size_t used = http_parser_execute(&p->parser, &settings,
                                      (const char *)piece.data, piece.len);
    enum http_errno error = HTTP_PARSER_ERRNO(&p->parser);

    if (error == HPE_PAUSED) {
        http_parser_pause(&p->parser, 0);
    } else if (error != HPE_OK) {
        p->complete = false;
        refuse_for(p, error);
    }
    return used;
}

size_t http_parse_feed(struct http_parse *p, struct slice bytes)
{
    size_t used = 0;

    CHECK(!p->complete);
    CHECK(p->refusal == 0);
    while (used < bytes.len && !p->complete && p->refusal == 0) {
        struct slice piece = next_piece(p, slice_skip(bytes, used));

        if (data_is_next(p) || line_is_fine(p, piece)) {
            used += feed_piece(p, piece);
        }
    }
    return used;
}

struct slice http_parse_method(const struct http_parse *p)
{
    return slice_str(http_method_str(p->parser.method));
}

bool http_parse_is_head(const struct http_parse *p)
{
    return p->headers_done && p->parser.method == HTTP_HEAD;
}

struct slice http_parse_field(const struct http_parse *p, const char *name)
{
    size_t len = strlen(name);

    for (unsigned i = 0; i < p->fields_count; i++) {
        const struct http_field *f = &p->fields[i];
        const char *text = (const char *)p->text.data;

        if (f->name_len == len && strncasecmp(text + f->name, name, len) == 0) {
            return slice_of(text + f->value, f->value_len);
        }
    }
    return slice_of(NULL, 0);
}
