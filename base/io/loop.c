#include "base/io/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/core/check.h"
#include "base/io/loop_impl.h"

struct task_list {
    struct loop_task *first;
    struct loop_task **last; /* Where the next one's address goes. */
};

/* Buffers kept for the next writer; more are freed, and so are big ones. */
#define SPARES_MAX      8
#define SPARE_BYTES_MAX ((size_t)256 * 1024)

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t before_poll; /* For what timers have deferred. */
    uv_check_t after_poll;
    uv_idle_t no_block; /* Runs while something is deferred. */
    struct task_list phases[2];
    struct task_list running; /* The part of a phase that runs now. */

    uv_mutex_t posted_lock;
    struct task_list posted;
    bool stop_asked; /* Under posted_lock. */

    uint8_t *read_space;
    uint8_t *plain_space;
    struct buf spares[SPARES_MAX];
    unsigned spares_count;
};

static void list_init(struct task_list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void list_add(struct task_list *l, struct loop_task *task)
{
    if (task->queued) {
        return;
    }
    task->queued = true;
    task->next = NULL;
    *l->last = task;
    l->last = &task->next;
}

static struct loop_task *list_pop(struct task_list *l)
{
    struct loop_task *task = l->first;

    if (task == NULL) {
        return NULL;
    }
    l->first = task->next;
    if (l->first == NULL) {
        l->last = &l->first;
    }
    task->queued = false;
    task->next = NULL;
    return task;
}

/* Hand the whole content over; `from` is left empty. */
static void list_move(struct task_list *from, struct task_list *to)
{
    list_init(to);
    if (from->first != NULL) {
        *to = *from;
        list_init(from);
    }
}

static void on_no_block(uv_idle_t *idle)
{
    (void)idle; /* Its being there is what counts. */
}

/* Run what is in `phase` now; what is added meanwhile stays there. */
static void loop_run_batch(struct loop *loop, struct task_list *phase)
{
    struct loop_task *task;

    list_move(phase, &loop->running);
    while ((task = list_pop(&loop->running)) != NULL) {
        task->run(task);
    }
}

/* WORK until none is left: work that defers work is still of this turn, and
 * its replies go out together. Work that defers itself for ever would keep us
 * from the sockets, so past a bound the rest waits for the next turn. */
#define WORK_ROUNDS_MAX 16

static void loop_run_deferred(struct loop *loop)
{
    struct task_list *work = &loop->phases[LOOP_WORK];

    for (unsigned i = 0; i < WORK_ROUNDS_MAX && work->first != NULL; i++) {
        loop_run_batch(loop, work);
    }
    loop_run_batch(loop, &loop->phases[LOOP_FLUSH]);
    if (work->first == NULL && loop->phases[LOOP_FLUSH].first == NULL) {
        (void)uv_idle_stop(&loop->no_block); /* Cannot fail. */
    }
}

static void on_before_poll(uv_prepare_t *prepare)
{
    loop_run_deferred(prepare->data);
}

static void on_after_poll(uv_check_t *check)
{
    loop_run_deferred(check->data);
}

/* Take the next posted task; from here on it may be posted again. */
static struct loop_task *loop_pop_posted(struct loop *loop,
                                         struct task_list *batch)
{
    struct loop_task *task;

    uv_mutex_lock(&loop->posted_lock);
    task = list_pop(batch);
    uv_mutex_unlock(&loop->posted_lock);
    return task;
}

static void on_wake(uv_async_t *wake)
{
    struct loop *loop = wake->data;
    struct task_list batch;
    struct loop_task *task;
    bool stop;

    uv_mutex_lock(&loop->posted_lock);
    list_move(&loop->posted, &batch);
    stop = loop->stop_asked;
    loop->stop_asked = false;
    uv_mutex_unlock(&loop->posted_lock);

    while ((task = loop_pop_posted(loop, &batch)) != NULL) {
        task->run(task);
    }
    if (stop) {
        uv_stop(&loop->uv);
    }
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    CHECK(loop != NULL);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK(uv_loop_init(&loop->uv) == 0);
    CHECK(uv_mutex_init(&loop->posted_lock) == 0);
    CHECK(uv_async_init(&loop->uv, &loop->wake, on_wake) == 0);
    CHECK(uv_prepare_init(&loop->uv, &loop->before_poll) == 0);
    CHECK(uv_check_init(&loop->uv, &loop->after_poll) == 0);
    CHECK(uv_idle_init(&loop->uv, &loop->no_block) == 0);
    list_init(&loop->phases[LOOP_WORK]);
    list_init(&loop->phases[LOOP_FLUSH]);
    list_init(&loop->running);
    list_init(&loop->posted);
    loop->wake.data = loop;
    loop->before_poll.data = loop;
    loop->after_poll.data = loop;
    loop->no_block.data = loop;
    CHECK(uv_prepare_start(&loop->before_poll, on_before_poll) == 0);
    CHECK(uv_check_start(&loop->after_poll, on_after_poll) == 0);
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->before_poll, NULL);
    uv_close((uv_handle_t *)&loop->after_poll, NULL);
    uv_close((uv_handle_t *)&loop->no_block, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* Until all closing is done. */
    CHECK(uv_loop_close(&loop->uv) == 0);
    uv_mutex_destroy(&loop->posted_lock);
    while (loop->spares_count > 0) {
        buf_release(&loop->spares[--loop->spares_count]);
    }
    free(loop->read_space);
    free(loop->plain_space);
    free(loop);
}

void loop_run(struct loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* Ends by uv_stop() only. */
}

void loop_stop(struct loop *loop)
{
    uv_mutex_lock(&loop->posted_lock);
    loop->stop_asked = true;
    uv_mutex_unlock(&loop->posted_lock);
    CHECK(uv_async_send(&loop->wake) == 0);
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

uint64_t loop_now_ms(struct loop *loop)
{
    return uv_now(&loop->uv);
}

uint64_t loop_wall_ms(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void loop_post(struct loop *loop, struct loop_task *task)
{
    uv_mutex_lock(&loop->posted_lock);
    list_add(&loop->posted, task);
    uv_mutex_unlock(&loop->posted_lock);
    CHECK(uv_async_send(&loop->wake) == 0);
}

void loop_defer(struct loop *loop, enum loop_phase phase,
                struct loop_task *task)
{
    list_add(&loop->phases[phase], task);
    (void)uv_idle_start(&loop->no_block, on_no_block); /* Cannot fail. */
}

static bool list_remove(struct task_list *l, struct loop_task *task)
{
    struct loop_task **at = &l->first;

    while (*at != NULL && *at != task) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        return false;
    }
    *at = task->next;
    if (*at == NULL) {
        l->last = at;
    }
    task->queued = false;
    task->next = NULL;
    return true;
}

void loop_undefer(struct loop *loop, enum loop_phase phase,
                  struct loop_task *task)
{
    if (task->queued && !list_remove(&loop->phases[phase], task)) {
        CHECK(list_remove(&loop->running, task));
    }
}

static uint8_t *space_get(uint8_t **space, size_t size)
{
    if (*space == NULL) {
        *space = malloc(size);
        CHECK(*space != NULL);
    }
    return *space;
}

uint8_t *loop_read_space(struct loop *loop)
{
    return space_get(&loop->read_space, LOOP_READ_BYTES);
}

uint8_t *loop_plain_space(struct loop *loop)
{
    return space_get(&loop->plain_space, LOOP_PLAIN_BYTES);
}

void loop_lend(struct loop *loop, struct buf *b, size_t limit)
{
    if (loop->spares_count > 0) {
        *b = loop->spares[--loop->spares_count];
        b->len = 0;
        b->limit = limit;
        CHECK(b->cap <= limit);
        return;
    }
    buf_init(b, limit);
}

void loop_return(struct loop *loop, struct buf *b)
{
    size_t limit = b->limit;

    if (b->cap > 0 && b->cap <= SPARE_BYTES_MAX &&
        loop->spares_count < SPARES_MAX) {
        loop->spares[loop->spares_count++] = *b;
        *b = (struct buf){.limit = limit};
        return;
    }
    buf_release(b);
}
