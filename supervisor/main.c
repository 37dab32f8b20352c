/* Arguments, the first acts of a process that may be PID 1, and its last. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tend/check.h"
#include "tend/log.h"
#include "tend/process.h"
#include "tend/world.h"

struct arguments {
    char **paths; /* NULL-terminated; NULL: none given */
    size_t n_paths;
    bool check, options;
};

static const char usage[] =
    "usage: tend [options]\n"
    "\n"
    "  -c, --config PATH   a config file, or a folder whose *.conf are read; may be repeated\n"
    "                      (default: /etc/tend/tend.conf and /etc/tend/services.d)\n"
    "      --check         tell every error in the config, or the order of start, and exit\n"
    "      --options       tell every key of the config, and exit\n"
    "      --runtime DIR   the folder for what exists while tend runs\n"
    "  -v, --verbose       tell every step\n"
    "      --version       tell the version, and exit\n"
    "  -h, --help          tell this, and exit\n"
    "\n"
    "TERM or INT stops all services in order, a second INT at once; HUP reads the config anew.\n"
    "See tend(8) and tend.conf(5).\n";

/* ---- arguments ---- */

static void add_path(struct arguments *a, const char *path)
{
    char **paths = realloc(a->paths, (a->n_paths + 2) * sizeof *paths);

    if (!paths)
        exit(WORLD_NO_SYSTEM);
    a->paths = paths;
    a->paths[a->n_paths++] = strdup(path);
    a->paths[a->n_paths] = NULL;
}

enum { OPTION_CHECK = 256, OPTION_OPTIONS, OPTION_RUNTIME, OPTION_VERSION };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"options", no_argument, NULL, OPTION_OPTIONS},
    {"runtime", required_argument, NULL, OPTION_RUNTIME},
    {"verbose", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void parse(struct arguments *a, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "+c:vh", long_options, NULL)) != -1)
        switch (option) {
        case 'c':
            add_path(a, optarg);
            break;
        case 'v':
            log_verbose = true;
            break;
        case OPTION_CHECK:
            a->check = true;
            break;
        case OPTION_OPTIONS:
            a->options = true;
            break;
        case OPTION_RUNTIME:
            break;
        case OPTION_VERSION:
            puts("tend " TEND_VERSION);
            exit(0);
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            exit(WORLD_BAD_USAGE);
        }
    if (optind < argc) {
        fprintf(stderr, "tend: %s: not an option; see tend --help\n", argv[optind]);
        exit(WORLD_BAD_USAGE);
    }
}

/* ---- first acts ---- */

/* A descriptor that is missing would be given to the first file that we open, and services would
 * write into it. */
static void open_standard(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_NOCTTY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* Blocked signals wait for us, also those that PID 1 would otherwise not get at all (signal(7)).
 * What our starter ignored would be ignored by our services, and a SIGCHLD that is ignored loses
 * every exit (wait(2)). */
static void take_over_signals(sigset_t *all)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};

    sigfillset(all);
    sigprocmask(SIG_SETMASK, all, NULL);
    for (int signal = 1; signal <= SIGRTMAX; signal++)
        sigaction(signal, &standard, NULL);
}

/* Our folder must not keep a file system busy; the paths given are relative to the old one. */
static void leave_folder(struct arguments *a)
{
    char *here = getcwd(NULL, 0);

    for (size_t i = 0; i < a->n_paths; i++) {
        char *path;
        if (a->paths[i][0] == '/' || !here ||
            asprintf(&path, "%s/%s", strcmp(here, "/") != 0 ? here : "", a->paths[i]) < 0)
            continue;
        free(a->paths[i]);
        a->paths[i] = path;
    }
    free(here);
    if (chdir("/"))
        log_warn("/");
}

static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int open_world(struct world *w, const sigset_t *signals)
{
    *w = (struct world){.loader_fd = -1, .look_at = NEVER, .cgroup = {.own = -1, .inotify = -1}};
    engine_init(&w->engine, observe_change, w);
    spawn_common_open(&w->common, environ);
    w->proc = members_open();
    w->reaper = process_reaps_orphans();
    w->has_tty = has_terminal();
    if (!store_open(&w->store))
        log_warn("memfd");
    if (w->proc < 0)
        log_warnx("no /proc: who belongs to a service is told by its process group alone");
    if (!w->reaper)
        log_warnx("orphans do not come here: services are followed by session");
    return loop_open(&w->loop, signals, SOURCE_SIGNAL);
}

static void close_world(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        members_free(&w->lives[i].members);
        if (w->engine.graph.at[i] && w->lives[i].in_cgroup)
            cgroup_remove(&w->cgroup, service_name(w->engine.graph.at[i]));
    }
    if (w->cgroup.own >= 0)
        cgroup_close(&w->cgroup);
    engine_free(&w->engine);
    child_table_free(&w->children);
    snapshot_free(&w->snapshot);
    store_close(&w->store);
    spawn_common_close(&w->common);
    config_close(w);
    free(w->lives);
    free(w->endings);
    free(w->owners);
    free(w->pids);
    free(w->unknown);
}

int main(int argc, char **argv)
{
    static struct world world;
    static struct arguments a;
    sigset_t signals;
    int status;

    take_over_signals(&signals);
    open_standard();
    parse(&a, argc, argv);
    if (a.options)
        return check_options();
    if (a.check) {
        sigemptyset(&signals);
        sigprocmask(SIG_SETMASK, &signals, NULL);
        return check_config(a.paths);
    }
    log_open();
    syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    leave_folder(&a);
    umask(022);
    if (open_world(&world, &signals)) {
        log_warn("the loop");
        return WORLD_NO_SYSTEM;
    }
    world.paths = a.paths;
    /* From here on nothing ends the process but the end of all services. */
    status = turn_run(&world);
    close_world(&world);
    return status;
}
