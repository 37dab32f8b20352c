/* The runtime directory on a real file system: whose it is, which path it has, and that among any
 * number of tends one has it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tend/control.h"
#include "tend/runtime.h"

static char folder[64], why[512];
static char start[PATH_MAX];

static char *path_of(const char *name)
{
    static char path[4][200];
    static unsigned turn;
    char *out = path[turn++ % 4];

    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/tend-runtime-XXXXXX");
    unsetenv("TEND_RUNTIME");
    unsetenv("XDG_RUNTIME_DIR");
    return !mkdtemp(folder) || chmod(folder, 0711) || !getcwd(start, sizeof start);
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir(start) || system(command);
}

static void opens(struct runtime *r, const char *given, const char *path)
{
    why[0] = '\0';
    if (runtime_open(r, given, why, sizeof why) != RUNTIME_OPEN)
        fail_msg("%s", why);
    assert_string_equal(r->path, path);
    assert_true(fcntl(r->dir, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(r->lock, F_GETFD) & FD_CLOEXEC);
}

static void refuses(const char *given, const char *reason)
{
    struct runtime r;

    assert_int_equal(runtime_open(&r, given, why, sizeof why), RUNTIME_NONE);
    assert_string_equal(why, reason);
    assert_int_equal(r.dir, -1);
    assert_int_equal(r.lock, -1);
    runtime_close(&r);
}

static void refuses_path(const char *path, const char *format)
{
    char reason[512];
    const char *at = strstr(format, "PATH");

    snprintf(reason, sizeof reason, "%.*s%s%s", (int)(at - format), format, path, at + 4);
    refuses(path, reason);
}

/* Runs in a child; its status is what it returns. */
static int in_child(int (*what)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(what());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* ---- which ---- */

static void the_path_is_absolute_and_stays(void **state)
{
    struct runtime r;

    (void)state;
    assert_int_equal(chdir(folder), 0);
    opens(&r, "rel///", path_of("rel"));
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(runtime_again(&r, why, sizeof why), RUNTIME_OPEN);
    runtime_close(&r);
    assert_null(r.path);
    assert_int_equal(chdir(start), 0);
    refuses("", "cannot use \"\": No such file or directory");
}

static void the_environment_names_it(void **state)
{
    struct runtime r;

    (void)state;
    setenv("TEND_RUNTIME", path_of("named"), 1);
    opens(&r, NULL, path_of("named"));
    runtime_close(&r);
    opens(&r, path_of("given"), path_of("given"));
    runtime_close(&r);
    unsetenv("TEND_RUNTIME");
}

/* Whoever is root becomes another user. */
static bool is_other_user(void)
{
    return geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0);
}

static int without_variable(void)
{
    if (!is_other_user())
        return 1;
    refuses(NULL, "XDG_RUNTIME_DIR is not set");
    setenv("XDG_RUNTIME_DIR", "", 1);
    refuses(NULL, "XDG_RUNTIME_DIR is not set");
    setenv("XDG_RUNTIME_DIR", "run", 1);
    refuses(NULL, "XDG_RUNTIME_DIR is not an absolute path");
    return 0;
}

static int with_variable(void)
{
    struct runtime r;

    if (!is_other_user())
        return 1;
    setenv("XDG_RUNTIME_DIR", path_of("xdg/"), 1);
    setenv("TEND_RUNTIME", "", 1);
    opens(&r, NULL, path_of("xdg//tend"));
    runtime_close(&r);
    return 0;
}

static void another_user_has_one_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_of("xdg"), 0777), 0);
    assert_int_equal(chmod(path_of("xdg"), 0777), 0);
    assert_int_equal(in_child(without_variable), 0);
    assert_int_equal(in_child(with_variable), 0);
}

/* The last one that the kernel takes has PATH_MAX - 1 bytes. */
static void a_long_path_works_or_is_refused(void **state)
{
    static char path[PATH_MAX + 300];
    size_t n = (size_t)snprintf(path, sizeof path, "%s", folder);
    struct runtime r;

    (void)state;
    while (n + 201 < PATH_MAX - 10) {
        n += (size_t)snprintf(path + n, sizeof path - n, "/%0200d", 0);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    path[n] = '/';
    memset(path + n + 1, 'x', PATH_MAX - 1 - n - 1);
    opens(&r, path, path);
    runtime_close(&r);
    path[PATH_MAX - 1] = 'x';
    assert_int_equal(runtime_open(&r, path, why, sizeof why), RUNTIME_NONE);
    assert_non_null(strstr(why, ": File name too long"));
    runtime_close(&r);
}

/* ---- whose ---- */

static unsigned mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static void it_is_made_with_its_mode_under_any_umask(void **state)
{
    static const mode_t umasks[] = {0, 022, 0777};
    struct runtime r;
    mode_t before = umask(0);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(umasks); i++) {
        umask(umasks[i] == 0777 && geteuid() != 0 ? 077 : umasks[i]);
        opens(&r, path_of("made"), path_of("made"));
        assert_int_equal(mode_of(path_of("made")), 0711);
        if (umasks[i] == 0)
            assert_int_equal(mode_of(path_of("made/lock")), 0600);
        runtime_close(&r);
        assert_int_equal(unlink(path_of("made/lock")), 0);
        assert_int_equal(rmdir(path_of("made")), 0);
    }
    umask(before);
}

static void one_that_is_there_keeps_its_mode(void **state)
{
    struct runtime r;

    (void)state;
    assert_int_equal(mkdir(path_of("kept"), 0700), 0);
    opens(&r, path_of("kept"), path_of("kept"));
    assert_int_equal(mode_of(path_of("kept")), 0700);
    runtime_close(&r);
}

static void what_is_no_directory_of_ours_is_refused(void **state)
{
    int file = open(path_of("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    (void)state;
    assert_true(file >= 0);
    close(file);
    assert_int_equal(mkdir(path_of("real"), 0700), 0);
    assert_int_equal(symlink("real", path_of("link")), 0);
    refuses_path(path_of("file"), "cannot open PATH: Not a directory");
    refuses_path(path_of("link"), "PATH is a symbolic link");
    refuses_path(path_of("none/tend"), "cannot make PATH: No such file or directory");
    refuses_path(path_of("file/tend"), "cannot open PATH: Not a directory");
    assert_int_equal(symlink("nowhere", path_of("dangling")), 0);
    refuses_path(path_of("dangling"), "PATH is a symbolic link");
}

static void a_slash_does_not_follow_a_link(void **state)
{
    char reason[300];

    (void)state;
    assert_int_equal(symlink(".", path_of("slashed")), 0);
    snprintf(reason, sizeof reason, "%s is a symbolic link", path_of("slashed"));
    refuses(path_of("slashed//"), reason);
}

static void one_that_others_write_is_refused(void **state)
{
    static const mode_t modes[] = {0777, 0720, 0702, 01777};
    char format[100];

    (void)state;
    assert_int_equal(mkdir(path_of("open"), 0700), 0);
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        assert_int_equal(chmod(path_of("open"), modes[i]), 0);
        snprintf(format, sizeof format, "PATH can be written by others: its mode is %04o",
                 modes[i]);
        refuses_path(path_of("open"), format);
    }
}

static void one_of_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir(path_of("theirs"), 0755), 0);
    assert_int_equal(chown(path_of("theirs"), 65534, 65534), 0);
    refuses_path(path_of("theirs"), "PATH belongs to user 65534, and we are user 0");
}

/* Root and its directory can be refused only by the file system. */
static void one_that_cannot_be_written_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_of("ro"), 0755), 0);
    if (mount("none", path_of("ro"), "tmpfs", MS_RDONLY, "mode=0755"))
        skip();
    refuses_path(path_of("ro"), "cannot open the lock in PATH: Read-only file system");
    refuses_path(path_of("ro/tend"), "cannot make PATH: Read-only file system");
    assert_int_equal(mount("none", path_of("ro"), NULL, MS_REMOUNT, NULL), 0);
    struct runtime r;
    opens(&r, path_of("ro/tend"), path_of("ro/tend"));
    runtime_close(&r);
    assert_int_equal(umount2(path_of("ro"), MNT_DETACH), 0);
}

static void a_strange_lock_is_refused(void **state)
{
    char *path = path_of("strange"), lock[200];

    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(lock, sizeof lock, "%s/lock", path);
    assert_int_equal(mkfifo(lock, 0600), 0);
    refuses_path(path, "the lock in PATH is no file of ours");
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(symlink("elsewhere", lock), 0);
    refuses_path(path, "cannot open the lock in PATH: Too many levels of symbolic links");
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(mkdir(lock, 0700), 0);
    refuses_path(path, "cannot open the lock in PATH: Is a directory");
}

/* ---- one has it ---- */

struct tend {
    pid_t pid;
    int hears, tells;
};

static enum runtime_found take_and_listen(int hears, int tells)
{
    struct runtime r;
    struct control c = {.socket = -1};
    enum runtime_found found;
    char byte;

    /* all at once */
    if (read(hears, &byte, 1) != 1)
        _exit(99);
    found = runtime_open(&r, path_of("raced"), why, sizeof why);
    if (found == RUNTIME_OPEN && control_open(&c, r.dir, (gid_t)-1))
        _exit(98);
    byte = (char)found;
    if (write(tells, &byte, 1) != 1 || read(hears, &byte, 1) != 1)
        _exit(97);
    return found;
}

static struct tend begin_tend(void)
{
    int in[2], out[2];
    struct tend t;

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    t.pid = fork();
    if (t.pid == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
        _exit(take_and_listen(in[0], out[1]));
    close(in[0]);
    close(out[1]);
    t.tells = in[1];
    t.hears = out[0];
    return t;
}

static void end_tend(struct tend *t)
{
    int status;

    assert_int_equal(kill(t->pid, SIGKILL), 0);
    assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
    close(t->tells);
    close(t->hears);
}

/* The pid that answers at the socket, 0: none. */
static pid_t who_listens(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path_of("raced/control"));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
    close(fd);
    return peer.pid;
}

/* Each round is over the socket and the lock file that the killed one of the last round left. */
static void one_of_twenty_wins(void **state)
{
    struct tend all[20];

    (void)state;
    for (int round = 0; round < 10; round++) {
        pid_t winner = 0;
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
            all[i] = begin_tend();
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
            assert_int_equal(write(all[i].tells, "", 1), 1);
        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
            char found;
            assert_int_equal(read(all[i].hears, &found, 1), 1);
            assert_true(found == RUNTIME_OPEN || found == RUNTIME_TAKEN);
            assert_false(found == RUNTIME_OPEN && winner);
            if (found == RUNTIME_OPEN)
                winner = all[i].pid;
        }
        assert_true(winner > 0);
        assert_int_equal(who_listens(), winner);
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
            end_tend(&all[i]);
        assert_int_equal(who_listens(), 0);
    }
}

static void the_second_hears_of_the_first(void **state)
{
    struct tend first = begin_tend();
    struct runtime r;
    char found, text[300];

    (void)state;
    assert_int_equal(write(first.tells, "", 1), 1);
    assert_int_equal(read(first.hears, &found, 1), 1);
    assert_int_equal(found, RUNTIME_OPEN);
    assert_int_equal(runtime_open(&r, path_of("raced"), why, sizeof why), RUNTIME_TAKEN);
    snprintf(text, sizeof text, "another tend, pid %d, has %s", (int)first.pid, path_of("raced"));
    assert_string_equal(why, text);
    assert_int_equal(r.dir, -1);
    assert_int_equal(r.lock, -1);
    FILE *lock = fopen(path_of("raced/lock"), "re");
    assert_non_null(fgets(text, sizeof text, lock));
    fclose(lock);
    assert_int_equal(atoi(text), first.pid);
    /* a refused one has not disturbed it */
    assert_int_equal(runtime_again(&r, why, sizeof why), RUNTIME_TAKEN);
    end_tend(&first);
    assert_int_equal(runtime_again(&r, why, sizeof why), RUNTIME_OPEN);
    runtime_close(&r);
}

static int hold_and_fork(void)
{
    struct runtime r;
    int ends[2];
    char byte = 0;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) || runtime_open(&r, path_of("forked"), why, sizeof why))
        return 1;
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        if (write(ends[1], &pid, 1) != 1)
            return 1;
        pause();
    }
    if (read(ends[0], &byte, 1) != 1)
        return 1;
    FILE *f = fopen(path_of("child"), "we");
    fprintf(f, "%d", (int)pid);
    return fclose(f);
}

/* As the loading child may outlive us when we are killed. */
static void a_child_does_not_hold_it(void **state)
{
    struct runtime r;
    int pid = 0;

    (void)state;
    assert_int_equal(in_child(hold_and_fork), 0);
    FILE *f = fopen(path_of("child"), "re");
    assert_int_equal(fscanf(f, "%d", &pid), 1);
    fclose(f);
    assert_int_equal(kill(pid, 0), 0);
    opens(&r, path_of("forked"), path_of("forked"));
    runtime_close(&r);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static int removals; /* of the lock file, as soon as it was opened */

int __real_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...);

int __wrap_openat(int at, const char *path, int flags, ...)
{
    int fd = __real_openat(at, path, flags, 0600);

    if (removals > 0 && strcmp(path, "lock") == 0) {
        removals--;
        unlinkat(at, path, 0);
    }
    return fd;
}

static int is_raced_taken(void)
{
    struct runtime r;

    return runtime_open(&r, path_of("raced"), why, sizeof why) == RUNTIME_TAKEN ? 0 : 1;
}

static void a_lock_that_was_removed_is_none(void **state)
{
    struct runtime r;

    (void)state;
    removals = 3;
    opens(&r, path_of("raced"), path_of("raced"));
    assert_int_equal(removals, 0);
    assert_int_equal(in_child(is_raced_taken), 0);
    runtime_close(&r);
    removals = INT_MAX;
    refuses_path(path_of("raced"), "cannot keep the lock in PATH: No such file or directory");
    removals = 0;
}

/* ---- it vanishes ---- */

static int is_taken(void)
{
    struct runtime r;

    return runtime_open(&r, path_of("gone"), why, sizeof why) == RUNTIME_TAKEN ? 0 : 1;
}

static void what_is_there_is_not_changed(void **state)
{
    struct runtime r;
    int dir, lock;

    (void)state;
    opens(&r, path_of("gone"), path_of("gone"));
    dir = r.dir;
    lock = r.lock;
    assert_int_equal(runtime_again(&r, why, sizeof why), RUNTIME_OPEN);
    assert_int_equal(r.dir, dir);
    assert_int_equal(r.lock, lock);
    assert_int_equal(in_child(is_taken), 0);
    runtime_close(&r);
}

static void what_was_removed_is_made_anew(void **state)
{
    struct runtime r;

    (void)state;
    opens(&r, path_of("gone"), path_of("gone"));
    assert_int_equal(unlink(path_of("gone/lock")), 0);
    assert_int_equal(runtime_again(&r, why, sizeof why), RUNTIME_OPEN);
    assert_int_equal(in_child(is_taken), 0);
    assert_int_equal(unlink(path_of("gone/lock")), 0);
    assert_int_equal(rmdir(path_of("gone")), 0);
    assert_int_equal(runtime_again(&r, why, sizeof why), RUNTIME_OPEN);
    assert_int_equal(mode_of(path_of("gone")), 0711);
    assert_int_equal(in_child(is_taken), 0);
    runtime_close(&r);
}

static void what_cannot_be_had_again_changes_nothing(void **state)
{
    struct runtime r;
    int dir;

    (void)state;
    opens(&r, path_of("gone"), path_of("gone"));
    dir = r.dir;
    assert_int_equal(rename(path_of("gone"), path_of("moved")), 0);
    assert_int_equal(symlink("moved", path_of("gone")), 0);
    assert_int_equal(runtime_again(&r, why, sizeof why), RUNTIME_NONE);
    assert_int_equal(r.dir, dir);
    assert_int_equal(fcntl(r.lock, F_GETFD), FD_CLOEXEC);
    assert_int_equal(unlink(path_of("gone")), 0);
    assert_int_equal(rename(path_of("moved"), path_of("gone")), 0);
    assert_int_equal(in_child(is_taken), 0);
    runtime_close(&r);
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void nothing_stays_open(void **state)
{
    unsigned before = open_descriptors();
    struct runtime r;

    (void)state;
    assert_int_equal(mkdir(path_of("leak"), 0777), 0);
    assert_int_equal(chmod(path_of("leak"), 0777), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(runtime_open(&r, path_of("leak"), why, sizeof why), RUNTIME_NONE);
        runtime_close(&r);
        opens(&r, path_of("kept"), path_of("kept"));
        unlink(path_of("kept/lock"));
        assert_int_equal(runtime_again(&r, why, sizeof why), RUNTIME_OPEN);
        runtime_close(&r);
    }
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_is_absolute_and_stays),
        cmocka_unit_test(the_environment_names_it),
        cmocka_unit_test(another_user_has_one_of_its_own),
        cmocka_unit_test(a_long_path_works_or_is_refused),
        cmocka_unit_test(it_is_made_with_its_mode_under_any_umask),
        cmocka_unit_test(one_that_is_there_keeps_its_mode),
        cmocka_unit_test(what_is_no_directory_of_ours_is_refused),
        cmocka_unit_test(a_slash_does_not_follow_a_link),
        cmocka_unit_test(one_that_others_write_is_refused),
        cmocka_unit_test(one_of_another_user_is_refused),
        cmocka_unit_test(one_that_cannot_be_written_is_refused),
        cmocka_unit_test(a_strange_lock_is_refused),
        cmocka_unit_test(one_of_twenty_wins),
        cmocka_unit_test(the_second_hears_of_the_first),
        cmocka_unit_test(a_child_does_not_hold_it),
        cmocka_unit_test(a_lock_that_was_removed_is_none),
        cmocka_unit_test(what_is_there_is_not_changed),
        cmocka_unit_test(what_was_removed_is_made_anew),
        cmocka_unit_test(what_cannot_be_had_again_changes_nothing),
        cmocka_unit_test(nothing_stays_open),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
