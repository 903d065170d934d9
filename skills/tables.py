"""Tables of skill.toml, read member by member: each value is checked as it is taken, and what was never asked for is an unknown member.

Every failure is a SkillError with the line of the value and a sentence that names the member, what it must be and what it is.
Nothing here knows what the members mean; `skills.compile` and `skills.steps` do.
"""

from __future__ import annotations

import datetime
import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from skills.parse import TOML_FILE, SkillError

LineOf = Callable[..., int]


class Table:
    """One table: its values, its path from the top (`("steps", 0, "retry")`), and the label that errors call it by."""

    def __init__(self, values: dict[str, Any], line_of: LineOf, path: tuple[str | int, ...] = (), label: str = "") -> None:
        self._values = values
        self.line_of = line_of
        self.path = path
        self.label = label
        self._known: set[str] = set()

    def error(self, reason: str, *tail: str | int) -> SkillError:
        """An error at the line of the value below `tail`."""
        name = ".".join(str(part) for part in (self.label, *tail) if part != "")
        return SkillError(TOML_FILE, self.line_of(*self.path, *tail), f"{name}: {reason}" if name else reason)

    def has(self, name: str) -> bool:
        """True if the member is there."""
        return name in self._values

    def any(self, name: str) -> Any:
        """The member as it is, None where it is absent; it must be a JSON value."""
        self._known.add(name)
        value = self._values.get(name)
        if found := not_json(value):
            tail, reason = found
            raise self.error(reason, name, *tail)
        return value

    def rest(self) -> dict[str, Any]:
        """All members that were not asked for so far, as JSON values."""
        return {name: self.any(name) for name in self._values if name not in self._known}

    def text(self, name: str, default: str | None = None, most: int = 10_000) -> str:
        """A string that is not blank; required without a default."""
        value = self._taken(name, str, "a string", default)
        if not value.strip():
            raise self.error("must not be empty", name)
        if len(value) > most:
            raise self.error(f"must have at most {most} characters, not {len(value)}", name)
        return str(value)

    def texts(self, name: str, most: int = 10_000, least: int = 0) -> tuple[str, ...]:
        """A list of strings, none of them blank."""
        values = self._taken(name, list, "a list of strings", [] if least == 0 else None)
        if len(values) < least:
            raise self.error("must not be empty", name)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise self.error(f"must be a string, not {kind_of(value)}", name, index)
            if not value.strip():
                raise self.error("must not be empty", name, index)
            if len(value) > most:
                raise self.error(f"must have at most {most} characters, not {len(value)}", name, index)
        return tuple(values)

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """A number from `low` to `high`."""
        value = self._taken(name, (int, float), "a number", default)
        if not low <= value <= high:
            raise self.error(f"must be from {low:g} to {high:g}, not {value:g}" if math.isfinite(value) else "must be a finite number", name)
        return float(value)

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`."""
        value = self._taken(name, int, "a whole number", default)
        if not low <= value <= high:
            raise self.error(f"must be from {low} to {high}, not {value}", name)
        return int(value)

    def numbers(self, highest: Mapping[str, float]) -> dict[str, float]:
        """Those of the named numbers that are there, each from 0 to its highest."""
        self._known.update(highest)
        return {name: self.number(name, 0, most) for name, most in highest.items() if self.has(name)}

    def wholes(self, highest: Mapping[str, int]) -> dict[str, int]:
        """Those of the named whole numbers that are there, each from 1 to its highest."""
        self._known.update(highest)
        return {name: self.whole(name, 1, most) for name, most in highest.items() if self.has(name)}

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        return bool(self._taken(name, bool, "true or false", default))

    def choice(self, name: str, options: Sequence[str], default: str | None = None) -> str:
        """One of `options`."""
        value = self._taken(name, str, "one of " + ", ".join(options), default)
        if value not in options:
            raise self.error(f"must be one of {', '.join(options)}, not {value!r}{did_you_mean(value, options)}", name)
        return str(value)

    def strings(self, name: str) -> dict[str, str]:
        """A table of strings, empty where it is absent."""
        values = self._taken(name, dict, "a table of strings", {})
        for key, value in values.items():
            if not isinstance(value, str):
                raise self.error(f"must be a string, not {kind_of(value)}", name, key)
        return dict(values)

    def table(self, name: str) -> Table:
        """A table inside this one, empty where it is absent."""
        values = self._taken(name, dict, "a table", {})
        return Table(values, self.line_of, (*self.path, name), f"{self.label}.{name}".lstrip("."))

    def tables(self, name: str) -> list[Table]:
        """An array of tables, empty where it is absent; each is labelled by its place."""
        values = self._taken(name, list, f"written as [[{name}]]", [])
        found = []
        for index, value in enumerate(values):
            if not isinstance(value, dict):
                raise self.error(f"must be a table, not {kind_of(value)}", name, index)
            found.append(Table(value, self.line_of, (*self.path, name, index), f"{name}[{index}]"))
        return found

    def end(self) -> None:
        """Refuse the members that nobody asked for."""
        for name in self._values:
            if name not in self._known:
                raise self.error(f"is not a known member{did_you_mean(name, self._known)}", name)

    def _taken(self, name: str, kind: type | tuple[type, ...], words: str, default: Any) -> Any:
        """The member if it has the right type; true and false are no numbers."""
        self._known.add(name)
        if name not in self._values:
            if default is None:
                raise self.error(f"{name} is missing; it must be {words}")
            return default
        value = self._values[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(f"must be {words}, not {kind_of(value)}", name)
        return value


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'after'?`, or what there is when nothing is near and the list is short, or nothing."""
    options = sorted(known)
    near = difflib.get_close_matches(name, options, 1, 0.65)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there is {', '.join(options)}" if 0 < len(options) <= 12 else ""


def kind_of(value: Any) -> str:
    """What TOML calls the value's type, with the value where it is short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string {value!r}" if len(value) <= 40 else "a string"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, list):
        return "a list"
    return "a table" if isinstance(value, dict) else "a date or time"


def not_json(value: Any) -> tuple[tuple[str | int, ...], str] | None:
    """The path to the first thing in `value` that JSON cannot say, and why; None when there is none. `skills.parse` bounds the nesting."""
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return (), "a date is not JSON; write it as a string"
    if isinstance(value, float) and not math.isfinite(value):
        return (), "must be a finite number"
    children: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for key, item in children:
        if found := not_json(item):
            return (key, *found[0]), found[1]
    return None


def path_of(pointer: str, value: Any) -> tuple[str | int, ...]:
    """The path that a JSON Pointer takes through `value`, for the line of it; it ends where the pointer leads nowhere."""
    path: list[str | int] = []
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            path.append(name)
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            path.append(int(name))
            value = value[int(name)]
        else:
            break
    return tuple(path)

