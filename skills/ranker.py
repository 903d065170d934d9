"""A process that ranks: it keeps the index of the newest catalogue and answers which skills fit which texts.

To build an index takes a fifth of a second for a small library and seconds for a large one, and to rank in a large one takes milliseconds; on the
server's thread that would be a pause for everybody. `Ranker` is the server's end, for one thread; the other end is this module's `main`. They speak
in pickled values over pipes that nobody else can reach.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from skills.match import Document, Index, Ranking

ROOT = Path(__file__).resolve().parent.parent
TRIES = 2                              # of a question, each with a process of its own; then it is answered without one


class Asked(NamedTuple):
    """A question: `documents` is the catalogue if it is not the one of the question before, `texts` are to be ranked, with `most` candidates each."""

    documents: tuple[Document, ...] | None
    texts: tuple[str, ...]
    most: int


class Ranker:
    """Asks the process, which is started when it is first needed and again when it has died."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._version: int | None = None       # of the catalogue that the process has
        self._stopped = False

    def rank(self, version: int, documents: tuple[Document, ...], texts: Sequence[str], most: int) -> list[Ranking]:
        """The rankings of some texts over a catalogue (blocking)."""
        for _ in range(TRIES):
            try:
                return self._ask(version, Asked(None if version == self._version else documents, tuple(texts), most))
            except (OSError, EOFError, pickle.UnpicklingError):
                self.close()
                if self._stopped:
                    raise
        index = Index.build(documents)         # slower for everybody, but answered
        return [index.rank(text, most) for text in texts]

    def _ask(self, version: int, asked: Asked) -> list[Ranking]:
        child = self._child = self._child or _start()
        assert child.stdin is not None and child.stdout is not None
        if self._version is None and asked.documents is None:
            raise EOFError
        pickle.dump(asked, child.stdin)
        child.stdin.flush()
        rankings: list[Ranking] = pickle.load(child.stdout)
        self._version = version
        return rankings

    def stop(self) -> None:
        """From another thread: what is asked now fails, and nothing is asked any more."""
        self._stopped = True
        if self._child is not None:
            self._child.kill()

    def close(self) -> None:
        """End the process, if there is one."""
        child, self._child, self._version = self._child, None, None
        if child is not None and child.stdin is not None and child.stdout is not None:
            child.kill()                       # it has nothing to lose
            child.stdout.close()
            with suppress(BrokenPipeError):
                child.stdin.close()
            child.wait()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-P", "-S", "-m", "skills.ranker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer questions until there are no more."""
    index = Index.build(())
    while True:
        try:
            asked: Asked = pickle.load(source)
        except EOFError:
            return
        if asked.documents is not None:
            index = Index.build(asked.documents, index)
        pickle.dump([index.rank(text, asked.most) for text in asked.texts], sink)
        sink.flush()


def main() -> None:
    """The process: it ends when its input does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)         # Ctrl-C in a terminal is for the server
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
