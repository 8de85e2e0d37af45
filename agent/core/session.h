/*
 * session.h - sessions: who may hold locks of /v1/kv, and for how long.
 *
 *   /muster/v1/<dc>/sess/<id>    the session, no lease
 *   /muster/v1/<dc>/alive/<id>   with a TTL: under the session's own lease
 *
 * A session is over when its TTL has passed without renewal (the leased key is
 * gone), when the agent of its node has lost its own lease (the live key is
 * gone or was made anew) unless it is not tied to serfHealth, or when one of
 * its other checks is critical. From that moment on nothing can be locked with
 * it, and what it holds stays locked until somebody has ended it
 * (session_end.h): only then may others have it, after the lock-delay.
 */
#pragma once

#include "agent/core/catalog.h"
#include "agent/core/store.h"

#define LIMIT_SESSION_CHECKS 64
#define SESSION_DELAY_MS_MAX 60000

enum session_behavior {
    SESSION_RELEASE,
    SESSION_DELETE
};

struct session {
    const char *id;
    const char *name;
    const char *node;
    enum session_behavior behavior;
    uint64_t lock_delay_ms;
    uint64_t ttl_ms;             /* 0: none. */
    int64_t lease;               /* With a TTL. */
    bool serf;                   /* Ends with its node. */
    struct texts node_checks;    /* Without serfHealth. */
    struct texts service_checks; /* Of the same node. */
    int64_t live_create; /* Of the node's live key when it was made; 0: the node
                            has no agent. */
    bool ending;         /* What it holds is being let go. */
    int64_t create_index;
    int64_t modify_index;
};

/* Whether a text may be an id: part of a key. */
bool session_id_fits(const char *id);

/* `id` "": the prefix of all. */
struct slice session_key(struct arena *a, const char *dc, const char *id);
struct slice session_alive_key(struct arena *a, const char *dc, const char *id);
struct slice session_live_key(struct arena *a, const char *dc,
                              const char *node);

/* From the arena. */
struct slice session_write(struct arena *a, const struct session *s);
/* ST_CORRUPT: not a session; `err` says why. */
enum status session_read(struct arena *a, const char *dc,
                         const struct store_kv *kv, struct session *out_session,
                         struct err *err);

/* What has to be read to know whether it may lock, and the guards under which
 * it stays so. */
void session_add_reads(struct store_ask *ask, struct arena *a, const char *dc,
                       const char *id);
void session_add_guards(struct store_ask *ask, struct arena *a, const char *dc,
                        const struct session *s,
                        const struct store_answer *seen);

/* By what was read and by the replica. NULL: it may. Otherwise why not. */
const char *session_trouble(struct arena *a, const char *dc,
                            const struct catalog *catalog, const char *id,
                            const struct store_answer *seen,
                            struct session *out_session);

/* By the replica alone: whether its node or one of its checks has ended it. */
bool session_is_over(const struct session *s, const struct catalog *catalog);
