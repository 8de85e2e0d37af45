/*
 * serial.h - serials of a zone, in the arithmetic of RFC 1982.
 *
 * The serial of a zone is the store's revision, modulo 2^32, so that the zones
 * of all agents of one store can be compared. But what is shown can change
 * without the store: a guard holds nodes, an instance stops being "recently
 * healthy", settings are reloaded, a store is restored from an older backup. A
 * secondary takes nothing whose serial is not newer, so the serial goes ahead
 * by one then, and waits for the revision to catch up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline bool dns_serial_newer(uint32_t a, uint32_t b)
{
    return a != b && a - b < UINT32_C(0x80000000);
}

/* The serial after `last`, of a store at `revision`. */
static inline uint32_t dns_serial_next(uint32_t last, uint32_t revision,
                                       bool changed)
{
    if (dns_serial_newer(revision, last)) {
        return revision;
    }
    return changed ? last + 1 : last;
}
