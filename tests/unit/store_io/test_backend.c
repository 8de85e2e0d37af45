#include "store/io/backend.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/io/loop.h"
#include "scratch.h"
#include "suite.h"

struct fixture {
    char path[64];
    struct loop *loop;
    struct backend *backend;
    struct table *table;
    unsigned written;
    enum status result;
};

static void on_written(void *ctx, enum status result)
{
    struct fixture *f = ctx;

    f->written++;
    f->result = result;
    loop_stop(f->loop);
}

static void reopen(struct fixture *f)
{
    struct backend_config config = {.loop = f->loop,
                                    .path = f->path,
                                    .map_bytes = 1U << 30,
                                    .on_written = on_written,
                                    .ctx = f};
    struct err err = {""};

    backend_close(f->backend);
    f->backend = NULL;
    ck_assert_msg(backend_open(&config, &f->backend, &err) == ST_OK, "%s",
                  err.text);
    f->table = backend_table(f->backend);
}

static void setup(struct fixture *f)
{
    *f = (struct fixture){.loop = loop_new()};
    scratch_make(f->path);
    reopen(f);
}

static void teardown(struct fixture *f)
{
    backend_close(f->backend);
    loop_free(f->loop);
    scratch_remove(f->path);
}

static void write_rows(struct fixture *f, const struct table_write *rows,
                       size_t count)
{
    struct kv_batch batch = {.writes = rows, .writes_count = count};

    f->written = 0;
    backend_write(f->backend, &batch);
    ck_assert(backend_is_writing(f->backend));
    loop_run(f->loop);
    ck_assert_uint_eq(f->written, 1);
    ck_assert_int_eq(f->result, ST_OK);
}

static struct table_write row(const char *key, const char *value)
{
    return (struct table_write){
        .table = TABLE_KEY, .key = slice_str(key), .value = slice_str(value)};
}

START_TEST(rows_are_read_back_after_they_were_written)
{
    struct fixture f;
    struct table_write rows[] = {row("b", "2"), row("a", "1"), row("c", "")};
    struct slice value;

    setup(&f);
    write_rows(&f, rows, 3);
    ck_assert_int_eq(f.table->get(f.table, TABLE_KEY, slice_str("b"), &value),
                     ST_OK);
    ck_assert(slice_eq(value, slice_str("2")));
    ck_assert_int_eq(f.table->get(f.table, TABLE_KEY, slice_str("c"), &value),
                     ST_OK);
    ck_assert_uint_eq(value.len, 0);
    ck_assert_int_eq(f.table->get(f.table, TABLE_LEASE, slice_str("b"), &value),
                     ST_NOT_FOUND);

    rows[0] = (struct table_write){
        .table = TABLE_KEY, .remove = true, .key = slice_str("b")};
    rows[1] = (struct table_write){
        .table = TABLE_KEY, .remove = true, .key = slice_str("absent")};
    write_rows(&f, rows, 2);
    reopen(&f);
    ck_assert_int_eq(f.table->get(f.table, TABLE_KEY, slice_str("b"), &value),
                     ST_NOT_FOUND);
    ck_assert_int_eq(f.table->get(f.table, TABLE_KEY, slice_str("a"), &value),
                     ST_OK);
    ck_assert_uint_gt(f.table->size(f.table), 0);
    ck_assert_uint_gt(f.table->size_in_use(f.table), 0);
    teardown(&f);
}
END_TEST

struct seen {
    char keys[64];
    char until;
};

static bool on_row(void *ctx, struct slice key, struct slice value)
{
    struct seen *seen = ctx;

    ck_assert_uint_eq(value.len, 1);
    (void)strncat(seen->keys, (const char *)key.data, key.len);
    return key.data[0] != seen->until;
}

static const struct {
    const char *from;
    char until;
    const char *expect;
} scans[] = {
    {"", 0, "abcd"},  {"b", 0, "bcd"}, {"bb", 0, "cd"},
    {"b", 'c', "bc"}, {"z", 0, ""},
};

START_TEST(scans_go_in_order_until_told_to_stop)
{
    struct fixture f;
    struct table_write rows[] = {row("d", "4"), row("b", "2"), row("a", "1"),
                                 row("c", "3")};
    struct seen seen = {.until = scans[_i].until};

    setup(&f);
    write_rows(&f, rows, 4);
    ck_assert_int_eq(f.table->scan(f.table, TABLE_KEY,
                                   slice_str(scans[_i].from), &seen, on_row),
                     ST_OK);
    ck_assert_str_eq(seen.keys, scans[_i].expect);
    teardown(&f);
}
END_TEST

/* Change the place in the file where `text` stands: there was one write, so
 * there is one. */
static void flip_in_file(const struct fixture *f, const char *text)
{
    char path[128];
    char *bytes;
    char *at;
    long len;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/data.mdb", f->path);
    file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    len = ftell(file);
    bytes = malloc((size_t)len);
    ck_assert_ptr_nonnull(bytes);
    rewind(file);
    ck_assert_uint_eq(fread(bytes, 1, (size_t)len, file), (size_t)len);
    at = memmem(bytes, (size_t)len, text, strlen(text));
    ck_assert_ptr_nonnull(at);
    ck_assert_int_eq(fseek(file, at - bytes, SEEK_SET), 0);
    ck_assert_int_eq(fputc(*at ^ 1, file), *at ^ 1);
    ck_assert_int_eq(fclose(file), 0);
    free(bytes);
}

START_TEST(a_flipped_bit_is_never_served)
{
    struct fixture f;
    struct table_write rows[] = {row("healthy", "fine"),
                                 row("sick", "a value to be damaged")};
    struct seen seen = {.until = 0};
    struct slice value;

    setup(&f);
    write_rows(&f, rows, 2);
    backend_close(f.backend);
    f.backend = NULL;
    flip_in_file(&f, "value to be damaged");
    reopen(&f);
    ck_assert_int_eq(
        f.table->get(f.table, TABLE_KEY, slice_str("healthy"), &value), ST_OK);
    ck_assert_int_eq(
        f.table->get(f.table, TABLE_KEY, slice_str("sick"), &value),
        ST_CORRUPT);
    ck_assert_ptr_nonnull(
        strstr(backend_error(f.backend)->text, "data.mdb: table \"key\""));
    ck_assert_int_eq(
        f.table->scan(f.table, TABLE_KEY, slice_str("sick"), &seen, on_row),
        ST_CORRUPT);
    ck_assert_str_eq(seen.keys, "");
    teardown(&f);
}
END_TEST

START_TEST(rubbish_is_not_opened)
{
    struct fixture f;
    struct backend *other;
    struct err err = {""};
    char path[128];
    FILE *file;

    setup(&f);
    backend_close(f.backend);
    f.backend = NULL;
    (void)snprintf(path, sizeof(path), "%s/data.mdb", f.path);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 10000; i++) {
        (void)fputc('x', file);
    }
    ck_assert_int_eq(fclose(file), 0);

    struct backend_config config = {
        .loop = f.loop, .path = f.path, .map_bytes = 1U << 30};

    ck_assert_int_eq(backend_open(&config, &other, &err), ST_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, f.path));
    teardown(&f);
}
END_TEST

/* The map of a file that was cut must not kill us. */
START_TEST(a_cut_file_is_not_opened)
{
    struct fixture f;
    struct table_write rows[] = {row("a", "1")};
    struct backend *other;
    struct err err = {""};
    char path[128];

    setup(&f);
    write_rows(&f, rows, 1);
    backend_close(f.backend);
    f.backend = NULL;
    (void)snprintf(path, sizeof(path), "%s/data.mdb", f.path);
    ck_assert_int_eq(truncate(path, (off_t)2 * 4096), 0);

    struct backend_config config = {
        .loop = f.loop, .path = f.path, .map_bytes = 1U << 30};

    ck_assert_int_eq(backend_open(&config, &other, &err), ST_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, f.path));
    teardown(&f);
}
END_TEST

UNIT_MAIN("backend", {
    tcase_add_test(tc, rows_are_read_back_after_they_were_written);
    tcase_add_loop_test(tc, scans_go_in_order_until_told_to_stop, 0,
                        COUNT_OF(scans));
    tcase_add_test(tc, a_flipped_bit_is_never_served);
    tcase_add_test(tc, rubbish_is_not_opened);
    tcase_add_test(tc, a_cut_file_is_not_opened);
})
