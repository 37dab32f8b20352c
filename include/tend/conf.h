/* One service as it is written: plain data, its defaults, its rules, its comparison.
 *
 * conf.c knows the table of keys, from which the parser's options, the defaults, the range
 * errors, `tend --options`, the packed form and the comparison all come. It knows no file,
 * no parser and no process. load.c fills these structures, the engine only reads them.
 *
 * Lists of strings are NULL-terminated arrays; an empty list is a NULL pointer. A struct conf
 * owns everything it points to. One read by pack_read is a single block with all of that, so
 * conf_free alone may free any of it, and it is not for conf_set_key. */
#ifndef TEND_CONF_H
#define TEND_CONF_H

#include <assert.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "tend/base.h"

enum conf_type { CONF_PROCESS, CONF_ONESHOT, CONF_TYPE_COUNT };
enum conf_start { CONF_AUTO, CONF_MANUAL, CONF_START_COUNT };
enum conf_ready {
    CONF_READY_DEFAULT,
    CONF_READY_EXEC,    /* its command was executed */
    CONF_READY_EXIT,    /* a oneshot has ended well */
    CONF_READY_NOTIFY,  /* it says READY=1 (sd_notify(3)) */
    CONF_READY_FD,      /* it writes a newline to a descriptor */
    CONF_READY_TCP,     /* it accepts a connection */
    CONF_READY_UNIX,    /* the same at a local socket */
    CONF_READY_COMMAND, /* a command succeeds */
    CONF_READY_COUNT
};
enum conf_access {
    CONF_ACCESS_DEFAULT,
    CONF_ACCESS_NONE,
    CONF_ACCESS_MAIN,
    CONF_ACCESS_ALL,
    CONF_ACCESS_COUNT
};
enum conf_reload { CONF_RELOAD_SENT, CONF_RELOAD_NOTIFY, CONF_RELOAD_COUNT };
enum conf_then { CONF_THEN_RESTART, CONF_THEN_MARK, CONF_THEN_COUNT };
enum conf_restart {
    CONF_RESTART_DEFAULT,
    CONF_ALWAYS,
    CONF_ON_FAILURE,
    CONF_NEVER_AGAIN,
    CONF_RESTART_COUNT
};
enum conf_to { CONF_TO_GROUP, CONF_TO_MAIN, CONF_TO_MIXED, CONF_TO_COUNT };
enum conf_cgroup { CONF_CGROUP_AUTO, CONF_CGROUP_YES, CONF_CGROUP_NO, CONF_CGROUP_COUNT };

enum { CONF_WORDS_MAX = 4096 }; /* entries of a list */

/* The longest duration that can be written. */
#define CONF_TIME_MAX (INT64_C(365) * 24 * 3600 * 1000)

/* One step of a stop: send the signal, then wait at most this long before the next step. */
enum { CONF_STEPS_MAX = 16 };
struct conf_step {
    int signal;
    msec wait;
};

/* Which exits of a process count as success: a bit for each exit code and for each signal. */
struct conf_success {
    uint8_t codes[32];
    uint64_t signals;
};

struct conf_limit {
    int resource; /* RLIMIT_NOFILE ... */
    rlim_t soft, hard;
};

struct conf {
    /* where it stands */
    char *name;
    char *file; /* for messages of the loader; not packed */
    int line;

    /* as written */
    char *description;
    char **command;
    char **before_start;
    char **requires;
    char **wants;
    char **after;
    char *user;
    char *group;
    char **groups;
    char *directory;
    char *tty;
    char **environment;
    char *environment_file;
    int type;   /* enum conf_type */
    int start;  /* enum conf_start */
    int access; /* enum conf_access: whose messages count; never DEFAULT after conf_finish */
    bool main;
    bool no_new_privs;
    bool ready_fd_set; /* ready.fd was written; after conf_finish: it is what makes it ready */
    struct conf_success success;
    unsigned umask;
    int nice;
    int oom_score_adj;
    int watchdog_signal;

    struct {
        int on;            /* enum conf_ready, never DEFAULT after conf_finish */
        int fd;            /* the number that the service finds it at */
        char *tcp, *local; /* addresses (address.h), `tcp` and `unix` */
        char **command;
        msec command_timeout;
        msec every; /* the longest wait between two tries */
        msec timeout;
    } ready;
    msec watchdog; /* it says at least so often that it is alive; 0: it need not */
    struct {       /* at most one of the first four is set */
        char **command;
        char *tcp, *local, *http;
        msec every, timeout;
        int failures; /* in a row */
        int then;     /* enum conf_then */
    } health;
    struct {
        int policy; /* enum conf_restart, never DEFAULT after conf_finish */
        msec delay, max_delay;
        long limit; /* starts in a window; 0: no limit */
        msec window, healthy;
    } restart;
    struct {
        msec drain;
        int signal;
        int to;     /* enum conf_to */
        msec grace; /* NEVER until conf_finish: the supervisor's */
        struct conf_step *then;
        size_t n_then;
        char **command;
        msec command_timeout;
        msec max; /* to which EXTEND_TIMEOUT_USEC may stretch it; 0: not beyond what is written */
    } stop;
    struct {
        int on; /* enum conf_reload */
        int signal;
        char **command; /* instead of the signal */
        msec command_timeout;
    } reload;
    struct conf_limit *limits; /* only those that are set, in order of resource */
    size_t n_limits;

    /* looked up by the loader, since PID 1 may not ask a name service */
    bool one_block; /* everything below this struct lies in its own allocation */
    bool has_ids;   /* uid, gid and gids are to be set */
    bool nice_set;  /* left alone otherwise */
    bool oom_score_adj_set;
    uid_t uid;
    gid_t gid;
    gid_t *gids;
    size_t n_gids;
    char *logname, *home, *shell;
    char **file_environment; /* the lines of environment_file */
};
static_assert(sizeof(struct conf) < 544, "a supervisor of 1,000 services holds 1,000 of these");

struct conf_supervisor {
    msec grace;
    msec deadline; /* of the shutdown; 0: none */
    int cgroup;    /* enum conf_cgroup */

    /* who may use the control socket in part */
    char *group; /* as written; it stays with the loader, which looks it up */
    bool has_group;
    gid_t gid;
};

/* Everything that one load yields. Owns the confs. */
struct conf_set {
    struct conf_supervisor supervisor;
    struct conf **at;
    size_t n;
};

/* ---- the table of keys ---- */

enum conf_kind {
    CONF_STRING,   /* char * */
    CONF_LIST,     /* char ** */
    CONF_NAMES,    /* char **; a single one may be written without braces */
    CONF_BOOL,     /* bool */
    CONF_NUMBER,   /* int, in [low, high] */
    CONF_COUNT,    /* long, in [low, high] */
    CONF_DURATION, /* msec, in [low, high] */
    CONF_CHOICE,   /* int: index into choices */
    CONF_SIGNAL,   /* int */
    CONF_STEPS,    /* struct conf_step *, followed by size_t */
    CONF_OCTAL,    /* unsigned */
    CONF_EXITS,    /* struct conf_success */
    CONF_TCP,      /* char *, of address_tcp */
    CONF_UNIX,     /* char *, of address_unix */
    CONF_HTTP,     /* char *, of address_http */
    CONF_LIMIT,    /* an entry of limits: low is the resource, high 1 when it counts bytes */
    CONF_KIND_COUNT
};

enum conf_difference { CONF_SAME, CONF_POLICY, CONF_SPAWN };

struct conf_key {
    const char
        *section; /* "", "ready", "notify", "health", "restart", "stop", "reload", "limits" */
    const char *name;
    enum conf_kind kind;
    size_t offset;               /* in struct conf, or in struct conf_supervisor */
    const char *fallback;        /* the default as an operator would write it; NULL: none */
    int64_t low, high;           /* the range; of a string or of each word of a list: the length */
    const char *const *choices;  /* NULL-terminated, for CONF_CHOICE; "" cannot be written */
    size_t noted;                /* offset of a bool that is set with the field; 0: none */
    enum conf_difference change; /* whether a change of it needs a restart */
    const char *sentence;        /* what it does, for people */
};

extern const struct conf_key conf_keys[]; /* of a service */
extern const size_t conf_keys_n;
extern const struct conf_key conf_supervisor_keys[]; /* of the supervisor section */
extern const size_t conf_supervisor_keys_n;

/* Sets the field of key in base (a struct conf or struct conf_supervisor) from what was written;
 * words is NULL-terminated and has one entry unless the kind is a list. On error returns -1 and
 * puts into why (of size n) what is wrong and what would be right, without file and line. */
int conf_set_key(void *base, const struct conf_key *key, char *const *words, char *why, size_t n);

/* The same for `+=`: adds to the field. Only for kinds that conf_kind_is_list knows. */
int conf_add_key(void *base, const struct conf_key *key, char *const *words, char *why, size_t n);
bool conf_kind_is_list(enum conf_kind);

/* A text that a key of such a kind may have: a string of CONF_TCP is an address. */
bool conf_text_valid(enum conf_kind, const char *text);

/* "stop.grace", for messages. Returns buf. */
enum { CONF_KEY_NAME_MAX = 40 };
const char *conf_key_name(const struct conf_key *, char buf[static CONF_KEY_NAME_MAX]);

/* ---- one service ---- */

void conf_supervisor_init(struct conf_supervisor *); /* its defaults */

/* A conf with all defaults, NULL when out of memory. */
struct conf *conf_new(const char *name, const char *file, int line);
void conf_free(struct conf *);
void conf_set_free(struct conf_set *);

/* Resolves the defaults that depend on other keys or on the supervisor section. */
void conf_finish(struct conf *, const struct conf_supervisor *);

/* Rules that concern one service alone (name, command, combinations of keys); before conf_finish
 * or after it. Calls report, where not NULL, once for each broken rule, with the text without file
 * and line and the key at fault (NULL: the service itself). Returns the number of them. */
typedef void conf_report(void *self, const struct conf_key *key, const char *why);
size_t conf_check(const struct conf *, conf_report *report, void *self);
/* The rule that conf_check leaves out while stop.grace is the supervisor's, which nobody knows
 * before conf_finish. */
size_t conf_check_finished(const struct conf *, conf_report *report, void *self);

/* Letters, digits and . _ - @, first a letter or digit, at most 64: no path, no control byte. */
enum { CONF_NAME_MAX = 64 };
bool conf_name_valid(const char *name);

/* What differs: nothing, only what can change under a running service, or what needs a restart.
 * *key gets the first key that differs so (NULL where it is no key: a looked-up id, the content
 * of environment_file). file and line do not count. Both must be finished. */
enum conf_difference conf_compare(const struct conf *, const struct conf *,
                                  const struct conf_key **key);

/* It gets a socket to notify us at (by default it gets none before conf_finish); it is probed while
 * it runs. */
bool conf_wants_notify(const struct conf *);
bool conf_has_health(const struct conf *);

bool conf_list_has(char *const *list, const char *word); /* NULL: an empty list */
bool conf_success_has_code(const struct conf_success *, int code);
bool conf_success_has_signal(const struct conf_success *, int signal);

#endif
