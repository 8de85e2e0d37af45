/*
 * fake_upstream.h - a recursor that does as the name's first label says.
 *
 * On 127.0.0.1, UDP and TCP, one thread. Its own address is the answer to A
 * ("192.0.2.<number>"), 2001:db8::<number> to AAAA.
 *
 *     ok         answers; "nx": no such name, with a SOA of 60 s
 *     servfail   refused  lame     says so
 *     silent     says nothing; so does whatever is asked while `mute` is set
 *     wrongid    sends the answer with a wrong id first
 *     wrongname  sends an answer to another question, with our id, first
 *     lower      spells the question in lower case over UDP
 *     poison     adds records that have nothing to do with the question
 *     formerr    does not understand OPT
 *     garbage    sends a broken message
 *     long       is truncated over UDP; over TCP 60 addresses
 *     huge       is truncated over UDP; over TCP 64 KiB
 *     alias      is a CNAME of ok.other, whose address is there as well
 *     brief      as ok, with a TTL of 1 s
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fake_upstream {
    uint8_t number;
    uint16_t port;
    char address[32]; /* "127.0.0.1:port" */
    int udp;
    int tcp;
    _Atomic bool stop;
    _Atomic bool mute;
    _Atomic bool stalls;       /* Says nothing until it is cleared. */
    _Atomic bool polite;       /* Answers whatever the name says. */
    _Atomic unsigned seen;     /* Questions. */
    _Atomic unsigned seen_tcp; /* Those of them over TCP. */
    pthread_t thread;
};

void fake_upstream_start(struct fake_upstream *u, uint8_t number);
void fake_upstream_stop(struct fake_upstream *u);
