#include "agent/io/account.h"

#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Room for one entry of passwd or group; long ones are those of groups with
 * many members. */
#define ENTRY_BYTES 16384

static bool is_number(const char *name, unsigned long *out)
{
    char *end;

    *out = strtoul(name, &end, 10);
    return *end == '\0' && name[0] >= '0' && name[0] <= '9';
}

enum status account_user(const char *name, uid_t *out_uid, struct err *err)
{
    struct passwd room;
    struct passwd *found = NULL;
    char buffer[ENTRY_BYTES];
    unsigned long number;

    if (is_number(name, &number)) {
        *out_uid = (uid_t)number;
        return ST_OK;
    }
    if (getpwnam_r(name, &room, buffer, sizeof(buffer), &found) || !found) {
        return err_set(err, ST_INVALID, "there is no user \"%s\"", name);
    }
    *out_uid = found->pw_uid;
    return ST_OK;
}

enum status account_group(const char *name, gid_t *out_gid, struct err *err)
{
    struct group room;
    struct group *found = NULL;
    char buffer[ENTRY_BYTES];
    unsigned long number;

    if (is_number(name, &number)) {
        *out_gid = (gid_t)number;
        return ST_OK;
    }
    if (getgrnam_r(name, &room, buffer, sizeof(buffer), &found) || !found) {
        return err_set(err, ST_INVALID, "there is no group \"%s\"", name);
    }
    *out_gid = found->gr_gid;
    return ST_OK;
}

enum status account_group_of(uid_t uid, gid_t *out_gid, struct err *err)
{
    struct passwd room;
    struct passwd *found = NULL;
    char buffer[ENTRY_BYTES];

    if (getpwuid_r(uid, &room, buffer, sizeof(buffer), &found) || !found) {
        return err_set(err, ST_INVALID,
                       "user %lu has no entry among this host's users, so its "
                       "group must be given too",
                       (unsigned long)uid);
    }
    *out_gid = found->pw_gid;
    return ST_OK;
}

const char *account_name(uid_t uid, char *out, size_t out_len)
{
    struct passwd room;
    struct passwd *found = NULL;
    char buffer[ENTRY_BYTES];

    if (getpwuid_r(uid, &room, buffer, sizeof(buffer), &found) || !found) {
        (void)snprintf(out, out_len, "%lu", (unsigned long)uid);
    } else {
        (void)snprintf(out, out_len, "%s", found->pw_name);
    }
    return out;
}
