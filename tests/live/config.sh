#!/bin/bash
# Bad configuration is refused, all of it, with the place; and never harms what runs.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

D=$T/conf.d
fresh() { # an empty folder of config files
    rm -rf "$D"
    mkdir "$D"
    chmod 755 "$D"
}
put() { # FILE TEXT
    printf '%s\n' "$2" >"$D/$1"
}
good() { # NAME
    echo "service $1 { command = $(actor "$1" pause) }"
}
# Neither accepted, nor a crash, nor without end, nor a status that could be a service's own.
refused_status() {
    case $STATUS in
    0 | 1 | 124 | 125 | 126 | 127) return 1 ;;
    esac
    [ "$STATUS" -lt 128 ]
}
loaded_or_refused() {
    [ "$STATUS" = 0 ] || refused_status
}
in_time() { # MS COMMAND...
    local limit=$1 begin
    shift
    begin=$(now)
    "$@"
    [ $(($(now) - begin)) -le "$limit" ]
}
refused() { # MESSAGE-REGEX: as check and as start
    must "checked in time" in_time 20000 try_tend --check -c "$D"
    must "refused by --check: $STATUS" refused_status
    must "the reason is told" said "$1"
    must "refused at start, in time" in_time 20000 try_tend -c "$D"
    must "refused at start: $STATUS" refused_status
    must "nothing runs" test ! -s "$J"
}
accepted() {
    must "checked in time" in_time 20000 try_tend --check -c "$D"
    must "accepted: $STATUS" test "$STATUS" = 0
}
run_config() { # TEXT FUNCTION...
    fresh
    run_case subreaper "$@"
}

# ---- F008, F046: what is no config file ----
f008_text() { # REGEX TEXT
    put a.conf "$2"
    refused "$1"
}
run_config "F008 an open block at the end" f008_text 'a\.conf:' 'service a {'
run_config "F008 an open string" f008_text 'a\.conf:1' 'service a { description = "x'
run_config "F008 an open comment" f008_text 'a\.conf:' "$(good a) /* for ever"
run_config "F008 an unknown key, with its line" f008_text 'a\.conf:2.*(nosuch)' "$(printf 'service a {\n nosuch = 3\n}')"
run_config "F008 an unknown section" f008_text 'a\.conf:1' 'other { a = 1 }'
run_config "F008 an unset variable as a key" f008_text 'a\.conf:1' "\${NO_SUCH_VARIABLE} = 3"
run_config "F008 no command" f008_text 'a\.conf:1.*command' 'service a { description = "x" }'
run_config "F008 a closing brace too many" f008_text 'a\.conf:2' "$(printf '%s\n}' "$(good a)")"

f008_lone_comment() {
    put a.conf "$(printf '#\n%s\n#' "$(good a)")"
    accepted
}
run_config "F008 a lone # is a comment" f008_lone_comment

f008_nested() {
    head -c 400000 /dev/zero | tr '\0' '{' | sed 's/{/a{/g' >"$D/a.conf"
    refused 'a\.conf'
    { yes 'x {' | head -n 10000; } >"$D/a.conf"
    refused 'a\.conf'
}
run_config "F008 200,000 nested blocks" f008_nested

f008_directory() {
    good fine >"$D/a.conf"
    mkdir "$D/b.conf"
    refused 'b\.conf'
}
run_config "F008 a directory in a file's place" f008_directory

f008_bytes() {
    printf 'service a { command = {"/bin/true"} description = "x\0y" }\n' >"$D/a.conf"
    refused 'a\.conf:1'
    printf 'service a { command = {"/bin/true", "\001"} }\n' >"$D/a.conf"
    refused 'a\.conf:1'
}
run_config "F008 NUL and control bytes" f008_bytes

f008_eio() {
    lacks strace && return
    good a >"$D/a.conf"
    WRAP=(strace -f -qq -o /dev/null -P "$D/a.conf" -e trace='read,pread64' -e 'inject=read,pread64:error=EIO')
    no_leak_check
    refused 'a\.conf'
}
run_config "F008 a file that cannot be read" f008_eio

missing_file() {
    must "in time" in_time 20000 try_tend -c "$T/no-such-file"
    must "refused: $STATUS" refused_status
    must "named" said 'no-such-file'
}
run_config "F008 a file that is not there" missing_file

f046_fifo() {
    mkfifo "$D/a.conf"
    refused 'a\.conf'
}
f046_zero() {
    ln -s /dev/zero "$D/a.conf"
    refused 'a\.conf'
}
f046_huge() {
    good a >"$D/a.conf"
    truncate -s 300M "$D/a.conf"
    refused 'a\.conf'
}
f046_many() {
    local i
    for i in $(seq 20000); do
        echo "service s$i { command = {\"/bin/true\"} }"
    done >"$D/a.conf"
    must "in time" in_time 20000 try_tend --check -c "$D"
    must "loaded or refused: $STATUS" loaded_or_refused
}
run_config "F046 a FIFO as a config file" f046_fifo
run_config "F046 a device as a config file" f046_zero
run_config "F046 a file of 300 MB" f046_huge
run_config "F046 20,000 services in a file" f046_many

# ---- F030: one name twice ----
f030_one_file() {
    put a.conf "$(printf '%s\n%s' "$(good same)" "$(good same)")"
    refused 'a\.conf:2.*same|same.*a\.conf:2'
}
f030_two_files() {
    put a.conf "$(good same)"
    put b.conf "$(printf '\n%s' "$(good same)")"
    refused 'b\.conf:2'
    must "both places" said 'a\.conf'
}
f030_case() {
    put a.conf "$(printf '%s\n%s' "$(good Same)" "$(good same)")"
    refused 'a\.conf:2.*Same.*a\.conf:1'
}
run_config "F030 one name twice in a file" f030_one_file
run_config "F030 one name twice in two files: both places are told" f030_two_files
run_config "F030 names that differ by case only" f030_case

# ---- F031: dependencies ----
chain() { # KEY NAME DEPENDENCY
    echo "service $2 { command = {\"/bin/true\"} $1 = {$3} }"
}
f031_self() {
    put a.conf "$(chain requires a a)"
    refused 'a\.conf:1.*a'
}
f031_two() {
    put a.conf "$(printf '%s\n%s' "$(chain requires aa bb)" "$(chain after bb aa)")"
    refused 'aa.*bb.*aa|bb.*aa.*bb'
}
f031_three() {
    put a.conf "$(chain requires aa bb)"
    put b.conf "$(chain wants bb cc)"
    put c.conf "$(chain after cc aa)"
    refused 'aa.*bb.*cc.*aa|bb.*cc.*aa.*bb|cc.*aa.*bb.*cc|cc.*bb.*aa.*cc|aa.*cc.*bb.*aa|bb.*aa.*cc.*bb'
}
f031_missing() {
    put a.conf "$(printf '%s\n%s' "$(good other)" "$(chain requires aa nosuch)")"
    refused 'a\.conf:2.*nosuch'
}
f031_long() { # COUNT
    local i
    for i in $(seq "$1"); do
        chain requires "s$i" "$([ "$i" = 1 ] || echo "s$((i - 1))")"
    done | split -l 500 --additional-suffix=.conf - "$D/"
    must "in time" in_time 60000 try_tend --check -c "$D"
    must "loaded, or refused in words: $STATUS" loaded_or_refused
}
f031_wide() { # COUNT
    local i all=''
    for i in $(seq "$1"); do
        chain requires "s$i" ''
        all+="s$i, "
    done | split -l 500 --additional-suffix=.conf - "$D/"
    all=$(seq -f 's%g' -s ', ' "$1")
    chain requires top "$all" >"$D/top.conf"
    must "in time" in_time 60000 try_tend --check -c "$D"
    must "loaded, or refused in words: $STATUS" loaded_or_refused
}
f031_loop() { # COUNT: the last depends on the first
    f031_long "$1"
    chain requires s0 "s$1" >"$D/zz.conf"
    sed -i 's/^service s1 {\(.*\)requires = {}/service s1 {\1requires = {s0}/' "$D/aa.conf"
    must "in time" in_time 60000 try_tend --check -c "$D"
    must "refused: $STATUS" refused_status
}
run_config "F031 depends on itself" f031_self
run_config "F031 a cycle of two names the chain" f031_two
run_config "F031 a cycle of three over files names the chain" f031_three
run_config "F031 a missing dependency is named" f031_missing
run_config "F031 a long chain" f031_long "$(full 50000 2000)"
run_config "F031 a long cycle" f031_loop "$(full 50000 2000)"
run_config "F031 a wide dependency" f031_wide "$(full 5000 2000)"

# ---- readiness, health, watchdog ----
with() { # KEYS: a service that is good but for these
    printf 'service a {\n command = %s\n%s\n}' "$(actor a pause)" "$1"
}
keys_refused() { # REGEX KEYS
    put a.conf "$(with "$2")"
    refused "a\.conf:3: a: $1"
}
keys_accepted() { # KEYS
    put a.conf "$(with "$1")"
    accepted
}
ready_refused() { # REGEX KEYS
    run_config "readiness and health: $2" keys_refused "$@"
}
ready_refused 'ready\.on = tcp needs ready\.tcp: write tcp' 'ready { on = tcp }'
ready_refused 'ready\.unix is written beside ready\.tcp: leave one' 'ready { tcp = "127.0.0.1:1" unix = @x }'
ready_refused 'ready\.tcp = "localhost:1" is no address: write numbers' 'ready { on = tcp tcp = "localhost:1" }'
ready_refused 'health\.tcp is written beside health\.command: leave one' 'health { tcp = "127.0.0.1:1" command = {true} }'
ready_refused 'health\.http = "https://127\.0\.0\.1/" cannot be probed' 'health { http = "https://127.0.0.1/" }'
ready_refused 'watchdog is for what stays' 'watchdog = "1s" type = oneshot'
ready_refused 'notify\.access = none lets nobody say' 'notify { access = none } ready { on = notify }'
ready_refused 'stop\.max = "4s" is shorter.*write at least "5s"' 'stop { max = "4s" grace = "5s" }'
supervisors_grace() {
    put a.conf "$(with ' stop { max = "4s" }')"
    put z.conf 'supervisor { grace = "5s" }'
    refused 'a\.conf:1: a: stop\.max = "4s" is shorter.*write at least "5s"'
    put z.conf 'supervisor { grace = "4s" }'
    accepted
}
run_config "readiness and health: stop.max and the supervisor's grace" supervisors_grace
ready_accepted() { # KEYS
    run_config "readiness and health: $1" keys_accepted "$1"
}
ready_accepted 'ready { fd = 255 } health { unix = @x } stop { max = "1h" }'
ready_accepted 'ready { tcp = "[::1]:65535" } health { http = "http://[::1]" then = mark } watchdog = "1s"'

other_probe() {
    put a.conf "$(with 'health { tcp = "127.0.0.1:1" }')"
    mkdir "$D/a.conf.d"
    put a.conf.d/b.conf 'service a { health { http = "http://127.0.0.1" } }'
    refused 'a\.conf\.d/b\.conf:1: a: health\.http is written beside health\.tcp'
    put a.conf.d/b.conf 'service a { health { http = "http://127.0.0.1" tcp = "" } }'
    accepted
}
run_config "readiness and health: a drop-in with another probe" other_probe

# Each block below EXAMPLES that begins with a service is a whole file.
manual_examples() {
    local example
    sed -n '/^\.Sh EXAMPLES/,$p' man/tend.conf.5 |
        awk -v to="$D/" '
            /^\.Bd/ { n++; first = 1; next }
            /^\.Ed/ { first = 0; kept = 0; next }
            first { first = 0; kept = /^service / }
            kept { print > (to n ".txt") }'
    set -- "$D"/*.txt
    must "there are some: $#" test $# -ge 15
    for example; do
        mv "$example" "$D/a.conf"
        accepted
        must "this one: $(cat "$D/a.conf")" test "$STATUS" = 0
    done
}
run_config "every example of the manual is a good configuration" manual_examples

every_key() {
    try_tend --options
    local key
    for key in ready.{on,tcp,unix,command,command_timeout,fd,every,timeout} notify.access \
        watchdog watchdog_signal health.{command,tcp,unix,http,every,timeout,failures,then} stop.max; do
        must "$key is told" said "^  $key  *[a-z]"
    done
}
run_config "readiness and health: tend --options tells of every key" every_key

# ---- F038: users ----
f038() { # USER as written in the config
    put a.conf "$(printf 'service a {\n command = %s\n user = "%s"\n}' "$(actor a pause)" "$1")"
    refused 'a\.conf:[1-3].*(user|uid|name)'
}
for user in nosuchuser 0day 12x -1 4294967295 4294967296 18446744073709551616 ' root' 'root ' 'root\n' '+0' '0x0' '1.0'; do
    run_config "F038 user = \"$user\"" f038 "$user"
done
f038_empty() {
    put a.conf "service a { command = $(actor a pause) user = \"\" }"
    try_tend --check -c "$D"
    # As if not written would do, too: but it must not be another user than asked for.
    must "refused, or as not written: $STATUS" loaded_or_refused
}
run_config "F038 user = \"\"" f038_empty

# ---- F068: names and paths ----
f068_name() { # NAME
    put a.conf "service \"$1\" { command = $(actor a pause) }"
    refused 'a\.conf:1'
}
long=$(printf 'n%.0s' $(seq 300))
for name in '../x' '' 'a\nb' "$long" '/etc/passwd' '.' '..' '.hidden' 'a b' '-x' 'a/b' 'ä'; do
    run_config "F068 the name \"${name:0:20}\"" f068_name "$name"
done
f068_relative() { # COMMAND
    put a.conf "service a { command = {\"$1\"} }"
    try_tend --check -c "$D"
    # Documented either way; a bare name must not be taken from the working directory.
    must "refused, or found by a rule: $STATUS" loaded_or_refused
}
run_config "F068 a relative command" f068_relative ./foo
run_config "F068 an empty command" f008_text 'a\.conf:1.*command' 'service a { command = {""} }'
f068_backups() {
    good fine >"$D/a.conf"
    echo 'this is { not = config' | tee "$D/a.conf~" "$D/.a.conf.swp" "$D/a.conf.dpkg-old" "$D/#a.conf#" >"$D/.hidden.conf"
    accepted
    must "the order is told" said 'fine'
}
run_config "F068 backup files are no config" f068_backups

# ---- several errors at once ----
all_errors() {
    put a.conf "$(printf 'service a {\n command = {"/bin/true"}\n umask = "999"\n nice = 77\n}')"
    put b.conf 'service b { requires = {nosuch} command = {"/bin/true"} }'
    put c.conf 'service c {'
    try_tend --check -c "$D"
    must "refused: $STATUS" refused_status
    must "a.conf's first" said 'a\.conf:3.*umask'
    must "a.conf's second" said 'a\.conf:4.*nice'
    must "c.conf's" said 'c\.conf'
}
run_config "all errors are told at once" all_errors

# ---- a reload with any of this changes nothing ----
reload_bad() {
    fresh
    good one >"$D/one.conf"
    good two >"$D/two.conf"
    run_tend "$MODE" -c "$D"
    must "start" wait_until 10 up one two || return
    local n=0 before after
    before=$(events "" start)
    bad() { # what to do to bad.conf; then a reload
        n=$((n + 1))
        : >"$LOG"
        kill -HUP "$TEND"
        must "reload $n is refused in words" wait_until 25 said 'bad\.conf|two\.conf'
        rm -rf "$D/bad.conf"
    }
    mkdir "$D/bad.conf"
    bad
    mkfifo "$D/bad.conf"
    bad
    ln -s /dev/zero "$D/bad.conf"
    bad
    put bad.conf 'service x {'
    bad
    put bad.conf "$(good two)"
    bad
    put bad.conf "service x { command = {\"/bin/true\"} requires = {nosuch} }"
    bad
    put bad.conf "service x { command = {\"/bin/true\"} user = \"nosuchuser\" }"
    bad
    after=$(events "" start)
    must "nothing was started" test "$before" = "$after"
    must "both live" all_alive one two
    good three >"$D/three.conf"
    kill -HUP "$TEND"
    must "a good one is taken" wait_until 10 up three
    must "without touching the others" test "$(count one start)$(count two start)" = 11
    rm "$D/two.conf"
    kill -HUP "$TEND"
    must "what is removed is stopped" wait_until 10 gone "$(pid_of two)"
    must "the others run on" test "$(count one start)$(count three start)" = 11
}
in_modes "pid1 subreaper user" "F008 F030 F046 a bad reload changes nothing" reload_bad

# ---- an environment file is read at each load ----
fact_is() { # NAME FACT
    seen "$1" "fact $2"
}
reload_environment() {
    fresh
    put web.env 'A=one'
    put web.conf "service web { command = $(actor web facts pause) environment_file = web.env }"
    put other.conf "$(good other)"
    run_tend "$MODE" -c "$D"
    must "start" wait_until 10 up web other || return
    must "as it is written" fact_is web "env A=one"
    put web.env 'A=two'
    kill -HUP "$TEND"
    must "started anew with what is written now" wait_until 10 fact_is web "env A=two"
    must "once" test "$(count web start)" = 2
    put web.env '# the same in other words
A="two"'
    put third.conf "$(good third)"
    kill -HUP "$TEND"
    must "taken" wait_until 10 up third
    put web.env 'A'
    : >"$LOG"
    kill -HUP "$TEND"
    must "a broken one is refused, with its line" wait_until 25 said 'web\.env:1: web:'
    must "nothing else was restarted" test "$(count web start)$(count other start)$(count third start)" = 211
}
in_modes "subreaper user" "an environment file that changed restarts its service at a reload" reload_environment

done_testing
