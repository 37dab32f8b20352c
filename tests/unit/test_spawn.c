/* What a child finds at its exec, told by the child itself: this program, started again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "make.h"
#include "tend/spawn.h"

enum { NOBODY = 65534, LIMIT = 30000, LOOKED_AT = 1024 };

/* ---- the child: "fd N" and "env NAME=VALUE" into a file, then a newline to a descriptor ---- */

static int tell(const char *file, int ready)
{
    bool open_ones[LOOKED_AT];
    FILE *out;

    for (int fd = 0; fd < LOOKED_AT; fd++)
        open_ones[fd] = fcntl(fd, F_GETFD) != -1;
    out = fopen(file, "we");
    if (!out)
        return 1;
    for (int fd = 3; fd < LOOKED_AT; fd++)
        if (open_ones[fd])
            fprintf(out, "fd %d\n", fd);
    for (char **at = environ; *at; at++)
        fprintf(out, "env %s\n", *at);
    if (fclose(out))
        return 1;
    return ready && write(ready, "\n", 1) != 1;
}

/* ---- around it ---- */

static char **starter_environment;
static struct spawn_common common;
static char folder[] = "/tmp/test_spawn.XXXXXX";
static char program[64], file[64], ready_number[16];
static char *argv[] = {program, file, ready_number, NULL};
static char said[16384]; /* by the child */

/* Another user has to be able to execute it. */
static void copy_program(void)
{
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(program, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    char bytes[65536];
    ssize_t n;

    assert_true(from >= 0 && to >= 0);
    while ((n = read(from, bytes, sizeof bytes)) > 0)
        assert_int_equal(write(to, bytes, (size_t)n), n);
    assert_int_equal(n, 0);
    assert_int_equal(fchmod(to, 0755), 0);
    close(from);
    close(to);
}

static int begin(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chmod(folder, 0777), 0);
    snprintf(program, sizeof program, "%s/program", folder);
    snprintf(file, sizeof file, "%s/said", folder);
    copy_program();
    starter_environment =
        make_list("KEPT=yes NOTIFY_SOCKET=/starter WATCHDOG_USEC=5 WATCHDOG_PID=1 MAINPID=1");
    spawn_common_open(&common, starter_environment, NULL);
    return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static int finish(void **state)
{
    DIR *all = opendir(folder);
    const struct dirent *entry;

    (void)state;
    spawn_common_close(&common);
    while (all && (entry = readdir(all)))
        unlinkat(dirfd(all), entry->d_name, 0);
    if (all)
        closedir(all);
    return rmdir(folder);
}

/* How a child is made: with our memory, or with a copy of it for one of two reasons. */
enum way { SHARED, WITH_SCORE, AS_NOBODY, WAY_COUNT };

static struct conf *conf_for(enum way way)
{
    struct conf *c = make_conf("s", NULL, NULL, NULL);
    static gid_t gid = NOBODY;

    if (way == WITH_SCORE) {
        c->oom_score_adj = 1000;
        c->oom_score_adj_set = true;
    }
    if (way == AS_NOBODY) {
        c->has_ids = true;
        c->uid = c->gid = gid;
        c->gids = malloc(sizeof gid);
        assert_non_null(c->gids);
        *c->gids = gid;
        c->n_gids = 1;
    }
    return c;
}

static bool can(enum way way)
{
    return way != AS_NOBODY || geteuid() == 0;
}

/* What a child on its way had to say; NONE: it has executed, or is gone without a word. */
static enum spawn_step await_report(struct spawn *s, int *error)
{
    int step = SPAWN_NONE, its_step, its_error;
    enum spawn_report report = SPAWN_WAIT;
    struct pollfd p = {.fd = spawn_fd(s), .events = POLLIN};

    *error = 0;
    while (report != SPAWN_OVER) {
        assert_int_equal(poll(&p, 1, LIMIT), 1);
        report = spawn_read(s, &its_step, &its_error);
        if (report == SPAWN_FAILED) {
            assert_int_equal(step, SPAWN_NONE);
            step = its_step;
            *error = its_error;
        }
    }
    spawn_free(s);
    return (enum spawn_step)step;
}

static int await_exit(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static struct spawn *start(const struct spawn_common *from, const struct conf *c,
                           const struct spawn_order *order, pid_t *pid)
{
    enum spawn_step step;
    struct spawn *s = NULL;

    *pid = spawn_start(from, c, order, &s, &step);
    if (*pid < 0)
        fail_msg("%s: %s", spawn_step_name(step), strerror(errno));
    return s;
}

/* Runs it to its end; the pid. */
static pid_t run(const struct spawn_common *from, const struct conf *c,
                 const struct spawn_order *order)
{
    pid_t pid;
    int error, fd;
    ssize_t n;

    unlink(file);
    assert_int_equal(await_report(start(from, c, order, &pid), &error), SPAWN_NONE);
    assert_int_equal(await_exit(pid), 0);
    fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    said[0] = '\n'; /* so that each line begins behind a newline */
    n = read(fd, said + 1, sizeof said - 2);
    assert_true(n > 0);
    said[n + 1] = '\0';
    close(fd);
    return pid;
}

PRINTF(1, 2) static bool has_said(const char *format, ...)
{
    char line[512] = "\n";
    va_list args;

    va_start(args, format);
    vsnprintf(line + 1, sizeof line - 2, format, args);
    va_end(args);
    strcat(line, "\n");
    return strstr(said, line) != NULL;
}

static bool has_variable(const char *name)
{
    char line[64];

    snprintf(line, sizeof line, "\nenv %s=", name);
    return strstr(said, line) != NULL;
}

static unsigned descriptors(void)
{
    unsigned n = 0;

    for (const char *at = said; (at = strstr(at, "\nfd ")); at++)
        n++;
    return n;
}

/* ---- the environment ---- */

static void test_nothing_ordered(void **state)
{
    (void)state;
    for (enum way way = SHARED; way < WAY_COUNT; way++) {
        struct spawn_order order = {.argv = argv, .is_main = true, .ready = -1, .cgroup = -1};
        struct conf *c = conf_for(way);
        if (can(way)) {
            run(&common, c, &order);
            assert_true(has_said("env KEPT=yes"));
            assert_false(has_variable("NOTIFY_SOCKET"));
            assert_false(has_variable("WATCHDOG_USEC"));
            assert_false(has_variable("WATCHDOG_PID"));
            assert_false(has_variable("MAINPID"));
            assert_int_equal(descriptors(), 0);
        }
        conf_free(c);
    }
}

static void check_main(enum way way)
{
    const struct spawn_order order = {.argv = argv,
                                      .is_main = true,
                                      .main = 77,
                                      .notify = "@socket of it",
                                      .watchdog = 31536000000,
                                      .ready = -1,
                                      .cgroup = -1};
    struct conf *c = conf_for(way);
    pid_t pid;

    make_set(&c->environment, "NOTIFY_SOCKET=own WATCHDOG_PID=1 WATCHDOG_USEC=1 A=b");
    pid = run(&common, c, &order);
    assert_true(has_said("env NOTIFY_SOCKET=@socket of it"));
    assert_true(has_said("env WATCHDOG_USEC=31536000000000"));
    assert_true(has_said("env WATCHDOG_PID=%d", (int)pid));
    assert_true(has_said("env A=b"));
    assert_false(has_said("env NOTIFY_SOCKET=own"));
    assert_false(has_said("env WATCHDOG_PID=1"));
    assert_false(has_said("env WATCHDOG_USEC=1"));
    assert_false(has_variable("MAINPID"));
    conf_free(c);
}

static void test_main_ordered(void **state)
{
    (void)state;
    for (enum way way = SHARED; way < WAY_COUNT; way++)
        if (can(way))
            check_main(way);
}

/* A stop command, or before_start where main is 0. */
static void test_others_ordered(void **state)
{
    (void)state;
    for (pid_t main_pid = 0; main_pid <= 4194304; main_pid += 4194304) {
        const struct spawn_order order = {.argv = argv,
                                          .main = main_pid,
                                          .notify = "/run/tend/notify/s",
                                          .watchdog = 10000,
                                          .ready = STDERR_FILENO,
                                          .cgroup = -1};
        struct conf *c = conf_for(SHARED);
        c->ready.fd = 3;
        run(&common, c, &order);
        assert_true(has_said("env NOTIFY_SOCKET=/run/tend/notify/s"));
        assert_false(has_variable("WATCHDOG_USEC"));
        assert_false(has_variable("WATCHDOG_PID"));
        assert_int_equal(has_said("env MAINPID=4194304"), main_pid != 0);
        assert_int_equal(has_variable("MAINPID"), main_pid != 0);
        assert_int_equal(descriptors(), 0);
        conf_free(c);
    }
}

/* What its config says of these variables holds where we have nothing to say. */
static void test_own_variables(void **state)
{
    const struct spawn_order order = {.argv = argv, .is_main = true, .ready = -1, .cgroup = -1};
    struct conf *c = conf_for(SHARED);

    (void)state;
    make_set(&c->environment, "NOTIFY_SOCKET=own WATCHDOG_PID=1");
    run(&common, c, &order);
    assert_true(has_said("env NOTIFY_SOCKET=own"));
    assert_true(has_said("env WATCHDOG_PID=1"));
    conf_free(c);
}

/* ---- the descriptor for its readiness ---- */

static void check_ready(enum way way, int at, int ends[2])
{
    const struct spawn_order order = {
        .argv = argv, .is_main = true, .ready = ends[1], .cgroup = -1};
    struct conf *c = conf_for(way);
    char bytes[2];

    c->ready.fd = at;
    snprintf(ready_number, sizeof ready_number, "%d", at);
    run(&common, c, &order);
    if (!has_said("fd %d", at) || descriptors() != 1)
        fail_msg("way %d, at %d: %s", (int)way, at, said);
    assert_int_equal(read(ends[0], bytes, sizeof bytes), 1);
    assert_int_equal(bytes[0], '\n');
    /* the caller's is still his, and the number of nobody else was taken */
    assert_int_equal(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
    snprintf(ready_number, sizeof ready_number, "0");
    conf_free(c);
}

/* The numbers that the next pipe is going to have. */
static void next_pipe(int numbers[2])
{
    assert_int_equal(pipe2(numbers, O_CLOEXEC), 0);
    close(numbers[0]);
    close(numbers[1]);
}

static void test_ready_descriptor(void **state)
{
    int ends[2], report[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    next_pipe(report);
    for (enum way way = SHARED; way < WAY_COUNT; way++) {
        const int at[] = {3, 4, 9, 255, report[0], report[1], common.null, ends[0], ends[1]};
        for (size_t i = 0; can(way) && i < ARRAY_SIZE(at); i++)
            check_ready(way, at[i], ends);
    }
    /* nothing was left open here */
    next_pipe(ends);
    assert_memory_equal(ends, report, sizeof ends);
}

/* What goes wrong is told, also where its pipe had to make room, and has its step. */
static void test_ready_failures(void **state)
{
    static char nothing[] = "/no/such/program", *missing[] = {nothing, NULL};
    struct spawn_order order = {.argv = missing, .is_main = true, .cgroup = -1};
    struct conf *c = conf_for(SHARED);
    int ends[2], report[2], error;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    order.ready = ends[1];
    next_pipe(report);
    for (c->ready.fd = report[0]; c->ready.fd <= report[1]; c->ready.fd++) {
        assert_int_equal(await_report(start(&common, c, &order, &pid), &error), SPAWN_EXEC);
        assert_int_equal(error, ENOENT);
        assert_int_equal(await_exit(pid), 127);
    }
    order.ready = report[1] + 100;
    assert_int_equal(await_report(start(&common, c, &order, &pid), &error), SPAWN_READY);
    assert_int_equal(error, EBADF);
    assert_int_equal(await_exit(pid), 126);
    close(ends[0]);
    close(ends[1]);
    conf_free(c);
}

/* ---- a connection to a local socket ---- */

static struct sockaddr_un local;

/* Its end; name: a path, or "@name". -1: refused. */
static int listen_at(const char *name, int backlog)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t n = strlen(name);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);

    memset(&local, 0, sizeof local);
    local.sun_family = AF_UNIX;
    assert_true(n < sizeof local.sun_path);
    memcpy(local.sun_path, name, n);
    if (name[0] == '@')
        local.sun_path[0] = '\0';
    else
        size++;
    assert_int_equal(bind(fd, (struct sockaddr *)&local, size), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static int connects(enum way way, const char *to)
{
    const struct spawn_order order = {.local = to, .ready = -1, .cgroup = -1};
    struct conf *c = conf_for(way);
    pid_t pid;
    int error;

    assert_int_equal(await_report(start(&common, c, &order, &pid), &error), SPAWN_NONE);
    conf_free(c);
    return await_exit(pid);
}

static void check_connection(const char *name)
{
    int fd = listen_at(name, 10);

    for (enum way way = SHARED; way < WAY_COUNT; way++)
        if (can(way))
            assert_int_equal(connects(way, name), way == AS_NOBODY && name[0] != '@' ? EACCES : 0);
    if (name[0] != '@') { /* whoever may not write there may not connect (unix(7)) */
        assert_int_equal(chmod(name, 0777), 0);
        if (can(AS_NOBODY))
            assert_int_equal(connects(AS_NOBODY, name), 0);
    }
    close(fd);
    /* the file is still there, and nobody listens */
    assert_int_equal(connects(SHARED, name), ECONNREFUSED);
}

static void test_connection(void **state)
{
    char name[128];

    (void)state;
    snprintf(name, sizeof name, "%s/none", folder);
    assert_int_equal(connects(SHARED, name), ENOENT);
    snprintf(name, sizeof name, "%s/socket", folder);
    check_connection(name);
    snprintf(name, sizeof name, "@%s", folder);
    check_connection(name);
    snprintf(name, sizeof name, "%s/", folder);
    memset(name + strlen(name), 'x', 107 - strlen(name));
    name[107] = '\0';
    check_connection(name);
}

static void test_no_address(void **state)
{
    const struct spawn_order order = {.local = "relative", .ready = -1, .cgroup = -1};
    struct conf *c = conf_for(SHARED);
    enum spawn_step step;
    struct spawn *s;

    (void)state;
    assert_int_equal(spawn_start(&common, c, &order, &s, &step), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(step, SPAWN_PREPARE);
    conf_free(c);
}

/* Of the open descriptors of a process those above 2. */
static unsigned held_by(pid_t pid)
{
    const struct dirent *entry;
    char path[64];
    unsigned n = 0;
    DIR *all;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    all = opendir(path);
    assert_non_null(all);
    while ((entry = readdir(all)))
        n += entry->d_name[0] != '.' && atoi(entry->d_name) > STDERR_FILENO;
    closedir(all);
    return n;
}

/* One that nobody accepts at, with no room left. */
static int full_listener(char name[128])
{
    int fd, client;

    snprintf(name, 128, "@%s/full", folder);
    fd = listen_at(name, 0);
    client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&local,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    close(client);
    return fd;
}

static int state_of(pid_t pid)
{
    char path[64], text[64] = "";
    const char *end;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    end = strrchr(text, ')');
    return end ? end[2] : 0;
}

/* There is nothing else that it would sleep at. */
static void await_sleep(pid_t pid)
{
    const struct timespec moment = {.tv_nsec = 10000000};

    for (int i = 0; i < LIMIT / 10; i++) {
        if (state_of(pid) == 'S')
            return;
        nanosleep(&moment, NULL);
    }
    fail_msg("it does not wait: %c", state_of(pid));
}

/* As long as it waits it has its report and its socket, and nothing of ours: neither descriptors
 * (a sanitizer's child too) nor memory, as it may be killed for want of that. */
static void test_waiting_connection(void **state)
{
    char name[128];
    const struct spawn_order order = {.local = name, .ready = -1, .cgroup = -1};
    struct conf *c = conf_for(SHARED);
    int fd = full_listener(name), error, inherited = dup2(fd, 500);
    struct spawn *s;
    pid_t pid;
    long same;

    (void)state;
    s = start(&common, c, &order, &pid);
    await_sleep(pid);
    assert_int_equal(held_by(pid), 2);
    same = syscall(SYS_kcmp, getpid(), pid, KCMP_VM, 0, 0);
    if (same == 0)
        fail_msg("it shares our memory");
    close(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
    close(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
    assert_int_equal(await_report(s, &error), SPAWN_NONE);
    assert_int_equal(await_exit(pid), 0);
    close(fd);
    close(inherited);
    conf_free(c);
}

/* Whoever asked is gone: nobody else would end it. */
static void test_forsaken_connection(void **state)
{
    char name[128];
    const struct spawn_order order = {.local = name, .ready = -1, .cgroup = -1};
    struct conf *c = conf_for(can(AS_NOBODY) ? AS_NOBODY : SHARED);
    int fd = full_listener(name), ends[2];
    pid_t asker, pid = 0;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    asker = fork();
    if (asker == 0) {
        start(&common, c, &order, &pid);
        await_sleep(pid);
        _exit(write(ends[1], &pid, sizeof pid) != sizeof pid);
    }
    assert_int_equal(await_exit(asker), 0);
    assert_int_equal(read(ends[0], &pid, sizeof pid), sizeof pid);
    close(fd); /* one that was left alone ends here, otherwise */
    assert_int_equal(await_exit(pid), -SIGKILL);
    close(ends[0]);
    close(ends[1]);
    conf_free(c);
}

/* ---- the command of a command line ---- */

static void test_command_mode(void **state)
{
    const struct spawn_caller caller = {.terminal = -1};
    struct spawn_common own;
    const struct spawn_order order = {.argv = argv,
                                      .is_main = true,
                                      .notify = "/run/tend/notify/s",
                                      .watchdog = 10000,
                                      .ready = STDERR_FILENO,
                                      .cgroup = -1};
    struct conf *c = conf_for(SHARED);

    (void)state;
    spawn_common_open(&own, starter_environment, &caller);
    c->ready.fd = 201;
    run(&own, c, &order);
    for (size_t i = 0; starter_environment[i]; i++)
        assert_true(has_said("env %s", starter_environment[i]));
    assert_false(has_said("env NOTIFY_SOCKET=/run/tend/notify/s"));
    assert_false(has_said("fd 201"));
    spawn_common_close(&own);
    conf_free(c);
}

int main(int argc, char **args)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_ordered),    cmocka_unit_test(test_main_ordered),
        cmocka_unit_test(test_others_ordered),     cmocka_unit_test(test_own_variables),
        cmocka_unit_test(test_ready_descriptor),   cmocka_unit_test(test_ready_failures),
        cmocka_unit_test(test_connection),         cmocka_unit_test(test_no_address),
        cmocka_unit_test(test_waiting_connection), cmocka_unit_test(test_forsaken_connection),
        cmocka_unit_test(test_command_mode),
    };

    if (argc == 3)
        return tell(args[1], atoi(args[2]));
    return cmocka_run_group_tests(tests, begin, finish);
}
