#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tend/load.h"
#include "tend/load_problem.h"
#include "tend/pack.h"

enum { CPU_SECONDS = 20 };
#define ADDRESS_SPACE (UINT64_C(512) << 20)

/* ASan reserves terabytes. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

static void limit(int resource, rlim_t most)
{
    struct rlimit limits;

    if (getrlimit(resource, &limits) != 0)
        return;
    if (limits.rlim_max > most)
        limits.rlim_max = most;
    if (limits.rlim_cur > most)
        limits.rlim_cur = most;
    setrlimit(resource, &limits);
}

/* What PID 1 blocks or ignores must end this process. */
static void reset_signals(void)
{
    sigset_t none;

    for (int i = 1; i <= SIGRTMAX; i++)
        signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int write_all(int fd, const unsigned char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

int load_child(char *const *paths, int fd)
{
    struct pack pack = {0};
    struct conf_set *set;
    char **problems;
    int rc;

    reset_signals();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, CPU_SECONDS);
    if (!SANITIZED)
        limit(RLIMIT_AS, ADDRESS_SPACE);
    set = load_files(paths, &problems);
    rc = set != NULL ? pack_set(set, &pack) : pack_problems(problems, &pack);
    if (rc == 0)
        rc = write_all(fd, pack.data, pack.size);
    return rc != 0 ? 2 : set == NULL;
}
