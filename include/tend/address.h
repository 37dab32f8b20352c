/* Where a probe connects to, from what an operator writes. Pure: no name is ever looked up, since
 * PID 1 may not wait for a name service. */
#ifndef TEND_ADDRESS_H
#define TEND_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

#include "tend/base.h"

/* One address of whatever family, with its length. */
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        struct sockaddr_un local;
    };
    socklen_t length;
};

/* "127.0.0.1:80", "[::1]:80": a number and a port from 1 to 65535. -1: it is none. */
int address_tcp(const char *text, struct address *);
/* An absolute path, or "@name" in the abstract namespace (unix(7)); -1: it is none, or too long. */
int address_unix(const char *text, struct address *);
/* "http://127.0.0.1:8080/health": the address as above, without a port 80; path points into text at
 * what follows the port, "" where nothing does. No blank and no control byte is in it. -1: it is
 * none; https is none. */
int address_http(const char *text, struct address *, const char **path);

#endif
