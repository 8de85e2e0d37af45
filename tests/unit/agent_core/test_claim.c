#include "agent/core/claim.h"

#include <stdio.h>

#include "suite.h"

/* One story a row: each character happens at its own second.
 *   L l   the other agent's live key comes, goes
 *   N n   its node record comes, goes
 *   M     the node record is of ours
 *   O     our own live key comes
 *   X     the store refuses: the other one is alive
 *   C     contact was lost and is back
 *   .     a second passes
 * `may` has one of y and n for each; `news` what is told: U in use, A
 * abandoned. The lease's time is 2 s, so 4 s are waited. */
static const struct {
    const char *name;
    const char *story;
    const char *may;
    const char *news;
} rows[] = {
    {"nobody has it", "..", "yy", ".."},
    {"our own record", "M.", "yy", ".."},
    {"our own life before", "MO.", "yyy", "..."},
    {"an agent that lives", "NL........", "nnnnnnnnnn", "AU........"},
    {"gone for twice the time", "NL.l......", "nnnnnnnyyy", "AU.A......"},
    {"back in time", "NLl..L....l....", "nnnnnnnnnnnnnny", "AUA..U....A...."},
    {"dead when seen first", "N.....", "nnnnyy", "A....."},
    {"it left", "NLnl.....", "nnnnnnnyy", "AU.A....."},
    {"the store has lost all", "NL.l.n...", "nnnnnnnyy", "AU.A....."},
    {"the store's word", "MX.....", "ynnnnny", ".UA...."},
    {"contact lost meanwhile", "Nl..C....", "nnnnnnnny", "A........"},
};

struct story {
    struct catalog *catalog;
    struct arena arena;
    int64_t revision;
};

static void record(struct story *s, const char *key, const char *value)
{
    struct catalog_changes changes;
    struct catalog_event e = {.key = slice_str(key),
                              .value = slice_str(value == NULL ? "" : value),
                              .deleted = value == NULL,
                              .create_revision = s->revision + 1,
                              .mod_revision = s->revision + 1};
    struct catalog *next =
        catalog_apply(s->catalog, &e, 1, ++s->revision, &s->arena, &changes);

    catalog_unref(s->catalog);
    s->catalog = next;
}

#define LIVE "/muster/v1/dc1/live/web1"
#define NODE "/muster/v1/dc1/node/web1"

static enum claim_news happens(struct story *s, struct claim *c, char what,
                               uint64_t now_ms)
{
    switch (what) {
    case 'L':
        record(s, LIVE, "{\"node_id\":\"other\",\"incarnation\":\"1\"}");
        break;
    case 'O':
        record(s, LIVE, "{\"node_id\":\"own\",\"incarnation\":\"1\"}");
        break;
    case 'l':
        record(s, LIVE, NULL);
        break;
    case 'N':
        record(s, NODE,
               "{\"name\":\"web1\",\"id\":\"other\","
               "\"address\":\"10.0.0.1\"}");
        break;
    case 'M':
        record(s, NODE,
               "{\"name\":\"WEB1\",\"id\":\"own\","
               "\"address\":\"10.0.0.1\"}");
        break;
    case 'n':
        record(s, NODE, NULL);
        break;
    case 'X':
        return claim_refused(c, "other", now_ms);
    case 'C':
        claim_contact(c, now_ms);
        break;
    default:
        break;
    }
    return claim_look(c, s->catalog, now_ms);
}

START_TEST(claim_follows_row)
{
    static const char told[] = {
        [CLAIM_SAME] = '.', [CLAIM_IN_USE] = 'U', [CLAIM_ABANDONED] = 'A'};
    struct story s = {.catalog = catalog_new("dc1")};
    struct claim c;

    claim_init(&c, "Web1", "own", 2000);
    for (size_t i = 0; rows[_i].story[i] != '\0'; i++) {
        uint64_t now_ms = 5000 + 1000 * i;
        enum claim_news news = happens(&s, &c, rows[_i].story[i], now_ms);

        ck_assert_msg(told[news] == rows[_i].news[i], "%s: told %c at %zu",
                      rows[_i].name, told[news], i);
        ck_assert_msg(claim_may(&c, now_ms) == (rows[_i].may[i] == 'y'),
                      "%s: wrong at %zu", rows[_i].name, i);
    }
    catalog_unref(s.catalog);
    arena_release(&s.arena);
}
END_TEST

START_TEST(who_won_has_it)
{
    struct story s = {.catalog = catalog_new("dc1")};
    struct claim c;

    claim_init(&c, "web1", "own", 2000);
    ck_assert(!claim_won(&c));
    (void)happens(&s, &c, 'N', 1000);
    ck_assert_str_eq(c.other_id, "other");
    ck_assert(claim_may(&c, 5000));
    ck_assert(claim_won(&c)); /* It was somebody else's. */
    ck_assert(!c.taken);
    catalog_unref(s.catalog);
    arena_release(&s.arena);
}
END_TEST

UNIT_MAIN("claim", {
    tcase_add_loop_test(tc, claim_follows_row, 0,
                        sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tc, who_won_has_it);
})
