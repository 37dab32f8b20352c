/* One service as it lives: where it stands, what is wanted of it, what is due, what is pending.
 *
 * Only engine.c changes these fields; everybody else reads them. No file, no process, no clock
 * here. Names of the enums are for logs and for people. */
#ifndef TEND_SERVICE_H
#define TEND_SERVICE_H

#include <sys/types.h>

#include "tend/conf.h"

enum service_state {
    SERVICE_DOWN,
    SERVICE_PENDING,  /* wanted, waits for what it depends on */
    SERVICE_STARTING, /* has a process, is not ready */
    SERVICE_RUNNING,
    SERVICE_DONE,     /* ended well and stays so; a oneshot is ready then */
    SERVICE_STOPPING, /* a stop is under way; also the clean-up after its main process ended */
    SERVICE_KILLING,  /* KILL was sent */
    SERVICE_STUCK,    /* KILL had no effect: named and left, but watched */
    SERVICE_BACKOFF,  /* waits for the time of the next try */
    SERVICE_FAILED,   /* gave up */
    SERVICE_STATE_COUNT
};

/* Why the life that ends or ended did so. */
enum service_cause {
    CAUSE_NONE,
    CAUSE_REQUEST, /* stopped by request */
    CAUSE_REMOVED, /* its config has it no longer */
    CAUSE_AGAIN,   /* restarted by request, or because its config changed */
    CAUSE_SHUTDOWN,
    CAUSE_REQUIREMENT, /* what it requires went */
    CAUSE_EXIT,        /* its process ended by itself */
    CAUSE_EXEC,        /* its process could not be set up or executed */
    CAUSE_FORK,        /* no process could be made */
    CAUSE_BEFORE,      /* its before_start command did not succeed */
    CAUSE_TIMEOUT,     /* not ready in time */
    CAUSE_FAULT,       /* its probes failed */
    CAUSE_WATCHDOG,    /* it did not say in time that it is alive, or said that it is not */
    CAUSE_COUNT
};

/* What act.c is to do; a set of bits, carried out in this order. */
enum service_action {
    ACTION_SPAWN = 1 << 0,       /* before_start where due and not yet done, else the command */
    ACTION_COMMAND = 1 << 1,     /* the stop command */
    ACTION_COMMAND_END = 1 << 2, /* KILL for the stop command and its group */
    ACTION_SIGNAL = 1 << 3,      /* the signal of this step to those whom stop.to names */
    ACTION_SWEEP = 1 << 4,       /* the same signal to members that have not had it */
    ACTION_KILL = 1 << 5,        /* KILL to all */
    ACTION_NAME_STUCK = 1 << 6,  /* say which processes KILL did not end */
    ACTION_FREE = 1 << 7,        /* doomed and gone: forget it */
};

enum exit_how { EXIT_NONE, EXIT_CODE, EXIT_SIGNAL, EXIT_LOST, EXIT_HOW_COUNT };

/* How a process ended. EXIT_LOST: it is gone and nobody can tell how. */
struct service_exit {
    enum exit_how how;
    int number; /* exit code or signal */
    bool core;
    bool oom; /* for want of memory: the KILL was the kernel's */
};

/* Classifies a status of waitpid(2). False when the process has not ended (stopped, continued,
 * trapped). Total. */
bool exit_from_status(int status, struct service_exit *out);
/* "exit 3", "signal TERM", "signal SEGV (core dumped)", "signal KILL (out of memory)"; returns buf.
 */
enum { EXIT_TEXT_MAX = 48 };
const char *exit_text(const struct service_exit *, char buf[static EXIT_TEXT_MAX]);
/* As a shell would tell it: the code, or 128 + the signal. */
int exit_shell_code(const struct service_exit *);

/* The stop of a service walks through its steps: drain, stop command, then each signal. */
enum { STEP_DRAIN, STEP_COMMAND, STEP_SIGNAL };

/* What a backoff remembers; times in msec, cut to 32 bits, compared by difference. */
enum { TRIES_KEPT = 8 };
struct tries {
    uint32_t failures; /* in a row; a healthy run forgets them */
    uint32_t starts;   /* entries of recent in use */
    uint32_t recent[TRIES_KEPT];
    msec delay; /* the last one: it does not shrink */
};

/* What a service can be queued for: its actions, a look at its levels, a look at `going`, a wish.
 */
enum service_queue { QUEUE_ACTION, QUEUE_LEVEL, QUEUE_GOING, QUEUE_WISH, SERVICE_QUEUE_COUNT };

enum edge_kind { EDGE_REQUIRES, EDGE_WANTS, EDGE_AFTER, EDGE_KIND_COUNT };
struct service;
struct edge {
    struct service *to;
    enum edge_kind kind;
};

struct service {
    struct conf *conf;      /* owned */
    struct conf *next_conf; /* owned: takes its place when this life is over; NULL: none */
    unsigned slot;          /* its place in the graph, the store and every array beside them */

    /* wishes */
    bool wanted;
    bool again;  /* to be stopped and started anew */
    bool doomed; /* to be forgotten once it is down */
    bool fresh;  /* came with the present reload */

    /* facts */
    enum service_state state;
    enum service_cause cause;
    bool ready;
    bool preparing;      /* pid is the before_start command */
    bool prepared;       /* before_start has succeeded for the start that is due */
    bool executed;       /* the command itself runs, no longer our fork */
    bool adopted;        /* pid was found after a crash of ours */
    pid_t pid;           /* main process, 0: none */
    pid_t command;       /* stop command, 0: none */
    pid_t last_pid;      /* the main process that has ended, until its life is settled; 0: none */
    uint32_t generation; /* counts the lives */
    unsigned members;    /* live processes of this service other than those two, as last seen */
    struct service_exit last_exit;
    int error;      /* errno and step of a failed start, 0: none */
    int error_step; /* enum spawn_step */

    /* the stop */
    unsigned step;
    bool killed;    /* KILL was sent in this stop */
    bool by_itself; /* it has said that it stops (STOPPING=1): no signal before its grace is over */

    /* time */
    msec since;   /* in this state */
    msec started; /* of the last fork */
    msec ended;   /* of last_pid */
    msec stop_began;
    msec after;    /* with a deadline: the longest way from its end to the last KILL of all */
    msec start_by; /* the start timeout, over before_start and command together */
    msec deadline; /* of this state, NEVER: none */
    struct tries tries;
    unsigned restarts; /* lives after the first */

    /* kept by engine.c and graph.c */
    unsigned pending; /* set of enum service_action */
    unsigned queued;  /* set of 1 << enum service_queue */
    bool going;       /* level must_go: is to stop, or may not start */
    bool hopeless;    /* level: will not become ready unless somebody asks for it */
    bool in_vain;     /* it is pending and hopeless, and that was told */
    struct service *next[SERVICE_QUEUE_COUNT];
    struct edge *needs;
    size_t n_needs;
    struct edge *needed_by; /* to: the dependent */
    size_t n_needed_by;
    struct service *predecessor; /* of the same name, removed and still to go */
};

/* NULL when out of memory, conf stays the caller's then. */
struct service *service_new(struct conf *conf, unsigned slot);
void service_free(struct service *);

const char *service_state_name(enum service_state);
const char *service_cause_text(enum service_cause);
/* The same for programs, "" for CAUSE_NONE. */
const char *service_cause_word(enum service_cause);

static inline const char *service_name(const struct service *s)
{
    return s->conf->name;
}

/* What the last load says of it, in force or not yet. */
static inline const struct conf *service_latest(const struct service *s)
{
    return s->next_conf ? s->next_conf : s->conf;
}

/* Has, or may have, a process. */
bool service_live(const struct service *);

static inline bool service_state_is_ending(enum service_state state)
{
    return state == SERVICE_STOPPING || state == SERVICE_KILLING || state == SERVICE_STUCK;
}

/* Its end is under way. */
static inline bool service_is_ending(const struct service *s)
{
    return service_state_is_ending(s->state);
}

/* Its pid 0, no command, no member: nothing of it is left. */
static inline bool service_gone(const struct service *s)
{
    return s->pid == 0 && s->command == 0 && s->members == 0;
}

/* The signal of the present stop step. */
int service_stop_signal(const struct service *);

#endif
