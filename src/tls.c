#include "utvag/tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "utvag/base64url.h"
#include "utvag/digest.h"
#include "utvag/log.h"

enum { PEM_LIMIT = 1 << 20, CHAIN_MOST = 8 };

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

/* A certificate with its key. One that a newer one took the place of stays, since a handshake may be using it. */
struct pair {
    gnutls_pcert_st chain[CHAIN_MOST];
    unsigned count;
    gnutls_privkey_t key;
    struct pair *before;
};

/* What tells a file from the one that stood in its place before. */
struct mark {
    ino_t inode;
    off_t size;
    struct timespec changed;
};

/* GnuTLS asks without saying for whom: there is one server in a process. */
static struct {
    pthread_mutex_t lock;
    const struct config *config;
    struct mark certificate, key;
    struct pair *current;
} served = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void pair_free(struct pair *pair)
{
    for (unsigned i = 0; i < pair->count; i++) gnutls_pcert_deinit(&pair->chain[i]);
    if (pair->key) gnutls_privkey_deinit(pair->key);
    free(pair);
}

static bool is_of_one_key(const struct pair *pair)
{
    unsigned char one[DIGEST_BYTES], other[DIGEST_BYTES];
    size_t sizes[] = { sizeof one, sizeof other };
    gnutls_pubkey_t public = NULL;
    bool same = gnutls_pubkey_init(&public) == 0 && gnutls_pubkey_import_privkey(public, pair->key, 0, 0) == 0 &&
                gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, one, &sizes[0]) == 0 &&
                gnutls_pubkey_get_key_id(pair->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, other, &sizes[1]) == 0 &&
                digest_equal(one, other, sizeof one);
    if (public) gnutls_pubkey_deinit(public);
    return same;
}

static bool pair_read(struct pair *pair, char *certificate, char *key)
{
    gnutls_datum_t shown = { (unsigned char *)certificate, (unsigned)strlen(certificate) };
    gnutls_datum_t held = { (unsigned char *)key, (unsigned)strlen(key) };
    unsigned count = CHAIN_MOST;
    if (gnutls_pcert_list_import_x509_raw(pair->chain, &count, &shown, GNUTLS_X509_FMT_PEM, 0) != 0) return false;
    pair->count = count;
    return count && gnutls_privkey_init(&pair->key) == 0 &&
           gnutls_privkey_import_x509_raw(pair->key, &held, GNUTLS_X509_FMT_PEM, NULL, 0) == 0 && is_of_one_key(pair);
}

/* NULL, with the reason logged, unless both files are whole and belong together. */
static struct pair *pair_load(const struct config *config)
{
    char *certificate = read_pem(config->tls_certificate), *key = read_pem(config->tls_key);
    struct pair *pair = certificate && key ? calloc(1, sizeof *pair) : NULL;
    if (pair && !pair_read(pair, certificate, key)) {
        log_line(LOG_ERROR, "the certificate and the key are not a pair", "file", config->tls_certificate, NULL);
        pair_free(pair);
        pair = NULL;
    }
    if (key) explicit_bzero(key, strlen(key));
    free(certificate);
    free(key);
    return pair;
}

/* Whether another file stands there than when it was asked last, or one that others may read than then. */
static bool mark_moves(struct mark *mark, const char *path)
{
    struct stat now;
    if (stat(path, &now) != 0) return false;
    bool same = mark->inode == now.st_ino && mark->size == now.st_size && mark->changed.tv_sec == now.st_ctim.tv_sec &&
                mark->changed.tv_nsec == now.st_ctim.tv_nsec;
    *mark = (struct mark){ now.st_ino, now.st_size, now.st_ctim };
    return !same;
}

/* Under the lock. While one of two files is new, and they are not a pair, the old pair serves. */
static void renew(void)
{
    bool certificate = mark_moves(&served.certificate, served.config->tls_certificate);
    bool key = mark_moves(&served.key, served.config->tls_key);
    struct pair *fresh = certificate || key ? pair_load(served.config) : NULL;
    if (!fresh) return;
    if (served.current) log_line(LOG_INFO, "a renewed certificate is served", NULL);
    fresh->before = served.current;
    served.current = fresh;
}

/* A gnutls_certificate_retrieve_function3: asked at each handshake. */
static int retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **certificates,
                    unsigned *count, gnutls_ocsp_data_st **ocsp, unsigned *ocsp_count, gnutls_privkey_t *key,
                    unsigned *flags)
{
    (void)session, (void)info, (void)ocsp, (void)flags;
    pthread_mutex_lock(&served.lock);
    renew();
    struct pair *pair = served.current;
    pthread_mutex_unlock(&served.lock);
    *certificates = pair->chain;
    *count = pair->count;
    *key = pair->key;
    *ocsp_count = 0;
    return 0;
}

void *tls_retriever(void) { return (void *)retrieve; }

bool tls_load(const struct config *config, struct tls *tls)
{
    if (!config->tls_certificate) return true;
    served.config = config;
    renew();
    tls->serves = served.current;
    if (config->tls_client_ca) tls->client_ca = read_pem(config->tls_client_ca);
    return tls->serves && (tls->client_ca || !config->tls_client_ca);
}

void tls_free(struct tls *tls)
{
    for (struct pair *pair = served.current, *before; pair; pair = before) {
        before = pair->before;
        pair_free(pair);
    }
    served.current = NULL;
    served.certificate = served.key = (struct mark){ 0 };
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
