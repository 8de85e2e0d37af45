#include "agent/core/kv.h"

#include <stdio.h>

#include "agent/core/record.h"
#include "base/core/check.h"

static struct slice make_key(struct arena *a, const char *dc, const char *kind,
                             const char *session, struct slice key)
{
    struct slice folder = record_folder(a, dc, kind);
    size_t session_len = session == NULL ? 0 : strlen(session) + 1;
    size_t len = folder.len + session_len + key.len;
    char *out = arena_alloc(a, len + 1);

    CHECK(key.len <= LIMIT_KV_KEY);
    (void)snprintf(out, len + 1, "%.*s%s%s%.*s", (int)folder.len,
                   (const char *)folder.data, session == NULL ? "" : session,
                   session == NULL ? "" : "/", (int)key.len,
                   key.len == 0 ? "" : (const char *)key.data);
    return slice_of(out, len);
}

struct slice kv_key(struct arena *a, const char *dc, struct slice key)
{
    return make_key(a, dc, "pairs", NULL, key);
}

struct slice kv_delay_key(struct arena *a, const char *dc, struct slice key)
{
    return make_key(a, dc, "delay", NULL, key);
}

struct slice kv_held_key(struct arena *a, const char *dc, const char *session,
                         struct slice key)
{
    return make_key(a, dc, "held", session, key);
}

struct slice kv_user_key(const char *dc, struct slice key)
{
    struct arena a = {0};
    struct slice prefix = kv_key(&a, dc, (struct slice){0});

    CHECK(slice_starts(key, prefix));
    key = slice_skip(key, prefix.len);
    arena_release(&a);
    return key;
}

struct slice kv_write(struct arena *a, const struct kv_entry *e)
{
    char head[128];
    int len = snprintf(head, sizeof(head), "1 %llu %llu %s\n",
                       (unsigned long long)e->flags,
                       (unsigned long long)e->lock_index,
                       *e->session == '\0' ? "-" : e->session);
    uint8_t *out;

    CHECK(len > 0);
    CHECK((size_t)len < sizeof(head));
    out = arena_alloc(a, (size_t)len + e->value.len);
    memcpy(out, head, (size_t)len);
    if (e->value.len > 0) {
        memcpy(out + len, e->value.data, e->value.len);
    }
    return slice_of(out, (size_t)len + e->value.len);
}

/* Digits and the blank behind them. */
static bool take_number(struct slice *rest, uint64_t *out)
{
    uint64_t value = 0;
    size_t i = 0;

    for (; i < rest->len && rest->data[i] >= '0' && rest->data[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(rest->data[i] - '0');

        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (i == 0 || i == rest->len || rest->data[i] != ' ') {
        return false;
    }
    *rest = slice_skip(*rest, i + 1);
    *out = value;
    return true;
}

void kv_read(struct arena *a, const char *dc, const struct store_kv *kv,
             struct kv_entry *out_entry)
{
    struct slice rest = kv->value;
    struct slice session;
    const uint8_t *line_end = NULL;
    uint64_t version;
    struct kv_entry e = {.session = ""};

    if (take_number(&rest, &version) && version == 1 &&
        take_number(&rest, &e.flags) && take_number(&rest, &e.lock_index)) {
        line_end = memchr(rest.data, '\n', rest.len);
    }
    if (line_end != NULL) {
        session = slice_of(rest.data, (size_t)(line_end - rest.data));
        rest = slice_skip(rest, session.len + 1);
        if (!slice_eq(session, slice_str("-"))) {
            e.session = arena_strdup(a, session);
        }
    } else {
        e = (struct kv_entry){.session = ""};
        rest = kv->value;
    }
    e.key = kv_user_key(dc, kv->key);
    e.value = rest;
    e.create_index = kv->create_revision;
    e.modify_index = kv->mod_revision;
    *out_entry = e;
}
