/* What is told of services to the clients of the control socket, as records of a line each
 * (docs/PROTOCOL.md). Pure: from the engine as it stands, its levels settled, to text. */
#ifndef TEND_ANSWER_H
#define TEND_ANSWER_H

#include "tend/history.h"
#include "tend/request.h"

/* No record is longer, its newline included; whoever asks for one has so much room in the text. */
enum { ANSWER_MAX = 3584 };

/* What is known of a service beside the engine. */
struct answer_more {
    const char *step;   /* the name of s->error_step, or NULL */
    const char *status; /* what it says of itself, made printable; NULL: nothing */
    int error;          /* the errno it told, 0: none */
    bool reloading;
    bool probed;       /* it has a health check that is on */
    bool unhealthy;    /* marked */
    unsigned failures; /* of its probes, in a row */
    const char *fault; /* of the last probe if that failed, also of its readiness; NULL: none */
    msec watchdog;     /* how often it is to say that it is alive; 0: it need not */
};
/* "service name=web state=running ..." with newline. */
void answer_service(struct text *, const struct service *, bool shutdown,
                    const struct answer_more *, msec now);

/* Whom it waits for, to start or to be stopped: the next service to be asked why; NULL: nobody. It
 * may be an older one of the same name. *in_vain: that one will not become ready by itself. */
const struct service *answer_waits_for(const struct service *, bool shutdown, bool *in_vain);

/* "edge from=web to=db kind=requires". */
void answer_edge(struct text *, const struct service *, const struct edge *);

/* "event " or "death ", whichever it is, its fields, and the line of the log. */
void answer_record(struct text *, const struct history_record *);

enum answer_reached { ANSWER_NOT_YET, ANSWER_YES, ANSWER_NEVER };
/* Whether the goal is reached: of a service that is gone s is NULL. ANSWER_NEVER: it will not be by
 * itself; why, which has room for ANSWER_WHY_MAX, then gets the reason in the words of the log
 * ("failed: exit 1", "needs db: not wanted", "done: exit 0 after 3s"). GOAL_RELOADED is not told
 * here. */
enum { ANSWER_WHY_MAX = HISTORY_TEXT_MAX + CONF_NAME_MAX + 16 };
enum answer_reached answer_reached(const struct service *, enum request_goal, bool shutdown,
                                   struct text *why);

/* Ready, or done: what a HEALTHCHECK is to hear of a service that is wanted. */
bool answer_is_up(const struct service *, bool unhealthy);

#endif
