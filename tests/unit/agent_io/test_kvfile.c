/* What is flushed survives; what is damaged is noticed. */

#include "agent/io/kvfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/core/rng.h"
#include "suite.h"

struct world {
    uv_loop_t loop;
    struct kvfile *file;
    char dir[64];
    char path[128];
    int written;
    int refused;
    int closed;
    size_t seen;
    char text[4096]; /* key=value; of each entry. */
};

static void on_written(void *arg, enum status st, const struct err *err)
{
    struct world *w = arg;

    ck_assert_msg(st == ST_OK, "%s", err->text);
    w->written++;
}

static void on_closed(void *arg)
{
    struct world *w = arg;

    w->closed++;
}

static bool on_entry(void *ctx, struct slice key, struct slice value)
{
    struct world *w = ctx;

    w->seen++;
    if (key.len < 32) {
        (void)snprintf(w->text + strlen(w->text),
                       sizeof(w->text) - strlen(w->text), "%.*s=%.*s;",
                       (int)key.len, (const char *)key.data, (int)value.len,
                       (const char *)value.data);
    }
    return true;
}

static enum status world_open(struct world *w)
{
    struct err err;

    return kvfile_open(&w->loop, w->path, 64 << 20, &w->file, &err);
}

static void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    ck_assert_int_eq(uv_loop_init(&w->loop), 0);
    strcpy(w->dir, "/tmp/muster-kvfile-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w->dir));
    (void)snprintf(w->path, sizeof(w->path), "%s/x.mdb", w->dir);
    ck_assert_int_eq(world_open(w), ST_OK);
}

static void world_close(struct world *w)
{
    int before = w->closed;

    kvfile_close(w->file, on_closed, w);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(w->closed, before + 1);
}

static void world_release(struct world *w)
{
    char lock[160];

    (void)snprintf(lock, sizeof(lock), "%s-lock", w->path);
    (void)unlink(w->path);
    (void)unlink(lock);
    (void)rmdir(w->dir);
    ck_assert_int_eq(uv_loop_close(&w->loop), 0);
}

static const char *world_read(struct world *w, char table)
{
    w->seen = 0;
    w->text[0] = '\0';
    ck_assert_int_eq(kvfile_each(w->file, table, on_entry, w), ST_OK);
    return w->text;
}

START_TEST(batches_survive_a_restart)
{
    struct world w;

    world_init(&w);
    kvfile_put(w.file, 'a', slice_str("one"), slice_str("1"));
    kvfile_put(w.file, 'b', slice_str("one"), slice_str("other"));
    kvfile_flush(w.file, on_written, &w);
    kvfile_put(w.file, 'a', slice_str("one"), slice_str("2"));
    kvfile_put(w.file, 'a', slice_str("gone"), slice_str("x"));
    kvfile_delete(w.file, 'a', slice_str("gone"));
    kvfile_delete(w.file, 'a', slice_str("never there"));
    kvfile_flush(w.file, on_written, &w);
    kvfile_put(w.file, 'c', slice_str("unflushed"), slice_str(""));
    world_close(&w); /* Flushes. */
    ck_assert_int_eq(w.written, 2);

    ck_assert_int_eq(world_open(&w), ST_OK);
    ck_assert_str_eq(world_read(&w, 'a'), "one=2;");
    ck_assert_str_eq(world_read(&w, 'b'), "one=other;");
    ck_assert_str_eq(world_read(&w, 'c'), "unflushed=;");
    world_close(&w);
    world_release(&w);
}
END_TEST

START_TEST(clear_empties_one_table)
{
    struct world w;
    char key[16];

    world_init(&w);
    for (int i = 0; i < 500; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        kvfile_put(w.file, 'a', slice_str(key), slice_str("v"));
        kvfile_put(w.file, 'b', slice_str(key), slice_str("v"));
        kvfile_put(w.file, 'c', slice_str(key), slice_str("v"));
    }
    kvfile_clear(w.file, 'b');
    kvfile_put(w.file, 'b', slice_str("new"), slice_str("n"));
    kvfile_flush(w.file, NULL, NULL);
    kvfile_clear(w.file, 'c');
    kvfile_flush(w.file, on_written, &w);
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(w.written, 1);
    (void)world_read(&w, 'a');
    ck_assert_uint_eq(w.seen, 500);
    ck_assert_str_eq(world_read(&w, 'b'), "new=n;");
    (void)world_read(&w, 'c');
    ck_assert_uint_eq(w.seen, 0);
    world_close(&w);
    world_release(&w);
}
END_TEST

START_TEST(long_keys_are_kept_apart)
{
    struct world w;
    char key[2000];

    world_init(&w);
    memset(key, 'k', sizeof(key));
    for (size_t len = 1000; len < sizeof(key); len++) {
        kvfile_put(w.file, 'a', slice_of(key, len), slice_str("v"));
    }
    kvfile_flush(w.file, on_written, &w);
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    (void)world_read(&w, 'a');
    ck_assert_uint_eq(w.seen, 1000);
    world_close(&w);
    world_release(&w);
}
END_TEST

/* LMDB's file is opened anew after a large batch: what was there stays. If
 * somebody has removed it meanwhile, no part of the content takes its place. */
START_TEST(renewed_but_never_begun_anew)
{
    static char much[300000];
    struct world w;

    world_init(&w);
    kvfile_put(w.file, 'a', slice_str("first"), slice_str("1"));
    kvfile_put(w.file, 'b', slice_str("much"), slice_of(much, sizeof(much)));
    kvfile_flush(w.file, on_written, &w);
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    kvfile_put(w.file, 'a', slice_str("second"), slice_str("2"));
    world_close(&w);
    ck_assert_int_eq(world_open(&w), ST_OK);
    (void)world_read(&w, 'a'); /* In no particular order. */
    ck_assert_uint_eq(w.seen, 2);

    ck_assert_int_eq(unlink(w.path), 0);
    for (int i = 0; i < 2; i++) {
        kvfile_put(w.file, 'b', slice_str("much"),
                   slice_of(much, sizeof(much)));
        kvfile_flush(w.file, on_written, &w);
        (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    }
    ck_assert_int_eq(w.written, 3);
    world_close(&w);
    ck_assert_int_ne(access(w.path, F_OK), 0);
    world_release(&w);
}
END_TEST

static void on_refused(void *arg, enum status st, const struct err *err)
{
    struct world *w = arg;

    ck_assert_int_eq(st, ST_IO);
    ck_assert_ptr_nonnull(strstr(err->text, w->path));
    w->refused++;
}

static void put_much(struct world *w, const char *key,
                     kvfile_written_fn *on_done)
{
    static char much[300000];

    kvfile_put(w->file, 'a', slice_str(key), slice_str("1"));
    kvfile_put(w->file, 'b', slice_str("much"), slice_of(much, sizeof(much)));
    kvfile_flush(w->file, on_done, w);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
}

/* A large batch is written and the file is opened anew, for which there is no
 * descriptor: the next batch says so, and the one after it is good again. */
START_TEST(a_new_start_that_fails_is_made_up_for)
{
    struct world w;
    struct rlimit files;
    struct rlimit none;

    world_init(&w);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = files;
    none.rlim_cur = 0; /* What is open stays open. */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    put_much(&w, "first", on_written);
    put_much(&w, "second", on_refused);
    put_much(&w, "third", on_refused);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    ck_assert_int_eq(w.written, 1);
    ck_assert_int_eq(w.refused, 2);
    put_much(&w, "fourth", on_written);
    ck_assert_int_eq(w.written, 2);
    world_close(&w);
    ck_assert_int_eq(world_open(&w), ST_OK);
    ck_assert_ptr_nonnull(strstr(world_read(&w, 'a'), "first=1;"));
    ck_assert_ptr_nonnull(strstr(world_read(&w, 'a'), "fourth=1;"));
    ck_assert_uint_eq(w.seen, 2);
    world_close(&w);
    world_release(&w);
}
END_TEST

/* One flipped bit in the value, wherever LMDB has put it. */
START_TEST(flipped_bit_is_noticed)
{
    struct world w;
    char *bytes;
    char *at;
    struct stat st;
    int fd;

    world_init(&w);
    kvfile_put(w.file, 'a', slice_str("key"), slice_str("needle-in-hay"));
    world_close(&w);
    fd = open(w.path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    bytes = malloc((size_t)st.st_size);
    ck_assert_int_eq(pread(fd, bytes, (size_t)st.st_size, 0), st.st_size);
    at = memmem(bytes, (size_t)st.st_size, "needle-in-hay", 13);
    ck_assert_ptr_nonnull(at);
    at[0] ^= 4;
    ck_assert_int_eq(pwrite(fd, bytes, (size_t)st.st_size, 0), st.st_size);
    close(fd);
    free(bytes);

    ck_assert_int_eq(world_open(&w), ST_OK);
    ck_assert_int_eq(kvfile_each(w.file, 'a', on_entry, &w), ST_CORRUPT);
    world_close(&w);
    world_release(&w);
}
END_TEST

static const struct {
    const char *name;
    off_t keep; /* Bytes left of the file. */
    const char *overwrite;
} damages[] = {
    {"cut within a page", 8192 + 100, NULL},
    {"cut behind the head", 8192, NULL},
    {"cut to a few bytes", 100, NULL},
    {"another file", 40000, "this is no database at all, is it?"},
};

START_TEST(damaged_files_are_refused)
{
    struct world w;
    char value[3000] = {1};
    int fd;

    world_init(&w);
    for (int i = 0; i < 20; i++) {
        kvfile_put(w.file, 'a', slice_of(&i, sizeof(i)),
                   slice_of(value, sizeof(value)));
    }
    world_close(&w);
    ck_assert_int_eq(truncate(w.path, damages[_i].keep), 0);
    if (damages[_i].overwrite) {
        fd = open(w.path, O_WRONLY);
        for (off_t at = 0; at < damages[_i].keep; at += 34) {
            ck_assert_int_eq(write(fd, damages[_i].overwrite, 34), 34);
        }
        close(fd);
    }
    ck_assert_msg(world_open(&w) == ST_CORRUPT, "%s", damages[_i].name);
    world_release(&w);
}
END_TEST

START_TEST(full_file_fails_the_batch_only)
{
    struct world w;
    struct err err;
    static char value[200000];

    world_init(&w);
    world_close(&w);
    ck_assert_int_eq(kvfile_open(&w.loop, w.path, 16 * 4096, &w.file, &err),
                     ST_OK);
    kvfile_put(w.file, 'a', slice_str("big"), slice_of(value, sizeof(value)));
    kvfile_flush(w.file, NULL, NULL);
    kvfile_put(w.file, 'a', slice_str("small"), slice_str("s"));
    kvfile_flush(w.file, on_written, &w);
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(w.written, 1);
    ck_assert_str_eq(world_read(&w, 'a'), "small=s;");
    world_close(&w);
    world_release(&w);
}
END_TEST

static void random_batch(struct world *w, struct rng *rng)
{
    static const uint8_t value[9000];

    for (uint64_t ops = rng_below(rng, 400); ops > 0; ops--) {
        uint64_t key = rng_below(rng, 300);
        size_t len = rng_below(rng, 3) > 0 ? 200 : rng_below(rng, 9000);

        if (rng_below(rng, 2) > 0) {
            kvfile_put(w->file, 'a', slice_of(&key, sizeof(key)),
                       slice_of(value, len));
        } else {
            kvfile_delete(w->file, 'a', slice_of(&key, sizeof(key)));
        }
    }
    kvfile_flush(w->file, NULL, NULL);
}

/* LMDB leaves the end of its file away where a batch has freed it again, as it
 * does with these seeds. That is no damage. */
static const uint64_t short_seeds[] = {62, 90, 265, 285};

START_TEST(end_that_was_freed_is_no_damage)
{
    struct world w;
    struct rng rng;

    world_init(&w);
    rng_init(&rng, short_seeds[_i]);
    for (uint64_t batches = 1 + rng_below(&rng, 8); batches > 0; batches--) {
        random_batch(&w, &rng);
    }
    world_close(&w);
    ck_assert_int_eq(world_open(&w), ST_OK);
    world_close(&w);
    world_release(&w);
}
END_TEST

UNIT_MAIN("kvfile", {
    tcase_add_test(tc, batches_survive_a_restart);
    tcase_add_test(tc, clear_empties_one_table);
    tcase_add_test(tc, long_keys_are_kept_apart);
    tcase_add_test(tc, renewed_but_never_begun_anew);
    tcase_add_test(tc, a_new_start_that_fails_is_made_up_for);
    tcase_add_test(tc, flipped_bit_is_noticed);
    tcase_add_loop_test(tc, damaged_files_are_refused, 0, COUNT_OF(damages));
    tcase_add_test(tc, full_file_fails_the_batch_only);
    tcase_add_loop_test(tc, end_that_was_freed_is_no_damage, 0,
                        COUNT_OF(short_seeds));
})
