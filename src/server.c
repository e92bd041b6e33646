#include "utvag/server.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ulfius.h>
#include <unistd.h>

#include "utvag/config.h"
#include "utvag/db.h"
#include "utvag/listen.h"
#include "utvag/log.h"
#include "utvag/metrics.h"
#include "utvag/pipeline.h"
#include "utvag/proxy.h"
#include "utvag/reaper.h"
#include "utvag/stream.h"
#include "utvag/tls.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STACK_BYTES = 4 << 20 };
#else
enum { STACK_BYTES = 256 << 10 };
#endif

enum {
    ARENA_CEILING = 16 << 20,
    HANDLER_SECONDS = 60,
    FLOW_BLOCK = 16 << 10,
    OPTIONS = 20,
};

struct server {
    const struct service *service;
    struct _u_instance instance;
    struct MHD_Daemon *admin;
    struct reaper *reaper;
    struct tls tls;
    _Atomic int answering; /* requests between our callback and the last byte of their answer */
    bool running;
};

/* One connection, which is one thread. */
struct peer {
    struct watch watch;
    struct arena *arena;
    struct MHD_Connection *connection;
    char address[ADDRESS_SIZE];
    char certificate[TLS_THUMBPRINT]; /* "" until one was shown and found good */
    bool answering;
};

/* ulfius hides the connection from the callback; the thread knows it from the request line on. */
static _Thread_local struct peer *current;

/* The whole address: ulfius' copy cuts IPv6. */
static void write_address(struct peer *peer)
{
    const struct sockaddr *from =
        MHD_get_connection_info(peer->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    const void *narrow = &((const struct sockaddr_in *)(const void *)from)->sin_addr;
    const void *wide = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    proxy_address_text(from->sa_family, from->sa_family == AF_INET6 ? wide : narrow, peer->address);
}

static struct peer *peer_new(struct server *server, struct MHD_Connection *connection)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer || !(peer->arena = arena_new(ARENA_CEILING))) {
        free(peer);
        return NULL;
    }
    peer->connection = connection;
    write_address(peer);
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    reaper_add(server->reaper, &peer->watch, fd, server->service->config->idle_seconds);
    return peer;
}

/* CLOSED is told before the socket is closed and after the connection's thread has ended. */
static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct server *server = cls;
    struct peer *peer = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = peer_new(server, connection);
    } else if (peer) {
        reaper_remove(server->reaper, &peer->watch);
        arena_free(peer->arena);
        free(peer);
        *context = NULL;
    }
}

static struct peer *peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* The request line is in: the rest must follow within its own time. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    struct server *server = cls;
    current = peer_of(connection);
    if (current) reaper_allow(&current->watch, server->service->config->request_seconds);
    return ulfius_uri_logger(NULL, target);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode how)
{
    struct server *server = cls;
    struct peer *peer = peer_of(connection);
    if (peer) reaper_allow(&peer->watch, server->service->config->idle_seconds);
    if (peer) peer->watch.unfinished = false;
    if (peer && peer->answering) server->answering--;
    if (peer) peer->answering = false;
    mhd_request_completed(NULL, connection, context, how);
}

struct heads {
    struct pair *list;
    size_t count, most;
};

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct heads *heads = cls;
    (void)kind;
    if (heads->count == heads->most) return MHD_NO;
    heads->list[heads->count++] = (struct pair){ name, value ? value : "" };
    return MHD_YES;
}

/* Headers as they came: ulfius' map joins what is repeated, and tells names apart by case. */
static bool take_headers(struct peer *peer, struct request *rq)
{
    int count = MHD_get_connection_values(peer->connection, MHD_HEADER_KIND, NULL, NULL);
    struct heads heads = { NULL, 0, count > 0 ? (size_t)count : 0 };
    heads.list = arena_alloc(peer->arena, (heads.most + 1) * sizeof *heads.list);
    if (!heads.list) return false;
    MHD_get_connection_values(peer->connection, MHD_HEADER_KIND, take_header, &heads);
    rq->headers = heads.list;
    rq->header_count = heads.count;
    return true;
}

/* ulfius hands a certificate over only if it is by our authority, and of today. */
static void take_certificate(struct peer *peer, const struct _u_request *from, struct request *rq)
{
    if (!from->client_cert) return;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(peer->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (peer->certificate[0] || (info && tls_thumbprint(info->tls_session, peer->certificate)))
        rq->certificate = peer->certificate;
}

/* The connection shows a certificate of our authority, its own; for whom it is, is another question. */
static void carry_out(struct server *server, const struct peer *peer, struct request *rq, struct response *rs)
{
    const struct service *service = server->service;
    bool stranger = service->config->tls_client_ca && !rq->certificate;
    metrics_in_flight(service->metrics, 1);
    rq->certificate = proxy_client_certificate(rq, peer->address, rq->certificate);
    if (stranger)
        pipeline_refuse(rq, rs,
                        (struct problem){ .status = 401, .code = "client_certificate_required", .close = true });
    else
        pipeline_answer(rq, rs);
    metrics_in_flight(service->metrics, -1);
}

/* libmicrohttpd ends a header at a NUL, and the whole head at a line that begins with one: of what it hides, only the
   length of the head tells. */
static bool head_is_plain(const struct peer *peer, const struct request *rq)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(peer->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info && info->header_size == request_head_length(rq);
}

/* Room for so many headers more, and for the NULL that ends ulfius' arrays. */
static bool make_room(struct _u_map *map, size_t more)
{
    size_t room = (size_t)map->nb_values + more + 1;
    char **keys = realloc(map->keys, room * sizeof *keys);
    if (keys) map->keys = keys;
    char **values = realloc(map->values, room * sizeof *values);
    if (values) map->values = values;
    size_t *lengths = realloc(map->lengths, room * sizeof *lengths);
    if (lengths) map->lengths = lengths;
    return keys && values && lengths;
}

/* u_map_put looks through what is there, and moves three arrays, for each header: more than twice the work, where names differ
   (response_header sees to it) and their number is known. ulfius frees all of it. */
static void put_headers(const struct response *rs, struct _u_map *map)
{
    if (!make_room(map, rs->header_count)) return;
    for (size_t i = 0; i < rs->header_count; i++) {
        char *name = strdup(rs->headers[i].name), *value = strdup(rs->headers[i].value);
        if (!name || !value) {
            free(name);
            free(value);
            break;
        }
        map->keys[map->nb_values] = name;
        map->values[map->nb_values] = value;
        map->lengths[map->nb_values++] = strlen(value);
    }
    map->keys[map->nb_values] = map->values[map->nb_values] = NULL;
    map->lengths[map->nb_values] = 0;
}

/* After a chunked body the connection ends: libmicrohttpd takes chunks that a stricter reader would not (a bare LF), and
   what follows them must not become a second request. So it does after a head that was not written plainly. */
static void hand_over(const struct response *rs, bool close_after, struct _u_response *to)
{
    put_headers(rs, to->map_header);
    if (close_after) u_map_put(to->map_header, "Connection", "close");
    if (rs->length)
        ulfius_set_binary_body_response(to, (unsigned)rs->status, rs->body, rs->length);
    else
        ulfius_set_empty_body_response(to, (unsigned)rs->status);
}

/* An answer that is sent while it is read: in the connection's thread, until it ends or one of the clocks runs out. */
struct flow {
    struct stream *stream;
    struct server *server;
    struct peer *peer;
    uint64_t started_ns;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Whoever takes what was sent may go on, but not for ever. */
static void allow_flow(const struct flow *flow)
{
    const struct config *config = flow->server->service->config;
    int spent = (int)((now_ns() - flow->started_ns) / 1000000000u), left = config->stream_seconds - spent;
    reaper_allow(&flow->peer->watch, left < config->idle_seconds ? left > 0 ? left : 0 : config->idle_seconds);
}

static ssize_t on_flow(void *cls, uint64_t offset, char *out, size_t most)
{
    const struct flow *flow = cls;
    size_t length = 0;
    (void)offset;
    allow_flow(flow);
    switch (stream_read(flow->stream, out, most, &length)) {
    case STREAM_GOES_ON: return (ssize_t)length;
    case STREAM_ENDED: return U_STREAM_END;
    case STREAM_BROKEN: reaper_break(&flow->peer->watch);
    }
    return U_STREAM_ERROR;
}

static void on_flow_end(void *cls)
{
    struct flow *flow = cls;
    stream_close(flow->stream);
    free(flow);
}

/* False, with the stream closed, when out of memory. */
static bool hand_over_stream(struct server *server, struct peer *peer, struct response *rs, struct _u_response *to)
{
    struct flow *flow = malloc(sizeof *flow);
    if (flow) *flow = (struct flow){ rs->stream, server, peer, now_ns() };
    bool taken = flow && ulfius_set_stream_response(to, (unsigned)rs->status, on_flow, on_flow_end,
                                                    U_STREAM_SIZE_UNKNOWN, FLOW_BLOCK, flow) == U_OK;
    peer->watch.unfinished = taken;
    if (taken) return true;
    free(flow);
    stream_close(rs->stream);
    return false;
}

static int on_request(const struct _u_request *from, struct _u_response *to, void *cls)
{
    struct server *server = cls;
    struct peer *peer = current;
    struct timespec now;
    if (!peer) return U_CALLBACK_ERROR;
    reaper_allow(&peer->watch, HANDLER_SECONDS);
    peer->answering = true;
    server->answering++;
    clock_gettime(CLOCK_MONOTONIC, &now);

    struct request rq = {
        .arena = peer->arena,
        .service = server->service,
        .method = from->http_verb,
        .url = from->http_url,
        .body = from->binary_body,
        .body_length = from->binary_body_length,
        .started_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
    };
    struct response rs = { 0 };
    bool whole = take_headers(peer, &rq), plain = head_is_plain(peer, &rq);
    rq.address = proxy_client_address(&rq, peer->address);
    take_certificate(peer, from, &rq);
    if (whole) carry_out(server, peer, &rq, &rs);
    bool last = rs.close || service_draining() || !rs.status || !plain || request_header(&rq, "Transfer-Encoding");
    hand_over(&rs, last, to);
    bool streams = rs.stream && hand_over_stream(server, peer, &rs, to);
    db_request_end(&rq);
    json_decref(rq.json);
    arena_reset(peer->arena);
    reaper_allow(&peer->watch, server->service->config->idle_seconds);
    return rs.stream && !streams ? U_CALLBACK_ERROR : U_CALLBACK_COMPLETE;
}

__attribute__((format(printf, 2, 0))) static void on_mhd_log(void *cls, const char *format, va_list values)
{
    char text[256];
    (void)cls;
    vsnprintf(text, sizeof text, format, values);
    text[strcspn(text, "\n")] = '\0';
    log_line(LOG_DEBUG, "libmicrohttpd", "detail", text, NULL);
}

static void on_ulfius_log(void *cls, const char *application, const time_t date, const unsigned long level,
                          const char *message)
{
    (void)cls, (void)application, (void)date, (void)level;
    log_line(LOG_WARN, "ulfius", "detail", message, NULL);
}

struct options {
    struct MHD_OptionItem list[OPTIONS];
    size_t count;
};

static void option(struct options *options, enum MHD_OPTION name, intptr_t value, void *pointer)
{
    options->list[options->count++] = (struct MHD_OptionItem){ name, value, pointer };
}

static void set_options(struct server *server, int fd, struct options *options)
{
    const struct config *config = server->service->config;
    option(options, MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_mhd_log, NULL);
    option(options, MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server);
    option(options, MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, server);
    option(options, MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server);
    option(options, MHD_OPTION_LISTEN_SOCKET, fd, NULL);
    option(options, MHD_OPTION_CONNECTION_LIMIT, config->connections, NULL);
    option(options, MHD_OPTION_PER_IP_CONNECTION_LIMIT, config->connections_per_address, NULL);
    option(options, MHD_OPTION_CONNECTION_TIMEOUT, config->idle_seconds + 5, NULL); /* the reaper comes before */
    option(options, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)config->header_limit, NULL);
    option(options, MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES, NULL);
    option(options, MHD_OPTION_STRICT_FOR_CLIENT, 0, NULL); /* with 1, a missing Host is answered twice */
    if (server->tls.serves) {
        option(options, MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, tls_retriever());
        option(options, MHD_OPTION_HTTPS_PRIORITIES, 0, TLS_PRIORITIES);
    }
    if (server->tls.client_ca) option(options, MHD_OPTION_HTTPS_MEM_TRUST, 0, server->tls.client_ca);
    option(options, MHD_OPTION_END, 0, NULL);
}

/* Port 1 is never bound: ulfius wants a number, and libmicrohttpd has our socket. */
static bool start_framework(struct server *server, int fd)
{
    struct _u_instance *instance = &server->instance;
    if (ulfius_init_instance(instance, 1, NULL, NULL) != U_OK) return false;
    instance->check_utf8 = 0;             /* else a header that is not UTF-8 vanishes, a second length with it */
    instance->allowed_post_processor = 0; /* bodies are read by us */
    instance->max_post_body_size = server->service->config->body_limit + 1; /* ulfius cuts; the one byte more tells */
    instance->use_client_cert_auth = server->tls.client_ca != NULL;
    ulfius_set_default_endpoint(instance, on_request, server);
    struct options options = { .count = 0 };
    set_options(server, fd, &options);
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG;
    if (server->tls.serves) flags |= MHD_USE_TLS;
    server->running = ulfius_start_framework_with_mhd_options(instance, flags, options.list) == U_OK;
    if (!server->running) ulfius_clean_instance(instance);
    return server->running;
}

static void server_free(struct server *server)
{
    if (server->reaper) reaper_stop(server->reaper);
    tls_free(&server->tls);
    free(server);
}

static void log_listening(const char *message, const char *address, int port)
{
    char text[8];
    snprintf(text, sizeof text, "%d", port);
    log_line(LOG_INFO, message, "address", address, "port", text, NULL);
}

struct server *server_start(const struct service *service)
{
    struct server *server = calloc(1, sizeof *server);
    if (!server) return NULL;
    server->service = service;
    signal(SIGPIPE, SIG_IGN);
    y_init_logs("utvag", Y_LOG_MODE_CALLBACK, Y_LOG_LEVEL_WARNING, NULL, NULL);
    y_set_logs_callback(on_ulfius_log, NULL, NULL);
    int port = 0, fd = -1;
    if (tls_load(service->config, &server->tls) && (server->reaper = reaper_start()))
        fd = listen_on(service->config->address, service->config->port, &port);
    if (fd >= 0 && start_framework(server, fd)) {
        log_listening("listening", service->config->address, port);
        return server;
    }
    log_line(LOG_ERROR, "the server cannot start", NULL);
    if (fd >= 0) close(fd);
    server_free(server);
    return NULL;
}

/* Waits until the last byte of every answer is out. */
static void drain(struct server *server, int seconds)
{
    const struct timespec pause = { 0, 20000000 };
    for (int i = 0; i < seconds * 50 && server->answering > 0; i++) nanosleep(&pause, NULL);
}

void server_stop(struct server *server, int drain_seconds)
{
    /* The door stays open meanwhile, so that whoever asks anew whether we are ready is told no. */
    drain(server, drain_seconds);
    MHD_socket fd = MHD_quiesce_daemon(server->instance.mhd_daemon);
    if (fd >= 0) close(fd);
    drain(server, 1); /* whoever came in last */
    reaper_end_all(server->reaper);
    ulfius_stop_framework(&server->instance);
    ulfius_clean_instance(&server->instance);
    if (server->admin) MHD_stop_daemon(server->admin);
    y_close_logs();
    server_free(server);
}

static enum MHD_Result answer_admin(struct MHD_Connection *connection, int status, char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
    if (!response) return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_admin(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                                const char *version, const char *data, size_t *size, void **context)
{
    struct server *server = cls;
    (void)version, (void)data, (void)context;
    if (*size) return MHD_NO;
    if (strcmp(url, "/metrics") != 0 || strcmp(method, "GET") != 0)
        return answer_admin(connection, 404, (char[]){ "" });
    char *text = metrics_text(server->service->metrics);
    enum MHD_Result result = text ? answer_admin(connection, 200, text) : MHD_NO;
    free(text);
    return result;
}

bool server_start_admin(struct server *server)
{
    const struct config *config = server->service->config;
    int port = 0;
    if (config->admin_port < 0) return true;
    int fd = listen_on(config->admin_address, config->admin_port, &port);
    if (fd < 0) return false;
    server->admin =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL,
                         NULL, on_admin, server, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL, MHD_OPTION_LISTEN_SOCKET,
                         fd, MHD_OPTION_CONNECTION_LIMIT, 16u, MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_END);
    if (!server->admin) {
        close(fd);
        return false;
    }
    log_listening("metrics listening", config->admin_address, port);
    return true;
}
