#!/bin/bash
# Clients of the control socket that mean harm, or are many: nobody waits for them, and they cost
# little.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=clients.bash
. "$(dirname "$0")/clients.bash"

CROWD=hostile
FLAP='restart { policy = always limit = 0 delay = "20ms" max_delay = "20ms" }'
GROUP=61234

with_many() { # what they ask about is much
    local i
    conf "supervisor { group = \"$GROUP\" }"
    service a "$FLAP" on=TERM:exit:0 pause
    for ((i = 1; i <= 300; i++)); do
        conf "service m$i { command = {\"/bin/true\"} start = manual }"
    done
    run_tend "$MODE"
    must "start" wait_until 20 up a && must "reachable" wait_until 10 reachable
}
unharmed() {
    must "tend lives" running
    must "its service was left alone" test "$(count a start)" = 1 -a "$(count a got)" = 0
    signal KILL a
    must "and is supervised" wait_until 20 seen a up 2
    must "a stop works" ask 'stop a' 'wait for=down a'
}

f029() {
    with_many || return
    scene hostile "$TEND" "$(slow)"
    unharmed
}
in_modes "pid1" "F029 200 hostile clients: no other one waits, memory and descriptors are bounded" f029

f029_backlog() {
    with_many || return
    scene backlog "$TEND" 5000 "$(slow)"
    unharmed
}
in_modes "pid1" "F029 5,000 connect while tend is stopped" f029_backlog

p24_stopped() {
    with_many || return
    scene stopped "$TEND"
    unharmed
}
in_modes "pid1 subreaper" "P24 tend was stopped: what came meanwhile comes before time-outs" p24_stopped

f016() {
    with_many || return
    scene come_and_go "$TEND" 1000
    unharmed
}
run_case pid1 "F016 1,000 ask and close at once" f016

full_house() {
    with_many || return
    scene full_house "$TEND"
    unharmed
}
run_case subreaper "F029 all places are taken: the idle one has to go" full_house

full_of_members() {
    with_many || return
    scene full_of_members "$TEND" "$GROUP"
    unharmed
}
if [ "$EUID" = 0 ]; then
    run_case pid1 "F029 the group has half of the places" full_of_members
fi

flooded() {
    with_many || return
    scene flooding "$(slow)"
    unharmed
}
run_case subreaper "F063 two ask without a pause: others are served, services supervised" flooded

# ---- F077 ----
quiet() { # SCENE
    with_many || return
    scene "$1" "$TEND"
    unharmed
}
in_modes "pid1" "F077 200 clients that follow or wait cost no time" quiet quiet
in_modes "pid1" "F077 nor half-closed ones" quiet hung_up

no_more_fds() { # COUNT
    [ "$(fds_of "$TEND")" -le "$1" ]
}
f077_descriptors() {
    local fds
    with_many || return
    fds=$(fds_of "$TEND")
    scene no_descriptors "$TEND"
    # Not even the spare one can be opened again.
    prlimit --pid "$TEND" --nofile=3:
    scene nobody_accepted "$TEND" "$T/flag.waiting" &
    local crowd=$!
    must "they wait" wait_until 20 test -e "$T/flag.waiting"
    signal KILL a
    must "tend lives" running
    prlimit --pid "$TEND" --nofile=1024:
    wait "$crowd"
    must "the service came back" wait_until 20 seen a up 2
    must "reachable" wait_until 10 reachable
    must "no descriptor leaked" wait_until 10 no_more_fds "$fds"
}
in_modes "pid1 subreaper" "F077 no descriptor is left for a client: no spin, and it gets in when there is one" f077_descriptors

# ---- latency beside what services do ----
f012() {
    service a '' pause
    service flood '' orphans=5000:10 pause
    run_tend "$MODE"
    must "start" wait_until 20 up a && must "reachable" wait_until 10 reachable || return
    scene latency "5,000 orphans" 3 "$(slow)"
    must "they were made" wait_until 30 seen flood orphaned
    must "no zombie stays" wait_until 5 no_zombies
}
in_modes "pid1 subreaper" "F012 a flood of orphans does not delay answers" f012

f052() {
    local i
    service a '' pause
    for ((i = 0; i < 100; i++)); do
        conf "service f$i { command = {\"/bin/false\"}
            restart { policy = always limit = 0 delay = \"200ms\" max_delay = \"200ms\" } }"
    done
    run_tend "$MODE"
    must "start" wait_until 20 up a && must "reachable" wait_until 10 reachable || return
    scene latency "100 services flap" 4 "$(slow)"
    must "they do" test "$(ask 'status f7' | field restarts)" -ge 3
}
in_modes "pid1 subreaper" "F052 a hundred flapping services do not delay answers" f052

done_testing
