/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/selection.h"

#include <string.h>

/* One character of the path against [...]; *pattern stands behind '[', and is moved behind ']'. */
static bool in_set(const char **pattern, char c)
{
	const char *p = *pattern;
	bool not = *p == '!' || *p == '^', found = false, first = true;

	for (p += not ; *p && (*p != ']' || first); p++, first = false) {
		char low = *p, high = low;

		if (p[1] == '-' && p[2] && p[2] != ']') {
			high = p[2];
			p += 2;
		}
		found |= c >= low && c <= high;
	}
	*pattern = *p ? p + 1 : p;
	return found != not ;
}

/* Where a `*` fails, only the last one need be tried again: what came before it has matched as early as it can. */
bool choice_pattern_matches(const char *pattern, const char *path)
{
	const char *again = NULL, *from = NULL;

	while (*path) {
		const char *next = pattern + 1;
		bool same;

		if (*pattern == '*') {
			again = next;
			from = path;
			pattern = next;
			continue;
		}
		same = *pattern == '?' || *pattern == *path;
		if (*pattern == '[')
			same = in_set(&next, *path);
		if (*pattern && same) {
			pattern = next;
			path++;
		} else if (again) {
			pattern = again;
			path = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

bool choice_matches(const struct choice *c, const struct procfs_process *p)
{
	bool exe = !c->n_exes, comm = !c->n_comms;

	for (size_t i = 0; i < c->n_exes; i++)
		exe |= choice_pattern_matches(c->exe[i], p->exe);
	for (size_t i = 0; i < c->n_comms; i++)
		comm |= strncmp(c->comm[i], p->comm, sizeof p->comm) == 0;
	return exe && comm;
}
