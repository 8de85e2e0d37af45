#include "cli/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/core/check.h"
#include "base/io/http_server.h"
#include "base/io/loop.h"
#include "base/io/tls.h"
#include "cli/fetch.h"
#include "cli/view.h"

#define CONNECT_TIMEOUT_MS 3000
#define CALL_TIMEOUT_MS    30000
#define REPLY_MB_MAX       256 /* A catalogue of 100 000 instances. */

#define TOKEN_BYTES_MAX    512

struct client {
    const struct client_flags *flags;
    struct client_flags said; /* The same with what the environment says. */
    struct loop *loop;
    char token[TOKEN_BYTES_MAX]; /* Read from a file. */
    char *dc;                    /* Quoted; NULL: the agent's own. */
    const char *trouble;         /* With a file; NULL: none. */
    struct buf reply;
    const char *where;      /* Last tried, for messages. */
    bool secure;            /* No scheme means HTTPS. */
    bool settled;           /* Somebody answers at `where`. */
    struct fetched fetched; /* Of the last reply. */
};

static const char *or_env(const char *flag, const char *name)
{
    const char *value = flag != NULL ? flag : getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

static bool is_yes(const char *text)
{
    return text != NULL &&
           (strcmp(text, "1") == 0 || strcmp(text, "true") == 0);
}

static void token_read(struct client *c)
{
    FILE *file = fopen(c->said.token_file, "re");
    size_t len = 0;

    if (file != NULL) {
        len = fread(c->token, 1, sizeof(c->token) - 1, file);
        (void)fclose(file);
    }
    while (len > 0 && strchr(" \t\r\n", c->token[len - 1]) != NULL) {
        len--;
    }
    c->token[len] = '\0';
    if (len == 0) {
        c->trouble = "the token file cannot be read, or is empty";
    }
    c->said.token = c->token;
}

/* What no flag says, as the consul command takes it. */
static void environment_read(struct client *c)
{
    struct client_flags *s = &c->said;
    const char *at;

    *s = *c->flags;
    at = s->http == NULL && s->socket == NULL ? or_env(NULL, "CONSUL_HTTP_ADDR")
                                              : s->http;
    if (at != NULL && strncmp(at, "unix://", 7) == 0) {
        s->socket = at + 7;
        at = NULL;
    }
    s->http = at;
    s->cacert = or_env(s->cacert, "CONSUL_CACERT");
    s->cert = or_env(s->cert, "CONSUL_CLIENT_CERT");
    s->key = or_env(s->key, "CONSUL_CLIENT_KEY");
    c->secure = is_yes(getenv("CONSUL_HTTP_SSL"));
    s->token = or_env(s->token, "CONSUL_HTTP_TOKEN");
    if (c->flags->token == NULL) {
        s->token_file = or_env(s->token_file, "CONSUL_HTTP_TOKEN_FILE");
        if (s->token_file != NULL) {
            token_read(c);
        }
    }
}

struct client *client_new(const struct client_flags *flags)
{
    struct client *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    c->flags = flags;
    environment_read(c);
    c->dc = flags->datacenter == NULL ? NULL : client_quote(flags->datacenter);
    c->loop = loop_new();
    buf_init(&c->reply, (size_t)REPLY_MB_MAX << 20);
    return c;
}

void client_free(struct client *c)
{
    if (c == NULL) {
        return;
    }
    loop_free(c->loop);
    buf_release(&c->reply);
    free(c->dc);
    explicit_bzero(c->token, sizeof(c->token));
    free(c);
}

void client_set_text(json_t *object, const char *key, const char *value)
{
    if (value != NULL) {
        CHECK(json_object_set_new(object, key, json_string(value)) == 0);
    }
}

char *client_quote(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *quoted = malloc(strlen(text) * 3 + 1);
    char *to = quoted;

    CHECK(quoted != NULL);
    for (const char *from = text; *from != '\0'; from++) {
        unsigned char byte = (unsigned char)*from;

        if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
            (byte >= 'A' && byte <= 'Z') || strchr("-._~", byte) != NULL) {
            *to++ = (char)byte;
        } else {
            *to++ = '%';
            *to++ = hex[byte >> 4];
            *to++ = hex[byte & 15];
        }
    }
    *to = '\0';
    return quoted;
}

/* One try, over the socket or over TCP. */
static enum status perform(struct client *c, const char *socket,
                           const char *http, const struct http_call_config *ask,
                           struct err *err)
{
    const struct tls_files files = {.ca = c->said.cacert,
                                    .cert = c->said.cert,
                                    .key = c->said.key,
                                    .http1 = true};
    struct http_call_config config = *ask;
    const char *scheme = c->secure ? "https://" : "http://";
    enum status st;
    char *url;

    c->where = socket != NULL ? socket : http;
    if (socket != NULL) {
        config.host = socket;
        return fetch(c->loop, &config, &c->reply, &c->fetched, err);
    }
    CHECK(asprintf(&url, "%s%s%s", strstr(http, "://") != NULL ? "" : scheme,
                   http, ask->path) >= 0);
    st = fetch_url(c->loop, url, &files, &config, &c->reply, &c->fetched, err);
    free(url);
    return st;
}

static enum status perform_anywhere(struct client *c,
                                    const struct http_call_config *ask,
                                    struct err *err)
{
    enum status st;

    if (c->said.http != NULL) {
        return perform(c, NULL, c->said.http, ask, err);
    }
    if (c->said.socket != NULL) {
        return perform(c, c->said.socket, NULL, ask, err);
    }
    if (c->settled) {
        bool tcp = strcmp(c->where, CLIENT_HTTP) == 0;

        return perform(c, tcp ? NULL : CLIENT_SOCKET, CLIENT_HTTP, ask, err);
    }
    st = perform(c, CLIENT_SOCKET, NULL, ask, err);
    if (st == ST_DENIED || st == ST_IO) {
        st = perform(c, NULL, CLIENT_HTTP, ask, err);
    }
    return st;
}

/* Of the datacenter that was said, if one was, and as new as was said. */
static enum status perform_in_dc(struct client *c, struct http_call_config *ask,
                                 struct err *err)
{
    bool reads = strcmp(ask->method, "GET") == 0;
    const char *stale = reads && c->flags->stale ? "&stale" : "";
    const char *consistent = reads && c->flags->consistent ? "&consistent" : "";
    enum status st;
    char *path;

    if (c->dc == NULL && *stale == '\0' && *consistent == '\0') {
        return perform_anywhere(c, ask, err);
    }
    CHECK(asprintf(&path, "%s%c%s%s%s%s", ask->path,
                   strchr(ask->path, '?') != NULL ? '&' : '?',
                   c->dc == NULL ? "" : "dc=", c->dc == NULL ? "" : c->dc,
                   stale, consistent) >= 0);
    ask->path = path;
    st = perform_anywhere(c, ask, err);
    free(path);
    return st;
}

/* What to do about it, where that can be told from what happened. */
static const char *remedy(const struct client *c, const char *why)
{
    bool secure = c->secure;

    if (c->said.http == NULL) {
        return "";
    }
    if (strstr(c->where, "://") != NULL) {
        secure = strncasecmp(c->where, "https:", 6) == 0;
    }
    if (!secure) {
        return strstr(why, "has closed the connection") != NULL
                   ? "; if it speaks HTTPS, write https://"
                   : "";
    }
    if (strstr(why, "wrong version number") != NULL) {
        return "; if it does not speak HTTPS, write http://";
    }
    if (c->said.cacert == NULL && (strstr(why, "issuer certificate") != NULL ||
                                   strstr(why, "self-signed") != NULL)) {
        return "; say with --cacert who has signed its certificate";
    }
    return strstr(why, "certificate required") != NULL
               ? "; show one with --cert and --key"
               : "";
}

static enum cli_exit explain_failure(struct client *c, enum status st,
                                     struct err *err)
{
    struct err why = *err;

    if (st == ST_TOO_BIG) {
        (void)err_set(err, ST_TOO_BIG, "the agent's answer is over %d MB",
                      REPLY_MB_MAX);
        return CLI_FAILED;
    }
    if (st != ST_DENIED) {
        (void)err_set(err, ST_IO, "no answer from the agent at %s: %s%s",
                      c->where, why.text, remedy(c, why.text));
        return CLI_UNREACHABLE;
    }
    if (c->said.http == NULL && c->said.socket == NULL) {
        (void)err_set(err, ST_IO,
                      "no agent is running: nobody answers at " CLIENT_SOCKET
                      " nor at " CLIENT_HTTP
                      "; start one with \"muster agent\", or say where it is "
                      "with --socket or --http");
    } else {
        (void)err_set(err, ST_IO,
                      "no agent answers at %s; is it running, and may you "
                      "connect to it?",
                      c->where);
    }
    return CLI_UNREACHABLE;
}

/* A line break in it would end the header and begin another one. */
static bool has_control(const char *token)
{
    for (; *token != '\0'; token++) {
        if ((unsigned char)*token < ' ' || *token == 0x7f) {
            return true;
        }
    }
    return false;
}

static const char *token_source(const struct client *c)
{
    if (c->said.token_file != NULL) {
        return c->said.token_file;
    }
    return c->flags->token != NULL ? "--token or MUSTER_TOKEN"
                                   : "CONSUL_HTTP_TOKEN";
}

static enum cli_exit call(struct client *c, const char *method,
                          const char *path, struct slice body, struct err *err)
{
    struct http_header token = {.name = slice_str("X-Consul-Token")};
    struct http_call_config ask = {.method = method,
                                   .path = path,
                                   .body = body,
                                   .headers = &token,
                                   .connect_ms = CONNECT_TIMEOUT_MS,
                                   .silence_ms = CALL_TIMEOUT_MS,
                                   .total_ms = CALL_TIMEOUT_MS};
    struct slice text;
    enum status st;

    if (c->trouble != NULL) {
        (void)err_set(err, ST_INVALID, "%s: %s", c->said.token_file,
                      c->trouble);
        return CLI_FAILED;
    }
    if (c->said.token != NULL && has_control(c->said.token)) {
        (void)err_set(err, ST_INVALID,
                      "the token has a line break or another control "
                      "character in it, and was not sent; look at %s",
                      token_source(c));
        return CLI_FAILED;
    }
    if (c->said.token != NULL) {
        token.value = slice_str(c->said.token);
        ask.headers_count = 1;
    }
    st = perform_in_dc(c, &ask, err);
    if (st) {
        return explain_failure(c, st, err);
    }
    c->settled = true;
    if (c->fetched.status == 200) {
        return CLI_OK;
    }
    text = buf_slice(&c->reply);
    while (text.len > 0 && text.data[text.len - 1] == '\n') {
        text.len--;
    }
    if (text.len == 0) {
        (void)err_set(err, ST_INVALID, "the agent answered %d to %s",
                      c->fetched.status, path);
    } else {
        (void)err_set(err, ST_INVALID, "%.*s", (int)text.len,
                      (const char *)text.data);
    }
    return c->fetched.status == 404 ? CLI_NOT_FOUND : CLI_FAILED;
}

static enum cli_exit read_json(struct client *c, json_t **out_json,
                               struct err *err)
{
    json_error_t error;
    json_t *json = view_load(buf_slice(&c->reply), &error);

    if (json == NULL) {
        (void)err_set(err, ST_INVALID, "what answers at %s is not an agent: %s",
                      c->where, error.text);
        return CLI_FAILED;
    }
    *out_json = json;
    return CLI_OK;
}

enum cli_exit client_get(struct client *c, const char *path, json_t **out_json,
                         struct err *err)
{
    return client_call(c, "GET", path, slice_of(NULL, 0), out_json, err);
}

enum cli_exit client_call(struct client *c, const char *method,
                          const char *path, struct slice body,
                          json_t **out_json, struct err *err)
{
    enum cli_exit code = call(c, method, path, body, err);

    return code != CLI_OK || out_json == NULL ? code
                                              : read_json(c, out_json, err);
}

enum cli_exit client_put(struct client *c, const char *path, struct slice body,
                         struct err *err)
{
    return client_call(c, "PUT", path, body, NULL, err);
}

enum cli_exit client_ask(struct client *c, const char *method, const char *path,
                         struct slice body, struct slice *out_reply,
                         struct err *err)
{
    enum cli_exit code = call(c, method, path, body, err);

    *out_reply = buf_slice(&c->reply);
    return code;
}

unsigned long long client_index(const struct client *c)
{
    return c->fetched.index;
}
