#include "tend/store.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

bool store_open(struct store *s)
{
    *s = (struct store){.fd = memfd_create("tend", MFD_CLOEXEC)};
    return s->fd >= 0;
}

static size_t bytes(size_t slots)
{
    return slots * sizeof(struct persist_slot);
}

static void *map_new(const struct store *s, size_t n)
{
    return mmap(NULL, bytes(n), PROT_READ | PROT_WRITE,
                s->fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, s->fd, 0);
}

int store_grow(struct store *s, size_t n)
{
    void *at;

    if (n <= s->room)
        return 0;
    if (s->fd >= 0 && ftruncate(s->fd, (off_t)bytes(n)))
        return -1;
    at = s->slots ? mremap(s->slots, bytes(s->room), bytes(n), MREMAP_MAYMOVE) : map_new(s, n);
    if (at == MAP_FAILED)
        return -1;
    s->slots = at;
    s->room = n;
    return 0;
}

void store_close(struct store *s)
{
    if (s->slots)
        munmap(s->slots, bytes(s->room));
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct store){.fd = -1};
}
