/*
 * check.h - invariants that hold in release builds too.
 *
 * A failed CHECK is our own mistake, never bad input: the process prints where
 * and stops. A member that stops is repaired by its peers; one that goes on
 * with a wrong log harms them.
 */
#pragma once

_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(cond)                                  \
    do {                                             \
        if (!(cond)) {                               \
            check_failed(__FILE__, __LINE__, #cond); \
        }                                            \
    } while (0)

/* Whenever a holds, b must hold. */
#define CHECK_IF(a, b) CHECK(!(a) || (b))

/* For the end of a switch over an enum that has handled every value. */
#define UNREACHABLE() check_failed(__FILE__, __LINE__, "unreachable")
