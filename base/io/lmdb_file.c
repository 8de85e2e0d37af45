#include "base/io/lmdb_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int lmdb_file_fill(MDB_env *env)
{
    MDB_envinfo info;
    MDB_stat stat_of_env;
    mdb_filehandle_t fd;
    struct stat file;
    off_t wanted;
    int error = mdb_env_info(env, &info);

    error = error ? error : mdb_env_stat(env, &stat_of_env);
    error = error ? error : mdb_env_get_fd(env, &fd);
    if (error) {
        return error;
    }
    wanted = (off_t)(info.me_last_pgno + 1) * (off_t)stat_of_env.ms_psize;
    if (fstat(fd, &file) || (file.st_size < wanted && ftruncate(fd, wanted))) {
        return errno;
    }
    return 0;
}

/* proc(5): "from-to rights offset major:minor inode path". */
static bool is_map_of(const char *line, const struct stat *file,
                      struct lmdb_map *out_map)
{
    uintptr_t from;
    uintptr_t to;
    unsigned major_of;
    unsigned minor_of;
    uint64_t inode;

    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %x:%x %" SCNu64, &from,
               &to, &major_of, &minor_of, &inode) != 5 ||
        makedev(major_of, minor_of) != file->st_dev || inode != file->st_ino ||
        to <= from) {
        return false;
    }
    *out_map = (struct lmdb_map){.at = (void *)from, .len = to - from};
    return true;
}

void lmdb_file_map(MDB_env *env, struct lmdb_map *out_map)
{
    char line[512];
    mdb_filehandle_t fd;
    struct stat file;
    FILE *maps;

    *out_map = (struct lmdb_map){0};
    if (mdb_env_get_fd(env, &fd) || fstat(fd, &file)) {
        return;
    }
    maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) {
        return;
    }
    while (fgets(line, sizeof(line), maps) != NULL &&
           !is_map_of(line, &file, out_map)) {
    }
    (void)fclose(maps);
}

void lmdb_map_release(const struct lmdb_map *map)
{
    if (map->len > 0) {
        (void)madvise(map->at, map->len, MADV_DONTNEED);
    }
}
