#!/bin/bash
# When a service is ready: each kind of ready.on, and what becomes of those that never are.
# shellcheck disable=SC2016,SC2119 # for jq; without arguments
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"
# shellcheck source=probes.bash
. "$(dirname "$0")/probes.bash"

END=on=TERM:exit:0
NEVER_AGAIN='restart { policy = never }'
STARTING='.state == "starting" and (.ready | not)'
READY='.state == "running" and .ready'

# ---- tcp, unix ----
has_v6() {
    grep -q '^0*1 .* lo$' /proc/net/if_inet6 2>/dev/null
}
# It listens when the flag is there; until then nobody who needs it starts. Once ready it is not
# asked any more. Its second life is to become ready by itself.
listens() { # KEY ADDRESS
    no_server && return
    server s "ready { $1 = \"$2\" every = \"20ms\" } restart { delay = \"10ms\" }" "$2" "await=$T/flag.listen"
    service dep 'requires = {s}' $END pause
    service free '' $END pause
    begins free || return
    must "it lives" lives s 1 || return
    gets s "$STARTING"
    gets dep '.state == "pending" and .waits_for == "s"'
    must "it is told why" wait_until 10 service_has s '.health_fault | test("refused|No such file|exit 1")'
    nap 0.3
    must "nobody starts before it listens" never dep start
    touch "$T/flag.listen"
    must "then they do" wait_until 20 up dep || return
    must "after it" test "$(at dep start)" -ge "$(at s listens)"
    gets s "$READY"
    must "no fault is left" service_has s '.health_fault == null'
    nap 0.5
    must "it is asked until it is ready, and no more: $(count s asked)" test "$(count s asked)" = 1
    must "ready once" test "$(times_ready s)" = 1
    rm "$T/flag.listen"
    ends 0 restart s
    must "it lives again" lives s 2 || return
    gets s "$STARTING"
    nap 0.3
    must "not by its first life" service_has s "$STARTING"
    must "nor who needs it" test "$(count dep start)" = 1
    touch "$T/flag.listen"
    gets s "$READY"
    must "who needs it comes, too" wait_until 10 seen dep up 2
    must "ready twice in two lives" test "$(times_ready s)" = 2
}
tcp() { # HOST
    [ "$1" != '[::1]' ] || has_v6 || {
        LACKING=IPv6
        return
    }
    new_port
    listens tcp "$1:$PORT"
}
local_path() {
    no_server && return
    local folder=$T/sockets.$MODE
    mkdir -m 777 "$folder"
    # a socket that nobody has any more
    "$PYTHON" -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$folder/socket"
    chmod 777 "$folder/socket"
    listens unix "$folder/socket"
}
local_name() {
    listens unix "$ABSTRACT-$MODE"
}
in_modes "pid1 subreaper user" "tcp: when it accepts at an IPv4 address" tcp 127.0.0.1
in_modes "subreaper" "tcp: when it accepts at an IPv6 address" tcp '[::1]'
in_modes "pid1 subreaper user" "unix: when it accepts at a path, and a stale socket is not enough" local_path
in_modes "pid1 subreaper user" "unix: when it accepts at an abstract name" local_name

# Who connects may wait for ever; another try is made, and nobody is left of either.
local_full() {
    no_server && return
    behaves s full
    server s "ready { unix = \"$T/flag.socket\" every = \"20ms\" } stop { grace = \"1s\" }" "$T/flag.socket"
    service other '' $END pause
    begins s other || return
    must "a try is given up" wait_until 10 service_has s '.health_fault == "no answer in time"'
    must "it still starts" service_has s "$STARTING"
    behaves s 200
    gets s "$READY"
    ends 0 stop s --wait
    must "nobody but the others is left" test "$(children_of_tend)" = "$(pid_of other)"
}
children_of_tend() {
    inside cat "/proc/$(tend_inside)/task/$(tend_inside)/children" | tr -s ' \n' '\n' | sed '/^$/d'
}
tend_inside() {
    if [ "$MODE" = pid1 ]; then echo 1; else echo "$TEND"; fi
}
in_modes "pid1 subreaper user" "unix: a full backlog holds up nothing" local_full

# ---- command ----
command_succeeds() {
    lacks jq && return
    service s "ready { command = $(actor ask "if=$T/flag.2" exit=0 end "if=$T/flag.1" "touch=$T/flag.2" kill=TERM end "touch=$T/flag.1" exit=3) every = \"50ms\" }" $END pause
    service dep 'requires = {s}' $END pause
    begins s dep || return
    must "the third time" test "$(count ask start)" = 3
    must "then who needs it" test "$(at dep start)" -ge "$(at ask "exit 0")"
    nap 0.3
    must "it is not asked again" test "$(count ask start)" = 3
    must "ready once" test "$(times_ready s)" = 1
}
in_modes "pid1 subreaper user" "command: when it succeeds, after it has failed" command_succeeds

# What hangs is killed with its group; who has left that is a part of the service, and goes with it.
command_hangs() { # STEP that makes a child of the probe
    lacks jq && return
    [ "$MODE" = cgroup ] && denied clone3 && return
    service s "ready { command = $(actor ask ignore=TERM "if=$T/flag.1" exit=0 end fork=kid ignore=TERM pause end \
        "$1" setsid ignore=TERM pause end "touch=$T/flag.1" pause) command_timeout = \"600ms\" every = \"20ms\" }
        stop { grace = \"300ms\" }" $END pause
    begins s ask || return
    local hung
    hung=$(pid_of ask 1)
    must "nobody is ready before" not service_has s '.ready'
    gets s "$READY"
    must "the second one has told" test "$(count ask start)" = 2
    must "the first one is gone" gone "$hung"
    must "its child too" wait_until 5 gone "$(pid_of kid)"
    must "not before its time" test $(($(at ask start 2) - $(at ask start 1))) -ge 500
    must "who left its group lives" alive "$(pid_of own)"
    ends 0 stop s --wait
    must "as long as its service" gone "$(pid_of own)"
}
in_modes "pid1 subreaper user" "command: what hangs gets KILL, and another one is asked" command_hangs fork=own
in_modes "cgroup" "command: what hangs gets KILL, and its daemons go with the service" command_hangs daemon=own

command_surroundings() {
    lacks jq && return
    local user=''
    [ "$MODE" = user ] || user='user = nobody'
    service s "$user environment = {\"WHAT=this\"} directory = \"/usr\" notify { access = all }
        ready { command = $(actor ask facts exit=0) }" facts $END pause
    begins s || return
    gets s "$READY"
    for key in uid gid cwd umask session no_new_privs "env WHAT=this" blocked ignored; do
        must "$key as of the service" test "$(fact ask "$key")" = "$(fact s "$key")"
    done
    must "the number of the main process" test "$(fact ask "env MAINPID=$(pid_of s)")" = '' -a \
        "$(count ask "fact env MAINPID=$(pid_of s)")" = 1
    must "which nobody else has" never s "fact env MAINPID"
    must "no socket to tell of it" not grep -q ' ask fact env NOTIFY_SOCKET' "$J"
    must "but the service has" grep -q ' s fact env NOTIFY_SOCKET' "$J"
    must "only the three: $(events ask 'fact fd')" test "$(count ask 'fact fd')" = 3
}
in_modes "pid1 subreaper user" "command: as the service, and it finds that one" command_surroundings

# ---- fd ----
has_pipe() { # NAME FD
    [[ $(fact "$1" "fd $2") == pipe:* ]]
}
fd() { # NUMBER
    lacks jq && return
    service s "ready { fd = $1 } restart { delay = \"10ms\" }
        before_start = $(actor before facts exit=0)
        stop { command = $(actor stopper facts exit=0) grace = \"2s\" }
        reload { command = $(actor reloader facts exit=0) }
        health { command = $(actor doctor facts exit=0) every = \"20ms\" }" \
        facts "await=$T/flag.a" "write=$1:some 42" "await=$T/flag.b" "write=$1:thing/more" $END ignore=PIPE "await=$T/flag.c" "write=$1:again/" pause
    service dep 'requires = {s}' $END pause
    run_tend "$MODE"
    must "start" wait_until 20 seen s "facts done" || return
    must "its descriptor" has_pipe s "$1"
    must "and the three: $(events s 'fact fd')" test "$(count s 'fact fd')" = 4
    touch "$T/flag.a"
    must "no whole line" wait_until 10 seen s wrote || return
    nap 0.2
    gets s "$STARTING"
    must "nobody starts" never dep start
    touch "$T/flag.b"
    must "the whole line" wait_until 10 up dep || return
    gets s "$READY"
    must "after it" test "$(at dep start)" -ge "$(at s start)"
    touch "$T/flag.c"
    must "nobody hears more" wait_until 10 seen s "write refused"
    ends 0 reload-service s
    must "all commands run" wait_until 10 seen doctor "facts done"
    must "reload too" wait_until 10 seen reloader "facts done"
    must "ready once" test "$(times_ready s)" = 1
    rm "$T/flag.b"
    ends 0 restart s
    must "another life" lives s 2 || return
    must "which has one too" wait_until 10 seen s wrote 3
    must "is not yet ready" service_has s "$STARTING"
    touch "$T/flag.b"
    gets s "$READY"
    for name in before stopper reloader doctor; do
        must "$name has run" wait_until 10 seen "$name" "facts done"
        must "$name does not get it: $(events $name 'fact fd')" test "$(events $name 'fact fd' | grep -vcE ' fd [012] ')" = 0
    done
}
in_modes "pid1 subreaper user" "fd: a newline at descriptor 3" fd 3
in_modes "subreaper" "fd: a newline at descriptor 4" fd 4
in_modes "subreaper" "fd: a newline at descriptor 9" fd 9
in_modes "pid1 user" "fd: a newline at descriptor 255" fd 255

fd_closed() {
    lacks jq && return
    service s "ready { fd = 3 timeout = \"1500ms\" } $NEVER_AGAIN" write=3:nothing shut=3 $END pause
    service dep 'requires = {s}' $END pause
    service other '' $END pause
    begins s other || return
    must "it is told" wait_until 5 said 's: closed descriptor 3 without a newline'
    must "it goes on" service_has s "$STARTING"
    gets s '.state == "failed" and .cause == "timeout"'
    must "not before its time" test $(($(at s "got TERM") - $(at s start))) -ge 1000
    must "nobody started" never dep start
    must "told once" test "$(grep -c 'without a newline' "$LOG")" = 1
}
in_modes "pid1 subreaper user" "fd: closed without a newline, it is told, and the start timeout acts" fd_closed

fd_grandchild() {
    lacks jq && return
    service s 'ready { fd = 5 }' $END fork=kid "await=$T/flag.go" write=5:/ pause end shut=5 pause
    service dep 'requires = {s}' $END pause
    run_tend "$MODE"
    must "start" wait_until 20 seen s shut || return
    must "and another" wait_until 20 seen kid start
    gets s "$STARTING"
    must "nothing is said of it" not said 'without a newline'
    touch "$T/flag.go"
    must "it speaks for it" wait_until 10 up dep
    gets s "$READY"
}
in_modes "pid1 user" "fd: a grandchild has it and writes" fd_grandchild

# ---- exec, exit ----
plain() {
    lacks jq && return
    service e 'ready { on = exec }' $END pause
    service o 'type = oneshot ready { on = exit }' "await=$T/flag.o" exit=0
    service after-e 'requires = {e}' $END pause
    service after-o 'requires = {o}' $END pause
    begins e after-e || return
    gets e "$READY"
    must "what has not ended is not" never after-o start
    touch "$T/flag.o"
    must "then it is" wait_until 10 up after-o
    gets o '.state == "done"'
    must "once" test "$(times_ready e)" = 1
}
in_modes "pid1 subreaper user" "exec and exit: as before" plain

# ---- the start timeout ----
too_late() {
    lacks jq && return
    new_port
    local kind
    local -A on=([tcp]="tcp = \"127.0.0.1:$PORT\"" [unix]="unix = \"$T/flag.none\"" [fd]='fd = 3' [notify]='on = notify'
        [command]="command = $(actor ask exit=1)" [hangs]="command = $(actor hung pause)")
    for kind in "${!on[@]}"; do
        service "$kind" "ready { ${on[$kind]} every = \"100ms\" timeout = \"1500ms\" } $NEVER_AGAIN" $END pause
        service "after-$kind" "requires = {$kind}" pause
    done
    service o "type = oneshot ready { timeout = \"1500ms\" } $NEVER_AGAIN" $END pause
    service other '' $END pause
    begins "${!on[@]}" other || return
    for kind in "${!on[@]}" o; do
        gets "$kind" '.state == "failed" and .cause == "timeout"'
        must "$kind: not before its time" test $(($(at "$kind" "got TERM") - $(at "$kind" start))) -ge 1300
        must "$kind: it lived once" test "$(count "$kind" start)" = 1
        must "$kind: nobody started" never "after-$kind" start
        must "$kind: never ready" test "$(times_ready "$kind")" = 0
    done
    must "no probe goes on" wait_until 5 gone "$(pid_of hung)"
    kind=$(count ask start)
    nap 0.5
    must "nor begins" test "$(count ask start)" = "$kind"
}
in_modes "pid1 subreaper user" "each kind is stopped when it is not ready in time" too_late

# It dies while somebody asks: that says nothing of its next life.
dies_asked() {
    lacks jq && return
    service s "ready { command = $(actor ask "unless=$T/flag.1" "touch=$T/flag.1" "await=$T/flag.go" end exit=0) } restart { policy = always delay = \"300ms\" limit = 0 }" \
        "unless=$T/flag.2" "touch=$T/flag.2" "await=$T/flag.1" exit=1 end $END pause
    begins s || return
    must "who asked its first life is gone" wait_until 5 gone "$(pid_of ask 1)"
    gets s "$READY and .restarts == 1"
    must "somebody else has asked" test "$(count ask start)" = 2
    must "ready once" test "$(times_ready s)" = 1
}
in_modes "pid1 subreaper user" "a life that ends while it is asked leaves nothing to the next" dies_asked

done_testing
