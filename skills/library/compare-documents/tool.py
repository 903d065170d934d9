"""compare-documents: what differs between two documents, as text or as JSON, with a summary in sentences.

`compare` is the step. It finds out what the documents are, hands them to `textdiff` or `jsondiff`, and refuses (BadInput) only what cannot be
compared: bytes that are not text, or JSON that was asked for and is not there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from decoding import BadInput, encoding_of, opened, size_of
from jsondiff import IDENTITIES, compare_json
from textdiff import CHANGES_DEFAULT, Step, compare_text

JSON_BYTES_MAX = 48 * 2**20         # of one document that is compared as JSON: it is held in memory, at about ten times its size
NAMED_IN_SUMMARY = 6
SHOWN_CHARACTERS = 60


class _Json:
    """A value read from JSON, and the member names that stood twice in one object."""

    def __init__(self, value: Any, lines: bool = False, twice: tuple[str, ...] = ()) -> None:
        self.value, self.lines, self.twice = value, lines, twice


def compare(input: dict[str, Any], step: Step | None = None) -> dict[str, Any]:
    """Compare `input["before"]` with `input["after"]`: strings, paths, or JSON values as they are."""
    before, after, kind = input["before"], input["after"], input.get("kind", "auto")
    if kind != "text":
        try:
            old, new = _parsed(before, input.get("encoding")), _parsed(after, input.get("encoding"))
        except ValueError as error:
            if kind == "json":
                raise BadInput(f"A document is not JSON: {error}.") from error
        else:
            if kind == "json" or all(isinstance(side.value, dict | list) for side in (old, new)):
                return _as_json(old, new, input)
    for side in (before, after):
        if not isinstance(side, str | Path):
            raise BadInput("One document is a JSON value and the other is text that is not JSON; give both as text.")
    return compare_text(before, after, input, step)


def _as_json(old: _Json, new: _Json, input: dict[str, Any]) -> dict[str, Any]:
    """The structural comparison with its notes and summary."""
    identities = tuple(input.get("identity", IDENTITIES))
    try:
        answer = compare_json(old.value, new.value, identities, input.get("max_changes", CHANGES_DEFAULT))
    except RecursionError as error:
        raise BadInput("A document is nested too deeply to be compared as JSON; compare as text.") from error
    notes = []
    if old.lines or new.lines:
        notes.append("JSON Lines: each line is an item of a list.")
    twice = sorted({*old.twice, *new.twice})
    if twice:
        notes.append(f"Member names that stand twice in one object (the last one counts): {', '.join(twice[:10])}.")
    return answer | {"notes": notes, "summary": " ".join([_summary(answer), *notes])}


def _parsed(document: Any, encoding: str | None) -> _Json:
    """A document as JSON. Raises ValueError when it is not JSON, with the line and column."""
    if not isinstance(document, str | Path):
        return _Json(document)
    if size_of(document) > JSON_BYTES_MAX:
        raise ValueError(f"more than {JSON_BYTES_MAX // 2**20} MiB cannot be compared as JSON")
    with opened(document, encoding_of(document, encoding)) as stream:
        text = stream.read()
    if text.lstrip()[:1] not in tuple('{["-0123456789tfn'):
        raise ValueError("it does not begin like JSON")
    twice: set[str] = set()

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            twice.update(name for name, _ in pairs if name in seen or seen.add(name))     # type: ignore[func-returns-value]
        return found

    decoder = json.JSONDecoder(object_pairs_hook=members, parse_constant=_refuse_constant)
    try:
        value, lines = decoder.decode(text), False
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except ValueError:
        rows = [line for line in text.splitlines() if line.strip()]
        if len(rows) < 2 or rows[0].lstrip()[0] not in "{[":
            raise
        try:
            value, lines = [decoder.decode(row) for row in rows], True
        except ValueError:
            value, lines = decoder.decode(text), False      # neither: the error of the whole is the one to tell
    return _Json(value, lines, tuple(sorted(twice)))


def _refuse_constant(word: str) -> Any:
    """NaN and Infinity are not JSON."""
    raise ValueError(f"{word} is not JSON")


def _summary(answer: dict[str, Any]) -> str:
    """The structural differences in sentences."""
    if answer["identical"]:
        return "The documents are the same JSON value."
    words = {"changed": "changed", "added": "added", "removed": "removed", "type_changed": "of another type", "moved": "moved"}
    parts = [f"{answer['counts'][kind]} {word}" for kind, word in words.items() if answer["counts"][kind]]
    sentences = [f"{', '.join(parts)}; {answer['similarity']:.1%} of the values are the same."]
    for change in answer["changes"][:NAMED_IN_SUMMARY]:
        place = change["pointer"] or "the whole document"
        sentences.append({
            "changed": f"{place} changed from {_short(change.get('before'))} to {_short(change.get('after'))}.",
            "added": f"{place} was added ({_short(change.get('after'))}).",
            "removed": f"{place} was removed ({_short(change.get('before'))}).",
            "type_changed": f"{place} was {' and is now '.join(change.get('types', []))}.",
            "moved": f"{place} was at {change.get('from')}."}[change["kind"]])
    more = sum(answer["counts"].values()) - NAMED_IN_SUMMARY
    return " ".join([*sentences, f"And {more} more: see changes."] if more > 0 else sentences)


def _short(value: Any) -> str:
    """A value for a sentence."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


__all__ = ["BadInput", "compare"]
