/*
 * What stands behind the "?" and in encoded parts of the path.
 */
#include <strings.h>

#include "agent/core/api_model.h"
#include "base/core/check.h"

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

const char *api_decode(struct arena *a, struct slice text, bool plus_is_blank)
{
    char *out = arena_alloc(a, text.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.data[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.data[i + 2]) : -1;

            if (high < 0 || low < 0) {
                return NULL;
            }
            c = (uint8_t)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (c == '\0') {
            return NULL;
        }
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return out;
}

static bool read_param(struct api_call *call, struct slice text)
{
    const uint8_t *equals = memchr(text.data, '=', text.len);
    size_t key_len = equals == NULL ? text.len : (size_t)(equals - text.data);
    struct slice value =
        equals == NULL ? (struct slice){0} : slice_skip(text, key_len + 1);
    struct pair *p;

    if (call->params_count == API_PARAMS_MAX) {
        api_text(call, 400, "More than %d parameters", API_PARAMS_MAX);
        return false;
    }
    p = &call->params[call->params_count];
    p->key = api_decode(call->arena, slice_of(text.data, key_len), true);
    p->value = api_decode(call->arena, value, true);
    if (p->key == NULL || p->value == NULL) {
        api_text(call, 400, "Invalid percent code in the query");
        return false;
    }
    call->params_count++;
    return true;
}

bool api_params_read(struct api_call *call)
{
    struct slice rest = call->request->query;

    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.data, '&', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.data);

        if (len > 0 && !read_param(call, slice_of(rest.data, len))) {
            return false;
        }
        rest = slice_skip(rest, end == NULL ? len : len + 1);
    }
    return true;
}

const char *api_param(const struct api_call *call, const char *key)
{
    for (size_t i = 0; i < call->params_count; i++) {
        if (strcmp(call->params[i].key, key) == 0) {
            return call->params[i].value;
        }
    }
    return NULL;
}

/* Given alone, or with a value that means yes. */
bool api_flag(const struct api_call *call, const char *key)
{
    const char *value = api_param(call, key);

    return value != NULL && (*value == '\0' || strcmp(value, "1") == 0 ||
                             strcasecmp(value, "true") == 0);
}

bool api_truth_read(struct api_call *call, const char *key, bool *out)
{
    static const char *const words[] = {"0",     "f",     "F",    "FALSE",
                                        "false", "False", "1",    "t",
                                        "T",     "TRUE",  "true", "True"};
    const char *value = api_param(call, key);

    *out = value != NULL;
    if (value == NULL || *value == '\0') {
        return true;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i], value) == 0) {
            *out = i >= 6;
            return true;
        }
    }
    api_text(call, 400, "Invalid value for ?%s", key);
    return false;
}

static bool has_pair(struct pairs pairs, const char *text)
{
    const char *colon = strchr(text, ':');
    size_t key_len = colon == NULL ? strlen(text) : (size_t)(colon - text);

    for (size_t i = 0; i < pairs.count; i++) {
        const struct pair *p = &pairs.items[i];

        if (strlen(p->key) == key_len && strncmp(p->key, text, key_len) == 0) {
            return strcmp(p->value, colon == NULL ? "" : colon + 1) == 0;
        }
    }
    return false;
}

bool api_accepts(const struct api_call *call, const char *kind)
{
    struct slice accept = call->request->accept;

    return accept.len > 0 &&
           memmem(accept.data, accept.len, kind, strlen(kind)) != NULL;
}

bool api_node_matches(const struct api_call *call,
                      const struct node_record *node)
{
    for (size_t i = 0; i < call->params_count; i++) {
        if (strcmp(call->params[i].key, "node-meta") == 0 &&
            !has_pair(node->meta, call->params[i].value)) {
            return false;
        }
    }
    return true;
}

static bool has_tag(struct texts tags, const char *tag)
{
    for (size_t i = 0; i < tags.count; i++) {
        if (strcasecmp(tags.items[i], tag) == 0) {
            return true;
        }
    }
    return false;
}

bool api_tags_match(const struct api_call *call, struct texts tags)
{
    for (size_t i = 0; i < call->params_count; i++) {
        if (strcmp(call->params[i].key, "tag") == 0 &&
            !has_tag(tags, call->params[i].value)) {
            return false;
        }
    }
    return true;
}
