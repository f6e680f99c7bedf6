/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

static int search(Elf *elf, uint32_t type, const char *const *names, size_t n, uint64_t *offsets)
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
			const char *name;

			if (!gelf_getsym(data, (int)s, &symbol) || GELF_ST_TYPE(symbol.st_info) != STT_FUNC ||
			    !symbol.st_value)
				continue;
			name = elf_strptr(elf, header.sh_link, symbol.st_name);
			for (size_t i = 0; name && i < n; i++) {
				if (offsets[i] || strcmp(name, names[i]) != 0)
					continue;
				offsets[i] = file_offset(elf, symbol.st_value);
				found += offsets[i] != 0;
			}
		}
	}
	return found;
}

int symbols_find(const char *path, const char *const *names, size_t n, uint64_t *offsets)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), result = -ENOEXEC;
	GElf_Ehdr header;
	Elf *elf = NULL;

	memset(offsets, 0, n * sizeof *offsets);
	if (fd < 0)
		return -errno;
	if (elf_version(EV_CURRENT) == EV_NONE)
		goto out;
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header) || gelf_getclass(elf) != ELFCLASS64 ||
	    header.e_machine != MACHINE)
		goto out;
	result = search(elf, SHT_DYNSYM, names, n, offsets);
	if ((size_t)result < n)
		result += search(elf, SHT_SYMTAB, names, n, offsets);
out:
	elf_end(elf);
	close(fd);
	return result;
}

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

int symbols_build_id(const char *path, char build_id[static SYMBOLS_BUILD_ID_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool found = false;
	Elf *elf;

	if (fd < 0)
		return -ENOENT;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf)
		found = find_build_id(elf, build_id);
	elf_end(elf);
	close(fd);
	return found ? 0 : -ENOENT;
}
