"""tendctl on a terminal: widths, colours, and that it can be interrupted. Started by tables.sh."""

import os
import re
import subprocess

import lib
from lib import BIN, CONF, ENVIRONMENT, LOG, T, Background, Terminal, actor, case, happens, must, service, until

RUNTIME = f"{T}/run.tables"
GREEN, YELLOW, RED, DIM = ("\033[%sm" % code for code in ("32", "33", "31", "2"))
STATES = {"running": GREEN, "done": GREEN, "backoff": YELLOW, "pending": YELLOW, "starting": YELLOW,
          "stopping": YELLOW, "failed": RED, "down": DIM}


def plain(*words, variables=(), status=0):
    """What it writes where it is no terminal."""
    done = subprocess.run([f"{BIN}/tendctl", "--runtime", RUNTIME, *words], capture_output=True, text=True,
                          env={**ENVIRONMENT, "LC_ALL": "C.UTF-8", **dict(variables)}, check=False,
                          stdin=subprocess.DEVNULL)
    must(f"{words}: status {done.returncode}, {done.stderr}", status in (None, done.returncode))
    return done.stdout


def shown(*words, columns=80, variables=(), status=0):
    """What comes to a terminal, as lines."""
    settings = [f"{name}={text}" for name, text in {"TERM": "xterm", "LC_ALL": "C.UTF-8", **dict(variables)}.items()]
    t = Terminal("env", *settings, "sh", "-c", f'stty cols {columns}; exec "$@"', "sh",
                 "tendctl", "--runtime", RUNTIME, *words)
    t.screen.expect(lib.pexpect.EOF)
    must(f"{words}: status {t.wait()}", t.wait() == status)
    return t.text.getvalue().replace("\r\n", "\n")


def bare(text):
    """Without colours, and nothing else that a terminal takes for a control."""
    text = re.sub(r"\033\[\d*m", "", text)
    must(f"nothing but colours: {text!r}", not re.search(r"[^\n -~├│└─]", text))
    return text


def state(name):
    return plain("status", name, status=None).splitlines()[1].split()[1]


def zoo():
    """tend, with services of which each is in another state."""
    slowly = 'type = oneshot restart { policy = on-failure limit = 0 delay = "50s" max_delay = "50s" }'
    service("base", "", *actor("base", "pause"))
    service("once", "type = oneshot", *actor("once", "exit=0"))
    service("flapping", slowly, *actor("flapping", "exit=3"))
    service("broken", "type = oneshot restart { policy = on-failure limit = 1 }", *actor("broken", "exit=4"))
    service("behind-the-broken-ones", "requires = {broken}", *actor("vain", "pause"))
    service("slow", "type = oneshot", *actor("slow", "pause"))
    service("stubborn", 'stop { grace = "70s" }', *actor("stubborn", "ignore=TERM", "pause"))
    service("tool", "start = manual", *actor("tool", "pause"))
    tend = Background("tend", "-c", CONF, "--runtime", RUNTIME)
    for name in "base", "slow", "stubborn":
        happens(name, "up")
    until("it answers", lambda: os.path.exists(f"{RUNTIME}/control"))
    plain("stop", "stubborn")
    for name, word in {"flapping": "backoff", "broken": "failed", "once": "done", "stubborn": "stopping"}.items():
        until(f"{name} is {word}", lambda name=name, word=word: state(name) == word)
    return tend


def leave(tend):
    plain("shutdown", "--now", "--wait")
    must("tend ends well", tend.wait() == 0)


def widths():
    tend = zoo()
    for columns in 80, 100, 132:
        text = bare(shown("status", columns=columns))
        lines = text.splitlines()
        must(f"{columns} columns: {text}", max(map(len, lines)) <= columns)
        must(f"the names are there: {text}",
             {line.split()[0] for line in lines} >= {"base", "once", "flapping", "broken", "behind-the-broken-ones"})
        must(f"the notes, too: {text}",
             all(re.search(note, text) for note in ("waits for broken, in vain", r"next try in \d+s", "gave up after 1 start")))
    must(f"in 80 columns a note has a line of its own: {lines}",
         re.search(r"^  waits for broken, in vain$", bare(shown("status")), re.M))
    must("in 132 it has not", re.search(r"^behind-the-broken-ones .* waits for broken, in vain$", text, re.M))
    for words in ("graph",), ("history",), ("plan",), ("names",), ("--help",):
        text = bare(shown(*words))
        must(f"80 columns: {words}: {text}", max(map(len, text.splitlines())) <= 80)
    narrow = bare(shown("status", columns=10))
    must(f"all names, however narrow: {narrow}", "behind-the-broken-ones" in narrow)
    same = shown("status", columns=200)
    must("with room it is as in a pipe", without_times(bare(same)) == without_times(plain("status")))
    leave(tend)


def without_times(text):
    return re.sub(r" +", " ", re.sub(r"\d[\d.]*(ms|s|m|[KM])\b(\d+s)?", "N", text))


def colours():
    tend = zoo()
    text = shown("status", columns=200)
    for line in text.splitlines()[1:9]:
        name, word = line.split()[:2]
        found = re.match(r"(\033\[\d+m)(\w+)\033\[0m$", word)
        must(f"the state of {name} has its colour: {line!r}",
             found and found[1] == (RED if name == "behind-the-broken-ones" else STATES[found[2]]))
    must(f"what is in vain is bad: {text!r}", f"{RED}pending\033[0m" in text)
    for words in ("why", "base"), ("graph",), ("events",), ("status",):
        must(f"colours of {words}", "\033[" in shown(*words))
        for how in {"NO_COLOR": "1"}, {"TERM": "dumb"}:
            must(f"none with {how}", "\033" not in shown(*words, variables=how))
        must("an empty NO_COLOR is none", "\033[" in shown(*words, variables={"NO_COLOR": ""}))
        must("none with never", "\033" not in shown("--color", "never", *words))
        must("colours with always", "\033[" in shown("--color=always", *words, variables={"NO_COLOR": "1", "TERM": "dumb"}))
        must("none where it is no terminal", "\033" not in plain(*words, variables={"TERM": "xterm"}))
        must("but with always", "\033[" in plain("--color", "always", *words))
        must("each ends where it began", re.sub(r"\033\[\d+m[^\033\n]*\033\[0m", "", shown(*words)).count("\033") == 0)
    must("JSON has none", "\033" not in shown("--json", "--color", "always", "status"))
    must("as without them", without_times(bare(plain("--color", "always", "status"))) == without_times(plain("status")))
    leave(tend)


def says():
    """A table is no wider for what a service says, and loses none of its rows."""
    line = ("service name={0} state=running ready=1 wanted=1 pid=5 up=5000 health=unhealthy health_failures=3 "
            "health_fault=refused status=" + r"word\\x20" * 28 + r"\\xc3\\xa4\n")
    os.makedirs(RUNTIME, exist_ok=True)
    fake = Background("python3", "-BES", f"{os.path.dirname(__file__)}/fake_tend.py", RUNTIME,
                      r"tend protocol=1 version=9 pid=77 rights=all at=1000\n",
                      line.format("web") + line.format("db") + r"ok at=2000\n", r"ok at=2000\n")
    until("it plays", lambda: os.path.exists(f"{RUNTIME}/control"))
    for columns in 40, 80, 100:
        lines = bare(shown("status", columns=columns)).splitlines()
        must(f"{columns} columns: {lines}", max(map(len, lines)) <= max(columns, 55))
        must(f"both, their notes, the sum: {lines}",
             [line.split()[0] for line in lines if re.match(r"\w", line)] == ["NAME", "db", "web", "2"]
             and sum("unhealthy: refused" in line for line in lines) == 2 and lines[-1] == "2 services: 2 unhealthy")
    must("unhealthy is bad", f"{RED}running\033[0m" in shown("status"))
    must("all of it where there is room", plain("status").count("word " * 28 + "ä") == 2)
    fake.kill()
    fake.wait()
    os.unlink(f"{RUNTIME}/control")


def interrupted():
    service("s", "", *actor("s", "pause"))
    tend = Background("tend", "-c", CONF, "--runtime", RUNTIME)
    happens("s", "up")
    until("it answers", lambda: os.path.exists(f"{RUNTIME}/control"))
    for words in ("events", "-f"), ("wait", "--for", "down", "s"):
        t = Terminal("tendctl", "--runtime", RUNTIME, *words)
        until("it waits", lambda t=t: lib.process(t.pid).name == "tendctl" and lib.state(t.pid) == "S")
        t.key("C")
        must(f"{words}: status {t.wait()}", t.wait() == 130)
        must("without a word", t.text.getvalue() in ("", "^C"))
    must("s lives", lib.count("s", "start") == 1 and not lib.is_gone(happens("s", "up")))
    leave(tend)


case("a table fits its terminal, and loses nothing", widths)
case("what services say is cut to the terminal", says)
case("colours on a terminal, and where they are asked for", colours)
case("interrupted by a key", interrupted)
lib.done_testing()
