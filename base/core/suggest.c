#include "base/core/suggest.h"

#include <string.h>

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Optimal string alignment, three rows at a time. */
size_t suggest_distance(const char *a, const char *b)
{
    size_t rows[3][SUGGEST_WORD_MAX + 1];
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *now = rows[i % 3];
        const size_t *last = rows[(i + 2) % 3];
        const size_t *before = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t cost = a[i - 1] != b[j - 1];

            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
                a[i - 2] == b[j - 1]) {
                now[j] = min3(now[j], before[j - 2] + 1, now[j]);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

/* More than a third of the letters wrong is another word. */
static size_t suggest_patience(size_t typed_len)
{
    return typed_len < 3 ? 1 : (typed_len + 2) / 3;
}

void suggest_consider(struct suggestion *s, const char *typed,
                      const char *known)
{
    size_t distance;

    if (strlen(typed) > SUGGEST_WORD_MAX || strlen(known) > SUGGEST_WORD_MAX) {
        return;
    }
    distance = suggest_distance(typed, known);
    if (distance > suggest_patience(strlen(typed))) {
        return;
    }
    if (s->word == NULL || distance < s->distance) {
        *s = (struct suggestion){.word = known, .distance = distance};
    }
}
