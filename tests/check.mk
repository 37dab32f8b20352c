# ---- make check: format, warnings of two compilers, analysis; all is said, not only the first ----
HEADERS := $(wildcard include/tend/*.h $(addsuffix /*.h,supervisor client logger demo tests/*))
SOURCES := $(wildcard $(addsuffix /*.c,supervisor client logger demo tests/*))
SCRIPTS = $(shell grep -rIlE '^\#!/bin/(ba)?sh|^\# shellcheck shell=' .ci packaging tests)
TIDY := $(patsubst %.c,$(BUILD)/check/%.tidy,$(SOURCES))
CHECKS := check-format check-gcc check-clang check-cppcheck check-tidy check-shell check-man layers
# As many at a time as there are processors, unless -j says otherwise.
jobs = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc) -Otarget)

check: $(BUILD)/.packages-build $(BUILD)/.packages-test $(BUILD)/.packages-check
	$(sub) -k $(jobs) $(CHECKS)
	@echo "check passed"

check-format:
	@clang-format --dry-run -Werror $(SOURCES) $(HEADERS)
check-gcc check-clang: check-%:
	$(sub) BUILD=$(BUILD)/check-$* CC=$* OPT='-O2 -Werror' programs tests bench-helpers
check-cppcheck:
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--error-exitcode=1 -D_GNU_SOURCE -Iinclude $(SOURCES)
check-tidy: $(TIDY)
	@:
$(BUILD)/check/%.tidy: %.c $(HEADERS) .clang-tidy tests/.clang-tidy
	@mkdir -p $(@D)
	$(call run,TIDY,clang-tidy --quiet --warnings-as-errors='*' $< -- $(CPPFLAGS) -std=c17 2>$@.err \
		|| { grep -v 'warnings\? generated' $@.err >&2; exit 1; })
	@touch $@
check-shell:
	@shellcheck $(SCRIPTS)
# Its style messages ask for manuals that are not installed yet.
check-man:
	@mandoc -T lint -W warning $(wildcard man/*.[1-8])

.PHONY: check $(CHECKS)

# ---- make san: all tests with ASan and UBSan ----
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
san: $(BUILD)/.packages-build $(BUILD)/.packages-test
	$(sub) BUILD=$(BUILD)/san OPT='-O1 -g $(SAN)' programs tests
	@tests/run $(BUILD)/san $(TESTS)

.PHONY: san
