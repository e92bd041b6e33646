/* ulfius and libmicrohttpd, in this file only: sockets in, struct request to the pipeline, struct response out. */
#pragma once
#include <stdbool.h>

#include "utvag/service.h"

struct server;
/* Listens. NULL, with the reason logged, when it cannot. */
struct server *server_start(const struct service *service);
/* After service_drain: lets requests in flight finish (at most drain_seconds), each answer the last of its connection, and takes
   new ones meanwhile, so that whoever asks is told that it is not ready; then ends every connection. */
void server_stop(struct server *server, int drain_seconds);
/* The metrics' own listener, on the admin address. */
bool server_start_admin(struct server *server);
