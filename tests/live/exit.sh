#!/bin/bash
# What tend's exit says: of its command, of its services, of what could not be run, of misuse.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# In the background this shell ignores INT and QUIT, and so would a command.
ORDINARY=(env --default-signal)

once() { # COMMAND [ARGUMENT...]
    try_tend -- "$@"
}
told_by_tend() { # its lines but those about what it is, or has to do without
    grep '^tend: ' "$LOG" | grep -vE 'subreaper|^tend: memfd: '
}

# ---- the command's code is tend's ----
codes() {
    local code bad=''
    WRAP=("${ORDINARY[@]}")
    for code in {0..255}; do
        once sh -c "exit $code"
        [ "$STATUS" = "$code" ] || bad+=" $code:$STATUS"
    done
    must "each as it is:$bad" test -z "$bad"
}
in_modes "pid1 subreaper" "F013 the codes 0 to 255 come through" codes

# Two that the C library keeps are ignored in all that it starts by posix_spawn, and nobody resets it.
ignored() { # SIGNAL
    local mask
    mask=$(sed -n 's/^SigIgn:\t//p' /proc/self/status)
    if [[ $1 = 3[23] ]] && sanitized; then
        return
    fi
    [ $((16#$mask >> ($1 - 1) & 1)) = 1 ]
}
fatal_signals() { # WRAPPER...
    local n bad=''
    WRAP=("${ORDINARY[@]}" "$@")
    for n in {1..16} {24..27} {29..64}; do
        [[ $n != 3[23] ]] || ! sanitized || continue # its runtime takes them for itself
        ! ignored "$n" || continue
        once "$BIN/actor" - x "kill=$n"
        [ "$STATUS" = $((128 + n)) ] || bad+=" $n:$STATUS"
    done
    must "each is 128 and its number:$bad" test -z "$bad"
}
in_modes "pid1 subreaper" "F013 every fatal signal is told as 128 and its number" fatal_signals
# shellcheck disable=SC2016
run_case subreaper "F013 also when there is a core" fatal_signals \
    sh -c 'cd "$0" && ulimit -S -c "$(ulimit -H -c)" && exec "$@"' "$T"

command_wins() {
    WRAP=("${ORDINARY[@]}")
    once "$BIN/actor" "$J" main fork=before exit=9 end daemon=stranger sleep=50 exit=9 end orphans=20:5 \
        fork=after on=TERM:exit:9 "touch=$T/flag.up" pause end "await=$T/flag.up" sleep=100 exit=3
    must "3 wins, got $STATUS" test "$STATUS" = 3
    must "the last to end had said 9" seen after "exit 9"
}
in_modes "pid1 subreaper user" "F013 the command exits with 3, all others with 9" command_wins

# ---- what could not be run ----
not_run() { # STATUS REASON COMMAND...
    local want=$1 reason=$2
    shift 2
    WRAP=(env PATH=/usr/bin:/bin)
    once "$@"
    must "$want, got $STATUS" test "$STATUS" = "$want"
    must "path and reason in one line: $(told_by_tend)" test "$(told_by_tend)" = "tend: $1: $reason"
}
falls_back() { # COMMAND
    once "$1" 3 "a b"
    must "its code, got $STATUS" test "$STATUS" = 7
    must "its arguments" grep -qx "3 a b 2" "$OUT"
    must "without a word" test -z "$(told_by_tend)"
}
mkdir -p "$T/files/"{first,second}
touch "$T/files/plain" "$T/files/first/found"
# shellcheck disable=SC2016
printf 'echo "$* $#"; exit 7\n' | tee "$T/files/text" >"$T/files/second/found"
printf '#!/no/such/interpreter\n' >"$T/files/bad"
ln -s loop "$T/files/loop"
chmod 755 "$T/files/text" "$T/files/bad" "$T/files/second/found"
for mode in pid1 subreaper user; do
    run_case $mode "127: a name that is nowhere in PATH" not_run 127 "No such file or directory" no-such-command-of-tend
    run_case $mode "127: a path that is not there" not_run 127 "No such file or directory" /no/such
    run_case $mode "126: a folder" not_run 126 "Permission denied" "$T/files"
    run_case $mode "126: a file that is not executable" not_run 126 "Permission denied" "$T/files/plain"
    run_case $mode "127: a missing interpreter" not_run 127 "No such file or directory" "$T/files/bad"
    run_case $mode "126: a loop of links" not_run 126 "Too many levels of symbolic links" "$T/files/loop"
    run_case $mode "a text without an interpreter is run by sh" falls_back "$T/files/text"
done
run_case subreaper "127: an empty name" not_run 127 "No such file or directory" ""

path() { # STATUS PATH COMMAND
    WRAP=(env "PATH=$2")
    once "$3" 3 "a b"
    must "$1, got $STATUS" test "$STATUS" = "$1"
}
in_modes "pid1 user" "PATH: what cannot be executed is passed over" path 7 "$T/files/first:$T/files/second" found
run_case subreaper "PATH: and told when nothing follows" path 126 "$T/files/first:/no/such" found
run_case subreaper "PATH: an empty one is the working directory" path 127 "" no-such-command-of-tend

no_process() {
    WRAP=("$BIN/deny" clone=EAGAIN clone3=EAGAIN --)
    no_leak_check
    once touch "$T/flag.ran"
    must "71, got $STATUS" test "$STATUS" = 71
    must "the reason is told: $(told_by_tend)" said '^tend: .*Resource temporarily unavailable'
    must "in one line" test "$(told_by_tend | wc -l)" = 1
    must "nothing ran" test ! -e "$T/flag.ran"
}
in_modes "pid1 subreaper" "71: no process can be made" no_process

no_group() {
    WRAP=("$BIN/deny" setpgid=EPERM --)
    once touch "$T/flag.ran"
    must "126, got $STATUS" test "$STATUS" = 126
    must "the step is told: $(told_by_tend)" said '^tend: .*group.*not permitted'
    must "nothing ran" test ! -e "$T/flag.ran"
}
in_modes "pid1 subreaper" "126: a step before the exec fails" no_group

# ---- misuse ----
misuse() { # WHAT IS TOLD, ARGUMENT...
    local regex=$1
    shift
    try_tend "$@"
    must "64, got $STATUS" test "$STATUS" = 64
    must "in one line" test "$(wc -l <"$LOG")" = 1
    must "that says what is wrong" said "tend: .*($regex)"
    must "nothing ran" test ! -e "$T/flag.ran"
}
wrong() { # WHAT IS TOLD, ARGUMENT...
    run_case subreaper "64: tend ${*:2}" misuse "$@"
}
with_command() { # WHAT IS TOLD, ARGUMENT...
    run_case subreaper "64: tend ${*:2} -- COMMAND" misuse "$@" -- touch "$T/flag.ran"
}
run_case pid1 "64: tend --" misuse command --
run_case pid1 "64: tend --bogus" misuse bogus --bogus
wrong 'command' --
wrong 'command' -v --
wrong "bogus" --bogus
wrong "'x'" -x
wrong 'grace' --grace
wrong 'rewrite' --rewrite
with_command 'bogus' --bogus
with_command 'config|-c' -c "$CONF"
with_command 'check' --check
with_command 'options' --options
with_command 'runtime' --runtime "$T"
with_command 'main-only' --main-only=yes
wrong 'main-only' --main-only
wrong 'rewrite' --rewrite TERM=INT
wrong 'grace' --grace 5s
wrong 'success' --success 3
wrong 'parent-death' --parent-death TERM
wrong 'subreaper' --subreaper
wrong 'grace' -c "$CONF" --grace 5s
with_command 'rewrite.*"TERM" has no =' --rewrite TERM
with_command 'rewrite.*"" has no =' --rewrite ''
for form in TERM= =INT FOO=INT TERM=FOO TERM=99 TERM=0 0=TERM 65=TERM 99=TERM TERM=-1 RTMIN+99=TERM RTMAX-99=TERM \
    TERM=INT=HUP =; do
    culprit=${form/#TERM=/}
    culprit=${culprit/%=TERM/} culprit=${culprit/%=INT/} culprit=${culprit/#=/}
    with_command "rewrite.*\"${culprit//+/.}\" is no signal" --rewrite "$form"
done
for form in KILL=INT STOP=INT SIGKILL=TERM 9=INT 19=none; do
    with_command "rewrite.*${form%=*}.*cannot be caught" --rewrite "$form"
done
for form in CHLD=TERM SIGCHLD=TERM 17=none; do
    with_command "rewrite.*CHLD.*not sent on" --rewrite "$form"
done
for time in 5 -1s 5x s 1.5.5s ''; do
    with_command "grace.*$time" --grace "$time"
done
with_command 'deadline.*5' --deadline 5
for end in 256 -1 3x FOO 1000 ''; do
    with_command "success.*$end" --success "$end"
done
for name in FOO 0 65 -1 ''; do
    with_command "parent-death.*$name" --parent-death "$name"
done

told() { # REGEX ARGUMENT...
    local regex=$1
    shift
    try_tend "$@"
    must "0, got $STATUS" test "$STATUS" = 0
    must "on stdout" grep -qE "$regex" "$OUT"
    must "alone" test ! -s "$LOG"
}
in_modes "pid1 subreaper" "--version" told '^tend [0-9]' --version
in_modes "pid1 subreaper" "--help" told '^usage: tend' --help
help_fits() {
    try_tend -h
    must "80 columns" not grep -qE '^.{80}' "$OUT"
    must "24 lines: $(wc -l <"$OUT")" test "$(wc -l <"$OUT")" -le 24
    local option
    for option in config check options runtime verbose version help strict main-only rewrite grace \
        deadline success parent-death subreaper; do
        must "--$option" grep -qe "--$option" "$OUT"
    done
}
run_case subreaper "the help fits a screen and names each option" help_fits

# ---- what counts as success ----
success() { # WANT, OPTIONS, STEP...
    local want=$1 options=$2
    shift 2
    WRAP=("${ORDINARY[@]}")
    # shellcheck disable=SC2086
    try_tend $options -- "$BIN/actor" "$J" main "$@"
    must "$want, got $STATUS" test "$STATUS" = "$want"
}
in_modes "pid1 subreaper" "--success CODE" success 0 '--success 3' exit=3
run_case subreaper "--success CODE is that one" success 4 '--success 3' exit=4
run_case subreaper "--success CODE leaves 0 as it is" success 0 '--success 3' exit=0
in_modes "pid1 subreaper" "--success SIGNAL" success 0 '--success TERM' kill=TERM
run_case subreaper "--success SIGNAL is that one" success 130 '--success TERM' kill=INT
run_case subreaper "--success 143, killed by TERM" success 0 '--success 143' kill=TERM
run_case subreaper "--success 143, exit 143" success 0 '--success 143' exit=143
run_case subreaper "--success RTMIN+3" success 0 '--success SIGRTMIN+3' kill=37
for step in exit=3 exit=255 kill=TERM kill=HUP; do
    run_case subreaper "--success of several: $step" success 0 '--success 3 --success SIGTERM --success 255 --success HUP' $step
done
run_case subreaper "--success of several: exit=5" success 5 '--success 3 --success TERM' exit=5

# ---- --strict ----
run_case subreaper "--strict: nothing was killed" success 3 --strict exit=3
in_modes "pid1 subreaper" "--strict: what was left had to be killed" success 70 '--strict --grace 300ms' \
    fork=left ignore=TERM "touch=$T/flag.up" pause end "await=$T/flag.up" exit=3
run_case subreaper "--strict wins over --success" success 70 '--strict --grace 300ms --success 3' \
    fork=left ignore=TERM "touch=$T/flag.up" pause end "await=$T/flag.up" exit=3
run_case subreaper "--strict: what was left went by itself" success 3 '--strict --grace 20s' \
    fork=left on=TERM:clean:300:0 "touch=$T/flag.up" pause end "await=$T/flag.up" exit=3

strict_command() {
    WRAP=("${ORDINARY[@]}")
    run_tend "$MODE" --strict --grace 300ms -- "$BIN/actor" "$J" main ignore=TERM pause
    must "start" wait_until 10 up main || return
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "70, got $STATUS" test "$STATUS" = 70
}
in_modes "pid1 subreaper user" "--strict: the command had to be killed" strict_command

strict_service() { # WANT, KEYS, STEP...
    local want=$1 keys=$2
    shift 2
    service s "$keys" "$@"
    run_tend "$MODE" --strict -c "$CONF"
    must "start" wait_until 10 up s || return
    stop_tend
    must "$want, got $STATUS" test "$STATUS" = "$want"
}
in_modes "pid1 subreaper" "--strict: a service had to be killed" strict_service 70 \
    'stop { grace = "300ms" }' ignore=TERM pause
in_modes "pid1 subreaper" "--strict: no service had to be" strict_service 0 'stop { grace = "20s" }' \
    on=TERM:clean:300:0 pause

strict_any() { # KEYS-OF-MAIN, STEP...: a stop long ago, and not of the service that decides
    local keys=$1
    shift
    service s 'stop { grace = "200ms" } restart { delay = "10ms" limit = 0 }' \
        fork=left ignore=TERM "touch=$T/flag.up" pause end "await=$T/flag.up" sleep=100 exit=1
    service decides "main = true restart { policy = never } $keys" sleep=100 "$@"
    run_tend "$MODE" --strict -c "$CONF"
    must "tend ends" await_end 20
    must "70, got $STATUS" test "$STATUS" = 70
}
in_modes "pid1 subreaper" "--strict: any KILL counts, whatever main's code" strict_any '' sleep=1500 exit=3

# ---- service mode: the end of all ----
once='restart { policy = never }'
main_codes() {
    local code
    for code in 0 1 2 77 254 255; do
        : >"$CONF"
        service decides "main = true $once" "exit=$code"
        service other '' on=TERM:exit:9 pause
        try_tend -c "$CONF"
        must "$code, got $STATUS" test "$STATUS" = "$code"
    done
}
in_modes "pid1 subreaper" "main's code is tend's, whatever it is" main_codes

all_failed() {
    service s "$once" exit=3
    service t 'restart { limit = 2 delay = "20ms" }' kill=SEGV
    run_tend "$MODE"
    must "tend ends by itself" await_end 20
    must "1, got $STATUS" test "$STATUS" = 1
}
in_modes "pid1 subreaper" "F048 all have failed: 1" all_failed

no_services() { # PATH REGEX
    try_tend -c "$1"
    must "78, got $STATUS" test "$STATUS" = 78
    must "the reason is told" said "$2"
    must "in one line" test "$(told_by_tend | wc -l)" = 1
}
mkdir "$T/empty"
touch "$T/empty.conf"
in_modes "pid1 subreaper user" "F048 an empty config" no_services "$T/empty.conf" 'empty.conf: no service'
in_modes "pid1 subreaper" "F048 an empty folder" no_services "$T/empty" 'empty: no service'
in_modes "pid1 subreaper" "F048 no such config" no_services "$T/missing" 'missing: does not exist'
no_default() {
    [ ! -e /etc/tend ] || WRAP=(unshare --mount sh -c 'mount -t tmpfs none /etc/tend && rmdir /etc/tend/services.d; exec "$@"' sh)
    try_tend
    must "78, got $STATUS" test "$STATUS" = 78
    must "the default is named" said '/etc/tend'
}
run_case subreaper "F048 no config at all" no_default

# What belongs to the life that has just ended is still being stopped: nothing starts any more.
term_in_stop() {
    service s 'restart { policy = always delay = "0s" limit = 0 } stop { grace = "20s" }' \
        fork=left on=TERM:clean:1500:0 "touch=$T/flag.up" pause end "await=$T/flag.up" exit=1
    run_tend "$MODE"
    must "the main process is gone, its child is told" wait_until 10 seen left "got TERM" || return
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "the child has cleaned up" seen left cleaned
    must "nothing starts after it" test "$(count s start)" = 1
    must "0, got $STATUS" test "$STATUS" = 0
}
in_modes "pid1 subreaper user" "F015 TERM while a service that ended is still being stopped" term_in_stop

done_testing
