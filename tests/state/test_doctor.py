"""The doctor: what a crash leaves is healthy, what is damaged is found with file and line, what is repaired is kept, and a start says it is right."""

import json
import random
from collections.abc import Callable
from pathlib import Path

from state import checkpoints
from state.disk import Disk
from state.doctor import NotData, check_folder, examine, repair
from state.examine import Examination
from state.files import Fatal
from state.findings import CODES
from state.histories import unlawful
from state.records import job_document, sealed, stamped, unsealed
from tests.kit import ROOT, refuses, same
from tests.state.book import put
from tests.state.builders import WALL, FilePlace, a_busy_place, commit, create, disk_of, everything, lease, reopened
from tests.state.chaos import Life
from tests.state.faulty import Died, FaultyDisk, broken

SEEDS = 10


def examined(place: FilePlace) -> Examination:
    """What the doctor says of it."""
    return examine(Disk(), place.folder, None)


def a_stopped_place() -> FilePlace:
    """A busy place after a clean stop: checkpoint, documents, rows, events, a worker; nothing is left for a start to write."""
    place = a_busy_place()
    place.engine.close()
    return place


def a_place_with_a_journal() -> FilePlace:
    """The same, with units after the checkpoint that their documents have not followed."""
    place = a_busy_place()
    place.checkpoint()
    for _ in range(3):
        lease(place.store, create(place.store))
        commit(place.store)
    return place


def codes(exam: Examination) -> set[str]:
    """Of errors and warnings."""
    return {finding.code for finding in exam.findings if finding.severity != "note"}


def first(place: FilePlace, pattern: str) -> Path:
    """The first file that fits."""
    return sorted(place.folder.glob(pattern))[0]


def flipped(path: Path, at: int = 40) -> None:
    """One bit of it is wrong."""
    data = path.read_bytes()
    put(path, data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file, the doctor's own apart."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and "doctor" not in p.relative_to(folder).parts}


# -- what is healthy --------------------------------------------------------------------------------------------------------------------


def test_a_folder_after_a_clean_stop_has_no_findings_at_all_and_is_not_changed_by_a_look() -> None:
    place = a_stopped_place()
    before = contents(place.folder)
    exam = examined(place)
    same((exam.healthy, exam.findings, exam.refused), (True, [], ""))
    same({name: exam.counts[name] for name in ("live_jobs", "finished_jobs", "workers", "feedback", "documents_behind")},
         {"live_jobs": 4, "finished_jobs": 4, "workers": 1, "feedback": 2, "documents_behind": 0})
    same(contents(place.folder), before)


def test_whatever_a_crash_or_a_power_cut_leaves_is_healthy() -> None:
    cuts: list[Callable[[FaultyDisk], None]] = [
        lambda disk: None, lambda disk: disk.lose_power(lambda path, states: states[0]),
        lambda disk: disk.lose_power(lambda path, states: states[-1], lambda data: data),
    ]
    for seed in range(SEEDS):
        place = FilePlace()
        life, disk, chance = Life(place, seed), disk_of(place), random.Random(seed)
        for turn in range(30):
            if turn == 29:
                disk.refuse(chance.randrange(1, 12), error=Died, late=chance.random() < 0.5)
            elif chance.random() < 0.1:
                disk.refuse(chance.randrange(1, 20), error=broken)
            try:
                life.turn()
            except (Died, Fatal):
                break
        cuts[seed % 3](disk)
        exam = examined(place)
        same((seed, [f.text() for f in exam.findings if f.severity != "note"]), (seed, []))
        before = contents(place.folder)
        same(contents(place.folder), before)


def test_a_torn_tail_and_half_written_files_are_notes_and_a_start_sees_to_them() -> None:
    place = a_place_with_a_journal()
    path = place.journal()[-1]
    put(path, path.read_bytes().rstrip(b"\0") + b"00000041 half a line")
    (place.folder / "checkpoint.tmp").write_bytes(b"half")
    (place.folder / "notes.txt").write_bytes(b"mine")
    exam = examined(place)
    same((exam.healthy, {f.code for f in exam.findings}), (True, {"torn_tail", "temp_file", "unknown_file"}))
    (torn,) = [f for f in exam.findings if f.code == "torn_tail"]
    same((torn.file, torn.offset), (f"journal/{path.name}", len(path.read_bytes()) - 20))
    repair(Disk(), place.folder, None, WALL)
    same(((place.folder / "notes.txt").read_bytes(), (place.folder / "checkpoint.tmp").exists()), (b"mine", False))


def test_what_is_no_data_folder_or_of_a_newer_version_is_not_examined() -> None:
    place = a_stopped_place()
    refuses(NotData, lambda: check_folder(Disk(), place.folder / "nothing"), "not a folder")
    refuses(NotData, lambda: check_folder(Disk(), place.folder / "jobs" / "live"), "not a data folder")
    (place.folder / "VERSION").write_bytes(b"9\n")
    refuses(NotData, lambda: check_folder(Disk(), place.folder), "version 9")


# -- what is damaged, and what becomes of it ----------------------------------------------------------------------------------------------


def an_index_row(place: FilePlace, change: Callable[[bytes], bytes]) -> None:
    """Change the first row of the index and give it its checksum again."""
    path = first(place, "jobs/done/*/index.jsonl")
    lines = path.read_bytes().split(b"\n")
    at = next(i for i, line in enumerate(lines) if line)
    lines[at] = stamped(change(lines[at][:-9]))
    put(path, b"\n".join(lines))


def a_document(path: Path, **members: object) -> None:
    """Change members of a document and seal it again."""
    document = unsealed(path.read_bytes())
    assert document is not None
    path.write_bytes(sealed({**{k: v for k, v in document.items() if k != "crc32"}, **members}))


def copied(place: FilePlace, pattern: str, to: str) -> None:
    """A file under another name too."""
    (place.folder / to).write_bytes(first(place, pattern).read_bytes())


STRANGER = "j_01KDWG0000000000000000000A"
DAMAGE: dict[str, Callable[[FilePlace], object]] = {
    "version_unreadable": lambda p: (p.folder / "VERSION").write_bytes(b"one\n"),
    "checkpoint_damaged": lambda p: flipped(first(p, "checkpoint-*.jsonl"), 200),
    "live_damaged": lambda p: flipped(first(p, "jobs/live/*.json")),
    "live_missing": lambda p: first(p, "jobs/live/*.json").unlink(),
    "live_differs": lambda p: a_document(first(p, "jobs/live/*.json"), priority=7),
    "live_unknown": lambda p: copied(p, "jobs/live/*.json", f"jobs/live/{STRANGER}.json"),
    "done_damaged": lambda p: flipped(first(p, "jobs/done/*/j_*.json")),
    "done_missing": lambda p: first(p, "jobs/done/*/j_*.json").unlink(),
    "done_ahead": lambda p: a_document(first(p, "jobs/done/*/j_*.json"), seq=999),
    "done_misplaced": lambda p: copied(p, "jobs/done/*/j_*.json", f"jobs/done/2026-01-01/{STRANGER}.json"),
    "worker_damaged": lambda p: flipped(first(p, "workers/*.json")),
    "worker_missing": lambda p: first(p, "workers/*.json").unlink(),
    "worker_differs": lambda p: a_document(first(p, "workers/*.json"), slots=99),
    "worker_leftover": lambda p: copied(p, "workers/*.json", "workers/w9.json"),
    "feedback_damaged": lambda p: flipped(first(p, "feedback/*.json")),
    "feedback_missing": lambda p: first(p, "feedback/*.json").unlink(),
    "feedback_differs": lambda p: a_document(first(p, "feedback/*.json"), right=7),
    "feedback_leftover": lambda p: copied(p, "feedback/*.json", f"feedback/{STRANGER}.json"),
    "row_missing": lambda p: put(first(p, "jobs/done/*/index.jsonl"), b""),
    "row_differs": lambda p: an_index_row(p, lambda row: row.replace(b'"csv-profile"', b'"csv-other"')),
    "row_order": lambda p: an_index_row(p, lambda row: row.rpartition(b",")[0] + b",5]"),
    "events_orphan": lambda p: copied(p, "events/*.jsonl", f"events/{STRANGER}.jsonl"),
}
LOST = {"done_damaged", "done_missing", "done_misplaced"}       # a finished job whose one document is gone cannot be made again


def test_each_damage_is_found_by_its_code_and_mended_and_nothing_that_was_there_is_gone() -> None:
    for code, damage in DAMAGE.items():
        place = a_stopped_place()
        (place.folder / "VERSION").write_bytes(b"1\n")
        live, workers, _, feedback, _ = everything(place.store)
        damage(place)
        before = contents(place.folder)
        exam = examined(place)
        assert code in codes(exam), f"{code} is not among {codes(exam)}"
        (finding, *_) = [f for f in exam.findings if f.code == code]
        assert finding.severity == CODES[code][0] and finding.repair and finding.what, finding
        after, done = repair(Disk(), place.folder, None, WALL)
        same((code, [f.text() for f in after.findings if f.severity != "note"]), (code, []))
        kept = [p.read_bytes() for p in (place.folder / done.aside).rglob("*") if p.is_file()]
        now = contents(place.folder)
        for file, data in before.items():
            assert now.get(file) == data or data in kept or file.startswith("journal/") or now[file].startswith(data), f"{code}: {file} is nowhere"
        assert (place.folder / done.aside / "report.json").exists()
        store = reopened(place)
        same((code, store.jobs.keys(), store.workers.keys(), dict(store.feedback)), (code, live.keys(), workers.keys(), feedback))


def test_events_and_content_that_are_gone_are_told_and_cannot_be_made_again() -> None:
    place = a_stopped_place()
    first(place, "events/*.jsonl").unlink()
    after, _ = repair(Disk(), place.folder, None, WALL)
    same((codes(after), after.healthy), ({"events_missing"}, False))


def test_content_by_hash_is_read_and_what_jobs_name_must_be_there() -> None:
    place = a_stopped_place()
    definition, artifact = "a" * 64, "b" * 64
    for folder in ("artifacts", "definitions", "bundles"):
        (place.folder / folder).mkdir()
    (place.folder / "artifacts" / artifact).write_bytes(b"not that")
    (place.folder / "definitions" / f"{definition}.json").write_bytes(b"{}")
    (place.folder / "bundles" / artifact).mkdir()
    exam = examine(Disk(), place.folder, lambda folder, sha256: False)
    same(codes(exam), {"artifact_damaged", "definition_damaged", "bundle_damaged", "definition_missing"})
    assert not exam.refused and "live jobs need definitions/" in exam.start_problem
    repair(Disk(), place.folder, lambda folder, sha256: False, WALL)
    same([p.name for p in (place.folder / "artifacts").iterdir()], [])


def test_the_first_of_many_findings_of_one_code_are_shown_and_all_are_counted() -> None:
    place = a_stopped_place()
    for n in range(1_100):
        (place.folder / "workers" / f"x{n}.json.tmp").write_bytes(b"")
    exam = examined(place)
    same((exam.tally["temp_file"], len(exam.findings), exam.healthy), (1_100, 1_000, True))


# -- a folder on which no server starts ---------------------------------------------------------------------------------------------------


def test_damage_in_the_journal_is_told_with_line_and_byte_and_a_rebuilt_folder_starts_with_all_that_could_be_read() -> None:
    place = a_place_with_a_journal()
    live = everything(place.store)[0]
    path = place.journal()[-1]
    lines = path.read_bytes().rstrip(b"\0").split(b"\n")
    damaged = len(lines) - 4
    offset = sum(len(line) + 1 for line in lines[:damaged])
    flipped(path, offset + 60)
    exam = examined(place)
    same((exam.healthy, codes(exam)), (False, {"journal_damaged", "start_refused"}))
    (finding,) = [f for f in exam.findings if f.code == "journal_damaged"]
    same((finding.file, finding.line, finding.offset), (f"journal/{path.name}", damaged + 1, offset))
    after, done = repair(Disk(), place.folder, None, WALL)
    same((after.healthy, codes(after)), (True, set()))
    assert any("cannot be read" in sentence for sentence in done.lost), done.lost
    assert (place.folder / done.aside / "journal" / path.name).exists()
    store = reopened(place)
    assert live.keys() - store.jobs.keys() <= {max(live)} | set(sorted(live)[-3:]), "a job that was whole before the damage is gone"
    for job_id, job in store.jobs.items():
        assert job.state == "paused" or job == live[job_id], job


def test_a_live_job_that_lost_units_may_have_changed_is_paused_and_says_why() -> None:
    place = a_place_with_a_journal()
    path = place.journal()[-1]
    lines = path.read_bytes().rstrip(b"\0").split(b"\n")
    flipped(path, sum(len(line) + 1 for line in lines[:len(lines) - 4]) + 60)
    repair(Disk(), place.folder, None, WALL)
    store = reopened(place)
    paused = [job for job in store.jobs.values() if job.state == "paused"]
    assert paused, "nothing was paused"
    for job in paused:
        same((job.history[-1].by, job.history[-1].to, job.history[-1].from_state, list(unlawful(job))), ("doctor", "paused", job.paused_from, []))
        assert "lost" in job.history[-1].why


def test_what_the_journal_has_lost_is_taken_from_documents_and_from_the_checkpoint() -> None:
    for damage in (
        lambda place: [path.unlink() for path in place.journal()],
        lambda place: place.file("checkpoint.json").write_bytes(b"{}"),
        lambda place: [flipped(path, 3) for path in place.journal()],
        lambda place: [flipped(first(place, "checkpoint-*.jsonl"), 200), flipped(first(place, "jobs/live/*.json"))],
    ):
        place = a_stopped_place()
        live, workers, keys, feedback, _ = everything(place.store)
        damage(place)
        exam = examined(place)
        assert exam.refused and not exam.healthy
        lost = {p.stem for p in place.folder.glob("jobs/live/*.json") if unsealed(p.read_bytes()) is None}
        after, done = repair(Disk(), place.folder, None, WALL)
        same((after.healthy, [f.text() for f in after.findings if f.severity == "error"]), (True, []))
        store = reopened(place)
        assert all(any(job_id in sentence for sentence in done.lost) for job_id in lost - store.jobs.keys()), done.lost
        assert live.keys() - lost <= store.jobs.keys() and workers.keys() <= store.workers.keys() and keys.keys() <= store.keys.keys()
        same(dict(store.feedback), feedback)


def test_when_the_whole_journal_is_gone_nobody_can_say_how_far_a_live_job_was() -> None:
    place = a_stopped_place()
    for path in place.journal():
        path.unlink()
    _, done = repair(Disk(), place.folder, None, WALL)
    assert any("after unit" in sentence for sentence in done.lost), done.lost
    same({job.state for job in reopened(place).jobs.values()}, {"paused"})


def test_a_repair_that_is_killed_at_any_write_leaves_a_folder_that_the_next_one_mends() -> None:
    at = 1
    while at:
        place = a_place_with_a_journal()
        live = everything(place.store)[0]
        path = place.journal()[-1]
        lines = path.read_bytes().rstrip(b"\0").split(b"\n")
        flipped(path, sum(len(line) + 1 for line in lines[:len(lines) - 4]) + 60)
        flipped(first(place, "jobs/done/*/j_*.json"))
        first(place, "jobs/live/*.json").unlink()
        whole = set(live) - set(sorted(live)[-3:])
        disk = FaultyDisk()
        disk.refuse(at, error=Died, late=at % 2 == 0)
        try:
            repair(disk, place.folder, None, WALL)
            at = 0
        except Died:
            at += 3
            if at % 4 == 0:
                disk.lose_power(lambda path, states: states[-1])
        after, _ = repair(Disk(), place.folder, None, WALL + 1)
        same((at, codes(after)), (at, set()))
        store = reopened(place)
        assert whole <= store.jobs.keys(), f"killed at call {at}: {whole - store.jobs.keys()} is gone"


def test_one_wrong_bit_anywhere_is_told_or_does_no_harm() -> None:
    for seed in range(SEEDS * 3):
        place = a_place_with_a_journal() if seed % 2 else a_stopped_place()
        chance = random.Random(seed)
        files = sorted(p for p in place.folder.rglob("*") if p.is_file() and p.name not in ("LOCK", "spare") and p.read_bytes().rstrip(b"\0"))
        path = chance.choice(files)
        wanted = everything(place.store)
        flipped(path, chance.randrange(len(path.read_bytes().rstrip(b"\0"))))
        exam = examined(place)
        if exam.healthy:
            same((seed, everything(reopened(place))), (seed, wanted))
        else:
            _, done = repair(Disk(), place.folder, None, WALL)
            left, told = everything(reopened(place))[0], " ".join(done.lost)
            same((seed, [job_id for job_id in wanted[0] if job_id not in left and job_id not in told]), (seed, []))


def test_a_document_that_breaks_the_law_is_told_and_left_alone() -> None:
    place = a_stopped_place()
    path = first(place, "jobs/done/*/j_*.json")
    job = place.engine.finished.read(path.stem)
    assert job is not None
    path.write_bytes(sealed(job_document(job._replace(steps=(job.steps[0]._replace(attempt=5),)))))
    exam, _ = repair(Disk(), place.folder, None, WALL)
    same(codes(exam), {"job_unlawful"})


def test_a_key_that_stands_for_two_jobs_is_told() -> None:
    place = FilePlace()
    store = place.open()
    for _ in range(2):
        create(store, keys=(("POST /tasks", "twice", "s" * 64, place.clock.wall(), 202),))
    commit(store)
    same(codes(examined(place)), {"key_used_twice"})


# -- what is written down -----------------------------------------------------------------------------------------------------------------


def test_every_code_is_explained_in_operations() -> None:
    text = (ROOT / "docs" / "OPERATIONS.md").read_text()
    same([code for code in CODES if f"`{code}`" not in text], [])


def test_the_report_beside_what_was_kept_says_what_was_found_done_and_lost() -> None:
    place = a_stopped_place()
    flipped(first(place, "jobs/live/*.json"))
    _, done = repair(Disk(), place.folder, None, WALL)
    report = json.loads((place.folder / done.aside / "report.json").read_text())
    plan = json.loads((place.folder / done.aside / "plan.json").read_text())
    same((report["findings"], report["lost"], [f["code"] for f in plan["findings"]]), ([], [], ["live_damaged"]))
    same([f.code for f in done.found.findings], ["live_damaged"])
    same(report["done"], [["written", f"jobs/live/{first(place, 'jobs/live/*.json').name}"]])


def test_a_mark_without_its_checkpoint_file_is_a_note() -> None:
    place = a_stopped_place()
    mark = checkpoints.read_mark(Disk(), place.folder).seq
    (place.folder / checkpoints.name_of(mark)).unlink()
    exam = examined(place)
    same((exam.healthy, [f.code for f in exam.findings]), (True, ["checkpoint_missing"]))
