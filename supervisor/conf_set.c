#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tend/address.h"
#include "tend/conf.h"
#include "tend/units.h"

/* One assignment on its way: where to, from what, and where to say what is wrong. */
struct assign {
    const struct conf_key *key;
    void *base;
    void *field;
    char *const *words;
    size_t n_words;
    bool add;
    char *why;
    size_t why_size;
};

/* "KEY "WORD" is ...": the word cut where it would fill the message. */
PRINTF(3, 4)
static int refuse(const struct assign *a, const char *word, const char *format, ...)
{
    char name[CONF_KEY_NAME_MAX], text[256];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    conf_key_name(a->key, name);
    if (word == NULL)
        snprintf(a->why, a->why_size, "%s %s", name, text);
    else
        snprintf(a->why, a->why_size, "%s = \"%.80s%s\" %s", name, word,
                 strlen(word) > 80 ? "..." : "", text);
    return -1;
}

static int refuse_memory(const struct assign *a)
{
    return refuse(a, NULL, "does not fit into memory");
}

/* A list of n words is to hold `more` further ones. */
static void *grow(void *list, size_t n, size_t more, size_t size)
{
    return reallocarray(list, n + more, size);
}

static int check_length(const struct assign *a, const char *word)
{
    size_t n = strlen(word);

    if ((int64_t)n < a->key->low)
        return refuse(a, NULL, "is empty: write a value or leave the key out");
    if ((int64_t)n > a->key->high)
        return refuse(a, word, "is too long: at most %lld bytes", (long long)a->key->high);
    return 0;
}

static int set_string(const struct assign *a, const char *word)
{
    char **field = a->field, *copy;

    if (check_length(a, word) != 0)
        return -1;
    copy = strdup(word);
    if (copy == NULL)
        return refuse_memory(a);
    free(*field);
    *field = copy;
    return 0;
}

bool conf_text_valid(enum conf_kind kind, const char *text)
{
    struct address address;
    const char *path;

    return kind == CONF_TCP    ? address_tcp(text, &address) == 0
           : kind == CONF_UNIX ? address_unix(text, &address) == 0
           : kind == CONF_HTTP ? address_http(text, &address, &path) == 0
                               : true;
}

/* An empty one takes back what was set before, as an empty list does. */
static int set_address(const struct assign *a, const char *word)
{
    char **field = a->field;

    if (*word == '\0') {
        free(*field);
        *field = NULL;
        return 0;
    }
    if (conf_text_valid(a->key->kind, word))
        return set_string(a, word);
    if (a->key->kind == CONF_UNIX)
        return refuse(a, word,
                      "is no local socket: write an absolute path of at most 107 bytes, or "
                      "\"@name\" for an abstract one");
    if (a->key->kind == CONF_TCP)
        return refuse(a, word,
                      "is no address: write numbers, as in \"127.0.0.1:5432\" or \"[::1]:5432\"; "
                      "no name is looked up");
    return refuse(a, word,
                  strncmp(word, "https:", 6) == 0
                      ? "cannot be probed, for tend speaks no TLS: write http://, or a command"
                      : "is no address: write numbers, as in \"http://127.0.0.1:8080/health\"; no "
                        "name is looked up");
}

static void list_free(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free(list);
}

static int set_list(const struct assign *a)
{
    char ***field = a->field, **list;
    size_t old = 0, i;

    while (a->add && *field != NULL && (*field)[old] != NULL)
        old++;
    if (old + a->n_words > CONF_WORDS_MAX)
        return refuse(a, NULL, "has more than %d entries", CONF_WORDS_MAX);
    for (i = 0; i < a->n_words; i++)
        if (check_length(a, a->words[i]) != 0)
            return -1;
    if (!a->add) {
        list_free(*field);
        *field = NULL;
    }
    if (a->n_words == 0)
        return 0;
    list = grow(*field, old, a->n_words + 1, sizeof(*list));
    if (list == NULL)
        return refuse_memory(a);
    *field = list;
    for (i = 0; i < a->n_words && (list[old + i] = strdup(a->words[i])) != NULL; i++)
        ;
    list[old + i] = NULL;
    return i == a->n_words ? 0 : refuse_memory(a);
}

static int set_bool(const struct assign *a, const char *word)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcmp(word, words[i]) == 0) {
            *(bool *)a->field = i % 2 == 1;
            return 0;
        }
    }
    return refuse(a, word, "is neither true nor false: write true or false");
}

static int set_number(const struct assign *a, const char *word)
{
    long number;

    if (units_number(word, (long)a->key->low, (long)a->key->high, &number) != 0)
        return refuse(a, word, "is not right: write a decimal number from %lld to %lld",
                      (long long)a->key->low, (long long)a->key->high);
    if (a->key->kind == CONF_COUNT)
        *(long *)a->field = number;
    else
        *(int *)a->field = (int)number;
    return 0;
}

static bool is_bare_number(const char *word)
{
    long number;

    return units_number(word, 0, LONG_MAX, &number) == 0;
}

static int read_duration(const struct assign *a, const char *word, const char *time, msec *out)
{
    if (units_duration(time, out) == 0)
        return 0;
    if (is_bare_number(time))
        return refuse(a, word, "has no unit: write \"%.20ss\" for seconds", time);
    return refuse(a, word, "is no duration: write numbers with ms, s, m, h or d, as in \"1m30s\"");
}

static int set_duration(const struct assign *a, const char *word)
{
    char low[UNITS_DURATION_MAX], high[UNITS_DURATION_MAX];
    msec value;

    if (read_duration(a, word, word, &value) != 0)
        return -1;
    if (value < a->key->low || value > a->key->high)
        return refuse(a, word, "is out of range: write a duration from %s to %s",
                      units_duration_text(a->key->low, low),
                      units_duration_text(a->key->high, high));
    *(msec *)a->field = value;
    return 0;
}

static int set_choice(const struct assign *a, const char *word)
{
    char known[160] = "";

    for (int i = 0; a->key->choices[i] != NULL; i++) {
        const char *choice = a->key->choices[i];
        if (*choice != '\0' && strcmp(word, choice) == 0) {
            *(int *)a->field = i;
            return 0;
        }
        if (*choice != '\0') {
            strcat(known, *known == '\0' ? "" : a->key->choices[i + 1] != NULL ? ", " : " or ");
            strcat(known, choice);
        }
    }
    return refuse(a, word, "is not known: write %s", known);
}

static int set_signal(const struct assign *a, const char *word)
{
    int number;

    if (units_signal(word, &number) != 0)
        return refuse(a, word, "is no signal: write a name such as TERM, INT or RTMIN+3");
    *(int *)a->field = number;
    return 0;
}

static int read_step(const struct assign *a, const char *word, struct conf_step *step)
{
    const char *blank = strchr(word, ' ');
    char name[UNITS_SIGNAL_MAX] = "";

    if (blank == NULL || (size_t)(blank - word) >= sizeof(name))
        return refuse(a, word, "is no step: write a signal and a time, as in \"INT 5s\"");
    memcpy(name, word, (size_t)(blank - word));
    if (units_signal(name, &step->signal) != 0)
        return refuse(a, word, "names no signal: write a signal and a time, as in \"INT 5s\"");
    if (read_duration(a, word, blank + 1, &step->wait) != 0)
        return -1;
    if (step->wait > CONF_TIME_MAX)
        return refuse(a, word, "waits too long: at most 365d");
    return 0;
}

static int set_steps(const struct assign *a)
{
    struct conf *conf = a->base;
    size_t old = a->add ? conf->stop.n_then : 0;
    struct conf_step *steps;

    if (old + a->n_words > CONF_STEPS_MAX)
        return refuse(a, NULL, "has too many steps: at most %d", CONF_STEPS_MAX);
    if (old + a->n_words == 0) {
        free(conf->stop.then);
        conf->stop.then = NULL;
        conf->stop.n_then = 0;
        return 0;
    }
    steps = calloc(old + a->n_words, sizeof(*steps));
    if (steps == NULL)
        return refuse_memory(a);
    if (old > 0)
        memcpy(steps, conf->stop.then, old * sizeof(*steps));
    for (size_t i = 0; i < a->n_words; i++) {
        if (read_step(a, a->words[i], &steps[old + i]) != 0) {
            free(steps);
            return -1;
        }
    }
    free(conf->stop.then);
    conf->stop.then = steps;
    conf->stop.n_then = old + a->n_words;
    return 0;
}

static int set_octal(const struct assign *a, const char *word)
{
    if (units_octal(word, a->field) != 0)
        return refuse(a, word, "is no file mode: write three octal digits, as in \"022\"");
    return 0;
}

static int set_exits(const struct assign *a)
{
    struct conf_success success = {.codes = {0}, .signals = 0};

    if (a->add)
        success = *(struct conf_success *)a->field;
    for (size_t i = 0; i < a->n_words; i++) {
        long code;
        int number;
        if (units_number(a->words[i], 0, 255, &code) == 0)
            success.codes[code / 8] |= (uint8_t)(1 << code % 8);
        else if (!is_bare_number(a->words[i]) && units_signal(a->words[i], &number) == 0)
            success.signals |= UINT64_C(1) << (number - 1);
        else
            return refuse(a, a->words[i],
                          "is no exit: write a code from 0 to 255 or a signal such as TERM");
    }
    success.codes[0] |= 1;
    *(struct conf_success *)a->field = success;
    return 0;
}

static int read_limit(const struct conf_key *key, const char *text, size_t n, rlim_t *out)
{
    char copy[32] = "";
    uint64_t size;
    long number;

    if (n >= sizeof(copy))
        return -1;
    memcpy(copy, text, n);
    if (strcmp(copy, "unlimited") == 0) {
        *out = RLIM_INFINITY;
        return 0;
    }
    if (key->high == 1) {
        if (units_size(copy, &size) != 0 || size >= RLIM_INFINITY)
            return -1;
        *out = size;
        return 0;
    }
    if (units_number(copy, 0, LONG_MAX, &number) != 0)
        return -1;
    *out = (rlim_t)number;
    return 0;
}

/* The entry of this resource, made in its place if there is none. */
static struct conf_limit *limit_entry(struct conf *conf, int resource)
{
    struct conf_limit *limits;
    size_t at = 0;

    while (at < conf->n_limits && conf->limits[at].resource < resource)
        at++;
    if (at < conf->n_limits && conf->limits[at].resource == resource)
        return &conf->limits[at];
    limits = grow(conf->limits, conf->n_limits, 1, sizeof(*limits));
    if (limits == NULL)
        return NULL;
    memmove(&limits[at + 1], &limits[at], (conf->n_limits - at) * sizeof(*limits));
    limits[at].resource = resource;
    conf->limits = limits;
    conf->n_limits++;
    return &limits[at];
}

static int set_limit(const struct assign *a, const char *word)
{
    size_t n = strcspn(word, ":");
    struct conf_limit *entry;
    rlim_t soft = 0, hard = 0;

    if (read_limit(a->key, word, n, &soft) != 0 ||
        (word[n] == ':' && read_limit(a->key, word + n + 1, strlen(word + n + 1), &hard) != 0))
        return refuse(a, word, "is no limit: write %s, unlimited, or both limits as soft:hard",
                      a->key->high == 1 ? "bytes as in \"64M\"" : "a number");
    if (word[n] != ':')
        hard = soft;
    if (soft > hard)
        return refuse(a, word, "has the soft limit over the hard one: write soft:hard");
    entry = limit_entry(a->base, (int)a->key->low);
    if (entry == NULL)
        return refuse_memory(a);
    entry->soft = soft;
    entry->hard = hard;
    return 0;
}

static int set_one(const struct assign *a, const char *word)
{
    switch (a->key->kind) {
    case CONF_STRING:
        return set_string(a, word);
    case CONF_TCP:
    case CONF_UNIX:
    case CONF_HTTP:
        return set_address(a, word);
    case CONF_BOOL:
        return set_bool(a, word);
    case CONF_NUMBER:
    case CONF_COUNT:
        return set_number(a, word);
    case CONF_DURATION:
        return set_duration(a, word);
    case CONF_CHOICE:
        return set_choice(a, word);
    case CONF_SIGNAL:
        return set_signal(a, word);
    case CONF_OCTAL:
        return set_octal(a, word);
    case CONF_LIMIT:
        return set_limit(a, word);
    case CONF_LIST:
    case CONF_NAMES:
        return set_list(a);
    case CONF_STEPS:
        return set_steps(a);
    case CONF_EXITS:
        return set_exits(a);
    case CONF_KIND_COUNT:
        break;
    }
    return refuse(a, NULL, "cannot be set");
}

static int set(struct assign *a)
{
    while (a->words[a->n_words] != NULL)
        a->n_words++;
    a->field = (char *)a->base + a->key->offset;
    if (!conf_kind_is_list(a->key->kind) && (a->n_words != 1 || a->add))
        return refuse(a, NULL, "is no list: write one value after =");
    if (set_one(a, a->n_words > 0 ? a->words[0] : "") != 0)
        return -1;
    if (a->key->noted != 0)
        *(bool *)((char *)a->base + a->key->noted) = true;
    return 0;
}

int conf_set_key(void *base, const struct conf_key *key, char *const *words, char *why, size_t n)
{
    struct assign a = {.key = key, .base = base, .words = words, .why = why, .why_size = n};

    return set(&a);
}

int conf_add_key(void *base, const struct conf_key *key, char *const *words, char *why, size_t n)
{
    struct assign a = {
        .key = key, .base = base, .words = words, .add = true, .why = why, .why_size = n};

    return set(&a);
}
