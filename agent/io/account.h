/*
 * account.h - users and groups of this host by name or number.
 */
#pragma once

#include <sys/types.h>

#include "base/core/err.h"

/* ST_INVALID: there is none of that name. A number need not belong to anybody.
 */
enum status account_user(const char *name, uid_t *out_uid, struct err *err);
enum status account_group(const char *name, gid_t *out_gid, struct err *err);

/* The group that a user belongs to first. ST_INVALID: nobody has this number.
 */
enum status account_group_of(uid_t uid, gid_t *out_gid, struct err *err);

/* The name of a user into `out`; a number when nobody has it. */
const char *account_name(uid_t uid, char *out, size_t out_len);
