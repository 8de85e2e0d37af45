#include "store/kv/alarm.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "store/kv/pending.h"

enum {
    ACTION_GET = 0,
    ACTION_ACTIVATE = 1,
    ACTION_DEACTIVATE = 2
};

void alarms_release(struct alarms *a)
{
    free(a->list);
    *a = (struct alarms){0};
}

bool alarms_on(const struct alarms *a, enum kv_alarm alarm)
{
    for (size_t i = 0; i < a->count; i++) {
        if (a->list[i].alarm == alarm) {
            return true;
        }
    }
    return false;
}

static int alarm_cmp(struct kv_alarm_member a, struct kv_alarm_member b)
{
    if (a.member_id != b.member_id) {
        return a.member_id < b.member_id ? -1 : 1;
    }
    return (a.alarm > b.alarm) - (a.alarm < b.alarm);
}

/* Where it is or belongs. */
static size_t alarm_place(const struct alarms *a, struct kv_alarm_member m)
{
    size_t at = 0;

    while (at < a->count && alarm_cmp(a->list[at], m) < 0) {
        at++;
    }
    return at;
}

static bool alarm_is_at(const struct alarms *a, size_t at,
                        struct kv_alarm_member m)
{
    return at < a->count && alarm_cmp(a->list[at], m) == 0;
}

/* false: it was there. */
static bool alarm_add(struct alarms *a, struct kv_alarm_member m)
{
    size_t at = alarm_place(a, m);

    if (alarm_is_at(a, at, m)) {
        return false;
    }
    a->list = realloc(a->list, (a->count + 1) * sizeof(*a->list));
    CHECK(a->list != NULL);
    memmove(&a->list[at + 1], &a->list[at], (a->count - at) * sizeof(m));
    a->list[at] = m;
    a->count++;
    return true;
}

/* false: it was not there. */
static bool alarm_remove(struct alarms *a, struct kv_alarm_member m)
{
    size_t at = alarm_place(a, m);

    if (!alarm_is_at(a, at, m)) {
        return false;
    }
    a->count--;
    memmove(&a->list[at], &a->list[at + 1], (a->count - at) * sizeof(m));
    return true;
}

bool alarms_restore(struct alarms *a, struct slice row_key)
{
    struct alarm_request r = {0};
    struct pb_field field;

    while (pb_next(&row_key, &field)) {
        if (field.number == 1) {
            r.member_id = field.value;
        } else if (field.number == 2) {
            r.alarm = (int32_t)field.value;
        }
    }
    if (row_key.len > 0) {
        return false;
    }
    (void)alarm_add(
        a, (struct kv_alarm_member){r.member_id, (enum kv_alarm)r.alarm});
    return true;
}

/* AlarmMember: the row's key, and an element of the answer. */
static void alarm_pack(struct buf *out, struct kv_alarm_member m)
{
    pb_uint(out, 1, m.member_id);
    pb_uint(out, 2, m.alarm);
}

static void alarm_answer(struct buf *out, struct kv_alarm_member m)
{
    size_t mark = pb_begin(out, 2);

    alarm_pack(out, m);
    pb_end(out, mark);
}

static void alarms_get(const struct alarms *a, enum kv_alarm wanted,
                       struct buf *out)
{
    for (size_t i = 0; i < a->count; i++) {
        if (wanted == KV_ALARM_NONE || a->list[i].alarm == wanted) {
            alarm_answer(out, a->list[i]);
        }
    }
}

void alarms_apply(struct alarms *a, const struct alarm_request *r,
                  struct pending *pending, struct buf *out)
{
    struct kv_alarm_member m = {r->member_id, (enum kv_alarm)r->alarm};
    struct buf row;

    buf_init(&row, 64);
    alarm_pack(&row, m);
    if (r->action == ACTION_GET) {
        alarms_get(a, m.alarm, out);
    } else if (r->action == ACTION_ACTIVATE && m.alarm != KV_ALARM_NONE) {
        if (alarm_add(a, m)) {
            pending_note(pending, TABLE_ALARM, buf_slice(&row),
                         slice_of(NULL, 0));
        }
        alarm_answer(out, m);
    } else if (r->action == ACTION_DEACTIVATE && alarm_remove(a, m)) {
        pending_note_remove(pending, TABLE_ALARM, buf_slice(&row));
        alarm_answer(out, m);
    }
    buf_release(&row);
}
