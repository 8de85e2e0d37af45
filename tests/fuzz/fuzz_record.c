/*
 * The store may hold anything, written by anybody. A key and a value (parted
 * by a line feed) must not crash a reader, and a record that is accepted must
 * come back unchanged when written and read again. The catalogue takes the
 * same pair as an event.
 */
#include "agent/core/catalog.h"
#include "agent/core/query_record.h"
#include "base/core/check.h"
#include "fuzz.h"

static enum status read_and_write_query(struct arena *a, struct slice value,
                                        struct buf *out)
{
    struct query_def def;
    struct err err = {0};
    enum status st = query_def_read(a, value, &def, &err);

    return st ? st : buf_add(out, query_def_write(a, &def));
}

static enum status read_and_write(struct arena *a, const struct record_key *key,
                                  struct slice value, struct buf *out)
{
    struct err err = {0};
    struct node_record node;
    struct live_record live;
    struct instance_record instance;
    struct node_check_record check;
    enum status st = ST_NOT_FOUND;

    switch (key->kind) {
    case RECORD_NODE:
        st = node_record_read(a, key, value, &node, &err);
        return st ? st : node_record_write(&node, out);
    case RECORD_LIVE:
        st = live_record_read(a, value, &live, &err);
        return st ? st : live_record_write(&live, out);
    case RECORD_INSTANCE:
        st = instance_record_read(a, key, value, &instance, &err);
        return st ? st : instance_record_write(&instance, out);
    case RECORD_NODE_CHECK:
        st = node_check_record_read(a, key, value, &check, &err);
        return st ? st : node_check_record_write(&check, out);
    case RECORD_QUERY:
        return read_and_write_query(a, value, out);
    case RECORD_FOREIGN:
        return ST_NOT_FOUND;
    }
    UNREACHABLE();
}

static void round_trip(struct slice key_bytes, struct slice value)
{
    struct arena a = {0};
    struct record_key key;
    struct buf first;
    struct buf second;

    buf_init(&first, 16 * LIMIT_RECORD_BYTES);
    buf_init(&second, 16 * LIMIT_RECORD_BYTES);
    if (record_key_read(&a, "dc1", key_bytes, &key) == ST_OK &&
        key.kind != RECORD_FOREIGN) {
        CHECK(slice_eq(record_key_write(&a, "dc1", &key), key_bytes));
        if (read_and_write(&a, &key, value, &first) == ST_OK &&
            first.len <= LIMIT_RECORD_BYTES) {
            CHECK(read_and_write(&a, &key, buf_slice(&first), &second) ==
                  ST_OK);
            CHECK(slice_eq(buf_slice(&first), buf_slice(&second)));
        }
    }
    buf_release(&first);
    buf_release(&second);
    arena_release(&a);
}

static void follow(struct slice key, struct slice value)
{
    struct catalog *before = catalog_new("dc1");
    struct catalog_event events[2] = {
        {.key = key, .value = value, .create_revision = 1, .mod_revision = 1},
        {.key = key, .deleted = true, .mod_revision = 2},
    };
    struct catalog_changes changes;
    struct arena a = {0};
    struct catalog *put = catalog_apply(before, events, 1, 1, &a, &changes);
    struct catalog *gone = catalog_apply(put, events + 1, 1, 2, &a, &changes);

    CHECK(catalog_instances_count(gone) == 0);
    CHECK(catalog_services_count(gone) == 0);
    CHECK(catalog_nodes_count(gone) == 0);
    catalog_unref(before);
    catalog_unref(put);
    catalog_unref(gone);
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);
    struct slice key;
    struct slice value;

    if (end == NULL) {
        return 0;
    }
    key = slice_of(data, (size_t)(end - data));
    value = slice_skip(slice_of(data, size), key.len + 1);
    round_trip(key, value);
    follow(key, value);
    return 0;
}
