/*
 * mem_disk.h - a disk in memory that can be cut off, torn and made to fail.
 *
 * Writes change what is read at once; what survives mem_disk_crash() is decided
 * sector by sector, and name by name, unless it was synced.
 */
#pragma once

#include "store/wal/disk.h"

#define SECTOR_BYTES 512

struct mem_disk;
struct rng;

struct mem_disk *mem_disk_new(void);
void mem_disk_free(struct mem_disk *m);
struct disk *mem_disk_port(struct mem_disk *m);

/* Sectors that differ from what is synced, and names not synced. */
size_t mem_disk_dirty_sectors(const struct mem_disk *m);
size_t mem_disk_dirty_names(const struct mem_disk *m);

/* Power is cut: the i-th dirty sector is kept when bit i % 64 of `keep` is
 * set, and the first `names` changes of names. All handles must be closed. */
void mem_disk_crash(struct mem_disk *m, uint64_t keep, size_t names);

/* The n-th call from now on (1: the next) fails with `st`; a write then reaches
 * half of its sectors. 0: none. */
void mem_disk_fail_at(struct mem_disk *m, size_t n, enum status st);
size_t mem_disk_calls(const struct mem_disk *m);

/* commit() puts its work off until mem_disk_finish(), which returns what the
 * owner is to be told. */
void mem_disk_put_off(struct mem_disk *m);
bool mem_disk_busy(const struct mem_disk *m);
enum status mem_disk_finish(struct mem_disk *m);

/* The bytes of a file, now and on the platter both. NULL: no such file. */
uint8_t *mem_disk_bytes(struct mem_disk *m, const char *name, size_t *out_size);
void mem_disk_flip(struct mem_disk *m, const char *name, size_t offset,
                   uint8_t mask);
/* Flip a bit somewhere in a log file, but before the place of the commit that
 * was synced last: something whole lies behind it. false: no such place. */
bool mem_disk_rot(struct mem_disk *m, struct rng *rng);
size_t mem_disk_files(const struct mem_disk *m);
void mem_disk_remove(struct mem_disk *m, const char *name);
size_t mem_disk_syncs(const struct mem_disk *m);
size_t mem_disk_prepared(const struct mem_disk *m);
