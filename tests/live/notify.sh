#!/bin/bash
# What services say by sd_notify(3): what it means, in which life, and where they say it.
# shellcheck disable=SC2016,SC2119 # for jq; without arguments
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"
# shellcheck source=probes.bash
. "$(dirname "$0")/probes.bash"
# shellcheck source=notify.bash
. "$(dirname "$0")/notify.bash"

AGAIN='restart { delay = "10ms" max_delay = "10ms" limit = 0 }'
ON='ready { on = notify }'

# ---- READY ----
ready_told() {
    lacks jq && return
    service s "$ON" 'notify=READY=0|READY=1' 'notify=READY=yes' 'notify=READY' 'notify=ready=1' \
        'notify=STATUS=READY=1' "await=$T/flag.go" 'notify=STATUS=well|READY=1|SOMETHING=else' $END pause
    service dep 'requires = {s}' $END pause
    service free '' $END pause
    begins free || return
    must "it has said what is no READY" wait_until 10 seen s notified 5 || return
    nap 0.3
    must "it starts" service_has s "$STARTING"
    gets dep '.state == "pending" and .waits_for == "s"'
    must "nobody who needs it starts" never dep start
    touch "$T/flag.go"
    must "then they do" wait_until 20 up dep || return
    must "after it" test "$(at dep start)" -ge "$(at s "notified" 5)"
    gets s "$READY and .status == \"well\""
    must "ready once" test "$(times_ready s)" = 1
    ends 0 restart --wait s
    must "twice in two lives" test "$(times_ready s)" = 2
}
in_modes "pid1 subreaper user" "READY: it is ready, and who needs it starts then" ready_told

# A child may say it; what before_start says is of no life.
ready_by_child() {
    lacks jq && return
    service s "$ON before_start = $(actor before "notify=READY=1|STATUS=early" exit=0)" \
        fork=kid "await=$T/flag.go" 'notify=READY=1' pause end $END pause
    service only 'ready { on = notify } notify { access = main }' \
        fork=other 'notify=READY=1' pause end "await=$T/flag.go" 'notify=READY=1' $END pause
    service mute 'notify { access = none } environment = {"NOTIFY_SOCKET=/none"}' facts $END pause
    service plain '' facts $END pause
    begins mute plain s || return
    must "a child speaks" wait_until 10 seen other notified || return
    must "its reader" wait_until 10 said 'only: a message of pid [0-9]+ is passed over: .*not the main'
    must "before it starts something else has said so" seen before notified
    nap 0.2
    must "who spoke before it counts for nothing" service_has s "$STARTING"
    must "nor one that may not" service_has only "$STARTING"
    touch "$T/flag.go"
    gets s "$READY"
    gets only "$READY"
    told_once 'only: a message'
    must "nothing is passed over of one where all may" not said ' s: a message'
    must "who does not want it has none" test "$(env_facts plain NOTIFY_SOCKET)" = 0
    must "or what was written" seen mute "fact env NOTIFY_SOCKET=/none"
    must "no other" test "$(env_facts mute NOTIFY_SOCKET)" = 1
    must "and no socket" test ! -e "$(address plain)" -a ! -e "$(address mute)"
}
in_modes "pid1 subreaper user" "notify.access: all, main, none" ready_by_child

# ---- STATUS, ERRNO, EXIT_STATUS ----
status_told() {
    lacks jq && return
    service s 'notify { access = all }' "notify=STATUS=1 of 3" "await=$T/flag.1" "notify=STATUS=1 of 3" \
        'notify=STATUS=%x1b[2Jred%x07%x5c%xc2%x9bh%xff' "await=$T/flag.2" 'notify=STATUS=Größe 5 µm – ✓' \
        "await=$T/flag.3" "notify=STATUS=$(printf 'ä%.0s' {1..400})" "await=$T/flag.4" 'notify=STATUS=' $END pause
    is_there s || return
    gets s '.status == "1 of 3"'
    touch "$T/flag.1"
    gets s '.status == "\\x1b[2Jred\\x07\\x5c\\xc2\\x9bh\\xff"'
    ends 0 status s
    must "no escape comes to a terminal" not grep -q $'[\x1b\x07]' "$TOLD" "$LOG"
    touch "$T/flag.2"
    gets s '.status == "Größe 5 µm – ✓"'
    must "it is in the log" said 's: says: Größe 5 µm – ✓'
    touch "$T/flag.3"
    gets s '.status | test("^ä{120,128}([.]{3})?$")'
    touch "$T/flag.4"
    gets s '.status == null'
    told_once 's: says: 1 of 3'
    must "each change is an event: $(tend_events s 'select(.kind == "status") | .what' | wc -l)" \
        test "$(tend_events s 'select(.kind == "status") | .what' | wc -l)" = 5
    must "it lives" all_alive s
}
in_modes "pid1 subreaper user" "STATUS: shown as text, and told where it changes" status_told

status_flood() {
    lacks jq && return
    local i many=()
    for ((i = 1; i <= 300; i++)); do
        many+=("notify=STATUS=step $i")
    done
    service s 'notify { access = all }' "${many[@]}" $END pause
    service other '' $END pause
    begins s other || return
    gets s '.status == "step 300"'
    must "not all in the log: $(lines 's: says: step')" test "$(lines 's: says: step')" -le 60
    must "some are: $(lines 's: says: step')" test "$(lines 's: says: step')" -ge 1
    must "the others are not touched" all_alive other
}
in_modes "subreaper user" "STATUS: 300 changes are not 300 lines" status_flood

numbers_told() {
    lacks jq && return
    service s 'notify { access = all }' 'notify=ERRNO=111|EXIT_STATUS=7' "await=$T/flag.1" 'notify=ERRNO=0' $END pause
    is_there s || return
    gets s '.notify_errno == 111'
    must "in words" said 's: .*errno 111 \(Connection refused\)'
    must "the other too" said 's: .*exit status 7'
    touch "$T/flag.1"
    gets s '.notify_errno == null'
    must "it lives" service_has s "$READY"
}
in_modes "pid1 user" "ERRNO and EXIT_STATUS: shown, no more" numbers_told

reloading_told() {
    lacks jq && return
    service s "$ON" 'notify=READY=1' "await=$T/flag.1" 'notify=RELOADING=1|MONOTONIC_USEC=123' "await=$T/flag.2" \
        'notify=READY=1' "await=$T/flag.3" 'notify=RELOADING=1' exit=1
    run_tend "$MODE"
    gets s "$READY and (.reloading | not)"
    touch "$T/flag.1"
    gets s "$READY and .reloading"
    touch "$T/flag.2"
    gets s "$READY and (.reloading | not)"
    must "told" test "$(tend_events s 'select(.kind == "notify") | .what' | tr '\n' ' ')" = 'reloading reloaded '
    must "ready once" test "$(times_ready s)" = 1
}
in_modes "pid1 user" "RELOADING: shown until READY" reloading_told

# ---- BARRIER, FDSTORE ----
along_told() {
    lacks jq && return
    local before
    service s "$ON" "await=$T/flag.1" along=BARRIER=1 'along=FDSTORE=1|FDNAME=x|STATUS=kept' 'along=FDSTORE=1|READY=1' \
        'along=' 'along=nothing' $END pause
    service other '' $END pause
    begins other || return
    gets s "$STARTING"
    before=$(fds_of "$TEND")
    touch "$T/flag.1"
    must "all were sent" wait_until 20 up s || return
    must "each descriptor is closed" test "$(count s closed)" = 5
    gets s "$READY and .status == \"kept\""
    told_once 's: a message .*FDSTORE'
    must "tend has none of them" test "$(fds_of "$TEND")" = "$before"
}
in_modes "pid1 subreaper user" "BARRIER, FDSTORE: what comes along is closed, and the rest counts" along_told

# ---- F064, F097 ----
f064() {
    local i rounds record=$T/flag.record user='user = nobody'
    [ "$MODE" != user ] || user=''
    rounds=$(full 5000 300)
    for i in {1..10}; do
        service "s$i" "$ON $user $AGAIN" first notify=READY=1 exit=0
    done
    run_tend "$MODE" -c "$CONF" --record "$record"
    must "they start again and again" wait_until 100 seen '' start "$rounds"
    kill -TERM "$TEND"
    must "it ends" await_end 20
    sed -i '/kind=shutdown/,$d' "$record"
    must "all lives are in the record" test "$(grep -c 'kind=forked' "$record")" -ge $((rounds - 10))
    must "each that ended was ready before" not grep -qE 'kind=state .*from=starting to=[^r]' "$record"
    must "and was so: $(grep -c 'from=running .*event=exited' "$record")" \
        test "$(grep -c 'from=running .*event=exited' "$record")" -ge $((rounds - 20))
}
in_modes "pid1 subreaper user" "F064, F097 the first act of a command is to say READY, the second to exit" f064

# More than is read at once, and its exit, all at the same time
last_words() {
    lacks jq || no_long_queue && return
    service s "$ON restart { policy = never }" "await=$T/flag.go" "${MANY[@]}" 'notify=READY=1|STATUS=last' exit=0
    service other '' $END pause
    begins other || return
    kill -STOP "$TEND"
    touch "$T/flag.go"
    must "all is said" wait_until 20 seen s "exit 0"
    must "there is room for it" test "$(count s notified)" = 41
    kill -CONT "$TEND"
    gets s '.state == "done"'
    must "it was ready before: $(tend_events s .to | tr '\n' ' ')" test "$(times_ready s)" = 1
    must "all is heard" test "$(tend_events s 'select(.kind == "status") | .what' | tr '\n' ' ')" = 'old last '
}
in_modes "pid1 subreaper" "F097 much is said just before it exits, and READY last" last_words

# ---- F065: what was said is of one life ----
second_life() {
    lacks jq && return
    service s "$ON $AGAIN" "unless=$T/flag.1" "touch=$T/flag.1" 'notify=READY=1|STATUS=first|ERRNO=5' notify=RELOADING=1 \
        "await=$T/flag.crash" kill=SEGV end "await=$T/flag.ready" notify=READY=1 $END pause
    is_there s || return
    gets s "$READY and .status == \"first\" and .reloading and .notify_errno == 5"
    touch "$T/flag.crash"
    must "it lives again" lives s 2 || return
    nap 0.3
    must "nothing is left of the first: $(client "$BIN/tendctl" --json status s)" \
        service_has s "$STARTING and .status == null and (.reloading | not) and .notify_errno == null"
    touch "$T/flag.ready"
    gets s "$READY"
}
in_modes "pid1 subreaper user" "F065 nothing that it said counts in its next life" second_life

orphaned() {
    lacks jq && return
    service s "$ON restart { delay = \"300ms\" max_delay = \"300ms\" limit = 0 }" "unless=$T/flag.1" "touch=$T/flag.1" \
        fork=kid setsid "await=$T/flag.dead" notify=READY=1 notify=STATUS=old pause end "await=$T/flag.crash" exit=1 end $END pause
    run_tend "$MODE"
    must "start" wait_until 10 seen kid start || return
    gets s "$STARTING"
    touch "$T/flag.crash"
    must "it dies" wait_until 10 seen s 'exit' || return
    touch "$T/flag.dead"
    must "another one lives" lives s 2
    must "not ready" service_has s "$STARTING and .status == null"
    nap 0.3
    must "nor later" service_has s "$STARTING and .status == null"
}
in_modes "pid1 subreaper user" "F065 what a child says after the death of its main process" orphaned

# More than is read at once waits there, of somebody who is gone, when its next life begins.
unread() {
    lacks jq || no_long_queue && return
    service s "$ON restart { delay = \"700ms\" max_delay = \"700ms\" limit = 0 }" "unless=$T/flag.1" "touch=$T/flag.1" \
        daemon=old "await=$T/flag.go" "${MANY[@]}" "${MANY[@]/STATUS=old/READY=1}" exit=0 end exit=1 end $END pause
    is_there old || return
    must "it died" wait_until 10 state s backoff || return
    kill -STOP "$TEND"
    touch "$T/flag.go"
    must "all is said" wait_until 20 seen old "exit 0" || return
    must "there is room for it" test "$(count old notified)" = 80
    nap 0.7
    kill -CONT "$TEND"
    must "it lives again" lives s 2
    nap 0.3
    must "nothing of that is of this life: $(client "$BIN/tendctl" --json status s)" service_has s "$STARTING and .status == null"
}
in_modes "pid1 subreaper" "F065 what waits in the socket when the next life begins" unread

# It has left its service before anybody could see that it belongs there.
escaped() {
    lacks jq && return
    service s "$ON restart { delay = \"300ms\" max_delay = \"300ms\" limit = 0 }" "unless=$T/flag.1" "touch=$T/flag.1" \
        daemon=old "await=$T/flag.go" 'notify=READY=1' "notify=STOPPING=1|MAINPID=%p" "${NOTE[@]}" "touch=$T/flag.said" pause end exit=1 end $END pause
    run_tend "$MODE"
    must "it lives again" wait_until 20 seen s up || return
    must "who escaped lives" all_alive old || return
    touch "$T/flag.go"
    must "it has spoken" wait_until 10 test -e "$T/flag.said"
    must "it is told" wait_until 10 said 's: a message of pid [0-9]+ is passed over: .*older than this life'
    must "it is not ready" service_has s "$STARTING"
    told_once 's: a message'
    must "its pid is another" service_has s ".pid == $(pid_of s)"
}
in_modes "pid1 subreaper user" "F065 an old process that escaped speaks in the next life" escaped

# ---- where they say it ----
sockets_made() {
    lacks jq && return
    local user='user = nobody' uid=65534
    [ "$MODE" = user ] && user=''
    service s "$ON $user" "await=$T/flag.1" notify=READY=1 "touch=$T/flag.said" "await=$T/flag.2" notify=READY=1 facts $END pause
    service gone "$ON" notify=READY=1 $END pause
    service dep 'requires = {s}' $END pause
    begins gone || return
    must "it starts" wait_until 10 seen s start || return
    must "the address that it is told: $(address_told s)" test "$(address_told s)" = "$(address s)"
    must "it alone may write: $(stat -c '%F %a %u' "$(address s)")" test "$(stat -c '%F %a %u' "$(address s)")" = "socket 600 $uid"
    must "others may pass: $(stat -c '%a' "$RUN/notify")" test "$(stat -c '%a' "$RUN/notify")" = 711
    rm "$(address s)"
    touch "$T/flag.1"
    must "nobody is there" wait_until 10 seen s "notify refused 2"
    must "not ready" service_has s "$STARTING"
    kill -USR1 "$TEND"
    must "made anew" wait_until 10 test -S "$(address s)"
    must "for it: $(stat -c '%F %a %u' "$(address s)")" test "$(stat -c '%F %a %u' "$(address s)")" = "socket 600 $uid"
    touch "$T/flag.2"
    gets s "$READY"
    must "who needs it starts" wait_until 10 up dep
    # As the config is another one.
    must "there" test -S "$(address gone)"
    : >"$CONF"
    service s "$user notify { access = none }" facts $END pause
    ends 0 reload
    must "its socket goes with it" wait_until 10 test ! -e "$(address gone)"
    must "and that of who wants none any more" wait_until 10 test ! -e "$(address s)"
    must "it lives" lives s 2
    must "and has none" test "$(env_facts s NOTIFY_SOCKET)" = 1
}
in_modes "pid1 subreaper user" "the socket: whose it is, deleted, no longer wanted" sockets_made

# A path of this length has no room in an address of a socket.
no_path() { # RUNTIME
    local name address user='user = nobody'
    [ "$MODE" = user ] && user=''
    name=a-name-of-some-length-that-a-service-may-have
    export TEND_RUNTIME=$1
    service $name "$ON $user" notify=READY=1 facts $END pause
    service dep "requires = {$name}" $END pause
    run_tend "$MODE"
    must "who needs it starts" wait_until 20 up dep || return
    must "it has spoken" seen $name notified
    address=$(address_told $name)
    must "at a name in no directory: $address" test "${address:0:1}" = @
    must "that nobody guesses" grep -qE "^@tend-[0-9]+-$name-[0-9a-f]{16}$" <<<"$address"
}
too_long() {
    no_path "$T/run.$MODE-$(printf 'x%.0s' {1..40})"
}
no_directory() {
    touch "$T/flag.file"
    no_path "$T/flag.file/run"
}
in_modes "pid1 subreaper user" "a runtime directory whose path is too long" too_long
in_modes "pid1 subreaper user" "no runtime directory" no_directory

# ---- the answer to a reload ----
answered() {
    lacks jq && return
    service s "$ON reload { on = notify command_timeout = \"60s\" }" "${NOTE[@]}" notify=READY=1 "await=$T/flag.1" \
        'notify=RELOADING=1|MONOTONIC_USEC=1|STATUS=old' notify=READY=1 "await=$T/flag.2" notify=RELOADING=1 \
        "await=$T/flag.3" notify=READY=1 pause
    service mute "$ON reload { on = notify command_timeout = \"300ms\" }" "${NOTE[@]}" notify=READY=1 pause
    is_there s mute || return
    gets s "$READY"
    gets mute "$READY"
    goes answer reload-service --wait s
    must "it is asked" wait_until 20 tend_sent HUP s
    touch "$T/flag.1"
    gets s '.status == "old" and (.reloading | not)'
    must "an answer from before it was asked is none" still_goes answer
    ends 71 reload-service s
    complains 'not over yet'
    touch "$T/flag.2"
    gets s .reloading
    must "that is its beginning" still_goes answer
    touch "$T/flag.3"
    comes answer 0
    ends 1 reload-service --wait mute
    must "it is told" said 'mute: has not answered in time'
    must "and runs on" service_has mute "$READY"
    must "in one life" test "$(count mute start)" = 1
}
tend_sent() { # SIGNAL NAME
    test -n "$(tend_events "$2" "select(.kind == \"signal\" and .signal == \"$1\") | .signal")"
}
in_modes "pid1 user" "reload.on = notify: RELOADING and READY are waited for, in time" answered

# What a dead tend left is in nobody's way.
left_over() {
    lacks jq && return
    service s "$ON" notify=READY=1 $END pause
    begins s || return
    end_all 2>/dev/null
    must "its socket stays" test -S "$(address s)"
    run_tend "$MODE"
    must "another one" wait_until 10 seen s up 2
    gets s "$READY"
    stop_tend
    must "goes with tend" test ! -e "$(address s)"
}
in_modes "subreaper user" "a socket that a dead tend left" left_over

done_testing
