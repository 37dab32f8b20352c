/* What concerns one service alone: which keys do not go together, and what no key may say. */
#include <ctype.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tend/conf.h"
#include "tend/units.h"

struct check {
    const struct conf *conf;
    conf_report *report;
    void *self;
    size_t found;
};

static const struct conf_key *key_at(size_t offset)
{
    const struct conf_key *key = conf_keys;

    while (key->offset != offset)
        key++;
    return key;
}

PRINTF(3, 4)
static void broken(struct check *check, const struct conf_key *key, const char *format, ...)
{
    char why[400];
    va_list ap;

    check->found++;
    if (check->report == NULL)
        return;
    va_start(ap, format);
    vsnprintf(why, sizeof(why), format, ap);
    va_end(ap);
    check->report(check->self, key, why);
}

#define KEY(field) key_at(offsetof(struct conf, field))

/* An absolute path, a path below `directory`, or a bare name to be found in PATH. */
static void check_command(struct check *check, const struct conf_key *key, char *const *command)
{
    char name[CONF_KEY_NAME_MAX];

    if (command == NULL)
        return;
    conf_key_name(key, name);
    if (command[0][0] == '\0')
        broken(check, key, "%s has no program: its first word is empty", name);
    else if (command[0][0] != '/' && strchr(command[0], '/') != NULL &&
             check->conf->directory == NULL)
        broken(check, key,
               "%s = \"%.200s\" is a relative path: write an absolute one, a bare name for a "
               "search in PATH, or set directory",
               name, command[0]);
}

static bool in_list(char *const *list, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], word) == 0)
            return true;
    return false;
}

static void check_names(struct check *check, const struct conf_key *key, char *const *names)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        if (!conf_name_valid(names[i]))
            broken(check, key, "%s = \"%.80s\" is no name of a service", key->name, names[i]);
        else if (in_list(names, i, names[i]))
            broken(check, key, "%s names %s twice: once is enough", key->name, names[i]);
    }
}

/* The length of NAME in NAME=value; 0: it is none. */
static size_t variable_name(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "0123456789_");

    return text[n] == '=' && !isdigit((unsigned char)text[0]) ? n : 0;
}

static bool set_before(char *const *list, size_t n, const char *variable, size_t length)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(list[i], variable, length + 1) == 0)
            return true;
    return false;
}

static void check_environment(struct check *check)
{
    char *const *list = check->conf->environment;
    const struct conf_key *key = KEY(environment);

    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        size_t n = variable_name(list[i]);
        if (n == 0)
            broken(check, key, "environment = \"%.80s\" is no variable: write \"NAME=value\"",
                   list[i]);
        else if (set_before(list, i, list[i], n))
            broken(check, key, "environment sets %.*s twice: leave one out", (int)n, list[i]);
    }
}

static void check_tty(struct check *check)
{
    const char *tty = check->conf->tty;

    if (tty != NULL && tty[0] != '/')
        broken(check, KEY(tty), "tty = \"%.200s\" is no absolute path: write \"/dev/...\"", tty);
}

static void check_text(struct check *check)
{
    const char *text = check->conf->description;

    for (; text != NULL && *text != '\0'; text++) {
        if (iscntrl((unsigned char)*text)) {
            broken(check, KEY(description), "description has a control byte: write one line");
            return;
        }
    }
}

static void check_life(struct check *check)
{
    const struct conf *conf = check->conf;

    if (conf->type == CONF_ONESHOT && conf->restart.policy == CONF_ALWAYS)
        broken(check, KEY(restart.policy),
               "restart.policy = always would run a oneshot for ever: write on-failure or never, "
               "or type = process");
    if (conf->restart.max_delay < conf->restart.delay)
        broken(check, KEY(restart.max_delay),
               "restart.max_delay is shorter than restart.delay: write a longer one");
}

/* Before conf_finish or after it. */
static bool may_notify(const struct conf *conf)
{
    if (conf->access == CONF_ACCESS_DEFAULT)
        return conf->ready.on == CONF_READY_NOTIFY || conf->watchdog != 0;
    return conf->access != CONF_ACCESS_NONE;
}

/* What no program can catch tells it nothing (signal(7)). */
static void check_reload(struct check *check)
{
    const struct conf *conf = check->conf;

    if (conf->reload.signal == SIGKILL || conf->reload.signal == SIGSTOP)
        broken(check, KEY(reload.signal),
               "reload.signal = %s makes no program read anything: write one that it handles",
               conf->reload.signal == SIGKILL ? "KILL" : "STOP");
    if (conf->type == CONF_ONESHOT && conf->reload.command != NULL)
        broken(check, KEY(reload.command),
               "reload.command is for what stays: leave it out, or write type = process");
    if (conf->reload.on == CONF_RELOAD_NOTIFY && (conf->type == CONF_ONESHOT || !may_notify(conf)))
        broken(check, KEY(reload.on),
               "reload.on = notify waits for messages of a process that may send them: write "
               "type = process, and notify.access = all or main");
}

/* ---- readiness and health ---- */

/* A key that says where an answer comes from. */
struct target {
    const struct conf_key *key;
    int on; /* what uses it */
    bool set;
};
enum { READY_TARGETS = 4, HEALTH_TARGETS = 4 };

static void ready_targets(const struct conf *conf, struct target at[static READY_TARGETS])
{
    at[0] = (struct target){KEY(ready.tcp), CONF_READY_TCP, conf->ready.tcp != NULL};
    at[1] = (struct target){KEY(ready.local), CONF_READY_UNIX, conf->ready.local != NULL};
    at[2] = (struct target){KEY(ready.command), CONF_READY_COMMAND, conf->ready.command != NULL};
    at[3] = (struct target){KEY(ready.fd), CONF_READY_FD, conf->ready_fd_set};
}

static void health_targets(const struct conf *conf, struct target at[static HEALTH_TARGETS])
{
    at[0] = (struct target){.key = KEY(health.command), .set = conf->health.command != NULL};
    at[1] = (struct target){.key = KEY(health.tcp), .set = conf->health.tcp != NULL};
    at[2] = (struct target){.key = KEY(health.local), .set = conf->health.local != NULL};
    at[3] = (struct target){.key = KEY(health.http), .set = conf->health.http != NULL};
}

/* The first that is set; NULL: none is. Each further one is told of. */
static const struct target *only_one(struct check *check, const struct target *at, size_t n)
{
    const struct target *first = NULL;

    for (size_t i = 0; i < n; i++) {
        if (at[i].set && first == NULL)
            first = &at[i];
        else if (at[i].set)
            broken(check, at[i].key, "%s.%s is written beside %s.%s: leave one of them out",
                   at[i].key->section, at[i].key->name, first->key->section, first->key->name);
    }
    return first;
}

/* `on` is written. */
static void check_used(struct check *check, const struct target *at, int on)
{
    const char *word = KEY(ready.on)->choices[on];

    for (size_t i = 0; i < READY_TARGETS; i++) {
        const char *name = at[i].key->name;
        if (at[i].set && at[i].on != on)
            broken(check, at[i].key, "ready.%s is not used by ready.on = %s: leave one of them out",
                   name, word);
        else if (!at[i].set && at[i].on == on && on != CONF_READY_FD)
            broken(check, at[i].key, "ready.on = %s needs ready.%s: write %s = %s", word, name,
                   name,
                   on == CONF_READY_TCP    ? "\"127.0.0.1:5432\""
                   : on == CONF_READY_UNIX ? "\"/run/x.sock\""
                                           : "{\"program\", \"argument\"}");
    }
}

static void check_ready(struct check *check)
{
    const struct conf *conf = check->conf;
    const struct target *only = NULL;
    struct target at[READY_TARGETS];
    int on = conf->ready.on;

    ready_targets(conf, at);
    if (on != CONF_READY_DEFAULT)
        check_used(check, at, on);
    else
        only = only_one(check, at, READY_TARGETS);
    if (only != NULL)
        on = only->on;
    if (conf->type == CONF_PROCESS && on == CONF_READY_EXIT)
        broken(check, KEY(ready.on),
               "ready.on = exit is for a oneshot: write exec, or type = oneshot");
    else if (conf->type == CONF_ONESHOT && on != CONF_READY_DEFAULT && on != CONF_READY_EXEC &&
             on != CONF_READY_EXIT)
        broken(check, only != NULL ? only->key : KEY(ready.on),
               "ready.on = %s is for what stays: leave it out, or write type = process",
               KEY(ready.on)->choices[on]);
}

static void check_health(struct check *check)
{
    const struct conf *conf = check->conf;
    const struct target *only;
    struct target at[HEALTH_TARGETS];

    health_targets(conf, at);
    only = only_one(check, at, HEALTH_TARGETS);
    if (conf->type == CONF_ONESHOT && only != NULL)
        broken(check, only->key,
               "health.%s is for what stays: leave it out, or write type = process",
               only->key->name);
    if (conf->type == CONF_ONESHOT && conf->watchdog != 0)
        broken(check, KEY(watchdog),
               "watchdog is for what stays: leave it out, or write type = process");
}

static void check_notify(struct check *check)
{
    const struct conf *conf = check->conf;
    bool ready = conf->ready.on == CONF_READY_NOTIFY;

    if (conf->access == CONF_ACCESS_NONE && (ready || conf->watchdog != 0))
        broken(check, KEY(access),
               "notify.access = none lets nobody say what %s waits for: write "
               "main or all",
               ready ? "ready.on = notify" : "watchdog");
}

/* ---- the stop ---- */

/* From the drain until KILL is sent, as it is written. */
static msec written_stop(const struct conf *conf)
{
    msec sum = conf->stop.drain + (conf->stop.command != NULL ? conf->stop.command_timeout : 0) +
               conf->stop.grace;

    for (size_t i = 0; i < conf->stop.n_then; i++)
        sum += conf->stop.then[i].wait;
    return sum;
}

static void check_max(struct check *check)
{
    const struct conf *conf = check->conf;
    char max[UNITS_DURATION_MAX], least[UNITS_DURATION_MAX];

    if (conf->stop.max == 0 || conf->stop.grace == NEVER || conf->stop.max >= written_stop(conf))
        return;
    units_duration_text(conf->stop.max, max);
    units_duration_text(written_stop(conf), least);
    broken(check, KEY(stop.max),
           "stop.max = \"%s\" is shorter than the stop as it is written: write at least \"%s\", "
           "or leave it out",
           max, least);
}

size_t conf_check_finished(const struct conf *conf, conf_report *report, void *self)
{
    struct check check = {.conf = conf, .report = report, .self = self};

    check_max(&check);
    return check.found;
}

/* ---- the whole ---- */

size_t conf_check(const struct conf *conf, conf_report *report, void *self)
{
    struct check check = {.conf = conf, .report = report, .self = self};

    if (!conf_name_valid(conf->name))
        broken(&check, NULL,
               "\"%.80s\" is no name of a service: write at most %d letters, digits and . _ - @, "
               "first a letter or digit",
               conf->name, CONF_NAME_MAX);
    if (conf->command == NULL)
        broken(&check, NULL, "has no command: write command = {\"program\", \"argument\"}");
    check_command(&check, KEY(command), conf->command);
    check_command(&check, KEY(before_start), conf->before_start);
    check_command(&check, KEY(stop.command), conf->stop.command);
    check_command(&check, KEY(reload.command), conf->reload.command);
    check_command(&check, KEY(ready.command), conf->ready.command);
    check_command(&check, KEY(health.command), conf->health.command);
    check_names(&check, KEY(requires), conf->requires);
    check_names(&check, KEY(wants), conf->wants);
    check_names(&check, KEY(after), conf->after);
    check_environment(&check);
    check_tty(&check);
    check_text(&check);
    check_life(&check);
    check_reload(&check);
    check_ready(&check);
    check_health(&check);
    check_notify(&check);
    check_max(&check);
    return check.found;
}
