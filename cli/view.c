#include "cli/view.h"

#include <limits.h>

#include <stdio.h>
#include <string.h>

#include "base/core/check.h"

const char *view_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

long long view_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_real(value)) {
        double real = json_real_value(value);

        return real >= 0x1p63 ? LLONG_MAX : (long long)real;
    }
    return json_integer_value(value);
}

static enum view_health health_of_one(const json_t *check)
{
    const char *status = view_text(check, "Status");
    const char *id = view_text(check, "CheckID");

    if (strcmp(id, "_node_maintenance") == 0 ||
        strncmp(id, "_service_maintenance:", 21) == 0) {
        return VIEW_MAINTENANCE;
    }
    if (strcmp(status, "passing") == 0) {
        return VIEW_PASSING;
    }
    return strcmp(status, "warning") == 0 ? VIEW_WARNING : VIEW_CRITICAL;
}

enum view_health view_health_of(const json_t *checks, const char *service_id)
{
    enum view_health worst = VIEW_PASSING;
    const json_t *check;
    size_t i;

    json_array_foreach(checks, i, check)
    {
        const char *owner = view_text(check, "ServiceID");
        enum view_health health = health_of_one(check);

        if (service_id != NULL && *owner != '\0' &&
            strcmp(owner, service_id) != 0) {
            continue;
        }
        if (health > worst) {
            worst = health;
        }
    }
    return worst;
}

const char *view_health_word(enum view_health health)
{
    switch (health) {
    case VIEW_PASSING:
        return "passing";
    case VIEW_WARNING:
        return "warning";
    case VIEW_CRITICAL:
        return "critical";
    case VIEW_MAINTENANCE:
        return "maintenance";
    }
    UNREACHABLE();
}

enum table_paint view_health_paint(enum view_health health)
{
    switch (health) {
    case VIEW_PASSING:
        return TABLE_GOOD;
    case VIEW_WARNING:
    case VIEW_MAINTENANCE:
        return TABLE_FAIR;
    case VIEW_CRITICAL:
        return TABLE_BAD;
    }
    UNREACHABLE();
}

const char *view_join(struct arena *arena, const json_t *words)
{
    const char *joined = "";
    const json_t *word;
    size_t i;

    json_array_foreach(words, i, word)
    {
        const char *text = json_string_value(word);

        joined = arena_printf(arena, "%s%s%s", joined, i > 0 ? ", " : "",
                              text ? text : "?");
    }
    return *joined ? joined : "-";
}

const char *view_endpoint(struct arena *arena, const char *address,
                          long long port)
{
    if (*address == '\0' || port == 0) {
        return *address ? address : "-";
    }
    return strchr(address, ':') != NULL
               ? arena_printf(arena, "[%s]:%lld", address, port)
               : arena_printf(arena, "%s:%lld", address, port);
}

void view_print_json(const json_t *document)
{
    (void)json_dumpf(document, stdout,
                     JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    (void)putchar('\n');
}
