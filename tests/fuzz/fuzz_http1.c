/*
 * HTTP/1 requests, as anybody may send them. However the bytes are cut into
 * pieces, the same requests must come out, and no limit may be passed.
 */
#include <stdlib.h>

#include "base/core/check.h"
#include "base/io/http_parse.h"

#include "fuzz.h"

/* What came out, as text: one line a request, or the refusal. */
static void describe(const struct http_parse *p, struct buf *out)
{
    struct slice method;

    if (p->refusal != 0) {
        CHECK(buf_addf(out, "refused %d\n", p->refusal) == ST_OK);
        return;
    }
    method = http_parse_method(p);
    CHECK(p->target.len <= LIMIT_URL_BYTES);
    CHECK(p->text.len <= LIMIT_HEADER_BYTES);
    CHECK(p->body.len <= LIMIT_HTTP_BODY);
    CHECK(p->fields_count <= LIMIT_HEADER_COUNT);
    CHECK(buf_addf(out, "%.*s %.*s ? %.*s, %u fields of %zu, body of %zu\n",
                   (int)method.len, (const char *)method.data, (int)p->path.len,
                   (const char *)p->path.data, (int)p->query.len,
                   (const char *)p->query.data, p->fields_count, p->text.len,
                   p->body.len) == ST_OK);
}

static void run(struct slice input, size_t piece, struct buf *out)
{
    struct http_parse *p = malloc(sizeof(*p));

    CHECK(p != NULL);
    http_parse_init(p);
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
    http_parse_release(p);
    free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole;
    struct buf pieces;

    buf_init(&whole, 64 * 1024 * 1024);
    buf_init(&pieces, 64 * 1024 * 1024);
    run(slice_of(data, size), SIZE_MAX, &whole);
    run(slice_of(data, size), 1, &pieces);
    CHECK(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    buf_release(&whole);
    buf_release(&pieces);
    return 0;
}
