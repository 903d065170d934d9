"""From messages to templates: what varies is masked or becomes `<*>`, what stays is the template.

Words that look like values (numbers, ids, hex, addresses, paths, times, durations, sizes) are masked one by one. The masked messages stand in a
tree of fixed depth (level, exception, length, first two words). Where a leaf holds VARIANTS messages that differ in the same places, those
places become `<*>`. Fewer variants stay apart, so that `opened` and `closed` are two templates while user names are one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from records import Record, class_of

VARIANTS = 5                      # messages that differ in the same places before these places are a variable
SIMILAR_SHARE = 0.5               # of the words that must agree before two messages can become one template
HEADS_MAX = 200                   # first words of one length; more are a variable
LEAF_MAX = 100                    # templates of one leaf; beyond it a new message joins the most similar one
TEMPLATES_MAX = 20_000            # of a log; beyond it new messages are counted together, per level
CACHED_MAX = 200_000              # words and messages remembered
WORDS_MAX = 60                    # of a message that make its template
WORD_CHARACTERS_MAX = 200          # of a word that is looked at: a longer one is data, not text
EXAMPLES_MAX = 3
EXAMPLE_CHARACTERS_MAX = 400
METHODS = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PROPFIND"}

OUTER = re.compile(r"([\"'`(\[{<,;|]*)(.*?)([\"'`)\]}>,;|:.!?]*)", re.DOTALL)
KEY = re.compile(r"([A-Za-z_][\w.-]*[=:])(.+)", re.DOTALL)
RUN = re.compile(r"[A-Za-z0-9]*\d[A-Za-z0-9]*")
STATUS = re.compile(r"[1-5]\d\d")           # after a request path it is part of the shape: 200 and 500 are two templates
ENDING = re.compile(r"([A-Za-z]+)\d+")
WHOLE = (
    ("<url>", re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://\S+")),
    ("<email>", re.compile(r"[^\s@=]+@[\w-]+(?:\.[\w-]+)+")),
    ("<uuid>", re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")),
    ("<ip>", re.compile(r"/?(?:\d{1,3}\.){3}\d{1,3}(?:[:/]\d{1,5})?|\[?(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}(?:\]:\d+)?(?:%\w+)?")),
    ("<time>", re.compile(r"\d{4}[-/.]\d\d[-/.]\d\d(?:[T_]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?|\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?Z?")),
    ("<duration>", re.compile(r"[+-]?(?:\d+(?:\.\d+)?(?:ns|us|µs|μs|ms|s|sec|secs|m|min|h|d))+")),
    ("<size>", re.compile(r"\d+(?:\.\d+)?(?:[kKMGTP]i?)?[Bb](?:/s)?")),
    ("<num>", re.compile(r"[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?")),
    ("<num>%", re.compile(r"[+-]?\d+(?:\.\d+)?%")),
    ("<hex>", re.compile(r"0[xX][0-9a-fA-F]+|(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{6,}")),
    ("<path>", re.compile(r"~?(?:/[^\s/:=]+){2,}/?(?::\d+)*|[A-Za-z]:\\\S+|\.{1,2}(?:/[^\s/:=]+)+")),
)


def mask(word: str) -> str:
    """One word with what looks like a value replaced by its kind; punctuation around it stays."""
    if word.isalpha():
        return word
    if len(word) > WORD_CHARACTERS_MAX:
        return "<long>"
    before, core, after = OUTER.fullmatch(word).groups()      # type: ignore[union-attr]
    if not core:
        return word
    if any(sign in core for sign in "0123456789/@\\") or core.count(":") > 1:
        for kind, form in WHOLE:
            if form.fullmatch(core):
                return before + kind + after
        key = KEY.fullmatch(core)
        if key is not None and not core[len(key[1]):].startswith("//"):
            return before + key[1] + mask(key[2]) + after
        if "," in core and core[0] not in "0123456789":
            return before + ",".join(mask(part) for part in core.split(",")) + after
        return before + RUN.sub(run, core) + after
    return word


def run(found: re.Match[str]) -> str:
    """The mask of letters and digits in one piece: `node12` keeps its name, `a8f3k2` is an id."""
    text = found[0]
    if text.isdigit():
        return "<num>"
    ending = ENDING.fullmatch(text)
    return ending[1] + "<num>" if ending else "<id>"


def route(word: str) -> str:
    """A request path: its segments stay, ids in it are masked, the query goes."""
    before, core, after = OUTER.fullmatch(word).groups()      # type: ignore[union-attr]
    segments = []
    for segment in core.partition("?")[0].split("/"):
        digits = sum(character.isdigit() for character in segment)
        segments.append(segment if not digits or re.fullmatch(r"v\d", segment) else mask(segment) if segment.isalnum() or digits < 3 else "<id>")
    return before + "/".join(segments) + after


@dataclass(slots=True, eq=False)
class Template:
    """A shape of message and where it was seen. Times are seconds of the log's calendar, None in a log without times."""

    number: int
    level: str
    words: list[str]
    exception: str
    first_line: int
    first_at: float | None
    last_line: int = 0
    last_at: float | None = None
    count: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)
    slots: dict[int, int] = field(default_factory=dict)            # slot of the timeline -> records
    causes: dict[str, int] = field(default_factory=dict)           # exception and place -> records
    into: Template | None = None                                   # the template that this one became part of

    @property
    def text(self) -> str:
        """The template as one line."""
        return " ".join(self.words) + (f" | {self.exception}" if self.exception else "")

    def differs(self, words: list[str]) -> tuple[int, ...]:
        """The places where a message of the same length says something else; variables agree with everything."""
        return tuple(at for at, (own, other) in enumerate(zip(self.words, words, strict=True)) if own != other and not own.endswith("<*>"))

    def absorb(self, other: Template) -> None:
        """Take over everything that another template has seen."""
        self.count += other.count
        if other.first_at is not None and (self.first_at is None or other.first_at < self.first_at):
            self.first_at = other.first_at
        self.first_line = min(self.first_line, other.first_line)
        self.last_line = max(self.last_line, other.last_line)
        if other.last_at is not None and (self.last_at is None or other.last_at > self.last_at):
            self.last_at = other.last_at
        self.examples = sorted(self.examples + other.examples)[:EXAMPLES_MAX]
        for slot, count in other.slots.items():
            self.slots[slot] = self.slots.get(slot, 0) + count
        for cause, count in other.causes.items():
            self.causes[cause] = self.causes.get(cause, 0) + count
        other.into = self
        other.slots = {}


def merged_word(left: str, right: str) -> str:
    """A variable for two words; a common `name=` in front of it stays."""
    if left == right:
        return left
    for sign in "=:":
        name, found, _ = left.partition(sign)
        if found and name and right.startswith(name + sign):
            return name + sign + "<*>"
    return "<*>"


class Templates:
    """All templates of a log."""

    def __init__(self) -> None:
        self.all: list[Template] = []
        self.overflowed = 0               # records counted together because there were too many templates
        self._masked: dict[str, str] = {}
        self._exact: dict[tuple[str, str, str], Template] = {}
        self._leaves: dict[tuple[str, ...], list[Template]] = {}
        self._heads: dict[tuple[str, ...], set[str]] = {}
        self._others: dict[str, Template] = {}

    def live(self) -> list[Template]:
        """The templates that were not merged into others."""
        return [template for template in self.all if template.into is None]

    def add(self, record: Record) -> Template:
        """Count a record, and return its template."""
        words = self.words(record.text)
        cause = record.exception() if record.trace else None
        level, exception = record.level or "unknown", class_of(cause[0]) if cause else ""
        key = (level, exception, " ".join(words))
        template = self._exact.get(key)
        if template is None:
            if len(self._exact) > CACHED_MAX:
                self._exact.clear()
            template = self._exact[key] = self._found(level, exception, words, record)
        while template.into is not None:
            template = self._exact[key] = template.into
        template.count += 1
        template.last_line = record.line
        at = record.at
        if at is not None:
            if template.last_at is None or at > template.last_at:
                template.last_at = at
            if template.first_at is None or at < template.first_at:
                template.first_at = at
        if len(template.examples) < EXAMPLES_MAX:
            template.examples.append((record.line, record.raw[:EXAMPLE_CHARACTERS_MAX]))
        if cause is not None:
            text = f"{cause[0]} at {cause[1]}" if cause[1] else cause[0]
            if text in template.causes or len(template.causes) < VARIANTS:
                template.causes[text] = template.causes.get(text, 0) + 1
        return template

    def words(self, text: str) -> list[str]:
        """The masked words of a message."""
        masked = self._masked
        words = text.split(None, WORDS_MAX)[:WORDS_MAX]
        result = []
        for word in words:
            known = masked.get(word)
            if known is None:
                if len(masked) > CACHED_MAX:
                    masked.clear()
                known = masked[word] = mask(word)
            result.append(known)
        for at in range(1, len(words)):
            if words[at - 1].lstrip("\"'[(") in METHODS and words[at].lstrip("\"'").startswith("/"):
                result[at] = route(words[at])
                for near in range(at + 1, min(at + 3, len(words))):
                    if STATUS.fullmatch(words[near]):
                        result[near] = words[near]
        return result or ["<empty>"]

    def _found(self, level: str, exception: str, words: list[str], record: Record) -> Template:
        """The template of a message that was not seen before in this form."""
        leaf = self._leaves.setdefault(self._place(level, exception, words), [])
        relatives: dict[tuple[int, ...], list[Template]] = {}
        nearest: tuple[int, Template] | None = None
        for template in leaf:
            places = template.differs(words)
            if not places:
                return template
            if len(places) <= (1 - SIMILAR_SHARE) * len(words):
                relatives.setdefault(places, []).append(template)
            if nearest is None or len(places) < nearest[0]:
                nearest = (len(places), template)
        group = max(relatives.values(), key=len, default=[])
        if len(group) >= VARIANTS - 1:
            return self._generalised(leaf, group, words)
        if len(leaf) >= LEAF_MAX and nearest is not None:
            return self._generalised(leaf, [nearest[1]], words)
        if len(self.all) >= TEMPLATES_MAX:
            self.overflowed += 1
            if level not in self._others:
                self._others[level] = self._new(level, "", ["<other", "messages>"], record)
            return self._others[level]
        template = self._new(level, exception, words, record)
        leaf.append(template)
        return template

    def _new(self, level: str, exception: str, words: list[str], record: Record) -> Template:
        template = Template(len(self.all) + 1, level, words, exception, record.line, record.at)
        self.all.append(template)
        return template

    def _generalised(self, leaf: list[Template], group: list[Template], words: list[str]) -> Template:
        """Make one template of a group and a new message, with variables where they differ."""
        first, *others = group
        for other in [*others, Template(0, first.level, words, "", first.first_line, None)]:
            first.words = [merged_word(left, right) for left, right in zip(first.words, other.words, strict=True)]
        for other in leaf:
            # What the wider template now covers belongs to it, whether it was in the group or not.
            if other is not first and not first.differs(other.words):
                first.absorb(other)
        leaf[:] = [template for template in leaf if template.into is None]
        return first

    def _place(self, level: str, exception: str, words: list[str]) -> tuple[str, ...]:
        """The leaf of a message: its level, exception, length and first two words, unless these are values or too many."""
        path: tuple[str, ...] = (level, exception, str(len(words)))
        for word in words[:2]:
            known = self._heads.setdefault(path, set())
            if "<" in word or (word not in known and len(known) >= HEADS_MAX):
                word = "<*>"
            known.add(word)
            path = (*path, word)
        return path
