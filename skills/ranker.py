"""A process that ranks: it keeps the index of the newest catalogue and answers which skills fit which tasks.

To build an index takes a fifth of a second for a small library and seconds for a large one, and to rank in a large one takes milliseconds; on the
server's thread that would be a pause for everybody. `Ranker` is the server's end, for one thread; the other end is this module's `main`. They speak
in pickled values over pipes that nobody else can reach. What the process does on a change of the catalogue is in `skills.shelf`.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from skills.document import Document
from skills.match import Index, Query, Ranking
from skills.shelf import Change, Shelf, change_between
from state.clock import Clock
from state.log import Log

ROOT = Path(__file__).resolve().parent.parent
TRIES = 2                              # of a question, each with a process of its own; then it is answered without one


class Asked(NamedTuple):
    """A question: what has changed in the catalogue since the one before, None if nothing has; queries to be ranked, with `most` candidates each."""

    change: Change | None
    queries: tuple[Query, ...]
    most: int


class Ranker:
    """Asks the process, which is started when it is first needed and again when it has died. `file` keeps the index of a large catalogue."""

    def __init__(self, file: Path | None = None, vectors: bool = True) -> None:
        self._file, self._vectors = file, vectors
        self._child: subprocess.Popen[bytes] | None = None
        self._version: int | None = None       # of the catalogue that the process has
        self._told: Mapping[str, Document] = {}
        self._own: tuple[int, Index] | None = None           # of a catalogue that no process could be asked about
        self._stopped = False

    def rank(self, version: int, documents: Sequence[Document], queries: Sequence[Query], most: int) -> list[Ranking]:
        """The rankings of some queries over a catalogue (blocking)."""
        for _ in range(TRIES):
            try:
                return self._ask(version, documents, tuple(queries), most)
            except (OSError, EOFError, pickle.UnpicklingError):
                self.close()
                if self._stopped:
                    raise
        if self._own is None or self._own[0] != version:
            self._own = version, Index.build(documents, self._vectors)                  # slower for everybody, but answered
        index = self._own[1]
        return [index.rank(query.text, most, query.without) for query in queries]

    def _ask(self, version: int, documents: Sequence[Document], queries: tuple[Query, ...], most: int) -> list[Ranking]:
        child = self._child = self._child or _start(self._file, self._vectors)
        assert child.stdin is not None and child.stdout is not None
        told, change = self._told, None
        if version != self._version:
            told = {document.name: document for document in documents}
            change = change_between(self._told, told)
        pickle.dump(Asked(change, queries, most), child.stdin)
        child.stdin.flush()
        rankings: list[Ranking] = pickle.load(child.stdout)
        self._version, self._told, self._own = version, told, None
        return rankings

    def stop(self) -> None:
        """From another thread: what is asked now fails, and nothing is asked any more."""
        self._stopped = True
        child = self._child
        if child is not None and child.poll() is None:
            _kill(child)

    def close(self) -> None:
        """End the process, if there is one."""
        child, self._child, self._version, self._told = self._child, None, None, {}
        if child is not None and child.stdin is not None and child.stdout is not None:
            _kill(child)
            child.stdout.close()
            with suppress(BrokenPipeError):
                child.stdin.close()
            child.wait()


def _kill(child: subprocess.Popen[bytes]) -> None:
    """With the process that it may have started; neither has anything to lose."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _start(file: Path | None, vectors: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-P", "-S", "-m", "skills.ranker", str(file or ""), "vectors" if vectors else "words"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)


def serve(source: IO[bytes], sink: IO[bytes], shelf: Shelf) -> None:
    """Answer questions until there are no more."""
    while True:
        try:
            asked: Asked = pickle.load(source)
        except EOFError:
            return
        index = shelf.index(asked.change)
        pickle.dump([index.rank(query.text, asked.most, query.without) for query in asked.queries], sink)
        sink.flush()


def main(file: str, vectors: str) -> None:
    """The process: it ends when its input does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)         # Ctrl-C in a terminal is for the server
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)        # whoever started the server may have ignored it: then no child could be waited for
    log = Log(Clock(), "warning")
    shelf = Shelf(Path(file) if file else None, vectors == "vectors", lambda why: log.warning("index_not_built", why=why))
    try:
        with suppress(BrokenPipeError):
            serve(sys.stdin.buffer, sys.stdout.buffer, shelf)
    finally:
        shelf.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
