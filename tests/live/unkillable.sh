#!/bin/bash
# Who cannot be ended, and hooks that hang: named, left, and waited for no longer than planned.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# ---- F111: a process that KILL does not end ----
# It stands still on its way out, as long as its tracer lives.
hold() { # NAME
    "$BIN/actor" "$J" tracer hold="$(outer "$(pid_of "$1")")" pause &
    wait_until 5 up tracer
}
release() {
    kill -KILL "$(events tracer start | cut -d' ' -f2)"
}
begin_stop() {
    BEGIN=$(now)
    kill -TERM "$TEND"
}
took() { # until now
    echo $(($(now) - BEGIN))
}
# By pid, with its state, and where the kernel tells, the function in which it waits. A kernel before
# 6.13 lets it go on by a second KILL, up to a zombie that nobody but its tracer may collect.
named() { # NAME
    local pid state where
    pid=$(pid_of "$1")
    state=$(sed 's/.*) //; s/ .*//' "/proc/$(outer "$pid")/stat")
    where=$(sed 's/\..*//' "/proc/$(outer "$pid")/wchan" 2>/dev/null)
    must "it is in state t or Z, not $state" grep -q '[tZ]' <<<"$state"
    must "named with pid and state $state" said "^tend: $1: KILL has no effect on pid $pid \(actor\), state $state"
    [ -z "$where" ] || [ "$where" = 0 ] ||
        must "and $where" said "on pid $pid \(actor\), state $state, in $where\$"
    must "the report says so" said "^tend:   $1 .* left, KILL had no effect"
}
base_web() { # KEYS-OF-WEB
    service base '' on=TERM:exit:0 pause
    service web "requires = {base} $1" ignore=TERM fork=child ignore=TERM pause end pause
    service other 'stop { grace = "500ms" }' ignore=TERM pause
}

f111_plan() {
    base_web 'stop { grace = "1s" }'
    run_tend "$MODE" -c "$CONF" --strict
    must "start" wait_until 10 up base web child other || return
    must "held" hold web || return
    begin_stop
    must "tend ends" await_end 30
    local took
    took=$(took)
    must "KILL had its five seconds: $took" test "$took" -ge 6000
    must "and no more than was planned: $took" test "$took" -lt 9000
    must "70, got $STATUS" test "$STATUS" = 70
    named web
    must "what it depends on is stopped, in turn" test $(($(at base "got TERM") - BEGIN)) -ge 6000
    must "its child is gone" gone "$(pid_of child)"
    must "the other one, too" gone "$(pid_of other)"
    release
    must "let go, it ends of that KILL" wait_until 5 gone "$(pid_of web)"
}
in_modes "subreaper user" "F111 KILL has no effect: named and left, all as planned" f111_plan

f111_deadline() {
    base_web 'stop { grace = "10s" }'
    run_tend "$MODE" -c "$CONF" --deadline 3s
    must "start" wait_until 10 up base web child other || return
    must "held" hold web || return
    "$BIN/actor" "$J" host "host=$TEND:3000"
    must "gone by the deadline" seen host gone
    await_end 20
    must "somebody was left, so not $STATUS" test "$STATUS" != 0
    named web
    must "nothing else is left" gone "$(pid_of child)"
    release
    wait_until 5 gone "$(pid_of web)"
}
in_modes "subreaper user" "F111 KILL has no effect, and a deadline" f111_deadline

# The same in state D: a process that waits for a file system which has died.
f111_dead_filesystem() { # KEYS-OF-TEND...
    mkdir -p "$T/fs"
    "$BIN/hangfs" "$T/fs" "$T/flag.server" /bin/true 2>/dev/null || {
        LACKING='a FUSE file system'
        return
    }
    kill -KILL "$(cat "$T/flag.server")"
    rm "$T/flag.server"
    WRAP=("$BIN/hangfs" "$T/fs" "$T/flag.server")
    no_leak_check
    conf 'service web {' 'requires = {base} stop { grace = "300ms" }' \
        "command = {\"$(command -v cat)\", \"$T/fs/x\"}" '}'
    service base '' on=TERM:exit:0 pause
    run_tend "$MODE" -c "$CONF" "$@"
    must "start" wait_until 10 up base || return
    local web=
    wait_until 10 said 'web: ready.*pid' && web=$(sed -n 's/^tend: web: ready.*pid //p' "$LOG")
    must "it waits for the file system" wait_until 10 grep -q request_wait "/proc/$web/wchan"
    nap 0.1 # for the other side to read the request
    begin_stop
    must "tend ends" await_end 30
    must "it was not ended" state_of "$web" D
    must "named, with its state and where it waits" \
        said "^tend: web: KILL has no effect on pid $web \(cat\), state D, in [a-z_]*fuse|request_wait"
    must "what it depends on is stopped" said '^tend: base: down after'
    must "somebody was left, so not $STATUS" test "$STATUS" != 0
    kill -KILL "$(cat "$T/flag.server")"
    must "with the file system it goes" wait_until 10 gone "$web"
}
state_of() { # PID STATE
    [ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)" = "$2" ]
}
if [ "$EUID" = 0 ]; then
    run_case subreaper "F111 state D: named and left, as planned" f111_dead_filesystem
    run_case subreaper "F111 state D, and a deadline" f111_dead_filesystem --deadline 2s
fi

# The kernel keeps a PID 1 until nobody is left in its namespace; what tend could do is done.
has_let_go() {
    [ -z "$(tr -d '\0' <"/proc/$TEND/cmdline")" ]
}
f111_pid1() {
    base_web 'stop { grace = "10s" }'
    run_tend "$MODE" -c "$CONF" --deadline 3s
    must "start" wait_until 10 up base web child other || return
    must "held" hold web || return
    begin_stop
    must "tend has come to its end" wait_until 10 has_let_go
    must "by its deadline: $(took)" test "$(took)" -lt 3000
    must "named" said "^tend: web: KILL has no effect on pid $(pid_of web) \(actor\), state [tZ]"
    must "the dependency is gone" gone "$(pid_of base)"
    release
    must "let go, all are gone" await_end 10
    must "somebody was left, so not $STATUS" test "$STATUS" != 0
}
run_case pid1 "F111 KILL has no effect, and tend is PID 1" f111_pid1

# Whatever came between: once it is let go while tend still waits for others, it is collected.
f111_thaw() {
    service web 'stop { grace = "0s" }' ignore=TERM pause
    service slow 'stop { grace = "7s" }' ignore=TERM pause
    run_tend "$MODE" -c "$CONF" --record "$T/flag.record"
    must "start" wait_until 10 up web slow || return
    must "held" hold web || return
    begin_stop
    must "it is given up" wait_until 20 said 'web: KILL has no effect'
    release
    must "it is collected" wait_until 5 gone "$(pid_of web)"
    must "tend ends" await_end 20
    must "it is told that it went" grep -qE 'service=web from=stuck to=down' "$T/flag.record"
    must "in the report, too" said '^tend:   web .* killed  .*signal KILL'
}
run_case subreaper "F111 one that was given up is collected once it goes" f111_thaw

f111_command() { # OPTION...
    run_tend "$MODE" "$@" -- "$BIN/actor" "$J" main fork=far setsid ignore=TERM pause end ignore=TERM pause
    must "start" wait_until 10 up main far || return
    must "held" hold main || return
    begin_stop
    must "tend ends" await_end 20
    must "137, got $STATUS" test "$STATUS" = 137
    must "named" said "^tend: actor: KILL has no effect on pid $(pid_of main) \(actor\), state [tZ]"
    must "the rest is gone" gone "$(pid_of far)"
    release
    wait_until 5 gone "$(pid_of main)"
}
f111_command_deadline() {
    f111_command --deadline 2s
    must "by the deadline: $(took)" test "$(took)" -lt 2500
}
run_case subreaper "F111 a command that KILL does not end, --deadline" f111_command_deadline
f111_command_grace() {
    f111_command --grace 500ms
    must "in half a second, and five: $(took)" test "$(took)" -ge 5500 -a "$(took)" -lt 8500
}
run_case subreaper "F111 a command that KILL does not end, --grace" f111_command_grace

# ---- F112: every hook hangs, and what it has started, too ----
HANG=(ignore=TERM fork=below ignore=TERM pause end pause)
FLAP='restart { policy = always limit = 0 delay = "100ms" max_delay = "100ms" }'
f112_stop() {
    service flapping "$FLAP" exit=1
    service keeper '' pause
    cp "$CONF" "$T/flag.conf"
    service s "stop { command = $(actor hook "${HANG[@]}") command_timeout = \"700ms\" grace = \"500ms\" }" \
        on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s keeper || return
    cp "$T/flag.conf" "$CONF" # s is removed, the others run on
    kill -HUP "$TEND"
    must "the hook runs" wait_until 10 up hook below || return
    local starts
    starts=$(count flapping start)
    must "s is told when its time is over" wait_until 10 seen s "got TERM"
    must "not before" test $(($(at s "got TERM") - $(at hook start))) -ge 600
    must "others were not held up" test "$(count flapping start)" -gt $((starts + 2))
    must "the hook is gone" wait_until 5 gone "$(pid_of hook)"
    must "and its child" wait_until 5 gone "$(pid_of below)"
    must "once" test "$(count hook start)" = 1
    must "keeper runs on" all_alive keeper
    stop_tend
}
in_modes "pid1 subreaper user cgroup" "F112 a stop command that hangs" f112_stop

f112_before() {
    service s "before_start = $(actor hook "${HANG[@]}") ready { timeout = \"700ms\" }
        stop { grace = \"300ms\" } restart { policy = never }" pause
    service flapping "$FLAP" exit=1
    run_tend "$MODE"
    must "the hook runs" wait_until 10 up hook below || return
    local starts
    starts=$(count flapping start)
    must "it ends" wait_until 10 gone "$(pid_of hook)"
    must "not before its time, and the grace" test $(($(now) - $(at hook start))) -ge 900
    must "its child, too" wait_until 5 gone "$(pid_of below)"
    must "others were not held up" test "$(count flapping start)" -gt $((starts + 2))
    must "the service itself was not started" never s start
    stop_tend
}
in_modes "pid1 subreaper user cgroup" "F112 a before_start that hangs" f112_before

f112_shutdown() { # WHICH
    case $1 in
    before) service s "before_start = $(actor hook "${HANG[@]}") ready { timeout = \"60s\" } stop { grace = \"700ms\" }" pause ;;
    stop) service s "stop { command = $(actor hook "${HANG[@]}") command_timeout = \"700ms\" }" on=TERM:exit:0 pause ;;
    esac
    run_tend "$MODE"
    must "start" wait_until 10 seen "" up || return
    begin_stop
    must "tend ends" await_end 20
    must "after its time: $(took)" test "$(took)" -ge 700
    must "and no more: $(took)" test "$(took)" -lt 5000
    must "the hook ran" up hook below
    must "0, got $STATUS" test "$STATUS" = 0
}
in_modes "pid1 subreaper" "F112 a shutdown, and a stop command that hangs" f112_shutdown stop
in_modes "pid1 subreaper" "F112 a shutdown, and a before_start that hangs" f112_shutdown before

done_testing
