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
        switch (conf_keys[i].kind) {
        case CONF_STRING:
        case CONF_TCP:
        case CONF_UNIX:
        case CONF_HTTP:
            free(*(char **)field);
            break;
        case CONF_LIST:
        case CONF_NAMES:
            list_free(*(char ***)field);
            break;
        case CONF_BOOL:
        case CONF_NUMBER:
        case CONF_COUNT:
        case CONF_DURATION:
        case CONF_CHOICE:
        case CONF_SIGNAL:
        case CONF_STEPS:
        case CONF_OCTAL:
        case CONF_EXITS:
        case CONF_LIMIT:
        case CONF_KIND_COUNT:
            break;
        }
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
        if (keys[i].noted != 0)
            *(bool *)((char *)base + keys[i].noted) = false;
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

/* What is written beside it tells what is meant. */
static enum conf_ready default_ready(const struct conf *conf)
{
    return conf->ready.tcp != NULL       ? CONF_READY_TCP
           : conf->ready.local != NULL   ? CONF_READY_UNIX
           : conf->ready.command != NULL ? CONF_READY_COMMAND
           : conf->ready_fd_set          ? CONF_READY_FD
           : conf->type == CONF_ONESHOT  ? CONF_READY_EXIT
                                         : CONF_READY_EXEC;
}

void conf_finish(struct conf *conf, const struct conf_supervisor *supervisor)
{
    bool oneshot = conf->type == CONF_ONESHOT;

    if (conf->ready.on == CONF_READY_DEFAULT)
        conf->ready.on = default_ready(conf);
    conf->ready_fd_set = conf->ready.on == CONF_READY_FD;
    if (conf->access == CONF_ACCESS_DEFAULT)
        conf->access = conf->ready.on == CONF_READY_NOTIFY || conf->watchdog != 0
                           ? CONF_ACCESS_ALL
                           : CONF_ACCESS_NONE;
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

bool conf_wants_notify(const struct conf *conf)
{
    return conf->access == CONF_ACCESS_MAIN || conf->access == CONF_ACCESS_ALL;
}

bool conf_has_health(const struct conf *conf)
{
    return conf->health.command != NULL || conf->health.tcp != NULL || conf->health.local != NULL ||
           conf->health.http != NULL;
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
    case CONF_TCP:
    case CONF_UNIX:
    case CONF_HTTP:
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
