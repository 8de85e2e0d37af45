/*
 * Requests to the HTTP API, with any path and body: transactions of keys,
 * registrations, sessions, policies. Whatever is asked of an agent and its
 * store, the outcome is a reply with a status and, where it says so, JSON; a
 * refusal has words; and the catalogue can read all that was written.
 *
 * An input is a line "METHOD /path?query" and a body; "\n%\n" begins the second
 * request of two, in which '$' is the ID that the first was answered with.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/check.h"
#include "fuzz.h"
#include "tests/unit/agent_core/fake_store.h"

#define INPUT_MAX 1536 /* So that the fake store is never full. */

static const char *header_of(const struct api_outcome *o, const char *name)
{
    for (size_t i = 0; i < o->headers_count; i++) {
        if (strcmp(o->headers[i].name, name) == 0) {
            return o->headers[i].value;
        }
    }
    return "";
}

/* Keeps the reply's ID for the next request. */
static void look_at_json(const struct api_outcome *o, char *id, size_t id_len)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)o->body.data, o->body.len,
                              JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    const char *found;

    CHECK(json != NULL);
    found = json_string_value(json_object_get(json, "ID"));
    if (found) {
        (void)snprintf(id, id_len, "%s", found);
    }
    json_decref(json);
}

static void look_at(const struct api_outcome *o, char *id, size_t id_len)
{
    if (o->kind != API_REPLY) {
        return;
    }
    CHECK(o->status >= 200 && o->status < 600);
    /* A key that is not there is a 404 without a word, as Consul's. */
    CHECK(o->status < 400 || o->status == 404 || o->body.len > 0);
    if (o->body.len > 0 &&
        strcmp(header_of(o, "Content-Type"), "application/json") == 0) {
        look_at_json(o, id, id_len);
    }
}

/* With `id` in place of each '$'. */
static char *text_of(struct slice from, const char *id)
{
    struct buf out;
    char *text;

    buf_init(&out, 256 * 1024);
    for (size_t i = 0; i < from.len; i++) {
        bool is_id = from.data[i] == '$' && id[0] != '\0';

        CHECK((is_id ? buf_add_str(&out, id)
                     : buf_add_u8(&out, from.data[i])) == ST_OK);
    }
    text = strndup(out.len ? (const char *)out.data : "", out.len);
    CHECK(text != NULL);
    buf_release(&out);
    return text;
}

static void ask(struct fake *f, struct slice request, char *id, size_t id_len)
{
    char *line = text_of(request, id);
    char *end = strchr(line, '\n');
    char *blank = strchr(line, ' ');
    struct api_outcome o;

    if (end && blank && blank < end && blank[1] == '/') {
        *end = '\0';
        fake_ask(f, line, end + 1, &o);
        look_at(&o, id, id_len);
        api_outcome_release(&o);
        (void)fake_settle(f);
    }
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char between[] = "\n%\n";
    struct slice first = slice_of(data, size);
    struct slice second = {0};
    const uint8_t *at;
    char id[64] = "";
    struct fake f;

    if (size == 0 || size > INPUT_MAX) {
        return 0;
    }
    at = memmem(data, size, between, strlen(between));
    if (at) {
        first.len = (size_t)(at - data);
        second = slice_skip(slice_of(data, size), first.len + strlen(between));
    }
    fake_start(&f);
    ask(&f, first, id, sizeof(id));
    if (second.len > 0) {
        ask(&f, second, id, sizeof(id));
    }
    fake_stop(&f);
    return 0;
}
