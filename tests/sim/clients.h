/* What the files about the clients of the control socket share: clients.c (who they are, when they
 * act), clients_ask.c (what they ask), clients_do.c and clients_reply.c (what is done and told, as
 * serve_do.c and serve_reply.c have it, as far as those are pure), and those that check it. */
#ifndef TEND_SIM_CLIENTS_H
#define TEND_SIM_CLIENTS_H

#include "sim.h"
#include "tend/answer.h"

enum { CLIENTS = 8, WORDS_MAX = 40, WORD_MAX = 80 };

/* A request as it was meant, to which what request_parse has read of it is held. */
struct asked {
    enum request_verb verb;
    bool well; /* it is written as it should be */
    enum request_goal goal;
    int signal;
    bool group, now, follow, has_after;
    uint64_t after;
    msec deadline;
    unsigned n_names;
    char names[WORDS_MAX][WORD_MAX];
};

struct client {
    bool here, all_rights;
    bool reads; /* else what it is told has no room */
    msec next;  /* when it does something */
    bool asks;  /* a request is under way */
    bool loads; /* a load is, for it */
    char line[REQUEST_LINE_MAX];
    struct asked asked;
    struct request request;
    /* its reply */
    unsigned room; /* lines that it takes in this turn */
    bool phase;
    size_t at;
    const char *name;
    uint64_t after;
    uint64_t seen; /* of the events this one was told, or told to have missed: by check_history.c */
};

/* What must not come about unless somebody asks for it, or the config changes. */
struct latch {
    unsigned id;    /* of the book */
    unsigned never; /* goals: 1 << enum request_goal */
    bool rests;     /* it does not start */
};

struct clients {
    struct rng rng;
    unsigned n;
    struct client at[CLIENTS];
    struct latch latch[SLOTS];
    uint64_t prints[2 * HISTORY_ROOM]; /* of the newest records of the history */
};

/* Writes a line, its newline not included, and what is meant by it. Returns its length. */
size_t client_writes(struct world *, struct client *);
bool asked_is_for_part(enum request_verb);

/* Does what is asked; the code of the error, NULL: done. */
const char *client_does(struct world *, struct client *);
/* The service at which it stands, of its names or of all; NULL at the end. */
struct service *client_service(const struct world *, struct client *);
void client_next(struct client *);
void client_rewind(struct client *);
/* Goes on with the reply. */
void client_answer(struct world *, struct client *);
void client_finish(struct client *);

uint64_t engine_print(const struct engine *);
/* Who is called so, on its way out where there is no other. */
const struct service *client_named(const struct world *, const char *);
void check_parsed(struct world *, const struct client *, bool well, const struct text *error);
void check_done(struct world *, const struct client *, const char *code, bool changed);
void check_line(struct world *, const struct text *, const char *word);
void check_service_line(struct world *, const struct service *, const struct text *);
void check_reached(struct world *, const struct service *, enum request_goal, enum answer_reached,
                   const struct text *why);
void check_answered(struct world *, const struct service *, enum request_goal, enum answer_reached);
void check_stopped(struct world *, const struct service *);
void check_events_begin(struct world *, struct client *);
void check_missed(struct world *, struct client *, uint64_t missed);
void check_event(struct world *, struct client *, const struct history_record *);
void check_events_end(struct world *, const struct client *);

/* ---- check_waits.c ---- */
struct levels {
    bool going[SLOTS], vain[SLOTS], gave_up[SLOTS];
    bool otherwise[SLOTS]; /* in vain for another reason than that somebody gave up */
};
struct levels levels_of(const struct world *);
bool is_up(const struct service *);
void check_goals(struct world *, const struct levels *, const struct service *);
void check_latches(struct world *, const struct levels *);
void check_open(struct world *, const struct levels *, const struct client *);

/* What was met; false: not all of it. */
bool check_waits_print(void);
bool check_events_print(void);

#endif
