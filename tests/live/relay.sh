#!/bin/bash
# As PID 1 of a container whose runtime passes on to NOTIFY_SOCKET what tend says: runc, crun, podman.
# shellcheck disable=SC2016 # for jq and for sh -c
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"
# shellcheck source=probes.bash
. "$(dirname "$0")/probes.bash"
# shellcheck source=daemons.bash
. "$(dirname "$0")/daemons.bash"

# ---- container runtimes ----
BUNDLE=$T/bundle NAME=${T##*/}
OCI=(--root "$T/containers")
PODMAN=(podman --root "$T/containers" --runroot "$T/podman" --tmpdir "$T/podman.tmp" --storage-driver vfs
    --conmon "$(type -P conmon)" --cgroup-manager cgroupfs --events-backend file --runtime runc)
BARE=(run -d --name "$NAME" --sdnotify container --network none --pids-limit 0 --ulimit nofile=1024:1024
    --ulimit nproc=1024:1024 --log-driver none --env TEND_RUNTIME=/state --env ASAN_OPTIONS=detect_leaks=0
    --rootfs "$BUNDLE/rootfs")
with_podman() {
    [ "${RUNTIME[0]}" = podman ]
}
runtime() { # WORD...
    local whole=("${RUNTIME[@]}" "${OCI[@]}")
    ! with_podman || whole=("${PODMAN[@]}")
    tree_run env -u NOTIFY_SOCKET ${NOTIFY:+"NOTIFY_SOCKET=$NOTIFY"} "${whole[@]}" "$@" </dev/null
}
runs() { # PROGRAM: as PID 1 of the container
    if with_podman; then
        runtime "${BARE[@]}" "$1"
        return
    fi
    rm -f "$BUNDLE/config.json"
    (
        cd "$BUNDLE" && NOTIFY='' runtime spec || exit
        jq '.process.args = $ARGS.positional | .process.terminal = false | .root.readonly = false
            | .process.env += ["TEND_RUNTIME=/state", "ASAN_OPTIONS=detect_leaks=0"] | del(.linux.resources)' \
            --args "$1" <config.json >config.new && mv config.new config.json && runtime run "$NAME"
    )
}
removed() { # the container, whatever has become of it
    local remove=(delete -f "$NAME")
    ! with_podman || remove=(rm -f "$NAME")
    NOTIFY='' runtime "${remove[@]}" >/dev/null 2>&1
}
root() { # the folder that becomes the container's
    local library root=$BUNDLE/rootfs
    mkdir -p "$root/bin" "$root/etc/tend" "$root/run"
    rm -rf "$root/go" "$root/state"
    cp "$BIN/tend" "$root/bin/"
    cp "$(type -P busybox)" "$root/bin/busybox"
    ln -sf busybox "$root/bin/true"
    ldd "$BIN/tend" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$root${library%/*}" && cp -L "$library" "$root$library"
    done
    cat >"$root/etc/tend/tend.conf" <<'EOF'
service web {
    command = {"/bin/busybox", "sleep", "1000"}
    ready   { command = {"/bin/busybox", "test", "-e", "/go"}  every = "50ms" }
    stop    { signal = KILL }
}
EOF
}
ends_well() { # the container, told to
    if with_podman; then
        NOTIFY='' runtime stop -t 15 "$NAME" && [ "$(NOTIFY='' runtime wait "$NAME")" = 0 ]
        return
    fi
    NOTIFY='' runtime kill "$NAME" TERM && wait "$CONTAINER"
}
# READY goes through, and is not there before; nothing else that tend says comes out.
CONTAINER='' NOTIFY=''
relayed() { # REGEX: of what comes out
    local heard=$T/flag.heard receiver strange
    "$PYTHON" -BES "$(dirname "$0")/upward.py" "$T/flag.notify" "$heard" {NEVER}<&- &
    receiver=$!
    must "a receiver" wait_until 20 test -e "$heard"
    NOTIFY=$T/flag.notify runs /bin/tend >>"$OUT" 2>>"$LOG" &
    CONTAINER=$!
    must "tend is PID 1" wait_until 20 test -e "$BUNDLE/rootfs/state/control"
    nap 0.3
    must "not ready yet: $(cat "$heard")" not grep -q READY "$heard"
    touch "$BUNDLE/rootfs/go"
    must "ready: $(cat "$heard")" wait_until 20 grep -q ' READY=1$' "$heard"
    must "it ends with 0 when it is told to" ends_well
    strange=$(cut -d' ' -f4- "$heard" | grep -vE "^($1)?\$")
    must "nothing else comes out: $strange" test -z "$strange"
    must "READY once" test "$(grep -c ' READY=1$' "$heard")" = 1
    kill -KILL "$receiver"
    wait "$receiver" 2>/dev/null
}
relay() { # PROGRAM REGEX
    absent "$1" || absent busybox || lacks jq || lacks "$PYTHON" && return
    [ "$EUID" = 0 ] || {
        LACKING="root for $1"
        return
    }
    local why
    root
    if why=$(runs /bin/true 2>&1); then
        removed
        relayed "$2"
    else
        LACKING="$1 to run here: $(tail -n 1 <<<"$why")"
    fi
    removed
}
trap 'end_ours; [ ! -d "$BUNDLE" ] || removed; leave' EXIT
RUNTIME=(runc)
run_case subreaper "runc: READY is relayed when all are ready" relay runc 'READY=1|MAINPID=[0-9]+'
# It refuses to see control groups of both kinds, which it need not see.
RUNTIME=(unshare -m sh -c 'mount --make-rprivate /; umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' sh
    crun --cgroup-manager=disabled)
run_case subreaper "crun: READY is relayed when all are ready" relay crun 'READY=1|BARRIER=1'
# shellcheck disable=SC2034 # it is used
RUNTIME=(podman)
run_case subreaper "podman: READY is relayed when all are ready" relay podman 'READY=1|MAINPID=[0-9]+'

done_testing
