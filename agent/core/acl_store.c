/*
 * What the store says about tokens and policies.
 */
#include <stdlib.h>

#include "agent/core/acl_model.h"
#include "agent/core/acl_record.h"
#include "base/core/check.h"
#include "base/core/limits.h"

/* ---- Keys --------------------------------------------------------- */

enum key_kind {
    KEY_TOKEN,
    KEY_POLICY,
    KEY_BOOTSTRAP,
    KEY_OTHER
};

static const char *const folders[] = {
    [KEY_TOKEN] = "token/", [KEY_POLICY] = "policy/"};

static struct slice key_of(const struct acl *t, struct arena *a,
                           const char *folder, const char *name)
{
    struct slice root = record_folder(a, t->datacenter, "acl");
    const char *key = arena_printf(a, "%.*s%s%s", (int)root.len,
                                   (const char *)root.data, folder, name);

    return slice_str(key);
}

struct slice acl_token_key(const struct acl *t, struct arena *a,
                           const char *accessor)
{
    return key_of(t, a, folders[KEY_TOKEN], accessor);
}

struct slice acl_policy_key(const struct acl *t, struct arena *a,
                            const char *name)
{
    return key_of(t, a, folders[KEY_POLICY], name);
}

struct slice acl_bootstrap_key(const struct acl *t, struct arena *a)
{
    return key_of(t, a, "bootstrap", "");
}

/* *out_name, not ended, is the part behind the folder. */
static enum key_kind kind_of(const struct acl *t, struct slice key,
                             struct slice *out_name)
{
    struct arena a = {0};
    struct slice root = record_folder(&a, t->datacenter, "acl");
    enum key_kind kind = KEY_OTHER;
    struct slice rest;

    if (slice_starts(key, root)) {
        rest = slice_skip(key, root.len);
        if (slice_eq(rest, slice_str("bootstrap"))) {
            kind = KEY_BOOTSTRAP;
        }
        for (int i = KEY_TOKEN; i <= KEY_POLICY; i++) {
            struct slice folder = slice_str(folders[i]);

            if (slice_starts(rest, folder) && rest.len > folder.len) {
                kind = (enum key_kind)i;
                *out_name = slice_skip(rest, folder.len);
            }
        }
    }
    arena_release(&a);
    return kind;
}

/* ---- One record --------------------------------------------------- */

static struct policy_box *policy_of_key(const struct acl *t, struct slice key)
{
    struct policy_box *p, *next;

    HASH_ITER(hh, t->policies, p, next)
    {
        if (p->pub.from_store && slice_eq(p->pub.key, key)) {
            return p;
        }
    }
    return NULL;
}

static struct token_box *token_of_name(const struct acl *t, struct slice name)
{
    struct token_box *k;

    HASH_FIND(by_accessor, t->tokens, name.data, name.len, k);
    return k != NULL && k->pub.from_store ? k : NULL;
}

/* The same id in the configuration, which wins. */
static bool is_ours(const struct acl *t, const char *accessor)
{
    struct token_box *k;

    HASH_FIND(by_accessor, t->tokens, accessor, strlen(accessor), k);
    return k != NULL && !k->pub.from_store;
}

static void token_box_free(struct token_box *k)
{
    arena_release(&k->arena);
    free(k);
}

static bool read_token(struct acl *t, const struct catalog_event *e,
                       struct slice name)
{
    struct token_box *k = calloc(1, sizeof(*k));
    struct acl_token_record r;
    struct err err;

    CHECK(k != NULL);
    if (acl_tokens_count(t) >= LIMIT_ACL_TOKENS ||
        acl_token_read(&k->arena, e->value, &r, &err) ||
        !slice_eq(slice_str(r.accessor), name) || is_ours(t, r.accessor)) {
        token_box_free(k);
        return false;
    }
    CHECK(acl_hash_read(r.hash, k->hash) == ST_OK); /* Looked at before. */
    k->pub = (struct acl_token_item){
        .accessor = r.accessor,
        .description = r.description,
        .policies = r.policies,
        .created_s = r.created_s,
        .from_store = true,
        .key = arena_copy(&k->arena, e->key),
        .create_revision = e->create_revision,
        .mod_revision = e->mod_revision,
    };
    k->kept = true;
    acl_put_token(t, k);
    return true;
}

static bool read_policy(struct acl *t, const struct catalog_event *e,
                        struct slice name)
{
    struct policy_box *p = calloc(1, sizeof(*p));
    const struct acl_policy_item *same;
    struct acl_policy_record r;
    struct err err;
    bool good;

    CHECK(p != NULL);
    good = acl_policies_count(t) < LIMIT_ACL_POLICIES &&
           acl_policy_read(&p->arena, e->value, &r, &err) == ST_OK &&
           slice_eq(slice_str(r.name), name) &&
           acl_rules_parse(&p->arena, slice_str(r.text), &p->pub.rules, &err) ==
               ST_OK;
    same = good ? acl_policy_by_id(t, r.id) : NULL;
    if (!good || (same != NULL && !same->from_store)) {
        arena_release(&p->arena);
        free(p);
        return false;
    }
    p->pub.id = r.id;
    p->pub.name = r.name;
    p->pub.description = r.description;
    p->pub.text = r.text;
    p->pub.from_store = true;
    p->pub.key = arena_copy(&p->arena, e->key);
    p->pub.create_revision = e->create_revision;
    p->pub.mod_revision = e->mod_revision;
    p->kept = true;
    acl_put_policy(t, p);
    return true;
}

static void drop_key(struct acl *t, enum key_kind kind, struct slice key,
                     struct slice name)
{
    struct policy_box *p;
    struct token_box *k;

    if (kind == KEY_BOOTSTRAP) {
        t->bootstrap_revision = 0;
    } else if (kind == KEY_TOKEN) {
        k = token_of_name(t, name);
        if (k != NULL) {
            acl_drop_token(t, k);
        }
    } else {
        p = policy_of_key(t, key);
        if (p != NULL) {
            acl_drop_policy(t, p);
        }
    }
}

static void apply_one(struct acl *t, const struct catalog_event *e)
{
    struct slice name = {0};
    enum key_kind kind = kind_of(t, e->key, &name);
    bool stays = !e->deleted;

    if (kind == KEY_OTHER) {
        return;
    }
    if (stays && kind == KEY_TOKEN) {
        stays = read_token(t, e, name);
    } else if (stays && kind == KEY_POLICY) {
        stays = read_policy(t, e, name);
    } else if (stays) {
        t->bootstrap_revision = e->mod_revision;
        t->bootstrap_kept = true;
    }
    if (!stays) {
        drop_key(t, kind, e->key, name);
    }
}

/* ---- All of it ---------------------------------------------------- */

static void forget_kept(struct acl *t)
{
    struct policy_box *p, *next_p;
    struct token_box *k, *next_k;

    HASH_ITER(hh, t->policies, p, next_p)
    {
        p->kept = !p->pub.from_store;
    }
    HASH_ITER(by_accessor, t->tokens, k, next_k)
    {
        k->kept = !k->pub.from_store;
    }
    t->bootstrap_kept = false;
}

static void sweep(struct acl *t)
{
    struct policy_box *p, *next_p;
    struct token_box *k, *next_k;

    HASH_ITER(hh, t->policies, p, next_p)
    {
        if (!p->kept) {
            acl_drop_policy(t, p);
        }
    }
    HASH_ITER(by_accessor, t->tokens, k, next_k)
    {
        if (!k->kept) {
            acl_drop_token(t, k);
        }
    }
    if (!t->bootstrap_kept) {
        t->bootstrap_revision = 0;
    }
}

void acl_apply(struct acl *t, const struct catalog_event *events,
               size_t events_count, bool full)
{
    if (full) {
        forget_kept(t);
    }
    for (size_t i = 0; i < events_count; i++) {
        apply_one(t, &events[i]);
    }
    if (full) {
        sweep(t);
    }
}
