/* A plan for programs, a record a line:
 *
 *     ok:=true
 *     services+.name=web
 *     services.stop+.step=signal
 *     services.stop.wait_ms:=10000
 *     services.requires+=db
 *
 * Before the first "=" stands where the value belongs: names from the outside in. "+" after a name
 * is a new element of that list; without it a list stands for its last element. "=" gives a string,
 * ":=" a number, true, false, null or []. In a string a byte below space and "\" are \xNN.
 * client/tend-json.c makes JSON of it; the names are in tend(8). */
#include "tend/check_plan.h"
#include "tend/units.h"

static void put_string(FILE *out, const char *where, const char *value)
{
    fprintf(out, "%s=", where);
    for (; *value; value++)
        if ((unsigned char)*value < ' ' || *value == '\\')
            fprintf(out, "\\x%02x", (unsigned char)*value);
        else
            fputc(*value, out);
    fputc('\n', out);
}

static void put_number(FILE *out, const char *where, msec value)
{
    fprintf(out, "%s:=%lld\n", where, (long long)value);
}

static void put_bool(FILE *out, const char *where, bool value)
{
    fprintf(out, "%s:=%s\n", where, value ? "true" : "false");
}

/* where: of the list. */
static void put_list(FILE *out, const char *where, char *const *words)
{
    if (!words || !*words)
        fprintf(out, "%s:=[]\n", where);
    for (; words && *words; words++)
        fprintf(out, "%s+=%s\n", where, *words);
}

static void put_step(FILE *out, const struct check_plan *p, const struct check_step *s)
{
    char name[UNITS_SIGNAL_MAX];

    put_string(out, "services.stop+.step",
               s->step == STEP_DRAIN     ? "drain"
               : s->step == STEP_COMMAND ? "command"
                                         : "signal");
    if (s->step >= STEP_SIGNAL)
        put_string(out, "services.stop.signal", units_signal_name(s->signal, name));
    put_number(out, "services.stop.wait_ms", s->wait);
    if (p->too_long)
        put_number(out, "services.stop.shortened_ms", s->left);
}

static void put_service(FILE *out, const struct check_plan *p, size_t at)
{
    const struct conf *c = p->set->at[at];

    put_string(out, "services+.name", c->name);
    put_string(out, "services.start", c->start == CONF_MANUAL ? "manual" : "auto");
    put_bool(out, "services.starts", p->starts[at]);
    put_list(out, "services.requires", c->requires);
    put_list(out, "services.wants", c->wants);
    put_list(out, "services.after", c->after);
    put_number(out, "services.ready_timeout_ms", c->ready.timeout);
    for (size_t i = p->first_step[at]; i < p->first_step[at + 1]; i++)
        put_step(out, p, &p->steps[i]);
    put_string(out, "services.stop+.step", "kill");
    put_number(out, "services.stop.wait_ms", PLAN_KILL_WAIT);
    if (plan_stop(c, STEP_DRAIN) > plan_steps(c, STEP_DRAIN))
        put_number(out, "services.stop_max_ms", c->stop.max);
    put_number(out, "services.stop_ms", p->shutdown.at[at].time);
}

static void put_chain(FILE *out, const char *where, const struct check_plan *p,
                      const struct check_chain *chain)
{
    if (!chain->n)
        fprintf(out, "%s:=[]\n", where);
    for (size_t i = 0; i < chain->n; i++)
        fprintf(out, "%s+=%s\n", where, p->set->at[chain->at[i]]->name);
}

static void put_too_long(FILE *out, const struct check_plan *p)
{
    for (size_t i = 0; i < p->set->n; i++)
        if (check_plan_too_long(p, p->order[i]))
            fprintf(out, "deadline.services_too_long+=%s\n", p->set->at[p->order[i]]->name);
    put_number(out, "deadline.too_long_ms", p->too_long);
    put_number(out, "deadline.kill_all_ms", p->kill_at);
    put_bool(out, "deadline.order_waived", p->waived);
}

static void put_deadline(FILE *out, const struct check_plan *p)
{
    if (p->deadline == NEVER) {
        fputs("deadline:=null\n", out);
        return;
    }
    put_number(out, "deadline.ms", p->deadline);
    put_bool(out, "deadline.fits", !p->too_long);
    if (p->too_long)
        put_too_long(out, p);
}

void check_records(const struct check_plan *p, FILE *out)
{
    put_bool(out, "ok", true);
    for (size_t i = 0; i < p->set->n; i++)
        put_service(out, p, p->order[i]);
    put_chain(out, "start.chain", p, &p->start);
    put_number(out, "start.worst_ms", p->start.time);
    put_chain(out, "shutdown.chain", p, &p->stop);
    put_number(out, "shutdown.chain_ms", p->stop.time);
    put_number(out, "shutdown.sweep_ms", p->sweep);
    put_number(out, "shutdown.worst_ms", p->worst);
    put_deadline(out, p);
    put_number(out, "stop_timeout_seconds", check_plan_timeout(p));
}

void check_records_problems(char *const *problems, FILE *out)
{
    put_bool(out, "ok", false);
    for (; *problems; problems++)
        put_string(out, "problems+", *problems);
}
