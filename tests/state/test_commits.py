"""What a turn costs: one write and one sync for all its units, and each value is encoded once for each place that it goes to."""

from typing import Any

from tests.kit import same
from tests.state.builders import FilePlace, add_worker, commit, create, disk_of, finish, job_anywhere, lease


class Counted(dict[str, Any]):
    """A JSON object that knows how often it was encoded."""

    times = 0

    def items(self) -> Any:
        """What an encoder asks for."""
        self.times += 1
        return super().items()


def journal_calls(place: FilePlace) -> list[str]:
    """What was asked of the disk, by kind; and nothing of it was for another file than the segment."""
    calls = disk_of(place).calls
    same({name for _, name in calls} - {place.journal()[-1].name}, set())
    return [kind for kind, _ in calls]


def test_a_turn_of_five_units_is_one_write_and_one_sync_of_the_journal_and_so_is_a_turn_of_one() -> None:
    place = FilePlace()
    store = place.open()
    add_worker(store)
    commit(store)
    disk_of(place).calls.clear()
    first = create(store)
    lease(store, first)
    finish(store, first)
    second, third = create(store), create(store)
    same(journal_calls(place), [])                             # nothing before the commit
    seq = store.seq
    commit(store)
    same((journal_calls(place), store.seq), (["write", "sync"], seq + 5))
    disk_of(place).calls.clear()
    lease(store, second)
    commit(store)
    same(journal_calls(place), ["write", "sync"])
    disk_of(place).calls.clear()
    same((store.dirty(), journal_calls(place)), (False, []))   # a turn without a change does not ask for a commit
    again = place.open()
    same([job.state for job in (job_anywhere(again, i) for i in (first, second, third)) if job], ["done", "processing", "queued"])


def test_an_input_is_encoded_once_for_the_journal_and_once_for_the_document_however_often_its_job_changes() -> None:
    place = FilePlace()
    store = place.open()
    given = Counted(text="a,b")
    job_id = create(store, input=given)
    same(given.times, 1)                                       # at the end of its unit
    commit(store)
    lease(store, job_id)
    commit(store)
    finish(store, job_id)
    commit(store)
    same(given.times, 1)                                       # later units say what changed, and a commit encodes nothing again
    place.settle(3.0)
    same(given.times, 2)
    found = place.engine.read_finished(job_id)
    assert found is not None
    same((found.state, found.input), ("done", {"text": "a,b"}))
