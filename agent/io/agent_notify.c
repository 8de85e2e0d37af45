/* What the service manager hears of an agent: that it is ready once it has a
 * catalogue, however old, to answer from (as /v1/agent/ready), how it stands
 * with the store, and that it is alive: its own loop comes to say so, and says
 * so only if every thread of DNS has turned since the last time. */

#include <stdio.h>
#include <string.h>

#include "agent/io/agent_impl.h"
#include "base/io/notify.h"

static void status_make(const struct agent *a, char *out, size_t out_len)
{
    const struct catalog *catalog = link_catalog(a->link);

    if (catalog_revision(catalog) == 0) {
        (void)snprintf(out, out_len,
                       "STATUS=waiting for the store, nothing known yet");
        return;
    }
    (void)snprintf(
        out, out_len, "STATUS=%zu services on %zu nodes, %s",
        catalog_services_count(catalog), catalog_nodes_count(catalog),
        link_current(a->link) ? "current"
                              : "from the replica: the store is out of reach");
}

void agent_notify_look(struct agent *a)
{
    char lines[AGENT_STATUS_BYTES + 16];
    char status[AGENT_STATUS_BYTES];
    bool ready;

    if (!a->notify || a->phase != AGENT_RUNS) {
        return;
    }
    ready = !a->said_ready && catalog_revision(link_catalog(a->link)) != 0;
    status_make(a, status, sizeof(status));
    if (!ready && strcmp(status, a->said_status) == 0) {
        return;
    }
    (void)snprintf(lines, sizeof(lines), "%s%s", ready ? "READY=1\n" : "",
                   status);
    notify_say(a->notify, lines);
    a->said_ready = a->said_ready || ready;
    memcpy(a->said_status, status, sizeof(status));
}

static bool on_pulse(void *ctx)
{
    struct agent *a = ctx;

    agent_notify_look(a);
    return !a->dns || dns_server_pulse(a->dns);
}

void agent_notify(struct agent *a, struct notify *notify)
{
    a->notify = notify;
    agent_notify_look(a);
    notify_watch(notify, on_pulse, a);
}

void agent_notify_reload(struct agent *a, bool begins)
{
    if (!a->notify || !a->said_ready) {
        return;
    }
    if (begins) {
        notify_reloading(a->notify);
    } else {
        notify_say(a->notify, "READY=1");
    }
}

void agent_notify_stopping(struct agent *a)
{
    if (a->notify) {
        notify_say(a->notify, "STOPPING=1\nSTATUS=stopping");
    }
}
