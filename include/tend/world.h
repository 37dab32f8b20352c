/* Where the pure engine and the processes meet. Only the files of layer 4 see this structure:
 * turn.c (one wake-up), act.c (action to effect), act_start.c (to a process), act_reload.c (the
 * reload of one service), act_notify.c (what services say of themselves), act_sender.c (who may),
 * act_main.c (a main process that they name), act_probe.c and act_health.c (what they are asked,
 * and when), roster.c (who is left of a service), config.c (a new set comes in), entrypoint.c (the
 * command of the command line), serve.c (clients of the control socket), observe.c and progress.c
 * (what is told to people), announce.c (what is told to whoever started us). */
#ifndef TEND_WORLD_H
#define TEND_WORLD_H

#include "tend/cgroup.h"
#include "tend/cgroup_oom.h"
#include "tend/child.h"
#include "tend/control.h"
#include "tend/engine_plan.h"
#include "tend/entrypoint.h"
#include "tend/health.h"
#include "tend/history.h"
#include "tend/loop.h"
#include "tend/members.h"
#include "tend/notify_client.h"
#include "tend/notify_server.h"
#include "tend/pack.h"
#include "tend/probe.h"
#include "tend/request.h"
#include "tend/runtime.h"
#include "tend/spawn.h"
#include "tend/store.h"
#include "tend/summary.h"

/* What the loop tells apart; the index of a report is a slot. */
enum source {
    SOURCE_SIGNAL,
    SOURCE_MAIN_REPORT,
    SOURCE_COMMAND_REPORT,
    SOURCE_RELOAD_REPORT,
    SOURCE_PROBE_REPORT,
    SOURCE_PROBE,  /* a connection */
    SOURCE_NOTIFY, /* a service's messages */
    SOURCE_READY,  /* the other end of its ready.fd */
    SOURCE_MAIN,   /* a main process that need not be our child */
    SOURCE_LOADER,
    SOURCE_CGROUP,
    SOURCE_CONTROL,
    SOURCE_CLIENT
};

/* How a service ended, for the report after a shutdown. */
struct ending {
    bool live; /* when the shutdown began */
    bool any;  /* there was something to wait for */
    bool stuck;
    int signal;         /* the first that was sent, 0: none */
    bool killed, swept; /* swept: more than its main process had to be told */
    msec took;
    struct service_exit exit;
};

/* Of what is waited for, what was told last. */
struct progress {
    bool live;         /* stderr is a terminal: one line that is drawn anew */
    bool drawn;        /* it was, for this wait */
    unsigned service;  /* slot of the one that is waited for longest */
    msec since, until; /* of that wait, as told */
    msec next;         /* when to tell; NEVER: nothing is waited for */
    msec again;        /* how long after the last time */
};

struct start_failure {
    int step, error;
};

/* So much in a while, and no more. */
enum { RATE_WHILE = 10000 };
struct rate {
    msec since;
    unsigned n;
};
static inline bool rate_allows(struct rate *r, msec now, unsigned most)
{
    if (now - r->since >= RATE_WHILE)
        *r = (struct rate){.since = now};
    return r->n++ < most;
}

/* Why a message is passed over, which is said once in each life. */
enum refusal {
    REFUSED_NOT,
    REFUSED_OUTSIDE,
    REFUSED_USER,
    REFUSED_NOT_MAIN,
    REFUSED_OTHER,
    REFUSED_EARLIER,
    REFUSED_BROKEN,
    REFUSED_VALUE,
    REFUSED_STORE,
    REFUSED_NAMING,
    REFUSED_NAMED,
    REFUSED_HOLD,
    REFUSED_NAMES,
    REFUSED_FOR_NOW, /* no process can be made for it */
    REFUSAL_COUNT
};

/* Of a service that notifies us: its socket, and what it last said. */
struct talk {
    struct notify_server server;
    uid_t uid;       /* whose the socket is */
    uint64_t unread; /* the last turn after which messages may have been left */
    bool reloading;
    bool reload_due, reload_begun; /* it is to answer a reload; it has said RELOADING since */
    uint64_t reload_asked;         /* when, in microseconds of CLOCK_MONOTONIC */
    msec reload_by;
    int error;
    unsigned refused; /* enum refusal: what was said of this life's messages */
    msec again_at;    /* it is not read before, as no process could be made for that; 0: it is */
    struct rate told, renamed;
    char status[NOTIFY_STATUS_MAX + 1]; /* made printable */
};

/* Of a service that is probed, or is to say that it is alive. */
struct checkup {
    struct health health;
    struct probe probe; /* a connection */
    struct spawn *spawn;
    struct start_failure failure;
    pid_t pid;      /* a child; 0: none */
    bool connects;  /* it runs no command */
    bool given_up;  /* KILL was sent to it, and its answer does not count */
    bool skipped;   /* it could not be probed, and that was said */
    char fault[64]; /* of the last that failed, as long as none has succeeded */
};

/* What the world knows of a service beside the engine; by slot. */
struct life {
    struct spawn *main, *command, *reload; /* on their way to their exec */
    struct start_failure main_failure, command_failure, reload_failure; /* wrong on that way */
    struct talk *talk;       /* NULL: it does not notify us */
    struct checkup *checkup; /* NULL: it needs none */
    int ready;               /* our end of its ready.fd, 0: none */
    int main_fd;             /* a pidfd of a main process that it named itself; 0: it did not */
    uint64_t born;           /* not after its main process was forked, in clock ticks since boot */
    pid_t leader; /* the process forked last, also when it is gone: names session, group */
    struct members members; /* others that belong to it, as of the last look */
    unsigned told_step;     /* step + 1 for which the marks of being told hold */
    uint64_t told_tick;     /* when the group was told, in clock ticks since boot; 0: not */
    int watch;              /* of its cgroup, 0: none */
    bool in_cgroup;
    bool cgroup_used_up; /* cgroup.kill was written */
    bool unsaved;        /* the store does not have its present state */
    bool moved;          /* its slot is in world.moved */
    pid_t reload_pid;    /* the reload command, 0: none runs */
    bool reload_killed;  /* KILL was sent to it */
    bool reload_failed;  /* the last reload did */
    uint64_t asked;      /* the last request that named it */
};

/* The end: what belongs to no service is told, then killed. */
enum sweep { SWEEP_NOT_YET, SWEEP_TERM, SWEEP_KILL, SWEEP_OVER };

struct world {
    struct engine engine;
    struct child_table children;
    struct loop loop;
    struct store store;
    struct cgroup cgroup;
    struct cgroup_oom oom;
    struct history history;
    struct history_deaths deaths;
    struct progress progress;
    struct spawn_common common;
    struct life *lives;
    struct ending *endings; /* by slot, from the beginning of the shutdown on */
    struct ending strays; /* the same of what belongs to no service, with signal and killed alone */
    msec strays_since;
    size_t n_lives;
    unsigned reloads;     /* reload commands that run */
    unsigned reloads_due; /* answers that are waited for */
    unsigned checkups;
    unsigned put_off; /* sockets that are not read for now */
    unsigned *moved;  /* slots of services whose state changed, and that was not followed yet */
    size_t n_moved;

    int proc; /* descriptor of /proc, -1: none */
    bool proc_tried;
    bool reaper; /* every orphan below us comes to us */
    bool has_tty;
    bool strict;
    struct conf_supervisor supervisor; /* as of the set that is in force */

    /* command mode */
    const struct entrypoint *entrypoint; /* NULL: service mode */
    int terminal;                        /* the controlling terminal, -1: none */
    bool foreground;                     /* the command has it, and we are to get it back */
    bool had_foreground;                 /* it had, when we were stopped */
    msec stop_sent;                      /* when somebody had us send one that stops; NEVER */
    msec hung_up;                        /* when it was sent HUP for want of a shell; NEVER */
    msec resume_at;                      /* NEVER, or see entrypoint_resume */
    bool left_told;                      /* that it left something behind */
    uint64_t term_tick;                  /* when its group was last sent TERM, 0: never */

    /* the present turn */
    msec now;
    uint64_t turn;
    bool again;   /* a source was left before it was empty */
    bool look;    /* somebody ended: see who is left */
    msec look_at; /* look then, where nothing would wake us; NEVER */
    struct snapshot snapshot;
    uint64_t snapshot_turn;
    int *owners;
    size_t n_owners;
    pid_t *pids;
    size_t n_pids;
    struct process_stat *unknown; /* children that nobody forked here */
    size_t n_unknown, unknown_room;

    /* config */
    char *const *paths; /* NULL: the default places */
    pid_t loader;
    pid_t lost_loader; /* was given up, and has not ended yet */
    int loader_fd;
    struct pack reply;
    bool crowded;                 /* many were started: memory to be given back when that is over */
    bool loaded;                  /* there has been a good set */
    uint64_t load;                /* counts the loads; the last that began */
    bool load_takes;              /* its set comes into force; else it is only planned */
    bool load_again, again_takes; /* another was asked for while it was under way */

    /* whoever started us */
    struct notify_client *starter; /* NULL: does not want to hear */
    int ready_fd;                  /* of --ready-fd, until it was written to; -1: none */
    bool stirred;                  /* a state has changed since the last summary */
    bool said_ready, said_reloading, said_stopping;
    msec extend_at; /* when to ask for more time; NEVER */
    char said[SUMMARY_MAX];

    /* the control socket */
    struct runtime runtime;
    struct control control;
    struct serving *serving;     /* by place of the client; NULL: nobody was ever there */
    struct load_answer *answers; /* what the load under way has to say to clients; NULL: nothing */
    unsigned first_served;       /* the client whose turn it is */
    size_t served;               /* what was done for clients in this turn, in bytes */
    bool serves_on;              /* there is more to be done for them */
    uint64_t requests;           /* that came; see life.asked */
    struct rate told;            /* requests of the group, in the log */
    unsigned followers;          /* clients that are told every event */
    bool accepts;                /* the loop waits for the next one */
    bool was_open;               /* the socket is there, or was until it could not be made anew */
    gid_t group;                 /* who has part of the rights; (gid_t)-1: nobody */

    /* the end */
    unsigned interrupts;
    enum sweep sweep;
    msec sweep_by;
    bool has_main;
    bool in_vain;        /* the main service cannot come any more */
    bool childless;      /* there is nobody to wait for, and so nobody at all below us */
    bool zombies;        /* there may be some */
    msec worst;          /* what the shutdown can take, as planned at its beginning */
    int record;          /* the file for --record, -1: none */
    bool killed;         /* somebody had to be */
    msec kill_at;        /* KILL to all, whatever else is due; NEVER: not */
    msec deadline;       /* of a shutdown, from its beginning; NEVER: none */
    bool deadline_given; /* so that the config does not set it */
    bool over;
    int status;
};

/* Exit statuses that no container runtime uses (sysexits.h). */
enum {
    WORLD_BAD_USAGE = 64,
    WORLD_KILLED = 70, /* --strict: somebody had to be */
    WORLD_NO_SYSTEM = 71,
    WORLD_BAD_CONFIG = 78
};

/* The life of the service's slot; there is one for every slot. */
static inline struct life *world_life(const struct world *w, const struct service *s)
{
    return &w->lives[s->slot];
}

/* act.c */
/* Room for n services everywhere, so that nothing has to be allocated while they live. */
int act_room(struct world *, size_t n);
void act_save(struct world *, const struct service *);
/* What the engine tells of a change. */
void act_changed(void *world, const struct engine_change *);
/* Lets levels act, and carries out what is pending; starts at most so many, then sets again. */
void act(struct world *);
/* The rest of the group of a main process that is still a zombie is told while nobody else can
 * have its number. */
void act_on_death(struct world *, struct service *);
/* A command of the service, or a probe, is over: its group gets KILL. */
void act_end_child(struct world *, struct service *, pid_t);

/* act_start.c */
void act_spawn(struct world *, struct service *);
/* Reads what the child on its way to its exec has to say: EXEC_OK, or a failure that is kept until
 * it is reaped. */
void act_read_report(struct world *, struct service *, enum child_kind);
/* A child of that kind on its way to its exec, of whose order only what it is to do is given; -1
 * with *fact. */
pid_t act_start_child(struct world *, struct service *, struct spawn_order *, enum child_kind,
                      struct engine_fact *);
/* Nobody is listened to any more who is on the way; its cgroup, if it is in one, is removed. */
void act_drop_reports(struct world *, struct service *);
void act_leave_cgroup(struct world *, struct service *);

/* act_notify.c */
/* Before a process of it is made: its socket, and what it says there to be of this life. -1 with
 * errno. */
int act_notify_open(struct world *, struct service *);
/* There is something to be read. */
void act_notify_take(struct world *, struct service *);
void act_notify_read_ready(struct world *, struct service *);
/* All that it said before it died. */
void act_notify_last_words(struct world *, struct service *);
/* What closed descriptors of a message was reaped. */
void act_notify_closed(struct world *, struct service *);
/* The socket that was deleted is made anew. */
void act_notify_again(struct world *, struct service *);
void act_notify_free(struct world *, struct service *);
/* Of all: their names go while the runtime directory is open. */
void act_notify_close(struct world *);
void act_notify_expire(struct world *);
msec act_notify_deadline(const struct world *);
/* For its ready.fd: the end that its command is to have, which is to be closed after the fork; -1
 * with errno. */
int act_notify_ready_fd(struct world *, struct service *);

/* act_sender.c */
enum refusal act_sender_judge(struct world *, const struct service *, const struct notify_sender *);
/* Says so, where that is new. */
void act_sender_refuse(struct world *, const struct service *, enum refusal, pid_t);

/* act_main.c */
/* It says which process is its main one. */
enum refusal act_main_named(struct world *, struct service *, pid_t, const struct notify_sender *);
/* The one that it named may have ended. */
void act_main_woken(struct world *, struct service *);
/* A signal to its main process, or to that one's group; 0, or -1 with errno. */
int act_main_signal(struct world *, struct service *, int signal, bool group);
/* Its main process has ended, or another took its place. */
void act_main_close(struct world *, struct service *);

/* act_health.c */
/* Before it is started; -1 with ENOMEM. */
int act_health_begin(struct world *, struct service *);
void act_health_executed(struct world *, struct service *);
/* It has changed its state. */
void act_health_moved(struct world *, const struct service *);
/* What those changes mean to probes. */
void act_health_follow(struct world *);
/* The config was taken over. */
void act_health_reconfigured(struct world *);
void act_health_expire(struct world *);
msec act_health_deadline(const struct world *);
/* It is alive; it will say so this often (0: no longer); not before so long from now; it is to be
 * taken as if it were not. */
void act_health_fed(struct world *, struct service *);
void act_health_set_watchdog(struct world *, struct service *, msec interval);
void act_health_extend(struct world *, struct service *, msec wait);
void act_health_starved(struct world *, struct service *, const char *why);
void act_health_free(struct world *, struct service *);

/* act_probe.c */
/* Begins a probe. */
void act_probe_ask(struct world *, struct service *);
/* Its connection can go on; its time is over; its child was reaped. */
void act_probe_woken(struct world *, struct service *);
void act_probe_late(struct world *, struct service *);
void act_probe_ended(struct world *, struct service *, const struct service_exit *);
/* Its answer does not count any more: the connection is closed, the child gets KILL. */
void act_probe_end(struct world *, struct service *);
/* Tells the engine, and people. */
void act_probe_judge(struct world *, struct service *, enum health_verdict);
/* The child that probes it; 0: none. */
static inline pid_t act_probe_pid(const struct life *l)
{
    return l->checkup ? l->checkup->pid : 0;
}

/* act_reload.c */
/* Whether it can be reloaded now; -1 with errno as of act_reload. */
int act_can_reload(const struct world *, const struct service *);
/* Has the main process read its configuration anew, by the signal or the command of its section
 * `reload`. -1 with errno; ESRCH: there is none that could; EBUSY: the command still runs. */
int act_reload(struct world *, struct service *);
/* Its time is over. */
void act_reload_late(struct world *, struct service *);
/* It was reaped. */
void act_reload_ended(struct world *, struct service *, const struct service_exit *);
/* It has said that it reloads (0: not since when), and that it is ready. */
void act_reload_heard(struct world *, struct service *, uint64_t usec);
void act_reload_answered(struct world *, struct service *);
void act_reload_expire(struct world *);
msec act_reload_deadline(const struct world *);
/* Where a stop has begun, whatever for, the reload is over too. */
void act_end_reloads(struct world *);

/* roster.c */
/* Opens /proc, or tells what comes of that there is none; at the latest when it is needed. */
void roster_open(struct world *);
/* Feeds the number of members to every service that waits for its end. */
void roster_check(struct world *);
/* Brings life->members up to date: all processes of the service but those in the wait table. */
void roster_refresh(struct world *, struct service *);
/* The same where a child of the service has ended: at little cost where it has left nobody. */
void roster_refresh_orphans(struct world *, struct service *);
/* Sends to every member that has not been told in this step and was born before that tick (KILL: to
 * all); returns to how many. */
unsigned roster_tell(struct world *, struct service *, int signal, uint64_t born_before);
/* Sends to all that is left below us; returns to how many. */
unsigned roster_sweep(struct world *, int signal);
/* Whether there is a process besides our own children. */
bool roster_strangers(struct world *);
/* A watched cgroup may have become empty. */
void roster_woken(struct world *);
/* Whose a process is known to be; NULL: nobody's, or only by its parents. */
const struct service *roster_owner(struct world *, const struct process_stat *);
/* Shows what is known to live of the service as of the last look, those in the wait table first,
 * until show has seen enough, or many were looked at; NULL: of what belongs to none. */
typedef bool roster_show(void *self, const struct process_stat *);
void roster_each(struct world *, const struct service *, roster_show *, void *self);
/* Now, in the clock of process_stat.born. */
uint64_t roster_tick(void);

/* config.c */
/* A loader that says nothing for so long is not waited for. */
enum { CONFIG_LOAD_TIME = 20000 };
/* Makes room for more of a loader's answer; false when it is too large. */
bool config_room(struct pack *);
/* Has the files read: for a reload, or, where its set is not to be taken, for its plan. Returns the
 * number of the load that will tell, this or the next; 0 with errno where none can be made. */
uint64_t config_ask(struct world *, bool take);
/* Takes a checked set over; -1 with errno and nothing changed. The set is still to be freed. */
int config_take(struct world *, struct conf_set *);
/* Its pipe is readable. */
void config_read(struct world *);
/* It has said nothing for too long. */
void config_late(struct world *, pid_t loader);
/* It has ended. */
void config_ended(struct world *, pid_t loader);
/* Nobody needs what it would say. */
void config_stop(struct world *);
void config_close(struct world *);

/* serve.c */
/* The runtime directory, its lock and the socket; -1, after a message, where another tend has it. A
 * directory that cannot be had is told, and done without. given may be NULL. */
int serve_open(struct world *, const char *given);
/* What may have been deleted is made anew. */
void serve_again(struct world *);
/* Before the answer of its socket has gone to anybody: who the group of the clients is. */
void serve_set_group(struct world *, bool has_group, gid_t);
/* So many services need descriptors more than clients do. */
void serve_set_limit(struct world *, size_t services);
/* Whether somebody can come and start what is down, at the latest when the socket was made anew. */
static inline bool serve_was_open(const struct world *w)
{
    return w->was_open;
}
/* Who comes in, what they ask, and what is done for it. */
void serve_take(struct world *, const struct loop_event *, int n);
/* Answers, as far as they can be given now. */
void serve_answer(struct world *);
/* Half of what is kept of events is new: those who follow them are told now. */
void serve_followers(struct world *);
msec serve_deadline(const struct world *);
/* To those who wait for the present load: a change that it makes, to a service or a setting of the
 * supervisor, a problem, its end. */
bool serve_awaits_load(const struct world *);
void serve_load_change(void *world, const struct engine_planned *);
void serve_load_setting(struct world *, const char *key);
void serve_load_problem(struct world *, const char *problem);
void serve_load_end(struct world *, const char *code, const char *text);
/* The last events are told, for which clients have at most so long; then everybody is left. */
void serve_close(struct world *, msec limit);
void serve_free(struct world *);

/* observe.c */
void observe_change(struct world *, const struct engine_change *);
/* What it says of itself, made printable. */
void observe_status(struct world *, const struct service *, const char *status);
void observe_notify(struct world *, const struct service *, const char *format, ...) PRINTF(3, 4);
/* What is wrong with it, as its probes tell; "": it is well again. */
void observe_health(struct world *, const struct service *, const char *what);
void observe_signal(struct world *, struct service *, int signal, unsigned others);
/* A signal that is no part of a stop, to the main process or its group. */
void observe_sent(struct world *, const struct service *, int signal, bool group);
void observe_forked(struct world *, const struct service *, enum child_kind, pid_t);
/* A stop or reload command has ended. */
void observe_command(struct world *, struct service *, enum child_kind, pid_t,
                     const struct service_exit *);
void observe_reaped(struct world *, unsigned strays);

/* what: as in the record. */
void observe_config(struct world *, const char *what, size_t services);
void observe_request(struct world *, uid_t, pid_t, const char *what);

/* A command that has ended left the strangers of the last look behind. */
void observe_left(struct world *, const struct service *);
/* The last look's strangers are told. */
void observe_strays(struct world *, int signal);
void observe_stuck(struct world *, struct service *);
/* The first line of a file of that process in /proc, what is not printable as '?'; "" where it
 * cannot be read. */
void observe_read_word(const struct world *, pid_t, const char *file, char *buf, size_t size);
/* The function of the kernel in which it waits; "": it does not, or that cannot be told. */
void observe_read_where(const struct world *, pid_t, char *buf, size_t size);
void observe_shutdown(struct world *, const char *why);
void observe_report(struct world *);

/* progress.c */
/* Tells what is waited for, where that is due; progress.next is then the time of the next look. */
void progress_look(struct world *);

/* announce.c */
/* Tells whoever started us how all are, where that has changed. */
void announce_look(struct world *);
void announce_reload(struct world *, bool begins);
msec announce_deadline(const struct world *);
void announce_close(struct world *, msec limit);

/* turn.c */
/* It is to end: in order, with this status unless a main service decides. */
void turn_shutdown(struct world *, const char *why, int status);
/* Runs until it is over; returns the exit status. */
int turn_run(struct world *);

/* turn_end.c */
/* Begins the shutdown where nothing is left to run. */
void turn_maybe_end(struct world *);
/* When all services are down: what belongs to none is told, then killed; then it is over. */
void turn_sweep(struct world *);
msec turn_end_deadline(const struct world *);
int turn_exit_status(const struct world *);
/* How long stderr may take for the last lines. */
msec turn_last_words(const struct world *);

#endif
