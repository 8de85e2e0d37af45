#include "agent/core/lines.h"

#include <strings.h>

#include "agent/core/api_model.h"
#include "base/core/check.h"
#include "base/core/limits.h"

static const char usage[] =
    "a request is: LOOKUP|WATCH <service> [tag=<tag>]... [passing] "
    "[token=<secret>]";

/* ---- Requests ----------------------------------------------------- */

/* The next word, and the rest behind its blank. Two blanks in a row have an
 * empty word between them. */
static struct slice next_word(struct slice *rest)
{
    const uint8_t *blank =
        rest->len == 0 ? NULL : memchr(rest->data, ' ', rest->len);
    size_t len = blank == NULL ? rest->len : (size_t)(blank - rest->data);
    struct slice word = slice_of(rest->data, len);

    *rest = slice_skip(*rest, blank == NULL ? len : len + 1);
    return word;
}

static bool read_verb(struct slice word, enum lines_verb *out)
{
    if (slice_eq(word, slice_str("LOOKUP"))) {
        *out = LINES_LOOKUP;
        return true;
    }
    *out = LINES_WATCH;
    return slice_eq(word, slice_str("WATCH"));
}

/* The value of "key=value"; NULL: another word. */
static const char *value_of(struct arena *a, struct slice word, const char *key)
{
    struct slice prefix = slice_str(key);

    return slice_starts(word, prefix)
               ? api_decode(a, slice_skip(word, prefix.len), false)
               : NULL;
}

static enum status read_option(struct arena *a, struct slice word,
                               struct lines_request *r, const char **tags,
                               struct err *err)
{
    const char *value;

    if (slice_eq(word, slice_str("passing"))) {
        r->passing = true;
        return ST_OK;
    }
    value = value_of(a, word, "token=");
    if (value != NULL) {
        r->token = slice_str(value);
        return ST_OK;
    }
    value = value_of(a, word, "tag=");
    if (value == NULL) {
        return err_set(err, ST_INVALID, "\"%.*s\" is not understood; %s",
                       (int)(word.len < 64 ? word.len : 64),
                       word.len == 0 ? "" : (const char *)word.data, usage);
    }
    if (r->tags.count == LIMIT_LINE_TAGS) {
        return err_set(err, ST_INVALID, "more than %d tags", LIMIT_LINE_TAGS);
    }
    tags[r->tags.count++] = value;
    return ST_OK;
}

enum status lines_read(struct arena *a, struct slice line,
                       struct lines_request *out_request, struct err *err)
{
    const char **tags = arena_zalloc(a, LIMIT_LINE_TAGS, sizeof(*tags));
    struct lines_request r = {.tags = {tags, 0}};
    struct slice rest = line;
    enum status st = ST_OK;

    if (line.len > LIMIT_LINE_BYTES) {
        return err_set(err, ST_INVALID, "a request has at most %d bytes",
                       LIMIT_LINE_BYTES);
    }
    if (!read_verb(next_word(&rest), &r.verb)) {
        return err_set(err, ST_INVALID, "%s", usage);
    }
    r.service = api_decode(a, next_word(&rest), false);
    if (r.service == NULL || *r.service == '\0') {
        return err_set(err, ST_INVALID, "which service? %s", usage);
    }
    while (!st && rest.len > 0) {
        st = read_option(a, next_word(&rest), &r, tags, err);
    }
    if (!st) {
        *out_request = r;
    }
    return st;
}

/* ---- Blocks ------------------------------------------------------- */

struct block {
    const struct lines_request *request;
    const struct api_view *view;
    struct acl_auth auth;
    struct buf *out;
    enum status st;
};

static void add(struct block *b, const char *text)
{
    if (!b->st) {
        b->st = buf_add_str(b->out, text);
    }
}

/* A word that stays one. */
static void add_word(struct block *b, const char *text)
{
    for (; *text != '\0' && !b->st; text++) {
        uint8_t c = (uint8_t)*text;

        b->st = c <= ' ' || c == '%' || c == 0x7f
                    ? buf_addf(b->out, "%%%02X", c)
                    : buf_add_u8(b->out, c);
    }
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

static bool has_tags(const struct lines_request *r, struct texts tags)
{
    for (size_t i = 0; i < r->tags.count; i++) {
        if (!has_tag(tags, r->tags.items[i])) {
            return false;
        }
    }
    return true;
}

static unsigned weight_of(const struct instance_record *r, enum health_sum sum)
{
    switch (sum) {
    case HEALTH_PASSING:
        return r->weight_passing;
    case HEALTH_WARNING:
        return r->weight_warning;
    case HEALTH_CRITICAL:
    case HEALTH_MAINTENANCE:
        return 0;
    }
    UNREACHABLE();
}

static bool add_instance(void *ctx, const struct catalog_instance *i)
{
    struct block *b = ctx;
    const struct instance_record *r = &i->record;
    const struct catalog *c = b->view->catalog;
    const struct catalog_node *n = catalog_node(c, r->node);
    enum health_sum sum = catalog_instance_health(c, i);

    if (n == NULL || !n->known ||
        !acl_may(&b->auth, ACL_SERVICE, r->service, ACL_READ) ||
        !acl_may(&b->auth, ACL_NODE, r->node, ACL_READ) ||
        !has_tags(b->request, r->tags) ||
        (b->request->passing && sum != HEALTH_PASSING)) {
        return true;
    }
    add_word(b, *r->address != '\0' ? r->address : n->record.address);
    if (!b->st) {
        b->st =
            buf_addf(b->out, " %u %u ", (unsigned)r->port, weight_of(r, sum));
    }
    add(b, health_sum_text(sum));
    add(b, " ");
    add_word(b, n->record.name);
    add(b, " ");
    add_word(b, r->id);
    add(b, "\n");
    return b->st == ST_OK;
}

void lines_write_error(const char *text, struct buf *out)
{
    /* The buffer has room for a line; if not, its owner sees that. */
    (void)buf_add_str(out, "error: ");
    for (; *text != '\0'; text++) {
        (void)buf_add_u8(out, (uint8_t)*text < ' ' ? '?' : (uint8_t)*text);
    }
    (void)buf_add_str(out, "\n\n");
}

/* As in the HTTP API's reads: an empty list would be a lie. */
static bool may_answer(const struct api_view *v)
{
    return catalog_revision(v->catalog) != 0 &&
           (!v->strict_default || v->known_leader);
}

static bool identify(const struct lines_request *r,
                     const struct acl_caller *caller, const struct api_view *v,
                     struct acl_auth *out)
{
    struct acl_caller who = *caller;
    bool own;

    *out = acl_auth_all;
    if (!acl_enabled(v->acl)) {
        return true;
    }
    if (r->token.len > 0) {
        who.secret = r->token;
    }
    return acl_identify(v->acl, &who, out, &own) == ACL_FOUND;
}

void lines_write(const struct lines_request *request,
                 const struct acl_caller *caller, const struct api_view *view,
                 struct buf *out)
{
    struct block b = {.request = request, .view = view, .out = out};
    const struct catalog_service *s =
        catalog_service(view->catalog, request->service);
    size_t before = out->len;

    if (!may_answer(view)) {
        lines_write_error("No cluster leader", out);
        return;
    }
    if (!identify(request, caller, view, &b.auth)) {
        lines_write_error("ACL not found: no token has this secret", out);
        return;
    }
    if (s != NULL) {
        catalog_each_instance(s, add_instance, &b);
    }
    add(&b, "\n");
    if (b.st) {
        out->len = before;
        lines_write_error("the answer is too long; ask for a tag", out);
    }
}

struct lines_mark lines_mark(const struct lines_request *request,
                             const struct api_view *view)
{
    struct catalog_scope scope = {.kind = SCOPE_SERVICE,
                                  .name = request->service};

    return (struct lines_mark){
        .index = catalog_index(view->catalog, scope),
        .rights = view->acl == NULL ? 0 : acl_generation(view->acl),
        .answers = may_answer(view)};
}

bool lines_mark_equal(struct lines_mark a, struct lines_mark b)
{
    return a.index == b.index && a.rights == b.rights && a.answers == b.answers;
}
