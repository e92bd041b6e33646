/* What a fuzzer plays on: the real contract, bound, its router, and an arena. Whatever fails here aborts. */
#pragma once
#include <stdint.h>

#include "utvag/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Made at the first call. */
struct service *stage_service(void);
struct arena *stage_arena(void);
/* Keys of chance, made anew for each run, so that no input can hold what they sign. */
struct keyring *stage_keyring(void);
/* Input as a C string of its own size, so that AddressSanitizer knows where it ends; free it. */
char *stage_text(const uint8_t *bytes, size_t size);
/* Percent-encodes every byte but letters and digits, into the arena. */
const char *stage_encode(const char *text);
