#!/bin/bash
# A shutdown wins over everything, keeps the order, and ends.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

FLAP='policy = always limit = 0'

begin_stop() { # SIGNAL
    BEGIN=$(now)
    kill "-${1:-TERM}" "$TEND"
}
no_start_after() { # MS
    events "" start | awk -v after="$1" '$1 > after { found = 1 } END { exit found }'
}

f004() { # DELAY
    service flapping "restart { $FLAP delay = \"$1\" max_delay = \"$1\" }" exit=1
    service idle '' on=TERM:clean:800:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up idle || return
    must "flaps" wait_until 10 seen flapping exit
    nap 0.2
    begin_stop
    must "tend ends" await_end 20
    must "at once" test $(($(now) - BEGIN)) -lt 5000
    # A fork of just before may still be on its way to its first line.
    must "nothing starts once the shutdown is accepted" no_start_after $(($(at idle "got TERM" 1) + 400))
}
in_modes "pid1 subreaper user" "F004 shutdown while a service waits 60 s for its restart" f004 60s
in_modes "pid1 subreaper user" "F004 shutdown while a service flaps without delay" f004 0s

f015() { # LAUNCHES
    local i lost=0 started
    service one '' on=TERM:exit:0 pause
    service two 'requires = {one}' on=TERM:exit:0 pause
    service three '' pause
    for i in $(seq "$1"); do
        : >"$J"
        launch -c "$CONF"
        nap "0.0$(printf %02d $((RANDOM % 21)))"
        has_become_tend && started=1 || started=0
        kill -TERM "$TEND" 2>/dev/null
        if ! wait_until 2 ended; then
            lost=$((lost + started))
            kill -TERM "$TEND" 2>/dev/null
        fi
        must "launch $i ends" await_end 10 || return
        case $STATUS in
        0) ;;
        143) must "launch $i: killed before main, so nothing runs" not seen "" start ;;
        *) WHY+=("launch $i: status $STATUS") ;;
        esac
        must "launch $i leaves nobody" no_actors || return
    done
    # Only as PID 1 a signal is dropped before main has blocked it.
    [ "$MODE" = pid1 ] || must "no TERM is lost: $lost" test "$lost" = 0
    must "few TERMs fall into the time before main: $lost" test "$lost" -le $(($1 / 3))
}
in_modes "pid1 subreaper user" "F015 TERM within the first 20 ms" f015 "$(full 2000 40)"

f020_never_ready() {
    service stuck 'type = oneshot ready { timeout = "60s" } stop { grace = "5s" }' on=TERM:exit:0 pause
    service waiting 'requires = {stuck}' pause
    run_tend "$MODE"
    must "start" wait_until 10 up stuck || return
    begin_stop
    must "tend ends" await_end 10
    must "what waited never started" never waiting start
}
in_modes "pid1 subreaper user" "F020 shutdown while a service never gets ready" f020_never_ready

f020_many() {
    local i
    for i in $(seq 200); do
        service "s$i" 'stop { grace = "20s" }' on=TERM:exit:0 pause
    done
    service idle '' on=TERM:clean:700:0 pause
    run_tend "$MODE"
    wait_until 10 seen "" start
    nap 0.01
    begin_stop
    must "tend ends" await_end 20
    must "before any grace" test $(($(now) - BEGIN)) -lt 15000
    must "no start after it" no_start_after $((BEGIN + 600))
    must "nobody is left" no_actors
}
in_modes "pid1 subreaper user" "F020 shutdown 10 ms into the start of 200 services" f020_many

f020_reload() {
    service s '' on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    service new '' pause
    begin_stop HUP
    kill -TERM "$TEND"
    kill -HUP "$TEND"
    must "tend ends" await_end 20
    must "status" test "$STATUS" = 0
}
in_modes "pid1 subreaper user" "F020 reload and shutdown in the same moment" f020_reload

f021() {
    local backoff="restart { $FLAP delay = \"60s\" max_delay = \"60s\" }"
    service base '' on=TERM:clean:100:0 pause
    service left 'requires = {base}' on=TERM:clean:200:0 pause
    service right 'wants = {base}' fork=straggler on=TERM:clean:400:0 pause end on=TERM:exit:0 pause
    service top 'requires = {left} after = {right}' on=TERM:clean:200:0 pause
    service chain1 '' on=TERM:clean:50:0 pause
    local i
    for i in 2 3 4 5; do
        service "chain$i" "requires = {chain$((i - 1))}" on=TERM:clean:200:0 pause
    done
    service backing "requires = {base} $backoff" exit=1
    service failed 'requires = {base} restart { policy = never }' exit=1
    run_tend "$MODE"
    must "start" wait_until 10 up base left right straggler top chain5 || return
    must "the others, too" wait_until 10 seen failed exit
    begin_stop
    must "tend ends" await_end 20
    local pair x dependent
    for pair in base:left base:right base:straggler left:top right:top straggler:top \
        chain1:chain2 chain2:chain3 chain3:chain4 chain4:chain5; do
        x=${pair%:*} dependent=${pair#*:}
        must "$x is told when $dependent is gone" test \
            "$(at "$x" "got TERM" 1)" -ge "$(at "$dependent" "exit 0")"
    done
    must "what depends on nothing is told at once" test \
        $(($(at chain5 "got TERM" 1) - BEGIN)) -lt 2000
}
in_modes "pid1 subreaper user cgroup" "F021 nobody is told before his dependents are gone" f021

f039() {
    local i
    service s1 'stop { grace = "300ms" }' ignore=TERM,INT pause
    for i in $(seq 2 10); do
        service "s$i" "requires = {s$((i - 1))} stop { grace = \"300ms\" }" ignore=TERM,INT pause
    done
    run_tend "$MODE"
    must "start" wait_until 10 seen "" up 10 || return
    begin_stop
    must "tend ends" await_end 60
    local took=$(($(now) - BEGIN))
    must "not before the ten graces: $took ms" test "$took" -ge 3000
    must "soon after them: $took ms" test "$took" -lt 12000
    must "status" test "$STATUS" = 0
}
in_modes "pid1 subreaper" "F039 ten in a chain that ignore TERM: the sum of their graces" f039

f074_repeat() {
    service s 'stop { grace = "30s" }' on=any:clean:1000:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    local i
    begin_stop
    for i in $(seq 49); do
        nap 0.01
        kill -TERM "$TEND"
    done
    must "tend ends" await_end 20
    must "told once" test "$(count s "got TERM")" = 1
    must "the grace is kept" seen s cleaned
    must "status" test "$STATUS" = 0
}
in_modes "pid1 subreaper user" "F074 TERM 50 times is one shutdown" f074_repeat

f074_hurry() { # SIGNAL...
    service s 'stop { grace = "60s" }' ignore=TERM,INT pause
    service base 'stop { grace = "60s" }' on=TERM:clean:60000:0 pause
    service dependent 'requires = {base} stop { grace = "60s" }' on=TERM:clean:60000:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s base dependent || return
    local signal
    begin_stop TERM
    must "the shutdown runs" wait_until 5 seen dependent "got TERM"
    must "it waits" running
    for signal; do
        kill "-$signal" "$TEND"
        nap 0.1
    done
    must "tend ends" await_end 10
    must "status" test "$STATUS" = 0
}
in_modes "pid1 subreaper user" "F074 TERM, then INT twice: hurry" f074_hurry INT INT
in_modes "pid1 subreaper" "F074 TERM, then QUIT: hurry" f074_hurry QUIT

hup_on_a_terminal() {
    service s '' on=TERM:exit:0 pause
    WRAP=("$BIN/actor" "$J" terminal tty)
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    must "an unread terminal does not hold tend up" seen terminal command
    kill -HUP "$(events terminal command | cut -d' ' -f5)"
    must "tend ends" await_end 20
    must "the service ended by itself" seen s "exit 0"
    must "status" test "$STATUS" = 0
}
run_case subreaper "F006 F074 HUP of its terminal is a shutdown, though the terminal is stopped" hup_on_a_terminal

exit_code() { # WANT, KEYS, STEP...
    local want=$1 keys=$2
    shift 2
    service s "$keys" "$@"
    service other 'restart { policy = never }' exit=9
    run_tend "$MODE"
    must "tend ends by itself" await_end 20
    must "with $want, got $STATUS" test "$STATUS" = "$want"
}
once='restart { policy = never }'
in_modes "pid1 subreaper user" "the main service's code is tend's" exit_code 3 "main = true $once" sleep=100 exit=3
in_modes "pid1 subreaper" "the main service's signal is tend's code" exit_code 137 "main = true $once" sleep=100 kill=KILL
in_modes "pid1 subreaper" "all are done or failed: 1 if any failed" exit_code 1 "$once" sleep=100 exit=0

# The one that decides cannot come any more: nothing is left to wait for.
main_in_vain() {
    service db "$once" sleep=300 exit=4
    service app 'main = true requires = {db}' pause
    service other '' on=TERM:exit:0 pause
    run_tend "$MODE"
    must "tend ends by itself" await_end 20
    must "with 1, got $STATUS" test "$STATUS" = 1
    must "the others are told" seen other "got TERM"
}
in_modes "pid1 subreaper" "a main service that waits in vain ends everything" main_in_vain

# What belongs to no service is not waited for either.
hurry_sweep() {
    service s "$once" daemon=stray ignore=TERM pause end sleep=100 exit=0
    service keeper '' on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up stray keeper || return
    begin_stop INT
    must "it waits for the stray" wait_until 10 seen keeper "exit 0"
    kill -INT "$TEND"
    must "tend ends before the grace" await_end 8
}
in_modes "pid1 subreaper" "F074 INT twice is a hurry for strays, too" hurry_sweep

all_done() {
    service s 'type = oneshot' sleep=50 exit=0
    service t 'type = oneshot requires = {s}' exit=0
    run_tend "$MODE"
    must "tend ends by itself" await_end 20
    must "with 0, got $STATUS" test "$STATUS" = 0
}
in_modes "pid1 subreaper user" "F048 all are done: 0" all_done

report() {
    service s '' on=TERM:exit:0 pause
    service stubborn 'stop { grace = "200ms" }' ignore=TERM pause
    run_tend "$MODE"
    must "start" wait_until 10 up s stubborn || return
    stop_tend
    must "the report names who went by itself" said 's.*TERM'
    must "and who was killed" said 'stubborn.*KILL'
}
run_case subreaper "the report tells how each service ended" report

done_testing
