/* What serve.c (the clients), serve_do.c (what they ask to be done), serve_reply.c and
 * serve_why.c (what they are told), serve_socket.c (where they come in) and serve_load.c (what a
 * load has to say) share. */
#ifndef TEND_SERVE_H
#define TEND_SERVE_H

#include "tend/answer.h"
#include "tend/world.h"

enum serve_stage {
    SERVE_NOTHING,
    SERVE_HELD,    /* a request, until there are services */
    SERVE_REPLYING /* what was to be done is done, or is not */
};

/* The request of one client that is under way. */
struct serving {
    uint32_t serial; /* of the client: another one in its place has none yet */
    enum serve_stage stage;
    bool reads, writes; /* what the loop waits for */
    struct request request;
    unsigned phase;   /* of its reply */
    size_t at, edge;  /* the place in the names or slots where the reply goes on; its next edge */
    const char *name; /* of request.names, at `at` */
    unsigned n_ready, n_wanted;
    uint64_t after; /* sequence of the last record that was told */
    uint64_t seen;  /* of the newest one when there was nothing to tell */
    uint64_t load;  /* the number of the load that it waits for, 0: none */
    struct load_answer *loaded;
};

enum serve_outcome {
    SERVE_MORE,  /* as soon as there is room */
    SERVE_WAITS, /* as soon as something has happened */
    SERVE_OVER
};

/* The service at which a request stands, of its names or of all; NULL at the end. */
struct service *serve_service(struct world *, struct serving *);
void serve_next(struct serving *);
/* Back to the first one. */
void serve_rewind(struct serving *);

/* What was done in this turn for what clients ask, and then for their answers: a look at a service,
 * a name or a record counts as some bytes of a reply. Where it is enough, the rest is for the next
 * turn. */
void serve_charge(struct world *, size_t looks);
bool serve_is_enough(const struct world *);
/* To find the next death. */
enum { SERVE_LOOKS_OF_A_DEATH = 8 };

/* serve_do.c: does what is asked; false: it is not done, and *error has the whole reply. */
bool serve_do(struct world *, struct client *, struct serving *, struct text *error);

/* serve_reply.c: goes on with the reply. */
enum serve_outcome serve_reply(struct world *, struct client *, struct serving *);
/* Its last line; false: no room for it now. */
bool serve_ok(struct world *, struct client *, const char *format, ...) PRINTF(3, 4);
/* "error code=CODE name=NAME text=TEXT"; name may be NULL. */
void serve_error(struct text *, const char *code, const char *name, const char *format, ...)
    PRINTF(4, 5);

/* One record; false: no room for it now. */
bool serve_one(struct world *, struct client *, const struct service *);
bool serve_record(struct client *, const struct history_record *);

/* serve_why.c */
enum serve_outcome serve_reply_why(struct world *, struct client *, struct serving *);

/* serve_socket.c: not while there is no descriptor for whoever comes. */
void serve_watch_socket(struct world *);

/* serve_load.c */
enum serve_outcome serve_reply_load(struct world *, struct client *, struct serving *);
void serve_leave_load(struct serving *);

#endif
