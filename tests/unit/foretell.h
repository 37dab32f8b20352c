/* What the engine has, byte for byte, and what its plan of a reload says. Needs cmocka.h before it.
 */
#ifndef TEND_TEST_FORETELL_H
#define TEND_TEST_FORETELL_H

#include "drive.h"
#include "memory.h"
#include "tend/engine_plan.h"

struct image {
    struct service service[DRIVE_SLOTS];
    struct edge needs[DRIVE_SLOTS][4], needed_by[DRIVE_SLOTS][4];
    bool there[DRIVE_SLOTS];
    size_t n_sorted;
};

/* But for how the next look at the levels is queued. */
static inline void take_image(struct image *image)
{
    memset(image, 0, sizeof *image);
    image->n_sorted = d.e.graph.n_sorted;
    for (size_t i = 0; i < d.e.graph.n; i++) {
        const struct service *s = d.e.graph.at[i];
        image->there[i] = s != NULL;
        if (!s)
            continue;
        memcpy(&image->service[i], s, sizeof *s);
        image->service[i].needs = image->service[i].needed_by = NULL;
        image->service[i].queued = 0;
        memset(image->service[i].next, 0, sizeof s->next);
        assert_true(s->n_needs <= 4 && s->n_needed_by <= 4);
        for (size_t k = 0; k < s->n_needs; k++)
            image->needs[i][k] = s->needs[k];
        for (size_t k = 0; k < s->n_needed_by; k++)
            image->needed_by[i][k] = s->needed_by[k];
    }
}

static struct image before, after;

static inline bool is_as_before(void)
{
    take_image(&after);
    return memcmp(&before, &after, sizeof before) == 0;
}

/* ---- the plan ---- */

static char planned[512];

static inline void write_down(void *self, const struct engine_planned *p)
{
    char key[CONF_KEY_NAME_MAX];

    assert_ptr_equal(self, planned);
    sprintf(planned + strlen(planned), "%s%s %s", *planned ? ", " : "", engine_does_name(p->does),
            p->name);
    if (p->key)
        sprintf(planned + strlen(planned), " %s", conf_key_name(p->key, key));
    if (p->because)
        sprintf(planned + strlen(planned), " <%s", p->because);
}

/* Without memory nothing is told, and in no case is anything changed. */
static inline void plan(struct conf **confs, size_t n)
{
    const struct conf_set set = {.at = confs, .n = n};
    int left = 0, result;

    take_image(&before);
    do {
        planned[0] = '\0';
        errno = 0;
        allowed = left++;
        result = engine_plan(&d.e, &set, write_down, planned);
        allowed = -1;
        assert_true(is_as_before());
        assert_true(result == 0 || (errno == ENOMEM && !*planned));
    } while (result);
    assert_true(left > 5);
}

static inline void expect_plan(const char *text)
{
    assert_string_equal(planned, text);
}

#define PLAN(...)                                                                                  \
    do {                                                                                           \
        struct conf *planned_[] = {__VA_ARGS__};                                                   \
        plan(planned_, ARRAY_SIZE(planned_));                                                      \
        for (size_t i_ = 0; i_ < ARRAY_SIZE(planned_); i_++)                                       \
            conf_free(planned_[i_]);                                                               \
    } while (0)

/* ---- confs ---- */

static inline struct conf *changed(struct conf *c)
{
    make_set(&c->command, "/bin/other");
    return c;
}

#endif
