/*
 * cores.h - several bare cores (store/raft) and the plainest driver: disks that
 * sync when told, a network whose every message can be kept, repeated, lost or
 * made up, state machines that can stand still, a clock that only moves when
 * told.
 *
 * After every event it holds, or the program stops:
 *   - no term has two leaders
 *   - an index that was applied anywhere has the same entry wherever it is
 *     applied, before and after crashes
 *   - a read that is answered has seen every write answered before it was asked
 */
#pragma once

#include "script.h"
#include "store/raft/raft.h"

#define CORES_MAX       9
#define CORES_INDEX_MAX 1000
#define CORES_NAME_MAX  1000

struct cores;

/* `limits`: its id and seed are of no meaning. Voters 1 to voters_count are
 * started; the others up to CORES_MAX may join, and know of the voters. NULL is
 * freed in vain. */
struct cores *cores_new(const struct raft_config *limits, size_t voters_count,
                        struct script *script);
void cores_free(struct cores *c);
bool cores_is_up(const struct cores *c, uint64_t id);
const struct raft *cores_raft(const struct cores *c, uint64_t id);
uint64_t cores_applied(const struct cores *c, uint64_t id); /* So far. */

/* ---- members and their disks ---- */

void cores_start(struct cores *c, uint64_t id);
void cores_crash(struct cores *c, uint64_t id);
/* What is on the disk of a member that is down. */
void cores_lay_log(struct cores *c, uint64_t id, const uint64_t *terms,
                   size_t count);
void cores_lay_hard(struct cores *c, uint64_t id, struct raft_hard hard);
/* While held nothing of what it writes is on its disk. */
void cores_hold(struct cores *c, uint64_t id, bool held);
void cores_sync(struct cores *c, uint64_t id); /* All of it is, once. */
/* While it stands still its state machine applies nothing. */
void cores_stand_still(struct cores *c, uint64_t id, bool still);
/* Its log forgets the entries up to index, which must be applied. */
void cores_compact(struct cores *c, uint64_t id, uint64_t index);

/* ---- time ---- */

void cores_pass(struct cores *c, uint64_t ms);
/* Only this member's clock jumps ahead, past any election time-out. */
void cores_elect(struct cores *c, uint64_t id);

/* ---- network ---- */

void cores_cut(struct cores *c, uint64_t a, uint64_t b); /* From a to b. */
void cores_heal(struct cores *c);
/* Messages from a to b are kept in a bag. */
void cores_delay(struct cores *c, uint64_t a, uint64_t b, bool delayed);
enum cores_fate {
    CORES_ARRIVES,
    CORES_ARRIVES_AND_STAYS,
    CORES_IS_LOST,
};
/* The nth (from 1) of the bag. false: there is none. */
bool cores_let(struct cores *c, uint64_t a, uint64_t b, size_t nth,
               enum cores_fate fate);
void cores_list(struct cores *c, uint64_t a, uint64_t b);
/* A message as if it came from m->from; it arrives at once. */
void cores_say(struct cores *c, const struct raft_msg *m);

/* ---- wishes ---- */

enum status cores_propose(struct cores *c, uint64_t id, uint64_t name,
                          size_t bytes);
/* `text` as words.h reads it. */
enum status cores_change(struct cores *c, uint64_t id, const char *text);
/* Names ascend as long as a member lives. */
enum status cores_read(struct cores *c, uint64_t id, uint64_t name);
enum status cores_transfer(struct cores *c, uint64_t id, uint64_t to);
void cores_lose_peer(struct cores *c, uint64_t id, uint64_t peer);
