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
    return sizeof(struct persist_undo) + slots * sizeof(struct persist_record);
}

static void *map_new(const struct store *s, size_t n)
{
    return mmap(NULL, bytes(n), PROT_READ | PROT_WRITE,
                s->fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, s->fd, 0);
}

int store_grow(struct store *s, size_t n)
{
    struct persist_area *a = &s->area;
    void *at;

    if (n <= a->n)
        return 0;
    if (s->fd >= 0 && ftruncate(s->fd, (off_t)bytes(n)))
        return -1;
    at = a->undo ? mremap(a->undo, bytes(a->n), bytes(n), MREMAP_MAYMOVE) : map_new(s, n);
    if (at == MAP_FAILED)
        return -1;
    *a = (struct persist_area){.undo = at, .n = n};
    a->at = (struct persist_record *)(a->undo + 1);
    return 0;
}

void store_close(struct store *s)
{
    if (s->area.undo)
        munmap(s->area.undo, bytes(s->area.n));
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct store){.fd = -1};
}
