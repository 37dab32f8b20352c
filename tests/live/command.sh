#!/bin/bash
# A command runs under tend as it would without, and nothing is left of it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

ACTOR=("$BIN/actor" "$J")
ordinary() { # in the background this shell ignores INT and QUIT, and so would a command
    WRAP=(env --default-signal "$@")
}
run_command() { # "OPTION..." STEP...
    local options=$1
    shift
    ordinary "${WRAP[@]}"
    # shellcheck disable=SC2086
    run_tend "$MODE" $options -- "${ACTOR[@]}" main "$@"
}
# shellcheck disable=SC2016
first() { # SHELL-COMMANDS: done by the process that then becomes tend
    ordinary sh -c "$1"' && exec "$@"' sh
}

# ---- what the command finds ----
facts_of() { # NAME; a shell in between may set _
    events "$1" fact | cut -d' ' -f4- | grep -vE '^fact (parent|group|session|env _)\b'
}
# The same program from the same caller, with and without tend.
same() { # MUST-BE-SEEN...
    local want
    try "${ACTOR[@]}" direct facts
    try_tend -- "${ACTOR[@]}" main facts
    must "0, got $STATUS" test "$STATUS" = 0
    must "both have told" seen direct "facts done" && must "both have told" seen main "facts done"
    must "no difference: $(diff <(facts_of direct) <(facts_of main) | paste -sd' ')" \
        test -z "$(diff <(facts_of direct) <(facts_of main))"
    for want; do
        must "$want" seen main "fact $want"
    done
}
same_after() { # SHELL-COMMANDS MUST-BE-SEEN...
    first "$1"
    same "${@:2}"
}
same_by() { # PROGRAM WITH ITS ARGUMENTS, MUST-BE-SEEN...
    # shellcheck disable=SC2086
    ordinary $1
    same "${@:2}"
}
mkdir "$T/here"
chmod 755 "$T/here"
in_modes "pid1 subreaper user" "a plain caller's world is the command's" same_after : "blocked 0" "ignored 0"
in_modes "pid1 subreaper user" "F014 signals that the caller ignores stay ignored" \
    same_by 'env --ignore-signal=PIPE,INT,HUP,USR1' "ignored 1203"
in_modes "pid1 subreaper user" "F014 signals that the caller blocks stay blocked" \
    same_by 'env --block-signal=TERM,CHLD,USR1,QUIT' "blocked 14204"
in_modes "pid1 subreaper" "F014 both" same_by 'env --ignore-signal=TERM,CHLD --block-signal=TERM,CHLD,USR1' "ignored 14000" "blocked 14200"
in_modes "pid1 subreaper user" "F090 umask 077" same_after 'umask 077' "umask 077"
in_modes "pid1 subreaper user" "F090 umask 777" same_after 'umask 777' "umask 777"
in_modes "pid1 subreaper user" "F090 working directory" same_after "cd '$T/here'" "cwd $T/here"
in_modes "pid1 subreaper user" "F090 nice 5" same_by 'nice -n 5' "nice 5"
in_modes "pid1 subreaper user" "F090 limits" same_by 'prlimit --nofile=64:128 --core=4096:8192 --stack=1048576:2097152' \
    "limit nofile 64 128"
in_modes "pid1 subreaper user" "descriptors 3 and 9 are passed on" same_after "exec 3<'$T/here' 9>>'$OUT'" "fd 3 $T/here" "fd 9 $OUT"
beyond_limit() {
    # shellcheck disable=SC2016
    ordinary bash -c 'exec 300</dev/zero && ulimit -S -n 64 && exec "$@"' bash
    same "fd 300 /dev/zero" "limit nofile 64"
}
in_modes "pid1 subreaper" "a descriptor beyond the soft limit is passed on" beyond_limit
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "groups and no_new_privs" same_by 'setpriv --groups 6,4 --no-new-privs' "groups 4 6" "no_new_privs 1"
fi
in_modes "pid1 subreaper" "oom_score_adj" same_after 'echo 300 >/proc/self/oom_score_adj' "oom_score_adj 300"
in_modes "pid1 subreaper" "scheduling" same_by 'chrt --batch 0' "sched 3"
in_modes "pid1 subreaper user" "F090 manager variables are the command's" same_by \
    'env NOTIFY_SOCKET=/nowhere LISTEN_FDS=1 LISTEN_FDNAMES=a WATCHDOG_USEC=5 A= LISTEN_PID=99999 WATCHDOG_PID=0' \
    "env NOTIFY_SOCKET=/nowhere" "env LISTEN_PID=99999"

environment() {
    ordinary env -i "PATH=$PATH" $'A=one\ntwo' B= 'c.d=x y' $'E=ä"\\' LISTEN_PID= "LISTEN_PIDS=$$" \
        WATCHDOG_PID=junk "LONG=$(head -c 100000 /dev/zero | tr '\0' x)"
    OUT=$T/flag.direct try env -0
    OUT=$T/flag.main try_tend -- env -0
    must "0, got $STATUS" test "$STATUS" = 0
    must "there is one" test "$(tr '\0' '\n' <"$T/flag.main" | grep -c =)" -ge 8
    must "byte for byte: $(diff <(tr '\0' '\n' <"$T/flag.direct") <(tr '\0' '\n' <"$T/flag.main") | head -n 3)" \
        cmp "$T/flag.direct" "$T/flag.main"
}
in_modes "pid1 subreaper user" "the environment is passed on verbatim" environment

own_pid() {
    # shellcheck disable=SC2016
    first 'export LISTEN_PID=$$ LISTEN_FDS=1 WATCHDOG_PID=$$ WATCHDOG_USEC=5 OTHER_PID=$$'
    try_tend -- "${ACTOR[@]}" main facts
    local variable
    for variable in LISTEN_PID WATCHDOG_PID; do
        must "$variable is the command's: $(events main "fact env $variable" | cut -d' ' -f6 | paste -sd' ')" \
            test "$(events main fact | grep -oE " env $variable=.*")" = " env $variable=$(pid_of main)"
    done
    must "no other is touched" not seen main "fact env OTHER_PID=$(pid_of main)"
    must "LISTEN_FDS is kept" seen main "fact env LISTEN_FDS=1"
}
in_modes "pid1 subreaper user" "LISTEN_PID and WATCHDOG_PID that named tend name the command" own_pid

others() { # NAME: its descriptors but the first three
    facts_of "$1" | grep -E '^fact fd ([3-9]|[0-9]{2})'
}
closed() { # REDIRECTION DESCRIPTOR...
    # shellcheck disable=SC2016
    ordinary sh -c 'exec "$@" '"$1" sh
    try_tend -- "${ACTOR[@]}" main facts exit=4
    must "4, got $STATUS" test "$STATUS" = 4
    local fd
    for fd in 0 1 2; do
        must "$fd is there" seen main "fact fd $fd"
    done
    for fd in "${@:2}"; do
        must "$fd is the null device" seen main "fact fd $fd /dev/null"
    done
    try "${ACTOR[@]}" direct facts
    must "and no other" test "$(others main)" = "$(others direct)"
}
run_case subreaper "F054 a command whose caller closed stdin" closed '<&-' 0
run_case subreaper "F054 a command whose caller closed stdout" closed '>&-' 1
run_case subreaper "F054 a command whose caller closed stderr" closed '2>&-' 2
run_case subreaper "F054 a command whose caller closed stdin and stdout" closed '<&- >&-' 0 1
in_modes "pid1 subreaper user" "F054 a command whose caller closed all three" closed '<&- >&- 2>&-' 0 1 2

ignored_chld() {
    ordinary env --ignore-signal=CHLD --block-signal=CHLD
    try_tend -- "${ACTOR[@]}" main fork=left on=TERM:clean:300:9 "touch=$T/flag.up" pause end "await=$T/flag.up" exit=7
    must "7, got $STATUS" test "$STATUS" = 7
    must "what was left had its time" seen left cleaned
}
in_modes "pid1 subreaper user" "F036 a caller that ignores CHLD loses no status" ignored_chld

blocked_term() {
    ordinary env --block-signal=TERM,INT,USR1 --ignore-signal=TERM
    run_tend "$MODE" -- "${ACTOR[@]}" main on=TERM:exit:5 pause
    must "start" wait_until 10 up main || return
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "5, got $STATUS" test "$STATUS" = 5
}
in_modes "pid1 subreaper user" "F014 tend itself hears what its caller blocked and ignored" blocked_term

place() {
    first :
    try_tend -- "${ACTOR[@]}" main facts
    must "a group of its own" test "$(fact main group)" = own
    must "in the session of the caller" test "$(fact main session)" = other
}
in_modes "pid1 subreaper user" "the command has a group of its own in the caller's session" place

# ---- what tend keeps of its caller: nothing ----
unmount() {
    mkdir -p "$T/mnt"
    # shellcheck disable=SC2016
    WRAP=(unshare --mount sh -c 'mount -t tmpfs none "$0" && cd "$0" && exec 8<. && exec "$@"' "$T/mnt")
    # shellcheck disable=SC2016
    try_tend -- sh -c '[ "$(pwd -P)" = "$0" ] && cd / && exec 8<&- && umount "$0" && exit 5' "$T/mnt"
    must "the folder is the command's, and nobody else's: $STATUS" test "$STATUS" = 5
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "F090 the caller's folder can be unmounted" unmount
fi

end_of_file() { # WRAPPER...
    mkfifo -m 666 "$T/flag.in" "$T/flag.out" "$T/flag.nine"
    # shellcheck disable=SC2016
    ordinary "$@" sh -c 'exec "$@" <"$0.in" >"$0.out" 9>"$0.nine"' "$T/flag"
    run_tend "$MODE" -- sh -c 'exec 9>&-; exec "$@"' sh "${ACTOR[@]}" main print=1 close pause
    exec {writer}>"$T/flag.in"
    timeout 20 cat "$T/flag.out" >"$T/flag.read" &
    local reader=$!
    must "the other one ends" timeout 20 cat "$T/flag.nine"
    must "start" wait_until 10 up main || return
    wait "$reader"
    must "its reader sees the end, got $?" test $? = 0
    must "and what was written before" grep -q 'line 0 of main' "$T/flag.read"
    must "its writer sees that nobody reads" not dd if=/dev/zero of="$T/flag.in" oflag=nonblock conv=notrunc bs=1 count=1
    must "while the command runs" running
    exec {writer}>&-
    inside kill -KILL "$(pid_of main)"
    must "tend ends" await_end 20
}
in_modes "pid1 subreaper user" "tend holds neither stdin nor stdout nor another descriptor" end_of_file

if [ "$EUID" = 0 ]; then
    # shellcheck disable=SC2016
    in_modes "pid1 subreaper" "F069 tend holds nothing, also without /proc" end_of_file \
        unshare --mount sh -c 'mount -t tmpfs none /proc && exec "$@"' sh
fi

opens_nothing() {
    lacks strace && return
    no_leak_check
    WRAP+=(strace -D -qq -o "$T/flag.trace" -e 'trace=open,openat,openat2,creat,mkdir,mkdirat,unlink,unlinkat' -e signal=none)
    run_command '' "await=$T/flag.go" exit=6
    must "start" wait_until 10 seen main start
    touch "$T/flag.go"
    must "tend ends" await_end 20
    must "6, got $STATUS" test "$STATUS" = 6
    must "it opened something" grep -q /dev/null "$T/flag.trace"
    must "but no file of anybody's: $(opened)" test -z "$(opened)"
}
opened() { # but what the C library and the kernel have
    grep -oE '"[^"]*"' "$T/flag.trace" | grep -vE '^"(/dev/(null|tty)|/etc/ld\.so\.[a-z]*|(/usr)?/lib.*\.so[.0-9]*|/(proc|sys)/.*)"$' | sort -u | paste -sd' '
}
run_case subreaper "tend reads and writes no file" opens_nothing

# ---- what the command leaves ----
EACH=(member far stranger)
leave_behind() { # "OPTION..." CODE STEP...: three children that take these steps, then the end
    local options=$1 code=$2 name wait=()
    shift 2
    for name in "${EACH[@]}"; do
        wait+=("await=$T/flag.$name")
    done
    run_command "$options" fork=member "$@" "touch=$T/flag.member" pause end \
        fork=far setsid "$@" "touch=$T/flag.far" pause end \
        daemon=stranger "$@" "touch=$T/flag.stranger" pause end "${wait[@]}" "exit=$code"
    must "the command has ended" wait_until 10 seen main exit
}
polite() {
    leave_behind '' 7 on=TERM:clean:700:9 || return
    must "tend ends" await_end 20
    must "nobody is left" no_actors
    local name
    for name in "${EACH[@]}"; do
        must "$name had its time" seen "$name" cleaned
        must "$name was told once" test "$(count "$name" "got TERM")" = 1
    done
    must "7, got $STATUS" test "$STATUS" = 7
}
in_modes "pid1 subreaper user" "F013 what is left has time to clean up; the code is kept" polite

killed() {
    leave_behind '--grace 1s' 7 ignore=TERM || return
    must "tend ends" await_end 20
    must "nobody is left" no_actors
    must "KILL, not before: $(($(now) - $(at main exit))) ms" test $(($(now) - $(at main exit))) -ge 1000
    must "soon after" test $(($(now) - $(at main exit))) -lt 8000
    must "7, got $STATUS" test "$STATUS" = 7
    must "it is told" said '^tend: .*KILL'
}
in_modes "pid1 subreaper user" "what is left and ignores TERM is killed; the code is kept" killed

stopped() {
    run_command '--grace 20s' fork=left stop end daemon=stranger stop end "await=$T/flag.go" exit=7
    must "they are stopped" wait_until 10 seen left stop && must "they are stopped" wait_until 10 seen stranger stop
    touch "$T/flag.go"
    must "tend ends" await_end 15
    must "nobody is left" no_actors
    must "7, got $STATUS" test "$STATUS" = 7
}
in_modes "pid1 subreaper" "F056 what is left and stopped hears TERM" stopped

after_signal() {
    leave_behind '--main-only' 7 on=TERM:clean:500:9 || return
    must "tend ends" await_end 20
    local name
    for name in "${EACH[@]}"; do
        must "$name had its time" seen "$name" cleaned
    done
    must "7, got $STATUS" test "$STATUS" = 7
}
in_modes "pid1 subreaper" "--main-only: what is left is told all the same" after_signal

hurry() { # SIGNAL...
    leave_behind '--grace 60s' 7 on=TERM:note || return
    must "the rest is told" wait_until 10 seen member "got TERM"
    must "also the stranger" wait_until 10 seen stranger "got TERM"
    kill -TERM "$TEND"
    kill -USR1 "$TEND"
    nap 0.3
    must "TERM is under way anyway" running
    local signal
    for signal; do
        must "it waits" running
        kill "-$signal" "$TEND"
        nap 0.3
    done
    must "tend ends" await_end 10
    must "nobody is left" no_actors
    must "each was told once" test "$(count "" "got TERM")" = 3
    must "7, got $STATUS" test "$STATUS" = 7
}
in_modes "pid1 subreaper user" "F074 INT twice hurries the end of what is left" hurry INT INT
in_modes "pid1 subreaper" "F074 QUIT hurries the end of what is left" hurry QUIT

orphans() {
    run_command '' orphans=100:20 on=USR1:exit:6 pause
    must "orphans are made" wait_until 20 seen main orphaned
    must "no zombie within 2 s" wait_until 2 no_zombies
    must "the command runs on" alive "$(pid_of main)"
    kill -USR1 "$TEND"
    must "tend ends" await_end 20
    must "6, got $STATUS" test "$STATUS" = 6
}
in_modes "pid1 subreaper user" "F012 100 orphans are reaped while the command runs" orphans

orphans_left() {
    run_command '' orphans=100:60000 exit=6
    must "tend ends" await_end 20
    must "nobody is left" no_actors
    must "6, got $STATUS" test "$STATUS" = 6
}
in_modes "pid1 subreaper user" "100 orphans that are left are ended" orphans_left

# One that forks while it is told: the next look tells its child, too.
late_child() {
    run_command '--grace 1s' daemon=stranger on=TERM:note "touch=$T/flag.up" "await=$T/flag.go" \
        fork=late on=TERM:exit:0 pause end on=TERM:exit:0 pause end "await=$T/flag.up" exit=6
    must "the command has ended" wait_until 10 seen main exit
    touch "$T/flag.go"
    must "tend ends" await_end 25
    must "nobody is left" no_actors
    must "6, got $STATUS" test "$STATUS" = 6
}
in_modes "pid1 subreaper" "what is left may fork: tend ends after all of it" late_child

# One who came in from outside is nobody's child here: no signal tells of its end.
guest() {
    run_command '' on=USR1:exit:6 pause
    must "start" wait_until 10 up main || return
    inside "$BIN/actor" "$J" guest on=TERM:clean:300:0 pause &
    local guest=$!
    must "a guest comes" wait_until 10 up guest
    kill -USR1 "$TEND"
    must "tend ends" await_end 20
    wait "$guest" 2>/dev/null
    must "6, got $STATUS" test "$STATUS" = 6
    must "the guest had its time" seen guest cleaned || return
    must "and no more: $(($(now) - $(at guest exit))) ms" test $(($(now) - $(at guest exit))) -lt 5000
}
run_case pid1 "who came into the namespace is told, and waited for" guest

# ---- where tend runs ----
works() {
    run_command '' fork=child on=USR1:note on=TERM:clean:200:0 "touch=$T/flag.up" pause end \
        "await=$T/flag.up" on=USR1:note on=TERM:exit:6 pause
    must "start" wait_until 10 up main child || return
    kill -USR1 "$TEND"
    must "signals arrive" wait_until 10 seen main "got USR1"
    must "in the group" wait_until 10 seen child "got USR1"
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "what was left had its time" seen child cleaned
    must "each was told once" test "$(count "" "got USR1")" = 2
    # The leak check at the end reads /proc, even to learn that it is not wanted.
    sanitized || must "6, got $STATUS" test "$STATUS" = 6
    must "nobody is left" no_actors
}
in_modes "user" "any user can run a command" works

read_only() {
    # shellcheck disable=SC2016
    WRAP=(unshare --mount sh -c 'for m in $(cut -d" " -f2 /proc/self/mounts); do mount -o remount,bind,ro "$m" 2>/dev/null; done
        ! touch "$0" /tmp/x /dev/shm/x /run/x 2>/dev/null && exec "$@"' "$T/read-only")
    ACTOR=("$BIN/actor" -)
    run_command '' on=TERM:exit:6 pause
    ACTOR=("$BIN/actor" "$J")
    must "start" wait_until 10 grep -q ' main up' "$OUT" || return
    must "nothing can be written" test ! -e "$T/read-only"
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "6, got $STATUS" test "$STATUS" = 6
}
without_proc() {
    # shellcheck disable=SC2016
    WRAP=(unshare --mount sh -c 'mount -t tmpfs none /proc && exec "$@"' sh)
    works
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "nothing can be written anywhere" read_only
    in_modes "pid1 subreaper" "F069 an empty /proc" without_proc
fi

nested() {
    ordinary
    run_tend "$MODE" -- "$BIN/tend" -- "$BIN/tend" -- "${ACTOR[@]}" main \
        daemon=left on=TERM:clean:300:0 "touch=$T/flag.up" pause end "await=$T/flag.up" on=USR1:note on=TERM:exit:6 pause
    must "start" wait_until 10 up main || return
    kill -USR1 "$TEND"
    must "signals arrive" wait_until 10 seen main "got USR1"
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "once" test "$(count main "got USR1")" = 1
    must "what was left had its time" seen left cleaned
    must "6, got $STATUS" test "$STATUS" = 6
    must "nobody is left" no_actors
}
in_modes "pid1 subreaper user" "tend in tend in tend" nested

other_init() { # INIT [ARGUMENT...]
    lacks "$1" && return
    ordinary "$@"
    run_tend "$MODE" -- "${ACTOR[@]}" main daemon=left on=TERM:clean:300:0 "touch=$T/flag.up" pause end \
        "await=$T/flag.up" on=TERM:exit:6 pause
    must "start" wait_until 10 up main || return
    kill -TERM "$TEND"
    must "it ends" await_end 20
    must "what was left had its time" seen left cleaned
    must "6, got $STATUS" test "$STATUS" = 6
}
# shellcheck disable=SC2016
run_case pid1 "below a shell as PID 1" other_init sh -c 'trap "kill -TERM \$c" TERM; "$@" & c=$!; wait $c; wait $c' sh
run_case pid1 "below tini" other_init tini --
run_case pid1 "below dumb-init" other_init dumb-init --
run_case pid1 "below catatonit" other_init catatonit --

# ---- how it is called ----
called() { # WANT "TEND-ARGUMENT..." COMMAND...
    # shellcheck disable=SC2086
    try_tend $2 "${@:3}"
    must "0, got $STATUS" test "$STATUS" = 0
    must "$1, got $(cat "$OUT")" test "$(cat "$OUT")" = "$1"
}
run_case subreaper "-- is optional" called "a b" '' printf '%s %s\n' a b
run_case subreaper "options behind the command are its own" called "-h --version -c -- -x" '-v --strict' echo -h --version -c -- -x
run_case subreaper "the first -- is tend's" called "-- a" -- echo -- a
run_case subreaper "arguments are passed on as they are" called $'a  b||"c\'\\|$é*|' '' printf '%s|' 'a  b' '' $'"c\'\\' $'$é*'
dashed() {
    try_tend -- -dashed-command-of-tend
    must "127, got $STATUS" test "$STATUS" = 127
    must "it was taken for the command" said '^tend: -dashed-command-of-tend: No such file'
}
run_case subreaper "a command may begin with -" dashed

as_init() { # "WORD...": ignored
    service s '' on=TERM:exit:0 pause
    # shellcheck disable=SC2016
    ordinary bash -c 'exec -a "$0" "$@"' "$1"
    # shellcheck disable=SC2086
    run_tend "$MODE" -c "$CONF" $2
    must "the services run" wait_until 10 up s || return
    stop_tend
    must "0, got $STATUS" test "$STATUS" = 0
}
in_modes "pid1 subreaper" "called init, tend ignores the words of the kernel's command line" as_init /sbin/init 'quiet splash 3'
run_case subreaper "as init without a folder" as_init init 'single'
init_command() {
    # shellcheck disable=SC2016
    ordinary bash -c 'exec -a "$0" "$@"' init
    try_tend -- "${ACTOR[@]}" main exit=6
    must "6, got $STATUS" test "$STATUS" = 6
}
in_modes "pid1 subreaper" "called init, tend still takes a command behind --" init_command

# ---- what tend says ----
quiet() { # LINES OPTIONS
    run_command "$2" orphans=20:10 fork=child exit=9 end on=USR1:note on=TERM:exit:6 pause
    must "start" wait_until 10 up main || return
    kill -USR1 "$TEND"
    must "signals arrive" wait_until 10 seen main "got USR1"
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "6, got $STATUS" test "$STATUS" = 6
    must "$1 lines: $(head -n 3 "$LOG")" test "$(wc -l <"$LOG")" = "$1"
    [ "$1" = 0 ] || must "of being a subreaper" grep -q '^tend: .*subreaper' "$LOG"
    must "nothing on stdout" test ! -s "$OUT"
}
run_case pid1 "PID 1 says nothing when all goes well" quiet 0 ''
run_case pid1 "nor with a time that is not needed" quiet 0 '--grace 20s --deadline 30s --strict'
in_modes "subreaper user" "else tend says in one line that it is a subreaper" quiet 1 ''
explicit() {
    try_tend --subreaper -- true
    must "0, got $STATUS" test "$STATUS" = 0
    must "one line at most" test "$(wc -l <"$LOG")" -le 1
}
in_modes "pid1 subreaper user" "--subreaper where it can be" explicit

done_testing
