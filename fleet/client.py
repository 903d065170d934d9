"""HTTP to the server: one persistent connection, used by one thread, one send per request.

A request that finds its kept connection closed is sent once more on a new one: every message of the fleet may be repeated. What cannot be
reached raises `Unreachable`; any HTTP answer is a `Reply`. Retrying is the caller's: only it knows how long a message is worth sending.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit

from state.limits import KIB, MIB

CONNECT_S_MAX = 10.0
REPLY_BYTES_MAX = 64 * MIB            # of a JSON reply: 256 commands with inputs of 64 kB each, and slack
PIECE_BYTES = 256 * KIB               # of a streamed body
STREAM_STALL_S_MAX = 60.0             # a download or upload that moves nothing for so long is given up


class Unreachable(Exception):
    """No HTTP answer: the connection failed, broke off or timed out."""


class Reply(NamedTuple):
    """An HTTP answer: `headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON, or None when it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def retry_after_s(self) -> float | None:
        """Retry-After in seconds, if it is there as a number."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isdigit() else None

    def problem(self) -> dict[str, Any]:
        """The problem document, or an empty one."""
        body = self.json()
        return body if isinstance(body, dict) else {}


class Client:
    """`Client("http://127.0.0.1:7070", secret).call("GET", "/commands?..", timeout_s=35)`. Not for two threads at once, but for `abort`."""

    def __init__(self, server: str, secret: str = "", pinned: str = "") -> None:
        parts = urlsplit(server if "//" in server else f"http://{server}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{server!r} is not a server's URL such as http://host:7070")
        self._tls = _trusting(pinned) if parts.scheme == "https" else None
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        named = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        fields = f"Host: {named}{f':{parts.port}' if parts.port else ''}\r\nUser-Agent: yardmaster-worker\r\n"
        self._fields = fields + (f"Authorization: Bearer {secret}\r\n" if secret else "")
        self._connection: http.client.HTTPConnection | None = None
        self._broken_off = False

    def call(self, method: str, target: str, body: bytes | None = None, timeout_s: float = 30.0) -> Reply:
        """Send a JSON message and read the whole answer. Raises Unreachable."""
        head = self._head(method, target, None if body is None else len(body), "application/json")
        with self._answer(method, head + (body or b""), timeout_s) as answer:
            data = answer.read(REPLY_BYTES_MAX + 1)
            if len(data) > REPLY_BYTES_MAX:
                raise Unreachable(f"the reply to {method} {target} has more than {REPLY_BYTES_MAX} bytes")
            return _reply(answer, data)

    def download(self, target: str, into: BinaryIO, bytes_max: int) -> Reply:
        """GET content into a file; the Reply's body is empty when its status is 200. ValueError over `bytes_max`."""
        with self._answer("GET", self._head("GET", target, None, ""), STREAM_STALL_S_MAX) as answer:
            if answer.status != 200:
                return _reply(answer, answer.read(REPLY_BYTES_MAX))
            taken = 0
            while piece := answer.read(PIECE_BYTES):
                taken += len(piece)
                if taken > bytes_max:
                    raise ValueError(f"{target} has more than {bytes_max} bytes")
                into.write(piece)
            return _reply(answer, b"")

    def upload(self, target: str, content: BinaryIO, length: int) -> Reply:
        """PUT `length` bytes of a file, streamed."""
        def pieces() -> Iterator[bytes]:
            content.seek(0)
            while piece := content.read(PIECE_BYTES):
                yield piece

        head = self._head("PUT", target, length, "application/octet-stream")
        with self._answer("PUT", head, STREAM_STALL_S_MAX, pieces) as answer:
            return _reply(answer, answer.read(REPLY_BYTES_MAX))

    def close(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    def abort(self) -> None:
        """Called by another thread: what waits on the connection gets Unreachable now, and so does every request until `rearm`."""
        self._broken_off = True
        connection = self._connection
        if connection and connection.sock:
            with suppress(OSError):                                         # it was closed in between
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)   # the plain call: that of TLS would pull the rug from the reader

    def rearm(self) -> None:
        """Requests may go out again. Whoever calls `abort` for a reason looks at that reason again after this."""
        self._broken_off = False

    def _head(self, method: str, target: str, length: int | None, kind: str) -> bytes:
        body = "" if length is None else f"Content-Type: {kind}\r\nContent-Length: {length}\r\n"
        return f"{method} {self._prefix}{target} HTTP/1.1\r\n{self._fields}{body}\r\n".encode("latin-1")

    @contextmanager
    def _answer(self, method: str, head: bytes, timeout_s: float, pieces: Any = None) -> Iterator[http.client.HTTPResponse]:
        """Send, wait for the answer's head and hand it out; afterwards keep the connection if the answer was read to its end."""
        answer = self._exchange(method, head, timeout_s, pieces)
        try:
            yield answer
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"the answer broke off: {error}") from error
        except BaseException:
            self.close()
            raise
        finally:
            if answer.will_close or not answer.isclosed():
                self.close()

    def _exchange(self, method: str, head: bytes, timeout_s: float, pieces: Any) -> http.client.HTTPResponse:
        kept = self._connection is not None
        try:
            return self._sent(method, head, timeout_s, pieces)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # A kept connection may have been closed by the server just now. A timeout is no such thing: the server had its time.
            if not kept or self._broken_off or isinstance(error, TimeoutError):
                raise Unreachable(str(error) or type(error).__name__) from error
        try:
            return self._sent(method, head, timeout_s, pieces)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(str(error) or type(error).__name__) from error

    def _sent(self, method: str, head: bytes, timeout_s: float, pieces: Any) -> http.client.HTTPResponse:
        if self._connection is None:
            if self._tls is not None:
                self._connection = http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_S_MAX, context=self._tls)
            else:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_S_MAX)
            self._connection.connect()                                      # sets TCP_NODELAY
        sock = self._connection.sock
        if sock is None or self._broken_off:
            raise ConnectionAbortedError("broken off")
        sock.settimeout(timeout_s)
        sock.sendall(head)
        with suppress(BrokenPipeError, ConnectionResetError):               # a refusal may come before the body has gone out: read it
            for piece in pieces() if pieces else ():
                sock.sendall(piece)
        answer = http.client.HTTPResponse(sock, method=method)
        answer.begin()
        return answer


def _trusting(pinned: str) -> ssl.SSLContext:
    """The machine's authorities, or exactly the certificate in the file `pinned`, whatever name it carries. OSError, ssl.SSLError."""
    context = ssl.create_default_context(cafile=pinned or None)
    if pinned:
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _reply(answer: http.client.HTTPResponse, body: bytes) -> Reply:
    if not answer.isclosed():
        answer.read()
    return Reply(answer.status, {name.lower(): text for name, text in answer.getheaders()}, body)
