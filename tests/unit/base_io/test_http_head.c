#include "base/io/http_head.h"

#include "suite.h"

/* The date is that of now and is cut out. */
static const struct {
    const char *name;
    struct http_head head;
    const char *text;
} rows[] = {
    {"a plain one",
     {.status = 200, .counted = true, .body_len = 12},
     "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n"},
    {"without a body", {.status = 204}, "HTTP/1.1 204 No Content\r\n"},
    {"who answers",
     {.status = 404, .server = "muster/1.2"},
     "HTTP/1.1 404 Not Found\r\nServer: muster/1.2\r\n"},
    {"the last one",
     {.status = 500, .connection = "close", .server = "m"},
     "HTTP/1.1 500 Internal Server Error\r\nServer: m\r\n"
     "Connection: close\r\n"},
    {"a status nobody knows", {.status = 299}, "HTTP/1.1 299 \r\n"},
};

static void cut_date(char *text)
{
    char *from = strstr(text, "Date: ");
    char *to = from == NULL ? NULL : strstr(from, "\r\n");

    ck_assert(to != NULL);
    memmove(from, to + 2, strlen(to + 2) + 1);
}

START_TEST(head_by_row)
{
    struct buf out;

    buf_init(&out, 1024);
    ck_assert(http_head_begin(&out, &rows[_i].head) == ST_OK);
    ck_assert(buf_add_u8(&out, '\0') == ST_OK);
    cut_date((char *)out.data);
    ck_assert_msg(strcmp((char *)out.data, rows[_i].text) == 0, "%s:\n%s",
                  rows[_i].name, (char *)out.data);
    buf_release(&out);
}
END_TEST

START_TEST(a_field_is_one_line)
{
    struct http_header h = {slice_str("X\rY"), slice_str("a\r\nb")};
    struct buf out;

    buf_init(&out, 64);
    ck_assert(http_head_field(&out, &h) == ST_OK);
    ck_assert(slice_eq(buf_slice(&out), slice_str("X Y: a  b\r\n")));
    buf_release(&out);
}
END_TEST

UNIT_MAIN("http_head", {
    tcase_add_loop_test(tc, head_by_row, 0, COUNT_OF(rows));
    tcase_add_test(tc, a_field_is_one_line);
})
