/*
 * A snapshot may come from anybody. Reading it must end, inside the bytes.
 */
#include "fuzz.h"

#include "base/core/check.h"
#include "store/snap/reader.h"

static bool on_bucket(void *ctx, struct slice name)
{
    (void)ctx;
    return name.len != 3;
}

static enum status on_row(void *ctx, struct slice key, struct slice value)
{
    size_t *sum = ctx;

    for (size_t i = 0; i < key.len; i++) {
        *sum += key.data[i];
    }
    for (size_t i = 0; i < value.len; i++) {
        *sum += value.data[i];
    }
    return ST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t sum = 0;
    struct snap_hooks hooks = {
        .ctx = &sum, .on_bucket = on_bucket, .on_row = on_row};
    struct err err = {0};

    (void)snap_file_bytes(slice_of(data, size));
    (void)snap_read(slice_of(data, size), &hooks, &err);
    return 0;
}
