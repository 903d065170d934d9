"""Checkpoints: all live records in one sequential file, so that a start need not open a file for each job.

    data/checkpoint-<seq>.jsonl     framed lines: {"checkpoint":seq}, ["job",[...]], ["worker",[...]], ["key",[...]], {"end":count}
    data/checkpoint.json            {"v":1,"seq":..}: written last; segments up to seq may go then

The file is written in slices while the state moves on, so a record in it may be newer than `seq`; replay skips what a record already has.
Deleting checkpoint-<seq>.jsonl only makes a start slower: job files, worker files and index rows hold the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from state.disk import Disk
from state.journal import framed, line_at, previous_crc
from state.records import encode, sealed, unsealed


class CheckpointFile:
    """Lines of a checkpoint in the making; `lines` are framed here and written by the writer."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.count = 0
        self._crc = 0
        self._start = b""
        self._start = self.lines([{"checkpoint": seq}])
        self.count = 0

    def lines(self, values: Iterable[Any]) -> bytes:
        """The framed bytes of some values, to be appended in this order."""
        parts = [self._start] if self._start else []
        self._start = b""
        for value in values:
            line, self._crc = framed(encode(value), self._crc)
            parts.append(line)
            self.count += 1
        return b"".join(parts)

    def end(self) -> bytes:
        """The line that makes the file complete."""
        return self.lines([{"end": self.count}])


def name_of(seq: int) -> str:
    """File name of the checkpoint at `seq`."""
    return f"checkpoint-{seq:012d}.jsonl"


def read_mark(disk: Disk, folder: Path) -> int:
    """The seq that checkpoint.json names, 0 if there is none; ValueError if it is damaged."""
    try:
        document = unsealed(disk.read(folder / "checkpoint.json"))
    except FileNotFoundError:
        return 0
    if document is None:
        raise ValueError("checkpoint.json does not have the checksum it was written with")
    return int(document["seq"])


def write_mark(disk: Disk, folder: Path, seq: int) -> None:
    """Say durably that everything up to `seq` is in the checkpoint and the documents."""
    disk.replace(folder / "checkpoint.json", sealed({"v": 1, "seq": seq}), durable=True)


def read(disk: Disk, folder: Path, seq: int) -> list[Any] | None:
    """The values of checkpoint-<seq>.jsonl, or None if it is missing, incomplete or damaged."""
    try:
        data = disk.read(folder / name_of(seq))
    except FileNotFoundError:
        return None
    values = list(_values(data))
    if len(values) < 2 or values[0] != {"checkpoint": seq} or values[-1] != {"end": len(values) - 2}:
        return None
    return values[1:-1]


def _values(data: bytes) -> Iterator[Any]:
    at = crc = 0
    while (line := line_at(data, at)) is not None and previous_crc(data, line) == crc:
        yield line.value
        at, crc = line.end, line.crc


def remove_others(disk: Disk, folder: Path, seq: int) -> None:
    """Remove the files of other checkpoints."""
    for name in disk.names(folder):
        if name.startswith("checkpoint-") and name != name_of(seq):
            disk.remove(folder / name)

