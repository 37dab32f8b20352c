"""One life of one supervisor, in PID and mount namespaces of its own (inns.c)."""

import concurrent.futures
import contextlib
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

PATIENCE = 20           # seconds: nobody takes longer unless it never comes
ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
RECORD = struct.Struct("=QII")      # of svc.c and storm.c


class Scene(NamedTuple):
    """What is run: n services; n services of which the first is a storm; n of which the first
    exits at once, each time; one command that exits at once; one that is a storm."""
    n: int
    kind: str = "services"          # "services", "storm", "flapping", "command", "orphans"


class Place:
    """Where the bench finds its helpers and puts its files; see main."""
    build = scratch = cgroup = None

    @classmethod
    def helper(cls, name):
        return str(cls.build / "bench" / name)


class Run(contextlib.AbstractContextManager):
    def __init__(self, peer, scene):
        self.peer, self.scene, self.n = peer, scene, scene.n
        self.dir = Path(tempfile.mkdtemp(dir=Place.scratch))
        self.scan, self.fifo = self.dir / "scan", self.dir / "fifo"
        self.records = []           # (ns, id, kind); but of the flapping one only how many:
        self.flaps = 0
        self.at = {}                # what inns said: exec, pid, end
        self._inns = self._pidfd = None
        os.mkfifo(self.fifo)
        self._reader = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)

    def __enter__(self):
        try:
            self.peer.prepare(self)
            self._launch()
        except BaseException:       # an interrupt too
            self.__exit__()
            raise
        return self

    def _launch(self):
        options = ["-i"] if self.peer.own_init else []
        if self.scene.kind == "command":
            options.append("-q")
        if Place.cgroup:
            options += ["-g", str(Place.cgroup)]
        for pair in self.peer.binds(self):
            options += ["-b", pair]
        with open(self.dir / "output", "wb") as output:
            self._inns = subprocess.Popen(
                [Place.helper("inns"), *options, *self.peer.command(self)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output, cwd=self.dir,
                env=ENVIRONMENT, start_new_session=True)
        while len(self.at) < 2 and (line := self._inns.stdout.readline()):
            self._hear(line)
        if "pid" not in self.at:
            raise RuntimeError(self.said())
        if self.scene.kind == "command":
            return                  # it may be gone by now
        os.set_blocking(self._inns.stdout.fileno(), False)
        with contextlib.suppress(ProcessLookupError):
            self._pidfd = os.pidfd_open(self.at["pid"])
        if self._pidfd is None:
            raise RuntimeError(f"it ended; {self.said()}")

    def __exit__(self, *_):
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGKILL)     # PID 1, and so all of the namespace
            os.close(self._pidfd)
        elif self._inns:
            self._inns.kill()                   # PID 1 follows it
        if self._inns:
            self._inns.wait()
            self._inns.stdout.close()
        os.close(self._reader)
        shutil.rmtree(self.dir)
        remove_cgroups(Place.cgroup, keep=True)

    def service(self, ident):
        if self.scene.kind == "command":
            return [Place.helper("svc")]
        storm = self.scene.kind == "orphans" or (self.scene.kind == "storm" and ident == 0)
        mark = "!" if self.scene.kind == "flapping" and ident == 0 else ""
        return [Place.helper("storm" if storm else "svc"), f"{self.fifo},{ident}{mark}"]

    def said(self):
        return (self.dir / "output").read_text(errors="replace").strip()[-300:]

    def signal(self, number):
        signal.pidfd_send_signal(self._pidfd, number)

    def _hear(self, line):
        word, number = line.split()
        self.at[word.decode()] = int(number)

    def _listen(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                for record in RECORD.iter_unpack(os.read(self._reader, 4096 * RECORD.size)):
                    if record[2] == ord("F"):
                        self.flaps += 1
                    else:
                        self.records.append(record)

    def times(self, kind):
        self._listen()
        return {ident: ns for ns, ident, k in self.records if k == ord(kind)}

    def _ended(self):
        if line := self._inns.stdout.readline():
            self._hear(line)
        return "end" in self.at

    def _await(self, what, condition, nap):
        """Naps instead of watching: the cores belong to the peer."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if self._ended() and not condition():
                raise RuntimeError(f"it ended; {self.said()}")
            if time.monotonic() > end:
                raise RuntimeError(f"no {what} in {PATIENCE} s; {self.said()}")
            time.sleep(nap)

    def started(self):
        """Milliseconds until the last service's first instruction."""
        steady = self.n - (self.scene.kind == "flapping")
        self._await("start", lambda: len(self.times("S")) == steady,
                    0.02 if self.n > 1 else 0.005)
        return (max(self.times("S").values()) - self.at["exec"]) / 1e6

    def lasted(self):
        """Microseconds from the exec of the init to its end, with that of its command."""
        for line in self._inns.stdout:
            self._hear(line)
        if self.at.get("status") != 0:
            raise RuntimeError(f"it failed; {self.said()}")
        return (self.at["end"] - self.at["exec"]) / 1e3

    def storm_begins(self):
        os.kill(self.services()[0], signal.SIGUSR1)
        self._await("storm", lambda: self.times("G"), 0.001)

    def storm_is_over(self):
        return bool(self.times("D"))

    def storm_seen(self):
        """Milliseconds until all orphans were reaped, CPU milliseconds of PID 1, zombies: most
        at a time, left at the end."""
        self._await("end of the storm", self.storm_is_over, 0.02)
        self._listen()
        seen = {chr(kind): (ns, number) for ns, number, kind in self.records}
        return ((seen["D"][0] - seen["G"][0]) / 1e6, seen["C"][0] / 1e6, seen["C"][1], seen["D"][1])

    def flaps_a_second(self, seconds=2):
        self._listen()
        before, end = self.flaps, time.monotonic() + seconds
        while time.monotonic() < end:       # the FIFO must not get full
            time.sleep(0.05)
            self._listen()
        return (self.flaps - before) / seconds

    def asked(self, ident=None):
        """Milliseconds until there is an answer about one service, or about all."""
        begin = time.monotonic_ns()
        answer = self.peer.ask(self, ident)
        end = time.monotonic_ns()
        alive = 1 if ident is not None else self.n - 3  # not so: the flapping, two just restarted
        if self.peer.alive and answer.count(self.peer.alive) < alive:
            raise RuntimeError(f"its answer was: {answer[-200:].decode(errors='replace')}")
        return (end - begin) / 1e6

    @contextlib.contextmanager
    def being_asked(self):
        """Somebody asks about all, again and again."""
        over = threading.Event()

        def ask():
            while not over.is_set():
                self.asked()

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask)
            try:
                yield
            finally:
                over.set()
            asking.result()

    def restarted(self, ident, pid):
        """Milliseconds from a kill to the replacement's first instruction."""
        self._listen()          # a full FIFO takes no record
        killed = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        self._await("restart", lambda: self.times("S")[ident] > killed, 0.003)
        return (self.times("S")[ident] - killed) / 1e6

    def stopped(self):
        """Milliseconds from the request until everything is gone."""
        asked = time.monotonic_ns()
        self.peer.stop(self)
        self._await("stop", self._ended, 0.02)
        return (self.at["end"] - asked) / 1e6

    def _processes(self):
        """(pid, executable) of all that live below inns."""
        found, new = [], [self._inns.pid]
        while new:
            new = [child for pid in new for task in listing(f"/proc/{pid}/task")
                   for child in map(int, read(f"/proc/{pid}/task/{task}/children").split())]
            for pid in new:
                with contextlib.suppress(OSError):
                    found.append((pid, os.readlink(f"/proc/{pid}/exe")))
        return found

    def supervisors(self):
        ours = [Place.helper(name) for name in ("svc", "storm", "inns")]
        return [pid for pid, exe in self._processes() if exe not in ours]

    def services(self):
        """Pid of each service by its number; but not of the flapping one."""
        found = ((read(f"/proc/{pid}/cmdline").split("\0"), pid) for pid, exe in self._processes()
                 if exe in (Place.helper("svc"), Place.helper("storm")))
        numbers = ((words[1].rsplit(",", 1)[-1], pid) for words, pid in found if len(words) > 1)
        return {int(number): pid for number, pid in numbers if number.isdigit()}


def remove_cgroups(path, keep=False):
    """Removes what was made below our cgroup, and unless keep the cgroup itself."""
    for directory, _, _ in os.walk(path, topdown=False) if path else ():
        if not keep or directory != str(path):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def read(path):
    try:
        return Path(path).read_text()
    except OSError:
        return ""           # the process is gone


def listing(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


def total(pids, file, field):
    """The sum of a field of /proc/PID/FILE."""
    return sum(int(line.split()[1])
               for pid in pids for line in read(f"/proc/{pid}/{file}").splitlines()
               if line.startswith(field + ":"))


def wakeups(pids):
    return sum(total(listing(f"/proc/{pid}/task"), "status", "voluntary_ctxt_switches")
               for pid in pids)
