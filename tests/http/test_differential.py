"""Our parser beside the standard library's (`http.server` for the head, `http.client.parse_headers` for its fields) over generated requests.

The verdict is the same, and so is what was read; or ours is stricter, for a reason that is in STRICTER. Where ours takes what theirs does not, the
reason is in LAXER. A difference that no row explains fails the test.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from http.client import HTTPException, parse_headers
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Any, NamedTuple

from router.http.bounds import EngineLimits
from router.http.parser import Head, head_end, parse_head
from state.errors import Fault
from tests import kit
from tests.kit import same

LIMITS = EngineLimits()
CASES, LONG_CASES = 10_000, 100_000

STRICTER = (                                           # (what ours says, what theirs does with it, why ours refuses)
    ("the request line has|is not METHOD TARGET", "splits at any white space, also several, a tab or a form feed; two words are HTTP/0.9",
     "a proxy that splits at single spaces sees another target"),
    ("percent-encode them", "reads the line as Latin-1", "bytes beyond ASCII have no one meaning in a target"),
    ("speaks HTTP/1.1 and HTTP/1.0", "takes 0.9, 1.2 and 1.9, and numbers of up to ten digits",
     "RFC 9112 2.3: a version is DIGIT.DIGIT, and 1.2 is nobody's"),
    ("is not known here", "leaves the method to the handler", "RFC 9110 9.1: an unknown method is 501; none of ours would be found for it"),
    ("Host header is missing", "needs none", "RFC 9112 3.2: a request of HTTP/1.1 without Host is 400"),
    ("host header comes twice", "keeps both", "RFC 9112 3.2; a proxy may route by the other one"),
    ("Host header is not a host name", "keeps any text", "RFC 9112 3.2; what is no authority is compared with nothing"),
    ("header comes twice", "keeps both", "what may come once has no second reading"),
    ("is neither a path nor an http URL|host of the request target", "keeps any text as the path", "RFC 9112 3.2 has four forms of a target"),
    ("has a fragment", "keeps it", "a fragment is never sent; parsers cut it or keep it"),
    ("percent sign without two hex digits|UTF-8 after percent-decoding", "does not decode", "it has no one decoding"),
    ("is folded", "joins the lines", "RFC 9112 5.2: 400, or a proxy sees two headers"),
    ("has no colon", "ends the head there, what follows is a body", "the classic way to hide a header"),
    ("space before its colon", "ends the head there, or takes the space into the name", "RFC 9112 5.1: 400"),
    ("is empty or has a character", "takes most characters into a name", "RFC 9110 5.1: a name is a token"),
    ("has a control character", "keeps it", "RFC 9110 5.5: CR, LF and NUL are dangerous, the others invalid"),
    ("bare carriage return", "takes a bare line feed for an end of line, and CR and NUL for text", "two parsers cut the lines differently"),
    ("Content-Length is not a number", "leaves it to the handler, where int() takes ' 5', '+5', '5_0'", "RFC 9112 6.3: 400"),
    ("Content-Length is over", "leaves it to the handler", "over every limit"),
    ("exclude each other", "knows no Transfer-Encoding", "RFC 9112 6.1: the attack of attacks"),
    ("HTTP/1.0 has no", "knows no Transfer-Encoding", "RFC 9112 6.1: framing that cannot be trusted"),
    ("only transfer coding", "knows no Transfer-Encoding", "RFC 9112 6.1: 501"),
    ("only expectation", "ignores it", "RFC 9110 10.1.1: 417"),
    ("request target is over|request target has \\d+ bytes", "takes 64 KiB of request line", "DESIGN: 8 KiB"),
    ("head is over", "takes 100 lines of 64 KiB", "DESIGN: 32 KiB"),
)
LAXER = (                                              # (what is so of the bytes, why ours takes them)
    (rb"\A\r\n[^\r\n]", "RFC 9112 2.2: one empty line before a request is ignored; theirs ends the connection"),
    (rb"(?:\r\n[^\r\n]*){100}\r\n\r\n\Z", "theirs counts the empty line: 100 fields are one too many for it"),
)
SAME_BUT = (                                           # (which part, why the two readings differ where both are right)
    ("path", "theirs makes // at the start of a target one slash, so that a redirect made from it stays here; ours makes no such redirect"),
    ("keep_alive", "theirs compares the first Connection header as a whole with one word; ours reads the list that it is (RFC 9110 7.6.1)"),
)


class Theirs(NamedTuple):
    """What the standard library read."""

    method: str
    target: str
    version: str
    fields: dict[str, list[str]]
    keep_alive: bool


class Stock(BaseHTTPRequestHandler):
    """The standard library's handler without a socket. It is asked to parse, and what it says of an error is its verdict."""

    protocol_version = "HTTP/1.1"

    def __init__(self, head: bytes) -> None:
        self.rfile = BytesIO(head)
        self.refused = ""
        self.headers_sent: list[Any] = []

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Note the verdict."""
        self.refused = f"{int(code)} {message or explain}"

    def handle_expect_100(self) -> bool:
        """Nothing is sent."""
        return True


def theirs(head: bytes) -> Theirs | str:
    """The reading of the standard library, or its refusal."""
    stock = Stock(head)
    stock.raw_requestline = stock.rfile.readline(65537)
    if len(stock.raw_requestline) > 65536:
        return "414"
    try:
        if not stock.parse_request():
            return stock.refused or "no words"
    except (HTTPException, UnicodeError, ValueError) as error:
        return repr(error)
    fields: dict[str, list[str]] = {}
    for name, value in stock.headers.items():
        fields.setdefault(name.lower(), []).append(value)
    unread = stock.rfile.read()
    if unread:
        return f"ends the head {len(unread)} bytes early"
    return Theirs(stock.command, stock.path, stock.request_version, fields, not stock.close_connection)


def ours(head: bytes) -> Head | Fault | None:
    """Our reading, our refusal, or None where we wait for more bytes."""
    try:
        end = head_end(head, 0, LIMITS)
        return parse_head(head[:end], LIMITS) if end else None
    except Fault as fault:
        return fault


TARGETS = ("/", "/a", "/a/b?c=d&e", "/%41", "/%zz", "/%00", "/%ff", "//a", "/a#b", "*", "a", "http://a/b", "http://a:80", "https://a@b/c", "/a b",
           "/é", "/\t", "",
           "/a%", "/a?%g", "/" + "a" * 9_000, "a:443", "?", "/;p=1", "/..", "/./a", "///", "/a//b")
METHODS = ("GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "get", "BREW", "CONNECT", "G ET", "", "G@T", "TRACE", "PATCH", "É")
VERSIONS = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/11", "HTTP/1.10", "HTTP/1.01", "HTTP/1.a",
            "http/1.1", "HTTP/",
            "", "HTTP/1.1 ", "HTTP/١.1", "HTTP/1_0.1", "HTTP/+1.1")
SEPARATORS = (" ", " ", " ", " ", " ", "  ", "\t", "\x0b", "\x0c", "\r", "\x85", "\xa0")
NAMES = ("Host", "host", "Accept", "X-A", "Content-Length", "Transfer-Encoding", "Connection", "Expect", "Content-Type", "Authorization", "Cookie",
         "X A", "X-A ",
         "", " X", "X\x00", "Xé", "X@", "a" * 300, "X:Y", "Origin", "X-Request-Id")
VALUES = ("a", "b", "localhost:7070", "", " padded \t", "5", "+5", "5_0", "5, 5", "chunked", "gzip, chunked", "close", "keep-alive",
          "keep-alive, close", "Close",
          "100-continue", "é", "\xa0a", "a\x00b", "a\rb", "a\nb", "a\x0bb", "a\x7fb", "a b", "[::1]:80", "text/plain; charset=x", "a" * 3_000, "a,b",
          '"a', "\x85")
ENDS = ("\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", "\r\n ", "\r\n\t", "\n\r\n")


def a_head(chance: random.Random) -> bytes:
    """A request head: mostly good, with up to two things wrong, by grammar; sometimes bent at a byte as well."""
    wrong = chance.choice((0, 0, 1, 1, 1, 2))
    spots = {chance.choice(("start", "method", "target", "version", "gap", "gap2", "name", "name", "value", "value", "end", "end", "host", "many",
                            "bend"))
             for _ in range(wrong)}

    def pick(spot: str, odd: tuple[str, ...], usual: str) -> str:
        return chance.choice(odd) if spot in spots else usual
    lines = [pick("start", ("\r\n", "\r\n\r\n", "\n", " "), "") + pick("method", METHODS, chance.choice(METHODS[:6])) + pick("gap", SEPARATORS, " ")
             + pick("target", TARGETS, chance.choice(TARGETS[:3])) + pick("gap2", SEPARATORS, " ") + pick("version", VERSIONS,
                                                                                                          chance.choice(VERSIONS[:4]))]
    if "host" not in spots or chance.random() < 0.3:
        lines.append("Host: " + pick("host", VALUES, "a"))
    for _ in range(chance.choice((98, 99, 100, 101)) if "many" in spots else chance.randrange(4)):
        lines.append(f"X-{chance.randrange(1_000_000)}:{chance.choice(('', ' ', '  '))}{chance.choice(VALUES[:5])}")
    if spots & {"name", "value"}:
        lines.insert(chance.randrange(1, len(lines) + 1), chance.choice(NAMES) + chance.choice((":", ": ", ":\t", " :", "")) + chance.choice(VALUES))
    elif chance.random() < 0.5:
        lines.append(chance.choice(("Content-Length: 5", "Content-Length: 0", "Connection: close", "Connection: keep-alive", "Accept: b",
                                    "Expect: 100-continue")))
    odd = chance.randrange(len(lines)) if "end" in spots else -1
    text = "".join(line + (chance.choice(ENDS) if number == odd else "\r\n") for number, line in enumerate(lines)) + "\r\n"
    head = bytearray(text.encode("latin-1", "replace"))
    if "bend" in spots:
        at = chance.randrange(len(head))
        head[at:at + chance.randrange(2)] = bytes([chance.randrange(256)]) * chance.randrange(1, 3)
    return bytes(head)


def compared(head: bytes) -> str:
    """The class of a head: `both` or `neither` take it, `waits`, or the row that explains the difference. Fails where no row does."""
    mine = ours(head)
    if mine is None:
        return "ours waits for more"
    if isinstance(mine, Head):
        head = head[:head_end(head, 0, LIMITS)]        # what follows is another request
    other = theirs(head)
    if isinstance(mine, Fault):
        if isinstance(other, str):
            return "neither"
        row = next((said for said, _, _ in STRICTER if re.search(said, mine.detail)), None)
        assert row, f"{head[:2_000]!r}\nours refuses: {mine.detail}\ntheirs reads {other}"
        return f"stricter: {row}"
    if isinstance(other, str):
        why = next((why for pattern, why in LAXER if re.search(pattern, head)), None)
        assert why, f"{head[:2_000]!r}\ntheirs refuses: {other}\nours reads {mine.method} {mine.target} {mine.headers}"
        return f"laxer: {why}"
    reads_the_same(head, mine, other)
    return "both"


def reads_the_same(head: bytes, mine: Head, other: Theirs) -> None:
    """Both took it: every part is the same."""
    target = re.sub("^/+", "/", mine.target) if mine.target.startswith("//") else mine.target      # SAME_BUT
    same((mine.method, target, mine.version), (other.method, other.target, other.version))
    wishes = other.fields.get("connection", [])
    if not any("," in wish for wish in wishes) and len(wishes) < 2:                                # SAME_BUT
        same(mine.keep_alive, other.keep_alive)
    absolute = mine.target.lower().startswith("http")
    wanted = {name: ", ".join(value.strip(" \t") for value in values) for name, values in other.fields.items() if not (absolute and name == "host")}
    same({name: value for name, value in mine.headers.items() if not (absolute and name == "host")}, wanted)
    line, _, fields = head.removeprefix(b"\r\n").partition(b"\r\n")
    parsed = parse_headers(BytesIO(fields))
    same(sorted(name.lower() for name in set(parsed)), sorted({name.lower() for name in parsed}))
    same(line, f"{mine.method} {mine.target} {mine.version}".encode())


def test_over_generated_requests_ours_is_as_theirs_or_stricter_for_a_reason_that_is_listed() -> None:
    seed = 20_261 if not kit.LONG else random.randrange(1_000_000_000)
    chance, classes = random.Random(seed), Counter[str]()
    for _ in range(LONG_CASES if kit.LONG else CASES):
        classes[compared(a_head(chance))] += 1
    print(f"  seed {seed}: {classes['both']} taken by both, {classes['neither']} by neither, "
          f"{sum(count for name, count in classes.items() if name.startswith('stricter'))} by theirs alone, "
          f"{sum(count for name, count in classes.items() if name.startswith('laxer'))} by ours alone", flush=True)
    assert classes["both"] > CASES / 4 and classes["neither"] > CASES / 100, classes


def test_each_difference_that_is_listed_is_one_today() -> None:
    """A row whose difference has gone is to go too."""
    found = set()
    start, host = b"GET / HTTP/1.1\r\n", b"Host: a\r\n"
    for head in (b"GET  / HTTP/1.1\r\n" + host, b"GET /\x0cHTTP/1.1\r\n" + host, b"GET /\xff HTTP/1.1\r\n" + host, b"GET / HTTP/1.9\r\n" + host,
                 b"BREW / HTTP/1.1\r\n" + host, start,
                 start + host + host, start + b"Host: a b\r\n", start + host + b"Origin: a\r\nOrigin: b\r\n", b"GET a HTTP/1.1\r\n" + host,
                 b"GET /#a HTTP/1.1\r\n" + host, b"GET /%zz HTTP/1.1\r\n" + host, start + host + b"A: b\r\n c\r\n", start + host + b"A: b\x01c\r\n",
                 start + host + b"A\r\n", start + host + b"\x80: b\r\n", start + host + b"A : b\r\n",
                 b"GET / HTTP/1.1\nHost: a\n", start + host + b"Content-Length: +5\r\n", start + host + b"Content-Length: " + b"9" * 20 + b"\r\n",
                 start + host + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
                 start + host + b"Transfer-Encoding: gzip\r\n", start + host + b"Expect: x\r\n", b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + host,
                 start + host + b"A: " + b"b" * 33_000 + b"\r\n"):
        found.add(compared(head + b"\r\n"))
    same(found, {f"stricter: {said}" for said, _, _ in STRICTER})
    laxer = (b"\r\n" + start + host, start + host + b"".join(b"A%d: b\r\n" % n for n in range(99)))
    same([compared(head + b"\r\n") for head in laxer], [f"laxer: {why}" for _, why in LAXER])
    for head in (b"GET //a/b HTTP/1.1\r\n" + host, start + host + b"Connection: a, close\r\n"):
        same(compared(head + b"\r\n"), "both")
    same(len(SAME_BUT), 2)
