"""The supervisors: how each is configured, run and told to stop, as its documentation tells."""

import os
import shutil
import signal
import subprocess

from run import Place, write


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


class Tend(Peer):
    name = "tend"
    reference = True
    kinds = ("services", "storm", "command", "orphans")
    supervisor = ""
    where = "tend"          # below the build folder

    @property
    def program(self):
        return str(Place.build / self.where)

    def missing(self):
        return "" if shutil.which(self.program) else f"build/{self.where} is not built"

    def prepare(self, run):
        if run.scene.kind in ("command", "orphans"):
            return
        for i in range(run.n):
            argv = ", ".join(f'"{word}"' for word in run.service(i))
            write(run.dir / "conf" / f"s{i}.conf",
                  f"service s{i} {{\n    command = {{{argv}}}\n"
                  '    restart { policy = always  delay = "1ms"  limit = 0 }\n}\n')
        if self.supervisor:
            write(run.dir / "conf" / "supervisor.conf", self.supervisor)

    def command(self, run):
        if run.scene.kind in ("command", "orphans"):
            return [self.program, "--", *run.service(0)]
        return [self.program, "-c", str(run.dir / "conf")]


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
    name = "floor"
    reference = True
    kinds = ("services",)

    @property
    def program(self):
        return Place.helper("floor")

    def command(self, run):
        return [self.program, str(run.n), Place.helper("svc"), str(run.fifo)]


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

    def prepare(self, run):
        for i in range(run.n):
            write(run.scan / f"s{i}" / "run", "#!{} {}\n".format(*run.service(i)), 0o755)
        os.utime(run.scan, (0, 0))      # runsvdir waits for a directory that has just changed


class S6(Directories):
    name = "s6"
    program = "s6-svscan"
    remarks = {"restart": "pauses 1 s by design"}

    def command(self, run):
        return [self.program, "-c", str(2 * run.n + 10), str(run.scan)]


class Runit(Directories):
    name = "runit"
    program = "/sbin/runit"
    remarks = {"stop": "sv polls, PID 1 may sleep 1 s"}

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
    kinds = ("services",)       # its services are all alike; it reaps 100 orphans a second
    remarks = {"restart": "works by a tick of 1 s"}

    def prepare(self, run):
        svc, argument = run.service("%(process_num)d")
        write(run.dir / "conf", f"""[supervisord]
nodaemon=true
user=root
logfile=/dev/null
logfile_maxbytes=0
pidfile={run.dir}/pid
[program:s]
command={svc} {argument}
numprocs={run.n}
process_name=%(process_num)d
autorestart=true
stdout_logfile=NONE
stderr_logfile=NONE
""")

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


PEERS = [Bare(), Floor(), Tend(), TendStatic(), TendWithoutCgroup(), S6(), Runit(), Daemontools(),
         Supervisord(), BusyboxInit(), OneCommand("tini"), OneCommand("tini-static", static=True),
         OneCommand("dumb-init"), OneCommand("catatonit", static=True)]
