#include "cli/table.h"

#include "tests/unit/suite.h"

static const char *const heads[] = {"NAME", "HEALTH", "TAGS"};

static void fill(struct table *t)
{
    table_init(t, heads, 3);
    table_add(t, TABLE_PLAIN, "web");
    table_add(t, TABLE_GOOD, "passing");
    table_add(t, TABLE_PLAIN, "v1, v2");
    table_add(t, TABLE_PLAIN, "a-longer-name");
    table_add(t, TABLE_BAD, "critical");
    table_addf(t, TABLE_PLAIN, "%d", 7);
}

static void expect(const struct table *t, bool coloured, const char *wanted)
{
    struct buf out;

    buf_init(&out, 8192);
    table_write(t, coloured, &out);
    ck_assert_str_eq(buf_cstr(&out), wanted);
    buf_release(&out);
}

START_TEST(columns_are_aligned)
{
    struct table t;

    fill(&t);
    expect(&t, false,
           "NAME           HEALTH    TAGS\n"
           "web            passing   v1, v2\n"
           "a-longer-name  critical  7\n");
    table_release(&t);
}
END_TEST

START_TEST(colour_takes_no_room)
{
    struct table t;

    fill(&t);
    expect(&t, true,
           "NAME           HEALTH    TAGS\n"
           "web            \033[32mpassing\033[0m   v1, v2\n"
           "a-longer-name  \033[31mcritical\033[0m  7\n");
    table_release(&t);
}
END_TEST

START_TEST(foreign_text_cannot_drive_the_terminal)
{
    struct table t;

    table_init(&t, heads, 3);
    table_add(&t, TABLE_PLAIN, "a\033[2Jb\nc");
    table_add(&t, TABLE_PLAIN, "gr\xc3\xbcn");
    table_add(&t, TABLE_PLAIN, "");
    expect(&t, false,
           "NAME      HEALTH  TAGS\n"
           "a?[2Jb?c  gr\xc3\xbcn    \n");
    table_release(&t);
}
END_TEST

START_TEST(long_text_is_cut)
{
    static const char *const one[] = {"X"};
    char text[3000];
    struct table t;
    struct buf out;

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    table_init(&t, one, 1);
    table_add(&t, TABLE_PLAIN, text);
    buf_init(&out, 8192);
    table_write(&t, false, &out);
    ck_assert_uint_eq(out.len, 2 + 1024 + 3 + 1);
    buf_release(&out);
    table_release(&t);
}
END_TEST

UNIT_MAIN("table", {
    tcase_add_test(tc, columns_are_aligned);
    tcase_add_test(tc, colour_takes_no_room);
    tcase_add_test(tc, foreign_text_cannot_drive_the_terminal);
    tcase_add_test(tc, long_text_is_cut);
})
