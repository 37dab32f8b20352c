/* What drives a fuzzer without libFuzzer, so that it runs with any compiler in `make test`:
 *
 *     fuzz_x [-runs=N] [-seed=N] [FOLDER...]
 *
 * as with libFuzzer: mutates its corpus and what lies in FOLDER, the same way for the same seed. A
 * fuzzer defines fuzz_words (a NULL-terminated dictionary) and fuzz_seeds (adds its corpus by
 * driver_add or driver_add_folder). With -DLIBFUZZER only LLVMFuzzerTestOneInput is left. */
#ifndef TEND_TESTS_FUZZ_DRIVER_H
#define TEND_TESTS_FUZZ_DRIVER_H

#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Holds in release builds too. */
#define FUZZ_ASSERT(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#ifndef LIBFUZZER

enum { DRIVER_INPUTS = 256, DRIVER_SIZE = 8192 };

static struct {
    uint8_t *data;
    size_t size;
} driver_inputs[DRIVER_INPUTS];
static size_t driver_n;
static uint64_t driver_random = 1;
static volatile long driver_run;
static unsigned long driver_seed = 1;

static void fuzz_seeds(void);
extern const char *const fuzz_words[];

static void driver_add(const void *data, size_t size)
{
    if (driver_n == DRIVER_INPUTS || size > DRIVER_SIZE / 2)
        return;
    driver_inputs[driver_n].data = malloc(size + 1);
    if (driver_inputs[driver_n].data == NULL)
        abort();
    memcpy(driver_inputs[driver_n].data, data, size);
    driver_inputs[driver_n++].size = size;
}

static int driver_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void driver_add_folder(const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, driver_visible, alphasort);

    for (int i = 0; i < n; i++) {
        char path[512], data[DRIVER_SIZE];
        FILE *file;
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        file = fopen(path, "r");
        if (file != NULL) {
            driver_add(data, fread(data, 1, sizeof(data), file));
            fclose(file);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

static size_t driver_below(size_t n)
{
    driver_random ^= driver_random << 13;
    driver_random ^= driver_random >> 7;
    driver_random ^= driver_random << 17;
    return n == 0 ? 0 : (size_t)(driver_random >> 11) % n;
}

static size_t driver_insert(uint8_t *data, size_t size, const void *part, size_t n)
{
    size_t at = driver_below(size + 1);

    if (size + n > DRIVER_SIZE)
        return size;
    memmove(data + at + n, data + at, size - at);
    memcpy(data + at, part, n);
    return size + n;
}

static size_t driver_cut(uint8_t *data, size_t size)
{
    size_t at = driver_below(size), n = driver_below(size - at) + 1;

    if (driver_below(4) != 0)
        n = n > 8 ? 8 : n;
    memmove(data + at, data + at + n, size - at - n);
    return size - n;
}

/* A part of any input, this one included, put in somewhere. */
static size_t driver_splice(uint8_t *data, size_t size)
{
    size_t i = driver_below(driver_n), at = driver_below(driver_inputs[i].size),
           n = driver_below(driver_inputs[i].size - at + 1);

    return driver_insert(data, size, driver_inputs[i].data + at, n);
}

static size_t driver_mutate(uint8_t *data, size_t size)
{
    size_t words = 0, i = driver_below(size);

    while (fuzz_words[words] != NULL)
        words++;
    switch (driver_below(8)) {
    case 0:
        return size > 0 ? driver_cut(data, size) : size;
    case 1:
        return driver_splice(data, size);
    case 2:
    case 3:
        if (words > 0) {
            const char *word = fuzz_words[driver_below(words)];
            return driver_insert(data, size, word, strlen(word));
        }
        break;
    case 4:
        if (size > 0)
            data[i] = (uint8_t)driver_below(256);
        return size;
    case 5:
        if (size >= i + 4)
            memset(data + i, driver_below(2) ? 0xff : 0, 4);
        return size;
    case 6:
        if (size > 0)
            data[i] = (uint8_t)(data[i] + (driver_below(2) ? 1 : -1));
        return size;
    default:
        break;
    }
    if (size > 0)
        data[i] ^= (uint8_t)(1 << driver_below(8));
    return size;
}

static void driver_died(int number)
{
    char text[80];
    /* NOLINTNEXTLINE(bugprone-signal-handler): the process dies here anyway. */
    int n = snprintf(text, sizeof(text), "died of signal %d: seed %lu, run %ld\n", number,
                     driver_seed, driver_run);

    if (write(2, text, (size_t)n) < 0)
        _exit(1);
    signal(number, SIG_DFL);
    raise(number);
}

static long driver_arguments(char **argv)
{
    long runs = 100000;

    for (argv++; *argv != NULL; argv++) {
        if (strncmp(*argv, "-runs=", 6) == 0)
            runs = strtol(*argv + 6, NULL, 10);
        else if (strncmp(*argv, "-seed=", 6) == 0)
            driver_seed = strtoul(*argv + 6, NULL, 10);
        else if (**argv != '-')
            driver_add_folder(*argv);
    }
    return runs;
}

int main(int argc, char **argv)
{
    static uint8_t data[DRIVER_SIZE];
    long runs = argc > 0 ? driver_arguments(argv) : 0;

    driver_random = driver_seed * 2654435769u + 1;
    signal(SIGABRT, driver_died);
    signal(SIGSEGV, driver_died);
    fuzz_seeds();
    if (driver_n == 0) {
        fprintf(stderr, "%s: no corpus: run it in the top folder\n", argv[0]);
        return 1;
    }
    for (size_t i = 0; i < driver_n; i++)
        LLVMFuzzerTestOneInput(driver_inputs[i].data, driver_inputs[i].size);
    for (driver_run = 1; driver_run <= runs; driver_run++) {
        size_t i = driver_below(driver_n), size = driver_inputs[i].size;
        memcpy(data, driver_inputs[i].data, size);
        for (size_t times = driver_below(6) + 1; times > 0; times--)
            size = driver_mutate(data, size);
        LLVMFuzzerTestOneInput(data, size);
    }
    for (size_t i = 0; i < driver_n; i++)
        free(driver_inputs[i].data);
    printf("%s: %ld runs of seed %lu over %zu inputs\n", argv[0], runs, driver_seed, driver_n);
    return 0;
}

#endif
#endif
