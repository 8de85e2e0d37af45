/*
 * What operators of Consul's servers ask for: who the store's members are, and
 * for everything that there is nothing like here, what to use instead.
 */
#include "agent/core/api_model.h"

/* In the form of Consul's "operator raft list-peers". */
static void write_server(struct api_call *call, const struct member *m)
{
    struct jsonw *w = &call->json;

    jsonw_object(w);
    jsonw_key_text(
        w, "ID", arena_printf(call->arena, "%llx", (unsigned long long)m->id));
    jsonw_key_text(w, "Node", m->name);
    jsonw_key_text(w, "Address", m->address);
    jsonw_key_bool(w, "Leader", strcmp(m->address, call->view->leader) == 0);
    jsonw_key_bool(w, "Voter", true); /* We are told of no others. */
    jsonw_key_text(w, "ProtocolVersion", "3");
    jsonw_object_end(w);
}

void api_raft_configuration(struct api_call *call)
{
    const struct api_view *v = call->view;
    struct jsonw *w;

    if (call->is_elsewhere) {
        api_text(call, 400,
                 "An agent knows its own store's members only: ask one of "
                 "datacenter %.128s",
                 call->dc);
        return;
    }
    w = api_json(call, 200);
    jsonw_object(w);
    jsonw_key(w, "Servers");
    jsonw_list(w);
    for (size_t i = 0; i < v->members_count; i++) {
        write_server(call, &v->members[i]);
    }
    jsonw_list_end(w);
    jsonw_key_int(w, "Index", catalog_revision(v->catalog));
    jsonw_object_end(w);
    api_json_end(call);
}

/* ---- What there is not -------------------------------------------- */

static const struct {
    const char *path; /* And whatever begins with it. */
    const char *instead;
} absent[] = {
    {"/v1/agent/monitor",
     "the agent's log is its standard error, with systemd \"journalctl -u "
     "muster-agent\""},
    {"/v1/agent/token/",
     "the agent's own tokens stand in its configuration, acl.tokens, which is "
     "read again at a reload"},
    {"/v1/agent/host", "there is no description of the host here"},
    {"/v1/agent/connect/", "there is no Connect (mesh, certificates) here"},
    {"/v1/connect/", "there is no Connect (mesh, intentions) here; tokens say "
                     "who may read or register a service"},
    {"/v1/discovery-chain/", "there is no Connect (mesh) here"},
    {"/v1/config", "there is no Connect (mesh) here, which has configuration "
                   "entries"},
    {"/v1/acl/role", "there are no roles here: give a token its policies"},
    {"/v1/acl/auth-method", "there are no auth methods here: make tokens with "
                            "\"acl token create\""},
    {"/v1/acl/binding-rule", "there are no auth methods here: make tokens with "
                             "\"acl token create\""},
    /* login, logout */
    {"/v1/acl/log", "nobody logs in here: make tokens with \"acl token "
                    "create\", and delete them with \"acl token delete\""},
    {"/v1/acl/rules/", "rules of before Consul 1.4 are not understood: write "
                       "them as policies"},
    {"/v1/acl/replication", "tokens and policies are in the store, which all "
                            "agents of a datacenter share"},
    {"/v1/operator/raft", "the store's members are changed with \"etcdctl "
                          "member\""},
    {"/v1/operator/autopilot/",
     "there is no autopilot: the store's members are changed with \"etcdctl "
     "member\", and dead nodes are tidied away by the agents"},
    {"/v1/operator/keyring", "there is no gossip here, and no key for it: "
                             "what goes to the store is encrypted with TLS"},
    {"/v1/snapshot", "the data is the store's: \"muster ctl snapshot save\" "
                     "and \"restore\""},
};

void api_absent(struct api_call *call)
{
    static const char text[] = "Invalid URL path: not a recognized HTTP API "
                               "endpoint";

    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        if (slice_starts(call->request->path, slice_str(absent[i].path))) {
            api_text(call, 404, "%s: %s", text, absent[i].instead);
            return;
        }
    }
    api_text(call, 404, "%s", text);
}
