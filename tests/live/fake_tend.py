"""Plays tend for tendctl: fake_tend.py DIRECTORY [SCRIPT...]

Each client is told SCRIPT: as it comes, the first; after each line that it sends, the next; after the
last one the connection ends. With "wait" as the next one it is kept open instead. In a script \\n and
\\xHH are what they are in Python."""

import os
import signal
import socket
import sys


def play(client, scripts):
    lines = client.makefile("rb")
    for script in scripts:
        if script == "wait":
            signal.pause()
        client.sendall(script.encode("latin-1").decode("unicode_escape").encode("latin-1"))
        if script is not scripts[-1] and not lines.readline():
            return


def main():
    os.chdir(sys.argv[1])
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("control")
    listener.listen(16)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        client, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.alarm(60)
            play(client, sys.argv[2:])
            client.shutdown(socket.SHUT_RDWR)
            os._exit(0)
        client.close()


if __name__ == "__main__":
    main()
