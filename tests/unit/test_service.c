/* Wait statuses are classified over all of them; texts and small questions about a service. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "make.h"
#include "tend/service.h"

/* wait(2): the low 7 bits are the signal, 0 an exit, 127 no end; bit 7 tells of a core; an exit's
 * code is in the byte above. */
static void test_every_status(void **state)
{
    size_t exits = 0, signals = 0, none = 0;

    (void)state;
    for (int status = 0; status < 65536; status++) {
        struct service_exit x = {EXIT_LOST, 77, true, true};
        bool ended = exit_from_status(status, &x);
        int low = status & 0x7f;

        if (low == 0x7f) {
            assert_false(ended);
            assert_true(x.how == EXIT_LOST && x.number == 77 && x.core && x.oom);
            none++;
        } else if (low == 0) {
            assert_true(ended);
            assert_true(x.how == EXIT_CODE && x.number == status >> 8 && !x.core && !x.oom);
            exits++;
        } else {
            assert_true(ended);
            assert_true(x.how == EXIT_SIGNAL && x.number == low && x.core == (status >> 7 & 1));
            signals++;
        }
    }
    assert_int_equal(exits, 512);
    assert_int_equal(signals, 126 * 512);
    assert_int_equal(none, 512);
}

/* ptrace(2) puts its event above the 16 bits of a stop. */
static void test_trace_events(void **state)
{
    (void)state;
    for (int event = 0; event < 256; event++) {
        struct service_exit x;
        assert_false(exit_from_status(event << 16 | SIGTRAP << 8 | 0x7f, &x));
    }
}

static int status_of_child(int signal)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (signal)
            raise(signal);
        _exit(3);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (WIFSTOPPED(status)) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return status;
}

static void test_real_statuses(void **state)
{
    struct service_exit x;

    (void)state;
    assert_true(exit_from_status(status_of_child(0), &x));
    assert_true(x.how == EXIT_CODE && x.number == 3);
    assert_true(exit_from_status(status_of_child(SIGTERM), &x));
    assert_true(x.how == EXIT_SIGNAL && x.number == SIGTERM && !x.core);
    assert_true(exit_from_status(status_of_child(SIGRTMAX), &x));
    assert_true(x.how == EXIT_SIGNAL && x.number == SIGRTMAX);
    assert_false(exit_from_status(status_of_child(SIGSTOP), &x));
}

static void test_exit_text(void **state)
{
    static const struct {
        struct service_exit exit;
        const char *text;
        int shell;
    } all[] = {
        {{EXIT_CODE, 0, false, false}, "exit 0", 0},
        {{EXIT_CODE, 3, false, false}, "exit 3", 3},
        {{EXIT_CODE, 255, false, false}, "exit 255", 255},
        {{EXIT_SIGNAL, SIGTERM, false, false}, "signal TERM", 143},
        {{EXIT_SIGNAL, SIGSEGV, true, false}, "signal SEGV (core dumped)", 139},
        {{EXIT_SIGNAL, SIGKILL, false, true}, "signal KILL (out of memory)", 137},
        {{EXIT_SIGNAL, 32, false, false}, "signal 32", 160},
        {{EXIT_SIGNAL, 126, true, false}, "signal 126 (core dumped)", 254},
        {{EXIT_LOST, 0, false, false}, "gone, status unknown", 1},
        {{EXIT_NONE, 0, false, false}, "not ended", 1},
    };
    char buf[EXIT_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        assert_string_equal(exit_text(&all[i].exit, buf), all[i].text);
        assert_int_equal(exit_shell_code(&all[i].exit), all[i].shell);
    }
}

static void test_names_are_whole_and_differ(void **state)
{
    (void)state;
    for (int i = 0; i < SERVICE_STATE_COUNT; i++) {
        const char *name = service_state_name((enum service_state)i);
        assert_true(name && *name);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(name, service_state_name((enum service_state)k));
    }
    for (int i = 0; i < CAUSE_COUNT; i++) {
        const char *text = service_cause_text((enum service_cause)i);
        const char *word = service_cause_word((enum service_cause)i);
        assert_true(text && *text);
        assert_true(word && !*word == (i == CAUSE_NONE));
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(text, service_cause_text((enum service_cause)k));
            assert_string_not_equal(word, service_cause_word((enum service_cause)k));
        }
    }
}

static void test_new(void **state)
{
    struct service *s = service_new(make_conf("web", NULL, NULL, NULL), 7);

    (void)state;
    assert_non_null(s);
    assert_string_equal(service_name(s), "web");
    assert_int_equal(s->slot, 7);
    assert_int_equal(s->state, SERVICE_DOWN);
    assert_int_equal(s->deadline, NEVER);
    assert_true(service_gone(s));
    s->pid = 1;
    assert_false(service_gone(s));
    s->pid = 0, s->command = 1;
    assert_false(service_gone(s));
    s->command = 0, s->members = 1;
    assert_false(service_gone(s));
    service_free(s);
    service_free(NULL);
}

static void test_live(void **state)
{
    static const enum service_state live[] = {SERVICE_STARTING, SERVICE_RUNNING, SERVICE_STOPPING,
                                              SERVICE_KILLING, SERVICE_STUCK};
    struct service s = {0};
    size_t n = 0;

    (void)state;
    for (int i = 0; i < SERVICE_STATE_COUNT; i++) {
        s.state = (enum service_state)i;
        n += service_live(&s);
    }
    assert_int_equal(n, ARRAY_SIZE(live));
    for (size_t i = 0; i < ARRAY_SIZE(live); i++) {
        s.state = live[i];
        assert_true(service_live(&s));
    }
}

static void test_stop_signal(void **state)
{
    static const int expected[] = {SIGTERM, SIGTERM, SIGTERM, SIGINT, SIGQUIT, SIGTERM};
    struct service *s = service_new(make_conf("web", NULL, NULL, NULL), 0);

    (void)state;
    s->conf->stop.then = calloc(2, sizeof(struct conf_step));
    s->conf->stop.then[0] = (struct conf_step){SIGINT, 1000};
    s->conf->stop.then[1] = (struct conf_step){SIGQUIT, 1000};
    s->conf->stop.n_then = 2;
    for (s->step = 0; s->step < ARRAY_SIZE(expected); s->step++)
        assert_int_equal(service_stop_signal(s), expected[s->step]);
    s->cause = CAUSE_WATCHDOG; /* only the first is another one then */
    assert_int_equal(s->conf->watchdog_signal, SIGABRT);
    s->step = STEP_SIGNAL;
    assert_int_equal(service_stop_signal(s), SIGABRT);
    s->step++;
    assert_int_equal(service_stop_signal(s), SIGINT);
    service_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status),
        cmocka_unit_test(test_trace_events),
        cmocka_unit_test(test_real_statuses),
        cmocka_unit_test(test_exit_text),
        cmocka_unit_test(test_names_are_whole_and_differ),
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_stop_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
