/*
 * member_thread.h - a member that runs on a thread and loop of its own.
 *
 * For programs that embed a store: they start it, learn its address and talk to
 * it as any client does. The functions are called from one thread, the
 * owner's; on_fatal comes from the member's thread and may only hand the news
 * over (loop_post() to the owner's loop).
 */
#pragma once

#include "store/io/member.h"

struct member_thread;

/* Returns when the member listens or has failed to; `config` may be released
 * then. Statuses and `err` as of member_start(). */
enum status member_thread_start(const struct member_config *config,
                                struct member_hooks hooks,
                                struct member_thread **out_thread,
                                struct err *err);

/* The address as of member_client_url(..., 0). Valid until stop. */
const char *member_thread_client_url(const struct member_thread *t);

/* Stop the member in order, end the thread, free all. NULL is fine. */
void member_thread_stop(struct member_thread *t);
