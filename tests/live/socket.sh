#!/bin/bash
# The runtime directory and the socket in it: whose they are, who may come in, what makes them anew.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=clients.bash
. "$(dirname "$0")/clients.bash"

FLAP='restart { policy = always limit = 0 delay = "20ms" max_delay = "20ms" }'
NOBODY=(setpriv --reuid 61999 --regid 61999 --clear-groups)
GROUP=61234

fresh() { # nothing of an earlier case is there
    rm -rf "$RUN" "$T"/place.*
}
mode_of() { # FILE
    stat -c '%a %u:%g' "$1"
}
owner() {
    if [ "$MODE" = user ]; then echo 65534; else echo 0; fi
}
mine() { # COMMAND...: as the user of tend
    if [ "$MODE" = user ]; then setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; else "$@"; fi
}
no_socket() { # how often this was told
    grep -cE 'no control socket|nobody can ask or steer' "$LOG"
}
told() { # TIMES
    [ "$(no_socket)" = "$1" ]
}
again() {
    kill -USR1 "$TEND"
}

# ---- F024: what a dead one left, and one that lives ----
f024_stale() { # LEFT...: of what it leaves only this
    local file
    service s '' pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    must "reachable" wait_until 10 reachable || return
    end_all 2>/dev/null
    must "it left its socket" test -S "$RUN/control"
    for file in control lock; do
        [[ " $* " == *" $file "* ]] || rm "$RUN/$file"
    done
    run_tend "$MODE"
    must "the next one starts" wait_until 10 seen s up 2
    must "and is reachable" wait_until 10 reachable
    must "nothing is told of it" told 0
    stop_tend
    must "status" test "$STATUS" = 0
    must "the socket is gone with it" test ! -e "$RUN/control"
}
in_modes "pid1 subreaper user" "F024 KILL and restart: socket and lock are left" f024_stale control lock
in_modes "subreaper" "F024 KILL and restart: the socket is left" f024_stale control
in_modes "subreaper" "F024 KILL and restart: the lock is left" f024_stale lock

f024_second() {
    local first
    service s '' on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    must "somebody waits" asks wait 'wait for=down s'
    first=$(pid_of s)
    try_tend -c "$CONF"
    must "the second one refuses: $STATUS" test "$STATUS" = 71
    if [ "$MODE" = pid1 ]; then
        must "in words" said "another tend has $RUN"
        : >"$LOG"
        inside "${WRAP[@]}" "$BIN/tend" -c "$CONF" 2>>"$LOG"
        must "beside it too" said "another tend, pid 1, has $RUN"
    else
        must "and names the first" said "another tend, pid $TEND, has $RUN"
    fi
    must "it started nothing" test "$(count s start)" = 1
    must "the first goes on" alive "$first"
    must "is reachable" reachable
    must "its client is still there" ask 'stop s'
    must "and has its answer" answered wait '^ok'
}
in_modes "pid1 subreaper user" "F024 a second one beside a live one refuses, and the first goes on" f024_second

one_lives() { # PID...
    local pid n=0
    for pid; do
        ! kill -0 "$pid" 2>/dev/null || n=$((n + 1))
    done
    [ "$n" -le 1 ]
}
f024_race() {
    local pids=() living=() pid
    service s "$FLAP" pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    end_all 2>/dev/null
    : >"$J"
    starts "$MODE"
    for _ in {1..20}; do
        "${HOW[@]}" "$BIN/tend" -c "$CONF" </dev/null >>"$OUT" 2>>"$LOG" {NEVER}<&- &
        pids+=($!)
    done
    must "19 end" wait_until 20 one_lives "${pids[@]}"
    for pid in "${pids[@]}"; do
        ! kill -0 "$pid" 2>/dev/null || living+=("$pid")
    done
    must "one lives" test ${#living[@]} = 1
    must "which is reachable" wait_until 10 reachable "${living[0]:-}"
    must "and runs its service" wait_until 10 up s
    must "nobody else did" test "$(count s start)" = 1
    for pid in "${pids[@]}"; do
        [ "$pid" != "${living[0]:-}" ] || kill -TERM "$pid"
        wait "$pid"
        STATUS=$?
        if [ "$pid" = "${living[0]:-}" ]; then
            must "it ends well: $STATUS" test "$STATUS" = 0
        else
            must "the others refused: $STATUS" test "$STATUS" = 71
        fi
    done
}
in_modes "subreaper user" "F024 twenty at once over a stale socket: one wins" f024_race

f024_two() {
    local first job
    fresh
    service s '' pause
    run_tend "$MODE" -c "$CONF" --runtime "$T/place.one"
    must "one starts" wait_until 10 up s || return
    first=$TEND job=$JOB
    run_tend "$MODE" -c "$CONF" --runtime "$T/place.two"
    must "the other too" wait_until 10 seen s up 2
    RUN=$T/place.two
    must "the other is reachable" wait_until 10 reachable
    RUN=$T/place.one
    must "one is reachable" reachable "$([ "$MODE" = pid1 ] && echo 1 || echo "$first")"
    must "not where the environment says" test ! -e "$TEND_RUNTIME/control"
    kill -TERM "$first"
    wait "$job"
    must "only the one ends" running
}
in_modes "pid1 subreaper user" "F024 two with directories of their own" f024_two

# ---- which directory ----
relative() { # WORDS...: of the command line; or VARIABLE=VALUE
    fresh
    mine mkdir "$T/place.folder"
    WRAP=(env -C "$T/place.folder")
    [[ $1 != *=* ]] || WRAP+=("$1")
    [[ $1 != *=* ]] || shift
    service s '' pause
    run_tend "$MODE" -c "$CONF" "$@"
    RUN=$T/place.folder/here
    must "reachable" wait_until 10 reachable
    rm -r "$RUN"
    again
    must "made anew in the same place" wait_until 10 reachable
    stop_tend
}
in_modes "subreaper user" "--runtime with a relative path" relative --runtime ./here//
in_modes "subreaper user" "TEND_RUNTIME with a relative path" relative TEND_RUNTIME=./here//

own_place() { # KIND
    fresh
    service s '' on=TERM:exit:0 pause
    mine mkdir "$T/place.own"
    case $1 in
    xdg) WRAP=(env -u TEND_RUNTIME "XDG_RUNTIME_DIR=$T/place.own") RUN=$T/place.own/tend ;;
    empty) WRAP=(env TEND_RUNTIME= "XDG_RUNTIME_DIR=$T/place.own") RUN=$T/place.own/tend ;;
    relative) WRAP=(env -u TEND_RUNTIME XDG_RUNTIME_DIR=own) ;;
    none) WRAP=(env -u TEND_RUNTIME -u XDG_RUNTIME_DIR) ;;
    esac
    run_tend "$MODE"
    must "start" wait_until 10 up s
    if [ "$1" = xdg ] || [ "$1" = empty ]; then
        must "reachable" wait_until 10 reachable
        must "nothing is told" told 0
    else
        must "one line" told 1
        must "which says why" said 'no control socket: .*XDG_RUNTIME_DIR'
        again
        must "USR1 is answered" wait_until 10 told 2
        must "and nothing else" running
    fi
    stop_tend
    must "status" test "$STATUS" = 0
}
run_case user "XDG_RUNTIME_DIR" own_place xdg
run_case user "TEND_RUNTIME is empty: as if it were not there" own_place empty
run_case user "XDG_RUNTIME_DIR is relative: supervision goes on without" own_place relative
run_case user "no place is known: one line, and supervision goes on" own_place none

default_place() {
    # shellcheck disable=SC2016
    WRAP=(unshare --mount sh -c 'mount -t tmpfs none /run && exec env -u TEND_RUNTIME "$@"' sh)
    service s '' pause
    run_tend "$MODE"
    must "start" wait_until 10 up s
    RUN=/proc/$TEND/root/run/tend
    must "reachable" wait_until 10 reachable
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "as root it is /run/tend" default_place
fi

command_mode() {
    fresh
    try "$BIN/tend" -- "$BIN/actor" "$J" c exit=7
    must "its status: $STATUS" test "$STATUS" = 7
    must "no directory" test ! -e "$RUN"
    must "nothing is told" told 0
}
in_modes "pid1 subreaper user" "in command mode there is no socket" command_mode

# ---- F061: it cannot be had ----
break_it() { # HOW: what is done to have no socket
    case $1 in
    missing) RUN=$T/place.no/where ;;
    file) : >"$RUN" ;;
    fifo) mkfifo "$RUN" ;;
    link) mine mkdir "$T/place.to" && ln -s "$T/place.to" "$RUN" ;;
    dangling) ln -s "$T/place.nowhere" "$RUN" ;;
    writable) mine mkdir -m 777 "$RUN" && chmod 777 "$RUN" ;;
    group-writable) mine mkdir "$RUN" && chmod 770 "$RUN" ;;
    foreign) mkdir -m 755 "$RUN" && chown 61999 "$RUN" ;;
    lock) mine mkdir "$RUN" && mkdir "$RUN/lock" ;;
    occupied) mine mkdir "$RUN" && mkdir "$RUN/control" ;;
    file-inside) mine mkdir "$RUN" && echo precious >"$RUN/control" ;;
    esac
    export TEND_RUNTIME=$RUN
}
mend() { # HOW
    case $1 in
    missing) mkdir "$T/place.no" && chmod 777 "$T/place.no" ;;
    occupied | lock | file-inside) rm -r "$RUN/control" "$RUN/lock" 2>/dev/null ;;
    writable | group-writable) chmod 755 "$RUN" ;;
    *) rm "$RUN" 2>/dev/null || rmdir "$RUN" ;;
    esac
}
f061() { # HOW
    fresh
    break_it "$1"
    service s "$FLAP" on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    signal KILL s
    must "supervision goes on" wait_until 10 seen s up 2
    must "one line is told, not $(no_socket)" told 1
    must "nobody can connect" not reachable
    [ "$1" != file-inside ] || must "the file is still there" grep -q precious "$RUN/control"
    again
    must "USR1: one more" wait_until 10 told 2
    mend "$1"
    again
    must "USR1, after it was mended" wait_until 10 reachable
    must "it is told" said 'control: made anew'
    must "no other line" told 2
    stop_tend
    must "status" test "$STATUS" = 0
}
for how in missing file fifo link dangling writable group-writable foreign lock occupied file-inside; do
    in_modes "pid1" "F061 runtime directory: $how" f061 $how
done
for how in missing writable foreign; do
    in_modes "user" "F061 runtime directory: $how" f061 $how
done

f061_ends() { # with nobody to start it, a manual service is none
    fresh
    break_it writable
    service m 'start = manual' pause
    run_tend "$MODE"
    must "it ends" await_end 10
    must "status" test "$STATUS" = 0
    fresh
}
run_case subreaper "F061 without a socket there is nothing to wait for" f061_ends

f061_stays() { # a socket that could not be made anew can be, later
    service s '' on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s && must "reachable" wait_until 10 reachable || return
    must "stop" ask 'stop s' 'wait for=down s'
    rm "$RUN/control"
    mkdir -p "$RUN/control/in-its-place"
    again
    must "it is told" wait_until 10 said 'control: nobody can ask or steer'
    nap 0.5
    must "tend stays" running || return
    rm -r "$RUN/control"
    again
    must "USR1 once more" wait_until 10 reachable
    must "start it" ask 'start s' 'wait for=ready s'
}
run_case subreaper "F061 a failed USR1, while all services are stopped: tend stays" f061_stays

f061_read_only() {
    fresh
    mkdir "$RUN"
    # shellcheck disable=SC2016
    WRAP=(unshare --mount sh -c
        'mount --bind "$TEND_RUNTIME" "$TEND_RUNTIME" && mount -o remount,ro,bind "$TEND_RUNTIME" && exec "$@"' sh)
    service s "$FLAP" on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    must "one line is told, not $(no_socket)" told 1
    must "with the reason" said 'read-only'
    must "rw" nsenter --target "$TEND" --mount mount -o remount,rw,bind "$RUN"
    again
    must "USR1: it works" wait_until 10 reachable
    stop_tend
    must "status" test "$STATUS" = 0
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "F061 read-only at start, and later not" f061_read_only
fi

f061_deleted() {
    service s '' on=TERM:exit:0 pause
    service t '' on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s t || return
    must "somebody waits" asks wait 'wait for=down s'
    must "reachable" wait_until 10 reachable
    again
    must "nothing is missing" reachable
    rm "$RUN/control"
    must "nobody comes in" not reachable
    again
    must "USR1: the socket is made anew" wait_until 10 reachable
    rm "$RUN/control" "$RUN/lock"
    again
    must "USR1: the lock too" wait_until 10 reachable
    must "the lock" test -f "$RUN/lock"
    rm -r "$RUN"
    again
    must "USR1: the directory is made anew" wait_until 10 reachable
    must "its mode: $(mode_of "$RUN")" test "$(stat -c %a "$RUN")" = 711
    try_tend -c "$CONF"
    must "the new lock is held: $STATUS" test "$STATUS" = 71
    must "nothing is wrong" told 0
    ask 'stop s' >/dev/null
    must "the client of before has its answer" answered wait '^ok'
    must "t was left alone" all_alive t
}
in_modes "pid1 subreaper user" "F061 socket, lock or all deleted: USR1 makes them anew, clients stay" f061_deleted

f061_stolen() {
    local first job
    service s '' on=TERM:exit:0 pause
    run_tend "$MODE"
    must "start" wait_until 10 up s || return
    must "reachable" wait_until 10 reachable
    first=$TEND job=$JOB
    rm -r "$RUN"
    run_tend "$MODE"
    must "another takes the place" wait_until 10 reachable
    kill -USR1 "$first"
    must "the first is told" wait_until 10 told 1
    must "by whom" said "no control socket: another tend, pid $TEND, has"
    must "which goes on" reachable
    kill -TERM "$first"
    wait "$job"
    must "the first ends well" test $? = 0
    must "it has left the other's socket alone" reachable
}
run_case subreaper "F061 another one came while it was deleted: it keeps it" f061_stolen

# ---- F045: who may ----
modes_of() { # UMASK
    fresh
    service s '' pause
    umask "$1"
    run_tend "$MODE"
    umask 022
    must "reachable" wait_until 10 reachable
    must "directory: $(mode_of "$RUN")" test "$(mode_of "$RUN")" = "711 $(owner):$(owner)"
    must "socket: $(mode_of "$RUN/control")" test "$(mode_of "$RUN/control")" = "600 $(owner):$(owner)"
    must "lock: $(mode_of "$RUN/lock")" test "$(mode_of "$RUN/lock")" = "600 $(owner):$(owner)"
    must "it holds the pid" grep -qx "$(inside_pid)" "$RUN/lock"
}
for mask in 000 077 777; do
    in_modes "pid1 user" "F045 modes under umask $mask" modes_of $mask
done

two_and_manual() {
    service a "$FLAP" on=USR2:note on=HUP:note on=TERM:exit:0 pause
    service b '' on=TERM:exit:0 pause
    service m1 'start = manual' on=TERM:exit:0 pause
}
all_as_it_was() {
    must "nobody was told anything" never "" got
    must "nobody was started" test "$(count "" start)" = 2
    must "tend lives" reachable
}
f045_stranger() {
    two_and_manual
    run_tend "$MODE"
    must "start" wait_until 10 up a b || return
    must "reachable" wait_until 10 reachable
    AS=("${NOBODY[@]}")
    scene denied mode
    chmod 666 "$RUN/control"
    scene denied credentials
    AS=()
    all_as_it_was
}
in_modes "pid1 subreaper user" "F045 another user: each request is refused" f045_stranger

f045_group() {
    conf "supervisor { group = \"$GROUP\" }"
    two_and_manual
    run_tend "$MODE"
    must "start" wait_until 10 up a b || return
    must "reachable" wait_until 10 reachable
    must "socket: $(mode_of "$RUN/control")" wait_until 10 test "$(mode_of "$RUN/control")" = "660 0:$GROUP"
    AS=(setpriv --reuid 61999 --regid 61999 --groups "1,$GROUP")
    scene part
    AS=(setpriv --reuid 61999 --regid "$GROUP" --clear-groups)
    scene part
    AS=("${NOBODY[@]}")
    scene denied mode
    AS=()
    must "who asked is told" said 'asked by uid 61999, pid [0-9]+: stop m1'
    must "nobody else was told anything" test "$(events "" got | grep -cv ' m1 ')" = 0
    must "nor started" test "$(events "" start | grep -cv ' m1 ')" = 2
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "F045 a member of the group: in part" f045_group
fi

f045_reload() {
    local other=61235
    group_is() { # GROUP or none
        : >"$CONF"
        [ "$1" = none ] || conf "supervisor { group = \"$1\" }"
        two_and_manual
        ask reload
    }
    member() { # GROUP
        AS=(setpriv --reuid 61999 --regid 61999 --groups "$1")
    }
    group_is none >/dev/null
    run_tend "$MODE"
    must "start" wait_until 10 up a b || return
    must "reachable" wait_until 10 reachable
    must "a group" group_is $GROUP
    must "socket: $(mode_of "$RUN/control")" test "$(mode_of "$RUN/control")" = "660 0:$GROUP"
    member $GROUP
    must "a member may see" ask status
    scene watch_rights "$T/flag.in" &
    local watching=$!
    must "another one follows" wait_until 10 test -e "$T/flag.in"
    AS=()
    must "an unknown group is refused" not group_is no-such-group
    member $GROUP
    must "the member still may" ask status
    AS=()
    must "another group" group_is $other
    must "socket: $(mode_of "$RUN/control")" test "$(mode_of "$RUN/control")" = "660 0:$other"
    must "who followed is closed" wait_until 10 not kill -0 $watching
    member $GROUP
    must "the member may not" not ask status
    member $other
    must "one of the other group may" ask status
    AS=()
    must "none" group_is none
    must "socket: $(mode_of "$RUN/control")" test "$(stat -c %a "$RUN/control")" = 600
    member $other
    must "the member may not" not ask status
    AS=()
    all_as_it_was
}
# Given by tend to the new socket too.
f045_again() {
    conf "supervisor { group = \"$GROUP\" }"
    two_and_manual
    run_tend "$MODE"
    must "start" wait_until 10 up a b || return
    must "reachable" wait_until 10 reachable
    rm "$RUN/control"
    again
    must "reachable again" wait_until 10 reachable
    must "socket: $(mode_of "$RUN/control")" test "$(mode_of "$RUN/control")" = "660 0:$GROUP"
}
f045_not_mine() {
    conf "supervisor { group = \"$GROUP\" }"
    two_and_manual
    run_tend "$MODE"
    must "start" wait_until 10 up a b || return
    must "reachable" wait_until 10 reachable
    must "it is told" wait_until 10 said 'control: its group'
    must "socket: $(mode_of "$RUN/control")" test "$(stat -c %a "$RUN/control")" = 600
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1" "F045 the group changes by reload" f045_reload
    run_case subreaper "F045 the group is that of a socket made anew too" f045_again
    run_case user "F045 a group that tend's user cannot give" f045_not_mine
fi

done_testing
