"""The structural differences of two JSON values: what was added, removed, changed, of another type, or moved, each with its JSON Pointer.

Objects are compared member by member. Lists of objects that share an identity (`id`, `key`, ...) are compared item by item wherever the items
stand; other lists are aligned by equal items. `true` is not 1, and 1 equals 1.0. Pointers name the place in the second value, those of
removed things the place in the first.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from lines import gaps_between, matches

IDENTITIES = ("id", "_id", "uuid", "guid", "key", "name", "slug", "code", "path", "url")
VALUE_CHARACTERS_SHOWN = 1_000      # of a value in a change
DEPTH_MAX = 200                     # levels that are walked; deeper values are compared as a whole


def compare_json(before: Any, after: Any, identities: tuple[str, ...] = IDENTITIES, max_changes: int = 100) -> dict[str, Any]:
    """The differences of two JSON values."""
    walk = _Walk(identities, max_changes)
    walk.compare("", "", before, after, 0)
    leaves = _leaves(before) + _leaves(after)
    changed = walk.counts.total()
    return {"kind": "json", "identical": not changed, "similarity": round(2 * walk.same / leaves, 4) if leaves else 1.0,
            "counts": {kind: walk.counts[kind] for kind in ("added", "removed", "changed", "type_changed", "moved")},
            "changes": walk.changes, "changes_truncated": changed > len(walk.changes)}


class _Walk:
    """One walk over two values; `same` counts equal leaves."""

    def __init__(self, identities: tuple[str, ...], max_changes: int) -> None:
        self.identities, self.max_changes = identities, max_changes
        self.counts: Counter[str] = Counter()
        self.changes: list[dict[str, Any]] = []
        self.same = 0

    def compare(self, old_at: str, at: str, before: Any, after: Any, depth: int) -> None:
        """Compare the values at two pointers."""
        if type_of(before) != type_of(after):
            self.note("type_changed", at, before=_shown(before), after=_shown(after), types=[type_of(before), type_of(after)])
        elif isinstance(before, dict) and (before or after) and depth < DEPTH_MAX:
            self.members(old_at, at, before, after, depth)
        elif isinstance(before, list) and (before or after) and depth < DEPTH_MAX:
            self.items(old_at, at, before, after, depth)
        elif canonical(before) == canonical(after):
            self.same += _leaves(after)
        else:
            self.note("changed", at, before=_shown(before), after=_shown(after))

    def members(self, old_at: str, at: str, before: dict[str, Any], after: dict[str, Any], depth: int) -> None:
        """Compare two objects."""
        for name, value in before.items():
            here = "/" + name.replace("~", "~0").replace("/", "~1")
            if name in after:
                self.compare(old_at + here, at + here, value, after[name], depth + 1)
            else:
                self.note("removed", old_at + here, before=_shown(value))
        for name, value in after.items():
            if name not in before:
                self.note("added", at + "/" + name.replace("~", "~0").replace("/", "~1"), after=_shown(value))

    def items(self, old_at: str, at: str, before: list[Any], after: list[Any], depth: int) -> None:
        """Compare two lists, by identity where the items have one."""
        identity = shared_identity(before, after, self.identities)
        if identity:
            old_keys = [canonical(item[identity]) for item in before]
            new_keys = [canonical(item[identity]) for item in after]
        else:
            old_keys, new_keys = [canonical(item) for item in before], [canonical(item) for item in after]
        found = matches(old_keys, new_keys)
        for i, j, size in found:
            for n in range(size):
                self.compare(f"{old_at}/{i + n}", f"{at}/{j + n}", before[i + n], after[j + n], depth + 1)
        gaps = gaps_between(found, len(before), len(after))
        gone = [(i, old_keys[i]) for gap in gaps for i in range(gap[0], gap[1])]
        new = [(j, new_keys[j]) for gap in gaps for j in range(gap[2], gap[3])]
        moved = self.moves(old_at, at, before, after, gone, new, depth)
        self.rest(old_at, at, before, after, gaps, moved, bool(identity), depth)

    def moves(self, old_at: str, at: str, before: list[Any], after: list[Any], gone: list[tuple[int, str]], new: list[tuple[int, str]],
              depth: int) -> tuple[set[int], set[int]]:
        """Note the items that stand elsewhere; answers the places of both sides that are settled by that."""
        places: dict[str, list[int]] = {}
        for j, key in reversed(new):
            places.setdefault(key, []).append(j)
        old_places: set[int] = set()
        new_places: set[int] = set()
        for i, key in gone:
            if places.get(key):
                j = places[key].pop()
                old_places.add(i)
                new_places.add(j)
                self.note("moved", f"{at}/{j}", **{"from": f"{old_at}/{i}", "after": _shown(after[j])})
                self.compare(f"{old_at}/{i}", f"{at}/{j}", before[i], after[j], depth + 1)
        return old_places, new_places

    def rest(self, old_at: str, at: str, before: list[Any], after: list[Any], gaps: list[tuple[int, int, int, int]],
             settled: tuple[set[int], set[int]], by_identity: bool, depth: int) -> None:
        """Items that are in one list only. Without an identity, those that face each other in a gap count as the same item, changed."""
        for a, a_end, b, b_end in gaps:
            old = [i for i in range(a, a_end) if i not in settled[0]]
            new = [j for j in range(b, b_end) if j not in settled[1]]
            paired = 0
            if not by_identity:
                while paired < min(len(old), len(new)) and type_of(before[old[paired]]) == type_of(after[new[paired]]):
                    i, j = old[paired], new[paired]
                    self.compare(f"{old_at}/{i}", f"{at}/{j}", before[i], after[j], depth + 1)
                    paired += 1
            for i in old[paired:]:
                self.note("removed", f"{old_at}/{i}", before=_shown(before[i]))
            for j in new[paired:]:
                self.note("added", f"{at}/{j}", after=_shown(after[j]))

    def note(self, kind: str, pointer: str, **members: Any) -> None:
        """Count a difference and list it while there is room."""
        self.counts[kind] += 1
        if len(self.changes) < self.max_changes:
            self.changes.append({"kind": kind, "pointer": pointer, **members})


def shared_identity(before: list[Any], after: list[Any], identities: tuple[str, ...]) -> str | None:
    """The first member that every item of both lists has, with another plain value in each item of a list."""
    if not before or not after or not all(isinstance(item, dict) for item in (*before, *after)):
        return None
    for name in identities:
        if all(isinstance(item.get(name), str | int | float) for item in (*before, *after)):
            lists = [[canonical(item[name]) for item in items] for items in (before, after)]
            if all(len(set(keys)) == len(keys) for keys in lists):
                return name
    return None


def type_of(value: Any) -> str:
    """The JSON type of a value."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "null" if value is None else "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def canonical(value: Any) -> str:
    """A text that is equal for equal JSON values: members sorted, 1.0 as 1, true apart from 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=True)
    return json.dumps(_whole(value), sort_keys=True, separators=(",", ":"))


def _whole(value: Any) -> Any:
    """The value with 1.0 written as 1 at every level."""
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _leaves(value: Any) -> int:
    """How many plain values there are in a value; an empty container counts as one."""
    if isinstance(value, dict | list) and value:
        return sum(map(_leaves, value.values() if isinstance(value, dict) else value))
    return 1


def _shown(value: Any) -> Any:
    """A value as it is shown in a change: itself when it is small, else the beginning of its text."""
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= VALUE_CHARACTERS_SHOWN else text[:VALUE_CHARACTERS_SHOWN] + "…"
