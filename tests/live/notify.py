"""Plays a service that says what nobody should: notify.py JOURNAL NAME STEP...

garbage=COUNT, of all kinds; descriptors=COUNT:EACH, so many messages with so many descriptors of
files, pipes and sockets; say=TEXT; pause. Its journal is like an actor's. It waits where the socket
is full."""

import array
import errno
import os
import random
import signal
import socket
import sys
import time

JOURNAL, NAME = sys.argv[1:3]
ADDRESS = os.environ["NOTIFY_SOCKET"]
TO = "\0" + ADDRESS[1:] if ADDRESS[0] == "@" else ADDRESS
NAMES = (b"READY", b"STATUS", b"MAINPID", b"WATCHDOG", b"WATCHDOG_USEC", b"EXTEND_TIMEOUT_USEC",
         b"ERRNO", b"EXIT_STATUS", b"RELOADING", b"MONOTONIC_USEC", b"BARRIER", b"FDSTORE",
         b"FDNAME", b"X_OWN", b"", b"ready", b"READY ", b"\xff\xfe")
# None that is right for a name of the above that would end its life or make it ready
VALUES = (b"", b"0", b"-1", b"01", b"1.5", b" 1", b"1 ", b"0x1", b"99999999999999999999999", b"yes",
          b"\xc3\x28", b"\x1b[2J\x07", b"\xed\xa0\x80", b"trigge", b"A" * 300, b"\\", b"=")
ENDS = (b"\n", b"", b"\r\n", b"\n\n\n")


def note(event):
    line = f"{time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000000} {os.getpid()} {NAME} {event}\n"
    fd = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND)
    os.write(fd, line.encode())
    os.close(fd)


def send(speaker, data, descriptors=()):
    ancillary = []
    if descriptors:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    while True:
        try:
            return speaker.sendmsg([data], ancillary, socket.MSG_NOSIGNAL, TO)
        except OSError as error:
            # So many on their way are too many for a user.
            if error.errno != errno.ETOOMANYREFS:
                raise
            time.sleep(0.001)


def one_of(rng):
    kind = rng.randrange(8)
    if kind == 0:
        return b""
    if kind == 1:
        return rng.randbytes(rng.randrange(1, 200))
    if kind == 2:
        return b"STATUS=" + b"long " * rng.randrange(820, 3000)     # beyond what is read
    if kind == 3:
        return b"READY=1\0STATUS=after\0"
    if kind == 4:
        return b"\n" * rng.randrange(1, 4000)
    lines = rng.randrange(1, 30)
    return b"".join(rng.choice(NAMES) + rng.choice((b"=", b"=", b"=", b"", b"==")) +
                    rng.choice(VALUES) + rng.choice(ENDS) for _ in range(lines))


def garbage(speaker, count):
    rng = random.Random(7)
    for _ in range(int(count)):
        send(speaker, one_of(rng))
    note("garbage")


def descriptors(speaker, what):
    count, each = map(int, what.split(":"))
    pipe, pair = os.pipe(), socket.socketpair()
    os.set_blocking(pipe[1], False)
    try:
        while True:
            os.write(pipe[1], b"x" * 65536)
    except BlockingIOError:
        os.set_blocking(pipe[1], True)
    some = [os.open(JOURNAL, os.O_RDONLY), *pipe, *(p.fileno() for p in pair)]
    for i in range(count):
        send(speaker, (b"FDSTORE=1\nFDNAME=some", b"STATUS=more", b"nothing", b"")[i % 4],
             (some * each)[:each])
    note("descriptors")


def main():
    note("start")
    speaker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    speaker.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    for step in sys.argv[3:]:
        word, _, what = step.partition("=")
        if word == "garbage":
            garbage(speaker, what)
        elif word == "descriptors":
            descriptors(speaker, what)
        elif word == "say":
            send(speaker, what.encode())
            note("said")
        elif word == "await":
            while not os.path.exists(what):
                time.sleep(0.005)
        else:
            note("up")
            signal.pause()


main()
