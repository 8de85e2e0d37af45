/*
 * local_world.h - what tests of the host's own services begin with: definitions
 * from text, registrations, and a check's state.
 */
#pragma once

#include "agent/core/local.h"
#include "fake_store.h"
#include "suite.h"

static inline struct definitions *parse(const char *text)
{
    struct definitions *defs = NULL;
    struct err err;

    ck_assert_msg(definitions_parse(DEFINITION_FILE, "f", slice_str(text),
                                    &defs, &err) == ST_OK,
                  "%s", err.text);
    return defs;
}

static inline enum status load(struct fake *f, const char *file,
                               const char *text, struct err *err)
{
    struct definitions *defs = parse(text);
    enum status st = local_load_file(f->local, file, defs, f->now, err);

    definitions_unref(defs);
    return st;
}

static inline void put(struct fake *f, const char *line, const char *body)
{
    (void)fake_reply(f, line, body, 200);
}

static inline enum check_status status_of(struct fake *f, const char *id)
{
    struct local_check c;

    ck_assert_msg(local_check_get(f->local, id, &c), "%s", id);
    return c.status;
}

#define ASSERT_OUTPUT(f, id, text)                         \
    do {                                                   \
        struct local_check c_;                             \
        ck_assert(local_check_get((f)->local, (id), &c_)); \
        ck_assert_str_eq(c_.output, (text));               \
    } while (0)
