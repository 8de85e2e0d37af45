/*
 * serial_file.h - a serial of the zone that is not the store's, kept. It is
 * read again by dns_transfer_serial() (server.h).
 */
#pragma once

#include <stdint.h>

#include "base/core/err.h"

/* On disk when it returns; whole or not at all. ST_IO. */
enum status serial_file_write(const char *path, uint32_t serial,
                              struct err *err);
