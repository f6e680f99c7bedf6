/* SPDX-License-Identifier: BSD-2-Clause */
#include <fnmatch.h>
#include <string.h>

#include "replay/player_state.h"

bool player_chooses(const struct player_choice *c)
{
	return c->n_pids || c->n_exes || c->n_fds || c->n_flows || c->n_ports || c->since.kind || c->until.kind;
}

static bool takes_pid(const struct player_choice *c, uint32_t pid)
{
	for (size_t i = 0; i < c->n_pids; i++)
		if (c->pids[i] == pid)
			return true;
	return c->n_pids == 0;
}

static bool takes_exe(const struct player_choice *c, const char *exe)
{
	for (size_t i = 0; i < c->n_exes; i++)
		if (strpbrk(c->exes[i], "*?[") ? fnmatch(c->exes[i], exe, 0) == 0 : strstr(exe, c->exes[i]) != NULL)
			return true;
	return c->n_exes == 0;
}

static bool takes_fd(const struct player_choice *c, int32_t fd)
{
	for (size_t i = 0; i < c->n_fds; i++)
		if (c->fds[i] == fd)
			return true;
	return c->n_fds == 0;
}

static bool takes_number(const struct player_choice *c, uint64_t number)
{
	for (size_t i = 0; i < c->n_flows; i++)
		if (c->flows[i] == number)
			return true;
	return c->n_flows == 0;
}

static bool has_port(const struct fdtape_address *address, uint16_t port)
{
	return (address->family == FDTAPE_FAMILY_IPV4 || address->family == FDTAPE_FAMILY_IPV6) &&
	       address->port == port;
}

static bool takes_port(const struct player_choice *c, const struct fdtape_flow *def)
{
	for (size_t i = 0; i < c->n_ports; i++)
		if (has_port(&def->local, c->ports[i]) || has_port(&def->remote, c->ports[i]))
			return true;
	return c->n_ports == 0;
}

bool choice_takes_process(const struct player_choice *choice, const struct player_process *process)
{
	return takes_pid(choice, process->pid) && takes_exe(choice, process->exe);
}

bool choice_takes_flow(const struct player_choice *choice, const struct player_flow *flow)
{
	return choice_takes_process(choice, flow->process) && takes_fd(choice, flow->def.fd) &&
	       takes_number(choice, flow->number) && takes_port(choice, &flow->def);
}

bool choice_takes_peer(const struct player_choice *choice, const struct player_flow *flow,
                       const struct fdtape_address *peer)
{
	bool takes = false;

	for (size_t i = 0; i < choice->n_ports; i++)
		takes = takes || has_port(peer, choice->ports[i]);
	return takes && choice_takes_process(choice, flow->process) && takes_fd(choice, flow->def.fd) &&
	       takes_number(choice, flow->number);
}

bool choice_takes_event(const struct player_choice *choice, const struct player_process *process,
                        const struct fdtape_event *event)
{
	return choice_takes_process(choice, process) && takes_fd(choice, event->fd) && choice->n_flows == 0 &&
	       choice->n_ports == 0;
}
