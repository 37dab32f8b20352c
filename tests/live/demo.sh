#!/bin/bash
# The demo programs: what a supervised server, client, teller, oneshot, crasher and refuser have to do.
#
# What happened is asked from the kernel and from clients (bash's /dev/tcp). Each wait is for a
# condition, under a generous limit; each process started is ended by its pid, whatever happens.
# shellcheck disable=SC2317 # functions are called by name, as conditions

BUILD=$(realpath "${TEND_BUILD:-${BUILD:-build}}") || exit 1
LIMIT=${LIMIT:-20} # seconds: generous
work=$(mktemp -d) || exit 1
exec 2>"$work/err" # bash's word on each killed child would be noise
count=0
failed=0

finish() {
    local pid
    for pid in $(jobs -p); do # those not yet waited for: no pid of a stranger
        # shellcheck disable=SC2046 # a list of pids
        kill -KILL $(children "$pid") "$pid" 2>/dev/null
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

ok() { # STATUS TEXT
    count=$((count + 1))
    if [ "$1" = 0 ]; then
        echo "ok $count - $2"
    else
        failed=1
        echo "not ok $count - $2"
        cat "$work/err" "$work/out" 2>/dev/null | sed 's/^/# /'
    fi
}

check() { # TEXT COMMAND...
    local text=$1
    shift
    "$@"
    ok $? "$text"
}

skip() { # TEXT WHY
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}

until_true() { # COMMAND...
    local end=$((SECONDS + LIMIT))
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.01
    done
}

# ---- what the kernel knows ----

children() { # PID: also those that have ended and were not waited for
    cat "/proc/$1/task/$1/children" 2>/dev/null
}
children_are() { # PID N
    # shellcheck disable=SC2046
    set -- "$2" $(children "$1")
    [ $(($# - 1)) = "$1" ]
}
gone() { # PID, one of ours: a zombie counts, since it is ours to wait for
    ! grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status"
}
status_of() { # PID: its exit status; 124 when it does not end
    until_true gone "$1" || return 124
    wait "$1" 2>/dev/null
}
ignores() { # PID SIGNAL
    local mask
    mask=$(sed -n 's/^SigIgn:[[:space:]]*//p' "/proc/$1/status")
    (((16#$mask >> ($2 - 1)) & 1))
}
switches() { # PID: how often it went to sleep
    sed -n 's/^voluntary_ctxt_switches:[[:space:]]*//p' "/proc/$1/status"
}
slept() { # PID N
    [ "$(switches "$1")" -ge "$2" ]
}
cpu_ticks() { # PID
    local s
    s=$(<"/proc/$1/stat")
    # shellcheck disable=SC2086
    set -- ${s##*) }
    echo $((${12} + ${13}))
}
now_ms() {
    local t
    read -r t _ </proc/uptime
    echo $((10#${t/./} * 10))
}

# ---- processes ----

start() { # COMMAND...: its pid in $pid, its output in $work/out
    : >"$work/out"
    "$@" >"$work/out" 2>&1 </dev/null &
    pid=$!
}
says() { # PATTERN
    grep -q -- "$1" "$work/out"
}
serve() { # [PREFIX...]: an echo server on a free port: $pid, $port
    start "$@" "$BUILD/echo-server" --port 0
    server=$pid
    until_true says 'listening on' || return 1
    port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' "$work/out")
}
stop() { # the server; its exit status
    kill -TERM "$server"
    status_of "$server"
}

# ---- clients ----

echoes() { # PORT: one exchange over a connection of its own
    local fd line
    exec {fd}<>"/dev/tcp/127.0.0.1/$1" || return 1
    echo "a line" >&"$fd"
    read -r -t "$LIMIT" line <&"$fd"
    exec {fd}>&-
    [ "$line" = "a line" ]
}
many() { # PORT N: all open at the same time, served in reverse order
    local fds=() fd i line
    for ((i = 0; i < $2; i++)); do
        exec {fd}<>"/dev/tcp/127.0.0.1/$1" || return 1
        echo "line $i" >&"$fd"
        fds+=("$fd")
    done
    until_true children_are "$server" "$2" || return 1
    for ((i = $2 - 1; i >= 0; i--)); do
        read -r -t "$LIMIT" line <&"${fds[i]}"
        [ "$line" = "line $i" ] || return 1
    done
    for fd in "${fds[@]}"; do
        exec {fd}>&-
    done
}
# Linux sends RST, and no FIN, when a socket is closed with bytes that nobody has read.
reset_idle() { # PORT
    local fd
    exec {fd}<>"/dev/tcp/127.0.0.1/$1" || return 1
    echo "never read" >&"$fd"
    until_true read -r -t 0 -u "$fd" || return 1
    exec {fd}>&-
}
unmoved() { # PID: asleep, and asleep since it was last asked
    local n
    n=$(switches "$1")
    [ "$n" = "$last" ] && grep -q '^State:[[:space:]]*S' "/proc/$1/status"
    local same=$?
    last=$n
    return "$same"
}
# The server's process is in the middle of a send when the RST comes: a second write is SIGPIPE.
reset_busy() { # PORT
    local writer fd last=
    exec {fd}<>"/dev/tcp/127.0.0.1/$1" || return 1
    head -c 64M /dev/zero 1>&"$fd" &
    writer=$!
    until_true children_are "$server" 1 && until_true unmoved "$writer"
    local stuck=$?
    kill -KILL "$writer"
    wait "$writer" 2>/dev/null
    exec {fd}>&-
    return "$stuck"
}

# ---- the server ----

check "the server listens" serve
check "it echoes" echoes "$port"
check "50 connections at once, each with a process of its own" many "$port" 50
check "none of the 50 is left as a zombie" until_true children_are "$server" 0
check "SIGPIPE is ignored" ignores "$server" 13
check "a client that resets while idle" reset_idle "$port"
check "a client that resets in the middle of a send" reset_busy "$port"
check "their processes are gone" until_true children_are "$server" 0
check "the server still echoes" echoes "$port"

refused() { # PORT
    ! (exec 5<>"/dev/tcp/127.0.0.1/$1")
}
exec 4<>"/dev/tcp/127.0.0.1/$port"
echo half >&4
read -r -t "$LIMIT" _ <&4
connection=$(children "$server")
kill -STOP "${connection% }" # so that it is certain who waits for whom
echo -n "the other half, without an end" >&4
kill -TERM "$server"
check "SIGTERM: nobody gets in any more" until_true refused "$port"
! gone "$server"
ok $? "but the server waits for its last connection"
kill -CONT "${connection% }"
answer=$(timeout "$LIMIT" cat <&4)
ok $? "whose client sees an orderly end"
check "and all that it had sent" test "$answer" = "the other half, without an end"
exec 4>&-
check "then the server ends with 0" status_of "$server"

# ---- a stop while much is on its way ----

reader() { # slow while there is a file `slow`; ends with 0 at an orderly end
    local n=1
    set -o pipefail
    while [ "$n" -gt 0 ]; do
        if [ -e "$work/slow" ]; then
            sleep 0.01
            n=$(head -c 64K | tee -a "$work/got" | wc -c) || return 1
        else
            n=$(head -c 1M | tee -a "$work/got" | wc -c) || return 1
        fi
    done
}
took() { # PID SIGNAL: it is not pending
    local mask
    mask=$(sed -n 's/^ShdPnd:[[:space:]]*//p' "/proc/$1/status")
    (((16#${mask:-0} >> ($2 - 1)) & 1)) && return 1
    return 0
}
ended_output() { # PORT PID: the connection's process sent its FIN, or is gone
    gone "$2" || grep -Eq "$(printf '^ *[0-9]+: 0100007F:%04X [0-9A-F:]+ 0[45] ' "$1")" /proc/net/tcp
}

# All queues are full, so bytes still come after the last answer; these must not make it a reset.
# The writer is killed since a reset is told once, and should be told to the reader.
serve
touch "$work/slow"
exec 4<>"/dev/tcp/127.0.0.1/$port"
yes 0123456789 >&4 &
writer=$!
until_true children_are "$server" 1
connection=$(children "$server")
last=
until_true unmoved "${connection% }"
until_true unmoved "$writer"
kill -KILL "$writer"
status_of "$writer"
reader <&4 &
reader=$!
exec 4>&-
kill -TERM "$server"
check "a stop while much is on its way: the output ends" \
    until_true ended_output "$port" "${connection% }"
rm -f "$work/slow"
check "the client sees an orderly end and no reset" status_of "$reader"
size=$(stat -c %s "$work/got")
yes 0123456789 | head -c "$size" | cmp -s - "$work/got" && [ "$size" -gt 0 ]
ok $? "what it got is what it had sent"
check "the server ends with 0" status_of "$server"

# Where something is always ready, a signal must find its way in all the same.
serve
touch "$work/slow"
exec 4<>"/dev/tcp/127.0.0.1/$port"
yes >&4 &
writer=$!
reader <&4 &
reader=$!
exec 4>&-
until_true children_are "$server" 1
connection=$(children "$server")
until_true slept "${connection% }" 20
kill -TERM "${connection% }"
check "SIGTERM to one connection that is never idle: taken" until_true took "${connection% }" 15
rm -f "$work/slow"
check "its process ends" until_true children_are "$server" 0
kill -KILL "$writer" "$reader"
check "and the server echoes" echoes "$port"
check "and stops" stop

# Whatever reaches only the main process, or ends it: nothing is left behind.
serve
exec 4<>"/dev/tcp/127.0.0.1/$port"
until_true children_are "$server" 1
connection=$(children "$server")
kill -KILL "$server"
check "when the main process is killed its connections end too" until_true gone "${connection% }"
wait "$server" 2>/dev/null
exec 4>&-

# ---- a taken port ----

serve
taken=$port
"$BUILD/echo-server" --port "$taken" >"$work/second" 2>&1
status=$?
check "a taken port ends the second server with 1" test $status = 1
check "and it names the port" grep -q "port $taken .*taken" "$work/second"
"$BUILD/echo-server" --port 70000 2>/dev/null
status=$?
check "a wrong option ends with 2" test $status = 2
stop

# ---- errors of accept ----

if strace -qq -o /dev/null true 2>/dev/null; then
    for e in ECONNABORTED EPROTO EINTR EPERM ENETDOWN ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH \
        EOPNOTSUPP ENETUNREACH EMFILE ENFILE ENOBUFS ENOMEM; do
        # A leak check at the exit needs ptrace for itself, should this be a sanitized build.
        serve env ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -D -qq -o /dev/null \
            -e trace=accept4 -e "inject=accept4:error=$e:when=1..3"
        echoes "$port" && stop
        ok $? "accept fails thrice with $e: served all the same"
    done
else
    skip "errors of accept by injection" "strace cannot trace here"
fi

# The true one: no descriptor left. 0 1 2, the listener and a pipe are six.
starved() {
    ulimit -S -n 6 && exec "$@"
}
serve starved
exec 4<>"/dev/tcp/127.0.0.1/$port"
echo hungry >&4
until_true slept "$server" $(($(switches "$server") + 1))
begin=$(now_ms)
ticks=$(cpu_ticks "$server")
until_true slept "$server" $(($(switches "$server") + 5))
ok $? "without a free descriptor the server sleeps between its tries"
time=$(($(now_ms) - begin))
ticks=$(($(cpu_ticks "$server") - ticks))
check "not more than one try each 100 ms" test $time -ge 390
check "and takes next to no time: $ticks ticks in $time ms" test $((ticks * 100)) -le $time
prlimit --pid "$server" --nofile=64:
read -r -t "$LIMIT" line <&4
check "with descriptors again, the one in the queue is served" test "$line" = hungry
exec 4>&-
check "and the server stops" stop

# ---- the client ----

serve
timeout "$LIMIT" "$BUILD/echo-client" --port "$port" --every 5ms --count 20 >"$work/client" 2>&1
ok $? "the client's lines come back"
start "$BUILD/echo-client" --port "$port" --every 0ms
client=$pid
until_true children_are "$server" 1
kill -TERM "$client"
check "on SIGTERM the client says goodbye and ends with 0" status_of "$client"
start "$BUILD/echo-client" --port "$port" --every 1m
until_true says connected
until_true children_are "$server" 1
kill -KILL "$(children "$server" | tr -d ' ')"
status_of "$pid"
check "when its connection ends, the client ends with 1 at once" test $? = 1
stop
start "$BUILD/echo-client" --port "$port" --every 1m
status_of "$pid"
check "and with 1 when nobody listens" test $? = 1

# ---- the server that tells how it is ----

# Each message becomes a line of $work/told, its own lines joined by blanks.
hears() {
    rm -f "$work/notify"
    : >"$work/told"
    python3 -u -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(*s.recv(4096).decode().split("\n"))' "$work/notify" >>"$work/told" &
    ear=$!
    until_true test -S "$work/notify"
}
told() { # REGEX [TIMES]
    [ "$(grep -cE -- "$1" "$work/told")" -ge "${2:-1}" ]
}
tells() { # [VARIABLE=VALUE...] [-- OPTION...]: a notify-server on a free port: $server, $port
    local variables=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    start env NOTIFY_SOCKET="$work/notify" "${variables[@]}" "$BUILD/notify-server" --port 0 "${@:2}"
    server=$pid
    until_true says 'listening on' || return 1
    port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' "$work/out")
}
greeted() { # LINE: asked over the connection 4
    local line
    echo >&4
    read -r -t "$LIMIT" line <&4
    [ "$line" = "$1" ]
}
in_order() { # REGEX...: they were told in this order
    local regex at=0 next
    for regex; do
        next=$(awk -v at="$at" -v regex="$regex" 'NR > at && $0 ~ regex { print NR; exit }' "$work/told")
        at=${next:-999999}
    done
    [ "$at" != 999999 ]
}

hears
echo "good morning" >"$work/greeting"
check "the telling server listens" tells -- --greeting "$work/greeting" --drain 1m
check "and says that it is ready" until_true told '^READY=1 STATUS=0 clients$'
exec 4<>"/dev/tcp/127.0.0.1/$port"
check "it greets" greeted "good morning"
check "it tells of the client" until_true told '^STATUS=1 client$'
echo "good evening" >"$work/greeting"
begin=$(now_ms)
kill -HUP "$server"
check "SIGHUP: it reloads" until_true says reloaded
check "it is ready again" until_true in_order '^RELOADING=1 MONOTONIC_USEC=' '^READY=1$'
usec=$(sed -n 's/^RELOADING=1 MONOTONIC_USEC=//p' "$work/told")
check "the time of the reload is of the monotonic clock" \
    test "$usec" -ge $(((begin - 20) * 1000)) -a "$usec" -le $((($(now_ms) + 20) * 1000))
check "it greets otherwise, on the same connection" greeted "good evening"
kill -TERM "$server"
check "SIGTERM: it says so, and wants time for its client" until_true \
    in_order '^STOPPING=1$' '^STATUS=stopping, 1 client left$' '^EXTEND_TIMEOUT_USEC=3000000$'
check "again and again" until_true told '^EXTEND_TIMEOUT_USEC=3000000$' 2
check "nobody gets in any more" refused "$port"
check "who is in is greeted" greeted "good evening"
exec 4>&-
check "when the client is gone the server ends with 0" status_of "$server"
! told WATCHDOG
ok $? "nobody asked for a watchdog, so none was fed"

tells WATCHDOG_USEC=200000 -- --drain 1ms
check "it feeds the watchdog" until_true told '^WATCHDOG=1$' 4
exec 4<>"/dev/tcp/127.0.0.1/$port"
greeted hello
ok $? "and greets"
kill -TERM "$server"
check "its drain ends though the client stays" status_of "$server"
exec 4>&-
tells WATCHDOG_USEC=200000 WATCHDOG_PID=1 -- --hang-after 1ms
feeds=$(grep -c WATCHDOG "$work/told")
check "it hangs on purpose" until_true says hangs
kill -TERM "$server"
kill -ABRT "$server"
status_of "$server"
check "then only SIGABRT ends it" test $? = 134
check "another's watchdog it does not feed" test "$(grep -c WATCHDOG "$work/told")" = "$feeds"
kill -KILL "$ear"
wait "$ear" 2>/dev/null
tells NOTIFY_SOCKET=
check "where nobody listens it serves all the same" test -n "$port"
stop
ok $? "and stops"

# ---- prepare ----

export TMPDIR=$work
state=$work/state-$(id -u)
umask 022
"$BUILD/prepare" state >"$work/out" 2>&1 && "$BUILD/prepare" state >>"$work/out" 2>&1
ok $? "prepare works, and works again"
check "its folder is ours alone" test "$(stat -c '%a %u' "$state")" = "700 $(id -u)"
check "the file is there, and no other" test "$(ls -A "$state")" = prepared
ln -s "$state" "$work/link-$(id -u)"
! "$BUILD/prepare" link 2>/dev/null
ok $? "a symlink under its name is refused"
chmod 777 "$state"
! "$BUILD/prepare" state 2>/dev/null
ok $? "a folder that others may write is refused"
! "$BUILD/prepare" ../state 2>/dev/null
ok $? "a path is refused"

# ---- unsteady and stubborn ----

bad=0
for _ in 1 2 3 4 5 6 7 8; do
    (cd "$work" && exec "$BUILD/unsteady" --min 1ms --max 5ms) >/dev/null 2>&1 && bad=1
done 2>/dev/null
ok $bad "unsteady never ends well"
begin=$(now_ms)
"$BUILD/unsteady" --min 300ms --max 310ms >/dev/null 2>&1
check "and lives as long as it should" test $(($(now_ms) - begin)) -ge 290

start "$BUILD/stubborn"
until_true says stay
kill -TERM "$pid"
check "stubborn says that it got SIGTERM" until_true says 'got SIGTERM'
! gone "$pid"
ok $? "and stays"
kill -KILL "$pid"
status_of "$pid"
check "but SIGKILL ends it" test $? = 137

echo "1..$count"
exit $failed
