"""Crowds of clients that mean harm, or are just many: hostile.py DIR SCENE [ARGUMENT...], with the
scenes of clients.py besides its own."""

import os
import re
import resource
import signal
import socket
import statistics
import sys
import time
from contextlib import suppress

import clients
from clients import Client, PATIENCE, field, greeted, main, must, tell, touch, until

STALL = 10              # seconds, then who dribbles or does not read is closed
CLIENTS, PARTIAL, OF_USER = 256, 128, 32


# ---- latency, while others do their worst ----

def raise_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s*(\d+)", file.read())[1])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def at_rest(pid):
    """Its descriptors without any client, when nothing is under way."""
    numbers = []
    for _ in range(20):
        numbers.append(descriptors(pid))
        time.sleep(0.01)
    return min(numbers)


def ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def measure(what, seconds, slow=1):
    """Its own connection; a new one for each tenth request."""
    took, end, client = [], time.monotonic() + float(seconds), None
    while time.monotonic() < end:
        begin = time.monotonic()
        if len(took) % 10 == 0:
            client = Client()
            client.line()
        answer = client.ask("status a")[-1]
        took.append((time.monotonic() - begin) * 1000)
        if not must(f"{what}: {answer or 'the connection ended'}", answer.startswith("ok")):
            break
        time.sleep(0.005)
    median, most = statistics.median(took), max(took)
    slow *= max(1, os.getloadavg()[0] / os.cpu_count())  # we both wait for a processor
    tell(f"{what}: {len(took)} requests, median {median:.1f} ms, max {most:.1f} ms")
    must(f"{what}: the median is {median:.1f} ms", median < 100 * slow)
    must(f"{what}: the longest took {most:.1f} ms", most < 1000 * slow)


def latency(what, seconds, slow="1"):
    measure(what, seconds, slow=int(slow))


class Crowd:
    """A process of its own with connections, so that they cost us no time."""

    def __init__(self, play):
        here, there = socket.socketpair()
        self.pid, self.pipe = os.fork(), here
        if self.pid == 0:
            here.close()
            raise_limit()
            try:
                play(lambda: there.send(b"."))
            finally:
                os._exit(1)
        there.close()
        here.settimeout(PATIENCE)
        must("the crowd is there", here.recv(1) == b".")

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.pipe.close()


def connect_many(n):
    sockets = []
    for _ in range(n):
        sockets.append(socket.socket(socket.AF_UNIX))
        sockets[-1].connect("control")
    return sockets


def play_all(ready):
    """Half a command; much output, never read; a byte now and then; come and go."""
    half, deaf, dribbling = connect_many(60), connect_many(60), connect_many(60)
    for s in half:
        s.send(b"stop a")
    for s in deaf:
        s.setblocking(False)
        with suppress(BlockingIOError, ConnectionError):
            s.send(b"status\ngraph\n" * 1000)
    ready()
    endless = b"status " + b" " * 4000
    for i in range(len(endless)):
        for s in dribbling:
            with suppress(OSError):
                s.send(endless[i:i + 1])
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            for s in connect_many(5):
                with suppress(OSError):
                    s.send(b"status\n")
                s.close()
            time.sleep(0.02)


def hostile(pid, slow):
    """180 that stay, and others that come and go."""
    fds, memory = at_rest(pid), rss(pid)
    client, crowd = greeted(), Crowd(play_all)
    until("they are all in", lambda: descriptors(pid) >= fds + 180)
    measure("200 hostile clients", 6, slow=int(slow))
    grown = rss(pid) - memory
    measure("and on", STALL - 4, slow=int(slow))
    # 20 more: those that just come and go, and our own.
    until("who dribbled, or did not read, was closed", lambda: descriptors(pid) <= fds + 20)
    grown = max(grown, rss(pid) - memory)
    tell(f"tend has grown by {grown} KiB")
    must(f"tend has grown by {grown} KiB", grown < 6144 or slow != "1")
    crowd.end()
    must("an old one is still there", client.ask("status a")[-1].startswith("ok"))
    must("what was cut off was not done", field(client.ask("status a")[0], "wanted") == "1")
    client.close()
    until("all descriptors are back", lambda: descriptors(pid) <= fds)


def backlog(pid, count, slow):
    """All come while tend does nothing."""
    raise_limit()
    fds, memory, sockets = at_rest(pid), rss(pid), []
    os.kill(int(pid), signal.SIGSTOP)
    for _ in range(int(count)):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        try:
            s.connect("control")
        except BlockingIOError:
            s.close()
            break
        sockets.append(s)
    os.kill(int(pid), signal.SIGCONT)
    tell(f"{len(sockets)} connections at once")
    must("a crowd", len(sockets) >= min(int(count), 1000))
    begin, client = time.monotonic(), greeted()
    must("a late one is served", client.ask("status a")[-1].startswith("ok"))
    took = (time.monotonic() - begin) * 1000
    tell(f"the one behind them had its answer after {took:.0f} ms")
    must(f"after {took:.0f} ms", took < 5000 * int(slow))
    measure("after them", 1, slow=int(slow))
    until("bounded", lambda: descriptors(pid) <= fds + CLIENTS)
    said = [answered(s) for s in sockets]
    must(f"each was greeted: {said[:3]}", all(line.startswith(b"tend protocol=1 ") for line in said))
    must(f"memory: {rss(pid) - memory} KiB", rss(pid) - memory < 6144 or slow != "1")
    for s in sockets:
        s.close()
    client.close()
    until("all descriptors are back", lambda: descriptors(pid) <= fds)


def stopped(pid):
    """Who has sent the rest of a request in time is answered, however late tend gets to read it."""
    halves = connect_many(10)
    for s in halves:
        s.recv(4096)
        s.send(b"stat")
    until("they are all in", lambda: greeted().ask("status a")[-1].startswith("ok"))
    os.kill(int(pid), signal.SIGSTOP)
    for s in halves:
        s.send(b"us a\n")
    time.sleep(STALL + 1)
    os.kill(int(pid), signal.SIGCONT)
    said = [answered(s) for s in halves]
    must(f"each is answered: {said[:3]}", all(line.startswith(b"service ") for line in said))


def answered(s):
    s.settimeout(PATIENCE)
    with suppress(ConnectionError):
        return s.recv(4096)
    return b""


def come_and_go(pid, count):
    fds = at_rest(pid)
    for i in range(int(count)):
        (s,) = connect_many(1)
        s.send((b"status\n", b"events follow\n", b"wait for=down a\n", b"status\n" * 100)[i % 4])
        if i % 3 == 0:
            s.recv(100)
        s.close()
    must("tend lives", greeted().ask("status a")[-1].startswith("ok"))
    until("no descriptor stays", lambda: descriptors(pid) <= fds)


def is_closed(s):
    """Without waiting; what it was told is thrown away."""
    s.setblocking(False)
    with suppress(BlockingIOError):
        try:
            while s.recv(65536):
                pass
        except ConnectionError:
            pass
        return True
    return False


def follower():
    """Known to have nothing more to read, and to be no idle one."""
    client = greeted()
    last = int(field(client.ask("events")[-2], "seq"))
    client.send(f"events after={last - 1} follow\n")
    client.line()
    return client


def full_house(pid):
    """All places taken: who has all rights gets one all the same."""
    fds, clients = at_rest(pid), []
    for i in range(CLIENTS):
        clients.append(follower() if i else greeted())
    # The first is idle; all others wait for something.
    until("256 are in", lambda: descriptors(pid) == fds + CLIENTS)
    must("the next one too", greeted().ask("status a")[-1].startswith("ok"))
    until("the idle one had to go", lambda: is_closed(clients[0].socket))
    must("nobody else", not any(is_closed(c.socket) for c in clients[1:]))


def become(gid, uid):
    os.setgroups([int(gid)])
    os.setgid(uid)
    os.setuid(uid)


def play_member(gid, uid, places):
    def play(ready):
        become(gid, uid)
        clients = [greeted() for _ in range(places)]
        for client in clients:
            client.send("events follow\n")
        late = Client().rest()
        if must(f"one more: {late}", len(late) == 1 and late[0].startswith("error code=busy text=")):
            ready()
        signal.pause()
    return play


def full_of_members(pid, gid):
    fds = at_rest(pid)
    users = PARTIAL // OF_USER
    crowds = [Crowd(play_member(gid, 61998 - i, OF_USER)) for i in range(users)]
    crowds.append(Crowd(play_member(gid, 61998 - users, 0)))
    until("128 are in", lambda: descriptors(pid) == fds + PARTIAL)
    rest = [follower() for _ in range(CLIENTS - PARTIAL)]
    client = greeted()
    must("with all rights there is room", client.ask("status a")[-1].startswith("ok"))
    must("not for one of our own", not any(is_closed(c.socket) for c in rest))
    for crowd in crowds:
        crowd.end()
    until("they are gone", lambda: descriptors(pid) <= fds + CLIENTS - PARTIAL + 1)


def flooding(slow):
    """Two that ask for all as fast as they can, and read it."""
    def play(ready):
        client = greeted()
        ready()
        while True:
            client.send("status\n" * 10)
            for _ in range(10):
                client.reply()
    crowds = [Crowd(play), Crowd(play)]
    measure("two clients ask for all without a pause", 4, slow=int(slow))
    for crowd in crowds:
        crowd.end()


# ---- no time is spent ----

def idle_time(what, pid, seconds=2):
    """After what there was to do."""
    def rests():
        before = ticks(pid)
        time.sleep(0.3)
        return ticks(pid) <= before + 1
    until(f"{what}: rest", rests)
    before = ticks(pid)
    time.sleep(seconds)
    spent = ticks(pid) - before
    tell(f"{what}: {spent * 10} ms of {seconds} s")
    must(f"{what}: {spent * 10} ms of {seconds} s were spent", spent <= 20)


def quiet(pid):
    fds = at_rest(pid)
    clients = [greeted() for _ in range(200)]
    for client in clients[:100]:
        client.send("events follow\n")
    for client in clients[100:150]:
        client.send("wait for=down a\n")
    until("all are in", lambda: descriptors(pid) == fds + 200)
    idle_time("200 clients, half of which follow", pid)


def hung_up(pid):
    """Ends of input while an answer is out, ends while output is unread, and both."""
    fds, kept = at_rest(pid), []
    for i in range(60):
        client = greeted()
        client.send(("wait for=down a\n", "events follow\n", "status\n" * 30)[i % 3])
        if i % 2:
            client.end_input()
        if i % 4 < 2:
            client.socket.shutdown(socket.SHUT_RD)
        kept.append(client)
    idle_time("60 half-closed clients", pid)
    for client in kept:
        client.close()
    idle_time("which are gone", pid, 1)
    until("no descriptor stays", lambda: descriptors(pid) <= fds)


def no_descriptors(pid):
    """Where accept(2) fails, as tend's limit is lowered to what it has open."""
    numbers = [int(name) for name in os.listdir(f"/proc/{pid}/fd")]
    resource.prlimit(int(pid), resource.RLIMIT_NOFILE,
                     (max(numbers) + 1, resource.prlimit(int(pid), resource.RLIMIT_NOFILE)[1]))
    # An idle one would have to go for the next.
    kept = [follower() for _ in range(max(numbers) + 1 - len(numbers))]
    said = []
    for _ in range(5):
        client = Client()
        client.socket.settimeout(1)
        with suppress(TimeoutError):
            said.append((client.rest() or [""])[0])
    must(f"they were told: {said}", said and all(line.startswith("error code=busy text=") for line in said))
    waiting = connect_many(20)
    idle_time("no descriptor for a client", pid)
    for s in waiting + kept:
        s.close()


def nobody_accepted(pid, flag):
    """Not even one to tell it with: they wait, and get in once there are some."""
    clients = [Client() for _ in range(5)]
    idle_time("nor for telling it", pid)
    touch(flag)
    for client in clients:
        must("it got in", (client.line() or "").startswith("tend protocol=1 "))
        must("and is served", client.ask("status a")[-1].startswith("ok"))


if __name__ == "__main__":
    sys.exit(main({**vars(clients), **globals()}))
