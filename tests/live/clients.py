"""Clients of the control socket: clients.py DIR SCENE [ARGUMENT...].

`ask` and `follow` print what tend says. Every other scene prints a line for each thing that is not
so, lines that begin with "#:" for people, and at last "done"."""

import os
import random
import re
import socket
import sys
import time
from contextlib import suppress

PATIENCE = 20           # seconds: nobody takes longer unless it never comes
LINE = 4096             # bytes of a request, newline included
VALUE = r"(?:[!-\[\]-~]|\\x[0-9a-fA-F]{2})+"
RECORD = re.compile(rf"[a-z]+(?: [a-z_]+={VALUE})*(?: text=(?:[ -\[\]-~]|\\x[0-9a-fA-F]{{2}})*)?")
REQUESTS = [
    "status a", "ready a", "wait for=ready a", "why a", "graph", "events", "history a", "help",
    "start m1", "restart m1", "stop m1",
    "reload-service a", "signal signal=USR2 to=main a", "plan", "reload",
    "shutdown now deadline=30s",
]
FIRST_DENIED = REQUESTS.index("reload-service a")


def must(text, so):
    if not so:
        print(text, flush=True)
    return so


def tell(text):
    print("#:", text, flush=True)


def touch(flag):
    with open(flag, "w", encoding="ascii"):
        pass


class Client:
    def __init__(self):
        self.got = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect("control")  # which waits where the backlog is full
        self.socket.settimeout(PATIENCE)

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        """None: there is no more."""
        while b"\n" not in self.got:
            more = b""
            with suppress(ConnectionError):
                more = self.socket.recv(65536)
            if not more:
                must(f"half a line at the end: {self.got}", not self.got)
                return None
            self.got += more
        line, self.got = self.got.split(b"\n", 1)
        text = line.decode("latin-1")
        keys = re.findall(r" ([a-z_]+)=", text.split(" text=")[0])
        must(f"no line of the protocol: {text}", RECORD.fullmatch(text) and len(line) < 3584)
        must(f"a field is there twice: {text}", len(keys) == len(set(keys)))
        return text

    def reply(self):
        """All lines of it; the last is "" where the connection ended."""
        lines = []
        while True:
            lines.append(self.line() or "")
            if lines[-1].split(" ")[0] in ("", "ok", "error"):
                return lines

    def ask(self, request):
        self.send(request + "\n")
        return self.reply()

    def end_input(self):
        self.socket.shutdown(socket.SHUT_WR)

    def rest(self):
        lines = []
        while (line := self.line()) is not None:
            lines.append(line)
        return lines

    def close(self):
        self.socket.close()


def greeted():
    client = Client()
    line = client.line() or ""
    must(f"no greeting: {line}", re.fullmatch(
        r"tend protocol=1 version=\S+ pid=\d+ rights=(all|part) at=\d+", line))
    return client


def occupied(request):
    """One whose request tend has: it is taken before what others ask from now on."""
    client = greeted()
    client.send(f"help\n{request}\n")
    client.reply()
    return client


def until(text, condition, limit=PATIENCE):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            return must(f"{text}: not within {limit} s", False)
        time.sleep(0.02)
    return True


def field(line, key):
    found = re.search(rf" {key}=(\S*)", line)
    return found and found[1]


def without_times(lines):
    return [re.sub(r" (for|up|next|at)=\d+", "", line) for line in lines]


# ---- what is said ----

def ask(*requests):
    """Each after the reply to the one before. 1: an error among them, 2: nobody there."""
    client, status = Client(), 0
    first = client.line() or ""
    if not first.startswith("tend "):
        print(first)
        return 1
    for request in requests:
        lines = client.ask(request)
        print(*lines, sep="\n", flush=True)
        status = max(status, not lines[-1].startswith("ok"))
    return status


def pending(flag, request):
    """One that takes its time; the flag tells that tend has it."""
    client = occupied(request)
    client.socket.settimeout(None)
    touch(flag)
    print(*client.reply(), sep="\n", flush=True)


def greeting():
    print(Client().line())


def follow(*requests):
    """Until the connection ends, however long that takes."""
    client = Client()
    client.socket.settimeout(None)
    client.line()
    client.send("".join(request + "\n" for request in requests))
    while (line := client.line()) is not None:
        print(line, flush=True)


# ---- frames; of services a and b, which run, and manual ones m1 to m300 ----

def cut():
    for request in REQUESTS:
        for n in range(len(request) + 1):
            client = Client()
            client.send(request[:n])
            if n % 2:
                client.end_input()
                must(f"half of {request} is answered", len(client.rest()) == 1)
            client.close()
    client = greeted()
    for n in range(1, len("status a\r\n")):
        client.send("status a\r\n"[:n])
        time.sleep(0.002)
        client.send("status a\r\n"[n:])
        must(f"cut at {n}", client.reply()[-1].startswith("ok"))


def malformed():
    client = greeted()
    for line in (b"", b"\r", b"\0", b"status\0a", b"status a\0", b"\xff\xfe", b"status \xc3\xa4",
                 b"status\x1ba", b"a" * 255, b"status " + b"x" * 300, b"status ../../x",
                 b"status /etc/passwd", b"status a/b", b"status a b=c", b"status for=ready",
                 b"wait a", b"wait for=x a", b"wait for=ready for=down a", b"wait a for=ready",
                 b"start", b"why", b"why a b", b"help a", b"plan a", b"signal a",
                 b"signal signal=0 a", b"signal signal=NOSUCH a", b"signal signal=HUP to=all a",
                 b"signal signal=HUP", b"events after=-1", b"events after=0x1", b"events follow=1",
                 b"events after=99999999999999999999999", b"shutdown deadline=0",
                 b"shutdown deadline=-1s", b"shutdown now now", b"shutdown now=1", b"STATUS a",
                 b"stop a\x08", b"statusa", b"= a", b"==", b"signal=HUP a"):
        client.send(line + b"\n")
        lines = client.reply()
        must(f"{line[:40]}: {lines}", len(lines) == 1 and lines[0].startswith("error code=usage text="))
    lines = client.ask("stop a nosuch b")
    must(f"an unknown name: {lines}", lines[0].startswith("error code=unknown name=nosuch text="))
    must("and nothing was done", all(field(line, "wanted") == "1" for line in client.ask("status a b")[:-1]))
    must("blanks and tabs", len(client.ask(" \t status \t a\tb  ")) == 3)
    lines = client.ask("stop a b a")
    must(f"a name given twice: {lines}", lines[0].startswith("error code=usage name=a text="))
    must("and nothing was done", all(field(line, "wanted") == "1" for line in client.ask("status a b")[:-1]))


def lengths():
    client = greeted()
    for n in (LINE - 1, LINE):
        client.send("status a".ljust(n - 1) + "\n")
        must(f"a line of {n} bytes", client.reply()[-1].startswith("ok"))
        client.send("status a".ljust(n - 2) + "\r\n")
        must(f"a line of {n} bytes with CR", client.reply()[-1].startswith("ok"))
    for n in (LINE, LINE + 1, 100000):
        client = greeted()
        with suppress(ConnectionError):
            client.send("stop a".ljust(n) + ("\n" if n > LINE else ""))
        lines = client.rest()
        must(f"{n} bytes are too long: {lines}", [field(line, "code") for line in lines] == ["too-long"])
    client = greeted()
    client.send("status a\n" + "x" * 2 * LINE)
    lines = client.rest()
    must(f"too long after a good one: {lines}", len(lines) == 3 and "too-long" in lines[2])
    must("300 names", len(greeted().ask("status " + " ".join(f"m{i}" for i in range(1, 301)))) == 301)


def pipelined():
    client = greeted()
    asked = ["status a", "status b", "nonsense", "status nosuch", "ready a"] * 10
    client.send("".join(request + "\n" for request in asked))
    for i, request in enumerate(asked):
        lines = client.reply()
        want = {"status a": "name=a", "status b": "name=b", "nonsense": "code=usage",
                "status nosuch": "code=unknown", "ready a": "count=1"}[request]
        if not must(f"reply {i} to {request}: {lines}", want in lines[0]):
            return
    must("nothing after them", not client.got)
    many, child = 3000, os.fork()
    if child == 0:
        client.send("status a\nstatus b\n" * (many // 2))
        os._exit(0)
    for i in range(many):
        lines = client.reply()
        if not must(f"of {many} the reply {i}: {lines}", len(lines) == 2 and f"name={'ab'[i % 2]}" in lines[0]):
            return
    os.waitpid(child, 0)
    client.send("status\n" * 20 + "status a\nstat")
    client.end_input()
    lines = client.rest()
    must(f"after its end of input: {len(lines)} lines", len(lines) == 20 * 303 + 2)
    must(f"the last: {lines[-1]}", lines[-1].startswith("ok"))
    must("the one before it", "name=a" in lines[-2])


def mutated(seed):
    """Requests with bytes changed: whatever it is, it has one reply."""
    dice = random.Random(int(seed))
    harmless = [r for r in REQUESTS if not re.match("(shutdown|stop|restart|reload|signal)", r)]
    alphabet = bytes(range(256)).replace(b"\n", b"")
    for _ in range(20):
        client = greeted()
        for _ in range(50):
            line = bytearray(dice.choice(harmless).encode())
            for _ in range(dice.randrange(1, 4)):
                line[dice.randrange(len(line))] = dice.choice(alphabet if dice.random() < 0.5 else b" =ab\t")
            if b"follow" in line or b"wait" in line:
                continue
            client.send(bytes(line) + b"\n" + b"status b\n")
            first, second = client.reply(), client.reply()
            if not must(f"{bytes(line)}: {first[-1]}, then {second}",
                        first[-1] and len(second) == 2 and "name=b" in second[0]):
                return


# ---- rights ----

def denied(code):
    """Who may nothing."""
    for request in REQUESTS:
        try:
            client = Client()
        except OSError as error:
            must(f"connect: {error}", code == "mode" and isinstance(error, PermissionError))
            continue
        must("let in", code != "mode")
        with suppress(ConnectionError):
            client.send(request + "\n")
        lines = client.rest()
        must(f"{request}: {lines}", len(lines) == 1 and lines[0].startswith("error code=denied text="))


def part():
    """Who is in the group."""
    client = Client()
    must("rights=part", field(client.line() or "", "rights") == "part")
    before = without_times(client.ask("status"))
    for request in REQUESTS[FIRST_DENIED:]:
        lines = client.ask(request)
        must(f"{request}: {lines}", len(lines) == 1 and lines[0].startswith("error code=denied text="))
    must("nothing has changed", without_times(client.ask("status")) == before)
    for request in REQUESTS[:FIRST_DENIED]:
        lines = client.ask(request)
        must(f"{request}: {lines[-1]}", lines[-1].startswith("ok"))
    must("it was stopped", field(client.ask("wait for=down m1")[0], "state") == "down")


def watch_rights(flag):
    """A member that stays while the group changes; the flag tells that it is in."""
    client = Client()
    client.line()
    client.send("events follow\n")
    touch(flag)
    client.socket.settimeout(None)
    client.rest()


# ---- events ----

def in_order(events):
    numbers = [int(field(line, "seq")) for line in events]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def reading(count):
    """While services flap."""
    client, events = greeted(), []
    client.send("events follow\n")
    while len(events) < int(count):
        events.append(client.line() or "")
    others = [line for line in events if line.split(" ")[0] not in ("event", "death")]
    must(f"only events: {others[:1]}", not others)
    must("without a gap", in_order(events))
    times = [int(field(line, "at")) for line in events]
    must("in order of time", times == sorted(times))
    greeted().ask("stop flap flap2")
    greeted().ask("wait for=down flap flap2")
    kept = greeted().ask("events")[:-1]
    must(f"{len(kept)} are kept", len(kept) == 128 and in_order(kept))
    last = int(field(kept[-1], "seq"))
    lines = greeted().ask(f"events after={last - 10}")
    must("those after one", field(lines[0], "seq") == str(last - 9) and in_order(lines[:-1]))
    lines = greeted().ask("events after=1")
    must(f"what is gone is told: {lines[0]}", lines[0].startswith("missed count="))
    must("and adds up", int(field(lines[0], "count")) + 2 == int(field(lines[1], "seq")))


def newest():
    return int(field(greeted().ask("events")[-2], "seq"))


def not_reading(flood):
    """Does not read for so many events, then reads on."""
    client = greeted()
    client.send("events follow\n")
    at = int(field(client.line(), "seq"))
    until("much has happened", lambda: newest() > at + int(flood), 60)
    end, missed = newest(), 0
    while at < end:
        line = client.line() or ""
        if line.startswith("missed "):
            count = int(field(line, "count"))
            missed, at = missed + count, at + count
        elif not must(f"after {at} comes {line}", field(line, "seq") == str(at + 1)):
            return
        else:
            at += 1
    tell(f"missed {missed} of {flood}")
    must("it was told of what it missed", missed > 0)


TALK = ("ask", "pending", "greeting", "follow")


def main(scenes):
    directory, scene, *arguments = sys.argv[1:]
    try:
        os.chdir(directory)  # the path may be longer than an address
        status = scenes[scene](*arguments)
    except BrokenPipeError:
        return 3
    except OSError as error:
        if scene not in TALK:
            raise
        print(error)
        return 2
    if scene not in TALK:
        print("done")
    return status


if __name__ == "__main__":
    sys.exit(main(globals()))
