/*
 * A damaged disk may hold any bytes. Reading them must not crash, and what is
 * accepted must come back unchanged when written again.
 *
 * First byte: 0: a record as it lies in a file, checked and then its items; 1:
 * items alone, so that the fuzzer gets behind the check sum; 2: a header.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/wire.h"
#include "store/wal/record.h"

static void try_items(struct slice items)
{
    uint8_t *again = malloc(items.len + 1);
    uint8_t *at = again;
    struct slice rest = items;
    struct wal_item item;

    CHECK(again != NULL);
    while (wal_item_next(&rest, &item) == ST_OK) {
        CHECK(wal_item_size(&item) <= items.len - (size_t)(at - again));
        at = wal_item_write(at, &item);
    }
    CHECK((size_t)(at - again) == items.len - rest.len);
    CHECK(memcmp(again, items.data, (size_t)(at - again)) == 0);
    free(again);
}

/* The record may stand anywhere, so its own word for seed and offset is
 * taken. */
static void try_record(struct slice record)
{
    struct wire_reader r = {.rest = record};
    struct wal_place place = {0};
    uint32_t sum;
    uint8_t *again;

    place.seed = wire_u64(&r);
    place.offset = wire_u64(&r);
    if (wal_record_check(record, place, &sum)) {
        return;
    }
    again = malloc(record.len);
    CHECK(again != NULL);
    memcpy(again, record.data, record.len);
    CHECK(wal_record_seal(again, record.len, place) == sum);
    CHECK(memcmp(again, record.data, record.len) == 0);
    try_items(slice_skip(record, WAL_HEAD_BYTES));
    free(again);
}

static void try_header(struct slice bytes)
{
    struct wal_header header;
    uint8_t again[WAL_HEADER_BYTES];
    uint32_t sum;

    if (bytes.len != WAL_HEADER_BYTES ||
        wal_header_read(bytes, &header, &sum)) {
        return;
    }
    CHECK(wal_header_write(again, &header) == sum);
    CHECK(memcmp(again, bytes.data, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);

    if (size == 0) {
        return 0;
    }
    rest = slice_skip(rest, 1);
    if (data[0] == 0) {
        try_record(rest);
    } else if (data[0] == 1) {
        try_items(rest);
    } else if (data[0] == 2) {
        try_header(rest);
    }
    return 0;
}
