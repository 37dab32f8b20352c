#include "tend/request.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tend/conf.h"
#include "tend/units.h"

#define BLANKS " \t"

/* ---- options ---- */

static bool read_signal(const char *value, struct request *out)
{
    return units_signal(value, &out->signal) == 0;
}

static bool read_to(const char *value, struct request *out)
{
    out->group = !strcmp(value, "group");
    return out->group || !strcmp(value, "main");
}

static const char *const goals[] = {
    [GOAL_READY] = "ready",
    [GOAL_DOWN] = "down",
    [GOAL_FAILED] = "failed",
    [GOAL_RELOADED] = "reloaded",
};
static_assert(ARRAY_SIZE(goals) == REQUEST_GOAL_COUNT, "a word for each");

static bool read_goal(const char *value, struct request *out)
{
    for (int i = 0; i < REQUEST_GOAL_COUNT; i++) {
        if (strcmp(value, goals[i]) != 0)
            continue;
        out->goal = (enum request_goal)i;
        return true;
    }
    return false;
}

/* A sequence is a size without its suffix. */
static bool read_after(const char *value, struct request *out)
{
    out->has_after = true;
    return value[strspn(value, "0123456789")] == '\0' && units_size(value, &out->after) == 0;
}

/* In the config 0 is no deadline; whoever asks for a shutdown in no time is to say `now`. */
static bool read_deadline(const char *value, struct request *out)
{
    return units_duration(value, &out->deadline) == 0 && out->deadline > 0 &&
           out->deadline <= CONF_TIME_MAX;
}

static bool read_follow(const char *value, struct request *out)
{
    (void)value;
    return out->follow = true;
}

static bool read_now(const char *value, struct request *out)
{
    (void)value;
    return out->now = true;
}

enum option {
    OPTION_SIGNAL,
    OPTION_TO,
    OPTION_FOR,
    OPTION_AFTER,
    OPTION_DEADLINE,
    OPTION_FOLLOW,
    OPTION_NOW,
    OPTION_COUNT
};

static const struct {
    const char *name;
    bool (*read)(const char *value, struct request *);
    const char *right; /* which values are; NULL: a word alone, without one */
} options[] = {
    [OPTION_SIGNAL] = {"signal", read_signal, "a signal, such as TERM, RTMIN+1 or 10"},
    [OPTION_TO] = {"to", read_to, "main or group"},
    [OPTION_FOR] = {"for", read_goal, "ready, down, failed or reloaded"},
    [OPTION_AFTER] = {"after", read_after, "a number, the seq of an event"},
    [OPTION_DEADLINE] = {"deadline", read_deadline, "a time, such as 30s or 1m30s"},
    [OPTION_FOLLOW] = {"follow", read_follow, NULL},
    [OPTION_NOW] = {"now", read_now, NULL},
};
static_assert(ARRAY_SIZE(options) == OPTION_COUNT, "a row for each");

/* ---- verbs ---- */

#define HAS(option) (1u << OPTION_##option)

static const struct verb {
    const char *name, *usage;
    bool all_rights;
    unsigned options, needed; /* sets of HAS */
    unsigned low, high;       /* how many names */
} verbs[] = {
    [REQUEST_STATUS] = {"status", "status [NAME...]", .high = UINT_MAX},
    [REQUEST_START] = {"start", "start NAME...", .low = 1, .high = UINT_MAX},
    [REQUEST_STOP] = {"stop", "stop NAME...", .low = 1, .high = UINT_MAX},
    [REQUEST_RESTART] = {"restart", "restart NAME...", .low = 1, .high = UINT_MAX},
    [REQUEST_RELOAD_SERVICE] = {"reload-service", "reload-service NAME...", .all_rights = true,
                                .low = 1, .high = UINT_MAX},
    [REQUEST_SIGNAL] = {"signal", "signal signal=SIGNAL [to=main|group] NAME...",
                        .all_rights = true, .options = HAS(SIGNAL) | HAS(TO), .needed = HAS(SIGNAL),
                        .low = 1, .high = UINT_MAX},
    [REQUEST_WAIT] = {"wait", "wait for=ready|down|failed|reloaded [NAME...]", .options = HAS(FOR),
                      .needed = HAS(FOR), .high = UINT_MAX},
    [REQUEST_READY] = {"ready", "ready [NAME...]", .high = UINT_MAX},
    [REQUEST_PLAN] = {"plan", "plan", .all_rights = true},
    [REQUEST_RELOAD] = {"reload", "reload", .all_rights = true},
    [REQUEST_WHY] = {"why", "why NAME", .low = 1, .high = 1},
    [REQUEST_GRAPH] = {.name = "graph", .usage = "graph"},
    [REQUEST_EVENTS] = {"events", "events [after=SEQUENCE] [follow]",
                        .options = HAS(AFTER) | HAS(FOLLOW)},
    [REQUEST_HISTORY] = {"history", "history [NAME...]", .high = UINT_MAX},
    [REQUEST_SHUTDOWN] = {"shutdown", "shutdown [now] [deadline=TIME]", .all_rights = true,
                          .options = HAS(NOW) | HAS(DEADLINE)},
    [REQUEST_HELP] = {.name = "help", .usage = "help"},
};
static_assert(ARRAY_SIZE(verbs) == REQUEST_VERB_COUNT, "a row for each");

bool request_needs_all_rights(enum request_verb verb)
{
    return verbs[verb].all_rights;
}

const char *request_verb_name(enum request_verb verb)
{
    return verbs[verb].name;
}

const char *request_usage(enum request_verb verb)
{
    return verbs[verb].usage;
}

/* ---- parsing ---- */

struct parse {
    struct request *out;
    const struct verb *verb;
    unsigned given; /* set of HAS */
    char *end;      /* of the names so far */
    struct text *error;
};

/* Of what was written so much is repeated in a message. */
#define WORD "%.64s"

static bool refuse(const struct parse *p, const char *format, ...) PRINTF(2, 3);
static bool refuse(const struct parse *p, const char *format, ...)
{
    char why[REQUEST_ERROR_MAX / 2];
    va_list list;

    va_start(list, format);
    vsnprintf(why, sizeof why, format, list);
    va_end(list);
    text_put(p->error, "error code=usage");
    text_rest(p->error, "text", why);
    text_put(p->error, "\n");
    return false;
}

/* Afterwards the line is a string. */
static bool check_bytes(const struct parse *p, const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((line[i] < ' ' && line[i] != '\t') || line[i] > '~')
            return refuse(p, "byte %zu is 0x%02x: write words of printable ASCII", i + 1,
                          (unsigned char)line[i]);
    return true;
}

/* NULL: it was refused. */
static const struct verb *find_verb(const struct parse *p, const char *word)
{
    if (!word) {
        refuse(p, "nothing asked: try help");
        return NULL;
    }
    for (int i = 0; i < REQUEST_VERB_COUNT; i++) {
        if (strcmp(word, verbs[i].name) != 0)
            continue;
        p->out->verb = (enum request_verb)i;
        return &verbs[i];
    }
    refuse(p, "there is no request \"" WORD "\": try help", word);
    return NULL;
}

/* One of the options of this request; OPTION_COUNT: none. n: the length of its name. */
static unsigned find_option(const struct parse *p, const char *word, size_t n)
{
    unsigned i = 0;

    while (i < OPTION_COUNT && !((p->verb->options >> i & 1) && strlen(options[i].name) == n &&
                                 !memcmp(word, options[i].name, n)))
        i++;
    return i;
}

/* value: NULL where there is no "=". */
static bool take_option(struct parse *p, unsigned i, const char *value)
{
    const char *name = options[i].name, *right = options[i].right;

    if (p->given >> i & 1)
        return refuse(p, "%s is given twice: once is enough", name);
    p->given |= 1u << i;
    if (!right && value)
        return refuse(p, "%s has no value: write %s alone", name, name);
    if (options[i].read(value, p->out))
        return true;
    return refuse(p, "%s=" WORD " is not known: write %s", name, value, right);
}

static bool take_name(struct parse *p, char *name)
{
    size_t n = strlen(name) + 1;

    if (!p->verb->high)
        return refuse(p, "%s does not know \"" WORD "\": write %s", p->verb->name, name,
                      p->verb->usage);
    if (p->out->n_names == p->verb->high)
        return refuse(p, "%s takes one name: write %s", p->verb->name, p->verb->usage);
    if (!conf_name_valid(name))
        return refuse(p,
                      "\"" WORD "\" is no name of a service: at most %d letters, digits and "
                      ". _ - @, first a letter or digit",
                      name, CONF_NAME_MAX);
    if (!p->end)
        p->out->names = p->end = name;
    p->out->n_names++;
    memmove(p->end, name, n);
    p->end += n;
    return true;
}

/* No name has a "="; and a word alone is an option only of requests without names. */
static bool take_word(struct parse *p, char *word)
{
    char *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    unsigned i = find_option(p, word, n);

    if (!equals && (i == OPTION_COUNT || options[i].right))
        return take_name(p, word);
    if (i == OPTION_COUNT)
        return refuse(p, "%s has no option \"%.*s\": write %s", p->verb->name,
                      (int)(n < 64 ? n : 64), word, p->verb->usage);
    if (p->out->n_names)
        return refuse(p, "%s= stands after a name: write %s", options[i].name, p->verb->usage);
    return take_option(p, i, equals ? equals + 1 : NULL);
}

static bool check_whole(const struct parse *p)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (p->verb->needed & ~p->given & 1u << i)
            return refuse(p, "%s needs %s=: write %s", p->verb->name, options[i].name,
                          p->verb->usage);
    if (p->out->n_names < p->verb->low)
        return refuse(p, "%s needs a name: write %s", p->verb->name, p->verb->usage);
    return true;
}

bool request_parse(char *line, size_t n, struct request *out, struct text *error)
{
    struct parse p = {.out = out, .error = error};
    char *rest;

    *out = (struct request){.deadline = NEVER};
    n -= n && line[n - 1] == '\r';
    line[n] = '\0';
    if (!check_bytes(&p, line, n))
        return false;
    p.verb = find_verb(&p, strtok_r(line, BLANKS, &rest));
    if (!p.verb)
        return false;
    for (char *word; (word = strtok_r(NULL, BLANKS, &rest));)
        if (!take_word(&p, word))
            return false;
    return check_whole(&p);
}

const char *request_next_name(const char *name)
{
    return name + strlen(name) + 1;
}
