/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Processes and threads: what the kernel tells at fork and exec is certain; what it does not (the whole of a long
 * command line, the cgroup, the build id) is read from /proc, where a process that has ended is not found any more -
 * then it is left out, or taken from the parent, never waited for.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/libraries.h"
#include "record/procfs.h"
#include "record/symbols.h"
#include "record/translate_state.h"

int put_process(struct translate *t, struct process *p, uint64_t time)
{
	struct fdtape_item item = {.type = FDTAPE_ITEM_PROCESS,
	                           .process = {.pid = p->pid,
	                                       .ppid = p->ppid,
	                                       .uid = p->uid,
	                                       .time = time,
	                                       .comm = p->comm,
	                                       .exe = p->exe,
	                                       .cmdline = p->cmdline,
	                                       .started = p->started,
	                                       .build_id = p->build_id,
	                                       .cgroup = p->cgroup,
	                                       .libraries = p->libraries}};

	p->time = time;
	p->libraries_told = true;
	return fdtape_writer_put(t->writer, &item);
}

/* The process as it is now, if it is one to be told of. */
static int tell_process(struct translate *t, struct process *p, uint64_t time)
{
	p->told |= !t->lazy;
	return p->told ? put_process(t, p, time) : 0;
}

/* What became of it, likewise. */
static int tell_event(struct translate *t, const struct process *p, const struct fdtape_item *item)
{
	if (!p->told)
		return 0;
	t->totals.events++;
	return fdtape_writer_put(t->writer, item);
}

static bool set_string(char **to, const char *from)
{
	char *copy = strdup(from);

	if (!copy)
		return false;
	free(*to);
	*to = copy;
	return true;
}

/* ---- the TLS libraries ------------------------------------------------------------------------------------------ */

#define LIBRARIES_MAX 16384 /* bytes of struct process.libraries; a string on a tape may have more */

static const char *const library_names[PROBE_LIBRARIES] = {"libssl", "libgnutls", "libssl3", NULL}; /* Go: itself */

static void forget_libraries(struct process *p)
{
	for (size_t i = 0; i < PROBE_LIBRARIES; i++) {
		free(p->tls_library[i]);
		p->tls_library[i] = NULL;
	}
	if (p->libraries)
		*p->libraries = 0;
}

static bool copy_libraries(struct process *p, const struct process *from)
{
	forget_libraries(p);
	p->mappings = from->mappings;
	for (size_t i = 0; i < PROBE_LIBRARIES; i++)
		if (from->tls_library[i] && !(p->tls_library[i] = strdup(from->tls_library[i])))
			return false;
	return set_string(&p->libraries, from->libraries);
}

static bool is_listed(const struct process *p, const char *line)
{
	const char *at = p->libraries, *found;

	while ((found = strstr(at, line)) && found != p->libraries && found[-1] != '\n')
		at = found + 1;
	return found;
}

/* Lists the file, if it is one with TLS. */
static int list_library(struct process *p, const char *path, int functions)
{
	char line[PATH_MAX + 16], *longer;
	size_t len = strlen(p->libraries), n;

	if (functions == 0 && !libraries_is_tls(path))
		return 0;
	if (functions < 0)
		n = (size_t)snprintf(line, sizeof line, "- %s\n", path);
	else
		n = (size_t)snprintf(line, sizeof line, "%d %s\n", functions, path);
	if (n >= sizeof line || strchr(path, '\n') || is_listed(p, line) || len + n > LIBRARIES_MAX)
		return 0;
	longer = realloc(p->libraries, len + n + 1);
	if (!longer)
		return FDTAPE_ERR_MEMORY;
	memcpy(longer + len, line, n + 1);
	p->libraries = longer;
	p->libraries_told = false;
	return 0;
}

/* Keeps the file as the one that calls of its library come from. */
static int name_library(struct process *p, const char *path)
{
	for (size_t i = 0; i < PROBE_LIBRARIES; i++) {
		if (!library_names[i] || p->tls_library[i] || !libraries_is_named(path, library_names[i]))
			continue;
		p->tls_library[i] = strdup(path);
		return p->tls_library[i] ? 0 : FDTAPE_ERR_MEMORY;
	}
	return 0;
}

/* What became known of the process' libraries, if the tape has the process. */
static int tell_libraries(struct translate *t, struct process *p)
{
	return p->told && !p->libraries_told ? put_process(t, p, p->time) : 0;
}

struct mappings {
	struct translate *t;
	struct process *p;
	int error;
};

static void mapping_found(void *context, const char *path, const char *seen)
{
	struct mappings *m = context;
	int functions = m->t->mapped(m->t->mapped_context, path, seen);

	if (!m->error)
		m->error = name_library(m->p, seen);
	if (!m->error)
		m->error = list_library(m->p, seen, functions);
	m->p->mappings = MAPPINGS_READ;
}

/* What the process maps now, if it lives still. */
static int read_mappings(struct translate *t, struct process *p)
{
	struct mappings m = {t, p, 0};

	if (t->mapped)
		libraries_of_process((pid_t)p->pid, mapping_found, &m);
	return m.error;
}

/* A file that the kernel told of: by its name, or else wherever the process' mappings lead. */
static int take_mapped(struct translate *t, struct process *p, const char *seen, uint64_t inode)
{
	char path[PATH_MAX];

	if (!t->mapped)
		return 0;
	if (!libraries_path((pid_t)p->pid, seen, inode, path, sizeof path))
		return read_mappings(t, p);
	return list_library(p, seen, t->mapped(t->mapped_context, path, seen));
}

/* A process may have ended before we hear of its calls, or be another program by then: so what the kernel told is asked
 * first, and no name is given where neither it nor /proc tells one. */
int tls_library(struct translate *t, struct process *p, uint32_t library, const char **path)
{
	int error = 0;

	*path = "";
	if (library >= PROBE_LIBRARIES)
		return 0;
	if (library_names[library] && !p->tls_library[library] && p->mappings != MAPPINGS_READ) {
		error = read_mappings(t, p);
		if (!error)
			error = tell_libraries(t, p);
	}
	if (p->tls_library[library])
		*path = p->tls_library[library];
	else if (!library_names[library] || p->mappings != MAPPINGS_UNKNOWN)
		*path = p->exe;
	return error;
}

/* ---- the processes ---------------------------------------------------------------------------------------------- */

void free_process(struct process *p)
{
	free(p->exe);
	free(p->cmdline);
	free(p->build_id);
	free(p->cgroup);
	forget_libraries(p);
	free(p->libraries);
	free(p);
}

/* The process' entry, made if there is none; NULL: no memory. */
static struct process *process_entry(struct translate *t, uint32_t pid, bool *fresh)
{
	struct process *p = map_get(&t->processes, pid);

	*fresh = !p;
	if (p)
		return p;
	p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->pid = pid;
	p->uid = UINT32_MAX;
	if (set_string(&p->exe, "") && set_string(&p->cmdline, "") && set_string(&p->build_id, "") &&
	    set_string(&p->cgroup, "") && set_string(&p->libraries, "") && map_put(&t->processes, pid, p))
		return p;
	free_process(p);
	return NULL;
}

/* The build id of the process' executable. Its process may be another image by now, or gone: so the file is looked for
 * where it can be, and taken only if it is the one that the kernel told of. Inode 0: whatever it is now. */
static bool find_build_id(struct process *p, uint64_t inode)
{
	char path[PATH_MAX + 32], build_id[SYMBOLS_BUILD_ID_MAX] = "";

	snprintf(path, sizeof path, "/proc/%u/exe", p->pid);
	if (symbols_build_id(path, inode, build_id) != 0 && inode) {
		snprintf(path, sizeof path, "/proc/%u/root%s", p->pid, p->exe);
		if (symbols_build_id(path, inode, build_id) != 0)
			symbols_build_id(p->exe, inode, build_id);
	}
	return set_string(&p->build_id, build_id);
}

/* What only /proc tells. */
static bool find_cgroup(struct process *p)
{
	char path[PATH_MAX];

	return !procfs_cgroup((pid_t)p->pid, path, sizeof path) || set_string(&p->cgroup, path);
}

int translate_process(struct translate *t, pid_t pid)
{
	struct procfs_process found;
	bool fresh;
	struct process *p = process_entry(t, (uint32_t)pid, &fresh);

	if (!p)
		return FDTAPE_ERR_MEMORY;
	if (!fresh)
		return 0;
	procfs_read(pid, &found);
	p->ppid = found.ppid;
	p->uid = found.uid;
	p->started = found.started;
	memcpy(p->comm, found.comm, sizeof p->comm);
	if (!set_string(&p->exe, found.exe) || !set_string(&p->cmdline, found.cmdline) || !find_cgroup(p) ||
	    !find_build_id(p, 0))
		return FDTAPE_ERR_MEMORY;
	if (read_mappings(t, p) != 0)
		return FDTAPE_ERR_MEMORY;
	return tell_process(t, p, 0);
}

/* The process' entry, which the tape may not know of. */
static struct process *known_process(struct translate *t, uint32_t pid, int *error)
{
	struct process *p = map_get(&t->processes, pid);

	*error = p ? 0 : translate_process(t, (pid_t)pid);
	return p ? p : map_get(&t->processes, pid);
}

struct process *process_of(struct translate *t, uint32_t pid, int *error)
{
	struct process *p = known_process(t, pid, error);

	if (p && !p->told && !*error) {
		p->told = true;
		*error = put_process(t, p, 0);
	}
	return p;
}

bool is_told(const struct translate *t, uint32_t pid)
{
	const struct process *p = t->lazy ? map_get(&t->processes, pid) : NULL;

	return !t->lazy || (p && p->told);
}

int on_mapped(struct translate *t, const struct probe_mapped *r)
{
	char seen[PROBE_PATH_MAX + 1];
	size_t len = r->path_len < PROBE_PATH_MAX ? r->path_len : 0; /* a longer one has lost its beginning */
	int error;
	struct process *p = known_process(t, r->tgid, &error);

	if (error || !p)
		return error ? error : FDTAPE_ERR_MEMORY;
	memcpy(seen, r->path, len);
	seen[len] = 0;
	error = name_library(p, seen);
	if (!error)
		error = take_mapped(t, p, seen, r->inode);
	return error ? error : tell_libraries(t, p);
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

static int put_thread(struct translate *t, const struct process *p, const struct thread *thread, uint64_t time)
{
	/* A name that is the process' need not be told, unless it was another before. */
	struct fdtape_item item = {.type = FDTAPE_ITEM_THREAD,
	                           .thread = {.pid = p->pid, .tid = thread->tid, .time = time, .comm = thread->comm}};

	return fdtape_writer_put(t->writer, &item);
}

int put_threads(struct translate *t, const struct process *p, uint64_t time)
{
	int error = 0;

	for (const struct thread *i = p->threads; i && !error; i = i->next)
		if (strcmp(i->comm, p->comm) != 0)
			error = put_thread(t, p, i, time);
	return error;
}

static struct thread *new_thread(struct translate *t, struct process *p, uint32_t tid)
{
	struct thread *thread = calloc(1, sizeof *thread);

	if (!thread || !map_put(&t->threads, tid, thread)) {
		free(thread);
		return NULL;
	}
	thread->tid = tid;
	thread->next = p->threads;
	p->threads = thread;
	return thread;
}

int thread_seen(struct translate *t, struct process *p, uint32_t tid, uint64_t time)
{
	struct thread *thread;

	if (tid == p->pid || map_get(&t->threads, tid))
		return 0;
	thread = new_thread(t, p, tid);
	if (!thread)
		return FDTAPE_ERR_MEMORY;
	procfs_thread_name((pid_t)p->pid, (pid_t)tid, thread->comm);
	return *thread->comm && strcmp(thread->comm, p->comm) != 0 ? put_thread(t, p, thread, time) : 0;
}

static void forget_threads(struct translate *t, struct process *p)
{
	struct thread *thread;

	while ((thread = p->threads)) {
		p->threads = thread->next;
		map_take(&t->threads, thread->tid);
		free(thread);
	}
}

int on_name(struct translate *t, const struct probe_name *r)
{
	int error;
	struct process *p = known_process(t, r->tgid, &error);
	struct thread *thread;

	if (error || !p)
		return error ? error : FDTAPE_ERR_MEMORY;
	if (r->tid == r->tgid) {
		memcpy(p->comm, r->comm, sizeof p->comm);
		p->comm[sizeof p->comm - 1] = 0;
		return tell_process(t, p, r->time);
	}
	if (!p->told)
		return 0;
	thread = map_get(&t->threads, r->tid);
	if (!thread && !(thread = new_thread(t, p, r->tid)))
		return FDTAPE_ERR_MEMORY;
	memcpy(thread->comm, r->comm, sizeof thread->comm);
	thread->comm[sizeof thread->comm - 1] = 0;
	return put_thread(t, p, thread, r->time);
}

/* ---- a process' life -------------------------------------------------------------------------------------------- */

int on_exec(struct translate *t, const struct probe_exec *r)
{
	char line[PROBE_ARGS_MAX + 1], path[PROBE_PATH_MAX + 1];
	size_t path_len = r->path_len < PROBE_PATH_MAX ? r->path_len : PROBE_PATH_MAX;
	struct procfs_process now;
	bool fresh;
	struct process *p = process_entry(t, r->tgid, &fresh);
	struct fdtape_item item = {
	        .type = FDTAPE_ITEM_EVENT,
	        .event = {.time = r->time, .pid = r->tgid, .tid = r->tgid, .call = FDTAPE_CALL_EXEC, .fd = -1}};
	int error;

	if (!p)
		return FDTAPE_ERR_MEMORY;
	forget_threads(t, p); /* an exec ends all but one */
	memcpy(path, r->path, path_len);
	path[path_len] = 0;
	procfs_join_arguments(line, sizeof line, r->args, r->args_len < PROBE_ARGS_MAX ? r->args_len : PROBE_ARGS_MAX);
	p->ppid = r->ppid;
	p->uid = r->uid;
	p->started = r->started;
	memcpy(p->comm, r->comm, sizeof p->comm);
	p->comm[sizeof p->comm - 1] = 0;
	forget_libraries(p);
	p->mappings = r->chosen ? MAPPINGS_TOLD : MAPPINGS_UNKNOWN;
	if (!set_string(&p->exe, path) || !set_string(&p->cmdline, line))
		return FDTAPE_ERR_MEMORY;
	/* What did not fit may be in /proc, while the process lives and is still this image. */
	if ((r->args_len >= PROBE_ARGS_MAX || !path_len || path_len == PROBE_PATH_MAX) &&
	    procfs_read((pid_t)r->tgid, &now) && strncmp(now.comm, r->comm, sizeof now.comm) == 0) {
		if (*now.exe && !set_string(&p->exe, now.exe))
			return FDTAPE_ERR_MEMORY;
		if (*now.cmdline && !set_string(&p->cmdline, now.cmdline))
			return FDTAPE_ERR_MEMORY;
	}
	if (fresh && r->ppid) {
		const struct process *parent = map_get(&t->processes, r->ppid);

		if (parent && !set_string(&p->cgroup, parent->cgroup))
			return FDTAPE_ERR_MEMORY;
	}
	if (!find_cgroup(p) || !find_build_id(p, r->inode))
		return FDTAPE_ERR_MEMORY;
	/* What else it maps the kernel tells, while what is mapped by now may be another image's. */
	error = r->chosen ? take_mapped(t, p, p->exe, r->inode) : 0;
	if (!error)
		error = tell_process(t, p, r->time);
	if (!error)
		error = tell_event(t, p, &item);
	if (!error && !r->chosen)
		error = end_flows(t, p, 0); /* they live on, unseen */
	return error;
}

int on_fork(struct translate *t, const struct probe_fork *r)
{
	int error;
	bool fresh;
	struct process *parent = known_process(t, r->tgid, &error), *child = process_entry(t, r->child, &fresh);
	struct fdtape_item item = {.type = FDTAPE_ITEM_EVENT,
	                           .event = {.time = r->time,
	                                     .pid = r->tgid,
	                                     .tid = r->tid,
	                                     .call = FDTAPE_CALL_FORK,
	                                     .result = r->child,
	                                     .fd = -1}};

	if (error || !parent || !child)
		return error ? error : FDTAPE_ERR_MEMORY;
	child->ppid = r->tgid;
	child->uid = r->uid;
	child->started = r->time;
	memcpy(child->comm, r->comm, sizeof child->comm);
	if (!set_string(&child->exe, parent->exe) || !set_string(&child->cmdline, parent->cmdline) ||
	    !set_string(&child->build_id, parent->build_id) || !set_string(&child->cgroup, parent->cgroup) ||
	    !copy_libraries(child, parent))
		return FDTAPE_ERR_MEMORY;
	error = tell_event(t, parent, &item);
	return error ? error : tell_process(t, child, r->time);
}

static int bury(struct translate *t, struct process *p, uint64_t time)
{
	int error = end_flows(t, p, time);

	forget_threads(t, p);
	map_take(&t->processes, p->pid);
	free_process(p);
	return error;
}

int on_exit_(struct translate *t, const struct probe_exit *r)
{
	int error;
	struct process *p = known_process(t, r->tgid, &error);
	struct fdtape_item item = {.type = FDTAPE_ITEM_EVENT,
	                           .event = {.time = r->time,
	                                     .pid = r->tgid,
	                                     .tid = r->tid,
	                                     .call = FDTAPE_CALL_EXIT,
	                                     .result = r->code,
	                                     .fd = -1}};
	bool told;

	if (error || !p)
		return error ? error : FDTAPE_ERR_MEMORY;
	told = p->told;
	error = bury(t, p, r->time);
	if (error || !told)
		return error;
	t->totals.events++;
	return fdtape_writer_put(t->writer, &item);
}

int bury_dead(struct translate *t, uint64_t now)
{
	uint32_t *dead = calloc(t->processes.used + 1, sizeof *dead);
	struct process *p;
	size_t n = 0, cursor = 0;
	int error = 0;

	if (!dead)
		return FDTAPE_ERR_MEMORY;
	while ((p = map_next(&t->processes, &cursor)))
		if (!procfs_lives((pid_t)p->pid))
			dead[n++] = p->pid;
	for (size_t i = 0; i < n && !error; i++)
		error = bury(t, map_get(&t->processes, dead[i]), now);
	free(dead);
	return error;
}
