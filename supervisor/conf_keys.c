#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tend/conf.h"

enum { WORD_MAX = 128 * 1024 };

static const char *const types[] = {"process", "oneshot", NULL};
static const char *const starts[] = {"auto", "manual", NULL};
static const char *const readies[] = {"",    "exec", "exit",    "notify", "fd",
                                      "tcp", "unix", "command", NULL};
static const char *const accesses[] = {"", "none", "main", "all", NULL};
static const char *const reloads[] = {"sent", "notify", NULL};
static const char *const thens[] = {"restart", "mark", NULL};
static const char *const policies[] = {"", "always", "on-failure", "never", NULL};
static const char *const targets[] = {"group", "main", "mixed", NULL};
static const char *const cgroups[] = {"auto", "yes", "no", NULL};

static_assert(ARRAY_SIZE(types) == CONF_TYPE_COUNT + 1, "a word for each");
static_assert(ARRAY_SIZE(starts) == CONF_START_COUNT + 1, "a word for each");
static_assert(ARRAY_SIZE(readies) == CONF_READY_COUNT + 1, "a word for each");
static_assert(ARRAY_SIZE(accesses) == CONF_ACCESS_COUNT + 1, "a word for each");
static_assert(ARRAY_SIZE(reloads) == CONF_RELOAD_COUNT + 1, "a word for each");
static_assert(ARRAY_SIZE(thens) == CONF_THEN_COUNT + 1, "a word for each");
static_assert(ARRAY_SIZE(policies) == CONF_RESTART_COUNT + 1, "a word for each");
static_assert(ARRAY_SIZE(targets) == CONF_TO_COUNT + 1, "a word for each");
static_assert(ARRAY_SIZE(cgroups) == CONF_CGROUP_COUNT + 1, "a word for each");

#define AT(field)   offsetof(struct conf, field)
#define NAMES       1, CONF_NAME_MAX, NULL, 0
#define STRING(max) 1, max, NULL, 0
#define WORDS       0, WORD_MAX, NULL, 0
#define TIME(low)   low, CONF_TIME_MAX, NULL, 0
#define PLAIN       0, 0, NULL, 0
#define POLICY      CONF_POLICY
#define SPAWN       CONF_SPAWN
#define LIMIT(name, resource, bytes, sentence)                                                     \
    {                                                                                              \
        "limits", name, CONF_LIMIT, AT(limits), NULL, resource, bytes, NULL, 0, SPAWN, sentence    \
    }

/* clang-format off */
const struct conf_key conf_keys[] = {
    {"", "description", CONF_STRING, AT(description), NULL, 0, 200, NULL, 0, POLICY,
     "what it is, for people"},
    {"", "command", CONF_LIST, AT(command), NULL, WORDS, SPAWN,
     "program and arguments, run without a shell"},
    {"", "type", CONF_CHOICE, AT(type), "process", 0, 0, types, 0, SPAWN,
     "process: it is to stay; oneshot: it is to do its work and end"},
    {"", "start", CONF_CHOICE, AT(start), "auto", 0, 0, starts, 0, POLICY,
     "auto: with tend; manual: when told to"},
    {"", "before_start", CONF_LIST, AT(before_start), NULL, WORDS, SPAWN,
     "a command that must succeed before each start"},
    {"", "main", CONF_BOOL, AT(main), "false", PLAIN, POLICY,
     "when it ends for good, everything ends, with its exit code"},
    {"", "success", CONF_EXITS, AT(success), NULL, PLAIN, POLICY,
     "exit codes and signals that count as success besides 0"},
    {"", "requires", CONF_NAMES, AT(requires), NULL, NAMES, POLICY,
     "services that must be ready before it starts and stay until it is gone"},
    {"", "wants", CONF_NAMES, AT(wants), NULL, NAMES, POLICY,
     "the same order without the shared fate"},
    {"", "after", CONF_NAMES, AT(after), NULL, NAMES, POLICY,
     "services that go first where both are to start"},
    {"", "user", CONF_STRING, AT(user), NULL, STRING(256), SPAWN,
     "user to run as, by name or number"},
    {"", "group", CONF_STRING, AT(group), NULL, STRING(256), SPAWN,
     "group to run as instead of the user's own"},
    {"", "groups", CONF_NAMES, AT(groups), NULL, 1, 256, NULL, 0, SPAWN,
     "supplementary groups, instead of those of the user"},
    {"", "directory", CONF_STRING, AT(directory), NULL, STRING(PATH_MAX - 1), SPAWN,
     "working directory"},
    {"", "tty", CONF_STRING, AT(tty), NULL, STRING(PATH_MAX - 1), SPAWN,
     "terminal that it controls, with stdin, stdout and stderr"},
    {"", "umask", CONF_OCTAL, AT(umask), "022", PLAIN, SPAWN,
     "mode bits that new files are not to have, in octal"},
    {"", "environment", CONF_LIST, AT(environment), NULL, WORDS, SPAWN,
     "variables as NAME=value"},
    {"", "environment_file", CONF_STRING, AT(environment_file), NULL, STRING(PATH_MAX - 1), SPAWN,
     "file with lines NAME=value; environment goes over it"},
    {"", "nice", CONF_NUMBER, AT(nice), NULL, -20, 19, NULL, AT(nice_set), SPAWN,
     "scheduling priority"},
    {"", "oom_score_adj", CONF_NUMBER, AT(oom_score_adj), NULL, -1000, 1000, NULL,
     AT(oom_score_adj_set), SPAWN, "how readily the kernel ends it when memory is short"},
    {"", "no_new_privs", CONF_BOOL, AT(no_new_privs), "false", PLAIN, SPAWN,
     "set-user-ID programs give it nothing"},
    {"", "watchdog", CONF_DURATION, AT(watchdog), "0s", TIME(0), SPAWN,
     "it is to say at least so often that it is alive (WATCHDOG=1); 0: it need not"},
    {"", "watchdog_signal", CONF_SIGNAL, AT(watchdog_signal), "ABRT", PLAIN, POLICY,
     "the first signal of a stop because it did not"},

    {"ready", "on", CONF_CHOICE, AT(ready.on), NULL, 0, 0, readies, 0, SPAWN,
     "what makes it ready; default: by the keys beside it, else exec, exit for a oneshot"},
    {"ready", "tcp", CONF_TCP, AT(ready.tcp), NULL, STRING(64), POLICY,
     "it accepts a connection there: an address and a port, both numbers"},
    {"ready", "unix", CONF_UNIX, AT(ready.local), NULL, STRING(108), POLICY,
     "it accepts a connection at that local socket: a path, or @name"},
    {"ready", "command", CONF_LIST, AT(ready.command), NULL, WORDS, POLICY,
     "a command that succeeds when it is ready"},
    {"ready", "command_timeout", CONF_DURATION, AT(ready.command_timeout), "10s", TIME(1), POLICY,
     "the longest time for one run of that command"},
    {"ready", "fd", CONF_NUMBER, AT(ready.fd), "3", 3, 255, NULL, AT(ready_fd_set), SPAWN,
     "the descriptor to which it writes a newline when it is ready"},
    {"ready", "every", CONF_DURATION, AT(ready.every), "500ms", TIME(1), POLICY,
     "the longest wait between two tries of tcp, unix or command"},
    {"ready", "timeout", CONF_DURATION, AT(ready.timeout), "90s", TIME(1), POLICY,
     "time to become ready, then it is stopped as failed"},

    {"notify", "access", CONF_CHOICE, AT(access), NULL, 0, 0, accesses, 0, SPAWN,
     "whose sd_notify messages count: none, main or all; default: all where something needs them"},

    {"health", "command", CONF_LIST, AT(health.command), NULL, WORDS, POLICY,
     "a command that succeeds while it is well"},
    {"health", "tcp", CONF_TCP, AT(health.tcp), NULL, STRING(64), POLICY,
     "it accepts a connection there while it is well: an address and a port, both numbers"},
    {"health", "unix", CONF_UNIX, AT(health.local), NULL, STRING(108), POLICY,
     "it accepts a connection at that local socket while it is well: a path, or @name"},
    {"health", "http", CONF_HTTP, AT(health.http), NULL, STRING(1024), POLICY,
     "it answers this GET with a status of 2xx or 3xx while it is well"},
    {"health", "every", CONF_DURATION, AT(health.every), "10s", TIME(10), POLICY,
     "the wait from one probe to the next"},
    {"health", "timeout", CONF_DURATION, AT(health.timeout), "2s", TIME(1), POLICY,
     "the longest time for one probe"},
    {"health", "failures", CONF_NUMBER, AT(health.failures), "3", 1, 1000, NULL, 0, POLICY,
     "so many failed probes in a row are too many"},
    {"health", "then", CONF_CHOICE, AT(health.then), "restart", 0, 0, thens, 0, POLICY,
     "what follows: restart, or mark it as unhealthy and let it run"},

    {"restart", "policy", CONF_CHOICE, AT(restart.policy), NULL, 0, 0, policies, 0, POLICY,
     "always, on-failure or never; a oneshot's default is never"},
    {"restart", "delay", CONF_DURATION, AT(restart.delay), "100ms", TIME(0), POLICY,
     "least time from one start to the next; doubled with each failure in a row"},
    {"restart", "max_delay", CONF_DURATION, AT(restart.max_delay), "30s", TIME(0), POLICY,
     "the longest wait before a restart"},
    {"restart", "limit", CONF_COUNT, AT(restart.limit), "5", 0, 1000000, NULL, 0, POLICY,
     "starts in one window before it is given up; 0: no limit"},
    {"restart", "window", CONF_DURATION, AT(restart.window), "60s", TIME(1), POLICY,
     "the time in which starts are counted"},
    {"restart", "healthy", CONF_DURATION, AT(restart.healthy), "60s", TIME(0), POLICY,
     "ready for so long, its earlier failures are forgotten"},

    {"stop", "drain", CONF_DURATION, AT(stop.drain), "0s", TIME(0), POLICY,
     "wait before the first signal"},
    {"stop", "signal", CONF_SIGNAL, AT(stop.signal), "TERM", PLAIN, POLICY,
     "the first signal"},
    {"stop", "grace", CONF_DURATION, AT(stop.grace), NULL, TIME(0), POLICY,
     "time from that signal to the next step; default: the supervisor's"},
    {"stop", "then", CONF_STEPS, AT(stop.then), NULL, PLAIN, POLICY,
     "further steps before KILL, each a signal and a time: \"INT 5s\""},
    {"stop", "command", CONF_LIST, AT(stop.command), NULL, WORDS, POLICY,
     "a command to run before the first signal"},
    {"stop", "command_timeout", CONF_DURATION, AT(stop.command_timeout), "10s", TIME(1), POLICY,
     "the longest time for that command"},
    {"stop", "to", CONF_CHOICE, AT(stop.to), "group", 0, 0, targets, 0, POLICY,
     "who gets the signals: group, main, or mixed (main, but KILL to all)"},
    {"stop", "max", CONF_DURATION, AT(stop.max), "0s", TIME(0), POLICY,
     "how far EXTEND_TIMEOUT_USEC may stretch it, until KILL; 0: not beyond what is written"},

    {"reload", "on", CONF_CHOICE, AT(reload.on), "sent", 0, 0, reloads, 0, POLICY,
     "when it is done: once sent, or notify: at RELOADING=1 and READY=1"},
    {"reload", "signal", CONF_SIGNAL, AT(reload.signal), "HUP", PLAIN, POLICY,
     "what tells its first process to read its configuration anew"},
    {"reload", "command", CONF_LIST, AT(reload.command), NULL, WORDS, POLICY,
     "a command to run instead of that signal"},
    {"reload", "command_timeout", CONF_DURATION, AT(reload.command_timeout), "10s", TIME(1), POLICY,
     "the longest time for that command, and for the answer that reload.on waits for"},

    LIMIT("as", RLIMIT_AS, 1, "bytes of address space"),
    LIMIT("core", RLIMIT_CORE, 1, "bytes of a core file"),
    LIMIT("cpu", RLIMIT_CPU, 0, "seconds of processor time"),
    LIMIT("data", RLIMIT_DATA, 1, "bytes of data segment"),
    LIMIT("fsize", RLIMIT_FSIZE, 1, "bytes of one written file"),
    LIMIT("locks", RLIMIT_LOCKS, 0, "file locks"),
    LIMIT("memlock", RLIMIT_MEMLOCK, 1, "bytes of locked memory"),
    LIMIT("msgqueue", RLIMIT_MSGQUEUE, 1, "bytes in message queues"),
    LIMIT("nice", RLIMIT_NICE, 0, "20 less the lowest nice value"),
    LIMIT("nofile", RLIMIT_NOFILE, 0, "open files"),
    LIMIT("nproc", RLIMIT_NPROC, 0, "processes of its user"),
    LIMIT("rss", RLIMIT_RSS, 1, "bytes of resident memory; without effect on Linux"),
    LIMIT("rtprio", RLIMIT_RTPRIO, 0, "highest real-time priority"),
    LIMIT("rttime", RLIMIT_RTTIME, 0, "microseconds of real-time work without a pause"),
    LIMIT("sigpending", RLIMIT_SIGPENDING, 0, "queued signals"),
    LIMIT("stack", RLIMIT_STACK, 1, "bytes of stack"),
};
const size_t conf_keys_n = ARRAY_SIZE(conf_keys);

const struct conf_key conf_supervisor_keys[] = {
    {"", "grace", CONF_DURATION, offsetof(struct conf_supervisor, grace), "10s", TIME(0), POLICY,
     "stop.grace of the services that set none"},
    {"", "deadline", CONF_DURATION, offsetof(struct conf_supervisor, deadline), NULL, TIME(0), POLICY,
     "a shutdown is over by then, its waits are shortened for it; 0: none"},
    {"", "cgroup", CONF_CHOICE, offsetof(struct conf_supervisor, cgroup), "auto", 0, 0, cgroups, 0,
     POLICY, "auto: where ours was delegated to us; yes: also at the root; no: never"},
    {"", "group", CONF_STRING, offsetof(struct conf_supervisor, group), NULL, STRING(256), POLICY,
     "group whose members may see, start, stop and restart services over the control socket"},
};
/* clang-format on */
const size_t conf_supervisor_keys_n = ARRAY_SIZE(conf_supervisor_keys);

bool conf_kind_is_list(enum conf_kind kind)
{
    return kind == CONF_LIST || kind == CONF_NAMES || kind == CONF_STEPS || kind == CONF_EXITS;
}

const char *conf_key_name(const struct conf_key *key, char buf[static CONF_KEY_NAME_MAX])
{
    snprintf(buf, CONF_KEY_NAME_MAX, "%s%s%s", key->section, *key->section != '\0' ? "." : "",
             key->name);
    return buf;
}
