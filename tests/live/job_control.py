"""What must hold for a command on a terminal, whether tend is before it or not: TEND_TEST_PREFIX=
runs it without. Part of terminal.py."""

import os
import re
import signal

from lib import (FULL, PID1, PREFIX, SHELLS, T, Terminal, actor, becomes, case, container, count,
                 find, happens, is_gone, must, pid1, processes, state, until)

P = "".join(word + " " for word in PREFIX)
STOPPED = r"Stopped.*\n"


def shell(kind="bash"):
    """An interactive one that is the session leader of its terminal."""
    t = Terminal(*SHELLS[kind])
    t.prompt()
    return t


def echoes(t, word):
    """cat has the terminal."""
    t.type(word)
    t.sees(f"{word}\r\n{word}\r\n")


def interrupt(kind):
    t = shell(kind)
    t.type(P + "sleep 100")
    t.front("sleep")
    t.key("C")
    t.prompt(130)


def stop_and_go(kind, command="{}cat", after=""):
    t = shell(kind)
    t.type(command.format(P))
    t.front("cat")
    for word in "one", "two":
        echoes(t, word)
        t.key("Z")
        t.sees(STOPPED)
        t.prompt()
        must("the shell is usable", "is 42" in t.run("echo is $((6*7))"))
        t.type("fg")
        t.front("cat")
    echoes(t, "three")
    t.key("D")
    must(f"{after!r} at the end", after in t.prompt(0))


def background_and_back(kind):
    t = shell(kind)
    t.type(P + "cat")
    t.front("cat")
    echoes(t, "one")
    t.key("Z")
    t.sees(STOPPED)
    t.prompt()
    t.type("bg")
    t.prompt()
    t.jobs(STOPPED)
    t.type("fg")
    t.front("cat")
    echoes(t, "two")
    t.key("D")
    t.prompt(0)


def read_in_background(kind):
    t = shell(kind)
    t.run(P + "cat &")
    becomes(find("cat"), "T")
    t.jobs(STOPPED)
    t.type("fg")
    t.front("cat")
    echoes(t, "one")
    t.key("D")
    t.prompt(0)


def bring_to_front(kind):
    """It runs, so that the shell has no CONT for it."""
    t = shell(kind)
    t.run(P + "sleep 100 &")
    sleep = find("sleep")
    for _ in range(2):
        t.type("fg")
        t.sees("sleep 100\r\n")
        until("the job has the terminal", lambda: os.tcgetpgrp(t.master) != t.pid)
        t.key("Z")
        t.sees(STOPPED)
        t.prompt()
        t.run("bg")
        becomes(sleep, "S")
    t.type("fg")
    t.sees("sleep 100\r\n")
    until("the job has the terminal", lambda: os.tcgetpgrp(t.master) != t.pid)
    t.key("C")
    t.prompt(130)


def stop_by_signal(kind):
    t = shell(kind)
    t.run(P + "sleep 100 &")
    sleep = find("sleep")
    for _ in range(2):
        t.run("kill -TSTP %1")
        becomes(sleep, "T")
        t.jobs(STOPPED)
        t.run("kill -CONT %1")
        becomes(sleep, "S")
        if kind == "bash":      # dash learns of a stop, but not of its end
            t.jobs("Running")
    t.run("kill %1")
    becomes(sleep, "gone", "Z")


def end_while_stopped(kind):
    t = shell(kind)
    t.type(P + "cat")
    t.front("cat")
    t.key("Z")
    t.sees(STOPPED)
    t.prompt()
    t.run("kill %1; kill -CONT %1", None)
    until("end of the job", lambda: not processes("cat") and not processes("tend"))
    must("the shell is usable", "is 42" in t.run("echo is $((6*7))"))


def leave_a_stopped_job(kind):
    t = shell(kind)
    t.type(P + "cat")
    t.front("cat")
    t.key("Z")
    t.sees(STOPPED)
    t.prompt()
    t.type("exit")
    t.prompt()
    t.type("exit")
    t.wait()
    until("the job has ended with its shell", lambda: not processes())


def other_job_keeps_terminal(kind):
    t = shell(kind)
    t.run(P + "sleep 0.3 &")
    sleep = find("sleep")
    t.type("cat")
    t.front("cat")
    until("end of the job", lambda: is_gone(sleep))
    if PREFIX:
        until("end of tend", lambda: not processes("tend"))
    echoes(t, "one")
    t.key("C")
    t.prompt(130)


def orphan_reads(first):
    t = shell()
    go = f"{T}/go.{t.pid}"
    os.mkfifo(go)
    t.run(f"({{ {first} read x <{go}; {P}cat </dev/tty; echo en''ded; }} &)")
    t.type(f"echo >{go}")
    return t


def read_as_orphan():
    """Nobody could continue it, so that it must not be stopped (POSIX: EIO)."""
    orphan_reads("").sees("ended")


def stop_as_orphan():
    """A session leader without job control gets no prompt by Ctrl-Z."""
    # without a fork: a child that is stopped before its exec holds its parent, which does not stop
    ticks = """import time; [print("tick") or time.sleep(0.1) for _ in iter(int, 1)]"""
    t = Terminal("sh", "-c", P + f"python3 -uc '{ticks}' | cat")
    t.sees("tick")
    t.key("Z")
    t.sees(re.escape("^Z"))
    for _ in range(3):
        t.sees("tick")


# ---- an interactive shell as the command ----

def use_shell(t):
    """From its first prompt on to its end."""
    text = t.prompt()
    for complaint in "job control", "cannot set terminal", "can't access tty":
        must(complaint, complaint not in text)
    t.type("sleep 100")
    t.front("sleep")
    t.key("C")
    t.prompt(130)
    t.run("sleep 100 &")
    sleep = find("sleep")
    t.jobs("Running")
    t.type("fg")
    t.front("sleep")
    t.key("Z")
    t.sees(STOPPED)
    t.prompt()
    must("stopped", state(sleep) == "T")
    t.run("bg")
    t.jobs("Running")
    becomes(sleep, "S")
    t.run("kill %1; wait %1", 143)
    t.type("exit 7")


def shell_in_shell(outer, inner, words=P):
    t = shell(outer)
    t.type(f"PS1='in<$?> ' {words}{' '.join(SHELLS[inner])}")
    t.name = "in"
    use_shell(t)
    t.name = "out"
    t.prompt(7)


def suspend():
    t = shell()
    t.type(f"PS1='in<$?> ' {P}{' '.join(SHELLS['bash'])}")
    t.name = "in"
    t.prompt()
    t.type("suspend")
    t.sees(STOPPED)
    t.name = "out"
    t.prompt()
    t.type("fg")
    t.name = "in"
    t.prompt()
    must("the shell is usable", "is 42" in t.run("echo is $((6*7))"))
    t.type("exit 7")
    t.name = "out"
    t.prompt(7)


def shell_alone(kind, start, *words):
    t = start(*words, *SHELLS[kind])
    use_shell(t)
    must(f"status 7, not {t.wait()}", t.wait() == 7)


# ---- pipelines ----

def reader_of_terminal():
    t = shell()
    t.type(f"{P}sh -c 'echo hi; exec sleep 100' | sh -c 'read x </dev/tty; echo got:$x; exec cat'")
    t.front("sh")
    sleep = find("sleep")
    must("nobody was stopped", state(sleep) != "T")
    t.key("Z")
    t.sees(STOPPED)
    t.prompt()
    t.type("fg")
    becomes(sleep, "S")
    t.type("one")
    t.sees("got:one\r\nhi\r\n")
    must("nobody was stopped", state(sleep) != "T")
    t.key("C")
    t.prompt(130)
    becomes(sleep, "gone", "Z")


def pipe_as_input():
    t = shell()
    must("hi", "\nhi\r\n" in t.run(f"echo hi | {P}cat"))


def pipe_as_output():
    t = shell()
    t.type(P + "cat | cat")
    t.type("one")
    t.sees("one\r\n(?s:.*)one\r\n")
    t.key("Z")
    t.sees(STOPPED)
    t.prompt()
    t.type("fg")
    t.front("cat")
    echoes(t, "two")
    t.key("D")
    t.prompt(0)


def both_read(kind):
    t = shell(kind)
    t.type(f"echo hi | {P}sh -c 'cat; read x </dev/tty; echo got:$x'")
    t.sees("\nhi\r\n")
    t.type("one")
    t.sees("got:one\r\n")
    t.prompt(0)


# ---- signals of the terminal ----

def press(t, what, signal_name):
    """Five times; whatever is under way is through when a later signal is."""
    for i in range(1, 6):
        what()
        happens("c", f"got {signal_name}", i)
    os.kill(find(PREFIX[0]) if PREFIX else happens("c", "up"), signal.SIGUSR1)
    happens("c", "got USR1")
    must(f"{count('c', 'got ' + signal_name)} times, not 5", count("c", f"got {signal_name}") == 5)


def each_once(how, key, signal_name):
    ends = ["on=any:note", "on=TERM:exit:0", "on=HUP:exit:0", "pause"]
    t = shell()
    first = " ".join(actor("c", *ends))
    t.type(P + first + (" | " + " ".join(actor("reader", *ends)) if how == "pipeline" else ""))
    happens("c", "up")
    if how == "pipeline":
        happens("reader", "up")
    sizes = iter(range(30, 60))
    press(t, (lambda: t.key(key)) if key else (lambda: t.resize(next(sizes), 100)), signal_name)
    for p in processes("actor"):
        os.kill(p.pid, signal.SIGTERM)
    t.prompt(0)


def size():
    t = shell()
    t.type(P + "sh -c 'trap \"stty size; exit\" WINCH; echo re''ady; "
               "while :; do sleep 0.1; done'")
    t.sees("ready")
    t.resize(41, 133)
    t.sees("41 133\r\n")
    t.prompt(0)


# ---- tostop ----

def write_in_background(kind):
    t = shell(kind)
    t.run("stty tostop")
    t.run(P + "sh -c 'echo is $((6*7)); exit 3' &")
    t.jobs(STOPPED)
    t.type("fg")
    t.sees("is 42\r\n")
    t.prompt(3)


# ---- afterwards ----

def read_after(kind):
    t = shell()
    t.type(f"{kind} -c '{P}true; read x; echo got:$x; {P}false; read x; echo $x:$?'")
    t.type("one")
    t.sees("got:one\r\n")
    t.type("two")
    t.sees("two:0\r\n")
    t.prompt(0)


def read_after_alone(kind):
    t = Terminal(kind, "-c", f"{P}true; read x; echo got:$x; exit 4")
    t.type("one")
    t.sees("got:one\r\n")
    must("status", t.wait() == 4)


# F092
def starts(start, times):
    for i in range(times):
        t = start(*PREFIX, "true")
        must(f"start {i}: status {t.wait()}", t.wait() == 0)
        t.close()
        Terminal.all.remove(t)


def starts_in_shell(times):
    t = shell()
    t.type(f"i=0; while [ $i -lt {times} ] && {P}true; do i=$((i+1)); done; echo $i times")
    t.sees(f"\n{times} times\r\n")
    t.prompt(0)


# ---- the cases ----

def cases():
    for kind in "bash", "dash", "readline":
        case(f"{kind}: Ctrl-C ends the command, status 130", interrupt, kind)
        case(f"{kind}: Ctrl-Z and fg, again and again", stop_and_go, kind)
        case(f"{kind}: Ctrl-Z, bg, stopped when it reads, fg", background_and_back, kind)
        case(f"{kind}: started in the background, stopped when it reads, fg",
             read_in_background, kind)
    for kind in "bash", "dash":
        case(f"{kind}: fg of a job that runs, Ctrl-Z, bg, Ctrl-C", bring_to_front, kind)
        case(f"{kind}: kill -TSTP %1, kill -CONT %1", stop_by_signal, kind)
        case(f"{kind}: a stopped job is ended", end_while_stopped, kind)
        case(f"{kind}: its exit ends a stopped job", leave_a_stopped_job, kind)
        case(f"{kind}: the end of a job in the background takes no terminal away",
             other_job_keeps_terminal, kind)
        case(f"Ctrl-Z and fg through a {kind} without job control", stop_and_go, "bash",
             kind + " -c '{}cat; echo after'", "after")
        case(f"a {kind} without job control can read after it", read_after, kind)
        case(f"a {kind} that is session leader can read after it", read_after_alone, kind)
        case(f"tostop: a command in the background is stopped when it writes ({kind})",
             write_in_background, kind)
    for outer, inner in ("bash", "bash"), ("readline", "readline"), ("dash", "dash"):
        case(f"{inner} inside {outer} has job control", shell_in_shell, outer, inner)
    for kind in "bash", "dash":
        case(f"{kind} has job control when started as session leader", shell_alone, kind, Terminal,
             *PREFIX)
        pid1(f"{kind} has job control in a container", shell_alone, kind, container, *PREFIX)
        # dash fails at its end, unless it has a group with a number in its namespace.
        if kind == "bash" or PREFIX:
            pid1(f"{kind} has job control in a PID namespace", shell_alone, kind, Terminal, *PID1,
                 *PREFIX)
    case("an inner shell suspends itself", suspend)
    case("a job without a shell is not stopped by Ctrl-Z", stop_as_orphan)
    case("a job without a shell is not stopped when it reads", read_as_orphan)
    case("pipeline: the last stage reads the terminal", reader_of_terminal)
    case("pipeline: input from a pipe", pipe_as_input)
    case("pipeline: output to a pipe, input from the terminal", pipe_as_output)
    for kind in "bash", "dash":
        case(f"pipeline: input from a pipe, then from the terminal ({kind})", both_read, kind)
    for how in "foreground", "pipeline":
        case(f"Ctrl-C comes once ({how})", each_once, how, "C", "INT")
        case(f"Ctrl-\\ comes once ({how})", each_once, how, "\\", "QUIT")
        case(f"a new window size comes once ({how})", each_once, how, None, "WINCH")
    case("a new window size is known", size)
    case("F092 starts as session leader", starts, Terminal, 500 if FULL else 60)
    pid1("F092 starts in a container", starts, container, 500 if FULL else 20)
    case("starts inside a shell", starts_in_shell, 500 if FULL else 60)
