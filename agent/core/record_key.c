/*
 * Keys of records: parts, percent-encoded, between slashes.
 */
#include "agent/core/record.h"
#include "base/core/check.h"

/* A part before encoding: ids and names have at most 512 bytes. */
enum {
    PART_MAX = 512
};

static const struct {
    const char *name;
    enum record_kind kind;
    size_t parts;
} kinds[] = {
    {"inst", RECORD_INSTANCE, 3}, {"live", RECORD_LIVE, 1},
    {"lookup", RECORD_QUERY, 1},  {"ncheck", RECORD_NODE_CHECK, 2},
    {"node", RECORD_NODE, 1},
};

#define KINDS_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static bool is_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || (c != 0 && strchr("._~:@-", c) != NULL);
}

static void add_part(struct buf *b, struct slice part)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < part.len && st == ST_OK; i++) {
        st = is_plain(part.data[i]) ? buf_add_u8(b, part.data[i])
                                    : buf_addf(b, "%%%02X", part.data[i]);
    }
    CHECK(st == ST_OK); /* Lengths were checked when the name came in. */
}

static void add_lower_part(struct buf *b, const char *part)
{
    char lower[PART_MAX + 1];
    size_t len = strlen(part);

    CHECK(len <= PART_MAX);
    for (size_t i = 0; i < len; i++) {
        char c = part[i];

        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    add_part(b, slice_of(lower, len));
}

static void add_prefix(struct buf *b, const char *dc)
{
    CHECK(buf_add_str(b, RECORD_ROOT) == ST_OK);
    add_part(b, slice_str(dc));
    CHECK(buf_add_u8(b, '/') == ST_OK);
}

static struct slice take(struct arena *a, struct buf *b)
{
    struct slice copy = arena_copy(a, buf_slice(b));

    buf_release(b);
    return copy;
}

static const char *kind_name(enum record_kind kind)
{
    for (size_t i = 0; i < KINDS_COUNT; i++) {
        if (kinds[i].kind == kind) {
            return kinds[i].name;
        }
    }
    CHECK(kind != RECORD_FOREIGN);
    UNREACHABLE();
}

static struct slice below_prefix(struct arena *a, const char *dc,
                                 const char *rest)
{
    struct buf b;

    buf_init(&b, LIMIT_URL_BYTES);
    add_prefix(&b, dc);
    CHECK(buf_add_str(&b, rest) == ST_OK);
    return take(a, &b);
}

struct record_range record_range(struct arena *a, const char *dc)
{
    return (struct record_range){
        .begin = below_prefix(a, dc, "acl/"),
        .end = below_prefix(a, dc, "node0"), /* '0' follows '/'. */
    };
}

struct record_range record_range_elsewhere(struct arena *a, const char *dc)
{
    return (struct record_range){
        .begin = below_prefix(a, dc, "coord/"),
        .end = below_prefix(a, dc, "node0"),
    };
}

struct slice record_folder(struct arena *a, const char *dc, const char *name)
{
    struct buf b;

    buf_init(&b, LIMIT_URL_BYTES);
    add_prefix(&b, dc);
    CHECK(buf_addf(&b, "%s/", name) == ST_OK);
    return take(a, &b);
}

struct slice record_lock_key(struct arena *a, const char *dc, const char *name)
{
    struct buf b;

    buf_init(&b, LIMIT_URL_BYTES);
    add_prefix(&b, dc);
    CHECK(buf_add_str(&b, "lock/") == ST_OK);
    add_part(&b, slice_str(name));
    return take(a, &b);
}

struct slice record_key_write(struct arena *a, const char *dc,
                              const struct record_key *key)
{
    struct buf b;

    buf_init(&b, LIMIT_URL_BYTES);
    add_prefix(&b, dc);
    CHECK(buf_addf(&b, "%s/", kind_name(key->kind)) == ST_OK);
    if (key->kind == RECORD_QUERY) {
        add_part(&b, slice_str(key->id));
        return take(a, &b);
    }
    if (key->kind == RECORD_INSTANCE) {
        add_part(&b, slice_str(key->service));
        CHECK(buf_add_u8(&b, '/') == ST_OK);
    }
    add_lower_part(&b, key->node);
    if (key->kind == RECORD_INSTANCE || key->kind == RECORD_NODE_CHECK) {
        CHECK(buf_add_u8(&b, '/') == ST_OK);
        add_part(&b, slice_str(key->id));
    }
    return take(a, &b);
}

/* ---- Reading ------------------------------------------------------ */

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Only the one way of writing that add_part() knows is accepted, so that two
 * keys never mean the same record. NULL: not well formed. */
static const char *read_part(struct arena *a, struct slice part)
{
    char *out;
    size_t len = 0;

    if (part.len == 0 || part.len > 3 * PART_MAX) {
        return NULL;
    }
    out = arena_alloc(a, part.len + 1);
    for (size_t i = 0; i < part.len; i++) {
        uint8_t c = part.data[i];

        if (c == '%') {
            bool whole = i + 2 < part.len;
            int high = whole ? hex_value(part.data[i + 1]) : -1;
            int low = whole ? hex_value(part.data[i + 2]) : -1;

            if (high < 0 || low < 0) {
                return NULL;
            }
            c = (uint8_t)(high * 16 + low);
            if (c == 0 || is_plain(c)) {
                return NULL;
            }
            i += 2;
        } else if (!is_plain(c)) {
            return NULL;
        }
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return len <= PART_MAX ? out : NULL;
}

static struct slice next_part(struct slice *rest)
{
    const uint8_t *slash =
        rest->len == 0 ? NULL : memchr(rest->data, '/', rest->len);
    struct slice part;

    if (slash == NULL) {
        part = *rest;
        *rest = (struct slice){0};
        return part;
    }
    part = slice_of(rest->data, (size_t)(slash - rest->data));
    *rest = slice_skip(*rest, part.len + 1);
    return part;
}

static bool has_upper(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text <= 'Z') {
            return true;
        }
    }
    return false;
}

static enum status read_parts(struct arena *a, struct slice rest, size_t count,
                              struct record_key *key)
{
    const char *parts[3] = {NULL, NULL, NULL};

    for (size_t i = 0; i < count; i++) {
        bool more = memchr(rest.data, '/', rest.len) != NULL;

        if (more != (i + 1 < count)) {
            return ST_INVALID;
        }
        parts[i] = read_part(a, next_part(&rest));
        if (parts[i] == NULL) {
            return ST_INVALID;
        }
    }
    if (key->kind == RECORD_QUERY) {
        key->id = parts[0];
        return ST_OK;
    }
    if (count == 3) {
        key->service = parts[0];
        key->node = parts[1];
        key->id = parts[2];
    } else {
        key->node = parts[0];
        key->id = parts[1];
    }
    return has_upper(key->node) ? ST_INVALID : ST_OK;
}

enum status record_key_read(struct arena *a, const char *dc, struct slice bytes,
                            struct record_key *out_key)
{
    struct record_key key = {.kind = RECORD_FOREIGN};
    struct buf prefix;
    struct slice rest = bytes;
    struct slice kind;
    bool ours;

    buf_init(&prefix, LIMIT_URL_BYTES);
    add_prefix(&prefix, dc);
    ours = slice_starts(bytes, buf_slice(&prefix));
    rest = ours ? slice_skip(bytes, prefix.len) : bytes;
    buf_release(&prefix);
    kind = ours ? next_part(&rest) : (struct slice){0};
    for (size_t i = 0; ours && i < KINDS_COUNT; i++) {
        if (!slice_eq(kind, slice_str(kinds[i].name))) {
            continue;
        }
        key.kind = kinds[i].kind;
        if (rest.len == 0 || read_parts(a, rest, kinds[i].parts, &key)) {
            return ST_INVALID;
        }
    }
    *out_key = key;
    return ST_OK;
}
