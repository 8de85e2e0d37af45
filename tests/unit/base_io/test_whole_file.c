/* Small files that are there whole or not at all. */
#include "base/io/whole_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

static char folder[64];

static void begin(void)
{
    strcpy(folder, "/tmp/muster-whole-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void end(void)
{
    ck_assert_int_eq(rmdir(folder), 0); /* Nothing else was left there. */
}

static const char *path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

START_TEST(it_takes_the_place_of_what_was_there)
{
    static const char *const texts[] = {"first", "", "the third"};
    const char *path = path_of("file");
    struct err err = {0};
    struct stat info;

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char text[32] = "";
        FILE *file;

        ck_assert_msg(whole_file_write(path, 0600, slice_str(texts[i]), &err) ==
                          ST_OK,
                      "%s", err.text);
        file = fopen(path, "r");
        ck_assert_ptr_nonnull(file);
        ck_assert_uint_eq(fread(text, 1, sizeof(text) - 1, file),
                          strlen(texts[i]));
        ck_assert_int_eq(fclose(file), 0);
        ck_assert_str_eq(text, texts[i]);
    }
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(what_cannot_be_is_said)
{
    char place[160];
    struct err err = {0};

    ck_assert_int_eq(
        whole_file_write(path_of("none/file"), 0600, slice_str("x"), &err),
        ST_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "none/file"));
    ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
    /* Where it should be is a folder. */
    (void)snprintf(place, sizeof(place), "%s", path_of("place"));
    ck_assert_int_eq(mkdir(place, 0700), 0);
    ck_assert_int_eq(whole_file_write(place, 0600, slice_str("x"), &err),
                     ST_IO);
    ck_assert_ptr_nonnull(strstr(err.text, place));
    ck_assert_int_eq(rmdir(place), 0);
}
END_TEST

UNIT_MAIN("whole_file", {
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, it_takes_the_place_of_what_was_there);
    tcase_add_test(tc, what_cannot_be_is_said);
})
