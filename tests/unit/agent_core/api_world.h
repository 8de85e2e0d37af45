/*
 * api_world.h - what tests of the HTTP API begin with, and look at in a reply:
 * its header fields and its index.
 */
#pragma once

#include "agent/core/api.h"
#include "fake_store.h"
#include "suite.h"

/* A host with one service, "billing" with a passing check, in the store at
 * revision 3, and one without agent, "printer" with the service "lpd", whose
 * check warns, at revision 4. */
static inline void stage_two_hosts(struct fake *f)
{
    fake_start(f);
    (void)fake_reply(
        f, "PUT /v1/agent/service/register",
        "{\"ID\":\"billing-1\",\"Name\":\"billing\",\"Port\":9400,\"Tags\":"
        "[\"v3\",\"eu\"],\"Meta\":{\"team\":\"pay\"},\"Weights\":{\"Passing\":"
        "20,\"Warning\":2},\"Check\":{\"HTTP\":\"http://127.0.0.1:9400/\","
        "\"Interval\":\"5s\",\"Timeout\":\"800ms\",\"Status\":\"passing\"}}",
        200);
    (void)fake_settle(f);
    (void)fake_reply(f, "PUT /v1/catalog/register",
                     "{\"Node\":\"printer\",\"Address\":\"10.0.0.99\",\"ID\":"
                     "\"p-1\",\"Service\":{\"Service\":\"lpd\",\"Port\":515},"
                     "\"Check\":{\"Node\":\"printer\",\"CheckID\":\"paper\","
                     "\"Name\":\"Paper\",\"Status\":\"warning\",\"Output\":"
                     "\"low\",\"ServiceID\":\"lpd\"}}",
                     200);
    ck_assert_int_eq(f->revision, 4);
}

/* NULL: the reply has no such field. */
static inline const char *header(const struct api_outcome *o, const char *name)
{
    for (size_t i = 0; i < o->headers_count; i++) {
        if (strcmp(o->headers[i].name, name) == 0) {
            return o->headers[i].value;
        }
    }
    return NULL;
}

/* Of the reply to a request that does not wait. */
static inline uint64_t index_of(struct fake *f, const char *line)
{
    struct api_outcome o;
    uint64_t index;

    fake_ask(f, line, "", &o);
    ck_assert_int_eq(o.kind, API_REPLY);
    ck_assert_ptr_nonnull(header(&o, "X-Consul-Index"));
    index = strtoull(header(&o, "X-Consul-Index"), NULL, 10);
    api_outcome_release(&o);
    return index;
}
