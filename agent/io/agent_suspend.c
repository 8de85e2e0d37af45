/* After the machine has slept, nothing is answered as if no time had passed:
 * TTL checks that would have expired have, and the replica is as old as the
 * sleep was long, until the store has been heard again. Whoever notices it
 * first (a turn of the loop, an HTTP request, a DNS worker) sees to that before
 * it answers. */

#include "agent/io/agent_impl.h"
#include "base/core/check.h"
#include "base/core/log.h"

/* What a DNS worker waits for us at most; then it answers all the same. */
#define WORKER_NS UINT64_C(200000000)

static void slept(struct agent *a, uint64_t slept_ms)
{
    log_warn("agent",
             "this machine has slept for %llu s: checks by TTL may have "
             "expired, and what is known of others is old",
             (unsigned long long)slept_ms / 1000);
    a->sleeps++;
    local_slept(a->local, slept_ms);
    local_tick(a->local, agent_time(a));
    link_slept(a->link, slept_ms);
    datacenters_slept(a->datacenters, slept_ms);
    (void)agent_local_changed(a);
    front_contact_changed(a->front);
    dnsfeed_publish(a->feed);
}

void agent_awake(struct agent *a)
{
    uint64_t slept_ms = suspend_look(&a->suspend);

    if (slept_ms > 0 && a->phase == AGENT_RUNS) {
        slept(a, slept_ms);
    }
    uv_mutex_lock(&a->awake_lock);
    if (a->awake_offset_ms != a->suspend.offset_ms) {
        a->awake_offset_ms = a->suspend.offset_ms;
        uv_cond_broadcast(&a->awake);
    }
    uv_mutex_unlock(&a->awake_lock);
}

static void on_prepare(uv_prepare_t *prepare)
{
    agent_awake(prepare->data);
}

static void on_woken(struct loop_task *task)
{
    agent_awake(
        (struct agent *)(void *)((char *)task - offsetof(struct agent, woken)));
}

void agent_worker_woke(void *arg, int64_t offset_ms)
{
    struct agent *a = arg;
    uint64_t until_ns = uv_hrtime() + WORKER_NS;

    loop_post(a->loop, &a->woken);
    uv_mutex_lock(&a->awake_lock);
    /* Ours and the loop's look at the clocks differ by a few milliseconds. */
    while (a->awake_offset_ms + 500 < offset_ms && uv_hrtime() < until_ns) {
        (void)uv_cond_timedwait(&a->awake, &a->awake_lock,
                                until_ns - uv_hrtime());
    }
    uv_mutex_unlock(&a->awake_lock);
}

void agent_suspend_open(struct agent *a)
{
    suspend_init(&a->suspend);
    a->awake_offset_ms = a->suspend.offset_ms;
    a->woken.run = on_woken;
    CHECK(uv_mutex_init(&a->awake_lock) == 0);
    CHECK(uv_cond_init(&a->awake) == 0);
    CHECK(uv_prepare_init(loop_uv(a->loop), &a->prepare) == 0);
    a->prepare.data = a;
    CHECK(uv_prepare_start(&a->prepare, on_prepare) == 0);
    uv_unref((uv_handle_t *)&a->prepare);
}

void agent_suspend_free(struct agent *a)
{
    uv_cond_destroy(&a->awake);
    uv_mutex_destroy(&a->awake_lock);
}
