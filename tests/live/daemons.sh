#!/bin/bash
# Against daemons of the distribution that speak sd_notify(3): redis, haproxy, unbound, rsyslog.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"
# shellcheck source=probes.bash
. "$(dirname "$0")/probes.bash"
# shellcheck source=daemons.bash
. "$(dirname "$0")/daemons.bash"

# ---- redis ----
pong() { # SOCKET
    [ "$(tree_run redis-cli -s "$1" ping)" = PONG ]
}
redis() {
    absent redis-server && return
    local plain=(redis-server --port 0 --save '' --daemonize no)
    daemon redis '' "${plain[@]}" --unixsocket "$T/redis" --supervised systemd
    daemon mute '' "${plain[@]}" --unixsocket "$T/mute" --supervised no
    begins_with redis || return
    must "ready means that it serves" pong "$T/redis"
    gets redis '.status == "Ready to accept connections"'
    ends 0 status redis
    tells '^  status: Ready to accept connections$'
    must "one that does not say so serves" wait_until 20 pong "$T/mute"
    gets mute "$STARTING"
    comes_and_goes redis
    must "it said that it stops" logged "redis: says: Ready to accept connections" 2
    ends 0 events
    tells 'redis: stopping'
}
in_modes "pid1 subreaper user" "redis: READY, STATUS and STOPPING" with_daemons redis

# ---- haproxy ----
haproxy_config() { # ANSWER
    cat >"$T/haproxy.cfg" <<EOF
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend front
    bind unix@$T/haproxy
    http-request return status 200 content-type text/plain string $1
EOF
}
haproxy_says() { # ANSWER
    "$PYTHON" -BES - "$T/haproxy" 2>/dev/null <<'EOF' | grep -qx "$1"
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect(sys.argv[1])
s.sendall(b"GET / HTTP/1.0\r\n\r\n")
print(b"".join(iter(lambda: s.recv(4096), b"")).decode().split("\r\n")[-1])
EOF
}
# To the first process alone: a worker just forked has no handler yet, and would die of it.
HAPROXY_KEYS='reload { signal = USR2 } stop { signal = USR1 to = main grace = "20s" }'
haproxy() {
    absent haproxy || lacks "$PYTHON" && return
    haproxy_config morning
    daemon haproxy "$HAPROXY_KEYS" haproxy -Ws -f "$T/haproxy.cfg"
    begins_with haproxy || return
    must "ready means that it serves" haproxy_says morning
    gets haproxy '.reloading | not'
    local before reloads
    before=$(main_of haproxy)
    reloads=$(grep -cx 'tend: haproxy: reloaded' "$LOG")
    haproxy_config evening
    ends 0 reload-service haproxy
    must "it tells that it has reloaded" wait_until 20 logged "haproxy: reloaded" $((reloads + 1))
    must "it has" wait_until 20 haproxy_says evening
    gets haproxy "$READY and (.reloading | not)"
    must "the same process" test "$(main_of haproxy)" = "$before"
    comes_and_goes haproxy
}
in_modes "pid1 subreaper" "haproxy: RELOADING and READY with MAINPID" with_daemons haproxy
in_modes cgroup "haproxy: RELOADING and READY with MAINPID" with_daemons haproxy

# The shell is the first process, and says nothing; haproxy, its child, becomes the main one.
haproxy_below() {
    denied pidfd_open && return
    absent haproxy || lacks "$PYTHON" && return
    haproxy_config morning
    shell haproxy "$HAPROXY_KEYS" "$(type -P haproxy) -Ws -f $T/haproxy.cfg & wait"
    begins_with haproxy || return
    must "it is the main process" grep -q haproxy "/proc/$(outer "$(main_of haproxy)")/comm"
    haproxy_config evening
    ends 0 reload-service haproxy
    must "it gets the signal to reload" wait_until 20 haproxy_says evening
    gets haproxy "$READY"
    ends 0 stop --wait haproxy
    gets haproxy '.state == "down"'
}
in_modes "pid1 subreaper" "haproxy: below a shell, its MAINPID counts" with_daemons haproxy_below

# ---- unbound, rsyslog ----
unbound() {
    absent unbound && return
    cat >"$T/unbound.conf" <<EOF
server:
    directory: "$T"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    interface: 127.$((RANDOM % 255)).$((RANDOM % 255)).$((RANDOM % 254 + 1))@$((RANDOM % 10000 + 20000))
remote-control:
    control-enable: no
EOF
    daemon unbound '' unbound -d -c "$T/unbound.conf"
    begins_with unbound || return
    ends 0 reload-service unbound
    must "it tells that it reloads" wait_until 20 logged "unbound: reloading"
    must "and that it has" wait_until 20 logged "unbound: reloaded"
    gets unbound "$READY and (.reloading | not)"
    comes_and_goes unbound
}
in_modes subreaper "unbound: READY, RELOADING, STOPPING" with_daemons unbound

rsyslog() {
    absent rsyslogd && return
    lacks logger && return
    local modules
    modules=$(find "$TREE/root" -name lmnet.so -printf '%h\n' 2>/dev/null)
    cat >"$T/rsyslog.conf" <<EOF
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="$T/syslog")
*.* action(type="omfile" file="$T/messages" asyncWriting="off")
EOF
    daemon rsyslog '' rsyslogd -n -iNONE -f "$T/rsyslog.conf" ${modules:+-M "$modules"}
    begins_with rsyslog || return
    must "ready means that it takes messages" logger -u "$T/syslog" "hello from here"
    must "and writes them" wait_until 20 grep -q 'hello from here' "$T/messages"
    comes_and_goes rsyslog
}
in_modes subreaper "rsyslog: READY" with_daemons rsyslog

done_testing
