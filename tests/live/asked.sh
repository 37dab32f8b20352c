#!/bin/bash
# What is asked over the control socket is done: start, stop, restart, signal, reload, shutdown.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=clients.bash
. "$(dirname "$0")/clients.bash"

begins() { # NAME...: tend, until these are up and the socket is there
    run_tend "$MODE"
    must "start" wait_until 20 up "$@" && must "reachable" wait_until 10 reachable
}

# ---- start, stop, restart ----
order() { # TIME TIME...: none before the one before it
    local last=0 time
    for time; do
        [ -n "$time" ] && [ "$time" -ge "$last" ] || return
        last=$time
    done
}
forked_last() { # NAME...: when each writes its first line is the scheduler's affair
    [ "$(ask events | grep 'kind=forked' | field service | tail -n $# | tr '\n' ' ')" = "$* " ]
}
steers() {
    service base '' on=TERM:clean:100:0 pause
    service middle 'requires = {base}' on=TERM:clean:100:0 pause
    service top 'requires = {middle}' on=TERM:clean:100:0 pause
    service wanting 'wants = {base}' on=TERM:clean:100:0 pause
    begins base middle top wanting || return
    must "stop" replies '^service name=base .*wanted|^service name=base ' 'stop base'
    must "is down" ask 'wait for=down base middle top'
    must "dependents first" order "$(at top "exit 0")" "$(at middle "got TERM")" \
        "$(at middle "exit 0")" "$(at base "got TERM")"
    must "they wait for it" is middle waits_for base
    must "in vain" is middle in_vain 1
    must "and want" is middle wanted 1
    must "not itself" is base wanted ''
    must "who only wants it runs on" never wanting got
    must "nothing comes back by itself" test "$(count base start)" = 1
    must "start" ask 'start base'
    must "all come back" ask 'wait for=ready base middle top'
    must "in order" forked_last base middle top
    must "each once" test "$(count "" start)" = 7
    must "restart" ask 'restart base'
    must "all come back again" ask 'wait for=ready base middle top'
    must "stopped in order" order "$(at top "exit 0")" "$(at middle "got TERM")" \
        "$(at middle "exit 0")" "$(at base "got TERM")" "$(at base "exit 0")" "$(at base start)"
    must "started in order" forked_last base middle top
    must "each once" test "$(count "" start)" = 10
    must "the wanting one was left alone" test "$(count wanting start)" = 1
    must "stop and start at once" ask 'stop top' 'start top' 'stop middle' 'start top'
    must "ready" ask 'wait for=ready top'
    must "two by name" ask 'stop top wanting' 'wait for=down top wanting'
    must "restart of who is down starts it" ask 'restart top' 'wait for=ready top'
    must "the other stays down" is wanting state down
}
in_modes "pid1 subreaper user" "stop, start and restart keep the order" steers

in_each_state() {
    service oneshot 'type = oneshot' on=TERM:exit:0 pause
    service blocked 'requires = {oneshot}' pause
    service prepared "before_start = $(actor helper on=TERM:exit:0 pause)" pause
    service failing 'restart { policy = always delay = "1h" max_delay = "1h" limit = 0 }' "if=$T/flag.good" pause end exit=1
    service slow 'stop { grace = "60s" }' "on=TERM:clean:700:0" pause
    service gave-up 'restart { policy = never }' "if=$T/flag.good" pause end exit=1
    service finished 'type = oneshot' exit=0
    service manual 'start = manual requires = {base}' pause
    service base 'start = manual' pause
    begins oneshot helper slow || return
    must "backoff" wait_until 10 is failing state backoff
    must "its time" replies ' next=35[0-9]{5}( |$)' 'status failing'
    must "failed" wait_until 10 is gave-up state failed
    must "done" wait_until 10 is finished state "done"
    must "starting" is oneshot state starting
    must "pending" is blocked state pending
    must "for whom" is blocked waits_for oneshot
    must "preparing" is prepared process before_start

    must "stop a pending one" ask 'stop blocked'
    must "it is down" is blocked state down
    must "start it" ask 'start blocked'
    must "it is pending" is blocked state pending
    must "stop a starting one" ask 'stop oneshot' 'wait for=down oneshot'
    must "by TERM" seen oneshot "got TERM"
    must "stop one that prepares" ask 'stop prepared' 'wait for=down prepared'
    must "by TERM too" seen helper "got TERM"
    must "it never ran" never prepared start
    must "stop in backoff" ask 'stop failing'
    must "it is down" is failing state down
    must "stop a failed one" ask 'stop gave-up'
    must "it is down" is gave-up state down
    touch "$T/flag.good"
    must "start both" ask 'start failing gave-up' 'wait for=ready failing gave-up'
    must "restart a done one" ask 'restart finished' 'wait for=ready finished'
    must "it ran twice" test "$(count finished "exit 0")" = 2
    must "stop it" ask 'stop finished' 'wait for=down finished'
    must "a manual one, with what it requires" ask 'start manual' 'wait for=ready manual base'

    must "stop" ask 'stop slow'
    must "is stopping" is slow state stopping
    must "how long" replies ' next=[0-9]+' 'status slow'
    must "stop again" ask 'stop slow'
    must "start while it stops" ask 'start slow'
    must "it comes back" ask 'wait for=ready slow'
    must "after its stop" order "$(at slow cleaned 1)" "$(at slow start 2)"
    must "one TERM was enough" test "$(count slow "got TERM")" = 1
    must "start of what runs changes nothing" ask 'start slow' 'wait for=ready slow'
    must "not again" test "$(count slow start)" = 2
}
in_modes "pid1 user" "stop and start in each state" in_each_state

# ---- the end of the whole ----
stays() { # what an operator stopped may be started again
    service only 'type = process restart { policy = never }' on=TERM:exit:0 on=USR2:exit:0 pause
    begins only || return
    must "stop the last one" ask 'stop only' 'wait for=down only'
    nap 0.5
    must "tend stays" running
    must "start" ask 'start only' 'wait for=ready only'
    signal USR2 only
    must "done: tend ends" await_end 10
    must "status: $STATUS" test "$STATUS" = 0
}
in_modes "pid1 subreaper user" "the last one is stopped: tend stays, until all are done" stays

stays_for_main() {
    service main 'main = true requires = {base} restart { policy = never }' on=TERM:exit:0 on=USR2:exit:7 pause
    service base '' on=TERM:exit:0 pause
    begins main base || return
    must "stop what it requires" ask 'stop base' 'wait for=down base'
    nap 0.5
    must "tend stays" running
    must "it waits" is main state pending
    must "start" ask 'start base' 'wait for=ready main'
    must "stop itself" ask 'stop main' 'wait for=down main'
    nap 0.5
    must "tend stays" running
    must "start" ask 'start main' 'wait for=ready main'
    signal USR2 main
    must "it has ended: tend ends" await_end 10
    must "with its code: $STATUS" test "$STATUS" = 7
}
in_modes "pid1 subreaper" "the main service, or what it requires, is stopped: tend stays" stays_for_main

stays_manual() {
    service once 'type = oneshot' exit=0
    service m 'start = manual type = oneshot' exit=0
    run_tend "$MODE"
    must "it runs" wait_until 10 seen once "exit 0"
    must "reachable" wait_until 10 reachable
    nap 0.3
    must "tend stays for the manual one" running
    must "start" ask 'start m'
    must "all are done: tend ends" await_end 10
    must "status: $STATUS" test "$STATUS" = 0
}
run_case subreaper "a manual service can be started" stays_manual

asked_to_end() {
    service s 'stop { grace = "60s" }' on=TERM:clean:"${1:-100}":0 pause
    service dependent 'requires = {s}' on=TERM:exit:0 pause
    begins s dependent || return
    must "shutdown $2" ask "shutdown$2"
    must "tend ends" await_end 20
    must "status: $STATUS" test "$STATUS" = 0
}
ends_orderly() {
    asked_to_end 100 ''
    must "in order" order "$(at dependent "exit 0")" "$(at s "got TERM")" "$(at s cleaned)"
    must "who asked is told" said 'asked by uid 0, pid [0-9]+: shutdown'
}
ends_now() {
    asked_to_end 60000 ' now'
    must "nobody was told" never "" got
}
ends_by_deadline() {
    local begin
    begin=$(now)
    asked_to_end 60000 ' deadline=3s'
    must "told" seen s "got TERM"
    must "in time: $(($(now) - begin))" test $(($(now) - begin)) -lt 10000
}
in_modes "pid1 subreaper user" "shutdown: in order" ends_orderly
in_modes "pid1 subreaper" "shutdown now: KILL" ends_now
run_case subreaper "shutdown deadline=3s" ends_by_deadline

# ---- signals ----
signals() {
    service s '' on=USR1:note on=USR2:note fork=child on=USR1:note on=USR2:note pause end pause
    service other '' on=USR1:note pause
    service m 'start = manual' pause
    begins s child other || return
    must "to main" ask 'signal signal=USR1 s'
    must "it comes" wait_until 10 seen s "got USR1"
    must "to the group" ask 'signal signal=SIGUSR2 to=group s'
    must "it comes" wait_until 10 seen s "got USR2"
    must "to the child too" wait_until 10 seen child "got USR2"
    must "the first one went to main alone" never child "got USR1"
    must "one is down" replies '^error code=down name=m ' 'signal signal=USR1 other m'
    must "reload-service too" replies '^error code=down name=m ' 'reload-service m'
    must "so nothing is sent to the other" never other got
    must "numbers" ask "signal signal=10 to=main other"
    must "it comes" wait_until 10 seen other "got USR1"
    must "a signal that ends it" ask 'signal signal=KILL s'
    must "it is restarted, as by any end" wait_until 10 seen s up 2
    must "it is told" replies 'kind=signal service=s .*signal=USR2 .*group=1|kind=signal service=s .*group=1' events
}
in_modes "pid1 subreaper user" "signal: to main, to its group" signals

# ---- the reload of a service ----
reloads() {
    conf 'supervisor { grace = "300ms" }'
    service hup '' on=HUP:note pause
    service usr 'reload { signal = USR2 }' on=any:note pause
    service good "reload { command = $(actor ok facts exit=0) }" on=any:note pause
    service bad "reload { command = $(actor no exit=9) }" pause
    service hung "reload { command = $(actor stuck ignore=TERM fork=stuck2 ignore=TERM pause end pause) command_timeout = \"700ms\" }" pause
    service none 'reload { command = {"/nonexistent"} }' pause
    begins hup usr good bad hung none || return
    must "two by signal" ask 'reload-service hup usr'
    must "HUP" wait_until 10 seen hup "got HUP"
    must "USR2" wait_until 10 seen usr "got USR2"
    must "reloaded at once" ask 'wait for=reloaded hup usr'
    must "by command" ask 'reload-service good' 'wait for=reloaded good'
    must "which was over then" seen ok "exit 0"
    must "it knew whom it is for" grep -q " ok fact env MAINPID=$(pid_of good)\$" "$J"
    must "it had nothing open but three" test "$(events ok "fact fd" | wc -l)" = 3
    must "the service hears nothing" never good got
    must "one that fails" ask 'reload-service bad'
    must "is waited for in vain" replies '^error code=failed name=bad text=its reload failed' 'wait for=reloaded bad'
    must "none to run" ask 'reload-service none' || true
    must "no reload" replies '^error code=(failed|system) name=none' 'wait for=reloaded none'
    must "one that hangs" ask 'reload-service hung'
    must "it runs" wait_until 10 up stuck stuck2
    asks hung 'wait for=reloaded hung'
    must "not twice" replies '^error code=system name=hung text=its last reload is not over yet' 'reload-service hung'
    must "none of several" replies '^error code=system name=hung' 'reload-service good hung'
    must "others are served meanwhile" ask 'reload-service good' 'wait for=reloaded good'
    must "one at a time" test "$(count ok start)" = 2
    must "it is killed" answered hung '^error code=failed name=hung'
    must "with its group" wait_until 5 gone "$(pid_of stuck2)"
    must "not before its time" test $(($(at hung "" 1 || true) + $(now) - $(at stuck start))) -ge 700
    must "it is told" said 'hung: reload command not done in time: KILL'
    must "the service runs on" all_alive hung good bad none
    must "each still the first" test "$(count hung start)" = 1
    must "a new life" ask 'restart bad' 'wait for=ready bad'
    must "has no failed reload" ask 'wait for=reloaded bad'
}
in_modes "pid1 subreaper user" "F112 reload-service: by signal, by command, which fails or hangs" reloads

reload_and_stop() {
    service s "stop { grace = \"300ms\" } reload { command = $(actor stuck ignore=TERM fork=stuck2 ignore=TERM pause end \
        fork=stuck3 setsid ignore=TERM pause end pause) command_timeout = \"1h\" }" on=TERM:exit:0 pause
    begins s || return
    must "reload" ask 'reload-service s'
    must "it runs" wait_until 10 up stuck stuck2 stuck3
    asks reloaded 'wait for=reloaded s'
    must "stop" ask 'stop s' 'wait for=down s'
    must "nothing is left of it" wait_until 10 no_actors
    must "who waited is told" answered reloaded '^error code=failed name=s'
    must "start" ask 'start s' 'wait for=ready s'
    must "and again" ask 'reload-service s'
    must "it runs" wait_until 10 seen stuck up 2
    stop_tend
    must "a shutdown ends it too" no_actors
    must "status" test "$STATUS" = 0
}
in_modes "pid1 subreaper" "F112 a stop during a reload command leaves nobody" reload_and_stop

left_by_reload() { # at its normal end: of what is in its group nothing, others belong to the service
    service s "reload { command = $(actor reloader fork=kept fork=far setsid pause end pause end await="$T/flag.go" exit=0) }" \
        on=TERM:exit:0 pause
    begins s || return
    must "reload" ask 'reload-service s'
    must "it runs" wait_until 10 up kept far
    touch "$T/flag.go"
    must "reloaded" ask 'wait for=reloaded s'
    must "its group is gone" wait_until 10 gone "$(pid_of kept)"
    must "another session is not" all_alive far
    must "stop" ask 'stop s' 'wait for=down s'
    must "which is stopped with the service" no_actors
    must "tend runs" running
}
in_modes "pid1 subreaper" "F112 what a reload command left in another session is the service's" left_by_reload

# ---- plan, reload ----
plans() {
    service a '' on=TERM:exit:0 pause
    service b 'requires = {a}' on=TERM:exit:0 pause
    service c '' on=TERM:exit:0 pause
    begins a b c || return
    must "nothing would change" replies '^ok' plan
    must "nothing" test "$(ask plan | grep -c '^change')" = 0
    sed -i '/service c/,/^}/d; s/service a {/service a { nice = 5/' "$CONF"
    service d '' pause
    ask plan | grep '^change' | sort >"$T/flag.plan"
    must "restart a" grep -q '^change name=a do=restart key=nice$' "$T/flag.plan"
    must "b with it" grep -q '^change name=b do=restart because=a$' "$T/flag.plan"
    must "stop c" grep -q '^change name=c do=stop$' "$T/flag.plan"
    must "start d" grep -q '^change name=d do=start$' "$T/flag.plan"
    must "nothing else" test "$(wc -l <"$T/flag.plan")" = 4
    must "nothing was done" test "$(count "" start)" = 3 -a "$(count "" got)" = 0
    conf 'service e { nonsense = 1 }'
    must "a bad one is refused" replies '^error code=config text=' reload
    must "and why" replies '^problem text=.*nonsense' reload
    must "plan too" replies '^error code=config text=' plan
    must "nothing was done" test "$(count "" start)" = 3 -a "$(count "" got)" = 0
    sed -i '/service e/d' "$CONF"
    must "the same is done" diff <(ask reload | grep '^change' | sort) "$T/flag.plan"
    must "d comes" ask 'wait for=ready a b d'
    must "c is unknown" replies '^error code=unknown name=c' 'status c' || wait_until 5 replies '^error code=unknown' 'status c'
    must "each as planned" test "$(count a start)" = 2 -a "$(count b start)" = 2 -a "$(count d start)" = 1
    must "nothing is left to change" test "$(ask plan | grep -c '^change')" = 0
}
in_modes "pid1 subreaper" "plan tells what reload does" plans

at_once() { # five who reload and plan at the same time
    local i
    service a '' pause
    begins a || return
    service b '' pause
    for i in 1 2 3 4 5; do
        client pending "$T/flag.in$i" "$([ $((i % 2)) = 0 ] && echo plan || echo reload)" >"$T/flag.r$i" &
    done
    for i in 1 2 3 4 5; do
        must "answer $i" answered "r$i" '^ok'
    done
    must "b once" wait_until 10 up b
    must "b once" test "$(count b start)" = 1
}
run_case subreaper "P27 several reloads and plans at once: each is answered" at_once

done_testing
