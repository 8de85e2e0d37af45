/*
 * transfers.h - zones for secondaries: one thread keeps them as records, and
 * tells the secondaries of changes (notify.h).
 *
 * A worker that gets a question for a transfer looks whether it is allowed
 * (transfer_take.c) and makes a job of it. The thread brings the zone up to
 * date and opens the transfer; the job goes back to its worker, whose
 * connection takes one message a turn of the loop, as long as its client reads
 * (conn.c). Then the job goes to the thread once more, to be closed. It has one
 * owner at a time, and changes hands through the two inboxes.
 *
 * The thread reads published zones as a worker does, so neither questions nor
 * the agent wait for it. It runs from the first time that there are rules.
 */
#pragma once

#include <pthread.h>
#include <sys/queue.h>
#include <uv.h>

#include "dns/core/transfer.h"
#include "dns/io/publish.h"
#include "dns/io/transfer_rules.h"

struct transfers;
struct transfer_desk;
struct tcp_conn;

struct transfer_job {
    STAILQ_ENTRY(transfer_job) link; /* In an inbox. */
    struct transfers *transfers;
    struct transfer_desk *desk;
    struct tcp_conn *conn;        /* The worker's; NULL: it has gone. */
    struct transfer_rules *rules; /* It holds the key. */
    bool is_signed;
    struct tsig tsig;
    unsigned domain;
    struct dns_transfer_request request;
    struct dns_name name;               /* What the request borrows. */
    struct dns_transfer_stream *stream; /* NULL: not opened. */
    bool over;                          /* It comes to be closed. */
};

STAILQ_HEAD(transfer_jobs, transfer_job);

/* ---- the server's ---- */

/* `publisher` is looked at later. */
struct transfers *transfers_new(const struct publisher *publisher);
struct reader *transfers_reader(struct transfers *t);

/* NOTIFY is sent from the first of these that can reach its target, from now
 * on. Copied. */
void transfers_listen(struct transfers *t, const union address *own,
                      size_t count);

/* Takes the rules over; NULL: no secondaries. ST_IO: no thread. */
enum status transfers_set(struct transfers *t, struct transfer_rules *rules,
                          struct err *err);

/* There is another zone. */
void transfers_published(struct transfers *t);
void transfers_stats(struct transfers *t, struct dns_transfer_stats *out);

/* The thread ends, then the workers, then the rest. */
void transfers_stop(struct transfers *t);
void transfers_free(struct transfers *t);

/* ---- a worker's ---- */

/* The present rules, to be unreferenced; NULL: there are none. */
struct transfer_rules *transfers_rules(struct transfers *t);

/* A new job, unless too many are under way: NULL. */
struct transfer_job *transfer_job_new(struct transfers *t);

/* Where jobs come back to; `ready` is called with each whose connection is
 * still there. */
typedef void transfer_ready_fn(struct transfer_job *job);
struct transfer_desk *transfer_desk_new(struct transfers *t, uv_loop_t *loop,
                                        transfer_ready_fn *ready);
void transfer_desk_close(struct transfer_desk *desk); /* With the loop. */

/* It will come back to the desk. */
void transfer_job_open(struct transfer_job *job, struct transfer_desk *desk,
                       struct tcp_conn *conn);

/* The next message, signed; 0: that was all. `out` has room for 64 KiB. */
size_t transfer_job_next(struct transfer_job *job, uint8_t *out);

/* The worker is done with it; or, when it is still away, does not wait for it
 * any more. */
void transfer_job_close(struct transfer_job *job);
