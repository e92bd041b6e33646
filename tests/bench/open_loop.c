/* A load generator for HTTP/1.1.

   Open loop (-r RATE): requests are due at a constant rate, whether or not earlier ones are answered, and a latency counts
   from when its request was due: a stall of the server is seen by all who came meanwhile, as users see it. Closed loop
   (no -r): each connection asks again when it is answered, which finds the most that the server can do.

     open_loop [-c CONNECTIONS] [-r PER_SECOND] [-d SECONDS] [-w SECONDS] [-1] HOST PORT REQUEST [ROWS]

   REQUEST is a file: the request line, headers, an empty line and perhaps a body, with gaps (template.h) that ROWS
   fills, one row a request, over and over; with -1 each row once. -w: seconds first that are not counted. Prints JSON.
   Latencies are those of answers below 400. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "template.h"

enum { TEXT_ROOM = 1 << 16, ANSWER_ROOM = 1 << 20, STATUSES = 600, SECOND = 1000000000, PATIENCE = 10 };

struct options {
    int connections;
    double rate, seconds, warm;
    bool once;
    struct sockaddr_in to;
};

struct connection {
    int fd;
    bool busy;
    int64_t due;
    char *answer;
    size_t got;
    ssize_t whole; /* length of the whole answer, -1 until its head is in */
    struct connection *next_free;
};

struct load {
    struct options options;
    char *head, *body;
    struct table table;
    size_t next_row;
    struct connection *connections, *free;
    int epoll, timer, busy;
    int64_t start, counted, end, next_due;
    uint32_t *latencies;
    size_t count, room;
    uint64_t statuses[STATUSES], answers, good, lost, sent;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Connections --------------------------------------------------------------------------------------------------------- */

static void connection_open(struct load *load, struct connection *connection)
{
    int yes = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) fail("socket");
    if (connect(connection->fd, (struct sockaddr *)&load->options.to, sizeof load->options.to)) fail("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = connection };
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event)) fail("epoll_ctl");
}

static void connection_free(struct load *load, struct connection *connection)
{
    if (connection->busy) load->busy--;
    connection->busy = false;
    connection->next_free = load->free;
    load->free = connection;
}

static void connection_close(struct connection *connection)
{
    if (connection->fd >= 0) close(connection->fd);
    connection->fd = -1;
}

/* Requests are small: a socket that takes nothing in a row is a fault. */
static bool send_all(int fd, const char *text, size_t length)
{
    while (length) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) return false;
        if (sent < 0) continue;
        text += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* The next request on a free connection; false when the rows are used up. */
static bool request_send(struct load *load, int64_t due)
{
    static char head[TEXT_ROOM], body[TEXT_ROOM], text[2 * TEXT_ROOM + 64];
    struct connection *connection = load->free;
    if (load->options.once && load->next_row == load->table.count) return false;
    struct gaps gaps = { 0 };
    memcpy(gaps.field, load->table.rows[load->next_row++ % load->table.count], sizeof gaps.field);
    gaps_fill(&gaps, load->head, head, sizeof head);
    size_t length = gaps_fill(&gaps, load->body, body, sizeof body);
    int used = length ? snprintf(text, sizeof text, "%s\r\nContent-Length: %zu\r\n\r\n%s", head, length, body)
                      : snprintf(text, sizeof text, "%s\r\n\r\n", head);
    load->free = connection->next_free;
    connection->busy = true;
    connection->due = due;
    connection->got = 0;
    connection->whole = -1;
    load->busy++;
    load->sent++;
    if (connection->fd < 0) connection_open(load, connection);
    if (!send_all(connection->fd, text, (size_t)used)) {
        load->lost++;
        connection_close(connection);
        connection_free(load, connection);
    }
    return true;
}

/* Answers ------------------------------------------------------------------------------------------------------------- */

static void latency_keep(struct load *load, int64_t nanoseconds)
{
    if (load->count == load->room) {
        load->room = load->room ? 2 * load->room : 1 << 16;
        load->latencies = realloc(load->latencies, load->room * sizeof *load->latencies);
        if (!load->latencies) fail("realloc");
    }
    load->latencies[load->count++] = (uint32_t)(nanoseconds / 1000);
}

static void answer_count(struct load *load, const struct connection *connection, int status)
{
    int64_t now = now_ns();
    bool good = status >= 200 && status < 400;
    if (now >= load->counted && now < load->end) {
        load->answers++;
        load->good += good;
    }
    if (connection->due < load->counted) return;
    load->statuses[status < STATUSES && status > 0 ? status : 0]++;
    if (good) latency_keep(load, now - connection->due);
}

/* How long the whole answer is, once its head is in. */
static void head_read(struct connection *connection, int status)
{
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *length = strcasestr(connection->answer, "\r\nContent-Length:");
    if (!end) return;
    bool bare = status == 204 || status == 304 || !length || length > end;
    connection->whole = end + 4 - connection->answer + (bare ? 0 : atol(length + 17));
}

static bool closing(const struct connection *connection)
{
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *close = strcasestr(connection->answer, "\r\nConnection: close");
    return close && close < end;
}

static void connection_lose(struct load *load, struct connection *connection)
{
    load->lost += connection->busy;
    bool was_busy = connection->busy;
    connection_close(connection);
    if (was_busy) connection_free(load, connection);
}

static void connection_read(struct load *load, struct connection *connection)
{
    ssize_t got =
        recv(connection->fd, connection->answer + connection->got, ANSWER_ROOM - connection->got - 1, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0 || !connection->busy) {
        connection_lose(load, connection);
        return;
    }
    connection->got += (size_t)got;
    connection->answer[connection->got] = '\0';
    int status = connection->got > 12 ? atoi(connection->answer + 9) : 0;
    if (connection->whole < 0) head_read(connection, status);
    if (connection->whole < 0 || connection->got < (size_t)connection->whole) return;
    answer_count(load, connection, status);
    if (closing(connection)) connection_close(connection);
    connection_free(load, connection);
}

/* The loop ------------------------------------------------------------------------------------------------------------ */

/* Sends whatever is due; false when nothing more will be. */
static bool send_due(struct load *load)
{
    int64_t now = now_ns(), gap = load->options.rate > 0 ? (int64_t)(SECOND / load->options.rate) : 0;
    while (load->free && now < load->end) {
        if (gap && (load->next_due > now || load->next_due >= load->end)) break;
        if (!request_send(load, gap ? load->next_due : now)) return false;
        load->next_due += gap;
        if (!gap) now = now_ns();
    }
    return now < load->end;
}

static void wait_events(struct load *load, bool more)
{
    struct epoll_event events[64];
    int64_t wake = more && load->options.rate > 0 && load->free ? load->next_due : now_ns() + SECOND / 10;
    if (more && wake > load->end) wake = load->end;
    struct itimerspec at = { .it_value = { wake / SECOND, wake % SECOND } };
    timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &at, NULL);
    int count = epoll_wait(load->epoll, events, 64, -1);
    for (int i = 0; i < count; i++) {
        uint64_t expirations;
        if (events[i].data.ptr)
            connection_read(load, events[i].data.ptr);
        else if (read(load->timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
            fail("timer");
    }
}

static void run(struct load *load)
{
    const struct options *options = &load->options;
    load->start = load->next_due = now_ns();
    load->counted = load->start + (int64_t)(options->warm * SECOND);
    load->end = load->counted + (int64_t)(options->seconds * SECOND);
    while (send_due(load)) wait_events(load, true);
    int64_t stopped = now_ns();
    if (stopped < load->end) load->end = stopped; /* the rows were used up */
    while (load->busy && now_ns() < stopped + (int64_t)PATIENCE * SECOND) wait_events(load, false);
}

/* Report -------------------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t percentile(const struct load *load, double share)
{
    return load->count ? load->latencies[(size_t)(share * (double)(load->count - 1))] : 0;
}

static void report(struct load *load)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double seconds = (double)(load->end - load->counted) / SECOND;
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    if (load->count) qsort(load->latencies, load->count, sizeof *load->latencies, compare);
    printf("{\"seconds\": %.3f, \"per_second\": %.1f, \"good_per_second\": %.1f, \"sent\": %llu, \"unanswered\": %llu,",
           seconds, (double)load->answers / seconds, (double)load->good / seconds, (unsigned long long)load->sent,
           (unsigned long long)(load->lost + (unsigned)load->busy));
    printf(" \"p50_us\": %u, \"p90_us\": %u, \"p99_us\": %u, \"p999_us\": %u, \"max_us\": %u, \"client_cpu_us\": %.1f,",
           percentile(load, 0.5), percentile(load, 0.9), percentile(load, 0.99), percentile(load, 0.999),
           percentile(load, 1), load->sent ? cpu / (double)load->sent : 0);
    printf(" \"status\": {");
    const char *comma = "";
    for (int i = 0; i < STATUSES; i++) {
        if (!load->statuses[i]) continue;
        printf("%s\"%d\": %llu", comma, i, (unsigned long long)load->statuses[i]);
        comma = ", ";
    }
    puts("}}");
}

static void options_read(struct options *options, int count, char **arguments)
{
    *options = (struct options){ .connections = 16, .seconds = 5, .to = { .sin_family = AF_INET } };
    for (int c; (c = getopt(count, arguments, "c:r:d:w:1")) != -1;) {
        if (c == 'c') options->connections = atoi(optarg);
        if (c == 'r') options->rate = atof(optarg);
        if (c == 'd') options->seconds = atof(optarg);
        if (c == 'w') options->warm = atof(optarg);
        if (c == '1') options->once = true;
        if (c == '?') exit(2);
    }
    if (count - optind < 3 || options->connections < 1 ||
        inet_pton(AF_INET, arguments[optind], &options->to.sin_addr) != 1) {
        fputs(
            "usage: open_loop [-c CONNECTIONS] [-r PER_SECOND] [-d SECONDS] [-w SECONDS] [-1] HOST PORT REQUEST [ROWS]\n",
            stderr);
        exit(2);
    }
    options->to.sin_port = htons((uint16_t)atoi(arguments[optind + 1]));
}

/* Lines of the head end with CR LF on the wire, whatever the file has. */
static void request_read(struct load *load, const char *path)
{
    char *text = file_read(path), *body = strstr(text, "\n\n");
    size_t lines = 0, used = 0;
    if (body) *body = '\0';
    load->body = strdup(body ? body + 2 : "");
    for (const char *at = text; *at; at++) lines += *at == '\n';
    load->head = malloc(strlen(text) + lines + 1);
    if (!load->head || !load->body) fail("malloc");
    for (const char *at = text; *at; at++) {
        if (*at == '\n') load->head[used++] = '\r';
        load->head[used++] = *at;
    }
    load->head[used] = '\0';
    free(text);
}

static void load_open(struct load *load)
{
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };
    if (load->epoll < 0 || load->timer < 0 || epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->timer, &event)) fail("epoll");
    load->connections = calloc((size_t)load->options.connections, sizeof *load->connections);
    if (!load->connections) fail("calloc");
    for (int i = 0; i < load->options.connections; i++) {
        struct connection *connection = &load->connections[i];
        connection->answer = malloc(ANSWER_ROOM);
        if (!connection->answer) fail("malloc");
        connection_open(load, connection);
        connection_free(load, connection);
    }
}

int main(int count, char **arguments)
{
    struct load load = { 0 };
    options_read(&load.options, count, arguments);
    request_read(&load, arguments[optind + 2]);
    load.table = table_read(count - optind > 3 ? arguments[optind + 3] : NULL);
    if (!load.table.count) return 1;
    prctl(PR_SET_TIMERSLACK, 1UL); /* else a timer may be 50 µs late */
    load_open(&load);
    run(&load);
    report(&load);
    for (int i = 0; i < load.options.connections; i++) {
        connection_close(&load.connections[i]);
        free(load.connections[i].answer);
    }
    free(load.connections);
    free(load.latencies);
    free(load.head);
    free(load.body);
    table_free(&load.table);
    return 0;
}
