"""The filer: puts batches of files in place. A large batch is done by a child process: to encode hundreds of documents, and to make thousands of
system calls on a thread, would take the interpreter from the loop for milliseconds a turn.

The child holds the lock of the data folder with us, so that nobody reads the folder while it still writes after a kill of the server. It ends
when its input does. It only writes what it is given: what a file says is decided on the loop.
"""

from __future__ import annotations

import marshal
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from state.disk import Disk
from state.finished import row_line
from state.records import encode, job_document, job_from_raw, sealed, stamped

ROOT = Path(__file__).resolve().parent.parent
CHILD_FILES_MIN = 32          # a smaller batch takes less time here than the way to the child and back
PIECE_JOBS = 8                # of a batch, in one message: a few milliseconds where each holds as much as it may
DEATHS_MAX = 2                # of children in a row; then a batch is written without one
LENGTH_BYTES = 8              # of a message, before it; big end first


class Files(NamedTuple):
    """A batch. Done files are counted: what happened to them goes to `Kept`."""

    jobs: list[tuple[str, str, int, tuple[Any, ...]]]     # path, path of the index or "" for a job that goes on, newest_ms of the row, the raw job
    events: list[tuple[str, list[tuple[Any, ...]]]]       # path, raw events to add
    replace: list[tuple[str, bytes]]
    remove: list[tuple[str, str]]                 # path, job id or ""


Kept = tuple[str, int, int]                       # job id, files more or less, bytes more or less


def write_files(disk: Disk, files: Files, kept: list[Kept]) -> None:
    """Put a batch in place; `kept` gets what was done so far, also where this raises OSError."""
    for folder in dict.fromkeys(path.rpartition("/")[0] for path in (*(path for path, *_ in files.jobs), *(path for path, _ in files.events))):
        disk.make_folder(folder)
    rows: dict[str, list[bytes]] = {}
    for path, index, newest_ms, raw in files.jobs:
        job = job_from_raw(raw)
        data = sealed(job_document(job))
        before = disk.size(path) if index and disk.exists(path) else 0
        disk.replace(path, data)
        if index:
            rows.setdefault(index, []).append(row_line(job, data, newest_ms))
            kept.append((job.id, 0 if before else 1, len(data) - before))
    for path, data in files.replace:
        disk.replace(path, data)
    for path, events in files.events:
        disk.append(path, _appended([stamped(encode(event)) for event in events]))
    for index, lines in rows.items():
        disk.append(index, _appended(lines))
    for path, job_id in files.remove:
        before = disk.size(path) if job_id else 0
        disk.remove(path)
        if before:
            kept.append((job_id, -1, -before))


def _appended(lines: list[bytes]) -> bytes:
    """Lines to append. A line end goes before them too, so that what a failed append or a power cut left there cannot spoil the first."""
    return b"\n" + b"\n".join(lines) + b"\n"


class Filer:
    """Does batches here, on whatever disk it is given."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def write(self, files: Files, kept: list[Kept]) -> None:
        """`write_files` (blocking)."""
        write_files(self._disk, files, kept)

    def close(self) -> None:
        """Nothing is ever pending."""


class ProcessFiler(Filer):
    """Does large batches in a child process, started when the first one comes. `lock` is the descriptor of the folder's lock."""

    def __init__(self, disk: Disk, lock: int) -> None:
        super().__init__(disk)
        self._lock = lock
        self._child: subprocess.Popen[bytes] | None = None
        self._deaths = 0                         # of children, one after the other

    def write(self, files: Files, kept: list[Kept]) -> None:
        """As the base class. A child that has died is OSError: the batch is written again, by the next one."""
        if len(files.jobs) < CHILD_FILES_MIN or self._deaths >= DEATHS_MAX:
            self._deaths = min(self._deaths, DEATHS_MAX - 1)       # slower, but it goes on; the next batch may find a child again
            super().write(files, kept)
            return
        try:
            child = self._child = self._child or self._start()
            assert child.stdin is not None and child.stdout is not None
            _send_files(child.stdin, files)
            done, error = _receive(child.stdout)
        except (OSError, EOFError) as gone:
            self.close()
            self._deaths += 1
            raise OSError(f"the process that writes files has ended or cannot be started: {gone}") from gone
        self._deaths = 0
        kept.extend(done)
        if error is not None:
            raise OSError(*error)

    def close(self) -> None:
        """End the child, if there is one, when it has done what it was given."""
        child, self._child = self._child, None
        if child is not None and child.stdin is not None and child.stdout is not None:
            child.stdout.close()
            with suppress(BrokenPipeError):      # it has ended already
                child.stdin.close()
            child.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        """In a session of its own: Ctrl-C in a terminal is for the server, which ends it when all is written."""
        return subprocess.Popen([sys.executable, "-P", "-S", "-m", "state.filer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                env={**os.environ, "PYTHONPATH": str(ROOT)}, pass_fds=(self._lock,), start_new_session=True)


def _send_files(pipe: IO[bytes], files: Files) -> None:
    """In pieces: while one is made the interpreter is held, and large jobs take long."""
    places = range(0, len(files.jobs), PIECE_JOBS)
    _send(pipe, (len(places), *files[1:]))
    for at in places:
        _send(pipe, files.jobs[at:at + PIECE_JOBS])
    pipe.flush()


def _receive_files(pipe: IO[bytes]) -> Files:
    pieces, *others = _receive(pipe)
    return Files([job for _ in range(pieces) for job in _receive(pipe)], *others)


def _send(pipe: IO[bytes], value: Any) -> None:
    data = marshal.dumps(value)
    pipe.write(len(data).to_bytes(LENGTH_BYTES, "big"))
    pipe.write(data)


def _receive(pipe: IO[bytes]) -> Any:
    """The next message; EOFError when there is none, or only a part of one."""
    length = int.from_bytes(pipe.read(LENGTH_BYTES), "big")
    data = pipe.read(length)
    if not length or len(data) != length:
        raise EOFError
    return marshal.loads(data)


def main() -> None:
    """The child: batches from stdin, what became of them to stdout, until stdin ends."""
    for number in (signal.SIGTERM, signal.SIGINT):       # a supervisor tells all processes of a service to leave: the server still has files for us
        signal.signal(number, signal.SIG_IGN)
    disk = Disk()
    while True:
        kept: list[Kept] = []
        error: tuple[int | None, str | None] | None = None
        try:
            files = _receive_files(sys.stdin.buffer)
        except EOFError:
            return
        try:
            write_files(disk, files, kept)
        except OSError as refused:
            error = (refused.errno, refused.strerror)
        try:
            _send(sys.stdout.buffer, (kept, error))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os._exit(0)                          # the server was killed; there is nobody to tell, nor anything to flush


if __name__ == "__main__":
    main()
