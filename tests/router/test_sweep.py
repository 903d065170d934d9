"""The sweep: content that no kept job names goes, looked for in slices so that nobody waits."""

import os
import time

from router.work.sweep import SCAN_JOBS, Sweep
from state.content import YOUNG_S
from state.disk import Disk
from state.finished import Finished, row_line
from state.ids import encode
from state.log import Log
from state.records import job_document, sealed
from tests.kit import a_folder, same, written
from tests.router.builders import Rooms, a_definition, in_cycles
from tests.skills.builders import a_library
from tests.state.builders import WALL, a_job


def a_sweep(rooms, data, disk=None):
    disk, log = disk or Disk(), Log(rooms.clock, write=[].append)
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


class Counting(Disk):
    """Counts what is read."""

    def __init__(self):
        self.bytes = 0

    def read_at(self, path, offset, size):
        data = super().read_at(path, offset, size)
        self.bytes += len(data)
        return data


def test_what_finished_jobs_name_stays_and_a_sweep_reads_only_rows_that_the_one_before_has_not():
    data = written(a_folder(), {f"artifacts/{name * 64}": "x" for name in "abc"})
    for folder in ("bundles", "definitions", "jobs/done/2026-01-01", "skills"):
        (data / folder).mkdir(parents=True)
    old = time.time() - YOUNG_S - 60
    for name in "abc":
        os.utime(data / "artifacts" / (name * 64), (old, old))
    rooms, disk = Rooms(), Counting()
    sweep = a_sweep(rooms, data, disk)

    def append(name):
        job = a_job("j_" + encode(int(WALL * 1000) << 80), input={"$artifact": "sha256:" + name * 64})._replace(state="done")
        with open(data / "jobs/done/2026-01-01/index.jsonl", "ab") as index:
            index.write(b"\n" + row_line(job, sealed(job_document(job)), 0) + b"\n")

    def swept():
        before = disk.bytes
        sweep.start(lambda call: call(), lambda call, then: then(call()))
        return disk.bytes - before, sorted(name[0] for name in os.listdir(data / "artifacts"))
    for _ in range(100):
        append("a")
    append("b")
    first, left = swept()
    same(left, ["a", "b"])
    append("a")
    second, left = swept()
    same(left, ["a", "b"])
    assert second < first / 20, (first, second)


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
