"""The index of a catalogue that changes: built anew where that is a matter of a second, and else put right at once and built anew beside.

A large catalogue is built, or loaded from its file, when it is first seen. An edit then makes a small segment beside the large one, which takes a
millisecond; meanwhile a child process builds the index of all and writes the file, from which it is taken. POSIX only, as it forks.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from skills.document import Document
from skills.index_file import load, save
from skills.match import Index

TEXTS_LARGE = 2_000                    # descriptions and examples of a catalogue that takes more than a second to build
EDITS_SHARE = 1 / 4                    # of the documents of a large catalogue: when more were edited than that, it is built anew at once
PAUSES_MAX = 1_000                     # questions that are answered before a building beside that failed is tried again
NICE = 5                               # of the process that builds beside: what is asked meanwhile goes first


class Change(NamedTuple):
    """Between two states of a catalogue: documents that are new or other than they were, and the names of those that are no more."""

    documents: tuple[Document, ...]
    removed: tuple[str, ...]


def change_between(before: Mapping[str, Document], after: Mapping[str, Document]) -> Change:
    """What to do to the first to have the second."""
    return Change(tuple([document for name, document in after.items() if before.get(name) != document]),
                  tuple([name for name in before if name not in after]))


class Shelf:
    """Holds the newest index; `file` is where a large one is kept, None for nowhere; `tell` takes a line on what went wrong."""

    def __init__(self, file: Path | None, vectors: bool, tell: Callable[[str], object]) -> None:
        self._file, self._vectors, self._tell = file, vectors, tell
        self._documents: dict[str, Document] = {}
        self._index = Index.build((), vectors)
        self._stale = False                                    # something stands in a small segment
        self._builder: int | None = None                       # a child process, and what it builds
        self._building: dict[str, Document] = {}
        self._tried = False                                    # whether the file was looked at
        self._failures, self._pause = 0, 0                     # of buildings beside; questions until the next one

    def index(self, change: Change | None) -> Index:
        """The index after a change."""
        self._take_what_was_built()
        if change is not None:
            for name in change.removed:
                del self._documents[name]
            self._documents |= {document.name: document for document in change.documents}
            self._apply(change)
        self._pause = max(0, self._pause - 1)
        if self._stale and self._builder is None and not self._pause:
            self._build_beside()
        return self._index

    def close(self) -> None:
        """End the child process."""
        if self._builder is not None:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._builder, signal.SIGKILL)
                os.waitpid(self._builder, 0)
            self._builder = None

    def _apply(self, change: Change) -> None:
        if not _is_large(self._documents.values()):
            self._index, self._stale = Index.build(_in_order(self._documents), self._vectors), False
        elif self._index.edits + len(change.documents) <= len(self._documents) * EDITS_SHARE:
            self._index, self._stale = self._index.changed(*change), True
        elif not self._load():
            self._index, self._stale = Index.build(_in_order(self._documents), self._vectors), True     # so that it is written

    def _load(self) -> bool:
        """Take the index of the file, put right; False if there is none that is worth it."""
        found = load(self._file) if self._file and not self._tried else None
        self._tried = True
        if found is None or found.vectors != self._vectors:
            return False
        change = change_between(found.documents(), self._documents)
        if len(change.documents) > len(self._documents) // 2:
            return False
        self._stale = bool(change.documents or change.removed)
        self._index = found.changed(*change) if self._stale else found
        return True

    def _build_beside(self) -> None:
        """Start a child that builds the index of what there is now and writes it."""
        if self._file is None:
            return
        try:
            child = os.fork()
        except OSError as error:
            self._fail(f"no process can be started: {error.strerror}")
            return
        if child == 0:
            status = 1
            try:
                os.closerange(0, 2)                            # who reads the answers must see their end when this process's parent dies
                os.nice(NICE)
                save(self._index if self._index.is_whole else Index.build(_in_order(self._documents), self._vectors), self._file)
                status = 0
            finally:
                os._exit(status)
        self._builder, self._building = child, dict(self._documents)

    def _take_what_was_built(self) -> None:
        """If the child has ended, take the index from the file and put right what has changed since."""
        if self._builder is None:
            return
        try:
            ended, status = os.waitpid(self._builder, os.WNOHANG)
        except ChildProcessError:                              # somebody else has waited for it
            ended, status = self._builder, 1
        if not ended:
            return
        self._builder = None
        if status:
            self._fail(f"it ended with status {status}")
        elif self._stale and self._index.is_whole and self._building == self._documents:
            self._stale = False                                # it only wrote what is here
        elif self._stale and self._file is not None:
            self._take(load(self._file))

    def _take(self, found: Index | None) -> None:
        """Use what was built beside, put right."""
        if found is None:
            self._fail("the file is not there as it was written")
            return
        self._failures = 0
        change = change_between(self._building, self._documents)
        self._stale = bool(change.documents or change.removed)
        self._index = found.changed(*change) if self._stale else found

    def _fail(self, why: str) -> None:
        """The index of what there is now was not built beside: edits count all the same, and it is tried again after a growing pause."""
        self._failures += 1
        self._pause = min(2 ** self._failures, PAUSES_MAX)
        self._tell(f"the index could not be built beside: {why}")


def _is_large(documents: Iterable[Document]) -> bool:
    return sum([1 + len(document.examples) for document in documents]) > TEXTS_LARGE


def _in_order(documents: Mapping[str, Document]) -> tuple[Document, ...]:
    return tuple([documents[name] for name in sorted(documents)])
