#include "dns/io/publish.h"

#include "suite.h"

/* The address sanitizer is the judge here: a zone freed too early is a use
 * after free, one never freed is a leak. */

static struct dns_model *make_model(void)
{
    struct dns_settings settings;
    struct dns_model *m;

    dns_settings_init(&settings);
    ck_assert_int_eq(
        dns_model_new(&settings, (struct hash_key){1, 2}, &m, NULL), ST_OK);
    return m;
}

static struct dns_zone *next_zone(struct dns_model *m, uint16_t port)
{
    struct dns_instance one = {
        .id = "1", .node = "n", .node_address = "10.0.0.1", .port = port};

    dns_model_put_service(m, "web", &one, 1);
    return dns_model_commit(m, port, DNS_FRESH);
}

START_TEST(a_reader_keeps_its_zone)
{
    struct dns_model *m = make_model();
    struct reader a = {.seen = READER_IDLE};
    struct reader b = {.seen = READER_IDLE};
    struct reader *readers[] = {&a, &b};
    struct publisher p;
    const struct dns_zone *held;

    publisher_init(&p, readers, 2);
    ck_assert_ptr_null(reader_enter(&a, &p));
    reader_leave(&a);
    publisher_show(&p, next_zone(m, 1));
    held = reader_enter(&a, &p);
    for (uint16_t port = 2; port < 20; port++) {
        publisher_show(&p, next_zone(m, port));
        ck_assert_uint_eq(dns_zone_sequence(held), 1);
        ck_assert_uint_eq(dns_zone_names(held), 1);
        ck_assert_uint_eq(p.old_count, port - 1u); /* All that came since. */
        ck_assert_uint_eq(dns_zone_sequence(reader_enter(&b, &p)), port);
        reader_leave(&b);
    }
    reader_leave(&a);
    publisher_show(&p, next_zone(m, 20));
    ck_assert_uint_eq(p.old_count, 0);
    publisher_release(&p);
    dns_model_free(m);
}
END_TEST

/* A reader seen between its two steps might have taken any zone. */
START_TEST(an_entering_reader_holds_all)
{
    struct dns_model *m = make_model();
    struct reader a = {.seen = READER_ENTERING};
    struct reader *readers[] = {&a};
    struct publisher p;

    publisher_init(&p, readers, 1);
    publisher_show(&p, next_zone(m, 1));
    publisher_show(&p, next_zone(m, 2));
    publisher_show(&p, next_zone(m, 3));
    ck_assert_uint_eq(p.old_count, 2);
    atomic_store(&a.seen, 2);
    publisher_show(&p, next_zone(m, 4));
    ck_assert_uint_eq(p.old_count, 2); /* 2 and 3; 1 is gone. */
    publisher_release(&p);
    dns_model_free(m);
}
END_TEST

UNIT_MAIN("dns_publish", {
    tcase_add_test(tc, a_reader_keeps_its_zone);
    tcase_add_test(tc, an_entering_reader_holds_all);
})
