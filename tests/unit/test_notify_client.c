/* What we say to whoever started us, against receivers of this test's own: by libsystemd, and by
 * ourselves where that cannot be loaded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tend/notify_client.h"

/* Milliseconds: for what takes no time; as long as a test may. */
enum { AT_ONCE = 5000, PATIENCE = 20000 };

static char folder[] = "/tmp/tend-notify-client-XXXXXX";
static char address[200];
static int receiver = -1;
static struct notify_client *c;

/* ---- what stands in for the loader, the library and the kernel ---- */

static bool by_library;
static unsigned calls; /* of the library */
static bool late;      /* the call begins after the first alarm */
static bool lies;      /* poll says that there is room */
static int longest;    /* that poll was to wait */
static int (*real_notify)(int, const char *);

void *__real_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags)
{
    return by_library ? __real_dlopen(name, flags) : NULL;
}

static int notify(int unset, const char *state)
{
    const struct timespec long_enough = {.tv_sec = 10};

    calls++;
    if (late)
        assert_int_equal(nanosleep(&long_enough, NULL), -1); /* the alarm ends it */
    return real_notify(unset, state);
}

void *__real_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name)
{
    int (*ours)(int, const char *) = notify;
    void *found = __real_dlsym(library, name);

    memcpy(&real_notify, &found, sizeof real_notify);
    memcpy(&found, &ours, sizeof found);
    return found;
}

int __real_poll(struct pollfd *p, nfds_t n, int limit);
int __wrap_poll(struct pollfd *p, nfds_t n, int limit);
int __wrap_poll(struct pollfd *p, nfds_t n, int limit)
{
    longest = limit > longest ? limit : longest;
    return lies ? 1 : __real_poll(p, n, limit);
}

/* ---- the receiver ---- */

static msec clock_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (msec)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void receive(int type)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(address);
    const int on = 1;

    memcpy(a.sun_path, address, n);
    if (*address == '@')
        a.sun_path[0] = '\0';
    receiver = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(receiver >= 0);
    assert_int_equal(setsockopt(receiver, SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    n += offsetof(struct sockaddr_un, sun_path) + (*address != '@');
    assert_int_equal(bind(receiver, (struct sockaddr *)&a, (socklen_t)n), 0);
}

static void vanish(bool with_its_name)
{
    close(receiver);
    receiver = -1;
    if (with_its_name)
        assert_int_equal(unlink(address), 0);
}

/* The next message; "": there is none. It has to come from us. */
static const char *heard(void)
{
    static char bytes[4096];
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec v = {bytes, sizeof bytes - 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(receiver, &m, MSG_DONTWAIT);
    struct ucred sender;

    if (n < 0)
        return "";
    bytes[n] = '\0';
    assert_int_equal(control.head.cmsg_type, SCM_CREDENTIALS);
    memcpy(&sender, CMSG_DATA(&control.head), sizeof sender);
    assert_int_equal(sender.pid, getpid());
    return bytes;
}

static void hears(const char *message)
{
    assert_string_equal(heard(), message);
}

static void hears_all_but(const char *last)
{
    char before[4096] = "";

    for (const char *message = heard(); *message; message = heard())
        snprintf(before, sizeof before, "%s", message);
    assert_string_equal(before, last);
}

/* ---- a client ---- */

static void connects(const char *usec, const char *pid)
{
    setenv("NOTIFY_SOCKET", address, 1);
    c = notify_client_open(address, usec, pid);
    assert_non_null(c);
}

static void says(msec now)
{
    assert_null(notify_client_send(c, now));
}

static void fails(msec now, int error)
{
    assert_non_null(notify_client_send(c, now));
    assert_int_equal(errno, error);
}

static void status(const char *text)
{
    notify_client_status(c, text);
}

/* Until there is no room; how many messages wait there then. */
static unsigned fill(msec *now)
{
    unsigned n = 0;

    for (;; n++) {
        status("filling");
        *now += 1000;
        says(*now);
        if (notify_client_deadline(c, *now) != NEVER)
            return n;
        assert_true(n < 100000);
    }
}

static bool alarm_is_as_it_was(void)
{
    sigset_t set;
    struct sigaction action;

    sigpending(&set);
    if (sigismember(&set, SIGALRM))
        return false;
    sigprocmask(SIG_BLOCK, NULL, &set);
    sigaction(SIGALRM, NULL, &action);
    return sigismember(&set, SIGALRM) && action.sa_handler == SIG_DFL;
}

static int begin(void **state)
{
    (void)state;
    snprintf(address, sizeof address, "%s/socket", folder);
    calls = 0;
    late = lies = false;
    longest = 0;
    receive(SOCK_DGRAM);
    connects(NULL, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    assert_true(alarm_is_as_it_was());
    if (c)
        notify_client_close(c);
    c = NULL;
    if (receiver >= 0)
        vanish(*address == '/');
    return 0;
}

static void again(const char *usec, const char *pid)
{
    notify_client_close(c);
    connects(usec, pid);
}

static void moves(const char *where)
{
    void *none = NULL;

    end(&none);
    snprintf(address, sizeof address, "%s", where);
    receive(SOCK_DGRAM);
    connects(NULL, NULL);
}

/* ---- what is said ---- */

static void one_message_has_all(void **state)
{
    (void)state;
    again("20000000", NULL);
    status("3/3 ready");
    notify_client_extend(c, 15000);
    notify_client_ready(c);
    assert_int_equal(notify_client_deadline(c, 700), 700);
    says(700);
    hears("READY=1\nSTATUS=3/3 ready\nEXTEND_TIMEOUT_USEC=15000000\nWATCHDOG=1");
    hears("");
    assert_int_equal(calls, by_library);
    assert_int_equal(notify_client_deadline(c, 700), 10700);
    assert_string_equal(getenv("NOTIFY_SOCKET"), address);
}

static void nothing_is_said_of_nothing(void **state)
{
    (void)state;
    assert_true(notify_client_deadline(c, 5) == NEVER);
    says(5);
    hears("");
    assert_int_equal(calls, 0);
}

static void words_come_one_by_one(void **state)
{
    unsigned long long at;
    msec before = clock_now(), after;
    char rest[64];

    (void)state;
    notify_client_ready(c);
    notify_client_reloading(c);
    after = clock_now();
    notify_client_ready(c);
    status("x");
    notify_client_stopping(c);
    says(1);
    assert_int_equal(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%llu\n%63s", &at, rest), 2);
    assert_string_equal(rest, "STATUS=x");
    assert_true((msec)(at / 1000) >= before && (msec)(at / 1000) <= after);
    hears("READY=1");
    hears("STOPPING=1");
    hears("");
}

static void the_newest_of_each_is_said(void **state)
{
    (void)state;
    notify_client_reloading(c);
    notify_client_ready(c);
    notify_client_reloading(c);
    notify_client_extend(c, 1);
    notify_client_extend(c, 2000);
    says(1);
    hears("READY=1\nEXTEND_TIMEOUT_USEC=2000000");
    assert_non_null(strstr(heard(), "RELOADING=1\nMONOTONIC_USEC="));
    hears("");
}

static void a_status_by_itself_is_not_said_too_often(void **state)
{
    (void)state;
    status("a");
    says(1000);
    hears("STATUS=a");
    status("b");
    says(1050);
    status("c");
    assert_int_equal(notify_client_deadline(c, 1060), 1100);
    says(1099);
    hears("");
    says(1100);
    hears("STATUS=c");
    status("d");
    notify_client_stopping(c);
    says(1101);
    hears("STOPPING=1\nSTATUS=d");
}

static void a_status_is_one_line(void **state)
{
    char long_one[1000], line[300];

    (void)state;
    status("a\nREADY=1");
    says(1);
    hears("STATUS=a READY=1");
    memset(long_one, 'x', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    status(long_one);
    says(1000);
    snprintf(line, sizeof line, "STATUS=%.255s", long_one);
    hears(line);
}

static void a_watchdog_is_fed(void **state)
{
    char own[32];

    (void)state;
    snprintf(own, sizeof own, "%d", (int)getpid());
    again("1000000", own);
    assert_int_equal(notify_client_deadline(c, 10), 10);
    says(10);
    hears("WATCHDOG=1");
    assert_int_equal(notify_client_deadline(c, 10), 510);
    says(509);
    hears("");
    says(510);
    hears("WATCHDOG=1");
    again("1", own);
    says(10);
    hears("WATCHDOG=1");
    assert_int_equal(notify_client_deadline(c, 10), 11);
}

static void no_watchdog_is_fed_that_is_not_ours(void **state)
{
    static const char *const rows[][2] = {{"1000000", "1"}, {"1000000", "0"},
                                          {"1000000", "x"}, {"0", NULL},
                                          {"-5", NULL},     {"", NULL},
                                          {"1000000", ""},  {"1s", NULL},
                                          {NULL, NULL},     {"99999999999999999999", NULL}};

    (void)state;
    assert_int_not_equal(getpid(), 1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        again(rows[i][0], rows[i][1]);
        assert_true(notify_client_deadline(c, 10) == NEVER);
        says(10);
        hears("");
    }
}

/* ---- a receiver that does not read ---- */

static void a_full_receiver_is_not_waited_for(void **state)
{
    msec now = 0, tries = 0, begin_ = clock_now();
    unsigned waiting = fill(&now), called;

    (void)state;
    assert_true(waiting > 0);
    called = calls;
    for (int i = 0; i < 1000; i++) {
        char text[32];
        snprintf(text, sizeof text, "turn %d", i);
        status(text);
        notify_client_extend(c, 1000 + i);
        tries += notify_client_deadline(c, now) <= now;
        says(now);
        now += 10;
    }
    assert_true(clock_now() - begin_ < AT_ONCE);
    assert_int_equal(calls, called); /* it is not even asked */
    assert_in_range(tries, 8, 16);   /* after 50, 100, 200 ms... at most 1 s */
    assert_true(notify_client_deadline(c, now) <= now + 1000);
    notify_client_ready(c);
    hears_all_but("STATUS=filling");
    says(notify_client_deadline(c, now));
    hears("READY=1\nSTATUS=turn 999\nEXTEND_TIMEOUT_USEC=1999000");
    hears("");
    assert_true(notify_client_deadline(c, now) == NEVER);
}

static void room_that_is_gone_does_not_keep_us(void **state)
{
    msec now = 0, begin_;

    (void)state;
    fill(&now);
    lies = true;
    begin_ = clock_now();
    for (int i = 0; i < 5; i++) {
        now += 2000;
        late = i == 4;
        notify_client_ready(c);
        says(now);
        assert_true(alarm_is_as_it_was());
        assert_true(notify_client_deadline(c, now) > now);
    }
    assert_true(clock_now() - begin_ < AT_ONCE);
    assert_int_equal(calls >= 5, by_library);
}

/* ---- one that is not there ---- */

static void who_vanished_is_told_once(bool with_its_name, int error)
{
    notify_client_ready(c);
    status("a");
    says(1000);
    hears("READY=1\nSTATUS=a");
    vanish(with_its_name);
    status("b");
    fails(2000, error);
    assert_int_equal(notify_client_deadline(c, 2000), 3000);
    status("c");
    says(2500);
    says(3000);
    assert_int_equal(notify_client_deadline(c, 3000), 4000);
    notify_client_stopping(c);
    status("d");
    says(4000);
    if (!with_its_name)
        assert_int_equal(unlink(address), 0);
    receive(SOCK_DGRAM);
    says(5000);
    hears("STOPPING=1\nSTATUS=d");
    hears("");
    vanish(true);
    status("e");
    fails(6000, ENOENT);
    receive(SOCK_DGRAM);
}

static void who_vanished_and_comes_back(void **state)
{
    (void)state;
    who_vanished_is_told_once(true, ENOENT);
}

static void who_left_a_name_and_comes_back(void **state)
{
    (void)state;
    who_vanished_is_told_once(false, ECONNREFUSED);
}

/* The one that is there counts, whatever the other has in its queue. */
static void another_receiver_takes_its_place(void **state)
{
    msec now = 0;
    int old;

    (void)state;
    fill(&now);
    old = receiver;
    assert_int_equal(unlink(address), 0);
    receive(SOCK_DGRAM);
    says(now + 1000);
    hears("STATUS=filling");
    close(old);
}

static void who_vanishes_while_full(void **state)
{
    msec now = 0;

    (void)state;
    fill(&now);
    vanish(true);
    fails(now + 1000, ENOENT);
    says(now + 2000);
    receive(SOCK_DGRAM);
    says(now + 3000);
    hears("STATUS=filling");
}

static void who_takes_no_datagrams(void **state)
{
    (void)state;
    vanish(true);
    receive(SOCK_STREAM);
    status("a");
    fails(1000, EPROTOTYPE);
}

/* ---- the address ---- */

static void an_abstract_one(void **state)
{
    char name[120];

    (void)state;
    snprintf(name, sizeof name, "@tend-notify-client-%d", (int)getpid());
    moves(name);
    status("a");
    says(1000);
    hears("STATUS=a");
    assert_int_equal(calls, by_library);
    vanish(false);
    status("b");
    fails(2000, ECONNREFUSED);
}

static void padded(char path[200], const char *begin_, size_t n)
{
    snprintf(path, 200, "%s%0*d", begin_, (int)(n - strlen(begin_)), 0);
    assert_int_equal(strlen(path), n);
}

static void a_long_one(void **state)
{
    char path[200], start[64];

    (void)state;
    snprintf(start, sizeof start, "%s/", folder);
    padded(path, start, 107);
    moves(path);
    status("a");
    says(1000);
    hears("STATUS=a");
    padded(path, "@tend", 108); /* the library takes one less */
    moves(path);
    status("b");
    says(1000);
    hears("STATUS=b");
    padded(path, start, 108);
    assert_null(notify_client_open(path, NULL, NULL));
    assert_int_equal(errno, ENAMETOOLONG);
}

static void none(void **state)
{
    static const char *const bad[] = {"/", "@", "run/systemd/notify", "vsock:2:1234", " /run/x"};

    (void)state;
    errno = EBADF;
    assert_null(notify_client_open(NULL, "1000000", NULL));
    assert_int_equal(errno, 0);
    errno = EBADF;
    assert_null(notify_client_open("", NULL, NULL));
    assert_int_equal(errno, 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_null(notify_client_open(bad[i], NULL, NULL));
        assert_int_equal(errno, EINVAL);
    }
}

static void one_that_is_no_longer_in_the_environment(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    notify_client_ready(c);
    says(1000);
    hears("READY=1");
}

/* ---- the end ---- */

static void the_last_status_is_said_at_once(void **state)
{
    (void)state;
    status("a");
    says(clock_now());
    hears("STATUS=a");
    status("b");
    notify_client_drain(c, PATIENCE);
    hears("STATUS=b");
    assert_int_equal(longest, 0);
}

static void who_reads_is_waited_for(void **state)
{
    msec now = clock_now() - 100000;
    unsigned waiting = fill(&now);
    char bytes[64];
    int status_;
    pid_t pid;

    (void)state;
    again(NULL, NULL);
    notify_client_stopping(c);
    pid = fork();
    if (pid == 0) {
        for (unsigned i = 0; i < waiting; i++)
            if (recv(receiver, bytes, sizeof bytes, 0) < 0)
                _exit(1);
        _exit(0);
    }
    notify_client_drain(c, PATIENCE);
    assert_true(notify_client_deadline(c, clock_now()) == NEVER);
    assert_int_equal(waitpid(pid, &status_, 0), pid);
    assert_int_equal(status_, 0);
    hears("STOPPING=1");
}

static void who_does_not_is_waited_for_in_vain(void **state)
{
    msec now = clock_now() - 100000, begin_;

    (void)state;
    fill(&now);
    again(NULL, NULL);
    notify_client_stopping(c);
    begin_ = clock_now();
    notify_client_drain(c, 100);
    assert_in_range(clock_now() - begin_, 100, AT_ONCE);
    assert_in_range(longest, 1, 100);
}

static void who_has_not_read_for_long_is_not(void **state)
{
    msec now = clock_now() - 100000;

    (void)state;
    fill(&now);
    says(clock_now());
    notify_client_stopping(c);
    notify_client_drain(c, 500);
    assert_int_equal(longest, 0);
}

static void nor_is_who_is_not_there(void **state)
{
    (void)state;
    vanish(true);
    notify_client_stopping(c);
    notify_client_drain(c, PATIENCE);
    assert_int_equal(longest, 0);
}

/* ---- both ways ---- */

static int with_library(void **state)
{
    void *library = __real_dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);

    (void)state;
    by_library = library != NULL;
    if (library)
        dlclose(library);
    else
        print_message("# no libsystemd here\n");
    return 0;
}

static int without_library(void **state)
{
    (void)state;
    by_library = false;
    return 0;
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(one_message_has_all),
        WITH(nothing_is_said_of_nothing),
        WITH(words_come_one_by_one),
        WITH(the_newest_of_each_is_said),
        WITH(a_status_by_itself_is_not_said_too_often),
        WITH(a_status_is_one_line),
        WITH(a_watchdog_is_fed),
        WITH(no_watchdog_is_fed_that_is_not_ours),
        WITH(a_full_receiver_is_not_waited_for),
        WITH(room_that_is_gone_does_not_keep_us),
        WITH(who_vanished_and_comes_back),
        WITH(who_left_a_name_and_comes_back),
        WITH(another_receiver_takes_its_place),
        WITH(who_vanishes_while_full),
        WITH(who_takes_no_datagrams),
        WITH(an_abstract_one),
        WITH(a_long_one),
        WITH(none),
        WITH(one_that_is_no_longer_in_the_environment),
        WITH(the_last_status_is_said_at_once),
        WITH(who_reads_is_waited_for),
        WITH(who_does_not_is_waited_for_in_vain),
        WITH(who_has_not_read_for_long_is_not),
        WITH(nor_is_who_is_not_there),
    };
    sigset_t all;
    int failed;

    sigfillset(&all);
    sigdelset(&all, SIGTERM);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (!mkdtemp(folder))
        return 1;
    failed = cmocka_run_group_tests_name("by the library", tests, with_library, NULL);
    failed += cmocka_run_group_tests_name("by ourselves", tests, without_library, NULL);
    rmdir(folder);
    return failed;
}
