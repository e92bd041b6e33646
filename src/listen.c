#include "utvag/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "utvag/log.h"

enum { BACKLOG = 1024 };

static int open_socket(const struct addrinfo *where)
{
    int fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, where->ai_addr, where->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

int listen_on(const char *address, int port, int *bound)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
    struct addrinfo *where = NULL;
    char text[8];
    snprintf(text, sizeof text, "%d", port);
    int fault = getaddrinfo(address, text, &hints, &where);
    int fd = where ? open_socket(where) : -1;
    if (fd < 0)
        log_line(LOG_ERROR, "cannot listen", "address", address, "port", text, "reason",
                 fault ? gai_strerror(fault) : strerror(errno), NULL);
    if (where) freeaddrinfo(where);

    struct sockaddr_storage taken;
    socklen_t size = sizeof taken;
    char service[8];
    if (fd < 0) return -1;
    *bound = port;
    if (getsockname(fd, (struct sockaddr *)&taken, &size) == 0 &&
        getnameinfo((struct sockaddr *)&taken, size, NULL, 0, service, sizeof service, NI_NUMERICSERV) == 0)
        sscanf(service, "%d", bound);
    return fd;
}
