#include "store/kv/kv_error.h"

#include "base/core/check.h"

int kv_error_code(enum kv_error e)
{
    static const int codes[] = {
#define X(name, code, text) code,
        KV_ERROR_LIST(X)
#undef X
    };

    CHECK((unsigned)e < sizeof(codes) / sizeof(codes[0]));
    return codes[e];
}

const char *kv_error_text(enum kv_error e)
{
    static const char *const texts[] = {
#define X(name, code, text) text,
        KV_ERROR_LIST(X)
#undef X
    };

    CHECK((unsigned)e < sizeof(texts) / sizeof(texts[0]));
    return texts[e];
}
