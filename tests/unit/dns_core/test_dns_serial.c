#include "dns/core/serial.h"

#include "dns/core/model.h"
#include "dns/core/transfer.h"
#include "suite.h"

static const struct {
    uint32_t last;
    uint32_t revision;
    bool changed;
    uint32_t next;
} serials[] = {
    {5, 9, true, 9},  /* The store's. */
    {5, 9, false, 9}, /* The same, though nothing shows it. */
    {5, 5, false, 5}, /* Published again. */
    {5, 5, true, 6},  /* A change without the store. */
    {9, 5, true, 10}, /* A store that was set back. */
    {9, 5, false, 9}, /* It may not go back. */
    {6, 6, true, 7},  /* The revision has caught up, but no more. */
    {UINT32_MAX, 0, true, 0},
    {UINT32_MAX - 2, 3, true, 3},
    {UINT32_MAX, UINT32_MAX, true, 0},
};

START_TEST(serials_by_row)
{
    ck_assert_uint_eq(dns_serial_next(serials[_i].last, serials[_i].revision,
                                      serials[_i].changed),
                      serials[_i].next);
}
END_TEST

START_TEST(a_serial_of_an_earlier_life_is_not_used_again)
{
    struct dns_settings settings;
    struct dns_model *m;
    struct dns_node node = {.name = "n", .address = "10.0.0.1"};
    struct dns_zone *zones[3];

    dns_settings_init(&settings);
    ck_assert_int_eq(
        dns_model_new(&settings, (struct hash_key){1, 2}, &m, NULL), ST_OK);
    dns_model_serial_after(m, 20);
    zones[0] = dns_model_commit(m, 0, DNS_UNKNOWN);
    ck_assert_uint_eq(dns_zone_serial(zones[0]), 20);
    dns_model_put_node(m, &node);
    zones[1] = dns_model_commit(m, 7, DNS_FRESH);
    ck_assert_uint_eq(dns_zone_serial(zones[1]), 21);
    ck_assert(dns_zone_serial_is_ahead(zones[1]));
    zones[2] = dns_model_commit(m, 30, DNS_FRESH);
    ck_assert_uint_eq(dns_zone_serial(zones[2]), 30);
    ck_assert(!dns_zone_serial_is_ahead(zones[2]));
    for (int i = 0; i < 3; i++) {
        dns_zone_free(zones[i]);
    }
    dns_model_free(m);
}
END_TEST

UNIT_MAIN("dns_serial", {
    tcase_add_loop_test(tc, serials_by_row, 0, COUNT_OF(serials));
    tcase_add_test(tc, a_serial_of_an_earlier_life_is_not_used_again);
})
