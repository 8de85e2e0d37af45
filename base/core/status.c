#include "base/core/status.h"

#include "base/core/check.h"

const char *status_text(enum status st)
{
    switch (st) {
#define X(name, text) \
    case name:        \
        return text;
        STATUS_LIST(X)
#undef X
    }
    UNREACHABLE();
}
