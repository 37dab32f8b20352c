/* tend-json [STATUS]: the records of `tend --check --format records` (see
 * supervisor/check_records.c) from stdin as one JSON document on stdout. Ends with STATUS, or with
 * 71 where it could not. tend runs it for --format json, so that it has no JSON in it. It knows how
 * records are written, and none of their names. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/json_string.h"

enum { BAD = 71 };

static unsigned long line_number;

static void fail(const char *what) __attribute__((noreturn));
static void fail(const char *what)
{
    if (line_number)
        fprintf(stderr, "tend-json: line %lu: %s\n", line_number, what);
    else
        fprintf(stderr, "tend-json: %s\n", what);
    exit(BAD);
}

static json_t *must(json_t *value)
{
    if (!value)
        fail("out of memory");
    return value;
}

/* ---- values ---- */

static int hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* In place; returns the new length. */
static size_t unescape(char *text)
{
    char *out = text;

    for (const char *in = text; *in; in++) {
        if (*in != '\\') {
            *out++ = *in;
            continue;
        }
        if (in[1] != 'x' || hex(in[2]) < 0 || hex(in[3]) < 0)
            fail("a backslash without xNN");
        *out++ = (char)(hex(in[2]) * 16 + hex(in[3]));
        in += 3;
    }
    return (size_t)(out - text);
}

static json_t *string(char *text)
{
    return must(json_any_string(text, unescape(text)));
}

static json_t *plain(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

    if (!value)
        fail("no value after :=");
    return value;
}

/* ---- places ---- */

static json_t *list(json_t *parent, const char *name)
{
    json_t *found = json_object_get(parent, name);

    if (!found) {
        found = must(json_array());
        if (json_object_set_new(parent, name, found))
            fail("out of memory");
    }
    if (!json_is_array(found))
        fail("no list");
    return found;
}

static void put(json_t *parent, const char *name, bool append, json_t *value)
{
    if (append ? json_array_append_new(list(parent, name), value)
               : json_object_set_new(parent, name, value))
        fail("a name or a value is no good");
}

/* What stands there: the object, or the last one of the list. */
static json_t *enter(json_t *parent, const char *name, bool append)
{
    json_t *found = json_object_get(parent, name);

    if (append || !found) {
        json_t *fresh = must(json_object());
        put(parent, name, append, fresh);
        return fresh;
    }
    if (json_is_array(found))
        found = json_array_get(found, json_array_size(found) - 1);
    if (!json_is_object(found))
        fail("no object");
    return found;
}

static void take(json_t *root, char *line)
{
    char *value = strchr(line, '='), *name = line, *dot;
    bool is_plain = value && value > line && value[-1] == ':', append;

    if (!value)
        fail("no record");
    *value++ = '\0';
    if (is_plain)
        value[-2] = '\0';
    for (;; name = dot + 1) {
        dot = strchr(name, '.');
        if (dot)
            *dot = '\0';
        append = *name && name[strlen(name) - 1] == '+';
        if (append)
            name[strlen(name) - 1] = '\0';
        if (!*name)
            fail("no name");
        if (!dot)
            break;
        root = enter(root, name, append);
    }
    put(root, name, append, is_plain ? plain(value) : string(value));
}

int main(int argc, char **argv)
{
    int status = argc > 1 ? atoi(argv[1]) : 0;
    json_t *root = must(json_object());
    char *line = NULL;
    size_t room = 0;

    for (ssize_t n; (n = getline(&line, &room, stdin)) > 0;) {
        line_number++;
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        take(root, line);
    }
    line_number = 0;
    if (ferror(stdin))
        fail("the records cannot be read");
    if (json_dumpf(root, stdout, JSON_INDENT(2)) || puts("") < 0 || fflush(stdout))
        fail("the document cannot be written");
    free(line);
    json_decref(root);
    return status;
}
