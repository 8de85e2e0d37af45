/*
 * Whether an element is chosen.
 */
#include "agent/core/filter_model.h"
#include "base/core/check.h"

/* What the values of one field have come to so far. */
struct filter_sink {
    const struct filter_match *match;
    uint64_t *work;
    size_t told;
    bool matched;
};

static void spend(uint64_t *work, uint64_t cost)
{
    *work -= *work > cost ? cost : *work;
}

/* Some 16 bytes cost as much as a state of a regular expression. */
static bool is_part(const struct filter_sink *sink, struct slice text)
{
    struct slice part = sink->match->value;

    spend(sink->work, text.len / 16);
    return part.len == 0 ||
           (text.len >= part.len &&
            memmem(text.data, text.len, part.data, part.len) != NULL);
}

static bool fits(const struct filter_sink *sink, struct slice text)
{
    const struct filter_match *m = sink->match;

    switch (m->op) {
    case FILTER_EQ:
        return slice_eq(text, m->value);
    case FILTER_IN:
        return m->field->kind == FILTER_LIST ||
                       (m->field->kind == FILTER_MAP && m->key == NULL)
                   ? slice_eq(text, m->value)
                   : is_part(sink, text);
    case FILTER_EMPTY:
        return text.len == 0;
    case FILTER_MATCHES:
        return regex_match(m->regex, text, sink->work);
    }
    UNREACHABLE();
}

void filter_tell(struct filter_sink *sink, const char *text)
{
    sink->told++;
    sink->matched = sink->matched || fits(sink, slice_str(text));
}

void filter_tell_number(struct filter_sink *sink, int64_t number)
{
    sink->told++;
    sink->matched = sink->matched || number == sink->match->number;
}

void filter_tell_bool(struct filter_sink *sink, bool yes)
{
    sink->told++;
    sink->matched = sink->matched || yes == sink->match->yes;
}

bool filter_wants(const struct filter_sink *sink, const char *key)
{
    return strcmp(sink->match->key, key) == 0;
}

void filter_tell_pair(struct filter_sink *sink, const char *key,
                      const char *value)
{
    if (sink->match->key == NULL) {
        filter_tell(sink, key);
    } else if (filter_wants(sink, key)) {
        filter_tell(sink, value);
    }
}

/* Lists and maps are empty when they have no elements, and so is what a map
 * does not have; texts when one is. */
static bool is_empty(const struct filter_sink *sink)
{
    const struct filter_match *m = sink->match;

    if (m->field->kind == FILTER_TEXT) {
        return sink->matched || (m->key != NULL && sink->told == 0);
    }
    if (m->field->kind == FILTER_MAP && m->key != NULL) {
        return sink->matched || sink->told == 0;
    }
    return sink->told == 0;
}

static bool match_holds(struct filter *f, const struct filter_match *m,
                        const void *subject)
{
    struct filter_sink sink = {.match = m, .work = &f->work};
    bool holds;

    m->field->tell(subject, &sink);
    spend(&f->work, sink.told);
    holds = m->op == FILTER_EMPTY ? is_empty(&sink) : sink.matched;
    return holds != m->negated;
}

bool filter_eval(struct filter *f, const void *subject)
{
    bool stack[LIMIT_FILTER_MATCHES];
    size_t depth = 0;

    if (filter_exhausted(f)) {
        return false;
    }
    f->work += LIMIT_FILTER_WORK_EACH;
    for (size_t i = 0; i < f->code_count; i++) {
        const struct filter_code *code = &f->code[i];

        switch (code->op) {
        case FILTER_CODE_MATCH:
            stack[depth++] = match_holds(f, &f->matches[code->match], subject);
            break;
        case FILTER_CODE_NOT:
            stack[depth - 1] = !stack[depth - 1];
            break;
        case FILTER_CODE_AND:
            depth--;
            stack[depth - 1] = stack[depth - 1] && stack[depth];
            break;
        case FILTER_CODE_OR:
            depth--;
            stack[depth - 1] = stack[depth - 1] || stack[depth];
            break;
        }
    }
    CHECK(depth == 1);
    return stack[0];
}

bool filter_exhausted(const struct filter *f)
{
    return f->work == 0;
}
