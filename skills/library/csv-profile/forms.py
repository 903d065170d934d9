"""The written forms of numbers, dates, yes and no, and of nothing at all, in the conventions that real tables use.

Pure functions from a cell to its meaning. A form that can be read in two ways (1,234 or 03/04/2024) is said to be so: who calls looks at
the whole column and passes the decision back in. The same file lies in every skill that reads tables.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

MISSING = ("", "na", "n/a", "#n/a", "n.a.", "nan", "null", "nil", "none", "-", "--", "—", "?", "\\n")
DIGITS_MAX = 30                     # a longer run of digits is a code
TYPED_CHARACTERS_MAX = 48           # nothing longer is a number or a date
PAIRS = (("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("on", "off"), ("ja", "nein"), ("oui", "non"), ("si", "no"), ("sí", "no"),
         ("sim", "não"), ("vrai", "faux"), ("wahr", "falsch"), ("verdadero", "falso"), ("是", "否"), ("はい", "いいえ"), ("да", "нет"))
BOOLEANS = {word: pair[0] == word for pair in PAIRS for word in pair}
CURRENCIES = "$€£¥₹₽₩₺₴₪"
CODES = "USD|EUR|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|BRL|MXN|CAD|AUD|Rs\\.?|R\\$|kr|zł|Kč|Ft"

INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
SIMPLE = {".": re.compile(r"[+-]?\d+\.\d+", re.ASCII), ",": re.compile(r"[+-]?\d+,\d+", re.ASCII)}     # what most decimals look like
TWO_WAYS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
NO_NUMBER = re.compile(r"\D*\Z|.*?[^\W\d_]{4}", re.ASCII | re.DOTALL)     # no digit, or four letters in a row: cheaper to see than a number
NO_DATE = re.compile(r"(?!\d{1,4}(?:[-/. 年년er]|\Z|\s)|[^\W\d_]{3,10}\.?\s\d)", re.DOTALL)
GROUPS = "'’\u00a0\u202f\u2009 "    # separators of thousands that are no decimal mark
POINT = re.compile(rf"(?:[1-9]\d{{0,2}}(?:([,{GROUPS}])\d{{3}})(?:\1\d{{3}})*(?:\.\d+)?|[1-9]\d?(?:,\d\d)+,\d{{3}}(?:\.\d+)?"
                   r"|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)", re.ASCII)
COMMA = re.compile(rf"(?:[1-9]\d{{0,2}}(?:([.{GROUPS}])\d{{3}})(?:\1\d{{3}})*(?:,\d+)?|(?:\d+,\d+|,\d+|\d+)(?:[eE][+-]?\d{{1,3}})?)", re.ASCII)
UNIT = re.compile(rf"(?P<before>[{CURRENCIES}]|(?:{CODES})\s)?\s*(?P<body>[^{CURRENCIES}%A-Za-z]*(?:[eE][+-]?\d+)?)\s*"
                  rf"(?P<after>[{CURRENCIES}%]|(?:{CODES}))?")

MONTHS = {name: number for number, names in enumerate((
    "jan january januar janv janvier ene enero gen gennaio janeiro januari",
    "feb february februar févr février fev febrero febbraio fevereiro februari",
    "mar march märz mär mars marzo março maart mrz", "apr april avr avril abr abril aprile", "may mai mayo maggio mag maio mei",
    "jun june juni juin junio giugno giu junho", "jul july juli juil juillet julio luglio lug julho",
    "aug august août aout ago agosto augustus", "sep sept september septembre septiembre settembre set setembro",
    "oct october okt oktober octobre octubre ottobre ott out outubro", "nov november novembre noviembre novembro",
    "dec december dez dezember déc décembre dic diciembre dicembre dezembro"), 1) for name in names.split()}
YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})", re.ASCII)
YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})|(\d{1,2})(/)(\d{1,2})/(\d\d)|(\d\d)(\.)(\d\d)\.(\d\d)", re.ASCII)
DAY_NAME = re.compile(r"(\d{1,2})\.?(?:[ -]|\s+de\s+|er\s)+([^\W\d_]{3,10})\.?(?:\s+de|,)?[ -](\d{4})")
NAME_DAY = re.compile(r"([^\W\d_]{3,10})\.?\s(\d{1,2})(?:st|nd|rd|th)?,?\s(\d{4})")
EAST = re.compile(r"(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일]", re.ASCII)
TIME = re.compile(r"(?:T|\s+|,\s)(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?"
                  r"(?:\s?([AaPp])\.?[Mm]\.?)?\s?(Z|UTC|GMT|[+-]\d\d:?(?:\d\d)?)?\Z", re.ASCII)


@dataclass(frozen=True)
class Moment:
    """A date as written: `form` names it, `a` and `b` are day and month in the order they stand when the form leaves that open."""

    form: str
    year: int
    month: int
    day: int
    open_order: bool
    time: str | None       # HH:MM:SS as written, without an offset

    def iso(self, month_first: bool = False) -> str | None:
        """ISO 8601 text, or None when the numbers are no date. An open order is read day first unless told otherwise."""
        month, day = (self.day, self.month) if self.open_order and month_first else (self.month, self.day)
        try:
            date = datetime.date(self.year, month, day).isoformat()
        except ValueError:
            return None
        return date if self.time is None else f"{date} {self.time}"


def is_typed(cell: str) -> bool:
    """Whether a cell reads as a number or a date in some convention."""
    cell = cell.strip()
    return number(cell, ".") is not None or number(cell, ",") is not None or moment(cell) is not None


def number(cell: str, decimal: str) -> float | int | None:
    """The value of a cell whose decimal mark is `decimal`: groups, currencies, %, parentheses and a trailing minus are understood.

    A percentage keeps its written size (12 % is 12). None when it is no number, has too many digits or overflows."""
    if INTEGER.fullmatch(cell):
        return int(cell) if len(cell) <= DIGITS_MAX else None
    if SIMPLE[decimal].fullmatch(cell) and len(cell) <= DIGITS_MAX:
        return float(cell.replace(",", "."))
    if not cell or len(cell) > TYPED_CHARACTERS_MAX or NO_NUMBER.match(cell):
        return None
    body, sign, _ = _unwrapped(cell)
    found = (POINT if decimal == "." else COMMA).fullmatch(body)
    if not found or sum(c.isdigit() for c in body) > DIGITS_MAX:
        return None
    plain = "".join(c for c in body if c not in GROUPS and (c not in ".," or c == decimal)).replace(",", ".")
    value = sign * (float(plain) if not plain.isdigit() else int(plain))
    return value if abs(value) < 1e300 else None


def unit_of(cell: str) -> str:
    """The currency or % that a number is written with, or an empty text."""
    return "" if cell[0].isdigit() and cell[-1].isdigit() else _unwrapped(cell)[2]


def decimal_evidence(cell: str) -> str:
    """"." or "," when the cell is a number in that convention only, "?" when it is two different numbers, "" when it tells nothing."""
    if INTEGER.fullmatch(cell):
        return ""
    point, comma = number(cell, "."), number(cell, ",")
    if point == comma:
        return ""
    if point is None or comma is None:
        return "," if point is None else "."
    return "?"


def reads_two_ways(cell: str) -> bool:
    """Whether a number is 1,234 or 1.234: thousands in one convention, decimals in the other."""
    return TWO_WAYS.fullmatch(cell) is not None


def has_leading_zero(cell: str) -> bool:
    """Whether an integer is written like a code: 007, 01234."""
    digits = cell.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0" and digits.isascii() and digits.isdigit()


def moment(cell: str) -> Moment | None:
    """The date or date and time that a cell holds, or None. Impossible dates (31.02.) are None."""
    if not 6 <= len(cell) <= TYPED_CHARACTERS_MAX or NO_DATE.match(cell):
        return None
    time = None
    clock = TIME.search(cell)
    if clock:
        hour = int(clock[1]) % 12 + (12 if clock[4] in "Pp" else 0) if clock[4] else int(clock[1])
        if hour > 23 or int(clock[2]) > 59 or int(clock[3] or 0) > 60:
            return None
        time = f"{hour:02d}:{clock[2]}:{clock[3] or '00'}"
        cell = cell[:clock.start()]
    found = _date(cell, time)
    return found if found and (found.iso() or (found.open_order and found.iso(month_first=True))) else None


def _unwrapped(cell: str) -> tuple[str, int, str]:
    """(digits and marks, sign, unit) of a cell that may be a number."""
    sign, body = 1, cell.replace("−", "-")
    if body.startswith("(") and body.endswith(")"):
        sign, body = -1, body[1:-1]
    if body.endswith("-"):
        sign, body = -sign, body[:-1]
    if body.startswith(("-", "+")):
        sign, body = (-sign if body[0] == "-" else sign), body[1:]
    parts = UNIT.fullmatch(body)
    if not parts:
        return body, sign, ""
    body = parts["body"].strip()
    if body.startswith("-"):
        sign, body = -sign, body[1:]
    return body, sign, (parts["before"] or parts["after"] or "").strip()


def _date(cell: str, time: str | None) -> Moment | None:
    """The date part as written."""
    clock = " hh:mm" if time else ""
    if found := YEAR_FIRST.fullmatch(cell):
        mark = found[2]
        return Moment(f"YYYY{mark}MM{mark}DD{clock}", int(found[1]), int(found[3]), int(found[4]), False, time)
    if found := YEAR_LAST.fullmatch(cell):
        first, mark, second, year = (part for part in found.groups() if part)
        whole = int(year) if len(year) == 4 else 2000 + int(year) if int(year) < 70 else 1900 + int(year)
        years = "YYYY" if len(year) == 4 else "YY"
        if mark == "." or int(first) > 12:
            return Moment(f"DD{mark}MM{mark}{years}{clock}", whole, int(second), int(first), False, time)
        if int(second) > 12:
            return Moment(f"MM{mark}DD{mark}{years}{clock}", whole, int(first), int(second), False, time)
        return Moment(f"DD{mark}MM{mark}{years} or MM{mark}DD{mark}{years}{clock}", whole, int(second), int(first), True, time)
    if found := EAST.fullmatch(cell):
        return Moment(f"YYYY年MM月DD日{clock}", int(found[1]), int(found[2]), int(found[3]), False, time)
    if (found := DAY_NAME.fullmatch(cell)) and found[2].casefold() in MONTHS:
        return Moment(f"D Month YYYY{clock}", int(found[3]), MONTHS[found[2].casefold()], int(found[1]), False, time)
    if (found := NAME_DAY.fullmatch(cell)) and found[1].casefold() in MONTHS:
        return Moment(f"Month D, YYYY{clock}", int(found[3]), MONTHS[found[1].casefold()], int(found[2]), False, time)
    return None
