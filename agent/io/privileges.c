/* Real and effective user change at once, the saved one stays root's until all
 * ports are bound. That is what makes the end a single step: when the last of
 * the three ids is given up, the kernel clears all capabilities of a thread
 * (capabilities(7), "Effect of user ID changes"), and the C library changes
 * ids in every thread of the process. capset(2) alone would reach one. */

#include "agent/io/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/io/account.h"
#include "agent/io/config.h"
#include "agent/io/listen.h"

struct identity {
    uid_t uid;
    gid_t gid;
    char name[64];
};

/* ---- Who ---------------------------------------------------------------- */

static enum status identity_find(const struct agent_config *c,
                                 struct identity *out, struct err *err)
{
    enum status st = account_user(c->user, &out->uid, err);

    if (st) {
        return err_prefix(err, st, "user");
    }
    st = c->group[0] != '\0' ? account_group(c->group, &out->gid, err)
                             : account_group_of(out->uid, &out->gid, err);
    if (st) {
        return err_prefix(err, st, "group");
    }
    (void)account_name(out->uid, out->name, sizeof(out->name));
    return ST_OK;
}

/* ---- Folders ------------------------------------------------------------ */

/* One that we had to make is the user's; one that was there is looked at when
 * we are the user. */
static enum status folder_give(const char *path, const struct identity *who,
                               struct err *err)
{
    struct stat before;
    enum status st;

    if (stat(path, &before) == 0) {
        return ST_OK;
    }
    st = listen_folder_make(path, 0755, err);
    if (!st && chown(path, who->uid, who->gid)) {
        st = err_set(err, ST_IO, "folder %s cannot be given to \"%s\": %s",
                     path, who->name, strerror(errno));
    }
    return st;
}

static bool socket_folder(const struct agent_config *c, char *out,
                          size_t out_len)
{
    const char *slash = c->socket_path ? strrchr(c->socket_path, '/') : NULL;

    if (!slash || slash == c->socket_path) {
        return false;
    }
    (void)snprintf(out, out_len, "%.*s", (int)(slash - c->socket_path),
                   c->socket_path);
    return true;
}

static enum status folders_give(const struct agent_config *c,
                                const struct identity *who, struct err *err)
{
    char folder[4096];
    enum status st = folder_give(c->data_dir, who, err);

    if (!st && socket_folder(c, folder, sizeof(folder))) {
        st = folder_give(folder, who, err);
    }
    return st;
}

static enum status not_ours(const char *what, const char *path, uid_t owner,
                            const struct identity *who, struct err *err)
{
    char name[64];

    return err_set(err, ST_DENIED,
                   "%s %s belongs to \"%s\", and \"%s\" may not write it: "
                   "chown -R %s %s",
                   what, path, account_name(owner, name, sizeof(name)),
                   who->name, who->name, path);
}

static enum status folder_check(const char *what, const char *path,
                                const struct identity *who, struct err *err)
{
    struct stat st;

    if (stat(path, &st) == 0 &&
        faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS)) {
        return not_ours(what, path, st.st_uid, who, err);
    }
    return ST_OK;
}

/* A run as root leaves files that a later one as somebody else cannot open. */
static enum status data_check(const char *path, const struct identity *who,
                              struct err *err)
{
    enum status st = folder_check("data folder", path, who, err);
    DIR *dir = st ? NULL : opendir(path);
    struct dirent *entry;

    while (dir && !st && (entry = readdir(dir)) != NULL) {
        struct stat file;

        if (entry->d_name[0] != '.' &&
            fstatat(dirfd(dir), entry->d_name, &file, AT_SYMLINK_NOFOLLOW) ==
                0 &&
            faccessat(dirfd(dir), entry->d_name, R_OK | W_OK, AT_EACCESS)) {
            st = not_ours("data folder", path, file.st_uid, who, err);
        }
    }
    if (dir) {
        (void)closedir(dir);
    }
    return st;
}

static enum status folders_check(const struct agent_config *c,
                                 const struct identity *who, struct err *err)
{
    char folder[4096];
    enum status st = data_check(c->data_dir, who, err);

    if (!st && socket_folder(c, folder, sizeof(folder))) {
        st = folder_check("the socket's folder", folder, who, err);
    }
    return st;
}

/* ---- Ids and capabilities ----------------------------------------------- */

static bool caps_get(struct __user_cap_data_struct caps[2])
{
    struct __user_cap_header_struct head = {.version =
                                                _LINUX_CAPABILITY_VERSION_3};

    return syscall(SYS_capget, &head, caps) == 0;
}

/* Nothing but the right to bind low ports, if we have that (a container may
 * not). */
static bool caps_keep_bind(void)
{
    struct __user_cap_header_struct head = {.version =
                                                _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2] = {{0}};
    const uint32_t bind_low = UINT32_C(1) << CAP_NET_BIND_SERVICE;

    if (!caps_get(caps)) {
        return false;
    }
    caps[0].permitted &= bind_low;
    caps[0].effective = caps[0].permitted;
    caps[0].inheritable = 0;
    caps[1] = (struct __user_cap_data_struct){0};
    return syscall(SYS_capset, &head, caps) == 0;
}

static bool become(const struct identity *who)
{
    return initgroups(who->name, who->gid) == 0 &&
           setresgid(who->gid, who->gid, who->gid) == 0 &&
           setresuid(who->uid, who->uid, 0) == 0 && caps_keep_bind() &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

enum status privileges_lower(const struct agent_config *c,
                             struct privileges *out, struct err *err)
{
    struct identity who;
    enum status st;

    *out = (struct privileges){0};
    if (c->user[0] == '\0') {
        return c->group[0] == '\0'
                   ? ST_OK
                   : err_set(err, ST_INVALID, "group: needs user as well");
    }
    st = identity_find(c, &who, err);
    if (st) {
        return st;
    }
    if (geteuid() != 0 && (geteuid() != who.uid || getegid() != who.gid)) {
        return err_set(err, ST_DENIED,
                       "user: only root can become \"%s\": start as root, or "
                       "leave user and group out",
                       c->user);
    }
    if (geteuid() != 0 || who.uid == 0) {
        return ST_OK;
    }
    st = folders_give(c, &who, err);
    if (st) {
        return st;
    }
    if (!become(&who)) {
        return err_set(err, ST_DENIED, "user: cannot become \"%s\": %s",
                       c->user, strerror(errno));
    }
    out->lowered = true;
    out->uid = who.uid;
    st = folders_check(c, &who, err);
    if (st) {
        struct err why;

        (void)privileges_drop(out, &why);
    }
    return st;
}

enum status privileges_drop(const struct privileges *p, struct err *err)
{
    struct __user_cap_data_struct caps[2];

    if (!p->lowered) {
        return ST_OK;
    }
    if (setresuid(p->uid, p->uid, p->uid) || !caps_get(caps) ||
        (caps[0].permitted | caps[1].permitted | caps[0].effective |
         caps[1].effective) != 0) {
        return err_set(err, ST_IO, "user: root's rights cannot be given up");
    }
    /* A change of ids takes /proc/self away from us, and debuggers. */
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return ST_OK;
}
