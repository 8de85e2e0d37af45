/*
 * pb_arena.h - protobuf-c decoding into an arena.
 *
 * What comes out lives as long as the arena and is never freed by itself, so a
 * decoded request needs no clean-up of its own.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/core/arena.h"

/* Decode `bytes`; NULL when they are not such a message. Generated decoders
 * recurse as deep as the message nests: for recursive messages check the depth
 * first. */
void *pb_decode(struct arena *arena, const ProtobufCMessageDescriptor *type,
                struct slice bytes);

/* Pack `message` behind what `b` holds. CHECKs that the limit has room. */
void pb_encode(struct buf *b, const ProtobufCMessage *message);
