#!/bin/bash
# Service mode: what each signal does, and what the starter of tend may have left askew.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

FLAP='restart { policy = always limit = 0 delay = "20ms" max_delay = "20ms" }'

# ---- F011: signals from outside, and from inside its PID namespace, where PID 1 gets what it
# waits for and nothing else ----
tell_tend() { # FROM SIGNAL
    case $1 in
    outside) kill "-$2" "$TEND" ;;
    inside) inside kill "-$2" 1 ;;
    esac
}

f011_shutdown() { # SIGNAL FROM
    service base '' on=TERM:clean:100:0 pause
    service dependent 'requires = {base}' on=TERM:clean:200:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up base dependent || return
    local begin
    begin=$(now)
    tell_tend "$2" "$1"
    must "tend ends" await_end 20
    must "before any grace" test $(($(now) - begin)) -lt 5000
    must "in order" test "$(at base "got TERM")" -ge "$(at dependent "exit 0")"
    must "status 0, not $STATUS" test "$STATUS" = 0
}
f011_quit() { # FROM
    service base 'stop { grace = "60s" }' on=any:note pause
    service dependent 'requires = {base} stop { grace = "60s" }' on=any:note pause
    run_tend "$MODE"
    must "start" wait_until 10 up base dependent || return
    tell_tend "$1" QUIT
    must "tend ends" await_end 10
    must "nobody could clean up" never "" got
    must "status 0, not $STATUS" test "$STATUS" = 0
}
f011_hup() { # FROM
    service s 'stop { grace = "300ms" }' on=any:note pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    service new '' pause
    tell_tend "$1" HUP
    must "the new one starts" wait_until 10 up new
    must "the old one hears nothing" never s got
    must "and goes on" all_alive s
}
# All that the manual does not name, by number, since the C library hides two of them. CHLD is the
# kernel's own, KILL and STOP cannot be refused.
f011_others() { # FROM
    local signal
    service s "$FLAP stop { grace = \"300ms\" }" on=any:note pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    for signal in {1..64}; do
        case $signal in
        1 | 2 | 3 | 9 | 15 | 17 | 19 | 30 | 37) continue ;;
        esac
        tell_tend "$1" "$signal"
        must "tend was not stopped by $signal" not grep -q '^State:.*[Tt]' "/proc/$TEND/status" || return
    done
    must "it supervises still" signal KILL s
    must "it supervises still" wait_until 10 seen s up 2
    must "the service heard nothing" never s got
    stop_tend
    must "status 0, not $STATUS" test "$STATUS" = 0
}
f011() { # MODES FROM
    local signal
    for signal in TERM INT PWR RTMIN+3; do
        in_modes "$1" "F011 $signal from $2: an ordered shutdown" f011_shutdown "$signal" "$2"
    done
    in_modes "$1" "F011 QUIT from $2: KILL to all" f011_quit "$2"
    in_modes "$1" "F011 HUP from $2: the configuration anew" f011_hup "$2"
    in_modes "$1" "F011 every other signal from $2: nothing" f011_others "$2"
}
f011 "pid1 subreaper" outside
f011 pid1 inside

# ---- F020: the configuration takes for ever ----
# A name service that does not answer.
f020_load() { # MESSAGE
    WRAP=("$BIN/deny" connect=HANG --)
    service s 'user = "nobody"' pause
    run_tend "$MODE"
    must "it is being loaded" wait_until 5 first_child "$TEND" || return
    nap 0.2
    local begin
    begin=$(now)
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "without waiting for it" test $(($(now) - begin)) -lt 5000
    must "nothing was started" never s start
    must "status 0, not $STATUS" test "$STATUS" = 0
    must "nothing of the configuration is told" not said config
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "F020 TERM while the configuration takes for ever" f020_load
fi

# ---- F049: the terminal that takes our messages hangs up; it is not our controlling one ----
f049() {
    local tend begin
    service flapping 'restart { policy = always limit = 0 delay = "100ms" max_delay = "100ms" }' exit=1
    service s '' facts on=TERM:exit:0 pause
    WRAP=("$BIN/actor" "$J" terminal tty setsid --wait)
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    tend=$(fact s parent)
    kill -KILL "$TEND"
    wait "$JOB" 2>/dev/null
    JOB='' TEND=$tend
    begin=$(cpu_of "$tend")
    nap 3
    must "no spin: $(($(cpu_of "$tend") - begin)) of 300" test $(($(cpu_of "$tend") - begin)) -lt 60
    must "restarts go on" wait_until 20 seen flapping start $(($(count flapping start) + 5))
    kill -TERM "$tend"
    must "shutdown ends" wait_until 20 gone "$tend"
    must "in order" seen s "exit 0"
    TEND=
}
run_case subreaper "F049 the terminal of tend's messages hangs up" f049

# ---- F077: descriptors that are closed or fail ----
# A write that fails may raise a signal as well, which is one of those that tend waits for.
idle() { # SECONDS
    local before after
    nap 0.3
    before=$(cpu_of "$TEND")
    nap "$1"
    after=$(cpu_of "$TEND")
    must "no spin: $((after - before)) hundredths in $1 s" test $((after - before)) -lt 10
    must "tend lives" running
}
f077() { # SECONDS
    local reader
    mkfifo -m 666 "$T/flag.pipe"
    head -n 1 <"$T/flag.pipe" >/dev/null &
    reader=$!
    service silent '' close pause
    service loud '' close fork=child pause end pause
    LOG=$T/flag.pipe OUT=$T/flag.pipe run_tend "$MODE"
    must "start" wait_until 10 up silent loud child || return
    must "the reader is gone" wait_until 10 not kill -0 "$reader"
    kill -HUP "$TEND"
    idle "$1"
    signal KILL silent
    must "it supervises still" wait_until 10 seen silent up 2
    stop_tend
    must "status 0, not $STATUS" test "$STATUS" = 0
}
in_modes "pid1 subreaper" "F077 tend's reader is gone, services have closed their outputs: no spin" f077 "$(full 10 4)"

f077_full() { # SECONDS
    service s "$FLAP" close pause
    head -c 65536 /dev/zero | tr '\0' '\n' >"$LOG"
    WRAP=(prlimit --fsize=65536:unlimited)
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    kill -HUP "$TEND"
    idle "$1"
    must "nothing could be written" test "$(wc -c <"$LOG")" = 65536
    signal KILL s
    must "it supervises still" wait_until 10 seen s up 2
}
run_case subreaper "F077 the file of tend's messages is at its limit: no spin" f077_full "$(full 10 2)"

f077_command() {
    mkfifo -m 666 "$T/flag.pipe"
    true <"$T/flag.pipe" &
    LOG=$T/flag.pipe run_tend "$MODE" -v -- "$BIN/actor" "$J" main close on=any:note pause
    must "start" wait_until 10 up main || return
    kill -USR1 "$TEND"
    must "what was sent is sent on" wait_until 10 seen main "got USR1"
    kill -PIPE "$TEND"
    must "also PIPE" wait_until 10 seen main "got PIPE"
    kill -USR2 "$TEND"
    must "and what follows" wait_until 10 seen main "got USR2"
    must "once" test "$(count main got)" = 3
    kill -KILL "$(pid_of main)"
    await_end 20
}
run_case subreaper "F077 tend's reader is gone: the command hears nothing of it" f077_command

# ---- F090: what the starter has left askew ----
# shellcheck disable=SC2016
ASKEW=(unshare --mount bash -c 'mount -t tmpfs none "$0" && mkdir "$0/folder" && cd "$0/folder" || exit
    export NOTIFY_SOCKET=/outer LISTEN_FDS=2 LISTEN_FDNAMES=a:b LISTEN_PID=$$ WATCHDOG_USEC=1000 WATCHDOG_PID=$$ MAINPID=$$
    umask 777; exec nice -n 5 "$@" 3</dev/zero 4</dev/zero' "$T/flag.mount")
f090() {
    mkdir "$T/flag.mount"
    WRAP=("${ASKEW[@]}")
    service s "before_start = $(actor before facts exit=0)
        stop { command = $(actor stopper facts exit=0) }" facts on=TERM:exit:0 pause
    cp "$CONF" "$T/flag.conf"
    run_tend "$MODE" -c "$T/flag.conf"
    must "begins" wait_until 10 up s || return
    must "the file system is not kept busy" nsenter --target "$TEND" --mount umount "$T/flag.mount"
    stop_tend
    local who want
    for who in before s stopper; do
        for want in "umask 022" "cwd /" "nice 5" "session own"; do
            must "$who: $want" seen "$who" "fact $want"
        done
        must "$who: three descriptors" test "$(count "$who" "fact fd")" = 3
    done
    must "no manager variables" not grep -qE 'env (NOTIFY_SOCKET|LISTEN_|WATCHDOG_)' "$J"
    must "MAINPID is told to the stop command" seen stopper "fact env MAINPID=$(pid_of s)"
    must "and to nobody else" test "$(grep -c 'env MAINPID=' "$J")" = 1
    rmdir "$T/flag.mount"
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "F090 umask, folder, niceness and manager variables of the starter" f090
fi

done_testing
