#include "store/io/member_thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/check.h"
#include "base/io/loop.h"

struct member_thread {
    pthread_t thread;
    struct loop *loop;
    struct member *member;
    struct loop_task stop; /* Posted by the owner. */
    char *url;

    /* How the start went; under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t started;
    bool is_started;
    enum status status;
    struct err err;

    const struct member_config *config; /* Until it is started. */
    struct member_hooks hooks;
};

static void on_stopped(void *ctx)
{
    struct member_thread *t = ctx;

    loop_stop(t->loop);
}

static void on_stop(struct loop_task *task)
{
    struct member_thread *t =
        (struct member_thread *)((char *)task -
                                 offsetof(struct member_thread, stop));

    member_stop(t->member, on_stopped, t);
}

static void tell_started(struct member_thread *t, enum status st)
{
    if (st == ST_OK) {
        t->url = strdup(member_client_url(t->member, 0));
        CHECK(t->url != NULL);
    }
    CHECK(pthread_mutex_lock(&t->mutex) == 0);
    t->status = st;
    t->is_started = true;
    CHECK(pthread_cond_signal(&t->started) == 0);
    CHECK(pthread_mutex_unlock(&t->mutex) == 0);
}

static void *thread_main(void *arg)
{
    struct member_thread *t = arg;
    enum status st =
        member_start(t->loop, t->config, t->hooks, &t->member, &t->err);

    tell_started(t, st);
    if (st == ST_OK) {
        loop_run(t->loop);
    }
    return NULL;
}

static void wait_started(struct member_thread *t)
{
    CHECK(pthread_mutex_lock(&t->mutex) == 0);
    while (!t->is_started) {
        CHECK(pthread_cond_wait(&t->started, &t->mutex) == 0);
    }
    CHECK(pthread_mutex_unlock(&t->mutex) == 0);
}

static void thread_free(struct member_thread *t)
{
    CHECK(pthread_join(t->thread, NULL) == 0);
    loop_free(t->loop);
    CHECK(pthread_cond_destroy(&t->started) == 0);
    CHECK(pthread_mutex_destroy(&t->mutex) == 0);
    free(t->url);
    free(t);
}

enum status member_thread_start(const struct member_config *config,
                                struct member_hooks hooks,
                                struct member_thread **out_thread,
                                struct err *err)
{
    struct member_thread *t = calloc(1, sizeof(*t));
    enum status st;
    sigset_t all;
    sigset_t before;

    CHECK(t != NULL);
    t->loop = loop_new();
    t->config = config;
    t->hooks = hooks;
    t->stop.run = on_stop;
    CHECK(pthread_mutex_init(&t->mutex, NULL) == 0);
    CHECK(pthread_cond_init(&t->started, NULL) == 0);

    /* Signals are the owner's. */
    (void)sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    CHECK(pthread_create(&t->thread, NULL, thread_main, t) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    (void)pthread_setname_np(t->thread, "muster-store");

    wait_started(t);
    st = t->status;
    if (st) {
        (void)err_set(err, st, "%s", t->err.text);
        thread_free(t);
        return st;
    }
    *out_thread = t;
    return ST_OK;
}

const char *member_thread_client_url(const struct member_thread *t)
{
    return t->url;
}

void member_thread_stop(struct member_thread *t)
{
    if (t == NULL) {
        return;
    }
    loop_post(t->loop, &t->stop);
    thread_free(t);
}
