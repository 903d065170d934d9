"""A disk in memory that dies, refuses, fills up and loses power: what `state.disk.Disk` offers, with an account of what was synced.

A file is an inode; a name is bound to it. Writes and bindings stay on the account until a sync settles them. `lose_power` leaves what a power cut
may leave: of each unsettled binding any of its values, of each unsettled write any of its sectors. A sync of a file that failed settles nothing,
and a later one does not either (`stuck`): the kernel has dropped the pages and says so once.
"""

from __future__ import annotations

import errno
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from state.disk import Disk, Segment
from tests.simulation.medium import Binding, Inode, Write, settle
from tests.state.faulty import Died, broken, full

TOTAL_BYTES = 10 << 30
FREE_BYTES = 5 << 30
FREE_BYTES_WHEN_FULL = 64 << 20        # what a nearly full disk reports


def nothing(*about: str) -> None:
    """The effect of a call that had none."""


def read_only() -> OSError:
    """What a file system says that the kernel has put away."""
    return OSError(errno.EROFS, "read-only file system")


class Moods:
    """What the disk is like at the moment; the weather changes it. Shares are of calls."""

    def __init__(self) -> None:
        self.full = False
        self.read_only = False
        self.sync_fails = 0.0
        self.write_fails = 0.0
        self.files_fail = 0.0          # as `write_fails`, but not in the journal, whose room is taken beforehand
        self.die_in = 0                # calls until the process dies in the middle of one; 0: never

    @property
    def bad(self) -> bool:
        """Something is refused, or may be."""
        return bool(self.full or self.read_only or self.sync_fails or self.write_fails or self.files_fail)

    def heal(self) -> None:
        """All is well, but for a death that is on its way."""
        self.full = self.read_only = False
        self.sync_fails = self.write_fails = self.files_fail = 0.0


class SimDisk(Disk):
    """Files by path. `note(kind, path)` hears every call that changes something, `meet(kind)` every fault; `wall()` dates the calls."""

    def __init__(self, source: random.Random, wall: Callable[[], float], note: Callable[[str, str], None],
                 meet: Callable[[str], None] = nothing) -> None:
        self._random, self._wall, self._note, self._meet = source, wall, note, meet
        self.moods = Moods()
        self.dead = False                                              # the process that used it has ended
        self._files: dict[str, Inode] = {}
        self._folders: dict[str, dict[str, None]] = {}                 # names in each folder
        self._unsettled: dict[str, dict[str, list[Binding]]] = {}      # by folder and path: the durable binding, then those since
        self._dirty: dict[Inode, None] = {}

    def begin_with(self, folder: Path | str) -> None:
        """A folder that was there before."""
        path = str(folder)
        self._files[path] = Inode(None, self._wall())
        self._folders[path] = {}

    # -- calls --------------------------------------------------------------------------------------------------------------------------

    def call(self, kind: str, path: str, effect: Callable[[], object], torn: Callable[[], object] = nothing,
             failed: Callable[[], object] = nothing) -> None:
        """One system call that changes something: it has its effect, or dies or is refused before, after or in the middle of it."""
        moods = self.moods
        if self.dead:
            raise Died("the process is dead")
        self._note(kind, path)
        if moods.die_in:
            moods.die_in -= 1
            if not moods.die_in:
                self._random.choice((nothing, torn, effect))()
                self.dead = True
                self._meet("killed in a call of the disk")
                raise Died(f"in {kind} {path}")
        if moods.read_only:
            self._meet("disk read-only")
            raise read_only()
        if moods.full and kind == "write":
            self._meet("disk full")
            torn()
            raise full()
        if kind in ("write", "put") and moods.write_fails and self._random.random() < moods.write_fails:
            self._meet("write failed")
            torn()
            raise broken()
        if kind == "write" and moods.files_fail and self._random.random() < moods.files_fail:
            self._meet("file refused")
            torn()
            raise broken()
        if kind in ("sync", "cut") and moods.sync_fails and self._random.random() < moods.sync_fails:
            self._meet("sync failed")
            failed()
            raise broken()
        effect()

    def sync_inode(self, inode: Inode, path: str) -> None:
        """fsync of a file."""
        def settle() -> None:
            inode.writes = [w for w in inode.writes if w.stuck]
            if not inode.writes:
                self._dirty.pop(inode, None)

        def fail() -> None:
            inode.writes = [w._replace(stuck=True) for w in inode.writes]
        self.call("sync", path, settle, failed=fail)

    def put(self, inode: Inode, offset: int, new: bytes) -> None:
        """Bytes into the page cache."""
        data = inode.data
        assert data is not None
        if offset > len(data):
            data.extend(bytes(offset - len(data)))
        old = bytearray(data[offset:offset + len(new)])
        for write in [w for w in inode.writes if w.stuck and offset <= w.offset and w.offset + len(w.new) <= offset + len(new)]:
            inode.writes.remove(write)                 # its bytes are written again: what the medium has is what was there before it
            old[write.offset - offset:write.offset - offset + len(write.new)] = write.old.ljust(len(write.new), b"\0")
        inode.writes.append(Write(offset, bytes(old), new))
        data[offset:offset + len(new)] = new
        inode.modified = self._wall()
        self._dirty[inode] = None

    def cut_inode(self, inode: Inode, path: str, size: int) -> None:
        """ftruncate and fsync: afterwards the file is on the medium as it is."""
        def effect() -> None:
            assert inode.data is not None
            del inode.data[size:]
            inode.writes = [w for w in inode.writes if w.stuck and w.offset + len(w.new) <= size]
            if not inode.writes:
                self._dirty.pop(inode, None)
        self.call("cut", path, effect)

    def _bind(self, path: str, inode: Binding) -> None:
        folder, _, name = path.rpartition("/")
        history = self._unsettled.setdefault(folder, {}).setdefault(path, [self._files.get(path)])
        history.append(inode)
        self._set(path, folder, name, inode)

    def _set(self, path: str, folder: str, name: str, inode: Binding) -> None:
        if inode is None:
            self._files.pop(path, None)
            self._folders.get(folder, {}).pop(name, None)
            return
        self._files[path] = inode
        self._folders.setdefault(folder, {})[name] = None
        if inode.data is None:
            self._folders.setdefault(path, {})

    # -- the verbs of Disk, reading --------------------------------------------------------------------------------------------------

    def _data(self, path: Path | str) -> bytearray:
        inode = self._files.get(str(path))
        if inode is None or inode.data is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        return inode.data

    def read(self, path: Path | str) -> bytes:
        return bytes(self._data(path))

    def read_at(self, path: Path | str, offset: int, size: int) -> bytes:
        data = self._data(path)
        return bytes(data[offset:] if size < 0 else data[offset:offset + size])

    def exists(self, path: Path | str) -> bool:
        return str(path) in self._files

    def size(self, path: Path | str) -> int:
        inode = self._files.get(str(path))
        return 0 if inode is None or inode.data is None else len(inode.data)

    def modified(self, path: Path | str) -> float:
        inode = self._files.get(str(path))
        return math.inf if inode is None else inode.modified

    def names(self, folder: Path | str) -> list[str]:
        return sorted(self._folders.get(str(folder), ()))

    def entries(self, folder: Path | str) -> Iterator[tuple[str, float]]:
        for name in self.names(folder):
            yield name, self._files[f"{folder}/{name}"].modified

    def room(self, folder: Path | str) -> tuple[int, int]:
        return FREE_BYTES_WHEN_FULL if self.moods.full else FREE_BYTES, TOTAL_BYTES

    # -- the verbs of Disk, changing --------------------------------------------------------------------------------------------------

    def touch(self, path: Path | str) -> None:
        """utime: FileNotFoundError if there is nothing."""
        inode = self._files.get(str(path))
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        inode.modified = self._wall()

    def make_folder(self, folder: Path | str) -> None:
        path = str(folder)
        if path in self._folders or path == "":
            return
        self.make_folder(path.rpartition("/")[0])
        self.call("folder", path, lambda: self._bind(path, Inode(None, self._wall())))

    def _new_file(self, path: str, data: bytes) -> Inode:
        inode = Inode(bytearray(), self._wall())
        self._parent(path)
        self._bind(path, inode)
        self.put(inode, 0, data)
        return inode

    def _parent(self, path: str) -> None:
        if path.rpartition("/")[0] not in self._folders:
            raise FileNotFoundError(errno.ENOENT, "no such folder", path)

    def replace(self, path: Path | str, data: bytes, durable: bool = False) -> None:
        path = str(path)
        temporary = f"{path}.tmp"
        self.call("write", temporary, lambda: self._new_file(temporary, data), lambda: self._new_file(temporary, data[:len(data) // 2]))
        if durable:
            self.sync_inode(self._files[temporary], temporary)
        self.call("rename", path, lambda: self._rename(temporary, path))
        if durable:
            self.sync_folder(path.rpartition("/")[0])

    def _rename(self, old: str, new: str) -> None:
        inode = self._files.get(old)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", old)
        self._bind(new, inode)
        self._bind(old, None)

    def append(self, path: Path | str, data: bytes) -> None:
        path = str(path)

        def add(some: bytes) -> None:
            inode = self._files.get(path)
            if inode is None:
                self._new_file(path, some)
            else:
                assert inode.data is not None
                self.put(inode, len(inode.data), some)
        self.call("write", path, lambda: add(data), lambda: add(data[:len(data) // 2]))

    def truncate(self, path: Path | str, size: int) -> None:
        self._data(path)
        self.cut_inode(self._files[str(path)], str(path), size)

    def rewrite(self, path: Path | str, offset: int, data: bytes) -> None:
        inode = self._files[str(path)]
        self.call("put", str(path), lambda: self.put(inode, offset, data), lambda: self.put(inode, offset, data[:len(data) // 2]))
        self.sync_inode(inode, str(path))

    def rename(self, old: Path | str, new: Path | str) -> None:
        self.call("rename", str(new), lambda: self._rename(str(old), str(new)))
        self.sync_folder(str(new).rpartition("/")[0])

    def remove(self, path: Path | str) -> None:
        if str(path) in self._files:
            self.call("remove", str(path), lambda: self._bind(str(path), None))

    def remove_folder(self, folder: Path | str) -> None:
        path = str(folder)
        if path not in self._folders:
            return
        if self._folders[path]:
            raise OSError(errno.ENOTEMPTY, "folder is not empty", path)

        def effect() -> None:
            self._bind(path, None)
            del self._folders[path]
        self.call("remove", path, effect)

    def sync_folder(self, folder: Path | str) -> None:
        self.call("sync", str(folder), lambda: self._unsettled.pop(str(folder), None))

    def sync_all(self, folder: Path | str) -> None:
        def settle() -> None:
            for inode in list(self._dirty):
                inode.writes = [w for w in inode.writes if w.stuck]
                if not inode.writes:
                    del self._dirty[inode]
            self._unsettled.clear()

        def fail() -> None:
            for inode in self._dirty:
                inode.writes = [w._replace(stuck=True) for w in inode.writes]
        self.call("sync", str(folder), settle, failed=fail)

    def make_segment(self, path: Path | str, size: int) -> None:
        path = str(path)
        self.call("write", path, lambda: self._new_file(path, bytes(size)), lambda: self._new_file(path, bytes(size // 2)))
        self.sync_inode(self._files[path], path)

    def open_segment(self, path: Path | str) -> Segment:
        return SimSegment(self, str(path), self._files[str(path)], self.size(path))

    # -- from outside -------------------------------------------------------------------------------------------------------------------

    def lose(self, path: str) -> None:
        """Somebody removes a file."""
        self._bind(path, None)

    def damage(self, path: str, source: random.Random) -> None:
        """A byte of a file is another."""
        data = self._data(path)
        if data:
            data[source.randrange(len(data))] ^= 0xFF

    # -- power ------------------------------------------------------------------------------------------------------------------------

    def lose_power(self) -> None:
        """Leave what a power cut may leave; afterwards all of it is on the medium."""
        source = self._random
        keep = source.choice((0.0, 1.0, 0.5, source.random()))         # share of unsynced writes that lasted
        renames = source.choice((0.0, 1.0, 0.5, source.random()))
        tear = source.random() < 0.7
        unsettled, self._unsettled = self._unsettled, {}
        for place in sorted(unsettled):
            for path, history in unsettled[place].items() if place in self._folders else ():
                lasted = history[-1] if source.random() < renames else source.choice(history[:-1])
                if lasted is not self._files.get(path):
                    self._meet("unsynced name lost")
                    self._drop_below(path, lasted)
                    folder, _, name = path.rpartition("/")
                    self._set(path, folder, name, lasted)
        for inode in self._dirty:
            for lost, lasting in settle(inode, keep, tear, source):
                if lost:
                    self._meet("torn write lost in part" if lasting else "unsynced write lost")
        self._dirty.clear()

    def _drop_below(self, path: str, lasted: Binding) -> None:
        """A folder whose name did not last takes all that is in it with it."""
        if path in self._folders and (lasted is None or lasted.data is not None):
            for name in list(self._folders[path]):
                self._drop_below(f"{path}/{name}", None)
                self._files.pop(f"{path}/{name}", None)
            del self._folders[path]


class SimSegment(Segment):
    """An open journal file."""

    def __init__(self, disk: SimDisk, path: str, inode: Inode, size: int) -> None:
        self._disk, self._path, self._inode, self.size = disk, path, inode, size

    def write(self, offset: int, data: bytes) -> None:
        disk, inode = self._disk, self._inode
        disk.call("put", self._path, lambda: disk.put(inode, offset, data), lambda: disk.put(inode, offset, data[:len(data) // 2]))

    def sync(self) -> None:
        self._disk.sync_inode(self._inode, self._path)

    def cut(self, size: int) -> None:
        self._disk.cut_inode(self._inode, self._path, size)

    def close(self) -> None:
        """Nothing is held."""
