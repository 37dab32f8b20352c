"""What terminal.py and its like stand on: pseudo-terminals, shells before them, the processes
behind them, and TAP. Comes after lib.sh, whose temporary folder, binaries and journal it uses.

Every process that is started here carries a mark in its environment, by which it is found again
in whatever session or namespace it is."""

import contextlib
import fcntl
import io
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import time
import traceback
from pathlib import Path
from typing import NamedTuple

import pexpect
import pexpect.fdpexpect

T, BIN, J, CONF, LOG = (os.environ[name] for name in ("T", "BIN", "J", "CONF", "LOG"))
PID1 = os.environ["TEND_TEST_PID1"].split()
ONLY = os.environ.get("TEND_TEST_ONLY", "")
VERBOSE = os.environ.get("TEND_TEST_TIMES") == "1"
FULL = os.environ.get("TEND_TEST_FULL") == "1"
# What is asked of job control holds for a command without tend: TEND_TEST_PREFIX= proves it.
PREFIX = os.environ.get("TEND_TEST_PREFIX", "tend --").split()
PATIENCE = 20           # seconds: nobody takes longer unless it never comes
TICKS = os.sysconf("SC_CLK_TCK")
MARK = f"TEND_TEST_MARK={T}"
ENVIRONMENT = {
    "PATH": f"{BIN}:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": T, "TERM": "dumb",
    "PS1": "out<$?> ", "LC_ALL": "C", **dict([MARK.split("=")]),
    **{name: text for name, text in os.environ.items() if name.endswith("SAN_OPTIONS")},
}
SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "--noediting", "-i"],
    "readline": ["bash", "--norc", "--noprofile", "-i"],
    "dash": ["dash", "-i"],
}


class Failed(Exception):
    """Something is not as it must be."""


def must(text, so):
    if not so:
        raise Failed(text)


def until(text, condition, limit=PATIENCE):
    """Polls; what the condition gave at last."""
    end = time.monotonic() + limit
    while not (so := condition()):
        must(f"{text}: not within {limit} s", time.monotonic() < end)
        time.sleep(0.01)
    return so


# ---- processes ----

class Process(NamedTuple):
    pid: int
    name: str
    state: str
    parent: int
    group: int
    session: int
    tty: int
    front: int          # the foreground group of its terminal
    ticks: int          # of processor time
    words: str

    def __str__(self):
        return (f"{self.pid:7} {self.state} parent {self.parent} group {self.group} "
                f"session {self.session} tty {self.tty:x} front {self.front} {self.words}")


def process(pid):
    """None: there is none."""
    with contextlib.suppress(OSError):
        before, after = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)
        words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        f = after.split()
        return Process(int(pid), before.split(" (", 1)[1], f[0], *map(int, f[1:6]),
                       int(f[11]) + int(f[12]), words)
    return None


def is_marked(pid):
    with contextlib.suppress(OSError):
        return f"\0{MARK}\0".encode() in b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    return False


def processes(name=None):
    """Those of this case that live."""
    pids = [p for p in os.listdir("/proc") if p.isdigit() and is_marked(p)]
    found = [p for p in map(process, pids) if p and p.state not in "ZX"]
    return [p for p in found if name in (None, p.name)]


def find(name):
    """Once there is exactly one: a child is called like its parent until its exec."""
    return until(f"one process {name}", lambda: len(all := processes(name)) == 1 and all)[0].pid


def state(pid):
    p = process(pid)
    return p.state if p else "gone"


def is_gone(pid):
    return state(pid) in ("gone", "Z", "X")


def becomes(pid, *states):
    until(f"{process(pid)} becomes {states}", lambda: state(pid) in states)


def is_pending(pid):
    """Whether a signal waits for it to be taken."""
    with contextlib.suppress(OSError):
        return re.search(r"ShdPnd:\t0*[1-9a-f]", Path(f"/proc/{pid}/status").read_text())
    return False


def is_idle(pid):
    """Over a second. One that spins takes what it can get of it."""
    before = process(pid)
    time.sleep(1)
    after = process(pid)
    must(f"{after} spins", not after or after.ticks - before.ticks < TICKS * 0.15)


# ---- actors ----

def actor(name, *steps):
    """Its words, for a shell as well as for a list."""
    return [f"{BIN}/actor", J, name, *steps]


def events(name, event):
    lines = [line.split(" ", 3) for line in Path(J).read_text().splitlines()]
    return [line for line in lines
            if line[2] == name and (line[3] == event or line[3].startswith(event + " "))]


def count(name, event):
    return len(events(name, event))


def happens(name, event, times=1):
    """The pid, as the actor knows it."""
    until(f"{name}: {event} ({times})", lambda: count(name, event) >= times)
    return int(events(name, event)[-1][1])


# ---- terminals ----

def fresh_signals():
    """What Python and a shell in the background have changed."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


class Terminal:
    """With a command: its session leader."""

    all = []            # of this case

    def __init__(self, *command, controls=True):
        self.name, self.pid, self._status = "out", None, None
        self.master, self.slave = os.openpty()
        self.path = os.ttyname(self.slave)
        self.resize(24, 120)
        if command:
            self.pid = os.fork() or self._become(command, controls)
            os.close(self.slave)
            self.slave = None
        self.text = io.StringIO()
        self.screen = pexpect.fdpexpect.fdspawn(self.master, encoding="utf-8",
                                                codec_errors="replace", timeout=PATIENCE)
        self.screen.logfile_read = self.text
        Terminal.all.append(self)

    def _become(self, command, controls):
        try:
            fresh_signals()
            os.setsid()
            terminal = os.open(self.path, os.O_RDWR | (0 if controls else os.O_NOCTTY))
            for fd in range(3):
                os.dup2(terminal, fd)
            os.closerange(3, 256)
            os.execvpe(command[0], command, ENVIRONMENT)
        finally:
            os._exit(127)

    # what a person does
    def type(self, line):
        self.screen.send(line + "\r")

    def key(self, letter):
        """With Ctrl."""
        self.screen.send(chr(ord(letter) & 0x1f))

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self):
        if self.master >= 0:
            os.close(self.master)
            self.master = self.screen.child_fd = -1

    # what a person sees
    def sees(self, pattern):
        """The text before it."""
        try:
            self.screen.expect(pattern)
        except (pexpect.TIMEOUT, pexpect.EOF) as e:
            raise Failed(f"{type(e).__name__.lower()} instead of {pattern!r}") from None
        return self.screen.before

    def prompt(self, status=None):
        """The text before it."""
        text = self.sees(rf"{self.name}<(\d+)> ")
        is_so = int(self.screen.match[1])
        must(f"status {status}, not {is_so}", status in (None, is_so))
        return text

    def run(self, line, status=0):
        """A line for the shell: what came of it."""
        self.type(line)
        return self.prompt(status)

    def jobs(self, pattern):
        """Until the shell tells this of its jobs."""
        until(f"jobs: {pattern}", lambda: re.search(pattern, self.run("jobs", None)))

    def front(self, name):
        """Until a process of this name is in the foreground; its pid."""
        def found():
            group = os.tcgetpgrp(self.master)
            return [p.pid for p in processes(name) if p.group == group]
        return until(f"{name} in the foreground", found)[0]

    # what the kernel tells
    def wait(self, limit=PATIENCE):
        """Until the session leader has ended: how, as a shell tells it."""
        until("end of the session leader", self._reap, limit)
        return self._status

    def _reap(self):
        if self._status is None and self.pid:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status)
            self._status = (code if code >= 0 else 128 - code) if pid else None
        return self._status is not None

    def close(self):
        self.hang_up()
        if self.slave is not None:
            os.close(self.slave)
            self.slave = None


def container(*command):
    """Its session leader is PID 1 of a namespace."""
    return Terminal(*PID1, "setsid", "-c", *command, controls=False)


class Background(subprocess.Popen):
    """Without a terminal, and a session leader; told() is what it writes."""

    all = []            # of this case

    def __init__(self, *command, stdin=subprocess.DEVNULL, output=None):
        with open(LOG, "ab") as log:
            super().__init__(command, env=ENVIRONMENT, stdin=stdin, stdout=output or log,
                             stderr=output or log, preexec_fn=fresh_signals,
                             start_new_session=True)
        Background.all.append(self)


def told():
    return Path(LOG).read_text().splitlines()


def service(name, keys, *command):
    with open(CONF, "a", encoding="utf-8") as conf:
        words = ", ".join(f'"{word}"' for word in command)
        conf.write(f"service {name} {{ {keys} command = {{{words}}} }}\n")


# ---- TAP ----

class Plan:
    tests = 0
    text = ""


def nobody_is_left():
    """With its terminal everybody goes, by himself."""
    for terminal in Terminal.all:
        terminal.close()
    until("gone with the terminal", lambda: not processes())


def end_all():
    for p in processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(p.pid, signal.SIGKILL)
    for terminal in Terminal.all:
        terminal.close()
        if terminal.pid:
            terminal.wait()
    Terminal.all.clear()
    for child in Background.all:
        child.wait()
    Background.all.clear()


def evidence():
    for terminal in Terminal.all:
        yield f"--- terminal {terminal.path}:"
        yield from terminal.text.getvalue()[-3000:].splitlines()
    yield "--- log:"
    yield from told()[-25:]
    yield "--- processes:"
    yield from map(str, processes())
    yield "--- journal:"
    yield from Path(J).read_text().splitlines()[-20:]


def case(text, function, *arguments):
    if ONLY not in text:
        return
    Plan.tests += 1
    for path in J, CONF, LOG:
        Path(path).write_text("")
    begin, lines = time.monotonic(), []
    try:
        function(*arguments)
        nobody_is_left()
    except Exception as e:
        frames = traceback.extract_tb(e.__traceback__)
        where = " ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames
                         if not f.filename.endswith("lib.py"))
        lines = [f"{type(e).__name__}: {e} [{where}]", *evidence()]
    end_all()
    print(f"{'not ok' if lines else 'ok'} {Plan.tests} - {text}", *lines, sep="\n#   ")
    if VERBOSE:
        print(f"# {time.monotonic() - begin:.2f} s")
    sys.stdout.flush()


def skip(text, why):
    Plan.tests += 1
    print(f"ok {Plan.tests} - {text} # SKIP {why}")


def pid1(text, function, *arguments):
    """One that needs a PID namespace."""
    if PID1:
        case(text, function, *arguments)
    else:
        skip(text, "pid1 is not possible here")


def done_testing():
    print(f"1..{Plan.tests}")
