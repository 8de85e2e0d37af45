/*
 * privileges.h - an agent that was started as root becomes somebody else.
 *
 *     st = privileges_lower(&config, &p, &err);  before any thread and file
 *     ... the agent starts: it binds its ports, and what it makes on disk
 *         belongs to its user ...
 *     st = privileges_drop(&p, &err);            when all ports are bound
 *
 * Between the two it is the user already, with CAP_NET_BIND_SERVICE for ports
 * below 1024. Afterwards no thread has any capability, and nothing that it runs
 * can get one (PR_SET_NO_NEW_PRIVS): setuid programs in exec checks run as the
 * agent's user. A reload keeps the ports that are bound; low ones it does not
 * get any more, and says so.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/core/err.h"

struct agent_config;

struct privileges {
    bool lowered;
    uid_t uid;
};

/* Nothing happens without config->user, or when it is who we are. What is
 * missing of the data folder and the socket's folder is made, for the user.
 *
 * ST_INVALID  no such user or group
 * ST_DENIED   only root can do that; or the data folder, or something in it, is
 *             not the user's to write: err says what to do
 */
enum status privileges_lower(const struct agent_config *config,
                             struct privileges *out, struct err *err);

/* For good, in all threads. ST_IO: something was left. */
enum status privileges_drop(const struct privileges *p, struct err *err);
