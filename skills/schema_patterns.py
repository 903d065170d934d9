"""Regular expressions of JSON Schema (ECMA-262 with the `u` flag) as Python patterns.

The two dialects look alike and differ in the details that matter: `$`, `.`, `\\d`, `\\w`, `\\s`, `\\p{..}`, class syntax, named groups. What can be
said in Python is translated; what cannot is refused with the reason, and what means something else in Python never slips through.
One known difference stays: a back reference to a group that took no part matches nothing here, and the empty string in ECMA-262.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import chain

PATTERN_CHARACTERS_MAX = 10_000        # longer is generated text; compiling it would stop the loop

Ranges = tuple[tuple[int, int], ...]   # code points, both ends included, ascending, not touching

DIGIT: Ranges = ((0x30, 0x39),)
WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: Ranges = ((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
                 (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF))
LINE_ENDS: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
ASSIGNED = (range(0x40000), range(0xE0000, 0xE1000))     # all that has a category outside C: the other planes are empty or private
CONTROLS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}

CATEGORIES = {
    "Letter": "L", "Cased_Letter": "LC", "Uppercase_Letter": "Lu", "Lowercase_Letter": "Ll", "Titlecase_Letter": "Lt", "Modifier_Letter": "Lm",
    "Other_Letter": "Lo", "Mark": "M", "Combining_Mark": "M", "Nonspacing_Mark": "Mn", "Spacing_Mark": "Mc", "Enclosing_Mark": "Me",
    "Number": "N", "Decimal_Number": "Nd", "digit": "Nd", "Letter_Number": "Nl", "Other_Number": "No", "Punctuation": "P", "punct": "P",
    "Connector_Punctuation": "Pc", "Dash_Punctuation": "Pd", "Open_Punctuation": "Ps", "Close_Punctuation": "Pe", "Initial_Punctuation": "Pi",
    "Final_Punctuation": "Pf", "Other_Punctuation": "Po", "Symbol": "S", "Math_Symbol": "Sm", "Currency_Symbol": "Sc", "Modifier_Symbol": "Sk",
    "Other_Symbol": "So", "Separator": "Z", "Space_Separator": "Zs", "Line_Separator": "Zl", "Paragraph_Separator": "Zp", "Other": "C",
    "Control": "Cc", "cntrl": "Cc", "Format": "Cf", "Surrogate": "Cs", "Private_Use": "Co", "Unassigned": "Cn",
}                                      # the long names of Unicode's general categories
LONG_NAME_OF = {short: long for long, short in reversed(CATEGORIES.items())}


class PatternError(ValueError):
    """A pattern that is not ECMA-262 or cannot be said in Python; the text is the reason."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The Python pattern to `search` with. PatternError says what is wrong and, where known, at which character (from 0)."""
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise PatternError(f"has {len(pattern)} characters, more than {PATTERN_CHARACTERS_MAX}")
    translated = _Translation(pattern).run()
    try:
        return re.compile(translated, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        reason = error.msg if isinstance(error, re.error) else "is too large"
        raise PatternError(f"is not a regular expression that can be used here: {reason}") from None


class _Translation:
    """One pass over a pattern. `at` is the next character to read, `out` the Python text so far."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.out: list[str] = []

    def run(self) -> str:
        """The whole pattern translated."""
        steps = {"\\": self.escape, "[": self.character_class, "(": self.group, "{": self.braces}
        plain = {"$": r"\Z", ".": _set(_complement(LINE_ENDS)), "}": r"\}", "]": r"\]"}
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            self.at += 1
            if char in steps:
                steps[char]()
            elif char in "*+?":
                self.quantifier(char)
            else:
                self.out.append(plain.get(char) or (char if char in "^|()" else _literal(ord(char))))
        return "".join(self.out)

    def refuse(self, reason: str) -> PatternError:
        """The error for what stands before `at`."""
        return PatternError(f"{reason} (near character {max(self.at - 1, 0)})")

    def takes(self, regex: str) -> re.Match[str] | None:
        """What `regex` matches at `at`, and step over it."""
        match = re.compile(regex, re.ASCII).match(self.pattern, self.at)
        if match:
            self.at = match.end()
        return match

    def quantifier(self, text: str) -> None:
        """A quantifier with its optional `?`. A second `+` would be a possessive one in Python and is an error in ECMA-262."""
        text += "?" if self.takes(r"\?") else ""
        if self.takes(r"\+"):
            raise self.refuse("a quantifier cannot be followed by `+`")
        self.out.append(text)

    def braces(self) -> None:
        """`{n}`, `{n,}`, `{n,m}`, or a literal brace; `{,m}` is a literal in ECMA-262 and a quantifier in Python."""
        counted = self.takes(r"[0-9]+(,[0-9]*)?\}")
        if counted:
            self.quantifier("{" + counted[0])
        else:
            self.out.append(r"\{")

    def group(self) -> None:
        """An opening bracket with what makes it special."""
        named = self.takes(r"\?<([A-Za-z_$][A-Za-z0-9_$]*)>")
        if named:
            self.out.append(f"(?P<{named[1].replace('$', '_')}>")
        elif self.takes(r"\?(?=[:=!]|<[=!])"):
            self.out.append("(?" + (self.takes(r"[:=!]|<[=!]") or [""])[0])
        elif self.takes(r"\?"):
            raise self.refuse("`(?` starts no group that ECMA-262 knows; known are (?: (?= (?! (?<= (?<! and (?<name>")
        else:
            self.out.append("(")

    def escape(self) -> None:
        """A backslash outside a class."""
        named = self.takes(r"k<([A-Za-z_$][A-Za-z0-9_$]*)>")
        number = self.takes(r"[1-9][0-9]*")
        edge = self.takes(r"[bB]")
        if named:
            self.out.append(f"(?P={named[1].replace('$', '_')})")
        elif number:
            self.out.append(f"(?:\\{number[0]})")                      # in brackets, so that a digit after it stays a digit
        elif edge:
            self.out.append("\\" + edge[0])
        else:
            atom = self.atom()
            self.out.append(_literal(atom) if isinstance(atom, int) else _set(atom))

    def atom(self) -> int | Ranges:
        """What a backslash stands for, inside a class or outside: one code point or a set of them."""
        sets = {"d": DIGIT, "w": WORD, "s": SPACE}
        named = self.takes(r"[dwsDWS]")
        if named:
            ranges = sets[named[0].lower()]
            return _complement(ranges) if named[0].isupper() else ranges
        unicode_set = self.takes(r"([pP])\{([A-Za-z_]+)(?:=([A-Za-z_]+))?\}")
        if unicode_set:
            ranges = self.property(unicode_set[2], unicode_set[3])
            return _complement(ranges) if unicode_set[1] == "P" else ranges
        pair = self.takes(r"u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
        if pair:
            return 0x10000 + ((int(pair[1], 16) & 0x3FF) << 10) + (int(pair[2], 16) & 0x3FF)
        number = self.takes(r"u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(0)(?![0-9])")
        if number:
            point = int(next(group for group in number.groups() if group), 16)
            if point > sys.maxunicode:
                raise self.refuse("an escape beyond the last code point of Unicode")
            return point
        control = self.takes(r"c([A-Za-z])")
        if control:
            return ord(control[1]) % 32
        other = self.takes(r"[tnvfr]|[^A-Za-z0-9]")
        if other:
            return CONTROLS.get(other[0]) or ord(other[0])
        raise self.refuse("an escape that ECMA-262 does not know" if self.at < len(self.pattern) else "ends with a backslash")

    def property(self, name: str, value: str | None) -> Ranges:
        """The code points of a Unicode property: general categories, `Any` and `ASCII`; Python's tables know no scripts."""
        if value is not None and name not in ("General_Category", "gc"):
            raise self.refuse(f"the Unicode property {name} is not available here, only general categories such as \\p{{L}}")
        wanted = value or name
        if wanted in ("Any", "ASCII") and value is None:
            return ((0, sys.maxunicode if wanted == "Any" else 0x7F),)
        short = CATEGORIES.get(wanted, wanted)
        if short not in LONG_NAME_OF:
            raise self.refuse(f"the Unicode property {wanted} is not available here, only general categories such as \\p{{L}}")
        return _category(short)

    def character_class(self) -> None:
        """`[...]`, rewritten as a plain list of code points and ranges, so that no class syntax of Python's own can appear."""
        negated = bool(self.takes(r"\^"))
        ranges: list[tuple[int, int]] = []
        while not self.takes(r"\]"):
            first = self.class_atom()
            if self.takes(r"-(?!\])"):
                last = self.class_atom()
                if isinstance(first, int) and isinstance(last, int):
                    if first > last:
                        raise self.refuse("a range in a character class runs backwards")
                    ranges.append((first, last))
                    continue
                ranges.append((0x2D, 0x2D))                            # `[\w-.]`: a set cannot end a range, so the hyphen is itself
                ranges.extend(_ranges(last))
            ranges.extend(_ranges(first))
        merged = _merged(ranges)
        self.out.append(_set(_complement(merged) if negated else merged))

    def class_atom(self) -> int | Ranges:
        """One member of a class."""
        if self.at >= len(self.pattern):
            raise self.refuse("a character class is not closed")
        char = self.pattern[self.at]
        self.at += 1
        if char != "\\":
            return ord(char)
        return 0x08 if self.takes("b") else self.atom()


def _ranges(atom: int | Ranges) -> Ranges:
    """An atom as ranges."""
    return ((atom, atom),) if isinstance(atom, int) else atom


def _merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same code points, ascending, with no two ranges touching."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _complement(ranges: Ranges) -> Ranges:
    """All other code points."""
    gaps, start = [], 0
    for first, last in ranges:
        if first > start:
            gaps.append((start, first - 1))
        start = last + 1
    return (*gaps, (start, sys.maxunicode)) if start <= sys.maxunicode else tuple(gaps)


def _set(ranges: Ranges) -> str:
    """Python's class for these code points. The shorter of a class and its negation, which is also the faster one."""
    if not ranges:
        return "(?!)"
    others = _complement(ranges)
    negated = len(others) < len(ranges) or ranges[-1][1] == sys.maxunicode
    if negated and not others:
        return "(?s:.)"
    members = "".join(_literal(a) if a == b else f"{_literal(a)}-{_literal(b)}" for a, b in (others if negated else ranges))
    return f"[{'^' if negated else ''}{members}]"


def _literal(point: int) -> str:
    """A code point as itself, in a class or outside."""
    char = chr(point)
    return char if point > 0x7F or char.isalnum() else f"\\x{point:02x}"


@cache
def _category(short: str) -> Ranges:
    """The code points of a general category or of a group of them. Some 30 ms the first time a category is named."""
    members = ("Lu", "Ll", "Lt") if short == "LC" else (short,)
    category = unicodedata.category
    ranges: list[tuple[int, int]] = []
    planes = (range(sys.maxunicode + 1),) if short.startswith("C") else ASSIGNED
    for point in chain(*planes):
        if category(chr(point)).startswith(members):
            if ranges and ranges[-1][1] == point - 1:
                ranges[-1] = (ranges[-1][0], point)
            else:
                ranges.append((point, point))
    return tuple(ranges)
