#include "base/core/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"

/* The first block is of a size that malloc() gives quickly (glibc keeps what is
 * at most 1 032 bytes by thread); each further one is twice as large. */
enum {
    FIRST_BLOCK_BYTES = 960,
    SMALL_BLOCK_BYTES = 256,
    BLOCK_BYTES = 4096,
    ALIGNMENT = 16
};

struct arena_block {
    struct arena_block *next;
    size_t cap;
    _Alignas(ALIGNMENT) uint8_t bytes[];
};

static struct arena_block *block_new(size_t cap, struct arena_block *next)
{
    struct arena_block *block;

    CHECK(cap <= SIZE_MAX - sizeof(*block));
    block = malloc(sizeof(*block) + cap);
    CHECK(block != NULL);
    block->next = next;
    block->cap = cap;
    return block;
}

void arena_release(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *block = a->blocks;

        a->blocks = block->next;
        free(block);
    }
    a->used = 0;
    a->text = 0;
}

void arena_reset(struct arena *a)
{
    struct arena_block *kept = a->blocks;

    if (kept == NULL) {
        return;
    }
    a->blocks = kept->next;
    arena_release(a);
    if (kept->cap > 16 * BLOCK_BYTES) { /* One big request must not stay. */
        free(kept);
        return;
    }
    kept->next = NULL;
    a->blocks = kept;
}

void arena_reserve(struct arena *a, size_t bytes)
{
    a->blocks = block_new(bytes, a->blocks);
    a->used = 0;
    a->text = 0;
}

static size_t next_cap(size_t cap)
{
    if (cap < SMALL_BLOCK_BYTES / 2) {
        return SMALL_BLOCK_BYTES;
    }
    return cap < BLOCK_BYTES / 2 ? 2 * cap : BLOCK_BYTES;
}

/* See to it that the newest block has room for so much. */
static void make_room(struct arena *a, size_t size)
{
    size_t cap = FIRST_BLOCK_BYTES;

    if (a->blocks != NULL) {
        if (a->blocks->cap - a->used - a->text >= size) {
            return;
        }
        cap = next_cap(a->blocks->cap);
    }
    if (size > cap / 2) {
        CHECK(size <= SIZE_MAX - cap);
        cap += size;
    }
    arena_reserve(a, cap);
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    void *memory;

    CHECK(rounded >= size);
    make_room(a, rounded);
    memory = a->blocks->bytes + a->used;
    a->used += rounded;
    return memory;
}

/* Bytes need no alignment: they are taken from the block's end. */
static void *text_alloc(struct arena *a, size_t size)
{
    make_room(a, size);
    a->text += size;
    return a->blocks->bytes + a->blocks->cap - a->text;
}

void *arena_zalloc(struct arena *a, size_t count, size_t size)
{
    void *memory;

    CHECK(size == 0 || count <= SIZE_MAX / size);
    memory = arena_alloc(a, count * size);
    memset(memory, 0, count * size);
    return memory;
}

struct slice arena_copy(struct arena *a, struct slice bytes)
{
    uint8_t *memory = text_alloc(a, bytes.len);

    if (bytes.len > 0) {
        memcpy(memory, bytes.data, bytes.len);
    }
    return slice_of(memory, bytes.len);
}

char *arena_strdup(struct arena *a, struct slice text)
{
    char *memory = text_alloc(a, text.len + 1);

    if (text.len > 0) {
        memcpy(memory, text.data, text.len);
    }
    memory[text.len] = '\0';
    return memory;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_list again;
    char *memory;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    memory = text_alloc(a, (size_t)len + 1);
    (void)vsnprintf(memory, (size_t)len + 1, format, again);
    va_end(again);
    return memory;
}
