"""The ledger: what the outside was told and what it did. Every reply is held against the account at the moment at which it leaves the server."""

from __future__ import annotations

import random
from typing import Any

from fleet.protocol import parse_results, result_digest
from tests.simulation.checker import DAY_S, Checker
from tests.simulation.network import Exchange
from tests.simulation.world import Violation, World

HONEST_5XX = (503, 507)                # said while the disk refuses or is full


class Asked:
    """What a client remembers of a submission: its idempotency keys by item ("" for none), in order."""

    __slots__ = ("keys", "scope")

    def __init__(self, scope: str, keys: list[str]) -> None:
        self.scope, self.keys = scope, keys


class Ledger:
    """Promises and deeds."""

    def __init__(self, world: World, checker: Checker) -> None:
        self._world, self._checker = world, checker
        self.acknowledged: dict[str, None] = {}
        self._keys: dict[tuple[str, str], tuple[str, float]] = {}
        self._accepted: set[str] = set()
        self._starts: dict[tuple[str, str], list[str]] = {}

    # -- deeds ----------------------------------------------------------------------------------------------------------------------------

    def started(self, node: str, lease: str, job: str, step: str, once: bool) -> None:
        """A worker begins with an attempt."""
        self._world.note(f"{node} starts {lease}")
        state = self._checker.leases.get(lease)
        if state is None or state.worker != node:
            raise Violation(f"{node} starts {lease}, which was {'never granted' if state is None else f'granted to {state.worker}'}")
        starts = self._starts.setdefault((job, step), [])
        starts.append(lease)
        permits = self._checker.permits.get((job, step), 0)
        if once and len(starts) > 1 + permits:
            raise Violation(f"step {step} of {job} may run once and starts for the {len(starts)}th time ({starts}); operators allowed {permits} more")

    def some_lease(self, source: random.Random) -> tuple[str, int] | None:
        """A lease that was granted to somebody, and its attempt."""
        leases = self._checker.leases
        if not leases:
            return None
        names = list(leases)[-30:]
        name = source.choice(names)
        return name, leases[name].attempt

    # -- promises -------------------------------------------------------------------------------------------------------------------------

    def told(self, exchange: Exchange, status: int, document: Any) -> None:
        """A reply leaves the server."""
        path = exchange.target.partition("?")[0]
        if status >= 500 and status not in HONEST_5XX:
            raise Violation(f"{exchange.method} {exchange.target} was answered {status}: {document}")
        if path in ("/tasks", "/dispatch"):
            self._submitted(exchange, status, document)
        elif path == "/result":
            self._results(exchange, status, document)
        elif path == "/commands" and status == 200:
            self._commands(exchange, document)
        elif path.startswith("/jobs/"):
            self._job(exchange, path, status, document)

    def _submitted(self, exchange: Exchange, status: int, document: Any) -> None:
        items = document if isinstance(document, list) else [document]
        asked: Asked = exchange.about
        for key, item in zip(asked.keys, items, strict=True) if status < 300 else ():
            if "id" not in item:
                continue
            self._shown(item)
            self.acknowledged[item["id"]] = None
            if key:
                self._used(asked.scope, key, item["id"])

    def _used(self, scope: str, key: str, job_id: str) -> None:
        """A reply named this job for a key. It may be late: the key may have run out since, and be another job's."""
        record = self._checker.jobs.get(job_id)
        at = next((k[3] for k in record.keys if (k[0], k[1]) == (scope, key)), None) if record is not None else None
        if at is None:
            owner, _ = self._checker.keys.get((scope, key), ("nobody", 0.0))
            raise Violation(f"key {key} of {scope} was answered with {job_id}, and its record is that of {owner}")
        known_id, known_at = self._keys.get((scope, key), (job_id, at))
        if known_id != job_id and abs(at - known_at) < DAY_S - 1.0 and not self._checker.keys_may_be_gone(min((known_at, known_id), (at, job_id))[1]):
            raise Violation(f"key {key} of {scope} was answered with {known_id}, and now with {job_id}")
        self._keys[scope, key] = (job_id, at) if at >= known_at else (known_id, known_at)

    def _shown(self, document: dict[str, Any]) -> None:
        """A job as a reply shows it: nothing in it may be news to the account."""
        job = self._checker.jobs.get(document["id"])
        last = document["history"][-1]
        if job is None or job.last_n < last["n"]:
            raise Violation(f"{document['id']} was shown with move {last}, which is not on disk")
        for move in job.history:
            if move.n == last["n"] and (move.of, move.to) != (last["of"], last["to"]):
                raise Violation(f"{document['id']} was shown with move {last}, committed was {move}")

    def _job(self, exchange: Exchange, path: str, status: int, document: Any) -> None:
        parts = path.split("/")
        if parts[3:] == ["feedback"]:
            self._checker.said.told(exchange, parts[2], status, document)
        elif status == 404:
            known = parts[2] in self._checker.jobs and parts[2] in self.acknowledged
            if known and document["code"] == "unknown_job" and not self._checker.may_be_gone(parts[2]):
                raise Violation(f"{parts[2]} was acknowledged and is unknown")
        elif status < 300 and (len(parts) == 3 or exchange.method == "POST"):
            self._shown(document)
        elif status == 200 and parts[3] == "why" and not document["reasons"]:
            raise Violation(f"{parts[2]} has no why: {document}")
        elif status == 200 and parts[3] == "events":
            self._sequence(parts[2], document)

    def _sequence(self, job_id: str, document: dict[str, Any]) -> None:
        """Moves and events of a job as a watcher sees them: one sequence without a gap, each as it was committed."""
        numbers = [item["n"] for item in document["events"]]
        if numbers != list(range(1, document["last"] + 1)) and job_id not in self._checker.retained.taken:
            raise Violation(f"{job_id} has moves and events 1 to {document['last']}, a watcher is shown {numbers}")
        known = self._checker.events.get(job_id, {})
        for item in document["events"]:
            event = known.get(item["n"])
            if item["type"] != "moved" and (event is None or (item["type"], item["data"]) != (event.type, event.data)):
                raise Violation(f"{job_id} is shown with event {item}, committed was {event}")

    def _commands(self, exchange: Exchange, document: Any) -> None:
        worker = exchange.node
        for command in document["commands"]:
            if command["type"] != "run":
                continue
            state = self._checker.leases.get(command["lease"])
            if state is None:
                raise Violation(f"{worker} was sent {command['lease']}, whose grant is not on disk")
            if state.worker != worker or (exchange.about is not None and state.boot != exchange.about):
                raise Violation(f"{worker} {exchange.about} was sent {command['lease']}, which is {state.worker}'s {state.boot}")

    def _results(self, exchange: Exchange, status: int, document: Any) -> None:
        items = document if isinstance(document, list) else [document]
        if len(items) != len(exchange.about):
            return                                     # the whole request was refused
        for message, item in zip(exchange.about, items, strict=True):
            if message["status"] != "partial":
                self._result(message, item)

    def _result(self, message: dict[str, Any], item: dict[str, Any]) -> None:
        lease = message["lease"]
        state = self._checker.leases.get(lease)
        ours = state is not None and state.worker == message["worker"] and state.attempt == message["attempt"] \
            and state.boot in ("", message.get("boot", state.boot))
        if item.get("accepted"):
            result: Any = parse_results(message)[0]
            digest = result_digest(result.status, result.output, result.error)
            if state is None or not ours or state.open or state.digest != digest:
                raise Violation(f"a result of {message['worker']} for {lease} attempt {message['attempt']} was accepted and did not settle it")
            if not item.get("duplicate"):
                if lease in self._accepted:
                    raise Violation(f"two results were accepted for {lease}")
                self._accepted.add(lease)
        elif item.get("code") == "lease_lost":
            self._world.meet("result came too late")
            if ours and state is not None and state.open:
                raise Violation(f"{message['worker']} was refused its result for {lease}, which it holds")
