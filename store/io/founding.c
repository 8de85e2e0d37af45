#include "store/io/founding.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/check.h"
#include "base/core/wire.h"
#include "store/io/urls.h"

enum {
    FOUNDERS_MAX = 64,
    FOUNDER_URLS_MAX = 16,
    ID_BYTES = 8
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_id(const void *a, const void *b)
{
    const struct founder *left = a;
    const struct founder *right = b;

    return left->id < right->id ? -1 : left->id > right->id;
}

static uint64_t id_of_bytes(const struct buf *bytes)
{
    uint8_t digest[SHA_DIGEST_LENGTH];

    (void)SHA1(bytes->data, bytes->len, digest);
    return wire_get_u64be(digest);
}

static uint64_t founder_id(const struct founder *f, const char *token)
{
    struct buf bytes;
    uint64_t id;

    buf_init(&bytes, SIZE_MAX);
    for (size_t i = 0; i < f->peer_urls_count; i++) {
        CHECK(buf_add_str(&bytes, f->peer_urls[i]) == ST_OK);
    }
    CHECK(buf_add_str(&bytes, token) == ST_OK);
    id = id_of_bytes(&bytes);
    buf_release(&bytes);
    return id;
}

static uint64_t cluster_id(const struct founding *founding)
{
    struct buf bytes;
    uint64_t id;

    buf_init(&bytes, FOUNDERS_MAX * ID_BYTES);
    for (size_t i = 0; i < founding->founders_count; i++) {
        uint8_t *at;

        CHECK(buf_reserve(&bytes, ID_BYTES, &at) == ST_OK);
        wire_put_u64be(at, founding->founders[i].id);
        bytes.len += ID_BYTES;
    }
    id = id_of_bytes(&bytes);
    buf_release(&bytes);
    return id;
}

static struct founder *find_founder(struct founding *founding,
                                    struct slice name)
{
    for (size_t i = 0; i < founding->founders_count; i++) {
        struct founder *f = &founding->founders[i];

        if (slice_eq(slice_str(f->name), name)) {
            return f;
        }
    }
    return NULL;
}

static struct founder *find_or_add(struct arena *arena,
                                   struct founding *founding, struct slice name)
{
    struct founder *f = find_founder(founding, name);

    if (f != NULL || founding->founders_count == FOUNDERS_MAX) {
        return f;
    }
    f = &founding->founders[founding->founders_count++];
    f->name = arena_strdup(arena, name);
    f->peer_urls = arena_zalloc(arena, FOUNDER_URLS_MAX, sizeof(char *));
    return f;
}

/* One "name=url". */
static enum status add_pair(struct arena *arena, struct founding *founding,
                            struct slice pair, struct err *err)
{
    const uint8_t *equals = memchr(pair.data, '=', pair.len);
    size_t name_len = equals == NULL ? 0 : (size_t)(equals - pair.data);
    struct url_list url;
    struct founder *f;
    const char *text;
    enum status st;

    if (name_len == 0) {
        return err_set(err, ST_INVALID,
                       "--initial-cluster: \"%.*s\" is not name=URL",
                       (int)pair.len, (const char *)pair.data);
    }
    text = arena_strdup(arena, slice_skip(pair, name_len + 1));
    st = url_list_parse(arena, "initial-cluster", text, &url, err);
    if (st) {
        return st;
    }
    f = find_or_add(arena, founding, slice_of(pair.data, name_len));
    if (f == NULL || f->peer_urls_count == FOUNDER_URLS_MAX) {
        return err_set(err, ST_INVALID,
                       "--initial-cluster: more than %d members or %d URLs "
                       "of one",
                       FOUNDERS_MAX, FOUNDER_URLS_MAX);
    }
    f->peer_urls[f->peer_urls_count++] = url.urls[0].text;
    return ST_OK;
}

static enum status add_pairs(struct arena *arena, struct founding *founding,
                             const char *text, struct err *err)
{
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        enum status st = ST_OK;

        if (len > 0) {
            st = add_pair(arena, founding, slice_of(text, len), err);
        }
        if (st) {
            return st;
        }
        text += text[len] == ',' ? len + 1 : len;
    }
    return ST_OK;
}

static bool same_urls(const struct founder *f, const struct url_list *urls)
{
    if (f->peer_urls_count != urls->count) {
        return false;
    }
    for (size_t i = 0; i < urls->count; i++) {
        const char *text = urls->urls[i].text;

        if (bsearch(&text, f->peer_urls, f->peer_urls_count, sizeof(char *),
                    by_text) == NULL) {
            return false;
        }
    }
    return true;
}

static enum status find_self(struct arena *arena, struct founding *founding,
                             const char *name, const char *peer_urls,
                             struct err *err)
{
    struct founder *self = find_founder(founding, slice_str(name));
    struct url_list urls;
    enum status st = url_list_parse(arena, "initial-advertise-peer-urls",
                                    peer_urls, &urls, err);

    if (st) {
        return st;
    }
    if (self == NULL) {
        return err_set(err, ST_INVALID,
                       "--initial-cluster: this member's name \"%s\" (--name) "
                       "is not in it",
                       name);
    }
    if (!same_urls(self, &urls)) {
        return err_set(err, ST_INVALID,
                       "--initial-cluster: the URLs of \"%s\" differ from "
                       "--initial-advertise-peer-urls=%s",
                       name, peer_urls);
    }
    founding->self = (size_t)(self - founding->founders);
    return ST_OK;
}

/* Ids come from URLs: the same URLs twice would be one member twice. */
static enum status refuse_twins(const struct founding *founding,
                                struct err *err)
{
    for (size_t i = 1; i < founding->founders_count; i++) {
        const struct founder *a = &founding->founders[i - 1];
        const struct founder *b = &founding->founders[i];

        if (a->id == b->id) {
            return err_set(err, ST_INVALID,
                           "--initial-cluster: \"%s\" and \"%s\" have the "
                           "same URLs",
                           a->name, b->name);
        }
    }
    return ST_OK;
}

enum status founding_parse(struct arena *arena, const char *initial_cluster,
                           const char *token, const char *name,
                           const char *peer_urls, struct founding *out_founding,
                           struct err *err)
{
    struct founding founding = {
        .founders = arena_zalloc(arena, FOUNDERS_MAX, sizeof(struct founder))};
    enum status st = add_pairs(arena, &founding, initial_cluster, err);

    if (st) {
        return st;
    }
    for (size_t i = 0; i < founding.founders_count; i++) {
        struct founder *f = &founding.founders[i];

        qsort(f->peer_urls, f->peer_urls_count, sizeof(char *), by_text);
        f->id = founder_id(f, token);
    }
    qsort(founding.founders, founding.founders_count, sizeof(struct founder),
          by_id);
    st = refuse_twins(&founding, err);
    if (st) {
        return st;
    }
    st = find_self(arena, &founding, name, peer_urls, err);
    if (st) {
        return st;
    }
    founding.cluster_id = cluster_id(&founding);
    *out_founding = founding;
    return ST_OK;
}

/* A JSON string: quotes, backslashes and control characters are escaped. */
static void put_string(struct buf *out, const char *text)
{
    CHECK(buf_add_u8(out, '"') == ST_OK);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\' || c < ' ') {
            CHECK(buf_addf(out, "\\u%04x", c) == ST_OK);
        } else {
            CHECK(buf_add_u8(out, c) == ST_OK);
        }
    }
    CHECK(buf_add_u8(out, '"') == ST_OK);
}

struct slice founder_json(struct arena *arena, const struct founder *founder)
{
    struct buf text;
    struct slice result;

    buf_init(&text, SIZE_MAX);
    CHECK(buf_addf(&text, "{\"id\":%llu,\"peerURLs\":[",
                   (unsigned long long)founder->id) == ST_OK);
    for (size_t i = 0; i < founder->peer_urls_count; i++) {
        CHECK(i == 0 || buf_add_u8(&text, ',') == ST_OK);
        put_string(&text, founder->peer_urls[i]);
    }
    CHECK(buf_add_str(&text, "],\"name\":") == ST_OK);
    put_string(&text, founder->name);
    CHECK(buf_add_u8(&text, '}') == ST_OK);
    result = arena_copy(arena, buf_slice(&text));
    buf_release(&text);
    return result;
}
