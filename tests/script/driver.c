#include "tests/script/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/check.h"

enum {
    LINE_MAX_BYTES = 2048,
    SCRIPT_MAX_BYTES = 1 << 22
};

/* Copies the script to `result` with every output as it comes out now. */
static void run_script(const struct script_player *player, FILE *in,
                       struct buf *result)
{
    char line[LINE_MAX_BYTES];
    struct buf out;
    bool skipping = false;
    void *run;

    buf_init(&out, 1 << 20);
    run = player->begin(&out);
    while (fgets(line, sizeof(line), in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (skipping && line[0] != '\0') {
            continue;
        }
        skipping = strcmp(line, "----") == 0;
        CHECK(buf_addf(result, "%s\n", line) == ST_OK);
        if (skipping) {
            CHECK(buf_add(result, buf_slice(&out)) == ST_OK);
            buf_clear(&out);
        } else if (line[0] != '\0' && line[0] != '#') {
            player->command(run, line);
        }
    }
    player->end(run);
    buf_release(&out);
}

static bool check_file(const struct script_player *player, const char *path,
                       bool rewrite)
{
    struct buf result;
    struct buf before;
    FILE *file = fopen(path, "r");
    uint8_t *space;
    bool same;

    if (file == NULL) {
        perror(path);
        return false;
    }
    buf_init(&result, SCRIPT_MAX_BYTES);
    buf_init(&before, SCRIPT_MAX_BYTES);
    run_script(player, file, &result);
    rewind(file);
    CHECK(buf_reserve(&before, SCRIPT_MAX_BYTES - 1, &space) == ST_OK);
    before.len = fread(space, 1, SCRIPT_MAX_BYTES - 1, file);
    (void)fclose(file);
    same = slice_eq(buf_slice(&before), buf_slice(&result));
    if (!same && rewrite) {
        file = fopen(path, "w");
        CHECK(file != NULL);
        CHECK(fwrite(result.data, 1, result.len, file) == result.len);
        CHECK(fclose(file) == 0);
        printf("%s: rewritten\n", path);
    } else if (!same) {
        printf("%s: comes out differently:\n%s", path, buf_cstr(&result));
    }
    buf_release(&before);
    buf_release(&result);
    return same || rewrite;
}

int script_main(int argc, char **argv, const struct script_player *player)
{
    bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    bool ok = true;

    for (int i = rewrite ? 2 : 1; i < argc; i++) {
        ok = check_file(player, argv[i], rewrite) && ok;
    }
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
