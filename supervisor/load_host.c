#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* ---- files ---- */

/* Root, we, and whoever owns / (in a user namespace root of the host has another number). */
static bool is_trusted_owner(uid_t uid)
{
    struct stat root;

    return uid == 0 || uid == geteuid() || (stat("/", &root) == 0 && uid == root.st_uid);
}

static int check_folder(const char *path, char *why, size_t n)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return refuse(why, n, "its folder %s cannot be seen: %s", path, strerror(errno));
    if (!is_trusted_owner(st.st_uid))
        return refuse(why, n, "its folder %s belongs to user %u: chown it to root", path,
                      (unsigned)st.st_uid);
    if ((st.st_mode & 022) != 0 && (st.st_mode & S_ISVTX) == 0)
        return refuse(why, n, "its folder %s is writable by others: chmod go-w it", path);
    return 0;
}

/* The folder and all above it, unless it is the one in trusted. */
static int check_folders(const char *folder, char trusted[static PATH_MAX], char *why, size_t n)
{
    char path[PATH_MAX], *slash;

    if (strcmp(folder, trusted) == 0)
        return 0;
    snprintf(path, sizeof(path), "%s", folder);
    while (*path != '\0') {
        if (check_folder(path, why, n) != 0)
            return -1;
        slash = strrchr(path, '/');
        if (slash == path && path[1] != '\0')
            slash++;
        *slash = '\0';
    }
    snprintf(trusted, PATH_MAX, "%s", folder);
    return 0;
}

int host_folder(const char *path, char folder[static PATH_MAX], char *why, size_t n)
{
    char copy[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;

    if (length >= sizeof(copy))
        return refuse(why, n, "has too long a path");
    memcpy(copy, path, length);
    copy[length] = '\0';
    if (realpath(length == 0 ? "." : copy, folder) == NULL)
        return refuse(why, n, "its folder cannot be found: %s", strerror(errno));
    return 0;
}

static int check_trust(const char *path, const struct stat *st, char trusted[static PATH_MAX],
                       char *why, size_t n)
{
    char real[PATH_MAX], *slash;
    struct stat link;

    if (geteuid() != 0)
        return 0;
    if (!is_trusted_owner(st->st_uid))
        return refuse(why, n, "belongs to user %u: chown it to root", (unsigned)st->st_uid);
    if ((st->st_mode & 022) != 0)
        return refuse(why, n, "is writable by others: chmod go-w it");
    if (host_folder(path, real, why, n) != 0 || check_folders(real, trusted, why, n) != 0)
        return -1;
    if (lstat(path, &link) == 0 && !S_ISLNK(link.st_mode))
        return 0;
    /* The folder that holds the link is good; the one that holds the file? */
    if (realpath(path, real) == NULL)
        return refuse(why, n, "cannot be found: %s", strerror(errno));
    slash = strrchr(real, '/');
    slash[slash == real] = '\0';
    return check_folders(real, trusted, why, n);
}

static int check_file(int fd, const char *path, char *trusted, char *why, size_t n)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return refuse(why, n, "cannot be seen: %s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(why, n, "is no regular file");
    if (st.st_size > HOST_FILE_MAX)
        return refuse(why, n, "has more than %d bytes: split it", HOST_FILE_MAX);
    return trusted == NULL ? 0 : check_trust(path, &st, trusted, why, n);
}

static char *read_all(int fd, size_t *size, char *why, size_t n)
{
    size_t room = 4096, used = 0;
    char *data = malloc(room + 1);

    while (data != NULL && used <= HOST_FILE_MAX) {
        ssize_t got = read(fd, data + used, room - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            refuse(why, n, "cannot be read: %s", strerror(errno));
        if (got <= 0)
            break;
        used += (size_t)got;
        if (used == room) {
            char *larger = realloc(data, 2 * room + 1);
            room *= 2;
            if (larger == NULL)
                free(data);
            data = larger;
        }
    }
    if (data == NULL)
        refuse(why, n, "does not fit into memory");
    else if (used > HOST_FILE_MAX)
        refuse(why, n, "has more than %d bytes: split it", HOST_FILE_MAX);
    if (data == NULL || *why != '\0') {
        free(data);
        return NULL;
    }
    data[used] = '\0';
    *size = used;
    return data;
}

char *host_read_file(const char *path, char *trusted, size_t *size, bool *missing, char *why,
                     size_t n)
{
    int fd = openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    char *data = NULL;

    *why = '\0';
    *missing = fd < 0 && errno == ENOENT;
    if (fd < 0) {
        refuse(why, n, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    if (check_file(fd, path, trusted, why, n) == 0)
        data = read_all(fd, size, why, n);
    close(fd);
    return data;
}

static int is_config(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static int bytewise(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

char **host_list_folder(const char *folder, bool *missing, char *why, size_t n)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_config, bytewise);
    char **names;

    *missing = count < 0 && errno == ENOENT;
    if (count < 0) {
        refuse(why, n, "cannot be read: %s", strerror(errno));
        return NULL;
    }
    names = calloc((size_t)count + 1, sizeof(*names));
    for (int i = 0; i < count; i++) {
        if (names != NULL)
            names[i] = strdup(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (names == NULL)
        refuse(why, n, "does not fit into memory");
    return names;
}

/* ---- users and groups ---- */

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

/* ---- environment files ---- */

/* Cuts blanks off both ends. */
static char *trim(char *line)
{
    size_t n;

    line += strspn(line, " \t");
    for (n = strlen(line); n > 0 && strchr(" \t\r", line[n - 1]) != NULL; n--)
        ;
    line[n] = '\0';
    return line;
}

/* Takes a pair of quotes off the value; false: only one is there. */
static bool unquote(char *value)
{
    size_t n = strlen(value);

    if (*value != '"' && *value != '\'')
        return true;
    if (n < 2 || value[n - 1] != *value)
        return false;
    memmove(value, value + 1, n - 2);
    value[n - 2] = '\0';
    return true;
}

static size_t name_length(const char *line)
{
    size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "0123456789_");

    return isdigit((unsigned char)*line) ? 0 : n;
}

/* A later line of the same name takes the place of an earlier one. */
static int keep_variable(char **list, size_t *count, const char *line, size_t name)
{
    char *copy = strdup(line);
    size_t i = 0;

    if (copy == NULL)
        return -1;
    while (i < *count && strncmp(list[i], line, name + 1) != 0)
        i++;
    free(list[i]);
    list[i] = copy;
    *count += i == *count;
    return 0;
}

static int read_variable(char *line, char **list, size_t *count, char *why, size_t n)
{
    size_t name;

    line = trim(line);
    if (*line == '\0' || *line == '#')
        return 0;
    name = name_length(line);
    if (name == 0 || line[name] != '=')
        return refuse(why, n, "this is no variable: write NAME=value");
    if (!unquote(line + name + 1))
        return refuse(why, n, "the value of %.*s has only one of its quotes", (int)name, line);
    if (*count == CONF_WORDS_MAX)
        return refuse(why, n, "this file has more than %d variables", CONF_WORDS_MAX);
    if (keep_variable(list, count, line, name) != 0)
        return refuse(why, n, "this file does not fit into memory");
    return 0;
}

static int read_variables(char *text, char **list, int *line, char *why, size_t n)
{
    size_t count = 0;
    char *end;

    for (*line = 1; text != NULL; text = end, ++*line) {
        end = strchr(text, '\n');
        if (end != NULL)
            *end++ = '\0';
        if (read_variable(text, list, &count, why, n) != 0)
            return -1;
    }
    return 0;
}

int host_read_environment(struct conf *conf, int *line, char *why, size_t n)
{
    char *text, **list;
    bool missing;
    size_t size;
    int rc = -1;

    *line = 0;
    text = host_read_file(conf->environment_file, NULL, &size, &missing, why, n);
    if (text == NULL)
        return -1;
    list = calloc(CONF_WORDS_MAX + 1, sizeof(*list));
    if (list == NULL)
        refuse(why, n, "does not fit into memory");
    else if (strlen(text) != size)
        refuse(why, n, "has a NUL byte: is this a text file?");
    else
        rc = read_variables(text, list, line, why, n);
    free(text);
    if (rc == 0 && list[0] != NULL) {
        size_t count = 0;
        while (list[count++] != NULL)
            ;
        conf->file_environment = reallocarray(list, count, sizeof(*list));
        return 0;
    }
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free(list);
    return rc;
}
