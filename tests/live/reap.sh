#!/bin/bash
# Every exit is seen once, whoever's it is.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

started_each() { # PREFIX COUNT TIMES: each of the services started exactly so often
    events "" up | awk -v prefix="$1" -v want="$2" -v times="$3" '
        index($3, prefix) == 1 { n[$3]++ }
        END { for (s in n) { have++; if (n[s] != times) exit 1 } exit have != want }'
}

f001() {
    local i
    for i in $(seq 300); do
        service "s$i" 'restart { policy = always delay = "10ms" limit = 0 }' pause
    done
    run_tend "$MODE"
    must "all start" wait_until 20 seen "" up 300 || return
    kill -STOP "$TEND"
    # shellcheck disable=SC2046
    inside kill -KILL $(events "" up | cut -d' ' -f2)
    nap 0.1
    kill -CONT "$TEND"
    must "all start again" wait_until 20 seen "" up 600
    must "each exactly once" started_each s 300 2
    must "no zombie after 1 s" wait_until 1 no_zombies
    must "still supervises" signal KILL s7
    must "the next exit is seen" wait_until 5 seen s7 up 3
}
in_modes "pid1 subreaper user cgroup" \
    "F001 300 services killed while tend is stopped: each exit seen once" f001

f002() { # ROUNDS
    local i
    for i in $(seq 20); do
        service "s$i" 'restart { policy = always delay = "1ms" max_delay = "1ms" limit = 0 }' exit=0
    done
    run_tend "$MODE"
    must "$1 starts of what exits at once, none stuck" wait_until 100 all_started "$1"
    must "no more starts than exits plus services" test \
        "$(count "" start)" -le $(($(count "" exit) + 20))
}
all_started() { # TOTAL: each of the 20 has had half its share, so none stands still
    awk -v total="$1" '$4 == "start" { n[$3]++; sum++ }
        END { for (s in n) { have++; if (n[s] < total / 40) exit 1 } exit have != 20 || sum < total }' "$J"
}
in_modes "pid1 subreaper user" "F002 a child exits before its pid is stored" f002 "$(full 20000 2000)"

f002_slow_fork() {
    local forks='clone,clone3,fork,vfork'
    lacks strace && return
    WRAP=(strace -D -qq -o /dev/null -e trace="$forks" -e signal=none
        -e inject="$forks:delay_exit=20000")
    f002 200
}
run_case subreaper "F002 the same when fork returns 20 ms late in the parent" f002_slow_fork

f012() { # COUNT
    service flood 'restart { policy = never }' "orphans=$1:10" pause
    service other 'restart { policy = always delay = "10ms" limit = 0 }' pause
    run_tend "$MODE"
    must "orphans are made" wait_until 30 seen flood orphaned
    must "another service is up meanwhile" up other
    must "no zombie within 2 s" wait_until 2 no_zombies
    must "the service was taken for one, not for its orphans" test "$(count flood start)" = 1
    signal KILL other
    must "another service restarts" wait_until 5 seen other up 2
}
in_modes "pid1 subreaper user" "F012 a flood of 5,000 orphans leaves no zombie" f012 5000

f036() {
    WRAP=(env --ignore-signal=CHLD)
    service seven 'success = {7} restart { policy = on-failure delay = "10ms" limit = 0 }' sleep=50 exit=7
    service eight 'success = {7} restart { policy = on-failure delay = "10ms" limit = 0 }' sleep=50 exit=8
    service keep '' pause
    run_tend "$MODE"
    must "8 is a failure" wait_until 10 seen eight start 3
    must "7 is the success it is called" test "$(count seven start)" = 1
    must "the child inherits no ignored CHLD" alive "$(pid_of keep)"
    local begin
    begin=$(now)
    stop_tend
    must "shutdown ends" test $(($(now) - begin)) -lt 5000
}
in_modes "pid1 subreaper user" "F036 tend was started with SIGCHLD ignored: exit codes are still told apart" f036

f036_echild() { # WHICH CALLS
    lacks strace && return
    WRAP=(strace -D -qq -o /dev/null -e trace='wait4,waitid' -e signal=none
        -e inject="wait4,waitid:error=ECHILD:when=$1")
    service one 'stop { grace = "500ms" }' on=TERM:exit:0 pause
    service two 'stop { grace = "500ms" }' on=TERM:exit:0 pause
    run_tend "$MODE"
    must "both start" wait_until 10 up one two || return
    local ticks
    kill -TERM "$TEND"
    nap 1
    ! running || ticks=$(cpu_of "$TEND")
    must "no spin" test "${ticks:-0}" -lt 50
    must "shutdown ends" await_end 30
    must "who ended is not called running" said '  (one|two) .*(left|by itself|on its signal|killed)'
}
run_case subreaper "F036 a wait fails with ECHILD during the stop" f036_echild 4..10
# Not even the loading process is seen to end.
run_case subreaper "F036 every wait fails with ECHILD" f036_echild 2+

f053() {
    service flood '' orphans=1000:5 orphans=1000:5 orphans=1000:5 pause
    service helped "type = process
        before_start = $(actor helper sleep=5 exit=0)
        success = {7}
        restart { policy = always delay = \"1ms\" max_delay = \"1ms\" limit = 0 }" sleep=5 exit=7
    service failing "before_start = $(actor refuser exit=9)
        restart { policy = always delay = \"20ms\" max_delay = \"20ms\" limit = 0 }" pause
    run_tend "$MODE"
    must "the flood ends" wait_until 60 seen flood orphaned 3
    must "the helped service goes on" wait_until 30 seen helped start 50
    must "a helper's failure is the service's: it never ran" never failing start
    must "it was tried again" seen refuser start 3
    stop_tend
    must "each start had its helper" test "$(count helper exit)" -ge "$(count helped start)"
    must "no helper without its start" test "$(count helper exit)" -le $(($(count helped start) + 1))
}
in_modes "pid1 subreaper" "F053 helpers and services among an orphan flood: no status is mixed up" f053

f081_service() {
    service dies 'restart { policy = always delay = "10ms" limit = 0 }' traceme=USR1 pause
    service lives 'restart { policy = always delay = "10ms" limit = 0 } stop { grace = "5s" }' \
        ignore=USR1 traceme=USR1 on=TERM:exit:0 pause
    run_tend "$MODE"
    must "a stop by trace is no exit: it runs on" wait_until 5 seen lives up
    must "the signal is passed on: it dies of it and restarts" wait_until 5 seen dies start 3
    must "it was never taken for dead" test "$(count lives start)" = 1
    local begin
    begin=$(now)
    stop_tend
    must "the stop works inside the grace" test $(($(now) - begin)) -lt 3000
    must "by its own exit" seen lives "exit 0"
}
in_modes "pid1 subreaper user" "F081 a service makes tend its tracer" f081_service

f081_orphan() {
    service parent '' daemon=orphan ignore=USR1 traceme=USR1 on=TERM:exit:0 pause end \
        daemon=late sleep=100 ignore=USR1 traceme=USR1 on=TERM:exit:0 pause end pause
    run_tend "$MODE"
    must "the orphan runs" wait_until 5 seen orphan traced
    must "it runs on" wait_until 5 seen orphan untraced
    must "the late one too" wait_until 5 seen late untraced
    nap 0.3
    must "the service is not taken for dead" test "$(count parent start)" = 1
    local begin
    begin=$(now)
    stop_tend
    must "shutdown is not held up" test $(($(now) - begin)) -lt 5000
}
in_modes "pid1 subreaper" "F081 an adopted orphan makes tend its tracer" f081_orphan

stopped_is_no_exit() {
    service s 'restart { policy = always delay = "10ms" limit = 0 }' pause
    run_tend "$MODE"
    must "starts" wait_until 5 up s
    local i
    for i in 1 2 3 4 5; do
        signal STOP s
        nap 0.02
        signal CONT s
    done
    must "still the same process" alive "$(pid_of s)"
    must "never restarted" test "$(count s start)" = 1
}
in_modes "pid1 subreaper" "P07 a stopped service did not exit" stopped_is_no_exit

done_testing
