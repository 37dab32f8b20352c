# ---- make bench: figures beside the peers; BENCH="--quick --only s6,start" ----
BENCH_HELPERS := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
# Without a C library where that is written: its start-up would be half of what is measured.
BARE = $(if $(filter x86_64-%,$(shell $(CC) -dumpmachine)),-DBARE -nostdlib -ffreestanding -fno-stack-protector)

bench: all $(BUILD)/.packages-bench
	$(sub) bench-helpers static
	@tests/bench/bench --build $(BUILD) $(BENCH)
bench-helpers: $(BENCH_HELPERS)
	@:

$(BUILD)/bench/svc: CFLAGS += $(BARE)
$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call run,CC  ,$(compile) $(LDFLAGS) -static -o $@ $<)

.PHONY: bench bench-helpers


# ---- each listed change of the source must be noticed, by the simulator or a live case; the long run ----
mutants: $(BUILD)/.packages-build $(BUILD)/.packages-test
	@tests/sim/run-mutants $(MUTANTS)
	@tests/live/run-mutants $(MUTANTS)
soak: $(BUILD)/.packages-test
	$(sub) $(BUILD)/tests/sim
	@$(BUILD)/tests/sim --seeds 1000000

.PHONY: mutants soak

# ---- make denied: the live tests where newer system calls are missing, then where a filter forbids them ----
denied: $(BUILD)/.packages-build $(BUILD)/.packages-test
	$(sub) programs tests
	@status=0; for error in ENOSYS EPERM; do \
		TEND_TEST_DENY=$$error tests/run $(BUILD) tests/live || status=1; done; exit $$status

.PHONY: denied

# ---- make layers: who includes whom ----
layers:
	@tests/layers

.PHONY: layers
