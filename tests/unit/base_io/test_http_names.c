/* A request to a name: whoever looks it up may take longer than we wait. */
#include "base/io/http_client.h"

#include "fake_names.h"
#include "suite.h"
#include "world.h"

static enum status ended;
static char why_ended[200];

static void on_end(void *ctx, enum status st, const char *why)
{
    (void)ctx;
    ended = st;
    (void)snprintf(why_ended, sizeof(why_ended), "%s", why);
    world_done();
}

static struct http_call *call(uint64_t connect_ms, uint64_t total_ms)
{
    struct http_call_config config = {.host = "slow.test",
                                      .port = 1,
                                      .method = "GET",
                                      .path = "/",
                                      .connect_ms = connect_ms,
                                      .total_ms = total_ms};

    ended = ST_OK;
    return http_call_start(world.loop, &config,
                           (struct http_call_hooks){.on_end = on_end});
}

/* Which limit ends it; 0: the caller does. */
static const struct {
    uint64_t connect_ms;
    uint64_t total_ms;
    enum status st;
} rows[] = {
    {50, 0, ST_TIMEOUT},
    {60000, 50, ST_TIMEOUT},
    {60000, 0, ST_CANCELED},
};

START_TEST(a_slow_name_holds_no_call)
{
    struct http_call *c;
    int pipes[2];

    fake_addresses_count = 0;
    fake_names_have("127.0.0.1", 1);
    ck_assert_int_eq(pipe(pipes), 0);
    fake_names_hold = pipes[0];
    world_init();
    c = call(rows[_i].connect_ms, rows[_i].total_ms);
    if (rows[_i].st == ST_CANCELED) {
        http_call_cancel(c);
    }
    world_run();
    ck_assert_int_eq(ended, rows[_i].st);
    if (rows[_i].st == ST_TIMEOUT) {
        ck_assert_ptr_nonnull(strstr(why_ended, "name servers"));
    }
    ck_assert_int_eq(write(pipes[1], "x", 1), 1); /* It comes too late. */
    world_release();
    fake_names_hold = -1;
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}
END_TEST

/* One that comes in time is used: nobody listens there. */
START_TEST(a_name_that_is_found_is_called)
{
    fake_addresses_count = 0;
    fake_names_have("127.0.0.1", 1);
    world_init();
    (void)call(20000, 0);
    world_run();
    ck_assert_int_eq(ended, ST_DENIED);
    fake_addresses_count = 0;
    (void)call(20000, 0);
    world_run();
    ck_assert_int_eq(ended, ST_IO);
    world_release();
}
END_TEST

UNIT_MAIN("http_names", {
    tcase_add_loop_test(tc, a_slow_name_holds_no_call, 0, COUNT_OF(rows));
    tcase_add_test(tc, a_name_that_is_found_is_called);
})
