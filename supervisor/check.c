#include "tend/check.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tend/graph.h"
#include "tend/load.h"
#include "tend/pack.h"
#include "tend/process.h"
#include "tend/world.h"

static pid_t start_loader(char *const *paths, int *out)
{
    int ends[2];
    pid_t pid;

    if (pipe(ends))
        return -1;
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        _exit(load_child(paths, ends[1]));
    }
    close(ends[1]);
    *out = ends[0];
    return pid;
}

/* False when the loader says nothing for too long, or too much. */
static bool read_reply(int fd, struct pack *reply)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;
        if (!config_room(reply) || poll(&p, 1, CONFIG_LOAD_TIME) != 1)
            return false;
        n = read(fd, reply->data + reply->size, reply->room - reply->size);
        if (n <= 0)
            return n == 0;
        reply->size += (size_t)n;
    }
}

static void print_needs(const char *word, char *const *names)
{
    if (!names)
        return;
    printf(", %s", word);
    for (; *names; names++)
        printf(" %s", *names);
}

static void ignore_problem(void *self, const struct conf *at, const char *why)
{
    (void)self, (void)at, (void)why;
}

static int print_order(const struct conf_set *set)
{
    size_t *order = calloc(set->n + 1, sizeof *order);

    if (!order || graph_check(set, ignore_problem, NULL, order)) {
        free(order);
        return WORLD_NO_SYSTEM;
    }
    printf("OK, %zu service%s, in this order:\n", set->n, set->n == 1 ? "" : "s");
    for (size_t i = 0; i < set->n; i++) {
        const struct conf *c = set->at[order[i]];
        printf("%4zu  %s", i + 1, c->name);
        if (c->start == CONF_MANUAL)
            printf(" (manual)");
        print_needs("requires", c->requires);
        print_needs("wants", c->wants);
        print_needs("after", c->after);
        printf("\n");
    }
    free(order);
    return 0;
}

static int print_problems(char **problems)
{
    size_t n = 0;

    for (; problems[n]; n++) {
        fprintf(stderr, "%s\n", problems[n]);
        free(problems[n]);
    }
    free(problems);
    fprintf(stderr, "tend: %zu problem%s\n", n, n == 1 ? "" : "s");
    return WORLD_BAD_CONFIG;
}

int check_config(char *const *paths)
{
    struct conf_set *set = NULL;
    char **problems = NULL;
    struct pack reply = {0};
    int fd = -1, status = WORLD_BAD_CONFIG;
    pid_t pid = start_loader(paths, &fd);

    if (pid < 0) {
        fprintf(stderr, "tend: %s\n", strerror(errno));
        return WORLD_NO_SYSTEM;
    }
    if (!read_reply(fd, &reply))
        process_signal(pid, SIGKILL);
    close(fd);
    waitpid(pid, NULL, 0);
    if (pack_read(reply.data, reply.size, &set, &problems))
        fprintf(stderr, "tend: the loading process gave no answer\n");
    else
        status = problems ? print_problems(problems) : print_order(set);
    if (set)
        conf_set_free(set);
    free(reply.data);
    return status;
}

static void print_keys(const char *title, const struct conf_key *keys, size_t n)
{
    printf("%s\n", title);
    for (size_t i = 0; i < n; i++) {
        const struct conf_key *k = &keys[i];
        char name[64];
        snprintf(name, sizeof name, "%s%s%s", k->section, *k->section ? "." : "", k->name);
        printf("  %-22s %s", name, k->sentence);
        if (k->choices) {
            printf(" (");
            const char *between = "";
            for (size_t c = 0; k->choices[c]; c++) {
                if (*k->choices[c]) /* the first may stand for "as the type says" */
                    printf("%s%s", between, k->choices[c]);
                between = *k->choices[c] ? " | " : between;
            }
            printf(")");
        }
        if (k->fallback)
            printf(" [%s]", k->fallback);
        printf("\n");
    }
}

int check_options(void)
{
    print_keys("supervisor { ... }", conf_supervisor_keys, conf_supervisor_keys_n);
    print_keys("service NAME { ... }", conf_keys, conf_keys_n);
    return 0;
}
