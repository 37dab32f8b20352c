#!/bin/bash
# --check tells what start and shutdown will be, and whether that fits a deadline; each number is
# computed by hand here.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cp "$BUILD/tend-json" "$BIN/" || exit 1

check() { # ARGUMENT...: of $CONF; sets STATUS, fills $OUT and $LOG
    : >"$OUT"
    WRAP=(env "LC_ALL=${CHARSET:-C.UTF-8}")
    try_tend --check -c "$CONF" "$@"
}
add() { # NAME KEYS
    conf "service $1 { command = {\"/bin/true\"} $2 }"
}
ended_with() {
    [ "$STATUS" = "$1" ]
}
# The lines from the first that begins with FROM to the first that begins with TO, both inclusive.
part() { # FROM TO
    awk -v from="$1" -v to="$2" 'index($0, from) == 1 { on = 1 } on { print } on && index($0, to) == 1 { exit }' "$OUT"
}
is() { # COMMAND...: prints what stands in $T/expected; the difference is shown with the log
    "$@" | diff "$T/expected" - >>"$LOG"
}
expect() { # what is read here
    cat >"$T/expected"
}
fits_width() {
    [ "$(LC_ALL=C.UTF-8 wc -L <"$OUT")" -le 80 ]
}
# "1m2s" as 62000, wherever it stands.
in_ms() {
    awk '
        function ms(t, sum, n) {
            while (match(t, /^[0-9]+/)) {
                n = substr(t, 1, RLENGTH)
                t = substr(t, RLENGTH + 1)
                match(t, /^[a-z]+/)
                sum += n * unit[substr(t, 1, RLENGTH)]
                t = substr(t, RLENGTH + 1)
            }
            return sum "" t
        }
        BEGIN { unit["ms"] = 1; unit["s"] = 1000; unit["m"] = 60000; unit["h"] = 3600000; unit["d"] = 86400000 }
        {
            for (i = 1; i <= NF; i++)
                if ($i ~ /^\(?([0-9]+(ms|[smhd]))+[,:]?$/)
                    $i = ms($i)
            $1 = $1
            print
        }'
}

# base <- left <- top, base <- right <- top; tool is manual, old belongs to nobody.
diamond() {
    conf 'supervisor { grace = "4s" }'
    add base 'stop { grace = "1s" } ready { timeout = "20s" }'
    add left 'requires = {base} ready { timeout = "30s" }
        stop { drain = "2s" command = {"/bin/true"} command_timeout = "3s" grace = "10s" then = {"INT 5s"} }'
    add right 'wants = {base} stop { signal = HUP grace = "500ms" } ready { timeout = "1m5s" }'
    add top 'requires = {left} after = {right} ready { timeout = "10s" }'
    add tool 'start = manual wants = {base} ready { timeout = "1h" }'
    add old 'stop { grace = "0s" }'
}

# ---- what is told ----
table() {
    diamond
    check
    must "good: $STATUS" ended_with 0
    expect <<'END'
SERVICE  AT MOST  ITS STOP (KILL: 5s)
base          6s  TERM 1s, KILL
left         25s  drain 2s, command 3s, TERM 10s, INT 5s, KILL
right    5s500ms  HUP 500ms, KILL
top           9s  TERM 4s, KILL
tool          9s  TERM 4s, KILL
old           5s  TERM 0s, KILL
END
    must "each service with its stop" is part SERVICE old
    expect <<'END'
Start, at most 1m35s:
  base 20s, right 1m5s, top 10s
Shutdown, at most 49s:
  top 9s, left 25s, base 6s + sweep 9s (TERM 4s, KILL)
END
    must "the longest ways" is part 'Start,' '  top'
    expect <<'END'
Give tend 50s before it is killed (the worst case and 1s of reserve):
  Kubernetes  terminationGracePeriodSeconds: 50
  Compose     stop_grace_period: 50s
  Docker      docker stop -t 50
  Podman      podman run --stop-timeout 50
END
    must "the number for those who stop us" is part 'Give tend' '  Podman'
}
run_case subreaper "a stop is told step by step, and the longest ways with their times" table

tree() {
    diamond
    add two 'requires = {base, old} wants = {left} after = {left}'
    check
    expect <<'END'
base
├─ left (requires)
│  ├─ top (requires)
│  └─ two (wants)
├─ right (wants)
│  └─ top (after, above)
├─ tool (wants, manual)
└─ two (requires, above)
old
└─ two (requires, above)
END
    sed -n '/^base$/,/^$/p' "$OUT" | sed '$d' >"$T/utf8"
    must "by edges, each once in full" is cat "$T/utf8"
    CHARSET=C check
    sed -n '/^base$/,/^$/p' "$OUT" | sed '$d' >"$T/ascii"
    must "in ASCII where the locale is not UTF-8" not grep -q '[^ -~]' "$OUT"
    must "the same tree" diff <(sed 's/├/|/g; s/│/|/g; s/└/`/g; s/─/-/g' "$T/utf8") "$T/ascii"
}
run_case subreaper "the dependencies as a tree" tree

one() {
    add alone 'start = manual'
    check
    must "good: $STATUS" ended_with 0
    must "nothing starts" said '^Start: no service starts by itself$'
    must "but it may have to be stopped" said '^Shutdown, at most 30s:$'
}
run_case subreaper "a manual service alone" one

manual() { # wanted along a chain of which only the last starts by itself
    add a 'start = manual ready { timeout = "1s" }'
    add b 'start = manual wants = {a} ready { timeout = "10s" }'
    add never 'start = manual ready { timeout = "1000s" }'
    add c 'requires = {b} after = {never} ready { timeout = "100s" }'
    check
    expect <<'END'
Start, at most 1m51s:
  a 1s, b 10s, c 1m40s
END
    must "the wanted count, the others not" is part 'Start,' '  a'
}
run_case subreaper "a manual service counts for the start where another takes it along" manual

# ---- large sets ----
long_chain() { # COUNT
    local i
    for ((i = 1; i <= $1; i++)); do
        add "s$i" "$([ "$i" = 1 ] || echo "requires = {s$((i - 1))}")"
    done
    must "soon" in_time 1000 check
    must "good: $STATUS" ended_with 0
    must "the sum" said '^Shutdown, at most 4h10m15s:$' # 1000 x 15 s and the sweep
    must "and of the start" said '^Start, at most 1d1h:$' # 1000 x 90 s
    must "in 80 columns" fits_width
    must "each once in full" test "$(grep -c '^[ └─]*s[0-9]* (requires)$' "$OUT")" -ge $(($1 * 9 / 10))
    must "the whole way" test "$(sed -n '/^Shutdown/,/^$/p' "$OUT" | grep -o 's[0-9]* 15s' | wc -l)" = "$1"
    must "soon with a deadline" in_time 1000 check --deadline 1m
    must "which does not fit: $STATUS" ended_with 1
}
dense() { # LAYERS WIDTH: each depends on all of the layer before
    local i k
    for ((i = 1; i <= $1; i++)); do
        for ((k = 1; k <= $2; k++)); do
            add "s$i.$k" "$([ "$i" = 1 ] || echo "requires = {$(seq -s, -f "s$((i - 1)).%g" "$2")}")"
        done
    done
    must "soon" in_time 1000 check
    must "good: $STATUS" ended_with 0
    must "in 80 columns" fits_width
    must "each edge once" test "$(grep -c '(requires' "$OUT")" = $((($1 - 1) * $2 * $2))
}
long_names() {
    local long
    long=$(printf 'n%.0s' $(seq 63))
    add "${long}1" 'stop { drain = "1d" then = {"HUP 1s", "INT 2s", "QUIT 3s", "USR1 4s", "USR2 5s", "TERM 6s"} }'
    add "${long}2" "start = manual after = {${long}1}"
    add "${long}3" "start = manual requires = {${long}2}"
    add "${long}4" "start = manual requires = {${long}3} wants = {${long}1}"
    check --deadline 1h
    must "does not fit: $STATUS" ended_with 1
    must "in 80 columns" fits_width
}
in_time() { # MS COMMAND...
    local limit=$1 begin
    shift
    begin=$(now)
    "$@"
    [ $(($(now) - begin)) -le "$limit" ]
}
run_case subreaper "1,000 services in a chain" long_chain 1000
run_case subreaper "every service on each of the layer before" dense 20 15
run_case subreaper "names of 64 letters" long_names

# ---- the deadline ----
edge() {
    diamond # 49 s
    check --deadline 49s
    must "as long as that fits: $STATUS" ended_with 0
    must "told" said '^Deadline 49s: it fits, 0s are left\.$'
    check --deadline 1m
    must "longer fits: $STATUS" ended_with 0
    must "what is left" said '^Deadline 1m: it fits, 11s are left\.$'
    must "the number is that of the worst case" said 'terminationGracePeriodSeconds: 50$'
    check --deadline 48s999ms
    must "shorter does not: $STATUS" ended_with 1
    must "told" said '^Deadline 48s999ms: it does NOT fit, the worst case is 1ms too long\.$'
    must "the number is that of the deadline" said 'terminationGracePeriodSeconds: 50$'
    check
    must "without one: $STATUS" ended_with 0
    must "nothing of it" not grep -q Deadline "$OUT"
}
run_case subreaper "a deadline fits to the millisecond" edge

# The waits along the chain: 4 + 2 + 3 + 10 + 5 + 1 = 25 s. Of 16 s, 1 s is kept: 15/25 of each is left.
too_long() {
    diamond
    check --deadline 16s
    must "does not fit: $STATUS" ended_with 1
    expect <<'END'
Deadline 16s: it does NOT fit, the worst case is 33s too long.
  The waits of this chain are 29s in all, so that none at all would not do
  either: 5s after each of 4 KILLs remain. Put fewer services in a row:
    top 4s, left 20s, base 1s, supervisor.grace 4s
  The ways through these are too long as well: right tool
  As it is, tend shortens them, where all of them are used up:
    top      TERM 4s->2s400ms, KILL
    left     drain 2s->1s200ms, command 3s->1s800ms, TERM 10s->6s, INT 5s->3s,
             KILL
    base     TERM 1s->600ms, KILL
  At 15s, 1s before the deadline, KILL goes to all that is left, in no order.
END
    must "what would have to be changed, and what each gets instead" is part 'Deadline' '  At'
}
run_case subreaper "a deadline that is too short for what cannot be shortened" too_long

can_be_shortened() {
    diamond
    check --deadline 30s
    must "does not fit: $STATUS" ended_with 1
    expect <<'END'
Deadline 30s: it does NOT fit, the worst case is 19s too long.
  To make it fit, take 19s out of the waits of this chain, which are 29s in all:
    top 4s, left 20s, base 1s, supervisor.grace 4s
  As it is, tend shortens none of these; only the times after KILL and the sweep
  may be cut off:
    top      TERM 4s, KILL
    left     drain 2s, command 3s, TERM 10s, INT 5s, KILL
    base     TERM 1s, KILL
  At 29s, 1s before the deadline, KILL goes to all that is left, in no order.
END
    must "what to shorten, and by how much" is part 'Deadline' '  At'
    must "the number is that of the deadline" said 'stop_grace_period: 31s$'
    sed -i 's/grace = "10s" then/grace = "100ms" then/; s/INT 5s/INT 100ms/; s/drain = "2s"/drain = "0s"/; s/command_timeout = "3s"/command_timeout = "800ms"/' "$CONF"
    check --deadline 30s
    must "one that takes that out has it: $STATUS" ended_with 0
    must "to the second" said '^Deadline 30s: it fits, 0s are left\.$'
}
run_case subreaper "a deadline that a shorter chain would fit" can_be_shortened

waived() {
    local i
    for i in 1 2 3 4 5; do
        add "s$i" "stop { grace = \"10s\" } $([ "$i" = 1 ] || echo "requires = {s$((i - 1))}")"
    done
    check --deadline 2s # 1500 ms: three times the floor
    must "does not fit: $STATUS" ended_with 1
    expect <<'END'
    s5       TERM 10s->500ms, KILL
    s4       TERM 10s->500ms, KILL
    s3       TERM 10s->500ms, KILL
    s2       KILL
    s1       KILL
  No wait is made shorter than 500ms, so that this is still too long: at
  1s500ms, 500ms before the deadline, the order is waived, KILL goes to all that
  is left and cuts these off.
END
    must "the floor, and the end of the order" is part '    s5    ' '  is left'
}
run_case subreaper "below the floor the order is waived" waived

# What a service may ask for is in its worst case; a deadline cuts no wait for it.
stretched() {
    add db 'notify { access = all } stop { signal = INT grace = "30s" max = "1m" }'
    add web 'requires = {db} stop { grace = "4s" max = "4s" }'
    check --deadline 50s
    must "does not fit: $STATUS" ended_with 1
    must "what it may ask for" said '^db +1m5s  INT 30s, KILL \(stop\.max 1m\)$'
    must "no more than is written" said '^web +9s  TERM 4s, KILL$'
    must "the whole" said '^Shutdown, at most 1m29s:$'
    must "nothing is cut" said '^    db +INT 30s, KILL$'
    must "but what is beyond that" said 'only what stop\.max gives beyond them'
    lacks jq && return
    check --format json
    must "for programs" jq -e '[.services[] | [.stop_max_ms, .stop_ms]] == [[60000, 65000], [null, 9000]]' "$OUT"
}
run_case subreaper "a stop that may be stretched" stretched

in_config() {
    diamond
    sed -i 's/^supervisor {/supervisor { deadline = "30s"/' "$CONF"
    check
    must "that of the config: $STATUS" ended_with 1
    must "told" said '^Deadline 30s: it does NOT fit'
    check --deadline 2m
    must "the command line goes over it: $STATUS" ended_with 0
    must "told" said '^Deadline 2m: it fits'
}
run_case subreaper "the deadline of the config" in_config

# db is told when web had its share of the 3 s that are left of 4.
as_told() {
    service db 'stop { grace = "4s" }' on=any:note pause
    service web 'requires = {db} stop { grace = "8s" }' on=any:note pause
    check --deadline 4s
    must "does not fit: $STATUS" ended_with 1
    must "two thirds" said '^    web +TERM 8s->2s, KILL$'
    must "one third" said '^    db +TERM 4s->1s, KILL$'
    WRAP=()
    run_tend "$MODE" -c "$CONF" --deadline 4s
    must "start" wait_until 10 up db web || return
    kill -TERM "$TEND"
    must "tend ends" await_end 20
    must "not early" test $(($(at db "got TERM" 1) - $(at web "got TERM" 1))) -ge 2000
    must "not as the config has it" test $(($(at db "got TERM" 1) - $(at web "got TERM" 1))) -lt 8000
}
run_case subreaper "what is told of a deadline is what happens" as_told

# ---- for programs ----
text_of_json() { # the table and the longest ways, as in_ms has them of the text
    jq -r '
        def steps: [.stop[] | if .step == "kill" then "KILL"
            else "\(.signal // .step) \(.wait_ms)" end] | join(", ");
        (.services | map({(.name): .}) | add) as $at
        | (.services[] | "\(.name) \(.stop_ms) \(steps)"),
          "Start, at most \(.start.worst_ms)",
          ([.start.chain[] | "\(.) \($at[.].ready_timeout_ms)"] | join(", ")),
          "Shutdown, at most \(.shutdown.worst_ms)",
          ([.shutdown.chain[] | "\(.) \($at[.].stop_ms)"] | join(", "))
              + " + sweep \(.shutdown.sweep_ms)",
          "\(.stop_timeout_seconds)"' "$OUT"
}
text() {
    sed -n '/^SERVICE/,/^$/p' "$OUT" | sed '1d; /^$/d' | in_ms
    sed -n '/^Start/,/^$/p' "$OUT" | sed '/^$/d; s/ (TERM.*//' | in_ms
    sed -n 's/^.*terminationGracePeriodSeconds: //p' "$OUT"
}
json() {
    lacks jq && return
    diamond
    check
    text | tr -d : >"$T/text"
    check --format json
    must "good: $STATUS" ended_with 0
    must "one document" jq -se 'length == 1' "$OUT"
    text_of_json >"$T/expected"
    must "it says what the text says" is cat "$T/text"
    must "edges" jq -e '.services[] | select(.name == "top") | .requires == ["left"] and .wants == [] and .after == ["right"]' "$OUT"
    must "who starts" jq -e '[.services[] | select(.starts | not) | .name] == ["tool"]' "$OUT"
    must "how" jq -e '[.services[] | select(.start == "manual") | .name] == ["tool"]' "$OUT"
    must "no deadline" jq -e '.ok and .deadline == null' "$OUT"
    check --format json --deadline 49s
    must "fits: $STATUS" ended_with 0
    must "told" jq -e '.deadline == {"ms": 49000, "fits": true}' "$OUT"
    check --format json --deadline 30s
    must "does not fit: $STATUS" ended_with 1
    must "told" jq -e '.deadline | .ms == 30000 and .fits == false and .too_long_ms == 19000 and .kill_all_ms == 29000
        and .order_waived == false and .services_too_long == ["base", "left", "top"]' "$OUT"
    must "the number is that of the deadline" jq -e '.stop_timeout_seconds == 31' "$OUT"
    check --format json --deadline 16s
    must "what is left of each wait" jq -e '[.services[] | select(.name == "left") | .stop[].shortened_ms] == [1200, 1800, 6000, 3000, null]' "$OUT"
}
run_case subreaper "JSON says what the text says" json

json_many() {
    lacks jq && return
    local i
    for i in $(seq 3000); do
        add "s$i" "$([ "$i" = 1 ] || echo "wants = {s$((i - 1))}")"
    done
    must "soon" in_time 3000 check --format json
    must "all" jq -e '(.services | length) == 3000 and (.shutdown.chain | length) == 3000' "$OUT"
}
run_case subreaper "JSON of 3,000 services" json_many

records() {
    lacks jq && return
    diamond
    check --format json --deadline 10s
    jq -S . "$OUT" >"$T/json"
    check --format records --deadline 10s
    must "does not fit: $STATUS" ended_with 1
    must "lines with a key and a value" not grep -vqE '^[a-z_.+]+(=|:=)' "$OUT"
    must "numbers are told from words" grep -qxF 'shutdown.worst_ms:=49000' "$OUT"
    "$BIN/tend-json" 7 <"$OUT" >"$T/made"
    must "ends as it is told: $?" test $? = 7
    must "the same document" diff "$T/json" <(jq -S . "$T/made")
    printf 'a+=x=y\na+=\\x5c\\x0a\nb.c:=1\nb.d+.e=\nb.d.f:=null\nb.d+.e=\xff\xc3\xa4\n' | "$BIN/tend-json" >"$T/made"
    must "any record" jq -e '. == {"a": ["x=y", "\\\n"], "b": {"c": 1, "d": [{"e": "", "f": null}, {"e": "\ufffdä"}]}}' "$T/made"
    local bad
    for bad in 'a' '=' 'a.=1' 'a:=' 'a:=x' 'a=\y' 'a=\x0g' $'a=1\na.b=2' $'a+=1\na.b=2' $'a=1\na+=2'; do
        "$BIN/tend-json" <<<"$bad" >"$T/made" 2>>"$LOG"
        must "refused: $bad" test $? = 71
        must "nothing told" test ! -s "$T/made"
    done
}
run_case subreaper "records are what JSON is made of" records

json_problems() {
    lacks jq && return
    conf 'service a { command = {"/bin/true"} nice = 77 }' 'service b { umask = "999" }'
    check --format json
    must "refused: $STATUS" ended_with 78
    must "each problem as on stderr" diff <(jq -r '.problems[]' "$OUT") <(grep -v '^tend: ' "$LOG")
    must "all" jq -e '.ok == false and (.problems | length) == 3' "$OUT"
    : >"$LOG"
    check
    must "without JSON: $STATUS" ended_with 78
    must "nothing on stdout" test ! -s "$OUT"
    local odd=$T/$'\xff\\".conf'
    mv "$CONF" "$odd"
    : >"$OUT"
    try_tend --check -c "$odd" --format json
    must "refused with any path: $STATUS" ended_with 78
    must "which JSON can carry" jq -e '.problems[0] | contains("\ufffd\\\".conf:1")' "$OUT"
    rm -f "$odd"
}
run_case subreaper "a config with errors as JSON" json_problems

json_places() {
    lacks jq && return
    local place=$T/place
    mkdir -p "$place/sbin" "$place/libexec/tend"
    cp "$BIN/tend" "$place/sbin/"
    add a ''
    "$place/sbin/tend" --check -c "$CONF" --format json >"$OUT" 2>"$LOG"
    must "nowhere: $?" test $? = 71
    must "what is missing, and where it was looked for" said "tend-json.*$place/sbin/tend-json.*libexec/tend/tend-json"
    must "nothing told" test ! -s "$OUT"
    must "records need nobody" "$place/sbin/tend" --check -c "$CONF" --format records
    must "nor does the text" "$place/sbin/tend" --check -c "$CONF" --format text
    cp "$BIN/tend-json" "$place/libexec/tend/"
    "$place/sbin/tend" --check -c "$CONF" --format json >"$OUT" 2>>"$LOG"
    must "where it is installed" jq -e .ok "$OUT"
    chmod 644 "$place/libexec/tend/tend-json"
    "$place/sbin/tend" --check -c "$CONF" --format json >"$OUT" 2>"$LOG"
    must "not executable: $?" test $? = 71
    must "told" said 'tend-json: Permission denied'
    rm -rf "$place"
}
run_case subreaper "the program that makes JSON is found, or missed in words" json_places

errors() {
    add a ''
    check --format xml
    must "an unknown format: $STATUS" ended_with 64
    must "told" said '"xml".*text, json or records'
    try_tend -c "$CONF" --format json
    must "a format without --check: $STATUS" ended_with 64
    check --deadline soon
    must "no time: $STATUS" ended_with 64
    try_tend --check --format json -- true
    must "of a command: $STATUS" ended_with 64
    local format
    for format in text json records; do
        "$BIN/tend" --check -c "$CONF" --format "$format" >/dev/full 2>>"$LOG"
        must "nowhere to write $format: $?" test $? = 71
    done
    must "told by tend" said 'tend: stdout: No space left'
    must "told by tend-json" said 'tend-json: .*cannot be written'
}
run_case subreaper "what --check refuses" errors

done_testing
