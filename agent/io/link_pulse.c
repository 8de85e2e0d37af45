/* The pulse of the member in use: it is asked for its status every 2 s, and
 * every half second while an answer of the store is waited for.
 *
 *   silent       nothing of any call for 2.5 s after the question: dropped. So
 *                a member that is frozen or cut off from us is left within 5 s.
 *                HTTP/2's PINGs would not do: etcd allows but one in 5 s on a
 *                connection without other traffic, and they are answered by a
 *                member that is otherwise stuck.
 *   leaderless   for longer than elections take: dropped. It is cut off from
 *                the others; its watch would just be quiet.
 *   new leader   what was asked through the old one may never be answered: the
 *                lease and the writer ask again. */

#include "agent/io/link_impl.h"
#include "base/core/check.h"

#define ASK_MS        2000
#define ASK_MS_SOON   500
#define ANSWER_MS     2500
#define LEADERLESS_MS 1500

static void pulse_next(struct link *l);

/* ---- What the member says ---------------------------------------------- */

static void leader_seen(struct link *l, uint64_t leader, uint64_t term)
{
    struct link_pulse *p = &l->pulse;
    bool changed = p->term != 0 && (term != p->term || leader != p->leader);

    p->leaderless_ms = 0;
    p->term = term;
    p->leader = leader;
    if (changed) {
        link_lease_leader_changed(l);
        link_writer_leader_changed(l);
    }
    link_members_see(l);
}

static void no_leader_seen(struct link *l)
{
    uint64_t now_ms = loop_now_ms(l->loop);

    if (l->pulse.leaderless_ms == 0) {
        l->pulse.leaderless_ms = now_ms;
    } else if (now_ms - l->pulse.leaderless_ms >= LEADERLESS_MS) {
        link_drop(l, "the member has had no leader for %llu ms",
                  (unsigned long long)(now_ms - l->pulse.leaderless_ms));
    }
}

static void pulse_take(struct link *l, struct slice reply)
{
    struct arena arena = {0};
    const Etcdserverpb__StatusResponse *r =
        pb_decode(&arena, &etcdserverpb__status_response__descriptor, reply);

    if (!r) {
        link_drop(l, "a status that cannot be read");
    } else if (r->leader == 0) {
        no_leader_seen(l);
    } else {
        leader_seen(l, r->leader, r->raftterm);
    }
    arena_release(&arena);
}

/* As TCP smooths its own (RFC 6298): an eighth of each sample. */
static void round_trip_take(struct link_pulse *p)
{
    uint64_t us = (uv_hrtime() - p->asked_ns) / 1000;
    uint32_t sample = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;

    sample = sample == 0 ? 1 : sample;
    p->round_trip_us =
        p->round_trip_us == 0
            ? sample
            : (uint32_t)(((uint64_t)p->round_trip_us * 7 + sample + 7) / 8);
}

static void on_status(void *ctx, enum grpc_code code, const char *text,
                      struct slice reply)
{
    struct link *l = ctx;

    l->pulse.call = NULL;
    if (!link_ready(l)) {
        return;
    }
    if (code == GRPC_OK) {
        round_trip_take(&l->pulse);
        pulse_take(l, reply);
    } else if (code == GRPC_DEADLINE_EXCEEDED) {
        /* A long answer that is on its way may hold this one up. */
        if (grpc_channel_heard_ms(l->channel) < l->pulse.asked_ms) {
            link_drop(l, "no answer to a status request for %d ms", ANSWER_MS);
        }
    } else if (code == GRPC_UNAVAILABLE) {
        link_drop(l, "status: %s (%s)", text, grpc_code_name(code));
    }
    /* Anything else is an answer, if not to the question. */
    if (link_ready(l)) {
        pulse_next(l);
    }
}

/* ---- When it is asked -------------------------------------------------- */

static void pulse_ask(struct link *l)
{
    if (!l->pulse.call) {
        l->pulse.asked_ms = loop_now_ms(l->loop);
        l->pulse.asked_ns = uv_hrtime();
        l->pulse.call = grpc_unary(l->channel, ETCD_STATUS, (struct slice){0},
                                   ANSWER_MS, on_status, l);
    }
}

static void on_timer(uv_timer_t *timer)
{
    pulse_ask(timer->data);
}

static void pulse_next(struct link *l)
{
    bool soon = l->pulse.leaderless_ms != 0 || link_lease_waits(l) ||
                link_writer_waits(l);

    CHECK(uv_timer_start(&l->pulse.timer, on_timer, soon ? ASK_MS_SOON : ASK_MS,
                         0) == 0);
}

void link_pulse_quicken(struct link *l)
{
    if (!link_ready(l) || l->pulse.call ||
        uv_timer_get_due_in(&l->pulse.timer) <= ASK_MS_SOON) {
        return;
    }
    CHECK(uv_timer_start(&l->pulse.timer, on_timer, ASK_MS_SOON, 0) == 0);
}

void link_pulse_init(struct link *l)
{
    link_timer_init(l, &l->pulse.timer);
}

void link_pulse_begin(struct link *l)
{
    l->pulse.leaderless_ms = 0;
    l->pulse.term = 0;
    pulse_ask(l);
}

void link_pulse_end(struct link *l)
{
    (void)uv_timer_stop(&l->pulse.timer);
}
