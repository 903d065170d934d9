"""A second reading of RFC 9112: slow, plain and written apart from the parser, so that tests can ask two readers the same thing.

It reads what a client sent on one connection, as this server promises to: CRLF alone ends lines, a request has one length, what could be read in two
ways is refused. It knows no limits but those of chunks, so what is sent to it must stay within the others.
"""

from __future__ import annotations

from typing import NamedTuple

TCHAR = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
FIELD = frozenset([9, *range(0x20, 0x7f), *range(0x80, 0x100)])
HOST = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%!$&'*+();=")
HEX = frozenset(b"0123456789abcdefABCDEF")
KNOWN = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE")
SINGLE = (b"host", b"content-length", b"content-type", b"authorization", b"origin", b"idempotency-key")
CHUNK_LINE_MAX = 256


class Seen(NamedTuple):
    """A request as a handler sees it."""

    method: str
    target: str
    body: bytes


class Reading(NamedTuple):
    """The requests, and how it ends: `refused` (no byte behind them may be run), `closed` (as the last of them asked), `whole`, or `partial`."""

    requests: list[Seen]
    end: str


class Refused(Exception):
    """Not one unambiguous request."""


class Partial(Exception):
    """More bytes could make it one."""


def read(data: bytes) -> Reading:
    """All requests in what a client sent before it ended its side."""
    requests: list[Seen] = []
    at = 0
    while at < len(data) and data[at:] != b"\r\n":
        try:
            seen, at, stays = _request(data, at)
        except Refused:
            return Reading(requests, "refused")
        except Partial:
            return Reading(requests, "partial")
        requests.append(seen)
        if not stays:
            return Reading(requests, "closed")
    return Reading(requests, "whole")


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    """A line without its end, and where the next one begins."""
    for i in range(at, len(data)):
        if data[i] in (0, 10):
            raise Refused
        if data[i] == 13:
            if i + 1 == len(data):
                raise Partial
            if data[i + 1] != 10:
                raise Refused
            return data[at:i], i + 2
    raise Partial


def _request(data: bytes, at: int) -> tuple[Seen, int, bool]:
    if data[at:at + 2] == b"\r\n":
        at += 2
    start, at = _line(data, at)
    lines = []
    while True:
        line, at = _line(data, at)
        if not line:
            break
        lines.append(line)
    words = start.split(b" ")
    if len(words) != 3 or not words[0] or not set(words[0]) <= TCHAR or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Refused
    method, target, version = words
    fields = _fields(lines)
    _target(method, target)
    if method not in KNOWN or (b"host" not in fields and version == b"HTTP/1.1"):
        raise Refused
    _authority(fields.get(b"host", b""))
    if b"expect" in fields and version == b"HTTP/1.1" and fields[b"expect"].lower() != b"100-continue":
        raise Refused
    body, at = _body(data, at, fields, version)
    wishes = [wish.strip(b" \t") for wish in fields.get(b"connection", b"").lower().split(b",")]
    stays = b"close" not in wishes and (version == b"HTTP/1.1" or b"keep-alive" in wishes)
    return Seen(method.decode(), target.decode(), body), at, stays


def _fields(lines: list[bytes]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or not set(name) <= TCHAR or not set(value) <= FIELD:
            raise Refused
        name, value = name.lower(), value.strip(b" \t")
        if name in fields and name in SINGLE:
            raise Refused
        fields[name] = fields[name] + b", " + value if name in fields else value
    return fields


def _target(method: bytes, target: bytes) -> None:
    if not target or not all(0x21 <= byte <= 0x7e for byte in target) or b"#" in target:
        raise Refused
    if target[:7].lower() == b"http://" or target[:8].lower() == b"https://":
        authority, slash, path = target.partition(b"//")[2].partition(b"/")
        if b"?" in authority:
            authority, _, query = authority.partition(b"?")
            path = b"?" + query + slash + path
        if not authority:
            raise Refused
        _authority(authority)
    elif target[:1] == b"/":
        path = target
    elif target == b"*" and method == b"OPTIONS":
        return
    else:
        raise Refused
    at = path.find(b"%")
    while at >= 0:
        code = path[at + 1:at + 3]
        if len(code) != 2 or not set(code) <= HEX or code == b"00":
            raise Refused
        at = path.find(b"%", at + 1)
    try:
        _decoded(path.partition(b"?")[0]).decode()
    except UnicodeDecodeError:
        raise Refused from None


def _decoded(path: bytes) -> bytes:
    first, *rest = path.split(b"%")
    return first + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in rest)


def _authority(host: bytes) -> None:
    name, _, port = host.rpartition(b":") if b":" in host and not host.endswith(b"]") else (host, b"", b"")
    if len(port) > 5 or not set(port) <= frozenset(b"0123456789"):
        raise Refused
    if name[:1] == b"[":
        if name[-1:] != b"]" or len(name) < 3 or not set(name[1:-1]) <= HEX | frozenset(b":."):
            raise Refused
    elif not set(name) <= HOST:
        raise Refused


def _body(data: bytes, at: int, fields: dict[bytes, bytes], version: bytes) -> tuple[bytes, int]:
    coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if coding is not None:
        if length is not None or version == b"HTTP/1.0" or coding.lower() != b"chunked":
            raise Refused
        return _chunks(data, at)
    if length is None:
        return b"", at
    if not length or not set(length) <= frozenset(b"0123456789"):
        raise Refused
    if len(data) - at < int(length):
        raise Partial
    return data[at:at + int(length)], at + int(length)


def _chunks(data: bytes, at: int) -> tuple[bytes, int]:
    body = b""
    while True:
        line, at = _line(data, at)
        digits = len(line) - len(line.lstrip(bytes(HEX)))
        after = line[digits:]
        if not 0 < digits <= 15 or len(line) > CHUNK_LINE_MAX:
            raise Refused
        if after and (after.lstrip(b" \t")[:1] != b";" or not set(after) <= FIELD):
            raise Refused
        size = int(line[:digits], 16)
        if size == 0:
            break
        if len(data) - at < size + 2:
            if len(data) - at > size and data[at + size] != 13:
                raise Refused
            raise Partial
        if data[at + size:at + size + 2] != b"\r\n":
            raise Refused
        body += data[at:at + size]
        at += size + 2
    while True:
        line, at = _line(data, at)
        if not line:
            return body, at
        name, colon, value = line.partition(b":")
        if not colon or not name or not set(name) <= TCHAR or not set(value) <= FIELD:
            raise Refused
