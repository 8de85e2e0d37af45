#include "store/io/file_disk.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "base/io/loop.h"
#include "scratch.h"
#include "suite.h"

struct fixture {
    char path[64];
    struct loop *loop;
    struct file_disk *disk;
    struct disk *port;
    unsigned committed;
    unsigned idle;
    enum status result;
};

static void on_committed(void *ctx, enum status result)
{
    struct fixture *f = ctx;

    f->committed++;
    f->result = result;
    loop_stop(f->loop);
}

static void on_idle(void *ctx)
{
    struct fixture *f = ctx;

    f->idle++;
    loop_stop(f->loop);
}

static void setup(struct fixture *f)
{
    struct file_disk_config config;
    struct err err = {""};

    *f = (struct fixture){.loop = loop_new()};
    scratch_make(f->path);
    config = (struct file_disk_config){.loop = f->loop,
                                       .path = f->path,
                                       .on_committed = on_committed,
                                       .on_idle = on_idle,
                                       .ctx = f};
    ck_assert_msg(file_disk_new(&config, &f->disk, &err) == ST_OK, "%s",
                  err.text);
    f->port = file_disk_port(f->disk);
}

static void teardown(struct fixture *f)
{
    file_disk_free(f->disk);
    loop_free(f->loop);
    scratch_remove(f->path);
}

START_TEST(what_is_committed_is_there_when_opened_again)
{
    struct fixture f;
    struct disk_file *file;
    uint8_t bytes[8];
    uint64_t size;
    bool later;

    setup(&f);
    ck_assert_int_eq(f.port->create(f.port, "1.wal", 4096, &file), ST_OK);
    ck_assert_int_eq(
        f.port->commit(f.port, file, 100, slice_str("hello"), &later), ST_OK);
    ck_assert(!later);
    f.port->close(f.port, file);

    ck_assert_int_eq(f.port->open(f.port, "1.wal", &file, &size), ST_OK);
    ck_assert_uint_eq(size, 4096);
    ck_assert_int_eq(f.port->read(f.port, file, 99, bytes, 7), ST_OK);
    ck_assert_mem_eq(bytes, "\0hello\0", 7);
    ck_assert_int_eq(f.port->read(f.port, file, 4090, bytes, 8), ST_TRUNCATED);
    f.port->close(f.port, file);
    teardown(&f);
}
END_TEST

START_TEST(files_are_private_and_really_allocated)
{
    struct fixture f;
    struct disk_file *file;
    char path[128];
    struct stat info;

    setup(&f);
    ck_assert_int_eq(f.port->create(f.port, "1.wal", 1 << 20, &file), ST_OK);
    f.port->close(f.port, file);
    (void)snprintf(path, sizeof(path), "%s/1.wal", f.path);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0600);
    ck_assert_int_ge(info.st_blocks * 512, 1 << 20);
    teardown(&f);
}
END_TEST

START_TEST(a_file_made_ahead_appears_under_its_name)
{
    struct fixture f;
    struct disk_file *file;
    uint64_t size;

    setup(&f);
    ck_assert_int_eq(f.port->open(f.port, "2.spare", &file, &size),
                     ST_NOT_FOUND);
    f.port->prepare(f.port, "2.spare", 1 << 20);
    loop_run(f.loop);
    ck_assert_uint_eq(f.idle, 1);
    ck_assert_int_eq(f.port->open(f.port, "2.spare", &file, &size), ST_OK);
    ck_assert_uint_eq(size, 1 << 20);
    f.port->close(f.port, file);
    ck_assert_int_eq(f.port->rename(f.port, "2.spare", "2.wal"), ST_OK);
    ck_assert_int_eq(f.port->sync_folder(f.port), ST_OK);
    ck_assert_int_eq(f.port->remove(f.port, "2.wal"), ST_OK);
    ck_assert_int_eq(f.port->remove(f.port, "2.wal"), ST_NOT_FOUND);
    teardown(&f);
}
END_TEST

/* As good as a full disk: the system refuses to write further. */
START_TEST(a_refused_write_is_told_with_the_files_name)
{
    struct fixture f;
    struct disk_file *file;
    struct rlimit before;
    struct rlimit tight;
    bool later;
    enum status st;

    setup(&f);
    ck_assert_int_eq(f.port->create(f.port, "1.wal", 4096, &file), ST_OK);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = (struct rlimit){.rlim_cur = 8192, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    st = f.port->commit(f.port, file, 8192, slice_str("hello"), &later);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(st, ST_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(file_disk_error(f.disk)->text, "1.wal"));
    f.port->close(f.port, file);
    teardown(&f);
}
END_TEST

static void count_name(void *ctx, const char *name)
{
    unsigned *count = ctx;

    ck_assert(strcmp(name, "a") == 0 || strcmp(name, "b") == 0);
    (*count)++;
}

START_TEST(files_are_listed)
{
    struct fixture f;
    struct disk_file *file;
    unsigned count = 0;

    setup(&f);
    ck_assert_int_eq(f.port->create(f.port, "a", 1, &file), ST_OK);
    f.port->close(f.port, file);
    ck_assert_int_eq(f.port->create(f.port, "b", 1, &file), ST_OK);
    f.port->close(f.port, file);
    ck_assert_int_eq(f.port->list(f.port, count_name, &count), ST_OK);
    ck_assert_uint_eq(count, 2);
    teardown(&f);
}
END_TEST

UNIT_MAIN("file_disk", {
    tcase_add_test(tc, what_is_committed_is_there_when_opened_again);
    tcase_add_test(tc, files_are_private_and_really_allocated);
    tcase_add_test(tc, a_file_made_ahead_appears_under_its_name);
    tcase_add_test(tc, a_refused_write_is_told_with_the_files_name);
    tcase_add_test(tc, files_are_listed);
})
