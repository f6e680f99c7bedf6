/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/choose.h"

#include <limits.h>

void choose_release(struct choose *choose)
{
	free((void *)choose->choice.pids);
	free((void *)choose->choice.exes);
	free((void *)choose->choice.fds);
	free((void *)choose->choice.flows);
	free((void *)choose->choice.ports);
	memset(&choose->choice, 0, sizeof choose->choice);
}

/* The array with room for one more. */
static void *grow(const void *array, size_t n, size_t size)
{
	void *grown = realloc((void *)array, (n + 1) * size);

	if (!grown)
		cli_die(CLI_REFUSED, "out of memory");
	return grown;
}

static bool digits(const char **text, size_t n, int64_t *value)
{
	*value = 0;
	for (; n > 0; n--, ++*text) {
		if (**text < '0' || **text > '9')
			return false;
		*value = *value * 10 + (**text - '0');
	}
	return true;
}

static bool literal(const char **text, const char *allowed)
{
	return **text && strchr(allowed, *(*text)++);
}

/* Days since 1970-01-01 of a date of the Gregorian calendar, years 1970 and later. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	/* Years that begin in March put the leap day last. */
	int64_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool date_is_sound(int64_t year, int64_t month, int64_t day)
{
	static const int8_t length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return year >= 1970 && year <= 2500 && month >= 1 && month <= 12 && day >= 1 &&
	       day <= length[month - 1] + (month == 2 && leap);
}

/* RFC 3339, 5.6: 2026-11-20T08:00:00.123456789Z, or with +01:00 for the Z. */
static bool parse_rfc3339(const char *text, uint64_t *ns)
{
	int64_t year, month, day, hour, minute, second, east_hours = 0, east_minutes = 0, seconds;
	uint64_t fraction = 0;
	int sign = 1;

	if (!digits(&text, 4, &year) || !literal(&text, "-") || !digits(&text, 2, &month) || !literal(&text, "-") ||
	    !digits(&text, 2, &day) || !literal(&text, "Tt ") || !digits(&text, 2, &hour) || !literal(&text, ":") ||
	    !digits(&text, 2, &minute) || !literal(&text, ":") || !digits(&text, 2, &second))
		return false;
	if (*text == '.') {
		uint64_t unit = 100000000;

		text++;
		if (*text < '0' || *text > '9')
			return false;
		for (; *text >= '0' && *text <= '9'; text++, unit /= 10)
			fraction += unit * (uint64_t)(*text - '0');
	}
	if (*text == '+' || *text == '-') {
		sign = *text++ == '-' ? -1 : 1;
		if (!digits(&text, 2, &east_hours) || !literal(&text, ":") || !digits(&text, 2, &east_minutes))
			return false;
	} else if (!literal(&text, "Zz")) {
		return false;
	}
	if (*text || !date_is_sound(year, month, day) || hour > 23 || minute > 59 || second > 60 || east_hours > 23 ||
	    east_minutes > 59)
		return false;
	seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
	          sign * (east_hours * 3600 + east_minutes * 60);
	if (seconds < 0)
		return false;
	*ns = (uint64_t)seconds * 1000000000 + fraction;
	return true;
}

static struct player_time parse_time(const struct cli *cli)
{
	struct player_time time = {.kind = PLAYER_TIME_WALL};

	if (cli->value[0] == '+') {
		struct cli behind = *cli;

		behind.value++;
		time.kind = PLAYER_TIME_FROM_START;
		time.ns = cli_duration(&behind, UINT64_C(10) * 365 * 86400 * 1000000000);
	} else if (!parse_rfc3339(cli->value, &time.ns)) {
		cli_die(CLI_USAGE,
		        "option '%s' takes a time such as 2026-11-20T08:00:00Z, or +SECONDS from the start, not '%s'",
		        cli->spelt, cli->value);
	}
	return time;
}

int choose_option(struct choose *choose, const struct cli *cli, int key)
{
	struct player_choice *c = &choose->choice;
	uint32_t *pids;
	const char **exes;
	int32_t *fds;
	uint64_t *flows;
	uint16_t *ports;

	switch (key) {
	case CHOOSE_PID:
		c->pids = pids = grow(c->pids, c->n_pids, sizeof *pids);
		pids[c->n_pids++] = (uint32_t)cli_number(cli, 1, INT32_MAX);
		return 1;
	case CHOOSE_EXE:
		c->exes = exes = grow(c->exes, c->n_exes, sizeof *exes);
		exes[c->n_exes++] = cli->value;
		return 1;
	case CHOOSE_FD:
		c->fds = fds = grow(c->fds, c->n_fds, sizeof *fds);
		fds[c->n_fds++] = (int32_t)cli_number(cli, 0, INT32_MAX);
		return 1;
	case CHOOSE_FLOW:
		c->flows = flows = grow(c->flows, c->n_flows, sizeof *flows);
		flows[c->n_flows++] = cli_number(cli, 1, UINT64_MAX);
		return 1;
	case CHOOSE_PORT:
		c->ports = ports = grow(c->ports, c->n_ports, sizeof *ports);
		ports[c->n_ports++] = (uint16_t)cli_number(cli, 1, UINT16_MAX);
		return 1;
	case CHOOSE_SINCE:
		c->since = parse_time(cli);
		return 1;
	case CHOOSE_UNTIL:
		c->until = parse_time(cli);
		return 1;
	default:
		return 0;
	}
}
