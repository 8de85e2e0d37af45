#include "base/io/http_head.h"

#include <stdio.h>
#include <time.h>

#include "base/core/check.h"
#include "base/io/http_parse.h"
#include "base/io/loop.h"

const char *http_status_text(int status)
{
    switch (status) {
#define STATUS_CASE(number, name, text) \
    case number:                        \
        return #text;
        HTTP_STATUS_MAP(STATUS_CASE)
#undef STATUS_CASE
    default:
        return "";
    }
}

/* RFC 9110, 5.6.7. Made once a second. */
static const char *date_now(void)
{
    static _Thread_local char text[40];
    static _Thread_local time_t made_at;
    time_t now = (time_t)(loop_wall_ms() / 1000);

    if (now != made_at) {
        static const char *const days[] = {"Sun", "Mon", "Tue", "Wed",
                                           "Thu", "Fri", "Sat"};
        static const char *const months[] = {"Jan", "Feb", "Mar", "Apr",
                                             "May", "Jun", "Jul", "Aug",
                                             "Sep", "Oct", "Nov", "Dec"};
        struct tm tm;

        CHECK(gmtime_r(&now, &tm) != NULL);
        (void)snprintf(text, sizeof(text),
                       "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
                       tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
                       tm.tm_hour, tm.tm_min, tm.tm_sec);
        made_at = now;
    }
    return text;
}

/* A field's text; a line break in it would be a second field. */
static enum status add_text(struct buf *out, struct slice text)
{
    uint8_t *at;
    enum status st = buf_reserve(out, text.len, &at);

    if (st) {
        return st;
    }
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        at[i] = c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
    }
    out->len += text.len;
    return ST_OK;
}

enum status http_head_field(struct buf *out, const struct http_header *h)
{
    enum status st = add_text(out, h->name);

    if (!st) {
        st = buf_add_str(out, ": ");
    }
    if (!st) {
        st = add_text(out, h->value);
    }
    return st ? st : buf_add_str(out, "\r\n");
}

enum status http_head_begin(struct buf *out, const struct http_head *h)
{
    enum status st = buf_addf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", h->status,
                              http_status_text(h->status), date_now());

    if (!st && h->server != NULL) {
        st = buf_addf(out, "Server: %s\r\n", h->server);
    }
    if (!st && h->connection != NULL) {
        st = buf_addf(out, "Connection: %s\r\n", h->connection);
    }
    if (!st && h->counted) {
        st = buf_addf(out, "Content-Length: %zu\r\n", h->body_len);
    }
    return st;
}
