/*
 * ui.h - the files of the web page, as they were when the program was built.
 */
#pragma once

#include "base/core/bytes.h"

struct ui_file {
    const char *name;
    const char *type; /* As of a Content-Type header. */
    struct slice content;
};

/* NULL: there is none of this name. "" is the page itself. */
const struct ui_file *ui_find(const char *name);
