"""One run: a world from a seed, faults for some simulated time, then calm until every job has ended, then starts from every kind of file."""

from __future__ import annotations

from typing import NamedTuple

from router.config import Config, Retention
from state.errors import Fault
from state.files import Fatal
from tests.simulation.checker import Checker
from tests.simulation.disk import SimDisk
from tests.simulation.faults import Faults
from tests.simulation.ledger import Ledger
from tests.simulation.network import Network
from tests.simulation.people import Caretaker, Client, Critic, Operator, all_ended
from tests.simulation.process import DATA, Process, surroundings
from tests.simulation.scene import Scene
from tests.simulation.skills import Shelf
from tests.simulation.visits import Visits
from tests.simulation.weather import NEVER_S, draw
from tests.simulation.workers import Agent, Curl, Node, Rogue
from tests.simulation.world import SimClock, Violation, World
from tests.state.faulty import Died

HOUR_S = 3_600.0
HOURS = 0.05                   # with faults, unless told otherwise: three minutes hold a dozen crashes
CALM_S_MAX = 3_600.0           # from the end of the faults until the last job has ended
LOOK_S = 2.0                   # whether it has
STARTS_AGAIN_S = 1.5           # a supervisor's patience
CLIENTS = 2


class Result(NamedTuple):
    """What came of a run: `problem` is empty if every invariant held."""

    seed: int
    problem: str
    digest: str
    trace: list[str]
    log: list[str]                 # the last lines of the server's log
    jobs: int
    units: int
    starts: int
    events: int
    ended_at_s: float
    met: dict[str, int]            # faults by kind


class Run:
    """Everything of one run. `result` runs it."""

    def __init__(self, seed: int, hours: float, keep_trace: bool = False) -> None:
        self.world = World(seed, keep_trace)
        weather = draw(self.world.stream("weather"))
        self.clock = SimClock(self.world)
        self.disk = SimDisk(self.world.stream("disk"), self.clock.wall, self._note_call, self.world.meet)
        self.disk.begin_with(DATA)
        self.checker = Checker(self.world, self.clock, weather.sizes, self.disk)
        self.ledger = Ledger(self.world, self.checker)
        self.network = Network(self.world, self.ledger.told)
        self.scene = Scene(self.world, self.network, self.ledger, self.checker, weather, Shelf())
        self._random = self.world.stream("run")
        self._seconds = hours * HOUR_S
        self._hands = self.world.stream("hands")
        self._visits = Visits(self.world, self.disk, self.checker)
        self._config = Config(retention=Retention(days=weather.sizes.keep.days, jobs=weather.sizes.keep.jobs))
        self._process: Process | None = None
        self._last_lines: list[str] = []
        self._over = False
        self._clients = [Client(self.scene, f"client{i}") for i in range(CLIENTS)]
        if weather.operator_s < NEVER_S:
            Operator(self.scene)
        Critic(self.scene)
        self._nodes: list[Node] = [Agent(self.scene, f"agent{i}", self._random.randrange(1, 4), self._random.random() < 0.3)
                                   for i in range(weather.workers)]
        self._nodes += [Curl(self.scene, f"curl{i}", self._random.random() < 0.5) for i in range(weather.curls)]
        self._nodes += [Rogue(self.scene, f"rogue{i}", True) for i in range(weather.rogues)]
        for node in self._nodes:
            self.world.after(self._random.random() * 3, node.start)
        self._faults = Faults(self.scene, self.disk, self.clock, self._nodes, [f"client{i}" for i in range(CLIENTS)], lambda: self._process)
        self.world.after(self._seconds, self._calm_down)

    def _note_call(self, kind: str, path: str) -> None:
        self.world.note(f"disk {kind} {path}")
        try:
            self.checker.retained.heard(kind, path)
        except Exception as error:                     # else the product would take it for what its disk says
            raise Violation(f"the checker fails at {kind} {path}: {error!r}") from error

    def result(self) -> Result:
        """Run it."""
        problem = ""
        try:
            with surroundings(self.world, self.clock, self.disk, self.scene.shelf, self.scene.weather.sizes):
                self._live()
                self._end()
        except Violation as violation:
            problem = str(violation)
        checker = self.checker
        return Result(self.world.seed, problem, self.world.digest(), self.world.lines, self._last_lines, len(checker.jobs), checker.units,
                      checker.starts, self.world.events, self.world.now, self.world.met)

    # -- the server's lives ---------------------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        """One process after the other, until all is done."""
        while not self._over:
            self._one_life()
            if not self._over:
                self.world.run(self.world.now + STARTS_AGAIN_S * (0.2 + self._random.random()), lambda: False)

    def _one_life(self) -> None:
        process = None
        try:
            self._visits.examine()
            if not self.scene.calm:
                self._visits.lose_checkpoint()
            process = self._start()
            if process is not None:
                process.serve(lambda: self._over)
                process.leave()
        except (Died, Fatal) as death:
            if isinstance(death, Fatal) and not self.disk.moods.bad:
                raise Violation(f"the server ends itself on a healthy disk: {death}") from death
            self.world.note(f"the server ends: {type(death).__name__} {death}")
            self._after_death()
        finally:
            if self._process is not None:
                self._last_lines = list(self._process.lines)
                self._process.bury()
                self._process = None

    def _start(self) -> Process | None:
        """A process that serves; None if the disk did not let it."""
        slow = self.scene.weather.slow_writer
        try:
            self._process = process = Process(self.world, self.clock, self.disk, self.network, self._config, lambda: self._hands.random() * slow,
                                              self.checker)
            process.open()
        except (OSError, Fault) as error:
            if not self.disk.moods.bad:
                raise Violation(f"the server does not start on a healthy disk: {error!r}") from error
            self.world.note(f"the server does not start: {error}")
            if self._process is not None:
                self._process.bury()
                self._process = None
            return None
        except Exception as error:
            raise Violation(f"the server does not start, it says {type(error).__name__}: {error}") from error
        return process

    def _after_death(self) -> None:
        """The machine may have lost its power with it."""
        self.disk.dead = False
        self.disk.moods.die_in = 0
        if not self.scene.calm and self._random.random() < self.scene.weather.power_share:
            self.world.note("the power is cut")
            self.world.meet("power cut")
            self.disk.lose_power()
            self.clock.reboot()

    # -- the end --------------------------------------------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        self.world.note("the faults are over")
        self.scene.calm = True
        self._faults.end()
        self.clock.ahead_s = self.checker.newest_wall - self.clock.wall() + self.clock.ahead_s     # set right again: dates may be as far as this
        for client in self._clients:
            self.world.after(self._random.random() * 5, client.send_all_again)
        Caretaker(self.scene, self._nodes)
        self.world.after(LOOK_S * 5, self._look)

    def _look(self) -> None:
        if all_ended(self.scene):
            self._over = True
            return
        if self.world.now > self._seconds + CALM_S_MAX:
            jobs = [self.checker.jobs[job_id] for job_id in self.checker.live]
            why = [self._process.house.why.explain(job)["reasons"] for job in jobs[:5]] if self._process is not None else []
            raise Violation(f"{len(jobs)} jobs have not ended {CALM_S_MAX:.0f} s after the last fault: {[j.id for j in jobs[:5]]} {why}")
        self.world.after(LOOK_S, self._look)

    def _end(self) -> None:
        """A start from the checkpoint, a power cut, a start from documents and journal alone: each finds everything."""
        self._start_once("the last clean stop")
        self.disk.lose_power()
        self._start_once("a power cut after a clean stop")
        for name in self.disk.names(DATA):
            if name.startswith("checkpoint-"):
                self.disk.remove(DATA / name)
        self._start_once("the loss of the checkpoint file")

    def _start_once(self, after: str) -> None:
        self.world.note(f"a start after {after}")
        self._visits.examine()
        process = self._start()
        if process is None:
            raise Violation(f"no start after {after}")
        self.checker.compare_all(process.house)
        until = self.world.now + LOOK_S
        process.serve(lambda: self.world.now >= until)
        process.leave()
        self._process = None


def run(seed: int, hours: float, keep_trace: bool = False) -> Result:
    """One run of a seed."""
    return Run(seed, hours, keep_trace).result()
