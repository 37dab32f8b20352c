# What each unit test and fuzzer may link: the layers are held here too.
CONF := conf conf_keys units
$(BUILD)/tests/unit/test_units: $(call obj,units)
$(BUILD)/tests/unit/test_conf: $(call obj,$(CONF))
$(BUILD)/tests/unit/test_pack: $(call obj,pack $(CONF))
$(BUILD)/tests/unit/test_load: $(call obj,load load_text load_host pack $(CONF))
$(BUILD)/tests/unit/test_load: LDLIBS += $(CONFUSE)
$(BUILD)/tests/fuzz/fuzz_load: $(call obj,load load_text load_host pack $(CONF))
$(BUILD)/tests/fuzz/fuzz_load: LDLIBS += $(CONFUSE)
$(BUILD)/tests/fuzz/fuzz_pack: $(call obj,pack $(CONF))
$(BUILD)/tests/unit/test_members: $(call obj,members)
$(BUILD)/tests/unit/test_cgroup: $(call obj,cgroup)
