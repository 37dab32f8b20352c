# Completion of tendctl for fish.

# Prints the verb and the words behind it, less options and their values; with a first argument
# --runtime, only the value of that.
function __tendctl_words
    set -l words (commandline -opc)
    set -l expects
    for word in $words[2..]
        if test -n "$expects"
            test "$expects" = "$argv[1]"; and echo -- $word
            set expects
            continue
        end
        switch $word
            case '--runtime=*'
                test "$argv[1]" = --runtime; and string replace -- --runtime= '' $word
            case --runtime --color --timeout --for --deadline --config --format -c
                set expects $word
            case '-*'
            case '*'
                test -z "$argv[1]"; and echo -- $word
        end
    end
end

# Whether the verb is one of these; without any, whether there is none yet.
function __tendctl_verb
    set -l words (__tendctl_words)
    if test (count $argv) = 0
        test (count $words) = 0
    else
        contains -- "$words[1]" $argv
    end
end

# The same, and there are so many words behind it.
function __tendctl_verb_with
    set -l words (__tendctl_words)
    test (count $words) = (math $argv[1] + 1); and __tendctl_verb $argv[2..]
end

# Nothing where no tend answers.
function __tendctl_names
    set -l tendctl (commandline -opc)[1]
    set -l at (__tendctl_words --runtime)
    set -l given (__tendctl_words)
    set tendctl (string replace -r '^~' "$HOME" -- $tendctl)
    set at (string replace -r '^~' "$HOME" -- $at)
    for name in (test -n "$at[-1]"; and set at --runtime $at[-1]; $tendctl $at --timeout 2s names 2>/dev/null)
        contains -- $name $given; or echo $name
    end
end

complete -c tendctl -f
complete -c tendctl -l runtime -x -a '(__fish_complete_directories)' -d 'Directory of the socket of tend'
complete -c tendctl -l json -d 'Print JSON, errors too'
complete -c tendctl -l color -x -a 'auto always never' -d 'When in colours'
complete -c tendctl -l timeout -x -d 'Give up after this time'
complete -c tendctl -s h -l help -d 'Tell all verbs, or all of one'
complete -c tendctl -n __tendctl_verb -l version -d 'Tell the version of tendctl'

set -l verbs \
    status 'What runs, and what it waits for' \
    why 'Why it is as it is' \
    graph 'Who depends on whom' \
    events 'What happened, as it happens' \
    history 'How lives have ended' \
    ready 'Whether all is ready, for a health check' \
    wait 'Until services are ready, down or failed' \
    start 'Start services, and what they need' \
    stop 'Stop services, after what requires them' \
    restart 'Stop services and start them again' \
    reload-service 'Let services read their own config again' \
    signal 'Send a signal to services' \
    plan 'What reload would do' \
    reload 'Take the config as it is now' \
    check 'Check the config' \
    shutdown 'Stop all services, and tend' \
    names 'The names of services, one on a line' \
    version 'The versions of tendctl and of tend'
for i in (seq 1 2 (count $verbs))
    complete -c tendctl -n __tendctl_verb -a $verbs[$i] -d $verbs[(math $i + 1)]
    complete -c tendctl -n '__tendctl_verb_with 0 help' -a $verbs[$i] -d $verbs[(math $i + 1)]
end

set -l services status history ready wait start stop restart reload-service
complete -c tendctl -n "__tendctl_verb $services" -a '(__tendctl_names)'
complete -c tendctl -n '__tendctl_verb_with 0 why' -a '(__tendctl_names)'
complete -c tendctl -n '__tendctl_verb signal; and not __tendctl_verb_with 0 signal' -a '(__tendctl_names)'
complete -c tendctl -n '__tendctl_verb_with 0 signal' -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2
    PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'

complete -c tendctl -n '__tendctl_verb start stop restart reload-service shutdown' -l wait \
    -d 'Until it is done, has failed, or cannot come'
complete -c tendctl -n '__tendctl_verb wait' -l for -x -a 'ready down failed' -d 'The goal'
complete -c tendctl -n '__tendctl_verb signal' -l group -d 'To the whole process group'
complete -c tendctl -n '__tendctl_verb graph' -l dot -d 'For graphviz'
complete -c tendctl -n '__tendctl_verb events' -s f -l follow -d 'What happens from now on'
complete -c tendctl -n '__tendctl_verb shutdown' -l now -d 'Kill everything at once'
complete -c tendctl -n '__tendctl_verb shutdown' -l deadline -x -d 'Be over by then'
complete -c tendctl -n '__tendctl_verb check' -s c -l config -r -F -d 'Config file, or folder'
complete -c tendctl -n '__tendctl_verb check' -l deadline -x -d 'Whether that fits'
complete -c tendctl -n '__tendctl_verb check' -l format -x -a 'text json records' -d 'How it is told'
