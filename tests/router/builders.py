"""The rooms of router/work on a store in memory, with a clock that is told what time it is and no HTTP. Parked polls are woken into a list."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Mapping
from typing import Any

from fleet.leases import LeaseClock, Leases
from fleet.protocol import Heartbeat, Poll, parse_heartbeat, parse_results
from fleet.registry import Registry
from router.app import needs_of
from router.config import Fleet as FleetConfig
from router.policy.decision import Decision
from router.policy.progress import follow
from router.work.control import Control
from router.work.definitions import Definitions
from router.work.dispatch import Dispatch, Parked, lease_facts
from router.work.duties import Due, Duties
from router.work.finish import Finish
from router.work.fleet import Fleet
from router.work.lanes import Lanes
from router.work.submit import first_steps
from skills.bundle import SkillFile
from skills.compile import compile_skill
from skills.definition import Definition
from state.clock import Clock
from state.errors import Fault
from state.ids import Ids
from state.log import Log
from state.memory import MemoryEngine
from state.records import Job
from state.store import Store

TOOL = b"def go(input):\n    return input\n"
GO = '[[steps]]\nid = "go"\nkind = "python"\nentry = "tool.py:go"\n'
SHORT = "timeout_s = 5\n"           # such a step may wait in a worker's hands
GENESIS = 1_767_225_600.0


def a_definition(name: str, steps: str = GO, head: str = "") -> Definition:
    """A compiled skill."""
    files = {"SKILL.md": f"---\nname: {name}\ndescription: The {name} skill.\n---\nDoes it.\n".encode(),
             "skill.toml": f'version = "1"\n{head}\n{steps}'.encode(), "tool.py": TOOL}
    return compile_skill(name, {path: SkillFile(data) for path, data in files.items()})


class AClock(Clock):
    """Both clocks, moved by hand; they part when only one is moved."""

    def __init__(self) -> None:
        self.wall_s, self.monotonic_s = GENESIS, 1_000.0

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self.wall_s

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self.monotonic_s

    def move(self, seconds: float) -> None:
        """Time passes."""
        self.wall_s += seconds
        self.monotonic_s += seconds


class KnownDefinitions(Definitions):
    """Definitions that are all in memory: nothing is read or written."""

    def __init__(self, definitions: Mapping[str, Definition]) -> None:
        self._known = {d.sha256: d for d in definitions.values()}
        self._durable = set(self._known)
        self.guard = threading.Lock()


class Rooms:
    """A house without a mouth. `turn` settles and commits as the loop would; `restarted` is what a start after a crash finds."""

    def __init__(self, *skills: Definition, engine: MemoryEngine | None = None, clock: AClock | None = None, random: float = 0.5) -> None:
        self.skills = {s.name: s for s in skills}
        self.clock = clock or AClock()
        self.engine = engine or MemoryEngine()
        self.random = random
        self.config = FleetConfig()
        self.leaving = False
        self.woken: list[str] = []
        lines: list[str] = []
        self.log = lines
        log = Log(self.clock, "info", lines.append)
        bits = iter(range(1, 1 << 40))
        self.store = Store(self.engine, self.clock, Ids(self.clock, lambda n: next(bits)), log)
        self.definitions = KnownDefinitions(self.skills)
        self.lease_clock = LeaseClock(self.clock)
        self.leases = Leases(self.lease_clock, lease_facts(self.definitions), lambda: self.config.lease_s)
        self.registry = Registry(self.store, self.lease_clock, lambda: self.config.stale_s, lambda: self.config.gone_s)
        self.lanes = Lanes(needs_of(self.definitions))
        self.dispatch = Dispatch(self.store, self.definitions, self.leases, self.registry, self.lanes, self.clock,
                                 lambda: self.config.stale_s, self.woken.append)
        self.finish = Finish(self.store, self.definitions, self.leases, lambda: self.random, self.clock.wall)
        self.control = Control(self.store, self.definitions, self.finish)
        self.due = Due()
        self.duties = Duties(self.store, self.control, self.finish, self.leases, self.registry, self.due, self.clock, self.dispatch.refresh)
        self.fleet = Fleet(self.store, self.registry, self.leases, self.dispatch, self.finish, self.duties, lambda: self.config,
                           lambda: self.leaving)
        for index in (self.leases.job_changed, self.lanes.job_changed, self.dispatch.job_changed, self.due.job_changed):
            self.store.index_jobs(index)
        self.store.recover()
        with self.store:
            self.registry.recovered()
        self.commit()

    def restarted(self) -> Rooms:
        """A new process on what was acknowledged."""
        return Rooms(*self.skills.values(), engine=self.engine.restarted(), clock=self.clock, random=self.random)

    def commit(self) -> Fault | None:
        """Commit the turn; what went wrong, if anything did."""
        return self.store.commit().fault if self.store.dirty() else None

    def turn(self) -> list[str]:
        """Settle and commit; the workers whose polls were woken, in order."""
        while self.dispatch.ring():
            pass
        woken = list(self.woken)
        self.woken.clear()
        self.commit()
        return woken

    def do(self, call: Callable[[], Any]) -> Any:
        """One unit; its value. The turn is not committed."""
        with self.store:
            return call()

    # -- clients --------------------------------------------------------------------------------------------------------------------

    def job(self, skill: str, input: Any = None, priority: int = 100, target: str = "", deadline_s: float = 0.0) -> str:
        """The id of a new job."""
        definition = self.skills[skill]

        def create() -> str:
            now = self.store.now()
            deadline = self.clock.wall() + deadline_s if deadline_s else 0.0
            job = Job(self.store.ids.job(), "queued", "t", skill, "1", definition.sha256, Decision(True, "named", "").document(),
                      {} if input is None else input, first_steps(definition, now), priority, now, now, target=target, deadline_at=deadline)
            self.store.create_job(job, "named", "client")
            moves, fields = follow(job, definition, [], now)
            if moves:
                self.store.move_job(job.id, moves, "client", **fields)
            return job.id
        return str(self.do(create))

    def state(self, job_id: str) -> str:
        """`job state: step states`."""
        job = self.store.jobs[job_id]
        return f"{job.state}: {' '.join(s.state for s in job.steps)}"

    # -- workers --------------------------------------------------------------------------------------------------------------------

    def beat(self, worker: str = "w1", **members: Any) -> dict[str, Any]:
        """The reply to a heartbeat."""
        beat: Heartbeat = parse_heartbeat({"worker": worker, "slots": 2, **members})
        return dict(self.do(lambda: self.fleet.heartbeat(beat)))

    def take(self, worker: str = "w1", most: int = 1, seen: int | None = None, boot: str | None = None) -> list[dict[str, Any]]:
        """The commands that a poll brings."""
        reply, _ = self.do(lambda: self.fleet.poll(Poll(worker, most, 0.0, seen, boot)))
        return list(reply["commands"])

    def park(self, worker: str = "w1", most: int = 1) -> Parked:
        """A poll that found nothing waits."""
        parked: Parked = self.do(lambda: self.fleet.park(Poll(worker, most, 25.0, None, None)))
        return parked

    def give(self, *commands: dict[str, Any], worker: str = "w1", **members: Any) -> list[Any]:
        """Results of commands; for each `True`, `duplicate`, or the code of its refusal."""
        bodies = [{"worker": worker, "lease": c["lease"], "attempt": c["attempt"], "status": "done", "output": {"ok": 1}, **members}
                  for c in commands]
        answers = self.do(lambda: self.fleet.results(parse_results(bodies)))
        return [a.code if isinstance(a, Fault) else "duplicate" if a.get("duplicate") else a["accepted"] for a in answers]


def in_cycles(act: Callable[[], Any]) -> int:
    """Objects that `act` leaves behind and only a collector would find; the second time, so that what is kept on purpose is there already."""
    act()
    gc.collect()
    gc.disable()
    try:
        act()
        return gc.collect()
    finally:
        gc.enable()
