#!/bin/bash
# tendctl before something else in the place of tend: what it sends reaches no terminal raw, and ends
# nothing but tendctl.
# shellcheck disable=SC2016 # for jq
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"

GREETING='tend protocol=1 version=9 pid=77 rights=all at=1000\n'
FAKE=
plays() { # SCRIPT...: see fake_tend.py
    [ -z "$FAKE" ] || kill "$FAKE" && wait "$FAKE" 2>/dev/null
    rm -rf "$T/flag.fake"
    mkdir "$T/flag.fake"
    python3 -BES "$(dirname "${BASH_SOURCE[0]}")/fake_tend.py" "$T/flag.fake" "$@" 2>>"$LOG" &
    FAKE=$!
    must "it plays" wait_until 10 test -S "$T/flag.fake/control"
}
played() { # CODE ARGUMENT...
    local code=$1
    shift
    ends "$code" --runtime "$T/flag.fake" "$@"
}
no_more_plays() {
    kill "$FAKE" && wait "$FAKE" 2>/dev/null
    FAKE=
    rm -rf "$T/flag.fake"
}
raw() { # of a terminal's controls
    grep -qaP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xff' "$TOLD" "$COMPLAINT"
}
hostile() {
    lacks jq && return
    lacks python3 && return
    local bad='\\x1b[2J\\x07\\xc2\\x9b\\xff\\xe2\\x80\\xae' service locale words
    service="service name=a$bad type=$bad state=running$bad ready=1 pid=5$bad exit=$bad step=$bad cause=$bad waits_for=$bad"
    service+=" next=5 description=$bad status=$bad health=unhealthy health_failures=2 health_fault=$bad"
    service+=" notify_errno=5$bad ready_on=unix ready_at=$bad"
    for locale in C C.UTF-8; do
        AS=(env "LC_ALL=$locale")
        plays "$GREETING" "$service\nok at=2000\n" "death seq=1 at=1000 service=a$bad killed_by=$bad cause=$bad\nok at=2000\n"
        for words in status names graph 'graph --dot' 'why a' 'start a' 'ready' wait; do
            # shellcheck disable=SC2086 # words
            ctl --runtime "$T/flag.fake" $words
            must "$words is told in $locale" test -s "$TOLD"
            must "no control byte from $words in $locale: $(od -c "$TOLD" | head -n 5)" not raw
        done
        plays "$GREETING" "${service/state=running$bad/state=starting}\nok at=2000\n" 'ok at=2000\n'
        for words in 'status a' 'why a'; do
            # shellcheck disable=SC2086 # words
            played "$([ "$words" = 'why a' ] && echo 0 || echo 3)" $words
            must "none in $locale from $words: $(od -c "$TOLD" | head -n 5)" not raw
        done
        plays "$GREETING" "event seq=1 at=1000 to=$bad text=s: $bad \x1b\x9b\xff end\nok at=2000\n"
        played 0 events
        must "none in $locale from events: $(od -c "$TOLD" | head -n 5)" not raw
        tells '  s: \\x1b\[2J\\x07'
        plays "$GREETING" "problem text=$bad.conf:1: $bad\nchange name=$bad do=$bad key=$bad\nerror code=config text=no $bad\n"
        played 78 plan
        must "none in $locale from plan: $(od -c "$COMPLAINT" | head -n 5)" not raw
        plays "$GREETING" "error code=$bad name=$bad text=$bad\n"
        played 71 start a
        must "none in $locale from an error: $(od -c "$COMPLAINT" | head -n 5)" not raw
    done
    AS=()
    plays "$GREETING" "$service\nok at=2000\n"
    played 0 --json start a
    must "JSON is UTF-8" iconv -f UTF-8 -t UTF-8 "$TOLD"
    must "JSON has no raw control byte" not grep -qaP '[\x00-\x09\x0b-\x1f\x7f]' "$TOLD"
    holds '.services[0] | .name == "a\u001b[2J\u0007\u009b\ufffd\u202e" and .exit == null and .pid == null'
    no_more_plays
}
run_case subreaper "a hostile tend: nothing raw, in no locale" hostile

other_speakers() {
    lacks jq && return
    lacks python3 && return
    plays 'tend protocol=2 version=9 pid=77 at=1\n' 'ok\n'
    played 71 status
    complains 'does not speak version 1 of the protocol'
    plays 'SSH-2.0-nonsense\n' 'ok\n'
    played 71 status
    plays ''
    played 69 status
    plays "$GREETING"
    played 69 status
    complains 'no tend|ended the connection'
    plays 'error code=busy text=too many clients\n'
    played 71 status
    complains 'too many clients'
    plays 'error code=denied text=not for you\n'
    played 77 status
    plays "$GREETING" 'error code=denied text=shutdown is for root\n'
    played 77 shutdown
    plays "$(printf 'x%.0s' {1..70000})"
    played 71 status
    # What is new within version 1 is no matter.
    plays 'tend protocol=1 new=1 version=9 pid=77 rights=all at=1000 odd\n' \
        'service name=a state=running ready=1 new=field odd\nnovelty a=b\n\nservice name=b state=levitating\nok at=2000 new=1\n' \
        'novelty\nok at=2000\n'
    played 0 status
    tells '^a +running +yes' '^b +levitating' '^2 services: 1 ready$'
    played 0 --json status
    holds '[.services[].name] == ["a", "b"]'
    plays "$GREETING" wait
    played 124 --timeout 300ms status
    complains '^tendctl: it did not come within 300ms$'
    played 124 --timeout 300ms --json status
    holds '.error.code == "timeout"'
    plays wait
    played 124 --timeout 300ms status
    complains 'does not answer'
    plays "$GREETING" 'service name=a\nok\n' 'service name=a\n'
    played 69 start --wait a
    complains 'tend has ended the connection'
    no_more_plays
}
run_case subreaper "one that speaks otherwise, breaks off, or is silent" other_speakers

conditions() {
    lacks jq && return
    lacks python3 && return
    local first='service name=a type=process state=running ready=1 wanted=1 pid=5' told
    local status='status=3\\x20of\\x205\\x20\\xc3\\xa4'
    AS=(env LC_ALL=C.UTF-8)
    told="$first $status notify_errno=111 reloading=1 health=unhealthy health_failures=3 health_fault=exit\\\\x201 watchdog=5000\nok at=2000\n"
    plays "$GREETING" "$told" 'ok at=2000\n'
    played 3 status a
    tells '^a +running +yes +5 .* unhealthy: exit 1 \(3 in a row\), reloading$' '^  status: 3 of 5 ä$' \
        '^  error: Connection refused$' '^  health: unhealthy: exit 1 \(3 in a row\)$' '^  watchdog: 5s$'
    must "five lines and the title" test "$(wc -l <"$TOLD")" = 6
    played 0 why a
    tells '^a is running and ready, pid 5\. It is unhealthy: its last 3 probes failed, the last: exit 1\. It reads its config again\. It tells of an error: Connection refused\.$' \
        '^It says: 3 of 5 ä$'
    played 0 start a
    tells '^a: running, pid 5, unhealthy: exit 1 \(3 in a row\), reloading, says: 3 of 5 ä$'
    played 0 graph
    tells '^a running, unhealthy$'
    played 3 --json status a
    holds '.services[0] | .status == "3 of 5 ä" and .notify_errno == 111 and .reloading and .health == "unhealthy"
        and .health_failures == 3 and .health_fault == "exit 1" and .watchdog_ms == 5000 and .ready_on == null'
    plays "$GREETING" "${told%ok at*}${first/name=a/name=c} health=well\n${first/name=a/name=b} health=failing health_failures=1\nok at=2000\n" 'ok at=2000\n'
    played 0 status
    tells '^a +running .* reloading, says: 3 of 5 ä$' '^b +running .* probe failed$' '^3 services: 2 ready, 1 unhealthy$'
    plays "$GREETING" "service name=a state=starting pid=5 next=9000 ready_on=tcp ready_at=[::1]:80 health_fault=refused\nok at=2000\n" \
        'ok at=2000\n'
    played 3 status a
    tells '^  waits for: a connection to \[::1\]:80$'
    played 0 why a
    tells '^a is starting, pid 5; it must be ready within 9s\. It is not ready: it waits for a connection to \[::1\]:80; the last try: refused\.$'
    plays "$GREETING" "service name=a state=backoff cause=watchdog killed_by=ABRT next=1000\ndeath service=a at=1000 ran=5000 killed_by=ABRT cause=watchdog\nok at=2000\n"
    played 0 why a
    tells '^a is in backoff: its watchdog expired, next try in 1s\.$' \
        '^The last life of a ended .*: signal ABRT after 5s \(its watchdog expired\)\.$'
    plays "$GREETING" "service name=a state=stopping cause=exit pid=5 next=1000\nok at=2000\n"
    played 0 why a
    tells '^a is stopping \(by itself\); the next step comes in 1s\.$'
    AS=()
    no_more_plays
}
run_case subreaper "what services say of themselves, and answer to probes" conditions

done_testing
