"""Job control, hang-ups, stalled and missing terminals. Started by terminal.sh.

The first part asks nothing that would not hold for a command without tend before it:
TEND_TEST_PREFIX= runs it so."""

import os
import re
import signal
import time

import lib
from lib import (CONF, FULL, PATIENCE, PID1, PREFIX, SHELLS, T, Background, Terminal, actor, becomes,
                 case, count, events, find, happens, is_gone, is_idle, is_pending, must, process,
                 processes, service, state, told, until)

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


# ==== with and without tend ====

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


def read_as_orphan():
    """Nobody could continue it, so that it must not be stopped (POSIX: EIO)."""
    t = shell()
    os.mkfifo(f"{T}/go")
    t.run(f"({{ read x <{T}/go; {P}cat </dev/tty; echo en''ded; }} &)")
    t.type(f"echo >{T}/go")
    t.sees("ended")


def stop_as_orphan():
    """A session leader without job control gets no prompt by Ctrl-Z."""
    t = Terminal("sh", "-c", P + """sh -c 'while echo tick; do sleep 0.1; done' | cat""")
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
    must("goes on", state(sleep) == "S")
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


def shell_alone(kind, *words):
    t = Terminal(*words, *SHELLS[kind])
    use_shell(t)
    must(f"status 7, not {t.wait()}", t.wait() == 7)


# ---- pipelines ----

def reader_of_terminal():
    t = shell()
    t.type(f"{P}sh -c 'echo hi; exec sleep 100' | sh -c 'read x </dev/tty; echo got:$x; exec cat'")
    t.front("sh")
    sleep = find("sleep")
    t.type("one")
    t.sees("got:one\r\nhi\r\n")
    must("nobody was stopped", state(sleep) == "S")
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
    t.type(P + """sh -c 'trap "stty size; exit" WINCH; echo re''ady; while :; do sleep 0.1; done'""")
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
def starts(times):
    for i in range(times):
        t = Terminal(*PREFIX, "true")
        must(f"start {i}: status {t.wait()}", t.wait() == 0)
        t.close()
        lib.Terminal.all.remove(t)


def starts_in_shell(times):
    t = shell()
    t.type(f"i=0; while [ $i -lt {times} ] && {P}true; do i=$((i+1)); done; echo $i times")
    t.sees(f"\n{times} times\r\n")
    t.prompt(0)


# ==== tend alone ====

def launched(*words, **more):
    """tend without a terminal."""
    return Background("tend", *words, **more)


def end(tend, status=0):
    os.kill(find("tend"), signal.SIGTERM)
    is_so = tend.wait(PATIENCE)
    must(f"status {status}, not {is_so}", is_so == status)


# ---- job control where nobody could continue it ----

def stop_goes_on(*words):
    t = Terminal(*words, "tend", "--", "cat")
    t.front("cat")
    for word in "one", "two":
        echoes(t, word)
        t.key("Z")
    echoes(t, "three")
    t.key("D")
    must("status 0", t.wait() == 0)


def sent_stop_stays(*words):
    t = Terminal(*words, "tend", "--", "cat")
    cat = t.front("cat")
    os.kill(find("tend"), signal.SIGTSTP)
    becomes(cat, "T")
    time.sleep(1)
    must("still stopped", state(cat) == "T")
    os.kill(find("tend"), signal.SIGCONT)
    echoes(t, "one")
    t.key("D")
    must("status 0", t.wait() == 0)


def caught_stop_is_over():
    """A TSTP that was sent, and did not stop it, says nothing of a Ctrl-Z a second later."""
    t = Terminal("tend", "--", "sh", "-c",
                 "trap 'echo caught' TSTP; echo re''ady; until read x; do :; done; "
                 "trap - TSTP; exec cat")
    t.sees("ready")
    os.kill(find("tend"), signal.SIGTSTP)
    t.sees("caught")
    t.type("go")
    t.front("cat")
    echoes(t, "one")
    time.sleep(1)
    t.key("Z")
    echoes(t, "two")


# ---- after the end of the command ----

def leftovers(keys):
    t = shell()
    t.type("tend --grace 100s -- " + " ".join(
        actor("c", "ignore=TERM,INT,QUIT", "fork=left", "pause", "end", "exit=5")))
    left = happens("left", "up")
    tend = t.front("tend")
    for key in keys:
        must("it is still there", state(left) == "S")
        t.key(key)
        t.sees(re.escape(f"^{key}"))
        until("tend took the signal", lambda: is_gone(tend) or not is_pending(tend))
    t.prompt(5)


# ---- messages of tend from the background ----

def messages_with_tostop():
    t = shell()
    t.run("stty tostop")
    t.run(f"tend -v -- {' '.join(actor('c', 'on=TERM:exit:3', 'pause'))} &")
    happens("c", "up")
    t.sees("tend: ")
    must("tend is not stopped", state(find("tend")) == "S")
    t.run("kill %1; wait %1", 3)


def services_with_tostop():
    service("s", "", *actor("s", "on=TERM:exit:0", "pause"))
    t = shell()
    t.run("stty tostop")
    t.run(f"tend -v -c {CONF} &")
    happens("s", "up")
    t.sees("tend: ")
    must("tend is not stopped", state(find("tend")) == "S")
    t.run("kill %1; wait %1", 0)


def write_behind_pipe():
    t = shell()
    t.run("stty tostop")
    must("hi", "\nhi\r\n" in t.run("echo hi | tend -- cat"))


# ---- no terminal, and no files ----

def no_terminal(*words):
    must("status 5", Background(*words).wait(PATIENCE) == 5)
    lines = told()
    lines.remove("out")
    must(f"silent but for {lines}", all("subreaper" in line for line in lines))


def stays_without(words):
    """A session leader may get any terminal that it opens."""
    tty = Terminal()
    tend = Background(*words, "tend", "-v", "--", *actor("c", "on=TERM:exit:3", "pause"),
                      stdin=tty.slave, output=tty.slave)
    happens("c", "up")
    tty.sees("tend: ")
    for p in processes():
        must(f"no terminal: {p}", p.tty == 0)
    end(tend, 3)


def closed(which):
    t = shell()
    t.run(f"tend -- {' '.join(actor('c', 'facts', 'exit=9'))} " +
          " ".join(f"{fd}>&-" for fd in which), 9)
    for fd in range(3):
        (_, _, _, fact), = events("c", f"fact fd {fd}")
        wanted = "/dev/null" if fd in which else t.path
        must(f"{fact}, not {wanted}", fact == f"fact fd {fd} {wanted}")


# ---- nobody reads ----

FORWARDING = actor("c", "on=any:note", "on=TERM:exit:3", "pause")


def goes_on(tend):
    os.kill(find("tend"), signal.SIGUSR1)
    happens("c", "got USR1")
    end(tend, 3)


def full_pipe():
    reader, writer = os.pipe2(os.O_NONBLOCK)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    tend = launched("-v", "--", *FORWARDING, output=writer)
    happens("c", "up")
    goes_on(tend)
    os.close(reader)
    os.close(writer)


def stopped_terminal():
    t = Terminal("tend", "-v", "--", *FORWARDING)
    happens("c", "up")
    t.key("S")
    goes_on(t)


def full_terminal():
    t = Terminal("tend", "-v", "--", "yes")
    becomes(t.front("yes"), "S")
    os.kill(find("tend"), signal.SIGTERM)
    must("status 143", t.wait() == 143)


# ---- the terminal hangs up ----

def hang_up(t):
    happens("c", "up")
    t.hang_up()
    happens("c", "got HUP")
    happens("c", "cleaned")
    until("all are gone", lambda: not processes())


def hang_up_in_shell():
    t = shell()
    t.type("tend -- " + " ".join(actor("c", "on=HUP:clean:100:4", "pause")))
    hang_up(t)


def hang_up_alone(*words):
    hang_up(Terminal(*words, "tend", "--", *actor("c", "on=HUP:clean:100:4", "pause")))


def hang_up_ignored():
    t = Terminal("tend", "-v", "--", *FORWARDING)
    happens("c", "up")
    t.hang_up()
    happens("c", "got HUP")
    is_idle(find("tend"))
    goes_on(t)


def hang_up_services(start):
    service("c", "", *actor("c", "on=TERM:clean:2500:0", "on=HUP:note", "pause"))
    t = start("tend", "-v", "-c", CONF)
    happens("c", "up")
    t.hang_up()
    happens("c", "got TERM")
    is_idle(find("tend"))
    happens("c", "cleaned")
    until("all are gone", lambda: not processes())
    must("the services were told by tend alone", count("c", "got HUP") == 0)
    return t


def hang_up_services_alone():
    must("status 0", hang_up_services(Terminal).wait() == 0)


def hang_up_services_in_shell():
    def start(*words):
        t = shell()
        t.type(" ".join(words))
        return t
    hang_up_services(start)


# ---- services and terminals ----

def interrupt_services():
    service("s", "", *actor("s", "on=any:note", "on=TERM:exit:0", "pause"))
    t = shell()
    t.type(f"tend -c {CONF}")
    happens("s", "up")
    t.key("C")
    t.prompt(0)
    must("stopped in order", count("s", "got TERM") == 1 and count("s", "got INT") == 0)


def service_with_tty(start):
    tty = Terminal()
    service("s", f'tty = "{tty.path}" restart {{ policy = always delay = "10ms" limit = 0 }}',
            *actor("s", "on=any:note", "on=TERM:exit:0", "pause"))
    tend = start("-v", "-c", CONF)
    for i in 1, 2:
        p = process(happens("s", "up", i))
        must(f"leads its session and the foreground: {p}", p.pid == p.session == p.front)
        must(f"has its terminal: {p}", p.tty == os.stat(tty.path).st_rdev)
        for fd in range(3):
            must(f"{fd} is it", os.readlink(f"/proc/{p.pid}/fd/{fd}") == tty.path)
        tty.key("C")
        happens("s", "got INT", i)
        os.kill(p.pid, signal.SIGKILL)
    happens("s", "up", 3)
    own = os.stat(tend.path).st_rdev if isinstance(tend, Terminal) else 0
    must(f"tend has what it had: {process(tend.pid)}", process(tend.pid).tty == own)
    end(tend)
    must("no signal too many", count("s", "got INT") == 2 and count("s", "got TERM") == 1)


def tend_with_terminal(*words):
    return Terminal("tend", *words)


def tty_fails(path, why):
    service("s", f'tty = "{path}" restart {{ policy = never }}', *actor("s", "pause"))
    must("status 1", launched("-c", CONF).wait(PATIENCE) == 1)
    must("names step and reason", any("tty" in line and why in line for line in told()))
    must("not started", count("s", "start") == 0)


def tty_in_use():
    t = shell()
    tty_fails(t.path, "Operation not permitted")
    must("not stolen", process(t.pid).tty and "is 42" in t.run("echo is $((6*7))"))


# F083
def getty(words):
    """tend leads a session and could get the terminal that its stderr is, or that a service had."""
    tty = Terminal()
    service("getty", "restart { policy = never }", "/bin/sh", "-c",
            f"exec <>{tty.path} >&0 2>&0; exec {' '.join(actor('getty', 'on=INT:exit:0', 'pause'))}")
    service("other", "", *actor("other", "on=any:note", "on=TERM:exit:0", "pause"))
    tend = Background(*words, "tend", "-v", "-c", CONF, stdin=tty.slave, output=tty.slave)
    happens("getty", "up")
    happens("other", "up")
    must("getty got it", [p for p in processes("actor") if p.tty])
    for _ in range(2):
        must(f"tend has none: {process(find('tend'))}", process(find("tend")).tty == 0)
        tty.key("C")
        happens("getty", "exit")
    is_idle(find("tend"))
    must("no shutdown", count("other", "got TERM") == 0)
    end(tend)


# ==== the cases ====

def pid1(text, function, *arguments):
    if PID1:
        case(text, function, *arguments)
    else:
        lib.skip(text, "pid1 is not possible here")


def with_and_without():
    for kind in "bash", "dash", "readline":
        case(f"{kind}: Ctrl-C ends the command, status 130", interrupt, kind)
        case(f"{kind}: Ctrl-Z and fg, again and again", stop_and_go, kind)
        case(f"{kind}: Ctrl-Z, bg, stopped when it reads, fg", background_and_back, kind)
        case(f"{kind}: started in the background, stopped when it reads, fg", read_in_background, kind)
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
        case(f"{kind} has job control when started as session leader", shell_alone, kind, *PREFIX)
        # dash fails at its end, unless it has a group with a number in its namespace.
        if kind == "bash" or PREFIX:
            pid1(f"{kind} has job control in a PID namespace", shell_alone, kind, *PID1, *PREFIX)
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
    case("F092 starts as session leader", starts, 500 if FULL else 60)
    case("starts inside a shell", starts_in_shell, 500 if FULL else 60)


def only_with():
    case("tend in tend: Ctrl-Z and fg", stop_and_go, "bash", "tend -- {}cat")
    case("tend in tend: job control", shell_in_shell, "bash", "bash", "tend -- tend -- ")
    case("session leader: Ctrl-Z does not stop it for ever", stop_goes_on)
    pid1("PID 1: Ctrl-Z does not stop it for ever", stop_goes_on, *PID1)
    case("session leader: the same after a TSTP that it caught", caught_stop_is_over)
    case("session leader: TSTP that is sent stops it until CONT", sent_stop_stays)
    pid1("PID 1: TSTP that is sent stops it until CONT", sent_stop_stays, *PID1)
    pid1("PID 1: Ctrl-Z and fg in the shell outside", stop_and_go, "bash",
         f"{' '.join(PID1)} {{}}cat")
    case("Ctrl-C twice kills what the command has left", leftovers, "CC")
    case("Ctrl-\\ kills what the command has left", leftovers, "\\")
    case("tostop: messages do not stop tend", messages_with_tostop)
    case("tostop: messages do not stop tend with services", services_with_tostop)
    case("tostop: the command gets the terminal to write", write_behind_pipe)

    words = ["tend", "--", "sh", "-c", "echo out; exit 5"]
    case("no terminal: session leader", no_terminal, *words)
    case("no terminal: inside a script", no_terminal, "sh", "-c", '"$@"; exit $?', "sh", *words)
    pid1("no terminal: PID 1", no_terminal, *PID1, *words)
    case("session leader: gets no terminal by opening it", stays_without, [])
    pid1("PID 1: gets no terminal by opening it", stays_without, [*PID1, "setsid"])
    for i in range(1, 8):
        which = [fd for fd in range(3) if i >> fd & 1]
        case(f"closed: {' '.join(map(str, which))}", closed, which)

    case("nobody reads the pipe", full_pipe)
    case("nobody reads the terminal", full_terminal)
    case("the terminal is stopped with Ctrl-S", stopped_terminal)

    case("hang-up inside a shell", hang_up_in_shell)
    case("hang-up of a session leader", hang_up_alone)
    pid1("hang-up of a PID 1", hang_up_alone, *(w for w in PID1 if w != "--kill-child"))
    case("hang-up that the command survives", hang_up_ignored)
    case("hang-up with services", hang_up_services_alone)
    case("hang-up with services, inside a shell", hang_up_services_in_shell)

    case("Ctrl-C with services", interrupt_services)
    case("a service with a terminal", service_with_tty, launched)
    case("a service with a terminal, tend with another", service_with_tty, tend_with_terminal)
    case("a service whose terminal is another's", tty_in_use)
    case("a service whose terminal is missing", tty_fails, "/dev/none", "No such file")
    case("a service whose terminal is none", tty_fails, "/dev/null", "Inappropriate ioctl")
    case("F083 session leader: a getty and its Ctrl-C", getty, [])
    pid1("F083 PID 1: a getty and its Ctrl-C", getty, [*PID1, "setsid"])


with_and_without()
if PREFIX == ["tend", "--"]:
    only_with()
lib.done_testing()
