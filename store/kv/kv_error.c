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

enum kv_error kv_error_of_text(struct slice text)
{
    while (text.len > 0 && (text.data[text.len - 1] == '\n' ||
                            text.data[text.len - 1] == ' ')) {
        text.len--;
    }
    for (enum kv_error e = KV_MALFORMED; e <= KV_DAMAGED; e++) {
        if (slice_eq(text, slice_str(kv_error_text(e)))) {
            return e;
        }
    }
    return KV_OK;
}
