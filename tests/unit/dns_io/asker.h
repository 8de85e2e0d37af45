/*
 * asker.h - a client on loopback: one question, one response, looked at.
 */
#pragma once

#include <ldns/ldns.h>
#include <stdint.h>

/* A socket of `type` connected to 127.0.0.1:port; reading gives up in time. */
int asker_socket(uint16_t port, int type);

/* A query with RD and an OPT of 4096 bytes at out + 2, its length in front as
 * over TCP; returns the length of both. `out` has room for 512 bytes. */
size_t asker_query(const char *name, uint16_t type, uint16_t id, uint8_t *out);

/* The response, whose id, question (letter by letter) and RA are checked. */
ldns_pkt *ask_udp(uint16_t port, const char *name, uint16_t type);
ldns_pkt *ask_tcp(uint16_t port, const char *name, uint16_t type);

/* "<rcode> <data> <data> e<error>", the answers' data in order; frees. The text
 * is good until the next call. */
const char *say(ldns_pkt *pkt);
