/* Any bytes as a request: one that holds only names that could be names, or one line of printable
 * ASCII that says why not. */
#include "tend/conf.h"
#include "tend/request.h"

#include "driver.h"

#ifndef LIBFUZZER
const char *const fuzz_words[] = {
    "status", "start",   "reload-service", "signal",  "wait",    "plan",  "why",   "events",
    "help",   "history", "shutdown",       "signal=", "to=",     "group", "main",  "for=",
    "ready",  "down",    "after=",         "follow",  "now",     " ",     "\t",    "\r",
    "web",    "RTMIN+1", "deadline=",      "1m30s",   "follow=", "=",     "\\x20", NULL};

static void fuzz_seeds(void)
{
    static const char *const examples[] = {
        "wait for=down web db",  "signal signal=RTMIN+1 to=group web",
        "events after=7 follow", "shutdown now deadline=1m30s",
        "status web db cache\r", ""};

    for (int i = 0; i < REQUEST_VERB_COUNT; i++) {
        const char *usage = request_usage((enum request_verb)i);
        driver_add(usage, strlen(usage));
    }
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
        driver_add(examples[i], strlen(examples[i]));
}
#endif

static void check_request(const struct request *r, const char *line, size_t n)
{
    const char *name = r->names;

    FUZZ_ASSERT(r->verb < REQUEST_VERB_COUNT && r->goal < REQUEST_GOAL_COUNT);
    FUZZ_ASSERT((r->n_names == 0) == (r->names == NULL));
    FUZZ_ASSERT(r->deadline > 0);
    for (unsigned i = 0; i < r->n_names; i++, name = request_next_name(name)) {
        FUZZ_ASSERT(name > line && name < line + n);
        FUZZ_ASSERT(conf_name_valid(name) && name + strlen(name) <= line + n);
    }
}

static void check_error(const struct text *error)
{
    static const char begin[] = "error code=usage text=";

    FUZZ_ASSERT(error->n > sizeof begin && error->n < error->size - 1);
    FUZZ_ASSERT(!memcmp(error->at, begin, sizeof begin - 1));
    FUZZ_ASSERT(error->at[error->n - 1] == '\n' && error->at[error->n] == '\0');
    for (size_t i = 0; i + 1 < error->n; i++)
        FUZZ_ASSERT(error->at[i] >= ' ' && error->at[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char reply[REQUEST_ERROR_MAX] = "", *line = malloc(size + 1); /* no more, for a sanitizer */
    struct text error = {reply, 0, sizeof reply};
    struct request r;

    FUZZ_ASSERT(line != NULL);
    if (size > 0)
        memcpy(line, data, size);
    line[size] = '\n';
    if (request_parse(line, size, &r, &error)) {
        check_request(&r, line, size);
        FUZZ_ASSERT(error.n == 0);
    } else {
        check_error(&error);
    }
    free(line);
    return 0;
}
