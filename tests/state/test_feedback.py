"""Feedback in the state: the contract on every engine, what is kept of it, what a start finds, and reading it beside the server."""

from typing import Any

from state.beside import read_feedback
from state.disk import Disk
from state.errors import StorageUnavailable
from state.feedback import FeedbackTable
from state.journal import Damage
from state.limits import FEEDBACK_KEYS_MAX
from state.records import Feedback, feedback_document, feedback_from_document, unsealed
from state.store import Store
from tests.kit import refuses, same
from tests.state.builders import (
    FilePlace,
    a_busy_place,
    checkpoint_file,
    commit,
    create,
    ended,
    everything,
    reopened,
    say,
)
from tests.state.contract import on_every_engine
from tests.state.test_flips import put

JOBS = [f"j_01KDWG000000000000000000{letter}A" for letter in "ABCDEFGH"]


def some(job: str, seq: int, right: bool = True, task: str = "") -> Feedback:
    """Feedback as a table holds it."""
    return Feedback(job, right, "echo", "match", task, "", "", "client", 1.5, seq)


# -- the contract -------------------------------------------------------------------------------------------------------------------------


@on_every_engine
def test_feedback_survives_restarts_field_by_field_and_so_does_the_key_of_its_request(place: Any) -> None:
    store = place.open()
    live, done = create(store), ended(store)
    told = [say(store, live, False, "k1", by="operator"), say(store, done), say(store, JOBS[0], note="of a job that is gone")]
    commit(store)
    for _ in range(3):
        same(list(store.feedback.values()), told)
        same((store.used_key(f"POST /jobs/{live}/feedback", "k1") or ("",))[0], live)
        same(store.feedback.said_of("csv-profile"), (2, 1))
        place.settle(2.0)
        store = place.open()


@on_every_engine
def test_the_last_word_on_a_job_counts_and_the_keys_of_all_of_them_are_known(place: Any) -> None:
    store = place.open()
    job_id = create(store)
    for number in range(FEEDBACK_KEYS_MAX + 5):
        say(store, job_id, number % 2 == 0, f"k{number}")
        commit(store)
    for now in (store, place.open()):
        same([(f.right, f.skill, len(f.keys)) for f in now.feedback.values()], [(True, "", FEEDBACK_KEYS_MAX)])
        assert now.used_key(f"POST /jobs/{job_id}/feedback", "k9") and now.used_key(f"POST /jobs/{job_id}/feedback", "k104")


@on_every_engine
def test_a_unit_and_a_commit_that_fail_leave_feedback_its_figures_and_its_keys_as_they_were(place: Any) -> None:
    store = place.open()
    for job_id in JOBS[:3]:
        say(store, job_id, key="first")
    commit(store)
    store.feedback._most = 3
    before, figures = everything(store), store.feedback.said_of("csv-profile")

    def raises() -> None:
        with store:
            store.keep_feedback(some(JOBS[1], 0, False), "s", "k", "d")
            store.keep_feedback(some(JOBS[5], 0), "s", "k2", "d")
            raise KeyError("a mistake of the handler")
    refuses(KeyError, raises)
    same((everything(store), store.feedback.said_of("csv-profile")), (before, figures))
    place.break_commits()
    say(store, JOBS[1], False, "k")
    say(store, JOBS[4], key="k2")
    assert isinstance(store.commit().fault, StorageUnavailable)
    same((everything(store), store.feedback.said_of("csv-profile")), (before, figures))
    same(store.used_key(f"POST /jobs/{JOBS[1]}/feedback", "k"), None)
    place.heal()
    place.settle(2.0)
    say(store, JOBS[4])
    commit(store)
    same(store.feedback.keys(), {*JOBS[1:3], JOBS[4]})


@on_every_engine
def test_what_is_too_much_goes_oldest_word_first_and_stays_gone(place: Any) -> None:
    store = place.open()
    store.feedback._most = 3
    for job_id in (*JOBS[:3], JOBS[0], JOBS[3]):                # of the first one something was said again
        say(store, job_id)
        commit(store)
        place.settle(0.4)
    same(store.feedback.keys(), {JOBS[2], JOBS[0], JOBS[3]})
    place.settle(2.0)
    same(place.open().feedback.keys(), {JOBS[2], JOBS[0], JOBS[3]})


# -- the table ----------------------------------------------------------------------------------------------------------------------------


def test_texts_are_counted_too_and_the_newest_always_fits() -> None:
    table = FeedbackTable(100, 30)
    for seq, task in enumerate(("x" * 10, "y" * 10, "z" * 25), 1):
        table.put({}, JOBS[seq], some(JOBS[seq], seq, task=task))
        while (oldest := table.one_too_many()) is not None:
            table.put({}, oldest, None)
    same(list(table), [JOBS[3]])


def test_figures_are_of_what_is_kept() -> None:
    table = FeedbackTable()
    table.load({JOBS[0]: some(JOBS[0], 1), JOBS[1]: some(JOBS[1], 2, False)})
    table.put({}, JOBS[1], some(JOBS[1], 3))
    table.put({}, JOBS[0], None)
    same((table.said_of("echo"), table.said_of("nobody")), ((1, 0), (0, 0)))


# -- folders ------------------------------------------------------------------------------------------------------------------------------


def test_a_document_is_read_back_as_it_was() -> None:
    told = some(JOBS[0], 7, task="é\u2028")._replace(keys=(("s", "k", "d", 2.5, 200),))
    same(feedback_from_document(feedback_document(told)), told)


def test_feedback_has_a_file_for_each_job_which_goes_with_it() -> None:
    place = a_busy_place()
    store = place.store
    (first, second) = store.feedback
    document = unsealed(place.file("feedback", f"{second}.json").read_bytes()) or {}
    same((document["job"], document["right"], document["skill"]), (second, False, "log-triage"))
    with store as unit:
        store.feedback.put(unit.before_feedback, first, None)
    commit(store)
    place.settle(1.0)
    same([path.stem for path in place.folder.glob("feedback/*")], [second])


def test_without_the_checkpoint_file_the_documents_have_it() -> None:
    place = a_busy_place()
    place.checkpoint()
    wanted = dict(place.store.feedback)
    checkpoint_file(place).unlink()
    same(dict(reopened(place).feedback), wanted)


def test_a_folder_of_a_program_that_knew_no_feedback_is_taken_over() -> None:
    place = FilePlace()
    create(place.open())
    commit(place.store)
    place.checkpoint()
    place.file("feedback").rmdir()
    store = reopened(place)
    say(store, next(iter(store.jobs)))
    commit(store)
    place.settle(1.0)
    same((len(list(place.folder.glob("feedback/*.json"))), len(place.open().feedback)), (1, 1))


def test_a_document_that_is_damaged_stops_a_start_only_where_nothing_else_has_it() -> None:
    place = a_busy_place()
    place.checkpoint()
    path = next(place.folder.glob("feedback/*.json"))
    put(path, path.read_bytes().replace(b"csv", b"CSV"))
    same(len(reopened(place).feedback), 2)                      # the checkpoint has it
    checkpoint_file(place).unlink()
    refuses(Damage, lambda: reopened(place), f"feedback/{path.name}")


# -- beside the server ----------------------------------------------------------------------------------------------------------------------


def test_whoever_reads_beside_a_server_finds_what_was_acknowledged_wherever_it_is() -> None:
    place = FilePlace()
    store: Store = place.open()
    same(read_feedback(Disk(), place.folder), [])
    for number, job_id in enumerate(JOBS):
        say(store, job_id, number % 3 == 0)
        say(store, JOBS[0], note=f"{number}")
        commit(store)
        before = {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()}
        same(read_feedback(Disk(), place.folder), sorted(store.feedback.values(), key=lambda f: f.seq))
        same({path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()}, before)
        if number % 2:
            place.settle(1.0)
        if number == 4:
            place.checkpoint()
    with store as unit:
        store.feedback.put(unit.before_feedback, JOBS[3], None)
    commit(store)
    assert JOBS[3] not in {f.job for f in read_feedback(Disk(), place.folder)}


def test_a_checkpoint_that_is_completed_during_a_look_makes_it_look_again() -> None:
    place = a_busy_place()

    class Interrupted(Disk):
        """Completes a checkpoint after the documents have been listed, once."""

        looked = 0

        def names(self, folder: Any) -> list[str]:
            found = super().names(folder)
            if str(folder).endswith("feedback"):
                self.looked += 1
                if self.looked == 1:
                    say(place.store, JOBS[7])
                    commit(place.store)
                    place.checkpoint()
            return found
    disk = Interrupted()
    same({f.job for f in read_feedback(disk, place.folder)}, {*place.store.feedback})
    same(disk.looked, 2)


def test_a_document_that_goes_while_it_is_looked_for_does_not_begin_the_look_anew() -> None:
    place = a_busy_place()

    class Late(Disk):
        """Takes the oldest away after the documents have been listed."""

        looked = 0

        def names(self, folder: Any) -> list[str]:
            found = super().names(folder)
            if str(folder).endswith("feedback"):
                self.looked += 1
                with place.store as unit:
                    place.store.feedback.put(unit.before_feedback, next(iter(place.store.feedback)), None)
                commit(place.store)
                place.settle(1.0)
            return found
    disk = Late()
    same(([f.job for f in read_feedback(disk, place.folder)], disk.looked), ([*place.store.feedback], 1))


def test_a_damaged_document_is_told_to_whoever_reads_beside() -> None:
    place = a_busy_place()
    place.checkpoint()
    path = next(place.folder.glob("feedback/*.json"))
    put(path, path.read_bytes()[:-9])
    refuses(Damage, lambda: read_feedback(Disk(), place.folder), path.name)
