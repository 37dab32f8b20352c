#!/bin/bash
# A reload is whole or not at all, does what the plan says, and leaves alone what need not change.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=reload.bash
. "$(dirname "$0")/reload.bash"
SCENES=reload.py

# ---- F009 ----
f009() { # SHARE
    fresh
    CONF=$D/all.conf
    service base '' on=TERM:exit:0 pause
    service web 'requires = {base} environment_file = web.env' on=TERM:exit:0 pause
    service job 'type = oneshot' exit=0
    service failing "restart { policy = never } before_start = $(actor failing exit=1)" pause
    service waiting 'restart { delay = "1h" max_delay = "1h" }' exit=1
    service vain 'requires = {failing}' pause
    service asked 'start = manual' pause
    mkdir "$D/all.conf.d"
    rm "$D/web.conf"
    echo A=1 >"$D/web.env"
    begins base web || return
    must "done" wait_until 10 is job state 'done'
    must "failed" wait_until 10 is failing state failed
    must "in backoff" wait_until 10 is waiting state backoff
    scene bad "$TEND" "$D" "$LOG" "$BIN/tend" "$(full 1 "$1")"
    must "nothing was started or told" test "$(count "" start)$(count "" got)" = 50
    must "both live" all_alive base web
}
run_case pid1 "F009 200 kinds of bad: told with their place, and nothing has changed" f009 1
in_modes "subreaper user" "F009 many kinds of bad: told with their place, and nothing has changed" f009 3

# ---- F010 ----
f010() { # COLUMN
    fresh
    aside
    begins a || return
    scene matrix "$1" "$D" "$BIN/actor" "$J"
    must "nothing that cannot be" not said 'cannot be in state'
}
for column in nothing removed command needs needs-no-more 'type' renamed returns; do
    in_modes "pid1 subreaper user" "F010 every state: $column" f010 $column
done
[ "$EUID" != 0 ] || run_case subreaper "F010 every state: user" f010 user

# ---- F032 ----
f032() {
    fresh
    aside
    {
        for name in one two three; do
            printf 'service %s {\n stop { grace = GRACE }\n restart { policy = POLICY }\n command = %s\n}\n\n' \
                "$name" "$(actor "$name" on=TERM:note pause)"
        done
        printf 'service common { command = %s }\n\n' "$(actor common on=TERM:note pause)"
        printf 'service last { requires = {one} wants = {two} command = %s }\n' "$(actor last pause)"
    } >"$D/web.conf.in"
    sed 's/GRACE/"51s"/; s/POLICY/always/' "$D/web.conf.in" >"$D/web.conf"
    echo 'supervisor { grace = "50s" }' >>"$D/web.conf"
    begins a one two three common last || return
    scene again_and_again "$TEND" "$D" "$(full 1000 200)" "$(slow)"
    must "nothing was started or told" test "$(count "" start)$(count "" got)" = 60
    must "all live" all_alive one two three common last

    sed 's/GRACE/"300ms"/; s/POLICY/never/' "$D/web.conf.in" >"$D/web.conf"
    echo 'supervisor { grace = "400ms" }' >>"$D/web.conf"
    must "policy and grace once more" replies '^change name=one do=change key=restart.policy' reload
    must "stopped" ask 'stop three common' 'wait for=down three common'
    must "by the new grace: $(at three 'got TERM') $(now)" test $(($(now) - $(at three 'got TERM'))) -lt 20000
    must "with KILL" replies '^death .* service=three .*killed=1' 'history three'
    must "and the supervisor's" replies '^death .* service=common .*killed=1' 'history common'
    signal KILL two
    must "by the new policy it stays down" wait_until 10 is two state failed
    must "they were not restarted" test "$(count "" start)" = 6
}
in_modes "pid1 subreaper user" "F032 what need not start anew does not, and the new policy is in force" f032

# ---- what is in force when ----
old_settings() {
    fresh
    aside
    service gone 'stop { signal = INT grace = "60s" }' on=INT:exit:0 on=TERM:note pause
    service slow 'stop { signal = INT grace = "60s" }' on=INT:note on=TERM:note pause
    service deaf 'stop { signal = INT grace = "500ms" }' on=INT:note pause
    service other 'stop { signal = INT grace = "60s" }' on=INT:exit:0 on=TERM:note pause
    begins gone slow deaf other || return
    : >"$CONF"
    service slow 'stop { signal = TERM grace = "300ms" } umask = "077"' pause
    service other 'stop { signal = TERM grace = "300ms" } umask = "077"' on=TERM:exit:0 pause
    must "reloaded" ask reload
    must "a removed one gets its old signal" wait_until 10 seen gone 'got INT'
    must "and is gone" wait_until 10 gone "$(pid_of gone)"
    must "its old grace, then KILL" wait_until 10 gone "$(pid_of deaf)"
    must "a changed one, too" wait_until 10 seen slow 'got INT'
    must "and comes back" wait_until 10 seen other start 2
    nap 1
    must "with its old grace" alive "$(pid_of slow)"
    must "nobody had the new signal" never "" 'got TERM'
    kill -KILL "$(outer "$(pid_of slow)")"
    must "slow comes back" wait_until 10 seen slow start 2
    must "up" wait_until 10 is other ready 1
    must "under the new settings" ask 'stop other' 'wait for=down other'
    must "the new signal" seen other 'got TERM'
}
in_modes "pid1 subreaper user" "what goes or changes is stopped under its old settings" old_settings

environment() {
    fresh
    aside
    echo A=1 >"$D/web.env"
    service web 'environment_file = web.env' on=TERM:exit:0 facts pause
    service other 'requires = {web}' on=TERM:exit:0 pause
    begins web other || return
    must "nothing to do" test "$(ask plan | wc -l)" = 1
    printf '# in other words\nA="1"\n' >"$D/web.env"
    must "in other words" test "$(ask reload | wc -l)" = 1
    echo A=2 >"$D/web.env"
    must "planned" replies '^change name=web do=restart$' plan
    must "its dependent, too" replies '^change name=other do=restart because=web$' reload
    must "what is written now" wait_until 10 seen web 'fact env A=2'
    must "both are back" wait_until 10 seen other start 2
    must "once" test "$(count web start)$(count other start)$(count a start)" = 221
}
in_modes "pid1 subreaper user" "an environment file counts with what it says" environment

new_need() {
    fresh
    aside
    service db 'start = manual' on=TERM:exit:0 pause
    service cache '' on=TERM:exit:0 pause
    service web '' on=TERM:exit:0 pause
    service failing 'restart { policy = never }' exit=1
    begins cache web || return
    must "failed" wait_until 10 is failing state failed
    must "one is stopped" ask 'stop cache' 'wait for=down cache'
    sed -i 's/service web {/& requires = {db} wants = {cache}/; s/service failing {/& wants = {db}/' "$CONF"
    must "planned" replies '^change name=cache do=start because=web$' plan
    must "with its reason" replies '^change name=db do=start because=failing$' reload
    must "the manual one runs" wait_until 10 is db ready 1
    must "the stopped one, too" wait_until 10 is cache ready 1
    must "who needs them was let be" test "$(count web start)$(count web got)" = 10
    must "who gave up is not forgiven" is failing state failed
    must "one stop more" ask 'stop cache' 'wait for=down cache'
    must "it stays so" test "$(ask reload | wc -l)" = 1
    must "down" is cache state down
}
in_modes "pid1 subreaper user" "what a service comes to depend on is started" new_need

done_testing
