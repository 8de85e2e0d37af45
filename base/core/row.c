#include "base/core/row.h"

#include <stdlib.h>

#include "base/core/check.h"

#define ROW_MIN 16

void *row_room(void *list, size_t *cap, size_t count, size_t element_bytes)
{
    CHECK(count <= *cap);
    if (count < *cap) {
        return list;
    }
    *cap = *cap == 0 ? ROW_MIN : *cap * 2;
    list = reallocarray(list, *cap, element_bytes);
    CHECK(list != NULL);
    return list;
}
