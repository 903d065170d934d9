"""Personal data and secrets in a text or JSON, replaced; and a report that says what was where without repeating it.

`redact(input, step)` is the entry. Text and JSON of any size pass in windows. A first pass collects names that something announces, so that the
second finds them where nothing does. Rule: no value that was found leaves in the report, in a log or in an error.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from detect import Detector
from keys import KeyTable
from reading import InputError, Text
from spans import KINDS, Find, windows
from structure import Keys, NotJson, Walker

FINDS_MAX = 1_000                  # listed in the report, when the client names no limit
INLINE_CHARACTERS_MAX = 60_000     # of a result that is returned as it is; a longer one becomes an artifact
TAG_DIGITS = 10                    # of a pseudonym: a million values share none with 99.95 %
VALUE_WITH_KEY = "{key}: {value}"  # a JSON string is judged behind its key, because the key is its label
LABEL_KEY_CHARACTERS_MAX = 60
DIGIT_KINDS = frozenset(("phone", "card", "iban", "national_id", "account"))


class Step(Protocol):
    """What this tool uses of the running step."""

    work_folder: Path

    def progress(self, fraction: float, message: str) -> None:
        """Tell how far the work is."""

    def artifact(self, content: Path | bytes, name: str) -> dict[str, Any]:
        """Keep a file and return the reference that stands for it."""


class Redactor:
    """Replaces finds and keeps the report."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.detector = Detector(data)
        self.keys = KeyTable(data.get("keys", []))
        self.mode = data.get("mode", "label")
        self.salt = str(data.get("salt", "")).encode("utf-8", "replace")
        if self.mode == "pseudonym" and not self.salt:
            raise InputError("the mode pseudonym needs a `salt`: without one anybody could recompute the pseudonyms")
        self.limit = data.get("max_finds", FINDS_MAX)
        self.reset()

    def reset(self) -> None:
        """Forget the report, to begin the text anew."""
        self.counts: Counter[str] = Counter()
        self.finds: list[dict[str, Any]] = []

    def replaced(self, kind: str, value: str) -> str:
        """What stands in the place of a value."""
        if self.mode == "mask":
            return "".join(sign if sign in "\r\n" else "*" for sign in value)
        if self.mode == "label":
            return f"[{kind.upper()}]"
        plain = re.sub(r"\W", "", value).casefold() if kind in DIGIT_KINDS else " ".join(value.casefold().split())
        tag = hmac.new(self.salt, f"{kind}\0{plain}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:TAG_DIGITS]
        return f"[{kind.upper()}_{tag}]"

    def note(self, kind: str, start: int, end: int, confidence: float, pointer: str | None = None) -> None:
        """Report one find, without its value."""
        self.counts[kind] += 1
        if len(self.finds) < self.limit:
            told: dict[str, Any] = {"type": kind, "start": start, "end": end, "confidence": confidence}
            if pointer is not None:
                told["pointer"] = pointer
            self.finds.append(told)

    def text(self, pieces: Iterable[str]) -> Iterator[str]:
        """Plain text, redacted window by window."""
        done = 0                       # offset up to which the text has gone out
        for window in windows(pieces):
            base = window.offset
            for find in self.detector.finds(window.text):
                start, end = max(find.start + base, done), find.end + base
                if find.start >= window.last or end <= max(done, window.first + base):
                    continue
                yield window.text[done - base:start - base]
                yield self.replaced(find.kind, window.text[start - base:end - base])
                self.note(find.kind, start, end, find.confidence)
                done = end
            if done < window.last + base:
                yield window.text[done - base:window.last]
                done = window.last + base

    def string(self, pointer: str | None, value: str, label: str) -> str:
        """One string, redacted; `label` is put before it while it is judged."""
        shift = 0
        judged = value
        if label and len(label) <= LABEL_KEY_CHARACTERS_MAX:
            judged = VALUE_WITH_KEY.format(key=label, value=value)
            shift = len(judged) - len(value)
        out, done = [], 0
        for find in self.detector.finds(judged):
            start, end = max(0, find.start - shift), find.end - shift
            if end > done:
                start = max(start, done)
                out += [value[done:start], self.replaced(find.kind, value[start:end])]
                self.note(find.kind, start, end, find.confidence, pointer)
                done = end
        return "".join(out) + value[done:]

    # -- What the JSON walker asks ------------------------------------------------------------------------------------------------

    def on_string(self, pointer: str, keys: Keys, value: str) -> str:
        """A string value: all of it goes when a key above it says so, else what is found in it."""
        kind = self.kind_of(keys)
        if kind and value.strip() and not self.detector.is_allowed(value):
            self.note(kind, 0, len(value), 0.95, pointer)
            return self.replaced(kind, value)
        return self.string(pointer, value, keys[-1] if keys else "")

    def on_number(self, pointer: str, keys: Keys, number: str) -> str | None:
        """A number: it goes when a key above it says so, or when it is a card or an identity number."""
        kind = self.kind_of(keys)
        if kind is None and len(number) >= 8 and number.isdigit():
            key = keys[-1][:LABEL_KEY_CHARACTERS_MAX] if keys else ""
            found: list[Find] = self.detector.finds(VALUE_WITH_KEY.format(key=key, value=number))
            kind = next((find.kind for find in found if find.end > len(key) + 2), None)
        if kind is None or self.detector.is_allowed(number):
            return None
        self.note(kind, 0, len(number), 0.9, pointer)
        return self.replaced(kind, number)

    def on_key(self, pointer: str, key: str) -> str:
        """A key: what is found in it goes, for some documents are keyed by e-mail address."""
        return self.string(pointer, key, "") if len(key) > 4 else key

    def kind_of(self, keys: Keys) -> str | None:
        """The kind that the innermost telling key stands for, if the client wants that kind: what lies in a `password` object is a password."""
        kinds = (self.keys.kind_of(key) for key in reversed(keys) if key)
        return next((kind for kind in kinds if kind in self.detector.kinds), None)

    def json(self, pieces: Iterable[str]) -> Iterator[str]:
        """JSON or JSON Lines, redacted in place. Raises `NotJson`."""
        return Walker(self.on_string, self.on_number, self.on_key).walk(pieces)


def learn_names(redactor: Redactor, text: Text, structured: bool) -> None:
    """The first pass: names that something in the text announces."""
    detector = redactor.detector
    if not structured:
        for window in windows(text.pieces()):
            detector.known.learn(detector.names(window.text))
        return

    def on_string(_pointer: str, keys: Keys, value: str) -> str:
        by_key = redactor.kind_of(keys) == "name" and not detector.is_allowed(value)
        detector.known.learn([value] if by_key else detector.names(VALUE_WITH_KEY.format(key=keys[-1] if keys else "", value=value)))
        return value

    for _piece in Walker(on_string, lambda _pointer, _keys, _number: None, lambda _pointer, key: key).walk(text.pieces()):
        pass


def is_json(text: Text, wanted: str) -> bool:
    """Whether the text is to be read as JSON. Raises `InputError` when that was asked for and it is not JSON."""
    if wanted == "text":
        return False
    start = "".join(itertools.islice(text.pieces(4096), 1)).lstrip("\ufeff \t\r\n")[:1]
    if wanted == "auto" and start not in ("{", "["):
        return False
    try:
        for _piece in Walker(lambda _p, _k, value: value, lambda _p, _k, _n: None, lambda _p, key: key).walk(text.pieces()):
            pass
    except NotJson as error:
        if wanted == "json":
            raise InputError(f"the text is not JSON: character {error.offset} and what follows cannot be read") from error
        return False
    except InputError:                 # JSON that is too deep or holds a value that is too long
        if wanted == "json":
            raise
        return False
    return True


def write(pieces: Iterable[str], text: Text, step: Step) -> tuple[Any, int]:
    """(the result or the reference to it, its length): what came as a file goes out as one."""
    if not isinstance(text.source, Path):
        whole = "".join(pieces)
        if len(whole) <= INLINE_CHARACTERS_MAX:
            return whole, len(whole)
        pieces = (whole,)
    path = step.work_folder / "redacted.txt"
    length, size = 0, max(1, text.size_bytes)
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        for piece in pieces:
            file.write(piece)
            length += len(piece)
            if len(piece) > 10_000:
                step.progress(min(0.99, length / size), f"{length:,} characters written")
    return step.artifact(path, "redacted.txt"), length


def redact(data: dict[str, Any], step: Step) -> dict[str, Any]:
    """`data["text"]` (a string or a path) or `data["json"]` (any JSON value), redacted; see skill.toml. Raises `InputError`."""
    redactor = Redactor(data)
    as_value = "json" in data and "text" not in data
    if as_value:
        text = Text(json.dumps(data["json"], ensure_ascii=False))
    elif "text" in data:
        text = Text(data["text"] if isinstance(data["text"], Path) else str(data["text"]), data.get("encoding"))
    else:
        raise InputError("the input has neither `text` nor `json`")
    structured = as_value or is_json(text, data.get("format", "auto"))
    if data.get("spread_names", True):
        learn_names(redactor, text, structured)
    redactor.reset()
    pieces = redactor.json(text.pieces()) if structured else redactor.text(text.pieces())
    if as_value:
        result: dict[str, Any] = {"json": json.loads("".join(pieces))}
    else:
        content, _length = write(pieces, text, step)
        result = {"text": content}
    notes = text.notes()
    if isinstance(data.get("text"), Path):
        notes.append("The result is UTF-8.")
    if sum(redactor.counts.values()) > len(redactor.finds):
        notes.append(f"Only the first {len(redactor.finds):,} finds are listed; all were redacted and are counted.")
    notes.append("This finds what has a form, a label or a known key; it is no guarantee that nothing personal remains.")
    return {**result, "format": "json" if structured else "text", "mode": redactor.mode,
            "counts": {kind: redactor.counts[kind] for kind in KINDS if redactor.counts[kind]}, "total": sum(redactor.counts.values()),
            "finds": redactor.finds, "notes": notes}
