#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "tend/graph.h"
#include "tend/load.h"
#include "tend/load_host.h"
#include "tend/load_parse.h"
#include "tend/load_seen.h"

enum { TRIES = 4 };

static char default_file[] = "/etc/tend/tend.conf";
static char default_folder[] = "/etc/tend/services.d";
static char *const default_paths[] = {default_file, default_folder, NULL};

struct load {
    struct parser *parser;
    struct problems problems;
    struct load_drafts drafts; /* of one file and its drop-ins */
    struct conf_set *set;
    struct load_file **files;
    size_t n_files;
    struct host_folders folders;
    struct seen seen;
};

/* ---- files ---- */

static struct load_file *file_new(struct load *load, const char *path, bool drop_in)
{
    struct load_file *file = load_must(calloc(1, sizeof(*file)));
    const char *folder;
    char why[256];

    load->files = load_grow(load->files, load->n_files, sizeof(struct load_file *));
    load->files[load->n_files++] = file;
    file->path = load_must(strdup(path));
    file->drop_in = drop_in;
    folder = host_folder(&load->folders, path, why, sizeof(why));
    if (folder != NULL)
        file->folder = load_must(strdup(folder));
    return file;
}

/* The file, even if nothing of it could be read; NULL: it does not exist. */
static const struct load_file *read_file(struct load *load, const char *path, bool drop_in)
{
    struct load_file *file;
    char why[PATH_MAX + 128], *text;
    bool missing;
    size_t size;

    seen_before(&load->seen, path);
    text = host_read_file(&load->folders, path, &size, &missing, why, sizeof(why));
    seen_after(&load->seen);
    if (missing)
        return NULL;
    file = file_new(load, path, drop_in);
    if (text == NULL) {
        problem_add(&load->problems, file->path, 0, "", "%s", why);
        load->problems.unread = true;
    } else
        parser_read(load->parser, file, text, size, &load->drafts);
    free(text);
    return file;
}

static char *path_join(const char *folder, const char *name)
{
    size_t n = strlen(folder);
    char *path;

    if (asprintf(&path, "%s%s%s", folder, n > 0 && folder[n - 1] != '/' ? "/" : "", name) < 0)
        load_must(NULL);
    return path;
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "NAME.conf.d"; all others are "NAME.conf". */
static bool is_drop_in_folder(const char *name)
{
    return name[strlen(name) - 2] == '.';
}

/* What is done with each file of a folder; drop_ins: a folder of its drop-ins may exist. False: the
 * file does not exist. */
typedef bool read_function(struct load *, const char *path, bool drop_ins);

static void read_listed(struct load *load, const char *folder, char **names, size_t i, size_t n,
                        read_function *read)
{
    char with_suffix[NAME_MAX + 3], *wanted = with_suffix, *path = path_join(folder, names[i]);

    snprintf(with_suffix, sizeof(with_suffix), "%s.d", names[i]);
    if (!read(load, path, bsearch(&wanted, names, n, sizeof(*names), compare_words) != NULL))
        problem_add(&load->problems, file_new(load, path, false)->path, 0, "",
                    "cannot be opened: it is gone, or a link to nothing");
    free(path);
}

/* The files of a folder, in order of name; false: it does not exist. */
static bool read_folder(struct load *load, const char *folder, read_function *read)
{
    char why[256], **names;
    bool missing;
    size_t n;

    seen_before(&load->seen, folder);
    names = host_list_folder(folder, &n, &missing, why, sizeof(why));
    seen_after(&load->seen);
    if (names == NULL && !missing)
        problem_add(&load->problems, file_new(load, folder, false)->path, 0, "", "%s", why);
    for (size_t i = 0; names != NULL && i < n; i++)
        if (!is_drop_in_folder(names[i]))
            read_listed(load, folder, names, i, n, read);
    load_words_free(names);
    return !missing;
}

static bool read_drop_in(struct load *load, const char *path, bool drop_ins)
{
    (void)drop_ins;
    return read_file(load, path, true) != NULL;
}

/* ---- drafts, when their last drop-in was read ---- */

static void make_absolute(char **path, const struct load_place *place)
{
    const char *folder = place->file == NULL ? NULL : place->file->folder;
    char *whole;

    if (*path == NULL || **path == '/' || folder == NULL)
        return;
    if (asprintf(&whole, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, *path) < 0)
        load_must(NULL);
    free(*path);
    *path = whole;
}

/* The context in which rules about one draft are reported. */
struct judged {
    struct load *load;
    const struct load_draft *draft;
    const struct load_file *file;
};

/* Where the key was written; else, as a default can be at fault for what stands beside it, a key
 * of the same section; else where the service begins. */
static struct load_place place_of(const struct judged *judged, const struct conf_key *key)
{
    const struct load_place *places = judged->draft->places;

    if (key != NULL && places[key - conf_keys].file != NULL)
        return places[key - conf_keys];
    for (size_t i = 0; key != NULL && *key->section != '\0' && i < conf_keys_n; i++)
        if (strcmp(conf_keys[i].section, key->section) == 0 && places[i].file != NULL)
            return places[i];
    return (struct load_place){judged->file, judged->draft->conf->line};
}

static const struct conf_key *key_at(size_t offset)
{
    for (size_t i = 0; i < conf_keys_n; i++)
        if (conf_keys[i].offset == offset)
            return &conf_keys[i];
    return NULL;
}

/* Has no value, where only that can be. */
static bool is_missing(const struct conf *conf, const struct conf_key *key)
{
    bool pointer = key->kind == CONF_LIST || key->kind == CONF_TCP || key->kind == CONF_UNIX;

    return pointer && *(void *const *)(const void *)((const char *)conf + key->offset) == NULL;
}

/* Written there, but refused when it was read: that it is missing now is no news. */
static bool is_told(const struct judged *judged, const struct conf_key *key)
{
    const struct problems *problems = &judged->load->problems;
    struct load_place place;

    if (judged->draft->places[key - conf_keys].file == NULL)
        return false;
    place = judged->draft->places[key - conf_keys];
    for (size_t i = 0; i < problems->n; i++)
        if (problems->at[i].file == place.file->path && problems->at[i].line == place.line)
            return true;
    return false;
}

static void report_rule(void *self, const struct conf_key *key, const char *why)
{
    struct judged *judged = self;
    const struct conf_key *wanted = key != NULL ? key : key_at(offsetof(struct conf, command));
    struct load_place place = place_of(judged, key);

    if (is_missing(judged->draft->conf, wanted) && is_told(judged, wanted))
        return;
    problem_add(&judged->load->problems, place.file->path, place.line, judged->draft->conf->name,
                "%s", why);
}

static void read_environment(struct judged *judged, const struct conf_key *key)
{
    struct conf *conf = judged->draft->conf;
    char why[PATH_MAX + 128];
    int line, rc;

    if (conf->environment_file == NULL)
        return;
    seen_before(&judged->load->seen, conf->environment_file);
    rc = host_read_environment(conf, &line, why, sizeof(why));
    seen_after(&judged->load->seen);
    if (rc == 0)
        return;
    if (line > 0) {
        struct load_file *file = file_new(judged->load, conf->environment_file, false);
        problem_add(&judged->load->problems, file->path, line, conf->name, "%s", why);
    } else {
        struct load_place place = place_of(judged, key);
        problem_add(&judged->load->problems, place.file->path, place.line, conf->name,
                    "environment_file = \"%s\" %s", conf->environment_file, why);
    }
}

/* The confs just before this one are asked first: a look-up reads whole databases. */
static void find_ids(struct judged *judged)
{
    enum { NEAR = 64 };
    const struct conf_set *set = judged->load->set;
    struct conf *conf = judged->draft->conf;
    const struct conf_key *key = NULL;
    char why[256];

    if (conf->user == NULL && conf->group == NULL && conf->groups == NULL)
        return;
    for (size_t i = set->n; i > 0 && set->n - i < NEAR; i--) {
        int rc = host_copy_ids(conf, set->at[i - 1]);
        if (rc < 0)
            load_must(NULL);
        if (rc > 0)
            return;
    }
    if (host_find_ids(conf, &key, why, sizeof(why)) != 0)
        report_rule(judged, key, why);
}

static void draft_finish(struct load *load, struct load_draft *draft, const struct load_file *file)
{
    const struct conf_key *directory = key_at(offsetof(struct conf, directory));
    const struct conf_key *environment = key_at(offsetof(struct conf, environment_file));
    struct judged judged = {load, draft, file};
    struct conf_set *set = load->set;

    make_absolute(&draft->conf->directory, &draft->places[directory - conf_keys]);
    make_absolute(&draft->conf->environment_file, &draft->places[environment - conf_keys]);
    conf_check(draft->conf, report_rule, &judged);
    read_environment(&judged, environment);
    find_ids(&judged);
    set->at = load_grow(set->at, set->n, sizeof(struct conf *));
    set->at[set->n++] = draft->conf;
    free(draft->places);
}

static void read_drop_ins(struct load *load, const char *path)
{
    char *folder;

    if (asprintf(&folder, "%s.d", path) < 0)
        load_must(NULL);
    read_folder(load, folder, read_drop_in);
    free(folder);
}

/* A file with its drop-ins; false: it does not exist. */
static bool read_main_file(struct load *load, const char *path, bool drop_ins)
{
    const struct load_file *file = read_file(load, path, false);

    if (file == NULL)
        return false;
    if (drop_ins)
        read_drop_ins(load, path);
    for (size_t i = 0; i < load->drafts.n; i++)
        draft_finish(load, &load->drafts.at[i], file);
    load->drafts.n = 0;
    return true;
}

static bool read_path(struct load *load, const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return read_folder(load, path, read_main_file);
    return read_main_file(load, path, true);
}

static void read_defaults(struct load *load)
{
    size_t found = 0;

    for (size_t i = 0; default_paths[i] != NULL; i++)
        found += read_path(load, default_paths[i]);
    if (found == 0)
        problem_add(&load->problems, default_file, 0, "",
                    "neither it nor %s exists: write one, or name another with -c", default_folder);
}

static void read_paths(struct load *load, char *const *paths)
{
    for (size_t i = 0; paths[i] != NULL; i++)
        if (*paths[i] == '\0' || !read_path(load, paths[i]))
            problem_add(&load->problems, paths[i], 0, "", "does not exist");
}

/* ---- the set as a whole ---- */

/* Of the control socket. */
static void find_group(struct load *load)
{
    struct conf_supervisor *supervisor = &load->set->supervisor;
    const struct load_place *place = load->drafts.supervisor_places;
    char why[256];

    if (supervisor->group == NULL)
        return;
    for (size_t i = 0; conf_supervisor_keys[i].offset != offsetof(struct conf_supervisor, group);
         i++)
        place++;
    supervisor->has_group =
        host_find_group(supervisor->group, &supervisor->gid, why, sizeof(why)) == 0;
    if (!supervisor->has_group)
        problem_add(&load->problems, place->file->path, place->line, "supervisor", "%s", why);
}

static int compare_names(const void *a, const void *b)
{
    const struct conf *x = *(struct conf *const *)a, *y = *(struct conf *const *)b;
    int order = strcasecmp(x->name, y->name);

    if (order == 0)
        order = strcmp(x->file, y->file);
    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static void report_twin(struct load *load, const struct conf *first, const struct conf *second)
{
    if (strcmp(first->name, second->name) == 0)
        problem_add(&load->problems, second->file, second->line, second->name,
                    "is already defined at %s:%d: rename or remove one", first->file, first->line);
    else
        problem_add(&load->problems, second->file, second->line, second->name,
                    "differs from %s at %s:%d only in case: rename one", first->name, first->file,
                    first->line);
}

static void check_twins(struct load *load)
{
    size_t n = load->set->n;
    struct conf **sorted = load_must(calloc(n + 1, sizeof(struct conf *)));

    for (size_t i = 0; i < n; i++)
        sorted[i] = load->set->at[i];
    qsort(sorted, n, sizeof(struct conf *), compare_names);
    for (size_t i = 1; i < n; i++)
        if (strcasecmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            report_twin(load, sorted[i - 1], sorted[i]);
    free(sorted);
}

static void check_main(struct load *load)
{
    const struct conf *first = NULL;

    for (size_t i = 0; i < load->set->n; i++) {
        const struct conf *conf = load->set->at[i];
        if (conf->main && first != NULL)
            problem_add(&load->problems, conf->file, conf->line, conf->name,
                        "is main, and so is %s at %s:%d: only one can be", first->name, first->file,
                        first->line);
        else if (conf->main)
            first = conf;
    }
}

static void report_order(void *self, const struct conf *at, const char *why)
{
    struct load *load = self;

    problem_add(&load->problems, at->file, at->line, at->name, "%s", why);
}

static void check_order(struct load *load)
{
    size_t *order;

    if (load->problems.unread)
        return;
    order = load_must(calloc(load->set->n + 1, sizeof(*order)));
    if (graph_check(load->set, report_order, load, order) < 0)
        load_must(NULL);
    free(order);
}

/* The place of the key is forgotten by now. */
struct finished {
    struct load *load;
    const struct conf *conf;
};

static void report_finished(void *self, const struct conf_key *key, const char *why)
{
    const struct finished *f = self;

    (void)key;
    problem_add(&f->load->problems, f->conf->file, f->conf->line, f->conf->name, "%s", why);
}

static void finish(struct load *load)
{
    for (size_t i = 0; i < load->set->n; i++) {
        struct finished f = {load, load->set->at[i]};
        bool supervisors = f.conf->stop.grace == NEVER;
        conf_finish(load->set->at[i], &load->set->supervisor);
        if (supervisors)
            conf_check_finished(f.conf, report_finished, &f);
    }
}

/* "a, b, c" */
static char *join(char *const *paths)
{
    char *text = NULL;
    size_t size;
    FILE *out = load_must(open_memstream(&text, &size));

    for (size_t i = 0; paths[i] != NULL; i++)
        fprintf(out, "%s%s", i > 0 ? ", " : "", paths[i]);
    if (fclose(out) != 0)
        load_must(NULL);
    return text;
}

static void check_empty(struct load *load, char *const *paths)
{
    char *text;

    if (load->set->n > 0 || load->problems.n > 0)
        return;
    text = join(paths);
    problem_add(&load->problems, file_new(load, *text != '\0' ? text : "no path", false)->path, 0,
                "", "no service is defined: write service NAME { command = {...} }");
    free(text);
}

static void load_free(struct load *load)
{
    parser_free(load->parser);
    for (size_t i = 0; i < load->n_files; i++) {
        free(load->files[i]->path);
        free(load->files[i]->folder);
        free(load->files[i]);
    }
    free(load->files);
    free(load->drafts.at);
    free(load->drafts.supervisor_places);
    seen_free(&load->seen);
}

/* All problems, or the set. */
static void read_all(struct load *load, char *const *paths)
{
    load->parser = parser_new(&load->problems);
    load->set = load_must(calloc(1, sizeof(*load->set)));
    load->drafts.supervisor_places =
        load_must(calloc(conf_supervisor_keys_n, sizeof(struct load_place)));
    conf_supervisor_init(&load->drafts.supervisor);
    if (paths == NULL)
        read_defaults(load);
    else
        read_paths(load, paths);
    check_empty(load, paths == NULL ? default_paths : paths);
    check_twins(load);
    check_main(load);
    check_order(load);
    load->set->supervisor = load->drafts.supervisor;
    find_group(load);
    finish(load);
}

static void drop(struct load *load)
{
    load_words_free(problems_take(&load->problems));
    conf_set_free(load->set);
    load_free(load);
    *load = (struct load){.n_files = 0};
}

struct conf_set *load_files(char *const *paths, char ***problems)
{
    struct load load = {.n_files = 0};
    const char *changed;

    read_all(&load, paths);
    for (int i = 1; (changed = seen_changed(&load.seen)) != NULL && i < TRIES; i++) {
        drop(&load);
        read_all(&load, paths);
    }
    if (changed != NULL)
        problem_add(&load.problems, changed, 0, "",
                    "is changed while it is read: try again when that is over");
    *problems = NULL;
    if (load.problems.n > 0) {
        *problems = problems_take(&load.problems);
        conf_set_free(load.set);
        load.set = NULL;
    }
    load_free(&load);
    return load.set;
}
