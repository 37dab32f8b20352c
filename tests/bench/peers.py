"""The supervisors: how each is configured, run and told to stop, as its documentation tells."""

import os
import shutil
import signal
import socket
import subprocess

from run import ENVIRONMENT, PATIENCE, Place, write


class Peer:
    name = ""
    program = ""            # found in PATH
    most = 1000             # services
    why_not_more = ""
    own_init = False        # it is no PID 1: a trivial init is above it
    reference = False       # a yardstick or tend itself: never "the best peer"
    static = False          # no library is loaded when it starts
    kinds = ("services", "storm")   # of scenes that it can be in
    remarks = {}            # by measure
    alive = b""             # what its answer says of a service that runs
    asks_one_by_one = False     # its client takes one name

    def missing(self):
        """Why it cannot be measured here, or nothing."""
        return "" if shutil.which(self.program) else "not installed"

    def unfit(self, scene):
        return self.missing() or ("" if scene.n <= self.most else self.why_not_more)

    def prepare(self, run):
        """Writes its configuration."""

    def binds(self, run):
        """SOURCE=TARGET pairs to be mounted."""
        return []

    def command(self, run):
        raise NotImplementedError

    def stop(self, run):
        run.signal(signal.SIGTERM)

    def question(self, run, ident):
        """The client that asks about a service, or about all."""
        raise NotImplementedError

    def ask(self, run, ident):
        return subprocess.run(self.question(run, ident), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT,
                              timeout=PATIENCE, check=False).stdout


class Tend(Peer):
    name = "tend"
    reference = True
    kinds = ("services", "storm", "flapping", "command", "orphans")
    alive = b" running"
    supervisor = ""
    where = "tend"          # below the build folder
    flapping = 'delay = "0s"'

    @property
    def program(self):
        return str(Place.build / self.where)

    def missing(self):
        return "" if shutil.which(self.program) else f"build/{self.where} is not built"

    def prepare(self, run):
        if run.scene.kind in ("command", "orphans"):
            return
        delay = self.flapping if run.scene.kind == "flapping" else 'delay = "1ms"'
        for i in range(run.n):
            argv = ", ".join(f'"{word}"' for word in run.service(i))
            write(run.dir / "conf" / f"s{i}.conf",
                  f"service s{i} {{\n    command = {{{argv}}}\n"
                  f'    restart {{ policy = always  {delay}  limit = 0 }}\n}}\n')
        if self.supervisor:
            write(run.dir / "conf" / "supervisor.conf", self.supervisor)

    def command(self, run):
        if run.scene.kind in ("command", "orphans"):
            return [self.program, "--", *run.service(0)]
        return [self.program, "-c", str(run.dir / "conf"), "--runtime", str(run.dir / "runtime")]

    def question(self, run, ident):
        names = [] if ident is None else [f"s{ident}"]
        return [self.program + "ctl", "--runtime", str(run.dir / "runtime"), "status", *names]


class TendBySocket(Tend):
    name = "tend by its socket"
    kinds = ("flapping",)
    alive = b" state=running "

    def ask(self, run, ident):
        answer = bytearray()
        with socket.socket(socket.AF_UNIX) as tend:
            tend.settimeout(PATIENCE)
            tend.connect(str(run.dir / "runtime" / "control"))
            tend.sendall(b"status\n" if ident is None else b"status s%d\n" % ident)
            while not answer.endswith(b"\n") or not self._is_over(answer):
                piece = tend.recv(65536)
                if not piece:
                    break
                answer += piece
        return answer

    @staticmethod
    def _is_over(answer):
        last = answer[answer.rfind(b"\n", 0, -1) + 1:]
        return last.startswith((b"ok ", b"error "))


class TendPausing(Tend):
    """Has the load of a flapping service that the peers have."""
    name = "tend pausing 1 s"
    kinds = ("flapping",)
    flapping = 'delay = "1s"  max_delay = "1s"'


class TendStatic(Tend):
    name = "tend static"
    static = True
    kinds = ("command",)
    where = "static/tend"


class TendWithoutCgroup(Tend):
    name = "tend without cgroup"
    kinds = ("services", "storm")
    supervisor = "supervisor { cgroup = no }\n"

    def missing(self):
        return super().missing() or ("" if Place.cgroup else "no writable cgroup v2: same as tend")


class Floor(Peer):
    name = "floor"          # its client exits at once
    reference = True
    kinds = ("services", "flapping")

    @property
    def program(self):
        return Place.helper("floor")

    def command(self, run):
        mark = ["!"] if run.scene.kind == "flapping" else []
        return [self.program, str(run.n), Place.helper("svc"), str(run.fifo), *mark]

    def question(self, run, ident):
        return [Place.helper("svc")]


class Bare(Peer):
    name = "bare"
    reference = True
    kinds = ("command",)

    def missing(self):
        return ""

    def command(self, run):
        return run.service(0)


class OneCommand(Peer):
    most = 1
    why_not_more = "runs one command, restarts nothing"
    kinds = ("services", "command", "orphans")

    def __init__(self, name, static=False):
        self.name = self.program = name
        self.static = static

    def command(self, run):
        return [self.program, "--", *run.service(0)]


class Directories(Peer):
    """The family of daemontools: a directory with a program `run` for each service."""
    kinds = ("services", "storm", "flapping")
    client = ()

    def prepare(self, run):
        for i in range(run.n):
            write(run.scan / f"s{i}" / "run", "#!{} {}\n".format(*run.service(i)), 0o755)
        os.utime(run.scan, (0, 0))      # runsvdir waits for a directory that has just changed

    def question(self, run, ident):
        which = range(run.n) if ident is None else [ident]
        return [*self.client, *(str(run.scan / f"s{i}") for i in which)]


class S6(Directories):
    name = "s6"
    program = "s6-svscan"
    remarks = {"restart": "pauses 1 s by design"}
    client = ("sh", "-c", 'for each do s6-svstat "$each"; done', "sh")
    alive = b"up (pid"
    asks_one_by_one = True

    def question(self, run, ident):
        if ident is not None:
            return ["s6-svstat", str(run.scan / f"s{ident}")]
        return super().question(run, ident)

    def command(self, run):
        return [self.program, "-c", str(2 * run.n + 10), str(run.scan)]


class Runit(Directories):
    name = "runit"
    program = "/sbin/runit"
    remarks = {"stop": "sv polls, PID 1 may sleep 1 s"}
    client = ("sv", "status")
    alive = b"run: "

    def prepare(self, run):
        super().prepare(run)
        etc, scan = run.dir / "etc", run.scan
        write(etc / "1", "#!/bin/true\n", 0o755)
        write(etc / "2", f"#!/bin/sh\nexec runsvdir -P {scan}\n", 0o755)
        write(etc / "3", f"#!/bin/sh\nsv force-stop {scan}/*\nsv exit {scan}/*\n", 0o755)
        write(etc / "nosync", "")

    def binds(self, run):
        return [f"{run.dir}/etc=/etc/runit"]

    def command(self, run):
        return [self.program]

    def stop(self, run):
        run.signal(signal.SIGPWR)


class Daemontools(Directories):
    name = "daemontools"
    program = "svscan"
    own_init = True
    client = ("svstat",)
    alive = b": up (pid"

    def command(self, run):
        return [self.program, str(run.scan)]

    def stop(self, run):        # it has no shutdown: this is what its documentation tells
        for pid in run.supervisors():
            if os.readlink(f"/proc/{pid}/exe").endswith("/svscan"):
                os.kill(pid, signal.SIGTERM)
        subprocess.run(["svc", "-dx", *map(str, run.scan.iterdir())], check=False)


class Supervisord(Peer):
    name = "supervisord"
    program = "supervisord"
    most = 100
    why_not_more = "too slow: about 5 s to start, 10 s to stop"
    kinds = ("services", "flapping")    # it reaps 100 orphans a second
    remarks = {"restart": "works by a tick of 1 s"}
    alive = b" RUNNING "

    def unfit(self, scene):         # the flapping scene starts few times and stops never
        return self.missing() if scene.kind == "flapping" else super().unfit(scene)

    def prepare(self, run):
        parts = [f"""[supervisord]
nodaemon=true
user=root
logfile=/dev/null
logfile_maxbytes=0
pidfile={run.dir}/pid
"""]
        if run.scene.kind == "flapping":
            parts += [self._socket(run), self._program(run, "flapping", 0, 1),
                      self._program(run, "s", 1, run.n - 1)]
        else:
            parts.append(self._program(run, "s", 0, run.n))
        write(run.dir / "conf", "".join(parts))

    @staticmethod
    def _program(run, name, first, count):
        svc, argument = run.service(0 if name == "flapping" else "%(process_num)d")
        return f"""[program:{name}]
command={svc} {argument}
numprocs={count}
numprocs_start={first}
process_name=%(process_num)d
autorestart=true
startsecs={int(run.scene.kind != "flapping")}
stdout_logfile=NONE
stderr_logfile=NONE
"""

    @staticmethod
    def _socket(run):
        return f"""[unix_http_server]
file={run.dir}/socket
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{run.dir}/socket
"""

    def question(self, run, ident):
        names = [] if ident is None else [f"s:{ident}"]
        return ["supervisorctl", "-c", str(run.dir / "conf"), "status", *names]

    def command(self, run):
        return [self.program, "-c", str(run.dir / "conf")]


class BusyboxInit(Peer):
    name = "busybox init"
    program = "busybox"
    remarks = {"restart": "works by a tick of 1 s", "stop": "sleeps 1 s twice by design"}

    def prepare(self, run):
        write(run.dir / "etc" / "inittab", "".join(
            "::respawn:{} {}\n".format(*run.service(i)) for i in range(run.n)))

    def binds(self, run):
        return [f"{run.dir}/etc=/etc"]

    def command(self, run):
        return [self.program, "init"]

    def stop(self, run):
        run.signal(signal.SIGUSR2)


PEERS = [Bare(), Floor(), Tend(), TendBySocket(), TendPausing(), TendStatic(), TendWithoutCgroup(),
         S6(), Runit(), Daemontools(), Supervisord(), BusyboxInit(), OneCommand("tini"),
         OneCommand("tini-static", static=True), OneCommand("dumb-init"),
         OneCommand("catatonit", static=True)]
