"""One flipped bit anywhere in a data folder: the start refuses it with words, or it is harmless, or what it hides is missed and never wrong.

Silently wrong would be: a start brings back, or a list or a job's events show, something else than what was committed. Rows and events that are
not as written are left out: the doctor says so, and a folder without its checkpoint takes the keys that they held from the documents.
Every byte of a small folder is tried, with one bit that a seed chooses; in the long mode with all eight.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from router.work.definitions import Definitions
from skills.definition import canonical
from state.checkpoints import read_mark
from state.doctor import examine
from state.errors import DocumentDamaged
from state.finished import Finished, Row
from state.journal import Damage, Journal
from state.overlay import DryDisk
from state.recovery import recover
from state.streams import read_events
from tests import kit
from tests.kit import refuses, same
from tests.skills.builders import compiled
from tests.state.book import put
from tests.state.builders import FilePlace, a_quick_folder, add_worker, commit, create, ended, lease, reopened, say

ZEROS_LEFT = 64                # of a segment's end: reading a million of them takes longer than all the rest


def a_small_place() -> FilePlace:
    """One of each: a live job with an event, one that ended, a worker, feedback, keys, a checkpoint, and units after it, sealed."""
    place = FilePlace()
    store = place.open()

    def key(name: str) -> Any:
        return (("POST /tasks", name, "s" * 64, place.clock.wall(), 202),)
    add_worker(store)
    first = create(store, keys=key("k1"))
    ended(store, keys=key("k2"))
    with store:
        store.event(first, "log", "s0", {"line": "it goes on"})
    say(store, first)
    commit(store)
    place.settle(70.0)
    store.evict(lambda job_id: False)
    place.checkpoint()
    store = reopened(place)                                # in a new segment; the one before it is let go
    lease(store, create(store, keys=key("k3")))
    commit(store)
    place.settle(1.0)
    return place


class Specimen:
    """A folder whose files stay as they are: what a start would find is read over it, with one of its files changed."""

    def __init__(self, checkpoint: bool) -> None:
        self.folder = a_small_place().folder
        for path in self.folder.glob("checkpoint-*.jsonl" if not checkpoint else "none"):
            path.unlink()
        self.files = {p: p.read_bytes().rstrip(b"\0") for p in sorted(self.folder.rglob("*")) if p.is_file()}
        for path in self.folder.glob("journal/*.jsonl"):
            put(path, self.files[path] + bytes(ZEROS_LEFT))
        self.truth = self.found(DryDisk())

    def found(self, disk: DryDisk) -> dict[str, Any]:
        """What a start brings back and can show. Damage and DocumentDamaged are refusals."""
        done = Finished(disk, self.folder / "jobs" / "done")
        journal = Journal(disk, self.folder / "journal")
        state = recover(disk, self.folder, journal, done, read_mark(disk, self.folder).seq)
        done.adopt()
        rows, _ = done.page("", 100, lambda row: True, state.jobs.__contains__)
        names = [name[:-5] for day in done.days() for name in done.names(day) if name.startswith("j_")]
        events = {job_id: read_events(disk, self.folder / "events" / f"{job_id}.jsonl") for job_id in (*state.jobs, *names)}
        return {"jobs": state.jobs, "workers": state.workers, "keys": state.keys, "seq": journal.seq, "rows": rows, "events": events,
                "feedback": state.feedback, "finished": {name: done.read(name) for name in names}}

    def flips(self, rnd: random.Random) -> Iterator[tuple[Path, bytes]]:
        """(file, its content with one bit flipped), for every byte."""
        for path, data in self.files.items():
            for at in range(len(data)):
                for bit in range(8) if kit.LONG else (rnd.randrange(8),):
                    yield path, data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1:]


def left_out(found: dict[str, Any], truth: dict[str, Any]) -> bool:
    """True if rows or events are missing; all that is there must be as it was."""
    rows: list[Row] = found["rows"]
    assert all(row in truth["rows"] for row in rows), rows
    assert all(event in truth["events"][i] for i, events in found["events"].items() for event in events), found["events"]
    same({**found, "rows": truth["rows"], "events": truth["events"]}, truth)
    return found != truth


def flipped_everywhere(checkpoint: bool) -> dict[str, set[str]]:
    """What became of the flips, by the kind of file: refused, harmless, left out."""
    seed = int(os.environ.get("FLIP_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"  FLIP_SEED={seed}")
    specimen = Specimen(checkpoint)
    became: dict[str, set[str]] = {}
    for path, data in specimen.flips(random.Random(seed)):
        kind = path.relative_to(specimen.folder).parts[0] if path.name != "index.jsonl" else "index"
        disk = DryDisk()
        disk.changes[str(path)] = data
        try:
            verdict = "left out" if left_out(specimen.found(disk), specimen.truth) else "harmless"
            if verdict == "left out":
                assert not examine(disk, specimen.folder, None).healthy, f"{path}: the doctor finds nothing wrong"
        except (Damage, DocumentDamaged) as refusal:
            verdict = "refused"
            assert len(str(refusal)) > 40, refusal
        became.setdefault("checkpoint" if kind.startswith("checkpoint-") else kind, set()).add(verdict)
    same({p: p.read_bytes().rstrip(b"\0") for p in specimen.files}, specimen.files)
    return became


def test_no_flipped_bit_of_a_folder_with_its_checkpoint_is_silently_wrong():
    became = flipped_everywhere(checkpoint=True)
    same(became, {"checkpoint": {"harmless"}, "checkpoint.json": {"refused"}, "journal": {"refused", "harmless"}, "jobs": {"refused", "harmless"},
                  "workers": {"harmless"}, "feedback": {"harmless"}, "index": {"left out"}, "events": {"left out"}})


def test_no_flipped_bit_of_a_folder_without_its_checkpoint_is_silently_wrong():
    became = flipped_everywhere(checkpoint=False)
    same(became, {"checkpoint.json": {"refused"}, "journal": {"refused", "harmless"}, "jobs": {"refused", "harmless"}, "workers": {"refused"},
                  "feedback": {"refused"}, "index": {"left out"}, "events": {"left out"}})


def test_a_flipped_bit_of_a_pinned_definition_is_refused():
    definition, folder = compiled(), a_quick_folder()
    kept = Definitions(DryDisk(), folder)
    path = folder / "definitions" / f"{definition.sha256}.json"
    data = canonical(definition.document())
    for at in range(len(data)):
        for bit in range(8):
            disk = DryDisk()
            disk.changes[str(path)] = data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1:]
            kept._disk = disk
            refuses(Damage, lambda: kept.load(definition.sha256), definition.sha256)
