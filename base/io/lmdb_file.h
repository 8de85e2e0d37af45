/*
 * lmdb_file.h - an LMDB file is as long as its root says.
 *
 * LMDB reads by a map, and a page behind the end of the file is a SIGBUS. Two
 * things make a file shorter than its root says: it was cut, or a transaction
 * has freed again the last pages that it took, which LMDB then never writes.
 */
#pragma once

#include <lmdb.h>

/* Lengthen the file with zeros to what its root says. A free page may hold
 * anything, and where LMDB looks for a page that was in use it finds none:
 * MDB_CORRUPTED. Returns 0 or an errno. Call it on the thread that writes. */
int lmdb_file_fill(MDB_env *env);
