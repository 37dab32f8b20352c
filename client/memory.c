#include "client/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tend/members.h"

struct main_process {
    pid_t pid;
    size_t service;
};

struct mains {
    struct main_process *at;
    size_t n;
};

/* ---- who belongs to whom ---- */

static int by_pid(const void *a, const void *b)
{
    const struct main_process *left = a, *right = b;

    return (left->pid > right->pid) - (left->pid < right->pid);
}

static const struct main_process *find(const struct mains *m, pid_t pid)
{
    const struct main_process key = {.pid = pid};

    return m->n ? bsearch(&key, m->at, m->n, sizeof key, by_pid) : NULL;
}

/* By itself, or by the session that a main process leads. */
static int direct(void *arg, const struct process_stat *p)
{
    const struct mains *m = arg;
    const struct main_process *found = find(m, p->pid);

    if (!found)
        found = find(m, p->session);
    return found ? (int)found->service : -1;
}

/* ---- how much ---- */

static size_t read_text(int proc, pid_t pid, const char *file, char *buf, size_t size)
{
    char path[48];
    int fd;
    ssize_t n;

    snprintf(path, sizeof path, "%d/%s", (int)pid, file);
    fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, buf, size - 1);
    close(fd);
    buf[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static int64_t bytes_of(int proc, pid_t pid)
{
    char text[2048], *at;

    if (read_text(proc, pid, "smaps_rollup", text, sizeof text) && (at = strstr(text, "\nPss:")))
        return strtoll(at + strlen("\nPss:"), NULL, 10) * 1024;
    if (read_text(proc, pid, "statm", text, sizeof text) && (at = strchr(text, ' ')))
        return strtoll(at, NULL, 10) * sysconf(_SC_PAGESIZE);
    return -1;
}

static void add_up(int proc, const struct snapshot *s, const int *owner, int64_t *bytes)
{
    for (size_t i = 0; i < s->n; i++) {
        if (owner[i] < 0 || s->at[i].state == 'Z' || s->at[i].state == 'X')
            continue;
        int64_t size = bytes_of(proc, s->at[i].pid), *sum = &bytes[owner[i]];
        if (size >= 0)
            *sum = (*sum < 0 ? 0 : *sum) + size;
    }
}

static void measure(int proc, struct mains *m, pid_t tend, int64_t *bytes)
{
    struct snapshot s = {0};
    int *owner = NULL;

    if (snapshot_take(proc, &s, NULL, NULL) == 0)
        owner = calloc(s.n + 1, sizeof *owner);
    if (owner) {
        snapshot_attribute(&s, tend, direct, m, owner);
        add_up(proc, &s, owner, bytes);
    }
    free(owner);
    snapshot_free(&s);
}

void memory_of(struct record *const *services, size_t n, pid_t tend, int64_t *bytes)
{
    struct mains m = {.at = calloc(n + 1, sizeof *m.at)};
    int proc = members_open();

    for (size_t i = 0; i < n; i++) {
        int64_t pid = record_number(services[i], "pid");
        bytes[i] = -1;
        if (m.at && pid > 0)
            m.at[m.n++] = (struct main_process){(pid_t)pid, i};
    }
    if (m.n > 0 && proc >= 0) {
        qsort(m.at, m.n, sizeof *m.at, by_pid);
        measure(proc, &m, tend, bytes);
    }
    if (proc >= 0)
        close(proc);
    free(m.at);
}
