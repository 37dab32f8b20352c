/* What the two ends of pack.h share. A message is PACK_MAGIC, a kind, and either the supervisor's
 * keys and what is none of them, a count and confs, or a list of lines. Numbers are as in memory; a
 * string is its length and its bytes; a list is a count and its strings; a conf is its fields in
 * the order of conf_keys, then what is no key. The magic changes whenever that order does. */
#ifndef TEND_PACK_FORMAT_H
#define TEND_PACK_FORMAT_H

#include <stdint.h>

enum { PACK_MAGIC = 0x33444e54, PACK_SET = 1, PACK_PROBLEMS = 2 };

/* The length of a string that is NULL. */
enum { PACK_NO_STRING = UINT32_MAX };

#endif
