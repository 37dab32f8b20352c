/* Against the kernel: where no cgroup v2 may be written, the tests that need one say so and skip.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
static char own[PATH_MAX];    /* its path, for when it is closed */
static char parent[PATH_MAX]; /* the group that holds our subtree */
static bool parent_is_root;
static pid_t started[MANY + 16];
static size_t n_started;
static char made[MADE][PATH_MAX + 32]; /* to be removed, last first */
static size_t n_made;

/* ---- setting up, cleaning up ---- */

/* At the root of a hierarchy that may be written there is no excuse. */
static bool must_work(void)
{
    static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    char path[64], line[256];
    bool at_root = false;

    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && fgets(line, sizeof(line), file))
        at_root |= strcmp(line, "0::/\n") == 0;
    if (file)
        fclose(file);
    for (size_t i = 0; at_root && i < ARRAY_SIZE(roots); i++) {
        snprintf(path, sizeof(path), "%s/cgroup.procs", roots[i]);
        bool writable = access(path, W_OK) == 0;
        snprintf(path, sizeof(path), "%s/cgroup.type", roots[i]);
        if (writable && access(path, F_OK) < 0)
            return true;
    }
    return false;
}

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
    if (must_work())
        fail();
    skip();
}

static int setup(void **state)
{
    (void)state;
    n_started = n_made = 0;
    own[0] = '\0';
    enum cgroup_found found = cgroup_open(&c, CONF_CGROUP_YES, false);
    if (found == CGROUP_USABLE) {
        snprintf(own, sizeof(own), "%s", c.path);
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
    for (size_t i = 0; i < n_started; i++) {
        if (started[i] > 1)
            kill(started[i], SIGKILL);
    }
    for (size_t i = 0; i < n_started; i++) {
        if (started[i] > 1)
            waitpid(started[i], NULL, 0);
    }
    n_started = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)st;
    (void)place;
    return type == FTW_DP ? rmdir(path) : 0;
}

/* What dies with its parent takes a moment. */
static void remove_tree(const char *path)
{
    for (int i = 0; i < 5000 && access(path, F_OK) == 0; i++) {
        if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
            poll(NULL, 0, 1);
    }
}

/* A test that failed may have left a frozen group, which acts on KILL all the same. */
static int teardown(void **state)
{
    (void)state;
    end_children();
    while (n_made > 0)
        remove_tree(made[--n_made]);
    cgroup_close(&c);
    remove_tree(own);
    return 0;
}

static void need_cgroup(void)
{
    if (c.own < 0)
        need(cgroup_open(&c, CONF_CGROUP_YES, false));
}

/* Beside our subtree, by a name that no other run has. */
static int make_dir(const char *name)
{
    assert_true(n_made < MADE);
    snprintf(made[n_made], sizeof(made[0]), "%s/%s.%d", parent, name, (int)getpid());
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

/* What work returns (0 to 255), run in a child in the group (-1: in ours); -1 when it failed. Work
 * may change namespaces; it must not assert, since that would go on with the tests in the child. */
static int run_child(int group, int (*work)(void))
{
    int status = -1;
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)group};
    pid_t pid = group < 0 ? fork() : (pid_t)syscall(SYS_clone3, &args, sizeof(args));

    if (pid == 0) {
        alarm(60);
        _exit(work());
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
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
    int group = make_dir("test-delegated");
    assert_int_equal(run_child(group, open_auto), CGROUP_USABLE);
    close(group);
    assert_int_equal(rmdir(made[n_made - 1]), 0);
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
    int found = run_child(group, work);

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
    int group = make_dir("test-namespace");
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
    assert_int_equal(fcntl(c.lock, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(c.inotify, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(dir, F_GETFD), FD_CLOEXEC);
    assert_int_equal(mkdirat(dir, "below", 0755), 0);
    close(dir);
    cgroup_close(&c);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(c.own, -1);
}

static void lose_descriptors(void)
{
    close(c.own);
    close(c.lock);
    close(c.inotify);
    free(c.path);
}

/* As after a re-exec: the descriptors are gone; processes and groups are not, and among them may be
 * a child that was forked, but did not exec. */
static void finds_its_own_again(void **state)
{
    char path[PATH_MAX];

    (void)state;
    need_cgroup();
    int dir = cgroup_make(&c, "a");
    start(dir);
    close(dir);
    snprintf(path, sizeof(path), "%s", c.path);
    lose_descriptors();
    assert_int_equal(cgroup_open(&c, CONF_CGROUP_YES, false), CGROUP_USABLE);
    assert_string_equal(c.path, path);
    assert_int_equal(cgroup_populated(&c, "a"), 1);
}

/* The plain name was taken when we began, and is free now. In a group of its own, since another
 * tend would take the half-made one for a left one. */
static int reopen_second_name(void)
{
    char path[PATH_MAX + 64];
    struct cgroup mine = {0};

    snprintf(path, sizeof(path), "%s/tend.%d.3", made[n_made - 1], (int)getpid());
    int failed = mkdir(path, 0755) < 0;
    strcat(path, "/a.service");
    failed |= (mkdir(path, 0755) < 0) << 1;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)dir};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        stay();
    failed |= (cgroup_open(&mine, CONF_CGROUP_AUTO, false) != CGROUP_USABLE) << 2;
    failed |= (cgroup_populated(&mine, "a") != 1) << 3;
    if (pid > 1) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    cgroup_close(&mine);
    return failed | (pid < 0) << 4;
}

static void finds_its_second_name_again(void **state)
{
    (void)state;
    need_cgroup();
    int group = make_dir("test-second");
    assert_int_equal(run_child(group, reopen_second_name), 0);
    close(group);
    assert_int_equal(rmdir(made[n_made - 1]), 0);
}

static int write_name(int fd, const char *path)
{
    char name[32] = "";

    snprintf(name, sizeof(name), "%s", strrchr(path, '/') + 1);
    return write(fd, name, sizeof(name)) == sizeof(name) ? 0 : -1;
}

/* Two at a time are PID 1, each of its own namespace, and have a service of the same name. */
static int as_pid_1(int word, int go)
{
    struct cgroup mine;
    char letter;

    if (getpid() != 1 || cgroup_open(&mine, CONF_CGROUP_YES, false) != CGROUP_USABLE)
        return 1;
    int dir = cgroup_make(&mine, "web");
    int result = dir < 0 || write_name(word, mine.path) < 0 || read(go, &letter, 1) != 0 ||
                 cgroup_populated(&mine, "web") != 0;
    cgroup_close(&mine);
    return result;
}

static void start_as_pid_1(int group, int word, int go[2])
{
    struct clone_args args = {.flags = CLONE_NEWPID | CLONE_INTO_CGROUP,
                              .exit_signal = SIGCHLD,
                              .cgroup = (uint64_t)group};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

    if (pid == 0) {
        alarm(60);
        close(go[1]);
        _exit(as_pid_1(word, go[0]));
    }
    if (pid < 0) {
        print_message("no right to make a PID namespace\n");
        skip();
    }
    started[n_started++] = pid;
}

static void shares_with_nobody(void **state)
{
    char names[2][32];
    int words[2], go[2], status;

    (void)state;
    need_cgroup();
    int group = make_dir("test-share");
    assert_int_equal(pipe(words), 0);
    assert_int_equal(pipe(go), 0);
    for (int i = 0; i < 2; i++) {
        start_as_pid_1(group, words[1], go);
        struct pollfd p = {words[0], POLLIN, 0};
        assert_int_equal(poll(&p, 1, 10000), 1);
        assert_int_equal(read(words[0], names[i], 32), 32);
    }
    assert_string_not_equal(names[0], names[1]);
    close(go[1]);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(waitpid(started[i], &status, 0), started[i]);
        started[i] = 0;
        assert_int_equal(status, 0);
        assert_false(exists(made[0], names[i]));
    }
    close(group);
    close(go[0]);
    close(words[0]);
    close(words[1]);
}

/* A tend that dies, and with keep leaves a process, whose parent we are. */
static struct {
    pid_t pid;
    char below[PATH_MAX + 32]; /* an empty group in the one that it lives in */
} * keep;
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
    snprintf(keep->below, sizeof(keep->below), "%s/web.service/below", other.path);
    struct clone_args args = {.flags = CLONE_INTO_CGROUP | CLONE_PARENT, .cgroup = (uint64_t)dir};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        stay();
    keep->pid = pid;
    return pid < 0;
}

static pid_t live_predecessor(int *word)
{
    int words[2];

    if (pipe2(words, O_CLOEXEC) < 0)
        return -1;
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

    while (list && (entry = readdir(list)))
        n += entry->d_type == DT_DIR && strncmp(entry->d_name, "tend.", 5) == 0;
    if (list)
        closedir(list);
    return n;
}

/* All in a group of its own, since other tends may be about. */
static int inherit(void)
{
    struct cgroup mine;
    static const char *const foreign[] = {"tend",    "tend.",          "tend.x",
                                          "tendril", "tend.1.service", "left"};
    char path[PATH_MAX + 32], name[64];
    int word = -1, failed = 0;
    char letter;

    snprintf(parent, sizeof(parent), "%.*s", PATH_MAX - 1, made[n_made - 1]);
    n_started = 0;
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
        snprintf(path, sizeof(path), "%s/%s", parent, foreign[i]);
        failed |= mkdir(path, 0755) < 0;
    }
    pid_t alive = live_predecessor(&word);
    failed |= (read(word, &letter, 1) != 1) << 1;
    keep = NULL;
    failed |= (run_child(-1, predecessor) != 0) << 2;
    failed |= (count_left() != 5) << 3;
    keep = mmap(NULL, sizeof(*keep), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    failed |= (run_child(-1, predecessor) != 0) << 4;
    started[n_started++] = keep->pid;
    failed |= (cgroup_open(&mine, CONF_CGROUP_AUTO, false) != CGROUP_USABLE) << 5;
    snprintf(name, sizeof(name), "tend.%d", (int)alive);
    failed |= (access(keep->below, F_OK) < 0 || !exists(parent, name) || count_left() != 6) << 6;
    end_children();
    cgroup_close(&mine);
    cgroup_open(&mine, CONF_CGROUP_AUTO, false);
    failed |= (count_left() != 4) << 7;
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
    int group = make_dir("test-inherit");
    assert_int_equal(run_child(group, inherit), 0);
    close(group);
    assert_int_equal(rmdir(made[n_made - 1]), 0);
}

/* ---- groups ---- */

static const char longest[] = "a123456789b123456789c123456789d123456789e123456789f123456789g123";

static void names_are_apart(void **state)
{
    static const char *const good[] = {"a",   "A",      "a.b",       "a_b",          "a-b",
                                       "a@1", "0",      "a.service", "cgroup.procs", "cgroup",
                                       "a@",  "tend.1", longest};
    static const char *const bad[] = {"", ".", "..", "/", "a/b", "../a", "a/", "/a", ".a", "a\nb"};
    ino_t seen[ARRAY_SIZE(good)];
    char longer[sizeof(longest) + 1];
    struct stat st;

    (void)state;
    need_cgroup();
    assert_int_equal(strlen(longest), CONF_NAME_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        int dir = cgroup_make(&c, good[i]), same = cgroup_make(&c, good[i]);
        assert_true(dir >= 0 && same >= 0);
        fstat(same, &st);
        seen[i] = st.st_ino;
        fstat(dir, &st);
        assert_int_equal(st.st_ino, seen[i]);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(seen[i], seen[k]);
        close(dir);
        close(same);
    }
    snprintf(longer, sizeof(longer), "%sx", longest);
    for (size_t i = 0; i <= ARRAY_SIZE(bad); i++) {
        errno = 0;
        assert_int_equal(cgroup_make(&c, i < ARRAY_SIZE(bad) ? bad[i] : longer), -1);
        assert_int_equal(errno, EINVAL);
    }
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(cgroup_remove(&c, good[i]), 0);
}

static void no_group_is_an_empty_one(void **state)
{
    pid_t *pids = NULL;
    size_t room = 0;

    (void)state;
    need_cgroup();
    assert_int_equal(cgroup_populated(&c, "a"), 0);
    assert_int_equal(cgroup_pids(&c, "a", &pids, &room), 0);
    assert_int_equal(cgroup_kill(&c, "a"), 0);
    assert_int_equal(cgroup_thaw(&c, "a"), 0);
    assert_int_equal(cgroup_remove(&c, "a"), 0);
    assert_int_equal(cgroup_watch(&c, "a"), -1);
    assert_int_equal(errno, ENOENT);
    assert_false(exists(c.path, "a.service"));
    free(pids);
}

static void zombies_do_not_count(void **state)
{
    pid_t *pids = NULL;
    size_t room = 0;

    (void)state;
    need_cgroup();
    int dir = cgroup_make(&c, "a");
    assert_int_equal(cgroup_populated(&c, "a"), 0);
    pid_t pid = start(dir);
    assert_int_equal(cgroup_populated(&c, "a"), 1);
    assert_int_equal(cgroup_pids(&c, "a", &pids, &room), 1);
    assert_int_equal(pids[0], pid);
    assert_int_equal(cgroup_remove(&c, "a"), -1);
    assert_int_equal(errno, EBUSY);

    kill(pid, SIGKILL);
    wait_zombie(pid);
    wait_populated("a", 0);
    assert_int_equal(cgroup_pids(&c, "a", &pids, &room), 0);
    assert_int_equal(cgroup_remove(&c, "a"), 0);
    assert_false(exists(c.path, "a.service"));
    free(pids);
    close(dir);
}

static int make_below(int dir, const char *name)
{
    assert_int_equal(mkdirat(dir, name, 0755), 0);
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* More than one buffer of them, on three levels, and another service's beside. */
static void lists_all_below(void **state)
{
    pid_t *pids = NULL;
    size_t room = 0;
    int dirs[3];

    (void)state;
    need_cgroup();
    int beside = cgroup_make(&c, "b");
    dirs[0] = cgroup_make(&c, "a");
    dirs[1] = make_below(dirs[0], "x");
    dirs[2] = make_below(dirs[1], "y");
    for (int i = 0; i < MANY; i++)
        start(dirs[i < 1000 ? 0 : 1 + i % 2]);
    start(beside);
    assert_int_equal(cgroup_pids(&c, "a", &pids, &room), MANY);
    assert_true(room >= MANY);
    for (int i = 0; i < MANY; i++) {
        int found = 0;
        for (int k = 0; k < MANY; k++)
            found += pids[k] == started[i];
        assert_int_equal(found, 1);
    }
    assert_int_equal(cgroup_pids(&c, "b", &pids, &room), 1);
    assert_int_equal(pids[0], started[MANY]);
    end_children();
    free(pids);
    close(beside);
    for (int i = 0; i < 3; i++)
        close(dirs[i]);
}

static void populated_counts_below(void **state)
{
    (void)state;
    need_cgroup();
    int dir = cgroup_make(&c, "a"), below = make_below(dir, "x");
    pid_t pid = start(below);
    assert_int_equal(cgroup_populated(&c, "a"), 1);
    assert_int_equal(cgroup_remove(&c, "a"), -1);
    assert_int_equal(errno, EBUSY);
    end(pid);
    wait_populated("a", 0);
    close(below);
    close(dir);
}

static void removes_all_below(void **state)
{
    int dirs[6];

    (void)state;
    need_cgroup();
    dirs[0] = cgroup_make(&c, "a");
    for (int i = 1; i < 6; i++)
        dirs[i] = make_below(dirs[i - 1], "x");
    for (int i = 0; i < 6; i++) {
        close(make_below(dirs[i], "y"));
        close(make_below(dirs[i], "z"));
    }
    assert_int_equal(cgroup_remove(&c, "a"), 0);
    assert_false(exists(c.path, "a.service"));
    for (int i = 0; i < 6; i++)
        close(dirs[i]);
    int dir = cgroup_make(&c, "a");
    assert_true(dir >= 0);
    close(dir);
}

static void kills_all_at_once(void **state)
{
    pid_t pids[20], other;

    (void)state;
    need_cgroup();
    int beside = cgroup_make(&c, "b"), dir = cgroup_make(&c, "a"), below = make_below(dir, "x");
    other = start(beside);
    signal(SIGTERM, SIG_IGN);
    for (int i = 0; i < 20; i++)
        pids[i] = start(i % 2 ? dir : below);
    signal(SIGTERM, SIG_DFL);
    if (cgroup_kill(&c, "a") < 0) {
        assert_int_equal(errno, ENOENT);
        print_message("no cgroup.kill in this kernel\n");
        skip();
    }
    for (int i = 0; i < 20; i++)
        assert_int_equal(wait_zombie(pids[i]), SIGKILL);
    wait_populated("a", 0);
    assert_int_equal(cgroup_populated(&c, "b"), 1);
    assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
    close(beside);
    close(dir);
    close(below);
}

static void freeze(int dir)
{
    char text[128] = "";
    int fd = openat(dir, "cgroup.freeze", O_WRONLY | O_CLOEXEC);

    assert_int_equal(write(fd, "1", 1), 1);
    close(fd);
    for (int i = 0; i < 10000 && !strstr(text, "frozen 1"); i++) {
        fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
        assert_true(read(fd, text, sizeof(text) - 1) > 0);
        close(fd);
        poll(NULL, 0, 1);
    }
    assert_non_null(strstr(text, "frozen 1"));
}

static void leave(int signal)
{
    (void)signal;
    _exit(7);
}

/* What would end by default ends in the frozen state, too: it is handlers that wait. */
static void thaws_all_below(void **state)
{
    (void)state;
    need_cgroup();
    int dir = cgroup_make(&c, "a"), below = make_below(dir, "x");
    signal(SIGTERM, leave);
    pid_t one = start(dir), two = start(below);
    signal(SIGTERM, SIG_DFL);
    assert_int_equal(cgroup_thaw(&c, "a"), 0);
    freeze(below);
    freeze(dir);
    kill(one, SIGTERM);
    kill(two, SIGTERM);
    assert_int_equal(waitpid(one, NULL, WNOHANG), 0);
    assert_int_equal(cgroup_thaw(&c, "a"), 0);
    assert_int_equal(wait_zombie(one), 7);
    assert_int_equal(wait_zombie(two), 7);
    close(below);
    close(dir);
}

/* Of which the service's own group says neither in cgroup.freeze nor in cgroup.events. */
static void thaws_one_below(void **state)
{
    (void)state;
    need_cgroup();
    int dir = cgroup_make(&c, "a"), below = make_below(dir, "x");
    signal(SIGTERM, leave);
    pid_t one = start(dir), two = start(below);
    signal(SIGTERM, SIG_DFL);
    freeze(below);
    kill(two, SIGTERM);
    assert_int_equal(waitpid(two, NULL, WNOHANG), 0);
    assert_int_equal(cgroup_thaw(&c, "a"), 0);
    assert_int_equal(wait_zombie(two), 7);
    end(one);
    close(below);
    close(dir);
}

/* ---- news ---- */

static void wait_news(int want)
{
    struct pollfd p = {c.inotify, POLLIN, 0};

    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_int_equal(cgroup_next(&c), want);
    assert_int_equal(cgroup_next(&c), -1);
    assert_int_equal(poll(&p, 1, 0), 0);
}

static void tells_of_the_last_to_go(void **state)
{
    (void)state;
    need_cgroup();
    int a = cgroup_make(&c, "a"), b = cgroup_make(&c, "b"), below = make_below(b, "x");
    int watch_a = cgroup_watch(&c, "a"), watch_b = cgroup_watch(&c, "b");
    assert_true(watch_a > 0 && watch_b > 0 && watch_a != watch_b);
    assert_int_equal(cgroup_next(&c), -1);
    pid_t first = start(a), second = start(a);
    wait_news(watch_a);
    pid_t other = start(below);
    wait_news(watch_b);
    end(first);
    assert_int_equal(cgroup_populated(&c, "a"), 1);
    assert_int_equal(cgroup_next(&c), -1);
    kill(second, SIGKILL);
    wait_news(watch_a);
    assert_int_equal(cgroup_populated(&c, "a"), 0);
    end(other);
    wait_news(watch_b);

    cgroup_unwatch(&c, watch_a);
    assert_int_equal(cgroup_next(&c), -1);
    start(a);
    start(b);
    wait_news(watch_b);
    close(a);
    close(b);
    close(below);
}

static unsigned count_watches(void)
{
    char path[64], line[256];
    unsigned n = 0;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", c.inotify);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file))
        n += strncmp(line, "inotify ", 8) == 0;
    fclose(file);
    return n;
}

static double ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* A service that is started again and again costs no watch and leaves no news of the dead. */
static void takes_watches_back(void **state)
{
    double begin = ms();

    (void)state;
    need_cgroup();
    for (int i = 0; i < 50; i++) {
        int dir = cgroup_make(&c, "a"), watch = cgroup_watch(&c, "a");
        assert_true(dir >= 0 && watch > 0);
        assert_int_equal(count_watches(), 1);
        assert_int_equal(cgroup_remove(&c, "a"), 0);
        cgroup_unwatch(&c, watch);
        close(dir);
        assert_int_equal(cgroup_next(&c), -1);
        assert_int_equal(count_watches(), 0);
    }
    print_message("make, watch, remove: %.2f ms\n", (ms() - begin) / 50);
}

#define WITH_GROUP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_is_off),
        cmocka_unit_test(knows_a_cgroup_mount),
        WITH_GROUP(auto_leaves_the_root_alone),
        WITH_GROUP(auto_takes_a_delegated_group),
        WITH_GROUP(stays_in_its_namespace),
        WITH_GROUP(needs_a_root_of_its_own),
        WITH_GROUP(closes_on_exec_and_leaves_nothing),
        WITH_GROUP(finds_its_own_again),
        WITH_GROUP(finds_its_second_name_again),
        WITH_GROUP(shares_with_nobody),
        WITH_GROUP(removes_what_the_dead_left),
        WITH_GROUP(names_are_apart),
        WITH_GROUP(no_group_is_an_empty_one),
        WITH_GROUP(zombies_do_not_count),
        WITH_GROUP(lists_all_below),
        WITH_GROUP(populated_counts_below),
        WITH_GROUP(removes_all_below),
        WITH_GROUP(kills_all_at_once),
        WITH_GROUP(thaws_all_below),
        WITH_GROUP(thaws_one_below),
        WITH_GROUP(tells_of_the_last_to_go),
        WITH_GROUP(takes_watches_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
