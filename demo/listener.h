/* What the demo servers share: a listener, and which errors of accept are whose. */
#ifndef LISTENER_H
#define LISTENER_H

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "demo.h"

static inline void set_option(int fd, int level, int name, int value)
{
    if (setsockopt(fd, level, name, &value, sizeof value))
        warn("setsockopt");
}

static inline void print_address(const char *program, int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getsockname(fd, (struct sockaddr *)&address, &size) ||
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV))
        errx(1, "cannot tell where it listens");
    printf("%s: listening on %s:%s\n", program, host, port);
}

/* Without SO_REUSEADDR a restart fails while old connections are in TIME_WAIT. Non-blocking, since
 * a connection can be gone between poll and accept. */
static inline int listener_open(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *a;
    int e = getaddrinfo(host, port, &hints, &a);
    if (e)
        errx(1, "--host %s: %s", host, gai_strerror(e));
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        err(1, "socket");
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, SOMAXCONN)) {
        if (errno == EADDRINUSE)
            errx(1, "port %s of %s is taken; choose another with --port", port, host);
        err(1, "cannot listen on port %s of %s", port, host);
    }
    freeaddrinfo(a);
    return fd;
}

/* Linux passes errors already pending on the new connection to accept: they are the connection's,
 * which is gone, and not the listener's. Returns 0 to go on at once, or the errno of what is
 * lacking: then the connection stays in the queue and poll would report it again and again. */
static inline int accept_error(int e)
{
    switch (e) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM: /* a firewall's no */
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
        return 0;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
        errno = e;
        err(1, "accept"); /* no listener any more: only a new start helps */
    default:              /* EMFILE, ENFILE, ENOBUFS, ENOMEM, and what is yet unknown */
        return e;
    }
}

#endif
