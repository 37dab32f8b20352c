#!/bin/bash
# What tend tells whoever started it: by NOTIFY_SOCKET, before a real receiver, and by --ready-fd.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

PYTHON=
# One that other users can execute too.
for python in /usr/bin/python3 python3; do
    [ -n "$PYTHON" ] || ! "$python" -c '' 2>/dev/null || PYTHON=$python
done
if [ -z "$PYTHON" ]; then
    skip "a receiver" "needs python3"
    done_testing
    exit
fi

# ---- the receiver ----
SOCKET='' HEARD='' RECEIVER='' WHO=''
receive() { # [unread|full]
    rm -f "$HEARD"
    "$PYTHON" -BES "$(dirname "$0")/upward.py" "$SOCKET" "$HEARD" "$@" {NEVER}<&- &
    RECEIVER=$!
    must "a receiver" wait_until 20 test -e "$HEARD"
}
vanish() {
    [ -n "$RECEIVER" ] || return
    kill -KILL "$RECEIVER"
    wait "$RECEIVER" 2>/dev/null
    RECEIVER=''
    rm -f "$SOCKET"
}
with_receiver() { # FUNCTION [ARGUMENT...]: and no receiver is left
    SOCKET=$T/flag.notify HEARD=$T/flag.heard
    "$@"
    vanish
}
notified() { # [NAME=VALUE...]: so is the next tend
    WRAP=(env "NOTIFY_SOCKET=$SOCKET" "$@")
}
begins() { # [ARGUMENT...]
    run_tend "$MODE" "$@"
    WHO=$TEND
}

# ---- what it heard ----
heard() { # REGEX: the lines, of tend
    grep -sE "^[0-9]+ [0-9]+ $WHO ($1)\$" "$HEARD"
}
hears() { # REGEX [TIMES]
    [ "$(heard "$1" | wc -l)" -ge "${2:-1}" ]
}
times() { # REGEX TIMES: no more and no less
    [ "$(heard "$1" | wc -l)" = "$2" ]
}
field() { # FIELD REGEX [NTH]: 1, the number of the message; 2, when it came
    heard "$2" | sed -n "${3:-1}p" | cut -d' ' -f"$1"
}
together() { # REGEX REGEX: in one message
    [ -n "$(comm -12 <(heard "$1" | cut -d' ' -f1 | sort) <(heard "$2" | cut -d' ' -f1 | sort))" ]
}
in_order() { # REGEX REGEX: the first of the one before the first of the other, or with it
    [ "$(field 1 "$1")" -le "$(field 1 "$2")" ]
}
usec() { # NAME [NTH]: its number
    heard "$1=[0-9]+" | sed -n "${2:-1}p" | sed 's/.*=//'
}
is_sound() {
    local strange
    strange=$(cut -d' ' -f4- "$HEARD" | grep -vE \
        '^((READY|RELOADING|STOPPING|WATCHDOG)=1|STATUS=[ -~]+|(MONOTONIC|EXTEND_TIMEOUT)_USEC=[1-9][0-9]*)$')
    must "only what there is to say: $strange" test -z "$strange"
    must "from nobody but tend: $WHO, not $(cut -d' ' -f3 "$HEARD" | sort -u | paste -sd' ')" \
        test "$(cut -d' ' -f3 "$HEARD" | sort -u)" = "$WHO"
}
ready() { # TEXT
    must "ready: $1" wait_until 20 hears READY=1
}

# ---- start, stop, reload ----
told() {
    receive
    notified
    service setup 'type = oneshot' "await=$T/flag.go" exit=0
    service web 'requires = {setup} restart { delay = "1s" }' on=TERM:exit:0 pause
    begins
    must "what is waited for" wait_until 20 hears 'STATUS=0/2 ready, waiting for setup'
    must "not ready yet" not hears READY=1
    touch "$T/flag.go"
    ready "all" || return
    must "the status is with it" together READY=1 'STATUS=2/2 ready'
    signal KILL web
    must "a restart" wait_until 20 seen web start 2
    must "is told" wait_until 20 hears 'STATUS=1/2 ready.*'
    must "and its end" wait_until 20 hears 'STATUS=2/2 ready' 2
    stop_tend
    must "0, got $STATUS" test "$STATUS" = 0
    must "the shutdown" wait_until 5 hears STOPPING=1
    must "with its status" together STOPPING=1 'STATUS=stopping, 1 left.*'
    must "and how long it may take" together STOPPING=1 'EXTEND_TIMEOUT_USEC=[0-9]+'
    must "in order" in_order READY=1 STOPPING=1
    must "ready once" times READY=1 1
    must "stopping once" times STOPPING=1 1
    must "no reload" times 'RELOADING=1' 0
    is_sound
}
in_modes "pid1 subreaper user" "READY once when all are, STATUS as it changes, STOPPING" with_receiver told

abstract() {
    SOCKET=@${T##*/}
    receive
    notified
    service web '' on=TERM:exit:0 pause
    begins
    ready "by an abstract address"
    stop_tend
    must "stopping" wait_until 5 hears STOPPING=1
    is_sound
}
in_modes "pid1 subreaper" "an abstract address" with_receiver abstract

one_that_fails() {
    receive
    notified
    service web '' on=TERM:exit:0 pause
    service broken 'restart { policy = never }' exit=1
    begins
    must "it is told" wait_until 20 hears 'STATUS=1/2 ready, broken failed'
    must "not ready with what failed, but for the moment before" in_order 'STATUS=.*' 'STATUS=1/2 ready, broken failed'
    stop_tend
    is_sound
}
run_case subreaper "a service that fails is named" with_receiver one_that_fails

reload() {
    local before after
    receive
    notified
    service web '' on=TERM:exit:0 pause
    begins
    ready "at first" || return
    before=$(now)
    kill -HUP "$TEND"
    must "it reloads" wait_until 20 hears RELOADING=1
    after=$(now)
    must "and is ready again" wait_until 20 hears READY=1 2
    must "when: $before <= $(usec MONOTONIC_USEC) us <= $after" test "$(usec MONOTONIC_USEC)" -ge $((before * 1000)) \
        -a "$(usec MONOTONIC_USEC)" -lt $((after * 1000 + 1000))
    must "with the word" together RELOADING=1 'MONOTONIC_USEC=[0-9]+'
    must "before it" test "$(field 1 RELOADING=1)" -lt "$(field 1 READY=1 2)"
    must "not in one message" not together RELOADING=1 READY=1
    conf 'service broken {'
    kill -HUP "$TEND"
    must "one that is refused begins" wait_until 20 hears RELOADING=1 2
    must "and ends" wait_until 20 hears READY=1 3
    must "the service lives" all_alive web
    stop_tend
    must "no more of it" times READY=1 3
    is_sound
}
in_modes "pid1 subreaper user" "RELOADING and its time, then READY" with_receiver reload

reload_before_ready() {
    receive
    notified
    service setup 'type = oneshot' "await=$T/flag.go" exit=0
    begins
    must "start" wait_until 20 seen setup start || return
    service web '' on=TERM:exit:0 pause
    kill -HUP "$TEND"
    must "reloaded" wait_until 20 up web || return
    must "nothing is told of it" not hears 'READY=1|RELOADING=1'
    touch "$T/flag.go"
    ready "at last"
    stop_tend
    must "once" times READY=1 1
    must "and nothing of a reload" times RELOADING=1 0
    is_sound
}
in_modes "pid1 subreaper" "a reload before all are ready is not told" with_receiver reload_before_ready

long_stop() {
    receive
    notified
    service stubborn 'stop { grace = "6s" }' ignore=TERM pause
    begins
    ready "all" || return
    kill -TERM "$TEND"
    must "it asks again" wait_until 20 hears 'EXTEND_TIMEOUT_USEC=[0-9]+' 2
    must "who is waited for" hears 'STATUS=stopping, 1 left, waiting for stubborn'
    must "before the time it had is over: $(usec EXTEND_TIMEOUT_USEC) us from $(field 2 'EXTEND_TIMEOUT_USEC=.*')" test \
        "$(field 2 'EXTEND_TIMEOUT_USEC=.*' 2)" -lt $(($(field 2 'EXTEND_TIMEOUT_USEC=.*') + $(usec EXTEND_TIMEOUT_USEC) / 1000))
    await_end 30
    is_sound
}
run_case subreaper "EXTEND_TIMEOUT_USEC again and again, while a shutdown is on its plan" with_receiver long_stop

# ---- the watchdog ----
fed() { # [WRAPPER...]
    local before after most
    receive
    notified WATCHDOG_USEC=400000 "$@"
    service web '' on=TERM:exit:0 pause
    before=$(now)
    begins
    must "fed" wait_until 30 hears WATCHDOG=1 8
    after=$(now)
    most=$(((after - before) / 200 + 2))
    must "no oftener than every 200 ms: at most $most" not hears WATCHDOG=1 $((most + 1))
    stop_tend
    is_sound
}
in_modes "pid1 subreaper" "WATCHDOG=1 by half the time" with_receiver fed
run_case pid1 "WATCHDOG=1: it is ours" with_receiver fed WATCHDOG_PID=1
# shellcheck disable=SC2016
run_case subreaper "WATCHDOG=1: it is ours" with_receiver fed sh -c 'export WATCHDOG_PID=$$; exec "$@"' sh
not_fed() { # NAME=VALUE...
    receive
    notified "$@"
    service web '' on=TERM:exit:0 pause
    begins
    ready "all"
    nap 1
    must "not fed" not hears WATCHDOG=1
    stop_tend
    is_sound
}
in_modes "pid1 subreaper" "no WATCHDOG=1: it is of another" with_receiver not_fed WATCHDOG_USEC=200000 WATCHDOG_PID=2
run_case subreaper "no WATCHDOG=1: no time that can be" with_receiver not_fed WATCHDOG_USEC=0

# ---- F090 ----
not_inherited() {
    local of_its_own
    receive
    # shellcheck disable=SC2016
    notified LISTEN_FDS=1 LISTEN_FDNAMES=a WATCHDOG_USEC=30000000 MAINPID=1 KEPT=yes \
        sh -c 'export LISTEN_PID=$$ WATCHDOG_PID=$$; exec "$@"' sh
    of_its_own="before_start = $(actor before facts exit=0) stop { command = $(actor hook facts exit=0) }"
    service web "$of_its_own" facts on=TERM:exit:0 pause
    begins
    ready "all"
    must "they have looked" wait_until 20 seen web "facts done" || return
    stop_tend
    must "and the stop command" seen hook "facts done"
    must "the rest of the environment is theirs" test "$(grep -cE ' fact env KEPT=yes' "$J")" = 3
    must "nothing of a manager: $(grep -oE ' fact env (NOTIFY_SOCKET|LISTEN_|WATCHDOG_).*' "$J" | sort -u | paste -sd' ')" \
        not grep -qE ' fact env (NOTIFY_SOCKET|LISTEN_|WATCHDOG_)' "$J"
    must "nor MAINPID of another" not grep -qE ' fact env MAINPID=1$' "$J"
    must "no descriptor" not grep -qE ' fact fd ([3-9]|[0-9]{2,}) ' "$J"
    must "the manager hears of ready once" times READY=1 1
    must "and of stopping once" times STOPPING=1 1
    is_sound
}
in_modes "pid1 subreaper user" "F090 services see nothing of it" with_receiver not_inherited

command() {
    receive
    notified WATCHDOG_USEC=200000
    begins -- "$BIN/actor" "$J" main facts on=TERM:exit:3 pause
    must "the command has it" wait_until 20 seen main "fact env NOTIFY_SOCKET=$SOCKET" || return
    must "and the other" seen main "fact env WATCHDOG_USEC=200000"
    nap 0.5
    stop_tend
    must "3, got $STATUS" test "$STATUS" = 3
    must "tend says nothing itself: $(cat "$HEARD")" test ! -s "$HEARD"
}
in_modes "pid1 subreaper" "in command mode it is the command's" with_receiver command

# ---- a receiver that does not receive ----
LOTS=({1..20})
lots() { # and one that gives tend something to say all the time
    local name
    for name in "${LOTS[@]}"; do
        service "s$name" '' on=TERM:exit:0 pause
    done
    service flapping 'restart { policy = always limit = 0 delay = "20ms" max_delay = "20ms" }' sleep=20 exit=1
}
all_are_up() {
    up "${LOTS[@]/#/s}"
}
ONCE_UP='' MEANWHILE='' # what is done when all are up, and before the end
starts_and_stops() { # SECONDS: sets UP, DOWN: how many milliseconds each took
    local begin
    begin=$(now)
    begins
    must "start" wait_until 30 all_are_up || return
    UP=$(($(grep -E ' s[0-9]+ up$' "$J" | cut -d' ' -f1 | sort -n | tail -n 1) - begin))
    $ONCE_UP
    must "it goes on" wait_until 30 seen flapping start 10
    nap "$1"
    must "and on" wait_until 30 seen flapping start $(($(count flapping start) + 5))
    $MEANWHILE
    begin=$(now)
    kill -TERM "$TEND"
    await_end 30
    DOWN=$(($(now) - begin))
    must "0, got $STATUS" test "$STATUS" = 0
}
complaints() {
    grep -c NOTIFY_SOCKET "$LOG"
}
delays_nothing() { # COMPLAINTS [RECEIVER-MODE]
    local up down
    lots
    starts_and_stops 0.1
    up=$UP down=$DOWN
    : >"$J"
    [ $# -lt 2 ] || receive "$2"
    notified WATCHDOG_USEC=100000
    starts_and_stops "$(full 30 3)"
    must "the start: $UP ms, without it $up ms" test "$UP" -lt $((up + 3000))
    must "the end: $DOWN ms, without it $down ms" test "$DOWN" -lt $((down + 3000))
    must "$1 lines of it, got $(complaints)" test "$(complaints)" = "$1"
}
in_modes "pid1 subreaper" "who never reads delays nothing" with_receiver delays_nothing 0 unread
in_modes "pid1 subreaper user" "who is full from the start delays nothing" with_receiver delays_nothing 0 full
run_case subreaper "who is not there delays nothing" with_receiver delays_nothing 1
elsewhere() { # ADDRESS
    SOCKET=$1
    delays_nothing 1
}
run_case subreaper "no folder for the socket delays nothing" with_receiver elsewhere /nowhere/notify
run_case subreaper "what is no address delays nothing" with_receiver elsewhere notify

read_at_last() {
    kill -USR1 "$RECEIVER"
    must "what was kept comes" wait_until 20 hears READY=1
    must "once" times READY=1 1
    must "with what is so now" together READY=1 'STATUS=[0-9]+/21 ready.*'
}
catches_up() {
    local MEANWHILE=read_at_last
    receive full
    notified
    lots
    starts_and_stops "$(full 30 2)"
    must "in order" in_order READY=1 STOPPING=1
    must "nothing is wrong" test "$(complaints)" = 0
    sed -i '/ X_FILLED=1$/d' "$HEARD"
    is_sound
}
in_modes "pid1 subreaper" "who was full hears all that counts, once, when there is room" with_receiver catches_up

come_back() {
    must "told of once: $(complaints)" test "$(complaints)" = 1
    receive
    must "how it is now" wait_until 20 hears 'STATUS=[0-9]+/21 ready.*'
    must "and no more than that" times READY=1 0
}
is_heard_no_more() {
    ready "all"
    vanish
}
vanishes() {
    local ONCE_UP=is_heard_no_more MEANWHILE=come_back
    receive
    notified
    lots
    starts_and_stops 2
    must "who is there again hears the end" wait_until 5 hears STOPPING=1
    is_sound
}
in_modes "pid1 subreaper" "who vanishes is told of once, and hears on when he is back" with_receiver vanishes

# ---- --ready-fd ----
F=$T/flag.ready
with_pipe() { # as descriptor 5
    mkfifo -m 666 "$F"
    # shellcheck disable=SC2016
    WRAP=(sh -c 'exec 5>"$0"; : >"$0.open"; until [ ! -e "$0.wait" ]; do sleep 0.05; done; exec "$@"' "$F")
}
reads_pipe() {
    cat "$F" >"$F.read" {NEVER}<&- &
    READER=$!
}
has_read() { # BYTES as od shows them
    [ "$(od -An -c "$F.read" | tr -d ' ')" = "$1" ]
}
fd_services() {
    with_pipe
    reads_pipe
    service setup 'type = oneshot' facts "await=$T/flag.go" exit=0
    service web 'requires = {setup}' facts on=TERM:exit:0 pause
    begins -c "$CONF" --ready-fd 5
    must "start" wait_until 20 seen setup "facts done" || return
    nap 0.3
    must "nothing is said yet" has_read ''
    must "and the reader waits" kill -0 "$READER"
    touch "$T/flag.go"
    must "the reader sees the end" wait_until 20 not kill -0 "$READER"
    must "and one newline" has_read '\n'
    must "while all runs" running
    must "web looks" wait_until 20 seen web "facts done"
    must "no service has it" not grep -qE ' fact fd ([3-9]|[0-9]{2,}) ' "$J"
    stop_tend
}
in_modes "pid1 subreaper user" "--ready-fd: a newline and the end when all are ready" fd_services

fd_command() {
    with_pipe
    reads_pipe
    begins --ready-fd 5 -- "$BIN/actor" "$J" main facts on=TERM:exit:3 pause
    must "the reader sees the end" wait_until 20 not kill -0 "$READER"
    must "and one newline" has_read '\n'
    must "while the command runs" wait_until 20 seen main "facts done"
    must "it does not have it" not seen main "fact fd 5"
    stop_tend
    must "3, got $STATUS" test "$STATUS" = 3
}
in_modes "pid1 subreaper user" "--ready-fd: when the command was executed" fd_command

fd_no_command() {
    with_pipe
    reads_pipe
    try_tend --ready-fd 5 -- /nowhere/command
    must "127, got $STATUS" test "$STATUS" = 127
    must "the reader sees the end" wait_until 20 not kill -0 "$READER"
    must "and nothing else" has_read ''
}
in_modes "pid1 subreaper" "--ready-fd: nothing where the command cannot be executed" fd_no_command

fd_full() { # ARGUMENT...
    local both
    with_pipe
    exec {both}<>"$F"
    head -c 65536 /dev/zero >"$F"
    service web '' on=TERM:exit:0 pause
    begins --ready-fd 5 "$@" {both}<&-
    must "start" wait_until 20 seen web up || return
    nap "$(full 30 1)"
    head -c 65536 <&"$both" | tr -d '\0' >"$F.read"
    must "there was nothing else" has_read ''
    timeout 20 head -c 1 <&"$both" >"$F.read"
    must "it comes when there is room" has_read '\n'
    exec {both}<&-
    stop_tend
    must "0, got $STATUS" test "$STATUS" = 0
}
in_modes "pid1 subreaper" "--ready-fd: a full pipe is tried again" fd_full -c "$CONF"
run_case subreaper "--ready-fd: a full pipe is tried again, with a command" fd_full -- "$BIN/actor" "$J" web on=TERM:exit:0 pause

fd_full_to_the_end() {
    local both begin
    with_pipe
    exec {both}<>"$F"
    head -c 65536 /dev/zero >"$F"
    service web '' on=TERM:exit:0 pause
    begins --ready-fd 5 -c "$CONF" {both}<&-
    must "start" wait_until 20 up web
    begin=$(now)
    stop_tend
    must "at once: $(($(now) - begin)) ms" test $(($(now) - begin)) -lt 5000
    must "0, got $STATUS" test "$STATUS" = 0
    exec {both}<&-
}
run_case subreaper "--ready-fd: a pipe that stays full delays no shutdown" fd_full_to_the_end

fd_gone() { # ARGUMENT...
    local both
    with_pipe
    touch "$F.wait"
    exec {both}<>"$F"
    service main '' on=any:note on=TERM:exit:0 pause
    begins --ready-fd 5 "$@" {both}<&-
    must "it has the other end" wait_until 20 test -e "$F.open"
    exec {both}<&-
    rm "$F.wait"
    must "start" wait_until 20 seen main up || return
    must "it is told" wait_until 20 said '--ready-fd: Broken pipe'
    nap 0.2
    stop_tend
    must "0, got $STATUS" test "$STATUS" = 0
    must "nobody hears a signal of it" never main "got PIPE"
}
run_case subreaper "--ready-fd: its reader has gone" fd_gone -c "$CONF"
run_case subreaper "--ready-fd: its reader has gone, with a command" fd_gone -- "$BIN/actor" "$J" main on=any:note on=TERM:exit:0 pause

fd_refused() { # VALUE WORDS
    WRAP=(sh -c 'exec "$@" 6</dev/null' sh)
    service web '' pause
    try_tend -c "$CONF" --ready-fd "$1"
    must "64, got $STATUS" test "$STATUS" = 64
    must "why: $(cat "$LOG")" said "^tend: --ready-fd.*$2"
    try_tend --ready-fd "$1" -- "$BIN/actor" "$J" web pause
    must "64 with a command, got $STATUS" test "$STATUS" = 64
    must "nothing was started" never web start
}
run_case subreaper "64: --ready-fd that is not open" fd_refused 77 'Bad file descriptor'
run_case subreaper "64: --ready-fd that cannot be written to" fd_refused 6 'not open for writing'
run_case subreaper "64: --ready-fd of standard error" fd_refused 2 'from 3'
run_case subreaper "64: --ready-fd that is no number" fd_refused three 'from 3'

done_testing
