"""Values and faults to responses, responses to bytes. The one renderer of errors (RFC 9457 problem+json).

A reply is one buffer, head and body together: two segments cost a keep-alive client 40 ms (Nagle's algorithm against delayed acknowledgements).
"""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any

from router.http.messages import JSON_TYPE, Request, Response, Stream
from router.http.wirejson import encode
from state.errors import Fault

__all__ = ("CONTINUE", "Renderer", "encode", "json_response", "problem", "problem_document")

SERVER_NAME = "Yardmaster"
PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_S = 1                     # where a 429 or 503 names no better time
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_BODILESS = frozenset((204, 304))
_RENAMED = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}      # as RFC 9110; the standard library since 3.13


def json_response(status: int, value: Any, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """A reply whose body is `value` as JSON."""
    return Response(status, encode(value), headers, JSON_TYPE)


def problem_document(fault: Fault) -> dict[str, Any]:
    """The members of a fault's problem document; an item of a batch reply is one of these with an `index`."""
    document: dict[str, Any] = {"type": "about:blank", "title": _title(fault.status), "status": fault.status, "detail": fault.detail,
                                "code": fault.code}
    if fault.pointer is not None:
        document["pointer"] = fault.pointer
    if fault.hint is not None:
        document["hint"] = fault.hint
    for name, value in fault.members.items():
        document.setdefault(name, value)
    return document


def problem(fault: Fault, request_id: str = "") -> Response:
    """A fault as its reply. `request_id` becomes a member where the server is at fault, so that a user can quote it."""
    document = problem_document(fault)
    if request_id and fault.status >= 500:
        document["request_id"] = request_id
    headers: list[tuple[str, str]] = []
    retry_after_s = fault.retry_after_s
    if retry_after_s is None and fault.status in (429, 503):
        retry_after_s = RETRY_AFTER_S
    if retry_after_s is not None:
        headers.append(("Retry-After", str(retry_after_s)))
    if fault.status == 401:
        headers.append(("WWW-Authenticate", "Bearer"))
    if fault.status == 405:
        allow = fault.members.get("allow", ())
        headers.append(("Allow", allow if isinstance(allow, str) else ", ".join(allow)))
    return Response(fault.status, document, headers, PROBLEM_TYPE)


def _title(status: int) -> str:
    """The phrase of a status, from the standard library's table."""
    return _RENAMED.get(status) or BaseHTTPRequestHandler.responses.get(status, ("Unknown", ""))[0]


class Renderer:
    """Responses to bytes. Keeps the part of a head that replies of the same second share."""

    def __init__(self) -> None:
        self._second = -1
        self._date = ""
        self._starts: dict[tuple[int, str], str] = {}

    def tick(self, wall: float) -> None:
        """Tell the time: called once a turn, so that the Date header is right."""
        if int(wall) != self._second:
            self._second = int(wall)
            self._date = formatdate(self._second, usegmt=True)
            self._starts.clear()

    def reply(self, response: Response, request_id: str, method: str = "GET", closing: str = "") -> bytes:
        """Head and body in one buffer. `closing` is a Connection header line or empty; HEAD drops the body and keeps its length."""
        status = response.status
        start = self._starts.get((status, response.content_type)) or self._start(status, response.content_type)
        body = response.body
        if response.headers:
            closing += "".join([f"{name}: {value}\r\n" for name, value in response.headers])
        if status in _BODILESS:
            return f"{start}{request_id}\r\n{closing}\r\n".encode("latin-1")
        head = f"{start}{request_id}\r\nContent-Length: {len(body)}\r\n{closing}\r\n".encode("latin-1")
        return head if method == "HEAD" else head + body

    def stream_head(self, stream: Stream, request_id: str, closing: str) -> bytes:
        """The head of a stream; `closing` holds its Transfer-Encoding and Connection lines."""
        length = "" if stream.length is None else f"Content-Length: {stream.length}\r\n"
        fields = "".join([f"{name}: {value}\r\n" for name, value in stream.headers])
        return f"{self._start(stream.status, stream.content_type)}{request_id}\r\n{length}{fields}{closing}\r\n".encode("latin-1")

    def _start(self, status: int, content_type: str) -> str:
        kind = f"Content-Type: {content_type}\r\n" if content_type else ""
        start = f"HTTP/1.1 {status} {_title(status)}\r\nServer: {SERVER_NAME}\r\nDate: {self._date}\r\n{kind}X-Request-Id: "
        self._starts[status, content_type] = start
        return start


def closing_line(request: Request, keep: bool) -> str:
    """The Connection header line of a reply: said only where the version would suggest otherwise."""
    if keep:
        return "" if request.version == "HTTP/1.1" else "Connection: keep-alive\r\n"
    return "Connection: close\r\n"
