"""The sweep: content that no kept job names goes, looked for in slices so that nobody waits."""

import os
import time

from router.work.sweep import SCAN_JOBS, Sweep
from state.content import YOUNG_S
from state.disk import Disk
from state.finished import Finished
from state.log import Log
from tests.kit import a_folder, same, written
from tests.router.builders import Rooms, a_definition, in_cycles
from tests.skills.builders import a_library


def a_sweep(rooms, data):
    disk, log = Disk(), Log(rooms.clock, write=[].append)
    return Sweep(disk, data, rooms.store, Finished(disk, data / "jobs" / "done"), a_library(data / "skills"), rooms.definitions, log)


def test_what_a_live_job_names_stays_and_the_rest_goes_when_it_is_old_in_slices_between_which_others_are_served():
    data = written(a_folder(), {f"artifacts/{name * 64}": "x" for name in "abcd"})
    for folder in ("bundles", "definitions", "jobs/done", "skills"):
        (data / folder).mkdir(parents=True)
    old = time.time() - YOUNG_S - 60
    for name in "abc":
        os.utime(data / "artifacts" / (name * 64), (old, old))
    rooms = Rooms(a_definition("one"))
    for i in range(2 * SCAN_JOBS + 5):
        rooms.job("one", {"file": {"$artifact": "sha256:" + "a" * 64}} if i == 3 else {})
    late = []
    a_sweep(rooms, data).start(late.append, lambda call, then: then(call()))
    turns = 1
    while late:
        late.pop()()
        turns += 1
    same((turns, sorted(name[0] for name in os.listdir(data / "artifacts"))), (3, ["a", "d"]))
    assert rooms.definitions.has(rooms.skills["one"].sha256)


def test_a_sweep_in_many_slices_leaves_no_cycle():
    data = a_folder()
    for folder in ("artifacts", "bundles", "definitions", "jobs/done", "skills"):
        (data / folder).mkdir(parents=True)
    rooms = Rooms(a_definition("one"))
    for _ in range(SCAN_JOBS + 5):
        rooms.job("one")
    sweep = a_sweep(rooms, data)

    def swept():
        late = []
        sweep.start(late.append, lambda call, then: then(call()))
        while late:
            late.pop()()
    same(in_cycles(swept), 0)
