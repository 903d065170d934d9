"""Backups: what was committed before one began is in it, whatever the writer does meanwhile; a restore takes nothing that no backup would hold."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from state import backup as module
from state import journal
from state.backup import MANIFEST, BackupError, back_up
from state.disk import Disk
from state.doctor import examine
from state.lock import DataLock, Locked
from state.restore import RestoreError, restore
from tests.kit import a_folder, refuses, same
from tests.state.book import segments_of
from tests.state.builders import FilePlace, a_busy_place, a_quick_folder, commit, create, ended, everything, finish, lease
from tests.state.chaos import Life
from tests.state.faulty import FaultyDisk
from tests.state.test_doctor import first, flipped


class Watched(Disk):
    """A disk that lets something happen before a folder is listed, which the copying does all the time."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.meanwhile = meanwhile

    def names(self, folder: Path | str) -> list[str]:
        self.meanwhile()
        return super().names(folder)


def restored(archive: Path, folder: Path | None = None) -> tuple[FilePlace, Any]:
    """(a place on a restored folder, what was said of it)."""
    place = FilePlace(folder=folder or a_quick_folder())
    said = restore(FaultyDisk(), archive, place.folder, lambda folder, sha256: True, place.clock)
    return place, said


def a_target() -> Path:
    """A name for a new backup."""
    return a_folder() / "backup.tar"


def findings(place: FilePlace) -> list[str]:
    """All but notes."""
    return [f.text() for f in examine(Disk(), place.folder, None).findings if f.severity != "note"]


def test_a_backup_of_a_stopped_place_restores_to_the_same_state_and_is_the_same_bytes_each_time() -> None:
    place = a_busy_place()
    place.engine.close()
    one, two = a_target(), a_target()
    made = back_up(Disk(), place.folder, one)
    back_up(Disk(), place.folder, two)
    same(one.read_bytes(), two.read_bytes())
    other, said = restored(one)
    same((said.files, said.unit, said.states), (made.files, place.store.seq, {"processing": 4}))
    same(findings(other), [])
    wanted = everything(place.store)
    same(everything(other.open()), wanted)


def test_every_promise_made_before_a_backup_is_in_it_while_the_writer_goes_on() -> None:
    for seed in range(8):
        place = FilePlace()
        life = Life(place, seed)
        for _ in range(20):
            life.turn()
        promised, ended_before = set(life.promised[0]), dict(life.ended)
        keys, seq = set(life.promised[2]), life.promised[-1]
        many, module.LOOK_FILES = module.LOOK_FILES, 1
        try:
            target = a_target()
            made = back_up(Watched(life.turn), place.folder, target)
        finally:
            module.LOOK_FILES = many
        assert made.unit >= seq
        other, _ = restored(target)
        same((seed, findings(other)), (seed, []))
        store = other.open()
        same(store.seq, made.unit)
        for job_id in (*promised, *ended_before):
            job = store.jobs.get(job_id) or store.engine.read_finished(job_id)
            assert job is not None and job.seq <= made.unit, f"seed {seed}: {job_id} is not in the backup"
        assert keys <= set(store.keys)


def busy_copy(misses: Callable[[int], bool] = lambda look: False) -> tuple[FilePlace, dict[str, Any], list[Path]]:
    """(a restored place, jobs of before, segments that came and went meanwhile): a backup in one try, while every look finds new segments.

    A checkpoint is taken when all segments have been looked at: they live longer than from look to look. `misses` looks see nothing.
    """
    least, tries, many, look = journal.ROTATE_BYTES_MIN, module.TRIES_MAX, module.LOOK_FILES, module.Pinned.look
    with segments_of(4_096, 4_096):
        place = a_busy_place()
    jobs, before, seen, looked = dict(place.store.jobs), set(place.journal()), set(), set(place.journal())
    target, looks = a_target(), [0]

    def go_on() -> None:
        if set(place.journal()) <= looked and looks[0] > 1 and looks[0] % 2:
            place.checkpoint()
        lease(place.store, create(place.store))
        commit(place.store)
        seen.update(place.journal())

    def looking(pinned: Any) -> None:
        looks[0] += 1
        if misses(looks[0]):
            go_on()
        else:
            look(pinned)
        looked.update(place.journal())
    try:
        journal.ROTATE_BYTES_MIN, module.TRIES_MAX, module.LOOK_FILES = 100, 1, 1
        module.Pinned.look = looking                                    # type: ignore[method-assign]
        with segments_of(4_096, 4_096):
            back_up(Watched(go_on), place.folder, target)
    finally:
        journal.ROTATE_BYTES_MIN, module.TRIES_MAX, module.LOOK_FILES = least, tries, many
        module.Pinned.look = look                                       # type: ignore[method-assign]
    other, _ = restored(target)
    return other, jobs, sorted(seen - before - set(place.journal()))


def test_segments_that_come_and_go_while_documents_are_copied_are_in_the_backup() -> None:
    other, jobs, gone = busy_copy()
    assert len(gone) > 2, "nothing was let go of"
    same(findings(other), [])
    assert jobs.keys() <= other.open().jobs.keys()


def test_a_backup_that_has_missed_a_segment_knows_it_and_says_so() -> None:
    refuses(BackupError, lambda: busy_copy(lambda look: 1 < look < 12), "no consistent copy")


def test_a_place_that_never_had_a_checkpoint_can_be_backed_up() -> None:
    place = FilePlace()
    store = place.open()
    job_id = create(store)
    commit(store)
    target = a_target()
    back_up(Disk(), place.folder, target)
    other, _ = restored(target)
    assert job_id in other.open().jobs


def test_a_job_that_ends_while_it_is_copied_is_there_once() -> None:
    place = a_busy_place()
    place.checkpoint()
    (job_id, *_) = [i for i, job in place.store.jobs.items() if job.state == "processing"]
    calls = [0]

    def end_it() -> None:
        calls[0] += 1
        if calls[0] == 8:
            finish(place.store, job_id)
            commit(place.store)
            place.settle(3.0)
    target = a_target()
    back_up(Watched(end_it), place.folder, target)
    other, _ = restored(target)
    store = other.open()
    found = store.jobs.get(job_id) or store.engine.read_finished(job_id)
    assert calls[0] >= 8 and found is not None
    same((findings(other), found.state), ([], "done"))


def test_a_backup_never_overwrites_never_lies_in_the_data_folder_and_leaves_nothing_behind_when_it_fails() -> None:
    place = a_busy_place()
    place.engine.close()
    target = a_target()
    target.write_bytes(b"mine")
    refuses(BackupError, lambda: back_up(Disk(), place.folder, target), "never overwrites")
    same(target.read_bytes(), b"mine")
    refuses(BackupError, lambda: back_up(Disk(), place.folder, place.folder / "b.tar"), "in the data folder")
    path = place.journal()[-1]
    path.write_bytes(path.read_bytes()[:5])
    [p.unlink() for p in place.journal() if p != path]
    broken = a_target()
    refuses(BackupError, lambda: back_up(Disk(), place.folder, broken), "no consistent copy")
    same(list(broken.parent.iterdir()), [])


def changed(archive: Path, change: Callable[[str, bytes], list[tuple[str, bytes]]], kind: bytes = tarfile.REGTYPE) -> Path:
    """The same backup with other members."""
    target = a_target()
    with tarfile.open(archive) as old, tarfile.open(target, "w") as new:
        for member in old:
            file = old.extractfile(member)
            assert file is not None
            for place, (name, data) in enumerate(change(member.name, file.read())):
                row = tarfile.TarInfo(name)
                row.size = len(data) if kind == tarfile.REGTYPE or not place else 0
                row.type = tarfile.REGTYPE if not place else kind
                row.linkname = "/etc/passwd" if place else ""
                new.addfile(row, io.BytesIO(data))
    return target


def test_a_backup_with_a_wrong_byte_a_missing_or_a_strange_member_is_refused_before_anything_is_written() -> None:
    place = a_busy_place()
    place.engine.close()
    good = a_target()
    back_up(Disk(), place.folder, good)
    bad: list[tuple[Path, str]] = []
    flip = a_target()
    flip.write_bytes(good.read_bytes())
    flipped(flip, 512)
    bad.append((flip, "sha256"))
    short = a_target()
    short.write_bytes(good.read_bytes()[:5_000])
    bad.append((short, ""))
    bad.append((changed(good, lambda name, data: [] if name.startswith("workers/") else [(name, data)]), "the manifest has"))
    bad.append((changed(good, lambda name, data: [] if name == MANIFEST else [(name, data)]), "no manifest"))


    def with_one_more(name: str, kind: bytes = tarfile.REGTYPE) -> Path:
        return changed(good, lambda own, data: [(own, data), *([(name, b"x")] if own == "checkpoint.json" else [])], kind)
    for name in ("../escape", "/tmp/escape", "jobs/live/../../../escape", "LOCK", "worker/x", "jobs/live/", "bundles/x/y"):
        bad.append((with_one_more(name), name.rstrip("/")))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
        bad.append((with_one_more("jobs/live/x", kind), "not a plain file"))
    for archive, words in bad:
        folder = a_folder() / "new"
        refuses(RestoreError, lambda archive=archive, folder=folder: restored(archive, folder), words)
        assert not folder.exists(), words
    assert not (Path("/tmp") / "escape").exists()


def test_a_restore_takes_an_empty_folder_only_and_half_of_one_is_never_served() -> None:
    place = a_busy_place()
    place.engine.close()
    target = a_target()
    back_up(Disk(), place.folder, target)
    refuses(RestoreError, lambda: restored(target, place.folder), "not an empty folder")
    with tarfile.open(target) as tar:
        rows = {member.name: tar.extractfile(member).read() for member in tar if member.isreg()}  # type: ignore[union-attr]
    lines = [json.loads(line) for line in rows[MANIFEST].splitlines()]
    same((lines[-1]["files"], len(lines) - 1, set(rows) - {MANIFEST}), (len(rows) - 1, len(rows) - 1, {line["path"] for line in lines[:-1]}))
    half = a_folder()
    (half / "VERSION").write_bytes(b"restoring\n")
    refuses(Locked, lambda: DataLock(half), "restoring")


def forged(archive: Path, wanted: str, damage: Callable[[bytes], bytes]) -> Path:
    """The same backup, in which the first member of that folder is damaged and the manifest vouches for the damage."""
    sums: dict[bytes, bytes] = {}

    def change(name: str, data: bytes) -> list[tuple[str, bytes]]:
        new = data
        if name.startswith(wanted) and not sums:
            new = damage(data)
            same(len(new), len(data))
            sums[hashlib.sha256(data).hexdigest().encode()] = hashlib.sha256(new).hexdigest().encode()
        elif name == MANIFEST:
            for old, forged in sums.items():
                new = new.replace(old, forged)
        return [(name, new)]
    return changed(archive, change)


def one_bit_less(data: bytes) -> bytes:
    """A wrong bit in the middle of what is not zeros."""
    at = len(data.rstrip(b"\0")) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def test_a_backup_on_which_no_server_would_start_is_refused_though_every_checksum_in_it_fits_and_the_folder_is_refused_ever_after() -> None:
    place = a_busy_place()
    killed, stopped = a_target(), a_target()
    back_up(Disk(), place.folder, killed)                                   # its journal has units that nothing else has
    place.engine.close()
    back_up(Disk(), place.folder, stopped)
    for archive, wanted in ((killed, "journal/"), (stopped, "journal/"), (stopped, "checkpoint.json")):
        restored(forged(archive, wanted, lambda data: data))                # without the damage it is taken
        folder = a_quick_folder()
        bad = forged(archive, wanted, one_bit_less)
        refuses(RestoreError, lambda bad=bad, folder=folder: restored(bad, folder), "a server would not start on it", wanted)
        same((folder / "VERSION").read_bytes(), b"restoring\n")
        for _ in range(2):
            refuses(Locked, lambda folder=folder: DataLock(folder), "restoring")
        refuses(RestoreError, lambda archive=archive, folder=folder: restored(archive, folder), "not an empty folder")


def test_a_finished_job_that_retention_takes_while_it_is_copied_leaves_no_row_without_a_document() -> None:
    place = a_busy_place()
    for _ in range(6):
        ended(place.store)
        commit(place.store)
    place.settle(70.0)
    place.checkpoint()
    calls = [0]

    def trim() -> None:
        calls[0] += 1
        if calls[0] == 9:
            day = place.engine.finished.days()[0]
            place.engine.finished.trim(day, 3, 1e9, 1e12, lambda job_id: place.folder / "events" / f"{job_id}.jsonl", lambda job_id: False)
    target = a_target()
    back_up(Watched(trim), place.folder, target)
    other, _ = restored(target)
    assert calls[0] > 9
    same(findings(other), [])
    assert first(other, "jobs/done/*/index.jsonl").exists()
