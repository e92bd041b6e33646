/* TLS, where the service itself ends it: its PEM files, and who the client is by her certificate. GnuTLS, which
   libmicrohttpd brings, is used in this file only. */
#pragma once
#include <stdbool.h>

#include "utvag/config.h"

enum { TLS_THUMBPRINT = 44 };

struct tls {
    bool serves;     /* the configuration names a certificate */
    char *client_ca; /* PEM; NULL where the configuration names none */
};

/* TLS 1.2 or later, and of 1.2 only suites with forward secrecy and authenticated encryption. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-AES-128-CBC:-AES-256-CBC:-SHA1"

/* Reads the files that the configuration names. False, with the reason logged, if one cannot be read, or the key is not
   that of the certificate. Once in a process at a time; config must outlive it. */
bool tls_load(const struct config *config, struct tls *tls);
void tls_free(struct tls *tls);
/* For MHD_OPTION_HTTPS_CERT_CALLBACK2: the certificate that stands in the files at each handshake. Where they have changed
   and are not a pair, the last one that was. */
void *tls_retriever(void);
/* x5t#S256 (RFC 8705, section 3.1) of the certificate that the peer of a gnutls_session_t showed. False without one.
   Whether it is to be trusted is not said here. */
bool tls_thumbprint(void *session, char out[TLS_THUMBPRINT]);
