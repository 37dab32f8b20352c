/* sim --seed N: one life, told aloud. sim --seeds N: the lives 1 to N. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "talk.h"

static uint64_t all_turns, all_crashes, all_limited, all_waived;

/* ---- one life ---- */

static void wake(struct world *w)
{
    w->crash_in =
        w->always || rng_chance(&w->rng, w->crashes_often, 100) ? (int)rng_below(&w->rng, 40) : -1;
    if (setjmp(w->crashed)) {
        world_resume(w);
        w->crash_in = rng_chance(&w->rng, 1, 4) ? (int)rng_below(&w->rng, 20) : -1;
        pump(w);
        w->crash_in = -1;
    }
    turn(w);
    w->crash_in = -1;
}

static msec next_time(struct world *w)
{
    msec next = kernel_next(&w->kernel), engine = engine_deadline(&w->engine);

    if (w->again)
        return w->now;
    next = engine < next ? engine : next;
    if (!w->calm && w->next_op < next)
        next = w->next_op;
    if (!w->calm && clients_next(w) < next)
        next = clients_next(w);
    if (probes_next(w) < next)
        next = probes_next(w);
    if (!w->kept_shutdown && w->shutdown_at < next)
        next = w->shutdown_at;
    return next;
}

/* False when nothing more will happen by itself. */
static bool go_on(struct world *w)
{
    msec next = next_time(w), late = 0;

    if (next > w->now)
        check_sleep(w);
    if (next == NEVER)
        return false;
    if (w->tardy && !w->calm && !w->again)
        late = rng_time(&w->rng, 0, 30);
    w->lost += late;
    w->lost_ever += late;
    w->late_now = w->again ? w->late_now : late;
    next += late;
    if (next > w->now)
        w->turns_now = 0;
    if (++w->turns_now > TURN_ENDLESS)
        broken(w, "P32", "time stands still");
    w->now = next > w->now ? next : w->now;
    w->turns++;
    kernel_run(&w->kernel, w->now);
    wake(w);
    return true;
}

static void calm_down(struct world *w)
{
    TRACE(w, "---- faults are lifted ----");
    w->calm = true;
    kernel_calm(&w->kernel, w->now);
}

/* A start may have been stretched by as much as there is. */
static const msec PATIENCE = 3600 * 1000 + CONF_TIME_MAX;

static void run_to_rest(struct world *w)
{
    msec limit = w->now + PATIENCE;

    while (go_on(w))
        if (w->now > limit)
            broken(w, "P30", "no rest without faults");
}

/* What is nobody's gets KILL until nobody is left. */
static void sweep(struct world *w)
{
    bool left = true;

    for (int i = 0; left && i < PIDS_MAX; i++) {
        left = false;
        for (unsigned pid = TEND_PID + 1; pid < w->kernel.pids; pid++) {
            struct proc *p = &w->kernel.at[pid];
            if (p->state == PROC_FREE)
                continue;
            left = true;
            if (proc_lives(p) && p->parent == TEND_PID)
                kernel_signal(&w->kernel, p, 9, w->now);
        }
        run_to_rest(w);
    }
}

/* One life in so many is one in which services say something, are probed and watched. */
enum { LIVES_WITH_TALK = 3 };

static void choose_talk(struct world *w)
{
    rng_seed(&w->talk, w->seed * 31 + 7);
    w->kernel.talks = w->config.talks = w->seed % LIVES_WITH_TALK == 0;
    rng_seed(&w->kernel.talk, w->seed * 31 + 8);
    rng_seed(&w->config.talk, w->seed * 31 + 9);
    w->ill = rng_below(&w->talk, 3) ? rng_below(&w->talk, 101) : 0;
    if (!w->kernel.talks || rng_chance(&w->talk, 2, 3))
        return;
    w->kernel.cgroup = false; /* some outlive their service, and go on talking */
    w->kernel.habits.escape = 60;
}

static void choose(struct world *w)
{
    unsigned kind = rng_below(&w->rng, 8);

    w->now = rng_time(&w->rng, 1, 100000);
    w->always = kind == 0;
    w->crashes_often = kind < 4 ? 1 + rng_below(&w->rng, 20) : 0;
    w->lazy = rng_chance(&w->rng, 1, 4);
    w->late = rng_chance(&w->rng, 1, 2);
    w->tardy = rng_chance(&w->rng, 1, 4);
    w->next_op = w->now;
    w->shutdown_at = w->bound = w->gone_by = w->kept_gone_by = w->kill_at = NEVER;
    kernel_init(&w->kernel, &w->rng);
    choose_talk(w);
    config_random(&w->config, &w->rng);
}

static struct world *new_world(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);

    w->seed = seed;
    w->crash_in = -1;
    rng_seed(&w->rng, seed);
    choose(w);
    engine_init(&w->engine, world_changed, w);
    probes_resume(w);
    clients_begin(w);
    return w;
}

static void free_world(struct world *w)
{
    all_turns += w->turns;
    all_crashes += w->crashes;
    all_limited += w->kept_gone_by != NEVER;
    all_waived += w->waived;
    engine_free(&w->engine);
    child_table_free(&w->children);
    clients_free(w);
    free(w);
}

void live(uint64_t seed)
{
    struct world *w = new_world(seed);
    msec first = w->now + (rng_chance(&w->rng, 1, 4) ? rng_time(&w->rng, 0, 500)
                                                     : rng_time(&w->rng, 0, 90000));

    op_load(w);
    pump(w);
    if (rng_chance(&w->rng, 1, 2)) {
        while (w->now < first && go_on(w))
            continue;
        calm_down(w);
        run_to_rest(w);
        check_calm(w);
        check_clients_rest(w);
        w->shutdown_at = w->now;
    } else {
        w->shutdown_at = first;
    }
    while (!(w->kept_shutdown && shutdown_over(w)) && go_on(w))
        continue;
    calm_down(w);
    run_to_rest(w);
    sweep(w);
    check_end(w);
    check_clients_end(w);
    check_lives_end(w);
    free_world(w);
}

/* ---- many ---- */

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* On a terminal one line that is drawn again and again, elsewhere a line now and then. */
static void tell_progress(uint64_t seed, uint64_t last, double took)
{
    static double told;
    bool live_line = isatty(STDERR_FILENO);

    if (took - told < (live_line ? 0.2 : 30) && seed != last)
        return;
    if (seed != last)
        fprintf(stderr,
                live_line ? "\rseed %llu of %llu, %.0f s left \033[K"
                          : "seed %llu of %llu, %.0f s left\n",
                (unsigned long long)seed, (unsigned long long)last,
                took * (double)(last - seed) / (double)seed);
    else if (live_line && told > 0)
        fprintf(stderr, "\r\033[K");
    told = took;
}

/* So many seeds meet everything that there is to be met. */
enum { SEEDS_FOR_ALL = 1000, SEEDS_A_LOOK = 256 };

static int live_all(uint64_t last)
{
    double began = seconds(), took;
    bool all;

    for (uint64_t seed = 1; seed <= last; seed++) {
        live(seed);
        if (seed % SEEDS_A_LOOK == 0 || seed == last)
            tell_progress(seed, last, seconds() - began);
    }
    took = seconds() - began;
    all = coverage_print() && all_limited && all_waived;
    all = clients_print() && all;
    all = talk_print() && all;
    all = probes_print() && all;
    printf("shutdowns: %llu, %llu with a deadline, of which %llu waived the order\n",
           (unsigned long long)last, (unsigned long long)all_limited,
           (unsigned long long)all_waived);
    printf("seeds 1 to %llu: %llu turns, %llu events, %llu crashes in %.1f s: %.0f events/s\n",
           (unsigned long long)last, (unsigned long long)all_turns,
           (unsigned long long)coverage_events(), (unsigned long long)all_crashes, took,
           (double)coverage_events() / took);
    return all || last < SEEDS_FOR_ALL ? 0 : 1;
}

int main(int argc, char **argv)
{
    uint64_t n = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && !strcmp(argv[1], "--seeds"))
        return live_all(n);
    if (argc != 3 || strcmp(argv[1], "--seed") != 0) {
        fprintf(stderr, "usage: sim --seed N | --seeds N\n");
        return 2;
    }
    tracing = tracing_aloud = true;
    live(n);
    return 0;
}
