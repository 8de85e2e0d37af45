#include "base/io/grpc_frame.h"

#include "base/core/check.h"
#include "base/core/wire.h"

void grpc_reader_init(struct grpc_reader *r, size_t bytes_max)
{
    *r = (struct grpc_reader){.bytes_max = bytes_max};
    buf_init(&r->partial, bytes_max + GRPC_FRAME_HEAD);
}

void grpc_reader_release(struct grpc_reader *r)
{
    buf_release(&r->partial);
}

bool grpc_reader_is_partial(const struct grpc_reader *r)
{
    return r->partial.len > 0;
}

void grpc_frame_head(uint8_t *at, uint32_t len)
{
    at[0] = 0;
    wire_put_u32be(at + 1, len);
}

/* Look at a whole head. GRPC_TAKE_MESSAGE: its message may come. */
static enum grpc_take head_judge(struct grpc_reader *r, const uint8_t *head)
{
    uint32_t len = wire_get_u32be(head + 1);

    if (head[0] > 1) {
        return GRPC_TAKE_BAD;
    }
    if (len > r->bytes_max) {
        r->announced = len;
        return GRPC_TAKE_TOO_BIG;
    }
    return head[0] == 1 ? GRPC_TAKE_COMPRESSED : GRPC_TAKE_MESSAGE;
}

/* Move bytes from *input until `partial` holds `want` of them. */
static bool partial_fill(struct grpc_reader *r, struct slice *input,
                         size_t want)
{
    size_t missing = want - r->partial.len;
    size_t count = missing < input->len ? missing : input->len;

    CHECK(want >= r->partial.len);
    CHECK(buf_add(&r->partial, slice_of(input->data, count)) == ST_OK);
    *input = slice_skip(*input, count);
    return count == missing;
}

/* The message began in an earlier piece, or does not end in this one. */
static enum grpc_take take_slowly(struct grpc_reader *r, struct slice *input,
                                  struct slice *out_message)
{
    enum grpc_take judged;
    size_t len;

    if (r->partial.len < GRPC_FRAME_HEAD &&
        !partial_fill(r, input, GRPC_FRAME_HEAD)) {
        return GRPC_TAKE_MORE;
    }
    judged = head_judge(r, r->partial.data);
    if (judged != GRPC_TAKE_MESSAGE) {
        return judged;
    }
    len = wire_get_u32be(r->partial.data + 1);
    if (!partial_fill(r, input, GRPC_FRAME_HEAD + len)) {
        return GRPC_TAKE_MORE;
    }
    *out_message = slice_of(r->partial.data + GRPC_FRAME_HEAD, len);
    r->partial.len = 0; /* The bytes stay until the next call. */
    return GRPC_TAKE_MESSAGE;
}

enum grpc_take grpc_reader_take(struct grpc_reader *r, struct slice *input,
                                struct slice *out_message)
{
    enum grpc_take judged;
    size_t len;

    if (r->partial.len > 0) {
        return take_slowly(r, input, out_message);
    }
    if (r->partial.cap > 0) { /* The one before is done with. */
        buf_release(&r->partial);
    }
    if (input->len == 0) {
        return GRPC_TAKE_MORE;
    }
    if (input->len < GRPC_FRAME_HEAD) {
        return take_slowly(r, input, out_message);
    }
    judged = head_judge(r, input->data);
    if (judged != GRPC_TAKE_MESSAGE) {
        return judged;
    }
    len = wire_get_u32be(input->data + 1);
    if (input->len - GRPC_FRAME_HEAD < len) {
        return take_slowly(r, input, out_message);
    }
    *out_message = slice_of(input->data + GRPC_FRAME_HEAD, len);
    *input = slice_skip(*input, GRPC_FRAME_HEAD + len);
    return GRPC_TAKE_MESSAGE;
}

/* ---- header values ---- */

static uint64_t div_up(uint64_t value, uint64_t by)
{
    return (value + by - 1) / by;
}

enum status grpc_timeout_parse(struct slice text, uint64_t *out_ms)
{
    uint64_t value = 0;

    if (text.len < 2 || text.len > 9) {
        return ST_INVALID;
    }
    for (size_t i = 0; i < text.len - 1; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return ST_INVALID;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    switch (text.data[text.len - 1]) {
    case 'H':
        *out_ms = value * 3600000;
        return ST_OK;
    case 'M':
        *out_ms = value * 60000;
        return ST_OK;
    case 'S':
        *out_ms = value * 1000;
        return ST_OK;
    case 'm':
        *out_ms = value;
        return ST_OK;
    case 'u':
        *out_ms = div_up(value, 1000);
        return ST_OK;
    case 'n':
        *out_ms = div_up(value, 1000000);
        return ST_OK;
    default:
        return ST_INVALID;
    }
}

static const char hex_digits[] = "0123456789ABCDEF";

size_t grpc_text_encode(const char *text, uint8_t *out, size_t cap)
{
    size_t len = 0;

    for (; *text != '\0'; text++) {
        uint8_t c = (uint8_t)*text;
        bool plain = c >= 0x20 && c <= 0x7e && c != '%';

        if (len + (plain ? 1 : 3) > cap) {
            break;
        }
        if (plain) {
            out[len++] = c;
            continue;
        }
        out[len++] = '%';
        out[len++] = (uint8_t)hex_digits[c >> 4];
        out[len++] = (uint8_t)hex_digits[c & 15];
    }
    return len;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void grpc_text_decode(struct slice text, char *out, size_t cap)
{
    size_t len = 0;

    CHECK(cap > 0);
    for (size_t i = 0; i < text.len && len + 1 < cap; i++) {
        uint8_t c = text.data[i];

        if (c == '%' && i + 2 < text.len && hex_value(text.data[i + 1]) >= 0 &&
            hex_value(text.data[i + 2]) >= 0) {
            c = (uint8_t)(hex_value(text.data[i + 1]) * 16 +
                          hex_value(text.data[i + 2]));
            i += 2;
        }
        out[len++] = (char)(c == '\0' ? ' ' : c);
    }
    out[len] = '\0';
}
