"""Recognisers for e-mail addresses, URLs and IP addresses, with international names.

They look for the sign that cannot be missing (`@`, `://`, `www.`, a top-level domain) and read outwards from it, which is fast on long texts.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from spans import Entity

LOCAL = re.compile(r"[\w.+%'&~-]{1,64}\Z")
DOMAIN = re.compile(r"(?:\w(?:[\w-]{0,61}\w)?\.){1,8}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})", re.IGNORECASE)
SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{1,19}\Z")
URL_REST = re.compile(r"[^\s<>\"{}|\\^`\u3000-\u303f\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f…“”«»]+")
# Chinese and Japanese put no space after a URL: such a letter belongs to it only where a new part of the URL begins.
ASIAN_INSIDE = re.compile(r"(?<=[A-Za-z0-9_~%&#-])[\u3040-\u30ff\u3400-\u9fff]")
WWW = re.compile(r"(?<![\w@./-])www\d?\.(?=[\w-]{1,63}\.)", re.IGNORECASE)
BARE = re.compile(r"\.(?:com|org|net|edu|gov|io|dev|app|info|eu|ai|co\.uk|de|fr|es|it|nl|ch|at|jp|cn|br|ru|pl|se)(?![\w-]|\.\w)")
BARE_BEFORE = re.compile(r"(?<![\w@./:-])(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z", re.IGNORECASE)
NOT_DOMAINS = frozenset(("png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "html", "htm", "txt", "pdf", "csv", "json", "xml", "md", "py"))
OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
IPV4 = re.compile(rf"(?<![\w.])(?:{OCTET}\.){{3}}{OCTET}(?:/(?:3[0-2]|[12]?\d))?(?![\w]|\.\d)", re.ASCII)
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:|::?)(?:[0-9A-Fa-f]{0,4}:){1,7}"
                  r"(?:[0-9A-Fa-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?:/\d{1,3})?(?![\w:])", re.ASCII)
VERSION = re.compile(r"(?:\bv|version|release|ver\.?|build)\s?\Z", re.IGNORECASE)
PORTS = {"http": 80, "https": 443, "ftp": 21, "ws": 80, "wss": 443}
CLOSERS = {")": "(", "]": "["}


def emails(text: str) -> Iterator[Entity]:
    """E-mail addresses; the normalised form has its domain in ASCII (IDNA) and lower case."""
    at = text.find("@")
    while at >= 0:
        found = email_at(text, at)
        if found is not None:
            yield found
        at = text.find("@", at + 1)


def email_at(text: str, at: int) -> Entity | None:
    """The address around one `@`."""
    before = LOCAL.search(text, max(0, at - 64), at)
    domain = DOMAIN.match(text, at + 1)
    if before is None or domain is None:
        return None
    local = re.sub(r"\A[^a-zA-Z0-9]+(?=[\x00-\x7f]+\Z)", "", before[0]).lstrip(".'&~%-")
    if not local.isascii():
        tail = re.search(r"[\x00-\x7f]+\Z", local)
        local = tail[0].lstrip(".'&~%-") if tail and len(tail[0]) > 1 else local
    name = domain[0]
    head, _, last = name.rpartition(".")
    if head.isascii() and not last.isascii():
        ascii_part = re.match(r"[a-zA-Z]{2,}", last)
        if ascii_part:
            name = f"{head}.{ascii_part[0]}"
    if not local or local.endswith(".") or ".." in local or name.rpartition(".")[2].lower() in NOT_DOMAINS:
        return None
    host = ascii_host(name)
    if host is None:
        return None
    confidence = 0.98 if local.isascii() and name.isascii() else 0.9
    return Entity("email", at - len(local), at + 1 + len(name), f"{local}@{host}", confidence)


def ascii_host(host: str) -> str | None:
    """A host name in lower-case ASCII; None if it cannot be one."""
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None


def urls(text: str) -> Iterator[Entity]:
    """URLs with a scheme, those that begin with www., and bare domains of common endings (with less confidence)."""
    at = text.find("://")
    while at >= 0:
        scheme = SCHEME.search(text, max(0, at - 20), at)
        if scheme is not None:
            name = scheme[0].lstrip("+.-")
            found = url_at(text, at - len(name), at + 3, name.lower(), 0.98)
            if found is not None:
                yield found
        at = text.find("://", at + 3)
    for www in WWW.finditer(text):
        found = url_at(text, www.start(), www.start(), "", 0.9)
        if found is not None:
            yield found
    for ending in BARE.finditer(text):
        before = BARE_BEFORE.search(text, max(0, ending.start() - 200), ending.start())
        if before is not None and not before[0].lower().startswith("www."):
            path = text[ending.end():ending.end() + 1] == "/"
            found = url_at(text, before.start(), before.start(), "", 0.8 if path else 0.6)
            if found is not None:
                yield found


def url_at(text: str, start: int, rest_start: int, scheme: str, confidence: float) -> Entity | None:
    """The URL that begins at `start`; `rest_start` is where its host begins."""
    rest = URL_REST.match(text, rest_start, rest_start + 2_000)
    if rest is None:
        return None
    inside = ASIAN_INSIDE.search(rest[0])
    value = text[start:rest_start] + trimmed(rest[0][:inside.start()] if inside else rest[0])
    try:
        parts = urlsplit(value if scheme else "http://" + value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if not host or not any(character.isalnum() for character in host):
        return None
    if scheme in ("", "http", "https", "ftp") and "." not in host and ":" not in host and host != "localhost" and port is None:
        return None
    shown = host if ":" not in host else f"[{host}]"
    name = shown if shown.isascii() else ascii_host(host)
    if name is None:
        return None
    login = parts.netloc.rpartition("@")[0]
    netloc = (login + "@" if login else "") + name + (f":{port}" if port is not None and PORTS.get(scheme) != port else "")
    normalised = f"{scheme or 'http'}://{netloc}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "") + (
        f"#{parts.fragment}" if parts.fragment else "")
    details = {} if scheme else {"scheme_assumed": True}
    return Entity("url", start, start + len(value), normalised, confidence, details)


def trimmed(value: str) -> str:
    """A URL without the punctuation of the sentence around it; a closing bracket stays if it was opened inside."""
    while value:
        last = value[-1]
        unopened = last in CLOSERS and value.count(last) > value.count(CLOSERS[last])
        if last in ".,;:!?'*~>’" or unopened:
            value = value[:-1]
        else:
            break
    # A Markdown link ends at the bracket that was opened before it.
    for closer, opener in CLOSERS.items():
        at = value.find(closer)
        if at >= 0 and opener not in value[:at]:
            value = value[:at]
    return value


def ips(text: str) -> Iterator[Entity]:
    """IPv4 and IPv6 addresses, with a prefix length where one follows."""
    for found in IPV4.finditer(text):
        version = VERSION.search(text, max(0, found.start() - 12), found.start())
        details = {"version": 4, "private": ipaddress.IPv4Interface(found[0]).ip.is_private}
        yield Entity("ip", found.start(), found.end(), found[0], 0.4 if version else 0.93, details)
    for found in IPV6.finditer(text):
        address, _, prefix = found[0].partition("/")
        groups = [group for group in address.split(":") if group]
        if not any(len(group) >= 3 for group in groups) and address not in ("::1", "::") and len(groups) < 6:
            continue
        try:
            six = ipaddress.IPv6Address(address)
        except ValueError:
            continue
        if address != "::":
            normalised = six.compressed + (f"/{prefix}" if prefix else "")
            yield Entity("ip", found.start(), found.end(), normalised, 0.95, {"version": 6, "private": six.is_private})
