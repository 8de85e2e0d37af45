/*
 * fuzz.h - what libFuzzer, or replay.c in its place, calls.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* One input. A bug is a CHECK that fails or a sanitizer's report. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
