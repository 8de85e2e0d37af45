/*
 * status.h - how a function says that an expected thing went wrong.
 *
 * Statuses are for callers that decide. When a person must act, the function
 * also fills a struct err (err.h). Our own mistakes are CHECKs (check.h).
 */
#pragma once

#define STATUS_LIST(X)                                \
    X(ST_OK, "ok")                                    \
    X(ST_INVALID, "invalid argument")                 \
    X(ST_TOO_BIG, "over a configured limit")          \
    X(ST_TRUNCATED, "input ended early")              \
    X(ST_CORRUPT, "stored data is damaged")           \
    X(ST_NOT_FOUND, "not found")                      \
    X(ST_EXISTS, "already exists")                    \
    X(ST_COMPACTED, "revision has been compacted")    \
    X(ST_FUTURE, "revision is in the future")         \
    X(ST_NOT_LEADER, "this member is not the leader") \
    X(ST_NO_LEADER, "there is no leader")             \
    X(ST_BUSY, "too much is under way")               \
    X(ST_CANCELED, "given up before it was done")     \
    X(ST_TIMEOUT, "took too long")                    \
    X(ST_CLOSED, "the other side is gone")            \
    X(ST_DENIED, "not permitted")                     \
    X(ST_NO_SPACE, "no space left")                   \
    X(ST_NO_MEMORY, "out of memory")                  \
    X(ST_UNSUPPORTED, "not supported")                \
    X(ST_IO, "disk or network failure")

enum status {
#define X(name, text) name,
    STATUS_LIST(X)
#undef X
};

/* A few words in lower case, static. */
const char *status_text(enum status st);
