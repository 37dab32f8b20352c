#!/bin/bash
# What tendctl does with all of it: plan, reload, shutdown; for whom; and what it says where there is
# no tend.
# shellcheck disable=SC2016 # for jq
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"

END=on=TERM:exit:0

# ---- plan and reload ----
ENVIRONMENT=A=1 GRACE=5s
write() { # SERVICE...: the config
    local name
    : >"$CONF"
    for name; do
        case $name in
        keep | old | fresh) service "$name" '' $END pause ;;
        db) service db "environment = {\"$ENVIRONMENT\"}" $END pause ;;
        web) service web 'requires = {db}' $END pause ;;
        place) service place "stop { grace = \"$GRACE\" }" $END pause ;;
        idle | lazy) service "$name" 'start = manual' $END pause ;;
        esac
    done
}
plan_told() {
    lacks jq && return
    write keep old db web place idle
    begins keep old db web place || return
    local before
    before=$(events "" start)
    ends 0 plan
    tells_only 'nothing would change'
    ends 0 reload
    tells_only 'nothing has changed'
    ends 0 --json plan
    holds '. == {"changes": [], "problems": []}'
    ENVIRONMENT=A=2 GRACE=7s
    write keep db web place fresh lazy
    ENVIRONMENT=A=1 GRACE=5s
    ends 0 plan
    sort "$TOLD" >"$T/plan"
    must "what would change: $(tr '\n' '|' <"$T/plan")" diff - "$T/plan" <<'END'
add      lazy   new, not started
change   place  stop.grace differs, in place
forget   idle   removed from the config, is not running
restart  db     environment differs
restart  web    because db restarts
start    fresh
stop     old    removed from the config
END
    ends 0 --json plan
    shaped "$CHANGE" '.changes[]'
    holds '[.changes[] | [.name, .do, .key, .because]] | sort == [["db", "restart", "environment", null], ["fresh", "start", null, null],
        ["idle", "forget", null, null], ["lazy", "add", null, null], ["old", "stop", null, null],
        ["place", "change", "stop.grace", null], ["web", "restart", null, "db"]]'
    holds '.problems == []'
    ends 0 names
    tells_only db idle keep old place web
    must "nothing was done" test "$(events "" start)" = "$before"
    must "nothing was told" never "" got
    ends 0 reload
    must "the same is told" diff <(sort "$TOLD") "$T/plan"
    ends 0 names
    tells_only db fresh keep lazy place web
    ends 0 wait --timeout 20s
    must "what is new runs" lives fresh 1
    must "what is restarted, too" lives db 2
    must "and with it" lives web 2
    must "the others still" all_alive keep place
    must "restarted: db and web" test "$(count db start)$(count web start)" = 22
    must "and no other" test "$(count keep start)$(count place start)" = 11
    must "what is removed is gone" wait_until 10 gone "$(pid_of old)"
    must "not started" never lazy start
    ends 0 plan
    tells_only 'nothing would change'
}
in_modes "pid1 subreaper user" "plan tells what reload does, and reload does it" plan_told

plan_refused() {
    lacks jq && return
    write keep db web
    begins keep db web || return
    local before verb
    before=$(events "" start)
    conf 'service bad {' '    nice = 77' '}' 'service worse { command = {"/bin/true"} requires = {nosuch} }'
    for verb in plan reload; do
        ends 78 $verb
        must "nothing on stdout" test ! -s "$TOLD"
        complains "^$CONF:[0-9]+: bad: .*nice" "^$CONF:[0-9]+: worse: .*nosuch" '^tendctl: '
        must "lines: $(grep -n 'nice' "$CONF")" grep -q ":$(grep -n 'nice' "$CONF" | cut -d: -f1): bad" "$COMPLAINT"
        ends 78 --json $verb
        holds '.changes == [] and (.problems | length) >= 2 and any(.problems[]; test(":[0-9]+: bad: .*nice")) and .error.code == "config"'
        must "nothing on stderr" test ! -s "$COMPLAINT"
    done
    mv "$CONF" "$CONF.away"
    ends 78 reload
    complains 'tend\.conf'
    mv "$CONF.away" "$CONF"
    must "nothing was done" test "$(events "" start)" = "$before"
    must "nobody was told anything" never "" got
    ends 0 names
    tells_only db keep web
    must "all live" all_alive keep db web
}
in_modes "pid1 subreaper" "a config with errors: told, 78, and nothing changed" plan_refused

# ---- shutdown ----
shuts_down() { # ARGUMENT...
    service s 'stop { grace = "60s" }' ignore=TERM fork=kid ignore=TERM pause end pause
    service t '' on=TERM:clean:500:0 pause
    begins s kid t || return
    local before
    INSIDE=
    before=$(now)
    ends 0 shutdown --wait "$@"
    must "tend is gone when it returns" tend_is_gone
    must "long before the grace of s: $(($(now) - before))" test $(($(now) - before)) -lt 30000
    must "nothing is told" test ! -s "$TOLD"
    ends 69 status
    INSIDE=inside
    await_end 10
    must "status: $STATUS" test "$STATUS" = 0
    must "nobody is left" no_actors
    [ "$1" != --deadline ] || must "t had its time" seen t exit
}
in_modes "pid1 subreaper user" "shutdown --now --wait: gone when it returns" shuts_down --now
in_modes "pid1 subreaper" "shutdown --deadline --wait: gone by then" shuts_down --deadline 3s

shutdown_told() {
    lacks jq && return
    service s '' on=TERM:clean:1000:0 pause
    begins s || return
    ends 64 shutdown --deadline 0s
    must "nothing was done" never s got
    ends 124 shutdown --wait --timeout 200ms
    ends 0 --json shutdown
    holds '. == {}'
    ends 0 --json shutdown --wait
    must "tend is gone" tend_is_gone
    must "s was waited for" seen s exit
    await_end 10
}
in_modes "subreaper" "shutdown: repeated, and no longer than --timeout" shutdown_told

# ---- who may ----
GROUP=61234
SEE='status names ready wait graph events history version why_s wait_s'
as_words() { # a_b: a b
    tr _ ' ' <<<"$1"
}
strangers() {
    lacks jq && return
    service s '' on=USR1:note $END pause
    begins s || return
    local words how
    for how in mode credentials; do
        [ $how = mode ] || chmod 666 "$RUN/control"
        AS=(setpriv --reuid 61999 --regid 61999 --clear-groups)
        for words in $SEE start_s stop_s restart_s reload plan shutdown signal_USR1_s reload-service_s; do
            [ "$words" != version ] || continue
            # shellcheck disable=SC2046 # words
            ends 77 $(as_words "$words")
            complains '^tendctl: .*(permitted|root|denied)'
            must "nothing is told of $words" test ! -s "$TOLD"
        done
        ends 77 --json status
        holds '.error.code == "denied"'
        AS=()
    done
    must "nothing was done" test "$(count s start)$(count s got)" = 10
}
members() {
    lacks jq && return
    conf "supervisor { group = \"$GROUP\" }"
    service s '' on=USR1:note on=HUP:note $END pause
    service base '' $END pause
    begins s base || return
    AS=(setpriv --reuid 61999 --regid 61999 --groups "$GROUP")
    local words
    for words in $SEE; do
        # shellcheck disable=SC2046 # words
        ends 0 $(as_words "$words")
    done
    ends 0 version
    tells 'part rights'
    ends 0 stop --wait s
    must "stopped" gone "$(pid_of s)"
    ends 0 start --wait s
    must "started" lives s 2
    ends 0 restart --wait s
    must "restarted" lives s 3
    for words in shutdown shutdown_--now reload plan signal_USR1_s signal_KILL_s reload-service_s; do
        # shellcheck disable=SC2046 # words
        ends 77 $(as_words "$words")
        complains 'is for root and the user of tend$'
    done
    must "it lives" all_alive s base
    must "nobody was told" never s "got [UH]"
    AS=()
    ends 0 signal USR1 s
    must "root may" wait_until 10 seen s "got USR1"
}
if [ "$EUID" = 0 ]; then
    in_modes "pid1 subreaper" "another user: 77" strangers
    in_modes "pid1 subreaper" "a member of the group: sees, starts and stops" members
fi

# ---- no tend ----
no_tend() {
    lacks jq && return
    local words
    rm -rf "$RUN"
    for words in status 'start s' 'wait' ready plan shutdown events; do
        # shellcheck disable=SC2086 # words
        ends 69 $words
        complains "^tendctl: no tend answers at $RUN/control: No such file or directory\. Is it running\?"
        must "nothing is told" test ! -s "$TOLD"
        # shellcheck disable=SC2086 # words
        ends 69 --json $words
        holds '.error.code == "no-tend"'
    done
    : >"$T/flag.file"
    ends 69 status --runtime "$T/flag.file"
    complains "$T/flag.file/control: Not a directory"
    service s '' pause
    begins s || return
    ends 69 --runtime "$RUN/nowhere" status
    complains "$RUN/nowhere/control"
    ends 0 status
    end_all 2>/dev/null
    must "it left its socket" test -S "$RUN/control"
    ends 69 status
    complains "no tend answers at $RUN/control: the tend that made it has ended"
    ends 69 shutdown --wait
}
in_modes "subreaper user" "no tend: 69, and where it was looked for" no_tend

stands_still() {
    lacks jq && return
    service s '' $END pause
    begins s || return
    goes waiting wait --for down s --timeout 3s
    goes patient stop --wait s --timeout 30s
    must "it was told to go" wait_until 10 seen s "got TERM"
    comes patient 0
    comes waiting 0
    ends 0 start --wait s
    goes waiting wait --for down s --timeout 2s
    ends 0 status
    kill -STOP "$TEND"
    goes without status
    ends 124 status --timeout 500ms
    complains "^tendctl: tend does not answer at $RUN/control: does it stand still\?"
    ends 124 --json stop s --timeout 500ms
    holds '.error.code == "timeout"'
    comes waiting 124
    comes without 69
    must "told" grep -q 'tend does not answer' "$T/flag.without.err"
    kill -CONT "$TEND"
    ends 0 status s
    must "what was asked meanwhile may be done" wait_until 10 reachable
    ends 0 start --wait s
    must "it goes on" wait_until 10 all_alive s
}
run_case subreaper "a tend that stands still: 124 with --timeout, else 69" stands_still

done_testing
