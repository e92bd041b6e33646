/* What the folder of a key ring held at one moment: read once, immutable from then on. Part of the key ring. */
#pragma once
#include "utvag/keyfolder.h"
#include "utvag/keyring.h"

enum { KEY_USES = KEY_MAC + 1, MOST_VERSIONS = 999, MOST_SIGNING = 8, NAME_BYTES = 80 };

struct versions {
    int current; /* the one in use; others open what they once closed, or wait for their turn */
    bool known[MOST_VERSIONS + 1];
    unsigned char key[MOST_VERSIONS + 1][KEY_BYTES];
};

struct keyring_state {
    struct versions versions[KEY_USES];
    struct signing_key signing[MOST_SIGNING]; /* the current one, the next one, then older ones */
    size_t signing_count;
    unsigned generation;
    struct keyring_state *older; /* kept: whoever reads may still hold its texts */
};

/* NULL with the folder's reason, which holds no key. */
struct keyring_state *keyring_state_read(struct keyfolder *folder);
void keyring_state_free(struct keyring_state *state); /* overwrites the keys */
/* Whether both hold the same keys, in the same use. */
bool keyring_state_equal(const struct keyring_state *one, const struct keyring_state *other);

/* Names in the folder. */
void keyring_key_name(int use, int version, char out[NAME_BYTES]);
void keyring_signing_name(const char *kid, char out[NAME_BYTES]);
bool keyring_is_signing_name(const char *name);
/* 0: there is none; -1: the folder cannot be listed. */
int keyring_newest(struct keyfolder *folder, int use);
/* The version that kek-current names; -1 with a reason if it names none. */
int keyring_marked(struct keyfolder *folder);
