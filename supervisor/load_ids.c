#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tend/load_host.h"
#include "tend/units.h"

PRINTF(3, 4)
static int refuse(char *why, size_t n, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(why, n, format, ap);
    va_end(ap);
    return -1;
}

enum { ENTRY_MAX = 1024 * 1024 };

/* A whole decimal number that is an id; 4294967295 means "none" to the kernel. */
static bool is_id(const char *text, unsigned *id)
{
    long number;

    if (units_number(text, 0, (long)UINT_MAX - 1, &number) != 0)
        return false;
    *id = (unsigned)number;
    return true;
}

static bool is_digits(const char *text)
{
    return text[strspn(text, "0123456789")] == '\0';
}

/* The entry of a user by name, or by uid where name is NULL: 0, ENOENT or an errno. *buffer is to
 * be freed. */
static int find_user(const char *name, uid_t uid, struct passwd *entry, char **buffer)
{
    struct passwd *found = NULL;
    int error = ERANGE;

    *buffer = NULL;
    for (size_t size = 1024; error == ERANGE && size <= ENTRY_MAX; size *= 4) {
        char *larger = realloc(*buffer, size);
        if (larger == NULL)
            return ENOMEM;
        *buffer = larger;
        error = name != NULL ? getpwnam_r(name, entry, *buffer, size, &found)
                             : getpwuid_r(uid, entry, *buffer, size, &found);
    }
    if (found != NULL)
        return 0;
    return error == 0 || error == ESRCH || error == EBADF || error == EPERM ? ENOENT : error;
}

static int find_group(const char *name, gid_t *gid)
{
    struct group entry, *found = NULL;
    char *buffer = NULL;
    int error = ERANGE;

    if (is_id(name, gid))
        return 0;
    for (size_t size = 1024; error == ERANGE && size <= ENTRY_MAX; size *= 4) {
        char *larger = realloc(buffer, size);
        if (larger == NULL)
            break;
        buffer = larger;
        error = getgrnam_r(name, &entry, buffer, size, &found);
    }
    if (found != NULL)
        *gid = entry.gr_gid;
    free(buffer);
    if (found != NULL)
        return 0;
    return error == 0 || error == ESRCH || error == EBADF || error == EPERM ? ENOENT : error;
}

static int set_text(char **field, const char *text)
{
    free(*field);
    *field = strdup(text);
    return *field == NULL ? ENOMEM : 0;
}

static int set_person(struct conf *conf, const char *name, const char *home, const char *shell)
{
    int error = set_text(&conf->logname, name);

    if (error == 0)
        error = set_text(&conf->home, home == NULL || *home == '\0' ? "/" : home);
    if (error == 0)
        error = set_text(&conf->shell, shell == NULL || *shell == '\0' ? "/bin/sh" : shell);
    return error;
}

static int set_user_groups(struct conf *conf, const char *name, gid_t primary)
{
    int room = 32, n;

    for (;;) {
        gid_t *gids = reallocarray(conf->gids, (size_t)room, sizeof(gid_t));
        if (gids == NULL)
            return ENOMEM;
        conf->gids = gids;
        n = room;
        if (getgrouplist(name, primary, gids, &n) >= 0)
            break;
        room = n > room ? n : 2 * room;
        if (room > 65536)
            return E2BIG;
    }
    conf->n_gids = (size_t)n;
    return 0;
}

static int find_person(struct conf *conf)
{
    struct passwd entry;
    char *buffer;
    uid_t uid = 0;
    bool numeric = is_id(conf->user, &uid);
    int error = find_user(numeric ? NULL : conf->user, uid, &entry, &buffer);

    if (error == 0) {
        conf->uid = entry.pw_uid;
        conf->gid = entry.pw_gid;
        error = set_person(conf, entry.pw_name, entry.pw_dir, entry.pw_shell);
        if (error == 0 && conf->groups == NULL)
            error = set_user_groups(conf, entry.pw_name, entry.pw_gid);
    } else if (error == ENOENT && numeric) {
        conf->uid = uid;
        conf->gid = uid;
        error = set_person(conf, conf->user, NULL, NULL);
    }
    free(buffer);
    return error;
}

static const struct conf_key *key_named(const char *name)
{
    for (size_t i = 0; i < conf_keys_n; i++)
        if (*conf_keys[i].section == '\0' && strcmp(conf_keys[i].name, name) == 0)
            return &conf_keys[i];
    return NULL;
}

static int refuse_id(const struct conf_key *key, const char *word, int error, char *why, size_t n)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the table has every key asked for. */
    const char *kind = strcmp(key->name, "user") == 0 ? "user" : "group";

    if (error == ENOENT && is_digits(word))
        return refuse(why, n, "%s = \"%.80s\" is no %s id: write a decimal number below 4294967295",
                      key->name, word, kind);
    if (error == ENOENT)
        return refuse(why, n, "%s = \"%.80s\" is unknown here: make that %s or write another",
                      key->name, word, kind);
    return refuse(why, n, "%s = \"%.80s\" cannot be looked up: %s", key->name, word,
                  strerror(error));
}

static int set_groups(struct conf *conf, const struct conf_key *key, char *why, size_t n)
{
    size_t count = 0;

    while (conf->groups[count] != NULL)
        count++;
    /* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): an empty list is NULL. */
    conf->gids = calloc(count, sizeof(gid_t));
    if (conf->gids == NULL)
        return refuse(why, n, "groups does not fit into memory");
    for (size_t i = 0; i < count; i++) {
        int error = find_group(conf->groups[i], &conf->gids[i]);
        if (error != 0)
            return refuse_id(key, conf->groups[i], error, why, n);
        conf->n_gids = i + 1;
    }
    return 0;
}

int host_find_ids(struct conf *conf, const struct conf_key **key, char *why, size_t n)
{
    int error = 0;

    if (conf->user == NULL && conf->group == NULL && conf->groups == NULL)
        return 0;
    conf->uid = geteuid();
    conf->gid = getegid();
    *key = key_named("user");
    if (conf->user != NULL && (error = find_person(conf)) != 0)
        return refuse_id(*key, conf->user, error, why, n);
    *key = key_named("group");
    if (conf->group != NULL && (error = find_group(conf->group, &conf->gid)) != 0)
        return refuse_id(*key, conf->group, error, why, n);
    *key = key_named("groups");
    if (conf->groups != NULL && set_groups(conf, *key, why, n) != 0)
        return -1;
    conf->has_ids = true;
    return 0;
}

int host_find_group(const char *name, gid_t *gid, char *why, size_t n)
{
    int error = find_group(name, gid);

    return error == 0 ? 0 : refuse_id(key_named("group"), name, error, why, n);
}

static bool same_word(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_words(char *const *a, char *const *b)
{
    size_t i = 0;

    if (a == NULL || b == NULL)
        return a == b;
    while (a[i] != NULL && b[i] != NULL && strcmp(a[i], b[i]) == 0)
        i++;
    return a[i] == b[i];
}

static bool same_request(const struct conf *a, const struct conf *b)
{
    return same_word(a->user, b->user) && same_word(a->group, b->group) &&
           same_words(a->groups, b->groups);
}

int host_copy_ids(struct conf *conf, const struct conf *known)
{
    if (!known->has_ids || !same_request(conf, known))
        return 0;
    if (known->logname != NULL && set_person(conf, known->logname, known->home, known->shell) != 0)
        return -1;
    if (known->n_gids > 0) {
        conf->gids = calloc(known->n_gids, sizeof(gid_t));
        if (conf->gids == NULL)
            return -1;
        memcpy(conf->gids, known->gids, known->n_gids * sizeof(gid_t));
    }
    conf->n_gids = known->n_gids;
    conf->uid = known->uid;
    conf->gid = known->gid;
    conf->has_ids = true;
    return 1;
}
