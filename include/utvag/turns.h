/* How many requests are carried out at once. Who comes when all places are taken waits a little for one, and is refused only
   then: refusing at once would let those who ask again at once take the processors from those who are being answered. */
#pragma once
#include <stdbool.h>

struct turns;
/* most: places; wait_ms: how long one waits at most. NULL when out of memory. */
struct turns *turns_new(int most, int wait_ms);
void turns_free(struct turns *turns); /* NULL is allowed; nobody holds a place or waits for one */
/* A place, or false. Whoever got one gives it back. Safe from any thread. */
bool turns_take(struct turns *turns) __attribute__((warn_unused_result));
void turns_give(struct turns *turns);
/* How many may be at the door, asking to come in, where so many are carried out. */
int turns_at_door(int most);
