/* tendctl: sees and steers a running tend over its control socket (docs/PROTOCOL.md). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/nearest.h"
#include "client/verbs.h"
#include "tend/units.h"

enum {
    OPTION_RUNTIME = 256,
    OPTION_JSON,
    OPTION_COLOR,
    OPTION_TIMEOUT,
    OPTION_VERSION,
    OPTION_WAIT,
    OPTION_GROUP,
    OPTION_FOR,
    OPTION_DOT,
    OPTION_NOW,
    OPTION_DEADLINE
};

static const struct option long_options[] = {
    {"runtime", required_argument, NULL, OPTION_RUNTIME},
    {"json", no_argument, NULL, OPTION_JSON},
    {"color", required_argument, NULL, OPTION_COLOR},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {"wait", no_argument, NULL, OPTION_WAIT},
    {"group", no_argument, NULL, OPTION_GROUP},
    {"for", required_argument, NULL, OPTION_FOR},
    {"dot", no_argument, NULL, OPTION_DOT},
    {"follow", no_argument, NULL, 'f'},
    {"now", no_argument, NULL, OPTION_NOW},
    {"deadline", required_argument, NULL, OPTION_DEADLINE},
    {NULL, 0, NULL, 0},
};

static const struct {
    int option;
    unsigned takes;
} options_of_verbs[] = {
    {OPTION_WAIT, TAKES_WAIT},         {OPTION_GROUP, TAKES_GROUP}, {OPTION_FOR, TAKES_FOR},
    {OPTION_DOT, TAKES_DOT},           {'f', TAKES_FOLLOW},         {OPTION_NOW, TAKES_NOW},
    {OPTION_DEADLINE, TAKES_DEADLINE},
};

/* ---- values ---- */

static msec read_time(struct client *c, const char *option, const char *text)
{
    msec time;

    if (units_duration(text, &time))
        client_fail(c, CLIENT_USAGE, "usage", NULL,
                    "%s: \"%s\" is no time: write 10s, 500ms or 1m30s", option, text);
    return time;
}

static const char *read_choice(struct client *c, const char *option, const char *const *choices,
                               size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, choices[i]) == 0)
            return choices[i];
    client_fail(c, CLIENT_USAGE, "usage", NULL, "%s: \"%s\" is unknown: write %s, %s or %s", option,
                text, choices[0], choices[1], choices[2]);
}

static enum client_color read_color(struct client *c, const char *text)
{
    static const char *const names[] = {
        [COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"};
    const char *found = read_choice(c, "--color", names, ARRAY_SIZE(names), text);
    size_t i = 0;

    while (names[i] != found)
        i++;
    return (enum client_color)i;
}

static const char *read_goal(struct client *c, const char *text)
{
    static const char *const goals[] = {"ready", "down", "failed"};

    return read_choice(c, "--for", goals, ARRAY_SIZE(goals), text);
}

/* ---- options ---- */

static void show_help(struct client *c)
{
    if (c->verb)
        help_verb(c->verb);
    else
        help_general(stdout);
    json_decref(c->document);
    c->document = NULL;
    exit(client_finish(c, CLIENT_DONE));
}

static void bad_option(struct client *c, char **argv)
{
    const char *names[ARRAY_SIZE(long_options)], *word = argv[optind - 1], *near = NULL;
    size_t n = 0;

    for (; long_options[n].name; n++)
        names[n] = long_options[n].name;
    if (strncmp(word, "--", 2) == 0)
        near = nearest(word + 2, names, n);
    if (optopt && optopt < OPTION_RUNTIME)
        client_fail(c, CLIENT_USAGE, "usage", NULL, "no option -%c; see tendctl --help", optopt);
    if (near)
        client_fail(c, CLIENT_USAGE, "usage", NULL, "no option %s: did you mean --%s?", word, near);
    client_fail(c, CLIENT_USAGE, "usage", NULL, "no option %s; see tendctl --help", word);
}

static void look_at_option(struct client *c, int option)
{
    const char *name = "";

    for (size_t i = 0; long_options[i].name; i++)
        if (long_options[i].val == option)
            name = long_options[i].name;
    for (size_t i = 0; i < ARRAY_SIZE(options_of_verbs); i++)
        if (option == options_of_verbs[i].option &&
            !(c->verb && (c->verb->options & options_of_verbs[i].takes)))
            client_fail(c, CLIENT_USAGE, "usage", NULL, "--%s is not for %s; see tendctl %s--help",
                        name, c->verb ? c->verb->name : "all verbs: it belongs behind its own",
                        c->verb ? c->verb->name : "");
}

static void set_option(struct client *c, int option, char **argv)
{
    switch (option) {
    case OPTION_RUNTIME:
        c->runtime = optarg;
        break;
    case OPTION_JSON:
        c->json = true;
        break;
    case OPTION_COLOR:
        c->color = read_color(c, optarg);
        break;
    case OPTION_TIMEOUT:
        c->timeout = read_time(c, "--timeout", optarg);
        break;
    case OPTION_VERSION:
        puts("tendctl " TEND_VERSION);
        exit(client_finish(c, CLIENT_DONE));
    case OPTION_WAIT:
        c->wait = true;
        break;
    case OPTION_GROUP:
        c->group = true;
        break;
    case OPTION_FOR:
        c->goal = read_goal(c, optarg);
        break;
    case OPTION_DOT:
        c->dot = true;
        break;
    case 'f':
        c->follow = true;
        break;
    case OPTION_NOW:
        c->now = true;
        break;
    case OPTION_DEADLINE:
        read_time(c, "--deadline", optarg);
        c->shutdown = optarg;
        break;
    case 'h':
        show_help(c);
        break;
    case ':':
        client_fail(c, CLIENT_USAGE, "usage", NULL, "%s needs a value; see tendctl --help",
                    argv[optind - 1]);
    default:
        bad_option(c, argv);
    }
}

/* Up to the first word, or all: then optind is at the words, which come last. */
static void take_options(struct client *c, int argc, char **argv, const char *letters)
{
    int option;

    optind = 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        look_at_option(c, option);
        set_option(c, option, argv);
    }
}

/* ---- the verb ---- */

static void find_verb(struct client *c, const char *word)
{
    const char *near = verb_nearest(word);

    c->verb = verb_find(word);
    if (c->verb)
        return;
    if (near)
        client_fail(c, CLIENT_USAGE, "usage", NULL, "no verb \"%s\": did you mean \"%s\"?", word,
                    near);
    client_fail(c, CLIENT_USAGE, "usage", NULL, "no verb \"%s\"; see tendctl --help", word);
}

/* tendctl help [VERB] */
static void help_for(struct client *c, const char *word)
{
    if (word)
        find_verb(c, word);
    show_help(c);
}

static void take_signal(struct client *c)
{
    int signal;

    c->signal = *c->names++;
    c->n_names--;
    if (units_signal(c->signal, &signal))
        client_fail(c, CLIENT_USAGE, "usage", NULL,
                    "\"%s\" is no signal: write TERM, SIGTERM, RTMIN+3 or a number", c->signal);
}

static void take_words(struct client *c, char **words, size_t n)
{
    const struct verb *v = c->verb;

    if (n < v->least || n > v->most)
        client_fail(c, CLIENT_USAGE, "usage", NULL, "%s %s: tendctl %s%s%s", v->name,
                    n < v->least ? "needs more words"
                    : v->most    ? "takes fewer words"
                                 : "takes no names",
                    v->name, *v->synopsis ? " " : "", v->synopsis);
    c->names = words;
    c->n_names = n;
    if (strcmp(v->name, "signal") == 0)
        take_signal(c);
}

/* Descriptors that are closed would be given to the socket, and be written to. */
static void open_standard(void)
{
    int fd = open("/dev/null", O_RDWR);

    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = dup(fd);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    struct client c = {.timeout = NEVER, .connection = {.fd = -1, .process = -1, .watched = -1}};
    int first;

    open_standard();
    signal(SIGPIPE, SIG_DFL);
    setlocale(LC_CTYPE, "");
    take_options(&c, argc, argv, "+:hf");
    first = optind;
    if (first >= argc) {
        help_general(stderr);
        return CLIENT_USAGE;
    }
    if (strcmp(argv[first], "help") == 0)
        help_for(&c, argv[first + 1]);
    find_verb(&c, argv[first]);
    if (!c.verb->run)
        return check(&c, argv + first + 1);
    take_options(&c, argc - first, argv + first, ":hf");
    take_words(&c, argv + first + optind, (size_t)(argc - first - optind));
    c.deadline = c.timeout == NEVER ? NEVER : connection_now() + c.timeout;
    client_set_terminal(&c);
    if (c.json && c.verb->run != show_events)
        c.document = client_must(&c, json_object());
    return client_finish(&c, (enum client_status)c.verb->run(&c));
}
