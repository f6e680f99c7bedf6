/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/symbols.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/gotable.h"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#error "which ELF machine is this?"
#endif

/* The file offset of what is loaded at an address; 0: none is. */
static uint64_t file_offset(Elf *elf, uint64_t address)
{
	size_t n = 0;
	GElf_Phdr segment;

	elf_getphdrnum(elf, &n);
	for (size_t i = 0; i < n; i++)
		if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_LOAD && segment.p_flags & PF_X &&
		    address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
			return address - segment.p_vaddr + segment.p_offset;
	return 0;
}

/* The names in order, for the many symbols that are none of them. */
struct wanted {
	const char *name;
	size_t index;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct wanted *)a)->name, ((const struct wanted *)b)->name);
}

static int search(Elf *elf, uint32_t type, const struct wanted *wanted, size_t n, uint64_t *offsets)
{
	Elf_Scn *section = NULL;
	int found = 0;

	while ((section = elf_nextscn(elf, section))) {
		Elf_Data *data;
		GElf_Shdr header;
		GElf_Sym symbol;

		if (!gelf_getshdr(section, &header) || header.sh_type != type || !header.sh_entsize)
			continue;
		data = elf_getdata(section, NULL);
		for (size_t s = 0; data && s < header.sh_size / header.sh_entsize; s++) {
			const struct wanted *is;
			struct wanted key;

			if (!gelf_getsym(data, (int)s, &symbol) || GELF_ST_TYPE(symbol.st_info) != STT_FUNC ||
			    !symbol.st_value)
				continue;
			key.name = elf_strptr(elf, header.sh_link, symbol.st_name);
			is = key.name ? bsearch(&key, wanted, n, sizeof *wanted, by_name) : NULL;
			if (!is || offsets[is->index])
				continue;
			offsets[is->index] = file_offset(elf, symbol.st_value);
			found += offsets[is->index] != 0;
		}
	}
	return found;
}

/* ---- Go's own table --------------------------------------------------------------------------------------------- */

/* What the dynamic linker will write to an address; 0: nothing. */
static uint64_t relocated(Elf *elf, uint64_t address)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		GElf_Rela rela;
		Elf_Data *data;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_RELA || !header.sh_entsize)
			continue;
		data = elf_getdata(section, NULL);
		for (size_t i = 0; data && i < header.sh_size / header.sh_entsize; i++)
			if (gelf_getrela(data, (int)i, &rela) && rela.r_offset == address)
				return (uint64_t)rela.r_addend;
	}
	return 0;
}

/* The table, and where the code begins; NULL: there is none. */
static const Elf_Data *go_table(Elf *elf, uint64_t *text)
{
	uint64_t table_address = 0;
	Elf_Data *table = NULL;
	Elf_Scn *section = NULL;
	size_t strings;

	*text = 0;
	if (elf_getshdrstrndx(elf, &strings) != 0)
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name;

		if (!gelf_getshdr(section, &header) || !(name = elf_strptr(elf, strings, header.sh_name)))
			continue;
		if (strcmp(name, ".text") == 0)
			*text = header.sh_addr;
		if (strcmp(name, ".gopclntab") == 0 || strcmp(name, ".data.rel.ro.gopclntab") == 0) {
			table = elf_rawdata(section, NULL);
			table_address = header.sh_addr;
		}
	}
	if (!table || !table->d_buf || !gotable_magic(table->d_buf, table->d_size))
		return NULL;
	/* Of a program that can lie anywhere, the start of the code is told by a relocation. */
	if (relocated(elf, table_address + GOTABLE_TEXT_AT))
		*text = relocated(elf, table_address + GOTABLE_TEXT_AT);
	return table;
}

static int search_go(Elf *elf, const char *const *names, size_t n, uint64_t *offsets)
{
	uint64_t text, addresses[SYMBOLS_MAX];
	const Elf_Data *table = go_table(elf, &text);
	int found = 0;

	if (!table)
		return 0;
	gotable_find(table->d_buf, table->d_size, text, names, n, addresses);
	for (size_t i = 0; i < n; i++) {
		if (!addresses[i] || offsets[i])
			continue;
		offsets[i] = file_offset(elf, addresses[i]);
		found += offsets[i] != 0;
	}
	return found;
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

/* NULL: it is no 64-bit ELF file of this machine. */
static Elf *open_elf(int fd)
{
	GElf_Ehdr header;
	Elf *elf;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return NULL;
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) && gelf_getclass(elf) == ELFCLASS64 &&
	    header.e_machine == MACHINE)
		return elf;
	elf_end(elf);
	return NULL;
}

int symbols_find(const char *path, const char *const *names, size_t n, uint64_t *offsets)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), result = -ENOEXEC;
	struct wanted wanted[SYMBOLS_MAX];
	Elf *elf = NULL;

	memset(offsets, 0, n * sizeof *offsets);
	if (fd < 0)
		return -errno;
	if (n > SYMBOLS_MAX || !(elf = open_elf(fd)))
		goto out;
	for (size_t i = 0; i < n; i++)
		wanted[i] = (struct wanted){names[i], i};
	qsort(wanted, n, sizeof *wanted, by_name);
	result = search(elf, SHT_DYNSYM, wanted, n, offsets);
	result += search(elf, SHT_SYMTAB, wanted, n, offsets);
	result += search_go(elf, names, n, offsets);
out:
	elf_end(elf);
	close(fd);
	return result;
}

/* ---- a function's end -------------------------------------------------------------------------------------------- */

/* The address of what is loaded from a file offset; 0: no code is. */
static uint64_t address_of(Elf *elf, uint64_t offset)
{
	size_t n = 0;
	GElf_Phdr segment;

	elf_getphdrnum(elf, &n);
	for (size_t i = 0; i < n; i++)
		if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_LOAD && segment.p_flags & PF_X &&
		    offset >= segment.p_offset && offset - segment.p_offset < segment.p_filesz)
			return offset - segment.p_offset + segment.p_vaddr;
	return 0;
}

/* Of the symbol that begins at an address; 0: there is none. */
static uint64_t symbol_end(Elf *elf, uint64_t address)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		Elf_Data *data;
		GElf_Shdr header;
		GElf_Sym symbol;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_SYMTAB || !header.sh_entsize)
			continue;
		data = elf_getdata(section, NULL);
		for (size_t s = 0; data && s < header.sh_size / header.sh_entsize; s++)
			if (gelf_getsym(data, (int)s, &symbol) && GELF_ST_TYPE(symbol.st_info) == STT_FUNC &&
			    symbol.st_value == address && symbol.st_size)
				return address + symbol.st_size;
	}
	return 0;
}

int symbols_go_end(const char *path, uint64_t offset, uint64_t *end)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf = fd >= 0 ? open_elf(fd) : NULL;
	uint64_t address = elf ? address_of(elf, offset) : 0, after = 0, text;
	const Elf_Data *table = address ? go_table(elf, &text) : NULL;

	if (table)
		after = gotable_end(table->d_buf, table->d_size, text, address);
	if (address && !after)
		after = symbol_end(elf, address);
	elf_end(elf);
	if (fd >= 0)
		close(fd);
	*end = offset + (after - address);
	return after > address ? 0 : -ENOENT;
}

/* ---- functions that are told of --------------------------------------------------------------------------------- */

struct symbols_file {
	const char *path;
	unsigned line;
	char *message;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct symbols_file *f, const char *format, ...)
{
	int len = snprintf(f->message, f->size, "%s, line %u: ", f->path, f->line);
	va_list args;

	va_start(args, format);
	if (len >= 0 && (size_t)len < f->size)
		vsnprintf(f->message + len, f->size - (size_t)len, format, args);
	va_end(args);
	return -EINVAL;
}

/* A place in the ELF file as an offset; 0: no code is there. */
static uint64_t place(Elf *elf, uint64_t value, bool is_offset)
{
	GElf_Phdr segment;
	size_t count = 0;

	if (!is_offset)
		return file_offset(elf, value);
	elf_getphdrnum(elf, &count);
	for (size_t i = 0; i < count; i++)
		if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_LOAD && segment.p_flags & PF_X &&
		    value >= segment.p_offset && value - segment.p_offset < segment.p_filesz)
			return value;
	return 0;
}

static bool parse_number(const char *text, int base, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, base);
	return isxdigit((unsigned char)*text) && !*end && !errno;
}

static int read_line(const struct symbols_file *f, char *line, Elf *elf, const char *const *names, size_t n,
                     uint64_t *offsets)
{
	char *word[4], *rest = line;
	bool is_offset = false, of_nm;
	const char *name, *where;
	size_t words = 0, i;
	uint64_t value;

	line[strcspn(line, "#\n")] = 0;
	while (words < 4 && (word[words] = strtok_r(rest, " \t\r", &rest)))
		words++;
	if (!words)
		return 0;
	/* `nm` lists a whole program: "address type name", without the address for what is elsewhere. */
	of_nm = words == 3 && strlen(word[1]) == 1;
	if (words == 2 && strlen(word[0]) == 1)
		return 0;
	if (!of_nm && words != 2)
		return refuse(f, "a line is 'FUNCTION ADDRESS', 'FUNCTION +OFFSET', or one of nm");
	name = of_nm ? word[2] : word[0];
	where = of_nm ? word[0] : word[1];
	for (i = 0; i < n && strcmp(names[i], name) != 0; i++)
		;
	if (i == n)
		return of_nm ? 0 : refuse(f, "'%s' is no function that is probed", name);
	if (!of_nm && *where == '+') {
		is_offset = true;
		where++;
	}
	if (!parse_number(where, 16, &value))
		return refuse(f, "'%s' is no hexadecimal number", where);
	offsets[i] = place(elf, value, is_offset);
	return offsets[i] ? 0 : refuse(f, "no code lies at %s%s", is_offset ? "offset " : "", where);
}

int symbols_read(const char *symbols, const char *path, const char *const *names, size_t n, uint64_t *offsets,
                 char *message, size_t size)
{
	struct symbols_file f = {.path = symbols, .message = message, .size = size};
	FILE *file = fopen(symbols, "re");
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	Elf *elf = fd >= 0 ? open_elf(fd) : NULL;
	char line[1024];

	memset(offsets, 0, n * sizeof *offsets);
	if (!file) {
		error = -errno;
		snprintf(message, size, "%s: %s", symbols, strerror(errno));
	} else if (!elf) {
		error = -ENOEXEC;
		snprintf(message, size, "%s is no 64-bit ELF file of this machine", path);
	}
	while (!error && fgets(line, sizeof line, file)) {
		f.line++;
		error = read_line(&f, line, elf, names, n, offsets);
	}
	elf_end(elf);
	if (fd >= 0)
		close(fd);
	if (file)
		fclose(file);
	return error;
}

/* ---- build ids -------------------------------------------------------------------------------------------------- */

static bool find_build_id(Elf *elf, char build_id[static SYMBOLS_BUILD_ID_MAX])
{
	GElf_Phdr segment;
	GElf_Nhdr note;
	size_t n = 0;

	elf_getphdrnum(elf, &n);
	for (size_t i = 0; i < n; i++) {
		Elf_Data *data;
		size_t at = 0, next, name, value;

		if (!gelf_getphdr(elf, (int)i, &segment) || segment.p_type != PT_NOTE)
			continue;
		data = elf_getdata_rawchunk(elf, (int64_t)segment.p_offset, segment.p_filesz,
		                            segment.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
		while (data && (next = gelf_getnote(data, at, &note, &name, &value)) > 0) {
			const uint8_t *id = (const uint8_t *)data->d_buf + value;

			at = next;
			if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != sizeof "GNU" ||
			    memcmp((const char *)data->d_buf + name, "GNU", sizeof "GNU") != 0 ||
			    2 * (size_t)note.n_descsz >= SYMBOLS_BUILD_ID_MAX)
				continue;
			for (size_t b = 0; b < note.n_descsz; b++)
				snprintf(build_id + 2 * b, 3, "%02x", id[b]);
			build_id[2 * note.n_descsz] = 0;
			return true;
		}
	}
	return false;
}

int symbols_build_id(const char *path, uint64_t inode, char build_id[static SYMBOLS_BUILD_ID_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	Elf *elf;

	if (fd < 0)
		return -ENOENT;
	/* Of the file that is open: a moment later the path may lead to another one. */
	if (inode && (fstat(fd, &st) != 0 || st.st_ino != inode)) {
		close(fd);
		return -ENOENT;
	}
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!elf || !find_build_id(elf, build_id))
		*build_id = 0;
	elf_end(elf);
	close(fd);
	return 0;
}
