/* What the two halves of the engine share: engine_life.c has the table, engine.c the whole. */
#ifndef TEND_ENGINE_LIFE_H
#define TEND_ENGINE_LIFE_H

#include "tend/engine.h"

/* Leaves an action (a set of enum service_action) on the service. */
void engine_want(struct engine *, struct service *, unsigned action);
/* Its levels and those of its neighbours are to be looked at anew. */
void engine_touch(struct engine *, struct service *);

#endif
