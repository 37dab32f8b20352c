#include <confuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tend/load_parse.h"
#include "tend/load_text.h"

struct parser {
    cfg_t *cfg;
    bool *known; /* what it has options for: of each of conf_keys, then of conf_supervisor_keys */
    bool *wanted;
    struct problems *problems;
    /* of the file being read */
    const struct load_file *file;
    struct load_drafts *drafts;
    struct text_outline outline;
    size_t next; /* item of the outline */
};

/* libconfuse hands no pointer of ours to its callbacks. */
static struct parser *reading;

static void report_text(void *self, int line, const char *title, const char *why)
{
    struct parser *p = self;

    problem_add(p->problems, p->file->path, line, title, "%s", why);
}

PRINTF(2, 0)
static void report_parser(cfg_t *cfg, const char *format, va_list ap)
{
    const char *title = cfg->title != NULL ? cfg->title : "";

    problem_add_list(reading->problems, reading->file->path, cfg->line, title, format, ap);
    reading->problems->unread = true;
}

/* One key on its way from the parser into base. */
struct reading {
    struct parser *parser;
    void *base;
    cfg_t *section;
    const char *name; /* of the service, for messages */
    const struct text_item *item;
};

PRINTF(2, 3)
static void refuse(const struct reading *r, const char *why, ...)
{
    va_list ap;

    va_start(ap, why);
    problem_add_list(r->parser->problems, r->parser->file->path, r->item->line, r->name, why, ap);
    va_end(ap);
}

/* ---- values ---- */

static bool put_variable(const struct reading *r, const char *name, size_t n, FILE *out)
{
    char *copy = load_must(strndup(name, n));
    const char *value = getenv(copy);

    if (value != NULL)
        fputs(value, out);
    else
        refuse(r, "${%s} is not set in the environment of tend: set it, or write the value", copy);
    free(copy);
    return value != NULL;
}

/* The value with its variables put in, a new string; NULL after a report. */
static char *expand(const struct reading *r, const char *value)
{
    char *text = NULL;
    size_t size;
    FILE *out = load_must(open_memstream(&text, &size));
    bool good = true;

    for (; *value != '\0'; value++) {
        size_t n = strcspn(value, "}");
        if (*value != TEXT_VARIABLE || n < 2 || value[n] == '\0') {
            fputc(*value, out);
            continue;
        }
        good = put_variable(r, value + 2, n - 2, out) && good;
        value += n;
    }
    if (fclose(out) != 0)
        load_must(NULL);
    if (good)
        return text;
    free(text);
    return NULL;
}

static char **read_words(const struct reading *r, cfg_opt_t *opt)
{
    char **words = load_must(calloc(cfg_opt_size(opt) + 1, sizeof(*words)));

    for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
        const char *value = cfg_opt_getnstr(opt, i);
        words[i] =
            strchr(value, TEXT_VARIABLE) != NULL ? expand(r, value) : load_must(strdup(value));
        if (words[i] == NULL) {
            load_words_free(words);
            return NULL;
        }
    }
    return words;
}

static void read_value(const struct reading *r)
{
    const struct conf_key *key = r->item->key;
    cfg_t *section = *key->section == '\0' ? r->section : cfg_getsec(r->section, key->section);
    cfg_opt_t *opt = section == NULL ? NULL : cfg_getopt(section, key->name);
    char why[512], **words = opt == NULL ? NULL : read_words(r, opt);
    int rc;

    if (opt == NULL)
        refuse(r, "%s cannot be read", key->name);
    if (words == NULL)
        return;
    rc = r->item->add ? conf_add_key(r->base, key, words, why, sizeof(why))
                      : conf_set_key(r->base, key, words, why, sizeof(why));
    if (rc != 0)
        refuse(r, "%s", why);
    load_words_free(words);
}

/* Whether the key may get a value here, after it got one at place. */
static bool may_set(const struct reading *r, const struct load_place *place)
{
    const struct load_file *file = r->parser->file;
    char key[CONF_KEY_NAME_MAX];

    if (place->file == NULL || (file->drop_in && place->file != file))
        return true;
    conf_key_name(r->item->key, key);
    if (place->file != file)
        refuse(r, "%s is already set at %s:%d: leave one out", key, place->file->path, place->line);
    else if (!r->item->add)
        refuse(r, "%s is already set in line %d: leave one out", key, place->line);
    return false;
}

/* The keys of the section that the outline is at. The parser has put `a = {x}  a += {y}` of one
 * file together already, so the later += adds nothing. */
static void read_keys(struct reading *r, const struct conf_key *keys, struct load_place *places)
{
    struct parser *p = r->parser;

    while (p->next < p->outline.n && p->outline.items[p->next].what == TEXT_KEY) {
        struct load_place *place;
        r->item = &p->outline.items[p->next++];
        place = &places[r->item->key - keys];
        if (!may_set(r, place))
            continue;
        place->file = p->file;
        place->line = r->item->line;
        read_value(r);
    }
}

/* ---- sections, as the parser finishes them ---- */

static struct load_draft *draft_find(struct load_drafts *drafts, const char *name)
{
    for (size_t i = 0; i < drafts->n; i++)
        if (strcmp(drafts->at[i].conf->name, name) == 0)
            return &drafts->at[i];
    return NULL;
}

static struct load_draft *draft_new(struct parser *p, const char *name, int line)
{
    struct load_drafts *drafts = p->drafts;
    struct load_draft *draft;

    drafts->at = load_grow(drafts->at, drafts->n, sizeof(*drafts->at));
    draft = &drafts->at[drafts->n++];
    draft->conf = load_must(conf_new(name, p->file->path, line));
    draft->places = load_must(calloc(conf_keys_n, sizeof(*draft->places)));
    return draft;
}

/* The line at which the next section of this sort begins; its keys follow. */
static int next_section(struct parser *p, enum text_what what)
{
    while (p->next < p->outline.n && p->outline.items[p->next].what != what)
        p->next++;
    return p->next < p->outline.n ? p->outline.items[p->next++].line : 0;
}

static cfg_t *last_section(cfg_opt_t *opt)
{
    return cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
}

/* Takes each service at its closing brace and lets the parser forget it: at each new title it
 * compares all earlier ones. */
static int take_service(cfg_t *cfg, cfg_opt_t *opt)
{
    struct parser *p = reading;
    cfg_t *section = last_section(opt);
    int line = next_section(p, TEXT_SERVICE);
    struct reading r = {.parser = p, .section = section, .name = cfg_title(section)};
    struct load_draft *draft;

    (void)cfg;
    draft = p->file->drop_in ? draft_find(p->drafts, r.name) : draft_new(p, r.name, line);
    if (draft == NULL) {
        problem_add(p->problems, p->file->path, line, r.name,
                    "is no service of the file that this drop-in belongs to");
    } else {
        r.base = draft->conf;
        read_keys(&r, conf_keys, draft->places);
    }
    cfg_free_value(opt);
    return 0;
}

static int take_supervisor(cfg_t *cfg, cfg_opt_t *opt)
{
    struct load_drafts *drafts = reading->drafts;
    struct reading r = {.parser = reading,
                        .base = &drafts->supervisor,
                        .section = last_section(opt),
                        .name = "supervisor"};

    (void)cfg;
    next_section(reading, TEXT_SUPERVISOR);
    read_keys(&r, conf_supervisor_keys, drafts->supervisor_places);
    return 0;
}

/* ---- the parser's options, from the table of keys ---- */

static cfg_opt_t option(const struct conf_key *key)
{
    cfg_opt_t list = CFG_STR_LIST(key->name, NULL, CFGF_NODEFAULT);
    cfg_opt_t one = CFG_STR(key->name, NULL, CFGF_NODEFAULT);

    return conf_kind_is_list(key->kind) ? list : one;
}

static cfg_opt_t section_option(const char *name, cfg_opt_t *options, cfg_flag_t flags,
                                cfg_validate_callback_t taken)
{
    cfg_opt_t section = CFG_SEC(name, options, CFGF_NODEFAULT | flags);

    section.validcb = taken;
    return section;
}

/* The known keys of one section, and within the outermost each inner section once. */
static cfg_opt_t *options_new(const struct conf_key *keys, const bool *known, size_t n,
                              const char *section)
{
    cfg_opt_t *options = load_must(calloc(n + 1, sizeof(*options)));
    const char *last = "";
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        const char *inner = keys[i].section;
        if (!known[i])
            continue;
        if (strcmp(inner, section) == 0)
            options[used++] = option(&keys[i]);
        else if (*section == '\0' && strcmp(inner, last) != 0)
            options[used++] =
                section_option(inner, options_new(keys, known, n, inner), CFGF_NONE, NULL);
        last = inner;
    }
    return options;
}

static void options_free(cfg_opt_t *options)
{
    for (size_t i = 0; options[i].name != NULL; i++)
        if (options[i].subopts != NULL)
            options_free(options[i].subopts);
    free(options);
}

static cfg_t *options_init(const bool *known)
{
    cfg_opt_t *service = options_new(conf_keys, known, conf_keys_n, "");
    cfg_opt_t *supervisor =
        options_new(conf_supervisor_keys, known + conf_keys_n, conf_supervisor_keys_n, "");
    cfg_opt_t root[] = {
        section_option("service", service, CFGF_MULTI | CFGF_TITLE, take_service),
        section_option("supervisor", supervisor, CFGF_NONE, take_supervisor),
        CFG_END(),
    };
    cfg_t *cfg = load_must(cfg_init(root, CFGF_NONE));

    cfg_set_error_function(cfg, report_parser);
    options_free(service);
    options_free(supervisor);
    return cfg;
}

/* The parser copies all options for each service, and frees them after it: it gets only those that
 * this file needs. */
static void prepare(struct parser *p)
{
    size_t n = conf_keys_n + conf_supervisor_keys_n;
    const struct text_item *item = p->outline.items;
    bool service = true, *swap = p->known;

    memset(p->wanted, 0, n * sizeof(*p->wanted));
    for (size_t i = 0; i < p->outline.n; i++, item++) {
        if (item->what != TEXT_KEY)
            service = item->what == TEXT_SERVICE;
        else if (service)
            p->wanted[item->key - conf_keys] = true;
        else
            p->wanted[conf_keys_n + (size_t)(item->key - conf_supervisor_keys)] = true;
    }
    if (p->cfg != NULL && memcmp(p->wanted, p->known, n * sizeof(*p->wanted)) == 0)
        return;
    if (p->cfg != NULL)
        cfg_free(p->cfg);
    p->known = p->wanted;
    p->wanted = swap;
    p->cfg = options_init(p->known);
}

struct parser *parser_new(struct problems *problems)
{
    struct parser *p = load_must(calloc(1, sizeof(*p)));
    size_t n = conf_keys_n + conf_supervisor_keys_n;

    p->problems = problems;
    p->known = load_must(calloc(n, sizeof(*p->known)));
    p->wanted = load_must(calloc(n, sizeof(*p->wanted)));
    return p;
}

void parser_free(struct parser *p)
{
    if (p->cfg != NULL)
        cfg_free(p->cfg);
    free(p->known);
    free(p->wanted);
    free(p);
}

/* ---- one file ---- */

static void parse(struct parser *p, char *text, size_t size)
{
    size_t before = p->problems->n;
    FILE *stream;

    prepare(p);
    /* What an earlier file left behind must not shine through. */
    cfg_free_value(cfg_getopt(p->cfg, "service"));
    cfg_free_value(cfg_getopt(p->cfg, "supervisor"));
    stream = load_must(fmemopen(text, size, "r"));
    if (cfg_parse_fp(p->cfg, stream) != CFG_SUCCESS && p->problems->n == before) {
        problem_add(p->problems, p->file->path, p->cfg->line, "", "the parser refuses this file");
        p->problems->unread = true;
    }
    fclose(stream);
}

void parser_read(struct parser *p, const struct load_file *file, char *text, size_t size,
                 struct load_drafts *drafts)
{
    p->file = file;
    p->drafts = drafts;
    p->outline = (struct text_outline){0};
    p->next = 0;
    reading = p;
    if (text_scan(text, size, &p->outline, report_text, p) != 0)
        p->problems->unread = true;
    else if (p->outline.n > 0)
        parse(p, text, size);
    reading = NULL;
    free(p->outline.items);
}
