/*
 * suspend.h - notices that the machine has slept.
 *
 * CLOCK_MONOTONIC stands still while the machine is suspended, CLOCK_BOOTTIME
 * goes on: their difference grows by the time that was slept through. Nothing
 * tells a process when it wakes; who must not answer with what it knew before
 * looks first.
 */
#pragma once

#include <stdint.h>

struct suspend {
    int64_t offset_ms; /* By how much boot time was ahead when last seen. */
};

/* From now on. */
void suspend_init(struct suspend *s);

/* How long the machine has slept since suspend_init(), or since the last call
 * that did not return 0; less than a second counts as nothing. Costs two looks
 * at a clock, no system call. */
uint64_t suspend_look(struct suspend *s);
