#!/bin/bash
# F033: a system call is missing (ENOSYS) or forbidden by a filter (EPERM). What is not needed is
# not missed; without what is needed nothing begins. `make denied` runs all live tests that way.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# Descriptors of our starter's, some above tend's limit.
# shellcheck disable=SC2016
HELD=(bash -c 'exec 7</dev/zero 8</dev/zero 300</dev/zero && ulimit -n 64 && exec "$@"' bash)

smoke() { # WRAPPER...
    WRAP=("$@")
    no_leak_check
    service one 'restart { policy = always delay = "20ms" limit = 0 }' \
        fork=child setpgid on=TERM:clean:100:0 pause end on=TERM:exit:0 pause
    service two 'requires = {one} restart { policy = always delay = "20ms" limit = 0 }' \
        facts on=TERM:clean:200:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up one child two || return
    must "no descriptor of others: $(events two "fact fd" | cut -d' ' -f5- | paste -sd,)" test \
        "$(events two "fact fd" | wc -l)" = 3
    signal KILL two
    must "restarts" wait_until 10 seen two up 2
    signal KILL one
    must "its child is told" wait_until 10 seen child "got TERM"
    must "restarts when that is gone" wait_until 10 seen one up 2
    must "not before" test "$(at child cleaned 1)" -le "$(at one start 2)"
    must "both run" all_alive one two
    local begin
    begin=$(now)
    stop_tend
    must "ends soon" test $(($(now) - begin)) -lt 5000
    must "in order" test "$(at one "got TERM")" -ge "$(at two "exit 0")"
    must "status 0, not $STATUS" test "$STATUS" = 0
    must "nothing else is told: $(complaints | head -n 1)" test "$(complaints | wc -l)" = 0
}
# What the manual says of a host that denies something.
complaints() {
    grep -vE '^tend: (config loaded|shutdown|the longest chain|one: |two: |  (one|two) )' "$LOG" |
        grep -vE '^tend: (memfd: |orphans do not come here: )'
}

refused() { # CALL ERRNO
    local text='Function not implemented'
    [ "$2" = ENOSYS ] || text='Operation not permitted'
    WRAP=("$BIN/deny" "$1=$2" --)
    no_leak_check
    service one '' pause
    run_tend "$MODE"
    must "tend ends at once" await_end 5
    must "status 71, not $STATUS" test "$STATUS" = 71
    must "call and reason are told" grep -qx "tend: cannot run without $1: $text" "$LOG"
    must "in one line" test "$(wc -l <"$LOG")" = 1
    must "nothing was started" never "" start
}

for error in ENOSYS EPERM; do
    for call in pidfd_open pidfd_send_signal close_range clone3 epoll_pwait2 timerfd_create eventfd2 memfd_create prctl; do
        in_modes "pid1 subreaper" "F033 $call fails with $error: not missed" \
            smoke "${HELD[@]}" "$BIN/deny" "$call=$error" --
    done
    in_modes "pid1 subreaper user cgroup" "F033 all of these fail with $error: not missed" \
        smoke "${HELD[@]}" "$BIN/deny" "$OPTIONAL,inotify_init1,prctl=$error" --
    for call in epoll_create1 signalfd4 waitid; do
        in_modes "pid1 subreaper" "F033 $call fails with $error: refused" refused "$call" "$error"
    done
done

# Whoever reads from one of them waits until all have let it go.
command_alone_holds() { # WRAPPER...
    mkfifo -m 666 "$T/flag.held"
    # shellcheck disable=SC2016
    WRAP=(bash -c 'exec 300>"$0" && ulimit -n 64 && exec "$@"' "$T/flag.held" "$@")
    run_tend "$MODE" -- bash -c 'exec 300>&-; exec "$@"' bash "$BIN/actor" "$J" main on=TERM:exit:0 pause
    must "a reader sees the end" timeout 10 cat "$T/flag.held"
    must "while the command runs" wait_until 10 up main
    stop_tend
    # The leak check at the end reads /proc, even to learn that it is not wanted.
    sanitized || must "status 0, not $STATUS" test "$STATUS" = 0
}
for error in ENOSYS EPERM; do
    in_modes "pid1 subreaper" "F033 close_range fails with $error: the command's descriptors are not kept" \
        command_alone_holds "$BIN/deny" "close_range=$error" --
done

# Nothing then tells which descriptors there are.
# shellcheck disable=SC2016
NO_PROC=(unshare --mount sh -c 'mount -t tmpfs none /proc && exec "$@"' sh)
no_proc() {
    WRAP=("${HELD[@]}" "${NO_PROC[@]}" "$BIN/deny" close_range=ENOSYS --)
    service s '' facts pause
    run_tend "$MODE"
    must "begins" wait_until 10 up s || return
    must "no descriptor of others" test "$(events s "fact fd" | wc -l)" = 3
}
# Then tend has no description of its own of a pipe, and asks for a write that does not wait.
no_nowait() { # ERRNO
    WRAP=("${NO_PROC[@]}" "$BIN/deny" "pwritev2=$1" --)
    service s '' pause
    mkfifo -m 666 "$T/flag.pipe"
    cat "$T/flag.pipe" >>"$T/log" &
    LOG=$T/flag.pipe OUT=$T/flag.pipe run_tend "$MODE"
    must "begins" wait_until 10 up s
    must "tend is heard" wait_until 10 grep -q '^tend: s: ready' "$T/log"
    stop_tend
    must "to the end" wait_until 5 grep -q '^tend: shutdown complete' "$T/log"
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "F033 neither close_range nor /proc: no descriptor leaks" no_proc
    in_modes "pid1 subreaper" "F033 neither close_range nor /proc: the command's descriptors are not kept" \
        command_alone_holds "${NO_PROC[@]}" "$BIN/deny" close_range=ENOSYS --
    for error in ENOSYS EPERM; do
        run_case subreaper "F033 neither pwritev2 ($error) nor /proc: messages come through" no_nowait "$error"
    done
fi

done_testing
