"""Random lives of a data folder that end in the middle of anything: every promise is kept."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from state.files import Fatal
from tests.state.builders import (
    FilePlace,
    disk_of,
    everything,
)
from tests.state.chaos import Life
from tests.state.faulty import Died, FaultyDisk, broken


def dropped(path: Path, states: list[bytes | None]) -> bytes | None:
    """Nothing that was not synced lasted."""
    return states[0]


def emptied(path: Path, states: list[bytes | None]) -> bytes | None:
    """Renames lasted, what was written did not."""
    return None if states[-1] is None else states[0] if states[0] is not None and path.suffix == ".jsonl" else b""


def a_life(seed: int, power: Callable[[FaultyDisk, random.Random], None], turns: int = 25) -> None:
    """Live, end in the middle of anything, check; three times over."""
    place = FilePlace()
    life = Life(place, seed)
    rnd = random.Random(seed)
    for _ in range(3):
        disk = disk_of(place)
        for turn in range(turns):
            if rnd.random() < 0.1:
                disk.refuse(rnd.randrange(1, 20), error=broken, late=rnd.random() < 0.5)
            if turn == turns - 1:
                disk.refuse(rnd.randrange(1, 12), error=Died, late=rnd.random() < 0.5)
            try:
                life.turn()
            except (Died, Fatal):
                break
        power(disk, rnd)
        if rnd.random() < 0.4:
            for path in place.folder.glob("checkpoint-*.jsonl"):
                path.unlink()
        place.disk = FaultyDisk()
        life.promised = also(life, place)
        life.check()


def also(life: Life, place: FilePlace) -> Any:
    """What was written and not acknowledged, because the process died in its commit, may be there too: whole units of it."""
    store = place.open()
    if store.seq > life.promised[-1]:
        life._turn_events = [(i, n) for i, n in life._turn_events if i in store.jobs and n <= store.jobs[i].last_n]
        life.note()
        return everything(store)
    return life.promised


def test_lives_that_end_with_a_kill_keep_every_promise():
    for seed in range(12):
        a_life(seed, lambda disk, rnd: None)


def test_lives_that_end_with_a_power_cut_keep_every_promise():
    def random_states(disk: FaultyDisk, rnd: random.Random) -> None:
        def any_state(path: Path, states: list[bytes | None]) -> bytes | None:
            last, kept = states[-1] or b"", len(states[0] or b"") if path.suffix == ".jsonl" else 0      # what was appended to is not lost
            torn = last[:rnd.randrange(kept, kept + 200)]
            return rnd.choice([*states, torn, torn.ljust(len(last), b"\0")])
        disk.lose_power(any_state, lambda data: data[:rnd.randrange(len(data))].ljust(len(data), b"\0"))
    cuts: list[Callable[[FaultyDisk, random.Random], None]] = [
        lambda disk, rnd: disk.lose_power(dropped), lambda disk, rnd: disk.lose_power(emptied),
        lambda disk, rnd: disk.lose_power(lambda path, states: states[-1], lambda data: data), random_states,
    ]
    for seed in range(24):
        a_life(100 + seed, cuts[seed % 4])
