#include <errno.h>
#include <langinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/client.h"
#include "client/json_string.h"

/* ---- ends ---- */

/* Nobody reads any more, as in `tendctl events -f | head -1`: no reason to say anything. */
static void end_quietly(void) __attribute__((noreturn));
static void end_quietly(void)
{
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
    _exit(CLIENT_SYSTEM);
}

static void cannot_write(void) __attribute__((noreturn));
static void cannot_write(void)
{
    if (errno == EPIPE)
        end_quietly();
    fprintf(stderr, "tendctl: cannot write: %s\n", strerror(errno));
    _exit(CLIENT_SYSTEM);
}

void client_flush(struct client *c)
{
    (void)c;
    if (fflush(stdout) || ferror(stdout))
        cannot_write();
}

int client_finish(struct client *c, enum client_status status)
{
    if (c->document && (json_dumpf(c->document, stdout, JSON_INDENT(2)) || putchar('\n') == EOF))
        cannot_write();
    json_decref(c->document);
    c->document = NULL;
    client_flush(c);
    if (c->connected)
        connection_close(&c->connection);
    c->connected = false;
    free(c->greeting);
    c->greeting = NULL;
    return (int)status;
}

static void put_error(struct client *c, const char *code, const char *name, const char *text)
{
    json_t *error = client_must(c, json_object()), *line = NULL;

    client_put(c, error, "code", json_string(code));
    client_put(c, error, "name", name ? json_any_string(name, strlen(name)) : json_null());
    client_put(c, error, "text", json_any_string(text, strlen(text)));
    if (c->document) {
        client_put(c, c->document, "error", error);
        return;
    }
    line = client_must(c, json_object());
    client_put(c, line, "error", error);
    client_print_line(c, line);
}

void client_fail(struct client *c, enum client_status status, const char *code, const char *name,
                 const char *format, ...)
{
    char text[4096];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (c->json) {
        put_error(c, code, name, text);
    } else {
        client_flush(c);
        fprintf(stderr, "tendctl: %s\n", text);
    }
    exit(client_finish(c, status));
}

void client_system(struct client *c, const char *what)
{
    int error = errno;

    if (error == EPIPE)
        end_quietly();
    client_fail(c, CLIENT_SYSTEM, "system", NULL, "%s: %s", what, strerror(error));
}

void *client_must(struct client *c, void *allocated)
{
    (void)c;
    if (!allocated) {
        fputs("tendctl: out of memory\n", stderr);
        _exit(CLIENT_SYSTEM);
    }
    return allocated;
}

/* ---- the document ---- */

void client_put(struct client *c, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, client_must(c, value)))
        client_must(c, NULL);
}

json_t *client_list(struct client *c, const char *list)
{
    if (!json_object_get(c->document, list))
        client_put(c, c->document, list, json_array());
    return json_object_get(c->document, list);
}

void client_append(struct client *c, const char *list, json_t *value)
{
    if (json_array_append_new(client_list(c, list), client_must(c, value)))
        client_must(c, NULL);
}

void client_print_line(struct client *c, json_t *value)
{
    if (json_dumpf(value, stdout, JSON_COMPACT) || putchar('\n') == EOF)
        cannot_write();
    json_decref(value);
    client_flush(c);
}

/* ---- the terminal ---- */

static size_t terminal_width(void)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return columns && atoi(columns) > 0 ? (size_t)atoi(columns) : 80;
}

static bool wants_color(bool terminal)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return terminal && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

void client_set_terminal(struct client *c)
{
    bool terminal = isatty(STDOUT_FILENO);

    c->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    c->width = terminal ? terminal_width() : 0;
    c->colored = c->color == COLOR_AUTO ? wants_color(terminal) : c->color == COLOR_ALWAYS;
    if (!terminal)
        setvbuf(stdout, NULL, _IOFBF, 1 << 16);
}
