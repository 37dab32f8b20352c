# tend: `make run` and `make test` are all that is needed; each installs what is missing.
#
#   make           build/tend and the demo programs    make check   format, warnings, analysis
#   make run       supervise the sample services       make san     all tests with sanitizers
#   make test      unit, sim, live, short fuzz         make mutants the simulator must catch each
#   make bench     figures beside the peers            make soak    the long simulation
#   make install   DESTDIR, PREFIX

CC ?= cc
OPT ?= -O2 -g
PREFIX ?= /usr/local
BUILD ?= build
VERSION := 0.1.0

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wcast-qual -Wpointer-arith -Wsign-compare -Wvla -Wundef -Wwrite-strings -Wformat=2 \
	-Wswitch-enum -Wimplicit-fallthrough
CPPFLAGS += -D_GNU_SOURCE -Iinclude -DTEND_VERSION='"$(VERSION)"'
CFLAGS += -std=c17 $(OPT) $(WARN) -fno-plt -ffunction-sections -fdata-sections -MMD -MP
LDFLAGS += -Wl,--gc-sections -Wl,-z,relro,-z,now
# Linked as an archive: only the loading child runs the parser, so PID 1 should not map it.
CONFUSE ?= -Wl,-Bstatic -lconfuse -Wl,-Bdynamic

SUPERVISOR := $(patsubst supervisor/%.c,%,$(wildcard supervisor/*.c))
DEMOS := $(patsubst demo/%.c,$(BUILD)/%,$(wildcard demo/*.c))
HELPERS := $(patsubst tests/helpers/%.c,$(BUILD)/tests/%,$(wildcard tests/helpers/*.c))
UNITS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/*.c))
obj = $(patsubst %,$(BUILD)/obj/supervisor/%.o,$(1))

all: $(BUILD)/.packages-build
	@$(MAKE) --no-print-directory programs
programs: $(BUILD)/tend $(DEMOS)

run: all
	@exec $(BUILD)/tend -c services.d

test: $(BUILD)/.packages-build $(BUILD)/.packages-test
	@$(MAKE) --no-print-directory programs tests
	@tests/run $(BUILD)

tests: programs $(HELPERS) $(UNITS) $(FUZZERS) $(BUILD)/tests/sim

# ---- what must be installed ----
$(BUILD)/.packages-%: packaging/packages.txt packaging/install-packages
	@mkdir -p $(@D)
	@packaging/install-packages $*
	@touch $@

# ---- programs ----
$(BUILD)/tend: $(call obj,$(SUPERVISOR))
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONFUSE)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/%: demo/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $<

# ---- tests ----
$(BUILD)/tests/%: tests/helpers/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LDLIBS)

include tests/links.mk

$(BUILD)/tests/unit/%: tests/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.o,$^) -lcmocka $(LDLIBS)

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.o,$^) $(LDLIBS)

include $(wildcard tests/targets.mk)

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

.PHONY: all programs run test tests clean
.DELETE_ON_ERROR:
