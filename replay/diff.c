/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Lines that both texts begin and end with are set aside. Between them, the shortest script of deletions and insertions
 * is found by Myers' greedy algorithm ("An O(ND) Difference Algorithm and Its Variations", 1986): after d edits, v[k] is
 * how far the old text was gone through on diagonal k, and the v of each d is kept to walk back. Texts that have hardly
 * anything in common are not worth it: beyond EDITS_MAX, all of the old lines are replaced by all of the new.
 */
#include "replay/diff.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum {
	EDITS_MAX = 2000,
	CONTEXT = 3
};

struct line {
	const char *bytes;
	size_t len;
};

struct lines {
	struct line *line;
	size_t n;
};

/* One line of the result. */
struct edit {
	char sign; /* ' ', '-', '+' */
	size_t old, new;
};

static int split(struct lines *lines, const struct diff_text *text)
{
	const char *p = text->bytes, *end = p + text->len, *next;
	size_t n = 0;

	for (const char *q = p; q < end; q++)
		n += *q == '\n';
	lines->line = calloc(n + 1, sizeof *lines->line);
	lines->n = 0;
	if (!lines->line)
		return -1;
	for (; p < end; p = next) {
		next = memchr(p, '\n', (size_t)(end - p));
		next = next ? next + 1 : end;
		lines->line[lines->n++] = (struct line){p, (size_t)(next - p)};
	}
	return 0;
}

static bool same(const struct line *a, const struct line *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* The edits that make b of a, both without their common ends; *n of them, into edits, which has room. -1: no memory. */
static int shortest(const struct line *a, size_t n_a, const struct line *b, size_t n_b, struct edit *edits, size_t *n)
{
	size_t most = n_a + n_b < EDITS_MAX ? n_a + n_b : EDITS_MAX, d, last;
	int64_t **trace = calloc(most + 1, sizeof(int64_t *)), k, x, y, before;
	bool found = false;
	int result = -1;

	if (!trace)
		return -1;
	/* trace[d][d + k] is v[k] after d edits, k = -d .. d. */
	for (d = 0; d <= most && !found; d++) {
		trace[d] = malloc((2 * d + 1) * sizeof **trace);
		if (!trace[d])
			goto done;
		for (k = -(int64_t)d; k <= (int64_t)d; k += 2) {
			const int64_t *v = d ? trace[d - 1] + (d - 1) : NULL;

			if (d == 0)
				x = 0;
			else if (k == -(int64_t)d || (k != (int64_t)d && v[k - 1] < v[k + 1]))
				x = v[k + 1];
			else
				x = v[k - 1] + 1;
			while (x < (int64_t)n_a && x - k < (int64_t)n_b && same(&a[x], &b[x - k]))
				x++;
			trace[d][(int64_t)d + k] = x;
			if (x >= (int64_t)n_a && x - k >= (int64_t)n_b) {
				found = true;
				break;
			}
		}
	}
	*n = 0;
	if (!found) {
		for (size_t i = 0; i < n_a; i++)
			edits[(*n)++] = (struct edit){'-', i, 0};
		for (size_t i = 0; i < n_b; i++)
			edits[(*n)++] = (struct edit){'+', n_a, i};
		result = 0;
		goto done;
	}
	/* Walk back from the end, then turn the order around. */
	x = (int64_t)n_a;
	y = (int64_t)n_b;
	for (last = d - 1; last > 0; last--) {
		const int64_t *v = trace[last - 1] + (last - 1);
		bool down;

		k = x - y;
		down = k == -(int64_t)last || (k != (int64_t)last && v[k - 1] < v[k + 1]);
		before = v[down ? k + 1 : k - 1];
		while (x > (down ? before : before + 1)) {
			x--;
			y--;
			edits[(*n)++] = (struct edit){' ', (size_t)x, (size_t)y};
		}
		if (down)
			edits[(*n)++] = (struct edit){'+', (size_t)x, (size_t)--y};
		else
			edits[(*n)++] = (struct edit){'-', (size_t)--x, (size_t)y};
	}
	while (x > 0) {
		x--;
		y--;
		edits[(*n)++] = (struct edit){' ', (size_t)x, (size_t)y};
	}
	for (size_t i = 0, j = *n; i + 1 < j; i++) {
		struct edit swap = edits[i];

		edits[i] = edits[--j];
		edits[j] = swap;
	}
	result = 0;
done:
	for (d = 0; d <= most; d++)
		free(trace[d]);
	free(trace);
	return result;
}

static void put_line(FILE *out, char sign, const struct line *line)
{
	bool ended = line->len > 0 && line->bytes[line->len - 1] == '\n';

	fputc(sign, out);
	cli_put_text(out, line->bytes, line->len - ended);
	fputs(ended ? "\n" : "\n\\ no line feed at the end\n", out);
}

static void put_range(FILE *out, char sign, size_t from, size_t n)
{
	fprintf(out, "%c%zu", sign, n ? from + 1 : from);
	if (n != 1)
		fprintf(out, ",%zu", n);
}

/* Prints the edits in hunks, each with some lines around it. */
static void put_hunks(FILE *out, const struct lines *a, const struct lines *b, const struct edit *edits, size_t n)
{
	size_t i = 0, from, to, quiet;

	while (i < n) {
		size_t n_old = 0, n_new = 0;

		while (i < n && edits[i].sign == ' ')
			i++;
		if (i == n)
			break;
		from = i > CONTEXT ? i - CONTEXT : 0;
		for (to = i, quiet = 0; to < n && quiet <= (size_t)2 * CONTEXT; to++)
			quiet = edits[to].sign == ' ' ? quiet + 1 : 0;
		to -= quiet > CONTEXT ? quiet - CONTEXT : 0;
		for (size_t j = from; j < to; j++) {
			n_old += edits[j].sign != '+';
			n_new += edits[j].sign != '-';
		}
		fputs("@@ ", out);
		put_range(out, '-', edits[from].old, n_old);
		fputc(' ', out);
		put_range(out, '+', edits[from].new, n_new);
		fputs(" @@\n", out);
		for (size_t j = from; j < to; j++)
			put_line(out, edits[j].sign,
			         edits[j].sign == '+' ? &b->line[edits[j].new] : &a->line[edits[j].old]);
		i = to;
	}
}

int diff_print(FILE *out, const struct diff_text *old, const struct diff_text *new)
{
	struct lines a = {0}, b = {0};
	struct edit *edits = NULL;
	size_t head = 0, tail = 0, n = 0, middle = 0;
	int result = -1;

	if (old->len == new->len && memcmp(old->bytes, new->bytes, old->len) == 0)
		return 0;
	if (split(&a, old) < 0 || split(&b, new) < 0)
		goto done;
	while (head < a.n && head < b.n && same(&a.line[head], &b.line[head]))
		head++;
	while (tail < a.n - head && tail < b.n - head && same(&a.line[a.n - 1 - tail], &b.line[b.n - 1 - tail]))
		tail++;
	edits = calloc(a.n + b.n + 1, sizeof *edits);
	if (!edits)
		goto done;
	for (; n < head; n++)
		edits[n] = (struct edit){' ', n, n};
	if (shortest(a.line + head, a.n - head - tail, b.line + head, b.n - head - tail, edits + n, &middle) < 0)
		goto done;
	for (size_t i = 0; i < middle; i++, n++) {
		edits[n].old += head;
		edits[n].new += head;
	}
	for (size_t i = tail; i > 0; i--)
		edits[n++] = (struct edit){' ', a.n - i, b.n - i};
	fputs("--- ", out);
	cli_put_string(out, old->name);
	fputs("\n+++ ", out);
	cli_put_string(out, new->name);
	fputc('\n', out);
	put_hunks(out, &a, &b, edits, n);
	result = 1;
done:
	free(edits);
	free(a.line);
	free(b.line);
	return result;
}
