#!/bin/bash
# What nobody should say by sd_notify(3), and who should not say anything: nothing comes of it.
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
cp "$(dirname "$0")/notify.py" "$BIN/actor-notify.py" || exit 1 # by that name it is seen when it is left
player() { # NAME KEYS STEP...: see notify.py
    conf "service $1 {" "    $2" \
        "    command = {$(quoted "$PYTHON" -BES "$BIN/actor-notify.py" "$J" "$1" "${@:3}")}" "}"
}
log_size() {
    stat -c %s "$LOG"
}

# ---- F007, F042: what is no message ----
f007() {
    no_server && return
    local before
    player s "$ON" "garbage=$(full 1000000 100000)" "await=$T/flag.go" 'say=READY=1' pause
    service other '' $END pause
    begins other || return
    before=$(fds_of "$TEND")
    must "all is sent" wait_until 100 seen s garbage || return
    must "nothing of that is READY" service_has s "$STARTING"
    must "the log is bounded: $(log_size) bytes" test "$(log_size)" -lt 20000
    must "control bytes are not in it" not grep -q $'[\x1b\x07]' "$LOG"
    must "tend has no more open than before" test "$(fds_of "$TEND")" -le "$((before + 1))"
    touch "$T/flag.go"
    must "READY is" wait_until 10 seen s said
    gets s "$READY"
    must "nobody else was touched" all_alive other
    must "nor stopped" never other got
    must "one life" test "$(count s start)" = 1
}
in_modes "pid1 user" "F007 garbage of all kinds, then READY" f007

f042() {
    no_server && return
    local before sent
    player s "$ON" "await=$T/flag.begin" "descriptors=1000:253" 'say=READY=1' pause
    service other '' $END pause
    begins other || return
    gets s "$STARTING"
    before=$(fds_of "$TEND")
    touch "$T/flag.begin"
    must "all is sent" wait_until 60 seen s said || return
    sent=$(at s said)
    must "READY counts" wait_until 10 service_has s "$READY"
    must "within a second: $(($(now) - sent)) ms" test $(($(now) - sent)) -lt 1500
    must "tend has as many open as before: $(fds_of "$TEND"), $before" wait_until 5 same_fds "$before"
    told_once 's: a message .*FDSTORE'
    must "nobody waits for descriptors" wait_until 5 no_children_but s other
    must "nobody else was touched" all_alive other
}
same_fds() {
    [ "$(fds_of "$TEND")" = "$1" ]
}
no_children_but() { # NAME...
    [ "$(wc -w <"/proc/$TEND/task/$TEND/children")" = $# ]
}
in_modes "pid1 subreaper user" "F042 1,000 messages with 253 descriptors each, then READY" f042

# ---- F043: who may not ----
FORGED='READY=1|STATUS=forged|MAINPID=%p|STOPPING=1|ERRNO=5|RELOADING=1|WATCHDOG=trigger'
nothing_came() { # NAME...
    local name
    for name; do
        must "$name starts still: $(client "$BIN/tendctl" --json status "$name" | tr -d ' \n')" \
            service_has "$name" "$STARTING and .status == null and .notify_errno == null and (.reloading | not)"
        must "$name has its main process" service_has "$name" ".pid == $(pid_of "$name" 1)"
        must "$name is told nothing" never "$name" got
        must "nothing is shown of $name" test -z "$(tend_events "$name" 'select(.kind == "status" or .kind == "notify") | .what')"
    done
}
f043() {
    lacks jq && return
    local nobody='user = nobody'
    service s "$ON" "${NOTE[@]}" "await=$T/flag.go" notify=READY=1 pause
    service n "$ON $nobody" "${NOTE[@]}" "await=$T/flag.go" notify=READY=1 pause
    service t "$ON $nobody" "address=$(address n)" "notify=$FORGED" "notify=$FORGED" fork=kid "notify=$FORGED" pause end "${NOTE[@]}" pause
    service dep 'requires = {s, n}' pause
    is_there s n t kid || return
    must "both have spoken" wait_until 10 seen t notified 2
    must "and the child" wait_until 10 seen kid notified
    must "another service is told" wait_until 10 said 'n: a message of pid [0-9]+ is passed over: .*belongs to another service'
    BY=(setpriv --reuid 65533 --regid 65533 --clear-groups)
    speaks stranger "$(address s)" "notify=$FORGED"
    speaks stranger "$(address n)" "notify=$FORGED"
    BY=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    speaks stranger "$(address s)" "notify=$FORGED"
    BY=()
    must "others cannot even write" test "$(count stranger 'notify refused 13')" = 3
    if [ "$MODE" = pid1 ]; then
        "$BIN/actor" "$J" outer "address=$(address s)" "notify=$FORGED" "notify=$FORGED" {NEVER}<&-
        setpriv --reuid 65534 --regid 65534 --clear-groups \
            "$BIN/actor" "$J" outer "address=$(address n)" "notify=$FORGED" {NEVER}<&-
        must "it could" seen outer notified 3
        must "who is outside is told" wait_until 10 said 's: a message of pid 0 is passed over: .*PID namespace'
        must "of the other too" wait_until 10 said 'n: a message of pid 0 is passed over: .*PID namespace'
        told_once 's: a message .*PID namespace'
        told_once 'n: a message .*PID namespace'
    fi
    nap 0.3
    told_once 'n: a message .*another service'
    nothing_came s n
    must "nobody who needs them starts" never dep start
    must "they live" all_alive s n t kid
    touch "$T/flag.go"
    gets s "$READY"
    gets n "$READY"
}
in_modes "pid1 subreaper" "F043 who is another user, another service, or outside" f043

# Where the address is a name in no directory, what the kernel says of the sender is all there is.
f043_abstract() {
    local address long
    long=$(printf 'x%.0s' {1..50})
    export TEND_RUNTIME=$T/run.$MODE-$long
    service service-of-some-length "$ON" "${NOTE[@]}" "await=$T/flag.go" notify=READY=1 pause
    service dep 'requires = {service-of-some-length}' pause
    run_tend "$MODE"
    must "it starts" wait_until 10 seen service-of-some-length start || return
    wait_until 10 address_told service-of-some-length
    address=$(address_told service-of-some-length)
    must "a name in no directory" test "${address:0:1}" = @ || return
    BY=(setpriv --reuid 65533 --regid 65533 --clear-groups)
    speaks stranger "$address" "notify=$FORGED" "notify=$FORGED"
    BY=()
    must "they can write" seen stranger notified 2
    must "it is told" wait_until 10 said 'service-of-some-length: a message of pid [0-9]+ is passed over: .*user'
    nap 0.3
    told_once 'service-of-some-length: a message'
    must "nobody starts" never dep start
    must "nobody is told anything" never service-of-some-length got
    must "nothing is said" not said forged
    touch "$T/flag.go"
    must "it may" wait_until 10 up dep
}
in_modes "pid1 subreaper user" "F043 another user at an abstract address" f043_abstract

f043_main_pid() {
    lacks jq && return
    local other tend=$TEND pid
    service other '' "${NOTE[@]}" pause
    begins other || return
    other=$(pid_of other)
    tend=$(inside sh -c "sed -n 's/^PPid:\t//p' /proc/$other/status")
    service s "$ON" notify=READY=1 "${NOTE[@]}" fork=kid "await=$T/flag.kid" "notify=MAINPID=$other" pause end \
        notify=MAINPID=1 "notify=MAINPID=$tend" "notify=MAINPID=$other" notify=MAINPID=0 notify=MAINPID=-1 \
        notify=MAINPID=4194304 "await=$T/flag.end" exit=3
    ends 0 reload
    must "it begins" wait_until 10 seen s notified 7 || return
    touch "$T/flag.kid"
    must "its child, too" wait_until 10 seen kid notified
    # One that may say other things
    speaks stranger "$(address s)" "notify=STATUS=stranger|MAINPID=$(pid_of kid)"
    gets s '.status == "stranger"'
    pid=$(pid_of s)
    must "its main process is still that" service_has s "$READY and .pid == $pid"
    must "it is told" wait_until 10 said 's: a message of pid [0-9]+ is passed over: MAINPID names no'
    told_once 's: a message .*MAINPID names no'
    told_once 's: a message .*MAINPID from a process that is no'
    told_once 's: a message .*value that cannot be'
    ends 0 signal USR1 s
    must "signals go to it" wait_until 10 seen s 'got USR1' 1
    touch "$T/flag.end"
    must "its end is that of the service" wait_until 10 seen s start 2
    must "of it alone" service_has other ".pid == $other and $READY"
    must "as it was: $(client "$BIN/tendctl" --json history s)" test \
        "$(client "$BIN/tendctl" --json history s | jq -c '.deaths[0] | [.exit, .pid]')" = "[3,$pid]"
    must "nobody else was told anything" never other got
    must "tend lives" running
}
in_modes "pid1 subreaper user" "F043 MAINPID of what is not its own" f043_main_pid

# ---- F063 ----
f063() {
    lacks jq && return
    local begin limit late=0
    sanitized && limit=1500 || limit=500
    service flood 'watchdog = "5s"' "flood=6000:WATCHDOG=1" $END pause
    service flood2 'notify { access = all }' "flood=6000:STATUS=busy" $END pause
    service dies 'restart { policy = never }' "await=$T/flag.go" exit=5
    service base '' $END pause
    begins base || return
    must "they flood" wait_until 10 seen flood start
    touch "$T/flag.go"
    must "a death is seen" wait_until 5 seen dies 'exit 5'
    begin=$(at dies 'exit 5')
    gets dies '.state == "failed"'
    must "soon: $(($(now) - begin)) ms" test $(($(now) - begin)) -lt 1500
    for _ in {1..10}; do
        begin=$(now)
        ctl status base
        [ $(($(now) - begin)) -lt $limit ] || late=$((late + 1))
        must "an answer" test "$CODE" = 0
    done
    must "answers come in time" test $late -le 2
    must "it still floods" never flood flooded
    begin=$(now)
    kill -TERM "$TEND" # a client inside might be swept before it has read its answer
    must "it ends" await_end 10
    must "in time: $(($(now) - begin))" test $(($(now) - begin)) -lt 5000
}
in_modes "pid1 user" "F063 two services that flood delay nobody" f063

done_testing
