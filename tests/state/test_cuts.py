"""The end of a life, wherever it comes: the journal cut at any byte of its last two commits, the power gone at any call of the disk."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from state.finished import Finished
from state.journal import Journal
from state.overlay import DryDisk
from state.recovery import recover
from tests import kit
from tests.kit import same
from tests.state.book import put
from tests.state.builders import FilePlace, add_worker, commit, create, disk_of, everything, finish, lease, say
from tests.state.chaos import Life
from tests.state.faulty import Died, FaultyDisk
from tests.state.test_lives import also, dropped, emptied

ZEROS_LEFT = 40                # of a segment's end
ONE_OF = 16                    # calls of a life at which the power goes in the short mode
TURNS = 25


def last_two_commits(place: FilePlace, each: Callable[[], None]) -> None:
    """A commit of two units, then one of three; `each` is called after every unit and may commit it alone."""
    store = place.store
    (job_id,) = store.jobs
    lease(store, job_id)
    each()
    second = create(store, priority=7)
    each()
    if store.dirty():
        commit(store)
    finish(store, job_id)
    each()
    with store:
        store.event(second, "log", "s0", {"line": 1})
    each()
    with store:
        store.move_worker("w1", "live", "draining", "asked to", "operator")
    each()
    say(store, job_id, False, "k9")
    each()
    if store.dirty():
        commit(store)


def begun() -> FilePlace:
    """A place with a job and a worker."""
    place = FilePlace()
    add_worker(place.open())
    create(place.store)
    commit(place.store)
    return place


def recovered(place: FilePlace, path: Path, data: bytes) -> tuple[Any, int]:
    """What a start finds where the journal holds `data`: live records and keys, and the newest unit."""
    disk = DryDisk()
    disk.changes[str(path)] = data
    journal = Journal(disk, place.file("journal"))
    found = recover(disk, place.folder, journal, Finished(disk, place.file("jobs", "done")), 0)
    return (found.jobs, found.workers, found.keys, found.feedback, [event for _, event in found.events]), journal.seq


def states_by_unit() -> dict[int, Any]:
    """After each unit, by its seq, what a start must find: told by a store that committed every unit by itself and did not stop in between."""
    place, states = begun(), {}
    events: list[Any] = []
    store = place.store

    def note() -> None:
        if store.dirty():
            commit(store)
        jobs, workers, keys, feedback, seq = dict(store.jobs), *everything(store)[1:]
        events[:] = [e for job_id in jobs for e in place.engine.pending_events(job_id)]
        states[seq] = (jobs, workers, keys, feedback, list(events))
    note()
    last_two_commits(place, note)
    return states


def test_a_journal_cut_at_any_byte_of_its_last_two_commits_has_all_before_the_cut_and_nothing_half():
    states = states_by_unit()
    place = begun()
    (path,) = place.journal()
    start, first = len(path.read_bytes().rstrip(b"\0")), place.store.seq
    last_two_commits(place, lambda: None)
    data = path.read_bytes().rstrip(b"\0")
    ends = [at + 1 for at in range(start, len(data)) if data[at:at + 1] == b"\n"]
    same(len(ends), 6)
    for cut in range(start, len(data) + 1):
        whole = first + sum(end <= cut for end in ends)
        for rest in (b"", bytes(ZEROS_LEFT)):
            same((cut, recovered(place, path, data[:cut] + rest)), (cut, (states[whole], whole)))


def test_after_a_cut_the_next_start_goes_on_and_the_one_after_it_finds_both():
    states = states_by_unit()
    for share in (0.1, 0.5, 0.9):
        place = begun()
        (path,) = place.journal()
        start = len(path.read_bytes().rstrip(b"\0"))
        last_two_commits(place, lambda: None)
        data = path.read_bytes().rstrip(b"\0")
        cut = start + int(share * (len(data) - start))
        put(path, data[:cut] + bytes(ZEROS_LEFT))
        place.disk = FaultyDisk()
        store = place.open()
        same(store.jobs, states[store.seq][0])
        create(store)
        commit(store)
        before = everything(store)
        place.disk = FaultyDisk()
        same(everything(place.open()), before)


def lived(seed: int, at: int) -> tuple[Life, int]:
    """A life that ends at the `at`-th call of its disk (0: by itself), and how many calls there were."""
    place = FilePlace()
    life = Life(place, seed)
    disk_of(place).refuse(at, error=Died)
    if not at:
        disk_of(place).heal()
    try:
        for _ in range(TURNS):
            life.turn()
    except Died:
        pass
    return life, len(disk_of(place).calls)


def test_the_power_may_go_at_any_call_of_the_disk_and_every_promise_is_kept():
    rnd = random.Random()
    seed = rnd.randrange(1 << 32)
    print(f"  seed {seed}")
    ways: tuple[Callable[[FaultyDisk], None], ...] = (
        lambda disk: disk.lose_power(dropped), lambda disk: disk.lose_power(emptied),
        lambda disk: disk.lose_power(lambda path, states: states[-1], lambda data: data))
    calls = lived(seed, 0)[1]
    for number, at in enumerate(range(1 + rnd.randrange(1 if kit.LONG else ONE_OF), calls, 1 if kit.LONG else ONE_OF)):
        for way in ways if kit.LONG else ways[number % len(ways):][:1]:
            life, _ = lived(seed, at)
            way(disk_of(life.place))
            life.place.disk = FaultyDisk()
            life.promised = also(life, life.place)
            life.check()
