/*
 * files.h - sidecar files given on a command line.
 */
#pragma once

#include "agent/core/definition.h"

/* Read and parse one file; "-" is standard input. ST_NOT_FOUND or ST_IO: it
 * cannot be read; others as definitions_parse(). `err` always names the file.
 */
enum status files_load(const char *path, struct definitions **out_definitions,
                       struct err *err);

/* Call `visit` with `path`, or, when it is a folder, with each *.json of it in
 * name order. Stops at a visit that does not return ST_OK and returns that. */
typedef enum status files_visit_fn(const char *path, void *arg,
                                   struct err *err);
enum status files_each(const char *path, files_visit_fn *visit, void *arg,
                       struct err *err);
