"""A request body on its way in: bounded and timed, kept in memory for a handler, or handed to helper threads for an upload.

Rule 1: the writes of one upload run one after the other; the next is submitted when the last has come back. Rule 2: `abort` or `finish`, never both
but where `finish` raised, and neither while a write runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from router.http.bounds import EngineLimits
from router.http.helpers import Helpers
from router.http.messages import Outcome, Receive, Request
from router.http.parser import CHUNKED, BodyReader, Chunked, Fixed
from state.errors import BodyTooLarge


class Intake:
    """One body. `body` grows unless there is an upload; `reader.done` says that it is whole."""

    __slots__ = ("_got_then", "_hint", "_since", "body", "bytes_max", "got", "reader", "request", "upload")

    def __init__(self, request: Request, length: int, bytes_max: int, now: float, hint: str | None, upload: Upload | None = None) -> None:
        if length > bytes_max:
            raise BodyTooLarge(f"the body has {length} bytes, at most {bytes_max} are taken here", hint=hint)
        self.request = request
        self.reader: BodyReader = Chunked() if length == CHUNKED else Fixed(length)
        self.bytes_max = bytes_max
        self.upload = upload
        self.body = bytearray()
        self.got = 0
        self._hint = hint
        self._since = now             # its rate is measured from here
        self._got_then = 0

    def take(self, data: bytes) -> None:
        """Take the next bytes of the connection. Raises BadRequest for bad chunks, BodyTooLarge over the limit."""
        piece = self.reader.feed(data)
        if piece:
            self.got += len(piece)
            if self.got > self.bytes_max:
                raise BodyTooLarge(f"the body is over {self.bytes_max} bytes", hint=self._hint)
            if self.upload is not None:
                self.upload.give(piece)
            else:
                self.body += piece

    def is_too_slow(self, now: float, limits: EngineLimits) -> bool:
        """Whether the client has had its grace and still sent fewer bytes per second than it must since `measure_from`."""
        elapsed = now - self._since
        return elapsed >= limits.body_grace_s and self.got - self._got_then < elapsed * limits.body_bytes_per_s_min

    def measure_from(self, now: float) -> None:
        """Forget what came before: a new stretch begins, or the client was not read and so cannot have been slow."""
        self._since = now
        self._got_then = self.got


class Upload:
    """The bytes of a Receive, written in order on helper threads. `stage` is open, ended (all bytes are here), aborted or over."""

    __slots__ = ("_aborted", "_backlog", "_failed", "_helpers", "_receive", "_writing", "_wrote", "backlog_bytes", "stage")

    def __init__(self, receive: Receive, helpers: Helpers, wrote: Callable[[], object], failed: Callable[[Exception], object],
                 aborted: Callable[[Any], object]) -> None:
        self._receive = receive
        self._helpers = helpers
        self._wrote: Callable[[], object] | None = wrote        # some bytes were written; all, when the stage is over
        self._failed: Callable[[Exception], object] | None = failed
        self._aborted = aborted                                 # told what an abort gave: None, or the exception it raised
        self._backlog: list[bytes] = []
        self._writing = 0                                       # bytes at a helper
        self.backlog_bytes = 0                                  # given and not yet written
        self.stage = "open"

    def give(self, piece: bytes) -> None:
        """The next bytes."""
        self._backlog.append(piece)
        self.backlog_bytes += len(piece)
        if not self._writing:
            self._write()

    def end(self) -> None:
        """All bytes were given. `wrote` follows when all are written, at once if they are."""
        self.stage = "ended"
        if not self._writing:
            self._written(None)

    def abort(self) -> None:
        """The rest will not come. Nothing is called but `abort` of the Receive, behind the write that may be running."""
        if self.stage in ("open", "ended"):
            self.stage = "aborted"
            self._wrote = self._failed = None
            self._backlog.clear()
            if not self._writing:
                self._helpers.submit(self._receive.abort, self._aborted)

    def finish(self) -> Outcome:
        """The reply of the Receive; one that raises is also aborted, so that no half of it stays behind."""
        try:
            return self._receive.finish()
        except Exception:
            self._helpers.submit(self._receive.abort, self._aborted)
            raise

    def _write(self) -> None:
        chunks, self._backlog = self._backlog, []
        self._writing = sum(map(len, chunks))
        self._helpers.submit(lambda: _write_all(self._receive.write, chunks), self._written)

    def _written(self, error: Any) -> None:
        """A write came back (on the loop)."""
        self.backlog_bytes -= self._writing
        self._writing = 0
        wrote, failed = self._wrote, self._failed
        if self.stage == "aborted" or isinstance(error, Exception):
            self._helpers.submit(self._receive.abort, self._aborted)
            self.stage = "over"
            self._backlog.clear()
            if failed is not None and isinstance(error, Exception):
                self._wrote = self._failed = None               # they belong to the connection, which holds this upload
                failed(error)
        elif self._backlog:
            self._write()
            if wrote is not None:
                wrote()
        else:
            if self.stage == "ended":
                self.stage = "over"
                self._wrote = self._failed = None
            if wrote is not None:
                wrote()


def _write_all(write: Callable[[bytes], object], chunks: list[bytes]) -> None:
    for chunk in chunks:
        write(chunk)
