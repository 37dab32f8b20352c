/* Against the kernel: where no cgroup v2 may be written, the tests that need one say so and skip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tend/cgroup.h"
#include "tend/conf.h"

enum { MANY = 1200, MADE = 16 };

static struct cgroup c;
static char parent[PATH_MAX]; /* the group that holds our subtree */
static bool parent_is_root;
static pid_t started[MANY + 16];
static size_t n_started;
static char made[MADE][PATH_MAX]; /* to be removed, last first */
static size_t n_made;

/* ---- setting up, cleaning up ---- */

static void need(enum cgroup_found found)
{
    static const char *const reasons[CGROUP_FOUND_COUNT] = {
        [CGROUP_OFF] = "off",
        [CGROUP_NOT_MOUNTED] = "no cgroup v2 is mounted",
        [CGROUP_NOT_DELEGATED] = "the group is not ours",
        [CGROUP_NOT_WRITABLE] = "not writable",
    };

    if (found == CGROUP_USABLE)
        return;
    print_message("no cgroup to test with: %s (%s)\n", reasons[found], strerror(errno));
    skip();
}

static int setup(void **state)
{
    (void)state;
    n_started = n_made = 0;
    enum cgroup_found found = cgroup_open(&c, CONF_CGROUP_YES, false);
    if (found == CGROUP_USABLE) {
        snprintf(parent, sizeof(parent), "%s", c.path);
        *strrchr(parent, '/') = '\0';
        char type[PATH_MAX + 16];
        snprintf(type, sizeof(type), "%s/cgroup.type", parent);
        parent_is_root = access(type, F_OK) < 0;
    }
    return 0;
}

static void end_children(void)
{
    for (size_t i = 0; i < n_started; i++)
        kill(started[i], SIGKILL);
    for (size_t i = 0; i < n_started; i++)
        waitpid(started[i], NULL, 0);
    n_started = 0;
}

/* A test that failed may have left a frozen group, which acts on KILL all the same. */
static int teardown(void **state)
{
    (void)state;
    end_children();
    while (n_made > 0)
        rmdir(made[--n_made]);
    cgroup_close(&c);
    return 0;
}

static void need_cgroup(void)
{
    if (c.own < 0)
        need(cgroup_open(&c, CONF_CGROUP_YES, false));
}

static int make_dir(const char *base, const char *name)
{
    assert_true(n_made < MADE);
    snprintf(made[n_made], PATH_MAX, "%s/%s", base, name);
    assert_int_equal(mkdir(made[n_made], 0755), 0);
    int fd = open(made[n_made++], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* ---- children ---- */

static void stay(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(60);
    for (;;)
        pause();
}

/* A child born in the group, which stays. */
static pid_t start(int group)
{
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)group};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

    if (pid == 0)
        stay();
    if (pid < 0)
        fail_msg("clone3: %s", strerror(errno));
    assert_true(n_started < ARRAY_SIZE(started));
    return started[n_started++] = pid;
}

static void end(pid_t pid)
{
    assert_true(pid > 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (size_t i = 0; i < n_started; i++) {
        if (started[i] == pid)
            started[i] = started[--n_started];
    }
}

/* Dead, but not reaped. */
static int wait_zombie(pid_t pid)
{
    siginfo_t info = {0};

    for (int i = 0; i < 10000 && info.si_pid == 0; i++) {
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG), 0);
        if (info.si_pid == 0)
            poll(NULL, 0, 1);
    }
    assert_int_equal(info.si_pid, pid);
    return info.si_status;
}

static void wait_populated(const char *service, int want)
{
    for (int i = 0; i < 10000 && cgroup_populated(&c, service) != want; i++)
        poll(NULL, 0, 1);
    assert_int_equal(cgroup_populated(&c, service), want);
}

/* What work returns (0 to 255), run in a child in the group; it may change its namespaces. */
static int in_child(int group, int (*work)(void))
{
    int status = -1;
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)group};
    pid_t pid = group < 0 ? fork() : (pid_t)syscall(SYS_clone3, &args, sizeof(args));

    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        _exit(work());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool exists(const char *base, const char *name)
{
    char path[PATH_MAX + 80];

    snprintf(path, sizeof(path), "%s/%s", base, name);
    return access(path, F_OK) == 0;
}

/* ---- opening ---- */

enum { NO_RIGHT = 99, LEFT_BEHIND = 98 };

static int opened_as(int mode, bool booted)
{
    struct cgroup other;
    enum cgroup_found found = cgroup_open(&other, mode, booted);
    char path[PATH_MAX] = "";
    int error = errno;

    if (found != CGROUP_USABLE)
        return other.own == -1 && other.inotify == -1 && !other.path ? (int)found : LEFT_BEHIND;
    snprintf(path, sizeof(path), "%s", other.path);
    cgroup_close(&other);
    errno = error;
    return access(path, F_OK) < 0 ? (int)found : LEFT_BEHIND;
}

static void off_is_off(void **state)
{
    struct cgroup off;
    pid_t *pids = NULL;
    size_t room = 0;

    (void)state;
    assert_int_equal(cgroup_open(&off, CONF_CGROUP_NO, true), CGROUP_OFF);
    assert_int_equal(off.own, -1);
    assert_int_equal(off.inotify, -1);
    assert_int_equal(cgroup_make(&off, "a"), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(cgroup_populated(&off, "a"), -1);
    assert_int_equal(cgroup_pids(&off, "a", &pids, &room), -1);
    assert_int_equal(cgroup_kill(&off, "a"), -1);
    assert_int_equal(cgroup_thaw(&off, "a"), -1);
    assert_int_equal(cgroup_watch(&off, "a"), -1);
    assert_int_equal(cgroup_remove(&off, "a"), -1);
    cgroup_unwatch(&off, 1);
    assert_int_equal(cgroup_next(&off), -1);
    cgroup_close(&off);
    cgroup_close(&off);
}

static void auto_leaves_the_root_alone(void **state)
{
    (void)state;
    need_cgroup();
    if (!parent_is_root) {
        print_message("our group is not the root of the hierarchy\n");
        skip();
    }
    assert_int_equal(opened_as(CONF_CGROUP_AUTO, false), CGROUP_NOT_DELEGATED);
    assert_int_equal(opened_as(CONF_CGROUP_AUTO, true), CGROUP_USABLE);
    assert_int_equal(opened_as(CONF_CGROUP_YES, false), CGROUP_USABLE);
}

static int open_auto(void)
{
    return opened_as(CONF_CGROUP_AUTO, false);
}

static void auto_takes_a_delegated_group(void **state)
{
    (void)state;
    need_cgroup();
    int group = make_dir(parent, "test-delegated");
    assert_int_equal(in_child(group, open_auto), CGROUP_USABLE);
    close(group);
    assert_int_equal(rmdir(made[--n_made]), 0);
}

/* A new cgroup namespace, but the old mount: "/" is then not what is mounted. */
static int open_with_foreign_mount(void)
{
    return unshare(CLONE_NEWCGROUP) < 0 ? NO_RIGHT : opened_as(CONF_CGROUP_YES, true);
}

static int open_outside_of_namespace(void)
{
    char path[PATH_MAX + 16];

    if (unshare(CLONE_NEWCGROUP) < 0)
        return NO_RIGHT;
    snprintf(path, sizeof(path), "%s/cgroup.procs", parent);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1)
        return NO_RIGHT;
    return opened_as(CONF_CGROUP_YES, true);
}

static int found_in_child(int group, int (*work)(void))
{
    int found = in_child(group, work);

    if (found == NO_RIGHT) {
        print_message("no right to make namespaces or mounts\n");
        skip();
    }
    return found;
}

static void stays_in_its_namespace(void **state)
{
    (void)state;
    need_cgroup();
    int group = make_dir(parent, "test-namespace");
    assert_int_equal(found_in_child(group, open_with_foreign_mount), CGROUP_NOT_DELEGATED);
    assert_int_equal(found_in_child(group, open_outside_of_namespace), CGROUP_NOT_DELEGATED);
    close(group);
}

static bool own_mounts(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static int open_without_proc(void)
{
    if (!own_mounts() || mount("none", "/proc", "tmpfs", 0, NULL) < 0)
        return NO_RIGHT;
    int plain = opened_as(CONF_CGROUP_YES, false), booted = opened_as(CONF_CGROUP_AUTO, true);
    return plain == CGROUP_NOT_MOUNTED ? booted : LEFT_BEHIND;
}

static int open_on_tmpfs(void)
{
    if (!own_mounts() || mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) < 0 ||
        mkdir("/sys/fs/cgroup/unified", 0755) < 0)
        return NO_RIGHT;
    return opened_as(CONF_CGROUP_YES, true);
}

static int open_read_only(void)
{
    if (!own_mounts() || mount("none", parent, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
        return NO_RIGHT;
    int found = opened_as(CONF_CGROUP_YES, false);
    return found == CGROUP_NOT_WRITABLE && errno != EROFS ? LEFT_BEHIND : found;
}

static int open_as_nobody(void)
{
    if (setgid(65534) < 0 || setuid(65534) < 0)
        return NO_RIGHT;
    int found = opened_as(CONF_CGROUP_YES, true);
    return found == CGROUP_NOT_WRITABLE && errno != EACCES ? LEFT_BEHIND : found;
}

static void knows_a_cgroup_mount(void **state)
{
    (void)state;
    assert_int_equal(found_in_child(-1, open_on_tmpfs), CGROUP_NOT_MOUNTED);
}

static void needs_a_root_of_its_own(void **state)
{
    (void)state;
    need_cgroup();
    if (!parent_is_root) {
        print_message("our group is not the mount's root\n");
        skip();
    }
    assert_int_equal(found_in_child(-1, open_without_proc), CGROUP_USABLE);
    assert_int_equal(found_in_child(-1, open_read_only), CGROUP_NOT_WRITABLE);
    assert_int_equal(found_in_child(-1, open_as_nobody), CGROUP_NOT_WRITABLE);
}

static void closes_on_exec_and_leaves_nothing(void **state)
{
    char path[PATH_MAX];

    (void)state;
    need_cgroup();
    snprintf(path, sizeof(path), "%s", c.path);
    int dir = cgroup_make(&c, "a");
    assert_int_equal(fcntl(c.own, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(c.inotify, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(dir, F_GETFD), FD_CLOEXEC);
    assert_int_equal(mkdirat(dir, "below", 0755), 0);
    close(dir);
    cgroup_close(&c);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(c.own, -1);
}

/* As after a re-exec: the descriptors are gone, processes and groups are not. */
static void finds_its_own_again(void **state)
{
    struct cgroup again;

    (void)state;
    need_cgroup();
    int dir = cgroup_make(&c, "a");
    pid_t pid = start(dir);
    close(dir);
    char *path = c.path;
    close(c.own);
    /* The child, made without exec, shares the lock. */
    assert_int_equal(cgroup_open(&again, CONF_CGROUP_YES, false), CGROUP_USABLE);
    assert_string_not_equal(again.path, path);
    cgroup_close(&again);
    close(c.inotify);
    end(pid);

    c.own = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = cgroup_make(&c, "a");
    close(c.own);
    pid = start(dir);
    close(dir);
    assert_int_equal(cgroup_open(&c, CONF_CGROUP_YES, false), CGROUP_USABLE);
    assert_string_equal(c.path, path);
    assert_int_equal(cgroup_populated(&c, "a"), 1);
    free(path);
}

/* A tend that dies with an empty group, or (pid in keep) leaves a process in it. */
static pid_t *keep;
static int predecessor(void)
{
    struct cgroup other;

    if (cgroup_open(&other, CONF_CGROUP_YES, false) != CGROUP_USABLE)
        return 1;
    int dir = cgroup_make(&other, "web");
    if (dir < 0 || mkdirat(dir, "below", 0755) < 0)
        return 2;
    if (!keep)
        return 0;
    /* Our parent's child, so that it can be ended by pid. */
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP | CLONE_PARENT, .cgroup = (uint64_t)dir};
    *keep = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (*keep == 0) {
        close(other.own);
        alarm(60);
        for (;;)
            pause();
    }
    return *keep < 0;
}

static pid_t live_predecessor(int *word)
{
    int words[2];

    assert_int_equal(pipe2(words, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct cgroup other;
        cgroup_open(&other, CONF_CGROUP_YES, false);
        if (write(words[1], "x", 1) == 1)
            stay();
        _exit(1);
    }
    close(words[1]);
    *word = words[0];
    return started[n_started++] = pid;
}

static unsigned count_left(void)
{
    DIR *list = opendir(parent);
    const struct dirent *entry;
    unsigned n = 0;

    assert_non_null(list);
    while ((entry = readdir(list)))
        n += entry->d_type == DT_DIR && strncmp(entry->d_name, "tend.", 5) == 0;
    closedir(list);
    return n;
}

/* All in a group of its own, since other tends may be about. */
static int inherit(void)
{
    struct cgroup mine;
    static const char *const foreign[] = {"tend", "tend.x", "tendril", "tend.1.service", "left"};
    char path[PATH_MAX], name[64];
    int word, failed = 0;
    char letter;

    snprintf(parent + strlen(parent), 20, "/test-inherit");
    n_started = 0;
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
        snprintf(path, sizeof(path), "%s/%s", parent, foreign[i]);
        failed |= mkdir(path, 0755) < 0;
    }
    pid_t alive = live_predecessor(&word);
    failed |= (read(word, &letter, 1) != 1) << 1;
    keep = NULL;
    failed |= (in_child(-1, predecessor) != 0) << 2;
    failed |= (count_left() != 4) << 3;
    keep = mmap_pid();
    failed |= (in_child(-1, predecessor) != 0) << 4;
    started[n_started++] = *keep;
    failed |= (cgroup_open(&mine, CONF_CGROUP_AUTO, false) != CGROUP_USABLE) << 5;
    snprintf(name, sizeof(name), "tend.%d", (int)alive);
    failed |= (!exists(parent, name) || count_left() != 5) << 6;
    end_children();
    cgroup_close(&mine);
    cgroup_open(&mine, CONF_CGROUP_AUTO, false);
    failed |= (count_left() != 3) << 7;
    cgroup_close(&mine);
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
        snprintf(path, sizeof(path), "%s/%s", parent, foreign[i]);
        failed |= rmdir(path) < 0;
    }
    return failed;
}

static void removes_what_the_dead_left(void **state)
{
    (void)state;
    need_cgroup();
    int group = make_dir(parent, "test-inherit");
    assert_int_equal(in_child(group, inherit), 0);
    close(group);
    assert_int_equal(rmdir(made[--n_made]), 0);
}
