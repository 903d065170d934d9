"""Clients who submit and ask, operators who pause, cancel, retry, resolve, drain and edit skills, a critic who gives feedback; after the faults, a
caretaker who tidies up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from state.machine import JOB_ENDED
from state.records import Job
from tests.simulation.ledger import Asked
from tests.simulation.scene import Scene
from tests.simulation.skills import NAMES
from tests.simulation.workers import Node

TRIES = 8                          # of a submission that has a key
AGAIN_S = 4.0
READS = ("", "/why", "/history", "/events", "/events")
DEADLINES_S = (1, 8, 40, 300)
CARE_S = 3.0
CRITIC_S = 6.0
BATCH_MAX = 6


class Client:
    """Submits as the weather says, keeps asking with the same key until it is answered, and looks at jobs."""

    def __init__(self, scene: Scene, name: str) -> None:
        self._scene, self.name = scene, name
        self._random = scene.world.stream(f"client {name}")
        self._count = 0
        self._sent: list[tuple[str, bytes, str, Asked]] = []       # with keys, to be sent once more later
        self._later(0.0)

    def _later(self, mean_s: float) -> None:
        self._scene.world.after(self._random.expovariate(1 / mean_s) if mean_s else 0.5, self._act)

    def _act(self) -> None:
        scene, source = self._scene, self._random
        if scene.calm:
            return
        self._later(scene.weather.submit_s)
        kind = source.random()
        if kind < 0.55:
            self._submit()
        elif kind < 0.65 and self._sent:
            self._send(*source.choice(self._sent), tries=1)
        else:
            self._look()

    def _task(self) -> dict[str, Any]:
        source = self._random
        task: dict[str, Any] = {"task": "please", "skill": source.choice(NAMES)}
        if source.random() < 0.1:
            task = {"task": f"do what is {source.choice(NAMES)}"}
        if source.random() < 0.3:
            task["priority"] = source.randrange(1001)
        if source.random() < 0.15:
            self._scene.world.meet("deadline given")
            task["deadline_s"] = source.choice(DEADLINES_S)
        if source.random() < 0.5:
            task["input"] = {"n": source.randrange(1000)}
        return task

    def _key(self) -> str:
        self._count += 1
        return f"{self.name}-{self._count}" if self._random.random() < 0.6 else ""

    def _submit(self) -> None:
        source = self._random
        kind = source.random()
        if kind < 0.15:
            self._scene.world.meet("batch submitted")
            items = [self._task() for _ in range(source.randrange(1, BATCH_MAX))]
            keys = [self._key() for _ in items]
            for item, key in zip(items, keys, strict=True):
                if key:
                    item["idempotency_key"] = key
            self._ask("/tasks", items, "", Asked("POST /tasks", keys))
            return
        key = self._key()
        headers = f"Idempotency-Key: {key}\r\n" if key else ""
        if kind < 0.22:
            body = {"worker": f"agent{source.randrange(self._scene.weather.workers)}", "skill": source.choice(NAMES[:5]), "input": {}}
            self._ask("/dispatch", body, headers, Asked("POST /dispatch", [key]))
        else:
            self._ask("/tasks" + ("?wait=5" if source.random() < 0.3 else ""), self._task(), headers, Asked("POST /tasks", [key]))

    def _ask(self, target: str, document: Any, headers: str, asked: Asked) -> None:
        sent = (target, json.dumps(document).encode(), headers, asked)
        if all(asked.keys):
            self._sent.append(sent)
        self._send(*sent, tries=TRIES if all(asked.keys) else 1)

    def _send(self, target: str, body: bytes, headers: str, asked: Asked, tries: int) -> None:
        def answered(status: int, said: Any) -> None:
            if tries > 1 and (status == 0 or status in (429, 503, 507)):
                self._scene.world.meet("client asked again")
                self._scene.world.after(AGAIN_S * (0.5 + self._random.random()), lambda: self._send(target, body, headers, asked, tries - 1))
        self._scene.network.ask(self.name, "POST", target, answered, body=body, headers=headers, about=asked)

    def send_all_again(self) -> None:
        """Every submission that had a key, once more: it must find the job that it made."""
        for sent in self._sent:
            self._send(*sent, tries=1)

    def _look(self) -> None:
        source, scene = self._random, self._scene
        known = list(scene.ledger.acknowledged)
        if not known or source.random() < 0.2:
            scene.network.ask(self.name, "GET", source.choice(("/jobs?limit=5", "/jobs?state=failed", "/ready", "/workers", "/skills")),
                              lambda status, said: None)
            return
        scene.network.ask(self.name, "GET", f"/jobs/{source.choice(known[-40:])}{source.choice(READS)}", lambda status, said: None)


class Operator:
    """Interferes with whatever jobs there are."""

    name = "operator"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._random = scene.world.stream("operator")
        self._keys = 0
        self._next()

    def _next(self) -> None:
        self._scene.world.after(self._random.expovariate(1 / self._scene.weather.operator_s), self._act)

    def _act(self) -> None:
        scene, source = self._scene, self._random
        if scene.calm:
            return
        self._next()
        kind = source.random()
        if kind < 0.12:
            name = source.choice(NAMES)
            scene.world.note(f"skill {name} is edited: version {scene.shelf.edit(name)}")
            scene.world.meet("skill edited")
            return
        if kind < 0.18:
            self._post(f"/workers/agent{source.randrange(scene.weather.workers)}/drain", {})
            return
        job = self._some_job()
        if job is None:
            return
        if kind < 0.3:
            step = source.choice(job.steps)
            self._post(f"/jobs/{job.id}/steps/{step.id}/resolve", {"to": source.choice(("ready", "done", "failed", "cancelled")), "output": {"n": 1}})
            return
        verb = source.choice(("pause", "resume", "cancel", "retry", "retry")) if source.random() < 0.5 else _fitting_verb(job)
        self._post(f"/jobs/{job.id}/{verb}", {})

    def _some_job(self) -> Job | None:
        jobs, source = self._scene.checker.jobs, self._random
        names = list(self._scene.checker.live) if source.random() < 0.5 else list(jobs)[-30:]
        return jobs[source.choice(names)] if names else None

    def _post(self, target: str, document: Any) -> None:
        self._keys += 1
        headers = f"Idempotency-Key: op-{self._keys}\r\n" if self._random.random() < 0.5 and target.startswith("/jobs") else ""
        def answered(status: int, said: Any) -> None:
            if 0 < status < 300:
                self._scene.world.meet(f"{target.rpartition('/')[2]} done")
        exchange = self._scene.network.ask(self.name, "POST", target, answered, document, headers=headers)
        if headers and self._random.random() < 0.3:
            self._scene.world.meet("key sent twice to an operator's verb")
            self._scene.network.ask(self.name, "POST", target, lambda status, said: None, body=exchange.body, headers=headers)


def _fitting_verb(job: Job) -> str:
    return {"failed": "retry", "paused": "resume", "done": "retry", "cancelled": "cancel"}.get(job.state, "pause")


class Critic:
    """Says of jobs of any age whether their skill was right, changes its mind, repeats itself, and asks what was said."""

    name = "critic"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._random = scene.world.stream("critic")
        self._count = 0
        self._next()

    def _next(self) -> None:
        self._scene.world.after(self._random.expovariate(1 / CRITIC_S), self._act)

    def _act(self) -> None:
        scene, source = self._scene, self._random
        if scene.calm:
            return
        self._next()
        said = scene.checker.said.records
        if said and source.random() < 0.3:
            job_id = source.choice(list(said))
            scene.network.ask(self.name, "GET", f"/jobs/{job_id}/feedback", lambda status, said: None, about=said[job_id].seq)
        elif scene.ledger.acknowledged:
            self._say(source.choice(list(said)) if said and source.random() < 0.3 else source.choice(list(scene.ledger.acknowledged)))

    def _say(self, job_id: str) -> None:
        scene, source = self._scene, self._random
        self._count += 1
        document: dict[str, Any] = {"right": source.random() < 0.5, "note": f"{self._count}"}
        if not document["right"] and source.random() < 0.7:
            document["skill"] = source.choice(NAMES)
        headers = f"Idempotency-Key: critic-{self._count}\r\n" if source.random() < 0.5 else ""

        def answered(status: int, said: Any) -> None:
            if status == 200:
                scene.world.meet("feedback done")
        target = f"/jobs/{job_id}/feedback"
        exchange = scene.network.ask(self.name, "POST", target, answered, document, headers=headers)
        if headers and source.random() < 0.3:
            scene.network.ask(self.name, "POST", target, lambda status, said: None, body=exchange.body, headers=headers)


class Caretaker:
    """When all is calm: resumes what is paused, decides what nobody knows, cancels what this version cannot run, starts drained workers again."""

    name = "caretaker"

    def __init__(self, scene: Scene, nodes: Sequence[Node]) -> None:
        self._scene, self._nodes = scene, nodes
        self._random = scene.world.stream("caretaker")
        self._round()

    def _round(self) -> None:
        scene = self._scene
        scene.world.after(CARE_S, self._round)
        for node in self._nodes:
            worker = scene.checker.workers.get(node.name)
            if worker is not None and worker.state in ("draining", "drained"):
                node.crash(CARE_S / 2)
        for job_id in scene.checker.live:
            job = scene.checker.jobs[job_id]
            if job.state == "paused":
                self._post(f"/jobs/{job_id}/resume", {})
            for step in job.steps:
                if step.state == "unknown":
                    to = self._random.choice(("ready", "done", "failed"))
                    self._post(f"/jobs/{job_id}/steps/{step.id}/resolve", {"to": to, "output": {"n": 1}})
                elif step.state == "waiting" and step.waiting_for == "kind":
                    self._post(f"/jobs/{job_id}/cancel", {})

    def _post(self, target: str, document: Any) -> None:
        self._scene.network.ask(self.name, "POST", target, lambda status, said: None, document)


def all_ended(scene: Scene) -> bool:
    """Every job that was ever acknowledged has come to its end."""
    return all(scene.checker.jobs[job_id].state in JOB_ENDED for job_id in scene.checker.live)
