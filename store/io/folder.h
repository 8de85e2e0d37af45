/*
 * folder.h - folders that survive a power cut, and who has one open.
 */
#pragma once

#include <stddef.h>

#include "base/core/err.h"

/* Make a folder (mode 0700) and its missing parents, durably. One that is there
 * is fine. */
enum status folder_make(const char *path, struct err *err);

/* Make the names in it durable. */
enum status folder_sync(const char *path, struct err *err);

/* Remove a folder with all files in it; folders in it are not expected. One
 * that is not there is fine. */
enum status folder_remove(const char *path, struct err *err);

/* Remove a folder with nothing in it. One that is not there is fine. */
enum status folder_remove_empty(const char *path, struct err *err);

/* The folder that `path` is in: "." or "/" at the least. */
void folder_parent(const char *path, char *out_parent, size_t size);

/* Give a folder its place, durably, unless there is something already
 * (ST_EXISTS). */
enum status folder_publish(const char *path, const char *place,
                           struct err *err);

/* Keep other processes out: the lock lasts until the descriptor is closed or
 * the process ends. ST_BUSY: another process has it. */
enum status folder_lock(const char *path, int *out_fd, struct err *err);
