/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void address_text(char text[static ADDRESS_TEXT_MAX], const struct fdtape_address *address)
{
	char ip[INET6_ADDRSTRLEN] = "";
	size_t len = address->len < FDTAPE_ADDRESS_MAX ? address->len : FDTAPE_ADDRESS_MAX;

	text[0] = '\0';
	switch (address->family) {
	case FDTAPE_FAMILY_IPV4:
		inet_ntop(AF_INET, address->addr, ip, sizeof ip);
		snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", ip, (unsigned)address->port);
		break;
	case FDTAPE_FAMILY_IPV6:
		inet_ntop(AF_INET6, address->addr, ip, sizeof ip);
		snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", ip, (unsigned)address->port);
		break;
	case FDTAPE_FAMILY_UNIX:
		memcpy(text, address->addr, len);
		text[len] = '\0';
		for (size_t i = 0; i < len; i++)
			if (text[i] == '\0') /* an abstract name, as ss(8) shows it */
				text[i] = '@';
		break;
	default:
		break;
	}
}
