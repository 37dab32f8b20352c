/* The simulator: the real engine, graph, backoff, persist, history and wait table against a fake
 * kernel with a virtual clock. One seed is one life of tend, which ends in a shutdown.
 *
 *   rng.c      the only source of chance
 *   kernel.c   processes: they exec, exit, fork, stop, hang, ignore signals; pids are used again
 *   habits.c   how each of them will behave
 *   confs.c    random configs and random edits of them
 *   driver.c   one wake-up, in the order of the real driver
 *   act.c      the actions, as the real driver does them
 *   talk.c     what processes say of their services, and what the driver makes of it
 *   probes.c   how services are probed, and their watchdogs, as act_probe.c has it around health.c
 *   resume.c   a crash of tend at any point, and what it makes of its records afterwards
 *   ops.c      what operators ask for
 *   clients.c  what clients of the control socket ask for (clients_ask.c), are told, and wait for
 *              (clients_do.c, clients_reply.c)
 *   check.c    the invariants, from a book of its own about what must hold (book.c); check_turn.c
 *              those of each turn, check_plan.c those of the plan, check_deadline.c those of each
 *              wait, check_reload.c those of the plan of a load, check_clients.c those of requests
 *              and answers, check_waits.c those of waits, check_history.c those of lives that are
 *              over and of events, check_talk.c and check_health.c those of readiness and health
 *   trace.c    what happened, for people; the coverage
 *   main.c     lives and arguments */
#ifndef TEND_SIM_H
#define TEND_SIM_H

#include <setjmp.h>

#include "tend/child.h"
#include "tend/health.h"
#include "tend/history.h"
#include "tend/persist.h"

/* ---- chance ---- */
struct rng {
    uint64_t state;
};
void rng_seed(struct rng *, uint64_t seed);
unsigned rng_below(struct rng *, unsigned n); /* n > 0 */
bool rng_chance(struct rng *, unsigned in, unsigned of);
msec rng_time(struct rng *, msec low, msec high);

/* ---- configs ---- */
enum { NAMES_MAX = 12, STEPS_MAX = 3 };
/* Whom its health is asked of; each change of that is another target. */
struct spec_health {
    unsigned target; /* 0: nobody */
    msec every, timeout;
    int failures, then;
};
/* One service as the simulator writes it; a conf is made from it. */
struct spec {
    bool present;
    /* a change of these needs a restart */
    unsigned marker;
    bool oneshot, before;
    int ready;
    int access; /* enum conf_access */
    msec watchdog;
    /* a change of these does not */
    int start, policy, to;
    msec timeout, delay, max_delay, window, healthy;
    long limit;
    msec drain, grace, command_timeout;
    struct conf_step then[STEPS_MAX];
    size_t n_then;
    bool command;
    msec more; /* stop.max, less what is written; 0: it is not set */
    unsigned ready_target;
    msec ready_every;
    struct spec_health health;
    unsigned requires, wants, after; /* sets of names: bit i is service i, lower ones only */
};
enum shape { SHAPE_CHAIN, SHAPE_DIAMOND, SHAPE_WIDE, SHAPE_RANDOM, SHAPE_COUNT };
struct config {
    unsigned n; /* names in use */
    bool talks; /* notify, probes and watchdogs are used */
    struct rng talk;
    enum shape shape;
    struct spec at[NAMES_MAX];
    int version[NAMES_MAX]; /* of the spec; a conf carries it as its line */
};
void config_random(struct config *, struct rng *);
/* Changes, removes, adds again. */
void config_edit(struct config *, struct rng *);
struct conf_set *config_build(const struct config *);
struct conf *spec_build(const struct spec *, unsigned i, int version);
enum conf_difference spec_compare(const struct spec *, const struct spec *);
/* Whose messages count: enum conf_access. */
int spec_access(const struct spec *);
/* The index of "s7". */
unsigned name_index(const char *name);

/* ---- kernel ---- */
enum { PIDS_MAX = 160, TEND_PID = 1, MESSAGES_MAX = 256 };
enum proc_state { PROC_FREE, PROC_RUNS, PROC_STOPPED, PROC_ZOMBIE };
enum proc_role { ROLE_MAIN, ROLE_PREPARE, ROLE_COMMAND, ROLE_MEMBER, ROLE_COUNT };
enum proc_manner { DIES_AT_ONCE, DIES_WELL, DIES_LATER, IS_DEAF, MANNER_COUNT };

/* What a process says to the socket of its service. */
enum word {
    SAYS_READY,
    SAYS_MAIN,
    SAYS_EXTEND,
    SAYS_LEAVING,
    SAYS_ALIVE,
    SAYS_WATCHDOG,
    SAYS_TRIGGER,
    WORD_COUNT
};
struct message {
    enum word word;
    unsigned owner;
    uint32_t life;
    pid_t pid;
    uint64_t birth;
    msec value;
};

struct proc {
    enum proc_state state;
    enum proc_role role;
    pid_t pid, parent;
    uint64_t birth; /* no two processes have the same */
    unsigned owner; /* the truth: for which record of the book, 0: none */
    uint32_t life;  /* and in which generation of it */
    bool forked;    /* by tend; else it came to tend as an orphan, or has another parent */
    bool found;     /* attributable: by cgroup, session, or found below its leader at a stop step */
    int status;     /* of a zombie */
    msec visible;   /* a zombie can be waited for from here on */
    msec next;      /* earliest of the following */
    msec exec_at, ready_at, exit_at, fork_at, stop_at, thaw_at, say_at, feed_at;
    msec feed_every;
    unsigned says_left, feeds_left;
    int exec_error;
    int exit_status;
    unsigned forks_left;
    enum proc_manner manner;
    bool executed, exec_failed, reported; /* reported: tend has read it */
    bool former;                          /* was the main process, and is a child of tend */
    bool kept;     /* tend has a descriptor of it: the pid is not used again that soon */
    bool careless; /* does not wait for its children */
    bool doomed;   /* KILL waits for it to thaw */
    bool poked;    /* a signal waits for it to run again */
    uint64_t told; /* the stop and the step of the last stop signal */
    unsigned times_told;
    unsigned kills;
};

struct habits {
    unsigned crash, deaf, forky, escape, hang, stop, exec_fail, late, frozen, fork_fail;
};

struct kernel {
    struct rng rng;
    struct proc at[PIDS_MAX]; /* by pid */
    unsigned pids;            /* in use: below this */
    pid_t last_pid;
    bool cgroup; /* all members are found */
    bool calm;   /* faults are lifted */
    struct habits habits;
    msec zombie_delay;
    msec next; /* nothing happens before */
    unsigned forks, waits;
    bool talks;
    struct rng talk;
    uint64_t births;
    struct message said[MESSAGES_MAX]; /* and not yet read */
    unsigned n_said;
};
enum { FORK_ERRORS = 5 };
extern const int fork_errors[FORK_ERRORS];

void kernel_init(struct kernel *, struct rng *);
/* The pid, or -errno. */
pid_t kernel_fork(struct kernel *, msec now, enum proc_role, const struct spec *, unsigned owner,
                  uint32_t life);
void kernel_signal(struct kernel *, struct proc *, int signal, msec now);
void kernel_run(struct kernel *, msec now); /* all that is due */
msec kernel_next(struct kernel *);
/* What hung goes on, nothing new goes wrong, and what was forked ends. */
void kernel_calm(struct kernel *, msec now);
void kernel_wait(struct kernel *, struct proc *);
bool proc_lives(const struct proc *);
void proc_schedule(struct kernel *, struct proc *);
/* Chooses what a new process will do. */
void habits_random(struct habits *, struct rng *);
void habits_give(struct kernel *, struct proc *, const struct spec *, msec now);
void proc_says(struct kernel *, const struct proc *, enum word, msec value);
void proc_talks(struct kernel *, struct proc *, msec now);
void proc_answers(struct kernel *, const struct proc *);

/* ---- the book: what must hold of each record, kept apart from the engine ---- */
enum { SLOTS = 64, TURN_ENDLESS = 400 };
struct book {
    unsigned id; /* across crashes; 0: none */
    unsigned name;
    bool wanted, doomed;
    bool rises;          /* the load under way starts it */
    unsigned pulls;      /* names that it depends on only since then, and is to be up with */
    int line, next_line; /* versions of the confs in force and waiting, 0: none */
    struct spec spec;    /* of line */
    struct spec next_spec;
    unsigned needs[NAMES_MAX]; /* ids */
    enum edge_kind kinds[NAMES_MAX];
    unsigned n_needs;
    enum service_state state;
    msec start_by, start_left; /* over before_start and command together */
    bool returns;              /* after this life it starts anew, whatever its policy */
    /* the present stop */
    bool main_died;   /* during it, or before */
    unsigned died_in; /* the turn in which it did */
    pid_t leader;     /* the last main process */
    bool quiet;       /* it began with QUIET */
    bool alone;       /* it began with the end of its main process, or by itself */
    bool leaving;     /* it began by itself */
    bool starved;     /* its watchdog was not fed */
    msec lost;        /* lost before it */
    bool drains;      /* was ready when it began */
    msec began, last_signal;
    unsigned excuses;         /* crashes of ours since then: a signal may have been sent twice */
    unsigned signals;         /* ACTION_SIGNAL in it */
    msec until, after;        /* the present wait; with a deadline: the longest way on after it */
    bool commands, commanded; /* the stop command is due, was run */
    /* starts */
    msec started; /* of the last start, NEVER: none */
    bool retried; /* the next start follows a BACKOFF */
    unsigned failures;
    msec delay;
    msec recent[TRIES_KEPT]; /* newest last */
    unsigned n_recent;
    /* what makes it ready, and what faults it has */
    uint32_t said_ready; /* the life of which somebody has said so, or answered a probe */
    bool faulty;         /* a FAULT is due */
    bool starves;        /* and it is for its watchdog */
};

/* What outlives a crash of tend. */
struct store {
    struct persist_undo undo;
    struct persist_record at[SLOTS];
};
static inline struct persist_area area_of(struct store *s)
{
    return (struct persist_area){&s->undo, s->at, SLOTS};
}

/* The present life of a service, as the kernel sees it. */
struct life {
    bool excused; /* we crashed meanwhile */
    pid_t pid;    /* 0: none */
    msec began, ended;
    bool over, prepared, killed;
    bool lost; /* how it ended, nobody can tell */
    int status, error;
};
/* How a service is probed. */
struct checkup {
    struct health health;
    msec answer_at; /* NEVER: none is under way, or none will come */
    bool answers_well;
    msec lingers; /* until then the command of the last probe is there */
};
/* The same, as it should be. */
struct sound {
    bool on, runs, told; /* runs: it is ready; told: of a fault, which ends it */
    bool asked, probing; /* about its readiness, or its health */
    msec since, due;     /* begin and end of the pause, or of the probe under way */
    msec pause;          /* the last one of readiness */
    unsigned ill;        /* answers in a row */
    bool marked;
    unsigned target;
    msec watchdog, fed_by;
    bool own_watchdog;
    uint32_t said_in; /* the life in which it has set it */
};
struct kept_deaths {
    unsigned n;
    struct {
        uint64_t sequence;
        char name[CONF_NAME_MAX + 1];
    } at[HISTORY_DEATHS + 1]; /* oldest first */
};

struct world {
    uint64_t seed;
    struct rng rng;
    struct kernel kernel;
    struct config config;
    struct engine engine;
    struct child_table children;
    struct history history;
    struct history_deaths deaths;
    struct life lives[SLOTS];
    struct checkup checkups[SLOTS];
    struct sound sounds[SLOTS];
    uint64_t moved; /* slots whose state has changed */
    struct rng talk;
    unsigned ill; /* percent of the answers */
    struct kept_deaths kept_deaths;
    struct clients *clients; /* NULL: none in this life */
    struct store store;
    bool kept_shutdown, kept_hurry; /* survives a crash as the records do */
    msec kept_began, kept_gone_by;
    msec gone_by, kill_at;        /* of the present engine */
    struct book book[SLOTS];      /* by slot of the present engine */
    struct book kept_book[SLOTS]; /* as of the record in the store */
    uint64_t dirty;               /* slots whose record is old */
    unsigned ids;
    msec now;
    msec next_op;
    msec shutdown_at;       /* when somebody will ask for it */
    msec bound;             /* the shutdown must be over by then, NEVER: none */
    bool calm;              /* no more operations */
    bool lazy;              /* carries out few actions in one turn */
    bool late;              /* saves only what must be, the rest before it goes to sleep */
    bool tardy;             /* wakes up late */
    bool always;            /* crashes in every turn */
    unsigned crashes_often; /* percent of the turns */
    bool again;             /* actions are left: the next turn comes at once */
    int crash_in;           /* crash points until the next crash, -1: none */
    uint64_t may_stop;      /* slots that levels may stop in this turn */
    jmp_buf crashed;
    unsigned turns, turns_now, crashes;
    msec lost; /* time lost by crashes and lateness since the shutdown began */
    msec lost_ever;
    msec late_now; /* and before this turn */
    bool excused;  /* that the deadline comes before all waits are over: see check_waived */
    bool waived;   /* it came, and some were left */
};

/* ---- what tend does ---- */
void turn(struct world *);
void pump(struct world *);
bool is_member(const struct world *, const struct service *, const struct proc *);
bool cleaning_up(const struct service *); /* nothing but members can be left */
void crash_point(struct world *);
void event(struct world *, struct service *, enum engine_event, const struct engine_fact *);
void save(struct world *, const struct service *);
void save_all(struct world *);
void save_unless_late(struct world *, const struct service *);
void carry_out(struct world *, struct service *, enum service_action);
unsigned count_members(const struct world *, const struct service *);
/* The stop and the step in which a process was told something. */
static inline uint64_t stop_step(const struct service *s)
{
    return (uint64_t)s->generation << 16 | (s->step + 1);
}
void world_changed(void *self, const struct engine_change *);
void world_resume(struct world *);
void lose_main(struct world *, struct service *);

/* ---- what operators do ---- */
void ops_due(struct world *);
void op_load(struct world *);
void op_reload(struct world *);
void op_shutdown(struct world *, bool hurry);
void op_limit(struct world *, msec whole);

/* ---- what clients of the control socket do ---- */
void clients_begin(struct world *);
void clients_free(struct world *);
msec clients_next(const struct world *);
void clients_act(struct world *);
void clients_answer(struct world *);
void clients_follow(struct world *);
void clients_lose(struct world *);
void clients_wished(struct world *);
void clients_note(struct world *, const struct history_record *);
bool clients_print(void);

/* ---- the book ---- */
void book_reload(struct world *); /* after the load */
void book_change(struct world *, const struct engine_change *);
void book_event(struct world *, const struct service *, enum engine_event);
void book_up(struct world *, struct book *);
void book_again(struct book *);
void book_down(struct book *);
struct service *book_service(const struct world *, unsigned id);

/* ---- the invariants ---- */
bool will_not_come(const struct service *);
void check_edge(struct world *, const struct engine_change *);
void check_clear(struct world *, const struct service *);
void check_quiet(struct world *, const struct service *, enum service_state from);
void check_backoff(struct world *, const struct service *);
void check_rate(struct world *, const struct service *);
void check_reap(struct world *, const struct proc *, const struct child *);
void check_spawn(struct world *, const struct service *);
msec step_wait(const struct spec *, unsigned step);
void check_signal(struct world *, const struct service *, struct proc *, int signal);
void check_action(struct world *, const struct service *, enum service_action);
void check_turn(struct world *);
void check_sleep(struct world *);
void check_calm(struct world *);
void check_end(struct world *);
bool shutdown_over(const struct world *);
msec step_time(const struct spec *, unsigned step);
msec stop_from(const struct spec *, unsigned step);
msec stop_most(const struct spec *);
msec left_of(const struct world *, unsigned slot, msec kill_wait);
bool all_known(const struct world *);
void ways_on(const struct world *, msec after[SLOTS]);
void check_plan(const struct world *, const struct config *, const struct conf_set *);
msec check_bound(const struct world *);
void check_kept(const struct world *);
void check_limit(struct world *);
void check_step(struct world *, const struct service *, enum service_state from, unsigned step,
                enum engine_event, msec wait);
void check_stretch(const struct world *, const struct service *);
void check_until(const struct world *, const struct service *);
void check_waived(const struct world *);
void check_order(struct world *);
void check_excuse(struct world *);
void check_deadline(const struct world *);
void foretell(struct world *, const struct conf_set *); /* before a load */
void check_foretold(struct world *);                    /* after it */
void check_taken_along(struct world *, const struct engine_change *);
void check_clients(struct world *);
void check_clients_rest(struct world *);
void check_clients_end(struct world *);
void check_rests(struct world *, const struct service *); /* before it starts */
void life_begins(struct world *, const struct service *, pid_t);
void life_ends(struct world *, const struct service *, const struct proc *);
void life_renamed(struct world *, const struct service *, pid_t);
void life_lost(struct world *, const struct service *);
void lives_excuse(struct world *);
void check_deaths(struct world *);
void check_lives_end(struct world *);

/* ---- telling ---- */
extern int allocations_left; /* until all fail, -1: none fails */
extern bool tracing, tracing_aloud;
PRINTF(2, 3)
void trace(const struct world *, const char *format, ...);
#define TRACE(w, ...) (tracing ? trace(w, __VA_ARGS__) : (void)0)
const char *action_name(enum service_action);
void history_note(struct world *, const struct engine_change *);
void history_note_death(struct world *, const struct engine_change *);
void history_keep_death(struct world *, struct history_record *);
/* The invariant is broken: tells so and ends the program. */
PRINTF(3, 4)
_Noreturn void broken(const struct world *, const char *invariant, const char *format, ...);
void coverage_fork(enum proc_role, int error); /* 0: worked */
void coverage_action(enum service_action);
bool coverage_print(void);
uint64_t coverage_events(void);
/* One life from beginning to end. */
void live(uint64_t seed);

#endif
