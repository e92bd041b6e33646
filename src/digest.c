#include "utvag/digest.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { CHANCE_BYTES = 256 /* what getrandom gives whole, always */ };

/* What each thread keeps. */
struct contexts {
    EVP_MD_CTX *md;
    EVP_MAC_CTX *mac;
    unsigned char chance[CHANCE_BYTES]; /* the last `left` of them are not yet handed out */
    size_t left;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_contexts;
static EVP_MD *sha256;
static EVP_MAC *hmac;

static void must(bool held)
{
    if (!held) abort();
}

static void contexts_free(void *value)
{
    struct contexts *contexts = value;
    EVP_MD_CTX_free(contexts->md);
    EVP_MAC_CTX_free(contexts->mac);
    free(contexts);
}

static void fetch(void)
{
    must(pthread_key_create(&thread_contexts, contexts_free) == 0);
    must((sha256 = EVP_MD_fetch(NULL, "SHA256", NULL)) != NULL);
    must((hmac = EVP_MAC_fetch(NULL, "HMAC", NULL)) != NULL);
}

static struct contexts *contexts_make(void)
{
    struct contexts *contexts = calloc(1, sizeof *contexts);
    char name[] = "SHA256";
    OSSL_PARAM parameters[] = { OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_END };

    must(contexts != NULL);
    must((contexts->md = EVP_MD_CTX_new()) != NULL);
    must((contexts->mac = EVP_MAC_CTX_new(hmac)) != NULL);
    must(EVP_MAC_CTX_set_params(contexts->mac, parameters) == 1);
    must(pthread_setspecific(thread_contexts, contexts) == 0);
    return contexts;
}

static struct contexts *contexts_of_thread(void)
{
    must(pthread_once(&once, fetch) == 0);
    struct contexts *contexts = pthread_getspecific(thread_contexts);
    return contexts ? contexts : contexts_make();
}

void digest_sha256(const void *bytes, size_t length, unsigned char out[DIGEST_BYTES])
{
    EVP_MD_CTX *md = contexts_of_thread()->md;
    must(EVP_DigestInit_ex2(md, sha256, NULL) == 1);
    must(EVP_DigestUpdate(md, bytes, length) == 1);
    must(EVP_DigestFinal_ex(md, out, NULL) == 1);
}

void digest_hmac(const unsigned char key[DIGEST_BYTES], const void *bytes, size_t length,
                 unsigned char out[DIGEST_BYTES])
{
    EVP_MAC_CTX *mac = contexts_of_thread()->mac;
    size_t written = 0;
    must(EVP_MAC_init(mac, key, DIGEST_BYTES, NULL) == 1);
    must(EVP_MAC_update(mac, bytes, length) == 1);
    must(EVP_MAC_final(mac, out, &written, DIGEST_BYTES) == 1 && written == DIGEST_BYTES);
}

bool digest_equal(const void *one, const void *other, size_t length) { return CRYPTO_memcmp(one, other, length) == 0; }

void digest_hex(const void *bytes, size_t length, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = bytes;
    for (size_t i = 0; i < length; i++) {
        *out++ = digits[in[i] >> 4];
        *out++ = digits[in[i] & 15];
    }
    *out = '\0';
}

void digest_random(void *out, size_t length)
{
    for (unsigned char *at = out, *end = at + length; at < end;) {
        ssize_t got = getrandom(at, (size_t)(end - at), 0);
        must(got > 0 || errno == EINTR);
        at += got > 0 ? got : 0;
    }
}

void digest_chance(void *out, size_t length)
{
    struct contexts *contexts = contexts_of_thread();
    must(length <= CHANCE_BYTES);
    if (contexts->left < length) {
        digest_random(contexts->chance, CHANCE_BYTES);
        contexts->left = CHANCE_BYTES;
    }
    unsigned char *next = contexts->chance + CHANCE_BYTES - contexts->left;
    memcpy(out, next, length);
    explicit_bzero(next, length);
    contexts->left -= length;
}
