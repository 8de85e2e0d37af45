#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/core/content.h"
#include "dns/core/pack_edns.h"
#include "dns/core/reply.h"

enum {
    RECORD_FIXED = 10 /* Type, class, TTL, length of the data. */
};

static void put_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void put_u32(uint8_t *at, uint32_t value)
{
    put_u16(at, value >> 16);
    put_u16(at + 2, value & 0xffff);
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
}

static uint32_t ttl_now(uint32_t ttl_s, const struct dns_dress *dress)
{
    if (dress->stale) {
        return DNS_STALE_TTL_S;
    }
    return ttl_s > dress->age_s ? ttl_s - dress->age_s : 0;
}

/* Behind the name at `at`. */
static size_t skip_name(const uint8_t *bytes, size_t len, size_t at)
{
    while (at < len && bytes[at] != 0 && bytes[at] < 0xc0) {
        at += (size_t)bytes[at] + 1;
    }
    return at < len && bytes[at] >= 0xc0 ? at + 2 : at + 1;
}

/* Behind the next `count` records. The message is one that we have written
 * ourselves: anything else in it is a mistake of ours. */
static size_t skip_records(const uint8_t *bytes, size_t len, size_t at,
                           unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        at = skip_name(bytes, len, at);
        CHECK(at + RECORD_FIXED <= len);
        at += RECORD_FIXED + (size_t)get_u16(bytes + at + 8);
        CHECK(at <= len);
    }
    return at;
}

/* Set the TTLs of the next `count` records. */
static void count_down(uint8_t *bytes, size_t len, size_t at, unsigned count,
                       const struct dns_dress *dress)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t *ttl = bytes + skip_name(bytes, len, at) + 4;

        put_u32(ttl, ttl_now(get_u32(ttl), dress));
        at = skip_records(bytes, len, at, 1);
    }
}

static unsigned records_of(const uint8_t *message)
{
    return (unsigned)get_u16(message + 6) + get_u16(message + 8) +
           get_u16(message + 10);
}

/* Copy what fits into `room` bytes: all, all but the additional section, or the
 * question alone with TC. The length. */
static size_t copy_fitting(struct slice reply, size_t question, size_t room,
                           uint8_t *out)
{
    const uint8_t *bytes = reply.data;
    size_t core =
        skip_records(bytes, reply.len, question,
                     (unsigned)get_u16(bytes + 6) + get_u16(bytes + 8));

    if (reply.len <= room) {
        memcpy(out, bytes, reply.len);
        return reply.len;
    }
    if (core <= room) {
        memcpy(out, bytes, core);
        put_u16(out + 10, 0);
        return core;
    }
    memcpy(out, bytes, question);
    memset(out + 6, 0, 6);
    put_u16(out + 2, get_u16(out + 2) | DNS_FLAG_TC);
    return question;
}

size_t dns_reply_dress(struct slice reply, const struct dns_question *q,
                       const struct dns_dress *dress, uint8_t *out)
{
    size_t question = DNS_HEADER_BYTES + q->name.len + 4;
    struct dns_opt opt;
    size_t len;

    CHECK(reply.len >= question);
    dns_opt_make(q, dress->transport, LIMIT_DNS_UDP,
                 (enum dns_rcode)(reply.data[3] & 15), dress->extended_error,
                 &opt);
    CHECK(question + opt.len <= dress->transport->size_max);
    len = copy_fitting(reply, question, dress->transport->size_max - opt.len,
                       out);
    put_u16(out, q->id);
    put_u16(out + 2, (get_u16(out + 2) & (DNS_FLAG_TC | 15)) | DNS_FLAG_QR |
                         DNS_FLAG_RA |
                         (q->flags & (DNS_FLAG_RD | DNS_FLAG_CD)));
    memcpy(out + DNS_HEADER_BYTES, q->name.data, q->name.len);
    count_down(out, len, question, records_of(out), dress);
    return dns_opt_append(&opt, out, len);
}
