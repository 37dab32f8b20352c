#!/bin/bash
# A stop is complete, not early and not late.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

ALL="pid1 subreaper user cgroup"

# TERM to tend; the time of it is in BEGIN.
begin_stop() {
    BEGIN=$(now)
    kill -TERM "$TEND"
}
watch() { # NAME: the journal tells when the process of this name is gone, under watch-NAME
    "$BIN/actor" "$J" "watch-$1" "watch=$(outer "$(pid_of "$1")")" &
    wait_until 5 seen "watch-$1" watching
}

cleanup() { # STEP...: of the child, before it is up
    service web 'stop { grace = "5s" }' fork=child "$@" on=TERM:clean:700:0 pause end on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up web child || return
    begin_stop
    must "tend ends" await_end 20
    must "the leader exited on TERM" seen web "exit 0"
    must "the child was told" seen child "got TERM"
    must "the child could clean up" seen child cleaned
    must "once told" test "$(count child "got TERM")" = 1
}
in_modes "$ALL" "a leader that exits at once does not cost its child the clean-up" cleanup
in_modes "$ALL" "the same for a child in a session of its own" cleanup setsid
in_modes "$ALL" "the same for a child in a group of its own" cleanup setpgid

# Its main process dies of TERM before anybody can ask who its children are.
cleanup_before_dependency() {
    service db '' on=TERM:exit:0 pause
    service web 'requires = {db} stop { grace = "5s" }' fork=child setsid on=TERM:clean:500:0 pause end pause
    run_tend "$MODE"
    must "start" wait_until 10 up db web child || return
    begin_stop
    must "tend ends" await_end 20
    must "the child could clean up" seen child cleaned
    must "db is told when the child is gone" test "$(at db "got TERM" 1)" -ge "$(at child cleaned 1)"
}
in_modes "$ALL" "what a service left in another session is gone before its dependency is told" cleanup_before_dependency

f017() {
    service early 'stop { grace = "1s" }' on=TERM:clean:500:0 pause
    service late 'stop { grace = "1s" }' on=TERM:clean:60000:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up early late || return
    must "watched" watch late
    begin_stop
    must "tend ends" await_end 20
    must "one that needs half the grace ends by itself" seen early "exit 0"
    wait_until 5 seen watch-late died
    must "no KILL before the grace ran out" test $(($(at watch-late died) - BEGIN)) -ge 1000
    must "KILL at last" test $(($(at watch-late died) - BEGIN)) -lt 5000
    must "it did not end by itself" never late exit
}
in_modes "$ALL" "F017 KILL comes when the grace has run out, not before" f017

f017_steps() {
    service s 'stop { signal = HUP grace = "300ms" then = {"INT 400ms", "USR2 300ms"} }' on=any:note pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    must "watched" watch s
    begin_stop
    must "tend ends" await_end 20
    wait_until 5 seen watch-s died
    local hup int usr2
    hup=$(at s "got HUP" 1) int=$(at s "got INT" 1) usr2=$(at s "got USR2" 1)
    must "first step" test "$hup" -ge "$BEGIN"
    must "second step not early" test $((int - BEGIN)) -ge 300
    must "third step not early" test $((usr2 - BEGIN)) -ge 700
    must "KILL not early" test $(($(at watch-s died) - BEGIN)) -ge 1000
    must "each told once" test "$(count s "got HUP")$(count s "got INT")$(count s "got USR2")" = 111
}
in_modes "pid1 subreaper" "F017 each step of a stop has its time" f017_steps

f018_sweep() {
    conf 'supervisor { grace = "500ms" }'
    service s 'stop { grace = "500ms" }' daemon=stray ignore=TERM,HUP,INT pause end on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s stray || return
    begin_stop
    must "tend ends" await_end 30
    must "the daemon is gone with it" no_actors
}
in_modes "$ALL" "F018 a daemonised child that ignores TERM does not outlive tend" f018_sweep

f018_polite() {
    service s '' daemon=stray on=TERM:clean:300:0 pause end on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s stray || return
    stop_tend
    must "the daemon was told and waited for" seen stray cleaned
}
in_modes "$ALL" "F018 a daemonised child may clean up, too" f018_polite

f018_cgroup() {
    denied clone3 && return
    service s 'stop { grace = "500ms" } restart { policy = always delay = "10ms" limit = 0 }' \
        "unless=$T/flag.1" daemon=stray ignore=TERM pause end "touch=$T/flag.1" pause end pause
    run_tend "$MODE"
    must "start" wait_until 10 up s stray || return
    watch stray
    signal KILL s
    must "starts again" wait_until 20 seen s start 2
    must "the daemon was gone before" test "$(at watch-stray died)" -le "$(at s start 2)"
}
run_case cgroup "F018 with a cgroup a daemonised child is gone before the next start" f018_cgroup

f019() { # REACTION of the worker to TERM
    local port=$((20000 + RANDOM % 10000))
    service s 'stop { grace = "600ms" } restart { policy = always delay = "10ms" limit = 0 }' \
        fork=worker "flock=$T/flag.lock" bind=$port "$1" pause end pause
    run_tend "$MODE"
    must "start" wait_until 10 up s worker || return
    local first
    first=$(pid_of worker)
    signal KILL s
    must "starts again" wait_until 20 seen worker up 2
    must "the old worker is gone" gone "$first"
    must "the lock was free at the first try" never worker "lock refused"
    must "the port was free at the first try" never worker "bind refused"
    must "two had the lock" seen worker locked 2
}
in_modes "$ALL" "F019 the main died, a worker holds lock and port: cleared before the new start" f019 on=TERM:clean:300:0
in_modes "$ALL" "F019 the same when the worker ignores TERM" f019 ignore=TERM

f055() {
    service s 'stop { grace = "500ms" }' ignore=TERM \
        fork=moved setpgid ignore=TERM pause end \
        fork=stayed ignore=TERM pause end \
        fork=away setsid ignore=TERM pause end pause
    run_tend "$MODE"
    must "start" wait_until 10 up s moved stayed away || return
    watch s
    watch moved
    begin_stop
    must "tend ends" await_end 20
    must "all are gone" no_actors
    wait_until 5 seen watch-moved died
    must "not early" test $(($(at watch-moved died) - BEGIN)) -ge 500
    must "at the grace" test $(($(at watch-moved died) - BEGIN)) -lt 5000
}
in_modes "$ALL" "F055 KILL reaches members in groups and sessions of their own" f055

f056() { # STEP...: what the service does at its start
    service s 'stop { grace = "20s" }' on=TERM:exit:0 fork=child on=TERM:exit:0 pause end "$@" pause
    run_tend "$MODE"
    must "start" wait_until 10 up child || return
    wait_until 10 seen s "${1:-up}" || return
    inside kill -STOP "$(pid_of child)" "$(pid_of s)"
    nap 0.1
    begin_stop
    must "tend ends long before the grace" await_end 10
    must "by TERM" seen s "got TERM"
    must "by its own exit" seen s "exit 0"
    must "the stopped child, too" seen child "exit 0"
}
in_modes "$ALL" "F056 a stopped service hears TERM" f056
in_modes "subreaper" "F056 a service that stopped itself hears TERM" f056 stop

f056_frozen() {
    denied clone3 && return
    service s 'stop { grace = "20s" }' on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    local group
    group=$(sed -n 's/^0:://p' "/proc/$(pid_of s)/cgroup")
    must "it has a group of its own" test "$group" != "$(sed -n 's/^0:://p' "/proc/$TEND/cgroup")"
    echo 1 >"${CGROUP%/*}$group/cgroup.freeze"
    nap 0.1
    begin_stop
    must "tend ends long before the grace" await_end 10
    must "by its own exit" seen s "exit 0"
}
run_case cgroup "F056 a frozen service is thawed and hears TERM" f056_frozen

f076() {
    local i
    for i in $(seq 10); do
        service "s$i" 'stop { grace = "60s" drain = "0s" }' on=TERM:exit:0 pause
    done
    run_tend "$MODE"
    must "start" wait_until 10 seen "" up 10 || return
    begin_stop
    must "tend ends long before the grace" await_end 20
    must "in a moment" test $(($(now) - BEGIN)) -lt 6000
    must "each by its own exit" seen "" "exit 0" 10
}
in_modes "$ALL" "F076 a stop ends as soon as all are gone" f076

to_main() {
    service s 'stop { to = main grace = "1s" }' fork=child on=TERM:exit:0 pause end on=TERM:clean:200:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s child || return
    stop_tend
    must "the main cleaned up" seen s cleaned
    local told
    told=$(at child "got TERM" 1)
    must "the child was not told while the main lived" test "${told:-999999999999}" -ge "$(at s "exit 0")"
}
in_modes "subreaper" "to = main: only the main is told" to_main

to_mixed() {
    service s 'stop { to = mixed grace = "500ms" }' fork=child on=TERM:note pause end ignore=TERM pause
    run_tend "$MODE"
    must "start" wait_until 10 up s child || return
    stop_tend
    must "the child was not told" never child "got TERM"
}
in_modes "subreaper cgroup" "to = mixed: the main is told, KILL goes to all" to_mixed

stop_command() { # STEP... of the command
    service s "stop { grace = \"5s\" command_timeout = \"500ms\" command = $(actor stopper "$@") }" on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    begin_stop
    must "tend ends" await_end 20
    must "the command ran" seen stopper start
    must "once" test "$(count stopper start)" = 1
    must "the service ended by itself" seen s "exit 0"
    must "the command came first" test "$(at stopper start)" -le "$(at s "exit 0")"
}
in_modes "pid1 subreaper user" "a stop command runs at the stop" stop_command exit=0
in_modes "pid1 subreaper user" "a stop command that hangs ends at its timeout" stop_command ignore=TERM pause

left_under_command() {
    service s "stop { grace = \"30s\" command_timeout = \"1s\" command = $(actor stopper pause) }" \
        fork=child on=TERM:clean:100:0 pause end pause
    run_tend "$MODE"
    must "start" wait_until 10 up s child || return
    begin_stop
    must "the command runs" wait_until 10 up stopper || return
    signal KILL s
    must "tend ends" await_end 20
    must "what was left could clean up" seen child cleaned
    must "once told" test "$(count child "got TERM")" = 1
}
in_modes "$ALL" "a service that dies under its stop command: what it left is told after it" left_under_command

escaped_command() {
    service s "stop { grace = \"30s\" command_timeout = \"1s\"
        command = $(actor stopper fork=helper setsid on=TERM:exit:0 pause end pause) }" on=TERM:clean:100:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    begin_stop
    must "the helper is there" wait_until 10 up helper || return
    must "tend ends" await_end 20
    must "it belongs to the service" test "$(at helper "got TERM" 1)" -le "$(at s cleaned)"
}
in_modes "$ALL" "what a stop command that hangs has in another session is the service's" escaped_command

# ---- F080: the pid of a dead main comes back as a stranger while the stop goes on ----
f080() { # ROUNDS
    local round i pids
    for round in $(seq "$1"); do
        begin
        local canaries=()
        service keeper 'stop { grace = "2s" }' ignore=TERM pause
        for i in $(seq 10); do
            service "s$i" 'stop { grace = "600ms" }' fork="m$i" setsid ignore=TERM pause end on=TERM:exit:0 pause
        done
        run_tend "$MODE"
        must "start, round $round" wait_until 10 seen "" up 21 || return
        for i in $(seq 10); do
            canaries+=("at=$(pid_of "s$i"):canary" setsid on=any:note pause end)
        done
        kill -TERM "$TEND"
        must "the mains are gone" wait_until 5 seen "" "exit 0" 10
        inside "$BIN/actor" "$J" nest sleep=20 "${canaries[@]}" pause &
        pids=$!
        wait_until 5 seen canary up 10
        must "at least some canaries have the pids, round $round" seen canary up 5
        # Now the members get KILL; the keeper lives for longer, so that no final sweep has begun.
        nap 1.2
        must "the keeper lives still" alive "$(pid_of keeper)"
        must "no canary was signalled, round $round" never canary got
        for i in $(events canary up | cut -d' ' -f2); do
            must "canary $i lives, round $round" alive "$i"
        done
        must "the members are gone" gone "$(pid_of m1)"
        kill "$pids" 2>/dev/null
        await_end 20
        [ ${#WHY[@]} = 0 ] || return
    done
}
if [ "$EUID" = 0 ]; then
    run_case pid1 "F080 a recycled pid is never signalled" f080 "$(full 50 2)"
fi

done_testing
