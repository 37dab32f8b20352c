/* Which of the names that there are somebody may have meant. Pure. */
#ifndef CLIENT_NEAREST_H
#define CLIENT_NEAREST_H

#include <stddef.h>

/* Damerau-Levenshtein with adjacent transpositions (optimal string alignment): how many letters
 * were changed, left out, put in or exchanged with their neighbour. Of words longer than 64 bytes
 * only the beginning counts. */
size_t nearest_distance(const char *a, const char *b);

/* The nearest of n names, the first of several; NULL where none is within a distance of 2, or of a
 * third of the length of what was written where that is more. Nor is one whose every letter would
 * have to be changed. One that begins with what was written is nearest of all. */
const char *nearest(const char *written, const char *const *names, size_t n);

#endif
