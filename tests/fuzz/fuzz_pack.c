/* Any bytes as a packed config: an error or a set that packs to the same bytes again. */
#include "tend/pack.h"

#include "driver.h"

#ifndef LIBFUZZER
const char *const fuzz_words[] = {"TND3", "/bin/true", "A=b", NULL};

static void set_key(struct conf *conf, const char *section, const char *name, const char *a,
                    const char *b)
{
    char why[256], one[64], two[64], *words[] = {one, NULL, NULL};

    strcpy(one, a);
    if (b != NULL) {
        strcpy(two, b);
        words[1] = two;
    }
    for (size_t i = 0; i < conf_keys_n; i++)
        if (strcmp(conf_keys[i].section, section) == 0 && strcmp(conf_keys[i].name, name) == 0)
            FUZZ_ASSERT(conf_set_key(conf, &conf_keys[i], words, why, sizeof(why)) == 0);
}

static struct conf *full_conf(const char *name)
{
    struct conf *conf = conf_new(name, "a.conf", 3);
    const struct conf_supervisor supervisor = {.grace = 10000};

    FUZZ_ASSERT(conf != NULL);
    set_key(conf, "", "command", "/bin/true", "argument");
    set_key(conf, "", "after", "x", "y");
    set_key(conf, "", "environment", "A=b", "C=");
    set_key(conf, "", "user", "nobody", NULL);
    set_key(conf, "", "nice", "5", NULL);
    set_key(conf, "stop", "then", "INT 5s", "QUIT 1s");
    set_key(conf, "reload", "command", "/bin/reload", "now");
    set_key(conf, "ready", "fd", "5", NULL);
    set_key(conf, "health", "http", "http://[::1]:80/", NULL);
    set_key(conf, "limits", "nofile", "5:7", NULL);
    set_key(conf, "limits", "core", "unlimited", NULL);
    conf->has_ids = true;
    conf->gids = calloc(2, sizeof(gid_t));
    conf->n_gids = conf->gids == NULL ? 0 : 2;
    conf->home = strdup("/");
    conf_finish(conf, &supervisor);
    return conf;
}

static void fuzz_seeds(void)
{
    struct conf *confs[2] = {full_conf("web"), full_conf("db")};
    struct conf_set set = {.supervisor = {.grace = 1, .has_group = true, .gid = 50}, .at = confs};
    char one[] = "a.conf:1: web: wrong", two[] = "", *lines[] = {one, two, NULL};
    struct pack pack = {0};

    for (set.n = 0; set.n <= 2; set.n++) {
        pack.size = 0;
        FUZZ_ASSERT(pack_set(&set, &pack) == 0);
        driver_add(pack.data, pack.size);
    }
    pack.size = 0;
    FUZZ_ASSERT(pack_problems(lines, &pack) == 0);
    driver_add(pack.data, pack.size);
    free(pack.data);
    conf_free(confs[0]);
    conf_free(confs[1]);
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_set *set = NULL;
    char **problems = NULL;
    struct pack pack = {0};

    if (pack_read(data, size, &set, &problems) != 0) {
        FUZZ_ASSERT(set == NULL && problems == NULL);
        return 0;
    }
    FUZZ_ASSERT((set == NULL) != (problems == NULL));
    FUZZ_ASSERT((set != NULL ? pack_set(set, &pack) : pack_problems(problems, &pack)) == 0);
    FUZZ_ASSERT(pack.size == size && memcmp(pack.data, data, size) == 0);
    conf_set_free(set);
    for (size_t i = 0; problems != NULL && problems[i] != NULL; i++)
        free(problems[i]);
    free(problems);
    free(pack.data);
    return 0;
}
