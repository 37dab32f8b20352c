#!/bin/bash
# Completion in shells, and the manual of tendctl: both know every verb and option, and what they
# know of a running tend is true.
# shellcheck disable=SC2016 # for other shells
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tendctl.bash
. "$(dirname "$0")/tendctl.bash"
TOP=$(realpath "$(dirname "$0")/../..")
COMPLETIONS=$TOP/packaging/completions
MANUAL=$TOP/man/tendctl.1

# ---- what there is, by the programs' own word ----
verbs() {
    "$BIN/tendctl" --help | sed -n '/^Options:/q; s/^  \([a-z-]*\) .*/\1/p'
}
options_in() { # the lines of a help, from stdin
    sed -nE '/^Exit codes:/q; s/^ {2,6}(-[a-zA-Z], )?(--[a-z-]+).*/\1\2/p' | tr -d ' ' | tr ',' '\n' | sort
}
options() { # [VERB]
    "$BIN/tendctl" "$@" --help | options_in
}
options_of_tend() {
    "$BIN/tend" --help | sed -E 's/ (--version| -h, --help)/\n     \1/g' | options_in
}

# ---- bash ----
in_bash() { # WORD...: what the last one can become, to TOLD; as bash, which cuts words, gives them
    client bash --norc --noprofile -c '
        . "$0/${1##*/}.bash"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        "_${1##*/}" "$1" "${*: -1}" "${*: -2:1}"
        [ ${#COMPREPLY[@]} = 0 ] || printf "%s\n" "${COMPREPLY[@]}"' \
        "$COMPLETIONS" "$@" </dev/null >"$TOLD" 2>"$COMPLAINT"
    must "no error for $*: $(head -c 300 "$COMPLAINT")" test ! -s "$COMPLAINT"
}
offers() { # "ANSWER..." WORD...: these, in any order, and no others
    local answers=$1
    shift
    in_bash "$BIN/tendctl" "$@"
    must "for tendctl $*: $(tr '\n' ' ' <"$TOLD")" diff <(tr ' ' '\n' <<<"$answers" | grep . | sort) <(sort "$TOLD")
}
bash_words() {
    local verb
    offers "$(verbs | tr '\n' ' ')help" ''
    offers "$(verbs | tr '\n' ' ')" help ''
    offers 'start status stop' --color never st
    offers "$(options | tr '\n' ' ')" -
    must "18 verbs: $(verbs | tr '\n' ' ')" test "$(verbs | wc -l)" = 18
    for verb in $(verbs); do
        if [ "$verb" = check ]; then
            offers "$(options check | tr '\n' ' ')-c --config --deadline --format" check -
        else
            offers "$(options "$verb" | tr '\n' ' ')" "$verb" -
        fi
    done
    offers '--wait' stop some --w
    offers 'auto always never' --color ''
    offers 'down' wait --for d
    offers 'down' wait --for = d
    offers 'ready down failed' wait --for =
    offers 'text json records' check --format ''
    offers 'TERM TRAP TSTP TTIN TTOU' signal T
    offers 'SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU' signal SIGT
    offers '' --timeout ''
    offers '' plan ''
    offers '' nonsense ''
    mkdir "$T/place" "$T/place/one" "$T/place/two"
    offers "$T/place/one $T/place/two" --runtime "$T/place/"
    offers "$T/place/one" --runtime = "$T/place/o"
}
bash_options_of_tend() {
    local real
    real=$(options_of_tend)
    must "they are read from the help: $real" grep -qx -- --deadline <<<"$real"
    must "all of its last line: $real" grep -qx -- --help <<<"$real"
    in_bash "$BIN/tend" -
    must "bash: $(tr '\n' ' ' <"$TOLD")" diff <(echo "$real") <(grep -vx -e -- "$TOLD" | sort)
    in_bash "$BIN/tend" --check --format ''
    tells_only text json records
    in_bash "$BIN/tend" -v -- tru
    tells '^true$'
    in_bash "$BIN/tend" -v tru
    tells '^true$'
    in_bash "$BIN/tend" --grace 3s -- cat --
    must "files, as bash has them" test ! -s "$TOLD"
}
services() {
    service db '' pause
    service web@1 'requires = {db}' pause
    service web@2 'requires = {db}' pause
    service tool 'start = manual' pause
    begins db web@1 web@2
}
bash_names() {
    services || return
    local verb
    for verb in status history ready wait start stop restart reload-service why; do
        offers 'db tool web@1 web@2' "$verb" ''
        offers 'db' "$verb" d
    done
    offers 'tool web@1 web@2' stop --wait db ''
    offers '' why db ''
    offers 'db tool web@1 web@2' signal TERM ''
    offers 'db' signal --group TERM web@1 d
    # Cut at the @: what stands before it stays on the line.
    offers '1 2' stop web @
    offers '2' stop web @ 2
    offers '2' stop web @ 1 web @
    local run=$TEND_RUNTIME
    export TEND_RUNTIME=$T/nowhere
    offers '' stop ''
    offers 'db' --runtime "$run" stop d
    offers 'db' --runtime = "$run" stop d
    offers 'db' stop --runtime "$run" --wait d
    offers 'db' --runtime "'$run'" stop d
    export TEND_RUNTIME=$run
    # One that stands still holds nobody up for long.
    kill -STOP "$TEND"
    offers '' stop ''
    kill -CONT "$TEND"
}
bash_without_tend() {
    offers '' stop ''
    offers '' --runtime "$T/nowhere" stop ''
    in_bash "$T/no/tendctl" stop ''
    must "not even without tendctl" test ! -s "$TOLD"
}
no_foreign_words() { # whatever tendctl prints, nothing that the shell would expand gets onto the line
    mkdir "$T/fake"
    printf '#!/bin/sh\nprintf "%%s\\n" "good" "\\$(touch %s/hit)" "a b" "x;y"\n' "$T" >"$T/fake/tendctl"
    chmod +x "$T/fake/tendctl"
    in_bash "$T/fake/tendctl" stop ''
    tells_only good
    must "nothing was run" test ! -e "$T/hit"
}

# ---- the others ----
named_in() { # FILE: every verb and option is
    local file=$1 verb option
    for verb in $(verbs); do
        must "$file names $verb" grep -qE -- "(^|[^a-z-])$verb([^a-z-]|\$)" "$COMPLETIONS/$file"
        for option in $(options "$verb"); do
            option=${option#-} option=${option#-}
            must "$file names $option, of $verb" grep -qE -- "(--|-l |-s |-)$option([^a-z-]|\$)" "$COMPLETIONS/$file"
        done
    done
    must "$file names --version" grep -qE -- '(--|-l )version' "$COMPLETIONS/$file"
}
tend_named_in() { # FILE
    local option
    for option in $(options_of_tend); do
        option=${option#-} option=${option#-}
        must "$1 names $option" grep -qE -- "(--|-l |-s |-)$option([^a-z-]|\$)" "$COMPLETIONS/$1"
    done
}
all_named() {
    local file
    for file in tendctl.bash _tendctl tendctl.fish; do
        named_in "$file"
    done
    for file in tend.bash _tend tend.fish; do
        tend_named_in "$file"
    done
}
fish_lines() { # "ANSWER..." LINE
    client env HOME="$T" fish --no-config -c '
        source $argv[1]/tend.fish; source $argv[1]/tendctl.fish; complete -C $argv[2]' \
        "$COMPLETIONS" "$2" </dev/null 2>"$COMPLAINT" | cut -f1 >"$TOLD"
    must "no error: $(head -c 300 "$COMPLAINT")" test ! -s "$COMPLAINT"
    must "fish, for $2: $(tr '\n' ' ' <"$TOLD")" diff <(tr ' ' '\n' <<<"$1" | grep . | sort) <(sort "$TOLD")
}
in_fish() {
    lacks fish && return
    services || return
    local verb PATH=$BIN:$PATH
    must "syntax" fish -n "$COMPLETIONS/tend.fish"
    must "syntax" fish -n "$COMPLETIONS/tendctl.fish"
    fish_lines "$(verbs | tr '\n' ' ')" 'tendctl '
    for verb in $(verbs); do
        [ "$verb" = check ] || fish_lines "$(options "$verb" | grep -- -- | tr '\n' ' ')" "tendctl $verb --"
    done
    fish_lines "$(options_of_tend | grep -- -- | tr '\n' ' ')" 'tend --'
    fish_lines 'tool web@1 web@2' 'tendctl stop db '
    fish_lines 'db' 'tendctl signal TERM d'
    fish_lines '' 'tendctl why db '
    fish_lines 'ready down failed' 'tendctl wait --for '
    local run=$TEND_RUNTIME
    export TEND_RUNTIME=$T/nowhere
    fish_lines '' 'tendctl stop '
    fish_lines 'db' "tendctl --runtime '$run' stop d"
    fish_lines 'db' "tendctl --runtime='$run' stop d"
    export TEND_RUNTIME=$run
}
# A zsh on a terminal of its own, whose compadd tells what it is given.
cat >"$T/zsh" <<'EOF'
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PROMPT= ; fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D; PATH=${(q)2}:\$PATH; stty -echo"
zpty -w z 'compadd() {
    local -a hits
    if [[ "${@[1,(i)(-|--)]}" != *-(O|A|D)[[:space:]]* ]]; then
        builtin compadd -A hits "$@"
        (( $#hits )) && print -rl -- "hit "$^hits
    fi
    builtin compadd "$@"
}
offer() { print; _main_complete; print -r -- o"ver"; compstate[insert]=; compstate[list]=; }
zle -C offer complete-word offer
bindkey "^I" offer
print read"y"'
zpty -r z out '*ready*'
zpty -w -n z "$3"$'\t'
zpty -r z out '*over*'
lines=(${(f)${out//$'\r'/}})
print -rl -- ${${(M)lines:#hit *}#hit }
zpty -d z
EOF
zsh_lines() { # "ANSWER..." LINE
    client env HOME="$T" zsh -f "$T/zsh" "$COMPLETIONS" "$BIN" "$2" </dev/null 2>"$COMPLAINT" | grep . >"$TOLD"
    must "no error: $(head -c 300 "$COMPLAINT")" test ! -s "$COMPLAINT"
    must "zsh, for $2: $(tr '\n' ' ' <"$TOLD")" diff <(tr ' ' '\n' <<<"$1" | grep . | sort) <(sort "$TOLD")
}
in_zsh() {
    lacks zsh && return
    services || return
    local verb
    must "syntax" zsh -n "$COMPLETIONS/_tend"
    must "syntax" zsh -n "$COMPLETIONS/_tendctl"
    zsh_lines "$(verbs | tr '\n' ' ')" 'tendctl '
    for verb in $(verbs); do
        [ "$verb" = check ] || zsh_lines "$(options "$verb" | grep -- -- | tr '\n' ' ')" "tendctl $verb --"
    done
    zsh_lines "$(options_of_tend | grep -- -- | tr '\n' ' ')" 'tend --'
    zsh_lines 'tool web@1 web@2' 'tendctl stop db '
    zsh_lines 'db' 'tendctl signal TERM d'
    zsh_lines 'ready down failed' 'tendctl wait --for '
    local run=$TEND_RUNTIME
    export TEND_RUNTIME=$T/nowhere
    zsh_lines '' 'tendctl stop d'
    zsh_lines 'db' "tendctl --runtime '$run' stop d"
    zsh_lines 'db' "tendctl stop --runtime='$run' d"
    export TEND_RUNTIME=$run
}

# ---- the manual ----
manual_words() {
    local word verb
    for verb in $(verbs); do
        must "$verb has its place" grep -qE "^\\.It Ic $verb( |\$)" "$MANUAL"
        for word in $(options "$verb"); do
            must "$word, of $verb" grep -qE -- "(Fl |, )${word#-}( |\$)" "$MANUAL"
        done
    done
    must "--version" grep -q 'Fl -version' "$MANUAL"
    must "and no other verb" diff <(verbs | sort) \
        <(sed -n '/^\.Sh VERBS/,/^\.Sh STATES/s/^\.It Ic \([a-z-]*\).*/\1/p' "$MANUAL" | sort)
    must "its exit codes are those of --help" diff <("$BIN/tendctl" --help | sed -n '/^Exit codes:/,$p' |
        grep -oE '(^ *|  )[0-9]+ ' | tr -d ' ' | sort -n) \
        <(sed -n '/^\.Sh EXIT STATUS/,/^\.Sh EXAMPLES/s/^\.It \([0-9]*\)$/\1/p' "$MANUAL" | sort -n)
}
keys_told() { # ARGUMENT...: of the document, what was not seen before
    ctl --json "$@"
    must "JSON of $*: $(head -c 200 "$COMPLAINT")" jq -e . "$TOLD"
    jq -r '.. | objects | keys[]' "$TOLD" >>"$T/keys"
}
manual_keys() {
    lacks jq && return
    service db '' ignore=TERM pause
    service web 'requires = {db}' pause
    service job 'type = oneshot restart { policy = never }' exit=3
    begins db web || return
    becomes job failed
    : >"$T/keys"
    local verb
    for verb in status graph events history ready names version plan 'why job' 'wait db' 'start db' 'restart web' \
        'reload-service web' 'signal CONT web' 'status nobody' 'ready web'; do
        # shellcheck disable=SC2086 # words
        keys_told $verb
    done
    service more '' pause
    keys_told plan
    holds '.changes | length > 0'
    keys_told stop db
    must "the process that a stop waits for" wait_until 20 has_process
    keys_told why db
    conf 'nonsense'
    keys_told reload
    keys_told shutdown --now
    must "the keys were found" test "$(sort -u "$T/keys" | wc -l)" -ge 70
    local key
    sed -n '/^\.Sh JSON/,/^\.Sh ENVIRONMENT/p' "$MANUAL" >"$T/json"
    while read -r key; do
        must "$key is explained" grep -qE "^\\.(It )?Li ([a-z_]+ , )*$key( |\$)" "$T/json"
    done < <(sort -u "$T/keys")
}
has_process() {
    client "$BIN/tendctl" --json why db | jq -e '.processes | length > 0'
}

run_case subreaper "bash: verbs, options and their values" bash_words
run_case subreaper "bash: tend's options, then a command" bash_options_of_tend
run_case subreaper "bash: names of services, of the tend that is meant" bash_names
run_case subreaper "bash: without a tend nothing is offered, and nothing is said" bash_without_tend
run_case subreaper "bash: nothing that a shell would expand gets onto the line" no_foreign_words
run_case subreaper "every verb and option is in the files of each shell" all_named
run_case subreaper "fish" in_fish
run_case subreaper "zsh" in_zsh
run_case subreaper "the manual has every verb, option and exit code, and no others" manual_words
run_case subreaper "the manual has every key of JSON" manual_keys
done_testing
