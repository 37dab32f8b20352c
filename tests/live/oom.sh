#!/bin/bash
# Where memory is short services go, not tend; and whom the kernel ended so is told.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# ---- F060: the protection of tend is its own ----
OWN=$(cat /proc/$$/oom_score_adj) REAL=''
set_score() { # SCORE: of this shell, and so of all that it starts
    echo "$1" >/proc/$$/oom_score_adj
} 2>/dev/null
with_score() { # SCORE COMMAND...: it becomes REAL
    REAL=$1
    shift
    set_score "$REAL" || LACKING="the right to set oom_score_adj"
    [ -n "$LACKING" ] || "$@"
    set_score "$OWN"
}
# Where even root may not lower it (CAP_SYS_RESOURCE), PID 1 is shown a file that says -900.
protected() { # COMMAND...
    if [ "$MODE" = pid1 ] && ! set_score -900; then
        echo -900 >"$T/score"
        # shellcheck disable=SC2016
        WRAP=(sh -c 'mount --bind "$0" /proc/1/oom_score_adj && exec "$@"' "$T/score")
        with_score 200 "$@"
    else
        with_score -900 "$@"
    fi
}
told() { # NAME [TIMES]
    wait_until 10 seen "$1" "facts done" "${2:-1}"
}
has_score() { # NAME SCORE
    must "$1 has $2, got $(fact "$1" oom_score_adj)" test "$(fact "$1" oom_score_adj)" = "$2"
}

scores() { # WITHOUT_THE_KEY
    service plain "before_start = $(actor before facts)
        stop { command = $(actor stopping facts) }" facts on=TERM:exit:0 pause
    service spared 'oom_score_adj = 300' facts pause
    service zero 'oom_score_adj = 0' facts pause
    run_tend "$MODE"
    must "start" wait_until 10 up plain spared zero || return
    has_score before "$1"
    has_score plain "$1"
    has_score spared 300
    has_score zero 0
    must "tend keeps its own" test "$(cat "/proc/$TEND/oom_score_adj")" = "$REAL"
    signal KILL plain
    must "starts again" told plain 2 || return
    has_score plain "$1"
    must "tend still has its own" test "$(cat "/proc/$TEND/oom_score_adj")" = "$REAL"
    stop_tend
    has_score stopping "$1"
}
in_modes "pid1 subreaper user cgroup" "F060 a service does not inherit the protection of tend" protected scores 0
in_modes "pid1 subreaper" "F060 what does not protect is inherited" with_score 200 scores 200

configured() {
    service shielded 'oom_score_adj = -500' facts pause
    run_tend "$MODE"
    must "start" wait_until 10 up shielded || return
    has_score shielded -500
}
in_modes "subreaper cgroup" "F060 a service has the score of its config" with_score -900 configured

command_score() {
    try_tend -- "$BIN/actor" "$J" main facts
    has_score main "$REAL"
}
in_modes "pid1 subreaper user" "F060 a command has the score of tend's caller" protected command_score

read_only() {
    # shellcheck disable=SC2016
    WRAP+=(sh -c 'mount -o remount,bind,ro /proc && exec "$@"' sh)
    service plain '' facts pause
    service keyed 'oom_score_adj = 0 restart { limit = 1 }' pause
    run_tend "$MODE"
    must "who asked for nothing starts" wait_until 10 up plain || return
    has_score plain "$REAL"
    must "who asked is not lied to" wait_until 10 said 'keyed: .*oom_score_adj.*read-only'
    must "and does not start" never keyed up
}
run_case pid1 "F060 without a right to write the score" protected read_only

# ---- F060: an end for want of memory ----
LIMIT=$((192 << 20)) MEMORY=''
make_group() { # DIRECTORY LIMIT_FILE SWAP_LIMIT_FILE SWAP
    mkdir "$1/${T##*/}.memory" 2>/dev/null || return
    MEMORY=$1/${T##*/}.memory
    echo "$LIMIT" >"$MEMORY/$2" && { [ ! -e "$MEMORY/$3" ] || echo "$4" >"$MEMORY/$3"; }
} 2>/dev/null
have_memory() { # MEMORY: a group that may be limited; nothing of others is changed
    local root
    for root in /sys/fs/cgroup /sys/fs/cgroup/unified; do
        grep -qw memory "$root/cgroup.subtree_control" 2>/dev/null || continue
        make_group "$root" memory.max memory.swap.max 0
        return
    done
    make_group /sys/fs/cgroup/memory memory.limit_in_bytes memory.memsw.limit_in_bytes "$LIMIT"
}
leave_memory() {
    [ "$BASHPID" = $$ ] || return
    end_all
    [ -z "$MEMORY" ] || wait_until 10 rmdir "$MEMORY"
    leave
}
trap leave_memory EXIT

limited() { # COMMAND...: tend in such a group
    if [ -z "$MEMORY" ] && ! have_memory; then
        LACKING="a cgroup of ours with the memory controller"
        return
    fi
    # shellcheck disable=SC2016
    WRAP=(sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$MEMORY")
    "$@"
}
HOG="hog=$((LIMIT * 4 >> 20))"
restarted() { # NAME: its second life is up
    wait_until 30 seen "$1" up
    must "$1 was started twice" test "$(count "$1" start)" = 2
    must "$1 got no more than the limit" never "$1" hogged
}

hog() {
    service calm '' pause
    service hog 'restart { delay = "1ms" }' "if=$T/flag.hog" pause end "await=$T/flag.go" "touch=$T/flag.hog" "$HOG"
    run_tend "$MODE"
    must "start" wait_until 10 up calm || return
    touch "$T/flag.go"
    restarted hog
    must "the reason is told" said 'hog: signal KILL \(out of memory\) after'
    must "tend and the rest live" all_alive calm
    must "calm was started once" test "$(count calm start)" = 1
    signal KILL calm
    must "it is started again" wait_until 10 seen calm up 2
    must "an end that somebody wanted is none of these" said 'calm: signal KILL after'
    must "one line" test "$(grep -c 'out of memory' "$LOG")" = 1
    stop_tend
    must "tend ends well, got $STATUS" test "$STATUS" = 0
}
in_modes "pid1 subreaper" "F060 a hog is restarted and the reason told" limited hog

two_hogs() {
    local name
    for name in one two; do
        service "$name" 'restart { delay = "1ms" }' "if=$T/flag.$name" pause end "await=$T/flag.go" "touch=$T/flag.$name" "$HOG"
    done
    run_tend "$MODE"
    must "start" wait_until 10 seen two start || return
    touch "$T/flag.go"
    for name in one two; do
        restarted "$name"
        must "the reason is told" said "$name: signal KILL \\(out of memory\\) after"
    done
}
run_case subreaper "F060 each of two is told" limited two_hogs

# What a service has below it may be the victim: its own end, later, is none.
child_hog() {
    service parent '' fork=child "$HOG" end pause
    run_tend "$MODE"
    must "start" wait_until 10 up parent || return
    must "the child goes" wait_until 10 gone "$(pid_of child)"
    must "it got no more than the limit" never child hogged
    must "its parent lives" all_alive parent
}
run_case subreaper "F060 a child of a service may be the victim" limited child_hog

before_hog() {
    service s "before_start = $(actor before "$HOG") restart { limit = 1 }" pause
    run_tend "$MODE"
    must "the reason is told" wait_until 30 said 's: before_start failed: signal KILL \(out of memory\)'
    must "it is the reason for giving up, too" wait_until 10 said 's: failed: .*\(out of memory\)'
    await_end 10
}
run_case subreaper "F060 before_start, too" limited before_hog

done_testing
