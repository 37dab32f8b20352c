# shellcheck shell=bash
# What the runs of mutants share: changes of the source, each in a copy of its own, each of which a
# test must notice. A script sources this, says in PARTS what it copies, defines
#   build TREE            all that the test needs
#   judge TREE VALUE      prints "ok - why" when the change was noticed, else "not ok - why"
# and calls `run_mutants TABLE KEY NAME...`. A table has lines "name:", "file:", "from:", "to:" and
# last "KEY: VALUE" for each mutant.

set -u
cd "$(dirname "$0")/../.." || exit 1
DIR=$(mktemp -d "${TMPDIR:-/tmp}/tend-mutants.XXXXXX")
trap 'kill $(jobs -pr) 2>/dev/null; wait; rm -rf "$DIR"' EXIT
trap 'exit 130' INT TERM
JOBS=${TEND_TEST_JOBS:-2}
PARTS=()

make_in() { # TREE TARGET...
    make --no-print-directory -s -C "$1" OPT=-O1 BUILD=build "${@:2}"
}

original() {
    mkdir "$DIR/origin"
    cp -a --parents "${PARTS[@]}" "$DIR/origin"
    build "$DIR/origin" >"$DIR/origin.log" 2>&1
}

# Exactly one place must match, so that a mutant cannot die out unseen when the code changes.
change() { # FILE FROM TO
    FROM=$2 TO=$3 perl -0777 -i -pe '
        my $n = s/\Q$ENV{FROM}\E/$ENV{TO}/g;
        if ($n != 1) { print STDERR "matches ", $n || 0, " places\n"; $? = 1; exit 1; }' "$1"
}

verdict() { # NAME FILE FROM TO VALUE
    local tree=$DIR/$1 why
    cp -a "$DIR/origin" "$tree"
    if ! why=$(change "$tree/$2" "$3" "$4" 2>&1); then
        echo "not ok - $1: $why"
    elif ! build "$tree" >"$tree.log" 2>&1; then
        echo "not ok - $1: does not build: $(grep -m1 error "$tree.log")"
    else
        judge "$tree" "$5" | sed "s/ - / - $1: /"
    fi
    rm -rf "$tree"
}

wanted() { # NAME
    local name
    [ ${#NAMES[@]} = 0 ] && return
    for name in "${NAMES[@]}"; do
        [[ $1 == *$name* ]] && return
    done
    return 1
}

run_mutants() { # TABLE KEY NAME...: those with NAME in theirs
    local table=$1 key=$2 line name='' file='' from='' to=''
    shift 2
    NAMES=("$@")
    while IFS= read -r line; do
        case $line in
        'name: '*) name=${line#name: } ;;
        'file: '*) file=${line#file: } ;;
        'from: '*) from=${line#from: } ;;
        'to: '*) to=${line#to: } ;;
        'to:') to='' ;;
        "$key: "*)
            wanted "$name" || continue
            while [ "$(jobs -pr | wc -l)" -ge "$JOBS" ]; do
                wait -n
            done
            verdict "$name" "$file" "$from" "$to" "${line#"$key: "}" </dev/null >"$DIR/$name.verdict" &
            ;;
        esac
    done <"$table"
    wait
    find "$DIR" -maxdepth 1 -name '*.verdict' -print0 | sort -z | xargs -0r cat | tee "$DIR/all"
    echo "$(grep -c '^ok' "$DIR/all") passed, $(grep -c '^not ok' "$DIR/all") failed"
    ! grep -q '^not ok' "$DIR/all"
}
