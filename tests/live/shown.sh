#!/bin/bash
# What tendctl tells of what has been, on what it is written to, from where it is asked; and its
# command line. What it tells of services as they are: see tendctl.sh.
# shellcheck disable=SC2016 # for jq
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"

# ---- what has been ----
dumps_core() { # whether the kernel says so, of another process in the same place
    (cd "$T" && ulimit -c unlimited && bash -c '"$@"; :' bash "$BIN/actor" - x kill=SEGV 2>&1) | grep -q 'core dumped'
}
history() {
    lacks jq && return
    local before after core=false
    before=$(date +%s)
    conf "service dumps { type = oneshot directory = \"$T\" limits { core = \"1G\" } command = $(actor dumps sleep=100 kill=SEGV) restart { limit = 1 } }"
    service fails 'type = oneshot' sleep=300 exit=7
    service prepared "before_start = $(actor before exit=9) restart { policy = always limit = 1 }" pause
    service s '' on=TERM:exit:5 pause
    service never 'start = manual' pause
    service kills 'stop { grace = "300ms" }' ignore=TERM pause
    begins s kills || return
    becomes fails failed
    becomes dumps failed
    becomes prepared failed
    ends 0 stop --wait s kills
    dumps_core && core=true
    rm -f "$T"/core*
    after=$(date +%s)
    ends 0 history
    tells '^NAME +WHEN +RAN +EXIT +CAUSE +STOP TOOK$' '^fails +[0-9-]+ [0-9:]+ +[0-9.]+m?s +exit 7 +exit +-$' \
        '^dumps .* SEGV( core)? +exit' '^prepared .* exit 9 \(before_start\) +before_start' '^s .* exit 5 +request' \
        '^kills .* KILL +request +[0-9.]+m?s, KILL$'
    must "one line for each" test "$(wc -l <"$TOLD")" = 6
    ends 0 history fails s
    must "of two" test "$(sed 1d "$TOLD" | cut -d' ' -f1 | paste -sd' ')" = "fails s"
    ends 0 history never
    tells_only 'no deaths'
    ends 0 --json history never
    holds '. == {"deaths": []}'
    refuses 4 'did you mean "fails"' history fals
    ends 0 --json history
    shaped "$DEATH" '.deaths[]'
    holds '(.deaths | length) == 5 and ([.deaths[].at_ms] | . == sort)'
    holds --argjson before "$before" --argjson after "$after" 'all(.deaths[].time; test("^[0-9-]+T[0-9:]+\\.[0-9]{3}Z$")
        and (sub("\\.[0-9]+Z$"; "Z") | fromdate | . >= $before - 1 and . <= $after + 1))'
    holds --argjson begin "$(at fails start)" --argjson gone "$(at fails exit)" --argjson now "$(now)" '.deaths[]
        | select(.service == "fails") | .exit == 7 and .at_ms >= $gone - 50 and .at_ms <= $now
        and .ran_ms >= 298 and .at_ms - .ran_ms <= $begin + 2 and .killed == false'
    holds --argjson core $core '.deaths[] | select(.service == "dumps")
        | .killed_by == "SEGV" and .exit == null and .core == $core'
    holds '.deaths[] | select(.service == "prepared")
        | .process == "before_start" and .exit == 9 and .cause == "before_start"'
    holds '.deaths[] | select(.service == "s") | .process == "main" and .exit == 5 and .cause == "request" and .pid > 1'
    holds '.deaths[] | select(.service == "kills") | .killed_by == "KILL" and .killed and .age_ms >= 300'
    ends 0 why dumps
    tells "^dumps failed: signal SEGV$([ $core = false ] || echo ' \(core dumped\)')[;.]"
}
in_modes "pid1 subreaper" "history: how and when lives have ended" history

events_told() {
    lacks jq && return
    service s '' on=TERM:exit:0 pause
    service base '' on=TERM:exit:0 pause
    begins s base || return
    ends 0 stop --wait s
    ends 0 events
    must "each with its time" not grep -qvE '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{3}  [^ ]' "$TOLD"
    tells "s: ready.*, pid $(pid_of s)\$" 's: down after ' \
        "asked by uid $([ "$MODE" = user ] && echo 65534 || echo 0), pid [0-9]+: stop s\$"
    cp "$TOLD" "$T/text"
    ends 0 --json events
    shaped "$EVENT" .
    must "the same ones" diff <(cut -c 26- "$T/text") <(jq -r .text "$TOLD")
    holds -s '[.[].seq] | . == (sort | unique)'
    holds -s --argjson now "$(now)" '[.[].at_ms] | . == sort and .[-1] <= $now'
    holds -s --argjson up "$(at s up)" 'any(.[]; .service == "s" and .to == "stopping" and .at_ms >= $up)'
}
in_modes "pid1 subreaper user" "events that are kept" events_told

follows() { # FLAG: what happens now is seen there
    client "$BIN/tendctl" start s >/dev/null && flag_has "$1" 'asked by .*: start s'
}
follow() {
    lacks jq && return
    local last=text flag
    service s '' on=TERM:exit:0 pause
    begins s || return
    goes text events -f
    goes json --json events --follow
    goes broken events -f
    goes out events -f
    for flag in text json broken out; do
        must "$flag follows" wait_until 10 follows $flag
    done
    must "from then on" not flag_has text 's: ready'
    ends 0 restart --wait s
    must "it sees what happens" wait_until 10 flag_has text 'asked by .*: restart s$'
    must "it is back" lives s 2
    must "to its end" wait_until 10 flag_has text "s: ready.*, pid $(pid_of s)\$"
    must "as JSON too" wait_until 10 flag_has json '"text":"asked by [^"]*: restart s"'
    inside kill -INT "$(<"$T/flag.broken.pid")"
    comes broken 130
    inside kill -TERM "$(<"$T/flag.out.pid")"
    comes out 143
    must "the others go on" still_goes text
    # From its namespace nobody could tell of its end.
    if [ "$MODE" = pid1 ]; then
        INSIDE=
        last=outside
        goes outside events -f
        must "it follows" wait_until 10 follows outside
    fi
    ends 0 shutdown
    comes $last 0
    INSIDE=inside
    must "it is told" grep -qx 'tend has ended' "$T/flag.$last.err"
    must "the last words too" flag_has $last 's: down'
    if [ "$MODE" != pid1 ]; then
        comes json 0
        cp "$T/flag.json" "$TOLD"
        shaped "$EVENT" .
        holds -s 'any(.[]; .kind == "shutdown")'
    fi
    await_end 10
}
in_modes "pid1 subreaper user" "events -f: until it is interrupted, or tend ends" follow

follow_killed() {
    service s '' pause
    begins s || return
    goes follow events -f
    must "it follows" wait_until 10 follows follow
    end_all 2>/dev/null
    comes follow 0
    must "it is told" grep -qx 'tend has ended' "$T/flag.follow.err"
}
run_case subreaper "events -f: tend is killed" follow_killed

# ---- what it is written to ----
output() {
    local fifo=$T/flag.pipe reader writer words
    service s '' pause
    service old 'type = oneshot' exit=1
    begins s || return
    must "there is a death" wait_until 10 seen old exit
    for words in status 'status s' 'why s' graph 'graph --dot' events history 'ready s' 'wait s' 'start s' names version \
        plan help --help --version 'status --help' '--json status' '--json events' '--json why s' '--json names'; do
        # shellcheck disable=SC2086 # words
        client "$BIN/tendctl" $words >/dev/full 2>"$COMPLAINT"
        CODE=$?
        must "71 from $words on a full disk: $CODE" test $CODE = 71
        complains '^tendctl: cannot write: No space left on device$'
    done
    mkfifo "$fifo"
    exec {reader}<>"$fifo"
    exec {writer}>"$fifo"
    exec {reader}<&-
    for words in status 'why s' graph events 'events -f' history names '--json status' '--json events -f'; do
        # shellcheck disable=SC2086,SC2261 # words; stdout alone
        client "$BIN/tendctl" $words >&"$writer" 2>"$COMPLAINT"
        CODE=$?
        must "$words ends of SIGPIPE where nobody reads: $CODE" test $CODE = 141
        must "quietly: $(<"$COMPLAINT")" test ! -s "$COMPLAINT"
    done
    exec {writer}>&-
    client "$BIN/tendctl" status >&- 2>"$COMPLAINT"
    CODE=$?
    must "no stdout: $CODE" test $CODE = 0
    client "$BIN/tendctl" status nosuch >"$TOLD" 2>&-
    CODE=$?
    must "no stderr: $CODE" test $CODE = 4
    client "$BIN/tendctl" status s <&- >"$TOLD" 2>"$COMPLAINT"
    tells '^s +running'
}
run_case subreaper "a full disk is told, a reader who leaves is not" output

# ---- bytes that a terminal must not get ----
odd_comm() { # of the main process of s
    tr -d '\n' <"/proc/$(outer "$(pid_of s)")/comm" | od -An -c
}
escapes() {
    lacks jq && return
    local odd=$'\e[31m\a\xc2\x9b2J\xff' words locale
    ln -s "$BIN/actor" "$T/$odd"
    conf "service s { description = \"ä\" stop { grace = \"60s\" }" \
        "    command = {\"$T/\\x1b[31m\\x07\\xc2\\x9b2J\\xff\", \"$J\", \"s\", \"ignore=TERM\", \"pause\"} }" \
        "service gone { command = {\"$T/\\x1b[5m\"} restart { limit = 1 } }"
    if begins s; then
        becomes gone failed
        ends 0 stop s
        becomes s stopping
        must "such a name: $(odd_comm)" grep -q $'\e' "/proc/$(outer "$(pid_of s)")/comm"
        for locale in C C.UTF-8; do
            AS=(env "LC_ALL=$locale")
            for words in status 'why s' 'why gone' events history graph ready; do
                # shellcheck disable=SC2086 # words
                ctl $words
                must "no control byte from $words in $locale" \
                    not grep -qaP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xff' "$TOLD"
            done
        done
        AS=()
        ends 0 why s
        tells "^  pid $(pid_of s) \\(.*31m.*\\) of s, state S"
        ends 0 --json why s
        must "nor raw in JSON" not grep -qaP '[\x00-\x09\x0b-\x1f\x7f]' "$TOLD"
        must "JSON is UTF-8" iconv -f UTF-8 -t UTF-8 "$TOLD"
        holds '.services[0].description == "ä"'
        ends 0 shutdown --now
        await_end 20
    fi
    rm "$T/$odd"
}
run_case subreaper "bytes from elsewhere never reach a terminal raw" escapes

# ---- words on the command line ----
help() {
    local words
    for words in status why graph events history ready wait start stop restart reload-service signal plan reload check \
        shutdown names version; do
        ends 0 help "$words"
        tells "^usage: tendctl $words" '^Options:$' '^Exit codes:$'
        must "80 columns: $words" test "$(wc -L <"$TOLD")" -le 80
        cp "$TOLD" "$T/help"
        ends 0 "$words" --help
        must "the same from $words --help" diff "$T/help" "$TOLD"
        ends 0 --help
        tells "^  $words"
    done
    must "80 columns: --help" test "$(wc -L <"$TOLD")" -le 80
    cp "$TOLD" "$T/help"
    ends 0 -h
    must "-h is --help" diff "$T/help" "$TOLD"
    ends 0 help
    must "help is --help" diff "$T/help" "$TOLD"
    ends 64
    must "without words, on stderr" diff "$T/help" "$COMPLAINT"
    must "and not on stdout" test ! -s "$TOLD"
}
run_case subreaper "help of all and of each" help

usage() {
    lacks jq && return
    local words
    service base '' pause
    begins base || return
    refuses 64 'no verb "strat": did you mean "start"\?' strat base
    refuses 64 'no verb "relaod": did you mean "reload"\?' relaod
    refuses 64 'no verb "stat": did you mean "status"\?' stat
    refuses 64 'no verb "xyzzy"; see' xyzzy
    refuses 64 'did you mean "stop"' help stpo
    refuses 64 'no option --tiemout: did you mean --timeout\?' --tiemout 3s status
    refuses 64 'no option -x' status -x
    refuses 64 '--wait is not for status' status --wait
    refuses 64 '--now is not for start' start base --now
    refuses 64 '--wait' --wait start base
    refuses 64 '--timeout needs a value' status --timeout
    refuses 64 '"soon" is no time' status --timeout soon
    refuses 64 '"blue" is unknown: write auto, always or never' status --color blue
    refuses 64 '"up" is unknown: write ready, down or failed' wait --for up base
    refuses 64 '"FOO" is no signal' signal FOO base
    refuses 64 '"never" is no time' shutdown --deadline never
    for words in start stop restart reload-service why 'signal TERM'; do
        # shellcheck disable=SC2086 # words
        refuses 64 'needs more words: tendctl' $words
    done
    for words in 'why base base' 'graph base' 'events base' 'plan base' 'reload base' 'shutdown base' 'names base' \
        'version base'; do
        # shellcheck disable=SC2086 # words
        refuses 64 'takes (fewer words|no names): tendctl' $words
    done
    for words in '' 'a b' $'a\nb' 'ä' 'a=b' "$(printf 'n%.0s' {1..65})" '../x' '*'; do
        refuses 4 'no service' status base "$words"
    done
    # shellcheck disable=SC2046 # words
    refuses 64 'too many names' status $(printf 'base%.0s ' {1..1000})
    refuses 4 'did you mean "base"' start base bsae
    refuses 4 'did you mean "base"' wait bas
    refuses 4 'did you mean "base"' signal TERM Base
    must "nothing was done" test "$(count base got)$(count base start)" = 01
    ends 0 status base --json
    holds '.services[0].name == "base"'
    ends 0 --timeout=10s --color=never status -- base
    tells '^base +running'
}
run_case subreaper "what is wrong, and what was meant" usage

versions() {
    lacks jq && return
    service s '' on=TERM:exit:0 pause
    begins s || return
    local pid=$TEND version
    [ "$MODE" != pid1 ] || pid=1
    version=$("$BIN/tend" --version | grep -oE '[0-9]+\.[0-9.]+' | head -n 1)
    ends 0 --version
    tells_only "tendctl $version"
    ends 0 version
    tells_only "tendctl $version" "tend $version, pid $pid, protocol 1, all rights, at $RUN"
    ends 0 --json version
    shaped 'version:string protocol:number pid:number rights:string at_ms:number' .tend
    holds --arg version "$version" --arg run "$RUN" --argjson pid "$pid" 'keys == ["directory", "tend", "tendctl"]
        and .tendctl == $version and .directory == $run and .tend.version == $version and .tend.pid == $pid'
    holds --argjson now "$(now)" '.tend.at_ms <= $now and .tend.at_ms > $now - 60000'
    ends 0 version --runtime "$T/nowhere"
    tells_only "tendctl $version" "no tend answers at $T/nowhere"
    ends 0 --json version --runtime "$T/nowhere"
    holds '.tend == null'
}
in_modes "pid1 subreaper user" "versions of both" versions

# ---- from another place ----
outside() { # by the path of its directory, from where its pids are others
    lacks jq && return
    service s '' on=TERM:exit:0 pause
    service t '' on=TERM:exit:0 pause
    begins s t || return
    INSIDE=
    ends 0 --json status s
    holds --argjson pid "$(pid_of s)" '.services[0] | .pid == $pid and .memory_bytes == null'
    ends 0 status
    tells "^s +running +yes +$(pid_of s) +[0-9.]+m?s +0 +- +-\$"
    ends 0 restart --wait s
    must "a new life" lives s 2
    ends 0 version
    tells 'pid 1,'
    # Not even where its pid is, seen from here, that of another one.
    inside sh -c "echo $(($(outer "$(pid_of t)") - 1)) >/proc/sys/kernel/ns_last_pid" 2>>"$LOG"
    ends 0 restart --wait s
    ends 0 --json status s
    holds '.services[0].memory_bytes == null'
    INSIDE=inside
    ends 0 --json status s
    holds '.services[0].memory_bytes > 0'
    INSIDE=
    ends 0 shutdown --wait
    INSIDE=inside
    must "it is gone" tend_is_gone
    await_end 10
    must "status: $STATUS" test "$STATUS" = 0
}
run_case pid1 "from outside of its namespace: no memory is made up" outside

own_directory() {
    local own=$T/flag.own user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    mkdir "$own" && chmod 777 "$own"
    WRAP=(env -u TEND_RUNTIME "XDG_RUNTIME_DIR=$own")
    service s '' pause
    run_tend "$MODE"
    must "start" wait_until 10 up s
    must "the socket" wait_until 10 test -S "$own/tend/control"
    AS=("${WRAP[@]}" "${user[@]}")
    ends 0 version
    tells "all rights, at $own/tend\$"
    ends 0 status s
    AS=(env TEND_RUNTIME= "XDG_RUNTIME_DIR=$own" "${user[@]}")
    ends 0 status s
    # Where it has none of its own, that of the system is meant; and root looks there only.
    AS=(env -u TEND_RUNTIME "XDG_RUNTIME_DIR=$T" "${user[@]}")
    ends 0 version
    tells ' at /run/tend$'
    AS=("${WRAP[@]}")
    ends 0 version
    tells ' at /run/tend$'
    AS=()
    ends 0 --runtime "$own/tend" status s
    ends 0 status --runtime "$own/../flag.own/tend" s
    stop_tend
    rm -rf "$own"
}
run_case user "the directory of its user" own_directory

checks() {
    lacks jq && return
    service base 'stop { grace = "1s" } description = "ä"' pause
    service top 'requires = {base}' pause
    local words expected
    for words in '' '--deadline 1h' '--deadline 3s'; do
        # shellcheck disable=SC2086 # words
        client "$BIN/tend" --check -c "$CONF" $words >"$T/expected" 2>"$T/expected.err"
        expected=$?
        # shellcheck disable=SC2086 # words
        ends "$expected" check -c "$CONF" $words
        must "the same" diff "$T/expected" "$TOLD"
        must "the same on stderr" diff "$T/expected.err" "$COMPLAINT"
    done
    must "the last one does not fit: $expected" test "$expected" = 1
    client "$BIN/tend" --check --format json -c "$CONF" >"$T/expected"
    ends 0 check --json -c "$CONF"
    must "the same JSON" diff "$T/expected" "$TOLD"
    ends 0 --json check -c "$CONF"
    must "wherever that word stands" diff "$T/expected" "$TOLD"
    holds '.ok and (.services | length) == 2'
    conf 'service bad { nice = 77 }'
    ends 78 check -c "$CONF"
    complains "$CONF:[0-9]+: bad: .*nice"
    ends 78 check --json -c "$CONF"
    holds '.ok == false and (.problems | length) > 0'
    ends 64 check --nonsense
    cp "$BIN/tendctl" "$T/flag.alone"
    AS=(env PATH=/nowhere)
    client "$T/flag.alone" check -c "$CONF" >"$TOLD" 2>"$COMPLAINT"
    CODE=$?
    AS=()
    must "without tend: $CODE" test "$CODE" = 71
    complains '^tendctl: tend: No such file'
}
run_case subreaper "check: as tend --check" checks

done_testing
