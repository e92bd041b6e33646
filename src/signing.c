#include "utvag/signing.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/base64url.h"
#include "utvag/digest.h"

enum { COORDINATE_BYTES = 32, COORDINATE_SIZE = BASE64URL_LENGTH(COORDINATE_BYTES) + 1 };

static char *bio_text(BIO *bio)
{
    char *start = NULL;
    long length = BIO_get_mem_data(bio, &start);
    return length > 0 ? strndup(start, (size_t)length) : NULL;
}

static char *pem_of(EVP_PKEY *pkey, bool private)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (!bio) return NULL;
    int written =
        private ? PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) : PEM_write_bio_PUBKEY(bio, pkey);
    if (written == 1) text = bio_text(bio);
    BIO_free(bio); /* overwrites its buffer */
    return text;
}

static bool coordinate(EVP_PKEY *pkey, const char *name, char out[COORDINATE_SIZE])
{
    BIGNUM *number = NULL;
    unsigned char bytes[COORDINATE_BYTES];
    bool held = EVP_PKEY_get_bn_param(pkey, name, &number) == 1 &&
                BN_bn2binpad(number, bytes, COORDINATE_BYTES) == COORDINATE_BYTES;

    BN_free(number);
    if (held) base64url_encode(bytes, COORDINATE_BYTES, out);
    return held;
}

/* The thumbprint hashes the required members alone, in the order of their names (RFC 7638, 3). */
static char *thumbprint(const char *x, const char *y)
{
    char text[192];
    unsigned char digest[DIGEST_BYTES];
    char *kid = malloc(BASE64URL_LENGTH(DIGEST_BYTES) + 1);

    int length = snprintf(text, sizeof text, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y);
    digest_sha256(text, (size_t)length, digest);
    if (kid) base64url_encode(digest, DIGEST_BYTES, kid);
    return kid;
}

static char *jwk_of(const char *kid, const char *x, const char *y)
{
    char *text = NULL;
    int length = asprintf(&text,
                          "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\",\"kid\":\"%s\","
                          "\"alg\":\"ES256\",\"use\":\"sig\"}",
                          x, y, kid);
    return length < 0 ? NULL : text;
}

static bool is_p256(EVP_PKEY *pkey)
{
    char group[32] = "";
    return EVP_PKEY_is_a(pkey, "EC") == 1 && EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

/* Takes pkey over. */
static bool fill(EVP_PKEY *pkey, struct signing_key *out)
{
    char x[COORDINATE_SIZE], y[COORDINATE_SIZE];

    *out = (struct signing_key){ 0 };
    if (pkey && is_p256(pkey) && coordinate(pkey, OSSL_PKEY_PARAM_EC_PUB_X, x) &&
        coordinate(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, y)) {
        out->kid = thumbprint(x, y);
        out->jwk = out->kid ? jwk_of(out->kid, x, y) : NULL;
        out->private_pem = pem_of(pkey, true);
        out->public_pem = pem_of(pkey, false);
    }
    EVP_PKEY_free(pkey);
    if (out->kid && out->jwk && out->private_pem && out->public_pem) return true;
    signing_free(out);
    return false;
}

bool signing_make(struct signing_key *out) { return fill(EVP_EC_gen("P-256"), out); }

/* A key with a passphrase is refused; without this, OpenSSL asks the terminal for it. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

bool signing_read(const char *private_pem, struct signing_key *out)
{
    BIO *bio = BIO_new_mem_buf(private_pem, -1);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return fill(pkey, out);
}

void signing_free(struct signing_key *key)
{
    if (key->private_pem) explicit_bzero((char *)key->private_pem, strlen(key->private_pem));
    free((char *)key->private_pem);
    free((char *)key->public_pem);
    free((char *)key->kid);
    free((char *)key->jwk);
    *key = (struct signing_key){ 0 };
}
