"""Plays a service that listens: server.py JOURNAL NAME ADDRESS MODE [OPTION...].

ADDRESS is 1.2.3.4:5, [::1]:5, /path or @name. The file MODE says how it behaves, and is looked at
all the time: a number is the status of an HTTP answer, several of them take turns; see also
ANSWERS. "refuse": nobody listens; "full": nobody accepts, and there is no room for one more.
Options: await=FILE, before it listens; ready, when it does it says so at descriptor 3; wait=MS,
before it ends after TERM; quiet, about who asks."""

import os
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress

JOURNAL, NAME, ADDRESS, MODE = sys.argv[1:5]
OPTIONS = dict((word + "=").split("=")[:2] for word in sys.argv[5:])
ANSWERS = {
    "accept": b"", "close": b"", "silence": None,
    "garbage": b"SSH-2.0-something else\r\n",
    "short": b"HTTP/1.1 2",
    "endless": b"HTTP/1.1 200 OK\r\n\r\n", "endless500": b"HTTP/1.1 500 No\r\n\r\n",
    "stalls": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
}
HELD = ("silence", "stalls")


def note(event):
    line = f"{time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000000} {os.getpid()} {NAME} {event}\n"
    fd = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND)
    os.write(fd, line.encode())
    os.close(fd)


def end(*_):
    note("got TERM")
    time.sleep(int(OPTIONS.get("wait", 0)) / 1000)
    note("exit 0")
    os._exit(0)


def mode():
    with suppress(OSError), open(MODE, encoding="ascii") as file:
        return file.read().split()
    return []


def address():
    if ADDRESS[0] in "/@":
        return socket.AF_UNIX, "\0" + ADDRESS[1:] if ADDRESS[0] == "@" else ADDRESS
    host, port = ADDRESS.rsplit(":", 1)
    return (socket.AF_INET6 if host[0] == "[" else socket.AF_INET), (host.strip("[]"), int(port))


class Server:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.family, self.where = address()
        self.listener = None
        self.fillers = []
        self.full = False
        self.asked = 0

    def listen(self, full):
        self.listener = socket.socket(self.family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ADDRESS[0] == "/":
            with suppress(FileNotFoundError):
                os.unlink(ADDRESS)
        self.listener.bind(self.where)
        if ADDRESS[0] == "/":
            os.chmod(ADDRESS, 0o777)
        self.listener.listen(0 if full else 1024)
        self.listener.setblocking(False)
        self.full = full
        while full and len(self.fillers) < 5:
            filler = socket.socket(self.family, socket.SOCK_STREAM)
            filler.setblocking(False)
            self.fillers.append(filler)
            with suppress(BlockingIOError):
                filler.connect(self.where)
        if not full:
            self.selector.register(self.listener, selectors.EVENT_READ)

    def deafen(self):
        if not self.full:
            self.selector.unregister(self.listener)
        for one in self.listener, *self.fillers:
            one.close()
        self.listener, self.fillers = None, []

    def follow(self, now):
        wants, full = now != ["refuse"], now == ["full"]
        if self.listener and (not wants or full != self.full):
            self.deafen()
            note("deaf")
        if not self.listener and wants:
            self.listen(full)
            note("listens")

    def accept(self):
        with suppress(BlockingIOError):
            peer, _ = self.listener.accept()
            peer.setblocking(False)
            self.asked += 1
            if "quiet" in OPTIONS:
                peer.close()
                return
            now = mode() or ["200"]
            how = now[self.asked % len(now)]
            request = ""
            if how not in ("accept", "close"):
                peer.setblocking(True)
                peer.settimeout(2)
                with suppress(OSError):
                    request = peer.recv(4096).decode("latin-1").split("\r\n")[0]
                peer.setblocking(False)
            note(f"asked {how} {request}")
            self.answer(peer, how)

    def answer(self, peer, how):
        text = ANSWERS.get(how, f"HTTP/1.1 {how} So\r\nContent-Length: 2\r\n\r\nok".encode())
        with suppress(OSError):
            if text:
                peer.send(text)
        if how.startswith("endless"):
            self.selector.register(peer, selectors.EVENT_WRITE)
        elif how in HELD:
            self.selector.register(peer, selectors.EVENT_READ)
        else:
            peer.close()

    def go_on(self, peer, event):
        more = True
        try:
            more = peer.send(b"x" * 100) if event & selectors.EVENT_WRITE else peer.recv(4096)
            time.sleep(0.001)
        except BlockingIOError:
            pass
        except OSError:
            more = False
        if not more:
            self.selector.unregister(peer)
            peer.close()

    def run(self):
        while True:
            self.follow(mode())
            for key, event in self.selector.select(0.01):
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.go_on(key.fileobj, event)


def main():
    signal.signal(signal.SIGTERM, end)
    note("start")
    while "await" in OPTIONS and not os.path.exists(OPTIONS["await"]):
        time.sleep(0.005)
    server = Server()
    server.follow(mode())
    note("up")
    if "ready" in OPTIONS:
        os.write(3, b"\n")
        os.close(3)
    server.run()


main()
