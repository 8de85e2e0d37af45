/*
 * A URL of http or https: where it points, or that it is none.
 */
#include "base/io/http_url.h"

#include <stdio.h>

#include "suite.h"

static const struct url_row {
    const char *text;
    bool good;
    bool tls;
    const char *host;
    uint16_t port;
    const char *user;
    const char *target;
} rows[] = {
    {"http://a", true, false, "a", 80, "", ""},
    {"https://a.b/c", true, true, "a.b", 443, "", "/c"},
    {"HTTP://A:8080/x?y=z&w", true, false, "A", 8080, "", "/x?y=z&w"},
    {"http://h?q=1", true, false, "h", 80, "", "?q=1"},
    {"http://h/p?q#f", true, false, "h", 80, "", "/p?q"},
    {"http://h/p#f", true, false, "h", 80, "", "/p"},
    {"http://[::1]:81/", true, false, "::1", 81, "", "/"},
    {"https://[fd00::2]", true, true, "fd00::2", 443, "", ""},
    {"http://me:secret@h:1/p", true, false, "h", 1, "me:secret", "/p"},
    {.text = ""},
    {.text = "a"},
    {.text = "a:80"},
    {.text = "/only/a/path"},
    {.text = "ftp://a/"},
    {.text = "http://"},
    {.text = "http:///p"},
    {.text = "http://a:0/"},
    {.text = "http://a:65536/"},
    {.text = "http://a:x/"},
    {.text = "http://a b/"},
    {.text = "http://a/b c"},
    {.text = "http://a/b\r\nX: y"},
    {.text = "http://[::1/"},
};

START_TEST(urls_by_row)
{
    const struct url_row *row = &rows[_i];
    struct http_url url;
    bool good = http_url_read(row->text, &url);

    ck_assert_msg(good == row->good, "%s", row->text);
    if (good) {
        ck_assert_int_eq(url.tls, row->tls);
        ck_assert_str_eq(url.host, row->host);
        ck_assert_uint_eq(url.port, row->port);
        ck_assert_msg(slice_eq(url.user, slice_str(row->user)), "%s",
                      row->text);
        ck_assert_msg(slice_eq(url.target, slice_str(row->target)), "%s",
                      row->text);
    }
}
END_TEST

START_TEST(a_host_longer_than_names_are)
{
    struct http_url url;
    char text[400];

    (void)snprintf(text, sizeof(text), "http://%0300d/", 0);
    ck_assert(!http_url_read(text, &url));
}
END_TEST

UNIT_MAIN("http_url", {
    tcase_add_loop_test(tc, urls_by_row, 0, COUNT_OF(rows));
    tcase_add_test(tc, a_host_longer_than_names_are);
})
