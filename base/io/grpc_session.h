/*
 * grpc_session.h - one connection's HTTP/2 session on the server's side.
 *
 * For base/io only. server.c owns the stream and feeds the session; the calls
 * on it are grpc_server.h's.
 */
#pragma once

#include "base/io/grpc_server.h"
#include "base/io/stream.h"

struct grpc_session;
struct grpc_side;

/* What the sessions of one listener share: the table of methods by path, and
 * call objects for reuse. */
struct grpc_side *grpc_side_new(const struct grpc_methods *methods);
void grpc_side_free(struct grpc_side *side); /* After its last session. */

/* `stream` is open and outlives the session. */
struct grpc_session *grpc_session_new(struct grpc_side *side,
                                      struct stream *stream);

/* Ends its calls: on_closed is called for each. */
void grpc_session_free(struct grpc_session *gs);

void grpc_session_read(struct grpc_session *gs, struct slice bytes);
void grpc_session_flush(struct grpc_session *gs);    /* stream's on_flush */
void grpc_session_drained(struct grpc_session *gs);  /* its on_drained */
void grpc_session_deadline(struct grpc_session *gs); /* its on_deadline */

/* Take no new calls; finish the stream when the present ones have ended. */
void grpc_session_leave(struct grpc_session *gs);
