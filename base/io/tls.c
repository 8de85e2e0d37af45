#include "base/io/tls.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/tls_impl.h"

enum tls_side {
    TLS_SERVER,
    TLS_CLIENT
};

/* What stat(2) says about a file: enough to notice that it was replaced. */
struct file_mark {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed;
};

struct tls {
    unsigned shares; /* Besides the first. */
    enum tls_side side;
    enum tls_client_auth client_auth;
    char *cert;
    char *key;
    char *ca;
    char *allowed_cn;
    bool http1;
    unsigned char *alpn; /* Its length, then its name; NULL: ours. */
    uint8_t *ticket_key;
    bool anyone;
    struct file_mark marks[3]; /* Of what is loaded. */
    SSL_CTX *ctx;
};

const char *tls_reason(void)
{
    /* The first on the queue is the cause, the others say what it spoilt. */
    unsigned long code = ERR_peek_error();
    const char *reason = NULL;

    if (code != 0) {
        reason = ERR_SYSTEM_ERROR(code) ? strerrordesc_np(ERR_GET_REASON(code))
                                        : ERR_reason_error_string(code);
    }
    ERR_clear_error();
    return reason == NULL ? "no reason given" : reason;
}

static struct file_mark file_mark_of(const char *path)
{
    struct stat st;

    if (path == NULL || stat(path, &st)) {
        return (struct file_mark){0};
    }
    return (struct file_mark){.dev = st.st_dev,
                              .ino = st.st_ino,
                              .size = st.st_size,
                              .changed = st.st_mtim};
}

static bool file_mark_eq(const struct file_mark *a, const struct file_mark *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

static void tls_look(const struct tls *tls, struct file_mark out_marks[3])
{
    out_marks[0] = file_mark_of(tls->cert);
    out_marks[1] = file_mark_of(tls->key);
    out_marks[2] = file_mark_of(tls->ca);
}

/* http/1.1 for those who can speak it: browsers, curl and Prometheus offer
 * both and come for the plain endpoints, gRPC clients offer h2 alone. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char usual[] = "\x08http/1.1\x02h2";
    const unsigned char *alone = arg;
    const unsigned char *ours = alone != NULL ? alone : usual;
    unsigned ours_len =
        alone != NULL ? 1u + alone[0] : (unsigned)sizeof(usual) - 1;

    (void)ssl;
    if (SSL_select_next_proto((unsigned char **)out, out_len, ours, ours_len,
                              in, in_len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    return SSL_TLSEXT_ERR_OK;
}

static enum status tls_load_own(const struct tls *tls, SSL_CTX *ctx,
                                struct err *err)
{
    if (tls->cert == NULL) {
        return ST_OK;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, tls->cert) != 1) {
        return err_set(err, ST_INVALID,
                       "%s: cannot read a PEM certificate from it: %s",
                       tls->cert, tls_reason());
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, tls->key, SSL_FILETYPE_PEM) != 1) {
        return err_set(err, ST_INVALID,
                       "%s: cannot read a PEM key for %s from it: %s", tls->key,
                       tls->cert, tls_reason());
    }
    if (SSL_CTX_check_private_key(ctx) != 1) {
        return err_set(err, ST_INVALID,
                       "%s: is not the key of the certificate in %s", tls->key,
                       tls->cert);
    }
    return ST_OK;
}

static enum status tls_load_ca(const struct tls *tls, SSL_CTX *ctx,
                               struct err *err)
{
    if (tls->ca == NULL) {
        if (tls->side == TLS_CLIENT &&
            SSL_CTX_set_default_verify_paths(ctx) != 1) {
            return err_set(err, ST_INVALID,
                           "the system's CA certificates cannot be read: %s",
                           tls_reason());
        }
        return ST_OK;
    }
    if (SSL_CTX_load_verify_locations(ctx, tls->ca, NULL) != 1) {
        return err_set(err, ST_INVALID,
                       "%s: cannot read PEM CA certificates from it: %s",
                       tls->ca, tls_reason());
    }
    if (tls->side == TLS_SERVER) { /* Tells clients which one to show. */
        SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(tls->ca));
    }
    return ST_OK;
}

/* After a certificate was found good: is it for the right name? */
static int on_verified(int good, X509_STORE_CTX *store)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    char name[256] = "";

    if (!good || X509_STORE_CTX_get_error_depth(store) > 0) {
        return good;
    }
    (void)X509_NAME_get_text_by_NID(
        X509_get_subject_name(X509_STORE_CTX_get_current_cert(store)),
        NID_commonName, name, sizeof(name));
    if (strcmp(name, tls->allowed_cn) != 0) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
        return 0;
    }
    return 1;
}

static void tls_set_rules(const struct tls *tls, SSL_CTX *ctx)
{
    static const unsigned char h2[] = "\x02h2";
    static const unsigned char http1[] = "\x08http/1.1";
    int verify = SSL_VERIFY_NONE;

    CHECK(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (tls->side == TLS_CLIENT) {
        verify = tls->anyone ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
        CHECK(SSL_CTX_set_alpn_protos(
                  ctx, tls->http1 ? http1 : h2,
                  (tls->http1 ? sizeof(http1) : sizeof(h2)) - 1) == 0);
    } else {
        SSL_CTX_set_alpn_select_cb(ctx, on_alpn, tls->alpn);
        if (tls->ticket_key != NULL) {
            CHECK(SSL_CTX_set_tlsext_ticket_keys(ctx, tls->ticket_key,
                                                 TLS_TICKET_KEY_BYTES) == 1);
        }
        CHECK(SSL_CTX_set_session_id_context(
                  ctx, (const unsigned char *)"muster", 6) == 1);
        if (tls->client_auth == TLS_CLIENT_REQUIRED) {
            verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
        }
    }
    SSL_CTX_set_app_data(ctx, (void *)tls);
    SSL_CTX_set_verify(ctx, verify,
                       tls->allowed_cn != NULL ? on_verified : NULL);
}

/* Make a context from what the files hold now. */
static enum status tls_load(const struct tls *tls, SSL_CTX **out_ctx,
                            struct err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(tls->side == TLS_SERVER ? TLS_server_method()
                                                       : TLS_client_method());
    enum status st;

    CHECK(ctx != NULL);
    ERR_clear_error();
    tls_set_rules(tls, ctx);
    st = tls_load_own(tls, ctx, err);
    if (st == ST_OK) {
        st = tls_load_ca(tls, ctx, err);
    }
    if (st) {
        SSL_CTX_free(ctx);
        return st;
    }
    *out_ctx = ctx;
    return ST_OK;
}

/* Before a handshake: take new files over if they load. */
void tls_refresh(struct tls *tls)
{
    struct file_mark now[3];
    struct err err;
    SSL_CTX *ctx;

    tls_look(tls, now);
    if (file_mark_eq(&now[0], &tls->marks[0]) &&
        file_mark_eq(&now[1], &tls->marks[1]) &&
        file_mark_eq(&now[2], &tls->marks[2])) {
        return;
    }
    memcpy(tls->marks, now, sizeof(now)); /* One attempt a change. */
    if (tls_load(tls, &ctx, &err)) {
        log_warn("tls", "%s; still using what was loaded before", err.text);
        return;
    }
    SSL_CTX_free(tls->ctx);
    tls->ctx = ctx;
    log_info("tls", "read %s again, it has changed",
             tls->cert != NULL ? tls->cert : tls->ca);
}

static char *copy(const char *text)
{
    char *copied = text == NULL ? NULL : strdup(text);

    CHECK_IF(text != NULL, copied != NULL);
    return copied;
}

static void tls_keep_rules(struct tls *tls, const struct tls_files *files)
{
    if (files->alpn != NULL) {
        size_t len = strlen(files->alpn);

        CHECK(len > 0 && len < 256);
        tls->alpn = malloc(1 + len);
        CHECK(tls->alpn != NULL);
        tls->alpn[0] = (unsigned char)len;
        memcpy(tls->alpn + 1, files->alpn, len);
    }
    if (files->ticket_key != NULL) {
        tls->ticket_key = malloc(TLS_TICKET_KEY_BYTES);
        CHECK(tls->ticket_key != NULL);
        memcpy(tls->ticket_key, files->ticket_key, TLS_TICKET_KEY_BYTES);
    }
}

static enum status tls_new(enum tls_side side, const struct tls_files *files,
                           enum tls_client_auth client_auth,
                           struct tls **out_tls, struct err *err)
{
    struct tls *tls;
    enum status st;

    if ((files->cert == NULL) != (files->key == NULL)) {
        return err_set(err, ST_INVALID,
                       "certificate and key must be given together, only the "
                       "%s is there",
                       files->cert == NULL ? "key" : "certificate");
    }
    tls = calloc(1, sizeof(*tls));
    CHECK(tls != NULL);
    tls->side = side;
    tls->client_auth = client_auth;
    tls->cert = copy(files->cert);
    tls->key = copy(files->key);
    tls->ca = copy(files->ca);
    tls->allowed_cn = copy(files->allowed_cn);
    tls->http1 = files->http1;
    tls_keep_rules(tls, files);
    tls->anyone = files->anyone;
    tls_look(tls, tls->marks);
    st = tls_load(tls, &tls->ctx, err);
    if (st) {
        tls_free(tls);
        return st;
    }
    *out_tls = tls;
    return ST_OK;
}

enum status tls_server_new(const struct tls_files *files,
                           enum tls_client_auth client_auth,
                           struct tls **out_tls, struct err *err)
{
    if (files->cert == NULL && files->key == NULL) {
        return err_set(err, ST_INVALID,
                       "a TLS listener needs a certificate and a key");
    }
    if (client_auth == TLS_CLIENT_REQUIRED && files->ca == NULL) {
        return err_set(err, ST_INVALID,
                       "clients cannot be verified without the CA "
                       "certificates that they must be signed by");
    }
    return tls_new(TLS_SERVER, files, client_auth, out_tls, err);
}

enum status tls_client_new(const struct tls_files *files, struct tls **out_tls,
                           struct err *err)
{
    return tls_new(TLS_CLIENT, files, TLS_CLIENT_ANY, out_tls, err);
}

struct tls *tls_share(struct tls *tls)
{
    tls->shares++;
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL) {
        return;
    }
    if (tls->shares > 0) {
        tls->shares--;
        return;
    }
    SSL_CTX_free(tls->ctx);
    free(tls->cert);
    free(tls->key);
    free(tls->ca);
    free(tls->allowed_cn);
    free(tls->alpn);
    if (tls->ticket_key != NULL) {
        OPENSSL_cleanse(tls->ticket_key, TLS_TICKET_KEY_BYTES);
    }
    free(tls->ticket_key);
    free(tls);
}

SSL *tls_ssl_new(struct tls *tls)
{
    tls_refresh(tls);
    return SSL_new(tls->ctx);
}
