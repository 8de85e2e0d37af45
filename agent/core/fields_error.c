/*
 * Words for what is wrong: file, line, subject, field.
 */
#include <stdarg.h>
#include <stdio.h>

#include "agent/core/fields.h"

/* 'service "web": check "up": ' and then 'ports[2].name: ' from the root
 * down. Recursion is as deep as the path, which the tables bound. */
static void path_write(const struct json_at *at, struct buf *out)
{
    if (at == NULL) {
        return;
    }
    path_write(at->up, out);
    if (at->subject != NULL) {
        if (out->len > 0 && out->data[out->len - 1] != ' ') {
            (void)buf_add_str(out, ": ");
        }
        (void)buf_addf(out, "%s: ", at->subject);
    } else if (at->key != NULL) {
        bool inner = out->len > 0 && out->data[out->len - 1] != ' ';

        (void)buf_addf(out, "%s%s", inner ? "." : "", at->key);
    } else if (at->up != NULL) {
        (void)buf_addf(out, "[%zu]", at->index);
    }
}

static const char *describe(struct field_reader *r, const struct json_at *at,
                            const char *text)
{
    struct buf path;
    const char *whole;
    const char *tail;

    buf_init(&path, sizeof(r->err->text));
    path_write(at, &path);
    (void)buf_add_u8(&path, '\0'); /* Cut at the limit is cut in the error. */
    tail = path.len > 1 && path.data[path.len - 2] != ' ' ? ": " : "";
    if (r->file != NULL && r->text.len > 0) {
        whole = arena_printf(r->arena, "%s:%u: %s%s%s", r->file,
                             json_where(r->text, at), (char *)path.data, tail,
                             text);
    } else {
        whole = arena_printf(r->arena, "%s%s%s", (char *)path.data, tail, text);
    }
    buf_release(&path);
    return whole;
}

enum status field_error(struct field_reader *r, const struct json_at *at,
                        const char *format, ...)
{
    char text[sizeof(r->err->text)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return err_set(r->err, ST_INVALID, "%s", describe(r, at, text));
}

void field_warn(struct field_reader *r, const struct json_at *at,
                const char *format, ...)
{
    struct field_warning *warning = arena_zalloc(r->arena, 1, sizeof(*warning));
    char text[sizeof(r->err->text)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    warning->text = describe(r, at, text);
    warning->next = r->warnings;
    r->warnings = warning;
}
