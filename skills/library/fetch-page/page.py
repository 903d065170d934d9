"""From HTML to blocks of text: what a reader would see, in order, with what is known of each block (its kind, its links, where it stands).

`PageParser` keeps a stack of open elements, closes what authors forget to close, drops what is not text (scripts, hidden parts), and marks what
stands at the side (navigation, footers, banners) or in the main part. Which blocks matter is decided elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import NamedTuple

STACK_MAX = 2_000                   # open elements; deeper ones are read as if they were not there
BLOCKS_MAX = 100_000
LINKS_MAX = 20_000
BREAK = "\u2028"                    # what <br> is until a block is made: the source's own line ends are white space
VOID_TAGS = "area base br col embed hr img input link meta param source track wbr"
UNSEEN_TAGS = "script style noscript template svg math iframe object canvas audio video select button textarea datalist"
BLOCKS_TAGS = """address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer form h1 h2 h3
h4 h5 h6 header hgroup hr html legend li main menu nav ol p pre section summary table tbody tfoot thead tr ul title head"""
VOID, UNSEEN, BLOCKS = (frozenset(tags.split()) for tags in (VOID_TAGS, UNSEEN_TAGS, BLOCKS_TAGS))
KINDS = {**{f"h{level}": f"h{level}" for level in range(1, 7)}, "li": "li", "dt": "li", "dd": "li", "pre": "pre", "blockquote": "quote", "tr": "row",
         "caption": "p", "figcaption": "caption", "p": "p", "td": "row", "th": "row"}
CLOSED_BY: dict[str, tuple[frozenset[str], frozenset[str]]] = {     # a start tag closes these, looking up as far as those
    "li": (frozenset({"li"}), frozenset({"ul", "ol", "menu"})), "dt": (frozenset({"dt", "dd"}), frozenset({"dl"})),
    "dd": (frozenset({"dt", "dd"}), frozenset({"dl"})), "tr": (frozenset({"tr", "td", "th"}), frozenset({"table"})),
    "td": (frozenset({"td", "th"}), frozenset({"tr", "table"})), "th": (frozenset({"td", "th"}), frozenset({"tr", "table"})),
    "a": (frozenset({"a"}), BLOCKS)}
P_CLOSERS = BLOCKS - {"html", "body", "head", "title"}
SIDE_TAGS = frozenset({"nav", "aside", "footer", "menu", "dialog"})
SIDE_ROLES = frozenset({"navigation", "banner", "contentinfo", "complementary", "search", "menu", "menubar", "dialog", "alert"})
SIDE_WORDS = re.compile(r"(?:^|[\s_-])(?:nav|navbar|navigation|menu|sidebar|breadcrumbs?|cookies?|consent|footer|share|sharing|social|related"
                        r"|recommended|promo|advert\w*|ads?|banner|subscribe|newsletter|comments?|pagination|pager|toolbar|skip|masthead|popup|modal|toc"
                        r"|infobox|editsection|reflist|catlinks|noprint)(?:$|[\s_-])")
MAIN_WORDS = re.compile(r"(?:^|\s)(?:content|main|main-content|article|article-body|articlebody|article-content|post|post-content"
                        r"|post-body|entry-content|entry|story|story-body|mw-parser-output|markdown-body|page-content|body-content)(?:$|\s)")
HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
NEVER_SIDE = frozenset({"html", "body", "main", "article"})


class Block(NamedTuple):
    """A piece of text between two block elements. `linked` counts its characters inside links."""

    kind: str       # p | h1..h6 | li | pre | quote | row | caption
    text: str
    linked: int
    side: bool
    main: bool


class Link(NamedTuple):
    """A link as written: `href` is not resolved yet."""

    href: str
    text: str
    side: bool


@dataclass
class _Open:
    """An open element, with what holds inside it."""

    tag: str
    unseen: bool
    side: bool
    main: bool


class PageParser(HTMLParser):
    """Feed it a page, call `close`, then read `blocks`, `links`, `metas`, `title`, `rels`, `language` and `base`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self.links: list[Link] = []
        self.metas: dict[str, str] = {}                         # by name or property in lower case, the first of each
        self.rels: list[tuple[str, str, str, str]] = []         # (rel, href, type, title) of <link>
        self.title = self.language = self.base = self.time = ""
        self._stack: list[_Open] = []
        self._pieces: list[str] = []
        self._linked = 0
        self._link: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element opens."""
        facts = {name: value or "" for name, value in attrs}
        self._head(tag, facts)
        if tag in VOID:
            self._void(tag, facts)
            return
        self._close_forgotten(tag)
        if tag in BLOCKS:
            self._flush()
        elif tag in ("td", "th") and any(not piece.isspace() for piece in self._pieces):
            self._pieces.append(" | ")
        if len(self._stack) < STACK_MAX:
            self._stack.append(self._opened(tag, facts))
        if tag == "a" and facts.get("href") and not self._unseen():
            self._end_link()
            self._link = (facts["href"], [])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<br/>`; a slash on an element that is not void means nothing."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """An element closes, and with it all that was opened inside it and never closed."""
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place].tag == tag:
                self._close_from(place, tag in BLOCKS)
                return

    def handle_data(self, data: str) -> None:
        """Text."""
        if self._stack and self._stack[-1].tag == "title":
            if not any(element.tag == "svg" for element in self._stack):
                self.title += data
        elif not self._unseen():
            self._pieces.append(data)
            if self._link is not None:
                self._link[1].append(data)
                self._linked += len(" ".join(data.split()))

    def close(self) -> None:
        """The page ends."""
        super().close()
        self._end_link()
        self._flush()

    def _opened(self, tag: str, facts: dict[str, str]) -> _Open:
        """The element with what holds inside it: what its parents say, and its own tag, role and class."""
        parent = self._stack[-1] if self._stack else _Open("", False, False, False)
        words = f"{facts.get('class', '')} {facts.get('id', '')}".lower()
        hidden = "hidden" in facts or facts.get("aria-hidden") == "true" or bool(HIDDEN.search(facts.get("style", "")))
        role = facts.get("role", "").lower()
        main = tag in ("main", "article") or role in ("main", "article") or facts.get("itemprop") == "articleBody" or bool(MAIN_WORDS.search(words))
        side = tag not in NEVER_SIDE and (tag in SIDE_TAGS or role in SIDE_ROLES or (tag == "header" and not parent.main)
                                          or bool(SIDE_WORDS.search(words)))
        return _Open(tag, parent.unseen or tag in UNSEEN or (hidden and tag not in ("html", "body")), parent.side or side, parent.main or main)

    def _head(self, tag: str, facts: dict[str, str]) -> None:
        """What elements tell about the page as a whole."""
        if tag == "html":
            self.language = self.language or facts.get("lang", "") or facts.get("xml:lang", "")
        elif tag == "base" and facts.get("href"):
            self.base = self.base or facts["href"]
        elif tag == "meta":
            name = (facts.get("name") or facts.get("property") or facts.get("itemprop") or facts.get("http-equiv") or "").lower()
            if name and facts.get("content", "").strip():
                self.metas.setdefault(name, " ".join(facts["content"].split()))
        elif tag == "link" and facts.get("href"):
            self.rels.append((facts.get("rel", "").lower(), facts["href"], facts.get("type", ""), facts.get("title", "")))
        elif tag == "time" and facts.get("datetime"):
            self.time = self.time or facts["datetime"]

    def _void(self, tag: str, facts: dict[str, str]) -> None:
        """An element without content."""
        if tag in ("br", "wbr"):
            self._pieces.append(BREAK if tag == "br" else "")
        elif tag == "hr":
            self._flush()
        elif tag == "img" and self._link is not None:
            self._link[1].append(f" {facts.get('alt', '')} ")
        elif tag == "area" and facts.get("href") and len(self.links) < LINKS_MAX:
            self.links.append(Link(facts["href"], facts.get("alt", ""), False))

    def _close_forgotten(self, tag: str) -> None:
        """Close what this start tag ends although nobody wrote so."""
        closed, barrier = CLOSED_BY.get(tag, (frozenset(), frozenset()))
        if tag in P_CLOSERS and self._stack and self._stack[-1].tag == "p":
            self._close_from(len(self._stack) - 1, True)
        for place in range(len(self._stack) - 1, -1, -1) if closed else ():
            if self._stack[place].tag in closed:
                self._close_from(place, tag in BLOCKS)
            elif self._stack[place].tag in barrier:
                return

    def _close_from(self, place: int, ends_block: bool) -> None:
        """Close the element at this place of the stack and all inside it."""
        if any(element.tag == "a" for element in self._stack[place:]):
            self._end_link()
        if ends_block:
            self._flush()
        del self._stack[place:]

    def _unseen(self) -> bool:
        return bool(self._stack) and self._stack[-1].unseen

    def _end_link(self) -> None:
        """The open link ends."""
        if self._link is not None and len(self.links) < LINKS_MAX:
            href, pieces = self._link
            self.links.append(Link(href, " ".join("".join(pieces).split())[:300], bool(self._stack) and self._stack[-1].side))
        self._link = None

    def _flush(self) -> None:
        """The text so far is a block."""
        raw, linked = "".join(self._pieces), self._linked
        self._pieces, self._linked = [], 0
        kind = next((KINDS[element.tag] for element in reversed(self._stack) if element.tag in KINDS), "p")
        text = raw.replace(BREAK, "\n").strip("\n") if kind == "pre" else _plain(raw)
        if text.strip() and len(self.blocks) < BLOCKS_MAX:
            inside = self._stack[-1] if self._stack else _Open("", False, False, False)
            self.blocks.append(Block(kind, text, linked, inside.side, inside.main))


def _plain(raw: str) -> str:
    """Text with single spaces; what <br> wrote is a line end."""
    lines = (" ".join(line.split()) for line in raw.split(BREAK))
    return "\n".join(line for line in lines if line)
