#include "utvag/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/base64url.h"
#include "utvag/digest.h"

enum { COORDINATE_BYTES = 32, POINT_BYTES = 1 + 2 * COORDINATE_BYTES, UNCOMPRESSED = 4 };
enum { MODULUS_LEAST = 256, MODULUS_MOST = 1024, EXPONENT_MOST = 8 }; /* bytes */

static const char *text_of(const json_t *jwk, const char *name)
{
    return json_string_value(json_object_get(jwk, name));
}

static bool text_is(const json_t *jwk, const char *name, const char *expected)
{
    const char *text = text_of(jwk, name);
    return text && strcmp(text, expected) == 0;
}

static bool absent_or(const json_t *jwk, const char *name, const char *expected)
{
    return !json_object_get(jwk, name) || text_is(jwk, name, expected);
}

bool jwk_is_private(const json_t *jwk)
{
    static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_object_get(jwk, names[i])) return true;
    return false;
}

static bool may_verify(const json_t *jwk)
{
    const json_t *operations = json_object_get(jwk, "key_ops");
    bool found = !operations;
    size_t index;
    json_t *value;

    json_array_foreach((json_t *)operations, index, value) {
        const char *operation = json_string_value(value);
        found = found || (operation && strcmp(operation, "verify") == 0);
    }
    return found;
}

/* Bytes of a member, of which there are least to most. */
static bool bytes_of(const json_t *jwk, const char *name, unsigned char *out, size_t least, size_t most, size_t *filled)
{
    const char *text = text_of(jwk, name);
    size_t length = text ? strnlen(text, BASE64URL_LENGTH(most) + 1) : 0;
    return length && length <= BASE64URL_LENGTH(most) && base64url_decode(text, length, out, filled) &&
           *filled >= least && *filled <= most;
}

/* Takes what was read; NULL if OpenSSL finds that it is no key of that kind. */
static EVP_PKEY *build(const char *kind, OSSL_PARAM *parameters)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    EVP_PKEY *key = NULL;

    if (context && EVP_PKEY_fromdata_init(context) == 1)
        (void)EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters);
    EVP_PKEY_CTX_free(context);
    context = key ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
    bool sound = context && EVP_PKEY_public_check(context) == 1; /* on the curve; a modulus of no small factor */
    EVP_PKEY_CTX_free(context);
    if (sound) return key;
    EVP_PKEY_free(key);
    return NULL;
}

/* RFC 7518, 6.2.1: both coordinates in full length. */
static EVP_PKEY *read_ec(const json_t *jwk)
{
    unsigned char point[POINT_BYTES + 1] = { UNCOMPRESSED };
    size_t filled;
    if (!text_is(jwk, "crv", "P-256") || !bytes_of(jwk, "x", point + 1, COORDINATE_BYTES, COORDINATE_BYTES, &filled) ||
        !bytes_of(jwk, "y", point + 1 + COORDINATE_BYTES, COORDINATE_BYTES, COORDINATE_BYTES, &filled))
        return NULL;
    char group[] = "P-256";
    OSSL_PARAM parameters[] = { OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group - 1),
                                OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, POINT_BYTES), OSSL_PARAM_END };
    return build("EC", parameters);
}

/* OSSL_PARAM has numbers in the machine's own order of bytes. */
static bool to_native(const unsigned char *bytes, size_t length, unsigned char *out)
{
    BIGNUM *number = BN_bin2bn(bytes, (int)length, NULL);
    bool done = number && BN_bn2nativepad(number, out, (int)length) == (int)length;
    BN_free(number);
    return done;
}

/* RFC 7518, 6.3.1: numbers of no leading zero bytes. */
static EVP_PKEY *read_rsa(const json_t *jwk)
{
    unsigned char modulus[MODULUS_MOST + 2], exponent[EXPONENT_MOST + 2], n[MODULUS_MOST], e[EXPONENT_MOST];
    size_t n_length, e_length;
    if (!bytes_of(jwk, "n", modulus, MODULUS_LEAST, MODULUS_MOST, &n_length) ||
        !bytes_of(jwk, "e", exponent, 1, EXPONENT_MOST, &e_length) || !modulus[0] || !exponent[0])
        return NULL;
    bool short_of_bits = n_length == MODULUS_LEAST && modulus[0] < 0x80;
    if (short_of_bits || !to_native(modulus, n_length, n) || !to_native(exponent, e_length, e)) return NULL;
    OSSL_PARAM parameters[] = { OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, n, n_length),
                                OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, e, e_length), OSSL_PARAM_END };
    return build("RSA", parameters);
}

static char *pem_of(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *start = NULL, *text = NULL;
    if (bio && PEM_write_bio_PUBKEY(bio, key) == 1) {
        long length = BIO_get_mem_data(bio, &start);
        text = length > 0 ? strndup(start, (size_t)length) : NULL;
    }
    BIO_free(bio);
    return text;
}

bool jwk_public_pem(const json_t *jwk, char **pem, const char **algorithm)
{
    bool ec = text_is(jwk, "kty", "EC"), rsa = text_is(jwk, "kty", "RSA");
    const char *fixed = ec ? "ES256" : "RS256";
    bool meant = (ec || rsa) && !jwk_is_private(jwk) && absent_or(jwk, "use", "sig") && absent_or(jwk, "alg", fixed) &&
                 may_verify(jwk);
    EVP_PKEY *key = NULL;

    if (meant) key = ec ? read_ec(jwk) : read_rsa(jwk);
    *pem = key ? pem_of(key) : NULL;
    *algorithm = *pem ? fixed : NULL;
    EVP_PKEY_free(key);
    return *pem != NULL;
}

/* Hashes the required members alone, in the order of their names (RFC 7638, 3). */
bool jwk_thumbprint(const json_t *jwk, char out[JWK_THUMBPRINT_SIZE])
{
    bool ec = text_is(jwk, "kty", "EC");
    json_t *required = ec ? json_pack("{s:s*, s:s*, s:s*, s:s*}", "crv", text_of(jwk, "crv"), "kty", "EC", "x",
                                      text_of(jwk, "x"), "y", text_of(jwk, "y"))
                          : json_pack("{s:s*, s:s*, s:s*}", "e", text_of(jwk, "e"), "kty", text_of(jwk, "kty"), "n",
                                      text_of(jwk, "n"));
    bool whole = json_object_size(required) == (ec ? 4 : 3) && (ec || text_is(jwk, "kty", "RSA"));
    char *text = whole ? json_dumps(required, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    unsigned char digest[DIGEST_BYTES];

    json_decref(required);
    if (!text) return false;
    digest_sha256(text, strlen(text), digest);
    base64url_encode(digest, DIGEST_BYTES, out);
    free(text);
    return true;
}
