#!/bin/bash
# What is said of one life, or of one process, is not taken for another's.
# shellcheck disable=SC2016,SC2119 # for jq; without arguments
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"
# shellcheck source=probes.bash
. "$(dirname "$0")/probes.bash"
# shellcheck source=notify.bash
. "$(dirname "$0")/notify.bash"

ON='ready { on = notify }'
no_pidfd() { # by which the kernel lets a process be held that is no child
    lacks jq || denied pidfd_open || denied pidfd_send_signal
}
main_is() { # NAME OF: the main process of NAME is the one that plays OF
    gets "$1" "$READY and .pid == $(pid_of "$2")"
}

# ---- main processes ----
# As daemon(7) has it: the child has a session of its own, and the parent is gone when it is named.
daemonizes() {
    no_pidfd && return
    local i
    for i in {1..12}; do
        service "s$i" "$ON restart { policy = never }" "fork=kid$i" setsid $END pause end first 'notify=MAINPID=%c|READY=1' exit=0
    done
    sed -i 's/"first", //' "$CONF"
    begins kid{1..12} || return
    for i in {1..12}; do
        main_is "s$i" "kid$i"
    done
    ends 0 stop --wait s{1..12}
    for i in {1..12}; do
        must "nobody is left" gone "$(pid_of "kid$i")"
    done
}
in_modes "pid1 subreaper user" "a parent names a child in a session of its own and ends" daemonizes

to_and_fro() {
    no_pidfd && return
    service s "$ON stop { grace = \"2s\" }" $END fork=kid $END pause end 'notify=MAINPID=%c|READY=1' "await=$T/flag.1" \
        'notify=MAINPID=%p' "await=$T/flag.2" 'notify=MAINPID=%c' pause
    is_there s kid || return
    main_is s kid
    touch "$T/flag.1"
    main_is s s
    touch "$T/flag.2"
    main_is s kid
    ends 0 stop --wait s
    must "the first is gone" gone "$(pid_of s)"
    must "so is the child" gone "$(pid_of kid)"
}
in_modes "pid1 subreaper user" "named to and fro, nobody is lost" to_and_fro

# Each in a session of its own: by the end neither parent nor session tells of the one in between.
handed_on() {
    no_pidfd && return
    service s "$ON stop { grace = \"2s\" }" fork=one setsid $END "await=$T/flag.1" \
        fork=two setsid $END pause end 'notify=MAINPID=%c' pause end 'notify=MAINPID=%c|READY=1' exit=0
    is_there one || return
    main_is s one
    touch "$T/flag.1"
    must "the next" wait_until 20 seen two start || return
    main_is s two
    ends 0 stop --wait s
    must "the last is gone" gone "$(pid_of two)"
    must "so is the one before" gone "$(pid_of one)"
}
in_modes "pid1 subreaper user" "handed on by those who are not its children" handed_on

# Its number stays in the table until it is reaped; nobody may ask of its service then.
removed() {
    no_pidfd && return
    local i
    service gone "$ON stop { grace = \"100ms\" }" ignore=TERM fork=kid $END pause end 'notify=MAINPID=%c|READY=1' pause
    cp "$CONF" "$CONF.with"
    : >"$CONF"
    for i in {1..8}; do
        service "n$i" "$ON" $END 'notify=READY=1' 'notify=MAINPID=1' sleep=0.05 'notify=MAINPID=1' pause
    done
    cp "$CONF" "$CONF.without"
    cat "$CONF.with" "$CONF.without" >"$CONF"
    begins gone n1 || return
    main_is gone kid
    cp "$CONF.without" "$CONF"
    ends 0 reload
    ends 0 restart n1 n2 n3 n4 n5 n6 n7 n8
    must "it is forgotten" wait_until 10 forgotten gone
    must "its first process too" wait_until 10 gone "$(pid_of gone)"
    gets n1 "$READY"
}
forgotten() { # NAME
    not client "$BIN/tendctl" status "$1"
}
in_modes "pid1 subreaper" "a service is removed whose former main process has to be killed" removed

# ---- lives ----
# While many start, one that is about to has no process yet, but the socket of its last life.
before_the_fork() {
    lacks jq && return
    local i words=()
    service base "$ON" $END 'notify=READY=1' pause
    for i in {1..40}; do
        service "s$i" "$ON requires = {base}" $END pause
        words+=("s$i")
    done
    begins base "${words[@]}" || return
    ends 0 restart base
    for i in {1..50}; do
        for name in "${words[@]}"; do
            [ ! -S "$(address "$name")" ] || address "$name"
        done
    done | send_ready &
    local sender=$!
    for i in {1..40}; do
        must "s$i lives again" wait_until 30 seen "s$i" start 2 || break
    done
    wait $sender
    must "no event is out of place" test "$(lines 'cannot be in state')" = 0
    for i in {1..40}; do
        must "s$i has a process" service_has "s$i" '.pid != null'
    done
}
send_ready() { # ADDRESS lines: READY=1 to each, by us
    inside python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
for address in sys.stdin:
    try:
        s.sendto(b"READY=1", address.rstrip("\n"))
    except OSError:
        pass'
}
run_case pid1 "F065 READY between the decision to start and the fork is nobody's" before_the_fork

# It says how often it will say that it is alive, and does not live to do so.
watchdog_of_the_dying() {
    lacks jq && return
    service s "$ON stop { grace = \"2s\" }" on=TERM:note 'notify=READY=1' "if=$T/flag.dying" pause end "await=$T/flag.dying" \
        'notify=WATCHDOG_USEC=400000' exit=0
    is_there s || return
    gets s "$READY"
    ends 0 restart s
    must "it is told" wait_until 20 seen s "got TERM"
    touch "$T/flag.dying"
    must "it lives again" wait_until 20 seen s start 2 || return
    gets s "$READY"
    must "nothing is to be said any more" service_has s '.watchdog_ms == null'
    nap 1
    must "it stays" service_has s "$READY"
    must "one restart" test "$(count s start)" = 2
}
in_modes "pid1 user" "F065 a watchdog set while it stopped is not that of the next life" watchdog_of_the_dying

# ---- for want of a process ----
# A message that brings a descriptor needs a child, and here there can be none.
no_child() {
    lacks jq && return
    lacks prlimit && return
    local before most
    service s "$ON" $END 'notify=READY=1' "await=$T/flag.go" 'along=STATUS=with' 'notify=STATUS=after' pause
    is_there s || return
    gets s "$READY"
    most=$(client prlimit --pid "$TEND" --nproc --output HARD --noheadings)
    client prlimit --pid "$TEND" --nproc=1:
    touch "$T/flag.go"
    must "that is told" wait_until 20 said 's: its messages wait'
    before=$(cpu_of "$TEND")
    nap 2
    must "nothing spins: $(($(cpu_of "$TEND") - before)) hundredths" test $(($(cpu_of "$TEND") - before)) -lt 40
    told_once 'its messages wait'
    client prlimit --pid "$TEND" --nproc="${most// /}":
    gets s '.status == "after"'
}
run_case user "F042 no process can be had for a message with descriptors" no_child

done_testing
