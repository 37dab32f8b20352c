# shellcheck shell=bash
# Completion of tendctl for bash. It needs no function of the package bash-completion.

# bash cuts words at the characters of COMP_WORDBREAKS; names may have @, options a value after =.
# Sets words, put together again, and kept: what of the last one stays as it is on the line.
_tendctl_read() {
    local i word glue='' breaks=$'\n'

    for word in '=' '@' ':'; do
        [[ $COMP_WORDBREAKS != *"$word"* ]] || breaks+=$word
    done
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 1)) && [[ $glue || $word == ["$breaks"]* ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
        glue=''
        [[ $word != *["$breaks"] ]] || glue=yes
    done
    kept=${words[-1]}
    kept=${kept%"${kept##*["$breaks"]}"}
}

# One word before the last: sets verb, runtime, given and expects.
_tendctl_take() {
    if [ -n "$expects" ]; then
        [ "$expects" != --runtime ] || runtime=$1
        expects=''
        return
    fi
    case $1 in
    --runtime=*) runtime=${1#*=} ;;
    --runtime | --color | --timeout | --for | --deadline) expects=$1 ;;
    -c | --config | --format) [ "$verb" != check ] || expects=$1 ;;
    -*) ;;
    *) if [ -n "$verb" ]; then given+=("$1"); else verb=$1; fi ;;
    esac
}

_tendctl_verbs='status why graph events history ready wait start stop restart reload-service signal
    plan reload check shutdown names version'

_tendctl_options() {
    echo --runtime --json --color --timeout --help -h
    case $verb in
    '') echo --version ;;
    start | stop | restart | reload-service) echo --wait ;;
    wait) echo --for ;;
    signal) echo --group ;;
    graph) echo --dot ;;
    events) echo --follow -f ;;
    shutdown) echo --now --deadline --wait ;;
    check) echo --config -c --deadline --format ;;
    esac
}

_tendctl_signals() { # WORD: as it begins, with SIG or without
    local name
    for name in HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT \
        STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS; do
        [[ $1 != SIG* ]] || name=SIG$name
        echo "$name"
    done
}

# Those that are not on the line yet; nothing where no tend answers. Whoever does answer gets no
# other word onto the line, as the shell would expand it.
_tendctl_names() {
    local name
    while read -r name; do
        [[ $name == *[!A-Za-z0-9._@-]* || " ${given[*]} " == *" $name "* ]] || echo "$name"
    done < <("$tendctl" ${runtime:+--runtime "$runtime"} --timeout 2s names 2>/dev/null)
}

_tendctl_words() { # WORD
    case $verb in
    '') echo "$_tendctl_verbs help" ;;
    help) [ ${#given[@]} -gt 0 ] || echo "$_tendctl_verbs" ;;
    why) [ ${#given[@]} -gt 0 ] || _tendctl_names ;;
    signal) if [ ${#given[@]} = 0 ]; then _tendctl_signals "$1"; else _tendctl_names; fi ;;
    status | history | ready | wait | start | stop | restart | reload-service) _tendctl_names ;;
    esac
}

_tendctl_values() { # OPTION
    case $1 in
    --color) echo auto always never ;;
    --for) echo ready down failed ;;
    --format) echo text json records ;;
    esac
}

_tendctl() {
    local tendctl=${1/#\~/$HOME} words=() kept='' verb='' runtime='' given=() expects='' before='' i cur

    COMPREPLY=()
    _tendctl_read
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        _tendctl_take "${words[i]}"
    done
    runtime=${runtime//[\"\'\\]/} runtime=${runtime/#\~/$HOME}
    cur=${words[-1]}
    if [[ ! $expects && $cur == --*=* ]]; then
        expects=${cur%%=*} before=${cur%%=*}= cur=${cur#*=}
    fi
    case $expects in
    --runtime) mapfile -t COMPREPLY < <(compgen -d -P "$before" -- "$cur") ;;
    -c | --config) mapfile -t COMPREPLY < <(compgen -f -P "$before" -- "$cur") ;;
    ?*) mapfile -t COMPREPLY < <(compgen -W "$(_tendctl_values "$expects")" -P "$before" -- "$cur") ;;
    '')
        if [[ $cur == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_tendctl_options)" -- "$cur")
        else
            mapfile -t COMPREPLY < <(compgen -W "$(_tendctl_words "$cur")" -- "$cur")
        fi
        ;;
    esac
    case $expects in
    --runtime | -c | --config) compopt -o filenames 2>/dev/null ;;
    esac
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}
complete -F _tendctl tendctl
