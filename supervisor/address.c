#include "tend/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "tend/units.h"

/* The n bytes at text are a number of this family; to is its place in an address. */
static bool read_host(int family, const char *text, size_t n, void *to)
{
    char host[INET6_ADDRSTRLEN];

    if (n >= sizeof host)
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    return inet_pton(family, host, to) == 1;
}

/* Returns what follows the number; NULL: there is none. */
static const char *read_address(const char *text, struct address *out, in_port_t **port)
{
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&out->storage;
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&out->storage;
    bool is_six = *text == '[';
    size_t n = is_six ? strcspn(text, "]") : strcspn(text, ":/");

    memset(out, 0, sizeof *out);
    if (is_six && (text[n] != ']' || !read_host(AF_INET6, text + 1, n - 1, &six->sin6_addr)))
        return NULL;
    if (!is_six && !read_host(AF_INET, text, n, &four->sin_addr))
        return NULL;
    out->any.sa_family = is_six ? AF_INET6 : AF_INET;
    out->length = is_six ? sizeof *six : sizeof *four;
    *port = is_six ? &six->sin6_port : &four->sin_port;
    return text + n + is_six;
}

/* The n bytes at text. */
static int read_port(const char *text, size_t n, in_port_t *port)
{
    char digits[sizeof "65535"];
    long number;

    if (n >= sizeof digits)
        return -1;
    memcpy(digits, text, n);
    digits[n] = '\0';
    if (units_number(digits, 1, 65535, &number))
        return -1;
    *port = htons((uint16_t)number);
    return 0;
}

int address_tcp(const char *text, struct address *out)
{
    struct address found;
    in_port_t *port;
    const char *rest = read_address(text, &found, &port);

    if (!rest || *rest != ':' || read_port(rest + 1, strlen(rest + 1), port))
        return -1;
    *out = found;
    return 0;
}

int address_unix(const char *text, struct address *out)
{
    bool abstract = *text == '@';
    size_t n = strlen(text);

    /* A path ends with a NUL, an abstract name with its length. */
    if ((!abstract && *text != '/') || n < 2 || n + !abstract > sizeof out->local.sun_path)
        return -1;
    memset(out, 0, sizeof *out);
    out->local.sun_family = AF_UNIX;
    memcpy(out->local.sun_path, text, n);
    if (abstract)
        out->local.sun_path[0] = '\0';
    out->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !abstract);
    return 0;
}

/* What may stand in a request line as it is; a fragment is not sent. */
static bool is_path(const char *text)
{
    if (*text != '\0' && *text != '/')
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '#')
            return false;
    return true;
}

int address_http(const char *text, struct address *out, const char **path)
{
    static const char scheme[] = "http://";
    struct address found;
    const char *rest;
    in_port_t *port;

    if (strncmp(text, scheme, strlen(scheme)) != 0)
        return -1;
    rest = read_address(text + strlen(scheme), &found, &port);
    if (!rest)
        return -1;
    *port = htons(80);
    if (*rest == ':') {
        size_t n = strcspn(++rest, "/");
        if (read_port(rest, n, port))
            return -1;
        rest += n;
    }
    if (!is_path(rest))
        return -1;
    *out = found;
    *path = rest;
    return 0;
}
