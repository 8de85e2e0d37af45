/*
 * lmdb_file.h - an LMDB file is as long as its root says, and takes no more
 * memory than it needs.
 *
 * LMDB reads by a map, and a page behind the end of the file is a SIGBUS. Two
 * things make a file shorter than its root says: it was cut, or a transaction
 * has freed again the last pages that it took, which LMDB then never writes.
 *
 * The kernel maps the neighbours of a page that is read, so writing to a few
 * places of a file that is nowhere read makes the whole of it resident.
 */
#pragma once

#include <lmdb.h>
#include <stddef.h>

/* Lengthen the file with zeros to what its root says. A free page may hold
 * anything, and where LMDB looks for a page that was in use it finds none:
 * MDB_CORRUPTED. Returns 0 or an errno. Call it on the thread that writes. */
int lmdb_file_fill(MDB_env *env);

/* Where an environment's file is mapped, by /proc/self/maps; len 0: not to be
 * found. Good until the environment is closed. */
struct lmdb_map {
    void *at;
    size_t len; /* Bytes. */
};

void lmdb_file_map(MDB_env *env, struct lmdb_map *out_map);

/* Its pages need not be resident any longer; what is read again comes from the
 * page cache. On any thread, at any time. */
void lmdb_map_release(const struct lmdb_map *map);
