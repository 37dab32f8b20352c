/* Runs a command as PID 1 of new PID and mount namespaces, and reads the clock.
 *
 * inns [-iq] [-g CGROUP] [-b SOURCE=TARGET]... COMMAND ARG...
 *   -i    PID 1 is a trivial init, the command its child; it exits when no child is left
 *   -q    says nothing before the end: whoever reads it would take a processor meanwhile
 *   -g    joins this cgroup first
 *   -b    binds SOURCE over TARGET; /run is an empty tmpfs anyway
 *
 * Standard output gets "exec NS" just before the exec, "pid PID" (as seen from outside) and, when
 * PID 1, and so every process of the namespace, is gone, "end NS" and "status N", as wait(2) gives
 * it. The command's own output goes to standard error. Whoever dies, the namespace dies with it:
 * nothing is left behind. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int output;
static bool quiet;
static long long *executed; /* shared with PID 1 */

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "inns: %s: %s\n", what, strerror(errno));
    _exit(125);
}

static void must(int result, const char *what)
{
    if (result < 0)
        die(what);
}

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void join(const char *cgroup)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    must(fd, path);
    must((int)write(fd, "0", 1), path);
    close(fd);
}

static void bind_over(char *pair)
{
    char *equals = strchr(pair, '=');
    if (equals) {
        *equals = 0;
        must(mount(pair, equals + 1, NULL, MS_BIND, NULL), equals + 1);
    }
}

static void private_mounts(void)
{
    must(unshare(CLONE_NEWNS), "unshare");
    must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
    must(mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"), "/run");
    /* where there is one, it is the host's */
    (void)mount("/dev/null", "/dev/console", NULL, MS_BIND, NULL);
}

static _Noreturn void execute(char **command)
{
    setsid();
    *executed = now();
    if (!quiet)
        dprintf(output, "exec %lld\n", *executed);
    execvp(command[0], command);
    die(command[0]);
}

static _Noreturn void first_process(char **command, bool trivial_init)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    must(mount("proc", "/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL), "/proc");
    if (!trivial_init || fork() == 0)
        execute(command);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    _exit(0);
}

int main(int argc, char **argv)
{
    bool trivial_init = false;

    must(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
    output = fcntl(1, F_DUPFD_CLOEXEC, 3);
    must(output, "standard output");
    must(dup2(2, 1), "standard output");
    private_mounts();
    executed =
        mmap(NULL, sizeof *executed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(executed == MAP_FAILED ? -1 : 0, "mmap");
    for (int option; (option = getopt(argc, argv, "+iqg:b:")) != -1;) {
        if (option == 'i')
            trivial_init = true;
        else if (option == 'q')
            quiet = true;
        else if (option == 'g')
            join(optarg);
        else if (option == 'b')
            bind_over(optarg);
        else
            return 2;
    }
    if (optind == argc)
        return 2;
    must(unshare(CLONE_NEWPID), "unshare");
    pid_t pid = fork();
    must(pid, "fork");
    if (pid == 0)
        first_process(argv + optind, trivial_init);
    if (!quiet)
        dprintf(output, "pid %d\n", pid);
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    long long end = now();
    if (quiet)
        dprintf(output, "pid %d\nexec %lld\n", pid, *executed);
    dprintf(output, "end %lld\nstatus %d\n", end, status);
    return 0;
}
