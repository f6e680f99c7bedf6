/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dump TAPE: every item as one line of JSON, as tests/reader.py prints it: keys sorted, strings escaped byte by byte,
 * payload in hex, or by length and SHA-256 when it has more than 64 bytes. Exit status 0, 2 usage, 3 damaged.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include <fdtape/reader.h>

static void print_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void print_hex(const uint8_t *bytes, size_t n)
{
	putchar('"');
	for (size_t i = 0; i < n; i++)
		printf("%02x", bytes[i]);
	putchar('"');
}

static void print_data(const uint8_t *data, size_t n)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (n <= 64) {
		print_hex(data, n);
		return;
	}
	if (EVP_Digest(data, n, digest, &len, EVP_sha256(), NULL) != 1)
		len = 0;
	printf("{\"len\":%zu,\"sha256\":", n);
	print_hex(digest, len);
	putchar('}');
}

static void print_address(const struct fdtape_address *a)
{
	printf("{\"addr\":");
	print_hex(a->addr, a->len);
	printf(",\"family\":%u,\"port\":%u}", a->family, a->port);
}

static void print_section(const struct fdtape_reader *reader)
{
	struct fdtape_section_info info;
	const struct fdtape_meta *meta;

	memset(&info, 0, sizeof(info));
	fdtape_reader_section(reader, &info);
	printf("{\"clock\":{\"boottime\":%" PRIu64 ",\"monotonic\":%" PRIu64 ",\"realtime\":%" PRIu64 "}",
	       info.clock.boottime, info.clock.monotonic, info.clock.realtime);
	printf(",\"item\":\"section\",\"meta\":[");
	for (size_t i = 0; (meta = fdtape_reader_meta(reader, i)); i++) {
		printf(i ? ",[" : "[");
		print_string(meta->key);
		putchar(',');
		print_string(meta->value);
		putchar(']');
	}
	printf("],\"minor\":%u,\"uuid\":", info.minor);
	print_hex(info.uuid, sizeof(info.uuid));
	putchar('}');
}

static void print_clock(const struct fdtape_clock *c)
{
	printf("{\"boottime\":%" PRIu64 ",\"item\":\"clock\",\"monotonic\":%" PRIu64 ",\"realtime\":%" PRIu64 "}",
	       c->boottime, c->monotonic, c->realtime);
}

static void print_process(const struct fdtape_process *p)
{
	printf("{\"build_id\":");
	print_string(p->build_id);
	printf(",\"cgroup\":");
	print_string(p->cgroup);
	printf(",\"cmdline\":");
	print_string(p->cmdline);
	printf(",\"comm\":");
	print_string(p->comm);
	printf(",\"exe\":");
	print_string(p->exe);
	printf(",\"item\":\"process\"");
	/* The golden tapes' sums are of what was printed before there were any. */
	if (*p->libraries) {
		printf(",\"libraries\":");
		print_string(p->libraries);
	}
	printf(",\"pid\":%" PRIu32 ",\"ppid\":%" PRIu32 ",\"started\":%" PRIu64 ",\"time\":%" PRIu64 ",\"uid\":%" PRIu32
	       "}",
	       p->pid, p->ppid, p->started, p->time, p->uid);
}

static void print_thread(const struct fdtape_thread *t)
{
	printf("{\"comm\":");
	print_string(t->comm);
	printf(",\"item\":\"thread\",\"pid\":%" PRIu32 ",\"tid\":%" PRIu32 ",\"time\":%" PRIu64 "}", t->pid, t->tid,
	       t->time);
}

static void print_flow(const struct fdtape_flow *f)
{
	printf("{\"bytes\":[%" PRIu64 ",%" PRIu64 "],\"closed\":%" PRIu64 ",\"fd\":%" PRId32 ",\"flags\":%" PRIu32,
	       f->bytes[0], f->bytes[1], f->closed, f->fd, f->flags);
	printf(",\"handle\":%" PRIu64 ",\"id\":%" PRIu64 ",\"inode\":%" PRIu64 ",\"item\":\"flow\",\"kind\":%" PRIu32,
	       f->handle, f->id, f->inode, f->kind);
	printf(",\"local\":");
	print_address(&f->local);
	printf(",\"name\":");
	print_string(f->name);
	printf(",\"opened\":%" PRIu64 ",\"pid\":%" PRIu32 ",\"proto\":%" PRIu32 ",\"remote\":", f->opened, f->pid,
	       f->proto);
	print_address(&f->remote);
	printf(",\"role\":%" PRIu32 ",\"tid\":%" PRIu32 "}", f->role, f->tid);
}

static void print_event(const struct fdtape_event *e)
{
	printf("{\"arg\":[%" PRIu64 ",%" PRIu64 ",%" PRIu64 "],\"bytes\":%" PRIu64 ",\"call\":%" PRIu32
	       ",\"captured\":%" PRIu64 ",\"data\":",
	       e->arg[0], e->arg[1], e->arg[2], e->bytes, e->call, e->captured);
	print_data(e->data, e->captured);
	printf(",\"dir\":%" PRIu32 ",\"duration\":%" PRIu64 ",\"fd\":%" PRId32 ",\"flags\":%" PRIu32
	       ",\"flow\":%" PRIu64,
	       e->dir, e->duration, e->fd, e->flags, e->flow);
	printf(",\"item\":\"event\",\"offset\":%" PRIu64, e->offset);
	if (e->peer) {
		printf(",\"peer\":");
		print_address(e->peer);
	}
	printf(",\"pid\":%" PRIu32 ",\"result\":%" PRId64 ",\"tid\":%" PRIu32 ",\"time\":%" PRIu64 "}", e->pid,
	       e->result, e->tid, e->time);
}

static void print_secret(const struct fdtape_secret *s)
{
	printf("{\"id\":");
	print_hex(s->id, s->id_len);
	printf(",\"id_kind\":%" PRIu32 ",\"item\":\"secret\",\"label\":", s->id_kind);
	print_string(s->label);
	printf(",\"pid\":%" PRIu32 ",\"source\":", s->pid);
	print_string(s->source);
	printf(",\"tid\":%" PRIu32 ",\"time\":%" PRIu64 ",\"value\":", s->tid, s->time);
	print_hex(s->value, s->value_len);
	putchar('}');
}

static void print_loss(const struct fdtape_loss *l)
{
	printf("{\"bytes\":%" PRIu64 ",\"count\":%" PRIu64 ",\"from\":%" PRIu64 ",\"item\":\"loss\",\"reason\":%" PRIu32
	       ",\"to\":%" PRIu64 "}",
	       l->bytes, l->count, l->from, l->reason, l->to);
}

static void print_item(const struct fdtape_reader *reader, const struct fdtape_item *item)
{
	switch (item->type) {
	case FDTAPE_ITEM_SECTION:
		print_section(reader);
		break;
	case FDTAPE_ITEM_CLOCK:
		print_clock(&item->clock);
		break;
	case FDTAPE_ITEM_PROCESS:
		print_process(&item->process);
		break;
	case FDTAPE_ITEM_THREAD:
		print_thread(&item->thread);
		break;
	case FDTAPE_ITEM_FLOW:
		print_flow(&item->flow);
		break;
	case FDTAPE_ITEM_EVENT:
		print_event(&item->event);
		break;
	case FDTAPE_ITEM_SECRET:
		print_secret(&item->secret);
		break;
	case FDTAPE_ITEM_LOSS:
		print_loss(&item->loss);
		break;
	case FDTAPE_ITEM_END:
		printf("{\"item\":\"end\"}");
		break;
	default:
		printf("{\"item\":%" PRIu32 "}", item->type);
	}
	putchar('\n');
}

/* Prints all items; what the reader says is wrong goes to stderr. Returns the exit status. */
static int dump(struct fdtape_reader *reader, const char *name)
{
	struct fdtape_item item;
	int status = 0;

	for (;;) {
		int r = fdtape_reader_next(reader, &item);

		if (r == 0)
			return status;
		if (r > 0) {
			print_item(reader, &item);
			continue;
		}
		fprintf(stderr, "dump: %s: %s: %s\n", name, fdtape_strerror(r), fdtape_reader_message(reader));
		status = 3;
		if (r != FDTAPE_ERR_DAMAGED && r != FDTAPE_ERR_LIMIT && r != FDTAPE_ERR_TRUNCATED)
			return status;
	}
}

int main(int argc, char **argv)
{
	struct fdtape_reader *reader;
	int fd, status, r;

	if (argc != 2) {
		fprintf(stderr, "usage: dump TAPE\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "dump: %s: %s\n", argv[1], strerror(errno));
		return 3;
	}
	r = fdtape_reader_open_fd(&reader, fd);
	if (r < 0) {
		fprintf(stderr, "dump: %s: %s\n", argv[1], fdtape_strerror(r));
		close(fd);
		return 3;
	}
	status = dump(reader, argv[1]);
	fdtape_reader_free(reader);
	close(fd);
	return fflush(stdout) == 0 ? status : 3;
}
