/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CHECK_H
#define CHECK_H

#include "record/options.h"

/* --check: what this kernel and these privileges allow, one line each on standard output. The exit status: 0, a
 * recording as chosen is possible; 1, it is not. */
int check_system(const struct options *options);

#endif
