#!/bin/bash
# Services that are probed while they run: what is done to the unhealthy, and that nothing is done to
# the others.
# shellcheck disable=SC2016,SC2119 # for jq; without arguments
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"
# shellcheck source=probes.bash
. "$(dirname "$0")/probes.bash"

END=on=TERM:exit:0
AGAIN='restart { policy = on-failure delay = "50ms" limit = 0 healthy = "60s" }'
WELL='.state == "running" and .health == "well" and .health_failures == 0'

# ---- unhealthy ----
# It is restarted for that, as after any failure, when so many in a row have failed.
restarts() { # "KEY = VALUE" [MODE] FAULT
    gets s "$WELL" || return
    local before first
    first=$(pid_of s)
    before=$(now)
    behaves s "$2"
    must "it is restarted" wait_until 20 seen s start 2 || return
    must "another process" lives s 2
    must "not before three have failed" test $(($(at s "got TERM" 1) - before)) -ge 100
    must "it was asked to stop" gone "$first"
    must "it is told why" said "s: .*unhealthy: $3 \(3 in a row\)"
    must "so is history" died_of s fault
    must "and its backoff counts" service_has s '.restarts >= 1 and .failures >= 1'
    behaves s 200
    gets s "$WELL"
}
restarts_tcp() {
    no_server && return
    new_port
    server s "health { tcp = \"127.0.0.1:$PORT\" every = \"60ms\" failures = 3 } $AGAIN" "127.0.0.1:$PORT"
    begins s && restarts tcp refuse 'Connection refused'
}
restarts_unix() {
    no_server && return
    server s "health { unix = \"$ABSTRACT-$MODE\" every = \"60ms\" failures = 3 } $AGAIN" "$ABSTRACT-$MODE"
    begins s && restarts unix refuse 'Connection refused'
}
restarts_http() {
    no_server && return
    new_port
    server s "health { http = \"http://127.0.0.1:$PORT/health\" every = \"60ms\" failures = 3 } $AGAIN" "127.0.0.1:$PORT"
    begins s || return
    restarts http 500 'HTTP status 500'
    must "what it was asked" seen s 'asked 500 GET /health HTTP/1.0'
    # its first life was asked three times in vain
    must "not more often: $(count_of "$(pid_of s 1)" 'asked 500')" test "$(count_of "$(pid_of s 1)" 'asked 500')" = 3
}
count_of() { # PID EVENT
    grep -cE "^[0-9]+ $1 [^ ]+ $2" "$J"
}
restarts_command() {
    lacks jq && return
    service s "health { command = $(actor ask "unless=$T/flag.mode.s" exit=0 end exit=4) every = \"60ms\" failures = 3 } $AGAIN" $END pause
    begins s || return
    gets s "$WELL"
    touch "$T/flag.mode.s"
    must "it is restarted" wait_until 20 seen s start 2 || return
    rm "$T/flag.mode.s"
    must "when three have failed: $(count ask "exit 4")" test "$(count ask "exit 4")" -ge 3
    must "it is told why" said 's: .*unhealthy: exit 4 \(3 in a row\)'
    must "so is history" died_of s fault
    must "and its backoff counts" service_has s '.restarts >= 1 and .failures >= 1'
    gets s "$WELL"
}
in_modes "pid1 user" "tcp: refused three times in a row, it is restarted" restarts_tcp
in_modes "user" "unix: refused three times in a row, it is restarted" restarts_unix
in_modes "subreaper" "http: a bad status three times in a row, it is restarted" restarts_http
in_modes "pid1 user" "command: it fails three times in a row, it is restarted" restarts_command

one_success() {
    no_server && return
    new_port
    behaves s 500 500 200
    server s "health { http = \"http://127.0.0.1:$PORT/\" every = \"20ms\" failures = 3 } $AGAIN" "127.0.0.1:$PORT"
    begins s || return
    must "asked often" wait_until 20 asked s 24 || return
    must "it lives on" test "$(count s start)" = 1
    must "nothing was said" not said 'unhealthy'
    must "it counts up to two" wait_until 10 service_has s '.health == "failing" and .health_failures == 2 and .health_fault == "HTTP status 500"'
    must "and anew" wait_until 10 service_has s '.health == "well" and .health_failures == 0 and .health_fault == null'
}
in_modes "subreaper" "one success between them, and failures are counted anew" one_success

mark() {
    no_server && return
    new_port
    server s "health { http = \"http://127.0.0.1:$PORT/\" every = \"40ms\" failures = 2 then = mark }" "127.0.0.1:$PORT"
    service other 'requires = {s}' $END pause
    begins s other || return
    gets s "$WELL"
    ends 0 ready
    behaves s 404
    gets s '.state == "running" and .ready and .health == "unhealthy" and .health_failures >= 2 and .health_fault == "HTTP status 404"'
    ends 1 ready
    ends 1 ready s
    ends 0 ready other
    ends 3 status s
    tells 'HTTP status 404'
    must "said once" wait_until 5 said 's: unhealthy: HTTP status 404 \(2 in a row\)'
    wait_until 5 asked s 6 404
    must "and not again" test "$(grep -c 's: unhealthy' "$LOG")" = 1
    behaves s 301
    gets s "$WELL and .health_fault == null"
    ends 0 ready
    must "said, too" said 's: healthy again'
    behaves s 500
    gets s '.health == "unhealthy"'
    ends 1 ready
    must "it is the same one" test "$(count s start)$(count other start)" = 11
    ends 0 restart s
    behaves s 200
    gets s "$WELL"
}
in_modes "pid1 user" "mark: it is told, and left alone" mark

# ---- what counts as well ----
answers() {
    no_server && return
    new_port
    server s "health { http = \"http://127.0.0.1:$PORT/a?b=c\" every = \"20ms\" timeout = \"300ms\" failures = 1 then = mark }" "127.0.0.1:$PORT"
    begins s || return
    local how fault
    while read -r how fault; do
        behaves s "$how"
        if [ "$fault" = well ]; then
            must "$how: asked" wait_until 10 asked s 2 "$how"
            gets s "$WELL"
            must "$how: again" wait_until 10 asked s 3 "$how"
            gets s "$WELL"
        else
            gets s ".health == \"unhealthy\" and (.health_fault | test(\"$fault\"))"
        fi
    done <<'TABLE'
200 well
404 HTTP status 404
204 well
500 HTTP status 500
301 well
garbage ^Protocol error
399 well
silence ^(no answer in time|Connection timed out)
endless well
endless500 HTTP status 500
stalls well
short ^No data available|no HTTP|reset
200 well
100 HTTP status 100
full ^(no answer in time|Connection timed out)
200 well
refuse Connection refused
TABLE
    must "the same life" test "$(count s start)" = 1
    must "no connection stays" wait_until 5 no_connection "$PORT"
}
in_modes "user" "http: 2xx and 3xx are well, and nothing else is" answers

hangs() {
    lacks jq && return
    service s "health { command = $(actor ask ignore=TERM fork=kid ignore=TERM pause end pause) every = \"20ms\" timeout = \"300ms\" failures = 2 then = mark }" $END pause
    begins s ask || return
    gets s '.health == "unhealthy" and .health_fault == "no answer in time"'
    local n
    for n in {1..5}; do
        must "that is why" service_has s '.health_fault == "no answer in time"'
    done
    must "each was killed, and its child" wait_until 10 seen ask start 4
    n=$(all_of ask | wc -l)
    must "at most one of them lives: $n" test "$n" -le 2
    must "and of their children" test "$(all_of kid | wc -l)" -le 2
    must "none before its time" test $(($(at ask start 2) - $(at ask start 1))) -ge 250
}
all_of() { # NAME: its processes that live
    local pid
    for pid in $(events "$1" start | cut -d' ' -f2); do
        ! alive "$pid" || echo "$pid"
    done
}
in_modes "pid1 user" "command: what does not answer in time gets KILL" hangs

# ---- the end of it ----
stopped_asked() {
    lacks jq && return
    service s "health { command = $(actor ask fork=own setsid pause end ignore=TERM,INT,HUP fork=kid pause end pause) every = \"20ms\" timeout = \"10m\" } stop { grace = \"20s\" }" $END pause
    service other '' $END pause
    begins s other || return
    must "it is asked" wait_until 10 up ask kid own || return
    local before
    before=$(now)
    ends 0 stop s --wait
    must "nobody waits for who asks" test $(($(now) - before)) -lt 8000
    must "who is gone" gone "$(pid_of ask)"
    must "with its child" gone "$(pid_of kid)"
    must "and who has left it" gone "$(pid_of own)"
    ends 0 start s --wait
    must "another one asks" wait_until 10 seen own up 2
    before=$(now)
    stop_tend 30
    must "nor does a shutdown" test $(($(now) - before)) -lt 8000
    must "it ends well" test "$STATUS" = 0
    must "nobody is left for the end of all" not said 'processes of no service'
}
in_modes "pid1 subreaper user cgroup" "a stop ends who asks, and all that is below" stopped_asked

# Whoever has left the group of a probe is a process of its service like any other.
stopped_daemon() { # STEP that makes it
    lacks jq && return
    [ "$MODE" = cgroup ] && denied clone3 && return
    service s "health { command = $(actor ask "$1" setsid ignore=TERM pause end pause) every = \"20ms\" timeout = \"10m\" } stop { grace = \"700ms\" }" $END pause
    service other '' $END pause
    begins s other || return
    must "it is asked" wait_until 10 up ask own || return
    ends 0 stop s --wait
    must "it is killed with its service" gone "$(pid_of own)"
    must "not before its time" test $(($(now) - $(at s "got TERM"))) -ge 600
}
in_modes "pid1 user" "who left the group of a probe is of the service" stopped_daemon fork=own
in_modes "cgroup" "a daemon that a probe has made is of the service" stopped_daemon daemon=own

# Nor a connection that hangs in the kernel for who asks.
stopped_unix() {
    no_server && return
    behaves s full
    server s "health { unix = \"$ABSTRACT-$MODE\" every = \"20ms\" timeout = \"10m\" }" "$ABSTRACT-$MODE"
    service other '' $END pause
    begins s other || return
    must "it is asked" wait_until 10 has_children 3
    local before
    before=$(now)
    ends 0 stop s --wait
    must "nobody waits" test $(($(now) - before)) -lt 8000
    must "one is left" has_children 1
}
children() {
    tr -s ' \n' '\n' <"/proc/$TEND/task/$TEND/children" | sed '/^$/d'
}
has_children() { # NUMBER
    [ "$(children | wc -l)" = "$1" ]
}
in_modes "pid1 user" "a stop ends who connects, too" stopped_unix

stopping() {
    lacks jq && return
    service s "health { command = $(actor ask exit=0) every = \"20ms\" }" on=TERM:clean:1000:0 pause
    begins s || return
    must "it is asked" wait_until 10 seen ask start 3
    ends 0 stop s --wait
    local late
    late=$(events ask start | awk -v from="$(at s "got TERM")" '$1 > from' | wc -l)
    must "it was not asked while it stopped: $late" test "$late" -le 1
    must "it cleaned up" seen s cleaned
    late=$(count ask start)
    nap 0.3
    must "nor after that" test "$(count ask start)" = "$late"
}
in_modes "pid1 subreaper" "who is stopping is not asked" stopping

before_ready() {
    lacks jq && return
    service s "ready { fd = 3 } health { command = $(actor ask exit=1) every = \"20ms\" failures = 1 then = mark }" \
        "await=$T/flag.go" write=3:/ $END pause
    run_tend "$MODE"
    must "start" wait_until 10 seen s start || return
    nap 0.5
    must "who is not ready is not asked" never ask start
    must "nor told of" service_has s '.health == null and .state == "starting"'
    touch "$T/flag.go"
    must "then it is" wait_until 10 seen ask start
    gets s '.health == "unhealthy"'
}
in_modes "pid1 subreaper" "who is not ready is not asked" before_ready

# ---- other settings ----
reloaded() {
    no_server && return
    new_port
    behaves s 500
    local server="127.0.0.1:$PORT" health="http = \"http://127.0.0.1:$PORT/\"" n
    server s '' "$server"
    begins s || return
    must "nobody asks" service_has s '.health == null'
    replaces "health { $health every = \"1h\" failures = 1000 }"
    gets s '.health == "well"'
    nap 0.3
    must "not yet" never s asked
    replaces "health { $health every = \"20ms\" failures = 1000 then = mark }"
    must "a shorter wait counts at once" wait_until 10 asked s 5 || return
    gets s '.health == "failing"'
    replaces "health { $health every = \"20ms\" failures = 2 then = mark }"
    gets s '.health == "unhealthy"'
    ends 1 ready
    replaces ''
    gets s '.health == null'
    ends 0 ready
    n=$(count s asked)
    nap 0.4
    must "nobody asks any more" test "$(count s asked)" -le $((n + 1))
    must "all that without a restart" test "$(count s start)" = 1
    replaces "health { $health every = \"20ms\" failures = 2 then = mark }"
    gets s '.health == "unhealthy"'
    replaces "health { $health every = \"20ms\" failures = 2 then = restart }"
    must "now it is restarted" wait_until 20 seen s start 2
    must "for that" died_of s fault
}
replaces() { # KEYS of s
    : >"$CONF"
    server s "$AGAIN $1" "$server"
    ends 0 reload
}
in_modes "pid1 user" "other settings of health are taken while it runs" reloaded

# A probe under way when its settings go is ended.
reloaded_asked() {
    lacks jq && return
    service s "health { command = $(actor ask ignore=TERM pause) every = \"20ms\" timeout = \"10m\" }" $END pause
    begins s ask || return
    : >"$CONF"
    service s '' $END pause
    ends 0 reload
    must "who asked is gone" wait_until 10 gone "$(pid_of ask)"
    must "the other lives" alive "$(pid_of s)"
    nap 0.2
    must "nobody else asks" test "$(count ask start)$(count s start)" = 11
    : >"$CONF"
    service s "health { command = $(actor ask exit=0) every = \"20ms\" }" $END pause
    ends 0 reload
    gets s "$WELL"
    must "another one asks" wait_until 10 seen ask start 3
}
in_modes "pid1 subreaper" "settings that go end who asks" reloaded_asked

done_testing
