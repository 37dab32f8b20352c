/* Edges, the levels that follow from them, and memory that runs out in between. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "make.h"
#include "memory.h"
#include "tend/graph.h"

/* ---- a graph ---- */

static struct graph g;

static int teardown(void **state)
{
    (void)state;
    allowed = -1;
    graph_free(&g);
    return 0;
}

static struct service *add(const char *name, const char *requires, const char *wants,
                           const char *after)
{
    struct service *s = graph_add(&g, make_conf(name, requires, wants, after));

    assert_non_null(s);
    s->fresh = false;
    s->wanted = true;
    return s;
}

static void link_all(void)
{
    assert_int_equal(graph_link(&g), 0);
}

static bool has_edge(const struct edge *edges, size_t n, const struct service *to,
                     enum edge_kind kind)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += edges[i].to == to && edges[i].kind == kind;
    return found == 1;
}

static bool linked(const struct service *from, const struct service *to, enum edge_kind kind)
{
    bool there = has_edge(from->needs, from->n_needs, to, kind);

    assert_int_equal(there, has_edge(to->needed_by, to->n_needed_by, from, kind));
    return there;
}

/* ---- the set ---- */

static void test_add_and_find(void **state)
{
    char name[16];
    struct service *all[100];

    (void)state;
    assert_null(graph_find(&g, "web"));
    link_all();
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "s%d", i * 7 % 100);
        all[i * 7 % 100] = add(name, NULL, NULL, NULL);
        assert_int_equal(all[i * 7 % 100]->slot, i);
    }
    link_all();
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "s%d", i);
        assert_ptr_equal(graph_find(&g, name), all[i]);
    }
    assert_null(graph_find(&g, "s100"));
    assert_null(graph_find(&g, ""));
    assert_null(graph_find(&g, "z"));
}

static void test_slots_are_used_again(void **state)
{
    (void)state;
    for (int i = 0; i < 16; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        add(name, NULL, NULL, NULL);
    }
    link_all();
    graph_remove(&g, g.at[5]);
    assert_int_equal(add("new", NULL, NULL, NULL)->slot, 5);
    assert_int_equal(add("more", NULL, NULL, NULL)->slot, 16);
}

static void test_edges(void **state)
{
    struct service *db = add("db", NULL, NULL, NULL), *cache = add("cache", "db", NULL, NULL);
    struct service *web = add("web", "db", "cache", "late db");
    struct service *late = add("late", NULL, NULL, NULL);

    (void)state;
    link_all();
    assert_int_equal(web->n_needs, 4);
    assert_true(linked(web, db, EDGE_REQUIRES) && linked(web, db, EDGE_AFTER));
    assert_true(linked(web, cache, EDGE_WANTS) && linked(web, late, EDGE_AFTER));
    assert_true(linked(cache, db, EDGE_REQUIRES));
    assert_int_equal(db->n_needed_by, 3);
    assert_int_equal(db->n_needs, 0);
    assert_null(db->needs);
    assert_null(web->needed_by);
}

static void test_remove(void **state)
{
    struct service *db = add("db", NULL, NULL, NULL), *web = add("web", "db", NULL, "db cache");
    struct service *cache = add("cache", "db", NULL, NULL);

    (void)state;
    link_all();
    graph_remove(&g, db);
    assert_null(graph_find_any(&g, "db"));
    assert_ptr_equal(graph_find(&g, "web"), web);
    assert_ptr_equal(graph_find(&g, "cache"), cache);
    assert_int_equal(web->n_needs, 1);
    assert_true(linked(web, cache, EDGE_AFTER));
    assert_int_equal(cache->n_needs, 0);
    assert_null(g.at[0]);
    graph_remove(&g, web);
    assert_int_equal(cache->n_needed_by, 0);
    graph_remove(&g, cache);
    assert_int_equal(g.n_sorted, 0);
}

/* ---- relink ---- */

static void test_link_follows_the_waiting_conf(void **state)
{
    struct service *db = add("db", NULL, NULL, NULL), *cache = add("cache", NULL, NULL, NULL);
    struct service *web = add("web", "db", NULL, NULL);

    (void)state;
    link_all();
    web->next_conf = make_conf("web", "cache", NULL, NULL);
    link_all();
    assert_int_equal(web->n_needs, 1);
    assert_true(linked(web, cache, EDGE_REQUIRES));
    assert_int_equal(db->n_needed_by, 0);
}

static void test_predecessor(void **state)
{
    struct service *old = add("web", NULL, NULL, NULL), *new, *other = add("db", NULL, NULL, NULL);

    (void)state;
    link_all();
    old->doomed = true;
    assert_null(graph_find(&g, "web"));
    assert_ptr_equal(graph_find_any(&g, "web"), old);
    new = add("web", NULL, NULL, NULL);
    link_all();
    assert_ptr_equal(graph_find(&g, "web"), new);
    assert_ptr_equal(graph_find_any(&g, "web"), new);
    assert_ptr_equal(new->predecessor, old);
    assert_null(old->predecessor);
    assert_null(other->predecessor);
    assert_false(graph_clear(new));
    graph_remove(&g, old);
    assert_null(new->predecessor);
    assert_true(graph_clear(new));
}

static void test_two_predecessors(void **state)
{
    struct service *first = add("web", NULL, NULL, NULL), *second, *third;

    (void)state;
    link_all();
    first->doomed = true;
    second = add("web", NULL, NULL, NULL);
    link_all();
    second->doomed = true;
    third = add("web", NULL, NULL, NULL);
    link_all();
    assert_ptr_equal(graph_find(&g, "web"), third);
    graph_remove(&g, third->predecessor);
    assert_non_null(third->predecessor);
    graph_remove(&g, third->predecessor);
    assert_null(third->predecessor);
}

/* A doomed one is still gone before those whom it knew, and has nothing to do with who came later.
 */
static void test_doomed_keeps_its_edges(void **state)
{
    struct service *db = add("db", NULL, NULL, NULL), *web = add("web", "db", NULL, NULL), *new;

    (void)state;
    link_all();
    db->doomed = web->doomed = true;
    new = add("db", NULL, NULL, NULL);
    link_all();
    assert_true(linked(web, db, EDGE_REQUIRES));
    assert_int_equal(web->n_needs, 1);
    assert_int_equal(new->n_needed_by, 0);
}

/* What all edges are, in one number. */
static uint64_t digest(void)
{
    uint64_t sum = 14695981039346656037u;

    for (size_t i = 0; i < g.n; i++) {
        for (size_t k = 0; k < g.at[i]->n_needs; k++)
            sum = (sum ^ (uintptr_t)g.at[i]->needs[k].to ^ g.at[i]->needs[k].kind) * 1099511628211u;
        for (size_t k = 0; k < g.at[i]->n_needed_by; k++)
            sum = (sum ^ (uintptr_t)g.at[i]->needed_by[k].to) * 1099511628211u;
        sum = (sum ^ (uintptr_t)g.at[i]->predecessor) * 1099511628211u;
    }
    for (size_t i = 0; i < g.n_sorted; i++)
        sum = (sum ^ (uintptr_t)g.sorted[i]) * 1099511628211u;
    return sum;
}

static void test_link_without_memory(void **state)
{
    struct service *web;
    uint64_t before;
    int n = 0;

    (void)state;
    add("db", NULL, NULL, NULL);
    add("cache", "db", NULL, NULL);
    web = add("web", "db", "cache", NULL);
    link_all();
    web->next_conf = make_conf("web", "cache", NULL, NULL);
    add("new", "web", NULL, "db");
    before = digest();
    for (;; n++) {
        errno = 0;
        allowed = n;
        if (graph_link(&g) == 0)
            break;
        allowed = -1;
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(digest(), before);
    }
    allowed = -1;
    assert_true(n >= 5);
    assert_int_not_equal(digest(), before);
}

static void test_add_without_memory(void **state)
{
    struct conf *c = make_conf("web", NULL, NULL, NULL);
    int n = 0;

    (void)state;
    for (;; n++) {
        struct service *s;
        allowed = n;
        s = graph_add(&g, c);
        allowed = -1;
        if (s)
            break;
        assert_int_equal(g.n, 0);
    }
    assert_int_equal(n, 2);
}

/* ---- levels ---- */

/* Until nothing changes, as the engine does. */
static void settle(bool shutdown)
{
    for (size_t round = 0; round <= g.n; round++)
        for (size_t i = 0; i < g.n; i++) {
            g.at[i]->going = graph_going(g.at[i], shutdown);
            g.at[i]->hopeless = graph_hopeless(g.at[i]);
        }
}

static void put(struct service *s, enum service_state state)
{
    s->state = state;
    s->ready = state == SERVICE_RUNNING || (state == SERVICE_DONE && s->conf->type == CONF_ONESHOT);
}

/* web needs db, by each kind of edge: may it start, must it go? */
static void test_clear_by_kind_and_state(void **state)
{
    static const struct {
        enum service_state state;
        bool oneshot, wanted, again;
        bool clear[EDGE_KIND_COUNT], going;
    } all[] = {
        {SERVICE_DOWN, false, false, false, {false, true, true}, true},
        {SERVICE_PENDING, false, true, false, {false, false, false}, false},
        {SERVICE_STARTING, false, true, false, {false, false, false}, false},
        {SERVICE_RUNNING, false, true, false, {true, true, true}, false},
        {SERVICE_RUNNING, false, true, true, {false, false, false}, true},
        {SERVICE_RUNNING, false, false, false, {false, true, true}, true},
        {SERVICE_DONE, false, true, false, {false, true, true}, false},
        {SERVICE_DONE, true, true, false, {true, true, true}, false},
        {SERVICE_DONE, true, true, true, {false, false, false}, true},
        {SERVICE_STOPPING, false, true, false, {false, false, false}, false},
        {SERVICE_STOPPING, false, false, false, {false, true, true}, true},
        {SERVICE_KILLING, false, true, false, {false, false, false}, false},
        {SERVICE_STUCK, false, true, false, {false, false, false}, false},
        {SERVICE_BACKOFF, false, true, false, {false, false, false}, false},
        {SERVICE_FAILED, false, true, false, {false, true, true}, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        for (int kind = 0; kind < EDGE_KIND_COUNT; kind++) {
            struct service *db = add("db", NULL, NULL, NULL);
            struct service *web =
                add("web", kind == EDGE_REQUIRES ? "db" : NULL, kind == EDGE_WANTS ? "db" : NULL,
                    kind == EDGE_AFTER ? "db" : NULL);
            link_all();
            db->conf->type = all[i].oneshot ? CONF_ONESHOT : CONF_PROCESS;
            put(db, all[i].state);
            db->wanted = all[i].wanted;
            db->again = all[i].again;
            settle(false);
            if (graph_clear(web) != all[i].clear[kind])
                fail_msg("row %zu, kind %d: clear is %d", i, kind, graph_clear(web));
            if (web->going != (kind == EDGE_REQUIRES && all[i].going))
                fail_msg("row %zu, kind %d: going is %d", i, kind, web->going);
            graph_free(&g);
        }
}

static void test_clear_needs_its_own_wish(void **state)
{
    struct service *web = add("web", NULL, NULL, NULL);

    (void)state;
    link_all();
    settle(false);
    assert_true(graph_clear(web));
    settle(true);
    assert_false(graph_clear(web));
    web->again = true;
    settle(false);
    assert_false(graph_clear(web));
    web->again = web->wanted = false;
    settle(false);
    assert_false(graph_clear(web));
}

/* top requires left and right, both require base. */
static void test_diamond(void **state)
{
    struct service *base = add("base", NULL, NULL, NULL), *left = add("left", "base", NULL, NULL);
    struct service *right = add("right", "base", NULL, NULL);
    struct service *top = add("top", "left right", NULL, NULL);

    (void)state;
    link_all();
    put(base, SERVICE_RUNNING);
    put(left, SERVICE_RUNNING);
    settle(false);
    assert_true(graph_clear(right));
    assert_false(graph_clear(top));
    put(right, SERVICE_RUNNING);
    put(top, SERVICE_RUNNING);
    base->wanted = false;
    settle(false);
    assert_true(base->going && left->going && right->going && top->going);
    assert_true(graph_quiet(top));
    assert_false(graph_quiet(left) || graph_quiet(right) || graph_quiet(base));
    put(top, SERVICE_STOPPING);
    assert_false(graph_quiet(left));
    put(top, SERVICE_PENDING);
    assert_true(graph_quiet(left) && graph_quiet(right));
    put(left, SERVICE_PENDING);
    assert_false(graph_quiet(base));
    put(right, SERVICE_PENDING);
    assert_true(graph_quiet(base));
}

/* What still stands in the way of db's stop, when web has to go with it. */
static void test_quiet_by_state(void **state)
{
    static const bool holds[SERVICE_STATE_COUNT] = {
        [SERVICE_STARTING] = true, [SERVICE_RUNNING] = true, [SERVICE_STOPPING] = true,
        [SERVICE_KILLING] = true,  [SERVICE_DONE] = true,
    };
    struct service *db = add("db", NULL, NULL, NULL), *web = add("web", "db", NULL, NULL);

    (void)state;
    link_all();
    put(db, SERVICE_RUNNING);
    for (int i = 0; i < SERVICE_STATE_COUNT; i++) {
        put(web, (enum service_state)i);
        db->wanted = true;
        settle(false);
        assert_false(graph_quiet(db));
        db->wanted = false;
        settle(false);
        assert_int_equal(graph_quiet(db), !holds[i]);
    }
}

/* Only order, no shared fate: a dependent that stays does not hold. */
static void test_wants_does_not_hold(void **state)
{
    struct service *db = add("db", NULL, NULL, NULL), *web = add("web", NULL, "db", NULL);

    (void)state;
    link_all();
    put(db, SERVICE_RUNNING);
    put(web, SERVICE_RUNNING);
    db->wanted = false;
    settle(false);
    assert_true(graph_quiet(db));
    assert_false(web->going);
    settle(true);
    assert_true(web->going);
    assert_false(graph_quiet(db));
}

/* Whoever only wants a service whose requirement gave up does not wait for it for ever. */
static void test_hopeless(void **state)
{
    struct service *db = add("db", NULL, NULL, NULL), *cache = add("cache", "db", NULL, NULL);
    struct service *web = add("web", NULL, "cache", NULL);

    (void)state;
    link_all();
    put(cache, SERVICE_PENDING);
    settle(false);
    assert_false(graph_clear(web));
    put(db, SERVICE_FAILED);
    settle(false);
    assert_true(graph_clear(web));
    assert_false(graph_clear(cache));
    put(db, SERVICE_BACKOFF);
    settle(false);
    assert_false(graph_clear(web));
}

static void test_blocker(void **state)
{
    struct service *db = add("db", NULL, NULL, NULL), *cache = add("cache", NULL, NULL, NULL);
    struct service *web = add("web", "db", "cache", NULL);
    bool failed = true;

    (void)state;
    link_all();
    settle(false);
    assert_ptr_equal(graph_blocker(web, &failed), db);
    assert_false(failed);
    put(db, SERVICE_RUNNING);
    settle(false);
    assert_ptr_equal(graph_blocker(web, &failed), cache);
    assert_false(failed);
    put(db, SERVICE_FAILED);
    settle(false);
    assert_ptr_equal(graph_blocker(web, &failed), db);
    assert_true(failed);
    put(db, SERVICE_RUNNING);
    put(cache, SERVICE_FAILED);
    settle(false);
    assert_null(graph_blocker(web, &failed));
    assert_false(failed);
}

/* Also where what it needs only waits in vain itself. */
static void test_blocker_that_waits_in_vain(void **state)
{
    struct service *db = add("db", NULL, NULL, NULL), *api = add("api", "db", NULL, NULL);
    struct service *web = add("web", "api", NULL, NULL);
    bool failed = false;

    (void)state;
    link_all();
    put(db, SERVICE_FAILED);
    put(api, SERVICE_PENDING);
    settle(false);
    assert_ptr_equal(graph_blocker(web, &failed), api);
    assert_true(failed);
}

static void test_blocker_is_the_predecessor(void **state)
{
    struct service *old = add("web", NULL, NULL, NULL), *new;
    bool failed = true;

    (void)state;
    link_all();
    old->doomed = true;
    old->wanted = false;
    new = add("web", NULL, NULL, NULL);
    link_all();
    settle(false);
    assert_ptr_equal(graph_blocker(new, &failed), old);
    assert_false(failed);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_add_and_find),
        TEST(test_slots_are_used_again),
        TEST(test_edges),
        TEST(test_remove),
        TEST(test_link_follows_the_waiting_conf),
        TEST(test_predecessor),
        TEST(test_two_predecessors),
        TEST(test_doomed_keeps_its_edges),
        TEST(test_link_without_memory),
        TEST(test_add_without_memory),
        TEST(test_clear_by_kind_and_state),
        TEST(test_clear_needs_its_own_wish),
        TEST(test_diamond),
        TEST(test_quiet_by_state),
        TEST(test_wants_does_not_hold),
        TEST(test_hopeless),
        TEST(test_blocker),
        TEST(test_blocker_that_waits_in_vain),
        TEST(test_blocker_is_the_predecessor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
