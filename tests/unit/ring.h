/* A key ring in a folder of its own, for the tests of what stands on one. */
#pragma once
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/keyring.h"

struct ring {
    char folder[64];
    struct keyring *keys;
};

static inline struct ring ring_make(void)
{
    struct ring ring = { .folder = "/tmp/utvag-ring-XXXXXX" };
    char error[256] = "";
    ck_assert_ptr_nonnull(mkdtemp(ring.folder));
    ck_assert_msg(keyring_init(ring.folder, error, sizeof error), "%s", error);
    ring.keys = keyring_open(ring.folder, error, sizeof error);
    ck_assert_msg(ring.keys != NULL, "%s", error);
    return ring;
}

static inline void ring_reopen(struct ring *ring)
{
    char error[256] = "";
    keyring_free(ring->keys);
    ring->keys = keyring_open(ring->folder, error, sizeof error);
    ck_assert_msg(ring->keys != NULL, "%s", error);
}

static inline void ring_drop(struct ring *ring)
{
    char command[96];
    keyring_free(ring->keys);
    snprintf(command, sizeof command, "rm -rf '%s'", ring->folder);
    ck_assert_int_eq(system(command), 0);
}

/* The main function of a test program: runs each named test in a case of its own. */
static inline int ring_run(const char *name, TCase *tests)
{
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
