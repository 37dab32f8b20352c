#!/bin/bash
# The control socket: how it is spoken to, what is waited for, what is told.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=clients.bash
. "$(dirname "$0")/clients.bash"

FLAP='restart { policy = always limit = 0 delay = "20ms" max_delay = "20ms" }'

many_manual() { # COUNT
    local i
    for ((i = 1; i <= $1; i++)); do
        conf "service m$i { command = {\"/bin/true\"} start = manual }"
    done
}
begins() { # NAME...: tend, until these are up and the socket is there
    run_tend "$MODE"
    must "start" wait_until 20 up "$@" && must "reachable" wait_until 10 reachable
}
last_line() { # FLAG
    tail -n 1 "$T/flag.$1"
}

# ---- F044: frames ----
frames() { # SCENE [ARGUMENT...]
    local first
    service a "$FLAP" on=HUP:note on=USR2:note on=TERM:exit:0 pause
    service b '' on=TERM:exit:0 pause
    many_manual 300
    begins a b || return
    first=$(pid_of a)
    scene "$@"
    must "nobody was told anything" never "" got
    must "nobody was started or stopped" test "$(count "" start)" = 2
    must "still there" alive "$first"
    must "still reachable" reachable
}
in_modes "pid1 subreaper user" "F044 every request cut at each byte" frames cut
in_modes "pid1 user" "F044 what is no request is refused, in one line" frames malformed
in_modes "pid1 user" "F044 the longest line, and longer ones" frames lengths
in_modes "pid1 subreaper" "F044 requests at once: a reply to each, in order" frames pipelined
run_case subreaper "F044 bytes changed at random: a reply to each" frames mutated $RANDOM

# ---- before the first config is in force ----
is_loading() { # PID: it is stopped, before it could end
    local state
    until state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat"); [[ $state == [TZ] || -z $state ]]; do
        nap 0.001
    done
    [ "$state" = T ] && [ "/proc/$1/exe" -ef "$BIN/tend" ]
} 2>/dev/null
# Its loading child is met while it works, and stopped: LOADER. Its answer counts when it is whole.
begins_to_load() {
    many_manual 3000
    for _ in {1..30}; do
        LOADER=
        : >"$J"
        launch -c "$CONF"
        while [ -z "$LOADER" ] && running; do
            read -r LOADER _ <"/proc/$TEND/task/$TEND/children"
        done 2>/dev/null
        if kill -STOP "$LOADER" && is_loading "$LOADER"; then
            must "reachable" wait_until 20 reachable
            return
        fi 2>/dev/null
        end_all 2>/dev/null
    done
    WHY+=("its loading child was never met")
    return 1
}
held() {
    service s '' on=TERM:exit:0 pause
    begins_to_load || return
    must "help" ask help
    must "events" ask events
    client pending "$T/flag.in" 'status s' >"$T/flag.status" &
    client pending "$T/flag.in2" 'wait for=ready s' >"$T/flag.wait" &
    client pending "$T/flag.in3" 'stop m1' >"$T/flag.stop" &
    client pending "$T/flag.in4" 'reload' >"$T/flag.reload" &
    must "all are in" wait_until 10 test -e "$T/flag.in" -a -e "$T/flag.in2" -a -e "$T/flag.in3" -a -e "$T/flag.in4"
    must "status is held" unanswered status
    must "wait is held" unanswered wait
    must "stop is held" unanswered stop
    must "reload is held" unanswered reload
    kill -CONT "$LOADER"
    must "status is answered" answered status '^ok'
    must "of what there is" grep -q '^service name=s ' "$T/flag.status"
    must "wait" answered wait '^ok'
    must "stop" answered stop '^ok'
    must "reload" answered reload '^ok'
}
in_modes "pid1 subreaper" "requests are held until the first config is in force" held

never_loaded() {
    conf 'service s { command = {"/bin/true"} nonsense = 1 }'
    begins_to_load || return
    asks wait 'wait for=ready s'
    kill -CONT "$LOADER"
    must "tend ends" await_end 20
    must "status: $STATUS" test "$STATUS" = 78
    must "who waited is told" answered wait '^error code=shutdown '
}
run_case subreaper "the first config is refused while somebody waits" never_loaded

shutdown_first() {
    service s '' pause
    begins_to_load || return
    asks wait 'wait for=ready s'
    must "asked" ask shutdown
    must "tend ends" await_end 20
    must "status: $STATUS" test "$STATUS" = 0
    must "nothing was started" never s start
    must "who waited is told: $(cat "$T/flag.wait")" answered wait '^error code=shutdown '
}
run_case subreaper "shutdown before the first config is in force" shutdown_first

# ---- waiting for a goal ----
ready_goal() {
    service now '' pause
    service later 'type = oneshot' "await=$T/flag.go" exit=0
    service after 'requires = {later}' pause
    service gave-up 'restart { policy = never }' exit=3
    service needs-it 'requires = {gave-up}' pause
    service fails-later 'type = oneshot' "await=$T/flag.fail" exit=4
    service needs-later 'requires = {fails-later}' pause
    service manual 'start = manual' pause
    service gone 'requires = {later}' pause
    begins now || return
    must "reached now" ask 'wait for=ready now'
    must "gave up" wait_until 10 is gave-up state failed
    must "never: it gave up" replies '^error code=failed name=gave-up text=.*exit 3' 'wait for=ready now gave-up'
    must "never: a requirement did" replies '^error code=failed name=needs-it text=needs gave-up: .*exit 3' \
        'wait for=ready needs-it'
    must "never: not wanted" replies '^error code=failed name=manual text=not wanted' 'wait for=ready manual'
    must "unknown" replies '^error code=unknown name=nosuch' 'wait for=ready now nosuch'
    asks both 'wait for=ready now after'
    asks gone 'wait for=ready gone'
    asks all 'wait for=ready'
    asks later 'wait for=ready needs-later'
    must "all: one gave up" answered all '^error code=failed name=(gave-up|needs-it)'
    must "not yet" unanswered both
    must "nor that" unanswered later
    touch "$T/flag.fail"
    must "it fails" answered later '^error code=failed name=needs-later text=needs fails-later: .*exit 4'
    sed -i '/service gone/,/^}/d' "$CONF"
    must "gone is removed" replies '^change name=gone do=forget' reload
    must "who waited is told" answered gone '^error code=failed name=gone text='
    must "the others not" unanswered both
    touch "$T/flag.go"
    must "reached later" answered both '^ok'
    must "each is told" test "$(grep -c '^service .* ready=1' "$T/flag.both")" = 2
}
in_modes "pid1 subreaper user" "wait for=ready: reached now, later, never" ready_goal

all_goal() {
    service a '' pause
    service b 'type = oneshot' "await=$T/flag.go" exit=0
    service m 'start = manual' pause
    begins a || return
    asks all 'wait for=ready'
    must "ready: one of two" replies '^ok count=1 of=2 ' ready
    must "which is not" replies '^service name=b ' ready
    must "of a" replies '^ok ready=1 count=1 of=1 ' 'ready a'
    touch "$T/flag.go"
    must "all are" answered all '^ok'
    must "a and b" test "$(grep -c '^service ' "$T/flag.all")" = 2
    must "ready" replies '^ok ready=1 count=2 of=2 ' ready
    asks end 'wait for=ready m'
    must "a manual one: never" answered end '^error code=failed name=m'
}
run_case subreaper "wait without names; ready" all_goal

other_goals() {
    service a '' "on=TERM:clean:300:0" pause
    service needs-a 'requires = {a}' on=TERM:exit:0 pause
    service flaky 'restart { policy = on-failure limit = 2 delay = "10ms" }' \
        "unless=$T/flag.go" pause end exit=5
    service needs-flaky 'requires = {flaky}' pause
    service other '' pause
    begins a needs-a flaky || return
    must "down now" not ask 'wait for=down nosuch'
    asks down 'wait for=down a'
    asks downs 'wait for=down a needs-a'
    asks failed 'wait for=failed flaky needs-flaky'
    asks removed 'wait for=failed other'
    asks gone 'wait for=down other'
    must "not yet" unanswered down
    must "nor failed" unanswered failed
    must "stop" ask 'stop a'
    must "down" answered down '^ok'
    must "both" answered downs '^ok'
    must "when it was" test "$(date +%s%3N)" -ge 0 -a "$(count a cleaned)" = 1
    must "down now" ask 'wait for=down a'
    touch "$T/flag.go"
    signal KILL flaky
    must "both failed" answered failed '^ok'
    must "failed now" ask 'wait for=failed flaky'
    must "a failed one is down" ask 'wait for=down flaky'
    sed -i '/service other/,/^}/d' "$CONF"
    must "removed" ask reload
    must "is down" answered gone '^ok'
    must "never failed" answered removed '^error code=failed name=other'
}
in_modes "pid1 subreaper" "wait for=down and for=failed" other_goals

ends_waits() {
    service a 'stop { grace = "60s" }' on=TERM:note pause
    service never 'requires = {late}' pause
    service late 'type = oneshot' "await=$T/flag.go" exit=0
    begins a || return
    asks ready 'wait for=ready never'
    asks failed 'wait for=failed a'
    asks down 'wait for=down a'
    asks follow 'events follow'
    must "asked" ask shutdown
    must "start is refused" replies '^error code=shutdown' 'start never'
    must "plan too" replies '^error code=shutdown' plan
    must "reload too" replies '^error code=shutdown' reload
    must "not status" ask status
    must "asked for more" ask 'shutdown now'
    must "tend ends" await_end 20
    must "ready: never" answered ready '^error code=failed name=never text=tend is shutting down'
    must "failed: never" answered failed '^error code=failed name=a text=tend is shutting down'
    must "down: reached" answered down '^ok'
    must "status: $STATUS" test "$STATUS" = 0
}
in_modes "pid1 subreaper" "a shutdown ends all that is waited for" ends_waits

# ---- why, history, events ----
tells() {
    service base 'type = oneshot' on=TERM:exit:0 pause
    service middle 'requires = {base}' pause
    service top 'requires = {middle}' pause
    service dead 'restart { policy = never }' sleep=50 exit=6
    service stubborn 'stop { grace = "60s" }' ignore=TERM fork=child ignore=TERM pause end pause
    begins base stubborn || return
    must "dead" wait_until 10 is dead state failed
    ask 'why top' >"$T/flag.why"
    must "itself, and whom it waits for" diff <(grep '^service' "$T/flag.why" | field name) <(printf '%s\n' top middle base)
    ask 'why dead' >"$T/flag.dead"
    must "the exit" grep -q '^service name=dead .* exit=6 ' "$T/flag.dead"
    must "the death" grep -qE '^death seq=[0-9]+ at=[0-9]+ kind=death service=dead .*exit=6' "$T/flag.dead"
    must "how long it lived" grep -qE '^death .* ran=[0-9]+' "$T/flag.dead"
    must "history" replies '^death .*service=dead .*exit=6' history
    must "of it alone" test "$(ask 'history dead' | grep -c ^death)" = 1
    must "of none" test "$(ask 'history top' | grep -c ^death)" = 0
    must "graph" replies '^edge from=top to=middle kind=requires' graph
    must "stop" ask 'stop stubborn'
    must "who is left" wait_until 10 replies "^process service=stubborn pid=$(pid_of child) state=S .*command=actor" 'why stubborn'
    must "kill" ask 'signal signal=KILL to=group stubborn' 'wait for=down stubborn'
}
in_modes "pid1 subreaper" "why, graph and history" tells

follows() {
    service flap "$FLAP" sleep=5 exit=0
    service flap2 "$FLAP" sleep=5 exit=0
    service s '' pause
    begins s || return
    scene "$@"
}
run_case subreaper "events follow: all, in order" follows reading 500
run_case subreaper "events follow: who does not read is told what it missed" follows not_reading 3000

# So few that all of it fits between tend and a client that has not read yet.
follows_to_the_end() {
    local i follower
    for ((i = 0; i < 30; i++)); do
        service "s$i" '' on=TERM:exit:0 pause
    done
    run_tend "$MODE"
    must "start" wait_until 20 seen "" up 30 || return
    must "reachable" wait_until 10 reachable
    client follow 'events after=0 follow' >"$T/flag.follow" &
    follower=$!
    must "it follows" answered follow '^event '
    must "asked to end" ask shutdown
    must "tend ends" await_end 20
    must "the follower too" wait_until 10 not kill -0 "$follower"
    # shellcheck disable=SC2016
    must "without a gap" awk '
        $1 == "missed" { next }
        { split($2, f, "="); if (last && f[2] != last + 1) exit 1; last = f[2] }' "$T/flag.follow"
    must "each end is told" test "$(grep -c 'kind=state .* to=down' "$T/flag.follow")" = 30
    must "to the very last: $(last_line follow)" test -n "$(last_line follow | grep 'kind=shutdown.* age=')"
}
in_modes "pid1 subreaper" "events follow: up to the end of tend, without a gap" follows_to_the_end

# ---- F072 ----
f072() {
    local i name pid
    for ((i = 0; i < 20; i++)); do
        service "s$i" "$FLAP" facts pause
    done
    service slow "reload { command = $(actor command facts pause) }" facts pause
    begins s0 s19 slow || return
    for i in 1 2 3 4 5; do
        asks "follow$i" 'wait for=down s0'
    done
    must "a reload is under way" ask 'reload-service slow'
    must "its command runs" wait_until 10 up command
    must "again" ask 'restart s1 s2 s3 s4 s5' 'wait for=ready s1 s2 s3 s4 s5'
    must "killed" ask 'signal signal=KILL s6 s7 s8' && wait_until 10 seen s8 up 2
    for name in s0 s1 s2 s3 s8 slow command; do
        pid=$(outer "$(pid_of "$name")")
        must "$name has three: $(fds_of "$pid")" test "$(fds_of "$pid")" = 3
    done
}
in_modes "pid1 subreaper" "F072 services and commands have no descriptor of the control socket" f072

f072_loader() {
    local i
    service s '' pause
    many_manual 3000
    begins s || return
    for i in 1 2 3; do
        asks "w$i" 'wait for=down s'
    done
    must "the loading child has none of them" wait_until 20 loader_without_sockets
    must "tend loads as ever" ask reload
}
loader_without_sockets() { # it is stopped while we look, for it may be over soon
    local loader='' fds='' reload
    client ask reload >"$T/flag.reload" &
    reload=$!
    while [ -z "$loader" ] && kill -0 "$reload"; do
        read -r _ loader _ <"/proc/$TEND/task/$TEND/children"
    done
    while kill -STOP "$loader"; do
        nap 0.001
        fds=$(find "/proc/$loader/fd" -mindepth 1 -printf '%l\n')
        kill -CONT "$loader"
        grep -q '^socket:' <<<"$fds" || break
        nap 0.001
    done
    wait "$reload"
    [ -n "$fds" ] && ! grep -q '^socket:' <<<"$fds"
}
run_case subreaper "F072 the loading child has none either" f072_loader

done_testing
