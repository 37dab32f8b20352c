# shellcheck shell=bash
# What the live scripts about tendctl share; comes after lib.sh.
# shellcheck disable=SC2016,SC2034,SC2119,SC2120,SC2153 # for jq; for the scripts; from lib.sh

TOLD=$T/told COMPLAINT=$T/complaint CODE=''
AS=()          # words put before tendctl
INSIDE=inside  # or empty: from outside of tend's namespace
cp "$BUILD/tend-json" "$BIN/" || exit 1

# ---- clients ----
client() { # COMMAND...: as the user of tend, where AS does not say otherwise
    local as=("${AS[@]}")
    [ "$MODE" != user ] || [ ${#as[@]} -gt 0 ] || as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    ${INSIDE:+"$INSIDE"} timeout -k 1 60 "${as[@]}" "$@" {NEVER}<&-
}
ctl() { # ARGUMENT...: sets CODE, fills TOLD and COMPLAINT
    client "$BIN/tendctl" "$@" </dev/null >"$TOLD" 2>"$COMPLAINT"
    CODE=$?
}
ends() { # CODE ARGUMENT...: notes if it ends otherwise
    local code=$1
    shift
    ctl "$@"
    must "tendctl $*: ends with $CODE, not $code: $(head -c 300 "$COMPLAINT")" test "$CODE" = "$code"
}
tells() { # REGEX...: for each a line of the last one
    local regex
    for regex; do
        must "told: $regex, but: $(tr '\n' '|' <"$TOLD" | head -c 1500)" grep -qE -- "$regex" "$TOLD"
    done
}
tells_only() { # LINE...: these, and no other
    must "told only: $*, but: $(tr '\n' '|' <"$TOLD" | head -c 1500)" diff <(printf '%s\n' "$@") "$TOLD"
}
complains() { # REGEX...
    local regex
    for regex; do
        must "on stderr: $regex, but: $(tr '\n' '|' <"$COMPLAINT" | head -c 800)" grep -qE -- "$regex" "$COMPLAINT"
    done
}
refuses() { # CODE REGEX ARGUMENT...: in words on stderr, and nothing else; with --json as an object
    local code=$1 regex=$2
    shift 2
    ends "$code" "$@"
    complains "^tendctl: .*$regex"
    must "one line for tendctl $*" test "$(wc -l <"$COMPLAINT")" = 1
    must "nothing on stdout for tendctl $*: $(head -c 200 "$TOLD")" test ! -s "$TOLD"
    ends "$code" --json "$@"
    holds --arg regex "$regex" '.error.text | test($regex)'
    shaped 'code:string name:string? text:string' '.error'
    must "nothing on stderr of --json $*: $(head -c 200 "$COMPLAINT")" test ! -s "$COMPLAINT"
}

# ---- in the background ----
goes() { # FLAG ARGUMENT...: what is told goes to flag.FLAG, its exit code to flag.FLAG.code
    local flag=$T/flag.$1
    shift
    rm -f "$flag".*
    {
        client sh -c 'umask 0; echo $$ >"$0"; exec "$@"' "$flag.pid" "$BIN/tendctl" "$@" </dev/null >"$flag" 2>"$flag.err"
        echo $? >"$flag.code"
    } &
    wait_until 10 test -s "$flag.pid"
}
still_goes() { # FLAG
    [ ! -e "$T/flag.$1.code" ]
}
comes() { # FLAG CODE: ends soon, with this
    must "$1 ends" wait_until 30 test -s "$T/flag.$1.code" || return
    must "$1 ends with $(<"$T/flag.$1.code"), not $2: $(head -c 300 "$T/flag.$1.err")" \
        test "$(<"$T/flag.$1.code")" = "$2"
}
flag_has() { # FLAG REGEX
    grep -qE -- "$2" "$T/flag.$1"
}

# ---- JSON ----
holds() { # [OPTION...] FILTER: of what was told
    must "it holds: ${*: -1}, but: $(tr -d ' \n' <"$TOLD" | head -c 1500)" jq -e "$@" "$TOLD"
}
# Each thing that FILTER gives has exactly these keys, in this order, of these kinds; "?": or null.
shaped() { # "KEY:KIND..." FILTER
    holds -n --arg keys "$1" '
        ($keys | split(" ") | map(split(":"))) as $rows
        | ($rows | map({(.[0]): .[1]}) | add) as $kinds
        | [inputs | '"$2"'] | length > 0 and all(.[];
            keys_unsorted == ($rows | map(.[0])) and all(to_entries[];
                ($kinds[.key] | rtrimstr("?")) as $kind
                | (.value | type) == $kind or (.value == null and ($kinds[.key] | endswith("?")))))
            and all(.. | numbers; . == floor)'
}
SERVICE='name:string type:string start:string main:boolean state:string ready:boolean wanted:boolean'
SERVICE+=' again:boolean changed:boolean pid:number? process:string? for_ms:number? up_ms:number?'
SERVICE+=' restarts:number failures:number exit:number? lost:boolean killed_by:string? core:boolean'
SERVICE+=' oom:boolean cause:string? errno:number? step:string? next_ms:number? limit:number?'
SERVICE+=' window_ms:number? waits_for:string? in_vain:boolean members:number description:string?'
SERVICE+=' status:string? notify_errno:number? reloading:boolean health:string? health_failures:number'
SERVICE+=' health_fault:string? watchdog_ms:number? ready_on:string? ready_at:string? ready_fd:number?'
EVENT='seq:number at_ms:number kind:string service:string? from:string? to:string? event:string?'
EVENT+=' cause:string? process:string? pid:number? uid:number? signal:string? group:boolean count:number'
EVENT+=' exit:number? lost:boolean killed_by:string? core:boolean oom:boolean errno:number? step:string?'
EVENT+=' what:string? tries:number next_ms:number? age_ms:number? text:string time:string'
DEATH='seq:number at_ms:number service:string process:string pid:number? exit:number? lost:boolean'
DEATH+=' killed_by:string? core:boolean oom:boolean cause:string? errno:number? step:string? tries:number'
DEATH+=' ran_ms:number? age_ms:number? killed:boolean time:string'
PROCESS='service:string pid:number state:string where:string? command:string'
EDGE='from:string to:string kind:string' CHANGE='name:string do:string key:string? because:string?'

services_shaped() { # of the list in the document
    shaped "$SERVICE${1:+ $1}" '.services[]'
}
state() { # NAME STATE: it is so now
    [ "$(client "$BIN/tendctl" --json status "$1" 2>/dev/null | jq -r '.services[0].state')" = "$2" ]
}
becomes() { # NAME STATE
    must "$1 becomes $2" wait_until 20 state "$1" "$2"
}
reachable() {
    client "$BIN/tendctl" names >/dev/null 2>&1
}
begins() { # NAME...: tend, until these are up and it answers
    run_tend "$MODE"
    must "start" wait_until 20 up "$@" && must "it answers" wait_until 10 reachable
}

# ---- the kernel ----
# Its life of this number has begun, as it tells itself, and goes on: it may be ready before it has
# come to say so.
lives() { # NAME NUMBER
    wait_until 10 seen "$1" start "$2" && alive "$(pid_of "$1" "$2")"
}
tend_is_gone() { # or a zombie, which its parent has not yet collected
    ! grep -qv ') [ZX] ' "/proc/$TEND/stat" 2>/dev/null
}
