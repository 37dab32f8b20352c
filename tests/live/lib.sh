# shellcheck shell=bash
# What every live script stands on: one temporary folder, one tend at a time, actors whose journal
# tells what happened, and TAP. A script sources this, defines one function per case, calls
# `run_case` or `in_modes` for each, and ends with `done_testing`.
#
# TEND_TEST_FULL=1 asks for the full counts, TEND_TEST_ONLY=TEXT for the cases with this text,
# TEND_TEST_DENY=ERRNO for a kernel that denies every call in OPTIONAL to tend and all below it.
#
# Modes: pid1 (PID 1 of a PID namespace), subreaper (plain start), user (another uid than root),
# cgroup (plain, in a delegated cgroup v2).

set -u
BUILD=$(realpath "${TEND_BUILD:-build}")
T=$(mktemp -d "${TMPDIR:-/tmp}/tend-live.XXXXXX")
chmod 1777 "$T"
BIN=$T/bin J=$T/journal CONF=$T/tend.conf LOG=$T/log OUT=$T/out
CGROUP='' # folder of the delegated group, where there is one
TEND='' JOB='' STATUS='' MODE='' LACKING=''
export TEND_RUNTIME=$T/run
RUN=$TEND_RUNTIME # of the present case
WRAP=() # words put before tend's own command line
declare -i TESTS=0
WHY=()

# Copies, since another uid may not be able to reach the build folder.
mkdir "$BIN"
cp "$BUILD/"{tend,tendctl} "$BUILD/tests/"{actor,deny,hangfs} "$BIN/" || exit 1
printf '%s' "$BIN/actor" >"$T/pattern"
mkfifo "$T/never"
exec {NEVER}<>"$T/never"

leave() {
    # A child of this shell may still have its traps when a signal meets it just after the fork.
    [ "$BASHPID" = $$ ] || return
    end_all
    [ -z "$CGROUP" ] || rmdir "$CGROUP"/* "$CGROUP" 2>/dev/null
    rm -rf "$T"
}
trap leave EXIT
trap 'exit 143' TERM INT HUP

# ---- time ----
nap() { # without a process
    read -rt "$1" -u "$NEVER"
    return 0
}
now() { # milliseconds of the actors' clock
    "$BIN/actor" - now now
}
wait_until() { # SECONDS COMMAND...: polls; little more comes once tend has ended
    local now=${EPOCHREALTIME/[.,]/}
    local limit=$((now + $1 * 1000000)) soon=$((now + 2000000))
    shift
    until "$@" >/dev/null 2>&1; do
        now=${EPOCHREALTIME/[.,]/}
        [ "$now" -lt "$limit" ] || return 1
        if [ "$now" -gt "$soon" ] && [ -n "$JOB" ] && ended; then
            return 1
        fi
        nap 0.02
    done
}

# ---- TAP ----
ok() {
    TESTS+=1
    echo "ok $TESTS - $1"
}
not_ok() { # TEXT [LINE...]
    TESTS+=1
    echo "not ok $TESTS - $1"
    shift
    printf '#   %s\n' "$@"
}
skip() { # TEXT REASON
    TESTS+=1
    echo "ok $TESTS - $1 # SKIP $2"
}
done_testing() {
    echo "1..$TESTS"
}

# Within a case: notes what is not so, and goes on. `must ... || return` where it cannot.
full() { # COUNT SCALED: one of them
    if [ "${TEND_TEST_FULL:-0}" = 1 ]; then echo "$1"; else echo "$2"; fi
}
must() { # TEXT COMMAND...
    local text=$1
    shift
    "$@" >/dev/null 2>&1 && return 0
    WHY+=("$text  [$*]")
    return 1
}
not() {
    ! "$@"
}

# ---- cases ----
sanitized() {
    grep -qa __asan_init "$BIN/tend"
}
no_leak_check() { # it needs ptrace for itself
    ! sanitized || WRAP+=(env "ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0")
}
lacks() { # COMMAND: the case is skipped; `lacks strace && return`
    command -v "$1" >/dev/null && return 1
    LACKING=$1
}
# What tend and its C library can do without: newer than Linux 4.4, or often filtered.
OPTIONAL=clone3,close_range,epoll_pwait2,eventfd2,faccessat2,memfd_create,openat2,pidfd_open,pidfd_send_signal
OPTIONAL+=,preadv2,pwritev2,renameat2,statx,timerfd_create
DENIED=()
[ -z "${TEND_TEST_DENY:-}" ] || DENIED=("$BIN/deny" "$OPTIONAL=$TEND_TEST_DENY" --)
denied() { # CALL: the case, which is about what needs it, is skipped; `denied clone3 && return`
    [ -n "${TEND_TEST_DENY:-}" ] && [[ ,$OPTIONAL, == *,$1,* ]] || return 1
    LACKING=$1
}
have_mode() {
    case $1 in
    pid1) unshare "${AS_ROOT[@]}" --pid --fork --mount --mount-proc true 2>/dev/null ;;
    user) [ "$EUID" = 0 ] && setpriv --reuid 65534 --regid 65534 --clear-groups true ;;
    cgroup) have_cgroup ;;
    subreaper) true ;;
    *) false ;;
    esac
}
have_cgroup() {
    local root
    [ -z "$CGROUP" ] || return 0
    [ "$EUID" = 0 ] || return 1
    for root in /sys/fs/cgroup /sys/fs/cgroup/unified; do
        [ "$(stat -f -c %t $root 2>/dev/null)" = 63677270 ] || continue
        mkdir "$root/${T##*/}" 2>/dev/null || continue
        CGROUP=$root/${T##*/}
        return 0
    done
    return 1
}
AS_ROOT=() INTO=()
[ "$EUID" = 0 ] || AS_ROOT=(--user --map-root-user) INTO=(--user --preserve-credentials)

run_case() { # MODE TEXT FUNCTION [ARGUMENT...]
    local text="$2 ($1)"
    MODE=$1
    shift 2
    if [ -n "${TEND_TEST_ONLY:-}" ] && [[ $text != *$TEND_TEST_ONLY* ]]; then
        return
    fi
    have_mode "$MODE" || {
        skip "$text" "$MODE is not possible here"
        return
    }
    begin
    "$@"
    end_case
    if [ -n "$LACKING" ]; then
        skip "$text" "needs $LACKING"
    elif [ ${#WHY[@]} = 0 ]; then
        ok "$text"
    else
        not_ok "$text" "${WHY[@]}"
        evidence | sed 's/^/#     /'
    fi
}
evidence() {
    echo "--- tend:"
    tail -n 25 "$LOG"
    echo "--- journal:"
    grep -v ' fact ' "$J" | tail -n 40
}
in_modes() { # "MODE..." TEXT FUNCTION [ARGUMENT...]
    local mode modes=$1
    shift
    for mode in $modes; do
        run_case "$mode" "$@"
    done
}
begin() {
    end_all
    WHY=() WRAP=() STATUS='' LACKING=''
    export TEND_RUNTIME=$T/run.$MODE
    # shellcheck disable=SC2034 # for the scripts
    RUN=$TEND_RUNTIME
    rm -f "$T"/flag.* "$LOG" "$OUT"
    : >"$J" && : >"$LOG" && : >"$OUT" && : >"$CONF"
    chmod 666 "$J" "$LOG" "$OUT"
}
# What must be so after every case: no crash, no zombie of ours, nobody left behind.
end_case() {
    if running; then
        must "no zombie stays" wait_until 5 no_zombies
        stop_tend 30
    fi
    case $STATUS in
    132 | 134 | 135 | 136 | 139 | 159) WHY+=("tend died of a signal: status $STATUS") ;;
    esac
    must "no sanitizer complains" not grep -E 'Sanitizer: |runtime error: ' "$LOG" "$OUT"
    must "nobody is left behind: $(actors | tr '\n' ' ')" wait_until 2 no_actors
    end_all
}
end_all() {
    local pid
    [ -z "$TEND" ] || kill -KILL "$TEND" 2>/dev/null
    for pid in $(actors); do
        kill -KILL "$pid" 2>/dev/null
    done
    if [ -n "$JOB" ]; then
        kill -KILL "$JOB" 2>/dev/null
        wait "$JOB" 2>/dev/null
    fi
    TEND='' JOB=''
}

# ---- config ----
conf() { # text
    printf '%s\n' "$@" >>"$CONF"
}
quoted() { # WORD...: a list
    printf '"%s", ' "$@" | sed 's/, $//'
}
actor() { # NAME STEP...: the command as a list, for any key
    echo "{$(quoted "$BIN/actor" "$J" "$@")}"
}
service() { # NAME KEYS STEP...
    local name=$1 keys=$2
    shift 2
    conf "service $name {" "    $keys" "    command = $(actor "$name" "$@")" "}"
}

# ---- tend ----
HOW=()
starts() { # MODE: HOW, the words in front that make it
    HOW=("${DENIED[@]}")
    case $1 in
    pid1) HOW+=(unshare "${AS_ROOT[@]}" --pid --fork --mount --mount-proc --kill-child) ;;
    user) HOW+=(setpriv --reuid 65534 --regid 65534 --clear-groups) ;;
    esac
}
run_tend() { # MODE [ARGUMENT...]; the config is $CONF unless arguments say otherwise
    local mode=$1
    shift
    [ $# -gt 0 ] || set -- -c "$CONF"
    starts "$mode"
    (
        exec {NEVER}<&-
        [ "$mode" != cgroup ] || echo "$BASHPID" >"$CGROUP/cgroup.procs"
        exec "${HOW[@]}" "${WRAP[@]}" "$BIN/tend" "$@" </dev/null >>"$OUT" 2>>"$LOG"
    ) &
    JOB=$! TEND=$! STATUS=
    if [ "$mode" = pid1 ]; then
        wait_until 5 first_child "$JOB" || return
        TEND=$(first_child "$JOB")
    fi
}
first_child() {
    local children=
    read -r children _ <"/proc/$1/task/$1/children"
    [ -n "$children" ] && echo "$children"
}
# As run_tend, without the 20 ms of its polling: for a signal in tend's first moments.
launch() { # ARGUMENT...
    starts "$MODE"
    "${HOW[@]}" "${WRAP[@]}" "$BIN/tend" "$@" </dev/null >>"$OUT" 2>>"$LOG" {NEVER}<&- &
    JOB=$! TEND=$!
    if [ "$MODE" = pid1 ]; then
        TEND=
        until [ -n "$TEND" ] || ended; do
            read -r TEND _ <"/proc/$JOB/task/$JOB/children"
        done 2>/dev/null
    fi
}
has_become_tend() { # a fork of this shell drops a signal that comes before its exec
    [ "/proc/$TEND/exe" -ef "$BIN/tend" ]
}
# What is expected to end by itself soon: STATUS says how.
try() { # PROGRAM [ARGUMENT...]
    starts "$MODE"
    timeout -k 1 30 "${HOW[@]}" "${WRAP[@]}" "$@" </dev/null >>"$OUT" 2>>"$LOG" {NEVER}<&-
    STATUS=$?
}
try_tend() { # ARGUMENT...
    try "$BIN/tend" "$@"
}
running() {
    [ -n "$JOB" ] && kill -0 "$JOB" 2>/dev/null
}
ended() {
    ! running
}
await_end() { # SECONDS: sets STATUS
    wait_until "$1" ended || {
        WHY+=("tend did not end within $1 s")
        return 1
    }
    wait "$JOB"
    STATUS=$?
    JOB='' TEND=''
}
stop_tend() { # [SECONDS]
    kill -TERM "$TEND" 2>/dev/null
    await_end "${1:-30}"
}
inside() { # COMMAND...: in tend's namespace
    if [ "$MODE" = pid1 ]; then
        nsenter --target "$TEND" "${INTO[@]}" --pid --mount -- "$@"
    else
        "$@"
    fi
}
outer() { # PID as an actor knows it: as we know it
    if [ "$MODE" != pid1 ]; then
        echo "$1"
        return
    fi
    local file
    while read -r file; do
        if [ "${file%status}ns/pid" -ef "/proc/$TEND/ns/pid" ]; then
            basename "${file%/status}"
            return
        fi
    done < <(grep -lsE $'^NSpid:\t[0-9]+\t'"$1\$" /proc/[0-9]*/status)
}
signal() { # SIGNAL NAME: to the process that last started under this name
    inside kill "-$1" "$(pid_of "$2")"
}

# ---- before a terminal ----
in_python() { # FILE beside this one: it goes on and ends with lib.py
    local python
    # A python3 that comes first in PATH need not be the one of the distribution.
    for python in python3 /usr/bin/python3; do
        ! "${DENIED[@]}" "$python" -c 'import pexpect' 2>/dev/null || break
        python=
    done
    if [ -z "$python" ]; then
        skip "terminals" "needs python3-pexpect"
        done_testing
        return
    fi
    ! have_mode pid1 || starts pid1
    export T BIN J CONF LOG TEND_TEST_PID1="${HOW[*]}"
    "${DENIED[@]}" "$python" -B "$(dirname "$0")/$1"
}

# ---- the journal ----
events() { # NAME EVENT: the lines; "" is any name
    awk -v name="$1" -v event="$2" '
        name == "" || $3 == name {
            rest = $0
            sub(/^[^ ]+ [^ ]+ [^ ]+ /, "", rest)
            if (rest == event || index(rest, event " ") == 1)
                print
        }' "$J"
}
count() { # NAME EVENT
    events "$1" "$2" | wc -l
}
at() { # NAME EVENT [NTH]: milliseconds; the last one without NTH
    events "$1" "$2" | { if [ -n "${3:-}" ]; then sed -n "${3}p"; else tail -n 1; fi; } | cut -d' ' -f1
}
pid_of() { # NAME [NTH]
    events "$1" start | { if [ -n "${2:-}" ]; then sed -n "${2}p"; else tail -n 1; fi; } | cut -d' ' -f2
}
fact() { # NAME KEY: its value at the last telling
    events "$1" "fact $2" | tail -n 1 | sed "s/^[^ ]* [^ ]* [^ ]* fact $2 *//"
}
seen() { # NAME EVENT [TIMES]
    [ "$(count "$1" "$2")" -ge "${3:-1}" ]
}
never() { # NAME EVENT
    [ "$(count "$1" "$2")" = 0 ]
}
up() { # NAME...
    local name
    for name; do
        seen "$name" up || return
    done
}
said() { # WORDS: tend's log has a line with them, in this order
    grep -qiE -- "$1" "$LOG" "$OUT"
}

# ---- the kernel ----
processes() { # "PID STATE PPID PGRP SESSION" of all
    cat /proc/[0-9]*/stat 2>/dev/null | sed 's/^\([0-9]*\) (.*) \(.\) \([0-9]*\) \([0-9]*\) \([0-9]*\) .*/\1 \2 \3 \4 \5/'
}
zombies() {
    processes | awk -v tend="$TEND" '$2 == "Z" && $3 == tend { print $1 }' | sort
}
no_zombies() { # none that stays: one just dying is not yet a fault
    local before
    before=$(zombies)
    [ -n "$before" ] || return 0
    nap 0.5
    [ -z "$(comm -12 <(echo "$before") <(zombies))" ]
}
actors() {
    grep -lsaF -f "$T/pattern" /proc/[0-9]*/cmdline | cut -d/ -f3
}
no_actors() {
    [ -z "$(actors)" ]
}
alive() { # PID as an actor knows it; a zombie is not
    local pid state=
    pid=$(outer "$1")
    [ -n "$pid" ] && state=$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2>/dev/null)
    [ -n "$state" ] && [ "$state" != Z ] && [ "$state" != X ]
}
all_alive() { # NAME...
    local name
    for name; do
        alive "$(pid_of "$name")" || return
    done
}
gone() {
    ! alive "$1"
}
fds_of() {
    find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l
}
cpu_of() { # hundredths of a second
    sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}
