# tend: `make run` and `make test` are all that is needed; each installs what is missing.
#
#   make           build/tend and the demo programs    make check   format, warnings, analysis
#   make run       supervise the sample services       make san     all tests with sanitizers
#   make test      unit, sim, live, short fuzz         make mutants the tests must notice each
#   make bench     figures beside the peers            make soak    the long simulation
#   make denied    live tests without newer calls      make static  build/static/tend, alone in a file
#   make install   DESTDIR, PREFIX; make uninstall
#
# V=1 shows the commands; BUILD, CC, OPT, CFLAGS and LDFLAGS are yours: a change of them rebuilds.

CC ?= cc
OPT ?= -O2 -g
PREFIX ?= /usr/local
BUILD ?= build
VERSION := 0.1.0

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wcast-qual -Wpointer-arith -Wsign-compare -Wvla -Wundef -Wwrite-strings -Wformat=2 \
	-Wswitch-enum -Wimplicit-fallthrough
CPPFLAGS += -D_GNU_SOURCE -Iinclude -I. -DTEND_VERSION='"$(VERSION)"' \
	$(if $(filter -static,$(LDFLAGS)),-DTEND_STATIC)
CFLAGS += -std=c17 $(OPT) $(WARN) -fno-plt -ffunction-sections -fdata-sections
LDFLAGS += -Wl,--gc-sections -Wl,-z,relro,-z,now
# Linked as an archive: only the loading child runs the parser, so PID 1 should not map it.
CONFUSE ?= -Wl,-Bstatic -lconfuse -Wl,-Bdynamic
JANSSON ?= -Wl,-Bstatic -ljansson -Wl,-Bdynamic

SUPERVISOR := $(patsubst supervisor/%.c,%,$(wildcard supervisor/*.c))
CLIENT := $(patsubst client/%.c,%,$(filter-out client/tend-json.c,$(wildcard client/*.c)))
DEMOS := $(patsubst demo/%.c,$(BUILD)/%,$(wildcard demo/*.c))
HELPERS := $(patsubst tests/helpers/%.c,$(BUILD)/tests/%,$(wildcard tests/helpers/*.c))
UNITS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/*.c))
obj = $(patsubst %,$(BUILD)/obj/supervisor/%.o,$(1))
client = $(patsubst %,$(BUILD)/obj/client/%.o,$(1))
run = $(if $(V),,@echo '$(1)  $@'; )$(2)
compile = $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MF $@.d -MT $@
sub = +@$(MAKE) --no-print-directory

all: $(BUILD)/.packages-build
	$(sub) programs
programs: $(BUILD)/tend $(BUILD)/tendctl $(BUILD)/tend-json $(DEMOS)
	@:

# Root trusts no config of another user, so in a tree of that user's tend runs as that user.
run: all
	@as=$$(stat -c 'setpriv --reuid %u --regid %g --clear-groups' services.d); \
	if [ "$$(id -u)" != 0 ] || [ -O services.d ] || ! $$as true; then as=; fi; \
	exec $$as env TEND_RUNTIME="$${TEND_RUNTIME-$(BUILD)/run}" $(BUILD)/tend -c services.d

test: $(BUILD)/.packages-build $(BUILD)/.packages-test
	$(sub) programs tests
	@tests/run $(BUILD)

tests: programs $(HELPERS) $(UNITS) $(FUZZERS) $(BUILD)/tests/sim
	@:

# ---- what must be installed ----
$(BUILD)/.packages-%: packaging/packages.txt packaging/install-packages
	@mkdir -p $(@D)
	@packaging/install-packages $*
	@touch $@

# ---- the flags that all in BUILD was built with; written as soon as they differ ----
FLAGS := $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(CONFUSE) $(JANSSON)
ifneq ($(strip $(file <$(BUILD)/.flags)),$(strip $(FLAGS)))
$(shell mkdir -p $(BUILD))
$(file >$(BUILD)/.flags,$(FLAGS))
endif

# ---- programs ----
$(BUILD)/tend: $(call obj,$(SUPERVISOR)) $(BUILD)/.flags
	$(call run,LINK,$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(CONFUSE))

$(BUILD)/obj/%.o: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call run,CC  ,$(compile) -c -o $@ $<)

$(BUILD)/tendctl: $(call client,$(CLIENT)) $(call obj,members text units) $(BUILD)/.flags
	$(call run,LINK,$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(JANSSON))

$(BUILD)/tend-json: $(call client,tend-json json_string) $(BUILD)/.flags
	$(call run,LINK,$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(JANSSON))

$(BUILD)/notify-server: LDLIBS += -lsystemd
$(BUILD)/%: demo/%.c $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call run,CC  ,$(compile) $(LDFLAGS) -o $@ $< $(LDLIBS))

# ---- tests ----
$(BUILD)/tests/teller: LDLIBS += -lsystemd
$(BUILD)/tests/%: tests/helpers/%.c $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call run,CC  ,$(compile) $(LDFLAGS) -o $@ $< $(LDLIBS))

include tests/links.mk

$(BUILD)/tests/unit/%: tests/unit/%.c tests/links.mk $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call run,CC  ,$(compile) $(LDFLAGS) -o $@ $(filter %.c %.o,$^) -lcmocka $(LDLIBS))

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c tests/links.mk $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call run,CC  ,$(compile) $(LDFLAGS) -o $@ $(filter %.c %.o,$^) $(LDLIBS))

$(BUILD)/tests/sim: $(SIM) tests/links.mk $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call run,LINK,$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^))

include $(wildcard tests/targets.mk tests/check.mk)

# ---- alone in a file: needs no library where it runs ----
static: $(BUILD)/.packages-build
	$(sub) BUILD=$(BUILD)/static LDFLAGS='$(LDFLAGS) -static' CONFUSE=-lconfuse JANSSON=-ljansson \
		$(BUILD)/static/tend $(BUILD)/static/tendctl $(BUILD)/static/tend-json

# ---- installing ----
MAN8 := $(wildcard man/*.8)
MAN5 := $(wildcard man/*.5)
MAN1 := $(wildcard man/*.1)
COMPLETIONS := packaging/completions
SHARE := $(DESTDIR)$(PREFIX)/share

install: all
	install -D -t $(DESTDIR)$(PREFIX)/sbin $(BUILD)/tend
	install -D -t $(DESTDIR)$(PREFIX)/bin $(BUILD)/tendctl
	install -D -t $(DESTDIR)$(PREFIX)/libexec/tend $(BUILD)/tend-json
	install -D -m 644 -t $(SHARE)/man/man1 $(MAN1)
	install -D -m 644 -t $(SHARE)/man/man5 $(MAN5)
	install -D -m 644 -t $(SHARE)/man/man8 $(MAN8)
	install -D -m 644 -t $(SHARE)/doc/tend/services.d services.d/*.conf
	install -D -m 644 $(COMPLETIONS)/tend.bash $(SHARE)/bash-completion/completions/tend
	install -D -m 644 $(COMPLETIONS)/tendctl.bash $(SHARE)/bash-completion/completions/tendctl
	install -D -m 644 -t $(SHARE)/zsh/site-functions $(COMPLETIONS)/_tend $(COMPLETIONS)/_tendctl
	install -D -m 644 -t $(SHARE)/fish/vendor_completions.d $(COMPLETIONS)/*.fish
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/tend $(DESTDIR)$(PREFIX)/bin/tendctl
	rm -rf $(DESTDIR)$(PREFIX)/libexec/tend
	rm -f $(patsubst man/%,$(SHARE)/man/man5/%,$(MAN5)) $(patsubst man/%,$(SHARE)/man/man8/%,$(MAN8))
	rm -f $(patsubst man/%,$(SHARE)/man/man1/%,$(MAN1))
	rm -f $(addprefix $(SHARE)/,bash-completion/completions/tend bash-completion/completions/tendctl \
		zsh/site-functions/_tend zsh/site-functions/_tendctl \
		fish/vendor_completions.d/tend.fish fish/vendor_completions.d/tendctl.fish)
	rm -rf $(SHARE)/doc/tend

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -path $(BUILD)/daemons -prune -o -name '*.d' -print 2>/dev/null)

.PHONY: all programs run test tests static install uninstall clean
.DELETE_ON_ERROR:
