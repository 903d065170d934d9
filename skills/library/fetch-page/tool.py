"""fetch-page: what a fetched page says. The http step brings the answer, `read` is the step that reads it.

`read` takes the answer of the http step (text, or a path when it was kept as a file) and tells title, description, headings, main text and links.
What is not HTML is answered for what it is: plain text, JSON and feeds are read, anything else is named and left alone.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urldefrag, urljoin, urlsplit

from feed import FeedParser
from maintext import main_blocks, rendered
from page import Block, Link, PageParser

PAGE_BYTES_MAX = 16 * 2**20         # of a page that is read; the http step stops earlier unless it is told otherwise
LINKS_DEFAULT = 200
CHARACTERS_DEFAULT = 100_000
HEADINGS_MAX = 200
META_BYTES = 4_096                  # where a page may name its charset
LOST_SHARE_MAX = 0.001              # characters that could not be decoded before it is worth a warning
CHARSET = re.compile(rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})|<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{2,40})", re.IGNORECASE)
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
WIDER = {"iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252", "ascii": "cp1252", "iso-8859-9": "cp1254",
         "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "shift-jis": "cp932", "x-sjis": "cp932", "euc-kr": "cp949",
         "ks_c_5601-1987": "cp949"}     # what browsers read for these names
FEED_START = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:rss|feed|rdf:RDF)\b", re.DOTALL)
HTML_START = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)


class PageError(Exception):
    """The answer of the http step cannot be read; trying again will not help."""

    retryable = False
    code = "bad_page"


def read(input: dict[str, Any]) -> dict[str, Any]:
    """Tell what `input["page"]` (the http step's output) says, as far as `input["options"]` asks. Raises PageError for a page that is too large."""
    page, options = input["page"], input.get("options") or {}
    content_type = str(page.get("content_type") or _header(page.get("headers") or {}, "content-type")).lower()
    text = _text(page, content_type)
    characters = _asked(options, "max_characters", CHARACTERS_DEFAULT)
    answer: dict[str, Any] = {"url": page["url"], "status": page["status"], "content_type": content_type, "title": "", "description": "",
                              "language": _header(page.get("headers") or {}, "content-language"), "headings": [], "links": [], "links_total": 0,
                              "warnings": []}
    kind = _kind(content_type, text)
    if kind == "html":
        answer |= _html(text, page["url"], options, answer["language"])
    elif kind == "feed":
        answer |= _feed(text, page["url"], options)
    elif kind == "json":
        answer |= _json(text)
    elif kind == "text":
        answer |= {"kind": "text", "title": next((line.strip()[:200] for line in text.splitlines() if line.strip()), ""), "text": text}
    else:
        answer |= {"kind": "other", "text": ""}
        answer["warnings"].append(f"The address answers with {content_type or 'content of no named type'}, which this skill does not read.")
    if text.count("\ufffd") > LOST_SHARE_MAX * len(text):
        answer["warnings"].append(f"{text.count(chr(0xFFFD))} characters could not be decoded: the page names the wrong charset, or none.")
    if page["status"] >= 400:
        answer["warnings"].append(f"The server answered with status {page['status']}; this is its error page.")
    answer["text_truncated"] = len(answer["text"]) > characters
    answer["text"] = answer["text"][:characters]
    return answer | {"summary": _summary(answer)}


def _text(page: dict[str, Any], content_type: str) -> str:
    """The answer as text. A `text` that became a file is UTF-8; an `artifact` holds the bytes as they came."""
    text, raw = page.get("text"), page.get("artifact")
    if isinstance(text, Path):
        text, raw = None, text
        content_type = "text/html; charset=utf-8"
    if isinstance(raw, Path):
        if raw.stat().st_size > PAGE_BYTES_MAX:
            raise PageError(f"The page has {raw.stat().st_size} bytes; at most {PAGE_BYTES_MAX} are read.")
        return _decoded(raw.read_bytes(), content_type)
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    return json.dumps(page["json"], ensure_ascii=False) if "json" in page else ""


def _decoded(raw: bytes, content_type: str) -> str:
    """Bytes as text: byte order mark, then the header's charset, then the page's own, then UTF-8, then cp1252."""
    for mark, name in MARKS:
        if raw.startswith(mark):
            return raw.decode(name, "replace")
    said = re.search(r"charset\s*=\s*[\"']?([\w.:-]{2,40})", content_type)
    named = CHARSET.search(raw[:META_BYTES])
    found = said[1] if said else (named[1] or named[2]).decode() if named else ""
    name = WIDER.get(found.lower(), found)
    if name.lower().startswith("utf-16"):
        name = ""       # a page that says so in ASCII letters is not UTF-16
    if name:
        try:
            codecs.lookup(name)
            return raw.decode(name, "replace")
        except LookupError:
            pass        # a charset that nobody knows is as good as none
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _kind(content_type: str, text: str) -> str:
    """html | feed | json | text | other, by the header, and by the beginning of the text where the header is vague."""
    plain = content_type.partition(";")[0].strip()
    if FEED_START.match(text[:META_BYTES]):
        return "feed"
    if plain in ("text/html", "application/xhtml+xml") or (plain in ("", "text/plain", "application/octet-stream", "application/xml", "text/xml")
                                                          and HTML_START.match(text[:META_BYTES])):
        return "html"
    if plain.endswith(("/json", "+json")):
        return "json"
    if plain.startswith("text/") or plain.endswith(("/xml", "+xml", "/javascript", "/yaml")) or (not plain and text.isprintable()):
        return "text"
    return "other"


def _html(text: str, url: str, options: dict[str, Any], said_language: str) -> dict[str, Any]:
    """The members of the answer that an HTML page fills."""
    parser = PageParser()
    parser.feed(_finished(text))
    parser.close()
    base = _joined(url, parser.base) if parser.base else url
    main = main_blocks(parser.blocks)
    headings = _headings(main) or _headings(parser.blocks)
    first = next((str(heading["text"]) for heading in headings if heading["level"] == 1), "")
    metas = parser.metas
    canonical = next((_joined(base, href) for rel, href, _, _ in parser.rels if "canonical" in rel.split()), "")
    feeds = [{"url": _joined(base, href), "title": title} for rel, href, kind, title in parser.rels if "alternate" in rel and "xml" in kind]
    links = _links(parser.links, base, url)
    most = _asked(options, "max_links", LINKS_DEFAULT)
    told: dict[str, Any] = {
        "kind": "html", "title": " ".join(parser.title.split()) or metas.get("og:title", "") or first,
        "description": metas.get("description") or metas.get("og:description") or metas.get("twitter:description") or "",
        "language": (parser.language or said_language or metas.get("content-language", "") or metas.get("og:locale", "")).replace("_", "-"),
        "canonical": canonical, "published": metas.get("article:published_time") or metas.get("date") or metas.get("datepublished") or parser.time,
        "author": metas.get("author") or metas.get("article:author") or "", "site_name": metas.get("og:site_name", ""), "feeds": feeds[:10],
        "headings": headings[:HEADINGS_MAX], "text": rendered(main),
        "links": links[:most], "links_total": len(links)}
    if not told["text"] and "<script" in text.lower():
        told["warnings"] = ["The page holds no text of its own: it is built by scripts, which are not run."]
    return told


def _headings(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    """The headings among the blocks, without the marks that documentation puts there as links."""
    return [{"level": int(block.kind[1]), "text": block.text.strip("§¶# ")} for block in blocks if block.kind[0] == "h"]


def _finished(text: str) -> str:
    """The page without tags and comments that are begun and never end: html.parser looks for the end of each anew."""
    comments = text.rfind("-->") + 1
    text = text[:comments] + text[comments:].replace("<!--", " ")
    tags = text.rfind(">") + 1
    return text[:tags] + text[tags:].replace("<", " ")


def _links(links: Iterable[Link], base: str, url: str) -> list[dict[str, Any]]:
    """Absolute http links, each once, with the first text that says something; those of the text before those at the side."""
    here = _site(_split(url))
    found: dict[str, dict[str, Any]] = {}
    for link in sorted((link for link in links if not link.href.lstrip().startswith("#")), key=lambda link: link.side):
        address = urldefrag(_joined(base, link.href.strip()))[0]
        parts = _split(address)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or address == urldefrag(url)[0]:
            continue
        known = found.setdefault(address, {"url": address, "text": link.text, "internal": _site(parts) == here})
        known["text"] = known["text"] or link.text
    return list(found.values())


def _split(address: str) -> SplitResult | None:
    """The parts of an address, None where it has none."""
    try:
        parts = urlsplit(address)
        return parts if parts.hostname is not None or parts.scheme else None
    except ValueError:
        return None


def _site(parts: SplitResult | None) -> str:
    """The host by which links count as internal."""
    return (parts.hostname or "").removeprefix("www.") if parts else ""


def _joined(base: str, href: str) -> str:
    """An address made absolute; what cannot be joined stays as it is."""
    try:
        return urljoin(base, href)
    except ValueError:
        return href


def _feed(text: str, url: str, options: dict[str, Any]) -> dict[str, Any]:
    """The members of the answer that a feed fills."""
    parser = FeedParser()
    parser.feed(text)
    parser.close()
    entries = [entry for entry in parser.entries if entry.get("title") or entry.get("link")]
    lines = [f"- {entry.get('title', '')} {('(' + entry['published'] + ')') if 'published' in entry else ''}\n  {entry.get('summary', '')}".rstrip()
             for entry in entries]
    links = _links([Link(entry["link"], entry.get("title", ""), False) for entry in entries if "link" in entry], url, url)
    return {"kind": "feed", "title": parser.title, "text": "\n".join(lines), "links": links[:_asked(options, "max_links", LINKS_DEFAULT)],
            "links_total": len(links)}


def _json(text: str) -> dict[str, Any]:
    """The members of the answer that JSON fills."""
    try:
        return {"kind": "json", "text": json.dumps(json.loads(text), indent=1, ensure_ascii=False)}
    except (ValueError, RecursionError):
        return {"kind": "text", "text": text, "warnings": ["The server calls this JSON, but it is not."]}


def _asked(options: dict[str, Any], name: str, default: int) -> int:
    """An option of the caller, 0 too, or what holds without it."""
    value = options.get(name)
    return default if value is None else int(value)


def _header(headers: Any, name: str) -> str:
    """A header of the answer, whatever its case and form (an object, or a list of pairs)."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    return next((str(value) for key, value in pairs if str(key).lower() == name), "")


def _summary(answer: dict[str, Any]) -> str:
    """The page in a sentence or two."""
    what = {"html": "page", "feed": "feed", "json": "JSON document", "text": "text"}.get(answer["kind"], "content")
    title = f" “{answer['title'][:120]}”" if answer["title"] else ""
    words = len(answer["text"].split())
    sentences = [f"The {what}{title} at {answer['url']} has {words} words of text, {len(answer['headings'])} headings "
                 f"and {answer['links_total']} links."]
    if answer["description"]:
        sentences.append(answer["description"][:300])
    return " ".join([*sentences, *answer["warnings"]])
