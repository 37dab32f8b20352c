# shellcheck shell=bash
# What the scripts about programs that nobody here wrote share: where these come from, and services
# of them. Comes after lib.sh, tendctl.bash and probes.bash.
# shellcheck disable=SC2016,SC2034,SC2153 # for jq; for the scripts; from lib.sh
cp "$BUILD/tests/teller" "$BIN/" || exit 1

READY='.state == "running" and .ready'
STARTING='.state == "starting" and (.ready | not)'

# ---- what is not installed is unpacked into a tree ----
TREE=$BUILD/daemons PACKAGES=() NONE=''
export PATH=$PATH:$TREE/root/usr/sbin:$TREE/root/usr/bin:$TREE/root/sbin:$TREE/root/bin:/usr/sbin:/sbin
found() { # PROGRAM: outside of the tree
    local path
    path=$(type -P "$1") && [[ $path != "$TREE"/* ]]
}
needs() { # PROGRAM PACKAGE
    found "$1" || PACKAGES+=("$2")
}
needs redis-server redis-server
needs haproxy haproxy
needs unbound unbound
needs rsyslogd rsyslog
needs systemd-notify systemd
needs s6-notifyoncheck s6
needs busybox busybox-static
needs runc runc
needs crun crun
needs podman podman
if [ ${#PACKAGES[@]} -gt 0 ]; then
    NONE=$("$(dirname "$0")/../helpers/fetch-packages" "$TREE" "${PACKAGES[@]}" | tail -n 1)
fi
LIBRARIES=$(cat "$TREE/libraries" 2>/dev/null)
absent() { # PROGRAM: the case is skipped
    LACKING="$1: ${NONE:-not in its package}"
    type -P "$1" >/dev/null || return 0
    # It need not do without what a filter denies: threads of the C library do not.
    LACKING="$1, for which EPERM is none of what may happen"
    [ "${TEND_TEST_DENY:-}" != EPERM ] || return 0
    LACKING=''
    return 1
}
tree_run() { # COMMAND...: with the libraries of the tree
    LD_LIBRARY_PATH=$LIBRARIES timeout -k 1 20 "$@" {NEVER}<&-
}

# ---- services ----
daemon() { # NAME KEYS COMMAND...
    local name=$1 keys=$2
    shift 2
    conf "service $name {" "    ready { on = notify timeout = \"40s\" } $keys" \
        "    environment = {\"LD_LIBRARY_PATH=$LIBRARIES\", \"OWNER=$T\"}" \
        "    command = {$(quoted "$(type -P "$1")" "${@:2}")}" "}"
}
teller() { # NAME KEYS STEP...
    local name=$1 keys=$2
    shift 2
    daemon "$name" "$keys" "$BIN/teller" "$J" "$name" "$@"
}
shell() { # NAME KEYS SCRIPT
    printf '%s\n' "$3" >"$T/script.$1"
    daemon "$1" "$2" /bin/sh "$T/script.$1"
}
ours() { # the pids of those services, also of an ended tend
    grep -lsaF "OWNER=$T" /proc/[0-9]*/environ | cut -d/ -f3
}
end_ours() {
    local pid
    for pid in $(ours); do
        kill -KILL "$pid" 2>/dev/null
    done
}
trap 'end_ours; leave' EXIT
with_daemons() { # FUNCTION [ARGUMENT...]: all of them end with tend
    lacks jq && return
    "$@"
    [ -n "$JOB" ] || return
    stop_tend
    must "nothing of them is left: $(ours | paste -sd' ')" wait_until 5 test -z "$(ours)"
    end_ours
}
begins_with() { # NAME...: tend, until these are ready
    run_tend "$MODE"
    must "it answers" wait_until 20 reachable || return
    all_ready "$@"
}
all_ready() { # NAME...
    local name
    for name; do
        must "$name is ready: $(client "$BIN/tendctl" --json status "$name" | tr -d ' \n')" \
            wait_until 40 service_has "$name" "$READY" || return
    done
}
main_of() { # NAME
    client "$BIN/tendctl" --json status "$1" | jq '.services[0].pid'
}
logged() { # TEXT [TIMES]: a line of the log is that
    [ "$(grep -cxF -- "tend: $1" "$LOG")" -ge "${2:-1}" ]
}
# A restart is another process that says READY again; a stop is one that ends well by itself.
comes_and_goes() { # NAME
    local before
    before=$(main_of "$1")
    ends 0 restart --wait "$1"
    must "$1 is ready again" service_has "$1" "$READY"
    must "$1 is another process" test "$(main_of "$1")" != "$before"
    ends 0 stop --wait "$1"
    gets "$1" '.state == "down" and .exit == 0 and .killed_by == null'
    must "no KILL for $1" not said "$1: .*KILL"
}
