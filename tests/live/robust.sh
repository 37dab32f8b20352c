#!/bin/bash
# What the outside may do to tend.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

FLAP='restart { policy = always limit = 0 delay = "20ms" max_delay = "20ms" }'

f006() {
    local reader
    service flapping "$FLAP" sleep=5 exit=1
    service s 'stop { grace = "300ms" }' ignore=TERM pause
    mkfifo -m 666 "$T/flag.pipe"
    exec {reader}<>"$T/flag.pipe"
    # Full to the last byte: a writer that waits would wait for ever.
    dd if=/dev/zero of="$T/flag.pipe" bs=4096 oflag=nonblock 2>/dev/null
    LOG=$T/flag.pipe OUT=$T/flag.pipe run_tend "$MODE"
    must "restarts go on" wait_until 20 seen flapping start 50
    local begin
    begin=$(now)
    kill -TERM "$TEND"
    must "shutdown ends" await_end 20
    must "in time" test $(($(now) - begin)) -lt 6000
    must "status" test "$STATUS" = 0
    exec {reader}<&-
}
in_modes "pid1 subreaper user" "F006 tend's output is a full pipe nobody reads" f006

f006_tty() {
    service flapping "$FLAP" sleep=5 exit=1
    WRAP=("$BIN/actor" "$J" terminal tty)
    run_tend "$MODE"
    must "restarts go on" wait_until 20 seen flapping start 50
    kill -TERM "$(events terminal command | cut -d' ' -f5)"
    must "shutdown ends" await_end 20
}
run_case subreaper "F006 tend's terminal is stopped with Ctrl-S" f006_tty

f016() {
    service flapping "$FLAP" sleep=5 exit=1
    mkfifo -m 666 "$T/flag.pipe"
    head -n 1 <"$T/flag.pipe" >/dev/null &
    LOG=$T/flag.pipe OUT=$T/flag.pipe run_tend "$MODE"
    must "restarts go on" wait_until 20 seen flapping start 50
    must "tend lives" running
    stop_tend
    must "status" test "$STATUS" = 0
}
in_modes "pid1 subreaper user" "F016 tend's output is closed by its reader" f016

# ---- F035: whom tend signals ----
f035() {
    lacks strace && return
    service s 'stop { grace = "300ms" }' fork=child ignore=TERM pause end on=TERM:exit:0 pause
    service away '' fork=far setsid on=TERM:exit:0 pause end on=TERM:exit:0 pause
    service stray 'stop { grace = "300ms" }' daemon=lost ignore=TERM pause end pause
    service flapping "$FLAP" fork=left pause end sleep=50 exit=1
    service flood '' orphans=200:5 pause
    service hung "stop { command_timeout = \"200ms\" command = $(actor stopper ignore=TERM pause) }" pause
    conf 'supervisor { grace = "500ms" }'
    run_tend "$MODE"
    must "start" wait_until 10 up s away stray hung || return
    strace -qq -o "$T/flag.trace" -e trace=kill,tkill,tgkill,pidfd_send_signal -e signal=none -p "$TEND" 2>"$T/flag.strace" &
    local tracer=$!
    wait_until 5 grep -q 'TracerPid:.*[1-9]' "/proc/$TEND/status"
    must "flaps" wait_until 10 seen flapping start 4
    local own
    own=$(inside ps -o pgid= -p "$([ "$MODE" = pid1 ] && echo 1 || echo "$TEND")" | tr -d ' ')
    stop_tend
    wait "$tracer" 2>/dev/null
    must "there was somebody to signal" grep -q kill "$T/flag.trace"
    # Of each call the first number: never 0, 1, -1 (but the final sweep of a PID 1), own group.
    must "no signal to all or to ourselves: $(bad_targets "$own" | head -n 3)" test -z "$(bad_targets "$own")"
    must "every target was a process of ours" known_targets
}
bad_targets() { # OWN-GROUP
    awk -F'[(,]' -v pid1="$([ "$MODE" = pid1 ] && echo 1)" -v own="$1" '
        /^kill\(/ && $3 !~ /^ 0\)?/ { n++; line[n] = $0; target[n] = $2 + 0 }
        END {
            for (i = 1; i <= n; i++) {
                t = target[i]
                sweep = pid1 && t == -1
                if (sweep) swept = 1
                else if (swept) { print "after the sweep: " line[i] }
                if (!sweep && (t == 0 || t == 1 || t == -1 || t == own || t == -own)) print line[i]
            }
        }' "$T/flag.trace"
}
known_targets() {
    awk -F'[(,]' '
        FNR == NR { split($0, f, " "); known[f[2]] = 1; next }
        /^kill\(/ { t = $2 < 0 ? -$2 : $2 + 0; if (t > 1 && !(t in known)) { print; bad = 1 } }
        END { exit bad }' "$J" "$T/flag.trace"
}
in_modes "pid1 subreaper" "F035 only processes of ours are signalled" f035

f057() {
    local i
    for i in $(seq 40); do
        service "s$i" "$FLAP" pause
    done
    run_tend "$MODE"
    must "start" wait_until 20 seen "" up 40 || return
    local fds
    fds=$(fds_of "$TEND")
    # Below all that are open: not one more.
    prlimit --pid "$TEND" --nofile=3:
    # shellcheck disable=SC2046
    inside kill -KILL $(events "" up | cut -d' ' -f2)
    nap 1
    must "tend lives" running
    must "no spin" test "$(cpu_of "$TEND")" -lt 60
    prlimit --pid "$TEND" --nofile=1024:
    must "all come up by themselves" wait_until 20 seen "" up 80
    must "no descriptor leaked: $fds, $(fds_of "$TEND")" wait_until 5 same_fds "$fds"
}
same_fds() {
    [ "$(fds_of "$TEND")" -le "$1" ]
}
in_modes "pid1 subreaper" "F057 no descriptors left for a start: retried until there are" f057

f057_few() {
    local i
    WRAP=(prlimit --nofile=24:24)
    for i in $(seq 40); do
        service "s$i" "$FLAP" on=TERM:exit:0 pause
    done
    run_tend "$MODE"
    if wait_until 5 ended; then
        wait "$JOB"
        STATUS=$?
        JOB='' TEND=''
        must "or it is refused in words: $STATUS" test "$STATUS" -gt 1 -a "$STATUS" -lt 125
        must "which name the limit" said 'descriptor|nofile|open files'
        return
    fi
    must "40 services with 24 descriptors" wait_until 20 seen "" up 40
}
in_modes "pid1 subreaper user" "F057 forty services, 24 descriptors" f057_few

f059() {
    [ "$EUID" = 0 ] || return
    local uid=$((61000 + RANDOM % 1000))
    local as_it=(setpriv --reuid "$uid" --regid "$uid" --clear-groups)
    WRAP=("${as_it[@]}")
    service s "$FLAP" pause
    service t "$FLAP" pause
    run_tend "$MODE"
    must "start" wait_until 10 up s t || return
    "${as_it[@]}" prlimit --pid "$TEND" --nproc=1:
    signal KILL s
    signal KILL t
    local before after
    nap 0.3
    before=$(cpu_of "$TEND")
    nap 2
    after=$(cpu_of "$TEND")
    must "tend lives" running
    must "nothing started" test "$(count "" start)" = 2
    must "no spin: $((after - before)) of 200" test $((after - before)) -lt 40
    must "no flood of lines: $(wc -l <"$LOG")" test "$(wc -l <"$LOG")" -lt 200
    "${as_it[@]}" prlimit --pid "$TEND" --nproc=1000:
    must "both come up by themselves" wait_until 40 seen "" up 4
}
in_modes "subreaper" "F059 fork fails with EAGAIN: retried without haste" f059

f059_exec() {
    [ "$EUID" = 0 ] || return
    local uid=$((62000 + RANDOM % 1000))
    setpriv --reuid $uid --regid $uid --clear-groups "$BIN/actor" "$J" hog fork=hog2 pause end pause &
    wait_until 5 up hog hog2
    service s "user = \"$uid\" limits { nproc = 1 } $FLAP" pause
    service other '' pause
    run_tend "$MODE"
    must "others run" wait_until 10 up other
    nap 0.5
    must "the service does not" never s start
    kill -KILL "$(pid_of hog)" "$(pid_of hog2)"
    must "it comes up by itself" wait_until 40 up s
}
in_modes "subreaper" "F059 exec fails with EAGAIN as the user has no process left" f059_exec

# ---- F069: /proc ----
f069() { # WRAPPER...
    WRAP=("$@")
    service s "$FLAP stop { grace = \"2s\" }" fork=child on=TERM:clean:200:0 pause end on=TERM:exit:0 pause
    service t 'requires = {s}' on=TERM:exit:0 pause
    service stubborn 'stop { grace = "300ms" }' ignore=TERM pause
    conf 'supervisor { grace = "1s" }'
    run_tend "$MODE"
    must "start" wait_until 10 up s child t stubborn || return
    signal KILL s
    must "restarts" wait_until 20 seen s up 2
    must "the dead one's child was told" seen child "got TERM"
    must "and waited for" test "$(at child cleaned 1)" -le "$(at s start 2)"
    stop_tend 20
    must "t ended by itself" seen t "exit 0"
    must "in order" test "$(at s "got TERM")" -ge "$(at t "exit 0")"
    # The leak check at the end reads /proc, even to learn that it is not wanted.
    sanitized || must "status" test "$STATUS" = 0
    must "nobody is left" no_actors
}
# The journal needs no /proc; the watching shell keeps its own.
if [ "$EUID" = 0 ]; then
    # shellcheck disable=SC2016
    in_modes "pid1 subreaper" "F069 an empty /proc" f069 \
        unshare --mount sh -c 'mount -t tmpfs none /proc && exec "$@"' sh
    # shellcheck disable=SC2016
    in_modes "subreaper" "F069 hidepid=2 and not root" f069 \
        unshare --mount sh -c 'mount -t proc -o hidepid=2 none /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"' sh
    # shellcheck disable=SC2016
    in_modes "pid1 subreaper" "F069 a read-only /proc" f069 \
        unshare --mount sh -c 'mount -o remount,ro,bind /proc 2>/dev/null || mount -t proc -o ro none /proc; exec "$@"' sh
fi

# ---- F070: the wall clock ----
# A clock that jumps by up to a year at each look; the monotonic one is left alone.
wild_clock() {
    cat <<'END'
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long jump(void)
{
    static unsigned seed = 7;
    seed = seed * 1103515245u + 12345u;
    return (long)(seed % 63072000u) - 31536000;
}
int clock_gettime(clockid_t id, struct timespec *t)
{
    int r = (int)syscall(SYS_clock_gettime, id, t);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        t->tv_sec += jump();
    return r;
}
int gettimeofday(struct timeval *restrict t, void *restrict z)
{
    struct timespec s;
    (void)z;
    clock_gettime(CLOCK_REALTIME, &s);
    t->tv_sec = s.tv_sec;
    t->tv_usec = s.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *t)
{
    struct timespec s;
    clock_gettime(CLOCK_REALTIME, &s);
    if (t)
        *t = s.tv_sec;
    return s.tv_sec;
}
END
}
f070() {
    # Set by name for tend alone: services must not need it, and setpriv would drop it.
    WRAP=(env "LD_PRELOAD=$T/wild.so")
    service backoff 'restart { policy = always limit = 0 delay = "400ms" max_delay = "400ms" }' exit=1
    service slow 'stop { grace = "700ms" }' ignore=TERM pause
    service stuck 'type = oneshot ready { timeout = "600ms" } restart { policy = never } stop { grace = "200ms" }' pause
    run_tend "$MODE"
    must "start" wait_until 10 up slow stuck || return
    must "backs off" wait_until 20 seen backoff start 4
    local i gap
    for i in 1 2 3; do
        gap=$(($(at backoff start $((i + 1))) - $(at backoff exit "$i")))
        must "restart $i not early: $gap" test "$gap" -ge 300
        must "restart $i not late: $gap" test "$gap" -le 4000
    done
    must "the start timeout comes" wait_until 10 gone "$(pid_of stuck)"
    local begin took
    begin=$(now)
    stop_tend
    took=$(($(now) - begin))
    must "the grace is kept: $took" test "$took" -ge 700
    must "and ends: $took" test "$took" -lt 6000
}
wild_clock | ${CC:-cc} -shared -fPIC -O1 -o "$T/wild.so" -x c - 2>/dev/null
if [ -s "$T/wild.so" ] && ! sanitized; then
    in_modes "pid1 subreaper" "F070 the wall clock jumps by years: durations are kept" f070
else
    skip "F070 the wall clock jumps by years: durations are kept" "no compiler, or sanitized"
fi

done_testing
