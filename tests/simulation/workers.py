"""Simulated workers: agents that keep the real book (`fleet.book`), workers written with curl, and rogues. They crash, hang, answer late or twice.

What they start is told to the ledger at that moment: that is the truth about effects. A worker's life is numbered; what an earlier one began is
dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fleet.attempt import OVER, RUNNING, Attempt
from fleet.book import Book
from fleet.protocol import worth_retrying
from tests.simulation.scene import Scene
from tests.simulation.world import GENESIS

WAIT_S = 25.0                      # of a parked poll
ANSWER_S_MAX = 15.0                # beyond it
LABELS = {"gpu": "h100"}
MEMORY_MB = 1_500
PREFETCH_MAX = 8
BATCH_MAX = 20
CURL_TRIES = 6


class Node:
    """A machine beside the server's. What it plans goes through `mine`: dropped after a crash, put off while it hangs."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene, self.name = scene, name
        self.world, self.network, self.ledger, self.weather = scene.world, scene.network, scene.ledger, scene.weather
        self.random = scene.world.stream(f"node {name}")
        self.life = 0
        self.up = False
        self.hangs_until = 0.0

    def mine(self, act: Callable[..., object]) -> Callable[..., None]:
        """`act`, if this life still lasts, when it no longer hangs."""
        life = self.life

        def do(*arguments: Any) -> None:
            if life != self.life:
                return
            if self.hangs_until > self.world.now:
                self.world.after(self.hangs_until - self.world.now, lambda: do(*arguments))
            else:
                act(*arguments)
        return do

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Plan something."""
        self.world.after(seconds, self.mine(act))

    def start(self) -> None:
        """The process begins."""
        self.life += 1
        self.up = True
        self.hangs_until = 0.0
        self.begin()

    def begin(self) -> None:
        """What it does first."""

    def crash(self, down_s: float) -> None:
        """The process ends; its supervisor starts it again."""
        if self.up:
            self.world.note(f"{self.name} crashes for {down_s:.3f} s")
            self.up = False
            self.life += 1
            self.world.after(down_s, self.start)

    def hang(self, seconds: float) -> None:
        """It does nothing for a while, then goes on as if nothing had been."""
        self.world.note(f"{self.name} hangs for {seconds:.3f} s")
        self.hangs_until = self.world.now + seconds

    def seconds_of_work(self, timeout_s: float) -> float:
        """How long an attempt takes."""
        if not self.scene.calm and self.random.random() < self.weather.slow:
            return self.random.uniform(0.0, 1.3 * timeout_s)
        return self.random.expovariate(2.0)

    def outcome(self, once: bool, timeout_s: float, took_s: float) -> dict[str, Any]:
        """What an attempt says in the end."""
        source = self.random
        if took_s >= timeout_s:
            self.world.meet("step ran over its time")
            return {"status": "failed", "error": {"code": "timeout", "message": f"over {timeout_s} s", "retryable": True}}
        if self.scene.calm or source.random() >= self.weather.failing:
            return {"status": "done", "output": {"n": source.randrange(100), "by": self.name}}
        kind = source.randrange(5)
        self.world.meet(("step gave a strange output", "step died", "step interrupted", "step failed", "step failed")[kind])
        if kind == 0:
            return {"status": "done", "output": {"strange": source.randrange(100)}}
        if kind == 1:
            return {"status": "failed", "error": {"code": "runner_died", "message": "signal 9", "retryable": True}}
        if kind == 2:
            return {"status": "interrupted", "error": {"code": "interrupted", "message": "leaving"}}
        return {"status": "failed", "error": {"code": "boom", "message": "no", "retryable": kind == 3}}


class Agent(Node):
    """A worker that keeps every rule of the protocol."""

    def __init__(self, scene: Scene, name: str, slots: int, plain: bool) -> None:
        super().__init__(scene, name)
        self._slots, self._plain = slots, plain
        self.book: Book

    def begin(self) -> None:
        boot = f"{int((GENESIS + self.world.now) * 1000)}-{self.life}"
        self.book = Book(self.name, boot, lambda: {"labels": LABELS, "memory_mb": MEMORY_MB, "load": 0.5}, self._slots, PREFETCH_MAX)
        self.book.prefetch = self.random.choice((0, PREFETCH_MAX))
        self._queue: list[Attempt] = []
        self._running: dict[str, Attempt] = {}
        self._outbox: list[dict[str, Any]] = []
        self._polling = self._delivering = False
        self._beat()

    # -- heartbeats -----------------------------------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        """In its rhythm; sooner where the one before was not answered."""
        def answered(status: int) -> None:
            self.later(self.book.heartbeat_s if status == 200 else self.random.uniform(0.05, 2.0), self._beat)
        self._tell(answered)

    def _tell(self, then: Callable[[int], object] = lambda status: None) -> None:
        body, seen = self.book.heartbeat()
        sent_at = self.world.now

        def told(status: int, said: Any) -> None:
            then(status)
            self._told(seen, sent_at, status, said)
        self.network.ask(self.name, "POST", "/heartbeat", self.mine(told), body=body)

    def _told(self, seen: int | None, sent_at: float, status: int, said: Any) -> None:
        if status == 200:
            confirmed = self.book.adopt(said, seen)
            self.book.obey(said)
            for lease in said["cancel"]:
                self._cancel(lease)
            self.book.confirm(confirmed, sent_at)
            self._fill()
            self._poll()
        elif status == 409 and said["code"] == "worker_superseded":
            self.crash(5.0)

    # -- polls ----------------------------------------------------------------------------------------------------------------------------

    def _poll(self) -> None:
        places = self.book.places()
        if self._polling or not places:
            return
        self._polling = True
        wait_s = 0.0 if self._plain else WAIT_S
        self.network.ask(self.name, "GET", self.book.query(places, wait_s), self.mine(self._polled), timeout_s=wait_s + ANSWER_S_MAX,
                         about=self.book.boot)

    def _polled(self, status: int, said: Any) -> None:
        self._polling = False
        if status == 200:
            new, cancelled, _ = self.book.take(said["commands"])
            self.book.obey(said)
            self._queue.extend(new)
            for lease in cancelled:
                self._cancel(lease)
            self._fill()
            if any(attempt.once for attempt in new):
                self._tell()
            self.later(self.book.poll_s if (self._plain and not new) or self.book.drain else 0.0, self._poll)
        elif status == 409 and said["code"] == "unknown_worker":
            self.book.forget_count()
            self._tell(lambda status: self.later(0.5, self._poll))
        elif status == 409 and said["code"] == "worker_superseded":
            self.crash(5.0)
        else:
            self.later(self.random.uniform(0.05, 2.0), self._poll)

    # -- attempts -------------------------------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        for attempt in list(self._queue):
            if len(self._running) >= self._slots:
                return
            if attempt.once and not self._lease_is_fresh(attempt):
                continue               # it begins when a heartbeat has been answered, or never
            self._queue.remove(attempt)
            attempt.state = RUNNING
            self._running[attempt.lease] = attempt
            self.ledger.started(self.name, attempt.lease, attempt.job, attempt.step, attempt.once)
            took_s = min(self.seconds_of_work(attempt.timeout_s), attempt.timeout_s)
            if self.random.random() < 0.4:
                self.later(took_s / 2, partial(self._say, attempt))
            self.later(took_s, partial(self._over, attempt, took_s))

    def _lease_is_fresh(self, attempt: Attempt) -> bool:
        """As `fleet.agent` asks before a step that must not run twice: the server knows that it has arrived, and was reached lately."""
        return self.book.is_fresh(attempt, self.world.now)

    def _say(self, attempt: Attempt) -> None:
        """Progress on the way."""
        if attempt.state is RUNNING:
            attempt.event_k += 1
            events = [{"k": attempt.event_k, "type": "progress", "data": {"part": attempt.event_k}}]
            self._send([self._message(attempt, {"status": "partial", "events": events})], lambda status, said: None)

    def _over(self, attempt: Attempt, took_s: float) -> None:
        if attempt.state is RUNNING:
            del self._running[attempt.lease]
            said = self.outcome(attempt.once, attempt.timeout_s, took_s)
            if self.random.random() < 0.4:
                attempt.event_k += 1
                said["events"] = [{"k": attempt.event_k, "type": "log", "data": "the end"}]
            self._end(attempt, said)

    def _end(self, attempt: Attempt, said: dict[str, Any]) -> None:
        attempt.state = OVER
        self._outbox.append(self._message(attempt, said))
        self.book.ended(1)
        self._deliver()
        self._fill()
        self.later(0.0, self._poll)

    def _message(self, attempt: Attempt, said: dict[str, Any]) -> dict[str, Any]:
        return {"worker": self.name, "boot": self.book.boot, "lease": attempt.lease, "attempt": attempt.attempt, **said}

    def _cancel(self, lease: str) -> None:
        attempt = self.book.attempt(lease)
        if attempt is not None and attempt.state is not OVER:
            attempt.state = OVER
            self._queue = [a for a in self._queue if a is not attempt]
            self._running.pop(lease, None)
            self.book.ended(1)
        self.book.release([lease])

    # -- results --------------------------------------------------------------------------------------------------------------------------

    def _send(self, messages: list[dict[str, Any]], then: Callable[[int, Any], object]) -> None:
        document = messages[0] if len(messages) == 1 else messages
        self.network.ask(self.name, "POST", "/result", self.mine(then), document, about=messages)

    def _deliver(self) -> None:
        if self._delivering or not self._outbox:
            return
        self._delivering = True
        batch = self._outbox[:BATCH_MAX]
        self._send(batch, lambda status, said: self._delivered(batch, status, said))

    def _delivered(self, batch: list[dict[str, Any]], status: int, said: Any) -> None:
        self._delivering = False
        items = said if isinstance(said, list) else [said] * len(batch)
        again = False
        for message, item in zip(batch, items, strict=True):
            verdict = item.get("status", status) if isinstance(item, dict) and "code" in item else status
            if verdict == 0 or worth_retrying(verdict):
                again = True
                continue
            self._outbox.remove(message)
            self.book.release([message["lease"]])
            if self.random.random() < 0.05:
                self.later(self.random.uniform(0.0, 60.0), partial(self._again, message))
        self.later(self.random.uniform(0.05, 2.0) if again else 0.0, self._deliver)

    def _again(self, message: dict[str, Any]) -> None:
        """Answer twice: the same bytes, or others."""
        another = self.random.random() < 0.5
        self.world.meet("another result for the same lease" if another else "result sent twice")
        other = {**message, "output": {"n": -1}} if another else message
        self._send([other], lambda status, said: None)


class Curl(Node):
    """A worker of a few lines of shell: it counts nothing, lists nothing, and runs one step at a time."""

    def __init__(self, scene: Scene, name: str, beats: bool) -> None:
        super().__init__(scene, name)
        self._beats = beats

    def begin(self) -> None:
        self._register()

    def _register(self) -> None:
        self.network.ask(self.name, "POST", "/heartbeat", self.mine(self._registered), {"worker": self.name, "slots": 1, "labels": LABELS})

    def _registered(self, status: int, said: Any) -> None:
        if status != 200:
            self.later(2.0, self._register)
            return
        self._poll()
        if self._beats:
            self.later(said["heartbeat_s"], self._beat)

    def _beat(self) -> None:
        self.network.ask(self.name, "POST", "/heartbeat", lambda status, said: None, {"worker": self.name, "slots": 1, "labels": LABELS})
        self.later(10.0, self._beat)

    def _poll(self) -> None:
        self.network.ask(self.name, "GET", f"/commands?worker={self.name}&wait=10", self.mine(self._polled), timeout_s=20.0)

    def _polled(self, status: int, said: Any) -> None:
        if status == 409:
            self.later(1.0, self._register)
            return
        runs = [c for c in said["commands"] if c["type"] == "run"] if status == 200 else []
        if not runs:
            self.later(2.0, self._poll)
            return
        command = runs[0]
        self.world.meet("curl worker began")
        self.ledger.started(self.name, command["lease"], command["job"], command["step"], command["effects"] == "once")
        took_s = self.seconds_of_work(command["timeout_s"])
        self.later(took_s, lambda: self._over(command, took_s))

    def _over(self, command: dict[str, Any], took_s: float) -> None:
        said = self.outcome(command["effects"] == "once", 1e9, took_s)
        self._send({"worker": self.name, "lease": command["lease"], "attempt": command["attempt"], **said}, CURL_TRIES)

    def _send(self, message: dict[str, Any], tries: int) -> None:
        def sent(status: int, said: Any) -> None:
            if (status == 0 or worth_retrying(status)) and tries:
                self.later(2.0, lambda: self._send(message, tries - 1))
            else:
                self._poll()
        self.network.ask(self.name, "POST", "/result", self.mine(sent), message, about=[message])


class Rogue(Curl):
    """Speaks for leases of others, of attempts that never were, and says two things about its own."""

    def begin(self) -> None:
        super().begin()
        self.later(3.0, self._lie)

    def _lie(self) -> None:
        if self.scene.calm:
            return
        self.later(self.random.expovariate(1 / 5.0), self._lie)
        lease = self.ledger.some_lease(self.random)
        if lease is None:
            return
        name, attempt = lease
        attempt += self.random.choice((0, 0, 1, -1))
        self.world.meet("rogue lied")
        body = {"worker": self.name, "lease": name, "attempt": max(1, attempt), "status": "done", "output": {"n": 666}}
        self.network.ask(self.name, "POST", "/result", lambda status, said: None, body, about=[body])
