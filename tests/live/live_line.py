"""The one line that tells on a terminal what is waited for, and is drawn again and again. Started
by live_line.sh.

What a terminal shows is made from the bytes that came, with the few escapes that are allowed."""

import os
import re
import time

import lib
from lib import (CONF, PATIENCE, SHELLS, Terminal, actor, case, count, happens, is_gone, must, service,
                 until)

SHOWN = ("env", "TERM=xterm")


class Screen:
    """Rows without an end; a sequence that is not known is a fault."""

    def __init__(self, columns):
        self.columns, self.rows, self.at = columns, [""], 0
        self.wrapped = 0

    def show(self, text):
        """Yields after each thing that can be seen."""
        for piece in re.findall(r"\033\[K|\033\[\?2004[hl]|\r|\n|\a|\x08|[^\0-\037]+|.", text, re.DOTALL):
            if piece == "\r":
                self.at = 0
            elif piece == "\n":
                self.rows.append("")
                self.at = 0
            elif piece == "\b":
                self.at -= 1
            elif piece == "\033[K":
                self.rows[-1] = self.rows[-1][:self.at]
            elif piece[0] >= " ":
                row = self.rows[-1]
                self.rows[-1] = row[:self.at] + piece + row[self.at + len(piece):]
                self.at += len(piece)
                self.wrapped += self.at > self.columns
                yield
            else:
                must(f"{piece!r} is no escape that is known", piece in "\a" or "2004" in piece)


def is_live(row):
    return re.search(r" left(, and \d+ more)?$|: ready \d+/\d+, |: stopping \d+/\d+, ", row)


def read_to_end(t):
    """Until tend, who leads the session, has ended; all that came."""
    def more():
        try:
            t.screen.expect(r".+", timeout=0.1)
        except (lib.pexpect.TIMEOUT, lib.pexpect.EOF):
            pass
        return t._reap()
    until("end of tend", more)
    more()
    return t.text.getvalue()


def check(text, columns=120):
    """One live line at most, below all others, and none at the end; what it showed, in order."""
    screen, shown = Screen(columns), []
    for _ in screen.show(text):
        lives = [i for i, row in enumerate(screen.rows) if is_live(row)]
        must(f"one live line, the last one: {screen.rows}", lives in ([], [len(screen.rows) - 1]))
        row = screen.rows[-1]
        if is_live(row) and row not in shown[-1:]:
            shown.append(row)
    for row in screen.rows:
        must(f"a line that is tend's alone: {row!r}", row == "" or
             (row.startswith("tend: ") and row.count("tend: ") == 1))
    must("no line is too long", screen.wrapped == 0)
    return shown, screen.rows


def tend(*words, columns=120):
    return Terminal(*SHOWN, "sh", "-c", f'stty cols {columns}; exec "$@"', "sh", "tend", *words)


def seconds_left(shown):
    return [float(m[1]) for row in shown if (m := re.search(r"(\d+\.\d) s left", row))]


# ---- the line ----

def redrawn():
    """A start of two seconds and a stop of two, and lines in between."""
    service("flapping", 'restart { policy = always limit = 0 delay = "300ms" max_delay = "300ms" }',
            *actor("flapping", "exit=1"))
    service("slow", 'type = oneshot ready { timeout = "9s" }', *actor("slow", "sleep=2500", "exit=0"))
    service("last", 'requires = {slow} stop { grace = "2500ms" }',
            *actor("last", "ignore=TERM", "pause"))
    t = tend("-c", CONF)
    happens("last", "up")
    os.kill(t.pid, lib.signal.SIGTERM)
    text = read_to_end(t)
    shown, rows = check(text)
    must("what is over is not drawn any more", "waiting for slow" not in text.split("slow: done")[1])
    start = [row for row in shown if "waiting for slow (pid " in row]
    stop = [row for row in shown if re.search(r"last \(pid .* has [012]\.\d s left", row)]
    must(f"it is drawn again: {shown}", len(start) >= 4 and len(stop) >= 4)
    must("it says who is ready", all(re.match(r"tend: ready \d/3, ", row) for row in start))
    must("and who is gone", all(re.match(r"tend: stopping \d/\d, ", row) for row in stop))
    for rows_of, low, high in (start, 6.0, 8.1), (stop, 0.0, 1.6):
        left = seconds_left(rows_of)
        must(f"the time runs: {left}", left == sorted(left, reverse=True) and len(set(left)) >= 4)
        must(f"from {high} to {low}: {left}", low <= left[-1] and left[0] <= high)
    must("other lines came meanwhile", len([r for r in rows if "flapping: exit 1" in r]) >= 6)
    must("none of them was lost", len([r for r in rows if "flapping: exit 1" in r])
         >= count("flapping", "exit") - 1)


def only_after_a_second():
    service("quick", "type = oneshot", *actor("quick", "sleep=600", "exit=0"))
    service("last", "requires = {quick}", *actor("last", "on=TERM:clean:600:0", "pause"))
    t = tend("-c", CONF)
    happens("last", "up")
    os.kill(t.pid, lib.signal.SIGTERM)
    text = read_to_end(t)
    shown, _ = check(text)
    must(f"nothing is shown: {shown}", not shown and "\033" not in text)


def cut():
    """To one less than the width, where no terminal wraps."""
    name = "n" * 64
    service(name, 'stop { grace = "2s" }', *actor("s", "ignore=TERM", "pause"))
    t = tend("-c", CONF, columns=100)
    happens("s", "up")
    os.kill(t.pid, lib.signal.SIGTERM)
    t.sees("stopping 0/1, nnn")
    t.resize(24, 60)
    text = read_to_end(t)
    lives = re.findall(r"tend: stopping[^\r\n\033]*", text)
    lengths = {len(live) for live in lives}
    must(f"cut to the width, then to the new one: {lengths}", lengths == {99, 59})


def plain(*terminal):
    service("s", 'stop { grace = "2500ms" }', *actor("s", "ignore=TERM", "pause"))
    t = Terminal("env", *terminal, "tend", "-c", CONF)
    happens("s", "up")
    os.kill(t.pid, lib.signal.SIGTERM)
    text = read_to_end(t)
    must(f"no escapes: {text!r}", "\033" not in text)
    lines = re.findall(r"^tend: stopping 0/1, s \(pid .* left\r$", text, re.M)
    must(f"two whole lines: {lines}", len(lines) == 2)


def other_output_is_plain():
    """stderr is what counts."""
    service("s", 'stop { grace = "1500ms" }', *actor("s", "ignore=TERM", "pause"))
    t = Terminal(*SHOWN, "sh", "-c", f"exec tend -c {CONF} 2>{lib.T}/stderr")
    happens("s", "up")
    os.kill(t.pid, lib.signal.SIGTERM)
    must("nothing on the terminal", read_to_end(t) == "")
    text = lib.Path(f"{lib.T}/stderr").read_text()
    must(f"a plain line in the file: {text}", "\033" not in text and " left\n" in text)


# ---- nobody reads ----

def stopped_terminal():
    """Long enough for many redraws to fill what is kept for a terminal that takes nothing."""
    service("slow", 'type = oneshot', *actor("slow", "sleep=12000", "exit=0"))
    service("last", 'requires = {slow} stop { grace = "60s" }', *actor("last", "ignore=TERM", "pause"))
    t = tend("-c", CONF, "--deadline", "2s")
    happens("slow", "start")
    t.sees("waiting for slow")
    t.key("S")
    happens("last", "up")
    t.key("Q")
    t.sees(r"slow: done: exit 0 after 12s")
    t.sees(r"last: ready")
    t.key("S")
    time.sleep(0.2)
    begin = time.monotonic()
    os.kill(t.pid, lib.signal.SIGTERM)
    until("tend has ended", lambda: is_gone(t.pid) or t._reap(), PATIENCE)
    took = time.monotonic() - begin
    must(f"in time: {took}", took < 2)
    must("no line was lost", "messages lost" not in t.text.getvalue())


# ---- and shells ----

def in_background():
    """No line is drawn below a prompt."""
    service("s", 'stop { grace = "2500ms" }', *actor("s", "ignore=TERM", "pause"))
    t = Terminal(*SHOWN, *SHELLS["bash"])
    t.prompt()
    t.run(f"export TERM=xterm; tend -c {CONF} &")
    happens("s", "up")
    t.run("kill %1; wait %1", 0)
    text = t.text.getvalue()
    must(f"plain lines: {text!r}", "\033[K" not in text and
         len(re.findall(r"^tend: stopping 0/1, s \(pid .* left\r$", text, re.M)) == 2)


def in_foreground():
    service("s", 'stop { grace = "2500ms" }', *actor("s", "ignore=TERM", "pause"))
    t = Terminal(*SHOWN, *SHELLS["bash"])
    t.prompt()
    t.type(f"tend -c {CONF}")
    happens("s", "up")
    t.key("C")
    text = t.prompt(0)
    must(f"drawn: {text!r}", text.count("\033[K") >= 4)
    must(f"the prompt has a line of its own: {text!r}", text.endswith("\n"))


def leftovers():
    """Nothing while the command runs, as the terminal is its own."""
    t = Terminal(*SHOWN, *SHELLS["bash"])
    t.prompt()
    t.type("tend --grace 2500ms -- " + " ".join(
        actor("c", "fork=left", "ignore=TERM", "pause", "end", "sleep=2000", "exit=5")))
    happens("c", "start")
    happens("c", "exit")
    t.sees("left behind by actor")
    must("nothing before", "\033[K" not in t.text.getvalue() and " left" not in t.screen.before)
    text = t.prompt(5)
    must(f"drawn: {text!r}", text.count("\033[K") >= 4 and
         re.search(r"left behind by actor \(pid \d+ \(actor\) S.*\), 1\.\d s left", text))
    must(f"the prompt has a line of its own: {text!r}", text.endswith("\r\033[K"))


case("drawn again, below all other lines, and gone at the end", redrawn)
case("not within the first second", only_after_a_second)
case("cut to the width of the terminal", cut)
case("TERM=dumb: plain lines", plain, "TERM=dumb")
case("no TERM: plain lines", plain, "-u", "TERM")
case("stderr is a file: plain lines", other_output_is_plain)
case("a terminal that is stopped costs no time, and no line", stopped_terminal)
case("in the background of a shell: plain lines", in_background)
case("in the foreground of a shell", in_foreground)
case("what a command left behind", leftovers)
lib.done_testing()
