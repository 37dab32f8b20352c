# shellcheck shell=bash disable=SC2034
# What the live scripts about loads share; comes after lib.sh.
# shellcheck source=clients.bash
. "$(dirname "$0")/clients.bash"
cp "$(dirname "$0")/"{reload,load}.py "$BIN/" || exit 1

client() { # SCENE [ARGUMENT...]: of the file $SCENES, or of clients.py
    "${AS[@]}" "$PYTHON" -BES "$BIN/$SCENES" "$RUN" "$@"
}

D=$T/conf.d
fresh() { # an empty folder of config files
    rm -rf "$D"
    mkdir -m 755 "$D"
    : >"$D/web.conf"
    CONF=$D/web.conf
}
begins() { # NAME...: tend, until these are up and the socket is there
    run_tend "$MODE" -c "$D"
    must "start" wait_until 10 up "$@" && must "reachable" wait_until 10 reachable
}
aside() { # something that runs, in a file of its own
    local CONF=$D/aside.conf
    service a '' on=TERM:exit:0 pause
}
