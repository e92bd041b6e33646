#include "utvag/password.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "utvag/base64url.h"
#include "utvag/digest.h"

enum {
    COST_BITS = 17,
    BLOCKS = 8,
    PARALLEL = 1,
    SALT_BYTES = 16,
    HASH_BYTES = 32,
    MEMORY_LIMIT = 160 * 1024 * 1024, /* scrypt takes 128 · r · N bytes; OpenSSL refuses that by default */
    SALT_LENGTH = BASE64URL_LENGTH(SALT_BYTES),
    HASH_LENGTH = BASE64URL_LENGTH(HASH_BYTES),
};

/* Every hash is made by these figures, none is read with weaker ones. */
#define PREFIX "$scrypt$17$8$1$"
_Static_assert(COST_BITS == 17 && BLOCKS == 8 && PARALLEL == 1, "PREFIX says so");
_Static_assert(sizeof PREFIX + SALT_LENGTH + 1 + HASH_LENGTH <= PASSWORD_SIZE, "the text must fit");

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t freed;
    int free;
} lane = { .mutex = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER, .free = 2 };

void password_lane(int width)
{
    pthread_mutex_lock(&lane.mutex);
    lane.free = width < 1 ? 1 : width;
    pthread_mutex_unlock(&lane.mutex);
}

static void lane_enter(void)
{
    pthread_mutex_lock(&lane.mutex);
    while (lane.free == 0) pthread_cond_wait(&lane.freed, &lane.mutex);
    lane.free--;
    pthread_mutex_unlock(&lane.mutex);
}

static void lane_leave(void)
{
    pthread_mutex_lock(&lane.mutex);
    lane.free++;
    pthread_cond_signal(&lane.freed);
    pthread_mutex_unlock(&lane.mutex);
}

/* As RFC 8265 (4.2.2, OpaqueString) prepares one: every space an ASCII space, and composed (NFC), so that it is the same
   password from whichever keyboard. malloc'd; NULL if it is not UTF-8, or without memory. */
static char *prepare(const char *password)
{
    utf8proc_uint8_t *composed = utf8proc_NFC((const utf8proc_uint8_t *)password);
    utf8proc_int32_t point;
    utf8proc_ssize_t step;
    char *out = (char *)composed;
    for (const utf8proc_uint8_t *at = composed; at && *at; at += step) {
        step = utf8proc_iterate(at, -1, &point);
        bool space = utf8proc_category(point) == UTF8PROC_CATEGORY_ZS;
        if (space)
            *out++ = ' ';
        else
            out = (char *)memmove(out, at, (size_t)step) + step;
    }
    if (out) *out = '\0';
    return (char *)composed;
}

static void wipe_free(char *text)
{
    if (text) explicit_bzero(text, strlen(text));
    free(text);
}

bool password_is_long_enough(const char *password)
{
    size_t count = 0;
    char *prepared = prepare(password);
    for (const char *c = prepared; c && *c; c++) count += ((unsigned char)*c & 0xc0) != 0x80;
    wipe_free(prepared);
    return count >= PASSWORD_LEAST;
}

static bool derive_prepared(const char *password, const unsigned char salt[SALT_BYTES], unsigned char out[HASH_BYTES])
{
    lane_enter();
    int done = EVP_PBE_scrypt(password, strlen(password), salt, SALT_BYTES, UINT64_C(1) << COST_BITS, BLOCKS, PARALLEL,
                              MEMORY_LIMIT, out, HASH_BYTES);
    lane_leave();
    return done == 1;
}

/* What cannot be prepared is hashed as it is: it takes its time, and was never anybody's password. */
static bool derive(const char *password, const unsigned char salt[SALT_BYTES], unsigned char out[HASH_BYTES])
{
    char *prepared = prepare(password);
    bool done = derive_prepared(prepared ? prepared : password, salt, out);
    wipe_free(prepared);
    return done;
}

bool password_hash(const char *password, char out[PASSWORD_SIZE])
{
    unsigned char salt[SALT_BYTES], hash[HASH_BYTES];
    char salt_text[SALT_LENGTH + 1], hash_text[HASH_LENGTH + 1];

    digest_random(salt, sizeof salt);
    if (!derive(password, salt, hash)) return false;
    base64url_encode(salt, sizeof salt, salt_text);
    base64url_encode(hash, sizeof hash, hash_text);
    snprintf(out, PASSWORD_SIZE, PREFIX "%s$%s", salt_text, hash_text);
    return true;
}

static bool parse(const char *text, unsigned char salt[SALT_BYTES], unsigned char hash[HASH_BYTES])
{
    const char *rest = text + strlen(PREFIX);
    size_t length;

    if (strncmp(text, PREFIX, strlen(PREFIX)) != 0) return false;
    if (strlen(rest) != SALT_LENGTH + 1 + HASH_LENGTH || rest[SALT_LENGTH] != '$') return false;
    return base64url_decode(rest, SALT_LENGTH, salt, &length) &&
           base64url_decode(rest + SALT_LENGTH + 1, HASH_LENGTH, hash, &length);
}

bool password_matches(const char *password, const char *hash)
{
    unsigned char salt[SALT_BYTES] = { 0 }, wanted[HASH_BYTES] = { 0 }, found[HASH_BYTES];
    bool known = hash && parse(hash, salt, wanted);
    bool derived = derive(password ? password : "", salt, found);
    return derived && digest_equal(wanted, found, HASH_BYTES) && known && password;
}

void secret_make(char out[SECRET_SIZE])
{
    unsigned char chance[HASH_BYTES];
    digest_random(chance, sizeof chance);
    base64url_encode(chance, sizeof chance, out);
    explicit_bzero(chance, sizeof chance);
}

void secret_digest(const char *secret, char out[SECRET_DIGEST_SIZE])
{
    unsigned char digest[DIGEST_BYTES];
    digest_sha256(secret, strlen(secret), digest);
    digest_hex(digest, sizeof digest, out);
}

bool secret_matches(const char *secret, const char *digest)
{
    char found[SECRET_DIGEST_SIZE];
    if (!secret || !digest || strlen(digest) != SECRET_DIGEST_SIZE - 1) return false;
    secret_digest(secret, found);
    return digest_equal(found, digest, SECRET_DIGEST_SIZE);
}
