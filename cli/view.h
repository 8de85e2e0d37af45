/*
 * view.h - reading the agent's JSON for tables.
 *
 * Every reader accepts any JSON, so that a wrong answer gives a poor table,
 * never a crash.
 */
#pragma once

#include <jansson.h>

#include "cli/table.h"

enum view_health {
    VIEW_PASSING,
    VIEW_WARNING,
    VIEW_CRITICAL,
    VIEW_MAINTENANCE,
};

#define VIEW_HEALTH_COUNT 4

/* "" when it is absent or no string. */
const char *view_text(const json_t *object, const char *key);

/* 0 when it is absent or no number. */
long long view_number(const json_t *object, const char *key);

/* Flags of keys have 64 bits; jansson's integers 63 and a sign, and it refuses
 * what is beyond. Then integers of 19 digits and more become texts, sign
 * included. NULL: it is no document. */
json_t *view_load(struct slice text, json_error_t *out_error);

/* An integer of such a document in digits, a minus sign in front of a negative
 * one; "0" when it is absent or none. In the arena. */
const char *view_digits(struct arena *arena, const json_t *object,
                        const char *key);

/* The worst of a list of checks; with `service_id`, of those checks in it that
 * belong to this service or to the node. An empty list is passing. */
enum view_health view_health_of(const json_t *checks, const char *service_id);

const char *view_health_word(enum view_health health);
enum table_paint view_health_paint(enum view_health health);

/* "a, b" of an array of strings; "-" when it is empty. */
const char *view_join(struct arena *arena, const json_t *words);

/* "address:port", an IPv6 address in brackets; no port when it is 0. */
const char *view_endpoint(struct arena *arena, const char *address,
                          long long port);

/* The document, indented, on standard output. */
void view_print_json(const json_t *document);
