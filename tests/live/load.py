"""The scenes of load.sh: load.py DIR SCENE [ARGUMENT...]; those of clients.py too."""

import itertools
import os
import random
import re
import signal
import sys
import time
from contextlib import suppress

from clients import greeted, must, tell, until
from hostile import descriptors
from reload import NOBODY, main, remove, states, write


# ---- while somebody changes the files ----

class Swapper:
    """A process of its own, for at most so many seconds. It sleeps for longer than a load takes, so
    that no load meets more than one step."""

    def __init__(self, play, pause=0.03, seconds=60):
        self.pid = os.fork()
        if self.pid == 0:
            end = time.monotonic() + seconds
            with suppress(BaseException):
                for step in itertools.cycle(play):
                    if time.monotonic() > end:
                        break
                    step()
                    time.sleep(pause * (1 + random.random()) / 2)
            os._exit(0)

    def end(self):
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def point(link, to):
    """At once, as `ln -sfn` and a configMap do."""
    def step():
        os.symlink(to, link + ".new")
        os.rename(link + ".new", link)
    return step


def release(folder, number):
    """Services whose names say to which release they belong; many between the first and the last."""
    os.makedirs(f"{folder}/v{number}")
    for file, names in (("a", ["a"]), ("m", [f"m{i}" for i in range(400)]), ("z", ["z"])):
        write(f"{folder}/v{number}/{file}.conf", "".join(
            f'service {name}-{number} {{ command = {{"/bin/true"}} start = manual }}\n'
            for name in names))


def releases_of(client):
    return {name.split("-")[1] for name in states(client) if "-" in name}


def counted(client, rounds):
    """Good and refused ones; whatever was taken is of one release."""
    good = refused = 0
    for _ in range(int(rounds)):
        lines = client.ask("reload")
        good += lines[-1].startswith("ok")
        refused += lines[-1].startswith("error code=config")
        found = releases_of(client)
        if not must(f"a mix of {found}", len(found) == 1):
            break
    return good, refused


def swapped(layout, folder, rounds):
    """folder/now is a link to a release; folder/config has links through it."""
    for number in (1, 2):
        release(folder, number)
    remove(f"{folder}/now")
    os.symlink("v1", f"{folder}/now")
    if layout == "files":
        os.mkdir(f"{folder}/config")
        for name in "amz":
            os.symlink(f"../now/{name}.conf", f"{folder}/config/{name}.conf")
    else:
        os.symlink("now", f"{folder}/config")
    client = greeted()
    must("the first", client.ask("reload")[-1].startswith("ok"))
    swapper = Swapper([point(f"{folder}/now", "v2"), point(f"{folder}/now", "v1")])
    good, refused = counted(client, rounds)
    swapper.end()
    tell(f"{good} were taken, {refused} refused")
    must(f"of {rounds} all have an answer", good + refused == int(rounds))
    remove(f"{folder}/now.new")
    must("in peace it is taken", client.ask("reload")[-1].startswith("ok"))


def untrusted(folder, rounds):
    """Of root's tend: what others may write is never taken, however fast it comes and goes."""
    path, client = f"{folder}/web.conf", greeted()
    good = 'service good { command = {"/bin/true"} start = manual }\n'
    evil = 'service evil { command = {"/bin/true"} start = manual }\n'
    theirs = f"{folder}/../theirs"
    remove(theirs)
    os.mkdir(theirs)
    write(f"{theirs}/evil.conf", evil)
    for name in ("evil.conf", "."):
        os.chown(f"{theirs}/{name}", NOBODY, NOBODY)
    write(f"{folder}/good", good)
    write(f"{folder}/open", evil, 0o666)

    def put(source):
        def step():
            with suppress(FileNotFoundError):
                os.remove(path + ".new")
            os.link(f"{folder}/{source}", path + ".new")
            os.rename(path + ".new", path)
            with suppress(FileNotFoundError):  # of one file the renaming does nothing
                os.remove(path + ".new")
        return step
    steps = [put("good"), put("open"), point(path, f"{theirs}/evil.conf")]
    for step in steps[1:]:
        step()
        lines = client.ask("reload")
        must(f"refused: {lines}", lines[-1].startswith("error code=config") and
             re.search("web.conf:? .*(writable by others|belongs to)", lines[0]))
    put("good")()
    must("the good one", client.ask("reload")[-1].startswith("ok"))
    swapper = Swapper(steps, 0.002)
    said = [client.ask("reload")[-1].split(" ")[0] for _ in range(int(rounds))]
    swapper.end()
    must("each has an answer", all(said))
    tell(f"{said.count('ok')} were taken, {said.count('error')} refused")
    must("never what others have written", "evil" not in states(client))
    lines = client.ask("events")
    must("nor for a moment", not any("evil" in line for line in lines))


# ---- requests at once ----

def loader_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def is_alive(pid):
    with suppress(FileNotFoundError, ProcessLookupError):
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rsplit(") ", 1)[1][0] not in "ZX"
    return False


def stop_loader(pid, client, request):
    """Asks, and stops the process that loads; None: it was faster."""
    before = set(loader_of(pid))
    client.send(request + "\n")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for child in set(loader_of(pid)) - before:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGSTOP)
                if is_alive(child):
                    return child
    return None


def many(folder, count=4000):
    write(f"{folder}/many.conf", "".join(
        f'service m{i} {{ command = {{"/bin/true"}} start = manual }}\n' for i in range(count)))


def held(pid, folder, request="reload"):
    """A client with a load that is stopped, and its process."""
    many(folder)
    client = greeted()
    loader = stop_loader(pid, client, request)
    must("the load is stopped", loader)
    return client, loader


def one_reply(what, client, pattern, also=None):
    """And nothing more; also: after another request, of what is not closed."""
    lines = client.reply()
    must(f"{what}: {lines[-1]}", re.match(pattern, lines[-1]))
    if also:
        client.send("help\n")
        lines = client.reply()
        must(f"{what}: one reply, not {lines[0]}", lines[0].startswith("request "))


def at_once(pid, folder):
    """Reloads and plans while one runs; some of the clients do not wait for the answer."""
    fds = descriptors(pid)
    first, loader = held(pid, folder, "plan")
    others = [greeted() for _ in range(20)]
    for i, client in enumerate(others):
        client.send(("plan", "reload")[i % 2] + "\n")
    gone = [greeted() for _ in range(20)]
    for i, client in enumerate(gone):
        client.send(("plan", "reload")[i % 2] + "\n")
        client.close()
    begin = time.monotonic()
    must("others are served meanwhile", greeted().ask("status a")[-1].startswith("ok"))
    must("at once", time.monotonic() - begin < 2)
    must("who asks is not answered before", not first.got)
    os.kill(loader, signal.SIGCONT)
    one_reply("the first", first, "ok ", True)
    for i, client in enumerate(others):
        one_reply(f"number {i}", client, "ok ", True)
    must("what they asked for is in force", len(states(greeted())) > 4000)
    client = greeted()
    client.send("reload\nplan\n" * 5)
    for i in range(10):
        one_reply(f"pipelined {i}", client, "ok ")
    must("no more than that", client.ask("help")[0].startswith("request "))
    for client in (*others, first, client):
        client.close()
    until("no descriptor stays", lambda: descriptors(pid) <= fds)


def vanishes(pid, folder, count):
    fds = descriptors(pid)
    many(folder, 500)
    for i in range(int(count)):
        client = greeted()
        client.send(("reload\n", "plan\n", "reload\nreload\n", "reload\nsta")[i % 4])
        time.sleep(0.01 * random.random() * (i % 3))
        client.close()
    must("tend goes on", greeted().ask("reload")[-1].startswith("ok"))
    until("no descriptor stays", lambda: descriptors(pid) <= fds)
    must("no process stays", until("it", lambda: len(loader_of(pid)) <= 1))


def until_shutdown(pid, folder):
    """A shutdown while the config is loaded, and more is asked for."""
    first, _ = held(pid, folder)
    others = [greeted() for _ in range(6)]
    for i, client in enumerate(others):
        client.send(("plan", "reload", "wait for=ready a")[i % 3] + "\n")
    until("all have asked", lambda: greeted().ask("status a")[-1].startswith("ok"))
    must("it begins", greeted().ask("shutdown")[-1].startswith("ok"))
    one_reply("the first", first, "error code=shutdown ")
    for i, client in enumerate(others):
        one_reply(f"number {i}", client, "ok " if i % 3 == 2 else "error code=shutdown ")
    for client in (first, *others):
        must(f"then the end, not {client.got}", client.rest() == [])


def tend_killed(pid, folder):
    """Its answer is more than a pipe holds; nobody will read it."""
    _, loader = held(pid, folder)
    os.kill(int(pid), signal.SIGKILL)
    until("tend is gone", lambda: not is_alive(pid))
    os.kill(loader, signal.SIGCONT)
    if not until("the loading process is gone", lambda: not is_alive(loader)):
        os.kill(loader, signal.SIGKILL)


def same_moment(pid, seed):
    """reload, HUP and TERM."""
    dice, all_ = random.Random(int(seed)), [greeted() for _ in range(4)]
    acts = [lambda: os.kill(int(pid), signal.SIGHUP), lambda: os.kill(int(pid), signal.SIGTERM)]
    acts += [lambda c=c: c.send(dice.choice(["reload\n", "plan\n"])) for c in all_]
    dice.shuffle(acts)
    for act in acts:
        with suppress(ConnectionError):
            act()
        time.sleep(dice.choice([0, 0, 0.0002, 0.001]))
    for client in all_:
        lines = client.rest()
        ends = [line for line in lines if line.split(" ")[0] in ("ok", "error")]
        must(f"{lines}", len(ends) == 1 and re.match("ok |error code=shutdown ", ends[0]))


# ---- a load that has no end ----

LIMIT = 20


def hung(pid, folder, kind, argument=""):
    """stopped: by a signal; dead: on a file system that does not answer (argument: a file of it)."""
    client, late, begin = greeted(), greeted(), time.monotonic()
    if kind == "stopped":
        client, _ = held(pid, folder)
    else:
        os.symlink(argument, f"{folder}/dead.conf")
        client.send("reload\n")
    late.send("plan\n")
    until("it is in", lambda: greeted().ask("status a")[-1].startswith("ok"))
    os.kill(int(pid), signal.SIGHUP)
    worst = 0.0
    while time.monotonic() - begin < LIMIT - 1:
        asked = time.monotonic()
        must("served meanwhile", greeted().ask("status a")[-1].startswith("ok"))
        worst = max(worst, time.monotonic() - asked)
        time.sleep(0.2)
    tell(f"meanwhile the longest took {worst * 1000:.0f} ms")
    must(f"meanwhile one took {worst:.1f} s", worst < 2)
    one_reply("who asked", client, "error code=system text=.*not loaded in time", True)
    one_reply("who asked later", late, "error code=system text=.*not loaded in time", True)
    took = time.monotonic() - begin
    must(f"after {took:.1f} s", LIMIT - 1 < took < LIMIT + 10)
    if kind == "dead":
        lines = client.ask("reload")
        must(f"while it hangs: {lines}", re.match(
            r"error code=system text=the last loading process, pid \d+, has not ended", lines[-1]))
        os.remove(f"{folder}/dead.conf")
        with open(folder + "/../flag.server", encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
    until("then again", lambda: client.ask("reload")[-1].startswith("ok"))


if __name__ == "__main__":
    sys.exit(main({scene.__name__: scene for scene in (
        swapped, untrusted, at_once, vanishes, until_shutdown, tend_killed, same_moment, hung)}))
