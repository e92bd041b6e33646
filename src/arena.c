#include "utvag/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISONED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONED 1
#endif
#endif

#ifdef POISONED
#include <sanitizer/asan_interface.h>
enum { GAP = 16 }; /* never handed out, so that running over the end of a piece is caught */
#else
enum { GAP = 0 };
#define ASAN_POISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#endif

enum { BLOCK_BYTES = 64 * 1024, SHORT_TEXT = 256, ALIGNMENT = _Alignof(max_align_t) };

/* Bytes past `used` are zero, always. */
struct block {
    struct block *next;
    size_t size, used;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct block *blocks; /* the one in use first, the kept one last */
    size_t ceiling, given;
};

struct arena *arena_new(size_t ceiling)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (arena) arena->ceiling = ceiling;
    return arena;
}

/* What a request held is personal data: it does not stay in memory after the answer. */
static void block_wipe(struct block *block)
{
    ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->size);
    explicit_bzero(block->bytes, block->used);
    block->used = 0;
}

static void block_free(struct block *block)
{
    block_wipe(block);
    free(block);
}

void arena_free(struct arena *arena)
{
    if (!arena) return;
    while (arena->blocks) {
        struct block *block = arena->blocks;
        arena->blocks = block->next;
        block_free(block);
    }
    free(arena);
}

/* Keeps one block of the usual size, so that most requests allocate nothing. */
void arena_reset(struct arena *arena)
{
    struct block *kept = NULL;

    while (arena->blocks) {
        struct block *block = arena->blocks;
        arena->blocks = block->next;
        if (kept || block->size != BLOCK_BYTES) {
            block_free(block);
            continue;
        }
        block_wipe(block);
        ASAN_POISON_MEMORY_REGION(block->bytes, block->size);
        block->next = NULL;
        kept = block;
    }
    arena->blocks = kept;
    arena->given = 0;
}

static struct block *block_add(struct arena *arena, size_t size)
{
    size_t bytes = size > BLOCK_BYTES ? size : BLOCK_BYTES;
    struct block *block = calloc(1, sizeof *block + bytes);

    if (!block) return NULL;
    block->size = bytes;
    ASAN_POISON_MEMORY_REGION(block->bytes, bytes);
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t left = arena->ceiling - arena->given;
    if (size > left) return NULL;
    size_t taken = ((size ? size : 1) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (taken > left) return NULL;

    struct block *block = arena->blocks;
    if (!block || taken + GAP > block->size - block->used) block = block_add(arena, taken + GAP);
    if (!block) return NULL;
    void *piece = block->bytes + block->used;
    block->used += taken + GAP;
    arena->given += taken;
    ASAN_UNPOISON_MEMORY_REGION(piece, size);
    return piece;
}

char *arena_copy(struct arena *arena, const char *bytes, size_t length)
{
    if (length == SIZE_MAX) return NULL;
    char *copy = arena_alloc(arena, length + 1);
    if (copy && length > 0) memcpy(copy, bytes, length);
    return copy;
}

char *arena_text(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;
    char shorter[SHORT_TEXT]; /* most are: formatted once, and copied */

    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(shorter, sizeof shorter, format, arguments);
    char *text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1);
    if (text && length < SHORT_TEXT)
        memcpy(text, shorter, (size_t)length + 1);
    else if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    explicit_bzero(shorter, sizeof shorter);
    va_end(again);
    va_end(arguments);
    return text;
}
