/* A new set comes in: a child reads and checks the files, we decode what it says and take it. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tend/inherited.h"
#include "tend/load.h"
#include "tend/log.h"
#include "tend/process.h"
#include "tend/world.h"

enum { REPLY_MAX = 64 * 1024 * 1024, CHUNK = 256 * 1024, ANSWER_FD = STDERR_FILENO + 1 };

static void child(struct world *w, int out) __attribute__((noreturn));

static void close_ours(int fd)
{
    if (fd > ANSWER_FD)
        close(fd);
}

/* It would keep open what only we are to hold; and with the other end of its own pipe it would not
 * be told that we are gone. */
static void keep_only(int out)
{
    if (dup2(out, ANSWER_FD) < 0)
        _exit(2);
    if (syscall(SYS_close_range, ANSWER_FD + 1, ~0u, 0))
        inherited_or_ours_each(close_ours);
}

/* A child of ours in a session of its own, so that no signal from a terminal cuts it short. */
static void child(struct world *w, int out)
{
    sigset_t none;

    sigemptyset(&none);
    keep_only(out);
    setsid();
    sigprocmask(SIG_SETMASK, &none, NULL);
    setrlimit(RLIMIT_NOFILE, &w->common.nofile);
    _exit(load_child(w->paths, ANSWER_FD));
}

static int begin(struct world *w)
{
    int ends[2];
    pid_t pid;

    w->load++;
    if (child_reserve(&w->children) || pipe2(ends, O_CLOEXEC))
        return -1;
    pid = fork();
    if (pid == 0)
        child(w, ends[1]);
    close(ends[1]);
    if (pid < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) ||
        loop_add(&w->loop, ends[0], SOURCE_LOADER, 0)) {
        close(ends[0]);
        if (pid > 0)
            process_signal(pid, SIGKILL);
        return -1;
    }
    child_add(&w->children, pid, CHILD_LOADER, NULL)->deadline = w->now + CONFIG_LOAD_TIME;
    w->loader = pid;
    w->childless = false;
    w->loader_fd = ends[0];
    w->reply.size = 0;
    if (w->load_takes)
        announce_reload(w, true);
    return 0;
}

uint64_t config_ask(struct world *w, bool take)
{
    if (w->loader) {
        w->load_again = true;
        w->again_takes |= take;
        return w->load + 1;
    }
    w->load_takes = take;
    errno = EBUSY;
    if (!w->lost_loader && begin(w) == 0)
        return w->load;
    if (w->lost_loader)
        log_warnx("reload: the last loading process, pid %d, has not ended yet", w->lost_loader);
    else if (w->loaded)
        log_warn("reload");
    return 0;
}

bool config_room(struct pack *p)
{
    size_t room = p->room ? p->room * 2 : CHUNK;
    unsigned char *data;

    if (p->room - p->size >= CHUNK / 2)
        return true;
    data = room <= REPLY_MAX ? realloc(p->data, room) : NULL;
    if (!data)
        return false;
    p->data = data;
    p->room = room;
    return true;
}

static void stop_reading(struct world *w)
{
    if (w->loader_fd < 0)
        return;
    loop_remove(&w->loop, w->loader_fd);
    close(w->loader_fd);
    w->loader_fd = -1;
}

static void refuse(struct world *w, const char *code, const char *why)
{
    if (w->loaded) {
        if (w->load_takes) {
            observe_config(w, "refused", 0);
            announce_reload(w, false);
        }
        serve_load_end(w, code, why);
        return;
    }
    w->status = WORLD_BAD_CONFIG;
    w->over = true;
}

static const char *const without_cgroup[] = {
    [CGROUP_USABLE] = NULL,
    [CGROUP_OFF] = NULL,
    [CGROUP_NOT_MOUNTED] = "no cgroup v2 is mounted",
    [CGROUP_NOT_DELEGATED] = NULL,
    [CGROUP_NOT_WRITABLE] = "the cgroup is not writable",
};
static_assert(ARRAY_SIZE(without_cgroup) == CGROUP_FOUND_COUNT, "a text for each");

/* Only who asked for cgroups hears that there are none. */
static void open_cgroup(struct world *w, int mode)
{
    enum cgroup_found found = cgroup_open(&w->cgroup, mode, false);

    if (without_cgroup[found] && mode == CONF_CGROUP_YES)
        log_warnx("%s: services are told apart by session and parent", without_cgroup[found]);
    if (w->cgroup.own >= 0 && w->cgroup.inotify >= 0)
        loop_add(&w->loop, w->cgroup.inotify, SOURCE_CGROUP, 0);
}

int config_take(struct world *w, struct conf_set *set)
{
    size_t most = w->engine.graph.n + set->n;
    bool has_main = false;

    if (act_room(w, most))
        return -1;
    for (size_t i = 0; i < set->n; i++) /* the reload takes them out of the set */
        has_main |= set->at[i]->main;
    if (!w->loaded)
        open_cgroup(w, set->supervisor.cgroup);
    if (engine_reload(&w->engine, set, w->now))
        return -1;
    for (size_t i = 0; i < w->engine.graph.n; i++)
        w->lives[i].unsaved = w->engine.graph.at[i] != NULL;
    w->has_main = has_main;
    w->supervisor = set->supervisor;
    w->supervisor.group = NULL; /* it goes with the set */
    if (!w->deadline_given)
        w->deadline = set->supervisor.deadline ? set->supervisor.deadline : NEVER;
    act_health_reconfigured(w);
    serve_set_limit(w, w->engine.graph.n);
    serve_set_group(w, set->supervisor.has_group, set->supervisor.gid);
    w->loaded = true;
    return 0;
}

/* What it would change is told before it does. */
static int plan_set(struct world *w, const struct conf_set *set)
{
    const struct conf_supervisor *now = &w->supervisor, *then = &set->supervisor;

    if (!serve_awaits_load(w))
        return 0;
    if (now->grace != then->grace)
        serve_load_setting(w, "supervisor.grace");
    if (now->deadline != then->deadline)
        serve_load_setting(w, "supervisor.deadline");
    if (now->has_group != then->has_group || now->gid != then->gid)
        serve_load_setting(w, "supervisor.group");
    return engine_plan(&w->engine, set, serve_load_change, w);
}

static void accept_set(struct world *w, struct conf_set *set)
{
    bool again = w->loaded;
    size_t n = set->n;

    if (w->engine.shutdown) {
        conf_set_free(set);
        return;
    }
    if (plan_set(w, set) || (w->load_takes && config_take(w, set))) {
        log_warn("config");
        refuse(w, "system", strerror(errno));
    } else {
        if (w->load_takes) {
            observe_config(w, again ? "reloaded" : "loaded", n);
            announce_reload(w, false);
        }
        serve_load_end(w, NULL, NULL);
    }
    conf_set_free(set);
}

static void show(struct world *w, char **problems)
{
    for (size_t i = 0; problems[i]; i++) {
        if (w->load_takes)
            log_warnx("%s", problems[i]);
        serve_load_problem(w, problems[i]);
        free(problems[i]);
    }
    free(problems);
}

static void decode(struct world *w)
{
    struct conf_set *set = NULL;
    char **problems = NULL;

    if (pack_read(w->reply.data, w->reply.size, &set, &problems)) {
        log_warnx("config: the loading process gave no whole answer");
        refuse(w, "system", "the loading process gave no whole answer");
    } else if (problems) {
        show(w, problems);
        refuse(w, "config", "the config has errors, nothing was changed");
    } else {
        accept_set(w, set);
    }
    config_close(w);
}

/* At the end of its answer; its own end is of no interest. */
void config_read(struct world *w)
{
    while (w->loader_fd >= 0) {
        ssize_t n = -1;
        errno = EFBIG;
        if (config_room(&w->reply))
            n = read(w->loader_fd, w->reply.data + w->reply.size, w->reply.room - w->reply.size);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n > 0) {
            w->reply.size += (size_t)n;
            continue;
        }
        if (n < 0) {
            log_warn("config");
            w->reply.size = 0;
        }
        stop_reading(w);
        decode(w);
    }
}

/* Where KILL has no effect on it, it may hang for as long as its file system does. */
void config_late(struct world *w, pid_t loader)
{
    static const char why[] = "the config was not loaded in time";

    process_signal_group(loader, SIGKILL);
    if (w->loader_fd < 0) /* all was said */
        return;
    log_warnx("config: not loaded in time");
    stop_reading(w);
    config_close(w);
    w->loader = 0;
    w->lost_loader = loader;
    refuse(w, "system", why);
    if (!w->load_again)
        return;
    if (w->again_takes)
        log_warnx("config: nor for the reload that was asked for meanwhile");
    w->load_again = w->again_takes = false;
    w->load++;
    serve_load_end(w, "system", why);
}

void config_ended(struct world *w, pid_t loader)
{
    if (loader == w->lost_loader) {
        w->lost_loader = 0;
        return;
    }
    config_read(w);
    if (w->loader_fd >= 0) { /* somebody else holds the pipe: there is no more to come */
        stop_reading(w);
        decode(w);
    }
    w->loader = 0;
    if (!w->load_again || w->engine.shutdown)
        return;
    w->load_again = false;
    w->load_takes = w->again_takes;
    w->again_takes = false;
    if (begin(w)) {
        log_warn("reload");
        serve_load_end(w, "system", strerror(errno));
    }
}

void config_stop(struct world *w)
{
    if (!w->loader)
        return;
    stop_reading(w);
    process_signal_group(w->loader, SIGKILL);
}

void config_close(struct world *w)
{
    free(w->reply.data);
    w->reply = (struct pack){0};
}
