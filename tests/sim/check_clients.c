/* What clients ask for is done by their rights or changes nothing; what they are told of services
 * is so: each line is read again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients.h"

/* ---- nothing has changed ---- */

static uint64_t add_to(uint64_t sum, const void *bytes, size_t n)
{
    for (const unsigned char *at = bytes; n > 0; n--)
        sum = (sum ^ *at++) * UINT64_C(1099511628211);
    return sum;
}

uint64_t engine_print(const struct engine *e)
{
    uint64_t sum = add_to(0, e, sizeof *e);

    for (size_t i = 0; i < e->graph.n; i++) {
        const struct service *s = e->graph.at[i];
        if (!s)
            continue;
        sum = add_to(sum, s, sizeof *s);
        sum = add_to(sum, s->needs, s->n_needs * sizeof *s->needs);
    }
    return sum;
}

/* ---- requests ---- */

static bool as_meant(const struct asked *a, const struct request *r)
{
    const char *name = r->names;

    if (r->verb != a->verb || r->n_names != a->n_names || r->signal != a->signal ||
        r->group != a->group || r->now != a->now || r->follow != a->follow ||
        r->has_after != a->has_after || r->after != a->after || r->deadline != a->deadline ||
        (a->verb == REQUEST_WAIT && r->goal != a->goal))
        return false;
    for (unsigned i = 0; i < a->n_names; i++, name = request_next_name(name))
        if (strcmp(name, a->names[i]) != 0)
            return false;
    return true;
}

void check_parsed(struct world *w, const struct client *c, bool well, const struct text *error)
{
    if (well != c->asked.well)
        broken(w, "P27", "a request is %s: %s", well ? "taken" : "refused", error->at);
    if (!well)
        check_line(w, error, "error code=usage text=");
    else if (!as_meant(&c->asked, &c->request))
        broken(w, "P27", "a request is taken for another");
}

const struct service *client_named(const struct world *w, const char *name)
{
    const struct service *found = NULL;

    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (s && !strcmp(service_name(s), name) && (!found || found->doomed))
            found = s;
    }
    return found;
}

static const char *expected_code(const struct world *w, const struct client *c)
{
    const struct asked *a = &c->asked;
    bool starts = a->verb == REQUEST_START || a->verb == REQUEST_RESTART;
    bool loads = a->verb == REQUEST_PLAN || a->verb == REQUEST_RELOAD;
    bool signals = a->verb == REQUEST_SIGNAL || a->verb == REQUEST_RELOAD_SERVICE;
    const char *code = NULL;

    if (!a->well)
        return "usage";
    if (!c->all_rights && !asked_is_for_part(a->verb))
        return "denied";
    if (w->kept_shutdown && (starts || loads))
        return "shutdown";
    for (unsigned i = 0; i < a->n_names; i++) {
        const struct service *s = client_named(w, a->names[i]);
        if (!s || (starts && s->doomed))
            return "unknown";
        if (signals && !s->pid)
            code = "down";
    }
    return code;
}

static bool may_change(enum request_verb verb)
{
    return verb == REQUEST_START || verb == REQUEST_STOP || verb == REQUEST_RESTART ||
           verb == REQUEST_SHUTDOWN;
}

void check_done(struct world *w, const struct client *c, const char *code, bool changed)
{
    const char *expected = expected_code(w, c);

    if ((code == NULL) != (expected == NULL) || (code && strcmp(code, expected) != 0))
        broken(w, "P28", "a request is answered %s, not %s", code ? code : "ok",
               expected ? expected : "ok");
    if (changed && (code || !may_change(c->asked.verb)))
        broken(w, "P28", "a request (%s) has changed something", code ? code : "ok");
}

/* ---- lines ---- */

void check_line(struct world *w, const struct text *t, const char *word)
{
    if (t->n < 2 || t->n != strlen(t->at) || t->n >= ANSWER_MAX || t->at[t->n - 1] != '\n' ||
        strncmp(t->at, word, strlen(word)) != 0)
        broken(w, "P27", "no whole line: %s", t->at);
    for (size_t i = 0; i + 1 < t->n; i++)
        if (t->at[i] < ' ' || t->at[i] > '~')
            broken(w, "P27", "byte %zu of a line is %d", i, t->at[i]);
}

/* The value of a field, "" where it is left out; valid until the next call but one. */
static const char *field(const struct text *t, const char *key)
{
    static char values[2][128];
    static unsigned turn;
    char search[32], *value = values[turn++ % 2];
    const char *at;
    size_t n;

    snprintf(search, sizeof search, " %s=", key);
    at = strstr(t->at, search);
    value[0] = '\0';
    if (!at)
        return value;
    at += strlen(search);
    n = strcspn(at, " \n");
    memcpy(value, at, n < 127 ? n : 127);
    value[n < 127 ? n : 127] = '\0';
    return value;
}

static void check_number(const struct world *w, const struct text *t, const char *key, msec is)
{
    const char *told = field(t, key);

    if (is ? atoll(told) != is : *told)
        broken(w, "P27", "%s is %lld: %s", key, (long long)is, t->at);
}

/* Nothing where it would be less than 1. */
static msec span(msec from, msec to)
{
    return from < to && to != NEVER ? to - from : 0;
}

static bool is_one_of(const struct edge *edges, size_t n, const struct service *s)
{
    for (size_t i = 0; i < n; i++)
        if (edges[i].to == s)
            return true;
    return false;
}

/* ---- whom it waits for ---- */

static bool holds(const struct service *s)
{
    return s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING ||
           s->state == SERVICE_DONE || s->state == SERVICE_STOPPING || s->state == SERVICE_KILLING;
}

/* The one that is told, or nobody. */
static bool is_reason(const struct levels *l, const struct service *s, const struct service *other)
{
    if (!other)
        return true;
    if (s->state != SERVICE_PENDING)
        return is_one_of(s->needed_by, s->n_needed_by, other) && l->going[s->slot] &&
               l->going[other->slot] && holds(other);
    if (!strcmp(service_name(s), service_name(other)))
        return other->doomed;
    return is_one_of(s->needs, s->n_needs, other) && (!is_up(other) || l->going[other->slot]);
}

static bool has_reason(const struct levels *l, const struct service *s)
{
    bool held = false;

    for (size_t i = 0; i < s->n_needed_by; i++)
        held |= l->going[s->needed_by[i].to->slot] && holds(s->needed_by[i].to);
    return held && l->going[s->slot] &&
           (s->state == SERVICE_STARTING || s->state == SERVICE_RUNNING ||
            s->state == SERVICE_DONE);
}

static void check_reason(struct world *w, const struct levels *l, const struct service *s)
{
    bool in_vain, pending = s->state == SERVICE_PENDING;
    const struct service *other = answer_waits_for(s, w->kept_shutdown, &in_vain);

    if (!is_reason(l, s, other) || (!other && (pending ? !w->again : has_reason(l, s))))
        broken(w, "P30", "%s (%s) does not wait for %s", service_name(s),
               service_state_name(s->state), other ? service_name(other) : "nobody");
    if (in_vain != (pending && l->vain[s->slot]))
        broken(w, "P30", "%s is said to wait %s", service_name(s), in_vain ? "in vain" : "");
    for (size_t hops = 0; other; hops++) {
        if (hops > w->engine.graph.n)
            broken(w, "P20", "%s waits for itself", service_name(s));
        other = answer_waits_for(other, w->kept_shutdown, &in_vain);
    }
}

void check_service_line(struct world *w, const struct service *s, const struct text *t)
{
    static const char *const states[] = {"down",     "pending", "starting", "running", "done",
                                         "stopping", "killing", "stuck",    "backoff", "failed"};
    bool in_vain;
    const struct service *other = answer_waits_for(s, w->kept_shutdown, &in_vain);

    check_line(w, t, "service name=");
    if (strcmp(field(t, "name"), service_name(s)) != 0 ||
        strcmp(field(t, "state"), states[s->state]) != 0 ||
        strcmp(field(t, "type"), s->conf->type == CONF_ONESHOT ? "oneshot" : "process") != 0 ||
        strcmp(field(t, "start"), s->conf->start == CONF_AUTO ? "auto" : "manual") != 0 ||
        strcmp(field(t, "waits_for"), other ? service_name(other) : "") != 0)
        broken(w, "P27", "%s is not told as it is: %s", service_name(s), t->at);
    check_number(w, t, "ready", is_up(s));
    check_number(w, t, "wanted", s->wanted);
    check_number(w, t, "again", s->again);
    check_number(w, t, "changed", w->book[s->slot].next_line != 0);
    check_number(w, t, "pid", s->pid);
    check_number(w, t, "restarts", s->restarts);
    check_number(w, t, "members", s->members);
    check_number(w, t, "in_vain", in_vain);
    check_number(w, t, "for", s->since ? span(s->since, w->now) : 0);
    check_number(w, t, "up", s->pid ? span(w->book[s->slot].started, w->now) : 0);
}

/* ---- in each turn ---- */

static void check_count(struct world *w)
{
    for (size_t i = 0; i < w->engine.graph.n; i++) {
        const struct service *s = w->engine.graph.at[i];
        if (s &&
            answer_is_up(s, false) != (s->state == SERVICE_RUNNING || s->state == SERVICE_DONE))
            broken(w, "P27", "%s is told as missing", service_name(s));
    }
}

/* One of them by turns. */
static void check_one(struct world *w, const struct levels *l)
{
    size_t n = w->engine.graph.n;
    const struct service *s = n ? w->engine.graph.at[w->turns % n] : NULL;
    char line[ANSWER_MAX] = "";
    struct text t = {line, 0, sizeof line};
    struct answer_more more = {.step = s && s->error ? "exec" : NULL};

    if (!s)
        return;
    answer_service(&t, s, w->kept_shutdown, &more, w->now);
    check_service_line(w, s, &t);
    check_reason(w, l, s);
    check_goals(w, l, s);
}

void check_clients(struct world *w)
{
    struct levels l = levels_of(w);

    check_latches(w, &l);
    check_count(w);
    check_one(w, &l);
    for (unsigned i = 0; i < w->clients->n; i++)
        check_open(w, &l, &w->clients->at[i]);
}
