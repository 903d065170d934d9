"""What a repair may do to a data folder: put a file in place, or take one away. Whatever it replaces is kept first.

    data/doctor/<time>/...          under the path that it had: what was replaced or taken away; plan.json says why, report.json how it ended

Each verb leaves the folder as it was or as it should be, whenever the process ends: a copy is durable before its original is replaced, and a file
is taken away by a rename. A repair that was cut off is made again by the next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from state.disk import Disk

CHUNK_BYTES = 1 << 20          # of an index that is written again


class Mender:
    """Changes one data folder; `aside` is the folder for what it replaces."""

    def __init__(self, disk: Disk, folder: Path, aside: Path) -> None:
        self.disk, self.folder, self.aside = disk, folder, aside
        self.done: list[list[str]] = []            # [what was done, file], in order

    def keep(self, file: str) -> None:
        """Take a file or folder away; fine if it is gone already."""
        if self.disk.exists(self.folder / file):
            self.disk.rename(self.folder / file, self._place(file))
            self.disk.sync_folder((self.folder / file).parent)
            self.done.append(["kept aside", file])

    def put(self, file: str, data: bytes) -> None:
        """Let a file have this content; what it had is kept."""
        self._copy(file)
        self.disk.make_folder((self.folder / file).parent)
        self.disk.replace(self.folder / file, data, durable=True)
        self.done.append(["written", file])

    def put_lines(self, file: str, lines: Iterable[bytes]) -> None:
        """The same, for content that comes line by line."""
        self._copy(file)
        path, temporary = self.folder / file, self.folder / f"{file}.tmp"
        self.disk.make_folder(path.parent)
        self.disk.replace(temporary, b"")
        pending = bytearray()
        for line in lines:
            pending += line
            if len(pending) >= CHUNK_BYTES:
                self.disk.append(temporary, bytes(pending))
                pending.clear()
        self.disk.append(temporary, bytes(pending))
        self.disk.sync_all(self.folder)
        self.disk.rename(temporary, path)
        self.done.append(["written", file])

    def add(self, file: str, data: bytes) -> None:
        """Add to the end of a file of lines, durably. A line end goes before it too."""
        self.disk.make_folder((self.folder / file).parent)
        self.disk.append(self.folder / file, b"\n" + data)
        self.disk.sync_all(self.folder)
        self.done.append(["added to", file])

    def _copy(self, file: str) -> None:
        if self.disk.exists(self.folder / file):
            self.disk.replace(self._place(file), self.disk.read(self.folder / file), durable=True)

    def _place(self, file: str) -> Path:
        """Where a file is kept; a second one of its name gets a number."""
        place = self.aside / file
        number = 1
        while self.disk.exists(place):
            number += 1
            place = self.aside / f"{file}.{number}"
        self.disk.make_folder(place.parent)
        return place
