#include "agent/io/config_rules.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/duration.h"

enum {
    NODE_NAME_BYTES_MAX = 200
}; /* Leaves room for ".node.<dc>.<domain>". */

enum status config_listen_parse(const char *text, struct agent_listen *out)
{
    const char *colon = strrchr(text, ':');
    unsigned char binary[16];
    char host[64];
    size_t len = colon ? (size_t)(colon - text) : 0;
    char *end;
    long port;

    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (memchr(text, ':', len)) {
        return ST_INVALID; /* IPv6 without brackets: where is the port? */
    }
    if (len == 0 || len >= sizeof(host)) {
        return ST_INVALID;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    if (inet_pton(AF_INET, host, binary) != 1 &&
        inet_pton(AF_INET6, host, binary) != 1) {
        return ST_INVALID;
    }
    port = strtol(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || port > 65535) {
        return ST_INVALID;
    }
    out->host = text;
    out->port = (uint16_t)port;
    return ST_OK;
}

enum status config_rule_listen(struct field_reader *r, const struct json_at *at,
                               const void *value)
{
    const char *text = *(const char *const *)value;
    struct agent_listen where;

    if (text[0] == '\0' || strcmp(text, "off") == 0 ||
        config_listen_parse(text, &where) == ST_OK) {
        return ST_OK;
    }
    return field_error(r, at,
                       "\"%.64s\" is not ADDRESS:PORT, such as "
                       "\"127.0.0.1:8500\" or \"[::1]:0\"",
                       text);
}

enum status config_rule_listens(struct field_reader *r,
                                const struct json_at *at, const void *value)
{
    const struct texts *all = value;
    enum status st = ST_OK;

    for (size_t i = 0; i < all->count && !st; i++) {
        st = config_rule_listen(r, at, &all->items[i]);
        if (!st && all->count > 1 && strcmp(all->items[i], "off") == 0) {
            st = field_error(r, at, "\"off\" stands alone");
        }
    }
    return st;
}

enum status config_rule_ip_address(struct field_reader *r,
                                   const struct json_at *at, const void *value)
{
    const char *text = *(const char *const *)value;
    unsigned char binary[16];

    if (text[0] == '\0' || inet_pton(AF_INET, text, binary) == 1 ||
        inet_pton(AF_INET6, text, binary) == 1) {
        return ST_OK;
    }
    return field_error(r, at, "\"%.64s\" is not an IP address", text);
}

enum status config_rule_ip_addresses(struct field_reader *r,
                                     const struct json_at *at,
                                     const void *value)
{
    const struct texts *all = value;
    enum status st = ST_OK;

    for (size_t i = 0; i < all->count && !st; i++) {
        st = config_rule_ip_address(r, at, &all->items[i]);
    }
    return st;
}

enum status config_rule_advertise(struct field_reader *r,
                                  const struct json_at *at, const void *value)
{
    const char *text = *(const char *const *)value;

    if (strcmp(text, "0.0.0.0") == 0 || strcmp(text, "::") == 0) {
        return field_error(r, at,
                           "\"%s\" is no address that others can reach; leave "
                           "it out to use the one of the default route",
                           text);
    }
    return config_rule_ip_address(r, at, value);
}

enum status config_rule_api_level(struct field_reader *r,
                                  const struct json_at *at, const void *value)
{
    const char *text = *(const char *const *)value;
    unsigned parts = 0;

    while (parts < 3 && *text >= '0' && *text <= '9') {
        text += strspn(text, "0123456789");
        parts++;
        text += parts < 3 && *text == '.';
    }
    if (parts == 3 && *text == '\0') {
        return ST_OK;
    }
    return field_error(r, at, "\"%.64s\" is not a version like \"1.16.0\"",
                       *(const char *const *)value);
}

enum status config_rule_log_level(struct field_reader *r,
                                  const struct json_at *at, const void *value)
{
    const char *text = *(const char *const *)value;

    if (text[0] == '\0' || log_level_parse(text) >= 0) {
        return ST_OK;
    }
    return field_error(
        r, at, "\"%.64s\" is not one of debug, info, warn, error", text);
}

enum status config_rule_mode(struct field_reader *r, const struct json_at *at,
                             const void *value)
{
    const char *text = *(const char *const *)value;
    char *end;
    unsigned long mode = strtoul(text, &end, 8);

    if (*end == '\0' && mode <= 0777) {
        return ST_OK;
    }
    return field_error(r, at, "\"%.64s\" is not a file mode such as \"0660\"",
                       text);
}

enum status config_rule_label(struct field_reader *r, const struct json_at *at,
                              const void *value)
{
    const char *text = *(const char *const *)value;

    if (strlen(text) > 63 || strspn(text, "abcdefghijklmnopqrstuvwxyz"
                                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789-_") != strlen(text)) {
        return field_error(r, at,
                           "\"%.64s\" is not a name of up to 63 letters, "
                           "digits, '-' and '_'",
                           text);
    }
    return ST_OK;
}

enum status config_rule_prefix(struct field_reader *r, const struct json_at *at,
                               const void *value)
{
    const char *text = *(const char *const *)value;
    size_t len = strlen(text);

    if (len > 0 && (text[0] != '/' || text[len - 1] == '/')) {
        return field_error(r, at,
                           "\"%.64s\" is not a prefix of keys such as "
                           "\"/skydns\": it begins with a slash, and does not "
                           "end with one",
                           text);
    }
    if (strcmp(text, "/muster") == 0 || strncmp(text, "/muster/", 8) == 0) {
        return field_error(r, at, "\"%.64s\" is where muster's own records are",
                           text);
    }
    return ST_OK;
}

enum status config_rule_node(struct field_reader *r, const struct json_at *at,
                             const void *value)
{
    const char *text = *(const char *const *)value;
    bool good = strlen(text) <= NODE_NAME_BYTES_MAX;

    for (const char *label = text; good; label++) {
        size_t len = strspn(label, "abcdefghijklmnopqrstuvwxyz"
                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789-_");

        good = len <= 63 && (len > 0 || *text == '\0');
        label += len;
        if (*label != '.') {
            good = good && *label == '\0';
            break;
        }
    }
    return good ? ST_OK
                : field_error(r, at,
                              "\"%.64s\" is not a name of letters, digits, '-' "
                              "and '_', up to 63 of them between dots",
                              text);
}

enum status config_rule_ttls(struct field_reader *r, const struct json_at *at,
                             const void *value)
{
    const struct pairs *pairs = value;
    uint64_t ms;

    for (size_t i = 0; i < pairs->count; i++) {
        struct json_at inner = {.up = at, .key = pairs->items[i].key};

        if (duration_parse(slice_str(pairs->items[i].value), &ms)) {
            return field_error(r, &inner, "\"%.64s\" is not a duration",
                               pairs->items[i].value);
        }
    }
    return ST_OK;
}
