/* A proxy that is ours speaks for its clients: who they are stands in what it adds. */
#pragma once
#include "utvag/request.h"

/* The client's address: that of the connection, or, where the connection is from one of UTVAG_PROXIES, the last one of
   X-Forwarded-For, which is the one that the proxy saw. In the arena or static. */
const char *proxy_client_address(const struct request *rq, const char *connected);
