"""A disk that refuses the n-th call, dies there, or loses power: the real files of a folder, with an account of what was synced."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from state.disk import Disk, Segment

SECTOR_BYTES = 512


class Died(BaseException):
    """The process ended in the middle of a call. Nothing may catch it but the test."""


def full() -> OSError:
    """What a full disk says."""
    return OSError(errno.ENOSPC, "no space left on device")


def broken() -> OSError:
    """What a broken disk says."""
    return OSError(errno.EIO, "input/output error")


class FaultyDisk(Disk):
    """Every call that changes something is counted by kind: write, sync, rename, remove, cut.

    `refuse` makes some of them raise. With `late` the call has its effect first; else a refused write leaves half of its bytes behind.
    `lose_power` puts the folder into a state that a power cut may leave. Nothing is really synced: only the account is kept.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self._kinds: tuple[str, ...] = ()
        self._wait = self._times = 0
        self._late = False
        self._error: Callable[[], BaseException] = full
        self._states: dict[Path, list[bytes | None]] = {}           # contents since a file was last durable, that one first; None: not there
        self._whole: set[Path] = set()                              # synced before they got their name
        self._writes: dict[Path, list[tuple[int, bytes]]] = {}      # of segments, not synced

    def refuse(self, at: int = 1, *kinds: str, times: int = 1, error: Callable[[], BaseException] = full, late: bool = False) -> None:
        """Let the calls of these kinds (none: all) from the `at`-th one on raise, `times` of them."""
        self._kinds, self._wait, self._times, self._error, self._late = kinds, at, times, error, late

    def heal(self) -> None:
        """Refuse nothing any more."""
        self._times = 0

    def _call(self, kind: str, path: Path | str, effect: Callable[[], object], torn: Callable[[], object] = lambda: None) -> None:
        self.calls.append((kind, Path(path).name))
        refused = False
        if self._times and (not self._kinds or kind in self._kinds):
            self._wait -= 1
            refused = self._wait <= 0
            self._times -= refused
        if not refused:
            effect()
            return
        (effect if self._late else torn)()
        raise self._error()

    # -- the account ------------------------------------------------------------------------------------------------------------------

    def _change(self, path: Path | str, effect: Callable[[], object]) -> None:
        path = Path(path)
        states = self._states.setdefault(path, [_content(path)])
        effect()
        states.append(_content(path))

    def _durable(self, path: Path | str) -> None:
        self._states.pop(Path(path), None)

    def lose_power(self, choose: Callable[[Path, list[bytes | None]], bytes | None],
                   tear: Callable[[bytes], bytes] = lambda data: bytes(len(data))) -> None:
        """Each file that is not durable becomes what `choose` says of its states, each write to a segment that was not synced what `tear` says."""
        for path, states in self._states.items():
            content = choose(path, states)
            if path in self._whole and content not in states:
                content = states[-1]
            if content is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            elif path.exists():
                path.unlink()
        for path, writes in self._writes.items():
            for offset, data in writes:
                with open(path, "r+b") as file:
                    file.seek(offset)
                    file.write(tear(data))
        self._states.clear()
        self._writes.clear()

    # -- the calls --------------------------------------------------------------------------------------------------------------------

    def replace(self, path: Path | str, data: bytes, durable: bool = False) -> None:
        temporary = Path(f"{path}.tmp")
        self._call("write", path, lambda: temporary.write_bytes(data), lambda: temporary.write_bytes(data[:len(data) // 2]))
        if durable:
            self._call("sync", temporary, lambda: self._whole.add(Path(path)))
        self._call("rename", path, lambda: self._change(path, lambda: os.rename(temporary, path)))
        if durable:
            self._call("sync", path, lambda: self._durable(path))

    def append(self, path: Path | str, data: bytes) -> None:
        self._call("write", path, lambda: self._change(path, lambda: super(FaultyDisk, self).append(path, data)),
                   lambda: self._change(path, lambda: super(FaultyDisk, self).append(path, data[:len(data) // 2])))

    def truncate(self, path: Path | str, size: int) -> None:
        self._call("cut", path, lambda: os.truncate(path, size))

    def rename(self, old: Path | str, new: Path | str) -> None:
        def effect() -> None:
            os.rename(old, new)
            self._durable(new)
            if self._states.pop(Path(old), None) is not None:
                self._states[Path(new)] = [b"", _content(Path(new))]
        self._call("rename", new, effect)
        self._call("sync", new, lambda: None)

    def remove(self, path: Path | str) -> None:
        if Path(path).exists():
            self._call("remove", path, lambda: self._change(path, lambda: os.unlink(path)))

    def sync_folder(self, folder: Path | str) -> None:
        def effect() -> None:
            for path in [p for p, states in self._states.items() if p.parent == Path(folder) and states[-1] is None]:
                self._durable(path)
        self._call("sync", folder, effect)

    def sync_all(self, folder: Path | str) -> None:
        self._call("sync", folder, self._states.clear)

    def make_segment(self, path: Path | str, size: int) -> None:
        def make(to: int) -> None:
            with open(path, "wb") as file:
                file.truncate(to)
        self._call("write", path, lambda: make(size), lambda: make(size // 2))
        self._call("sync", path, lambda: self._durable(path))

    def open_segment(self, path: Path | str) -> Segment:
        descriptor = os.open(path, os.O_WRONLY)
        return FaultySegment(self, Path(path), descriptor, os.fstat(descriptor).st_size)


class FaultySegment(Segment):
    """A segment of a faulty disk."""

    def __init__(self, disk: FaultyDisk, path: Path, descriptor: int, size: int) -> None:
        super().__init__(descriptor, size)
        self._disk, self._path = disk, path
        self._pending: list[tuple[int, bytes]] = disk._writes.setdefault(path, [])

    def write(self, offset: int, data: bytes) -> None:
        def write(some: bytes) -> None:
            os.pwrite(self._descriptor, some, offset)
            self._pending.append((offset, some))
        self._disk._call("write", self._path, lambda: write(data), lambda: write(data[:len(data) // 2]))

    def sync(self) -> None:
        self._disk._call("sync", self._path, self._pending.clear)

    def cut(self, size: int) -> None:
        def effect() -> None:
            os.ftruncate(self._descriptor, size)
            self._pending.clear()
        self._disk._call("cut", self._path, effect)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


class BreakableDisk(Disk):
    """The real disk, whose journal refuses everything while it is `broken`."""

    broken = False

    def check(self) -> None:
        """Refuse, if it is broken."""
        if self.broken:
            raise broken()

    def make_segment(self, path: Path | str, size: int) -> None:
        self.check()
        super().make_segment(path, size)

    def open_segment(self, path: Path | str) -> Segment:
        made = super().open_segment(path)
        return BreakableSegment(self, made._descriptor, made.size)


class BreakableSegment(Segment):
    """A segment of a breakable disk."""

    def __init__(self, disk: BreakableDisk, descriptor: int, size: int) -> None:
        super().__init__(descriptor, size)
        self._disk = disk

    def write(self, offset: int, data: bytes) -> None:
        super().write(offset, data)
        self._disk.check()
