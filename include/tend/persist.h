/* What must survive a crash or a re-exec of tend: each service as a fixed record, and back. Pure.
 *
 * The records lie in a memfd (store.c) and are written ahead: the intent before a fork, the pid
 * right after it, the exit between peek and reap. What a slot held goes to the one undo record of
 * the area before it is overwritten, so that a crash in the middle of a write costs that write
 * alone. Only the first write to an empty slot leaves none then, and nothing was forked before it.
 * One process writes, and reads after a crash of itself: one write at a time can be under way.
 *
 * Decoding is total: whatever the bytes are, the result is a service that the engine can go on
 * with, or none.
 *
 * Durations and deadlines are of CLOCK_MONOTONIC, which an exec does not change. */
#ifndef TEND_PERSIST_H
#define TEND_PERSIST_H

#include <assert.h>

#include "tend/engine.h"

struct persist_record {
    uint32_t sum; /* of all that follows, 0: none; last to be written */
    uint32_t generation;
    int32_t pid, command;
    int32_t leader; /* the process forked last, 0: its number names nobody any more */
    int32_t error, error_step, exit_number;
    msec since, started, stop_began, start_by, deadline, delay;
    uint32_t failures, starts, restarts, members;
    uint32_t recent[TRIES_KEPT];
    uint32_t flags; /* wanted, again, doomed, ready, ... */
    uint32_t pending;
    uint16_t step;
    uint8_t state, cause, exit_how, unused;
    char name[CONF_NAME_MAX + 1];
};

/* What a slot held before the write that is under way. */
struct persist_undo {
    uint32_t valid; /* PERSIST_UNDO or not; last to be written */
    uint32_t sum;   /* of all that follows */
    uint32_t slot, unused;
    struct persist_record record;
};
enum { PERSIST_UNDO = 0x6f646e75 };

static_assert(sizeof(struct persist_record) <= 248 && sizeof(struct persist_undo) <= 264,
              "one record for each service: memory on which we compete");

/* Where they lie. All zero: nothing is stored. */
struct persist_area {
    struct persist_undo *undo;
    struct persist_record *at; /* by slot */
    size_t n;
};

/* Writes the service as it is now. leader: its process that was forked last, while the number of
 * that one names a session and a group, else 0. It need not be the main process: the service may
 * have named another. */
void persist_save(const struct persist_area *, const struct service *, pid_t leader);
/* The slot holds none from now on. */
void persist_clear(const struct persist_area *, unsigned slot);
/* Between peek and reap: the main process has ended thus. The service itself has not been told. */
void persist_exit(const struct persist_area *, const struct service *, const struct service_exit *,
                  int error, int error_step);
/* The same for the stop command, whose status nobody asks for. */
void persist_command_ended(const struct persist_area *, const struct service *, pid_t leader);

/* The last record of the slot that was written whole, NULL: none. Until the next write. Checked:
 * every field is in its range, and fields that contradict each other (a pid in a state without a
 * process) do not occur. */
const struct persist_record *persist_find(const struct persist_area *, unsigned slot);

/* Sets the fields of a service of the same name that was made from its conf. */
void persist_load(const struct persist_record *, struct service *);

/* A loaded service was saved between the decision to fork (its main process or its stop command)
 * and the pid: a child that no record names may be its own. A record whose exit was written ahead
 * names only a zombie: a child of that number is another one. */
bool persist_forking(const struct service *);

/* Whose exit was written ahead: where one of these two (0: none) is still a zombie of ours, it is
 * to be reaped before persist_resume, which tells the service. */
void persist_ended(const struct persist_record *, pid_t *pid, pid_t *command);

/* What the kernel says of the record's processes after an exec. */
struct persist_world {
    bool pid_is_ours; /* pid is still our child, alive or a zombie to be reaped */
    bool command_is_ours;
    pid_t unrecorded; /* where persist_forking: the child that no record names; 0: none */
};

/* Brings a loaded and adopted service up to date with the world, through engine_event: a fork that
 * was only intended, a process that was reaped before the crash (with the exit that was written
 * ahead), actions that may not have been done (a signal is rather sent twice than not at all).
 *
 * Where an exit was written ahead, the service is told of it, whoever has that pid now. Actions are
 * carried out before the next event or deadline is looked at.
 *
 * For this to hold, a service that has changed is saved before one of its actions is taken
 * (engine_next_action), and after it was carried out, at the latest before we sleep; but not
 * between the two, except before a fork, where that is the intent. */
void persist_resume(struct engine *, struct service *, const struct persist_record *,
                    const struct persist_world *, msec now);

#endif
