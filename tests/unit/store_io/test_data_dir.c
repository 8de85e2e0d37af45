#include "store/io/data_dir.h"

#include <sys/stat.h>

#include "scratch.h"
#include "suite.h"

START_TEST(a_directory_is_locked_and_recognised)
{
    struct arena arena = {0};
    struct data_dir dir;
    struct data_dir other;
    struct err err = {""};
    char path[64];

    scratch_make(path);
    ck_assert_msg(data_dir_open(&arena, path, &dir, &err) == ST_OK, "%s",
                  err.text);
    ck_assert_int_eq(data_dir_open(&arena, path, &other, &err), ST_BUSY);
    ck_assert_ptr_nonnull(strstr(err.text, "in use by another process"));
    data_dir_close(&dir);
    ck_assert_int_eq(data_dir_open(&arena, path, &dir, &err), ST_OK);
    data_dir_close(&dir);
    arena_release(&arena);
    scratch_remove(path);
}
END_TEST

static const struct {
    const char *name;
    const char *format;
    const char *message;
} foreign[] = {
    {"a later version", "muster store 2\n", "written by a later version"},
    {"something else", "elephants", "not a muster store's data"},
    {"nothing", "", "not a muster store's data"},
};

START_TEST(what_others_wrote_is_refused)
{
    struct arena arena = {0};
    struct data_dir dir;
    struct err err = {""};
    char path[64];
    char name[128];
    FILE *file;

    scratch_make(path);
    (void)snprintf(name, sizeof(name), "%s/member", path);
    ck_assert_int_eq(mkdir(name, 0700), 0);
    (void)snprintf(name, sizeof(name), "%s/member/format", path);
    file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(foreign[_i].format, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_msg(data_dir_open(&arena, path, &dir, &err) == ST_INVALID, "%s",
                  foreign[_i].name);
    ck_assert_ptr_nonnull(strstr(err.text, foreign[_i].message));
    arena_release(&arena);
    scratch_remove(path);
}
END_TEST

START_TEST(the_data_of_etcd_is_not_touched)
{
    struct arena arena = {0};
    struct data_dir dir;
    struct err err = {""};
    char path[64];
    char name[128];

    scratch_make(path);
    (void)snprintf(name, sizeof(name), "%s/member", path);
    ck_assert_int_eq(mkdir(name, 0700), 0);
    (void)snprintf(name, sizeof(name), "%s/member/snap", path);
    ck_assert_int_eq(mkdir(name, 0700), 0);
    ck_assert_int_eq(data_dir_open(&arena, path, &dir, &err), ST_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "the data of etcd itself"));
    arena_release(&arena);
    scratch_remove(path);
}
END_TEST

UNIT_MAIN("data_dir", {
    tcase_add_test(tc, a_directory_is_locked_and_recognised);
    tcase_add_loop_test(tc, what_others_wrote_is_refused, 0, COUNT_OF(foreign));
    tcase_add_test(tc, the_data_of_etcd_is_not_touched);
})
