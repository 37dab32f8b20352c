#include <stdlib.h>
#include <string.h>

#include "tend/load_token.h"

static void add_item(struct scan *s, enum text_what what, int line, bool add,
                     const struct conf_key *key)
{
    struct text_outline *o = s->outline;

    if (o->n == o->room) {
        size_t room = o->room == 0 ? 64 : 2 * o->room;
        struct text_item *items = reallocarray(o->items, room, sizeof(*items));
        if (items == NULL) {
            scan_fail(s, line, "does not fit into memory");
            return;
        }
        o->items = items;
        o->room = room;
    }
    o->items[o->n++] = (struct text_item){.what = what, .line = line, .add = add, .key = key};
}

/* ---- unknown keys ---- */

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* How many letters must be put in, left out or changed. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[TITLE_MAX + 1];
    size_t n = strlen(b);

    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned corner = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < n; j++) {
            unsigned up = row[j + 1];
            row[j + 1] = least(up + 1, row[j] + 1, corner + (a[i] != b[j]));
            corner = up;
        }
    }
    return row[n];
}

static void suggest(const char *word, const char *known, const char **best,
                    unsigned *least_distance)
{
    unsigned d = distance(word, known);

    if (d < *least_distance) {
        *least_distance = d;
        *best = known;
    }
}

/* section NULL: at the top of the file. */
static void say_unknown(struct scan *s, const struct token *t, const char *section)
{
    struct shown word = token_text(s, t);
    unsigned near = strlen(word.text) < 4 ? 2 : 4;
    const char *best = NULL;
    char name[CONF_KEY_NAME_MAX];

    if (section == NULL) {
        suggest(word.text, "service", &best, &near);
        suggest(word.text, "supervisor", &best, &near);
    }
    for (size_t i = 0; i < s->n_keys && section != NULL; i++) {
        if (strcmp(s->keys[i].section, section) == 0)
            suggest(word.text, s->keys[i].name, &best, &near);
        else if (*section == '\0')
            suggest(word.text, s->keys[i].section, &best, &near);
        if (strcmp(word.text, s->keys[i].name) == 0) {
            scan_say(s, t->line, "unknown key %s here: it belongs to %s", word.text,
                     conf_key_name(&s->keys[i], name));
            return;
        }
    }
    if (best != NULL)
        scan_say(s, t->line, "unknown key %s: did you mean %s?", word.text, best);
    else
        scan_say(s, t->line, "unknown key %s: see tend --options for all that are known",
                 word.text);
}

/* ---- grammar ---- */

static const struct conf_key *find_key(const struct scan *s, const char *section,
                                       const struct token *t)
{
    char first = s->text[t->start];

    for (size_t i = 0; i < s->n_keys; i++)
        if (*s->keys[i].name == first && token_is(s, t, s->keys[i].name) &&
            strcmp(s->keys[i].section, section) == 0)
            return &s->keys[i];
    return NULL;
}

/* The name of the section within a service that t names, or NULL. */
static const char *find_section(const struct scan *s, const struct token *t)
{
    for (size_t i = 0; i < s->n_keys; i++)
        if (*s->keys[i].section != '\0' && token_is(s, t, s->keys[i].section))
            return s->keys[i].section;
    return NULL;
}

static void read_list(struct scan *s, const struct token *key)
{
    for (;;) {
        struct token t = token_next(s, true);
        if (t.kind == CLOSE || s->failed)
            return;
        if (t.kind == WORD || t.kind == STRING) {
            t = token_next(s, false);
            if (t.kind == COMMA)
                continue;
            if (t.kind == CLOSE)
                return;
        }
        if (t.kind == END)
            scan_fail(s, key->line, "the list of %s has no end: write }", token_text(s, key).text);
        else if (t.kind == EQUALS)
            scan_fail(s, t.line, "= in the list of %s: write the word in quotes",
                      token_text(s, key).text);
        else
            scan_fail(s, t.line, "%s in the list of %s: write a comma between its words",
                      token_text(s, &t).text, token_text(s, key).text);
        return;
    }
}

/* Whether it was a list; on return s->at is behind the value. */
static bool read_value(struct scan *s, const struct token *key)
{
    struct token t = token_next(s, true);

    if (t.kind == OPEN)
        read_list(s, key);
    else if ((t.kind != WORD && t.kind != STRING) || (t.kind == WORD && t.line != key->line))
        scan_fail(s, key->line, "%s has no value: write one behind the =", token_text(s, key).text);
    return t.kind == OPEN;
}

/* What can be seen without the value; false: it was reported and is to be left out. */
static bool check_use(struct scan *s, const struct conf_key *key, int line, bool add, bool list)
{
    bool takes_list = conf_kind_is_list(key->kind);
    char name[CONF_KEY_NAME_MAX];

    if (!takes_list && add)
        scan_say(s, line, "%s is no list: write = instead of +=", conf_key_name(key, name));
    else if (!takes_list && list)
        scan_say(s, line, "%s is no list: write one value without braces",
                 conf_key_name(key, name));
    else if (takes_list && !list && key->kind != CONF_NAMES)
        scan_say(s, line, "%s is a list: write %s = {\"...\", \"...\"}", conf_key_name(key, name),
                 key->name);
    else
        return true;
    return false;
}

static void read_key(struct scan *s, const char *section, const struct token *t, bool add)
{
    const struct conf_key *key = section == NULL ? NULL : find_key(s, section, t);
    bool list = read_value(s, t);

    if (s->failed)
        return;
    if (key != NULL && check_use(s, key, t->line, add, list)) {
        add_item(s, TEXT_KEY, t->line, add, key);
        return;
    }
    if (key == NULL && section != NULL && *section == '\0' && find_section(s, t) != NULL)
        scan_say(s, t->line, "%s is a section: write %s { ... }", token_text(s, t).text,
                 token_text(s, t).text);
    else if (key == NULL)
        say_unknown(s, t, section);
    scan_blank(s, t->start, s->at);
}

/* A section that nobody knows, from its name to its closing brace. */
static void skip_section(struct scan *s, const struct token *name)
{
    for (size_t depth = 1; depth > 0 && !s->failed;) {
        struct token t = token_next(s, true);
        if (t.kind == END)
            scan_fail(s, name->line, "%s { has no end: write }", token_text(s, name).text);
        depth += t.kind == OPEN;
        depth -= t.kind == CLOSE;
    }
    if (!s->failed)
        scan_blank(s, name->start, s->at);
}

static void read_body(struct scan *s, const char *section, const struct token *opened);

/* A word that is followed by a brace, or by a title and a brace. */
static void read_inner(struct scan *s, const char *section, const struct token *name)
{
    const char *inner = *section == '\0' ? find_section(s, name) : NULL;
    size_t before = s->outline->n;

    if (inner != NULL) {
        read_body(s, inner, name);
        /* The parser is told of the sections that have keys. */
        if (!s->failed && s->outline->n == before)
            scan_blank(s, name->start, s->at);
        return;
    }
    if (find_key(s, section, name) != NULL)
        scan_say(s, name->line, "%s is no section: write %s = and a value",
                 token_text(s, name).text, token_text(s, name).text);
    else
        say_unknown(s, name, section);
    skip_section(s, name);
}

/* Keys and inner sections up to the closing brace. */
static void read_body(struct scan *s, const char *section, const struct token *opened)
{
    while (!s->failed) {
        struct token name = token_next(s, false), t;
        if (name.kind == CLOSE)
            return;
        if (name.kind == END)
            scan_fail(s, opened->line, "%s { has no end: write }", token_text(s, opened).text);
        else if (token_is(s, &name, "service") || token_is(s, &name, "supervisor"))
            scan_fail(s, name.line, "%s within %s, which line %d opens: write } before it",
                      token_text(s, &name).text, token_text(s, opened).text, opened->line);
        else if (name.kind != WORD)
            scan_fail(s, name.line, "%s where a key is due: write KEY = VALUE",
                      token_text(s, &name).text);
        if (s->failed)
            return;
        t = token_next(s, false);
        if (t.kind == EQUALS || t.kind == PLUS_EQUALS)
            read_key(s, section, &name, t.kind == PLUS_EQUALS);
        else if (t.kind == OPEN)
            read_inner(s, section, &name);
        else if (find_key(s, section, &name) != NULL || find_section(s, &name) != NULL)
            scan_fail(s, name.line, "%s has no value: write = and one", token_text(s, &name).text);
        else
            scan_fail(s, name.line, "unknown key %s: see tend --options for all that are known",
                      token_text(s, &name).text);
    }
}

static void open_service(struct scan *s, const struct token *name)
{
    struct token title = token_next(s, false);

    if (title.kind != WORD && title.kind != STRING) {
        scan_fail(s, name->line, "service without a name: write service NAME { ... }");
        return;
    }
    if (token_next(s, false).kind != OPEN) {
        scan_fail(s, name->line, "service %s without {: write service NAME { ... }",
                  token_text(s, &title).text);
        return;
    }
    strcpy(s->title, token_text(s, &title).text);
    s->keys = conf_keys;
    s->n_keys = conf_keys_n;
    add_item(s, TEXT_SERVICE, name->line, false, NULL);
    read_body(s, "", name);
    s->title[0] = '\0';
}

static void open_supervisor(struct scan *s, const struct token *name)
{
    if (token_next(s, false).kind != OPEN) {
        scan_fail(s, name->line, "supervisor without {: write supervisor { ... }");
        return;
    }
    s->keys = conf_supervisor_keys;
    s->n_keys = conf_supervisor_keys_n;
    add_item(s, TEXT_SUPERVISOR, name->line, false, NULL);
    read_body(s, "", name);
}

static void open_unknown(struct scan *s, const struct token *name)
{
    struct token t = token_next(s, false);

    if (t.kind == EQUALS || t.kind == PLUS_EQUALS) {
        read_key(s, NULL, name, false);
        return;
    }
    if (t.kind == WORD || t.kind == STRING)
        t = token_next(s, false);
    if (t.kind != OPEN) {
        scan_fail(s, name->line, "%s is no section: write service NAME { ... }",
                  token_text(s, name).text);
        return;
    }
    say_unknown(s, name, NULL);
    skip_section(s, name);
}

int text_scan(char *text, size_t size, struct text_outline *outline, text_report *report,
              void *self)
{
    struct scan s = {
        .text = text, .size = size, .line = 1, .outline = outline, .report = report, .self = self};
    struct token t;

    scan_check_bytes(&s);
    while (!s.failed && (t = token_next(&s, false)).kind != END) {
        if (token_is(&s, &t, "service"))
            open_service(&s, &t);
        else if (token_is(&s, &t, "supervisor"))
            open_supervisor(&s, &t);
        else if (t.kind == CLOSE)
            scan_fail(&s, t.line, "} closes nothing: leave it out");
        else if (t.kind != WORD)
            scan_fail(&s, t.line, "%s where a section is due: write service NAME { ... }",
                      token_text(&s, &t).text);
        else
            open_unknown(&s, &t);
    }
    return s.failed ? -1 : 0;
}
