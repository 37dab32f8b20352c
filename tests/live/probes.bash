# shellcheck shell=bash
# What the scripts about readiness and health share: services that listen. Comes after lib.sh and
# tendctl.bash.
# shellcheck disable=SC2016,SC2034,SC2153 # for jq; for the scripts; from lib.sh

PYTHON=
for python in /usr/bin/python3 python3; do # one that other users can execute too
    [ -n "$PYTHON" ] || ! "$python" -c '' 2>/dev/null || PYTHON=$(command -v "$python")
done
cp "$(dirname "$0")/server.py" "$BIN/actor.py" || exit 1 # by that name it is seen when it is left
[ -n "$PYTHON" ] || PYTHON=python3
no_server() {
    lacks jq || lacks "$PYTHON"
}

# ---- who listens ----
ABSTRACT=@${T##*/} # a pid would not be ours alone: other namespaces have it too
PORT=
new_port() { # that nobody has, below those that connections get
    for _ in {1..100}; do
        PORT=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null || return 0
    done
}
# By default it is ready when it listens, and says so itself.
server() { # NAME KEYS ADDRESS [OPTION...]: see server.py
    local keys=$2 words=("$1" "$3" "$T/flag.mode.$1" "${@:4}")
    if [[ $keys != *'ready {'* ]]; then
        keys+=' ready { fd = 3 }' words+=(ready)
    fi
    [ -e "$T/flag.mode.$1" ] || behaves "$1" 200
    conf "service $1 {" "    $keys" "    command = {$(quoted "$PYTHON" -BES "$BIN/actor.py" "$J" "${words[@]}")}" "}"
}
behaves() { # NAME MODE...
    echo "${@:2}" >"$T/flag.new"
    mv "$T/flag.new" "$T/flag.mode.$1"
}
asked() { # NAME TIMES [MODE]: so often at least
    [ "$(count "$1" "asked${3:+ $3}")" -ge "$2" ]
}

# ---- what tend tells ----
service_has() { # NAME FILTER, of its record
    client "$BIN/tendctl" --json status "$1" 2>/dev/null | jq -e ".services[0] | $2"
}
gets() { # NAME FILTER: soon
    wait_until 20 service_has "$1" "$2" ||
        must "$1 gets: $2, but: $(client "$BIN/tendctl" --json status "$1" | tr -d ' \n')" false
}
times_ready() { # NAME: how often it has come to be so
    client "$BIN/tendctl" --json events 2>/dev/null |
        jq -s --arg name "$1" '[.[] | select(.service == $name and .to == "running")] | length'
}
died_of() { # NAME CAUSE: the last time
    client "$BIN/tendctl" --json history "$1" | jq -e --arg cause "$2" '.deaths[-1].cause == $cause'
}

# ---- the kernel ----
no_connection() { # PORT: tend has none there
    ! find "/proc/$TEND/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n' |
        grep -qxFf - <(awk -v port="$(printf ':%04X' "$1")" '$3 ~ port"$" { print $10 }' /proc/net/tcp)
}
