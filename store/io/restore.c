#include "store/io/restore.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/core/check.h"
#include "base/io/loop.h"
#include "store/io/backend.h"
#include "store/io/config.h"
#include "store/io/data_dir.h"
#include "store/io/file_disk.h"
#include "store/io/folder.h"
#include "store/io/member_impl.h"
#include "store/io/snapshot.h"
#include "store/io/snapshot_file.h"

struct restoring {
    struct member_plan plan;
    struct data_dir dir; /* Of `part`. */
    const char *place;   /* Where it will be, without slashes at its end. */
    const char *part;    /* Where it is made. */
    struct loop *loop;
    struct restore_facts facts;
    struct err *err;
};

/* --- Before anything is written --- */

static enum status check_file(const char *file, enum restore_sum sum,
                              struct err *err)
{
    struct snapshot_file f = {0};
    enum status st = snapshot_file_open(file, &f, err);

    if (st || sum == RESTORE_SKIP_SUM) {
        snapshot_file_close(&f);
        return st;
    }
    if (!f.has_sum) {
        st = err_set(err, ST_CORRUPT,
                     "%s: snapshot missing hash: it is cut short, or a copy of "
                     "a database and not the work of `snapshot save`; "
                     "--skip-hash-check takes it as it is",
                     file);
    } else {
        st = snapshot_file_check_sum(&f, err);
    }
    snapshot_file_close(&f);
    return st;
}

static void choose_places(struct restoring *r)
{
    struct arena *arena = &r->plan.arena;
    struct slice dir = slice_str(r->plan.config.data_dir);

    while (dir.len > 1 && dir.data[dir.len - 1] == '/') {
        dir.len--;
    }
    r->place = arena_strdup(arena, dir);
    r->part = arena_printf(arena, "%s.restoring", r->place);
}

static enum status check_place(const struct restoring *r)
{
    struct stat facts;

    if (lstat(r->place, &facts) == 0) {
        return err_set(r->err, ST_EXISTS,
                       "%s exists: choose another --data-dir, or remove it if "
                       "nothing in it is needed",
                       r->place);
    }
    return errno == ENOENT ? ST_OK
                           : err_set(r->err, ST_IO, "cannot look at %s: %s",
                                     r->place, strerrordesc_np(errno));
}

static bool is_ours(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
           strcmp(name, "lock") == 0 || strcmp(name, "member") == 0;
}

/* What a crash has left may go; anything else is somebody's. */
static enum status check_part(const struct restoring *r)
{
    DIR *folder = opendir(r->part);
    struct dirent *entry;
    enum status st = ST_OK;

    while (folder != NULL && !st && (entry = readdir(folder)) != NULL) {
        if (!is_ours(entry->d_name)) {
            st = err_set(r->err, ST_EXISTS,
                         "%s is in the way and not left by a restore: it holds "
                         "\"%s\"; remove it or choose another --data-dir",
                         r->part, entry->d_name);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder); /* Only read. */
    }
    return st;
}

/* --- Making it --- */

static enum status import(struct restoring *r, const char *file)
{
    struct snapshot_facts facts;
    enum status st = snapshot_import(file, r->dir.backend, SNAPSHOT_NEW_CLUSTER,
                                     &facts, r->err);

    if (st == ST_OK) {
        r->facts.rows = facts.rows;
    }
    return st;
}

/* What a member would read at its start: damage that is no matter of the file's
 * form shows here. */
static enum status check_content(struct restoring *r)
{
    struct backend_config config = {
        .loop = r->loop, .path = r->dir.backend, .map_bytes = MEMBER_MAP_BYTES};
    struct kv_config kv_config = kv_config_default();
    struct backend *backend = NULL;
    struct kv *kv = NULL;
    enum status st = backend_open(&config, &backend, r->err);

    if (st == ST_OK) {
        st = kv_open(&kv_config, backend_table(backend), &kv, r->err);
    }
    if (st == ST_OK) {
        CHECK(kv_index(kv) == 0);
        r->facts.revision = kv_revision(kv);
        kv_free(kv);
    }
    backend_close(backend);
    return st;
}

static void on_idle(void *ctx)
{
    loop_stop(ctx);
}

static enum status make_log(struct restoring *r)
{
    struct node_config config = member_plan_node(&r->plan);
    struct file_disk_config disk_config = {.loop = r->loop,
                                           .path = r->dir.wal,
                                           .on_idle = on_idle,
                                           .ctx = r->loop};
    struct file_disk *disk = NULL;
    enum status st = folder_remove(r->dir.wal, r->err); /* Of a crash. */

    if (st == ST_OK) {
        st = file_disk_new(&disk_config, &disk, r->err);
    }
    if (st == ST_OK) {
        st = node_found(&config, file_disk_port(disk), r->err);
    }
    while (disk != NULL && file_disk_is_busy(disk)) {
        loop_run(r->loop);
    }
    file_disk_free(disk);
    r->facts.member_id = config.raft.id;
    r->facts.cluster_id = config.cluster_id;
    return st;
}

static enum status make(struct restoring *r, const char *file)
{
    enum status st = import(r, file);

    if (st == ST_OK) {
        st = check_content(r);
    }
    if (st == ST_CORRUPT) {
        return err_prefix(r->err, st, "the snapshot cannot be used");
    }
    if (st == ST_OK) {
        st = make_log(r);
    }
    if (st == ST_OK) {
        st = folder_sync(r->dir.member, r->err);
    }
    return st ? st : folder_sync(r->part, r->err);
}

static enum status make_and_publish(struct restoring *r, const char *file)
{
    struct err unused;
    enum status st = data_dir_open(&r->plan.arena, r->part, &r->dir, r->err);

    if (st) {
        return st; /* It may be another's: nothing is removed. */
    }
    r->loop = loop_new();
    st = make(r, file);
    loop_free(r->loop);
    if (st == ST_OK) {
        st = folder_publish(r->part, r->place, r->err);
    }
    if (st) {
        (void)data_dir_remove(r->part, &unused); /* Else the next try does. */
    }
    data_dir_close(&r->dir);
    return st;
}

enum status store_restore(const char *file, const struct member_config *config,
                          enum restore_sum sum, struct restore_facts *out_facts,
                          struct err *err)
{
    struct restoring r = {.dir = {.lock = -1}, .err = err};
    enum status st = member_plan_make(&r.plan, config, err);

    if (st == ST_OK) {
        choose_places(&r);
        st = check_place(&r);
    }
    if (st == ST_OK) {
        st = check_part(&r);
    }
    if (st == ST_OK) {
        st = check_file(file, sum, err);
    }
    if (st == ST_OK) {
        st = make_and_publish(&r, file);
    }
    if (st == ST_OK) {
        *out_facts = r.facts;
    }
    member_plan_release(&r.plan);
    return st;
}
