/* Who belongs after which change; what is refused changes nothing. */
#include "store/raft/conf.h"

#include <string.h>

#include "suite.h"

/* Members as text: id and roles, "1v 2vo 3o 4l 5on"; "!" at the end: left by
 * itself. Changes: "+1" a voter, "~1" a learner, "-1" gone, "=1" new addresses;
 * before them "s" (V1), "a", "i" or "e" (V2: automatic, implicit, explicit). */
static const struct {
    const char *name;
    const char *before;
    const char *changes;
    const char *after; /* NULL: refused. */
} rows[] = {
    {"a first voter", "", "s+1", "1v"},
    {"one more voter", "1v", "s+2", "1v 2v"},
    {"ids ascend", "3v 7v", "s+5", "3v 5v 7v"},
    {"a learner", "1v", "s~2", "1v 2l"},
    {"a learner is promoted", "1v 2l", "s+2", "1v 2v"},
    {"a voter becomes a learner", "1v 2v", "s~2", "1v 2l"},
    {"a voter again is no change", "1v 2v", "s+2", "1v 2v"},
    {"a voter is removed", "1v 2v", "s-1", "2v"},
    {"a learner is removed", "1v 2l", "s-2", "1v"},
    {"a stranger is removed", "1v", "s-9", "1v"},
    {"new addresses", "1v 2l", "s=2", "1v 2l"},
    {"nobody is meant", "1v", "s+0", "1v"},
    {"the last voter stays", "1v", "s-1", NULL},
    {"the last voter is no learner", "1v 2l", "s~1", NULL},
    {"two votes at once, V1", "1v", "s+2+3", NULL},
    {"one vote and a learner", "1v", "s+2~3", "1v 2v 3l"},
    {"V2 with one change is simple", "1v", "a+2", "1v 2v"},
    {"more than one is joint", "1v 2v", "a+3-2", "1vo 2o 3v !"},
    {"joint even if no vote changes", "1v", "a~2~3", "1vo 2l 3l !"},
    {"implicit with one change", "1v", "i+2", "1vo 2v !"},
    {"explicit is not left by itself", "1v", "e+2", "1vo 2v"},
    {"implicit with no change", "1v", "i", "1vo !"},
    {"a learner next", "1v 2v", "e~2", "1vo 2on"},
    {"taken back in the same change", "1v 2v", "e~2+2", "1vo 2vo"},
    {"all voters exchanged", "1v 2v", "e-1-2+3", "1o 2o 3v"},
    {"joint without a voter", "1v 2v", "e-1-2", NULL},
    {"joint from nobody", "", "e+1", NULL},
    {"joint inside joint", "1vo 2v", "e+3", NULL},
    {"simple inside joint", "1vo 2v", "s+3", NULL},
    {"leaving", "1vo 2o 3v !", "a", "1v 3v"},
    {"leaving makes learners", "1vo 2on", "a", "1v 2l"},
    {"leaving keeps learners", "1vo 2o 4l", "a", "1v 4l"},
    {"leaving what is not joint", "1v", "a", NULL},
    {"an empty V1 change", "1v", "s", "1v"},
};

static unsigned role_from(char c)
{
    switch (c) {
    case 'v':
        return RAFT_VOTER;
    case 'o':
        return RAFT_OUTGOING;
    case 'l':
        return RAFT_LEARNER;
    case 'n':
        return RAFT_LEARNER_NEXT;
    default:
        return 0;
    }
}

static struct raft_conf conf_from(const char *text)
{
    struct raft_conf c = {.count = 0};

    for (; *text != '\0'; text++) {
        if (*text == '!') {
            c.auto_leave = true;
        } else if (*text >= '0' && *text <= '9') {
            c.list[c.count++].id = (uint64_t)(*text - '0');
        } else if (*text != ' ') {
            c.list[c.count - 1].roles |= role_from(*text);
        }
    }
    return c;
}

static struct raft_changes changes_from(const char *text)
{
    struct raft_changes c = {.v2 = *text != 's'};

    if (*text == 'i') {
        c.transition = RAFT_TRANSITION_IMPLICIT;
    } else if (*text == 'e') {
        c.transition = RAFT_TRANSITION_EXPLICIT;
    }
    for (text++; *text != '\0'; text += 2) {
        enum raft_change_type type = *text == '+'   ? RAFT_ADD_VOTER
                                     : *text == '~' ? RAFT_ADD_LEARNER
                                     : *text == '-' ? RAFT_REMOVE
                                                    : RAFT_UPDATE;

        c.list[c.count++] =
            (struct raft_change){type, (uint64_t)(text[1] - '0')};
    }
    return c;
}

START_TEST(conf_follows_row)
{
    struct raft_conf before = conf_from(rows[_i].before);
    struct raft_conf c = before;
    struct raft_changes changes = changes_from(rows[_i].changes);
    enum status st = raft_conf_apply(&c, &changes);

    if (rows[_i].after == NULL) {
        ck_assert_msg(st == ST_INVALID, "%s", rows[_i].name);
        ck_assert_msg(raft_conf_eq(&c, &before), "%s", rows[_i].name);
        return;
    }
    before = conf_from(rows[_i].after);
    ck_assert_msg(st == ST_OK, "%s", rows[_i].name);
    ck_assert_msg(raft_conf_eq(&c, &before), "%s", rows[_i].name);
    ck_assert_msg(raft_conf_is_sound(&c), "%s", rows[_i].name);
}
END_TEST

START_TEST(members_are_bounded)
{
    struct raft_changes changes = {.count = 1,
                                   .list = {{RAFT_ADD_LEARNER, 1000}}};
    struct raft_conf c = {.count = RAFT_MEMBERS_MAX};

    for (size_t i = 0; i < c.count; i++) {
        c.list[i] = (struct raft_conf_member){i + 1, RAFT_VOTER};
    }
    ck_assert(raft_conf_apply(&c, &changes) == ST_INVALID);
    ck_assert_uint_eq(c.count, RAFT_MEMBERS_MAX);
    ck_assert_uint_eq(raft_conf_roles(&c, 1000), 0);
}
END_TEST

static const struct {
    const char *name;
    const char *conf;
} unsound_rows[] = {
    {"nobody", ""},
    {"only learners", "1l"},
    {"nobody votes in the incoming half", "1o"},
    {"one twice", "1v 1v"},
    {"not ascending", "2v 1v"},
    {"the id of nobody", "0v 1v"},
    {"no role", "1v 2"},
    {"a voter and a learner", "1v 2vl"},
    {"a learner next that does not leave", "1v 2n"},
    {"left by itself, but not joint", "1v !"},
};

START_TEST(unsound_by_row)
{
    struct raft_conf c = conf_from(unsound_rows[_i].conf);

    ck_assert_msg(!raft_conf_is_sound(&c), "%s", unsound_rows[_i].name);
}
END_TEST

UNIT_MAIN("conf", {
    tcase_add_loop_test(tc, conf_follows_row, 0, COUNT_OF(rows));
    tcase_add_loop_test(tc, unsound_by_row, 0, COUNT_OF(unsound_rows));
    tcase_add_test(tc, members_are_bounded);
})
