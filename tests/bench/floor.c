/* The least that a supervisor can do, as the yardstick: vfork and exec, wait, kill; nothing else.
 *
 * floor N SVC FIFO [MARK]    runs N times "SVC FIFO,ID", again when one ends, until SIGTERM;
 *                            with a MARK the first is "SVC FIFO,0MARK" */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct service {
    pid_t pid;
    char *argument;
};

static sigset_t caught;

static void start(const char *path, struct service *s)
{
    char *const argv[] = {(char[]){"svc"}, s->argument, NULL};
    /* the least that a kernel can do */
    /* NOLINTNEXTLINE(clang-analyzer-*) */
    s->pid = vfork();
    if (s->pid == 0) {
        sigprocmask(SIG_UNBLOCK, &caught, NULL);
        setsid();
        execv(path, argv);
        _exit(127);
    }
}

static struct service *find(struct service *s, pid_t pid)
{
    while (s->argument && s->pid != pid)
        s++;
    return s->argument ? s : NULL;
}

static void terminate(const struct service *s)
{
    for (; s->argument; s++)
        kill(s->pid, SIGTERM);
}

static void supervise(const char *path, struct service *services, int left)
{
    bool stopping = false;
    while (left > 0) {
        pid_t pid;
        if (sigwaitinfo(&caught, NULL) == SIGTERM && !stopping) {
            stopping = true;
            terminate(services);
        }
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
            struct service *s = find(services, pid);
            if (stopping)
                left -= s != NULL;
            else if (s)
                start(path, s);
        }
    }
}

int main(int argc, char **argv)
{
    int n = argc == 4 || argc == 5 ? atoi(argv[1]) : 0;
    static struct service *services;
    services = calloc((size_t)n + 1, sizeof *services);
    if (n < 1 || !services)
        return 2;
    sigemptyset(&caught);
    sigaddset(&caught, SIGCHLD);
    sigaddset(&caught, SIGTERM);
    sigprocmask(SIG_BLOCK, &caught, NULL);
    for (int i = 0; i < n; i++) {
        const char *mark = i == 0 && argc == 5 ? argv[4] : "";
        if (asprintf(&services[i].argument, "%s,%d%s", argv[3], i, mark) < 0)
            return 1;
        start(argv[2], &services[i]);
    }
    supervise(argv[2], services, n);
    return 0;
}
