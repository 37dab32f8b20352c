#include "sim.h"

void rng_seed(struct rng *r, uint64_t seed)
{
    r->state = seed * 0x9e3779b97f4a7c15u + 1;
}

/* splitmix64 */
static uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

unsigned rng_below(struct rng *r, unsigned n)
{
    return (unsigned)((rng_next(r) >> 32) * n >> 32);
}

bool rng_chance(struct rng *r, unsigned in, unsigned of)
{
    return rng_below(r, of) < in;
}

msec rng_time(struct rng *r, msec low, msec high)
{
    return low + (msec)rng_below(r, (unsigned)(high - low) + 1);
}
