"""The house: the one page where objects are built and handed to each other. News travels up by return values and by the callables given here.

`build` makes everything, `House.open` recovers the state and starts the duties, `House.leave` and `House.close` end it. No HTTP here beyond the
engine's own verbs (wake, post, timers), no judgement, no parsing.
"""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from fleet.leases import LeaseClock, Leases
from fleet.registry import Registry
from router.config import Config, ConfigFolder, Settings
from router.http.engine import Engine
from router.http.timers import Timer
from router.observe.house import Census
from router.observe.watch import Watch
from router.observe.why import Why
from router.work.control import Control
from router.work.definitions import Definitions
from router.work.dispatch import Dispatch, exclusive, lease_facts
from router.work.duties import Due, Duties
from router.work.embedded import KILL_AFTER_S, NAME, EmbeddedWorker
from router.work.finish import Finish
from router.work.fleet import Fleet
from router.work.lanes import Lanes, Needs
from router.work.matching import Matching
from router.work.submit import Submit
from router.work.sweep import Sweep
from skills.cache import Library
from state.clock import Clock
from state.content import Content
from state.disk import Disk
from state.filer import ProcessFiler
from state.files import FileEngine
from state.ids import Ids
from state.lock import in_place
from state.log import Log
from state.machine import JOB_ENDED
from state.records import Job, Step
from state.retention import Keep
from state.store import Store
from state.writer import ThreadWriter

SWITCH_S = 0.0005              # a helper thread that computes must not hold the loop for Python's usual 5 ms
TICK_AFTER_S = 0.005           # after a commit the state has housekeeping to do
SECOND_S = 1.0
EVICT_EVERY_S = 0.05           # a slice of what has ended; ten thousand may end in a second
EMBEDDED_TICK_S = 0.25
LEAVE_TICK_S = 0.05
OVERDUE_S = 0.02               # until what is due and could not be done, because the disk refuses, is tried again: not in every turn
READ_ON_S = 0.01              # between two slices of reading a large library: requests get a third of the time
PING_S = 15.0
SWEEP_S = 60.0


@dataclass
class House:
    """Everything that handlers use."""

    settings: Settings
    clock: Clock
    log: Log
    config_folder: ConfigFolder
    engine: Engine
    store: Store
    content: Content
    library: Library
    definitions: Definitions
    lanes: Lanes
    lease_clock: LeaseClock
    leases: Leases
    registry: Registry
    dispatch: Dispatch
    finish: Finish
    control: Control
    due: Due
    duties: Duties
    fleet: Fleet
    matching: Matching
    submit: Submit
    census: Census
    watch: Watch
    why: Why
    sweep: Sweep
    embedded: EmbeddedWorker
    started_at: float = 0.0
    _leaving: list[float] = field(default_factory=list)        # when it was asked to leave, then when it came to its end
    _tick_at: float = 0.0
    _timers: dict[str, tuple[float, Timer]] = field(default_factory=dict)

    def config(self) -> Config:
        """The configuration in force."""
        return self.config_folder.current

    def leaving(self) -> bool:
        """True once the server was asked to stop."""
        return bool(self._leaving)

    def ending(self) -> bool:
        """True in the last turn: who still waits is answered with what there is."""
        return len(self._leaving) > 1

    # -- life -------------------------------------------------------------------------------------------------------------------------

    def open(self, url: str) -> None:
        """Recover the state, start the duties and the embedded worker, which is told `url`."""
        gc.collect()
        gc.disable()                  # records hold ids, not references: there are no cycles to collect on the loop, nor while a million are read
        self.store.recover()
        self.library.current()
        with self.store:
            self.registry.recovered()
            self.duties.orphaned(NAME)
        if self.store.dirty():
            fault = self.store.commit().fault
            if fault is not None:
                raise fault
        self.started_at = self.clock.wall()
        every = self.engine.call_every
        every(SECOND_S, self._each_second)
        every(EVICT_EVERY_S, lambda: self.store.evict(lambda job_id: self.engine.parked(("job", job_id)) > 0))
        every(PING_S, self._ping)
        every(SWEEP_S, lambda: self.sweep.start(self.engine.post, self.engine.offload))
        if self.settings.worker:
            self.embedded.start(url)
            every(EMBEDDED_TICK_S, self.embedded.tick)
        self._arm("tick", self.clock.monotonic(), self._tick)
        self._read_on()
        sys.setswitchinterval(SWITCH_S)

    def leave(self) -> None:
        """Asked to stop: no new jobs or grants; the embedded worker gets its grace; asked twice, stop now."""
        if self._leaving:
            self.embedded.kill()
            self.engine.stop(0.0)
            return
        self._leaving.append(self.clock.monotonic())
        self.log.info("leaving", grace_s=self.config().server.grace_s)
        self.embedded.stop()
        self.engine.call_every(LEAVE_TICK_S, self._leave_when_idle)

    def _leave_when_idle(self) -> None:
        over = self.clock.monotonic() - self._leaving[0] > self.config().server.grace_s + KILL_AFTER_S
        if over:
            self.embedded.kill()
        if (over or self.embedded.ended()) and not self.ending():
            self._end()

    def _end(self) -> None:
        """Everybody who is parked gets an answer in this turn, which is the last."""
        self._leaving.append(self.clock.monotonic())
        for worker_id in self.dispatch.polling():
            self.engine.wake(("poll", worker_id))
        for job_id in self.store.jobs:
            self.engine.wake(("job", job_id))
            self.engine.wake(("events", job_id))
        for key in self.matching.waiting():
            self.engine.wake(key)
        self.engine.stop()

    def close(self) -> None:
        """The loop has ended: put everything on the disk."""
        self.embedded.kill()
        self.matching.close()
        self.store.engine.close()
        self.log.info("stopped", jobs=len(self.store.jobs))

    # -- turns ------------------------------------------------------------------------------------------------------------------------

    def after_commit(self, committed: bool) -> None:
        """Let the state housekeep when it is due, and set the alarm for what time brings next."""
        now = self.clock.monotonic()
        if committed:
            self._tick_at = min(self._tick_at, now + TICK_AFTER_S)
        if now >= self._tick_at:
            self._tick_now(now)
        self._arm("tick", self._tick_at, self._tick)
        due = self.due.next_at()
        if due is not None:
            wait_s = due - self.clock.wall()
            self._arm("due", now + (wait_s if wait_s > 0 else OVERDUE_S), self.duties.moments)
        lease_s = self.leases.next_s()
        if lease_s is not None:
            self._arm("leases", now + lease_s, self.duties.ended_leases)

    def _tick(self) -> None:
        self._tick_now(self.clock.monotonic())

    def _tick_now(self, now: float) -> None:
        self._tick_at = now + self.store.engine.tick(now)

    def _arm(self, name: str, at: float, duty: Callable[[], None]) -> None:
        """One alarm for each name, at the earliest time asked for."""
        known = self._timers.get(name)
        if known is not None:
            if known[0] <= at:
                return
            known[1].cancel()

        def ring() -> None:
            self._timers.pop(name, None)
            duty()
        self._timers[name] = (at, self.engine.call_at(at, ring))

    def _read_on(self) -> None:
        """Until the library was read."""
        self.library.read_on()
        if self.library.reading:
            self._arm("library", self.clock.monotonic() + READ_ON_S, self._read_on)

    def _each_second(self) -> None:
        self.duties.moments()                  # also after the wall clock was set
        self.duties.silent_workers()
        self.config_folder.look(self.clock.monotonic(), self._reconfigured)

    def _reconfigured(self, config: Config) -> None:
        if isinstance(self.store.engine, FileEngine):
            self.store.engine.retention.keep = keep_of(config)

    def _ping(self) -> None:
        for job_id in self.watch.watched():
            self.engine.wake(("events", job_id))

    def gap(self, seconds: float) -> None:
        """The process was stopped for so long: leases did not run meanwhile."""
        self.lease_clock.gap(seconds)


def keep_of(config: Config) -> Keep:
    """Retention as the state wants it."""
    return Keep(config.retention.days, config.retention.jobs, int(config.retention.gigabytes * (1 << 30)))


def build(settings: Settings, config_folder: ConfigFolder, engine: Engine, embedded: EmbeddedWorker, clock: Clock, log: Log,
          lock: int) -> House:
    """Make the house around an engine that already listens; `lock` is the descriptor of the data folder's lock. Nothing is recovered yet."""
    disk = Disk()
    source = random.Random()          # seeded by the system once; asking it for each id gives up the interpreter's lock each time
    writer = ThreadWriter(engine.post)
    files = FileEngine(disk, settings.data, clock, log, writer, keep_of(config_folder.current), ProcessFiler(disk, lock),
                       partial(in_place, settings.data, lock))
    store = Store(files, clock, Ids(clock, source.getrandbits), log)
    library = Library(settings.skills, clock, log, vectors=settings.vectors)
    definitions = Definitions(disk, settings.data)
    content = Content(settings.data / "artifacts")
    lease_clock = LeaseClock(clock, engine.served_until)
    leases = Leases(lease_clock, lease_facts(definitions), lambda: house.config().fleet.lease_s)
    registry = Registry(store, lease_clock, lambda: house.config().fleet.stale_s, lambda: house.config().fleet.gone_s)
    lanes = Lanes(needs_of(definitions))
    dispatch = Dispatch(store, definitions, leases, registry, lanes, clock, lambda: house.config().fleet.stale_s,
                        lambda worker: engine.wake(("poll", worker)))
    finish = Finish(store, definitions, leases, random.random, clock.wall)
    control = Control(store, definitions, finish)
    due = Due()
    duties = Duties(store, control, finish, leases, registry, due, clock, dispatch.refresh)
    fleet = Fleet(store, registry, leases, dispatch, finish, duties, lambda: house.config().fleet, lambda: house.leaving())
    census = Census()
    matching = Matching(engine.post, engine.wake, log, settings.data / "matching" / "index", settings.vectors)
    submit = Submit(store, library, definitions, content, lambda: house.config(), census.live, lambda: house.leaving(), clock.wall,
                    lambda: engine.loop.now)
    watch = Watch(lambda job_id: engine.wake(("events", job_id)))
    why = Why(store, dispatch, registry, leases, clock, lambda: _storage(files))
    sweep = Sweep(disk, settings.data, store, files.finished, library, definitions, log)

    def pins(old: Job | None, new: Job | None) -> None:
        """A job that was recovered brings its definition. One that has ended needs none: retention may have taken it and its definition, since
        the checkpoint that it was recovered from."""
        if old is None and new is not None and new.state not in JOB_ENDED and not definitions.has(new.definition):
            definitions.pinned(definitions.load(new.definition))

    def ends(old: Job | None, new: Job | None) -> None:
        """Whoever waits for the job hears that it has ended."""
        if new is not None and new.state in JOB_ENDED and (old is None or old.state != new.state):
            engine.wake(("job", new.id))

    for index in (pins, leases.job_changed, lanes.job_changed, dispatch.job_changed, due.job_changed, census.job_changed, ends):
        store.index_jobs(index)
    store.when_committed(watch.committed)
    house = House(settings, clock, log, config_folder, engine, store, content, library, definitions, lanes, lease_clock, leases, registry, dispatch,
                  finish, control, due, duties, fleet, matching, submit, census, watch, why, sweep, embedded)
    return house


def needs_of(definitions: Definitions) -> Callable[[Job, Step], Needs]:
    """Which lane a step stands in."""
    def needs(job: Job, step: Step) -> Needs:
        definition = definitions.of(job)
        rule = definition.by_id[step.id]
        skill = job.skill if definition.concurrency is not None else ""
        return Needs(rule.needs_labels, rule.memory_mb, job.target, skill, exclusive(rule.effects, rule.memory_mb, rule.timeout_s))
    return needs


def _storage(files: FileEngine) -> str | None:
    fault = files.refusal()
    return fault.detail if fault is not None and fault.status == 503 else None
