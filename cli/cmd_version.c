#include "cli/cmd_version.h"

#include <ares.h>
#include <jansson.h>
#include <ldns/ldns.h>
#include <lmdb.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <uv.h>

#include "cli/args.h"
#include "cli/exit.h"

static void print_libraries(void)
{
    (void)printf("libuv %s\n", uv_version_string());
    (void)printf("nghttp2 %s\n", nghttp2_version(0)->version_str);
    (void)printf("LMDB %s\n", mdb_version(NULL, NULL, NULL));
    (void)printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
    (void)printf("ldns %s\n", ldns_version());
    (void)printf("c-ares %s\n", ares_version(NULL));
    (void)printf("jansson %s\n", jansson_version_str());
}

int cmd_version(int argc, char **argv)
{
    bool all = false;
    const struct arg_option options[] = {
        {.name = "all",
         .kind = ARG_BOOL,
         .boolean = &all,
         .help = "also the libraries that are in use"},
    };
    const struct arg_spec spec = {
        .command = "version",
        .about = "Print the version.",
        .examples = "muster version\nmuster version --all\n",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
    };
    struct args args;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    (void)printf("muster %s\n", MUSTER_VERSION);
    if (all) {
        print_libraries();
    }
    args_release(&args);
    return CLI_OK;
}
