/*
 * grpc_h2.h - what gRPC's server and client have in common on HTTP/2.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "base/io/grpc_code.h"
#include "base/io/stream.h"

/* Bytes that wait for the socket before HTTP/2 must hold back. */
#define H2_OUT_HIGH ((size_t)256 * 1024)

/* A header; name and value are copied when it is submitted. */
nghttp2_nv h2_nv(const char *name, const char *value);

/* Write a DATA frame: its head of nine bytes, then the payload. */
enum status h2_write_data(struct stream *stream, const uint8_t *head,
                          struct slice payload);

/* A decimal number of at most three digits and at most `max`; for anything else
 * `otherwise`. */
unsigned h2_number(struct slice text, unsigned max, unsigned otherwise);

/* gRPC's "HTTP to gRPC status code mapping", and that of RST_STREAM codes. */
enum grpc_code h2_code_of_http(int status);
enum grpc_code h2_code_of_reset(uint32_t error);
