/*
 * api_txn.h - a request to /v1/txn (private to api_txn*.c).
 */
#pragma once

#include <jansson.h>

#include "agent/core/api_kv.h"
#include "agent/core/cat_txn.h"

/* An operation on the catalogue has a KV_OTHER among those on entries, so that
 * their places are those of the request. */
struct api_txn {
    struct kv_op *kv_ops;
    struct cat_op *cat_ops;
    struct kv_txn kv;
    struct cat_txn cat;
};

/* By Consul's rule for names; NULL: there is none. */
const json_t *api_txn_member(const json_t *object, const char *name);
/* "" if it is no text. */
const char *api_txn_text(struct api_call *call, const json_t *object,
                         const char *name);
/* 0 if it is not there; false: it is no number of 0 or more. */
bool api_txn_number(const json_t *object, const char *name, uint64_t *out);
/* False, with the reply made: "Operation <at>: <what>". */
bool api_txn_refuse(struct api_call *call, size_t at, const char *what);

/* True: the reply will name the operation, as if it could not be carried out.
 */
bool api_txn_fault(struct api_txn *t, size_t at, const char *text);

/* api_txn_catalog.c: add the operation on a node, a service or a check. False:
 * the reply is made. */
bool api_txn_read_catalog(struct api_call *call, size_t at, const json_t *item,
                          struct api_txn *t);
void api_txn_write_catalog(struct api_call *call, const struct api_txn *t,
                           const struct cat_result *result);
