/*
 * transfer_names.h - the names of a service that a secondary is told of. For
 * this room only.
 */
#pragma once

#include "dns/core/content.h"

/* Zeroed at first; `items` is to be freed. */
struct dns_names {
    struct dns_name *items;
    size_t count;
    size_t cap;
};

void dns_names_add(struct dns_names *all, const struct dns_name *name);
/* In order, each once. */
void dns_names_sort(struct dns_names *all);

/* "_<service>._<second>.service", if it can be one. */
void dns_names_add_underscored(struct dns_names *all,
                               const struct dns_service *s,
                               struct slice second);

/* By its tags and named ports: "v3.web.service", "http.port.web.service" are
 * plain, "_web._v3.service" is underscored. */
void dns_names_of_member(struct dns_names *plain, struct dns_names *underscored,
                         const struct dns_entry *e, const struct dns_member *m);
