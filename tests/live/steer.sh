#!/bin/bash
# What tendctl does with services: start, stop, restart, wait, signal, reload-service. With all of
# them: see steer_all.sh.
# shellcheck disable=SC2016,SC2119 # for jq; without arguments
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"

SLOWLY='restart { policy = on-failure limit = 0 delay = "50s" max_delay = "50s" }'
ONCE='restart { policy = on-failure limit = 1 }'
END=on=TERM:exit:0

# ---- start, stop, restart ----
starts_told() {
    lacks jq && return
    service base '' $END pause
    service low 'type = oneshot start = manual' sleep=200 exit=0
    service mid 'start = manual requires = {low}' $END pause
    service wished 'start = manual' $END pause
    service high "start = manual requires = {mid} wants = {wished} before_start = $(actor prepares sleep=200 exit=0)" $END pause
    service work 'type = oneshot start = manual' sleep=200 exit=0
    service bad "type = oneshot start = manual $ONCE" sleep=200 exit=4
    service nothing "start = manual $ONCE" exit=0
    service behind 'start = manual requires = {bad}' pause
    begins base || return
    ends 0 start --wait high
    must "not before it is ready" seen prepares exit
    must "with what it requires and wants" wait_until 10 up mid wished high
    must "they live" all_alive mid wished high
    must "in order" test "$(at low exit)" -le "$(at mid start)"
    must "and to the last" test "$(at prepares exit)" -le "$(at high start)"
    ends 0 start high base
    tells "^high: running, pid $(pid_of high)\$" "^base: running, pid $(pid_of base)\$"
    must "what runs is left alone" test "$(count high start)$(count base start)" = 11
    ends 0 start --wait work
    must "a oneshot: it is over" test "$(count work exit)" = 1
    tells '^work: done, exit 0$'
    ends 1 start --wait bad
    must "when it has failed" test "$(count bad exit)" = 1
    complains '^tendctl: bad: failed: exit 4'
    ends 1 start --wait base bad
    complains '^tendctl: bad: failed: exit 4'
    ends 1 start behind --wait
    complains '^tendctl: behind: needs bad: failed: exit 4'
    ends 0 start nothing
    becomes nothing 'done'
    ends 1 wait nothing --json
    holds '.error.code == "failed" and .error.name == "nothing" and (.error.text | test("exit 0"))'
    ends 0 --json start --wait mid
    services_shaped
    holds '.services | length == 1 and .[0].state == "running" and .[0].ready'
    ends 4 start base nosuch
    must "who asked is told" said "asked by uid $([ "$MODE" = user ] && echo 65534 || echo 0), pid [0-9]+: start high"
}
in_modes "pid1 user" "start: with what it needs, and until it is ready or has failed" starts_told

stops_told() {
    lacks jq && return
    service base 'stop { grace = "700ms" }' ignore=TERM fork=kid ignore=TERM pause end pause
    service top 'requires = {base}' on=TERM:clean:200:0 pause
    service other '' $END pause
    begins base kid top other || return
    local before main kid
    main=$(pid_of base) kid=$(pid_of kid)
    before=$(now)
    ends 0 stop --wait base
    must "not before KILL" test $(($(now) - before)) -ge 700
    must "nothing of it lives" gone "$main"
    must "nor its child" gone "$kid"
    must "what requires it is gone too" gone "$(pid_of top)"
    must "it went first" test "$(at top exit)" -ge $((before + 200))
    tells '^base: down$'
    must "the other one was left alone" all_alive other
    ends 0 stop --wait base
    ends 0 --json stop base
    services_shaped
    holds '.services[0] | .state == "down" and .wanted == false and .pid == null'
    ends 0 start --wait top
    must "it takes both to have one again" lives base 2
    must "which lives" lives top 2
    ends 0 stop other
    tells '^other: (stopping|down)'
    must "without --wait too" wait_until 10 gone "$(pid_of other)"
    INSIDE=
    ends 0 shutdown --now
    INSIDE=inside
    await_end 10
}
in_modes "pid1 subreaper" "stop --wait: when nothing of it lives" stops_told

restarts_told() {
    lacks jq && return
    service base '' on=TERM:clean:100:0 sleep=100 pause
    service top 'requires = {base}' $END pause
    service m 'start = manual' $END pause
    begins base top || return
    local base top
    base=$(pid_of base) top=$(pid_of top)
    ends 0 restart --wait base
    must "the old one is gone" gone "$base"
    must "a new one lives" lives base 2
    must "another pid" test "$(pid_of base)" != "$base"
    tells "^base: running, pid $(pid_of base)\$"
    must "what requires it comes back" wait_until 10 seen top up 2
    must "anew" gone "$top"
    ends 0 restart --wait m
    must "one that is down is started" lives m 1
    ends 0 --json restart --wait base
    must "a third one" lives base 3
    holds --argjson pid "$(pid_of base)" '.services[0] | .pid == $pid and .restarts == 2 and .ready'
    must "three lives" test "$(count base start)" = 3
}
in_modes "pid1 subreaper" "restart --wait: another process" restarts_told

is_up() { # NAME: the one that started last
    [ "$(events "$1" up | tail -n 1 | cut -d' ' -f2)" = "$(pid_of "$1")" ]
}
asked_to_start() { # NAME TIMES
    [ "$(grep -c ": start $1\$" "$LOG")" -ge "$2" ]
}
at_once() {
    local first n told
    service s 'stop { grace = "2s" }' on=TERM:clean:300:0 pause
    service base '' $END pause
    begins s base || return
    first=$(pid_of s)
    goes one restart --wait s
    goes two restart --wait s
    comes one 0
    comes two 0
    must "the first one is gone" gone "$first"
    must "another one lives" wait_until 10 all_alive s
    must "once or twice: $(count s start)" test "$(count s start)" -le 3
    goes one stop --wait s
    goes two stop --wait s
    comes one 0
    comes two 0
    must "it is gone" gone "$(pid_of s)"
    # While one stops it another one wants it.
    n=$(count s start)
    ends 0 start --wait s
    must "it lives again" lives s $((n + 1))
    must "and takes signals" wait_until 10 is_up s
    told=$(count s "got TERM")
    goes stopper stop --wait s --timeout 3s
    must "it is told to go" wait_until 10 seen s "got TERM" $((told + 1))
    ends 0 start --wait s
    must "it lives" lives s $((n + 2))
    comes stopper 124
    must "what it is instead" flag_has stopper "^s: running, pid $(pid_of s)\$"
    # And the other way round.
    ends 0 stop s
    goes starter start --wait s
    must "it is wanted again" wait_until 10 asked_to_start s 3
    ends 0 stop --wait s
    comes starter 1
    must "told why" grep -q '^tendctl: s: not wanted' "$T/flag.starter.err"
}
run_case subreaper "two clients at once, with the same wish and with others" at_once

# ---- wait ----
waits_told() {
    lacks jq && return
    service base '' $END pause
    service slow 'type = oneshot' "await=$T/flag.go" exit=0
    service flap "type = oneshot $SLOWLY" exit=3
    service behind 'requires = {flap}' pause
    service broken "type = oneshot $ONCE" exit=4
    service vain 'requires = {broken}' pause
    service tool 'start = manual' pause
    begins base || return
    becomes broken failed
    becomes flap backoff
    ends 0 wait base
    tells_only "base: running, pid $(pid_of base)"
    ends 0 --json wait base
    services_shaped
    goes later wait slow base
    goes down wait --for down base
    goes fail wait --for failed tool flap
    ends 124 wait slow --timeout 300ms
    complains '^tendctl: it did not come within 300ms$'
    tells '^slow: starting, pid [0-9]+, ready within 1m[0-9]+s$'
    ends 124 --json wait slow --timeout 300ms
    holds '.error.code == "timeout" and .services[0].name == "slow" and .services[0].state == "starting"'
    must "it is still waited for" still_goes later
    : >"$T/flag.go"
    comes later 0
    must "the one that it waited for is over" seen slow exit
    must "told" flag_has later '^slow: done, exit 0$'
    ends 0 wait slow
    # What will never come decides at once, wherever it stands.
    local before words
    before=$(now)
    for words in vain broken 'flap broken' 'behind vain base' 'base broken flap' ''; do
        # shellcheck disable=SC2086 # words
        ends 1 wait $words
        complains '^tendctl: (vain: needs broken|broken): failed: exit 4'
    done
    must "at once: $(($(now) - before))" test $(($(now) - before)) -lt 30000
    ends 1 wait tool
    complains '^tendctl: tool: not wanted'
    ends 1 --json wait vain
    holds '.error | .code == "failed" and .name == "vain" and (.text | test("needs broken"))'
    ends 0 wait --for failed broken
    tells '^broken: failed, exit 4, gave up after 1 start in 1m$'
    ends 0 wait --for=failed vain
    ends 0 wait --for down tool broken
    must "base is still up" still_goes down
    ends 124 wait --for down base --timeout 300ms
    ends 124 wait --for failed base --timeout 300ms
    ends 0 stop base
    comes down 0
    must "its end" gone "$(pid_of base)"
    must "nothing has failed" still_goes fail
    ends 0 shutdown
    comes fail 1
    must "the reason" grep -q 'tend is shutting down' "$T/flag.fail.err"
}
in_modes "subreaper user" "wait: now, later, never; one of many" waits_told

waits_for_all() {
    lacks jq && return
    service base '' $END pause
    service slow 'type = oneshot' "await=$T/flag.go" exit=0
    service next 'requires = {slow}' $END pause
    service tool 'start = manual' pause
    begins base || return
    goes all wait
    ends 1 ready
    tells '^slow: starting' '^next: pending, waits for slow$' '^1 of 3 ready$'
    ends 1 ready next
    ends 0 ready base
    ends 124 wait --timeout 200ms
    tells '^slow: starting' '^next: pending'
    must "those that are ready are not told" not grep -q '^base' "$TOLD"
    must "it waits" still_goes all
    : >"$T/flag.go"
    comes all 0
    must "all are up" up base next
    must "all that are wanted" diff <(sed 's/:.*//' "$T/flag.all" | sort) <(printf '%s\n' base next slow)
    ends 0 ready
    tells_only '3 of 3 ready'
    ends 0 --json ready
    holds '.ready and .count == 3 and .of == 3 and .services == []'
    ends 0 stop --wait next
    ends 0 ready
    tells_only '2 of 2 ready'
    ends 1 wait next
    ends 0 wait
}
in_modes "pid1 subreaper user" "wait and ready without names: all that are wanted" waits_for_all

in_shutdown() {
    lacks jq && return
    service s '' "on=TERM:clean:1500:0" pause
    service t '' $END pause
    begins s t || return
    goes wait wait --for down s
    goes never wait --for failed s
    ends 0 shutdown
    must "it has begun" wait_until 10 seen s "got TERM"
    ends 1 ready
    ends 1 start t
    complains 'tend is shutting down'
    ends 1 wait s
    complains 'tend is shutting down'
    ends 1 plan
    ends 0 stop s
    ends 0 status
    tells '^s +stopping'
    ends 0 shutdown
    comes never 1
    comes wait 0
    await_end 10
    must "status: $STATUS" test "$STATUS" = 0
}
in_modes "subreaper" "while tend shuts down" in_shutdown

tend_dies() {
    service s '' pause
    begins s || return
    goes waiting wait --for down s
    goes timed wait --for down s --timeout 20s
    must "both wait" wait_until 10 reachable
    end_all 2>/dev/null
    comes waiting 69
    comes timed 69
    must "told" grep -q '^tendctl: .*ended' "$T/flag.waiting.err"
}
run_case subreaper "tend is killed while somebody waits" tend_dies

# ---- signals ----
signals_sent() {
    lacks jq && return
    local pids
    service s '' on=USR1:note on=USR2:note fork=kid on=USR1:note on=USR2:note pause end on=HUP:note pause
    service t '' on=USR1:note pause
    service tool 'start = manual' pause
    begins s kid t || return
    pids=$(pid_of s)$(pid_of kid)
    ends 0 signal USR1 s t
    must "nothing to tell" test ! -s "$TOLD"
    must "main processes" wait_until 10 seen s "got USR1"
    must "of both" wait_until 10 seen t "got USR1"
    ends 0 signal SIGUSR2 s --group
    must "its group" wait_until 10 seen kid "got USR2"
    must "the main process too" wait_until 10 seen s "got USR2"
    must "the first was not for the group" never kid "got USR1"
    ends 0 signal 1 s
    must "by number" wait_until 10 seen s "got HUP"
    ends 1 signal USR1 t tool
    complains '^tendctl: tool has no process$'
    must "nobody got it" test "$(count t "got USR1")" = 1
    refuses 64 'is no signal' signal 65 s
    ends 4 signal USR1 s nosuch
    must "nobody got it" test "$(count s "got USR1")" = 1
    must "they live" test "$(pid_of s)$(pid_of kid)" = "$pids"
    ends 0 --json signal USR1 t
    holds '. == {"services": []}'
    must "again" wait_until 10 seen t "got USR1" 2
}
in_modes "pid1 subreaper user" "signal: to the main process, or to the group" signals_sent

reloads_service() {
    lacks jq && return
    service by_signal 'reload { signal = USR2 }' on=USR2:note on=HUP:note pause
    service by_default '' on=HUP:note pause
    service by_command "reload { command = $(actor good sleep=300 exit=0) }" on=HUP:note pause
    service fails "reload { command = $(actor bad sleep=300 exit=3) }" pause
    service unseen "reload { command = $(actor bad sleep=300 exit=3) }" pause
    service hangs "reload { command = $(actor hanging ignore=TERM pause) command_timeout = \"300ms\" }" pause
    service slow "reload { command = $(actor slowly "await=$T/flag.go" exit=0) }" pause
    service slower "reload { command = $(actor slowly "await=$T/flag.go" exit=0) }" pause
    service tool 'start = manual' pause
    begins by_signal by_default by_command fails unseen hangs slow slower || return
    ends 0 reload-service by_signal by_default
    must "its signal" wait_until 10 seen by_signal "got USR2"
    must "HUP" wait_until 10 seen by_default "got HUP"
    must "no other" never by_signal "got HUP"
    ends 0 reload-service --wait by_signal
    ends 0 reload-service --wait by_command
    must "its command is over" seen good exit
    must "no signal" never by_command got
    ends 0 reload-service unseen
    ends 1 reload-service --wait fails by_signal
    complains '^tendctl: .*(fails|reload command)'
    ends 1 reload-service hangs --wait
    must "who was too slow is gone" gone "$(pid_of hanging)"
    goes slow reload-service --wait slow
    must "it runs" wait_until 10 seen slowly start
    ends 71 reload-service slow
    complains 'not over yet'
    ends 124 reload-service --wait by_signal slower --timeout 200ms
    must "it is waited for" still_goes slow
    : >"$T/flag.go"
    comes slow 0
    ends 1 reload-service by_signal tool
    complains '^tendctl: tool has no process$'
    must "those were told that could be" wait_until 10 seen by_signal "got USR2" 4
    must "nobody else" test "$(count by_signal "got USR2")" = 4
    must "they all live" all_alive by_signal by_default by_command fails hangs slow
    must "as before" test "$(count by_command start)$(count fails start)$(count hangs start)" = 111
}
in_modes "pid1 subreaper" "reload-service: a signal, or a command that is waited for" reloads_service

done_testing
