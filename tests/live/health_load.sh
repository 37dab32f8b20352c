#!/bin/bash
# Probes in want, in number, and among orphans: nothing is done to who is well.
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

# ---- what is ours is not the fault of a service ----
fd_limit() { # NUMBER
    prlimit --pid "$TEND" --nofile="$1:"
}
no_descriptors() {
    no_server && return
    lacks prlimit && return
    new_port
    server s "health { http = \"http://127.0.0.1:$PORT/\" every = \"20ms\" failures = 1 } $AGAIN" "127.0.0.1:$PORT"
    service t "health { command = $(actor ask exit=0) every = \"20ms\" failures = 1 } $AGAIN" $END pause
    service u "requires = {v} health { unix = \"$ABSTRACT-$MODE\" every = \"20ms\" failures = 1 } $AGAIN" $END pause
    server v '' "$ABSTRACT-$MODE"
    begins s t u v || return
    for name in s t u; do gets $name "$WELL"; done
    local s t
    fd_limit 3
    for name in s t u; do
        must "it is told of $name" wait_until 10 said "$name: cannot be probed: .*Too many open files"
    done
    nap 0.6
    s=$(count s asked) t=$(count ask start)
    nap 0.3
    must "nobody could ask" test "$(count s asked)$(count ask start)" = "$s$t"
    must "nobody was restarted" test "$(count s start)$(count t start)$(count u start)" = 111
    must "nor said to be ill" not said 'unhealthy'
    fd_limit 1024
    must "it is asked again" wait_until 10 asked s $((s + 3))
    must "and the other" wait_until 10 seen ask start $((t + 3))
    for name in s t u; do gets $name "$WELL"; done
    must "all of them lived on" test "$(count s start)$(count t start)$(count u start)" = 111
    must "each is told once: $(grep -c 'cannot be probed' "$LOG")" test "$(grep -c 'cannot be probed' "$LOG")" = 3
}
in_modes "subreaper" "no descriptors for probes: that is no fault of a service" no_descriptors

no_processes() {
    lacks jq && return
    lacks prlimit && return
    service s "health { command = $(actor ask exit=0) every = \"20ms\" failures = 1 } $AGAIN" $END pause
    service u "health { unix = \"$ABSTRACT-nobody\" every = \"50s\" failures = 1 } $AGAIN" $END pause
    begins s u || return
    gets s "$WELL"
    client prlimit --pid "$TEND" --nproc=1:
    must "it is told" wait_until 10 said 's: cannot be probed: '
    nap 0.5
    must "nobody was restarted" test "$(count s start)$(count u start)" = 11
    client prlimit --pid "$TEND" --nproc=10000:
    local n
    n=$(count ask start)
    must "it is asked again" wait_until 10 seen ask start $((n + 3))
    gets s "$WELL"
    must "the same life" test "$(count s start)" = 1
    must "it is told once" test "$(grep -c 'cannot be probed' "$LOG")" = 1
}
in_modes "user" "no processes for probes: that is no fault of a service" no_processes

# ---- many ----
many() {
    no_server && return
    new_port
    server base '' "127.0.0.1:$PORT" quiet
    local i before ticks time few
    for i in {1..200}; do
        service "s$i" "requires = {base}" $END pause
    done
    begins base || return
    must "all start" wait_until 60 all_up 200 || return
    gets s200 '.ready'
    few=$(fds_of "$TEND")
    sed -i "s/requires = {base}/& health { tcp = \"127.0.0.1:$PORT\" every = \"100ms\" failures = 5 }/" "$CONF"
    ends 0 reload
    gets s200 "$WELL"
    nap 1
    before=$(now) ticks=$(cpu_of "$TEND")
    nap 3
    time=$(($(now) - before)) ticks=$(($(cpu_of "$TEND") - ticks))
    echo "# 200 probed each 100 ms: $((ticks * 1000 / time)) % of a processor"
    sanitized || must "tend uses little: $ticks hundredths in $time ms" test $((ticks * 10)) -lt $((time / 2))
    must "nobody is ill" not said 'unhealthy'
    must "few descriptors: $(fds_of "$TEND")" test "$(fds_of "$TEND")" -lt 300
    sed -i 's/health { .* }$//' "$CONF"
    ends 0 reload
    must "no probe is left" wait_until 10 no_connection "$PORT"
    must "nor a descriptor: $(fds_of "$TEND")" test "$(fds_of "$TEND")" = "$few"
    must "the same lives" test "$(grep -c ' start$' "$J")" = 201
}
all_up() { # NUMBER
    [ "$(grep -cE ' s[0-9]+ up$' "$J")" = "$1" ]
}
in_modes "subreaper" "200 services that are probed ten times a second" many

# Each exit is attributed to whom it is of, whatever else ends meanwhile.
f053() {
    lacks jq && return
    service good "health { command = $(actor ask exit=0) every = \"50ms\" failures = 1 then = mark }" $END pause
    service bad "health { command = $(actor askbad exit=3) every = \"50ms\" failures = 1 then = mark }" $END pause
    service ends 'restart { policy = always delay = "10ms" max_delay = "10ms" limit = 0 }' sleep=40 exit=7
    service crowd '' $END orphans=300:20 orphans=300:15 orphans=300:10 orphans=300:25 orphans=300:5 orphans=300:20 note=over pause
    begins good bad crowd || return
    must "asked" wait_until 20 seen ask start 40
    must "and the other" wait_until 20 seen askbad start 40
    must "orphans end" wait_until 30 seen crowd over
    must "others, too" wait_until 20 seen ends exit 20
    must "the good one was always well" not said 'good: unhealthy'
    gets good "$WELL"
    gets bad '.health == "unhealthy" and .health_fault == "exit 3"'
    must "the bad one never" not said 'bad: healthy again'
    client "$BIN/tendctl" --json history >"$T/history"
    must "nobody else died, and of nothing else" jq -e 'all(.deaths[]; .service == "ends" and .exit == 7)' "$T/history"
    must "each life once" test "$(count good start)$(count bad start)$(count crowd start)" = 111
}
in_modes "pid1 subreaper user" "F053 probes while orphans end: each result is that of its own" f053

done_testing
