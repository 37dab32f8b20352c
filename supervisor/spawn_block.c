#include "tend/spawn_block.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The places in own_pid. */
enum { OWN_LISTEN_PID, OWN_WATCHDOG_PID };

/* Digits of any number and the end of the text. */
enum { SPAWN_NUMBER_MAX = 24 };

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* ---- how much, at most ---- */

static size_t count(char *const *list)
{
    size_t n = 0;

    while (list && list[n])
        n++;
    return n;
}

static size_t room_of(char *const *list)
{
    size_t room = 2 * sizeof(char *);

    for (; list && *list; list++)
        room += strlen(*list) + 1 + sizeof(char *);
    return room;
}

static const char *path_in(char *const *list)
{
    const char *path = NULL;

    for (; list && *list; list++)
        if (!strncmp(*list, "PATH=", 5))
            path = *list + 5;
    return path;
}

static const char *path_of(const struct spawn_common *common, const struct conf *c)
{
    const char *path = path_in(c->environment);

    if (!path)
        path = path_in(c->file_environment);
    if (!path)
        path = path_in(common->environment);
    return path ? path : default_path;
}

static size_t room_of_paths(const char *path, const char *name)
{
    size_t folders = 1;

    for (const char *p = path; *p; p++)
        folders += *p == ':';
    return strlen(path) + folders * (strlen(name) + 2 + sizeof(char *)) + 2 * sizeof(char *);
}

/* Whom a service runs as. Without a user it runs as we do, and our name may not be asked for here.
 */
struct user {
    const char *name, *home, *shell;
    char number[16];
};

static void find_user(const struct conf *c, struct user *u)
{
    bool root = geteuid() == 0;

    snprintf(u->number, sizeof u->number, "%u", (unsigned)geteuid());
    u->name = c->logname ? c->logname : root ? "root" : u->number;
    u->home = c->home ? c->home : root ? "/root" : "/";
    u->shell = c->shell ? c->shell : "/bin/sh";
}

/* NULL: where we are. */
static const char *directory_of(const struct spawn_common *common, const struct conf *c)
{
    if (c->directory || common->caller)
        return c->directory;
    return "/";
}

static size_t room_of_text(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* What a service is told by variables of its own. */
static size_t room_of_order(const struct spawn_order *o)
{
    return sizeof "NOTIFY_SOCKET=" + room_of_text(o->notify) +
           sizeof "WATCHDOG_USEC=" + SPAWN_NUMBER_MAX + sizeof "MAINPID=" + SPAWN_NUMBER_MAX +
           2 * (sizeof "WATCHDOG_PID=" + SPAWN_PID_MAX) + 4 * sizeof(char *);
}

static size_t room_for(const struct spawn_common *common, const struct conf *c,
                       const struct spawn_order *o)
{
    struct user u = {0};
    size_t defaults;

    find_user(c, &u);
    defaults = strlen(u.name) * 2 + strlen(u.home) + strlen(u.shell) + sizeof default_path +
               9 * (sizeof "LOGNAME=" + sizeof(char *));
    return sizeof(struct spawn) + SPAWN_STACK + room_of(o->argv) + room_of(c->environment) +
           room_of(c->file_environment) + room_of(common->environment) + defaults +
           room_of_text(directory_of(common, c)) + room_of_text(c->tty) +
           room_of_paths(path_of(common, c), o->argv ? o->argv[0] : "") + room_of_order(o) +
           8 * sizeof(max_align_t);
}

/* ---- laying it out ---- */

struct arena {
    char *at;
};

static char **take_pointers(struct arena *a, size_t n)
{
    uintptr_t misfit = (uintptr_t)a->at % sizeof(char *);
    char **to;

    a->at += misfit ? sizeof(char *) - misfit : 0;
    to = (char **)(void *)a->at;
    a->at += n * sizeof(char *);
    return to;
}

/* The n bytes of a, then the text b. */
static char *take_text(struct arena *arena, const char *a, size_t n, const char *b)
{
    char *to = arena->at;
    size_t more = strlen(b) + 1;

    memcpy(to, a, n);
    memcpy(to + n, b, more);
    arena->at += n + more;
    return to;
}

/* One pointer before it is left free. */
static char **take_list(struct arena *a, char *const *list)
{
    size_t n = count(list);
    char **to = take_pointers(a, n + 2) + 1;

    for (size_t i = 0; i < n; i++)
        to[i] = take_text(a, "", 0, list[i]);
    to[n] = NULL;
    return to;
}

/* The environment while it grows; the first to name a variable wins. */
struct merge {
    struct arena *arena;
    char **to;
    size_t n;
};

static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");

    return !strncmp(a, b, n) && (b[n] == '=' || b[n] == '\0');
}

static void merge(struct merge *m, const char *name, const char *value)
{
    for (size_t i = 0; i < m->n; i++)
        if (same_name(m->to[i], name))
            return;
    m->to[m->n++] = take_text(m->arena, name, strlen(name), value);
}

/* Within one list the last to name a variable wins. */
static void merge_list(struct merge *m, char *const *list)
{
    for (size_t n = count(list); n-- > 0;)
        merge(m, list[n], "");
}

static void merge_user(struct merge *m, const struct conf *c)
{
    struct user u = {0};

    find_user(c, &u);
    merge(m, "USER=", u.name);
    merge(m, "LOGNAME=", u.name);
    merge(m, "HOME=", u.home);
    merge(m, "SHELL=", u.shell);
}

static void merge_number(struct merge *m, const char *name, long long value)
{
    char number[SPAWN_NUMBER_MAX];

    snprintf(number, sizeof number, "%lld", value);
    merge(m, name, number);
}

/* Before all else: what we say of it counts. */
static void merge_order(struct spawn *s, struct merge *m, const struct spawn_order *o)
{
    if (o->notify)
        merge(m, "NOTIFY_SOCKET=", o->notify);
    if (!o->is_main && o->main)
        merge_number(m, "MAINPID=", o->main);
    if (!o->is_main || !o->watchdog)
        return;
    merge_number(m, "WATCHDOG_USEC=", o->watchdog * 1000);
    merge(m, "WATCHDOG_PID=", "");
    s->own_pid[OWN_WATCHDOG_PID] = m->arena->at - 1;
    m->arena->at += SPAWN_PID_MAX;
}

static char **take_environment(struct spawn *s, struct arena *a, const struct spawn_common *common,
                               const struct conf *c, const struct spawn_order *o)
{
    size_t most =
        count(c->environment) + count(c->file_environment) + count(common->environment) + 10;
    struct merge m = {a, take_pointers(a, most), 0};

    merge_order(s, &m, o);
    merge_list(&m, c->environment);
    merge_list(&m, c->file_environment);
    if (c->has_ids)
        merge_user(&m, c);
    merge_list(&m, common->environment);
    merge_user(&m, c);
    merge(&m, "PATH=", default_path);
    m.to[m.n] = NULL;
    return m.to;
}

/* Whoever looks at LISTEN_PID or WATCHDOG_PID wants to see its own number there
 * (sd_listen_fds(3)), which is known in the child only. */
static char **take_caller_environment(struct spawn *s, struct arena *a, char *const *list)
{
    static const char *const names[] = {
        [OWN_LISTEN_PID] = "LISTEN_PID=", [OWN_WATCHDOG_PID] = "WATCHDOG_PID="};
    static_assert(ARRAY_SIZE(names) == ARRAY_SIZE(s->own_pid), "a place for each");
    size_t n = count(list);
    char **to = take_pointers(a, n + 1), number[SPAWN_PID_MAX];

    snprintf(number, sizeof number, "%d", (int)getpid());
    memcpy(to, list, n * sizeof *to);
    to[n] = NULL;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < ARRAY_SIZE(names); j++) {
            size_t length = strlen(names[j]);
            if (s->own_pid[j] || strncmp(list[i], names[j], length) != 0 ||
                strcmp(list[i] + length, number) != 0)
                continue;
            to[i] = take_text(a, names[j], length, "");
            a->at += SPAWN_PID_MAX;
            s->own_pid[j] = to[i] + length;
        }
    return to;
}

/* A name with a slash is a path; else every folder of PATH may hold it. */
static char **take_paths(struct arena *a, const char *name, const char *path)
{
    size_t folders = 1, n = 0;
    char **to;

    for (const char *p = path; *p; p++)
        folders += *p == ':';
    to = take_pointers(a, folders + 1);
    if (!*name || strchr(name, '/')) {
        to[n++] = take_text(a, "", 0, name);
        path = "";
    }
    while (*path) {
        size_t length = strcspn(path, ":");
        if (length) {
            to[n++] = a->at;
            memcpy(a->at, path, length);
            a->at[length] = '/';
            a->at += length + 1;
            take_text(a, "", 0, name);
        }
        path += length + (path[length] == ':');
    }
    to[n] = NULL;
    return to;
}

/* Nobody but root may set even what he has already (setgroups(2)). */
static bool is_ours(const struct conf *c)
{
    return geteuid() != 0 && c->uid == geteuid() && c->gid == getegid();
}

static void copy_limits(struct spawn *s, const struct conf *c)
{
    for (size_t i = 0; i < c->n_limits; i++) {
        s->limits[i].resource = c->limits[i].resource;
        s->limits[i].limit = (struct rlimit){c->limits[i].soft, c->limits[i].hard};
    }
    s->n_limits = c->n_limits;
}

static char *align(void *at)
{
    uintptr_t misfit = (uintptr_t)at % sizeof(max_align_t);

    return (char *)at + (misfit ? sizeof(max_align_t) - misfit : 0);
}

static void lay_out(struct spawn *s, struct arena *a, const struct spawn_common *common,
                    const struct conf *c, const struct spawn_order *o)
{
    s->envp = common->caller ? take_caller_environment(s, a, common->environment)
                             : take_environment(s, a, common, c, o);
    if (directory_of(common, c))
        s->directory = take_text(a, "", 0, directory_of(common, c));
    if (!o->argv)
        return;
    s->argv = take_list(a, o->argv);
    s->paths = take_paths(a, o->argv[0], path_of(common, c));
    /* the others find it in their service's hands */
    if (c->tty && (o->argv == c->command || o->argv == c->before_start))
        s->tty = take_text(a, "", 0, c->tty);
}

struct spawn *spawn_block_new(const struct spawn_common *common, const struct conf *c,
                              const struct spawn_order *o)
{
    struct address local = {.length = 0};
    struct spawn *s;
    struct arena a;

    if (!o->argv && address_unix(o->local, &local)) {
        errno = EINVAL;
        return NULL;
    }
    s = malloc(room_for(common, c, o));
    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    s->report = s->report_out = -1;
    s->local = local;
    s->ready = o->is_main ? o->ready : -1;
    s->ready_at = c->ready.fd;
    s->null = common->null;
    s->caller = common->caller;
    s->nofile = common->nofile;
    s->conf = c;
    s->umask = c->umask;
    s->nice = c->nice;
    s->nice_set = c->nice_set;
    s->has_ids = c->has_ids && !is_ours(c);
    s->no_new_privs = c->no_new_privs;
    s->oom_asked_for = c->oom_score_adj_set;
    if (c->oom_score_adj_set || common->protected)
        s->oom_length = snprintf(s->oom_score_adj, sizeof s->oom_score_adj, "%d", c->oom_score_adj);
    copy_limits(s, c);
    s->stack = align(s + 1);
    a.at = s->stack + SPAWN_STACK;
    lay_out(s, &a, common, c, o);
    return s;
}
