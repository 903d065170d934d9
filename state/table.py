"""A table of small records that are changed whole: workers and feedback, by name.

The store puts records in within a unit, which keeps what was there before, and undoes the unit by it. What a table counts besides is derived from
its records alone: `_told` hears of every change, backwards too. Nothing here is journaled, and nobody but the store changes a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

Record = TypeVar("Record")


class Table(dict[str, Record], Generic[Record]):
    """Records by name."""

    def load(self, found: Mapping[str, Record]) -> None:
        """Take in what a start found, in its order."""
        for name, record in found.items():
            self._set(name, record)

    def put(self, before: dict[str, Record | None], name: str, record: Record | None) -> None:
        """Put a record in the place of the one that is there, or take it out (None); `before` keeps what the unit found."""
        before.setdefault(name, self.get(name))
        self._set(name, record)

    def undo(self, before: dict[str, Record | None]) -> None:
        """Put everything back as the unit found it."""
        for name, record in reversed(before.items()):
            self._set(name, record)

    def _set(self, name: str, record: Record | None) -> None:
        old = self.pop(name, None)
        if record is not None:
            self[name] = record
        self._told(old, record)

    def _told(self, old: Record | None, new: Record | None) -> None:
        """A record appears, changes or leaves."""
