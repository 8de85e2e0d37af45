#include "cli/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/core/check.h"

#define CONNECT_TIMEOUT_MS 3000L
#define CALL_TIMEOUT_MS    30000L
#define REPLY_MB_MAX       256 /* A catalogue of 100 000 instances. */

#define TOKEN_BYTES_MAX    512

struct client {
    const struct client_flags *flags;
    struct client_flags said; /* The same with what the environment says. */
    CURL *curl;
    struct curl_slist *headers;
    char token[TOKEN_BYTES_MAX]; /* Read from a file. */
    char *dc;                    /* Quoted; NULL: the agent's own. */
    const char *trouble;         /* With a file; NULL: none. */
    struct buf reply;
    const char *where;        /* Last tried, for messages. */
    bool secure;              /* No scheme means HTTPS. */
    bool settled;             /* Somebody answers at `where`. */
    bool cut;                 /* The reply passed its limit. */
    unsigned long long index; /* X-Consul-Index. */
};

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    static const char name[] = "X-Consul-Index:";
    struct client *c = arg;
    size_t len = size * count;
    char text[64];

    if (len < sizeof(text) && len >= sizeof(name) &&
        strncasecmp(data, name, sizeof(name) - 1) == 0) {
        memcpy(text, data, len);
        text[len] = '\0';
        c->index = strtoull(text + sizeof(name) - 1, NULL, 10);
    }
    return len;
}

static size_t on_reply(char *data, size_t size, size_t count, void *arg)
{
    struct client *c = arg;

    if (buf_add(&c->reply, slice_of(data, size * count))) {
        c->cut = true;
        return 0;
    }
    return size * count;
}

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

static void headers_make(struct client *c)
{
    char *line;

    if (c->said.token == NULL) {
        return;
    }
    CHECK(asprintf(&line, "X-Consul-Token: %s", c->said.token) >= 0);
    c->headers = curl_slist_append(NULL, line);
    CHECK(c->headers != NULL);
    free(line);
}

struct client *client_new(const struct client_flags *flags)
{
    struct client *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    c->flags = flags;
    environment_read(c);
    headers_make(c);
    c->dc = flags->datacenter == NULL ? NULL : client_quote(flags->datacenter);
    c->curl = curl_easy_init();
    CHECK(c->curl != NULL);
    buf_init(&c->reply, (size_t)REPLY_MB_MAX << 20);
    return c;
}

void client_free(struct client *c)
{
    if (c == NULL) {
        return;
    }
    curl_easy_cleanup(c->curl);
    curl_slist_free_all(c->headers);
    buf_release(&c->reply);
    free(c->dc);
    explicit_bzero(c->token, sizeof(c->token));
    free(c);
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
static CURLcode perform(struct client *c, const char *socket, const char *http,
                        const char *path)
{
    bool has_scheme = !socket && strstr(http, "://") != NULL;
    char url[8192];

    (void)snprintf(url, sizeof(url), "%s%s%s%s%s",
                   has_scheme             ? ""
                   : c->secure && !socket ? "https://"
                                          : "http://",
                   socket ? "agent" : http, path,
                   c->dc == NULL               ? ""
                   : strchr(path, '?') != NULL ? "&dc="
                                               : "?dc=",
                   c->dc == NULL ? "" : c->dc);
    c->index = 0;
    (void)curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, c);
    c->where = socket ? socket : http;
    c->cut = false;
    buf_clear(&c->reply);
    (void)curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    (void)curl_easy_setopt(c->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
    (void)curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
    if (c->said.cacert != NULL) {
        (void)curl_easy_setopt(c->curl, CURLOPT_CAINFO, c->said.cacert);
    }
    if (c->said.cert != NULL) {
        (void)curl_easy_setopt(c->curl, CURLOPT_SSLCERT, c->said.cert);
        (void)curl_easy_setopt(c->curl, CURLOPT_SSLKEY, c->said.key);
    }
    (void)curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS,
                           CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, CALL_TIMEOUT_MS);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_reply);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
    return curl_easy_perform(c->curl);
}

static CURLcode perform_somewhere(struct client *c, const char *path)
{
    CURLcode code;

    if (c->said.http != NULL) {
        return perform(c, NULL, c->said.http, path);
    }
    if (c->said.socket != NULL) {
        return perform(c, c->said.socket, NULL, path);
    }
    if (c->settled) {
        bool tcp = strcmp(c->where, CLIENT_HTTP) == 0;

        return perform(c, tcp ? NULL : CLIENT_SOCKET, CLIENT_HTTP, path);
    }
    code = perform(c, CLIENT_SOCKET, NULL, path);
    if (code == CURLE_COULDNT_CONNECT) {
        code = perform(c, NULL, CLIENT_HTTP, path);
    }
    return code;
}

static enum cli_exit explain_curl(struct client *c, CURLcode code,
                                  struct err *err)
{
    if (c->cut) {
        (void)err_set(err, ST_TOO_BIG, "the agent's answer is over %d MB",
                      REPLY_MB_MAX);
        return CLI_FAILED;
    }
    if (code != CURLE_COULDNT_CONNECT) {
        (void)err_set(err, ST_IO, "no answer from the agent at %s: %s",
                      c->where, curl_easy_strerror(code));
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

static enum cli_exit call(struct client *c, const char *path, struct err *err)
{
    long http_status = 0;
    struct slice text;
    CURLcode code;

    if (c->trouble != NULL) {
        (void)err_set(err, ST_INVALID, "%s: %s", c->said.token_file,
                      c->trouble);
        return CLI_FAILED;
    }
    code = perform_somewhere(c, path);
    if (code != CURLE_OK) {
        return explain_curl(c, code, err);
    }
    c->settled = true;
    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &http_status);
    if (http_status == 200) {
        return CLI_OK;
    }
    text = buf_slice(&c->reply);
    while (text.len > 0 && text.data[text.len - 1] == '\n') {
        text.len--;
    }
    if (text.len == 0) {
        (void)err_set(err, ST_INVALID, "the agent answered %ld to %s",
                      http_status, path);
    } else {
        (void)err_set(err, ST_INVALID, "%.*s", (int)text.len,
                      (const char *)text.data);
    }
    return http_status == 404 ? CLI_NOT_FOUND : CLI_FAILED;
}

static enum cli_exit read_json(struct client *c, json_t **out_json,
                               struct err *err)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)c->reply.data, c->reply.len,
                              JSON_DECODE_ANY, &error);

    if (json == NULL) {
        /* Flags of 2^63 and more, which jansson takes as reals only. */
        json = json_loadb((const char *)c->reply.data, c->reply.len,
                          JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    }
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
    enum cli_exit code;

    (void)curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, NULL);
    (void)curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
    code = call(c, path, err);
    return code != CLI_OK ? code : read_json(c, out_json, err);
}

enum cli_exit client_call(struct client *c, const char *method,
                          const char *path, struct slice body,
                          json_t **out_json, struct err *err)
{
    enum cli_exit code;

    (void)curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
    (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS,
                           body.len ? (const char *)body.data : "");
    (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long)body.len);
    code = call(c, path, err);
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
    bool puts = strcmp(method, "PUT") == 0;
    enum cli_exit code;

    (void)curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
    (void)curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
    if (puts) {
        (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long)body.len);
        (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS,
                               body.len ? (const char *)body.data : "");
    }
    code = call(c, path, err);
    *out_reply = buf_slice(&c->reply);
    return code;
}

unsigned long long client_index(const struct client *c)
{
    return c->index;
}
