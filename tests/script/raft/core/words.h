/*
 * words.h - changes, configurations and messages as the scripts write them.
 *
 * A change is "+4" (a voter), "~4" (a learner), "-4" (gone) or "=4" (new
 * addresses). Alone it is of the old kind (ConfChange); several, or one behind
 * "auto", "implicit" or "explicit", are one ConfChangeV2. "leave" is the empty
 * one that ends a joint configuration.
 */
#pragma once

#include "store/raft/raft.h"

#define WORDS_ENTRIES_MAX 8

/* false: these are none. */
bool words_changes(const char *text, struct raft_changes *out_changes);
/* The text that an entry of changes holds. */
void words_changes_text(const struct raft_entry *e, char *out_text,
                        size_t size);
/* Such as "voters 1 2 3, outgoing 1 2, learners 4, learners next 2". */
void words_conf(const struct raft_conf *conf, char *out_text, size_t size);

/* What a message borrows. */
struct words_message {
    struct raft_msg msg;
    struct raft_entry entries[WORDS_ENTRIES_MAX];
    struct raft_snapshot snapshot;
};

/* The words after "say FROM TO": a type as in etcd's names without Msg, then
 * any of
 *     term N          unless it is the receiver's
 *     at TERM/INDEX   pos
 *     hint TERM/INDEX
 *     commit N
 *     context N
 *     reject
 *     transfer
 *     entries TERM... they follow on `at`
 * A snapshot is at `at`; its configuration is *conf.
 * false: a word is not known. */
bool words_message(char *const *words, size_t count,
                   const struct raft_conf *conf, struct words_message *m);
