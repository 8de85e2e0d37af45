/* Each file and flag is read by the table on its own, so that an error names
 * its place. What they say is then merged as JSON, files first, flags on top,
 * and the whole is read once more into struct config_keys. */

#include "agent/io/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/io/config_fields.h"
#include "base/core/check.h"
#include "base/core/utf8.h"

void agent_config_init(struct agent_config *c)
{
    *c = (struct agent_config){.files = json_object(), .flags = json_object()};
    CHECK(c->files != NULL);
    CHECK(c->flags != NULL);
}

void agent_config_release(struct agent_config *c)
{
    json_decref(c->files);
    json_decref(c->flags);
    arena_release(&c->arena);
    *c = (struct agent_config){0};
}

/* ---- Files ------------------------------------------------------------- */

/* In a file a list may be written as one text: "store": "a,b". */
static void split_text(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    json_t *list;

    if (!json_is_string(value)) {
        return;
    }
    list = json_array();
    for (const char *at = json_string_value(value); *at != '\0';) {
        size_t len = strcspn(at, ", ");

        if (len > 0) {
            CHECK(json_array_append_new(list, json_stringn(at, len)) == 0);
        }
        at += len + (at[len] != '\0');
    }
    CHECK(json_object_set_new(object, key, list) == 0);
}

static void split_texts(json_t *root)
{
    static const char *const keys[] = {"store", "recursor", "recursors",
                                       "recursion_from", "dns"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        split_text(root, keys[i]);
    }
    split_text(json_object_get(root, "addresses"), "dns");
}

/* Check `json` by the table. What it is read into is thrown away. */
static enum status keys_check(struct field_reader *r, json_t *json)
{
    struct config_keys keys = {0};
    struct json_at root = {0};

    split_texts(json);
    config_access_texts(json);
    return fields_read(r, &root, &config_fields, json, &keys);
}

enum status agent_config_parse(struct agent_config *c, const char *name,
                               struct slice text, struct err *out_err)
{
    struct field_reader r = {.arena = &c->arena,
                             .file = name,
                             .text = text,
                             .unknown = FIELD_UNKNOWN_REFUSED,
                             .manual = "\"muster agent --help\" and dns.md",
                             .err = out_err};
    json_t *json = NULL;
    enum status st = fields_json(&r, LIMIT_CONFIG_BYTES, &json);

    if (!st) {
        st = keys_check(&r, json);
    }
    if (!st) {
        CHECK(json_object_update_recursive(c->files, json) == 0);
    }
    json_decref(json);
    return st;
}

static enum status file_text(const char *path, struct buf *out,
                             struct err *out_err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count;
    uint8_t *space;

    if (fd < 0) {
        return err_set(out_err, ST_IO, "%s: %s", path, strerror(errno));
    }
    do {
        if (buf_reserve(out, 65536, &space)) {
            (void)close(fd);
            return err_set(out_err, ST_TOO_BIG, "%s: larger than %lu bytes",
                           path, LIMIT_CONFIG_BYTES);
        }
        count = read(fd, space, 65536);
        out->len += count > 0 ? (size_t)count : 0;
    } while (count > 0 || (count < 0 && errno == EINTR));
    (void)close(fd);
    if (count < 0) {
        return err_set(out_err, ST_IO, "%s: %s", path, strerror(errno));
    }
    return ST_OK;
}

static enum status load_file(struct agent_config *c, const char *path,
                             struct err *out_err)
{
    struct buf text;
    enum status st;

    buf_init(&text, LIMIT_CONFIG_BYTES + 65536);
    st = file_text(path, &text, out_err);
    if (!st) {
        st = agent_config_parse(c, path, buf_slice(&text), out_err);
    }
    buf_release(&text);
    return st;
}

static int is_json(const struct dirent *entry)
{
    return fnmatch("*.json", entry->d_name, FNM_PERIOD) == 0;
}

static int entry_order(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum status load_folder(struct agent_config *c, const char *path,
                               struct err *out_err)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_json, entry_order);
    enum status st = ST_OK;

    if (count < 0) {
        return err_set(out_err, ST_IO, "%s: %s", path, strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        int len =
            snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);

        if (!st && (len < 0 || (size_t)len >= sizeof(file))) {
            st = err_set(out_err, ST_TOO_BIG, "%s: path is too long", path);
        }
        if (!st) {
            st = load_file(c, file, out_err);
        }
        free(entries[i]);
    }
    free(entries);
    return st;
}

enum status agent_config_load(struct agent_config *c, const char *path,
                              struct err *out_err)
{
    struct stat st;

    if (c->paths_count == LIMIT_CONFIG_FILES) {
        return err_set(out_err, ST_TOO_BIG, "more than %d configuration files",
                       LIMIT_CONFIG_FILES);
    }
    if (stat(path, &st)) {
        return err_set(out_err, ST_IO, "%s: %s", path, strerror(errno));
    }
    c->paths[c->paths_count++] = arena_strdup(&c->arena, slice_str(path));
    return S_ISDIR(st.st_mode) ? load_folder(c, path, out_err)
                               : load_file(c, path, out_err);
}

/* ---- Flags ------------------------------------------------------------- */

static const struct field *field_find(const char *name)
{
    for (size_t i = 0; i < config_fields.count; i++) {
        if (field_key_equal(config_fields.items[i].key, name)) {
            return &config_fields.items[i];
        }
    }
    return NULL;
}

/* A flag's text as the JSON value that its key wants. NULL: it cannot be. */
static json_t *flag_value(const struct field *f, const char *text)
{
    char *end;
    long long number;

    switch (f->kind) {
    case FIELD_BOOL:
        return json_boolean(strcmp(text, "true") == 0);
    case FIELD_U16:
    case FIELD_U32:
    case FIELD_I64:
        number = strtoll(text, &end, 10);
        return *end == '\0' && end != text ? json_integer(number) : NULL;
    case FIELD_TEXT:
    case FIELD_DURATION:
    case FIELD_WORD:
    case FIELD_TEXTS:
        return json_string(text);
    case FIELD_PAIRS:
    case FIELD_HEADERS:
    case FIELD_ONE:
    case FIELD_OBJECT:
    case FIELD_LIST:
    case FIELD_MAP:
    case FIELD_ANY:
        break; /* These have no flag. */
    }
    return NULL;
}

/* Repeated lists add. */
static void flag_merge(json_t *flags, json_t *one)
{
    const char *key;
    json_t *value;

    json_object_foreach(one, key, value)
    {
        json_t *before = json_object_get(flags, key);

        if (json_is_array(before) && json_is_array(value)) {
            CHECK(json_array_extend(before, value) == 0);
        } else {
            CHECK(json_object_set(flags, key, value) == 0);
        }
    }
}

enum status agent_config_flag(struct agent_config *c, const char *name,
                              const char *value, struct err *out_err)
{
    struct field_reader r = {
        .arena = &c->arena, .unknown = FIELD_UNKNOWN_REFUSED, .err = out_err};
    char key[64];
    const struct field *f;
    json_t *json;
    json_t *one;
    enum status st;

    (void)snprintf(key, sizeof(key), "%s", name);
    for (char *at = key; *at != '\0'; at++) {
        *at = *at == '-' ? '_' : *at;
    }
    f = field_find(key);
    CHECK(f != NULL); /* The caller's table names our keys. */
    if (f->kind == FIELD_TEXTS && value[strspn(value, ", ")] == '\0') {
        return err_set(out_err, ST_INVALID,
                       "is empty; leave the flag out for the default");
    }
    if (!utf8_is(slice_str(value))) {
        return err_set(out_err, ST_INVALID, "is not UTF-8");
    }
    json = flag_value(f, value);
    if (!json) {
        return err_set(out_err, ST_INVALID, "\"%.64s\" is not a number", value);
    }
    one = json_object();
    CHECK(json_object_set_new(one, f->key, json) == 0);
    st = keys_check(&r, one);
    if (!st) {
        flag_merge(c->flags, one);
    }
    json_decref(one);
    return st;
}

/* ---- The same again ---------------------------------------------------- */

enum status agent_config_reread(const struct agent_config *c,
                                struct agent_config *out, struct err *out_err)
{
    enum status st = ST_OK;

    agent_config_init(out);
    for (size_t i = 0; i < c->paths_count && !st; i++) {
        st = agent_config_load(out, c->paths[i], out_err);
    }
    CHECK(json_object_update(out->flags, c->flags) == 0);
    if (!st) {
        st = agent_config_finish(out, out_err);
    }
    if (st) {
        agent_config_release(out);
    }
    return st;
}
