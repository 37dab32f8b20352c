#include "tend/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tend/log.h"
#include "tend/units.h"
#include "tend/world.h"

static const char usage[] =
    "usage: tend [options] [--] COMMAND [ARGUMENT...]    run one command\n"
    "       tend [options]                               supervise services\n"
    "Services:\n"
    "  -c, --config PATH       config file, or folder of *.conf; may be repeated\n"
    "                          (default: /etc/tend/tend.conf, /etc/tend/services.d)\n"
    "      --check             tell every error of the config, or the plan of it\n"
    "      --format FORMAT     of --check: text, json or records\n"
    "      --options           tell every key of the config\n"
    "      --runtime DIR       folder of the control socket (TEND_RUNTIME; as root\n"
    "                          /run/tend, else $XDG_RUNTIME_DIR/tend)\n"
    "One command:\n"
    "      --main-only         send signals to it alone, not to its process group\n"
    "      --rewrite FROM=TO   send TO where FROM comes in; TO may be none\n"
    "      --grace TIME        KILL so long after TERM (without it: never)\n"
    "      --success CODE|SIG  end with 0 where it ends like that\n"
    "      --parent-death SIG  take this signal when our parent has ended\n"
    "      --subreaper         adopt orphans or fail (tried anyway when not PID 1)\n"
    "Both:\n"
    "      --deadline TIME     a shutdown is over by then, its waits are shortened\n"
    "      --record FILE       write what happens to this file, for a timeline\n"
    "      --ready-fd FD       write a newline to this descriptor when all is ready\n"
    "      --strict            end with 70 when anything had to be killed\n"
    "  -v, --verbose           tell every step       --version       -h, --help\n"
    "Signals and exit codes are in tend(8), the config is in tend.conf(5).\n";

enum {
    OPTION_CHECK = 256,
    OPTION_FORMAT,
    OPTION_OPTIONS,
    OPTION_RUNTIME,
    OPTION_MAIN_ONLY,
    OPTION_REWRITE,
    OPTION_GRACE,
    OPTION_SUCCESS,
    OPTION_PARENT_DEATH,
    OPTION_SUBREAPER,
    OPTION_DEADLINE,
    OPTION_RECORD,
    OPTION_READY_FD,
    OPTION_STRICT,
    OPTION_VERSION
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"options", no_argument, NULL, OPTION_OPTIONS},
    {"runtime", required_argument, NULL, OPTION_RUNTIME},
    {"main-only", no_argument, NULL, OPTION_MAIN_ONLY},
    {"rewrite", required_argument, NULL, OPTION_REWRITE},
    {"grace", required_argument, NULL, OPTION_GRACE},
    {"deadline", required_argument, NULL, OPTION_DEADLINE},
    {"success", required_argument, NULL, OPTION_SUCCESS},
    {"parent-death", required_argument, NULL, OPTION_PARENT_DEATH},
    {"subreaper", no_argument, NULL, OPTION_SUBREAPER},
    {"record", required_argument, NULL, OPTION_RECORD},
    {"ready-fd", required_argument, NULL, OPTION_READY_FD},
    {"strict", no_argument, NULL, OPTION_STRICT},
    {"verbose", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void refuse(const char *format, ...) __attribute__((noreturn)) PRINTF(1, 2);

static void refuse(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("tend: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    exit(WORLD_BAD_USAGE);
}

static void *must(void *allocated)
{
    if (!allocated) {
        perror("tend");
        exit(WORLD_NO_SYSTEM);
    }
    return allocated;
}

static void add_path(struct options *o, const char *path)
{
    o->paths = must(realloc(o->paths, (o->n_paths + 2) * sizeof *o->paths));
    o->paths[o->n_paths++] = must(strdup(path));
    o->paths[o->n_paths] = NULL;
}

/* ---- values ---- */

static int read_signal(const char *option, const char *text)
{
    int signal;

    if (units_signal(text, &signal))
        refuse("%s: \"%s\" is no signal: write TERM, SIGTERM, RTMIN+3 or a number", option, text);
    return signal;
}

static msec read_time(const char *option, const char *text)
{
    msec time;

    if (units_duration(text, &time) || time > CONF_TIME_MAX)
        refuse("%s: \"%s\" is no time: write 10s, 500ms or 1m30s", option, text);
    return time;
}

static enum check_format read_format(const char *text)
{
    for (size_t i = 0; i < CHECK_FORMAT_COUNT; i++)
        if (strcmp(text, check_formats[i]) == 0)
            return (enum check_format)i;
    refuse("--format: \"%s\" is unknown: write text, json or records", text);
}

/* The command of the command line is not to have it: its reader waits for the end. */
static int read_descriptor(const char *option, const char *text)
{
    long fd;
    int flags;

    if (units_number(text, STDERR_FILENO + 1, INT_MAX, &fd))
        refuse("%s: \"%s\" is no descriptor: write a number from 3", option, text);
    flags = fcntl((int)fd, F_GETFL);
    if (flags < 0)
        refuse("%s %s: %s", option, text, strerror(errno));
    if ((flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH))
        refuse("%s %s: it is not open for writing", option, text);
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    return (int)fd;
}

static void read_rewrite(struct entrypoint *e, char *text)
{
    char *to = strchr(text, '=');
    int from;

    if (!to)
        refuse("--rewrite: \"%s\" has no =: write TERM=INT, or TERM=none", text);
    *to++ = '\0';
    from = read_signal("--rewrite", text);
    if (from == SIGKILL || from == SIGSTOP)
        refuse("--rewrite: %s cannot be caught", text);
    if (from == SIGCHLD)
        refuse("--rewrite: CHLD is not sent on, it tells of our own children");
    e->rewrite[from] =
        strcmp(to, "none") != 0 ? (unsigned char)read_signal("--rewrite", to) : (unsigned char)0;
}

static void add_success(struct conf *conf, char *word)
{
    char *words[] = {word, NULL}, why[256];

    for (size_t i = 0; i < conf_keys_n; i++)
        if (conf_keys[i].kind == CONF_EXITS &&
            conf_add_key(conf, &conf_keys[i], words, why, sizeof why))
            refuse("--success: %s", why);
}

/* ---- the command as a service ---- */

static struct conf *new_command(void)
{
    struct conf *conf = must(conf_new("command", "", 0));

    conf->main = true;
    conf->restart.policy = CONF_NEVER_AGAIN;
    conf->ready.on = CONF_READY_EXEC;
    conf->ready.timeout = NEVER;
    return conf;
}

static void set_command(struct conf *conf, char *const *argv)
{
    const char *slash = strrchr(argv[0], '/');
    size_t n = 0;

    free(conf->name);
    conf->name = must(strndup(slash ? slash + 1 : argv[0], CONF_NAME_MAX));
    while (argv[n])
        n++;
    conf->command = must(calloc(n + 1, sizeof *conf->command));
    for (size_t i = 0; i < n; i++)
        conf->command[i] = must(strdup(argv[i]));
}

/* The grace period of the command begins only with a TERM; that of what it leaves behind always
 * does. */
static void set_times(struct entrypoint *e, msec grace)
{
    struct conf_supervisor defaults;

    conf_supervisor_init(&defaults);
    e->conf->stop.grace = grace != NEVER ? grace : defaults.grace;
    e->grace = grace;
}

/* ---- the whole line ---- */

/* The kernel hands to init the words that it does not know itself (bootparam(7)). */
static bool is_command(int argc, char **argv)
{
    const char *name = argc ? argv[0] : "", *slash = strrchr(name, '/');

    if (argc && strcmp(argv[optind - 1], "--") == 0) {
        if (optind == argc)
            refuse("no command after --; see tend --help");
        return true;
    }
    return optind < argc && strcmp(slash ? slash + 1 : name, "init") != 0;
}

/* Which options there were that make sense in one mode only. */
struct used {
    const char *of_services, *of_command;
    bool format;
};

static void note(struct used *used, int option)
{
    const char *name = "-c";

    for (size_t i = 0; long_options[i].name; i++)
        if (long_options[i].val == option)
            name = long_options[i].name;
    if (option == 'c' || (option >= OPTION_CHECK && option <= OPTION_RUNTIME))
        used->of_services = name;
    if (option >= OPTION_MAIN_ONLY && option <= OPTION_SUBREAPER)
        used->of_command = name;
    used->format |= option == OPTION_FORMAT;
}

static void set_option(struct options *o, msec *grace, int option)
{
    struct entrypoint *e = &o->entrypoint;

    switch (option) {
    case 'c':
        add_path(o, optarg);
        break;
    case 'v':
        log_verbose = true;
        break;
    case OPTION_CHECK:
        o->check = true;
        break;
    case OPTION_FORMAT:
        o->format = read_format(optarg);
        break;
    case OPTION_OPTIONS:
        o->list = true;
        break;
    case OPTION_RUNTIME:
        o->runtime = must(strdup(optarg));
        break;
    case OPTION_MAIN_ONLY:
        e->conf->stop.to = CONF_TO_MAIN;
        break;
    case OPTION_REWRITE:
        read_rewrite(e, optarg);
        break;
    case OPTION_GRACE:
        *grace = read_time("--grace", optarg);
        break;
    case OPTION_DEADLINE:
        o->deadline = read_time("--deadline", optarg);
        break;
    case OPTION_RECORD:
        o->record = optarg;
        break;
    case OPTION_READY_FD:
        o->ready_fd = read_descriptor("--ready-fd", optarg);
        break;
    case OPTION_SUCCESS:
        add_success(e->conf, optarg);
        break;
    case OPTION_PARENT_DEATH:
        o->parent_death = read_signal("--parent-death", optarg);
        break;
    case OPTION_SUBREAPER:
        e->subreaper = true;
        break;
    case OPTION_STRICT:
        o->strict = true;
        break;
    case OPTION_VERSION:
        puts("tend " TEND_VERSION);
        exit(0);
    case 'h':
        fputs(usage, stdout);
        exit(0);
    default:
        exit(WORLD_BAD_USAGE);
    }
}

void options_parse(struct options *o, int argc, char **argv)
{
    struct entrypoint *e = &o->entrypoint;
    struct used used = {NULL, NULL, false};
    msec grace = NEVER;
    int option;

    *o = (struct options){.deadline = NEVER, .ready_fd = -1, .entrypoint = {.conf = new_command()}};
    for (int i = 0; i < ENTRYPOINT_SIGNALS; i++)
        e->rewrite[i] = (unsigned char)i;
    while ((option = getopt_long(argc, argv, "+c:vh", long_options, NULL)) != -1) {
        note(&used, option);
        set_option(o, &grace, option);
    }
    if (is_command(argc, argv)) {
        if (used.of_services)
            refuse("--%s is not for one command: \"%s\"", used.of_services, argv[optind]);
        set_command(e->conf, argv + optind);
        set_times(e, grace);
        return;
    }
    if (used.of_command)
        refuse("--%s needs a command; see tend --help", used.of_command);
    if (used.format && !o->check)
        refuse("--format is for --check; see tend --help");
    conf_free(e->conf);
    e->conf = NULL;
}
