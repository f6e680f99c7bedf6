/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/spec.h"

#include <pwd.h>

#include "cli.h"
#include "record/cgroup.h"

static const struct {
	const char *name;
	int bit;
} modules[] = {
        {"socket", MODULE_SOCKET}, {"openssl", MODULE_OPENSSL}, {"tls", MODULE_TLS},
        {"file", MODULE_FILE},     {"process", MODULE_PROCESS},
};
#define N_MODULES (sizeof modules / sizeof *modules)
#define MODULES   "socket, openssl, tls, file, process"

/* Keys that people try, from other tools' specs and from habit. */
static const struct {
	const char *tried, *right;
} wrong_keys[] = {
        {"bin.contains", "exe.contains"},
        {"binary.contains", "exe.contains"},
        {"path.contains", "exe.contains"},
        {"process.contains", "exe.contains"},
        {"name.contains", "exe.contains"},
        {"cmd.contains", "exe.contains"},
        {"bin.glob", "exe.glob"},
        {"path.glob", "exe.glob"},
        {"bin", "exe"},
        {"binary", "exe"},
        {"path", "exe"},
        {"exec", "exe"},
        {"exe.is", "exe"},
        {"exe.equals", "exe"},
        {"name", "comm"},
        {"process", "comm"},
        {"user", "uid"},
        {"tgid", "pid"},
        {"cgroup.path", "cgroup"},
        {"container.id", "container"},
        {"docker", "container"},
        {"module", "mod"},
};
#define KEYS "mod, exe, exe.contains, exe.glob, comm, pid, uid, port, cgroup, container"

/* ---- the executable --------------------------------------------------------------------------------------------- */

/* The pattern with its special characters taken for themselves: each one in brackets. */
static size_t quote(char *to, size_t size, const char *from)
{
	size_t len = 0;

	for (; *from && len + 4 < size; from++) {
		bool special = strchr("*?[", *from);

		len += (size_t)snprintf(to + len, size - len, special ? "[%c]" : "%c", *from);
	}
	return *from ? size : len;
}

/* Takes head, the pattern and tail for one pattern of the executable's path in full. */
static void add_exe(struct options *o, const char *spelt, const char *value, bool literal, const char *head,
                    const char *tail)
{
	char quoted[1024], *to = o->choice.exe[o->choice.n_exes];
	size_t len;

	if (!*value)
		cli_die(CLI_USAGE, "option '%s' takes a part of an executable's path, such as nginx, not nothing",
		        spelt);
	if (o->choice.n_exes == CHOICE_EXES)
		cli_die(CLI_USAGE, "option '%s %s': at most %d executables can be given; one pattern may cover several",
		        spelt, value, CHOICE_EXES);
	len = literal ? quote(quoted, sizeof quoted, value) : strlen(value);
	if (len + strlen(head) + strlen(tail) >= CHOICE_PATTERN_MAX)
		cli_die(CLI_USAGE,
		        "option '%s' takes patterns of up to %d characters, and '%s' makes one of %zu; give its end, "
		        "or a "
		        "pattern",
		        spelt, CHOICE_PATTERN_MAX - 1, value, len + strlen(head) + strlen(tail));
	stpcpy(stpcpy(stpcpy(to, head), literal ? quoted : value), tail);
	o->choice.n_exes++;
}

/* A pattern that does not say where it begins may begin in any folder: nginx* is any path's last part. */
static void add_glob(struct options *o, const char *spelt, const char *value)
{
	add_exe(o, spelt, value, false, *value == '/' || *value == '*' ? "" : "*/", "");
}

void spec_exe(struct options *o, const char *spelt, const char *pattern)
{
	if (strpbrk(pattern, "*?["))
		add_glob(o, spelt, pattern);
	else
		add_exe(o, spelt, pattern, true, "*", "*");
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */

static uint64_t number(const char *spelt, const char *value, uint64_t min, uint64_t max)
{
	struct cli c = {.value = value, .spelt = spelt};

	return cli_number(&c, min, max);
}

__attribute__((noreturn)) static void too_many(const char *spelt, int max, const char *what)
{
	cli_die(CLI_USAGE, "option '%s': at most %d %s can be given", spelt, max, what);
}

static void add_comm(struct options *o, const char *spelt, const char *value)
{
	struct choice *c = &o->choice;

	if (!*value || strlen(value) >= sizeof c->comm[0])
		cli_die(CLI_USAGE,
		        "option '%s' takes a process' name of 1 to %zu bytes, as ps -o comm shows it, not '%s'%s",
		        spelt, sizeof c->comm[0] - 1, value,
		        *value ? "; the kernel cuts longer names: choose by -e" : "");
	if (c->n_comms == CHOICE_COMMS)
		too_many(spelt, CHOICE_COMMS, "names");
	strcpy(c->comm[c->n_comms++], value);
}

static void add_pid(struct options *o, const char *spelt, const char *value)
{
	struct choice *c = &o->choice;

	c->pids = realloc(c->pids, (c->n_pids + 1) * sizeof *c->pids);
	if (!c->pids)
		cli_die(CLI_REFUSED, "no memory");
	c->pids[c->n_pids++] = (pid_t)number(spelt, value, 1, INT32_MAX);
}

static void add_uid(struct options *o, const char *spelt, const char *value)
{
	struct choice *c = &o->choice;
	const struct passwd *user;

	if (c->n_uids == CHOICE_UIDS)
		too_many(spelt, CHOICE_UIDS, "users");
	if (*value >= '0' && *value <= '9') {
		c->uid[c->n_uids++] = (uint32_t)number(spelt, value, 0, UINT32_MAX - 1);
		return;
	}
	user = getpwnam(value);
	if (!user)
		cli_die(CLI_USAGE,
		        "option '%s' takes a number from 0 to %u or the name of a user, and there is no user '%s'",
		        spelt, UINT32_MAX - 1, value);
	c->uid[c->n_uids++] = user->pw_uid;
}

static void add_port(struct options *o, const char *spelt, const char *value)
{
	struct choice *c = &o->choice;

	if (c->n_ports == CHOICE_PORTS)
		too_many(spelt, CHOICE_PORTS, "ports");
	c->port[c->n_ports++] = (uint16_t)number(spelt, value, 1, UINT16_MAX);
}

static struct choice_cgroup *room_for_cgroup(struct options *o, const char *spelt)
{
	if (o->choice.n_cgroups == CHOICE_CGROUPS)
		too_many(spelt, CHOICE_CGROUPS, "cgroups and containers");
	return &o->choice.cgroup[o->choice.n_cgroups++];
}

static void add_cgroup(struct options *o, const char *spelt, const char *value)
{
	char why[CGROUP_WHY];

	if (cgroup_by_path(value, room_for_cgroup(o, spelt), why) != 0)
		cli_die(CLI_USAGE, "option '%s %s': %s", spelt, value, why);
}

static void add_container(struct options *o, const char *spelt, const char *value)
{
	size_t digits = strspn(value, "0123456789abcdef");
	char why[CGROUP_WHY];

	if (digits < CGROUP_ID_MIN || value[digits])
		cli_die(CLI_USAGE,
		        "option '%s' takes a container's id, or its first %d hexadecimal digits or more, as docker ps "
		        "or "
		        "crictl ps shows it, not '%s'",
		        spelt, CGROUP_ID_MIN, value);
	if (cgroup_by_container(value, room_for_cgroup(o, spelt), why) != 0)
		cli_die(CLI_USAGE, "option '%s %s': %s", spelt, value, why);
}

static const struct {
	const char *name;
	void (*add)(struct options *, const char *spelt, const char *value);
} keys[] = {
        {"comm", add_comm}, {"pid", add_pid},       {"uid", add_uid},
        {"port", add_port}, {"cgroup", add_cgroup}, {"container", add_container},
};

static bool add(struct options *o, const char *spelt, const char *key, const char *value)
{
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		if (strcmp(key, keys[i].name) != 0)
			continue;
		keys[i].add(o, spelt, value);
		return true;
	}
	return false;
}

void spec_add(struct options *o, const char *spelt, const char *key, const char *value)
{
	add(o, spelt, key, value);
}

/* ---- --trace ---------------------------------------------------------------------------------------------------- */

static void add_module(struct options *o, const char *spelt, const char *value)
{
	for (size_t i = 0; i < N_MODULES; i++) {
		if (strcmp(value, modules[i].name) != 0)
			continue;
		o->modules |= modules[i].bit;
		return;
	}
	cli_die(CLI_USAGE, "option '%s': there is no module '%s'; there are " MODULES, spelt, value);
}

__attribute__((noreturn)) static void wrong_key(const char *spelt, const char *key, const char *value)
{
	for (size_t i = 0; i < sizeof wrong_keys / sizeof *wrong_keys; i++)
		if (strcmp(key, wrong_keys[i].tried) == 0)
			cli_die(CLI_USAGE, "option '%s': '%s' is called %s here: %s:%s", spelt, key,
			        wrong_keys[i].right, wrong_keys[i].right, value);
	cli_die(CLI_USAGE, "option '%s': there is no key '%s'; there are " KEYS, spelt, key);
}

static void parse_one(struct options *o, const char *spelt, char *item)
{
	char *value = strchr(item, ':'), name[128];

	if (!*item)
		cli_die(CLI_USAGE,
		        "option '%s' takes KEY:VALUE,..., such as mod:socket,exe.contains:nginx; one is empty", spelt);
	if (!value)
		cli_die(CLI_USAGE, "option '%s': '%s' has no key; write exe.contains:%s, or mod:%s if it is a module",
		        spelt, item, item, item);
	*value++ = 0;
	/* What a message calls it: the option, and the key within it. */
	snprintf(name, sizeof name, "%s %s", spelt, item);
	if (strcmp(item, "mod") == 0)
		add_module(o, spelt, value);
	else if (strcmp(item, "exe") == 0)
		add_exe(o, name, value, true, "", "");
	else if (strcmp(item, "exe.contains") == 0)
		add_exe(o, name, value, true, "*", "*");
	else if (strcmp(item, "exe.glob") == 0)
		add_glob(o, name, value);
	else if (!add(o, name, item, value))
		wrong_key(spelt, item, value);
}

void spec_parse(struct options *o, const char *spelt, const char *spec)
{
	char *copy = strdup(spec), *next = copy;

	if (!copy)
		cli_die(CLI_REFUSED, "no memory");
	while (next) {
		char *item = next;

		next = strchr(item, ',');
		if (next)
			*next++ = 0;
		parse_one(o, spelt, item);
	}
	free(copy);
}
