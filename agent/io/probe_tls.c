/* Whom checks over TLS trust: a context for each set of settings in use. */

#include <stdlib.h>

#include "agent/io/probe_impl.h"
#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/io/tls.h"

struct probe_tls {
    struct probe_tls *next;
    struct tls *tls;
    bool anyone;
    bool http1;
    char ca[]; /* "": the system's. */
};

static struct probe_tls *tls_find(const struct probe_host *host,
                                  const struct tls_files *files,
                                  unsigned *out_count)
{
    struct probe_tls *t = host->tls;

    *out_count = 0;
    while (t != NULL &&
           (t->anyone != files->anyone || t->http1 != files->http1 ||
            strcmp(t->ca, files->ca == NULL ? "" : files->ca) != 0)) {
        (*out_count)++;
        t = t->next;
    }
    return t;
}

struct tls *probe_tls_get(struct probe_host *host,
                          const struct probe_spec *spec, bool http1,
                          struct err *out_err)
{
    const char *ca = spec->tls_ca_file == NULL ? "" : spec->tls_ca_file;
    struct tls_files files = {.ca = *ca == '\0' ? NULL : ca,
                              .anyone = spec->tls_skip_verify,
                              .http1 = http1};
    unsigned count;
    struct probe_tls *t = tls_find(host, &files, &count);
    struct tls *tls = NULL;

    if (t != NULL) {
        return t->tls;
    }
    if (count >= LIMIT_PROBE_TLS) {
        (void)err_set(out_err, ST_TOO_BIG,
                      "more than %d different tls_ca_file are in use",
                      LIMIT_PROBE_TLS);
        return NULL;
    }
    if (tls_client_new(&files, &tls, out_err)) {
        return NULL;
    }
    t = calloc(1, sizeof(*t) + strlen(ca) + 1);
    CHECK(t != NULL);
    t->tls = tls;
    t->anyone = files.anyone;
    t->http1 = http1;
    memcpy(t->ca, ca, strlen(ca) + 1);
    t->next = host->tls;
    host->tls = t;
    return tls;
}

void probe_tls_free(struct probe_host *host)
{
    while (host->tls != NULL) {
        struct probe_tls *t = host->tls;

        host->tls = t->next;
        tls_free(t->tls);
        free(t);
    }
}
