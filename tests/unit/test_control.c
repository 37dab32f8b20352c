/* The control socket with real peers: its name and mode, who is let in, and what holds when there
 * are too many, or memory and descriptors run out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "memory.h"
#include "peer.h"
#include "tend/control_access.h"

enum { GROUP = 4711, OTHER = 4712, NOBODY = 65534 };

/* ---- the socket ---- */

int __real_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog);

/* From then on somebody may come in. */
static mode_t mode_at_listen;
int __wrap_listen(int fd, int backlog)
{
    struct stat st = {0};

    fstatat(dir, "control", &st, AT_SYMLINK_NOFOLLOW);
    mode_at_listen = st.st_mode;
    return __real_listen(fd, backlog);
}

static struct stat stat_of(const char *name)
{
    struct stat st;

    assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st;
}

static void only_we_may_connect(void **state)
{
    static const mode_t umasks[] = {0, 022, 0777};
    mode_t before = umask(0);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(umasks); i++) {
        umask(umasks[i]);
        assert_int_equal(control_open(&c, dir, (gid_t)-1), 0);
        assert_int_equal(stat_of("control").st_mode, S_IFSOCK | 0600);
        assert_int_equal(mode_at_listen & 077, 0);
        assert_int_equal(umask(before), umasks[i]);
        assert_true(fcntl(c.socket, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(c.socket, F_GETFL) & O_NONBLOCK);
    }
    assert_int_equal(control_accept(&c, START), -1);
}

static void a_group_is_let_in_and_out(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(control_open(&c, dir, GROUP), 0);
    assert_int_equal(stat_of("control").st_mode & 07777, 0660);
    assert_int_equal(stat_of("control").st_gid, GROUP);
    assert_int_equal(c.group, GROUP);
    assert_int_equal(control_set_group(&c, dir, OTHER), 0);
    assert_int_equal(stat_of("control").st_mode & 07777, 0660);
    assert_int_equal(stat_of("control").st_gid, OTHER);
    assert_int_equal(control_set_group(&c, dir, (gid_t)-1), 0);
    assert_int_equal(stat_of("control").st_mode & 07777, 0600);
    assert_int_equal(unlinkat(dir, "control", 0), 0);
    assert_int_equal(control_set_group(&c, dir, GROUP), -1);
    assert_int_equal(errno, ENOENT);
    assert_true(c.group == (gid_t)-1);
}

static void a_left_socket_is_replaced(void **state)
{
    char before[PATH_MAX], after[PATH_MAX];

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    close(c.socket); /* as if we had died */
    c.socket = -1;
    assert_true(connect_to(path_of("control")) < 0);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(control_open(&c, dir, (gid_t)-1), 0);
    close(knock());
    assert_non_null(getcwd(after, sizeof after));
    assert_string_equal(after, before);
}

static void what_is_no_socket_stays(void **state)
{
    (void)state;
    control_close(&c, dir);
    assert_int_equal(mkdirat(dir, "control", 0700), 0);
    assert_int_equal(control_open(&c, dir, (gid_t)-1), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(c.socket, -1);
    assert_int_equal(unlinkat(dir, "control", AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("elsewhere", dir, "control"), 0);
    assert_int_equal(control_open(&c, dir, (gid_t)-1), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(unlinkat(dir, "control", 0), 0);
}

static void it_is_known_whether_it_is_there(void **state)
{
    struct control other = {.socket = -1};
    struct client *e;
    int ours;

    (void)state;
    assert_true(control_is_there(&c, dir));
    assert_int_equal(unlinkat(dir, "control", 0), 0);
    assert_false(control_is_there(&c, dir));
    assert_int_equal(control_open(&other, dir, (gid_t)-1), 0);
    assert_false(control_is_there(&c, dir));
    /* what is another's is not removed */
    control_close(&c, dir);
    assert_true(control_is_there(&other, dir));
    control_close(&other, dir);
    assert_false(control_is_there(&other, dir));
    assert_int_equal(faccessat(dir, "control", F_OK, 0), -1);
    assert_int_equal(open_control(NULL), 0);
    /* those who are in stay when it is made anew */
    e = come_in(&ours);
    assert_int_equal(unlinkat(dir, "control", 0), 0);
    assert_int_equal(control_open(&c, dir, (gid_t)-1), 0);
    assert_true(control_is_there(&c, dir));
    say(ours, "status\n");
    control_read(e, START);
    line_is(e, "status");
    close(ours);
}

static void its_path_may_be_longer_than_an_address(void **state)
{
    struct control far = {.socket = -1};
    char name[201] = "", path[300];
    int below;

    (void)state;
    memset(name, 'x', sizeof name - 1);
    assert_int_equal(mkdirat(dir, name, 0711), 0);
    below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(control_open(&far, below, (gid_t)-1), 0);
    assert_true(control_is_there(&far, below));
    snprintf(path, sizeof path, "/proc/self/fd/%d/control", below);
    int fd = connect_to(path);
    assert_true(fd >= 0);
    assert_true(control_accept(&far, START) >= 0);
    close(fd);
    control_close(&far, below);
    close(below);
}

/* Not even root may read such a folder's name once it is gone; a bind needs only the way back. */
static void the_present_folder_may_be_gone(void **state)
{
    int here = open(".", O_PATH | O_CLOEXEC);

    (void)state;
    assert_int_equal(mkdirat(dir, "left", 0700), 0);
    assert_int_equal(chdir(path_of("left")), 0);
    assert_int_equal(unlinkat(dir, "left", AT_REMOVEDIR), 0);
    assert_int_equal(control_open(&c, dir, (gid_t)-1), 0);
    assert_int_equal(faccessat(AT_FDCWD, "control", F_OK, 0), -1);
    assert_int_equal(fchdir(here), 0);
    close(here);
    close(knock());
}

/* ---- bounds ---- */

static int crowd[CONTROL_CLIENTS + 1];

/* All with all rights, each a millisecond after the one before. */
static void fill_house(void)
{
    for (int i = 0; i < CONTROL_CLIENTS; i++) {
        crowd[i] = knock();
        assert_int_equal(let_in(START + i) - c.at, i);
    }
    assert_int_equal(c.n, CONTROL_CLIENTS);
}

static void leave_house(void)
{
    for (int i = 0; i < CONTROL_CLIENTS; i++)
        close(crowd[i]);
}

static void the_longest_idle_makes_room(void **state)
{
    uint32_t serial;

    (void)state;
    fill_house();
    say(crowd[0], "status\n");
    control_read(&c.at[0], START + 5000);
    size_t n;
    assert_non_null(control_line(&c.at[0], &n));
    control_done(&c.at[0], START + 5000);
    serial = c.at[1].serial;
    int fd = knock();
    assert_ptr_equal(let_in(START + 6000), &c.at[1]);
    assert_int_not_equal(c.at[1].serial, serial);
    assert_true(is_closed(crowd[1]));
    assert_false(is_closed(crowd[0]));
    assert_int_equal(c.n, CONTROL_CLIENTS);
    close(fd);
    leave_house();
}

static void have_all_wait(void)
{
    size_t n;

    for (int i = 0; i < CONTROL_CLIENTS; i++) {
        say(crowd[i], "wait for=ready\n");
        control_read(&c.at[i], START + i);
        assert_non_null(control_line(&c.at[i], &n));
        c.at[i].waits = true;
    }
}

static void who_does_not_read_makes_room_though_it_waits(void **state)
{
    (void)state;
    fill_house();
    have_all_wait();
    fill(&c.at[77], START + 1000);
    int fd = knock();
    assert_ptr_equal(let_in(START + 2000), &c.at[77]);
    assert_true(is_closed(crowd[77]));
    close(fd);
    leave_house();
}

static void where_all_are_busy_so_are_we(void **state)
{
    (void)state;
    fill_house();
    have_all_wait();
    int fd = knock();
    say(fd, "status\nstatus\n");
    assert_int_equal(control_accept(&c, START), -1);
    assert_string_equal(hear_all(fd), "error code=busy text=too many clients\n");
    assert_int_equal(c.n, CONTROL_CLIENTS);
    leave_house();
}

static size_t resident(void)
{
    size_t all, in_memory;
    FILE *f = fopen("/proc/self/statm", "re");

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu %zu", &all, &in_memory), 2);
    fclose(f);
    return in_memory * (size_t)sysconf(_SC_PAGESIZE);
}

/* As many as want: half a command, never reading, a byte each second. Whoever comes then is
 * answered at once; all of them are gone in time. */
static void two_hundred_hostile_ones(void **state)
{
    size_t before = resident();
    static char big[20000];

    (void)state;
    memset(big, 'y', sizeof big);
    for (int i = 0; i < 200; i++) {
        struct client *e = come_in(&crowd[i]);
        if (i % 4 == 0)
            say(crowd[i], "stat");
        control_read(e, START);
        if (i % 4 == 1)
            fill(e, START);
        if (i % 4 == 2)
            send(crowd[i], big, sizeof big, MSG_DONTWAIT);
    }
    for (msec now = START + 1000; now <= START + CONTROL_STALL; now += 1000) {
        int fd, stale;
        for (int i = 3; i < 200; i += 4)
            send(crowd[i], "x", 1, MSG_NOSIGNAL);
        for (int i = 0; i < CONTROL_CLIENTS; i++) {
            size_t n;
            if (c.at[i].fd < 0)
                continue;
            control_read(&c.at[i], now);
            assert_null(control_line(&c.at[i], &n));
            control_write(&c.at[i], now);
            if (control_is_over(&c.at[i]))
                control_drop(&c, &c.at[i]);
        }
        while ((stale = control_expired(&c, now)) >= 0)
            control_drop(&c, &c.at[stale]);
        fd = knock();
        struct client *good = let_in(now);
        say(fd, "status\n");
        control_read(good, now);
        line_is(good, "status");
        reply(good, "ok\n", now);
        control_drop(&c, good);
        assert_string_equal(hear_all(fd), "ok\n");
    }
    /* those who dribble began a second after the others */
    assert_int_equal(c.n, 50);
    int stale;
    while ((stale = control_expired(&c, START + 1000 + CONTROL_STALL)) >= 0)
        control_drop(&c, &c.at[stale]);
    assert_int_equal(c.n, 0);
    assert_true(resident() - before < 8 << 20);
    for (int i = 0; i < 200; i++)
        close(crowd[i]);
}

static void where_memory_is_short_we_are_busy(void **state)
{
    (void)state;
    for (int n = 0; n < 2; n++) {
        int fd = knock();
        allowed = n;
        assert_int_equal(control_accept(&c, START), -1);
        allowed = -1;
        assert_int_equal(c.n, 0);
        assert_string_equal(hear_all(fd), "error code=busy text=too many clients\n");
    }
    int fd = knock();
    let_in(START);
    close(fd);
}

/* ---- descriptors run out ---- */

static void leave_no_descriptor(void)
{
    int next = dup(dir);

    close(next);
    limit_descriptors((rlim_t)next);
    assert_int_equal(dup(dir), -1);
}

static void who_cannot_have_a_descriptor_is_told(void **state)
{
    int fds[100];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = knock();
    leave_no_descriptor();
    assert_int_equal(control_accept(&c, START), -1);
    /* others have a turn between */
    assert_false(is_closed(fds[99]));
    assert_int_equal(control_accept(&c, START), -1);
    assert_true(control_wants_accept(&c, START));
    limit_descriptors(descriptors);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        assert_string_equal(hear_all(fds[i]), "error code=busy text=no more descriptors\n");
    int fd = knock();
    let_in(START);
    close(fd);
}

/* Somebody else was faster to take the spare one. */
static void without_a_spare_one_there_is_a_pause(void **state)
{
    int fd = knock();

    (void)state;
    assert_true(c.spare > 0);
    int taken = dup(dir);
    leave_no_descriptor();
    close(c.spare);
    int hole = dup(dir);
    assert_int_equal(hole, c.spare);
    c.spare = 0;
    assert_int_equal(control_accept(&c, START), -1);
    assert_false(control_wants_accept(&c, START + CONTROL_PAUSE - 1));
    assert_int_equal(control_accept(&c, START + CONTROL_PAUSE - 1), -1);
    assert_true(control_deadline(&c) == START + CONTROL_PAUSE);
    assert_int_equal(control_expired(&c, START + CONTROL_PAUSE), -1);
    assert_true(control_deadline(&c) == NEVER);
    assert_true(control_wants_accept(&c, START + CONTROL_PAUSE));
    limit_descriptors(descriptors);
    close(hole);
    close(taken);
    let_in(START + CONTROL_PAUSE);
    assert_true(c.spare > 0);
    close(fd);
}

/* ---- rights ---- */

/* Of a child, where a test ends early; a change of identity would undo it. */
static void end_with_us(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* A child of that identity that connects n times and stays. */
static pid_t others(uid_t uid, gid_t gid, gid_t more, int n)
{
    int ends[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        gid_t list[100];
        for (gid_t i = 0; i < 100; i++)
            list[i] = i < 99 ? 5000 + i : more;
        if (setgroups(more == gid ? 0 : 100, list) || setresgid(gid, gid, gid) ||
            setresuid(uid, uid, uid))
            _exit(1);
        for (int i = 0; i < n; i++)
            if (connect_to(path_of("control")) < 0)
                _exit(errno == EACCES ? 2 : 3);
        end_with_us();
        if (write(ends[1], "", 1) == 1)
            pause();
        _exit(4);
    }
    close(ends[1]);
    /* the end of the pipe, where it was not let in */
    assert_true(read(ends[0], &byte, 1) >= 0);
    close(ends[0]);
    return pid;
}

static int end_others(pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static void open_to_the_group(void)
{
    assert_int_equal(control_set_group(&c, dir, GROUP), 0);
}

static void the_group_has_part(void **state)
{
    static const struct {
        gid_t gid, more;
    } peers[] = {{GROUP, GROUP}, {OTHER, GROUP}};

    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
        pid_t pid = others(NOBODY, peers[i].gid, peers[i].more, 1);
        struct client *e = let_in(START);
        assert_false(e->all_rights);
        assert_int_equal(e->uid, NOBODY);
        assert_int_equal(e->pid, pid);
        assert_int_equal(c.n_partial, 1);
        control_drop(&c, e);
        assert_int_equal(c.n_partial, 0);
        assert_int_equal(end_others(pid), 0);
    }
}

static void others_are_not_let_in(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    assert_int_equal(end_others(others(NOBODY, OTHER, OTHER, 1)), 2);
    /* and where the mode lets them in: told, and closed */
    assert_int_equal(fchmodat(dir, "control", 0666, 0), 0);
    pid_t pid = others(NOBODY, OTHER, OTHER, 1);
    assert_int_equal(control_accept(&c, START), -1);
    assert_int_equal(end_others(pid), 0);
    assert_int_equal(control_set_group(&c, dir, (gid_t)-1), 0);
    assert_int_equal(fchmodat(dir, "control", 0666, 0), 0);
    pid = others(NOBODY, GROUP, GROUP, 1);
    assert_int_equal(control_accept(&c, START), -1);
    assert_int_equal(c.n, 0);
    assert_int_equal(end_others(pid), 0);
}

static int ask_as_nobody(void)
{
    char line[100] = "";
    int fd;

    if (setgroups(0, NULL) || setresgid(OTHER, OTHER, OTHER) || setresuid(NOBODY, NOBODY, NOBODY))
        return 1;
    fd = connect_to(path_of("control"));
    if (fd < 0)
        return 2;
    send(fd, "shutdown now\n", 13, MSG_NOSIGNAL); /* it may have been closed by now */
    while (strlen(line) + 1 < sizeof line && recv(fd, line + strlen(line), 1, 0) == 1)
        ;
    return strncmp(line, "error code=denied text=", 23) || !strchr(line, '\n') ? 3 : 0;
}

static void who_is_denied_is_told(void **state)
{
    int status = 0;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(fchmodat(dir, "control", 0666, 0), 0);
    pid = fork();
    if (pid == 0)
        _exit(ask_as_nobody());
    struct pollfd p = {.fd = c.socket, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(control_accept(&c, START), -1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void we_and_root_have_all(void **state)
{
    int fd;
    struct client *e = come_in(&fd);

    (void)state;
    assert_true(e->all_rights);
    assert_int_equal(e->uid, geteuid());
    assert_int_equal(e->pid, getpid());
    close(fd);
    if (geteuid() != 0)
        skip();
    /* root is root to another user too */
    fd = knock();
    assert_int_equal(seteuid(NOBODY), 0);
    int i = control_accept(&c, START);
    assert_int_equal(seteuid(0), 0);
    assert_true(i >= 0 && c.at[i].all_rights);
    close(fd);
    assert_int_equal(fchmodat(dir, "control", 0666, 0), 0);
    pid_t pid = others(NOBODY, NOBODY, NOBODY, 1);
    assert_int_equal(seteuid(NOBODY), 0);
    i = control_accept(&c, START);
    assert_int_equal(seteuid(0), 0);
    assert_true(i >= 0 && c.at[i].all_rights);
    assert_int_equal(end_others(pid), 0);
}

static unsigned all_come_in(void)
{
    unsigned in = 0;

    for (int i = 0; i < 100; i++)
        while (control_accept(&c, START) >= 0)
            in++;
    return in;
}

static void the_group_has_half_of_the_places(void **state)
{
    unsigned in = 0;
    pid_t pids[5];

    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    /* each user in it a quarter of them */
    for (int i = 0; i < 5; i++) {
        pids[i] = others(NOBODY - (uid_t)i, GROUP, GROUP, CONTROL_OF_USER + 100);
        in += all_come_in();
        assert_int_equal(in, (i < 4 ? i + 1 : 4) * CONTROL_OF_USER);
    }
    assert_int_equal(in, CONTROL_CLIENTS / 2);
    assert_int_equal(c.n_partial, in);
    int fd = knock();
    assert_true(let_in(START)->all_rights);
    assert_int_equal(c.n, in + 1);
    close(fd);
    for (int i = 0; i < 5; i++)
        assert_int_equal(end_others(pids[i]), 0);
}

static void there_may_be_fewer_places(void **state)
{
    static const struct {
        unsigned limit, places;
    } cases[] = {{0, 8}, {7, 8}, {20, 20}, {9999, CONTROL_CLIENTS}};

    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        control_set_limit(&c, cases[i].limit);
        assert_int_equal(c.limit, cases[i].places);
    }
    control_set_limit(&c, 10);
    pid_t pid = others(NOBODY, GROUP, GROUP, 20);
    assert_int_equal(all_come_in(), 5);
    for (int i = 0; i < 5; i++) {
        crowd[i] = knock();
        let_in(START - 100 + i);
    }
    crowd[5] = knock();
    let_in(START);
    assert_int_equal(c.n, 10);
    assert_int_equal(c.n_partial, 5);
    assert_true(is_closed(crowd[0]));
    /* who is in stays, but for the one whose place it gets */
    control_set_limit(&c, 8);
    assert_int_equal(c.n, 10);
    crowd[6] = knock();
    let_in(START);
    assert_true(is_closed(crowd[1]));
    assert_int_equal(c.n, 10);
    for (int i = 0; i < 7; i++)
        close(crowd[i]);
    assert_int_equal(end_others(pid), 0);
}

/* The last descriptor is for root: one with part of the rights goes first, though it waits. */
static void the_last_descriptor_is_for_root(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    pid_t pid = others(NOBODY, GROUP, GROUP, 1);
    struct client *part = let_in(START);
    part->waits = true;
    for (int i = 0; i < 4; i++) {
        crowd[i] = knock();
        if (i == 0)
            let_in(START - 1000);
    }
    pid_t more = others(NOBODY - 1, GROUP, GROUP, 1);
    leave_no_descriptor();
    assert_ptr_equal(let_in(START), part);
    assert_true(part->all_rights);
    assert_false(is_closed(crowd[0]));
    assert_int_equal(c.n_partial, 0);
    /* then who is idle for longest */
    let_in(START + 1);
    assert_true(is_closed(crowd[0]));
    let_in(START + 2);
    assert_true(is_closed(crowd[1]));
    /* but not for the group */
    assert_int_equal(control_accept(&c, START + 3), -1);
    assert_false(is_closed(crowd[3]));
    assert_int_equal(c.n, 2);
    assert_true(c.spare > 0);
    limit_descriptors(descriptors);
    assert_int_equal(end_others(pid), 0);
    assert_int_equal(end_others(more), 0);
    for (int i = 0; i < 4; i++)
        close(crowd[i]);
}

/* ---- user namespaces ---- */

static int learn_in_namespace(void)
{
    struct control other = {.socket = -1};

    if (unshare(CLONE_NEWUSER))
        return 77;
    if (control_open(&other, dir, (gid_t)-1) && errno != EACCES && errno != EPERM)
        return 1;
    control_learn_overflow(&other);
    return other.no_user == NOBODY && other.no_group == NOBODY ? 0 : 2;
}

static void a_namespace_without_all_ids_is_known(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(learn_in_namespace());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void who_may_be_anybody_has_no_rights(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    assert_int_equal(fchmodat(dir, "control", 0666, 0), 0);
    for (int i = 0; i < 2; i++) {
        bool known = i == 0;
        c.no_user = known ? (id_t)-1 : NOBODY;
        c.no_group = known ? (id_t)-1 : GROUP;
        pid_t ours = others(NOBODY, OTHER, OTHER, 1), group = others(OTHER, GROUP, GROUP, 1);
        assert_int_equal(seteuid(NOBODY), 0);
        unsigned in = all_come_in();
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(in, known ? 2 : 0);
        assert_int_equal(end_others(ours), 0);
        assert_int_equal(end_others(group), 0);
    }
}

/* Idle ones go first, whoever they are; then those with part of the rights, the longest idle
 * first. */
static void the_group_makes_room(void **state)
{
    size_t n;

    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    fill_house();
    have_all_wait();
    for (int i = 10; i < 13; i++) {
        control_drop(&c, &c.at[i]);
        close(crowd[i]);
    }
    pid_t pid = others(NOBODY, GROUP, GROUP, 3);
    for (int i = 10; i < 13; i++) {
        struct client *e = let_in(START + 9000 - i);
        e->waits = true;
        crowd[i] = dup(dir);
    }
    int first = knock();
    assert_ptr_equal(let_in(START + 9000), &c.at[12]);
    say(first, "status\n");
    control_read(&c.at[12], START + 9000);
    assert_non_null(control_line(&c.at[12], &n));
    int second = knock();
    assert_ptr_equal(let_in(START + 9000), &c.at[11]);
    int third = knock(); /* an idle one with all rights goes before */
    assert_ptr_equal(let_in(START + 9001), &c.at[11]);
    assert_true(is_closed(second));
    assert_int_equal(c.n_partial, 1);
    close(first);
    close(second);
    close(third);
    assert_int_equal(end_others(pid), 0);
    leave_house();
}

static void whose_rights_are_taken_is_over(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    open_to_the_group();
    pid_t pid = others(NOBODY, OTHER, GROUP, 1);
    struct client *e = let_in(START);
    e->waits = true;
    assert_int_equal(control_set_group(&c, dir, OTHER), 0);
    assert_false(control_is_over(e));
    assert_int_equal(control_set_group(&c, dir, (gid_t)-1), 0);
    assert_true(control_is_over(e));
    assert_int_equal(end_others(pid), 0);
}

/* ---- children, descriptors ---- */

static unsigned unwatched;
static void unwatch(void *arg, int fd)
{
    assert_ptr_equal(arg, &unwatched);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    unwatched++;
}

static void it_is_told_before_each_close(void **state)
{
    int fd;

    (void)state;
    unwatched = 0;
    c.before_close = unwatch;
    c.arg = &unwatched;
    fill_house();
    fd = knock();
    let_in(START + 1000); /* in the place of another */
    assert_int_equal(unwatched, 1);
    control_drop(&c, &c.at[0]);
    control_drop(&c, &c.at[0]); /* once */
    assert_int_equal(unwatched, 2);
    assert_int_equal(control_open(&c, dir, (gid_t)-1), 0);
    assert_int_equal(unwatched, 3);
    control_close(&c, dir);
    assert_int_equal(unwatched, 3 + CONTROL_CLIENTS - 1 + 1);
    close(fd);
    leave_house();
}

static void a_child_that_has_it_too_keeps_nobody(void **state)
{
    int fd, ends[2];
    struct client *e = come_in(&fd);
    char byte;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        close(fd);
        end_with_us();
        if (write(ends[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    reply(e, "ok\n", START);
    control_drop(&c, e);
    assert_string_equal(hear_all(fd), "ok\n");
    assert_int_equal(end_others(pid), 0);
    close(ends[0]);
    close(ends[1]);
}

/* The close of a descriptor that was sent to us could block. Linux 6.16 refuses it. */
static void no_descriptor_comes_with_a_line(void **state)
{
    int fd, probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool can_refuse = setsockopt(probe, SOL_SOCKET, 83, &(int){0}, sizeof(int)) == 0;
    struct client *e = come_in(&fd);
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec v = {(char[]){"status\n"}, 7};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);

    (void)state;
    *h = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(h), &dir, sizeof(int));
    close(probe);
    if (can_refuse) {
        assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), -1);
        assert_int_equal(errno, EPERM);
        close(fd);
        return;
    }
    assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), 7);
    int next = dup(dir);
    close(next);
    control_read(e, START);
    line_is(e, "status");
    int again = dup(dir);
    assert_int_equal(again, next);
    close(again);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CONTROL(only_we_may_connect),
        WITH_CONTROL(a_group_is_let_in_and_out),
        WITH_CONTROL(a_left_socket_is_replaced),
        WITH_CONTROL(what_is_no_socket_stays),
        WITH_CONTROL(it_is_known_whether_it_is_there),
        WITH_CONTROL(its_path_may_be_longer_than_an_address),
        WITH_CONTROL(the_present_folder_may_be_gone),
        WITH_CONTROL(the_longest_idle_makes_room),
        WITH_CONTROL(who_does_not_read_makes_room_though_it_waits),
        WITH_CONTROL(where_all_are_busy_so_are_we),
        WITH_CONTROL(two_hundred_hostile_ones),
        WITH_CONTROL(where_memory_is_short_we_are_busy),
        WITH_CONTROL(who_cannot_have_a_descriptor_is_told),
        WITH_CONTROL(without_a_spare_one_there_is_a_pause),
        WITH_CONTROL(the_group_has_part),
        WITH_CONTROL(others_are_not_let_in),
        WITH_CONTROL(who_is_denied_is_told),
        WITH_CONTROL(we_and_root_have_all),
        WITH_CONTROL(the_group_has_half_of_the_places),
        WITH_CONTROL(there_may_be_fewer_places),
        WITH_CONTROL(the_last_descriptor_is_for_root),
        WITH_CONTROL(a_namespace_without_all_ids_is_known),
        WITH_CONTROL(who_may_be_anybody_has_no_rights),
        WITH_CONTROL(the_group_makes_room),
        WITH_CONTROL(whose_rights_are_taken_is_over),
        WITH_CONTROL(it_is_told_before_each_close),
        WITH_CONTROL(a_child_that_has_it_too_keeps_nobody),
        WITH_CONTROL(no_descriptor_comes_with_a_line),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
