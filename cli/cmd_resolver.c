#include "cli/cmd_resolver.h"

#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/exit.h"

#define KINDS "resolved, dnsmasq, unbound or bind"

/* Where the agent answers, and for which domains (without a dot at the end). */
struct target {
    const char *host;
    const char *port;
    struct arg_list domains;
};

static void print_resolved(const struct target *t)
{
    (void)printf("# /etc/systemd/resolved.conf.d/muster.conf, then:\n"
                 "#   systemctl restart systemd-resolved\n"
                 "#   resolvectl query NAME.service.%s\n"
                 "[Resolve]\n"
                 "DNS=%s:%s\n"
                 "DNSSEC=no\n"
                 "Domains=",
                 t->domains.items[0], t->host, t->port);
    for (size_t i = 0; i < t->domains.count; i++) {
        (void)printf("%s~%s", i == 0 ? "" : " ", t->domains.items[i]);
    }
    (void)printf("\n");
}

static void print_dnsmasq(const struct target *t)
{
    (void)printf("# /etc/dnsmasq.d/muster.conf, then:\n"
                 "#   systemctl restart dnsmasq\n");
    for (size_t i = 0; i < t->domains.count; i++) {
        (void)printf("server=/%s/%s#%s\n", t->domains.items[i], t->host,
                     t->port);
    }
    (void)printf("# Let answers from private networks pass:\n");
    for (size_t i = 0; i < t->domains.count; i++) {
        (void)printf("rebind-domain-ok=/%s/\n", t->domains.items[i]);
    }
}

static void print_unbound(const struct target *t)
{
    (void)printf("# /etc/unbound/unbound.conf.d/muster.conf, then:\n"
                 "#   unbound-checkconf && systemctl restart unbound\n"
                 "server:\n"
                 "    do-not-query-localhost: no\n");
    for (size_t i = 0; i < t->domains.count; i++) {
        (void)printf("    domain-insecure: \"%s\"\n"
                     "    private-domain: \"%s\"\n",
                     t->domains.items[i], t->domains.items[i]);
    }
    for (size_t i = 0; i < t->domains.count; i++) {
        (void)printf("stub-zone:\n"
                     "    name: \"%s\"\n"
                     "    stub-addr: %s@%s\n",
                     t->domains.items[i], t->host, t->port);
    }
}

static void print_bind(const struct target *t)
{
    (void)printf(
        "// /etc/bind/named.conf.local, then:\n"
        "//   named-checkconf && rndc reload\n"
        "// With dnssec-validation on, name the domains in the options "
        "as well:\n"
        "//   validate-except {");
    for (size_t i = 0; i < t->domains.count; i++) {
        (void)printf(" \"%s\";", t->domains.items[i]);
    }
    (void)printf(" };\n");
    for (size_t i = 0; i < t->domains.count; i++) {
        (void)printf("zone \"%s\" {\n"
                     "    type forward;\n"
                     "    forward only;\n"
                     "    forwarders { %s port %s; };\n"
                     "};\n",
                     t->domains.items[i], t->host, t->port);
    }
}

static const struct kind {
    const char *name;
    void (*print)(const struct target *t);
} kinds[] = {
    {"resolved", print_resolved},
    {"dnsmasq", print_dnsmasq},
    {"unbound", print_unbound},
    {"bind", print_bind},
};

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* "127.0.0.1:8600" or "[::1]:8600" into host and port, in place. */
static bool split_address(char *address, struct target *out_target)
{
    char *colon = strrchr(address, ':');
    bool brackets = address[0] == '[';

    if (colon == NULL || colon == address || colon[1] == '\0' ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1)) {
        return false;
    }
    if (brackets && colon[-1] != ']') {
        return false;
    }
    if (!brackets && strchr(address, ':') != colon) {
        return false;
    }
    colon[brackets ? -1 : 0] = '\0';
    out_target->host = address + (brackets ? 1 : 0);
    out_target->port = colon + 1;
    return true;
}

static int print_kind(const char *name, const char *dns, struct target *t)
{
    const struct kind *kind = find_kind(name);
    char address[256];

    if (kind == NULL) {
        (void)fprintf(stderr,
                      "error: no resolver \"%s\" is known; one of " KINDS "\n",
                      name);
        return CLI_USAGE;
    }
    if (strlen(dns) >= sizeof(address)) {
        (void)fprintf(stderr, "error: --dns is too long\n");
        return CLI_USAGE;
    }
    (void)snprintf(address, sizeof(address), "%s", dns);
    if (!split_address(address, t)) {
        (void)fprintf(stderr,
                      "error: --dns: \"%s\" is not ADDR:PORT, as 127.0.0.1:8600"
                      " or [::1]:8600\n",
                      dns);
        return CLI_USAGE;
    }
    kind->print(t);
    return CLI_OK;
}

int cmd_resolver(int argc, char **argv)
{
    const char *dns;
    struct target target = {0};
    const struct arg_option options[] = {
        {.name = "dns",
         .kind = ARG_STRING,
         .string = &dns,
         .metavar = "ADDR:PORT",
         .fallback = "127.0.0.1:8600",
         .help = "where the agent answers DNS"},
        {.name = "domain",
         .kind = ARG_LIST,
         .list = &target.domains,
         .metavar = "NAME[,NAME]",
         .fallback = "muster.internal,consul",
         .help = "the domains it answers for"},
    };
    const struct arg_spec spec = {
        .command = "setup-resolver",
        .positionals = "RESOLVER",
        .about = "Print the configuration that makes this host's resolver ask "
                 "the agent for its domains.\nRESOLVER is " KINDS
                 ". Nothing is changed.",
        .examples = "muster setup-resolver resolved\n"
                    "muster setup-resolver unbound --dns '[::1]:8600'\n"
                    "muster setup-resolver dnsmasq --domain consul "
                    ">/etc/dnsmasq.d/muster.conf",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 1,
    };
    struct args args;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    code = print_kind(args.positionals[0], dns, &target);
    args_release(&args);
    return code;
}
