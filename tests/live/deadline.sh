#!/bin/bash
# A shutdown is over by its deadline, whoever stands in the way; where there is time, nothing is cut
# short.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# Whoever is told TERM only notes it.
DEAF=on=TERM:note

# ---- a host that kills at the deadline ----
# TOOK is how long tend took from TERM on, by the clock of the one who sent it, and BEGIN when that
# was. False: it was too late, and KILL came.
host() { # MS
    local how at
    "$BIN/actor" "$J" host "host=$TEND:$1"
    read -r at _ _ how TOOK _ STALLED < <(grep -E ' host (gone|killed) ' "$J")
    BEGIN=$((at - TOOK))
    [ "$how" = gone ]
}
gone_by() { # MS
    must "gone by $1 ms" host "$1"
    await_end 20
}
begin_stop() {
    BEGIN=$(now)
    kill -TERM "$TEND"
}
watch() { # NAME...: the journal tells when the process of this name is gone, under watch-NAME
    local name
    for name; do
        "$BIN/actor" "$J" "watch-$name" "watch=$(outer "$(pid_of "$name")")" &
    done
    for name; do
        wait_until 5 seen "watch-$name" watching || return
    done
}
died() { # NAME: how many milliseconds after TERM
    wait_until 5 seen "watch-$1" died
    echo $(($(at "watch-$1" died) - BEGIN))
}
told() { # NAME: how many milliseconds after TERM
    echo $(($(at "$1" "got TERM" 1) - BEGIN))
}
# Never early; how late is told by what the machine has to do besides.
within() { # TEXT MS LOW: it is LOW, or up to 1.5 s more
    must "$1 not before $3 ms: $2" test "$2" -ge "$3"
    must "$1 soon after $3 ms: $2" test "$2" -lt $(($3 + 1500))
}
chain() { # COUNT KEYS STEP...: c1 is what c2 requires, and so on
    local i keys=$2
    service c1 "$keys" "${@:3}"
    for i in $(seq 2 "$1"); do
        service "c$i" "requires = {c$((i - 1))} $keys" "${@:3}"
    done
}

# ---- the issue's own words ----
f039_ten() {
    local i names
    chain 10 'stop { grace = "5s" }' "$DEAF" pause
    mapfile -t names < <(seq -f 'c%g' 10)
    run_tend "$MODE" -c "$CONF" --deadline 3s
    must "start" wait_until 10 up "${names[@]}" || return
    must "watched" watch "${names[@]}"
    gone_by 3000
    must "status 0, not $STATUS" test "$STATUS" = 0
    must "the log says why" said 'deadline: KILL to all'
    must "the first one had half a second: $(died c10)" test "$(died c10)" -ge 500
    must "the last one lived until the order was waived: $(died c1)" test "$(died c1)" -ge 2250
    for i in $(seq 9); do # who watches is as late as the scheduler has it, so by the floor of each
        never "c$i" "got TERM" ||
            must "c$i is told when c$((i + 1)) is gone" test "$(told "c$i")" -ge $(((10 - i) * 500))
    done
    must "some were told in their turn" seen c8 "got TERM"
}
in_modes "pid1 subreaper user cgroup" "F039 ten stubborn ones in a chain, 3 s" f039_ten

f039_twelve() {
    local i
    chain 10 'stop { grace = "5s" }' "$DEAF" pause
    run_tend "$MODE" -c "$CONF" --deadline 12s
    must "start" wait_until 10 seen "" up 10 || return
    gone_by 12000
    for i in $(seq 9); do
        must "c$i is told" seen "c$i" "got TERM"
        must "c$i has a second and more" test $(($(told "c$i") - $(told "c$((i + 1))"))) -ge 1000
    done
}
[ "${TEND_TEST_FULL:-0}" != 1 ] || run_case subreaper "F039 ten stubborn ones in a chain, 12 s" f039_twelve

# ---- how it is shared ----
equal_parts() {
    local i
    chain 4 'stop { grace = "5s" }' "$DEAF" pause
    run_tend "$MODE" -c "$CONF" --deadline 5s
    must "start" wait_until 10 up c1 c2 c3 c4 || return
    must "watched" watch c1
    gone_by 5000
    for i in 1 2 3; do
        within "c$((i + 1)) has its quarter of four seconds," "$(told "c$i")" $(((4 - i) * 990))
    done
    must "the order is kept to the end: $(died c1)" test "$(died c1)" -ge 3950
}
in_modes "pid1 subreaper" "equal graces get equal parts, in order" equal_parts

by_measure() {
    service base 'stop { grace = "1s" }' "$DEAF" pause
    service top 'requires = {base} stop { grace = "3s" }' "$DEAF" pause
    service alone 'stop { grace = "1500ms" }' "$DEAF" pause
    run_tend "$MODE" -c "$CONF" --deadline 4s
    must "start" wait_until 10 up base top alone || return
    must "watched" watch base top alone
    gone_by 4000
    within "three parts of four" "$(died top)" 2240
    within "the fourth" $(($(died base) - $(told base))) 500
    within "who waits for nobody has all of his time" "$(died alone)" 1500
}
in_modes "subreaper user" "each wait is shortened along its own way, in the measure of the config" by_measure

all_steps() {
    service base 'stop { grace = "4s" }' "$DEAF" pause
    service top "requires = {base} stop { drain = \"4s\" command = $(actor hook ignore=TERM pause)
        command_timeout = \"4s\" grace = \"4s\" then = {\"INT 4s\"} }" on=TERM:note on=INT:note pause
    run_tend "$MODE" -c "$CONF" --deadline 6s
    must "start" wait_until 10 up base top || return
    must "watched" watch base top
    gone_by 6000
    # five waits of four seconds share five
    local hook term int
    hook=$(($(at hook start) - BEGIN)) term=$(told top) int=$(($(at top "got INT") - BEGIN))
    within "the drain" "$hook" 1000
    within "the command" "$term" 1950
    within "the grace" "$int" 2900
    within "the further step" "$(died top)" 3850
    must "the dependency is told in its turn" test "$(told base)" -ge 3850
}
run_case subreaper "drain, command, grace and further steps are shortened alike" all_steps

what_is_left() {
    service last 'stop { grace = "1500ms" }' "$DEAF" pause
    service c1 'after = {last} stop { grace = "20s" }' on=TERM:exit:0 pause
    service c2 'wants = {c1} stop { grace = "20s" }' on=TERM:exit:0 pause
    service c3 'requires = {c2} stop { grace = "20s" }' on=TERM:clean:100:0 pause
    run_tend "$MODE" -c "$CONF" --deadline 4s
    must "start" wait_until 10 up c1 c2 c3 last || return
    must "watched" watch last
    gone_by 4000
    within "what the others did not use is there for the last" $(($(died last) - $(told last))) 1500
    must "nothing was waived" not said 'in no order'
}
in_modes "pid1 subreaper" "time that was not used is not lost" what_is_left

enough() {
    service base 'stop { grace = "700ms" then = {"INT 400ms"} }' on=TERM:note on=INT:note pause
    service top "requires = {base} stop { drain = \"300ms\" command = $(actor hook ignore=TERM pause)
        command_timeout = \"400ms\" grace = \"1s\" }" "$DEAF" pause
    run_tend "$MODE" -c "$CONF" --deadline 60s
    must "start" wait_until 10 up base top || return
    must "watched" watch base top
    begin_stop
    must "tend ends" await_end 30
    within "the command after the drain" $(($(at hook start) - BEGIN)) 300
    within "TERM after the command" "$(told top)" 700
    within "KILL after the grace" "$(died top)" 1700
    within "INT after the grace of the dependency" $(($(at base "got INT") - BEGIN)) 2400
    within "KILL after its further step" "$(died base)" 2800
    must "nothing was waived" not said 'in no order'
}
in_modes "pid1 subreaper user" "with a deadline that is enough nothing is shortened" enough

# ---- always ----
menagerie() {
    local slow='stop { grace = "60s" }' flap='policy = always limit = 0'
    local far=(fork=far setsid ignore=TERM pause end) deaf=(fork=deaf ignore=TERM pause end)
    conf 'supervisor { grace = "60s" }'
    chain 5 'stop { grace = "5s" }' "$DEAF" pause
    service session "$slow" "${far[@]}" "$DEAF" pause
    service fickle "$slow" "${far[@]}" on=TERM:exit:0 pause
    service drained 'stop { drain = "60s" grace = "60s" }' "$DEAF" pause
    service hooked "stop { command = $(actor hook ignore=TERM "${far[@]}" pause)
        command_timeout = \"60s\" grace = \"60s\" }" "$DEAF" pause
    service mixed 'stop { to = mixed grace = "60s" }' "${deaf[@]}" on=TERM:note pause
    service main_only 'stop { to = main grace = "60s" }' "${deaf[@]}" on=TERM:exit:0 pause
    service steps 'stop { grace = "10s" then = {"INT 10s", "QUIT 10s"} }' ignore=INT,QUIT "$DEAF" pause
    service starting 'type = oneshot ready { timeout = "60s" } stop { grace = "60s" }' ignore=TERM pause
    service waiting 'requires = {starting}' pause
    service preparing "before_start = $(actor before ignore=TERM pause) $slow" pause
    service flapping "restart { $flap delay = \"10ms\" max_delay = \"10ms\" }" exit=1
    service backing "restart { $flap delay = \"60s\" max_delay = \"60s\" }" exit=1
    service undone "type = oneshot stop { command = $(actor undo ignore=TERM pause)
        command_timeout = \"60s\" }" exit=0
    service frozen "$slow" ignore=TERM stop pause
    service stray 'restart { policy = never }' ignore=TERM daemon=lost pause end exit=0
}
all_there() {
    up c5 session drained mixed main_only steps starting before lost far deaf && seen frozen stop &&
        seen backing exit && seen undone exit
}
declare -i LOST # runs that tell nothing, as the machine itself stood still
a_run() { # MS WHEN ARGUMENT...
    : >"$J" && : >"$LOG"
    run_tend "$MODE" --deadline "$1ms" "${@:3}"
    must "it starts, $1 ms" wait_until 10 "$2" || return
    if ! host "$1"; then
        if [ "$STALLED" -gt $(($1 / 40)) ]; then LOST+=1; else WHY+=("late for $1 ms, stalled $STALLED"); fi
    fi
    await_end 20
    must "nobody is left, $1 ms" wait_until 2 no_actors
}
deadlines() { # COUNT
    seq 300 $((2700 / $1)) 2999
}
enough_told() { # RUNS
    must "$LOST of $1 runs on a machine that stood still" test $((LOST * 2)) -lt "$1"
}
any_start() {
    seen "" start
}
always() { # RUNS
    local ms when
    LOST=0
    menagerie
    for ms in $(deadlines "$1"); do
        when=all_there
        [ $((RANDOM % 4)) != 0 ] || when=any_start
        a_run "$ms" $when -c "$CONF"
        [ ${#WHY[@]} = 0 ] || return
    done
    enough_told "$1"
}
run_case pid1 "F039 always gone before the deadline" always "$(full 200 6)"
run_case subreaper "F039 always gone before the deadline" always "$(full 200 6)"
run_case user "F039 always gone before the deadline" always "$(full 100 3)"
run_case cgroup "F039 always gone before the deadline" always "$(full 100 3)"

command_is_up() {
    up main far lost
}
always_command() { # RUNS
    local ms reaction far=(fork=far setsid ignore=TERM pause end daemon=lost ignore=TERM pause end)
    LOST=0
    for ms in $(deadlines "$1"); do
        reaction=ignore=TERM
        [ $((RANDOM % 2)) = 0 ] || reaction=on=TERM:exit:5
        a_run "$ms" command_is_up -- "$BIN/actor" "$J" main "${far[@]}" "$reaction" pause
        must "$reaction: status $STATUS" test "$STATUS" = "$([ $reaction = ignore=TERM ] && echo 137 || echo 5)"
        [ ${#WHY[@]} = 0 ] || return
    done
    enough_told "$1"
}
in_modes "pid1 subreaper" "F039 so is a command, and what it leaves behind" always_command "$(full 100 3)"

# What came before the shutdown is shortened too.
stop_under_way() {
    service keeper '' on=TERM:exit:0 pause
    cp "$CONF" "$T/flag.conf"
    chain 2 'stop { grace = "60s" }' "$DEAF" pause
    run_tend "$MODE" -c "$CONF" --deadline 4s
    must "start" wait_until 10 up keeper c1 c2 || return
    must "watched" watch c2
    cp "$T/flag.conf" "$CONF"
    kill -HUP "$TEND"
    must "it is being stopped" wait_until 10 seen c2 "got TERM" || return
    gone_by 4000
    within "half of three seconds" "$(died c2)" 1450
    must "the other half is for the next one" seen c1 "got TERM"
}
in_modes "pid1 subreaper" "a stop that was under way is shortened" stop_under_way

from_end_of_main() {
    service app 'main = true restart { policy = never }' "await=$T/flag.go" exit=3
    service other 'stop { grace = "60s" }' ignore=TERM pause
    run_tend "$MODE" -c "$CONF" --deadline 2s
    must "start" wait_until 10 up other || return
    "$BIN/actor" "$J" watch-tend "watch=$TEND" &
    must "watched" wait_until 5 seen watch-tend watching || return
    touch "$T/flag.go"
    must "tend ends" await_end 20
    local took
    wait_until 5 seen watch-tend died
    took=$(($(at watch-tend died) - $(at app "exit 3")))
    must "within two seconds: $took" test $took -lt 2000
    must "3, got $STATUS" test "$STATUS" = 3
}
in_modes "pid1 subreaper" "a shutdown that the end of the main service begins has it too" from_end_of_main

# A name service that does not answer: the reading process cannot go on.
f020_loader() {
    WRAP=("$BIN/deny" connect=HANG --)
    service s 'user = "nobody"' pause
    run_tend "$MODE" -c "$CONF" --deadline 2s
    must "it is being loaded" wait_until 5 first_child "$TEND" || return
    nap 0.2
    gone_by 2000
    must "nothing was started" never s start
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "F020 a configuration that takes for ever does not hold it up" f020_loader
fi

# ---- where it is set ----
stubborn() { # SUPERVISOR GRACE
    conf "supervisor { $1 }"
    service s "stop { grace = \"$2\" }" ignore=TERM pause
}
key() { # DEADLINE ARGUMENT...
    stubborn 'deadline = "1500ms"' 20s
    run_tend "$MODE" -c "$CONF" "${@:2}"
    must "start" wait_until 10 up s || return
    gone_by "$1"
}
in_modes "pid1 subreaper" "supervisor { deadline }" key 1500
run_case subreaper "--deadline goes over it, where it is shorter" key 800 --deadline 800ms

longer() { # DEADLINE GRACE ARGUMENT...
    stubborn "deadline = \"$1\"" "$2"
    run_tend "$MODE" -c "$CONF" "${@:3}"
    must "start" wait_until 10 up s || return
    must "watched" watch s
    begin_stop
    must "tend ends" await_end 20
    within "KILL" "$(died s)" 1500
}
run_case subreaper "and where it is longer" longer 600ms 1500ms --deadline 20s
run_case subreaper "0 is none" longer 0 1500ms

reloaded() { # WAS IS LOW HIGH
    stubborn "$1" 1500ms
    run_tend "$MODE" -c "$CONF"
    must "start" wait_until 10 up s || return
    : >"$CONF"
    stubborn "$2" 1500ms
    service new '' pause
    kill -HUP "$TEND"
    must "the new set is taken" wait_until 10 up new || return
    host "$4"
    must "gone by $4 ms" test "$TOOK" -lt "$4"
    must "not before $3 ms" test "$TOOK" -ge "$3"
    await_end 20
}
run_case subreaper "a reload sets it" reloaded '' 'deadline = "1s"' 700 1000
run_case subreaper "a reload changes it" reloaded 'deadline = "600ms"' 'deadline = "1400ms"' 1000 1400
run_case subreaper "a reload takes it away" reloaded 'deadline = "600ms"' '' 1500 10000

bad_option() { # VALUE
    service s '' pause
    try_tend --deadline "$1" -c "$CONF"
    must "64, got $STATUS" test "$STATUS" = 64
    must "the value is named" grep -qF -- "--deadline: \"$1\"" "$LOG"
    must "and how to write one" said '10s'
    must "nothing is started" never "" start
}
for value in '' 10 1x 5s1m -1s 1.5s 300000000000000d never; do
    run_case subreaper "64: --deadline '$value'" bad_option "$value"
done
bad_key() { # VALUE
    conf '' "supervisor { deadline = \"$1\" }"
    service s '' pause
    try_tend -c "$CONF"
    must "78, got $STATUS" test "$STATUS" = 78
    must "the place is named" said "tend.conf:2: .*deadline"
    must "nothing is started" never "" start
}
for value in 10 -1s 300000000000000d; do
    run_case subreaper "78: supervisor { deadline = \"$value\" }" bad_key "$value"
done

# ---- nobody reads what tend says ----
unread() { # MS
    local reader
    mkfifo -m 666 "$T/flag.pipe"
    exec {reader}<>"$T/flag.pipe"
    dd if=/dev/zero of="$T/flag.pipe" bs=4096 oflag=nonblock 2>/dev/null
    stubborn '' 20s
    LOG=$T/flag.pipe OUT=$T/flag.pipe run_tend "$MODE" -c "$CONF" --deadline "$1ms"
    must "start" wait_until 10 up s || return
    gone_by "$1"
    exec {reader}<&-
}
in_modes "pid1 subreaper" "F006 a full pipe that nobody reads costs no time" unread 800

done_testing
