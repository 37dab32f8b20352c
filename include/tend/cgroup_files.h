/* Directories and files of cgroups, for the other files of this module. Knows no services; -1 with
 * errno everywhere. A file is named relative to a directory at. */
#ifndef TEND_CGROUP_FILES_H
#define TEND_CGROUP_FILES_H

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

#include "tend/base.h"

static inline void close_keeping_errno(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
}

/* What is removed between open and read answers ENODEV. */
bool group_is_gone(int error);

/* The path of our own group in the hierarchy of that controller ("": version 2), as the kernel
 * names it from "/" on; to be freed. NULL: there is none, or no /proc. */
char *group_own(const char *controller);
/* 1 when we are in it, 0 when not. */
int group_has_self(int dir);

/* A descriptor (CLOEXEC) of the directory. */
int group_open(int at, const char *path);

/* Not by faccessat: where a filter denies faccessat2(2), the C library answers no. */
bool group_has(int at, const char *file);

/* At most size - 1 bytes and a NUL. */
ssize_t group_read(int at, const char *file, char *text, size_t size);
int group_write(int at, const char *file, const char *text);

/* What a cgroup.events says: 1 when a process, not a zombie, is in the group or below, else 0. */
int group_populated(int at, const char *events);

/* Calls each for the pids of a cgroup.procs, until it returns -1. */
int group_each_pid(int at, const char *procs, int (*each)(void *arg, pid_t), void *arg);

/* Visits the group and those below, to 32 levels. */
int group_walk(int dir, int (*visit)(int dir, void *arg), void *arg);
int group_remove_below(int dir);

#endif
