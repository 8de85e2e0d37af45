#include "base/core/check.h"
#include "store/raft/core.h"

/* ---- what flies ---- */

static void flight_add(const struct raft *r, struct raft_peer *p,
                       struct raft_flight flight)
{
    size_t at = (p->flying_head + p->flying_count) % r->config.inflight_max;

    CHECK(p->flying_count < r->config.inflight_max);
    p->flying[at] = flight;
    p->flying_count++;
    p->flying_bytes += flight.bytes;
}

static void flights_forget(struct raft_peer *p)
{
    p->flying_count = 0;
    p->flying_bytes = 0;
}

void raft_flight_landed(const struct raft *r, struct raft_peer *p,
                        uint64_t index)
{
    while (p->flying_count > 0 && p->flying[p->flying_head].last <= index) {
        p->flying_bytes -= p->flying[p->flying_head].bytes;
        p->flying_head = (p->flying_head + 1) % r->config.inflight_max;
        p->flying_count--;
    }
}

static bool flights_full(const struct raft *r, const struct raft_peer *p)
{
    size_t max = r->config.inflight_bytes_max;

    return p->flying_count == r->config.inflight_max ||
           (max > 0 && p->flying_count > 0 && p->flying_bytes >= max);
}

/* Its answers may be lost: let one message through. */
void raft_flight_presumed_lost(const struct raft *r, struct raft_peer *p)
{
    if (p->pace == RAFT_REPLICATE && flights_full(r, p)) {
        raft_flight_landed(r, p, p->flying[p->flying_head].last);
    }
}

/* ---- paces ---- */

static void set_pace(struct raft_peer *p, enum raft_pace pace, uint64_t next)
{
    p->pace = pace;
    p->next = next;
    p->probe_sent = false;
    p->snapshot_flying = false;
    flights_forget(p);
}

void raft_probe_from(struct raft_peer *p, uint64_t index)
{
    set_pace(p, RAFT_PROBE, index + 1);
}

void raft_replicate_from(struct raft_peer *p, uint64_t index)
{
    set_pace(p, RAFT_REPLICATE, index + 1);
}

void raft_send_snapshot(struct raft *r, struct raft_peer *p)
{
    set_pace(p, RAFT_SNAPSHOT, p->next);
    p->snapshot_flying = true;
    (void)raft_say_now(r, RAFT_MSG_SNAPSHOT, p->id);
}

/* If it could not be sent or used, a heartbeat's answer says when the next try
 * makes sense. */
void raft_on_snapshot_ended(struct raft *r, const struct raft_snapshot_end *end)
{
    struct raft_peer *p = raft_peer(r, end->peer);

    if (r->role != RAFT_LEADER || p == NULL || !p->snapshot_flying) {
        return;
    }
    p->snapshot_flying = false;
    if (end->ok && end->index <= raft_log_last(&r->log)) {
        raft_probe_from(p, end->index > p->match ? end->index : p->match);
        (void)raft_send_append(r, p, SEND_IF_EMPTY);
    }
}

bool raft_must_wait(const struct raft *r, const struct raft_peer *p)
{
    switch (p->pace) {
    case RAFT_PROBE:
        return p->probe_sent;
    case RAFT_REPLICATE:
        return flights_full(r, p);
    case RAFT_SNAPSHOT:
        return true;
    }
    UNREACHABLE();
}

/* ---- sending ---- */

/* How many entries from `next` on go into one message: at least one if there
 * is any, then as many as fit. */
static size_t raft_portion(const struct raft *r, uint64_t next,
                           size_t *out_bytes)
{
    uint64_t last = raft_log_last(&r->log);
    size_t bytes = 0;
    size_t count = 0;

    while (next + count <= last) {
        size_t len = raft_log_at(&r->log, next + count)->len;

        if (count > 0 && bytes + len > r->config.append_bytes_max) {
            break;
        }
        bytes += len;
        count++;
    }
    *out_bytes = bytes;
    return count;
}

bool raft_send_append(struct raft *r, struct raft_peer *p,
                      enum raft_if_empty if_empty)
{
    struct raft_pos before;
    struct raft_msg *m;
    size_t bytes;
    size_t count;

    if (raft_must_wait(r, p)) {
        return false;
    }
    before.index = p->next - 1;
    if (before.index < r->log.compacted.index) {
        raft_probe_from(p, r->log.compacted.index);
        before.index = r->log.compacted.index;
    }
    count = raft_portion(r, p->next, &bytes);
    if (count == 0 && if_empty == SKIP_IF_EMPTY) {
        return false;
    }
    before.term = raft_log_term(&r->log, before.index);
    m = raft_say_now(r, RAFT_MSG_APPEND, p->id);
    m->pos = before;
    m->commit = r->hard.commit;
    m->entries_count = count;
    if (p->pace == RAFT_PROBE) {
        p->probe_sent = true;
    } else if (count > 0) {
        p->next += count;
        flight_add(r, p, (struct raft_flight){p->next - 1, bytes});
    }
    return true;
}

void raft_send_appends(struct raft *r)
{
    for (size_t i = 0; i < r->peers_count; i++) {
        if (r->peers[i].id != r->config.id) {
            (void)raft_send_append(r, &r->peers[i], SEND_IF_EMPTY);
        }
    }
}
