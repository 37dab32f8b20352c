/* The control socket of this tend: its directory, its group, and when it is listened to. */
#include <errno.h>
#include <sys/resource.h>

#include "tend/log.h"
#include "tend/serve.h"

/* Clients have at most half of what these leave. */
enum { OWN_DESCRIPTORS = 32, DESCRIPTORS_OF_A_SERVICE = 4 };

static void unwatch(void *loop, int fd)
{
    loop_remove(loop, fd);
}

static void no_socket(struct world *w)
{
    log_warn("%s/control: nobody can ask or steer", w->runtime.path);
    control_close(&w->control, w->runtime.dir);
}

static void listen_again(struct world *w)
{
    w->control.before_close = unwatch;
    w->control.arg = &w->loop;
    w->accepts = true;
    if (control_open(&w->control, w->runtime.dir, w->group) ||
        loop_add(&w->loop, w->control.socket, SOURCE_CONTROL, 0))
        no_socket(w);
    else if (w->control.group != w->group)
        log_warnx("%s/control: not for the group: it could not be set", w->runtime.path);
    w->was_open |= w->control.socket >= 0;
}

/* While there is no descriptor for whoever waits, it would wake us for ever. */
void serve_watch_socket(struct world *w)
{
    bool accepts = control_wants_accept(&w->control, w->now);

    if (w->control.socket < 0 || accepts == w->accepts)
        return;
    w->accepts = accepts;
    loop_want(&w->loop, w->control.socket, SOURCE_CONTROL, 0, accepts, false);
}

int serve_open(struct world *w, const char *given)
{
    char why[512];

    switch (runtime_open(&w->runtime, given, why, sizeof why)) {
    case RUNTIME_OPEN:
        listen_again(w);
        return 0;
    case RUNTIME_NONE:
        log_warnx("no control socket: %s", why);
        return 0;
    case RUNTIME_TAKEN:
        log_warnx("%s; --runtime gives this one a folder of its own", why);
        errno = EBUSY;
        return -1;
    }
    return -1;
}

void serve_again(struct world *w)
{
    char why[512];

    if (runtime_again(&w->runtime, why, sizeof why) != RUNTIME_OPEN) {
        log_warnx("no control socket: %s", why);
        return;
    }
    if (control_is_there(&w->control, w->runtime.dir))
        return;
    listen_again(w);
    if (w->control.socket >= 0)
        log_info("%s/control: made anew", w->runtime.path);
}

void serve_set_group(struct world *w, bool has_group, gid_t group)
{
    w->group = has_group ? group : (gid_t)-1;
    if (w->control.socket < 0 || w->control.group == w->group)
        return;
    if (control_set_group(&w->control, w->runtime.dir, w->group))
        log_warn("%s/control: its group", w->runtime.path);
}

void serve_set_limit(struct world *w, size_t services)
{
    struct rlimit files = {0};
    rlim_t kept = OWN_DESCRIPTORS + DESCRIPTORS_OF_A_SERVICE * services;

    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < kept)
        files.rlim_cur = kept;
    files.rlim_cur = (files.rlim_cur - kept) / 2;
    control_set_limit(&w->control, files.rlim_cur < CONTROL_CLIENTS ? (unsigned)files.rlim_cur
                                                                    : CONTROL_CLIENTS);
}
