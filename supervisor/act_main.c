/* A main process that the service has named itself (MAINPID): a child of ours or of its own. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tend/log.h"
#include "tend/process.h"
#include "tend/world.h"

/* Each costs a look at all processes. */
enum { NAMED_IN_A_WHILE = 10 };

void act_main_close(struct world *w, struct service *s)
{
    struct life *l = world_life(w, s);

    if (!l->main_fd)
        return;
    loop_remove(&w->loop, l->main_fd);
    close(l->main_fd);
    l->main_fd = 0;
}

static bool is_member(struct world *w, struct service *s, pid_t pid)
{
    const struct members *m = &world_life(w, s)->members;

    roster_refresh(w, s);
    for (unsigned i = 0; i < m->n; i++)
        if (m->at[i].pid == pid)
            return true;
    return false;
}

/* What is held by a descriptor and is a member then has been one all the time in between. */
static int hold(struct world *w, struct service *s, pid_t pid)
{
    int fd;

    errno = ESRCH;
    if (!is_member(w, s, pid))
        return -1;
    fd = process_open(pid);
    if (fd < 0)
        return -1;
    w->snapshot_turn = 0;
    if (is_member(w, s, pid) && child_reserve(&w->children) == 0)
        return fd;
    close(fd);
    errno = ESRCH;
    return -1;
}

static void replace(struct world *w, struct service *s, pid_t pid, int fd)
{
    struct child *old = child_find(&w->children, s->pid);
    const struct engine_fact fact = {.pid = pid};
    struct life *l = world_life(w, s);
    bool was_ours = !l->main_fd;

    act_main_close(w, s);
    if (old && was_ours)
        old->kind = CHILD_FORMER;
    else if (old)
        child_remove(&w->children, s->pid);
    child_add(&w->children, pid, CHILD_MAIN, s);
    l->main_fd = fd;
    if (loop_add(&w->loop, fd, SOURCE_MAIN, s->slot))
        log_warn("%s: the end of its main process cannot be watched", service_name(s));
    engine_event(&w->engine, s, EVENT_MAIN, w->now, &fact);
    w->snapshot_turn = 0;
    l->unsaved = true;
}

enum refusal act_main_named(struct world *w, struct service *s, pid_t pid,
                            const struct notify_sender *sender)
{
    int fd;

    if (pid == s->pid || !s->pid || !s->executed || s->preparing || s->state == SERVICE_KILLING ||
        s->state == SERVICE_STUCK)
        return REFUSED_NOT;
    if (!rate_allows(&world_life(w, s)->talk->renamed, w->now, NAMED_IN_A_WHILE))
        return REFUSED_NAMES;
    if (sender->pid != s->pid && !is_member(w, s, sender->pid))
        return REFUSED_NAMING;
    fd = hold(w, s, pid);
    if (fd < 0)
        return errno == ENOSYS || errno == EPERM ? REFUSED_HOLD : REFUSED_NAMED;
    replace(w, s, pid, fd);
    observe_notify(w, s, "main process is pid %d", (int)pid);
    return REFUSED_NOT;
}

/* Of a child of ours the wait tells; of another it cannot be known how it ended. */
void act_main_woken(struct world *w, struct service *s)
{
    struct engine_fact fact = {.exit = {.how = EXIT_LOST}};
    struct life *l = world_life(w, s);
    pid_t pid = s->pid;

    if (!l->main_fd || !pid || !process_has_ended(l->main_fd))
        return;
    if (process_is_child(pid)) {
        w->zombies = true; /* the descriptor was faster than SIGCHLD */
        return;
    }
    act_notify_last_words(w, s);
    if (s->pid != pid)
        return;
    act_main_close(w, s);
    persist_exit(&w->store.area, s, &fact.exit, 0, 0);
    child_remove(&w->children, pid);
    engine_event(&w->engine, s, EVENT_EXITED, w->now, &fact);
    l->unsaved = true;
    w->look = true;
}

int act_main_signal(struct world *w, struct service *s, int signal, bool group)
{
    const struct life *l = world_life(w, s);

    if (l->main_fd)
        return process_signal_held(l->main_fd, signal);
    return group ? process_signal_group(s->pid, signal) : process_signal(s->pid, signal);
}
