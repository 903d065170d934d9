"""Finished jobs on disk: lists in exact order, page by page, whatever order the jobs ended in and whatever happened to their rows."""

import random
from pathlib import Path

from state import finished as module
from state.disk import Disk
from state.errors import DocumentDamaged
from state.finished import BEGINNING, Finished, Place, Row, artifacts_in, row_at
from state.ids import created_ms, day_of, encode
from state.records import Job, job_document, sealed
from tests.kit import refuses, same
from tests.state.builders import WALL, a_job, a_quick_folder


class Done:
    """A done folder into which jobs are put as the projection does."""

    def __init__(self) -> None:
        self.folder = a_quick_folder() / "done"
        self.finished = Finished(Disk(), self.folder)
        self.random = random.Random(3)
        self.current: dict[str, str] = {}              # id -> state that a list must show

    def put(self, created_s: float, ended_s: float, state: str = "done", job_id: str = "") -> str:
        """A job that was created and ended so many seconds after the start of the test; the call is when its file is written."""
        job_id = job_id or "j_" + encode(int((WALL + created_s) * 1000) << 80 | self.random.getrandbits(80))
        job = a_job(job_id)._replace(state=state, created_at=WALL + created_s, finished_at=WALL + ended_s, seq=1)
        self.write(job)
        self.current[job_id] = state
        return job_id

    def write(self, job: Job) -> None:
        """Its file and its row."""
        path = Path(self.finished.path(job.id))
        path.parent.mkdir(parents=True, exist_ok=True)
        data = sealed(job_document(job))
        path.write_bytes(data)
        day, row = self.finished.row(job, data)
        with open(self.finished.index(day), "ab") as index:
            index.write(b"\n" + row + b"\n")

    def pages(self, limit: int, state: str = "") -> list[str]:
        """Ids of all pages; a page is never over its limit."""
        found: list[str] = []
        cursor: str | None = ""
        for _ in range(10_000):
            rows, cursor = self.finished.page(cursor or "", limit, lambda row: not state or row.state == state, lambda job_id: False)
            assert len(rows) <= limit
            found += [row.id for row in rows]
            if cursor is None:
                return found
        raise AssertionError("the pages have no end")

    def check(self, limits: tuple[int, ...] = (1, 2, 7, 1_000)) -> None:
        """Every job once, newest first, with and without a filter."""
        for limit in limits:
            same(self.pages(limit), sorted(self.current, reverse=True))
            for state in ("done", "failed"):
                same(self.pages(limit, state), sorted((i for i, s in self.current.items() if s == state), reverse=True))


def test_jobs_that_ran_long_stand_where_they_were_created():
    done = Done()
    for i in range(60):
        done.put(i, i + 0.5)
    for created in (5.1, 30.1, 58.1):
        done.put(created, 100.0)
    done.put(0.05, 3_000.0)
    done.check()


def test_jobs_in_any_order_of_ending_over_several_days_are_listed_exactly():
    done = Done()
    made = sorted((done.random.random() * 3 * 86_400, done.random.choice([0.1, 5.0, 4_000.0, 90_000.0])) for _ in range(400))
    for created, took in sorted(made, key=lambda m: m[0] + m[1]):
        done.put(created, created + took, done.random.choice(["done", "failed"]))
    same(len(done.finished.days()), 4)
    done.check()


def test_a_retried_job_is_listed_once_as_it_ended_last():
    done = Done()
    retried = [done.put(i, i + 0.2, "failed") for i in range(20)]
    for i in range(20, 40):
        done.put(i, i + 0.2)
    for i, job_id in enumerate(retried[::2]):
        done.put(i * 2, 50.0 + i, "done", job_id)
    done.check()


def test_rows_that_were_written_late_or_again_after_a_restart_do_not_hide_others():
    done = Done()
    ids = [done.put(i, i + 0.2, "done" if i % 3 else "failed") for i in range(50)]
    done.finished = Finished(Disk(), done.folder)
    done.finished.adopt()
    for i in (3, 4, 5, 40, 41, 2):                        # a start writes again what the journal has since the checkpoint
        done.put(i, i + 0.2, "done" if i % 3 else "failed", ids[i])
    done.put(10.5, 11.0)                                   # ended long ago, written only now
    done.check()


def test_a_clock_that_was_set_back_between_two_starts_does_not_hide_jobs():
    done = Done()
    for i in range(30):
        done.put(i, i + 3_000.0)
    done.finished = Finished(Disk(), done.folder)
    done.finished.adopt()
    for i in range(30):
        done.put(100.0 + i, 100.5 + i)
    done.check()


def test_a_deep_list_stops_after_a_number_of_rows_and_goes_on_without_a_gap():
    done = Done()
    for i in range(300):
        done.put(i, i + done.random.choice([0.1, 0.3, 60.0]), "failed" if i % 97 == 0 else "done")
    before, module.PAGE_ROWS_MAX = module.PAGE_ROWS_MAX, 20
    try:
        done.check((1, 3, 50))
        rows, cursor = done.finished.page("", 5, lambda row: row.state == "failed", lambda job_id: False)
        assert not rows and cursor, "the first page was not cut"
    finally:
        module.PAGE_ROWS_MAX = before


def test_an_index_is_read_in_blocks_of_any_size():
    done = Done()
    for i in range(40):
        done.put(i, i + 0.1)
    before = module.BLOCK_BYTES
    try:
        for module.BLOCK_BYTES in (1, 7, 100, 1_000, 100_000):
            same(done.pages(9), sorted(done.current, reverse=True))
            *_, last = done.finished.figures(done.finished.days()[0], lambda job_id: False)
            same(last[0], 40)
    finally:
        module.BLOCK_BYTES = before


def test_what_is_skipped_and_what_is_not_wanted_leaves_no_hole_in_a_page():
    done = Done()
    ids = [done.put(i, i + 0.1) for i in range(10)]
    rows, cursor = done.finished.page("", 3, lambda row: row.id != ids[8], lambda job_id: job_id == ids[9])
    same(([row.id for row in rows], cursor), ([ids[7], ids[6], ids[5]], ids[5]))


def test_a_list_of_nothing_ends_at_once_and_a_cursor_of_any_time_is_taken():
    done = Done()
    same(done.finished.page("", 5, lambda row: True, lambda job_id: False), ([], None))
    job_id = done.put(0.0, 1.0)
    for cursor, wanted in (("j_7" + "Z" * 25, [job_id]), ("j_" + "0" * 26, []), (job_id, [])):
        rows, following = done.finished.page(cursor, 5, lambda row: True, lambda job_id: False)
        same(([row.id for row in rows], following), (wanted, None))
    same(done.finished.read("j_7" + "Z" * 25), None)


def test_a_days_folder_that_goes_while_it_is_read_ends_the_list_there():
    done = Done()
    for day in range(2):
        for i in range(30):
            done.put(day * 86_400 + i, day * 86_400 + i + 0.1)
    before, module.BLOCK_BYTES = module.BLOCK_BYTES, 500
    index = done.finished.index(done.finished.days()[1])
    try:
        def wanted(row: Row) -> bool:
            index.unlink(missing_ok=True)
            return True
        rows, _ = done.finished.page("", 100, wanted, lambda job_id: False)
    finally:
        module.BLOCK_BYTES = before
    assert {day_of(row.id) for row in rows} == set(done.finished.days()) and len(rows) < 60


def test_a_row_is_whole_or_none():
    _, whole = Done().finished.row(a_job("j_" + "0" * 26), b"ten  bytes")
    same(row_at(whole).bytes, 10)  # type: ignore[union-attr]
    for cut in range(len(whole)):
        same(row_at(whole[:cut]), None)
        same(row_at(whole[cut:]) if cut else None, None)


def test_rows_are_read_on_from_where_they_were_read_and_from_the_beginning_of_another_index():
    done = Done()
    ids = [done.put(i, i + 1.0) for i in range(3)]
    day = day_of(ids[0])

    def read_on(place: Place) -> tuple[list[str], Place]:
        blocks = list(done.finished.rows(day, place))
        return [row.id for rows, _ in blocks for row in rows], blocks[-1][1] if blocks else place
    whole, block = read_on(BEGINNING), module.BLOCK_BYTES
    same(whole[0], ids)
    same(read_on(whole[1]), ([], whole[1]))
    more = [done.put(i, i + 1.0) for i in range(3, 40)]
    index = Path(done.finished.index(day))
    data = index.read_bytes()
    index.write_bytes(data[:-7])                       # the last row is being written
    module.BLOCK_BYTES = 700
    try:
        found, place = read_on(whole[1])
        same(found, more[:-1])
        index.write_bytes(data)
        same(read_on(place)[0], more[-1:])
        place = read_on(BEGINNING)[1]
        index.unlink()
        same(read_on(place)[0], [])
        others = [done.put(i, i + 2.0) for i in range(60)]
        same(read_on(place)[0], others)                # it is larger than the one that was read
    finally:
        module.BLOCK_BYTES = block


def test_rows_name_keys_and_artifacts_and_only_rows_with_keys_are_looked_at_for_them():
    done = Done()
    plain = done.put(0.0, 1.0)
    output = {"a": [{"$artifact": "sha256:" + "b" * 64}], "$artifact": "sha256:" + "a" * 64}
    job = a_job("j_" + encode(int(WALL * 1000) << 80), keys=(("POST /tasks", "k", "s" * 64, WALL, 202),))
    job = job._replace(state="done", output=output, steps=(job.steps[0]._replace(phases={"p": {"$artifact": "sha256:" + "c" * 64}}),))
    done.write(job)
    day = day_of(plain)
    same([job_id for job_id, keys in done.finished.keyed(day)], [job.id])
    same([row.artifacts for rows, _ in done.finished.rows(day) for row in rows], [[], ["a" * 64, "b" * 64, "c" * 64]])
    same(artifacts_in(a_job("x", input={"$artifact": 7})), [])


def test_the_file_of_a_finished_job_that_is_damaged_says_so():
    done = Done()
    job_id = done.put(0.0, 1.0)
    path = Path(done.finished.path(job_id))
    same(path.parent.name, "2026-01-01")
    data = path.read_bytes()
    for damaged in (data[:-7], b"", data.replace(b"csv", b"csw", 1)):
        path.write_bytes(damaged)
        refuses(DocumentDamaged, lambda: done.finished.read(job_id), job_id)
    same(created_ms(job_id), int(WALL * 1000))
