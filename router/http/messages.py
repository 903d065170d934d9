"""What a handler takes and gives. Values only: no socket, no clock, no state.

A handler gets a `Request` and returns a `Response` (now), a `Park` (later, when a key is woken or time is up), a `Stream` (piece by piece) or an
`Offload` (after a blocking call on a helper thread). A route that takes an upload answers `admit` with a `Receive`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeAlias, final
from urllib.parse import parse_qsl

from router.http import wirejson
from router.http.bounds import EngineLimits
from router.http.parser import Head, parse_head
from state.errors import InvalidQuery

JSON_TYPE = "application/json"
QUERY_NAMES_MAX = 100                 # of one request; no route takes ten

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@final
class Request:
    """One request. `headers` is shared between requests with the same head: read it, never change it. `params` is the router's to set."""

    __slots__ = ("_query", "_query_text", "body", "headers", "keep_alive", "method", "params", "path", "peer", "received", "request_id", "target",
                 "version")

    def __init__(self, head: Head, peer: str, request_id: str, received: float) -> None:
        self.method = head.method
        self.target = head.target                      # as sent
        self.path = head.path                          # percent-decoded, UTF-8
        self.version = head.version                    # "HTTP/1.1" or "HTTP/1.0"
        self.headers: Mapping[str, str] = head.headers # lower-case names; a repeated list header is joined by ", "
        self.keep_alive = head.keep_alive              # whether the client wants the connection to stay
        self.request_id = head.request_id or request_id
        self.peer = peer                               # the client's address
        self.received = received                       # monotonic seconds
        self.body = b""
        self.params: dict[str, str] = {}
        self._query_text = head.query
        self._query: dict[str, str] | None = None

    @classmethod
    def of(cls, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None, received: float = 0.0) -> Request:
        """A request that never crossed a wire, for tests and for calls inside the house. Raises as the parser does."""
        fields = {"host": "localhost", **{name.lower(): value for name, value in (headers or {}).items()}}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = parse_head(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"), EngineLimits())
        request = cls(head, "127.0.0.1", "r-0", received)
        request.body = body
        return request

    @property
    def query(self) -> dict[str, str]:
        """The query parameters, percent-decoded. A repeated name or text that is not UTF-8 raises InvalidQuery."""
        if self._query is None:
            self._query = _parsed_query(self._query_text) if self._query_text else {}
        return self._query

    def json(self) -> Any:
        """The body as strict JSON, parsed at each call. Raises InvalidJson with line and column."""
        return wirejson.decode(self.body)


def _parsed_query(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=QUERY_NAMES_MAX)
    except UnicodeDecodeError:
        raise InvalidQuery("the query is not UTF-8 after percent-decoding") from None
    except ValueError:
        raise InvalidQuery(f"the query has more than {QUERY_NAMES_MAX} parameters") from None
    query: dict[str, str] = {}
    for name, value in pairs:
        if name in query:
            raise InvalidQuery(f"the query parameter {name[:100]!r} comes twice", pointer=name[:100])
        query[name] = value
    return query


@final
class Response:
    """A whole reply. A body that is not bytes is a JSON value and is encoded here, once; `headers` are (name, value) pairs."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(self, status: int, body: Any = b"", headers: Iterable[tuple[str, str]] = (), content_type: str | None = None) -> None:
        self.status = status
        if isinstance(body, bytes):
            self.body = body
            self.content_type = content_type or ("application/octet-stream" if body else "")
        else:
            self.body = wirejson.encode(body)
            self.content_type = content_type or JSON_TYPE
        self.headers = _checked(headers) if headers else ()
        if self.content_type is not JSON_TYPE and not _HEADER_VALUE.fullmatch(self.content_type):
            raise ValueError(f"{self.content_type[:100]!r} cannot be sent as a content type")


def _checked(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The pairs, or ValueError where one would break the reply's head."""
    pairs = tuple(headers)
    for name, value in pairs:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the header {name!r} cannot be sent with the value {value[:100]!r}")
    return pairs


@final
class Park:
    """The reply comes later: `resume(timed_out)` is called when `key` is woken, or with True at `until` (monotonic seconds). One key: a tuple is one.

    `gone` is called, in a unit, when the park ends in any other way: the client left, or the commit of the turn that parked it failed.
    """

    __slots__ = ("gone", "key", "resume", "until")

    def __init__(self, key: Hashable, until: float, resume: Callable[[bool], Outcome], gone: Callable[[], None] | None = None) -> None:
        hash(key)                                      # a key that cannot be waited for fails here, in the handler
        self.key = key
        self.until = until
        self.resume = resume
        self.gone = gone


class Wait(enum.Enum):
    """The one answer of `pull` that is neither bytes nor an end."""
    WAIT = "wait"


WAIT = Wait.WAIT


@final
class Stream:
    """A reply in pieces. `pull()` is called after a commit while the client keeps up: bytes are sent, None ends the reply, WAIT parks it until
    `key` is woken.

    `length` is Content-Length where it is known; else HTTP/1.1 gets chunks, and HTTP/1.0 an end by closing. `closed` is called once, in a unit,
    however the stream ends, and also when it never began.
    """

    __slots__ = ("closed", "content_type", "headers", "key", "length", "pull", "status")

    def __init__(self, status: int, headers: Iterable[tuple[str, str]], content_type: str, key: Hashable, pull: Callable[[], bytes | Wait | None],
                 closed: Callable[[], None] | None = None, length: int | None = None) -> None:
        hash(key)
        self.status = status
        self.headers = _checked((("Content-Type", content_type), *headers))[1:]
        self.content_type = content_type
        self.key = key
        self.pull = pull
        self.closed = closed
        self.length = length


@final
class Offload:
    """`call()` runs on a helper thread after the turn's commit and may only block, not compute; `then(its value or exception)` runs on the loop
    in a unit and gives the reply. `then` runs even if the client has left."""

    __slots__ = ("call", "then")

    def __init__(self, call: Callable[[], Any], then: Callable[[Any], Outcome]) -> None:
        self.call = call
        self.then = then


@final
class Receive:
    """An upload: `write(chunk)` is called on a helper thread, in order, for all bytes of the body; then `finish()` on the loop, in a unit.

    `abort()` is called on a helper thread, after the last write, when the client vanishes or breaks the rules, when `write` raised (its Fault is the
    reply) or when `finish` raised. `bytes_max` of None is the engine's limit for artifacts.
    """

    __slots__ = ("abort", "bytes_max", "finish", "write")

    def __init__(self, write: Callable[[bytes], object], finish: Callable[[], Outcome], abort: Callable[[], object],
                 bytes_max: int | None = None) -> None:
        self.write = write
        self.finish = finish
        self.abort = abort
        self.bytes_max = bytes_max


Outcome: TypeAlias = Response | Park | Stream | Offload
OUTCOMES = frozenset((Response, Park, Stream, Offload))
