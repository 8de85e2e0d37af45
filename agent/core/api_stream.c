/*
 * GET /v1/stream?service=a&service=b|prefix=x&index=n
 */
#include "agent/core/api_model.h"

static struct texts services_asked(struct api_call *call)
{
    const char **names =
        arena_zalloc(call->arena, call->params_count + 1, sizeof(*names));
    size_t count = 0;

    for (size_t i = 0; i < call->params_count; i++) {
        if (strcmp(call->params[i].key, "service") == 0) {
            names[count++] = call->params[i].value;
        }
    }
    return (struct texts){names, count};
}

static void refuse(struct api_call *call, const char *what)
{
    api_text(call, 403,
             "Permission denied: a stream needs %s, for it goes on while the "
             "catalogue changes",
             what);
}

/* What will be told is not known yet, so rights are asked for all that may be.
 */
static bool may_follow(struct api_call *call, const struct api_follow *follow)
{
    bool any = follow->prefix != NULL || follow->services.count == 0;
    const char *prefix = follow->prefix == NULL ? "" : follow->prefix;

    for (size_t i = 0; i < follow->services.count; i++) {
        if (!api_demand(call, ACL_SERVICE, follow->services.items[i],
                        ACL_READ)) {
            return false;
        }
    }
    if (any && !acl_may_below(&call->auth, ACL_SERVICE, prefix, ACL_READ)) {
        refuse(call, "service:read for every name with its prefix");
        return false;
    }
    if (!acl_may_below(&call->auth, ACL_NODE, "", ACL_READ)) {
        refuse(call, "node:read for all nodes");
        return false;
    }
    return true;
}

void api_stream(struct api_call *call)
{
    struct api_follow *follow = &call->outcome->follow;

    if (!api_read_index(call, &follow->index)) {
        return;
    }
    if (catalog_revision(call->view->catalog) == 0) {
        api_text(call, 500, "No cluster leader");
        return;
    }
    follow->services = services_asked(call);
    follow->prefix = api_param(call, "prefix");
    if (!may_follow(call, follow)) {
        return;
    }
    api_header(call, "Content-Type", "application/x-ndjson");
    api_header(call, "Cache-Control", "no-store");
    api_header(call, "X-Consul-Index", api_revision_text(call));
    call->outcome->kind = slice_eq(call->request->method, slice_str("HEAD"))
                              ? API_REPLY
                              : API_STREAM;
}
