"""A stream in progress: frames its pieces, counts them against its length, and says what comes next. It never sees a socket."""

from __future__ import annotations

from router.http.messages import Request, Stream, Wait


class Piece(bytes):
    """Bytes of a stream that wait for a ticket. If its commit fails they show what never was, and the connection ends instead."""


class BrokenStream(Exception):
    """A stream gave more or fewer bytes than its Content-Length says."""


class Flow:
    """One Stream on its way to one client."""

    __slots__ = ("_chunked", "_left", "head", "request", "stream")

    def __init__(self, stream: Stream, request: Request) -> None:
        self.stream = stream
        self.request = request
        self.head = b""                                 # set by the connection, which knows the closing line
        self._left = stream.length
        self._chunked = stream.length is None and request.version == "HTTP/1.1"

    @property
    def delimited(self) -> bool:
        """Whether the client can see the end without the connection closing."""
        return self._chunked or self._left is not None

    @property
    def coding_line(self) -> str:
        """The header line that says how the pieces are framed."""
        return "Transfer-Encoding: chunked\r\n" if self._chunked else ""

    def next(self) -> bytes | Wait | None:
        """The next framed piece (perhaps empty), WAIT, or None at the end: then send `last`. Raises BrokenStream, and what `pull` raises."""
        piece = self.stream.pull()
        if piece is None:
            if self._left:
                raise BrokenStream(f"the stream ended {self._left} bytes before its length")
            return None
        if isinstance(piece, Wait):
            return piece
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0:
                raise BrokenStream(f"the stream gave {-self._left} bytes more than its length")
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked and piece else piece     # an empty chunk would end the reply

    @property
    def last(self) -> bytes:
        """What is sent after the last piece."""
        return b"0\r\n\r\n" if self._chunked else b""
