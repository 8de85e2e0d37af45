#include "core.h"

/* Members; microseconds of a message and of a sync, at most; milliseconds
 * between two faults, at most; entries after which the log is cut, and what is
 * kept. */
#define NUMBERS(members_, delay, sync, fault, cut, keep)             \
    .members = (members_), .chaos_ms = 8000, .delay_us = (delay),    \
    .sync_us = (sync), .fault_ms = (fault), .snapshot_count = (cut), \
    .keep_count = (keep)

const struct profile profiles[] = {
    {.name = "calm",
     .what = "messages are late and lost now and then, nothing else",
     NUMBERS(3, 3000, 2000, 500, 60, 20),
     .loss = 5,
     .twice = 5,
     .reorder = true,
     .weights = {[FAULT_COMPACT] = 1, [FAULT_TRANSFER] = 1}},
    {.name = "network",
     .what = "cuts, one way too, loss, doubles, disorder",
     NUMBERS(3, 20000, 2000, 500, 60, 20),
     .loss = 20,
     .twice = 30,
     .reorder = true,
     .weights = {[FAULT_CUT] = 3,
                 [FAULT_ONE_WAY] = 3,
                 [FAULT_CUT_LEADER] = 2,
                 [FAULT_HEAL] = 4,
                 [FAULT_STORM] = 1,
                 [FAULT_PAUSE] = 1,
                 [FAULT_COMPACT] = 1}},
    {.name = "crash",
     .what = "members are killed, frozen, and lose power",
     NUMBERS(3, 3000, 2000, 400, 60, 20),
     .weights = {[FAULT_KILL] = 2,
                 [FAULT_KILL_LEADER] = 2,
                 [FAULT_POWER] = 3,
                 [FAULT_PAUSE] = 1,
                 [FAULT_COMPACT] = 1}},
    {.name = "power",
     .what = "all lose power at once, again and again, with slow disks",
     NUMBERS(3, 3000, 20000, 1200, 60, 20),
     .weights = {[FAULT_POWER_ALL] = 4,
                 [FAULT_POWER] = 2,
                 [FAULT_SLOW_DISK] = 2,
                 [FAULT_CUT_LEADER] = 1,
                 [FAULT_HEAL] = 2}},
    {.name = "disk",
     .what = "syncs fail, disks are full, slow",
     NUMBERS(3, 3000, 2000, 500, 60, 20),
     .weights = {[FAULT_SYNC_FAILS] = 3,
                 [FAULT_DISK_FULL] = 3,
                 [FAULT_SLOW_DISK] = 2,
                 [FAULT_POWER] = 1}},
    {.name = "rot",
     .what = "bits flip on disk; the member is replaced",
     NUMBERS(3, 3000, 2000, 500, 60, 20),
     .weights = {[FAULT_ROT] = 2, [FAULT_KILL] = 1, [FAULT_POWER] = 1}},
    {.name = "members",
     .what = "members come, go and are promoted, leadership is handed over",
     NUMBERS(3, 3000, 2000, 300, 60, 20),
     .weights = {[FAULT_ADD] = 3,
                 [FAULT_ADD_LEARNER] = 2,
                 [FAULT_PROMOTE] = 4,
                 [FAULT_REMOVE] = 3,
                 [FAULT_TRANSFER] = 2,
                 [FAULT_KILL] = 1,
                 [FAULT_CUT_LEADER] = 1,
                 [FAULT_CUT] = 1,
                 [FAULT_HEAL] = 3}},
    {.name = "snapshots",
     .what = "short logs, long absences, installations cut short",
     NUMBERS(3, 3000, 2000, 500, 10, 2),
     .weights = {[FAULT_CUT] = 2,
                 [FAULT_CUT_LEADER] = 2,
                 [FAULT_HEAL] = 4,
                 [FAULT_KILL] = 1,
                 [FAULT_POWER] = 2,
                 [FAULT_INSTALL_CRASH] = 3,
                 [FAULT_ADD_LEARNER] = 1,
                 [FAULT_PROMOTE] = 1,
                 [FAULT_COMPACT] = 2}},
    {.name = "single",
     .what = "one member alone, which may get company",
     NUMBERS(1, 3000, 2000, 500, 60, 20),
     .weights = {[FAULT_POWER] = 3,
                 [FAULT_KILL] = 1,
                 [FAULT_SYNC_FAILS] = 1,
                 [FAULT_DISK_FULL] = 1,
                 [FAULT_ADD] = 1,
                 [FAULT_ADD_LEARNER] = 1,
                 [FAULT_PROMOTE] = 1}},
    {.name = "five",
     .what = "five members and all of the above but rot",
     NUMBERS(5, 10000, 2000, 500, 20, 5),
     .loss = 10,
     .twice = 10,
     .reorder = true,
     .weights = {[FAULT_CUT] = 3,         [FAULT_ONE_WAY] = 2,
                 [FAULT_CUT_LEADER] = 2,  [FAULT_HEAL] = 5,
                 [FAULT_STORM] = 1,       [FAULT_KILL] = 2,
                 [FAULT_KILL_LEADER] = 2, [FAULT_POWER] = 2,
                 [FAULT_POWER_ALL] = 1,   [FAULT_PAUSE] = 2,
                 [FAULT_SLOW_DISK] = 1,   [FAULT_SYNC_FAILS] = 1,
                 [FAULT_DISK_FULL] = 1,   [FAULT_TRANSFER] = 2,
                 [FAULT_ADD] = 1,         [FAULT_ADD_LEARNER] = 1,
                 [FAULT_PROMOTE] = 1,     [FAULT_REMOVE] = 1,
                 [FAULT_COMPACT] = 1,     [FAULT_INSTALL_CRASH] = 1}},
};

const size_t profiles_count = sizeof(profiles) / sizeof(profiles[0]);

const struct profile *profile_by_name(const char *name)
{
    for (size_t i = 0; i < profiles_count; i++) {
        if (strcmp(profiles[i].name, name) == 0) {
            return &profiles[i];
        }
    }
    return NULL;
}
