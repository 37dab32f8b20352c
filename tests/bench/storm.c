/* Makes orphans, and watches PID 1 reap them.
 *
 * storm FIFO,ID    one argument, as svc has it; to run in a PID namespace with its own /proc
 *
 * Writes a record to FIFO when it starts, waits for SIGUSR1, makes its orphans, and writes what it
 * saw when all are gone or nobody waits any longer; then it waits for SIGTERM. An orphan ends when
 * its maker, the parent of a batch, has. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ORPHANS = 20000, BATCH = 100, STACK = 4096 };
static const uint64_t PATIENCE = 15000000000u, NAP = 1000000; /* ns */

struct record {
    uint64_t ns;
    uint32_t id;
    uint32_t kind;
};

static struct counts {
    atomic_int orphaned, ended;
    atomic_bool made; /* all of them */
} * counts;

static int fifo;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void report(char kind, uint64_t ns, uint32_t id)
{
    struct record r = {ns, id, (uint32_t)kind};
    if (write(fifo, &r, sizeof r) != sizeof r)
        _exit(3);
}

/* ---- making ---- */

struct batch {
    int ends[2]; /* of a pipe that only its maker holds open */
};

/* Shares the maker's memory, so that it costs little to make, and has descriptors of its own. */
static int orphan(void *arg)
{
    const struct batch *b = arg;
    char c;

    close(b->ends[1]);
    while (read(b->ends[0], &c, 1) < 0 && errno == EINTR)
        ;
    atomic_fetch_add(&counts->ended, 1);
    _exit(0);
}

static _Noreturn void make_batch(void)
{
    struct batch b;
    char *stacks = mmap(NULL, (size_t)BATCH * STACK, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (stacks == MAP_FAILED || pipe(b.ends))
        _exit(1);
    for (int i = 1; i <= BATCH; i++)
        if (clone(orphan, stacks + (size_t)i * STACK, CLONE_VM | SIGCHLD, &b) < 0)
            _exit(1);
    _exit(0);
}

static _Noreturn void make_all(void)
{
    for (int i = 0; i < ORPHANS / BATCH; i++) {
        int status = 1;
        pid_t maker = fork();
        if (maker == 0)
            make_batch();
        if (waitpid(maker, &status, 0) != maker || status)
            _exit(1);
        atomic_fetch_add(&counts->orphaned, BATCH);
    }
    atomic_store(&counts->made, true);
    _exit(0);
}

/* ---- watching ---- */

static ssize_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0, more = 1;

    while (fd >= 0 && more > 0 && (size_t)n < size - 1) {
        more = read(fd, text + n, size - 1 - (size_t)n);
        n += more > 0 ? more : 0;
    }
    if (fd >= 0)
        close(fd);
    text[n] = '\0';
    return n;
}

/* Zombies too. */
static int children_of_init(void)
{
    static char text[ORPHANS * 8];
    int children = 0;

    for (ssize_t n = read_file("/proc/1/task/1/children", text, sizeof text); n > 0;)
        children += text[--n] == ' ';
    return children;
}

static uint64_t cpu_of_init(void)
{
    char text[128];

    read_file("/proc/1/schedstat", text, sizeof text);
    return strtoull(text, NULL, 10);
}

static void storm(void)
{
    const struct timespec nap = {0, (long)NAP};
    int others = children_of_init(), most = 0, left = ORPHANS;
    uint64_t cpu = cpu_of_init(), begin = now(), end = begin;

    report('G', begin, 0);
    if (fork() == 0)
        make_all();
    while (left > 0 && end - begin < PATIENCE) {
        bool made = atomic_load(&counts->made);
        int alive = atomic_load(&counts->orphaned) - atomic_load(&counts->ended);
        int here = children_of_init() - others;
        if (here - (alive > 0 ? alive : 0) > most)
            most = here - (alive > 0 ? alive : 0);
        if (made)
            left = here > 0 ? here : 0;
        end = now();
        if (left > 0)
            nanosleep(&nap, NULL);
    }
    wait(NULL);
    report('C', cpu_of_init() - cpu, (uint32_t)most);
    report('D', end, (uint32_t)left);
}

int main(int argc, char **argv)
{
    char *comma = argc > 1 ? strrchr(argv[1], ',') : NULL;
    uint64_t started = now();
    sigset_t told;

    sigemptyset(&told);
    sigaddset(&told, SIGUSR1);
    sigaddset(&told, SIGTERM);
    sigprocmask(SIG_BLOCK, &told, NULL);
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!comma || counts == MAP_FAILED)
        return 2;
    *comma = '\0';
    fifo = open(argv[1], O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    *comma = ','; /* as svc does */
    report('S', started, (uint32_t)atoi(comma + 1));
    if (sigwaitinfo(&told, NULL) == SIGUSR1) {
        storm();
        while (sigwaitinfo(&told, NULL) != SIGTERM)
            ;
    }
    return 0;
}
