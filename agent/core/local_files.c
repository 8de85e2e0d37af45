/*
 * Sidecar files: what each had defined, and what is wrong with it.
 */
#include <stdlib.h>

#include "agent/core/local_model.h"
#include "base/core/check.h"

static void file_free(struct shared *shared)
{
    struct file_entry *f = (struct file_entry *)shared;

    definitions_unref(f->defs);
    free(f->fault);
    free(f);
}

static struct file_entry *file_entry(struct local *l, const char *path)
{
    struct file_entry *f =
        (struct file_entry *)pmap_get(&l->files, slice_str(path));
    size_t len = strlen(path);

    if (f == NULL) {
        f = calloc(1, sizeof(*f) + len + 1);
        CHECK(f != NULL);
        memcpy(f->path, path, len + 1);
        shared_init(&f->shared, file_free);
        pmap_put(&l->files, slice_str(path), &f->shared);
    }
    return f;
}

static bool defines_check(const struct definitions *d, const char *id)
{
    for (size_t i = 0; d != NULL && i < definitions_checks_count(d); i++) {
        if (strcmp(definitions_check(d, i)->id, id) == 0) {
            return true;
        }
    }
    return false;
}

static enum status accept_file(const struct local *l, const char *file,
                               const struct definitions *defs, struct err *err)
{
    bool exec = l->host.exec_from_files;
    enum status st = ST_OK;

    for (size_t i = 0; i < definitions_services_count(defs) && !st; i++) {
        st = local_accept_service(l, file, definitions_service(defs, i),
                                  LOCAL_KEEP_CHECKS, err);
    }
    for (size_t i = 0; i < definitions_checks_count(defs) && !st; i++) {
        st = local_accept_check(l, file, definitions_check(defs, i), defs, exec,
                                err);
    }
    return st ? err_prefix(err, st, "%s", file) : ST_OK;
}

/* Whatever `old` defined and `next` does not. `next` may be NULL. */
static void drop_undefined(struct local *l, const char *file,
                           const struct definitions *old,
                           const struct definitions *next)
{
    for (size_t i = 0; i < definitions_checks_count(old); i++) {
        const char *id = definitions_check(old, i)->id;
        struct chk *c = local_chk(l, id);

        if (c != NULL && local_same_file(c->file, file) &&
            !defines_check(next, id)) {
            local_remove_check(l, c);
        }
    }
    for (size_t i = 0; i < definitions_services_count(old); i++) {
        const char *id = definitions_service(old, i)->id;
        struct svc *s = local_svc(l, id);

        if (s != NULL && local_same_file(s->file, file) &&
            !local_defines(next, id)) {
            local_remove_service(l, s);
        }
    }
}

enum status local_load_file(struct local *l, const char *file,
                            struct definitions *defs, struct local_time now,
                            struct err *err)
{
    enum status st = accept_file(l, file, defs, err);
    struct file_entry *f;

    if (st) {
        return st;
    }
    f = file_entry(l, file);
    if (f->defs != NULL) {
        drop_undefined(l, file, f->defs, defs);
    }
    for (size_t i = 0; i < definitions_services_count(defs); i++) {
        local_put_service(l, definitions_service(defs, i), defs, file,
                          LOCAL_KEEP_CHECKS, now);
    }
    for (size_t i = 0; i < definitions_checks_count(defs); i++) {
        local_put_check(l, definitions_check(defs, i), defs, file, false, now);
    }
    (void)definitions_ref(defs);
    definitions_unref(f->defs);
    f->defs = defs;
    free(f->fault);
    f->fault = NULL;
    return ST_OK;
}

void local_forget_file(struct local *l, const char *file, struct local_time now)
{
    struct file_entry *f =
        (struct file_entry *)pmap_get(&l->files, slice_str(file));

    (void)now;
    if (f == NULL) {
        return;
    }
    if (f->defs != NULL) {
        drop_undefined(l, file, f->defs, NULL);
    }
    (void)pmap_remove(&l->files, slice_str(file));
}

bool local_file_fault(struct local *l, const char *file, const char *text)
{
    struct file_entry *f = file_entry(l, file);

    if (f->fault != NULL && strcmp(f->fault, text) == 0) {
        return false;
    }
    free(f->fault);
    f->fault = strdup(text);
    CHECK(f->fault != NULL);
    return true;
}

struct fault_visit {
    local_fault_fn fn;
    void *ctx;
};

static bool visit_fault(void *ctx, struct slice key, struct shared *value)
{
    const struct fault_visit *v = ctx;
    const struct file_entry *f = (struct file_entry *)value;

    (void)key;
    if (f->fault != NULL) {
        v->fn(v->ctx, f->path, f->fault);
    }
    return true;
}

void local_each_fault(const struct local *l, local_fault_fn fn, void *ctx)
{
    struct fault_visit v = {.fn = fn, .ctx = ctx};

    pmap_each(&l->files, (struct slice){0}, visit_fault, &v);
}
