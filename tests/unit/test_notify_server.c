/* The notify socket: its name and who may send to it, what comes, and what may come with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tend/notify_server.h"

/* LINGER, AT_ONCE: seconds; a close that blocks takes all of the first. MOST: descriptors of one
 * message. NOBODY: another user. */
enum { LINGER = 60, AT_ONCE = 20, MOST = 253, NOBODY = 65534 };

static char folder[64], buf[NOTIFY_MAX + 1];
static int dir = -1;
static struct notify_server s;
static struct notify message;
static struct notify_sender sender;
static unsigned descriptors;

/* ---- no room for a child ---- */

int __real_clone(int (*run)(void *), void *stack, int flags, void *arg, ...);
int __wrap_clone(int (*run)(void *), void *stack, int flags, void *arg, ...);

static bool no_child;
int __wrap_clone(int (*run)(void *), void *stack, int flags, void *arg, ...)
{
    if (!no_child)
        return __real_clone(run, stack, flags, arg);
    errno = EAGAIN;
    return -1;
}

/* ---- our side ---- */

static char *path_of(const char *name)
{
    static char path[200];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void shell(const char *what)
{
    char command[256];

    snprintf(command, sizeof command, "cd '%s' && %s", folder, what);
    assert_int_equal(system(command), 0);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/tend-notify-XXXXXX");
    if (!mkdtemp(folder) || chmod(folder, 0711))
        return -1;
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s = (struct notify_server){.fd = -1};
    no_child = false;
    return dir < 0;
}

static int remove_folder(void **state)
{
    (void)state;
    no_child = false;
    notify_server_close(&s, dir, "web");
    while (waitpid(-1, NULL, 0) > 0)
        ;
    shell("rm -rf \"$PWD\"");
    return close(dir);
}

static int open_one(void)
{
    return notify_server_open(&s, dir, folder, "web", geteuid());
}

static int open_server(void **state)
{
    return make_folder(state) || open_one();
}

static enum notify_taken take(void)
{
    return notify_server_take(&s, buf, &message, &sender, &descriptors);
}

static void nothing_comes(void)
{
    assert_int_equal(take(), NOTIFY_NONE);
    assert_int_equal(descriptors, 0);
}

static void is_broken(void)
{
    assert_int_equal(take(), NOTIFY_BROKEN);
    assert_int_equal(message.said, 0);
}

static void is_said(unsigned words)
{
    assert_int_equal(take(), NOTIFY_MESSAGE);
    assert_int_equal(message.said, words);
}

/* The closer, when it has ended; it has a status of its own to tell. */
static void closer_ends(void)
{
    int status;

    assert_true(s.closer > 0);
    assert_int_equal(waitpid(s.closer, &status, 0), s.closer);
    assert_int_equal(status, 0);
    notify_server_closed(&s);
    assert_int_equal(s.closer, 0);
}

static unsigned open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static struct timespec began;

static void begin(void)
{
    clock_gettime(CLOCK_MONOTONIC, &began);
}

static void nothing_blocked(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    assert_true(now.tv_sec - began.tv_sec < AT_ONCE);
}

/* ---- the other side ---- */

static int connect_to(const char *to)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    size_t n = strlen(to);

    memcpy(address.sun_path, to, n);
    if (*to == '@')
        address.sun_path[0] = '\0';
    if (connect(fd, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool send_with(const void *bytes, size_t n, const int *fds, size_t n_fds)
{
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(MOST * sizeof(int))] = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    int fd = connect_to(s.address);
    ssize_t sent;

    if (n_fds) {
        header.msg_control = room;
        header.msg_controllen = CMSG_SPACE(n_fds * sizeof *fds);
        *CMSG_FIRSTHDR(&header) = (struct cmsghdr){.cmsg_len = CMSG_LEN(n_fds * sizeof *fds),
                                                   .cmsg_level = SOL_SOCKET,
                                                   .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), fds, n_fds * sizeof *fds);
    }
    sent = fd < 0 ? -1 : sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (fd >= 0)
        close(fd);
    return sent == (ssize_t)n;
}

static bool send_text(const char *text)
{
    return send_with(text, strlen(text), NULL, 0);
}

static bool send_one(const char *text, int fd)
{
    return send_with(text, strlen(text), &fd, 1);
}

/* Whether another user can send that. */
static bool other_sends(const char *text)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY) ||
              !send_text(text));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status == 0;
}

/* A TCP socket with so much unread that its last close waits; *far: its peer. */
static int slow_one(int *far)
{
    static const char much[65536];
    const struct linger linger = {.l_onoff = 1, .l_linger = LINGER};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(socket_, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(socket_, 1), 0);
    assert_int_equal(getsockname(socket_, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(near, (struct sockaddr *)&address, size), 0);
    *far = accept4(socket_, NULL, NULL, SOCK_CLOEXEC);
    assert_true(*far >= 0);
    close(socket_);
    while (send(near, much, sizeof much, MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(setsockopt(near, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    return near;
}

static int send_slow_one(const char *text)
{
    int far, near = slow_one(&far);

    assert_true(send_one(text, near));
    close(near);
    return far;
}

/* Nobody has the other end any more. */
static void is_gone(int fd)
{
    static char much[65536];
    struct timeval limit = {.tv_sec = AT_ONCE};
    ssize_t n;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    while ((n = recv(fd, much, sizeof much, 0)) > 0)
        ;
    assert_true(n == 0 || errno == ECONNRESET);
    close(fd);
}

static bool pipe_is_closed(int end)
{
    struct pollfd p = {.fd = end};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

/* ---- its name ---- */

static mode_t mode_of(const char *name, uid_t *uid)
{
    struct stat st;

    assert_int_equal(lstat(path_of(name), &st), 0);
    *uid = st.st_uid;
    return st.st_mode;
}

static void it_stands_in_the_folder(void **state)
{
    mode_t before = umask(077);
    uid_t uid;

    (void)state;
    assert_int_equal(open_one(), 0);
    assert_int_equal(umask(before), 077);
    assert_string_equal(s.address, path_of("notify/web"));
    assert_true(s.in_directory);
    assert_int_equal(mode_of("notify", &uid), S_IFDIR | 0711);
    assert_int_equal(mode_of("notify/web", &uid), S_IFSOCK | 0600);
    assert_int_equal(uid, geteuid());
    assert_true(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(s.fd, F_GETFL) & O_NONBLOCK);
    assert_true(notify_server_stands(&s, dir, "web"));
    notify_server_close(&s, dir, "web");
    assert_int_equal(s.fd, -1);
    assert_false(notify_server_stands(&s, dir, "web"));
    assert_int_equal(access(path_of("notify/web"), F_OK), -1);
}

static void we_stay_where_we_are(void **state)
{
    char before[256], after[256];

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(open_one(), 0);
    assert_string_equal(getcwd(after, sizeof after), before);
}

static void it_belongs_to_the_user_of_the_service(void **state)
{
    uid_t uid;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(open_one(), 0);
    assert_false(other_sends("READY=1"));
    notify_server_close(&s, dir, "web");
    assert_int_equal(notify_server_open(&s, dir, folder, "web", NOBODY), 0);
    assert_int_equal(mode_of("notify/web", &uid), S_IFSOCK | 0600);
    assert_int_equal(uid, NOBODY);
    assert_true(other_sends("READY=1"));
    is_said(NOTIFY_READY);
    assert_int_equal(sender.uid, NOBODY);
    assert_true(sender.pid > 0 && sender.pid != getpid());
}

static void an_old_socket_is_replaced(void **state)
{
    struct notify_server old;

    (void)state;
    assert_int_equal(open_one(), 0);
    old = s;
    s.fd = -1;
    assert_int_equal(open_one(), 0);
    assert_true(notify_server_stands(&s, dir, "web"));
    assert_false(notify_server_stands(&old, dir, "web"));
    assert_true(send_text("READY=1"));
    is_said(NOTIFY_READY);
    notify_server_close(&old, dir, "web");
    assert_true(notify_server_stands(&s, dir, "web"));
}

static void what_is_no_socket_stays(void **state)
{
    unsigned before = open_descriptors();

    (void)state;
    shell("mkdir notify && echo mine >notify/web");
    assert_int_equal(open_one(), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(s.fd, -1);
    assert_int_equal(open_descriptors(), before);
    shell("test \"$(cat notify/web)\" = mine");
}

static void a_link_is_no_folder(void **state)
{
    (void)state;
    shell("mkdir elsewhere && ln -s elsewhere notify");
    assert_int_equal(open_one(), -1);
    assert_true(errno == ELOOP || errno == ENOTDIR);
    shell("test -z \"$(ls elsewhere)\"");
    shell("rm notify && echo x >notify");
    assert_int_equal(open_one(), -1);
    assert_int_equal(errno, ENOTDIR);
}

static void nor_is_one_of_somebody_else(void **state)
{
    uid_t uid;

    (void)state;
    shell("mkdir -m 0777 notify");
    assert_int_equal(open_one(), 0);
    assert_int_equal(mode_of("notify", &uid), S_IFDIR | 0711);
    notify_server_close(&s, dir, "web");
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(path_of("notify"), NOBODY, NOBODY), 0);
    assert_int_equal(open_one(), -1);
    assert_int_equal(errno, EPERM);
}

static void what_was_deleted_does_not_stand(void **state)
{
    (void)state;
    assert_int_equal(open_one(), 0);
    shell("mv notify/web notify/other && touch notify/web");
    assert_false(notify_server_stands(&s, dir, "web"));
    shell("rm -r notify");
    assert_false(notify_server_stands(&s, dir, "web"));
    notify_server_close(&s, dir, "web");
    assert_int_equal(open_one(), 0);
    assert_true(notify_server_stands(&s, dir, "web"));
}

static void abstract_one_works(void)
{
    char start[32];

    snprintf(start, sizeof start, "@tend-%d-web-", (int)getpid());
    assert_memory_equal(s.address, start, strlen(start));
    assert_int_equal(strlen(s.address), strlen(start) + 16);
    assert_false(s.in_directory);
    assert_true(notify_server_stands(&s, dir, "web"));
    assert_true(send_text("READY=1"));
    is_said(NOTIFY_READY);
    assert_int_equal(sender.pid, getpid());
    notify_server_close(&s, dir, "web");
    assert_int_equal(connect_to(s.address), -1);
}

static void without_a_directory_it_is_abstract(void **state)
{
    char first[NOTIFY_ADDRESS_MAX];

    (void)state;
    assert_int_equal(notify_server_open(&s, -1, NULL, "web", NOBODY), 0);
    strcpy(first, s.address);
    abstract_one_works();
    assert_int_equal(notify_server_open(&s, -1, NULL, "web", NOBODY), 0);
    assert_string_not_equal(s.address, first);
}

static void where_its_path_is_too_long_too(void **state)
{
    char path[200], name[65];
    int n = NOTIFY_ADDRESS_MAX - 1 - (int)strlen("/notify/web");

    (void)state;
    snprintf(path, sizeof path, "%s/%0*d", folder, n + 1 - (int)strlen(folder) - 1, 0);
    assert_int_equal(notify_server_open(&s, dir, path, "web", geteuid()), 0);
    abstract_one_works();
    path[n] = '\0';
    assert_int_equal(notify_server_open(&s, dir, path, "web", geteuid()), 0);
    assert_true(s.in_directory);
    assert_int_equal(strlen(s.address), NOTIFY_ADDRESS_MAX - 1);
    notify_server_close(&s, dir, "web");
    memset(name, 'n', 64);
    name[64] = '\0';
    assert_int_equal(notify_server_open(&s, -1, NULL, name, geteuid()), 0);
    assert_non_null(strstr(s.address, name));
    assert_true(send_text("READY=1"));
    is_said(NOTIFY_READY);
}

/* ---- messages ---- */

static void messages_come_in_order(void **state)
{
    (void)state;
    nothing_comes();
    assert_true(send_text("READY=1\nSTATUS=up"));
    assert_true(send_text("STOPPING=1"));
    is_said(NOTIFY_READY | NOTIFY_STATUS);
    assert_int_equal(message.status_length, 2);
    assert_memory_equal(message.status, "up", 2);
    assert_int_equal(sender.pid, getpid());
    assert_int_equal(sender.uid, geteuid());
    assert_int_equal(descriptors, 0);
    is_said(NOTIFY_STOPPING);
    nothing_comes();
    assert_int_equal(s.closer, 0);
}

static void what_is_none_is_told(void **state)
{
    static char much[65536] = "READY=1\n";

    (void)state;
    memset(much + 8, 'x', sizeof much - 8);
    assert_true(send_text(""));
    assert_true(send_with("READY=1\0X=1", 11, NULL, 0));
    assert_true(send_with("READY=1\0", 8, NULL, 0));
    assert_true(send_with(much, sizeof much, NULL, 0));
    assert_true(send_with(much, NOTIFY_MAX + 1, NULL, 0));
    assert_true(send_with(much, NOTIFY_MAX, NULL, 0));
    assert_true(send_text("STOPPING=1"));
    is_broken();
    is_broken();
    is_said(NOTIFY_READY);
    is_broken();
    is_broken();
    assert_int_equal(sender.pid, getpid());
    is_said(NOTIFY_READY);
    is_said(NOTIFY_STOPPING);
    nothing_comes();
}

static void what_waits_can_be_dropped(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(send_text("READY=1"));
    assert_true(send_one("FDSTORE=1", ends[1]));
    assert_true(send_text(""));
    assert_true(send_one("BARRIER=1", ends[1]));
    close(ends[1]);
    notify_server_drop(&s);
    nothing_comes();
    assert_int_equal(s.closer, 0);
    for (int i = 0; i < 2; i++)
        assert_true(waitpid(-1, NULL, 0) > 0);
    assert_true(pipe_is_closed(ends[0]));
    close(ends[0]);
    assert_true(send_text("STOPPING=1"));
    is_said(NOTIFY_STOPPING);
}

/* Its queue is full; with the socket it wakes up. */
static void who_waits_to_send_is_let_go(void **state)
{
    pid_t pid;
    int status, fd = connect_to(s.address);

    (void)state;
    while (send(fd, "X=1", 3, MSG_DONTWAIT) == 3)
        ;
    assert_int_equal(errno, EAGAIN);
    pid = fork();
    if (pid == 0)
        _exit(send(fd, "X=1", 3, MSG_NOSIGNAL) < 0 ? 0 : 1);
    notify_server_close(&s, dir, "web");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    /* it may have come in time to be thrown away */
    assert_true(WIFEXITED(status));
    assert_true(send(fd, "X=1", 3, MSG_NOSIGNAL | MSG_DONTWAIT) < 0);
    close(fd);
}

/* ---- descriptors ---- */

static void a_barrier_is_over_when_its_closer_is(void **state)
{
    int ends[2];
    unsigned before;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(send_text("READY=1"));
    assert_true(send_one("BARRIER=1", ends[1]));
    close(ends[1]);
    before = open_descriptors();
    assert_false(pipe_is_closed(ends[0]));
    is_said(NOTIFY_READY);
    assert_false(pipe_is_closed(ends[0]));
    is_said(NOTIFY_BARRIER);
    assert_int_equal(descriptors, 1);
    assert_int_equal(sender.pid, getpid());
    assert_int_equal(open_descriptors(), before);
    closer_ends();
    assert_true(pipe_is_closed(ends[0]));
    close(ends[0]);
}

static void one_closer_at_a_time(void **state)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    (void)state;
    assert_true(send_one("FDSTORE=1", fd));
    assert_true(send_text("READY=1"));
    assert_true(send_one("FDSTOREREMOVE=1", fd));
    is_said(NOTIFY_STORE);
    is_said(NOTIFY_READY);
    nothing_comes();
    nothing_comes();
    closer_ends();
    is_said(NOTIFY_STORE_REMOVE);
    closer_ends();
    nothing_comes();
    close(fd);
}

static void what_is_slow_to_close_keeps_nobody(void **state)
{
    int far = send_slow_one("FDSTORE=1");
    unsigned before = open_descriptors();

    (void)state;
    begin();
    is_said(NOTIFY_STORE);
    assert_int_equal(descriptors, 1);
    assert_int_equal(open_descriptors(), before);
    closer_ends();
    nothing_blocked();
    is_gone(far);
}

static void nor_with_what_is_no_message(void **state)
{
    int far = send_slow_one(""), next;

    (void)state;
    next = send_slow_one("BARRIER=1");
    begin();
    is_broken();
    assert_int_equal(descriptors, 1);
    closer_ends();
    notify_server_drop(&s);
    nothing_blocked();
    is_gone(far);
    is_gone(next);
}

static void nor_where_nothing_is_taken(void **state)
{
    int far, fd = s.fd;

    (void)state;
    assert_true(send_text("READY=1"));
    far = send_slow_one("FDSTORE=1");
    begin();
    notify_server_close(&s, dir, "web");
    for (int i = 0; i < 2000 && fcntl(fd, F_GETFD) >= 0; i++)
        usleep(10000);
    assert_true(fcntl(fd, F_GETFD) < 0);
    nothing_blocked();
    close(far);
    assert_true(waitpid(-1, NULL, 0) > 0);
}

static void signals_are_as_before(void **state)
{
    sigset_t blocked;
    int fd = eventfd(0, EFD_CLOEXEC);

    (void)state;
    assert_true(send_one("FDSTORE=1", fd));
    is_said(NOTIFY_STORE);
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int i = 1; i < 32; i++)
        assert_false(sigismember(&blocked, i));
    closer_ends();
    close(fd);
}

static void the_child_keeps_nothing_of_ours(void **state)
{
    int ends[2], fd = eventfd(0, EFD_CLOEXEC);

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(send_one("FDSTORE=1", fd));
    is_said(NOTIFY_STORE);
    close(ends[1]);
    assert_true(pipe_is_closed(ends[0]));
    closer_ends();
    assert_int_equal(fcntl(s.fd, F_GETFD), FD_CLOEXEC);
    close(ends[0]);
    close(fd);
}

static void without_a_child_it_stays(void **state)
{
    int far = send_slow_one("FDSTORE=1");
    unsigned before = open_descriptors();

    (void)state;
    begin();
    no_child = true;
    nothing_comes();
    assert_int_equal(s.closer, 0);
    notify_server_drop(&s);
    nothing_comes();
    assert_int_equal(open_descriptors(), before);
    no_child = false;
    is_said(NOTIFY_STORE);
    closer_ends();
    nothing_blocked();
    is_gone(far);
}

static void nor_is_it_closed_without_one(void **state)
{
    int far = send_slow_one("FDSTORE=1"), fd = s.fd, client = connect_to(s.address);

    (void)state;
    begin();
    no_child = true;
    notify_server_close(&s, dir, "web");
    nothing_blocked();
    assert_int_equal(s.fd, -1);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(access(path_of("notify/web"), F_OK), -1);
    assert_int_equal(send(client, "X=1", 3, MSG_NOSIGNAL), -1);
    close(client);
    close(far);
    close(fd);
}

/* The child makes room. */
static void even_where_we_have_no_more(void **state)
{
    struct rlimit limit, few;
    int far, near = slow_one(&far), fds[MOST];

    (void)state;
    for (int i = 0; i < MOST; i++)
        fds[i] = near;
    assert_true(send_with("FDSTORE=1", 9, fds, MOST));
    close(near);
    getrlimit(RLIMIT_NOFILE, &limit);
    few = (struct rlimit){.rlim_cur = open_descriptors() - 3, .rlim_max = limit.rlim_max};
    begin();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    is_said(NOTIFY_STORE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(descriptors, MOST);
    closer_ends();
    nothing_blocked();
    is_gone(far);
}

static void a_flood_of_them_leaves_none(void **state)
{
    int ends[2], fds[MOST];
    unsigned before;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (int i = 0; i < MOST; i++)
        fds[i] = ends[1];
    before = open_descriptors();
    for (int i = 0; i < 1000; i++) {
        assert_true(send_with("X=1", 3, fds, MOST));
        is_said(0);
        assert_int_equal(descriptors, MOST);
        closer_ends();
    }
    assert_int_equal(open_descriptors(), before);
    assert_true(send_text("READY=1"));
    is_said(NOTIFY_READY);
    close(ends[1]);
    assert_true(pipe_is_closed(ends[0]));
    close(ends[0]);
}

#define BARE(f)        cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
#define WITH_SERVER(f) cmocka_unit_test_setup_teardown(f, open_server, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BARE(it_stands_in_the_folder),
        BARE(we_stay_where_we_are),
        BARE(it_belongs_to_the_user_of_the_service),
        BARE(an_old_socket_is_replaced),
        BARE(what_is_no_socket_stays),
        BARE(a_link_is_no_folder),
        BARE(nor_is_one_of_somebody_else),
        BARE(what_was_deleted_does_not_stand),
        BARE(without_a_directory_it_is_abstract),
        BARE(where_its_path_is_too_long_too),
        WITH_SERVER(messages_come_in_order),
        WITH_SERVER(what_is_none_is_told),
        WITH_SERVER(what_waits_can_be_dropped),
        WITH_SERVER(who_waits_to_send_is_let_go),
        WITH_SERVER(a_barrier_is_over_when_its_closer_is),
        WITH_SERVER(one_closer_at_a_time),
        WITH_SERVER(what_is_slow_to_close_keeps_nobody),
        WITH_SERVER(nor_with_what_is_no_message),
        WITH_SERVER(nor_where_nothing_is_taken),
        WITH_SERVER(signals_are_as_before),
        WITH_SERVER(the_child_keeps_nothing_of_ours),
        WITH_SERVER(without_a_child_it_stays),
        WITH_SERVER(nor_is_it_closed_without_one),
        WITH_SERVER(even_where_we_have_no_more),
        WITH_SERVER(a_flood_of_them_leaves_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
