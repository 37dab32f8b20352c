#!/bin/bash
# What a service finds when it begins, and what becomes of one that cannot begin.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

told() { # NAME
    wait_until 10 seen "$1" "facts done"
}
group_of() { # USER: its groups, sorted
    id -G "$1" | tr ' ' '\n' | sort -n | paste -sd' '
}

f003() {
    WRAP=(setpriv --groups "6,4,1000")
    service named 'user = "nobody"' facts pause
    service number 'user = "65534"' facts pause
    service both 'user = "nobody" group = "daemon" groups = {"mail", "news"}' facts pause
    run_tend "$MODE"
    must "all begin" wait_until 10 up named number both || return
    must "uid: $(fact named uid)" test "$(fact named uid)" = "65534 65534 65534"
    must "gid: $(fact named gid)" test "$(fact named gid)" = "65534 65534 65534"
    must "groups of nobody: $(fact named groups)" test "$(fact named groups)" = "$(group_of nobody)"
    must "groups of 65534: $(fact number groups)" test \
        "$(fact number groups)" = "$(group_of nobody)" -o -z "$(fact number groups)"
    must "not root's: $(fact both groups)" not grep -qE '\b(0|6|4|1000)\b' <<<"$(fact both groups)"
    must "group: $(fact both gid)" test "$(fact both gid)" = "1 1 1"
    must "groups as asked: $(fact both groups)" grep -q "$(getent group mail | cut -d: -f3)" <<<"$(fact both groups)"
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "F003 no supplementary group of tend's is kept" f003
fi

f003_denied() {
    WRAP=(setpriv --reuid 65534 --regid 65534 --clear-groups unshare --user --map-root-user)
    [ "$EUID" = 0 ] || WRAP=(unshare --user --map-root-user)
    "${WRAP[@]}" true 2>/dev/null || return
    service changing "user = \"nobody\" restart { limit = 0 delay = \"50ms\" }" facts pause
    service plain '' pause
    run_tend "$MODE"
    must "others run" wait_until 10 up plain || return
    must "the failed step is named" wait_until 5 said 'changing.*(group|user|uid|gid)'
    must "it never ran" never changing start
}
run_case subreaper "F003 where setgroups is denied a service with a user does not run" f003_denied

f014() { # ENV-OPTION...
    WRAP=(env "$@")
    service s '' facts on=TERM:exit:0 pause
    run_tend "$MODE"
    must "begins" wait_until 10 up s || return
    must "nothing blocked: $(fact s blocked)" test "$(fact s blocked)" = 0
    must "nothing ignored: $(fact s ignored)" test "$(fact s ignored)" = 0
    kill -TERM "$TEND"
    must "tend obeys TERM" await_end 20
    must "the service was told" seen s "got TERM"
}
in_modes "pid1 subreaper user" "F014 a service inherits no signal state" f014 --default-signal
in_modes "pid1 subreaper user" "F014 not even when tend was started with some" f014 \
    --ignore-signal=PIPE,INT,HUP,CHLD,TERM --block-signal=TERM,CHLD,USR1

surroundings() {
    echo 'FROM_FILE=3' >"$T/flag.env"
    WRAP=(env NOTIFY_SOCKET=/nowhere LISTEN_FDS=1 LISTEN_PID=1 WATCHDOG_USEC=5 KEPT=yes A=outer nice -n 3)
    service s "umask = \"027\" nice = 7 no_new_privs = true directory = \"/usr\"
        oom_score_adj = 300 limits { nofile = 77 } environment_file = \"$T/flag.env\"
        environment = {\"A=1\", \"B=two words\"}" facts pause
    service plain '' facts pause
    run_tend "$MODE"
    must "begin" wait_until 10 up s plain || return
    local want
    for want in "umask 027" "nice 7" "no_new_privs 1" "cwd /usr" "oom_score_adj 300" "limit nofile 77 77" \
        "env A=1" "env B=two words" "env FROM_FILE=3" "env KEPT=yes" "session own" "group own" "fd 0 /dev/null"; do
        must "$want" seen s "fact $want"
    done
    for want in "umask 022" "no_new_privs 0" "session own" "env KEPT=yes" "fd 0 /dev/null" \
        "limit nofile $(ulimit -Sn) $(ulimit -Hn)"; do
        must "plain: $want" seen plain "fact $want"
    done
    must "no manager variables" not grep -qE 'env (NOTIFY_SOCKET|LISTEN_|WATCHDOG_)' "$J"
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "a service begins as its config says" surroundings
fi

variable() { # NAME VARIABLE: its value in that one's environment
    events "$1" "fact env" | sed -n "s/^.* fact env $2=//p"
}
# What it is told of tend, and by which descriptor; another service has nothing of it.
told_of_tend() {
    service plain '' facts pause
    # shellcheck disable=SC2016
    conf 'service s {' 'notify { access = all } watchdog = "600s" ready { on = fd fd = 9 timeout = "600s" }' \
        "before_start = $(actor before facts)" "stop { command = $(actor stopping facts) }" \
        "command = {$(quoted sh -c 'echo >&9; exec $@' sh "$BIN/actor" "$J" s facts on=TERM:exit:0 pause)}" '}'
    run_tend "$MODE"
    must "one begins" wait_until 10 seen s "facts done" || return
    must "and is ready" wait_until 10 said 's: ready' || return
    must "the other begins" wait_until 10 seen plain "facts done" || return
    must "it has a socket" test -n "$(variable s NOTIFY_SOCKET)"
    must "before_start has it too" test "$(variable before NOTIFY_SOCKET)" = "$(variable s NOTIFY_SOCKET)"
    must "the watchdog" test "$(variable s WATCHDOG_USEC)" = 600000000
    must "by its own number" test "$(variable s WATCHDOG_PID)" = "$(pid_of s)"
    must "which is no matter of before_start" test -z "$(variable before 'WATCHDOG_[A-Z]*')"
    must "the descriptor: $(fact s "fd 9")" grep -q '^pipe:' <<<"$(fact s "fd 9")"
    must "and no other" test "$(count s "fact fd")" = 4
    must "not for before_start" test "$(count before "fact fd")" = 3
    must "nothing for the other" test -z "$(variable plain '\(NOTIFY_SOCKET\|WATCHDOG_[A-Z]*\|MAINPID\)')"
    must "no descriptor either" test "$(count plain "fact fd")" = 3
    must "tend ends" stop_tend 20
    must "the stop command has it" test "$(variable stopping NOTIFY_SOCKET)" = "$(variable s NOTIFY_SOCKET)"
    must "and knows whom to stop" test "$(variable stopping MAINPID)" = "$(pid_of s)"
    must "and no more" test -z "$(variable stopping 'WATCHDOG_[A-Z]*')"
    must "no descriptor" test "$(count stopping "fact fd")" = 3
}
in_modes "pid1 subreaper user" "a service finds what it notifies tend by" told_of_tend

f037() { # CALLS STEP KEYS
    WRAP=("$BIN/deny" "$1=EPERM" --)
    service s "$3 restart { limit = 0 delay = \"50ms\" max_delay = \"50ms\" }" pause
    run_tend "$MODE"
    must "the step is named" wait_until 5 said "s: .*($2)"
    must "the reason is named" said 's: .*(not permitted|EPERM)'
    must "the program never ran" never s start
    must "tend runs on" running
}
f037_all() { # MODE
    run_case "$1" "F037 setsid fails: no exec" f037 setsid 'setsid|session' ''
    run_case "$1" "F037 chdir fails: no exec" f037 chdir,fchdir 'chdir|directory' 'directory = "/usr"'
    # The sanitizers' own start needs the call.
    sanitized || run_case "$1" "F037 setrlimit fails: no exec" f037 prlimit64,setrlimit 'limit' 'limits { nofile = 77 }'
    run_case "$1" "F037 setpriority fails: no exec" f037 setpriority 'nice|priority' 'nice = 5'
    if [ "$EUID" = 0 ]; then
        run_case "$1" "F037 setgroups fails: no exec" f037 setgroups 'group' 'user = "nobody"'
        run_case "$1" "F037 setgid fails: no exec" f037 setgid,setresgid,setregid 'gid|group' 'user = "nobody"'
        run_case "$1" "F037 setuid fails: no exec" f037 setuid,setresuid,setreuid 'uid|user' 'user = "nobody"'
    fi
}
f037_all subreaper
f037_all pid1

exec_fails() { # REASON PATH
    conf "service s {" "restart { limit = 0 delay = \"100ms\" }" "command = {\"$2\", \"x\"}" "}"
    service other '' pause
    run_tend "$MODE"
    must "others run" wait_until 10 up other || return
    must "service, stage, path and reason are told: $1" wait_until 5 said "s: .*($1)"
    must "the stage is told" said 's: .*(exec|command)'
    nap 0.5
    must "no storm: $(grep -c "s: " "$LOG") lines" test "$(grep -c "s: " "$LOG")" -le 20
    must "it is tried again" running
}
f051_files() {
    local d=$T/files
    mkdir -p "$d"
    touch "$d/plain" "$d/empty"
    chmod 644 "$d/plain"
    printf '#!/no/such/interpreter\n' >"$d/bad-interpreter"
    printf '\001\002\003 no program\n' >"$d/garbage"
    ln -sf loop "$d/loop"
    chmod 755 "$d/bad-interpreter" "$d/garbage"
    local long
    long=$(printf 'x%.0s' $(seq 300))
    run_case "$1" "F051 exec of what is missing" exec_fails 'No such file|ENOENT' "$d/missing"
    run_case "$1" "F051 exec of a directory" exec_fails 'Permission denied|EACCES|Is a directory' "$d"
    run_case "$1" "F051 exec of a file of mode 644" exec_fails 'Permission denied|EACCES' "$d/plain"
    run_case "$1" "F051 exec with a missing interpreter" exec_fails 'No such file|ENOENT' "$d/bad-interpreter"
    run_case "$1" "F051 exec of no program" exec_fails 'Exec format|ENOEXEC' "$d/garbage"
    run_case "$1" "F051 exec through a loop of links" exec_fails 'symbolic links|ELOOP' "$d/loop"
    run_case "$1" "F051 exec of too long a name" exec_fails 'too long|ENAMETOOLONG' "$d/$long"
}
f051_files subreaper
run_case pid1 "F051 exec of what is missing" exec_fails 'No such file|ENOENT' /no/such/program

f051_e2big() {
    local i big
    big=$(head -c 100000 /dev/zero | tr '\0' x)
    WRAP=(env "BIG1=$big" "BIG2=$big" "BIG3=$big")
    service s 'limits { stack = 262144 } restart { limit = 0 }' pause
    service other '' pause
    run_tend "$MODE"
    must "others run" wait_until 10 up other || return
    must "the reason is told" wait_until 5 said 's: .*(too long|E2BIG|too big)'
}
run_case subreaper "F051 exec with too many arguments" f051_e2big

f054() { # SHELL-REDIRECTION, WHICH ARE CLOSED
    WRAP=(sh -c "exec \"\$@\" $1" sh)
    service s '' facts on=TERM:exit:0 pause
    run_tend "$MODE"
    must "begins" wait_until 10 up s || return
    must "fd 0 is the null device" seen s "fact fd 0 /dev/null"
    must "fd 1 is there" seen s "fact fd 1"
    must "fd 2 is there" seen s "fact fd 2"
    must "and no other" test "$(events s "fact fd" | wc -l)" = 3
    signal KILL s
    must "restarts" wait_until 10 seen s up 2
}
for closed in '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
    run_case subreaper "F054 tend is started with $closed" f054 "$closed"
done
in_modes "pid1 user" "F054 tend is started with <&- >&- 2>&-" f054 '<&- >&- 2>&-'

f072() {
    local i
    # shellcheck disable=SC2016
    WRAP=(bash -c 'for fd in {3..40}; do eval "exec $fd</dev/zero"; done; exec "$@"' bash)
    for i in $(seq 20); do
        service "s$i" '' facts pause
    done
    run_tend "$MODE"
    must "all begin" wait_until 20 seen "" up 20 || return
    kill -HUP "$TEND"
    signal KILL s3
    must "restarts during a reload" wait_until 20 seen s3 up 2
    must "only 0, 1, 2" not grep -qE ' fact fd ([3-9]|[0-9]{2,}) ' "$J"
    must "those three each" test "$(count "" "fact fd")" = 63
}
in_modes "pid1 subreaper user" "F072 no descriptor leaks into a service" f072

f073() { # WRAPPER...
    local i begin most=1048576
    prlimit --nofile=$most:$most true 2>/dev/null || most=$(ulimit -Hn)
    WRAP=("$@" prlimit "--nofile=$most:$most")
    begin=$(now)
    for i in $(seq 10); do
        service "s$i" '' pause
    done
    run_tend "$MODE"
    must "all begin" wait_until 30 seen "" up 10 || return
    must "each in a moment: $(($(at "" up) - begin)) ms" test $(($(at "" up) - begin)) -lt 10000
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "F073 a huge RLIMIT_NOFILE does not slow a start down" f073
    in_modes "pid1 subreaper" "F073 nor without close_range" f073 "$BIN/deny" close_range=ENOSYS --
fi

f082() {
    WRAP=("$BIN/deny" setpriority=HANG --)
    service hung 'nice = 5 ready { timeout = "700ms" } restart { limit = 0 delay = "50ms" } stop { grace = "500ms" }' pause
    service other 'restart { delay = "10ms" limit = 0 }' pause
    run_tend "$MODE"
    must "others run" wait_until 10 up other || return
    signal KILL other
    must "others are restarted" wait_until 5 seen other up 2
    must "the start times out" wait_until 10 said 'hung.*(time|late|ready|killed)'
    must "it never ran" never hung start
    local begin
    begin=$(now)
    stop_tend
    must "shutdown is not held up" test $(($(now) - begin)) -lt 8000
}
in_modes "pid1 subreaper" "F082 a child hangs between fork and exec" f082

done_testing
