"""Trigger phrases: tasks that should, and tasks that should not, lead to a skill, as its folder has them in `evals/triggers.json`.

Two shapes are read: {"should_trigger": ["..."], "should_not_trigger": ["..."]}, and the public list [{"query": "...", "should_trigger": true}, ...].
Rule 1: an evaluation set is no evidence. Nothing that loads, compiles or matches a skill reads this file; `python3 server.py check` does.
Rule 2: strict, and harmless: what is wrong is a finding with its line where that is known, and the phrases that can be read are still asked.
Pure; asking them is the business of `router.api.triggers`. The file is part of the bundle, as every file of the folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from skills.lint import Finding
from skills.remarks import quoted
from state.limits import KIB, TASK_CHARACTERS_MAX

TRIGGERS_FILE = "evals/triggers.json"
TRIGGERS_BYTES_MAX = 256 * KIB          # a thousand phrases of a long sentence each
TRIGGERS_MAX = 1_000                    # of a skill, each a ranking of about a millisecond: a check stays one of seconds
LISTS = {"should_trigger": True, "should_not_trigger": False}      # members of the first shape
KINDS = {type(None): "nothing", bool: "true or false", str: "a text", list: "a list", dict: "an object"}      # what errors call a value
SHAPES = 'write {"should_trigger": ["..."], "should_not_trigger": ["..."]} or [{"query": "...", "should_trigger": true}, ...]'

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


class Trigger(NamedTuple):
    """A task in words, whether it should lead to the skill, and the line where it stands."""

    phrase: str
    should: bool
    line: int | None


class Triggers(NamedTuple):
    """What one file holds: the phrases that can be asked, and what is wrong with it."""

    phrases: tuple[Trigger, ...]
    findings: tuple[Finding, ...]


class _Unreadable(Exception):
    """The whole file cannot be read; the finding says why."""

    def __init__(self, code: str, line: int | None, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.finding = _error(code, line, reason, hint)


def read(data: bytes, examples: Sequence[str] = ()) -> Triggers:
    """The phrases of a file, for a skill with these examples. Never raises."""
    try:
        text = _decoded(data)
        value = _parsed(text)
        rows = list(_rows(value))
    except _Unreadable as error:
        return Triggers((), (error.finding,))
    lines = _lines(text)
    findings: list[Finding] = []
    if len(rows) > TRIGGERS_MAX:
        findings.append(_error("triggers-many", None, f"{len(rows)} phrases; the first {TRIGGERS_MAX} are asked", "keep those that differ most"))
    known: dict[str, Trigger] = {}
    copied = {_folded(example) for example in examples}
    for name, phrase, should in rows[:TRIGGERS_MAX]:
        line = _next_line(lines, phrase)
        finding = _wrong(name, phrase, should, line)
        if finding is None:
            trigger = Trigger(phrase, should, line)
            first = known.setdefault(_folded(phrase), trigger)
            finding = _again(trigger, first) if first is not trigger else _copied(trigger, copied)
        findings += [finding] if finding else []
    return Triggers(tuple(known.values()), tuple(findings))


def _decoded(data: bytes) -> str:
    if len(data) > TRIGGERS_BYTES_MAX:
        raise _Unreadable("triggers-large", None, f"{len(data)} bytes; at most {TRIGGERS_BYTES_MAX} are read", "keep the phrases that differ most")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _Unreadable("triggers-not-utf8", line, f"not UTF-8: the byte 0x{data[error.start]:02X} does not belong there",
                          "save the file as UTF-8") from None


def _parsed(text: str) -> Any:
    """The JSON value; a member that is there twice is refused, as one of the two lists would be lost."""
    try:
        return json.loads(text, object_pairs_hook=_members)
    except json.JSONDecodeError as error:
        raise _Unreadable("triggers-not-json", error.lineno, f"not JSON: {error.msg} (column {error.colno})", "correct the JSON") from None
    except ValueError as error:
        raise _Unreadable("triggers-not-json", None, f"not JSON: {error}", "correct the JSON") from None
    except RecursionError:
        raise _Unreadable("triggers-not-json", None, "nested too deeply", SHAPES) from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member is there twice")
    return found


def _rows(value: Any) -> Iterator[tuple[str, Any, Any]]:
    """(what an error calls it, phrase, should) of each item of either shape, not looked at yet."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            if not isinstance(item, dict):
                raise _Unreadable("triggers-shape", None, f"item {number} must be an object, not {_kind(item)}", SHAPES)
            yield f"item {number}", item.get("query"), item.get("should_trigger")
        return
    if not isinstance(value, dict):
        raise _Unreadable("triggers-shape", None, f"must be an object or a list, not {_kind(value)}", SHAPES)
    if unknown := sorted(value.keys() - LISTS.keys()):
        raise _Unreadable("triggers-shape", None, f"unknown member {unknown[0][:40]!r}", SHAPES)
    for name, should in LISTS.items():
        phrases = value.get(name, [])
        if not isinstance(phrases, list):
            raise _Unreadable("triggers-shape", None, f"{name} must be a list of texts, not {_kind(phrases)}", SHAPES)
        yield from ((f"{name}[{number}]", phrase, should) for number, phrase in enumerate(phrases))


def _wrong(name: str, phrase: Any, should: Any, line: int | None) -> Finding | None:
    """Why one item cannot be asked."""
    if not isinstance(phrase, str):
        return _error("triggers-shape", line, f"{name}: the phrase must be text, not {_kind(phrase)}", SHAPES)
    if not isinstance(should, bool):
        return _error("triggers-shape", line, f"{name}: should_trigger must be true or false, not {_kind(should)}", SHAPES)
    if not phrase.strip():
        return _error("trigger-empty", line, f"{name}: the phrase is empty", "write a task as a user would, or remove it")
    if len(phrase) > TASK_CHARACTERS_MAX:
        return _error("trigger-long", line, f"{name}: {len(phrase)} characters; a task has at most {TASK_CHARACTERS_MAX}", "shorten it")
    try:
        phrase.encode()
    except UnicodeEncodeError:
        return _error("trigger-not-unicode", line, f"{name}: holds half a character (a lone surrogate)", "write the character itself")
    return None


def _again(trigger: Trigger, first: Trigger) -> Finding:
    """A phrase that was there before."""
    if trigger.should != first.should:
        return _error("trigger-contradicts", trigger.line, f"{quoted(trigger.phrase)} should trigger the skill and should not", "remove one of them")
    return _warning("trigger-repeated", trigger.line, f"{quoted(trigger.phrase)} stands here a second time", "remove it")


def _copied(trigger: Trigger, examples: set[str]) -> Finding | None:
    """A phrase that matching has been told the answer of."""
    if _folded(trigger.phrase) not in examples:
        return None
    return _warning("trigger-copied", trigger.line, f"{quoted(trigger.phrase)} is an example of the skill, so it measures nothing",
                    "say it in other words, here or there")


def _lines(text: str) -> dict[str, list[int]]:
    """The lines of each text in a JSON document, in order: outside of texts JSON has no quotes."""
    lines: dict[str, list[int]] = {}
    line, at = 1, 0
    for found in _TEXT.finditer(text):
        line, at = line + text.count("\n", at, found.start()), found.start()
        lines.setdefault(json.loads(found[0]), []).append(line)
    return lines


def _next_line(lines: dict[str, list[int]], phrase: Any) -> int | None:
    """The next line of a phrase, which may stand there more than once; None for what is no text."""
    places = lines.get(phrase, []) if isinstance(phrase, str) else []
    return (places.pop(0) if len(places) > 1 else places[0]) if places else None


def _folded(phrase: str) -> str:
    """The phrase as far as it counts whether two are the same."""
    return " ".join(phrase.casefold().split())


def _kind(value: Any) -> str:
    return KINDS.get(type(value), "a number")


def _error(code: str, line: int | None, reason: str, hint: str) -> Finding:
    return Finding("error", code, TRIGGERS_FILE, line, reason, hint)


def _warning(code: str, line: int | None, reason: str, hint: str) -> Finding:
    return Finding("warning", code, TRIGGERS_FILE, line, reason, hint)
