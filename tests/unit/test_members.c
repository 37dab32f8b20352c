/* Parsing and attribution by tables; then real children, compared with what the kernel is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tend/members.h"

/* ---- the text of stat ---- */

#define TAIL    " 34816 100 4194304 1 2 3 4 5 6 7 8 20 0 1 0 "
#define REST    " 1 2 18446744073709551615 3\n"
#define LINE(c) "12 (" c ") S 7 8 9" TAIL "99" REST
#define GOOD(c)                                                                                    \
    {                                                                                              \
        c, LINE(c), sizeof(LINE(c)) - 1,                                                           \
        {                                                                                          \
            12, 7, 8, 9, 'S', 99                                                                   \
        }                                                                                          \
    }
#define TEXT(w, t, ...)                                                                            \
    {                                                                                              \
        w, t, sizeof(t) - 1, __VA_ARGS__                                                           \
    }
#define BAD(w, t)                                                                                  \
    {                                                                                              \
        w, t, sizeof(t) - 1,                                                                       \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

static const struct {
    const char *what, *text;
    size_t n;
    struct process_stat want; /* pid 0: to be refused */
} stats[] = {
    GOOD("cat"),
    GOOD(""),
    GOOD(") R 1 ("),
    GOOD("a) S 1 1 1 0"),
    GOOD("))))"),
    GOOD("(("),
    GOOD("new\nline"),
    GOOD(" "),
    GOOD("\n) Z 1"),
    GOOD("nul\0 byte"),
    GOOD("\xff\xfe"),
    TEXT("zombie", "1 (x) Z 0 0 0" TAIL "0 0\n", {1, 0, 0, 0, 'Z', 0}),
    TEXT("past its end",
         "3 (x) X 0 -1 -1 0 -1"
         " 4194304 1 2 3 4 5 6 7 8 20 0 1 0 5 \n",
         {3, 0, -1, -1, 'X', 5}),
    TEXT("greatest", "2147483647 (x) D 2147483647 1 1" TAIL "18446744073709551615\n",
         {2147483647, 2147483647, 1, 1, 'D', UINT64_MAX}),
    BAD("empty", ""),
    BAD("only a number", "12"),
    BAD("no name", "12 S 7 8 9" TAIL "99" REST),
    BAD("name not closed", "12 (cat S 7 8 9" TAIL "99" REST),
    BAD("closed before opened", "12 )cat( S 7 8 9" TAIL "99" REST),
    BAD("closed before all", ") (cat S 7 8 9" TAIL "99" REST),
    BAD("only name", "12 (cat)"),
    BAD("name and space", "12 (cat) "),
    BAD("cut in state", "12 (cat) S"),
    BAD("cut in the odd name", "12 () R 1 ("),
    BAD("cut in parent", "12 (cat) S 7"),
    BAD("cut in session", "12 (cat) S 7 8 9"),
    BAD("cut before born", "12 (cat) S 7 8 9" TAIL),
    BAD("born may go on", "12 (cat) S 7 8 9" TAIL "99"),
    BAD("pid 0", "0 (cat) S 7 8 9" TAIL "99" REST),
    BAD("pid below 0", "-4 (cat) S 7 8 9" TAIL "99" REST),
    BAD("pid too great", "2147483648 (cat) S 7 8 9" TAIL "99" REST),
    BAD("pid far too great", "99999999999999999999999 (cat) S 7 8 9" TAIL "99" REST),
    BAD("born too great", "12 (cat) S 7 8 9" TAIL "18446744073709551616" REST),
    BAD("born below 0", "12 (cat) S 7 8 9" TAIL "-1" REST),
    BAD("no state", "12 (cat) 7 8 9" TAIL "99" REST),
    BAD("parent is a word", "12 (cat) S x 8 9" TAIL "99" REST),
    BAD("group is a minus", "12 (cat) S 7 - 9" TAIL "99" REST),
    BAD("two spaces", "12 (cat) S 7 8 9  34816 1 4 1 2 3 4 5 6 7 8 20 0 1 0 99" REST),
    BAD("space before", " " LINE("cat")),
};

static void same_stat(const struct process_stat *a, const struct process_stat *b)
{
    assert_int_equal(a->pid, b->pid);
    assert_int_equal(a->ppid, b->ppid);
    assert_int_equal(a->pgrp, b->pgrp);
    assert_int_equal(a->session, b->session);
    assert_int_equal(a->state, b->state);
    assert_true(a->born == b->born);
}

/* A copy of exact size, so that a sanitizer sees each byte too many. */
static bool parse_exactly(const char *text, size_t n, struct process_stat *out)
{
    char *copy = malloc(n ? n : 1);

    assert_non_null(copy);
    memcpy(copy, text, n);
    bool good = members_parse_stat(copy, n, out);
    free(copy);
    return good;
}

static void parses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(stats); i++) {
        const struct process_stat before = {-5, -5, -5, -5, '?', 5};
        struct process_stat got = before;
        bool good = parse_exactly(stats[i].text, stats[i].n, &got);

        if (good != (stats[i].want.pid != 0))
            fail_msg("%s: %s", stats[i].what, good ? "taken" : "refused");
        same_stat(&got, good ? &stats[i].want : &before);
    }
}

/* Every length of a good text up to the end of field 22 is refused, every later one taken. */
static void parses_each_length(void **state)
{
    static const char text[] = LINE(") R 1 (");
    size_t enough = sizeof(text) - sizeof(REST) + 1;
    struct process_stat got;

    (void)state;
    for (size_t n = 0; n < sizeof(text); n++)
        assert_int_equal(parse_exactly(text, n, &got), n >= enough);
}

static void parses_anything(void **state)
{
    static const char letters[] = "0123456789 ()-SZ\n";
    char text[160];

    (void)state;
    srand(7);
    for (int round = 0; round < 100000; round++) {
        struct process_stat got = {.pid = 1};
        size_t n = (size_t)rand() % sizeof(text);
        size_t good = (size_t)snprintf(text, sizeof(text), "%s", LINE("cat"));
        if (n > good || round % 2)
            for (size_t i = 0; i < n; i++)
                text[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
        else
            text[(size_t)rand() % good] = letters[(size_t)rand() % (sizeof(letters) - 1)];
        parse_exactly(text, n, &got);
        assert_true(got.pid > 0);
    }
}

/* ---- attribution ---- */

enum { SELF = 2, DEEP = 10000 };

/* Who is directly somebody's: by session, as the caller will do it; 0 is nobody's. */
static unsigned asked;
static int by_session(void *arg, const struct process_stat *p)
{
    asked++;
    assert_ptr_equal(arg, &asked);
    return p->session > 0 ? p->session : -1;
}

#define P(pid, ppid)                                                                               \
    {                                                                                              \
        pid, ppid, 0, 0, 'S', 0                                                                    \
    }
#define MAIN(pid, ppid, owner)                                                                     \
    {                                                                                              \
        pid, ppid, 0, owner, 'S', 0                                                                \
    }
static const struct {
    const char *what;
    struct process_stat at[6]; /* pid, parent, group, session (the owner), state, born */
    int owner[6];
} families[] = {
    {"nobody", {{.pid = 0}}, {0}},
    {"our child", {P(1, 0), P(2, 1), MAIN(5, 2, 7)}, {-1, -1, 7}},
    {"child of a main", {P(2, 1), MAIN(5, 2, 7), P(6, 5), P(9, 6)}, {-1, 7, 7, 7}},
    {"parent with the greater pid", {P(2, 1), P(5, 9), MAIN(9, 2, 7)}, {-1, 7, 7}},
    {"main of a main", {MAIN(5, 2, 7), MAIN(6, 5, 8), P(7, 6), P(8, 5)}, {7, 8, 8, 7}},
    {"a stray and its child", {P(2, 1), P(5, 2), P(6, 5)}, {-1, -1, -1}},
    {"parent not seen", {P(5, 4), P(6, 5)}, {-1, -1}},
    {"self belongs to nobody", {MAIN(1, 0, 3), MAIN(2, 1, 3), P(5, 2)}, {3, -1, -1}},
    {"ours are not those of our parent",
     {MAIN(1, 0, 3), P(2, 1), P(4, 1), P(5, 2)},
     {3, -1, 3, -1}},
    {"self not seen", {MAIN(1, 0, 3), P(5, 2), P(6, 5)}, {3, -1, -1}},
    {"own parent", {P(5, 5), P(6, 5)}, {-1, -1}},
    {"circle", {P(5, 7), P(6, 5), P(7, 6), P(8, 7)}, {-1, -1, -1, -1}},
    {"circle with an owner", {P(5, 7), MAIN(6, 5, 4), P(7, 6), P(8, 7)}, {4, 4, 4, 4}},
    {"two circles", {P(5, 6), P(6, 5), P(7, 8), P(8, 7), P(9, 6)}, {-1, -1, -1, -1, -1}},
    {"parent's pid used again",
     {{5, 2, 0, 7, 'S', 100}, {6, 5, 0, 0, 'S', 99}, {8, 6, 0, 0, 'S', 120}},
     {7, -1, -1}},
    {"born in the same tick", {{5, 2, 0, 7, 'S', 100}, {6, 5, 0, 0, 'S', 100}}, {7, 7}},
    {"zombie parent", {{5, 2, 0, 7, 'Z', 0}, P(6, 5)}, {7, 7}},
};

static void attributes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct process_stat at[6];
        int owner[6] = {-9, -9, -9, -9, -9, -9};
        struct snapshot s = {at, 0, 6};

        memcpy(at, families[i].at, sizeof(at));
        while (s.n < 6 && at[s.n].pid > 0)
            s.n++;
        snapshot_attribute(&s, SELF, by_session, &asked, owner);
        for (size_t k = 0; k < 6; k++) {
            int want = k < s.n ? families[i].owner[k] : -9;
            if (owner[k] != want)
                fail_msg("%s: %d is of %d, not %d", families[i].what, at[k].pid, owner[k], want);
        }
    }
}

static int all_zero(void *arg, const struct process_stat *p)
{
    (void)arg;
    (void)p;
    return 0;
}

static void owner_zero_is_an_owner(void **state)
{
    struct process_stat at[] = {{.pid = 2, .ppid = 1}, {.pid = 5, .ppid = 2}};
    struct snapshot s = {at, 2, 2};
    int owner[2] = {9, 9};

    (void)state;
    snapshot_attribute(&s, SELF, all_zero, NULL, owner);
    assert_int_equal(owner[0], -1);
    assert_int_equal(owner[1], 0);
}

/* A chain either way, with the owner at its top: asked once of each, and no deep stack. */
static void attributes_deep_chains(void **state)
{
    static struct process_stat at[DEEP];
    static int owner[DEEP];
    struct snapshot s = {at, DEEP, DEEP};

    (void)state;
    for (int down = 0; down < 2; down++) {
        for (int i = 0; i < DEEP; i++)
            at[i] = (struct process_stat){.pid = 10 + i, .ppid = down ? 11 + i : 9 + i};
        at[down ? DEEP - 1 : 0].ppid = SELF;
        at[down ? DEEP - 1 : 0].session = 77;
        asked = 0;
        snapshot_attribute(&s, SELF, by_session, &asked, owner);
        assert_int_equal(asked, DEEP);
        for (int i = 0; i < DEEP; i++)
            assert_int_equal(owner[i], 77);
    }
    at[0].ppid = 10 + DEEP - 1;
    at[DEEP - 1].ppid = 10;
    at[DEEP - 1].session = 0;
    snapshot_attribute(&s, SELF, by_session, &asked, owner);
    for (int i = 0; i < DEEP; i++)
        assert_int_equal(owner[i], -1);
}

static void finds(void **state)
{
    struct process_stat at[] = {{.pid = 2}, {.pid = 5}, {.pid = 9}};
    struct snapshot s = {at, 3, 3}, none = {0};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(snapshot_find(&s, at[i].pid), &at[i]);
    for (pid_t pid = -1; pid < 12; pid++)
        assert_int_equal(snapshot_find(&s, pid) != NULL, pid == 2 || pid == 5 || pid == 9);
    assert_null(snapshot_find(&none, 2));
}

/* ---- the members of a service ---- */

static void members_come_and_go(void **state)
{
    static const pid_t order[] = {50, 20, 90, 10, 60, 30, 70, 80, 40};
    struct members m = {0};

    (void)state;
    assert_false(members_has(&m, 10, 1));
    members_begin(&m);
    for (size_t i = 0; i < ARRAY_SIZE(order); i++)
        assert_int_equal(members_see(&m, order[i], 1), 0);
    members_end(&m);
    assert_int_equal(m.n, ARRAY_SIZE(order));
    for (pid_t pid = 5; pid < 100; pid += 5)
        assert_int_equal(members_has(&m, pid, 1), pid % 10 == 0);
    assert_false(members_has(&m, 50, 2));

    members_begin(&m);
    for (pid_t pid = 20; pid <= 90; pid += 20)
        assert_int_equal(members_see(&m, pid, 1), 0);
    assert_int_equal(members_see(&m, 20, 1), 0);
    members_end(&m);
    assert_int_equal(m.n, 4);
    for (pid_t pid = 10; pid <= 90; pid += 10)
        assert_int_equal(members_has(&m, pid, 1), pid % 20 == 0);
    members_begin(&m);
    members_end(&m);
    assert_int_equal(m.n, 0);
    members_free(&m);
    assert_null(m.at);
}

/* Who was told stays told; who has its pid after it was not. */
static void members_keep_who_was_told(void **state)
{
    struct members m = {0};

    (void)state;
    members_see(&m, 10, 1);
    members_see(&m, 20, 1);
    m.at[0].told = m.at[1].told = true;
    members_begin(&m);
    members_see(&m, 10, 1);
    members_see(&m, 20, 5);
    members_see(&m, 15, 1);
    members_end(&m);
    assert_int_equal(m.n, 3);
    for (unsigned i = 0; i < m.n; i++)
        assert_int_equal(m.at[i].told, m.at[i].pid == 10);
    assert_true(members_has(&m, 20, 5));
    assert_false(members_has(&m, 20, 1));
    members_free(&m);
}

/* ---- real processes ---- */

enum { MANY = 1000 };
static pid_t started[MANY];
static size_t n_started;

static int setup_real(void **state)
{
    (void)state;
    n_started = 0;
    return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* Only our own children, and what they left to us. */
static int end_all(void **state)
{
    pid_t *pids = NULL;
    size_t room = 0;
    int proc = members_open(), n;

    (void)state;
    while ((n = members_children(proc, &pids, &room)) > 0) {
        for (int i = 0; i < n; i++)
            kill(pids[i] > 1 ? pids[i] : INT_MAX, SIGKILL);
        for (int i = 0; i < n; i++)
            waitpid(pids[i], NULL, 0);
    }
    for (size_t i = 0; n < 0 && i < n_started; i++) {
        kill(started[i], SIGKILL);
        waitpid(started[i], NULL, 0);
    }
    free(pids);
    close(proc);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    return 0;
}

static void stay(bool with_parent)
{
    if (with_parent)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(60);
    for (;;)
        pause();
}

static pid_t start(void (*work)(void *), void *arg)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (work)
            work(arg);
        stay(true);
    }
    assert_true(n_started < MANY);
    return started[n_started++] = pid;
}

static int open_proc(void)
{
    int proc = members_open();

    if (proc < 0) {
        print_message("no /proc of our own: %s\n", strerror(errno));
        skip();
    }
    return proc;
}

static void odd_name(void *pipe)
{
    prctl(PR_SET_NAME, ") R 1 (\n) Z 2 ");
    setsid();
    if (write(*(int *)pipe, "x", 1) != 1)
        _exit(1);
}

/* Waits for its word, at most 10 s. */
static void wait_word(int fd, void *word, size_t n)
{
    struct pollfd p = {fd, POLLIN, 0};

    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_int_equal(read(fd, word, n), n);
}

static void reads_a_real_stat(void **state)
{
    struct process_stat got;
    int proc = open_proc(), words[2];
    char word;

    (void)state;
    assert_int_equal(pipe(words), 0);
    pid_t pid = start(odd_name, &words[1]);
    wait_word(words[0], &word, 1);
    assert_int_equal(members_stat(proc, pid, &got), 0);
    assert_int_equal(got.pid, pid);
    assert_int_equal(got.ppid, getpid());
    assert_int_equal(got.pgrp, pid);
    assert_int_equal(got.session, pid);
    assert_non_null(strchr("SRD", got.state));
    uint64_t born = got.born;

    kill(pid, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(members_stat(proc, pid, &got), 0);
    assert_int_equal(got.state, 'Z');
    assert_true(got.born == born);
    waitpid(pid, NULL, 0);
    assert_int_equal(members_stat(proc, pid, &got), -1);
    assert_true(errno == ENOENT || errno == ESRCH);
    assert_int_equal(members_stat(proc, getpid(), &got), 0);
    assert_int_equal(got.session, getsid(0));
    close(words[0]);
    close(words[1]);
    close(proc);
}

static void refuses_what_is_no_proc(void **state)
{
    struct process_stat got;
    struct snapshot s = {0};
    pid_t *pids = NULL;
    size_t room = 0;
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), proc = open_proc();

    (void)state;
    assert_int_equal(members_stat(root, 1, &got), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(members_children(root, &pids, &room), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(members_stat(-1, 1, &got), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(snapshot_take(-1, &s, NULL, NULL), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(s.n, 0);
    assert_int_equal(members_children(-1, &pids, &room), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(members_stat(proc, 0, &got), -1);
    assert_int_equal(errno, ESRCH);
    assert_int_equal(members_stat(proc, -1, &got), -1);
    assert_int_equal(errno, ESRCH);
    assert_int_equal(fcntl(proc, F_GETFD), FD_CLOEXEC);
    close(root);
    close(proc);
}

/* Our child is PID 1 of a namespace, but /proc is still the old one: its numbers are not ours. */
static void refuses_a_foreign_proc(void **state)
{
    int status;

    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWPID) < 0)
            _exit(99);
        pid_t inner = fork();
        if (inner == 0)
            _exit(members_open() == -1 && errno == ENOENT ? 0 : 1);
        _exit(waitpid(inner, &status, 0) == inner && WIFEXITED(status) ? WEXITSTATUS(status) : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 99) {
        print_message("no right to make a PID namespace\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static bool contains(const pid_t *pids, int n, pid_t pid)
{
    for (int i = 0; i < n; i++) {
        if (pids[i] == pid)
            return true;
    }
    return false;
}

/* More than one buffer of them, and a zombie. */
static void lists_our_children(void **state)
{
    pid_t *pids = NULL;
    size_t room = 0;
    int proc = open_proc();

    (void)state;
    assert_int_equal(members_children(proc, &pids, &room), 0);
    for (int i = 0; i < 900; i++)
        start(NULL, NULL);
    kill(started[3], SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)started[3], &info, WEXITED | WNOWAIT), 0);

    assert_int_equal(members_children(proc, &pids, &room), 900);
    assert_true(room >= 900);
    for (int i = 0; i < 900; i++)
        assert_true(contains(pids, 900, started[i]));
    waitpid(started[3], NULL, 0);
    assert_int_equal(members_children(proc, &pids, &room), 899);
    assert_false(contains(pids, 899, started[3]));
    free(pids);
    close(proc);
}

/* main (own session) -> child -> grandchild that escapes by setsid; and one whose parents died. */
struct family {
    int words;
    bool orphan;
};

static void tell_pid(int fd)
{
    pid_t pid = getpid();

    if (write(fd, &pid, sizeof(pid)) != sizeof(pid))
        _exit(1);
}

static void found_family(void *arg)
{
    const struct family *f = arg;

    setsid();
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            setsid();
            tell_pid(f->words);
            stay(!f->orphan);
        }
        if (f->orphan)
            _exit(0);
        tell_pid(f->words);
        stay(true);
    }
    tell_pid(f->words);
}

static pid_t main_pid;
static int is_main(void *arg, const struct process_stat *p)
{
    (void)arg;
    return p->session == main_pid || p->pgrp == main_pid ? 4 : -1;
}

static void attributes_real_descendants(void **state)
{
    int proc = open_proc(), words[2];
    struct family family;
    struct snapshot s = {0};
    pid_t told[3];

    (void)state;
    assert_int_equal(pipe(words), 0);
    family = (struct family){words[1], false};
    main_pid = start(found_family, &family);
    pid_t other = start(NULL, NULL);
    for (int i = 0; i < 3; i++)
        wait_word(words[0], &told[i], sizeof(told[i]));

    assert_int_equal(snapshot_take(proc, &s, NULL, NULL), 0);
    int *owner = calloc(s.n, sizeof(*owner));
    assert_non_null(owner);
    snapshot_attribute(&s, getpid(), is_main, NULL, owner);
    size_t ours = 0;
    for (size_t i = 0; i < s.n; i++)
        ours += owner[i] == 4;
    assert_int_equal(ours, 3);
    for (int i = 0; i < 3; i++) {
        const struct process_stat *p = snapshot_find(&s, told[i]);
        assert_non_null(p);
        assert_int_equal(p->session, told[i]);
        assert_int_equal(owner[p - s.at], 4);
    }
    assert_int_equal(owner[snapshot_find(&s, other) - s.at], -1);
    assert_int_equal(owner[snapshot_find(&s, getpid()) - s.at], -1);
    free(owner);
    snapshot_free(&s);
    close(words[0]);
    close(words[1]);
    close(proc);
}

static bool is_known(void *arg, pid_t pid, struct process_stat *out)
{
    size_t *n_asked = arg;

    ++*n_asked;
    if (pid != main_pid)
        return false;
    *out = (struct process_stat){.pid = pid, .ppid = getpid(), .pgrp = pid, .session = pid};
    return true;
}

static int by_number(void *arg, const struct process_stat *p)
{
    (void)arg;
    return p->pid == main_pid ? 4 : -1;
}

/* Of whom the caller knows, the kernel is not asked; whoever descends from it has a parent. */
static void takes_a_known_one_as_told(void **state)
{
    int proc = open_proc(), words[2];
    struct snapshot s = {0};
    struct family family;
    size_t n_asked = 0, ours = 0;
    pid_t told[3];

    (void)state;
    assert_int_equal(pipe(words), 0);
    family = (struct family){words[1], false};
    main_pid = start(found_family, &family);
    for (int i = 0; i < 3; i++)
        wait_word(words[0], &told[i], sizeof(told[i]));
    assert_int_equal(snapshot_take(proc, &s, is_known, &n_asked), 0);
    assert_true(n_asked >= s.n);
    const struct process_stat *known = snapshot_find(&s, main_pid);
    assert_non_null(known);
    assert_int_equal(known->state, '\0');
    assert_int_equal(known->born, 0);
    assert_true(snapshot_find(&s, getpid())->born > 0);
    int *owner = calloc(s.n, sizeof(*owner));
    snapshot_attribute(&s, getpid(), by_number, NULL, owner);
    for (size_t i = 0; i < s.n; i++)
        ours += owner[i] == 4;
    assert_int_equal(ours, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(owner[snapshot_find(&s, told[i]) - s.at], 4);
    free(owner);
    snapshot_free(&s);
    close(words[0]);
    close(words[1]);
    close(proc);
}

static void wait_until_ours(int proc, pid_t pid)
{
    struct process_stat p = {0};

    for (int i = 0; i < 10000 && p.ppid != getpid(); i++) {
        assert_int_equal(members_stat(proc, pid, &p), 0);
        poll(NULL, 0, 1);
    }
    assert_int_equal(p.ppid, getpid());
}

/* Kinship is lost with the parents: it is our child, so that the wait table can see it. */
static void sees_an_orphan_as_our_child(void **state)
{
    int proc = open_proc(), words[2];
    struct family family;
    pid_t told[2], *pids = NULL;
    size_t room = 0;

    (void)state;
    assert_int_equal(pipe(words), 0);
    family = (struct family){words[1], true};
    main_pid = start(found_family, &family);
    for (int i = 0; i < 2; i++)
        wait_word(words[0], &told[i], sizeof(told[i]));
    pid_t orphan = told[0] == main_pid ? told[1] : told[0];
    wait_until_ours(proc, orphan);
    int n = members_children(proc, &pids, &room);
    assert_true(contains(pids, n, orphan));
    assert_true(contains(pids, n, main_pid));
    free(pids);
    close(words[0]);
    close(words[1]);
    close(proc);
}

static double ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Processes that come and go meanwhile do no harm, and those that stay are there in order. */
static void takes_a_snapshot(void **state)
{
    struct snapshot s = {0};
    int proc = open_proc();
    double best = 1e9;

    (void)state;
    for (int i = 0; i < 900; i++)
        start(NULL, NULL);
    for (int round = 0; round < 5; round++) {
        pid_t brief = fork();
        if (brief == 0)
            _exit(0);
        double begin = ms();
        assert_int_equal(snapshot_take(proc, &s, NULL, NULL), 0);
        best = ms() - begin < best ? ms() - begin : best;
        waitpid(brief, NULL, 0);
        assert_true(s.n >= 900 && s.n <= s.room);
        for (size_t i = 1; i < s.n; i++)
            assert_true(s.at[i - 1].pid < s.at[i].pid);
        for (int i = 0; i < 900; i++)
            assert_int_equal(snapshot_find(&s, started[i])->ppid, getpid());
    }
    print_message("snapshot of %zu processes: %.1f ms\n", s.n, best);
    snapshot_free(&s);
    assert_null(s.at);
    close(proc);
}

#define REAL(test) cmocka_unit_test_setup_teardown(test, setup_real, end_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(parses_each_length),
        cmocka_unit_test(parses_anything),
        cmocka_unit_test(attributes),
        cmocka_unit_test(owner_zero_is_an_owner),
        cmocka_unit_test(attributes_deep_chains),
        cmocka_unit_test(finds),
        cmocka_unit_test(members_come_and_go),
        cmocka_unit_test(members_keep_who_was_told),
        REAL(reads_a_real_stat),
        REAL(refuses_what_is_no_proc),
        REAL(refuses_a_foreign_proc),
        REAL(lists_our_children),
        REAL(attributes_real_descendants),
        REAL(takes_a_known_one_as_told),
        REAL(sees_an_orphan_as_our_child),
        REAL(takes_a_snapshot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
