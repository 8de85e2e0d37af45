/*
 * /v1/agent/history: how the checks of this host came to be as they are.
 */
#include "agent/core/api_model.h"

/* "2026-11-28T05:00:00.123Z", RFC 3339. Days are counted from a March, so that
 * leap days come last in their year (H. Hinnant, "chrono-Compatible Low-Level
 * Date Algorithms"). */
static const char *time_text(struct arena *a, int64_t wall_ms)
{
    int64_t ms = wall_ms < 0 ? 0 : wall_ms;
    int64_t days = ms / 86400000 + 719468;
    int64_t in_day = ms % 86400000;
    int64_t era = days / 146097;
    int64_t of_era = days % 146097;
    int64_t year =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    int64_t day = of_year - (153 * month + 2) / 5 + 1;

    month = month < 10 ? month + 3 : month - 9;
    year += era * 400 + (month <= 2);
    return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)year,
                        (int)month, (int)day, (int)(in_day / 3600000),
                        (int)(in_day / 60000 % 60), (int)(in_day / 1000 % 60),
                        (int)(in_day % 1000));
}

static bool sees(struct api_call *call, const struct local_transition *t)
{
    struct local_service s;

    if (*t->service_id == '\0') {
        return api_sees(call, ACL_NODE,
                        local_host(call->view->local)->node.name);
    }
    return api_sees(call, ACL_SERVICE,
                    local_service_get(call->view->local, t->service_id, &s)
                        ? s.def->name
                        : t->service_id);
}

static bool write_transition(void *ctx, const struct local_transition *t)
{
    struct api_call *call = ctx;
    struct jsonw *w = &call->json;

    if (!sees(call, t)) {
        return true;
    }
    jsonw_object(w);
    jsonw_key_text(w, "Time", time_text(call->arena, t->wall_ms));
    jsonw_key_text(w, "CheckID", t->check_id);
    jsonw_key_text(w, "ServiceID", t->service_id);
    jsonw_key_text(w, "Status", check_status_text(t->status));
    jsonw_key_text(w, "Output", t->output);
    jsonw_object_end(w);
    return true;
}

void api_agent_history(struct api_call *call)
{
    struct jsonw *w = api_json(call, 200);

    jsonw_list(w);
    local_each_transition(call->view->local, api_param(call, "service_id"),
                          call->view->now, write_transition, call);
    jsonw_list_end(w);
    api_json_end(call);
}
