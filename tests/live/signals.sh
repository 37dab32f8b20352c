#!/bin/bash
# Each signal that reaches tend reaches its command, once.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

ACTOR=("$BIN/actor" "$J")
ordinary() { # in the background this shell ignores INT and QUIT, and so would a command
    WRAP=(env --default-signal "$@")
}
run_command() { # "OPTION..." STEP...
    local options=$1
    shift
    ordinary "${WRAP[@]}"
    # shellcheck disable=SC2086
    run_tend "$MODE" $options -- "${ACTOR[@]}" main "$@"
}
got() { # NAME: what it was sent, in its order, a line each
    events "$1" got | cut -d' ' -f5
}
# A signal of the highest number is taken last: whatever was sent before it has been told.
fence() { # NAME...: straight to each
    local name before
    for name; do
        before=$(count "$name" "got 64")
        signal 64 "$name"
        wait_until 10 seen "$name" "got 64" $((before + 1)) || return
    done
}

# ---- all of them ----
CATCHABLE=({1..8} {10..16} 18 {20..64})
AT_ONCE=({1..8} {10..16} {20..64}) # CONT and the stops would take each other back
send() { # WHERE SIGNAL...: within one process, so that they come close together
    local n
    if [ "$1" = inside ]; then
        # shellcheck disable=SC2016
        inside bash -c 'for n; do kill "-$n" 1; done' bash "${@:2}"
    else
        for n in "${@:2}"; do
            kill "-$n" "$TEND"
        done
    fi
}
each_once() { # NAME: all that can be caught once, but the last one twice, by the fence
    must "$1 is told of each once: $(got "$1" | sort -V | uniq -c | awk '$1 != 1 { print $2 " x " $1 }' | paste -sd' ')" \
        test "$(got "$1" | wc -l) $(got "$1" | sort -u | wc -l) $(got "$1" | grep -cx 64)" = \
        "$((${#CATCHABLE[@]} + 1)) ${#CATCHABLE[@]} 2"
}
none() { # NAME
    must "$1 is told of none: $(got "$1" | paste -sd' ')" test "$(got "$1")" = 64
}
matrix() { # OPTIONS WHERE
    run_command "$1" fork=child on=any:note pause end fork=far setsid on=any:note pause end on=any:note pause
    must "start" wait_until 10 up main child far || return
    must "the child is in the group" test "$(group_of main)" = "$(group_of child)"
    send "$2" "${AT_ONCE[@]}"
    must "they arrive" wait_until 10 seen main got ${#AT_ONCE[@]}
    send "$2" 18
    must "the last one, too" wait_until 10 seen main "got CONT"
    must "all have told" fence main child far
    each_once main
    if [ -n "$1" ]; then none child; else each_once child; fi
    none far
    must "tend lives" running
    inside kill -KILL "$(pid_of far)" "$(pid_of child)" "$(pid_of main)"
    must "tend ends" await_end 20
    must "with the command: $STATUS" test "$STATUS" = 137
}
group_of() { # NAME
    processes | awk -v pid="$(outer "$(pid_of "$1")")" '$1 == pid { print $4 }'
}
in_modes "pid1 subreaper user" "each signal goes to the group, once" matrix '' outside
in_modes "pid1 subreaper" "--main-only: each goes to the command alone, once" matrix --main-only outside
run_case pid1 "each signal from inside of the namespace goes to the group, once" matrix '' inside
run_case pid1 "--main-only: each from inside goes to the command alone, once" matrix --main-only inside

# ---- many ----
storm() { # TIMES: each of 57 signals
    local list n
    run_command '' fork=child on=any:note pause end on=any:note pause
    must "start" wait_until 10 up main child || return
    list=$(for n in $(seq "$1"); do printf '%s\n' {1..8} {10..16} {23..64}; done | shuf)
    # shellcheck disable=SC2086
    send outside $list
    must "those that queue arrive" wait_until 30 seen main "got 64" "$1"
    must "all have told" fence main child
    local name
    for name in main child; do
        must "$name has each that queues as often as it was sent: $(queued $name | paste -sd' ')" \
            test "$(queued $name)" = "$(for n in {32..63}; do echo "$1"; done && echo $(($1 + 1)))"
        must "$name has each of the others at least once" test "$(got $name | sort -u | wc -l)" = 57
    done
    must "tend lives" running
    inside kill -KILL "$(pid_of child)" "$(pid_of main)"
    must "and ends with the command" await_end 20
    must "137, got $STATUS" test "$STATUS" = 137
}
queued() { # NAME: how often each of 32 to 64 came
    got "$1" | awk '$1 >= 32 { n[$1]++ } END { for (i = 32; i <= 64; i++) print n[i] + 0 }'
}
in_modes "pid1 subreaper user" "a storm of signals: none that queues is lost" storm "$(full 50 4)"

repeated() {
    run_command '--grace 1s' on=TERM:note pause
    must "start" wait_until 10 up main || return
    local begin
    begin=$(now)
    # If each began the time anew, there would be no end.
    must "it ends" wait_until 15 told_again
    must "tend ends" await_end 5
    must "not before the time: $(($(now) - begin)) ms" test $(($(now) - begin)) -ge 1000
    must "after many TERMs: $TERMS" test "$TERMS" -ge 10
    must "137, got $STATUS" test "$STATUS" = 137
}
TERMS=0
told_again() {
    TERMS=$((TERMS + 1))
    ! kill -TERM "$TEND" 2>/dev/null || ended
}
in_modes "pid1 subreaper user" "F074 repeated TERMs do not put off the KILL of --grace" repeated

repeated_polite() {
    run_command '--grace 30s' on=TERM:clean:800:6 pause
    must "start" wait_until 10 up main || return
    local i
    for i in {1..50}; do
        kill -TERM "$TEND"
        nap 0.01
    done
    must "tend ends" await_end 20
    must "the command had its time" seen main cleaned
    must "6, got $STATUS" test "$STATUS" = 6
}
in_modes "pid1 subreaper user" "F074 TERM 50 times does not cut a clean-up short" repeated_polite

# ---- TERM during the start ----
f015() { # LAUNCHES
    local i lost=0 started
    for i in $(seq "$1"); do
        : >"$J"
        launch -- "${ACTOR[@]}" main fork=child pause end on=TERM:exit:5 pause
        nap "0.0$(printf %02d $((RANDOM % 21)))"
        has_become_tend && started=1 || started=0
        kill -TERM "$TEND" 2>/dev/null
        if ! wait_until 2 ended; then
            lost=$((lost + started))
            kill -TERM "$TEND" 2>/dev/null
        fi
        must "launch $i ends" await_end 10 || return
        must "launch $i: 143 or the command's, got $STATUS" test "$STATUS" = 143 -o "$STATUS" = 5
        must "launch $i leaves nobody" no_actors || return
    done
    # Only as PID 1 a signal is dropped before main has blocked it.
    [ "$MODE" = pid1 ] || must "no TERM is lost: $lost" test "$lost" = 0
    must "few TERMs fall into the time before main: $lost" test "$lost" -le $(($1 / 3))
}
in_modes "pid1 subreaper user" "F015 a command is told TERM within the first 20 ms" f015 "$(full 2000 60)"

# Its process group, or its program, is not there yet.
early() { # CALL OPTIONS
    lacks strace && return
    no_leak_check
    WRAP+=(strace -D -f -qq -o "$T/flag.trace" -e "trace=$1" -e signal=none -e "inject=$1:delay_enter=600000")
    run_command "$2" on=TERM:exit:5 pause
    must "the call is made" wait_until 10 grep -q "$1(" "$T/flag.trace"
    kill -TERM "$TEND"
    must "the signal is not lost" await_end 10
    must "143 or the command's, got $STATUS" test "$STATUS" = 143 -o "$STATUS" = 5
}
run_case subreaper "F015 TERM before the command has its group" early setpgid ''
run_case subreaper "F015 TERM before the command has its group, --main-only" early setpgid --main-only
run_case subreaper "F015 TERM before the command has its group, --grace" early setpgid '--grace 20s'

# ---- stops ----
stopped_and_continued() {
    run_command '' on=USR1:exit:6 pause
    must "start" wait_until 10 up main || return
    kill -TSTP "$TEND"
    must "the command is stopped" wait_until 10 is_stopped main
    kill -USR1 "$TEND"
    nap 0.3
    must "and stays so" is_stopped main
    kill -CONT "$TEND"
    must "it goes on" await_end 10
    must "6, got $STATUS" test "$STATUS" = 6
}
is_stopped() { # NAME
    processes | grep -q "^$(outer "$(pid_of "$1")") T "
}
in_modes "pid1 subreaper user" "TSTP through tend stops the command, CONT continues it" stopped_and_continued

# ---- --rewrite ----
rewrite() { # "OPTION..." "SENT..." "GOT..."
    local n
    run_command "$1" on=any:note pause
    must "start" wait_until 10 up main || return
    for n in $2; do
        kill "-$n" "$TEND"
    done
    kill -RTMAX "$TEND"
    must "they arrive" wait_until 10 seen main "got 64"
    # shellcheck disable=SC2086
    must "$3, got $(got main | paste -sd' ')" \
        test "$(got main | sort | paste -sd' ')" = "$(printf '%s\n' $3 64 | sort | paste -sd' ')"
    inside kill -KILL "$(pid_of main)"
    must "tend ends" await_end 20
}
in_modes "pid1 subreaper" "--rewrite TERM=INT" rewrite '--rewrite TERM=INT' 'TERM USR1' 'INT USR1'
run_case subreaper "--rewrite RTMIN+3=TERM" rewrite '--rewrite RTMIN+3=TERM' 'RTMIN+3 RTMIN+4' 'TERM 38'
in_modes "pid1 subreaper" "--rewrite HUP=none" rewrite '--rewrite HUP=none' 'HUP USR1' USR1
run_case subreaper "--rewrite to and fro: not in a chain" rewrite '--rewrite TERM=INT --rewrite INT=TERM' 'TERM INT' 'INT TERM'
run_case subreaper "--rewrite in a ring" rewrite '--rewrite HUP=INT --rewrite INT=QUIT --rewrite QUIT=HUP' 'HUP' 'INT'
run_case subreaper "--rewrite by SIG names and numbers" rewrite \
    '--rewrite SIGTERM=2 --rewrite 1=SIGUSR1 --rewrite SIGRTMAX-1=SIGRTMIN+1' 'TERM HUP RTMAX-1' 'INT USR1 35'
run_case subreaper "--rewrite of what libc hides" rewrite '--rewrite 32=USR1 --rewrite USR2=33' '32 USR2' 'USR1 33'
run_case subreaper "--rewrite TERM=none: TERM does nothing" rewrite '--rewrite TERM=none' 'TERM USR1' USR1

rewrite_to_kill() {
    run_command '--rewrite TERM=KILL' ignore=TERM pause
    must "start" wait_until 10 up main || return
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "137, got $STATUS" test "$STATUS" = 137
}
run_case subreaper "--rewrite TERM=KILL" rewrite_to_kill

# ---- --grace and --deadline ----
stubborn() { # OPTIONS WANT EARLIEST STEP...
    local options=$1 want=$2 earliest=$3 begin took
    shift 3
    run_command "$options" "$@"
    must "start" wait_until 10 up main || return
    begin=$(now)
    kill -TERM "$TEND"
    must "tend ends" await_end 30
    took=$(($(now) - begin))
    must "not before its time: $took ms" test "$took" -ge "$earliest"
    must "soon after: $took ms" test "$took" -lt $((earliest + 6000))
    must "$want, got $STATUS" test "$STATUS" = "$want"
    must "nobody is left" no_actors
}
in_modes "pid1 subreaper user" "--grace: KILL, not before" stubborn '--grace 700ms' 137 700 ignore=TERM pause
in_modes "pid1 subreaper" "--grace: also for the group" stubborn '--grace 700ms' 6 700 \
    fork=child ignore=TERM "touch=$T/flag.up" pause end "await=$T/flag.up" on=TERM:exit:6 pause
run_case subreaper "--grace --main-only" stubborn '--grace 700ms --main-only' 137 700 \
    fork=child on=TERM:exit:0 pause end ignore=TERM pause
in_modes "pid1 subreaper" "--grace ends with the command" stubborn '--grace 30s' 4 500 on=TERM:clean:500:4 pause
in_modes "pid1 subreaper user" "--deadline: KILL, not before" stubborn '--deadline 700ms' 137 525 ignore=TERM pause
in_modes "pid1 subreaper" "--deadline cuts the grace of what is left short" stubborn '--grace 60s --deadline 1s' 6 750 \
    fork=left setsid ignore=TERM "touch=$T/flag.1" pause end daemon=stranger ignore=TERM "touch=$T/flag.2" pause end \
    "await=$T/flag.1" "await=$T/flag.2" on=TERM:exit:6 pause

grace_rewritten() {
    run_command '--grace 700ms --rewrite TERM=QUIT' on=any:note pause
    must "start" wait_until 10 up main || return
    local begin
    begin=$(now)
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "KILL, not before: $(($(now) - begin)) ms" test $(($(now) - begin)) -ge 700
    must "137, got $STATUS" test "$STATUS" = 137
    must "it was told as asked" seen main "got QUIT"
    must "and only so" never main "got TERM"
}
in_modes "pid1 subreaper" "--grace: the time also runs from a TERM that is rewritten" grace_rewritten

lives_on() { # OPTIONS SIGNAL SECONDS: no KILL comes
    run_command "$1" on="$2:note" on=USR1:exit:8 pause
    must "start" wait_until 10 up main || return
    kill "-$2" "$TEND"
    must "it is told" wait_until 10 seen main "got $2"
    nap "$3"
    kill -USR1 "$TEND"
    must "tend ends" await_end 20
    must "it lived on and answers: 8, got $STATUS" test "$STATUS" = 8
}
run_case subreaper "TERM alone is followed by no KILL, also after the 10 s of others" lives_on '' TERM 11
in_modes "pid1 subreaper" "INT is followed by no KILL" lives_on '--grace 300ms --deadline 600ms' INT 1

before_term() {
    run_command '--grace 200ms --deadline 300ms' on=TERM:exit:8 pause
    must "start" wait_until 10 up main || return
    nap 0.8
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "8, got $STATUS" test "$STATUS" = 8
}
run_case subreaper "--deadline runs from TERM, not from the start" before_term

# Who else is there is told when the command has ended.
grace_of_group() {
    run_command '--grace 20s' fork=child on=TERM:exit:0 pause end fork=far setsid on=TERM:exit:0 pause end \
        daemon=stranger on=TERM:exit:0 pause end on=TERM:clean:500:6 pause
    must "start" wait_until 10 up main child far stranger || return
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "6, got $STATUS" test "$STATUS" = 6
    must "the group is told at once" test "$(at child "got TERM" 1)" -lt "$(at main "exit 6")"
    local name
    for name in far stranger; do
        must "$name is told when the command has ended" test "$(at $name "got TERM" 1)" -ge "$(at main "exit 6")"
    done
}
in_modes "pid1 subreaper" "--grace: TERM goes to the group, as without" grace_of_group

other_meanwhile() {
    run_command '--grace 30s' on=TERM:note on=INT:exit:8 pause
    must "start" wait_until 10 up main || return
    kill -TERM "$TEND"
    must "it is told" wait_until 10 seen main "got TERM"
    kill -INT "$TEND"
    must "tend ends" await_end 20
    must "8, got $STATUS" test "$STATUS" = 8
}
in_modes "pid1 subreaper" "--grace: other signals are sent on while the time runs" other_meanwhile

# ---- --parent-death ----
parent_death() { # SIGNAL
    # shellcheck disable=SC2016
    WRAP=(sh -c '"$@" & wait' sh)
    run_command "--parent-death $1" on=any:note pause
    must "start" wait_until 10 up main || return
    local tend
    tend=$(first_child "$JOB")
    kill -KILL "$JOB"
    await_end 5 2>/dev/null
    must "the command is told" wait_until 10 seen main "got $1"
    inside kill -KILL "$(pid_of main)"
    must "tend ends" wait_until 10 gone "$tend"
}
in_modes "subreaper user" "--parent-death TERM" parent_death TERM
run_case subreaper "--parent-death USR1" parent_death USR1

parent_death_stop() {
    # shellcheck disable=SC2016
    WRAP=(sh -c '"$@" & wait' sh)
    run_command "--parent-death TERM --grace 700ms" fork=child ignore=TERM pause end ignore=TERM pause
    must "start" wait_until 10 up main child || return
    kill -KILL "$JOB"
    await_end 5 2>/dev/null
    must "all are gone" wait_until 20 no_actors
}
run_case subreaper "--parent-death TERM is followed by what TERM is" parent_death_stop

# ---- --subreaper ----
subreaper() { # WANT OPTIONS
    WRAP=("$BIN/deny" prctl=EPERM --)
    no_leak_check
    local begin
    begin=$(now)
    # shellcheck disable=SC2086
    try_tend $2 -- "${ACTOR[@]}" main exit=3
    must "$1, got $STATUS" test "$STATUS" = "$1"
    must "it is told" said '^tend: .*(subreaper|orphans)'
    must "in one line" test "$(wc -l <"$LOG")" = 1
    must "nobody is waited for: $(($(now) - begin)) ms" test $(($(now) - begin)) -lt 6000
}
run_case subreaper "71: --subreaper where that cannot be" subreaper 71 --subreaper
run_case subreaper "without --subreaper that is told, and all goes on" subreaper 3 ''

done_testing
