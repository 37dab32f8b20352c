/* The loader against real files in a folder of its own: what is accepted, and for what is refused
 * the exact line and the whole message. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tend/load.h"
#include "tend/load_host.h"
#include "tend/pack.h"

static char folder[64];

#define WEB(keys) "service web { command = {\"/bin/true\"}\n" keys "}\n"

static char *path_of(const char *name)
{
    static char path[4][400];
    static unsigned turn;
    char *out = path[turn++ % 4];

    snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
    return out;
}

static void write_bytes(const char *name, const char *data, size_t size)
{
    FILE *file = fopen(path_of(name), "w");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/tend-load-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

/* All problems in one text, the folder cut off; "" when there is none. */
static char *load_text_of(char *const *paths, struct conf_set **set)
{
    static char text[65536];
    char **problems;
    size_t used = 0, cut = strlen(folder) + 1;

    *set = load_files(paths, &problems);
    assert_true((*set == NULL) == (problems != NULL));
    text[0] = '\0';
    for (size_t i = 0; problems != NULL && problems[i] != NULL; i++) {
        const char *line = problems[i];
        if (strncmp(line, folder, cut - 1) == 0)
            line += cut;
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\n", line);
        free(problems[i]);
    }
    free(problems);
    return text;
}

static char *load_path(const char *name, struct conf_set **set)
{
    char *paths[] = {path_of(name), NULL};

    return load_text_of(paths, set);
}

/* Services that others may name. */
#define STUB(name) "\nservice " name " { command = {\"/a\"} }"
#define STUBS                                                                                      \
    STUB("a") STUB("b") STUB("c") STUB("d") STUB("e") STUB("u") STUB("v") STUB("x") STUB("y")
enum { N_STUBS = 9 };

/* Loads one file of this text; the set must be good. */
static struct conf_set *load_good(const char *text)
{
    struct conf_set *set;
    char *problems;

    write_text("a.conf", text);
    problems = load_path("a.conf", &set);
    assert_string_equal(problems, "");
    return set;
}

static void expect_bytes(const char *text, size_t size, const char *problems)
{
    struct conf_set *set;
    char *found;

    write_bytes("a.conf", text, size);
    found = load_path("a.conf", &set);
    if (strcmp(found, problems) != 0)
        print_error("in: %s\n", text);
    assert_string_equal(found, problems);
    conf_set_free(set);
}

static void expect(const char *text, const char *problems)
{
    expect_bytes(text, strlen(text), problems);
}

/* ---- what is read ---- */

static void test_every_key(void **state)
{
    struct conf_set *set = load_good(
        "supervisor { grace = \"7s\" cgroup = no group = daemon }\n"
        "service db { command = {\"/bin/db\"} type = oneshot }\n"
        "service web {\n"
        "  description = \"the \\\"front\\\" end\"\n"
        "  command = {\"/bin/web\", \"--port\", \"7007\", \"\", \"a b\"}\n"
        "  start = manual  main = yes  before_start = {\"/bin/true\"}\n"
        "  success = {143, \"SIGHUP\"}\n"
        "  requires = {db}  wants = cache  after = {\"x\", 'y',}\n"
        "  directory = \"/srv\"  umask = \"027\"\n"
        "  environment = {\"A=b\", 'B=${NOT}'}\n"
        "  nice = \"-5\"  oom_score_adj = 100  no_new_privs = on\n"
        "  watchdog = \"8s\"  watchdog_signal = TERM\n"
        "  ready { on = exec timeout = \"5s\" command_timeout = \"3s\" every = \"1ms\" }\n"
        "  notify { access = main }\n"
        "  health { http = \"http://[::1]:80/x\" every = \"10ms\" timeout = \"3s\" failures = 1000 "
        "then = mark }\n"
        "  restart { policy = on-failure delay = \"1s\" max_delay = \"1m\" limit = 0 window = "
        "\"2m\" "
        "healthy = \"3m\" }\n"
        "  stop { drain = \"1s\" signal = INT grace = \"2s\" then = {\"QUIT 3s\", \"TERM 250ms\"} "
        "command = {\"/bin/stop\"} command_timeout = \"4s\" to = mixed max = \"1m\" }\n"
        "  reload { signal = USR1 command = {\"/bin/reload\", \"now\"} command_timeout = \"6s\" }\n"
        "  limits { nofile = \"1024:4096\" core = unlimited as = \"64M\" cpu = 10 }\n"
        "}\n" STUB("cache") STUBS);
    const struct conf *web = set->at[1];

    (void)state;
    assert_int_equal(set->n, 3 + N_STUBS);
    assert_int_equal(set->supervisor.grace, 7000);
    assert_int_equal(set->supervisor.cgroup, CONF_CGROUP_NO);
    assert_true(set->supervisor.has_group);
    assert_int_equal(set->supervisor.gid, getgrnam("daemon")->gr_gid);
    assert_string_equal(web->name, "web");
    assert_string_equal(web->file, path_of("a.conf"));
    assert_int_equal(web->line, 3);
    assert_string_equal(web->description, "the \"front\" end");
    assert_string_equal(web->command[3], "");
    assert_string_equal(web->command[4], "a b");
    assert_null(web->command[5]);
    assert_int_equal(web->start, CONF_MANUAL);
    assert_true(web->main && web->no_new_privs);
    assert_string_equal(web->before_start[0], "/bin/true");
    assert_true(conf_success_has_code(&web->success, 0));
    assert_true(conf_success_has_code(&web->success, 143));
    assert_false(conf_success_has_code(&web->success, 1));
    assert_true(conf_success_has_signal(&web->success, 1));
    assert_string_equal(web->requires[0], "db");
    assert_string_equal(web->wants[0], "cache");
    assert_string_equal(web->after[1], "y");
    assert_null(web->after[2]);
    assert_string_equal(web->directory, "/srv");
    assert_int_equal(web->umask, 027);
    assert_string_equal(web->environment[1], "B=${NOT}");
    assert_true(web->nice_set && web->oom_score_adj_set);
    assert_int_equal(web->nice, -5);
    assert_int_equal(web->oom_score_adj, 100);
    assert_int_equal(web->ready.on, CONF_READY_EXEC);
    assert_int_equal(web->ready.timeout, 5000);
    assert_int_equal(web->ready.command_timeout, 3000);
    assert_int_equal(web->ready.every, 1);
    assert_int_equal(web->access, CONF_ACCESS_MAIN);
    assert_int_equal(web->watchdog, 8000);
    assert_int_equal(web->watchdog_signal, 15);
    assert_string_equal(web->health.http, "http://[::1]:80/x");
    assert_int_equal(web->health.every, 10);
    assert_int_equal(web->health.timeout, 3000);
    assert_int_equal(web->health.failures, 1000);
    assert_int_equal(web->health.then, CONF_THEN_MARK);
    assert_int_equal(web->restart.policy, CONF_ON_FAILURE);
    assert_int_equal(web->restart.delay, 1000);
    assert_int_equal(web->restart.max_delay, 60000);
    assert_int_equal(web->restart.limit, 0);
    assert_int_equal(web->restart.window, 120000);
    assert_int_equal(web->restart.healthy, 180000);
    assert_int_equal(web->stop.drain, 1000);
    assert_int_equal(web->stop.signal, 2);
    assert_int_equal(web->stop.grace, 2000);
    assert_int_equal(web->stop.n_then, 2);
    assert_int_equal(web->stop.then[0].signal, 3);
    assert_int_equal(web->stop.then[1].wait, 250);
    assert_string_equal(web->stop.command[0], "/bin/stop");
    assert_int_equal(web->stop.command_timeout, 4000);
    assert_int_equal(web->stop.to, CONF_TO_MIXED);
    assert_int_equal(web->stop.max, 60000);
    assert_int_equal(web->reload.signal, 10);
    assert_string_equal(web->reload.command[1], "now");
    assert_null(web->reload.command[2]);
    assert_int_equal(web->reload.command_timeout, 6000);
    assert_int_equal(web->n_limits, 4);
    assert_int_equal(web->limits[0].resource, RLIMIT_CPU);
    assert_int_equal(web->limits[1].resource, RLIMIT_CORE);
    assert_true(web->limits[1].hard == RLIM_INFINITY);
    assert_int_equal(web->limits[2].soft, 1024);
    assert_int_equal(web->limits[2].hard, 4096);
    assert_int_equal(web->limits[3].soft, 64 << 20);
    assert_false(web->has_ids);
    assert_int_equal(set->at[0]->ready.on, CONF_READY_EXIT);
    assert_int_equal(set->at[0]->restart.policy, CONF_NEVER_AGAIN);
    assert_int_equal(set->at[0]->stop.grace, 7000);
    assert_false(set->at[0]->nice_set);
    conf_set_free(set);
}

/* Every kind of readiness and health, with and without `on`. */
static void test_ready_and_health(void **state)
{
    struct conf_set *set = load_good(
        "service a { command = {/a} ready { on = notify } }\n"
        "service b { command = {/a} ready { on = fd } health { tcp = '127.0.0.1:1' } }\n"
        "service c { command = {/a} ready { fd = 255 } health { unix = @c } }\n"
        "service d { command = {/a} ready { tcp = \"[::1]:65535\" } health { command = {x, y} } }\n"
        "service e { command = {/a} ready { unix = \"/run/e s\" on = unix } watchdog = \"1ms\" }\n"
        "service f { command = {/a} ready { command = {is-ready, f} } }\n"
        "service g { command = {/a} notify { access = all } }\n"
        "service h { command = {/a} health { every = \"1s\" then = mark } }\n");
    struct conf *const *at = set->at;

    (void)state;
    assert_int_equal(at[0]->ready.on, CONF_READY_NOTIFY);
    assert_int_equal(at[0]->access, CONF_ACCESS_ALL);
    assert_int_equal(at[1]->ready.on, CONF_READY_FD);
    assert_int_equal(at[1]->ready.fd, 3);
    assert_string_equal(at[1]->health.tcp, "127.0.0.1:1");
    assert_int_equal(at[2]->ready.on, CONF_READY_FD);
    assert_int_equal(at[2]->ready.fd, 255);
    assert_string_equal(at[2]->health.local, "@c");
    assert_int_equal(at[3]->ready.on, CONF_READY_TCP);
    assert_string_equal(at[3]->ready.tcp, "[::1]:65535");
    assert_string_equal(at[3]->health.command[1], "y");
    assert_int_equal(at[4]->ready.on, CONF_READY_UNIX);
    assert_string_equal(at[4]->ready.local, "/run/e s");
    assert_int_equal(at[4]->access, CONF_ACCESS_ALL);
    assert_int_equal(at[5]->ready.on, CONF_READY_COMMAND);
    assert_string_equal(at[5]->ready.command[0], "is-ready");
    assert_int_equal(at[6]->access, CONF_ACCESS_ALL);
    for (size_t i = 0; i < set->n; i++) {
        assert_int_equal(conf_has_health(at[i]), i >= 1 && i <= 3);
        assert_int_equal(conf_wants_notify(at[i]), i == 0 || i == 4 || i == 6);
    }
    conf_set_free(set);
}

/* FACTS on the parser: comments move its lines, break its lists, hide its errors. */
static void test_comments(void **state)
{
    struct conf_set *set = load_good("# one\n"
                                     "// two\n"
                                     "/* three\n   four */\n"
                                     "#\n"
                                     "service web { # six \" { '\n"
                                     "  command = {\"/bin/a#b\", # seven }\n"
                                     "     /* eight } */ \"//c\", \"/*d*/\" }\n"
                                     "}#");
    char *const *command = set->at[0]->command;

    (void)state;
    assert_int_equal(set->at[0]->line, 6);
    assert_string_equal(command[0], "/bin/a#b");
    assert_string_equal(command[1], "//c");
    assert_string_equal(command[2], "/*d*/");
    conf_set_free(set);
    expect("# one\n// two\n/* three\n   four */\n#\n\n" WEB("# eight\n\nnice = 99\n"),
           "a.conf:10: web: nice = \"99\" is not right: write a decimal number from -20 to 19\n");
}

static void test_words(void **state)
{
    struct conf_set *set = load_good(
        "service a-b.c_d@1 { command = {/bin/x, 'it\\'s', 'c:\\d', \"\\x41\\101\\t\\e[0m\\q\", "
        "\"\xc3\xa9\", /, /srv/, \"a;b\", \"{}()+,*\"} after += {u} after += {v} }" STUBS);
    char *const *command = set->at[0]->command;

    (void)state;
    assert_string_equal(command[0], "/bin/x");
    assert_string_equal(command[1], "it's");
    assert_string_equal(command[2], "c:\\d");
    assert_string_equal(command[3], "AA\t\033[0mq");
    assert_string_equal(command[4], "\xc3\xa9");
    assert_string_equal(command[5], "/");
    assert_string_equal(command[6], "/srv/");
    assert_string_equal(command[7], "a;b");
    assert_string_equal(command[8], "{}()+,*");
    assert_null(command[9]);
    assert_string_equal(set->at[0]->after[0], "u");
    assert_string_equal(set->at[0]->after[1], "v");
    conf_set_free(set);
}

static void test_line_ends(void **state)
{
    struct conf_set *set = load_good("service web {\r\n  command = {\"/bin/true\"}\r\n}\r\n");

    (void)state;
    assert_string_equal(set->at[0]->command[0], "/bin/true");
    conf_set_free(set);
    expect("service web {\r\n  command = {\"/bin/true\"}\r\n nice = x\r\n}\r\n",
           "a.conf:3: web: nice = \"x\" is not right: write a decimal number from -20 to 19\n");
}

static void test_appending(void **state)
{
    struct conf_set *set = load_good(
        WEB("after = {a}\nafter += {b, c}\nafter += d\nwants += {e}\nrequires = {}") STUBS);
    const struct conf *web = set->at[0];

    (void)state;
    assert_string_equal(web->after[0], "a");
    assert_string_equal(web->after[3], "d");
    assert_null(web->after[4]);
    assert_string_equal(web->wants[0], "e");
    assert_null(web->requires);
    conf_set_free(set);
}

static void test_variables(void **state)
{
    struct conf_set *set;

    (void)state;
    setenv("TEND_X", "in \"${TEND_Y}\" {", 1);
    setenv("TEND_E", "", 1);
    set = load_good("service web { command = {\"/bin/${TEND_X}-${TEND_X}\", \"${TEND_E}\", "
                    "'${TEND_X}', \"\\${TEND_X}\", \"$TEND_X $\"} }");
    assert_string_equal(set->at[0]->command[0], "/bin/in \"${TEND_Y}\" {-in \"${TEND_Y}\" {");
    assert_string_equal(set->at[0]->command[1], "");
    assert_string_equal(set->at[0]->command[2], "${TEND_X}");
    assert_string_equal(set->at[0]->command[3], "${TEND_X}");
    assert_string_equal(set->at[0]->command[4], "$TEND_X $");
    conf_set_free(set);
    expect(WEB("\numask = \"${TEND_NONE}\"\n"),
           "a.conf:3: web: ${TEND_NONE} is not set in the environment of tend: set it, or write "
           "the value\n");
    expect(WEB("umask = ${TEND_X}"),
           "a.conf:2: web: ${ expands in double quotes only: write \"${NAME}\"\n");
    expect(WEB("umask = \"${TEND_X\""),
           "a.conf:2: web: ${ begins no variable: write ${NAME}, or \\${ for the two characters\n");
    expect(WEB("umask = \"${TEND_X:-7}\""),
           "a.conf:2: web: ${ begins no variable: write ${NAME}, or \\${ for the two characters\n");
    expect("service \"${TEND_X}\" { }",
           "a.conf:1: ${ expands in values only: write the name out\n");
    expect(WEB("umask = \"\\x01{TEND_X}\""), "a.conf:2: web: \\x01 cannot be part of a value\n");
}

/* ---- what is refused ---- */

static void test_syntax(void **state)
{
    static const struct {
        const char *text, *problems;
    } cases[] = {
        {"service web {\n command = {\"/a\"}\n", "a.conf:1: web: service { has no end: write }\n"},
        {"service web {\n stop {\n signal = INT\n}\n",
         "a.conf:1: web: service { has no end: write }\n"},
        {"service a {\n command = {\"/a\"}\nservice b {\n}\n",
         "a.conf:3: a: service within service, which line 1 opens: write } before it\n"},
        {"\n}\n", "a.conf:2: } closes nothing: leave it out\n"},
        {WEB("}"), "a.conf:2: } closes nothing: leave it out\n"},
        {"\nservice web {\n command = {\"/a, \n}\n}",
         "a.conf:3: web: has a string without end on this line: write \", or \\n for a newline\n"},
        {"service web {\n command = {'/a\n'} }",
         "a.conf:2: web: has a string without end on this line: write ', or \\n for a newline\n"},
        {"service web {\n command = {\"/a\\\n\"} }",
         "a.conf:2: web: has a string without end on this line: write \", or \\n for a newline\n"},
        {"service web {\n command = {\"/a\\",
         "a.conf:2: web: has a string without end on this line: write \", or \\n for a newline\n"},
        {"service web {\n\n/* command = {\"/a\"}\n} *",
         "a.conf:3: web: has a comment without end: write */ behind it\n"},
        {"service web {\n command = {\"/a\", \"b\" \"c\"} }",
         "a.conf:2: web: c in the list of command: write a comma between its words\n"},
        {"service web {\n command = {\"/a\",\n\"b\" ",
         "a.conf:2: web: the list of command has no end: write }\n"},
        {"service web {\n command = {,} }",
         "a.conf:2: web: , in the list of command: write a comma between its words\n"},
        {"service {\n }", "a.conf:1: service without a name: write service NAME { ... }\n"},
        {"service web\ncommand = {a}\n",
         "a.conf:1: service web without {: write service NAME { ... }\n"},
        {"supervisor = 3", "a.conf:1: supervisor without {: write supervisor { ... }\n"},
        {"\"service\" web { }",
         "a.conf:1: service where a section is due: write service NAME { ... }\n"},
        {WEB("\"nice\" = 3"), "a.conf:2: web: nice where a key is due: write KEY = VALUE\n"},
        {WEB("user =\ngroup = \"x\"\n"),
         "a.conf:2: web: user has no value: write one behind the =\n"},
        {WEB("user = }"), "a.conf:2: web: user has no value: write one behind the =\n"},
        {WEB("user \"root\""), "a.conf:2: web: user has no value: write = and one\n"},
        {WEB("nice = 5;\n"), "a.conf:2: web: ; outside of quotes: write the value in quotes\n"},
        {WEB("nice = 5 ;\n"), "a.conf:2: web: ; ends nothing here: leave it out\n"},
        {WEB("directory = /a*"), "a.conf:2: web: * outside of quotes: write the value in quotes\n"},
        {WEB("directory = http://a"),
         "a.conf:2: web: // in a word without quotes: write it in quotes\n"},
        {WEB("include(\"/etc/passwd\")"),
         "a.conf:2: web: ( outside of quotes: write the value in quotes\n"},
        {WEB("umask = \"\\777\""),
         "a.conf:2: web: \\777 is no byte: write three octal digits, or \\x41\n"},
        {WEB("umask = \"\\9\""),
         "a.conf:2: web: \\9 is no byte: write three octal digits, or \\x41\n"},
        {WEB("umask = \"\\0\""), "a.conf:2: web: \\0 cannot be part of a value\n"},
        {WEB("umask = \"\\x0\""), "a.conf:2: web: \\x0 cannot be part of a value\n"},
        {"\xEF\xBB\xBF" WEB(""), "a.conf:1: begins with a byte order mark: save the file without "
                                 "it\n"},
        {WEB("\n\x07"), "a.conf:3: has the control byte 0x07: leave it out, or write \\x07 in "
                        "quotes\n"},
        {WEB("\r nice = 3"), "a.conf:2: has the control byte 0x0d: leave it out, or write \\x0d in "
                             "quotes\n"},
        {"service web { stop { signal { then { a { b {",
         "a.conf:1: web: signal is no section: write signal = and a value\n"
         "a.conf:1: web: signal { has no end: write }\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect(cases[i].text, cases[i].problems);
    expect_bytes("service\n \0 web", 14, "a.conf:2: has a NUL byte: is this a text file?\n");
}

static void test_unknown(void **state)
{
    (void)state;
    expect("servce web { command = {\"/a\"} }", "a.conf:1: unknown key servce: did you mean "
                                                "service?\n");
    expect("grace = \"10s\"\n" WEB(""),
           "a.conf:1: unknown key grace: see tend --options for all that are known\n");
    /* All of them, and what is wrong elsewhere, with the rest of the file read as ever. */
    expect("service web {\n"
           "  comand = {\"/bin/a\",\n \"b\"}\n"
           "  command = {\"/bin/a\"}\n"
           "  grace = \"3s\"\n"
           "  stop {\n"
           "    singal = TERM\n"
           "    signal = FOO\n"
           "  }\n"
           "  restat { policy = always delay = {\"}\"} }\n"
           "  stop = 5\n"
           "  nice { x = 3 }\n"
           "  zzzzzzzzzz = \"${NO}\"\n"
           "  nice = 77\n"
           "}\n",
           "a.conf:2: web: unknown key comand: did you mean command?\n"
           "a.conf:5: web: unknown key grace here: it belongs to stop.grace\n"
           "a.conf:7: web: unknown key singal: did you mean signal?\n"
           "a.conf:8: web: stop.signal = \"FOO\" is no signal: write a name such as TERM, INT or "
           "RTMIN+3\n"
           "a.conf:10: web: unknown key restat: did you mean restart?\n"
           "a.conf:11: web: stop is a section: write stop { ... }\n"
           "a.conf:12: web: nice is no section: write nice = and a value\n"
           "a.conf:13: web: unknown key zzzzzzzzzz: see tend --options for all that are known\n"
           "a.conf:14: web: nice = \"77\" is not right: write a decimal number from -20 to 19\n");
    expect(WEB("com|mand = 3\nlisten http { a = b }\n"),
           "a.conf:2: web: unknown key com|mand: did you mean command?\n"
           "a.conf:3: web: unknown key listen: see tend --options for all that are known\n");
}

static void test_values(void **state)
{
    static const struct {
        const char *key, *why;
    } cases[] = {
        {"nice = 010", "nice = \"010\" is not right: write a decimal number from -20 to 19"},
        {"nice = 0x10", "nice = \"0x10\" is not right: write a decimal number from -20 to 19"},
        {"nice = \"10s\"", "nice = \"10s\" is not right: write a decimal number from -20 to 19"},
        {"nice = \"\"", "nice = \"\" is not right: write a decimal number from -20 to 19"},
        {"restart { limit = -1 }",
         "restart.limit = \"-1\" is not right: write a decimal number from 0 to 1000000"},
        {"restart { limit = 99999999999999999999 }",
         "restart.limit = \"99999999999999999999\" is not right: write a decimal number from 0 to "
         "1000000"},
        {"stop { grace = 10 }", "stop.grace = \"10\" has no unit: write \"10s\" for seconds"},
        {"stop { grace = \"-1s\" }", "stop.grace = \"-1s\" is no duration: write numbers with ms, "
                                     "s, m, h or d, as in \"1m30s\""},
        {"stop { grace = \"1.5s\" }", "stop.grace = \"1.5s\" is no duration: write numbers with "
                                      "ms, s, m, h or d, as in \"1m30s\""},
        {"stop { grace = \"366d\" }",
         "stop.grace = \"366d\" is out of range: write a duration from 0s to 365d"},
        {"ready { timeout = \"0\" }",
         "ready.timeout = \"0\" is out of range: write a duration from 1ms to 365d"},
        {"restart { delay = \"1m\" }",
         "restart.max_delay is shorter than restart.delay: write a longer one"},
        {"stop { then = {\"INT\"} }",
         "stop.then = \"INT\" is no step: write a signal and a time, as in \"INT 5s\""},
        {"stop { then = {\"INT 5\"} }", "stop.then = \"INT 5\" has no unit: write \"5s\" for "
                                        "seconds"},
        {"stop { signal = 65 }",
         "stop.signal = \"65\" is no signal: write a name such as TERM, INT or RTMIN+3"},
        {"type = proces", "type = \"proces\" is not known: write process or oneshot"},
        {"restart { policy = \"\" }",
         "restart.policy = \"\" is not known: write always, on-failure or never"},
        {"main = maybe", "main = \"maybe\" is neither true nor false: write true or false"},
        {"umask = 22", "umask = \"22\" is no file mode: write three octal digits, as in \"022\""},
        {"umask = 0888", "umask = \"0888\" is no file mode: write three octal digits, as in "
                         "\"022\""},
        {"success = {256}",
         "success = \"256\" is no exit: write a code from 0 to 255 or a signal such as TERM"},
        {"limits { nofile = 8K }",
         "limits.nofile = \"8K\" is no limit: write a number, unlimited, or both limits as "
         "soft:hard"},
        {"limits { as = \"8k\" }",
         "limits.as = \"8k\" is no limit: write bytes as in \"64M\", unlimited, or both limits as "
         "soft:hard"},
        {"limits { nofile = \"5:4\" }",
         "limits.nofile = \"5:4\" has the soft limit over the hard one: write soft:hard"},
        {"user = \"\"", "user is empty: write a value or leave the key out"},
        {"user = \"no-such-user\"",
         "user = \"no-such-user\" is unknown here: make that user or write another"},
        {"user = 4294967295",
         "user = \"4294967295\" is no user id: write a decimal number below 4294967295"},
        {"user = \"12x\"", "user = \"12x\" is unknown here: make that user or write another"},
        {"group = nogrp", "group = \"nogrp\" is unknown here: make that group or write another"},
        {"groups = {root, nogrp}",
         "groups = \"nogrp\" is unknown here: make that group or write another"},
        {"ready { on = exit }", "ready.on = exit is for a oneshot: write exec, or type = oneshot"},
        {"type = oneshot restart { policy = always }",
         "restart.policy = always would run a oneshot for ever: write on-failure or never, or type "
         "= process"},
        {"after = {a, b, a}", "after names a twice: once is enough"},
        {"wants = {\"../x\"}", "wants = \"../x\" is no name of a service"},
        {"environment = {A=b}", "= in the list of environment: write the word in quotes"},
        {"environment = \"A=b\"", "environment is a list: write environment = {\"...\", \"...\"}"},
        {"environment = {\"A\"}", "environment = \"A\" is no variable: write \"NAME=value\""},
        {"environment = {\"1A=b\"}", "environment = \"1A=b\" is no variable: write \"NAME=value\""},
        {"environment = {\"AB=1\", \"A=1\", \"A=2\"}", "environment sets A twice: leave one out"},
        {"stop { command = {\"bin/x\"} }",
         "stop.command = \"bin/x\" is a relative path: write an absolute one, a bare name for a "
         "search in PATH, or set directory"},
        {"reload { command = {\"bin/x\"} }",
         "reload.command = \"bin/x\" is a relative path: write an absolute one, a bare name for a "
         "search in PATH, or set directory"},
        {"reload { signal = SIGKILL }",
         "reload.signal = KILL makes no program read anything: write one that it handles"},
        {"reload { signal = \"HUPP\" }",
         "reload.signal = \"HUPP\" is no signal: write a name such as TERM, INT or RTMIN+3"},
        {"reload { signal += HUP }", "reload.signal is no list: write = instead of +="},
        {"reload { command_timeout = \"0s\" }",
         "reload.command_timeout = \"0s\" is out of range: write a duration from 1ms to 365d"},
        {"type = oneshot reload { command = {a} }",
         "reload.command is for what stays: leave it out, or write type = process"},
        {"before_start = {\"\"}", "before_start has no program: its first word is empty"},
        {"description = \"a\\nb\"", "description has a control byte: write one line"},
        {"user += root", "user is no list: write = instead of +="},
        {"user = {root}", "user is no list: write one value without braces"},
        {"success = 3", "success is a list: write success = {\"...\", \"...\"}"},
        {"stop { command = \"/bin/a\" }",
         "stop.command is a list: write command = {\"...\", \"...\"}"},

        {"ready { on = sock }",
         "ready.on = \"sock\" is not known: write exec, exit, notify, fd, tcp, "
         "unix or command"},
        {"ready { on = tcp }", "ready.on = tcp needs ready.tcp: write tcp = \"127.0.0.1:5432\""},
        {"ready { on = unix }", "ready.on = unix needs ready.unix: write unix = \"/run/x.sock\""},
        {"ready { on = command }",
         "ready.on = command needs ready.command: write command = {\"program\", \"argument\"}"},
        {"ready { on = exec tcp = \"127.0.0.1:1\" }",
         "ready.tcp is not used by ready.on = exec: leave one of them out"},
        {"ready { unix = @x on = notify }",
         "ready.unix is not used by ready.on = notify: leave one of them out"},
        {"ready { command = {a} on = fd }",
         "ready.command is not used by ready.on = fd: leave one of them out"},
        {"ready { on = command fd = 3 command = {a} }",
         "ready.fd is not used by ready.on = command: leave one of them out"},
        {"ready { unix = @x tcp = \"127.0.0.1:1\" }",
         "ready.unix is written beside ready.tcp: leave one of them out"},
        {"ready { command = {a} fd = 4 }",
         "ready.fd is written beside ready.command: leave one of them out"},
        {"ready { tcp = \"localhost:80\" on = tcp }",
         "ready.tcp = \"localhost:80\" is no address: write numbers, as in \"127.0.0.1:5432\" or "
         "\"[::1]:5432\"; no name is looked up"},
        {"ready { on = tcp tcp = \"\" }",
         "ready.on = tcp needs ready.tcp: write tcp = \"127.0.0.1:5432\""},
        {"ready { unix = x.sock }",
         "ready.unix = \"x.sock\" is no local socket: write an absolute path of at most 107 bytes, "
         "or \"@name\" for an abstract one"},
        {"ready { tcp = {\"127.0.0.1:1\"} }",
         "ready.tcp is no list: write one value without braces"},
        {"ready { tcp += \"127.0.0.1:1\" }", "ready.tcp is no list: write = instead of +="},
        {"ready { command = \"/bin/a\" }",
         "ready.command is a list: write command = {\"...\", \"...\"}"},
        {"ready { command = {\"bin/x\"} }",
         "ready.command = \"bin/x\" is a relative path: write an absolute one, a bare name for a "
         "search in PATH, or set directory"},
        {"ready { fd = 2 }", "ready.fd = \"2\" is not right: write a decimal number from 3 to 255"},
        {"ready { fd = 256 }",
         "ready.fd = \"256\" is not right: write a decimal number from 3 to 255"},
        {"ready { every = \"0s\" }",
         "ready.every = \"0s\" is out of range: write a duration from 1ms to 365d"},
        {"ready { command_timeout = \"0s\" }",
         "ready.command_timeout = \"0s\" is out of range: write a duration from 1ms to 365d"},
        {"type = oneshot ready { on = notify }",
         "ready.on = notify is for what stays: leave it out, or write type = process"},
        {"type = oneshot ready { on = fd }",
         "ready.on = fd is for what stays: leave it out, or write type = process"},
        {"type = oneshot ready { tcp = \"127.0.0.1:1\" }",
         "ready.on = tcp is for what stays: leave it out, or write type = process"},
        {"type = oneshot ready { unix = @x }",
         "ready.on = unix is for what stays: leave it out, or write type = process"},
        {"type = oneshot ready { command = {a} }",
         "ready.on = command is for what stays: leave it out, or write type = process"},

        {"notify { access = exec }",
         "notify.access = \"exec\" is not known: write none, main or all"},
        {"notify { access = none } ready { on = notify }",
         "notify.access = none lets nobody say what ready.on = notify waits for: write main or "
         "all"},
        {"notify { access = none } watchdog = \"1s\"",
         "notify.access = none lets nobody say what watchdog waits for: write main or all"},
        {"watchdog = 10", "watchdog = \"10\" has no unit: write \"10s\" for seconds"},
        {"watchdog_signal = ABORT",
         "watchdog_signal = \"ABORT\" is no signal: write a name such as TERM, INT or RTMIN+3"},
        {"type = oneshot watchdog = \"1s\"",
         "watchdog is for what stays: leave it out, or write type = process"},

        {"health { tcp = \"127.0.0.1:1\" command = {a} }",
         "health.tcp is written beside health.command: leave one of them out"},
        {"health { http = \"http://127.0.0.1\" unix = @x }",
         "health.http is written beside health.unix: leave one of them out"},
        {"type = oneshot health { command = {a} }",
         "health.command is for what stays: leave it out, or write type = process"},
        {"type = oneshot health { unix = @x }",
         "health.unix is for what stays: leave it out, or write type = process"},
        {"health { command = {\"bin/x\"} }",
         "health.command = \"bin/x\" is a relative path: write an absolute one, a bare name for a "
         "search in PATH, or set directory"},
        {"health { tcp = 80 }",
         "health.tcp = \"80\" is no address: write numbers, as in \"127.0.0.1:5432\" or "
         "\"[::1]:5432\"; no name is looked up"},
        {"health { http = \"http://localhost/\" }",
         "health.http = \"http://localhost/\" is no address: write numbers, as in "
         "\"http://127.0.0.1:8080/health\"; no name is looked up"},
        {"health { http = \"https://127.0.0.1/\" }",
         "health.http = \"https://127.0.0.1/\" cannot be probed, for tend speaks no TLS: write "
         "http://, or a command"},
        {"health { every = \"9ms\" }",
         "health.every = \"9ms\" is out of range: write a duration from 10ms to 365d"},
        {"health { timeout = \"0s\" }",
         "health.timeout = \"0s\" is out of range: write a duration from 1ms to 365d"},
        {"health { failures = 0 }",
         "health.failures = \"0\" is not right: write a decimal number from 1 to 1000"},
        {"health { then = stop }", "health.then = \"stop\" is not known: write restart or mark"},

        {"stop { grace = \"5s\" max = \"4999ms\" }",
         "stop.max = \"4s999ms\" is shorter than the stop as it is written: write at least \"5s\", "
         "or leave it out"},
        {"stop { drain = \"1s\" command = {a} grace = \"2s\" then = {\"INT 3s\", \"QUIT 4s\"} "
         "max = \"19s\" }",
         "stop.max = \"19s\" is shorter than the stop as it is written: write at least \"20s\", or "
         "leave it out"},
    };
    char text[512], problems[512];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        snprintf(text, sizeof(text), WEB("\n # c\n%s\n") STUBS, cases[i].key);
        snprintf(problems, sizeof(problems), "a.conf:4: web: %s\n", cases[i].why);
        expect(text, problems);
    }
}

/* A shorter one is told of as soon as stop.grace is known, and only once. */
static void test_stop_max(void **state)
{
    (void)state;
    expect("service web {\n command = {/a}\n stop { max = \"6s\" then = {\"INT 2s\"} } }\n"
           "supervisor { grace = \"4s1ms\" }",
           "a.conf:1: web: stop.max = \"6s\" is shorter than the stop as it is written: write at "
           "least \"6s1ms\", or leave it out\n");
    conf_set_free(load_good("service web {\n command = {/a}\n stop { max = \"6s\" then = {\"INT "
                            "2s\"} } }\nsupervisor { grace = \"4s\" }"));
    conf_set_free(load_good(WEB("stop { command_timeout = \"9s\" grace = \"5s\" max = \"5s\" }")));
    conf_set_free(load_good(WEB("stop { grace = \"5s\" max = \"0s\" }")));
}

static void test_names(void **state)
{
    static const char *const bad[] = {"''", "'../x'", "'a/b'", "'a b'", ".hidden", "-x", "'\xc3'"};
    char text[700], name[301];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct conf_set *set;
        snprintf(text, sizeof(text), "\nservice %s { command = {\"/a\"} }", bad[i]);
        write_text("a.conf", text);
        assert_non_null(strstr(load_path("a.conf", &set), "is no name of a service: write at most "
                                                          "64 letters"));
        assert_null(set);
    }
    memset(name, 'a', 300);
    name[300] = '\0';
    snprintf(text, sizeof(text), "service %s { command = {\"/a\"} }", name);
    write_text("a.conf", text);
    {
        struct conf_set *set;
        assert_non_null(strstr(load_path("a.conf", &set), "is no name of a service"));
    }
    name[64] = '\0';
    snprintf(text, sizeof(text), "service %s { command = {\"/a\"} }", name);
    conf_set_free(load_good(text));
    expect("service \"a\\nb\" { command = {\"/a\"} }",
           "a.conf:1: a\nb: \"a\nb\" is no name of a service: write at most 64 letters, digits and "
           ". _ - @, first a letter or digit\n");
}

static void test_twice(void **state)
{
    (void)state;
    expect(WEB("nice = 3\n# x\nnice = 4\n"),
           "a.conf:4: web: nice is already set in line 2: leave one out\n");
    expect(WEB("after += {a}\nafter = {b}\n") STUBS,
           "a.conf:3: web: after is already set in line 2: leave one out\n");
    expect(WEB("stop { grace = \"1s\" }\nstop { grace = \"1s\" }\n"),
           "a.conf:3: web: stop.grace is already set in line 2: leave one out\n");
    expect(WEB("restart { delay = \"1s\" }\nstop { grace = \"1s\" }\n"), "");
    expect("supervisor { grace = \"1s\" }\nsupervisor { grace = \"2s\" }\n" WEB(""),
           "a.conf:2: supervisor: grace is already set in line 1: leave one out\n");
}

/* All of it is told, but nothing is told to be missing that may be in what could not be read. */
static void test_order(void **state)
{
    (void)state;
    expect(
        "service a { command = {\"/a\"} requires = {b} }\n"
        "service b { command = {\"/a\"} wants = {a} nice = x }\n"
        "service c { command = {\"/a\"} after = {d} }\n",
        "a.conf:1: a: waits for itself: a requires b, b wants a; take one of these out\n"
        "a.conf:2: b: nice = \"x\" is not right: write a decimal number from -20 to 19\n"
        "a.conf:3: c: c is after d, but there is no service d; define it or take the name out\n");
    expect("service c { command = {\"/a\"} after = {d} }\nservice d {\n",
           "a.conf:2: d: service { has no end: write }\n");
}

static void test_twins(void **state)
{
    char expected[1024];
    char *found;
    struct conf_set *set;

    (void)state;
    mkdir(path_of("d"), 0755);
    write_text("d/1.conf", WEB("") "\n" WEB(""));
    write_text("d/2.conf", "\n" WEB("main = true") "service Web { main = true command = {\"a\"} }");
    found = load_path("d", &set);
    snprintf(expected, sizeof(expected),
             "d/1.conf:4: web: is already defined at %s/d/1.conf:1: rename or remove one\n"
             "d/2.conf:2: web: is already defined at %s/d/1.conf:4: rename or remove one\n"
             "d/2.conf:4: Web: differs from web at %s/d/2.conf:2 only in case: rename one\n"
             "d/2.conf:4: Web: is main, and so is web at %s/d/2.conf:2: only one can be\n",
             folder, folder, folder, folder);
    assert_string_equal(found, expected);
}

/* ---- files ---- */

static void test_folder(void **state)
{
    struct conf_set *set;

    (void)state;
    mkdir(path_of("f"), 0755);
    write_text("f/b.conf", "service b { command = {\"a\"} }");
    write_text("f/a.conf", "service a { command = {\"a\"} }");
    write_text("f/B.conf", "service c { command = {\"a\"} }");
    write_text("f/.x.conf", "}");
    write_text("f/x.conf~", "}");
    write_text("f/x.txt", "}");
    write_text("f/empty.conf", "");
    assert_string_equal(load_path("f", &set), "");
    assert_int_equal(set->n, 3);
    assert_string_equal(set->at[0]->name, "c");
    assert_string_equal(set->at[1]->name, "a");
    assert_string_equal(set->at[2]->name, "b");
    conf_set_free(set);
}

static void test_strange_files(void **state)
{
    char *device[] = {(char[]){"/dev/zero"}, NULL};
    static char large[256 * 1024 + 2];
    struct conf_set *set;

    (void)state;
    mkdir(path_of("s"), 0755);
    mkdir(path_of("s/folder.conf"), 0755);
    assert_int_equal(mkfifo(path_of("s/pipe.conf"), 0644), 0);
    memset(large, '\n', sizeof(large));
    write_bytes("s/large.conf", large, sizeof(large) - 1);
    assert_int_equal(symlink("/dev/zero", path_of("s/zero.conf")), 0);
    assert_int_equal(symlink("nowhere", path_of("s/broken.conf")), 0);
    assert_string_equal(load_path("s", &set),
                        "s/broken.conf: cannot be opened: it is gone, or a link to nothing\n"
                        "s/folder.conf: is no regular file\n"
                        "s/large.conf: has more than 262144 bytes: split it\n"
                        "s/pipe.conf: is no regular file\n"
                        "s/zero.conf: is no regular file\n");
    write_bytes("large.conf", large, sizeof(large) - 2);
    assert_string_equal(load_path("large.conf", &set),
                        "large.conf: no service is defined: write service NAME { command = {...} "
                        "}\n");
    assert_string_equal(load_path("s/pipe.conf", &set), "s/pipe.conf: is no regular file\n");
    assert_string_equal(load_text_of(device, &set), "/dev/zero: is no regular file\n");
}

static void test_missing(void **state)
{
    struct conf_set *set;
    char *none[] = {NULL}, *two[] = {path_of("e"), path_of("e2"), NULL};

    (void)state;
    assert_string_equal(load_path("none.conf", &set), "none.conf: does not exist\n");
    assert_string_equal(load_text_of(none, &set),
                        "no path: no service is defined: write service NAME { command = {...} }\n");
    mkdir(path_of("e"), 0755);
    mkdir(path_of("e2"), 0755);
    assert_non_null(strstr(load_text_of(two, &set), "/e2: no service is defined"));
}

static void test_default_places(void **state)
{
    struct conf_set *set;

    (void)state;
    if (access("/etc/tend", F_OK) == 0)
        skip();
    assert_string_equal(load_text_of(NULL, &set),
                        "/etc/tend/tend.conf: neither it nor /etc/tend/services.d exists: write "
                        "one, or name another with -c\n");
}

static void test_drop_ins(void **state)
{
    struct conf_set *set;
    const struct conf *web;

    (void)state;
    mkdir(path_of("p"), 0755);
    mkdir(path_of("p/web.conf.d"), 0755);
    write_text("p/web.conf", WEB("nice = 3\nafter = {a}\nwants = {x}\nstop { grace = \"1s\" }\n"
                                 "reload { command = {r} }\n"
                                 "ready { command = {is} }\nhealth { tcp = \"127.0.0.1:1\" }\n"
                                 "success = {3}\nstop { then = {\"INT 1s\"} }\n") STUBS);
    write_text("p/web.conf.d/1.conf", "service web {\n nice = 5\n after += {b}\n wants = {v}\n"
                                      "directory = \"sub\"\n success += {4}\n"
                                      "stop { then += {\"QUIT 2s\"} }\n"
                                      "reload { command += {web} }\n"
                                      "ready { command += {ready} }\n"
                                      "health { tcp = \"\" http = \"http://[::1]\" } }\n"
                                      "supervisor { grace = \"2s\" }");
    write_text("p/web.conf.d/2.conf", "service web {\n nice = 6\n after += {c}\n }");
    assert_string_equal(load_path("p/web.conf", &set), "");
    web = set->at[0];
    assert_int_equal(set->n, 1 + N_STUBS);
    assert_int_equal(web->nice, 6);
    assert_string_equal(web->after[2], "c");
    assert_string_equal(web->wants[0], "v");
    assert_null(web->wants[1]);
    assert_string_equal(web->directory, path_of("p/web.conf.d/sub"));
    assert_true(conf_success_has_code(&web->success, 3) && conf_success_has_code(&web->success, 4));
    assert_int_equal(web->stop.n_then, 2);
    assert_int_equal(web->stop.then[1].wait, 2000);
    assert_int_equal(web->stop.grace, 1000);
    assert_string_equal(web->reload.command[0], "r");
    assert_string_equal(web->reload.command[1], "web");
    assert_null(web->reload.command[2]);
    assert_string_equal(web->ready.command[0], "is");
    assert_string_equal(web->ready.command[1], "ready");
    assert_null(web->health.tcp);
    assert_string_equal(web->health.http, "http://[::1]");
    assert_int_equal(set->supervisor.grace, 2000);
    conf_set_free(set);
    write_text("p/web.conf.d/2.conf", "\nservice db { command = {\"a\"} }\n"
                                      "service web { nice = 40\n after += {web} }");
    assert_string_equal(
        load_path("p", &set),
        "p/web.conf:1: web: waits for itself: web is after web; take one of these out\n"
        "p/web.conf.d/2.conf:2: db: is no service of the file that this drop-in belongs to\n"
        "p/web.conf.d/2.conf:3: web: nice = \"40\" is not right: write a decimal number from -20 "
        "to 19\n");
}

/* Which drop-ins there may be is told by the listing of the folder above. */
static void test_drop_in_folders(void **state)
{
    struct conf_set *set;

    (void)state;
    mkdir(path_of("l"), 0755);
    mkdir(path_of("l/other"), 0755);
    mkdir(path_of("l/b.conf.d"), 0755);
    mkdir(path_of("l/lonely.conf.d"), 0755);
    write_text("l/other/1.conf", "service a { nice = 1 }");
    write_text("l/b.conf.d/1.conf", "service b { nice = 2 }");
    write_text("l/lonely.conf.d/1.conf", "}");
    assert_int_equal(symlink("other", path_of("l/a.conf.d")), 0);
    assert_int_equal(symlink("nowhere", path_of("l/b.conf-2.conf.d")), 0);
    write_text("l/a.conf", "service a { command = {\"a\"} }");
    write_text("l/b.conf", "service b { command = {\"a\"} }");
    write_text("l/b.conf-2.conf", "service c { command = {\"a\"} }");
    for (int i = 0; i < 2; i++) {
        char *one[] = {path_of("l/a.conf"), path_of("l/b.conf"), path_of("l/b.conf-2.conf"), NULL};
        assert_string_equal(i == 0 ? load_path("l", &set) : load_text_of(one, &set), "");
        assert_int_equal(set->n, 3);
        assert_int_equal(set->at[0]->nice, 1);
        assert_int_equal(set->at[1]->nice, 2);
        assert_false(set->at[2]->nice_set);
        conf_set_free(set);
    }
    unlink(path_of("l/a.conf.d"));
    write_text("l/a.conf.d", "");
    assert_string_equal(load_path("l", &set), "l/a.conf.d: cannot be read: Not a directory\n");
}

/* The parser gets the options that a file needs: those of the file before do not count. */
static void test_other_keys(void **state)
{
    struct conf_set *set;

    (void)state;
    mkdir(path_of("o"), 0755);
    write_text("o/1.conf", "service a { command = {a} nice = 1 stop { grace = \"1s\" } }");
    write_text("o/2.conf", "service b { command = {a} stop {\n} ready{} umask = \"027\" }");
    write_text("o/3.conf", "supervisor { }\nservice c { command = {a} nice = 3 stop {} restart { "
                           "limit = 7 } stop { to = main } }");
    write_text("o/4.conf", "supervisor { grace = \"3s\" }");
    assert_string_equal(load_path("o", &set), "");
    assert_int_equal(set->n, 3);
    assert_int_equal(set->at[0]->stop.grace, 1000);
    assert_int_equal(set->at[1]->stop.grace, 3000);
    assert_false(set->at[1]->nice_set);
    assert_int_equal(set->at[1]->umask, 027);
    assert_int_equal(set->at[2]->nice, 3);
    assert_int_equal(set->at[2]->restart.limit, 7);
    assert_int_equal(set->at[2]->stop.to, CONF_TO_MAIN);
    conf_set_free(set);
    write_text("o/2.conf", "service b { command = {a}\nstop {\nnoce = 3 }\nnice = 99 }");
    assert_string_equal(
        load_path("o", &set),
        "o/2.conf:3: b: unknown key noce: did you mean grace?\n"
        "o/2.conf:4: b: nice = \"99\" is not right: write a decimal number from -20 to 19\n");
}

static void test_supervisor_twice(void **state)
{
    char expected[400];
    struct conf_set *set;

    (void)state;
    mkdir(path_of("v"), 0755);
    write_text("v/1.conf", WEB("") "supervisor { grace = \"1s\" }");
    write_text("v/2.conf", "supervisor {\n cgroup = yes\n grace = \"2s\" }");
    snprintf(expected, sizeof(expected),
             "v/2.conf:3: supervisor: grace is already set at %s/v/1.conf:3: leave one out\n",
             folder);
    assert_string_equal(load_path("v", &set), expected);
}

/* ---- the host ---- */

static void test_relative(void **state)
{
    struct conf_set *set;

    (void)state;
    write_text("web.env", "# c\n\nA=1\n B = no\n");
    set = load_good(WEB("directory = \".\""));
    assert_string_equal(set->at[0]->directory, path_of("."));
    conf_set_free(set);
    write_text("web.env", "# c\n\n  A=1  \r\nB=' x '\nC=\"y\"\nD=\nA=2=3\nE='");
    expect(WEB("environment_file = web.env"),
           "web.env:8: web: the value of E has only one of its quotes\n");
    write_text("web.env", "# c\n\n  A=1  \r\nB=' x '\nC=\"y\"z\"\nD=\nA=2=3\n");
    set = load_good(WEB("environment_file = web.env"));
    assert_string_equal(set->at[0]->environment_file, path_of("web.env"));
    assert_string_equal(set->at[0]->file_environment[0], "A=2=3");
    assert_string_equal(set->at[0]->file_environment[1], "B= x ");
    assert_string_equal(set->at[0]->file_environment[2], "C=y\"z");
    assert_string_equal(set->at[0]->file_environment[3], "D=");
    assert_null(set->at[0]->file_environment[4]);
    conf_set_free(set);
    write_text("web.env", "A=1\nB = 2\n");
    expect(WEB("environment_file = web.env"),
           "web.env:2: web: this is no variable: write NAME=value\n");
    write_bytes("web.env", "A=1\0", 4);
    {
        char expected[300];
        snprintf(expected, sizeof(expected),
                 "a.conf:2: web: environment_file = \"%s/web.env\" has a NUL byte: is this a text "
                 "file?\n"
                 "a.conf:3: web: nice = \"99\" is not right: write a decimal number from -20 to "
                 "19\n",
                 folder);
        expect(WEB("environment_file = web.env\nnice = 99"), expected);
        snprintf(expected, sizeof(expected),
                 "a.conf:2: web: environment_file = \"%s/-none\" cannot be opened: No such file or "
                 "directory\n",
                 folder);
        expect(WEB("environment_file = -none"), expected);
    }
}

static void test_ids(void **state)
{
    const struct passwd *nobody = getpwnam("nobody");
    struct conf_set *set = load_good(WEB("user = nobody"));
    const struct conf *web = set->at[0];

    (void)state;
    assert_non_null(nobody);
    assert_true(web->has_ids);
    assert_int_equal(web->uid, nobody->pw_uid);
    assert_int_equal(web->gid, nobody->pw_gid);
    assert_string_equal(web->logname, "nobody");
    assert_string_equal(web->home, nobody->pw_dir);
    assert_string_equal(web->shell, nobody->pw_shell);
    assert_true(web->n_gids >= 1);
    conf_set_free(set);
    set = load_good(WEB("user = 3999999999"));
    web = set->at[0];
    assert_true(web->has_ids && web->uid == 3999999999u && web->gid == 3999999999u);
    assert_int_equal(web->n_gids, 0);
    assert_string_equal(web->logname, "3999999999");
    assert_string_equal(web->home, "/");
    assert_string_equal(web->shell, "/bin/sh");
    conf_set_free(set);
    set = load_good("service a { command = {a} user = nobody group = daemon groups = {7, bin} }\n"
                    "service b { command = {a} user = nobody group = daemon groups = {7, bin} }\n"
                    "service c { command = {a} user = nobody group = 0 groups = {} }\n"
                    "service d { command = {a} group = daemon }\n"
                    "service e { command = {a} user = nobody group = daemon groups = {7} }");
    for (int i = 0; i < 2; i++) {
        web = set->at[i];
        assert_int_equal(web->gid, getgrnam("daemon")->gr_gid);
        assert_int_equal(web->n_gids, 2);
        assert_int_equal(web->gids[0], 7);
        assert_int_equal(web->gids[1], getgrnam("bin")->gr_gid);
        assert_string_equal(web->home, nobody->pw_dir);
    }
    assert_int_equal(set->at[2]->gid, 0);
    assert_int_equal(set->at[3]->uid, geteuid());
    assert_null(set->at[3]->home);
    assert_int_equal(set->at[4]->n_gids, 1);
    conf_set_free(set);
}

/* Of the control socket. */
static void test_group(void **state)
{
    struct conf_set *set = load_good(WEB(""));
    char expected[300];

    (void)state;
    assert_false(set->supervisor.has_group);
    assert_null(set->supervisor.group);
    conf_set_free(set);
    set = load_good("supervisor { group = 0 }\n" WEB(""));
    assert_true(set->supervisor.has_group && set->supervisor.gid == 0);
    conf_set_free(set);
    set = load_good("supervisor { group = 3999999999 }\n" WEB(""));
    assert_true(set->supervisor.has_group && set->supervisor.gid == 3999999999u);
    conf_set_free(set);
    expect(WEB("") "supervisor {\n group = nogrp }",
           "a.conf:4: supervisor: group = \"nogrp\" is unknown here: make that group or write "
           "another\n");
    expect("supervisor {\n group = 4294967295 }\n" WEB(""),
           "a.conf:2: supervisor: group = \"4294967295\" is no group id: write a decimal number "
           "below 4294967295\n");
    expect("supervisor {\n group = \"\" }\n" WEB(""),
           "a.conf:2: supervisor: group is empty: write a value or leave the key out\n");
    expect("supervisor {\n group += bin }\n" WEB(""),
           "a.conf:2: group is no list: write = instead of +=\n");
    expect("supervisor {\n group = {bin} }\n" WEB(""),
           "a.conf:2: group is no list: write one value without braces\n");
    /* told where it was written, which need not be where the section began first */
    mkdir(path_of("g"), 0755);
    write_text("g/1.conf", "supervisor { grace = \"1s\" }\n" WEB(""));
    write_text("g/2.conf", "supervisor {\n\n group = nogrp\n}");
    snprintf(expected, sizeof(expected),
             "g/2.conf:3: supervisor: group = \"nogrp\" is unknown here: make that group or write "
             "another\n");
    {
        struct conf_set *none;
        assert_string_equal(load_path("g", &none), expected);
    }
}

static void test_trust(void **state)
{
    struct conf_set *set;

    (void)state;
    if (geteuid() != 0)
        skip();
    mkdir(path_of("t"), 0755);
    mkdir(path_of("t/in"), 0755);
    write_text("t/in/a.conf", WEB(""));
    assert_string_equal(load_path("t/in/a.conf", &set), "");
    conf_set_free(set);
    chmod(path_of("t/in/a.conf"), 0664); /* by the group of root: nobody else */
    assert_string_equal(load_path("t/in/a.conf", &set), "");
    conf_set_free(set);
    assert_int_equal(chown(path_of("t/in/a.conf"), 0, 1), 0);
    assert_string_equal(load_path("t/in/a.conf", &set),
                        "t/in/a.conf: is writable by others: chmod go-w it\n");
    chmod(path_of("t/in/a.conf"), 0644);
    assert_int_equal(chown(path_of("t/in/a.conf"), 65533, 0), 0);
    assert_string_equal(load_path("t/in/a.conf", &set),
                        "t/in/a.conf: belongs to user 65533: chown it to root\n");
    assert_int_equal(chown(path_of("t/in/a.conf"), 0, 0), 0);
    chmod(path_of("t"), 0777);
    assert_non_null(strstr(load_path("t/in/a.conf", &set), "/t is writable by others: chmod go-w"));
    chmod(path_of("t"), 01777);
    assert_string_equal(load_path("t/in/a.conf", &set), "");
    conf_set_free(set);
    chmod(path_of("t"), 0777);
    /* A link in a good folder to a file in a bad one, and the other way round. */
    assert_int_equal(symlink("t/in/a.conf", path_of("link.conf")), 0);
    assert_non_null(strstr(load_path("link.conf", &set), "/t is writable by others"));
    write_text("good.conf", WEB(""));
    assert_int_equal(symlink("../good.conf", path_of("t/link.conf")), 0);
    assert_non_null(strstr(load_path("t/link.conf", &set), "/t is writable by others"));
    chmod(path_of("t"), 0755);
}

/* What is known of one folder says nothing of its neighbours, nor of what is below it. */
static void test_trust_of_many(void **state)
{
    static const char *const folders[] = {"g", "g/2", "g/2/a.conf.d", "g/2/b.conf.d", "g/20"};
    struct conf_set *set;

    (void)state;
    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
        mkdir(path_of(folders[i]), 0755);
    write_text("g/20/c.conf", "service c { command = {\"a\"} }");
    write_text("g/2/a.conf", "service a { command = {\"a\"} }");
    write_text("g/2/b.conf", "service b { command = {\"a\"} }");
    write_text("g/2/a.conf.d/1.conf", "service a { nice = 1 }");
    write_text("g/2/b.conf.d/1.conf", "service b { nice = 1 }");
    assert_int_equal(symlink("../20/c.conf", path_of("g/2/c.conf")), 0);
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        char expected[200], *paths[] = {path_of("g/20"), path_of("g/2"), NULL};
        snprintf(expected, sizeof(expected), "its folder %s/%s is writable by others: chmod go-w",
                 folder, folders[i]);
        chmod(path_of(folders[i]), 0777);
        assert_non_null(strstr(load_text_of(paths, &set), expected));
        chmod(path_of(folders[i]), 0755);
    }
    chmod(path_of("g/20"), 0777);
    assert_non_null(strstr(load_path("g/2", &set), "g/2/c.conf: its folder "));
    chmod(path_of("g/20"), 0755);
    assert_string_equal(load_path("g/2", &set), "");
    assert_int_equal(set->n, 3);
    conf_set_free(set);
}

/* As realpath(3) has it, for every path of up to five of these parts. */
static void test_real_path(void **state)
{
    static const char *const parts[] = {"", ".", "..", "b", "up", "round", "gone", "far", "/"};
    char ours[PATH_MAX], libcs[PATH_MAX], before[PATH_MAX], far[80];
    unsigned good = 0, bad = 0;

    (void)state;
    assert_non_null(getcwd(before, sizeof(before)));
    mkdir(path_of("r"), 0755);
    mkdir(path_of("r/b"), 0755);
    mkdir(path_of("r/b/b"), 0755);
    snprintf(far, sizeof(far), "%s/r/../r/b/", folder);
    assert_int_equal(symlink("../b/./b", path_of("r/b/up")), 0);
    assert_int_equal(symlink("../..", path_of("r/b/b/up")), 0);
    assert_int_equal(symlink("round", path_of("r/b/round")), 0);
    assert_int_equal(symlink("nowhere", path_of("r/b/gone")), 0);
    assert_int_equal(symlink(far, path_of("r/b/far")), 0);
    assert_int_equal(symlink(far, path_of("r/b/b/far")), 0);
    assert_int_equal(chdir(path_of("r/b")), 0);
    for (unsigned i = 0; i < 9 * 9 * 9 * 9 * 9; i++) {
        char path[64] = "";
        for (unsigned rest = i; rest; rest /= 9)
            sprintf(path + strlen(path), "%s/", parts[rest % 9]);
        path[*path ? strlen(path) - 1 : 0] = '\0';
        if (!realpath(path, libcs)) {
            bad++;
            continue;
        }
        assert_int_equal(host_real_path(path, ours), 0);
        assert_string_equal(ours, libcs);
        good++;
    }
    assert_true(good > 1000 && bad > 1000);
    assert_int_equal(host_real_path("round", ours), -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(host_real_path("gone", ours), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(chdir(before), 0);
}

/* ---- the child ---- */

static size_t run_child(char *const *paths, unsigned char *data, size_t room, int *status)
{
    int ends[2];
    size_t used = 0;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        _exit(load_child(paths, ends[1]));
    }
    close(ends[1]);
    while ((n = read(ends[0], data + used, room - used)) > 0)
        used += (size_t)n;
    close(ends[0]);
    assert_int_equal(waitpid(pid, status, 0), pid);
    return used;
}

static void test_child(void **state)
{
    static unsigned char data[1 << 20];
    char *paths[] = {path_of("a.conf"), NULL}, **problems;
    struct conf_set *set;
    size_t size;
    int status;

    (void)state;
    write_text("a.conf", WEB("nice = 3"));
    size = run_child(paths, data, sizeof(data), &status);
    assert_int_equal(status, 0);
    assert_int_equal(pack_read(data, size, &set, &problems), 0);
    assert_int_equal(set->at[0]->nice, 3);
    conf_set_free(set);
    write_text("a.conf", WEB("nice = 33\nnoce = 3"));
    size = run_child(paths, data, sizeof(data), &status);
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(pack_read(data, size, &set, &problems), 0);
    assert_null(set);
    assert_non_null(strstr(problems[0], "a.conf:2: web: nice"));
    assert_non_null(strstr(problems[1], "a.conf:3: web: unknown key noce"));
    assert_null(problems[2]);
    free(problems[0]);
    free(problems[1]);
    free(problems);
}

/* Nothing of one load may shine through in the next one. */
static void test_again(void **state)
{
    (void)state;
    expect("supervisor { grace = \"3s\" }\nservice a { command = {\"x\" \"y\"} }",
           "a.conf:2: a: y in the list of command: write a comma between its words\n");
    for (int i = 0; i < 3; i++) {
        struct conf_set *set = load_good(WEB(""));
        assert_int_equal(set->n, 1);
        assert_int_equal(set->supervisor.grace, 10000);
        conf_set_free(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_ready_and_health),
        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_appending),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_stop_max),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_strange_files),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_drop_ins),
        cmocka_unit_test(test_drop_in_folders),
        cmocka_unit_test(test_other_keys),
        cmocka_unit_test(test_default_places),
        cmocka_unit_test(test_supervisor_twice),
        cmocka_unit_test(test_relative),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_trust_of_many),
        cmocka_unit_test(test_real_path),
        cmocka_unit_test(test_child),
        cmocka_unit_test(test_again),
    };

    return cmocka_run_group_tests_name("load", tests, make_folder, remove_folder);
}
