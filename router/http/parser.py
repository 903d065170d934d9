"""Bytes to request heads and bodies. Pure: no socket, no clock. What is not one unambiguous HTTP/1.x request raises a Fault.

Rule 1: a head is checked whole against one pattern before anything in it is used, so no reading of it can differ from another parser's.
Rule 2: a request has at most one length. Whatever could be read in two ways is refused (RFC 9112 section 6.1).
Rule 3: everything is bounded: head, target, fields, chunk lines, trailers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import unquote_to_bytes

from router.http.bounds import EngineLimits
from state.errors import BadRequest, BodyTooLarge, ExpectationFailed, HeadTooLarge, NotImplementedMethod, UriTooLong, VersionNotSupported

CHUNKED = -1                          # a Head's `length` when the body says where it ends
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))
ONCE = frozenset(("host", "content-length", "content-type", "authorization", "origin", "idempotency-key"))
REST_OF_LINE_BYTES = 32               # a request line without its target
LENGTH_DIGITS_MAX = 18                # more is over every limit, and int() of thousands of digits is slow
CHUNK_LINE_BYTES_MAX = 256            # a size and its extensions, which nobody uses
CHUNK_SPARE_BYTES_MAX = 16 * 1024     # framing beyond what honest chunks of a few hundred bytes need: a body must not cost 100 times its length
CHUNKS_PER_FEED_MAX = 1_000          # about 2 ms: one read may hold 10,000 chunks of a byte
TRAILER_BYTES_MAX = 4 * 1024         # trailers are dropped, so there is no reason to take many
REQUEST_ID_CHARACTERS_MAX = 128

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_VALUE = r"[\t\x20-\x7e\x80-\xff]"
_REQUEST_LINE = re.compile(rf"({_TOKEN}++) ([\x21-\x7e]++) HTTP/([0-9])\.([0-9])")
_FIELDS = re.compile(rf"(?:{_TOKEN}++:{_VALUE}*+\r\n)*")
_FIELD_NAME = re.compile(rf"{_TOKEN}+:")
_BARE = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\0")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'*+();=]*)(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://([^/?]+)(.*)")
_REQUEST_ID = re.compile(rf"[\x21-\x7e]{{1,{REQUEST_ID_CHARACTERS_MAX}}}")
_CHUNK_LINE = re.compile(rf"([0-9A-Fa-f]{{1,15}})(?:[ \t]*;{_VALUE}*)?".encode("latin-1"))
_TRAILER_LINE = re.compile(rf"{_TOKEN}+:{_VALUE}*".encode("latin-1"))


class Head:
    """A request head. It is shared by all requests with the same bytes and never changed."""

    __slots__ = ("expect", "headers", "keep_alive", "length", "method", "path", "query", "request_id", "target", "version")

    def __init__(self, method: str, target: str, path: str, query: str, version: str, headers: Mapping[str, str]) -> None:
        self.method = method
        self.target = target
        self.path = path                          # percent-decoded
        self.query = query                        # as sent, without the question mark
        self.version = version                    # "HTTP/1.1" or "HTTP/1.0"
        self.headers = headers
        self.length = _body_length(headers, version)
        self.expect = _expects_continue(headers, version)
        self.keep_alive = _keeps_alive(headers, version)
        sent_id = headers.get("x-request-id", "")
        self.request_id = sent_id if _REQUEST_ID.fullmatch(sent_id) else ""


def head_end(buffer: bytes, scanned: int, limits: EngineLimits) -> int:
    """Where the head at the start of `buffer` ends (after its empty line), or 0 while it is incomplete.

    `scanned` bytes were looked at before. What can never become a good head is refused before it is complete.
    """
    start = 2 if buffer.startswith(b"\r\n") else 0      # one empty line before a request is tolerated (RFC 9112 section 2.2)
    end = buffer.find(b"\r\n\r\n", max(start, scanned - 3)) + 4
    if 4 <= end <= limits.head_bytes_max + start:
        return end
    if buffer.startswith(b"\r\n", start):
        raise BadRequest("an empty line stands where the request line ought to be")
    line_end = buffer.find(b"\r\n", start)
    if (line_end if line_end >= 0 else len(buffer)) - start > limits.target_bytes_max + REST_OF_LINE_BYTES:
        raise UriTooLong(f"the request target is over {limits.target_bytes_max} bytes")
    if len(buffer) - start > limits.head_bytes_max:
        raise HeadTooLarge(f"the request head is over {limits.head_bytes_max} bytes")
    if _BARE.search(buffer, max(start, scanned - 1)):
        raise BadRequest("a head has a bare carriage return, a bare line feed or a NUL")
    return 0


def parse_head(head: bytes, limits: EngineLimits) -> Head:
    """The head in `head`, which ends with its empty line. Raises BadRequest and its relatives."""
    text = head.decode("latin-1")
    line, _, rest = text.removeprefix("\r\n").partition("\r\n")
    block = rest[:-2]
    match = _REQUEST_LINE.fullmatch(line)
    if not match:
        raise BadRequest(_what_is_wrong_with_line(line))
    method, target, major, minor = match.groups()
    if major != "1" or minor not in "01":
        raise VersionNotSupported(f"this server speaks HTTP/1.1 and HTTP/1.0, not HTTP/{major}.{minor}")
    if len(target) > limits.target_bytes_max:
        raise UriTooLong(f"the request target has {len(target)} bytes, at most {limits.target_bytes_max} are taken")
    if not _FIELDS.fullmatch(block):
        raise BadRequest(_what_is_wrong_with_fields(block))
    if method not in METHODS:
        raise NotImplementedMethod(f"the method {method[:20]} is not known here")
    headers = _headers(block, limits)
    version = "HTTP/1.1" if minor == "1" else "HTTP/1.0"
    host = headers.get("host")
    if host is None and minor == "1":
        raise BadRequest("the Host header is missing")
    if host and not _AUTHORITY.fullmatch(host):
        raise BadRequest("the Host header is not a host name with an optional port")
    authority, path, query = split_target(method, target)
    if authority:
        headers["host"] = authority
    return Head(method, target, path, query, version, headers)


def split_target(method: str, target: str) -> tuple[str, str, str]:
    """(authority of an absolute target or "", percent-decoded path, query as sent) of a request target."""
    authority, rest = "", target
    absolute = _ABSOLUTE.fullmatch(target) if target[0] != "/" else None
    if absolute:
        authority, rest = absolute[1], absolute[2]
        if not _AUTHORITY.fullmatch(authority):
            raise BadRequest("the host of the request target is not a host name with an optional port")
        rest = rest if rest.startswith("/") else "/" + rest
    elif target[0] != "/" and not (target == "*" and method == "OPTIONS"):
        raise BadRequest("the request target is neither a path nor an http URL")
    if "#" in rest:
        raise BadRequest("the request target has a fragment")
    path, _, query = rest.partition("?")
    if "%" in rest:
        if _BAD_ESCAPE.search(rest):
            raise BadRequest("the request target has a percent sign without two hex digits, or an encoded NUL")
        try:
            path = unquote_to_bytes(path).decode()
        except UnicodeDecodeError:
            raise BadRequest("the path is not UTF-8 after percent-decoding") from None
    return authority, path, query


def _headers(block: str, limits: EngineLimits) -> dict[str, str]:
    """Lower-case name to value; a repeated field is a list, but for those that may come once."""
    headers: dict[str, str] = {}
    lines = block.split("\r\n")
    if len(lines) - 1 > limits.header_fields_max:
        raise HeadTooLarge(f"the request has {len(lines) - 1} header fields, at most {limits.header_fields_max} are taken")
    for line in lines[:-1]:
        name, _, value = line.partition(":")
        name = name.lower()
        value = value.strip(" \t")
        if name in headers:
            if name in ONCE:
                raise BadRequest(f"the {name} header comes twice")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _body_length(headers: Mapping[str, str], version: str) -> int:
    """Bytes of the body, or CHUNKED."""
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        if length is not None:
            raise BadRequest("Content-Length and Transfer-Encoding exclude each other")
        if version == "HTTP/1.0":
            raise BadRequest("HTTP/1.0 has no Transfer-Encoding")
        if coding.lower() != "chunked":
            raise NotImplementedMethod("the only transfer coding known here is chunked")
        return CHUNKED
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit()):
        raise BadRequest("Content-Length is not a number")
    if len(length) > LENGTH_DIGITS_MAX:
        raise BodyTooLarge("Content-Length is over every limit")
    return int(length)


def _expects_continue(headers: Mapping[str, str], version: str) -> bool:
    expect = headers.get("expect")
    if expect is None or version == "HTTP/1.0":
        return False
    if expect.lower() != "100-continue":
        raise ExpectationFailed("the only expectation known here is 100-continue")
    return True


def _keeps_alive(headers: Mapping[str, str], version: str) -> bool:
    wishes = headers.get("connection")
    if wishes is None:
        return version == "HTTP/1.1"
    words = {word.strip(" \t") for word in wishes.lower().split(",")}
    return "close" not in words and (version == "HTTP/1.1" or "keep-alive" in words)


def _what_is_wrong_with_line(line: str) -> str:
    """A sentence for a request line that does not match."""
    words = line.split(" ")
    if any(character > "~" for character in line):
        return "the request target has bytes beyond ASCII: percent-encode them"
    if len(words) == 3 and all(words):
        return "the request line is not METHOD TARGET HTTP/1.1"
    return f"the request line has {len([word for word in words if word])} words where three, with single spaces, are taken"


def _what_is_wrong_with_fields(block: str) -> str:
    """A sentence for the first header line that does not match."""
    for number, line in enumerate(block.split("\r\n")[:-1], 1):
        if line[:1] in (" ", "\t"):
            return f"header line {number} is folded"
        name, colon, _ = line.partition(":")
        if not colon:
            return f"header line {number} has no colon"
        if name != name.rstrip(" \t"):
            return f"header line {number} has a space before its colon"
        if not _FIELD_NAME.match(line):
            return f"the name of header line {number} is empty or has a character that no name has"
        if not _FIELDS.fullmatch(line + "\r\n"):
            return f"the value of header line {number} has a control character"
    return "the header fields cannot be read"


class BodyReader(Protocol):
    """Takes the bytes behind a head until the body is whole: `rest` is then what follows it. `behind`: there is more to take in what was fed."""

    behind: bool
    done: bool
    rest: bytes

    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`, which follows what was fed before."""


class Fixed:
    """A body of known length."""

    behind = False

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`."""
        if len(data) < self.left:
            self.left -= len(data)
            return data
        piece, self.rest = (data, b"") if len(data) == self.left else (data[:self.left], data[self.left:])
        self.left = 0
        self.done = True
        return piece


class Chunked:
    """A chunked body. Extensions are ignored and trailers dropped, both within bounds. `stage` is size, data, end or trailer."""

    def __init__(self) -> None:
        self.behind = False
        self.done = False
        self.rest = b""
        self._stage = "size"
        self._left = 0                # bytes of the present chunk, or of trailers that may still come
        self._spare = CHUNK_SPARE_BYTES_MAX

    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`, chunks joined; where these are very many, those of the first, and `behind` is set: feed again."""
        buffer, self.rest = self.rest + data, b""
        pieces: list[bytes] = []
        at, left = 0, CHUNKS_PER_FEED_MAX
        while not self.done and left:
            left -= 1
            if self._stage == "data":
                piece = buffer[at:at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._stage = "end"
            if self._stage == "end":
                if len(buffer) - at < 2:
                    if buffer[at:] not in (b"", b"\r"):
                        raise BadRequest("a chunk does not end with CRLF")
                    break
                if buffer[at:at + 2] != b"\r\n":
                    raise BadRequest("a chunk does not end with CRLF")
                at += 2
                self._stage = "size"
            line_end = buffer.find(b"\r\n", at)
            if line_end < 0:
                self._refuse_hopeless_line(buffer, at)
                break
            self._line(buffer[at:line_end])
            at = line_end + 2
        self.rest = buffer[at:]
        self.behind = not left and not self.done
        return b"".join(pieces) if len(pieces) != 1 else pieces[0]

    def _line(self, line: bytes) -> None:
        """Take a whole chunk-size or trailer line, without its CRLF."""
        if self._stage == "trailer":
            if not line:
                self.done = True
                return
            self._left -= len(line) + 2
            if self._left < 0:
                raise HeadTooLarge(f"the trailers are over {TRAILER_BYTES_MAX} bytes")
            if not _TRAILER_LINE.fullmatch(line):
                raise BadRequest("a trailer is not a header field")
            return
        match = _CHUNK_LINE.fullmatch(line) if len(line) <= CHUNK_LINE_BYTES_MAX else None
        if not match:
            raise BadRequest("a chunk size is not a hex number of at most 15 digits with a short extension")
        self._left = int(match[1], 16)
        self._spare = min(CHUNK_SPARE_BYTES_MAX, self._spare - len(line) + 16 + 2 * self._left)
        if self._spare < 0:
            raise BadRequest("the chunks are far smaller than their framing")
        self._stage = "data"
        if self._left == 0:
            self._stage, self._left = "trailer", TRAILER_BYTES_MAX

    def _refuse_hopeless_line(self, buffer: bytes, at: int) -> None:
        """An incomplete line that can no longer become a good one."""
        longest = self._left if self._stage == "trailer" else CHUNK_LINE_BYTES_MAX
        if len(buffer) - at > longest + 1:
            if self._stage == "trailer":
                raise HeadTooLarge(f"the trailers are over {TRAILER_BYTES_MAX} bytes")
            raise BadRequest("a chunk size line is too long")
        if _BARE.search(buffer, at):
            raise BadRequest("a chunk size or trailer line has a bare carriage return, a bare line feed or a NUL")
