/*
 * The web page: its files, and the way to it.
 */
#include "agent/core/api_model.h"
#include "agent/ui/ui.h"
#include "base/core/check.h"

/* The page asks nobody but this agent, is shown in no other page, and runs no
 * script but its own. */
#define POLICY                                                          \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src " \
    "'self'; "                                                          \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "         \
    "frame-ancestors 'none'"

void api_ui_start(struct api_call *call)
{
    api_header(call, "Location", "/ui/");
    api_text(call, 307, "See /ui/");
}

void api_ui(struct api_call *call)
{
    const struct ui_file *file = ui_find(call->rest);

    if (file == NULL) {
        api_text(call, 404, "No such file; the page is at /ui/");
        return;
    }
    api_done(call);
    api_header(call, "Content-Type", file->type);
    api_header(call, "Content-Security-Policy", POLICY);
    api_header(call, "X-Content-Type-Options", "nosniff");
    api_header(call, "Referrer-Policy", "no-referrer");
    api_header(call, "Cache-Control", "no-cache");
    CHECK(buf_add(&call->outcome->body, file->content) == ST_OK);
}
