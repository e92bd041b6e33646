#include "utvag/tls.h"

#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/base64url.h"
#include "utvag/digest.h"
#include "utvag/log.h"

enum { PEM_LIMIT = 1 << 20 };

static char *read_pem(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = file ? calloc(1, PEM_LIMIT) : NULL;
    size_t length = text ? fread(text, 1, PEM_LIMIT - 1, file) : 0;
    if (file) fclose(file);
    if (length) return text;
    log_line(LOG_ERROR, "cannot read a PEM file", "file", path, NULL);
    free(text);
    return NULL;
}

bool tls_load(const struct config *config, struct tls *tls)
{
    if (!config->tls_certificate) return true;
    tls->certificate = read_pem(config->tls_certificate);
    tls->key = read_pem(config->tls_key);
    if (config->tls_client_ca) tls->client_ca = read_pem(config->tls_client_ca);
    return tls->certificate && tls->key && (tls->client_ca || !config->tls_client_ca);
}

void tls_free(struct tls *tls)
{
    if (tls->key) explicit_bzero(tls->key, strlen(tls->key));
    free(tls->certificate);
    free(tls->key);
    free(tls->client_ca);
    *tls = (struct tls){ 0 };
}

bool tls_thumbprint(void *session, char out[TLS_THUMBPRINT])
{
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    unsigned char digest[DIGEST_BYTES];
    if (!chain || !count) return false;
    digest_sha256(chain[0].data, chain[0].size, digest);
    base64url_encode(digest, sizeof digest, out);
    return true;
}
