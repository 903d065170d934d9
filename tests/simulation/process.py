"""One life of the server: the real house, wired by the real `router.app.build`, on the real engine, whose selector, threads and disk are simulated.

The selector's sleep is where the world goes on. A death (`Died`) begins in a call of the disk or in an event of the world and passes through
everything; what the process had in memory is then never looked at again.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from router import app
from router.api.gate import Gate, Secrets
from router.api.routes import Table
from router.config import Config, Settings
from router.http.bounds import EngineLimits
from router.http.engine import FLUSH_S, Engine
from router.http.loop import Loop
from router.work import definitions
from server import Dispatcher
from skills.bundle import describe
from state import checkpoints, content, files, journal, projection, records, store
from state.feedback import FeedbackTable
from state.filer import Filer
from state.log import Log
from tests.simulation.disk import SimDisk
from tests.simulation.network import Network, Selector
from tests.simulation.said import KEPT_MAX
from tests.simulation.skills import Shelf
from tests.simulation.weather import Sizes
from tests.simulation.world import SimClock, Violation, World

DATA = Path("/data")
TURNS_A_SECOND_MAX = 3_000             # a loop that turns more often spins: no load here makes so many
LOG_LINES_KEPT = 60
MOMENT_S = 1e-6                        # the shortest turn: less is lost in the arithmetic of large times


class SimLoop(Loop):
    """The loop with a simulated selector and helpers."""

    def __init__(self, hooks: Any, clock: SimClock, log: Log, limits: EngineLimits, selector: Selector, helpers: Any) -> None:
        super().__init__(hooks, clock, log, limits, 0)
        super().close()
        self.selector = cast(Any, selector)
        self.helpers = helpers

    def rouse(self) -> None:
        """End the selector's sleep."""
        cast(Any, self.selector).roused = True

    def close(self) -> None:
        """Nothing is held."""


class SimEngine(Engine):
    """The engine behind a simulated listener."""

    def __init__(self, hooks: Any, clock: SimClock, log: Log, network: Network, selector: Selector, helpers: Any) -> None:
        self.limits = EngineLimits(connections_max=10_000)
        self.connections_max = 10_000
        self.loop = SimLoop(hooks, clock, log, self.limits, selector, helpers)
        self.state = "serving"
        self._log, self._hooks, self._ssl_context, self._connections = log, hooks, None, {}
        self._unsettled, self._flush_s, self._accepting = False, FLUSH_S, False
        self.socket = cast(Any, network.listen(selector))
        self._accept_again()
        self.loop.timers.at(self.loop.now + self.limits.sweep_s, partial(self.loop.shielded, self._sweep), self.limits.sweep_s)


class Hands:
    """The writer thread and the helper threads: their work is done by events of the world, their reports come as messages of a later turn."""

    def __init__(self, world: World, name: str, at_once: int, seconds: Callable[[], float], post: Callable[[Callable[[], object]], None]) -> None:
        self._world, self._at_once, self._seconds, self._post = world, at_once, seconds, post
        self._waiting: deque[Callable[[], Callable[[], object]]] = deque()
        self._busy = 0
        self._closed = False
        self.dead = False

    def _take(self, job: Callable[[], Callable[[], object]]) -> None:
        if self._closed:
            job()()
            return
        self._waiting.append(job)
        if self._busy < self._at_once:
            self._busy += 1
            self._world.after(self._seconds(), self._next)

    def _next(self) -> None:
        if self.dead or not self._waiting:
            self._busy -= 1
            return
        self._post(self._waiting.popleft()())
        self._world.after(self._seconds(), self._next)

    def hand(self, work: Callable[[], object], then: Callable[[Exception | None], object]) -> None:
        """As a writer."""
        def job() -> Callable[[], object]:
            return partial(then, _tried(work)[1])
        self._take(job)

    def submit(self, call: Callable[[], Any], done: Callable[[Any], object]) -> None:
        """As helpers."""
        def job() -> Callable[[], object]:
            value, error = _tried(call)
            return partial(done, value if error is None else error)
        self._take(job)

    def close(self) -> None:
        """Do and report what waits; from here on in the caller."""
        self._closed = True
        while self._waiting:
            self._waiting.popleft()()()

    def stop(self, within_s: float) -> None:
        """Do what waits; its reports are messages still."""
        while self._waiting:
            self._post(self._waiting.popleft()())


def _tried(call: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return call(), None
    except Exception as error:
        return None, error


class NoEmbedded:
    """Stands for the embedded worker: there is none."""

    def start(self, url: str) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    kill = tick = stop

    def ended(self) -> bool:
        """It has."""
        return True


class FixedConfig:
    """The configuration of a run."""

    problem = None

    def __init__(self, current: Config) -> None:
        self.current = current

    def look(self, now: float, changed: Callable[[Config], None]) -> None:
        """Nobody edits it."""


@contextmanager
def put_in_place(owner: Any, **values: Any) -> Iterator[None]:
    """Attributes of a module or class for a time."""
    before = {name: getattr(owner, name) for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


def surroundings(world: World, clock: SimClock, disk: SimDisk, shelf: Shelf, sizes: Sizes) -> ExitStack:
    """The names through which the house reaches the machine lead into the simulation; large sizes are small, so that their edges are met often."""
    source = world.stream("house")
    quiet = SimpleNamespace(collect=lambda: 0, freeze=lambda: None, disable=lambda: None, setswitchinterval=lambda s: None)

    def write_bundle(root: Path, found: Any) -> Any:
        bundle = describe(found)
        if disk.exists(root / bundle.sha256):
            disk.sync_folder(root)
        else:
            disk.replace(root / bundle.sha256, b"bundle", durable=True)
        return bundle

    def content_folder(folder: Path) -> Any:
        disk.make_folder(folder)
        return SimpleNamespace(folder=folder)
    stack = ExitStack()
    stack.enter_context(put_in_place(
        app, Disk=lambda: disk, ProcessFiler=lambda disk, lock: Filer(disk), in_place=lambda folder, lock: True, Library=lambda *_, **__: shelf,
        Content=content_folder, Matching=lambda *_: SimpleNamespace(ask=lambda *_: None, waiting=list, close=lambda: None), gc=quiet, sys=quiet,
        random=SimpleNamespace(Random=lambda: source, random=source.random)))
    stack.enter_context(put_in_place(definitions, write=write_bundle, os=SimpleNamespace(utime=disk.touch)))
    stack.enter_context(put_in_place(content, time=SimpleNamespace(time=clock.wall)))
    stack.enter_context(put_in_place(journal, SEGMENT_BYTES=sizes.segment_bytes, FIRST_SEGMENT_BYTES=sizes.segment_bytes // 2,
                                     ROTATE_BYTES_MIN=sizes.segment_bytes // 8))
    stack.enter_context(put_in_place(checkpoints, CHECKPOINT_BYTES=sizes.segment_bytes * sizes.checkpoint_segments,
                                     SLICE_RECORDS=sizes.slice_records))
    stack.enter_context(put_in_place(projection, PASS_DOCUMENTS_MAX=sizes.pass_documents))
    stack.enter_context(put_in_place(files, BUSY_TICK_S=sizes.busy_tick_s, EVICT_AFTER_S=sizes.evict_after_s, EVICT_KEPT_MAX=sizes.evict_kept))
    stack.enter_context(put_in_place(store, FeedbackTable=lambda: FeedbackTable(KEPT_MAX)))
    stack.enter_context(put_in_place(records, HISTORY_ENTRIES_MAX=sizes.history_entries, HISTORY_FIRST_KEPT=sizes.history_entries // 4))
    return stack


class Process:
    """A server process. `stalls_until` is set by whoever stops it for a while; `over()` ends `serve`."""

    def __init__(self, world: World, clock: SimClock, disk: SimDisk, network: Network, config: Config, writer_s: Callable[[], float],
                 watch: Any) -> None:
        self._world, self._network, self._watch = world, network, watch
        self.lines: deque[str] = deque(maxlen=LOG_LINES_KEPT)
        self.stalls_until = 0.0
        self._second, self._turns = 0.0, 0
        log = Log(clock, "warning", self._log_line)
        self.selector = Selector(self._sleep)
        self._helpers = Hands(world, "helpers", 4, writer_s, lambda report: self.engine.loop.post_raw(report))
        dispatcher = Dispatcher(Table(), Gate(Secrets(), True))
        self.engine = SimEngine(dispatcher, clock, log, network, self.selector, self._helpers)
        self._writer = Hands(world, "writer", 1, writer_s, lambda report: self.engine.post(report))
        settings = Settings(Path("/"), DATA, Path("/skills"), Path("/config"), worker=False)
        with put_in_place(app, ThreadWriter=lambda post: self._writer):
            self.house = app.build(settings, cast(Any, FixedConfig(config)), self.engine, cast(Any, NoEmbedded()), clock, log, 0)
        dispatcher.house = self.house
        recover = self.house.store.recover

        def recover_and_compare() -> None:
            recover()
            watch.recovered(self.house)
        cast(Any, self.house.store).recover = recover_and_compare

    def _log_line(self, line: str) -> None:
        self.lines.append(line)
        if '"traceback"' in line:
            raise Violation(f"the log has an error that nobody expected: {json.loads(line)['traceback']}")
        if '"event": "illegal_move"' in line:
            self._watch.illegal_move(json.loads(line))

    # -- life -----------------------------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Recover and begin. Raises what a start raises."""
        self.house.open("http://localhost")

    def serve(self, over: Callable[[], bool]) -> None:
        """Turn until it is stopped, or `over`."""
        while self.engine.state == "serving" and not over():
            self.engine.turn()

    def leave(self) -> None:
        """After `house.leave`: what `server.serve` does at the end of a clean stop."""
        self.engine._leave()
        self.engine.close()
        self.house.close()
        self.bury()

    def bury(self) -> None:
        """It has ended, in whatever way: nothing it began goes on."""
        self._helpers.dead = self._writer.dead = True
        self._network.server_ended()

    def _sleep(self, seconds: float) -> None:
        self._watch.turn_ended(self)
        world, selector = self._world, self.selector
        if world.now < self._second + 1.0:
            self._turns += 1
            if self._turns > TURNS_A_SECOND_MAX:
                raise Violation(f"the loop spins: {self._turns} turns since {self._second:.6f}")
        else:
            self._second, self._turns = world.now, 0
        if self.stalls_until > world.now:
            world.run(self.stalls_until, lambda: False)
        if not selector.has_work():
            world.run(world.now + max(seconds, MOMENT_S), selector.has_work)
