#include "agent/core/acl.h"

#include <stdlib.h>
#include <strings.h>

#include "base/core/check.h"

const struct acl_auth acl_auth_all = {
    .otherwise = ACL_WRITE, .management = true, .accessor = ""};

const char *acl_resource_text(enum acl_resource resource)
{
    static const char *const texts[ACL_RESOURCES] = {
        [ACL_ACL] = "acl",         [ACL_AGENT] = "agent",
        [ACL_EVENT] = "event",     [ACL_KEY] = "key",
        [ACL_NODE] = "node",       [ACL_OPERATOR] = "operator",
        [ACL_QUERY] = "query",     [ACL_SERVICE] = "service",
        [ACL_SESSION] = "session",
    };

    CHECK(resource < ACL_RESOURCES);
    return texts[resource];
}

const char *acl_access_text(enum acl_access access)
{
    switch (access) {
    case ACL_UNSAID:
        return "";
    case ACL_DENY:
        return "deny";
    case ACL_READ:
        return "read";
    case ACL_LIST:
        return "list";
    case ACL_WRITE:
        return "write";
    }
    UNREACHABLE();
}

/* ---- Names -------------------------------------------------------- */

static bool has_case(enum acl_resource resource)
{
    return resource == ACL_KEY || resource == ACL_EVENT;
}

static int compare_names(enum acl_resource resource, const char *a,
                         const char *b)
{
    return has_case(resource) ? strcmp(a, b) : strcasecmp(a, b);
}

static bool name_starts(enum acl_resource resource, const char *name,
                        const char *prefix)
{
    size_t len = strlen(prefix);

    return has_case(resource) ? strncmp(name, prefix, len) == 0
                              : strncasecmp(name, prefix, len) == 0;
}

/* ---- Merging ------------------------------------------------------ */

/* By resource; exact names first, then prefixes, the longer ones before the
 * shorter: the first rule that fits is the one that counts. */
static int compare_places(const struct acl_rule *a, const struct acl_rule *b)
{
    size_t len_a = strlen(a->name);
    size_t len_b = strlen(b->name);

    if (a->resource != b->resource) {
        return a->resource < b->resource ? -1 : 1;
    }
    if (a->prefix != b->prefix) {
        return a->prefix ? 1 : -1;
    }
    if (len_a != len_b) {
        return len_a > len_b ? -1 : 1;
    }
    return compare_names(a->resource, a->name, b->name);
}

/* Deny before everything else, then the most that is given. */
static int strength(enum acl_access access)
{
    return access == ACL_DENY ? ACL_WRITE + 1 : (int)access;
}

static int compare_rules(const void *a, const void *b)
{
    const struct acl_rule *x = a;
    const struct acl_rule *y = b;
    int order = compare_places(x, y);

    return order != 0 ? order : strength(y->access) - strength(x->access);
}

struct acl_rules acl_rules_merge(struct arena *a,
                                 const struct acl_rules *const *parts,
                                 size_t parts_count)
{
    size_t count = 0;
    size_t kept = 0;
    struct acl_rule *all;

    for (size_t i = 0; i < parts_count; i++) {
        count += parts[i]->count;
    }
    all = arena_zalloc(a, count, sizeof(*all));
    count = 0;
    for (size_t i = 0; i < parts_count; i++) {
        for (size_t k = 0; k < parts[i]->count; k++) {
            all[count++] = parts[i]->items[k];
        }
    }
    if (count > 1) {
        qsort(all, count, sizeof(*all), compare_rules);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || compare_places(&all[kept - 1], &all[i]) != 0) {
            all[kept++] = all[i];
        }
    }
    return (struct acl_rules){.items = all, .count = kept};
}

/* ---- Questions ---------------------------------------------------- */

static bool rule_fits(const struct acl_rule *r, enum acl_resource resource,
                      const char *name)
{
    if (r->resource != resource) {
        return false;
    }
    return r->prefix ? name_starts(resource, name, r->name)
                     : compare_names(resource, name, r->name) == 0;
}

static enum acl_access access_otherwise(const struct acl_auth *auth,
                                        enum acl_resource resource)
{
    /* Who may see and make tokens is never left to a default. */
    return resource == ACL_ACL ? ACL_DENY : auth->otherwise;
}

enum acl_access acl_access_to(const struct acl_auth *auth,
                              enum acl_resource resource, const char *name)
{
    CHECK(resource < ACL_RESOURCES);
    if (auth->management) {
        return ACL_WRITE;
    }
    for (size_t i = 0; i < auth->rules.count; i++) {
        if (rule_fits(&auth->rules.items[i], resource, name)) {
            return auth->rules.items[i].access;
        }
    }
    return access_otherwise(auth, resource);
}

static bool suffices(enum acl_access given, enum acl_access wanted)
{
    CHECK(wanted >= ACL_READ);
    return given >= wanted;
}

bool acl_may(const struct acl_auth *auth, enum acl_resource resource,
             const char *name, enum acl_access wanted)
{
    return suffices(acl_access_to(auth, resource, name), wanted);
}

bool acl_may_below(const struct acl_auth *auth, enum acl_resource resource,
                   const char *prefix, enum acl_access wanted)
{
    enum acl_access given = access_otherwise(auth, resource);

    CHECK(resource < ACL_RESOURCES);
    if (auth->management) {
        return true;
    }
    for (size_t i = 0; i < auth->rules.count; i++) {
        const struct acl_rule *r = &auth->rules.items[i];

        if (r->resource != resource) {
            continue;
        }
        if (name_starts(resource, r->name, prefix) &&
            !suffices(r->access, wanted)) {
            return false; /* There is something below that may not. */
        }
    }
    for (size_t i = 0; i < auth->rules.count; i++) {
        const struct acl_rule *r = &auth->rules.items[i];

        /* An exact rule is about one name; what is below it differs. */
        if (r->prefix && rule_fits(r, resource, prefix)) {
            given = r->access;
            break;
        }
    }
    return suffices(given, wanted);
}
