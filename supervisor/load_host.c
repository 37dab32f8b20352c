#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tend/load_host.h"

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

/* The group of root has nobody else in it; umask 002 gives it the right to write. */
static bool is_open_to_others(const struct stat *st)
{
    return (st->st_mode & 002) != 0 || ((st->st_mode & 020) != 0 && st->st_gid != 0);
}

static int check_folder(const char *path, char *why, size_t n)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return refuse(why, n, "its folder %s cannot be seen: %s", path, strerror(errno));
    if (!is_trusted_owner(st.st_uid))
        return refuse(why, n, "its folder %s belongs to user %u: chown it to root", path,
                      (unsigned)st.st_uid);
    if (is_open_to_others(&st) && (st.st_mode & S_ISVTX) == 0)
        return refuse(why, n, "its folder %s is writable by others: chmod go-w it", path);
    return 0;
}

/* Whether path is the folder that was found good, or above it. */
static bool is_known_good(const struct host_folders *folders, const char *path)
{
    size_t n = strlen(path);

    return *folders->trusted != '\0' && strncmp(path, folders->trusted, n) == 0 &&
           (folders->trusted[n] == '\0' || folders->trusted[n] == '/' || strcmp(path, "/") == 0);
}

static int check_folders(struct host_folders *folders, const char *folder, char *why, size_t n)
{
    char path[PATH_MAX], *slash;

    if (is_known_good(folders, folder))
        return 0;
    snprintf(path, sizeof(path), "%s", folder);
    while (*path != '\0' && !is_known_good(folders, path)) {
        if (check_folder(path, why, n) != 0)
            return -1;
        slash = strrchr(path, '/');
        if (slash == path && path[1] != '\0')
            slash++;
        *slash = '\0';
    }
    snprintf(folders->trusted, sizeof(folders->trusted), "%s", folder);
    return 0;
}

const char *host_folder(struct host_folders *folders, const char *path, char *why, size_t n)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    char *asked, *real;

    if (length >= sizeof(folders->known[0].asked)) {
        refuse(why, n, "has too long a path");
        return NULL;
    }
    for (int i = 0; i < 2; i++, folders->last ^= 1) {
        real = folders->known[folders->last].real;
        asked = folders->known[folders->last].asked;
        if (*real != '\0' && memcmp(asked, path, length) == 0 && asked[length] == '\0')
            return real;
    }
    folders->last ^= 1;
    real = folders->known[folders->last].real;
    asked = folders->known[folders->last].asked;
    memcpy(asked, path, length);
    asked[length] = '\0';
    if (host_real_path(length == 0 ? "." : asked, real) == 0)
        return real;
    *real = '\0';
    refuse(why, n, "its folder cannot be found: %s", strerror(errno));
    return NULL;
}

static bool we_are_root(struct host_folders *folders)
{
    if (!folders->asked_root)
        folders->is_root = geteuid() == 0;
    folders->asked_root = true;
    return folders->is_root;
}

static int check_trust(struct host_folders *folders, const char *path, bool link,
                       const struct stat *st, char *why, size_t n)
{
    char real[PATH_MAX], *slash;
    const char *folder;

    if (!we_are_root(folders))
        return 0;
    if (!is_trusted_owner(st->st_uid))
        return refuse(why, n, "belongs to user %u: chown it to root", (unsigned)st->st_uid);
    if (is_open_to_others(st))
        return refuse(why, n, "is writable by others: chmod go-w it");
    folder = host_folder(folders, path, why, n);
    if (folder == NULL || check_folders(folders, folder, why, n) != 0)
        return -1;
    if (!link)
        return 0;
    /* The folder that holds the link is good; the one that holds the file? */
    if (host_real_path(path, real) != 0)
        return refuse(why, n, "cannot be found: %s", strerror(errno));
    slash = strrchr(real, '/');
    slash[slash == real] = '\0';
    return check_folders(folders, real, why, n);
}

static int check_file(const struct stat *st, char *why, size_t n)
{
    if (!S_ISREG(st->st_mode))
        return refuse(why, n, "is no regular file");
    if (st->st_size > HOST_FILE_MAX)
        return refuse(why, n, "has more than %d bytes: split it", HOST_FILE_MAX);
    return 0;
}

/* Reads to the end, or one byte more than a file may have; -1 with errno. What has just so many
 * bytes as was said is at its end; 0 is said of files in /proc, too. */
static ssize_t read_to_end(int fd, char *data, size_t room, size_t said)
{
    size_t used = 0;

    while (used < room && (used == 0 || used != said)) {
        ssize_t got = read(fd, data + used, room - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

/* Through a buffer that takes any file, since its size may change while it is read. */
static char *read_all(int fd, size_t said, size_t *size, char *why, size_t n)
{
    static char buffer[HOST_FILE_MAX + 1];
    ssize_t got = read_to_end(fd, buffer, sizeof(buffer), said);
    char *data;

    if (got < 0) {
        refuse(why, n, "cannot be read: %s", strerror(errno));
        return NULL;
    }
    if (got > HOST_FILE_MAX) {
        refuse(why, n, "has more than %d bytes: split it", HOST_FILE_MAX);
        return NULL;
    }
    data = malloc((size_t)got + 1);
    if (data == NULL) {
        refuse(why, n, "does not fit into memory");
        return NULL;
    }
    memcpy(data, buffer, (size_t)got);
    data[got] = '\0';
    *size = (size_t)got;
    return data;
}

/* Whether path is a link is told by the opening itself. */
static int open_file(const char *path, bool *link)
{
    int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    int fd = open(path, flags | O_NOFOLLOW);

    *link = fd < 0 && errno == ELOOP;
    return *link ? open(path, flags) : fd;
}

char *host_read_file(struct host_folders *folders, const char *path, size_t *size, bool *missing,
                     char *why, size_t n)
{
    char *data = NULL;
    struct stat st;
    bool link;
    int fd = open_file(path, &link);

    *why = '\0';
    *missing = fd < 0 && errno == ENOENT;
    if (fd < 0) {
        refuse(why, n, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    if (fstat(fd, &st) != 0)
        refuse(why, n, "cannot be seen: %s", strerror(errno));
    else if (check_file(&st, why, n) == 0 &&
             (folders == NULL || check_trust(folders, path, link, &st, why, n) == 0))
        data = read_all(fd, (size_t)st.st_size, size, why, n);
    close(fd);
    return data;
}

static bool ends_in(const char *name, size_t n, const char *suffix)
{
    size_t length = strlen(suffix);

    return n > length && strcmp(name + n - length, suffix) == 0;
}

static int is_config(const struct dirent *entry)
{
    const char *name = entry->d_name;
    size_t n = strlen(name);

    return name[0] != '.' && (ends_in(name, n, ".conf") || ends_in(name, n, ".conf.d"));
}

static int bytewise(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Frees the entries; NULL without memory. */
static char **take_names(struct dirent **entries, size_t n)
{
    char **names = calloc(n + 1, sizeof(*names));
    bool good = names != NULL;

    for (size_t i = 0; i < n; i++) {
        if (good)
            good = (names[i] = strdup(entries[i]->d_name)) != NULL;
        free(entries[i]);
    }
    free(entries);
    for (size_t i = 0; !good && names != NULL && names[i] != NULL; i++)
        free(names[i]);
    if (!good)
        free(names);
    return good ? names : NULL;
}

char **host_list_folder(const char *folder, size_t *count, bool *missing, char *why, size_t n)
{
    struct dirent **entries;
    int found = scandir(folder, &entries, is_config, bytewise);
    char **names;

    *count = 0;
    *missing = found < 0 && errno == ENOENT;
    if (found < 0) {
        refuse(why, n, "cannot be read: %s", strerror(errno));
        return NULL;
    }
    names = take_names(entries, (size_t)found);
    if (names != NULL)
        *count = (size_t)found;
    else
        refuse(why, n, "does not fit into memory");
    return names;
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
    text = host_read_file(NULL, conf->environment_file, &size, &missing, why, n);
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
