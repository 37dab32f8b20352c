/* The dependencies as a tree: what is depended on at the root, dependents below it. */
#ifndef TEND_CHECK_TREE_H
#define TEND_CHECK_TREE_H

#include "tend/check_plan.h"

enum { CHECK_WIDTH = 80 };

/* Prints it; with lines of UTF-8, or of ASCII. A service that hangs below several is shown in full
 * once and else as "(above)"; what gets too deep for the width is "(below)", at a root of its own.
 * -1 with ENOMEM and nothing printed. */
int check_tree(const struct check_plan *, bool utf8);

#endif
