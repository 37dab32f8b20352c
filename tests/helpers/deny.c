/* deny CALL[,CALL...]=ERRNO... -- COMMAND...: the calls fail for the command and all below it.
 * ERRNO is EPERM, ENOSYS, EAGAIN, EMFILE, EINVAL, or HANG: then the call never comes back (but for
 * KILL), as on a dead network file system. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tend/base.h"

#define CALL(name)                                                                                 \
    {                                                                                              \
#name, SYS_##name                                                                          \
    }
static const struct named {
    const char *name;
    unsigned value;
} calls[] = {
    CALL(chdir),          CALL(clone),        CALL(clone3),        CALL(setpgid),
    CALL(close_range),    CALL(dup3),         CALL(epoll_create1), CALL(eventfd2),
    CALL(fchdir),         CALL(memfd_create), CALL(pidfd_open),    CALL(pidfd_send_signal),
    CALL(prctl),          CALL(prlimit64),    CALL(setgid),        CALL(setgroups),
    CALL(setpriority),    CALL(setregid),     CALL(setresgid),     CALL(setresuid),
    CALL(setreuid),       CALL(setsid),       CALL(setuid),        CALL(signalfd4),
    CALL(timerfd_create), CALL(waitid),       CALL(faccessat2),    CALL(inotify_init1),
    CALL(openat2),        CALL(preadv2),      CALL(pwritev2),      CALL(renameat2),
    CALL(statx),          CALL(connect),
#ifdef SYS_epoll_pwait2
    CALL(epoll_pwait2),
#endif
#ifdef SYS_dup2
    CALL(dup2),           CALL(setrlimit),
#endif
};
static const struct named errors[] = {{"EPERM", EPERM},   {"ENOSYS", ENOSYS}, {"EAGAIN", EAGAIN},
                                      {"EMFILE", EMFILE}, {"EINVAL", EINVAL}, {"HANG", 0}};

static unsigned find(const struct named *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].value;
    fprintf(stderr, "deny: unknown: %s\n", name);
    exit(118);
}

static struct sock_filter filter[256] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
static unsigned short used = 1;
static bool hangs;

static void rule(char *text)
{
    char *error = strchr(text, '=');
    if (!error || used > ARRAY_SIZE(filter) - 64)
        exit(118);
    *error++ = '\0';
    unsigned number = find(errors, ARRAY_SIZE(errors), error);
    unsigned verdict = number ? SECCOMP_RET_ERRNO | number : SECCOMP_RET_USER_NOTIF;
    hangs = hangs || !number;
    for (char *call; (call = strsep(&text, ","));) {
        unsigned nr = find(calls, ARRAY_SIZE(calls), call);
        filter[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1);
        filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict);
    }
}

/* A call hangs while somebody holds the listener and does not answer. The holder must not be a
 * child of the command, and ends with it. */
static void hold(int listener)
{
    pid_t command = getpid();
    int descriptor = (int)syscall(SYS_pidfd_open, command, 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (fork() == 0) {
            struct pollfd end = {.fd = descriptor, .events = POLLIN};
            /* By the pid where pidfd_open is one of the calls. */
            while (kill(command, 0) == 0 && poll(&end, 1, 100) == 0)
                ;
        }
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    close(descriptor);
    close(listener);
}

int main(int argc, char **argv)
{
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++)
        rule(argv[i]);
    if (i + 1 >= argc)
        return 118;
    filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

    struct sock_fprog program = {.len = used, .filter = filter};
    if (geteuid() != 0)
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    unsigned flags = hangs ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (listener == -1) {
        perror("deny: seccomp");
        return 118;
    }
    if (hangs)
        hold(listener);
    execvp(argv[i + 1], argv + i + 1);
    perror(argv[i + 1]);
    return 118;
}
