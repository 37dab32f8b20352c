/* What a load has to say to the clients that asked for it, kept until all of them have read it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tend/serve.h"

enum { TEXT_MAX = 1024 * 1024 };

struct load_answer {
    unsigned readers;
    unsigned cut; /* records for which there was no room */
    size_t n, room;
    char *text;
    char error[1024]; /* the last line, where it failed */
};

/* Who waits is to hear something. */
static struct load_answer no_memory = {.error = "error code=system text=out of memory\n"};

/* ---- while it is under way ---- */

static bool awaits(const struct world *w, unsigned i)
{
    const struct serving *s = &w->serving[i];

    return w->control.at[i].fd >= 0 && s->serial == w->control.at[i].serial &&
           s->stage == SERVE_REPLYING && s->load == w->load && !s->loaded;
}

bool serve_awaits_load(const struct world *w)
{
    for (unsigned i = 0; w->serving && i < CONTROL_CLIENTS; i++)
        if (awaits(w, i))
            return true;
    return false;
}

static struct load_answer *answer_of(struct world *w)
{
    if (!w->answers && serve_awaits_load(w))
        w->answers = calloc(1, sizeof *w->answers);
    return w->answers;
}

static bool make_room(struct load_answer *a, size_t n)
{
    size_t room = a->room ? a->room * 2 : 4 * (size_t)ANSWER_MAX;
    char *text;

    if (a->text && a->room - a->n >= n)
        return true;
    text = room <= TEXT_MAX ? realloc(a->text, room) : NULL;
    if (!text)
        return false;
    a->text = text;
    a->room = room;
    return true;
}

static void add(struct load_answer *a, const char *line, size_t n)
{
    if (!make_room(a, n)) {
        a->cut++;
        return;
    }
    memcpy(a->text + a->n, line, n);
    a->n += n;
}

static void forget(struct load_answer *a)
{
    if (!a || a == &no_memory)
        return;
    free(a->text);
    free(a);
}

static void add_change(struct load_answer *a, const struct engine_planned *p, const char *key)
{
    char line[ANSWER_MAX];
    struct text t = {line, 0, sizeof line};

    text_put(&t, "change");
    text_word(&t, "name", p->name);
    text_word(&t, "do", engine_does_name(p->does));
    text_word(&t, "key", key);
    text_word(&t, "because", p->because);
    text_put(&t, "\n");
    add(a, line, t.n);
}

void serve_load_change(void *world, const struct engine_planned *p)
{
    struct load_answer *a = answer_of(world);
    char key[CONF_KEY_NAME_MAX];

    if (a)
        add_change(a, p, p->key ? conf_key_name(p->key, key) : NULL);
}

/* One that is of no service. */
void serve_load_setting(struct world *w, const char *key)
{
    static const struct engine_planned change = {.does = DOES_CHANGE};
    struct load_answer *a = answer_of(w);

    if (a)
        add_change(a, &change, key);
}

/* A path can be long, and each byte of it four; its end matters least. */
void serve_load_problem(struct world *w, const char *problem)
{
    struct load_answer *a = answer_of(w);
    char line[ANSWER_MAX];
    struct text t = {line, 0, sizeof line - 1};

    if (!a)
        return;
    text_put(&t, "problem");
    text_rest(&t, "text", problem);
    line[t.n++] = '\n';
    add(a, line, t.n);
}

void serve_load_end(struct world *w, const char *code, const char *text)
{
    struct load_answer *a = answer_of(w);
    struct text error;

    w->answers = NULL;
    if (!serve_awaits_load(w)) {
        forget(a);
        return;
    }
    if (!a)
        a = &no_memory;
    error = (struct text){a->error, 0, sizeof a->error};
    if (code && a != &no_memory)
        serve_error(&error, code, NULL, "%s", text);
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (awaits(w, i)) {
            w->serving[i].loaded = a;
            w->serving[i].at = 0;
            a->readers++;
        }
}

/* ---- afterwards ---- */

void serve_leave_load(struct serving *s)
{
    if (s->loaded && --s->loaded->readers == 0)
        forget(s->loaded);
    s->loaded = NULL;
    s->load = 0;
}

/* Whole lines, as many as there is room for. */
static size_t piece(const struct load_answer *a, size_t from, size_t room)
{
    size_t n = a->n - from;

    if (n <= room)
        return n;
    for (n = room; n > 0 && a->text[from + n - 1] != '\n'; n--)
        ;
    return n;
}

static bool tell_end(struct world *w, struct client *c, const struct load_answer *a)
{
    char more[32] = "";

    if (a->cut)
        snprintf(more, sizeof more, " more=%u", a->cut);
    return serve_ok(w, c, "%s", more);
}

static bool tell_error(struct client *c, const struct load_answer *a)
{
    struct text t = control_room(c, ANSWER_MAX);

    if (!t.at)
        return false;
    text_put(&t, "%s", a->error);
    control_put(c, &t);
    return true;
}

enum serve_outcome serve_reply_load(struct world *w, struct client *c, struct serving *s)
{
    const struct load_answer *a = s->loaded;

    if (!a)
        return SERVE_WAITS;
    while (s->at < a->n) {
        struct text t = control_room(c, ANSWER_MAX);
        size_t n = t.at ? piece(a, s->at, t.size - 1) : 0;
        if (n == 0)
            return SERVE_MORE;
        memcpy(t.at, a->text + s->at, n);
        t.n = n;
        control_put(c, &t);
        s->at += n;
    }
    if (!*a->error)
        return tell_end(w, c, a) ? SERVE_OVER : SERVE_MORE;
    return tell_error(c, a) ? SERVE_OVER : SERVE_MORE;
}
