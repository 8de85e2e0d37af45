/*
 * Registrations, check updates and maintenance of this agent.
 */
#include <strings.h>

#include "agent/core/api_model.h"
#include "agent/core/fields.h"
#include "base/core/check.h"

/* What a refused change is called in HTTP. */
static void refuse(struct api_call *call, enum status st, const struct err *err)
{
    int code = 400;

    if (st == ST_NOT_FOUND) {
        code = 404;
    } else if (st == ST_DENIED) {
        code = 403;
    } else if (st == ST_EXISTS) {
        code = 409;
    } else if (st == ST_TOO_BIG) {
        code = 413;
    }
    api_text(call, code, "%s", err->text);
}

static struct definitions *read_body(struct api_call *call,
                                     enum definition_form form)
{
    struct definitions *defs = NULL;
    struct err err;
    enum status st =
        definitions_parse(form, "-", call->request->body, &defs, &err);

    if (st == ST_TOO_BIG) {
        api_text(call, 413, "%s", err.text);
    } else if (st) {
        api_text(call, 400, "Request decode failed: %s", err.text);
    }
    return defs;
}

/* A header's value; what does not fit is counted. */
#define WARNING_BYTES 1024

static char *warnings_text(struct api_call *call,
                           const struct definitions *defs)
{
    size_t count = definitions_warnings_count(defs);
    const char *text = definitions_warning(defs, 0);

    for (size_t i = 1; i < count; i++) {
        const char *more = definitions_warning(defs, i);

        if (strlen(text) + strlen(more) > WARNING_BYTES) {
            return arena_printf(call->arena, "%s; and %zu more", text,
                                count - i);
        }
        text = arena_printf(call->arena, "%s; %s", text, more);
    }
    return arena_strdup(call->arena, slice_str(text));
}

/* Unknown fields and the like, where curl -v shows them. The text quotes the
 * body, so it must not be able to end the header. */
static void warn(struct api_call *call, const struct definitions *defs)
{
    char *text;

    if (definitions_warnings_count(defs) == 0) {
        return;
    }
    text = warnings_text(call, defs);
    for (char *c = text; *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7e) {
            *c = '?';
        }
    }
    api_header(call, "X-Muster-Warning", text);
}

/* ---- Who may ------------------------------------------------------ */

static bool runs_programs(const struct check_def *checks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (checks[i].type == CHECK_TYPE_EXEC) {
            return true;
        }
    }
    return false;
}

/* Programs that run here are not taken from strangers, whatever else is
 * allowed. False: the reply is made. */
static bool accept_programs(struct api_call *call,
                            const struct definitions *defs)
{
    bool found = false;

    for (size_t i = 0; i < definitions_services_count(defs); i++) {
        const struct service_def *s = definitions_service(defs, i);

        found = found || runs_programs(s->checks, s->checks_count);
    }
    for (size_t i = 0; i < definitions_checks_count(defs); i++) {
        found = found || runs_programs(definitions_check(defs, i), 1);
    }
    if (found && !api_is_near(call) && !call->own_token) {
        api_text(call, 403,
                 "Permission denied: checks that run programs are accepted "
                 "over the network with a token only");
        return false;
    }
    return true;
}

/* Write access to a registered service, or to this node for `id` "". An unknown
 * id is left to the handler. False: the reply is made. */
static bool may_write_id(struct api_call *call, const char *id)
{
    struct local_service s;

    if (*id == '\0') {
        return api_demand(call, ACL_NODE,
                          local_host(call->view->local)->node.name, ACL_WRITE);
    }
    return !local_service_get(call->view->local, id, &s) ||
           api_demand(call, ACL_SERVICE, s.def->name, ACL_WRITE);
}

static bool may_write_check(struct api_call *call, const char *check_id)
{
    struct local_check c;

    return !local_check_get(call->view->local, check_id, &c) ||
           may_write_id(call, c.def->service_id);
}

/* The services as they are to be, and those whose ids they take over. */
static bool may_register(struct api_call *call, const struct definitions *defs)
{
    for (size_t i = 0; i < definitions_services_count(defs); i++) {
        const struct service_def *s = definitions_service(defs, i);

        if (!api_demand(call, ACL_SERVICE, s->name, ACL_WRITE) ||
            !may_write_id(call, s->id)) {
            return false;
        }
        for (size_t k = 0; k < s->checks_count; k++) {
            if (!may_write_check(call, s->checks[k].id)) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < definitions_checks_count(defs); i++) {
        const struct check_def *c = definitions_check(defs, i);

        if (!may_write_id(call, c->service_id) ||
            !may_write_check(call, c->id)) {
            return false;
        }
    }
    return accept_programs(call, defs);
}

/* ---- Registrations ------------------------------------------------ */

static enum status take_service(struct api_call *call, struct definitions *defs,
                                struct err *err)
{
    bool replace = api_flag(call, "replace-existing-checks");

    return local_register_service(call->view->local, defs,
                                  replace ? LOCAL_REPLACE_CHECKS
                                          : LOCAL_KEEP_CHECKS,
                                  call->view->now, err);
}

static enum status take_check(struct api_call *call, struct definitions *defs,
                              struct err *err)
{
    return local_register_check(call->view->local, defs, call->view->now, err);
}

static void register_one(struct api_call *call, enum definition_form form)
{
    bool is_check = form == DEFINITION_CHECK;
    uint64_t sync_ms;
    struct definitions *defs;
    struct err err;
    enum status st = ST_OK;

    if (!api_sync_read(call, &sync_ms) ||
        (defs = read_body(call, form)) == NULL) {
        return;
    }
    if (!may_register(call, defs)) {
        definitions_unref(defs);
        return;
    }
    if (!api_sync_looks(call)) {
        st = is_check ? take_check(call, defs, &err)
                      : take_service(call, defs, &err);
    }
    if (st) {
        refuse(call, st, &err);
    } else {
        api_sync_reply(call, sync_ms,
                       is_check ? "" : definitions_service(defs, 0)->id,
                       is_check ? definitions_check(defs, 0)->id : NULL);
        warn(call, defs);
    }
    definitions_unref(defs);
}

void api_service_register(struct api_call *call)
{
    register_one(call, DEFINITION_SERVICE);
}

void api_service_deregister(struct api_call *call)
{
    if (!may_write_id(call, call->rest)) {
        return;
    }
    if (local_deregister_service(call->view->local, call->rest,
                                 call->view->now)) {
        api_text(call, 404, "Unknown service ID \"%.512s\"", call->rest);
        return;
    }
    api_done(call);
}

void api_check_register(struct api_call *call)
{
    register_one(call, DEFINITION_CHECK);
}

void api_check_deregister(struct api_call *call)
{
    if (!may_write_check(call, call->rest)) {
        return;
    }
    if (local_deregister_check(call->view->local, call->rest,
                               call->view->now)) {
        api_text(call, 404, "Unknown check ID \"%.512s\"", call->rest);
        return;
    }
    api_done(call);
}

/* ---- Maintenance -------------------------------------------------- */

/* False: the reply is made. *out_reason is NULL to end maintenance. */
static bool read_maintenance(struct api_call *call, const char **out_reason)
{
    const char *enable = api_param(call, "enable");
    const char *reason = api_param(call, "reason");

    if (enable == NULL || *enable == '\0') {
        api_text(call, 400, "Missing value for enable");
        return false;
    }
    if (strcasecmp(enable, "true") == 0 || strcmp(enable, "1") == 0) {
        *out_reason = reason == NULL ? "" : reason;
    } else if (strcasecmp(enable, "false") == 0 || strcmp(enable, "0") == 0) {
        *out_reason = NULL;
    } else {
        api_text(call, 400, "Invalid value for enable: \"%.64s\"", enable);
        return false;
    }
    if (*out_reason != NULL && strlen(*out_reason) > 512) {
        api_text(call, 400, "The reason is longer than 512 bytes");
        return false;
    }
    return true;
}

void api_node_maintenance(struct api_call *call)
{
    const char *reason;

    if (read_maintenance(call, &reason)) {
        (void)local_maint_node(call->view->local, reason, call->view->now);
        api_done(call);
    }
}

void api_service_maintenance(struct api_call *call)
{
    const char *reason;

    if (!may_write_id(call, call->rest) || !read_maintenance(call, &reason)) {
        return;
    }
    if (local_maint_service(call->view->local, call->rest, reason,
                            call->view->now)) {
        api_text(call, 404, "Unknown service ID \"%.512s\"", call->rest);
        return;
    }
    api_done(call);
}

/* ---- TTL checks --------------------------------------------------- */

/* Clients that send heart-beats register again when they find either of the
 * two phrases, depending on the version of Consul they were written for. */
static void ttl_update(struct api_call *call, enum check_status status,
                       const char *output)
{
    if (!may_write_check(call, call->rest)) {
        return;
    }
    if (local_ttl_update(call->view->local, call->rest, status,
                         slice_str(output), call->view->now)) {
        api_text(call, 404,
                 "Unknown check ID \"%.300s\". CheckID \"%.300s\" does not "
                 "have associated TTL",
                 call->rest, call->rest);
        return;
    }
    api_done(call);
}

static void ttl_note(struct api_call *call, enum check_status status)
{
    const char *note = api_param(call, "note");

    ttl_update(call, status, note == NULL ? "" : note);
}

void api_check_pass(struct api_call *call)
{
    ttl_note(call, CHECK_PASSING);
}

void api_check_warn(struct api_call *call)
{
    ttl_note(call, CHECK_WARNING);
}

void api_check_fail(struct api_call *call)
{
    ttl_note(call, CHECK_CRITICAL);
}

struct check_update {
    const char *status;
    const char *output;
};

static const struct field update_items[] = {
    {.key = "status",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct check_update, status)},
    {.key = "output",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct check_update, output),
     .max = LIMIT_DEFINITION_BYTES},
};

static const struct fields update_fields = {
    .items = update_items, .count = 2, .size = sizeof(struct check_update)};

void api_check_update(struct api_call *call)
{
    struct check_update update = {0};
    enum check_status status;
    struct err err;
    struct field_reader r = {.arena = call->arena,
                             .text = call->request->body,
                             .unknown = FIELD_UNKNOWN_IGNORED,
                             .err = &err};

    if (fields_parse(&r, &update_fields, LIMIT_DEFINITION_BYTES, &update)) {
        api_text(call, 400, "Request decode failed: %s", err.text);
        return;
    }
    if (!check_status_parse(slice_str(update.status), &status)) {
        api_text(call, 400, "Invalid check status: '%.64s'", update.status);
        return;
    }
    ttl_update(call, status, update.output);
}

/* ---- The agent as a whole ----------------------------------------- */

void api_reload(struct api_call *call)
{
    call->outcome->kind = API_RELOAD;
}

void api_leave(struct api_call *call)
{
    call->outcome->kind = API_LEAVE;
}

/* Agents find each other through the store; there is nobody to join. */
void api_join(struct api_call *call)
{
    api_done(call);
}
