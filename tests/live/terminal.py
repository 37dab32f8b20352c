"""What a person before a terminal sees of tend: job control, hang-ups, terminals that are missing
or that nobody reads, services with terminals. Started by terminal.sh."""

import os
import re
import signal
import time

import job_control
from job_control import echoes, orphan_reads, shell, shell_in_shell, stop_and_go
from lib import (CONF, PATIENCE, PID1, PREFIX, Background, Terminal, actor, becomes, case,
                 container, count, done_testing, events, find, happens, is_gone, is_idle,
                 is_pending, must, pid1, process, processes, service, state, told, until)


def launched(*words, **more):
    """tend without a terminal."""
    return Background("tend", *words, **more)


def end(tend, status=0):
    os.kill(find("tend"), signal.SIGTERM)
    is_so = tend.wait(PATIENCE)
    must(f"status {status}, not {is_so}", is_so == status)


# ---- job control where nobody could continue it ----

def stop_goes_on(start, *words):
    t = start(*words, "tend", "--", "cat")
    t.front("cat")
    for word in "one", "two":
        echoes(t, word)
        t.key("Z")
    echoes(t, "three")
    t.key("D")
    must("status 0", t.wait() == 0)


def sent_stop_stays(start, *words):
    t = start(*words, "tend", "--", "cat")
    cat = t.front("cat")
    os.kill(find("tend"), signal.SIGTSTP)
    becomes(cat, "T")
    time.sleep(1)
    must("still stopped", state(cat) == "T")
    os.kill(find("tend"), signal.SIGCONT)
    echoes(t, "one")
    t.key("D")
    must("status 0", t.wait() == 0)


def orphan_ignores_hang_up():
    """It may get no input, but no processor either."""
    orphan_reads("trap '' HUP;").sees("tend: ")
    for p in processes("tend"):
        is_idle(p.pid)


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
        must("it is still there", not is_gone(left))
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
    must("tend is not stopped", state(find("tend")) != "T")
    t.run("kill %1; wait %1", 3)


def services_with_tostop():
    service("s", "", *actor("s", "on=TERM:exit:0", "pause"))
    t = shell()
    t.run("stty tostop")
    t.run(f"tend -v -c {CONF} &")
    happens("s", "up")
    t.sees("tend: ")
    must("tend is not stopped", state(find("tend")) != "T")
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


def hang_up_alone(start, *words):
    hang_up(start(*words, "tend", "--", *actor("c", "on=HUP:clean:100:4", "pause")))


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


def hang_up_services_alone(start):
    must("status 0", hang_up_services(start).wait() == 0)


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
    own = " ".join(actor("getty", "on=INT:exit:0", "pause"))
    service("getty", "restart { policy = never }", "/bin/sh", "-c",
            f"exec <>{tty.path} >&0 2>&0; exec {own}")
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


# ---- the cases ----

def cases():
    case("tend in tend: Ctrl-Z and fg", stop_and_go, "bash", "tend -- {}cat")
    case("tend in tend: job control", shell_in_shell, "bash", "bash", "tend -- tend -- ")
    case("session leader: Ctrl-Z does not stop it for ever", stop_goes_on, Terminal)
    pid1("container: Ctrl-Z does not stop it for ever", stop_goes_on, container)
    pid1("PID 1: Ctrl-Z does not stop it for ever", stop_goes_on, Terminal, *PID1)
    case("a job without a shell that ignores HUP does not spin", orphan_ignores_hang_up)
    case("session leader: the same after a TSTP that it caught", caught_stop_is_over)
    case("session leader: TSTP that is sent stops it until CONT", sent_stop_stays, Terminal)
    pid1("container: TSTP that is sent stops it until CONT", sent_stop_stays, container)
    pid1("PID 1: TSTP that is sent stops it until CONT", sent_stop_stays, Terminal, *PID1)
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
    case("hang-up of a session leader", hang_up_alone, Terminal)
    pid1("hang-up of a container", hang_up_alone, container)
    pid1("hang-up of a PID 1", hang_up_alone, Terminal,
         *(word for word in PID1 if word != "--kill-child"))
    case("hang-up that the command survives", hang_up_ignored)
    case("hang-up with services", hang_up_services_alone, Terminal)
    pid1("hang-up of a container with services", hang_up_services_alone, container)
    case("hang-up with services, inside a shell", hang_up_services_in_shell)

    case("Ctrl-C with services", interrupt_services)
    case("a service with a terminal", service_with_tty, launched)
    case("a service with a terminal, tend with another", service_with_tty, tend_with_terminal)
    case("a service whose terminal is another's", tty_in_use)
    case("a service whose terminal is missing", tty_fails, "/dev/none", "No such file")
    case("a service whose terminal is none", tty_fails, "/dev/null", "Inappropriate ioctl")
    case("F083 session leader: a getty and its Ctrl-C", getty, [])
    pid1("F083 PID 1: a getty and its Ctrl-C", getty, [*PID1, "setsid"])


job_control.cases()
if PREFIX == ["tend", "--"]:
    cases()
done_testing()
