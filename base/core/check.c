#include "base/core/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "muster: %s:%d: CHECK failed: %s\n", file, line, what);
    abort();
}
