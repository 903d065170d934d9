"""What goes wrong, and when: events that kill the process, cut its power, hurt its disk, set its clock, cut nodes off and stop workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.simulation.disk import SimDisk
from tests.simulation.scene import Scene
from tests.simulation.weather import NEVER_S
from tests.simulation.workers import Agent, Node
from tests.simulation.world import SimClock
from tests.state.faulty import Died

CALLS_TO_DEATH_MAX = 40                # of the disk, from the event to the death in the middle of one


class Kill(Died):
    """The process is killed between two events."""


class Faults:
    """Arms one event after the other of each kind, until `end`. `process()` is the one that runs, or None."""

    def __init__(self, scene: Scene, disk: SimDisk, clock: SimClock, nodes: Sequence[Node], others: Sequence[str],
                 process: Callable[[], Any]) -> None:
        self._scene, self._disk, self._clock, self._nodes, self._others, self._process = scene, disk, clock, nodes, others, process
        self._random = scene.world.stream("faults")
        weather = scene.weather
        network = scene.network
        network.loss, network.duplicate = weather.loss, weather.duplicate
        network.long_share, network.long_delay_s = weather.long_share, weather.long_delay_s
        for mean_s, fault in ((weather.crash_s, self._crash), (weather.stop_s, self._stop), (weather.stall_s, self._stall),
                              (weather.disk_s, self._hurt_disk), (weather.partition_s, self._cut_off), (weather.clock_s, self._set_clock),
                              (weather.worker_crash_s, self._crash_worker), (weather.worker_hang_s, self._hang_worker)):
            self._arm(mean_s, fault)

    def _arm(self, mean_s: float, fault: Callable[[], None]) -> None:
        if mean_s >= NEVER_S:
            return

        def strike() -> None:
            if not self._scene.calm:
                self._arm(mean_s, fault)
                fault()
        self._scene.world.after(self._random.expovariate(1 / mean_s), strike)

    def end(self) -> None:
        """From now on nothing goes wrong."""
        self._disk.moods.heal()
        self._disk.moods.die_in = 0
        self._scene.network.heal()
        for node in self._nodes:
            node.hangs_until = 0.0
            if isinstance(node, Agent):
                node.crash(1.0)        # as if people had come and started all machines again

    # -- the server -----------------------------------------------------------------------------------------------------------------------

    def _crash(self) -> None:
        if self._random.random() < self._scene.weather.mid_call_share:
            self._disk.moods.die_in = self._random.randrange(1, CALLS_TO_DEATH_MAX)
        elif self._process() is not None:
            self._scene.world.note("the server is killed")
            self._scene.world.meet("killed between events")
            raise Kill

    def _stop(self) -> None:
        process = self._process()
        if process is not None:
            self._scene.world.note("the server is asked to stop")
            self._scene.world.meet("asked to stop")
            process.engine.post(process.house.leave)

    def _stall(self) -> None:
        process = self._process()
        if process is not None:
            seconds = self._random.choice((0.7, 3.0, 45.0))
            self._scene.world.note(f"the server is stopped for {seconds} s")
            self._scene.world.meet("stalled")
            process.stalls_until = self._scene.world.now + seconds

    def _hurt_disk(self) -> None:
        moods, source = self._disk.moods, self._random
        kind = source.choice(("full", "full", "read-only", "read-only", "sync", "write", "both", "files", "files"))
        seconds = source.choice((0.5, 5.0, 30.0)) * source.random()
        self._scene.world.note(f"disk: {kind} for {seconds:.3f} s")
        if kind == "full":
            moods.full = True
        elif kind == "read-only":
            moods.read_only = True
        if kind in ("sync", "both"):
            moods.sync_fails = source.choice((0.05, 0.5, 1.0))
        if kind in ("write", "both"):
            moods.write_fails = source.choice((0.05, 0.5, 1.0))
        if kind == "files":
            moods.files_fail = source.choice((0.05, 0.5, 1.0))
        self._scene.world.after(seconds, moods.heal)

    def _set_clock(self) -> None:
        seconds = self._random.uniform(-1.0, 1.0) * self._scene.weather.clock_jump_s
        self._scene.world.note(f"the wall clock jumps by {seconds:.3f} s")
        self._scene.world.meet("clock jumped forward" if seconds > 0 else "clock jumped back")
        self._clock.ahead_s += seconds

    # -- others ---------------------------------------------------------------------------------------------------------------------------

    def _cut_off(self) -> None:
        name = self._random.choice([*(node.name for node in self._nodes), *self._others])
        self._scene.network.partition(name, self._random.choice((2.0, 40.0, 150.0)) * self._random.random())

    def _crash_worker(self) -> None:
        self._scene.world.meet("worker crashed")
        self._random.choice(self._nodes).crash(self._random.choice((0.1, 5.0, 60.0)) * self._random.random())

    def _hang_worker(self) -> None:
        self._scene.world.meet("worker hung")
        self._random.choice(self._nodes).hang(self._random.choice((2.0, 45.0, 120.0)) * self._random.random())
