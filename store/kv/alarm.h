/*
 * alarm.h - the alarms that members have raised, and what they forbid.
 *
 * Part of the replicated state: table `alarm`, whose keys are AlarmMember
 * messages.
 */
#pragma once

#include "store/kv/kv.h"
#include "store/kv/request.h"

struct pending;

struct alarms {
    struct kv_alarm_member *list; /* By member id, then alarm. */
    size_t count;
};

/* A zeroed struct alarms is empty. */
void alarms_release(struct alarms *a);

bool alarms_on(const struct alarms *a, enum kv_alarm alarm);

/* A row of the table at start. false: damaged. */
bool alarms_restore(struct alarms *a, struct slice row_key);

/* Carry out an AlarmRequest; `out` gets the fields of AlarmResponse. */
void alarms_apply(struct alarms *a, const struct alarm_request *r,
                  struct pending *pending, struct buf *out);
