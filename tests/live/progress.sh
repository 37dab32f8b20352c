#!/bin/bash
# What is waited for longer than a second is told: who, its processes, how long yet; and when it is
# over, what it was. The line that is drawn on a terminal: live_line.sh.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

WAITS='^tend: (ready|stopping) [0-9]+/[0-9]+, .* left'
waits() { # [PATTERN]: the lines that tell of a wait
    grep -E "$WAITS" "$LOG" | grep -E -- "${1:-.}"
}
told_wait() { # PATTERN
    waits "$1" >/dev/null
}
# Tenths of a second, as told in each line.
left() { # PATTERN
    waits "$1" | sed -E 's/.*[ ,]([0-9]+)\.([0-9]) s left.*/\1\2/; s/^0(.)/\1/'
}
# Where the kernel tells; as a pattern.
place() { # NAME
    local where
    where=$(sed 's/\..*//' "/proc/$(outer "$(pid_of "$1")")/wchan" 2>/dev/null)
    [ -z "$where" ] || [ "$where" = 0 ] || echo " in $where"
}
within() { # TEXT VALUE LOW HIGH
    must "$1: $2, from $3 to $4" test "$2" -ge "$3" -a "$2" -le "$4"
}

# ---- whom, and when ----
short() {
    service one 'type = oneshot' sleep=700 exit=0
    service two 'requires = {one}' on=TERM:clean:700:0 pause
    service three '' on=TERM:clean:700:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up two three || return
    stop_tend
    must "three waits of less than a second are not told: $(waits)" not told_wait .
}
in_modes "pid1 subreaper user" "nothing is told of what takes less than a second" short

start_and_stop() {
    service slow 'type = oneshot ready { timeout = "9s" }' note=begin sleep=3600 exit=0
    service after 'requires = {slow}' on=TERM:clean:1500:0 pause
    service quick '' on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 seen slow begin || return
    local slow place
    slow=$(pid_of slow)
    nap 0.3
    place=$(place slow)
    must "all are up" wait_until 10 up after quick || return
    must "the start: count, pid, state, place" \
        told_wait "^tend: ready 1/3, waiting for slow \(pid $slow \(actor\) S$place\), [78]\.[0-9] s left$"
    local at
    mapfile -t at < <(left 'for slow ')
    must "after one second, two and four: ${at[*]}" test ${#at[@]} = 2
    within "after one second" "${at[0]}" 70 80
    within "after two" "${at[1]}" 60 "$((at[0] - 9))"
    begin=$(now)
    stop_tend
    must "the stop: count, pid, state, place" \
        told_wait "^tend: stopping 1/2, after \(pid $(pid_of after) \(actor\) S$place\) has [89]\.[0-9] s left$"
    must "told once: $(waits 'after \(' | wc -l)" test "$(waits 'after \(' | wc -l)" = 1
    must "whom nobody waited for is not named" not told_wait 'quick \('
}
in_modes "pid1 subreaper user" "a start and a stop that take longer" start_and_stop

intervals() {
    service s 'stop { grace = "9s" }' ignore=TERM pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    stop_tend
    local at
    mapfile -t at < <(left 's \(')
    must "after 1, 2, 4 and 8 seconds: ${at[*]}" test ${#at[@]} = 4
    within "the first" "${at[0]}" 70 80
    within "the second, a second later" $((at[0] - at[1])) 9 15
    within "the third, two later" $((at[1] - at[2])) 19 25
    within "the fourth, four later" $((at[2] - at[3])) 39 45
}
run_case subreaper "the longer it takes, the less often it is told" intervals

several() {
    local i
    service first 'stop { grace = "3s" }' ignore=TERM pause
    for i in 1 2 3; do
        service "more$i" 'after = {base} stop { grace = "1200ms" }' ignore=TERM pause
    done
    service base 'after = {other}' on=TERM:exit:0 pause
    service other '' on=TERM:clean:3000:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up first more1 more2 more3 base other || return
    stop_tend
    must "one line for four" told_wait '^tend: stopping 0/6, first \(pid .*\) has [12]\.[0-9] s left, and 3 more$'
    must "then for two" told_wait '^tend: stopping 4/6, first \(pid .*\) has [01]\.[0-9] s left, and 1 more$'
    must "another one that is waited for is told anew" told_wait '^tend: stopping 5/6, other \(pid '
}
run_case subreaper "of several the one that is waited for longest, and how many more" several

# Also while nothing shuts down.
removed() {
    service keeper '' on=TERM:exit:0 pause
    cp "$CONF" "$T/flag.conf"
    service old 'stop { grace = "1500ms" }' ignore=TERM pause
    run_tend "$MODE"
    must "start" wait_until 10 up keeper old || return
    cp "$T/flag.conf" "$CONF"
    kill -HUP "$TEND"
    must "it is told" wait_until 10 told_wait "^tend: ready 1/1, old \(pid $(pid_of old) .* has 0\.[0-9] s left$"
    must "it goes" wait_until 10 gone "$(pid_of old)"
    stop_tend
}
run_case subreaper "one that a reload has removed" removed

hook() {
    service s "stop { command = $(actor hook sleep=1500 exit=0) }" on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    stop_tend
    must "both pids are named" told_wait "s \(pid $(pid_of s) \(actor\) S.*, pid $(pid_of hook) \(actor\) S"
}
run_case subreaper "a stop command" hook

# ---- processes ----
# What others have left behind is theirs.
remains() {
    local name
    for name in a b; do
        service $name "stop { grace = \"$([ $name = a ] && echo 2 || echo 3)s\" }" \
            fork="kid_$name" ignore=TERM pause end on=TERM:exit:0 pause
    done
    run_tend "$MODE"
    must "start" wait_until 10 up a b kid_a kid_b || return
    stop_tend
    must "its child, once it is gone" told_wait "^tend: stopping 0/2, a \(pid $(pid_of kid_a) \(actor\) S[^,]*\) has "
    must "not that of another" not told_wait "a \(.*pid $(pid_of kid_b) .*\) has "
    must "then the other" told_wait "^tend: stopping 1/2, b \(pid $(pid_of kid_b) \(actor\) S"
}
in_modes "pid1 subreaper" "what is left of a service" remains

dead_child() {
    service s 'stop { grace = "1500ms" }' ignore=TERM fork=kid on=TERM:exit:0 pause end fork=other setsid ignore=TERM pause end pause
    run_tend "$MODE"
    must "start" wait_until 10 up s kid other || return
    stop_tend
    must "the child has ended" seen kid "exit 0"
    must "those who live" told_wait "s \(pid $(pid_of s) \(actor\) S[^,]*, pid $(pid_of other) \(actor\) S"
    must "not a dead child that its parent has to wait for" not told_wait " Z"
}
run_case subreaper "a zombie is waited for by its parent, not by tend" dead_child

crowd() {
    local i steps=()
    for i in 1 2 3 4 5; do
        steps+=(fork="kid$i" setsid ignore=TERM pause end)
    done
    service s 'stop { grace = "1500ms" }' "${steps[@]}" ignore=TERM pause
    run_tend "$MODE"
    must "start" wait_until 10 up s kid5 || return
    stop_tend
    must "three of six are named: $(waits | grep -o 'pid [0-9]*' | wc -l)" test "$(waits | grep -o 'pid [0-9]*' | wc -l)" = 3
}
run_case subreaper "not more than three processes" crowd

strays() {
    conf 'supervisor { grace = "2500ms" }'
    service s 'restart { policy = never }' ignore=TERM daemon=lost pause end sleep=100 exit=0
    service keeper '' on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up lost keeper || return
    stop_tend
    must "they are told" told_wait \
        "^tend: stopping 2/2, processes of no service \(pid $(pid_of lost) \(actor\) S.*\) have 1\.[0-9] s left$"
    must "and in the report: $(grep strays "$LOG")" said '^tend:   \(strays\) +2\.5s  TERM  killed$'
}
in_modes "pid1 subreaper" "what belongs to no service" strays

# A name may be anything that a terminal would obey.
odd_name() {
    conf 'service s { stop { grace = "1500ms" }' \
        "command = {\"/bin/sh\", \"-c\", \"printf 'a\\\\033[2J(b\\\\n' >/proc/\$\$/comm; trap '' TERM; exec 9<$T/flag.fifo; \\\"\$0\\\" \\\"\$@\\\"; read x <&9; :\", $(quoted "$BIN/actor" "$J" child note=up exit=0)}}"
    mkfifo "$T/flag.fifo"
    exec {reader}<>"$T/flag.fifo"
    run_tend "$MODE"
    must "start" wait_until 10 seen child up || return
    stop_tend
    exec {reader}<&-
    must "it is named: $(waits)" told_wait 's \(pid [0-9]+ \(a\?\[2J\(b\) S'
    must "no control byte is told" not grep -q $'\033' "$LOG"
}
run_case subreaper "F120 a process that calls itself by an escape sequence" odd_name

# ---- without /proc ----
blind() {
    # shellcheck disable=SC2016
    WRAP=(unshare --mount sh -c 'mount -t tmpfs none /proc && exec "$@"' sh)
    service slow 'type = oneshot' sleep=1500 exit=0
    service s 'stop { grace = "1500ms" } requires = {slow}' ignore=TERM pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    stop_tend
    must "the start" told_wait '^tend: ready 0/2, waiting for slow, 1m29s left$'
    must "the stop" told_wait '^tend: stopping 0/1, s has 0\.[0-9] s left$'
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "F069 without /proc: name, time and count" blind
fi

# Where nobody may see what others do.
hidden() {
    # shellcheck disable=SC2016
    WRAP=(unshare --mount sh -c 'mount -t proc -o hidepid=2 none /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"' sh)
    service s 'stop { grace = "1500ms" }' ignore=TERM pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    stop_tend
    must "the stop" told_wait '^tend: stopping 0/1, s.* has 0\.[0-9] s left$'
}
if [ "$EUID" = 0 ]; then
    run_case subreaper "F069 hidepid=2 and not root" hidden
fi

# ---- one command ----
command_runs() {
    try_tend -- "$BIN/actor" "$J" main sleep=2500 exit=3
    must "3, got $STATUS" test "$STATUS" = 3
    must "nothing is told: $(cat "$LOG")" not grep -q left "$LOG"
}
in_modes "pid1 subreaper" "a command: nothing while it runs" command_runs

command_stops() {
    run_tend "$MODE" -- "$BIN/actor" "$J" main on=TERM:clean:2500:3 pause
    must "start" wait_until 10 up main || return
    stop_tend
    must "3, got $STATUS" test "$STATUS" = 3
    must "nothing is told: $(cat "$LOG")" not grep -q left "$LOG"
}
in_modes "pid1 subreaper" "a command: nor while it takes its time to end" command_stops

command_leaves() {
    try_tend --grace 2500ms -- "$BIN/actor" "$J" main fork=kid ignore=TERM setsid pause end sleep=100 exit=3
    must "3, got $STATUS" test "$STATUS" = 3
    must "it is told" said "^tend: left behind by actor \(pid $(pid_of kid) \(actor\) S.*\), 1\.[0-9] s left$"
    must "and again" test "$(grep -c 'left behind by actor (' "$LOG")" = 2
}
in_modes "pid1 subreaper" "a command: what it has left behind" command_leaves

# ---- the report ----
# "NAME TIME SIGNAL OUTCOME", the time in tenths of a second.
reported() { # NAME
    sed -nE "s/^tend:   $1 +([0-9]+)(\.([0-9])s|s|ms) +([A-Z0-9+-]+) +(.*)$/\1 \2 \4 \5/p" "$LOG" | sed -E '
        s/^([0-9]{1,2}) ms /0 /; s/^([0-9])[0-9]{2} ms /\1 /; s/^([0-9]+) s /\10 /
        s/^([0-9]+) \.([0-9])s /\1\2 /; s/  +/ | /'
}
is_reported() { # NAME LOW HIGH SIGNAL OUTCOME EXIT
    local line time
    line=$(reported "$1")
    time=${line%% *}
    must "$1: $line, not $4 $5 | $6" test "${line#* }" = "$4 $5 | $6"
    within "$1 took" "${time:-x}" "$2" "$3"
}
report() {
    conf 'supervisor { grace = "4s" }'
    service base 'stop { grace = "2s" }' on=TERM:clean:100:0 pause
    service middle 'requires = {base} stop { signal = INT grace = "1s" }' on=INT:clean:600:3 pause
    service top 'requires = {middle} stop { drain = "500ms" grace = "1s" }' ignore=TERM pause
    service alone 'stop { grace = "1500ms" }' on=TERM:exit:0 fork=kid setsid ignore=TERM pause end pause
    service "done" 'type = oneshot' exit=0
    service failed 'restart { policy = never }' exit=4
    service idle 'start = manual' pause
    run_tend "$MODE"
    must "start" wait_until 10 up base middle top alone kid || return
    must "and end" wait_until 10 seen failed "exit 4" || return
    local begin took
    begin=$(now)
    stop_tend
    took=$((($(now) - begin) / 100))
    is_reported base 1 9 TERM 'on its signal' 'exit 0'
    is_reported middle 6 9 INT 'on its signal' 'exit 3'
    is_reported top 15 18 TERM killed 'signal KILL'
    is_reported alone 15 18 TERM killed 'exit 0'
    must "who had ended" said '^tend:   done +- +- +had ended +exit 0$'
    must "who had failed" said '^tend:   failed +- +- +had failed +exit 4$'
    must "who was not running" said '^tend:   idle +- +- +was not running$'
    must "the chain that took longest, from its begin: $(grep chain "$LOG")" \
        said '^tend: the longest chain: top 1\.[5-8]s, then middle [6-9][0-9]{2}ms, then base [1-9][0-9]{2}ms$'
    # 500ms + 1s + 5s, 1s + 5s, 2s + 5s, and the sweep of 4s + 5s
    must "the worst case, as planned: $(tail -n 1 "$LOG")" said '^tend: shutdown complete in 2(\.[0-9])?s, at most 29s$'
    local total
    total=$(sed -nE 's/^tend: shutdown complete in ([0-9])(\.([0-9]))?s.*/\1\3/p' "$LOG")
    [ ${#total} = 2 ] || total=${total}0
    within "the total" "$total" $((took - 10)) $((took + 1))
}
in_modes "pid1 subreaper user" "the report: signal, time and outcome of each, chain, total" report

one_alone() {
    service a '' on=TERM:exit:0 pause
    service b 'stop { grace = "300ms" }' ignore=TERM pause
    run_tend "$MODE" -c "$CONF" --deadline 20s
    must "start" wait_until 10 up a b || return
    stop_tend
    must "no chain of one" not said 'chain'
    must "the deadline beside the plan" said '^tend: shutdown complete in [0-9]+ms, at most 30s, deadline 20s$'
}
run_case subreaper "the report: no chain where there is none, and the deadline" one_alone


quiet_command() {
    try_tend -- "$BIN/actor" "$J" main exit=3
    must "no report on a command: $(cat "$LOG")" not said 'complete|chain|exit 3'
}
run_case subreaper "no report on a command" quiet_command

done_testing
