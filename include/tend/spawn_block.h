/* What a child is made from, in one block of memory: built before the fork, read by the child,
 * freed when the child has executed or is gone. */
#ifndef TEND_SPAWN_BLOCK_H
#define TEND_SPAWN_BLOCK_H

#include "tend/address.h"
#include "tend/spawn.h"

struct spawn {
    int report; /* read end of the pipe */
    bool failed;

    /* for the child */
    int report_out;
    int null;
    const struct spawn_caller *caller; /* NULL: a service */
    const struct conf *conf;           /* only for a child that has a copy of our memory */
    char **paths;                      /* candidates for execve, in order of PATH */
    char **argv;                       /* one pointer before it is free to be used */
    char **envp;
    struct address local; /* where it connects to; its length 0: it executes argv */
    int ready, ready_at;  /* that descriptor as this one; -1: none */
    char *own_pid[2];     /* where its own number is to be written into envp; NULL: nowhere */
    char *directory;      /* NULL: it stays where it is */
    char *tty;            /* its controlling terminal; NULL: none */
    struct rlimit nofile;
    struct {
        int resource;
        struct rlimit limit;
    } limits[RLIM_NLIMITS];
    size_t n_limits;
    unsigned umask;
    int nice;
    bool nice_set, has_ids, no_new_privs;
    bool oom_asked_for; /* else it only loses our protection */
    char oom_score_adj[16];
    int oom_length; /* 0: leave it */
    char *stack;    /* of SPAWN_STACK bytes, aligned as the ABI asks at both ends */
};

/* Digits of a pid and the end of the text. */
enum { SPAWN_PID_MAX = 12 };

/* Enough for the few frames of the child and for one signal frame of any processor. */
enum { SPAWN_STACK = 8192 };

/* NULL with errno. */
struct spawn *spawn_block_new(const struct spawn_common *, const struct conf *,
                              const struct spawn_order *);

#endif
