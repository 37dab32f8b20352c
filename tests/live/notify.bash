# shellcheck shell=bash
# What the scripts about notifications share; comes after lib.sh, tendctl.bash and probes.bash.
# shellcheck disable=SC2016,SC2034 # for jq, sh; for the scripts

END=on=TERM:exit:0
NOTE=(on=any:note on=TERM:exit:0)
STARTING='.state == "starting" and (.ready | not)'
READY='.state == "running" and .ready'

address() { # NAME: its socket in the runtime directory
    echo "$RUN/notify/$1"
}
address_told() { # NAME: as its environment says
    tr '\0' '\n' <"/proc/$(outer "$(pid_of "$1")")/environ" | sed -n 's/^NOTIFY_SOCKET=//p'
}
speaks() { # NAME ADDRESS STEP...: somebody who is of no service
    inside "${BY[@]}" "$BIN/actor" "$J" "$1" "address=$2" "${@:3}" {NEVER}<&-
}
BY=() # words put before
is_there() { # NAME...: tend answers, and these have begun
    run_tend "$MODE"
    must "it answers" wait_until 20 reachable || return
    local name
    for name; do
        must "$name begins" wait_until 20 seen "$name" start || return
    done
}
env_facts() { # NAME VARIABLE: how often it has told that it has one
    grep -cE "^[0-9]+ [0-9]+ $1 fact env $2=" "$J"
}
lines() { # REGEX: of tend's log
    grep -cE -- "$1" "$LOG"
}
told_once() { # REGEX
    must "told once: $1, but $(lines "$1") times" test "$(lines "$1")" = 1
}
tend_events() { # NAME FILTER: of its events, one line each
    client "$BIN/tendctl" --json events 2>/dev/null | jq -rc --arg name "$1" "select(.service == \$name) | $2"
}
status_is() { # NAME TEXT
    service_has "$1" ".status == \"$2\""
}

# More than tend reads at once: so many messages have room in a socket in a network namespace of
# ours. `no_long_queue && return`, before it starts.
MANY=()
for _ in {1..40}; do
    MANY+=(notify=STATUS=old)
done
no_long_queue() {
    local queue='echo 512 >/proc/sys/net/unix/max_dgram_qlen && exec "$@"'
    unshare --net sh -c "$queue" - true 2>/dev/null || {
        LACKING='a network namespace of its own'
        return 0
    }
    WRAP+=(unshare --net sh -c "$queue" -)
    return 1
}
