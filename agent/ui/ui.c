#include "agent/ui/ui.h"

#include <string.h>

/* Made from the files of this folder; see contrib/dev/cmake/embed.cmake. */
#include "agent/ui/ui_content.h"

#define CONTENT(bytes)                        \
    {                                         \
        .data = (bytes), .len = sizeof(bytes) \
    }

static const struct ui_file files[] = {
    {"", "text/html; charset=utf-8", CONTENT(ui_index_html)},
    {"index.html", "text/html; charset=utf-8", CONTENT(ui_index_html)},
    {"app.js", "text/javascript; charset=utf-8", CONTENT(ui_app_js)},
    {"style.css", "text/css; charset=utf-8", CONTENT(ui_style_css)},
    {"icon.svg", "image/svg+xml", CONTENT(ui_icon_svg)},
};

const struct ui_file *ui_find(const char *name)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(name, files[i].name) == 0) {
            return &files[i];
        }
    }
    return NULL;
}
