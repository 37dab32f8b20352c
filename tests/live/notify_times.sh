#!/bin/bash
# What services say by sd_notify(3) of time: more of it, that they stop, that they are alive.
# shellcheck disable=SC2016,SC2119 # for jq; without arguments
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"
# shellcheck source=probes.bash
. "$(dirname "$0")/probes.bash"
# shellcheck source=notify.bash
. "$(dirname "$0")/notify.bash"

ON='ready { on = notify timeout = "500ms" }'
ALL='notify { access = all }'
ONCE='restart { policy = never }'
between() { # FROM TO LEAST [MOST]: milliseconds
    [ $(($2 - $1)) -ge "$3" ] && [ $(($2 - $1)) -lt "${4:-1000000}" ]
}
last_death() { # NAME FILTER
    client "$BIN/tendctl" --json history "$1" | jq -e ".deaths[-1] | $2"
}

# ---- EXTEND_TIMEOUT_USEC ----
start_extended() {
    lacks jq && return
    service s "$ON $ONCE" notify=EXTEND_TIMEOUT_USEC=1500000 sleep=1000 notify=READY=1 $END pause
    service twice "$ON $ONCE" notify=EXTEND_TIMEOUT_USEC=900000 sleep=400 \
        notify=EXTEND_TIMEOUT_USEC=900000 sleep=700 notify=READY=1 $END pause
    service late "$ON $ONCE" notify=EXTEND_TIMEOUT_USEC=1200000 notify=EXTEND_TIMEOUT_USEC=1000 $END pause
    service none "$ON $ONCE" notify=STATUS=slow $END pause
    service bad "$ON $ONCE" notify=EXTEND_TIMEOUT_USEC=1e6 $END pause
    service other '' $END pause
    is_there s || return
    gets s "$READY"
    gets twice "$READY"
    for name in late none bad; do
        gets $name '.state == "failed" and .cause == "timeout"'
    done
    must "it took longer than is written" between "$(at s start)" "$(at s notified)" 900
    must "who asked for more got it: $(($(at late "got TERM") - $(at late start)))" between "$(at late start)" "$(at late "got TERM")" 1100
    must "the others got none: $(($(at none "got TERM") - $(at none start)))" between "$(at none start)" "$(at none "got TERM")" 400 1100
    must "nor who said it badly" between "$(at bad start)" "$(at bad "got TERM")" 400 1100
}
in_modes "pid1 user" "EXTEND_TIMEOUT_USEC: more time to start" start_extended

# It asks for more and more when it is told to go, in a process of its own.
asks_for_more() { # MICROSECONDS
    printf '%s\n' fork=asks ignore=TERM "await=$T/flag.more"
    for _ in {1..60}; do
        printf '%s\n' "notify=EXTEND_TIMEOUT_USEC=$1" sleep=100
    done
    printf '%s\n' pause end
}
stop_extended() {
    lacks jq && return
    local begin
    # shellcheck disable=SC2046 # words
    service s "$ALL stop { grace = \"500ms\" max = \"2s\" }" ignore=TERM $(asks_for_more 1000000) pause
    # shellcheck disable=SC2046 # words
    service short "$ALL stop { grace = \"500ms\" }" ignore=TERM $(asks_for_more 1000000) pause
    begins s short || return
    begin=$(now)
    touch "$T/flag.more"
    ends 0 stop --wait short
    must "without stop.max it has its grace: $(($(now) - begin))" between "$begin" "$(now)" 450 1500
    begin=$(now)
    ends 0 stop --wait s
    must "with it, that: $(($(now) - begin))" between "$begin" "$(now)" 1700 3000
}
in_modes "pid1 user" "EXTEND_TIMEOUT_USEC: more time to stop, up to stop.max" stop_extended

stop_has_time() {
    lacks jq && return
    service s "$ALL stop { grace = \"400ms\" max = \"8s\" }" fork=asks ignore=TERM "await=$T/flag.more" notify=EXTEND_TIMEOUT_USEC=5000000 pause end \
        on=TERM:clean:1200:0 "await=$T/flag.never" pause
    run_tend "$MODE"
    must "start" wait_until 20 seen asks start || return
    wait_until 10 reachable
    goes stop stop --wait s
    must "it is told" wait_until 10 seen asks start
    wait_until 5 stopping s
    touch "$T/flag.more"
    must "it has the time that it needs" wait_until 10 seen s "exit 0"
    comes stop 0
    must "and no KILL" seen s cleaned
}
stopping() {
    state "$1" stopping
}
in_modes "pid1 user" "EXTEND_TIMEOUT_USEC: a stop that needs it has it" stop_has_time

# ---- STOPPING ----
leaves() {
    lacks jq && return
    service well "$ALL $ONCE" "${NOTE[@]}" "await=$T/flag.go" notify=STOPPING=1 "await=$T/flag.go2" exit=0
    service badly "$ALL $ONCE" "${NOTE[@]}" "await=$T/flag.go" notify=STOPPING=1 "await=$T/flag.go2" exit=3
    service again "$ALL restart { policy = always delay = \"10ms\" }" "${NOTE[@]}" "unless=$T/flag.one" "touch=$T/flag.one" "await=$T/flag.go" notify=STOPPING=1 "await=$T/flag.go2" exit=0 end pause
    service stays "$ALL $ONCE stop { grace = \"700ms\" }" "${NOTE[@]}" "await=$T/flag.go" notify=STOPPING=1 pause
    service other '' $END pause
    is_there well badly again stays || return
    touch "$T/flag.go"
    for name in well badly again; do
        gets $name '.state == "stopping"' || break
    done
    touch "$T/flag.go2"
    must "nobody is sent a signal" not grep -q ' got ' "$J" || return
    gets well '.state == "done"'
    gets badly '.state == "failed" and .exit == 3'
    must "it comes again" wait_until 20 seen again start 2
    gets stays '.state == "failed" and .killed_by == "KILL"'
    must "nobody was sent a signal: $(grep -c ' got ' "$J")" not grep -q ' got ' "$J"
    must "who did not go had its time: $(tend_events stays 'select(.signal == "KILL") | .kind')" \
        test $(($(tend_events stays 'select(.to == "killing") | .at_ms' | tail -n 1) - $(tend_events stays 'select(.to == "stopping") | .at_ms' | tail -n 1))) -ge 650
    must "nobody else was touched" all_alive other
}
in_modes "pid1 subreaper user" "STOPPING: it goes by itself, or gets KILL after its grace" leaves

# ---- the watchdog ----
FEEDS=(fork=feeds)
for _ in {1..200}; do
    FEEDS+=(notify=WATCHDOG=1 sleep=150)
done
FEEDS+=(pause end)
starved() {
    lacks jq && return
    service s 'watchdog = "300ms" restart { delay = "10ms" max_delay = "10ms" limit = 0 }' fork=kid pause end pause
    service polite 'watchdog = "300ms" watchdog_signal = USR1 restart { policy = never }' on=USR1:exit:0 on=TERM:exit:0 on=ABRT:exit:0 pause
    service fed 'watchdog = "900ms"' "${NOTE[@]}" "${FEEDS[@]}" pause
    service other '' "${NOTE[@]}" pause
    begins s polite other fed || return
    must "it is started again and again" wait_until 20 seen s up 6
    must "of its watchdog: $(client "$BIN/tendctl" --json history s)" died_of s watchdog
    must "by ABRT" last_death s '.killed_by == "ABRT"'
    must "not before its time" between "$(at s start 1)" "$(at s start 2)" 280
    must "its child is gone too" wait_until 5 gone "$(pid_of kid 1)"
    must "it is told" said 's: watchdog: '
    gets polite '.state == "failed" and .cause == "watchdog"'
    must "its own signal" seen polite "got USR1"
    must "no other" test "$(count polite got)" = 1
    must "who is fed lives" test "$(count fed start)" = 1
    must "and is told nothing" never fed got
    must "nor is anybody else" never other got
    gets fed "$READY and .watchdog_ms == 900"
}
in_modes "pid1 user" "watchdog: who does not say that it is alive is stopped" starved

# It stops by ABRT at once, then as every stop does.
starved_stubborn() {
    lacks jq && return
    service s "watchdog = \"300ms\" $ONCE stop { grace = \"400ms\" }" ignore=ABRT,TERM pause
    service triggers "$ALL $ONCE" on=ABRT:note "await=$T/flag.go" notify=WATCHDOG=trigger on=ABRT:exit:0 pause
    service trig2 "watchdog = \"600s\" $ONCE" "await=$T/flag.go" notify=WATCHDOG=trigger pause
    service other '' $END pause
    begins s other || return
    gets s '.state == "failed" and .killed_by == "KILL" and .cause == "watchdog"'
    touch "$T/flag.go"
    gets triggers '.state == "failed" and .cause == "watchdog"'
    gets trig2 '.state == "failed" and .cause == "watchdog" and .killed_by == "ABRT"'
}
in_modes "pid1 user" "watchdog: KILL when ABRT does nothing; WATCHDOG=trigger" starved_stubborn

watchdog_changed() {
    lacks jq && return
    service off 'watchdog = "400ms"' "${NOTE[@]}" notify=WATCHDOG_USEC=0 facts pause
    service longer 'watchdog = "400ms"' "${NOTE[@]}" notify=WATCHDOG_USEC=60000000 pause
    service shorter "watchdog = \"600s\" $ONCE" "await=$T/flag.go" notify=WATCHDOG_USEC=200000 pause
    service on "$ALL $ONCE" "await=$T/flag.go" notify=WATCHDOG_USEC=200000 facts pause
    service other '' $END pause
    begins off longer other || return
    must "what the environment says" grep -q ' off fact env WATCHDOG_USEC=400000' "$J"
    must "and of whom" seen off "fact env WATCHDOG_PID=$(pid_of off)"
    touch "$T/flag.go"
    gets shorter '.state == "failed" and .cause == "watchdog"'
    gets on '.state == "failed" and .cause == "watchdog"'
    nap 0.7
    must "they live" all_alive off longer
    must "and were told nothing" test "$(count off got)$(count longer got)" = 00
    must "one life" test "$(count off start)$(count longer start)" = 11
    must "none, none" service_has off '.watchdog_ms == null'
    must "another one" service_has longer '.watchdog_ms == 60000'
    must "who has none written is not told" test "$(env_facts on WATCHDOG_USEC)" = 0
}
in_modes "pid1 user" "WATCHDOG_USEC: longer, shorter, off, on" watchdog_changed

done_testing
