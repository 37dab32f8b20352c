#!/bin/bash
# What tendctl shows: of services in each state, as text and as JSON, on what it is written to.
# shellcheck disable=SC2016 # for jq
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"

# ---- one service in each state ----
# What is told of them is compared with what they are made to do, and with their journal.
zoo() {
    local slowly='restart { policy = on-failure limit = 0 delay = "50s" max_delay = "50s" }'
    local once='restart { policy = on-failure limit = 1 }'
    service base 'description = "the ground"' hog=64 fork=kid pause end pause
    service once 'type = oneshot' sleep=30 exit=0
    service flap "type = oneshot $slowly" sleep=30 exit=3
    service waits 'requires = {flap} after = {once}' pause
    service farther 'requires = {waits} wants = {base}' pause
    service broken "type = oneshot $once" sleep=30 exit=4
    conf "service missing { command = {\"$T/nowhere\"} $once }"
    service vain 'requires = {broken}' pause
    service tool 'start = manual' pause
    service slow 'type = oneshot' pause
    service phoenix 'restart { policy = always delay = "10ms" }' pause
    service stubborn '' pause
    service needs 'requires = {stubborn} stop { grace = "70s" }' ignore=TERM fork=helper ignore=TERM pause end pause
    begins base kid slow phoenix stubborn needs helper || return
    signal KILL phoenix
    must "phoenix is back" wait_until 10 seen phoenix up 2
    becomes flap backoff
    becomes broken failed
    becomes missing failed
    becomes once 'done'
    ends 0 stop stubborn
    becomes needs stopping
}
ZOO=(base broken farther flap missing needs once phoenix slow stubborn tool vain waits)
leave_zoo() {
    INSIDE=''
    ends 0 shutdown --now --wait
    INSIDE=inside
    must "tend is gone" tend_is_gone
    await_end 10
}
in_zoo() { # FUNCTION...
    lacks jq && return
    zoo || return
    local check
    for check; do
        "$check"
    done
    leave_zoo
}

status_told() {
    local for='[0-9.]+m?s' later='[1-7][0-9]s|1m|1m[0-9]+s'
    ends 0 status
    tells '^NAME +STATE +READY +PID +UPTIME +RESTARTS +LAST EXIT +MEMORY +NOTE$' \
        "^base +running +yes +$(pid_of base) +$for +0 +- +[0-9]+M\$" \
        '^broken +failed +no +- +- +0 +exit 4 +- +gave up after 1 start in 1m$' \
        '^farther +pending +no +- +- +0 +- +- +waits for waits$' \
        "^flap +backoff +no +- +- +0 +exit 3 +- +next try in ($later)\$" \
        '^missing +failed +no +- +- +[0-9]+ +ENOENT +- +gave up after 1 start in 1m$' \
        "^needs +stopping +no +$(pid_of needs) +$for +0 +- +[0-9.]+[KM] .*next step in ($later)\$" \
        '^once +done +yes +- +- +0 +exit 0 +-$' \
        "^phoenix +running +yes +$(pid_of phoenix) +$for +1 +KILL +[0-9.]+[KM]\$" \
        "^slow +starting +no +$(pid_of slow) +$for +0 +- +[0-9.]+[KM] +ready within 1m[0-9]+s\$" \
        "^stubborn +running +yes +$(pid_of stubborn) .*to be stopped after needs\$" \
        '^tool +down +- +- +- +0 +- +-$' \
        '^vain +pending +no +- .*waits for broken, in vain$' \
        '^waits +pending +no +- .*waits for flap$' \
        '^13 services: 4 ready, 1 starting, 3 pending, 1 stopping, 1 backoff, 2 failed, 1 down$'
    must "a line for each, a title, a summary" test "$(wc -l <"$TOLD")" = 15
    must "no escapes" not grep -q $'\e' "$TOLD"
    ends 0 status base once
    must "two, and no other" test "$(wc -l <"$TOLD")" = 4
    tells '^2 services: 2 ready$'
    ends 0 status once
    must "of one, no summary" test "$(wc -l <"$TOLD")" = 2
    local name
    for name in broken farther flap missing needs slow tool vain waits; do
        ends 3 status base "$name"
        tells "^$name "
    done
    refuses 4 'no service "bsae": did you mean "base"\?' status once bsae
    refuses 4 'nothing_like_it' status nothing_like_it
}
pss_of() { # PID...: as the kernel has it now
    local pid sum=0
    for pid; do
        sum=$((sum + $(awk '/^Pss:/ { print $2 * 1024 }' "/proc/$(outer "$pid")/smaps_rollup")))
    done
    echo "$sum"
}
status_json() {
    ends 0 --json status
    holds --arg names "${ZOO[*]}" '[.services[].name] == ($names | split(" "))'
    holds 'keys == ["services"]'
    services_shaped memory_bytes:number?
    holds --argjson pid "$(pid_of base)" '.services[0] | .pid == $pid and .description == "the ground" and .ready
        and .wanted and .type == "process" and .start == "auto" and .restarts == 0 and .next_ms == null'
    holds '.services[] | select(.name == "broken") | .exit == 4 and .limit == 1 and .window_ms == 60000
        and .cause == "exit" and .pid == null and .memory_bytes == null'
    holds '.services[] | select(.name == "flap") | .next_ms > 10000 and .next_ms <= 50000 and .failures == 1'
    holds '.services[] | select(.name == "missing") | .errno == 2 and .step == "exec" and .cause == "exec"'
    holds '.services[] | select(.name == "needs") | .state == "stopping" and .cause == "requirement" and .up_ms > .for_ms
        and .next_ms <= 70000'
    holds '.services[] | select(.name == "phoenix") | .restarts == 1'
    holds '.services[] | select(.name == "stubborn") | .wanted == false and .ready and .waits_for == "needs"'
    holds '.services[] | select(.name == "tool") | .start == "manual" and .wanted == false'
    holds '.services[] | select(.name == "vain") | .in_vain and .waits_for == "broken"'
    ends 3 --json status slow base
    holds '[.services[].name] == ["base", "slow"]'
    local is
    is=$(pss_of "$(pid_of base)" "$(pid_of kid)")
    # shellcheck disable=SC2016 # for jq
    [ "$is" = 0 ] || holds --argjson is "$is" '.services[0].memory_bytes | . > $is * 0.8 and . < $is * 1.25'
    holds '.services[0].memory_bytes >= 67108864'
    # It has lived since about its first line.
    holds --argjson since "$(($(now) - $(at base start)))" '.services[0].up_ms <= $since + 5000'
    ends 0 --json status base
    local up
    up=$(($(now) - $(at base start)))
    ends 0 --json status base
    holds --argjson up "$up" '.services[0].up_ms >= $up - 3'
}
in_modes "pid1 subreaper user" "status tells of services in each state" in_zoo status_told status_json

why_told() {
    local for='[0-9.]+m?s' later='([1-7][0-9]s|1m|1m[0-9]+s)'
    ends 0 why base
    must "nothing else" test "$(wc -l <"$TOLD")" = 1
    tells "^base is running and ready, pid $(pid_of base), for $for\.\$"
    ends 0 why flap
    tells "^flap is in backoff: exit 3, next try in $later\.\$" \
        "^The last life of flap ended $for ago: exit 3 after [0-9]+ms\.\$"
    ends 0 why waits
    tells "^waits is pending for $for: it waits for flap\.\$" '^flap is in backoff'
    ends 0 why farther
    must "a chain of three, in order" diff <(grep -oE '^(farther|waits|flap) is' "$TOLD") \
        <(printf '%s is\n' farther waits flap)
    tells '^farther is pending .* it waits for waits\.$'
    ends 0 why broken
    tells '^broken failed: exit 4; it gave up after 1 start in 1m\. `tendctl start broken` tries again\.$'
    ends 0 why missing
    tells '^missing failed: exec: No such file or directory; it gave up after'
    ends 0 why vain
    tells '^vain is pending for .*: it waits for broken, which will not become ready by itself\.$' '^broken failed: exit 4'
    ends 0 why once
    tells "^once is done: exit 0 $for ago\.\$"
    ends 0 why tool
    tells_only 'tool is down: it is started by request only. `tendctl start tool` starts it.'
    ends 0 why slow
    tells "^slow is starting for $for, pid $(pid_of slow); it must be ready within 1m[0-9]+s\.\$"
    ends 0 why phoenix
    tells '^phoenix is running' "^The last life of phoenix ended .* ago: signal KILL after $for\.\$"
    ends 0 why stubborn
    tells "^stubborn is running and ready, pid $(pid_of stubborn), for $for\. It is to be stopped, and waits for the end of needs\.\$" \
        "^needs is stopping for $for \(what it requires went\); the next step comes in $later\.\$" \
        "^  pid $(pid_of needs) \(actor\) of needs, state S" "^  pid $(pid_of helper) \(actor\) of needs, state S"
    must "nobody else holds it up" test "$(grep -c '^  pid' "$TOLD")" = 2
    refuses 4 'no service "slo": did you mean "slow"' why slo
}
why_json() {
    ends 0 --json why farther
    holds 'keys == ["death", "processes", "services"]'
    holds '[.services[].name] == ["farther", "waits", "flap"] and .processes == []'
    services_shaped
    shaped "$DEATH" '.death'
    holds '.death | .service == "flap" and .exit == 3'
    ends 0 --json why stubborn
    shaped "$PROCESS" '.processes[]'
    holds --argjson a "$(pid_of needs)" --argjson b "$(pid_of helper)" '([.processes[].pid] | sort) == ([$a, $b] | sort)'
    holds '.death == null'
}
in_modes "pid1 user" "why tells what holds it up, and how it ended" in_zoo why_told why_json

graph_told() {
    AS=(env LC_ALL=C)
    ends 0 graph
    tells '^base running$' '^flap backoff$' '^`- waits pending \(requires' '^broken failed$' '^`- vain pending \(requires\)$' \
        '^stubborn running$' '^`- needs stopping \(requires\)$' '^tool down$' '^slow starting$' '^once done$' \
        'waits pending \(after' 'farther pending \(wants' 'farther pending \(requires'
    must "each edge once" test "$(grep -c '(' "$TOLD")" = 6
    must "in ASCII where the locale is not UTF-8" not grep -q '[^ -~]' "$TOLD"
    cp "$TOLD" "$T/ascii"
    AS=(env LC_ALL=C.UTF-8)
    ends 0 graph
    AS=()
    must "with lines where it is" grep -q '^└─ needs stopping (requires)$' "$TOLD"
    must "the same tree" diff "$T/ascii" <(sed 's/├/|/g; s/│/|/g; s/└/`/g; s/─/-/g' "$TOLD")
}
graph_json() {
    ends 0 --json graph
    holds 'keys == ["edges", "services"]'
    services_shaped
    shaped "$EDGE" '.edges[]'
    holds --arg names "${ZOO[*]}" '[.services[].name] == ($names | split(" "))'
    holds '[.edges[] | "\(.from) \(.kind) \(.to)"] | sort == ["farther requires waits", "farther wants base",
        "needs requires stubborn", "vain requires broken", "waits after once", "waits requires flap"]'
}
# Only statements of the language that graphviz reads, each service once, each edge once.
graph_dot() {
    local name
    ends 0 graph --dot
    must "begins" test "$(head -n 1 "$TOLD")" = 'digraph tend {'
    must "ends" test "$(tail -n 1 "$TOLD")" = '}'
    local word='[a-z]+' text='"[^"]*"'
    must "each line is a statement" not grep -qvE "^(digraph tend \{|\}|    rankdir = [A-Z]+;|    (node|edge|$text( -> $text)?) \[$word = ($word|$text|[0-9]+)(, $word = ($word|$text|[0-9]+))*\];)\$" "$TOLD"
    for name in "${ZOO[@]}"; do
        must "$name once" test "$(grep -c "^    \"$name\" \[" "$TOLD")" = 1
    done
    must "six edges" test "$(grep -c -- '->' "$TOLD")" = 6
    tells '"needs" -> "stubborn" \[style = solid, label = "requires"\]' '"farther" -> "base" \[style = dashed, label = "wants"\]' \
        '"waits" -> "once" \[style = dotted, label = "after"\]' '"broken" \[fillcolor = lightcoral, label = "broken\\nfailed"\]' \
        '"base" \[fillcolor = palegreen' '"flap" \[fillcolor = khaki'
    ends 64 --json graph --dot
    holds '.error | .code == "usage" and (.text | test("do not go together"))'
}
ready_told() {
    ends 1 ready
    tells '^broken: failed, exit 4' '^farther: pending, waits for waits$' '^flap: backoff, exit 3, next try in ' \
        "^needs: stopping, pid $(pid_of needs)" '^missing: failed, exec: No such file' \
        "^slow: starting, pid $(pid_of slow), ready within" '^vain: pending, waits for broken, in vain$' '^3 of 11 ready$'
    must "those that are ready are not told, nor those not wanted" not grep -qE '^(base|once|phoenix|tool|stubborn):' "$TOLD"
    ends 0 ready base once
    tells_only '2 of 2 ready'
    ends 1 ready base slow
    tells '^1 of 2 ready$'
    ends 1 --json ready
    holds 'keys == ["count", "of", "ready", "services"] and .ready == false and .count == 3 and .of == 11
        and (.services | length) == 8'
    services_shaped
    ends 0 --json ready base
    holds '. == {"services": [], "ready": true, "count": 1, "of": 1}'
    refuses 4 'did you mean "base"' ready bas
}
names_told() {
    ends 0 names
    tells_only "${ZOO[@]}"
    ends 0 --json names
    holds --arg names "${ZOO[*]}" '. == {"names": ($names | split(" "))}'
}
run_case subreaper "graph: a tree, a document, a drawing" in_zoo graph_told graph_json graph_dot
run_case subreaper "ready and names of services in each state" in_zoo ready_told names_told

stuck() {
    lacks jq && return
    service s 'stop { grace = "100ms" }' ignore=TERM pause
    service base '' pause
    begins s base || return
    "$BIN/actor" "$J" tracer hold="$(outer "$(pid_of s)")" pause &
    must "it cannot end" wait_until 10 up tracer || return
    goes stop stop --wait s
    becomes s killing
    ends 0 why s
    tells "^s does not end by itself: KILL was sent.*; it is given up in [0-9.]+m?s\.\$" "^  pid $(pid_of s) \(actor\) of s, state [tZ]"
    comes stop 1
    must "with the reason" grep -q "^tendctl: s: KILL has no effect" "$T/flag.stop.err"
    ends 0 why s
    tells '^s is stuck for .*: KILL has no effect on its processes\.$' "^  pid $(pid_of s) \(actor\) of s"
    ends 3 status s
    tells '^s +stuck +- .*KILL has no effect$'
    kill -KILL "$(events tracer start | cut -d' ' -f2)"
    must "let go, it ends" wait_until 10 state s down
}
run_case subreaper "a stop that KILL does not end: told, and given up" stuck

done_testing
