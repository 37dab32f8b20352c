/* A main process that the service has named itself (MAINPID): a child of ours or of its own. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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

/* Of its main process, which may have ended a moment ago: a process that nobody else is known to
 * have, born in this life, and of its user. That is how a daemon leaves its parent (daemon(7)). */
static bool is_orphan_of(struct world *w, const struct service *s, pid_t pid)
{
    char name[16];
    struct process_stat p;
    struct stat st;

    snprintf(name, sizeof name, "%d", (int)pid);
    return w->proc >= 0 && !child_find(&w->children, pid) && members_stat(w->proc, pid, &p) == 0 &&
           p.state != 'Z' && p.state != 'X' && p.ppid == getpid() && !roster_owner(w, &p) &&
           p.born >= world_life(w, s)->born && fstatat(w->proc, name, &st, 0) == 0 &&
           st.st_uid == world_life(w, s)->talk->uid;
}

static bool may_be_main(struct world *w, struct service *s, pid_t pid, bool by_main)
{
    return is_member(w, s, pid) || (by_main && is_orphan_of(w, s, pid));
}

/* What is held by a descriptor and is one of the service then has been so all the time in between.
 */
static int hold(struct world *w, struct service *s, pid_t pid, bool by_main)
{
    int fd;

    errno = ESRCH;
    if (!may_be_main(w, s, pid, by_main))
        return -1;
    fd = process_open(pid);
    if (fd < 0)
        return -1;
    w->snapshot_turn = 0;
    if (may_be_main(w, s, pid, by_main) && child_reserve(&w->children) == 0)
        return fd;
    close(fd);
    errno = ESRCH;
    return -1;
}

/* One that we forked stays in the wait table; of another we know by name alone. */
static void demote(struct world *w, struct service *s)
{
    struct child *old = child_find(&w->children, s->pid);
    struct process_stat p;

    if (!old)
        return;
    if (!old->named) {
        old->kind = CHILD_FORMER;
        return;
    }
    if (members_stat(w->proc, s->pid, &p) == 0)
        members_see(&world_life(w, s)->members, p.pid, p.born);
    child_remove(&w->children, s->pid);
}

static void promote(struct world *w, struct service *s, pid_t pid)
{
    struct child *new = child_find(&w->children, pid);

    if (new)
        new->kind = CHILD_MAIN;
    else
        child_add(&w->children, pid, CHILD_MAIN, s)->named = true;
}

static void replace(struct world *w, struct service *s, pid_t pid, int fd)
{
    const struct engine_fact fact = {.pid = pid};
    struct life *l = world_life(w, s);

    act_main_close(w, s);
    demote(w, s);
    promote(w, s, pid);
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
    bool by_main = sender->pid == s->pid;
    int fd;

    if (pid == s->pid || !s->pid || !s->executed || s->preparing || s->state == SERVICE_KILLING ||
        s->state == SERVICE_STUCK)
        return REFUSED_NOT;
    if (!rate_allows(&world_life(w, s)->talk->renamed, w->now, NAMED_IN_A_WHILE))
        return REFUSED_NAMES;
    if (!by_main && !is_member(w, s, sender->pid))
        return REFUSED_NAMING;
    fd = hold(w, s, pid, by_main);
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
