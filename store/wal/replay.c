#include <endian.h>
#include <inttypes.h>

#include "base/core/check.h"
#include "store/wal/core.h"

/* Read at least this much at a time. */
#define CHUNK_BYTES ((size_t)1024 * 1024)

#define REMEDY                                                           \
    "restore this member's data folder from a backup or a snapshot, or " \
    "remove "                                                            \
    "it and let the member join again"

/* A window over a file, moved forward as it is read. */
struct window {
    struct disk *disk;
    struct disk_file *file;
    uint64_t size;
    uint64_t start; /* Offset of bytes.data[0]. */
    struct buf bytes;
};

/* The `len` bytes at `offset`, borrowed until the next call. ST_TRUNCATED: the
 * file ends before. */
static enum status window_at(struct window *v, uint64_t offset, size_t len,
                             struct slice *out_bytes)
{
    size_t want = len > CHUNK_BYTES ? len : CHUNK_BYTES;
    uint8_t *space;
    enum status st;

    if (offset > v->size || len > v->size - offset) {
        return ST_TRUNCATED;
    }
    if (offset < v->start || offset + len > v->start + v->bytes.len) {
        if (want > v->size - offset) {
            want = (size_t)(v->size - offset);
        }
        buf_clear(&v->bytes);
        CHECK(buf_reserve(&v->bytes, want, &space) == ST_OK);
        st = v->disk->read(v->disk, v->file, offset, space, want);
        if (st) {
            return st;
        }
        v->start = offset;
        v->bytes.len = want;
    }
    *out_bytes = slice_of(v->bytes.data + (offset - v->start), len);
    return ST_OK;
}

/* One file on its way through the replay. */
struct replay {
    struct wal *wal;
    struct wal_content *content;
    struct err *err;
    char name[DISK_NAME_MAX];
    struct window window;
    struct wal_header header;
    struct wal_place place; /* Of the record to be read next. */
    uint64_t last_index;
};

static enum status damaged(const struct replay *p, const char *what)
{
    return err_set(p->err, ST_CORRUPT,
                   "%s: damaged at offset %" PRIu64 ": %s; " REMEDY, p->name,
                   p->place.offset, what);
}

static enum status unreadable(const struct replay *p, enum status st)
{
    return err_set(p->err, st, "%s: cannot read at offset %" PRIu64 ": %s",
                   p->name, p->place.offset, status_text(st));
}

/* ---- what the items say ---- */

/* Entries in front of a file's mark may be gone with older files. Reading
 * starts over behind such a gap; at the end all must be there from the last
 * mark on. It starts over, too, where entries before the gap's end are
 * replaced: what is kept may begin with some that were replaced later. */
static enum status take_entry(struct replay *p, const struct raft_entry *e)
{
    struct raft_log *log = &p->content->log;
    uint64_t index = e->pos.index;

    if (index <= p->wal->mark.index) {
        return damaged(p, "an entry before the log's beginning");
    }
    if (index > raft_log_last(log) + 1 || index <= log->compacted.index) {
        raft_log_release(log);
        raft_log_start(log, (struct raft_pos){.index = index - 1});
    } else if (index <= raft_log_last(log)) {
        raft_log_cut(log, index);
    }
    if (e->pos.term < raft_log_end(log).term) {
        return damaged(p, "an entry's term is lower than that before it");
    }
    raft_log_append(log, raft_entry_copy(e));
    if (index > p->last_index) {
        p->last_index = index;
    }
    return ST_OK;
}

static enum status take_mark(struct replay *p, const struct wal_mark *mark)
{
    struct raft_log *log = &p->content->log;
    uint64_t index = mark->pos.index;
    uint64_t term = raft_log_term(log, index);

    if (index < p->wal->mark.index ||
        (!mark->restart && term != 0 && term != mark->pos.term)) {
        return damaged(p, "a compaction that does not fit the entries");
    }
    if (mark->restart || index > raft_log_last(log)) {
        raft_log_release(log);
        raft_log_start(log, mark->pos);
    } else if (index >= log->compacted.index) {
        raft_log_compact(log, index);
        log->compacted.term = mark->pos.term;
    }
    p->wal->mark = mark->pos;
    buf_clear(&p->content->mark_state);
    CHECK(buf_add(&p->content->mark_state, mark->state) == ST_OK);
    return ST_OK;
}

static enum status take_items(struct replay *p, struct slice items)
{
    struct wal_item item;
    enum status st;

    while ((st = wal_item_next(&items, &item)) == ST_OK) {
        switch (item.kind) {
        case WAL_HARD:
            p->content->hard = item.hard;
            break;
        case WAL_ENTRY:
            st = take_entry(p, &item.entry);
            break;
        case WAL_MARK:
        case WAL_RESTART:
            st = take_mark(p, &item.mark);
            break;
        }
        if (st) {
            return st;
        }
    }
    return st == ST_NOT_FOUND ? ST_OK : damaged(p, "a malformed item");
}

/* ---- records ---- */

/* ST_NOT_FOUND: no good record here. */
static enum status read_record(struct replay *p)
{
    struct slice bytes;
    uint32_t length;
    uint32_t sum;
    enum status st =
        window_at(&p->window, p->place.offset, WAL_HEAD_BYTES, &bytes);

    if (st == ST_OK &&
        wal_head_read(bytes, p->place.seed, p->place.offset, &length)) {
        return ST_NOT_FOUND;
    }
    if (st == ST_OK) {
        st = window_at(&p->window, p->place.offset, WAL_HEAD_BYTES + length,
                       &bytes);
    }
    if (st) {
        return st == ST_TRUNCATED ? ST_NOT_FOUND : unreadable(p, st);
    }
    if (wal_record_check(bytes, p->place, &sum)) {
        return ST_NOT_FOUND;
    }
    st = take_items(p, slice_skip(bytes, WAL_HEAD_BYTES));
    if (st == ST_OK) {
        p->place.sum = sum;
        p->place.offset += bytes.len;
    }
    return st;
}

/* The first record head of this file in `bytes`, which lie at `offset`. */
static bool find_head(struct slice bytes, uint64_t seed, uint64_t offset)
{
    for (size_t at = 0; at + WAL_HEAD_BYTES <= bytes.len; at += 8) {
        uint32_t length;
        uint64_t word;

        memcpy(&word, bytes.data + at, sizeof(word));
        if (le64toh(word) == seed &&
            wal_head_read(slice_of(bytes.data + at, WAL_HEAD_BYTES), seed,
                          offset + at, &length) == ST_OK) {
            return true;
        }
    }
    return false;
}

/* Is there a record head of this file behind the place where reading ended? It
 * was written only after everything before it had been synced. */
static enum status look_behind(struct replay *p, bool *out_found)
{
    uint64_t at = p->place.offset + 8;

    *out_found = false;
    while (!*out_found && at + WAL_HEAD_BYTES <= p->window.size) {
        uint64_t left = p->window.size - at;
        size_t len = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        struct slice bytes;
        enum status st = window_at(&p->window, at, len, &bytes);

        if (st) {
            return unreadable(p, st);
        }
        *out_found = find_head(bytes, p->place.seed, at);
        at += len - WAL_HEAD_BYTES + 8; /* One may lie across the end. */
    }
    return ST_OK;
}

/* What lies at the end of the newest file: nothing, or the rest of a record
 * whose write was cut short. */
static enum status measure_torn(struct replay *p)
{
    struct slice bytes;
    uint32_t length;

    if (window_at(&p->window, p->place.offset, WAL_HEAD_BYTES, &bytes)) {
        return ST_OK; /* The file is full. */
    }
    if (wal_head_read(bytes, p->place.seed, p->place.offset, &length) ==
        ST_OK) {
        p->content->torn_bytes = WAL_HEAD_BYTES + (uint64_t)length;
    }
    return ST_OK;
}

static enum status end_of_log(struct replay *p)
{
    bool found = false;
    enum status st = look_behind(p, &found);

    if (st) {
        return st;
    }
    if (found) {
        return damaged(p, "a bad record with good ones behind it");
    }
    return measure_torn(p);
}

/* ---- files ---- */

static enum status read_header(struct replay *p, uint64_t sequence,
                               bool is_first)
{
    const struct wal *w = p->wal;
    struct slice bytes;
    enum status st = window_at(&p->window, 0, WAL_HEADER_BYTES, &bytes);

    if (st && st != ST_TRUNCATED) {
        return unreadable(p, st);
    }
    if (st == ST_OK) {
        st = wal_header_read(bytes, &p->header, &p->place.sum);
    }
    if (st == ST_UNSUPPORTED) {
        return err_set(p->err, st,
                       "%s: written by a newer version; use that one", p->name);
    }
    if (st || p->header.sequence != sequence) {
        return damaged(p, "the header is bad");
    }
    if (!is_first && (p->header.ids.cluster != w->ids.cluster ||
                      p->header.ids.member != w->ids.member)) {
        return damaged(p, "the file belongs to another member");
    }
    p->place.seed = p->header.seed;
    p->place.offset = WAL_HEADER_BYTES;
    return ST_OK;
}

/* The next file says where this one ended. If it could be read only up to an
 * earlier place, it is damaged there. */
static enum status check_seam(const struct replay *before,
                              const struct wal_header *next)
{
    if (before->place.offset != next->before_end ||
        before->place.sum != next->before_sum) {
        return damaged(before, "a bad record in a file that was finished");
    }
    return ST_OK;
}

static enum status read_file(struct replay *p)
{
    enum status st;

    do {
        st = read_record(p);
    } while (st == ST_OK);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* Take what the newest file ended with as the place to go on. Its content may
 * be in memory only, if just the process was killed: it becomes durable before
 * anybody relies on it. */
static enum status go_on_here(struct replay *p)
{
    struct wal *w = p->wal;
    enum status st = w->disk->sync(w->disk, p->window.file);

    if (st) {
        return err_set(p->err, st, "%s: cannot sync: %s", p->name,
                       status_text(st));
    }
    w->file = p->window.file;
    p->window.file = NULL; /* The log's now. */
    w->end = p->place.offset;
    w->place = p->place;
    p->content->end_offset = w->end;
    memcpy(p->content->end_name, p->name, sizeof(p->name));
    return ST_OK;
}

static enum status replay_file(struct replay *p, uint64_t sequence,
                               const struct replay *before)
{
    struct wal *w = p->wal;
    enum status st;

    wal_name(p->name, sequence);
    p->place.offset = 0;
    st = w->disk->open(w->disk, p->name, &p->window.file, &p->window.size);
    if (st) {
        return err_set(p->err, st, "%s: cannot open: %s", p->name,
                       status_text(st));
    }
    st = read_header(p, sequence, before == NULL);
    if (st == ST_OK && before != NULL) {
        st = check_seam(before, &p->header);
    }
    if (st == ST_OK) {
        w->ids = p->header.ids;
        st = read_file(p);
    }
    return st;
}

static enum status check_whole(const struct replay *p)
{
    const struct wal_content *c = p->content;

    if (c->log.compacted.index != p->wal->mark.index) {
        return err_set(p->err, ST_CORRUPT,
                       "log entries %" PRIu64 " to %" PRIu64
                       " are missing before %s; " REMEDY,
                       p->wal->mark.index + 1, c->log.compacted.index, p->name);
    }
    if (c->hard.commit > raft_log_last(&c->log) ||
        c->hard.term < raft_log_end(&c->log).term) {
        return damaged(p, "the state does not fit the entries");
    }
    return ST_OK;
}

static enum status check_sequences(const struct wal_listing *l, struct err *err)
{
    if (l->count == 0) {
        return err_set(err, ST_NOT_FOUND, "there is no log file");
    }
    for (size_t i = 1; i < l->count; i++) {
        if (l->sequences[i] != l->sequences[i - 1] + 1) {
            return err_set(err, ST_CORRUPT,
                           "log file %016" PRIx64 ".wal is missing; " REMEDY,
                           l->sequences[i - 1] + 1);
        }
    }
    return ST_OK;
}

enum status wal_replay(struct wal *w, const struct wal_listing *listing,
                       struct wal_content *content, struct err *err)
{
    struct replay p = {.wal = w, .content = content, .err = err};
    struct replay before;
    enum status st = check_sequences(listing, err);

    p.window.disk = w->disk;
    buf_init(&p.window.bytes, WAL_HEAD_BYTES + LIMIT_WAL_RECORD);
    buf_init(&content->mark_state, LIMIT_WAL_RECORD);
    for (size_t i = 0; st == ST_OK && i < listing->count; i++) {
        w->disk->close(w->disk, p.window.file);
        p.window.file = NULL;
        p.window.start = 0;
        buf_clear(&p.window.bytes);
        p.last_index = 0;
        before = p;
        st = replay_file(&p, listing->sequences[i], i > 0 ? &before : NULL);
        if (st == ST_OK) {
            wal_files_add(&w->files,
                          (struct wal_file){.sequence = listing->sequences[i],
                                            .last_index = p.last_index,
                                            .size = p.window.size});
        }
    }
    if (st == ST_OK) {
        st = end_of_log(&p);
    }
    if (st == ST_OK) {
        st = check_whole(&p);
    }
    if (st == ST_OK) {
        w->hard = content->hard;
        CHECK(buf_add(&w->mark_state, buf_slice(&content->mark_state)) ==
              ST_OK);
        st = go_on_here(&p);
    }
    w->disk->close(w->disk, p.window.file);
    buf_release(&p.window.bytes);
    return st;
}
