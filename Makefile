# SPDX-License-Identifier: BSD-2-Clause
#
# make            build everything into build/
# make demo       record a real HTTPS exchange and show it (installs what is missing)
# make check      every test: unit, command line, layers, live, sanitizers, short fuzz (installs what is missing)
# make check-kernels  the recorder on Linux 5.10, 6.1 and 6.12, under QEMU (fetches kernels)
# make fuzz T=60  run each fuzzer for T seconds
# make bench-format  measure the tape, as ratios in one run
# make bench-record  measure what recording costs, likewise (root; PARTS="nginx calls": these parts only)
# make bench-tls     measure decryption, likewise (root)
# make bench-analyze measure `fdtape-analyze http`, likewise (root)
# make deps       install what building and testing need (Debian)
# make docs-analysis  hold the views to programs' own words and to tshark; the table in docs/analysis.md (root)
# make install    honours DESTDIR and PREFIX
# make format     let clang-format lay out the sources
# make clean
#
# Options: V=1 (show commands)  DEBUG=1  SAN=address,undefined  WERROR=1  CC=clang

NAME    := fdtape
VERSION := 0.1.0
SOMAJOR := 0

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
DOCDIR     ?= $(PREFIX)/share/doc/$(NAME)
DESTDIR    ?=

CLANG      ?= clang
# The machine that is built for, in libbpf's words (__TARGET_ARCH_x86).
BPF_ARCH   ?= $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')
BPFTOOL    ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/bin/bpftool) bpftool)
PKG_CONFIG ?= pkg-config
INSTALL    ?= install

# One build folder for each configuration, so that objects never mix.
comma := ,
B ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(DEBUG),-debug)

CFLAGS   ?= $(if $(DEBUG),-Og -g3,-O2 -g)
# Tapes of 2 GiB and more are tapes on 32-bit machines as well.
CPPFLAGS += -Iinclude -I. -I$(B) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFDTAPE_VERSION=$(VERSION)
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 $(if $(WERROR),-Werror)
ALL_CFLAGS  = -std=gnu11 $(WARN) -fPIC -fvisibility=hidden \
              $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer) $(CFLAGS)
ALL_LDFLAGS = $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

# ---- what exists -------------------------------------------------------------

TOOLS  := record replay analyze
LIB    := $(B)/libfdtape.a
SOLIB  := $(B)/libfdtape.so.$(SOMAJOR)
PLAYER := $(B)/libplayer.a
PROBES := $(patsubst bpf/%.bpf.c,%,$(wildcard bpf/*.bpf.c))
SKELS  := $(PROBES:%=$(B)/bpf/%.skel.h)
UNIT   := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/test_*.c))
FUZZ   := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/fuzz_*.c)) \
          $(patsubst %,$(B)/tests/fuzz_%_hashed,reader columns index api)
LIVE   := $(B)/tests/live/check_tape $(patsubst tests/live/programs/%.c,$(B)/tests/live/programs/%, \
          $(filter-out %/truth.c,$(wildcard tests/live/programs/*.c)))

# A folder's own files and those of the folders in it.
objs = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c $(folders_$(1):%=%/*.c)))
folders_replay := replay/proto
# Everything of a folder but the file that holds main().
parts = $(filter-out $(B)/$(1)/$(1).o,$(call objs,$(1)))

# What each folder may link. Nothing else appears on its link line; tests/layers.sh holds the includes to the same.
pkgs_format  := libzstd libxxhash
pkgs_record  := libbpf libelf capstone libcap-ng libseccomp
pkgs_replay  := libcrypto libnghttp2 zlib libbrotlidec libbrotlicommon libzstd
pkgs_analyze := libcrypto
pkgs_tests   := cmocka libnghttp2 zlib jansson libssl libcrypto
pkgs_testdata := libzstd

cflags = $(shell $(PKG_CONFIG) --cflags $(foreach p,$(1),$(pkgs_$(p))))
# libfdtape's reader may have a thread.
libs   = $(shell $(PKG_CONFIG) --libs $(foreach p,$(1),$(pkgs_$(p)))) $(if $(filter format,$(1)),-pthread)

# The folders whose libraries a tool links, and the archives of them.
uses_record  := format record
uses_replay  := format replay
uses_analyze := format replay analyze
archives_record  := $(LIB)
archives_replay  := $(PLAYER) $(LIB)
archives_analyze := $(PLAYER) $(LIB)

# ---- quiet output ------------------------------------------------------------

ifeq ($(V),1)
Q   :=
msg  =
else
Q   := @
msg  = @printf '  %-8s %s\n' $(1) $(patsubst $(B)/%,%,$(2));
MAKEFLAGS += --no-print-directory
endif

# ---- rules -------------------------------------------------------------------

.PHONY: all deps demo check check-all check-unit check-cli check-layers check-install check-portable check-live check-reader check-sanitizers check-fuzz \
        fuzz install uninstall clean format help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(TOOLS:%=$(B)/$(NAME)-%) $(SOLIB) $(B)/lib$(NAME).pc

# A compile leaves its dependencies (.d) and its own command line (.json) beside the object.
compile = $(CC) $(CPPFLAGS) $(call cflags,$(firstword $(subst /, ,$<))) $(ALL_CFLAGS)

$(B)/%.o: %.c Makefile
	$(call msg,CC,$@)mkdir -p $(@D)
	$(Q)$(compile) -MMD -MP -MF $(@:.o=.d) -c $< -o $@
	@printf '{"directory":"%s","file":"%s","command":"%s"},\n' '$(CURDIR)' '$<' '$(compile) -c $<' > $(@:.o=.json)

$(LIB): $(call objs,format)
	$(call msg,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(PLAYER): $(call parts,replay)
	$(call msg,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(SOLIB): $(call objs,format)
	$(call msg,LD,$@)$(CC) -shared -Wl,-soname,$(@F) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(call libs,format)

define tool
$(B)/$(NAME)-$(1): $(call objs,$(1)) $(archives_$(1))
	$$(call msg,LD,$$@)$$(CC) $$(ALL_CFLAGS) $$(ALL_LDFLAGS) -o $$@ $(call objs,$(1)) $(archives_$(1)) \
	  $$(call libs,$(uses_$(1)))
endef
# fdtape-replay is replay.o over its own archive.
$(foreach t,$(filter-out replay,$(TOOLS)),$(eval $(call tool,$(t))))
$(B)/$(NAME)-replay: $(B)/replay/replay.o $(PLAYER) $(LIB)
	$(call msg,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(uses_replay))

# Made anew each time: PREFIX may be another one at `make install`.
.PHONY: FORCE
$(B)/lib$(NAME).pc: FORCE
	$(Q)mkdir -p $(@D) && printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' \
	  'Name: libfdtape' 'Description: Reads and writes fdtape tapes' 'Version: $(VERSION)' \
	  'Requires.private: $(pkgs_format)' 'Libs: -L$${libdir} -lfdtape' 'Libs.private: -pthread' 'Cflags: -I$${includedir}' > $@

# -Wno-unused-parameter: BPF_PROG() gives every program a ctx that few look at.
# The probes need no kernel headers: bpf/kernel.h names the few fields that they read, and CO-RE finds them.
$(B)/bpf/%.bpf.o: bpf/%.bpf.c Makefile
	$(call msg,BPF,$@)mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -mcpu=v2 -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Werror -Wno-unused-parameter -Iinclude -I. \
	  $(shell $(PKG_CONFIG) --cflags libbpf) -idirafter /usr/include/$(shell uname -m)-linux-gnu \
	  -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@

$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
	$(call msg,SKEL,$@)$(BPFTOOL) gen skeleton $< name $* > $@

$(call objs,record): | $(SKELS)

# ---- dependencies ------------------------------------------------------------

DEPS := build-essential clang llvm libclang-rt-14-dev clang-format bpftool pkg-config git python3 \
        libbpf-dev libelf-dev libcapstone-dev libcap-ng-dev libseccomp-dev libzstd-dev libxxhash-dev libssl-dev \
        libjansson-dev libcmocka-dev libnghttp2-dev zlib1g-dev libbrotli-dev \
        nginx-light apache2 apache2-utils redis-server postgresql nodejs \
        curl iproute2 openssl bind9-dnsutils dnsmasq-base mariadb-server mariadb-client nghttp2-client nghttp2-server nghttp2-proxy \
        python3-h2 python3-grpcio python3-websockets tshark zstd jq mandoc procps \
        gcc-s390x-linux-gnu libc6-dev-s390x-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user musl-tools \
        qemu-system-x86 busybox-static \
        wget gnutls-bin golang-go libnss3-tools stunnel4 android-boringssl

# Installs what is missing as root; as anybody else says what to install, and stops.
deps:
	$(Q)command -v dpkg-query >/dev/null || { echo 'make deps knows Debian only; install: $(DEPS)'; exit 0; }; \
	missing=$$(for p in $(DEPS); do dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed \
	  || echo $$p; done | tr '\n' ' '); \
	[ -n "$$missing" ] || exit 0; \
	install="apt-get install -y --no-install-recommends $$missing"; \
	if [ "$$(id -u)" != 0 ]; then echo "missing packages; run as root: $$install"; exit 1; fi; \
	echo "  DEPS     $$missing"; export DEBIAN_FRONTEND=noninteractive; \
	apt-get -qq update >/dev/null && $$install >/dev/null

# ---- tests -------------------------------------------------------------------
#
# Suites speak TAP; tests/run.sh runs them, counts, and prints one closing line.

# A test may look at anything that is no main().
TEST_PARTS = $(call parts,analyze) $(PLAYER) $(LIB)

$(B)/tests/test_%: $(B)/tests/test_%.o $(TEST_PARTS)
	$(call msg,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(call libs,format replay analyze tests)

$(B)/tests/test_record_%: $(B)/tests/test_record_%.o $(call parts,record) $(LIB)
	$(call msg,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(call libs,format record tests)

# These have a clock and a disk of their own.
$(B)/tests/test_record_tape_file: ALL_LDFLAGS += -Wl,--wrap=clock_gettime,--wrap=write

# What the suites need besides: a printer of items, one that drops events, and the maker of a golden tape.
TEST_TOOLS = $(B)/tests/dump $(B)/tests/drop $(B)/tests/golden
$(B)/tests/dump: $(B)/tests/dump.o $(LIB)
	$(call msg,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(call libs,format tests)
$(B)/tests/drop: $(B)/tests/drop.o $(LIB)
	$(call msg,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(call libs,format)
$(B)/tests/golden: $(B)/testdata/golden.o $(LIB)
	$(call msg,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(call libs,format)

# Each fuzzer is one file, built with all that it may reach under libFuzzer's instrumentation. In one build the
# checksums of a tape are not looked at, which a fuzzer would never get past; in the other (_hashed) they are, and the
# fuzzers of the tape repair them behind each mutation.
fuzzed = $(wildcard format/*.[ch] include/*.h include/*/*.h tests/fuzz_tape.h tests/rfc8448.h tests/content_vectors.h) $(filter-out replay/replay.c,$(wildcard replay/*.[ch] replay/*/*.[ch]))
fuzz_cc = $(CLANG) $(CPPFLAGS) -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

$(B)/tests/fuzz_%_hashed: tests/fuzz_%.c $(fuzzed)
	$(call msg,FUZZ,$@)mkdir -p $(@D) && $(fuzz_cc) -o $@ $(filter %.c,$^) $(call libs,format replay)

$(B)/tests/fuzz_%: tests/fuzz_%.c $(fuzzed)
	$(call msg,FUZZ,$@)mkdir -p $(@D) && $(fuzz_cc) -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION -o $@ $(filter %.c,$^) \
	  $(call libs,format replay)

RUN = BIN=$(abspath $(B)) NAME=$(NAME) CC='$(CC)' sh tests/run.sh

# Sub-makes, since only after `deps` pkg-config can tell what the libraries need.
JOBS ?= $(shell nproc 2>/dev/null || echo 1)
check: deps
	$(Q)$(MAKE) -j$(JOBS) check-all

check-all: all $(UNIT) $(TEST_TOOLS) $(if $(SAN),,$(FUZZ) $(LIVE))
	$(Q)$(if $(SAN),,$(MAKE) SAN=address,undefined all-tests)
	$(Q)$(RUN) $(if $(SAN),unit cli,layers unit cli install live reader sanitizers portable fuzz)

# What a run of the suites `unit` and `cli` needs.
.PHONY: all-tests
all-tests: all $(UNIT) $(TEST_TOOLS)

check-unit check-cli check-sanitizers: all-tests
	$(Q)$(RUN) $(@:check-%=%)
check-live: $(LIVE) $(TEST_TOOLS)
check-reader: all $(TEST_TOOLS)
check-layers check-install check-portable check-live check-reader: all
	$(Q)$(RUN) $(@:check-%=%)
check-fuzz: $(FUZZ)
	$(Q)$(RUN) fuzz

fuzz: $(FUZZ)
	$(Q)T=$(or $(T),60) $(RUN) fuzz

# The live suite's programs (tests/live/capture.list) and what judges their tapes: static, so that they run on any kernel.
live_cc   = $(CC) $(CPPFLAGS) -std=gnu11 $(WARN) $(CFLAGS) -MMD -MP -MF $@.d

$(B)/tests/live/programs/%: tests/live/programs/%.c tests/live/programs/truth.c Makefile
	$(call msg,CC,$@)mkdir -p $(@D)
	$(Q)$(live_cc) -static -pthread -o $@ $(filter %.c,$^)

# Where the compiler makes no 32-bit programs an empty file stands for it, and the test that needs it is skipped.
$(B)/tests/live/programs/ia32: tests/live/programs/ia32.c Makefile
	$(call msg,CC,$@)mkdir -p $(@D)
	$(Q)$(live_cc) -m32 -Os -static -nostdlib -ffreestanding -fno-stack-protector -fno-pie -no-pie -o $@ $< 2>$@.log || \
	  { $(RM) $@ && : >$@; }

$(B)/tests/live/check_tape: tests/live/check_tape.c $(LIB) Makefile
	$(call msg,CC,$@)mkdir -p $(@D)
	$(Q)$(live_cc) -static -o $@ $(filter %.c %.a,$^) $(shell $(PKG_CONFIG) --static --libs $(pkgs_format))

# The recorder for machines that have none of its libraries (tests/kernels.sh).
$(B)/static/$(NAME)-record: $(call objs,record) $(LIB)
	$(call msg,LD,$@)mkdir -p $(@D)
	$(Q)$(CC) -static $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ \
	  $(shell $(PKG_CONFIG) --static --libs $(foreach p,$(uses_record),$(pkgs_$(p)))) 2>$(@D)/log || { cat $(@D)/log; exit 1; }

# The live programs on other kernels, booted under QEMU; FDTAPE_KERNELS is where those are kept.
.PHONY: check-kernels docs-kernels
check-kernels: $(B)/static/$(NAME)-record $(LIVE)
	$(Q)$(RUN) kernels

# What `fdtape-record --check` says on each of them, as check-kernels has left it.
docs-kernels:
	$(Q)mkdir -p docs/kernels
	$(Q)for k in $(B)/kernels/*/check; do \
	  ! [ -s $$k ] || grep -q 'unknown option' $$k || tr -d '\r' <$$k >docs/kernels/$$(basename $$(dirname $$k)).txt; done

# ---- figures -----------------------------------------------------------------
#
# Ratios in one run, beside their bars (docs/performance.md). wrk, if it is there, loads nginx; else curl does.

.PHONY: bench-format bench-record bench-tls bench-analyze
$(B)/tests/bench_format: $(B)/tests/bench_format.o $(B)/tests/bench_mix.o $(LIB)
	$(call msg,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(call libs,format) -lm

bench-format: $(B)/tests/bench_format $(B)/$(NAME)-record
	$(Q)BIN=$(abspath $(B)) sh tests/bench_format.sh

$(B)/tests/bench_calls: $(B)/tests/bench_calls.o
	$(call msg,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^

bench-record: $(B)/tests/bench_calls $(B)/$(NAME)-record
	$(Q)BIN=$(abspath $(B)) python3 tests/bench_record.py $(OPTIONS) $(PARTS)

bench-tls: $(B)/$(NAME)-record $(B)/$(NAME)-analyze
	$(Q)BIN=$(abspath $(B)) python3 tests/bench_tls.py

$(B)/tests/bench_read: $(B)/tests/bench_read.o $(LIB)
	$(call msg,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(call libs,format)

bench-analyze: $(B)/tests/bench_read $(B)/$(NAME)-record $(B)/$(NAME)-analyze
	$(Q)BIN=$(abspath $(B)) python3 tests/bench_analyze.py $(OPTIONS)

# The views' figures beside the programs' own and tshark's, of one run (the suite live_analysis makes the same comparisons).
.PHONY: docs-analysis
docs-analysis: all
	$(Q)BIN=$(abspath $(B)) python3 tests/live/live_analysis.py --table docs/analysis.md

demo: deps
	$(Q)$(MAKE) -j$(JOBS) all
	$(Q)BIN=$(abspath $(B)) sh tests/demo.sh

# ---- install -----------------------------------------------------------------

MAN1 = $(wildcard docs/*.1)
install: all
	$(INSTALL) -d $(addprefix $(DESTDIR),$(BINDIR) $(LIBDIR)/pkgconfig $(INCLUDEDIR)/$(NAME) $(MANDIR)/man1 $(DOCDIR))
	$(INSTALL) -m 755 $(TOOLS:%=$(B)/$(NAME)-%) $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 644 $(LIB) $(SOLIB) $(DESTDIR)$(LIBDIR)
	ln -sf $(notdir $(SOLIB)) $(DESTDIR)$(LIBDIR)/libfdtape.so
	$(INSTALL) -m 644 $(B)/lib$(NAME).pc $(DESTDIR)$(LIBDIR)/pkgconfig
	$(INSTALL) -m 644 $(wildcard include/$(NAME)/*.h) $(DESTDIR)$(INCLUDEDIR)/$(NAME)
	$(INSTALL) -m 644 $(MAN1) $(DESTDIR)$(MANDIR)/man1
	$(INSTALL) -m 644 README.md LICENSE $(wildcard docs/*.md) $(DESTDIR)$(DOCDIR)

uninstall:
	$(RM) $(TOOLS:%=$(DESTDIR)$(BINDIR)/$(NAME)-%) $(MAN1:docs/%=$(DESTDIR)$(MANDIR)/man1/%) \
	  $(addprefix $(DESTDIR)$(LIBDIR)/,$(notdir $(LIB) $(SOLIB)) libfdtape.so pkgconfig/lib$(NAME).pc)
	$(RM) -r $(DESTDIR)$(INCLUDEDIR)/$(NAME) $(DESTDIR)$(DOCDIR)

compile_commands.json: all
	$(call msg,GEN,$@)find $(B) -name '*.json' | LC_ALL=C sort | xargs cat | sed '1s/^/[/; $$s/,$$/]/' > $@

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

help:
	@sed -n '3,/^$$/s/^# \{0,1\}//p' Makefile

clean:
	$(RM) -r build build-* compile_commands.json

-include $(wildcard $(B)/*/*.d $(B)/replay/*/*.d $(B)/tests/live/*.d $(B)/tests/live/programs/*.d)
