/* What services have said: whether it was theirs to say, and what may come of it. */
#include "talk.h"

/* P12: from the present life, by what its config says. */
void check_ready(const struct world *w, const struct service *s)
{
    const struct book *b = &w->book[s->slot];
    const struct proc *p = &w->kernel.at[s->pid];
    const char *name = service_name(s);

    if (!s->pid || p->owner != b->id || p->life != s->generation || p->role == ROLE_PREPARE)
        broken(w, "P12", "%s is ready without a main process", name);
    if (s->conf->ready.on == CONF_READY_EXIT)
        broken(w, "P12", "%s is ready before it has ended", name);
    if (s->conf->ready.on == CONF_READY_EXEC && !p->executed && proc_lives(p))
        broken(w, "P12", "%s is ready before it is executed", name);
    if (s->conf->ready.on != CONF_READY_EXEC && b->said_ready != s->generation)
        broken(w, "P12", "%s is ready by what was said of life %u, this is %u", name, b->said_ready,
               s->generation);
}

/* P02: a main process is replaced where there is one, and by one of the service. */
void check_main(const struct world *w, const struct service *s, pid_t before, pid_t named, bool may)
{
    const struct proc *p = &w->kernel.at[named];

    if (s->pid != (may ? named : before))
        broken(w, "P02", "%s: pid %d is its main process, not %d", service_name(s), (int)s->pid,
               (int)(may ? named : before));
    if (may && (p->owner != w->book[s->slot].id || p->life != s->generation || !s->adopted))
        broken(w, "P02", "%s: pid %d is not its own", service_name(s), (int)named);
}

/* ---- what follows ---- */

static bool is_success(const struct book *b, const struct life *l)
{
    return b->alone && !l->lost && !l->error && l->status == 0;
}

/* P13: what nobody asked for, and ends well, is a success, also when it has said so before. */
void check_followed(const struct world *w, const struct engine_change *c)
{
    const struct book *b = &w->book[c->service->slot];
    const struct life *l = &w->lives[c->service->slot];
    bool done = b->spec.policy != CONF_ALWAYS && !l->prepared && is_success(b, l);

    bool prepares = l->prepared && is_success(b, l);

    if (l->excused || !l->over || c->from == SERVICE_DONE)
        return;
    if (c->to == SERVICE_PENDING && b->alone && !prepares && !b->returns && !c->service->going)
        broken(w, "P13", "%s ended with %#x and starts anew at once", service_name(c->service),
               (unsigned)l->status);
    if (c->to == SERVICE_DONE ? !done
                              : done && (c->to == SERVICE_BACKOFF || c->to == SERVICE_FAILED))
        broken(w, "P13", "%s ended with %#x and is %s", service_name(c->service),
               (unsigned)l->status, service_state_name(c->to));
}
