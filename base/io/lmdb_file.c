#include "base/io/lmdb_file.h"

#include <errno.h>
#include <sys/stat.h>
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
