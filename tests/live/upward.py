"""A receiver of the sd_notify protocol: upward.py ADDRESS FILE [unread|full].

FILE gets a line for each line that comes: the number of its message, when (milliseconds of
CLOCK_MONOTONIC), the pid of the sender, and the line itself. unread: nothing is read until USR1;
full: and there is no room from the start."""

import os
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress

ADDRESS, FILE, MODE = (sys.argv[1:] + [""])[:3]
NAME = "\0" + ADDRESS[1:] if ADDRESS[0] == "@" else ADDRESS
CREDENTIALS = struct.Struct("3i")

reads = not MODE


def read_on(*_):
    global reads
    reads = True


def fill():
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            sender.sendto(b"X_FILLED=1", NAME)


def write_down(to, number, message, pid):
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000000
    for line in message.decode("latin-1").split("\n"):
        to.write(f"{number} {now} {pid} {line}\n")
    to.flush()


def main():
    signal.signal(signal.SIGUSR1, read_on)
    parent = os.getppid()
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    receiver.bind(NAME)
    if ADDRESS[0] != "@":
        os.chmod(ADDRESS, 0o666)
    if MODE == "full":
        fill()
    with open(FILE, "w", encoding="latin-1") as to:
        number = 0
        while os.getppid() == parent:
            if not reads or not select.select([receiver], [], [], 0.2)[0]:
                time.sleep(0 if reads else 0.05)
                continue
            message, control, _, _ = receiver.recvmsg(8192, socket.CMSG_SPACE(CREDENTIALS.size))
            number += 1
            write_down(to, number, message, CREDENTIALS.unpack(control[0][2])[0])


main()
