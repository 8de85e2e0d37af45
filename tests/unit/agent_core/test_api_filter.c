#include "agent/core/api.h"

#include <stdio.h>

#include "api_world.h"

/* What is left of each list; `has` lists names that are there, the others that
 * stage_two_hosts() made are not. */
static const struct {
    const char *line;
    const char *has;
    const char *lacks;
} filtered[] = {
    {"/v1/catalog/services?filter=ServiceName+matches+%22^bil%22", "billing",
     "lpd"},
    {"/v1/catalog/services?filter=NodeMeta.zone!=b", "lpd", "billing"},
    {"/v1/catalog/services?filter=v3+in+ServiceTags", "eu", "lpd"},
    {"/v1/catalog/service/billing?filter=ServicePort==9400", "billing-1", "xx"},
    {"/v1/catalog/service/billing?filter=ServicePort==1", "[]", "billing-1"},
    {"/v1/catalog/nodes?filter=Meta.zone==b", "edge", "printer"},
    {"/v1/catalog/nodes?filter=Address==10.0.0.99+or+Node==x", "printer",
     "edge"},
    {"/v1/catalog/nodes?filter=TaggedAddresses.lan+is+not+empty", "edge",
     "printer"},
    {"/v1/catalog/node/edge?filter=eu+in+Tags", "billing-1", "xx"},
    {"/v1/catalog/node/edge?filter=eu+not+in+Tags", "edge", "billing-1"},
    {"/v1/catalog/node-services/edge?filter=Port==1", "edge", "billing-1"},
    {"/v1/health/service/billing?filter=Node.Meta.zone==b+and+"
     "Service.Weights.Passing==20+and+Checks.Status==passing",
     "billing-1", "xx"},
    {"/v1/health/service/billing?filter=Checks.Status!=passing", "[]",
     "billing"},
    {"/v1/health/service/billing?filter=Checks.CheckID==serfHealth", "edge",
     "xx"},
    {"/v1/health/service/lpd?filter=Checks.Output+contains+low", "paper",
     "edge"},
    {"/v1/health/checks/lpd?filter=Status==warning", "paper", "xx"},
    {"/v1/health/checks/lpd?filter=Status!=warning", "[]", "paper"},
    {"/v1/health/node/edge?filter=ServiceName==billing", "service:billing-1",
     "serfHealth"},
    {"/v1/health/state/any?filter=Name+matches+Paper", "paper", "billing"},
    {"/v1/health/state/any?filter=eu+in+ServiceTags", "billing", "paper"},
    {"/v1/agent/services?filter=Service==billing+and+Meta.team==pay",
     "billing-1", "xx"},
    {"/v1/agent/services?filter=Datacenter!=dc1", "{}", "billing-1"},
    {"/v1/agent/checks?filter=Type==http", "service:billing-1", "xx"},
    {"/v1/agent/checks?filter=Type==tcp", "{}", "service:billing-1"},
};

START_TEST(filter_chooses)
{
    struct fake f;
    const char *body;
    char line[256];

    stage_two_hosts(&f);
    (void)snprintf(line, sizeof(line), "GET %s", filtered[_i].line);
    body = fake_reply(&f, line, "", 200);
    ck_assert_msg(strstr(body, filtered[_i].has) != NULL, "%s: %s", line, body);
    ck_assert_msg(strstr(body, filtered[_i].lacks) == NULL, "%s: %s", line,
                  body);
    fake_stop(&f);
}
END_TEST

UNIT_MAIN("api_filter",
          { tcase_add_loop_test(tc, filter_chooses, 0, COUNT_OF(filtered)); })
