/*
 * A filter may be any text. Compiling it must not crash, a refusal must come
 * with words; what is accepted must end within its work, choose the same twice,
 * and the opposite when negated.
 */
#include "agent/core/filter.h"
#include "base/core/check.h"
#include "base/core/limits.h"
#include "fuzz.h"

static void tell_name(const void *subject, struct filter_sink *sink)
{
    (void)subject;
    filter_tell(sink, "web-1.example");
    filter_tell(sink, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xC3\xA9!");
}

static void tell_port(const void *subject, struct filter_sink *sink)
{
    (void)subject;
    filter_tell_number(sink, 80);
}

static void tell_meta(const void *subject, struct filter_sink *sink)
{
    (void)subject;
    filter_tell_pair(sink, "team", "pay");
}

static const struct filter_field fields[] = {
    {"Name", FILTER_TEXT, tell_name},
    {"Tags", FILTER_LIST, tell_name},
    {"Port", FILTER_NUMBER, tell_port},
    {"Meta", FILTER_MAP, tell_meta},
};
static const struct filter_part parts[] = {{"", fields, 4},
                                           {"Service.", fields, 4}};
static const struct filter_schema schema = {parts, 2};

static void negate(struct arena *a, struct slice text, bool chosen)
{
    const char *negated =
        arena_printf(a, "not (%.*s)", (int)text.len, (const char *)text.data);
    struct filter *f;

    if (strlen(negated) == text.len + 6 &&
        !filter_compile(a, &schema, slice_str(negated), &f, NULL)) {
        CHECK(filter_eval(f, NULL) != chosen || filter_exhausted(f));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct err err = {0};
    struct filter *f;
    bool chosen;

    if (filter_compile(&a, &schema, slice_of(data, size), &f, &err)) {
        CHECK(err.text[0] != '\0');
    } else {
        chosen = filter_eval(f, NULL);
        if (!filter_exhausted(f)) {
            CHECK(filter_eval(f, NULL) == chosen || filter_exhausted(f));
            negate(&a, slice_of(data, size), chosen);
        }
    }
    arena_release(&a);
    return 0;
}
