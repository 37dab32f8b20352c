#!/bin/bash
# Against tools that nobody here wrote: systemd-notify, libsystemd's functions, s6-notifyoncheck.
# shellcheck disable=SC2016 # for sh -c
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"
# shellcheck source=probes.bash
. "$(dirname "$0")/probes.bash"
# shellcheck source=daemons.bash
. "$(dirname "$0")/daemons.bash"

# ---- systemd-notify ----
# It waits for tend to close its descriptor (BARRIER=1), unless told not to: its status is noted.
AWAIT='n() { systemd-notify "$@"; echo "$*: $?" >>'"$T/notified"'; }
    await() { until [ -e '"$T"'/flag.$1 ]; do sleep 0.02; done; }
'
notified() { # WORDS: it ended with 0
    wait_until 20 grep -qxF -- "$1: 0" "$T/notified"
}
notify_all() {
    absent systemd-notify && return
    : >"$T/notified"
    chmod 666 "$T/notified"
    shell web '' "$AWAIT"'n --status="3 of 5 loaded"; await ready; n --ready
        await reload; n RELOADING=1 MONOTONIC_USEC=1; await again; n --ready --status="all loaded"
        await errno; n --no-block ERRNO=111; await booted; n WATCHDOG=1 X_UNKNOWN=1
        await stop; n STOPPING=1; await end'
    run_tend "$MODE"
    must "its status comes" wait_until 20 service_has web '.status == "3 of 5 loaded"'
    must "the barrier is opened" notified --status=3\ of\ 5\ loaded
    gets web "$STARTING"
    touch "$T/flag.ready"
    gets web "$READY and .status == \"3 of 5 loaded\""
    touch "$T/flag.reload"
    gets web '.reloading and .ready'
    touch "$T/flag.again"
    gets web '(.reloading | not) and .ready and .status == "all loaded"'
    touch "$T/flag.errno"
    gets web '.notify_errno == 111'
    touch "$T/flag.booted"
    must "unknown words do no harm" notified 'WATCHDOG=1 X_UNKNOWN=1'
    touch "$T/flag.stop"
    must "it tells that it stops" notified STOPPING=1
    gets web '.state == "stopping"'
    touch "$T/flag.end"
    must "it ends" wait_until 20 not service_has web '.state == "stopping"'
    must "each was heard: $(grep -v ': 0$' "$T/notified")" not grep -v ': 0$' "$T/notified"
}
in_modes "pid1 subreaper user" "systemd-notify: --status, --ready, --no-block, and what else can be said" \
    with_daemons notify_all

# Newer ones have options for it.
notify_newer() {
    absent systemd-notify && return
    if ! systemd-notify --help | grep -q -- --stopping; then
        LACKING="a systemd-notify that has --reloading and --stopping"
        return
    fi
    : >"$T/notified"
    shell web '' "$AWAIT"'n --ready; await reload; n --reloading; await again; n --ready; await stop; n --stopping; await end'
    begins_with web || return
    touch "$T/flag.reload"
    gets web '.reloading'
    touch "$T/flag.again"
    gets web '(.reloading | not) and .ready'
    touch "$T/flag.stop"
    gets web '.state == "stopping"'
}
in_modes subreaper "systemd-notify: --reloading, --stopping" with_daemons notify_newer

# --pid: its parent, the shell in the background, becomes the main process.
notify_pid() {
    denied pidfd_open && return
    absent systemd-notify && return
    shell parent '' '(systemd-notify --ready --pid; while :; do sleep 1; done) & wait'
    shell given '' 'sleep 1000 & systemd-notify --ready --pid=$!; wait'
    shell strange '' 'systemd-notify --ready MAINPID=1; exec sleep 1000'
    begins_with parent given strange || return
    must "one that is given" grep -qx sleep "/proc/$(outer "$(main_of given)")/comm"
    must "none that is not its own" grep -qx sleep "/proc/$(outer "$(main_of strange)")/comm"
    local first
    first=$(main_of given)
    inside kill -KILL "$first"
    must "its death is the service's" wait_until 20 service_has given '.restarts == 1'
    all_ready given
    must "it is told" said 'parent: main process is'
}
in_modes "pid1 subreaper" "systemd-notify: --pid" with_daemons notify_pid

# Another user has no say, whether the kernel or tend says no.
notify_other() {
    absent systemd-notify && return
    : >"$T/notified"
    shell web '' "$AWAIT"'n --uid=daemon --ready --status=forged; touch '"$T"'/flag.tried; await ready; n --ready
        exec sleep 1000'
    run_tend "$MODE"
    must "it was tried" wait_until 20 test -e "$T/flag.tried" || return
    gets web "$STARTING and .status == null"
    touch "$T/flag.ready"
    all_ready web
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "systemd-notify: --uid, as somebody else" with_daemons notify_other
fi

# ---- libsystemd ----
library() {
    teller web '' say='READY=1|STATUS=up' barrier=20000 note=over along='FDSTORE=1|FDNAME=first' \
        along='STATUS=with a descriptor' watchdog note='done' pause
    begins_with web || return
    must "it has tried all" wait_until 30 seen web 'done' || return
    must "sd_notify" seen web 'say 1'
    must "sd_notify_barrier" seen web 'barrier 1'
    must "sd_pid_notify_with_fds" seen web 'along 1' 2
    must "tend keeps none" seen web closed 2
    must "none at all" never web kept
    must "it is told" said 'web: .*(FDSTORE|descriptor|fd)'
    must "no watchdog" seen web 'watchdog 0 0'
    gets web "$READY and .status == \"with a descriptor\""
}
in_modes "pid1 subreaper user" "libsystemd: barrier, and no descriptor is kept" with_daemons library

last_words() {
    teller web 'restart { policy = always delay = "300ms" }' say='READY=1|STATUS=goodbye' exit=3
    run_tend "$MODE"
    must "it was ready" wait_until 20 said 'web: ready'
    must "its last word is told" wait_until 5 said 'web: says: goodbye'
    must "it comes again" wait_until 20 seen web start 2
}
in_modes "pid1 subreaper" "libsystemd: what is said just before the end counts" with_daemons last_words

watchdog() {
    teller fed 'watchdog = "600ms"' say=READY=1 watchdog feed=100
    teller silent 'watchdog = "600ms" restart { delay = "10ms" }' say=READY=1 watchdog pause
    teller trigger 'restart { delay = "10ms" } watchdog = "1h"' say=READY=1 sleep=100 say=WATCHDOG=trigger pause
    begins_with fed || return
    must "sd_watchdog_enabled" seen fed 'watchdog 1 600000'
    must "who is silent is started anew" wait_until 20 seen silent start 3
    must "the cause" died_of silent watchdog
    must "who asks for it, too" wait_until 20 seen trigger start 2
    must "the cause" died_of trigger watchdog
    gets fed "$READY and .restarts == 0 and .watchdog_ms == 600"
}
in_modes "pid1 subreaper" "libsystemd: sd_watchdog_enabled" with_daemons watchdog

# ---- s6 ----
# It asks s6-supervise's lock and folder for its leave, so there is one beside it.
s6() {
    absent s6-notifyoncheck || absent s6-supervise && return
    local folder=$T/s6.$MODE
    mkdir -p "$folder/data"
    touch "$folder/down"
    printf '#!/bin/sh\nexit 0\n' >"$folder/run"
    printf '#!/bin/sh\ntest -e %s\n' "$T/flag.check" >"$folder/data/check"
    chmod 755 "$folder" "$folder/run" "$folder/data/check"
    [ "$MODE" != user ] || chown -R 65534 "$folder"
    local notify
    notify="{$(quoted "$(type -P s6-notifyoncheck)" -3 3 -n 1000 -w 50 -t 5000 "$BIN/actor" "$J" web on=TERM:exit:0 pause)}"
    conf "service beside {" \
        "    environment = {\"LD_LIBRARY_PATH=$LIBRARIES\", \"OWNER=$T\"}" \
        "    command = {$(quoted "$(type -P s6-supervise)" "$folder")}" \
        "    ready { command = {\"/bin/sh\", \"-c\", \"test -p $folder/supervise/control\"} }" "}"
    conf "service web {" "    requires = {beside} directory = \"$folder\" ready { on = fd fd = 3 }" \
        "    environment = {\"LD_LIBRARY_PATH=$LIBRARIES\", \"OWNER=$T\"}" "    command = $notify" "}"
    run_tend "$MODE"
    must "it runs" wait_until 20 up web || return
    nap 0.3
    gets web "$STARTING"
    touch "$T/flag.check"
    all_ready web
    must "no descriptor stays" not test -e "/proc/$(outer "$(pid_of web)")/fd/3"
}
in_modes "pid1 subreaper user" "s6-notifyoncheck: by a descriptor" with_daemons s6

done_testing
