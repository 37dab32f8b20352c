#include "client/verbs.h"

#include <string.h>

#include "client/nearest.h"

enum { MANY = 100000 };

const struct verb verbs[] = {
    {"status", "[NAME...]", "what runs, and what it waits for", 0, 0, MANY, show_status, NULL,
     "A table of all services, or of those that are named. MEMORY is that of all\n"
     "processes of a service. Of a single one it tells too what it says of itself,\n"
     "and how its probes went. Where services are named, and not all of them are\n"
     "ready or done, and none unhealthy, the exit code is 3.\n"},
    {"why", "NAME", "why it is as it is", 0, 1, 1, show_why, NULL,
     "Tells what a service waits for, how it ended, what comes next, and which\n"
     "processes hold up its stop.\n"},
    {"graph", "[--dot]", "who depends on whom", TAKES_DOT, 0, 0, show_graph, NULL,
     "Draws each service below those that it depends on.\n"},
    {"events", "[-f]", "what happened, as it happens", TAKES_FOLLOW, 0, 0, show_events, NULL,
     "Prints the events that tend has kept; with --follow those from now on, until\n"
     "it is interrupted, or tend ends.\n"},
    {"history", "[NAME...]", "how lives have ended", 0, 0, MANY, show_history, NULL,
     "A table of the last deaths of main processes, oldest first.\n"},
    {"ready", "[NAME...]", "whether all is ready, for a health check", 0, 0, MANY, show_ready, NULL,
     "The exit code is 0 where all services that are wanted, or those that are\n"
     "named, are ready or done, and not unhealthy; else 1, and the others are told.\n"},
    {"wait", "[NAME...] [--for GOAL]", "until services are ready, down or failed", TAKES_FOR, 0,
     MANY, steer, NULL,
     "Waits until each service is ready, or what --for says; without names, until\n"
     "all are that are wanted. The exit code is 1 as soon as it cannot come by\n"
     "itself.\n"},
    {"start", "NAME... [--wait]", "start services, and what they need", TAKES_WAIT, 1, MANY, steer,
     "ready", "What a service requires or wants is started too.\n"},
    {"stop", "NAME... [--wait]", "stop services, after what requires them", TAKES_WAIT, 1, MANY,
     steer, "down", "What requires a service is stopped before it.\n"},
    {"restart", "NAME... [--wait]", "stop services and start them again", TAKES_WAIT, 1, MANY,
     steer, "ready", "A service that is down is started.\n"},
    {"reload-service", "NAME... [--wait]", "let services read their own config again", TAKES_WAIT,
     1, MANY, steer, "reloaded",
     "Sends the signal, or runs the command, of the section reload of a service.\n"
     "With --wait until the command has ended.\n"},
    {"signal", "SIGNAL NAME... [--group]", "send a signal to services", TAKES_GROUP, 2, MANY, steer,
     "", "SIGNAL is a name as TERM or SIGTERM, or a number.\n"},
    {"plan", "", "what reload would do", 0, 0, 0, show_changes, NULL,
     "Reads the config and compares it with what runs. Nothing is changed.\n"},
    {"reload", "", "take the config as it is now", 0, 0, 0, show_changes, NULL,
     "Does what plan tells. Where the config has errors nothing is changed, and the\n"
     "exit code is 78.\n"},
    {"check", "[ARGUMENT...]", "check the config (tend --check)", 0, 0, MANY, NULL, NULL,
     "Runs tend --check with these arguments and ends as it does; tend need not be\n"
     "running. With --json as --format json.\n"},
    {"shutdown", "[--now] [--deadline TIME] [--wait]", "stop all services, and tend",
     TAKES_WAIT | TAKES_NOW | TAKES_DEADLINE, 0, 0, steer_shutdown, "",
     "Stops everything in its order, and ends tend.\n"},
    {"names", "", "the names of services, one on a line", 0, 0, 0, show_names, NULL, ""},
    {"version", "", "the versions of tendctl and of tend", 0, 0, 0, show_version, NULL, ""},
};
const size_t verbs_n = sizeof verbs / sizeof *verbs;

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < verbs_n; i++)
        if (strcmp(name, verbs[i].name) == 0)
            return &verbs[i];
    return NULL;
}

const char *verb_nearest(const char *name)
{
    const char *names[sizeof verbs / sizeof *verbs];

    for (size_t i = 0; i < verbs_n; i++)
        names[i] = verbs[i].name;
    return nearest(name, names, verbs_n);
}

/* ---- help ---- */

static const char options_of_all[] =
    "      --runtime DIR    directory of tend's socket (default: TEND_RUNTIME, else\n"
    "                       /run/tend as root, else $XDG_RUNTIME_DIR/tend)\n"
    "      --json           print JSON, errors too\n"
    "      --color WHEN     auto, always or never\n"
    "      --timeout TIME   give up after this time: 10s, 1m30s\n"
    "  -h, --help           tell this, or all of one verb\n";

static const struct {
    unsigned takes;
    const char *help;
} options[] = {
    {TAKES_WAIT, "      --wait           until it is done, has failed, or cannot come\n"},
    {TAKES_GROUP, "      --group          to the whole process group, not to the main process\n"},
    {TAKES_FOR, "      --for GOAL       ready (the default), down or failed\n"},
    {TAKES_DOT, "      --dot            for graphviz: tendctl graph --dot | dot -Tsvg\n"},
    {TAKES_FOLLOW, "  -f, --follow         what happens from now on\n"},
    {TAKES_NOW, "      --now            kill everything at once\n"},
    {TAKES_DEADLINE, "      --deadline TIME  be over by then\n"},
};

static const char exit_codes[] =
    "Exit codes:\n"
    "  0  done                           69  no tend answers\n"
    "  1  it did not come: failed, not   71  the system refused\n"
    "     ready, will not be             77  not permitted\n"
    "  3  status: not all of those that  78  the config has errors\n"
    "     were named are ready or done   124 --timeout is over\n"
    "  4  no such service                check: those of tend --check\n"
    "  64 wrong usage\n";

void help_usage(FILE *out, const struct verb *v)
{
    if (v)
        fprintf(out, "usage: tendctl %s%s%s\n", v->name, *v->synopsis ? " " : "", v->synopsis);
    else
        fputs("usage: tendctl [options] VERB [NAME...]\n", out);
}

void help_general(FILE *out)
{
    help_usage(out, NULL);
    fputs("\n", out);
    for (size_t i = 0; i < verbs_n; i++) {
        int used = fprintf(out, "  %s %s", verbs[i].name, verbs[i].synopsis);
        fprintf(out, "%*s%s\n", used < 34 ? 36 - used : 2, "", verbs[i].summary);
    }
    fprintf(out, "\nOptions:\n%s      --version\n\n%s", options_of_all, exit_codes);
}

void help_verb(const struct verb *v)
{
    help_usage(stdout, v);
    printf("\n%c%s.\n%s\nOptions:\n", v->summary[0] - 'a' + 'A', v->summary + 1, v->help);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (v->options & options[i].takes)
            fputs(options[i].help, stdout);
    printf("%s\n%s", options_of_all, exit_codes);
}
