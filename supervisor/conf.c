#include <ctype.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tend/conf.h"

static void list_free(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free(list);
}

/* Everything a key points to. */
static void fields_free(struct conf *conf)
{
    for (size_t i = 0; i < conf_keys_n; i++) {
        void *field = (char *)conf + conf_keys[i].offset;
        if (conf_keys[i].kind == CONF_STRING)
            free(*(char **)field);
        else if (conf_keys[i].kind == CONF_LIST || conf_keys[i].kind == CONF_NAMES)
            list_free(*(char ***)field);
    }
    free(conf->stop.then);
    free(conf->limits);
}

void conf_free(struct conf *conf)
{
    if (conf == NULL)
        return;
    if (!conf->one_block) {
        fields_free(conf);
        free(conf->name);
        free(conf->file);
        free(conf->gids);
        free(conf->logname);
        free(conf->home);
        free(conf->shell);
        list_free(conf->file_environment);
    }
    free(conf);
}

void conf_set_free(struct conf_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->n; i++)
        conf_free(set->at[i]);
    free(set->at);
    free(set->supervisor.group);
    free(set);
}

static int set_defaults(void *base, const struct conf_key *keys, size_t n)
{
    char why[256];

    for (size_t i = 0; i < n; i++) {
        char *words[2];
        int rc;
        if (keys[i].fallback == NULL)
            continue;
        words[0] = strdup(keys[i].fallback);
        words[1] = NULL;
        rc = words[0] == NULL ? -1 : conf_set_key(base, &keys[i], words, why, sizeof(why));
        free(words[0]);
        if (rc != 0)
            return -1;
    }
    return 0;
}

void conf_supervisor_init(struct conf_supervisor *supervisor)
{
    memset(supervisor, 0, sizeof(*supervisor));
    set_defaults(supervisor, conf_supervisor_keys, conf_supervisor_keys_n);
}

struct conf *conf_new(const char *name, const char *file, int line)
{
    struct conf *conf = calloc(1, sizeof(*conf));

    if (conf == NULL)
        return NULL;
    conf->name = strdup(name);
    conf->file = strdup(file);
    conf->line = line;
    conf->stop.grace = NEVER;
    conf->success.codes[0] = 1;
    if (conf->name == NULL || conf->file == NULL ||
        set_defaults(conf, conf_keys, conf_keys_n) != 0) {
        conf_free(conf);
        return NULL;
    }
    return conf;
}

void conf_finish(struct conf *conf, const struct conf_supervisor *supervisor)
{
    bool oneshot = conf->type == CONF_ONESHOT;

    if (conf->ready.on == CONF_READY_DEFAULT)
        conf->ready.on = oneshot ? CONF_READY_EXIT : CONF_READY_EXEC;
    if (conf->restart.policy == CONF_RESTART_DEFAULT)
        conf->restart.policy = oneshot ? CONF_NEVER_AGAIN : CONF_ALWAYS;
    if (conf->stop.grace == NEVER)
        conf->stop.grace = supervisor->grace;
}

bool conf_name_valid(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "0123456789._-@");

    return n > 0 && n <= CONF_NAME_MAX && name[n] == '\0' && strchr("._-@", name[0]) == NULL;
}

bool conf_list_has(char *const *list, const char *word)
{
    while (list != NULL && *list != NULL && strcmp(*list, word) != 0)
        list++;
    return list != NULL && *list != NULL;
}

bool conf_success_has_code(const struct conf_success *success, int code)
{
    return code >= 0 && code < 256 && (success->codes[code / 8] >> code % 8 & 1) != 0;
}

bool conf_success_has_signal(const struct conf_success *success, int signal)
{
    return signal > 0 && signal <= 64 && (success->signals >> (signal - 1) & 1) != 0;
}

/* ---- rules ---- */

struct check {
    const struct conf *conf;
    conf_report *report;
    void *self;
    size_t found;
};

static const struct conf_key *key_at(size_t offset)
{
    for (size_t i = 0; i < conf_keys_n; i++)
        if (conf_keys[i].offset == offset)
            return &conf_keys[i];
    return NULL;
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
    if (conf->type == CONF_PROCESS && conf->ready.on == CONF_READY_EXIT)
        broken(check, KEY(ready.on),
               "ready.on = exit is for a oneshot: write exec, or type = oneshot");
    if (conf->restart.max_delay < conf->restart.delay)
        broken(check, KEY(restart.max_delay),
               "restart.max_delay is shorter than restart.delay: write a longer one");
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
}

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
    check_names(&check, KEY(requires), conf->requires);
    check_names(&check, KEY(wants), conf->wants);
    check_names(&check, KEY(after), conf->after);
    check_environment(&check);
    check_tty(&check);
    check_text(&check);
    check_life(&check);
    check_reload(&check);
    return check.found;
}

/* ---- comparison ---- */

static bool same_string(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_list(char *const *a, char *const *b)
{
    size_t i = 0;

    if (a == NULL || b == NULL)
        return a == b;
    while (a[i] != NULL && b[i] != NULL && strcmp(a[i], b[i]) == 0)
        i++;
    return a[i] == b[i];
}

static bool same_steps(const struct conf *a, const struct conf *b)
{
    if (a->stop.n_then != b->stop.n_then)
        return false;
    for (size_t i = 0; i < a->stop.n_then; i++)
        if (a->stop.then[i].signal != b->stop.then[i].signal ||
            a->stop.then[i].wait != b->stop.then[i].wait)
            return false;
    return true;
}

static const struct conf_limit *limit_of(const struct conf *conf, int resource)
{
    for (size_t i = 0; i < conf->n_limits; i++)
        if (conf->limits[i].resource == resource)
            return &conf->limits[i];
    return NULL;
}

static bool same_limit(const struct conf *a, const struct conf *b, int resource)
{
    const struct conf_limit *x = limit_of(a, resource), *y = limit_of(b, resource);

    return x == NULL || y == NULL ? x == y : x->soft == y->soft && x->hard == y->hard;
}

static bool same_success(const struct conf_success *a, const struct conf_success *b)
{
    return memcmp(a->codes, b->codes, sizeof(a->codes)) == 0 && a->signals == b->signals;
}

static bool same_key(const struct conf *a, const struct conf *b, const struct conf_key *key)
{
    const void *x = (const char *)a + key->offset, *y = (const char *)b + key->offset;

    switch (key->kind) {
    case CONF_STRING:
        return same_string(*(char *const *)x, *(char *const *)y);
    case CONF_LIST:
    case CONF_NAMES:
        return same_list(*(char **const *)x, *(char **const *)y);
    case CONF_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case CONF_NUMBER:
    case CONF_CHOICE:
    case CONF_SIGNAL:
        return *(const int *)x == *(const int *)y;
    case CONF_COUNT:
        return *(const long *)x == *(const long *)y;
    case CONF_DURATION:
        return *(const msec *)x == *(const msec *)y;
    case CONF_OCTAL:
        return *(const unsigned *)x == *(const unsigned *)y;
    case CONF_EXITS:
        return same_success(x, y);
    case CONF_STEPS:
        return same_steps(a, b);
    case CONF_LIMIT:
        return same_limit(a, b, (int)key->low);
    case CONF_KIND_COUNT:
        break;
    }
    return false;
}

static bool same_noted(const struct conf *a, const struct conf *b, const struct conf_key *key)
{
    return key->noted == 0 || *(const bool *)((const char *)a + key->noted) ==
                                  *(const bool *)((const char *)b + key->noted);
}

static bool same_ids(const struct conf *a, const struct conf *b)
{
    return a->has_ids == b->has_ids && a->uid == b->uid && a->gid == b->gid &&
           a->n_gids == b->n_gids &&
           (a->n_gids == 0 || memcmp(a->gids, b->gids, a->n_gids * sizeof(*a->gids)) == 0);
}

static bool same_surroundings(const struct conf *a, const struct conf *b)
{
    return same_ids(a, b) && same_string(a->logname, b->logname) && same_string(a->home, b->home) &&
           same_string(a->shell, b->shell) && same_list(a->file_environment, b->file_environment);
}

enum conf_difference conf_compare(const struct conf *a, const struct conf *b,
                                  const struct conf_key **key)
{
    enum conf_difference worst = CONF_SAME;

    for (size_t i = 0; i < conf_keys_n && worst != CONF_SPAWN; i++) {
        if (conf_keys[i].change <= worst ||
            (same_key(a, b, &conf_keys[i]) && same_noted(a, b, &conf_keys[i])))
            continue;
        worst = conf_keys[i].change;
        *key = &conf_keys[i];
    }
    if (worst != CONF_SPAWN && !same_surroundings(a, b)) {
        worst = CONF_SPAWN;
        *key = NULL;
    }
    return worst;
}
