/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* The probes, one object so that they share their maps: each header is one subject. */
#include "bpf/boringssl.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
