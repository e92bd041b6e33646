/* A proxy that is ours speaks for its clients: who they are stands in what it adds. */
#pragma once
#include "utvag/request.h"

enum { ADDRESS_SIZE = 46 }; /* of the longest, with its NUL */
/* The one spelling of an address (family AF_INET or AF_INET6): an IPv4 one that is mapped into IPv6 is told as IPv4, since it is
   the same client. "" if there is none. */
void proxy_address_text(int family, const void *bytes, char out[ADDRESS_SIZE]);

/* The client's address: that of the connection, or, where the connection is from one of UTVAG_PROXIES, the last one of
   X-Forwarded-For, which is the one that the proxy saw. In the arena or static. */
const char *proxy_client_address(const struct request *rq, const char *connected);

/* The thumbprint (x5t#S256) of the certificate that the client showed: own, that of the connection, or, where the
   connection is from one of UTVAG_PROXIES, that of the header Client-Cert: RFC 9440, or a percent-encoded PEM, which is what
   nginx gives ($ssl_client_escaped_cert). NULL where it says nothing or what cannot be read, or says it twice: the proxy's
   own certificate is never its client's. In the arena, or own. */
const char *proxy_client_certificate(const struct request *rq, const char *connected, const char *own);
