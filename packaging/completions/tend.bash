# shellcheck shell=bash
# Completion of tend for bash: its options, then the command.

# Sets at: where the command begins, past the end while it has not begun.
_tend_command() {
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
        --)
            ((++at))
            return
            ;;
        -c | --config | --format | --runtime | --rewrite | --grace | --success | --parent-death | --deadline | --record | \
            --ready-fd)
            ((++at))
            [[ ${COMP_WORDS[at]} != = ]] || ((++at))
            ;;
        -*) ;;
        *) return ;;
        esac
    done
}

_tend() {
    local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words='' at

    COMPREPLY=()
    _tend_command
    if [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ $cur == = ]]; then
        cur=''
    fi
    if ((at < COMP_CWORD)); then
        return
    fi
    if ((at > COMP_CWORD)); then
        case $before in
        --format) words='text json records' ;;
        --parent-death | --success) words='HUP INT QUIT KILL USR1 USR2 TERM' ;;
        *) return ;; # files, or what nobody can tell
        esac
    elif [[ $cur == -* && ${COMP_WORDS[at - 1]} != -- ]]; then
        words='--config --check --format --options --runtime --main-only --rewrite --grace --success
            --parent-death --subreaper --deadline --record --ready-fd --strict --verbose --version --help -c -v -h --'
    else
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o bashdefault -o default -F _tend tend
