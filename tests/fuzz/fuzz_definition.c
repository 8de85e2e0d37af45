/*
 * A sidecar file or an API body may hold anything. Reading it must not crash,
 * a refusal must come with words, and what is accepted must mean the same when
 * written and read again. The first byte chooses the form.
 */
#include "agent/core/definition.h"
#include "base/core/check.h"
#include "fuzz.h"

static void write_all(const struct definitions *defs, struct buf *out)
{
    for (size_t i = 0; i < definitions_services_count(defs); i++) {
        CHECK(service_def_write(definitions_service(defs, i), out) == ST_OK);
    }
    for (size_t i = 0; i < definitions_checks_count(defs); i++) {
        CHECK(check_def_write(definitions_check(defs, i), out) == ST_OK);
    }
}

static void round_trip(enum definition_form form,
                       const struct definitions *defs)
{
    struct definitions *again = NULL;
    struct buf first;
    struct buf second;
    struct err err;

    buf_init(&first, 16 * LIMIT_DEFINITION_BYTES);
    buf_init(&second, 16 * LIMIT_DEFINITION_BYTES);
    write_all(defs, &first);
    if (first.len <= LIMIT_DEFINITION_BYTES) {
        CHECK(definitions_parse(form, "-", buf_slice(&first), &again, &err) ==
              ST_OK);
        write_all(again, &second);
        CHECK(slice_eq(buf_slice(&first), buf_slice(&second)));
    }
    definitions_unref(again);
    buf_release(&first);
    buf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum definition_form forms[] = {
        DEFINITION_FILE, DEFINITION_SERVICE, DEFINITION_CHECK};
    struct definitions *defs = NULL;
    struct err err = {0};
    enum definition_form form;

    if (size == 0) {
        return 0;
    }
    form = forms[data[0] % 3];
    if (definitions_parse(form, form == DEFINITION_FILE ? "fuzz.json" : "-",
                          slice_of(data + 1, size - 1), &defs, &err)) {
        CHECK(err.text[0] != '\0');
        return 0;
    }
    if (form != DEFINITION_FILE) {
        round_trip(form, defs);
    }
    definitions_unref(defs);
    return 0;
}
