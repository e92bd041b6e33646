/* Memory of one request: blocks bound to a worker, emptied at the end of the answer, with a hard ceiling.
   Nothing taken from an arena is freed by hand. Not for use by two threads. */
#pragma once
#include <stddef.h>

struct arena;

/* ceiling: bytes at most between two resets; beyond it arena_alloc returns NULL. */
struct arena *arena_new(size_t ceiling);
void arena_free(struct arena *arena);
/* Everything taken is gone: its bytes are overwritten, for they may be personal data. */
void arena_reset(struct arena *arena);

/* Zeroed and aligned for any type; NULL above the ceiling or out of memory. */
void *arena_alloc(struct arena *arena, size_t size);
char *arena_copy(struct arena *arena, const char *bytes, size_t length); /* adds a NUL */
char *arena_text(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
