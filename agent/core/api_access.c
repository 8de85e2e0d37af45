/*
 * Who may do what: the token of a request, what a route asks for, and what a
 * browser can be tricked into.
 */
#include <arpa/inet.h>
#include <strings.h>

#include "agent/core/api_model.h"
#include "agent/core/networks.h"
#include "base/core/check.h"
#include "base/core/limits.h"

/* ---- The token ---------------------------------------------------- */

/* "Bearer SECRET" (RFC 6750, 2.1). */
static struct slice bearer_of(struct slice field)
{
    static const char scheme[] = "Bearer ";
    size_t len = sizeof(scheme) - 1;

    if (field.len < len ||
        strncasecmp((const char *)field.data, scheme, len) != 0) {
        return (struct slice){0};
    }
    field = slice_skip(field, len);
    while (field.len > 0 && field.data[0] == ' ') {
        field = slice_skip(field, 1);
    }
    return field;
}

/* Two tokens in one address: whoever made it meant one of them, and we do not
 * know which. False: the reply is made. */
static bool one_token(struct api_call *call, const char *token)
{
    for (size_t i = 0; i < call->params_count; i++) {
        if (strcmp(call->params[i].key, "token") == 0 &&
            strcmp(call->params[i].value, token) != 0) {
            api_text(call, 400, "Two different values for token");
            return false;
        }
    }
    return true;
}

/* ?token=, X-Consul-Token, Authorization: Bearer. False: the reply is made. */
static bool read_secret(struct api_call *call, struct slice *out_secret)
{
    const struct api_request *r = call->request;
    const char *param = api_param(call, "token");

    if (param != NULL && !one_token(call, param)) {
        return false;
    }
    *out_secret = slice_str(param);
    if (out_secret->len == 0) {
        *out_secret = r->token;
    }
    if (out_secret->len == 0) {
        *out_secret = bearer_of(r->authorization);
    }
    return true;
}

bool api_identify(struct api_call *call)
{
    const struct api_request *r = call->request;
    struct acl *acl = call->view->acl;
    struct acl_caller caller = {.by_socket = r->by_socket && r->has_owner,
                                .uid = r->uid,
                                .groups = r->groups,
                                .groups_count = r->groups_count};

    call->auth = acl_auth_all;
    if (!acl_enabled(acl)) {
        return true;
    }
    if (!read_secret(call, &caller.secret)) {
        return false;
    }
    call->secret = caller.secret;
    if (acl_identify(acl, &caller, &call->auth, &call->own_token) ==
        ACL_FOUND) {
        return true;
    }
    if (catalog_revision(call->view->catalog) == 0) {
        api_text(call, 500, "No cluster leader"); /* We know too little. */
    } else {
        api_text(call, 403, "ACL not found: no token has this secret");
    }
    return false;
}

/* ---- Rights ------------------------------------------------------- */

bool api_may(const struct api_call *call, enum acl_resource resource,
             const char *name, enum acl_access wanted)
{
    return acl_may(&call->auth, resource, name, wanted);
}

static void refuse_right(struct api_call *call, enum acl_resource resource,
                         const char *name, enum acl_access wanted)
{
    const struct acl_auth *auth = &call->auth;
    const char *who =
        auth->anonymous
            ? "anonymous token"
            : arena_printf(call->arena, "token with AccessorID '%s'",
                           auth->accessor);
    const char *on =
        *name == '\0' ? "" : arena_printf(call->arena, " on \"%.300s\"", name);

    api_text(call, 403, "Permission denied: %s lacks permission '%s:%s'%s", who,
             acl_resource_text(resource), acl_access_text(wanted), on);
}

bool api_demand(struct api_call *call, enum acl_resource resource,
                const char *name, enum acl_access wanted)
{
    if (api_may(call, resource, name, wanted)) {
        return true;
    }
    refuse_right(call, resource, name, wanted);
    return false;
}

bool api_sees(struct api_call *call, enum acl_resource resource,
              const char *name)
{
    if (api_may(call, resource, name, ACL_READ)) {
        return true;
    }
    call->filtered = true;
    return false;
}

bool api_sees_instance(struct api_call *call, const struct catalog_instance *i)
{
    return api_sees(call, ACL_SERVICE, i->record.service) &&
           api_sees(call, ACL_NODE, i->record.node);
}

bool api_grant(struct api_call *call, const struct api_need *need)
{
    switch (need->kind) {
    case API_NEED_OPERATOR:
        return api_demand(call, ACL_OPERATOR, "", ACL_WRITE);
    case API_NEED_NOTHING:
    case API_NEED_BY_HANDLER:
        return true;
    case API_NEED_OF_ALL:
        return api_demand(call, need->resource, "", need->access);
    case API_NEED_OF_SELF:
        return api_demand(call, need->resource,
                          local_host(call->view->local)->node.name,
                          need->access);
    case API_NEED_OF_REST:
        return api_demand(call, need->resource, call->rest, need->access);
    }
    UNREACHABLE();
}

const char *api_default_policy(const struct api_call *call)
{
    return acl_enabled(call->view->acl) &&
                   acl_default_policy(call->view->acl) != ACL_DEFAULT_ALLOW
               ? "deny"
               : "allow";
}

/* ---- Where it comes from ------------------------------------------ */

bool api_is_near(const struct api_call *call)
{
    return call->request->by_socket || network_is_loopback(call->request->peer);
}

static bool has_name(struct texts names, struct slice name)
{
    for (size_t i = 0; i < names.count; i++) {
        if (strlen(names.items[i]) == name.len &&
            strncasecmp(names.items[i], (const char *)name.data, name.len) ==
                0) {
            return true;
        }
    }
    return false;
}

static bool is_address(struct slice host)
{
    unsigned char binary[16];
    char text[64];

    if (host.len >= sizeof(text)) {
        return false;
    }
    memcpy(text, host.data, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, binary) == 1 ||
           inet_pton(AF_INET6, text, binary) == 1;
}

/* "name:port" and "[::1]:port" without port and brackets. */
static struct slice without_port(struct slice host)
{
    bool in_brackets = host.len > 0 && host.data[0] == '[';
    const uint8_t *end =
        host.len == 0 ? NULL
                      : memchr(host.data, in_brackets ? ']' : ':', host.len);
    size_t len = end == NULL ? host.len : (size_t)(end - host.data);

    if (!in_brackets || end == NULL) {
        return slice_of(host.data, len);
    }
    if (len + 1 < host.len && host.data[len + 1] != ':') {
        return host; /* Something else behind the bracket. */
    }
    return slice_of(host.data + 1, len - 1);
}

/* DNS rebinding: a page of evil.example may point its own name at 127.0.0.1 and
 * is then, to the browser, one of ours. What it cannot do is to call itself
 * localhost or an address. TLS clients compare names themselves, and browsers
 * cannot reach Unix sockets. */
static bool host_is_ours(const struct api_call *call)
{
    const struct api_request *r = call->request;
    struct slice name = without_port(r->host);

    if (r->by_socket || r->secure || r->host.len == 0) {
        return true;
    }
    return is_address(name) || slice_eq(name, slice_str("localhost")) ||
           has_name(call->view->hosts, name);
}

/* "http://name:port" is that of the page that asks (RFC 6454, 7). */
static bool origin_is_ours(const struct api_call *call)
{
    const struct api_request *r = call->request;
    struct slice origin = r->origin;
    struct slice scheme = slice_str(r->secure ? "https://" : "http://");

    if (origin.len == 0) {
        return true;
    }
    if (!slice_starts(origin, scheme)) {
        return false;
    }
    origin = slice_skip(origin, scheme.len);
    return slice_eq(origin, r->host) || has_name(call->view->hosts, origin);
}

bool api_accept_site(struct api_call *call)
{
    if (!host_is_ours(call)) {
        api_text(call, 403,
                 "Host \"%.*s\" is not one of this agent's names (DNS "
                 "rebinding); if it is, add it to "
                 "http_config.allowed_hosts",
                 (int)(call->request->host.len < 200 ? call->request->host.len
                                                     : 200),
                 (const char *)call->request->host.data);
        return false;
    }
    if (!origin_is_ours(call)) {
        api_text(call, 403,
                 "Pages of \"%.*s\" may not use this agent; to let them, add "
                 "host and port to http_config.allowed_hosts",
                 (int)(call->request->origin.len < 200
                           ? call->request->origin.len
                           : 200),
                 (const char *)call->request->origin.data);
        return false;
    }
    return true;
}

bool api_accept_change(struct api_call *call)
{
    const struct api_request *r = call->request;
    const struct api_view *v = call->view;

    /* Any page in a browser of this host can send requests to loopback. It
     * cannot read the answers, but must not be able to change anything. */
    if (r->from_other_site) {
        api_text(call, 403, "Web pages of other sites may not change anything");
        return false;
    }
    if (!r->by_socket && v->writers != NULL &&
        !network_has(v->writers, v->writers_count, r->peer)) {
        api_text(call, 403,
                 "Changes are not accepted from %.*s; add its network to "
                 "http_config.allow_write_http_from",
                 (int)r->peer.len, (const char *)r->peer.data);
        return false;
    }
    return true;
}
