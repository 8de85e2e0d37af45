#include "base/io/http_parse.h"

#include <stdlib.h>

#include "suite.h"

/* `expect`: "METHOD path?query [first=value] body" with keep-alive as "+" or
 * "-" in front, or "refused STATUS"; several requests are joined by " | ". */
static const struct {
    const char *name;
    const char *input;
    const char *expect;
} rows[] = {
    {"plain", "GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n", "+GET /a?b=c []"},
    {"1.0 closes", "GET /a HTTP/1.0\r\n\r\n", "-GET /a? []"},
    {"1.0 may stay", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     "+GET /a? []"},
    {"1.1 may close", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
     "-GET /a? []"},
    {"pipelined",
     "GET /a HTTP/1.1\r\nHost: h\r\n\r\nPUT /b HTTP/1.1\r\nHost: h\r\n"
     "Content-Length: 2\r\n\r\nhi",
     "+GET /a? [] | +PUT /b? [hi]"},
    {"chunked with trailer",
     "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n",
     "+POST /c? [abcde]"},
    {"absolute form", "GET http://h:1/p?q HTTP/1.1\r\nHost: h\r\n\r\n",
     "+GET /p?q []"},
    {"upgrade is not taken",
     "GET /u HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
     "\r\nGET /v HTTP/1.1\r\nHost: h\r\n\r\n",
     "+GET /u? [] | +GET /v? []"},
    {"no host", "GET / HTTP/1.1\r\n\r\n", "refused 400"},
    {"blank before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
     "refused 400"},
    {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
     "refused 400"},
    {"length and chunks",
     "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     "refused 400"},
    {"unknown coding",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
     "refused 501"},
    {"chunks in HTTP/1.0",
     "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "refused 400"},
    {"chunks of chunks",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "refused 400"},
    {"a coding under the chunks",
     "POST / HTTP/1.1\r\nHost: a\r\n"
     "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
     "refused 501"},
    {"two lengths",
     "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
     "Content-Length: 2\r\n\r\nxy",
     "refused 400"},
    {"one length twice",
     "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
     "Content-Length: 1\r\n\r\nx",
     "refused 400"},
    {"a list of lengths",
     "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
     "refused 400"},
    {"a folded field", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
     "refused 400"},
    {"folded by a tab", "GET / HTTP/1.1\r\nHost: a\r\n\tX: 1\r\n\r\n",
     "refused 400"},
    {"a folded length",
     "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n 1\r\n\r\nx",
     "refused 400"},
    {"a blank before the first field",
     "GET / HTTP/1.1\r\n X: 1\r\nHost: a\r\n\r\n", "refused 400"},
    {"a folded trailer",
     "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0\r\nX: y\r\n z\r\n\r\n",
     "refused 400"},
    {"the request's line without CR", "GET / HTTP/1.1\nHost: a\r\n\r\n",
     "refused 400"},
    {"a field without CR", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
     "refused 400"},
    {"the end without CR", "GET / HTTP/1.1\r\nHost: a\r\n\n", "refused 400"},
    {"a chunk's length without CR",
     "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
     "1\nx\r\n0\r\n\r\n",
     "refused 400"},
    {"a line break in what extends a chunk",
     "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
     "1;a\nb\r\nx\r\n0\r\n\r\n",
     "refused 400"},
    {"a chunk without CR",
     "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
     "1\r\nx\n0\r\n\r\n",
     "refused 400"},
    {"line breaks in bodies are what they are",
     "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n\n a\n"
     "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3;x=y\r\n\n b\r\n1\r\n\n\r\n0\r\n\r\nGET /d HTTP/1.1\r\nHost: h\r\n\r\n",
     "+PUT /a? [\n a\n] | +POST /c? [\n b\n] | +GET /d? []"},
    {"a tab in the address", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n",
     "refused 400"},
    {"an address with a password",
     "GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n", "refused 400"},
    {"an address of something else", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
     "refused 400"},
    {"body announced too long",
     "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1572865\r\n\r\n",
     "refused 413"},
    {"unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "refused 501"},
    {"garbage", "\x16\x03\x01", "refused 501"},
    {"HTTP/2 without its preface", "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
     "refused 505"},
};

static void describe(const struct http_parse *p, struct buf *out)
{
    struct slice method;

    if (out->len > 0) {
        ck_assert(buf_add_str(out, " | ") == ST_OK);
    }
    if (p->refusal != 0) {
        ck_assert(buf_addf(out, "refused %d", p->refusal) == ST_OK);
        return;
    }
    method = http_parse_method(p);
    ck_assert(buf_addf(out, "%c%.*s %.*s?%.*s [%.*s]",
                       p->keep_alive ? '+' : '-', (int)method.len,
                       (const char *)method.data, (int)p->path.len,
                       (const char *)p->path.data, (int)p->query.len,
                       (const char *)p->query.data, (int)p->body.len,
                       (const char *)p->body.data) == ST_OK);
}

static void feed(struct http_parse *p, struct slice input, size_t piece,
                 struct buf *out)
{
    while (input.len > 0 && p->refusal == 0) {
        size_t len = input.len < piece ? input.len : piece;

        input =
            slice_skip(input, http_parse_feed(p, slice_of(input.data, len)));
        if (p->complete || p->refusal != 0) {
            describe(p, out);
        }
        if (p->complete) {
            http_parse_reset(p);
        }
    }
}

START_TEST(requests_follow_row)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 7};

    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct http_parse p;
        struct buf out;

        http_parse_init(&p);
        buf_init(&out, 4096);
        feed(&p, slice_str(rows[_i].input), pieces[i], &out);
        ck_assert_msg(strcmp(buf_cstr(&out), rows[_i].expect) == 0,
                      "%s, in pieces of %zu: %s", rows[_i].name, pieces[i],
                      buf_cstr(&out));
        http_parse_release(&p);
        buf_release(&out);
    }
}
END_TEST

/* Each limit: the largest that is taken, and one more. */
static const struct {
    const char *name;
    const char *before;
    char fill;
    size_t fits;
    const char *after;
    int refusal;
} limits[] = {
    {"address", "GET /", 'a', LIMIT_URL_BYTES - 1,
     " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
    {"header fields", "GET / HTTP/1.1\r\nHost: h\r\nX: ", 'a',
     LIMIT_HEADER_BYTES - strlen("HosthX"), "\r\n\r\n", 431},
};

START_TEST(limits_hold_exactly)
{
    for (size_t more = 0; more < 2; more++) {
        struct http_parse p;
        struct buf in;
        uint8_t *space;
        size_t len = limits[_i].fits + more;

        http_parse_init(&p);
        buf_init(&in, 1024 * 1024);
        ck_assert(buf_add_str(&in, limits[_i].before) == ST_OK);
        ck_assert(buf_reserve(&in, len, &space) == ST_OK);
        memset(space, limits[_i].fill, len);
        in.len += len;
        ck_assert(buf_add_str(&in, limits[_i].after) == ST_OK);
        (void)http_parse_feed(&p, buf_slice(&in));
        ck_assert_msg(p.complete == (more == 0), "%s", limits[_i].name);
        ck_assert_int_eq(p.refusal, more == 0 ? 0 : limits[_i].refusal);
        http_parse_release(&p);
        buf_release(&in);
    }
}
END_TEST

START_TEST(fields_are_found_in_any_case)
{
    struct http_parse p;

    http_parse_init(&p);
    (void)http_parse_feed(
        &p, slice_str("GET / HTTP/1.1\r\nhOsT: a\r\nX-One:  1 \r\nX-One: 2\r\n"
                      "Empty:\r\n\r\n"));
    ck_assert(p.complete);
    ck_assert(slice_eq(http_parse_field(&p, "Host"), slice_str("a")));
    ck_assert(slice_starts(http_parse_field(&p, "x-one"), slice_str("1")));
    ck_assert(http_parse_field(&p, "empty").data != NULL);
    ck_assert(http_parse_field(&p, "absent").data == NULL);
    http_parse_release(&p);
}
END_TEST

static const struct {
    const char *input;
    const char *host;
} hosts[] = {
    {"GET / HTTP/1.1\r\nHost: a:1\r\n\r\n", "a:1"},
    {"GET / HTTP/1.0\r\n\r\n", ""},
    {"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "b"},
    {"GET http://b:2/x HTTP/1.1\r\nHost: a\r\n\r\n", "b:2"},
    {"GET HTTPS://b.c?x HTTP/1.1\r\nHost: a\r\n\r\n", "b.c"},
    {"GET http://[::1]/x HTTP/1.1\r\nHost: a\r\n\r\n", "[::1]"},
    {"GET http://[::1]:3/x HTTP/1.1\r\nHost: a\r\n\r\n", "[::1]:3"},
    {"CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n", "a"},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "a"},
    {"GET //b/x HTTP/1.1\r\nHost: a\r\n\r\n", "a"},
};

START_TEST(the_host_is_that_of_the_address_if_it_has_one)
{
    struct http_parse p;

    http_parse_init(&p);
    (void)http_parse_feed(&p, slice_str(hosts[_i].input));
    ck_assert_msg(p.complete, "%s", hosts[_i].input);
    ck_assert_msg(slice_eq(p.host, slice_str(hosts[_i].host)), "%s: %.*s",
                  hosts[_i].input, (int)p.host.len, (const char *)p.host.data);
    http_parse_release(&p);
}
END_TEST

UNIT_MAIN("http_parse", {
    tcase_add_loop_test(tc, requests_follow_row, 0, COUNT_OF(rows));
    tcase_add_loop_test(tc, limits_hold_exactly, 0, COUNT_OF(limits));
    tcase_add_loop_test(tc, the_host_is_that_of_the_address_if_it_has_one, 0,
                        COUNT_OF(hosts));
    tcase_add_test(tc, fields_are_found_in_any_case);
})
