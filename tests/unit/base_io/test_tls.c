#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "suite.h"
#include "world.h"

/* ---- certificates, made for each test ---- */

static char folder[64];

static const char *file(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

/* A certificate for `name`, with subjectAltName `alt` unless that is NULL (then
 * a CA's), signed by `issuer` or by itself. */
static struct identity identity_new(const char *name, const char *alt,
                                    const struct identity *issuer)
{
    struct identity id = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    X509_NAME *subject = X509_get_subject_name(id.cert);
    static long serial;

    ck_assert_int_eq(X509_set_version(id.cert, X509_VERSION_3), 1);
    ck_assert_int_eq(ASN1_INTEGER_set(X509_get_serialNumber(id.cert), ++serial),
                     1);
    ck_assert_int_eq(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                                (const unsigned char *)name, -1,
                                                -1, 0),
                     1);
    ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notBefore(id.cert), -60));
    ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notAfter(id.cert), 3600));
    ck_assert_int_eq(X509_set_pubkey(id.cert, id.key), 1);
    ck_assert_int_eq(
        X509_set_issuer_name(
            id.cert, issuer ? X509_get_subject_name(issuer->cert) : subject),
        1);
    if (alt != NULL) {
        add_extension(id.cert, NID_subject_alt_name, alt);
    } else {
        add_extension(id.cert, NID_basic_constraints, "critical,CA:TRUE");
    }
    ck_assert_int_gt(
        X509_sign(id.cert, issuer ? issuer->key : id.key, EVP_sha256()), 0);
    return id;
}

static void identity_release(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

static void identity_write(const struct identity *id, const char *cert,
                           const char *key)
{
    FILE *f = fopen(file(cert), "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(PEM_write_X509(f, id->cert), 1);
    (void)fclose(f);
    f = fopen(file(key), "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(
        PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(f);
}

static struct identity ca;
static struct identity other_ca;

static void begin(void)
{
    struct identity id;

    (void)snprintf(folder, sizeof(folder), "/tmp/muster-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ca = identity_new("test CA", NULL, NULL);
    other_ca = identity_new("other CA", NULL, NULL);
    identity_write(&ca, "ca.pem", "ca.key");
    identity_write(&other_ca, "other-ca.pem", "other-ca.key");
    id = identity_new("server", "DNS:localhost,IP:127.0.0.1", &ca);
    identity_write(&id, "server.pem", "server.key");
    identity_release(&id);
    id = identity_new("client", "DNS:client", &ca);
    identity_write(&id, "client.pem", "client.key");
    identity_release(&id);
    world_init();
}

static void end(void)
{
    static const char *const names[] = {
        "ca.pem",     "ca.key",     "other-ca.pem", "other-ca.key",
        "server.pem", "server.key", "client.pem",   "client.key"};

    world_release();
    identity_release(&ca);
    identity_release(&other_ca);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ck_assert_int_eq(unlink(file(names[i])), 0);
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

/* ---- contexts ---- */

/* Names of files in the folder; NULL: none. */
static const struct {
    const char *name;
    const char *cert;
    const char *key;
    const char *ca;
    enum tls_client_auth auth;
    const char *says; /* NULL: it loads. */
} contexts[] = {
    {"all is well", "server.pem", "server.key", NULL, TLS_CLIENT_ANY, NULL},
    {"with clients verified", "server.pem", "server.key", "ca.pem",
     TLS_CLIENT_REQUIRED, NULL},
    {"no certificate", NULL, NULL, NULL, TLS_CLIENT_ANY,
     "needs a certificate and a key"},
    {"no key", "server.pem", NULL, NULL, TLS_CLIENT_ANY, "must be given"},
    {"an absent file", "absent.pem", "server.key", NULL, TLS_CLIENT_ANY,
     "absent.pem"},
    {"an absent key", "server.pem", "absent.key", NULL, TLS_CLIENT_ANY,
     "absent.key"},
    {"a key where the certificate should be", "server.key", "server.key", NULL,
     TLS_CLIENT_ANY, "server.key: cannot read a PEM certificate"},
    {"another one's key", "server.pem", "client.key", NULL, TLS_CLIENT_ANY,
     "client.key"},
    {"no CA", "server.pem", "server.key", NULL, TLS_CLIENT_REQUIRED,
     "clients cannot be verified"},
    {"a key as CA", "server.pem", "server.key", "ca.key", TLS_CLIENT_REQUIRED,
     "ca.key"},
};

static const char *file_or_null(const char *name)
{
    return name == NULL ? NULL : file(name);
}

START_TEST(bad_files_are_named)
{
    struct tls_files files;
    struct tls *tls = NULL;
    struct err err = {.text = ""};

    begin();
    files = (struct tls_files){.cert = file_or_null(contexts[_i].cert),
                               .key = file_or_null(contexts[_i].key),
                               .ca = file_or_null(contexts[_i].ca)};
    if (contexts[_i].says == NULL) {
        ck_assert_msg(tls_server_new(&files, contexts[_i].auth, &tls, &err) ==
                          ST_OK,
                      "%s: %s", contexts[_i].name, err.text);
    } else {
        ck_assert_int_eq(tls_server_new(&files, contexts[_i].auth, &tls, &err),
                         ST_INVALID);
        ck_assert_msg(strstr(err.text, contexts[_i].says) != NULL, "%s: %s",
                      contexts[_i].name, err.text);
    }
    tls_free(tls);
    end();
}
END_TEST

/* ---- connections ---- */

static void echo(struct grpc_call *call, struct slice message)
{
    grpc_call_send(call, message);
    grpc_call_finish(call, GRPC_OK, NULL);
}

static const struct grpc_method methods[] = {{.path = "/test.Echo/Echo",
                                              .requests = GRPC_ONE_REQUEST,
                                              .on_message = echo}};

static const struct grpc_methods grpc = {
    .methods = methods, .count = 1, .message_bytes_max = 2 << 20};

static struct tls *server_tls(enum tls_client_auth auth)
{
    struct tls_files files = {.cert = file("server.pem"),
                              .key = file("server.key"),
                              .ca = file("ca.pem")};
    struct tls *tls;
    struct err err;

    ck_assert_msg(tls_server_new(&files, auth, &tls, &err) == ST_OK, "%s",
                  err.text);
    return tls;
}

static struct tls *client_tls(const char *trusted, const char *name)
{
    char cert[20] = "";
    char key[20] = "";
    struct tls_files files = {.ca = file(trusted)};
    struct tls *tls;
    struct err err;

    if (name != NULL) {
        (void)snprintf(cert, sizeof(cert), "%s.pem", name);
        (void)snprintf(key, sizeof(key), "%s.key", name);
        files.cert = file(cert);
        files.key = file(key);
    }
    ck_assert_msg(tls_client_new(&files, &tls, &err) == ST_OK, "%s", err.text);
    return tls;
}

static struct outcome call(struct tls *tls, const char *server_name,
                           struct slice request)
{
    struct grpc_channel_config config = {.tls = tls,
                                         .server_name = server_name};
    struct grpc_channel_hooks hooks = {0};
    struct outcome o;

    outcome_init(&o);
    world_open(&config, hooks);
    (void)grpc_unary(world.channel, "/test.Echo/Echo", request, 0, on_outcome,
                     &o);
    while (!o.over) {
        world_run();
    }
    world_close_channel();
    return o;
}

static const struct {
    const char *name;
    enum tls_client_auth auth;
    const char *trusted;     /* By the client. */
    const char *identity;    /* The client's. */
    const char *server_name; /* NULL: 127.0.0.1 */
    const char *says;        /* NULL: it works. */
} handshakes[] = {
    {"an address in the certificate", TLS_CLIENT_ANY, "ca.pem", NULL, NULL,
     NULL},
    {"a name in the certificate", TLS_CLIENT_ANY, "ca.pem", NULL, "localhost",
     NULL},
    {"a wrong name", TLS_CLIENT_ANY, "ca.pem", NULL, "elsewhere",
     "hostname mismatch"},
    {"a wrong address", TLS_CLIENT_ANY, "ca.pem", NULL, "10.0.0.1",
     "IP address mismatch"},
    {"a CA that we do not trust", TLS_CLIENT_ANY, "other-ca.pem", NULL, NULL,
     "self-signed certificate"},
    {"a client with a certificate", TLS_CLIENT_REQUIRED, "ca.pem", "client",
     NULL, NULL},
    {"a client without", TLS_CLIENT_REQUIRED, "ca.pem", NULL, NULL, ""},
    {"a client from elsewhere", TLS_CLIENT_REQUIRED, "ca.pem", "other-ca", NULL,
     ""},
};

START_TEST(only_the_right_ones_connect)
{
    struct tls *server;
    struct tls *client;
    struct outcome o;

    begin();
    server = server_tls(handshakes[_i].auth);
    client = client_tls(handshakes[_i].trusted, handshakes[_i].identity);
    world_serve(&grpc, NULL, server);
    o = call(client, handshakes[_i].server_name, slice_str("x"));
    if (handshakes[_i].says == NULL) {
        ck_assert_msg(o.code == GRPC_OK, "%s: %s", handshakes[_i].name, o.text);
    } else {
        ck_assert_int_eq(o.code, GRPC_UNAVAILABLE);
        ck_assert_msg(strstr(o.text, handshakes[_i].says) != NULL, "%s: %s",
                      handshakes[_i].name, o.text);
    }
    buf_release(&o.reply);
    end();
    tls_free(server);
    tls_free(client);
}
END_TEST

START_TEST(many_records_pass)
{
    struct tls *server;
    struct tls *client;
    struct outcome o;
    uint8_t *bytes = malloc(2 << 20);

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < 2 << 20; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 1000);
    }
    begin();
    server = server_tls(TLS_CLIENT_ANY);
    client = client_tls("ca.pem", NULL);
    world_serve(&grpc, NULL, server);
    o = call(client, NULL, slice_of(bytes, 2 << 20));
    ck_assert_int_eq(o.code, GRPC_OK);
    ck_assert(slice_eq(buf_slice(&o.reply), slice_of(bytes, 2 << 20)));
    buf_release(&o.reply);
    end();
    tls_free(server);
    tls_free(client);
    free(bytes);
}
END_TEST

/* The server's certificate is renewed while it runs: with one of another CA,
 * so that clients notice. Then by something that is none. */
START_TEST(changed_files_are_read_again)
{
    struct tls *server;
    struct tls *client;
    struct tls *new_client;
    struct identity id;
    struct outcome o;
    FILE *f;

    begin();
    server = server_tls(TLS_CLIENT_ANY);
    client = client_tls("ca.pem", NULL);
    new_client = client_tls("other-ca.pem", NULL);
    world_serve(&grpc, NULL, server);
    o = call(client, NULL, slice_str("x"));
    ck_assert_int_eq(o.code, GRPC_OK);
    buf_release(&o.reply);

    id = identity_new("server", "DNS:localhost,IP:127.0.0.1", &other_ca);
    identity_write(&id, "server.pem", "server.key");
    identity_release(&id);
    o = call(client, NULL, slice_str("x"));
    ck_assert_int_eq(o.code, GRPC_UNAVAILABLE);
    o = call(new_client, NULL, slice_str("x"));
    ck_assert_int_eq(o.code, GRPC_OK);
    buf_release(&o.reply);

    f = fopen(file("server.pem"), "w");
    ck_assert_ptr_nonnull(f);
    (void)fputs("half written", f);
    (void)fclose(f);
    o = call(new_client, NULL, slice_str("x"));
    ck_assert_int_eq(o.code, GRPC_OK);
    buf_release(&o.reply);
    end();
    tls_free(server);
    tls_free(client);
    tls_free(new_client);
}
END_TEST

START_TEST(a_plain_client_gets_nowhere)
{
    struct tls *server;
    struct outcome o;

    begin();
    server = server_tls(TLS_CLIENT_ANY);
    world_serve(&grpc, NULL, server);
    o = call(NULL, NULL, slice_str("x"));
    ck_assert_int_eq(o.code, GRPC_UNAVAILABLE);
    end();
    tls_free(server);
}
END_TEST

START_TEST(tls_to_a_plain_server_fails)
{
    struct tls *client;
    struct outcome o;

    begin();
    client = client_tls("ca.pem", NULL);
    world_serve(&grpc, NULL, NULL);
    o = call(client, NULL, slice_str("x"));
    ck_assert_int_eq(o.code, GRPC_UNAVAILABLE);
    end();
    tls_free(client);
}
END_TEST

UNIT_MAIN("tls", {
    tcase_add_loop_test(tc, bad_files_are_named, 0, COUNT_OF(contexts));
    tcase_add_loop_test(tc, only_the_right_ones_connect, 0,
                        COUNT_OF(handshakes));
    tcase_add_test(tc, many_records_pass);
    tcase_add_test(tc, changed_files_are_read_again);
    tcase_add_test(tc, a_plain_client_gets_nowhere);
    tcase_add_test(tc, tls_to_a_plain_server_fails);
})
