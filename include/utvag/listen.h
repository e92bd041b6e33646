/* Listening sockets. */
#pragma once

/* Binds a numeric IPv4 or IPv6 address; port 0 takes any free one. *bound is the port then taken. The socket, owned by
   the caller, does not block; -1, with the reason logged, when it cannot be had. */
int listen_on(const char *address, int port, int *bound);
