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
    service+=" next=5 description=$bad"
    for locale in C C.UTF-8; do
        AS=(env "LC_ALL=$locale")
        plays "$GREETING" "$service\nok at=2000\n" "death seq=1 at=1000 service=a$bad killed_by=$bad cause=$bad\nok at=2000\n"
        for words in status names graph 'graph --dot' 'why a' 'start a' 'ready' wait; do
            # shellcheck disable=SC2086 # words
            ctl --runtime "$T/flag.fake" $words
            must "$words is told in $locale" test -s "$TOLD"
            must "no control byte from $words in $locale: $(od -c "$TOLD" | head -n 5)" not raw
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

done_testing
