#include "agent/core/projection_format.h"

#include <stdlib.h>

#include "agent/core/catalog.h"
#include "agent/core/jsonw.h"
#include "base/core/check.h"

enum {
    KEY_BYTES_MAX = 8192,
    VALUE_BYTES_MAX = LIMIT_RECORD_BYTES,
    PRIORITY_DEFAULT = 1,
};

#define TXT_PREFIX "txt-"

/* Lengths were checked when names and settings came in. */
static void add(struct buf *b, const char *text)
{
    CHECK(buf_add_str(b, text) == ST_OK);
}

enum part_case {
    PART_AS_IT_IS,
    PART_LOWER,  /* Names, which DNS compares in any case. */
    PART_ESCAPED /* Ids: "Web" and "web" are two. */
};

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static void add_part(struct buf *b, const char *part, enum part_case rule)
{
    for (; *part != '\0'; part++) {
        char c = *part;
        bool plain = is_label_char(c);

        if (is_upper(c) && rule != PART_ESCAPED) {
            c = (char)(rule == PART_LOWER ? c - 'A' + 'a' : c);
            plain = true;
        }
        if (rule == PART_AS_IT_IS &&
            (c == '.' || c == ':' || c == '[' || c == ']')) {
            plain = true;
        }
        CHECK((plain ? buf_add_u8(b, (uint8_t)c)
                     : buf_addf(b, "%%%02x", (unsigned char)c)) == ST_OK);
    }
}

/* "/internal/muster" of "muster.internal." */
static void add_reversed(struct buf *b, const char *domain)
{
    size_t end = strlen(domain);

    while (end > 0) {
        size_t begin = end;
        char label[64];

        while (begin > 0 && domain[begin - 1] != '.') {
            begin--;
        }
        if (end > begin && end - begin < sizeof(label)) {
            memcpy(label, domain + begin, end - begin);
            label[end - begin] = '\0';
            add(b, "/");
            add_part(b, label, PART_LOWER);
        }
        end = begin > 0 ? begin - 1 : 0;
    }
}

static const char *take_key(struct arena *a, struct buf *b)
{
    const char *key = arena_strdup(a, buf_slice(b));

    buf_release(b);
    return key;
}

static const char *address_of(const struct node_record *node,
                              const struct service_def *s)
{
    return s->address[0] != '\0' ? s->address : node->address;
}

static const char *meta_of(const struct service_def *s, const char *key)
{
    for (size_t i = 0; i < s->meta.count; i++) {
        if (strcmp(s->meta.items[i].key, key) == 0) {
            return s->meta.items[i].value;
        }
    }
    return NULL;
}

/* As in SRV records. */
static uint32_t priority_of(const struct service_def *s)
{
    const char *text = meta_of(s, "dns_priority");
    char *end;
    unsigned long value;

    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return PRIORITY_DEFAULT;
    }
    value = strtoul(text, &end, 10);
    return *end == '\0' && value <= UINT16_MAX ? (uint32_t)value
                                               : PRIORITY_DEFAULT;
}

/* SkyDNS has one text where we have several. */
static void write_text(struct jsonw *w, const struct service_def *s)
{
    struct buf text;

    buf_init(&text, VALUE_BYTES_MAX);
    for (size_t i = 0; i < s->meta.count; i++) {
        const struct pair *m = &s->meta.items[i];

        if (strncmp(m->key, TXT_PREFIX, sizeof(TXT_PREFIX) - 1) == 0) {
            add(&text, text.len > 0 ? " " : "");
            add(&text, m->value);
        }
    }
    if (text.len > 0) {
        jsonw_key(w, "text");
        jsonw_slice(w, buf_slice(&text));
    }
    buf_release(&text);
}

static struct projected finish(struct arena *a, struct buf *key,
                               struct jsonw *w)
{
    struct projected out;
    struct buf *value = w->out;

    CHECK(jsonw_finish(w) == ST_OK); /* Shorter than the definition. */
    out.key = take_key(a, key);
    out.value = arena_copy(a, buf_slice(value));
    out.hash = catalog_hash(out.value);
    out.hash += out.hash == 0;
    buf_release(value);
    return out;
}

static uint32_t weight_of(const struct service_def *s, bool warning)
{
    return warning ? s->weight_warning : s->weight_passing;
}

struct projected projected_skydns(struct arena *a, const char *prefix,
                                  const char *domain, uint32_t ttl_s,
                                  const struct node_record *node,
                                  const struct service_def *s, bool warning)
{
    struct buf key;
    struct buf value;
    struct jsonw w;

    buf_init(&key, KEY_BYTES_MAX);
    add(&key, prefix);
    add_reversed(&key, domain);
    add(&key, "/");
    add_part(&key, s->name, PART_LOWER);
    add(&key, "/");
    add_part(&key, node->name, PART_LOWER);
    add(&key, "/");
    add_part(&key, s->id, PART_ESCAPED);

    buf_init(&value, VALUE_BYTES_MAX);
    jsonw_init(&w, &value, JSONW_COMPACT);
    jsonw_object(&w);
    jsonw_key_text(&w, "host", address_of(node, s));
    if (s->port != 0) {
        jsonw_key_uint(&w, "port", s->port);
    }
    jsonw_key_uint(&w, "priority", priority_of(s));
    jsonw_key_uint(&w, "weight", weight_of(s, warning));
    jsonw_key_uint(&w, "ttl", ttl_s);
    write_text(&w, s);
    jsonw_object_end(&w);
    return finish(a, &key, &w);
}

struct projected projected_grpc(struct arena *a, const char *prefix,
                                const struct node_record *node,
                                const struct service_def *s, bool warning)
{
    const char *host = address_of(node, s);
    bool v6 = strchr(host, ':') != NULL;
    const char *address =
        arena_printf(a, v6 ? "[%s]:%u" : "%s:%u", host, (unsigned)s->port);
    struct buf key;
    struct buf value;
    struct jsonw w;

    buf_init(&key, KEY_BYTES_MAX);
    add(&key, prefix);
    add(&key, "/");
    add_part(&key, s->name, PART_AS_IT_IS);
    add(&key, "/");
    add_part(&key, address, PART_AS_IT_IS);

    buf_init(&value, VALUE_BYTES_MAX);
    jsonw_init(&w, &value, JSONW_COMPACT);
    jsonw_object(&w);
    jsonw_key_uint(&w, "Op", 0);
    jsonw_key_text(&w, "Addr", address);
    jsonw_key(&w, "Metadata");
    jsonw_object(&w);
    jsonw_key_text(&w, "node", node->name);
    jsonw_key_text(&w, "id", s->id);
    jsonw_key_uint(&w, "weight", weight_of(s, warning));
    jsonw_key(&w, "tags");
    jsonw_list(&w);
    for (size_t i = 0; i < s->tags.count; i++) {
        jsonw_text(&w, s->tags.items[i]);
    }
    jsonw_list_end(&w);
    jsonw_object_end(&w);
    jsonw_object_end(&w);
    return finish(a, &key, &w);
}
