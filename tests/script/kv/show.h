/*
 * show.h - replies and events as text, for people and for comparing.
 */
#pragma once

#include "store/kv/kv.h"
#include "store/kv/watch.h"

void show_reply(enum kv_kind kind, const struct kv_reply *reply,
                struct buf *out);
void show_notice(const char *name, const struct watch_notice *n,
                 struct buf *out);
