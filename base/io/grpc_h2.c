#include "base/io/grpc_h2.h"

#include <string.h>

#define FRAME_HEAD_BYTES 9

nghttp2_nv h2_nv(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .namelen = strlen(name),
                        .value = (uint8_t *)value,
                        .valuelen = strlen(value)};
}

enum status h2_write_data(struct stream *stream, const uint8_t *head,
                          struct slice payload)
{
    struct buf *out = stream_out(stream);
    uint8_t *at;

    if (buf_reserve(out, FRAME_HEAD_BYTES + payload.len, &at)) {
        return ST_TOO_BIG;
    }
    memcpy(at, head, FRAME_HEAD_BYTES);
    if (payload.len > 0) {
        memcpy(at + FRAME_HEAD_BYTES, payload.data, payload.len);
    }
    out->len += FRAME_HEAD_BYTES + payload.len;
    return ST_OK;
}

unsigned h2_number(struct slice text, unsigned max, unsigned otherwise)
{
    unsigned value = 0;

    if (text.len == 0 || text.len > 3) {
        return otherwise;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return otherwise;
        }
        value = value * 10 + (unsigned)(text.data[i] - '0');
    }
    return value <= max ? value : otherwise;
}

enum grpc_code h2_code_of_http(int status)
{
    switch (status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

enum grpc_code h2_code_of_reset(uint32_t error)
{
    switch (error) {
    case NGHTTP2_REFUSED_STREAM:
        return GRPC_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return GRPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return GRPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return GRPC_PERMISSION_DENIED;
    default:
        return GRPC_INTERNAL;
    }
}
