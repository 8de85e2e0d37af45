#include "dns/io/serial_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dns/io/server.h"

static enum status fail(struct err *err, const char *path)
{
    return err_set(err, ST_IO, "%s: %s", path, strerror(errno));
}

enum status serial_file_write(const char *path, uint32_t serial,
                              struct err *err)
{
    char temporary[4200];
    char text[16];
    int len = snprintf(text, sizeof(text), "%u\n", serial);
    bool good;
    int fd;

    (void)snprintf(temporary, sizeof(temporary), "%s.new", path);
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return fail(err, temporary);
    }
    good = write(fd, text, (size_t)len) == len && fsync(fd) == 0;
    good = close(fd) == 0 && good;
    return good && rename(temporary, path) == 0 ? ST_OK : fail(err, path);
}

bool serial_file_read(const char *path, uint32_t *out_serial)
{
    char text[16] = {0};
    char *end;
    unsigned long value;
    ssize_t len;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    len = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    if (len <= 0 || text[0] < '0' || text[0] > '9') {
        return false;
    }
    value = strtoul(text, &end, 10);
    if (*end != '\n' || value > UINT32_MAX) {
        return false;
    }
    *out_serial = (uint32_t)value;
    return true;
}

bool dns_transfer_serial(const char *path, uint32_t *out_serial)
{
    return serial_file_read(path, out_serial);
}
