# shellcheck shell=bash
# What the live scripts about the control socket share; comes after lib.sh.

PYTHON=
# One that other users can execute too.
for python in /usr/bin/python3 python3; do
    [ -n "$PYTHON" ] || ! "$python" -c '' 2>/dev/null || PYTHON=$python
done
if [ -z "$PYTHON" ]; then
    skip "the control socket" "needs python3"
    done_testing
    exit
fi
cp "$(dirname "$0")/"{clients,hostile}.py "$BIN/" || exit 1

AS=() # words put before a client
client() { # SCENE [ARGUMENT...]: see clients.py, hostile.py
    "${AS[@]}" "$PYTHON" -BES "$BIN/${CROWD:-clients}.py" "$RUN" "$@"
}
ask() { # REQUEST...: the replies; fails where one is an error
    client ask "$@"
}
asks() { # FLAG REQUEST: in the background; returns when tend has it
    client pending "$T/flag.$1.asked" "$2" >"$T/flag.$1" &
    wait_until 10 test -e "$T/flag.$1.asked"
}
answered() { # FLAG REGEX
    wait_until 20 grep -qE -- "$2" "$T/flag.$1"
}
unanswered() { # FLAG
    [ ! -s "$T/flag.$1" ]
}
scene() { # SCENE [ARGUMENT...]: notes what is not so
    local line='' last=''
    while read -r line; do
        last=$line
        case $line in
        '#: '*) echo "$line" ;;
        'done') ;;
        *) WHY+=("$line") ;;
        esac
    done < <(client "$@" 2>&1)
    must "$1 came to its end: $last" test "$last" = "done"
}
field() { # KEY: of the lines that are read
    sed -n "s/.* $1=\([^ ]*\).*/\1/p"
}
is() { # NAME KEY VALUE: as status tells; "" is none
    [ "$(ask "status $1" | head -n 1 | field "$2")" = "$3" ]
}
replies() { # REGEX REQUEST...
    local regex=$1
    shift
    ask "$@" | grep -qE -- "$regex"
}
reachable() { # [PID]: and it is this one
    [ "$(client greeting | field pid)" = "${1:-$(inside_pid)}" ]
}
inside_pid() { # as tend knows itself
    if [ "$MODE" = pid1 ]; then echo 1; else echo "$TEND"; fi
}
slow() { # how much longer it may take
    if sanitized; then echo 4; else echo 1; fi
}
