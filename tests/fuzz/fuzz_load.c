/* Any text as a config file: never a crash, no changed line, no disagreement between our reading
 * of the text and the parser's, and what is good survives packing. */
#include "tend/load_parse.h"
#include "tend/load_text.h"
#include "tend/pack.h"

#include "driver.h"

#ifndef LIBFUZZER
const char *const fuzz_words[] = {
    "service",  "supervisor", "{",       "}",    "\"",           "'",       "=",       "+=",
    ",",        "\n",         "#",       "//",   "/*",           "*/",      "\\",      "${HOME}",
    "${",       "\\x00",      "\\001",   "stop", "restart",      "command", "after",   "10s",
    "limits",   "nofile",     "ready {", " ",    "\r\n",         "success", "-1",      "010",
    "umask",    "requires",   ";",       "(",    "\xef\xbb\xbf", "\x01",    "unknown", "then",
    "health {", "tcp",        "unix",    "http", "[::1]:80",     "@x",      "fd",      "watchdog",
    "max",      NULL,
};

static void fuzz_seeds(void)
{
    if (driver_n == 0)
        driver_add_folder("tests/fuzz/corpus/load");
}
#endif

static void ignore(void *self, int line, const char *title, const char *why)
{
    int *last = self;

    FUZZ_ASSERT(line >= 1 && line <= *last && title != NULL && *why != '\0');
}

static int count_lines(const uint8_t *data, size_t size)
{
    int n = 1;

    for (size_t i = 0; i < size; i++)
        n += data[i] == '\n';
    return n;
}

static char *copy_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (text == NULL)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* The number of services that the outline has; -1 when the text is refused. */
static long scan(const uint8_t *data, size_t size)
{
    struct text_outline outline = {0};
    char *text = copy_of(data, size);
    int lines = count_lines(data, size);
    long services = -1;

    if (text_scan(text, size, &outline, ignore, &lines) == 0) {
        services = 0;
        for (size_t i = 0; i < outline.n; i++)
            services += outline.items[i].what == TEXT_SERVICE;
        for (size_t i = 0; i < size; i++)
            FUZZ_ASSERT((text[i] == '\n') == (data[i] == '\n'));
    }
    free(outline.items);
    free(text);
    return services;
}

static void check_pack(struct conf_set *set)
{
    struct conf_set *back = NULL;
    char **problems = NULL;
    struct pack pack = {0};
    const struct conf_key *key;

    FUZZ_ASSERT(pack_set(set, &pack) == 0);
    FUZZ_ASSERT(pack_read(pack.data, pack.size, &back, &problems) == 0);
    FUZZ_ASSERT(back != NULL && back->n == set->n);
    for (size_t i = 0; i < set->n; i++)
        FUZZ_ASSERT(conf_compare(set->at[i], back->at[i], &key) == CONF_SAME);
    conf_set_free(back);
    free(pack.data);
}

/* Every service that keeps the rules, alone. */
static void check_drafts(struct load_drafts *drafts)
{
    for (size_t i = 0; i < drafts->n; i++) {
        struct conf *conf = drafts->at[i].conf;
        struct conf_set set = {drafts->supervisor, &conf, 1};
        if (conf_check(conf, NULL, NULL) > 0)
            continue;
        conf_finish(conf, &drafts->supervisor);
        if (conf_check_finished(conf, NULL, NULL) == 0)
            check_pack(&set);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[] = "fuzz.conf", folder[] = "/";
    static struct problems problems;
    static struct parser *parser;
    struct load_file file = {.path = path, .folder = folder};
    struct load_drafts drafts = {.n = 0};
    long services = scan(data, size);
    char *text = copy_of(data, size);

    if (parser == NULL)
        parser = parser_new(&problems);
    conf_supervisor_init(&drafts.supervisor);
    drafts.supervisor_places = load_must(calloc(conf_supervisor_keys_n, sizeof(struct load_place)));
    parser_read(parser, &file, text, size, &drafts);
    if (services >= 0)
        FUZZ_ASSERT(drafts.n == (size_t)services);
    else
        FUZZ_ASSERT(problems.n > 0);
    check_drafts(&drafts);
    for (size_t i = 0; i < drafts.n; i++) {
        conf_free(drafts.at[i].conf);
        free(drafts.at[i].places);
    }
    free(drafts.at);
    free(drafts.supervisor_places);
    free(drafts.supervisor.group);
    load_words_free(problems_take(&problems));
    free(text);
    return 0;
}
