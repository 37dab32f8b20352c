#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tend/pack.h"
#include "tend/pack_format.h"

/* What a conf takes at the very least. */
enum { CONF_BYTES_MIN = 100 };

/* Once anything is wrong, `bad` stays set, all further reads give zero and no loop goes on. */
struct reader {
    const unsigned char *at, *end;
    bool bad;
    /* Each conf is read twice: with block NULL to learn how much it needs, then into one block,
     * arrays from its front and the bytes of strings behind them. */
    char *block;
    size_t arrays, strings;
};

static void refuse_unless(struct reader *r, bool right)
{
    if (!right)
        r->bad = true;
}

static void get(struct reader *r, void *out, size_t size)
{
    if (r->bad || (size_t)(r->end - r->at) < size) {
        r->bad = true;
        memset(out, 0, size);
        return;
    }
    memcpy(out, r->at, size);
    r->at += size;
}

static bool get_bool(struct reader *r)
{
    unsigned char byte;

    get(r, &byte, 1);
    refuse_unless(r, byte <= 1);
    return byte == 1;
}

/* A number of things of which each takes at least `size` of the bytes that are left. */
static size_t get_count(struct reader *r, size_t size)
{
    uint32_t n;

    get(r, &n, sizeof(n));
    refuse_unless(r, n <= (size_t)(r->end - r->at) / size);
    return r->bad ? 0 : n;
}

static void *take_array(struct reader *r, size_t n, size_t size)
{
    void *array = r->block == NULL ? NULL : r->block + r->arrays;

    r->arrays += (n * size + 7) / 8 * 8;
    return array;
}

/* The bytes of a string that lies at r->at; NULL where only measured. */
static char *take_string(struct reader *r, size_t n)
{
    char *copy = r->block == NULL ? NULL : r->block + r->strings;

    if (memchr(r->at, '\0', n) != NULL)
        r->bad = true;
    if (copy != NULL) {
        memcpy(copy, r->at, n);
        copy[n] = '\0';
    }
    r->strings += n + 1;
    r->at += n;
    return copy;
}

static char *get_string(struct reader *r, bool optional, int64_t low, int64_t high)
{
    uint32_t n;

    get(r, &n, sizeof(n));
    if (!r->bad && optional && n == PACK_NO_STRING)
        return NULL;
    refuse_unless(r, n <= (size_t)(r->end - r->at) && n >= low && n <= high);
    return r->bad ? NULL : take_string(r, n);
}

static char *get_text(struct reader *r, const struct conf_key *key)
{
    char *text = get_string(r, true, key->low, key->high);

    refuse_unless(r, text == NULL || conf_text_valid(key->kind, text));
    return text;
}

static char **get_list(struct reader *r, int64_t low, int64_t high)
{
    size_t n = get_count(r, sizeof(uint32_t));
    char **list;

    refuse_unless(r, n <= CONF_WORDS_MAX);
    if (n == 0 || r->bad)
        return NULL;
    list = take_array(r, n + 1, sizeof(*list));
    for (size_t i = 0; i < n && !r->bad; i++) {
        char *word = get_string(r, false, low, high);
        if (list != NULL)
            list[i] = word;
    }
    if (list != NULL)
        list[n] = NULL;
    return list;
}

static int get_int(struct reader *r, int64_t low, int64_t high)
{
    int value;

    get(r, &value, sizeof(value));
    refuse_unless(r, value >= low && value <= high);
    return value;
}

static msec get_time(struct reader *r, msec low, msec high)
{
    msec value;

    get(r, &value, sizeof(value));
    refuse_unless(r, value >= low && value <= high);
    return value;
}

static long get_long(struct reader *r, int64_t low, int64_t high)
{
    long value;

    get(r, &value, sizeof(value));
    refuse_unless(r, value >= low && value <= high);
    return value;
}

static int get_choice(struct reader *r, const char *const *choices)
{
    int n = 0, value;

    while (choices[n] != NULL)
        n++;
    value = get_int(r, 0, n - 1);
    if (!r->bad)
        refuse_unless(r, *choices[value] != '\0');
    return value;
}

static unsigned get_octal(struct reader *r)
{
    unsigned value;

    get(r, &value, sizeof(value));
    refuse_unless(r, value <= 0777);
    return value;
}

static void get_success(struct reader *r, struct conf_success *success)
{
    get(r, success->codes, sizeof(success->codes));
    get(r, &success->signals, sizeof(success->signals));
    refuse_unless(r, (success->codes[0] & 1) == 1);
}

static void get_steps(struct reader *r, struct conf *conf)
{
    size_t n = get_count(r, sizeof(int) + sizeof(msec));
    struct conf_step *steps;

    refuse_unless(r, n <= CONF_STEPS_MAX);
    if (n == 0 || r->bad)
        return;
    steps = take_array(r, n, sizeof(*steps));
    for (size_t i = 0; i < n && !r->bad; i++) {
        struct conf_step step = {.signal = get_int(r, 1, SIGRTMAX)};
        step.wait = get_time(r, 0, CONF_TIME_MAX);
        if (steps != NULL)
            steps[i] = step;
    }
    conf->stop.then = steps;
    conf->stop.n_then = n;
}

static void get_key(struct reader *r, void *base, const struct conf_key *key)
{
    void *field = (char *)base + key->offset;

    switch (key->kind) {
    case CONF_STRING:
    case CONF_TCP:
    case CONF_UNIX:
    case CONF_HTTP:
        *(char **)field = get_text(r, key);
        break;
    case CONF_LIST:
    case CONF_NAMES:
        *(char ***)field = get_list(r, key->low, key->high);
        break;
    case CONF_BOOL:
        *(bool *)field = get_bool(r);
        break;
    case CONF_NUMBER:
        *(int *)field = get_int(r, key->low, key->high);
        break;
    case CONF_CHOICE:
        *(int *)field = get_choice(r, key->choices);
        break;
    case CONF_SIGNAL:
        *(int *)field = get_int(r, 1, SIGRTMAX);
        break;
    case CONF_COUNT:
        *(long *)field = get_long(r, key->low, key->high);
        break;
    case CONF_DURATION:
        *(msec *)field = get_time(r, key->low, key->high);
        break;
    case CONF_OCTAL:
        *(unsigned *)field = get_octal(r);
        break;
    case CONF_EXITS:
        get_success(r, field);
        break;
    case CONF_STEPS:
        get_steps(r, base);
        break;
    case CONF_LIMIT:
    case CONF_KIND_COUNT:
        break;
    }
    if (key->noted != 0)
        *(bool *)((char *)base + key->noted) = get_bool(r);
}

static void get_limits(struct reader *r, struct conf *conf)
{
    size_t n = get_count(r, sizeof(int) + 2 * sizeof(rlim_t));
    struct conf_limit *limits;
    int before = -1;

    if (n == 0)
        return;
    limits = take_array(r, n, sizeof(*limits));
    for (size_t i = 0; i < n && !r->bad; i++) {
        struct conf_limit limit = {.resource = get_int(r, before + 1, RLIM_NLIMITS - 1)};
        get(r, &limit.soft, sizeof(limit.soft));
        get(r, &limit.hard, sizeof(limit.hard));
        refuse_unless(r, limit.soft <= limit.hard);
        before = limit.resource;
        if (limits != NULL)
            limits[i] = limit;
    }
    conf->limits = limits;
    conf->n_limits = n;
}

static void get_ids(struct reader *r, struct conf *conf)
{
    size_t n;

    conf->has_ids = get_bool(r);
    get(r, &conf->uid, sizeof(conf->uid));
    get(r, &conf->gid, sizeof(conf->gid));
    refuse_unless(r, conf->uid != (uid_t)-1 && conf->gid != (gid_t)-1);
    n = get_count(r, sizeof(gid_t));
    if (n == 0)
        return;
    conf->gids = take_array(r, n, sizeof(gid_t));
    conf->n_gids = n;
    if (conf->gids != NULL)
        get(r, conf->gids, n * sizeof(gid_t));
    else
        r->at += n * sizeof(gid_t);
}

static void get_conf(struct reader *r, struct conf *conf)
{
    conf->name = get_string(r, false, 1, CONF_NAME_MAX);
    conf->line = get_int(r, 0, INT32_MAX);
    for (size_t i = 0; i < conf_keys_n && !r->bad; i++)
        get_key(r, conf, &conf_keys[i]);
    get_limits(r, conf);
    get_ids(r, conf);
    conf->logname = get_string(r, true, 0, INT32_MAX);
    conf->home = get_string(r, true, 0, INT32_MAX);
    conf->shell = get_string(r, true, 0, INT32_MAX);
    conf->file_environment = get_list(r, 0, INT32_MAX);
}

static struct conf *read_conf(struct reader *r)
{
    const unsigned char *start = r->at;
    struct conf measured = {.one_block = true}, *conf;

    r->block = NULL;
    r->arrays = sizeof(*conf);
    r->strings = 0;
    get_conf(r, &measured);
    if (r->bad)
        return NULL;
    r->block = calloc(1, r->arrays + r->strings);
    if (r->block == NULL)
        return NULL;
    r->strings = r->arrays;
    r->arrays = sizeof(*conf);
    r->at = start;
    conf = (struct conf *)(void *)r->block;
    conf->one_block = true;
    get_conf(r, conf);
    if (!r->bad && conf_check(conf, NULL, NULL) > 0)
        r->bad = true;
    return conf;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct conf *const *)a)->name, (*(struct conf *const *)b)->name);
}

/* 1 or 0; -1 out of memory. */
static int has_twins(const struct conf_set *set)
{
    struct conf **sorted = calloc(set->n + 1, sizeof(struct conf *));
    int found = 0;

    if (sorted == NULL)
        return -1;
    if (set->n > 0)
        memcpy(sorted, set->at, set->n * sizeof(struct conf *));
    qsort(sorted, set->n, sizeof(struct conf *), by_name);
    for (size_t i = 1; i < set->n && !found; i++)
        found = by_name(&sorted[i - 1], &sorted[i]) == 0;
    free(sorted);
    return found;
}

static void get_supervisor(struct reader *r, struct conf_supervisor *supervisor)
{
    for (size_t i = 0; i < conf_supervisor_keys_n; i++)
        if (conf_supervisor_keys[i].kind != CONF_STRING)
            get_key(r, supervisor, &conf_supervisor_keys[i]);
    supervisor->has_group = get_bool(r);
    get(r, &supervisor->gid, sizeof(supervisor->gid));
    refuse_unless(r, supervisor->gid != (gid_t)-1);
}

/* Fails with r->bad, or without it when out of memory. */
static int fill_set(struct reader *r, struct conf_set *set)
{
    size_t n;
    int twins;

    get_supervisor(r, &set->supervisor);
    n = get_count(r, CONF_BYTES_MIN);
    set->at = calloc(n + 1, sizeof(struct conf *));
    if (set->at == NULL)
        return -1;
    while (set->n < n && !r->bad) {
        struct conf *conf = read_conf(r);
        if (conf == NULL)
            return -1;
        set->at[set->n++] = conf;
    }
    if (r->bad || (twins = has_twins(set)) == 0)
        return r->bad ? -1 : 0;
    r->bad = twins == 1;
    return -1;
}

static struct conf_set *read_set(struct reader *r)
{
    struct conf_set *set = calloc(1, sizeof(*set));

    if (set == NULL)
        return NULL;
    if (fill_set(r, set) == 0 && r->at == r->end)
        return set;
    r->bad = r->bad || r->at != r->end;
    conf_set_free(set);
    return NULL;
}

static void lines_free(char **lines)
{
    for (size_t i = 0; lines[i] != NULL; i++)
        free(lines[i]);
    free(lines);
}

static char **read_lines(struct reader *r)
{
    size_t n = get_count(r, sizeof(uint32_t));
    char **lines = r->bad ? NULL : calloc(n + 1, sizeof(*lines));

    for (size_t i = 0; i < n && lines != NULL; i++) {
        uint32_t size;
        get(r, &size, sizeof(size));
        refuse_unless(r, size <= (size_t)(r->end - r->at));
        refuse_unless(r, r->bad || memchr(r->at, '\0', size) == NULL);
        lines[i] = r->bad ? NULL : strndup((const char *)r->at, size);
        if (lines[i] == NULL) {
            lines_free(lines);
            return NULL;
        }
        r->at += size;
    }
    refuse_unless(r, r->at == r->end);
    if (r->bad && lines != NULL) {
        lines_free(lines);
        return NULL;
    }
    return lines;
}

int pack_read(const void *data, size_t size, struct conf_set **set, char ***problems)
{
    struct reader r = {.at = data, .end = (const unsigned char *)data + size};
    struct conf_set *new_set = NULL;
    char **lines = NULL;
    uint32_t magic, kind;

    get(&r, &magic, sizeof(magic));
    get(&r, &kind, sizeof(kind));
    refuse_unless(&r, magic == PACK_MAGIC && (kind == PACK_SET || kind == PACK_PROBLEMS));
    if (!r.bad && kind == PACK_SET)
        new_set = read_set(&r);
    else if (!r.bad)
        lines = read_lines(&r);
    if (new_set == NULL && lines == NULL) {
        errno = r.bad ? EBADMSG : ENOMEM;
        return -1;
    }
    *set = new_set;
    *problems = lines;
    return 0;
}
