#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tend/pack.h"
#include "tend/pack_format.h"

/* Keeps out->size right up to the first failure; `failed` is looked at once, at the end. */
struct writer {
    struct pack *out;
    bool failed;
};

static bool make_room(struct pack *out, size_t more)
{
    size_t room = out->room < 4096 ? 4096 : out->room;
    unsigned char *data;

    if (out->room - out->size >= more)
        return true;
    while (room - out->size < more)
        room *= 2;
    data = realloc(out->data, room);
    if (data == NULL)
        return false;
    out->data = data;
    out->room = room;
    return true;
}

static void put(struct writer *w, const void *data, size_t size)
{
    if (w->failed || size == 0)
        return;
    if (!make_room(w->out, size)) {
        w->failed = true;
        return;
    }
    memcpy(w->out->data + w->out->size, data, size);
    w->out->size += size;
}

static void put_count(struct writer *w, size_t n)
{
    uint32_t count = (uint32_t)n;

    if (n >= PACK_NO_STRING)
        w->failed = true;
    put(w, &count, sizeof(count));
}

static void put_bool(struct writer *w, bool value)
{
    unsigned char byte = value;

    put(w, &byte, 1);
}

static void put_string(struct writer *w, const char *text)
{
    uint32_t none = PACK_NO_STRING;

    if (text == NULL) {
        put(w, &none, sizeof(none));
        return;
    }
    put_count(w, strlen(text));
    put(w, text, strlen(text));
}

static void put_list(struct writer *w, char *const *list)
{
    size_t n = 0;

    while (list != NULL && list[n] != NULL)
        n++;
    put_count(w, n);
    for (size_t i = 0; i < n; i++)
        put_string(w, list[i]);
}

static void put_step(struct writer *w, const struct conf_step *step)
{
    put(w, &step->signal, sizeof(step->signal));
    put(w, &step->wait, sizeof(step->wait));
}

static void put_steps(struct writer *w, const struct conf *conf)
{
    put_count(w, conf->stop.n_then);
    for (size_t i = 0; i < conf->stop.n_then; i++)
        put_step(w, &conf->stop.then[i]);
}

static void put_success(struct writer *w, const struct conf_success *success)
{
    put(w, success->codes, sizeof(success->codes));
    put(w, &success->signals, sizeof(success->signals));
}

static void put_key(struct writer *w, const void *base, const struct conf_key *key)
{
    const void *field = (const char *)base + key->offset;

    switch (key->kind) {
    case CONF_STRING:
    case CONF_TCP:
    case CONF_UNIX:
    case CONF_HTTP:
        put_string(w, *(char *const *)field);
        break;
    case CONF_LIST:
    case CONF_NAMES:
        put_list(w, *(char **const *)field);
        break;
    case CONF_BOOL:
        put_bool(w, *(const bool *)field);
        break;
    case CONF_NUMBER:
    case CONF_CHOICE:
    case CONF_SIGNAL:
        put(w, field, sizeof(int));
        break;
    case CONF_COUNT:
        put(w, field, sizeof(long));
        break;
    case CONF_DURATION:
        put(w, field, sizeof(msec));
        break;
    case CONF_OCTAL:
        put(w, field, sizeof(unsigned));
        break;
    case CONF_EXITS:
        put_success(w, field);
        break;
    case CONF_STEPS:
        put_steps(w, base);
        break;
    case CONF_LIMIT: /* all at once, in put_limits */
    case CONF_KIND_COUNT:
        break;
    }
    if (key->noted != 0)
        put_bool(w, *(const bool *)((const char *)base + key->noted));
}

static void put_limits(struct writer *w, const struct conf *conf)
{
    put_count(w, conf->n_limits);
    for (size_t i = 0; i < conf->n_limits; i++) {
        put(w, &conf->limits[i].resource, sizeof(conf->limits[i].resource));
        put(w, &conf->limits[i].soft, sizeof(conf->limits[i].soft));
        put(w, &conf->limits[i].hard, sizeof(conf->limits[i].hard));
    }
}

static void put_conf(struct writer *w, const struct conf *conf)
{
    put_string(w, conf->name);
    put(w, &conf->line, sizeof(conf->line));
    for (size_t i = 0; i < conf_keys_n; i++)
        put_key(w, conf, &conf_keys[i]);
    put_limits(w, conf);
    put_bool(w, conf->has_ids);
    put(w, &conf->uid, sizeof(conf->uid));
    put(w, &conf->gid, sizeof(conf->gid));
    put_count(w, conf->n_gids);
    put(w, conf->gids, conf->n_gids * sizeof(*conf->gids));
    put_string(w, conf->logname);
    put_string(w, conf->home);
    put_string(w, conf->shell);
    put_list(w, conf->file_environment);
}

/* The words stay with the loader: what became of them is behind the keys. */
static void put_supervisor(struct writer *w, const struct conf_supervisor *supervisor)
{
    for (size_t i = 0; i < conf_supervisor_keys_n; i++)
        if (conf_supervisor_keys[i].kind != CONF_STRING)
            put_key(w, supervisor, &conf_supervisor_keys[i]);
    put_bool(w, supervisor->has_group);
    put(w, &supervisor->gid, sizeof(supervisor->gid));
}

static void put_head(struct writer *w, uint32_t kind)
{
    uint32_t magic = PACK_MAGIC;

    put(w, &magic, sizeof(magic));
    put(w, &kind, sizeof(kind));
}

static int finish(struct writer *w, size_t size_before)
{
    if (!w->failed)
        return 0;
    w->out->size = size_before;
    errno = ENOMEM;
    return -1;
}

int pack_set(const struct conf_set *set, struct pack *out)
{
    struct writer w = {.out = out};
    size_t before = out->size;

    put_head(&w, PACK_SET);
    put_supervisor(&w, &set->supervisor);
    put_count(&w, set->n);
    for (size_t i = 0; i < set->n; i++)
        put_conf(&w, set->at[i]);
    return finish(&w, before);
}

int pack_problems(char *const *lines, struct pack *out)
{
    struct writer w = {.out = out};
    size_t before = out->size;

    put_head(&w, PACK_PROBLEMS);
    put_list(&w, lines);
    return finish(&w, before);
}
