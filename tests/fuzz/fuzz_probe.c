/* Any bytes as an answer to a probe: the same verdict in whatever pieces they come, known no later
 * than its line is there, and never another one after it. */
#include <errno.h>
#include <sys/socket.h>

#include "tend/probe.h"

#include "driver.h"

#ifndef LIBFUZZER
const char *const fuzz_words[] = {"HTTP/1.0 ", "HTTP/1.1 ", "HTTP/2 ", "200", "301", "404",
                                  "503",       " ",         "\r\n",    "\n",  "OK",  "/",
                                  ".",         "0",         "HTTP",    "\t",  NULL};

static void fuzz_seeds(void)
{
    static const char *const examples[] = {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                                           "HTTP/1.0 302 Found\r\n\r\n", "HTTP/1.1 503\n",
                                           "SSH-2.0-OpenSSH_9.2\r\n"};

    for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
        driver_add(examples[i], strlen(examples[i]));
}
#endif

/* As the standard says it, once more. */
static enum probe_state expected(const char *bytes, size_t n, int *status)
{
    unsigned major = 0, minor = 0, code = 0;
    char line[PROBE_HEAD + 1] = "", again[64];

    *status = 0;
    if (n < PROBE_HEAD)
        return PROBE_ILL;
    memcpy(line, bytes, PROBE_HEAD);
    if (sscanf(line, "HTTP/%1u.%1u %3u", &major, &minor, &code) != 3)
        return PROBE_ILL;
    snprintf(again, sizeof(again), "HTTP/%u.%u %03u", major, minor, code);
    if (strncmp(again, line, PROBE_HEAD - 1) != 0 ||
        strchr(" \r\n", line[PROBE_HEAD - 1]) == NULL || line[PROBE_HEAD - 1] == '\0')
        return PROBE_ILL;
    *status = (int)code;
    return code >= 200 && code < 400 ? PROBE_WELL : PROBE_ILL;
}

/* No more than there is, for a sanitizer. */
static enum probe_state judge(const uint8_t *data, size_t n, int *status)
{
    char *bytes = malloc(n > 0 ? n : 1);
    enum probe_state verdict;

    FUZZ_ASSERT(bytes != NULL);
    if (n > 0)
        memcpy(bytes, data, n);
    *status = -1;
    verdict = probe_status_line(bytes, n, status);
    free(bytes);
    return verdict;
}

static void check_growing(const uint8_t *data, size_t size, enum probe_state whole, int status)
{
    enum probe_state before = PROBE_WAIT, now = PROBE_WAIT;
    int number = 0;

    for (size_t n = 0; n <= size && n <= 2 * PROBE_HEAD; n++, before = now) {
        now = judge(data, n, &number);
        FUZZ_ASSERT(before == PROBE_WAIT || now == before);
        FUZZ_ASSERT(number == (n < PROBE_HEAD ? 0 : status));
    }
    FUZZ_ASSERT(now == whole);
}

/* In pieces whose sizes are of the data, too, and then the end. */
static void check_pieces(const uint8_t *data, size_t size, enum probe_state verdict, int status)
{
    struct probe p = {.connected = true, .request = strdup("")};
    enum probe_state state = PROBE_WAIT;
    size_t sent = 0;
    int fds[2];

    FUZZ_ASSERT(p.request != NULL);
    FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    p.fd = fds[0];
    while (sent < size && state == PROBE_WAIT) {
        size_t n = size - sent, piece = 1u + data[sent] % 16;
        n = n < piece || sent > 64 ? n : piece;
        FUZZ_ASSERT(send(fds[1], data + sent, n, MSG_NOSIGNAL) == (ssize_t)n);
        sent += n;
        state = probe_go_on(&p);
        FUZZ_ASSERT(p.n_answer == sent || state != PROBE_WAIT);
    }
    close(fds[1]);
    while (state == PROBE_WAIT)
        state = probe_go_on(&p);
    FUZZ_ASSERT(state == verdict && p.status == status && p.over);
    FUZZ_ASSERT(p.error == 0 || (p.status == 0 && (p.error == EPROTO || p.error == ENODATA)));
    probe_end(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int status, number;
    enum probe_state whole = judge(data, size, &status),
                     verdict = expected((const char *)data, size, &number);

    FUZZ_ASSERT(status == number);
    FUZZ_ASSERT(whole == verdict || (whole == PROBE_WAIT && size < PROBE_HEAD));
    check_growing(data, size, whole, status);
    check_pieces(data, size, verdict, status);
    return 0;
}
