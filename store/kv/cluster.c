#include "store/kv/cluster.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/pb.h"
#include "base/core/row.h"
#include "store/kv/pending.h"

struct strings {
    char **list;
    size_t count;
};

static char *text_copy(struct slice s)
{
    char *copy = malloc(s.len + 1);

    CHECK(copy != NULL);
    if (s.len > 0) {
        memcpy(copy, s.data, s.len);
    }
    copy[s.len] = '\0';
    return copy;
}

static void strings_add(struct strings *s, struct slice text)
{
    s->list = realloc(s->list, (s->count + 1) * sizeof(char *));
    CHECK(s->list != NULL);
    s->list[s->count++] = text_copy(text);
}

static void strings_free(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i]);
    }
    free(list);
}

static void member_release(struct kv_member *m)
{
    free(m->name);
    strings_free(m->peer_urls, m->peer_urls_count);
    strings_free(m->client_urls, m->client_urls_count);
}

void cluster_release(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        member_release(&c->list[i]);
    }
    free(c->list);
    free(c->version);
    free(c->removed);
    buf_release(&c->conf_state);
    *c = (struct cluster){0};
}

/* Where the member is or belongs. */
static size_t member_place(const struct cluster *c, uint64_t id)
{
    size_t at = 0;

    while (at < c->count && c->list[at].id < id) {
        at++;
    }
    return at;
}

static struct kv_member *member_find(const struct cluster *c, uint64_t id)
{
    size_t at = member_place(c, id);

    return at < c->count && c->list[at].id == id ? &c->list[at] : NULL;
}

/* Takes over the member; replaces the one of its id. */
static void member_set(struct cluster *c, struct kv_member m)
{
    struct kv_member *present = member_find(c, m.id);
    size_t at = member_place(c, m.id);

    if (present != NULL) {
        member_release(present);
        *present = m;
        return;
    }
    c->list = realloc(c->list, (c->count + 1) * sizeof(m));
    CHECK(c->list != NULL);
    memmove(&c->list[at + 1], &c->list[at], (c->count - at) * sizeof(m));
    c->list[at] = m;
    c->count++;
}

static void member_drop(struct cluster *c, uint64_t id)
{
    struct kv_member *m = member_find(c, id);
    size_t behind;

    if (m == NULL) {
        return;
    }
    member_release(m);
    behind = (size_t)(c->list + c->count - (m + 1));
    memmove(m, m + 1, behind * sizeof(*m));
    c->count--;
}

/* ----------------------------------------------------------------- JSON -- */

static struct slice json_text(const json_t *value)
{
    return json_is_string(value)
               ? slice_of(json_string_value(value), json_string_length(value))
               : slice_of(NULL, 0);
}

static struct strings json_texts(const json_t *array)
{
    struct strings s = {0};
    json_t *element;
    size_t i;

    json_array_foreach(array, i, element)
    {
        strings_add(&s, json_text(element));
    }
    return s;
}

/* Ids are unsigned 64 bit numbers, which jansson cannot hold as integers; they
 * are known from elsewhere, so it may take them as reals. false: not JSON. */
static bool member_parse(uint64_t id, struct slice text,
                         struct kv_member *out_member)
{
    json_t *root = text.len == 0 ? NULL
                                 : json_loadb((const char *)text.data, text.len,
                                              JSON_DECODE_INT_AS_REAL, NULL);
    struct kv_member m = {.id = id};
    struct strings urls;

    m.name = text_copy(json_text(json_object_get(root, "name")));
    urls = json_texts(json_object_get(root, "peerURLs"));
    m.peer_urls = urls.list;
    m.peer_urls_count = urls.count;
    urls = json_texts(json_object_get(root, "clientURLs"));
    m.client_urls = urls.list;
    m.client_urls_count = urls.count;
    m.is_learner = json_is_true(json_object_get(root, "isLearner"));
    *out_member = m;
    json_decref(root);
    return root != NULL;
}

static json_t *texts_to_json(char *const *list, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(array, json_string(list[i]));
    }
    return array;
}

/* The id goes in by hand: see member_parse(). */
void kv_member_json(const struct kv_member *m, struct buf *out)
{
    json_t *root = json_object();
    char *text;

    json_object_set_new(root, "peerURLs",
                        texts_to_json(m->peer_urls, m->peer_urls_count));
    if (m->is_learner) {
        json_object_set_new(root, "isLearner", json_true());
    }
    if (m->name[0] != '\0') {
        json_object_set_new(root, "name", json_string(m->name));
    }
    if (m->client_urls_count > 0) {
        json_object_set_new(
            root, "clientURLs",
            texts_to_json(m->client_urls, m->client_urls_count));
    }
    text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);
    CHECK(text != NULL);
    CHECK(buf_addf(out, "{\"id\":%llu,", (unsigned long long)m->id) == ST_OK);
    CHECK(buf_add_str(out, text + 1) == ST_OK);
    free(text);
    json_decref(root);
}

/* ----------------------------------------------------------------- rows -- */

static struct slice member_row_key(uint64_t id, char out[17])
{
    int len = snprintf(out, 17, "%llx", (unsigned long long)id);

    return slice_of(out, (size_t)len);
}

static void member_note(const struct kv_member *m, struct pending *pending)
{
    char key[17];
    struct buf row;

    buf_init(&row, SIZE_MAX);
    kv_member_json(m, &row);
    pending_note(pending, TABLE_MEMBERS, member_row_key(m->id, key),
                 buf_slice(&row));
    buf_release(&row);
}

static bool row_id(struct slice row_key, uint64_t *out_id)
{
    char text[17] = {0};
    char *end;

    if (row_key.len == 0 || row_key.len >= sizeof(text)) {
        return false;
    }
    memcpy(text, row_key.data, row_key.len);
    *out_id = strtoull(text, &end, 16);
    return *end == '\0';
}

bool cluster_restore_member(struct cluster *c, struct slice row_key,
                            struct slice row)
{
    struct kv_member m;
    uint64_t id;

    if (!row_id(row_key, &id)) {
        return false;
    }
    if (!member_parse(id, row, &m)) {
        member_release(&m);
        return false;
    }
    member_set(c, m);
    return true;
}

static bool was_removed(const struct cluster *c, uint64_t id)
{
    for (size_t i = 0; i < c->removed_count; i++) {
        if (c->removed[i] == id) {
            return true;
        }
    }
    return false;
}

static void removed_add(struct cluster *c, uint64_t id)
{
    if (!was_removed(c, id)) {
        c->removed = row_room(c->removed, &c->removed_cap, c->removed_count,
                              sizeof(c->removed[0]));
        c->removed[c->removed_count++] = id;
    }
}

bool cluster_restore_removed(struct cluster *c, struct slice row_key)
{
    uint64_t id;

    if (!row_id(row_key, &id)) {
        return false;
    }
    removed_add(c, id);
    return true;
}

void cluster_restore_conf_state(struct cluster *c, struct slice row)
{
    buf_release(&c->conf_state);
    buf_init(&c->conf_state, SIZE_MAX);
    CHECK(buf_add(&c->conf_state, row) == ST_OK);
}

void cluster_set_conf_state(struct cluster *c, struct slice json,
                            struct pending *pending)
{
    cluster_restore_conf_state(c, json);
    pending_note(pending, TABLE_META, slice_str("confState"), json);
}

void cluster_restore_version(struct cluster *c, struct slice row)
{
    free(c->version);
    c->version = text_copy(row);
}

/* --------------------------------------------------------------- change -- */

static bool is_promotion(const struct kv_membership *m)
{
    json_t *root;
    bool promote;

    if (m->change != KV_MEMBER_ADD || m->context.len == 0) {
        return false;
    }
    root = json_loadb((const char *)m->context.data, m->context.len,
                      JSON_DECODE_INT_AS_REAL, NULL);
    promote = json_is_true(json_object_get(root, "isPromote"));
    json_decref(root);
    return promote;
}

/* Whether another member listens at one of the URLs. */
static bool url_is_taken(const struct cluster *c, const struct kv_member *m)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct kv_member *other = &c->list[i];

        for (size_t j = 0; other->id != m->id && j < other->peer_urls_count;
             j++) {
            for (size_t k = 0; k < m->peer_urls_count; k++) {
                if (strcmp(other->peer_urls[j], m->peer_urls[k]) == 0) {
                    return true;
                }
            }
        }
    }
    return false;
}

enum {
    LEARNERS_MAX = 1 /* As etcd's default. */
};

static size_t learners(const struct cluster *c)
{
    size_t count = 0;

    for (size_t i = 0; i < c->count; i++) {
        count += c->list[i].is_learner;
    }
    return count;
}

static enum kv_error check_urls(const struct cluster *c,
                                const struct kv_membership *change)
{
    struct kv_member m;
    bool taken;

    (void)member_parse(change->id, change->context, &m);
    taken = url_is_taken(c, &m);
    member_release(&m);
    return taken ? KV_PEER_URL_EXISTS : KV_OK;
}

static enum kv_error check_add(const struct cluster *c,
                               const struct kv_membership *m)
{
    const struct kv_member *present = member_find(c, m->id);
    enum kv_error e;

    if (is_promotion(m)) {
        return present == NULL        ? KV_MEMBER_NOT_FOUND
               : !present->is_learner ? KV_MEMBER_NOT_LEARNER
                                      : KV_OK;
    }
    if (present != NULL) {
        return KV_MEMBER_EXISTS;
    }
    e = check_urls(c, m);
    if (e) {
        return e;
    }
    return m->change == KV_MEMBER_ADD_LEARNER && learners(c) >= LEARNERS_MAX
               ? KV_TOO_MANY_LEARNERS
               : KV_OK;
}

/* etcd's ValidateConfigurationChange. */
enum kv_error cluster_check(const struct cluster *c,
                            const struct kv_membership *m)
{
    if (was_removed(c, m->id)) {
        return KV_MEMBER_NOT_FOUND;
    }
    switch (m->change) {
    case KV_MEMBER_ADD:
    case KV_MEMBER_ADD_LEARNER:
        return check_add(c, m);
    case KV_MEMBER_REMOVE:
        return member_find(c, m->id) == NULL ? KV_MEMBER_NOT_FOUND : KV_OK;
    case KV_MEMBER_UPDATE:
        return member_find(c, m->id) == NULL ? KV_MEMBER_NOT_FOUND
                                             : check_urls(c, m);
    }
    return KV_MALFORMED;
}

static void change_remove(struct cluster *c, uint64_t id,
                          struct pending *pending)
{
    char key[17];

    member_drop(c, id);
    removed_add(c, id);
    pending_note_remove(pending, TABLE_MEMBERS, member_row_key(id, key));
    pending_note(pending, TABLE_MEMBERS_REMOVED, member_row_key(id, key),
                 slice_str("removed"));
}

/* Promoting or updating says nothing of what the member has published about
 * itself. */
static void keep_attributes(struct kv_member *m, struct kv_member *present)
{
    free(m->name);
    strings_free(m->client_urls, m->client_urls_count);
    m->name = present->name;
    m->client_urls = present->client_urls;
    m->client_urls_count = present->client_urls_count;
    present->name = NULL;
    present->client_urls = NULL;
    present->client_urls_count = 0;
}

void cluster_change(struct cluster *c, const struct kv_membership *change,
                    struct pending *pending)
{
    struct kv_member *present = member_find(c, change->id);
    struct kv_member m;

    if (change->change == KV_MEMBER_REMOVE) {
        change_remove(c, change->id, pending);
        return;
    }
    if (present != NULL && is_promotion(change)) {
        present->is_learner = false;
        member_note(present, pending);
        return;
    }
    (void)member_parse(change->id, change->context, &m);
    m.is_learner = change->change == KV_MEMBER_ADD_LEARNER ||
                   (change->change == KV_MEMBER_UPDATE && present != NULL &&
                    present->is_learner);
    if (present != NULL) {
        keep_attributes(&m, present);
    }
    member_set(c, m);
    member_note(member_find(c, change->id), pending);
}

static bool attributes_parse(struct slice bytes, struct strings *urls,
                             struct slice *name)
{
    struct pb_field field;

    while (pb_next(&bytes, &field)) {
        if (field.type != PB_BYTES) {
            continue;
        }
        if (field.number == 1) {
            *name = field.bytes;
        } else if (field.number == 2) {
            strings_add(urls, field.bytes);
        }
    }
    return bytes.len == 0;
}

enum kv_error cluster_set_attributes(struct cluster *c, struct slice request,
                                     struct pending *pending)
{
    struct strings urls = {0};
    struct slice name = {0};
    struct pb_field field;
    struct kv_member *m;
    bool fine = true;
    uint64_t id = 0;

    while (pb_next(&request, &field)) {
        if (field.number == 1) {
            id = field.value;
        } else if (field.number == 2) {
            fine = fine && attributes_parse(field.bytes, &urls, &name);
        }
    }
    m = member_find(c, id);
    if (request.len > 0 || !fine || m == NULL) {
        strings_free(urls.list, urls.count);
        return m == NULL ? KV_MEMBER_NOT_FOUND : KV_MALFORMED;
    }
    free(m->name);
    strings_free(m->client_urls, m->client_urls_count);
    m->name = text_copy(name);
    m->client_urls = urls.list;
    m->client_urls_count = urls.count;
    member_note(m, pending);
    return KV_OK;
}

enum kv_error cluster_set_version(struct cluster *c, struct slice request,
                                  struct pending *pending)
{
    struct pb_field field;

    while (pb_next(&request, &field)) {
        if (field.number == 1 && field.type == PB_BYTES) {
            cluster_restore_version(c, field.bytes);
            pending_note(pending, TABLE_CLUSTER, slice_str("clusterVersion"),
                         field.bytes);
        }
    }
    return request.len > 0 ? KV_MALFORMED : KV_OK;
}
