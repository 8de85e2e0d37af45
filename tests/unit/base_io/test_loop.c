#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "base/io/loop.h"
#include "suite.h"

/* Tasks that write their letter into a story. */
struct letter {
    struct loop_task task;
    struct loop *loop;
    char letter;
    struct letter *then; /* Deferred from inside. */
    enum loop_phase then_phase;
};

static char story[100];

static void tell(struct loop_task *task)
{
    struct letter *l = (struct letter *)task;
    size_t len = strlen(story);

    ck_assert_uint_lt(len, sizeof(story) - 1);
    story[len] = l->letter;
    if (l->then != NULL) {
        loop_defer(l->loop, l->then_phase, &l->then->task);
    }
}

static struct letter letter(struct loop *loop, char c)
{
    return (struct letter){.task = {.run = tell}, .loop = loop, .letter = c};
}

static void stop_in(struct loop *loop, uv_timer_t *timer, uint64_t ms,
                    uv_timer_cb on_timer)
{
    timer->data = loop;
    ck_assert_int_eq(uv_timer_start(timer, on_timer, ms, 0), 0);
}

static void on_stop(uv_timer_t *timer)
{
    loop_stop(timer->data);
}

static struct loop *begin(uv_timer_t *timer)
{
    struct loop *loop = loop_new();

    memset(story, 0, sizeof(story));
    ck_assert_int_eq(uv_timer_init(loop_uv(loop), timer), 0);
    stop_in(loop, timer, 20, on_stop);
    return loop;
}

static void end(struct loop *loop, uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
    loop_free(loop);
}

START_TEST(work_comes_before_flushes)
{
    uv_timer_t timer;
    struct loop *loop = begin(&timer);
    struct letter a = letter(loop, 'a');
    struct letter b = letter(loop, 'b');
    struct letter c = letter(loop, 'c');
    struct letter x = letter(loop, 'X');
    struct letter y = letter(loop, 'Y');
    struct letter again = letter(loop, 'd');

    loop_defer(loop, LOOP_FLUSH, &x.task);
    loop_defer(loop, LOOP_WORK, &a.task);
    loop_defer(loop, LOOP_WORK, &b.task);
    loop_defer(loop, LOOP_WORK, &a.task); /* Waits already. */
    a.then = &c;                          /* Still of this turn. */
    c.then = &y;
    c.then_phase = LOOP_FLUSH;
    x.then = &again; /* Of the next turn. */
    loop_run(loop);
    ck_assert_str_eq(story, "abcXYd");
    end(loop, &timer);
}
END_TEST

START_TEST(what_is_taken_back_does_not_run)
{
    uv_timer_t timer;
    struct loop *loop = begin(&timer);
    struct letter l[4] = {letter(loop, 'a'), letter(loop, 'b'),
                          letter(loop, 'c'), letter(loop, 'd')};

    for (int i = 0; i < 3; i++) {
        loop_defer(loop, LOOP_WORK, &l[i].task);
    }
    loop_undefer(loop, LOOP_WORK, &l[2].task);
    loop_undefer(loop, LOOP_WORK, &l[0].task);
    loop_undefer(loop, LOOP_WORK, &l[0].task);
    loop_defer(loop, LOOP_WORK, &l[3].task);
    loop_run(loop);
    ck_assert_str_eq(story, "bd");
    end(loop, &timer);
}
END_TEST

struct taker {
    struct loop_task task;
    struct loop *loop;
    struct letter *victim;
};

static void take_back(struct loop_task *task)
{
    struct taker *t = (struct taker *)task;

    loop_undefer(t->loop, LOOP_FLUSH, &t->victim->task);
}

START_TEST(a_running_phase_can_lose_a_task)
{
    uv_timer_t timer;
    struct loop *loop = begin(&timer);
    struct letter a = letter(loop, 'a');
    struct letter b = letter(loop, 'b');
    struct taker t = {.task = {.run = take_back}, .loop = loop, .victim = &a};

    loop_defer(loop, LOOP_FLUSH, &t.task);
    loop_defer(loop, LOOP_FLUSH, &a.task);
    loop_defer(loop, LOOP_FLUSH, &b.task);
    loop_run(loop);
    ck_assert_str_eq(story, "b");
    end(loop, &timer);
}
END_TEST

struct endless {
    struct loop_task task;
    struct loop *loop;
    unsigned runs;
};

static void run_endless(struct loop_task *task)
{
    struct endless *e = (struct endless *)task;

    e->runs++;
    loop_defer(e->loop, LOOP_WORK, &e->task);
}

/* Work that never ends keeps the loop awake but does not keep timers and
 * sockets from their turn. */
START_TEST(endless_work_leaves_room)
{
    uv_timer_t timer;
    struct loop *loop = begin(&timer);
    struct endless e = {.task = {.run = run_endless}, .loop = loop};

    loop_defer(loop, LOOP_WORK, &e.task);
    loop_run(loop); /* The timer stops it. */
    ck_assert_uint_gt(e.runs, 16);
    end(loop, &timer);
}
END_TEST

#define POSTS 20000

struct poster {
    struct loop *loop;
    struct loop_task tasks[POSTS];
};

static struct poster poster;
static unsigned posted_runs;

static void on_posted(struct loop_task *task)
{
    ck_assert_ptr_eq(task, &poster.tasks[posted_runs]); /* In order. */
    if (++posted_runs == POSTS) {
        loop_stop(poster.loop);
    }
}

static void *post_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < POSTS; i++) {
        poster.tasks[i].run = on_posted;
        loop_post(poster.loop, &poster.tasks[i]);
    }
    return NULL;
}

START_TEST(posts_of_another_thread_arrive_in_order)
{
    pthread_t thread;

    poster = (struct poster){.loop = loop_new()};
    posted_runs = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, post_all, NULL), 0);
    loop_run(poster.loop);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(posted_runs, POSTS);
    loop_free(poster.loop);
}
END_TEST

START_TEST(a_stop_before_the_run_counts)
{
    struct loop *loop = loop_new();

    loop_stop(loop);
    loop_run(loop);
    loop_stop(loop);
    loop_run(loop);
    loop_free(loop);
}
END_TEST

UNIT_MAIN("loop", {
    tcase_add_test(tc, work_comes_before_flushes);
    tcase_add_test(tc, what_is_taken_back_does_not_run);
    tcase_add_test(tc, a_running_phase_can_lose_a_task);
    tcase_add_test(tc, endless_work_leaves_room);
    tcase_add_test(tc, posts_of_another_thread_arrive_in_order);
    tcase_add_test(tc, a_stop_before_the_run_counts);
})
