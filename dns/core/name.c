#include "dns/core/name.h"

#include "base/core/check.h"

bool dns_name_add_label(struct dns_name *n, struct slice label)
{
    if (label.len == 0 || label.len > DNS_LABEL_MAX ||
        n->len + 1 + label.len > DNS_NAME_MAX) {
        return false;
    }
    n->bytes[n->len] = (uint8_t)label.len;
    memcpy(n->bytes + n->len + 1, label.data, label.len);
    n->len = (uint8_t)(n->len + 1 + label.len);
    return true;
}

bool dns_name_add_text(struct dns_name *n, struct slice text)
{
    uint8_t before = n->len;
    size_t start = 0;

    if (text.len > 0 && text.data[text.len - 1] == '.') {
        text.len--;
    }
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.data[i] != '.') {
            continue;
        }
        if (!dns_name_add_label(n, slice_of(text.data + start, i - start))) {
            n->len = before;
            return false;
        }
        start = i + 1;
    }
    return true;
}

bool dns_name_add_wire(struct dns_name *n, struct slice labels)
{
    if (n->len + labels.len > DNS_NAME_MAX) {
        return false;
    }
    if (labels.len > 0) {
        memcpy(n->bytes + n->len, labels.data, labels.len);
    }
    n->len = (uint8_t)(n->len + labels.len);
    return true;
}

bool dns_name_end(struct dns_name *n)
{
    static const uint8_t root = 0;

    return dns_name_add_wire(n, slice_of(&root, 1));
}

/* Length bytes are at most 63, below 'A': they may be lowered along. */
void dns_name_lower(struct dns_name *n)
{
    for (size_t i = 0; i < n->len; i++) {
        n->bytes[i] = dns_lower(n->bytes[i]);
    }
}

bool dns_same(struct slice a, struct slice b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (dns_lower(a.data[i]) != dns_lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

static const char hex_digits[] = "0123456789abcdef";

static void reverse_ipv4(struct dns_name *n, struct slice ip)
{
    for (size_t i = ip.len; i-- > 0;) {
        uint8_t text[3];
        size_t len = 0;

        if (ip.data[i] >= 100) {
            text[len++] = (uint8_t)('0' + ip.data[i] / 100);
        }
        if (ip.data[i] >= 10) {
            text[len++] = (uint8_t)('0' + ip.data[i] / 10 % 10);
        }
        text[len++] = (uint8_t)('0' + ip.data[i] % 10);
        CHECK(dns_name_add_label(n, slice_of(text, len)));
    }
    CHECK(dns_name_add_label(n, slice_str("in-addr")));
}

static void reverse_ipv6(struct dns_name *n, struct slice ip)
{
    for (size_t i = ip.len; i-- > 0;) {
        CHECK(
            dns_name_add_label(n, slice_of(hex_digits + (ip.data[i] & 15), 1)));
        CHECK(
            dns_name_add_label(n, slice_of(hex_digits + (ip.data[i] >> 4), 1)));
    }
    CHECK(dns_name_add_label(n, slice_str("ip6")));
}

void dns_name_reverse(struct dns_name *n, struct slice ip)
{
    n->len = 0;
    if (ip.len == 4) {
        reverse_ipv4(n, ip);
    } else {
        CHECK(ip.len == 16);
        reverse_ipv6(n, ip);
    }
}

void dns_name_add_hex(struct dns_name *n, struct slice ip)
{
    uint8_t text[32];

    CHECK(ip.len <= 16);
    for (size_t i = 0; i < ip.len; i++) {
        text[2 * i] = (uint8_t)hex_digits[ip.data[i] >> 4];
        text[2 * i + 1] = (uint8_t)hex_digits[ip.data[i] & 15];
    }
    CHECK(dns_name_add_label(n, slice_of(text, 2 * ip.len)));
}
