"""RSS and Atom feeds: their title and entries, read leniently, without an XML parser that a hostile feed could exhaust."""

from __future__ import annotations

import re
from html.parser import HTMLParser

ENTRIES_MAX = 500
FIELDS = {"title": "title", "link": "link", "pubdate": "published", "published": "published", "updated": "published", "dc:date": "published",
          "description": "summary", "summary": "summary", "content": "summary", "content:encoded": "summary"}
TAGS = re.compile(r"<[^>]{1,2000}>")


class FeedParser(HTMLParser):
    """Feed it the text, call `close`, then read `title` and `entries` (title, link, published, summary)."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.entries: list[dict[str, str]] = []
        self._entry: dict[str, str] | None = None
        self._field = ""
        self._pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element opens."""
        if tag in ("item", "entry"):
            self._entry = {}
        elif tag in FIELDS:
            self._field, self._pieces = tag, []
            facts = dict(attrs)
            if tag == "link" and self._entry is not None and facts.get("href") and facts.get("rel") in (None, "alternate"):
                self._entry.setdefault("link", facts["href"] or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<link href=... />` of Atom."""
        self.handle_starttag(tag, attrs)
        self._field = ""

    def handle_endtag(self, tag: str) -> None:
        """An element closes."""
        if tag in ("item", "entry") and self._entry is not None:
            if len(self.entries) < ENTRIES_MAX:
                self.entries.append(self._entry)
            self._entry = None
        elif tag == self._field:
            text = " ".join(TAGS.sub(" ", "".join(self._pieces)).split())
            if self._entry is not None and text:
                self._entry.setdefault(FIELDS[tag], text[:1_000])
            elif tag == "title" and not self.title:
                self.title = text
            self._field = ""

    def handle_data(self, data: str) -> None:
        """Text of a field."""
        if self._field:
            self._pieces.append(data)

    def unknown_decl(self, data: str) -> None:
        """A CDATA section."""
        if self._field and data.startswith("CDATA["):
            self._pieces.append(data[6:])
