#!/bin/bash
# --record FILE: what happens, as lines for programs.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

R=$T/flag.record
recorded() { # PATTERN
    grep -qE -- "$1" "$R"
}
# Says what is wrong with a record: its first line, then numbers without a gap, times that do not go
# back, and nothing but KEY=VALUE.
faults_of() { # FILE
    awk '
        function bad(why) { print NR ": " why ": " $0 }
        NR == 1 {
            if ($0 !~ /^tend-record version=1 at=[0-9]+ wall=[0-9]+$/ || length($4) != 18) bad("no head")
            next
        }
        {
            delete value
            for (i = 1; i <= NF; i++) {
                if ($i !~ /^[a-z_]+=[!-~]+$/) bad("no field")
                key = substr($i, 1, index($i, "=") - 1)
                if (key in value) bad("twice")
                value[key] = substr($i, index($i, "=") + 1)
            }
            if (gsub(/  /, "")) bad("a blank too many")
            if (value["seq"] != NR - 1) bad("a gap")
            if (value["at"] + 0 < last) bad("back in time")
            last = value["at"] + 0
            if (value["kind"] !~ /^(state|forked|signal|exit|stray|shutdown|config|request|death)$/) bad("no kind")
            if (value["kind"] !~ /^(stray|shutdown|config|request)$/ && value["service"] == "") bad("of nobody")
            if (value["age"] + 0 > 600000 || value["ran"] + 0 > 600000) bad("older than the test")
        }
        END {
            if (NR < 2) print "empty"
            if (value["kind"] != "shutdown" || !value["age"]) print "does not end with the end"
        }' "$1"
}
but_for_gaps() { # FILE
    faults_of "$1" | grep -vE ': a gap: |does not end'
}
is_sound() { # [FILE]
    must "the record is sound: $(faults_of "${1:-$R}" | head -n 3)" test -z "$(faults_of "${1:-$R}")"
}
full_at() { # BYTES
    [ "$(wc -c <"$R")" = "$1" ]
}
field() { # KEY PATTERN: of the first line with the pattern
    grep -m 1 -E -- "$2" "$R" | grep -oE "(^| )$1=[^ ]*" | cut -d= -f2
}
same_moment() { # TEXT MS MS
    must "$1: $2, $3" test $(($2 - $3)) -ge -1000 -a $(($2 - $3)) -le 1000
}

# ---- what it tells ----
told() {
    service base "before_start = $(actor before exit=0) stop { command = $(actor hook exit=2) }" on=TERM:exit:0 pause
    service stubborn 'requires = {base} stop { grace = "300ms" }' ignore=TERM fork=kid setsid ignore=TERM pause end pause
    service odd 'restart { policy = never }' kill=SEGV
    conf 'service nowhere { command = {"/nowhere/here is a blank"} restart { policy = never } }'
    run_tend "$MODE" -c "$CONF" --record "$R"
    must "start" wait_until 10 up base stubborn kid || return
    must "those that fail have failed" wait_until 10 recorded ' service=nowhere .* to=failed' || return
    must "and" wait_until 10 recorded ' service=odd .* to=failed' || return
    stop_tend
    is_sound
    must "who started, and as which pid" recorded " kind=forked service=stubborn process=main pid=$(pid_of stubborn)\$"
    must "what came before" recorded " kind=forked service=base process=before_start pid=$(pid_of before)\$"
    must "a signal" recorded " kind=signal service=base cause=shutdown process=main pid=$(pid_of base) signal=TERM group=1"
    must "KILL, to how many" recorded " kind=signal service=stubborn cause=shutdown process=main pid=$(pid_of stubborn) signal=KILL group=1 count=1"
    must "how one ended" recorded ' service=stubborn from=killing to=down .* killed_by=KILL'
    must "how the stop command did" recorded " kind=exit service=base process=stop_command pid=$(pid_of hook) exit=2"
    must "a crash" recorded ' service=odd from=running to=stopping event=exited cause=exit .*killed_by=SEGV'
    must "what could not be executed, and why" recorded ' service=nowhere from=starting to=stopping .*errno=2 step=exec what=/nowhere/here\\x20is\\x20a\\x20blank'
    must "each life that is over: a crash" recorded " kind=death service=odd cause=exit process=main pid=$(pid_of odd) killed_by=SEGV"
    must "one that had to be killed" recorded " kind=death service=stubborn cause=shutdown process=main pid=$(pid_of stubborn) killed_by=KILL age=[0-9]+ ran=[0-9]+ killed=1\$"
    must "one that did its work" recorded " kind=death service=base cause=exit process=before_start pid=$(pid_of before) exit=0"
    must "one that could not be executed" recorded ' kind=death service=nowhere cause=exec process=main pid=[0-9]+ exit=127 errno=2 step=exec'
    must "each once" test "$(grep -c ' kind=death service=base ' "$R")" = 2
    must "the begin of the shutdown" recorded ' kind=shutdown$'
    must "its end" recorded ' kind=shutdown age=[0-9]+$'
    same_moment "TERM" "$(field at ' service=base .*signal=TERM')" "$(at base 'got TERM')"
    same_moment "the end of base" "$(field at ' service=base from=stopping to=down')" "$(at base 'exit 0')"
    local head wall
    head=$(field at '^tend-record') wall=$(field wall '^tend-record')
    same_moment "the time of day" $(($(now) - head)) $((${EPOCHREALTIME/[.,]/} / 1000 - wall))
}
in_modes "pid1 subreaper user" "who, when, how" told

many() {
    service flapping 'restart { policy = always limit = 0 delay = "5ms" max_delay = "5ms" }' exit=1
    run_tend "$MODE" -c "$CONF" --record "$R"
    must "flaps" wait_until 20 seen flapping start 60
    stop_tend
    is_sound
    must "more than are kept in memory: $(wc -l <"$R")" test "$(wc -l <"$R")" -gt 250
    must "each start" test "$(grep -c ' kind=forked ' "$R")" -ge "$(count flapping start)"
    must "each death" test "$(grep -c ' kind=death ' "$R")" = "$(grep -c ' kind=forked ' "$R")"
}
in_modes "pid1 subreaper" "more than 128 records, and no gap" many

command() { # WANT ARGUMENTS... -- STEPS
    local want=$1 options=()
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    run_tend "$MODE" "${options[@]}" --record "$R" -- "$BIN/actor" "$J" main facts "${@:2}"
    must "start" wait_until 10 seen main "facts done" || return
    nap 0.2
    kill -TERM "$TEND" 2>/dev/null
    await_end 20
    must "$want, got $STATUS" test "$STATUS" = "$want"
    is_sound
    must "its process" recorded " kind=forked service=actor process=main pid=$(pid_of main)\$"
    must "the file is not the command's" not grep -qE ' fact fd [0-9]+ .*flag.record' "$J"
}
in_modes "pid1 subreaper" "a command" command 3 -- on=TERM:exit:3 pause
run_case subreaper "a command, --verbose" command 3 -v -- on=TERM:exit:3 pause
run_case subreaper "a command, and what it leaves" command 3 -- fork=kid setsid ignore=INT pause end exit=3
run_case subreaper "a command at its --grace" command 137 --grace 300ms -- ignore=TERM pause
run_case subreaper "a command at its --deadline" command 137 --deadline 500ms -- ignore=TERM pause

not_inherited() {
    service s "before_start = $(actor before facts exit=0) stop { command = $(actor hook facts exit=0) }" facts on=TERM:exit:0 pause
    run_tend "$MODE" -c "$CONF" --record "$R"
    must "start" wait_until 10 up s || return
    stop_tend
    must "all have looked" seen hook "facts done"
    must "nobody has it" not grep -qE ' fact fd [0-9]+ .*flag.record' "$J"
}
run_case subreaper "services do not get the file" not_inherited

# ---- the file ----
relative() { # ARGUMENT...
    mkdir -m 777 "$T/flag.here" 2>/dev/null
    # shellcheck disable=SC2016
    WRAP=(sh -c 'cd "$0" && exec "$@"' "$T/flag.here")
    service s '' on=TERM:exit:0 pause
    run_tend "$MODE" --record ./record "$@"
    must "start" wait_until 10 up s || return
    stop_tend
    is_sound "$T/flag.here/record"
    rm -rf "$T/flag.here"
}
in_modes "subreaper user" "a relative path is the caller's" relative -c "$CONF"
run_case subreaper "a relative path is the caller's, with a command" relative -- "$BIN/actor" "$J" s on=TERM:exit:0 pause

emptied() {
    printf 'of another time\n%.0s' {1..5000} >"$R"
    service s 'type = oneshot' exit=0
    try_tend -c "$CONF" --record "$R"
    is_sound
    must "nothing is left of the old one" not recorded 'another time'
}
run_case subreaper "a file that is there is emptied" emptied

refused() { # PATH WHY [ARGUMENT...]
    service s '' pause
    mkfifo "$T/flag.fifo"
    if [ $# -gt 2 ]; then try_tend --record "$1" "${@:3}"; else try_tend --record "$1" -c "$CONF"; fi
    must "71, got $STATUS" test "$STATUS" = 71
    must "path and reason: $(cat "$LOG")" grep -qF -- "tend: --record $1: $2" "$LOG"
    must "in one line" test "$(wc -l <"$LOG")" = 1
    must "nothing was started" never "" start
}
run_case subreaper "71: its folder is missing" refused "$T/none/record" 'No such file or directory'
run_case subreaper "71: it is a folder" refused "$T" 'Is a directory'
run_case user "71: it may not be made" refused /record 'Permission denied'
run_case subreaper "71: a pipe without a reader" refused "$T/flag.fifo" 'No such device or address'
run_case subreaper "71: with a command" refused "$T/none/record" 'No such file or directory' -- "$BIN/actor" "$J" main pause
no_name() {
    try_tend -c "$CONF" --record
    must "64, got $STATUS" test "$STATUS" = 64
}
run_case subreaper "64: --record without a file" no_name

# ---- what the file does not take ----
unread() {
    local reader begin
    mkfifo -m 666 "$R"
    exec {reader}<>"$R"
    service flapping 'restart { policy = always limit = 0 delay = "5ms" max_delay = "5ms" }' exit=1
    service s '' on=TERM:exit:0 pause
    run_tend "$MODE" -c "$CONF" --record "$R"
    # a pipe is full after 64 KiB, which is some 600 records
    must "flaps" wait_until 30 seen flapping start 250
    begin=$(now)
    stop_tend
    must "at once: $(($(now) - begin))" test $(($(now) - begin)) -lt 5000
    must "in order" seen s "exit 0"
    must "0, got $STATUS" test "$STATUS" = 0
    must "nothing is told of it" not said 'record|messages lost'
    timeout 1 cat <&"$reader" >"$T/flag.read"
    exec {reader}<&-
    must "there is what there was room for: $(wc -l <"$T/flag.read")" test "$(wc -l <"$T/flag.read")" -gt 200
    must "each line whole: $(but_for_gaps "$T/flag.read" | head -n 2)" test -z "$(but_for_gaps "$T/flag.read")"
}
in_modes "pid1 subreaper" "a pipe that nobody reads delays nothing" unread

full() {
    service flapping 'restart { policy = always limit = 0 delay = "5ms" max_delay = "5ms" }' exit=1
    service s '' on=TERM:exit:0 pause
    run_tend "$MODE" -c "$CONF" --record /dev/full
    must "flaps" wait_until 20 seen flapping start 20
    stop_tend
    must "0, got $STATUS" test "$STATUS" = 0
    must "nothing is told of it" not said 'record|messages lost|No space'
}
in_modes "pid1 subreaper" "a full device delays and breaks nothing" full

# A write that fails so raises a signal, which would be sent on to the command.
heard() { # what the command was told
    events main got | cut -d' ' -f5 | sort -u | paste -sd' '
}
goes_on() {
    must "its orphans are told of" wait_until 20 seen main over || return
    nap 0.3
    kill -USR1 "$TEND"
    must "signals are sent on" wait_until 10 seen main "got USR1"
    stop_tend
    must "3, got $STATUS" test "$STATUS" = 3
    must "no other has come: $(heard)" test "$(heard)" = "TERM USR1"
}
reader_leaves() {
    mkfifo -m 666 "$R"
    local reader both
    exec {both}<>"$R" # until tend has it open, too: whose open comes first is not known
    head -n 3 <"$R" >"$T/flag.read" {both}<&- &
    reader=$!
    run_tend "$MODE" --record "$R" -- "$BIN/actor" "$J" main on=any:note on=TERM:exit:3 "await=$T/flag.go" \
        orphans=3:5 sleep=100 orphans=3:5 sleep=100 note=over pause {both}<&-
    must "start" wait_until 10 seen main start || return
    exec {both}<&-
    must "the reader is gone" wait_until 10 not kill -0 "$reader"
    touch "$T/flag.go"
    goes_on
}
in_modes "pid1 subreaper" "F077 its reader leaves: the command hears nothing of it" reader_leaves

at_limit() {
    WRAP=(prlimit --fsize=600:)
    run_tend "$MODE" --record "$R" -- prlimit --fsize=unlimited "$BIN/actor" "$J" main on=any:note on=TERM:exit:3 \
        orphans=3:5 sleep=100 orphans=3:5 sleep=100 note=over pause
    goes_on
    must "it is full: $(wc -c <"$R")" full_at 600
}
in_modes "pid1 subreaper" "F077 the file is at its limit: the command hears nothing of it" at_limit

# Half a line is ended before the next one.
torn() {
    service flapping 'restart { policy = always limit = 0 delay = "20ms" max_delay = "20ms" }' exit=1
    WRAP=(prlimit --fsize=2000:unlimited)
    run_tend "$MODE" -c "$CONF" --record "$R"
    must "it is full" wait_until 20 full_at 2000
    prlimit --pid "$TEND" --fsize=unlimited
    must "it goes on" wait_until 20 seen flapping start $(($(count flapping start) + 5))
    stop_tend
    must "all but one line are whole: $(but_for_gaps "$R")" \
        test "$(but_for_gaps "$R" | cut -d: -f1 | sort -u | wc -l)" -le 1
    must "no two in one" not recorded 'seq=.*seq='
    must "it ends with the end" recorded 'kind=shutdown age='
}
run_case subreaper "half a line does not spoil the next one" torn

done_testing
