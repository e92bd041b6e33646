#include "utvag/seal.h"

#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/digest.h"

enum { FORMAT = 1, FORMAT_BYTES = 1, VERSION_BYTES = 2, NONCE_BYTES = 12, TAG_BYTES = 16, BOUND_BYTES = 256 };

/* What each thread keeps: the cipher is set once, each use sets key and nonce. */
struct contexts {
    EVP_CIPHER_CTX *closing, *opening;
};

/* What a sealed text is bound to: AES-GCM's additional data. */
struct bound {
    unsigned char bytes[BOUND_BYTES];
    size_t length;
    bool overfull;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_contexts;
static EVP_CIPHER *cipher;

static void contexts_free(void *value)
{
    struct contexts *contexts = value;
    EVP_CIPHER_CTX_free(contexts->closing);
    EVP_CIPHER_CTX_free(contexts->opening);
    free(contexts);
}

static void fetch(void)
{
    if (pthread_key_create(&thread_contexts, contexts_free) != 0) abort();
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

static struct contexts *contexts_make(void)
{
    struct contexts *contexts = calloc(1, sizeof *contexts);

    if (!contexts) return NULL;
    contexts->closing = EVP_CIPHER_CTX_new();
    contexts->opening = EVP_CIPHER_CTX_new();
    if (contexts->closing && contexts->opening &&
        EVP_EncryptInit_ex2(contexts->closing, cipher, NULL, NULL, NULL) == 1 &&
        EVP_DecryptInit_ex2(contexts->opening, cipher, NULL, NULL, NULL) == 1 &&
        pthread_setspecific(thread_contexts, contexts) == 0)
        return contexts;
    contexts_free(contexts);
    return NULL;
}

/* NULL without memory, or without AES-256-GCM. */
static struct contexts *contexts_of_thread(void)
{
    pthread_once(&once, fetch);
    if (!cipher) return NULL;
    struct contexts *contexts = pthread_getspecific(thread_contexts);
    return contexts ? contexts : contexts_make();
}

static void bind_bytes(struct bound *bound, const void *bytes, size_t length)
{
    if (length > sizeof bound->bytes - bound->length) {
        bound->overfull = true;
        return;
    }
    memcpy(bound->bytes + bound->length, bytes, length);
    bound->length += length;
}

/* With its NUL, so that no two lists of texts are bound alike. */
static void bind_text(struct bound *bound, const char *text) { bind_bytes(bound, text, strlen(text) + 1); }

/* out: nonce, text, tag. */
static bool encrypt(const unsigned char *key, const struct bound *bound, const void *text, size_t length,
                    unsigned char *out)
{
    struct contexts *contexts = contexts_of_thread();
    unsigned char *body = out + NONCE_BYTES;
    int part = 0;

    if (!contexts || bound->overfull || length > INT_MAX) return false;
    EVP_CIPHER_CTX *context = contexts->closing;
    digest_random(out, NONCE_BYTES);
    return EVP_EncryptInit_ex2(context, NULL, key, out, NULL) == 1 &&
           EVP_EncryptUpdate(context, NULL, &part, bound->bytes, (int)bound->length) == 1 &&
           (length == 0 || EVP_EncryptUpdate(context, body, &part, text, (int)length) == 1) &&
           EVP_EncryptFinal_ex(context, body + length, &part) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, body + length) == 1;
}

static bool decrypt_into(EVP_CIPHER_CTX *context, const struct bound *bound, const unsigned char *body, size_t length,
                         unsigned char *out)
{
    unsigned char tag[TAG_BYTES];
    int part = 0;

    memcpy(tag, body + length, TAG_BYTES);
    return EVP_DecryptUpdate(context, NULL, &part, bound->bytes, (int)bound->length) == 1 &&
           (length == 0 || EVP_DecryptUpdate(context, out, &part, body, (int)length) == 1) &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
           EVP_DecryptFinal_ex(context, out + length, &part) == 1;
}

/* sealed: nonce, `length` bytes of text, tag. What was decrypted before the tag failed is overwritten. */
static bool decrypt(const unsigned char *key, const struct bound *bound, const unsigned char *sealed, size_t length,
                    unsigned char *out)
{
    struct contexts *contexts = contexts_of_thread();

    if (!contexts || bound->overfull || length > INT_MAX) return false;
    bool opened = EVP_DecryptInit_ex2(contexts->opening, NULL, key, sealed, NULL) == 1 &&
                  decrypt_into(contexts->opening, bound, sealed + NONCE_BYTES, length, out);
    if (!opened && length > 0) explicit_bzero(out, length);
    return opened;
}

static struct bound bound_to_record(const unsigned char *version, const char *record)
{
    struct bound bound = { .length = 0 };
    bind_bytes(&bound, version, VERSION_BYTES);
    bind_text(&bound, "data-key");
    bind_text(&bound, record);
    return bound;
}

static struct bound bound_to_place(const struct seal_place *place)
{
    struct bound bound = { .length = 0 };
    const unsigned char format = FORMAT;
    bind_bytes(&bound, &format, FORMAT_BYTES);
    bind_text(&bound, place->table);
    bind_text(&bound, place->column);
    bind_text(&bound, place->record);
    return bound;
}

static bool wrap(const struct keyring *ring, const char *record, const unsigned char key[KEY_BYTES],
                 unsigned char wrapped[SEAL_WRAPPED])
{
    int version = keyring_version(ring, KEY_ENCRYPTION);
    const unsigned char *outer = keyring_key(ring, KEY_ENCRYPTION, version);

    if (!outer) return false;
    wrapped[0] = (unsigned char)(version >> 8);
    wrapped[1] = (unsigned char)version;
    struct bound bound = bound_to_record(wrapped, record);
    return encrypt(outer, &bound, key, KEY_BYTES, wrapped + VERSION_BYTES);
}

bool seal_make_key(const struct keyring *ring, const char *record, unsigned char key[KEY_BYTES],
                   unsigned char wrapped[SEAL_WRAPPED])
{
    digest_random(key, KEY_BYTES);
    if (wrap(ring, record, key, wrapped)) return true;
    explicit_bzero(key, KEY_BYTES);
    return false;
}

bool seal_unwrap(const struct keyring *ring, const char *record, const unsigned char *wrapped, size_t length,
                 unsigned char key[KEY_BYTES])
{
    if (length != SEAL_WRAPPED) return false;
    const unsigned char *outer = keyring_key(ring, KEY_ENCRYPTION, wrapped[0] << 8 | wrapped[1]);
    struct bound bound = bound_to_record(wrapped, record);
    return outer && decrypt(outer, &bound, wrapped + VERSION_BYTES, KEY_BYTES, key);
}

bool seal_rewrap(const struct keyring *ring, const char *record, const unsigned char *wrapped, size_t length,
                 unsigned char out[SEAL_WRAPPED])
{
    unsigned char key[KEY_BYTES];
    bool done = seal_unwrap(ring, record, wrapped, length, key) && wrap(ring, record, key, out);
    explicit_bzero(key, sizeof key);
    return done;
}

bool seal_close(const unsigned char key[KEY_BYTES], const struct seal_place *place, const void *text, size_t length,
                unsigned char *out)
{
    struct bound bound = bound_to_place(place);
    out[0] = FORMAT;
    return encrypt(key, &bound, text, length, out + FORMAT_BYTES);
}

bool seal_open(const unsigned char key[KEY_BYTES], const struct seal_place *place, const unsigned char *sealed,
               size_t length, unsigned char *out)
{
    if (length < SEAL_OVERHEAD || sealed[0] != FORMAT) return false;
    struct bound bound = bound_to_place(place);
    return decrypt(key, &bound, sealed + FORMAT_BYTES, length - SEAL_OVERHEAD, out);
}
