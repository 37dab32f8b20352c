#include "tend/members.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- parsing: pure and total ---- */

struct text {
    const char *at, *end;
};

static bool take_char(struct text *t, char c)
{
    if (t->at == t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

static bool take_unsigned(struct text *t, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    const char *start = t->at;

    for (; t->at < t->end && isdigit((unsigned char)*t->at); t->at++) {
        unsigned digit = (unsigned)(*t->at - '0');
        if (value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return t->at > start;
}

/* The kernel writes -1 for group and session of a task that is past its end. */
static bool take_pid(struct text *t, pid_t *out)
{
    bool minus = take_char(t, '-');
    uint64_t value;

    if (!take_unsigned(t, INT_MAX, &value))
        return false;
    *out = minus ? -(pid_t)value : (pid_t)value;
    return true;
}

static bool skip_fields(struct text *t, int n)
{
    while (n-- > 0) {
        const char *space = memchr(t->at, ' ', (size_t)(t->end - t->at));
        if (!space || space == t->at)
            return false;
        t->at = space + 1;
    }
    return true;
}

/* From the state on, which is field 3; starttime is field 22. */
static bool take_fields(struct text *t, struct process_stat *s)
{
    if (t->at == t->end || !isalpha((unsigned char)*t->at))
        return false;
    s->state = *t->at++;
    return take_char(t, ' ') && take_pid(t, &s->ppid) && take_char(t, ' ') &&
           take_pid(t, &s->pgrp) && take_char(t, ' ') && take_pid(t, &s->session) &&
           take_char(t, ' ') && skip_fields(t, 22 - 7) && take_unsigned(t, UINT64_MAX, &s->born) &&
           (take_char(t, ' ') || take_char(t, '\n'));
}

bool members_parse_stat(const char *text, size_t n, struct process_stat *out)
{
    const char *close = n ? memrchr(text, ')', n) : NULL;
    struct text t = {text, text + n};
    struct process_stat s;

    if (!close || !take_pid(&t, &s.pid) || s.pid <= 0 || !take_char(&t, ' ') || !take_char(&t, '('))
        return false;
    if (close < t.at)
        return false;
    t.at = close + 1;
    if (!take_char(&t, ' ') || !take_fields(&t, &s))
        return false;
    *out = s;
    return true;
}

/* ---- reading ---- */

/* Through another PID namespace's /proc our own numbers name other processes. The line is missing
 * where the kernel has no such namespaces. */
static bool proc_is_ours(int proc)
{
    char text[4096];
    int fd = openat(proc, "self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    const char *line = strstr(text, "\nNSpid:\t");
    if (!line)
        return true;
    line += strlen("\nNSpid:\t");
    return line[strspn(line, "0123456789")] == '\n';
}

int members_open(void)
{
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (proc >= 0 && !proc_is_ours(proc)) {
        close(proc);
        errno = ENOENT;
        return -1;
    }
    return proc;
}

/* "PID/stat" where PID is already text. */
static int stat_at(int proc, const char *number, struct process_stat *out)
{
    char path[32], text[1024];
    size_t digits = strnlen(number, sizeof(path) - sizeof("/stat"));

    memcpy(path, number, digits);
    memcpy(path + digits, "/stat", sizeof("/stat"));
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, sizeof(text));
    int error = errno;
    close(fd);
    if (n < 0) {
        errno = error;
        return -1;
    }
    if (!members_parse_stat(text, (size_t)n, out)) {
        errno = n == 0 ? ESRCH : EPROTO;
        return -1;
    }
    return 0;
}

/* The decimal digits of a positive number, at the end of a buffer of 12. */
static char *digits_of(pid_t pid, char *buffer)
{
    char *at = buffer + 11;

    *at = '\0';
    do
        *--at = (char)('0' + pid % 10);
    while (pid /= 10);
    return at;
}

int members_stat(int proc, pid_t pid, struct process_stat *out)
{
    char number[12];

    if (pid <= 0) {
        errno = ESRCH;
        return -1;
    }
    return stat_at(proc, digits_of(pid, number), out);
}

static int push_pid(pid_t **pids, size_t *room, size_t n, pid_t pid)
{
    if (n == *room) {
        size_t larger = *room ? *room * 2 : 64;
        pid_t *grown = reallocarray(*pids, larger, sizeof(**pids));
        if (!grown)
            return -1;
        *pids = grown;
        *room = larger;
    }
    (*pids)[n] = pid;
    return 0;
}

/* Numbers separated by spaces; one may be cut in two by the end of the buffer. */
static int read_children(int fd, pid_t **pids, size_t *room)
{
    char text[4096];
    size_t count = 0;
    uint64_t pid = 0;
    ssize_t n;

    while ((n = read(fd, text, sizeof(text))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (isdigit((unsigned char)text[i]) && pid < INT_MAX / 10)
                pid = pid * 10 + (unsigned)(text[i] - '0');
            else if (pid > 0 && push_pid(pids, room, count++, (pid_t)pid) < 0)
                return -1;
            else
                pid = 0;
        }
    }
    if (pid > 0 && n == 0 && push_pid(pids, room, count++, (pid_t)pid) < 0)
        return -1;
    return n < 0 ? -1 : (int)count;
}

int members_children(int proc, pid_t **pids, size_t *room)
{
    char path[64] = "self/task/", number[12];

    strcat(strcat(path, digits_of(gettid(), number)), "/children");
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int n = read_children(fd, pids, room);
    int error = errno;
    close(fd);
    errno = error;
    return n;
}

/* ---- all processes at one reading ---- */

static int by_pid(const void *a, const void *b)
{
    const struct process_stat *left = a, *right = b;

    return (left->pid > right->pid) - (left->pid < right->pid);
}

/* What a snapshot is taken from. */
struct source {
    int proc;
    snapshot_known *known;
    void *arg;
};

static pid_t pid_of(const char *number)
{
    struct text t = {number, number + strlen(number)};
    pid_t pid;

    return take_pid(&t, &pid) ? pid : -1;
}

static int snapshot_add(struct snapshot *s, const struct source *from, const char *number)
{
    if (s->n == s->room) {
        size_t larger = s->room ? s->room * 2 : 256;
        struct process_stat *grown = reallocarray(s->at, larger, sizeof(*grown));
        if (!grown)
            return -1;
        s->at = grown;
        s->room = larger;
    }
    if ((from->known && from->known(from->arg, pid_of(number), &s->at[s->n])) ||
        stat_at(from->proc, number, &s->at[s->n]) == 0)
        s->n++;
    else if (errno != ENOENT && errno != ESRCH && errno != EACCES && errno != EPERM)
        return -1;
    return 0;
}

static int snapshot_read(struct snapshot *s, const struct source *from, DIR *dir)
{
    const struct dirent *entry;
    bool sorted = true;

    while (errno = 0, (entry = readdir(dir))) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        if (snapshot_add(s, from, entry->d_name) < 0)
            return -1;
        if (s->n > 1 && s->at[s->n - 2].pid > s->at[s->n - 1].pid)
            sorted = false;
    }
    if (errno)
        return -1;
    if (!sorted)
        qsort(s->at, s->n, sizeof(*s->at), by_pid);
    return 0;
}

int snapshot_take(int proc, struct snapshot *s, snapshot_known *known, void *arg)
{
    const struct source from = {proc, known, arg};

    s->n = 0;
    int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        errno = error;
        return -1;
    }
    int result = snapshot_read(s, &from, dir);
    int error = errno;
    closedir(dir);
    errno = error;
    if (result < 0)
        s->n = 0;
    return result;
}

void snapshot_free(struct snapshot *s)
{
    free(s->at);
    *s = (struct snapshot){0};
}

const struct process_stat *snapshot_find(const struct snapshot *s, pid_t pid)
{
    const struct process_stat key = {.pid = pid};

    return s->n ? bsearch(&key, s->at, s->n, sizeof(key), by_pid) : NULL;
}

/* ---- attribution ---- */

enum { NOBODY = -1, UNKNOWN = -2, ON_THE_WAY = -3 };

/* A parent younger than its child is not the parent: the pid was given away between two reads. */
static const struct process_stat *parent_of(const struct snapshot *s,
                                            const struct process_stat *child, pid_t self)
{
    const struct process_stat *parent;

    if (child->pid == self)
        return NULL;
    parent = snapshot_find(s, child->ppid);
    return parent && parent->born <= child->born ? parent : NULL;
}

void snapshot_attribute(const struct snapshot *s, pid_t self,
                        int (*direct)(void *arg, const struct process_stat *), void *arg,
                        int *owner)
{
    for (size_t i = 0; i < s->n; i++) {
        int said = s->at[i].pid == self ? NOBODY : direct(arg, &s->at[i]);
        owner[i] = said >= 0 ? said : UNKNOWN;
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct process_stat *p = &s->at[i];
        for (; p && owner[p - s->at] == UNKNOWN; p = parent_of(s, p, self))
            owner[p - s->at] = ON_THE_WAY;
        int found = p && owner[p - s->at] >= 0 ? owner[p - s->at] : NOBODY;
        for (p = &s->at[i]; p && owner[p - s->at] == ON_THE_WAY; p = parent_of(s, p, self))
            owner[p - s->at] = found;
    }
}

/* ---- the known processes of one service, sorted by pid ---- */

static unsigned members_place(const struct members *m, pid_t pid)
{
    unsigned low = 0, high = m->n;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (m->at[middle].pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool members_has(const struct members *m, pid_t pid, uint64_t born)
{
    unsigned i = members_place(m, pid);

    return i < m->n && m->at[i].pid == pid && m->at[i].born == born;
}

void members_begin(struct members *m)
{
    for (unsigned i = 0; i < m->n; i++)
        m->at[i].seen = false;
}

static int members_insert(struct members *m, unsigned i, struct member new)
{
    if (m->n == m->room) {
        unsigned larger = m->room ? m->room * 2 : 4;
        struct member *grown = reallocarray(m->at, larger, sizeof(*grown));
        if (!grown)
            return -1;
        m->at = grown;
        m->room = larger;
    }
    memmove(&m->at[i + 1], &m->at[i], (m->n - i) * sizeof(*m->at));
    m->at[i] = new;
    m->n++;
    return 0;
}

int members_see(struct members *m, pid_t pid, uint64_t born)
{
    const struct member new = {.pid = pid, .born = born, .seen = true};
    unsigned i = members_place(m, pid);

    if (i == m->n || m->at[i].pid != pid)
        return members_insert(m, i, new);
    if (m->at[i].born != born)
        m->at[i] = new;
    m->at[i].seen = true;
    return 0;
}

void members_end(struct members *m)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < m->n; i++) {
        if (m->at[i].seen)
            m->at[kept++] = m->at[i];
    }
    m->n = kept;
}

void members_free(struct members *m)
{
    free(m->at);
    *m = (struct members){0};
}
