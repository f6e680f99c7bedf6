/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_PLACES_H
#define FORMAT_PLACES_H

/* Where an input's sections are, found without reading what is in them. Needs an input that gives bytes anywhere. */
#include "format/totals.h"
#include "format/window.h"

#define PLACES_MAX 65536u

struct place {
	uint64_t begin; /* of the section in the input */
	uint64_t end;   /* behind its footer; without one, where sound headers end */
	bool footer;
	uint64_t index; /* offset in the section of its last INDEX; 0: none */
	/* As the footer says; without one, as the last INDEX does. */
	struct fdtape_totals totals;
};

struct places {
	struct place *place; /* in the order of the input */
	size_t n;
	size_t cap;
	bool whole; /* they make up the input, each with its footer */
};

/* 0, or an error of the source, or FDTAPE_ERR_MEMORY. */
int places_find(struct places *p, const struct window *in);
void places_release(struct places *p);

#endif
