"""The clients of a soak: each actor is a thread with a connection of its own that does one thing over and over and looks at every reply.

What a reply may be: what was asked for; 429 or 503 with Retry-After; no reply at all while the server is being restarted. All else is a problem.
The rate is modest on purpose: a soak looks for what grows, not for what is fast.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ledger import ENDED, Ledger

PATIENCE_S = 70.0            # beyond the longest wait that is asked for
AWAY_S = 0.1
BATCH = 20
RECENT_MAX = 500
PARKED = 20                  # polls that wait for cancels only, and get none
RETRIES_MAX = 30             # of a coin that falls on the wrong side
EDIT_EACH_S = 3.0
SKILLS = {
    "coin": ("def coin(input):\n    import random\n    if random.random() < 0.5:\n        raise ValueError('tails')\n    return {}\n", ""),
    "nap": ("import time\n\n\ndef nap(input, step):\n    for n in range(4):\n        step.progress(n / 4)\n        time.sleep(input['s'] / 4)\n"
            "    return {}\n",
            "retry = { attempts = 3, backoff_s = 0.1 }\n"),
    "edited": ("def edited(input):\n    return {'edition': 0}\n", ""),
}


class Reply(NamedTuple):
    """A reply: its status, and its JSON."""

    status: int
    value: Any


class World:
    """What all actors share. `generation` rises with each start of the server: connections of the one before are not used again."""

    def __init__(self, folder: Path, port: int, seed: int) -> None:
        self.folder, self.port, self.seed = folder, port, seed
        self.ledger = Ledger()
        self.going = threading.Event()
        self.restarting = threading.Event()
        self.storm = threading.Event()                 # restarts are part of the load now
        self.generation = 0
        self.recent: list[str] = []

    def write_skill(self, name: str, tool: str, more: str, edition: int = 0) -> None:
        """Write a skill folder of one python step; its version is the edition."""
        folder = self.folder / "skills" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tool.py").write_text(tool)
        (folder / "skill.toml").write_text(f'version = "1.0.{edition}"\n[[steps]]\nid = "{name}"\nkind = "python"\nentry = "tool.py:{name}"\n'
                                           f"timeout_s = 5\n{more}")
        (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: The {name} of a soak. Use when somebody asks for {name}.\n---\n"
                                         f"Edition {edition}.\n")


class Actor(threading.Thread):
    """Calls `act` until the soak ends. An actor that raises is a problem, not the end of the soak."""

    def __init__(self, world: World, number: int, act: Callable[[Actor], None], pause_s: float) -> None:
        super().__init__(name=f"{act.__name__}-{number}", daemon=True)
        self.world, self.ledger, self.number = world, world.ledger, number
        self.random = random.Random(f"{world.seed} {self.name}")
        self._act, self._pause_s = act, pause_s
        self._connection: http.client.HTTPConnection | None = None
        self._generation = -1
        self.edition = 0

    def run(self) -> None:
        """Until the soak ends."""
        while self.world.going.is_set():
            try:
                self._act(self)
            except Exception as error:                # whatever it is, the report names it
                self.ledger.problem(f"{self.name}: {type(error).__name__}: {error}")
            time.sleep(self.random.uniform(0.5, 1.5) * self._pause_s)
        self.close()

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def opened(self) -> http.client.HTTPConnection:
        """A connection to the server that runs now."""
        if self._connection is None or self._generation != self.world.generation:
            self.close()
            self._generation = self.world.generation
            self._connection = http.client.HTTPConnection("127.0.0.1", self.world.port, timeout=PATIENCE_S)
        return self._connection

    def ask(self, method: str, path: str, value: Any = None, headers: dict[str, str] | None = None,
            fine: tuple[int, ...] = (200, 202)) -> Reply | None:
        """One request; None if the server is away or asks for patience."""
        generation = self.world.generation
        try:
            connection = self.opened()
            body = None if value is None else json.dumps(value)
            connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.away(generation, f"{method} {path}: {type(error).__name__}: {error}")
            return None
        self.ledger.count("requests")
        if answer.will_close:
            self.close()
        if answer.status in fine:
            return Reply(answer.status, json.loads(data))
        patient = answer.status in (429, 503) and answer.getheader("Retry-After")
        self.ledger.count("put off with 429 or 503")
        if not patient:
            self.ledger.problem(f"{self.name}: {method} {path}: {answer.status} {data[:300]!r}")
        time.sleep(AWAY_S)
        return None

    def away(self, generation: int, what: str) -> None:
        """A request met nobody: fine while the server is being restarted, or when it was since the request began."""
        self.close()
        self.ledger.count("met nobody")
        if not (self.world.restarting.is_set() or self.world.generation != generation):
            time.sleep(AWAY_S)                         # the restart is known a moment after the connection broke
            if not (self.world.restarting.is_set() or self.world.generation != generation):
                self.ledger.problem(f"{self.name}: {what}, and the server was not being restarted")
        time.sleep(AWAY_S)

    def submit(self, skill: str, value: Any, query: str = "", headers: dict[str, str] | None = None) -> dict[str, Any] | None:
        """A job that was acknowledged, None if it was not."""
        reply = self.ask("POST", f"/tasks{query}", {"task": skill, "skill": skill, "input": value}, headers)
        if reply is None:
            return None
        self.remember(self.ledger.add(reply.value, skill))
        job: dict[str, Any] = reply.value
        return job

    def remember(self, job_id: str) -> None:
        """For those that read jobs."""
        recent = self.world.recent
        recent.append(job_id)
        del recent[:-RECENT_MAX]


def batches(actor: Actor) -> None:
    """A batch of jobs that do nothing."""
    reply = actor.ask("POST", "/tasks", [{"task": "nothing", "skill": "noop", "input": {}}] * BATCH)
    for job in reply.value if reply else ():
        if "id" in job:
            actor.remember(actor.ledger.add(job, "noop"))
        elif job["status"] not in (429, 503, 507):
            actor.ledger.problem(f"{actor.name}: {job}")


def singles(actor: Actor) -> None:
    """One job; while restarts are going on with a key, until it is acknowledged, and then once more: the same job must come back."""
    if not actor.world.storm.is_set():
        actor.submit("noop", {})
        return
    key = {"Idempotency-Key": f"{actor.world.seed}-{actor.random.random()}"}
    first = None
    while first is None and actor.world.going.is_set():
        first = actor.submit("noop", {}, headers=key)
    again = actor.submit("noop", {}, headers=key)
    if first and again and first["id"] != again["id"]:
        actor.ledger.problem(f"{actor.name}: one key, two jobs: {first['id']} and {again['id']}")


def waiters(actor: Actor) -> None:
    """A job whose end is waited for."""
    job = actor.submit("noop", {}, "?wait=30")
    if job is not None and job["state"] not in ENDED and not actor.world.restarting.is_set():
        actor.ledger.count("waits that ended early")


def watchers(actor: Actor) -> None:
    """A stream of events from the first to the last, through restarts, without a gap and without a repetition."""
    job = actor.submit("nap", {"s": actor.random.uniform(0.02, 0.3)})
    last = 0
    while job is not None and actor.world.going.is_set():
        generation = actor.world.generation
        try:
            connection = actor.opened()
            connection.request("GET", f"/jobs/{job['id']}/events", headers={"Accept": "text/event-stream", "Last-Event-ID": str(last)})
            answer = connection.getresponse()
            if answer.status == 204:
                answer.read()
                actor.ledger.count("streams followed to the end")
                return
            while (line := answer.readline()) or not answer.isclosed():
                if not line:
                    break
                if line.startswith(b"id: "):
                    last = _next(actor, job["id"], last, int(line[4:]))
            actor.close()
        except (OSError, http.client.HTTPException) as error:
            actor.away(generation, f"stream of {job['id']}: {error}")


def pollers(actor: Actor) -> None:
    """The same with long polls."""
    job = actor.submit("nap", {"s": actor.random.uniform(0.02, 0.3)})
    last = 0
    while job is not None and actor.world.going.is_set():
        reply = actor.ask("GET", f"/jobs/{job['id']}/events?after={last}&wait=10")
        for event in reply.value["events"] if reply else ():
            last = _next(actor, job["id"], last, event["n"])
        if reply and reply.value["state"] in ENDED and last >= reply.value["last"]:
            actor.ledger.count("polls followed to the end")
            return


def _next(actor: Actor, job_id: str, last: int, n: int) -> int:
    if n != last + 1:
        actor.ledger.problem(f"{actor.name}: event {n} of {job_id} came after {last}")
    return n


def cancellers(actor: Actor) -> None:
    """A job that is cancelled, or paused and resumed, at some moment of its life."""
    job = actor.submit("nap", {"s": actor.random.uniform(0.1, 1.0)})
    if job is None:
        return
    time.sleep(actor.random.uniform(0, 0.4))
    verbs = ("cancel",) if actor.random.random() < 0.6 else ("pause", "resume")
    for verb in verbs:
        while (reply := actor.ask("POST", f"/jobs/{job['id']}/{verb}", fine=(200, 409))) is None and actor.world.going.is_set():
            time.sleep(AWAY_S)
        if reply is not None and reply.status == 200:
            actor.ledger.count(f"{verb}s that took effect")


def retriers(actor: Actor) -> None:
    """A job that fails every other time, retried until it is done."""
    job = actor.submit("coin", {}, "?wait=30")
    for _ in range(RETRIES_MAX):
        if job is None or job["state"] in ("done", "cancelled") or not actor.world.going.is_set():
            return
        verb = "GET" if job["state"] != "failed" else "POST"
        reply = actor.ask(verb, f"/jobs/{job['id']}{'/retry' if verb == 'POST' else ''}?wait=30", fine=(200, 202, 409))
        if reply is not None and reply.status != 409:
            job = reply.value
            actor.ledger.count("retries", int(verb == "POST"))


def editors(actor: Actor) -> None:
    """An edit of a skill, which the very next request must see."""
    actor.edition += 1
    actor.world.write_skill("edited", f"def edited(input):\n    return {{'edition': {actor.edition}}}\n", "", actor.edition)
    job = actor.submit("edited", {}, "?wait=30")
    if job is not None and job["version"] != f"1.0.{actor.edition}":
        actor.ledger.problem(f"{actor.name}: after edit 1.0.{actor.edition} job {job['id']} got version {job['version']}")
    if job is not None and job["state"] == "done" and job["output"] != {"edition": actor.edition}:
        actor.ledger.problem(f"{actor.name}: edition {actor.edition} of the skill gave {job['output']} in {job['id']}")
    actor.ledger.count("edits")


def readers(actor: Actor) -> None:
    """Lists, figures, and acknowledged jobs, which must be there."""
    actor.ask("GET", actor.random.choice(("/jobs?limit=50", "/jobs?limit=20&state=done", "/workers", "/skills", "/version")))
    if actor.world.recent:
        job_id = actor.random.choice(actor.world.recent)
        actor.ask("GET", f"/jobs/{job_id}{actor.random.choice(('', '/why', '/history'))}")


def parked(actor: Actor) -> None:
    """A worker that takes no work: it beats and polls for cancels."""
    name = f"idle-{actor.number}"
    if actor.ask("POST", "/heartbeat", {"worker": name, "slots": 1, "held": [], "seen": 0}):
        actor.ask("GET", f"/commands?worker={name}&max=0&wait=5&seen=0", fine=(200, 409))


ACTS: tuple[tuple[Callable[[Actor], None], int, float], ...] = (       # what, threads, pause
    (batches, 1, 0.5), (singles, 2, 0.1), (waiters, 2, 0.2), (watchers, 2, 0.3), (pollers, 2, 0.3), (cancellers, 2, 0.3), (retriers, 1, 0.3),
    (editors, 1, EDIT_EACH_S), (readers, 1, 0.2), (parked, PARKED, 0.2),
)


def actors(world: World) -> list[Actor]:
    """All of them, not started."""
    return [Actor(world, n, act, pause_s) for act, threads, pause_s in ACTS for n in range(threads)]
