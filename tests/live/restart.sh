#!/bin/bash
# Start order, restarts, and what becomes of dependents.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

FLAP='policy = always limit = 0'

# By pid: what is ready when its exec succeeds may write its first line after its dependent's.
forked_before() { # FIRST SECOND
    [ "$(pid_of "$1")" -lt "$(pid_of "$2")" ]
}

order() {
    service c 'requires = {b}' pause
    service b 'after = {prepare}' pause
    service prepare 'type = oneshot' sleep=200 exit=0
    service free '' pause
    run_tend "$MODE"
    must "all start" wait_until 10 up b c free || return
    must "a oneshot is ready when it is done" test "$(at b start)" -ge "$(at prepare "exit 0")"
    must "then the next" forked_before b c
    must "what is free does not wait" test "$(at free start)" -lt "$(at prepare "exit 0")"
}
in_modes "pid1 subreaper user" "services start in the order of their dependencies" order

backoff() {
    service s 'restart { policy = always limit = 0 delay = "100ms" max_delay = "400ms" healthy = "60s" }' exit=1
    run_tend "$MODE"
    must "restarts" wait_until 20 seen s start 6 || return
    local i gap want
    # Jitter may shorten or lengthen, but the base is never undercut by more than half.
    for i in 1 2 3 4 5; do
        gap=$(($(at s start $((i + 1))) - $(at s exit "$i")))
        want=$((i == 1 ? 100 : i == 2 ? 200 : 400))
        must "wait $i: $gap" test "$gap" -ge $((want / 2))
        must "wait $i not late: $gap" test "$gap" -lt $((want * 2 + 2000))
    done
}
in_modes "subreaper" "the wait for a restart grows to its cap" backoff

policies() {
    service never 'restart { policy = never }' sleep=20 exit=1
    service once-done 'restart { policy = on-failure delay = "10ms" }' sleep=20 exit=0
    service failing 'restart { policy = on-failure delay = "10ms" limit = 3 window = "60s" }' sleep=20 exit=1
    service killed 'restart { policy = on-failure delay = "10ms" limit = 3 window = "60s" }' sleep=20 kill=KILL
    service always 'restart { policy = always delay = "10ms" limit = 4 window = "60s" }' sleep=20 exit=0
    service keep '' pause
    run_tend "$MODE"
    must "start" wait_until 10 seen always start 4
    nap 1
    must "never: once" test "$(count never start)" = 1
    must "on-failure, success: once" test "$(count once-done start)" = 1
    must "on-failure, limit 3: $(count failing start)" test "$(count failing start)" = 3
    must "on-failure, a signal is failure: $(count killed start)" test "$(count killed start)" = 3
    must "always, limit 4: $(count always start)" test "$(count always start)" = 4
}
in_modes "pid1 subreaper user" "restart policies and their limit" policies

f023_for_good() {
    service b 'type = oneshot' "if=$T/flag.fixed" exit=0 end exit=1
    service a 'requires = {b}' pause
    service far 'requires = {a}' pause
    service keep '' pause
    run_tend "$MODE"
    must "b fails" wait_until 10 seen b exit
    must "the dependent is said to need it" wait_until 5 said 'a.*\bb\b'
    nap 0.3
    must "a never runs without b" never a start
    touch "$T/flag.fixed"
    sed -i "s|^service b {|service b { environment = {\"FIXED=1\"}|" "$CONF"
    kill -HUP "$TEND"
    must "when b is fixed, all come" wait_until 10 up a far
    must "in order" test "$(at a start 1)" -ge "$(at b "exit 0")"
}
in_modes "pid1 subreaper" "F023 a dependency fails for good: dependents wait and come when it is fixed" f023_for_good

f023_flaps() {
    service b "ready { on = exit } type = oneshot restart { policy = on-failure limit = 0 delay = \"50ms\" }" \
        "if=$T/flag.3" exit=0 end "if=$T/flag.2" "touch=$T/flag.3" end "if=$T/flag.1" "touch=$T/flag.2" end "touch=$T/flag.1" exit=1
    service a 'requires = {b}' pause
    run_tend "$MODE"
    must "a comes in the end" wait_until 20 up a || return
    must "b flapped first: $(count b start)" test "$(count b start)" = 4
    must "a never ran without b" test "$(at a start 1)" -ge "$(at b "exit 0")"
    must "a started once" test "$(count a start)" = 1
}
in_modes "pid1 subreaper user" "F023 a dependency flaps three times: its dependent waits" f023_flaps

f023_backoff() {
    service b "restart { $FLAP delay = \"1s\" max_delay = \"1s\" }" pause
    service a "requires = {b} restart { $FLAP delay = \"20ms\" max_delay = \"20ms\" }" pause
    run_tend "$MODE"
    must "start" wait_until 10 up a b || return
    signal KILL b
    nap 0.1
    must "a runs on while b is in backoff" alive "$(pid_of a)"
    must "b is still in backoff" test "$(count b start)" = 1
    signal KILL a
    must "b comes back" wait_until 10 seen b up 2
    must "a, too" wait_until 10 seen a up 2
    must "but not before b" forked_before b a
}
in_modes "subreaper" "F023 nothing starts while what it requires is in backoff" f023_backoff

f023_limit() {
    service b 'restart { policy = always limit = 2 window = "60s" delay = "10ms" }' sleep=300 exit=1
    service a 'requires = {b}' on=TERM:exit:0 pause
    service keep '' pause
    run_tend "$MODE"
    must "a starts" wait_until 10 up a || return
    must "b has its two starts" wait_until 10 seen b exit 2
    must "a goes with b" wait_until 10 gone "$(pid_of a)"
    must "it was told" seen a "got TERM"
    nap 0.3
    must "and stays away" gone "$(pid_of a)"
}
in_modes "subreaper" "F023 a dependency hits its limit: its dependent goes, too" f023_limit

f052() {
    local i
    for i in $(seq 100); do
        service "s$i" 'restart { policy = always }' exit=1
    done
    service other "restart { $FLAP delay = \"10ms\" }" pause
    run_tend "$MODE"
    must "start" wait_until 20 up other || return
    local before after
    nap 2
    before=$(cpu_of "$TEND")
    nap 3
    after=$(cpu_of "$TEND")
    must "the limit holds: $(count "" exit) exits" test "$(count "" exit)" -le 500
    must "each has its five: $(count "" exit)" wait_until 30 seen "" exit 500
    must "little work: $((after - before)) of 300" test $((after - before)) -lt 60
    must "few lines: $(wc -l <"$LOG")" test "$(wc -l <"$LOG")" -lt 3000
    signal KILL other
    must "another service is not held up" wait_until 5 seen other up 2
    nap 0.5
    must "no sixth: $(count "" exit)" test "$(count "" exit)" = 500
}
in_modes "pid1 subreaper" "F052 a hundred services that flap" f052

idle() {
    local i before after
    for i in $(seq 100); do
        service "s$i" '' pause
    done
    run_tend "$MODE"
    must "start" wait_until 20 seen "" up 100 || return
    nap 1
    before=$(wakeups "$TEND")
    nap 10
    after=$(wakeups "$TEND")
    must "it slept through: $before, $after wake-ups" test "$before" = "$after"
}
wakeups() { # each system call that waits ends in one more switch; a tracer would wake it itself
    grep ctxt_switches "/proc/$1/status" | tr -dc '0-9 '
}
in_modes "pid1 subreaper" "an idle tend with 100 services does not wake up in 10 s" idle

done_testing
