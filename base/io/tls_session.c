#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/io/tls_impl.h"

struct tls_session {
    SSL *ssl;
    struct slice in; /* What the socket brought and SSL has not read. */
    struct buf *out;
    char why[160];
};

/* ---- the BIO: SSL's end of the two buffers ---- */

static int bio_read(BIO *bio, char *space, int cap)
{
    struct tls_session *t = BIO_get_data(bio);
    size_t count = t->in.len < (size_t)cap ? t->in.len : (size_t)cap;

    BIO_clear_retry_flags(bio);
    if (count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(space, t->in.data, count);
    t->in = slice_skip(t->in, count);
    return (int)count;
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
    struct tls_session *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    return buf_add(t->out, slice_of(bytes, (size_t)len)) ? -1 : len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* Nothing else makes sense here. */
}

static BIO_METHOD *bio_method;

static void bio_method_make(void)
{
    bio_method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "two buffers");
    CHECK(bio_method != NULL);
    CHECK(BIO_meth_set_read(bio_method, bio_read) == 1);
    CHECK(BIO_meth_set_write(bio_method, bio_write) == 1);
    CHECK(BIO_meth_set_ctrl(bio_method, bio_ctrl) == 1);
}

/* Made once a process: loops of several threads use it. */
static BIO *bio_new(struct tls_session *t)
{
    static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
    BIO *bio;

    CHECK(CRYPTO_THREAD_run_once(&once, bio_method_make) == 1);
    bio = BIO_new(bio_method);
    if (bio != NULL) {
        BIO_set_data(bio, t);
        BIO_set_init(bio, 1);
    }
    return bio;
}

/* ---- sessions ---- */

static struct tls_session *session_new(struct tls *tls, struct buf *out)
{
    struct tls_session *t = calloc(1, sizeof(*t));
    BIO *bio;

    CHECK(t != NULL);
    t->out = out;
    t->ssl = tls_ssl_new(tls);
    bio = bio_new(t);
    if (t->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        tls_session_free(t);
        return NULL;
    }
    SSL_set_bio(t->ssl, bio, bio); /* Owns it now; one for both ways. */
    return t;
}

struct tls_session *tls_session_accept(struct tls *tls, struct buf *out)
{
    struct tls_session *t = session_new(tls, out);

    if (t != NULL) {
        SSL_set_accept_state(t->ssl);
    }
    return t;
}

/* The certificate must be for this name or address. */
static bool session_expect(struct tls_session *t, const char *name)
{
    struct in6_addr address;

    if (inet_pton(AF_INET, name, &address) == 1 ||
        inet_pton(AF_INET6, name, &address) == 1) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), name) == 1;
    }
    return SSL_set1_host(t->ssl, name) == 1 &&
           SSL_set_tlsext_host_name(t->ssl, name) == 1;
}

struct tls_session *tls_session_connect(struct tls *tls, struct buf *out,
                                        const char *server_name)
{
    struct tls_session *t = session_new(tls, out);

    if (t == NULL) {
        return NULL;
    }
    SSL_set_connect_state(t->ssl);
    if (!session_expect(t, server_name)) {
        tls_session_free(t);
        return NULL;
    }
    return t;
}

void tls_session_free(struct tls_session *t)
{
    if (t == NULL) {
        return;
    }
    SSL_free(t->ssl);
    free(t);
}

void tls_session_feed(struct tls_session *t, struct slice bytes)
{
    t->in = bytes;
}

static void session_keep_reason(struct tls_session *t)
{
    long verified = SSL_get_verify_result(t->ssl);
    const char *reason = tls_reason();

    if (verified != X509_V_OK) {
        reason = X509_verify_cert_error_string(verified);
    }
    (void)snprintf(t->why, sizeof(t->why), "%s", reason);
}

/* What the result of an SSL_ function means for us. */
static enum tls_progress session_progress(struct tls_session *t, int result)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_NONE:
        return TLS_DONE;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return TLS_WAITS;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_ENDED;
    default:
        session_keep_reason(t);
        return TLS_FAILED;
    }
}

enum tls_progress tls_session_handshake(struct tls_session *t)
{
    ERR_clear_error();
    return session_progress(t, SSL_do_handshake(t->ssl));
}

enum tls_progress tls_session_read(struct tls_session *t, uint8_t *space,
                                   size_t cap, size_t *out_len)
{
    ERR_clear_error();
    return session_progress(t, SSL_read_ex(t->ssl, space, cap, out_len));
}

enum tls_progress tls_session_write(struct tls_session *t, struct slice bytes)
{
    size_t len;

    ERR_clear_error();
    return session_progress(t,
                            SSL_write_ex(t->ssl, bytes.data, bytes.len, &len));
}

void tls_session_goodbye(struct tls_session *t)
{
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl); /* We do not wait for the answer. */
    ERR_clear_error();
}

struct slice tls_session_alpn(const struct tls_session *t)
{
    const unsigned char *name;
    unsigned len;

    SSL_get0_alpn_selected(t->ssl, &name, &len);
    return slice_of(name, len);
}

const char *tls_session_why(const struct tls_session *t)
{
    return t->why;
}
