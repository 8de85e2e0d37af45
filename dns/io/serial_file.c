#include "dns/io/serial_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io/whole_file.h"
#include "dns/io/server.h"

enum status serial_file_write(const char *path, uint32_t serial,
                              struct err *err)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u\n", serial);
    return whole_file_write(path, 0644, slice_str(text), err);
}

bool dns_transfer_serial(const char *path, uint32_t *out_serial)
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
