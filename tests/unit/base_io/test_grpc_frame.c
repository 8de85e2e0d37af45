#include <string.h>

#include "base/io/grpc_frame.h"
#include "suite.h"

/* Input with a | at each place where a piece ends; the expected events: a
 * message in brackets, or the letter of a refusal. */
static const struct {
    const char *name;
    const char *input;
    size_t len;
    const char *events;
} streams[] = {
#define ROW(name, input, events)               \
    {                                          \
        name, input, sizeof(input) - 1, events \
    }
    ROW("nothing", "", ""),
    ROW("one", "\0\0\0\0\2ab", "[ab]"),
    ROW("an empty one", "\0\0\0\0\0", "[]"),
    ROW("two in a piece", "\0\0\0\0\1a\0\0\0\0\1b", "[a][b]"),
    ROW("a head in two pieces", "\0\0|\0\0\2ab", "[ab]"),
    ROW("a body in three", "\0\0\0\0\3a|b|c", "[abc]"),
    ROW("byte by byte", "\0|\0|\0|\0|\2|a|b", "[ab]"),
    ROW("a whole and a part", "\0\0\0\0\1a\0\0|\0\0\2x|y", "[a][xy]"),
    ROW("an end in the middle", "\0\0\0\0\2a", ""),
    ROW("as long as allowed",
        "\0\0\0\0\x08"
        "abcdefgh",
        "[abcdefgh]"),
    ROW("longer",
        "\0\0\0\0\x09"
        "abcdefghi",
        "B"),
    ROW("much longer, byte by byte", "\0|\xff|\xff|\xff|\xff", "B"),
    ROW("compressed", "\1\0\0\0\1a", "C"),
    ROW("compressed, in pieces", "\1|\0\0\0\1a", "C"),
    ROW("no flag at all", "\2\0\0\0\1a", "X"),
#undef ROW
};

static bool refused(char *events, enum grpc_take took)
{
    static const char letters[] = {[GRPC_TAKE_TOO_BIG] = 'B',
                                   [GRPC_TAKE_COMPRESSED] = 'C',
                                   [GRPC_TAKE_BAD] = 'X'};

    events[strlen(events)] = letters[took];
    return true;
}

/* Returns true when the stream must be given up. */
static bool feed(struct grpc_reader *r, struct slice piece, char *events)
{
    struct slice message;

    for (;;) {
        enum grpc_take took = grpc_reader_take(r, &piece, &message);

        if (took == GRPC_TAKE_MORE) {
            ck_assert_uint_eq(piece.len, 0);
            return false;
        }
        if (took != GRPC_TAKE_MESSAGE) {
            return refused(events, took);
        }
        strcat(events, "[");
        strncat(events, (const char *)message.data, message.len);
        strcat(events, "]");
    }
}

START_TEST(messages_are_found)
{
    const char *at = streams[_i].input;
    const char *end = at + streams[_i].len;
    char events[100] = "";
    struct grpc_reader r;
    bool given_up = false;

    grpc_reader_init(&r, 8);
    while (!given_up && at < end) {
        const char *bar = memchr(at, '|', (size_t)(end - at));
        const char *stop = bar != NULL ? bar : end;

        given_up = feed(&r, slice_of(at, (size_t)(stop - at)), events);
        at = bar != NULL ? stop + 1 : end;
    }
    ck_assert_msg(strcmp(events, streams[_i].events) == 0, "%s: %s",
                  streams[_i].name, events);
    grpc_reader_release(&r);
}
END_TEST

/* A message of a gigabyte that is only announced costs nothing. */
START_TEST(memory_follows_what_arrives)
{
    struct grpc_reader r;
    struct slice piece = slice_of("\0\x40\0\0\0abc", 8);
    struct slice message;

    grpc_reader_init(&r, 1u << 30);
    ck_assert_int_eq(grpc_reader_take(&r, &piece, &message), GRPC_TAKE_MORE);
    ck_assert(grpc_reader_is_partial(&r));
    ck_assert_uint_le(r.partial.cap, 64);
    grpc_reader_release(&r);
}
END_TEST

static const struct {
    const char *text;
    enum status st;
    uint64_t ms;
} timeouts[] = {
    {"1H", ST_OK, 3600000},
    {"2M", ST_OK, 120000},
    {"3S", ST_OK, 3000},
    {"99999999S", ST_OK, 99999999000},
    {"7m", ST_OK, 7},
    {"1u", ST_OK, 1}, /* Never earlier than asked. */
    {"1001u", ST_OK, 2},
    {"5000000n", ST_OK, 5},
    {"0m", ST_OK, 0},
    {"", ST_INVALID, 0},
    {"5", ST_INVALID, 0},
    {"S", ST_INVALID, 0},
    {"5s", ST_INVALID, 0},
    {"-5S", ST_INVALID, 0},
    {"123456789S", ST_INVALID, 0},
};

START_TEST(timeouts_are_read)
{
    uint64_t ms = 0;

    ck_assert_msg(grpc_timeout_parse(slice_str(timeouts[_i].text), &ms) ==
                      timeouts[_i].st,
                  "%s", timeouts[_i].text);
    ck_assert_msg(ms == timeouts[_i].ms, "%s", timeouts[_i].text);
}
END_TEST

static const struct {
    const char *text;
    const char *wire;
} texts[] = {
    {"", ""},
    {"plain text.", "plain text."},
    {"100%", "100%25"},
    {"two\nlines", "two%0Alines"},
    {"\xc3\xa4", "%C3%A4"},
};

START_TEST(texts_go_and_come_back)
{
    uint8_t wire[100];
    char back[100];
    size_t len = grpc_text_encode(texts[_i].text, wire, sizeof(wire));

    ck_assert(slice_eq(slice_of(wire, len), slice_str(texts[_i].wire)));
    grpc_text_decode(slice_of(wire, len), back, sizeof(back));
    ck_assert_str_eq(back, texts[_i].text);

    /* Cut, never within an escape, never beyond the room. */
    for (size_t cap = 0; cap < len; cap++) {
        size_t cut = grpc_text_encode(texts[_i].text, wire, cap);

        ck_assert_uint_le(cut, cap);
        grpc_text_decode(slice_of(wire, cut), back, sizeof(back));
        ck_assert_int_eq(strncmp(back, texts[_i].text, strlen(back)), 0);
    }
}
END_TEST

START_TEST(broken_escapes_stay)
{
    char back[8];

    grpc_text_decode(slice_str("%zz%4"), back, sizeof(back));
    ck_assert_str_eq(back, "%zz%4");
    grpc_text_decode(slice_str("a%00b"), back, sizeof(back));
    ck_assert_str_eq(back, "a b");
    grpc_text_decode(slice_str("longer than there is room"), back,
                     sizeof(back));
    ck_assert_str_eq(back, "longer ");
}
END_TEST

UNIT_MAIN("grpc_frame", {
    tcase_add_loop_test(tc, messages_are_found, 0, COUNT_OF(streams));
    tcase_add_test(tc, memory_follows_what_arrives);
    tcase_add_loop_test(tc, timeouts_are_read, 0, COUNT_OF(timeouts));
    tcase_add_loop_test(tc, texts_go_and_come_back, 0, COUNT_OF(texts));
    tcase_add_test(tc, broken_escapes_stay);
})
