#!/bin/bash
# Loads, while files change, while others are asked for, during a shutdown, and without an end.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=reload.bash
. "$(dirname "$0")/reload.bash"
SCENES=load.py

# ---- F008, F046, F115: files that change ----
swapped() { # LAYOUT
    fresh
    aside
    rm -rf "$T/releases"
    mkdir -p "$T/releases/first"
    ln -s first "$T/releases/config"
    run_tend "$MODE" -c "$D/aside.conf" -c "$T/releases/config"
    must "start" wait_until 10 up a && must "reachable" wait_until 10 reachable || return
    rm "$T/releases/config"
    scene swapped "$1" "$T/releases" "$(full 1000 150)"
    must "all as before" test "$(count a start)" = 1
}
in_modes "pid1 subreaper" "F115 a link to a folder is changed while it is read: never a mix" swapped folder
in_modes "subreaper user" "F115 links to files through such a link: never a mix" swapped files

untrusted() {
    fresh
    aside
    begins a || return
    scene untrusted "$D" "$(full 1000 150)"
    must "all as before" test "$(count a start)" = 1
}
[ "$EUID" != 0 ] || in_modes "pid1 subreaper" "F115 what others may write, in a good file's place" untrusted

# ---- requests at once ----
requests() { # SCENE [ARGUMENT...]
    local scene=$1
    shift
    fresh
    aside
    begins a || return
    scene "$scene" "$TEND" "$D" "$@"
    must "it was let be" test "$(count a start)" = 1
}
in_modes "pid1 subreaper user" "plans and reloads at once: one reply to each" requests at_once
in_modes "pid1 subreaper" "who asks for a reload and vanishes" requests vanishes "$(full 1000 100)"

ends_loading() {
    requests until_shutdown
    must "tend ends" await_end 20
    must "status: $STATUS" test "$STATUS" = 0
}
in_modes "pid1 subreaper" "F020 a shutdown while the config is loaded: who waits is told" ends_loading

killed_loading() {
    requests tend_killed
    end_all 2>/dev/null # what was killed has not ended its services
}
run_case subreaper "F020 KILL to tend while the config is loaded: the loading process ends too" killed_loading

same_moment() {
    local i
    for ((i = 1; i <= $(full 50 6); i++)); do
        end_all
        fresh
        aside
        : >"$J"
        for name in b c d; do
            service "$name" '' on=TERM:exit:0 pause
        done
        service slow 'stop { drain = "500ms" }' on=TERM:exit:0 pause # tend lives until all have asked
        begins a b c d slow || return
        service late 'requires = {b}' on=TERM:exit:0 pause
        scene same_moment "$TEND" "$RANDOM"
        must "tend ends" await_end 20 || return
        must "status: $STATUS" test "$STATUS" = 0
        must "nobody is left" no_actors
        must "each starts once at most" test "$(count "" start)" -le 6
    done
}
in_modes "pid1 subreaper" "F020 reload, HUP and TERM in one moment" same_moment

dead_filesystem() {
    mkdir -p "$T/fs"
    "$BIN/hangfs" "$T/fs" "$T/flag.server" /bin/true 2>/dev/null || return
    kill -KILL "$(cat "$T/flag.server")"
    rm "$T/flag.server"
    no_leak_check
    WRAP+=("$BIN/hangfs" "$T/fs" "$T/flag.server")
}
hung() { # on a file system that has died, or else since it was stopped
    if dead_filesystem; then
        requests hung dead "$T/fs/x"
    else
        WRAP=()
        requests hung stopped
    fi
    must "who sent HUP is told" said 'nor for the reload that was asked for meanwhile'
}
run_case subreaper "F046 a load that does not go on is given up, and who waits is told" hung
[ "$(full 1 0)" = 0 ] || run_case subreaper "F046 the same of a load that was stopped" requests hung stopped

done_testing
