#include "store/kv/table.h"

#include "base/core/check.h"

const char *table_name(enum table_id id)
{
    static const char *const names[] = {
#define X(name, text) text,
        TABLE_LIST(X)
#undef X
    };

    CHECK((unsigned)id < TABLES_COUNT);
    return names[id];
}
