#!/bin/bash
# MAINPID: a service names another of its processes as its main one.
# shellcheck disable=SC2016,SC2119 # for jq; without arguments
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"
# shellcheck source=probes.bash
. "$(dirname "$0")/probes.bash"
# shellcheck source=notify.bash
. "$(dirname "$0")/notify.bash"

ON='ready { on = notify }'
ONCE='restart { policy = never }'
no_pidfd() { # by which the kernel lets a process be held that is no child
    lacks jq || denied pidfd_open || denied pidfd_send_signal
}
main_is() { # NAME OF: the main process of NAME is the one that plays OF
    gets "$1" "$READY and .pid == $(pid_of "$2")"
}
died_with() { # NAME FILTER: of its last death
    client "$BIN/tendctl" --json history "$1" | jq -e ".deaths[-1] | $2"
}

# ---- whose end is that of the service ----
# The parent goes: the child becomes ours, and how it ends is known.
parent_exits() {
    no_pidfd && return
    service s "$ON $ONCE" fork=kid "${NOTE[@]}" "await=$T/flag.end" exit=7 end 'notify=MAINPID=%c|READY=1' "await=$T/flag.go" exit=0
    service dep 'requires = {s}' $END pause
    service other '' $END pause
    begins dep other || return
    main_is s kid
    touch "$T/flag.go"
    must "its parent ends" wait_until 10 seen s "exit 0"
    must "and is gone" wait_until 10 gone "$(pid_of s)"
    must "nobody waits to be collected" wait_until 5 no_zombies
    nap 0.2
    must "it stays" service_has s "$READY and .pid == $(pid_of kid)"
    must "nobody has told it to end" never kid got
    ends 0 signal USR1 s
    must "signals go to it" wait_until 10 seen kid "got USR1"
    touch "$T/flag.end"
    gets s '.state == "failed" and .exit == 7'
    must "as it was: $(client "$BIN/tendctl" --json history s)" died_with s ".exit == 7 and .pid == $(pid_of kid)"
    must "one death" test "$(client "$BIN/tendctl" --json history s | jq '.deaths | length')" = 1
}
in_modes "pid1 subreaper user" "a parent names its child and ends; the child's end is that of the service" parent_exits

# At the same time: what it said just before its end counts.
last_words() {
    no_pidfd && return
    local i
    for i in {1..20}; do
        service "s$i" "$ON" "fork=kid$i" $END pause end first 'notify=MAINPID=%c|READY=1' exit=0
    done
    sed -i 's/"first", //' "$CONF"
    begins kid{1..20} || return
    for i in {1..20}; do
        must "its parent ends" wait_until 10 seen "s$i" 'exit 0'
        main_is "s$i" "kid$i"
        must "one life" test "$(count "s$i" start)" = 1
    done
}
in_modes "pid1 subreaper user" "a parent names its child and ends at once" last_words

# The name comes last of much that waits when its death is seen.
last_of_many() {
    no_pidfd || no_long_queue && return
    service s "$ON" fork=kid $END pause end "await=$T/flag.go" "${MANY[@]}" 'notify=MAINPID=%c|READY=1' exit=0
    service other '' $END pause
    begins other kid || return
    kill -STOP "$TEND"
    touch "$T/flag.go"
    must "all is said" wait_until 20 seen s "exit 0"
    must "there is room for it" test "$(count s notified)" = 41
    kill -CONT "$TEND"
    main_is s kid
    must "its parent is gone" wait_until 10 gone "$(pid_of s)"
    must "which is not the end" test "$(count s start)" = 1
    must "nobody told it to go" never kid got
}
in_modes "pid1 subreaper" "a parent says much, names its child and ends" last_of_many

# The parent lives: how the child ends only that one knows.
parent_stays() {
    no_pidfd && return
    service s "$ON $ONCE stop { grace = \"1s\" }" "${NOTE[@]}" on=TERM:clean:300:0 on=CHLD:reap fork=kid 'notify=MAINPID=%p|READY=1' "await=$T/flag.end" exit=7 end pause
    service other '' $END pause
    begins s other || return
    main_is s kid
    touch "$T/flag.end"
    gets s '.state == "failed" and .lost'
    must "how it ended is not known" died_with s ".lost and .exit == null and .pid == $(pid_of kid)"
    must "for people" said 's: .*status unknown'
    must "the parent has it" wait_until 10 seen s 'child'
    must "the parent is told to go" wait_until 10 seen s "got TERM"
    must "nobody else" all_alive other
    must "and is gone" wait_until 10 gone "$(pid_of s)"
}
in_modes "pid1 subreaper user" "a grandchild names itself; its parent lives, so its status is unknown" parent_stays

# ---- signals ----
stopped() {
    no_pidfd && return
    service s "$ON" "${NOTE[@]}" fork=kid "${NOTE[@]}" 'notify=MAINPID=%p|READY=1' pause end \
        fork=third on=TERM:exit:0 pause end pause
    service other '' "${NOTE[@]}" pause
    begins s other third kid || return
    main_is s kid
    ends 0 stop --wait s
    must "the new one is told" seen kid "got TERM"
    must "the old one too" seen s "got TERM"
    must "each once: $(count kid got) $(count s got)" test "$(count kid "got TERM")$(count s "got TERM")" = 11
    must "and another child" seen third "got TERM"
    must "nobody of it is left" gone "$(pid_of s)"
    must "nor the child" gone "$(pid_of kid)"
    must "nor the other child" gone "$(pid_of third)"
    must "nobody else is told anything" never other got
    must "in time" test $(($(at kid exit) - $(at kid "got TERM"))) -lt 2000
    ends 0 start --wait s
    main_is s kid
    must "another one" test "$(count kid start)" = 2
}
in_modes "pid1 subreaper user" "a stop tells the new main process and the old one" stopped

stubborn() {
    no_pidfd && return
    service s "$ON stop { grace = \"500ms\" }" ignore=TERM fork=kid ignore=TERM 'notify=MAINPID=%p|READY=1' pause end pause
    begins s kid || return
    main_is s kid
    ends 0 stop --wait s
    must "the new one is killed" gone "$(pid_of kid)"
    must "so is the old one" gone "$(pid_of s)"
    must "its state" service_has s '.state == "down"'
    must "not at once" died_with s '.killed_by == "KILL" or .lost'
}
in_modes "pid1 subreaper user" "both get KILL when they do not go" stubborn

# The new one leaves; the old one, which is stopped with it, may need its grace.
old_stays() {
    no_pidfd && return
    service s "$ON $ONCE stop { grace = \"600ms\" }" ignore=TERM fork=kid "await=$T/flag.end" exit=0 end 'notify=MAINPID=%c|READY=1' pause
    service other '' $END pause
    begins s other || return
    main_is s kid
    touch "$T/flag.end"
    gets s '.state == "done" or .state == "failed"'
    must "nobody of it is left" gone "$(pid_of s)"
}
in_modes "pid1 subreaper user" "when the new one ends, the old one is swept" old_stays

# ---- again ----
twice() {
    no_pidfd && return
    service s "$ON $ONCE" "${NOTE[@]}" fork=one "${NOTE[@]}" "await=$T/flag.1" exit=4 end 'notify=MAINPID=%c|READY=1' "await=$T/flag.go" \
        fork=two "${NOTE[@]}" "await=$T/flag.2" exit=5 end 'notify=MAINPID=%c' "await=$T/flag.back" 'notify=MAINPID=%p' pause
    is_there one || return
    main_is s one
    touch "$T/flag.go"
    must "another one" wait_until 20 seen two start || return
    main_is s two
    touch "$T/flag.1"
    must "the first one may end" wait_until 10 seen one exit
    nap 0.3
    must "which is not the end" service_has s "$READY and .pid == $(pid_of two)"
    touch "$T/flag.back"
    must "it names itself" wait_until 10 up s
    main_is s s
    touch "$T/flag.2"
    must "the second one may end" wait_until 10 seen two exit
    nap 0.3
    must "nor is that" service_has s "$READY and .pid == $(pid_of s)"
    must "told" test "$(tend_events s 'select(.what != null and (.what | test("main process"))) | .what' | wc -l)" = 3
    must "nobody was told to go" never s got
}
in_modes "pid1 subreaper user" "another one, and back to the first" twice

# Its number is given to somebody else as soon as its parent, which lives on, has collected it.
number_again() {
    local i rounds kid player
    no_pidfd && return
    rounds=$(full 100 10)
    service s "$ON restart { delay = \"10ms\" max_delay = \"10ms\" limit = 0 } stop { grace = \"2s\" }" \
        on=CHLD:reap on=TERM:clean:20:0 fork=kid on=USR1:exit:9 'notify=MAINPID=%p|READY=1' pause end pause
    is_there kid || return
    for ((i = 1; i <= rounds; i++)); do
        must "round $i" wait_until 10 seen kid up "$i" || return
        kid=$(pid_of kid)
        must "it is the main process" wait_until 10 service_has s "$READY and .pid == $kid" || return
        inside "$BIN/actor" "$J" player "watch=$kid" "at=$kid:canary" "${NOTE[@]}" sleep=60 exit=0 end sleep=80 {NEVER}<&- &
        player=$!
        must "somebody waits for it" wait_until 10 seen player watching "$i"
        inside kill -USR1 "$kid"
        must "it lives again" wait_until 10 seen s start $((i + 1)) || return
        wait $player
    done
    must "somebody had its number" seen canary start $((rounds / 2))
    must "nobody who came later was told anything" never canary got
    must "nor killed: $(count canary 'exit 0')" wait_until 5 seen canary 'exit 0' "$(count canary start)"
}
run_case pid1 "whoever has its number after it is not told" number_again

done_testing
