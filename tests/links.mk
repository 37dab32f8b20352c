# What each unit test and fuzzer may link: the layers are held here too.
CONF := conf conf_check conf_keys conf_set address units
PACK := pack pack_read $(CONF)
LOAD := load load_child load_host load_ids load_parse load_path load_problem load_seen load_text load_token \
	$(PACK) graph_check
$(BUILD)/tests/unit/test_units: $(call obj,units)
$(BUILD)/tests/unit/test_address: $(call obj,address units)
$(BUILD)/tests/unit/test_conf: $(call obj,$(CONF))
$(BUILD)/tests/unit/test_pack: $(call obj,$(PACK))
$(BUILD)/tests/unit/test_load: $(call obj,$(LOAD))
$(BUILD)/tests/unit/test_load: LDLIBS += $(CONFUSE)
$(BUILD)/tests/unit/test_load_seen: $(call obj,load_seen load_problem)
$(BUILD)/tests/fuzz/fuzz_load: $(call obj,$(LOAD))
$(BUILD)/tests/fuzz/fuzz_load: LDLIBS += $(CONFUSE)
$(BUILD)/tests/fuzz/fuzz_pack: $(call obj,$(PACK))
$(BUILD)/tests/unit/test_members: $(call obj,members)
$(BUILD)/tests/unit/test_spawn: $(call obj,spawn spawn_block spawn_child $(CONF))
$(BUILD)/tests/unit/test_cgroup: $(call obj,cgroup cgroup_files cgroup_open)
$(BUILD)/tests/unit/test_cgroup_oom: $(call obj,cgroup_oom cgroup_files)
CONTROL := control control_accept control_access control_client control_close text
$(patsubst %,$(BUILD)/tests/unit/%,test_control test_control_client test_control_descriptors): $(call obj,$(CONTROL))
$(BUILD)/tests/unit/test_control: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=listen
$(BUILD)/tests/unit/test_control_descriptors: LDFLAGS += -Wl,--wrap=setsockopt,--wrap=clone
NOTIFY_SERVER := notify_server notify_server_apart notify
$(BUILD)/tests/unit/test_notify: $(call obj,notify)
$(BUILD)/tests/fuzz/fuzz_notify: $(call obj,notify)
$(BUILD)/tests/unit/test_notify_server: $(call obj,$(NOTIFY_SERVER))
$(BUILD)/tests/unit/test_notify_client: $(call obj,notify_client notify_client_socket address text units)
$(BUILD)/tests/unit/test_notify_client: LDFLAGS += -Wl,--wrap=dlopen,--wrap=dlsym,--wrap=poll
$(BUILD)/tests/unit/test_ready_fd: $(call obj,ready_fd log)
$(BUILD)/tests/unit/test_ready_fd: LDFLAGS += -Wl,--wrap=pwritev2,--wrap=open
$(BUILD)/tests/unit/test_notify_server: LDFLAGS += -Wl,--wrap=clone
$(BUILD)/tests/unit/test_runtime: $(call obj,runtime $(CONTROL))
$(patsubst %,$(BUILD)/tests/%,unit/test_probe fuzz/fuzz_probe): $(call obj,probe)
$(BUILD)/tests/unit/test_probe: LDFLAGS += -Wl,--wrap=socket,--wrap=connect,--wrap=send
$(BUILD)/tests/unit/test_runtime: LDFLAGS += -Wl,--wrap=openat

# The simulator: the real pure core and nothing else. Its calls into the table are counted, its
# allocations can be made to fail.
SIM_CORE := engine engine_life engine_table engine_reload engine_plan plan graph graph_check backoff service health child \
	persist history history_fields history_deaths request answer text $(CONF)
SIM := $(patsubst tests/sim/%.c,$(BUILD)/obj/tests/sim/%.o,$(wildcard tests/sim/*.c))
$(BUILD)/tests/sim: LDFLAGS += -Wl,--wrap=engine_event,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(BUILD)/tests/sim: $(call obj,$(SIM_CORE))
$(BUILD)/tests/unit/test_persist: \
	$(call obj,persist engine engine_life engine_table engine_reload plan graph backoff service $(CONF))

# The pure core, each with what lies below it.
$(BUILD)/tests/unit/test_service: $(call obj,service $(CONF))
$(BUILD)/tests/unit/test_child: $(call obj,child)
$(BUILD)/tests/unit/test_backoff: $(call obj,backoff $(CONF))
$(BUILD)/tests/unit/test_health: $(call obj,health $(CONF))
$(BUILD)/tests/unit/test_graph: $(call obj,graph service $(CONF))
$(patsubst %,$(BUILD)/tests/unit/%,test_graph test_engine_reload test_engine_plan test_reload_matrix): LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(BUILD)/tests/unit/test_graph_check: $(call obj,graph_check $(CONF))
ENGINE := engine engine_life engine_table engine_reload plan graph backoff service $(CONF)
$(patsubst %,$(BUILD)/tests/unit/%,test_engine test_engine_life test_engine_limit test_engine_notify test_engine_stop test_engine_reload): $(call obj,$(ENGINE))
$(patsubst %,$(BUILD)/tests/unit/%,test_history test_history_deaths): \
	$(call obj,history history_fields history_deaths text $(ENGINE))
$(patsubst %,$(BUILD)/tests/unit/%,test_engine_plan test_reload_matrix): $(call obj,engine_plan graph_check $(ENGINE))
$(BUILD)/tests/unit/test_summary: $(call obj,summary $(ENGINE))
$(BUILD)/tests/unit/test_request: $(call obj,request text $(CONF))
$(BUILD)/tests/fuzz/fuzz_request: $(call obj,request text $(CONF))
$(BUILD)/tests/unit/test_answer: $(call obj,answer history history_fields text $(ENGINE))
$(BUILD)/tests/unit/test_plan: $(call obj,plan graph service $(CONF))
$(BUILD)/tests/unit/test_check_plan: $(call obj,check_plan graph_check $(ENGINE))

# The client.
$(BUILD)/tests/unit/test_tendctl_records: $(call client,records)
$(BUILD)/tests/unit/test_tendctl_nearest: $(call client,nearest)
$(BUILD)/tests/unit/test_tendctl_table: $(call client,table)
WORDS := $(call client,words records) $(call obj,text units)
$(BUILD)/tests/unit/test_tendctl_words: $(WORDS)
$(BUILD)/tests/unit/test_tendctl_connection: $(call client,connection)
$(BUILD)/tests/unit/test_tendctl_json: $(call client,json json_string records)
$(BUILD)/tests/fuzz/fuzz_records: $(call client,json json_string table) $(WORDS)
$(BUILD)/tests/unit/test_tendctl_json $(BUILD)/tests/fuzz/fuzz_records: LDLIBS += $(JANSSON)
