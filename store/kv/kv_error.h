/*
 * kv_error.h - what a client is told when a request fails.
 *
 * One list: our name, the gRPC code, etcd's text. Clients match the texts, so
 * they are etcd's to the letter.
 */
#pragma once

#include "base/core/bytes.h"

#define KV_ERROR_LIST(X)                                                       \
    X(KV_OK, 0, "")                                                            \
    X(KV_MALFORMED, 13, "etcdserver: malformed request")                       \
    X(KV_EMPTY_KEY, 3, "etcdserver: key is not provided")                      \
    X(KV_KEY_NOT_FOUND, 3, "etcdserver: key not found")                        \
    X(KV_VALUE_PROVIDED, 3, "etcdserver: value is provided")                   \
    X(KV_LEASE_PROVIDED, 3, "etcdserver: lease is provided")                   \
    X(KV_TOO_MANY_OPS, 3, "etcdserver: too many operations in txn request")    \
    X(KV_DUPLICATE_KEY, 3, "etcdserver: duplicate key given in txn request")   \
    X(KV_COMPACTED, 11,                                                        \
      "etcdserver: mvcc: required revision has been compacted")                \
    X(KV_FUTURE_REV, 11,                                                       \
      "etcdserver: mvcc: required revision is a future revision")              \
    X(KV_NO_SPACE, 8, "etcdserver: mvcc: database space exceeded")             \
    X(KV_CORRUPT, 15, "etcdserver: corrupt cluster")                           \
    X(KV_LEASE_NOT_FOUND, 5, "etcdserver: requested lease not found")          \
    X(KV_LEASE_EXISTS, 9, "etcdserver: lease already exists")                  \
    X(KV_LEASE_TTL_TOO_LARGE, 11, "etcdserver: too large lease TTL")           \
    X(KV_MEMBER_NOT_FOUND, 5, "etcdserver: member not found")                  \
    X(KV_MEMBER_EXISTS, 9, "etcdserver: member ID already exist")              \
    X(KV_PEER_URL_EXISTS, 9, "etcdserver: Peer URLs already exists")           \
    X(KV_MEMBER_NOT_LEARNER, 9,                                                \
      "etcdserver: can only promote a learner member")                         \
    X(KV_LEARNER_NOT_READY, 9,                                                 \
      "etcdserver: can only promote a learner member which is in sync with "   \
      "leader")                                                                \
    X(KV_TOO_MANY_LEARNERS, 9,                                                 \
      "etcdserver: too many learner members in cluster")                       \
    X(KV_BAD_MEMBER_URLS, 3, "etcdserver: given member URLs are invalid")      \
    X(KV_NOT_ENOUGH_STARTED, 2,                                                \
      "etcdserver: re-configuration failed due to not enough started "         \
      "members")                                                               \
    X(KV_UNHEALTHY, 14, "etcdserver: unhealthy cluster")                       \
    X(KV_NOT_LEADER, 9, "etcdserver: not leader")                              \
    X(KV_BAD_TRANSFEREE, 9, "etcdserver: bad leader transferee")               \
    X(KV_LEARNER, 14, "etcdserver: rpc not supported for learner")             \
    X(KV_UNSUPPORTED, 12, "etcdserver: not supported by this server")          \
    X(KV_REPLY_TOO_LARGE, 8, "grpc: trying to send a message larger than max") \
    X(KV_DAMAGED, 15, "etcdserver: stored data is damaged")

enum kv_error {
#define X(name, code, text) name,
    KV_ERROR_LIST(X)
#undef X
};

int kv_error_code(enum kv_error e); /* The gRPC status code. */
const char *kv_error_text(enum kv_error e);

/* The error with this text, blanks at the end aside; KV_OK: none. */
enum kv_error kv_error_of_text(struct slice text);
