/* Who may notify us of a service, and what is passed over. */
#include <assert.h>
#include <unistd.h>

#include "tend/log.h"
#include "tend/world.h"

static const char *const refusals[] = {
    [REFUSED_NOT] = "",
    [REFUSED_OUTSIDE] = "its sender is not of our PID namespace",
    [REFUSED_USER] = "its sender is neither root nor the service's user",
    [REFUSED_NOT_MAIN] = "its sender is not the main process, and notify.access is main",
    [REFUSED_OTHER] = "its sender belongs to another service, or is tend itself",
    [REFUSED_EARLIER] = "its sender is older than this life of the service",
    [REFUSED_BROKEN] = "it is empty, too long, or no text",
    [REFUSED_VALUE] = "a line of it has a value that cannot be",
    [REFUSED_STORE] = "descriptors are not kept for services (FDSTORE)",
    [REFUSED_NAMING] = "MAINPID from a process that is no live one of the service",
    [REFUSED_NAMED] = "MAINPID names no live process of the service",
    [REFUSED_HOLD] = "MAINPID cannot count where the system has no pidfd",
    [REFUSED_NAMES] = "MAINPID is said too often",
    [REFUSED_FOR_NOW] = "",
};
static_assert(ARRAY_SIZE(refusals) == REFUSAL_COUNT, "a text for each");

/* Whoever sends such a message may do so for ever. */
void act_sender_refuse(struct world *w, const struct service *s, enum refusal why, pid_t pid)
{
    struct talk *t = world_life(w, s)->talk;

    if (why == REFUSED_NOT || t->refused & 1u << why)
        return;
    t->refused |= 1u << why;
    if (why == REFUSED_FOR_NOW)
        log_warnx("%s: its messages wait: no process can be made to take their descriptors",
                  service_name(s));
    else
        log_warnx("%s: a message of pid %d is passed over: %s", service_name(s), (int)pid,
                  refusals[why]);
}

/* One that has ended meanwhile may be anybody of the right user: it may have been made to say this
 * alone (systemd-notify(1)). */
static enum refusal judge_process(struct world *w, const struct service *s, pid_t pid)
{
    const struct child *c = child_find(&w->children, pid);
    const struct service *owner;
    struct process_stat p;

    if (pid == getpid() || (c && c->service && c->service != s))
        return REFUSED_OTHER;
    roster_open(w);
    if (w->proc < 0 || pid == s->pid || members_stat(w->proc, pid, &p))
        return REFUSED_NOT;
    owner = roster_owner(w, &p);
    if (owner && owner != s)
        return REFUSED_OTHER;
    return p.born < world_life(w, s)->born ? REFUSED_EARLIER : REFUSED_NOT;
}

enum refusal act_sender_judge(struct world *w, const struct service *s,
                              const struct notify_sender *sender)
{
    if (sender->pid <= 0)
        return REFUSED_OUTSIDE;
    if (sender->uid != 0 && sender->uid != geteuid() && sender->uid != world_life(w, s)->talk->uid)
        return REFUSED_USER;
    if (s->conf->access == CONF_ACCESS_MAIN && sender->pid != s->pid)
        return REFUSED_NOT_MAIN;
    return judge_process(w, s, sender->pid);
}
