/* Membership by cgroup v2, where one is writable: one group per service, core files only (no
 * controller is needed). Linux cgroups(7), Documentation/admin-guide/cgroup-v2.rst.
 *
 * Never touches a group that is not below our own, never moves a foreign process, never waits.
 * Every function fails soft: the caller then goes by session and parents. A group is addressed by
 * the service's name and needs no descriptor while the service runs. */
#ifndef TEND_CGROUP_H
#define TEND_CGROUP_H

#include <sys/types.h>

#include "tend/base.h"

struct cgroup {
    int own;     /* directory of our own subtree "tend.PID", -1: no cgroups */
    int lock;    /* its cgroup.procs: tells others that we live */
    int inotify; /* readable when a watched group may have become empty */
    char *path;  /* of own, since a watch can be set by path only */
};

enum cgroup_found {
    CGROUP_USABLE,
    CGROUP_OFF,           /* not asked for */
    CGROUP_NOT_MOUNTED,   /* no cgroup2 file system at /sys/fs/cgroup or /sys/fs/cgroup/unified */
    CGROUP_NOT_DELEGATED, /* auto: our own group is the root of the hierarchy, which is not ours;
                             or what is mounted begins elsewhere than our cgroup namespace */
    CGROUP_NOT_WRITABLE,  /* errno tells */
    CGROUP_FOUND_COUNT
};

/* Looks for cgroup v2 (pure or hybrid) and our own group (the 0:: line of /proc/self/cgroup;
 * without /proc the mount's root, when booted), and tries it: makes our subtree in it, the same one
 * after a re-exec, and opens what later is written. mode is an enum conf_cgroup; auto takes a
 * delegated group only (the root of a hierarchy has no cgroup.type), or any when booted. A subtree
 * that a dead predecessor left with nobody in it is removed. */
enum cgroup_found cgroup_open(struct cgroup *, int mode, bool booted);
/* Removes the subtree when nobody is in it. */
void cgroup_close(struct cgroup *);

/* A descriptor (CLOEXEC) of the service's group, made when missing; -1 with errno. Below, a group
 * that is not there is one with nobody in it, and no error. */
int cgroup_make(struct cgroup *, const char *service);

/* 1 when a process, not a zombie, is in it or below; 0 when none or no such group; -1 with errno.
 */
int cgroup_populated(struct cgroup *, const char *service);

/* Its processes and those of groups below (to 32 levels), into *pids as members_children does; -1
 * with errno. */
int cgroup_pids(struct cgroup *, const char *service, pid_t **pids, size_t *room);

/* KILL to all at once (cgroup.kill, Linux 5.14); -1 with errno, ENOENT on older kernels. */
int cgroup_kill(struct cgroup *, const char *service);

/* In a frozen group no handler of a signal runs (what ends by default, or by KILL, ends): thaws it
 * and those below; does nothing when not frozen. */
int cgroup_thaw(struct cgroup *, const char *service);

/* Tells on the inotify descriptor when populated changes (the kernel waits up to 10 ms); the number
 * of the watch (> 0), -1 with errno. To be taken back also when the group was removed. */
int cgroup_watch(struct cgroup *, const char *service);
void cgroup_unwatch(struct cgroup *, int watch);
/* The next watch that spoke, -1 when none, 0 when some were lost: look at every group. */
int cgroup_next(struct cgroup *);

/* Removes the group and those below. -1 with EBUSY when populated. */
int cgroup_remove(struct cgroup *, const char *service);

#endif
