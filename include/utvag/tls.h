/* TLS, where the service itself ends it: its PEM files, and who the client is by her certificate. GnuTLS, which
   libmicrohttpd brings, is used in this file only. */
#pragma once
#include <stdbool.h>

#include "utvag/config.h"

enum { TLS_THUMBPRINT = 44 };

struct tls {
    char *certificate, *key, *client_ca; /* PEM; NULL where the configuration names none */
};

/* TLS 1.2 or later, and of 1.2 only suites with forward secrecy and authenticated encryption. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-AES-128-CBC:-AES-256-CBC:-SHA1"

/* Reads the files that the configuration names. False, with the reason logged, if one cannot be read. */
bool tls_load(const struct config *config, struct tls *tls);
void tls_free(struct tls *tls); /* overwrites the key */
/* x5t#S256 (RFC 8705, section 3.1) of the certificate that the peer of a gnutls_session_t showed. False without one.
   Whether it is to be trusted is not said here. */
bool tls_thumbprint(void *session, char out[TLS_THUMBPRINT]);
