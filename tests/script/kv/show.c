#include "script/kv/show.h"

#include "base/core/check.h"
#include "base/core/pb.h"
#include "store/kv/record.h"

static void indent(struct buf *out, unsigned depth)
{
    while (depth-- > 0) {
        CHECK(buf_add_str(out, "  ") == ST_OK);
    }
}

static void show_bytes(struct buf *out, struct slice s)
{
    if (s.len > 40) {
        CHECK(buf_addf(out, "<%zu bytes>", s.len) == ST_OK);
        return;
    }
    for (size_t i = 0; i < s.len; i++) {
        bool plain = s.data[i] > ' ' && s.data[i] < 0x7f;

        CHECK(buf_addf(out, plain ? "%c" : "\\x%02x", s.data[i]) == ST_OK);
    }
}

static void show_kv(struct buf *out, struct slice bytes)
{
    struct kv_fields f;

    CHECK(kv_fields_parse(bytes, &f));
    show_bytes(out, f.key);
    if (f.create > 0) {
        CHECK(buf_add_str(out, "=") == ST_OK);
        show_bytes(out, f.value);
        CHECK(buf_addf(out, " c%lld m%lld v%lld", (long long)f.create,
                       (long long)f.mod, (long long)f.version) == ST_OK);
    } else {
        CHECK(buf_addf(out, " m%lld", (long long)f.mod) == ST_OK);
    }
    if (f.lease != 0) {
        CHECK(buf_addf(out, " lease %lld", (long long)f.lease) == ST_OK);
    }
}

static void show_txn(struct buf *out, struct slice body, unsigned depth);

static void show_kv_line(struct buf *out, struct slice kv, unsigned depth,
                         const char *label)
{
    indent(out, depth);
    CHECK(buf_add_str(out, label) == ST_OK);
    show_kv(out, kv);
    CHECK(buf_add_str(out, "\n") == ST_OK);
}

static int64_t header_revision(struct slice header)
{
    struct pb_field f;

    while (pb_next(&header, &f)) {
        if (f.number == 3) {
            return (int64_t)f.value;
        }
    }
    return 0;
}

/* The header of an op inside a txn. */
static void show_op_header(struct buf *out, struct slice body)
{
    struct pb_field f;

    while (pb_next(&body, &f)) {
        if (f.number == 1 && f.type == PB_BYTES) {
            CHECK(buf_addf(out, " @%lld",
                           (long long)header_revision(f.bytes)) == ST_OK);
        }
    }
}

static void show_range(struct buf *out, struct slice body, unsigned depth)
{
    struct slice rest = body;
    struct pb_field f;
    long long count = 0;
    bool more = false;

    while (pb_next(&rest, &f)) {
        more |= f.number == 3;
        count = f.number == 4 ? (long long)f.value : count;
    }
    CHECK(buf_addf(out, ", count %lld%s\n", count, more ? ", more" : "") ==
          ST_OK);
    while (pb_next(&body, &f)) {
        if (f.number == 2) {
            show_kv_line(out, f.bytes, depth, "");
        }
    }
}

static void show_put(struct buf *out, struct slice body, unsigned depth)
{
    struct pb_field f;

    CHECK(buf_add_str(out, "\n") == ST_OK);
    while (pb_next(&body, &f)) {
        if (f.number == 2) {
            show_kv_line(out, f.bytes, depth, "before: ");
        }
    }
}

static void show_delete(struct buf *out, struct slice body, unsigned depth)
{
    struct slice rest = body;
    struct pb_field f;
    long long deleted = 0;

    while (pb_next(&rest, &f)) {
        deleted = f.number == 2 ? (long long)f.value : deleted;
    }
    CHECK(buf_addf(out, ", deleted %lld\n", deleted) == ST_OK);
    while (pb_next(&body, &f)) {
        if (f.number == 3) {
            show_kv_line(out, f.bytes, depth, "before: ");
        }
    }
}

static void show_op(struct buf *out, struct slice op, unsigned depth)
{
    static const char *const names[] = {"", "get", "put", "del", "txn"};
    struct pb_field f;

    CHECK(pb_next(&op, &f));
    CHECK(f.number >= 1 && f.number <= 4);
    indent(out, depth);
    CHECK(buf_add_str(out, names[f.number]) == ST_OK);
    show_op_header(out, f.bytes);
    if (f.number == 1) {
        show_range(out, f.bytes, depth + 1);
    } else if (f.number == 2) {
        show_put(out, f.bytes, depth + 1);
    } else if (f.number == 3) {
        show_delete(out, f.bytes, depth + 1);
    } else {
        show_txn(out, f.bytes, depth + 1);
    }
}

static void show_txn(struct buf *out, struct slice body, unsigned depth)
{
    struct slice rest = body;
    struct pb_field f;
    bool succeeded = false;

    while (pb_next(&rest, &f)) {
        succeeded |= f.number == 2;
    }
    CHECK(buf_addf(out, ", %s\n", succeeded ? "succeeded" : "failed") == ST_OK);
    while (pb_next(&body, &f)) {
        if (f.number == 3) {
            show_op(out, f.bytes, depth);
        }
    }
}

static void show_numbers(struct buf *out, struct slice body)
{
    struct pb_field f;

    while (pb_next(&body, &f)) {
        if (f.type == PB_VARINT) {
            CHECK(buf_addf(out, ", %u: %lld", f.number, (long long)f.value) ==
                  ST_OK);
        } else {
            CHECK(buf_addf(out, ", %u: [", f.number) == ST_OK);
            if (f.bytes.len > 0 && f.bytes.data[0] < ' ') {
                show_numbers(out, f.bytes);
            } else {
                show_bytes(out, f.bytes);
            }
            CHECK(buf_add_str(out, "]") == ST_OK);
        }
    }
}

void show_reply(enum kv_kind kind, const struct kv_reply *reply,
                struct buf *out)
{
    struct slice body = buf_slice(&reply->body);

    if (reply->error) {
        CHECK(buf_addf(out, "error %d: %s\n", kv_error_code(reply->error),
                       kv_error_text(reply->error)) == ST_OK);
        return;
    }
    CHECK(buf_addf(out, "revision %lld", (long long)reply->revision) == ST_OK);
    if (kind == KV_RANGE) {
        show_range(out, body, 0);
    } else if (kind == KV_PUT) {
        show_put(out, body, 0);
    } else if (kind == KV_DELETE_RANGE) {
        show_delete(out, body, 0);
    } else if (kind == KV_TXN) {
        show_txn(out, body, 1);
    } else {
        show_numbers(out, body);
        CHECK(buf_add_str(out, "\n") == ST_OK);
    }
}

static void show_event(struct buf *out, struct slice field)
{
    struct pb_field f;
    struct slice event;
    struct slice rest;
    bool is_delete = false;

    CHECK(pb_next(&field, &f));
    CHECK(f.number == 11);
    CHECK(field.len == 0);
    event = f.bytes;
    rest = event;
    while (pb_next(&rest, &f)) {
        is_delete |= f.number == 1;
    }
    CHECK(buf_add_str(out, is_delete ? "  del " : "  put ") == ST_OK);
    while (pb_next(&event, &f)) {
        if (f.number == 3) {
            CHECK(buf_add_str(out, " (before: ") == ST_OK);
            show_kv(out, f.bytes);
            CHECK(buf_add_str(out, ")") == ST_OK);
        } else if (f.number == 2) {
            show_kv(out, f.bytes);
        }
    }
    CHECK(buf_add_str(out, "\n") == ST_OK);
}

void show_notice(const char *name, const struct watch_notice *n,
                 struct buf *out)
{
    if (n->type == WATCH_COMPACTED) {
        CHECK(buf_addf(out, "watch %s: canceled, compacted %lld\n", name,
                       (long long)n->compact_revision) == ST_OK);
        return;
    }
    if (n->type == WATCH_NOTHING) {
        return;
    }
    CHECK(buf_addf(out, "watch %s: revision %lld\n", name,
                   (long long)n->revision) == ST_OK);
    for (size_t i = 0; i < n->events_count; i++) {
        show_event(out, n->events[i]);
    }
}
