#include "store/io/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/core/check.h"

struct worker {
    struct loop *loop;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* Something to do, to end, or nothing left. */

    /* Under the mutex: */
    struct worker_job *first;
    struct worker_job **last;
    bool running;
    bool ending;
};

static void on_posted(struct loop_task *task)
{
    struct worker_job *job =
        (struct worker_job *)((char *)task -
                              offsetof(struct worker_job, posted));

    job->done(job);
}

/* The next job, or NULL when the thread shall end. */
static struct worker_job *next_job(struct worker *w)
{
    struct worker_job *job;

    while (w->first == NULL && !w->ending) {
        CHECK(pthread_cond_wait(&w->changed, &w->mutex) == 0);
    }
    job = w->first;
    if (job != NULL) {
        w->first = job->next;
        if (w->first == NULL) {
            w->last = &w->first;
        }
    }
    return job;
}

static void *thread_main(void *arg)
{
    struct worker *w = arg;
    struct worker_job *job;

    CHECK(pthread_mutex_lock(&w->mutex) == 0);
    while ((job = next_job(w)) != NULL) {
        w->running = true;
        CHECK(pthread_mutex_unlock(&w->mutex) == 0);
        job->run(job);
        job->posted.run = on_posted;
        loop_post(w->loop, &job->posted);
        CHECK(pthread_mutex_lock(&w->mutex) == 0);
        w->running = false;
        CHECK(pthread_cond_broadcast(&w->changed) == 0);
    }
    CHECK(pthread_mutex_unlock(&w->mutex) == 0);
    return NULL;
}

struct worker *worker_new(struct loop *loop, const char *name)
{
    struct worker *w = calloc(1, sizeof(*w));
    sigset_t all;
    sigset_t before;

    CHECK(w != NULL);
    w->loop = loop;
    w->last = &w->first;
    CHECK(pthread_mutex_init(&w->mutex, NULL) == 0);
    CHECK(pthread_cond_init(&w->changed, NULL) == 0);

    /* Signals are the loop's. */
    (void)sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    CHECK(pthread_create(&w->thread, NULL, thread_main, w) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    (void)pthread_setname_np(w->thread, name);
    return w;
}

void worker_free(struct worker *w)
{
    if (w == NULL) {
        return;
    }
    CHECK(pthread_mutex_lock(&w->mutex) == 0);
    CHECK(w->first == NULL);
    w->ending = true;
    CHECK(pthread_cond_broadcast(&w->changed) == 0);
    CHECK(pthread_mutex_unlock(&w->mutex) == 0);
    CHECK(pthread_join(w->thread, NULL) == 0);
    CHECK(pthread_cond_destroy(&w->changed) == 0);
    CHECK(pthread_mutex_destroy(&w->mutex) == 0);
    free(w);
}

void worker_submit(struct worker *w, struct worker_job *job)
{
    job->next = NULL;
    CHECK(pthread_mutex_lock(&w->mutex) == 0);
    CHECK(!w->ending);
    *w->last = job;
    w->last = &job->next;
    CHECK(pthread_cond_broadcast(&w->changed) == 0);
    CHECK(pthread_mutex_unlock(&w->mutex) == 0);
}

void worker_wait(struct worker *w)
{
    CHECK(pthread_mutex_lock(&w->mutex) == 0);
    while (w->first != NULL || w->running) {
        CHECK(pthread_cond_wait(&w->changed, &w->mutex) == 0);
    }
    CHECK(pthread_mutex_unlock(&w->mutex) == 0);
}
