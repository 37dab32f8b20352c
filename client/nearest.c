#include "client/nearest.h"

#include <stdbool.h>
#include <string.h>

enum { LONGEST = 64 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t nearest_distance(const char *a, const char *b)
{
    size_t n = strnlen(b, LONGEST), rows[3][LONGEST + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= n; j++)
        last[j] = before[j] = j;
    for (size_t i = 1; i <= strnlen(a, LONGEST); i++) {
        size_t *oldest = before;
        now[0] = i;
        for (size_t j = 1; j <= n; j++) {
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
        now = oldest;
    }
    return last[n];
}

const char *nearest(const char *written, const char *const *names, size_t n)
{
    size_t length = strlen(written), limit = length / 3 > 2 ? length / 3 : 2, best = limit + 1;
    const char *found = NULL;

    for (size_t i = 0; i < n; i++) {
        bool begins = length > 1 && strncmp(written, names[i], length) == 0;
        size_t distance = begins ? 0 : nearest_distance(written, names[i]);
        if (distance < best && distance < length && distance < strlen(names[i])) {
            best = distance;
            found = names[i];
        }
    }
    return found;
}
