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

struct told {
    const char *check_id;
    const char *output; /* NULL: not found. */
    struct arena arena;
};

static inline bool told_look(void *ctx, const struct local_record *record)
{
    struct told *t = ctx;
    struct instance_record instance;
    struct record_key key;
    struct err err;

    if (record_key_read(&t->arena, "dc1", record->key, &key) != ST_OK ||
        key.kind != RECORD_INSTANCE) {
        return true;
    }
    ck_assert_msg(instance_record_read(&t->arena, &key, record->value,
                                       &instance, &err) == ST_OK,
                  "%s", err.text);
    for (size_t i = 0; i < instance.checks_count; i++) {
        if (strcmp(instance.checks[i].id, t->check_id) == 0) {
            t->output = instance.checks[i].output;
        }
    }
    return true;
}

/* What the record for the store says that a service's check said. */
#define ASSERT_TOLD(f, id, text)                          \
    do {                                                  \
        struct told told_ = {.check_id = (id)};           \
                                                          \
        local_each_record((f)->local, told_look, &told_); \
        ck_assert_ptr_nonnull(told_.output);              \
        ck_assert_str_eq(told_.output, (text));           \
        arena_release(&told_.arena);                      \
    } while (0)
