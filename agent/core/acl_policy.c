/*
 * Policies as text. HCL is turned into the JSON that means the same; one table
 * then reads both.
 */
#include "agent/core/acl.h"

#include "agent/core/acl_policy.h"
#include "agent/core/fields.h"
#include "base/core/check.h"
#include "base/core/limits.h"

/* ---- The table ---------------------------------------------------- */

static const char *const access_words[] = {"deny", "read", "list", "write",
                                           NULL};
static const char *const plain_words[] = {"deny", "read", "write", NULL};

static const enum acl_access access_of_word[] = {ACL_DENY, ACL_READ, ACL_LIST,
                                                 ACL_WRITE};
static const enum acl_access access_of_plain[] = {ACL_DENY, ACL_READ,
                                                  ACL_WRITE};

enum {
    WORD_MISSING = 100
};

static void entry_init(void *object)
{
    ((struct acl_policy_entry *)object)->word = WORD_MISSING;
}

static enum status entry_finish(struct field_reader *r,
                                const struct json_at *at, void *object)
{
    const struct acl_policy_entry *e = object;

    if (e->word == WORD_MISSING) {
        return field_error(r, at,
                           "policy is missing; say policy = \"read\", "
                           "\"write\" or \"deny\"");
    }
    return ST_OK;
}

#define ENTRY(w)                                            \
    {                                                       \
        {.key = "policy",                                   \
         .kind = FIELD_WORD,                                \
         .offset = offsetof(struct acl_policy_entry, word), \
         .words = (w)},                                     \
            {.key = "intentions", .kind = FIELD_ANY},       \
            {.key = "sentinel", .kind = FIELD_ANY},         \
    }

static const struct field entry_items[] = ENTRY(plain_words);
static const struct field key_items[] = ENTRY(access_words);

static const struct fields entry_fields = {
    .items = entry_items,
    .count = 3,
    .size = sizeof(struct acl_policy_entry),
    .init = entry_init,
    .finish = entry_finish,
};

static const struct fields key_fields = {
    .items = key_items,
    .count = 3,
    .size = sizeof(struct acl_policy_entry),
    .init = entry_init,
    .finish = entry_finish,
};

#define NAMES(k, resource, is_prefix, fields)                              \
    {                                                                      \
        .key = k, .kind = FIELD_MAP, .max = LIMIT_ACL_RULES,               \
        .offset =                                                          \
            offsetof(struct acl_policy, names[resource][is_prefix].items), \
        .count_offset =                                                    \
            offsetof(struct acl_policy, names[resource][is_prefix].count), \
        .sub = &(fields)                                                   \
    }

#define WHOLE(k, resource)                                     \
    {                                                          \
        .key = k, .kind = FIELD_WORD, .words = plain_words,    \
        .offset = offsetof(struct acl_policy, whole[resource]) \
    }

static const struct field policy_items[] = {
    NAMES("agent", ACL_AGENT, 0, entry_fields),
    NAMES("agent_prefix", ACL_AGENT, 1, entry_fields),
    NAMES("event", ACL_EVENT, 0, entry_fields),
    NAMES("event_prefix", ACL_EVENT, 1, entry_fields),
    NAMES("key", ACL_KEY, 0, key_fields),
    NAMES("key_prefix", ACL_KEY, 1, key_fields),
    NAMES("node", ACL_NODE, 0, entry_fields),
    NAMES("node_prefix", ACL_NODE, 1, entry_fields),
    NAMES("query", ACL_QUERY, 0, entry_fields),
    NAMES("query_prefix", ACL_QUERY, 1, entry_fields),
    NAMES("service", ACL_SERVICE, 0, entry_fields),
    NAMES("service_prefix", ACL_SERVICE, 1, entry_fields),
    NAMES("session", ACL_SESSION, 0, entry_fields),
    NAMES("session_prefix", ACL_SESSION, 1, entry_fields),
    WHOLE("acl", ACL_ACL),
    WHOLE("operator", ACL_OPERATOR),
    /* Consul's, of things that do not exist here. */
    {.key = "keyring", .kind = FIELD_ANY},
    {.key = "mesh", .kind = FIELD_ANY},
    {.key = "peering", .kind = FIELD_ANY},
    {.key = "identity", .kind = FIELD_ANY},
    {.key = "identity_prefix", .kind = FIELD_ANY},
};

static void policy_init(void *object)
{
    struct acl_policy *p = object;

    p->whole[ACL_ACL] = WORD_MISSING;
    p->whole[ACL_OPERATOR] = WORD_MISSING;
}

const struct fields acl_policy_fields = {
    .items = policy_items,
    .count = sizeof(policy_items) / sizeof(policy_items[0]),
    .size = sizeof(struct acl_policy),
    .init = policy_init,
};

/* ---- From the table to rules -------------------------------------- */

static size_t rules_count(const struct acl_policy *p)
{
    size_t count = 2; /* acl and operator. */

    for (int i = 0; i < ACL_RESOURCES; i++) {
        count += p->names[i][0].count + p->names[i][1].count;
    }
    return count;
}

static void add_names(struct acl_rule *items, size_t *count,
                      const struct acl_policy *p, enum acl_resource resource,
                      bool prefix)
{
    const struct acl_policy_names *names = &p->names[resource][prefix];

    for (size_t i = 0; i < names->count; i++) {
        const struct acl_policy_entry *e = &names->items[i];

        items[(*count)++] = (struct acl_rule){
            .resource = resource,
            .prefix = prefix,
            .access = resource == ACL_KEY ? access_of_word[e->word]
                                          : access_of_plain[e->word],
            .name = e->name,
        };
    }
}

static struct acl_rules rules_of(struct arena *a, const struct acl_policy *p)
{
    struct acl_rule *items = arena_zalloc(a, rules_count(p), sizeof(*items));
    size_t count = 0;

    for (int i = 0; i < ACL_RESOURCES; i++) {
        enum acl_resource resource = (enum acl_resource)i;
        bool is_whole = resource == ACL_ACL || resource == ACL_OPERATOR;

        add_names(items, &count, p, resource, false);
        add_names(items, &count, p, resource, true);
        if (is_whole && p->whole[i] != WORD_MISSING) {
            items[count++] =
                (struct acl_rule){.resource = resource,
                                  .prefix = true,
                                  .access = access_of_plain[p->whole[i]],
                                  .name = ""};
        }
    }
    return (struct acl_rules){.items = items, .count = count};
}

/* ---- From text ---------------------------------------------------- */

static bool is_blank(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(" \t\r\n", text.data[i]) == NULL || text.data[i] == 0) {
            return false;
        }
    }
    return true;
}

static bool is_json(struct slice text)
{
    size_t i = 0;

    while (i < text.len && text.data[i] != 0 &&
           strchr(" \t\r\n", text.data[i]) != NULL) {
        i++;
    }
    return i < text.len && text.data[i] == '{';
}

static enum status parse_hcl(struct field_reader *r, struct acl_policy *p)
{
    struct slice text = r->text;
    struct json_at root = {0};
    json_t *json = NULL;
    enum status st = acl_hcl_parse(text, &json, r->err);

    if (st == ST_OK) {
        r->text = (struct slice){0}; /* Its lines are not the JSON's. */
        st = fields_read(r, &root, &acl_policy_fields, json, p);
        r->text = text;
    }
    json_decref(json);
    return st;
}

enum status acl_rules_parse(struct arena *a, struct slice text,
                            struct acl_rules *out_rules, struct err *err)
{
    struct acl_policy policy = {0};
    struct field_reader r = {
        .arena = a, .text = text, .unknown = FIELD_UNKNOWN_REFUSED, .err = err};
    enum status st;

    if (text.len > LIMIT_ACL_POLICY_BYTES) {
        return err_set(err, ST_TOO_BIG, "a policy has at most %lu bytes",
                       LIMIT_ACL_POLICY_BYTES);
    }
    if (is_blank(text)) {
        *out_rules = (struct acl_rules){0};
        return ST_OK;
    }
    st = is_json(text) ? fields_parse(&r, &acl_policy_fields,
                                      LIMIT_ACL_POLICY_BYTES, &policy)
                       : parse_hcl(&r, &policy);
    if (st) {
        return st;
    }
    if (rules_count(&policy) > LIMIT_ACL_RULES) {
        return err_set(err, ST_TOO_BIG, "a policy has at most %d rules",
                       LIMIT_ACL_RULES - 2);
    }
    *out_rules = rules_of(a, &policy);
    return ST_OK;
}
