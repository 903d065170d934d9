"""The `http` step: one request to an allowed host, with limits. Runs in a warm runner process like a python step, so time and cancel are the same.

Rule 1: a name is resolved once, every address of it is judged, and the connection goes to that very address: a second answer of the name server
cannot lead elsewhere. Rule 2: each redirect is a new request with all the checks. Rule 3: sizes are counted after decompression.
Spec: {"method", "url", "headers", "body", "allow_hosts", "allow_private", "max_bytes", "max_redirects", "max_s", "expect", "retry_statuses"}.
Output: {"status", "url", "headers", "content_type"} and one of "json", "text", "artifact". `expect` "json" refuses what is not JSON, "text" leaves
JSON unread, "auto" goes by the content type; what is not text, or too long to be a value, is an artifact.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import socket
import ssl
import time
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from fleet.step import Step
from fleet.values import encoded
from state.limits import KIB, MIB

MAX_BYTES = 5 * MIB                   # of an answer, unless the step says otherwise
MAX_REDIRECTS = 5
MAX_S = 30.0
PIECE_BYTES = 64 * KIB
INLINE_BYTES_MAX = 4 * MIB            # a longer text is an artifact: it would be copied through four processes as one value
CHARSET_BYTES = 4 * KIB               # where a page names its charset, if its header does not
REDIRECTS = frozenset((301, 302, 303, 307, 308))
TEMPORARY = frozenset((408, 425, 429))
NAT64 = ipaddress.ip_network("64:ff9b::/96")
NOT_PUBLIC = tuple(ipaddress.ip_network(net) for net in (
    "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "240.0.0.0/4", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "fc00::/7", "fe80::/10", "fec0::/10"))
TEXT_TYPES = re.compile(r"text/|.*[/+](json|xml)\b|application/(javascript|x-www-form-urlencoded|yaml|toml|csv)")
URL_CHARACTERS = "/%?&=+:;,@!$'()*~[]|"       # stay as they are in a target; what is not ASCII is percent-encoded
CHARSET = re.compile(rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})|<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{2,40})", re.I)
METHOD = re.compile(r"[A-Z]{1,16}")
SENT_ON = ("accept", "accept-language", "user-agent")      # headers that may go to another host after a redirect


class FetchError(Exception):
    """The request failed. `code` and `retryable` go into the step's error."""

    def __init__(self, code: str, message: str, retryable: bool) -> None:
        super().__init__(message)
        self.code, self.retryable = code, retryable


class Limits(NamedTuple):
    """What holds for each request of the chain. `ends_at` is monotonic time."""

    hosts: list[str]
    private: bool
    bytes_max: int
    ends_at: float


class Request(NamedTuple):
    """One request of the chain of redirects."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


# -- May we? -----------------------------------------------------------------------------------------------------------------------


def host_allowed(host: str, allowed: list[str]) -> bool:
    """True when one of the patterns fits: exact, `*.example.org` (names below it), or `*`."""
    host = host.rstrip(".").lower()
    for pattern in allowed:
        pattern = pattern.rstrip(".").strip("[]").lower()
        if pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]) and len(host) > len(pattern) - 1):
            return True
    return False


def public(text: str) -> bool:
    """False for addresses that are not the public internet's: private, loopback, link-local, shared, multicast, reserved, and IPv6 forms that
    hold such an IPv4 address."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and address in NAT64:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inside is None and int(address) >> 32 == 0:
            inside = ipaddress.IPv4Address(int(address))           # the old IPv4-compatible form, ::1 and :: among it
        if inside is not None:
            return public(str(inside))
    if any(address.version == net.version and address in net for net in NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_loopback or address.is_link_local)


def address_of(host: str, port: int, allow_private: bool) -> tuple[int, Any]:
    """(family, socket address) to connect to. One private address among a name's addresses refuses the name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError("connect_failed", f"{host} cannot be resolved: {error}", True) from error
    if not allow_private:
        for *_, where in found:
            if not public(str(where[0])):
                raise FetchError("address_not_allowed", f"{host} is {where[0]}, which is not a public address", False)
    family, _, _, _, where = found[0]
    return int(family), where


def checked(url: str, allowed: list[str]) -> tuple[str, str, int, str]:
    """(scheme, host, port, target) of a URL that may be asked; FetchError otherwise."""
    if re.search(r"[\x00-\x20\x7f]", url):
        raise FetchError("bad_url", f"{url[:200]!r} holds spaces or control characters", False)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchError("bad_url", f"{url[:200]!r}: {error}", False) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchError("bad_url", f"{url[:200]!r} is not an http or https URL", False)
    if "@" in parts.netloc:
        raise FetchError("bad_url", "a URL must not hold a name and password; use a header", False)
    if not host_allowed(parts.hostname, allowed):
        raise FetchError("host_not_allowed", f"{parts.hostname} is not one of the allowed hosts: {', '.join(allowed) or 'none'}", False)
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), quote(target, safe=URL_CHARACTERS)


# -- The request -------------------------------------------------------------------------------------------------------------------


def fetch(spec: dict[str, Any], step: Step) -> dict[str, Any]:
    """The entry of an http step."""
    ends_at = time.monotonic() + min(float(spec.get("max_s") or MAX_S), 86_400.0)
    allowed = [str(host) for host in spec.get("allow_hosts") or []]
    redirects_left = int(MAX_REDIRECTS if spec.get("max_redirects") is None else spec["max_redirects"])
    request = first_request(spec)
    body = step.work_folder / "body"
    while True:
        with body.open("wb") as into:
            limits = Limits(allowed, bool(spec.get("allow_private")), int(spec.get("max_bytes") or MAX_BYTES), ends_at)
            status, headers = exchange(request, limits, into)
        if status not in REDIRECTS or "location" not in headers:
            break
        if redirects_left <= 0:
            raise FetchError("too_many_redirects", f"{request.url} redirects again, to {headers['location'][:200]}", False)
        redirects_left -= 1
        request = redirected(request, status, headers["location"])
    return result(spec, request, status, headers, body, step)


def first_request(spec: dict[str, Any]) -> Request:
    """The request that the spec asks for. A body that is not text goes as JSON."""
    headers = {str(k).lower(): str(v) for k, v in (spec.get("headers") or {}).items()}
    if any(re.search(r"[\r\n\0]", k + v) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", k) for k, v in headers.items()):
        raise FetchError("bad_header", "a header has a name or value that cannot be sent", False)
    body = spec.get("body")
    data = None if body is None else body.encode() if isinstance(body, str) else encoded(body)
    method = str(spec.get("method") or ("GET" if data is None else "POST")).upper()
    if not METHOD.fullmatch(method):
        raise FetchError("bad_method", f"{method[:40]!r} is not a method", False)
    if data is not None and "content-type" not in headers:
        headers["content-type"] = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
    return Request(method, str(spec["url"]), {"user-agent": "yardmaster", "accept": "*/*", **headers}, data)


def redirected(request: Request, status: int, location: str) -> Request:
    """The request after a redirect: 303 and a POST's 301 and 302 become GET; another host gets no credentials."""
    url = urljoin(request.url, location)
    headers, method, body = request.headers, request.method, request.body
    if urlsplit(url)[:2] != urlsplit(request.url)[:2]:
        headers = {k: v for k, v in headers.items() if k in SENT_ON or k == "content-type"}
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None
        headers = {k: v for k, v in headers.items() if k != "content-type"}
    return Request(method, url, headers, body)


def exchange(request: Request, limits: Limits, into: BinaryIO) -> tuple[int, dict[str, str]]:
    """One request to one address: (status, headers with lower-case names); the body goes into the file."""
    scheme, host, port, target = checked(request.url, limits.hosts)
    family, where = address_of(host, port, limits.private)
    connection = http.client.HTTPConnection(host, port)
    connection.default_port = 443 if scheme == "https" else 80      # the Host header leaves out the usual port
    try:
        connection.sock = sock = connected(scheme, host, family, where, limits.ends_at)
        connection.putrequest(request.method, target, skip_accept_encoding=True)
        for name, text in {"accept-encoding": "gzip", **request.headers}.items():
            if name not in ("host", "content-length", "transfer-encoding", "connection"):
                connection.putheader(name, text.encode())
        connection.putheader("connection", "close")
        if request.body is not None:
            connection.putheader("content-length", str(len(request.body)))
        connection.endheaders(request.body)
        answer = connection.getresponse()
        headers = {name.lower(): text for name, text in answer.getheaders()}
        take_body(answer, sock, headers.get("content-encoding", ""), limits, into)
        return answer.status, headers
    except TimeoutError as error:
        raise FetchError("connect_failed", f"{host} did not answer in time", True) from error
    except (OSError, http.client.HTTPException) as error:
        raise FetchError("connect_failed", f"{host}: {error or type(error).__name__}", True) from error
    finally:
        connection.close()


def connected(scheme: str, host: str, family: int, where: Any, ends_at: float) -> socket.socket:
    """A socket to this very address, with TLS for this name."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(left_s(ends_at))
        sock.connect(where)
        return ssl.create_default_context().wrap_socket(sock, server_hostname=host) if scheme == "https" else sock
    except BaseException:
        sock.close()
        raise


def left_s(ends_at: float) -> float:
    """Seconds left; TimeoutError when there are none."""
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def take_body(answer: http.client.HTTPResponse, sock: socket.socket, encoding: str, limits: Limits, into: BinaryIO) -> None:
    """The body, decompressed, into the file; FetchError over the limit. The time left is set anew for each piece."""
    inflate = zlib.decompressobj(wbits=47) if encoding.strip().lower() in ("gzip", "x-gzip", "deflate") else None
    size = 0
    while True:
        if sock.fileno() >= 0:                # the answer closes it after the last byte
            sock.settimeout(left_s(limits.ends_at))
        piece = answer.read1(PIECE_BYTES)
        if not piece:
            break
        while piece:
            try:
                plain = inflate.decompress(piece, PIECE_BYTES) if inflate else piece
            except zlib.error as error:
                raise FetchError("bad_encoding", f"the body is not what Content-Encoding says: {error}", True) from error
            piece = inflate.unconsumed_tail if inflate else b""
            into.write(plain)
            size += len(plain)
            if size > limits.bytes_max:
                raise FetchError("body_too_large", f"the body has more than {limits.bytes_max} bytes", False)
    if inflate:
        into.write(inflate.flush())
    if answer.length or (inflate and size and not inflate.eof):
        raise FetchError("connect_failed", "the body broke off", True)


def result(spec: dict[str, Any], request: Request, status: int, headers: dict[str, str], body: Path, step: Step) -> dict[str, Any]:
    """The output, or FetchError for a status of 400 and more."""
    if status >= 400:
        with body.open("rb") as file:
            shown = file.read(300).decode("utf-8", "replace")
        raise FetchError("http_status", f"{request.url} answered {status}: {shown}",
                         status >= 500 or status in TEMPORARY or status in (spec.get("retry_statuses") or ()))
    kind = headers.get("content-type", "")
    output: dict[str, Any] = {"status": status, "url": request.url, "headers": headers, "content_type": kind}
    expect = spec.get("expect") or "auto"
    content = body.read_bytes() if body.stat().st_size <= INLINE_BYTES_MAX else None
    if content is not None and (expect == "json" or (expect == "auto" and re.match(r".*[/+]json\b", kind))):
        try:
            return {**output, "json": json.loads(content)}
        except (ValueError, RecursionError) as error:
            if expect == "json":
                raise FetchError("not_json", f"{request.url} answered something that is not JSON: {error}", False) from error
    if content is not None and (TEXT_TYPES.match(kind) or is_text(content)):
        return {**output, "text": decoded(content, kind)}
    return {**output, "artifact": step.artifact(body)}


def is_text(body: bytes) -> bool:
    """True for UTF-8 without NUL bytes."""
    try:
        return "\0" not in body.decode()
    except UnicodeDecodeError:
        return False


def decoded(body: bytes, kind: str) -> str:
    """Text in the charset of its header, its first lines, or UTF-8; what is not even that is read as cp1252, as browsers do."""
    named = re.search(r"charset=[\"']?([\w.:-]+)", kind)
    inside = CHARSET.search(body[:CHARSET_BYTES])
    charsets = [named[1] if named else "", (inside[1] or inside[2]).decode() if inside else "", "utf-8-sig"]
    for charset in filter(None, charsets):
        try:
            return body.decode(charset)
        except (LookupError, UnicodeDecodeError):
            continue
    return body.decode("utf-8" if named and named[1].lower() in ("utf-8", "utf8") else "cp1252", "replace")
