#include "tend/check.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tend/check_plan.h"
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

/* ---- what is told ---- */

const char *const check_formats[] = {
    [CHECK_TEXT] = "text", [CHECK_JSON] = "json", [CHECK_RECORDS] = "records"};
static_assert(ARRAY_SIZE(check_formats) == CHECK_FORMAT_COUNT, "a name for each");

static int no_system(const char *what)
{
    fprintf(stderr, "tend: %s: %s\n", what, strerror(errno));
    return WORLD_NO_SYSTEM;
}

/* Beside tend itself, as it is built, or where it is installed. Returns only when it failed. */
static int become_json(int records, int status)
{
    static const char *const places[] = {"tend-json", "../libexec/tend/tend-json"};
    char own[PATH_MAX], path[PATH_MAX + 64], number[16];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);

    if (n < 0)
        return no_system("--format json: cannot find tend-json without /proc/self/exe");
    own[n] = '\0';
    *(strrchr(own, '/') + 1) = '\0';
    if (lseek(records, 0, SEEK_SET) < 0 || dup2(records, STDIN_FILENO) < 0)
        return no_system("--format json");
    snprintf(number, sizeof number, "%d", status);
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        snprintf(path, sizeof path, "%s%s", own, places[i]);
        execl(path, "tend-json", number, NULL);
        if (errno != ENOENT && errno != ENOTDIR)
            return no_system(path);
    }
    fprintf(stderr,
            "tend: --format json needs the program tend-json, which is neither %s%s nor %s%s; "
            "--format records needs none\n",
            own, places[0], own, places[1]);
    return WORLD_NO_SYSTEM;
}

/* Either the plan or the problems. */
static void put_records(const struct check_plan *p, char *const *problems, FILE *out)
{
    if (p)
        check_records(p, out);
    else
        check_records_problems(problems, out);
}

static int print_json(const struct check_plan *p, char *const *problems, int status)
{
    int fd = memfd_create("records", MFD_CLOEXEC);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");

    if (!out)
        return no_system("memfd");
    put_records(p, problems, out);
    if (fflush(out) == 0)
        return become_json(fd, status);
    return no_system("memfd");
}

static int print_plan(const struct check_plan *p, enum check_format format)
{
    int status = p->too_long ? 1 : 0;

    if (format == CHECK_JSON)
        return print_json(p, NULL, status);
    if (format == CHECK_RECORDS)
        check_records(p, stdout);
    else if (check_text(p))
        return no_system("--check");
    return status;
}

static int tell_plan(const struct conf_set *set, msec deadline, enum check_format format)
{
    struct check_plan plan;
    int status;

    if (deadline == NEVER && set->supervisor.deadline)
        deadline = set->supervisor.deadline;
    if (deadline == 0) /* none, whatever the config says */
        deadline = NEVER;
    if (check_plan_make(&plan, set, deadline))
        return no_system("--check");
    status = print_plan(&plan, format);
    check_plan_free(&plan);
    return status;
}

static int tell_problems(char *const *problems, enum check_format format)
{
    size_t n = 0;

    for (; problems[n]; n++)
        fprintf(stderr, "%s\n", problems[n]);
    fprintf(stderr, "tend: %zu problem%s\n", n, n == 1 ? "" : "s");
    if (format == CHECK_JSON)
        return print_json(NULL, problems, WORLD_BAD_CONFIG);
    if (format == CHECK_RECORDS)
        check_records_problems(problems, stdout);
    return WORLD_BAD_CONFIG;
}

static void free_problems(char **problems)
{
    for (size_t i = 0; problems && problems[i]; i++)
        free(problems[i]);
    free(problems);
}

int check_config(char *const *paths, msec deadline, enum check_format format)
{
    static char silence[] = "tend: the loading process gave no answer";
    char *const no_answer[] = {silence, NULL};
    struct conf_set *set = NULL;
    char **problems = NULL;
    struct pack reply = {0};
    int fd = -1, status;
    pid_t pid = start_loader(paths, &fd);

    if (pid < 0)
        return no_system("no process for loading");
    if (!read_reply(fd, &reply))
        process_signal(pid, SIGKILL);
    close(fd);
    waitpid(pid, NULL, 0);
    if (pack_read(reply.data, reply.size, &set, &problems))
        status = tell_problems(no_answer, format);
    else
        status = problems ? tell_problems(problems, format) : tell_plan(set, deadline, format);
    if (fflush(stdout) || ferror(stdout))
        status = no_system("stdout");
    conf_set_free(set);
    free_problems(problems);
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
