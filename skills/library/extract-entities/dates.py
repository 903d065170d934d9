"""Recognisers for dates: numeric, with month names of some twenty languages, East Asian, quarters, and relative ones.

The normalised form is ISO 8601, as exact as the text: 2024-05-01, 2024-05, --05-01 (no year), 2024-05-01T10:30. A numeric date that could be day
first or month first is flagged with both readings, unless the client says which order counts. Relative dates stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from months import DOUBTFUL, ERAS, MONTHS, RELATIVE
from spans import Entity

PIVOT = 70                         # two-digit years below it are of this century
ISO = re.compile(r"(?<![\w.-])(\d{4})-(\d\d)-(\d\d)(?:(?:T|\s)(\d\d):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?"
                 r"\s?(Z|[+-]\d\d:?\d\d)?)?(?![\w-]|\.\d)", re.ASCII)
COMPACT = re.compile(r"(?<!\w)(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)?(Z|[+-]\d{4})?(?!\w)", re.ASCII)
WEEK = re.compile(r"(?<!\w)(\d{4})-?W(\d\d)(?:-?([1-7]))?(?!\w)", re.ASCII)
YEAR_FIRST = re.compile(r"(?<![\w./-])(\d{4})([/.])(\d{1,2})\2(\d{1,2})(?![\w/]|\.\d)", re.ASCII)
NUMERIC = re.compile(r"(?<![\w./-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/]|[.-]\d)", re.ASCII)
SPACED = re.compile(r"(?<![\w./-])(\d{1,2})\. (\d{1,2})\. ?(\d{4})(?!\w)", re.ASCII)
DAY_FIRST = re.compile(r"(?<![\w.,/:-])(\d{1,2})(?:\s?(?:st|nd|rd|th|er|e|º|ª|°|\.|:e))?(?:\s?[–-]\s?\d{1,2}\.?)?[\s\-/]{0,3}(?:of |de |d['’]|di )?"
                       r"([^\W\d_]{3,12})\b\.?(?:[,\s\-/]{0,4}(?:de |del |of )?(\d{4})\b(?!\.\d)|\s?['’](\d\d)\b|[-/](\d\d)\b)?")
MONTH_FIRST = re.compile(r"\b([^\W\d_]{3,12})\.? (\d{1,2})(?:st|nd|rd|th)?\b(?:(?:,| ,)? ?(\d{4})\b)?(?![.:,]\d|%)")
MONTH_YEAR = re.compile(r"\b([^\W\d_]{3,12})\.?,?(?: of| de| del|-)? ?(\d{4})\b(?![.,]\d)")
EAST = re.compile(r"(?:(\d{4})\s?[年년]\s?)(\d{1,2})\s?[月월](?:\s?(\d{1,2})\s?[日号號일])?")
EAST_DAY = re.compile(r"(?<![\d年년])(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日号號일]")
ERA = re.compile(r"(令和|平成|昭和|大正|(?<![A-Za-z])[RHS](?=\d))(元|\d{1,2})[年.](\d{1,2})[月.](\d{1,2})日?")
QUARTER = re.compile(r"\bQ([1-4])[ /-]?(?:FY ?)?'?(\d{4})\b|\b(\d{4})[ -]?Q([1-4])\b")
RELATIVE_DATE = re.compile(RELATIVE, re.IGNORECASE)
CLOCK = re.compile(r",?\s{1,3}(?:at |um |à |a las |às |alle |kl\.? |om |в )?(\d{1,2})(?::|h|\.(?=\d\d Uhr))(\d\d)(?::(\d\d))?"
                   r"(?:\s?(Uhr|[ap]\.?m\.?\b))?", re.IGNORECASE)


def day_of(year: int, month: int, day: int) -> str | None:
    """The ISO form of a day, or None if the calendar has no such day."""
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def full_year(text: str) -> tuple[int, bool]:
    """A year, and whether its century was assumed."""
    if len(text) == 4:
        return int(text), False
    return int(text) + (2000 if int(text) < PIVOT else 1900), True


class Dates:
    """All date recognisers; `order` ("dmy", "mdy" or None) decides what is otherwise ambiguous."""

    def __init__(self, order: str | None) -> None:
        self.order = order

    def find(self, text: str) -> Iterator[Entity]:
        """The dates of a text; overlapping finds are settled by the caller, the longer first."""
        for found in self._dated(text):
            yield with_clock(text, found)
        for match in QUARTER.finditer(text):
            year, quarter = (match[2], match[1]) if match[1] else (match[3], match[4])
            yield Entity("date", match.start(), match.end(), f"{year}-Q{quarter}", 0.85)
        for match in RELATIVE_DATE.finditer(text):
            yield Entity("date", match.start(), match.end(), None, 0.6, {"relative": True})

    def _dated(self, text: str) -> Iterator[Entity]:
        yield from iso(text)
        yield from self._numeric(text)
        yield from named(text)
        yield from east(text)

    def _numeric(self, text: str) -> Iterator[Entity]:
        for found in YEAR_FIRST.finditer(text):
            normalised = day_of(int(found[1]), int(found[3]), int(found[4]))
            if normalised:
                yield Entity("date", found.start(), found.end(), normalised, 0.95)
        for found in SPACED.finditer(text):
            normalised = day_of(int(found[3]), int(found[2]), int(found[1]))
            if normalised:
                yield Entity("date", found.start(), found.end(), normalised, 0.93)
        for found in NUMERIC.finditer(text):
            entity = self._ordered(found)
            if entity is not None:
                yield entity

    def _ordered(self, found: re.Match[str]) -> Entity | None:
        """A date of three numbers with the year last."""
        first, sign, second = int(found[1]), found[2], int(found[3])
        year, assumed = full_year(found[4])
        details: dict[str, Any] = {"century_assumed": True} if assumed else {}
        confidence = 0.95 if not assumed else 0.7 if sign == "/" else 0.5
        day_first, month_first = day_of(year, second, first), day_of(year, first, second)
        if sign == "." and day_first:
            month_first = None                       # dots are written where the day comes first
        if day_first and month_first and day_first != month_first:
            if self.order is None:
                details |= {"ambiguous": True, "candidates": [day_first, month_first]}
                return Entity("date", found.start(), found.end(), None, min(confidence, 0.7), details)
            return Entity("date", found.start(), found.end(), day_first if self.order == "dmy" else month_first, confidence, details)
        normalised = day_first or month_first
        return Entity("date", found.start(), found.end(), normalised, confidence, details) if normalised else None


def iso(text: str) -> Iterator[Entity]:
    """ISO 8601 dates, times and weeks."""
    for form in (ISO, COMPACT):
        for found in form.finditer(text):
            day = day_of(int(found[1]), int(found[2]), int(found[3]))
            if day is None:
                continue
            normalised = day
            if found[4]:
                if int(found[4]) > 24 or int(found[5]) > 59:
                    continue
                normalised += f"T{found[4]}:{found[5]}" + (f":{found[6]}" if found[6] else "") + (found[7] or "")
            yield Entity("date", found.start(), found.end(), normalised, 0.98)
    for found in WEEK.finditer(text):
        if 1 <= int(found[2]) <= 53:
            yield Entity("date", found.start(), found.end(), f"{found[1]}-W{found[2]}" + (f"-{found[3]}" if found[3] else ""), 0.85)


def month_of(word: str, alone: bool) -> int | None:
    """The number of a month by its name; words that mean more need a capital when they stand `alone` (without a year)."""
    name = word.casefold()
    number = MONTHS.get(name)
    return None if number is None or (alone and name in DOUBTFUL and not word[0].isupper()) else number


def named(text: str) -> Iterator[Entity]:
    """Dates with a month's name: 1 May 2024, May 1, 2024, 1. Mai, 1er mai 2024, 1 de mayo de 2024, May 2024."""
    with_day: set[int] = set()         # where names of months with a day stand: `29 February 2023` is no day, and not February 2023 either
    for found in DAY_FIRST.finditer(text):
        year = found[3] or found[4] or found[5]
        month = month_of(found[2], alone=year is None)
        if month is not None:
            with_day.add(found.start(2))
            yield from built(found, year, month, found[1])
    for found in MONTH_FIRST.finditer(text):
        month = month_of(found[1], alone=True)
        if month is not None:
            yield from built(found, found[3], month, found[2])
    for found in MONTH_YEAR.finditer(text):
        month = month_of(found[1], alone=True)
        if month is not None and 1500 <= int(found[2]) <= 2199 and found.start(1) not in with_day:
            yield Entity("date", found.start(), found.end(), f"{int(found[2]):04d}-{month:02d}", 0.85)


def built(found: re.Match[str], year: str | None, month: int, day: str) -> Iterator[Entity]:
    """A date with a month's name, with or without a year."""
    if year is None:
        # 2024 is a leap year: Feb 29 without a year is a date.
        if day_of(2024, month, int(day)):
            yield Entity("date", found.start(), end_of(found), f"--{month:02d}-{int(day):02d}", 0.75)
        return
    number, assumed = full_year(year)
    normalised = day_of(number, month, int(day)) if number else None
    if normalised:
        yield Entity("date", found.start(), end_of(found), normalised, 0.8 if assumed else 0.97, {"century_assumed": True} if assumed else {})


def end_of(found: re.Match[str]) -> int:
    """The end of a match without a full stop that ends the sentence rather than an abbreviation."""
    return found.end() - 1 if found[0].endswith(".") else found.end()


def east(text: str) -> Iterator[Entity]:
    """Chinese, Japanese and Korean dates, and Japanese eras."""
    for found in EAST.finditer(text):
        day = day_of(int(found[1]), int(found[2]), int(found[3] or 1))
        if day:
            yield Entity("date", found.start(), found.end(), day if found[3] else day[:7], 0.97 if found[3] else 0.85)
    for found in EAST_DAY.finditer(text):
        day = day_of(2024, int(found[1]), int(found[2]))
        if day:
            yield Entity("date", found.start(), found.end(), "-" + day[4:], 0.75)
    for found in ERA.finditer(text):
        year = ERAS[found[1]] + (1 if found[2] == "元" else int(found[2]))
        day = day_of(year, int(found[3]), int(found[4]))
        if day:
            yield Entity("date", found.start(), found.end(), day, 0.95 if len(found[1]) > 1 else 0.6)


def with_clock(text: str, entity: Entity) -> Entity:
    """The date together with the time of day that follows it."""
    if entity.normalised is None or len(entity.normalised) != 10:
        return entity
    found = CLOCK.match(text, entity.end)
    if found is None:
        return entity
    hour, minute = int(found[1]), int(found[2])
    half = (found[4] or "").lower()
    if half.startswith("p") and hour < 12:
        hour += 12
    elif half.startswith("a") and hour == 12:
        hour = 0
    if hour > 24 or minute > 59:
        return entity
    entity.normalised += f"T{hour:02d}:{minute:02d}" + (f":{found[3]}" if found[3] else "")
    entity.end = found.end()
    return entity
