#include "agent/io/access.h"

#include <stdlib.h>

#include "base/core/check.h"

struct access {
    struct acl *table;
    struct arena arena; /* Of the following. */
    struct texts hosts;
    const struct network *writers;
    size_t writers_count;
    uint64_t seen; /* Generation of the table. */
    bool heard;
};

static struct texts copy_texts(struct arena *a, struct texts texts)
{
    const char **items = arena_zalloc(a, texts.count, sizeof(*items));

    for (size_t i = 0; i < texts.count; i++) {
        items[i] = arena_strdup(a, slice_str(texts.items[i]));
    }
    return (struct texts){.items = items, .count = texts.count};
}

void access_configure(struct access *a, const struct agent_config *config)
{
    struct network *writers;

    acl_configure(a->table, &config->acl);
    arena_release(&a->arena);
    a->hosts = copy_texts(&a->arena, config->hosts);
    writers = arena_zalloc(&a->arena, config->writers_count, sizeof(*writers));
    for (size_t i = 0; i < config->writers_count; i++) {
        writers[i] = config->writers[i];
    }
    a->writers = writers;
    a->writers_count = config->writers_count;
}

struct access *access_new(const struct agent_config *config)
{
    struct access *a = calloc(1, sizeof(*a));

    CHECK(a != NULL);
    a->table = acl_new(config->datacenter);
    access_configure(a, config);
    return a;
}

void access_free(struct access *a)
{
    if (!a) {
        return;
    }
    acl_free(a->table);
    arena_release(&a->arena);
    free(a);
}

bool access_news(struct access *a)
{
    uint64_t now = acl_generation(a->table);
    bool news = now != a->seen;

    a->seen = now;
    return news && acl_enabled(a->table);
}

void access_heard(struct access *a)
{
    a->heard = true;
}

enum status access_file(struct access *a, const struct definitions *defs,
                        struct err *err)
{
    for (size_t i = 0; i < definitions_services_count(defs); i++) {
        const struct service_def *s = definitions_service(defs, i);
        struct acl_auth auth;

        if (acl_for_file(a->table, s->token, &auth) == ACL_UNKNOWN_TOKEN) {
            if (!a->heard) {
                continue; /* The store may know it. */
            }
            return err_set(err, ST_DENIED,
                           "service \"%.128s\": its token is not known "
                           "(ACL not found)",
                           s->id);
        }
        if (!acl_may(&auth, ACL_SERVICE, s->name, ACL_WRITE)) {
            return err_set(err, ST_DENIED,
                           "service \"%.128s\": Permission denied: token with "
                           "AccessorID '%s' lacks permission 'service:write'",
                           s->id, auth.accessor);
        }
    }
    return ST_OK;
}

struct acl *access_table(struct access *a)
{
    return a->table;
}

void access_view(struct access *a, struct api_view *view)
{
    view->acl = a->table;
    view->hosts = a->hosts;
    view->writers = a->writers;
    view->writers_count = a->writers_count;
}
