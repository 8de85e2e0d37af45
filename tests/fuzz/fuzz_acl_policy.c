/*
 * A policy may be any text: Consul's JSON or its HCL. Reading it must not
 * crash, a refusal must come with words; what is accepted keeps its limits, and
 * says the same when it is read again and when its rules are written as JSON.
 */
#include <jansson.h>

#include "agent/core/acl.h"
#include "agent/core/acl_policy.h"
#include "base/core/check.h"
#include "base/core/limits.h"
#include "fuzz.h"

static void same(const struct acl_rules *a, const struct acl_rules *b)
{
    CHECK(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct acl_rule *x = &a->items[i];
        const struct acl_rule *y = &b->items[i];

        CHECK(x->resource == y->resource);
        CHECK(x->prefix == y->prefix);
        CHECK(x->access == y->access);
        CHECK(strcmp(x->name, y->name) == 0);
        CHECK(strlen(x->name) <= LIMIT_ACL_NAME);
    }
}

/* HCL means what the JSON of it means. */
static void as_json(struct arena *a, struct slice text,
                    const struct acl_rules *rules)
{
    struct acl_rules again;
    json_t *json = NULL;
    struct err err;
    char *written;

    if (acl_hcl_parse(text, &json, &err)) {
        return; /* It was JSON itself. */
    }
    written = json_dumps(json, JSON_COMPACT);
    CHECK(written != NULL);
    if (strlen(written) <= LIMIT_ACL_POLICY_BYTES) {
        CHECK(acl_rules_parse(a, slice_str(written), &again, &err) == ST_OK);
        same(rules, &again);
    }
    free(written);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    struct arena a = {0};
    struct acl_rules rules;
    struct acl_rules again;
    struct err err = {0};

    if (acl_rules_parse(&a, text, &rules, &err)) {
        CHECK(err.text[0] != '\0');
    } else {
        CHECK(rules.count <= LIMIT_ACL_RULES);
        CHECK(acl_rules_parse(&a, text, &again, &err) == ST_OK);
        same(&rules, &again);
        as_json(&a, text, &rules);
    }
    arena_release(&a);
    return 0;
}
