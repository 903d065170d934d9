"""Where sentences begin and end, in prose and Markdown of many languages, with offsets into the text as it was given.

Knows headings, lists, quotes, tables and code (the last two are left out), hard-wrapped lines, abbreviations, initials, ordinals, decimal numbers,
quotations, and the punctuation of Chinese, Japanese, Hindi, Arabic and Armenian.
Rule: `text[start:end]` with its white space collapsed is the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from abbreviations import ABBREVIATIONS, ENDABLE, MONTHS
from words import UNSPACED

LINE_CHARACTERS_MAX = 100_000       # a longer line is cut at a space, so that a text without line ends needs no more memory
PARAGRAPH_CHARACTERS_MAX = 200_000
WRAPPED_CHARACTERS = 50             # a line at least this long may go on in the next one; a shorter one is a line of its own
QUOTED_CHARACTERS_MAX = 400         # a quotation this long at most holds its sentences together

END = re.compile(r"(?<![.!?…])[.!?…]++(?:\s»|[\"'”’»)\]*_]*+)(?=\s|$)|[。！？｡．؟۔।॥։]+[」』）”’》】〉\"]*|(?<![!?])[!?]++[」』）]+")
OPENERS = {"“": "”", "«": "»", "「": "」", "『": "』", "（": "）", "(": ")", "„": "“", "《": "》", "»": "«"}
WORD_BEFORE = re.compile(r"[^\s(\[“„\"«]+\Z")
HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(.*)", re.DOTALL)
UNDERLINE = re.compile(r"\s{0,3}(=+|-+)\s*\Z")
ITEM = re.compile(r"\s*(?:[-*+•◦▪‣–·]|\(?\d{1,3}[.)]|\(?[a-zA-Z][)])\s+(?=\S)")
FENCE = re.compile(r"\s{0,3}(```+|~~~+)")
TABLE = re.compile(r"\s*\||.*\S\s*\|.*\|.*\S|\s*[-:|+=\s]{5,}\Z")
RULE = re.compile(r"\s*([-*_=~#])(?:\s*\1){2,}\s*\Z")
MARKUP = re.compile(r"!\[[^\]\[]{0,300}\]\([^)(]{0,2000}\)|(?<!\w)(?:\*{1,3}|__)(?=\S)|(?<=\S)(?:\*{1,3}|__)(?!\w)"
                    r"|\[([^\]\[]{1,300})\]\([^)(]{0,2000}\)|`")
LEADING = " \t\r\n\f\v\u00a0\u3000.,;:·"           # of a sentence: left over from what stood before it
UNSPACED_END = re.compile(f"[{UNSPACED}、，。]\\s*\\Z")


@dataclass(slots=True)
class Sentence:
    """One sentence. `start` and `end` are offsets in characters; `place` is its number in its paragraph, `paragraph` that in its section."""

    text: str
    start: int
    end: int
    kind: str = "text"                # text or item
    paragraph: int = 0
    place: int = 0


@dataclass(slots=True)
class Heading:
    """A heading; what follows belongs to its section."""

    text: str
    level: int
    start: int
    end: int


def lines_of(pieces: Iterable[str]) -> Iterator[tuple[int, str]]:
    """(offset, line with its end) of a text in pieces."""
    offset, rest = 0, ""
    for piece in pieces:
        rest += piece
        *complete, rest = rest.split("\n")
        for line in complete:
            yield from cut(offset, line + "\n")
            offset += len(line) + 1
        while len(rest) > LINE_CHARACTERS_MAX:
            for at, part in list(cut(offset, rest))[:-1]:
                yield at, part
                offset, rest = offset + len(part), rest[len(part):]
    if rest:
        yield from cut(offset, rest)


def cut(offset: int, line: str) -> Iterator[tuple[int, str]]:
    """A line in parts of bounded length, cut after the end of a sentence if there is one, else at a space."""
    while len(line) > LINE_CHARACTERS_MAX:
        ends = list(END.finditer(line, LINE_CHARACTERS_MAX // 2, LINE_CHARACTERS_MAX))
        at = ends[-1].end() if ends else max(line.rfind(" ", 1, LINE_CHARACTERS_MAX), LINE_CHARACTERS_MAX // 2)
        yield offset, line[:at]
        offset, line = offset + at, line[at:]
    yield offset, line


class Reader:
    """Turns lines into headings and sentences. `skipped` counts the lines of code and tables that were left out."""

    def __init__(self) -> None:
        self.skipped = 0
        self._block: list[tuple[int, str]] = []
        self._kind = "text"
        self._paragraph = -1

    def read(self, pieces: Iterable[str]) -> Iterator[Heading | Sentence]:
        """Headings and sentences in order."""
        fence = ""
        first = True
        matter = False
        for offset, line in lines_of(pieces):
            bare = line.strip("\r\n\ufeff ")
            if (first and bare == "---") or matter:
                matter = first or bare not in ("---", "...")
                first = False
                self.skipped += 1
                continue
            first = False
            marks = FENCE.match(line)
            if fence or marks:
                yield from self._flush()
                self.skipped += 1
                fence = "" if fence and bare.startswith(fence) and bare.strip(fence[0]) == "" else fence or (marks[1] if marks else "")
                continue
            yield from self._line(offset, line, bare)
        yield from self._flush()

    def _line(self, offset: int, line: str, bare: str) -> Iterator[Heading | Sentence]:
        """One line outside code."""
        if not bare.strip():
            yield from self._flush()
            return
        underline = UNDERLINE.match(line)
        if underline and len(self._block) == 1 and self._kind == "text" and len(self._block[0][1]) < 120:
            at, title = self._block.pop()
            self._paragraph = -1
            yield Heading(clean(title), 1 if underline[1][0] == "=" else 2, at, at + len(title.rstrip()))
            return
        heading = HEADING.match(line)
        if heading:
            yield from self._flush()
            self._paragraph = -1
            yield Heading(clean(heading[2].rstrip().rstrip("#")), len(heading[1]), offset, offset + len(line.rstrip()))
            return
        if RULE.match(line) or (TABLE.match(line) and not self._block):
            yield from self._flush()
            self.skipped += 1
            return
        item = ITEM.match(line)
        if item:
            yield from self._flush()
            self._kind = "item"
            self._block = [(offset + item.end(), line[item.end():])]
            return
        quote = re.match(r"\s{0,3}(?:>\s?)+", line)
        if quote:
            offset, line = offset + quote.end(), line[quote.end():]
        self._block.append((offset, line))
        if sum(len(part) for _at, part in self._block[-50:]) > PARAGRAPH_CHARACTERS_MAX or len(self._block) > 2_000:
            yield from self._flush()

    def _flush(self) -> Iterator[Sentence]:
        """The sentences of the paragraph that ends here."""
        block, kind = self._block, self._kind
        self._block, self._kind = [], "text"
        if not block:
            return
        self._paragraph += 1
        place = 0
        for part in paragraphs(block):
            for start, end in spans(part):
                sentence = located(part, start, end, kind)
                if sentence is not None:
                    sentence.paragraph, sentence.place = self._paragraph, place
                    place += 1
                    yield sentence


def paragraphs(block: list[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Lines that run on, together: a short line that does not end a sentence stands alone, as in lists of titles and verses."""
    part: list[tuple[int, str]] = []
    for offset, line in block:
        if part:
            before = part[-1][1].rstrip()
            runs_on = (len(before) >= WRAPPED_CHARACTERS or UNSPACED_END.search(before) is not None or before[-1:] in ",;-"
                       or line.lstrip()[:1].islower())
            if not runs_on and not END.search(before[-3:]):
                yield part
                part = []
        part.append((offset, line))
    if part:
        yield part


def spans(part: list[tuple[int, str]]) -> Iterator[tuple[int, int]]:
    """(start, end) of the sentences in the joined lines, as positions in the joined text."""
    text = "".join(line for _offset, line in part)
    start = 0
    quotes = Quotes(text)
    for found in END.finditer(text):
        end = found.end()
        if end <= quotes.held_until or quotes.holds(start, end):
            continue
        if is_end(text, found):
            yield start, end
            start = end
    yield start, len(text)


class Quotes:
    """Follows the quotations of a text from left to right: one that is open holds its sentences together until it closes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.held_until = 0
        self._waiting: list[str] = []        # the marks that would close what is open
        self._straight = False
        self._start = -1
        self._at = 0

    def holds(self, start: int, end: int) -> bool:
        """Whether a quotation that was opened in the sentence from `start` is open at `end` and closes soon."""
        if start != self._start:
            self._start, self._at, self._waiting, self._straight = start, start, [], False
        for character in self.text[self._at:end]:
            if self._waiting and character == self._waiting[-1]:
                self._waiting.pop()
            elif character in OPENERS:
                self._waiting.append(OPENERS[character])
            elif character == '"':
                self._straight = not self._straight
        self._at = max(self._at, end)
        closer = self._waiting[0] if self._waiting else '"' if self._straight else ""
        at = self.text.find(closer, end, end + QUOTED_CHARACTERS_MAX) if closer else -1
        if at >= 0:
            self.held_until = at
        return at >= 0


def is_end(text: str, found: re.Match[str]) -> bool:
    """Whether a mark that could end a sentence does."""
    marks = found[0]
    following = text[found.end():found.end() + 40].lstrip()
    if following and marks[-1] in "」』" and "\u3041" <= following[0] <= "\u309f":
        return False                  # 「…。」と言った: the quotation goes on in its sentence
    if not following or marks[0] in "。！？｡．؟۔।॥։":
        return True
    if following[0].islower():
        return False
    if marks[0] != "." or (len(marks) > 1 and marks[1] == "."):
        return True
    before = WORD_BEFORE.search(text, max(0, found.start() - 30), found.start())
    word = before[0].lstrip("'‘’-–—").casefold() if before else ""
    if not word:
        return False
    if word in ENDABLE:
        return True
    if word in ABBREVIATIONS or (len(word) == 1 and word.isalpha() and not following[0].isdigit() and word not in ("i", "я")):
        return False
    if word.isdigit() and len(word) <= 2:
        # An ordinal (3. Oktober) or the number of a list; a sentence may end with a number too, but then the next word is no month.
        return re.split(r"\W", following, maxsplit=1)[0].casefold() not in MONTHS and found.start() - len(word) > 0 and bool(
            re.search(r"[^\s\d.]", text[:found.start() - len(word)]))
    return not re.fullmatch(r"(?:[a-z]\.){1,4}[a-z]", word) or (following[0].isupper() and len(word) > 3)


def located(part: list[tuple[int, str]], start: int, end: int, kind: str) -> Sentence | None:
    """The sentence at a span of the joined lines, with offsets into the whole text; None if it has no letters."""
    raw = "".join(line for _offset, line in part)[start:end]
    left = start + len(raw) - len(raw.lstrip(LEADING))
    right = start + len(raw.rstrip())
    text = clean(raw.lstrip(LEADING))
    if not any(character.isalpha() for character in text):
        return None
    first, last = where(part, left), where(part, right - 1) + 1
    return Sentence(text, first, last, kind)


def where(part: list[tuple[int, str]], position: int) -> int:
    """The offset in the whole text of a position in the joined lines."""
    for offset, line in part:
        if position < len(line):
            return offset + position
        position -= len(line)
    return part[-1][0] + len(part[-1][1])


def clean(raw: str) -> str:
    """A sentence for reading: white space collapsed (none between unspaced characters), Markdown emphasis and link targets dropped."""
    text = MARKUP.sub(lambda found: found[1] or "", raw)
    text = re.sub(f"(?<=[{UNSPACED}、，。])\\s*\\n\\s*(?=[{UNSPACED}])", "", text)
    return " ".join(text.split())
