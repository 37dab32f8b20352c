"""The scenes of reload.sh: reload.py DIR SCENE [ARGUMENT...]; those of clients.py too."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys

import clients
from clients import field, greeted, must, tell, touch, until, without_times
from hostile import descriptors, rss

NOBODY = 65534
FILE_MAX = 256 * 1024


def write(path, text, mode=0o644):
    """Whole or not at all, for whoever reads it meanwhile."""
    with open(path + ".new", "wb") as file:
        file.write(text.encode())
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def pids(client):
    return {field(line, "name"): field(line, "pid") for line in client.ask("status")[:-1]}


def states(client):
    return {field(line, "name"): field(line, "state") for line in client.ask("status")[:-1]}


def changes(lines):
    return [line for line in lines if line.startswith("change ")]


def is_reached(client, name, state):
    return states(client).get(name) == state


# ---- what is no config ----

# For each key a word that it cannot mean, in the notation of the file.
MEANINGLESS = {
    "description": '"a\\nb"', "command": "{}", "type": "demon", "start": "later",
    "before_start": '{""}', "main": "maybe", "success": "{256}", "requires": "{nosuch}",
    "wants": "{nosuch}", "after": "{nosuch}", "user": "nosuchuser", "group": "nosuchgroup",
    "groups": "{nosuchgroup}", "directory": '""', "tty": '"relative"', "umask": '"999"',
    "environment": '{"=x"}', "environment_file": '"nosuch.env"', "nice": "77",
    "oom_score_adj": "1001", "no_new_privs": "perhaps", "ready.on": "never",
    "restart.policy": "often", "restart.limit": "-1", "stop.signal": "HOP",
    "stop.then": '{"INT"}', "stop.command": '{""}', "stop.to": "nobody", "reload.signal": "0",
    "reload.command": '{""}', "reload.on": "never", "watchdog_signal": "HOP",
    "ready.tcp": '"localhost:80"', "ready.unix": '"relative"', "ready.command": '{""}',
    "ready.fd": "2", "notify.access": "some", "health.command": '{""}', "health.tcp": '"here"',
    "health.unix": '"relative"', "health.http": '"https://127.0.0.1/"', "health.failures": "0",
    "health.then": "wait", "cgroup": "perhaps", "deadline": '"-1s"',
}
OF_THE_SERVICE = ("command", "requires", "wants", "after")  # told at its first line
NO_TIME, NO_LIMIT = '"ten years"', '"plenty"'

# The line at fault, or 0 for any, and the text.
TEXTS = [
    (0, "service x {"), (0, "service x { command = {"), (0, 'service x { command = {"/bin/true'),
    (2, 'service x { command = {"/bin/true"} }\n}'), (0, "service { }"), (0, "{"), (1, "}"),
    (0, "service x { command = {\"/bin/true\"} } /* no end"), (1, "service"), (1, "service x"),
    (1, "= 3"), (1, "nosuch = 3"), (1, "nosuch { a = 1 }"), (1, "${NO_SUCH_VARIABLE} = 1"),
    (1, 'service x { command = {"${NO_SUCH_VARIABLE}"} }'), (1, "service x y { }"),
    (1, 'service x { command = {"/bin/true", "\0"} }'), (1, 'service x { # \0'), (1, "\0" * 9000),
    (1, 'service x { command = {"/bin/true", "\x1b[2J"} }'), (1, "\x7fELF\x02\x01\x01"),
    (1, "\xff\xfe\x00"), (1, '\\'), (0, '"'), (0, "'"), (0, "service x { command = {'/bin/true} }"),
    (2, 'service x { command = {"/bin/true"}\n nosuch = 3 }'),
    (2, 'service x { command = {"/bin/true"}\n nosuch { a = 1 } }'),
    (2, 'service x { command = {"/bin/true"}\n stop { nosuch = 1 } }'),
    (2, 'service x { command = {"/bin/true"}\n service y { } }'),
    (1, 'service x { command = {"/bin/true"}\n requires = {x} }'),
    (2, 'service x { command = {"/bin/true"}\n requires = {base, base} }'),
    (0, 'service x { command = {"/bin/true"} requires = {y} }\n'
        'service y { command = {"/bin/true"} after = {x} }'),
    (0, "".join(f'service c{i} {{ command = {{"/bin/true"}} wants = {{c{(i + 1) % 50}}} }}\n'
                for i in range(50))),
    (1, 'service x { command = {"/bin/true"} requires = {nosuch} }'),
    (2, 'service x { command = {"/bin/true"} }\nservice x { command = {"/bin/true"} }'),
    (1, 'service web { command = {"/bin/true"} }'), (1, 'service WEB { command = {"/bin/true"} }'),
    (1, "service x { }"),
    (1, 'service x { command = {"./true"} }'), (1, 'service x { command = "/bin/true" "/bin" }'),
    (1, 'service x { command = {"/bin/true"} type = oneshot restart { policy = always } }'),
    (1, 'service x { command = {"/bin/true"} nice = 010 }'),
    (1, 'service x { command = {"/bin/true"} nice = 0x1 }'),
    (1, 'service x { command = {"/bin/true"} nice = 1e1 }'),
    (1, 'service x { command = {"/bin/true"} nice = 99999999999999999999 }'),
    (1, 'service x { command = {"/bin/true"} environment = {"A=1", "A=2"} }'),
    (2, 'service x { command = {"/bin/true"} main = true }\n'
        'service y { command = {"/bin/true"} main = true }'),
    *[(1, f'service "{name}" {{ command = {{"/bin/true"}} }}')
      for name in ("../x", "", "a b", "a/b", "-x", ".x", "n" * 65)],
]


def value_of(key, sentence):
    """One that the key cannot have, as it is written; None: any text is good."""
    if key in MEANINGLESS:
        return MEANINGLESS[key]
    if key.startswith("limits."):
        return NO_LIMIT
    return NO_TIME if re.search(r"\[\d+m?s\]|time|wait", sentence) else None


def keys_of(tend):
    """Section of the file, key, sentence."""
    section, found = "", []
    for line in subprocess.run([tend, "--options"], capture_output=True, text=True,
                               check=True).stdout.splitlines():
        if line.startswith(" "):
            found.append((section, *line.split(None, 1)))
        else:
            section = line.split()[0]
    return found


def with_key(section, key, value):
    """The bad one stands in line 3."""
    if section == "supervisor":
        return f"supervisor {{\n\n{key} {value}\n}}"
    command = "" if key == "command" else 'command = {"/bin/true"}'
    if "." in key:
        group, key = key.split(".")
        return f"service x {{\n{command} {group} {{\n{key} {value}\n}} }}"
    return f"service x {{\n{command}\n{key} {value}\n}}"


def texts(tend):
    for section, key, sentence in keys_of(tend):
        value = value_of(key, sentence)
        if must(f"{key}: nothing that it cannot mean is known", value):
            line = 1 if key in OF_THE_SERVICE else 3
            yield f"{key} = {value}", line, with_key(section, key, f"= {value}")
        yield f"{key} with a control byte", 3, with_key(section, key, '= "\x01"')
        yield f"{key} as a section", 3, with_key(section, key, "{ a = 1 }")
        yield f"{key} with two words", 0, with_key(section, key, "= 1 2")
        yield f"{key} without a value", 0, with_key(section, key, "=")
    for line, text in TEXTS:
        yield repr(text[:50]), line, text


def no_files(path, as_root):
    """What stands in a file's place, or beside it: the place that is told, and how it is made."""
    good = 'service x { command = {"/bin/true"} '
    yield "a folder", "", lambda: os.mkdir(path)
    yield "a FIFO", "", lambda: os.mkfifo(path)
    yield "a device", "", lambda: os.symlink("/dev/zero", path)
    yield "a link to nothing", "", lambda: os.symlink("nosuch", path)
    yield "a link to itself", "", lambda: os.symlink("bad.conf", path)
    yield "a link to a folder", "", lambda: os.symlink("/", path)
    yield "too large", "", lambda: (write(path, good + "}"), os.truncate(path, 300 * 1024 * 1024))
    yield "too large by a byte", "", lambda: write(path, "#" * (FILE_MAX + 1))
    yield "many blocks", "", lambda: write(path, "a{" * 100000)
    yield "a broken environment file", "web.env:2", lambda: write(
        path.replace("bad.conf", "web.env"), "A=1\nB\n")
    yield "no environment file", "", lambda: write(path, good + 'environment_file = "." }')
    yield "a broken drop-in", "all.conf.d/bad.conf:1", lambda: write(
        path.replace("bad.conf", "all.conf.d/bad.conf"), "nosuch = 1")
    yield "a drop-in that is a FIFO", "all.conf.d/bad.conf", lambda: os.mkfifo(
        path.replace("bad.conf", "all.conf.d/bad.conf"))
    if as_root:
        yield "writable by others", "", lambda: write(path, good + "}", 0o666)
        yield "of another user", "", lambda: (write(path, good + "}"),
                                              os.chown(path, NOBODY, NOBODY))
        yield "a link to one of another user", "", lambda: (
            write(path + ".theirs", good + "}"), os.chown(path + ".theirs", NOBODY, NOBODY),
            os.symlink("bad.conf.theirs", path))
    else:
        yield "unreadable", "", lambda: write(path, good + "}", 0)


class Refusals:
    """Of bad sets, while good services live."""

    def __init__(self, pid, folder, log):
        self.pid, self.folder, self.log = int(pid), folder, log
        self.client = greeted()
        self.before = self.all()
        self.told = os.path.getsize(log)

    def all(self):
        return [without_times(self.client.ask(request)) for request in ("status", "graph")]

    def logged(self):
        with open(self.log, encoding="latin-1") as log:
            log.seek(self.told)
            return log.read()

    def last(self):
        return int(field(self.client.ask("events")[-2], "seq"))

    def refused_by(self, request, place):
        lines = self.client.ask(request)
        problems = [line for line in lines if line.startswith("problem text=")]
        return (lines[:-1] == problems and lines[-1].startswith("error code=config text=") and
                any(re.search(place, line) for line in problems))

    def refused_by_hup(self):
        last = self.last()
        os.kill(self.pid, signal.SIGHUP)
        return until("HUP is refused", lambda: any(
            " kind=config " in line and "refused" in line
            for line in self.client.ask(f"events after={last}")))

    def try_one(self, what, place):
        def is_logged():
            return bool(re.search(place, self.logged()))
        so = [must(f"{what}: plan", self.refused_by("plan", place)),
              must(f"{what}: a plan is not logged", not is_logged()),
              must(f"{what}: reload, told at {place}", self.refused_by("reload", place)),
              until(f"{what}: logged", is_logged)]
        self.told = os.path.getsize(self.log)
        so += [self.refused_by_hup(), until(f"{what}: HUP is logged", is_logged),
               must(f"{what}: something has changed", self.all() == self.before)]
        self.told = os.path.getsize(self.log)
        return all(so)

    def good_again(self, what):
        for request in ("plan", "reload"):
            lines = self.client.ask(request)
            must(f"good again after {what}: {lines}", len(lines) == 1 and lines[0].startswith("ok"))


def bad(pid, folder, log, tend, share):
    """all.conf and web.env are good, and stay so. share: 3 for every third kind."""
    r, n, failed, path = Refusals(pid, folder, log), 0, 0, f"{folder}/bad.conf"
    everything = [(what, f"{path}:{line or '[0-9]+'}: ", lambda text=text: write(path, text))
                  for what, line, text in texts(tend)]
    everything += [(what, f"{folder}/{place}" if place else path, make)
                   for what, place, make in no_files(path, os.stat(f"/proc/{pid}").st_uid == 0)]
    for what, place, make in everything[::int(share)]:
        make()
        failed += not r.try_one(what, place)
        if failed == 5:
            return
        for name in ("bad.conf", "bad.conf.theirs", "all.conf.d/bad.conf"):
            remove(f"{folder}/{name}")
        write(f"{folder}/web.env", "A=1\n")
        if n % 10 == 0:
            r.good_again(what)
        n += 1
    tell(f"{n} kinds of bad")
    must(f"{len(everything)} kinds", len(everything) >= 200)
    r.good_again("all")
    must("all as before", r.all() == r.before)


# ---- every state, every change ----

STATES = ("backoff", "done", "failed", "running", "starting", "stopping")
END = {  # when what was to end has ended
    "backoff": "backoff", "done": "done", "failed": "failed", "running": "running",
    "starting": "starting", "stopping": "done",
}
ENDS = {name: None for name in STATES}
RUN = {name: "starting" if name == "starting" else "running" for name in STATES}


def needed(names):
    return f"requires = {{{names}}}" if names else ""


class Services:
    """One in each state; keys and steps go into all of them."""

    def __init__(self, folder, actor, journal):
        self.file, self.actor, self.journal = f"{folder}/web.conf", actor, journal
        self.end = f"{folder}/../flag.end"

    def words(self, name, *steps):
        return "{" + ", ".join(f'"{word}"' for word in (self.actor, self.journal, name, *steps)) + "}"

    def one(self, name, keys="", steps=None, rename=""):
        special = {
            "starting": f"before_start = {self.words('starting.before', 'pause')}",
            "backoff": 'restart { policy = on-failure delay = "1h" max_delay = "1h" }',
            "failed": "restart { policy = never }",
            "stopping": 'stop { grace = "60s" }',
        }
        own = {
            "backoff": ["exit=1"], "failed": ["exit=1"], "done": ["exit=0"],
            "stopping": ["on=TERM:note", "note=begins", f"await={self.end}", "exit=0"],
        }
        restart = "" if name in ("backoff", "failed") else "restart { policy = on-failure }"
        command = self.words(name + rename, *(steps or own.get(name, ["on=TERM:exit:0", "pause"])))
        return (f"service {name}{rename} {{ {keys} {special.get(name, '')} {restart} "
                f"command = {command} }}\n")

    def write(self, names=STATES, **how):
        aside = "".join(f'service {name} {{ command = {self.words(name, "pause")} start = {start} }}\n'
                        for name, start in (("gate", "auto"), ("extra", "manual")))
        write(self.file, aside + "".join(self.one(name, **how) for name in names))


# What is written before, what then; what the plan says of each state; the states at the end.
RESTARTED = {name: f"do={'start' if name in ('backoff', 'failed') else 'restart'} key=%s"
             for name in STATES}
CHANGED = {name: "do=change key=requires" for name in STATES}
REMOVED = {name: "do=forget" if name in ("backoff", "failed", "done") else "do=stop"
           for name in STATES}


def with_key_of(plan, key):
    return {name: text % key for name, text in plan.items()}


COLUMNS = {
    "nothing": ({}, {}, {}, END),
    "removed": ({}, {"names": ()}, REMOVED, ENDS),
    "command": ({}, {"steps": ["note=new", "on=TERM:exit:0", "pause"]},
                with_key_of(RESTARTED, "command"), RUN),
    "user": ({}, {"keys": f'user = "{NOBODY}"', "steps": None}, with_key_of(RESTARTED, "user"), END),
    "needs": ({}, {"keys": needed("extra, gate")},
              CHANGED | {"extra": "do=start because=backoff"}, END | {"extra": "running"}),
    "needs-no-more": ({"keys": needed("gate")}, {}, CHANGED, END),
    "type": ({}, {"keys": "type = oneshot"}, with_key_of(RESTARTED, "type"),
             END | {"running": "starting"}),
    "renamed": ({}, {"rename": "2"}, REMOVED | {name + "2": "do=start" for name in STATES},
                ENDS | {name + "2": state for name, state in END.items()}),
    "returns": ({"names": ()}, {}, {name: "do=start" for name in STATES}, END),
}


def foretold(lines):
    return {field(line, "name"): line.split(" ", 2)[2] for line in changes(lines)}


def has_begun(journal):
    with open(journal, encoding="utf-8") as file:
        return " stopping begins\n" in file.read()


def reach_states(client, journal):
    for name in STATES:
        goal = "running" if name == "stopping" else name
        until(f"{name} is {goal}", lambda name=name, goal=goal: is_reached(client, name, goal))
    until("it notes TERM", lambda: has_begun(journal))
    client.ask("restart stopping")
    until("stopping", lambda: is_reached(client, "stopping", "stopping"))


def matrix(column, folder, actor, journal):
    """Of services that wait for a first config with all of them in their states."""
    first, then, plan, end = COLUMNS[column]
    services, client = Services(folder, actor, journal), greeted()
    if first.get("names", STATES):
        services.write(**first)
        client.ask("reload")
        reach_states(client, journal)
    else:  # removed, and comes back before the old one is gone
        services.write()
        client.ask("reload")
        reach_states(client, journal)
        services.write(**first)
        client.ask("reload")
    before = states(client)
    services.write(**then)
    said, done = client.ask("plan"), client.ask("reload")
    must(f"the plan is {foretold(said)}, not {plan}", foretold(said) == plan)
    must(f"the plan says {said}, the reload {done}", changes(said) == changes(done))
    must("both ok", said[-1].startswith("ok") and done[-1].startswith("ok"))
    must("one that stops is not cut short", column == "removed" or column == "renamed" or
         column == "returns" or states(client)["stopping"] == before["stopping"])
    touch(services.end)
    for name, state in end.items():
        until(f"at the end {name} is {state}, not {states(client).get(name)}",
              lambda name=name, state=state: states(client).get(name) == state)
    if column == "user":
        uid = os.stat(f"/proc/{pids(client)['running']}").st_uid
        must(f"it runs as {uid}", uid == NOBODY)
    lines = client.ask("plan")
    must(f"then there is nothing to do: {lines}", len(lines) == 1)
    must("none is to change or come again", not any(
        field(line, "changed") or field(line, "again") for line in client.ask("status")))


# ---- over and over ----

DICE = random.Random(7)
POLICIES = ("always", "on-failure", "never")


def written(blocks):
    """In any order, with any comments."""
    DICE.shuffle(blocks)
    rest = "".join(f"# {DICE.random()}\n" * DICE.randrange(3) + block + "\n" for block in blocks)
    return rest + "/* the end */\n" * DICE.randrange(2)


def confs(blocks, grace, policy):
    return [f'supervisor {{ grace = "{grace}s" }}'] + [
        block.replace("GRACE", f'"{grace + 1}s"').replace("POLICY", policy) for block in blocks]


def again_and_again(pid, folder, count, slow):
    """web.conf has GRACE and POLICY in place of some words, and a blank line between services."""
    path, client = f"{folder}/web.conf", greeted()
    with open(f"{folder}/web.conf.in", encoding="ascii") as file:
        blocks = file.read().strip().split("\n\n")
    last, before, fds, memory = (50, "always"), pids(client), descriptors(pid), 0
    for i in range(int(count)):
        now = last if i % 3 else (50 + i % 7, POLICIES[i % 9 // 3])
        write(path, written(confs(blocks, *now)))
        lines = client.ask("reload")
        must(f"{i}: {lines[-1]}", lines[-1].startswith("ok"))
        must(f"{i}, from {last} to {now}: {lines}", bool(changes(lines)) == (now != last) and
             all(field(line, "do") == "change" for line in changes(lines)))
        last = now
        if i == min(100, int(count) // 2):
            memory = rss(pid)
    must("the same pids", pids(client) == before)
    must(f"{descriptors(pid)} descriptors, not {fds}", descriptors(pid) == fds)
    grown = rss(pid) - memory
    tell(f"{count} reloads: {grown} KiB more")
    must(f"it has grown by {grown} KiB", grown < 256 or slow != "1")
    for i in range(20):
        write(path, written(confs(blocks, 50, "always")))
        os.kill(int(pid), signal.SIGHUP)
    client.ask("plan")
    must("the same pids after HUP", pids(client) == before)


def main(scenes):
    """Of this file, of one that imports it, or of clients.py."""
    directory, scene, *arguments = sys.argv[1:]
    if scene not in scenes:
        return clients.main(vars(clients))
    os.chdir(directory)
    scenes[scene](*arguments)
    print("done")
    return 0


if __name__ == "__main__":
    sys.exit(main({"bad": bad, "matrix": matrix, "again_and_again": again_and_again}))
