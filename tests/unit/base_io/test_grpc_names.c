/* Targets that are names: several addresses, dead ones, slow look-ups. */

#include "echo.h"
#include "fake_names.h"
#include "suite.h"

/* ---- which addresses are tried ---- */

enum place {
    ALIVE,
    REFUSES,
    FROZEN
};

static const struct {
    const char *name;
    enum place places[3];
    unsigned count;
    unsigned offset;
    bool reached;
} rows[] = {
    {"one that lives", {ALIVE}, 1, 0, true},
    {"the second lives", {REFUSES, ALIVE}, 2, 0, true},
    {"the first says nothing", {FROZEN, ALIVE}, 2, 0, true},
    {"two say nothing", {FROZEN, FROZEN, ALIVE}, 3, 0, true},
    {"begins at the second", {FROZEN, ALIVE}, 2, 1, true},
    {"begins at the last and goes round", {ALIVE, FROZEN, REFUSES}, 3, 2, true},
    {"the offset may be large", {ALIVE, FROZEN}, 2, 4001, true},
    {"all refuse", {REFUSES, REFUSES}, 2, 0, false},
    {"all are silent", {FROZEN, FROZEN}, 2, 1, false},
};

static char failure[512];

static void on_ready(void *ctx)
{
    (void)ctx;
    world_done();
}

static void on_failed(void *ctx, const struct err *why)
{
    (void)ctx;
    (void)snprintf(failure, sizeof(failure), "%s", why->text);
    world_done();
}

START_TEST(addresses_by_row)
{
    struct grpc_channel_config config = {.target = "many.test:1",
                                         .connect_timeout_ms = 600,
                                         .address_offset = rows[_i].offset};
    struct grpc_channel_hooks hooks = {.on_ready = on_ready,
                                       .on_failed = on_failed};
    unsigned frozen_port;
    int fd = fake_frozen_open(&frozen_port);

    fake_addresses_count = 0;
    failure[0] = '\0';
    world_init();
    world_serve(&service, NULL, NULL);
    for (unsigned i = 0; i < rows[_i].count; i++) {
        switch (rows[_i].places[i]) {
        case ALIVE:
            fake_names_have("127.0.0.1", server_port(world.server));
            break;
        case REFUSES:
            fake_names_have("127.0.0.1", 1);
            break;
        case FROZEN:
            fake_names_have("127.0.0.1", frozen_port);
            break;
        }
    }
    world_open(&config, hooks);
    world_run();
    ck_assert_msg(grpc_channel_ready(world.channel) == rows[_i].reached,
                  "%s: %s", rows[_i].name, failure);
    world_release();
    (void)close(fd);
}
END_TEST

/* ---- a look-up that hangs ---- */

START_TEST(a_slow_name_is_given_up_in_time)
{
    struct grpc_channel_config config = {.target = "slow.test:1",
                                         .connect_timeout_ms = 100};
    struct grpc_channel_hooks hooks = {.on_failed = on_failed};
    int pipes[2];

    fake_addresses_count = 0;
    failure[0] = '\0';
    fake_names_have("127.0.0.1", 1);
    ck_assert_int_eq(pipe(pipes), 0);
    fake_names_hold = pipes[0];
    world_init();
    world_open(&config, hooks);
    world_run();
    ck_assert_str_eq(failure, "connect to slow.test:1: timed out");

    ck_assert_int_eq(write(pipes[1], "x", 1), 1); /* It comes too late. */
    world_release();
    fake_names_hold = -1;
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}
END_TEST

START_TEST(what_is_heard_is_noted)
{
    struct outcome o;

    begin();
    ck_assert_uint_eq(grpc_channel_heard_ms(world.channel), 0);
    o = call("/test.Echo/Echo", slice_str("x"), 0);
    buf_release(&o.reply);
    ck_assert_uint_gt(grpc_channel_heard_ms(world.channel), 0);
    end();
}
END_TEST

UNIT_MAIN("grpc_names", {
    tcase_add_loop_test(tc, addresses_by_row, 0, COUNT_OF(rows));
    tcase_add_test(tc, a_slow_name_is_given_up_in_time);
    tcase_add_test(tc, what_is_heard_is_noted);
})
