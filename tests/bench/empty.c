/* What an answer costs before anything is done: ulfius' default endpoint, a thread for each connection as in the service,
   an empty body. `empty` prints its port and serves until its standard input ends. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <ulfius.h>
#include <unistd.h>

static int on_request(const struct _u_request *from, struct _u_response *to, void *cls)
{
    (void)from, (void)cls;
    ulfius_set_empty_body_response(to, 200);
    return U_CALLBACK_COMPLETE;
}

static int listen_anywhere(uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, 128)) return -1;
    if (getsockname(fd, (struct sockaddr *)&address, &size)) return -1;
    *port = ntohs(address.sin_port);
    return fd;
}

int main(void)
{
    struct _u_instance instance;
    uint16_t port;
    char byte;
    int fd = listen_anywhere(&port);
    if (fd < 0 || ulfius_init_instance(&instance, 1, NULL, NULL) != U_OK) return 1;
    ulfius_set_default_endpoint(&instance, on_request, NULL);
    struct MHD_OptionItem options[] = {
        { MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)mhd_request_completed, NULL },
        { MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)ulfius_uri_logger, NULL },
        { MHD_OPTION_LISTEN_SOCKET, fd, NULL },
        { MHD_OPTION_THREAD_STACK_SIZE, 256 << 10, NULL },
        { MHD_OPTION_END, 0, NULL },
    };
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC;
    if (ulfius_start_framework_with_mhd_options(&instance, flags, options) != U_OK) return 1;
    printf("%u\n", (unsigned)port);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) continue;
    ulfius_stop_framework(&instance);
    ulfius_clean_instance(&instance);
    return 0;
}
