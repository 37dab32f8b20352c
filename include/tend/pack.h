/* Configs to bytes and back: from the loading child to PID 1, and over a re-exec.
 *
 * Pure. Decoding is total: any bytes whatever give a valid set or an error, never a crash, an
 * unbounded allocation or a half-made set. Both ends are the same binary, so the format has a
 * version only to refuse another. */
#ifndef TEND_PACK_H
#define TEND_PACK_H

#include "tend/conf.h"

/* Bytes owned by their holder; free(data). */
struct pack {
    unsigned char *data;
    size_t size, room;
};

/* Encode, behind what *out holds; 0, or -1 with ENOMEM and the content of *out as it was. */
int pack_set(const struct conf_set *, struct pack *out);
int pack_problems(char *const *lines, struct pack *out);

/* Decode into either a new set (and *problems NULL) or a new NULL-terminated list of lines (and
 * *set NULL); each conf is one allocation and passes the same rules as a written one. -1 with
 * EBADMSG or ENOMEM and both untouched. */
int pack_read(const void *data, size_t size, struct conf_set **set, char ***problems);

#endif
